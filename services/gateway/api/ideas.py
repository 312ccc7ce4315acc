"""Ideas."""
from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from watercooler.feed.v1 import ideas_events_pb2 as events
from watercooler.feed.v1 import ideas_service_pb2 as ideas

from . import models
from .models import Body, Id, Language, Page
from .operations import Answer, Call, Input, Output, operation, time_of
from .posts import AudienceInput, read_audience

IdeaStateName = Literal["new", "discussed", "trial", "done", "not_now"]
STATES: dict[str, events.IdeaState.ValueType] = {
    "new": events.IDEA_STATE_NEW, "discussed": events.IDEA_STATE_DISCUSSED, "trial": events.IDEA_STATE_TRIAL,
    "done": events.IDEA_STATE_DONE, "not_now": events.IDEA_STATE_NOT_NOW,
}
STATE_NAMES: dict[int, IdeaStateName] = {value: name for name, value in STATES.items()}  # type: ignore[misc]


class IdeaStep(Output, frozen=True, kw_only=True):
    """When an idea came to a state, by whom and why."""

    state: IdeaStateName
    person: models.Author
    reason: str
    step_time: datetime


class Idea(Output, frozen=True, kw_only=True):
    """A post that is an idea; it is named by the post's id."""

    post: models.Post
    state: IdeaStateName
    vote_count: int
    voted: bool
    sponsor: models.Author | None
    objective_title: str
    objective_url: str
    steps: list[IdeaStep]
    propose_time: datetime
    can_vote: bool
    can_change: bool
    can_sponsor: bool
    can_link: bool


class IdeaList(Output, frozen=True, kw_only=True):
    """A page of ideas."""

    ideas: list[Idea]
    next_page_token: str


def idea(message: ideas.Idea) -> Idea:
    """An idea, from feed's message."""
    return Idea(
        post=models.post(message.post), state=STATE_NAMES.get(message.state, "new"), vote_count=message.vote_count, voted=message.voted,
        sponsor=models.author(message.sponsor) if message.HasField("sponsor") else None, objective_title=message.objective_title,
        objective_url=message.objective_url, propose_time=time_of(message.propose_time), can_vote=message.can_vote,
        can_change=message.can_change, can_sponsor=message.can_sponsor, can_link=message.can_link,
        steps=[
            IdeaStep(
                state=STATE_NAMES.get(each.state, "new"), person=models.author(each.person), reason=each.reason,
                step_time=time_of(each.step_time),
            )
            for each in message.steps
        ],
    )


class IdeasQuery(Page, frozen=True, kw_only=True):
    """Which ideas, in which order."""

    state: IdeaStateName | None = None
    order: Literal["votes", "newest"] = "votes"
    community_id: Id | None = None


@operation("GET", "/ideas", "List ideas", tag="ideas", query=IdeasQuery, answer=IdeaList)
async def list_ideas(call: Call, query: IdeasQuery) -> IdeaList:
    """Those that one may see."""
    found = await call.clients.ideas.ListIdeas(
        ideas.ListIdeasRequest(
            state=STATES[query.state] if query.state else events.IDEA_STATE_UNSPECIFIED,
            order=ideas.IDEA_ORDER_NEWEST if query.order == "newest" else ideas.IDEA_ORDER_UNSPECIFIED,
            community_id=query.community_id or "", page_size=query.page_size, page_token=query.page_token,
        )
    )
    return IdeaList(ideas=[idea(each) for each in found.ideas], next_page_token=found.next_page_token)


Title = Annotated[str, Meta(max_length=200)]
Url = Annotated[str, Meta(max_length=2_000)]


class IdeaInput(Input, frozen=True, kw_only=True):
    """An idea, published as a post of its own."""

    body: Body
    language: Language = ""
    audience: Annotated[AudienceInput | None, Meta(description="Everyone where absent.")] = None
    objective_title: Title = ""
    objective_url: Url = ""


@operation("POST", "/ideas", "Publish an idea", tag="ideas", status=201, body=IdeaInput, answer=Idea)
async def publish_idea(call: Call, body: IdeaInput) -> Answer:
    """The objective it serves may be named with it."""
    request = ideas.PublishIdeaRequest(
        body=body.body, language=body.language, objective_title=body.objective_title, objective_url=body.objective_url,
        request_id=call.request_id,
    )
    audience = read_audience(call, body.audience)
    if audience is not None:
        request.audience.CopyFrom(audience)
    made = await call.clients.ideas.PublishIdea(request)
    return Answer(idea(made), location=f"/api/v1/ideas/{made.post.post_id}")


@operation("PUT", "/posts/{post_id}/idea", "Make a post an idea", tag="ideas", answer=Idea)
async def propose_idea(call: Call) -> Idea:
    """For its author, and for those who moderate where it stands."""
    request = ideas.ProposeIdeaRequest(post_id=call.id("post_id"), request_id=call.request_id)
    return idea(await call.clients.ideas.ProposeIdea(request))


@operation("GET", "/ideas/{post_id}", "Read an idea", tag="ideas", answer=Idea)
async def get_idea(call: Call) -> Idea:
    """With its history."""
    return idea(await call.clients.ideas.GetIdea(ideas.GetIdeaRequest(post_id=call.id("post_id"))))


class IdeaStateInput(Input, frozen=True, kw_only=True):
    """Where the idea stands; done and not now need the reason."""

    state: IdeaStateName
    reason: Annotated[str, Meta(max_length=2_000)] = ""


@operation("PUT", "/ideas/{post_id}/state", "Say where an idea stands", tag="ideas", body=IdeaStateInput, answer=Idea)
async def change_idea_state(call: Call, body: IdeaStateInput) -> Idea:
    """For its sponsor, those who moderate where it stands, leaders and administrators."""
    request = ideas.ChangeIdeaStateRequest(
        post_id=call.id("post_id"), state=STATES[body.state], reason=body.reason, request_id=call.request_id
    )
    return idea(await call.clients.ideas.ChangeIdeaState(request))


@operation("PUT", "/ideas/{post_id}/sponsor", "Sponsor an idea", tag="ideas", answer=Idea)
async def sponsor_idea(call: Call) -> Idea:
    """Somebody other than whose idea it is."""
    request = ideas.SponsorIdeaRequest(post_id=call.id("post_id"), request_id=call.request_id)
    return idea(await call.clients.ideas.SponsorIdea(request))


@operation("DELETE", "/ideas/{post_id}/sponsor", "Sponsor an idea no longer", tag="ideas", answer=Idea)
async def leave_idea(call: Call) -> Idea:
    """For the sponsor."""
    request = ideas.LeaveIdeaRequest(post_id=call.id("post_id"), request_id=call.request_id)
    return idea(await call.clients.ideas.LeaveIdea(request))


class ObjectiveInput(Input, frozen=True, kw_only=True):
    """The objective it serves; both empty: none."""

    objective_title: Title = ""
    objective_url: Url = ""


@operation("PUT", "/ideas/{post_id}/objective", "Name the objective of an idea", tag="ideas", body=ObjectiveInput, answer=Idea)
async def link_idea(call: Call, body: ObjectiveInput) -> Idea:
    """For whose idea it is, its sponsor, and those who say where it stands."""
    request = ideas.LinkIdeaRequest(
        post_id=call.id("post_id"), objective_title=body.objective_title, objective_url=body.objective_url, request_id=call.request_id
    )
    return idea(await call.clients.ideas.LinkIdea(request))


@operation("PUT", "/ideas/{post_id}/vote", "Vote for an idea", tag="ideas", answer=Idea)
async def vote_idea(call: Call) -> Idea:
    """One vote each, not for one's own."""
    request = ideas.VoteIdeaRequest(post_id=call.id("post_id"), request_id=call.request_id)
    return idea(await call.clients.ideas.VoteIdea(request))


@operation("DELETE", "/ideas/{post_id}/vote", "Take a vote back", tag="ideas", answer=Idea)
async def unvote_idea(call: Call) -> Idea:
    """One's own."""
    request = ideas.VoteIdeaRequest(post_id=call.id("post_id"), withdraw=True, request_id=call.request_id)
    return idea(await call.clients.ideas.VoteIdea(request))
