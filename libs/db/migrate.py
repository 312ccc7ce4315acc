"""Schema versions: forward only, and never on a schema that a newer version wrote."""
from __future__ import annotations

from collections.abc import Sequence

from .database import Database, UnusableDatabase


async def prepare(database: Database, kernel_schema: str, kernel_version: int, part: str, schema: str, migrations: Sequence[str]) -> None:
    """Bring a service's database to this version: kernel tables, missing tables of the service, migrations not yet run.

    Raises:
        UnusableDatabase: a newer version has written here.
    """
    await database.install(kernel_schema)
    async with database.transaction() as tx:
        await tx.lock("schema")
        stored = {row["part"]: row["version"] for row in await tx.fetch("SELECT part, version FROM schema_versions")}
        for name, known in (("kernel", kernel_version), (part, len(migrations))):
            if stored.get(name, 0) > known:
                raise UnusableDatabase(
                    f"the data of {part} was written by a newer version ({name} schema {stored[name]}, known up to {known}): "
                    "start that version or a newer one, or restore a backup made before the upgrade"
                )
    await database.install(schema)
    async with database.transaction() as tx:
        await tx.lock("schema")
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
