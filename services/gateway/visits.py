"""On which days people opened the network: for the share of those who only read. Numbers leave here, never names."""
from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from libs.db.database import Database
from libs.eventstore.model import micros
from libs.runtime.service import Context
from libs.telemetry import logs, metrics

from . import queries

DAY_MICROS: Final = 86_400_000_000
WEEK_DAYS: Final = 7
# The gauges look a week back; the rest is not kept.
KEPT_DAYS: Final = 8
KNOWN: Final = 50_000
GAUGE_SECONDS: Final = 60.0

_log = logs.get_logger(__name__)


class Visits:
    """Notes each person once a day; what is known is kept in memory, and no request waits for the writing."""

    def __init__(self, database: Database) -> None:
        """Visits in the gateway's own database."""
        self._database = database
        self._known: OrderedDict[tuple[int, str], None] = OrderedDict()
        self._waiting: set[tuple[int, str]] = set()
        self._writing: asyncio.Task[None] | None = None

    def note(self, person_id: str, now_micros: int) -> None:
        """The person is here today."""
        visit = (now_micros // DAY_MICROS, person_id)
        if visit in self._known or visit in self._waiting or len(self._waiting) >= KNOWN:
            return
        self._waiting.add(visit)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def written(self) -> None:
        """Wait until what was noted is written, or given up until the person's next request."""
        while self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing])

    async def _write(self) -> None:
        while self._waiting:
            visits = sorted(self._waiting)
            try:
                async with self._database.transaction(durable=False) as tx:
                    await queries.add_visits(tx, visits)
            except Exception as error:
                _log.warning("visits are not counted yet", reason=repr(error))
                self._waiting.difference_update(visits)
                return
            self._known.update(dict.fromkeys(visits))
            self._waiting.difference_update(visits)
            while len(self._known) > KNOWN:
                self._known.popitem(last=False)


async def gauge_visits(context: Context) -> None:
    """Keep the gauges of visiting people current, and forget days that nobody asks for.

    Who stops, or is no longer the one that measures, shows 0 instead of what was: the rules take the largest of all replicas.
    """
    day_gauge, week_gauge = (metrics.VISITING_PEOPLE.labels(window=window) for window in ("day", "week"))
    try:
        while True:
            today = micros(context.now()) // DAY_MICROS
            try:
                async with context.database.snapshot() as tx:
                    day_gauge.set(await queries.count_visitors(tx, today))
                    week_gauge.set(await queries.count_visitors(tx, today - WEEK_DAYS + 1))
                async with context.database.transaction(durable=False) as tx:
                    await queries.delete_visits(tx, today - KEPT_DAYS)
            except Exception:
                _log.exception("visits could not be counted; the next minute tries again")
            await asyncio.sleep(GAUGE_SECONDS)
    finally:
        day_gauge.set(0)
        week_gauge.set(0)
