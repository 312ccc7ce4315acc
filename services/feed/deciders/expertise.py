"""Whether a person is an expert of a community: its owners say so."""
from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from libs.eventstore.model import PermissionDenied
from watercooler.feed.v1.asking_events_pb2 import ExpertNamed, ExpertWithdrawn

from ..commands.asking import ExpertiseCommand, NameExpert, WithdrawExpert

Event = ExpertNamed | ExpertWithdrawn

EXPERTS = 50
NOT_YOURS = "the experts of a community are named by its owners: ask one of them"


@dataclass(frozen=True, slots=True)
class Expertise:
    """Named, or not."""

    named: bool = False


def initial() -> Expertise:
    """Not named."""
    return Expertise()


def decide(command: ExpertiseCommand, expertise: Expertise) -> list[Event]:
    """What happens; naming the named is no news."""
    match command:
        case NameExpert():
            if not command.owns:
                raise PermissionDenied(NOT_YOURS)
            if expertise.named:
                return []
            named = ExpertNamed(community_id=command.community_id, person_id=command.person_id, namer_id=command.namer_id)
            named.name_time.FromDatetime(command.now)
            return [named]
        case WithdrawExpert():
            if not (command.owns or command.withdrawer_id == command.person_id):
                raise PermissionDenied(NOT_YOURS)
            if not expertise.named:
                return []
            return [
                ExpertWithdrawn(community_id=command.community_id, person_id=command.person_id, withdrawer_id=command.withdrawer_id)
            ]
        case _:
            assert_never(command)


def evolve(expertise: Expertise, event: Event) -> Expertise:
    """The expertise after the event."""
    return Expertise(isinstance(event, ExpertNamed))
