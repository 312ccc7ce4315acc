"""One works, the others stand by: leases that are taken, lost, given back, and that nobody answers for."""
from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from libs.runtime import leadership
from libs.runtime.leadership import LEASE_SECONDS, Leadership


class Table:
    """Leases by a clock that the test moves; `away` stands for a database that does not answer."""

    def __init__(self) -> None:
        self.now = 0.0
        self.held: dict[str, tuple[str, float]] = {}
        self.away = False

    async def lease(self, name: str, holder: str, seconds: float) -> bool:
        if self.away:
            raise OSError("nobody answers")
        owner, until = self.held.get(name, ("", 0.0))
        if owner not in ("", holder) and until > self.now:
            return False
        self.held[name] = (holder, self.now + seconds)
        return True

    async def release(self, name: str, holder: str) -> None:
        if self.held.get(name, ("",))[0] == holder:
            del self.held[name]


class Work:
    """Says what happens to it."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def begin(self) -> None:
        self.said.append("begin")

    async def end(self, *, gently: bool) -> None:
        self.said.append("end gently" if gently else "end at once")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    """Pauses between two looks last one turn of the loop; time passes only where the test says so."""
    for name in ("TRY_SECONDS", "RENEW_SECONDS"):
        monkeypatch.setattr(leadership, name, 0.001)
    return Table()


async def test_one_works_and_the_next_takes_over_when_it_stops(table: Table) -> None:
    works = [Work(), Work()]
    leaders = [Leadership(table, "worker", f"holder {n}", work, lambda: table.now) for n, work in enumerate(works)]
    running = [asyncio.create_task(each.run()) for each in leaders]
    await until(lambda: leaders[0].leading)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not leaders[1].leading
    leaders[0].stop()
    await running[0]
    assert works[0].said == ["begin", "end gently"]
    await until(lambda: leaders[1].leading)
    leaders[1].stop()
    await running[1]
    assert table.held == {}


async def test_the_lease_of_a_process_that_died_runs_out(table: Table) -> None:
    table.held["worker"] = ("dead", LEASE_SECONDS)
    work = Work()
    leader = Leadership(table, "worker", "next", work, lambda: table.now)
    running = asyncio.create_task(leader.run())
    for _ in range(100):
        await asyncio.sleep(0)
    assert work.said == []
    table.now = LEASE_SECONDS + 0.1
    await until(lambda: leader.leading)
    leader.stop()
    await running


async def test_whoever_loses_the_lease_stops_at_once_and_stands_by(table: Table) -> None:
    work = Work()
    leader = Leadership(table, "worker", "first", work, lambda: table.now)
    running = asyncio.create_task(leader.run())
    await until(lambda: leader.leading)
    table.held["worker"] = ("other", table.now + LEASE_SECONDS)
    await until(lambda: work.said == ["begin", "end at once"])
    assert table.held["worker"][0] == "other"
    table.now += LEASE_SECONDS + 1
    await until(lambda: work.said == ["begin", "end at once", "begin"])
    leader.stop()
    await running


async def test_work_ends_before_the_lease_does_when_nobody_answers(table: Table) -> None:
    work = Work()
    leader = Leadership(table, "worker", "first", work, lambda: table.now)
    running = asyncio.create_task(leader.run())
    await until(lambda: leader.leading)
    table.away = True
    for _ in range(100):
        await asyncio.sleep(0)
    assert leader.leading  # a short absence ends nothing
    table.now += LEASE_SECONDS - leadership.MARGIN_SECONDS
    await until(lambda: work.said == ["begin", "end at once"])
    table.away = False
    table.now += LEASE_SECONDS
    await until(lambda: leader.leading)
    leader.stop()
    await running
    assert work.said[-1] == "end gently"
