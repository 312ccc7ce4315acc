"""Retention rules, legal holds and exports."""
from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from watercooler.feed.v1 import retention_events_pb2 as pb
from watercooler.feed.v1 import retention_service_pb2 as feed

from ..exports import export_file
from ..streaming import EventStream
from . import models
from .models import Id
from .moderation import name_of
from .operations import Call, Input, Output, operation, stamp_of, time_of

AudienceName = Literal["everyone", "community", "people", "followers", "group", "chart"]
UnitName = Literal["post", "thread"]
HoldSubjectName = Literal["person", "community", "everything"]
ExportSubjectName = Literal["person", "community"]
ExportStateName = Literal["waiting", "ready", "failed", "expired"]
Reason = Annotated[str, Meta(min_length=1, max_length=500, description="Stays on record.")]

AUDIENCES: Final[dict[str, Any]] = {
    "everyone": pb.RETENTION_AUDIENCE_EVERYONE, "community": pb.RETENTION_AUDIENCE_COMMUNITY, "people": pb.RETENTION_AUDIENCE_PEOPLE,
    "followers": pb.RETENTION_AUDIENCE_FOLLOWERS, "group": pb.RETENTION_AUDIENCE_GROUP, "chart": pb.RETENTION_AUDIENCE_CHART,
}
UNITS: Final[dict[str, Any]] = {"post": pb.RETENTION_UNIT_POST, "thread": pb.RETENTION_UNIT_THREAD}
HOLD_SUBJECTS: Final[dict[str, Any]] = {
    "person": pb.HOLD_SUBJECT_PERSON, "community": pb.HOLD_SUBJECT_COMMUNITY, "everything": pb.HOLD_SUBJECT_EVERYTHING,
}
EXPORT_SUBJECTS: Final[dict[str, Any]] = {"person": pb.EXPORT_SUBJECT_PERSON, "community": pb.EXPORT_SUBJECT_COMMUNITY}
EXPORT_STATES: Final[dict[str, Any]] = {
    "waiting": feed.EXPORT_STATE_WAITING, "ready": feed.EXPORT_STATE_READY, "failed": feed.EXPORT_STATE_FAILED,
    "expired": feed.EXPORT_STATE_EXPIRED,
}


def optional_time(message: Any, field: str) -> datetime | None:
    """A time that may be unset."""
    return time_of(getattr(message, field)) if message.HasField(field) else None


# --- rules ------------------------------------------------------------------------------------------------------------


class RuleRun(Output, frozen=True, kw_only=True):
    """One run that deleted something."""

    deleted_count: int
    protected_count: int
    start_time: datetime
    end_time: datetime
    partial: bool


class Rule(Output, frozen=True, kw_only=True):
    """A retention rule."""

    id: str
    name: str
    audience: AudienceName
    audience_id: str
    audience_name: str
    age_days: int
    unit: UnitName
    reason: str
    enabled: bool
    draft_time: datetime
    rehearse_time: datetime | None
    rehearsed_count: int
    runs: list[RuleRun]


def rule(message: feed.Rule) -> Rule:
    """A rule, from feed's message."""
    return Rule(
        id=message.rule_id, name=message.name, audience=name_of(AUDIENCES, message.audience), audience_id=message.audience_id,
        audience_name=message.audience_name, age_days=message.age_days, unit=name_of(UNITS, message.unit), reason=message.reason,
        enabled=message.enabled, draft_time=time_of(message.draft_time), rehearse_time=optional_time(message, "rehearse_time"),
        rehearsed_count=message.rehearsed_count,
        runs=[
            RuleRun(
                deleted_count=one.deleted_count, protected_count=one.protected_count, start_time=time_of(one.start_time),
                end_time=time_of(one.end_time), partial=one.partial,
            )
            for one in message.runs
        ],
    )


class RuleInput(Input, frozen=True, kw_only=True):
    """A new rule; it deletes nothing before it is switched on."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    audience: AudienceName
    audience_id: Annotated[Id | None, Meta(description="The community, group or person; absent: all of them.")] = None
    age_days: Annotated[int, Meta(ge=1, le=36_500)]
    unit: UnitName = "thread"
    reason: Reason


@operation("POST", "/retention/rules", "Draft a retention rule", tag="retention", status=201, body=RuleInput, answer=Rule, scope="admin")
async def draft_rule(call: Call, body: RuleInput) -> Rule:
    """For administrators."""
    return rule(await call.clients.retention.DraftRule(feed.DraftRuleRequest(
        name=body.name, audience=AUDIENCES[body.audience], audience_id=body.audience_id or "", age_days=body.age_days,
        unit=UNITS[body.unit], reason=body.reason, request_id=call.request_id,
    )))


class RuleList(Output, frozen=True, kw_only=True):
    """Newest first, at most 100."""

    rules: list[Rule]


@operation("GET", "/retention/rules", "List retention rules", tag="retention", answer=RuleList, scope="admin")
async def list_rules(call: Call) -> RuleList:
    """For administrators."""
    found = await call.clients.retention.ListRules(feed.ListRulesRequest())
    return RuleList(rules=[rule(one) for one in found.rules])


@operation("GET", "/retention/rules/{rule_id}", "Read a retention rule", tag="retention", answer=Rule, scope="admin")
async def get_rule(call: Call) -> Rule:
    """With its newest runs."""
    return rule(await call.clients.retention.GetRule(feed.GetRuleRequest(rule_id=call.id("rule_id"))))


class DepartmentCount(Output, frozen=True, kw_only=True):
    """Posts by the department of their author; an empty name holds the unknown ones and those with fewer than five, together."""

    department: str
    post_count: int


class RehearsalExample(Output, frozen=True, kw_only=True):
    """A post that would go; `post` only where the caller may see it."""

    post_id: str
    publish_time: datetime
    post: models.Post | None


class Rehearsal(Output, frozen=True, kw_only=True):
    """What the rule would delete now."""

    post_count: int
    protected_count: int
    departments: list[DepartmentCount]
    oldest_time: datetime | None
    newest_time: datetime | None
    cutoff_time: datetime
    examples: list[RehearsalExample]


@operation("POST", "/retention/rules/{rule_id}/rehearsal", "Make a dry run", tag="retention", answer=Rehearsal, scope="admin")
async def rehearse_rule(call: Call) -> Rehearsal:
    """Counted in what is really there; a rule can be switched on for seven days after it."""
    found = await call.clients.retention.RehearseRule(feed.RehearseRuleRequest(rule_id=call.id("rule_id")))
    return Rehearsal(
        post_count=found.post_count, protected_count=found.protected_count,
        departments=[DepartmentCount(department=one.department, post_count=one.post_count) for one in found.departments],
        oldest_time=optional_time(found, "oldest_time"), newest_time=optional_time(found, "newest_time"),
        cutoff_time=time_of(found.cutoff_time),
        examples=[
            RehearsalExample(
                post_id=one.post_id, publish_time=time_of(one.publish_time), post=models.post(one.post) if one.HasField("post") else None
            )
            for one in found.examples
        ],
    )


class SwitchInput(Input, frozen=True, kw_only=True):
    """On or off, and why."""

    enabled: bool
    reason: Reason


@operation(
    "PUT", "/retention/rules/{rule_id}/enabled", "Switch a rule on or off", tag="retention", body=SwitchInput, answer=Rule, scope="admin"
)
async def switch_rule(call: Call, body: SwitchInput) -> Rule:
    """On: what is too old is deleted from now on, in batches."""
    rule_id, service = call.id("rule_id"), call.clients.retention
    if body.enabled:
        return rule(await service.EnableRule(feed.EnableRuleRequest(rule_id=rule_id, reason=body.reason, request_id=call.request_id)))
    return rule(await service.DisableRule(feed.DisableRuleRequest(rule_id=rule_id, reason=body.reason, request_id=call.request_id)))


# --- holds ------------------------------------------------------------------------------------------------------------


class Hold(Output, frozen=True, kw_only=True):
    """A legal hold: what it is about is deleted by nobody."""

    id: str
    subject: HoldSubjectName
    subject_id: str
    subject_name: str
    from_time: datetime | None
    until_time: datetime | None
    reason: str
    placer: models.Author | None
    place_time: datetime
    active: bool
    lift_time: datetime | None
    lift_reason: str


def hold(message: feed.Hold) -> Hold:
    """A hold, from feed's message."""
    return Hold(
        id=message.hold_id, subject=name_of(HOLD_SUBJECTS, message.subject), subject_id=message.subject_id,
        subject_name=message.subject_name, from_time=optional_time(message, "from_time"), until_time=optional_time(message, "until_time"),
        reason=message.reason, placer=models.author(message.placer) if message.HasField("placer") else None,
        place_time=time_of(message.place_time), active=message.active, lift_time=optional_time(message, "lift_time"),
        lift_reason=message.lift_reason,
    )


class HoldInput(Input, frozen=True, kw_only=True):
    """On what a person wrote, on a community, or on everything; published between two moments."""

    subject: HoldSubjectName
    subject_id: Annotated[Id | None, Meta(description="Absent with everything.")] = None
    from_time: datetime | None = None
    until_time: datetime | None = None
    reason: Reason


@operation("POST", "/retention/holds", "Place a legal hold", tag="retention", status=201, body=HoldInput, answer=Hold, scope="admin")
async def place_hold(call: Call, body: HoldInput) -> Hold:
    """No rule deletes it; what its author deletes is kept, unseen. An erasure of its author wins."""
    return hold(await call.clients.retention.PlaceHold(feed.PlaceHoldRequest(
        subject=HOLD_SUBJECTS[body.subject], subject_id=body.subject_id or "",
        from_time=stamp_of(body.from_time, "from_time") if body.from_time is not None else None,
        until_time=stamp_of(body.until_time, "until_time") if body.until_time is not None else None, reason=body.reason,
        request_id=call.request_id,
    )))


class HoldsQuery(Input, frozen=True, kw_only=True):
    """Which holds."""

    include_lifted: bool = False


class HoldList(Output, frozen=True, kw_only=True):
    """Newest first."""

    holds: list[Hold]


@operation("GET", "/retention/holds", "List legal holds", tag="retention", query=HoldsQuery, answer=HoldList, scope="admin")
async def list_holds(call: Call, query: HoldsQuery) -> HoldList:
    """For administrators."""
    found = await call.clients.retention.ListHolds(feed.ListHoldsRequest(include_lifted=query.include_lifted))
    return HoldList(holds=[hold(one) for one in found.holds])


class LiftInput(Input, frozen=True, kw_only=True):
    """Why."""

    reason: Reason


@operation("POST", "/retention/holds/{hold_id}/lift", "Lift a legal hold", tag="retention", body=LiftInput, answer=Hold, scope="admin")
async def lift_hold(call: Call, body: LiftInput) -> Hold:
    """What was deleted meanwhile goes for good."""
    request = feed.LiftHoldRequest(hold_id=call.id("hold_id"), reason=body.reason, request_id=call.request_id)
    return hold(await call.clients.retention.LiftHold(request))


# --- exports ----------------------------------------------------------------------------------------------------------


class Export(Output, frozen=True, kw_only=True):
    """A ZIP of what somebody wrote and did, or of a community."""

    id: str
    subject: ExportSubjectName
    subject_id: str
    subject_name: str
    reason: str
    state: ExportStateName
    request_time: datetime
    size_bytes: int
    post_count: int
    done_count: int
    expire_time: datetime | None
    failure: str


def export(message: feed.Export) -> Export:
    """An export, from feed's message."""
    return Export(
        id=message.export_id, subject=name_of(EXPORT_SUBJECTS, message.subject), subject_id=message.subject_id,
        subject_name=message.subject_name, reason=message.reason, state=name_of(EXPORT_STATES, message.state),
        request_time=time_of(message.request_time), size_bytes=message.size_bytes, post_count=message.post_count,
        done_count=message.done_count, expire_time=optional_time(message, "expire_time"), failure=message.failure,
    )


class ExportInput(Input, frozen=True, kw_only=True):
    """One's own without an id; a community's by its owners; anything else by administrators, with a reason."""

    subject: ExportSubjectName = "person"
    subject_id: Id | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""


@operation("POST", "/exports", "Ask for an export", tag="retention", status=201, body=ExportInput, answer=Export)
async def request_export(call: Call, body: ExportInput) -> Export:
    """Written in the background; the file is kept for seven days, for the caller."""
    return export(await call.clients.retention.RequestExport(feed.RequestExportRequest(
        subject=EXPORT_SUBJECTS[body.subject], subject_id=body.subject_id or "", reason=body.reason, request_id=call.request_id
    )))


class ExportList(Output, frozen=True, kw_only=True):
    """Newest first, at most 50."""

    exports: list[Export]


@operation("GET", "/exports", "List one's exports", tag="retention", answer=ExportList)
async def list_exports(call: Call) -> ExportList:
    """Those the caller asked for."""
    found = await call.clients.retention.ListExports(feed.ListExportsRequest())
    return ExportList(exports=[export(one) for one in found.exports])


@operation("GET", "/exports/{export_id}", "Read the state of an export", tag="retention", answer=Export)
async def get_export(call: Call) -> Export:
    """How far it is."""
    return export(await call.clients.retention.GetExport(feed.GetExportRequest(export_id=call.id("export_id"))))


@operation("GET", "/exports/{export_id}/file", "Download an export", tag="retention", downloads="application/zip")
async def download_export(call: Call) -> EventStream:
    """The ZIP, for who asked for it."""
    return await export_file(call.request, call.id("export_id"))
