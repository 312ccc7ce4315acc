"""Kafka's topics: made as the settings say, described, and how far behind who reads them is. Everything here blocks."""
from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import (
    CoordinatorNotAvailableError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    KafkaError,
    KafkaTimeoutError,
    TopicAlreadyExistsError,
)

from .kafka import CLIENT, KafkaConfig

REQUEST_MILLISECONDS = 30_000
BOOTSTRAP_MILLISECONDS = 10_000
READY_MILLISECONDS = 60_000
COORDINATOR_SECONDS = 15.0
# What Kafka itself allows a batch of records by default; an operator may have set less for the whole cluster.
MESSAGE_BYTES = 1_048_588
_DAY_MILLISECONDS = 86_400_000


class TopicProblem(Exception):
    """Kafka cannot be asked, or refuses; the message says what and where."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is; `retention_seconds` is negative where nothing is ever deleted."""

    name: str
    partitions: int
    replication: int
    in_sync: int
    retention_seconds: int
    records: int


@dataclass(frozen=True, slots=True)
class Lag:
    """How many records of a topic a group has not taken yet, by Kafka's offsets: they are a little behind the checkpoints, which count."""

    group: str
    topic: str
    records: int


def ensure(config: KafkaConfig, services: Sequence[str]) -> list[str]:
    """Make the topics of these services and their dead letters as the settings say; answers a sentence for each thing done or left undone.

    Existing topics get more partitions where the setting grew, and the retention that is set. Nothing is ever deleted, and running it
    again, or twice at once, changes nothing. The number of copies of an existing topic is only compared.

    Raises:
        TopicProblem: Kafka does not answer, or refuses.
    """
    names = [name for service in services for name in (config.topic(service), config.dead_letters(service))]
    with _admin(config) as admin:
        done: list[str] = []
        found = _describe(admin, names)
        missing = [name for name in names if name not in found]
        for name in missing:
            if _create(admin, name, config):
                done.append(f"{name}: made, partitions: {config.partitions}, copies: {config.replication}")
        if missing:
            admin.wait_for_topics(names, timeout_ms=READY_MILLISECONDS)
            found = _describe(admin, names)
        done += _grow(admin, found, config)
        done += _configure(admin, found, config)
        return done


def describe(config: KafkaConfig, services: Sequence[str]) -> list[Topic]:
    """The topics of these services and their dead letters, those that exist; raises as `ensure`."""
    names = [name for service in services for name in (config.topic(service), config.dead_letters(service))]
    with _admin(config) as admin:
        found = _describe(admin, names)
        settings = _settings(admin, list(found))
        topics = []
        for name, partitions in found.items():
            first = _offsets(admin, name, partitions, OffsetSpec.EARLIEST)
            last = _offsets(admin, name, partitions, OffsetSpec.LATEST)
            retention = int(settings[name].get("retention.ms") or _DAY_MILLISECONDS * 7)
            topics.append(Topic(
                name, len(partitions), min(len(partition["replica_nodes"]) for partition in partitions),
                int(settings[name].get("min.insync.replicas") or 1), retention // 1000 if retention >= 0 else -1,
                sum(last.values()) - sum(first.values()),
            ))
        return topics


def lag(config: KafkaConfig, services: Sequence[str]) -> list[Lag]:
    """How far behind the groups of these services' workers are, for each topic they have read; raises as `ensure`."""
    with _admin(config) as admin:
        lags: list[Lag] = []
        for service in services:
            group = config.group(service)
            committed = _committed(admin, group)
            for name in sorted({place.topic for place in committed}):
                partitions = _describe(admin, [name]).get(name)
                if partitions is None:
                    continue  # the topic is gone, and its offsets will be
                first = _offsets(admin, name, partitions, OffsetSpec.EARLIEST)
                last = _offsets(admin, name, partitions, OffsetSpec.LATEST)
                behind = 0
                for place, end in last.items():
                    taken = committed[place].offset if place in committed else 0
                    behind += max(0, end - max(taken, first.get(place, 0)))
                lags.append(Lag(group, name, behind))
        return lags


def _committed(admin: KafkaAdminClient, group: str) -> Mapping[TopicPartition, Any]:
    """A group's offsets; a cluster that never had a group makes its table of them when it is first asked, which takes a moment."""
    until = time.monotonic() + COORDINATOR_SECONDS
    pause = threading.Event()
    while True:
        try:
            found: Mapping[TopicPartition, Any] = admin.list_group_offsets(group).get(group, {})
            return found
        except CoordinatorNotAvailableError:
            if time.monotonic() > until:
                raise
            pause.wait(0.2)


def _create(admin: KafkaAdminClient, name: str, config: KafkaConfig) -> bool:
    try:
        admin.create_topics({
            name: {
                "num_partitions": config.partitions, "replication_factor": config.replication,
                "configs": _wanted(config, config.replication),
            },
        })
    except TopicAlreadyExistsError:  # somebody else was faster
        return False
    except InvalidReplicationFactorError as error:
        raise TopicProblem(f"kafka_replication is {config.replication}, but Kafka has fewer brokers just now") from error
    return True


def _grow(admin: KafkaAdminClient, found: Mapping[str, list[dict[str, Any]]], config: KafkaConfig) -> list[str]:
    done = []
    for name, partitions in found.items():
        count = len(partitions)
        if count < config.partitions:
            with suppress(InvalidPartitionsError):  # it has as many by now: somebody else was faster
                admin.create_partitions({name: config.partitions})
                done.append(f"{name}: {config.partitions} partitions instead of {count}")
        elif count > config.partitions:
            done.append(f"{name}: keeps its {count} partitions, though kafka_partitions is {config.partitions}; they cannot be taken away")
        copies = min(len(partition["replica_nodes"]) for partition in partitions)
        if copies != config.replication:
            done.append(
                f"{name}: keeps its {copies} copies, though kafka_replication is {config.replication}; "
                "move its partitions by kafka-reassign-partitions to change that"
            )
    return done


def _configure(admin: KafkaAdminClient, found: Mapping[str, list[dict[str, Any]]], config: KafkaConfig) -> list[str]:
    done = []
    settings = _settings(admin, list(found))
    for name, partitions in found.items():
        copies = min(len(partition["replica_nodes"]) for partition in partitions)
        changes = {key: value for key, value in _wanted(config, copies).items() if settings[name].get(key) != value}
        if changes:
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=changes)])
            done.append(f"{name}: " + ", ".join(f"{key}={value}" for key, value in sorted(changes.items())))
    return done


def _wanted(config: KafkaConfig, copies: int) -> dict[str, str]:
    retention = config.retention_seconds * 1000
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention),
        # Whole segments are deleted, when their newest record is old enough: so that none lives much longer than it should.
        "segment.ms": str(min(_DAY_MILLISECONDS, retention // 10)),
        "min.insync.replicas": str(max(1, copies - 1)),
        # The brokers' clocks count: Kafka refuses records from a clock that runs far ahead, and deletes those of one that lags early.
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(MESSAGE_BYTES),
    }


def _describe(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The partitions of the topics that exist."""
    topics = {topic["name"]: topic["partitions"] for topic in admin.describe_topics(list(names)) if topic["error_code"] == 0}
    return {name: topics[name] for name in names if name in topics}


def _settings(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    told = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names], config_filter="all")
    return {name: {key: entry["value"] for key, entry in entries.items()} for name, entries in told["topic"].items()}


def _offsets(admin: KafkaAdminClient, name: str, partitions: Sequence[dict[str, Any]], spec: OffsetSpec) -> dict[TopicPartition, int]:
    places = {TopicPartition(name, partition["partition_index"]): spec for partition in partitions}
    return {place: found.offset for place, found in admin.list_partition_offsets(places).items()}


@contextmanager
def _admin(config: KafkaConfig) -> Iterator[KafkaAdminClient]:
    options: dict[str, Any] = {
        "bootstrap_servers": list(config.brokers), "client_id": CLIENT, "security_protocol": config.security.upper(),
        "request_timeout_ms": REQUEST_MILLISECONDS, "bootstrap_timeout_ms": BOOTSTRAP_MILLISECONDS,
    }
    if config.security.endswith("ssl"):
        options["ssl_context"] = ssl.create_default_context(cafile=str(config.ca_file) if config.ca_file else None)
    if config.security.startswith("sasl"):
        options |= {
            "sasl_mechanism": config.mechanism.upper(), "sasl_plain_username": config.username, "sasl_plain_password": config.password,
        }
    where = ", ".join(config.brokers)
    close: Callable[[], None] | None = None
    try:
        admin = KafkaAdminClient(**options)
        close = admin.close
        yield admin
    except KafkaTimeoutError as error:
        raise TopicProblem(f"Kafka at {where} does not answer in time: {error}") from error
    except KafkaError as error:
        raise TopicProblem(f"Kafka at {where} refuses: {error}") from error
    finally:
        if close is not None:
            close()
