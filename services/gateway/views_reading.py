"""What the pages show by which people shape what they read, and of drafts and custom emoji."""
# ruff: noqa: RUF012 - msgspec copies the empty lists and dicts that are defaults here.
from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from .views import AudienceView, ComposeView, Form, Option, Page, PersonRef, PostPage, View


class BondView(View, frozen=True, kw_only=True):
    """What one keeps from a person."""

    person: PersonRef
    is_muted: bool = False
    is_silenced: bool = False
    mute_end: datetime | None = None
    is_blocked: bool = False
    note: str = ""

    @property
    def url(self) -> str:
        return f"/people/{self.person.id}/reading"


class BondPage(Page, frozen=True, kw_only=True):
    """Posts mute (days), unmute, block, unblock, note or lists (several) as `action` to its own address."""

    template: ClassVar[str] = "pages/person_reading.html"
    nav_key: ClassVar[str] = "people"
    bond: BondView
    lists: list[Option] = []
    may_block: bool = True
    form: Form = Form()


class SettingsReadingPage(Page, frozen=True, kw_only=True):
    """Posts person_id with action "unmute" or "unblock" to /settings/reading."""

    template: ClassVar[str] = "pages/settings_reading.html"
    nav_key: ClassVar[str] = "settings"
    part: ClassVar[str] = "reading"
    muted: list[BondView] = []
    blocked: list[BondView] = []
    may_block: bool = True
    is_cut: bool = False


class FilterView(View, frozen=True, kw_only=True):
    """A filter; its keywords as they are typed, one a line, whole words or not."""

    id: str
    title: str
    keywords: list[str] = []
    contexts: list[str] = []
    hides: bool = False
    end: datetime | None = None
    has_ended: bool = False

    @property
    def url(self) -> str:
        return f"/settings/filters/{self.id}"


class SettingsFiltersPage(Page, frozen=True, kw_only=True):
    """Posts title, keywords, whole, contexts (several), action, days to /settings/filters or a filter's own address; delete=1 there."""

    template: ClassVar[str] = "pages/settings_filters.html"
    nav_key: ClassVar[str] = "settings"
    part: ClassVar[str] = "filters"
    filters: list[FilterView] = []
    # The filter that is edited; without one a new one is.
    edited: FilterView | None = None
    contexts: list[Option] = []
    form: Form = Form()


class ListView(View, frozen=True, kw_only=True):
    """A list of people."""

    id: str
    title: str
    is_exclusive: bool = False
    person_count: int = 0

    @property
    def url(self) -> str:
        return f"/lists/{self.id}"


class ListsPage(Page, frozen=True, kw_only=True):
    """Posts title and exclusive to /lists."""

    template: ClassVar[str] = "pages/lists.html"
    nav_key: ClassVar[str] = "lists"
    lists: list[ListView] = []
    form: Form = Form()


class ListPage(Page, frozen=True, kw_only=True):
    """Posts title and exclusive, add (handles), remove (an id) or delete to its own address, by `action`."""

    template: ClassVar[str] = "pages/list.html"
    nav_key: ClassVar[str] = "lists"
    shown: ListView
    page: PostPage
    people: list[PersonRef] = []
    form: Form = Form()


class GroupPage(Page, frozen=True, kw_only=True):
    """A group of the directory and who is in it."""

    template: ClassVar[str] = "pages/group.html"
    nav_key: ClassVar[str] = "people"
    name: str
    description: str = ""
    people: list[PersonRef] = []
    next_url: str = ""


class EmojiView(View, frozen=True, kw_only=True):
    """A custom emoji."""

    shortcode: str
    image_url: str
    category: str = ""


class AdminEmojiPage(Page, frozen=True, kw_only=True):
    """Posts shortcode, category and image to /admin/emoji; remove (a shortcode) there."""

    template: ClassVar[str] = "pages/admin_emoji.html"
    nav_key: ClassVar[str] = "admin"
    part: ClassVar[str] = "emoji"
    emoji: list[EmojiView] = []
    form: Form = Form()


class DraftView(View, frozen=True, kw_only=True):
    """A draft in a list."""

    id: str
    text: str
    save_time: datetime
    publish_time: datetime | None = None
    failure: str = ""
    audience: AudienceView = AudienceView(kind="everyone")
    is_reply: bool = False
    has_picture: bool = False
    has_poll: bool = False

    @property
    def url(self) -> str:
        return f"/drafts/{self.id}"


class DraftsPage(Page, frozen=True, kw_only=True):
    """Posts to a draft's own address with `do` as publish, unschedule or discard."""

    template: ClassVar[str] = "pages/drafts.html"
    nav_key: ClassVar[str] = "drafts"
    tab: Literal["drafts", "scheduled"] = "drafts"
    drafts: list[DraftView] = []
    next_url: str = ""


class DraftPage(Page, frozen=True, kw_only=True):
    """A draft to go on with. Posts the composer's fields to its own address with `do` as save, schedule (time) or publish."""

    template: ClassVar[str] = "pages/draft.html"
    nav_key: ClassVar[str] = "drafts"
    draft: DraftView
    compose: ComposeView
    form: Form = Form()
    zone: str = "UTC"
    earliest: str = ""
    latest: str = ""
