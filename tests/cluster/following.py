"""A service's log on Kafka and those who follow it, in one process or in several, for tests of what lies between."""
from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.db.sqlite import SqliteDatabase
from libs.eventstore.model import Metadata, Recorded
from libs.eventstore.store import SCHEMA, EventStore
from libs.subscriptions import topics
from libs.subscriptions.consumers import ProjectionConsumer
from libs.subscriptions.kafka import KafkaConfig, KafkaLog, Publisher
from libs.subscriptions.relay import Relay
from libs.subscriptions.subscription import Subscription
from libs.testing.contracts import published
from watercooler.feed.v1.events_pb2 import PostPublished

SECONDS = 240
TABLES = "CREATE TABLE IF NOT EXISTS seen (position BIGINT PRIMARY KEY, body TEXT NOT NULL);"


async def until(what: str, holds: Callable[[], Any], seconds: float = SECONDS) -> None:
    """Wait until a condition, which may be a coroutine function, holds."""
    end = time.monotonic() + seconds
    while True:
        held = holds()
        if asyncio.iscoroutine(held):
            held = await held
        if held:
            return
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:.0f} s still waiting for: {what}")
        await asyncio.sleep(0.02)


class Seen:
    """A projection that an event delivered twice would break; `taken` is what this process took, in its order."""

    name = "test.seen"
    handles: tuple[type[Message], ...] = (PostPublished,)
    tables: tuple[str, ...] = ("seen",)

    def __init__(self) -> None:
        self.taken: list[int] = []

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        assert isinstance(event.data, PostPublished)
        await tx.execute("INSERT INTO seen (position, body) VALUES (:position, :body)", position=event.position, body=event.data.body)
        self.taken.append(event.position)


class History:
    """The service's own log, and how much of it was read; `lost` makes it fail."""

    name = "source"

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.read: set[int] = set()
        self.lost: Exception | None = None

    async def tail(self, after: int, limit: int) -> Sequence[Recorded]:
        if self.lost is not None:
            raise self.lost
        events = await self.store.tail(after, limit)
        self.read |= {event.position for event in events}
        return events

    async def head(self) -> int:
        if self.lost is not None:
            raise self.lost
        return await self.store.head()


class Source:
    """A service with a log and a relay: `async with Source(folder, config) as source: await source.write(100)`."""

    def __init__(self, folder: Path, config: KafkaConfig) -> None:
        self.config = config
        self.database = SqliteDatabase(folder / "source.db")
        self.store = EventStore("source", self.database)
        self.history = History(self.store)
        self.written = 0
        self._versions: dict[str, int] = {}
        self._relaying: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Source:
        await self.database.install(SCHEMA)
        await asyncio.to_thread(topics.ensure, self.config, ["source"])
        await self.relay()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.silence()
        await self.database.close()

    async def relay(self) -> None:
        """Start the relay."""
        self.publisher = Publisher(self.config)
        self.relaying = Relay(self.store, self.publisher)
        self._relaying = asyncio.create_task(self.relaying.run())

    async def silence(self) -> None:
        """Stop the relay."""
        if self._relaying is not None:
            await ended(self._relaying)
            self._relaying = None
            await self.publisher.stop()

    async def write(self, count: int, streams: int = 7) -> None:
        """Append events, over a few streams."""
        for number in range(self.written + 1, self.written + count + 1):
            stream = f"post-{number % streams}"
            version = self._versions.get(stream, 0)
            await self.store.append(stream, version, [published(number)], Metadata("ann"))
            self._versions[stream] = version + 1
        self.written += count

    async def relayed(self) -> None:
        """Wait until everything is on Kafka."""
        await until("the relay", lambda: self.relaying.position >= self.written)


class Follower:
    """Another service that follows the source: `async with Follower(folder, source) as follower: await follower.caught_up()`."""

    def __init__(self, folder: Path, source: Source, name: str = "follower", group: str | None = "follower", **options: Any) -> None:
        self.source = source
        self.database = SqliteDatabase(folder / f"{name}.db")
        self.projection = Seen()
        self.group = source.config.group(group) if group else None
        self.log = KafkaLog(source.config, "source", self.group, source.history, **options)
        self.subscription = Subscription(self.log, ProjectionConsumer(self.projection, self.database))
        self.log.attach(self.subscription)
        self.following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Follower:
        await self.database.install(SCHEMA + TABLES)
        await self.log.start()
        self.following = asyncio.create_task(self.subscription.run(self.log.waker()))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.following is not None:
            await ended(self.following)
        await self.log.stop()
        await self.database.close()

    async def caught_up(self) -> None:
        """Wait until everything written is taken."""
        await until("the follower", lambda: self.subscription.position >= self.source.written)

    async def connected(self) -> None:
        """Wait until the topic is read, and reading it."""
        await until("the topic", lambda: self.log.assigned)

    async def check(self) -> None:
        """Every event written is there once, and nothing was set aside."""
        rows = await self.database.fetch("SELECT position, body FROM seen ORDER BY position")
        assert [(row["position"], row["body"]) for row in rows] == [(n, f"body {n}") for n in range(1, self.source.written + 1)]
        assert await self.database.fetch("SELECT stream FROM parked") == []
        assert self.projection.taken == sorted(self.projection.taken)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def follow_alone(folder: Path, config: KafkaConfig) -> None:
    """What a follower in a process of its own does, until it is ended; the source's log is read from its file."""
    source = Source(folder, config)
    async with Follower(folder, source) as follower:
        assert follower.following is not None
        await follower.following


if __name__ == "__main__":
    asyncio.run(follow_alone(Path(sys.argv[1]), KafkaConfig((sys.argv[2],), prefix=sys.argv[3])))
