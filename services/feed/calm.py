"""When and how somebody is reached: the defaults, quiet hours, the budget and the time of digests, as pure functions.

Times are instants; what people choose (an hour, a day) is read in their own time zone. An hour that a change of clocks leaves out counts as
the moment it would have been by the old clock; of an hour that comes twice the first one counts, and quiet hours end with the second.
"""
from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.delivery_events_pb2 import (
    DIGEST_RHYTHM_DAILY,
    DIGEST_RHYTHM_NEVER,
    DIGEST_RHYTHM_UNSPECIFIED,
    DIGEST_RHYTHM_WEEKLY,
    DeliveryPreferences,
    DigestRhythm,
    KindDelivery,
    QuietHours,
)

PUSHES_PER_DAY: Final = 10
PUSHES_PER_DAY_MAX: Final = 200
DAYS: Final = (1, 2, 3, 4, 5, 6, 7)
MINUTES: Final = 24 * 60
UTC_ZONE: Final = ZoneInfo("UTC")

KINDS: Final = tuple(number for number in sorted(api.NotificationKind.values()) if number)
# Reactions, follows and their like can wait: nobody needs to be interrupted by them. They are in the app, and in the digest.
NOT_PUSHED: Final = frozenset({
    api.NOTIFICATION_KIND_REACTION, api.NOTIFICATION_KIND_FOLLOW, api.NOTIFICATION_KIND_JOIN_REQUEST, api.NOTIFICATION_KIND_JOINED,
    api.NOTIFICATION_KIND_REPOST, api.NOTIFICATION_KIND_QUOTE, api.NOTIFICATION_KIND_POLL, api.NOTIFICATION_KIND_EDIT,
})
# What is for this person by name, and what the company must be sure of, is pushed past the budget too. Mentions are not exempt: anybody
# can mention anybody. Nothing is exempt from quiet hours, which are the person's own.
PAST_BUDGET: Final = frozenset({
    api.NOTIFICATION_KIND_DIRECT, api.NOTIFICATION_KIND_ANNOUNCEMENT, api.NOTIFICATION_KIND_REMINDER, api.NOTIFICATION_KIND_CORRECTION,
})
# Not before so long after the last one: who changes their hour twice gets no second digest on one day.
DIGESTS_APART: Final = timedelta(hours=20)
# A digest that could not be sent for so long is given up: the next one holds what it would have held.
DIGEST_LATE: Final = {DIGEST_RHYTHM_DAILY: timedelta(hours=12), DIGEST_RHYTHM_WEEKLY: timedelta(hours=48)}


def defaults() -> DeliveryPreferences:
    """What holds for whoever never chose: nothing at night, no push for what can wait, one digest a week."""
    return DeliveryPreferences(
        kinds=[KindDelivery(kind=kind, in_app=True, push=kind not in NOT_PUSHED, digest=True) for kind in KINDS],
        quiet_hours=QuietHours(on=True, start_minute=20 * 60, end_minute=7 * 60, days=DAYS),
        pushes_per_day=PUSHES_PER_DAY, rhythm=DIGEST_RHYTHM_WEEKLY, digest_hour=9, digest_day=1,
    )


def complete(stored: DeliveryPreferences | None) -> DeliveryPreferences:
    """The preferences with a default for each kind that is not among them, which may be newer than they are."""
    whole = defaults()
    if stored is None:
        return whole
    chosen = {each.kind: each for each in stored.kinds}
    kinds = [chosen.get(each.kind, each) for each in whole.kinds]
    result = DeliveryPreferences()
    result.CopyFrom(stored)
    del result.kinds[:]
    result.kinds.extend(kinds)
    if result.rhythm == DIGEST_RHYTHM_UNSPECIFIED:
        result.rhythm = whole.rhythm
    return result


def merged(now: DeliveryPreferences, change: DeliveryPreferences, mask: Iterable[str]) -> DeliveryPreferences:
    """The preferences after a change of the fields that `mask` names; of the kinds only those that the change names are changed."""
    result = DeliveryPreferences()
    result.CopyFrom(now)
    for name in mask:
        if name == "kinds":
            chosen = {each.kind: each for each in change.kinds}
            kinds = [chosen.get(each.kind, each) for each in result.kinds]
            del result.kinds[:]
            result.kinds.extend(kinds)
        elif name == "quiet_hours":
            result.quiet_hours.CopyFrom(change.quiet_hours)
        else:
            setattr(result, name, getattr(change, name))
    return result


def zone_of(name: str) -> ZoneInfo:
    """The zone of a name; UTC for what is none."""
    try:
        return ZoneInfo(name) if name else UTC_ZONE
    except (KeyError, ValueError, OSError):  # unknown, no name at all, or the name of a folder of the database
        return UTC_ZONE


def moment(day: date, minute: int, zone: ZoneInfo, *, later: bool = False) -> datetime:
    """The instant of a minute of a day; where it comes twice, the first or the `later` one."""
    local = datetime.combine(day, time(minute // 60, minute % 60), zone)
    first = local.astimezone(UTC)
    return max(first, local.replace(fold=1).astimezone(UTC)) if later else first


def quiet_until(quiet: QuietHours, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When the quiet hours that are on now end; None where none are. Hours that meet are one; a week at most."""
    if not quiet.on:
        return None
    end = now
    for _ in range(8):
        found = _end_of(quiet, zone, end)
        if found is None:
            break
        end = found
    return end if end > now else None


def _end_of(quiet: QuietHours, zone: ZoneInfo, now: datetime) -> datetime | None:
    today = now.astimezone(zone).date()
    for day in (today, today - timedelta(days=1)):
        if day.isoweekday() not in quiet.days:
            continue
        ends = day if quiet.end_minute > quiet.start_minute else day + timedelta(days=1)
        end = moment(ends, quiet.end_minute, zone, later=True)
        if moment(day, quiet.start_minute, zone) <= now < end:
            return end
    return None


def day_number(zone: ZoneInfo, now: datetime) -> int:
    """The person's own day, as days since year 1: a budget is for one of them."""
    return now.astimezone(zone).date().toordinal()


def latest_slot(rhythm: DigestRhythm.ValueType, hour: int, weekday: int, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When the newest digest was due, at or before now; None for who wants none."""
    return next((slot for slot in _slots(rhythm, hour, weekday, zone, now, -1) if slot <= now), None)


def next_slot(rhythm: DigestRhythm.ValueType, hour: int, weekday: int, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When the next digest is due, after now; None for who wants none."""
    return next((slot for slot in _slots(rhythm, hour, weekday, zone, now, 1) if slot > now), None)


def _slots(
    rhythm: DigestRhythm.ValueType, hour: int, weekday: int, zone: ZoneInfo, now: datetime, step: int
) -> Iterable[datetime]:
    if rhythm in (DIGEST_RHYTHM_NEVER, DIGEST_RHYTHM_UNSPECIFIED):
        return
    today = now.astimezone(zone).date()
    for distance in range(-1, 9):
        day = today + timedelta(days=distance * step)
        if rhythm == DIGEST_RHYTHM_DAILY or day.isoweekday() == weekday:
            yield moment(day, hour * 60, zone)


def may_send(slot: datetime, last_slot: datetime | None, last_sent: datetime | None, zone: ZoneInfo, now: datetime) -> bool:
    """Whether the digest of a slot may go out: it did not yet, and none did on this day of the person's."""
    if last_slot is not None and slot < last_slot + DIGESTS_APART:
        return False
    return last_sent is None or day_number(zone, last_sent) < day_number(zone, now)


def is_late(slot: datetime, rhythm: DigestRhythm.ValueType, now: datetime) -> bool:
    """Whether a digest is given up."""
    return now - slot > DIGEST_LATE.get(rhythm, timedelta(0))


def digest_span(rhythm: DigestRhythm.ValueType) -> timedelta:
    """How far back a first digest looks."""
    return timedelta(days=1) if rhythm == DIGEST_RHYTHM_DAILY else timedelta(days=7)
