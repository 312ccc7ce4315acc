"""Who may see what: the one place that knows Audience.

A post's row carries its thread's audience as `scope` and `scope_id`. Every read of posts goes through VISIBLE or `readers_among`, so a
revoked membership, follow or role counts from the moment its row is gone; nothing is decided when a post is written.

* everyone: all employees.
* followers: those who follow the named person, and that person; employees only.
* group: the members of the directory group; employees only.
* chart: the named person and everybody below them in the organisation chart; employees only.
* community: its members; all employees where it is open.
* people: those the thread's first post names, and its author.

Who leaves a group or a community that is not open loses sight of their own posts there too; but who announces to a group or a part of
the chart need not be in it to see what is answered.
Guests see what names them and the communities they were let into. Services acting for themselves see everything.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.db.database import Transaction, in_list
from libs.rpc.auth import Caller
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import events_pb2

OPEN = int(events_pb2.COMMUNITY_KIND_OPEN)
SECRET = int(events_pb2.COMMUNITY_KIND_SECRET)

# For a query over posts p, with the joins of JOINS and the parameters of `reader_keys`.
JOINS = """
    LEFT JOIN communities c ON p.scope = 'community' AND c.community_id = p.scope_id
    LEFT JOIN members m ON p.scope = 'community' AND m.community_id = p.scope_id AND m.person_id = :reader_id
"""
VISIBLE = f"""
    (:sees_all = 1
     OR (p.scope = 'everyone' AND (:employee = 1 OR p.author_id = :reader_id))
     OR (p.scope = 'community' AND (m.role IS NOT NULL OR (:employee = 1 AND c.kind = {OPEN})))
     OR (p.scope = 'followers' AND (p.scope_id = :reader_id OR (:employee = 1 AND EXISTS (
            SELECT 1 FROM follows f WHERE f.follower_id = :reader_id AND f.person_id = p.scope_id))))
     OR (p.scope = 'group' AND :employee = 1 AND EXISTS (
            SELECT 1 FROM group_members g WHERE g.group_id = p.scope_id AND g.person_id = :reader_id))
     OR (p.scope = 'chart' AND :employee = 1 AND EXISTS (
            SELECT 1 FROM chart_lines l WHERE l.manager_id = p.scope_id AND l.person_id = :reader_id))
     OR (p.scope IN ('group', 'chart') AND :employee = 1 AND EXISTS (
            SELECT 1 FROM announcements o WHERE o.announcement_id = p.thread_id AND o.author_id = :reader_id))
     OR (p.scope = 'people' AND EXISTS (
            SELECT 1 FROM thread_people t WHERE t.thread_id = p.thread_id AND t.person_id = :reader_id)))
"""

# For a query over communities c with members m of the caller joined: whether the community exists for them, and whether they read it.
LISTED = f"(:sees_all = 1 OR m.role IS NOT NULL OR (:employee = 1 AND c.kind <> {SECRET}))"
READABLE = f"(:sees_all = 1 OR m.role IS NOT NULL OR (:employee = 1 AND c.kind = {OPEN}))"


def reader_keys(caller: Caller) -> dict[str, Any]:
    """The parameters that the conditions above need to know of their reader."""
    return {
        "reader_id": caller.person_id,
        "employee": int(not caller.is_guest and bool(caller.person_id)),
        "sees_all": int(bool(caller.service) and not caller.person_id),
    }


def scope_of(audience: Audience) -> tuple[str, str]:
    """The columns that stand for an audience; an unset one is for nobody."""
    match audience.WhichOneof("kind"):
        case "everyone":
            return "everyone", ""
        case "followers_of_id":
            return "followers", audience.followers_of_id
        case "group_id":
            return "group", audience.group_id
        case "community_id":
            return "community", audience.community_id
        case "people":
            return "people", ""
        case "chart_of_id":
            return "chart", audience.chart_of_id
        case _:
            return "nobody", ""


async def readers_among(tx: Transaction, post: Any, person_ids: Sequence[str]) -> set[str]:
    """Those of the people who may see a post, given its row; nobody who left or was erased.

    The rules are those of VISIBLE, asked for many people and one post instead of one person and many posts.
    """
    wanted, params = in_list("p", person_ids)
    people = await tx.fetch(
        f"""
        SELECT person_id, CASE WHEN guest = 1 AND employee = 0 THEN 1 ELSE 0 END AS guest
        FROM people
        WHERE person_id IN ({wanted}) AND departed = 0 AND erased = 0
        """,
        **params,
    )
    everybody = {row["person_id"] for row in people}
    employees = {row["person_id"] for row in people if not row["guest"]}
    scope, scope_id, author = post["scope"], post["scope_id"], {post["author_id"]}
    match scope:
        case "everyone":
            return employees | (author & everybody)
        case "community":
            members = await _among(
                tx, f"SELECT person_id FROM members WHERE community_id = :of AND person_id IN ({wanted})", scope_id, params
            )
            community = await tx.fetch_one("SELECT kind FROM communities WHERE community_id = :of", of=scope_id)
            opened = employees if community is not None and community["kind"] == OPEN else set()
            return (members | opened) & everybody
        case "followers":
            followers = await _among(
                tx, f"SELECT follower_id AS person_id FROM follows WHERE person_id = :of AND follower_id IN ({wanted})", scope_id, params
            )
            return (followers & employees) | ({scope_id} & everybody)
        case "group":
            in_group = await _among(
                tx, f"SELECT person_id FROM group_members WHERE group_id = :of AND person_id IN ({wanted})", scope_id, params
            )
            return (in_group | await _announcer(tx, post["thread_id"])) & employees
        case "chart":
            below = await _among(
                tx, f"SELECT person_id FROM chart_lines WHERE manager_id = :of AND person_id IN ({wanted})", scope_id, params
            )
            return (below | await _announcer(tx, post["thread_id"])) & employees
        case "people":
            named = await _among(
                tx, f"SELECT person_id FROM thread_people WHERE thread_id = :of AND person_id IN ({wanted})", post["thread_id"], params
            )
            return named & everybody
        case _:
            return set()


async def _among(tx: Transaction, sql: str, of: str, params: dict[str, Any]) -> set[str]:
    return {row["person_id"] for row in await tx.fetch(sql, of=of, **params)}


async def _announcer(tx: Transaction, thread_id: str) -> set[str]:
    row = await tx.fetch_one("SELECT author_id FROM announcements WHERE announcement_id = :thread_id", thread_id=thread_id)
    return {row["author_id"]} if row is not None else set()
