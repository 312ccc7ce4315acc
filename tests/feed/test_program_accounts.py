"""Programs write by accounts of their own: nobody makes one that speaks in somebody else's name."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.feed.worlds import DENIED, INVALID, OWNER, feed_of, people, refused
from watercooler.common.v1.audience_pb2 import Audience, Everyone
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import integration_service_pb2 as pb
from watercooler.feed.v1.delivery_service_pb2 import CountReachRequest
from watercooler.feed.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from watercooler.feed.v1.integration_service_pb2_grpc import IntegrationServiceStub
from watercooler.feed.v1.reading_service_pb2 import MutePersonRequest
from watercooler.feed.v1.reading_service_pb2_grpc import ReadingServiceStub


async def test_nobody_speaks_by_the_account_of_another(tmp_path: Path) -> None:
    async with feed_of(tmp_path) as office:
        hooks: Any = office.world.stub(IntegrationServiceStub, "feed")
        ann, ben, gia = await office.person("ann"), await office.person("ben"), await office.person("gia", "guest")
        robot = await office.person("robot", "bot")
        place = (await office.community(ann)).community_id
        with office.by(ann):
            for wrong, code in ((ben, DENIED), (ann, DENIED), ("x" * 40, INVALID)):
                with refused(code, field=None):
                    await hooks.CreateIncomingHook(pb.CreateIncomingHookRequest(name="Build", person_id=ann, bot_id=wrong))
                with refused(code):
                    await hooks.CreateBot(pb.CreateBotRequest(name="Weather", community_id=place, bot_id=wrong))
            made = await hooks.CreateIncomingHook(pb.CreateIncomingHookRequest(name="Build", person_id=ann, bot_id=robot))
            by_hook = pb.PostByIncomingHookRequest(hook_id=made.hook.hook_id, secret=made.secret, body="Built.")
            assert (await hooks.PostByIncomingHook(by_hook)).author.person_id == robot
            with refused(DENIED, "not free"):
                await hooks.CreateBot(pb.CreateBotRequest(name="Weather", community_id=place, bot_id=robot))
        own = await office.person("own", "bot")
        with office.by(ann):
            create = pb.CreateBotRequest(name="Weather", community_id=place, bot_id=own)
            assert await hooks.CreateBot(create) == await hooks.CreateBot(create)
        with office.by(ben):
            with refused(DENIED, "not free"):
                await hooks.CreateIncomingHook(pb.CreateIncomingHookRequest(name="Build", person_id=ben, bot_id=own))
            with refused(DENIED, "only members"):
                await hooks.RunCommand(pb.RunCommandRequest(text="/weather", audience=Audience(community_id=place)))
        with office.by(gia), refused(DENIED, "guests"):
            await hooks.RunCommand(pb.RunCommandRequest(text="/weather", audience=Audience(everyone=Everyone())))


async def test_a_guest_who_owns_a_community_gets_no_bot_that_reads_more(tmp_path: Path) -> None:
    async with feed_of(tmp_path) as office:
        hooks: Any = office.world.stub(IntegrationServiceStub, "feed")
        ann, gia, robot = await office.person("ann"), await office.person("gia", "guest"), await office.person("robot", "bot")
        place = (await office.community(ann)).community_id
        await office.add(ann, place, gia, OWNER)
        with office.by(gia):
            with refused(DENIED, "guests"):
                await hooks.CheckIntegrationAccess(pb.CheckIntegrationAccessRequest(community_id=place))
            with refused(DENIED, "guests"):
                await hooks.CreateBot(pb.CreateBotRequest(name="Eyes", community_id=place, bot_id=robot))
        with office.by(ann):
            await hooks.CreateBot(pb.CreateBotRequest(name="Eyes", community_id=place, bot_id=robot))


async def test_nobody_asks_who_keeps_them_out(tmp_path: Path) -> None:
    async with feed_of(tmp_path) as office:
        reading: Any = office.world.stub(ReadingServiceStub, "feed")
        ann, ben = await office.person("ann"), await office.person("ben")
        post = await office.post(ann, "hello", people(ben))
        ask = feed.CheckVisibilityRequest(post_id=post.post_id, person_ids=[ann, ben])
        with office.by(ann):
            before = await office.stub.CheckVisibility(ask)
        with office.by(ben):
            await reading.MutePerson(MutePersonRequest(person_id=ann))
            own = await office.stub.CheckVisibility(ask)
        assert ben in before.home_ids and ben not in own.home_ids
        with office.by(ann):
            assert await office.stub.CheckVisibility(ask) == before
        with office.world.acting_for("gateway"):
            assert ben not in (await office.stub.CheckVisibility(ask)).home_ids


async def test_guests_are_not_told_how_large_the_company_is(tmp_path: Path) -> None:
    async with feed_of(tmp_path) as office:
        delivery: Any = office.world.stub(DeliveryServiceStub, "feed")
        ann, gia = await office.person("ann"), await office.person("gia", "guest")
        await office.person("ben")
        everyone = CountReachRequest(audience=Audience(everyone=Everyone()))
        with office.by(ann):
            assert (await delivery.CountReach(everyone)).people == 1
        with office.by(gia):
            assert (await delivery.CountReach(everyone)).people == 0
            assert (await delivery.CountReach(CountReachRequest(audience=people(ann)))).people == 1
