"""Drafts of one author, and those whose time has come."""
from __future__ import annotations

from typing import NamedTuple

from libs.db.database import Reader, Row, Transaction
from libs.rpc.auth import Caller
from watercooler.feed.v1.drafting_events_pb2 import DraftContent
from watercooler.feed.v1.drafting_service_pb2 import Draft

_COLUMNS = "draft_id, content, save_time, publish_time, failure, version"
_COMMUNICATIONS, _LEADER = 1, 2


class Due(NamedTuple):
    """A draft that is to be published at a time, in microseconds."""

    draft_id: str
    author_id: str
    publish_time: int


async def fetch_draft(tx: Reader, author_id: str, draft_id: str) -> Draft | None:
    """One of the author's drafts."""
    row = await tx.fetch_one(
        f"SELECT {_COLUMNS} FROM drafts WHERE draft_id = :draft_id AND author_id = :author_id", draft_id=draft_id, author_id=author_id
    )
    return _draft(row) if row else None


async def list_drafts(tx: Reader, author_id: str, before: str, limit: int, *, scheduled: bool | None) -> list[Draft]:
    """The author's drafts, the newest first: all, those that are scheduled, or the others."""
    rows = await tx.fetch(
        f"""
        SELECT {_COLUMNS} FROM drafts
        WHERE author_id = :author_id AND draft_id < :before
          AND (:scheduled < 0 OR (:scheduled = 1 AND publish_time > 0) OR (:scheduled = 0 AND publish_time = 0))
        ORDER BY draft_id DESC
        LIMIT :limit
        """,
        author_id=author_id, before=before, limit=limit, scheduled=-1 if scheduled is None else int(scheduled),
    )
    return [_draft(row) for row in rows]


async def count_drafts(tx: Reader, author_id: str) -> int:
    """How many drafts the author keeps."""
    row = await tx.fetch_one("SELECT COUNT(*) AS total FROM drafts WHERE author_id = :author_id", author_id=author_id)
    return int(row["total"]) if row else 0


async def next_due(reader: Reader, after: tuple[int, str], limit: int) -> list[Due]:
    """The scheduled drafts past a time and id, in the order they are due."""
    rows = await reader.fetch(
        """
        SELECT draft_id, author_id, publish_time FROM drafts
        WHERE publish_time > 0 AND (publish_time > :time OR (publish_time = :time AND draft_id > :draft_id))
        ORDER BY publish_time, draft_id
        LIMIT :limit
        """,
        time=after[0], draft_id=after[1], limit=limit,
    )
    return [Due(row["draft_id"], row["author_id"], row["publish_time"]) for row in rows]


async def author_as_caller(tx: Transaction, person_id: str) -> Caller | None:
    """The person with the roles they have now, for what they asked to be done later; None for one who has left or was erased."""
    row = await tx.fetch_one(
        """
        SELECT p.employee, p.guest, COALESCE(s.announces, 0) AS announces
        FROM people p
        LEFT JOIN standings s ON s.person_id = p.person_id
        WHERE p.person_id = :person_id AND p.departed = 0 AND p.erased = 0
        """,
        person_id=person_id,
    )
    if row is None:
        return None
    held = {
        "employee": row["employee"], "guest": row["guest"], "communications": row["announces"] & _COMMUNICATIONS,
        "leader": row["announces"] & _LEADER,
    }
    # Somebody without any role is an employee, as everywhere.
    roles = frozenset(role for role, holds in held.items() if holds) or frozenset({"employee"})
    return Caller(person_id, roles, frozenset({"read", "write"}))


def _draft(row: Row) -> Draft:
    draft = Draft(
        draft_id=row["draft_id"], content=DraftContent.FromString(bytes(row["content"])), failure=row["failure"], etag=str(row["version"])
    )
    draft.save_time.FromMicroseconds(row["save_time"])
    if row["publish_time"]:
        draft.publish_time.FromMicroseconds(row["publish_time"])
    return draft
