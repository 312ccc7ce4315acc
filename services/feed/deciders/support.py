"""One person's vote for a question to leaders or an idea: one each, never for one's own, and it can be taken back."""
from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from libs.eventstore.model import Rejected
from watercooler.feed.v1.asking_events_pb2 import SUPPORT_SUBJECT_IDEA, SupportGiven, SupportWithdrawn

from ..commands.asking import GiveSupport, SupportCommand, WithdrawSupport

Event = SupportGiven | SupportWithdrawn


@dataclass(frozen=True, slots=True)
class Support:
    """Given, or not."""

    given: bool = False


def initial() -> Support:
    """No vote."""
    return Support()


def decide(command: SupportCommand, support: Support) -> list[Event]:
    """What happens; voting twice is one vote."""
    match command:
        case GiveSupport():
            if command.owner_id == command.person_id:
                what = "idea" if command.subject == SUPPORT_SUBJECT_IDEA else "question"
                raise Rejected(f"this {what} is your own: your vote is in it already")
            if support.given:
                return []
            given = SupportGiven(subject=command.subject, subject_id=command.subject_id, person_id=command.person_id)
            given.support_time.FromDatetime(command.now)
            return [given]
        case WithdrawSupport():
            if not support.given:
                return []
            return [SupportWithdrawn(subject=command.subject, subject_id=command.subject_id, person_id=command.person_id)]
        case _:
            assert_never(command)


def evolve(support: Support, event: Event) -> Support:
    """The vote after the event."""
    return Support(isinstance(event, SupportGiven))
