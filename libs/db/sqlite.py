"""SQLite: one file a service, WAL, one writer, readers that never wait for it."""
from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Never

from libs.telemetry import logs

from .database import Database, DatabaseBusy, DatabaseError, Row, StorageFull, Transaction, UniqueViolation, UnusableDatabase

BUSY_SECONDS = 15.0
READERS = 16
SCRATCH_CACHE_KIB = 65_536
# Rows changed between two moves of pages from the write-ahead log into the file: some megabytes.
CHECKPOINT_CHANGES = 4_000

_log = logs.get_logger(__name__)
# One thread for all files: they share a disk.
_mover = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")


class _Connection:
    """Statements on one connection. They run inline on the event loop: a thread hop costs more than the query (architecture, section 3)."""

    __slots__ = ("_c", "_depth")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._c = connection
        self._depth = 0

    async def execute(self, sql: str, **params: Any) -> int:
        try:
            return self._c.execute(sql, params).rowcount
        except sqlite3.Error as error:
            _raise(error)

    async def execute_many(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> None:
        try:
            self._c.executemany(sql, rows)
        except sqlite3.Error as error:
            _raise(error)

    async def batch(self, sql: str, **params: Any) -> None:
        """At once: there is no round trip to spare."""
        try:
            self._c.execute(sql, params)
        except sqlite3.Error as error:
            _raise(error)

    async def fetch(self, sql: str, **params: Any) -> Sequence[Row]:
        try:
            return self._c.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            _raise(error)

    async def fetch_one(self, sql: str, **params: Any) -> Row | None:
        try:
            row: Row | None = self._c.execute(sql, params).fetchone()
        except sqlite3.Error as error:
            _raise(error)
        return row

    async def lock(self, name: str) -> None:
        """BEGIN IMMEDIATE already excludes every other writer."""

    async def take_time(self) -> None:
        """Statements always may."""

    async def announce(self, name: str) -> None:
        """Nobody to wake: one process serves a file, and what short commands write beside it is found by polling."""

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        name = f"s{self._depth + 1}"
        await self.execute(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
        except BaseException:
            if self._c.in_transaction:  # a full disk ends the whole transaction at once, and the savepoint with it
                await self.execute(f"ROLLBACK TO {name}")
                await self.execute(f"RELEASE {name}")
            raise
        else:
            await self.execute(f"RELEASE {name}")
        finally:
            self._depth -= 1


def _raise(error: sqlite3.Error) -> Never:
    message = str(error)
    if isinstance(error, sqlite3.IntegrityError) and message.startswith("UNIQUE constraint failed: "):
        raise UniqueViolation(message.removeprefix("UNIQUE constraint failed: ")) from error
    code = getattr(error, "sqlite_errorname", "")
    if code == "SQLITE_FULL" or (code.startswith("SQLITE_IOERR") and _no_room(error)):
        raise StorageFull("the disk is full: free some room, writing goes on by itself") from error
    if code.startswith("SQLITE_IOERR"):
        raise StorageFull(f"the disk does not take the write ({message})") from error
    if code in ("SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED"):
        raise DatabaseBusy("another process is writing: try again") from error
    if code in ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_CANTOPEN", "SQLITE_READONLY"):
        raise UnusableDatabase(message) from error
    raise DatabaseError(message) from error


def _no_room(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorname", "") == "SQLITE_IOERR_WRITE"


def dialect(schema: str) -> str:
    """The portable schema as SQLite takes it best: a key that is exactly INTEGER is the row's own number, without an index of its own.

    See https://sqlite.org/lang_createtable.html#rowid; SQLite's INTEGER has 64 bits, as BIGINT elsewhere.
    """
    return schema.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")


class _Write:
    """A write transaction; taken in turn inside the process, by BEGIN IMMEDIATE between processes."""

    __slots__ = ("_db", "_durable")

    def __init__(self, db: SqliteDatabase, durable: bool) -> None:
        self._db = db
        self._durable = durable

    async def __aenter__(self) -> Transaction:
        db = self._db
        await db.writer_turn.acquire()
        try:
            db.synchronize(self._durable)
            deadline = 0.0
            pause = 0.001
            while True:
                try:
                    db.writer.execute("BEGIN IMMEDIATE")
                    return db.writer_tx
                except sqlite3.OperationalError as error:
                    if not getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
                        _raise(error)
                    now = asyncio.get_running_loop().time()
                    deadline = deadline or now + BUSY_SECONDS
                    if now > deadline:
                        _raise(error)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 0.05)
        except BaseException:
            db.writer_turn.release()
            raise

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        db = self._db
        try:
            if error is None:
                try:
                    db.writer.execute("COMMIT")
                except sqlite3.Error as failure:
                    _roll_back(db.writer)
                    _raise(failure)
            else:
                _roll_back(db.writer)
            db.detach()
            if error is None:
                db.committed()
        finally:
            db.writer_turn.release()


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            _raise(error)


class _Read:
    """A read transaction on a connection of its own, so that reads that interleave keep their own moment."""

    __slots__ = ("_connection", "_db")

    def __init__(self, db: SqliteDatabase) -> None:
        self._db = db

    async def __aenter__(self) -> Transaction:
        self._connection = connection = await self._db.borrow()
        connection.execute("BEGIN")
        return _Connection(connection)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            _roll_back(self._connection)
        finally:
            self._db.give_back(self._connection)


class SqliteDatabase:
    """One SQLite file with its writer and its readers."""

    def __init__(self, path: str | Path, *, durable: bool = True, cache_kib: int = 8_192) -> None:
        """Open or create the file.

        Args:
            path: where; its folder must exist.
            durable: whether a commit is on the disk when it returns (synchronous=FULL); False only for scratch copies.
            cache_kib: page cache of each connection.

        Raises:
            UnusableDatabase: the file is no SQLite database, damaged, or not writable.
        """
        self.path = str(path)
        self._durable = durable
        self._synchronous = True
        self._cache_kib = cache_kib
        self._attached = False
        self.writer_turn = asyncio.Lock()
        try:
            self.writer = self._connect()
        except (sqlite3.Error, OSError) as error:
            raise UnusableDatabase(f"{self.path}: {error}") from error
        self.writer_tx = _Connection(self.writer)
        self._free: list[sqlite3.Connection] = []
        self._opened = 0
        self._returned = asyncio.Condition()
        self._changes_moved = 0
        self._moving: asyncio.Future[None] | None = None

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=0, cached_statements=512, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA busy_timeout = 2000")
        connection.execute(f"PRAGMA journal_mode = {'WAL' if self._durable else 'MEMORY'}")
        connection.execute("PRAGMA busy_timeout = 0")
        # `committed` moves pages long before; this bounds the file where that cannot keep up.
        connection.execute("PRAGMA wal_autocheckpoint = 32000")
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'OFF'}")
        connection.execute(f"PRAGMA cache_size = -{self._cache_kib}")
        connection.execute("PRAGMA foreign_keys = ON")
        # What is erased must not linger in free pages; not every build of SQLite overwrites by itself.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        return connection

    def committed(self) -> None:
        """Now and then move committed pages from the write-ahead log into the file, in a thread: on the loop that stalls all for 0.1 s."""
        changes = self.writer.total_changes
        if self._durable and self._moving is None and changes - self._changes_moved >= CHECKPOINT_CHANGES:
            self._changes_moved = changes
            self._moving = asyncio.get_running_loop().run_in_executor(_mover, self._move)
            self._moving.add_done_callback(self._moved)

    def _move(self) -> None:
        # PASSIVE waits for nobody and holds up nobody: https://sqlite.org/pragma.html#pragma_wal_checkpoint
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=0)
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        finally:
            connection.close()

    def _moved(self, done: asyncio.Future[None]) -> None:
        self._moving = None
        if not done.cancelled() and (error := done.exception()) is not None:
            _log.debug("the write-ahead log stays longer", database=self.path, reason=str(error))

    def detach(self) -> None:
        """Let go of a scratch database that the transaction before copied from."""
        if self._attached:
            self._attached = False
            self.writer.execute("DETACH DATABASE rebuilt")

    async def fetch(self, sql: str, **params: Any) -> Sequence[Row]:
        """All rows of one query.

        Between write transactions the writer's own connection answers: its page cache survives its writes, while every other
        connection must read its pages again after each commit.
        """
        if not self.writer.in_transaction:
            return await self.writer_tx.fetch(sql, **params)
        async with self.snapshot() as tx:
            return await tx.fetch(sql, **params)

    async def fetch_one(self, sql: str, **params: Any) -> Row | None:
        """The first row of one query."""
        if not self.writer.in_transaction:
            return await self.writer_tx.fetch_one(sql, **params)
        async with self.snapshot() as tx:
            return await tx.fetch_one(sql, **params)

    def transaction(self, *, durable: bool = True) -> _Write:
        """A write transaction."""
        return _Write(self, durable)

    def synchronize(self, durable: bool) -> None:
        """Whether the next commit waits for the disk: synchronous=FULL or NORMAL (https://sqlite.org/pragma.html#pragma_synchronous)."""
        if self._durable and durable != self._synchronous:
            self.writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._synchronous = durable

    def snapshot(self) -> _Read:
        """A read-only view of one committed moment."""
        return _Read(self)

    async def borrow(self) -> sqlite3.Connection:
        """A read connection; waits when all are taken."""
        while True:
            if self._free:
                return self._free.pop()
            if self._opened < READERS:
                try:
                    connection = self._connect()
                    connection.execute("PRAGMA query_only = ON")
                except sqlite3.Error as error:
                    _raise(error)
                self._opened += 1
                return connection
            async with self._returned:
                await self._returned.wait_for(lambda: bool(self._free))

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Return what `borrow` gave."""
        self._free.append(connection)
        if self._opened >= READERS:
            asyncio.get_running_loop().create_task(self._notify())

    async def _notify(self) -> None:
        async with self._returned:
            self._returned.notify()

    def listen(self, name: str, wake: Callable[[], None]) -> None:
        """Nothing to hear: see `announce`."""

    async def install(self, schema: str) -> None:
        """Create what is missing of a schema."""
        async with self.writer_turn:
            try:
                self.writer.execute("PRAGMA busy_timeout = 10000")
                self.writer.executescript(dialect(schema))
            except sqlite3.Error as error:
                _raise(error)
            finally:
                self.writer.execute("PRAGMA busy_timeout = 0")

    @asynccontextmanager
    async def scratch(self, schema: str) -> AsyncIterator[Database]:
        """An empty database with this schema beside the live file."""
        folder = Path(self.path).parent
        handle, name = tempfile.mkstemp(prefix=".rebuild-", suffix=".db", dir=folder)
        os.close(handle)
        scratch = SqliteDatabase(name, durable=False, cache_kib=SCRATCH_CACHE_KIB)
        try:
            await scratch.install(schema)
            yield scratch
        finally:
            await scratch.close()
            for suffix in ("", "-wal", "-shm"):
                Path(name + suffix).unlink(missing_ok=True)

    async def adopt(self, scratch: Database, tables: Sequence[str], tx: Transaction) -> None:
        """Copy the scratch tables over the live ones inside `tx`."""
        if not isinstance(scratch, SqliteDatabase):
            raise TypeError("a scratch database of the same engine is needed")
        # Attaching is outside every transaction's doing and undoing; the name is free again at `detach`, after the commit.
        await tx.execute("ATTACH DATABASE :path AS rebuilt", path=scratch.path)
        self._attached = True
        for table in tables:
            rows = await tx.fetch("SELECT name FROM pragma_table_info(:table)", table=table)
            columns = ", ".join(row["name"] for row in rows)
            await tx.execute(f"DELETE FROM main.{table}")
            await tx.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM rebuilt.{table}")

    async def backup(self, path: str) -> None:
        """A consistent copy in one file, by SQLite's online backup."""

        def copy() -> None:
            source = sqlite3.connect(self.path, timeout=10)
            target = sqlite3.connect(path)
            try:
                source.backup(target, pages=2_000, sleep=0.01)
            finally:
                target.close()
                source.close()

        try:
            await asyncio.to_thread(copy)
        except sqlite3.Error as error:
            _raise(error)

    async def close(self) -> None:
        """Release every connection."""
        if self._moving is not None:
            await asyncio.wait([self._moving])
        for connection in self._free:
            connection.close()
        self._free.clear()
        self.writer.close()
