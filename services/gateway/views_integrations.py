"""What the pages of apps, bots and webhooks show."""
# ruff: noqa: RUF012 - msgspec copies the empty lists and dicts that are defaults here.
from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from .views import CommunityView, Form, Fragment, Option, Page, TokenView, View


class OAuthConsentPage(Page, frozen=True, kw_only=True):
    """Posts the hidden fields and decision ("allow" or "deny") to /oauth/authorize; /oauth/sign-in-again signs out and comes back here."""

    template: ClassVar[str] = "pages/oauth_consent.html"
    app_name: str
    website: str = ""
    scopes: list[str]
    hidden: dict[str, str]
    target: str
    again: bool = False


class OAuthCodePage(Page, frozen=True, kw_only=True):
    """A code to be copied into the app."""

    template: ClassVar[str] = "pages/oauth_code.html"
    app_name: str
    code: str


class OAuthProblemPage(Page, frozen=True, kw_only=True):
    """Why an app cannot ask."""

    template: ClassVar[str] = "pages/oauth_problem.html"
    text: str


class AuthorizedAppRow(View, frozen=True, kw_only=True):
    """An app that acts for the reader."""

    id: str
    name: str
    website: str
    scopes: list[str]
    since: datetime
    last_use_date: datetime | None = None


class HookRow(View, frozen=True, kw_only=True):
    """An incoming hook in a list."""

    id: str
    name: str


class SettingsAppsPage(Page, frozen=True, kw_only=True):
    """Posts app_id to /settings/apps, or "all"."""

    template: ClassVar[str] = "pages/settings_apps.html"
    part: ClassVar[str] = "apps"
    apps: list[AuthorizedAppRow]
    hooks: list[HookRow] = []
    form: Form = Form()
    # The address of a new hook, shown once.
    secret: str = ""


class WebhookRow(View, frozen=True, kw_only=True):
    """An outgoing webhook in a list."""

    id: str
    name: str
    url: str
    is_disabled: bool = False
    reason: str = ""
    waiting_count: int = 0
    dead_count: int = 0


class BotRow(View, frozen=True, kw_only=True):
    """A bot in a list."""

    id: str
    name: str
    description: str = ""


class Integrations(View, frozen=True, kw_only=True):
    """What is connected; forms post `action` to `action_url`. A secret or an address is shown once, under `secret_label`."""

    action_url: str
    webhooks: list[WebhookRow] = []
    bots: list[BotRow] = []
    hooks: list[HookRow] = []
    event_types: list[Option] = []
    form: Form = Form()
    # Which form was refused: webhook, bot or incoming.
    refused: str = ""
    secret: str = ""
    secret_label: str = ""
    # Whether hooks post here: into a community; and whether what closed communities see may be told.
    takes_hooks: bool = False
    can_restrict: bool = False

    @property
    def webhook_form(self) -> Form:
        """What the form of webhooks shows: its own refusal and nobody else's."""
        return self.form if self.refused == "webhook" else Form()


class AdminIntegrationsPage(Page, frozen=True, kw_only=True):
    """What belongs to the organisation."""

    template: ClassVar[str] = "pages/admin_integrations.html"
    part: ClassVar[str] = "integrations"
    all: Integrations


class CommunityIntegrationsPage(Page, frozen=True, kw_only=True):
    """What belongs to a community."""

    template: ClassVar[str] = "pages/community_integrations.html"
    nav_key: ClassVar[str] = "communities"
    community: CommunityView
    all: Integrations


class DeliveryRow(View, frozen=True, kw_only=True):
    """What a webhook was sent."""

    id: str
    event_type: str
    state: str
    tries: int
    time: datetime
    next_time: datetime | None = None
    status: int = 0
    answer: str = ""


class WebhookPage(Page, frozen=True, kw_only=True):
    """Posts action save, test, rotate, delete or retry to /integrations/webhooks/ID."""

    template: ClassVar[str] = "pages/webhook.html"
    webhook: WebhookRow
    back_url: str
    form: Form
    event_types: list[Option]
    deliveries: list[DeliveryRow] = []
    next_url: str = ""
    secret: str = ""
    can_restrict: bool = False
    failing_since: datetime | None = None


class CommandRow(View, frozen=True, kw_only=True):
    """A slash command."""

    id: str
    name: str
    description: str
    hint: str = ""
    url: str = ""


class BotPage(Page, frozen=True, kw_only=True):
    """Posts action token, revoke, command, delete-command or delete to /integrations/bots/ID."""

    template: ClassVar[str] = "pages/bot.html"
    bot: BotRow
    back_url: str
    tokens: list[TokenView] = []
    commands: list[CommandRow] = []
    form: Form = Form()
    refused: str = ""
    secret: str = ""
    secret_label: str = ""


class CommandAnswerPage(Page, frozen=True, kw_only=True):
    """What a bot said to the reader alone."""

    template: ClassVar[str] = "pages/command_answer.html"
    bot_name: str
    command: str
    text_html: str
    back_url: str


class CommandAnswerFragment(Fragment, frozen=True, kw_only=True):
    """The same in the place of a post."""

    template: ClassVar[str] = "fragments/command_answer.html"
    bot_name: str
    command: str
    text_html: str
