"""Rules, holds and exports as they are now; what a rule would delete, and what is protected from it."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from libs.db.database import Reader, Row, Transaction, in_list
from libs.rpc.auth import Caller
from watercooler.feed.v1 import moderation_service_pb2 as moderation
from watercooler.feed.v1 import retention_events_pb2 as pb
from watercooler.feed.v1 import retention_service_pb2 as api
from watercooler.feed.v1.moderation_events_pb2 import CASE_OUTCOME_REMOVED

from ..projections.retention import first_key
from .posts import fetch_authors, fetch_posts

DAY_MICROS = 86_400_000_000
EXAMPLES = 20
# Departments with fewer posts are not told apart.
FEWEST = 5
APPEAL_DAYS = 30

SCOPES = {
    pb.RETENTION_AUDIENCE_EVERYONE: "everyone", pb.RETENTION_AUDIENCE_COMMUNITY: "community", pb.RETENTION_AUDIENCE_PEOPLE: "people",
    pb.RETENTION_AUDIENCE_FOLLOWERS: "followers", pb.RETENTION_AUDIENCE_GROUP: "group", pb.RETENTION_AUDIENCE_CHART: "chart",
}

# For a query over posts p: an active legal hold is about it.
HELD = f"""
    EXISTS (
        SELECT 1 FROM holds h
        WHERE h.active = 1 AND p.post_id >= h.from_key AND p.post_id < h.until_key
          AND (h.subject = {int(pb.HOLD_SUBJECT_EVERYTHING)}
               OR (h.subject = {int(pb.HOLD_SUBJECT_PERSON)} AND h.subject_id = p.author_id)
               OR (h.subject = {int(pb.HOLD_SUBJECT_COMMUNITY)} AND p.scope = 'community' AND h.subject_id = p.scope_id)))
"""
# A case about it waits to be decided.
_IN_CASE = f"""
    EXISTS (SELECT 1 FROM cases k WHERE k.subject_id = p.post_id AND k.state <> {int(moderation.CASE_STATE_DECIDED)})
"""
_PROTECTED = f"({HELD} OR {_IN_CASE})"
_OLD = f"""
    p.hidden = 0 AND p.scope = :scope AND (:scope_id = '' OR p.scope_id = :scope_id) AND p.post_id < :cutoff
    AND (:unit <> {int(pb.RETENTION_UNIT_THREAD)} OR NOT EXISTS (
        SELECT 1 FROM posts n WHERE n.thread_id = p.thread_id AND n.hidden = 0 AND n.post_id >= :cutoff))
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a rule is about, at one moment; `cutoff` is the first post id that is too young."""

    scope: str
    scope_id: str
    unit: int
    cutoff: str
    cutoff_micros: int

    def params(self) -> dict[str, Any]:
        """The parameters of the conditions above."""
        return {"scope": self.scope, "scope_id": self.scope_id, "unit": self.unit, "cutoff": self.cutoff}


def selection(rule: Row, now_micros: int) -> Selection:
    """What a rule's row is about now."""
    cutoff = max(0, now_micros - rule["age_days"] * DAY_MICROS)
    return Selection(SCOPES[rule["audience"]], rule["audience_id"], rule["unit"], first_key(cutoff), cutoff)


async def fetch_rule(tx: Reader, rule_id: str) -> Row | None:
    """A rule's row."""
    return await tx.fetch_one("SELECT * FROM rules WHERE rule_id = :rule_id", rule_id=rule_id)


async def list_rules(tx: Reader) -> Sequence[Row]:
    """All rules, the newest first."""
    return await tx.fetch("SELECT * FROM rules ORDER BY rule_id DESC")


async def enabled_rules(tx: Reader) -> Sequence[Row]:
    """The rules that are switched on, in order."""
    return await tx.fetch("SELECT * FROM rules WHERE enabled = 1 ORDER BY rule_id")


async def runs(tx: Reader, rule_id: str, limit: int) -> list[api.RuleRun]:
    """The newest runs of a rule."""
    rows = await tx.fetch(
        """
        SELECT deleted_count, protected_count, start_time, end_time, partial
        FROM rule_runs
        WHERE rule_id = :rule_id
        ORDER BY position DESC
        LIMIT :limit
        """,
        rule_id=rule_id, limit=limit,
    )
    found = []
    for row in rows:
        run = api.RuleRun(deleted_count=row["deleted_count"], protected_count=row["protected_count"], partial=bool(row["partial"]))
        run.start_time.FromMicroseconds(row["start_time"])
        run.end_time.FromMicroseconds(row["end_time"])
        found.append(run)
    return found


async def due(tx: Reader, chosen: Selection, limit: int) -> list[str]:
    """The oldest posts that the rule deletes now."""
    rows = await tx.fetch(
        f"SELECT p.post_id FROM posts p WHERE {_OLD} AND NOT {_PROTECTED} ORDER BY p.post_id LIMIT :limit",
        **chosen.params(), limit=limit,
    )
    return [row["post_id"] for row in rows]


async def still_due(tx: Reader, chosen: Selection, post_ids: Sequence[str]) -> set[str]:
    """Those of the posts that the rule still deletes, asked just before it does."""
    wanted, params = in_list("i", post_ids)
    rows = await tx.fetch(
        f"SELECT p.post_id FROM posts p WHERE p.post_id IN ({wanted}) AND {_OLD} AND NOT {_PROTECTED}", **params, **chosen.params()
    )
    return {row["post_id"] for row in rows}


async def count_protected(tx: Reader, chosen: Selection) -> int:
    """How many posts the rule would delete but for a hold or an open case."""
    row = await tx.fetch_one(f"SELECT COUNT(*) AS posts FROM posts p WHERE {_OLD} AND {_PROTECTED}", **chosen.params())
    return int(row["posts"]) if row else 0


async def rehearse(tx: Transaction, caller: Caller, rule_id: str, chosen: Selection) -> api.Rehearsal:
    """What the rule would delete now; examples are shown as far as the caller may see them."""
    totals = await tx.fetch_one(
        f"""
        SELECT COUNT(*) AS posts, COALESCE(MIN(p.post_id), '') AS oldest, COALESCE(MAX(p.post_id), '') AS newest
        FROM posts p WHERE {_OLD} AND NOT {_PROTECTED}
        """,
        **chosen.params(),
    )
    assert totals is not None
    departments = await tx.fetch(
        f"""
        SELECT COALESCE(s.department, '') AS department, COUNT(*) AS posts
        FROM posts p LEFT JOIN standings s ON s.person_id = p.author_id
        WHERE {_OLD} AND NOT {_PROTECTED}
        GROUP BY COALESCE(s.department, '')
        ORDER BY posts DESC, department
        """,
        **chosen.params(),
    )
    ids = await due(tx, chosen, EXAMPLES)
    shown = await fetch_posts(tx, caller, ids)
    rehearsal = api.Rehearsal(rule_id=rule_id, post_count=totals["posts"], protected_count=await count_protected(tx, chosen))
    few = sum(row["posts"] for row in departments if not row["department"] or row["posts"] < FEWEST)
    rehearsal.departments.extend(
        api.DepartmentCount(department=row["department"], post_count=row["posts"])
        for row in departments if row["department"] and row["posts"] >= FEWEST
    )
    if few:
        rehearsal.departments.add(post_count=few)
    rehearsal.cutoff_time.FromMicroseconds(chosen.cutoff_micros)
    if totals["oldest"]:
        rehearsal.oldest_time.FromMilliseconds(_millis(totals["oldest"]))
        rehearsal.newest_time.FromMilliseconds(_millis(totals["newest"]))
    for post_id in ids:
        example = rehearsal.examples.add(post_id=post_id)
        example.publish_time.FromMilliseconds(_millis(post_id))
        if post_id in shown:
            example.post.CopyFrom(shown[post_id])
    return rehearsal


def _millis(post_id: str) -> int:
    return int(post_id[:8] + post_id[9:13], 16)


async def is_held(tx: Reader, post_id: str) -> bool:
    """Whether an active legal hold is about a post."""
    row = await tx.fetch_one(f"SELECT 1 AS one FROM posts p WHERE p.post_id = :post_id AND {HELD}", post_id=post_id)
    return row is not None


async def kept_in_vain(tx: Reader, now_micros: int, limit: int) -> list[str]:
    """Deleted posts that are put aside though nothing asks for it: no hold, and no removal that an appeal may still take back."""
    rows = await tx.fetch(
        f"""
        SELECT a.post_id
        FROM kept_posts a JOIN posts p ON p.post_id = a.post_id
        WHERE NOT {HELD} AND NOT {_IN_CASE}
          AND NOT EXISTS (
            SELECT 1 FROM cases k
            WHERE k.subject_id = p.post_id AND k.outcome = {int(CASE_OUTCOME_REMOVED)} AND k.decide_time > :since)
        ORDER BY a.post_id
        LIMIT :limit
        """,
        since=now_micros - APPEAL_DAYS * DAY_MICROS, limit=limit,
    )
    return [row["post_id"] for row in rows]


async def list_holds(tx: Transaction, *, lifted: bool, person_id: str) -> list[api.Hold]:
    """Holds, the newest first; with a person those that are about what they wrote."""
    rows = await tx.fetch(
        f"""
        SELECT h.*, c.name AS community_name, p.display_name
        FROM holds h
        LEFT JOIN communities c ON h.subject = {int(pb.HOLD_SUBJECT_COMMUNITY)} AND c.community_id = h.subject_id
        LEFT JOIN people p ON h.subject = {int(pb.HOLD_SUBJECT_PERSON)} AND p.person_id = h.subject_id
        WHERE (h.active = 1 OR :lifted = 1)
          AND (:person_id = '' OR h.subject = {int(pb.HOLD_SUBJECT_EVERYTHING)} OR h.subject_id = :person_id
               OR EXISTS (SELECT 1 FROM posts q
                          WHERE q.author_id = :person_id AND q.scope = 'community' AND q.scope_id = h.subject_id
                            AND q.post_id >= h.from_key AND q.post_id < h.until_key))
        ORDER BY h.hold_id DESC
        """,
        lifted=int(lifted), person_id=person_id,
    )
    authors = await fetch_authors(tx, {row["placer_id"] for row in rows})
    found = []
    for row in rows:
        hold = api.Hold(
            hold_id=row["hold_id"], subject=row["subject"], subject_id=row["subject_id"],
            subject_name=row["community_name"] or row["display_name"] or "", reason=row["reason"], active=bool(row["active"]),
            lift_reason=row["lift_reason"],
        )
        if (placer := authors.get(row["placer_id"])) is not None:
            hold.placer.CopyFrom(placer)
        hold.place_time.FromMicroseconds(row["place_time"])
        for field in ("from_time", "until_time", "lift_time"):
            if row[field]:
                getattr(hold, field).FromMicroseconds(row[field])
        found.append(hold)
    return found


async def subject_name(tx: Reader, subject_id: str) -> str:
    """The name of a community, a group or a person."""
    for table, key, name in (
        ("communities", "community_id", "name"), ("directory_groups", "group_id", "name"), ("people", "person_id", "display_name"),
    ):
        row = await tx.fetch_one(f"SELECT {name} AS name FROM {table} WHERE {key} = :subject_id", subject_id=subject_id)
        if row is not None:
            return str(row["name"])
    return ""
