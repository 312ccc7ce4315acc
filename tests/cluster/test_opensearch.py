"""The contract of the search index, held by OpenSearch, and what is OpenSearch's own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import opensearchpy
import pytest

from libs.rpc.errors import problem_of
from libs.searchindex.index import (
    QUERY_LENGTH_MAX,
    Checkpoint,
    IndexAway,
    IndexRefused,
    IndexUnusable,
    Query,
    Removal,
    SearchIndex,
)
from libs.searchindex.opensearch import SCHEMA, OpenSearchConfig, OpenSearchHome
from libs.searchindex.text import QUERY_LATIN
from libs.subscriptions.subscription import is_passing
from libs.testing.searchindex_contract import EVERYONE, NOW, SearchIndexContract, filled, ids, library, people, person, post
from libs.testing.world import shared_data

# What waits here waits for an engine that shares the machine with others.
pytestmark = pytest.mark.timeout(600)


class Homes:
    """Homes of indexes for one test, and what OpenSearch itself says."""

    def __init__(self, url: str, prefix: str) -> None:
        self.url, self.prefix = url, prefix
        self.client = opensearchpy.AsyncOpenSearch(hosts=[url], timeout=60)
        self._made: list[OpenSearchHome] = []

    def at(self, name: str = "search", **more: Any) -> OpenSearchHome:
        """A home, as a process makes it for itself."""
        home = OpenSearchHome(OpenSearchConfig(url=self.url, prefix=self.prefix, **more), name, clock=lambda: NOW)
        self._made.append(home)
        return home

    async def generations(self) -> list[str]:
        """The indexes there are below the prefix."""
        return sorted(await self.client.indices.get_mapping(index=f"{self.prefix}-*"))

    async def folder(self) -> Path:
        """Where the node keeps everything. Its tests run on the same machine."""
        nodes = (await self.client.nodes.info())["nodes"]
        [settings] = [node["settings"] for node in nodes.values()]
        return Path(settings["path"]["home"])

    async def close(self) -> None:
        """Deletes what was made."""
        for home in self._made:
            await home.discard()
            await home.close()
        templates = await self.client.indices.get_index_template()
        for name in [template["name"] for template in templates["index_templates"]]:
            if name.startswith(f"{self.prefix}-"):
                await self.client.indices.delete_index_template(name=name)
        await self.client.close()


@pytest.fixture
async def homes(opensearch: str, search_prefix: str) -> AsyncIterator[Homes]:
    """Homes of indexes that are gone after the test."""
    homes = Homes(opensearch, search_prefix)
    yield homes
    await homes.close()


@asynccontextmanager
async def answering(status: int, body: bytes) -> AsyncIterator[str]:
    """A server that answers everything with this."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def everything_in(folder: Path) -> bytes:
    """The content of all files in a folder; those that vanish meanwhile are gone."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            found.append(path.read_bytes() if path.is_file() else b"")
        except FileNotFoundError:
            continue
    return b"".join(found)


class TestOpenSearch(SearchIndexContract):
    visible_seconds = 30.0

    @pytest.fixture(autouse=True)
    def _homes(self, homes: Homes) -> None:
        self.homes = homes

    async def open_index(self, place: Path) -> SearchIndex:
        return await self.homes.at(f"i{hashlib.sha256(str(place).encode()).hexdigest()[:12]}").open()


async def documents_found(index: SearchIndex, text: str) -> list[str]:
    return sorted(await ids(index, text))


class TestProcesses:
    """Several processes, each with a home of its own, over one index."""

    async def test_who_reads_makes_no_index_and_sees_what_another_writes(self, homes: Homes) -> None:
        reader = await homes.at().open()
        assert (await ids(reader, "bread"), await people(reader, "ann"), await reader.count(Query(audience=EVERYONE))) == ([], [], 0)
        await reader.refresh()
        assert await homes.generations() == []
        writer = await homes.at().open()
        await filled(writer, post("p1", "bread"))
        other = await homes.at().open()
        assert (await ids(reader, "bread"), await ids(other, "bread")) == (["p1"], ["p1"])

    async def test_readers_notice_nothing_of_rebuilds(self, homes: Homes) -> None:
        writer, reader = await homes.at().open(), await homes.at().open()
        await filled(writer, post("p1", "bread"), person("ann", "Ann"))
        seen: set[tuple[str, ...]] = set()
        done = asyncio.Event()

        async def read() -> None:
            while not done.is_set():
                seen.add(tuple(await ids(reader, "bread") + await people(reader, "ann")))

        reading = asyncio.create_task(read())
        for _ in range(3):
            async with writer.rebuilding() as fresh:
                await fresh.write([post("p1", "bread"), person("ann", "Ann")])
        done.set()
        await reading
        assert seen == {("p1", "ann")}
        assert len(await homes.generations()) == 1

    async def test_a_writer_goes_on_in_the_generation_that_another_made(self, homes: Homes) -> None:
        first, second = await homes.at().open(), await homes.at().open()
        await first.write([post("p1", "bread", 1)], Checkpoint("feed", 1))
        async with second.rebuilding() as fresh:
            await fresh.write([post("p1", "bread", 1), post("p2", "bread", 2)], Checkpoint("feed", 2))
        await first.write([post("p2", "bread", 2), post("p3", "bread", 3)], Checkpoint("feed", 3))
        await first.refresh()
        assert (await documents_found(second, "bread"), await second.checkpoint("feed")) == (["p1", "p2", "p3"], 3)

    async def test_a_writer_notices_that_its_writes_were_lost(self, homes: Homes) -> None:
        writer, stale = await homes.at().open(), await homes.at().open()
        await writer.write([post("p1", "bread", 1)], Checkpoint("feed", 1))
        async with stale.rebuilding() as fresh:  # as by a worker that lost its lease without noticing
            await fresh.write([post("p1", "bread", 1)], Checkpoint("feed", 1))
            await writer.write([post("p2", "bread", 2)], Checkpoint("feed", 2))
        with pytest.raises(IndexUnusable, match="older state: rebuild it"):
            await writer.write([post("p3", "bread", 3)], Checkpoint("feed", 3))
        assert await writer.checkpoint("feed") == 1
        async with writer.rebuilding() as fresh:
            await fresh.write([post(f"p{n}", "bread", n) for n in (1, 2, 3)], Checkpoint("feed", 3))
        await filled(writer, post("p4", "bread", 4))
        assert await documents_found(stale, "bread") == ["p1", "p2", "p3", "p4"]

    async def test_a_write_that_comes_too_late_makes_no_index(self, homes: Homes) -> None:
        index = await homes.at().open()
        with pytest.raises(IndexAway):
            async with index.rebuilding() as fresh:
                for generation in await homes.generations():
                    await homes.client.indices.delete(index=generation)
                await fresh.write([post("p1", "bread")])
        assert await homes.generations() == []

    async def test_an_index_that_was_deleted_is_not_quietly_begun_anew(self, homes: Homes) -> None:
        writer, reader = await homes.at().open(), await homes.at().open()
        await writer.write([post("p1", "bread", 1)], Checkpoint("feed", 1))
        await writer.refresh()
        assert (await ids(reader, "bread"), await reader.checkpoint("feed")) == (["p1"], 1)
        [generation] = await homes.generations()
        await homes.client.indices.delete(index=generation)
        with pytest.raises(IndexUnusable, match="gone: rebuild it"):
            await writer.write([post("p2", "bread", 2)], Checkpoint("feed", 2))
        with pytest.raises(IndexAway):
            await reader.search(Query(text="bread", audience=EVERYONE))
        async with writer.rebuilding() as fresh:
            await fresh.write([post("p1", "bread", 1), post("p2", "bread", 2)], Checkpoint("feed", 2))
        await writer.write([post("p3", "bread", 3)], Checkpoint("feed", 3))
        await writer.refresh()
        assert await documents_found(reader, "bread") == ["p1", "p2", "p3"]

    @pytest.mark.parametrize("writes", [True, False])
    async def test_of_two_rebuilds_the_earlier_gives_way(self, homes: Homes, writes: bool) -> None:
        first, second = await homes.at().open(), await homes.at().open()
        await filled(first, post("p1", "bread"))
        with pytest.raises(IndexAway, match="just been replaced"):
            async with first.rebuilding() as lost:
                async with second.rebuilding() as fresh:
                    await fresh.write([post("p2", "bread")])
                if writes:
                    await lost.write([post("p3", "bread")])
        assert (await ids(first, "bread"), len(await homes.generations())) == (["p2"], 1)

    async def test_what_a_crashed_rebuild_left_is_removed_by_the_next(self, homes: Homes) -> None:
        index = await homes.at().open()
        await filled(index, post("p1", "bread"))
        block = index.rebuilding()
        await (await block.__aenter__()).write([post("half", "bread")])  # and then the process is no more
        assert len(await homes.generations()) == 2
        again = await homes.at().open()
        async with again.rebuilding() as fresh:
            await fresh.write([post("p1", "bread")])
        assert (len(await homes.generations()), await ids(again, "bread")) == (1, ["p1"])

    async def test_other_indexes_are_left_alone(self, homes: Homes, search_prefix: str) -> None:
        others = [f"{search_prefix}-search-people-1", f"{search_prefix}-search-note", f"{search_prefix}-search-7"]
        for name in others:  # the last is named like ours, but is none
            await homes.client.indices.create(index=name, body={"mappings": {"_meta": {}}})
        index = await homes.at().open()
        await index.write([post("p1", "bread")])
        await index.clear()
        await homes.at().discard()
        left = await homes.client.indices.get_mapping(index=f"{search_prefix}-search*")
        for name in others:
            await homes.client.indices.delete(index=name)
        assert sorted(left) == sorted(others)


class TestVersions:
    async def test_a_removal_is_remembered_for_longer_than_opensearch_remembers_deletions(self, homes: Homes) -> None:
        index = await homes.at().open()
        await index.write([post("p1", "old", 1)])
        [generation] = await homes.generations()
        await homes.client.indices.put_settings(index=generation, body={"index": {"gc_deletes": "1ms"}})
        # That a deletion is forgotten by then is shown by one of OpenSearch's own.
        at = {"version_type": "external"}
        await homes.client.index(index=generation, id="d:control", body={"id": "control"}, params=at | {"version": 8})
        await homes.client.delete(index=generation, id="d:control", params=at | {"version": 9})
        await filled(index, Removal(id="p1", version=3))
        deadline = time.monotonic() + 60
        while True:
            await homes.client.indices.refresh(index=generation)
            try:
                await homes.client.index(index=generation, id="d:control", body={"id": "control"}, params=at | {"version": 8})
                break
            except opensearchpy.exceptions.ConflictError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
        await filled(index, post("p1", "late", 2))
        assert await ids(index) == []

    @pytest.mark.parametrize(
        ("schema", "said"), [(SCHEMA + 1, "a newer version wrote it"), (0, "its schema is 0"), (None, "its schema is None")]
    )
    async def test_an_index_of_another_version_is_refused_until_it_is_discarded(self, homes: Homes, schema: int | None, said: str) -> None:
        index = await homes.at().open()
        await index.write([post("p1", "bread")], Checkpoint("feed", 3))
        [generation] = await homes.generations()
        meta = {"alias": generation.rpartition("-")[0]} | ({} if schema is None else {"schema": schema})
        await homes.client.indices.put_mapping(index=generation, body={"_meta": meta})
        home = homes.at()
        with pytest.raises(IndexUnusable, match=f"{said}.*rebuild it"):
            await home.open()
        await home.discard()
        again = await home.open()
        assert (await again.checkpoint("feed"), await ids(again)) == (0, [])


class TestFaults:
    async def test_an_engine_that_is_away_is_waited_for(self, homes: Homes) -> None:
        away = OpenSearchHome(OpenSearchConfig(url="http://127.0.0.1:9", prefix="away"), "search")
        for ask in (away.open, away.check, away.discard):
            with pytest.raises(IndexAway, match="does not answer") as caught:
                await ask()
            assert is_passing(caught.value)
            problem = problem_of(caught.value)
            assert problem is not None
            assert (problem.code, problem.retry_seconds > 0) == (grpc.StatusCode.UNAVAILABLE, True)
        await away.close()

    async def test_what_is_not_opensearch_or_refuses_us_is_said_with_the_setting(self) -> None:
        for status, body, said in (
            (200, b'{"version": {"number": "8.1.0"}}', "check search_url"),
            (401, b"Unauthorized", "check search_username and search_password"),
            (403, b'{"error": {"type": "security_exception"}}', "check search_username and search_password"),
        ):
            async with answering(status, body) as url:
                home = OpenSearchHome(OpenSearchConfig(url=url, username="us", password="not-to-be-said"), "search")
                with pytest.raises(IndexRefused, match=said) as caught:
                    await home.open()
                assert "not-to-be-said" not in str(caught.value)

    async def test_an_index_that_takes_no_writes_keeps_its_checkpoint(self, homes: Homes) -> None:
        index = await homes.at().open()
        await index.write([post("p1", "bread", 1)], Checkpoint("feed", 1))
        [generation] = await homes.generations()
        await homes.client.indices.put_settings(index=generation, body={"index.blocks.write": True})  # as when the disk is nearly full
        with pytest.raises(IndexAway, match="takes no writes"):
            await index.write([post("p2", "bread", 2)], Checkpoint("feed", 2))
        assert await index.checkpoint("feed") == 1
        await homes.client.indices.put_settings(index=generation, body={"index.blocks.write": False})
        await index.write([post("p2", "bread", 2)], Checkpoint("feed", 2))
        await index.refresh()
        assert (await documents_found(index, "bread"), await index.checkpoint("feed")) == (["p1", "p2"], 2)

    @pytest.mark.parametrize("whole", [True, False], ids=["whole requests", "single documents"])
    async def test_writes_give_way_to_an_engine_that_has_too_much_to_do(
        self, homes: Homes, monkeypatch: pytest.MonkeyPatch, whole: bool
    ) -> None:
        index = await homes.at().open()
        await index.write([], Checkpoint("feed", 1))
        client = index._server.client  # type: ignore[attr-defined]
        bulk, sizes = client.bulk, []

        async def busy(body: bytes, **more: Any) -> Any:
            """Takes up to forty documents; refuses what goes beyond as OpenSearch does whose queue is full."""
            lines = body.splitlines(keepends=True)
            sizes.append(len(lines) // 2)
            if len(lines) > 80 and whole:
                raise opensearchpy.exceptions.TransportError(429, "rejected_execution_exception", {})
            answer = await bulk(body=b"".join(lines[:80]), **more)
            rejected = [{"index": {"status": 429, "error": {"type": "rejected_execution_exception"}}}] * (len(lines) // 2 - 40)
            return {"errors": True, "items": [*answer["items"], *rejected]} if rejected else answer

        monkeypatch.setattr(client, "bulk", busy)
        await index.write([post(f"p{n}", "bread", n + 1) for n in range(300)], Checkpoint("feed", 300))
        monkeypatch.undo()
        await index.refresh()
        assert (await index.count(Query(text="bread", audience=EVERYONE)), await index.checkpoint("feed")) == (300, 300)
        assert (sizes[0], min(sizes[1:-1]) <= 40) == (300, True)


class TestErasure:
    async def test_removed_text_is_gone_from_the_disk(self, homes: Homes) -> None:
        index = await homes.at().open()
        secret = f"zq{secrets.token_hex(10)}"
        await index.write([post(f"p{n}", f"filler {n}", n + 1) for n in range(20)])
        await filled(index, post("removed", f"it says {secret} here", 100), post("edited", f"and {secret} there", 101))
        [generation] = await homes.generations()
        await homes.client.indices.flush(index=generation)
        folder = await homes.folder()
        assert secret.encode() in everything_in(folder)
        await filled(index, Removal(id="removed", version=102), post("edited", "and nothing there", 103))
        assert secret.encode() in everything_in(folder)
        assert await index.expunge()
        assert secret.encode() not in everything_in(folder)
        assert (len(await ids(index, "filler", limit=50)), await ids(index, "nothing there")) == (20, ["edited"])
        await index.write([post("removed", "late", 100)])
        await index.refresh()
        assert await ids(index, "late") == []

    async def test_there_is_nothing_to_clear_up_without_an_index(self, homes: Homes) -> None:
        assert await (await homes.at().open()).expunge()


async def test_a_long_query_over_many_languages_stays_within_the_clauses_of_the_engine(homes: Homes) -> None:
    index = await homes.at().open()
    languages = [language for language in QUERY_LATIN for _ in range(2 if language == "en" else 1)]
    await filled(index, *(post(f"p{n}", f"running meetings {language}", n, language=language) for n, language in enumerate(languages, 1)))
    words = "réunions équipes développeurs running meetings Müller Häuser straße "
    for typed in (words, f'"{words}" ', words + "東京大阪京都福岡 ", "東京大阪京都福岡札幌仙台 "):
        await index.search(Query(text=(typed * 60)[:QUERY_LENGTH_MAX], audience=EVERYONE))
    assert len(await ids(index, "meeting run", limit=50)) >= 2  # stemmed where the language says so


async def test_a_long_id_is_one_of_its_own(homes: Homes) -> None:
    index = await homes.at().open()
    long = ["🎉" * 199 + end for end in "ab"]
    await filled(index, *(post(id, "party") for id in long))
    assert await documents_found(index, "party") == sorted(long)
    await filled(index, Removal(id=long[0], version=2))
    assert await ids(index, "party") == [long[1]]


async def test_the_naughty_strings_are_harmless(homes: Homes) -> None:
    folder = shared_data()
    file = folder / "data" / "hostile" / "naughty-strings.json" if folder else None
    if file is None or not file.exists():
        pytest.skip("no hostile/naughty-strings.json in the shared data")
    strings: list[str] = json.loads(file.read_text("utf-8"))
    index = await homes.at().open()
    await filled(index, *library(), *(post(f"n{at}", each, title=each[:500]) for at, each in enumerate(strings)))
    for at in range(0, len(strings), 8):
        some = [each[:QUERY_LENGTH_MAX] for each in strings[at : at + 8]]
        await asyncio.gather(
            *(index.search(Query(text=each, audience=EVERYONE)) for each in some),
            *(index.suggest_people(each, EVERYONE) for each in some),
        )
