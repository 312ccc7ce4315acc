"""The commands of a cluster: serve a service, prepare databases and topics, make keys. Their code is imported when they run."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from libs.db import migrate
from libs.db.database import DatabaseBusy
from libs.eventstore.store import SCHEMA, SCHEMA_VERSION

from .cli import App, named, run_async
from .engines import Engines
from .service import Service
from .settings import need

ROLES = ("api", "worker", "relay")
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0

T = TypeVar("T")


def register(watercooler: click.Group) -> None:
    """Add the commands."""

    @watercooler.command()
    @click.argument("service")
    @click.option("--role", "roles", multiple=True, type=click.Choice(ROLES), help="Only this part; may be given again. All by default.")
    @click.pass_obj
    def serve(app: App, service: str, roles: tuple[str, ...]) -> None:
        """Run one SERVICE of a cluster in this process, until SIGTERM."""
        run_async(_serve(app, named(app, service), roles or ROLES))

    @watercooler.command()
    @click.pass_obj
    def gateway(app: App) -> None:
        """Run the web interface and the API of a cluster in this process; as `serve gateway`."""
        run_async(_serve(app, named(app, "gateway"), ROLES))

    @watercooler.command("migrate")
    @click.argument("services", nargs=-1)
    @click.option("--wait", is_flag=True, help="Wait for a server that does not answer yet.")
    @click.pass_obj
    def migrate_command(app: App, services: tuple[str, ...], wait: bool) -> None:
        """Bring the databases of a cluster to this version, or those of the SERVICES named; forward only.

        The databases must exist; tables are made and changed, nothing is removed.
        """
        chosen = [named(app, name) for name in services] or list(app.services)
        run_async(_migrate(app, chosen, wait))

    @watercooler.command()
    @click.option("--create", is_flag=True, help="Make missing topics, and add partitions and retention as the settings have them.")
    @click.option("--wait", is_flag=True, help="With --create, wait for brokers that do not answer yet.")
    @click.pass_obj
    def topics(app: App, create: bool, wait: bool) -> None:
        """Show the topics of a cluster, and how far behind each subscription is."""
        run_async(_topics(app, create, wait))

    @watercooler.group()
    def keys() -> None:
        """The keys that sign calls between services."""

    @keys.command()
    @click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
    @click.option("--staged", is_flag=True, help="Not signing yet: for others to know first, where the folder reaches them late.")
    @click.pass_obj
    def new(app: App, folder: Path, staged: bool) -> None:
        """Make a key in FOLDER; the last by name signs, and all of them count."""
        from libs.rpc.auth import make_key

        try:
            path = make_key(folder, staged=staged)
        except OSError as error:
            raise click.ClickException(f"no key can be made in {folder}: {error.strerror or error}") from error
        text = f"{path}: a new key"
        if staged:
            text += f"; when every process has it, rename it to {path.name.removeprefix('0-')}, and it signs"
        app.say(text, file=str(path), signs=not staged)


async def _serve(app: App, service: Service, roles: Sequence[str]) -> None:
    from .cluster import Process

    process = Process(service, app.settings, roles, app.services)

    def ready(ports: Mapping[str, int]) -> None:
        places = ", ".join(f"{name} at port {port}" for name, port in ports.items())
        app.say(f"{service.name} is up ({', '.join(process.roles)}): {places}", service=service.name, roles=process.roles, ports=ports)

    await process.serve(ready)


async def _migrate(app: App, services: Sequence[Service], wait: bool) -> None:
    need(app.settings, "database_url", why="`migrate`")
    engines = Engines(app.settings)
    try:
        for service in services:
            done = await _patiently(app, service.name, partial(_migrate_one, engines, service), DatabaseBusy if wait else ())
            app.say(f"{service.name}: {done}", service=service.name, did=done, version=len(service.migrations), kernel=SCHEMA_VERSION)
    finally:
        await engines.close()


async def _migrate_one(engines: Engines, service: Service) -> str:
    database = await engines.postgres(service.name)
    kernel = (SCHEMA, SCHEMA_VERSION, service.name, service.schema, service.migrations)
    if not await migrate.missing(database, *kernel):
        return "is up to date"
    fresh = not await database.fetch(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'schema_versions'"
    )
    await migrate.prepare(database, *kernel)
    return "tables made" if fresh else "brought to this version"


async def _topics(app: App, create: bool, wait: bool) -> None:
    from libs.subscriptions import topics

    need(app.settings, "kafka_brokers", why="`topics`")
    engines = Engines(app.settings)
    config = engines.kafka()
    names = [service.name for service in app.services if service.streams]
    try:
        if create:
            passing = topics.TopicProblem if wait else ()
            for sentence in await _patiently(app, "topics", partial(asyncio.to_thread, topics.ensure, config, names), passing):
                app.say(sentence, did=sentence)
        for topic in await asyncio.to_thread(topics.describe, config, names):
            kept = f"{topic.retention_seconds / 86_400:g} days" if topic.retention_seconds >= 0 else "for ever"
            app.say(
                f"{topic.name}: {topic.partitions} partitions, {topic.replication} copies ({topic.in_sync} in sync), kept {kept}, "
                f"{topic.records:,} records",
                topic=topic.name, partitions=topic.partitions, replication=topic.replication, in_sync=topic.in_sync,
                retention_seconds=topic.retention_seconds, records=topic.records,
            )
        if create:  # nothing but Kafka is needed for that
            return
        for lag in await asyncio.to_thread(topics.lag, config, [service.name for service in app.services]):
            app.say(f"{lag.group}: {lag.records:,} records of {lag.topic} not taken", group=lag.group, topic=lag.topic, records=lag.records)
        if app.settings.database_url:
            await _lags(app, engines)
    except topics.TopicProblem as error:
        raise click.ClickException(str(error)) from error
    finally:
        await engines.close()


async def _lags(app: App, engines: Engines) -> None:
    """By checkpoint and log; a subscription that nothing interested for a while may be up to 1,000 positions further than it says."""
    heads: dict[str, int] = {}
    rows = []
    for service in app.services:
        database = await engines.postgres(service.name)
        row = await database.fetch_one("SELECT COALESCE(MAX(position), 0) AS head FROM events")
        assert row is not None
        heads[service.name] = row["head"]
        rows += list(await database.fetch("SELECT subscription, source, position FROM checkpoints ORDER BY subscription, source"))
    for row in rows:
        head = heads.get(row["source"], 0)
        behind = max(0, head - row["position"])
        app.say(
            f"{row['subscription']}: at {row['position']:,} of {head:,} in {row['source']}",
            subscription=row["subscription"], source=row["source"], position=row["position"], head=head, behind=behind,
        )


async def _patiently(
    app: App, name: str, attempt: Callable[[], Awaitable[T]], passing: type[Exception] | tuple[type[Exception], ...]
) -> T:
    """Try until it works, where the fault is one that passes; what is waited for is said when it begins and changes."""
    pause, told = FIRST_PAUSE_SECONDS, ""
    while True:
        try:
            return await attempt()
        except passing as error:
            if told != str(error):
                told = str(error)
                app.say(f"{name}: waits: {told}", waits=name, reason=told)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
