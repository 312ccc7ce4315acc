"""Ids: in order, readable as times, and strict about what they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.text import ids

# Any time zone away from the limits of what an id holds; Hypothesis takes them without a zone.
EARLIEST, LATEST = datetime(1970, 1, 3), datetime(2500, 12, 29)


def test_ids_are_uuid7_of_36_characters_and_grow() -> None:
    made = [ids.new_id() for _ in range(50_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(len(one) == 36 and UUID(one).version == 7 and ids.is_id(one) for one in made[:100])


def test_new_id_holds_the_present() -> None:
    before = datetime.now(UTC)
    made = ids.time_of(ids.new_id())
    after = datetime.now(UTC)
    assert before - timedelta(milliseconds=1) <= made <= after + timedelta(milliseconds=1)


@given(st.datetimes(EARLIEST, LATEST, timezones=st.timezones()))
def test_id_at_keeps_the_time_to_the_millisecond(time: datetime) -> None:
    made = ids.id_at(time)
    assert ids.is_id(made)
    assert timedelta(0) <= time.astimezone(UTC) - ids.time_of(made) < timedelta(milliseconds=1)


def test_ids_of_one_moment_differ_and_leave_new_ids_alone() -> None:
    past = datetime(2014, 5, 13, 9, 0, tzinfo=UTC)
    before = ids.new_id()
    assert len({ids.id_at(past) for _ in range(1000)}) == 1000
    assert ids.id_at(past) < ids.id_at(past + timedelta(milliseconds=1)) < before
    ids.id_at(datetime(2400, 1, 1, tzinfo=UTC))
    assert before < ids.new_id() < ids.id_at(datetime(2400, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "time",
    [EARLIEST, datetime(1969, 12, 31, 23, 59, tzinfo=UTC), datetime(2600, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)],
)
def test_times_an_id_cannot_hold_are_refused(time: datetime) -> None:
    with pytest.raises(ValueError, match="an id"):
        ids.id_at(time)


def test_a_time_zone_is_understood() -> None:
    east = datetime(2020, 1, 1, 12, 0, tzinfo=timezone(timedelta(hours=9)))
    assert ids.time_of(ids.id_at(east)) == datetime(2020, 1, 1, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "01a20856-1195-74d5-a003-495ae7dc105",
        "01A20856-1195-74D5-A003-495AE7DC105E",
        "01a20856-1195-44d5-a003-495ae7dc105e",
        "01a20856119574d5a003495ae7dc105e0000",
        "{1a20856-1195-74d5-a003-495ae7dc105}",
        "01a20856-1195-74d5-a003-495ae7dc105\u0665",
        "1" * 10_000,
    ],
)
def test_other_texts_are_no_ids(text: str) -> None:
    assert not ids.is_id(text)
    with pytest.raises(ValueError, match="not a UUIDv7"):
        ids.time_of(text)


@given(st.text(max_size=40))
def test_any_text_is_answered(text: str) -> None:
    assert ids.is_id(text) in (True, False)
