"""Callers who give up, and an event loop that stalls: the others are served, and nobody is forgotten."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.db.sqlite import SqliteDatabase
from libs.eventstore.model import Metadata, Recorded
from libs.eventstore.store import SCHEMA, EventStore
from libs.subscriptions import rebuild, subscription
from libs.subscriptions.consumers import ProjectionConsumer
from libs.testing.contracts import TABLES, Tallies, Texts, published
from watercooler.feed.v1.events_pb2 import PostPublished

META = Metadata("ann")


class Gate:
    """An inline projection that lets a commit pass only when told."""

    name = "test.gate"
    handles: tuple[type[Message], ...] = (PostPublished,)
    tables: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        self.entered.set()
        await self.open.wait()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(tmp_path / "events.db")
    await database.install(SCHEMA + TABLES)
    yield database
    await database.close()


async def test_a_caller_who_gives_up_in_a_group_commit_breaks_no_other(database: SqliteDatabase) -> None:
    gate = Gate()
    store = EventStore("test", database, (Texts(), gate))
    callers = [asyncio.create_task(store.append(f"post-{n}", 0, [published(n)], META)) for n in range(10)]
    await gate.entered.wait()  # all ten are in the commit under way
    late = [asyncio.create_task(store.append(f"post-{n}", 0, [published(n)], META)) for n in range(10, 20)]
    await asyncio.sleep(0)
    for task in (callers[0], callers[4], late[3]):
        task.cancel()
    gate.open.set()
    results = await asyncio.gather(*callers, *late, return_exceptions=True)
    assert [n for n, result in enumerate(results) if isinstance(result, asyncio.CancelledError)] == [0, 4, 13]
    # Whoever gave up may find the write done, for it was under way: as after a lost connection.
    events = await store.tail(0, 100)
    assert [event.position for event in events] == list(range(1, 21))
    assert all(result == position for position, result in enumerate(results, 1) if isinstance(result, int))
    assert await rebuild.compare(store.inline[0], store, database, SCHEMA + TABLES, inline=True) == []
    assert await store.append("post-20", 0, [published(20)], META) == 21


async def test_the_first_caller_gives_up_before_the_commit_begins(database: SqliteDatabase) -> None:
    store = EventStore("test", database)
    first = asyncio.create_task(store.append("post-1", 0, [published(1)], META))
    second = asyncio.create_task(store.append("post-2", 0, [published(2)], META))
    await asyncio.sleep(0)  # both have asked, nothing is written
    first.cancel()
    assert await second in (1, 2)
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await store.append("post-3", 0, [published(3)], META) == await store.head()


async def test_a_reader_who_gives_up_returns_the_connection(database: SqliteDatabase) -> None:
    async def reader() -> None:
        async with database.snapshot() as tx:
            await tx.fetch("SELECT * FROM events")
            await asyncio.Event().wait()

    for _ in range(3):
        readers = [asyncio.create_task(reader()) for _ in range(40)]  # more than there are connections
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in readers:
            task.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    async with asyncio.timeout(5), database.snapshot() as tx:
        assert len(await tx.fetch("SELECT * FROM events")) == 0


async def test_a_writer_who_gives_up_leaves_no_lock_and_no_rows(database: SqliteDatabase) -> None:
    inside = asyncio.Event()

    async def writer() -> None:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO tallies (author_id, posts) VALUES ('ann', 1)")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(writer())
    waiting = asyncio.create_task(EventStore("test", database).append("post-1", 0, [published(1)], META))
    await inside.wait()
    task.cancel()
    async with asyncio.timeout(5):
        assert await waiting == 1
    assert len(await database.fetch("SELECT * FROM tallies")) == 0


async def test_a_slow_inline_projection_loses_no_wake_up(database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """With polling out of the way, only wake-ups bring a subscription on: each must count, also those during a step or a long commit."""
    monkeypatch.setattr(subscription, "POLL_SECONDS", 3_600.0)

    class Slow(Texts):
        async def apply(self, event: Recorded, tx: Transaction) -> None:
            for _ in range(event.position % 5):
                await asyncio.sleep(0)
            await super().apply(event, tx)

    store = EventStore("test", database, (Slow(),))
    follower = subscription.Subscription(store, ProjectionConsumer(Tallies(), database), batch=3)
    await follower.prepare()
    running = asyncio.create_task(follower.run(store.waker()))
    try:
        for number in range(150):
            position = await store.append(f"post-{number}", 0, [published(number)], META)
            if number % 10 == 0:
                assert await follower.reached(position, 5.0), f"event {position} was written, and nobody woke"
        assert await follower.reached(position, 5.0)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    [row] = await database.fetch("SELECT posts FROM tallies")
    assert row["posts"] == 150
