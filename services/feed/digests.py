"""Digests: one letter instead of many, once for each time it is due.

What is due follows from the clock and the preferences, so nothing is lost while nobody runs. A digest is written when it is sent, from what
its reader may see then. `DigestSent` is recorded after the mail server has taken the letter: a crash between the two leads to a second copy
with the same Message-ID. Every other way leads to one copy.
"""
from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from libs.db.database import Transaction
from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, micros
from libs.mail.letters import Carrier, LetterFolder, LetterRefused, MailServer, ServerAway
from libs.runtime.service import Context
from libs.runtime.settings import Settings
from libs.telemetry import logs, metrics
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.delivery_events_pb2 import DIGEST_RHYTHM_DAILY
from watercooler.feed.v1.reading_events_pb2 import FILTER_CONTEXT_NOTIFICATIONS

from .calm import defaults, digest_span, is_late, latest_slot, may_send, zone_of
from .commands.delivery import NoteDigest
from .deciders import delivery as decider
from .mail.digest import Content, Written, letter, write
from .mail.texts import language_of
from .queries import delivery as queries
from .queries.delivery import EVERYTHING, Reached, Rhythm
from .queries.notifications import list_notifications
from .queries.people import fetch_person
from .queries.posts import fetch_posts
from .queries.ranking import best_since
from .queries.reading import fetch_shade

NOTIFICATIONS_SHOWN: Final = 15
NOTIFICATIONS_COUNTED: Final = 200
POSTS_SHOWN: Final = 5
ANNOUNCEMENTS_SHOWN: Final = 5
PEOPLE_AT_ONCE: Final = 50
LOOK_SECONDS: Final = 60.0
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=2), timedelta(hours=1)
_STOP_KEY: Final = "unsubscribe"
_SINCE_KEY: Final = "digests_since"
_MARK_BYTES: Final = 16

_log = logs.get_logger(__name__)


def carrier_of(settings: Settings) -> Carrier:
    """A mail server where the settings name one, else files in the folder `mail`."""
    return MailServer(settings.smtp_url) if settings.smtp_url else LetterFolder(settings.data / "mail")


class Digests:
    """Writes and sends digests."""

    def __init__(self, context: Context, carrier: Carrier) -> None:
        """For the running service."""
        self._context = context
        self._carrier = carrier
        # By rhythm the slot that everybody had; what is chosen later holds for later slots.
        self._served: dict[Rhythm, int] = {}
        self._stop_key = b""

    # --- what a digest says -------------------------------------------------------------------------------------------

    async def content(self, tx: Transaction, reached: Reached, since: datetime, now: datetime) -> Content:
        """What a person would be told, of what they may see now."""
        caller, now_micros = reached.caller, micros(now)
        shade = await fetch_shade(tx, caller, now_micros, FILTER_CONTEXT_NOTIFICATIONS)
        wanted = {each.kind for each in reached.preferences.kinds if each.digest}
        unread = [
            each for each in await list_notifications(tx, caller, EVERYTHING, NOTIFICATIONS_COUNTED, True, shade)
            if each.kind in wanted and each.notify_time.ToMicroseconds() > micros(since)
        ]
        waiting = await queries.unconfirmed(tx, reached.person_id, ANNOUNCEMENTS_SHOWN)
        found = await fetch_posts(tx, caller, waiting, hidden=False)
        announcements = [found[post_id] for post_id in waiting if post_id in found]
        told = {post.post_id for post in announcements}
        questions = [each for each in unread if each.kind == api.NOTIFICATION_KIND_QUESTION]
        others = [each for each in unread if each.kind != api.NOTIFICATION_KIND_QUESTION and each.post.post_id not in told]
        told |= {each.post.post_id for each in (*questions, *others)}
        best = await best_since(tx, caller, micros(since), now_micros, POSTS_SHOWN + len(told))
        row = await fetch_person(tx, reached.person_id)
        return Content(
            name=api.Author.FromString(bytes(row["card"])).display_name if row else "", since=since.astimezone(reached.zone),
            daily=reached.preferences.rhythm == DIGEST_RHYTHM_DAILY, announcements=announcements, questions=questions[:NOTIFICATIONS_SHOWN],
            notifications=others[:NOTIFICATIONS_SHOWN],
            more_notifications=max(0, len(others) - NOTIFICATIONS_SHOWN) + max(0, len(questions) - NOTIFICATIONS_SHOWN),
            posts=[(post, reasons) for post, reasons in best if post.post_id not in told][:POSTS_SHOWN],
        )

    async def written(self, reached: Reached, now: datetime, language: str = "") -> tuple[Content, Written, str]:
        """The digest of a person as it would be now, and the address that ends their digests."""
        since = now - digest_span(reached.preferences.rhythm)
        if reached.last_sent:
            since = max(since, datetime.fromtimestamp(reached.last_sent / 1_000_000, UTC))
        async with self._context.database.snapshot() as tx:
            content = await self.content(tx, reached, since, now)
        stop = await self.stop_url(reached.person_id)
        spoken = language_of(language, reached.preferences.language, *reached.languages)
        return content, await asyncio.to_thread(write, content, spoken, self._context.settings.address, stop), stop

    async def deliver(self, reached: Reached, written: Written, stop: str, message_id: str, now: datetime) -> None:
        """Hand a digest to the mail server. Raises LetterRefused, ServerAway."""
        settings = self._context.settings
        sender = settings.mail_sender or f"watercooler@{urlsplit(settings.address).hostname or 'localhost'}"
        try:
            made = letter(written, sender=sender, to=reached.email, message_id=message_id, now=now, stop_url=stop)
        except ValueError as error:
            raise LetterRefused("its address cannot be written", final=True) from error
        await self._carrier.deliver(made)

    # --- ending them by the link of a letter ------------------------------------------------------------------------------

    async def stop_url(self, person_id: str) -> str:
        """Where a mail program ends a person's digests without a sign-in (RFC 8058)."""
        return f"{self._context.settings.address}/digests/stop?token={await self.stop_token(person_id)}"

    async def stop_token(self, person_id: str) -> str:
        """What only a digest holds: the person and our mark on it, without an end, as letters are kept for long."""
        name = UUID(person_id).bytes
        return base64.urlsafe_b64encode(name + await self._mark(name)).rstrip(b"=").decode()

    async def stopped_by(self, token: str) -> str:
        """Whose digests a token ends; empty for one that is not ours."""
        try:
            whole = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)) if len(token) <= 100 else b""
        except (ValueError, binascii.Error):
            return ""
        name, mark = whole[:16], whole[16:]
        if len(name) != 16 or not hmac.compare_digest(mark, await self._mark(name)):
            return ""
        return str(UUID(bytes=name))

    async def _mark(self, name: bytes) -> bytes:
        if not self._stop_key:
            kept = await queries.read_key(self._context.database, _STOP_KEY)
            if not kept:
                async with self._context.database.transaction() as tx:
                    kept = await queries.keep_key(tx, _STOP_KEY, secrets.token_urlsafe(32))
            self._stop_key = kept.encode()
        return hmac.digest(self._stop_key, b"digest\0" + name, hashlib.sha256)[:_MARK_BYTES]

    # --- when they are due --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        while True:
            try:
                await self.step()
            except Exception:
                _log.exception("digests wait")
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await asyncio.Event().wait()

    async def step(self) -> None:
        """Send every digest that is due, a few people at a time; where the mail server is away the rest waits with the first."""
        database, now = self._context.database, self._context.now()
        began = await queries.read_key(database, _SINCE_KEY)
        if not began:  # what was due before there were digests is not sent
            async with database.transaction() as tx:
                began = await queries.keep_key(tx, _SINCE_KEY, str(micros(now)))
        standing = defaults()
        usual = Rhythm(standing.rhythm, standing.digest_hour, standing.digest_day, "")
        retried = 0 < await queries.next_try_time(database) <= micros(now)
        for rhythm in await queries.rhythms(database, usual.rhythm, usual.hour, usual.weekday):
            slot = latest_slot(rhythm.rhythm, rhythm.hour, rhythm.weekday, zone_of(rhythm.time_zone), now)  # type: ignore[arg-type]
            if slot is None or micros(slot) <= int(began) or is_late(slot, rhythm.rhythm, now):  # type: ignore[arg-type]
                continue
            if self._served.get(rhythm) == micros(slot) and not retried:
                continue
            while True:
                people = await queries.due_people(database, rhythm, usual, micros(slot), micros(now), PEOPLE_AT_ONCE)
                reached = await queries.fetch_reached(database, people)
                for person_id in people:
                    if not await self._serve(reached.get(person_id), person_id, slot, now):
                        return
                if len(people) < PEOPLE_AT_ONCE:
                    break
            self._served[rhythm] = micros(slot)

    async def _serve(self, reached: Reached | None, person_id: str, slot: datetime, now: datetime) -> bool:
        """Send one person the digest of a slot; whether others can be sent too."""
        database = self._context.database
        outcome, tries, try_time, goes_on = "skipped", 0, 0, True
        last_slot = datetime.fromtimestamp(reached.last_slot / 1_000_000, UTC) if reached and reached.last_slot else None
        last_sent = datetime.fromtimestamp(reached.last_sent / 1_000_000, UTC) if reached and reached.last_sent else None
        if reached is not None and may_send(slot, last_slot, last_sent, reached.zone, now):
            content, written, stop = await self.written(reached, now)
            if content.is_empty:
                outcome = "empty"
            else:
                try:
                    await self.deliver(reached, written, stop, f"digest-{person_id}-{int(slot.timestamp())}", now)
                except (ServerAway, LetterRefused) as error:
                    final = isinstance(error, LetterRefused) and error.final
                    outcome = "refused" if final else "waiting"
                    goes_on = isinstance(error, LetterRefused)
                    kept = await queries.fetch_slot(database, person_id)
                    tries = kept["tries"] + 1 if kept and kept["slot_time"] == micros(slot) else 1
                    try_time = micros(now + min(FIRST_PAUSE * 2 ** min(tries - 1, 10), LONGEST_PAUSE))
                    _log.warning("digest waits" if not final else "digest refused", person_id=person_id, reason=str(error), tries=tries)
                else:
                    outcome = "sent"
                    command = NoteDigest(
                        person_id=person_id, slot=slot, now=now, notification_count=content.notification_count,
                        post_count=len(content.posts),
                    )
                    await handle(self._context.events, decider, f"delivery-{person_id}", command, Metadata("service:feed"))
        metrics.DIGESTS.labels(outcome="delayed" if outcome == "waiting" else outcome).inc()
        async with database.transaction() as tx:
            await queries.settle_slot(tx, person_id, micros(slot), outcome, tries, try_time)
        return goes_on
