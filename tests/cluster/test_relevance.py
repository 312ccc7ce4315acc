"""Real questions, pages and names on both search engines: what is found is the same, and known items stand as far up."""

from __future__ import annotations

import asyncio
import html
import json
import random
import re
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import yaml

from libs.searchindex.index import Document, Query, SearchIndex
from libs.searchindex.opensearch import OpenSearchConfig, OpenSearchHome
from libs.searchindex.tantivy import open_index
from libs.testing.searchindex_contract import EVERYONE, NOW
from libs.testing.world import shared_data

pytestmark = pytest.mark.timeout(900)
QUERIES = 120


@pytest.fixture(scope="module")
def data() -> Path:
    folder = shared_data()
    if folder is None or not (folder / "data" / "qa").is_dir():
        pytest.skip("the shared data is not here")
    return folder / "data"


@pytest.fixture
async def both(opensearch: str, search_prefix: str, tmp_path: Path) -> AsyncIterator[dict[str, SearchIndex]]:
    """Both engines, empty."""
    home = OpenSearchHome(OpenSearchConfig(url=opensearch, prefix=search_prefix), "search", clock=lambda: NOW)
    indexes: dict[str, SearchIndex] = {"tantivy": open_index(tmp_path / "index", clock=lambda: NOW), "opensearch": await home.open()}
    yield indexes
    await home.discard()
    for index in indexes.values():
        await index.close()


def document(id: str, kind: str, title: str, body: str = "", **more: object) -> Document:
    return Document(id=id, kind=kind, version=1, title=title[:1_000], body=body, audience=EVERYONE, **more)  # type: ignore[arg-type]


def questions(data: Path) -> tuple[list[Document], list[tuple[str, set[str]]]]:
    """Questions and answers as posts without titles; each question's title is to find the question or one of its answers."""
    found, wanted = [], []
    rows = ET.parse(data / "qa" / "coffee.stackexchange-Posts.xml").getroot()
    answers: dict[str, set[str]] = {}
    for row in rows:
        text = html.unescape(re.sub(r"<[^>]+>", " ", row.attrib["Body"]))
        found.append(document(f"q{row.attrib['Id']}", "post", "", text, language="en"))
        if "ParentId" in row.attrib:
            answers.setdefault(row.attrib["ParentId"], set()).add(f"q{row.attrib['Id']}")
    for row in rows:
        if "Title" in row.attrib:
            wanted.append((row.attrib["Title"][:200], {f"q{row.attrib['Id']}"} | answers.get(row.attrib["Id"], set())))
    return found, wanted


def pages(data: Path) -> tuple[list[Document], list[tuple[str, set[str]]]]:
    """Pages of a company's handbook; each heading is to find its page."""
    found, wanted = [], []
    for file in sorted((data / "wiki" / "handbook-sourcegraph").rglob("*.md")):
        text = file.read_text("utf-8", errors="replace")
        heading = re.match(r"#+ (.+)", text)
        if heading:
            id = f"page-{len(found)}"
            title = re.sub(r"[\[\]()*`_]", " ", heading[1]).strip()
            found.append(document(id, "community", title, text[heading.end() :], language="en"))
            wanted.append((title[:200], {id}))
    return found, wanted


def staff(data: Path) -> list[Document]:
    """People of a company and of a free project."""
    found = []
    team = yaml.safe_load((data / "people" / "sourcegraph" / "team.yml").read_text("utf-8"))
    for key, about in team.items():
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", str(about.get("role", "")))
        found.append(document(f"s-{key}", "person", about["name"], keywords=[plain[:400], str(about.get("location", ""))[:400]]))
    for file in sorted((data / "people" / "rust-team" / "people").glob("*.toml")):
        about = tomllib.loads(file.read_text("utf-8"))
        found.append(document(f"r-{about['github']}", "person", about["name"], names=[about["github"]]))
    return found


async def fill(both: dict[str, SearchIndex], documents: Sequence[Document]) -> None:
    for index in both.values():
        for at in range(0, len(documents), 300):
            await index.write(documents[at : at + 300])
        await index.refresh()


def mistyped(name: str, chance: random.Random) -> str:
    """Two neighbours swapped in the longest word."""
    word = max(name.split(), key=len)
    at = chance.randrange(1, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def told(name: str, ranks: dict[str, list[int]]) -> dict[str, tuple[float, float]]:
    """Share found among the first ten, and mean of 1 / rank; printed."""
    figures = {
        engine: (sum(rank > 0 for rank in found) / len(found), sum(1 / rank for rank in found if rank) / len(found))
        for engine, found in ranks.items()
    }
    for engine, (recall, reciprocal) in figures.items():
        print(f"{name:<28} {engine:<11} of {len(ranks[engine])}: among the first ten {recall:6.1%}, mean reciprocal rank {reciprocal:.3f}")
    return figures


def rank_of(wanted: set[str], ids: Sequence[str]) -> int:
    return next((at for at, id in enumerate(ids, 1) if id in wanted), 0)


@pytest.mark.parametrize(("source", "least"), [(questions, 0.6), (pages, 0.75)])
async def test_known_items_stand_as_far_up_on_both_engines(
    both: dict[str, SearchIndex], data: Path, source: object, least: float
) -> None:
    documents, wanted = source(data)  # type: ignore[operator]
    await fill(both, documents)
    random.Random(7).shuffle(wanted)
    ranks: dict[str, list[int]] = {engine: [] for engine in both}
    shared = alike = 0
    for text, known in wanted[:QUERIES]:
        answers = {
            engine: await index.search(Query(text=text, audience=EVERYONE, limit=10)) for engine, index in both.items()
        }
        # The engines' stemmers are of different years: of 20,000 English words they treat 33 differently (organize, internal, evening).
        alike += answers["tantivy"].facets == answers["opensearch"].facets
        assert abs(answers["tantivy"].total - answers["opensearch"].total) <= len(documents) * 0.02, text
        ids = {engine: [hit.id for hit in answer.hits] for engine, answer in answers.items()}
        shared += bool(ids["tantivy"][:1] == ids["opensearch"][:1])
        for engine, found in ids.items():
            ranks[engine].append(rank_of(known, found))
        marks = [{hit.id: (hit.title, hit.snippet) for hit in answer.hits} for answer in answers.values()]
        for id in marks[0].keys() & marks[1].keys():
            assert marks[0][id] == marks[1][id], (text, id)
    figures = told(source.__name__, ranks)  # type: ignore[attr-defined]
    asked = len(ranks["tantivy"])
    print(f"the same first hit for {shared}, the same number of hits for {alike} of {asked}")
    assert min(shared, alike) >= asked * 0.9
    for recall, _ in figures.values():
        assert recall >= least
    assert abs(figures["tantivy"][0] - figures["opensearch"][0]) <= 0.05
    assert abs(figures["tantivy"][1] - figures["opensearch"][1]) <= 0.05


async def test_people_are_suggested_alike_by_both_engines(both: dict[str, SearchIndex], data: Path) -> None:
    people = staff(data)
    await fill(both, people)
    chance = random.Random(7)
    chosen = chance.sample([person for person in people if max(map(len, person.title.split())) >= 5], QUERIES)
    for kind in ("beginnings", "typing errors"):
        ranks: dict[str, list[int]] = {engine: [] for engine in both}
        for person in chosen:
            typed = person.title[: max(4, len(person.title) * 2 // 3)] if kind == "beginnings" else mistyped(person.title, chance)
            found = await asyncio.gather(*(index.suggest_people(typed, EVERYONE) for index in both.values()))
            ids = [[hit.id for hit in hits] for hits in found]
            assert ids[0] == ids[1], typed
            for engine, each in zip(both, ids, strict=True):
                ranks[engine].append(rank_of({person.id}, each))
        figures = told(f"people by {kind}", ranks)
        assert figures["opensearch"][0] >= 0.85


def test_the_samples_are_what_they_were_taken_for(data: Path) -> None:
    assert (len(questions(data)[0]), len(staff(data)) > 800, len(pages(data)[0]) > 300) == (592, True, True)
    assert json.dumps(questions(data)[1][0][0]) == '"How should I store whole bean coffee?"'
