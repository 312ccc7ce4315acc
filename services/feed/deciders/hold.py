"""A legal hold: placed, and lifted once."""
from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from libs.eventstore.model import InvalidArgument, NotFound
from watercooler.feed.v1 import retention_events_pb2 as pb
from watercooler.feed.v1.retention_events_pb2 import HoldLifted, HoldPlaced

from ..commands.retention import HoldCommand, LiftHold, PlaceHold
from .rule import check_reason

Event = HoldPlaced | HoldLifted


@dataclass(frozen=True, slots=True)
class Hold:
    """Whether it is there, and whether it still holds."""

    exists: bool = False
    active: bool = False


def initial() -> Hold:
    """Before it is placed."""
    return Hold()


def decide(command: HoldCommand, hold: Hold) -> list[Event]:
    """Place or lift it; raises Rejected with the limit that is passed."""
    match command:
        case PlaceHold():
            if hold.exists:
                return []
            if not command.subject or command.subject not in pb.HoldSubject.values():
                raise InvalidArgument("a hold is about a person, a community or everything", "subject")
            if bool(command.subject_id) == (command.subject == pb.HOLD_SUBJECT_EVERYTHING):
                raise InvalidArgument("name the person or community; for everything name nobody", "subject_id")
            if command.from_time is not None and command.until_time is not None and command.from_time >= command.until_time:
                raise InvalidArgument("a hold begins before it ends: change one of the two days", "until_time")
            check_reason(command.reason)
            placed = HoldPlaced(
                hold_id=command.hold_id, subject=command.subject, subject_id=command.subject_id, reason=command.reason.strip(),
                placer_id=command.placer_id,
            )
            placed.place_time.FromDatetime(command.now)
            if command.from_time is not None:
                placed.from_time.FromDatetime(command.from_time)
            if command.until_time is not None:
                placed.until_time.FromDatetime(command.until_time)
            return [placed]
        case LiftHold():
            if not hold.exists:
                raise NotFound("there is no such hold")
            if not hold.active:
                return []
            check_reason(command.reason)
            lifted = HoldLifted(hold_id=command.hold_id, reason=command.reason.strip(), lifter_id=command.lifter_id)
            lifted.lift_time.FromDatetime(command.now)
            return [lifted]
        case _:
            assert_never(command)


def evolve(hold: Hold, event: Event) -> Hold:
    """The hold after the event."""
    return Hold(exists=True, active=isinstance(event, HoldPlaced))
