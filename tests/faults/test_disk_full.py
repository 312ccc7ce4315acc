"""A disk without room: writes are refused and say so, reads go on, nothing acknowledged is lost, and room is all it takes to go on."""
from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from libs.blobs.store import BlobStore, BlobStoreFailed
from libs.db.database import StorageFull
from libs.db.sqlite import SqliteDatabase
from libs.eventstore.model import Metadata
from libs.eventstore.store import SCHEMA, EventStore
from libs.rpc.errors import RpcError, problem_of
from libs.runtime.embedded import Embedded
from libs.runtime.settings import Settings
from libs.runtime.verify import verify
from libs.searchindex.index import Checkpoint, Document, Query
from libs.searchindex.tantivy import open_index
from libs.subscriptions import rebuild
from libs.testing.contracts import TABLES, Texts, published
from libs.testing.world import World
from services.feed.service import SERVICE as FEED
from services.gateway.service import SERVICE as GATEWAY
from services.identity.service import SERVICE as IDENTITY
from services.search.service import SERVICE as SEARCH
from tests.runtime.small import services
from watercooler.identity.v1.events_pb2 import Profile
from watercooler.identity.v1.identity_service_pb2 import CreatePersonRequest, SetUpOrganizationRequest
from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from watercooler.search.v1.search_service_pb2 import SearchRequest
from watercooler.search.v1.search_service_pb2_grpc import SearchServiceStub

META = Metadata("ann")
BODY = "0123456789abcdef" * 1_500
PASSWORD = "seven quiet herons over Tartu"
# The least work a password's hash may take: these tests are about what surrounds it.
QUICK: dict[str, Any] = {"password_hash_bytes": 1 << 20, "password_hash_passes": 1, "password_hash_lanes": 1}


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own in memory; skips where mounting is not allowed."""
    folder.mkdir()
    command = shutil.which("mount")
    if command is None:
        pytest.skip("a small disk cannot be mounted here: there is no mount command")
    done = subprocess.run(
        [command, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True, timeout=20, check=False
    )
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], timeout=20, check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """8 MiB."""
    with mounted(tmp_path / "disk", "8m") as folder:
        yield folder


@pytest.fixture
def whole_disk(tmp_path: Path) -> Iterator[Path]:
    """Room for a whole network that holds little."""
    with mounted(tmp_path / "disk", "64m") as folder:
        yield folder


class Ballast:
    """A file that takes all the room of a disk, and gives it back."""

    def __init__(self, disk: Path) -> None:
        self._path = disk / "ballast"

    def fill(self, leave_bytes: int = 0) -> None:
        """Leave so much room and no more."""
        with self._path.open("ab", buffering=0) as file:
            for size in (1 << 16, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue
            file.truncate(file.tell() - leave_bytes)

    def remove(self) -> None:
        """Give the room back."""
        self._path.unlink()


async def fill(store: EventStore, first: int, most: int = 2_000) -> list[int]:
    """Publish until refused; answers the numbers that were acknowledged."""
    stored: list[int] = []
    for number in range(first, first + most):
        try:
            await store.append(f"post-{number}", 0, [published(number, f"{number} {BODY}")], META)
        except StorageFull:
            return stored
        stored.append(number)
    raise AssertionError("the disk never filled")


@asynccontextmanager
async def limited(folder: Path, pages: int) -> AsyncIterator[tuple[EventStore, SqliteDatabase]]:
    """A store whose database may have so many pages."""
    database = SqliteDatabase(folder / "events.db")
    await database.install(SCHEMA + TABLES)
    database.writer.execute(f"PRAGMA max_page_count = {pages}")
    yield EventStore("test", database, (Texts(),)), database
    await database.close()


async def test_a_database_at_its_limit_refuses_and_recovers(tmp_path: Path) -> None:
    async with limited(tmp_path, 120) as (store, database):
        stored = await fill(store, 0)
        assert stored
        with pytest.raises(StorageFull, match="free some room"):
            await store.append("post-large", 0, [published("large", BODY)], META)
        assert [event.stream for event in await store.tail(0, 1_000)] == [f"post-{n}" for n in stored]
        assert await rebuild.compare(store.inline[0], store, database, SCHEMA + TABLES, inline=True) == []
        database.writer.execute("PRAGMA max_page_count = 100000")
        assert await store.append("post-large", 0, [published("large", BODY)], META) == len(stored) + 1


async def test_a_group_commit_without_room_stores_nothing_of_anybody(tmp_path: Path) -> None:
    """SQLite ends the transaction by itself when it is full; nothing of the group may slip into a commit of its own."""
    async with limited(tmp_path, 120) as (store, database):
        await fill(store, 0)
        before = await store.head()
        results = await asyncio.gather(
            *(store.append(f"late-{n}", 0, [published(f"late{n}", "x" if n % 2 else BODY + str(n))], META) for n in range(12)),
            return_exceptions=True,
        )
        assert {type(result) for result in results} == {StorageFull}
        assert await store.head() == before
        # A refusal in the group makes the store try each apart; without room that must end the same way.
        results = await asyncio.gather(
            store.append("late-refused", 0, [published("refused", "forbidden")], META),
            *(store.append(f"late-{n}", 0, [published(f"late{n}", BODY + str(n))], META) for n in range(12)),
            return_exceptions=True,
        )
        assert not any(isinstance(result, int) for result in results)
        assert await store.head() == before
        assert not database.writer.in_transaction
        database.writer.execute("PRAGMA max_page_count = 100000")
        positions = await asyncio.gather(*(store.append(f"late-{n}", 0, [published(f"late{n}", BODY + str(n))], META) for n in range(12)))
        assert sorted(positions) == list(range(before + 1, before + 13))


async def test_the_network_on_a_full_disk(small_disk: Path) -> None:
    ballast = Ballast(small_disk)
    source, copy, echo = services()
    network = Embedded((source, copy), Settings(data=small_disk / "var", log_level="critical"))
    await network.start()
    try:
        world = World(network)
        store = world.store("source")
        await store.append("post-first", 0, [published("first")], META)
        await network.settle()
        ballast.fill(leave_bytes=1 << 20)
        stored = await fill(store, 0)
        assert stored
        # Calls that read are answered, what is stored is readable, many at once.
        for _ in range(3):
            events = await asyncio.gather(*(store.tail(0, 1_000) for _ in range(30)))
            assert {len(found) for found in events} == {len(stored) + 1}
        with pytest.raises(StorageFull):
            await store.append("post-refused", 0, [published("refused", BODY)], META)
        problem = problem_of(StorageFull("the disk is full"))
        assert problem is not None and (problem.code, problem.retry_seconds) == (grpc.StatusCode.UNAVAILABLE, 5)

        ballast.remove()
        async with asyncio.timeout(30):
            while True:  # as a client does: again, until there is room
                try:
                    await store.append("post-refused", 0, [published("refused", BODY)], META)
                    break
                except StorageFull:
                    await asyncio.sleep(0.05)
        await network.settle()
        assert [event.stream for event in await store.tail(0, 1_000)] == ["post-first", *(f"post-{n}" for n in stored), "post-refused"]
        assert await verify(network, lambda name: None) == []  # nothing is parked either
        assert len(echo.heard) >= len(stored) + 2
    finally:
        await network.stop()


async def test_a_call_is_unavailable_with_a_time_to_wait(tmp_path: Path) -> None:
    async with World.of(tmp_path, IDENTITY, FEED, **QUICK) as world:
        stub = world.stub(IdentityServiceStub, "identity")
        database: Any = world.store("identity").database
        request = SetUpOrganizationRequest(name="Riverside", person_name="Ann Able", email="ann@example.org", password=PASSWORD)
        administrator = (await stub.SetUpOrganization(request)).administrator.person_id
        [pages] = database.writer.execute("PRAGMA page_count").fetchone()
        database.writer.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(RpcError) as caught:
            for number in range(200):
                with world.acting_as(administrator, ("employee", "administrator")):
                    await stub.CreatePerson(
                        CreatePersonRequest(profile=Profile(name=f"Person {number}", email=f"p{number}@example.org", about=BODY[:1_000]))
                    )
        problem = problem_of(caught.value)
        assert problem is not None
        assert (problem.code, problem.retry_seconds) == (grpc.StatusCode.UNAVAILABLE, 5)
        assert "disk is full" in problem.reason
        database.writer.execute("PRAGMA max_page_count = 1000000")
        with world.acting_as(administrator, ("employee", "administrator")):
            await stub.CreatePerson(CreatePersonRequest(profile=Profile(name="Bo Room", email="room@example.org")))
        await world.assert_rebuilds()


async def test_http_answers_503_with_retry_after_and_recovers(whole_disk: Path) -> None:
    ballast = Ballast(whole_disk)
    async with World.of(whole_disk, IDENTITY, FEED, SEARCH, GATEWAY, **QUICK) as world:
        edge: Any = world.embedded.assemblies["gateway"].app
        transport = httpx.ASGITransport(app=edge, client=("192.0.2.7", 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://water.example") as client:
            made = await client.post(
                "/api/v1/organization",
                json={"name": "Riverside", "person_name": "Ann Able", "email": "ann@example.org", "password": PASSWORD},
            )
            assert made.status_code == 201, made.text
            await world.settle()
            entered = await client.post("/api/v1/sessions", json={"email": "ann@example.org", "password": PASSWORD})
            assert entered.status_code == 201, entered.text
            client.headers["x-csrf-token"] = entered.json()["csrf_token"]

            ballast.fill(leave_bytes=1 << 20)
            acknowledged: list[str] = []
            for number in range(1_000):
                refused = await client.post("/api/v1/posts", json={"body": f"{number} {BODY[:8_000]}"})
                if refused.status_code != 201:
                    break
                acknowledged.append(refused.json()["id"])
            assert refused.status_code == 503, refused.text
            assert refused.headers["content-type"].startswith("application/problem+json")
            assert refused.headers["retry-after"] == "5"
            assert refused.json()["code"] == "unavailable" and refused.json()["retry_after_seconds"] == 5
            assert "full" in refused.json()["detail"]
            assert len(acknowledged) > 3

            for post_id in acknowledged:  # everything that was acknowledged is read, disk full or not
                assert (await client.get(f"/api/v1/posts/{post_id}")).status_code == 200
            assert (await client.get("/healthz")).status_code == 200

            ballast.remove()
            async with asyncio.timeout(30):
                while (again := await client.post("/api/v1/posts", json={"body": "room again"})).status_code == 503:
                    await asyncio.sleep(0.05)
            assert again.status_code == 201, again.text
            await world.settle()
            assert (await client.get("/readyz")).status_code == 200
            for post_id in (*acknowledged, again.json()["id"]):
                assert (await client.get(f"/api/v1/posts/{post_id}")).status_code == 200
            with world.acting_as(made.json()["administrator"]["id"]):
                found = await world.stub(SearchServiceStub, "search").Search(SearchRequest(query="room"))
            assert again.json()["id"] in [hit.id for hit in found.hits]
            assert await verify(world.embedded, lambda name: None) == []


async def test_blobs_on_a_full_disk(small_disk: Path) -> None:
    ballast = Ballast(small_disk)
    blobs = BlobStore.local(small_disk / "blobs")
    kept = await blobs.put(b"kept" * 1_000, "text/plain", limit_bytes=1 << 20)
    ballast.fill()
    large = bytes(range(256)) * 8_000

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 65_536):
            yield large[start:start + 65_536]

    for content in (large, pieces()):
        with pytest.raises(BlobStoreFailed):
            await blobs.put(content, "application/octet-stream", limit_bytes=1 << 24)
    assert await (await blobs.get(kept.id)).read() == b"kept" * 1_000
    assert [ref.id async for ref in blobs.refs()] == [kept.id]
    ballast.remove()
    for content in (large, pieces()):
        ref = await blobs.put(content, "application/octet-stream", limit_bytes=1 << 24)
        assert await blobs.intact(ref.id)
    assert list((small_disk / "blobs" / "incoming").glob("*")) == []  # what broke off took no room for ever


async def test_the_search_index_on_a_full_disk(small_disk: Path) -> None:
    ballast = Ballast(small_disk)
    index = open_index(small_disk / "index")

    def posts(first: int, count: int) -> list[Document]:
        words = (f"word{n * 7919 % 100_003}" for n in range(first * 400, (first + count) * 400))
        return [
            Document(
                id=f"p{n}", kind="post", version=1, title="", audience=["employees"], body=" ".join(next(words) for _ in range(400)),
                language="en", author_id="ann", community_id="", tags=[], create_time=0,
            )
            for n in range(first, first + count)
        ]

    await index.write(posts(0, 5), Checkpoint("feed", 5))
    ballast.fill()
    with pytest.raises(OSError):
        await index.write(posts(5, 40), Checkpoint("feed", 45))
    assert await index.checkpoint("feed") == 5  # the checkpoint stays with what is stored
    assert await index.count(Query(text="", audience=["employees"])) == 5
    ballast.remove()
    await index.write(posts(5, 40), Checkpoint("feed", 45))
    assert (await index.checkpoint("feed"), await index.count(Query(text="", audience=["employees"]))) == (45, 45)
    await index.close()
