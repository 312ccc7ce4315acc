"""Which version of the guidelines a person has accepted; it only goes up."""
from __future__ import annotations

from dataclasses import dataclass

from watercooler.feed.v1.policy_events_pb2 import GuidelinesAccepted

from ..commands.policy import AcceptGuidelines

Event = GuidelinesAccepted


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The newest version accepted; 0: none."""

    guidelines_version: int = 0


def initial() -> Acceptance:
    """Nothing accepted yet."""
    return Acceptance()


def decide(command: AcceptGuidelines, acceptance: Acceptance) -> list[Event]:
    """Accept what was not accepted before."""
    if command.guidelines_version <= acceptance.guidelines_version:
        return []
    accepted = GuidelinesAccepted(person_id=command.person_id, guidelines_version=command.guidelines_version)
    accepted.accept_time.FromDatetime(command.now)
    return [accepted]


def evolve(acceptance: Acceptance, event: Event) -> Acceptance:
    """The acceptance after the event."""
    return Acceptance(event.guidelines_version)
