"""A log put together again from partitions: whatever arrives how often and in which order, each event is delivered once, in order."""
from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.eventstore.model import Metadata, Recorded
from libs.subscriptions.cloudevents import to_kafka
from libs.subscriptions.kafka import KafkaConfig, KafkaLog, SourceBehind
from libs.subscriptions.ordering import Window
from libs.testing.contracts import published

CONFIG = KafkaConfig(("nowhere:1",))


def event(position: int) -> Recorded:
    return Recorded(f"e{position}", f"post-{position % 5}", position, position, position, published(position), Metadata("ann"))


def record(position: int, partition: int = 0, offset: int = 0) -> ConsumerRecord[bytes, bytes]:
    key, value, headers = to_kafka(event(position), "source")
    return ConsumerRecord(
        topic=CONFIG.topic("source"), partition=partition, offset=offset, timestamp=0, timestamp_type=0, key=key, value=value,
        checksum=None, serialized_key_size=len(key), serialized_value_size=len(value), headers=tuple(headers),
    )


class History:
    """The service's own log; `asked` counts what was read from it."""

    name = "source"

    def __init__(self, length: int) -> None:
        self.length = length
        self.asked = 0
        self.away: Exception | None = None

    async def tail(self, after: int, limit: int) -> Sequence[Recorded]:
        if self.away is not None:
            raise self.away
        found = [event(position) for position in range(after + 1, min(after + limit, self.length) + 1)]
        self.asked += len(found)
        return found

    async def head(self) -> int:
        if self.away is not None:
            raise self.away
        return self.length


@dataclass
class Reader:
    """What a subscription is to a log."""

    position: int = 0
    saved: int = 0


def log_of(history: History, **options: Any) -> KafkaLog:
    return KafkaLog(CONFIG, "source", None, history, **({"patience_seconds": 0.0, "idle_seconds": 0.0} | options))


async def drain(log: KafkaLog, reader: Reader, limit: int = 7) -> list[int]:
    taken: list[int] = []
    while events := await log.tail(reader.position, limit):
        taken += [found.position for found in events]
        reader.position = reader.saved = taken[-1]
    return taken


# How the records of a log arrive: in turns, each some records of one partition from an offset that may lie before what was read already.
@st.composite
def deliveries(draw: st.DrawFn) -> tuple[int, list[list[tuple[int, int, int]] | None]]:
    length = draw(st.integers(0, 40))
    partitions = draw(st.integers(1, 4))
    kept = draw(st.sets(st.integers(1, max(length, 1)))) if draw(st.booleans()) else set(range(1, length + 1))
    places: dict[int, list[int]] = {}
    for position in range(1, length + 1):
        if position in kept:
            places.setdefault(draw(st.integers(0, partitions - 1)), []).append(position)
    turns: list[list[tuple[int, int, int]] | None] = []
    read = dict.fromkeys(places, 0)
    for _ in range(draw(st.integers(0, 25))):
        if not places or draw(st.integers(0, 9)) == 0:
            turns.append(None)  # the process is started again
            read = {partition: draw(st.integers(0, offset)) for partition, offset in read.items()}
            continue
        partition = draw(st.sampled_from(sorted(places)))
        start = draw(st.integers(0, read[partition])) if draw(st.integers(0, 4)) == 0 else read[partition]
        stop = draw(st.integers(start, len(places[partition])))
        turns.append([(places[partition][offset], partition, offset) for offset in range(start, stop)])
        read[partition] = stop
    return length, turns


@settings(deadline=None)
@given(deliveries(), st.integers(2, 50), st.integers(1, 9), st.booleans())
def test_each_event_is_delivered_once_and_in_order(
    delivery: tuple[int, list[list[tuple[int, int, int]] | None]], room: int, limit: int, slow: bool
) -> None:
    length, turns = delivery

    async def follow() -> None:
        history = History(length)
        quick, other = Reader(), Reader()
        taken: list[int] = []
        taken_by_other: list[int] = []

        def begin() -> KafkaLog:
            log = log_of(history, held_events=room)
            log.attach(quick)
            log.attach(other)
            return log

        log = begin()
        for number, turn in enumerate(turns):
            if turn is None:
                log = begin()
            else:
                await log.take_in([record(*place) for place in turn])
            taken += await drain(log, quick, limit)
            if not slow or number % 5 == 0:
                taken_by_other += await drain(log, other, limit)
        taken += await drain(log, quick, limit)
        taken_by_other += await drain(log, other, limit)
        assert taken == taken_by_other == list(range(1, length + 1))

    asyncio.run(follow())


async def test_what_the_topic_brings_is_not_asked_of_the_service() -> None:
    history = History(0)
    log = log_of(history)
    reader = Reader()
    log.attach(reader)
    history.length = 6
    await log.take_in([record(position) for position in (2, 4, 6)])
    await log.take_in([record(position, 1) for position in (1, 3, 5)])
    assert await drain(log, reader) == [1, 2, 3, 4, 5, 6]
    assert history.asked == 0


async def test_a_late_record_is_waited_for() -> None:
    history = History(3)
    log = log_of(history, patience_seconds=60.0, idle_seconds=3600.0)
    await log.take_in([record(2), record(3)])
    reading = asyncio.create_task(log.tail(0, 10))
    await asyncio.sleep(0)
    assert not reading.done()
    await log.take_in([record(1, 1)])
    assert [found.position for found in await reading] == [1, 2, 3]
    assert history.asked == 0


async def test_a_lost_record_is_read_from_the_service() -> None:
    history = History(5)
    log = log_of(history, idle_seconds=3600.0)
    await log.take_in([record(position) for position in (1, 2, 4, 5)])
    assert await drain(log, Reader()) == [1, 2, 3, 4, 5]
    assert history.asked > 0


async def test_without_a_topic_everything_comes_from_the_service() -> None:
    history = History(450)
    assert await drain(log_of(history), Reader(), 200) == list(range(1, 451))


async def test_a_service_that_is_away_does_not_stop_what_the_topic_brings() -> None:
    history = History(2)
    history.away = ConnectionRefusedError("away")
    log = log_of(history)
    assert await log.tail(0, 10) == ()
    await log.take_in([record(1), record(2)])
    assert await drain(log, Reader()) == [1, 2]


async def test_a_service_whose_log_was_set_back_is_noticed() -> None:
    log = log_of(History(3))
    await log.take_in([record(9)])
    with pytest.raises(SourceBehind, match="position 9 of source was here already, but its log ends at 3"):
        await drain(log, Reader())
    with pytest.raises(SourceBehind, match="ends at 3"):
        await log_of(History(3)).tail(5, 10)


async def test_the_wakers_are_set() -> None:
    log = log_of(History(0))
    waker, dismissed = log.waker(), log.waker()
    log.dismiss(dismissed)
    await log.take_in([record(1)])
    assert waker.is_set() and not dismissed.is_set()


def test_a_window_lets_go_of_what_all_have_taken_and_of_more_only_for_want_of_room() -> None:
    window = Window(4, 1 << 20)
    for position in (1, 2, 3):
        assert window.put(event(position), 1)
    assert not window.put(event(2), 1)
    window.trim(1, 3)
    assert (len(window), 1 in window, 2 in window) == (2, False, True)
    for position in (5, 6):
        window.put(event(position), 1)
    assert window.full and not window.roomy
    window.trim(1, 3)
    assert 2 not in window and not window.full
    assert [found.position for found in window.run(4, 10)] == [5, 6]
    assert window.run(3, 10) == []


def test_a_window_counts_bytes() -> None:
    window = Window(100, 10)
    window.put(event(1), 10)
    assert window.full
    window.trim(1, 1)
    assert not window.full and window.roomy


def test_how_far_a_window_reaches() -> None:
    window = Window(100, 1 << 20)
    for position in (1, 2, 4):
        window.put(event(position), 1)
    assert window.reach(0) == 2
    window.put(event(3), 1)
    assert window.reach(0) == 4
    window.trim(4, 4)
    assert window.reach(7) == 7
