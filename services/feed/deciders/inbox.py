"""An inbox: how far a person has read their notifications, shared by their devices. It only moves forward."""
from __future__ import annotations

from dataclasses import dataclass

from watercooler.feed.v1.events_pb2 import NotificationsRead

from ..commands import InboxCommand

Event = NotificationsRead


@dataclass(frozen=True, slots=True)
class Inbox:
    """The position up to which all is read."""

    read_position: int = 0


def initial() -> Inbox:
    """Nothing read."""
    return Inbox()


def decide(command: InboxCommand, inbox: Inbox) -> list[Event]:
    """Nothing new where another device has read further."""
    if command.read_position <= inbox.read_position:
        return []
    return [NotificationsRead(person_id=command.person_id, read_position=command.read_position)]


def evolve(inbox: Inbox, event: Event) -> Inbox:
    """The inbox after the event."""
    return Inbox(event.read_position)
