"""The relay without a broker: what it publishes, what it remembers, and what it does when publishing fails."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from libs.db.sqlite import SqliteDatabase
from libs.eventstore.model import Recorded
from libs.eventstore.store import SCHEMA, EventStore
from libs.subscriptions import relay as module
from libs.subscriptions.consumers import read_checkpoint
from libs.subscriptions.relay import Relay
from libs.telemetry import metrics
from libs.testing.contracts import META, published
from watercooler.feed.v1.events_pb2 import PostPublished
from watercooler.identity.v1.events_pb2 import PersonErased


class Topic:
    """Takes what is published, or refuses it; `held` keeps the acknowledgements back."""

    def __init__(self) -> None:
        self.records: list[Recorded] = []
        self.refusals: list[Exception] = []
        self.held: asyncio.Event | None = None

    async def publish(self, service: str, events: list[Recorded]) -> None:
        assert service == "source"
        if self.refusals:
            raise self.refusals.pop(0)
        self.records += events
        if self.held is not None:
            await self.held.wait()

    @property
    def positions(self) -> list[int]:
        return [event.position for event in self.records]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EventStore]:
    database = SqliteDatabase(tmp_path / "source.db")
    await database.install(SCHEMA)
    yield EventStore("source", database)
    await database.close()


async def fill(store: EventStore, first: int, last: int) -> None:
    for number in range(first, last + 1):
        await store.append(f"post-{number}", 0, [published(number)], META)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[None]:
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def saved(store: EventStore) -> int | None:
    return await read_checkpoint(store.database, "source.relay", "source")


async def test_everything_is_published_in_order_and_what_comes_later_too(store: EventStore) -> None:
    topic = Topic()
    await fill(store, 1, 25)
    relay = Relay(store, topic, batch=4)
    async with running(relay):
        await until(lambda: relay.position == 25)
        await fill(store, 26, 40)
        await until(lambda: relay.position == 40)
    assert topic.positions == list(range(1, 41))
    assert await saved(store) == 40
    assert metrics.value("watercooler_relay_position", service="source") == 40


async def test_a_relay_goes_on_where_the_one_before_it_stopped(store: EventStore) -> None:
    topic = Topic()
    await fill(store, 1, 10)

    async def publish_up_to(last: int) -> None:
        relay = Relay(store, topic, batch=3)
        async with running(relay):
            await until(lambda: relay.position == last)

    await publish_up_to(10)
    await fill(store, 11, 15)
    await publish_up_to(15)
    assert topic.positions == list(range(1, 16))


async def test_what_was_not_acknowledged_is_not_remembered(store: EventStore) -> None:
    topic = Topic()
    topic.held = asyncio.Event()
    await fill(store, 1, 10)
    module_wait, module.FINISH_SECONDS = module.FINISH_SECONDS, 0.01
    try:
        async with running(Relay(store, topic, batch=2)):
            await until(lambda: len(topic.records) == 8)  # four batches are under way, and no more
    finally:
        module.FINISH_SECONDS = module_wait
    assert await saved(store) is None
    topic.held = None
    relay = Relay(store, topic)
    async with running(relay):
        await until(lambda: relay.position == 10)
    assert topic.positions[8:] == list(range(1, 11))


async def test_a_stop_waits_for_what_is_under_way(store: EventStore) -> None:
    topic = Topic()
    topic.held = asyncio.Event()
    await fill(store, 1, 5)
    relay = Relay(store, topic)
    task = asyncio.create_task(relay.run())
    await until(lambda: len(topic.records) == 5)
    task.cancel()
    asyncio.get_running_loop().call_soon(topic.held.set)
    with suppress(asyncio.CancelledError):
        await task
    assert await saved(store) == 5


@pytest.mark.parametrize("fault", [ConnectionError("away"), RuntimeError("refused")], ids=str)
async def test_a_failure_is_waited_out_and_nothing_is_lost(store: EventStore, fault: Exception) -> None:
    topic = Topic()
    before = metrics.RELAY_FAILURES.labels(service="source")._value.get()
    topic.refusals = [fault, fault]
    await fill(store, 1, 9)
    relay = Relay(store, topic, batch=2)
    async with running(relay):
        await until(lambda: relay.position == 9)
    assert sorted(set(topic.positions)) == list(range(1, 10))
    # After a failure everything from the first event without an acknowledgement is sent again, in order.
    assert topic.positions[-9:] == list(range(1, 10))
    assert metrics.RELAY_FAILURES.labels(service="source")._value.get() > before


async def test_what_was_erased_is_published_as_erased(store: EventStore) -> None:
    topic = Topic()
    await store.append("post-1", 0, [published(1, "gone", "ann")], META)
    await store.append("person-ann", 0, [PersonErased(person_id="ann")], META)
    relay = Relay(store, topic)
    async with running(relay):
        await until(lambda: relay.position == 2)
    post = topic.records[0]
    assert isinstance(post.data, PostPublished) and (post.data.body, post.erased) == ("", True)


async def test_a_relay_that_cannot_publish_says_for_how_long(store: EventStore) -> None:
    topic = Topic()
    topic.held = asyncio.Event()
    relay = Relay(store, topic)
    async with running(relay):
        await fill(store, 1, 1)
        await until(lambda: metrics.value("watercooler_relay_stalled_seconds", service="source") > 0)
        topic.held.set()
        await until(lambda: metrics.value("watercooler_relay_stalled_seconds", service="source") == 0)
