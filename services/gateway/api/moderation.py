"""The policy, reports, what is decided about them, and appeals."""
from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from watercooler.feed.v1 import moderation_events_pb2 as pb
from watercooler.feed.v1 import moderation_service_pb2 as feed
from watercooler.feed.v1 import policy_service_pb2 as policy_pb

from . import models
from .models import Id, Page
from .operations import Answer, Call, Input, Output, operation, time_of

SubjectName = Literal["post", "person", "community"]
CategoryName = Literal["spam", "harassment", "discrimination", "confidential", "falsehood", "danger", "rules", "other"]
OutcomeName = Literal["no_breach", "reminded", "covered", "removed", "muted", "member_removed"]
StateName = Literal["waiting", "open", "assigned", "decided", "appealed"]
Word = Annotated[str, Meta(min_length=1, max_length=60)]
Reason = Annotated[str, Meta(min_length=1, max_length=2_000, description="For those concerned, and for the record.")]

SUBJECTS: Final[dict[str, Any]] = {
    "post": pb.CASE_SUBJECT_POST, "person": pb.CASE_SUBJECT_PERSON, "community": pb.CASE_SUBJECT_COMMUNITY,
}
CATEGORIES: Final[dict[str, Any]] = {
    "spam": pb.REPORT_CATEGORY_SPAM, "harassment": pb.REPORT_CATEGORY_HARASSMENT, "discrimination": pb.REPORT_CATEGORY_DISCRIMINATION,
    "confidential": pb.REPORT_CATEGORY_CONFIDENTIAL, "falsehood": pb.REPORT_CATEGORY_FALSEHOOD, "danger": pb.REPORT_CATEGORY_DANGER,
    "rules": pb.REPORT_CATEGORY_RULES, "other": pb.REPORT_CATEGORY_OTHER,
}
OUTCOMES: Final[dict[str, Any]] = {
    "no_breach": pb.CASE_OUTCOME_NO_BREACH, "reminded": pb.CASE_OUTCOME_REMINDED, "covered": pb.CASE_OUTCOME_COVERED,
    "removed": pb.CASE_OUTCOME_REMOVED, "muted": pb.CASE_OUTCOME_MUTED, "member_removed": pb.CASE_OUTCOME_MEMBER_REMOVED,
}
STATES: Final[dict[str, Any]] = {
    "waiting": feed.CASE_STATE_UNSPECIFIED, "open": feed.CASE_STATE_OPEN, "assigned": feed.CASE_STATE_ASSIGNED,
    "decided": feed.CASE_STATE_DECIDED, "appealed": feed.CASE_STATE_APPEALED,
}


def name_of(names: dict[str, Any], number: int) -> Any:
    """The name of a number; None for one that has none."""
    return next((name for name, known in names.items() if known == number), None)


# --- policy -----------------------------------------------------------------------------------------------------------


class Policy(Output, frozen=True, kw_only=True):
    """What the organisation has agreed on; watched words are shown to administrators only."""

    guidelines: str
    guidelines_version: int
    guidelines_required: bool
    values: list[str]
    anonymous_questions: bool
    blocking_allowed: bool
    watched_words: list[str]
    my_accepted_version: int
    acceptance_due: bool


def policy(message: policy_pb.Policy) -> Policy:
    """The policy, from feed's message."""
    return Policy(
        guidelines=message.guidelines, guidelines_version=message.guidelines_version, guidelines_required=message.guidelines_required,
        values=list(message.values), anonymous_questions=message.anonymous_questions, blocking_allowed=message.blocking_allowed,
        watched_words=list(message.watched_words), my_accepted_version=message.my_accepted_version, acceptance_due=message.acceptance_due,
    )


@operation("GET", "/policy", "Read the policy", tag="moderation", answer=Policy, is_edit=True)
async def get_policy(call: Call) -> Answer:
    """The guidelines for posts, values, and what is allowed."""
    found = await call.clients.policy.GetPolicy(policy_pb.GetPolicyRequest())
    return Answer(policy(found), etag=found.etag)


class PolicyInput(Input, frozen=True, kw_only=True):
    """What is absent stays as it is."""

    guidelines: Annotated[str, Meta(max_length=20_000, description="Markdown; empty: nothing is asked.")] | None = None
    guidelines_required: Annotated[bool, Meta(description="Programs, too, post only for people who accepted them.")] | None = None
    values: Annotated[list[Word], Meta(min_length=1, max_length=30)] | None = None
    anonymous_questions: bool | None = None
    blocking_allowed: bool | None = None
    watched_words: Annotated[list[Word], Meta(max_length=500)] | None = None
    ask_again: Annotated[bool, Meta(description="The guidelines changed in substance: everybody accepts them again.")] = False
    reason: Annotated[str, Meta(max_length=500)] = ""


@operation("PATCH", "/policy", "Change the policy", tag="moderation", body=PolicyInput, answer=Policy, is_edit=True, scope="admin")
async def change_policy(call: Call, body: PolicyInput) -> Answer:
    """For administrators."""
    given = {
        name: value for name in (
            "guidelines", "guidelines_required", "values", "anonymous_questions", "blocking_allowed", "watched_words"
        ) if (value := getattr(body, name)) is not None
    }
    request = policy_pb.ChangePolicyRequest(
        **given, update_mask=sorted(given), ask_again=body.ask_again, reason=body.reason, etag=await call.if_match(),
        request_id=call.request_id,
    )
    found = await call.clients.policy.ChangePolicy(request)
    return Answer(policy(found), etag=found.etag)


class AcceptanceInput(Input, frozen=True, kw_only=True):
    """The version that was read."""

    guidelines_version: Annotated[int, Meta(ge=1, le=1_000_000)]


@operation("POST", "/policy/acceptance", "Accept the guidelines", tag="moderation", body=AcceptanceInput, answer=Policy)
async def accept_guidelines(call: Call, body: AcceptanceInput) -> Policy:
    """The caller keeps to them; a version that is not the current one is refused."""
    request = policy_pb.AcceptGuidelinesRequest(guidelines_version=body.guidelines_version, request_id=call.request_id)
    return policy(await call.clients.policy.AcceptGuidelines(request))


class Watch(Output, frozen=True, kw_only=True):
    """The words that put a community's posts before its moderators."""

    words: list[str]


class WatchInput(Input, frozen=True, kw_only=True):
    """All of them."""

    words: Annotated[list[Word], Meta(max_length=500)]


@operation("GET", "/communities/{community_id}/watched-words", "List watched words", tag="moderation", answer=Watch, is_edit=True)
async def get_watch(call: Call) -> Answer:
    """For those who moderate the community."""
    found = await call.clients.policy.GetWatch(policy_pb.GetWatchRequest(community_id=call.id("community_id")))
    return Answer(Watch(words=list(found.words)), etag=found.etag)


@operation(
    "PUT", "/communities/{community_id}/watched-words", "Change watched words", tag="moderation", body=WatchInput, answer=Watch,
    is_edit=True,
)
async def change_watch(call: Call, body: WatchInput) -> Answer:
    """Whole words in any script. Nothing is held back."""
    request = policy_pb.ChangeWatchRequest(
        community_id=call.id("community_id"), words=body.words, etag=await call.if_match(), request_id=call.request_id
    )
    found = await call.clients.policy.ChangeWatch(request)
    return Answer(Watch(words=list(found.words)), etag=found.etag)


# --- reports ----------------------------------------------------------------------------------------------------------


class Subject(Output, frozen=True, kw_only=True):
    """What a report is about."""

    kind: SubjectName
    id: str


class SubjectInput(Input, frozen=True, kw_only=True):
    """What a report is about."""

    kind: SubjectName
    id: Id


class ReportInput(Input, frozen=True, kw_only=True):
    """A report of up to ten things."""

    subjects: Annotated[list[SubjectInput], Meta(min_length=1, max_length=10)]
    category: CategoryName
    words: Annotated[str, Meta(max_length=1_000)] = ""


class Report(Output, frozen=True, kw_only=True):
    """A report of one's own."""

    id: str
    subjects: list[Subject]
    category: CategoryName | None
    words: str
    report_time: datetime | None
    decided: bool


def report(message: feed.Report) -> Report:
    """A report, from feed's message."""
    return Report(
        id=message.report_id, subjects=[Subject(kind=name_of(SUBJECTS, one.subject), id=one.subject_id) for one in message.subjects],
        category=name_of(CATEGORIES, message.category), words=message.words,
        report_time=time_of(message.report_time) if message.HasField("report_time") else None, decided=message.decided,
    )


@operation("POST", "/moderation/reports", "Report something", tag="moderation", status=201, body=ReportInput, answer=Report)
async def file_report(call: Call, body: ReportInput) -> Report:
    """Goes to those who moderate the community, else to the administrators. Who is reported never learns who reported."""
    return report(await call.clients.moderation.FileReport(feed.FileReportRequest(
        subjects=[feed.ReportedSubject(subject=SUBJECTS[one.kind], subject_id=one.id) for one in body.subjects],
        category=CATEGORIES[body.category], words=body.words, request_id=call.request_id,
    )))


class ReportList(Output, frozen=True, kw_only=True):
    """Newest first, at most 100."""

    reports: list[Report]


@operation("GET", "/moderation/reports", "List one's reports", tag="moderation", answer=ReportList)
async def list_reports(call: Call) -> ReportList:
    """What the caller reported."""
    found = await call.clients.moderation.ListMyReports(feed.ListMyReportsRequest())
    return ReportList(reports=[report(one) for one in found.reports])


# --- cases ------------------------------------------------------------------------------------------------------------


class CaseSummary(Output, frozen=True, kw_only=True):
    """Everything reported of one post, person or community, in short."""

    id: str
    subject: Subject
    author: models.Author | None
    community_id: str
    community_name: str
    to_administrators: bool
    state: StateName
    assignee: models.Author | None
    report_count: int
    categories: list[CategoryName]
    first_time: datetime
    last_time: datetime
    outcome: OutcomeName | None


def summary(message: feed.CaseSummary) -> CaseSummary:
    """A case in short, from feed's message."""
    return CaseSummary(
        id=message.case_id, subject=Subject(kind=name_of(SUBJECTS, message.subject), id=message.subject_id),
        author=models.author(message.author) if message.HasField("author") else None, community_id=message.community_id,
        community_name=message.community_name, to_administrators=message.to_administrators, state=name_of(STATES, message.state),
        assignee=models.author(message.assignee) if message.HasField("assignee") else None, report_count=message.report_count,
        categories=[name for one in message.categories if (name := name_of(CATEGORIES, one))], first_time=time_of(message.first_time),
        last_time=time_of(message.last_time), outcome=name_of(OUTCOMES, message.outcome),
    )


class CaseList(Output, frozen=True, kw_only=True):
    """By their newest report or appeal, newest first."""

    cases: list[CaseSummary]
    next_page_token: str


class CasesQuery(Page, frozen=True, kw_only=True):
    """Which cases."""

    state: Annotated[StateName, Meta(description="waiting: open, assigned and appealed ones.")] = "waiting"
    only_mine: bool = False
    community_id: Annotated[str, Meta(max_length=36)] = ""


@operation("GET", "/moderation/cases", "List cases", tag="moderation", query=CasesQuery, answer=CaseList)
async def list_cases(call: Call, query: CasesQuery) -> CaseList:
    """Those the caller may decide; none for who moderates nothing."""
    found = await call.clients.moderation.ListCases(feed.ListCasesRequest(
        state=STATES[query.state], only_mine=query.only_mine, community_id=query.community_id, page_size=query.page_size,
        page_token=query.page_token,
    ))
    return CaseList(cases=[summary(one) for one in found.cases], next_page_token=found.next_page_token)


class CaseReport(Output, frozen=True, kw_only=True):
    """One report; without a reporter, watched words that were found."""

    reporter: models.Author | None
    category: CategoryName | None
    words: str
    report_time: datetime
    watched_words: list[str]


class CaseDecision(Output, frozen=True, kw_only=True):
    """A decision with the appeal against it."""

    number: int
    outcome: OutcomeName | None
    guideline: str
    reason: str
    decider: models.Author | None
    decide_time: datetime
    mute_end_time: datetime | None
    warning: str
    appeal_end_time: datetime | None
    appeal_words: str
    appeal_time: datetime | None
    appeal_upheld: Annotated[bool | None, Meta(description="Absent (null) while it is not decided.")]
    appeal_reason: str


def decision(message: feed.CaseDecision) -> CaseDecision:
    """A decision, from feed's message."""
    return CaseDecision(
        number=message.number, outcome=name_of(OUTCOMES, message.outcome), guideline=message.guideline, reason=message.reason,
        decider=models.author(message.decider) if message.HasField("decider") else None, decide_time=time_of(message.decide_time),
        mute_end_time=time_of(message.mute_end_time) if message.HasField("mute_end_time") else None, warning=message.warning,
        appeal_end_time=time_of(message.appeal_end_time) if message.HasField("appeal_end_time") else None,
        appeal_words=message.appeal_words, appeal_time=time_of(message.appeal_time) if message.HasField("appeal_time") else None,
        appeal_upheld=message.appeal_upheld if message.appeal_decided else None, appeal_reason=message.appeal_reason,
    )


class CaseStep(Output, frozen=True, kw_only=True):
    """One line of the history."""

    step: str
    person: models.Author | None
    step_time: datetime
    detail: str


class Case(Output, frozen=True, kw_only=True):
    """A case as those see it who decide; `body` is the post's newest text, deleted or not."""

    summary: CaseSummary
    body: str
    reports: list[CaseReport]
    decisions: list[CaseDecision]
    history: list[CaseStep]
    guidelines: list[str]
    outcomes: list[OutcomeName]
    may_decide: bool
    may_decide_appeal: bool


def whole_case(message: feed.Case) -> Case:
    """A case, from feed's message."""
    return Case(
        summary=summary(message.summary), body=message.post.body,
        reports=[
            CaseReport(
                reporter=models.author(one.reporter) if one.HasField("reporter") else None, category=name_of(CATEGORIES, one.category),
                words=one.words, report_time=time_of(one.report_time), watched_words=list(one.watched_words),
            )
            for one in message.reports
        ],
        decisions=[decision(one) for one in message.decisions],
        history=[
            CaseStep(
                step=one.step, person=models.author(one.person) if one.HasField("person") else None, step_time=time_of(one.step_time),
                detail=one.detail,
            )
            for one in message.history
        ],
        guidelines=list(message.guidelines), outcomes=[name_of(OUTCOMES, one) for one in message.outcomes], may_decide=message.may_decide,
        may_decide_appeal=message.may_decide_appeal,
    )


@operation("GET", "/moderation/cases/{case_id}", "Read a case", tag="moderation", answer=Case, is_edit=True)
async def get_case(call: Call) -> Answer:
    """For those who may decide it; never for who it is about."""
    found = await call.clients.moderation.GetCase(feed.GetCaseRequest(case_id=call.id("case_id")))
    return Answer(whole_case(found), etag=found.etag)


class AssignInput(Input, frozen=True, kw_only=True):
    """Whether the caller looks after it."""

    mine: bool


@operation("PUT", "/moderation/cases/{case_id}/assignee", "Look after a case", tag="moderation", body=AssignInput, answer=Case)
async def assign_case(call: Call, body: AssignInput) -> Case:
    """Takes the case, or gives it back."""
    request = feed.AssignCaseRequest(case_id=call.id("case_id"), release=not body.mine, request_id=call.request_id)
    return whole_case(await call.clients.moderation.AssignCase(request))


class EscalationInput(Input, frozen=True, kw_only=True):
    """Why."""

    reason: Reason


@operation(
    "POST", "/moderation/cases/{case_id}/escalation", "Leave a case to the administrators", tag="moderation", body=EscalationInput,
    answer=Case,
)
async def escalate_case(call: Call, body: EscalationInput) -> Case:
    """They decide it from now on."""
    request = feed.EscalateCaseRequest(case_id=call.id("case_id"), reason=body.reason, request_id=call.request_id)
    return whole_case(await call.clients.moderation.EscalateCase(request))


class DecisionInput(Input, frozen=True, kw_only=True):
    """What is to happen, and why."""

    outcome: OutcomeName
    reason: Reason
    guideline: Annotated[str, Meta(max_length=500, description="What was broken; needed unless nothing was.")] = ""
    mute_days: Annotated[int, Meta(ge=0, le=365, description="With muted: 1 to 365.")] = 0
    warning: Annotated[str, Meta(max_length=200, description="With covered: what to warn of.")] = ""


@operation("POST", "/moderation/cases/{case_id}/decision", "Decide a case", tag="moderation", body=DecisionInput, answer=Case)
async def decide_case(call: Call, body: DecisionInput) -> Case:
    """Those concerned are told, with the reason and the guideline; what follows is done at once after."""
    return whole_case(await call.clients.moderation.DecideCase(feed.DecideCaseRequest(
        case_id=call.id("case_id"), outcome=OUTCOMES[body.outcome], guideline=body.guideline, reason=body.reason,
        mute_days=body.mute_days, warning=body.warning, request_id=call.request_id,
    )))


class VerdictInput(Input, frozen=True, kw_only=True):
    """Upheld: what was decided is taken back."""

    upheld: bool
    reason: Reason


@operation("POST", "/moderation/cases/{case_id}/appeal-decision", "Decide an appeal", tag="moderation", body=VerdictInput, answer=Case)
async def decide_appeal(call: Call, body: VerdictInput) -> Case:
    """By somebody else than the first decider, where there is one."""
    return whole_case(await call.clients.moderation.DecideAppeal(feed.DecideAppealRequest(
        case_id=call.id("case_id"), upheld=body.upheld, reason=body.reason, request_id=call.request_id
    )))


# --- for those concerned ----------------------------------------------------------------------------------------------


class Notice(Output, frozen=True, kw_only=True):
    """A case as somebody concerned sees it: no reporter, no names of those who decided."""

    case_id: str
    subject: Subject
    mine: Annotated[bool, Meta(description="The caller wrote it, or it is about them; otherwise they reported it.")]
    body: str
    decisions: list[CaseDecision]
    may_appeal: bool


def notice(message: feed.Notice) -> Notice:
    """A notice, from feed's message."""
    return Notice(
        case_id=message.case_id, subject=Subject(kind=name_of(SUBJECTS, message.subject), id=message.subject_id), mine=message.mine,
        body=message.body, decisions=[decision(one) for one in message.decisions], may_appeal=message.may_appeal,
    )


class NoticeList(Output, frozen=True, kw_only=True):
    """Newest first."""

    notices: list[Notice]
    next_page_token: str


@operation("GET", "/moderation/notices", "List decisions about oneself", tag="moderation", query=Page, answer=NoticeList)
async def list_notices(call: Call, query: Page) -> NoticeList:
    """And those about what the caller reported."""
    found = await call.clients.moderation.ListNotices(feed.ListNoticesRequest(page_size=query.page_size, page_token=query.page_token))
    return NoticeList(notices=[notice(one) for one in found.notices], next_page_token=found.next_page_token)


@operation("GET", "/moderation/notices/{case_id}", "Read a decision about oneself", tag="moderation", answer=Notice)
async def get_notice(call: Call) -> Notice:
    """What was decided, and why."""
    return notice(await call.clients.moderation.GetNotice(feed.GetNoticeRequest(case_id=call.id("case_id"))))


class AppealInput(Input, frozen=True, kw_only=True):
    """Why the decision is wrong."""

    words: Annotated[str, Meta(min_length=1, max_length=5_000)]


@operation("POST", "/moderation/notices/{case_id}/appeal", "Appeal", tag="moderation", body=AppealInput, answer=Notice)
async def file_appeal(call: Call, body: AppealInput) -> Notice:
    """Once for each decision, within 30 days."""
    request = feed.FileAppealRequest(case_id=call.id("case_id"), words=body.words, request_id=call.request_id)
    return notice(await call.clients.moderation.FileAppeal(request))


class AuditEntry(Output, frozen=True, kw_only=True):
    """One decision of those who govern the network."""

    position: int
    audit_time: datetime
    actor: models.Author
    action: str
    subject_id: str
    reason: str


class AuditList(Output, frozen=True, kw_only=True):
    """Newest first."""

    entries: list[AuditEntry]
    next_page_token: str


class AuditQuery(Page, frozen=True, kw_only=True):
    """Which entries."""

    action: Annotated[str, Meta(pattern="^[a-z]{0,20}$", description="Only actions that begin with this word, such as rule.")] = ""


@operation("GET", "/moderation/audit", "List the record of decisions", tag="moderation", query=AuditQuery, answer=AuditList, scope="admin")
async def list_audit(call: Call, query: AuditQuery) -> AuditList:
    """Changes of the policy, decisions, rules, holds and exports; for administrators."""
    found = await call.clients.moderation.ListAudit(
        feed.ListAuditRequest(page_size=query.page_size, page_token=query.page_token, action=query.action)
    )
    return AuditList(
        entries=[
            AuditEntry(
                position=one.position, audit_time=time_of(one.audit_time), actor=models.author(one.actor), action=one.action,
                subject_id=one.subject_id, reason=one.reason,
            )
            for one in found.entries
        ],
        next_page_token=found.next_page_token,
    )
