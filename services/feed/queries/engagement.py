"""How people talk with each other, in numbers only: no answer of these queries names anybody.

Posts are found by their ids, which begin with the millisecond of their time, so each query reads the days it is about and no more.
Imported posts count by their own time. What was deleted or erased does not count,
nor what bots wrote: they are no people.
"""
from __future__ import annotations

from typing import NamedTuple

from libs.db.database import Row, Transaction

DAY_MICROS = 86_400_000_000
WEEK_DAYS = 7
# A post has a day to find an answer before it counts as one that waits.
PATIENCE_DAYS = 1
ANNOUNCED_DAYS = 28


class Announced(NamedTuple):
    """Announcements, and the people of all of them together: addressed, seen to have read, and confirming."""

    announcements: int
    audience: int
    reached: int
    confirmed: int


def first_id(micros: int) -> str:
    """What sorts before every id made at or after a moment, and after every older one."""
    millis = f"{max(0, micros // 1_000):012x}"
    return f"{millis[:8]}-{millis[8:]}"


async def answers(tx: Transaction, now_micros: int) -> tuple[int, int]:
    """Posts that began a thread in the seven days before yesterday's this time: answered by somebody else, and still waiting."""
    row = await tx.fetch_one(
        """
        SELECT COUNT(*) AS posts,
               COALESCE(SUM(CASE WHEN EXISTS (
                   SELECT 1 FROM posts r
                   WHERE r.thread_id = p.post_id AND r.author_id <> p.author_id AND r.hidden = 0
                     AND r.author_id NOT IN (SELECT person_id FROM bot_accounts)
               ) THEN 1 ELSE 0 END), 0) AS answered
        FROM posts p
        WHERE p.post_id >= :since AND p.post_id < :until AND p.parent_id = '' AND p.hidden = 0
          AND p.reposted_id = '' AND p.author_id NOT IN (SELECT person_id FROM bot_accounts)
        """,
        since=first_id(now_micros - (WEEK_DAYS + PATIENCE_DAYS) * DAY_MICROS), until=first_id(now_micros - PATIENCE_DAYS * DAY_MICROS),
    )
    found = _counts(row, "answered", "posts")
    return found[0], found[1] - found[0]


async def conversations(tx: Transaction, now_micros: int) -> tuple[int, int, int]:
    """Threads answered within seven days in which two people or more wrote: from several departments, from one, and unknown.

    Unknown are those where the department of fewer than two writers is on record.
    """
    row = await tx.fetch_one(
        """
        SELECT COUNT(CASE WHEN departments > 1 THEN 1 END) AS several,
               COUNT(CASE WHEN departments = 1 AND placed > 1 THEN 1 END) AS one,
               COUNT(CASE WHEN placed < 2 THEN 1 END) AS unplaced
        FROM (
            SELECT p.thread_id, COUNT(DISTINCT p.author_id) AS writers,
                   COUNT(DISTINCT CASE WHEN s.department <> '' THEN s.department END) AS departments,
                   COUNT(DISTINCT CASE WHEN s.department <> '' THEN p.author_id END) AS placed
            FROM (
                SELECT DISTINCT thread_id FROM posts WHERE post_id >= :since AND parent_id <> '' AND hidden = 0
            ) recent
            JOIN posts p ON p.thread_id = recent.thread_id
            LEFT JOIN standings s ON s.person_id = p.author_id
            WHERE p.hidden = 0 AND p.author_id NOT IN (SELECT person_id FROM bot_accounts)
            GROUP BY p.thread_id
        ) threads
        WHERE writers > 1
        """,
        since=first_id(now_micros - WEEK_DAYS * DAY_MICROS),
    )
    several, one, unknown = _counts(row, "several", "one", "unplaced")
    return several, one, unknown


async def announced(tx: Transaction, now_micros: int) -> Announced:
    """What communications and leaders told everyone, or a group of the directory, in the last 28 days.

    The audience is who is here now. Reading leaves no trace in this network, so `reached` counts those of the audience who showed it:
    they confirmed, reacted or answered. It is a lower bound.
    """
    rows = await tx.fetch(
        """
        SELECT p.post_id, p.scope, p.scope_id, p.author_id
        FROM standings s
        JOIN posts p ON p.author_id = s.person_id
        WHERE s.announces > 0 AND p.post_id >= :since AND p.parent_id = '' AND p.hidden = 0 AND p.scope IN ('everyone', 'group')
          AND p.reposted_id = ''
        """,
        since=first_id(now_micros - ANNOUNCED_DAYS * DAY_MICROS),
    )
    audiences: dict[tuple[str, str], int] = {}
    audience = reached = confirmed = 0
    for row in rows:
        to = (row["scope"], row["scope_id"])
        if to not in audiences:
            audiences[to] = await _employees(tx, *to)
        # The author is one of those it is for, but nobody to be reached.
        audience += max(0, audiences[to] - await _is_among(tx, row["author_id"], *to))
        signs = _counts(await tx.fetch_one(_SIGNS, post_id=row["post_id"], author_id=row["author_id"]), "reached", "confirmed")
        reached += signs[0]
        confirmed += signs[1]
    return Announced(len(rows), audience, min(reached, audience), min(confirmed, audience))


_HERE = "p.employee = 1 AND p.departed = 0 AND p.erased = 0"
_SIGNS = f"""
    SELECT COUNT(DISTINCT signs.person_id) AS reached,
           COUNT(DISTINCT CASE WHEN signs.confirms = 1 THEN signs.person_id END) AS confirmed
    FROM (
        SELECT person_id, 1 AS confirms FROM responses WHERE post_id = :post_id AND confirmed = 1
        UNION ALL
        SELECT person_id, 0 AS confirms FROM reactions WHERE post_id = :post_id
        UNION ALL
        SELECT author_id AS person_id, 0 AS confirms FROM posts WHERE thread_id = :post_id AND hidden = 0
    ) signs
    JOIN people p ON p.person_id = signs.person_id
    WHERE signs.person_id <> :author_id AND {_HERE}
"""


async def _employees(tx: Transaction, scope: str, scope_id: str) -> int:
    if scope == "everyone":
        return _counts(await tx.fetch_one(f"SELECT COUNT(*) AS people FROM people p WHERE {_HERE}"), "people")[0]
    row = await tx.fetch_one(
        f"SELECT COUNT(*) AS people FROM group_members g JOIN people p ON p.person_id = g.person_id WHERE g.group_id = :of AND {_HERE}",
        of=scope_id,
    )
    return _counts(row, "people")[0]


async def _is_among(tx: Transaction, person_id: str, scope: str, scope_id: str) -> int:
    if scope == "everyone":
        row = await tx.fetch_one(f"SELECT COUNT(*) AS people FROM people p WHERE p.person_id = :person_id AND {_HERE}", person_id=person_id)
    else:
        row = await tx.fetch_one(
            f"""
            SELECT COUNT(*) AS people
            FROM group_members g JOIN people p ON p.person_id = g.person_id
            WHERE g.group_id = :of AND g.person_id = :person_id AND {_HERE}
            """,
            of=scope_id, person_id=person_id,
        )
    return _counts(row, "people")[0]


def _counts(row: Row | None, *columns: str) -> list[int]:
    return [int(row[column]) if row is not None else 0 for column in columns]
