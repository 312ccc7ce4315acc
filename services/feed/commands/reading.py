"""How a person shapes what they read, and the organisation's own emoji."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from watercooler.feed.v1.reading_events_pb2 import FilterAction, FilterContext, FilterKeyword


@dataclass(frozen=True, slots=True, kw_only=True)
class MutePerson:
    """See nothing of a person in timelines, until `expire` or until unmuted; `notifications` silences those too."""

    person_id: str
    muted_id: str
    notifications: bool
    now: datetime
    expire: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmutePerson:
    """See them again."""

    person_id: str
    muted_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPerson:
    """Have nothing to do with a person; `allowed` says whether the organisation lets people do that."""

    person_id: str
    blocked_id: str
    allowed: bool
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnblockPerson:
    """End the block; follows do not come back by themselves."""

    person_id: str
    blocked_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetNote:
    """Keep a private remark on a person; empty takes it away."""

    person_id: str
    noted_id: str
    note: str


BondCommand = MutePerson | UnmutePerson | BlockPerson | UnblockPerson | SetNote


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateList:
    """Begin a list of people."""

    list_id: str
    owner_id: str
    title: str
    exclusive: bool
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeList:
    """Give a list another title, or another place in the home timeline."""

    list_id: str
    owner_id: str
    title: str
    exclusive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteList:
    """Give the list up; its people learn nothing of it."""

    list_id: str
    owner_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddListPeople:
    """Put people on the list."""

    list_id: str
    owner_id: str
    person_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveListPeople:
    """Take people off the list."""

    list_id: str
    owner_id: str
    person_ids: tuple[str, ...]


ListCommand = CreateList | ChangeList | DeleteList | AddListPeople | RemoveListPeople


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveFilter:
    """Make a filter, or put another in its place."""

    filter_id: str
    owner_id: str
    title: str
    keywords: tuple[FilterKeyword, ...]
    contexts: tuple[FilterContext.ValueType, ...]
    action: FilterAction.ValueType
    now: datetime
    expire: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteFilter:
    """Filter by it no more."""

    filter_id: str
    owner_id: str


FilterCommand = SaveFilter | DeleteFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveMarker:
    """Say how far a timeline is read, on all of the person's devices."""

    person_id: str
    timeline: str
    last_read_id: str
    now: datetime


MarkersCommand = MoveMarker


@dataclass(frozen=True, slots=True, kw_only=True)
class AddEmoji:
    """Let a picture stand for `:shortcode:`."""

    shortcode: str
    blob_id: str
    category: str
    adder_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveEmoji:
    """Let the shortcode be a word again."""

    shortcode: str


EmojiCommand = AddEmoji | RemoveEmoji
