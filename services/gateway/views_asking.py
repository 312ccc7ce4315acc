"""What the pages of questions, praise, questions to leaders and ideas show."""
# ruff: noqa: RUF012 - msgspec copies the empty lists that are defaults here.
from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from .views import CommunityRef, CommunityView, ComposeView, Form, Option, Page, PersonRef, PostPage, PostView, View

EnquiryStateName = Literal["open", "accepted", "answered", "declined", "withdrawn"]
IdeaStateName = Literal["new", "discussed", "trial", "done", "not_now"]


class ReasonView(View, frozen=True, kw_only=True):
    """Why somebody is asked."""

    kind: Literal["named", "best_in_community", "best_on_tag", "valued_in_community", "valued_on_tag"]
    count: int = 0
    tag: str = ""


class AskedView(View, frozen=True, kw_only=True):
    """Somebody to whom a question was brought."""

    person: PersonRef
    reasons: list[ReasonView] = []


class QuestionView(View, frozen=True, kw_only=True):
    """A question with what is known of its answers."""

    post: PostView
    excerpt: str = ""
    answer_count: int = 0
    best: PostView | None = None
    asked: list[AskedView] = []
    route_time: datetime | None = None
    can_mark: bool = False


class QuestionsPage(Page, frozen=True, kw_only=True):
    """Questions of the company or one community."""

    template: ClassVar[str] = "pages/questions.html"
    nav_key: ClassVar[str] = "asking"
    show: Literal["waiting", "open", "solved", "all", "mine"] = "waiting"
    questions: list[QuestionView] = []
    community: CommunityRef | None = None
    next_url: str = ""


class ExpertsPage(Page, frozen=True, kw_only=True):
    """The experts of a community. Field: person."""

    template: ClassVar[str] = "pages/community_experts.html"
    nav_key: ClassVar[str] = "communities"
    community: CommunityView
    experts: list[PersonRef] = []
    can_name: bool = False
    form: Form = Form()


class PraiseNewPage(Page, frozen=True, kw_only=True):
    """Fields: people, value, body, audience, request_id."""

    template: ClassVar[str] = "pages/praise_new.html"
    nav_key: ClassVar[str] = "home"
    form: Form = Form()
    values: list[Option] = []
    audiences: list[Option] = []
    request_id: str = ""
    body_max: int = 10_000


class ValueCount(View, frozen=True, kw_only=True):
    """How often a value was the reason."""

    value: str
    count: int


class PraisePage(Page, frozen=True, kw_only=True):
    """What a person was thanked for."""

    template: ClassVar[str] = "pages/praise.html"
    nav_key: ClassVar[str] = "people"
    person: PersonRef
    values: list[ValueCount] = []
    page: PostPage
    totals: list[ValueCount] = []
    is_self: bool = False


class EnquiryStepView(View, frozen=True, kw_only=True):
    """What was said on a question to leaders."""

    state: EnquiryStateName
    person: PersonRef
    text_html: str
    time: datetime
    is_erased: bool = False


class EnquiryView(View, frozen=True, kw_only=True):
    """A question to leaders, as one reader may use it."""

    id: str
    body_html: str
    state: EnquiryStateName
    time: datetime
    is_anonymous: bool = False
    is_erased: bool = False
    asker: PersonRef | None = None
    addressees: list[PersonRef] = []
    vote_count: int = 0
    is_voted: bool = False
    steps: list[EnquiryStepView] = []
    # How long the first answer took; 0 while there is none.
    answer_seconds: int = 0
    delegate: PersonRef | None = None
    can_vote: bool = False
    can_answer: bool = False
    can_delegate: bool = False
    can_withdraw: bool = False
    version: str = ""

    @property
    def url(self) -> str:
        return f"/ask/{self.id}"


class AskPage(Page, frozen=True, kw_only=True):
    """The place where leaders are asked. Fields: body, to (ids), anonymous, request_id."""

    template: ClassVar[str] = "pages/ask.html"
    nav_key: ClassVar[str] = "asking"
    order: Literal["votes", "newest", "waiting"] = "votes"
    enquiries: list[EnquiryView] = []
    leaders: list[PersonRef] = []
    is_anonymous_allowed: bool = False
    waiting_count: int = 0
    answered_count: int = 0
    # Half of the answers took so long or less; 0: none yet.
    median_seconds: int = 0
    form: Form = Form()
    request_id: str = ""
    next_url: str = ""


class EnquiryPage(Page, frozen=True, kw_only=True):
    """One question to leaders. Fields: text, action, person."""

    template: ClassVar[str] = "pages/enquiry.html"
    nav_key: ClassVar[str] = "asking"
    enquiry: EnquiryView
    form: Form = Form()


class IdeaStepView(View, frozen=True, kw_only=True):
    """When an idea changed its state, by whom and why."""

    state: IdeaStateName
    person: PersonRef
    reason: str
    time: datetime


class IdeaView(View, frozen=True, kw_only=True):
    """An idea, as one reader may use it."""

    post: PostView
    state: IdeaStateName
    excerpt: str = ""
    vote_count: int = 0
    is_voted: bool = False
    sponsor: PersonRef | None = None
    is_sponsor: bool = False
    objective_title: str = ""
    objective_url: str = ""
    steps: list[IdeaStepView] = []
    can_vote: bool = False
    can_change: bool = False
    can_sponsor: bool = False
    can_link: bool = False

    @property
    def url(self) -> str:
        return f"/ideas/{self.post.id}"


class IdeasPage(Page, frozen=True, kw_only=True):
    """The board of ideas; `state` is the one chosen, empty for all."""

    template: ClassVar[str] = "pages/ideas.html"
    nav_key: ClassVar[str] = "asking"
    state: str = ""
    order: Literal["votes", "newest"] = "votes"
    ideas: list[IdeaView] = []
    next_url: str = ""


class IdeaPage(Page, frozen=True, kw_only=True):
    """One idea with its history. Fields: state, reason; objective_title, objective_url."""

    template: ClassVar[str] = "pages/idea.html"
    nav_key: ClassVar[str] = "asking"
    idea: IdeaView
    form: Form = Form()


class IdeaNewPage(Page, frozen=True, kw_only=True):
    """Fields: body, audience, objective_title, objective_url, request_id."""

    template: ClassVar[str] = "pages/idea_new.html"
    nav_key: ClassVar[str] = "asking"
    compose: ComposeView
    audiences: list[Option] = []
    form: Form = Form()
