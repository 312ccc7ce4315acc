"""Gauges of work that one process does for all: what they showed does not outlast the work, or the largest of all would stay for ever."""
from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from libs.db.database import DatabaseError, StorageFull
from libs.eventstore.model import Recorded
from libs.subscriptions.model import Parked
from libs.subscriptions.subscription import Subscription
from libs.telemetry import metrics

NAME = "probe.behind"


class Log:
    """A log that is long and cannot be read."""

    name = "probe"

    async def tail(self, after: int, limit: int) -> Sequence[Recorded]:
        raise OSError("the log is away")

    async def head(self) -> int:
        return 4711


class Consumer:
    """One that has set a stream aside."""

    name = NAME
    handles = None
    linger_seconds = 0.0
    every_process = False

    async def checkpoint(self, source: str) -> int | None:
        return 11

    async def parked(self, source: str) -> dict[str, Parked]:
        return {"post-1": Parked(5, False)}

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not asked for here")


async def test_a_subscription_that_ends_shows_nothing() -> None:
    subscription = Subscription(Log(), Consumer())  # type: ignore[arg-type]
    running = asyncio.create_task(subscription.run(asyncio.Event()))
    async with asyncio.timeout(30):
        while metrics.value("watercooler_subscription_lag_events", subscription=NAME) != 4700:
            await asyncio.sleep(0.01)
    assert metrics.value("watercooler_parked_streams", subscription=NAME) == 1
    running.cancel()
    await asyncio.wait([running])
    assert metrics.value("watercooler_subscription_lag_events", subscription=NAME) == 0
    assert metrics.value("watercooler_parked_streams", subscription=NAME) == 0


def test_every_write_refused_for_a_full_disk_is_counted() -> None:
    before = metrics.value("watercooler_storage_full_total")
    assert str(StorageFull("the disk is full")) == "the disk is full"
    DatabaseError("something else")
    assert metrics.value("watercooler_storage_full_total") == before + 1


def test_who_leads_is_asked_when_it_is_shown() -> None:
    leadership = SimpleNamespace(leading=False)
    metrics.LEADING.labels(service="probe", work="worker").set_function(lambda: float(leadership.leading))
    assert metrics.value("watercooler_leading", service="probe", work="worker") == 0
    leadership.leading = True
    assert metrics.value("watercooler_leading", service="probe", work="worker") == 1
