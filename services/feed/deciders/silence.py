"""Somebody who may write nothing in a community for a while."""
from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from libs.eventstore.model import micros
from watercooler.feed.v1.moderation_events_pb2 import MemberMuted, MemberUnmuted

from ..commands.moderation import MuteMember, SilenceCommand, UnmuteMember

Event = MemberMuted | MemberUnmuted


@dataclass(frozen=True, slots=True)
class Silence:
    """Until when, in microseconds since 1970; 0: they may write."""

    end: int = 0


def initial() -> Silence:
    """They may write."""
    return Silence()


def decide(command: SilenceCommand, silence: Silence) -> list[Event]:
    """Mute until a moment, or let them write again."""
    match command:
        case MuteMember():
            if silence.end == micros(command.end):
                return []
            muted = MemberMuted(community_id=command.community_id, person_id=command.person_id, moderator_id=command.moderator_id)
            muted.end_time.FromDatetime(command.end)
            return [muted]
        case UnmuteMember():
            if not silence.end:
                return []
            return [MemberUnmuted(community_id=command.community_id, person_id=command.person_id, moderator_id=command.moderator_id)]
        case _:
            assert_never(command)


def evolve(silence: Silence, event: Event) -> Silence:
    """The state after the event."""
    return Silence(event.end_time.ToMicroseconds() if isinstance(event, MemberMuted) else 0)
