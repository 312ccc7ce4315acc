"""Communities and their members as a caller may see them."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.db.database import Row, Transaction, in_list
from libs.rpc.auth import Caller
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1.feed_service_pb2 import Author, Community, Member

from ..access import LISTED, READABLE, reader_keys

_MODERATOR = int(events_pb2.MEMBER_ROLE_MODERATOR)

_SELECT = f"""
    SELECT c.community_id, c.name, c.sort_name, c.handle, c.description, c.rules, c.kind, c.tags, c.archived, c.create_time, c.version,
           m.role, n.member_count, y.post_count, y.last_post_time,
           CASE WHEN {READABLE} THEN 1 ELSE 0 END AS readable,
           (SELECT COUNT(*) FROM join_requests q WHERE q.community_id = c.community_id AND q.person_id = :reader_id) AS requested,
           CASE WHEN m.role >= {_MODERATOR}
                THEN (SELECT COUNT(*) FROM join_requests q WHERE q.community_id = c.community_id) ELSE 0 END AS request_count
    FROM communities c
    LEFT JOIN members m ON m.community_id = c.community_id AND m.person_id = :reader_id
    LEFT JOIN member_counts n ON n.community_id = c.community_id
    LEFT JOIN community_activity y ON y.community_id = c.community_id
"""


async def fetch_community(tx: Transaction, caller: Caller, community_id: str = "", handle: str = "") -> Community | None:
    """A community by id or handle; None where it does not exist for the caller."""
    condition = "c.community_id = :key" if community_id else "c.handle = :key"
    row = await tx.fetch_one(f"{_SELECT} WHERE {condition} AND {LISTED}", key=community_id or handle.casefold(), **reader_keys(caller))
    return _community(row) if row else None


async def list_communities(
    tx: Transaction, caller: Caller, *, after: tuple[str, str], limit: int, member_id: str, query: str, archived: bool
) -> list[tuple[str, Community]]:
    """Communities in order of their names, with the sort key that pages."""
    pattern = query.casefold().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = await tx.fetch(
        f"""
        {_SELECT}
        WHERE {LISTED}
          AND (c.sort_name > :name OR (c.sort_name = :name AND c.community_id > :id))
          AND (:member_id = '' OR EXISTS (
                SELECT 1 FROM members o WHERE o.community_id = c.community_id AND o.person_id = :member_id))
          AND (:pattern = '' OR c.sort_name LIKE '%' || :pattern || '%' ESCAPE '\\')
          AND c.archived <= :archived
        ORDER BY c.sort_name, c.community_id
        LIMIT :limit
        """,
        name=after[0], id=after[1], member_id=member_id, pattern=pattern, archived=int(archived), limit=limit, **reader_keys(caller),
    )
    return [(row["sort_name"], _community(row)) for row in rows]


def _community(row: Row) -> Community:
    role: events_pb2.MemberRole.ValueType = row["role"] or events_pb2.MEMBER_ROLE_UNSPECIFIED
    community = Community(
        community_id=row["community_id"], name=row["name"], handle=row["handle"], description=row["description"], rules=row["rules"],
        kind=row["kind"], tags=row["tags"].split(), member_count=row["member_count"] or 0, archived=bool(row["archived"]),
        my_role=role, join_requested=bool(row["requested"]), join_request_count=row["request_count"],
        etag=str(row["version"]), readable=bool(row["readable"]),
    )
    community.create_time.FromMicroseconds(row["create_time"])
    if row["readable"]:
        community.post_count = row["post_count"] or 0
        if row["last_post_time"]:
            community.last_post_time.FromMicroseconds(row["last_post_time"])
    return community


async def handle_taken(tx: Transaction, handle: str) -> bool:
    """Whether a community has this handle."""
    return await tx.fetch_one("SELECT 1 AS one FROM communities WHERE handle = :handle", handle=handle) is not None


async def fetch_member(tx: Transaction, community_id: str, person_id: str) -> Member | None:
    """A member; None for others."""
    rows = await _members(tx, "members", "join_time", "s.person_id = :person_id", community_id, person_id=person_id)
    return rows[0][1] if rows else None


async def list_members(tx: Transaction, community_id: str, role: int, after: int, limit: int) -> list[tuple[int, Member]]:
    """Members in order of joining, with the position that pages; `role` 0 for all."""
    condition = "s.position > :after AND (:role = 0 OR s.role = :role)"
    return await _members(tx, "members", "join_time", condition, community_id, role=role, after=after, limit=limit)


async def list_join_requests(tx: Transaction, community_id: str, after: int, limit: int) -> list[tuple[int, Member]]:
    """Who asks to be let in, the first first."""
    return await _members(tx, "join_requests", "request_time", "s.position > :after", community_id, after=after, limit=limit)


async def _members(
    tx: Transaction, table: str, time: str, condition: str, community_id: str, *, limit: int = 1, **params: Any
) -> list[tuple[int, Member]]:
    role = "s.role" if table == "members" else "0"
    rows = await tx.fetch(
        f"""
        SELECT s.position, s.person_id, {role} AS role, s.{time} AS join_time, a.card
        FROM {table} s
        LEFT JOIN people a ON a.person_id = s.person_id
        WHERE s.community_id = :community_id AND {condition}
        ORDER BY s.position
        LIMIT :limit
        """,
        community_id=community_id, limit=limit, **params,
    )
    found = []
    for row in rows:
        person = Author.FromString(row["card"]) if row["card"] is not None else Author(person_id=row["person_id"])
        member = Member(community_id=community_id, person=person, role=row["role"])
        member.join_time.FromMicroseconds(row["join_time"])
        found.append((row["position"], member))
    return found


async def imported_communities(tx: Transaction, external_ids: Sequence[str]) -> dict[str, str]:
    """Community ids by external id, of those that were imported before."""
    found = {}
    for start in range(0, len(external_ids), 256):
        placeholders, params = in_list("i", external_ids[start:start + 256])
        rows = await tx.fetch(f"SELECT external_id, community_id FROM imported_communities WHERE external_id IN ({placeholders})", **params)
        found.update({row["external_id"]: row["community_id"] for row in rows})
    return found
