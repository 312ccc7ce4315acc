"""Administration of the policy, retention rules and legal holds, the record of decisions; and exports for everybody."""
from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from litestar import Response

from libs.rpc.errors import RpcError
from watercooler.feed.v1 import events_pb2 as feed_events
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import moderation_service_pb2 as moderation
from watercooler.feed.v1 import policy_service_pb2 as policy
from watercooler.feed.v1 import retention_events_pb2 as pb
from watercooler.feed.v1 import retention_service_pb2 as api

from ..http import AnyRequest, clients, current_person
from ..rendering import address
from ..views import Form, Option
from ..views_moderation import (
    AdminAuditPage,
    AdminHoldsPage,
    AdminPolicyPage,
    AdminRetentionPage,
    AdminRulePage,
    AuditRow,
    ExampleView,
    ExportRow,
    HoldRow,
    RehearsalView,
    RuleRow,
    RunView,
    SettingsExportPage,
)
from . import convert
from .common import TOKEN_CHARACTERS, Posted, bad, get, go, path_id, post, posted, problems, query, render, shell, told
from .guards import administrator
from .whom import find

ENTRIES_A_PAGE: Final = 50
COMMUNITIES: Final = 200
POLICY_FIELDS: Final = (
    "guidelines", "guidelines_required", "values", "anonymous_questions", "blocking_allowed", "watched_words", "reason", "ask_again",
    "version",
)
RULE_FIELDS: Final = ("name", "audience", "audience_id", "age_days", "unit", "reason")
HOLD_FIELDS: Final = ("subject", "person", "community", "from_day", "until_day", "reason")
AUDIENCES: Final[dict[int, str]] = {
    pb.RETENTION_AUDIENCE_EVERYONE: "everyone", pb.RETENTION_AUDIENCE_COMMUNITY: "community", pb.RETENTION_AUDIENCE_PEOPLE: "people",
    pb.RETENTION_AUDIENCE_FOLLOWERS: "followers", pb.RETENTION_AUDIENCE_GROUP: "group", pb.RETENTION_AUDIENCE_CHART: "chart",
}
UNITS: Final[dict[int, str]] = {pb.RETENTION_UNIT_POST: "post", pb.RETENTION_UNIT_THREAD: "thread"}
HOLD_SUBJECTS: Final[dict[int, str]] = {
    pb.HOLD_SUBJECT_PERSON: "person", pb.HOLD_SUBJECT_COMMUNITY: "community", pb.HOLD_SUBJECT_EVERYTHING: "everything",
}
EXPORT_SUBJECTS: Final[dict[int, str]] = {pb.EXPORT_SUBJECT_PERSON: "person", pb.EXPORT_SUBJECT_COMMUNITY: "community"}
EXPORT_STATES: Final[dict[int, str]] = {
    api.EXPORT_STATE_WAITING: "waiting", api.EXPORT_STATE_READY: "ready", api.EXPORT_STATE_FAILED: "failed",
    api.EXPORT_STATE_EXPIRED: "expired",
}


def number_of(names: dict[int, str], name: str) -> Any:
    """The number of a name; 0 for none."""
    return next((number for number, known in names.items() if known == name), 0)


# --- policy -----------------------------------------------------------------------------------------------------------


def _policy_values(found: policy.Policy) -> dict[str, str]:
    return {
        "guidelines": found.guidelines, "guidelines_required": "1" if found.guidelines_required else "",
        "values": "\n".join(found.values), "anonymous_questions": "1" if found.anonymous_questions else "",
        "blocking_allowed": "1" if found.blocking_allowed else "", "watched_words": "\n".join(found.watched_words), "version": found.etag,
    }


@get("/admin/policy")
async def show_policy(request: AnyRequest) -> Response[bytes]:
    """What the organisation has agreed on."""
    administrator(request)
    around, found = await asyncio.gather(shell(request), clients(request).policy.GetPolicy(policy.GetPolicyRequest()))
    return render(request, AdminPolicyPage(shell=around, form=Form(values=_policy_values(found)), has_guidelines=bool(found.guidelines)))


@post("/admin/policy")
async def change_policy(request: AnyRequest) -> Response[bytes]:
    """Change it."""
    administrator(request)
    form = await posted(request)
    change = policy.ChangePolicyRequest(
        guidelines=form.raw("guidelines"), guidelines_required=bool(form.text("guidelines_required")),
        values=form.text("values").split("\n"), anonymous_questions=bool(form.text("anonymous_questions")),
        blocking_allowed=bool(form.text("blocking_allowed")), watched_words=form.text("watched_words").split("\n"),
        ask_again=bool(form.text("ask_again")), reason=form.text("reason"), etag=form.text("version", 20),
        update_mask=["guidelines", "guidelines_required", "values", "anonymous_questions", "blocking_allowed", "watched_words"],
    )
    try:
        await clients(request).policy.ChangePolicy(change)
    except RpcError as error:
        refused = problems(error, {each: each for each in POLICY_FIELDS})
        view = AdminPolicyPage(shell=await shell(request), form=refused.form(form.kept(*POLICY_FIELDS)), has_guidelines=True)
        return render(request, view, refused.status)
    return go(request, "/admin/policy", told(request, "The policy is changed."))


# --- retention --------------------------------------------------------------------------------------------------------


def rule_row(found: api.Rule) -> RuleRow:
    """A rule."""
    return RuleRow(
        id=found.rule_id, name=found.name, audience=AUDIENCES.get(found.audience, ""), audience_name=found.audience_name,
        age_days=found.age_days, unit=UNITS.get(found.unit, "post"), reason=found.reason, is_enabled=found.enabled,
        rehearse_time=convert.optional_moment(found, "rehearse_time"),
    )


async def _communities(request: AnyRequest) -> list[Option]:
    found = await clients(request).feed.ListCommunities(feed.ListCommunitiesRequest(page_size=COMMUNITIES, include_archived=True))
    return [Option(value=one.community_id, label=one.name) for one in found.communities]


async def _retention_page(request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
    around, found, communities = await asyncio.gather(
        shell(request), clients(request).retention.ListRules(api.ListRulesRequest()), _communities(request)
    )
    page = AdminRetentionPage(shell=around, rules=[rule_row(one) for one in found.rules], communities=communities, form=form)
    return render(request, page, status)


@get("/admin/retention")
async def show_rules(request: AnyRequest) -> Response[bytes]:
    """The retention rules, and the form for a new one."""
    administrator(request)
    return await _retention_page(request, Form(values={"audience": "everyone", "unit": "thread", "age_days": "730"}))


@post("/admin/retention")
async def draft_rule(request: AnyRequest) -> Response[bytes]:
    """Write a rule down; it deletes nothing yet."""
    administrator(request)
    form = await posted(request)
    days, audience = form.text("age_days", 6), form.text("audience", 20)
    draft = api.DraftRuleRequest(
        name=form.text("name"), audience=number_of(AUDIENCES, audience),
        audience_id=form.text("audience_id", 40) if audience == "community" else "",
        age_days=int(days) if days.isascii() and days.isdigit() else 0, unit=number_of(UNITS, form.text("unit", 20)),
        reason=form.text("reason"),
    )
    try:
        made = await clients(request).retention.DraftRule(draft)
    except RpcError as error:
        refused = problems(error, {each: each for each in RULE_FIELDS})
        return await _retention_page(request, refused.form(form.kept(*RULE_FIELDS)), refused.status)
    notice = told(request, "The rule is written down. It deletes nothing before you switch it on.")
    return go(request, f"/admin/retention/{made.rule_id}", notice)


async def _rule_page(request: AnyRequest, form: Form, rehearsal: api.Rehearsal | None = None, status: int = 200) -> Response[bytes]:
    around, found = await asyncio.gather(
        shell(request), clients(request).retention.GetRule(api.GetRuleRequest(rule_id=path_id(request, "rule_id")))
    )
    runs = [
        RunView(
            deleted_count=one.deleted_count, protected_count=one.protected_count, time=convert.moment(one.end_time),
            is_partial=one.partial,
        )
        for one in found.runs
    ]
    shown = rehearsal_view(rehearsal) if rehearsal is not None else None
    return render(request, AdminRulePage(shell=around, rule=rule_row(found), rehearsal=shown, runs=runs, form=form), status)


def rehearsal_view(found: api.Rehearsal) -> RehearsalView:
    """What a rule would delete."""
    return RehearsalView(
        post_count=found.post_count, protected_count=found.protected_count,
        departments=[Option(value=one.department, label=one.department.title(), count=one.post_count) for one in found.departments],
        oldest_time=convert.optional_moment(found, "oldest_time"), newest_time=convert.optional_moment(found, "newest_time"),
        examples=[
            ExampleView(
                id=one.post_id, time=convert.moment(one.publish_time),
                author=convert.author(one.post.author) if one.HasField("post") else None,
                excerpt=convert.excerpt(one.post) if one.HasField("post") else "",
            )
            for one in found.examples
        ],
    )


@get("/admin/retention/{rule_id:str}")
async def show_rule(request: AnyRequest) -> Response[bytes]:
    """One rule with its runs."""
    administrator(request)
    return await _rule_page(request, Form())


@post("/admin/retention/{rule_id:str}")
async def switch_rule(request: AnyRequest) -> Response[bytes]:
    """Make a dry run, switch the rule on or off."""
    administrator(request)
    form = await posted(request)
    rule_id, action, service = path_id(request, "rule_id"), form.text("action", 20), clients(request).retention
    try:
        match action:
            case "rehearse":
                return await _rule_page(request, Form(), await service.RehearseRule(api.RehearseRuleRequest(rule_id=rule_id)))
            case "enable":
                await service.EnableRule(api.EnableRuleRequest(rule_id=rule_id, reason=form.text("reason")))
                notice = told(request, "The rule is on: what is too old is deleted from now on.")
            case _:
                await service.DisableRule(api.DisableRuleRequest(rule_id=rule_id, reason=form.text("reason")))
                notice = told(request, "The rule is off: nothing more is deleted.")
    except RpcError as error:
        refused = problems(error, {"reason": "reason"})
        return await _rule_page(request, refused.form(form.kept("reason")), status=refused.status)
    return go(request, f"/admin/retention/{rule_id}", notice)


# --- legal holds ------------------------------------------------------------------------------------------------------


def hold_row(found: api.Hold) -> HoldRow:
    """A hold."""
    return HoldRow(
        id=found.hold_id, subject=HOLD_SUBJECTS.get(found.subject, ""), name=found.subject_name,
        from_time=convert.optional_moment(found, "from_time"), until_time=convert.optional_moment(found, "until_time"),
        reason=found.reason, placer=convert.author(found.placer) if found.HasField("placer") else None,
        place_time=convert.moment(found.place_time), is_active=found.active, lift_time=convert.optional_moment(found, "lift_time"),
        lift_reason=found.lift_reason,
    )


async def holds_on(request: AnyRequest, person_id: str) -> list[HoldRow]:
    """The active holds that are about what a person wrote: to be seen before they are erased."""
    found = await clients(request).retention.ListHolds(api.ListHoldsRequest(person_id=person_id))
    return [hold_row(one) for one in found.holds]


async def _holds_page(request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
    around, found, communities = await asyncio.gather(
        shell(request), clients(request).retention.ListHolds(api.ListHoldsRequest(include_lifted=True)), _communities(request)
    )
    page = AdminHoldsPage(shell=around, holds=[hold_row(one) for one in found.holds], communities=communities, form=form)
    return render(request, page, status)


@get("/admin/holds")
async def show_holds(request: AnyRequest) -> Response[bytes]:
    """The legal holds, and the form for a new one."""
    administrator(request)
    return await _holds_page(request, Form(values={"subject": "person"}))


def _day(form: Posted, name: str, days_after: int = 0) -> Timestamp | None:
    text = form.text(name, 10)
    if not text:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(datetime.combine(date.fromisoformat(text), time(), UTC) + timedelta(days=days_after))
    return stamp


@post("/admin/holds")
async def change_hold(request: AnyRequest) -> Response[bytes]:
    """Place a hold, or lift one."""
    administrator(request)
    form = await posted(request)
    service = clients(request).retention
    kept = form.kept(*HOLD_FIELDS)
    try:
        if hold_id := form.text("hold_id", 40):
            await service.LiftHold(api.LiftHoldRequest(hold_id=hold_id, reason=form.text("reason")))
            return go(request, "/admin/holds", told(request, "The hold is lifted. What was deleted meanwhile goes for good."))
        subject = form.text("subject", 20)
        subject_id = form.text("community", 40) if subject == "community" else ""
        if subject == "person":
            found = await find(request, form.text("person", 200)) if form.text("person", 200) else None
            if found is None:
                refused = bad("person", told(request, "Nobody is called that: take the handle or the e-mail address."))
                return await _holds_page(request, refused.form(kept), refused.status)
            subject_id = found
        try:
            from_time, until_time = _day(form, "from_day"), _day(form, "until_day", days_after=1)
        except (ValueError, OverflowError):
            refused = bad("from_day", told(request, "Write a day as 2026-11-23."))
            return await _holds_page(request, refused.form(kept), refused.status)
        await service.PlaceHold(api.PlaceHoldRequest(
            subject=number_of(HOLD_SUBJECTS, subject), subject_id=subject_id, from_time=from_time, until_time=until_time,
            reason=form.text("reason"),
        ))
    except RpcError as error:
        whom = "person" if form.text("subject") == "person" else "community"
        refused = problems(error, {
            "subject": "subject", "reason": "reason", "subject_id": whom, "until_time": "until_day", "from_time": "from_day",
        })
        return await _holds_page(request, refused.form(kept), refused.status)
    return go(request, "/admin/holds", told(request, "The hold is placed: nothing it is about is deleted."))


# --- the record -------------------------------------------------------------------------------------------------------


@get("/admin/audit")
async def show_audit(request: AnyRequest) -> Response[bytes]:
    """Every decision of those who govern the network."""
    administrator(request)
    kind = query(request, "kind", 20)
    kind = kind if kind in ("policy", "case", "appeal", "rule", "hold", "export") else ""
    wanted = moderation.ListAuditRequest(page_size=ENTRIES_A_PAGE, page_token=query(request, "page", TOKEN_CHARACTERS), action=kind)
    around, found = await asyncio.gather(shell(request), clients(request).moderation.ListAudit(wanted))
    following = address("/admin/audit", kind=kind, page=found.next_page_token) if found.next_page_token else ""
    entries = [
        AuditRow(
            action=one.action, actor=convert.author(one.actor), time=convert.moment(one.audit_time), reason=one.reason,
            url=_audit_url(one.action, one.subject_id),
        )
        for one in found.entries
    ]
    return render(request, AdminAuditPage(shell=around, entries=entries, kind=kind, next_url=following))


def _audit_url(action: str, subject_id: str) -> str:
    match action.partition(".")[0]:
        case "case" | "appeal":
            return f"/moderation/{subject_id}"
        case "rule":
            return f"/admin/retention/{subject_id}"
        case "hold":
            return "/admin/holds"
        case "policy":
            return "/admin/policy"
        case _:
            return ""


# --- exports ----------------------------------------------------------------------------------------------------------


def export_row(found: api.Export) -> ExportRow:
    """An export."""
    return ExportRow(
        id=found.export_id, subject=EXPORT_SUBJECTS.get(found.subject, "person"), name=found.subject_name,
        state=EXPORT_STATES.get(found.state, "waiting"), request_time=convert.moment(found.request_time), size_bytes=found.size_bytes,
        post_count=found.post_count, done_count=found.done_count, expire_time=convert.optional_moment(found, "expire_time"),
        failure=found.failure, reason=found.reason,
    )


async def _export_page(request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
    me = current_person(request)
    around, found, mine = await asyncio.gather(
        shell(request), clients(request).retention.ListExports(api.ListExportsRequest()),
        clients(request).feed.ListCommunities(feed.ListCommunitiesRequest(member_id=me.person_id, page_size=COMMUNITIES)),
    )
    owned = [
        Option(value=one.community_id, label=one.name) for one in mine.communities if one.my_role == feed_events.MEMBER_ROLE_OWNER
    ]
    page = SettingsExportPage(
        shell=around, exports=[export_row(one) for one in found.exports], communities=owned, can_take_others=me.is_administrator, form=form
    )
    return render(request, page, status)


@get("/settings/export")
async def show_exports(request: AnyRequest) -> Response[bytes]:
    """What one can take along, and what one asked for."""
    return await _export_page(request, Form(values={"person": query(request, "person", 200)}))


@post("/settings/export")
async def ask_export(request: AnyRequest) -> Response[bytes]:
    """Ask for an export."""
    form = await posted(request)
    subject, person = form.text("subject", 40), form.text("person", 200)
    wanted = api.RequestExportRequest(subject=pb.EXPORT_SUBJECT_PERSON, reason=form.text("reason"), request_id=form.text("request_id", 100))
    if subject == "other":
        found = await find(request, person) if person else None
        if found is None:
            refused = bad("person", told(request, "Nobody is called that: take the handle or the e-mail address."))
            return await _export_page(request, refused.form(form.kept("person", "reason")), refused.status)
        wanted.subject_id = found
    elif subject != "me":
        wanted.subject, wanted.subject_id = pb.EXPORT_SUBJECT_COMMUNITY, subject
    try:
        await clients(request).retention.RequestExport(wanted)
    except RpcError as error:
        refused = problems(error, {"reason": "reason", "subject_id": "person"})
        return await _export_page(request, refused.form(form.kept("person", "reason")), refused.status)
    return go(request, "/settings/export", told(request, "It is being written. This page has the file when it is ready."))
