"""What people did with posts."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1.events_pb2 import (
    PostReadConfirmed,
    PostSaved,
    PostUnsaved,
    ReactionAdded,
    ReactionRemoved,
    ThreadMuted,
    ThreadUnmuted,
)


class Responses:
    """A row for each person and post, and one for each reaction."""

    name = "feed.responses"
    handles: tuple[type[Message], ...] = (
        ReactionAdded, ReactionRemoved, PostSaved, PostUnsaved, PostReadConfirmed, ThreadMuted, ThreadUnmuted,
    )
    tables: tuple[str, ...] = ("responses", "reactions", "muted_threads")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the row of its person and post."""
        match event.data:
            case ReactionAdded() as added:
                await tx.batch(
                    """
                    INSERT INTO reactions (post_id, position, emoji, person_id, react_time)
                    VALUES (:post_id, :position, :emoji, :person_id, :react_time)
                    """,
                    post_id=added.post_id, position=event.position, emoji=added.emoji, person_id=added.person_id,
                    react_time=added.react_time.ToMicroseconds(),
                )
                await _set_emoji(tx, added.person_id, added.post_id)
            case ReactionRemoved() as removed:
                await tx.batch(
                    "DELETE FROM reactions WHERE post_id = :post_id AND person_id = :person_id AND emoji = :emoji",
                    post_id=removed.post_id, person_id=removed.person_id, emoji=removed.emoji,
                )
                await _set_emoji(tx, removed.person_id, removed.post_id)
            case PostSaved() as saved:
                await _ensure(tx, saved.person_id, saved.post_id)
                await tx.batch(
                    "UPDATE responses SET save_position = :position WHERE person_id = :person_id AND post_id = :post_id",
                    person_id=saved.person_id, post_id=saved.post_id, position=event.position,
                )
            case PostUnsaved() as unsaved:
                await tx.batch(
                    "UPDATE responses SET save_position = 0 WHERE person_id = :person_id AND post_id = :post_id",
                    person_id=unsaved.person_id, post_id=unsaved.post_id,
                )
            case PostReadConfirmed() as confirmed:
                await _ensure(tx, confirmed.person_id, confirmed.post_id)
                await tx.batch(
                    "UPDATE responses SET confirmed = 1 WHERE person_id = :person_id AND post_id = :post_id",
                    person_id=confirmed.person_id, post_id=confirmed.post_id,
                )
            case ThreadMuted() as muted:
                await tx.batch(
                    "INSERT INTO muted_threads (person_id, thread_id) VALUES (:person_id, :thread_id)",
                    person_id=muted.person_id, thread_id=muted.post_id,
                )
            case ThreadUnmuted() as unmuted:
                await tx.batch(
                    "DELETE FROM muted_threads WHERE person_id = :person_id AND thread_id = :thread_id",
                    person_id=unmuted.person_id, thread_id=unmuted.post_id,
                )


async def _ensure(tx: Transaction, person_id: str, post_id: str) -> None:
    await tx.batch(
        """
        INSERT INTO responses (person_id, post_id, emoji, save_position, confirmed) VALUES (:person_id, :post_id, '', 0, 0)
        ON CONFLICT (person_id, post_id) DO NOTHING
        """,
        person_id=person_id, post_id=post_id,
    )


async def _set_emoji(tx: Transaction, person_id: str, post_id: str) -> None:
    rows = await tx.fetch(
        "SELECT emoji FROM reactions WHERE post_id = :post_id AND person_id = :person_id ORDER BY position",
        post_id=post_id, person_id=person_id,
    )
    await tx.batch(
        """
        INSERT INTO responses (person_id, post_id, emoji, save_position, confirmed) VALUES (:person_id, :post_id, :emoji, 0, 0)
        ON CONFLICT (person_id, post_id) DO UPDATE SET emoji = excluded.emoji
        """,
        person_id=person_id, post_id=post_id, emoji="\n".join(row["emoji"] for row in rows),
    )
