"""The kernel on the engines of a cluster, beside the bare engines in the same run; and what each thing people do costs each process.

    .venv/bin/python -m benchmarks.cluster [--parts commands,relay,latency,catchup,costs] [--events 1000000] [--costs benchmarks/costs.json]

PostgreSQL (fsync on) and Kafka (one broker) run on this machine and take their part of its processors, as the bare baselines' do.

commands  whole commands (load, decide, append durably, inline projection) at 64 callers, beside 64 raw asyncpg connections that insert
          the same rows, one commit each; and beside the `eventsourcing` library on PostgreSQL, where psycopg is installed
relay     from the log to the topic, beside Kafka's own producer tool (acks=all, records of the same size)
latency   from commit to projected in another service's database, at 500 events/s
catchup   a new projection over the whole log, read from the service itself (EventLog/Read) and from the topic
costs     processor time and bytes a request, by process, for docs/scale.md and benchmarks/simulate_scale.py
"""
from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from google.protobuf.message import Message

from benchmarks.eventstore import BODY, MARKS, TABLE, Marks, PostDecider, Posts, PublishPost
from benchmarks.gateway import PEOPLE, Connection, get, post, seed
from libs.db.database import Transaction
from libs.db.postgres import PostgresDatabase
from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, Recorded
from libs.eventstore.store import SCHEMA, EventStore
from libs.rpc.auth import Caller, Keys, Tokens
from libs.rpc.client import NetworkChannel
from libs.rpc.server import NetworkServer
from libs.runtime.embedded import spare_collector
from libs.runtime.settings import Settings
from libs.subscriptions import topics
from libs.subscriptions.cloudevents import to_kafka
from libs.subscriptions.consumers import ProjectionConsumer
from libs.subscriptions.kafka import KafkaConfig, KafkaLog, Publisher
from libs.subscriptions.relay import Relay
from libs.subscriptions.remote import EventLogApi, RemoteLog
from libs.subscriptions.subscription import Subscription
from libs.text.ids import new_id
from tests.cluster.cluster import Cluster
from tests.cluster.engines import downloads
from tests.cluster.engines.kafka import Kafka
from tests.cluster.engines.opensearch import OpenSearch
from tests.cluster.engines.postgres import Postgres
from tests.cluster.engines.s3 import S3
from watercooler.events.v1.event_log_pb2_grpc import add_EventLogServicer_to_server
from watercooler.feed.v1.events_pb2 import PostSaved

CALLERS = 64
LATENCY_RATE = 500
LATENCY_SECONDS = 20
PARTS = ("commands", "relay", "latency", "catchup", "costs")


class Tally:
    """A projection that reads everything and keeps one number: what following itself costs."""

    name = "bench.tally"
    handles: tuple[type[Message], ...] = (PostSaved,)
    tables: tuple[str, ...] = ()
    seen = 0

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        self.seen += 1


@asynccontextmanager
async def opened(server: Postgres, schema: str = "") -> AsyncIterator[tuple[PostgresDatabase, str]]:
    """A fresh database with the kernel's tables, and its address."""
    address = server.fresh_one()
    database = await PostgresDatabase.open(address)
    await database.install(SCHEMA + schema)
    try:
        yield database, address
    finally:
        await database.close()


# --- commands --------------------------------------------------------------------------------------------------------------


async def raw(server: Postgres, seconds: float, *, both: bool) -> float:
    """Commits a second of 64 bare connections: the event's row alone, or also the read model's in the same transaction."""
    async with opened(server, TABLE) as (_, address):
        pool = [await asyncpg.connect(address) for _ in range(CALLERS)]
        numbers = iter(range(1, 1 << 62))
        data = os.urandom(len(BODY) + 150)
        end = time.perf_counter() + seconds

        async def caller(connection: asyncpg.Connection) -> int:
            event = await connection.prepare("INSERT INTO events VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)")
            row = await connection.prepare("INSERT INTO posts (post_id, author_id, body, version) VALUES ($1,$2,$3,$4)")
            done = 0
            while time.perf_counter() < end:
                number = next(numbers)
                values = (number, f"{number:036}", f"post-{number:036}", 1, "t", data, None, "a", "c", "c", "", 1)
                if both:
                    async with connection.transaction():
                        await event.fetch(*values)
                        await row.fetch(f"{number:036}", "a" * 36, BODY, 1)
                else:
                    await event.fetch(*values)
                done += 1
            return done

        start = time.perf_counter()
        total = sum(await asyncio.gather(*(caller(connection) for connection in pool)))
        rate = total / (time.perf_counter() - start)
        for connection in pool:
            await connection.close()
        return rate


async def commands(server: Postgres, seconds: float, callers: int = CALLERS) -> float:
    """Whole commands a second."""
    async with opened(server, TABLE) as (database, _):
        store = EventStore("bench", database, (Posts(),))
        authors = [new_id() for _ in range(100)]
        now = datetime(2026, 1, 1, tzinfo=UTC)
        end = time.perf_counter() + seconds

        async def caller(number: int) -> int:
            done = 0
            while time.perf_counter() < end:
                post_id = new_id()
                author = authors[(number + done) % len(authors)]
                await handle(store, PostDecider(), f"post-{post_id}", PublishPost(post_id, author, BODY, now), Metadata(author))
                done += 1
            return done

        start = time.perf_counter()
        total = sum(await asyncio.gather(*(caller(number) for number in range(callers))))
        rate = total / (time.perf_counter() - start)
        await store.close()
        return rate


def library(server: Postgres, seconds: float) -> float | None:
    """Commands a second of the `eventsourcing` library on PostgreSQL, from 64 threads; None without psycopg."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return None
    from concurrent.futures import ThreadPoolExecutor

    from eventsourcing.application import Application
    from eventsourcing.domain import Aggregate, event

    class Entry(Aggregate):
        @event("Published")
        def __init__(self, author_id: str, body: str) -> None:
            self.author_id = author_id
            self.body = body

    name = server.fresh_one().rpartition("/")[2]
    application = Application(env={
        "PERSISTENCE_MODULE": "eventsourcing.postgres", "POSTGRES_DBNAME": name, "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": str(server.port), "POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": "none", "POSTGRES_POOL_SIZE": "32",
        "POSTGRES_MAX_OVERFLOW": "64", "POSTGRES_LOCK_TIMEOUT": "30",
    })
    end = time.perf_counter() + seconds

    def caller(_: int) -> int:
        done = 0
        while time.perf_counter() < end:
            application.save(Entry(str(uuid.uuid4()), BODY))
            done += 1
        return done

    start = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as threads:
        total = sum(threads.map(caller, range(CALLERS)))
    rate = total / (time.perf_counter() - start)
    application.close()
    return rate


def keep(target: Path | None, **costs: float) -> None:
    """Add costs to the file of them."""
    if target is not None:
        known = json.loads(target.read_text("utf-8"))["costs"] if target.exists() else {}
        known |= {name: round(value, 4) for name, value in costs.items()}
        target.write_text(json.dumps({"costs": dict(sorted(known.items()))}, indent=2) + "\n", "utf-8")


def measure_commands(server: Postgres, seconds: float, target: Path | None) -> None:
    """Print how commands compare, baselines and ours in turn."""
    rounds = []
    for _ in range(3):
        bare = [asyncio.run(raw(server, seconds, both=both)) for both in (False, True)]
        rounds.append((*bare, asyncio.run(commands(server, seconds))))
    one, two, ours = (statistics.median(each) for each in zip(*rounds, strict=True))
    print(f"raw asyncpg, 64 connections, the event's row, one a commit      {one:9,.0f} /s")
    print(f"raw asyncpg, 64 connections, event and read model, one a commit {two:9,.0f} /s")
    print(
        f"whole commands, 64 callers                                      {ours:9,.0f} /s"
        f"   {ours / one:5.2f} x the first, {ours / two:5.2f} x the second"
    )
    keep(target, commit_ms=1000 / ours)
    other = library(server, seconds)
    if other is None:
        print("eventsourcing library: install psycopg[binary,pool] to compare")
    else:
        print(f"eventsourcing library, 64 threads                               {other:9,.0f} /s   ours is {ours / other:5.2f} x")


# --- events ----------------------------------------------------------------------------------------------------------------


async def fill(address: str, count: int) -> None:
    """Put so many events into a log, by COPY, as EventStore would have written them."""
    kind = PostSaved.DESCRIPTOR.full_name
    connection = await asyncpg.connect(address)
    now = time.time_ns() // 1_000
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    def row(position: int) -> tuple[object, ...]:
        event_id, person_id = f"{position:036}", f"{position % 1000:036}"
        data = PostSaved(post_id=event_id, person_id=person_id).SerializeToString()
        stream, version = f"response-{position % 50_000:036}", position // 50_000 + 1
        return (position, event_id, stream, version, kind, data, None, person_id, event_id, "", trace, now)

    for first in range(1, count + 1, 50_000):
        records = [row(position) for position in range(first, min(first + 50_000, count + 1))]
        await connection.copy_records_to_table("events", records=records)
    await connection.execute("ANALYZE events")
    await connection.close()


def producer_tool(brokers: str, topic: str, records: int, size: int) -> float:
    """Records a second of Kafka's own producer at acks=all."""
    java = downloads.java(downloads.KAFKA_JAVA) / "bin" / "java"
    done = subprocess.run(
        [
            str(java), "-Xmx256m", "-cp", f"{downloads.kafka_tools()}/*",
            f"-Dlog4j2.configurationFile={downloads.HERE / 'java' / 'log4j2.properties'}",
            "org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", str(records), "--record-size", str(size),
            "--throughput", "-1", "--producer-props", f"bootstrap.servers={brokers}", "acks=all",
        ],
        capture_output=True, text=True, timeout=300, check=True,
    )
    last = [line for line in done.stdout.splitlines() if "records/sec" in line][-1]
    return float(last.split("records sent,")[1].split("records/sec")[0])


async def relayed(store: EventStore, config: KafkaConfig, count: int) -> float:
    """Events a second from the log to the topic."""
    publisher = Publisher(config)
    await publisher.start()
    relay = Relay(store, publisher)
    start = time.perf_counter()
    running = asyncio.create_task(relay.run())
    while relay.position < count:  # noqa: ASYNC110 - it is looked at from outside
        await asyncio.sleep(0.01)
    rate = count / (time.perf_counter() - start)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await publisher.stop()
    return rate


def new_config(kafka: Kafka) -> KafkaConfig:
    """Fresh names on the broker."""
    config = KafkaConfig(brokers=tuple(kafka.brokers.split(",")), prefix=f"b{uuid.uuid4().hex[:8]}.", partitions=6)
    topics.ensure(config, ["bench"])
    return config


async def measure_relay(server: Postgres, kafka: Kafka, count: int, target: Path | None) -> None:
    """Print how the relay compares."""
    async with opened(server) as (database, address):
        await fill(address, count)
        store = EventStore("bench", database)
        sample = (await store.tail(0, 1))[0]
        key, value, headers = to_kafka(sample, "bench")
        size = len(key) + len(value) + sum(len(name) + len(content) for name, content in headers)
        tool = await asyncio.to_thread(producer_tool, kafka.brokers, new_config(kafka).topic("bench"), count, size)
        ours = await relayed(store, new_config(kafka), count)
        again = await asyncio.to_thread(producer_tool, kafka.brokers, new_config(kafka).topic("bench"), count, size)
        bare = (tool + again) / 2
        print(f"Kafka's producer tool, acks=all, {size} bytes a record           {bare:9,.0f} /s  ({tool:,.0f} before, {again:,.0f} after)")
        print(f"relay, log to topic                                             {ours:9,.0f} /s   {ours / bare:6.1%} of the tool")
        keep(target, relay_event_ms=1000 / ours, event_bytes_kafka=size)


async def measure_latency(server: Postgres, kafka: Kafka) -> None:
    """Print how long an event takes into another service's read model."""
    config = new_config(kafka)
    async with opened(server) as (database, _), opened(server, MARKS) as (other, _):
        store = EventStore("bench", database)
        publisher = Publisher(config)
        await publisher.start()
        relay = asyncio.create_task(Relay(store, publisher).run())
        log = KafkaLog(config, "bench", config.group("other"), store)
        taken: dict[int, float] = {}

        class Watched(ProjectionConsumer):
            async def take(self, source: str, events: Sequence[Recorded], position: int) -> None:
                await super().take(source, events, position)
                now = time.perf_counter()
                taken.update((event.position, now) for event in events)

        subscription = Subscription(log, Watched(Marks(), other))
        log.attach(subscription)
        await log.start()
        following = asyncio.create_task(subscription.run(log.waker()))
        committed: dict[int, float] = {}

        async def write(number: int) -> None:
            event = PostSaved(post_id=new_id(), person_id="p")
            position = await store.append(f"response-{new_id()}", 0, [event], Metadata("bench"))
            committed[position] = time.perf_counter()

        warm = 200
        for number in range(warm):
            await write(number)
        await subscription.reached(warm, 60)
        writes: list[asyncio.Task[None]] = []
        start = time.perf_counter()
        for number in range(LATENCY_RATE * LATENCY_SECONDS):
            wait = start + number / LATENCY_RATE - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            writes.append(asyncio.create_task(write(number)))
        await asyncio.gather(*writes)
        rate = len(writes) / (time.perf_counter() - start)
        assert await subscription.reached(max(committed), 60)
        times = sorted(1000 * (taken[position] - committed[position]) for position in committed if position > warm)
        for task in (following, relay):
            task.cancel()
        await asyncio.gather(following, relay, return_exceptions=True)
        await log.stop()
        await publisher.stop()
        await store.close()
        p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
        print(f"commit to projected elsewhere, {rate:,.0f} events/s    p50 {p50:5.0f} ms   p99 {p99:5.0f} ms   most {times[-1]:5.0f} ms")


async def serve_log(address: str, keys: Path) -> None:
    """A process of its own that answers EventLog/Read, as the service's api does."""
    database = await PostgresDatabase.open(address)
    server = NetworkServer(Tokens(Keys(keys)), "127.0.0.1", 0)
    add_EventLogServicer_to_server(EventLogApi(EventStore("bench", database)), server)
    print(await server.start(), flush=True)
    await asyncio.Event().wait()


async def caught_up(log: RemoteLog | KafkaLog, other: PostgresDatabase, projection: Marks | Tally, count: int) -> float:
    """Events a second until a new projection has taken them all."""
    subscription = Subscription(log, ProjectionConsumer(projection, other))
    if isinstance(log, KafkaLog):
        log.attach(subscription)
        await log.start()
        waker = log.waker()
    else:
        waker = asyncio.Event()
    start = time.perf_counter()
    running = asyncio.create_task(subscription.run(waker))
    while subscription.position < count:  # noqa: ASYNC110 - it is looked at from outside
        await asyncio.sleep(0.01)
    rate = count / (time.perf_counter() - start)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return rate


async def measure_catch_up(server: Postgres, kafka: Kafka, count: int, target: Path | None) -> None:
    """Print how fast a new projection takes a long log."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as folder:
        keys = Path(folder) / "keys"
        tokens = Tokens(Keys(keys))
        async with opened(server) as (database, address):
            await fill(address, count)
            serving = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "benchmarks.cluster", "--serve-log", address, "--keys", str(keys), stdout=asyncio.subprocess.PIPE,
            )
            assert serving.stdout is not None
            channel = NetworkChannel(f"127.0.0.1:{int(await serving.stdout.readline())}")
            remote = RemoteLog("bench", channel, lambda: tokens.sign(Caller(service="bench")))
            try:
                for projection, what in ((Tally(), "reads only"), (Marks(), "a row each")):
                    async with opened(server, MARKS) as (other, _):
                        rate = await caught_up(remote, other, projection, count)
                        print(f"catch-up over {count:,} events by EventLog/Read, {what:10}      {rate:9,.0f} /s")
                keep(target, follow_event_ms=1000 / rate)
                config = new_config(kafka)
                store = EventStore("bench", database)
                rate = await relayed(store, config, count)
                print(f"relay, the whole log                                            {rate:9,.0f} /s")
                async with opened(server, MARKS) as (other, _):
                    log = KafkaLog(config, "bench", config.group("other"), remote)
                    rate = await caught_up(log, other, Marks(), count)
                    await log.stop()
                    print(f"catch-up over {count:,} events from Kafka, a row each          {rate:9,.0f} /s")
            finally:
                await channel.close()
                serving.terminate()
                await serving.wait()


# --- what things cost ------------------------------------------------------------------------------------------------------


def processor_seconds(pid: int) -> float:
    """Processor time of a process and the processes below it."""
    total = 0.0
    children: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            # With what ended children used: a server process may have ended between two looks.
            times[int(entry.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        total += times.get(each, 0.0)
        waiting += children.get(each, [])
    return total


async def load(port: int, tokens: list[str], requests: list[tuple[bytes, bytes]], callers: int = 8) -> tuple[float, int]:
    """Send requests over kept-alive connections; answers requests a second and the bytes of an answer."""
    left = list(reversed(requests))
    sizes: list[int] = []

    async def caller() -> None:
        connection = await Connection(port).open()
        while left:
            head, body = left.pop()
            status, answer = await connection.request(head, body)
            if status >= 400:
                raise RuntimeError(f"{status}: {answer[:300]!r}")
            sizes.append(len(answer))
        connection.close()

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return len(requests) / (time.perf_counter() - start), round(statistics.mean(sizes))


async def table_bytes(address: str) -> tuple[dict[str, int], float]:
    """Bytes of each table with its indexes, and the milliseconds that a row of a home timeline takes to be written with many others."""
    connection = await asyncpg.connect(address)
    rows = await connection.fetch(
        "SELECT relname, pg_total_relation_size(oid) AS bytes FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    await connection.execute("CREATE TABLE copied_entries (LIKE home_entries INCLUDING ALL)")
    start = time.perf_counter()
    status = await connection.execute("INSERT INTO copied_entries SELECT * FROM home_entries")
    row_ms = 1000 * (time.perf_counter() - start) / int(status.rpartition(" ")[2])
    await connection.execute("DROP TABLE copied_entries")
    await connection.close()
    return {row["relname"]: row["bytes"] for row in rows}, row_ms


async def tables_bytes(address: str) -> int:
    """Bytes of all tables of a database with their indexes."""
    connection = await asyncpg.connect(address)
    size: int = await connection.fetchval(
        "SELECT SUM(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    await connection.close()
    return size


def index_bytes(url: str) -> float:
    """Bytes of a document in the search index."""
    with urllib.request.urlopen(f"{url}/_stats/store,docs", timeout=30) as answer:
        found = json.load(answer)["_all"]["primaries"]
    return float(found["store"]["size_in_bytes"] / max(1, found["docs"]["count"]))


def measure_costs(folder: Path, server: Postgres, kafka: Kafka, posts: int, target: Path | None) -> None:
    """Run the network as a cluster, and print what each kind of request costs each process, in milliseconds of a processor."""
    search, store = OpenSearch(folder / "opensearch"), S3(folder / "s3")
    search.start()
    store.start()
    cluster = Cluster(
        folder / "cluster", databases=server, brokers=kafka.brokers, search_url=search.url, store=store,
        settings={"post_characters_max": "10000"},
    )
    try:
        cluster.prepare()
        os.environ.update({name: value for name, value in cluster.environment().items() if name.startswith("WATERCOOLER_")})
        settings = Settings(
            data=folder / "data", database_url=cluster.database_url, keys=Path(cluster.environment()["WATERCOOLER_KEYS"]),
        )
        tokens = asyncio.run(seed(settings, posts))
        cluster.start()
        measured(cluster, server, search, tokens, posts, target)
    finally:
        cluster.stop()
        store.stop()
        search.stop()


def measured(cluster: Cluster, server: Postgres, search: OpenSearch, tokens: list[str], posts: int, target: Path | None) -> None:
    """Load the running cluster, kind of request by kind of request."""
    chance = random.Random(3)
    pids = {name: process.pid for name, process in cluster.processes.items()}
    pids |= {"postgresql": server.process.pid, "opensearch": search.process.pid}

    def one(path: str) -> tuple[bytes, bytes]:
        return get(path, chance.choice(tokens)), b""

    def writing(number: int) -> tuple[bytes, bytes]:
        body = json.dumps({"body": f"The line {number} runs again after the trial. " + BODY}).encode()
        return post("/api/v1/posts", chance.choice(tokens), body), body

    kinds: dict[str, list[tuple[bytes, bytes]]] = {
        "timeline": [one("/api/v1/feeds/home?page_size=20") for _ in range(3000)],
        "search": [one("/api/v1/find?query=" + chance.choice(("film", "sealing", "supplier", "trial"))) for _ in range(600)],
        "post": [writing(number) for number in range(1500)],
    }
    asyncio.run(load(cluster.port, tokens, [one("/api/v1/feeds/home?page_size=20") for _ in range(300)]))
    spent: dict[str, dict[str, float]] = {}
    sizes: dict[str, int] = {}
    for kind, requests in kinds.items():
        before = {name: processor_seconds(pid) for name, pid in pids.items()}
        callers = 2 if kind == "search" else 8
        rate, sizes[kind] = asyncio.run(load(cluster.port, tokens, requests, callers))
        if kind == "post":
            time.sleep(3)  # what follows a post is part of its cost
        spent[kind] = {name: 1000 * (processor_seconds(pid) - before[name]) / len(requests) for name, pid in pids.items()}
        line = "  ".join(f"{name} {cost:5.2f}" for name, cost in spent[kind].items() if cost >= 0.005)
        print(f"{kind:9} {rate:7,.0f} /s, {sizes[kind]:6,} bytes an answer; ms of a processor: {line}")
    feed, row_ms = asyncio.run(table_bytes(cluster.database_url.replace("{service}", "feed")))
    people = asyncio.run(tables_bytes(cluster.database_url.replace("{service}", "identity")))
    events = posts + 1500
    largest = sorted(feed.items(), key=lambda table: -table[1])[:8]
    print("feed's tables, bytes a post: " + ", ".join(f"{name} {size / events:,.0f}" for name, size in largest))
    print(f"identity's tables, bytes a person: {people / PEOPLE:,.0f}; a row of a home timeline {row_ms:.4f} ms")
    keep(
        target,
        gateway_read_ms=spent["timeline"]["gateway"], gateway_write_ms=spent["post"]["gateway"], feed_read_ms=spent["timeline"]["feed"],
        feed_write_ms=spent["post"]["feed"], search_api_ms=spent["search"]["search"], identity_read_ms=spent["timeline"]["identity"],
        search_query_ms=spent["search"]["opensearch"], index_document_ms=spent["post"]["opensearch"],
        database_read_ms=spent["timeline"]["postgresql"], database_write_ms=spent["post"]["postgresql"],
        search_post_ms=spent["post"]["search"], answer_bytes=sizes["timeline"], event_bytes_database=feed["events"] / events,
        post_bytes_database=sum(feed.values()) / events, person_bytes_database=people / PEOPLE, timeline_row_ms=row_ms,
        document_bytes_search=index_bytes(search.url),
    )


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the log to catch up with")
    parser.add_argument("--relay-events", type=int, default=200_000)
    parser.add_argument("--posts", type=int, default=20_000, help="posts stored while costs are measured")
    parser.add_argument("--costs", type=Path, default=None, help="write the costs into this file")
    parser.add_argument("--serve-log", default="", help=argparse.SUPPRESS)
    parser.add_argument("--keys", type=Path, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    spare_collector()  # as the program does
    if arguments.serve_log:
        asyncio.run(serve_log(arguments.serve_log, arguments.keys))
        return
    parts = arguments.parts.split(",")
    with tempfile.TemporaryDirectory(prefix="watercooler-bench-") as name:
        folder = Path(name)
        server = Postgres(folder / "postgres", durable=True).start()
        kafka = Kafka(folder / "kafka").start()
        try:
            if "commands" in parts:
                measure_commands(server, arguments.seconds, arguments.costs)
            if "relay" in parts:
                asyncio.run(measure_relay(server, kafka, arguments.relay_events, arguments.costs))
            if "latency" in parts:
                asyncio.run(measure_latency(server, kafka))
            if "catchup" in parts:
                asyncio.run(measure_catch_up(server, kafka, arguments.events, arguments.costs))
            if "costs" in parts:
                measure_costs(folder, server, kafka, arguments.posts, arguments.costs)
        finally:
            kafka.stop()
            server.stop()


if __name__ == "__main__":
    main()
