"""A working company on one embedded network: many people, what they wrote in a year, and a load at a fixed rate.

    .venv/bin/python -m benchmarks.company [--people 10000] [--communities 200] [--posts 1000000] [--rate 500] [--seconds 30]
                                           [--data FOLDER] [--api own|mastodon]

Activity follows Zipf's law: who writes, who is followed, how large communities are. One person is followed by everybody. A tenth of the
requests publish a post, the others read the newest 20 of somebody's home timeline, each at its due time whether or not those before are
answered (no coordinated omission: times count from when a request was due). Some followers of each author listen to live updates.

The same load runs twice: with authors as they come, and with the one whom everybody follows as the only author. The baseline is the same
server's /healthz at the same rate. With `--data` the filled network is kept there and used again.
"""
from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import tempfile
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.gateway import WORDS, Connection, Server, get, post
from libs.rpc.auth import Caller, acting
from libs.runtime.embedded import Embedded
from libs.runtime.settings import Settings
from services.feed.service import SERVICE as FEED
from services.identity.service import SERVICE as IDENTITY
from watercooler.feed.v1 import events_pb2 as feed_events
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub
from watercooler.identity.v1 import identity_service_pb2 as identity
from watercooler.identity.v1.events_pb2 import Profile
from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceStub

FOLLOWED = 20
# Of the people, those who have access tokens: as many sign in during the load.
SIGNED_IN = 400
LISTENING = 200
EXPONENT = 1.05


class Zipf:
    """Numbers below `size`, the small ones more often."""

    def __init__(self, size: int, chance: random.Random) -> None:
        self._steps = list(accumulate(1 / (rank + 1) ** EXPONENT for rank in range(size)))
        self._chance = chance

    def draw(self) -> int:
        return bisect_left(self._steps, self._chance.random() * self._steps[-1])


def email(number: int) -> str:
    return f"p{number}@example.com"


async def fill(settings: Settings, people: int, communities: int, posts: int) -> dict[str, Any]:
    """Fill a network; answers ids and access tokens."""
    network = Embedded((IDENTITY, FEED), settings, "projections")
    await network.start()
    chance = random.Random(11)
    by_activity = Zipf(people, chance)
    identities, feeds = IdentityServiceStub(network.channel), FeedServiceStub(network.channel)
    try:
        def as_service() -> AbstractContextManager[None]:  # a token lasts minutes, so each step has its own
            return acting(network.service_token("benchmark"))

        with as_service():
            await identities.SetUpOrganization(identity.SetUpOrganizationRequest(
                name="Benchmark", person_name="Ada Admin", email="ada@example.com", password="a long enough phrase"), timeout=60)
            ids: list[str] = []
            for first in range(0, people, 100):
                made = await asyncio.gather(*(
                    identities.CreatePerson(identity.CreatePersonRequest(
                        profile=Profile(name=f"Person {number}", email=email(number), department=f"Department {number % 40}")), timeout=60)
                    for number in range(first, min(first + 100, people))
                ))
                ids += [person.person_id for person in made]
            tokens = [
                (await identities.IssueAccessToken(identity.IssueAccessTokenRequest(
                    person_id=ids[number], name="benchmark", scopes=["read", "write"]))).secret
                for number in signed_in(people)
            ]
            await network.settle(600)
            by_size = Zipf(people, chance)
            for number in range(communities):
                members = {by_size.draw() for _ in range(max(3, 2_000 // (number + 1)))}
                room = feed.CommunityRecord(
                    place=str(number), external_id=f"c{number}", name=f"Community {number}", kind=feed_events.COMMUNITY_KIND_OPEN,
                    owner_keys=[email(number % people)], member_keys=[email(each) for each in members],
                )
                room.create_time.FromDatetime(datetime.now(UTC) - timedelta(days=400))
                with as_service():
                    _accepted(await feeds.ImportCommunities(feed.ImportCommunitiesRequest(source="benchmark", records=[room]), timeout=300))
            start = datetime.now(UTC) - timedelta(days=365)
            began = time.perf_counter()
            for first in range(0, posts, 1_000):
                records = []
                for number in range(first, min(first + 1_000, posts)):
                    record = feed.PostRecord(
                        place=str(number), external_id=str(number), author_key=email(by_activity.draw()), language="en",
                        body=" ".join(chance.choices(WORDS, k=30)) + " #" + chance.choice(WORDS),
                    )
                    if number and chance.random() < 0.3:
                        record.parent_external_id = str(max(0, number - 1 - int(chance.expovariate(0.02))))
                    elif chance.random() < 0.3:
                        record.community_external_id = f"c{int(communities * chance.random() ** 2)}"
                    record.publish_time.FromDatetime(start + timedelta(seconds=number * 364 * 86_400 / posts))
                    records.append(record)
                with as_service():
                    _accepted(await feeds.ImportPosts(feed.ImportPostsRequest(source="benchmark", records=records), timeout=600))
                if first % 100_000 == 0:
                    print(f"  {first:,} posts after {time.perf_counter() - began:.0f} s", flush=True)
        popular = Zipf(people, chance)
        for number, person_id in enumerate(ids):
            followed = {0} | {popular.draw() for _ in range(FOLLOWED)}
            with acting(network.tokens.sign(Caller(person_id, frozenset({"employee"})))):
                await asyncio.gather(*(
                    feeds.FollowPerson(feed.FollowPersonRequest(person_id=ids[each]), timeout=60) for each in followed - {number}
                ))
        await network.settle(600)
    finally:
        await network.stop()
    return {"tokens": tokens, "star": tokens[0], "people": people, "communities": communities, "posts": posts}


def signed_in(people: int) -> list[int]:
    """The people with access tokens: the one whom everybody follows, and others spread over all."""
    return [0, *range(1, people, max(1, people // (SIGNED_IN - 1)))]


def _accepted(answer: feed.ImportResponse) -> None:
    # A post that answers one which was refused is refused too; anything else is a mistake here.
    refused = [result.reason for result in answer.results if result.outcome == feed.IMPORT_OUTCOME_REFUSED]
    if len(refused) > len(answer.results) // 10 + 1:
        raise RuntimeError(refused[0])


class Times:
    """Durations in milliseconds."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def add(self, seconds: float) -> None:
        self.values.append(seconds * 1_000)

    def at(self, share: float) -> float:
        """A percentile."""
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")

    def __str__(self) -> str:
        return f"p50 {self.at(0.5):7.1f}   p95 {self.at(0.95):7.1f}   p99 {self.at(0.99):7.1f} ms   ({len(self.values):,})"


class Listener:
    """A page that listens: notes when it is told of a post."""

    def __init__(self, port: int, token: str, seen: Callable[[str], None]) -> None:
        self._port, self._token, self._seen = port, token, seen

    async def run(self, ready: asyncio.Event) -> None:
        connection = await Connection(self._port).open()
        _, answer = await connection.request(get("/live/register", self._token))
        url = json.loads(answer)["url"]
        connection.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(get(url, self._token))
        await reader.readuntil(b"\r\n\r\n")
        ready.set()
        try:
            while line := await reader.readline():
                if line.startswith(b"data: ") and b'"post_id"' in line and b'"home":true' in line:
                    self._seen(json.loads(line[6:])["post_id"])
        finally:
            writer.close()


class Pool:
    """Kept-alive connections, as many as are needed at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[Connection] = []

    async def ask(self, head: bytes, body: bytes = b"") -> tuple[int, bytes]:
        connection = self._free.pop() if self._free else await Connection(self._port).open()
        answer = await connection.request(head, body)
        self._free.append(connection)
        return answer

    def close(self) -> None:
        for connection in self._free:
            connection.close()


async def at_rate(rate: float, seconds: float, work: Callable[[float], Awaitable[None]]) -> None:
    """Begin `work` at each due time; it is given that time."""
    start = time.perf_counter()
    under_way: set[asyncio.Task[None]] = set()
    for number in range(int(rate * seconds)):
        due = start + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.ensure_future(work(due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)


async def company_load(
    server: Server, tokens: list[str], authors: Iterator[str], listening: list[str], arguments: argparse.Namespace, chance: random.Random
) -> tuple[Times, Times, Times, float]:
    """The times of reads, of posts, and from post to listener; and the share of one core that the server took."""
    reads, posts, told = Times(), Times(), Times()
    sent: dict[str, float] = {}
    early: dict[str, list[float]] = {}
    mastodon = arguments.api == "mastodon"

    def seen(post_id: str) -> None:
        now = time.perf_counter()
        if post_id in sent:
            told.add(now - sent[post_id])
        else:
            early.setdefault(post_id, []).append(now)

    readies = [asyncio.Event() for _ in listening]
    listeners = [
        asyncio.create_task(Listener(server.port, token, seen).run(ready)) for token, ready in zip(listening, readies, strict=True)
    ]
    await asyncio.gather(*(ready.wait() for ready in readies))
    pool = Pool(server.port)
    path = "/api/v1/timelines/home?limit=20" if mastodon else "/api/v1/feeds/home?page_size=20"
    timelines = [get(path, token) for token in tokens]
    write_path, text_field, created = ("/api/v1/statuses", "status", 200) if mastodon else ("/api/v1/posts", "body", 201)

    async def one(due: float) -> None:
        if chance.random() < 0.1:
            body = json.dumps({text_field: " ".join(chance.choices(WORDS, k=30)) + f" {chance.random()}"}).encode()
            status, answer = await pool.ask(post(write_path, next(authors), body), body)
            if status != created:
                raise RuntimeError(f"{status}: {answer[:300]!r}")
            posts.add(time.perf_counter() - due)
            post_id = json.loads(answer)["id"]
            sent[post_id] = due
            for arrived in early.pop(post_id, []):
                told.add(arrived - due)
        else:
            status, answer = await pool.ask(chance.choice(timelines))
            if status != 200:
                raise RuntimeError(f"{status}: {answer[:300]!r}")
            reads.add(time.perf_counter() - due)

    await at_rate(arguments.rate, 3, one)  # caches fill
    for times in (reads, posts, told):
        times.values.clear()
    before, began = server.cpu_seconds(), time.perf_counter()
    await at_rate(arguments.rate, arguments.seconds, one)
    busy = (server.cpu_seconds() - before) / (time.perf_counter() - began)
    await asyncio.sleep(1.0)  # the last posts reach their listeners
    for task in listeners:
        task.cancel()
    await asyncio.gather(*listeners, return_exceptions=True)
    pool.close()
    return reads, posts, told, busy


async def measure(data: Path, found: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Print the figures."""
    server = Server(data)
    try:
        await server.ready(3_600)  # the first time, everything has to be indexed
        tokens: list[str] = found["tokens"]
        chance = random.Random(5)
        nothing, health, pool = Times(), get("/healthz", ""), Pool(server.port)

        async def ask_nothing(due: float) -> None:
            await pool.ask(health)
            nothing.add(time.perf_counter() - due)

        await at_rate(arguments.rate, 5, ask_nothing)
        pool.close()
        print(f"/healthz at {arguments.rate}/s               {nothing}")
        listening = tokens[1 : LISTENING + 1]
        by_activity = Zipf(len(tokens), chance)
        usual = (tokens[by_activity.draw()] for _ in iter(int, 1))
        star = (found["star"] for _ in iter(int, 1))
        first: tuple[Times, ...] | None = None
        for name, authors in (("authors as they come", usual), ("one author whom all follow", star)):
            reads, posts, told, busy = await company_load(server, tokens, authors, listening, arguments, chance)
            print(f"{name}: {arguments.rate} requests/s, {busy:.2f} of a core, {server.memory_mib():,.0f} MiB")
            print(f"  home timeline               {reads}")
            print(f"  post accepted               {posts}")
            print(f"  post seen by a listener     {told}")
            if first is not None:
                ratios = [now.at(0.99) / then.at(0.99) for now, then in zip((reads, posts, told), first, strict=True)]
                print(f"  p99 against the usual authors: {ratios[0]:.2f} x, {ratios[1]:.2f} x, {ratios[2]:.2f} x")
            print(f"  p99 against /healthz: {reads.at(0.99) / nothing.at(0.99):.1f} x, {posts.at(0.99) / nothing.at(0.99):.1f} x")
            first = first or (reads, posts, told)
    finally:
        server.stop()


def main() -> None:
    """Fill, load, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--communities", type=int, default=200)
    parser.add_argument("--posts", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--data", type=Path, help="keep the filled network here, and use it when it is there")
    parser.add_argument("--api", choices=("own", "mastodon"), default="own")
    arguments = parser.parse_args()
    folder = arguments.data or Path(tempfile.mkdtemp(prefix=".bench-", dir="."))
    try:
        kept = folder / "company.json"
        if not kept.exists():
            folder.mkdir(parents=True, exist_ok=True)
            began = time.perf_counter()
            settings = Settings(data=folder / "var", log_level="error")
            found = uvloop.run(fill(settings, arguments.people, arguments.communities, arguments.posts))
            kept.write_text(json.dumps(found))
            print(f"filled in {time.perf_counter() - began:.0f} s")
        found = json.loads(kept.read_text())
        size = sum(file.stat().st_size for file in (folder / "var").rglob("*") if file.is_file())
        print(f"{found['people']:,} people, {found['communities']:,} communities, {found['posts']:,} posts, {size / 2**30:.1f} GiB")
        uvloop.run(measure(folder / "var", found, arguments))
    finally:
        if arguments.data is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
