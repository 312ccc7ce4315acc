"""A frozen audience: parts in ascending order of ids, then closed. What is counted is never uncounted."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from libs.eventstore.model import InvalidArgument
from watercooler.feed.v1.announcement_events_pb2 import AudienceClosed, AudienceFrozen

from ..commands.announcements import AudienceCommand, CloseAudience, FreezePart

Event = AudienceFrozen | AudienceClosed

# 1,000 ids of 36 characters take 38 KB of the 512 KiB of an event; half a million people are 500 events. Larger parts would be fewer, but
# each holds the log and its readers while its rows are written.
PART_PEOPLE = 1_000


@dataclass(frozen=True, slots=True)
class Audience:
    """How far it is frozen."""

    parts: int = 0
    count: int = 0
    last_id: str = ""
    closed: bool = False
    digest: str = ""


def initial() -> Audience:
    """Nobody yet."""
    return Audience()


def decide(command: AudienceCommand, audience: Audience) -> list[Event]:
    """Freeze the next part or close; nothing once it is closed, or for people who are counted already."""
    match command:
        case FreezePart():
            ids = command.person_ids
            if not 1 <= len(ids) <= PART_PEOPLE:
                raise InvalidArgument(f"a part has 1 to {PART_PEOPLE:,} people, not {len(ids):,}")
            if audience.closed or ids[0] <= audience.last_id:
                return []
            return [AudienceFrozen(announcement_id=command.announcement_id, part=audience.parts + 1, person_ids=ids)]
        case CloseAudience():
            if audience.closed:
                return []
            return [
                AudienceClosed(announcement_id=command.announcement_id, audience_count=audience.count, audience_digest=command.digest)
            ]
        case _:
            assert_never(command)


def evolve(audience: Audience, event: Event) -> Audience:
    """The audience after the event."""
    match event:
        case AudienceFrozen():
            return replace(
                audience, parts=event.part, count=audience.count + len(event.person_ids), last_id=event.person_ids[-1]
            )
        case AudienceClosed():
            return replace(audience, closed=True, digest=event.audience_digest)
        case _:
            assert_never(event)
