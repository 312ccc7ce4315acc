"""A bond: what one person keeps from another, and a remark on them that nobody else reads."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from libs.eventstore.model import InvalidArgument, Rejected
from watercooler.feed.v1.reading_events_pb2 import PersonBlocked, PersonMuted, PersonNoted, PersonUnblocked, PersonUnmuted

from ..commands.reading import BlockPerson, BondCommand, MutePerson, SetNote, UnblockPerson, UnmutePerson

Event = PersonMuted | PersonUnmuted | PersonBlocked | PersonUnblocked | PersonNoted

NOTE_CHARACTERS = 2_000
MUTE_SECONDS = 366 * 24 * 3_600


@dataclass(frozen=True, slots=True)
class Bond:
    """What holds; `expire_micros` is 0 for a mute without an end."""

    muted: bool = False
    notifications: bool = False
    expire_micros: int = 0
    blocked: bool = False
    note: str = ""


def initial() -> Bond:
    """Nothing between the two."""
    return Bond()


def decide(command: BondCommand, bond: Bond) -> list[Event]:
    """What happens; nobody mutes or blocks themselves."""
    match command:
        case MutePerson():
            if command.person_id == command.muted_id:
                raise InvalidArgument("you cannot mute yourself: mute somebody else", "person_id")
            if command.expire is not None and not 0 < (command.expire - command.now).total_seconds() <= MUTE_SECONDS:
                raise InvalidArgument("a mute with an end lasts at most a year: give no end to mute until unmuted", "duration_seconds")
            if bond == replace(bond, muted=True, notifications=command.notifications, expire_micros=0) and command.expire is None:
                return []
            muted = PersonMuted(person_id=command.person_id, muted_id=command.muted_id, notifications=command.notifications)
            muted.mute_time.FromDatetime(command.now)
            if command.expire is not None:
                muted.expire_time.FromDatetime(command.expire)
            return [muted]
        case UnmutePerson():
            return [PersonUnmuted(person_id=command.person_id, muted_id=command.muted_id)] if bond.muted else []
        case BlockPerson():
            if command.person_id == command.blocked_id:
                raise InvalidArgument("you cannot block yourself: block somebody else", "person_id")
            if bond.blocked:
                return []
            if not command.allowed:
                raise Rejected("people do not block each other in this organisation: mute them instead, or report what they wrote")
            blocked = PersonBlocked(person_id=command.person_id, blocked_id=command.blocked_id)
            blocked.block_time.FromDatetime(command.now)
            return [blocked]
        case UnblockPerson():
            return [PersonUnblocked(person_id=command.person_id, blocked_id=command.blocked_id)] if bond.blocked else []
        case SetNote():
            if len(command.note) > NOTE_CHARACTERS:
                raise InvalidArgument(
                    f"a note has at most {NOTE_CHARACTERS:,} characters, this one has {len(command.note):,}: shorten it", "note"
                )
            if command.note == bond.note:
                return []
            return [PersonNoted(person_id=command.person_id, noted_id=command.noted_id, note=command.note)]
        case _:
            assert_never(command)


def evolve(bond: Bond, event: Event) -> Bond:
    """The bond after the event."""
    match event:
        case PersonMuted():
            ends = event.expire_time.ToMicroseconds() if event.HasField("expire_time") else 0
            return replace(bond, muted=True, notifications=event.notifications, expire_micros=ends)
        case PersonUnmuted():
            return replace(bond, muted=False, notifications=False, expire_micros=0)
        case PersonBlocked():
            return replace(bond, blocked=True)
        case PersonUnblocked():
            return replace(bond, blocked=False)
        case PersonNoted():
            return replace(bond, note=event.note)
        case _:
            assert_never(event)
