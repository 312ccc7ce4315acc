"""Answers what `watercooler rebuild` asks of a running network: for what is no table, such as a search index."""
from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from libs.db.database import Database, DatabaseError
from libs.telemetry import logs

REQUEST_POLL_SECONDS = 0.5

_log = logs.get_logger(__name__)

Rebuilders = Mapping[str, Callable[[Callable[[int, int], None]], Awaitable[None]]]


async def answer_requests(database: Database, name: str, rebuilders: Rebuilders) -> None:
    """Do what is asked of a service, one after the other, and tell in the same rows how far it is; goes on until cancelled."""
    told = False
    while True:
        try:
            for row in await database.fetch("SELECT part, request_time FROM rebuild_requests WHERE finish_time = 0"):
                await _rebuild(database, name, rebuilders, row["part"], row["request_time"])
            told = False
        except DatabaseError as error:  # a server that is away for a while
            if not told:
                told = True
                _log.warning("requests for rebuilds wait", service=name, reason=str(error))
        await asyncio.sleep(REQUEST_POLL_SECONDS)


async def _rebuild(database: Database, name: str, rebuilders: Rebuilders, part: str, request_time: int) -> None:
    rebuilder = rebuilders.get(part)
    told = 0.0
    problem = "" if rebuilder else f"{name} has no part {part}"
    reached = (0, 0)

    async def note(finish_time: int) -> None:
        async with database.transaction() as tx:
            await tx.execute(
                """
                UPDATE rebuild_requests SET done = :done, total = :total, finish_time = :finish, problem = :problem
                WHERE part = :part AND request_time = :request_time
                """,
                done=reached[0], total=reached[1], finish=finish_time, problem=problem, part=part, request_time=request_time,
            )

    def progress(done: int, total: int) -> None:
        nonlocal reached, told
        reached = (done, total)
        if time.monotonic() - told > REQUEST_POLL_SECONDS:
            told = time.monotonic()
            notes.append(asyncio.ensure_future(note(0)))

    notes: list[asyncio.Future[None]] = []
    if rebuilder:
        try:
            await rebuilder(progress)
        except Exception as error:
            _log.exception("rebuild failed", service=name, part=part)
            problem = repr(error)
    await asyncio.gather(*notes)
    await note(time.time_ns() // 1_000)
