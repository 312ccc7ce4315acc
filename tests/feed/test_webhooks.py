"""Webhooks are told what they may be told, in order, signed, and again until they take it."""
from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook as Reference
from standardwebhooks import WebhookVerificationError

from libs.testing.world import World
from services.feed import webhooks
from services.feed.service import SERVICE as FEED
from services.identity.service import SERVICE as IDENTITY
from watercooler.common.v1.audience_pb2 import Audience, People
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import integration_service_pb2 as pb
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub
from watercooler.feed.v1.integration_service_pb2_grpc import IntegrationServiceStub
from watercooler.identity.v1 import identity_service_pb2 as identity
from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceStub

QUICK = {"password_hash_bytes": 8 << 20, "password_hash_passes": 1}
PUBLISHED = "watercooler.feed.v1.PostPublished"
JOINED = "watercooler.feed.v1.MemberJoined"
ADDED = "watercooler.identity.v1.PersonAdded"
EVERY_SECONDS = 60


@dataclass
class Receiver:
    """A system that is told; `answers` are its next statuses, then 200."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def take(self, request: web.Request) -> web.Response:
        self.got.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        self.changed.set()
        return web.Response(status=self.answers.pop(0) if self.answers else 200, text="Heard.")

    async def until(self, count: int) -> list[dict[str, Any]]:
        """The bodies, once so many came."""
        async with asyncio.timeout(EVERY_SECONDS):
            while len(self.got) < count:
                self.changed.clear()
                await self.changed.wait()
        return [json.loads(body) for _, body in self.got]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()


class Office:
    """Ada administers, Ann owns a community."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.people: Any = world.stub(IdentityServiceStub, "identity")
        self.feed: Any = world.stub(FeedServiceStub, "feed")
        self.hooks: Any = world.stub(IntegrationServiceStub, "feed")
        self.ada = self.ann = ""

    async def set_up(self) -> None:
        made = await self.people.SetUpOrganization(identity.SetUpOrganizationRequest(
            name="Harbour", person_name="Ada", email="ada@example.com", password="seven quiet lamps",
        ))
        self.ada = made.administrator.person_id
        self.ann = await self.person("Ann", "ann@example.com")

    async def person(self, name: str, email: str) -> str:
        request = identity.CreatePersonRequest()
        request.profile.name, request.profile.email = name, email
        with self.as_ada():
            made = await self.people.CreatePerson(request)
        await self.world.settle()
        return made.person_id

    def as_ada(self) -> Any:
        return self.world.acting_as(self.ada, ("employee", "administrator"))

    def as_ann(self) -> Any:
        return self.world.acting_as(self.ann)

    async def post(self, body: str, audience: Audience | None = None) -> str:
        with self.as_ann():
            return (await self.feed.PublishPost(feed.PublishPostRequest(body=body, audience=audience))).post_id

    async def hook(self, url: str, *types: str, **more: Any) -> pb.CreateWebhookResponse:
        with self.as_ada():
            return await self.hooks.CreateWebhook(pb.CreateWebhookRequest(name="Ticker", url=url, event_types=types or [PUBLISHED], **more))

    async def deliveries(self, webhook_id: str) -> list[pb.WebhookDelivery]:
        with self.as_ada():
            return list((await self.hooks.ListWebhookDeliveries(pb.ListWebhookDeliveriesRequest(webhook_id=webhook_id))).deliveries)

    async def until(self, webhook_id: str, *states: int) -> list[pb.WebhookDelivery]:
        """The deliveries, the newest first, once they stand so."""
        async with asyncio.timeout(EVERY_SECONDS):
            while True:
                found = await self.deliveries(webhook_id)
                if [each.state for each in found] == list(states):
                    return found
                await asyncio.sleep(0.02)


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setattr(webhooks, "PAUSES", (timedelta(0),) * 9)
    monkeypatch.setattr(webhooks, "SECONDS", 60.0)  # a busy machine may take longer than receivers are given
    async with World.of(tmp_path, IDENTITY, FEED, private_hosts="127.0.0.1", **QUICK) as world:
        found = Office(world)
        await found.set_up()
        yield found


async def test_events_come_signed_and_the_reference_library_believes_them(office: Office) -> None:
    async with receiving() as receiver:
        made = await office.hook(receiver.url, PUBLISHED, ADDED)
        post_id = await office.post("Hello out there")
        await receiver.until(1)  # the order holds within the log of one service
        await office.person("Bea", "bea@example.com")
        told = await receiver.until(2)
        assert [each["type"] for each in told] == [PUBLISHED, ADDED]
        event = told[0]["data"]
        assert event["specversion"] == "1.0" and event["subject"] == f"post-{post_id}" and event["data"]["body"] == "Hello out there"
        for headers, body in receiver.got:
            assert Reference(made.secret).verify(body, headers) == json.loads(body)
            with pytest.raises(WebhookVerificationError):
                Reference(made.secret).verify(body.replace(b"Hello", b"Hullo").replace(b"Bea", b"Bob"), headers)
        with office.as_ada():
            turned = await office.hooks.RotateWebhookSecret(pb.RotateWebhookSecretRequest(webhook_id=made.webhook.webhook_id))
        await office.post("After the turn")
        await receiver.until(3)
        headers, body = receiver.got[2]
        assert Reference(made.secret).verify(body, headers) and Reference(turned.secret).verify(body, headers)
        assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 3
        await office.until(made.webhook.webhook_id, *[pb.WEBHOOK_DELIVERY_STATE_DELIVERED] * 3)
    await office.world.assert_rebuilds()


async def test_a_receiver_that_fails_and_recovers_gets_everything_in_order(office: Office) -> None:
    async with receiving() as receiver:
        receiver.answers = [500, 301, 503]
        made = await office.hook(receiver.url)
        for number in range(3):
            await office.post(f"Post {number}")
        told = await receiver.until(6)
        assert [each["data"]["data"]["body"] for each in told] == ["Post 0"] * 4 + ["Post 1", "Post 2"]
        assert len({headers["webhook-id"] for headers, _ in receiver.got[:4]}) == 1
        found = await office.until(made.webhook.webhook_id, *[pb.WEBHOOK_DELIVERY_STATE_DELIVERED] * 3)
        assert [each.tries for each in found] == [1, 1, 4] and found[0].answer == "Heard." and found[0].answer_status == 200


async def test_what_is_never_taken_is_given_up_shown_and_sent_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "PAUSES", (timedelta(0),))
    async with receiving() as receiver:
        receiver.answers = [500, 500]
        made = await office.hook(receiver.url)
        await office.post("Once")
        await office.post("Twice")
        dead, done = pb.WEBHOOK_DELIVERY_STATE_DEAD, pb.WEBHOOK_DELIVERY_STATE_DELIVERED
        found = await office.until(made.webhook.webhook_id, done, dead)
        assert (found[1].tries, found[1].answer_status) == (2, 500)
        with office.as_ada():
            assert (await office.hooks.GetWebhook(pb.GetWebhookRequest(webhook_id=made.webhook.webhook_id))).dead_count == 1
            await office.hooks.RetryWebhookDelivery(pb.RetryWebhookDeliveryRequest(delivery_id=found[1].delivery_id))
        await office.until(made.webhook.webhook_id, done, done)
        assert [json.loads(body)["data"]["data"]["body"] for _, body in receiver.got] == ["Once", "Once", "Twice", "Once"]


async def test_gone_and_five_days_of_silence_switch_a_webhook_off(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver:
        receiver.answers = [410]
        made = await office.hook(receiver.url)
        await office.post("Anybody?")
        await receiver.until(1)
        found = await _off(office, made.webhook.webhook_id)
        assert "410" in found.disabled_reason and found.waiting_count == 1
        monkeypatch.setattr(webhooks, "DEAD_AFTER", timedelta(0))
        receiver.answers = [500]
        change = pb.UpdateWebhookRequest(webhook_id=found.webhook_id, name="Again", url=found.url, event_types=found.event_types)
        with office.as_ada():
            assert not (await office.hooks.UpdateWebhook(change)).disabled
        await receiver.until(2)
        assert "days" in (await _off(office, made.webhook.webhook_id)).disabled_reason
    told = await office.world.store("feed").database.fetch(
        "SELECT recipient_id, subject FROM notifications WHERE kind = :kind", kind=feed.NOTIFICATION_KIND_WEBHOOK
    )
    assert [tuple(row) for row in told] == [(office.ada, made.webhook.webhook_id)] * 2  # whoever made it, each time
    await office.world.assert_rebuilds()


async def _off(office: Office, webhook_id: str) -> pb.Webhook:
    async with asyncio.timeout(EVERY_SECONDS):
        while True:
            with office.as_ada():
                found = await office.hooks.GetWebhook(pb.GetWebhookRequest(webhook_id=webhook_id))
            if found.disabled:
                return found
            await asyncio.sleep(0.02)


async def test_nobody_is_told_what_they_may_not_know(office: Office) -> None:
    async with receiving() as everyone, receiving() as restricted, receiving() as own:
        with office.as_ann():
            closed = await office.feed.CreateCommunity(feed.CreateCommunityRequest(
                name="Closed", kind=events_pb2.COMMUNITY_KIND_CLOSED
            ))
            secret = await office.feed.CreateCommunity(feed.CreateCommunityRequest(
                name="Hidden", kind=events_pb2.COMMUNITY_KIND_SECRET
            ))
        await office.hook(everyone.url)
        await office.hook(restricted.url, includes_restricted=True)
        with office.as_ann():
            await office.hooks.CreateWebhook(pb.CreateWebhookRequest(
                name="Ours", url=own.url, event_types=[PUBLISHED], community_id=secret.community_id
            ))
        await office.post("For two", Audience(people=People(person_ids=[office.ada])))
        await office.post("Behind the door", Audience(community_id=closed.community_id))
        await office.post("Nobody knows", Audience(community_id=secret.community_id))
        gone = await office.post("For all")
        told = {name: [each["data"]["data"]["body"] for each in await receiver.until(count)] for name, receiver, count in (
            ("everyone", everyone, 1), ("restricted", restricted, 2), ("own", own, 1),
        )}
        assert told == {"everyone": ["For all"], "restricted": ["Behind the door", "For all"], "own": ["Nobody knows"]}
        # What was deleted is not sent again.
        with office.as_ann():
            await office.feed.DeletePost(feed.DeletePostRequest(post_id=gone))
        with office.as_ada():
            hooks = (await office.hooks.ListWebhooks(pb.ListWebhooksRequest())).webhooks
            plain = next(each for each in hooks if not each.includes_restricted)
            found = await office.until(plain.webhook_id, pb.WEBHOOK_DELIVERY_STATE_DELIVERED)
            await office.hooks.RetryWebhookDelivery(pb.RetryWebhookDeliveryRequest(delivery_id=found[0].delivery_id))
        await office.until(plain.webhook_id, pb.WEBHOOK_DELIVERY_STATE_DROPPED)
        assert len(everyone.got) == 1
        # Nor what a webhook is no longer to be told of.
        with office.as_ada():
            wide = next(each for each in hooks if each.includes_restricted)
            await office.hooks.UpdateWebhook(pb.UpdateWebhookRequest(
                webhook_id=wide.webhook_id, name=wide.name, url=wide.url, event_types=wide.event_types
            ))
            first = (await office.deliveries(wide.webhook_id))[-1]
            await office.hooks.RetryWebhookDelivery(pb.RetryWebhookDeliveryRequest(delivery_id=first.delivery_id))
        await office.until(wide.webhook_id, pb.WEBHOOK_DELIVERY_STATE_DELIVERED, pb.WEBHOOK_DELIVERY_STATE_DROPPED)
        assert len(restricted.got) == 2


async def test_a_ping_is_answered_at_once_and_addresses_are_checked(office: Office) -> None:
    async with receiving() as receiver:
        receiver.answers = [204, 500]
        made = await office.hook(receiver.url)
        test = pb.TestWebhookRequest(webhook_id=made.webhook.webhook_id)
        with office.as_ada():
            good, bad = await office.hooks.TestWebhook(test), await office.hooks.TestWebhook(test)
        assert (good.state, good.answer_status) == (pb.WEBHOOK_DELIVERY_STATE_DELIVERED, 204)
        assert (bad.state, bad.answer_status) == (pb.WEBHOOK_DELIVERY_STATE_DEAD, 500)
        assert json.loads(receiver.got[0][1])["type"] == "ping"
    for url in ("http://example.com/", "https://10.0.0.1/", "https://localhost/", "ftp://example.com/", "", "https://user:pw@example.com/"):
        with pytest.raises(Exception, match=r"(?i)address|https"):
            await office.hook(url)
    for types in (["watercooler.feed.v1.PostSaved"], []):
        with office.as_ada(), pytest.raises(Exception, match="event"):
            await office.hooks.CreateWebhook(pb.CreateWebhookRequest(name="x", url="https://example.com/", event_types=types))
    with office.as_ann():
        with pytest.raises(Exception, match="administrators"):
            await office.hooks.CreateWebhook(pb.CreateWebhookRequest(name="x", url="https://example.com/", event_types=[PUBLISHED]))
        with pytest.raises(Exception, match="administrators"):
            await office.hooks.GetWebhook(pb.GetWebhookRequest(webhook_id=made.webhook.webhook_id))
