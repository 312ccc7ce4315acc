"""What the page of notification settings shows."""
# ruff: noqa: RUF012 - msgspec copies the empty lists that are defaults here.
from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from .views import Form, Option, Page, View


class KindRow(View, frozen=True, kw_only=True):
    """A kind of notification with what is chosen for it; its fields are app-NAME, push-NAME and digest-NAME."""

    name: str
    label: str
    in_app: bool = True
    push: bool = False
    digest: bool = True


class DeviceRow(View, frozen=True, kw_only=True):
    """A device that takes pushes."""

    id: str
    label: str
    since: datetime
    is_here: bool = False


class SettingsNotificationsPage(Page, frozen=True, kw_only=True):
    """Posts to /settings/notifications: kinds, quiet_on, quiet_start and quiet_end (HH:MM), quiet_days, pushes_per_day, rhythm, digest_day,
    digest_hour.

    Posts device_id to /settings/notifications/devices, and `test` ("push" or "mail") to /settings/notifications/test.
    """

    template: ClassVar[str] = "pages/settings_notifications.html"
    nav_key: ClassVar[str] = "settings"
    part: ClassVar[str] = "notifications"
    form: Form = Form()
    kinds: list[KindRow] = []
    quiet_on: bool = True
    quiet_days: list[Option] = []
    rhythms: list[Option] = []
    digest_days: list[Option] = []
    digest_hours: list[Option] = []
    devices: list[DeviceRow] = []
    # The key that a browser subscribes with; empty where feed is away.
    push_key: str = ""
    time_zone: str = "UTC"
    mail_address: str = ""
    pushes_today: int = 0
    quiet_until: datetime | None = None
    next_digest_time: datetime | None = None
    last_digest_time: datetime | None = None


class DigestStopPage(Page, frozen=True, kw_only=True):
    """Posts to /digests/stop with the token in the address; `state` is ask, done or broken."""

    template: ClassVar[str] = "pages/digest_stop.html"
    token: str = ""
    state: str = "ask"
