"""The real engines as fixtures. Each is started when the first test asks for it, in a folder of its own on free ports."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.cluster.engines.postgres import Databases
from tests.cluster.engines.prometheus import Prometheus
from tests.cluster.engines.shared import Engines, running

HERE = Path(__file__).resolve().parent
FIXTURES = ("postgres", "kafka", "opensearch", "s3", "prometheus")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Downloads come before the first test: they may take minutes, more than a test has."""
    if session.config.option.collectonly:
        return
    wanted: dict[str, None] = {}
    for item in session.items:
        if HERE in item.path.parents:
            wanted |= dict.fromkeys(name for name in FIXTURES if name in getattr(item, "fixturenames", ()))
    running().prepare(*wanted)


@pytest.fixture(scope="session")
def engines() -> Engines:
    """The engines of this test run."""
    return running()


@pytest.fixture(scope="session")
def postgres(engines: Engines) -> Databases:
    """PostgreSQL: `postgres.fresh("identity", "feed")` makes empty databases and answers their address, with `{service}` in it."""
    return engines.postgres()


@pytest.fixture(scope="session")
def kafka(engines: Engines) -> str:
    """Kafka's brokers, as the setting kafka_brokers takes them. Use it with `kafka_prefix`."""
    return engines.kafka()


@pytest.fixture
def kafka_prefix() -> str:
    """What stands before this test's topics and groups."""
    return f"t{uuid.uuid4().hex[:12]}."


@pytest.fixture(scope="session")
def opensearch(engines: Engines) -> str:
    """The address of OpenSearch, as the setting search_url takes it. Use it with `search_prefix`."""
    return engines.opensearch()


@pytest.fixture
def search_prefix() -> str:
    """How the names of this test's indexes begin."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def s3(engines: Engines) -> dict[str, str]:
    """The settings blob_* that lead to an empty bucket of this test's own."""
    return engines.s3().fresh()


@pytest.fixture
def prometheus(engines: Engines, tmp_path: Path) -> Iterator[Callable[[Sequence[str], Sequence[Path]], Prometheus]]:
    """A function that starts Prometheus over targets (`host:port`) and files of rules."""
    if problem := engines.problem("prometheus"):
        raise problem
    started: list[Prometheus] = []

    def start(targets: Sequence[str] = (), rules: Sequence[Path] = ()) -> Prometheus:
        server = Prometheus(tmp_path / f"prometheus-{len(started)}", targets, rules)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()
