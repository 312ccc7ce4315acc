"""Builds a projection again from its log, beside the live tables; and compares the two."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from libs.db.database import Database, DatabaseBusy, StorageFull, Transaction
from libs.db.schema import only
from libs.eventstore.model import Log, Projection
from libs.telemetry import metrics

from .consumers import fence, read_checkpoint, write_checkpoint

BATCH = 200

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that the live table and its rebuild do not share."""

    projection: str
    table: str
    live: str
    rebuilt: str


class CannotRebuild(Exception):
    """The projection cannot take an event of its log; the message says which and why. The live tables are as they were."""


async def fill(projection: Projection, log: Log, scratch: Database, upto: int, after: int = 0, progress: Progress | None = None) -> int:
    """Apply the events after one position up to another to a scratch database; answers the position reached.

    Raises:
        CannotRebuild: the projection fails on an event.
    """
    position = after
    while position < upto:
        events = await log.tail(position, BATCH)
        if not events:
            break
        async with scratch.transaction() as tx:
            for event in events:
                if event.position > upto:
                    break
                if isinstance(event.data, projection.handles):
                    try:
                        await projection.apply(event, tx)
                    except (StorageFull, DatabaseBusy):
                        raise
                    except Exception as error:
                        reason = f"{projection.name} cannot take event {event.position} of {log.name}, in stream {event.stream}: {error!r}"
                        raise CannotRebuild(reason) from error
        position = min(events[-1].position, upto)
        metrics.PROJECTION_REBUILD_EVENTS.inc(len(events))
        if progress is not None:
            progress(position, upto)
    return position


async def rebuild(
    projection: Projection, log: Log, database: Database, schema: str, *, inline: bool, progress: Progress | None = None
) -> int:
    """Rebuild a projection while the service goes on; answers the number of positions read.

    The history is applied to a scratch database without a lock. Then, in one transaction that holds the log's lock, the events that
    came meanwhile are applied and the tables' contents exchanged, so readers see the old rows until they see the new ones.
    """
    async with database.scratch(_needed(schema, projection)) as scratch:
        reached = await fill(projection, log, scratch, await log.head(), progress=progress)
        while (head := await log.head()) - reached > BATCH:
            reached = await fill(projection, log, scratch, head, reached, progress)
        async with database.transaction() as tx:
            if not inline:
                await fence(tx, projection.name)
            await tx.lock("events")
            reached = await fill(projection, log, scratch, await log.head(), reached, progress)
            await database.adopt(scratch, projection.tables, tx)
            if not inline:
                await write_checkpoint(tx, projection.name, log.name, reached)
                await tx.execute(
                    "DELETE FROM parked WHERE subscription = :name AND source = :source", name=projection.name, source=log.name
                )
    return reached


async def compare(
    projection: Projection, log: Log, database: Database, schema: str, *, inline: bool, limit: int = 20, progress: Progress | None = None
) -> list[Difference]:
    """The rows in which a live projection differs from its rebuild at the same position; empty when all is well.

    The live tables are read in one snapshot that also says how far they are, so nobody has to stop writing.
    """
    async with database.snapshot() as live, database.scratch(_needed(schema, projection)) as scratch:
        if inline:
            row = await live.fetch_one("SELECT COALESCE(MAX(position), 0) AS head FROM events")
            assert row is not None
            position: int = row["head"]
        else:
            position = await read_checkpoint(live, projection.name, log.name) or 0
        await fill(projection, log, scratch, position, progress=progress)
        return await _differences(projection, live, scratch, limit)


def _needed(schema: str, projection: Projection) -> str:
    """The tables a projection writes: its own; one that has none changes what others keep, so it may need any."""
    return only(schema, projection.tables) if projection.tables else schema


async def _differences(projection: Projection, live: Transaction, scratch: Database, limit: int) -> list[Difference]:
    found: list[Difference] = []
    async with scratch.snapshot() as rebuilt:
        for table in projection.tables:
            left = await _rows(live, table)
            right = await _rows(rebuilt, table)
            for row in sorted(left - right)[:limit]:
                found.append(Difference(projection.name, table, row, ""))
            for row in sorted(right - left)[:limit]:
                found.append(Difference(projection.name, table, "", row))
    return found[:limit]


async def _rows(tx: Transaction, table: str) -> set[str]:
    return {repr([(key, _plain(row[key])) for key in sorted(row.keys())]) for row in await tx.fetch(f"SELECT * FROM {table}")}


def _plain(value: object) -> object:
    return bytes(value) if isinstance(value, bytes | memoryview) else value
