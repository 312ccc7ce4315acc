"""A small world for tests: services as they run embedded, in a folder of the test's own."""
from __future__ import annotations

import hashlib
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from libs.db import migrate
from libs.eventstore.store import SCHEMA, SCHEMA_VERSION
from libs.rpc.auth import Caller, acting
from libs.runtime.embedded import Embedded
from libs.runtime.service import Service
from libs.runtime.settings import Settings
from libs.subscriptions import rebuild

T = TypeVar("T")


def shared_data() -> Path | None:
    """The folder of real data that stands beside the repository on some machines; None where it does not.

    A test that needs it skips with a printed reason.
    """
    folder = Path(os.environ.get("WATERCOOLER_SHARED") or Path(__file__).resolve().parents[3] / "shared")
    return folder if (folder / "data").is_dir() else None


_made: dict[str, list[str]] = {}
_templates: set[str] = set()
FOLDERS_KEPT = 12


async def _databases(server: str, folder: Path, services: Sequence[Service]) -> str:
    """Databases for the services of a folder, made where they are missing; those of folders long left are dropped."""
    from libs.db.postgres import create, drop

    name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    url = urlsplit(server)._replace(path=f"/w{name}_{{service}}").geturl()
    made = _made.setdefault(url, [])
    for service in services:
        if service.name not in made:
            await create(server, f"w{name}_{service.name}", await _template(server, service))
            made.append(service.name)
    while len(_made) > FOLDERS_KEPT:
        oldest = next(iter(_made))
        for left in _made.pop(oldest):
            await drop(server, urlsplit(oldest.replace("{service}", left)).path.lstrip("/"))
    return url


async def _template(server: str, service: Service) -> str:
    """A database that has the service's tables, to be copied: that takes less time than making them."""
    from libs.db.postgres import PostgresDatabase, create

    kernel = (SCHEMA, SCHEMA_VERSION, service.name, service.schema, service.migrations)
    name = f"w{os.getpid()}_{hashlib.sha256(repr(kernel).encode()).hexdigest()[:12]}"
    if name not in _templates:
        await create(server, name)
        database = await PostgresDatabase.open(urlsplit(server)._replace(path=f"/{name}").geturl())
        await migrate.prepare(database, *kernel)
        await database.close()
        _templates.add(name)
    return name


def tables(service: Service) -> list[str]:
    """The names of every table in a service's database, the kernel's too."""
    return re.findall(r"^CREATE TABLE IF NOT EXISTS (\w+)", SCHEMA + service.schema, re.MULTILINE)


class World:
    """Running services, and ways to act in them."""

    def __init__(self, embedded: Embedded) -> None:
        """Around a started process."""
        self.embedded = embedded

    @classmethod
    @asynccontextmanager
    async def of(cls, folder: Path, *services: Service, **settings: Any) -> AsyncIterator[World]:
        """Start services in a folder; stopping and starting again in the same folder keeps what was written.

        With WATERCOOLER_TEST_DATABASE_URL, the address of a server's maintenance database, they run on databases of their own there.
        """
        if server := os.environ.get("WATERCOOLER_TEST_DATABASE_URL"):
            settings.setdefault("database_url", await _databases(server, folder, services))
        embedded = Embedded(services, replace(Settings(data=folder / "var", log_level="warning", link_previews=False), **settings))
        await embedded.start()
        try:
            yield cls(embedded)
        finally:
            await embedded.stop()

    def stub(self, stub: Any, service: str) -> Any:
        """A generated stub that reaches the service."""
        if service not in self.embedded.stores:
            raise KeyError(f"{service} does not run in this world")
        return stub(self.embedded.channel)

    @property
    def on_server(self) -> bool:
        """Whether the databases are on a server, and not files in the folder."""
        return self.embedded.engines.on_server

    def store(self, service: str) -> Any:
        """A service's event store."""
        return self.embedded.stores[service]

    @contextmanager
    def acting_as(
        self, person_id: str, roles: Sequence[str] = ("employee",), scopes: Sequence[str] = ("read", "write", "admin")
    ) -> Iterator[None]:
        """Calls made inside come from this person."""
        with acting(self.embedded.tokens.sign(Caller(person_id, frozenset(roles), frozenset(scopes)))):
            yield

    @contextmanager
    def acting_for(self, service: str) -> Iterator[None]:
        """Calls made inside come from a service acting for itself."""
        with acting(self.embedded.service_token(service)):
            yield

    async def settle(self) -> None:
        """Wait until every read model and effect is current."""
        await self.embedded.settle()

    async def assert_rebuilds(self) -> None:
        """Every projection equals its rebuild from the log."""
        await self.settle()
        for service in self.embedded.services:
            database = self.embedded.stores[service.name].database
            schema = SCHEMA + service.schema
            for projection in service.projections:
                log = self.embedded.stores[service.name]
                assert await rebuild.compare(projection, log, database, schema, inline=True) == []
            for follows in service.subscribed:
                log = self.embedded.stores[follows.source]
                assert await rebuild.compare(follows.projection, log, database, schema, inline=False) == []
