"""How posts are ranked for a reader: pure functions whose weights are all here, and whose reasons are shown with each post.

    score = (1 + what speaks for it) * 2^(-age / 24 h) * what speaks against it, and 2 more for an announcement that waits to be confirmed

Chronological is the default; this order is for whoever asks for it. Nothing here knows what anybody clicked or how long they looked.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import Final

HALF_LIFE_HOURS: Final = 24.0

# What speaks for a post, as parts of 1: a bonus of 1 makes it worth as much as one a day younger.
MUTUAL: Final = 0.8
FOLLOWING: Final = 0.4
# Up to so much for replies to the author (2 points each) and reactions to them (1 each), reached at 31 points.
AFFINITY_MAX: Final = 1.2
AFFINITY_FULL: Final = 5.0
# Up to so much for what the reader wrote and reacted to in the post's community, reached at 15 points.
COMMUNITY_MAX: Final = 0.8
COMMUNITY_FULL: Final = 4.0
# For each doubling of the people the reader follows who reacted.
REACTED: Final = 0.4
REACTED_MAX: Final = 1.2
ADDRESSED: Final = 1.5
QUESTION_ROUTED: Final = 1.5
QUESTION_NEAR: Final = 0.6
DISCUSSED: Final = 0.1
DISCUSSED_MAX: Final = 0.4
UNCONFIRMED: Final = 2.0

# What speaks against it, as factors.
RESPONDED: Final = 0.25
SEEN: Final = 0.4
OWN: Final = 0.5
MUTED: Final = 0.05

REASONS_MAX: Final = 3
IN_A_ROW: Final = 2
# Fewer posts of one kind of merit are no reason worth telling.
DISCUSSED_FROM: Final = 8
COMMUNITY_FROM: Final = 3
AFFINITY_FROM: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What is known of a post and its reader. Counts are never negative; `age_hours` of a post from the future is 0."""

    post_id: str
    author_id: str
    age_hours: float
    own: bool = False
    following: bool = False
    followed_by: bool = False
    # Points with the author and in the community: 2 a reply, 1 a reaction, of the reader's newest 50 and 100.
    author_points: int = 0
    community_points: int = 0
    # People the reader follows among the newest 50 who reacted.
    reacted_by_followed: int = 0
    reply_count: int = 0
    addressed: bool = False
    # A question without a best answer; and whether it was sent to this reader as one who may know.
    open_question: bool = False
    question_routed: bool = False
    unconfirmed: bool = False
    responded: bool = False
    seen: bool = False
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Ranked:
    """A post with its score and, strongest first, the reasons for it."""

    post_id: str
    author_id: str
    score: float
    reasons: tuple[str, ...]


def rank(signals: Signals) -> Ranked:
    """The score of a post for its reader; never negative."""
    merits: list[tuple[float, str]] = []
    if signals.following and signals.followed_by:
        merits.append((MUTUAL, "You and the author follow each other"))
    elif signals.following:
        merits.append((FOLLOWING, "You follow the author"))
    if signals.author_points and not signals.own:
        merits.append((
            AFFINITY_MAX * min(1.0, log2(1 + signals.author_points) / AFFINITY_FULL),
            "You often talk with the author" if signals.author_points >= AFFINITY_FROM else "",
        ))
    if signals.community_points:
        merits.append((
            COMMUNITY_MAX * min(1.0, log2(1 + signals.community_points) / COMMUNITY_FULL),
            "From a community you take part in" if signals.community_points >= COMMUNITY_FROM else "",
        ))
    if signals.reacted_by_followed:
        count = signals.reacted_by_followed
        merits.append((
            min(REACTED_MAX, REACTED * log2(1 + count)),
            "1 person you follow reacted" if count == 1 else f"{count} people you follow reacted",
        ))
    if signals.addressed and not signals.own:
        merits.append((ADDRESSED, "Addressed to you"))
    if signals.open_question and not signals.own:
        if signals.question_routed:
            merits.append((QUESTION_ROUTED, "A question you may know the answer to"))
        elif signals.community_points >= COMMUNITY_FROM:
            merits.append((QUESTION_NEAR, "An open question where you take part"))
    if signals.reply_count:
        merits.append((
            min(DISCUSSED_MAX, DISCUSSED * log2(1 + signals.reply_count)),
            "Much discussed" if signals.reply_count >= DISCUSSED_FROM else "",
        ))
    score = (1.0 + sum(worth for worth, _ in merits)) * 2.0 ** (-max(0.0, signals.age_hours) / HALF_LIFE_HOURS)
    for holds, factor in (
        (signals.responded, RESPONDED), (signals.seen and not signals.unconfirmed, SEEN), (signals.own, OWN), (signals.muted, MUTED),
    ):
        if holds:
            score *= factor
    if signals.unconfirmed:
        score += UNCONFIRMED
        merits.append((UNCONFIRMED, "An announcement that waits for your confirmation"))
    reasons = [reason for worth, reason in sorted(merits, key=lambda merit: -merit[0]) if reason][:REASONS_MAX]
    return Ranked(signals.post_id, signals.author_id, score, tuple(reasons or ["New"]))


def order(ranked: Sequence[Ranked]) -> list[Ranked]:
    """The best first, newer before older where equal; of one author no more than two in a row while there is another's."""
    waiting = sorted(ranked, key=lambda each: (each.score, each.post_id), reverse=True)
    found: list[Ranked] = []
    while waiting:
        last = found[-IN_A_ROW:]
        full = last[0].author_id if len(last) == IN_A_ROW and len({each.author_id for each in last}) == 1 else None
        at = next((at for at, each in enumerate(waiting) if each.author_id != full), 0)
        found.append(waiting.pop(at))
    return found
