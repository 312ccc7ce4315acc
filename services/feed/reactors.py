"""What the feed does of its own accord."""
from __future__ import annotations

import asyncio

from google.protobuf.message import Message

from libs.blobs.store import BlobStoreFailed
from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, Recorded, micros
from libs.runtime.service import Context
from libs.telemetry import logs, metrics
from watercooler.feed.v1.events_pb2 import PostDeleted, PostEdited, PostPublished
from watercooler.identity.v1.events_pb2 import PersonErased

from .commands import EraseAuthor
from .deciders import author
from .queries import activity, files

GAUGE_SECONDS = 60.0

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
        async with self._context.database.snapshot() as tx:  # from then on nobody knows which they were
            shown = await files.files_of(tx, erased.person_id)
        await handle(
            self._context.events, author, f"author-{erased.person_id}",
            EraseAuthor(person_id=erased.person_id, now=erased.erase_time.ToDatetime(event.time.tzinfo)),
            Metadata("service:feed", event.meta.correlation_id, event.id, event.meta.traceparent),
        )
        await _discard(self._context, shown)


class Clearing:
    """Deletes the files of deleted posts, as far as nothing else shows them. Doing it twice changes nothing."""

    name = "feed.clearing"
    handles: tuple[type[Message], ...] = (PostDeleted,)

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context

    async def react(self, event: Recorded) -> None:
        """Delete the files of every version of the post."""
        deleted = event.data
        assert isinstance(deleted, PostDeleted)
        written = [each.data for each in await self._context.events.read(f"post-{deleted.post_id}")]
        versions = [data for data in written if isinstance(data, PostPublished | PostEdited)]
        await _discard(self._context, {attachment.blob_id for version in versions for attachment in version.attachments})


async def _discard(context: Context, blob_ids: set[str]) -> None:
    """Delete the files that nothing shows any more; what cannot be deleted is logged by its id, for an operator to do it."""
    for blob_id in sorted(await files.unused(context.database, blob_ids)) if blob_ids else ():
        try:
            await context.blobs.delete(blob_id)
        except BlobStoreFailed:
            _log.exception("a file that nothing shows any more is not deleted", blob_id=blob_id)


async def gauge_activity(context: Context) -> None:
    """Keep the gauges of active people current, once a minute."""
    while True:
        try:
            now = micros(context.now())
            async with context.database.snapshot() as tx:
                metrics.ACTIVE_PEOPLE.labels(window="day").set(await activity.active_people(tx, now, 1))
                metrics.ACTIVE_PEOPLE.labels(window="week").set(await activity.active_people(tx, now, 7))
        except Exception:
            _log.exception("active people could not be counted; the next minute tries again")
        await asyncio.sleep(GAUGE_SECONDS)
