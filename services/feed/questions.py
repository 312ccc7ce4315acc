"""What happens to questions at their time: unanswered ones are brought to likely experts, anonymous ones enter the log on the hour."""
from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, micros
from libs.runtime.service import Context
from libs.telemetry import logs

from .commands.asking import AskLeadersAnonymously, RouteQuestion
from .deciders import enquiry, question
from .queries import asking, enquiries

# A question waits for hours before it is brought to anybody, so nobody has to be woken for one that is asked now.
LOOK_SECONDS = 60.0
# Older ones are not brought to anybody any more.
ROUTED_WITHIN = timedelta(days=14)
# Who nobody was found for is looked for again after this time: somebody may have become an expert.
AGAIN_AFTER = timedelta(hours=1)
AT_ONCE = 100

_log = logs.get_logger(__name__)


async def route_questions(context: Context) -> None:
    """Go on until it is cancelled. What was due while no process ran is brought at the start."""
    tried: dict[str, datetime] = {}
    while True:
        try:
            await route_due(context, tried)
        except Exception:
            _log.exception("questions could not be brought to anybody; it is tried again")
        await asyncio.sleep(LOOK_SECONDS)


async def route_due(context: Context, tried: dict[str, datetime]) -> int:
    """Bring what has waited long enough; answers how many were brought. `tried` keeps those for whom nobody was found, and when."""
    now = context.now()
    for post_id in [post_id for post_id, when in tried.items() if when <= now - AGAIN_AFTER]:
        del tried[post_id]
    since, until = micros(now - ROUTED_WITHIN), micros(now - context.settings.question_routing_delay)
    async with context.database.snapshot() as tx:
        due = [row for row in await asking.due_questions(tx, since, until, AT_ONCE + len(tried)) if row["post_id"] not in tried]
    brought = 0
    for row in due:
        # Each with a fresh look, for what was just brought counts for the next.
        async with context.database.snapshot() as tx:
            people = tuple(await asking.likely_experts(tx, row, micros(now)))
        if not people:
            tried[row["post_id"]] = now
            continue
        command = RouteQuestion(question_id=row["post_id"], asker_id=row["author_id"], people=people, now=now)
        await handle(context.events, question, f"question-{row['post_id']}", command, Metadata("service:feed"))
        brought += 1
    return brought


async def release_on_the_hour(context: Context) -> None:
    """Go on until it is cancelled. What was held while no process ran at a full hour waits for the next one."""
    hour = _hour(context.now())
    while True:
        now = context.now()
        if _hour(now) > hour:
            try:
                await release_held(context)
                hour = _hour(now)
            except Exception:
                _log.exception("questions that wait for their hour could not be published; it is tried again")
        left = (_hour(context.now()) + timedelta(hours=1) - context.now()).total_seconds()
        await asyncio.sleep(max(0.05, min(LOOK_SECONDS, left)))


async def release_held(context: Context) -> int:
    """Put all anonymous questions that wait into the log, with nothing beside their text but this hour; answers how many.

    They enter in the order of ids made of their texts, each without actor, correlation and trace. Doing it twice changes nothing.
    """
    hour = _hour(context.now())
    async with context.database.snapshot() as tx:
        rows = await enquiries.held(tx)
    for row in rows:
        command = AskLeadersAnonymously(
            enquiry_id=row["enquiry_id"], body=row["body"], addressee_ids=tuple(row["addressees"].split()), hour=hour
        )
        await handle(context.events, enquiry, f"enquiry-{row['enquiry_id']}", command, Metadata(""))
        async with context.database.transaction() as tx:
            await enquiries.release(tx, row["enquiry_id"])
    return len(rows)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
