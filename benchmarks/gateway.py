"""Timelines and posting over HTTP, one process, and what ten times the posts change.

    .venv/bin/python benchmarks/gateway.py [--posts 50000] [--seconds 5] [--connections 16]

50 people follow 20 others each. The network runs as `watercooler run` does, in a process of its own; requests come over loopback on
kept-alive connections, each with a person's access token. `reads` is the newest page of 20 of the home timeline, `posts` publishes.
The baseline of both is the same server's /healthz, which does nothing: the ratio holds where the machine's speed does not.
`python -m benchmarks.company` is the load that a whole company makes, at a fixed rate and with live updates.
"""
from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from libs.rpc.auth import Caller, acting
from libs.runtime.embedded import Embedded
from libs.runtime.settings import Settings
from services.feed.service import SERVICE as FEED
from services.identity.service import SERVICE as IDENTITY
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub
from watercooler.identity.v1 import identity_service_pb2 as identity
from watercooler.identity.v1.events_pb2 import Profile
from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceStub

PEOPLE, FOLLOWED = 50, 20
WORDS = ("line", "film", "sealing", "shift", "travel", "plant", "data", "report", "order", "supplier", "trial", "meeting", "Lyon", "Ghent")


async def seed(settings: Settings, posts: int) -> list[str]:
    """Fill a network; answers an access token a person."""
    network = Embedded((IDENTITY, FEED), settings, "projections")
    await network.start()
    chance = random.Random(7)
    people_stub, feed_stub = IdentityServiceStub(network.channel), FeedServiceStub(network.channel)
    try:
        with acting(network.service_token("benchmark")):
            await people_stub.SetUpOrganization(identity.SetUpOrganizationRequest(
                name="Benchmark", person_name="Ada Admin", email="ada@example.com", password="a long enough phrase"), timeout=60)
            ids, tokens = [], []
            for number in range(PEOPLE):
                person = await people_stub.CreatePerson(
                    identity.CreatePersonRequest(profile=Profile(name=f"Person {number}", email=f"p{number}@example.com"))
                )
                ids.append(person.person_id)
                issued = await people_stub.IssueAccessToken(identity.IssueAccessTokenRequest(
                    person_id=person.person_id, name="benchmark", scopes=["read", "write"]))
                tokens.append(issued.secret)
            await network.settle()
            start = datetime.now(UTC) - timedelta(days=300)
            for first in range(0, posts, 1000):
                records = []
                for number in range(first, min(first + 1000, posts)):
                    record = feed.PostRecord(
                        place=str(number), external_id=str(number), author_key=f"p{chance.randrange(PEOPLE)}@example.com",
                        body=" ".join(chance.choices(WORDS, k=30)) + " #" + chance.choice(WORDS), language="en",
                    )
                    record.publish_time.FromDatetime(start + timedelta(seconds=number * 300 * 86_400 / posts))
                    records.append(record)
                answer = await feed_stub.ImportPosts(feed.ImportPostsRequest(source="benchmark", records=records), timeout=300)
                refused = [r.reason for r in answer.results if r.outcome == feed.IMPORT_OUTCOME_REFUSED]
                if refused:
                    raise RuntimeError(refused[0])
        for number, person_id in enumerate(ids):
            with acting(network.tokens.sign(Caller(person_id, frozenset({"employee"})))):
                for step in range(1, FOLLOWED + 1):
                    await feed_stub.FollowPerson(feed.FollowPersonRequest(person_id=ids[(number + step) % PEOPLE]))
        await network.settle(600)
    finally:
        await network.stop()
    return tokens


class Connection:
    """A kept-alive HTTP/1.1 connection; just enough to load a server of our own."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def request(self, head: bytes, body: bytes = b"") -> tuple[int, bytes]:
        self._writer.write(head + body)
        status = 0
        length = 0
        head_bytes = await self._reader.readuntil(b"\r\n\r\n")
        for index, line in enumerate(head_bytes.split(b"\r\n")):
            if index == 0:
                status = int(line.split()[1])
            elif line[:15].lower() == b"content-length:":
                length = int(line[15:])
        return status, await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


def get(path: str, token: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n\r\n".encode()


def post(path: str, token: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()


async def load(
    port: int, connections: int, seconds: float, make: Callable[[int], tuple[bytes, bytes]], expected: int
) -> tuple[float, float, float, int]:
    """Requests a second, the median and 99th percentile of their time in milliseconds, and how many they were."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def worker(number: int) -> None:
        connection = await Connection(port).open()
        count = number
        while time.perf_counter() < end:
            head, body = make(count)
            started = time.perf_counter()
            status, answer = await connection.request(head, body)
            times.append(time.perf_counter() - started)
            if status != expected:
                raise RuntimeError(f"{status}: {answer[:300]!r}")
            count += connections
        connection.close()

    start = time.perf_counter()
    await asyncio.gather(*(worker(n) for n in range(connections)))
    elapsed = time.perf_counter() - start
    times.sort()
    return len(times) / elapsed, times[len(times) // 2] * 1000, times[int(len(times) * 0.99)] * 1000, len(times)


class Server:
    """`watercooler run` in a process of its own."""

    def __init__(self, data: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environ = os.environ | {
            "WATERCOOLER_DATA": str(data), "WATERCOOLER_PORT": str(self.port), "WATERCOOLER_LOG_LEVEL": "error",
            "WATERCOOLER_RATE_READS_PER_MINUTE": "1000000", "WATERCOOLER_RATE_WRITES_PER_MINUTE": "1000000",
            "WATERCOOLER_LINK_PREVIEWS": "false", "PYTHONPATH": os.pathsep.join([".", "protos"]),
        }
        self.process = subprocess.Popen([sys.executable, "-m", "services.main", "run"], env=environ, stdout=subprocess.DEVNULL)

    async def ready(self, seconds: float = 180) -> None:
        for _ in range(int(seconds * 10)):
            try:
                connection = await Connection(self.port).open()
                status, _ = await connection.request(get("/readyz", ""))
                connection.close()
                if status == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                raise RuntimeError("the network ended")
            await asyncio.sleep(0.1)
        raise RuntimeError(f"the network is not ready after {seconds:.0f} s")

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


async def measure(data: Path, tokens: list[str], arguments: argparse.Namespace) -> float:
    """Print the figures of one network; answers the timeline reads a second."""
    server = Server(data)
    try:
        await server.ready()
        idle = server.memory_mib()
        seconds, connections = arguments.seconds, arguments.connections
        health = get("/healthz", "")
        timelines = [get("/api/v1/feeds/home?page_size=20", token) for token in tokens]
        texts = [json.dumps({"body": "A post of the usual length, with a #tag and something to say about it. " * 3}).encode()]
        connection = await Connection(server.port).open()
        _, answer = await connection.request(timelines[0])
        if len(json.loads(answer).get("posts", ())) != 20:
            raise RuntimeError(f"no full timeline: {answer[:400]!r}")
        connection.close()
        await load(server.port, connections, 1, lambda n: (timelines[n % len(tokens)], b""), 200)
        nothing, *_ = await load(server.port, connections, seconds, lambda n: (health, b""), 200)
        before = server.cpu_seconds()
        reads, middle, slow, count = await load(server.port, connections, seconds, lambda n: (timelines[n % len(tokens)], b""), 200)
        each = (server.cpu_seconds() - before) / count * 1000
        print(f"  /healthz         {nothing:8,.0f} requests/s")
        print(_line("home timeline", reads, "reads", nothing, middle, slow, each))
        before = server.cpu_seconds()
        writes, middle, slow, count = await load(
            server.port, connections, seconds, lambda n: (post("/api/v1/posts", tokens[n % len(tokens)], texts[0]), texts[0]), 201
        )
        each = (server.cpu_seconds() - before) / count * 1000
        print(_line("posting", writes, "posts", nothing, middle, slow, each))
        print(f"  memory           {idle:8,.0f} MiB idle   {server.memory_mib():8,.0f} MiB after the load")
        return reads
    finally:
        server.stop()


def _line(what: str, rate: float, unit: str, nothing: float, middle: float, slow: float, each: float) -> str:
    return (
        f"  {what:16} {rate:8,.0f} {unit}/s   {rate / nothing:5.2f} x /healthz"
        f"   {middle:6.1f} ms median   {slow:6.1f} ms p99   {each:5.2f} ms CPU each"
    )


def main() -> None:
    """Seed, load, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--once", action="store_true", help="leave out the comparison with a tenth of the posts")
    arguments = parser.parse_args()
    rates = []
    for posts in (arguments.posts,) if arguments.once else (arguments.posts // 10, arguments.posts):
        folder = Path(tempfile.mkdtemp(prefix=".bench-", dir="."))
        try:
            started = time.perf_counter()
            tokens = asyncio.run(seed(Settings(data=folder / "var"), posts))
            print(f"{posts:,} posts stored, {PEOPLE} people following {FOLLOWED} each (seeded in {time.perf_counter() - started:.0f} s)")
            rates.append(asyncio.run(measure(folder / "var", tokens, arguments)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    if len(rates) == 2:
        print(f"ten times the posts: {rates[1] / rates[0]:.2f} x the timeline reads")


if __name__ == "__main__":
    main()
