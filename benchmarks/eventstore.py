"""How fast commands become durable events, beside the bare engine and the `eventsourcing` library in the same run.

    .venv/bin/python benchmarks/eventstore.py [--seconds 3]

A whole command is: load the stream, decide, append durably (synchronous=FULL), apply an inline projection, answer. Text is sealed with
its author's key. The raw baselines insert rows of the same size with the same durability and do nothing else.
"""
from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from uuid import uuid4

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.db.sqlite import SqliteDatabase, dialect
from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, Recorded, Rejected
from libs.eventstore.store import SCHEMA, EventStore
from libs.runtime.embedded import spare_collector
from libs.subscriptions import rebuild
from libs.subscriptions.consumers import ProjectionConsumer
from libs.subscriptions.subscription import Subscription
from libs.text.ids import new_id
from watercooler.common.v1.audience_pb2 import Audience, Everyone
from watercooler.feed.v1.events_pb2 import PostPublished, PostSaved

BODY = "Has anyone run the recycled film above 80 degrees? We see seal creep from the second shift on. #sealing " * 2
EVERYONE = Audience(everyone=Everyone())
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TABLE = """
CREATE TABLE IF NOT EXISTS posts (
    post_id   TEXT PRIMARY KEY,
    author_id TEXT NOT NULL,
    body      TEXT NOT NULL,
    version   INTEGER NOT NULL
);
"""
MARKS = "CREATE TABLE IF NOT EXISTS marks (post_id TEXT PRIMARY KEY, person_id TEXT NOT NULL);"


@dataclass(frozen=True, slots=True)
class PublishPost:
    """Publish a text, once."""

    post_id: str
    author_id: str
    body: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Post:
    """What the decision needs to know."""

    status: Literal["absent", "live"] = "absent"
    author_id: str = ""


class PostDecider:
    """A post in its plainest form, so that the figures are the kernel's and not a service's."""

    def initial(self) -> Post:
        return Post()

    def decide(self, command: PublishPost, state: Post) -> list[PostPublished]:
        if state.status != "absent":
            return []
        if not command.body.strip():
            raise Rejected("an empty post says nothing")
        event = PostPublished(post_id=command.post_id, author_id=command.author_id, body=command.body, audience=EVERYONE)
        event.publish_time.FromDatetime(command.now)
        return [event]

    def evolve(self, state: Post, event: PostPublished) -> Post:
        return Post("live", event.author_id)


class Posts:
    """A plain projection: one row a post."""

    name = "bench.posts"
    handles: tuple[type[Message], ...] = (PostPublished,)
    tables: tuple[str, ...] = ("posts",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        data = event.data
        assert isinstance(data, PostPublished)
        await tx.execute(
            "INSERT INTO posts (post_id, author_id, body, version) VALUES (:id, :author, :body, :version)",
            id=data.post_id, author=data.author_id, body=data.body, version=event.version,
        )


class Async(Posts):
    """The same, fed from the log."""

    name = "bench.async"


def raw(folder: Path, batch: int, seconds: float) -> float:
    """Rows a second that bare sqlite3 makes durable, `batch` a commit."""
    connection = sqlite3.connect(folder / f"raw{new_id()}.db", isolation_level=None)
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
    connection.executescript(dialect(SCHEMA))
    insert = "INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
    data = os.urandom(len(BODY) + 150)
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(batch):
            count += 1
            connection.execute(insert, (count, f"{count:036}", f"post-{count:036}", 1, "t", data, None, "a", "c", "c", "", 1))
        connection.execute("COMMIT")
    connection.close()
    return count / elapsed


async def commands(folder: Path, callers: int, seconds: float) -> tuple[float, EventStore]:
    """Whole commands a second from so many concurrent callers."""
    database = SqliteDatabase(folder / f"commands{callers}-{new_id()}.db")
    await database.install(SCHEMA + TABLE)
    store = EventStore("bench", database, (Posts(),))
    authors = [new_id() for _ in range(100)]
    end = time.perf_counter() + seconds

    async def caller(number: int) -> int:
        done = 0
        while time.perf_counter() < end:
            post_id = new_id()
            author = authors[(number + done) % len(authors)]
            command = PublishPost(post_id, author, BODY, NOW)
            await handle(store, PostDecider(), f"post-{post_id}", command, Metadata(author))
            done += 1
        return done

    start = time.perf_counter()
    total = sum(await asyncio.gather(*(caller(n) for n in range(callers))))
    return total / (time.perf_counter() - start), store


class Marks:
    """A plain projection of events without personal fields: one row an event."""

    name = "bench.marks"
    handles: tuple[type[Message], ...] = (PostSaved,)
    tables: tuple[str, ...] = ("marks",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        data = event.data
        assert isinstance(data, PostSaved)
        await tx.execute("INSERT INTO marks (post_id, person_id) VALUES (:id, :person)", id=data.post_id, person=data.person_id)


async def rebuilt_unsealed(folder: Path, count: int) -> float:
    """Events a second of a rebuild where nothing has to be decrypted."""
    database = SqliteDatabase(folder / "unsealed.db")
    schema = SCHEMA + MARKS
    await database.install(schema)
    store = EventStore("bench", database, (Marks(),))
    for first in range(0, count, 100):
        events = [PostSaved(post_id=new_id(), person_id=f"person-{number % 50}") for number in range(first, first + 100)]
        await store.append(f"response-{first}", 0, events, Metadata("bench"))
    start = time.perf_counter()
    await rebuild.rebuild(Marks(), store, database, schema, inline=True)
    return count / (time.perf_counter() - start)


async def projected(store: EventStore) -> tuple[float, float]:
    """Events a second taken by a subscription, and by a rebuild."""
    database = SqliteDatabase(Path(str(store.database.path)).with_suffix(".other.db"))  # type: ignore[attr-defined]
    await database.install(SCHEMA + TABLE)
    subscription = Subscription(store, ProjectionConsumer(Async(), database))
    start = time.perf_counter()
    count = 0
    while taken := await subscription.step():
        count += taken
    live = count / (time.perf_counter() - start)
    start = time.perf_counter()
    count = await rebuild.rebuild(Posts(), store, store.database, SCHEMA + TABLE, inline=True)
    return live, count / (time.perf_counter() - start)


def library(folder: Path, seconds: float) -> float:
    """Commands a second of the `eventsourcing` library on SQLite, one aggregate event a command, same durability."""
    from eventsourcing.application import Application
    from eventsourcing.domain import Aggregate, event

    class Entry(Aggregate):
        @event("Published")
        def __init__(self, author_id: str, body: str) -> None:
            self.author_id = author_id
            self.body = body

    path = folder / "library.db"
    application = Application(env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)})
    author = str(uuid4())
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        application.save(Entry(author, BODY))
        count += 1
    application.close()
    return count / elapsed


def main() -> None:
    """Print the figures and their ratios."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=3.0)
    seconds = arguments.parse_args().seconds
    spare_collector()  # as the program does
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as name:
        folder = Path(name)
        one, many = raw(folder, 1, seconds), raw(folder, 64, seconds)
        other = library(folder, seconds)
        print(f"raw sqlite3, one insert a commit     {one:10,.0f} rows/s")
        print(f"raw sqlite3, 64 inserts a commit     {many:10,.0f} rows/s")
        print(f"eventsourcing library, one caller    {other:10,.0f} commands/s")
        # One caller is mostly the disk's wait: the two are measured in turn, so that the ratio holds while the disk's speed drifts.
        pairs = [(asyncio.run(commands(folder, 1, seconds / 2))[0], raw(folder, 1, seconds / 2)) for _ in range(5)]
        ratios = sorted(ours / bare for ours, bare in pairs)
        alone = statistics.median(ours for ours, _ in pairs)
        print(
            f"commands,  1 caller                  {alone:10,.0f} commands/s   {ratios[2]:5.2f} x raw one a commit, in turn"
            f" ({ratios[0]:.2f} to {ratios[-1]:.2f})   {alone / other:5.2f} x library"
        )
        store: EventStore | None = None
        for callers in (16, 64):
            rate, store = asyncio.run(commands(folder, callers, seconds))
            print(
                f"commands, {callers:2} callers                 {rate:10,.0f} commands/s"
                f"   {rate / one:5.2f} x raw one a commit   {rate / many:5.2f} x raw 64 a commit   {rate / other:5.2f} x library"
            )
        assert store is not None
        live, again = asyncio.run(projected(EventStore("bench", SqliteDatabase(store.database.path), (Posts(),))))  # type: ignore[attr-defined]
        print(f"subscription, async projection       {live:10,.0f} events/s")
        print(f"rebuild of a plain projection        {again:10,.0f} events/s, each decrypted")
        unsealed = asyncio.run(rebuilt_unsealed(folder, 100_000))
        print(f"rebuild of a plain projection        {unsealed:10,.0f} events/s, none with personal fields")


if __name__ == "__main__":
    main()
