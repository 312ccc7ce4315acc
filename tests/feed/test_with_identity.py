"""The feed beside the real identity: what it says of people arrives."""
from __future__ import annotations

from pathlib import Path

from libs.testing.world import World
from services.feed.service import SERVICE as FEED
from services.identity.service import SERVICE as IDENTITY
from tests.identity.worlds import Identity
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub
from watercooler.identity.v1.identity_service_pb2 import ErasePersonRequest, GroupMember, GroupRecord, ImportGroupsRequest


async def test_people_groups_and_erasure_arrive(tmp_path: Path) -> None:
    async with World.of(tmp_path, IDENTITY, FEED, password_hash_bytes=8 << 20, password_hash_passes=1) as world:
        identity = Identity(world)
        await identity.set_up()
        feed = world.stub(FeedServiceStub, "feed")
        with identity.as_admin():
            members = [GroupMember(person_key="ann@example.com")]
            group = (await identity.stub.ImportGroups(ImportGroupsRequest(
                source="hr", records=[GroupRecord(place="1", external_id="field", name="Field", kind="team", members=members)]
            ))).results[0]
        await world.settle()
        with identity.as_person(identity.ann):
            request = api.PublishPostRequest(body="hello @ada")
            request.audience.group_id = group.id
            post = await feed.PublishPost(request)
        assert (post.author.display_name, post.mentions[0].display_name) == ("Ann Bell", "Ada Abara")
        with identity.as_admin():
            public = api.PublishPostRequest(body="hello @ann")
            shown = await feed.PublishPost(public)
            assert [one.person_id for one in shown.mentions] == [identity.ann.person_id]
            await identity.stub.ErasePerson(ErasePersonRequest(person_id=identity.ann.person_id))
        await world.settle()
        await world.settle()
        with identity.as_admin():
            shown = await feed.GetPost(api.GetPostRequest(post_id=shown.post_id))
        assert shown.mentions[0].display_name == ""
        await world.assert_rebuilds()
