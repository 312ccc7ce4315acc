"""Cases as those see them who decide, and as those see them who are concerned."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from libs.db.database import Reader, Row, Transaction, in_list
from libs.rpc.auth import Caller
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import moderation_service_pb2 as api
from watercooler.feed.v1.feed_service_pb2 import Author
from watercooler.feed.v1.moderation_events_pb2 import CASE_OUTCOME_NO_BREACH

from ..access import SECRET, reader_keys
from .posts import fetch_authors

_MODERATOR = int(events_pb2.MEMBER_ROLE_MODERATOR)
_WAITING = (int(api.CASE_STATE_OPEN), int(api.CASE_STATE_ASSIGNED), int(api.CASE_STATE_APPEALED))

# Who decides a case: those who moderate its community, but for what was left to the administrators; these decide their own cases and those
# of open and closed communities. Nobody sees a case about themselves.
_FROM = f"""
    FROM cases k
    LEFT JOIN communities c ON c.community_id = k.community_id
    LEFT JOIN members m ON m.community_id = k.community_id AND m.person_id = :reader_id
    WHERE k.author_id <> :reader_id
      AND ((k.to_administrators = 0 AND m.role >= {_MODERATOR})
           OR (:administrator = 1 AND (k.to_administrators = 1 OR c.kind <> {SECRET})))
"""


def _keys(caller: Caller) -> dict[str, Any]:
    return {"reader_id": reader_keys(caller)["reader_id"], "administrator": int(caller.is_administrator)}


async def fetch_case(tx: Transaction, caller: Caller, case_id: str) -> Row | None:
    """A case's row, for who may decide it."""
    return await tx.fetch_one(f"SELECT k.*, c.name AS community_name {_FROM} AND k.case_id = :case_id", case_id=case_id, **_keys(caller))


async def list_cases(
    tx: Transaction, caller: Caller, *, state: int, only_mine: bool, community_id: str, before: int, limit: int
) -> Sequence[Row]:
    """Cases by their newest report or appeal, newest first."""
    states = (state,) if state else _WAITING
    wanted, params = in_list("s", states)
    return await tx.fetch(
        f"""
        SELECT k.*, c.name AS community_name {_FROM}
          AND k.state IN ({wanted}) AND k.position < :before
          AND (:only_mine = 0 OR k.assignee_id = :reader_id)
          AND (:community_id = '' OR k.community_id = :community_id)
        ORDER BY k.position DESC
        LIMIT :limit
        """,
        **params, before=before, only_mine=int(only_mine), community_id=community_id, limit=limit, **_keys(caller),
    )


async def count_waiting(tx: Transaction, caller: Caller) -> int:
    """How many cases wait for the caller's decision."""
    wanted, params = in_list("s", _WAITING)
    row = await tx.fetch_one(f"SELECT COUNT(*) AS total {_FROM} AND k.state IN ({wanted})", **params, **_keys(caller))
    return int(row["total"]) if row else 0


async def moderates(tx: Transaction, person_id: str) -> bool:
    """Whether a person moderates any community."""
    row = await tx.fetch_one(
        f"SELECT 1 AS one FROM members WHERE person_id = :person_id AND role >= {_MODERATOR} LIMIT 1", person_id=person_id
    )
    return row is not None


async def administrators(tx: Transaction) -> tuple[str, ...]:
    """Who is told of what goes to the administrators: those who are here, 50 at most."""
    rows = await tx.fetch("SELECT person_id FROM administrators WHERE here = 1 ORDER BY person_id LIMIT 50")
    return tuple(row["person_id"] for row in rows)


async def others_who_decide(tx: Transaction, case: Row, decider_id: str) -> bool:
    """Whether somebody else than the decider and the author may decide a case."""
    row = await tx.fetch_one(
        f"""
        SELECT 1 AS one FROM administrators a
        LEFT JOIN communities c ON c.community_id = :community_id
        WHERE a.here = 1 AND a.person_id <> :decider_id AND a.person_id <> :author_id
          AND (:to_administrators = 1 OR c.kind <> {SECRET})
        UNION
        SELECT 1 AS one FROM members m JOIN people p ON p.person_id = m.person_id
        WHERE :to_administrators = 0 AND m.community_id = :community_id AND m.role >= {_MODERATOR} AND p.departed = 0 AND p.erased = 0
          AND m.person_id <> :decider_id AND m.person_id <> :author_id
        """,
        community_id=case["community_id"], to_administrators=case["to_administrators"], decider_id=decider_id,
        author_id=case["author_id"],
    )
    return row is not None


async def role_in(tx: Transaction, community_id: str, person_id: str) -> int:
    """A person's role in a community; 0: none."""
    row = await tx.fetch_one(
        "SELECT role FROM members WHERE community_id = :community_id AND person_id = :person_id",
        community_id=community_id, person_id=person_id,
    )
    return int(row["role"]) if row else 0


async def summaries(tx: Transaction, rows: Sequence[Row]) -> list[api.CaseSummary]:
    """Rows as they are shown."""
    authors = await fetch_authors(tx, {row[key] for row in rows for key in ("author_id", "assignee_id") if row[key]})
    return [_summary(row, authors) for row in rows]


def _summary(row: Row, authors: Mapping[str, Author]) -> api.CaseSummary:
    summary = api.CaseSummary(
        case_id=row["case_id"], subject=row["subject"], subject_id=row["subject_id"], community_id=row["community_id"],
        community_name=row["community_name"] or "", to_administrators=bool(row["to_administrators"]), state=row["state"],
        report_count=row["report_count"], categories=[int(one) for one in row["categories"].split()],  # type: ignore[misc]
        outcome=CASE_OUTCOME_NO_BREACH if row["upheld"] else row["outcome"],
    )
    summary.first_time.FromMicroseconds(row["first_time"])
    summary.last_time.FromMicroseconds(row["last_time"])
    if row["author_id"]:
        summary.author.CopyFrom(authors.get(row["author_id"]) or Author(person_id=row["author_id"]))
    if row["assignee_id"]:
        summary.assignee.CopyFrom(authors.get(row["assignee_id"]) or Author(person_id=row["assignee_id"]))
    return summary


async def parties(tx: Transaction, person_id: str, before: int, limit: int) -> Sequence[Row]:
    """The cases that a person is told of, newest first."""
    return await tx.fetch(
        """
        SELECT case_id, author, position FROM case_parties
        WHERE person_id = :person_id AND position < :before
        ORDER BY position DESC
        LIMIT :limit
        """,
        person_id=person_id, before=before, limit=limit,
    )


async def party(tx: Transaction, case_id: str, person_id: str) -> Row | None:
    """How a person is concerned with a case; whose matter it is comes before who reported it."""
    return await tx.fetch_one(
        "SELECT author FROM case_parties WHERE case_id = :case_id AND person_id = :person_id ORDER BY author DESC LIMIT 1",
        case_id=case_id, person_id=person_id,
    )


async def filed_by(tx: Transaction, reporter_id: str, limit: int) -> Sequence[Row]:
    """The newest reports of a person, one row for each thing they are about."""
    return await tx.fetch(
        """
        SELECT f.report_id, f.case_id, f.position, k.subject, k.subject_id, k.state
        FROM filed_reports f JOIN cases k ON k.case_id = f.case_id
        WHERE f.reporter_id = :reporter_id
        ORDER BY f.position DESC
        LIMIT :limit
        """,
        reporter_id=reporter_id, limit=limit,
    )


async def audit(tx: Transaction, action: str, before: int, limit: int) -> list[api.AuditEntry]:
    """The record of decisions, newest first."""
    rows = await tx.fetch(
        """
        SELECT position, audit_time, actor_id, action, subject_id, reason
        FROM audit
        WHERE position < :before AND (:action = '' OR action LIKE :action || '.%')
        ORDER BY position DESC
        LIMIT :limit
        """,
        before=before, action=action, limit=limit,
    )
    authors = await fetch_authors(tx, {row["actor_id"] for row in rows if row["actor_id"]})
    entries = []
    for row in rows:
        entry = api.AuditEntry(position=row["position"], action=row["action"], subject_id=row["subject_id"], reason=row["reason"])
        entry.actor.CopyFrom(authors.get(row["actor_id"]) or Author(person_id=row["actor_id"]))
        entry.audit_time.FromMicroseconds(row["audit_time"])
        entries.append(entry)
    return entries


async def silenced_until(tx: Reader, community_id: str, person_id: str) -> int:
    """Until when somebody may write nothing in a community, in microseconds since 1970; 0: they may write."""
    row = await tx.fetch_one(
        "SELECT end_time FROM silences WHERE community_id = :community_id AND person_id = :person_id",
        community_id=community_id, person_id=person_id,
    )
    return int(row["end_time"]) if row else 0


async def name_and_rules(tx: Transaction, community_id: str) -> tuple[str, str]:
    """What a community is called, and its rules; both empty where there is none."""
    row = await tx.fetch_one("SELECT name, rules FROM communities WHERE community_id = :community_id", community_id=community_id)
    return (row["name"], row["rules"]) if row else ("", "")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a post stands."""

    scope: str
    scope_id: str


async def place_of(tx: Transaction, post_id: str) -> Place | None:
    """Where a post stands; None where there is none."""
    row = await tx.fetch_one("SELECT scope, scope_id FROM posts WHERE post_id = :post_id", post_id=post_id)
    return Place(row["scope"], row["scope_id"]) if row else None


async def author_moderates(tx: Transaction, community_id: str, author_id: str) -> bool:
    """Whether somebody moderates a community: their own case goes to the administrators."""
    return await role_in(tx, community_id, author_id) >= _MODERATOR
