"""What every engine must do: suites over a factory, run once for each adapter.

A test module subclasses a suite and supplies the factory; nothing else differs between engines:

    class TestOnSqlite(EventStoreContract):
        async def open(self, folder): return SqliteDatabase(folder / "events.db")
"""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from google.protobuf.message import Message

from libs.db.database import Database, Transaction, UniqueViolation, in_list
from libs.eventstore.model import Conflict, InvalidArgument, Log, Metadata, Recorded, Rejected
from libs.eventstore.store import SCHEMA, EventStore
from libs.subscriptions import rebuild
from libs.subscriptions.consumers import Erasure, ErasureConsumer, ProjectionConsumer
from libs.subscriptions.subscription import Subscription
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1.events_pb2 import AuthorErased, PostDeleted, PostEdited, PostPublished
from watercooler.identity.v1.events_pb2 import PersonAdded, PersonErased, Profile

META = Metadata("ann", "correlation", "cause", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

TABLES = """
CREATE TABLE IF NOT EXISTS texts (
    post_id TEXT PRIMARY KEY,
    body    TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS tallies (
    author_id TEXT PRIMARY KEY,
    posts     INTEGER NOT NULL
);
"""


class Texts:
    """A projection with a unique column; refuses the body `forbidden`, fails on `broken`."""

    name = "test.texts"
    handles: tuple[type[Message], ...] = (PostPublished, PostEdited, PostDeleted)
    tables: tuple[str, ...] = ("texts",)

    def __init__(self) -> None:
        self.mended = False

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        match event.data:
            case PostPublished(post_id=post_id, body=body):
                if body == "forbidden":
                    raise Rejected("that is forbidden")
                if body == "broken" and not self.mended:
                    raise RuntimeError("a fault in the projection")
                await tx.execute("INSERT INTO texts (post_id, body) VALUES (:post_id, :body)", post_id=post_id, body=body or post_id)
            case PostEdited(post_id=post_id, body=body):
                await tx.execute("UPDATE texts SET body = :body WHERE post_id = :post_id", post_id=post_id, body=body)
            case PostDeleted(post_id=post_id):
                await tx.execute("DELETE FROM texts WHERE post_id = :post_id", post_id=post_id)


class Tallies:
    """A projection that double delivery would falsify."""

    name = "test.tallies"
    handles: tuple[type[Message], ...] = (PostPublished,)
    tables: tuple[str, ...] = ("tallies",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        assert isinstance(event.data, PostPublished)
        await tx.execute(
            """
            INSERT INTO tallies (author_id, posts) VALUES (:author_id, 1)
            ON CONFLICT (author_id) DO UPDATE SET posts = tallies.posts + 1
            """,
            author_id=event.data.author_id,
        )


def published(number: int | str, body: str = "", author: str = "ann") -> PostPublished:
    """A post for tests."""
    return PostPublished(post_id=f"p{number}", author_id=author, body=body or f"body {number}")


class DatabaseFactory:
    """What a test module supplies: an empty database of its engine."""

    async def open(self, folder: Path) -> Database:
        """A database in this folder, or on a server under a name made from it; opened again, it holds what it held."""
        raise NotImplementedError

    @pytest.fixture
    async def database(self, tmp_path: Path) -> AsyncIterator[Database]:
        """An empty database with the kernel's tables and the tables of this module."""
        database = await self.open(tmp_path)
        await database.install(SCHEMA + TABLES)
        yield database
        await database.close()


class DatabaseContract(DatabaseFactory):
    """Transactions, snapshots and savepoints."""

    async def test_a_transaction_is_all_or_nothing(self, database: Database) -> None:
        with pytest.raises(RuntimeError):
            async with database.transaction() as tx:
                await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
                raise RuntimeError
        async with database.snapshot() as tx:
            assert await tx.fetch_one("SELECT * FROM texts") is None

    async def test_a_snapshot_keeps_its_moment(self, database: Database) -> None:
        async with database.snapshot() as before:
            assert len(await before.fetch("SELECT * FROM texts")) == 0
            async with database.transaction() as tx:
                await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
            assert len(await before.fetch("SELECT * FROM texts")) == 0
        async with database.snapshot() as after:
            assert len(await after.fetch("SELECT * FROM texts")) == 1

    async def test_a_savepoint_fails_alone(self, database: Database) -> None:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
            with pytest.raises(UniqueViolation):
                async with tx.savepoint():
                    await tx.execute("INSERT INTO texts (post_id, body) VALUES ('b', 'b')")
                    await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'c')")
            await tx.execute("INSERT INTO texts (post_id, body) VALUES ('d', 'd')")
        async with database.snapshot() as tx:
            assert [row["post_id"] for row in await tx.fetch("SELECT post_id FROM texts ORDER BY post_id")] == ["a", "d"]

    async def test_a_batch_runs_in_its_order_before_whatever_asks(self, database: Database) -> None:
        async with database.transaction() as tx:
            for number in range(700):
                await tx.batch("INSERT INTO texts (post_id, body) VALUES (:id, :body)", id=f"{number}", body=f"body {number}")
            await tx.batch("UPDATE texts SET body = :body WHERE post_id = :id", id="3", body="changed")
            await tx.batch("DELETE FROM texts WHERE post_id = :id", id="4")
            await tx.batch("INSERT INTO tallies (author_id, posts) VALUES (:id, :posts)", id="ann", posts=-7)
            rows = {row["post_id"]: row["body"] for row in await tx.fetch("SELECT post_id, body FROM texts")}
            assert (len(rows), rows["3"], rows["699"], "4" in rows) == (699, "changed", "body 699", False)
            await tx.batch("UPDATE tallies SET posts = posts + :more", more=8)
        row = await database.fetch_one("SELECT posts FROM tallies")
        assert row is not None
        assert row["posts"] == 1

    async def test_a_batch_takes_every_value_as_it_is(self, database: Database) -> None:
        bodies = [
            "it's", "''", "\\", "\\'; DROP TABLE texts; --", "$1 :name", "E'\\x27'", "\u4e16\u754c \U0001f600", "line\nline\r\t", "%s", ";",
        ]
        async with database.transaction() as tx:
            await tx.batch("INSERT INTO tallies (author_id, posts) VALUES (:id, :posts)", id="o'neil", posts=2**62)
            for body in bodies:
                await tx.batch("INSERT INTO texts (post_id, body) VALUES (:id, :body)", id=body, body=body)
            await tx.batch(
                "INSERT INTO person_keys (person_id, secret, create_time) VALUES (:id, :secret, 0)", id="p", secret=bytes(range(256)),
            )
            await tx.batch("UPDATE texts SET body = COALESCE(:body, body) WHERE post_id = :id", id="it's", body=None)
        assert sorted(row["body"] for row in await database.fetch("SELECT body FROM texts")) == sorted(bodies)
        key = await database.fetch_one("SELECT secret FROM person_keys")
        tally = await database.fetch_one("SELECT author_id, posts FROM tallies")
        assert key is not None
        assert tally is not None
        assert bytes(key["secret"]) == bytes(range(256))
        assert (tally["author_id"], tally["posts"]) == ("o'neil", 2**62)

    async def test_what_a_batch_violates_is_raised_before_its_savepoint_ends(self, database: Database) -> None:
        async with database.transaction() as tx:
            await tx.batch("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
            with pytest.raises(UniqueViolation):
                async with tx.savepoint():
                    await tx.batch("INSERT INTO tallies (author_id, posts) VALUES ('b', 1)")
                    await tx.batch("INSERT INTO texts (post_id, body) VALUES (:id, :body)", id="b", body="a")
            await tx.batch("INSERT INTO texts (post_id, body) VALUES ('c', 'c')")
        assert sorted(row["post_id"] for row in await database.fetch("SELECT post_id FROM texts")) == ["a", "c"]
        assert await database.fetch("SELECT * FROM tallies") == []
        with pytest.raises(UniqueViolation):
            async with database.transaction() as tx:
                await tx.batch("INSERT INTO texts (post_id, body) VALUES ('d', 'a')")

    async def test_a_unique_violation_names_its_column(self, database: Database) -> None:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
        with pytest.raises(UniqueViolation) as caught:
            async with database.transaction() as tx:
                await tx.execute("INSERT INTO texts (post_id, body) VALUES ('b', 'a')")
        assert caught.value.constraint == "texts.body"

    async def test_lists_of_any_length(self, database: Database) -> None:
        async with database.transaction() as tx:
            await tx.execute_many(
                "INSERT INTO texts (post_id, body) VALUES (:id, :id)", [{"id": f"{number}"} for number in range(9)]
            )
            for wanted in ([], ["3"], ["1", "2", "8"], [str(n) for n in range(9)]):
                names, values = in_list("ids", wanted)
                rows = await tx.fetch(f"SELECT post_id FROM texts WHERE post_id IN ({names})", **values)
                assert sorted(row["post_id"] for row in rows) == sorted(wanted)


    async def test_a_unique_violation_of_two_columns_names_both(self, database: Database) -> None:
        await database.install("CREATE TABLE IF NOT EXISTS pairs (one TEXT NOT NULL, other BIGINT NOT NULL, PRIMARY KEY (one, other));")
        insert = "INSERT INTO pairs (one, other) VALUES (:one, :other)"
        async with database.transaction() as tx:
            await tx.execute(insert, one="a), (b)=(c", other=1)
        with pytest.raises(UniqueViolation) as caught:
            async with database.transaction() as tx:
                await tx.execute(insert, one="a), (b)=(c", other=1)
        assert caught.value.constraint == "pairs.one, pairs.other"

    async def test_values_come_back_as_the_same_types(self, database: Database) -> None:
        await database.install(
            "CREATE TABLE IF NOT EXISTS kinds (id BIGINT PRIMARY KEY, number INTEGER, words TEXT, bytes BYTEA, flag INTEGER NOT NULL);"
        )
        insert = "INSERT INTO kinds (id, number, words, bytes, flag) VALUES (:id, :number, :words, :bytes, :flag)"
        async with database.transaction() as tx:
            assert await tx.execute(insert, id=2**62, number=2**40, words="Šiauliai; :x '", bytes=b"\0\xff", flag=True) == 1
            await tx.execute_many(insert, [
                {"id": 1, "number": None, "words": None, "bytes": None, "flag": 0},
                {"id": 2, "number": 3, "words": "", "bytes": b"", "flag": 1},
            ])
            assert await tx.execute("UPDATE kinds SET flag = 1 WHERE id < :most", most=10) == 2
        rows = [tuple(row) for row in await database.fetch("SELECT id, number, words, bytes, flag FROM kinds ORDER BY id")]
        assert rows == [(1, None, None, None, 1), (2, 3, "", b"", 1), (2**62, 2**40, "Šiauliai; :x '", b"\0\xff", 1)]
        row = await database.fetch_one(
            """
            SELECT COUNT(*) AS n, SUM(number) AS total, COALESCE(SUM(flag), 0) AS flags, MAX(id) AS newest, 7 / :two AS half,
                   COUNT(*) > :two AS many, :word || ' ' || :word AS twice, COALESCE(:nothing, :word) AS word
            FROM kinds
            """,
            two=2, word="one", nothing=None,
        )
        assert row is not None
        assert {key: row[key] for key in row.keys()} == {  # noqa: SIM118
            "n": 3, "total": 2**40 + 3, "flags": 3, "newest": 2**62, "half": 3, "many": 1, "twice": "one one", "word": "one",
        }
        assert all(type(row[key]) is int for key in ("n", "total", "flags", "newest", "half", "many"))

    async def test_texts_are_in_the_order_of_their_code_points(self, database: Database) -> None:
        """Whatever language the server speaks: pages go on from the last key, and both engines show the same order."""
        words = ["", " b", "!", "B", "Z", "_", "a", "a b", "ab", "b", "z", "é", "ö", "ž", "中", "😀"]
        async with database.transaction() as tx:
            await tx.execute_many("INSERT INTO texts (post_id, body) VALUES (:word, :word)", [{"word": word} for word in reversed(words)])
        assert [row["body"] for row in await database.fetch("SELECT body FROM texts ORDER BY body")] == words
        seen: list[str] = []
        last = None
        while last != "😀":
            rows = await database.fetch("SELECT body FROM texts WHERE body > :last ORDER BY body LIMIT :limit", last=last or "", limit=3)
            seen += [row["body"] for row in rows]
            last = seen[-1]
        assert seen == words[1:]

    async def test_installing_again_or_at_once_changes_nothing(self, database: Database, tmp_path: Path) -> None:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
        others = [await self.open(tmp_path) for _ in range(3)]
        more = "CREATE TABLE IF NOT EXISTS more (id BIGINT PRIMARY KEY);\nCREATE INDEX IF NOT EXISTS more_by_id ON more (id);\n"
        await asyncio.gather(*(each.install(SCHEMA + TABLES + more) for each in (database, *others)))
        assert len(await database.fetch("SELECT * FROM texts")) == 1
        assert await others[0].fetch("SELECT * FROM more") == []
        for other in others:
            await other.close()

    async def test_what_is_rebuilt_aside_is_adopted_at_once(self, database: Database) -> None:
        async with database.transaction() as tx:
            await tx.execute_many("INSERT INTO texts (post_id, body) VALUES (:id, :id)", [{"id": "old"}, {"id": "same"}])
        async with database.scratch(TABLES) as scratch:
            async with scratch.transaction() as tx:
                await tx.execute_many("INSERT INTO texts (post_id, body) VALUES (:id, :id)", [{"id": "new"}, {"id": "same"}])
            with pytest.raises(RuntimeError):
                async with database.transaction() as tx:
                    await database.adopt(scratch, ("texts",), tx)
                    raise RuntimeError
            assert {row["body"] for row in await database.fetch("SELECT body FROM texts")} == {"old", "same"}
            async with database.transaction() as tx:
                await database.adopt(scratch, ("texts",), tx)
                assert {row["body"] for row in await database.fetch("SELECT body FROM texts")} == {"old", "same"}
        assert {row["body"] for row in await database.fetch("SELECT body FROM texts")} == {"new", "same"}

    async def test_a_named_lock_is_for_one_at_a_time(self, database: Database, tmp_path: Path) -> None:
        """Read, then write what follows from it: under the lock nobody comes in between."""
        other = await self.open(tmp_path)
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO tallies (author_id, posts) VALUES ('ann', 0)")

        async def count(where: Database) -> None:
            for _ in range(10):
                async with where.transaction() as tx:
                    await tx.lock("tallies")
                    row = await tx.fetch_one("SELECT posts FROM tallies")
                    assert row is not None
                    await asyncio.sleep(0)
                    await tx.execute("UPDATE tallies SET posts = :posts", posts=row["posts"] + 1)

        async with asyncio.timeout(60):
            await asyncio.gather(*(count(where) for where in (database, other, database, other)))
        row = await other.fetch_one("SELECT posts FROM tallies")
        assert row is not None and row["posts"] == 40
        await other.close()

    async def test_listening_and_long_work_are_asked_alike(self, database: Database) -> None:
        database.listen("news", lambda: None)
        async with database.transaction(durable=False) as tx:
            await tx.take_time()
            await tx.execute("INSERT INTO texts (post_id, body) VALUES ('a', 'a')")
            await tx.announce("news")
        assert len(await database.fetch("SELECT * FROM texts")) == 1


class EventStoreContract(DatabaseFactory):
    """Append, read, tail, group commit, personal data."""

    async def test_a_stream_reads_back_as_it_was_appended(self, database: Database) -> None:
        store = EventStore("test", database)
        await store.append("post-1", 0, [published(1), PostEdited(post_id="p1", author_id="ann", body="new")], META)
        first, second = await store.read("post-1")
        assert (first.version, first.position, first.stream, first.meta) == (1, 1, "post-1", META)
        assert second.data == PostEdited(post_id="p1", author_id="ann", body="new")
        assert (second.version, second.position) == (2, 2)
        assert [e.version for e in await store.read("post-1", after=1)] == [2]
        assert await store.head() == 2

    async def test_the_loser_of_a_race_is_told(self, database: Database) -> None:
        store = EventStore("test", database)
        results = await asyncio.gather(
            *(store.append("post-1", 0, [published(1, f"by {n}")], META) for n in range(8)), return_exceptions=True
        )
        assert sum(isinstance(r, int) for r in results) == 1
        assert sum(isinstance(r, Conflict) for r in results) == 7
        with pytest.raises(Conflict):
            await store.append("post-1", 0, [published(1)], META)
        assert len(await store.read("post-1")) == 1

    async def test_a_race_between_stores_has_one_winner(self, database: Database, tmp_path: Path) -> None:
        other = await self.open(tmp_path)
        stores = [EventStore("test", database), EventStore("test", other)]
        results = await asyncio.gather(
            *(stores[n % 2].append(f"post-{n // 2}", 0, [published(n)], META) for n in range(40)), return_exceptions=True
        )
        assert sum(isinstance(r, int) for r in results) == 20
        assert await stores[0].head() == 20
        await other.close()

    async def test_one_refusal_in_a_group_commit_fails_alone(self, database: Database) -> None:
        store = EventStore("test", database, (Texts(),))
        bodies = ["a", "forbidden", "b", "a", "broken", "c"]
        results = await asyncio.gather(
            *(store.append(f"post-{n}", 0, [published(n, body)], META) for n, body in enumerate(bodies)), return_exceptions=True
        )
        assert [type(r) for r in results] == [int, Rejected, int, UniqueViolation, RuntimeError, int]
        assert [e.stream for e in await store.tail(0, 10)] == ["post-0", "post-2", "post-5"]
        assert [e.position for e in await store.tail(0, 10)] == [1, 2, 3]

    async def test_a_request_is_answered_once(self, database: Database) -> None:
        store = EventStore("test", database)
        await store.append("post-1", 0, [published(1)], META, "ann:r1")
        assert await store.answered("ann:r1") == ("post-1", 1)
        assert await store.answered("bob:r1") is None
        with pytest.raises(Conflict):
            await store.append("post-2", 0, [published(2)], META, "ann:r1")

    async def test_limits(self, database: Database) -> None:
        store = EventStore("test", database)
        with pytest.raises(InvalidArgument):
            await store.append("post-1", 0, [], META)
        with pytest.raises(InvalidArgument):
            await store.append("post-1", 0, [published(n) for n in range(101)], META)
        with pytest.raises(InvalidArgument, match="512 KiB"):
            await store.append("post-1", 0, [published(1, "x" * (512 * 1024))], META)
        assert await store.head() == 0

    async def test_a_tailing_reader_never_skips(self, database: Database, tmp_path: Path) -> None:
        """Writers on two connections, one reader that follows positions: it sees every position, in order, once."""
        other = await self.open(tmp_path)
        stores = [EventStore("test", database), EventStore("test", other)]
        writers, each = 32, 12
        seen: list[int] = []

        async def write(writer: int) -> None:
            for number in range(each):
                await stores[writer % 2].append(f"post-{writer}", number, [published(f"{writer}-{number}")], META)

        async def follow() -> None:
            while len(seen) < writers * each:
                seen.extend(e.position for e in await stores[0].tail(seen[-1] if seen else 0, 7))
                await asyncio.sleep(0)

        async with asyncio.timeout(60):
            await asyncio.gather(follow(), *(write(w) for w in range(writers)))
        assert seen == list(range(1, writers * each + 1))
        await other.close()

    async def test_what_was_just_written_is_tailed_as_it_stands(self, database: Database, tmp_path: Path) -> None:
        """Followers are handed what the writer holds in memory: it equals what another process reads, and goes with the key."""
        other = await self.open(tmp_path)
        store, writer, reader = (EventStore("test", each) for each in (database, other, other))
        await store.append("post-1", 0, [published(1, "a personal remark")], META)
        await store.append("post-2", 0, [published(2), published(3)], Metadata(""))
        await writer.append("post-3", 0, [published(4)], META)
        await store.append("post-4", 0, [published(5)], META)
        for after in range(5):
            for limit in (1, 2, 10):
                had = await store.tail(after, limit)
                assert had == (await reader.tail(after, limit))[:len(had)]
                assert had
        assert await store.tail(5, 10) == []
        author_id = published(1).author_id
        await store.append(f"author-{author_id}", 0, [AuthorErased(person_id=author_id)], META)
        assert [event.erased for event in await store.tail(0, 10) if isinstance(event.data, PostPublished)] == [True] * 5
        await other.close()

    async def test_personal_fields_are_sealed_in_the_table(self, database: Database) -> None:
        store = EventStore("test", database)
        await store.append("post-1", 0, [published(1, "a personal remark")], META)
        async with database.snapshot() as tx:
            row = await tx.fetch_one("SELECT data, sealed FROM events")
        assert row is not None
        assert b"personal" not in bytes(row["data"]) and b"personal" not in bytes(row["sealed"])
        assert b"ann" in bytes(row["data"])

    @pytest.mark.parametrize(
        "event",
        [
            PersonAdded(person_id="ann"),
            PersonAdded(person_id="ann", profile=Profile()),
            PersonAdded(person_id="ann", profile=Profile(name="Ann", languages=["en", "et"], custom_fields={"desk": "4"})),
            PostPublished(post_id="p1", author_id="ann"),
            PostPublished(
                post_id="p1", author_id="ann", body="text", tags=["a"],
                attachments=[Attachment(blob_id="b1", description="one"), Attachment(blob_id="b2")],
            ),
        ],
        ids=str,
    )
    async def test_sealed_and_opened_an_event_is_what_it_was(self, database: Database, event: Message) -> None:
        await EventStore("test", database).append("thing-1", 0, [event], META)
        [stored] = await EventStore("test", database).read("thing-1")
        assert stored.data == event and not stored.erased

    async def test_erasure_leaves_history_without_its_text(self, database: Database) -> None:
        store = EventStore("test", database, (Texts(),))
        await store.append("post-1", 0, [published(1, "keep", "bob")], META)
        await store.append("post-2", 0, [published(2, "gone", "ann")], META)
        await store.append("person-ann", 0, [PersonErased(person_id="ann")], META)
        for reader in (store, EventStore("test", database)):
            kept, gone, _ = await reader.tail(0, 10)
            assert isinstance(kept.data, PostPublished) and isinstance(gone.data, PostPublished)
            assert (kept.data.body, kept.erased) == ("keep", False)
            assert (gone.data.body, gone.data.post_id, gone.erased) == ("", "p2", True)

    async def test_what_is_written_after_an_erasure_has_a_new_key(self, database: Database) -> None:
        store = EventStore("test", database)
        await store.append("post-1", 0, [published(1, "old")], META)
        await store.append("person-ann", 0, [PersonErased(person_id="ann")], META)
        await store.append("post-2", 0, [published(2, "new")], META)
        bodies = [e.data.body for e in await EventStore("test", database).tail(0, 10) if isinstance(e.data, PostPublished)]
        assert bodies == ["", "new"]

    async def test_what_shares_a_commit_with_an_erasure_and_follows_it_stays_readable(self, database: Database) -> None:
        store = EventStore("test", database)
        await store.append("post-1", 0, [published(1, "old")], META)
        await asyncio.gather(
            store.append("person-ann", 0, [PersonErased(person_id="ann")], META),
            store.append("post-2", 0, [published(2, "new")], META),
        )
        for reader in (store, EventStore("test", database)):
            bodies = {e.stream: e.data.body for e in await reader.tail(0, 10) if isinstance(e.data, PostPublished)}
            assert bodies == {"post-1": "", "post-2": "new"}


class SubscriptionContract(DatabaseFactory):
    """Delivery: effectively once, in order, past poison; rebuild equals live."""

    async def _filled(self, database: Database, bodies: Sequence[str]) -> EventStore:
        store = EventStore("source", database)
        for number, body in enumerate(bodies):
            await store.append(f"post-{number}", 0, [published(number, body)], META)
        return store

    async def following(self, store: EventStore) -> Log:
        """A store's log as its followers read it: the store itself, or what a broker brings of it."""
        return store

    async def _drain(self, subscription: Subscription) -> None:
        async with asyncio.timeout(60):
            while await subscription.step() or not await subscription.caught_up():
                await asyncio.sleep(0)

    async def test_redelivery_changes_nothing(self, database: Database) -> None:
        store = await self._filled(database, [""] * 25)
        consumer = ProjectionConsumer(Tallies(), database)
        for _ in range(3):
            await self._drain(Subscription(await self.following(store), consumer, batch=7))
            events = await store.tail(0, 100)
            await consumer.take("source", events, events[-1].position)
        async with database.snapshot() as tx:
            row = await tx.fetch_one("SELECT posts FROM tallies")
        assert row is not None and row["posts"] == 25

    async def test_two_followers_of_one_subscription_deliver_once(self, database: Database, tmp_path: Path) -> None:
        store = await self._filled(database, [""] * 50)
        other = await self.open(tmp_path)
        await asyncio.gather(
            self._drain(Subscription(await self.following(store), ProjectionConsumer(Tallies(), database), batch=3)),
            self._drain(Subscription(await self.following(store), ProjectionConsumer(Tallies(), other), batch=5)),
        )
        async with database.snapshot() as tx:
            row = await tx.fetch_one("SELECT posts FROM tallies")
        assert row is not None and row["posts"] == 50
        await other.close()

    async def test_a_poison_event_parks_its_stream_and_the_others_go_on(self, database: Database) -> None:
        store = await self._filled(database, ["a", "broken", "c"])
        await store.append("post-1", 1, [PostEdited(post_id="p1", author_id="ann", body="mended text")], META)
        texts = Texts()
        subscription = Subscription(await self.following(store), ProjectionConsumer(texts, database), retries=2)
        await self._drain(subscription)
        async with database.snapshot() as tx:
            assert [row["post_id"] for row in await tx.fetch("SELECT post_id FROM texts ORDER BY post_id")] == ["p0", "p2"]
            parked = await tx.fetch("SELECT stream, position, reason FROM parked")
        assert [(row["stream"], row["position"]) for row in parked] == [("post-1", 2)]
        assert "fault in the projection" in parked[0]["reason"]

        texts.mended = True
        async with database.transaction() as tx:
            await tx.execute("UPDATE parked SET retry = 1")
        await self._drain(subscription)
        async with database.snapshot() as tx:
            rows = await tx.fetch("SELECT post_id, body FROM texts ORDER BY post_id")
            assert await tx.fetch_one("SELECT * FROM parked") is None
        assert [(row["post_id"], row["body"]) for row in rows] == [("p0", "a"), ("p1", "mended text"), ("p2", "c")]

    async def test_a_parked_stream_stays_parked_over_a_restart(self, database: Database) -> None:
        store = await self._filled(database, ["broken"])
        await self._drain(Subscription(await self.following(store), ProjectionConsumer(Texts(), database), retries=1))
        await store.append("post-0", 1, [PostEdited(post_id="p0", author_id="ann", body="later")], META)
        again = Subscription(await self.following(store), ProjectionConsumer(Texts(), database), retries=1)
        await self._drain(again)
        assert await again.caught_up()
        async with database.snapshot() as tx:
            assert await tx.fetch_one("SELECT * FROM texts") is None
            assert len(await tx.fetch("SELECT * FROM parked")) == 1

    async def test_a_rebuild_equals_live_while_writing_goes_on(self, database: Database) -> None:
        texts = Texts()
        store = EventStore("source", database, (texts,))
        for number in range(30):
            await store.append(f"post-{number}", 0, [published(number)], META)

        async def write() -> None:
            for number in range(30, 60):
                await store.append(f"post-{number}", 0, [published(number)], META)

        seen: list[tuple[int, int]] = []
        await asyncio.gather(
            write(),
            rebuild.rebuild(texts, store, database, SCHEMA + TABLES, inline=True, progress=lambda done, total: seen.append((done, total))),
        )
        assert seen and all(done <= total for done, total in seen)
        assert await rebuild.compare(texts, store, database, SCHEMA + TABLES, inline=True) == []
        async with database.snapshot() as tx:
            assert len(await tx.fetch("SELECT * FROM texts")) == 60

    async def test_a_comparison_finds_what_is_wrong(self, database: Database) -> None:
        texts = Texts()
        store = EventStore("source", database, (texts,))
        for number in range(3):
            await store.append(f"post-{number}", 0, [published(number)], META)
        async with database.transaction() as tx:
            await tx.execute("UPDATE texts SET body = 'falsified' WHERE post_id = 'p1'")
        differences = await rebuild.compare(texts, store, database, SCHEMA + TABLES, inline=True)
        assert any("falsified" in d.live for d in differences) and any("body 1" in d.rebuilt for d in differences)
        await rebuild.rebuild(texts, store, database, SCHEMA + TABLES, inline=True)
        assert await rebuild.compare(texts, store, database, SCHEMA + TABLES, inline=True) == []

    async def test_a_rebuild_beside_a_follower_ends_its_parking(self, database: Database) -> None:
        """Another process rebuilds the projection, and parks none: the one that runs takes the stream's next events again."""
        store = await self._filled(database, ["broken"])
        texts = Texts()
        subscription = Subscription(await self.following(store), ProjectionConsumer(texts, database), retries=1)
        await self._drain(subscription)
        texts.mended = True
        await rebuild.rebuild(texts, store, database, SCHEMA + TABLES, inline=False)
        await store.append("post-0", 1, [PostEdited(post_id="p0", author_id="ann", body="later")], META)
        await self._drain(subscription)
        assert await rebuild.compare(texts, store, database, SCHEMA + TABLES, inline=False) == []
        assert [row["body"] for row in await database.fetch("SELECT body FROM texts")] == ["later"]

    async def test_what_one_follower_parks_no_other_takes(self, database: Database, tmp_path: Path) -> None:
        store = await self._filled(database, ["a", "b"])
        other = await self.open(tmp_path)
        texts = Texts()
        here = Subscription(await self.following(store), ProjectionConsumer(texts, database), retries=1)
        there = Subscription(await self.following(store), ProjectionConsumer(texts, other), retries=1)
        await self._drain(here)
        await self._drain(there)
        await store.append("post-2", 0, [published(2, "broken")], META)
        await self._drain(here)
        texts.mended = True
        await store.append("post-2", 1, [PostDeleted(post_id="p2", author_id="ann")], META)
        await self._drain(there)
        assert await there.caught_up()
        assert [row["stream"] for row in await database.fetch("SELECT stream FROM parked")] == ["post-2"]
        async with database.transaction() as tx:
            await tx.execute("UPDATE parked SET retry = 1")
        await self._drain(here)
        assert [row["post_id"] for row in await database.fetch("SELECT post_id FROM texts ORDER BY post_id")] == ["p0", "p1"]
        await other.close()

    async def test_a_neighbour_erasure_deletes_the_key_here(self, database: Database) -> None:
        store = EventStore("feed", database)
        await store.append("post-1", 0, [published(1, "text")], META)
        identity = EventStore("identity", database)
        erasure = ErasureConsumer(Erasure("feed", "identity", store.keyring, (PersonErased,)), database)
        await identity.append("person-ann", 0, [PersonErased(person_id="ann")], META)
        await self._drain(Subscription(await self.following(identity), erasure))
        [post, _] = await store.tail(0, 10)
        assert post.erased

    async def test_an_erasure_taken_by_another_process_is_forgotten_here_too(self, database: Database, tmp_path: Path) -> None:
        other = await self.open(tmp_path)
        store, beside = EventStore("feed", database), EventStore("feed", other)
        await store.append("post-1", 0, [published(1, "text")], META)
        (tmp_path / "identity").mkdir()
        identity = EventStore("identity", await self.open(tmp_path / "identity"))
        await identity.database.install(SCHEMA)
        erasure_here = ErasureConsumer(Erasure("feed", "identity", store.keyring, (PersonErased,)), database)
        erasure_there = ErasureConsumer(Erasure("feed", "identity", beside.keyring, (PersonErased,)), other)
        here = Subscription(await self.following(identity), erasure_here)
        await here.prepare()
        await identity.append("person-ann", 0, [PersonErased(person_id="ann")], META)
        await self._drain(Subscription(await self.following(identity), erasure_there))
        await self._drain(here)
        assert [e.erased for e in await store.tail(0, 10)] == [True]
        await identity.database.close()
        await other.close()
