"""The search index in figures: writing, searching and suggesting, with 10,000 people and 50,000 posts.

Expected of the embedded one on two shared cores: a people suggestion in under 20 ms at 10,000 people; a search in a few milliseconds; the
event loop never held for 20 ms by a write. Run as `python -m benchmarks.searchindex`; with the address of an OpenSearch, it measures that.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from libs.searchindex.index import Checkpoint, Document, IndexHome, Query
from libs.searchindex.opensearch import OpenSearchConfig, OpenSearchHome
from libs.searchindex.tantivy import TantivyHome

PEOPLE, POSTS, BATCH = 10_000, 50_000, 500
FIRST = [
    a + b
    for a in ("Ma", "Jo", "An", "Ka", "Le", "Si", "Ro", "Pe", "To", "Chri")
    for b in ("ria", "han", "na", "ren", "on", "mon", "bert", "ter", "mas")
]
LAST = [
    a + b
    for a in ("Mül", "Schmi", "Gar", "Rossi", "Du", "Ander", "Jan", "Wis", "Petro", "Lo")
    for b in ("ler", "dt", "cia", "ni", "pont", "son", "sen")
]
TITLES = ["Engineer", "Designer", "Analyst", "Counsel", "Head of Finance", "Researcher"]
SYLLABLES = ["ka", "lo", "mi", "ter", "ven", "sol", "dra", "ne", "pu", "ris", "tan", "el"]


def resident_kib() -> int:
    """Resident memory of this process, 0 where /proc does not say."""
    try:
        return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    except OSError:
        return 0


async def timed(name: str, times: int, work: Callable[[int], Awaitable[object]]) -> None:
    """Runs the work many times and prints median and 99th percentile."""
    await work(0)
    took = []
    for turn in range(times):
        start = time.perf_counter()
        await work(turn)
        took.append((time.perf_counter() - start) * 1_000)
    took.sort()
    print(f"{name:<58} median {statistics.median(took):7.2f} ms   p99 {took[int(len(took) * 0.99)]:7.2f} ms")


async def main() -> None:
    """Prints the figures."""
    chance = random.Random(7)
    vocabulary = ["".join(chance.choices(SYLLABLES, k=chance.randint(2, 4))) for _ in range(20_000)]
    now = time.time_ns() // 1_000

    def person(n: int) -> Document:
        name = f"{chance.choice(FIRST)} {chance.choice(LAST)}{chance.choice(SYLLABLES)}"
        keywords = [chance.choice(TITLES), f"Department {n % 40}"]
        return Document(id=f"person-{n}", kind="person", version=n + 1, title=name, keywords=keywords, audience=["everyone"])

    def post(n: int) -> Document:
        body = " ".join(vocabulary[min(int(chance.paretovariate(0.6)), len(vocabulary)) - 1] for _ in range(60))
        audience = ["everyone"] if n % 4 else [f"community:{n % 200}"]
        return Document(
            id=f"post-{n}", kind="post", version=PEOPLE + n + 1, title="", body=body, language="en", author_id=f"person-{n % PEOPLE}",
            audience=audience, create_time=now - n * 60_000_000,
        )  # fmt: skip

    with tempfile.TemporaryDirectory() as folder:
        before = resident_kib()
        home: IndexHome = TantivyHome(Path(folder) / "index")
        if len(sys.argv) > 1:
            home = OpenSearchHome(OpenSearchConfig(url=sys.argv[1], prefix=f"bench-{time.time_ns()}"), "search")
        index = await home.open()
        await index.write([], Checkpoint("start", 1))
        print(f"{'memory of an open index with a writer':<58} {(resident_kib() - before) / 1024:.1f} MiB")
        documents = [person(n) for n in range(PEOPLE)]
        posts = [post(n) for n in range(POSTS)]
        start = time.perf_counter()
        for at in range(0, PEOPLE, BATCH):
            await index.write(documents[at : at + BATCH], Checkpoint("identity", at + BATCH))
        print(f"{'people written in batches of 500':<58} {PEOPLE / (time.perf_counter() - start):,.0f} a second")
        start = time.perf_counter()
        for at in range(0, POSTS, BATCH):
            await index.write(posts[at : at + BATCH], Checkpoint("feed", at + BATCH))
        print(f"{'posts of 60 words written in batches of 500':<58} {POSTS / (time.perf_counter() - start):,.0f} a second")

        start = time.perf_counter()
        await index.refresh()
        print(f"{'then shown to readers':<58} {(time.perf_counter() - start) * 1_000:.0f} ms")
        start = time.perf_counter()
        async with index.rebuilding() as fresh:
            for at in range(0, POSTS, BATCH):
                await fresh.write(posts[at : at + BATCH], Checkpoint("feed", at + BATCH))
            for at in range(0, PEOPLE, BATCH):
                await fresh.write(documents[at : at + BATCH], Checkpoint("identity", at + BATCH))
        print(f"{'all of them rebuilt beside it':<58} {(PEOPLE + POSTS) / (time.perf_counter() - start):,.0f} a second")

        reader = ["everyone", *(f"community:{n}" for n in range(30)), *(f"followers:{n}" for n in range(300))]
        people = [document.title for document in documents]

        def misspelt(n: int) -> str:
            name = people[n * 37 % PEOPLE].split()[1]
            return name[:2] + name[3] + name[2] + name[4:]

        await timed("people: one letter", 50, lambda n: index.suggest_people(people[n][0], reader))
        await timed("people: three letters", 200, lambda n: index.suggest_people(people[n][:3], reader))
        await timed("people: first and last name", 200, lambda n: index.suggest_people(people[n], reader))
        await timed("people: last name with swapped letters", 200, lambda n: index.suggest_people(misspelt(n), reader))
        for name, words in (("one common word", 1), ("one rare word", 4_000), ("a word beginning", 0)):
            await timed(
                f"search: {name}",
                200,
                lambda n, at=words: index.search(Query(text=vocabulary[at + n % 20][: 3 if not at else 20], audience=reader)),
            )
        await timed("search: three words", 200, lambda n: index.search(Query(text=" ".join(vocabulary[n : n + 3]), audience=reader)))
        await timed("search: newest, no text", 200, lambda _: index.search(Query(audience=reader)))
        version = PEOPLE + POSTS + 10
        await timed("write: one post and its commit", 50, lambda n: index.write([posts[n]], Checkpoint("feed", version + n)))

        took = []
        for n in range(20):
            start = time.perf_counter()
            await index.write([Document(id=f"late-{n}", kind="post", version=1, title="", body=f"latecomer{n}", audience=["everyone"])])
            while not await index.count(Query(text=f"latecomer{n}", audience=reader)):  # noqa: ASYNC110 - readers are told nothing
                await asyncio.sleep(0.005)
            took.append((time.perf_counter() - start) * 1_000)
        print(f"{'from a write to the first search that finds it':<58} median {statistics.median(took):7.2f} ms   most {max(took):7.2f} ms")

        worst = 0.0
        writing = asyncio.create_task(index.write([post(n) for n in range(POSTS, POSTS + BATCH)]))
        while not writing.done():
            start = time.perf_counter()
            await asyncio.sleep(0)
            worst = max(worst, time.perf_counter() - start)
        print(f"{'longest turn of the event loop during a write of 500':<58} {worst * 1_000:.2f} ms")
        if len(sys.argv) > 1:
            await home.discard()
        await index.close()
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        print(f"{'on disk':<58} {size / 1024 / 1024:.1f} MiB")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
