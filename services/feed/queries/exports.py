"""Exports: their state, and the one place that knows what stands in them.

A person's export holds what they wrote and did themselves, wherever that stands now, and nothing that others wrote. A community's holds
the threads of that community. What was deleted is in neither; where an administrator asks, what a legal hold keeps of the person is.
"""
from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.db.database import Reader, Row, Transaction, in_list
from libs.text.ids import pair_id
from watercooler.feed.v1 import retention_service_pb2 as api
from watercooler.feed.v1.drafting_events_pb2 import DraftContent
from watercooler.feed.v1.feed_service_pb2 import Author, Post
from watercooler.feed.v1.retention_events_pb2 import EXPORT_SUBJECT_COMMUNITY

from .retention import subject_name

Record = dict[str, Any]
_WAITING, _READY = int(api.EXPORT_STATE_WAITING), int(api.EXPORT_STATE_READY)


async def fetch(tx: Reader, export_id: str) -> Row | None:
    """An export's row."""
    return await tx.fetch_one("SELECT * FROM exports WHERE export_id = :export_id", export_id=export_id)


async def of_requester(tx: Reader, requester_id: str, limit: int) -> Sequence[Row]:
    """The newest exports that a person asked for."""
    return await tx.fetch(
        "SELECT * FROM exports WHERE requester_id = :requester_id ORDER BY export_id DESC LIMIT :limit",
        requester_id=requester_id, limit=limit,
    )


async def waiting(tx: Reader, requester_id: str) -> int:
    """How many exports of a person are still to be written."""
    row = await tx.fetch_one(
        "SELECT COUNT(*) AS waiting FROM exports WHERE requester_id = :requester_id AND state = :state",
        requester_id=requester_id, state=_WAITING,
    )
    return int(row["waiting"]) if row else 0


async def next_waiting(tx: Reader) -> Row | None:
    """The oldest export that is still to be written."""
    return await tx.fetch_one("SELECT * FROM exports WHERE state = :state ORDER BY export_id LIMIT 1", state=_WAITING)


async def expired(tx: Reader, now_micros: int) -> Sequence[Row]:
    """Exports whose time is over, and next of all the one whose time is over first."""
    return await tx.fetch(
        "SELECT export_id, blob_id FROM exports WHERE state = :state AND expire_time <= :now ORDER BY export_id LIMIT 100",
        state=_READY, now=now_micros,
    )


async def with_person(tx: Reader, person_id: str) -> Sequence[Row]:
    """Exports that may hold something of a person: their own, those they asked for, and all of communities."""
    return await tx.fetch(
        """
        SELECT export_id, blob_id FROM exports
        WHERE (state = :ready OR state = :waiting)
          AND (subject_id = :person_id OR requester_id = :person_id OR (subject = :community AND state = :ready))
        ORDER BY export_id
        """,
        ready=_READY, waiting=_WAITING, person_id=person_id, community=int(EXPORT_SUBJECT_COMMUNITY),
    )


async def note_progress(tx: Transaction, export_id: str, done: int) -> None:
    """Say how many posts are written so far."""
    await tx.execute(
        """
        INSERT INTO export_progress (export_id, done_count) VALUES (:export_id, :done)
        ON CONFLICT (export_id) DO UPDATE SET done_count = excluded.done_count
        """,
        export_id=export_id, done=done,
    )


async def forget_progress(tx: Transaction, export_id: str) -> None:
    """It is over."""
    await tx.execute("DELETE FROM export_progress WHERE export_id = :export_id", export_id=export_id)


async def described(tx: Reader, row: Row, *, with_blob: bool) -> api.Export:
    """An export as it is shown to who asked for it."""
    progress = await tx.fetch_one("SELECT done_count FROM export_progress WHERE export_id = :export_id", export_id=row["export_id"])
    export = api.Export(
        export_id=row["export_id"], subject=row["subject"], subject_id=row["subject_id"],
        subject_name=await subject_name(tx, row["subject_id"]), reason=row["reason"], state=row["state"],
        blob_id=row["blob_id"] if with_blob else "", size_bytes=row["size_bytes"], post_count=row["post_count"], failure=row["failure"],
        done_count=progress["done_count"] if progress else 0,
    )
    export.request_time.FromMicroseconds(row["request_time"])
    if row["expire_time"]:
        export.expire_time.FromMicroseconds(row["expire_time"])
    return export


async def posts_by(tx: Transaction, author_id: str, after: str, limit: int, *, kept: bool) -> list[tuple[str, Record, Post]]:
    """What a person wrote, oldest first, past a post."""
    rows = await tx.fetch(
        """
        SELECT p.post_id, p.author_id, p.thread_id, p.scope, p.scope_id, COALESCE(a.card, p.card) AS card, p.hidden,
               CASE WHEN a.post_id IS NULL THEN 0 ELSE 1 END AS kept, c.name AS community_name
        FROM posts p
        LEFT JOIN kept_posts a ON a.post_id = p.post_id AND :kept = 1
        LEFT JOIN communities c ON p.scope = 'community' AND c.community_id = p.scope_id
        WHERE p.author_id = :author_id AND p.post_id > :after AND (p.hidden = 0 OR a.post_id IS NOT NULL)
        ORDER BY p.post_id
        LIMIT :limit
        """,
        author_id=author_id, after=after, limit=limit, kept=int(kept),
    )
    return await _records(tx, rows)


async def threads_in(tx: Transaction, community_id: str, after: str, limit: int) -> list[str]:
    """The threads of a community, oldest first, past one of them."""
    rows = await tx.fetch(
        "SELECT post_id FROM source_entries WHERE source = :source AND post_id > :after ORDER BY post_id LIMIT :limit",
        source=f"community:{community_id}", after=after, limit=limit,
    )
    return [row["post_id"] for row in rows]


async def posts_in(tx: Transaction, thread_id: str, after: str, limit: int) -> list[tuple[str, Record, Post]]:
    """The posts of a thread, oldest first, past one of them."""
    rows = await tx.fetch(
        """
        SELECT p.post_id, p.author_id, p.thread_id, p.scope, p.scope_id, p.card, p.hidden, 0 AS kept, c.name AS community_name
        FROM posts p
        LEFT JOIN communities c ON p.scope = 'community' AND c.community_id = p.scope_id
        WHERE p.thread_id = :thread_id AND p.post_id > :after AND p.hidden = 0
        ORDER BY p.post_id
        LIMIT :limit
        """,
        thread_id=thread_id, after=after, limit=limit,
    )
    return await _records(tx, rows)


async def _records(tx: Transaction, rows: Sequence[Row]) -> list[tuple[str, Record, Post]]:
    wanted, params = in_list("i", [row["post_id"] for row in rows])
    versions: dict[str, list[Record]] = {}
    for row in await tx.fetch(
        f"SELECT post_id, number, body, revise_time FROM revisions WHERE post_id IN ({wanted}) ORDER BY post_id, number", **params
    ):
        versions.setdefault(row["post_id"], []).append(
            {"number": row["number"], "body": row["body"], "time": time_text(row["revise_time"])}
        )
    wanted, params = in_list("i", sorted({row["author_id"] for row in rows}))
    people = await tx.fetch(f"SELECT person_id, card FROM people WHERE person_id IN ({wanted})", **params)
    authors = {row["person_id"]: Author.FromString(bytes(row["card"])) for row in people}
    found = []
    for row in rows:
        post = Post.FromString(bytes(row["card"]))
        post.author.CopyFrom(authors.get(row["author_id"]) or Author(person_id=row["author_id"]))
        record: Record = {
            "post_id": post.post_id, "author_id": row["author_id"], "author": post.author.display_name,
            "time": time_text(post.publish_time.ToMicroseconds()), "body": post.body, "language": post.language,
            "audience": row["scope"], "audience_id": row["scope_id"], "community": row["community_name"] or "",
            "thread_id": row["thread_id"], "parent_id": post.parent_id, "warning": post.warning, "tags": list(post.tags),
            "attachments": [
                {"file": f"files/{one.blob_id}", "media_type": one.media_type, "description": one.description}
                for one in post.attachments
            ],
            "reactions": {one.emoji: one.count for one in post.reactions}, "versions": versions.get(post.post_id, []),
        }
        if post.HasField("edit_time"):
            record["edit_time"] = time_text(post.edit_time.ToMicroseconds())
        if post.reposted_id:
            record["repost_of"] = post.reposted_id
        if post.quoted_id:
            record["quotes"] = post.quoted_id
        if post.HasField("poll"):
            record["poll"] = {"options": list(post.poll.poll.options), "votes": list(post.poll.counts)}
        if row["kept"] and row["hidden"]:
            record["deleted_but_kept"] = True
        found.append((row["post_id"], record, post))
    return found


async def profile_of(tx: Transaction, person_id: str) -> Record:
    """What the feed knows of a person."""
    row = await tx.fetch_one("SELECT card, email FROM people WHERE person_id = :person_id", person_id=person_id)
    if row is None:
        return {"person_id": person_id}
    card = Author.FromString(bytes(row["card"]))
    return {
        "person_id": person_id, "name": card.display_name, "handle": card.handle, "title": card.title, "email": row["email"],
        "photo": f"files/{card.photo_blob_id}" if card.photo_blob_id else "",
    }


async def community_of(tx: Transaction, community_id: str) -> Record:
    """A community's description and members."""
    row = await tx.fetch_one(
        "SELECT name, handle, description, rules, create_time FROM communities WHERE community_id = :community_id",
        community_id=community_id,
    )
    members = await tx.fetch(
        """
        SELECT m.person_id, m.role, m.join_time, p.display_name
        FROM members m LEFT JOIN people p ON p.person_id = m.person_id
        WHERE m.community_id = :community_id
        ORDER BY m.position
        """,
        community_id=community_id,
    )
    return {
        "community_id": community_id, **({} if row is None else {
            "name": row["name"], "handle": row["handle"], "description": row["description"], "rules": row["rules"],
            "created": time_text(row["create_time"]),
        }),
        "members": [
            {"person_id": one["person_id"], "name": one["display_name"] or "", "role": one["role"], "joined": time_text(one["join_time"])}
            for one in members
        ],
    }


async def acts_of(tx: Transaction, person_id: str) -> dict[str, list[Record]]:
    """What a person did beside writing, by the name of its file; what they chose in anonymous polls nobody knows."""
    given = await tx.fetch(
        "SELECT post_id, emoji, react_time FROM reactions WHERE person_id = :person_id ORDER BY post_id, position", person_id=person_id
    )
    responses = await tx.fetch(
        """
        SELECT post_id, save_position, confirmed FROM responses
        WHERE person_id = :person_id AND (save_position > 0 OR confirmed = 1)
        ORDER BY post_id
        """,
        person_id=person_id,
    )
    followed = await tx.fetch(
        """
        SELECT f.person_id, p.display_name FROM follows f LEFT JOIN people p ON p.person_id = f.person_id
        WHERE f.follower_id = :person_id
        ORDER BY f.position
        """,
        person_id=person_id,
    )
    tags = await tx.fetch("SELECT tag FROM followed_tags WHERE follower_id = :person_id ORDER BY tag", person_id=person_id)
    memberships = await tx.fetch(
        """
        SELECT m.community_id, m.role, m.join_time, c.name
        FROM members m LEFT JOIN communities c ON c.community_id = m.community_id
        WHERE m.person_id = :person_id
        ORDER BY m.community_id
        """,
        person_id=person_id,
    )
    drafts = await tx.fetch(
        "SELECT draft_id, content, save_time, publish_time FROM drafts WHERE author_id = :person_id ORDER BY draft_id", person_id=person_id
    )
    voted = await tx.fetch("SELECT post_id FROM notification_voters WHERE person_id = :person_id ORDER BY post_id", person_id=person_id)
    ballots = {pair_id(row["post_id"], person_id): row["post_id"] for row in voted}
    votes = []
    for ballot_id, post_id in ballots.items():
        row = await tx.fetch_one("SELECT choices FROM ballots WHERE ballot_id = :ballot_id", ballot_id=ballot_id)
        if row is not None:
            votes.append({"post_id": post_id, "choices": [int(one) for one in row["choices"].split()]})
    return {
        "reactions": [{"post_id": one["post_id"], "emoji": one["emoji"], "time": time_text(one["react_time"])} for one in given],
        "saved": [{"post_id": one["post_id"]} for one in responses if one["save_position"]],
        "read-confirmations": [{"post_id": one["post_id"]} for one in responses if one["confirmed"]],
        "follows": [
            *({"person_id": one["person_id"], "name": one["display_name"] or ""} for one in followed),
            *({"tag": one["tag"]} for one in tags),
        ],
        "memberships": [
            {"community_id": one["community_id"], "name": one["name"] or "", "role": one["role"], "joined": time_text(one["join_time"])}
            for one in memberships
        ],
        "votes": votes,
        "drafts": [
            {
                "draft_id": one["draft_id"], "body": DraftContent.FromString(bytes(one["content"])).body,
                "saved": time_text(one["save_time"]), **({"planned": time_text(one["publish_time"])} if one["publish_time"] else {}),
            }
            for one in drafts
        ],
    }


def time_text(micros: int) -> str:
    """A moment in UTC as RFC 3339 has it."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).isoformat().replace("+00:00", "Z")
