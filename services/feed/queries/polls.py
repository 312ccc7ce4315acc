"""Polls as a caller sees them, and the secrets of anonymous ones."""
from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from uuid import UUID

from libs.db.database import Row, Transaction, in_list
from libs.text.ids import pair_id
from watercooler.feed.v1.feed_service_pb2 import Post

SECRET_BYTES = 32


def ballot_of(post_id: str, person_id: str, secret: str) -> str:
    """The id of a person's vote in a poll. In an anonymous one it takes the poll's secret to tell: a UUIDv8 of HMAC-SHA-256."""
    if not secret:
        return pair_id(post_id, person_id)
    digest = bytearray(hmac.digest(bytes.fromhex(secret), f"{post_id}\0{person_id}".encode(), hashlib.sha256)[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))


async def fill(tx: Transaction, reader_id: str, posts: Sequence[Post]) -> None:
    """Tell the reader whether they voted, and how; in an anonymous poll only whether, and while it is open."""
    hidden = [post.post_id for post in posts if post.poll.poll.anonymous]
    found = await _secrets(tx, hidden) if hidden else {}
    ballots = {}
    for post in posts:
        if not post.poll.poll.anonymous:
            ballots[post.post_id] = ballot_of(post.post_id, reader_id, "")
        elif secret := found.get(post.post_id):
            ballots[post.post_id] = ballot_of(post.post_id, reader_id, secret)
    if not ballots:
        return
    placeholders, params = in_list("b", list(ballots.values()))
    rows = await tx.fetch(f"SELECT ballot_id, choices FROM ballots WHERE ballot_id IN ({placeholders})", **params)
    choices = {row["ballot_id"]: row["choices"] for row in rows}
    for post in posts:
        chosen = choices.get(ballots.get(post.post_id, ""))
        if chosen is not None:
            post.poll.voted = True
            if not post.poll.poll.anonymous:
                post.poll.my_choices.extend(map(int, chosen.split()))


async def _secrets(tx: Transaction, post_ids: Sequence[str]) -> dict[str, str]:
    placeholders, params = in_list("i", post_ids)
    rows = await tx.fetch(f"SELECT post_id, secret FROM poll_secrets WHERE post_id IN ({placeholders})", **params)
    return {row["post_id"]: row["secret"] for row in rows}


async def secret_of(tx: Transaction, post_id: str) -> str:
    """The secret of an anonymous poll, made when it is first needed."""
    await tx.execute(
        "INSERT INTO poll_secrets (post_id, secret) VALUES (:post_id, :secret) ON CONFLICT (post_id) DO NOTHING",
        post_id=post_id, secret=secrets.token_hex(SECRET_BYTES),
    )
    return (await _secrets(tx, [post_id]))[post_id]


async def stale_secrets(tx: Transaction) -> bool:
    """Whether there are secrets of polls that are not open any more."""
    row = await tx.fetch_one("SELECT 1 AS one FROM poll_secrets WHERE post_id NOT IN (SELECT post_id FROM open_polls) LIMIT 1")
    return row is not None


async def forget_secrets(tx: Transaction) -> None:
    """Delete the secrets of polls that are not open any more: from now on nobody can tell whose vote is whose."""
    await tx.execute("DELETE FROM poll_secrets WHERE post_id NOT IN (SELECT post_id FROM open_polls)")


async def due(tx: Transaction, now_micros: int, limit: int) -> list[str]:
    """Posts whose poll's closing time has come."""
    rows = await tx.fetch(
        "SELECT post_id FROM open_polls WHERE close_time <= :now ORDER BY close_time, post_id LIMIT :limit", now=now_micros, limit=limit
    )
    return [row["post_id"] for row in rows]


async def next_close(tx: Transaction) -> int | None:
    """When the next poll closes; None while none is open."""
    row: Row | None = await tx.fetch_one("SELECT MIN(close_time) AS next FROM open_polls")
    return row["next"] if row is not None else None
