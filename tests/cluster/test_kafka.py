"""Following through a real Kafka: whatever happens to topics, groups, brokers and processes, each event is taken once and in order."""
from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from libs.db.database import Database
from libs.db.sqlite import SqliteDatabase
from libs.eventstore.model import Log
from libs.eventstore.store import EventStore
from libs.subscriptions import topics
from libs.subscriptions.cloudevents import from_kafka, to_kafka
from libs.subscriptions.kafka import KafkaConfig, KafkaLog, KafkaRefused, Publisher
from libs.subscriptions.relay import Relay
from libs.telemetry import metrics
from libs.testing.contracts import SubscriptionContract
from tests.cluster.engines.kafka import Kafka
from tests.cluster.engines.processes import Process
from tests.cluster.following import Follower, Source, ended, until

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def config(kafka: str, kafka_prefix: str) -> KafkaConfig:
    return KafkaConfig(tuple(kafka.split(",")), prefix=kafka_prefix, partitions=3)


def read_all(config: KafkaConfig, topic: str, count: int) -> list[ConsumerRecord]:
    """The first records of a topic, each partition's in order."""
    consumer = KafkaConsumer(topic, bootstrap_servers=list(config.brokers), auto_offset_reset="earliest", enable_auto_commit=False)
    try:
        found: list[ConsumerRecord] = []
        for _ in range(600):
            for records in consumer.poll(timeout_ms=100).values():
                found += records
            if len(found) >= count:
                return found
        raise AssertionError(f"{topic} holds {len(found)} records, not {count}")
    finally:
        consumer.close()


class TestFollowing(SubscriptionContract):
    """The contract of following, over topics."""

    async def open(self, folder: Path) -> Database:
        return SqliteDatabase(folder / "events.db")

    @pytest.fixture(autouse=True)
    async def _topics(self, config: KafkaConfig, database: Database) -> AsyncIterator[None]:
        self._config = config
        self._relays: dict[int, asyncio.Task[None]] = {}
        self._publisher = Publisher(config)
        self._logs: list[KafkaLog] = []
        yield
        for relay in self._relays.values():
            await ended(relay)
        for log in self._logs:
            await log.stop()
        await self._publisher.stop()

    async def following(self, store: EventStore) -> Log:
        if id(store) not in self._relays:
            await asyncio.to_thread(topics.ensure, self._config, [store.name])
            self._relays[id(store)] = asyncio.create_task(Relay(store, self._publisher).run())
        log = KafkaLog(self._config, store.name, self._config.group(f"follower-{len(self._logs)}"), store)
        await log.start()
        self._logs.append(log)
        return log


async def test_a_partition_holds_a_streams_events_in_order(tmp_path: Path, config: KafkaConfig) -> None:
    async with Source(tmp_path, config) as source:
        await source.write(300, streams=20)
        await source.relayed()
    records = await asyncio.to_thread(read_all, config, config.topic("source"), 300)
    places = defaultdict(set)
    versions = defaultdict(list)
    for record in records:
        event = from_kafka(record.key, record.value, record.headers, "source")
        places[event.stream].add(record.partition)
        versions[event.stream].append(event.version)
    assert len(versions) == 20 and all(found == list(range(1, 16)) for found in versions.values())
    assert all(len(found) == 1 for found in places.values())
    assert len(set.union(*places.values())) == 3


async def test_what_is_written_is_followed_without_asking_the_service(tmp_path: Path, config: KafkaConfig) -> None:
    async with Source(tmp_path, config) as source, Follower(tmp_path, source, patience_seconds=60, idle_seconds=3600) as follower:
        await follower.connected()
        await source.write(200)
        await follower.caught_up()
        await follower.check()
        assert not source.history.read


async def test_a_follower_started_again_goes_on_where_it_stopped(tmp_path: Path, config: KafkaConfig) -> None:
    async with Source(tmp_path, config) as source:
        for _ in range(3):
            async with Follower(tmp_path, source) as follower:
                await follower.connected()
                await source.write(120)
                await follower.caught_up()
                await until("the offsets", lambda: asyncio.to_thread(_all_taken, config))
            await source.write(30)
            await source.relayed()
        async with Follower(tmp_path, source) as follower:
            await follower.caught_up()
            await follower.check()
            assert follower.projection.taken[0] == source.written - 29


async def test_a_follower_in_the_middle_of_a_batch_is_ended_and_another_goes_on(tmp_path: Path, config: KafkaConfig) -> None:
    async with Source(tmp_path, config) as source:
        await source.write(600)
        await source.relayed()
        for _ in range(4):
            async with Follower(tmp_path, source) as follower:
                before = len(follower.projection.taken)
                await until("some events", lambda follower=follower, before=before: len(follower.projection.taken) > before)
            await source.write(50)
        async with Follower(tmp_path, source) as follower:
            await follower.caught_up()
            await follower.check()


async def test_two_members_of_a_group_share_partitions_and_both_get_everything(tmp_path: Path, config: KafkaConfig) -> None:
    async with Source(tmp_path, config) as source, Follower(tmp_path, source, "first") as first:
        await source.write(100)
        await first.caught_up()
        async with Follower(tmp_path, source, "second") as second:
            await until("both have partitions", lambda: sorted((first.log.assigned, second.log.assigned)) == [1, 2])
            await source.write(100)
            await first.caught_up()
            await second.caught_up()
            await second.check()
        await source.write(100)
        await first.caught_up()
        await first.check()
        await until("all partitions again", lambda: first.log.assigned == 3)


async def test_added_partitions_are_read(tmp_path: Path, config: KafkaConfig) -> None:
    grown = dataclasses.replace(config, partitions=5)
    async with Source(tmp_path, config) as source, Follower(tmp_path, source) as follower:
        await source.write(50)
        await follower.caught_up()
        done = await asyncio.to_thread(topics.ensure, grown, ["source"])
        assert any("5 partitions instead of 3" in told for told in done)

        async def used() -> bool:
            await source.write(20, streams=40)
            return follower.log.assigned == 5 and await asyncio.to_thread(_records_in, config, (3, 4)) > 0

        await until("the new partitions", used)
        await follower.caught_up()
        await follower.check()


def _records_in(config: KafkaConfig, partitions: tuple[int, ...]) -> int:
    consumer = KafkaConsumer(bootstrap_servers=list(config.brokers))
    try:
        return sum(consumer.end_offsets([TopicPartition(config.topic("source"), number) for number in partitions]).values())
    finally:
        consumer.close()


async def test_a_topic_deleted_and_made_again_loses_nothing(tmp_path: Path, config: KafkaConfig) -> None:
    async with Source(tmp_path, config) as source, Follower(tmp_path, source, idle_seconds=0.5) as follower:
        await source.write(100)
        await follower.caught_up()
        await asyncio.to_thread(_delete, config)
        await source.write(50)

        async def relayed_again() -> bool:
            await asyncio.to_thread(topics.ensure, config, ["source"])
            return source.relaying.position == source.written

        await until("the topic is there again", relayed_again)
        await source.write(50)
        await source.relayed()
        await follower.caught_up()
        await follower.check()

        async def brought_again() -> bool:
            source.history.read.clear()
            await source.write(5)
            await follower.caught_up()
            return not source.history.read

        await until("the new topic is read", brought_again)
        await follower.check()


def _delete(config: KafkaConfig) -> None:
    admin = KafkaAdminClient(bootstrap_servers=list(config.brokers))
    try:
        admin.delete_topics([config.topic("source")])
    finally:
        admin.close()


async def test_what_cannot_be_decoded_is_kept_with_its_reason_and_the_rest_goes_on(tmp_path: Path, config: KafkaConfig) -> None:
    async with Source(tmp_path, config) as source, Follower(tmp_path, source) as follower:
        await follower.connected()
        await source.silence()
        await source.write(3)
        first, second, third = await source.store.tail(0, 3)
        key, value, headers = to_kafka(second, "source")
        publisher = Publisher(config)
        await publisher.publish("source", [first])
        await publisher.send(config.topic("source"), [
            (None, b"\x00\xff garbage", []),
            (b"post-2", value, [("ce_sequence", b"no number")]),
            (key, b"\xff\xff\xff", headers),  # damaged: its place is known, and what belongs there is read from the service
            (b"post-1", None, [("x", b"\xff")]),
        ])
        await publisher.publish("source", [third])
        await publisher.stop()
        await follower.caught_up()
        await follower.check()
        dead = await asyncio.to_thread(read_all, config, config.dead_letters("source"), 4)
    reasons = {dict(record.headers)["watercooler-reason"].decode() for record in dead}
    assert len(dead) == 4 and len(reasons) == 3
    assert any("the value is no watercooler.feed.v1.PostPublished" in reason for reason in reasons)
    garbage = next(record for record in dead if record.value == b"\x00\xff garbage")
    told = dict(garbage.headers)
    assert told["watercooler-topic"].decode() == config.topic("source") and told["watercooler-offset"].isdigit()


async def test_an_event_of_a_newer_version_is_passed_over(tmp_path: Path, config: KafkaConfig) -> None:
    async with Source(tmp_path, config) as source, Follower(tmp_path, source, idle_seconds=3600) as follower:
        await follower.connected()
        await source.silence()
        await source.write(3)
        first, second, third = await source.store.tail(0, 3)
        key, value, headers = to_kafka(second, "source")
        newer = [(name, b"watercooler.feed.v1.PostFolded" if name == "ce_type" else header) for name, header in headers]
        publisher = Publisher(config)
        await publisher.publish("source", [first])
        await publisher.send(config.topic("source"), [(key, value, newer)])
        await publisher.publish("source", [third])
        await publisher.stop()
        await follower.caught_up()
        rows = await follower.database.fetch("SELECT position FROM seen ORDER BY position")
        assert [row["position"] for row in rows] in ([1, 3], [1, 2, 3])  # the second one, where it came from the service's own log


async def test_what_is_older_than_the_topic_is_read_from_the_service(tmp_path: Path, config: KafkaConfig) -> None:
    async with Source(tmp_path, config) as source:
        await source.write(700)
        await source.relayed()
        await asyncio.to_thread(_forget_half, config)
        await source.write(100)
        async with Follower(tmp_path, source) as follower:
            await source.write(100)
            await follower.caught_up()
            await follower.check()
            assert set(range(1, 301)) <= source.history.read

            async def brought_by_the_topic() -> bool:
                source.history.read.clear()
                await source.write(20)
                await follower.caught_up()
                return not source.history.read

            await until("the move to the topic", brought_by_the_topic)
            await follower.check()


def _forget_half(config: KafkaConfig) -> None:
    places = [TopicPartition(config.topic("source"), number) for number in range(3)]
    consumer = KafkaConsumer(bootstrap_servers=list(config.brokers))
    ends = consumer.end_offsets(places)
    consumer.close()
    admin = KafkaAdminClient(bootstrap_servers=list(config.brokers))
    try:
        admin.delete_records({place: end // 2 for place, end in ends.items()})
    finally:
        admin.close()


async def test_what_the_relay_sends_twice_is_taken_once(tmp_path: Path, config: KafkaConfig) -> None:
    async with Source(tmp_path, config) as source, Follower(tmp_path, source) as follower:
        await source.write(150)
        await source.relayed()
        for _ in range(2):
            await source.silence()
            async with source.database.transaction() as tx:
                await tx.execute("UPDATE checkpoints SET position = 10 WHERE subscription = 'source.relay'")
            await source.relay()
            await source.write(25)
            await source.relayed()
        await follower.caught_up()
        await follower.check()
    records = await asyncio.to_thread(read_all, config, config.topic("source"), 505)
    assert {from_kafka(record.key, record.value, record.headers).position for record in records} == set(range(1, 201))


async def test_a_follower_without_a_group_reads_from_now_on(tmp_path: Path, config: KafkaConfig) -> None:
    """Every process of a service that holds something in memory."""
    async with Source(tmp_path, config) as source:
        await source.write(50)
        await source.relayed()
        log = KafkaLog(config, "source", None, source.history)
        await log.start()
        try:
            await until("the topic", lambda: log.assigned)
            position = await log.head()
            assert position == 50
            await source.write(50)
            taken: list[int] = []

            async def all_taken() -> bool:
                taken.extend(event.position for event in await log.tail(taken[-1] if taken else position, 10))
                return len(taken) >= 50

            await until("the events", all_taken)
            assert taken == list(range(51, 101))
        finally:
            await log.stop()


async def test_little_room_in_memory_is_enough(tmp_path: Path, config: KafkaConfig) -> None:
    async with Source(tmp_path, config) as source:
        await source.write(800, streams=2)
        await source.relayed()
        async with Follower(tmp_path, source, held_events=20) as follower:
            await follower.caught_up()
            await source.write(200)
            await follower.caught_up()
            await follower.check()


async def test_a_record_that_is_too_large_is_refused(config: KafkaConfig) -> None:
    await asyncio.to_thread(topics.ensure, config, ["source"])
    publisher = Publisher(config)
    try:
        with pytest.raises(KafkaRefused, match="more than 1000000 bytes"):
            await publisher.send(config.topic("source"), [(b"k", b"x" * 1_000_001, [])])
        await publisher.send(config.topic("source"), [(b"k", b"x" * 900_000, [])] * 5)
    finally:
        await publisher.stop()


async def test_a_follower_that_hung_past_its_session_does_no_harm(tmp_path: Path, config: KafkaConfig) -> None:
    async with Source(tmp_path, config) as source:
        await source.write(100)
        hung = Process(
            "follower", [sys.executable, "-m", "tests.cluster.following", str(tmp_path), config.brokers[0], config.prefix],
            tmp_path / "hung", environment={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}"}, working=ROOT,
        )
        hung.launch()
        try:
            watched = SqliteDatabase(tmp_path / "follower.db")

            async def taken(count: int) -> bool:
                rows = await watched.fetch("SELECT COUNT(*) AS taken FROM sqlite_master WHERE name = 'seen'")
                if not rows[0]["taken"]:
                    return False
                return bool((await watched.fetch("SELECT COUNT(*) AS taken FROM seen"))[0]["taken"] >= count)

            await until("the first hundred", lambda: taken(100))
            hung.pause()
            await until("its session has ended", lambda: asyncio.to_thread(_members, config, 0))
            async with Follower(tmp_path, source) as follower:
                await source.write(200)
                await follower.caught_up()
            await source.write(100)
            hung.resume()
            await source.write(100)
            await until("it goes on", lambda: taken(source.written))
            await watched.close()
        finally:
            hung.resume()
            hung.stop()
        async with Follower(tmp_path, source) as follower:
            await source.write(10)
            await follower.caught_up()
            await follower.check()


def _members(config: KafkaConfig, count: int) -> bool:
    admin = KafkaAdminClient(bootstrap_servers=list(config.brokers))
    try:
        group = config.group("follower")
        return len(admin.describe_groups([group])[group]["members"]) == count
    finally:
        admin.close()


@pytest.mark.timeout(600)
async def test_a_broker_that_is_killed_under_load_and_comes_back(tmp_path: Path, kafka_prefix: str) -> None:
    cluster = Kafka(tmp_path / "kafka", 3)
    try:
        cluster.launch()  # in this thread, with which they end
        await asyncio.to_thread(cluster.wait)
        config = KafkaConfig(tuple(cluster.brokers.split(",")), prefix=kafka_prefix, partitions=3, replication=3)
        async with Source(tmp_path, config) as source, Follower(tmp_path, source) as follower:
            await follower.connected()
            writing = asyncio.create_task(_write_on(source))
            for index in (0, 1):
                before = source.relaying.position
                await until("some load", lambda before=before: source.relaying.position > before + 50)
                await asyncio.to_thread(cluster.kill, index)
                before = source.relaying.position
                await until("the relay publishes on two brokers", lambda before=before: source.relaying.position > before + 50)
                cluster.nodes[index].launch()
                await asyncio.to_thread(cluster.wait)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            source.written = await source.store.head()
            await source.relayed()
            await follower.caught_up()
            await follower.check()
            count = source.written
            records = await asyncio.to_thread(read_all, config, config.topic("source"), count)
            # Each position is on Kafka, and each stream's events stand there in order, those that were sent twice left aside.
            seen: dict[str, int] = defaultdict(int)
            positions = set()
            for record in records:
                event = from_kafka(record.key, record.value, record.headers, "source")
                if event.position in positions:
                    continue
                positions.add(event.position)
                assert event.version == seen[event.stream] + 1
                seen[event.stream] = event.version
            assert positions == set(range(1, count + 1))
    finally:
        await asyncio.to_thread(cluster.stop)


async def _write_on(source: Source) -> None:
    while True:
        await source.write(5)
        await asyncio.sleep(0.01)


async def test_topics_are_as_the_settings_say(config: KafkaConfig) -> None:
    short = dataclasses.replace(config, retention_seconds=3600)
    done = await asyncio.gather(*(asyncio.to_thread(topics.ensure, short, ["source", "other"]) for _ in range(2)))
    assert sorted(told.split(":")[0] for told in done[0] + done[1]) == sorted(
        name for service in ("source", "other") for name in (short.topic(service), short.dead_letters(service))
    )
    assert await asyncio.to_thread(topics.ensure, short, ["source", "other"]) == []
    found = await asyncio.to_thread(topics.describe, short, ["source", "nothing"])
    assert found == [
        topics.Topic(name, partitions=3, replication=1, in_sync=1, retention_seconds=3600, records=0)
        for name in (short.topic("source"), short.dead_letters("source"))
    ]
    longer = dataclasses.replace(short, retention_seconds=7200, partitions=2)
    told = await asyncio.to_thread(topics.ensure, longer, ["source"])
    assert any("retention.ms=7200000" in line for line in told) and any("keeps its 3 partitions" in line for line in told)
    found = await asyncio.to_thread(topics.describe, longer, ["source"])
    assert [(topic.partitions, topic.retention_seconds) for topic in found] == [(3, 7200)] * 2


async def test_what_cannot_be_made_is_said(config: KafkaConfig) -> None:
    with pytest.raises(topics.TopicProblem, match="kafka_replication is 9"):
        await asyncio.to_thread(topics.ensure, dataclasses.replace(config, replication=9), ["source"])


async def test_how_far_behind_a_follower_is(tmp_path: Path, config: KafkaConfig) -> None:
    async with Source(tmp_path, config) as source:
        async with Follower(tmp_path, source):
            await source.write(40)
            await until("the offsets", lambda: asyncio.to_thread(_all_taken, config))
        await source.write(7)
        await source.relayed()
        [lag] = await asyncio.to_thread(topics.lag, config, ["follower", "nobody"])
        assert (lag.group, lag.topic, lag.records) == (config.group("follower"), config.topic("source"), 7)


def _all_taken(config: KafkaConfig) -> bool:
    found = topics.lag(config, ["follower"])
    return bool(found) and all(lag.records == 0 for lag in found)


async def test_the_metrics_tell_what_was_read(tmp_path: Path, config: KafkaConfig) -> None:
    def new() -> float:
        return metrics.value("watercooler_followed_records_total", source="source", outcome="new")

    async with Source(tmp_path, config) as source, Follower(tmp_path, source) as follower:
        await follower.connected()
        before = new()
        await source.write(30)
        await follower.caught_up()
        await until("the records", lambda: new() > before or len(source.history.read) >= 30)
        assert metrics.value("watercooler_followed_connected", source="source") == 1


