"""The one way a command becomes events."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, cast

from libs.telemetry import metrics

from .model import C, Conflict, Decider, E, Metadata, Rejected, S
from .store import EventStore

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Handled(Generic[S]):
    """What a command led to.

    `position` is the log position to wait for where an asynchronous read model is needed; 0 when nothing was appended.
    `repeated` is true when the request had been answered before: `stream` is then the first answer's.
    """

    stream: str
    state: S
    version: int
    position: int = 0
    repeated: bool = False


async def handle(
    store: EventStore, decider: Decider[C, S, E], stream: str, command: C, meta: Metadata, request_id: str = "", attempts: int = ATTEMPTS
) -> Handled[S]:
    """Load, decide, append; on a lost race, load and decide again.

    Args:
        request_id: the caller's idempotency key; a repetition by the same actor returns the first answer's state (AIP-155).

    Raises:
        Rejected: the decider, or an inline projection, refuses.
        Conflict: the race was lost `attempts` times.
    """
    key = f"{meta.actor_id}:{request_id}" if request_id else ""
    for attempt in range(attempts):
        if key and (answer := await store.answered(key)) is not None:
            first, version = answer
            state = decider.initial()
            for recorded in await store.read(first):
                if recorded.version <= version:
                    state = decider.evolve(state, cast(E, recorded.data))
            return Handled(first, state, version, repeated=True)
        state = decider.initial()
        version = 0
        for recorded in await store.read(stream):
            state = decider.evolve(state, cast(E, recorded.data))
            version = recorded.version
        try:
            events = decider.decide(command, state)
        except Rejected:
            metrics.COMMAND_REJECTIONS.labels(service=store.name).inc()
            raise
        if not events:
            return Handled(stream, state, version)
        try:
            position = await store.append(stream, version, events, meta, key)
        except Conflict:
            metrics.COMMAND_CONFLICTS.labels(service=store.name).inc()
            if attempt == attempts - 1:
                raise
            continue
        for event in events:
            state = decider.evolve(state, event)
        return Handled(stream, state, version + len(events), position)
    raise AssertionError("unreachable")
