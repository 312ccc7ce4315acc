"""An idea: a thread with a state that changes with reasons, a sponsor, and the objective it serves."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from libs.eventstore.model import InvalidArgument, NotFound, PermissionDenied, Rejected
from watercooler.feed.v1.ideas_events_pb2 import (
    IDEA_STATE_DONE,
    IDEA_STATE_NEW,
    IDEA_STATE_NOT_NOW,
    IDEA_STATE_UNSPECIFIED,
    IdeaLinked,
    IdeaProposed,
    IdeaSponsored,
    IdeaSponsorLeft,
    IdeaState,
    IdeaStateChanged,
)

from ..commands.ideas import ChangeIdeaState, IdeaCommand, LeaveIdea, LinkIdea, ProposeIdea, SponsorIdea

Event = IdeaProposed | IdeaStateChanged | IdeaSponsored | IdeaSponsorLeft | IdeaLinked

REASON_CHARACTERS = 2_000
TITLE_CHARACTERS = 200
URL_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Idea:
    """What the decisions depend on; without a state there is no idea yet."""

    state: IdeaState.ValueType = IDEA_STATE_UNSPECIFIED
    author_id: str = ""
    sponsor_id: str = ""
    objective: tuple[str, str] = ("", "")


def initial() -> Idea:
    """A post like others."""
    return Idea()


def decide(command: IdeaCommand, idea: Idea) -> list[Event]:
    """What happens to the idea; raises Rejected with what is missing."""
    if isinstance(command, ProposeIdea):
        if idea.state:
            return []
        if not (command.moderates or command.proposer_id == command.author_id):
            raise PermissionDenied("a post becomes an idea by its author, or by those who moderate where it stands")
        proposed = IdeaProposed(post_id=command.post_id, author_id=command.author_id, proposer_id=command.proposer_id)
        proposed.propose_time.FromDatetime(command.now)
        return [proposed]
    if not idea.state:
        raise NotFound("this post is no idea")
    match command:
        case ChangeIdeaState():
            return _change(command, idea)
        case SponsorIdea():
            if idea.sponsor_id == command.sponsor_id:
                return []
            if idea.sponsor_id:
                raise Rejected("this idea has a sponsor already")
            if command.sponsor_id == idea.author_id:
                raise Rejected("a sponsor is somebody other than whose idea it is: win a colleague for it")
            sponsored = IdeaSponsored(post_id=command.post_id, sponsor_id=command.sponsor_id)
            sponsored.sponsor_time.FromDatetime(command.now)
            return [sponsored]
        case LeaveIdea():
            if idea.sponsor_id != command.sponsor_id:
                return []
            left = IdeaSponsorLeft(post_id=command.post_id, sponsor_id=command.sponsor_id)
            left.leave_time.FromDatetime(command.now)
            return [left]
        case LinkIdea():
            return _link(command, idea)
        case _:
            assert_never(command)


def evolve(idea: Idea, event: Event) -> Idea:
    """The idea after the event."""
    match event:
        case IdeaProposed():
            return Idea(IDEA_STATE_NEW, event.author_id)
        case IdeaStateChanged():
            return replace(idea, state=event.state)
        case IdeaSponsored():
            return replace(idea, sponsor_id=event.sponsor_id)
        case IdeaSponsorLeft():
            return replace(idea, sponsor_id="")
        case IdeaLinked():
            return replace(idea, objective=(event.objective_title, event.objective_url))
        case _:
            assert_never(event)


def check_objective(title: str, url: str) -> None:
    """Refuse what cannot name an objective."""
    if len(title) > TITLE_CHARACTERS:
        raise InvalidArgument(f"an objective's title has at most {TITLE_CHARACTERS} characters: shorten it", "objective_title")
    if url and not title:
        raise InvalidArgument("say which objective the address is of", "objective_title")
    if url and (len(url) > URL_CHARACTERS or not url.startswith(("https://", "http://")) or any(each.isspace() for each in url)):
        raise InvalidArgument("the address of an objective begins with https://", "objective_url")


def _change(command: ChangeIdeaState, idea: Idea) -> list[Event]:
    if not (command.decides or command.changer_id == idea.sponsor_id):
        raise PermissionDenied("where an idea stands is said by its sponsor, those who moderate there, leaders and administrators")
    if command.state == IDEA_STATE_UNSPECIFIED or command.state not in IdeaState.values():
        raise InvalidArgument("choose a state", "state")
    if command.state == idea.state:
        return []
    if command.state in (IDEA_STATE_DONE, IDEA_STATE_NOT_NOW) and not command.reason.strip():
        raise InvalidArgument("say what was done, or why not now: those who voted for it want to know", "reason")
    if len(command.reason) > REASON_CHARACTERS:
        raise InvalidArgument(f"a reason has at most {REASON_CHARACTERS:,} characters: shorten it", "reason")
    changed = IdeaStateChanged(
        post_id=command.post_id, author_id=idea.author_id, state=command.state, previous_state=idea.state, changer_id=command.changer_id,
        reason=command.reason,
    )
    changed.change_time.FromDatetime(command.now)
    return [changed]


def _link(command: LinkIdea, idea: Idea) -> list[Event]:
    if not (command.decides or command.linker_id in (idea.author_id, idea.sponsor_id)):
        raise PermissionDenied("the objective is named by whose idea it is, its sponsor, those who moderate there, and leaders")
    check_objective(command.objective_title, command.objective_url)
    if (command.objective_title, command.objective_url) == idea.objective:
        return []
    linked = IdeaLinked(
        post_id=command.post_id, linker_id=command.linker_id, objective_title=command.objective_title, objective_url=command.objective_url
    )
    linked.link_time.FromDatetime(command.now)
    return [linked]
