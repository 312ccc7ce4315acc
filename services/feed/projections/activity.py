"""How much goes on in the company: never who did what, only on which day somebody was active at all."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1.events_pb2 import (
    MemberJoined,
    PersonFollowed,
    PostEdited,
    PostPublished,
    PostReadConfirmed,
    PostReposted,
    PostSaved,
    ReactionAdded,
    TagFollowed,
)

DAY_MICROS = 86_400_000_000
# The gauges look a week back; the rest is not kept.
KEPT_DAYS = 8


class Activity:
    """The days on which people did something, of the last eight, and totals since the start. Imported history counts in totals only."""

    name = "feed.activity"
    handles: tuple[type[Message], ...] = (
        PostPublished, PostEdited, ReactionAdded, PostSaved, PostReadConfirmed, PersonFollowed, TagFollowed, MemberJoined,
        PostReposted,
    )
    tables: tuple[str, ...] = ("active_days", "totals")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Count the event and note its actor's day."""
        imported = False
        match event.data:
            case PostPublished() as published:
                imported = bool(published.external_id)
                await _count(tx, "replies" if published.root_id else "posts")
            case ReactionAdded() as added:
                imported = added.imported
                await _count(tx, "reactions")
            case MemberJoined() as joined:
                imported = joined.imported
            case _:
                pass
        actor_id = event.meta.actor_id
        if imported or not actor_id or actor_id.startswith("service:"):
            return
        day = event.record_micros // DAY_MICROS
        fresh = await tx.execute(
            "INSERT INTO active_days (day, person_id) VALUES (:day, :person_id) ON CONFLICT (day, person_id) DO NOTHING",
            day=day, person_id=actor_id,
        )
        if fresh > 0:
            await tx.batch("DELETE FROM active_days WHERE day < :oldest", oldest=day - KEPT_DAYS)


async def _count(tx: Transaction, name: str) -> None:
    await tx.batch(
        "INSERT INTO totals (name, total) VALUES (:name, 1) ON CONFLICT (name) DO UPDATE SET total = totals.total + 1", name=name
    )
