"""Scheduled drafts are published at their time, once, by the one process that works for the feed."""
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from google.protobuf.message import Message

from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, Recorded, Rejected, micros
from libs.rpc.auth import Caller
from libs.runtime.service import Context
from libs.telemetry import logs
from watercooler.feed.v1.drafting_events_pb2 import DraftScheduled, DraftUnscheduled

from .commands.drafting import UnscheduleDraft
from .deciders import draft
from .queries import drafting as queries

# What is due is looked up at least so often, should the clock be set or a wake-up be lost with a process.
LOOK_SECONDS = 30.0
RETRY_SECONDS = 5.0
AT_ONCE = 100

_log = logs.get_logger(__name__)


class Schedule:
    """Sleeps until the next draft is due and publishes it.

    Everything it needs stands in the drafts' streams, so a restart goes on where the last process stopped: publishing the same version
    twice is the same post. What cannot be published goes back to its author with the reason; what fails for another cause is tried
    again, and nothing else waits for it.
    """

    def __init__(self, context: Context, publish: Callable[[Caller, str], Awaitable[object]]) -> None:
        """For the running service; `publish` publishes a draft in its author's name."""
        self._context = context
        self._publish = publish
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Look again: something was scheduled."""
        self._changed.set()

    async def run(self) -> None:
        """Go on until it is cancelled."""
        while True:
            self._changed.clear()
            try:
                wait = await self._round()
            except Exception:
                _log.exception("scheduled posts could not be looked up; it is tried again")
                wait = RETRY_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    async def _round(self) -> float:
        """Publish what is due; answers in how many seconds there may be more."""
        after, retry = (0, ""), False
        while True:
            page = await queries.next_due(self._context.database, after, AT_ONCE)
            for due in page:
                now = micros(self._context.now())
                if due.publish_time > now:
                    wait = min((due.publish_time - now) / 1_000_000, LOOK_SECONDS)
                    return min(wait, RETRY_SECONDS) if retry else wait
                retry |= not await self._try(due)
            if len(page) < AT_ONCE:
                return RETRY_SECONDS if retry else LOOK_SECONDS
            after = (page[-1].publish_time, page[-1].draft_id)

    async def _try(self, due: queries.Due) -> bool:
        """Publish one; False where it is to be tried again."""
        try:
            async with self._context.database.snapshot() as tx:
                author = await queries.author_as_caller(tx, due.author_id)
            reason = await self._refused(author, due.draft_id) if author else "its author has left the organisation"
            if reason:
                await self._give_back(due, reason)
        except Exception:
            _log.exception("a scheduled post could not be published; it is tried again", draft_id=due.draft_id)
            return False
        return True

    async def _refused(self, author: Caller, draft_id: str) -> str:
        try:
            await self._publish(author, draft_id)
        except Rejected as refused:
            return refused.reason
        return ""

    async def _give_back(self, due: queries.Due, reason: str) -> None:
        _log.warning("a scheduled post was not published", draft_id=due.draft_id, reason=reason)
        await handle(
            self._context.events, draft, f"draft-{due.draft_id}",
            UnscheduleDraft(draft_id=due.draft_id, author_id=due.author_id, reason=reason), Metadata("service:feed"),
        )


class Waking:
    """Tells the schedule of what was scheduled, by whichever process."""

    name = "feed.waking"
    handles: tuple[type[Message], ...] = (DraftScheduled, DraftUnscheduled)

    def __init__(self, schedule: Schedule) -> None:
        """For the running schedule."""
        self._schedule = schedule

    async def react(self, event: Recorded) -> None:
        """Wake it; once more does no harm."""
        self._schedule.wake()
