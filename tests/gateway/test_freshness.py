"""Answers given again while nothing has happened."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway import freshness
from services.gateway.following import FromNow
from services.gateway.freshness import Answer, Freshness


async def nothing(event: Any) -> None:
    """Take an event."""


@pytest.fixture
def followed() -> FromNow:
    made = FromNow("test", None, nothing)
    made.position = 7
    return made


def test_an_answer_counts_until_an_event_a_write_or_a_second(followed: FromNow, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Freshness()
    fresh.watch(followed)
    answer = Answer(b"[]", "")

    def keep() -> None:
        fresh.keep(fresh.mark(), answer, "ann", "/home")
        assert fresh.find("ann", "/home") is answer

    keep()
    assert fresh.find("bob", "/home") is None
    followed.position = 8
    assert fresh.find("ann", "/home") is None
    keep()
    fresh.wrote()
    assert fresh.find("ann", "/home") is None
    keep()
    later = freshness.time.monotonic() + freshness.SECONDS + 0.1
    monkeypatch.setattr(freshness.time, "monotonic", lambda: later)
    assert fresh.find("ann", "/home") is None


def test_what_happened_while_it_was_made_counts(followed: FromNow) -> None:
    fresh = Freshness()
    fresh.watch(followed)
    mark = fresh.mark()
    followed.position = 9
    fresh.keep(mark, Answer(b"[]", ""), "ann")
    assert fresh.find("ann") is None


def test_nothing_is_kept_before_the_logs_are_followed() -> None:
    fresh = Freshness()
    fresh.watch(FromNow("test", None, nothing))
    assert fresh.mark() == ()
    fresh.keep(fresh.mark(), Answer(b"[]", ""), "ann")
    assert fresh.find("ann") is None


def test_what_is_kept_has_a_size(followed: FromNow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "BYTES", 100)
    monkeypatch.setattr(freshness, "ENTRY_BYTES", 0)
    fresh = Freshness()
    fresh.watch(followed)
    for number in range(20):
        fresh.keep(fresh.mark(), Answer(bytes(30), ""), str(number))
    assert [number for number in range(20) if fresh.find(str(number)) is not None] == [17, 18, 19]
    fresh.keep(fresh.mark(), Answer(bytes(1_000), ""), "large")
    assert fresh.find("large") is None


def test_addresses_count_and_what_is_old_goes(followed: FromNow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "BYTES", 10_000)
    fresh = Freshness()
    fresh.watch(followed)
    for number in range(100):
        fresh.keep(fresh.mark(), Answer(b"[]", ""), f"{number}?" + "x" * 2_000)
    assert len(fresh._held) == 3
    later = freshness.time.monotonic() + freshness.SECONDS + 0.1
    monkeypatch.setattr(freshness.time, "monotonic", lambda: later)
    fresh.keep(fresh.mark(), Answer(b"[]", ""), "new")
    assert list(fresh._held) == [("new",)]
