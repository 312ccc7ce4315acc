"""What can be asked for about delivery."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from watercooler.feed.v1.delivery_events_pb2 import DeliveryPreferences, PushEnd, PushFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePreferences:
    """Take these complete preferences; `etag` is the version the change was made on, empty for whatever the version."""

    person_id: str
    preferences: DeliveryPreferences
    now: datetime
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribePush:
    """A device takes pushes, in the place of what its session or token had."""

    person_id: str
    subscription_id: str
    holder: str
    endpoint: str
    public_key: bytes
    secret: bytes
    format: PushFormat.ValueType
    kinds: tuple[int, ...]
    policy: str
    label: str
    client_token: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsubscribePush:
    """A device takes pushes no longer."""

    person_id: str
    subscription_id: str
    reason: PushEnd.ValueType
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteDigest:
    """The mail server has taken the digest that was due at `slot`."""

    person_id: str
    slot: datetime
    now: datetime
    notification_count: int
    post_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDigest:
    """No digests any more."""

    person_id: str
    now: datetime


DeliveryCommand = ChangePreferences | SubscribePush | UnsubscribePush | NoteDigest | StopDigest
