"""The `watercooler` command: what operators do with a network on one machine."""
from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from libs.db.database import Database, DatabaseError, UnusableDatabase
from libs.eventstore.codec import UnknownEventType
from libs.eventstore.model import Rejected
from libs.eventstore.store import SCHEMA
from libs.rpc.auth import KeysUnusable
from libs.rpc.errors import RpcError
from libs.rpc.tls import TlsUnusable
from libs.subscriptions import rebuild as rebuilding
from libs.subscriptions.cloudevents import to_json
from libs.telemetry import logs

from . import backup as backups
from .embedded import MARK, AlreadyRunning, Embedded, running_address, spare_collector
from .engines import Engines
from .service import Service
from .settings import Settings, SettingsError, load
from .verify import verify as verify_network

SERVING = ("run", "serve", "gateway")

T = TypeVar("T")

Prepare = Callable[[Embedded], Awaitable[None]]
WayIn = Callable[[Embedded], Awaitable[str]]


@dataclass
class App:
    """What every command is given: the services, the settings, and how to speak."""

    services: Sequence[Service]
    settings: Settings
    as_json: bool
    console: Console

    def say(self, text: str, **facts: Any) -> None:
        """Tell a person, or with --json a program (one object a line)."""
        if self.as_json:
            click.echo(json.dumps(facts or {"message": text}, default=str, ensure_ascii=False))
        else:
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    @property
    def address(self) -> str:
        """How links begin: the setting `public_url`, else where the running network is, else where one would be by the settings."""
        return self.settings.public_url or running_address(self.settings.data) or self.settings.address

    def progress(self) -> Progress:
        """A bar on a terminal; silent under --json."""
        return Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=Console(stderr=True), disable=self.as_json,
        )

    async def network(self, *names: str, follow: str = "projections") -> Embedded:
        """A started process with the named services (all where none is named), safe beside a running network."""
        chosen = [s for s in self.services if not names or s.name in names]
        network = Embedded(chosen, self.settings, follow)
        await network.start()
        return network

    def need_network(self) -> None:
        """Refuse where the data folder holds no network, rather than make an empty one by looking.

        Raises:
            click.ClickException: there is none.
        """
        if not self.settings.database_url and not (self.settings.data / MARK).exists():
            raise click.ClickException(f"{self.settings.data} holds no network: name its data folder by --data or WATERCOOLER_DATA")


class Anywhere(click.Group):
    """A group whose own options may stand after the subcommand as well: `watercooler verify --json --data DIR`."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Bring --json and --data to the front."""
        front: list[str] = []
        rest: list[str] = []
        left = iter(args)
        for argument in left:
            if argument == "--":
                rest += [argument, *left]
            elif argument == "--json" or argument.startswith("--data="):
                front.append(argument)
            elif argument == "--data":
                front += [argument, *[value for value in [next(left, None)] if value is not None]]
            else:
                rest.append(argument)
        return super().parse_args(context, front + rest)


def run_async(work: Awaitable[T]) -> T:
    """Run a command's work; what can go wrong in an understood way ends with a sentence and exit status 1."""

    async def awaited() -> T:
        return await work

    try:
        return uvloop.run(awaited())
    except RpcError as error:
        raise click.ClickException(error.details() or str(error)) from error
    except SettingsError as error:
        raise _wrong_settings(error) from error
    except BrokenPipeError:
        raise  # whoever read our output has read enough: click ends quietly
    except (
        UnusableDatabase, AlreadyRunning, DatabaseError, KeysUnusable, TlsUnusable, UnknownEventType, Rejected, rebuilding.CannotRebuild,
        backups.BackupError, OSError,
    ) as error:
        raise click.ClickException(str(error)) from error


def _wrong_settings(error: SettingsError) -> click.ClickException:
    return click.ClickException("the settings are wrong:\n" + "\n".join(f"  {problem}" for problem in error.problems))


def _loaded(**options: Any) -> Settings:
    try:
        return load(command_line=options)
    except SettingsError as error:
        raise _wrong_settings(error) from error


def build(services: Sequence[Service], prepare_sample: Prepare | None = None, way_in: WayIn | None = None) -> click.Group:
    """The command line over these services.

    `prepare_sample` fills a fresh network with the sample organisation; `way_in` says in a sentence how to get in.
    """

    @click.group(cls=Anywhere, context_settings={"help_option_names": ["-h", "--help"]})
    @click.option("--data", type=click.Path(path_type=Path), default=None, help="The data folder (WATERCOOLER_DATA, else ./var).")
    @click.option("--json", "as_json", is_flag=True, help="Answer in JSON, one object a line.")
    @click.version_option(package_name="watercooler")
    @click.pass_context
    def watercooler(context: click.Context, data: Path | None, as_json: bool) -> None:
        """Watercooler: the internal social network that your organisation runs itself.

        --data and --json may stand before or after the command.
        """
        os.umask(0o077)  # whatever is written from here on may hold personal data, and is for its owner only
        settings = _loaded(data=data)
        spare_collector()
        logs.configure(settings.log_format, settings.log_level if context.invoked_subcommand in SERVING else "warning")
        context.obj = App(services, settings, as_json, Console())

    @watercooler.command()
    @click.option("--port", type=int, default=None, help="The port (WATERCOOLER_PORT, else 8000).")
    @click.option("--sample", is_flag=True, help="Fill an empty network with the sample organisation.")
    @click.pass_obj
    def run(app: App, port: int | None, sample: bool) -> None:
        """Start the network: every service in this process, data in one folder."""
        if port is not None:
            app.settings = _loaded(data=app.settings.data, port=port)
        run_async(_run(app, prepare_sample if sample else None, way_in))

    @watercooler.command()
    @click.argument("service")
    @click.argument("projection", required=False)
    @click.pass_obj
    def rebuild(app: App, service: str, projection: str | None) -> None:
        """Rebuild the read models of SERVICE, or one PROJECTION, from the log; the network may go on running."""
        app.need_network()
        run_async(_rebuild(app, named(app, service), projection))

    @watercooler.group()
    def events() -> None:
        """Look at the log: every event as CloudEvents JSON."""

    @events.command()
    @click.argument("service")
    @click.option("--after", type=int, default=None, help="Start past this position; the last 20 events by default.")
    @click.option("--limit", type=click.IntRange(1), default=None, help="Stop after so many.")
    @click.option("--follow", is_flag=True, help="Go on as events come.")
    @click.pass_obj
    def tail(app: App, service: str, after: int | None, limit: int | None, follow: bool) -> None:
        """Print the events of SERVICE, one a line."""
        app.need_network()
        run_async(_tail(app, named(app, service), after, limit, follow))

    @events.command()
    @click.argument("service")
    @click.argument("what")
    @click.pass_obj
    def show(app: App, service: str, what: str) -> None:
        """Print one event by id or position, or every event of a stream."""
        app.need_network()
        run_async(_show(app, named(app, service), what))

    @watercooler.command()
    @click.pass_obj
    def verify(app: App) -> None:
        """Check that logs have no gaps, streams no holes, and every read model equals its rebuild."""
        app.need_network()
        if not run_async(_verify(app)):
            sys.exit(1)

    @watercooler.command()
    @click.argument("file", type=click.Path(path_type=Path))
    @click.pass_obj
    def backup(app: App, file: Path) -> None:
        """Write the whole network to one FILE, while it runs."""
        size = run_async(backups.backup(app.services, app.settings, file, lambda name: None if app.as_json else app.say(f"  {name}")))
        app.say(f"{file}: {size / 1_048_576:,.1f} MiB", file=str(file), size_bytes=size)

    @watercooler.command()
    @click.argument("file", type=click.Path(path_type=Path, exists=True))
    @click.pass_obj
    def restore(app: App, file: Path) -> None:
        """Unpack a backup into an empty data folder."""
        try:
            backups.restore(app.settings, file)
        except backups.BackupError as error:
            raise click.ClickException(str(error)) from error
        app.say(f"restored to {app.settings.data}; check it by `watercooler verify`", data=str(app.settings.data))

    @watercooler.group()
    def parked() -> None:
        """Streams that a subscription could not take."""

    @parked.command("list")
    @click.pass_obj
    def parked_list(app: App) -> None:
        """Print what is parked and why."""
        app.need_network()
        run_async(_parked_list(app))

    @parked.command()
    @click.argument("stream")
    @click.pass_obj
    def retry(app: App, stream: str) -> None:
        """Ask the running network to try a parked STREAM again, once its cause is mended."""
        app.need_network()
        run_async(_parked_retry(app, stream))

    return watercooler


def named(app: App, name: str) -> Service:
    """The service of that name; ends the command where there is none."""
    for service in app.services:
        if service.name == name:
            return service
    raise click.ClickException(f"there is no service {name}: choose from {', '.join(s.name for s in app.services)}")


async def _run(app: App, prepare: Prepare | None, way_in: WayIn | None) -> None:
    started = time.perf_counter()
    network = Embedded(app.services, app.settings)
    await network.start()
    try:
        if prepare is not None:
            await prepare(network)
        hint = await way_in(network) if way_in is not None else ""

        def ready(port: int) -> None:
            text = f"Watercooler is at {network.settings.address} ({time.perf_counter() - started:.1f} s). {hint} Stop it by Ctrl+C."
            app.say(text, address=network.settings.address, data=str(app.settings.data), way_in=hint)

        await network.serve(ready)
    finally:
        await network.stop()


async def _rebuild(app: App, service: Service, name: str | None) -> None:
    names = [p.name for p in service.projections] + [s.projection.name for s in service.subscribed]
    network = await app.network(service.name, *service.follows, *service.calls, follow="nothing")
    try:
        known = {full.removeprefix(f"{service.name}.") for full in names} | set(names)
        parts = list(network.assemblies[service.name].rebuilders)
        if name is not None and name not in known and name not in parts:
            short = [full.removeprefix(f"{service.name}.") for full in names] + parts
            raise Rejected(f"{service.name} has no read model {name}: choose from {', '.join(short)}")
        for projection_name in names if name is None else [name] if name in known else []:
            projection, source, inline = service.projection(projection_name)
            with app.progress() as progress:
                task = progress.add_task(projection.name, total=None)

                def advance(done: int, total: int, task: Any = task, progress: Progress = progress) -> None:
                    progress.update(task, completed=done, total=total)

                count = await rebuilding.rebuild(
                    projection, network.stores[source], network.stores[service.name].database, SCHEMA + service.schema,
                    inline=inline, progress=advance,
                )
                progress.update(task, completed=count, total=count)
            app.say(f"{projection.name}: {count:,} events", projection=projection.name, events=count)
        for part in parts if name is None else [name] if name in parts else []:
            await _rebuild_part(app, service, network, part)
    finally:
        await network.stop()


async def _rebuild_part(app: App, service: Service, network: Embedded, part: str) -> None:
    """Ask for what is no table: the running network does it, or this process when none runs."""
    database = network.stores[service.name].database
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM rebuild_requests WHERE part = :part", part=part)
        await tx.execute("INSERT INTO rebuild_requests (part, request_time) VALUES (:part, :now)", part=part, now=time.time_ns() // 1_000)
    worker: Embedded | None = None
    if not app.settings.kafka_brokers:  # in a cluster the worker of the service does it
        worker = Embedded(app.services, app.settings)
        try:
            await worker.start()
        except AlreadyRunning:
            worker = None
    try:
        with app.progress() as progress:
            task = progress.add_task(f"{service.name}.{part}", total=None)
            while True:
                row = await database.fetch_one(
                    "SELECT done, total, finish_time, problem FROM rebuild_requests WHERE part = :part", part=part
                )
                assert row is not None
                progress.update(task, completed=row["done"], total=row["total"] or None)
                if row["finish_time"]:
                    break
                await asyncio.sleep(0.2)
    finally:
        if worker is not None:
            await worker.stop()
    if row["problem"]:
        raise Rejected(row["problem"])
    app.say(f"{service.name}.{part}: {row['done']:,} events", projection=f"{service.name}.{part}", events=row["done"])


async def _tail(app: App, service: Service, after: int | None, limit: int | None, follow: bool) -> None:
    network = await app.network(service.name, follow="nothing")
    try:
        store = network.stores[service.name]
        position = max(0, await store.head() - 20) if after is None else after
        left = limit if limit is not None else sys.maxsize
        while left > 0:
            batch = await store.tail(position, min(left, 500))
            for event in batch:
                click.echo(json.dumps(to_json(event, service.name), ensure_ascii=False))
            if batch:
                position = batch[-1].position
                left -= len(batch)
            elif not follow:
                return
            else:
                await asyncio.sleep(0.2)  # another process writes: its log is polled
    finally:
        await network.stop()


async def _show(app: App, service: Service, what: str) -> None:
    network = await app.network(service.name, follow="nothing")
    try:
        store = network.stores[service.name]
        if what.isdigit():
            found = await store.tail(int(what) - 1, 1)
            found = [event for event in found if event.position == int(what)]
        else:
            found = await store.read(what)
            if not found:
                row = await store.database.fetch_one("SELECT position FROM events WHERE id = :id", id=what)
                found = await store.tail(row["position"] - 1, 1) if row else []
        if not found:
            raise Rejected(f"{service.name} has no event or stream {what}")
        for event in found:
            click.echo(json.dumps(to_json(event, service.name), ensure_ascii=False, indent=None if app.as_json else 2))
    finally:
        await network.stop()


async def _verify(app: App) -> bool:
    network = await app.network(follow="nothing")
    try:
        with app.progress() as progress:
            task = progress.add_task("verifying", total=None)
            findings = await verify_network(network, lambda name: progress.update(task, description=f"verifying {name}"))
    finally:
        await network.stop()
    for finding in findings:
        app.say(f"{finding.service}: {finding.what}", service=finding.service, problem=finding.what)
    app.say("nothing is wrong" if not findings else f"{len(findings)} findings", findings=len(findings))
    return not findings


async def _databases(app: App) -> AsyncIterator[Database]:
    """The databases there are, one after the other, without starting the services."""
    for service in app.services:
        if app.settings.database_url or (app.settings.data / f"{service.name}.db").exists():
            engines = Engines(app.settings)
            try:
                yield await engines.database(service.name)
            finally:
                await engines.close()


async def _parked_list(app: App) -> None:
    count = 0
    names = ("subscription", "source", "stream", "position", "reason")
    async for database in _databases(app):
        for row in await database.fetch(f"SELECT {', '.join(names)} FROM parked ORDER BY park_time"):
            count += 1
            text = f"{row['subscription']}  {row['stream']}  at {row['position']}  {row['reason']}"
            app.say(text, **dict(zip(names, row, strict=True)))
    if not count:
        app.say("nothing is parked", parked=0)


async def _parked_retry(app: App, stream: str) -> None:
    asked = 0
    async for database in _databases(app):
        async with database.transaction() as tx:
            asked += await tx.execute("UPDATE parked SET retry = 1 WHERE stream = :stream", stream=stream)
    if not asked:
        raise Rejected(f"{stream} is not parked")
    app.say(f"{stream} will be tried again by the running network, or at its next start", stream=stream, subscriptions=asked)
