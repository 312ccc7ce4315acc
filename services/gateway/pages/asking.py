"""Questions and their best answers, experts, praise, and questions to leaders."""
from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from litestar import Response

from libs.rpc.errors import RpcError
from libs.text import markdown
from libs.text.ids import new_id
from watercooler.common.v1.audience_pb2 import Audience, Everyone
from watercooler.feed.v1 import asking_events_pb2 as events
from watercooler.feed.v1 import asking_service_pb2 as asking
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import policy_service_pb2 as policy
from watercooler.identity.v1 import identity_service_pb2 as identity

from ..http import AnyRequest, clients, current_person, gateway
from ..neighbours import spared
from ..problems import Refusal
from ..rendering import address
from ..views import CommunityRef, Form, Option, PersonRef, PostPage, PostView, Shell
from ..views_asking import (
    AskedView,
    AskPage,
    EnquiryPage,
    EnquiryStepView,
    EnquiryView,
    ExpertsPage,
    PraiseNewPage,
    PraisePage,
    QuestionsPage,
    QuestionView,
    ReasonView,
    ValueCount,
)
from . import convert
from .common import (
    TOKEN_CHARACTERS,
    Posted,
    bad,
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
from .posts import post_views
from .whom import find, optional, resolve

A_PAGE: Final = 20
EXCERPT_CHARACTERS: Final = 280
SHOWN: Final[dict[str, asking.QuestionFilter.ValueType]] = {
    "waiting": asking.QUESTION_FILTER_UNSPECIFIED, "open": asking.QUESTION_FILTER_OPEN, "solved": asking.QUESTION_FILTER_SOLVED,
    "all": asking.QUESTION_FILTER_ALL, "mine": asking.QUESTION_FILTER_FOR_ME,
}
ORDERS: Final[dict[str, asking.EnquiryOrder.ValueType]] = {
    "votes": asking.ENQUIRY_ORDER_UNSPECIFIED, "newest": asking.ENQUIRY_ORDER_NEWEST, "waiting": asking.ENQUIRY_ORDER_WAITING,
}
STATES: Final[dict[int, str]] = {
    asking.ENQUIRY_STATE_OPEN: "open", asking.ENQUIRY_STATE_ACCEPTED: "accepted", asking.ENQUIRY_STATE_ANSWERED: "answered",
    asking.ENQUIRY_STATE_DECLINED: "declined", asking.ENQUIRY_STATE_WITHDRAWN: "withdrawn",
}
DECISIONS: Final = {
    "accept": asking.ENQUIRY_STATE_ACCEPTED, "answer": asking.ENQUIRY_STATE_ANSWERED, "decline": asking.ENQUIRY_STATE_DECLINED,
    "withdraw": asking.ENQUIRY_STATE_WITHDRAWN,
}
REASONS: Final[dict[int, str]] = {
    events.EXPERTISE_REASON_NAMED: "named", events.EXPERTISE_REASON_BEST_IN_COMMUNITY: "best_in_community",
    events.EXPERTISE_REASON_BEST_ON_TAG: "best_on_tag", events.EXPERTISE_REASON_VALUED_IN_COMMUNITY: "valued_in_community",
    events.EXPERTISE_REASON_VALUED_ON_TAG: "valued_on_tag",
}


# --- questions --------------------------------------------------------------------------------------------------------


def question_view(found: asking.Question, shown: PostView) -> QuestionView:
    """A question, given its post as it is shown."""
    return QuestionView(
        post=shown, excerpt=markdown.excerpt(found.post.body, EXCERPT_CHARACTERS), answer_count=found.answer_count,
        best=convert.post(found.best_answer) if found.HasField("best_answer") else None, can_mark=found.can_mark,
        route_time=convert.optional_moment(found, "route_time"),
        asked=[
            AskedView(
                person=convert.author(each.person),
                reasons=[
                    ReasonView(kind=REASONS[one.reason], count=one.count, tag=one.tag)  # type: ignore[arg-type]
                    for one in each.reasons if one.reason in REASONS
                ],
            )
            for each in found.asked_people
        ],
    )


@get("/questions")
async def questions(request: AnyRequest) -> Response[bytes]:
    """Questions that wait for an answer, the oldest first; or others."""
    show = query(request, "show", 20)
    show = show if show in SHOWN else "waiting"
    community_id, token = query(request, "community", 36), query(request, "page", TOKEN_CHARACTERS)
    newest_first = show in ("solved", "all")
    wanted = asking.ListQuestionsRequest(
        filter=SHOWN[show], community_id=community_id, page_size=A_PAGE, page_token=token, newest_first=newest_first
    )
    around, found, community = await asyncio.gather(
        shell(request), clients(request).asking.ListQuestions(wanted), _community(request, community_id)
    )
    shown = await post_views(request, [each.post for each in found.questions])
    following = address("/questions", show=show, community=community_id, page=found.next_page_token) if found.next_page_token else ""
    page = QuestionsPage(
        shell=around, show=show, community=community, next_url=following,  # type: ignore[arg-type]
        questions=[question_view(each, view) for each, view in zip(found.questions, shown, strict=True)],
    )
    return render(request, page)


async def _community(request: AnyRequest, community_id: str) -> CommunityRef | None:
    if not community_id:
        return None
    return convert.community_ref(await clients(request).feed.GetCommunity(feed.GetCommunityRequest(community_id=community_id)))


async def of_thread(request: AnyRequest, root: feed.Post, shown: PostView) -> tuple[PostView, QuestionView | None]:
    """The first post of a thread with its replies, and where it asks what is known of the question: one call for questions, none else."""
    if shown.kind != "question" or shown.is_deleted:
        return shown, None
    found = await spared(
        request, "feed", lambda: clients(request).asking.GetQuestion(asking.GetQuestionRequest(question_id=root.post_id))
    )
    if found is None:
        return shown, None
    if found.can_mark:
        shown = _markable(shown)
    return shown, question_view(found, shown)


async def markable(request: AnyRequest, shown: PostView) -> PostView:
    """A reply by itself, as it stands under its question: one call."""
    wanted = asking.GetQuestionRequest(question_id=shown.root_id)
    found = await spared(request, "feed", lambda: optional(clients(request).asking.GetQuestion(wanted)))
    return _markable(shown) if found is not None and found.can_mark else shown


def _markable(shown: PostView) -> PostView:
    replies = [_markable(each) for each in shown.replies]
    return msgspec.structs.replace(shown, replies=replies, can_mark_best=bool(shown.root_id) and not shown.is_deleted)


@post("/posts/{post_id:str}/best")
async def mark_best(request: AnyRequest) -> Response[bytes]:
    """Mark an answer as the best, or take the mark back (`best` is 0)."""
    form = await posted(request)
    post_id = path_id(request, "post_id")
    if form.text("best") == "0":
        shown = await clients(request).feed.GetPost(feed.GetPostRequest(post_id=post_id))
        found = await clients(request).asking.UnmarkBestAnswer(asking.UnmarkBestAnswerRequest(question_id=shown.root_id or post_id))
        return go(request, f"/posts/{found.post.post_id}", told(request, "No answer is marked as the best any more."))
    found = await clients(request).asking.MarkBestAnswer(asking.MarkBestAnswerRequest(post_id=post_id))
    return go(request, f"/posts/{found.post.post_id}", told(request, "Marked as the best answer."))


# --- experts ----------------------------------------------------------------------------------------------------------


async def experts_of(request: AnyRequest, community_id: str) -> list[PersonRef]:
    """The experts of a community: one call."""
    found = await optional(clients(request).asking.ListExperts(asking.ListExpertsRequest(community_id=community_id)))
    return [convert.author(each) for each in found.experts] if found is not None else []


@get("/communities/{community_id:str}/experts")
async def show_experts(request: AnyRequest) -> Response[bytes]:
    """Who is an expert here, and for the owners a form that names another one."""
    return await _experts_page(request, Form())


async def _experts_page(request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
    services, community_id = clients(request), path_id(request, "community_id")
    around, found, experts = await asyncio.gather(
        shell(request), services.feed.GetCommunity(feed.GetCommunityRequest(community_id=community_id)),
        services.asking.ListExperts(asking.ListExpertsRequest(community_id=community_id)),
    )
    view = convert.community(found, is_administrator=current_person(request).is_administrator)
    page = ExpertsPage(
        shell=around, community=view, experts=[convert.author(each) for each in experts.experts], can_name=experts.can_name, form=form
    )
    return render(request, page, status)


@post("/communities/{community_id:str}/experts")
async def change_experts(request: AnyRequest) -> Response[bytes]:
    """Name an expert, or take one off the list."""
    form = await posted(request)
    services, community_id = clients(request), path_id(request, "community_id")
    target = f"/communities/{community_id}/experts"
    try:
        if form.text("action", 20) == "remove":
            person_id = form.text("person_id", 36)
            await services.asking.WithdrawExpert(asking.WithdrawExpertRequest(community_id=community_id, person_id=person_id))
            return go(request, target, told(request, "Removed."))
        person_id = await find(request, form.text("person", 200)) or ""
        if not person_id:
            problem = bad("person", told(request, "Nobody is found by this name. Write @ and choose from the list."))
            return await _experts_page(request, problem.form(form.kept("person")), problem.status)
        await services.asking.NameExpert(asking.NameExpertRequest(community_id=community_id, person_id=person_id))
    except RpcError as error:
        problem = problems(error, {"person_id": "person"})
        return await _experts_page(request, problem.form(form.kept("person")), problem.status)
    return go(request, target, told(request, "Added."))


# --- praise -----------------------------------------------------------------------------------------------------------


def audiences(around: Shell, chosen: str = "everyone", *, is_guest: bool = False) -> list[Option]:
    """Whom a post can be for, as the short forms offer it."""
    everyone = [] if is_guest else ["everyone"]
    return [
        *(Option(value=each, label="", is_chosen=chosen == each) for each in everyone),
        *(
            Option(value=f"community:{each.id}", label=each.name, is_chosen=chosen == f"community:{each.id}")
            for each in around.communities
        ),
    ]


def short_audience(form: Posted) -> Audience:
    """The audience chosen in a short form."""
    chosen = form.text("audience", 100)
    if chosen.startswith("community:"):
        return Audience(community_id=chosen.removeprefix("community:"))
    return Audience(everyone=Everyone())


@get("/praise/new")
async def show_praise_new(request: AnyRequest) -> Response[bytes]:
    """Thank somebody; `person` is who is named at first."""
    person_id = query(request, "person", 36)
    values: dict[str, str] = {}
    if len(person_id) == 36:
        found = await clients(request).identity.GetPerson(identity.GetPersonRequest(person_id=person_id))
        values["people"] = f"@{found.profile.handle}" if found.profile.handle else found.display_name
    return await _praise_page(request, Form(values=values))


async def _praise_page(request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
    around, found = await asyncio.gather(shell(request), clients(request).policy.GetPolicy(policy.GetPolicyRequest()))
    page = PraiseNewPage(
        shell=around, form=form, request_id=form.value("request_id") or new_id(),
        values=[Option(value=each, label=each) for each in found.values],
        audiences=audiences(around, form.value("audience", "everyone"), is_guest=current_person(request).is_guest),
        body_max=gateway(request).context.settings.post_characters_max,
    )
    return render(request, page, status)


@post("/praise")
async def praise(request: AnyRequest) -> Response[bytes]:
    """Publish the thanks."""
    form = await posted(request)
    kept = form.kept("people", "value", "body", "audience", "request_id")
    ids, unknown = await resolve(request, form.text("people", 2_000))
    if unknown or not ids:
        say = translated(request)
        nobody = say("Nobody is found by this name: %s. Write @ and choose from the list.") % unknown
        problem = bad("people", nobody if unknown else say("Name at least one person."))
        return await _praise_page(request, problem.form(kept), problem.status)
    wanted = feed.PublishPostRequest(
        body=form.raw("body"), audience=short_audience(form), praised_ids=ids, praise_value=form.text("value", 200),
        request_id=form.text("request_id", 100),
    )
    try:
        made = await clients(request).feed.PublishPost(wanted)
    except RpcError as error:
        problem = problems(error, {"praised_ids": "people", "praise_value": "value", "body": "body", "audience": "audience"})
        return await _praise_page(request, problem.form(kept), problem.status)
    return go(request, f"/posts/{made.post_id}", told(request, "Thanked."))


async def praise_of(request: AnyRequest, person_id: str) -> list[ValueCount]:
    """What a person was thanked for, for their card: one call."""
    found = await optional(clients(request).asking.GetPraise(asking.GetPraiseRequest(person_id=person_id, page_size=1)))
    return [ValueCount(value=each.value, count=each.count) for each in found.values] if found is not None else []


@get("/people/{person_id:str}/praise")
async def show_praise(request: AnyRequest) -> Response[bytes]:
    """The thanks that a person got, as far as the reader may see them."""
    services, me, person_id = clients(request), current_person(request), path_id(request, "person_id")
    token = query(request, "page", TOKEN_CHARACTERS)
    around, person, found = await asyncio.gather(
        shell(request), services.identity.GetPerson(identity.GetPersonRequest(person_id=person_id)),
        services.asking.GetPraise(asking.GetPraiseRequest(person_id=person_id, page_size=A_PAGE, page_token=token)),
    )
    totals: Any = None
    if not me.is_guest:
        totals = await spared(request, "feed", lambda: services.asking.GetPraiseTotals(asking.GetPraiseTotalsRequest()))
    following = address(f"/people/{person_id}/praise", page=found.next_page_token) if found.next_page_token else ""
    page = PraisePage(
        shell=around, person=convert.person(person), is_self=person_id == me.person_id,
        values=[ValueCount(value=each.value, count=each.count) for each in found.values],
        page=PostPage(posts=await post_views(request, found.posts), next_url=following),
        totals=[ValueCount(value=each.value, count=each.count) for each in totals.values] if totals is not None else [],
    )
    return render(request, page)


# --- questions to leaders ---------------------------------------------------------------------------------------------


def enquiry_view(found: asking.Enquiry) -> EnquiryView:
    """A question to leaders."""
    return EnquiryView(
        id=found.enquiry_id, body_html=convert.rendered(found.body), state=STATES.get(found.state, "open"),  # type: ignore[arg-type]
        time=convert.moment(found.ask_time), is_anonymous=found.anonymous, is_erased=found.erased,
        asker=convert.author(found.asker) if found.HasField("asker") else None,
        addressees=[convert.author(each) for each in found.addressees], vote_count=found.vote_count, is_voted=found.voted,
        answer_seconds=found.answer_seconds, delegate=convert.author(found.delegate) if found.HasField("delegate") else None,
        can_vote=found.can_vote, can_answer=found.can_answer, can_delegate=found.can_delegate, can_withdraw=found.can_withdraw,
        version=found.etag,
        steps=[
            EnquiryStepView(
                state=STATES.get(each.state, "open"), person=convert.author(each.person),  # type: ignore[arg-type]
                text_html=convert.rendered(each.text), time=convert.moment(each.step_time), is_erased=each.erased,
            )
            for each in found.steps
        ],
    )


@get("/ask")
async def show_ask(request: AnyRequest) -> Response[bytes]:
    """Questions to leaders, and the form to ask one."""
    return await _ask_page(request, Form())


async def _ask_page(request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
    if current_person(request).is_guest:
        raise Refusal(404, "")
    services = clients(request)
    order, token = query(request, "order", 20), query(request, "page", TOKEN_CHARACTERS)
    order = order if order in ORDERS else "votes"
    around, desk, found = await asyncio.gather(
        shell(request), services.asking.GetLeadershipDesk(asking.GetLeadershipDeskRequest()),
        services.asking.ListEnquiries(asking.ListEnquiriesRequest(order=ORDERS[order], page_size=A_PAGE, page_token=token)),
    )
    page = AskPage(
        shell=around, order=order, enquiries=[enquiry_view(each) for each in found.enquiries],  # type: ignore[arg-type]
        leaders=[convert.author(each) for each in desk.leaders], is_anonymous_allowed=desk.anonymous_allowed,
        waiting_count=desk.waiting_count, answered_count=desk.answered_count, median_seconds=desk.median_answer_seconds, form=form,
        request_id=new_id(), next_url=address("/ask", order=order, page=found.next_page_token) if found.next_page_token else "",
    )
    return render(request, page, status)


@post("/ask")
async def ask(request: AnyRequest) -> Response[bytes]:
    """Ask the leaders by name; an anonymous question has an address of its own."""
    form = await posted(request)
    wanted = asking.AskLeadersRequest(body=form.raw("body"), addressee_ids=form.texts("to"), request_id=form.text("request_id", 100))
    try:
        made = await clients(request).asking.AskLeaders(wanted)
    except RpcError as error:
        problem = problems(error, {"body": "body", "addressee_ids": "to"})
        return await _ask_page(request, problem.form(form.kept("body")), problem.status)
    return go(request, f"/ask/{made.enquiry_id}", told(request, "Asked. You are told when there is news."))


@post("/ask/anonymous")
async def ask_anonymously(request: AnyRequest) -> Response[bytes]:
    """Ask without a name: nothing that the form carries but the text and the addressees goes on from here."""
    form = await posted(request)
    wanted = asking.AskLeadersAnonymouslyRequest(body=form.raw("body"), addressee_ids=form.texts("to"))
    try:
        await clients(request).asking.AskLeadersAnonymously(wanted)
    except RpcError as error:
        problem = problems(error, {"body": "body", "addressee_ids": "to"})
        return await _ask_page(request, problem.form(form.kept("body")), problem.status)
    said = told(request, "Asked without your name. It appears at the full hour, together with all others of this hour.")
    return go(request, "/ask", said)


@get("/ask/{enquiry_id:str}")
async def show_enquiry(request: AnyRequest) -> Response[bytes]:
    """One question to leaders with what was said on it."""
    return await _enquiry_page(request, Form())


async def _enquiry_page(request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
    if current_person(request).is_guest:
        raise Refusal(404, "")
    wanted = asking.GetEnquiryRequest(enquiry_id=path_id(request, "enquiry_id"))
    around, found = await asyncio.gather(shell(request), clients(request).asking.GetEnquiry(wanted))
    return render(request, EnquiryPage(shell=around, enquiry=enquiry_view(found), form=form), status)


@post("/ask/{enquiry_id:str}/vote")
async def vote(request: AnyRequest) -> Response[bytes]:
    """Vote for a question, or take the vote back (`vote` is 0)."""
    form = await posted(request)
    enquiry_id = path_id(request, "enquiry_id")
    await clients(request).asking.VoteEnquiry(asking.VoteEnquiryRequest(enquiry_id=enquiry_id, withdraw=form.text("vote") == "0"))
    return go(request, return_path(request, form, f"/ask/{enquiry_id}"))


@post("/ask/{enquiry_id:str}/decide")
async def decide(request: AnyRequest) -> Response[bytes]:
    """Accept, answer, decline, delegate or withdraw a question."""
    form = await posted(request)
    enquiry_id, service, action = path_id(request, "enquiry_id"), clients(request).asking, form.text("action", 20)
    wanted = asking.DecideEnquiryRequest(
        enquiry_id=enquiry_id, text=form.raw("text"), etag=form.text("version", 40), request_id=form.text("request_id", 100)
    )
    say = translated(request)
    notice = say("Saved.")
    try:
        match action:
            case "accept" | "answer" | "decline" | "withdraw":
                wanted.state = DECISIONS[action]
                await service.DecideEnquiry(wanted)
                if action == "withdraw":
                    return go(request, "/ask", say("The question is withdrawn."))
                notice = say("Saved. Those who asked and voted are told.")
            case "delegate":
                name = form.text("person", 200)
                person_id = await find(request, name) if name else ""
                if person_id is None:
                    problem = bad("person", say("Nobody is found by this name. Write @ and choose from the list."))
                    return await _enquiry_page(request, problem.form(form.kept("person")), problem.status)
                await service.DelegateEnquiry(asking.DelegateEnquiryRequest(enquiry_id=enquiry_id, person_id=person_id))
            case _:
                raise Refusal(400, say("Choose what to change."))
    except RpcError as error:
        problem = problems(error, {"text": "text", "person_id": "person"})
        return await _enquiry_page(request, problem.form(form.kept("text", "person")), problem.status)
    return go(request, f"/ask/{enquiry_id}", notice)
