"""What people keep from what they read: the one place where mutes, blocks, exclusive lists and filters are applied."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from libs.db.database import Row, Transaction, in_list
from libs.rpc.auth import Caller
from libs.text import matching
from libs.text.markdown import BODY_LENGTH_MAX, plain
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1.events_pb2 import POST_KIND_ANNOUNCEMENT
from watercooler.feed.v1.feed_service_pb2 import Author, FilterMatch, Post
from watercooler.feed.v1.reading_events_pb2 import (
    FILTER_ACTION_HIDE,
    FILTER_CONTEXT_NOTIFICATIONS,
    FILTER_CONTEXT_PERSON,
    FILTER_CONTEXT_THREAD,
    FilterContext,
)
from watercooler.feed.v1.reading_service_pb2 import Bond, Filter, Marker, PeopleList

# What reaches people whoever did it: announcements, the acts of those who moderate, and what waits for their decision.
REACHING = (
    feed.NOTIFICATION_KIND_JOIN_REQUEST, feed.NOTIFICATION_KIND_JOINED, feed.NOTIFICATION_KIND_ANNOUNCEMENT,
    feed.NOTIFICATION_KIND_REMINDER, feed.NOTIFICATION_KIND_CORRECTION, feed.NOTIFICATION_KIND_DECISION,
    feed.NOTIFICATION_KIND_MODERATION,
)


@dataclass(frozen=True, slots=True)
class Words:
    """A filter ready to be matched: its keywords as typed, normal, and whether each is a whole word."""

    filter_id: str
    title: str
    hides: bool
    keywords: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True, slots=True)
class Shade:
    """What one reader keeps out of one kind of page; `exclusive` are people whose posts stand in a list instead of the home timeline."""

    reader_id: str
    hidden: frozenset[str] = frozenset()
    exclusive: frozenset[str] = frozenset()
    filters: tuple[Words, ...] = ()

    @property
    def hides_words(self) -> bool:
        """Whether a filter takes posts out, and does not only fold them."""
        return any(words.hides for words in self.filters)

    def hides(self, post: Post) -> bool:
        """Whether a post is left out; where it stays, the filters it matches are filled in, and a quoted post of theirs is taken out."""
        author_id = post.author.person_id
        shown = post.reposted if post.HasField("reposted") else post
        if author_id == self.reader_id or _reaches(post) or _reaches(shown):
            return False
        if author_id in self.hidden or shown.author.person_id in self.hidden:
            return True
        if author_id in self.exclusive and post.audience.WhichOneof("kind") != "people":
            return True
        if shown.HasField("quoted") and shown.quoted.author.person_id in self.hidden:
            shown.ClearField("quoted")
        if not self.filters or shown.author.person_id == self.reader_id:
            return False
        text = _text(shown)
        for words in self.filters:
            matched = [typed for typed, normal, whole in words.keywords if matching.contains(text, normal, whole=whole)]
            if matched and words.hides:
                return True
            if matched:
                post.filters.append(FilterMatch(filter_id=words.filter_id, title=words.title, keywords=matched))
        return False


def _reaches(post: Post) -> bool:
    return post.kind == POST_KIND_ANNOUNCEMENT or bool(post.announcement_id)


def _text(post: Post) -> str:
    words = [post.warning, _plain(post.body[:BODY_LENGTH_MAX]), *post.poll.poll.options]
    words += (attachment.description for attachment in post.attachments)
    return matching.normal("\n".join(words))


@lru_cache(maxsize=1_024)
def _plain(body: str) -> str:
    return plain(body)


async def fetch_shade(
    tx: Transaction, caller: Caller, now: int, context: FilterContext.ValueType, *, without_lists: bool = False
) -> Shade | None:
    """What the caller keeps out of pages of this kind at a time in microseconds; None where that is nothing, for one short statement.

    `without_lists` takes out the people of exclusive lists too. Mutes and blocks hold everywhere but on a person's own page; in threads
    only blocks do, so that a conversation stays readable.
    """
    if not caller.person_id:
        return None
    rows = await tx.fetch(
        """
        SELECT 'bond' AS what, other_id AS id, mute_position, silenced, expire_time, block_position, '' AS filter_id
        FROM bonds
        WHERE person_id = :reader_id AND (mute_position > 0 OR block_position > 0)
        UNION ALL
        SELECT 'list', p.person_id, 0, 0, 0, 0, ''
        FROM people_lists l
        JOIN list_people p ON p.list_id = l.list_id
        WHERE l.owner_id = :reader_id AND l.exclusive = 1
        UNION ALL
        SELECT 'filter', '', 0, 0, 0, 0, filter_id
        FROM reading_filters
        WHERE owner_id = :reader_id
        """,
        reader_id=caller.person_id,
    )
    if not rows:
        return None
    hidden: set[str] = set()
    if context != FILTER_CONTEXT_PERSON:
        for row in rows:
            if row["what"] == "bond" and (row["block_position"] or _is_muted(row, now, context)):
                hidden.add(row["id"])
    exclusive = {row["id"] for row in rows if row["what"] == "list"} if without_lists else set()
    filters: tuple[Words, ...] = ()
    if any(row["what"] == "filter" for row in rows):
        filters = tuple(
            _words(each) for each in await list_filters(tx, caller.person_id)
            if context in each.contexts and not (each.HasField("expire_time") and each.expire_time.ToMicroseconds() <= now)
        )
    if not (hidden or exclusive or filters):
        return None
    return Shade(caller.person_id, frozenset(hidden), frozenset(exclusive), filters)


def _is_muted(row: Row, now: int, context: FilterContext.ValueType) -> bool:
    if not row["mute_position"] or context == FILTER_CONTEXT_THREAD or 0 < row["expire_time"] <= now:
        return False
    return bool(row["silenced"]) or context != FILTER_CONTEXT_NOTIFICATIONS


def _words(each: Filter) -> Words:
    return Words(
        each.filter_id, each.title, each.action == FILTER_ACTION_HIDE,
        tuple((keyword.text, matching.normal(keyword.text.strip()), keyword.whole_word) for keyword in each.keywords),
    )


async def silencing(tx: Transaction, actor_id: str, person_ids: Sequence[str], now: int, *, notifications: bool) -> set[str]:
    """Those of the people who muted or blocked somebody: for their notifications, or for their timelines."""
    wanted, params = in_list("p", person_ids)
    rows = await tx.fetch(
        f"""
        SELECT person_id FROM bonds
        WHERE other_id = :actor_id AND person_id IN ({wanted})
          AND (block_position > 0 OR (mute_position > 0 AND silenced >= :notifications AND (expire_time = 0 OR expire_time > :now)))
        """,
        actor_id=actor_id, now=now, notifications=int(notifications), **params,
    )
    return {row["person_id"] for row in rows}


async def blocks(tx: Transaction, person_id: str, other_id: str) -> bool:
    """Whether the first blocks the second."""
    row = await tx.fetch_one(
        "SELECT 1 AS one FROM bonds WHERE person_id = :person_id AND other_id = :other_id AND block_position > 0",
        person_id=person_id, other_id=other_id,
    )
    return row is not None


async def fetch_bonds(tx: Transaction, reader_id: str, person_ids: Sequence[str], now: int) -> dict[str, Bond]:
    """What the reader keeps from each of the people, and who of them follows whom; an ended mute is none."""
    wanted, params = in_list("p", person_ids)
    found = {person_id: Bond(person_id=person_id) for person_id in person_ids}
    rows = await tx.fetch(
        f"""
        SELECT other_id, mute_position, silenced, expire_time, block_position, note FROM bonds
        WHERE person_id = :reader_id AND other_id IN ({wanted})
        """,
        reader_id=reader_id, **params,
    )
    for row in rows:
        bond = found[row["other_id"]]
        if row["mute_position"] and not 0 < row["expire_time"] <= now:
            bond.muted, bond.notifications_muted = True, bool(row["silenced"])
            if row["expire_time"]:
                bond.mute_expire_time.FromMicroseconds(row["expire_time"])
        bond.blocked, bond.note = row["block_position"] > 0, row["note"]
    follows = await tx.fetch(
        f"""
        SELECT person_id AS id, 1 AS mine FROM follows WHERE follower_id = :reader_id AND person_id IN ({wanted})
        UNION ALL
        SELECT follower_id AS id, 0 AS mine FROM follows WHERE person_id = :reader_id AND follower_id IN ({wanted})
        """,
        reader_id=reader_id, **params,
    )
    for row in follows:
        if row["mine"]:
            found[row["id"]].following = True
        else:
            found[row["id"]].followed_by = True
    return found


async def list_muted(tx: Transaction, reader_id: str, now: int, before: int, limit: int) -> list[tuple[int, Author]]:
    """Whom the reader mutes, the newest first, with the position that pages."""
    return _authors(await tx.fetch(
        """
        SELECT b.mute_position AS position, b.other_id AS person_id, a.card
        FROM bonds b
        LEFT JOIN people a ON a.person_id = b.other_id
        WHERE b.person_id = :reader_id AND b.mute_position > 0 AND b.mute_position < :before
          AND (b.expire_time = 0 OR b.expire_time > :now)
        ORDER BY b.mute_position DESC
        LIMIT :limit
        """,
        reader_id=reader_id, before=before, now=now, limit=limit,
    ))


async def list_blocked(tx: Transaction, reader_id: str, before: int, limit: int) -> list[tuple[int, Author]]:
    """Whom the reader blocks, the newest first, with the position that pages."""
    return _authors(await tx.fetch(
        """
        SELECT b.block_position AS position, b.other_id AS person_id, a.card
        FROM bonds b
        LEFT JOIN people a ON a.person_id = b.other_id
        WHERE b.person_id = :reader_id AND b.block_position > 0 AND b.block_position < :before
        ORDER BY b.block_position DESC
        LIMIT :limit
        """,
        reader_id=reader_id, before=before, limit=limit,
    ))


def _authors(rows: Sequence[Row]) -> list[tuple[int, Author]]:
    return [
        (row["position"], Author.FromString(row["card"]) if row["card"] is not None else Author(person_id=row["person_id"])) for row in rows
    ]


async def known(tx: Transaction, person_ids: Sequence[str]) -> set[str]:
    """Those of the people who exist and were not erased, here or gone."""
    wanted, params = in_list("p", person_ids)
    rows = await tx.fetch(f"SELECT person_id FROM people WHERE person_id IN ({wanted}) AND erased = 0", **params)
    return {row["person_id"] for row in rows}


async def count_bonds(tx: Transaction, person_id: str) -> int:
    """How many people somebody mutes, blocks or keeps a note on."""
    row = await tx.fetch_one("SELECT COUNT(*) AS total FROM bonds WHERE person_id = :person_id", person_id=person_id)
    return int(row["total"]) if row else 0


async def list_lists(tx: Transaction, owner_id: str, person_id: str = "", list_id: str = "") -> list[PeopleList]:
    """Somebody's lists in the order they were made: all, those that a person is on, or the one with an id."""
    rows = await tx.fetch(
        """
        SELECT l.list_id, l.title, l.exclusive, (SELECT COUNT(*) FROM list_people p WHERE p.list_id = l.list_id) AS person_count
        FROM people_lists l
        WHERE l.owner_id = :owner_id AND (:list_id = '' OR l.list_id = :list_id)
          AND (:person_id = '' OR EXISTS (
                SELECT 1 FROM list_people o WHERE o.list_id = l.list_id AND o.person_id = :person_id))
        ORDER BY l.list_id
        """,
        owner_id=owner_id, list_id=list_id, person_id=person_id,
    )
    return [
        PeopleList(list_id=row["list_id"], title=row["title"], exclusive=bool(row["exclusive"]), person_count=row["person_count"])
        for row in rows
    ]


async def list_people(tx: Transaction, list_id: str, before: int, limit: int) -> list[tuple[int, Author]]:
    """Who is on a list, the newest first, with the position that pages."""
    return _authors(await tx.fetch(
        """
        SELECT p.position, p.person_id, a.card
        FROM list_people p
        LEFT JOIN people a ON a.person_id = p.person_id
        WHERE p.list_id = :list_id AND p.position < :before
        ORDER BY p.position DESC
        LIMIT :limit
        """,
        list_id=list_id, before=before, limit=limit,
    ))


async def list_filters(tx: Transaction, owner_id: str, filter_id: str = "") -> list[Filter]:
    """Somebody's filters in the order they were made: all, or the one with an id; ended ones too."""
    rows = await tx.fetch(
        """
        SELECT filter FROM reading_filters
        WHERE owner_id = :owner_id AND (:filter_id = '' OR filter_id = :filter_id)
        ORDER BY filter_id
        """,
        owner_id=owner_id, filter_id=filter_id,
    )
    return [Filter.FromString(bytes(row["filter"])) for row in rows]


async def fetch_markers(tx: Transaction, person_id: str) -> list[Marker]:
    """How far somebody has read."""
    rows = await tx.fetch(
        "SELECT timeline, last_read_id, version, update_time FROM reading_markers WHERE person_id = :person_id ORDER BY timeline",
        person_id=person_id,
    )
    found = []
    for row in rows:
        marker = Marker(timeline=row["timeline"], last_read_id=row["last_read_id"], version=row["version"])
        marker.update_time.FromMicroseconds(row["update_time"])
        found.append(marker)
    return found
