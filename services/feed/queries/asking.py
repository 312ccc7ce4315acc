"""Questions with their answers, whom to bring them to, experts, and praise."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from libs.db.database import Row, Transaction, in_list
from libs.rpc.auth import Caller
from watercooler.feed.v1 import asking_service_pb2 as api
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1.asking_events_pb2 import (
    EXPERTISE_REASON_BEST_IN_COMMUNITY,
    EXPERTISE_REASON_BEST_ON_TAG,
    EXPERTISE_REASON_NAMED,
    EXPERTISE_REASON_VALUED_IN_COMMUNITY,
    EXPERTISE_REASON_VALUED_ON_TAG,
    Expertise,
    RoutedPerson,
)
from watercooler.feed.v1.feed_service_pb2 import Author

from ..access import JOINS, OPEN, VISIBLE, reader_keys, readers_among
from .posts import fetch_authors, fetch_posts
from .reading import silencing

EVIDENCE = 2_000
ROUTED_PEOPLE = 5
ROUTED_A_WEEK = 3
# Values are only counted over the company where at least so many people were thanked for them.
PRAISED_LEAST = 5
WEEK_MICROS = 7 * 86_400_000_000
_MODERATOR = int(events_pb2.MEMBER_ROLE_MODERATOR)
_VALUED_MOST = 10
_BEST_WEIGHT = 5
_NAMED_WEIGHT = 1_000

_ANSWERED = """
    EXISTS (SELECT 1 FROM question_answers a JOIN posts ap ON ap.post_id = a.answer_id
            WHERE a.question_id = q.post_id AND ap.hidden = 0 AND a.author_id <> q.author_id)
"""
_SOLVED = "EXISTS (SELECT 1 FROM posts bp WHERE bp.post_id = q.best_id AND bp.hidden = 0)"
_FILTERS = {
    api.QUESTION_FILTER_UNSPECIFIED: f"NOT {_ANSWERED} AND NOT {_SOLVED}",
    api.QUESTION_FILTER_OPEN: f"{_ANSWERED} AND NOT {_SOLVED}",
    api.QUESTION_FILTER_SOLVED: _SOLVED,
    api.QUESTION_FILTER_ALL: "1 = 1",
    api.QUESTION_FILTER_FOR_ME: f"""
        NOT {_SOLVED} AND EXISTS (SELECT 1 FROM question_routes r WHERE r.question_id = q.post_id AND r.person_id = :reader_id)
    """,
}


async def list_questions(
    tx: Transaction, caller: Caller, wanted: api.QuestionFilter.ValueType, community_id: str, key: str, limit: int, newest_first: bool
) -> list[str]:
    """Ids of questions that the caller may see, past one in their order."""
    rows = await tx.fetch(
        f"""
        SELECT q.post_id
        FROM questions q
        JOIN posts p ON p.post_id = q.post_id
        {JOINS}
        WHERE p.hidden = 0 AND {VISIBLE}
          AND (:community_id = '' OR (q.scope = 'community' AND q.scope_id = :community_id))
          AND (:key = '' OR q.post_id {'<' if newest_first else '>'} :key)
          AND {_FILTERS[wanted]}
        ORDER BY q.post_id {'DESC' if newest_first else ''}
        LIMIT :limit
        """,
        community_id=community_id, key=key, limit=limit, **reader_keys(caller),
    )
    return [row["post_id"] for row in rows]


async def fetch_question_row(tx: Transaction, post_id: str) -> Row | None:
    """The facts of a question, whoever asks."""
    return await tx.fetch_one(
        "SELECT post_id, author_id, scope, scope_id, ask_time, best_id, route_time FROM questions WHERE post_id = :post_id", post_id=post_id
    )


async def may_mark(tx: Transaction, caller: Caller, question: Row, role: int | None) -> bool:
    """Whether the caller asked it, moderates where it stands, or is an expert there; `role` is theirs in the community."""
    if not caller.person_id:
        return False
    if caller.person_id == question["author_id"] or caller.is_administrator or (role or 0) >= _MODERATOR:
        return True
    return question["scope"] == "community" and await is_expert(tx, question["scope_id"], caller.person_id)


async def fetch_questions(tx: Transaction, caller: Caller, post_ids: Sequence[str]) -> list[api.Question]:
    """Questions in the order of the ids, without those that the caller may not see or that ask nothing."""
    if not post_ids:
        return []
    placeholders, params = in_list("q", post_ids)
    rows = await tx.fetch(
        f"""
        SELECT q.post_id, q.author_id, q.scope, q.scope_id, q.best_id, q.route_time, m.role,
               (SELECT COUNT(*) FROM question_answers a JOIN posts ap ON ap.post_id = a.answer_id
                WHERE a.question_id = q.post_id AND ap.hidden = 0 AND a.author_id <> q.author_id) AS answers
        FROM questions q
        LEFT JOIN members m ON q.scope = 'community' AND m.community_id = q.scope_id AND m.person_id = :reader_id
        WHERE q.post_id IN ({placeholders})
        """,
        reader_id=caller.person_id, **params,
    )
    by_id = {row["post_id"]: row for row in rows}
    posts = await fetch_posts(tx, caller, [*by_id, *(row["best_id"] for row in rows if row["best_id"])])
    routes = await tx.fetch(
        f"SELECT question_id, person_id, reasons FROM question_routes WHERE question_id IN ({placeholders}) ORDER BY question_id, number",
        **params,
    )
    authors = await fetch_authors(tx, {route["person_id"] for route in routes})
    found = []
    for post_id in post_ids:
        row, post = by_id.get(post_id), posts.get(post_id)
        if row is None or post is None:
            continue
        question = api.Question(post=post, answer_count=row["answers"], can_mark=await may_mark(tx, caller, row, row["role"]))
        best = posts.get(row["best_id"])
        if best is not None and not (best.deleted or best.erased):
            question.best_answer.CopyFrom(best)
        if row["route_time"]:
            question.route_time.FromMicroseconds(row["route_time"])
        for route in routes:
            if route["question_id"] == post_id and route["person_id"] in authors:
                reasons = RoutedPerson.FromString(bytes(route["reasons"])).reasons
                question.asked_people.append(api.AskedPerson(person=authors[route["person_id"]], reasons=reasons))
        found.append(question)
    return found


# --- experts ----------------------------------------------------------------------------------------------------------


async def is_expert(tx: Transaction, community_id: str, person_id: str) -> bool:
    """Whether the person is named as an expert there."""
    row = await tx.fetch_one(
        "SELECT 1 AS one FROM experts WHERE community_id = :community_id AND person_id = :person_id",
        community_id=community_id, person_id=person_id,
    )
    return row is not None


async def list_experts(tx: Transaction, community_id: str) -> list[Author]:
    """The experts of a community who are here, in the order they were named."""
    rows = await tx.fetch(
        """
        SELECT a.card
        FROM experts e
        JOIN people a ON a.person_id = e.person_id
        WHERE e.community_id = :community_id AND a.departed = 0 AND a.erased = 0
        ORDER BY e.position
        """,
        community_id=community_id,
    )
    return [Author.FromString(bytes(row["card"])) for row in rows]


# --- bringing questions to people -------------------------------------------------------------------------------------


async def due_questions(tx: Transaction, since: int, until: int, limit: int) -> list[Row]:
    """Questions asked between two times that nobody has answered and that were brought to nobody, the oldest first."""
    return list(await tx.fetch(
        f"""
        SELECT q.post_id, q.author_id, q.scope, q.scope_id, p.thread_id
        FROM questions q
        JOIN posts p ON p.post_id = q.post_id
        WHERE q.route_time = 0 AND q.ask_time >= :since AND q.ask_time <= :until AND q.best_id = '' AND p.hidden = 0
          AND q.scope <> 'nobody' AND NOT {_ANSWERED}
        ORDER BY q.ask_time
        LIMIT :limit
        """,
        since=since, until=until, limit=limit,
    ))


@dataclass(slots=True)
class _Evidence:
    named: bool = False
    best: int = 0
    valued: int = 0
    best_on: dict[str, int] = field(default_factory=dict)
    valued_on: dict[str, int] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        best, valued = self.best + sum(self.best_on.values()), self.valued + sum(self.valued_on.values())
        return self.named * _NAMED_WEIGHT + _BEST_WEIGHT * best + min(valued, _VALUED_MOST)

    def reasons(self) -> list[Expertise]:
        found = [Expertise(reason=EXPERTISE_REASON_NAMED)] if self.named else []
        if self.best:
            found.append(Expertise(reason=EXPERTISE_REASON_BEST_IN_COMMUNITY, count=self.best))
        found += [Expertise(reason=EXPERTISE_REASON_BEST_ON_TAG, count=self.best_on[tag], tag=tag) for tag in sorted(self.best_on)]
        if self.valued:
            found.append(Expertise(reason=EXPERTISE_REASON_VALUED_IN_COMMUNITY, count=self.valued))
        found += [
            Expertise(reason=EXPERTISE_REASON_VALUED_ON_TAG, count=self.valued_on[tag], tag=tag) for tag in sorted(self.valued_on)
        ]
        return found


async def likely_experts(tx: Transaction, question: Row, now: int) -> list[RoutedPerson]:
    """At most five people who are likely to know, with why: named experts, then those whose answers were best or valued.

    Only what the question's readers may see counts as evidence: answers in the same place, and those that all employees see where it is
    an employee who asks. Nobody is chosen who may not see the question, who asked it, whom the asker muted or blocked or the other way
    round, or who was brought three questions within a week.
    """
    evidence: dict[str, _Evidence] = {}
    if question["scope"] == "community":
        for row in await tx.fetch("SELECT person_id FROM experts WHERE community_id = :of", of=question["scope_id"]):
            evidence.setdefault(row["person_id"], _Evidence()).named = True
        for row in await _answers(tx, question, "q.scope = 'community' AND q.scope_id = :scope_id", scope_id=question["scope_id"]):
            found = evidence.setdefault(row["author_id"], _Evidence())
            found.best += row["best"]
            found.valued += row["valued"]
    asker = await tx.fetch_one("SELECT employee FROM people WHERE person_id = :person_id", person_id=question["author_id"])
    employee = asker is not None and asker["employee"] == 1
    for tag_row in await tx.fetch("SELECT tag FROM post_tags WHERE post_id = :post_id ORDER BY tag", post_id=question["post_id"]):
        tag = tag_row["tag"]
        condition = f"""
            EXISTS (SELECT 1 FROM post_tags t WHERE t.tag = :tag AND t.post_id = q.post_id)
            AND ((q.scope = :scope AND q.scope_id = :scope_id AND q.scope IN ('community', 'group', 'chart'))
                 OR (:employee = 1 AND (q.scope = 'everyone' OR (q.scope = 'community' AND c.kind = {OPEN}))))
        """
        for row in await _answers(
            tx, question, condition, tag=tag, scope=question["scope"], scope_id=question["scope_id"], employee=int(employee)
        ):
            found = evidence.setdefault(row["author_id"], _Evidence())
            if row["best"]:
                found.best_on[tag] = found.best_on.get(tag, 0) + 1
            if row["valued"]:
                found.valued_on[tag] = found.valued_on.get(tag, 0) + row["valued"]
    evidence.pop(question["author_id"], None)
    likely = {person_id: found for person_id, found in evidence.items() if found.weight}
    allowed = await _askable(tx, question, list(likely), now) if likely else set()
    order = sorted(allowed, key=lambda person_id: (-likely[person_id].weight, person_id))
    return [RoutedPerson(person_id=person_id, reasons=likely[person_id].reasons()) for person_id in order[:ROUTED_PEOPLE]]


async def _answers(tx: Transaction, question: Row, condition: str, **params: str | int) -> Sequence[Row]:
    """The newest answers by others than the askers, each with whether it is the best and how many others reacted."""
    return await tx.fetch(
        f"""
        SELECT a.author_id, CASE WHEN q.best_id = a.answer_id THEN 1 ELSE 0 END AS best,
               (SELECT COUNT(DISTINCT r.person_id) FROM reactions r WHERE r.post_id = a.answer_id AND r.person_id <> a.author_id) AS valued
        FROM questions q
        JOIN question_answers a ON a.question_id = q.post_id
        JOIN posts p ON p.post_id = a.answer_id
        JOIN posts qp ON qp.post_id = q.post_id
        LEFT JOIN communities c ON q.scope = 'community' AND c.community_id = q.scope_id
        WHERE p.hidden = 0 AND qp.hidden = 0 AND a.author_id <> q.author_id AND q.post_id <> :question_id AND {condition}
        ORDER BY a.answer_id DESC
        LIMIT :evidence
        """,
        question_id=question["post_id"], evidence=EVIDENCE, **params,
    )


async def _askable(tx: Transaction, question: Row, person_ids: list[str], now: int) -> set[str]:
    asker_id = question["author_id"]
    wanted, params = in_list("p", person_ids)
    kept_away = await tx.fetch(
        f"""
        SELECT other_id FROM bonds
        WHERE person_id = :asker_id AND other_id IN ({wanted})
          AND (block_position > 0 OR (mute_position > 0 AND (expire_time = 0 OR expire_time > :now)))
        """,
        asker_id=asker_id, now=now, **params,
    )
    busy = await tx.fetch(
        f"""
        SELECT person_id FROM question_routes
        WHERE person_id IN ({wanted}) AND route_time > :since
        GROUP BY person_id
        HAVING COUNT(*) >= :most
        """,
        since=now - WEEK_MICROS, most=ROUTED_A_WEEK, **params,
    )
    silent = await silencing(tx, asker_id, person_ids, now, notifications=False)
    allowed = await readers_among(tx, question, person_ids)
    return allowed - silent - {row["other_id"] for row in kept_away} - {row["person_id"] for row in busy} - {asker_id}


# --- praise -----------------------------------------------------------------------------------------------------------


async def praise_by_value(tx: Transaction, caller: Caller, person_id: str) -> list[tuple[str, int]]:
    """How often a person was thanked for each value, in what the caller may see, the most frequent first."""
    rows = await tx.fetch(
        f"""
        SELECT n.value, COUNT(*) AS total
        FROM praises n
        JOIN posts p ON p.post_id = n.post_id
        {JOINS}
        WHERE n.person_id = :person_id AND p.hidden = 0 AND {VISIBLE}
        GROUP BY n.value
        ORDER BY total DESC, n.value
        """,
        person_id=person_id, **reader_keys(caller),
    )
    return [(row["value"], row["total"]) for row in rows]


async def praise_posts(tx: Transaction, caller: Caller, person_id: str, before: str, limit: int) -> list[str]:
    """Ids of the posts that thank a person and that the caller may see, the newest first."""
    rows = await tx.fetch(
        f"""
        SELECT n.post_id
        FROM praises n
        JOIN posts p ON p.post_id = n.post_id
        {JOINS}
        WHERE n.person_id = :person_id AND p.hidden = 0 AND (:before = '' OR n.post_id < :before) AND {VISIBLE}
        ORDER BY n.post_id DESC
        LIMIT :limit
        """,
        person_id=person_id, before=before, limit=limit, **reader_keys(caller),
    )
    return [row["post_id"] for row in rows]


async def praise_totals(tx: Transaction) -> list[tuple[str, int]]:
    """How often people were thanked for each value, over the company; a value with fewer than five thanked people is left out."""
    rows = await tx.fetch(
        """
        SELECT n.value, COUNT(*) AS total
        FROM praises n
        JOIN posts p ON p.post_id = n.post_id
        WHERE p.hidden = 0
        GROUP BY n.value
        HAVING COUNT(DISTINCT n.person_id) >= :least
        ORDER BY total DESC, n.value
        """,
        least=PRAISED_LEAST,
    )
    return [(row["value"], row["total"]) for row in rows]


def shown_authors(authors: Mapping[str, Author], person_ids: Sequence[str]) -> list[Author]:
    """The people in their order; one nobody knows is named by the id only."""
    return [authors.get(person_id) or Author(person_id=person_id) for person_id in person_ids]
