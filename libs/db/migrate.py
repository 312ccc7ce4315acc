"""Schema versions: forward only, and never on a schema that a newer version wrote."""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .database import Database, UnusableDatabase

_TABLE = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+)", re.MULTILINE)


async def prepare(database: Database, kernel_schema: str, kernel_version: int, part: str, schema: str, migrations: Sequence[str]) -> None:
    """Bring a service's database to this version: kernel tables, missing tables of the service, migrations not yet run.

    Raises:
        UnusableDatabase: a newer version has written here, or another service.
    """
    await database.install(kernel_schema)
    async with database.transaction() as tx:
        await tx.lock("schema")
        stored = {row["part"]: row["version"] for row in await tx.fetch("SELECT part, version FROM schema_versions")}
        _check(stored, kernel_version, part, migrations)
    await database.install(schema)
    async with database.transaction() as tx:
        await tx.lock("schema")
        await tx.take_time()
        # Another process may have come first since.
        stored = {row["part"]: row["version"] for row in await tx.fetch("SELECT part, version FROM schema_versions")}
        _check(stored, kernel_version, part, migrations)
        start = stored.get(part, len(migrations) if part not in stored else 0)
        for step in migrations[start:]:
            await tx.execute(step)
        for name, version in (("kernel", kernel_version), (part, len(migrations))):
            await tx.execute(
                """
                INSERT INTO schema_versions (part, version) VALUES (:part, :version)
                ON CONFLICT (part) DO UPDATE SET version = excluded.version
                """,
                part=name, version=version,
            )


async def missing(
    database: Database, kernel_schema: str, kernel_version: int, part: str, schema: str, migrations: Sequence[str]
) -> bool:
    """Whether `prepare` has still to run on a server's database, by this version; nothing is changed.

    Raises:
        UnusableDatabase: a newer version has written here, or another service.
    """
    rows = await database.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
    tables = {row["table_name"] for row in rows}
    if "schema_versions" not in tables:
        return True
    stored = {row["part"]: row["version"] for row in await database.fetch("SELECT part, version FROM schema_versions")}
    _check(stored, kernel_version, part, migrations)
    if stored.get("kernel", 0) < kernel_version or part not in stored or stored[part] < len(migrations):
        return True
    # A table that a version adds needs no step of its own.
    return not set(_TABLE.findall(kernel_schema + schema)) <= tables


def _check(stored: Mapping[str, int], kernel_version: int, part: str, migrations: Sequence[str]) -> None:
    for name, known in (("kernel", kernel_version), (part, len(migrations))):
        if stored.get(name, 0) > known:
            raise UnusableDatabase(
                f"the data of {part} was written by a newer version ({name} schema {stored[name]}, known up to {known}): "
                "start that version or a newer one, or restore a backup made before the upgrade"
            )
    others = sorted(set(stored) - {"kernel", part})
    if others:
        raise UnusableDatabase(f"the database given for {part} holds the data of {', '.join(others)}: each service needs its own")
