"""PostgreSQL keeps the contracts of the embedded engine, and what is its own."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from grpc import StatusCode

from libs.db import migrate
from libs.db.database import (
    CommitUnknown,
    Database,
    DatabaseBusy,
    DatabaseError,
    StatementTimeout,
    StorageFull,
    UniqueViolation,
    UnstorableText,
    UnusableDatabase,
)
from libs.db.postgres import PostgresDatabase, create, drop
from libs.eventstore.handle import Handled, handle
from libs.eventstore.store import SCHEMA, SCHEMA_VERSION, EventStore
from libs.rpc.errors import problem_of
from libs.subscriptions import rebuild
from libs.subscriptions.consumers import ProjectionConsumer
from libs.subscriptions.subscription import Subscription
from libs.testing.contracts import (
    META,
    TABLES,
    DatabaseContract,
    EventStoreContract,
    SubscriptionContract,
    Tallies,
    Texts,
    published,
)
from libs.text.ids import new_id
from tests.cluster.engines.postgres import Databases, Postgres
from tests.cluster.engines.shared import Engines
from watercooler.feed.v1.events_pb2 import PostPublished
from watercooler.identity.v1.events_pb2 import PersonErased

Open = Callable[..., Awaitable[PostgresDatabase]]


class OnPostgres:
    """A database for each folder, made when it is first opened."""

    _sorted_by = ""

    @pytest.fixture(autouse=True)
    def _server(self, postgres: Databases) -> None:
        self._databases: dict[Path, str] = {}
        self._postgres = postgres

    async def open(self, folder: Path) -> Database:
        url = self._databases.get(folder)
        if url is None:
            name = f"t{new_id()}"
            server = await asyncpg.connect(self._postgres.url("postgres"))
            try:
                await server.execute(f'CREATE DATABASE "{name}" TEMPLATE template0{self._sorted_by}')
            finally:
                await server.close()
            url = self._databases[folder] = self._postgres.url(name)
        return await PostgresDatabase.open(url, connections=6)


class TestDatabase(OnPostgres, DatabaseContract):
    """In databases that sort by the rules of a language, where the server knows such rules: ours must not."""

    @pytest.fixture(autouse=True)
    async def _language(self, postgres: Databases, _server: None) -> None:
        server = await asyncpg.connect(postgres.url("postgres"))
        try:
            if await server.fetchval("SELECT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i')"):
                self._sorted_by = " LOCALE_PROVIDER icu ICU_LOCALE 'lt'"
        finally:
            await server.close()


class TestEventStore(OnPostgres, EventStoreContract):
    pass


class TestSubscriptions(OnPostgres, SubscriptionContract):
    pass


@pytest.fixture
async def url(postgres: Databases) -> str:
    """An empty database with the kernel's tables and those of the contracts."""
    url = postgres.fresh_one()
    database = await PostgresDatabase.open(url)
    await database.install(SCHEMA + TABLES)
    await database.close()
    return url


@pytest.fixture
async def open_database(url: str) -> AsyncIterator[Open]:
    """A function that opens the database, each time as another process would."""
    opened: list[PostgresDatabase] = []

    async def open_one(**how: Any) -> PostgresDatabase:
        database = await PostgresDatabase.open(url, **how)
        opened.append(database)
        return database

    yield open_one
    for database in opened:
        await database.close()


async def until(holds: Callable[[], Any]) -> None:
    """Wait for a condition, which may be asynchronous."""
    async with asyncio.timeout(60):
        while True:
            answer = holds()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return
            await asyncio.sleep(0.02)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, held so that nobody begins to."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


# --- opening ----------------------------------------------------------------------------------------------------------


async def test_a_server_that_is_away_is_waited_for_and_a_wrong_address_is_refused(postgres: Databases, closed_port: int) -> None:
    with pytest.raises(DatabaseBusy, match=f"the database feed on 127.0.0.1:{closed_port} cannot be reached") as away:
        await PostgresDatabase.open(f"postgresql://watercooler:hidden@127.0.0.1:{closed_port}/feed")
    assert "hidden" not in str(away.value)
    with pytest.raises(UnusableDatabase, match="the database nowhere on .* does not exist") as unknown:
        await PostgresDatabase.open(f"postgresql://postgres:hidden@127.0.0.1:{postgres.port}/nowhere")
    assert "hidden" not in str(unknown.value)
    with pytest.raises(UnusableDatabase, match="nobody-we-know"):
        await PostgresDatabase.open(f"postgresql://nobody-we-know@127.0.0.1:{postgres.port}/postgres")
    with pytest.raises(UnusableDatabase, match="cannot be used with this address"):
        await PostgresDatabase.open(f"postgresql://postgres@127.0.0.1:{postgres.port}/postgres?sslmode=perhaps")


async def test_databases_are_made_once_and_dropped(postgres: Databases) -> None:
    server, name = postgres.url("postgres"), f"t{new_id()}"
    assert [await create(server, name), await create(server, name)] == [True, False]
    database = await PostgresDatabase.open(postgres.url(name))
    assert [await drop(server, name), await drop(server, name)] == [True, False]
    with pytest.raises(DatabaseBusy):
        await database.fetch("SELECT 1")
    await database.close()


async def test_a_user_who_may_not_make_tables_is_told(postgres: Databases, url: str) -> None:
    role = f"r{new_id().replace('-', '')}"
    database = await PostgresDatabase.open(url)
    async with database.transaction() as tx:
        await tx.execute(f"CREATE ROLE {role} LOGIN")
    await database.close()
    stranger = await PostgresDatabase.open(url.replace("postgres@", f"{role}@"))
    with pytest.raises(UnusableDatabase, match="may not create tables"):
        await stranger.install("CREATE TABLE IF NOT EXISTS other (id BIGINT PRIMARY KEY);")
    await stranger.close()


async def test_many_processes_prepare_one_database_at_once(postgres: Databases) -> None:
    url = postgres.fresh_one()
    databases = [await PostgresDatabase.open(url) for _ in range(6)]
    kernel = (SCHEMA, SCHEMA_VERSION, "feed", TABLES)
    assert await migrate.missing(databases[0], *kernel, [])
    await asyncio.gather(*(migrate.prepare(database, *kernel, []) for database in databases))
    assert not await migrate.missing(databases[0], *kernel, [])
    step = "ALTER TABLE tallies ADD COLUMN kind TEXT NOT NULL DEFAULT ''"
    assert await migrate.missing(databases[0], *kernel, [step])
    await asyncio.gather(*(migrate.prepare(database, *kernel, [step]) for database in databases))
    rows = await databases[1].fetch("SELECT collation_name FROM information_schema.columns WHERE column_name = 'kind'")
    assert [row["collation_name"] for row in rows] == ["C"]
    with pytest.raises(UnusableDatabase, match="newer version"):
        await migrate.prepare(databases[2], *kernel, [])
    with pytest.raises(UnusableDatabase, match="newer version"):
        await migrate.missing(databases[2], *kernel, [])
    for database in databases:
        await database.close()


# --- listening and leases ---------------------------------------------------------------------------------------------


async def test_what_one_process_commits_wakes_the_others(open_database: Open) -> None:
    here, there = await open_database(), await open_database()
    stores = [EventStore("test", here), EventStore("test", there)]
    own, other = stores[0].waker(), stores[1].waker()
    await until(other.is_set)  # once for having begun to listen
    other.clear()
    await stores[0].append("post-1", 0, [published(1)], META)
    assert own.is_set()
    await until(other.is_set)


async def test_what_is_rolled_back_wakes_nobody(open_database: Open) -> None:
    here, there = await open_database(), await open_database()
    heard: list[str] = []
    there.listen("first", lambda: heard.append("first"))
    there.listen("second", lambda: heard.append("second"))
    await until(lambda: len(heard) == 2)
    with pytest.raises(RuntimeError):
        async with here.transaction() as tx:
            await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
            await tx.announce("first")
            raise RuntimeError
    async with here.transaction() as tx:
        await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
        await tx.announce("second")
    await until(lambda: len(heard) == 3)
    assert heard[2] == "second"


async def test_a_listener_that_lost_its_connection_wakes_and_goes_on(open_database: Open) -> None:
    here, there = await open_database(), await open_database()
    heard: list[str] = []
    there.listen("news", lambda: heard.append("news"))
    await until(lambda: heard)
    heard.clear()
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    assert len(await here.fetch(cut)) == 1
    await until(lambda: heard)
    heard.clear()
    async with here.transaction() as tx:
        await tx.execute("DELETE FROM texts")
        await tx.announce("news")
    await until(lambda: heard)


async def test_a_lease_has_one_holder_until_it_ends(open_database: Open) -> None:
    here, there = await open_database(), await open_database()
    tried = await asyncio.gather(*(database.lease("worker", f"holder {n}", 30) for n, database in enumerate([here, there] * 8)))
    assert tried.count(True) == 1
    holder = f"holder {tried.index(True)}"
    assert await there.lease("worker", holder, 30), "whoever holds it goes on"
    assert await there.lease("relay", "another", 30), "another name is another lease"
    await here.release("worker", "not the holder")
    assert not await here.lease("worker", "another", 30)
    await here.release("worker", holder)
    assert await here.lease("worker", "another", 0.2)
    await until(lambda: there.lease("worker", "next", 30))
    assert not await here.lease("worker", "another", 30), "it ended, and somebody took it"


# --- time-outs, lost connections, cancelled work ------------------------------------------------------------------------


async def test_a_statement_that_lasts_too_long_is_ended(open_database: Open) -> None:
    database = await open_database(timeout_seconds=0.3)
    with pytest.raises(StatementTimeout):
        await database.fetch("SELECT pg_sleep(60)")
    with pytest.raises(StatementTimeout):
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
            await tx.execute("SELECT pg_sleep(60)")
    assert await database.fetch("SELECT * FROM texts") == []


async def test_a_lock_that_lasts_too_long_is_not_waited_for(open_database: Open) -> None:
    database, other = await open_database(), await open_database(timeout_seconds=0.3)
    async with database.transaction() as tx:
        await tx.lock("events")
        with pytest.raises(DatabaseBusy, match="another process"):
            async with other.transaction() as waiting:
                await waiting.lock("events")
        with pytest.raises(DatabaseBusy):
            await EventStore("test", other).append("post-1", 0, [published(1)], META)
    assert await EventStore("test", other).append("post-1", 0, [published(1)], META) == 1


async def test_whoever_finds_no_free_connection_waits_and_is_told_in_time(open_database: Open) -> None:
    database = await open_database(connections=2, timeout_seconds=0.5)
    async with database.snapshot() as one, database.snapshot() as two:
        await one.fetch("SELECT 1")
        await two.fetch("SELECT 1")
        with pytest.raises(DatabaseBusy, match="all 2 connections"):
            await database.fetch("SELECT 1")
        waiting = asyncio.create_task(database.fetch_one("SELECT 1 AS one"))
        await asyncio.sleep(0)
    row = await waiting
    assert row is not None and row["one"] == 1
    rows = await asyncio.gather(*(database.fetch_one("SELECT :n + 0 AS n", n=n) for n in range(40)))
    assert [row["n"] for row in rows if row is not None] == list(range(40))


async def test_cancelled_work_leaves_its_connection_fit(open_database: Open) -> None:
    database = await open_database(connections=2)

    async def in_transaction() -> None:
        async with database.transaction() as tx:
            await tx.lock("events")
            await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
            await tx.fetch("SELECT pg_sleep(60)")

    running = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query = 'SELECT pg_sleep(60)'"
    other = await open_database()
    for work in (in_transaction, lambda: database.fetch("SELECT pg_sleep(60)")) * 3:
        task = asyncio.ensure_future(work())  # type: ignore[operator]
        await until(lambda: other.fetch(running))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(60):
        assert await EventStore("test", database).append("post-1", 0, [published(1)], META) == 1
        assert await database.fetch("SELECT * FROM texts") == []


async def test_connections_that_were_cut_are_made_again(open_database: Open) -> None:
    database, other = await open_database(connections=4), await open_database()
    async with database.snapshot() as one, database.snapshot() as two:
        await one.fetch("SELECT 1")
        await two.fetch("SELECT 1")
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    assert len(await other.fetch(cut)) == 2
    assert await database.fetch("SELECT * FROM texts") == []
    with pytest.raises(DatabaseBusy):
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
            await other.fetch(cut)
            await tx.execute("INSERT INTO texts (post_id, body) VALUES ('b', 'b')")
    assert await database.fetch("SELECT * FROM texts") == []


async def test_a_transaction_goes_on_after_no_failed_statement(open_database: Open) -> None:
    """Other than on SQLite, where it could: so nothing may depend on it, and nothing is stored by halves."""
    database = await open_database()
    with pytest.raises(DatabaseError, match="nothing was stored"):
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
            with contextlib.suppress(UniqueViolation):
                await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
    assert await database.fetch("SELECT * FROM texts") == []


async def test_a_text_with_nul_is_refused_in_words(open_database: Open) -> None:
    database = await open_database()
    with pytest.raises(UnstorableText, match="NUL"):
        await database.fetch("SELECT * FROM texts WHERE body = :body", body="a\0b")
    assert problem_of(UnstorableText("text must not hold the character NUL")).code is StatusCode.INVALID_ARGUMENT  # type: ignore[union-attr]


async def test_a_lost_disk_or_server_is_told_apart_from_a_fault(open_database: Open) -> None:
    """Errors as the server raises them, by their codes: https://www.postgresql.org/docs/current/errcodes-appendix.html"""
    database = await open_database()
    for code, meaning in (
        ("53100", StorageFull), ("58030", StorageFull), ("53300", DatabaseBusy), ("40001", DatabaseBusy), ("40P01", DatabaseBusy),
        ("55P03", DatabaseBusy), ("57P01", DatabaseBusy), ("57P03", DatabaseBusy), ("25006", DatabaseBusy), ("57014", StatementTimeout),
        ("P0001", DatabaseError),
    ):
        with pytest.raises(DatabaseError) as caught:
            async with database.transaction() as tx:
                await tx.execute(f"DO $$ BEGIN RAISE EXCEPTION 'for a test' USING ERRCODE = '{code}'; END $$")
        assert type(caught.value) is meaning, code


# --- scratch tables ---------------------------------------------------------------------------------------------------


async def _schemas(database: Database) -> list[str]:
    return [row["nspname"] for row in await database.fetch("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'rebuild_')")]


async def test_what_a_killed_rebuild_left_is_dropped_and_what_runs_is_not(open_database: Open) -> None:
    database, other = await open_database(), await open_database()
    async with database.transaction() as tx:
        await tx.execute("CREATE SCHEMA rebuild_0123456789abcdef")
        await tx.execute("CREATE TABLE rebuild_0123456789abcdef.texts (post_id TEXT)")
        await tx.execute("CREATE SCHEMA rebuild_of_somebody_else")
    async with database.scratch(TABLES) as first, other.scratch(TABLES) as second:
        assert len(await _schemas(database)) == 3
        for scratch in (first, second):
            async with scratch.transaction() as tx:
                await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
        assert await database.fetch("SELECT * FROM texts") == []
    assert await _schemas(database) == ["rebuild_of_somebody_else"]


async def test_a_scratch_whose_connection_broke_is_of_no_use_any_more(open_database: Open) -> None:
    """The server may have restarted, and its tables are not written ahead: going on would adopt half of them."""
    database = await open_database()
    async with database.scratch(TABLES) as scratch:
        async with scratch.transaction() as tx:
            await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
        mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        await database.fetch(mine)
        for _ in range(2):
            with pytest.raises(DatabaseBusy):
                await scratch.fetch("SELECT * FROM texts")
            with pytest.raises(DatabaseBusy):
                async with scratch.transaction() as tx:
                    await tx.execute("DELETE FROM texts")
    async with database.scratch(TABLES):
        assert len(await _schemas(database)) == 1


async def test_adopting_writes_only_what_differs_and_readers_see_the_old_rows_meanwhile(open_database: Open) -> None:
    database = await open_database()
    async with database.transaction() as tx:
        await tx.execute_many("INSERT INTO texts (post_id, body) VALUES (:id, :id)", [{"id": each} for each in ("kept", "changed", "gone")])
    before = {row["post_id"]: row["xmin"] for row in await database.fetch("SELECT post_id, xmin::text FROM texts")}
    async with database.scratch(TABLES) as scratch:
        async with scratch.transaction() as tx:
            await tx.execute_many(
                "INSERT INTO texts (post_id, body) VALUES (:id, :body)",
                # The new bodies cross: what was unique before and after must not collide in between.
                [{"id": "kept", "body": "kept"}, {"id": "changed", "body": "gone"}, {"id": "new", "body": "changed"}],
            )
        async with database.transaction() as tx:
            await database.adopt(scratch, ("texts", "tallies"), tx)
            seen = await database.fetch("SELECT post_id FROM texts ORDER BY post_id")
            assert [row["post_id"] for row in seen] == ["changed", "gone", "kept"]
    after = await database.fetch("SELECT post_id, body, xmin::text FROM texts ORDER BY post_id")
    assert [(row["post_id"], row["body"]) for row in after] == [("changed", "gone"), ("kept", "kept"), ("new", "changed")]
    assert [row["post_id"] for row in after if before.get(row["post_id"]) == row["xmin"]] == ["kept"]


# --- what an acknowledged write is worth ------------------------------------------------------------------------------


class Once:
    """A decider that publishes what it is told, every time."""

    def initial(self) -> int:
        return 0

    def decide(self, command: PostPublished, state: int, /) -> list[PostPublished]:
        return [command]

    def evolve(self, state: int, event: PostPublished, /) -> int:
        return state + 1


async def insist(store: EventStore, number: int) -> Handled[int]:
    """Give a command with one request id until it is answered."""
    while True:
        try:
            return await handle(store, Once(), f"post-{number}", published(number), META, f"request {number}")
        except DatabaseBusy:
            await asyncio.sleep(0.05)


@pytest.fixture
def server(engines: Engines, tmp_path: Path) -> Iterator[Postgres]:
    """A server of the test's own, which waits for the disk at each commit."""
    own = Postgres(tmp_path / "server", durable=True)
    try:
        own.start()
        yield own
    finally:
        own.stop()


async def test_a_killed_server_keeps_every_acknowledged_write_once(server: Postgres) -> None:
    url = server.fresh_one()
    databases = [await PostgresDatabase.open(url, connections=8) for _ in range(2)]
    await databases[0].install(SCHEMA + TABLES)
    stores = [EventStore("test", database, (Texts(),)) for database in databases]
    consumer = ProjectionConsumer(Tallies(), databases[0])
    subscription = Subscription(stores[0], consumer)
    following = asyncio.create_task(subscription.run(stores[0].waker()))
    writers, each = 8, 25
    done: dict[int, Handled[int]] = {}
    acknowledged: list[int] = []

    async def write(writer: int) -> None:
        for number in range(writer * each, writer * each + each):
            done[number] = await insist(stores[writer % 2], number)
            acknowledged.append(number)

    async def kill() -> None:
        for share in (writers * each // 4, writers * each // 2):
            await until(lambda share=share: len(acknowledged) >= share)
            server.kill()
            await asyncio.to_thread(server.restart)

    async with asyncio.timeout(240):
        await asyncio.gather(kill(), *(write(writer) for writer in range(writers)))
        await until(subscription.caught_up)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    store = stores[0]
    events = await store.tail(0, 1_000)
    assert [event.position for event in events] == list(range(1, writers * each + 1)), "each once, without a gap"
    where = {event.stream: event.position for event in events}
    assert {n: where[f"post-{n}"] for n in done} == {n: h.position for n, h in done.items() if not h.repeated} | {
        n: where[f"post-{n}"] for n, h in done.items() if h.repeated
    }
    assert await rebuild.compare(Texts(), store, databases[0], SCHEMA + TABLES, inline=True) == []
    row = await databases[0].fetch_one("SELECT posts FROM tallies")
    assert row is not None and row["posts"] == writers * each
    for database in databases:
        await database.close()


class Cutting:
    """A way to the server on which the commit of a transaction that holds some bytes gets through and its answer does not."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.cut_after = b""
        self.cut = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        armed = deaf = False

        async def forth() -> None:
            nonlocal armed, deaf
            while data := await reader.read(65_536):
                armed = armed or (bool(self.cut_after) and self.cut_after in data)
                if armed and b"COMMIT\0" in data:
                    self.cut_after, deaf = b"", True
                    self.cut += 1
                up_writer.write(data)
                await up_writer.drain()

        async def back() -> None:
            while data := await up_reader.read(65_536):
                if deaf:
                    break
                writer.write(data)
                await writer.drain()

        ways = [asyncio.create_task(forth()), asyncio.create_task(back())]
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        writer.transport.abort()
        up_writer.transport.abort()


async def test_after_a_commit_nobody_heard_of_a_repeated_request_finds_its_answer(postgres: Databases, url: str) -> None:
    way = Cutting(postgres.port)
    async with way.open() as port:
        database = await PostgresDatabase.open(url.replace(f":{postgres.port}/", f":{port}/"))
        store = EventStore("test", database, (Texts(),))
        await handle(store, Once(), "post-1", published(1), META, "first")
        way.cut_after = b"feed.v1.PostPublished"
        with pytest.raises(CommitUnknown, match="try again"):
            await handle(store, Once(), "post-2", published(2), META, "second")
        assert way.cut == 1
        again = await handle(store, Once(), "post-2", published(2), META, "second")
        assert (again.repeated, again.version) == (True, 1)
        assert [(event.stream, event.version) for event in await store.tail(0, 10)] == [("post-1", 1), ("post-2", 1)]

        way.cut_after = b"identity.v1.PersonErased"  # and an erasure of which nobody heard is known at once
        with pytest.raises(CommitUnknown):
            await store.append("person-ann", 0, [PersonErased(person_id="ann")], META)
        assert [event.erased for event in await store.tail(0, 10)] == [True, True, False]
        await database.close()
