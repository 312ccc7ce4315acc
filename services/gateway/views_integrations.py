"""What the pages of apps, bots and webhooks show."""
from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from .views import Form, Page, View


class OAuthConsentPage(Page, frozen=True, kw_only=True):
    """Posts the hidden fields and decision ("allow" or "deny") to /oauth/authorize; /oauth/sign-in-again signs out and comes back here."""

    template = "pages/oauth_consent.html"
    app_name: str
    website: str = ""
    scopes: list[str]
    hidden: dict[str, str]
    target: str
    again: bool = False


class OAuthCodePage(Page, frozen=True, kw_only=True):
    """A code to be copied into the app."""

    template = "pages/oauth_code.html"
    app_name: str
    code: str


class OAuthProblemPage(Page, frozen=True, kw_only=True):
    """Why an app cannot ask."""

    template = "pages/oauth_problem.html"
    text: str


class AuthorizedAppRow(View, frozen=True, kw_only=True):
    """An app that acts for the reader."""

    id: str
    name: str
    website: str
    scopes: list[str]
    since: datetime
    last_use_date: datetime | None = None


class SettingsAppsPage(Page, frozen=True, kw_only=True):
    """Posts app_id to /settings/apps, or "all"."""

    template = "pages/settings_apps.html"
    part: ClassVar[str] = "apps"
    apps: list[AuthorizedAppRow]
    form: Form = Form()
