"""PostgreSQL: a database on a server, shared by every process of a service.

The only module that knows asyncpg. Statements are prepared once a connection, so connections must be the process's own: a pooler between
has to pool sessions, not transactions.
"""
from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import secrets
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from weakref import WeakKeyDictionary

import asyncpg

from libs.telemetry import logs

from .database import (
    CommitUnknown,
    Database,
    DatabaseAway,
    DatabaseBusy,
    DatabaseError,
    Reader,
    Row,
    StatementTimeout,
    StorageFull,
    Transaction,
    UniqueViolation,
    UnstorableText,
    UnusableDatabase,
)
from .schema import TOKENS, created, statements

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

OLDEST_VERSION = 14
LOCK_SECONDS = 15.0
CONNECT_SECONDS = 10.0
# How much longer than the server we wait before a connection counts as lost.
GRACE_SECONDS = 5.0
ROLLBACK_SECONDS = 5.0
# A transaction in which nothing happens for so long belongs to a process that hangs: the server ends it, and its locks are free.
IDLE_TRANSACTION_SECONDS = 60
# Connections above the first that nobody needed for so long are closed.
IDLE_SECONDS = 300.0
STATEMENTS_CACHED = 256
BATCH_STATEMENTS = 500
LISTEN_CHECK_SECONDS = 20.0
LONGEST_PAUSE_SECONDS = 5.0
CHANNEL = "watercooler"
SCRATCH_CONNECTIONS = 2
SCRATCH_PREFIX = "rebuild_"
DAY_SECONDS = 86_400.0

_log = logs.get_logger(__name__)

# After these a connection is of no use. The driver's internal error comes when the server ended a connection that nobody was using.
_BROKEN = (OSError, TimeoutError, asyncpg.InternalClientError)
_FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)

# Each parameter is cast to what its value is, so that the server never has to guess, and guesses the same for every value.
_CASTS: dict[type, str] = {
    int: "::bigint", bool: "::bigint", str: "::text", bytes: "::bytea", bytearray: "::bytea", memoryview: "::bytea",
    float: "::double precision", type(None): "",
}


@lru_cache(maxsize=4_096)
def _parts(sql: str) -> tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...]]:
    """The pieces between the parameters of a statement, which parameter stands after each, and their names."""
    sql = dialect(sql)
    pieces: list[str] = []
    order: list[int] = []
    names: dict[str, int] = {}
    start = 0
    for token in TOKENS.finditer(sql):
        name = token["name"]
        if name is not None:
            pieces.append(sql[start:token.start()])
            order.append(names.setdefault(name, len(names)))
            start = token.end()
    pieces.append(sql[start:])
    return tuple(pieces), tuple(order), tuple(names)


@lru_cache(maxsize=8_192)
def _numbered(sql: str, kinds: tuple[type, ...]) -> str:
    pieces, order, _ = _parts(sql)
    casts = [_cast(kind) for kind in kinds]
    text = [pieces[0]]
    for number, piece in zip(order, pieces[1:], strict=True):
        text += (f"${number + 1}{casts[number]}", piece)
    return "".join(text)


def _cast(kind: type) -> str:
    for base in kind.__mro__:
        if base in _CASTS:
            return _CASTS[base]
    raise DatabaseError(f"a parameter of type {kind.__name__} cannot be stored")


def numbered(sql: str, params: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """A statement with `:names` as the server takes it, and its values in order.

    Raises:
        DatabaseError: a value is missing, or of a type that no column holds.
    """
    _, _, names = _parts(sql)
    try:
        values = [params[name] for name in names]
    except KeyError as error:
        raise DatabaseError(f"the parameter {error} has no value") from error
    return _numbered(sql, tuple(map(type, values))), values


_TYPES = re.compile(r"\b(TEXT|INTEGER|BLOB)\b")
_TYPE_NAMES = {"TEXT": 'TEXT COLLATE "C"', "INTEGER": "BIGINT", "BLOB": "BYTEA"}


def dialect(statement: str, *, logged: bool = True) -> str:
    """A statement of a portable schema as PostgreSQL takes it: the same order of texts and range of numbers as SQLite's.

    Texts are ordered by their code points, whatever the database's own collation is.
    """
    made = created(statement)
    if (made is None or not made.is_table) and not statement.lstrip().startswith("ALTER TABLE"):
        return statement
    text: list[str] = []
    start = 0
    for token in TOKENS.finditer(statement):
        if token["other"] is not None:
            text += (_TYPES.sub(lambda t: _TYPE_NAMES[t[0]], statement[start:token.start()]), token[0])
            start = token.end()
    text.append(_TYPES.sub(lambda t: _TYPE_NAMES[t[0]], statement[start:]))
    whole = "".join(text)
    return whole if logged else whole.replace("CREATE TABLE", "CREATE UNLOGGED TABLE", 1)


def lock_number(name: str) -> int:
    """The 64-bit number of a named lock, the same in every process and version."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


_KEY = re.compile(r"\((?P<columns>.+?)\)=\(")


def _meaning(error: BaseException) -> DatabaseError:
    """What an error of the driver or the server means here."""
    if isinstance(error, asyncpg.UniqueViolationError):
        return UniqueViolation(_violated(error))
    state: str = getattr(error, "sqlstate", None) or ""
    if state == "53100" or state == "58030":
        return StorageFull("the disk of the database is full: free some room, writing goes on by itself")
    if state == "57014":
        return StatementTimeout("the database took too long over this: try again")
    if state in ("22021", "22P05"):
        return UnstorableText("text must not hold the character NUL: take it out")
    if state in ("40001", "40P01", "55P03"):
        return DatabaseBusy("another process is writing: try again")
    if state in ("0A000", "26000", "34000") and isinstance(error, asyncpg.InvalidCachedStatementError):
        return DatabaseBusy("the tables have just been changed: try again")
    if state == "25006":
        return DatabaseBusy("the database takes no writes now: try again when its server is the primary again")
    if _is_away(error):
        return DatabaseBusy("the database cannot be reached: try again")
    return DatabaseError(f"{type(error).__name__}: {error}")


def _is_away(error: BaseException) -> bool:
    """Whether the server, or the connection to it, is gone."""
    state: str = getattr(error, "sqlstate", None) or ""
    if state[:2] in ("08", "53") or state in ("57P01", "57P02", "57P03", "57P04", "57P05", "25P03"):
        return True
    if isinstance(error, _BROKEN):
        return True
    return isinstance(error, asyncpg.InterfaceError) and "connection is closed" in str(error)


def _violated(error: asyncpg.UniqueViolationError) -> str:
    """Table and columns as SQLite names them: `table.a, table.b`."""
    # "Key (a, b)=(1, 2) already exists.": translated by the server, but for the parentheses.
    table = error.table_name or ""
    key = _KEY.search(error.detail or "")
    if key is None:
        return f"{table}.{error.constraint_name}"
    return ", ".join(f"{table}.{column.strip()}" for column in key["columns"].split(","))


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


class _Pool:
    """Connections for reuse: the newest first, and first come first served when all are in use."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], most: int, patience: float, *, fragile: bool = False) -> None:
        self._connect = connect
        self.most = most
        self._patience = patience
        self._fragile = fragile
        self._lost = False
        self._closed = False
        self._open = 0
        self._free: deque[tuple[Connection, float]] = deque()
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._mending: set[asyncio.Task[None]] = set()

    async def take(self) -> Connection:
        """A connection; waits for one when all are in use.

        Raises:
            DatabaseBusy: none became free in time, or the server cannot be reached.
        """
        while self._free:
            connection, _ = self._free.pop()
            if not connection.is_closed():
                return connection
            self._open -= 1
            self._lost = True
        self._check()
        if self._open >= self.most:
            waiting: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            try:
                async with asyncio.timeout(self._patience):
                    given = await waiting
            except TimeoutError:
                raise DatabaseBusy(f"all {self.most} connections to the database are in use: try again") from None
            except BaseException:
                if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                    self._take_back(waiting.result())
                raise
            if given is not None:
                return given
        else:
            self._open += 1
        try:
            return await self._connect()
        except BaseException:
            self._take_back(None)
            raise

    def give(self, connection: Connection) -> None:
        """Return a connection that nothing is running on."""
        if connection.is_closed():
            self._lost = True
            self._take_back(None)
        elif self._closed:
            connection.terminate()
        else:
            self._take_back(connection)

    def mend(self, connection: Connection) -> None:
        """Return a connection whose statement or transaction was broken off: it is made fit again, or dropped."""
        task = asyncio.get_running_loop().create_task(self._mend(connection))
        self._mending.add(task)
        task.add_done_callback(self._mending.discard)

    async def _mend(self, connection: Connection) -> None:
        await _roll_back(connection)
        self.give(connection)

    def _take_back(self, connection: Connection | None) -> None:
        """A connection, or the place of one, is free."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(connection)
                return
        if connection is None:
            self._open -= 1
            return
        now = asyncio.get_running_loop().time()
        self._free.append((connection, now))
        while len(self._free) > 1 and not self._fragile and now - self._free[0][1] > IDLE_SECONDS:
            idle, _ = self._free.popleft()
            self._open -= 1
            idle.terminate()

    def _check(self) -> None:
        if self._closed:
            raise DatabaseBusy("this process is letting go of the database")
        if self._fragile and self._lost:
            raise DatabaseBusy("the connection to the scratch tables broke, and what was in them may be gone: begin again")

    async def close(self) -> None:
        self._closed = True
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(DatabaseBusy("this process is letting go of the database"))
        if self._mending:
            await asyncio.gather(*self._mending, return_exceptions=True)
        while self._free:
            connection, _ = self._free.pop()
            await _close(connection)


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=ROLLBACK_SECONDS)
    except _FAULTS:
        connection.terminate()


async def _roll_back(connection: Connection) -> None:
    """Leave whatever transaction there is; a connection on which that fails is cut, which ends the transaction as well."""
    if connection.is_closed():
        return
    try:
        await connection.execute("ROLLBACK", timeout=ROLLBACK_SECONDS)
    except BaseException as error:
        connection.terminate()
        if not isinstance(error, _FAULTS):
            raise


_PLACE = r"\s*\$[0-9]+::[a-z ]+"
_PLAIN_INSERT = re.compile(
    rf"\s*(?P<into>INSERT\s+INTO\s+\w+\s*\([\w\s,]+\))\s*VALUES\s*\((?P<values>{_PLACE}(?:,{_PLACE})*)\)\s*", re.IGNORECASE
)


@lru_cache(maxsize=1_024)
def _at_once(text: str) -> str | None:
    """An insert of one row of nothing but parameters, as an insert of many rows given column by column; None for anything else.

    The server takes a list a column several times as fast as a message a row.
    """
    plain = _PLAIN_INSERT.fullmatch(text)
    if plain is None:
        return None
    columns = [each.strip() for each in plain["values"].split(",")]
    if [each.partition("::")[0] for each in columns] != [f"${number + 1}" for number in range(len(columns))]:
        return None
    return f"{plain['into']} SELECT * FROM unnest({', '.join(f'{each}[]' for each in columns)})"


# The prepared form of each statement that was ever sent together with others, by connection.
_prepared: WeakKeyDictionary[Connection, dict[str, Any]] = WeakKeyDictionary()


async def _call(connection: Connection, text: str, values: Sequence[Any]) -> str:
    """A statement as a call of its prepared form, so that statements of several kinds go in one message.

    The prepared form gives each literal its type: https://www.postgresql.org/docs/current/sql-execute.html
    """
    known = _prepared.setdefault(connection, {})
    prepared = known.get(text)
    if prepared is None:
        prepared = known[text] = await connection.prepare(text)
    arguments = ",".join(map(_literal, values))
    return f"EXECUTE {prepared.get_name()}({arguments})" if arguments else f"EXECUTE {prepared.get_name()}"


def _literal(value: Any) -> str:
    """A value as it stands in a statement; texts as standard_conforming_strings reads them, which `connect` sets.

    Raises:
        UnstorableText: NUL, or half a surrogate pair.
    """
    if value is None:
        return "NULL"
    if isinstance(value, str):
        if "\0" in value or not _whole(value):
            raise UnstorableText("text must not hold the character NUL or half a character: take it out")
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return f"'{value!r}'"
    return f"'\\x{bytes(value).hex()}'"


def _whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Transaction:
    """Statements on one connection, in a transaction that begins with the first of them."""

    __slots__ = ("_batch", "_begin", "_c", "_depth", "_pool", "_seconds", "announced", "begun", "connection")

    def __init__(self, pool: _Pool, connection: Connection, begin: str, seconds: float) -> None:
        self._c = connection
        self.connection: Connection | None = connection  # to be given back; None when that has been done
        self._pool = pool
        self._begin = begin
        self._seconds = seconds
        self._depth = 0
        self._batch: list[tuple[str, list[Any]]] = []
        self.begun = False
        self.announced: set[str] = set()

    async def start(self, then: str = "") -> None:
        """Begin, and run a first statement without parameters in the same round trip.

        A connection that turns out to have been lost is exchanged: nothing has been done on it yet.
        """
        self.begun = True
        for attempt in range(self._pool.most, -1, -1):
            try:
                await self._run(f"{self._begin};{then}")
            except DatabaseBusy as error:
                if not attempt or not self._c.is_closed() or isinstance(error.__cause__, TimeoutError):
                    raise
                self.connection = None
                self._pool.give(self._c)
                self._c = self.connection = await self._pool.take()
            else:
                return

    async def _run(self, sql: str, seconds: float = 0) -> str:
        try:
            return await self._c.execute(sql, timeout=seconds or self._seconds)
        except _FAULTS as error:
            raise self._failed(error) from error

    def _failed(self, error: BaseException) -> DatabaseError:
        if isinstance(error, _BROKEN):
            self._c.terminate()
        return _meaning(error)

    async def batch(self, sql: str, **params: Any) -> None:
        """Kept until somebody needs an answer or BATCH_STATEMENTS are there, and then sent in one message."""
        if not self.begun:
            await self.start()
        self._batch.append(numbered(sql, params))
        if len(self._batch) >= BATCH_STATEMENTS:
            await self._ready()

    async def _ready(self) -> None:
        """Begin where that has not happened, and send what was kept."""
        if not self.begun:
            await self.start()
        if not self._batch:
            return
        batch, self._batch = self._batch, []
        first = batch[0][0]
        try:
            if len(batch) == 1:
                await self._c.execute(first, *batch[0][1], timeout=self._seconds)
            elif all(text == first for text, _ in batch):
                rows = [values for _, values in batch]
                if (at_once := _at_once(first)) is not None:
                    await self._c.execute(at_once, *map(list, zip(*rows, strict=True)), timeout=self._seconds)
                else:
                    await self._c.executemany(first, rows, timeout=self._seconds)
            else:
                if len(_prepared.get(self._c, ())) > STATEMENTS_CACHED:
                    del _prepared[self._c]  # the driver lets go of each on the server too
                calls = [await _call(self._c, text, values) for text, values in batch]
                await self._c.execute(";".join(calls), timeout=self._seconds)
        except _FAULTS as error:
            raise self._failed(error) from error

    async def execute(self, sql: str, **params: Any) -> int:
        await self._ready()
        text, values = numbered(sql, params)
        try:
            status = await self._c.execute(text, *values, timeout=self._seconds)
        except _FAULTS as error:
            raise self._failed(error) from error
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else -1

    async def execute_many(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        await self._ready()
        text, values = numbered(sql, rows[0])
        if len(rows) == 1:
            run: Awaitable[Any] = self._c.execute(text, *values, timeout=self._seconds)
        else:
            names = _parts(sql)[2]
            run = self._c.executemany(text, [[row[name] for name in names] for row in rows], timeout=self._seconds)
        try:
            await run
        except _FAULTS as error:
            raise self._failed(error) from error

    async def fetch(self, sql: str, **params: Any) -> Sequence[Row]:
        await self._ready()
        text, values = numbered(sql, params)
        try:
            return await self._c.fetch(text, *values, timeout=self._seconds)
        except _FAULTS as error:
            raise self._failed(error) from error

    async def fetch_one(self, sql: str, **params: Any) -> Row | None:
        await self._ready()
        text, values = numbered(sql, params)
        try:
            return await self._c.fetchrow(text, *values, timeout=self._seconds)
        except _FAULTS as error:
            raise self._failed(error) from error

    async def lock(self, name: str) -> None:
        """A lock of the server's, until the transaction ends."""
        sql = f"SELECT pg_advisory_xact_lock({lock_number(name)})"
        if self.begun:
            await self._ready()
            await self._run(sql)
        else:
            await self.start(sql)

    async def announce(self, name: str) -> None:
        """Told to the others after the commit, and to nobody when there is none."""
        self.announced.add(name)

    async def take_time(self) -> None:
        """A day for each statement; locks are still not waited for longer than usual, since others would wait behind."""
        await self.script("SET LOCAL statement_timeout = 0;SET LOCAL idle_in_transaction_session_timeout = 0")
        self._seconds = DAY_SECONDS

    async def script(self, sql: str) -> None:
        """Statements without parameters, in one round trip."""
        await self._ready()
        await self._run(sql)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        await self._ready()
        name = f"s{self._depth + 1}"
        await self._run(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
            await self._ready()
        except BaseException:
            self._batch.clear()
            if not self._c.is_closed():
                await self._run(f"ROLLBACK TO {name}; RELEASE {name}")
            raise
        else:
            await self._run(f"RELEASE {name}")
        finally:
            self._depth -= 1

    async def commit(self) -> None:
        """Store everything.

        Raises:
            CommitUnknown: the connection broke meanwhile.
            DatabaseError: a statement had failed, so there is nothing to store.
        """
        await self._ready()
        try:
            status = await self._c.execute("COMMIT", timeout=self._seconds)
        except _FAULTS as error:
            meaning = self._failed(error)
            if _is_away(error):
                raise CommitUnknown from error
            raise meaning from error
        if status != "COMMIT":
            raise DatabaseError("a statement of the transaction failed before, so nothing was stored")


class _Scope:
    """A transaction as a block."""

    __slots__ = ("_begin", "_db", "_tx")

    def __init__(self, db: PostgresDatabase, begin: str) -> None:
        self._db = db
        self._begin = begin

    async def __aenter__(self) -> Transaction:
        pool = self._db.pool
        self._tx = _Transaction(pool, await pool.take(), self._begin, self._db.statement_seconds)
        return self._tx

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pool, tx = self._db.pool, self._tx
        connection = tx.connection
        if connection is None:
            return
        if not tx.begun:
            pool.give(connection)
            return
        try:
            if error is None:
                await tx.commit()
            else:
                await _roll_back(connection)
        except BaseException:
            pool.mend(connection)
            raise
        pool.give(connection)
        if error is None and tx.announced:
            self._db.announcer.say(tx.announced)


_WRITE = "BEGIN"
_ANNOUNCE = "BEGIN;SET LOCAL synchronous_commit = off"
# A view of one moment may be held for as long as a rebuild beside it lasts.
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;SET LOCAL idle_in_transaction_session_timeout = 0"


class PostgresDatabase:
    """One database on a PostgreSQL server."""

    def __init__(self, url: str, place: str, *, connections: int, timeout_seconds: float, schema: str = "") -> None:
        """Use `open`."""
        self._url = url
        self.place = place
        self._connections = connections
        self._timeout_seconds = timeout_seconds
        self._schema = schema
        self.statement_seconds = timeout_seconds + GRACE_SECONDS
        self.origin = secrets.token_hex(8)
        self._opened = False
        self.pool = _Pool(self._reconnect, connections, min(LOCK_SECONDS, timeout_seconds), fragile=bool(schema))
        self.announcer = _Announcer(self)
        self._listener: _Listener | None = None

    @classmethod
    async def open(cls, url: str, *, connections: int = 16, timeout_seconds: float = 30.0) -> PostgresDatabase:
        """Connect to a database that exists.

        Args:
            url: `postgresql://user:password@host:port/database`, with the parameters of libpq such as `sslmode=verify-full`.
            connections: how many are opened at most, as they are needed; listening and a rebuild open up to four more.
            timeout_seconds: how long one statement may take.

        Raises:
            DatabaseBusy: the server cannot be reached, is starting, or takes no more connections: try again.
            UnusableDatabase: user, password, database, certificate or version are not right; the message never holds the password.
        """
        database = cls(url, _place(url), connections=max(2, connections), timeout_seconds=timeout_seconds)
        connection = await database.pool.take()
        try:
            version = connection.get_server_version()
            encoding = await connection.fetchval("SHOW server_encoding")
            if version.major < OLDEST_VERSION:
                raise UnusableDatabase(f"{database.place} is PostgreSQL {version.major}: version {OLDEST_VERSION} or newer is needed")
            if encoding != "UTF8":
                raise UnusableDatabase(f"{database.place} has the encoding {encoding}: make the database with ENCODING 'UTF8'")
        except _FAULTS as error:
            raise _meaning(error) from error
        except UnusableDatabase:
            connection.terminate()
            raise
        finally:
            database.pool.give(connection)
        database._opened = True
        return database

    async def _reconnect(self, *, plain: bool = False) -> Connection:
        """A further connection: what was right at the start and is not now may be right again, as when a password changes."""
        try:
            return await self.connect(plain=plain)
        except UnusableDatabase as error:
            if not self._opened:
                raise
            raise DatabaseBusy(str(error)) from error

    async def connect(self, *, plain: bool = False) -> Connection:
        """A connection of its own, not of the pool; raises as `open`. A plain one is spared what only queries with results need."""
        seconds = round(self._timeout_seconds * 1_000)
        settings = {
            "application_name": "watercooler",
            "statement_timeout": str(seconds),
            "lock_timeout": str(min(seconds // 2, round(LOCK_SECONDS * 1_000))),
            "idle_in_transaction_session_timeout": str(round(max(IDLE_TRANSACTION_SECONDS, 2 * self._timeout_seconds) * 1_000)),
            "idle_session_timeout": "0",
            "tcp_keepalives_idle": "30",
            "tcp_keepalives_interval": "10",
            "tcp_keepalives_count": "3",
            "jit": "off",
            "standard_conforming_strings": "on",
            "timezone": "UTC",
        }
        if self._schema:
            settings |= {"search_path": self._schema, "synchronous_commit": "off"}
        try:
            connection: Connection = await asyncpg.connect(
                self._url, timeout=CONNECT_SECONDS, statement_cache_size=STATEMENTS_CACHED, max_cached_statement_lifetime=0,
                server_settings=settings,
            )
        except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
            raise UnusableDatabase(f"{self.place} refuses the user or the password: {error}") from error
        except asyncpg.InvalidCatalogNameError as error:
            raise UnusableDatabase(f"{self.place} does not exist: create it, owned by the user of this address") from error
        except asyncpg.InsufficientPrivilegeError as error:
            raise UnusableDatabase(f"{self.place} may not be used by this user: {error}") from error
        except (asyncpg.ClientConfigurationError, ValueError, ssl.SSLCertVerificationError, FileNotFoundError) as error:
            raise UnusableDatabase(f"{self.place} cannot be used with this address: {error}") from error
        except _FAULTS as error:
            raise DatabaseAway(f"{self.place} cannot be reached: {str(error) or type(error).__name__}") from error
        if plain:
            return connection
        try:
            for name, decode in (("numeric", _number), ("bool", lambda text: int(text == "t"))):
                await connection.set_type_codec(name, schema="pg_catalog", encoder=_encoded, decoder=decode, format="text")
        except _FAULTS as error:
            connection.terminate()
            raise DatabaseAway(f"{self.place} cannot be reached: {str(error) or type(error).__name__}") from error
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def fetch(self, sql: str, **params: Any) -> Sequence[Row]:
        """All rows of one query."""
        text, values = numbered(sql, params)
        rows: Sequence[Row] = await self._query(lambda connection: connection.fetch(text, *values, timeout=self.statement_seconds))
        return rows

    async def fetch_one(self, sql: str, **params: Any) -> Row | None:
        """The first row of one query."""
        text, values = numbered(sql, params)
        row: Row | None = await self._query(lambda connection: connection.fetchrow(text, *values, timeout=self.statement_seconds))
        return row

    async def _query(self, run: Callable[[Connection], Awaitable[Any]]) -> Any:
        """One query by itself; asked again where the connection turns out to have been lost."""
        for attempt in range(self.pool.most, -1, -1):
            connection = await self.pool.take()
            try:
                answer = await run(connection)
            except _FAULTS as error:
                if isinstance(error, _BROKEN):
                    connection.terminate()
                self.pool.give(connection)
                if not attempt or not connection.is_closed() or isinstance(error, TimeoutError):
                    raise _meaning(error) from error
            except BaseException:
                self.pool.mend(connection)
                raise
            else:
                self.pool.give(connection)
                return answer
        raise AssertionError("unreachable")

    def transaction(self, *, durable: bool = True) -> _Scope:
        """A write transaction; each of its statements sees what was committed before it (READ COMMITTED).

        Every commit waits for the disk: a server can crash while this process goes on, and would take back what is known here as done.
        """
        return _Scope(self, _WRITE)

    def snapshot(self) -> _Scope:
        """A read-only view of the moment of its first query."""
        return _Scope(self, _SNAPSHOT)

    async def install(self, schema: str) -> None:
        """Create what is missing of a schema; any number of processes may do so at once.

        Raises:
            UnusableDatabase: the user of this database may not create tables.
        """
        if not await self._missing(schema):
            return
        try:
            async with self.transaction() as tx:
                assert isinstance(tx, _Transaction)
                await tx.lock(f"install {self._schema}")
                missing = await self._missing(schema, tx)
                if not missing:  # another process came first
                    return
                await tx.take_time()
                await tx.script(";\n".join(dialect(statement, logged=not self._schema) for statement in missing))
        except DatabaseError as error:
            if isinstance(error.__cause__, asyncpg.InsufficientPrivilegeError):
                raise UnusableDatabase(f"{self.place}: its user may not create tables ({error.__cause__}); make it the owner") from error
            raise

    async def _missing(self, schema: str, reader: Reader | None = None) -> list[str]:
        rows = await (reader or self).fetch("SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace")
        there = {row["relname"] for row in rows}
        missing: list[str] = []
        for statement in statements(schema):
            made = created(statement)
            if made is None or made.name not in there:
                missing.append(statement)
        return missing

    @asynccontextmanager
    async def scratch(self, schema: str) -> AsyncIterator[Database]:
        """Empty tables in a schema of their own, on two connections of their own.

        They are not written ahead: a crash of the server empties them, so with the first connection that breaks everything in this scratch
        raises `DatabaseBusy`. What a killed process left is dropped by the next scratch of any process.
        """
        await self._sweep()
        name = SCRATCH_PREFIX + secrets.token_hex(8)
        keeper = await self._reconnect(plain=True)
        scratch = PostgresDatabase(
            self._url, self.place, connections=SCRATCH_CONNECTIONS, timeout_seconds=self._timeout_seconds, schema=name
        )
        try:
            await _run(keeper, f"SELECT pg_advisory_lock({lock_number(name)}); CREATE SCHEMA {name}")
            await scratch.install(schema)
            yield scratch
        finally:
            await scratch.close()
            try:
                await _run(keeper, f"SET statement_timeout = 0; DROP SCHEMA IF EXISTS {name} CASCADE")
            except DatabaseBusy:
                _log.warning("scratch tables are left for the next rebuild to drop", schema=name)
            finally:
                await _close(keeper)

    async def _sweep(self) -> None:
        """Drop the scratch schemas whose process is gone: nobody holds their lock."""
        rows = await self.fetch("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, :prefix)", prefix=SCRATCH_PREFIX)
        for row in rows:
            name = row["nspname"]
            if not re.fullmatch(SCRATCH_PREFIX + "[0-9a-f]{16}", name):
                continue
            async with self.transaction() as tx:
                assert isinstance(tx, _Transaction)
                free = await tx.fetch_one("SELECT pg_try_advisory_xact_lock(:number) AS free", number=lock_number(name))
                if free is not None and free["free"]:
                    await tx.take_time()
                    await tx.script(f"DROP SCHEMA IF EXISTS {name} CASCADE")

    async def adopt(self, scratch: Database, tables: Sequence[str], tx: Transaction) -> None:
        """Make the live tables equal to the scratch tables inside `tx`, by the rows that differ.

        Readers go on with the old rows until the commit, and what is the same is not written again.
        """
        if not isinstance(scratch, PostgresDatabase) or not isinstance(tx, _Transaction):
            raise TypeError("a scratch database and a transaction of the same engine are needed")
        # Each pair of tables is joined as a whole, of which the planner cannot know while one of them has no statistics.
        await tx.take_time()
        await tx.script("SET LOCAL enable_nestloop = off")
        for table in tables:
            rebuilt = f"{scratch._schema}.{table}"
            columns = [row["attname"] for row in await tx.fetch(_COLUMNS, table=rebuilt)]
            key = [row["attname"] for row in await tx.fetch(_KEY_COLUMNS, table=rebuilt)]
            if not key:
                raise DatabaseError(f"{table} has no primary key: a table that can be rebuilt needs one")
            same_key = " AND ".join(f"rebuilt.{column} = live.{column}" for column in key)
            same = " AND ".join(f"rebuilt.{column} IS NOT DISTINCT FROM live.{column}" for column in columns)
            names = ", ".join(columns)
            await tx.execute(
                f"DELETE FROM {table} AS live WHERE NOT EXISTS (SELECT 1 FROM {rebuilt} AS rebuilt WHERE {same_key} AND {same})"
            )
            await tx.execute(
                f"""
                INSERT INTO {table} ({names}) SELECT {names} FROM {rebuilt} AS rebuilt
                WHERE NOT EXISTS (SELECT 1 FROM {table} AS live WHERE {same_key})
                """
            )

    def listen(self, name: str, wake: Callable[[], None]) -> None:
        """Call `wake` at announcements of other processes, and whenever some may have been missed.

        One connection, beside those of the pool, listens for all names; it is made again when it breaks.
        """
        if self._listener is None:
            self._listener = _Listener(self)
        self._listener.add(name, wake)

    async def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Hold a named lease, or go on holding it, for so long from now by the server's clock; False while somebody else holds it."""
        async with self.transaction() as tx:
            touched = await tx.execute(
                f"""
                INSERT INTO leases (name, holder, expire_time) VALUES (:name, :holder, {_NOW} + :micros)
                ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expire_time = excluded.expire_time
                WHERE leases.holder = excluded.holder OR leases.expire_time <= {_NOW}
                """,
                name=name, holder=holder, micros=round(seconds * 1_000_000),
            )
        return touched == 1

    async def release(self, name: str, holder: str) -> None:
        """Give a lease back, if this holder has it."""
        async with self.transaction() as tx:
            await tx.execute("DELETE FROM leases WHERE name = :name AND holder = :holder", name=name, holder=holder)

    async def backup(self, path: str) -> None:
        """Not done here: PostgreSQL has its own means, which also restore to a point in time."""
        raise DatabaseError(
            f"{self.place} is on a server: back it up there, by pg_dump for one moment's copy or by archiving its WAL for any moment's"
        )

    async def close(self) -> None:
        """Release every connection, after telling others what is still to be told."""
        await self.announcer.close()
        if self._listener is not None:
            await self._listener.close()
        await self.pool.close()


async def create(server: str, name: str, template: str = "template0") -> bool:
    """Make an empty database, or a copy of one that nobody uses; False when there is one of that name.

    Args:
        server: the address of any database of the server, by a user who may create databases.
        name: the new database's, which that user will own.
        template: what is copied.

    Raises:
        DatabaseBusy: the server cannot be reached.
        UnusableDatabase: the address is not right.
    """
    sql = f"CREATE DATABASE {_quoted(name)} TEMPLATE {_quoted(template)} ENCODING 'UTF8'"
    return await _on_server(server, sql, asyncpg.DuplicateDatabaseError)


async def drop(server: str, name: str) -> bool:
    """Remove a database with all it holds, cutting those who use it; False when there is none of that name."""
    return await _on_server(server, f"DROP DATABASE {_quoted(name)} WITH (FORCE)", asyncpg.InvalidCatalogNameError)


async def _on_server(server: str, sql: str, done: type[asyncpg.PostgresError]) -> bool:
    connection = await PostgresDatabase(server, _place(server), connections=1, timeout_seconds=DAY_SECONDS).connect(plain=True)
    try:
        await connection.execute(sql)
    except done:
        return False
    except _FAULTS as error:
        raise _meaning(error) from error
    finally:
        await _close(connection)
    return True


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_NOW = "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint"

_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"

_KEY_COLUMNS = """
    SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
    WHERE indrelid = CAST(:table AS regclass) AND indisprimary
"""


async def _run(connection: Connection, sql: str) -> None:
    try:
        await connection.execute(sql, timeout=DAY_SECONDS)
    except _FAULTS as error:
        raise _meaning(error) from error


def _encoded(value: object) -> str:
    return str(value)


def _place(url: str) -> str:
    """Host and database of an address, for messages: never the user's password."""
    try:
        parts = urlsplit(url)
        name = unquote(parts.path.lstrip("/")) or parts.username or "postgres"
        return f"the database {name} on {parts.netloc.rpartition('@')[2] or 'localhost'}"
    except ValueError:
        return "the database"


class _Announcer:
    """Tells other processes of commits, soon after them and together while they come fast.

    Not in the transactions themselves: those that notify commit one after the other on the whole server. What a crash keeps from being
    told is found by polling.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._names: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def say(self, names: set[str]) -> None:
        self._names |= names
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._say())

    async def _say(self) -> None:
        try:
            while self._names:
                names, self._names = self._names, set()
                told = "".join(f"SELECT pg_notify('{CHANNEL}', '{self._database.origin} {name}');" for name in sorted(names))
                try:
                    async with _Scope(self._database, _ANNOUNCE) as tx:
                        assert isinstance(tx, _Transaction)
                        await tx.start(told)
                except DatabaseError as error:
                    _log.debug("commits are not announced", reason=str(error))
        finally:
            self._task = None

    async def close(self) -> None:
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


class _Listener:
    """One connection that hears what other processes announce."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._wakes: dict[str, list[Callable[[], None]]] = {}
        self._task = asyncio.get_running_loop().create_task(self._listen())

    def add(self, name: str, wake: Callable[[], None]) -> None:
        self._wakes.setdefault(name, []).append(wake)

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        origin, _, name = str(payload).partition(" ")
        if origin != self._database.origin:
            for wake in self._wakes.get(name, ()):
                wake()

    async def _listen(self) -> None:
        pause = 0.1
        while True:
            try:
                connection = await self._database.connect(plain=True)
            except DatabaseError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            ended = asyncio.Event()
            connection.add_termination_listener(lambda _connection, ended=ended: ended.set())
            try:
                await connection.add_listener(CHANNEL, self._heard)
                pause = 0.1
                for wakes in self._wakes.values():  # for what was announced while nobody listened
                    for wake in wakes:
                        wake()
                while not ended.is_set():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LISTEN_CHECK_SECONDS):
                            await ended.wait()
                    if not ended.is_set():  # a connection that was cut on the way looks like one on which nothing happens
                        await connection.execute("SELECT 1", timeout=GRACE_SECONDS)
            except _FAULTS:
                await asyncio.sleep(pause)
            finally:
                connection.terminate()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
