"""Quiet hours, budgets and the time of digests, in every time zone and over every change of clocks."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from services.feed import calm
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.delivery_events_pb2 import (
    DIGEST_RHYTHM_DAILY,
    DIGEST_RHYTHM_NEVER,
    DIGEST_RHYTHM_WEEKLY,
    DeliveryPreferences,
    KindDelivery,
    QuietHours,
)

# Whole and odd offsets, changes of clocks in both halves of the year, by an hour and by half of one.
ZONES = [
    ZoneInfo(name) for name in (
        "UTC", "Europe/Lisbon", "Europe/Berlin", "America/New_York", "America/St_Johns", "Asia/Kolkata", "Asia/Kathmandu",
        "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Kiritimati", "America/Santiago", "Africa/Casablanca",
    )
]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BERLIN, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")
moments = st.datetimes(datetime(2024, 1, 3), datetime(2034, 12, 28), timezones=st.just(UTC))
zones = st.sampled_from(ZONES)
minutes = st.integers(0, 1439)
quiets = st.builds(
    QuietHours, on=st.just(True), start_minute=minutes, end_minute=minutes,
    days=st.sets(st.integers(1, 7), min_size=1).map(sorted),
)
rhythms = st.sampled_from([DIGEST_RHYTHM_DAILY, DIGEST_RHYTHM_WEEKLY])


def night(**fields: Any) -> QuietHours:
    return QuietHours(**({"on": True, "start_minute": 20 * 60, "end_minute": 7 * 60, "days": calm.DAYS} | fields))


def at(zone: ZoneInfo, *parts: int) -> datetime:
    return datetime(*parts, tzinfo=zone).astimezone(UTC)  # type: ignore[misc,arg-type]


def test_a_night_is_quiet_and_a_day_is_not() -> None:
    assert calm.quiet_until(night(), BERLIN, at(BERLIN, 2026, 11, 23, 19, 59)) is None
    for hour in (20, 23):
        assert calm.quiet_until(night(), BERLIN, at(BERLIN, 2026, 11, 23, hour)) == at(BERLIN, 2026, 11, 24, 7)
    assert calm.quiet_until(night(), BERLIN, at(BERLIN, 2026, 11, 24, 6, 59)) == at(BERLIN, 2026, 11, 24, 7)
    assert calm.quiet_until(night(), BERLIN, at(BERLIN, 2026, 11, 24, 7)) is None
    assert calm.quiet_until(night(on=False), BERLIN, at(BERLIN, 2026, 11, 23, 23)) is None


def test_days_are_those_on_which_quiet_hours_begin() -> None:
    friday = night(days=[5])  # 27 November 2026
    assert calm.quiet_until(friday, BERLIN, at(BERLIN, 2026, 11, 27, 22)) == at(BERLIN, 2026, 11, 28, 7)
    assert calm.quiet_until(friday, BERLIN, at(BERLIN, 2026, 11, 28, 5)) == at(BERLIN, 2026, 11, 28, 7)
    assert calm.quiet_until(friday, BERLIN, at(BERLIN, 2026, 11, 28, 22)) is None


def test_whole_days_that_meet_are_one_quiet_time() -> None:
    weekend = night(start_minute=0, end_minute=0, days=[6, 7])
    assert calm.quiet_until(weekend, BERLIN, at(BERLIN, 2026, 11, 28, 12)) == at(BERLIN, 2026, 11, 30, 0)
    always = calm.quiet_until(night(start_minute=60, end_minute=60), BERLIN, at(BERLIN, 2026, 11, 28, 12))
    assert always is not None
    assert always > at(BERLIN, 2026, 12, 3, 0)


def test_a_change_of_clocks_shortens_or_lengthens_the_night() -> None:
    # 29 March 2026, 02:00 becomes 03:00; 25 October 2026, 03:00 becomes 02:00.
    spring = calm.quiet_until(night(end_minute=150), BERLIN, at(BERLIN, 2026, 3, 29, 1))
    assert spring == at(BERLIN, 2026, 3, 29, 3, 30), "02:30 by the old clock"
    autumn = calm.quiet_until(night(end_minute=150), BERLIN, at(BERLIN, 2026, 10, 25, 1))
    assert autumn == datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "the second 02:30"
    # Lord Howe moves by half an hour.
    assert calm.quiet_until(night(), LORD_HOWE, at(LORD_HOWE, 2026, 10, 3, 23)) == at(LORD_HOWE, 2026, 10, 4, 7)


@settings(deadline=None)
@given(quiets, zones, moments)
def test_quiet_time_ends_and_is_over_then(quiet: QuietHours, zone: ZoneInfo, now: datetime) -> None:
    end = calm.quiet_until(quiet, zone, now)
    if end is None:
        return
    assert now < end <= now + timedelta(days=10)
    if len(quiet.days) < 7:
        assert calm.quiet_until(quiet, zone, end) is None
    local = end.astimezone(zone)
    shifted = local.hour * 60 + local.minute
    assert abs((shifted - quiet.end_minute + 720) % 1440 - 720) <= 60, "the end that was chosen, but for a change of clocks"


@settings(deadline=None)
@given(quiets, zones, moments)
def test_outside_of_the_chosen_minutes_nothing_is_quiet(quiet: QuietHours, zone: ZoneInfo, now: datetime) -> None:
    local = now.astimezone(zone)
    minute = local.hour * 60 + local.minute
    inside = (
        quiet.start_minute <= minute < quiet.end_minute if quiet.start_minute < quiet.end_minute
        else minute >= quiet.start_minute or minute < quiet.end_minute
    )
    around = [(now + timedelta(days=distance)).astimezone(zone).utcoffset() for distance in (-1, 0, 1)]
    steady = len(set(around)) == 1
    if steady and not inside:
        assert calm.quiet_until(quiet, zone, now) is None
    if steady and inside and len(quiet.days) == 7:
        assert calm.quiet_until(quiet, zone, now) is not None


@settings(deadline=None)
@given(rhythms, st.integers(0, 23), st.integers(1, 7), zones, moments)
def test_digests_are_due_once_a_day_or_week(rhythm: Any, hour: int, weekday: int, zone: ZoneInfo, now: datetime) -> None:
    before, after = calm.latest_slot(rhythm, hour, weekday, zone, now), calm.next_slot(rhythm, hour, weekday, zone, now)
    assert before is not None
    assert after is not None
    assert before <= now < after
    assert calm.latest_slot(rhythm, hour, weekday, zone, after) == after
    assert calm.next_slot(rhythm, hour, weekday, zone, before) == after
    apart = timedelta(days=1 if rhythm == DIGEST_RHYTHM_DAILY else 7)
    assert apart - timedelta(hours=1) <= after - before <= apart + timedelta(hours=1)
    if rhythm == DIGEST_RHYTHM_WEEKLY:
        assert after.astimezone(zone).isoweekday() == weekday
    assert calm.may_send(after, before, before, zone, after)
    assert not calm.may_send(after, after, after, zone, after + timedelta(hours=1))


def test_who_wants_none_gets_none() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert calm.latest_slot(DIGEST_RHYTHM_NEVER, 9, 1, BERLIN, now) is None
    assert calm.next_slot(DIGEST_RHYTHM_NEVER, 9, 1, BERLIN, now) is None


def test_never_two_on_one_day() -> None:
    morning, noon = at(BERLIN, 2026, 11, 23, 8), at(BERLIN, 2026, 11, 23, 12)
    assert not calm.may_send(noon, morning, morning, BERLIN, noon), "the hour was changed after the first"
    late = at(BERLIN, 2026, 11, 23, 19)
    assert calm.may_send(at(BERLIN, 2026, 11, 24, 8), morning, late, BERLIN, at(BERLIN, 2026, 11, 24, 8)), "one that was late costs none"
    assert calm.is_late(morning, DIGEST_RHYTHM_DAILY, morning + timedelta(hours=13))
    assert not calm.is_late(morning, DIGEST_RHYTHM_WEEKLY, morning + timedelta(hours=13))


def test_preferences_are_complete_whatever_was_stored() -> None:
    assert {each.kind for each in calm.complete(None).kinds} == set(calm.KINDS)
    stored = DeliveryPreferences(kinds=[KindDelivery(kind=api.NOTIFICATION_KIND_MENTION)], rhythm=DIGEST_RHYTHM_DAILY, digest_day=3)
    whole = calm.complete(stored)
    by_kind = {each.kind: each for each in whole.kinds}
    assert set(by_kind) == set(calm.KINDS)
    assert not by_kind[api.NOTIFICATION_KIND_MENTION].in_app
    assert by_kind[api.NOTIFICATION_KIND_REPLY].push
    assert (whole.rhythm, whole.digest_day) == (DIGEST_RHYTHM_DAILY, 3)
    changed = calm.merged(whole, DeliveryPreferences(kinds=[KindDelivery(kind=api.NOTIFICATION_KIND_REPLY, in_app=True)]), ["kinds"])
    assert [each.push for each in changed.kinds if each.kind == api.NOTIFICATION_KIND_REPLY] == [False]
    assert len(changed.kinds) == len(whole.kinds)


def test_an_unknown_zone_is_utc() -> None:
    for name in ("", "Mars/Olympus", "../../etc/passwd", "Europe"):
        assert calm.zone_of(name) == calm.UTC_ZONE
