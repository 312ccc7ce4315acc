"""Delivery: preferences, pushes to devices, digests by mail, from the call to what arrives."""
from __future__ import annotations

import asyncio
import email.policy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import grpc
import pytest

from libs.mail.letters import LetterRefused, ServerAway
from libs.testing.spec import Spec
from services.feed.calm import DAYS, KINDS, complete, defaults
from services.feed.commands import delivery as commands
from services.feed.deciders import delivery
from services.feed.digests import Digests
from tests.feed.worlds import DENIED, INVALID, MISSING, Feed, feed_of, people, refused
from tests.push.service import FakeDevice, PushService
from watercooler.feed.v1 import delivery_events_pb2 as events
from watercooler.feed.v1 import delivery_service_pb2 as pb
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from watercooler.identity.v1 import events_pb2 as identity

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PATIENCE_SECONDS = 60.0
KEY, SECRET = b"\x04" + b"k" * 64, b"s" * 16
MENTION, REACTION, DIRECT = api.NOTIFICATION_KIND_MENTION, api.NOTIFICATION_KIND_REACTION, api.NOTIFICATION_KIND_DIRECT
AWAKE = events.QuietHours(on=False, start_minute=0, end_minute=0, days=DAYS)
ASLEEP = events.QuietHours(on=True, start_minute=0, end_minute=0, days=DAYS)


# --- what is decided --------------------------------------------------------------------------------------------------


def subscribe(number: int = 1, **fields: Any) -> commands.SubscribePush:
    return commands.SubscribePush(**({
        "person_id": "ann", "subscription_id": f"s{number}", "holder": f"session:{number}", "endpoint": "https://push.example.com/1",
        "public_key": KEY, "secret": SECRET, "format": events.PUSH_FORMAT_WEB, "kinds": (), "policy": "all", "label": "Phone",
        "client_token": "", "now": NOW,
    } | fields))


def subscribed(number: int = 1) -> events.PushSubscribed:
    event, = delivery.decide(subscribe(number), delivery.initial())
    assert isinstance(event, events.PushSubscribed)
    return event


def change(**fields: Any) -> commands.ChangePreferences:
    wanted = defaults()
    for name, value in fields.items():
        wanted.quiet_hours.CopyFrom(value) if name == "quiet_hours" else setattr(wanted, name, value)
    return commands.ChangePreferences(person_id="ann", preferences=wanted, now=NOW)


def changed(**fields: Any) -> events.DeliveryPreferencesChanged:
    event = events.DeliveryPreferencesChanged(person_id="ann", preferences=change(**fields).preferences)
    event.change_time.FromDatetime(NOW)
    return event


def test_preferences_are_changed_as_a_whole_and_once() -> None:
    Spec(delivery).when(change(pushes_per_day=3)).then(changed(pushes_per_day=3))
    Spec(delivery).given(changed(pushes_per_day=3)).when(change(pushes_per_day=3)).then_nothing()
    Spec(delivery).when(change()).then_nothing()
    stale = replace(change(pushes_per_day=4), etag="0")
    Spec(delivery).given(changed(pushes_per_day=3)).when(stale).then_rejected("changed meanwhile")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"pushes_per_day": 201}, "0 to 200"), ({"pushes_per_day": -1}, "0 to 200"), ({"digest_hour": 24}, "0 to 23"),
        ({"digest_day": 0}, "1 (Monday)"), ({"rhythm": events.DIGEST_RHYTHM_UNSPECIFIED}, "how often"),
        ({"quiet_hours": events.QuietHours(on=True, start_minute=1440, days=DAYS)}, "minute of the day"),
        ({"quiet_hours": events.QuietHours(on=True, days=[8])}, "each once"),
        ({"quiet_hours": events.QuietHours(on=True)}, "at least one day"),
    ],
)
def test_what_is_out_of_range_is_refused(fields: dict[str, Any], reason: str) -> None:
    Spec(delivery).when(change(**fields)).then_rejected(reason)


def test_a_device_takes_the_place_of_what_its_holder_had() -> None:
    Spec(delivery).given(subscribed()).when(subscribe(now=NOW + timedelta(days=1))).then_nothing()
    other = subscribed()
    other.endpoint = "https://push.example.com/2"
    Spec(delivery).given(subscribed()).when(subscribe(endpoint="https://push.example.com/2")).then(other)
    many = [subscribed(number) for number in range(delivery.DEVICES)]
    Spec(delivery).given(*many).when(subscribe(99)).then_rejected("at most 20 devices")
    Spec(delivery).given(*many).when(subscribe(3)).then_nothing()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"public_key": b"x"}, "P-256"), ({"secret": b"x"}, "16 bytes"), ({"endpoint": "https://a.example/" + "x" * 2_000}, "2,000"),
        ({"format": events.PUSH_FORMAT_UNSPECIFIED}, "what kind of program"), ({"policy": "some"}, "policy is one of"),
        ({"kinds": (999,)}, "no such kind"),
        ({"holder": ""}, "session or access token"), ({"label": "x" * 201}, "200"),
    ],
)
def test_a_device_that_nothing_can_be_sent_to_is_refused(fields: dict[str, Any], reason: str) -> None:
    Spec(delivery).when(subscribe(**fields)).then_rejected(reason)


def test_devices_and_digests_end_once() -> None:
    end = commands.UnsubscribePush(person_id="ann", subscription_id="s1", reason=events.PUSH_END_GONE, now=NOW)
    Spec(delivery).when(end).then_nothing()
    ended = events.PushUnsubscribed(person_id="ann", subscription_id="s1", reason=events.PUSH_END_GONE)
    ended.end_time.FromDatetime(NOW)
    Spec(delivery).given(subscribed()).when(end).then(ended)
    Spec(delivery).given(subscribed(), ended).when(end).then_nothing()
    stop = commands.StopDigest(person_id="ann", now=NOW)
    Spec(delivery).when(stop).then(changed(rhythm=events.DIGEST_RHYTHM_NEVER))
    Spec(delivery).given(changed(rhythm=events.DIGEST_RHYTHM_NEVER)).when(stop).then_nothing()


def test_a_digest_is_noted_once_for_each_time_it_is_due() -> None:
    note = commands.NoteDigest(person_id="ann", slot=NOW, now=NOW, notification_count=2, post_count=1)
    sent = events.DigestSent(person_id="ann", notification_count=2, post_count=1)
    sent.slot_time.FromDatetime(NOW)
    sent.send_time.FromDatetime(NOW)
    Spec(delivery).when(note).then(sent)
    Spec(delivery).given(sent).when(note).then_nothing()
    Spec(delivery).given(sent).when(replace(note, slot=NOW - timedelta(days=1))).then_nothing()


# --- by the calls -----------------------------------------------------------------------------------------------------


class Deliveries:
    """A feed with a push service beside it."""

    def __init__(self, feed: Feed, push: PushService) -> None:
        self.feed = feed
        self.push = push
        self.stub: Any = feed.world.stub(DeliveryServiceStub, "feed")

    async def change(self, person_id: str, **fields: Any) -> pb.Delivery:
        with self.feed.by(person_id):
            request = pb.ChangeDeliveryRequest(preferences=events.DeliveryPreferences(**fields), update_mask=list(fields))
            return await self.stub.ChangeDelivery(request)

    async def device(self, person_id: str, holder: str = "session:1", **fields: Any) -> FakeDevice:
        made = self.push.device()
        with self.feed.by(person_id):
            await self.stub.SubscribePush(pb.SubscribePushRequest(**({
                "holder": holder, "endpoint": made.address.endpoint, "public_key": made.address.public_key, "secret": made.address.secret,
                "format": events.PUSH_FORMAT_WEB,
            } | fields)))
        return made

    async def awake(self, handle: str, **fields: Any) -> str:
        person_id = await self.feed.person(handle)
        await self.change(person_id, quiet_hours=AWAKE, **fields)
        return person_id

    async def queued(self) -> list[Any]:
        await self.feed.world.settle()
        return list(await self.feed.world.store("feed").database.fetch("SELECT * FROM push_queue ORDER BY position"))

    async def emptied(self) -> None:
        await until(self._is_empty)

    async def _is_empty(self) -> bool:
        return not await self.queued()

    def told(self) -> list[tuple[str, str]]:
        return [(content["title"], content["body"]) for content in (json.loads(each.content) for each in self.push.messages)]


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await check():
            await asyncio.sleep(0.02)


@pytest.fixture
async def deliveries(tmp_path: Path) -> AsyncIterator[Deliveries]:
    async with PushService.running() as push, feed_of(tmp_path, private_hosts="127.0.0.1") as feed:
        yield Deliveries(feed, push)


async def test_defaults_are_quiet_and_changes_stay(deliveries: Deliveries) -> None:
    feed = deliveries.feed
    ann = await feed.person("ann")
    with feed.by(ann):
        found = await deliveries.stub.GetDelivery(pb.GetDeliveryRequest())
    assert found.preferences == complete(None)
    assert (found.time_zone, found.mail_address, found.preferences.rhythm) == ("UTC", "ann@example.com", events.DIGEST_RHYTHM_WEEKLY)
    assert found.next_digest_time.ToDatetime().hour == 9
    off = events.KindDelivery(kind=REACTION, push=True, digest=True)
    after = await deliveries.change(ann, kinds=[off], pushes_per_day=2)
    kinds = {each.kind: each for each in after.preferences.kinds}
    assert not (kinds[REACTION].in_app or kinds[REACTION].push or kinds[REACTION].digest), "not at all is not at all"
    assert kinds[MENTION].push
    assert (len(kinds), after.preferences.pushes_per_day) == (len(KINDS), 2)
    with feed.by(ann), refused(INVALID, "update_mask"):
        await deliveries.stub.ChangeDelivery(pb.ChangeDeliveryRequest(update_mask=["etag"]))
    with feed.by(ann), refused(grpc.StatusCode.ABORTED, "changed meanwhile"):
        await deliveries.stub.ChangeDelivery(pb.ChangeDeliveryRequest(update_mask=["pushes_per_day"], etag="7"))
    with feed.world.acting_as(ann, scopes=("read",)), refused(DENIED):
        await deliveries.stub.ChangeDelivery(pb.ChangeDeliveryRequest(update_mask=["pushes_per_day"]))


async def test_what_is_not_wanted_at_all_is_not_shown(deliveries: Deliveries) -> None:
    feed = deliveries.feed
    ann, bob = await feed.person("ann"), await feed.person("bob")
    post = await feed.post(ann, "mine")
    with feed.by(bob):
        await feed.stub.AddReaction(api.AddReactionRequest(post_id=post.post_id, emoji="🎉"))
    assert [one.kind for one in await feed.notifications(ann)] == [REACTION]
    await deliveries.change(ann, kinds=[events.KindDelivery(kind=REACTION)])
    assert await feed.notifications(ann) == []
    await deliveries.change(ann, kinds=[events.KindDelivery(kind=REACTION, in_app=True)])
    assert [one.kind for one in await feed.notifications(ann)] == [REACTION]


async def test_a_push_reaches_each_device_with_what_happened(deliveries: Deliveries) -> None:
    feed = deliveries.feed
    ann, bob = await deliveries.awake("ann"), await feed.person("bob")
    await deliveries.device(ann)
    await deliveries.device(
        ann, "token:7", format=events.PUSH_FORMAT_MASTODON, kinds=[MENTION, REACTION], client_token="known by this", label="Phone",
    )
    post = await feed.post(bob, "look **here** @ann")
    messages = await deliveries.push.wait(2)
    told = sorted((json.loads(each.content) for each in messages), key=len)
    assert told[0] == {
        "title": "Bob mentioned you", "body": "look here @ann", "url": f"/posts/{post.post_id}", "tag": f"1-{post.post_id}",
        "language": "en",
    }
    assert {key: told[1][key] for key in ("access_token", "notification_type", "title", "preferred_locale")} == {
        "access_token": "known by this", "notification_type": "mention", "title": "Bob mentioned you", "preferred_locale": "en",
    }
    assert messages[0].headers["authorization"].startswith("vapid t=")
    mine = await feed.post(ann, "mine")
    with feed.by(bob):
        await feed.stub.AddReaction(api.AddReactionRequest(post_id=mine.post_id, emoji="🎉"))
    await deliveries.push.wait(3)
    assert json.loads(messages[2].content)["notification_type"] == "favourite", "only the device that asks for reactions"
    await deliveries.emptied()
    assert len(messages) == 3


async def test_at_night_and_past_the_budget_nothing_is_pushed(deliveries: Deliveries) -> None:
    feed = deliveries.feed
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await deliveries.change(ann, quiet_hours=ASLEEP, pushes_per_day=1)
    await deliveries.device(ann)
    await feed.post(bob, "first @ann")

    async def waits() -> bool:
        rows = await deliveries.queued()
        return len(rows) == 1 and rows[0]["due_time"] > rows[0]["queue_time"] + 3_600_000_000

    await until(waits)
    assert deliveries.push.messages == []
    await deliveries.change(ann, quiet_hours=AWAKE)
    await deliveries.push.wait(1)
    await feed.post(bob, "second @ann")
    await deliveries.emptied()
    await feed.post(bob, "for you alone", people(ann))
    await deliveries.push.wait(2)
    await deliveries.emptied()
    assert deliveries.told() == [("Bob mentioned you", "first @ann"), ("Bob wrote to you", "for you alone")]
    with feed.by(ann):
        assert (await deliveries.stub.GetDelivery(pb.GetDeliveryRequest())).pushes_today == 1
    assert len(await feed.notifications(ann)) == 3, "all of it is in the app"


async def test_many_at_once_are_one_and_what_is_gone_is_none(deliveries: Deliveries) -> None:
    feed = deliveries.feed
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await deliveries.change(ann, quiet_hours=ASLEEP)
    await deliveries.device(ann)
    posts = [await feed.post(bob, f"number {number} @ann") for number in range(5)]
    with feed.by(bob):
        await feed.stub.DeletePost(api.DeletePostRequest(post_id=posts[4].post_id))

    async def all_wait() -> bool:
        rows = await deliveries.queued()
        return len(rows) == 5 and all(row["due_time"] > row["queue_time"] for row in rows)

    await until(all_wait)
    await deliveries.change(ann, quiet_hours=AWAKE)
    await deliveries.emptied()
    assert deliveries.told() == [("4 new notifications", "Bob mentioned you")]


async def test_a_device_that_is_gone_gets_nothing_more(deliveries: Deliveries) -> None:
    feed = deliveries.feed
    ann, bob = await deliveries.awake("ann"), await feed.person("bob")
    await deliveries.device(ann)
    deliveries.push.status = 410
    await feed.post(bob, "@ann")
    await deliveries.emptied()

    async def ended() -> bool:
        with feed.by(ann):
            return not (await deliveries.stub.GetDelivery(pb.GetDeliveryRequest())).subscriptions

    await until(ended)
    with feed.by(ann), refused(MISSING):
        await deliveries.stub.GetPush(pb.GetPushRequest(holder="session:1"))


async def test_a_device_ends_with_its_token_and_with_its_person(deliveries: Deliveries) -> None:
    feed = deliveries.feed
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await deliveries.device(ann, "token:abc")
    await deliveries.device(ann, "session:1")
    await deliveries.device(bob, "session:2")
    await feed.tell("token-abc", identity.AccessTokenRevoked(token_id="abc", person_id=ann))
    await feed.world.settle()
    with feed.by(ann):
        left = await deliveries.stub.GetDelivery(pb.GetDeliveryRequest())
        assert [one.holder for one in left.subscriptions] == ["session:1"]
        await deliveries.stub.UnsubscribePush(pb.UnsubscribePushRequest(holder="session:1"))
        await deliveries.stub.UnsubscribePush(pb.UnsubscribePushRequest(holder="session:1"))
        assert not (await deliveries.stub.GetDelivery(pb.GetDeliveryRequest())).subscriptions
    await feed.tell(f"person-{bob}", identity.PersonLeft(person_id=bob))
    await feed.world.settle()
    assert await feed.world.store("feed").database.fetch("SELECT * FROM push_subscriptions") == []


async def test_endpoints_in_the_own_network_are_refused(tmp_path: Path) -> None:
    async with PushService.running() as push, feed_of(tmp_path) as feed:
        ann = await feed.person("ann")
        with refused(INVALID, field="endpoint"):
            await Deliveries(feed, push).device(ann)
        with refused(INVALID, "https", field="endpoint"):
            await Deliveries(feed, push).device(ann, endpoint="http://push.example.com/1")


async def test_what_belongs_to_an_erased_person_is_gone(deliveries: Deliveries) -> None:
    feed = deliveries.feed
    ann, bob = await deliveries.awake("ann"), await deliveries.awake("bob")
    await deliveries.device(ann)
    await deliveries.device(bob)
    await feed.tell(f"person-{ann}", identity.PersonErased(person_id=ann))
    await feed.world.settle()
    database = feed.world.store("feed").database
    for table in ("delivery_preferences", "push_subscriptions", "delivery_people"):
        assert [row["person_id"] for row in await database.fetch(f"SELECT person_id FROM {table}")] == [bob], table


# --- digests ----------------------------------------------------------------------------------------------------------


class Postman:
    """Takes letters, unless told otherwise."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.trouble: Exception | None = None

    async def deliver(self, letter: EmailMessage) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.letters.append(letter)


class Clocked:
    """Digests of a feed on another day."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.postman = Postman()
        servicer = next(each for _, each in feed.world.embedded.assemblies["feed"].servicers if hasattr(each, "StopDigest"))
        self.time = self.start = datetime.now(UTC)
        self.context = replace(servicer.context, now=lambda: self.time)
        for _, each in feed.world.embedded.assemblies["feed"].servicers:
            each.now = self.context.now
        self.digests = self.fresh()

    def fresh(self) -> Digests:
        return Digests(self.context, self.postman)

    def go_to(self, weekday: int, hour: int, minute: int = 0, week: int = 1) -> None:
        """A moment in the week after next, or so many weeks after that, UTC."""
        start = self.start.replace(hour=0, minute=0, second=0, microsecond=0)
        monday = start - timedelta(days=start.weekday()) + timedelta(weeks=week)
        self.time = monday + timedelta(days=weekday - 1, hours=hour, minutes=minute)

    async def outcomes(self) -> dict[str, str]:
        rows = await self.feed.world.store("feed").database.fetch("SELECT person_id, outcome FROM digest_slots")
        return {row["person_id"]: row["outcome"] for row in rows}


def text_of(letter: EmailMessage) -> str:
    parsed = BytesParser(policy=email.policy.default).parsebytes(bytes(letter))
    part = parsed.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


async def prepared(feed: Feed) -> tuple[Clocked, str, str]:
    """Ann with news, Bob without."""
    clocked = Clocked(feed)
    await clocked.digests.step()
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await feed.post(bob, "have a look @ann")
    return clocked, ann, bob


async def test_a_digest_comes_once_a_week_and_says_what_is_new(feed: Feed) -> None:
    clocked, ann, bob = await prepared(feed)
    clocked.go_to(1, 8, 59)
    await clocked.digests.step()
    assert clocked.postman.letters == []
    clocked.go_to(1, 9, 1)
    for digests in (clocked.digests, clocked.digests, clocked.fresh()):
        await digests.step()
    letter, = clocked.postman.letters
    assert (letter["To"], letter["Subject"]) == ("ann@example.com", "Your week: 1 for you")
    assert "Bob mentioned you" in text_of(letter)
    assert "have a look @ann" in text_of(letter)
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    parts = [part.get_content_type() for part in letter.iter_parts()]
    assert parts == ["text/plain", "text/html"]
    assert "<script" not in letter.as_string()
    assert await clocked.outcomes() == {ann: "sent", bob: "empty"}
    clocked.go_to(1, 12)
    await feed.post(bob, "again @ann")
    await clocked.digests.step()
    assert len(clocked.postman.letters) == 1
    clocked.go_to(1, 9, 1, week=2)
    await clocked.digests.step()
    assert len(clocked.postman.letters) == 2
    assert "have a look" not in text_of(clocked.postman.letters[1]), "what the last one told is not told again"


async def test_a_digest_follows_zone_hour_and_day(feed: Feed) -> None:
    clocked, ann, bob = await prepared(feed)
    profile = identity.Profile(email="ann@example.com", handle="ann", name="Ann", time_zone="Asia/Tokyo", languages=["de"])
    await feed.tell(f"person-{ann}", identity.PersonProfileChanged(person_id=ann, profile=profile))
    with feed.by(ann):
        stub = feed.world.stub(DeliveryServiceStub, "feed")
        wanted = events.DeliveryPreferences(rhythm=events.DIGEST_RHYTHM_DAILY, digest_hour=7)
        await stub.ChangeDelivery(pb.ChangeDeliveryRequest(preferences=wanted, update_mask=["rhythm", "digest_hour"]))
    clocked.go_to(1, 14)
    await feed.post(bob, "good evening @ann")
    clocked.go_to(1, 21, 59)  # 06:59 on Tuesday in Tokyo
    await clocked.digests.step()
    assert clocked.postman.letters == [], "what was due on Monday morning is too late by now"
    clocked.go_to(1, 22, 1)
    await clocked.digests.step()
    letter, = clocked.postman.letters
    assert letter["Subject"].startswith("Dein Tag")


async def test_a_mail_server_that_is_away_gets_it_later_and_once(feed: Feed) -> None:
    clocked, ann, _ = await prepared(feed)
    clocked.go_to(1, 9, 1)
    clocked.postman.trouble = ServerAway("it is away")
    await clocked.digests.step()
    assert (await clocked.outcomes())[ann] == "waiting"
    clocked.postman.trouble = None
    await clocked.digests.step()
    assert clocked.postman.letters == [], "not before the pause is over"
    clocked.time += timedelta(minutes=5)
    digests = clocked.fresh()
    await digests.step()
    await digests.step()
    assert [letter["To"] for letter in clocked.postman.letters] == ["ann@example.com"]
    clocked.go_to(1, 9, 1, week=2)
    await feed.post(ann, "@bob look")
    clocked.postman.trouble = LetterRefused("refused with 550", final=True)
    await digests.step()
    clocked.postman.trouble = None
    clocked.time += timedelta(hours=2)
    await digests.step()
    assert len(clocked.postman.letters) == 1, "what is refused for good is not tried again"


async def test_the_same_letter_after_a_crash_is_known_to_be_the_same(feed: Feed) -> None:
    clocked, _, _ = await prepared(feed)
    clocked.go_to(1, 9, 1)
    await clocked.digests.step()
    database = feed.world.store("feed").database
    async with database.transaction() as tx:  # as if it had ended before it could note anything
        await tx.execute("DELETE FROM digest_slots")
        await tx.execute("DELETE FROM digests_sent")
    await clocked.fresh().step()
    first, second = clocked.postman.letters
    assert first["Message-ID"] == second["Message-ID"]
    sent = [each.data for each in await feed.world.store("feed").tail(0, 1_000) if isinstance(each.data, events.DigestSent)]
    assert len(sent) == 1, "it is recorded once"
    async with database.transaction() as tx:
        slot = sent[0].slot_time.ToMicroseconds()
        await tx.execute(
            "INSERT INTO digests_sent (person_id, slot_time, send_time) VALUES (:p, :slot, :sent)", p=sent[0].person_id, slot=slot,
            sent=sent[0].send_time.ToMicroseconds(),
        )


async def test_nothing_of_what_is_gone_or_hidden_is_in_a_digest(feed: Feed) -> None:
    clocked, ann, bob = await prepared(feed)
    cem = await feed.person("cem")
    gone = await feed.post(cem, "to be deleted @ann")
    await feed.post(cem, "of somebody erased @ann")
    with feed.by(cem):
        await feed.stub.DeletePost(api.DeletePostRequest(post_id=gone.post_id))
    await feed.tell(f"person-{cem}", identity.PersonErased(person_id=cem))
    await feed.world.settle()
    secret = await feed.post(bob, "not for ann", people(bob))
    clocked.go_to(1, 9, 1)
    await clocked.digests.step()
    letter, = clocked.postman.letters
    whole = letter.as_string()
    assert "have a look" in whole
    for hidden in ("to be deleted", "somebody erased", "not for ann", secret.post_id):
        assert hidden not in whole
    assert ann


async def test_a_click_ends_digests_without_a_sign_in(feed: Feed) -> None:
    clocked, ann, _ = await prepared(feed)
    stub = feed.world.stub(DeliveryServiceStub, "feed")
    token = await clocked.digests.stop_token(ann)
    with feed.world.acting_for("gateway"):
        for wrong in ("", "x", token[:-3] + "abc", "A" * 43, "é" * 20):
            with refused(MISSING):
                await stub.StopDigest(pb.StopDigestRequest(token=wrong))
        for _ in range(2):
            await stub.StopDigest(pb.StopDigestRequest(token=token))
    with feed.by(ann):
        assert (await stub.GetDelivery(pb.GetDeliveryRequest())).preferences.rhythm == events.DIGEST_RHYTHM_NEVER
    clocked.go_to(1, 9, 1)
    await clocked.digests.step()
    assert clocked.postman.letters == []


async def test_a_preview_and_a_test_letter_say_the_same(feed: Feed) -> None:
    clocked, ann, _ = await prepared(feed)
    assert clocked
    stub = feed.world.stub(DeliveryServiceStub, "feed")
    with feed.by(ann):
        preview = await stub.PreviewDigest(pb.PreviewDigestRequest(language="de"))
        assert preview.subject == "Deine Woche: 1 für dich"
        sent = await stub.TestDigest(pb.TestDigestRequest(language="de"))
        assert (sent.subject, sent.text) == (preview.subject, preview.text)
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "a moment ago"):
            await stub.TestDigest(pb.TestDigestRequest())
    path, = (feed.world.embedded.settings.data / "mail").glob("*.eml")
    letter = BytesParser(policy=email.policy.default).parsebytes(path.read_bytes())
    assert letter["To"] == "ann@example.com"
    assert path.stat().st_mode & 0o077 == 0
