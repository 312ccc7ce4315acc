"""Ideas: the board, one idea with its history, and how a post becomes one."""
from __future__ import annotations

import asyncio
from typing import Final

from litestar import Response

from libs.rpc.errors import RpcError
from libs.text import markdown
from watercooler.feed.v1 import ideas_events_pb2 as events
from watercooler.feed.v1 import ideas_service_pb2 as ideas

from ..http import AnyRequest, clients, current_person
from ..problems import Refusal
from ..rendering import address
from ..views import Form, PostView
from ..views_asking import IdeaNewPage, IdeaPage, IdeasPage, IdeaStepView, IdeaView
from . import convert
from .asking import EXCERPT_CHARACTERS, audiences, short_audience
from .common import (
    TOKEN_CHARACTERS,
    get,
    go,
    path_id,
    post,
    posted,
    problems,
    query,
    render,
    return_path,
    shell,
    told,
    translated,
)
from .posts import compose_view, post_views

A_PAGE: Final = 20
STATES: Final[dict[str, events.IdeaState.ValueType]] = {
    "new": events.IDEA_STATE_NEW, "discussed": events.IDEA_STATE_DISCUSSED, "trial": events.IDEA_STATE_TRIAL,
    "done": events.IDEA_STATE_DONE, "not_now": events.IDEA_STATE_NOT_NOW,
}
NAMES: Final[dict[int, str]] = {value: name for name, value in STATES.items()}


def idea_view(found: ideas.Idea, shown: PostView, me: str) -> IdeaView:
    """An idea, given its post as it is shown."""
    return IdeaView(
        post=shown, state=NAMES.get(found.state, "new"), excerpt=markdown.excerpt(found.post.body, EXCERPT_CHARACTERS),  # type: ignore[arg-type]
        vote_count=found.vote_count, is_voted=found.voted, sponsor=convert.author(found.sponsor) if found.HasField("sponsor") else None,
        is_sponsor=found.HasField("sponsor") and found.sponsor.person_id == me, objective_title=found.objective_title,
        objective_url=found.objective_url, can_vote=found.can_vote, can_change=found.can_change, can_sponsor=found.can_sponsor,
        can_link=found.can_link,
        steps=[
            IdeaStepView(
                state=NAMES.get(each.state, "new"), person=convert.author(each.person), reason=each.reason,  # type: ignore[arg-type]
                time=convert.moment(each.step_time),
            )
            for each in found.steps
        ],
    )


@get("/ideas")
async def board(request: AnyRequest) -> Response[bytes]:
    """Ideas by state, by votes or by time."""
    state, token = query(request, "state", 20), query(request, "page", TOKEN_CHARACTERS)
    state = state if state in STATES else ""
    newest = query(request, "order", 20) == "newest"
    wanted = ideas.ListIdeasRequest(
        state=STATES.get(state, events.IDEA_STATE_UNSPECIFIED), page_size=A_PAGE, page_token=token,
        order=ideas.IDEA_ORDER_NEWEST if newest else ideas.IDEA_ORDER_UNSPECIFIED,
    )
    around, found = await asyncio.gather(shell(request), clients(request).ideas.ListIdeas(wanted))
    shown = await post_views(request, [each.post for each in found.ideas])
    me = current_person(request).person_id
    order = "newest" if newest else "votes"
    page = IdeasPage(
        shell=around, state=state, order=order, ideas=[idea_view(each, view, me) for each, view in zip(found.ideas, shown, strict=True)],  # type: ignore[arg-type]
        next_url=address("/ideas", state=state, order=order, page=found.next_page_token) if found.next_page_token else "",
    )
    return render(request, page)


@get("/ideas/new")
async def show_new(request: AnyRequest) -> Response[bytes]:
    """Write an idea."""
    return await _new_page(request, Form())


async def _new_page(request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
    around = await shell(request)
    chosen = audiences(around, form.value("audience", "everyone"), is_guest=current_person(request).is_guest)
    page = IdeaNewPage(shell=around, compose=compose_view(request, around, form=form, action="/ideas"), audiences=chosen, form=form)
    return render(request, page, status)


@post("/ideas")
async def publish(request: AnyRequest) -> Response[bytes]:
    """Publish an idea."""
    form = await posted(request)
    wanted = ideas.PublishIdeaRequest(
        body=form.raw("body"), language=form.text("language", 60), audience=short_audience(form),
        objective_title=form.text("objective_title", 400), objective_url=form.text("objective_url", 3_000),
        request_id=form.text("request_id", 100),
    )
    try:
        made = await clients(request).ideas.PublishIdea(wanted)
    except RpcError as error:
        problem = problems(error, {each: each for each in ("body", "audience", "objective_title", "objective_url")})
        kept = form.kept("body", "audience", "objective_title", "objective_url")
        return await _new_page(request, problem.form(kept), problem.status)
    return go(request, f"/ideas/{made.post.post_id}", told(request, "Posted."))


@post("/posts/{post_id:str}/idea")
async def propose(request: AnyRequest) -> Response[bytes]:
    """Make a post an idea."""
    made = await clients(request).ideas.ProposeIdea(ideas.ProposeIdeaRequest(post_id=path_id(request, "post_id")))
    return go(request, f"/ideas/{made.post.post_id}", told(request, "This post is an idea now."))


@get("/ideas/{post_id:str}")
async def show_idea(request: AnyRequest) -> Response[bytes]:
    """One idea."""
    return await _idea_page(request, Form())


async def _idea_page(request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
    wanted = ideas.GetIdeaRequest(post_id=path_id(request, "post_id"))
    around, found = await asyncio.gather(shell(request), clients(request).ideas.GetIdea(wanted))
    shown = (await post_views(request, [found.post]))[0]
    return render(request, IdeaPage(shell=around, idea=idea_view(found, shown, current_person(request).person_id), form=form), status)


@post("/ideas/{post_id:str}/vote")
async def vote(request: AnyRequest) -> Response[bytes]:
    """Vote for an idea, or take the vote back (`vote` is 0)."""
    form = await posted(request)
    post_id = path_id(request, "post_id")
    await clients(request).ideas.VoteIdea(ideas.VoteIdeaRequest(post_id=post_id, withdraw=form.text("vote") == "0"))
    return go(request, return_path(request, form, f"/ideas/{post_id}"))


@post("/ideas/{post_id:str}/change")
async def change(request: AnyRequest) -> Response[bytes]:
    """Say where an idea stands, sponsor it, or name its objective."""
    form = await posted(request)
    post_id, service, say = path_id(request, "post_id"), clients(request).ideas, translated(request)
    try:
        match form.text("action", 20):
            case "state":
                state = STATES.get(form.text("state", 20), events.IDEA_STATE_UNSPECIFIED)
                await service.ChangeIdeaState(ideas.ChangeIdeaStateRequest(post_id=post_id, state=state, reason=form.raw("reason")))
            case "sponsor":
                await service.SponsorIdea(ideas.SponsorIdeaRequest(post_id=post_id))
            case "leave":
                await service.LeaveIdea(ideas.LeaveIdeaRequest(post_id=post_id))
            case "link":
                await service.LinkIdea(
                    ideas.LinkIdeaRequest(
                        post_id=post_id, objective_title=form.text("objective_title", 400), objective_url=form.text("objective_url", 3_000)
                    )
                )
            case _:
                raise Refusal(400, say("Choose what to change."))
    except RpcError as error:
        names = ("state", "reason", "objective_title", "objective_url")
        problem = problems(error, {each: each for each in names})
        return await _idea_page(request, problem.form(form.kept(*names)), problem.status)
    return go(request, f"/ideas/{post_id}", say("Saved."))
