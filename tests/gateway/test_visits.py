"""Who opens the network is counted once a day, by cookie and by token, and forgotten."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from libs.db.database import StorageFull
from libs.db.sqlite import SqliteDatabase
from libs.eventstore.model import micros
from libs.telemetry import metrics
from services.gateway import queries
from services.gateway.service import SERVICE
from services.gateway.visits import DAY_MICROS, Visits, gauge_visits
from tests.gateway.conftest import Network

NOON = datetime(2026, 3, 12, 12, tzinfo=UTC)


async def visited(network: Network, person_id: str) -> int:
    await network.gateway.visits.written()
    database = network.gateway.context.database
    rows = await database.fetch("SELECT day FROM visits WHERE person_id = :person_id", person_id=person_id)
    return len(rows)


async def test_a_person_counts_once_a_day_however_they_come(network: Network) -> None:
    reader = await network.person("Rita Reader", scopes=("read",))
    never_here = await network.person("Nora Never")
    for _ in range(3):
        assert (await reader.get("/feeds/home")).status_code == 200
    await (await network.browser(reader)).get("/me")
    assert await visited(network, reader.id) == 1
    assert await visited(network, never_here.id) == 0
    assert (await network.anybody.get("/feeds/home")).status_code == 401


async def test_days_are_counted_apart_and_old_ones_forgotten(network: Network) -> None:
    database = network.gateway.context.database
    visits = Visits(database)
    today = micros(NOON) // DAY_MICROS
    for person_id, days_ago in (("ann", 0), ("ann", 2), ("bob", 6), ("cleo", 7), ("dan", 9)):
        visits.note(person_id, micros(NOON - timedelta(days=days_ago)))
    await visits.written()
    await network.gateway.visits.written()
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM visits WHERE day > :today", today=today)  # those who set the network up, by the real clock
        assert await queries.count_visitors(tx, today) == 1
        assert await queries.count_visitors(tx, today - 6) == 2
        await queries.delete_visits(tx, today - 8)
        assert await queries.count_visitors(tx, 0) == 3


async def test_erasing_somebody_forgets_their_visits(network: Network) -> None:
    person = await network.person("Erik Erased")
    await person.get("/feeds/home")
    assert await visited(network, person.id) == 1
    answer = await network.administrator.post(f"/people/{person.id}/erase")
    assert answer.status_code < 300, answer.text
    await network.world.settle()
    assert await visited(network, person.id) == 0


async def test_a_visit_that_cannot_be_written_is_no_reason_to_refuse_the_visitor() -> None:
    class Full:
        tries = 0

        @asynccontextmanager
        async def transaction(self, *, durable: bool = True) -> AsyncIterator[Any]:
            Full.tries += 1
            raise StorageFull("no room")
            yield

    visits = Visits(Full())  # type: ignore[arg-type]
    for _ in range(2):
        visits.note("ann", micros(NOON))
        await visits.written()
    assert Full.tries == 2, "what was not written is tried again"


async def test_the_gauge_counts_visitors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = SqliteDatabase(tmp_path / "gateway.db")
    await database.install(SERVICE.schema)
    visits = Visits(database)
    for person_id in ("ann", "bob", "ann"):
        visits.note(person_id, micros(NOON))
    visits.note("cleo", micros(NOON - timedelta(days=3)))
    visits.note("dan", micros(NOON - timedelta(days=30)))
    await visits.written()
    seen = asyncio.Event()
    delete = queries.delete_visits

    async def told(*arguments: Any) -> None:
        await delete(*arguments)
        seen.set()

    monkeypatch.setattr(queries, "delete_visits", told)
    task = asyncio.create_task(gauge_visits(SimpleNamespace(database=database, now=lambda: NOON)))  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        await seen.wait()
    assert metrics.value("watercooler_visiting_people", window="day") == 2
    assert metrics.value("watercooler_visiting_people", window="week") == 3
    task.cancel()
    await asyncio.wait([task])
    assert metrics.value("watercooler_visiting_people", window="day") == 0
    async with database.snapshot() as tx:
        assert await queries.count_visitors(tx, 0) == 3, "what is older than eight days is forgotten"
    await database.close()
