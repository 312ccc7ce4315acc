"""Deleted posts that are put aside whole: part of feed.posts."""
from __future__ import annotations

from collections.abc import Callable

from libs.db.database import Transaction
from watercooler.feed.v1.feed_service_pb2 import Post


async def put_aside(tx: Transaction, card: Post) -> None:
    """Keep the card of a post that is being deleted, but for what ends with that: its place on pages, reposts, its link's preview."""
    card.pinned = card.pinned_in_community = False
    card.repost_count = 0
    card.ClearField("preview")
    if card.HasField("poll"):
        card.poll.closed = True
    await tx.batch(
        "INSERT INTO kept_posts (post_id, card) VALUES (:post_id, :card) ON CONFLICT (post_id) DO UPDATE SET card = excluded.card",
        post_id=card.post_id, card=card.SerializeToString(),
    )


async def take_back(tx: Transaction, post_id: str) -> Post | None:
    """The card of a post that comes back; it is put aside no longer."""
    row = await tx.fetch_one("SELECT card FROM kept_posts WHERE post_id = :post_id", post_id=post_id)
    if row is None:
        return None
    await tx.batch("DELETE FROM kept_posts WHERE post_id = :post_id", post_id=post_id)
    return Post.FromString(bytes(row["card"]))


async def change_kept(tx: Transaction, post_id: str, change: Callable[[Post], None]) -> None:
    """Change the card of a post that is put aside, if it is."""
    row = await tx.fetch_one("SELECT card FROM kept_posts WHERE post_id = :post_id", post_id=post_id)
    if row is not None:
        card = Post.FromString(bytes(row["card"]))
        change(card)
        await tx.batch("UPDATE kept_posts SET card = :card WHERE post_id = :post_id", post_id=post_id, card=card.SerializeToString())


async def discard(tx: Transaction, post_id: str) -> None:
    """Keep a post aside no longer, nor its earlier versions."""
    await tx.batch("DELETE FROM kept_posts WHERE post_id = :post_id", post_id=post_id)
    await tx.batch("DELETE FROM revisions WHERE post_id = :post_id", post_id=post_id)


async def kept_of(tx: Transaction, person_id: str) -> dict[str, Post]:
    """What of a person's is put aside."""
    rows = await tx.fetch(
        "SELECT k.post_id, k.card FROM kept_posts k JOIN posts p ON p.post_id = k.post_id WHERE p.author_id = :person_id",
        person_id=person_id,
    )
    return {row["post_id"]: Post.FromString(bytes(row["card"])) for row in rows}
