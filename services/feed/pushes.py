"""Pushes to devices: what the log caused waits in a table, and goes out when it suits its reader.

An event's notifications are queued once, with the checkpoint, and looked at again when they are sent: what was read, taken back, muted or
is not to be seen any more is dropped. In quiet hours it waits; past the day's budget it is left to the digest. Several at once become one.
"""
from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from google.protobuf.message import Message

from libs.db.database import Row
from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, Recorded, micros
from libs.push.messages import CONTENT_BYTES, SigningKey
from libs.push.sender import Device, Outcome, PushSender, Sent, Urgency, topic_of
from libs.runtime.service import Context
from libs.subscriptions.consumers import Parking, fence, read_checkpoint, write_checkpoint
from libs.telemetry import logs, metrics
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.delivery_events_pb2 import PUSH_END_GONE, PUSH_END_SIGNED_OUT, PUSH_FORMAT_MASTODON, PushEnd
from watercooler.feed.v1.reading_events_pb2 import FILTER_CONTEXT_NOTIFICATIONS
from watercooler.identity.v1 import events_pb2 as identity

from .calm import PAST_BUDGET, day_number, quiet_until
from .commands.delivery import UnsubscribePush
from .deciders import delivery as decider
from .mail.digest import path_of, words_of
from .mail.texts import language_of, say, title
from .queries import delivery as queries
from .queries.delivery import EVERYTHING, Reached
from .queries.notifications import list_notifications
from .queries.reading import fetch_shade

# More of one person's that are due together are said in one.
ONE_BY_ONE: Final = 3
UNREAD_LOOKED_AT: Final = 200
QUEUED_AT_ONCE: Final = 500
SENT_AT_ONCE: Final = 300
SENDING_AT_ONCE: Final = 20
LOOK_SECONDS: Final = 30.0
# Positions between two checkpoints while nothing is queued: so much of the log is read again after a crash, without effect.
UNSAVED: Final = 1_000
TRIES: Final = 6
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
# What is older is no news: it stands in the app and in the digest.
KEPT: Final = timedelta(hours=24)
TTL_SECONDS: Final = 86_400
BODY_CHARACTERS: Final = 160
KEY_NAME: Final = "vapid"

_URGENT = frozenset({
    api.NOTIFICATION_KIND_DIRECT, api.NOTIFICATION_KIND_MENTION, api.NOTIFICATION_KIND_ANNOUNCEMENT, api.NOTIFICATION_KIND_CORRECTION,
})
_QUIET = frozenset({api.NOTIFICATION_KIND_REACTION, api.NOTIFICATION_KIND_FOLLOW, api.NOTIFICATION_KIND_REPOST})
# The names that clients of the Mastodon API know; others are shown by their title.
MASTODON_TYPES: Final[Mapping[int, str]] = {
    api.NOTIFICATION_KIND_MENTION: "mention", api.NOTIFICATION_KIND_REPLY: "mention", api.NOTIFICATION_KIND_DIRECT: "mention",
    api.NOTIFICATION_KIND_PRAISE: "mention", api.NOTIFICATION_KIND_QUESTION: "mention", api.NOTIFICATION_KIND_BEST_ANSWER: "favourite",
    api.NOTIFICATION_KIND_REACTION: "favourite", api.NOTIFICATION_KIND_FOLLOW: "follow",
    api.NOTIFICATION_KIND_JOIN_REQUEST: "follow_request", api.NOTIFICATION_KIND_JOINED: "follow",
    api.NOTIFICATION_KIND_REPOST: "reblog", api.NOTIFICATION_KIND_QUOTE: "quote",
    api.NOTIFICATION_KIND_POLL: "poll", api.NOTIFICATION_KIND_POST: "status", api.NOTIFICATION_KIND_ANNOUNCEMENT: "status",
    api.NOTIFICATION_KIND_REMINDER: "status", api.NOTIFICATION_KIND_CORRECTION: "update", api.NOTIFICATION_KIND_EDIT: "update",
    api.NOTIFICATION_KIND_DECISION: "update", api.NOTIFICATION_KIND_MODERATION: "admin.report",
    api.NOTIFICATION_KIND_DRAFT: "status", api.NOTIFICATION_KIND_WEBHOOK: "status",
}

_log = logs.get_logger(__name__)


class PushKeys:
    """The key by which push services know this deployment: made once, kept in the database, the same for every process."""

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context
        self._sender: PushSender | None = None
        self.public = b""

    async def sender(self) -> PushSender:
        """Sends under the key, which is made where there is none yet."""
        if self._sender is None:
            kept = await queries.read_key(self._context.database, KEY_NAME)
            if not kept:
                async with self._context.database.transaction() as tx:
                    kept = await queries.keep_key(tx, KEY_NAME, SigningKey.new().text)
            key, settings = SigningKey.read(kept), self._context.settings
            self.public = key.public
            host = urlsplit(settings.address).hostname or "localhost"
            mail = settings.mail_sender or f"watercooler@{host}"
            contact = settings.address if settings.address.startswith("https://") else f"mailto:{mail}"
            private = frozenset(each for each in settings.private_hosts.split(",") if each)
            self._sender = PushSender(key, contact, self._context.now, private)
        return self._sender


class PushQueue(Parking):
    """Queues what the log caused for people with devices. Follows every event, and looks at none: their notifications say it all."""

    name = "feed.pushes"
    handles: tuple[type[Message], ...] | None = None
    linger_seconds = 0.0
    every_process = False

    def __init__(self, context: Context, wake: asyncio.Event) -> None:
        """Sets `wake` when something waits."""
        super().__init__(self.name, context.database)
        self._context = context
        self._wake = wake
        self._done: int | None = None
        self._saved = 0

    async def checkpoint(self, source: str) -> int | None:
        """Up to where everything is queued."""
        self._done = await read_checkpoint(self.database, self.name, source)
        self._saved = self._done or 0
        return self._done

    async def start(self, source: str, head: int) -> int:
        """From now: what was before is no news."""
        return head

    async def take(self, source: str, events: Sequence[Recorded], position: int) -> None:
        """Queue what the positions up to this one caused, with the checkpoint; where that is nothing, remember it in memory."""
        if self._done is None:
            self._done = position
            await self._save(source, (), position)
            return
        while self._done < position:
            rows = await queries.caused(self.database, self._done, position, QUEUED_AT_ONCE)
            # A position cut in two is read again as a whole; what was queued of it is not queued twice.
            until = rows[-1]["position"] - 1 if len(rows) == QUEUED_AT_ONCE and rows[-1]["position"] > rows[0]["position"] else position
            taken = [row for row in rows if row["position"] <= until]
            if taken or until - self._saved >= UNSAVED:
                await self._save(source, taken, until)
            self._done = until

    async def _save(self, source: str, rows: Sequence[Row], position: int) -> None:
        async with self.database.transaction() as tx:
            await fence(tx, self.name)
            stored = await read_checkpoint(tx, self.name, source)
            if stored is None or position > stored:
                await queries.queue(tx, rows, micros(self._context.now()))
                await write_checkpoint(tx, self.name, source, position)
        self._saved = position
        if rows:
            self._wake.set()

    async def park(self, source: str, event: Recorded, reason: str) -> None:
        """Set the event's stream aside."""
        async with self.database.transaction() as tx:
            await self.set_aside(tx, source, event, reason)

    async def unpark(self, source: str, stream: str, events: Sequence[Recorded]) -> None:
        """Queue what the events caused."""
        rows = [row for event in events for row in await queries.caused(self.database, event.position - 1, event.position, QUEUED_AT_ONCE)]
        async with self.database.transaction() as tx:
            await queries.queue(tx, rows, micros(self._context.now()))
            await self.forget(tx, source, stream)


class Pushing:
    """Sends what waits, in the one process that works for the service."""

    def __init__(self, context: Context, keys: PushKeys) -> None:
        """For the running service."""
        self._context = context
        self._keys = keys
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        while True:
            self.wake.clear()
            pause = LOOK_SECONDS
            try:
                while await self.step():
                    pass
                metrics.PUSHES_WAITING.set(await queries.count_pushes(self._context.database))
                due = await queries.next_push_time(self._context.database)
                if due:
                    pause = min(LOOK_SECONDS, max(0.5, (due - micros(self._context.now())) / 1_000_000))
            except Exception:
                _log.exception("pushes wait")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.wake.wait()

    async def step(self) -> bool:
        """Send what is due now, as far as one go takes it; whether there may be more."""
        now = self._context.now()
        due = await queries.due_pushes(self._context.database, micros(now), SENT_AT_ONCE)
        if not due:
            return False
        people = list(dict.fromkeys(row["person_id"] for row in due))
        reached = await queries.fetch_reached(self._context.database, people)
        devices: dict[str, dict[str, Row]] = {}
        for row in await queries.fetch_devices(self._context.database, people):
            devices.setdefault(row["person_id"], {})[row["subscription_id"]] = row
        limit = asyncio.Semaphore(SENDING_AT_ONCE)

        async def one(person_id: str) -> None:
            async with limit:
                waiting = [row for row in due if row["person_id"] == person_id]
                await self._serve(reached.get(person_id), devices.get(person_id, {}), waiting, now)

        async with asyncio.TaskGroup() as group:
            for person_id in people:
                group.create_task(one(person_id))
        return len(due) == SENT_AT_ONCE

    async def _serve(self, reached: Reached | None, devices: Mapping[str, Row], waiting: list[Row], now: datetime) -> None:
        """One person's pushes that are due."""
        database = self._context.database
        if reached is not None:
            quiet = quiet_until(reached.preferences.quiet_hours, reached.zone, now)
            if quiet is not None:
                async with database.transaction() as tx:
                    await queries.delay_pushes(tx, waiting, micros(quiet), tried=False)
                return
        fresh = micros(now - KEPT)
        wanted = [row for row in waiting if reached is not None and row["subscription_id"] in devices and row["queue_time"] >= fresh]
        pushed = {each.kind for each in reached.preferences.kinds if each.push} if reached is not None else set()
        groups: dict[tuple[int, int], api.Notification] = {}
        if wanted and reached is not None:
            async with database.snapshot() as tx:
                shade = await fetch_shade(tx, reached.caller, micros(now), FILTER_CONTEXT_NOTIFICATIONS)
                found = await list_notifications(tx, reached.caller, EVERYTHING, UNREAD_LOOKED_AT, True, shade)
            groups = {(each.position, each.kind): each for each in found}
        settled = [row for row in waiting if row not in wanted]
        by_device: dict[str, list[tuple[Row, api.Notification]]] = {}
        strangers = await self._strangers(reached, devices, groups) if reached is not None else {}
        for row in sorted(wanted, key=lambda each: -each["position"]):
            notification = groups.get((row["position"], row["kind"]))
            device = devices[row["subscription_id"]]
            if notification is None or not _asked_for(device, notification, pushed, strangers.get(device["policy"], frozenset())):
                settled.append(row)
            else:
                by_device.setdefault(row["subscription_id"], []).append((row, notification))
        if by_device and reached is not None:
            settled += await self._spend(reached, by_device, now)
            for subscription_id, rows in by_device.items():
                settled += await self._send(reached, devices[subscription_id], rows, now)
        async with database.transaction() as tx:
            await queries.drop_pushes(tx, settled)

    async def _strangers(
        self, reached: Reached, devices: Mapping[str, Row], groups: Mapping[Any, api.Notification]
    ) -> Mapping[str, Collection[str]]:
        """By policy, who did something and is left out by it; asked only where a device has such a policy."""
        if not {"followed", "follower"} & {device["policy"] for device in devices.values()}:
            return {}
        actors = {actor.person_id for each in groups.values() for actor in each.actors}
        followed, followers = await queries.follows_between(self._context.database, reached.person_id, sorted(actors))
        return {"followed": actors - followed, "follower": actors - followers}

    async def _spend(self, reached: Reached, by_device: dict[str, list[tuple[Row, api.Notification]]], now: datetime) -> list[Row]:
        """Take what the budget does not allow out of `by_device`; it is left to the digest. A push counts once for all devices."""
        day, budget = day_number(reached.zone, now), reached.preferences.pushes_per_day
        spent = before = await queries.spent(self._context.database, reached.person_id, day)
        over: list[Row] = []
        allowed: set[tuple[int, int]] = set()
        refused: set[tuple[int, int]] = set()
        for rows in by_device.values():
            summed_up = len(rows) > ONE_BY_ONE
            counted = False
            for row, notification in rows:
                key = (notification.position, notification.kind)
                if notification.kind in PAST_BUDGET or row["tries"] or key in allowed:
                    continue
                if key in refused or (spent >= budget and not counted):
                    refused.add(key)
                    over.append(row)
                    continue
                allowed.add(key)
                if not counted:
                    spent += 1
                counted = counted or summed_up
        for subscription_id in list(by_device):
            by_device[subscription_id] = [pair for pair in by_device[subscription_id] if pair[0] not in over]
            if not by_device[subscription_id]:
                del by_device[subscription_id]
        if spent != before:
            async with self._context.database.transaction() as tx:
                await queries.spend(tx, reached.person_id, day, spent)
        if over:
            metrics.PUSHES.labels(outcome="over_budget").inc(len(over))
        return over

    async def _send(
        self, reached: Reached, device: Row, rows: list[tuple[Row, api.Notification]], now: datetime
    ) -> list[Row]:
        """Send to one device; answers what is done with, one way or the other."""
        language = language_of(reached.preferences.language, *reached.languages)
        parts = [(rows, rows[0][1], False)] if len(rows) > ONE_BY_ONE else [([pair], pair[1], True) for pair in reversed(rows)]
        done: list[Row] = []
        for part, notification, alone in parts:
            settings = self._context.settings
            content = payload(device, notification, language, settings.address, 0 if alone else len(part))
            urgency: Urgency = "high" if notification.kind in _URGENT else "low" if notification.kind in _QUIET else "normal"
            sent = await self._hand_over(device, content, urgency, topic_of(notification.notification_id if alone else "several"))
            metrics.PUSHES.labels(outcome=sent.outcome.value).inc()
            mine = [row for row, _ in part]
            if sent.outcome is Outcome.GONE:
                await end_device(self._context, reached.person_id, device["subscription_id"], PUSH_END_GONE)
                return [row for row, _ in rows]
            if sent.outcome is Outcome.LATER and mine[0]["tries"] + 1 < TRIES:
                pause = max(timedelta(seconds=sent.pause_seconds), min(FIRST_PAUSE * 2 ** mine[0]["tries"], LONGEST_PAUSE))
                async with self._context.database.transaction() as tx:
                    await queries.delay_pushes(tx, mine, micros(now + pause), tried=True)
                continue
            if sent.outcome is not Outcome.SENT:
                _log.warning("push given up", subscription_id=device["subscription_id"], reason=sent.reason)
            done += mine
        return done

    async def _hand_over(self, device: Row, content: bytes, urgency: Urgency, topic: str) -> Sent:
        sender = await self._keys.sender()
        address = Device(device["endpoint"], bytes(device["public_key"]), bytes(device["secret"]))
        return await sender.send(address, content, ttl_seconds=TTL_SECONDS, urgency=urgency, topic=topic)

    async def test(self, reached: Reached) -> tuple[int, int]:
        """Send a test to each of a person's devices, whatever the hour; answers how many were sent to, and how many failed."""
        language = language_of(reached.preferences.language, *reached.languages)
        sent = failed = 0
        for device in await queries.fetch_devices(self._context.database, [reached.person_id]):
            words = (say(language, "A test"), say(language, "Pushes reach this device."))
            content = _message(device, *words, "/settings/notifications", "test", language, 0, "mention")
            result = await self._hand_over(device, content, "high", "")
            if result.outcome is Outcome.GONE:
                await end_device(self._context, reached.person_id, device["subscription_id"], PUSH_END_GONE)
            sent, failed = (sent + 1, failed) if result.outcome is Outcome.SENT else (sent, failed + 1)
        return sent, failed


def _asked_for(device: Row, notification: api.Notification, pushed: set[Any], strangers: Collection[str]) -> bool:
    """A device that names kinds gets those; one that names none what the preferences push. From whom is the device's own choice."""
    kinds = {int(kind) for kind in device["kinds"].split()}
    if device["policy"] == "none" or any(actor.person_id in strangers for actor in notification.actors[:1]):
        return False
    return notification.kind in (kinds or pushed)


def payload(device: Row, notification: api.Notification, language: str, address: str, several: int) -> bytes:
    """What a push says; `several` is how many it stands for, 0 for one alone."""
    if several:
        words = (say(language, "{count} new notifications", count=several), title(language, notification))
        return _message(device, *words, "/notifications", "several", language, notification.position, _type_of(notification), address)
    body = words_of(notification.post, BODY_CHARACTERS) if notification.HasField("post") else ""
    return _message(
        device, title(language, notification), body, path_of(notification), notification.notification_id, language, notification.position,
        _type_of(notification), address,
    )


def _type_of(notification: api.Notification) -> str:
    return MASTODON_TYPES.get(notification.kind, "mention")


def _message(
    device: Row, heading: str, body: str, path: str, tag: str, language: str, position: int, kind: str, address: str = ""
) -> bytes:
    if device["format"] == PUSH_FORMAT_MASTODON:
        content = {
            "access_token": device["client_token"], "preferred_locale": language, "notification_id": str(position),
            "notification_type": kind, "icon": f"{address}/favicon.ico", "title": heading, "body": body,
        }
    else:
        content = {"title": heading, "body": body, "url": path, "tag": tag, "language": language}
    made = json.dumps(content, ensure_ascii=False).encode()
    if len(made) > CONTENT_BYTES:  # names and excerpts are short; only many bytes a character lead here
        made = json.dumps({**content, "body": "", "title": heading[:100]}, ensure_ascii=False).encode()
    return made


async def end_device(context: Context, person_id: str, subscription_id: str, reason: PushEnd.ValueType) -> None:
    """Send nothing to a device any more; doing it twice changes nothing."""
    command = UnsubscribePush(person_id=person_id, subscription_id=subscription_id, reason=reason, now=context.now())
    await handle(context.events, decider, f"delivery-{person_id}", command, Metadata("service:feed"))


class SigningOut:
    """Ends the devices of access tokens that are revoked, and of people who leave. Doing it twice changes nothing."""

    name = "feed.signing_out"
    handles: tuple[type[Message], ...] = (identity.AccessTokenRevoked, identity.PersonLeft)

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context

    async def react(self, event: Recorded) -> None:
        """End what belonged to the token, or to the person."""
        match event.data:
            case identity.AccessTokenRevoked() as revoked:
                rows = await queries.devices_held(self._context.database, f"token:{revoked.token_id}")
            case identity.PersonLeft() as left:
                rows = await queries.fetch_devices(self._context.database, [left.person_id])
            case _:
                rows = []
        for row in rows:
            await end_device(self._context, row["person_id"], row["subscription_id"], PUSH_END_SIGNED_OUT)
