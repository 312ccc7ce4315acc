"""Communities and groups as texts call them."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from libs.db.database import Reader, Transaction, in_list
from libs.rpc.auth import Caller
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1.feed_service_pb2 import Mention, Post

from ..access import LISTED, reader_keys

_MODERATOR = int(events_pb2.MEMBER_ROLE_MODERATOR)
# A group whose handle a person or community has too is called with this after it.
GROUP_TAIL = "-group"


class Called(NamedTuple):
    """A community or group that a text calls, how many are in it, and whether the caller looks after it."""

    kind: str
    id: str
    handle: str
    size: int
    keeps: bool


async def called(tx: Transaction, caller: Caller, names: Sequence[str]) -> list[Called]:
    """What the names call that the caller may call so: communities they are in and, for employees, groups; people come first."""
    forms = list(dict.fromkeys([*names, *(name.removesuffix(GROUP_TAIL) for name in names)]))
    wanted, params = in_list("n", forms)
    rows = await tx.fetch(
        f"""
        SELECT 'person' AS kind, handle, person_id AS id, 0 AS size, 0 AS role
        FROM people
        WHERE handle IN ({wanted}) AND departed = 0 AND erased = 0
        UNION ALL
        SELECT 'community', c.handle, c.community_id, n.member_count, m.role
        FROM communities c
        JOIN members m ON m.community_id = c.community_id AND m.person_id = :reader_id
        JOIN member_counts n ON n.community_id = c.community_id
        WHERE c.handle IN ({wanted}) AND c.archived = 0
        UNION ALL
        SELECT 'group', g.handle, g.group_id, (SELECT COUNT(*) FROM group_members o WHERE o.group_id = g.group_id), 0
        FROM group_handles g
        WHERE g.handle IN ({wanted}) AND :employee = 1
        """,
        reader_id=caller.person_id, employee=int(not caller.is_guest), **params,
    )
    by_kind: dict[str, dict[str, Called]] = {"person": {}, "community": {}, "group": {}}
    for row in rows:
        by_kind[row["kind"]][row["handle"]] = Called(
            row["kind"], row["id"], row["handle"], row["size"], (row["role"] or 0) >= _MODERATOR
        )
    found: dict[str, Called] = {}
    for name in names:
        if name in by_kind["person"]:
            continue
        one = by_kind["community"].get(name) or by_kind["group"].get(name) or by_kind["group"].get(name.removesuffix(GROUP_TAIL))
        if one is not None:
            found.setdefault(one.id, one)
    return list(found.values())


async def name_places(tx: Transaction, caller: Caller, posts: Iterable[Post]) -> None:
    """Fill in handles and names of the communities and groups that posts call; what does not exist for the reader stays a word."""
    places: list[Mention] = [mention for post in posts for mention in post.mentions if not mention.person_id]
    if not places:
        return
    communities, community_params = in_list("c", sorted({mention.community_id for mention in places if mention.community_id}))
    groups, group_params = in_list("g", sorted({mention.group_id for mention in places if mention.group_id}))
    rows = await tx.fetch(
        f"""
        SELECT c.community_id AS id, c.handle, c.name
        FROM communities c
        LEFT JOIN members m ON m.community_id = c.community_id AND m.person_id = :reader_id
        WHERE c.community_id IN ({communities}) AND {LISTED}
        UNION ALL
        SELECT group_id AS id, handle, name FROM group_handles WHERE group_id IN ({groups}) AND (:employee = 1 OR :sees_all = 1)
        """,
        **community_params, **group_params, **reader_keys(caller),
    )
    known = {row["id"]: row for row in rows}
    for mention in places:
        if (row := known.get(mention.community_id or mention.group_id)) is not None:
            mention.handle, mention.display_name = row["handle"], row["name"]


async def suggest(tx: Transaction, caller: Caller, start: str, limit: int) -> list[Mention]:
    """What the caller may call whose handle or name begins so: communities they are in, then groups, by handle."""
    pattern = start.casefold().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = await tx.fetch(
        """
        SELECT 0 AS kind, c.community_id AS id, c.handle, c.name, 0 AS taken
        FROM communities c
        JOIN members m ON m.community_id = c.community_id AND m.person_id = :reader_id
        WHERE c.archived = 0 AND (c.handle LIKE :pattern || '%' ESCAPE '\\' OR c.sort_name LIKE :pattern || '%' ESCAPE '\\')
        UNION ALL
        SELECT 1 AS kind, g.group_id AS id, g.handle, g.name,
               (SELECT COUNT(*) FROM communities o WHERE o.handle = g.handle)
                   + (SELECT COUNT(*) FROM people p WHERE p.handle = g.handle) AS taken
        FROM group_handles g
        WHERE :employee = 1 AND g.handle LIKE :pattern || '%' ESCAPE '\\'
        ORDER BY kind, handle
        LIMIT :limit
        """,
        pattern=pattern, limit=limit, reader_id=caller.person_id, employee=int(not caller.is_guest),
    )
    return [
        Mention(community_id=row["id"], handle=row["handle"], display_name=row["name"]) if not row["kind"]
        else Mention(group_id=row["id"], handle=row["handle"] + (GROUP_TAIL if row["taken"] else ""), display_name=row["name"])
        for row in rows
    ]


async def members_of(reader: Reader, community_ids: Sequence[str], group_ids: Sequence[str], after: str, limit: int) -> list[str]:
    """The people in any of them past an id, in order."""
    communities, community_params = in_list("c", list(community_ids))
    groups, group_params = in_list("g", list(group_ids))
    rows = await reader.fetch(
        f"""
        SELECT person_id FROM members WHERE community_id IN ({communities}) AND person_id > :after
        UNION
        SELECT person_id FROM group_members WHERE group_id IN ({groups}) AND person_id > :after
        ORDER BY person_id
        LIMIT :limit
        """,
        after=after, limit=limit, **community_params, **group_params,
    )
    return [row["person_id"] for row in rows]


async def notified_of(tx: Transaction, post_id: str, person_ids: Sequence[str]) -> set[str]:
    """Those of the people who have been told of a post already."""
    wanted, params = in_list("p", person_ids)
    rows = await tx.fetch(
        f"SELECT recipient_id FROM notifications WHERE post_id = :post_id AND recipient_id IN ({wanted})", post_id=post_id, **params
    )
    return {row["recipient_id"] for row in rows}
