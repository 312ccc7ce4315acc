"""The ranked timeline: the newest of a reader's home of seven days, in the order of `ranking`.

The first page decides the order and its token holds it, so that what is posted or reacted to meanwhile moves nothing on later pages.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from libs.db.database import Row, Transaction, in_list
from libs.rpc.auth import Caller
from watercooler.feed.v1.events_pb2 import POST_KIND_QUESTION
from watercooler.feed.v1.feed_service_pb2 import NOTIFICATION_KIND_QUESTION, Post
from watercooler.feed.v1.reading_events_pb2 import FILTER_CONTEXT_HOME

from ..access import JOINS, VISIBLE, reader_keys
from ..ranking import Ranked, Signals, order, rank
from .engagement import DAY_MICROS, first_id
from .posts import fetch_posts
from .reading import fetch_shade

CANDIDATES: Final = 150
# So many follow the first page at most, so that a token stays as short as others: who wants more reads by time.
PINNED: Final = 120
DAYS: Final = 7
REACTORS: Final = 50
MY_RESPONSES: Final = 100
MY_REPLIES: Final = 50
_HOUR_MICROS: Final = 3_600_000_000
_CLOCKS_APART_MICROS: Final = 5_000_000
# The random end of an id tells a few hundred posts apart, and a token stays short.
_SHORT_BYTES: Final = 6
_PIN_BYTES: Final = 8

_SIGNALS = f"""
    SELECT p.post_id, p.thread_id, p.author_id, p.scope, p.scope_id, p.reply_count, p.card,
           f1.person_id AS following, f2.person_id AS followed_by,
           r.emoji, r.save_position, r.confirmed, t.thread_id AS muted, q.position AS routed,
           rc.confirmed AS confirmed_version, an.right_since, an.withdrawn,
           (SELECT COUNT(DISTINCT x.person_id)
            FROM (SELECT y.person_id FROM reactions y WHERE y.post_id = p.post_id ORDER BY y.position DESC LIMIT {REACTORS}) x
            JOIN follows f3 ON f3.follower_id = :reader_id AND f3.person_id = x.person_id) AS reacted
    FROM posts p
    {JOINS}
    LEFT JOIN follows f1 ON f1.follower_id = :reader_id AND f1.person_id = p.author_id
    LEFT JOIN follows f2 ON f2.follower_id = p.author_id AND f2.person_id = :reader_id
    LEFT JOIN responses r ON r.person_id = :reader_id AND r.post_id = p.post_id
    LEFT JOIN muted_threads t ON t.person_id = :reader_id AND t.thread_id = p.thread_id
    LEFT JOIN notifications q ON q.post_id = p.post_id AND q.recipient_id = :reader_id AND q.kind = {int(NOTIFICATION_KIND_QUESTION)}
    LEFT JOIN receipts rc ON rc.announcement_id = p.post_id AND rc.person_id = :reader_id AND rc.counted = 1
    LEFT JOIN announcements an ON an.announcement_id = rc.announcement_id
    WHERE p.hidden = 0 AND {VISIBLE} AND p.post_id IN (%s)
"""

# The home timeline of `timelines.home` within a few days: its entries, what broad sources have, and where its entries do not reach back
# so far, what all sources have.
_CANDIDATES = """
    SELECT DISTINCT post_id
    FROM (
        SELECT post_id FROM home_entries WHERE reader_id = :reader_id AND post_id >= :since AND post_id < :before
        UNION ALL
        SELECT e.post_id
        FROM subscriptions s
        JOIN source_entries e ON e.source = s.source AND e.post_id >= :since AND e.post_id < :before
        WHERE s.reader_id = :reader_id
          AND (s.broad = 1 OR EXISTS (SELECT 1 FROM home_floors f WHERE f.reader_id = :reader_id AND f.floor > :since))
        UNION ALL
        SELECT post_id FROM source_entries WHERE source IN (:own, :named) AND post_id >= :since AND post_id < :before
    ) AS near
    ORDER BY post_id DESC
    LIMIT :limit
"""

_MINE = f"""
    SELECT p.author_id, p.scope, p.scope_id, 1 AS points
    FROM (SELECT post_id FROM responses WHERE person_id = :reader_id AND emoji <> '' ORDER BY post_id DESC LIMIT {MY_RESPONSES}) mine
    JOIN posts p ON p.post_id = mine.post_id
    UNION ALL
    SELECT p.author_id, p.scope, p.scope_id, 2 AS points
    FROM (
        SELECT parent_id FROM posts WHERE author_id = :reader_id AND parent_id <> '' ORDER BY post_id DESC LIMIT {MY_REPLIES}
    ) written
    JOIN posts p ON p.post_id = written.parent_id
"""


class BadPin(ValueError):
    """These bytes are no order that a page ended with."""


def short_of(post_id: str) -> bytes:
    """The end of an id, by which a pinned order names it."""
    return bytes.fromhex(post_id.replace("-", ""))[-_SHORT_BYTES:]


def pin(now_micros: int, post_ids: Sequence[str]) -> bytes:
    """An order as a token holds it: when it was made, and the posts that are still to come."""
    return now_micros.to_bytes(_PIN_BYTES, "big") + b"".join(short_of(post_id) for post_id in post_ids)


def unpin(pinned: bytes) -> tuple[int, list[bytes]]:
    """The moment and the posts of a pinned order. Raises BadPin."""
    rest = pinned[_PIN_BYTES:]
    if len(pinned) < _PIN_BYTES or len(rest) % _SHORT_BYTES or len(rest) // _SHORT_BYTES > PINNED:
        raise BadPin
    moment = int.from_bytes(pinned[:_PIN_BYTES], "big")
    if moment > 1 << 60:
        raise BadPin
    return moment, [rest[at:at + _SHORT_BYTES] for at in range(0, len(rest), _SHORT_BYTES)]


async def read_ranked(
    tx: Transaction, caller: Caller, pinned: bytes, size: int, now_micros: int, *, pictures: bool = False
) -> tuple[list[Post], bytes]:
    """A page of the ranked timeline with the reasons of each post, and the order of what follows, empty at the end.

    A page holds fewer posts than asked where some cannot be seen any more. Raises BadPin.
    """
    if pinned:
        now_micros, shorts = unpin(pinned)
        known = {short_of(post_id): post_id for post_id in await _candidates(tx, caller, now_micros)}
        ids = [known[short] for short in shorts if short in known]
        best = {each.post_id: each for each in await _ranked(tx, caller, ids[:size], now_micros)}
    else:
        ranked = order(await _ranked(tx, caller, await _candidates(tx, caller, now_micros), now_micros))
        ids = [each.post_id for each in ranked]
        best = {each.post_id: each for each in ranked}
    page, rest = ids[:size], ids[size:size + PINNED]
    posts = await fetch_posts(tx, caller, page, hidden=False, pictures=pictures)
    shade = await fetch_shade(tx, caller, now_micros, FILTER_CONTEXT_HOME, without_lists=True)
    found = []
    for post_id in page:
        if (post := posts.get(post_id)) is not None and not (shade is not None and shade.hides(post)):
            post.reasons.extend(best[post_id].reasons if post_id in best else ())
            found.append(post)
    return found, pin(now_micros, rest) if rest else b""


async def best_since(tx: Transaction, caller: Caller, since_micros: int, now_micros: int, limit: int) -> list[tuple[Post, tuple[str, ...]]]:
    """The best of home since a moment, without the reader's own and what they responded to, with the reasons."""
    ids = [post_id for post_id in await _candidates(tx, caller, now_micros) if post_id >= first_id(since_micros)]
    rows = await _ranked(tx, caller, ids, now_micros, fresh_only=True)
    best = order(rows)[:4 * limit]
    posts = await fetch_posts(tx, caller, [each.post_id for each in best], hidden=False)
    shade = await fetch_shade(tx, caller, now_micros, FILTER_CONTEXT_HOME, without_lists=True)
    return [
        (posts[each.post_id], each.reasons) for each in best
        if each.post_id in posts and not (shade is not None and shade.hides(posts[each.post_id]))
    ][:limit]


async def _candidates(tx: Transaction, caller: Caller, now_micros: int) -> list[str]:
    # The clocks of processes differ a little; what is newer than the first page is on no later one, whatever its id says.
    rows = await tx.fetch(
        _CANDIDATES, reader_id=caller.person_id, before=first_id(now_micros + _CLOCKS_APART_MICROS),
        since=first_id(now_micros - DAYS * DAY_MICROS), own=f"person:{caller.person_id}", named=f"named:{caller.person_id}",
        limit=CANDIDATES,
    )
    return [row["post_id"] for row in rows]


async def _ranked(tx: Transaction, caller: Caller, post_ids: Sequence[str], now_micros: int, *, fresh_only: bool = False) -> list[Ranked]:
    if not post_ids:
        return []
    placeholders, params = in_list("i", post_ids)
    rows = await tx.fetch(_SIGNALS % placeholders, **params, **reader_keys(caller))
    mine = await tx.fetch(_MINE, reader_id=caller.person_id)
    marker = await tx.fetch_one(
        "SELECT last_read_id FROM reading_markers WHERE person_id = :person_id AND timeline = 'home'", person_id=caller.person_id
    )
    seen_to = marker["last_read_id"] if marker else ""
    authors: dict[str, int] = {}
    communities: dict[str, int] = {}
    for row in mine:
        authors[row["author_id"]] = authors.get(row["author_id"], 0) + row["points"]
        if row["scope"] == "community":
            communities[row["scope_id"]] = communities.get(row["scope_id"], 0) + row["points"]
    found = [_signals(row, caller.person_id, authors, communities, seen_to, now_micros) for row in rows]
    if fresh_only:
        found = [each for each in found if not (each.own or each.responded or each.muted)]
    return [rank(each) for each in found]


def _signals(
    row: Row, reader_id: str, authors: dict[str, int], communities: dict[str, int], seen_to: str, now_micros: int
) -> Signals:
    post_id: str = row["post_id"]
    made_micros = int(post_id.replace("-", "")[:12], 16) * 1_000
    card = Post.FromString(row["card"])
    open_question = card.kind == POST_KIND_QUESTION and not card.best_answer_id
    return Signals(
        post_id=post_id, author_id=row["author_id"], age_hours=max(0.0, (now_micros - made_micros) / _HOUR_MICROS),
        own=row["author_id"] == reader_id, following=row["following"] is not None, followed_by=row["followed_by"] is not None,
        author_points=authors.get(row["author_id"], 0),
        community_points=communities.get(row["scope_id"], 0) if row["scope"] == "community" else 0,
        reacted_by_followed=row["reacted"] or 0, reply_count=row["reply_count"],
        addressed=row["scope"] == "people" or any(mention.person_id == reader_id for mention in card.mentions),
        open_question=open_question, question_routed=open_question and row["routed"] is not None,
        unconfirmed=_unconfirmed(row), responded=bool(row["emoji"]) or bool(row["save_position"]) or row["confirmed"] == 1,
        seen=bool(seen_to) and post_id <= seen_to, muted=row["muted"] is not None,
    )


def _unconfirmed(row: Any) -> bool:
    return row["right_since"] is not None and not row["withdrawn"] and (row["confirmed_version"] or 0) < row["right_since"]
