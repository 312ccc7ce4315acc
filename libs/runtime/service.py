"""What a service declares of itself: start reading a service at its manifest."""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from libs.blobs.store import BlobStore
from libs.db.database import Database
from libs.eventstore.model import Log, Projection
from libs.eventstore.store import EventStore
from libs.rpc.auth import Tokens
from libs.runtime.settings import Settings
from libs.searchindex.index import IndexHome
from libs.subscriptions.model import Consumer, Reactor


def schema_of(package: str) -> str:
    """The SQL of a service's tables: its `schema.sql`, or every file of its folder `schema`, by name."""
    root = resources.files(package)
    folder = root.joinpath("schema")
    if not folder.is_dir():
        return root.joinpath("schema.sql").read_text("utf-8")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return "\n".join(file.read_text("utf-8") for file in files)


@dataclass(frozen=True, slots=True)
class Follows:
    """A read model or effect fed asynchronously from one source: a neighbour's log, or the service's own."""

    source: str
    projection: Projection


@dataclass(frozen=True, slots=True)
class Context:
    """What a running service is given: its store, its neighbours, its surroundings. Nothing here says which engine it is."""

    name: str
    settings: Settings
    database: Database
    events: EventStore
    channel: Callable[[str], Any]
    """The channel to another service, for its generated stub: `IdentityServiceStub(context.channel("identity"))`."""
    log: Callable[[str], Log]
    """The log of a service this one follows."""
    blobs: BlobStore
    tokens: Tokens
    folder: Path
    """A folder of the service's own for what is neither log nor table; rebuildable, and in a cluster gone with the process."""
    index: IndexHome
    """Where the service's search index is kept, if it has one; opened when first needed."""
    caught_up: Callable[[], Awaitable[Mapping[str, int]]]
    """How many events each subscription of this process is behind; empty or all zero when ready."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    services: Sequence[Service] = ()
    """The manifests of the whole network, for what documents it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """The running parts of a service, made from its context."""

    servicers: Sequence[tuple[Callable[[Any, Any], None], Any]] = ()
    """Pairs of a generated `add_..._to_server` function and its servicer."""
    reactors: Sequence[tuple[str, Reactor]] = ()
    """Pairs of a source and a reactor."""
    consumers: Sequence[tuple[str, Consumer]] = ()
    """Pairs of a source and a consumer that keeps its own checkpoint, such as a search index."""
    tasks: Sequence[Callable[[], Awaitable[None]]] = ()
    """Work that goes on until it is cancelled: in each process that serves the application, where there is one, else in the one process
    that works for the service."""
    rebuilders: Mapping[str, Callable[[Callable[[int, int], None]], Awaitable[None]]] = field(default_factory=dict)
    """What is rebuildable but no table, such as a search index: by name, a function that does it and tells how far it is."""
    app: Any = None
    """An ASGI application, where the service has one (the gateway)."""
    drain: Callable[[], Awaitable[None]] | None = None
    """Called when the process begins to stop: ends requests that would otherwise last, such as streams of events."""
    close: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, kw_only=True)
class Service:
    """The manifest of a service.

    `streams` maps a stream category to its decider; `projections` are inline; `subscribed` are asynchronous; `follows` names the
    services whose events it takes, `calls` those whose RPCs it uses; `schema` is the SQL of its tables, which may name tables
    that no projection owns (they are not rebuilt); `assemble` makes its running parts.
    """

    name: str
    summary: str
    schema: str
    assemble: Callable[[Context], Assembly]
    streams: Mapping[str, Any] = field(default_factory=dict)
    projections: Sequence[Projection] = ()
    subscribed: Sequence[Follows] = ()
    follows: Sequence[str] = ()
    calls: Sequence[str] = ()
    needs: Sequence[str] = ()
    """Settings without which a process of this service cannot run in a cluster, beside those that every one needs."""
    migrations: Sequence[str] = ()
    """SQL steps, oldest first, each run once and never changed; new ones are added at the end."""

    def __post_init__(self) -> None:
        names = [p.name for p in self.projections] + [s.projection.name for s in self.subscribed]
        tables = [t for p in self.projections for t in p.tables] + [t for s in self.subscribed for t in s.projection.tables]
        for what in (names, tables):
            twice = sorted({name for name in what if what.count(name) > 1})
            if twice:
                raise ValueError(f"{self.name}: named twice: {', '.join(twice)}")
        unknown = sorted({s.source for s in self.subscribed} - {self.name, *self.follows})
        if unknown:
            raise ValueError(f"{self.name}: subscribes to {', '.join(unknown)} without following it")

    def projection(self, name: str) -> tuple[Projection, str, bool]:
        """A projection by name, with its source and whether it is inline.

        Raises:
            KeyError: there is none of that name.
        """
        for projection in self.projections:
            if name in (projection.name, projection.name.removeprefix(f"{self.name}.")):
                return projection, self.name, True
        for subscribed in self.subscribed:
            if name in (subscribed.projection.name, subscribed.projection.name.removeprefix(f"{self.name}.")):
                return subscribed.projection, subscribed.source, False
        raise KeyError(name)
