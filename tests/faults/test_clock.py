"""A clock that jumps: positions and order come from the log, and tokens are valid or refused, never something else."""
from __future__ import annotations

import time
from pathlib import Path

import pytest

from libs.rpc.auth import Caller, Keys, Tokens, Unauthenticated
from libs.runtime.verify import verify
from libs.testing.contracts import published
from libs.testing.world import World
from tests.faults.writer import META
from tests.runtime.small import services

HOUR = 3_600


class Clock:
    """The machine's clock, moved by so many seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moved = 0.0
        real, real_ns = time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: real() + self.moved)
        monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(self.moved * 1e9))


async def test_order_is_by_position_whatever_the_clock_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    source, copy, _ = services()
    async with World.of(tmp_path, source, copy) as world:
        store = world.store("source")
        for number, moved in enumerate((0, -HOUR, -24 * HOUR, 5, HOUR, -HOUR)):
            clock.moved = moved
            assert await store.append(f"post-{number}", 0, [published(number)], META, f"ann:{number}") == number + 1
        events = await store.tail(0, 100)
        assert [event.stream for event in events] == [f"post-{number}" for number in range(6)]
        assert len({event.id for event in events}) == 6
        assert sorted(event.record_micros for event in events) != [event.record_micros for event in events]  # the clock did jump
        await world.assert_rebuilds()
        assert await verify(world.embedded, lambda name: None) == []
    source, copy, echo = services()
    async with World.of(tmp_path, source, copy) as world:
        clock.moved = -48 * HOUR
        assert await world.store("source").append("post-6", 0, [published(6)], META) == 7
        await world.assert_rebuilds()
        assert echo.heard == ["post-6"]


def test_tokens_over_a_jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    caller = Caller("ann", frozenset({"employee"}))
    signer = Tokens(Keys(tmp_path))
    fresh = Tokens(Keys(tmp_path))
    token = signer.sign(caller)
    clock.moved = -2 * HOUR
    assert fresh.check(token) == caller  # signed in what is now the future, by a key of ours
    assert fresh.check(signer.sign(caller)) == caller
    for checking in (signer, fresh, Tokens(Keys(tmp_path))):
        clock.moved = 2 * HOUR
        with pytest.raises(Unauthenticated, match="past its time"):
            checking.check(token)
        assert checking.check(signer.sign(caller)) == caller
        clock.moved = 0
        assert checking.check(signer.sign(caller)) == caller
