"""What the pages show: one frozen struct a page, filled by the page handlers and rendered by its template.

A page carries a `Shell` (who reads, in which language, what the rail shows) and its own matter. `Renderer.render(page)` picks
the template named by the struct. Structs under "Fragments" answer requests that carry the header `HX-Request`; every other
request gets the whole page or, after a form, a redirect (303) to the form's `return_to`.

Conventions: times are aware datetimes; `*_html` is HTML that has already been through the sanitiser; text fields are plain and
escaped by the template; errors are sentences in the reader's language (`translations` of rendering.py); an empty `next_url`
means the list is at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, ClassVar, Literal

import msgspec

AudienceKind = Literal["everyone", "followers", "group", "community", "people", "chart"]
CommunityKind = Literal["open", "closed", "secret"]
Membership = Literal["none", "requested", "member", "moderator", "owner"]
Role = Literal["employee", "guest", "communications", "leader", "administrator", "bot"]
Theme = Literal["system", "light", "dark"]
Contrast = Literal["system", "more"]
ResultKind = Literal["person", "post", "community"]
NoticeKind = Literal["good", "bad", "note"]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Something a template reads."""


# --- the small parts ------------------------------------------------------------------------------------------------


class PersonRef(View, frozen=True, kw_only=True):
    """A person as named beside their work; one who left or was erased stays named as such."""

    id: str
    name: str
    handle: str = ""
    # Job title and place in one line, such as "Process engineer, Lyon".
    title: str = ""
    pronouns: str = ""
    photo_url: str = ""
    has_left: bool = False
    is_erased: bool = False
    # A program with an account.
    is_bot: bool = False

    @property
    def url(self) -> str:
        return f"/people/{self.id}"


class CommunityRef(View, frozen=True, kw_only=True):
    """A community as named beside its posts and in the rail."""

    id: str
    name: str
    kind: CommunityKind = "open"
    unread_count: int = 0

    @property
    def url(self) -> str:
        return f"/communities/{self.id}"


class AudienceView(View, frozen=True, kw_only=True):
    """Who may see a post."""

    kind: AudienceKind
    # The community or group where the kind is one.
    name: str = ""
    url: str = ""
    # The named people where the kind is "people", at most the first five.
    people: list[PersonRef] = []
    # How many people it reaches; 0: not known.
    size: int = 0


class ImageView(View, frozen=True, kw_only=True):
    """An image of a post with the words for those who do not see it."""

    url: str
    description: str
    width: int = 0
    height: int = 0


class ReactionView(View, frozen=True, kw_only=True):
    """One emoji under a post."""

    emoji: str
    count: int
    is_mine: bool = False


class ReadConfirmation(View, frozen=True, kw_only=True):
    """Whether readers are asked to say that they have read the post."""

    count: int
    total: int
    is_mine: bool = False


class PollOption(View, frozen=True, kw_only=True):
    """One choice of a poll; `share` is of those who voted, 0 to 1."""

    label: str
    count: int
    share: float
    is_mine: bool = False


class PollView(View, frozen=True, kw_only=True):
    """A poll in a post."""

    options: list[PollOption]
    voter_count: int
    close_time: datetime
    is_closed: bool = False
    is_multiple: bool = False
    is_anonymous: bool = False
    has_voted: bool = False


class PreviewView(View, frozen=True, kw_only=True):
    """What a link leads to."""

    url: str
    title: str
    site: str
    description: str = ""
    author: str = ""
    image_url: str = ""
    image_width: int = 0
    image_height: int = 0


class AnnouncementStrip(View, frozen=True, kw_only=True):
    """What stands above the text of a post that is an announcement."""

    id: str
    version: int
    must_confirm: bool = False
    deadline: datetime | None = None
    is_corrected: bool = False
    is_confirmed: bool = False
    # In the audience, and still to confirm.
    is_asked: bool = False
    # The reader's client tells when it was in view: not of what is one's own, or was shown before.
    is_counted: bool = True
    is_own: bool = False

    @property
    def url(self) -> str:
        return f"/announcements/{self.id}"


class PostView(View, frozen=True, kw_only=True):
    """A post or a reply, as one reader may see and use it."""

    id: str
    author: PersonRef
    audience: AudienceView
    body_html: str
    publish_time: datetime
    language: str = ""
    edit_time: datetime | None = None
    images: list[ImageView] = []
    reactions: list[ReactionView] = []
    # Why it stands where it stands, in the ranked timeline.
    reasons: list[str] = []
    reply_count: int = 0
    is_saved: bool = False
    is_following_thread: bool = False
    # A tombstone: the text is gone, the replies stay.
    is_deleted: bool = False
    can_reply: bool = True
    can_follow_thread: bool = False
    can_edit: bool = False
    can_delete: bool = False
    # The first post of the thread and the author answered; both empty for a thread's first post.
    root_id: str = ""
    in_reply_to: PersonRef | None = None
    replies: list[PostView] = []
    confirmation: ReadConfirmation | None = None
    announcement: AnnouncementStrip | None = None
    # Entity tag of the version shown, sent back by the edit form.
    version: str = ""
    # Filters of the reader that match, by their titles: the post is folded under them.
    filtered: list[str] = []
    # What the text is folded under.
    warning: str = ""
    # Pictures are covered until asked for.
    is_sensitive: bool = False
    poll: PollView | None = None
    preview: PreviewView | None = None
    # The post that this one quotes; without `quoted` it is not for this reader to see, or gone.
    is_quote: bool = False
    quoted: PostView | None = None
    # Who passed it on, where it stands here for that; the repost's own id and time.
    reposted_by: PersonRef | None = None
    repost_id: str = ""
    repost_time: datetime | None = None
    repost_count: int = 0
    quote_count: int = 0
    is_reposted: bool = False
    can_repost: bool = False
    can_pin: bool = False
    can_pin_in_community: bool = False
    is_pinned: bool = False
    is_pinned_in_community: bool = False
    # It stands here for being pinned.
    at_head: bool = False
    is_thread_muted: bool = False
    kind: Literal["plain", "question", "praise", "announcement"] = "plain"
    # Of a question: an answer is marked best. Of an answer: it is the one, and the reader may mark it.
    is_solved: bool = False
    is_best_answer: bool = False
    can_mark_best: bool = False
    praised: list[PersonRef] = []
    praise_value: str = ""
    # Where the idea stands that was made of it; empty where it is none.
    idea_state: str = ""

    @property
    def url(self) -> str:
        return f"/posts/{self.root_id}#post-{self.id}" if self.root_id else f"/posts/{self.id}"

    @property
    def key(self) -> str:
        """What names this place of the post on a page; a post may stand there as itself, pinned and passed on."""
        return self.repost_id or (f"pin-{self.id}" if self.at_head else self.id)


class PostPage(View, frozen=True, kw_only=True):
    """A run of posts, newest first, with the address of the next run."""

    posts: list[PostView] = []
    # What stands at the head of the page.
    pinned: list[PostView] = []
    next_url: str = ""
    # Which live events belong here: "following", "company", "community:ID", "person:ID", "tag:TAG", "thread:ID"; empty: none.
    live_scope: str = ""


class Option(View, frozen=True, kw_only=True):
    """An entry of a chooser."""

    value: str
    label: str
    hint: str = ""
    count: int = -1
    is_chosen: bool = False
    url: str = ""


class Form(View, frozen=True, kw_only=True):
    """What was typed into a form and what is wrong with it; the typed text is always kept."""

    values: dict[str, str] = {}
    # Field name to one sentence.
    errors: dict[str, str] = {}
    # A sentence about the form as a whole.
    message: str = ""

    def value(self, name: str, default: str = "") -> str:
        return self.values.get(name, default)

    def error(self, name: str) -> str:
        return self.errors.get(name, "")


class ComposeView(View, frozen=True, kw_only=True):
    """The box in which a post or a reply is written.

    Posts fields: body, audience ("everyone", "followers", "community:ID", "people"), people (handles or names, comma separated), language,
    image (file), image_description, request_id, csrf_token, return_to. Replies post the same without audience and people.
    """

    action: str = "/posts"
    form: Form = Form()
    # Communities the writer may post to.
    communities: list[CommunityRef] = []
    languages: list[Option] = []
    # Makes the same form sent twice one post.
    request_id: str = ""
    # Chosen at first, in the form's spelling.
    audience: str = "everyone"
    # How many people each audience reaches, by the form's spelling; what is absent is not shown.
    reach: dict[str, int] = {}
    body_max: int = 10_000
    # Longest accepted image in bytes.
    image_max: int = 10_000_000
    # The post answered; None for a new thread.
    reply_to: PostView | None = None
    # The post quoted.
    quoted: PostView | None = None
    # The draft that it is kept as, its version and the pictures it has; empty while it is kept as none.
    draft_id: str = ""
    draft_etag: str = ""
    draft_images: list[str] = []


class Notice(View, frozen=True, kw_only=True):
    """A sentence at the top of the page about what has just happened, said once."""

    text: str
    kind: NoticeKind = "good"
    # Where a POST takes it back, and until when; empty: it cannot be taken back.
    undo_url: str = ""


class NavEntry(View, frozen=True, kw_only=True):
    """One line of the rail."""

    key: str
    # Source text of the catalogue.
    label: str
    url: str
    icon: str
    count: int = 0


class Viewer(View, frozen=True, kw_only=True):
    """The person signed in."""

    person: PersonRef
    is_administrator: bool = False
    is_guest: bool = False
    locale: str = "en"
    time_zone: str = "UTC"
    theme: Theme = "system"
    contrast: Contrast = "system"


class Shell(View, frozen=True, kw_only=True):
    """What surrounds every page. `viewer` is None on pages outside the sign-in."""

    organization_name: str = ""
    viewer: Viewer | None = None
    csrf_token: str = ""
    # Path and query of this request: where forms come back to.
    path: str = "/"
    # Negotiated from Accept-Language where nobody is signed in.
    locale: str = "en"
    nav: list[NavEntry] = []
    communities: list[CommunityRef] = []
    unread_count: int = 0
    notices: list[Notice] = []
    # The log position that this page shows; live events after it are applied. -1: no live updates.
    live_position: int = -1
    # The time of the request; relative times are counted from here.
    now: datetime | None = None


class Page(View, frozen=True, kw_only=True):
    """A whole page; `template` is its file under templates/, `nav_key` the rail entry it belongs to."""

    template: ClassVar[str]
    nav_key: ClassVar[str] = ""
    shell: Shell


# --- before the sign-in ---------------------------------------------------------------------------------------------


class SetupPage(Page, frozen=True, kw_only=True):
    """Fields: organization_name, name, email, password."""

    template: ClassVar[str] = "pages/setup.html"
    form: Form = Form()


class SignInPage(Page, frozen=True, kw_only=True):
    """Fields: email, password, next."""

    template: ClassVar[str] = "pages/sign_in.html"
    form: Form = Form()
    # Seconds until another try is accepted; 0: at once.
    retry_after_seconds: int = 0


class PasswordForgottenPage(Page, frozen=True, kw_only=True):
    """Field: email. `is_sent` is true whether or not the address is known."""

    template: ClassVar[str] = "pages/password_forgotten.html"
    form: Form = Form()
    is_sent: bool = False


class PasswordResetPage(Page, frozen=True, kw_only=True):
    """Fields: password, password_again."""

    template: ClassVar[str] = "pages/password_reset.html"
    form: Form = Form()
    is_expired: bool = False


class InvitationPage(Page, frozen=True, kw_only=True):
    """Fields: password, password_again."""

    template: ClassVar[str] = "pages/invitation.html"
    form: Form = Form()
    name: str = ""
    email: str = ""
    inviter: PersonRef | None = None
    is_expired: bool = False


# --- posts ----------------------------------------------------------------------------------------------------------


class HomePage(Page, frozen=True, kw_only=True):
    """The timelines of one's own, at / (following) and /company."""

    template: ClassVar[str] = "pages/home.html"
    nav_key: ClassVar[str] = "home"
    tab: Literal["following", "company"] = "following"
    # The order of /: by what is likely to matter, or newest first. The form posts `order` (newest or ranked) to /home/order.
    is_ranked: bool = False
    page: PostPage
    compose: ComposeView
    suggested_communities: list[CommunityRow] = []
    suggested_people: list[PersonRow] = []
    tags: list[Option] = []
    # What waits for the reader (views_announcements.AnnouncementView), at the head of the page.
    announcements: list[Any] = []


class ComposePage(Page, frozen=True, kw_only=True):
    """The compose box on a page of its own: at /compose, and where a sent post was not accepted."""

    template: ClassVar[str] = "pages/compose.html"
    nav_key: ClassVar[str] = "home"
    compose: ComposeView


class ThreadPage(Page, frozen=True, kw_only=True):
    """A post with its replies as a tree (`root.replies`); a focused reply is named by the address's fragment."""

    template: ClassVar[str] = "pages/thread.html"
    nav_key: ClassVar[str] = "home"
    root: PostView
    compose: ComposeView
    next_url: str = ""
    participants: list[PersonRef] = []
    # What is known of the answers, where the first post asks: a views_asking.QuestionView.
    question: View | None = None


class Conflict(View, frozen=True, kw_only=True):
    """Somebody else changed the same thing meanwhile: their text, and the version on which a second save is based."""

    body: str
    editor: PersonRef
    edit_time: datetime
    version: str


class PostEditPage(Page, frozen=True, kw_only=True):
    """Fields: body, language, version. With a conflict the two texts stand side by side and nothing is lost."""

    template: ClassVar[str] = "pages/post_edit.html"
    nav_key: ClassVar[str] = "home"
    post: PostView
    form: Form
    languages: list[Option] = []
    body_max: int = 10_000
    conflict: Conflict | None = None


class PostVersion(View, frozen=True, kw_only=True):
    """One state of a post. `body_diff_html` marks what changed with <ins> and <del>; empty for the first."""

    number: int
    time: datetime
    body_html: str
    body_diff_html: str = ""


class PostHistoryPage(Page, frozen=True, kw_only=True):
    """Every version of a post, newest first."""

    template: ClassVar[str] = "pages/post_history.html"
    nav_key: ClassVar[str] = "home"
    post: PostView
    versions: list[PostVersion]


class ReactionRow(View, frozen=True, kw_only=True):
    """One emoji of one person."""

    person: PersonRef
    emoji: str
    time: datetime


class ReactionsPage(Page, frozen=True, kw_only=True):
    """Who reacted to a post, the newest first; `emoji` is the one chosen, empty for all."""

    template: ClassVar[str] = "pages/reactions.html"
    nav_key: ClassVar[str] = "home"
    post: PostView
    emoji: str = ""
    reactions: list[ReactionRow] = []
    next_url: str = ""


class PostDeletePage(Page, frozen=True, kw_only=True):
    """Asks whether to delete; without JavaScript the menu leads here."""

    template: ClassVar[str] = "pages/post_delete.html"
    nav_key: ClassVar[str] = "home"
    post: PostView


class TagPage(Page, frozen=True, kw_only=True):
    """The posts with a tag; following it brings them into one's own timeline."""

    template: ClassVar[str] = "pages/tag.html"
    nav_key: ClassVar[str] = "home"
    tag: str
    is_following: bool
    post_count: int
    follower_count: int
    page: PostPage
    related: list[Option] = []


class SavedPage(Page, frozen=True, kw_only=True):
    """One's own saved posts, seen by nobody else."""

    template: ClassVar[str] = "pages/saved.html"
    nav_key: ClassVar[str] = "saved"
    page: PostPage


# --- communities ----------------------------------------------------------------------------------------------------


class CommunityRow(View, frozen=True, kw_only=True):
    """A community in a list."""

    id: str
    name: str
    kind: CommunityKind
    description: str = ""
    member_count: int = 0
    membership: Membership = "none"
    last_post_time: datetime | None = None
    faces: list[PersonRef] = []

    @property
    def url(self) -> str:
        return f"/communities/{self.id}"


class CommunitiesPage(Page, frozen=True, kw_only=True):
    """The communities one may know of; field q filters by name and description."""

    template: ClassVar[str] = "pages/communities.html"
    nav_key: ClassVar[str] = "communities"
    tab: Literal["mine", "all"] = "all"
    query: str = ""
    communities: list[CommunityRow] = []
    next_url: str = ""
    can_create: bool = True


class CommunityView(View, frozen=True, kw_only=True):
    """A community, whole, as one reader may see and use it."""

    id: str
    name: str
    handle: str
    kind: CommunityKind
    description: str = ""
    rules_html: str = ""
    tags: list[str] = []
    member_count: int = 0
    membership: Membership = "none"
    owners: list[PersonRef] = []
    moderators: list[PersonRef] = []
    members: list[PersonRef] = []
    create_time: datetime | None = None
    is_archived: bool = False
    # False: a closed community of which one is no member; only the description shows.
    can_read: bool = True
    can_moderate: bool = False
    can_edit: bool = False
    request_count: int = 0

    @property
    def url(self) -> str:
        return f"/communities/{self.id}"


class CommunityPage(Page, frozen=True, kw_only=True):
    """A community's posts, with about, rules and members beside."""

    template: ClassVar[str] = "pages/community.html"
    nav_key: ClassVar[str] = "communities"
    community: CommunityView
    page: PostPage
    # None where the reader may not post.
    compose: ComposeView | None = None
    experts: list[PersonRef] = []


class MemberRow(View, frozen=True, kw_only=True):
    """A member in a community's list."""

    person: PersonRef
    role: Literal["member", "moderator", "owner"] = "member"
    join_time: datetime | None = None
    # Which changes the reader may make here.
    can_change: bool = False


class MembersPage(Page, frozen=True, kw_only=True):
    """Members by name.

    A moderator posts to /communities/ID/members: person_id and action ("member", "moderator", "owner", "remove"), or person (a
    handle) with action "add".
    """

    template: ClassVar[str] = "pages/community_members.html"
    nav_key: ClassVar[str] = "communities"
    community: CommunityView
    members: list[MemberRow] = []
    query: str = ""
    next_url: str = ""
    form: Form = Form()


class JoinRequest(View, frozen=True, kw_only=True):
    """Somebody who asks to be let in."""

    person: PersonRef
    request_time: datetime


class RequestsPage(Page, frozen=True, kw_only=True):
    """Join requests for moderators. Posts person_id and action ("admit", "decline") to /communities/ID/requests."""

    template: ClassVar[str] = "pages/community_requests.html"
    nav_key: ClassVar[str] = "communities"
    community: CommunityView
    requests: list[JoinRequest] = []


class CommunityEditPage(Page, frozen=True, kw_only=True):
    """Fields: name, description, rules, kind, tags (comma separated), version; or action ("archive", "unarchive").

    `community` is None for a new one. Posts to /communities/new or /communities/ID/edit.
    """

    template: ClassVar[str] = "pages/community_edit.html"
    nav_key: ClassVar[str] = "communities"
    community: CommunityView | None = None
    form: Form = Form()


# --- people ---------------------------------------------------------------------------------------------------------


class PersonRow(View, frozen=True, kw_only=True):
    """A person in a list."""

    person: PersonRef
    department: str = ""
    location: str = ""
    is_following: bool = False
    # False: oneself, or someone who left.
    can_follow: bool = True


class Fact(View, frozen=True, kw_only=True):
    """One line of a person's facts."""

    label: str
    value: str
    # mailto:, tel: or https:; empty: plain text.
    url: str = ""
    # Marks what is said in another way than as text: "email", "phone", "location", "zone", "calendar", "languages", "department".
    kind: str = ""


class PersonView(View, frozen=True, kw_only=True):
    """A person, whole."""

    person: PersonRef
    department: str = ""
    location: str = ""
    time_zone: str = ""
    start_date: date | None = None
    about_html: str = ""
    facts: list[Fact] = []
    languages: list[str] = []
    manager: PersonRef | None = None
    reports: list[PersonRef] = []
    communities: list[CommunityRef] = []
    follower_count: int = 0
    following_count: int = 0
    post_count: int = 0
    is_following: bool = False
    is_self: bool = False
    leave_time: datetime | None = None
    roles: list[Role] = []


class PersonPage(Page, frozen=True, kw_only=True):
    """A person's page: facts, about, place in the organisation, posts."""

    template: ClassVar[str] = "pages/person.html"
    nav_key: ClassVar[str] = "people"
    person: PersonView
    page: PostPage
    # What they were thanked for: views_asking.ValueCount.
    praise: Sequence[View] = ()
    # What the reader keeps from them: views_reading.BondView.
    bond: View | None = None


class FollowsPage(Page, frozen=True, kw_only=True):
    """Who follows a person ("followers") or whom they follow ("following"), the newest first."""

    template: ClassVar[str] = "pages/follows.html"
    nav_key: ClassVar[str] = "people"
    person: PersonRef
    part: Literal["followers", "following"] = "followers"
    follower_count: int = 0
    following_count: int = 0
    people: list[PersonRow] = []
    next_url: str = ""


class PeoplePage(Page, frozen=True, kw_only=True):
    """The people finder. Fields: q, department, location. The list follows the typing."""

    template: ClassVar[str] = "pages/people.html"
    nav_key: ClassVar[str] = "people"
    query: str = ""
    people: list[PersonRow] = []
    total: int = 0
    departments: list[Option] = []
    locations: list[Option] = []
    next_url: str = ""


class ChartNode(View, frozen=True, kw_only=True):
    """A person in the organisation chart with those who report to them; `report_count` counts also what is not drawn."""

    person: PersonRef
    reports: list[ChartNode] = []
    report_count: int = 0
    is_centre: bool = False


class OrganizationPage(Page, frozen=True, kw_only=True):
    """The organisation chart around one person: `managers` from the top down, the person, peers beside and reports below."""

    template: ClassVar[str] = "pages/organization.html"
    nav_key: ClassVar[str] = "organization"
    centre: ChartNode | None = None
    managers: list[PersonRef] = []
    peers: list[PersonRef] = []
    # People without manager: where to start.
    tops: list[ChartNode] = []


# --- search ---------------------------------------------------------------------------------------------------------


class SearchResult(View, frozen=True, kw_only=True):
    """A result; `snippet_html` marks the words found with <mark>."""

    kind: ResultKind
    url: str
    title_html: str
    snippet_html: str = ""
    person: PersonRef | None = None
    community: CommunityRef | None = None
    time: datetime | None = None
    language: str = ""


class SearchPage(Page, frozen=True, kw_only=True):
    """Fields: q, kind, author, community, after, before (ISO dates), tag. `kinds` carry counts and addresses."""

    template: ClassVar[str] = "pages/search.html"
    form: Form = Form()
    query: str = ""
    kinds: list[Option] = []
    communities: list[CommunityRef] = []
    results: list[SearchResult] = []
    total: int = 0
    next_url: str = ""
    # A better spelling, where one was found.
    suggestion: str = ""


# --- notifications --------------------------------------------------------------------------------------------------


class NotificationView(View, frozen=True, kw_only=True):
    """One or several happenings of one kind about one thing, newest first in `people`."""

    kind: Literal[
        "reply", "mention", "reaction", "follow", "join_request", "admitted", "declined", "post", "repost", "quote", "poll", "praise",
        "best_answer", "question", "announcement", "reminder", "correction", "decision", "moderation", "edit", "draft", "webhook",
    ]
    url: str
    time: datetime
    people: list[PersonRef]
    # Also those beyond `people`.
    count: int = 1
    excerpt: str = ""
    community: CommunityRef | None = None
    emojis: list[str] = []
    is_unread: bool = False


class NotificationsPage(Page, frozen=True, kw_only=True):
    """Newest first; posting `position` to /notifications/read marks everything up to it as read on every device."""

    template: ClassVar[str] = "pages/notifications.html"
    nav_key: ClassVar[str] = "notifications"
    notifications: list[NotificationView] = []
    position: int = 0
    next_url: str = ""


# --- settings -------------------------------------------------------------------------------------------------------


class SessionView(View, frozen=True, kw_only=True):
    """A signed-in device."""

    id: str
    device: str
    address: str
    create_time: datetime
    last_seen_time: datetime
    is_current: bool = False
    person: PersonRef | None = None


class TokenView(View, frozen=True, kw_only=True):
    """A personal access token; the secret itself is shown once."""

    id: str
    name: str
    scopes: list[str]
    issue_time: datetime
    last_used_time: datetime | None = None
    expire_time: datetime | None = None


class SettingsProfilePage(Page, frozen=True, kw_only=True):
    """Fields: preferred_name, pronouns, title, department, location, about, phone, languages, photo (file), remove_photo.

    `locked` names the fields that the directory fills.
    """

    template: ClassVar[str] = "pages/settings_profile.html"
    nav_key: ClassVar[str] = "settings"
    part: ClassVar[str] = "profile"
    form: Form = Form()
    locked: list[str] = []


class SettingsSecurityPage(Page, frozen=True, kw_only=True):
    """Fields: current_password, password, password_again."""

    template: ClassVar[str] = "pages/settings_security.html"
    nav_key: ClassVar[str] = "settings"
    part: ClassVar[str] = "security"
    form: Form = Form()


class SettingsSessionsPage(Page, frozen=True, kw_only=True):
    """Posts session_id to /settings/sessions, or "others" to end all but this one."""

    template: ClassVar[str] = "pages/settings_sessions.html"
    nav_key: ClassVar[str] = "settings"
    part: ClassVar[str] = "sessions"
    sessions: list[SessionView] = []


class SettingsTokensPage(Page, frozen=True, kw_only=True):
    """Posts name, scopes (several), expire_days to /settings/tokens; token_id with action "revoke" ends one."""

    template: ClassVar[str] = "pages/settings_tokens.html"
    nav_key: ClassVar[str] = "settings"
    part: ClassVar[str] = "tokens"
    tokens: list[TokenView] = []
    scopes: list[Option] = []
    form: Form = Form()
    # The secret of the token just made; empty otherwise.
    new_token: str = ""


class SettingsAppearancePage(Page, frozen=True, kw_only=True):
    """Fields: locale, time_zone, theme, contrast."""

    template: ClassVar[str] = "pages/settings_appearance.html"
    nav_key: ClassVar[str] = "settings"
    part: ClassVar[str] = "appearance"
    form: Form = Form()
    locales: list[Option] = []
    time_zones: list[Option] = []


# --- administration -------------------------------------------------------------------------------------------------


class AdminPersonRow(View, frozen=True, kw_only=True):
    """A person in the administrators' table."""

    person: PersonRef
    email: str
    department: str = ""
    roles: list[Role] = []
    state: Literal["active", "invited", "left", "erased"] = "active"
    last_seen_time: datetime | None = None
    # The link to hand over while an invitation is open; empty otherwise.
    invitation_url: str = ""


class AdminPeoplePage(Page, frozen=True, kw_only=True):
    """Filters: q, state, role. Posts person_id and action ("leave", "rejoin", "reset", "grant", "revoke" with role) to /admin/people."""

    template: ClassVar[str] = "pages/admin_people.html"
    nav_key: ClassVar[str] = "admin"
    part: ClassVar[str] = "people"
    query: str = ""
    state: str = ""
    role: str = ""
    people: list[AdminPersonRow] = []
    total: int = 0
    next_url: str = ""


class AdminPersonPage(Page, frozen=True, kw_only=True):
    """What the directory keeps of a person. Fields: those of a profile, manager (handle), version; posts to /admin/people/ID."""

    template: ClassVar[str] = "pages/admin_person.html"
    nav_key: ClassVar[str] = "admin"
    part: ClassVar[str] = "people"
    person: PersonRef
    form: Form


class AdminInvitePage(Page, frozen=True, kw_only=True):
    """Fields: email, name, title, department, manager (handle), role. `link` is the invitation just made, which may go by mail too."""

    template: ClassVar[str] = "pages/admin_invite.html"
    nav_key: ClassVar[str] = "admin"
    part: ClassVar[str] = "invite"
    form: Form = Form()
    link: str = ""
    invited: PersonRef | None = None
    # The link is for a new password rather than the first one.
    is_reset: bool = False
    # The address that the invitation was sent to; empty where no mail is sent.
    mailed_to: str = ""


class ImportChange(View, frozen=True, kw_only=True):
    """What an import would do with one record; `changes` are (field, before, after)."""

    line: int
    action: Literal["add", "change", "keep", "reject"]
    name: str
    email: str = ""
    changes: list[tuple[str, str, str]] = []
    # Why it is rejected, with the field's name.
    reason: str = ""


class ImportProgress(View, frozen=True, kw_only=True):
    """A running or finished import."""

    state: Literal["running", "done", "failed"]
    done_count: int
    total_count: int
    rejected_count: int = 0
    message: str = ""


class AdminImportPage(Page, frozen=True, kw_only=True):
    """Step 1 posts file, kind and mapping for a dry run; step 2 posts import_id to carry it out; then the page shows the progress."""

    template: ClassVar[str] = "pages/admin_import.html"
    nav_key: ClassVar[str] = "admin"
    part: ClassVar[str] = "import"
    form: Form = Form()
    kinds: list[Option] = []
    mappings: list[Option] = []
    import_id: str = ""
    file_name: str = ""
    # Action to number of records; of `changes` at most the first 200 are shown.
    counts: dict[str, int] = {}
    changes: list[ImportChange] = []
    progress: ImportProgress | None = None


class AdminSessionsPage(Page, frozen=True, kw_only=True):
    """All sessions; posts session_id, or person_id for all of one person, to /admin/sessions."""

    template: ClassVar[str] = "pages/admin_sessions.html"
    nav_key: ClassVar[str] = "admin"
    part: ClassVar[str] = "sessions"
    query: str = ""
    sessions: list[SessionView] = []
    next_url: str = ""


class AdminErasurePage(Page, frozen=True, kw_only=True):
    """Finds a person (q), shows what would be erased, and posts person_id and confirm_name, which must equal the name."""

    template: ClassVar[str] = "pages/admin_erasure.html"
    nav_key: ClassVar[str] = "admin"
    part: ClassVar[str] = "erasure"
    query: str = ""
    people: list[PersonRef] = []
    person: PersonRef | None = None
    # What there is of the person: label and number.
    holdings: list[Option] = []
    # The reasons of legal holds that are about what they wrote.
    holds: list[str] = []
    form: Form = Form()
    done: bool = False


class ParkedStream(View, frozen=True, kw_only=True):
    """How many streams a subscription set aside after repeated failure; the command line names them and why."""

    service: str
    subscription: str
    count: int


class SubscriptionView(View, frozen=True, kw_only=True):
    """How far a subscription or projection is behind."""

    service: str
    name: str
    lag: int


class AdminOrganizationPage(Page, frozen=True, kw_only=True):
    """Fields: name."""

    template: ClassVar[str] = "pages/admin_organization.html"
    nav_key: ClassVar[str] = "admin"
    part: ClassVar[str] = "organisation"
    form: Form = Form()


class AdminOperationPage(Page, frozen=True, kw_only=True):
    """How many streams are parked, and how far each subscription is behind."""

    template: ClassVar[str] = "pages/admin_operation.html"
    nav_key: ClassVar[str] = "admin"
    part: ClassVar[str] = "operation"
    parked: list[ParkedStream] = []
    subscriptions: list[SubscriptionView] = []
    version: str = ""


# --- errors and the component page ----------------------------------------------------------------------------------


class ErrorPage(Page, frozen=True, kw_only=True):
    """What happened, what was kept and what to do; status 400, 403, 404, 409, 413, 429, 500 or 503.

    `kept` is the text that the person had typed.
    """

    template: ClassVar[str] = "pages/error.html"
    status: int
    detail: str = ""
    kept: str = ""
    # Shown so that the person can name the failure to an administrator.
    trace_id: str = ""
    retry_after_seconds: int = 0


class OfflinePage(Page, frozen=True, kw_only=True):
    """Shown by the browser's own cache when the network cannot be reached."""

    template: ClassVar[str] = "pages/offline.html"


class DesignPage(Page, frozen=True, kw_only=True):
    """Every component in all its states, over the samples given."""

    template: ClassVar[str] = "pages/design.html"
    posts: list[PostView]
    people: list[PersonRow]
    communities: list[CommunityRow]
    notifications: list[NotificationView]
    compose: ComposeView
    results: list[SearchResult]
    chart: ChartNode


# --- Fragments: answers to htmx -------------------------------------------------------------------------------------


class Fragment(View, frozen=True, kw_only=True):
    """A part of a page, for a request with the header HX-Request; the shell gives language, zone and CSRF token."""

    template: ClassVar[str]
    shell: Shell


class PostFragment(Fragment, frozen=True, kw_only=True):
    """One post: the answer to POST /posts (in the box of a timeline), /posts/ID/reactions, /save, /follow and /read."""

    template: ClassVar[str] = "fragments/post.html"
    post: PostView
    # True where it stands in a thread rather than in a timeline, as a reply or as its first post.
    in_thread: bool = False
    is_root: bool = False


class ReplyFragment(Fragment, frozen=True, kw_only=True):
    """A reply just written, with its place for further ones: the answer to POST /posts/ID/replies."""

    template: ClassVar[str] = "fragments/reply.html"
    post: PostView


class RepliesFragment(Fragment, frozen=True, kw_only=True):
    """Further replies of a thread, with the replies to them: the answer to the thread's `next_url`."""

    template: ClassVar[str] = "fragments/replies.html"
    posts: list[PostView] = []
    next_url: str = ""


class PostListFragment(Fragment, frozen=True, kw_only=True):
    """The next run of posts: the answer to any `next_url`."""

    template: ClassVar[str] = "fragments/post_list.html"
    page: PostPage


class PlaceOption(View, frozen=True, kw_only=True):
    """A community or a group that a text may mention."""

    handle: str
    name: str
    url: str
    is_group: bool = False


class SuggestFragment(Fragment, frozen=True, kw_only=True):
    """GET /search/suggest?q=: people first, then communities, tags and the whole search; with mention=1 whom a text may call."""

    template: ClassVar[str] = "fragments/suggest.html"
    query: str
    people: list[PersonRef] = []
    communities: list[CommunityRef] = []
    tags: list[str] = []
    places: list[PlaceOption] = []
    # People cannot be looked for just now.
    is_lacking: bool = False


class PeopleFragment(Fragment, frozen=True, kw_only=True):
    """The list of the people finder: the answer to GET /people with HX-Request; with `is_continuation` only further rows."""

    template: ClassVar[str] = "fragments/people.html"
    query: str = ""
    people: list[PersonRow] = []
    total: int = 0
    next_url: str = ""
    is_continuation: bool = False


class FollowFragment(Fragment, frozen=True, kw_only=True):
    """The follow button of a person or tag: the answer to POST /people/ID/follow and /tags/TAG/follow."""

    template: ClassVar[str] = "fragments/follow.html"
    url: str
    name: str
    is_following: bool
    # Where the request came from a list: HX-Current-URL is neither /people/ID nor /tags/TAG.
    is_small: bool = False


class MembershipFragment(Fragment, frozen=True, kw_only=True):
    """The join button: the answer to POST /communities/ID/join and /leave."""

    template: ClassVar[str] = "fragments/membership.html"
    id: str
    name: str
    kind: CommunityKind
    membership: Membership
    # Where the request came from a list rather than from the community's own page.
    is_small: bool = False


class NotificationsFragment(Fragment, frozen=True, kw_only=True):
    """Further notifications: the answer to their `next_url`."""

    template: ClassVar[str] = "fragments/notifications.html"
    notifications: list[NotificationView] = []
    next_url: str = ""


class ImportProgressFragment(Fragment, frozen=True, kw_only=True):
    """Asked for every second while an import runs: GET /admin/import/ID."""

    template: ClassVar[str] = "fragments/import_progress.html"
    import_id: str
    progress: ImportProgress
