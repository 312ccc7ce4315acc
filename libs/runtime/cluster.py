"""One service in a process of its own, on the engines of a cluster: calls, work and relay, together or apart."""
from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from libs.blobs.store import BlobStoreRefused
from libs.db import migrate
from libs.db.database import DatabaseBusy
from libs.eventstore.model import Log, Recorded, Rejected
from libs.eventstore.personal import marks
from libs.eventstore.store import SCHEMA, SCHEMA_VERSION, EventStore
from libs.rpc.auth import Caller, Tokens
from libs.searchindex.index import IndexRefused
from libs.subscriptions.consumers import Erasure, ErasureConsumer, ProjectionConsumer, ReactorConsumer, read_checkpoint
from libs.subscriptions.model import Consumer, Parked
from libs.subscriptions.remote import EventLogApi, RemoteLog
from libs.subscriptions.subscription import Subscription
from libs.telemetry import logs, metrics
from libs.text.ids import new_id
from watercooler.events.v1.event_log_pb2_grpc import add_EventLogServicer_to_server

from .embedded import WORKER, erasing_types
from .engines import Engines
from .http_server import CLOSE_SECONDS, HttpServer
from .leadership import Leadership
from .rebuilds import answer_requests
from .service import Assembly, Context, Service
from .settings import Settings, SettingsError, need, service_address
from .status import StatusServer

if TYPE_CHECKING:
    from libs.db.postgres import PostgresDatabase
    from libs.rpc.client import NetworkChannel
    from libs.rpc.server import NetworkServer
    from libs.subscriptions.kafka import KafkaLog

ROLES = ("api", "worker", "relay")
RELAY = "relay"
STARTING = "start"

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
REACH_SECONDS = 3.0
HEAD_SECONDS = 1.0
WATCH_SECONDS = 10.0
# Of the 20 s that stopping may take: what is asked of us is answered, what is begun is finished, the rest is cut.
DRAIN_SECONDS = 10.0
FINISH_SECONDS = 7.0

T = TypeVar("T")

_log = logs.get_logger(__name__)


class Process:
    """One service with some of its roles, from start to stop.

    It waits for its engines at the start, and later outlives their absence: what needs them fails or waits meanwhile. A process that
    is ready stays so, whoever of its neighbours and engines is away, since taking it out of service would help nobody.
    """

    def __init__(self, service: Service, settings: Settings, roles: Sequence[str] = ROLES, services: Sequence[Service] = ()) -> None:
        """Prepare; `services` are the manifests of the whole network, for what documents it.

        Raises:
            SettingsError: one that is needed is not set.
            Rejected: the service has nothing to do in these roles.
        """
        unknown = sorted(set(roles) - set(ROLES))
        if unknown or not roles:
            raise ValueError(f"there is no role {', '.join(unknown) or 'given'}: choose from {', '.join(ROLES)}")
        if not service.streams:  # no events of its own
            if tuple(roles) == (RELAY,):
                raise Rejected(f"{service.name} has no events of its own to relay: serve it with the roles api and worker")
            roles = [role for role in roles if role != RELAY]
        why = f"`serve {service.name}`"
        need(settings, "database_url", "kafka_brokers", why=why)
        if set(roles) - {RELAY}:
            need(settings, "keys", *service.needs, why=why)
            for name in {*service.calls, *service.follows}:
                service_address(settings, name)
        self.service = service
        self.services = services
        self.settings = settings
        self.roles = tuple(role for role in ROLES if role in roles)
        self.holder = f"{socket.gethostname()}-{os.getpid()}-{new_id()}"
        self.engines = Engines(settings)
        self.crew = Crew()
        self.waits: dict[str, str] = {STARTING: "the process has not begun with all its roles yet"}
        self.leaderships: list[Leadership] = []
        self.database: PostgresDatabase
        self.store: EventStore
        self.tokens: Tokens
        self.assembly = Assembly()
        self._channels: dict[str, NetworkChannel] = {}
        self._followings: list[Following] = []
        self._server: NetworkServer | None = None
        self._http: HttpServer | None = None
        self._status = StatusServer(settings.grpc_host, settings.status_port, alive=lambda: self.crew.dead, ready=lambda: self.waits)

    async def serve(self, ready: Callable[[Mapping[str, int]], None] | None = None) -> None:
        """Run until SIGTERM or SIGINT, then stop within 20 s; a second signal ends the process at once.

        `ready` is told the ports when everything is up.

        Raises:
            UnusableDatabase: it cannot be used by this version, or with this address.
            KeysUnusable, TlsUnusable, SettingsError: what is wrong, by the setting's name.
            OSError: a port is taken.
        """
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if asked.is_set():
                _log.warning("ends at once, as asked twice")
                os._exit(1)
            asked.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        try:
            await self._status.start()
            starting = asyncio.create_task(self.start())
            asking = asyncio.create_task(asked.wait())
            await asyncio.wait([starting, asking], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                _log.info("ready", service=self.service.name, roles=list(self.roles), **self.ports)
                if ready is not None:
                    ready(self.ports)
                await asking
            else:
                starting.cancel()
                await asyncio.wait([starting])
            asking.cancel()
            _log.info("stops", service=self.service.name)
        finally:
            await self.stop()

    @property
    def ports(self) -> dict[str, int]:
        """Where the process listens: `status`, and as its roles have them `grpc` and `http`."""
        found = {"status": self._status.port}
        if self._server is not None:
            found["grpc"] = self._grpc_port
        if self._http is not None:
            found["http"] = self._http.port
        return found

    async def start(self) -> None:
        """Wait for the engines, then begin with every role."""
        service, settings = self.service, self.settings
        self.crew.go("engines", self._watch_engines)
        if set(self.roles) - {RELAY}:
            self.tokens = Tokens(self.engines.keys(make=False))
        self.database = await self._until("PostgreSQL", lambda: self.engines.postgres(service.name))
        await self._until("schema", self._schema)
        self.store = EventStore(service.name, self.database, service.projections)
        if set(self.roles) - {"api"}:
            await self._until("Kafka", partial(_reach, settings.kafka_brokers.split(","), "Kafka"))
        if set(self.roles) - {RELAY}:
            await self.check_engines()
            self.assembly = service.assemble(self._context())
        if "worker" in self.roles:
            self._lead(WORKER, Worker(self))
        if RELAY in self.roles:
            self._lead(RELAY, Relaying(self))
        if "api" in self.roles:
            await self._serve_calls()
        del self.waits[STARTING]

    async def stop(self) -> None:
        """Say that we are not ready, answer what was asked, finish what was begun, and release everything, within 20 seconds."""
        self.waits["stop"] = "the process is stopping"
        for leadership in self.leaderships:
            leadership.stop()
        leaving = [task for name, task in self.crew.tasks.items() if name.startswith("lease ")]
        if self._server is not None:
            await self._server.serving(False)
            if self._http is not None:
                self._http.draining = True
            pause = self.settings.stop_pause.total_seconds()
            drain = max(2.0, DRAIN_SECONDS - pause)
            await asyncio.sleep(pause)
            if self.assembly.drain is not None:
                await self.assembly.drain()
            stopping: list[Awaitable[None]] = [self._server.stop(drain)]
            if self._http is not None:
                stopping.append(self._http.stop(drain))
            await asyncio.gather(*stopping)
        if leaving:
            await asyncio.wait(leaving, timeout=FINISH_SECONDS)
        for following in self._followings:
            await following.end(gently=False)
        await self.crew.close(CLOSE_SECONDS)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                if self.assembly.close is not None:
                    await self.assembly.close()
                for channel in self._channels.values():
                    await channel.close()
                if hasattr(self, "store"):
                    await self.store.close()
                await self.engines.close()
        except Exception:
            _log.exception("not everything closed cleanly", service=self.service.name)
        await self._status.stop()

    # --- what the parts are given --------------------------------------------------------------------------------

    def channel(self, name: str) -> NetworkChannel:
        """The channel to another service."""
        from libs.rpc.client import NetworkChannel

        if name not in self._channels:
            self._channels[name] = NetworkChannel(service_address(self.settings, name), self.engines.tls(), name=name)
        return self._channels[name]

    def history(self, name: str) -> Log:
        """The whole log of a service: our own, or another's as it answers for itself."""
        if name == self.service.name:
            return self.store
        return RemoteLog(name, self.channel(name), lambda: self.tokens.sign(Caller(service=self.service.name)))

    async def caught_up(self) -> Mapping[str, int]:
        """How many events each subscription that runs in this process is behind; those whose source does not answer are left out."""
        behind: dict[str, int] = {}
        heads: dict[str, int] = {}
        for following in self._followings:
            for subscription in following.subscriptions:
                source = subscription.log.name
                if source not in heads:
                    try:
                        async with asyncio.timeout(HEAD_SECONDS):
                            heads[source] = await subscription.log.head()
                    except Exception as error:
                        _log.debug("a log cannot be asked how long it is", source=source, reason=repr(error))
                        heads[source] = -1
                if heads[source] >= 0:
                    behind[subscription.consumer.name] = max(0, heads[source] - max(subscription.position, 0))
        return behind

    def _context(self) -> Context:
        service = self.service

        def log(name: str) -> Log:
            if name not in (service.name, *service.follows):
                raise KeyError(f"{service.name} does not follow {name}: its manifest must say so")
            return self.history(name)

        def channel(name: str) -> Any:
            if name not in service.calls:
                raise KeyError(f"{service.name} does not call {name}: its manifest must say so")
            return self.channel(name)

        folder = self.engines.folder(service.name)
        folder.mkdir(parents=True, exist_ok=True)
        return Context(
            name=service.name, settings=self.settings, database=self.database, events=self.store, channel=channel, log=log,
            blobs=self.engines.blobs(), tokens=self.tokens, folder=folder, index=self.engines.index(service.name),
            caught_up=self.caught_up, services=self.services,
        )

    # --- roles -----------------------------------------------------------------------------------------------------

    def _lead(self, name: str, work: Worker | Relaying) -> None:
        leadership = Leadership(self.database, name, self.holder, work)
        metrics.LEADING.labels(service=self.service.name, work=name).set_function(lambda: float(leadership.leading))
        self.leaderships.append(leadership)
        self.crew.go(f"lease {name}", leadership.run)

    async def _serve_calls(self) -> None:
        from libs.rpc.server import NetworkServer

        service, settings = self.service, self.settings
        server = NetworkServer(self.tokens, settings.grpc_host, settings.grpc_port, self.engines.tls())
        for add, servicer in self.assembly.servicers:
            add(servicer, server)
        add_event_log: Callable[[Any, Any], None] = add_EventLogServicer_to_server
        add_event_log(EventLogApi(self.store), server)
        in_memory: list[tuple[str, Consumer]] = [
            (source, consumer) for source, consumer in self.assembly.consumers if consumer.every_process
        ]
        for source in (service.name, *service.follows):
            if erasing := erasing_types(source):
                in_memory.append((source, Forgetting(service.name, source, self.store, erasing)))
        following = self.following(None, in_memory)
        await following.begin()
        if self.assembly.app is not None:
            for number, task in enumerate(self.assembly.tasks):
                self.crew.go(f"task {number}", task)
            self._http = HttpServer(self.assembly.app, settings.host, settings.port)
            await self._http.start()
        self._server = server
        self._grpc_port = await server.start()

    def following(self, group: str | None, consumers: Sequence[tuple[str, Consumer]]) -> Following:
        """Subscriptions on our own log and on the topics of those we follow; without a group from now on."""
        found = Following(self, group, consumers)
        self._followings.append(found)
        return found

    async def _watch_engines(self) -> None:
        """Tell which engines answer this process, from its first moment on; and by the health of its calls when its own work has died."""
        settings, needs = self.settings, self.service.needs

        async def database() -> None:
            if not hasattr(self, "database"):
                raise ConnectionError(self.waits.get("PostgreSQL", "not connected yet"))
            async with asyncio.timeout(REACH_SECONDS):
                await self.database.fetch_one("SELECT 1 AS one")

        asked: dict[str, Callable[[], Awaitable[None]]] = {
            "postgresql": database, "kafka": partial(_reach, settings.kafka_brokers.split(","), "Kafka"),
        }
        if settings.search_url and "search_url" in needs:
            asked["opensearch"] = partial(_reach, [_host_port(settings.search_url)], "OpenSearch")
        if settings.blob_endpoint and "blob_url" in needs:
            asked["s3"] = partial(_reach, [_host_port(settings.blob_endpoint)], "S3")
        told: dict[str, str] = {}
        while True:
            if self.crew.dead and self._server is not None:  # /livez says so too; who looks by gRPC only restarts the process as well
                await self._server.serving(False)
            for engine, ask in asked.items():
                reason = ""
                try:
                    await ask()
                except Exception as error:
                    reason = str(error) or type(error).__name__
                metrics.ENGINE_UP.labels(engine=engine).set(not reason)
                if bool(reason) != bool(told.get(engine)):
                    _log.info("an engine answers" if not reason else "an engine does not answer", engine=engine, reason=reason)
                told[engine] = reason
            await asyncio.sleep(WATCH_SECONDS)

    async def check_engines(self) -> None:
        """Wait for the search engine and the store of files, and find out whether they take us.

        Raises:
            SettingsError: they do not, with the names of the settings that say who we are or where they are.
        """
        settings, needs = self.settings, self.service.needs

        async def files() -> None:
            if settings.blob_endpoint:  # this is known at once, and without retries
                await _reach([_host_port(settings.blob_endpoint)], "S3")
            await self.engines.blobs().check()

        try:
            if settings.search_url and "search_url" in needs:
                await self._until("OpenSearch", self.engines.index(self.service.name).check)
            if settings.blob_url and "blob_url" in needs:
                await self._until("S3", files)
        except (IndexRefused, BlobStoreRefused) as error:
            raise SettingsError([str(error)]) from error

    # --- waiting ---------------------------------------------------------------------------------------------------

    async def _schema(self) -> None:
        service = self.service
        if await migrate.missing(self.database, SCHEMA, SCHEMA_VERSION, service.name, service.schema, service.migrations):
            raise _NotYet(f"the database of {service.name} is empty or of an older version: `watercooler migrate` must run")

    async def _until(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it works, however long that takes; what is waited for is said when it begins, changes and ends."""
        pause, told = FIRST_PAUSE_SECONDS, ""
        while True:
            try:
                found = await attempt()
            except (DatabaseBusy, OSError, TimeoutError, _NotYet) as error:
                reason = str(error) or type(error).__name__
                self.waits[what] = reason
                if told != reason:
                    told = reason
                    _log.warning("waits", service=self.service.name, waits_for=what, reason=reason)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            self.waits.pop(what, None)
            if told:
                _log.warning("goes on", service=self.service.name, waited_for=what)
            return found


class _NotYet(Exception):
    """Somebody else has to do something first."""


class Crew:
    """The background work of a process, by name; work that ended by itself is dead."""

    def __init__(self) -> None:
        """Nobody works yet."""
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.dead: dict[str, str] = {}

    def go(self, name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Begin."""

        async def guarded() -> None:
            try:
                await work()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                _log.exception("background work ended", work=name)
                self.dead[name] = repr(error)

        task = asyncio.create_task(guarded(), name=name)
        self.tasks[name] = task
        return task

    async def end(self, names: Sequence[str], seconds: float) -> None:
        """Cancel some, and wait for them so long at most."""
        ending = [self.tasks.pop(name) for name in names if name in self.tasks]
        for task in ending:
            task.cancel()
        if ending:
            _, late = await asyncio.wait(ending, timeout=seconds)
            for task in late:
                _log.warning("background work does not end", work=task.get_name())

    async def close(self, seconds: float) -> None:
        """Cancel all."""
        await self.end(list(self.tasks), seconds)


class Following:
    """Subscriptions of a process, on its own log and on the topics of those it follows."""

    def __init__(self, process: Process, group: str | None, consumers: Sequence[tuple[str, Consumer]]) -> None:
        """With a Kafka group for the one that works for all, without one for what each process does for itself."""
        self.subscriptions: list[Subscription] = []
        self._process = process
        self._group = group
        self._consumers = consumers
        self._logs: dict[str, KafkaLog] = {}
        self._wakers: list[asyncio.Event] = []
        self._names: list[str] = []

    async def begin(self) -> None:
        """Start following; a source that is away is waited for in the background."""
        process = self._process
        for source, consumer in self._consumers:
            if source == process.service.name:
                subscription = Subscription(process.store, consumer)
                waker = process.store.waker()
                self._wakers.append(waker)
            else:
                topic = await self._topic(source)
                subscription = Subscription(topic, consumer)
                topic.attach(subscription)
                waker = topic.waker()
            self.subscriptions.append(subscription)
            name = f"subscription {consumer.name}"
            self._names.append(name)
            process.crew.go(name, partial(subscription.run, waker))

    async def _topic(self, source: str) -> KafkaLog:
        from libs.subscriptions.kafka import KafkaLog

        if source not in self._logs:
            log = KafkaLog(self._process.engines.kafka(), source, self._group, self._process.history(source))
            await log.start()
            self._logs[source] = log
        return self._logs[source]

    async def end(self, *, gently: bool) -> None:
        """Stop following; `gently` lets each finish its batch."""
        process = self._process
        if gently:
            for subscription in self.subscriptions:
                subscription.finish()
            running = [process.crew.tasks[name] for name in self._names if name in process.crew.tasks]
            if running:
                await asyncio.wait(running, timeout=FINISH_SECONDS)
        await process.crew.end(self._names, CLOSE_SECONDS)
        for waker in self._wakers:
            process.store.dismiss(waker)
        for log in self._logs.values():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await log.stop()
        for subscription in self.subscriptions:  # whoever works on says how far behind it is
            metrics.SUBSCRIPTION_LAG.labels(subscription=subscription.consumer.name).set(0)
        self.subscriptions.clear()
        self._wakers.clear()
        self._logs.clear()
        self._names.clear()


class Worker:
    """What one process of a service does for all: read models, erasure, effects, tasks and rebuilds."""

    def __init__(self, process: Process) -> None:
        """For a process whose parts are assembled."""
        self._process = process
        service, assembly, database = process.service, process.assembly, process.database
        consumers: list[tuple[str, Consumer]] = [(s.source, ProjectionConsumer(s.projection, database)) for s in service.subscribed]
        for source in service.follows:
            if erasing := erasing_types(source):
                consumers.append((source, ErasureConsumer(Erasure(service.name, source, process.store.keyring, erasing), database)))
        consumers += [(source, ReactorConsumer(reactor, database)) for source, reactor in assembly.reactors]
        consumers += [(source, consumer) for source, consumer in assembly.consumers if not consumer.every_process]
        self._following = process.following(process.engines.kafka().group(service.name), consumers)
        self._names: list[str] = []

    async def begin(self) -> None:
        """Start everything."""
        process = self._process
        await self._following.begin()
        # A service with an application has its tasks beside each application (`Process._serve_calls`).
        tasks: dict[str, Callable[[], Awaitable[None]]] = {}
        if process.assembly.app is None:
            tasks = {f"task {number}": task for number, task in enumerate(process.assembly.tasks)}
        if process.assembly.rebuilders:
            tasks["rebuilds"] = partial(answer_requests, process.database, process.service.name, process.assembly.rebuilders)
        for name, task in tasks.items():
            self._names.append(name)
            process.crew.go(name, task)

    async def end(self, *, gently: bool) -> None:
        """Stop everything."""
        await self._process.crew.end(self._names, CLOSE_SECONDS)
        self._names.clear()
        await self._following.end(gently=gently)


class Relaying:
    """What one process of a service publishes for all."""

    def __init__(self, process: Process) -> None:
        """For the log of this process's service."""
        self._process = process

    async def begin(self) -> None:
        """Start publishing; Kafka is waited for in the background."""
        from libs.subscriptions.kafka import Publisher
        from libs.subscriptions.relay import Relay

        self._publisher = Publisher(self._process.engines.kafka())
        relay = Relay(self._process.store, self._publisher)
        self._process.crew.go("relay", relay.run)

    async def end(self, *, gently: bool) -> None:
        """Stop; the relay waits for what is under way, and saves how far it is."""
        await self._process.crew.end(["relay"], FINISH_SECONDS if gently else CLOSE_SECONDS)
        await self._publisher.stop()


class Forgetting:
    """Drops the keys of erased people from this process's memory once they are deleted, by whichever process does that."""

    linger_seconds = 0.0
    every_process = True

    def __init__(self, service: str, source: str, store: EventStore, erasing: Sequence[type[Any]]) -> None:
        """Follow the events of `source` that erase, for the keys of `store`."""
        self.name = f"{service}.forgetting.{source}"
        self.handles: tuple[type[Any], ...] | None = tuple(erasing)
        self._erasure = f"{service}.erasure.{source}"
        self._store = store
        self._position: int | None = None

    async def checkpoint(self, source: str) -> int | None:
        """The position taken in this process."""
        return self._position

    async def start(self, source: str, head: int) -> int:
        """From now: this process holds nothing yet."""
        return head

    async def take(self, source: str, events: Sequence[Recorded], position: int) -> None:
        """Forget, when nobody can read the deleted key again: our own log deletes it with the event, others' events a moment later."""
        for event in events:
            self._forget(event)
        if events and source != self._store.name:
            while (await read_checkpoint(self._store.database, self._erasure, source) or 0) < events[-1].position:  # noqa: ASYNC110
                await asyncio.sleep(FIRST_PAUSE_SECONDS)
            for event in events:
                self._forget(event)
        self._position = position

    def _forget(self, event: Recorded) -> None:
        self._store.keyring.forget(getattr(event.data, marks(type(event.data)).subject))

    async def park(self, source: str, event: Recorded, reason: str) -> None:
        """Nothing is ever set aside."""

    async def parked(self, source: str) -> dict[str, Parked]:
        """Nothing is ever set aside."""
        return {}

    async def unpark(self, source: str, stream: str, events: Sequence[Recorded]) -> None:
        """Nothing is ever set aside."""


async def _reach(addresses: Sequence[str], what: str) -> None:
    """Whether one of these addresses takes connections.

    Raises:
        OSError: none does.
    """
    reasons = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            async with asyncio.timeout(REACH_SECONDS):
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except (OSError, TimeoutError) as error:
            reasons.append(f"{address}: {getattr(error, 'strerror', None) or str(error) or 'no answer'}")
        else:
            writer.close()
            return
    raise ConnectionError(f"{what} cannot be reached ({'; '.join(reasons)})")


def _host_port(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


