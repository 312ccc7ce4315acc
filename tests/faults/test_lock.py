"""Another process holds the write lock: writers here wait, the event loop does not, and too long is said clearly."""
from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from libs.db import sqlite
from libs.db.database import DatabaseBusy
from libs.db.sqlite import SqliteDatabase
from libs.eventstore.model import Metadata
from libs.eventstore.store import SCHEMA, EventStore
from libs.rpc.errors import problem_of
from libs.testing.contracts import TABLES, Texts, published

META = Metadata("ann")

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=5)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
print("released", flush=True)
sys.stdin.readline()
"""


class Holder:
    """A process that holds the write lock until told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def release(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "released\n"


@contextmanager
def held(path: Path) -> Iterator[Holder]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield Holder(process)
        finally:
            process.kill()


async def opened(folder: Path) -> EventStore:
    database = SqliteDatabase(folder / "events.db")
    await database.install(SCHEMA + TABLES)
    return EventStore("test", database, (Texts(),))


async def longest_pause(stop: asyncio.Event) -> float:
    """The longest time the event loop was away, in seconds."""
    longest = 0.0
    while not stop.is_set():
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - before)
    return longest


async def test_a_writer_waits_for_the_lock_and_readers_do_not(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store.append("post-1", 0, [published(1)], META)
    with held(tmp_path / "events.db") as holder:
        stop = asyncio.Event()
        pauses = asyncio.create_task(longest_pause(stop))
        writing = asyncio.gather(*(store.append(f"post-{n}", 0, [published(n)], META) for n in range(2, 12)))
        for _ in range(200):  # while it waits, reads are answered
            assert len(await store.read("post-1")) == 1
            await asyncio.sleep(0.001)
        assert not writing.done()
        holder.release()
        assert sorted(await writing) == list(range(2, 12))
        stop.set()
        assert await pauses < 0.5, "the event loop stood still"
    await store.database.close()


async def test_too_long_is_busy_and_says_try_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.2)
    store = await opened(tmp_path)
    with held(tmp_path / "events.db") as holder:
        results = await asyncio.gather(
            *(store.append(f"post-{n}", 0, [published(n)], META) for n in range(3)), return_exceptions=True
        )
        assert [type(result) for result in results] == [DatabaseBusy] * 3
        problem = problem_of(DatabaseBusy(str(results[0])))
        assert problem is not None
        assert (problem.code, problem.retry_seconds) == (grpc.StatusCode.UNAVAILABLE, 5)
        assert "try again" in problem.reason
        assert await store.head() == 0
        holder.release()
        assert await store.append("post-1", 0, [published(1)], META) == 1
    await store.database.close()


async def test_a_lock_held_by_a_process_that_dies_is_free(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    with held(tmp_path / "events.db"):
        writing = asyncio.create_task(store.append("post-1", 0, [published(1)], META))
        await asyncio.sleep(0)
        assert not writing.done()
    assert await writing == 1
    with sqlite3.connect(tmp_path / "events.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM events").fetchone() == (1,)
    await store.database.close()
