"""Retention rules are applied, and what was put aside is let go, by the one process that works for the feed."""
from __future__ import annotations

import asyncio
import contextlib

from google.protobuf.message import Message

from libs.db.database import Row
from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, Recorded, Rejected, micros
from libs.runtime.service import Context
from libs.telemetry import logs
from watercooler.feed.v1.retention_events_pb2 import HoldLifted, RuleEnabled

from .commands import DeletePost, DiscardKeptPost
from .commands.retention import RecordRun
from .deciders import post, rule
from .queries import retention as queries

ROUND_SECONDS = 900.0
RETRY_SECONDS = 30.0
BATCH = 100
# What one run of a rule deletes at most; the next round goes on.
RUN_POSTS = 10_000

_log = logs.get_logger(__name__)


class Keeping:
    """Looks every quarter of an hour, and when it is woken, what is too old.

    What is to be deleted follows from the posts, the rules and the holds as they are, so a restart goes on where the last process
    stopped, and a hold or a rule that is switched off takes effect within a batch of 100 posts.
    """

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look again: a rule was switched on, or a hold lifted."""
        self._woken.set()

    async def run(self) -> None:
        """Go on until it is cancelled."""
        while True:
            self._woken.clear()
            try:
                wait = 0.0 if await self.round() else ROUND_SECONDS
            except Exception:
                _log.exception("retention rules could not be applied; it is tried again")
                wait = RETRY_SECONDS
            # Not wait_for, which in Python 3.11 forgets that it is cancelled when it is woken at the same time.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._woken.wait()

    async def round(self) -> bool:
        """Apply every rule once and let go what nothing asks for; True where more is left."""
        more = False
        for row in await queries.enabled_rules(self._context.database):
            more |= await self._apply(row)
        while vain := await queries.kept_in_vain(self._context.database, micros(self._context.now()), BATCH):
            for post_id in vain:
                discard = DiscardKeptPost(post_id=post_id, now=self._context.now())
                await handle(self._context.events, post, f"post-{post_id}", discard, Metadata("service:feed"))
            if len(vain) < BATCH:
                break
        return more

    async def _apply(self, row: Row) -> bool:
        database, rule_id = self._context.database, row["rule_id"]
        start = self._context.now()
        chosen = queries.selection(row, micros(start))
        deleted = 0
        partial = False
        while True:
            current = await queries.fetch_rule(database, rule_id)
            if current is None or not current["enabled"]:
                break
            batch = await queries.due(database, chosen, BATCH)
            for post_id in batch:
                deleted += await self._delete(rule_id, chosen, post_id)
            if len(batch) < BATCH:
                break
            if deleted >= RUN_POSTS:
                partial = True
                break
            await asyncio.sleep(0)
        if deleted:
            run = RecordRun(
                rule_id=rule_id, deleted_count=deleted, protected_count=await queries.count_protected(database, chosen), start=start,
                end=self._context.now(), partial=partial,
            )
            await handle(self._context.events, rule, f"rule-{rule_id}", run, Metadata("service:feed"))
        return partial

    async def _delete(self, rule_id: str, chosen: queries.Selection, post_id: str) -> int:
        if not await queries.still_due(self._context.database, chosen, [post_id]):  # a hold was placed, or its author was quicker
            return 0
        command = DeletePost(post_id=post_id, actor_id=rule_id, moderates=True, now=self._context.now())
        try:
            done = await handle(self._context.events, post, f"post-{post_id}", command, Metadata("service:feed"))
        except Rejected as refused:
            _log.warning("a rule could not delete a post", post_id=post_id, rule_id=rule_id, reason=refused.reason)
            return 0
        return int(done.position > 0)


class WakingKeeping:
    """Tells of rules that were switched on and holds that were lifted, by whichever process."""

    name = "feed.waking_keeping"
    handles: tuple[type[Message], ...] = (RuleEnabled, HoldLifted)

    def __init__(self, keeping: Keeping) -> None:
        """For the running task."""
        self._keeping = keeping

    async def react(self, event: Recorded) -> None:
        """Wake it; once more does no harm."""
        self._keeping.wake()
