"""Every service in one process: by default on SQLite, without a server to install."""
from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

from libs.blobs.store import BlobStore
from libs.db import migrate
from libs.db.database import Database, UnusableDatabase
from libs.eventstore.model import Log
from libs.eventstore.personal import marks
from libs.eventstore.store import SCHEMA, SCHEMA_VERSION, EventStore
from libs.rpc.auth import Caller, Tokens
from libs.rpc.inprocess import Channel, Registry
from libs.subscriptions.consumers import Erasure, ErasureConsumer, ProjectionConsumer, ReactorConsumer
from libs.subscriptions.model import Consumer
from libs.subscriptions.subscription import Subscription
from libs.telemetry import logs
from libs.text.ids import new_id

from .engines import Engines
from .http_server import HttpServer
from .leadership import LEASE_SECONDS, RENEW_SECONDS
from .rebuilds import answer_requests
from .service import Assembly, Context, Service
from .settings import Settings

FORMAT = 1
MARK = "watercooler.json"
LOCK = "serving.lock"
LOCK_CHARACTERS_MAX = 4_096
STOP_SECONDS = 20.0
WORKER = "worker"

_log = logs.get_logger(__name__)


class AlreadyRunning(Exception):
    """Another process serves this data folder."""


class Embedded:
    """The network in one process.

    With `follow="all"` everything runs, as `watercooler run` needs it, and no second process may do the same on one folder.
    With `follow="projections"` only what is safe beside a running network does: calls and read models. Short commands that write
    use it. With `follow="nothing"` logs and tables can be looked at, and stay as they are.
    """

    def __init__(self, services: Sequence[Service], settings: Settings, follow: str = "all") -> None:
        """Prepare; nothing is opened before `start`."""
        self.services = tuple(services)
        self.settings = settings
        self.follow = follow
        self.stores: dict[str, EventStore] = {}
        self.assemblies: dict[str, Assembly] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.engines = Engines(settings)
        self._databases: dict[str, Database] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._lock: IO[str] | None = None
        self._holder = f"{socket.gethostname()}-{new_id()}"
        self._leased: list[str] = []
        self.tokens: Tokens
        self.channel: Channel

    async def start(self) -> None:
        """Open the data folder and start every service.

        Raises:
            UnusableDatabase: the folder is unreadable, damaged or from a newer version.
            AlreadyRunning: another process serves it.
        """
        data = self.settings.data
        self._claim(data)
        try:
            self.tokens = Tokens(self.engines.keys(make=True))
            registry = Registry(self.tokens)
            self.channel = Channel(registry)
            blobs = self.engines.blobs()
            for service in self.services:
                database = self._databases[service.name] = await self.engines.database(service.name)
                await self._prepare(service, database)
                self.stores[service.name] = EventStore(service.name, database, service.projections)
            for service in self.services:
                context = self._context(service, blobs)
                assembly = service.assemble(context)
                self.assemblies[service.name] = assembly
                for add, servicer in assembly.servicers:
                    add(servicer, registry)
                self._subscribe(service, assembly)
            for subscription in self.subscriptions.values():
                await subscription.prepare()
            for subscription in self.subscriptions.values():
                store = self.stores[subscription.log.name]
                self._go(f"subscription {subscription.consumer.name}", partial(subscription.run, store.waker()))
            if self.follow == "all":
                for service in self.services:
                    for number, task in enumerate(self.assemblies[service.name].tasks):
                        self._go(f"{service.name} task {number}", task)
                    if rebuilders := self.assemblies[service.name].rebuilders:
                        database = self._databases[service.name]
                        self._go(f"{service.name} rebuilds", partial(answer_requests, database, service.name, rebuilders))
        except BaseException:
            await self.stop()
            raise

    async def _prepare(self, service: Service, database: Database) -> None:
        """Bring the schema up to date where this process may: a command beside a cluster changes nothing there."""
        kernel = (SCHEMA, SCHEMA_VERSION, service.name, service.schema, service.migrations)
        if not self.engines.on_server:
            await migrate.prepare(database, *kernel)
            return
        if self.follow == "all":
            await migrate.prepare(database, *kernel)
            await self._lead(service.name)
        elif await migrate.missing(database, *kernel):
            raise UnusableDatabase(f"the database of {service.name} is empty or of an older version: run `watercooler migrate` first")

    async def _lead(self, name: str) -> None:
        """Be the one worker of a service whose database others reach too, and stay it."""
        database = await self.engines.postgres(name)
        if not await database.lease(WORKER, self._holder, LEASE_SECONDS):
            raise AlreadyRunning(
                f"another process works on the database of {name}: stop it first; if it was killed, wait {LEASE_SECONDS:.0f} s"
            )
        self._leased.append(name)

        async def renew() -> None:
            while True:
                await asyncio.sleep(RENEW_SECONDS)
                try:
                    if not await database.lease(WORKER, self._holder, LEASE_SECONDS):
                        _log.error("another process works on this database too", service=name)
                except Exception as error:
                    _log.warning("lease not renewed", service=name, reason=repr(error))

        self._go(f"{name} lease", renew)

    async def stop(self) -> None:
        """Finish what is under way and release everything, within 20 seconds."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        self._tasks.clear()
        for name, assembly in self.assemblies.items():
            if assembly.close is not None:
                try:
                    await assembly.close()
                except Exception:
                    _log.exception("service did not close cleanly", service=name)
        for store in self.stores.values():
            await store.close()
        for name in self._leased:
            try:
                await (await self.engines.postgres(name)).release(WORKER, self._holder)
            except Exception as error:  # it runs out by itself
                _log.warning("lease not given back", service=name, reason=repr(error))
        self._leased.clear()
        await self.engines.close()
        self._databases.clear()
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    async def caught_up(self) -> Mapping[str, int]:
        """How many events each subscription is behind; all zero when every read model is current."""
        heads = {name: await store.head() for name, store in self.stores.items()}
        return {s.consumer.name: max(0, heads[s.log.name] - max(s.position, 0)) for s in self.subscriptions.values()}

    async def settle(self, timeout_seconds: float = 30.0) -> None:
        """Wait until every subscription has taken all there is, effects of effects included.

        Raises:
            TimeoutError: they do not come to rest.
        """
        async with asyncio.timeout(timeout_seconds):
            while waiting := [name for name, count in (await self.caught_up()).items() if count]:
                for name in waiting:
                    subscription = self.subscriptions[name]
                    await subscription.reached(await self.stores[subscription.log.name].head())

    async def serve(self, ready: Callable[[int], None] | None = None) -> None:
        """Serve HTTP for the service that has an application, until the process is asked to stop."""
        app = next(a.app for a in self.assemblies.values() if a.app is not None)
        server = HttpServer(app, self.settings.host, self.settings.port)
        loop = asyncio.get_running_loop()

        def end() -> None:
            for assembly in self.assemblies.values():
                if assembly.drain is not None:
                    self._go("drain", assembly.drain)
            server.end()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end)
        await server.start()
        self.settings = replace(self.settings, port=server.port)
        self._tell(address=self.settings.address)
        if ready is not None:
            ready(self.settings.port)
        await server.wait()

    def service_token(self, name: str) -> str:
        """A token of a named internal actor, such as the command line."""
        return self.tokens.sign(Caller(service=name))

    def _context(self, service: Service, blobs: BlobStore) -> Context:
        folder = self.engines.folder(service.name)
        folder.mkdir(parents=True, exist_ok=True)

        def log(name: str) -> Log:
            if name not in (service.name, *service.follows):
                raise KeyError(f"{service.name} does not follow {name}: its manifest must say so")
            return self.stores[name]

        def channel(name: str) -> Any:
            if name not in service.calls:
                raise KeyError(f"{service.name} does not call {name}: its manifest must say so")
            return self.channel

        return Context(
            name=service.name, settings=self.settings, database=self._databases[service.name], events=self.stores[service.name],
            channel=channel, log=log, blobs=blobs, tokens=self.tokens, folder=folder,
            index=self.engines.index(service.name), caught_up=self.caught_up, services=self.services,
        )

    def _subscribe(self, service: Service, assembly: Assembly) -> None:
        database = self._databases[service.name]
        store = self.stores[service.name]
        if self.follow == "nothing":
            return
        consumers: list[tuple[str, Consumer]] = [(s.source, ProjectionConsumer(s.projection, database)) for s in service.subscribed]
        for source in service.follows:
            erasing = erasing_types(source)
            if erasing and source in self.stores:
                consumers.append((source, ErasureConsumer(Erasure(service.name, source, store.keyring, erasing), database)))
        if self.follow == "all":
            consumers += [(source, ReactorConsumer(reactor, database)) for source, reactor in assembly.reactors]
            consumers += assembly.consumers
        for source, consumer in consumers:
            if source not in self.stores:
                continue  # a short command runs without that neighbour
            if consumer.name in self.subscriptions:
                raise ValueError(f"{service.name}: two subscriptions are named {consumer.name}")
            self.subscriptions[consumer.name] = Subscription(self.stores[source], consumer)

    def _claim(self, data: Path) -> None:
        try:
            data.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.engines.on_server:  # what the folder holds then is no network
                self._lock_folder(data)
                return
            mark = data / MARK
            if not mark.exists():
                if any(data.glob("*.db")):
                    raise UnusableDatabase(f"{data} holds databases but no watercooler.json: it is no data folder of ours, or damaged")
                fresh = mark.with_name(f".{MARK}.{os.getpid()}")
                fresh.write_text(json.dumps({"format": FORMAT}) + "\n")
                fresh.replace(mark)
            try:
                found = int(json.loads(mark.read_text())["format"])
            except (ValueError, KeyError, TypeError) as error:
                raise UnusableDatabase(f"{mark} cannot be read: restore it from a backup") from error
        except OSError as error:
            raise UnusableDatabase(f"the data folder {data} cannot be used: {error.strerror or error}") from error
        if found > FORMAT:
            raise UnusableDatabase(f"{data} was written by a newer version (format {found}, this one knows {FORMAT}): start that version")
        self._lock_folder(data)

    def _lock_folder(self, data: Path) -> None:
        if self.follow == "all":
            self._lock = open(data / LOCK, "a")  # noqa: SIM115 - held as long as the process serves
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._lock.close()
                self._lock = None
                raise AlreadyRunning(f"{data} is served by another process: stop it first, or choose another folder by --data") from None
            self._tell()

    def _tell(self, **facts: str) -> None:
        """Write into the lock who holds it, for people and other commands."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):  # the lock holds without it, on a full disk too
            self._lock.truncate(0)
            self._lock.write(json.dumps({"pid": os.getpid(), **facts}) + "\n")
            self._lock.flush()

    def _go(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        async def guarded() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                try:
                    await work()
                except Exception:
                    _log.exception("background work ended", work=name)

        self._tasks.append(asyncio.create_task(guarded(), name=name))


def running_address(data: Path) -> str:
    """Where the network that another process serves from this folder is reached; empty where none is running and ready."""
    try:
        with (data / LOCK).open(encoding="utf-8", errors="replace") as lock:
            try:
                told = json.loads(lock.read(LOCK_CHARACTERS_MAX))
            except (ValueError, RecursionError):
                return ""
            address = told.get("address") if isinstance(told, dict) else None
            if not isinstance(address, str):
                return ""
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return address
            return ""  # a process that was killed left it
    except OSError:
        return ""


def spare_collector() -> None:
    """Let Python's garbage collector pass over what was imported, and look less often: called once, when a process has its code.

    Nearly everything here is freed by its reference count. Walking all modules again and again took a fifth of a rebuild's time
    (benchmarks/eventstore.py).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def erasing_types(service: str) -> tuple[type[Message], ...]:
    """The events of a service that erase a person, by the message option `erases`."""
    try:
        import_module(f"watercooler.{service}.v1.events_pb2")
    except ModuleNotFoundError:
        return ()
    file = descriptor_pool.Default().FindFileByName(f"watercooler/{service}/v1/events.proto")
    kinds = [message_factory.GetMessageClass(descriptor) for descriptor in file.message_types_by_name.values()]
    return tuple(kind for kind in kinds if marks(kind).erases)
