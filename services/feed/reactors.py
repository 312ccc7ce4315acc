"""What the feed does of its own accord."""
from __future__ import annotations

import asyncio
import time

from google.protobuf.message import Message

from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, Recorded, micros
from libs.runtime.service import Context
from libs.telemetry import logs, metrics
from watercooler.feed.v1.events_pb2 import AuthorErased, LinkPreviewed, PostDeleted, PostEdited, PostPublished
from watercooler.feed.v1.moderation_events_pb2 import KeptPostDiscarded
from watercooler.identity.v1.events_pb2 import PersonErased

from .commands import EraseAuthor
from .deciders import author
from .queries import activity, announcements, engagement, files

GAUGE_SECONDS = 60.0
# The pause after measuring is at least so many times as long as the measuring took.
BUSY_SHARE = 20
SWEPT_AT_ONCE = 500

_log = logs.get_logger(__name__)


class Erasing:
    """Records in the feed's own log that identity erased a person, which scrubs the read models. Doing it twice changes nothing."""

    name = "feed.erasing"
    handles: tuple[type[Message], ...] = (PersonErased,)

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context

    async def react(self, event: Recorded) -> None:
        """Erase the author."""
        erased = event.data
        assert isinstance(erased, PersonErased)
        async with self._context.database.transaction() as tx:  # once the author is erased nobody knows which they were
            await files.discard(tx, await files.files_of(tx, erased.person_id))
        await handle(
            self._context.events, author, f"author-{erased.person_id}",
            EraseAuthor(person_id=erased.person_id, now=erased.erase_time.ToDatetime(event.time.tzinfo)),
            Metadata("service:feed", event.meta.correlation_id, event.id, event.meta.traceparent),
        )


class Clearing:
    """Notes the files of deleted posts for `Sweeping`, which may have to wait: until then their author may be erased."""

    name = "feed.clearing"
    handles: tuple[type[Message], ...] = (PostDeleted, KeptPostDiscarded)

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context

    async def react(self, event: Recorded) -> None:
        """Note the files of every version of the post."""
        await _discard(self._context, event)


class Sweeping:
    """Deletes the files of deleted posts and erased people, as far as nothing else shows them. Doing it twice changes nothing.

    Where the store is away this waits, and nothing else does: what is to be deleted is noted and stays so until it is gone.
    """

    name = "feed.sweeping"
    handles: tuple[type[Message], ...] = (PostDeleted, KeptPostDiscarded, AuthorErased)

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context

    async def react(self, event: Recorded) -> None:
        """Delete everything that is noted. Raises BlobStoreFailed where the store cannot do it now."""
        if isinstance(event.data, PostDeleted | KeptPostDiscarded):
            await _discard(self._context, event)
        database, after = self._context.database, ""
        while page := await files.discarded(database, after, SWEPT_AT_ONCE):
            after = page[-1]
            for blob_id in sorted(await files.unused(database, page)):
                await self._context.blobs.delete(blob_id)
                async with database.transaction() as tx:
                    await files.settle(tx, blob_id)


async def _discard(context: Context, event: Recorded) -> None:
    deleted = event.data
    assert isinstance(deleted, PostDeleted | KeptPostDiscarded)
    if isinstance(deleted, PostDeleted) and deleted.kept:
        return  # it is put aside with its files
    written = [each.data for each in await context.events.read(f"post-{deleted.post_id}")]
    versions = [data for data in written if isinstance(data, PostPublished | PostEdited)]
    blob_ids = {attachment.blob_id for version in versions for attachment in version.attachments}
    blob_ids |= {data.preview.image_blob_id for data in written if isinstance(data, LinkPreviewed) and data.preview.image_blob_id}
    if blob_ids:
        async with context.database.transaction() as tx:
            await files.discard(tx, blob_ids)


async def gauge_engagement(context: Context) -> None:
    """Keep the gauges of engagement current, once a minute, and never for more than a twentieth of the time.

    Who stops, or is no longer the one that measures, shows 0 instead of what was: the rules take the largest of all replicas.
    """
    try:
        while True:
            began = time.monotonic()
            try:
                await _measure(context)
            except Exception:
                _log.exception("engagement could not be measured; the next minute tries again")
            await asyncio.sleep(max(GAUGE_SECONDS, BUSY_SHARE * (time.monotonic() - began)))
    finally:
        for gauge in _GAUGES:
            gauge.set(0)


async def _measure(context: Context) -> None:
    now = micros(context.now())
    async with context.database.snapshot() as tx:
        metrics.ACTIVE_PEOPLE.labels(window="day").set(await activity.active_people(tx, now, 1))
        metrics.ACTIVE_PEOPLE.labels(window="week").set(await activity.active_people(tx, now, 7))
    async with context.database.snapshot() as tx:
        answered, waiting = await engagement.answers(tx, now)
    metrics.RECENT_POSTS.labels(answer="answered").set(answered)
    metrics.RECENT_POSTS.labels(answer="waiting").set(waiting)
    async with context.database.snapshot() as tx:
        several, one, unknown = await engagement.conversations(tx, now)
    metrics.RECENT_CONVERSATIONS.labels(departments="several").set(several)
    metrics.RECENT_CONVERSATIONS.labels(departments="one").set(one)
    metrics.RECENT_CONVERSATIONS.labels(departments="unknown").set(unknown)
    async with context.database.snapshot() as tx:
        announced = await engagement.announced(tx, now)
    metrics.RECENT_ANNOUNCEMENTS.set(announced.announcements)
    metrics.ANNOUNCEMENT_PEOPLE.labels(sign="audience").set(announced.audience)
    metrics.ANNOUNCEMENT_PEOPLE.labels(sign="reached").set(announced.reached)
    metrics.ANNOUNCEMENT_PEOPLE.labels(sign="confirmed").set(announced.confirmed)
    async with context.database.snapshot() as tx:
        reach = await announcements.recent_reach(tx, now)
    for fact, people in reach.items():
        metrics.FROZEN_AUDIENCE_PEOPLE.labels(fact=fact).set(people)


_GAUGES = (
    *(metrics.ACTIVE_PEOPLE.labels(window=window) for window in ("day", "week")),
    *(metrics.RECENT_POSTS.labels(answer=answer) for answer in ("answered", "waiting")),
    *(metrics.RECENT_CONVERSATIONS.labels(departments=departments) for departments in ("several", "one", "unknown")),
    metrics.RECENT_ANNOUNCEMENTS,
    *(metrics.ANNOUNCEMENT_PEOPLE.labels(sign=sign) for sign in ("audience", "reached", "confirmed")),
    *(metrics.FROZEN_AUDIENCE_PEOPLE.labels(fact=fact) for fact in ("audience", "shown", "opened", "confirmed", "misinformed")),
)
