"""Who follows a log, and how."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from google.protobuf.message import Message

from libs.eventstore.model import Recorded


class Parked(NamedTuple):
    """A stream set aside at a position; `retry` is true when an operator asked for another try."""

    position: int
    retry: bool


class Reactor(Protocol):
    """An effect of events (commands to our own deciders, mail, webhooks): idempotent by event id, never replayed by a rebuild."""

    name: str
    handles: tuple[type[Message], ...]

    async def react(self, event: Recorded, /) -> None:
        """Do what follows from the event."""
        ...


class Consumer(Protocol):
    """Takes a log's events in order and remembers how far it is.

    `handles` lists the event types it wants; None wants them all. It is told of the others only by the position.
    """

    name: str
    handles: tuple[type[Message], ...] | None
    linger_seconds: float
    """How long events gather between two takings; 0 takes them as they come. For consumers whose taking costs much at any size."""
    every_process: bool
    """Whether each process of a service takes all events for itself, for what it holds in memory; else one process takes them for all."""

    async def checkpoint(self, source: str, /) -> int | None:
        """The position it has taken; None when it has never run."""
        ...

    async def start(self, source: str, head: int, /) -> int:
        """Called once before the first event ever; answers the position to start after (0 for the beginning, `head` for now)."""
        ...

    async def take(self, source: str, events: Sequence[Recorded], position: int, /) -> None:
        """Take the events and remember `position`, both or neither where it can."""
        ...

    async def park(self, source: str, event: Recorded, reason: str, /) -> None:
        """Set the event's stream aside and remember that the event was passed."""
        ...

    async def parked(self, source: str, /) -> dict[str, Parked]:
        """The streams set aside, by stream."""
        ...

    async def unpark(self, source: str, stream: str, events: Sequence[Recorded], /) -> None:
        """Take what a stream missed and forget that it was set aside, both or neither where it can."""
        ...
