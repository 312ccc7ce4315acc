"""The consumers that keep their checkpoint in a service's database."""
from __future__ import annotations

import time
from collections.abc import Sequence

from google.protobuf.message import Message

from libs.db.database import Database, Reader, Transaction
from libs.eventstore.model import Projection, Recorded
from libs.eventstore.personal import Keyring, marks

from .model import Parked, Reactor


async def read_checkpoint(reader: Reader, subscription: str, source: str) -> int | None:
    """How far a subscription is in a source."""
    row = await reader.fetch_one(
        "SELECT position FROM checkpoints WHERE subscription = :subscription AND source = :source",
        subscription=subscription, source=source,
    )
    return row["position"] if row else None


async def write_checkpoint(tx: Transaction, subscription: str, source: str, position: int) -> None:
    """Remember how far a subscription is."""
    await tx.batch(
        """
        INSERT INTO checkpoints (subscription, source, position) VALUES (:subscription, :source, :position)
        ON CONFLICT (subscription, source) DO UPDATE SET position = excluded.position
        """,
        subscription=subscription, source=source, position=position,
    )


async def fence(tx: Transaction, subscription: str) -> None:
    """Hold a subscription until the transaction ends, so that two workers cannot both take what follows one checkpoint.

    To be called before the checkpoint is read: whoever waited here then sees what the other wrote.
    """
    await tx.lock(f"subscription:{subscription}")


class Parking:
    """Parked streams in the table of libs/eventstore/schema.sql, for consumers that keep their checkpoint wherever they like."""

    def __init__(self, name: str, database: Database) -> None:
        """For the subscription of this name."""
        self.name = name
        self.database = database

    async def set_aside(self, tx: Transaction, source: str, event: Recorded, reason: str) -> None:
        """Park the event's stream, or note that another try failed."""
        await tx.execute(
            """
            INSERT INTO parked (subscription, source, stream, position, reason, park_time)
            VALUES (:subscription, :source, :stream, :position, :reason, :now)
            ON CONFLICT (subscription, source, stream) DO UPDATE SET reason = excluded.reason, retry = 0
            """,
            subscription=self.name, source=source, stream=event.stream, position=event.position,
            reason=reason[:2_000], now=time.time_ns() // 1_000,
        )

    async def parked(self, source: str) -> dict[str, Parked]:
        """The streams set aside, by stream."""
        rows = await self.database.fetch(
            "SELECT stream, position, retry FROM parked WHERE subscription = :subscription AND source = :source",
            subscription=self.name, source=source,
        )
        return {row["stream"]: Parked(row["position"], bool(row["retry"])) for row in rows}

    async def forget(self, tx: Transaction, source: str, stream: str) -> None:
        """A stream is parked no longer."""
        await tx.execute(
            "DELETE FROM parked WHERE subscription = :subscription AND source = :source AND stream = :stream",
            subscription=self.name, source=source, stream=stream,
        )


class _InDatabase(Parking):
    """Checkpoint and parked streams in the tables of libs/eventstore/schema.sql."""

    linger_seconds = 0.0
    every_process = False

    async def checkpoint(self, source: str) -> int | None:
        return await read_checkpoint(self.database, self.name, source)

    async def park(self, source: str, event: Recorded, reason: str) -> None:
        async with self.database.transaction() as tx:
            await fence(tx, self.name)
            await self.set_aside(tx, source, event, reason)
            if event.position > (await read_checkpoint(tx, self.name, source) or 0):
                await write_checkpoint(tx, self.name, source, event.position)


class ProjectionConsumer(_InDatabase):
    """Feeds a projection: the checkpoint commits with the rows, so each event takes effect exactly once."""

    def __init__(self, projection: Projection, database: Database) -> None:
        """A consumer for one asynchronous projection."""
        super().__init__(projection.name, database)
        self.projection = projection
        self.handles: tuple[type[Message], ...] | None = projection.handles

    async def start(self, source: str, head: int) -> int:
        """From the beginning."""
        return 0

    async def take(self, source: str, events: Sequence[Recorded], position: int) -> None:
        """Apply the events past the checkpoint; not durable by itself, since what a power cut takes is applied again."""
        async with self.database.transaction(durable=False) as tx:
            await fence(tx, self.name)
            done = await read_checkpoint(tx, self.name, source) or 0
            for event in events:
                if event.position > done:
                    await self.projection.apply(event, tx)
            if position > done:
                await write_checkpoint(tx, self.name, source, position)

    async def unpark(self, source: str, stream: str, events: Sequence[Recorded]) -> None:
        """Apply what the stream missed."""
        async with self.database.transaction() as tx:
            await fence(tx, self.name)
            for event in events:
                await self.projection.apply(event, tx)
            await self.forget(tx, source, stream)


class ReactorConsumer(_InDatabase):
    """Feeds a reactor from "now" on: at least once, so the reactor is idempotent by event id."""

    # The first event after a pause is reacted to at once; those that follow are gathered, for each batch costs a transaction.
    linger_seconds = 0.05

    def __init__(self, reactor: Reactor, database: Database) -> None:
        """A consumer for one reactor."""
        super().__init__(reactor.name, database)
        self.reactor = reactor
        self.handles: tuple[type[Message], ...] | None = reactor.handles

    async def start(self, source: str, head: int) -> int:
        """From now: what was before is history, not news."""
        return head

    async def take(self, source: str, events: Sequence[Recorded], position: int) -> None:
        """React to each event, then remember; not durable by itself, since a reaction that is done again changes nothing."""
        for event in events:
            await self.reactor.react(event)
        async with self.database.transaction(durable=False) as tx:
            await fence(tx, self.name)
            done = await read_checkpoint(tx, self.name, source)
            if done is None or position > done:
                await write_checkpoint(tx, self.name, source, position)

    async def unpark(self, source: str, stream: str, events: Sequence[Recorded]) -> None:
        """React to what the stream missed."""
        for event in events:
            await self.reactor.react(event)
        async with self.database.transaction() as tx:
            await fence(tx, self.name)
            await self.forget(tx, source, stream)


class Erasure:
    """Deletes the keys of erased people when a neighbour says so; the service's own projections scrub its read models."""

    handles: tuple[type[Message], ...]
    tables: tuple[str, ...] = ()

    def __init__(self, service: str, source: str, keyring: Keyring, erasing: Sequence[type[Message]]) -> None:
        """For the event types of a source that carry the option `erases`."""
        self.name = f"{service}.erasure.{source}"
        self.keyring = keyring
        self.handles = tuple(erasing)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Delete the key of the event's subject."""
        await self.keyring.destroy(_subject(event), tx)


class ErasureConsumer(ProjectionConsumer):
    """Feeds an erasure, and drops the keys from this process's memory also where another process has deleted the rows."""

    def __init__(self, erasure: Erasure, database: Database) -> None:
        """A consumer for the erasure of one service."""
        super().__init__(erasure, database)
        self.keyring = erasure.keyring

    async def take(self, source: str, events: Sequence[Recorded], position: int) -> None:
        """Delete the keys, then forget them: not before the commit, for a read meanwhile would remember them again."""
        await super().take(source, events, position)
        for event in events:
            self.keyring.forget(_subject(event))

    async def unpark(self, source: str, stream: str, events: Sequence[Recorded]) -> None:
        """Delete the keys that were missed, then forget them."""
        await super().unpark(source, stream, events)
        for event in events:
            self.keyring.forget(_subject(event))


def _subject(event: Recorded) -> str:
    person_id: str = getattr(event.data, marks(type(event.data)).subject)
    return person_id
