"""A vote: one person's choice in one poll. It is made once and stands."""
from __future__ import annotations

from dataclasses import dataclass

from libs.eventstore.model import InvalidArgument, Rejected
from watercooler.feed.v1.events_pb2 import PollVoted

from ..commands import VotePoll

Event = PollVoted


@dataclass(frozen=True, slots=True)
class Vote:
    """What was chosen; empty while nothing is."""

    choices: tuple[int, ...] = ()


def initial() -> Vote:
    """Not voted yet."""
    return Vote()


def decide(command: VotePoll, vote: Vote) -> list[Event]:
    """Vote, once. Raises Rejected where the poll has closed or another choice stands, InvalidArgument for what is no choice."""
    choices = tuple(sorted(set(command.choices)))
    if vote.choices == choices and choices:
        return []
    if vote.choices:
        raise Rejected("you have voted in this poll already: a vote stands")
    if command.now >= command.close_time:
        raise Rejected("this poll has closed: its result is final")
    if not choices:
        raise InvalidArgument("choose an option", "choices")
    if choices[0] < 0 or choices[-1] >= command.options:
        raise InvalidArgument(f"the poll has the options 0 to {command.options - 1}", "choices")
    if len(choices) > 1 and not command.multiple:
        raise InvalidArgument("this poll takes one choice only", "choices")
    voted = PollVoted(post_id=command.post_id, voter_id=command.voter_id, choices=choices)
    if command.voter_id:  # an anonymous vote bears no time of its own
        voted.vote_time.FromDatetime(command.now)
    return [voted]


def evolve(vote: Vote, event: Event) -> Vote:
    """The vote after the event."""
    return Vote(tuple(event.choices))
