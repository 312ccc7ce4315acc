"""Ideas as a caller may see them."""
from __future__ import annotations

from collections.abc import Sequence

from libs.db.database import Row, Transaction, in_list
from libs.rpc.auth import Caller
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import ideas_service_pb2 as api
from watercooler.feed.v1.feed_service_pb2 import Author

from ..access import JOINS, VISIBLE, reader_keys
from .posts import fetch_authors, fetch_posts

_MODERATOR = int(events_pb2.MEMBER_ROLE_MODERATOR)
# What the column of votes holds; a token may say anything.
_VOTES_MOST = (1 << 31) - 1


def moderates(caller: Caller, role: int | None) -> bool:
    """Whether the caller looks after the place a post stands in."""
    return caller.is_administrator or (role or 0) >= _MODERATOR


def decides(caller: Caller, role: int | None) -> bool:
    """Whether the caller says where ideas stand: leaders, administrators, and who moderates the community (`role` there)."""
    return "leader" in caller.roles or moderates(caller, role)


async def list_ids(
    tx: Transaction, caller: Caller, state: int, order: api.IdeaOrder.ValueType, community_id: str, key: tuple[int, str] | None, limit: int
) -> Sequence[Row]:
    """Ids with their votes, past a key (votes and id) in an order."""
    number, post_id = key or (0, "")
    number = min(number, _VOTES_MOST)
    past = "i.post_id < :post_id"
    ranking = "i.post_id DESC"
    if order == api.IDEA_ORDER_UNSPECIFIED:
        past = "i.vote_count < :number OR (i.vote_count = :number AND i.post_id < :post_id)"
        ranking = "i.vote_count DESC, i.post_id DESC"
    return await tx.fetch(
        f"""
        SELECT i.post_id, i.vote_count
        FROM ideas i
        JOIN posts p ON p.post_id = i.post_id
        {JOINS}
        WHERE p.hidden = 0 AND {VISIBLE} AND (:state = 0 OR i.state = :state)
          AND (:community_id = '' OR (p.scope = 'community' AND p.scope_id = :community_id))
          AND (:first = 1 OR {past})
        ORDER BY {ranking}
        LIMIT :limit
        """,
        state=state, community_id=community_id, first=int(key is None), limit=limit, **reader_keys(caller),
        **({"number": number, "post_id": post_id} if order == api.IDEA_ORDER_UNSPECIFIED else {"post_id": post_id}),
    )


async def fetch_ideas(tx: Transaction, caller: Caller, post_ids: Sequence[str]) -> list[api.Idea]:
    """Ideas in the order of the ids, without those that the caller may not see."""
    if not post_ids:
        return []
    placeholders, params = in_list("i", post_ids)
    rows = await tx.fetch(
        f"""
        SELECT i.post_id, i.author_id, i.state, i.sponsor_id, i.objective_title, i.objective_url, i.vote_count, i.propose_time, m.role,
               (SELECT COUNT(*) FROM idea_votes v WHERE v.post_id = i.post_id AND v.person_id = :reader_id) AS voted
        FROM ideas i
        JOIN posts p ON p.post_id = i.post_id
        LEFT JOIN members m ON p.scope = 'community' AND m.community_id = p.scope_id AND m.person_id = :reader_id
        WHERE i.post_id IN ({placeholders})
        """,
        reader_id=caller.person_id, **params,
    )
    steps = await tx.fetch(
        f"SELECT post_id, state, person_id, reason, step_time FROM idea_steps WHERE post_id IN ({placeholders}) ORDER BY post_id, version",
        **params,
    )
    by_id = {row["post_id"]: row for row in rows}
    posts = await fetch_posts(tx, caller, list(by_id))
    authors = await fetch_authors(tx, {step["person_id"] for step in steps} | {row["sponsor_id"] for row in rows if row["sponsor_id"]})
    found = []
    for post_id in post_ids:
        row, post = by_id.get(post_id), posts.get(post_id)
        if row is None or post is None:
            continue
        me = caller.person_id
        may = bool(me) and not (post.deleted or post.erased)
        changes = may and (decides(caller, row["role"]) or me == row["sponsor_id"])
        idea = api.Idea(
            post=post, state=row["state"], vote_count=row["vote_count"], voted=bool(row["voted"]), objective_title=row["objective_title"],
            objective_url=row["objective_url"], can_vote=may and me != row["author_id"], can_change=changes,
            can_sponsor=may and not row["sponsor_id"] and me != row["author_id"] and not caller.is_guest,
            can_link=changes or (may and me == row["author_id"]),
        )
        idea.propose_time.FromMicroseconds(row["propose_time"])
        if row["sponsor_id"]:
            idea.sponsor.CopyFrom(authors.get(row["sponsor_id"]) or Author(person_id=row["sponsor_id"]))
        for step in steps:
            if step["post_id"] == post_id:
                shown = idea.steps.add(
                    state=step["state"], person=authors.get(step["person_id"]) or Author(person_id=step["person_id"]), reason=step["reason"]
                )
                shown.step_time.FromMicroseconds(step["step_time"])
        found.append(idea)
    return found
