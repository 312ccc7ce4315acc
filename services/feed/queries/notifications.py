"""Notifications, grouped, of what their reader may (still) see."""
from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from libs.db.database import Row, Transaction, in_list
from libs.rpc.auth import Caller
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import feed_service_pb2 as api

from ..access import LISTED, VISIBLE, reader_keys
from .posts import fetch_authors, fetch_posts
from .reading import REACHING, Shade

ACTORS = 5
_REACHING = ", ".join(str(int(kind)) for kind in REACHING)
_MODERATOR = int(events_pb2.MEMBER_ROLE_MODERATOR)

# A row about a post counts while its reader may see the post and has not muted its thread; one about a community while the community
# exists for them, and a join request while they may decide it.
_FROM = f"""
    FROM notifications n
    LEFT JOIN posts p ON p.post_id = n.post_id
    LEFT JOIN communities c ON c.community_id = CASE WHEN n.community_id <> '' THEN n.community_id
                                                     WHEN p.scope = 'community' THEN p.scope_id END
    LEFT JOIN members m ON m.community_id = c.community_id AND m.person_id = :reader_id
    WHERE n.recipient_id = :reader_id
      AND (n.post_id = '' OR (p.hidden = 0 AND {VISIBLE}))
      AND (n.post_id = '' OR n.kind IN ({_REACHING}) OR NOT EXISTS (
             SELECT 1 FROM muted_threads u WHERE u.person_id = :reader_id AND u.thread_id = p.thread_id))
      AND (n.community_id = '' OR {LISTED})
      AND (n.kind <> {int(api.NOTIFICATION_KIND_JOIN_REQUEST)} OR m.role >= {_MODERATOR})
      AND NOT EXISTS (SELECT 1 FROM silenced_kinds k WHERE k.person_id = :reader_id AND k.kind = n.kind)
"""


async def read_position(tx: Transaction, person_id: str) -> int:
    """How far a person has read."""
    row = await tx.fetch_one("SELECT read_position FROM read_positions WHERE person_id = :person_id", person_id=person_id)
    return int(row["read_position"]) if row else 0


def _unshaded(shade: Shade | None) -> tuple[str, dict[str, Any]]:
    """The condition that leaves out what people did whom the reader keeps out, and its parameters."""
    if shade is None or not shade.hidden:
        return "", {}
    hidden, params = in_list("h", sorted(shade.hidden))
    return f"AND (n.kind IN ({_REACHING}) OR n.actor_id NOT IN ({hidden}))", params


async def _hidden_posts(tx: Transaction, caller: Caller, rows: Sequence[Row], shade: Shade | None) -> set[str]:
    """Those of the posts that a filter of the reader takes out; nothing is read where there is no such filter."""
    if shade is None or not shade.hides_words:
        return set()
    posts = await fetch_posts(tx, caller, sorted({row["post_id"] for row in rows if row["kind"] not in REACHING and row["post_id"]}))
    return {post_id for post_id, post in posts.items() if shade.hides(post)}


async def count_unread(tx: Transaction, caller: Caller, shade: Shade | None = None) -> int:
    """The number of unread groups, without what their reader keeps out."""
    read = await read_position(tx, caller.person_id)
    unshaded, params = _unshaded(shade)
    if shade is not None and shade.hides_words:
        rows = await tx.fetch(
            f"SELECT n.kind, n.subject, n.post_id {_FROM} {unshaded} AND n.position > :read_position",
            read_position=read, **params, **reader_keys(caller),
        )
        hidden = await _hidden_posts(tx, caller, rows, shade)
        return len({(row["kind"], row["subject"]) for row in rows if row["post_id"] not in hidden or row["kind"] in REACHING})
    row = await tx.fetch_one(
        f"""
        SELECT COUNT(*) AS total
        FROM (SELECT DISTINCT n.kind, n.subject {_FROM} {unshaded} AND n.position > :read_position) AS unread
        """,
        read_position=read, **params, **reader_keys(caller),
    )
    return int(row["total"]) if row else 0


async def newest_position(tx: Transaction, person_id: str) -> int:
    """The position of a person's newest notification; 0 when there is none."""
    row = await tx.fetch_one(
        "SELECT COALESCE(MAX(position), 0) AS newest FROM notifications WHERE recipient_id = :person_id", person_id=person_id
    )
    return int(row["newest"]) if row else 0


async def list_notifications(
    tx: Transaction, caller: Caller, before: int, limit: int, only_unread: bool, shade: Shade | None = None, *, after: int = 0,
    from_oldest: bool = False, kinds: Collection[int] = (),
) -> list[api.Notification]:
    """Groups, the one with the newest event first, whose newest event is between two positions; without what the reader keeps out.

    The newest of them, or `from_oldest` those that follow `after`; of these kinds where some are named.
    """
    read = await read_position(tx, caller.person_id)
    unshaded, params = _unshaded(shade)
    rows = await tx.fetch(
        f"""
        SELECT n.position, n.kind, n.subject, n.actor_id, n.post_id, n.community_id, n.emoji, n.notify_time, c.name AS community_name
        {_FROM} {unshaded}
        ORDER BY n.position DESC
        """,
        **params, **reader_keys(caller),
    )
    hidden = await _hidden_posts(tx, caller, rows, shade)
    groups: dict[tuple[int, str], list[Row]] = {}
    for row in rows:  # at most 1,000 are kept for a person
        if row["post_id"] in hidden and row["kind"] not in REACHING:
            continue
        groups.setdefault((row["kind"], row["subject"]), []).append(row)
    least = max(after, read) if only_unread else after
    chosen = [
        group for group in groups.values()
        if least < group[0]["position"] < before and (not kinds or group[0]["kind"] in kinds)
    ]
    chosen = chosen[-limit:] if from_oldest else chosen[:limit]
    posts = await fetch_posts(tx, caller, [group[0]["post_id"] for group in chosen if group[0]["post_id"]])
    shown = {tuple(dict.fromkeys(row["actor_id"] for row in group))[:ACTORS]: None for group in chosen}
    authors = await fetch_authors(tx, {actor for actors in shown for actor in actors})
    found = []
    for group in chosen:
        newest = group[0]
        actors = list(dict.fromkeys(row["actor_id"] for row in group if row["actor_id"]))
        notification = api.Notification(
            notification_id=f"{newest['kind']}-{newest['subject']}", kind=newest["kind"],
            actors=[authors.get(actor) or api.Author(person_id=actor) for actor in actors[:ACTORS]], actor_count=len(actors),
            community_id=newest["community_id"], community_name=(newest["community_name"] or "") if newest["community_id"] else "",
            unread=newest["position"] > read, emoji=list(dict.fromkeys(row["emoji"] for row in group if row["emoji"])),
            position=newest["position"],
        )
        if (post := posts.get(newest["post_id"])) is not None:
            if shade is not None and newest["kind"] not in REACHING:
                shade.hides(post)  # fills in the filters it matches
            notification.post.CopyFrom(post)
        notification.notify_time.FromMicroseconds(newest["notify_time"])
        found.append(notification)
    return found
