"""What can be done with webhooks, bots, incoming hooks and slash commands."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateWebhook:
    webhook_id: str
    name: str
    url: str
    community_id: str
    event_types: Sequence[str]
    includes_restricted: bool
    secret: str
    creator_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWebhook:
    webhook_id: str
    name: str
    url: str
    event_types: Sequence[str]
    includes_restricted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateWebhook:
    webhook_id: str
    secret: str
    previous_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableWebhook:
    webhook_id: str
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableWebhook:
    webhook_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteWebhook:
    webhook_id: str


WebhookCommand = CreateWebhook | ChangeWebhook | RotateWebhook | DisableWebhook | EnableWebhook | DeleteWebhook


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBot:
    bot_id: str
    name: str
    description: str
    community_id: str
    owner_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteBot:
    bot_id: str


BotCommand = CreateBot | DeleteBot


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIncomingHook:
    hook_id: str
    name: str
    community_id: str
    person_id: str
    bot_id: str
    secret_hash: str
    creator_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateIncomingHook:
    hook_id: str
    secret_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteIncomingHook:
    hook_id: str


IncomingCommand = CreateIncomingHook | RotateIncomingHook | DeleteIncomingHook


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSlashCommand:
    command_id: str
    bot_id: str
    name: str
    description: str
    hint: str
    url: str
    community_id: str
    secret: str
    creator_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSlashCommand:
    command_id: str


SlashCommandCommand = RegisterSlashCommand | DeleteSlashCommand
