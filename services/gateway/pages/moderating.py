"""Reporting, the queue of those who moderate, what those concerned are told, and the guidelines."""
from __future__ import annotations

import asyncio
from typing import Any, Final

from litestar import Response

from libs.rpc.errors import RpcError
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import moderation_events_pb2 as pb
from watercooler.feed.v1 import moderation_service_pb2 as api
from watercooler.feed.v1 import policy_service_pb2 as policy
from watercooler.identity.v1 import identity_service_pb2 as identity

from .. import http
from ..http import AnyRequest, clients, current_person
from ..problems import Refusal
from ..rendering import address
from ..views import Form, Option
from ..views_moderation import (
    CasePage,
    CaseRow,
    DecisionView,
    GuidelinesPage,
    ModerationPage,
    MyReport,
    MyReportsPage,
    NoticePage,
    ReportPage,
    ReportView,
    StepView,
    SubjectKind,
)
from . import convert
from .common import (
    TOKEN_CHARACTERS,
    Posted,
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
    wants_fragment,
)

CASES_A_PAGE: Final = 30
SUBJECTS: Final[dict[int, SubjectKind]] = {
    pb.CASE_SUBJECT_POST: "post", pb.CASE_SUBJECT_PERSON: "person", pb.CASE_SUBJECT_COMMUNITY: "community",
}
CATEGORIES: Final[dict[int, str]] = {
    pb.REPORT_CATEGORY_SPAM: "spam", pb.REPORT_CATEGORY_HARASSMENT: "harassment", pb.REPORT_CATEGORY_DISCRIMINATION: "discrimination",
    pb.REPORT_CATEGORY_CONFIDENTIAL: "confidential", pb.REPORT_CATEGORY_FALSEHOOD: "falsehood", pb.REPORT_CATEGORY_DANGER: "danger",
    pb.REPORT_CATEGORY_RULES: "rules", pb.REPORT_CATEGORY_OTHER: "other",
}
OUTCOMES: Final[dict[int, str]] = {
    pb.CASE_OUTCOME_NO_BREACH: "no_breach", pb.CASE_OUTCOME_REMINDED: "reminded", pb.CASE_OUTCOME_COVERED: "covered",
    pb.CASE_OUTCOME_REMOVED: "removed", pb.CASE_OUTCOME_MUTED: "muted", pb.CASE_OUTCOME_MEMBER_REMOVED: "member_removed",
}
STATES: Final[dict[int, str]] = {
    api.CASE_STATE_OPEN: "open", api.CASE_STATE_ASSIGNED: "assigned", api.CASE_STATE_DECIDED: "decided",
    api.CASE_STATE_APPEALED: "appealed",
}
DECISION_FIELDS: Final = ("outcome", "guideline", "other_guideline", "reason", "mute_days", "warning", "appeal_reason", "escalation")


def number_of(names: dict[int, str], name: str) -> Any:
    """The number of a name; 0 for none."""
    return next((number for number, known in names.items() if known == name), 0)


def case_row(found: api.CaseSummary, name: str = "") -> CaseRow:
    """A case in a list."""
    return CaseRow(
        id=found.case_id, subject=SUBJECTS.get(found.subject, "post"), subject_id=found.subject_id, subject_name=name,
        author=convert.author(found.author) if found.HasField("author") else None, community_name=found.community_name,
        to_administrators=found.to_administrators, state=STATES.get(found.state, "open"),
        assignee=convert.author(found.assignee) if found.HasField("assignee") else None, report_count=found.report_count,
        categories=[CATEGORIES[one] for one in found.categories if one in CATEGORIES], last_time=convert.moment(found.last_time),
        outcome=OUTCOMES.get(found.outcome, ""),
    )


def decision_view(found: api.CaseDecision) -> DecisionView:
    """A decision."""
    return DecisionView(
        outcome=OUTCOMES.get(found.outcome, ""), guideline=found.guideline, reason=found.reason, time=convert.moment(found.decide_time),
        decider=convert.author(found.decider) if found.HasField("decider") else None,
        mute_end_time=convert.optional_moment(found, "mute_end_time"), warning=found.warning,
        appeal_end_time=convert.optional_moment(found, "appeal_end_time"), appeal_words=found.appeal_words,
        appeal_time=convert.optional_moment(found, "appeal_time"),
        verdict=("upheld" if found.appeal_upheld else "dismissed") if found.appeal_decided else "", verdict_reason=found.appeal_reason,
        verdict_by=convert.author(found.appeal_decider) if found.HasField("appeal_decider") else None,
        verdict_time=convert.optional_moment(found, "appeal_decide_time"),
    )


# --- the queue --------------------------------------------------------------------------------------------------------


@get("/moderation")
async def queue(request: AnyRequest) -> Response[bytes]:
    """The cases one may decide."""
    tab = query(request, "tab", 10)
    tab = tab if tab in ("mine", "done") else "waiting"
    wanted = api.ListCasesRequest(
        state=api.CASE_STATE_DECIDED if tab == "done" else api.CASE_STATE_UNSPECIFIED, only_mine=tab == "mine",
        page_size=CASES_A_PAGE, page_token=query(request, "page", TOKEN_CHARACTERS),
    )
    around, found, state = await asyncio.gather(
        shell(request), clients(request).moderation.ListCases(wanted),
        clients(request).moderation.GetModerationState(api.GetModerationStateRequest()),
    )
    if not state.moderates:
        raise Refusal(403, told(request, "These pages are for those who moderate: ask the owners of a community."))
    following = address("/moderation", tab=tab, page=found.next_page_token) if found.next_page_token else ""
    page = ModerationPage(shell=around, tab=tab, cases=[case_row(each) for each in found.cases], next_url=following)
    return render(request, page)


@get("/moderation/{case_id:str}")
async def either(request: AnyRequest) -> Response[bytes]:
    """Where a notification leads: the case for who decides it, else what was decided."""
    case_id = path_id(request, "case_id")
    try:
        await clients(request).moderation.GetCase(api.GetCaseRequest(case_id=case_id))
    except RpcError:
        return go(request, f"/moderation/notices/{case_id}")
    return go(request, f"/moderation/cases/{case_id}")


async def _case_page(request: AnyRequest, found: api.Case, form: Form, status: int = 200) -> Response[bytes]:
    me = current_person(request)
    shown = found.post if found.HasField("post") else None
    page = CasePage(
        shell=await shell(request), case=case_row(found.summary, found.community_subject_name),
        body_html=convert.rendered(shown.body) if shown else "", warning=shown.warning if shown else "",
        is_deleted=bool(shown and shown.deleted), is_gone=found.summary.subject == pb.CASE_SUBJECT_POST and shown is None,
        images=[
            convert.picture(one.blob_id) for one in shown.attachments if one.media_type.startswith("image/")
        ] if shown and not shown.deleted else [],
        reports=[
            ReportView(
                reporter=convert.author(one.reporter) if one.HasField("reporter") else None, category=CATEGORIES.get(one.category, ""),
                words=one.words, time=convert.moment(one.report_time), watched_words=list(one.watched_words),
            )
            for one in found.reports
        ],
        decisions=[decision_view(one) for one in found.decisions],
        history=[
            StepView(
                step=one.step, person=convert.author(one.person) if one.HasField("person") else None, time=convert.moment(one.step_time),
                detail=one.detail,
            )
            for one in found.history
        ],
        guidelines=list(dict.fromkeys(found.guidelines))[:100], outcomes=[OUTCOMES[one] for one in found.outcomes if one in OUTCOMES],
        is_mine=found.summary.assignee.person_id == me.person_id, may_decide=found.may_decide,
        may_decide_appeal=found.may_decide_appeal, hindrance=found.hindrance, version=found.etag, form=form,
    )
    return render(request, page, status)


@get("/moderation/cases/{case_id:str}")
async def show_case(request: AnyRequest) -> Response[bytes]:
    """One case with everything in it."""
    found = await clients(request).moderation.GetCase(api.GetCaseRequest(case_id=path_id(request, "case_id")))
    return await _case_page(request, found, Form())


@post("/moderation/cases/{case_id:str}")
async def act(request: AnyRequest) -> Response[bytes]:
    """Look after it, leave it to the administrators, decide it or an appeal."""
    form = await posted(request)
    case_id, action = path_id(request, "case_id"), form.text("action", 20)
    service = clients(request).moderation
    try:
        match action:
            case "assign" | "release":
                await service.AssignCase(api.AssignCaseRequest(case_id=case_id, release=action == "release"))
                notice = told(request, "You look after this case.") if action == "assign" else told(request, "The case is free again.")
            case "escalate":
                await service.EscalateCase(api.EscalateCaseRequest(case_id=case_id, reason=form.text("escalation")))
                return go(request, "/moderation", told(request, "The administrators decide this case now."))
            case "uphold" | "dismiss":
                await service.DecideAppeal(api.DecideAppealRequest(
                    case_id=case_id, upheld=action == "uphold", reason=form.text("appeal_reason")
                ))
                notice = told(request, "The appeal is decided, and its author is told.")
            case _:
                days = form.text("mute_days", 4)
                await service.DecideCase(api.DecideCaseRequest(
                    case_id=case_id, outcome=number_of(OUTCOMES, form.text("outcome", 20)),
                    guideline=form.text("other_guideline") or form.text("guideline"), reason=form.text("reason"),
                    mute_days=int(days) if days.isascii() and days.isdigit() else 0, warning=form.text("warning"),
                    etag=form.text("version", 20),
                ))
                notice = told(request, "The case is decided. Those concerned are told, with your reason.")
    except RpcError as error:
        at = {"assign": "", "escalate": "escalation", "uphold": "appeal_reason", "dismiss": "appeal_reason"}.get(action, "reason")
        refused = problems(error, {
            "outcome": "outcome", "guideline": "guideline", "reason": at, "mute_days": "mute_days", "warning": "warning",
        })
        found = await service.GetCase(api.GetCaseRequest(case_id=case_id))
        return await _case_page(request, found, refused.form(form.kept(*DECISION_FIELDS)), refused.status)
    return go(request, f"/moderation/cases/{case_id}", notice)


# --- for those concerned ----------------------------------------------------------------------------------------------


async def _notice_page(request: AnyRequest, found: api.Notice, form: Form, status: int = 200) -> Response[bytes]:
    page = NoticePage(
        shell=await shell(request), id=found.case_id, subject=SUBJECTS.get(found.subject, "post"), is_mine=found.mine,
        body_html=convert.rendered(found.body), community_name=found.community_name,
        report_time=convert.optional_moment(found, "report_time"), decisions=[decision_view(one) for one in found.decisions],
        may_appeal=found.may_appeal, form=form,
    )
    return render(request, page, status)


@get("/moderation/notices/{case_id:str}")
async def show_notice(request: AnyRequest) -> Response[bytes]:
    """What was decided about one's post, or about what one reported."""
    found = await clients(request).moderation.GetNotice(api.GetNoticeRequest(case_id=path_id(request, "case_id")))
    return await _notice_page(request, found, Form())


@post("/moderation/notices/{case_id:str}")
async def appeal(request: AnyRequest) -> Response[bytes]:
    """Ask that a decision is looked at again."""
    form = await posted(request)
    case_id = path_id(request, "case_id")
    service = clients(request).moderation
    try:
        await service.FileAppeal(api.FileAppealRequest(case_id=case_id, words=form.text("words")))
    except RpcError as error:
        refused = problems(error, {"words": "words"})
        found = await service.GetNotice(api.GetNoticeRequest(case_id=case_id))
        return await _notice_page(request, found, refused.form(form.kept("words")), refused.status)
    return go(request, f"/moderation/notices/{case_id}", told(request, "Somebody else than the first decider looks at it again."))


# --- reporting --------------------------------------------------------------------------------------------------------


async def _report_page(request: AnyRequest, subject: str, subject_id: str, form: Form, back: str, status: int = 200) -> Response[bytes]:
    services = clients(request)
    kind: SubjectKind = "person" if subject == "person" else "community" if subject == "community" else "post"
    if len(subject_id) != 36 or not subject_id.isascii():
        raise Refusal(404, "")
    around = await shell(request)
    page = ReportPage(shell=around, subject=kind, subject_id=subject_id, form=form, back=back)
    if kind == "person":
        person = await services.identity.GetPerson(identity.GetPersonRequest(person_id=subject_id))
        page = ReportPage(shell=around, subject=kind, subject_id=subject_id, form=form, back=back, person=convert.person(person))
    elif kind == "community":
        community = await services.feed.GetCommunity(feed.GetCommunityRequest(community_id=subject_id))
        page = ReportPage(shell=around, subject=kind, subject_id=subject_id, form=form, back=back, name=community.name)
    else:
        shown = await services.feed.GetPost(feed.GetPostRequest(post_id=subject_id))
        page = ReportPage(
            shell=around, subject=kind, subject_id=subject_id, form=form, back=back, person=convert.author(shown.author),
            body_html=convert.rendered(shown.body),
        )
    return render(request, page, status)


@get("/report")
async def show_report(request: AnyRequest) -> Response[bytes]:
    """The form for a report."""
    back = http.return_to(query(request, "return_to", 500), "/")
    return await _report_page(request, query(request, "subject", 20), query(request, "id", 40), Form(), back)


@post("/report")
async def report(request: AnyRequest) -> Response[bytes]:
    """Report a post, a person or a community."""
    form = await posted(request)
    subject, subject_id = form.text("subject", 20), form.text("subject_id", 40)
    back = http.return_to(form.text("back", 500), "/")
    number = next((number for number, name in SUBJECTS.items() if name == subject), 0)
    try:
        await clients(request).moderation.FileReport(api.FileReportRequest(
            subjects=[api.ReportedSubject(subject=number, subject_id=subject_id)],  # type: ignore[arg-type]
            category=number_of(CATEGORIES, form.text("category", 20)), words=form.text("words"),
        ))
    except RpcError as error:
        refused = problems(error, {"category": "category", "words": "words"})
        return await _report_page(request, subject, subject_id, refused.form(form.kept("category", "words")), back, refused.status)
    return go(request, back, told(request, "Thank you. You are told what is decided; nobody is told who reported it."))


@get("/reports")
async def my_reports(request: AnyRequest) -> Response[bytes]:
    """What one reported, and whether it was decided: the newest 100."""
    around, found = await asyncio.gather(shell(request), clients(request).moderation.ListMyReports(api.ListMyReportsRequest()))
    reports = [
        MyReport(
            category=CATEGORIES.get(each.category, "other"), words=each.words, time=convert.moment(each.report_time),
            is_decided=each.decided,
            subjects=[(SUBJECTS.get(one.subject, "post"), f"/moderation/notices/{one.case_id}") for one in each.subjects],
        )
        for each in found.reports
    ]
    return render(request, MyReportsPage(shell=around, reports=reports))


# --- the guidelines ---------------------------------------------------------------------------------------------------


@get("/guidelines")
async def show_guidelines(request: AnyRequest) -> Response[bytes]:
    """The guidelines, to read and to accept."""
    around, found = await asyncio.gather(shell(request), clients(request).policy.GetPolicy(policy.GetPolicyRequest()))
    if not found.guidelines:
        raise Refusal(404, "")
    page = GuidelinesPage(
        shell=around, body_html=convert.rendered(found.guidelines), version=found.guidelines_version, is_due=found.acceptance_due
    )
    return render(request, page)


@post("/guidelines")
async def accept(request: AnyRequest) -> Response[bytes]:
    """Accept them."""
    form = await posted(request)
    await accept_posted(request, form)
    back = return_path(request, form)
    return go(request, "/" if back.startswith("/guidelines") else back, told(request, "Thank you. Now you can post."))


async def accept_posted(request: AnyRequest, form: Posted) -> None:
    """Note that the version in the form is accepted."""
    version = form.text("guidelines_version", 9)
    if version.isascii() and version.isdigit():
        await clients(request).policy.AcceptGuidelines(policy.AcceptGuidelinesRequest(guidelines_version=int(version)))


async def guidelines_first(request: AnyRequest, form: Posted, fields: tuple[str, ...]) -> Response[bytes] | None:
    """Before somebody's first post: the page with the guidelines, which keeps what was typed; None where nothing is to be asked."""
    if form.text("guidelines_version", 9):
        await accept_posted(request, form)
        return None
    found = await clients(request).policy.GetPolicy(policy.GetPolicyRequest())
    if not found.acceptance_due:
        return None
    if wants_fragment(request):  # the box keeps its text in the browser
        return go(request, address("/guidelines", return_to=return_path(request, form)))
    kept = [Option(value=value, label=name) for name in (*fields, "return_to") for value in form.texts(name)]
    page = GuidelinesPage(
        shell=await shell(request), body_html=convert.rendered(found.guidelines), version=found.guidelines_version, is_due=True,
        action=str(request.scope["path"]), kept=kept, lost_file=form.file("image") is not None,
    )
    return render(request, page)
