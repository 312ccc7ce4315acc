"""A delivery: how one person is reached, on which devices, and up to which digest."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from libs.eventstore.model import EditConflict, InvalidArgument
from watercooler.feed.v1.delivery_events_pb2 import (
    DIGEST_RHYTHM_NEVER,
    DIGEST_RHYTHM_UNSPECIFIED,
    PUSH_FORMAT_UNSPECIFIED,
    DeliveryPreferences,
    DeliveryPreferencesChanged,
    DigestSent,
    PushSubscribed,
    PushUnsubscribed,
)

from ..calm import DAYS, KINDS, MINUTES, PUSHES_PER_DAY_MAX, complete
from ..commands.delivery import ChangePreferences, DeliveryCommand, NoteDigest, StopDigest, SubscribePush, UnsubscribePush

Event = DeliveryPreferencesChanged | PushSubscribed | PushUnsubscribed | DigestSent

DEVICES = 20
ENDPOINT_CHARACTERS = 2_000
LABEL_CHARACTERS = 200
TOKEN_CHARACTERS = 500
HOLDER_CHARACTERS = 100
POLICIES = ("all", "followed", "follower", "none")


@dataclass(frozen=True, slots=True)
class Delivery:
    """Preferences (None: the defaults), devices by their subscription, and when the last digest was due (microseconds since 1970)."""

    preferences: DeliveryPreferences | None = None
    devices: Mapping[str, PushSubscribed] = field(default_factory=dict)
    last_slot: int = 0
    version: int = 0


def initial() -> Delivery:
    """The defaults, and no device."""
    return Delivery()


def decide(command: DeliveryCommand, delivery: Delivery) -> list[Event]:
    """What changes.

    Raises:
        InvalidArgument: a value is out of its range, or there would be more than 20 devices.
        EditConflict: the preferences were changed on an older version.
    """
    match command:
        case ChangePreferences():
            return _change(command, delivery)
        case StopDigest():
            preferences = complete(delivery.preferences)
            if preferences.rhythm == DIGEST_RHYTHM_NEVER:
                return []
            preferences.rhythm = DIGEST_RHYTHM_NEVER
            return [_changed(command.person_id, preferences, command)]
        case SubscribePush():
            return _subscribe(command, delivery)
        case UnsubscribePush():
            if command.subscription_id not in delivery.devices:
                return []
            ended = PushUnsubscribed(person_id=command.person_id, subscription_id=command.subscription_id, reason=command.reason)
            ended.end_time.FromDatetime(command.now)
            return [ended]
        case NoteDigest():
            sent = DigestSent(
                person_id=command.person_id, notification_count=command.notification_count, post_count=command.post_count
            )
            sent.slot_time.FromDatetime(command.slot)
            sent.send_time.FromDatetime(command.now)
            return [sent] if sent.slot_time.ToMicroseconds() > delivery.last_slot else []
        case _:
            assert_never(command)


def _change(command: ChangePreferences, delivery: Delivery) -> list[Event]:
    if command.etag and command.etag != str(delivery.version):
        raise EditConflict("these settings were changed meanwhile: read them again, and change what is there now")
    wanted = command.preferences
    if not 0 <= wanted.pushes_per_day <= PUSHES_PER_DAY_MAX:
        raise InvalidArgument(f"a day has 0 to {PUSHES_PER_DAY_MAX} pushes", "pushes_per_day")
    if not 0 <= wanted.digest_hour <= 23:
        raise InvalidArgument("the hour of the digest is a number from 0 to 23", "digest_hour")
    if wanted.digest_day not in DAYS:
        raise InvalidArgument("the day of the digest is a number from 1 (Monday) to 7 (Sunday)", "digest_day")
    if wanted.rhythm == DIGEST_RHYTHM_UNSPECIFIED:
        raise InvalidArgument("say how often a digest is to come: daily, weekly or never", "rhythm")
    quiet = wanted.quiet_hours
    if not (0 <= quiet.start_minute < MINUTES and 0 <= quiet.end_minute < MINUTES):
        raise InvalidArgument("quiet hours begin and end at a minute of the day: 0 to 1,439", "quiet_hours")
    if not set(quiet.days) <= set(DAYS) or len(set(quiet.days)) != len(quiet.days):
        raise InvalidArgument("quiet hours name days from 1 (Monday) to 7 (Sunday), each once", "quiet_hours")
    if quiet.on and not quiet.days:
        raise InvalidArgument("quiet hours need at least one day: choose one, or switch them off", "quiet_hours")
    if {each.kind for each in wanted.kinds} - set(KINDS):
        raise InvalidArgument("there is no such kind of notification", "kinds")
    return [] if complete(delivery.preferences) == wanted else [_changed(command.person_id, wanted, command)]


def _changed(person_id: str, preferences: DeliveryPreferences, command: ChangePreferences | StopDigest) -> Event:
    changed = DeliveryPreferencesChanged(person_id=person_id, preferences=preferences)
    changed.change_time.FromDatetime(command.now)
    return changed


def _subscribe(command: SubscribePush, delivery: Delivery) -> list[Event]:
    for name, text, most in (
        ("endpoint", command.endpoint, ENDPOINT_CHARACTERS), ("label", command.label, LABEL_CHARACTERS),
        ("client_token", command.client_token, TOKEN_CHARACTERS), ("holder", command.holder, HOLDER_CHARACTERS),
    ):
        if len(text) > most:
            raise InvalidArgument(f"{name} has at most {most:,} characters", name)
    if not command.holder:
        raise InvalidArgument("say which session or access token the device belongs to", "holder")
    if len(command.public_key) != 65 or command.public_key[0] != 4:
        raise InvalidArgument("the key is a point of the curve P-256 in 65 bytes, as browsers give it", "public_key")
    if len(command.secret) != 16:
        raise InvalidArgument("the secret has 16 bytes, as browsers give it", "secret")
    if command.format == PUSH_FORMAT_UNSPECIFIED:
        raise InvalidArgument("say what kind of program takes the pushes", "format")
    if command.policy not in POLICIES:
        raise InvalidArgument(f"policy is one of {', '.join(POLICIES)}", "policy")
    if set(command.kinds) - set(KINDS):
        raise InvalidArgument("there is no such kind of notification", "kinds")
    subscribed = PushSubscribed(
        person_id=command.person_id, subscription_id=command.subscription_id, holder=command.holder, endpoint=command.endpoint,
        public_key=command.public_key, secret=command.secret, format=command.format,
        kinds=sorted(set(command.kinds)),  # type: ignore[arg-type]
        policy=command.policy, label=command.label, client_token=command.client_token,
    )
    subscribed.subscribe_time.FromDatetime(command.now)
    before = delivery.devices.get(command.subscription_id)
    if before is None and len(delivery.devices) >= DEVICES:
        raise InvalidArgument(f"pushes go to at most {DEVICES} devices: remove one first")
    if before is not None:
        same = PushSubscribed()
        same.CopyFrom(subscribed)
        same.subscribe_time.CopyFrom(before.subscribe_time)
        if same == before:
            return []
    return [subscribed]


def evolve(delivery: Delivery, event: Event) -> Delivery:
    """The delivery after the event."""
    after = replace(delivery, version=delivery.version + 1)
    match event:
        case DeliveryPreferencesChanged():
            return replace(after, preferences=event.preferences)
        case PushSubscribed():
            return replace(after, devices={**delivery.devices, event.subscription_id: event})
        case PushUnsubscribed():
            return replace(after, devices={key: one for key, one in delivery.devices.items() if key != event.subscription_id})
        case DigestSent():
            return replace(after, last_slot=event.slot_time.ToMicroseconds())
        case _:
            assert_never(event)
