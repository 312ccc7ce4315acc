"""A subscription over a log that fails, and one that is stopped and started again beside others."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from libs.db.database import Database, Transaction
from libs.db.sqlite import SqliteDatabase
from libs.eventstore.model import Recorded
from libs.eventstore.store import SCHEMA, EventStore
from libs.subscriptions.consumers import ProjectionConsumer
from libs.subscriptions.subscription import Subscription
from libs.testing.contracts import META, TABLES, Tallies, published


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = SqliteDatabase(tmp_path / "events.db")
    await database.install(SCHEMA + TABLES)
    yield database
    await database.close()


async def fill(database: Database, count: int) -> EventStore:
    store = EventStore("source", database)
    for number in range(count):
        await store.append(f"post-{number}", 0, [published(number)], META)
    return store


async def posts(database: Database) -> int:
    row = await database.fetch_one("SELECT posts FROM tallies")
    return row["posts"] if row else 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


class Fragile:
    """A log whose calls fail as long as there are faults."""

    name = "source"

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.tail_faults: list[Exception] = []
        self.head_faults: list[Exception] = []

    async def tail(self, after: int, limit: int) -> Sequence[Recorded]:
        if self.tail_faults:
            raise self.tail_faults.pop(0)
        return await self.store.tail(after, limit)

    async def head(self) -> int:
        if self.head_faults:
            raise self.head_faults.pop(0)
        return await self.store.head()


async def test_a_log_that_cannot_be_read_for_a_while_is_waited_for(database: Database) -> None:
    log = Fragile(await fill(database, 9))
    log.tail_faults = [ConnectionError("away"), RuntimeError("strange")]
    log.head_faults = [ConnectionError("away")] * 3
    subscription = Subscription(log, ProjectionConsumer(Tallies(), database), batch=3)
    task = asyncio.create_task(subscription.run(asyncio.Event()))
    await until(lambda: subscription.position == 9)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert await posts(database) == 9


async def test_a_log_that_does_not_know_its_length_is_followed_all_the_same(database: Database) -> None:
    log = Fragile(await fill(database, 9))
    subscription = Subscription(log, ProjectionConsumer(Tallies(), database), batch=3)
    await subscription.prepare()
    log.head_faults = [ConnectionError("away")] * 100
    while await subscription.step():
        pass
    assert await posts(database) == 9


async def test_run_again_it_goes_on_where_another_process_stopped(database: Database) -> None:
    store = await fill(database, 5)
    here = Subscription(store, ProjectionConsumer(Tallies(), database))
    task = asyncio.create_task(here.run(asyncio.Event()))
    await until(lambda: here.position == 5)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await store.append("post-5", 0, [published(5)], META)
    there = Subscription(store, ProjectionConsumer(Tallies(), database))
    while await there.step():
        pass
    seen: list[int] = []

    class Watched:
        name = "source"

        async def tail(self, after: int, limit: int) -> Sequence[Recorded]:
            seen.append(after)
            return await store.tail(after, limit)

        async def head(self) -> int:
            return await store.head()

    here.log = Watched()
    task = asyncio.create_task(here.run(asyncio.Event()))
    await until(lambda: bool(seen))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert seen[0] == 6
    assert await posts(database) == 6


async def test_cancelled_in_the_middle_of_a_batch_nothing_is_half_done(database: Database) -> None:
    store = await fill(database, 20)
    reached = asyncio.Event()

    class Slow(Tallies):
        hold: asyncio.Event | None = asyncio.Event()

        async def apply(self, event: Recorded, tx: Transaction) -> None:
            await super().apply(event, tx)
            if event.position == 7 and self.hold is not None:
                reached.set()
                await self.hold.wait()

    projection = Slow()
    subscription = Subscription(store, ProjectionConsumer(projection, database), batch=10)
    task = asyncio.create_task(subscription.run(asyncio.Event()))
    await reached.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert await posts(database) == 0
    projection.hold = None
    task = asyncio.create_task(subscription.run(asyncio.Event()))
    await until(lambda: subscription.position == 20)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert await posts(database) == 20
