"""The ranked order: what counts, what it tells of itself, and that no author fills it."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.feed.queries.ranking import PINNED, BadPin, pin, short_of, unpin
from services.feed.ranking import IN_A_ROW, REASONS_MAX, Ranked, Signals, order, rank


def signals(**fields: Any) -> Signals:
    return Signals(**({"post_id": "p", "author_id": "a", "age_hours": 1.0} | fields))


@pytest.mark.parametrize(
    "better",
    [
        {"following": True}, {"following": True, "followed_by": True}, {"author_points": 4}, {"community_points": 4},
        {"reacted_by_followed": 2}, {"addressed": True}, {"open_question": True, "question_routed": True}, {"reply_count": 9},
        {"unconfirmed": True}, {"age_hours": 0.0},
    ],
)
def test_each_merit_lifts_a_post_and_is_said(better: dict[str, Any]) -> None:
    plain, lifted = rank(signals()), rank(signals(**better))
    assert lifted.score > plain.score
    assert plain.reasons == ("New",)
    if "age_hours" not in better:
        assert lifted.reasons != ("New",)


@pytest.mark.parametrize("worse", [{"responded": True}, {"seen": True}, {"own": True}, {"muted": True}, {"age_hours": 48.0}])
def test_what_speaks_against_a_post_lowers_it(worse: dict[str, Any]) -> None:
    assert rank(signals(**worse)).score < rank(signals()).score


def test_an_announcement_that_waits_is_not_lowered_by_being_seen() -> None:
    assert rank(signals(unconfirmed=True, seen=True)).score == rank(signals(unconfirmed=True)).score


def test_reasons_are_the_strongest_and_few() -> None:
    best = rank(signals(
        following=True, followed_by=True, author_points=40, community_points=40, reacted_by_followed=5, addressed=True, reply_count=30,
        unconfirmed=True,
    ))
    assert best.reasons == ("An announcement that waits for your confirmation", "Addressed to you", "You often talk with the author")
    assert len(best.reasons) == REASONS_MAX
    assert rank(signals(reacted_by_followed=1)).reasons == ("1 person you follow reacted",)


def test_scores_halve_in_a_day() -> None:
    assert rank(signals(age_hours=25.0)).score == pytest.approx(rank(signals(age_hours=1.0)).score / 2)


posts = st.lists(
    st.tuples(st.integers(0, 4), st.floats(0, 10, allow_nan=False)), max_size=40,
).map(lambda drawn: [Ranked(f"{number:03}", f"author {author}", score, ()) for number, (author, score) in enumerate(drawn)])


@settings(deadline=None)
@given(posts)
def test_an_order_keeps_every_post_and_no_author_fills_it(ranked: list[Ranked]) -> None:
    found = order(ranked)
    assert sorted(each.post_id for each in found) == sorted(each.post_id for each in ranked)
    for at in range(len(found) - IN_A_ROW):
        run = found[at:at + IN_A_ROW + 1]
        if len({each.author_id for each in run}) == 1:
            assert {each.author_id for each in found[at:]} == {run[0].author_id}, "only where nobody else is left"
    if found:
        assert found[0].score == max(each.score for each in ranked)


@settings(deadline=None)
@given(st.integers(0, 1 << 60), st.lists(st.uuids().map(str), max_size=PINNED))
def test_a_token_pins_the_order(now: int, post_ids: list[str]) -> None:
    assert unpin(pin(now, post_ids)) == (now, [short_of(post_id) for post_id in post_ids])


@pytest.mark.parametrize("pinned", [b"x", b"12345678x", b"\xff" * 8, b"\x00" * (8 + 6 * (PINNED + 1))])
def test_other_tokens_are_refused(pinned: bytes) -> None:
    with pytest.raises(BadPin):
        unpin(pinned)
