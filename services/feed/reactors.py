"""What the feed does of its own accord."""
from __future__ import annotations

import asyncio

from google.protobuf.message import Message

from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, Recorded, micros
from libs.runtime.service import Context
from libs.telemetry import logs, metrics
from watercooler.identity.v1.events_pb2 import PersonErased

from .commands import EraseAuthor
from .deciders import author
from .queries import activity

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
        await handle(
            self._context.events, author, f"author-{erased.person_id}",
            EraseAuthor(person_id=erased.person_id, now=erased.erase_time.ToDatetime(event.time.tzinfo)),
            Metadata("service:feed", event.meta.correlation_id, event.id, event.meta.traceparent),
        )


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
