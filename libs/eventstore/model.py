"""What every service means by an event, a stream, a decision and a projection."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, TypeVar

from google.protobuf.message import Message

from libs.db.database import Transaction

C = TypeVar("C", contravariant=True)
S = TypeVar("S")
E = TypeVar("E", bound=Message)

EVENTS_PER_APPEND = 100
EVENT_BYTES = 512 * 1024


class Rejected(Exception):
    """The command is not allowed in the current state; the text is for the person who tried."""

    def __init__(self, reason: str, field: str = "") -> None:
        """Refuse with a reason; `field` names the field of the request at fault, where it is one."""
        super().__init__(reason)
        self.reason = reason
        self.field = field


class InvalidArgument(Rejected):
    """A value is wrong whatever the state."""


class NotFound(Rejected):
    """The thing does not exist, or the caller may not know that it does."""


class PermissionDenied(Rejected):
    """The caller may see the thing but not do this with it."""


class AlreadyExists(Rejected):
    """Something that must be unique is taken."""


class Conflict(Exception):
    """Somebody appended to the stream first."""


class EditConflict(Rejected):
    """The edit was made on an older version than the current one."""


class Metadata(NamedTuple):
    """Who caused an event, and from what it follows."""

    actor_id: str
    correlation_id: str = ""
    causation_id: str = ""
    traceparent: str = ""


class Recorded(NamedTuple):
    """An event as it stands in a log.

    `position` is unique and ascending in the service's log, `version` in its stream; both start at 1.
    `record_micros` is the time of the append in microseconds since 1970, UTC.
    `erased` is true when the event's personal fields are gone with their person's key.
    """

    id: str
    stream: str
    version: int
    position: int
    record_micros: int
    data: Message
    meta: Metadata
    erased: bool = False

    @property
    def time(self) -> datetime:
        """The time of the append."""
        return datetime.fromtimestamp(self.record_micros / 1_000_000, UTC)


class Decider(Protocol[C, S, E]):
    """A module with three pure functions: no clock, ids, randomness or I/O (they come in the command)."""

    def initial(self) -> S:
        """The state of a stream without events."""
        ...

    def decide(self, command: C, state: S, /) -> list[E]:
        """What happens; `[]` when nothing new does.

        Raises:
            Rejected: the command is not allowed.
        """
        ...

    def evolve(self, state: S, event: E, /) -> S:
        """The state after the event; total."""
        ...


class Projection(Protocol):
    """A read model: rebuildable from its one source, without effect outside its transaction and its own tables.

    Inline projections are applied in the append's own transaction and may refuse it by raising `Rejected`, which guards
    what no single stream can (a unique address, a chart without cycles); on a rebuild there is nothing left to refuse.
    """

    name: str
    handles: tuple[type[Message], ...]
    tables: tuple[str, ...]

    async def apply(self, event: Recorded, tx: Transaction, /) -> None:
        """Take the event into the tables."""
        ...


class Log(Protocol):
    """A source of recorded events: a service's own log, or what a broker brings of a neighbour's."""

    name: str

    async def tail(self, after: int, limit: int) -> Sequence[Recorded]:
        """The next events by position, at most `limit`; empty at the end."""
        ...

    async def head(self) -> int:
        """The position of the newest event; 0 when there is none."""
        ...


def fold(decider: Decider[C, S, E], events: Iterable[E]) -> S:
    """The state that the events lead to."""
    state = decider.initial()
    for event in events:
        state = decider.evolve(state, event)
    return state


def micros(moment: datetime) -> int:
    """Microseconds since 1970, UTC: how times stand in tables."""
    return round(moment.timestamp() * 1_000_000)
