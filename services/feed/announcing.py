"""What announcements need beyond one append: publication in steps that a crash cannot leave half done, and telling very many people.

Publication is AnnouncementPrepared, then the audience in parts, then the post, then AnnouncementPublished. Each step is decided on what
stands in its own stream, so that doing all of them again changes nothing: `Announcing` does them for every AnnouncementPrepared, and goes
on after a crash where it was. The call that asked waits a second for it, and answers that it is under way where that is not enough. Telling
people goes the same way, in parts.
"""
from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.message import Message

from libs.eventstore.handle import handle
from libs.eventstore.model import Conflict, Metadata, NotFound, Recorded, Rejected, micros
from libs.proofs.merkle import MerkleRoot
from libs.runtime.service import Context
from libs.telemetry import logs
from libs.text.ids import pair_id
from libs.text.markdown import extract
from watercooler.feed.v1 import announcement_events_pb2 as events
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1.announcement_events_pb2 import (
    AnnouncementCorrected,
    AnnouncementEdited,
    AnnouncementPrepared,
    AnnouncementPublished,
    AnnouncementReminderAsked,
    AudienceFrozen,
)

from . import commands
from .commands import announcements as asked
from .deciders import announcement, audience, notice, post
from .queries import announcements as queries
from .queries import people as people_queries

DUE_AT_ONCE: Final = 20
# Between two parts others come first.
PAUSE_SECONDS: Final = 0.005
# So long does whoever publishes wait for the end of it.
WAIT_SECONDS: Final = 1.0
# A set time is looked for at least so often, whatever woke or did not wake the task.
LOOK_SECONDS: Final = 300.0

_log = logs.get_logger(__name__)


async def finish(context: Context, announcement_id: str, meta: Metadata) -> None:
    """Do what is left of a publication; nothing where it is done.

    People are read in pages, so that half a million of them stop nobody else: who comes or goes in these seconds may count or not.
    """
    found = await queries.standing(context.database, announcement_id)
    if found is None or found.published or found.erased:
        return
    count, digest = await _freeze(context, found, meta)
    await _publish_post(context, found, meta)
    command = asked.FinishPublication(
        announcement_id=announcement_id, audience_count=count, audience_digest=digest, now=context.now()
    )
    await handle(context.events, announcement, f"announcement-{announcement_id}", command, meta)


async def wait_until_published(context: Context, announcement_id: str) -> None:
    """Wait until `Announcing` has finished a publication, for a second at most."""
    waker = context.events.waker()
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                waker.clear()
                found = await queries.standing(context.database, announcement_id)
                if found is None or found.published:
                    return
                await waker.wait()
    except TimeoutError:
        return
    finally:
        context.events.dismiss(waker)


async def _freeze(context: Context, found: queries.Standing, meta: Metadata) -> tuple[int, str]:
    """Count the audience, one part an append; answers how many people it has and the Merkle root over their ids."""
    stream = f"audience-{found.announcement_id}"
    while True:
        state, tree = audience.initial(), MerkleRoot()
        for recorded in await context.events.read(stream):
            assert isinstance(recorded.data, audience.Event)
            state = audience.evolve(state, recorded.data)
            if isinstance(recorded.data, AudienceFrozen):
                tree.extend(recorded.data.person_ids)
        try:
            while not state.closed:
                ids = await queries.audience_page(
                    context.database, found.scope, found.scope_id, found.author_id, state.last_id, audience.PART_PEOPLE
                )
                command: asked.AudienceCommand = (
                    asked.FreezePart(announcement_id=found.announcement_id, person_ids=tuple(ids)) if ids
                    else asked.CloseAudience(announcement_id=found.announcement_id, digest=tree.root)
                )
                decided = audience.decide(command, state)
                await context.events.append(stream, state.parts, decided, meta)
                for event in decided:
                    state = audience.evolve(state, event)
                tree.extend(ids)
                await asyncio.sleep(PAUSE_SECONDS)
            return state.count, state.digest
        except Conflict:  # somebody else finishes the same publication: go on from what they did
            continue


async def _publish_post(context: Context, found: queries.Standing, meta: Metadata) -> None:
    body = announcement.post_body(found.title, found.body)
    mentioned_ids, tags = await _references(context, body)
    command = commands.PublishPost(
        post_id=found.announcement_id, author_id=found.author_id, body=body, language=found.language,
        audience=queries.audience_of(found.scope, found.scope_id), mentioned_ids=mentioned_ids, tags=tags, now=context.now(),
        kind=events_pb2.POST_KIND_ANNOUNCEMENT,
    )
    await handle(context.events, post, f"post-{found.announcement_id}", command, meta)


async def bring_post_up_to_date(context: Context, announcement_id: str, meta: Metadata) -> None:
    """Give the post the text of the newest version; nothing where it has it, or was deleted."""
    found = await queries.standing(context.database, announcement_id)
    if found is None or not found.published or found.erased or found.withdrawn:
        return
    body = announcement.post_body(found.title, found.body)
    mentioned_ids, tags = await _references(context, body)
    command = commands.EditPost(
        post_id=announcement_id, editor_id=found.author_id, body=body, language=found.language, mentioned_ids=mentioned_ids, tags=tags,
        now=context.now(),
    )
    await handle(context.events, post, f"post-{announcement_id}", command, meta)


async def _references(context: Context, body: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = extract(body)
    async with context.database.snapshot() as tx:
        mentioned = await people_queries.by_handle(tx, found.mentions[:post.MENTIONS]) if found.mentions else []
    return tuple(mentioned), tuple(found.hashtags[:post.TAGS])


async def tell(
    context: Context, announcement_id: str, occasion: events.AnnouncementNotice.ValueType, number: int, sender_id: str, meta: Metadata
) -> None:
    """Put an occasion among the notifications of everybody it concerns, once each, 1,000 people an append."""
    stream = f"notice-{pair_id(announcement_id, f'{occasion}-{number}')}"
    while True:
        state, version = notice.initial(), 0
        for recorded in await context.events.read(stream):
            assert isinstance(recorded.data, notice.Event)
            state, version = notice.evolve(state, recorded.data), recorded.version
        try:
            while not state.ended:
                found = await queries.standing(context.database, announcement_id)
                if found is None or found.withdrawn or found.erased:
                    return
                ids = await queries.concerned(context.database, found, occasion, number, state.last_id, notice.PART_PEOPLE)
                command: asked.NoticeCommand = (
                    asked.NotifyPart(
                        announcement_id=announcement_id, notice=occasion, number=number, sender_id=sender_id, person_ids=tuple(ids),
                        now=context.now(),
                    ) if ids else asked.EndNotice(announcement_id=announcement_id, notice=occasion, number=number)
                )
                decided = notice.decide(command, state)
                await context.events.append(stream, version, decided, meta)
                for event in decided:
                    state, version = notice.evolve(state, event), version + 1
                await asyncio.sleep(PAUSE_SECONDS)
            return
        except Conflict:
            continue


class Announcing:
    """Finishes publications and tells people, following the feed's own log. Doing it twice changes nothing."""

    name = "feed.announcing"
    handles: tuple[type[Message], ...] = (
        AnnouncementPrepared, AnnouncementPublished, AnnouncementEdited, AnnouncementCorrected, AnnouncementReminderAsked,
    )

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context

    async def react(self, event: Recorded) -> None:
        """Do what follows from the event."""
        context = self._context
        meta = Metadata(event.meta.actor_id, event.meta.correlation_id, event.id, event.meta.traceparent)
        match event.data:
            case AnnouncementPrepared() as prepared:
                await finish(context, prepared.announcement_id, meta)
            case AnnouncementPublished() as published:
                await tell(
                    context, published.announcement_id, events.ANNOUNCEMENT_NOTICE_PUBLISHED, 1, published.author_id, meta
                )
            case AnnouncementEdited() as edited:
                await bring_post_up_to_date(context, edited.announcement_id, meta)
            case AnnouncementCorrected() as corrected:
                await bring_post_up_to_date(context, corrected.announcement_id, meta)
                await tell(
                    context, corrected.announcement_id, events.ANNOUNCEMENT_NOTICE_CORRECTION, corrected.version, corrected.editor_id, meta
                )
            case AnnouncementReminderAsked() as reminder:
                await tell(
                    context, reminder.announcement_id, events.ANNOUNCEMENT_NOTICE_REMINDER, reminder.number, reminder.sender_id, meta
                )


class Reminders:
    """Asks for reminders when their set times come. What a standstill missed is asked for once, and only before the deadline."""

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context

    async def run(self) -> None:
        """Sleep until the next set time, or until something was appended, which may have set an earlier one."""
        waker = self._context.events.waker()
        try:
            while True:
                waker.clear()
                try:
                    await self.send_due()
                    following = await queries.next_reminder(self._context.database, micros(self._context.now()))
                except Exception:
                    _log.exception("reminders could not be sent; they are tried again in a moment")
                    following = 0
                await self._wait(waker, following)
        finally:
            self._context.events.dismiss(waker)

    async def _wait(self, waker: asyncio.Event, following: int) -> None:
        left = (following - micros(self._context.now())) / 1_000_000 if following else LOOK_SECONDS
        try:
            async with asyncio.timeout(max(0.05, min(left, LOOK_SECONDS))):
                await waker.wait()
                await asyncio.sleep(1)  # a busy log wakes all the time: once a second is enough
        except TimeoutError:
            pass

    async def send_due(self) -> int:
        """Ask for each reminder whose time has come; answers how many were."""
        context, sent = self._context, 0
        now = context.now()
        while rows := await queries.due_reminders(context.database, micros(now), DUE_AT_ONCE):
            for row in rows:
                latest = max(int(moment) for moment in row["remind_times"].split() if int(moment) <= micros(now))
                command = asked.AskReminder(
                    announcement_id=row["announcement_id"], sender_id=row["author_id"], now=now,
                    set_time=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=latest),
                )
                try:
                    await handle(
                        context.events, announcement, f"announcement-{row['announcement_id']}", command, Metadata("service:feed")
                    )
                    sent += 1
                except (Rejected, NotFound):
                    _log.exception("a reminder is not sent", announcement_id=row["announcement_id"])
                    return sent
        return sent
