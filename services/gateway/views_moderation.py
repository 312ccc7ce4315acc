"""What the pages of moderation, policy, retention and exports show."""
# ruff: noqa: RUF012 - msgspec copies the empty lists that are defaults here.
from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from .views import Form, Option, Page, PersonRef, View

SubjectKind = Literal["post", "person", "community"]


class CaseRow(View, frozen=True, kw_only=True):
    """A case in the queue."""

    id: str
    subject: SubjectKind
    subject_id: str
    # Of a community that was reported.
    subject_name: str = ""
    author: PersonRef | None = None
    community_name: str = ""
    to_administrators: bool = False
    # open, assigned, decided, appealed.
    state: str = "open"
    assignee: PersonRef | None = None
    report_count: int = 1
    # Keys of the categories.
    categories: list[str] = []
    last_time: datetime
    outcome: str = ""

    @property
    def url(self) -> str:
        return f"/moderation/cases/{self.id}"


class ReportView(View, frozen=True, kw_only=True):
    """One report; without a reporter, watched words that were found."""

    reporter: PersonRef | None
    category: str
    words: str
    time: datetime
    watched_words: list[str] = []


class DecisionView(View, frozen=True, kw_only=True):
    """A decision with the appeal against it; without a decider where those concerned read it."""

    outcome: str
    guideline: str
    reason: str
    time: datetime
    decider: PersonRef | None = None
    mute_end_time: datetime | None = None
    warning: str = ""
    appeal_end_time: datetime | None = None
    appeal_words: str = ""
    appeal_time: datetime | None = None
    # "": not decided yet.
    verdict: Literal["", "upheld", "dismissed"] = ""
    verdict_reason: str = ""
    verdict_by: PersonRef | None = None
    verdict_time: datetime | None = None


class StepView(View, frozen=True, kw_only=True):
    """One line of a case's history."""

    step: str
    person: PersonRef | None
    time: datetime
    detail: str = ""


class ModerationPage(Page, frozen=True, kw_only=True):
    """The queue, by tab: waiting, mine, done."""

    template: ClassVar[str] = "pages/moderation.html"
    nav_key: ClassVar[str] = "moderation"
    tab: str = "waiting"
    cases: list[CaseRow] = []
    next_url: str = ""


class CasePage(Page, frozen=True, kw_only=True):
    """One case. Posts action assign, release, escalate (reason), decide (outcome, guideline, reason, mute_days, warning, version), or
    uphold and dismiss (reason)."""

    template: ClassVar[str] = "pages/moderation_case.html"
    nav_key: ClassVar[str] = "moderation"
    case: CaseRow
    body_html: str = ""
    warning: str = ""
    is_deleted: bool = False
    is_gone: bool = False
    images: list[str] = []
    reports: list[ReportView] = []
    decisions: list[DecisionView] = []
    history: list[StepView] = []
    guidelines: list[str] = []
    outcomes: list[str] = []
    is_mine: bool = False
    may_decide: bool = False
    may_decide_appeal: bool = False
    hindrance: str = ""
    version: str = ""
    form: Form = Form()


class NoticePage(Page, frozen=True, kw_only=True):
    """What was decided, for somebody concerned. Posts words to appeal."""

    template: ClassVar[str] = "pages/moderation_notice.html"
    nav_key: ClassVar[str] = "notifications"
    id: str
    subject: SubjectKind
    is_mine: bool
    body_html: str = ""
    community_name: str = ""
    report_time: datetime | None = None
    decisions: list[DecisionView] = []
    may_appeal: bool = False
    form: Form = Form()


class ReportPage(Page, frozen=True, kw_only=True):
    """Reports something. Posts subject, subject_id, category, words."""

    template: ClassVar[str] = "pages/report.html"
    subject: SubjectKind
    subject_id: str
    person: PersonRef | None = None
    name: str = ""
    body_html: str = ""
    form: Form = Form()
    back: str = "/"


class MyReport(View, frozen=True, kw_only=True):
    """What one reported at once; `subjects` are the kinds of things with the addresses of their notices."""

    category: str
    words: str
    time: datetime
    is_decided: bool
    subjects: list[tuple[SubjectKind, str]]


class MyReportsPage(Page, frozen=True, kw_only=True):
    """One's own reports, the newest first."""

    template: ClassVar[str] = "pages/reports.html"
    nav_key: ClassVar[str] = "notifications"
    reports: list[MyReport]


class GuidelinesPage(Page, frozen=True, kw_only=True):
    """The guidelines. Where something is about to be posted, `kept` is what was typed and `action` where it goes."""

    template: ClassVar[str] = "pages/guidelines.html"
    body_html: str = ""
    version: int = 0
    is_due: bool = False
    action: str = "/guidelines"
    kept: list[Option] = []
    lost_file: bool = False


class AdminPolicyPage(Page, frozen=True, kw_only=True):
    """Fields: guidelines, ask_again, guidelines_required, values, anonymous_questions, blocking_allowed, watched_words, reason, version."""

    template: ClassVar[str] = "pages/admin_policy.html"
    nav_key: ClassVar[str] = "admin"
    part: ClassVar[str] = "policy"
    form: Form = Form()
    has_guidelines: bool = False


class RuleRow(View, frozen=True, kw_only=True):
    """A retention rule."""

    id: str
    name: str
    audience: str
    audience_name: str = ""
    age_days: int
    # post or thread.
    unit: str
    reason: str
    is_enabled: bool
    rehearse_time: datetime | None = None

    @property
    def url(self) -> str:
        return f"/admin/retention/{self.id}"


class RunView(View, frozen=True, kw_only=True):
    """One run of a rule."""

    deleted_count: int
    protected_count: int
    time: datetime
    is_partial: bool = False


class ExampleView(View, frozen=True, kw_only=True):
    """A post that a rule would delete; without text where the administrator may not see it."""

    id: str
    time: datetime
    author: PersonRef | None = None
    excerpt: str = ""


class RehearsalView(View, frozen=True, kw_only=True):
    """What a rule would delete now."""

    post_count: int
    protected_count: int
    # Label and count; the one without a label holds all that are too few to be told apart.
    departments: list[Option] = []
    oldest_time: datetime | None = None
    newest_time: datetime | None = None
    examples: list[ExampleView] = []


class AdminRetentionPage(Page, frozen=True, kw_only=True):
    """Rules. Posts name, audience, audience_id, age_days, unit, reason for a new one."""

    template: ClassVar[str] = "pages/admin_retention.html"
    nav_key: ClassVar[str] = "admin"
    part: ClassVar[str] = "retention"
    rules: list[RuleRow] = []
    communities: list[Option] = []
    form: Form = Form()


class AdminRulePage(Page, frozen=True, kw_only=True):
    """One rule. Posts action rehearse, enable or disable (reason)."""

    template: ClassVar[str] = "pages/admin_rule.html"
    nav_key: ClassVar[str] = "admin"
    part: ClassVar[str] = "retention"
    rule: RuleRow
    rehearsal: RehearsalView | None = None
    runs: list[RunView] = []
    form: Form = Form()


class HoldRow(View, frozen=True, kw_only=True):
    """A legal hold."""

    id: str
    # person, community, everything.
    subject: str
    name: str
    from_time: datetime | None
    until_time: datetime | None
    reason: str
    placer: PersonRef | None
    place_time: datetime
    is_active: bool = True
    lift_time: datetime | None = None
    lift_reason: str = ""


class AdminHoldsPage(Page, frozen=True, kw_only=True):
    """Holds. Posts subject, person, community, from_day, until_day, reason; or hold_id and reason to lift one."""

    template: ClassVar[str] = "pages/admin_holds.html"
    nav_key: ClassVar[str] = "admin"
    part: ClassVar[str] = "holds"
    holds: list[HoldRow] = []
    communities: list[Option] = []
    form: Form = Form()


class AuditRow(View, frozen=True, kw_only=True):
    """One decision of those who govern the network."""

    action: str
    actor: PersonRef
    time: datetime
    reason: str = ""
    url: str = ""


class AdminAuditPage(Page, frozen=True, kw_only=True):
    """The record."""

    template: ClassVar[str] = "pages/admin_audit.html"
    nav_key: ClassVar[str] = "admin"
    part: ClassVar[str] = "audit"
    entries: list[AuditRow] = []
    kind: str = ""
    next_url: str = ""


class ExportRow(View, frozen=True, kw_only=True):
    """An export somebody asked for."""

    id: str
    # person or community.
    subject: str
    name: str
    # waiting, ready, failed, expired.
    state: str
    request_time: datetime
    size_bytes: int = 0
    post_count: int = 0
    done_count: int = 0
    expire_time: datetime | None = None
    failure: str = ""
    reason: str = ""

    @property
    def url(self) -> str:
        return f"/api/v1/exports/{self.id}/file"


class SettingsExportPage(Page, frozen=True, kw_only=True):
    """Posts subject ("person" or a community's id); administrators may give person and reason."""

    template: ClassVar[str] = "pages/settings_export.html"
    nav_key: ClassVar[str] = "settings"
    part: ClassVar[str] = "export"
    exports: list[ExportRow] = []
    communities: list[Option] = []
    can_take_others: bool = False
    form: Form = Form()
