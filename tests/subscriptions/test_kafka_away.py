"""Kafka that is not there, and how it is reached when it is."""
from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import pytest
from faststream.kafka.security import parse_security

from libs.eventstore.model import Metadata, Recorded
from libs.subscriptions import kafka as module
from libs.subscriptions.kafka import KafkaAway, KafkaConfig, KafkaLog, Publisher
from libs.subscriptions.subscription import is_passing
from libs.testing.contracts import published


@pytest.fixture
def config() -> Iterator[KafkaConfig]:
    """A port that nobody listens at, kept from everybody else."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield KafkaConfig((f"127.0.0.1:{taken.getsockname()[1]}",))


class History:
    name = "source"

    async def tail(self, after: int, limit: int) -> Sequence[Recorded]:
        return [
            Recorded(f"e{position}", "post-1", position, position, position, published(position), Metadata("ann"))
            for position in range(after + 1, min(after + limit, 9) + 1)
        ]

    async def head(self) -> int:
        return 9


async def test_without_kafka_a_log_is_read_from_its_service(config: KafkaConfig) -> None:
    log = KafkaLog(config, "source", config.group("test"), History(), idle_seconds=0.0)
    await log.start()
    try:
        assert [event.position for event in await log.tail(0, 4)] == [1, 2, 3, 4]
        assert [event.position for event in await log.tail(4, 100)] == [5, 6, 7, 8, 9]
        assert await log.tail(9, 100) == ()
        assert await log.head() == 9
        assert not log.connected and log.assigned == 0
    finally:
        async with asyncio.timeout(60):
            await log.stop()


async def test_to_publish_without_kafka_fails_in_a_way_that_passes(config: KafkaConfig) -> None:
    publisher = Publisher(config)
    for _ in range(2):
        with pytest.raises(KafkaAway) as caught:
            await publisher.publish("source", await History().tail(0, 3))
        assert is_passing(caught.value)
    await publisher.stop()


@pytest.mark.parametrize(
    ("security", "mechanism"),
    list(product(["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"], ["plain", "scram-sha-256", "scram-sha-512"])),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_readers_and_writers_are_guarded_alike(security: str, mechanism: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.ssl, "create_default_context", lambda cafile: f"trusting {cafile}")
    config = KafkaConfig(("k:1",), security=security, mechanism=mechanism, username="u", password="p", ca_file=Path("ca.pem"))
    writing = module._connection(config)
    assert writing.pop("bootstrap_servers") == ["k:1"]
    reading = {name: value for name, value in parse_security(module._security(config)).items() if value is not None}
    assert reading == writing
    assert writing["security_protocol"] == security.upper()
    assert ("ssl_context" in writing) == security.endswith("ssl")
    assert writing.get("sasl_mechanism") == (mechanism.upper() if security.startswith("sasl") else None)


def test_a_password_is_never_shown() -> None:
    assert "secret-word" not in repr(KafkaConfig(("k:1",), password="secret-word"))


def test_names() -> None:
    config = KafkaConfig(("k:1",), prefix="test.")
    assert config.topic("feed") == "test.watercooler.feed.v1.events"
    assert config.dead_letters("feed") == "test.watercooler.feed.v1.events.dead-letter"
    assert config.group("feed") == "test.watercooler.feed"
