"""Markers: how far a person has read their timelines, shared by their devices."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.eventstore.model import InvalidArgument
from watercooler.feed.v1.reading_events_pb2 import MarkerMoved

from ..commands.reading import MarkersCommand

Event = MarkerMoved

TIMELINES = ("home", "notifications")
ID_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Markers:
    """The id last read, by timeline."""

    last_read_ids: Mapping[str, str] = field(default_factory=dict)


def initial() -> Markers:
    """Nothing read."""
    return Markers()


def decide(command: MarkersCommand, markers: Markers) -> list[Event]:
    """What happens; a marker may move back, where somebody wants to read again."""
    if command.timeline not in TIMELINES:
        raise InvalidArgument(f"markers are kept for {' and '.join(TIMELINES)}", "timeline")
    if not 1 <= len(command.last_read_id) <= ID_CHARACTERS:
        raise InvalidArgument(f"last_read_id has 1 to {ID_CHARACTERS} characters", "last_read_id")
    if markers.last_read_ids.get(command.timeline) == command.last_read_id:
        return []
    moved = MarkerMoved(person_id=command.person_id, timeline=command.timeline, last_read_id=command.last_read_id)
    moved.update_time.FromDatetime(command.now)
    return [moved]


def evolve(markers: Markers, event: Event) -> Markers:
    """The markers after the event."""
    return Markers({**markers.last_read_ids, event.timeline: event.last_read_id})
