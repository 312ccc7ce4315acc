"""What the pages of announcements show."""
# ruff: noqa: RUF012 - msgspec copies the empty lists and dicts that are defaults here.
from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from .views import AudienceView, CommunityRef, Form, Option, Page, PersonRef, View


class AnnouncementView(View, frozen=True, kw_only=True):
    """An announcement, as one reader may see and use it."""

    id: str
    title: str
    author: PersonRef
    audience: AudienceView
    publish_time: datetime | None
    body_html: str = ""
    excerpt: str = ""
    language: str = ""
    version: int = 1
    change_time: datetime | None = None
    must_confirm: bool = False
    deadline: datetime | None = None
    # Of the last correction; empty without one.
    what_was_wrong: str = ""
    is_corrected: bool = False
    is_confirmed: bool = False
    # Waits for the reader: to be confirmed, or to be looked at.
    is_pending: bool = False
    # The reader saw a wrong version and has not opened the right one yet.
    is_misinformed: bool = False
    is_withdrawn: bool = False
    # The audience is still being frozen.
    is_preparing: bool = False
    is_erased: bool = False
    is_own: bool = False
    can_edit: bool = False
    can_see_reach: bool = False
    can_see_reports: bool = False
    audience_count: int = 0

    @property
    def url(self) -> str:
        return f"/announcements/{self.id}"


class VersionView(View, frozen=True, kw_only=True):
    """An earlier or the present version."""

    number: int
    time: datetime
    editor: PersonRef
    is_correction: bool = False
    what_was_wrong: str = ""
    title: str = ""
    body_html: str = ""


class ReachBar(View, frozen=True, kw_only=True):
    """One fact of the three."""

    key: Literal["shown", "opened", "confirmed"]
    count: int
    # About whatever version, wrong ones too.
    ever_count: int = 0


class ReachView(View, frozen=True, kw_only=True):
    """How far it reached."""

    audience_count: int
    bars: list[ReachBar]
    has_versions: bool = False
    wrong_count: int = 0
    misinformed_count: int = 0
    reminder_count: int = 0
    reminders_left: int = 0
    remindable_count: int = 0
    remind_times: list[datetime] = []


class AnnouncementsPage(Page, frozen=True, kw_only=True):
    """The list."""

    template: ClassVar[str] = "pages/announcements.html"
    nav_key: ClassVar[str] = "announcements"
    tab: Literal["all", "pending", "mine"] = "all"
    announcements: list[AnnouncementView] = []
    next_url: str = ""
    can_announce: bool = False


class AnnouncementPage(Page, frozen=True, kw_only=True):
    """One announcement; with its reach for those entitled."""

    template: ClassVar[str] = "pages/announcement.html"
    nav_key: ClassVar[str] = "announcements"
    announcement: AnnouncementView
    versions: list[VersionView] = []
    reach: ReachView | None = None


class AnnouncementNewPage(Page, frozen=True, kw_only=True):
    """Fields: title, body, language, audience (everyone, community, group, chart), community, group, head, must_confirm, deadline,
    remind_3d, remind_1d, remind_2h.
    """

    template: ClassVar[str] = "pages/announcement_new.html"
    nav_key: ClassVar[str] = "announcements"
    form: Form = Form()
    # May announce to everyone, groups and parts of the chart.
    is_company_wide: bool = False
    communities: list[CommunityRef] = []
    groups: list[Option] = []
    languages: list[Option] = []
    request_id: str = ""
    # The preview: how many people it reaches; -1 before there is one.
    preview_count: int = -1
    preview_name: str = ""
    preview_html: str = ""


class AnnouncementEditPage(Page, frozen=True, kw_only=True):
    """Fields: title, body, language, kind (edit or correction), what_was_wrong, version."""

    template: ClassVar[str] = "pages/announcement_edit.html"
    nav_key: ClassVar[str] = "announcements"
    announcement: AnnouncementView
    form: Form = Form()
    seen_count: int = 0


class ReachRow(View, frozen=True, kw_only=True):
    """What one person did; None for what they did not."""

    person: PersonRef
    show_time: datetime | None = None
    open_time: datetime | None = None
    confirm_time: datetime | None = None


class AnnouncementPeoplePage(Page, frozen=True, kw_only=True):
    """Who has and who has not."""

    template: ClassVar[str] = "pages/announcement_people.html"
    nav_key: ClassVar[str] = "announcements"
    announcement: AnnouncementView
    fact: Literal["any", "shown", "opened", "confirmed"] = "any"
    is_missing: bool = False
    people: list[ReachRow] = []
    next_url: str = ""
    csv_url: str = ""
