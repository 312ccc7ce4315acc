"""Polls close at their time, by the one process that works for the feed."""
from __future__ import annotations

import asyncio

from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, micros
from libs.runtime.service import Context
from libs.telemetry import logs

from .commands import ClosePoll
from .deciders import post
from .queries import polls

# A poll is open for five minutes at least, so looking so often finds each before its time; nobody has to be woken.
LOOK_SECONDS = 15.0
AT_ONCE = 100

_log = logs.get_logger(__name__)


async def close_polls(context: Context) -> None:
    """Go on until it is cancelled. What was due while no process ran is closed at the start."""
    while True:
        wait = LOOK_SECONDS
        try:
            wait = await close_due(context)
        except Exception:
            _log.exception("polls could not be closed; it is tried again")
        await asyncio.sleep(wait)


async def close_due(context: Context) -> float:
    """Close what is due, forget how votes in closed anonymous polls are found; answers in how many seconds to look again."""
    now = micros(context.now())
    async with context.database.snapshot() as tx:
        due = await polls.due(tx, now, AT_ONCE)
    for post_id in due:
        await handle(context.events, post, f"post-{post_id}", ClosePoll(post_id=post_id, now=context.now()), Metadata("service:feed"))
    async with context.database.snapshot() as tx:
        stale, upcoming = await polls.stale_secrets(tx), await polls.next_close(tx)
    if stale:
        async with context.database.transaction() as tx:
            await polls.forget_secrets(tx)
    return LOOK_SECONDS if upcoming is None else max(0.05, min(LOOK_SECONDS, (upcoming - now) / 1_000_000))
