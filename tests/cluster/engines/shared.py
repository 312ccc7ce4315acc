"""The engines that one test run shares: each is started when it is first asked for, or handed over by whoever started it."""

from __future__ import annotations

import atexit
import json
import os
from pathlib import Path
from typing import Any

from . import downloads
from .kafka import Kafka
from .opensearch import OpenSearch
from .postgres import Databases, Postgres
from .processes import EngineError, give_up, own_folder
from .s3 import S3, Buckets

HANDED_OVER = "TEST_ENGINES"
NAMES = ("postgres", "kafka", "opensearch", "s3")


class Engines:
    """PostgreSQL, Kafka, OpenSearch and S3 for tests, in a folder. Only what was started here is ever stopped here."""

    def __init__(self, folder: Path) -> None:
        """Engines named in the environment variable TEST_ENGINES (as `handover` writes it) are used, not started."""
        self.folder = folder
        self._given: dict[str, dict[str, Any]] = json.loads(os.environ.get(HANDED_OVER) or "{}")
        self._started: dict[str, Any] = {}
        self._problems: dict[str, EngineError] = {}

    def prepare(self, *names: str) -> None:
        """Download what is missing for these engines; a problem is raised when the engine is asked for."""
        parts = {
            "postgres": downloads.postgres, "kafka": downloads.kafka, "opensearch": downloads.opensearch, "s3": downloads.versitygw,
            "prometheus": downloads.prometheus,
        }
        for name in names:
            if name not in self._given:
                try:
                    parts[name]()
                except EngineError as error:
                    self._problems[name] = error

    def launch(self, *names: str) -> None:
        """Start these engines side by side; asking for one waits until it serves."""
        makers = {"postgres": Postgres, "kafka": Kafka, "opensearch": OpenSearch, "s3": S3}
        for name in names:
            if name in self._given or name in self._started:
                continue
            if name in self._problems:
                raise self._problems[name]
            engine: Any = makers[name](self.folder / name)
            self._started[name] = engine
            engine.launch()

    def _running(self, name: str) -> Any:
        self.launch(name)
        engine = self._started[name]
        engine.wait()
        return engine

    def postgres(self) -> Databases:
        """PostgreSQL, in which a test makes databases of its own."""
        if given := self._given.get("postgres"):
            return Databases(given["port"])
        running: Postgres = self._running("postgres")
        return running

    def kafka(self) -> str:
        """Kafka's brokers, separated by commas."""
        if given := self._given.get("kafka"):
            return str(given["brokers"])
        running: Kafka = self._running("kafka")
        return running.brokers

    def opensearch(self) -> str:
        """The address of OpenSearch."""
        if given := self._given.get("opensearch"):
            return str(given["url"])
        running: OpenSearch = self._running("opensearch")
        return running.url

    def s3(self) -> Buckets:
        """The S3 store, in which a test makes buckets of its own."""
        if given := self._given.get("s3"):
            return Buckets(given["port"], given["access_key"], given["secret_key"])
        running: S3 = self._running("s3")
        return running

    def problem(self, name: str) -> EngineError | None:
        """Why an engine cannot be had, where `prepare` found out."""
        return self._problems.get(name)

    def handover(self) -> str:
        """All four engines, started where needed, for the environment of another test run."""
        self.launch(*NAMES)
        postgres, brokers, search, store = self.postgres(), self.kafka(), self.opensearch(), self.s3()
        return json.dumps({
            "postgres": {"port": postgres.port}, "kafka": {"brokers": brokers}, "opensearch": {"url": search},
            "s3": {"port": store.port, "access_key": store.access_key, "secret_key": store.secret_key},
        })

    def close(self) -> None:
        """Stop what was started here, by process id."""
        while self._started:
            self._started.popitem()[1].stop()


_running: list[Engines] = []


def running() -> Engines:
    """The engines of this process, ended with it."""
    if not _running:
        folder = own_folder("watercooler-engines-")
        engines = Engines(folder)
        _running.append(engines)

        def end() -> None:
            engines.close()
            give_up(folder)

        atexit.register(end)
    return _running[0]
