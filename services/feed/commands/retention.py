"""What can be asked of retention rules, legal holds and exports."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from watercooler.feed.v1 import retention_events_pb2 as events


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRule:
    """Write a rule down; it deletes nothing yet."""

    rule_id: str
    name: str
    audience: events.RetentionAudience.ValueType
    audience_id: str
    age_days: int
    unit: events.RetentionUnit.ValueType
    author_id: str
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearseRule:
    """Note what the rule would delete now."""

    rule_id: str
    post_count: int
    protected_count: int
    person_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableRule:
    """Switch a rule on."""

    rule_id: str
    person_id: str
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableRule:
    """Switch a rule off."""

    rule_id: str
    person_id: str
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRun:
    """Note what a run of the rule did."""

    rule_id: str
    deleted_count: int
    protected_count: int
    start: datetime
    end: datetime
    partial: bool


RuleCommand = DraftRule | RehearseRule | EnableRule | DisableRule | RecordRun


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceHold:
    """Let nothing be deleted that a person wrote, that a community holds, or anything, between two moments."""

    hold_id: str
    subject: events.HoldSubject.ValueType
    subject_id: str
    from_time: datetime | None
    until_time: datetime | None
    reason: str
    placer_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftHold:
    """End a hold."""

    hold_id: str
    reason: str
    lifter_id: str
    now: datetime


HoldCommand = PlaceHold | LiftHold


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestExport:
    """Ask for a ZIP of what a person wrote and did, or of a community."""

    export_id: str
    subject: events.ExportSubject.ValueType
    subject_id: str
    requester_id: str
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishExport:
    """Say where the ZIP is, and until when."""

    export_id: str
    blob_id: str
    size_bytes: int
    post_count: int
    now: datetime
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FailExport:
    """Say why there is no ZIP."""

    export_id: str
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireExport:
    """Say that the ZIP is gone."""

    export_id: str
    now: datetime


ExportCommand = RequestExport | FinishExport | FailExport | ExpireExport
