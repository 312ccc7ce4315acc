"""Kafka: publishing a service's events, and following another's in the order of their positions. FastStream's only importer."""
from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError
from aiokafka.producer.message_accumulator import BatchBuilder
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import FAKE_CONSUMER, KafkaAckableMessage
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from libs.eventstore.model import Log, Recorded
from libs.telemetry import logs, metrics

from .cloudevents import Headers, Undecodable, from_kafka, to_kafka
from .ordering import Window
from .subscription import is_passing

CLIENT = "watercooler"
# Below the brokers' usual limit of 1 MiB a batch (message.max.bytes), above the largest event with its headers.
BATCH_BYTES = 1_000_000
REQUEST_MILLISECONDS = 15_000
METADATA_MILLISECONDS = 10_000
DELIVERY_SECONDS = 30.0
STOP_SECONDS = 5.0
DEAD_LETTER_SECONDS = 10.0

HELD_EVENTS = 20_000
HELD_BYTES = 64 << 20
# What an event takes in memory beside its own bytes.
OVERHEAD_BYTES = 1_024
RECORDS_PER_TURN = 1_000
FETCH_MILLISECONDS = 50
PATIENCE_SECONDS = 0.3
IDLE_SECONDS = 2.0
COMMIT_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 5.0

_log = logs.get_logger(__name__)
# It warns at each start that it creates no topics, which is as it should be.
_faststream_log = logging.getLogger(f"{__name__}.faststream")
_faststream_log.setLevel(logging.ERROR)


class KafkaAway(ConnectionError):
    """Kafka does not answer, or cannot take writes now: it passes."""


class KafkaRefused(Exception):
    """Kafka refuses what we ask; the message says what. Somebody must change a setting or a right."""


class SourceBehind(ConnectionError):
    """Events came here that are past the end of their service's own log: it was set back, as by an older backup."""


@dataclass(frozen=True, slots=True)
class KafkaConfig:
    """How Kafka is reached, and what its topics are like; each field is the setting `kafka_...` of the same name."""

    brokers: tuple[str, ...]
    security: str = "plaintext"
    mechanism: str = "scram-sha-512"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    prefix: str = ""
    partitions: int = 6
    replication: int = 1
    retention_seconds: int = 14 * 86_400

    def topic(self, service: str) -> str:
        """The topic of a service's events."""
        return f"{self.prefix}watercooler.{service}.v1.events"

    def dead_letters(self, service: str) -> str:
        """Where records of a service's topic go that cannot be decoded."""
        return f"{self.topic(service)}.dead-letter"

    def group(self, service: str) -> str:
        """The consumer group of a service's worker."""
        return f"{self.prefix}watercooler.{service}"


class Publisher:
    """Writes events to their service's topic, acknowledged by all in-sync replicas, each stream in order.

    A partition holds a stream's events (crc32 of the key, librdkafka's `consistent` partitioner). Brokers that go away are waited for,
    without loss, doubling or reordering. Only after half a minute, or a refusal, does the caller get an error and must publish again
    from the first event that was not acknowledged; then records may be doubled, and whoever reads drops them by `ce_sequence`.
    """

    def __init__(self, config: KafkaConfig) -> None:
        """Nothing is connected before `start` or the first `publish`."""
        self.config = config
        self._producer: AIOKafkaProducer | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaAway: no broker answers.
            KafkaRefused: we may not.
        """
        async with self._turn:
            await self._connected()

    async def stop(self) -> None:
        """Send what was given, for 5 seconds at most, and disconnect."""
        async with self._turn:
            await self._disconnect()

    async def publish(self, service: str, events: Sequence[Recorded]) -> None:
        """Publish events in order; returns when all are acknowledged. Calls may overlap: what the first was given goes first.

        Raises:
            KafkaAway: not acknowledged in half a minute; some may have been written all the same.
            KafkaRefused: Kafka refuses them.
        """
        await self.send(self.config.topic(service), [to_kafka(event, service) for event in events])

    async def send(self, topic: str, records: Iterable[tuple[bytes | None, bytes | None, Headers]]) -> None:
        """Publish records as they are; raises as `publish`."""
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):
                async with self._turn:
                    producer = await self._connected()
                    waiting = await self._enqueue(producer, topic, records)
                for acknowledged in waiting:
                    await acknowledged
        except (KafkaError, TimeoutError) as error:
            async with self._turn:
                if self._producer is producer and producer is not None:
                    # What is still under way with this producer must not arrive after what the next one sends.
                    await self._disconnect()
            raise _meant(error, topic) from error

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                client_id=CLIENT, acks="all", enable_idempotence=True, linger_ms=0, max_batch_size=BATCH_BYTES,
                request_timeout_ms=REQUEST_MILLISECONDS, metadata_max_age_ms=METADATA_MILLISECONDS, **_connection(self.config),
            )
            try:
                await producer.start()
            except BaseException as error:
                await producer.stop()
                if isinstance(error, KafkaError):
                    raise _meant(error, "") from error
                raise
            self._producer = producer
        return self._producer

    async def _enqueue(
        self, producer: AIOKafkaProducer, topic: str, records: Iterable[tuple[bytes | None, bytes | None, Headers]]
    ) -> list[asyncio.Future[Any]]:
        partitions = sorted(await producer.partitions_for(topic))
        open_batches: dict[int, BatchBuilder] = {}
        waiting: list[asyncio.Future[Any]] = []
        for key, value, headers in records:
            partition = partitions[zlib.crc32(key or b"") % len(partitions)]
            batch = open_batches.get(partition)
            if batch is None or batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                if batch is not None:  # it is full
                    waiting.append(await producer.send_batch(batch, topic, partition=partition))
                batch = open_batches[partition] = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)  # the first one is taken at any size
                if batch.size() > BATCH_BYTES:
                    raise KafkaRefused(f"a record of more than {BATCH_BYTES} bytes cannot be published to {topic}")
        for partition, batch in open_batches.items():
            batch.close()
            waiting.append(await producer.send_batch(batch, topic, partition=partition))
        return waiting

    async def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        stopping = asyncio.create_task(producer.stop())
        done, _ = await asyncio.wait([stopping], timeout=STOP_SECONDS)
        if not done:
            # It waits for brokers that are away, and would for ever. Its sender has no public end but this one.
            sender = producer._sender.sender_task
            if sender is not None:
                sender.cancel()
            stopping.add_done_callback(_observe)
            await producer.client.close()
        else:
            _observe(stopping)


class Follower(Protocol):
    """Who reads a log and says how far it is: a Subscription."""

    @property
    def position(self) -> int:
        """The last position taken; negative before it knows."""
        ...

    @property
    def saved(self) -> int:
        """The last position that its checkpoint holds; negative before it knows."""
        ...


class KafkaLog:
    """Another service's log as its topic brings it, in the order of positions.

    Positions have no gaps, so all partitions are read and put back together: records that come too early are held, what comes twice is
    dropped, and what does not come (older than the topic, lost, undecodable, in a partition that lags) is read from the service itself
    after 0.3 s. So nothing that happens to topics, groups or offsets loses or doubles an event; only the database's checkpoint counts.
    Offsets are committed for the sake of a quick start, after the checkpoints of those who were attached.

    With a group it starts at the group's offsets, else at the topic's beginning. Without one it starts at the topic's end.
    """

    def __init__(
        self, config: KafkaConfig, source: str, group: str | None, history: Log, *,
        held_events: int = HELD_EVENTS, held_bytes: int = HELD_BYTES,
        patience_seconds: float = PATIENCE_SECONDS, idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """Follow the service `source`, whose own log `history` reads; nothing is connected before `start`.

        Args:
            held_events: how many events may wait in memory before partitions are paused.
            held_bytes: how many bytes of events may.
            patience_seconds: how long a missing position is waited for while later ones are there.
            idle_seconds: after how long without news the service itself is asked whether there are any.
        """
        self.name = source
        self.config = config
        self.group = group
        self.history = history
        self.patience_seconds = patience_seconds
        self.idle_seconds = idle_seconds
        self._window = Window(held_events, held_bytes)
        self._followers: list[Follower] = []
        self._front = 0
        self._late = 0  # positions up to here that are not held are read from history without waiting
        self._heard = float("-inf")
        self._arrived = asyncio.Condition()
        self._wakers: set[asyncio.Event] = set()
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._dead_letters = Publisher(config)
        self._work: asyncio.Task[None] | None = None
        self._held = metrics.FOLLOWED_HELD.labels(source=source)
        self._connected = metrics.FOLLOWED_CONNECTED.labels(source=source)
        self._from_history = metrics.FOLLOWED_HISTORY.labels(source=source)
        self._new, self._duplicate, self._unknown, self._undecodable = (
            metrics.FOLLOWED_RECORDS.labels(source=source, outcome=outcome) for outcome in ("new", "duplicate", "unknown", "undecodable")
        )

    @property
    def connected(self) -> bool:
        """Whether the topic is being read now; where it is not, events come from the service itself, later."""
        return self._consumer is not None

    @property
    def assigned(self) -> int:
        """How many partitions of the topic are ours to read; 0 where none are, or none yet."""
        return len(self._consumer.assignment()) if self._consumer is not None else 0

    def attach(self, follower: Follower) -> None:
        """Count with a subscription: what all attached ones have saved is committed, what all have taken is let go."""
        self._followers.append(follower)

    def waker(self) -> asyncio.Event:
        """An event that is set when new events are here; give it back by `dismiss`."""
        waker = asyncio.Event()
        self._wakers.add(waker)
        return waker

    def dismiss(self, waker: asyncio.Event) -> None:
        """Stop setting a waker."""
        self._wakers.discard(waker)

    async def start(self) -> None:
        """Begin to read the topic, in the background; brokers that are away are waited for there."""
        if self._work is None:
            self._work = asyncio.create_task(self._keep_reading(), name=f"topic of {self.name}")

    async def stop(self) -> None:
        """Commit, leave the group and disconnect."""
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
            await asyncio.wait([work])
        await self._dead_letters.stop()
        self._window.clear()
        self._front = self._late = 0
        self._heard = float("-inf")

    async def head(self) -> int:
        """The position of the newest event, as the service itself says; raises what `history` raises."""
        return max(self._window.highest, await self.history.head())

    async def tail(self, after: int, limit: int) -> Sequence[Recorded]:
        """The next events past a position; empty when no more are known of."""
        self._front = max(self._front, after)
        self._make_room()
        while True:
            events = self._window.run(after, limit)
            if events:
                return events
            if after >= self._late and after >= self._front:
                if self._window.highest <= after:
                    if not await self._more_elsewhere(after):
                        return ()
                elif await self._arrives(after + 1):
                    continue
                self._late = max(self._late, self._window.highest)
            return await self._earlier(after, limit)

    async def _arrives(self, position: int) -> bool:
        """Whether the position comes while we wait for it."""
        try:
            async with asyncio.timeout(self.patience_seconds), self._arrived:
                await self._arrived.wait_for(lambda: position in self._window)
        except TimeoutError:
            return False
        return True

    async def _more_elsewhere(self, after: int) -> bool:
        """Whether the service has events past a position though the topic has brought nothing for a while."""
        now = asyncio.get_running_loop().time()
        if now - self._heard < self.idle_seconds:
            return False
        self._heard = now
        try:
            head = await self.history.head()
        except Exception as error:
            if not is_passing(error):
                raise
            return False  # what the topic brings is taken all the same
        if head < after:
            raise self._set_back(after, head)
        self._late = max(self._late, head)
        return self._late > after

    async def _earlier(self, after: int, limit: int) -> Sequence[Recorded]:
        """The events past a position as the service itself has them."""
        events = await self.history.tail(after, limit)
        if not events:
            if self._window.highest > after:
                raise self._set_back(self._window.highest, after)
            self._late = after
        self._from_history.inc(len(events))
        return events

    def _set_back(self, seen: int, head: int) -> SourceBehind:
        return SourceBehind(
            f"position {seen} of {self.name} was here already, but its log ends at {head}: was an older backup restored? "
            "Restore this service to the same time, or rebuild what follows that log"
        )

    # Reading the topic.

    async def _keep_reading(self) -> None:
        pause, told = 0.2, ""
        while True:
            broker, subscriber = self._broker()
            try:
                await broker.start()
                self._consumer = subscriber.consumer
                self._connected.set(1)
                _log.info("topic followed", topic=self.config.topic(self.name), group=self.group or "")
                pause, told = 0.2, ""
                while any(not task.done() for task in subscriber.tasks):
                    await asyncio.sleep(COMMIT_SECONDS)
                    await self._commit()
                raise KafkaAway("the reading ended")
            except Exception as error:
                if told != repr(error):
                    told = repr(error)
                    _log.warning("topic cannot be followed now", topic=self.config.topic(self.name), reason=told)
            finally:
                await self._commit()
                self._consumer = None
                self._partitions.clear()
                self._connected.set(0)
                with contextlib.suppress(Exception):
                    await broker.stop()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _broker(self) -> tuple[KafkaBroker, Any]:
        broker = KafkaBroker(
            list(self.config.brokers), client_id=CLIENT, consumer_only=True, allow_auto_create_topics=False, apply_types=False,
            request_timeout_ms=REQUEST_MILLISECONDS, metadata_max_age_ms=METADATA_MILLISECONDS, security=_security(self.config),
            logger=_faststream_log, log_level=logging.DEBUG, graceful_timeout=STOP_SECONDS,
        )
        subscriber = broker.subscriber(
            self.config.topic(self.name), batch=True, max_records=RECORDS_PER_TURN, batch_timeout_ms=FETCH_MILLISECONDS,
            group_id=self.group, ack_policy=AckPolicy.MANUAL, auto_offset_reset="earliest" if self.group else "latest",
            listener=_Assignments(self), parser=_as_it_is, decoder=_records,
        )
        subscriber(self.take_in)
        return broker, subscriber

    async def take_in(self, records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        """Take records of any partitions, each partition's in the order of their offsets."""
        floor = self._floor()
        new = duplicates = 0
        seen: dict[TopicPartition, _Partition] = {}
        for record in records:
            place = TopicPartition(record.topic, record.partition)
            partition = seen.get(place)
            if partition is None:
                partition = seen[place] = self._partitions.setdefault(place, _Partition())
                partition.begin()
            partition.offset = record.offset + 1
            try:
                event = from_kafka(record.key, record.value, record.headers, self.name)
            except Undecodable as error:
                await self._set_aside(record, error)
                if error.event is None:
                    continue
                event = error.event
            partition.saw(event.position)
            if event.position > floor and self._window.put(event, len(record.value or b"") + OVERHEAD_BYTES):
                new += 1
            else:
                duplicates += 1
        for partition in seen.values():
            partition.end()
        self._duplicate.inc(duplicates)
        self._new.inc(new)
        if new:
            self._heard = asyncio.get_running_loop().time()
        self._make_room()
        async with self._arrived:
            self._arrived.notify_all()
        for waker in self._wakers:
            waker.set()

    async def _set_aside(self, record: ConsumerRecord[bytes, bytes], error: Undecodable) -> None:
        """Keep a record that cannot be decoded where somebody can look at it; the group does, so that it is kept once a service."""
        (self._undecodable if error.event is None else self._unknown).inc()
        _log.error(
            "record cannot be decoded", topic=record.topic, partition=record.partition, offset=record.offset, position=error.position,
            reason=str(error),
        )
        if self.group is None:
            return
        headers: Headers = [(name, value or b"") for name, value in record.headers]
        headers += [
            ("watercooler-reason", str(error).encode()),
            ("watercooler-group", self.group.encode()),
            ("watercooler-topic", record.topic.encode()),
            ("watercooler-partition", b"%d" % record.partition),
            ("watercooler-offset", b"%d" % record.offset),
        ]
        try:
            async with asyncio.timeout(DEAD_LETTER_SECONDS):
                await self._dead_letters.send(self.config.dead_letters(self.name), [(record.key, record.value, headers)])
        except (OSError, KafkaRefused) as problem:
            _log.error(
                "dead letter not kept", topic=record.topic, partition=record.partition, offset=record.offset, reason=repr(problem)
            )

    def _floor(self) -> int:
        return min((follower.position for follower in self._followers), default=self._front)

    def _make_room(self) -> None:
        """Let go of what was taken; then pause the partitions that are ahead when there is no room, or resume them when there is."""
        window = self._window
        window.trim(self._floor(), self._front)
        self._held.set(len(window))
        consumer = self._consumer
        if consumer is None:
            return
        if window.full:
            bound = min(window.reach(self._front) + 1, window.highest)
            ahead = [place for place, partition in self._partitions.items() if partition.last >= bound]
            ahead = [place for place in ahead if place in consumer.assignment() and place not in consumer.paused()]
            if ahead:
                consumer.pause(*ahead)
        elif window.roomy and (paused := consumer.paused()):
            consumer.resume(*paused)

    async def _commit(self) -> None:
        """Tell Kafka how far everybody's checkpoints are: a convenience, so what goes wrong here goes no further."""
        consumer = self._consumer
        if consumer is None or self.group is None or not self._followers:
            return
        saved = min(follower.saved for follower in self._followers)
        offsets: dict[TopicPartition, int] = {}
        for place, partition in self._partitions.items():
            offset = partition.done(saved)
            if offset is not None:
                offsets[place] = offset
        if offsets:
            with contextlib.suppress(KafkaError, asyncio.TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await consumer.commit(offsets)

    async def revoked(self) -> None:
        """Partitions are given to other members of the group: say how far we are, then forget which we had."""
        await self._commit()
        self._partitions.clear()


class _Partition:
    """How far one partition has been read: for each turn of reading, the highest position in it and the offset after it."""

    __slots__ = ("_highest", "_turns", "committed", "last", "offset")

    def __init__(self) -> None:
        self.last = 0
        self.offset = 0
        self.committed = 0
        self._highest = 0
        self._turns: deque[tuple[int, int]] = deque()

    def begin(self) -> None:
        self._highest = 0

    def saw(self, position: int) -> None:
        self.last = position
        self._highest = max(self._highest, position)

    def end(self) -> None:
        self._turns.append((self._highest, self.offset))

    def done(self, saved: int) -> int | None:
        """The offset up to which everything is saved; None when that has not changed."""
        offset = None
        while self._turns and self._turns[0][0] <= saved:
            offset = self._turns.popleft()[1]
        return offset


class _Assignments(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells a log when the group gives its partitions to others."""

    def __init__(self, log: KafkaLog) -> None:
        self._log = log

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._log.revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing to do: what is read twice is dropped, what is missing is read from history."""


async def _as_it_is(message: tuple[ConsumerRecord[bytes, bytes], ...]) -> KafkaAckableMessage:
    """FastStream's own parser decodes headers as text, and would fail on a record that has others."""
    return KafkaAckableMessage(raw_message=message, body=b"", consumer=FAKE_CONSUMER)


async def _records(message: KafkaAckableMessage) -> Any:
    return message.raw_message


def _observe(task: asyncio.Task[None]) -> None:
    """Look at what became of a task, so that nobody is told that nobody looked."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.info("producer did not stop cleanly", reason=repr(error))


def _meant(error: Exception, topic: str) -> Exception:
    where = f" ({topic})" if topic else ""
    if isinstance(error, TimeoutError | KafkaConnectionError | KafkaTimeoutError):
        return KafkaAway(f"Kafka does not answer in time{where}: {error!r}")
    assert isinstance(error, KafkaError)
    if error.retriable:
        return KafkaAway(f"Kafka cannot take writes now{where}: {error!r}")
    return KafkaRefused(f"Kafka refuses{where}: {error!r}")


def _tls(config: KafkaConfig) -> ssl.SSLContext | None:
    if not config.security.endswith("ssl"):
        return None
    return ssl.create_default_context(cafile=str(config.ca_file) if config.ca_file else None)


def _connection(config: KafkaConfig) -> dict[str, Any]:
    """The arguments by which aiokafka's own clients connect."""
    told: dict[str, Any] = {"bootstrap_servers": list(config.brokers), "security_protocol": config.security.upper()}
    tls = _tls(config)
    if tls is not None:
        told["ssl_context"] = tls
    if config.security.startswith("sasl"):
        told |= {
            "sasl_mechanism": config.mechanism.upper(), "sasl_plain_username": config.username, "sasl_plain_password": config.password,
        }
    return told


def _security(config: KafkaConfig) -> BaseSecurity:
    """The same for FastStream."""
    tls = _tls(config)
    if not config.security.startswith("sasl"):
        return BaseSecurity(ssl_context=tls, use_ssl=tls is not None)
    kind = {"plain": SASLPlaintext, "scram-sha-256": SASLScram256, "scram-sha-512": SASLScram512}[config.mechanism]
    return kind(config.username, config.password, ssl_context=tls, use_ssl=tls is not None)
