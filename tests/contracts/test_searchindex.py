"""The contract of the search index, held by each engine, and what is tantivy's own."""

from __future__ import annotations

import asyncio
import json
import resource
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.searchindex import text
from libs.searchindex.index import QUERY_LENGTH_MAX, Checkpoint, IndexBusy, IndexUnusable, Query, SearchIndex
from libs.searchindex.tantivy import discard, open_index
from libs.testing.searchindex_contract import EVERYONE, NOW, SearchIndexContract, filled, ids, library, post, staff
from libs.testing.world import shared_data


class TestTantivy(SearchIndexContract):
    async def open_index(self, place: Path) -> SearchIndex:
        return open_index(place / "index", clock=lambda: NOW)


async def test_a_newer_format_is_refused_and_discard_clears_the_way(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    await index.write([post("p1", "bread")], Checkpoint("feed", 3))
    await index.close()
    state = json.loads((tmp_path / "index.json").read_text())
    (tmp_path / "index.json").write_text(json.dumps(state | {"format": state["format"] + 1}))
    with pytest.raises(IndexUnusable, match=r"format is 2.*rebuild"):
        open_index(tmp_path)
    discard(tmp_path)
    again = open_index(tmp_path)
    assert (await again.checkpoint("feed"), await ids(again)) == (0, [])
    await again.close()


@pytest.mark.parametrize("damage", ["index.json", "meta.json", "segment", "folder"])
async def test_a_damaged_folder_is_refused(tmp_path: Path, damage: str) -> None:
    index = open_index(tmp_path)
    await index.write([post("p1", "bread")])
    await index.close()
    generation = tmp_path / "00000001"
    if damage == "index.json":
        (tmp_path / "index.json").write_text("{")
    elif damage == "meta.json":
        (generation / "meta.json").write_text("{")
    elif damage == "segment":
        for file in generation.glob("*.term"):
            file.write_bytes(b"")
    else:
        for file in generation.iterdir():
            file.unlink()
    with pytest.raises(IndexUnusable, match="rebuild"):
        open_index(tmp_path)


async def test_a_second_writer_is_told_that_the_index_is_busy(tmp_path: Path) -> None:
    first, second = open_index(tmp_path), open_index(tmp_path)
    await first.write([post("p1", "bread")])
    with pytest.raises(IndexBusy, match="another process"):
        await second.write([post("p2", "bread")])
    await first.close()
    await second.write([post("p2", "bread", 2)])
    assert sorted(await ids(second, "bread")) == ["p1", "p2"]
    await second.close()


async def test_a_disk_that_refuses_a_write_loses_nothing_and_the_next_write_goes_on(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    await index.write([post("p1", "bread")], Checkpoint("feed", 1))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))  # stands for a full disk: every file ends at 16 bytes
    try:
        with pytest.raises(OSError, match="cannot be written"):
            await index.write([post("p2", "bread", 2)], Checkpoint("feed", 2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert (await ids(index, "bread"), await index.checkpoint("feed")) == (["p1"], 1)
    await index.write([post("p2", "bread", 2)], Checkpoint("feed", 2))
    assert (sorted(await ids(index, "bread")), await index.checkpoint("feed")) == (["p1", "p2"], 2)
    await index.close()


async def test_what_a_crashed_rebuild_left_is_removed(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    await index.write([post("p1", "bread")])
    await index.close()
    (tmp_path / "00000002").mkdir()
    (tmp_path / "00000002" / "meta.json").write_text("{")
    again = open_index(tmp_path)
    assert (await ids(again, "bread"), (tmp_path / "00000002").exists()) == (["p1"], False)
    await again.close()


async def test_the_event_loop_runs_while_a_commit_is_under_way(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    turns = 0
    writing = asyncio.create_task(index.write([post(f"p{n}", "some words " * 50, n) for n in range(200)]))
    while not writing.done():
        turns += 1
        await asyncio.sleep(0)
    await writing
    assert turns > 10
    await index.close()


ANY_TEXT = st.text(max_size=QUERY_LENGTH_MAX, alphabet=st.characters(codec=None)) | st.lists(
    st.sampled_from(['"', "-", "#", "@", " ", "a", "é", "日", "ー", "ﾞ", "\u0308", "ß", "🎉", "'", "\ud800", "*", "müller"]), max_size=60
).map("".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANY_TEXT)
def test_every_string_can_be_indexed_searched_and_highlighted(typed: str) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            index = open_index(Path(folder))
            await filled(index, post("p1", typed, title=typed, tags=[]), *staff()[:2])
            results = await index.search(Query(text=typed, audience=EVERYONE))
            await index.suggest_people(typed, EVERYONE)
            for hit in results.hits:
                for fragment in (hit.title, hit.snippet):
                    last = 0
                    for start, end in fragment.highlights:
                        assert last <= start < end <= len(fragment.text)
                        last = end
            await index.close()

    asyncio.run(run())


@given(st.text(max_size=300))
def test_tokens_lie_in_the_text_in_order(written: str) -> None:
    last = 0
    for token in text.tokens(written):
        assert 0 <= token.start < token.end <= len(written)
        assert token.start >= last
        last = token.start
        assert not any(character.isspace() for character in token.term)


@given(st.text(alphabet="abcde", max_size=7), st.text(alphabet="abcde", max_size=7))
def test_distance_counts_typing_errors_alike_in_both_directions(left: str, right: str) -> None:
    errors = text.distance(left, right)
    assert errors == text.distance(right, left)
    assert (errors == 0) == (left == right)
    assert abs(len(left) - len(right)) <= errors <= max(len(left), len(right))


def test_the_naughty_strings_are_harmless(tmp_path: Path, naughty_strings: list[str]) -> None:
    async def run() -> None:
        index = open_index(tmp_path)
        await filled(index, *library(), *(post(f"n{at}", each, title=each[:500]) for at, each in enumerate(naughty_strings)))
        for each in naughty_strings:
            await index.search(Query(text=each[:QUERY_LENGTH_MAX], audience=EVERYONE))
            await index.suggest_people(each[:QUERY_LENGTH_MAX], EVERYONE)
        await index.close()

    asyncio.run(run())


@pytest.fixture
def naughty_strings() -> list[str]:
    folder = shared_data()
    file = folder / "data" / "hostile" / "naughty-strings.json" if folder else None
    if file is None or not file.exists():
        pytest.skip("no hostile/naughty-strings.json in the shared data")
    strings: list[str] = json.loads(file.read_text("utf-8"))
    return strings
