"""Questions and best answers, experts, praise, and questions to leaders."""
# ruff: noqa: RUF012 - msgspec copies the empty lists and dicts that are defaults here.
from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from watercooler.feed.v1 import asking_events_pb2 as events
from watercooler.feed.v1 import asking_service_pb2 as asking

from . import models
from .models import Id, Page
from .operations import Answer, Call, Input, Output, operation, time_of

FilterName = Literal["unanswered", "open", "solved", "all", "brought_to_me"]
EnquiryStateName = Literal["open", "accepted", "answered", "declined", "withdrawn"]
ReasonName = Literal["named", "best_in_community", "best_on_tag", "valued_in_community", "valued_on_tag"]

FILTERS: dict[str, asking.QuestionFilter.ValueType] = {
    "unanswered": asking.QUESTION_FILTER_UNSPECIFIED, "open": asking.QUESTION_FILTER_OPEN, "solved": asking.QUESTION_FILTER_SOLVED,
    "all": asking.QUESTION_FILTER_ALL, "brought_to_me": asking.QUESTION_FILTER_FOR_ME,
}
REASONS: dict[int, ReasonName] = {
    events.EXPERTISE_REASON_NAMED: "named", events.EXPERTISE_REASON_BEST_IN_COMMUNITY: "best_in_community",
    events.EXPERTISE_REASON_BEST_ON_TAG: "best_on_tag", events.EXPERTISE_REASON_VALUED_IN_COMMUNITY: "valued_in_community",
    events.EXPERTISE_REASON_VALUED_ON_TAG: "valued_on_tag",
}
STATES: dict[str, asking.EnquiryState.ValueType] = {
    "open": asking.ENQUIRY_STATE_OPEN, "accepted": asking.ENQUIRY_STATE_ACCEPTED, "answered": asking.ENQUIRY_STATE_ANSWERED,
    "declined": asking.ENQUIRY_STATE_DECLINED, "withdrawn": asking.ENQUIRY_STATE_WITHDRAWN,
}
STATE_NAMES: dict[int, EnquiryStateName] = {value: name for name, value in STATES.items()}  # type: ignore[misc]
DECISIONS: dict[str, asking.EnquiryState.ValueType] = {
    "accept": asking.ENQUIRY_STATE_ACCEPTED, "answer": asking.ENQUIRY_STATE_ANSWERED, "decline": asking.ENQUIRY_STATE_DECLINED,
    "withdraw": asking.ENQUIRY_STATE_WITHDRAWN,
}
ORDERS: dict[str, asking.EnquiryOrder.ValueType] = {
    "votes": asking.ENQUIRY_ORDER_UNSPECIFIED, "newest": asking.ENQUIRY_ORDER_NEWEST, "waiting": asking.ENQUIRY_ORDER_WAITING,
}


# --- questions --------------------------------------------------------------------------------------------------------


class Reason(Output, frozen=True, kw_only=True):
    """Why somebody is asked: how many of their answers speak for it, and with which tag."""

    reason: ReasonName
    count: int
    tag: str | None


class AskedPerson(Output, frozen=True, kw_only=True):
    """Somebody to whom a question was brought."""

    person: models.Author
    reasons: list[Reason]


class Question(Output, frozen=True, kw_only=True):
    """A post that asks."""

    post: models.Post
    answer_count: int
    best_answer: models.Post | None
    asked_people: list[AskedPerson]
    route_time: datetime | None
    can_mark: bool


class QuestionList(Output, frozen=True, kw_only=True):
    """A page of questions."""

    questions: list[Question]
    next_page_token: str


def question(message: asking.Question) -> Question:
    """A question, from feed's message."""
    return Question(
        post=models.post(message.post), answer_count=message.answer_count,
        best_answer=models.post(message.best_answer) if message.HasField("best_answer") else None, can_mark=message.can_mark,
        route_time=time_of(message.route_time) if message.HasField("route_time") else None,
        asked_people=[
            AskedPerson(
                person=models.author(each.person),
                reasons=[Reason(reason=REASONS[one.reason], count=one.count, tag=one.tag or None) for one in each.reasons],
            )
            for each in message.asked_people
        ],
    )


class QuestionsQuery(Page, frozen=True, kw_only=True):
    """Which questions."""

    filter: FilterName = "unanswered"
    community_id: Annotated[Id | None, Meta(description="The whole company where absent.")] = None
    newest_first: bool = False


@operation("GET", "/asking/questions", "List questions", tag="asking", query=QuestionsQuery, answer=QuestionList)
async def list_questions(call: Call, query: QuestionsQuery) -> QuestionList:
    """Those without an answer unless asked otherwise, the oldest first."""
    found = await call.clients.asking.ListQuestions(
        asking.ListQuestionsRequest(
            filter=FILTERS[query.filter], community_id=query.community_id or "", page_size=query.page_size, page_token=query.page_token,
            newest_first=query.newest_first,
        )
    )
    return QuestionList(questions=[question(each) for each in found.questions], next_page_token=found.next_page_token)


@operation("GET", "/asking/questions/{post_id}", "Read a question", tag="asking", answer=Question)
async def get_question(call: Call) -> Question:
    """With its best answer, and to whom it was brought."""
    return question(await call.clients.asking.GetQuestion(asking.GetQuestionRequest(question_id=call.id("post_id"))))


class BestAnswerInput(Input, frozen=True, kw_only=True):
    """The reply that answers best."""

    answer_id: Id


@operation("PUT", "/asking/questions/{post_id}/best-answer", "Mark the best answer", tag="asking", body=BestAnswerInput, answer=Question)
async def mark_best_answer(call: Call, body: BestAnswerInput) -> Question:
    """For whoever asked, those who moderate the community, and its experts. It takes the place of one marked before."""
    return question(
        await call.clients.asking.MarkBestAnswer(asking.MarkBestAnswerRequest(post_id=body.answer_id, request_id=call.request_id))
    )


@operation("DELETE", "/asking/questions/{post_id}/best-answer", "Take the mark back", tag="asking", answer=Question)
async def unmark_best_answer(call: Call) -> Question:
    """For those who may mark."""
    request = asking.UnmarkBestAnswerRequest(question_id=call.id("post_id"), request_id=call.request_id)
    return question(await call.clients.asking.UnmarkBestAnswer(request))


# --- experts ----------------------------------------------------------------------------------------------------------


class ExpertList(Output, frozen=True, kw_only=True):
    """The experts of a community, in the order they were named."""

    experts: list[models.Author]
    can_name: bool


def _experts(message: asking.ListExpertsResponse) -> ExpertList:
    return ExpertList(experts=[models.author(each) for each in message.experts], can_name=message.can_name)


@operation("GET", "/communities/{community_id}/experts", "List experts", tag="asking", answer=ExpertList)
async def list_experts(call: Call) -> ExpertList:
    """Of a community that one may know of."""
    return _experts(await call.clients.asking.ListExperts(asking.ListExpertsRequest(community_id=call.id("community_id"))))


@operation("PUT", "/communities/{community_id}/experts/{person_id}", "Name an expert", tag="asking", answer=ExpertList)
async def name_expert(call: Call) -> ExpertList:
    """For owners; of members."""
    request = asking.NameExpertRequest(
        community_id=call.id("community_id"), person_id=call.id("person_id"), request_id=call.request_id
    )
    return _experts(await call.clients.asking.NameExpert(request))


@operation("DELETE", "/communities/{community_id}/experts/{person_id}", "Take an expert off the list", tag="asking", answer=ExpertList)
async def withdraw_expert(call: Call) -> ExpertList:
    """For owners, and for experts themselves."""
    request = asking.WithdrawExpertRequest(
        community_id=call.id("community_id"), person_id=call.id("person_id"), request_id=call.request_id
    )
    return _experts(await call.clients.asking.WithdrawExpert(request))


# --- praise -----------------------------------------------------------------------------------------------------------


class ValueCount(Output, frozen=True, kw_only=True):
    """How often a value was the reason."""

    value: str
    count: int


class PraiseOverview(Output, frozen=True, kw_only=True):
    """What a person was thanked for, as far as one may see it."""

    values: list[ValueCount]
    posts: list[models.Post]
    next_page_token: str


@operation("GET", "/people/{person_id}/praise", "What a person was thanked for", tag="asking", query=Page, answer=PraiseOverview)
async def get_praise(call: Call, query: Page) -> PraiseOverview:
    """Thanks are posts: publish one with `praised_ids` and `praise_value`."""
    found = await call.clients.asking.GetPraise(
        asking.GetPraiseRequest(person_id=call.id("person_id"), page_size=query.page_size, page_token=query.page_token)
    )
    return PraiseOverview(
        values=[ValueCount(value=each.value, count=each.count) for each in found.values],
        posts=[models.post(each) for each in found.posts], next_page_token=found.next_page_token,
    )


class PraiseTotals(Output, frozen=True, kw_only=True):
    """Values for which at least five people were thanked."""

    values: list[ValueCount]


@operation("GET", "/praise/totals", "What people are thanked for", tag="asking", answer=PraiseTotals)
async def get_praise_totals(call: Call) -> PraiseTotals:
    """Over the whole company. A value for which fewer than five people were thanked is left out."""
    found = await call.clients.asking.GetPraiseTotals(asking.GetPraiseTotalsRequest())
    return PraiseTotals(values=[ValueCount(value=each.value, count=each.count) for each in found.values])


# --- questions to leaders ---------------------------------------------------------------------------------------------


class EnquiryStep(Output, frozen=True, kw_only=True):
    """What was said on a question: the reason, or the answer."""

    state: EnquiryStateName
    person: models.Author
    text: str
    step_time: datetime
    erased: bool


class Enquiry(Output, frozen=True, kw_only=True):
    """A question to leaders; one asked anonymously has no asker."""

    id: str
    body: str
    anonymous: bool
    asker: models.Author | None
    addressees: list[models.Author]
    ask_time: datetime
    state: EnquiryStateName
    vote_count: int
    voted: bool
    steps: list[EnquiryStep]
    answer_seconds: int | None
    delegate: models.Author | None
    can_vote: bool
    can_answer: bool
    can_delegate: bool
    can_withdraw: bool
    erased: bool
    etag: str


class EnquiryList(Output, frozen=True, kw_only=True):
    """A page of questions to leaders."""

    questions: list[Enquiry]
    next_page_token: str


def enquiry(message: asking.Enquiry) -> Enquiry:
    """A question to leaders, from feed's message."""
    return Enquiry(
        id=message.enquiry_id, body=message.body, anonymous=message.anonymous,
        asker=models.author(message.asker) if message.HasField("asker") else None,
        addressees=[models.author(each) for each in message.addressees], ask_time=time_of(message.ask_time),
        state=STATE_NAMES.get(message.state, "open"), vote_count=message.vote_count, voted=message.voted,
        answer_seconds=message.answer_seconds or None, delegate=models.author(message.delegate) if message.HasField("delegate") else None,
        can_vote=message.can_vote, can_answer=message.can_answer, can_delegate=message.can_delegate, can_withdraw=message.can_withdraw,
        erased=message.erased, etag=message.etag,
        steps=[
            EnquiryStep(
                state=STATE_NAMES.get(each.state, "open"), person=models.author(each.person), text=each.text,
                step_time=time_of(each.step_time), erased=each.erased,
            )
            for each in message.steps
        ],
    )


def _told(message: asking.Enquiry) -> Answer:
    return Answer(enquiry(message), etag=message.etag)


class EnquiriesQuery(Page, frozen=True, kw_only=True):
    """Which questions, in which order."""

    order: Literal["votes", "newest", "waiting"] = "votes"
    state: Annotated[EnquiryStateName | None, Meta(description="All but withdrawn ones where absent.")] = None


@operation("GET", "/asking/leadership/questions", "List questions to leaders", tag="asking", query=EnquiriesQuery, answer=EnquiryList)
async def list_enquiries(call: Call, query: EnquiriesQuery) -> EnquiryList:
    """For employees."""
    found = await call.clients.asking.ListEnquiries(
        asking.ListEnquiriesRequest(
            order=ORDERS[query.order], state=STATES[query.state] if query.state else asking.ENQUIRY_STATE_UNSPECIFIED,
            page_size=query.page_size, page_token=query.page_token,
        )
    )
    return EnquiryList(questions=[enquiry(each) for each in found.enquiries], next_page_token=found.next_page_token)


QuestionText = Annotated[str, Meta(min_length=10, max_length=2_000, description="Markdown subset.")]
Addressees = Annotated[list[Id], Meta(max_length=10, description="People with the role leader; all leaders where empty.")]


class EnquiryInput(Input, frozen=True, kw_only=True):
    """A question to leaders."""

    body: QuestionText
    addressee_ids: Addressees = []


@operation("POST", "/asking/leadership/questions", "Ask the leaders", tag="asking", status=201, body=EnquiryInput, answer=Enquiry)
async def ask_leaders(call: Call, body: EnquiryInput) -> Answer:
    """By name."""
    made = await call.clients.asking.AskLeaders(
        asking.AskLeadersRequest(body=body.body, addressee_ids=body.addressee_ids, request_id=call.request_id)
    )
    return Answer(enquiry(made), etag=made.etag, location=f"/api/v1/asking/leadership/questions/{made.enquiry_id}")


class HeldQuestion(Output, frozen=True, kw_only=True):
    """When the question appears, with all others of the hour."""

    publish_time: datetime


@operation(
    "POST", "/asking/leadership/anonymous", "Ask the leaders anonymously", tag="asking", status=202, body=EnquiryInput,
    answer=HeldQuestion,
)
async def ask_leaders_anonymously(call: Call, body: EnquiryInput) -> HeldQuestion:
    """Kept without any link to the caller, which is why an Idempotency-Key is refused; the same text within an hour is one question.

    At most three a day. Answers 403 where anonymous questions are not allowed.
    """
    held = await call.clients.asking.AskLeadersAnonymously(
        asking.AskLeadersAnonymouslyRequest(body=body.body, addressee_ids=body.addressee_ids)
    )
    return HeldQuestion(publish_time=time_of(held.publish_time))


@operation("GET", "/asking/leadership/questions/{question_id}", "Read a question to leaders", tag="asking", answer=Enquiry)
async def get_enquiry(call: Call) -> Answer:
    """With everything that was said on it."""
    return _told(await call.clients.asking.GetEnquiry(asking.GetEnquiryRequest(enquiry_id=call.id("question_id"))))


@operation("PUT", "/asking/leadership/questions/{question_id}/vote", "Vote for a question", tag="asking", answer=Enquiry)
async def vote_enquiry(call: Call) -> Answer:
    """One vote each, not for one's own."""
    request = asking.VoteEnquiryRequest(enquiry_id=call.id("question_id"), request_id=call.request_id)
    return _told(await call.clients.asking.VoteEnquiry(request))


@operation("DELETE", "/asking/leadership/questions/{question_id}/vote", "Take a vote back", tag="asking", answer=Enquiry)
async def unvote_enquiry(call: Call) -> Answer:
    """One's own."""
    request = asking.VoteEnquiryRequest(enquiry_id=call.id("question_id"), withdraw=True, request_id=call.request_id)
    return _told(await call.clients.asking.VoteEnquiry(request))


class AnswerDecisionInput(Input, frozen=True, kw_only=True):
    """What is decided, with the reason or the answer; who withdraws their own question needs no reason."""

    decision: Literal["accept", "answer", "decline", "withdraw"]
    text: Annotated[str, Meta(max_length=10_000)] = ""


@operation(
    "POST", "/asking/leadership/questions/{question_id}/decisions", "Decide on a question", tag="asking", body=AnswerDecisionInput,
    answer=Enquiry, is_edit=True,
)
async def decide_enquiry(call: Call, body: AnswerDecisionInput) -> Answer:
    """For leaders, and for whom a leader asked to answer. With If-Match only if nobody decided since."""
    request = asking.DecideEnquiryRequest(
        enquiry_id=call.id("question_id"), text=body.text, state=DECISIONS[body.decision], request_id=call.request_id,
        etag=await call.if_match(),
    )
    return _told(await call.clients.asking.DecideEnquiry(request))


class DelegateInput(Input, frozen=True, kw_only=True):
    """Who is to answer."""

    person_id: Annotated[Id | None, Meta(description="Nobody any more where null.")]


@operation(
    "PUT", "/asking/leadership/questions/{question_id}/delegate", "Let somebody else answer", tag="asking", body=DelegateInput,
    answer=Enquiry,
)
async def delegate_enquiry(call: Call, body: DelegateInput) -> Answer:
    """For leaders."""
    request = asking.DelegateEnquiryRequest(
        enquiry_id=call.id("question_id"), person_id=body.person_id or "", request_id=call.request_id
    )
    return _told(await call.clients.asking.DelegateEnquiry(request))


class LeadershipDesk(Output, frozen=True, kw_only=True):
    """Who leads, what waits, and how long answers take."""

    leaders: list[models.Author]
    anonymous_allowed: bool
    waiting_count: int
    answered_count: int
    median_answer_seconds: int | None


@operation("GET", "/asking/leadership", "How questions to leaders go", tag="asking", answer=LeadershipDesk)
async def get_leadership_desk(call: Call) -> LeadershipDesk:
    """For employees."""
    found = await call.clients.asking.GetLeadershipDesk(asking.GetLeadershipDeskRequest())
    return LeadershipDesk(
        leaders=[models.author(each) for each in found.leaders], anonymous_allowed=found.anonymous_allowed,
        waiting_count=found.waiting_count, answered_count=found.answered_count,
        median_answer_seconds=found.median_answer_seconds or None,
    )
