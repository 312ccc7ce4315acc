"""An outgoing webhook: made, changed, switched off and on, deleted."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, assert_never

from libs.eventstore.model import InvalidArgument, NotFound
from watercooler.feed.v1.integration_events_pb2 import (
    WebhookChanged,
    WebhookCreated,
    WebhookDeleted,
    WebhookDisabled,
    WebhookEnabled,
    WebhookSecretRotated,
)

from ..commands.integrations import (
    ChangeWebhook,
    CreateWebhook,
    DeleteWebhook,
    DisableWebhook,
    EnableWebhook,
    RotateWebhook,
    WebhookCommand,
)

Event = WebhookCreated | WebhookChanged | WebhookSecretRotated | WebhookDisabled | WebhookEnabled | WebhookDeleted

NAME_CHARACTERS: Final = 100
URL_CHARACTERS: Final = 2_000
# What systems may be told of; the first ones are about posts and communities, the last about people and for the organisation only.
COMMUNITY_TYPES: Final = (
    "watercooler.feed.v1.PostPublished", "watercooler.feed.v1.PostEdited", "watercooler.feed.v1.PostDeleted",
    "watercooler.feed.v1.ReactionAdded", "watercooler.feed.v1.ReactionRemoved", "watercooler.feed.v1.PollClosed",
    "watercooler.feed.v1.CommunityChanged", "watercooler.feed.v1.CommunityArchived", "watercooler.feed.v1.CommunityUnarchived",
    "watercooler.feed.v1.MemberJoined", "watercooler.feed.v1.MemberRoleChanged", "watercooler.feed.v1.MemberLeft",
    "watercooler.feed.v1.MemberRemoved",
)
ORGANIZATION_TYPES: Final = (
    *COMMUNITY_TYPES, "watercooler.feed.v1.CommunityCreated", "watercooler.identity.v1.PersonAdded",
    "watercooler.identity.v1.PersonProfileChanged", "watercooler.identity.v1.PersonLeft", "watercooler.identity.v1.PersonRejoined",
    "watercooler.identity.v1.PersonErased",
)


@dataclass(frozen=True, slots=True)
class Webhook:
    """What it is now; `status` is absent, on, off or deleted."""

    status: str = "absent"
    name: str = ""
    url: str = ""
    community_id: str = ""
    event_types: tuple[str, ...] = ()
    includes_restricted: bool = False
    creator_id: str = ""


def initial() -> Webhook:
    """None yet."""
    return Webhook()


def decide(command: WebhookCommand, hook: Webhook) -> list[Event]:
    """What happens.

    Raises:
        InvalidArgument: the name, the address or the events are not what they may be.
        NotFound: there is no such webhook, or no longer.
    """
    if isinstance(command, CreateWebhook):
        return _create(command) if hook.status == "absent" else []
    if hook.status in ("absent", "deleted"):
        raise NotFound("there is no such webhook")
    match command:
        case ChangeWebhook():
            types = _types(command.event_types, hook.community_id)
            _check(command.name, command.url)
            restricted = command.includes_restricted and not hook.community_id
            now = (command.name.strip(), command.url, types, restricted)
            if now == (hook.name, hook.url, hook.event_types, hook.includes_restricted):
                return []
            return [WebhookChanged(
                webhook_id=command.webhook_id, name=now[0], url=command.url, event_types=types, includes_restricted=restricted
            )]
        case RotateWebhook():
            rotated = WebhookSecretRotated(webhook_id=command.webhook_id, secret=command.secret)
            rotated.previous_until.FromDatetime(command.previous_until)
            return [rotated]
        case DisableWebhook():
            if hook.status == "off":
                return []
            disabled = WebhookDisabled(
                webhook_id=command.webhook_id, reason=command.reason, creator_id=hook.creator_id, community_id=hook.community_id
            )
            disabled.disable_time.FromDatetime(command.now)
            return [disabled]
        case EnableWebhook():
            return [WebhookEnabled(webhook_id=command.webhook_id)] if hook.status == "off" else []
        case DeleteWebhook():
            return [WebhookDeleted(webhook_id=command.webhook_id)]
        case _:
            assert_never(command)


def evolve(hook: Webhook, event: Event) -> Webhook:
    """The webhook after the event."""
    match event:
        case WebhookCreated():
            types = tuple(event.event_types)
            return Webhook("on", event.name, event.url, event.community_id, types, event.includes_restricted, event.creator_id)
        case WebhookChanged():
            return replace(
                hook, name=event.name, url=event.url, event_types=tuple(event.event_types), includes_restricted=event.includes_restricted
            )
        case WebhookSecretRotated():
            return hook
        case WebhookDisabled():
            return replace(hook, status="off")
        case WebhookEnabled():
            return replace(hook, status="on")
        case WebhookDeleted():
            return replace(hook, status="deleted")
        case _:
            assert_never(event)


def _create(command: CreateWebhook) -> list[Event]:
    _check(command.name, command.url)
    created = WebhookCreated(
        webhook_id=command.webhook_id, name=command.name.strip(), url=command.url, community_id=command.community_id,
        event_types=_types(command.event_types, command.community_id),
        includes_restricted=command.includes_restricted and not command.community_id, secret=command.secret, creator_id=command.creator_id,
    )
    created.create_time.FromDatetime(command.now)
    return [created]


def _check(name: str, url: str) -> None:
    if not name.strip() or len(name) > NAME_CHARACTERS:
        raise InvalidArgument(f"a name has 1 to {NAME_CHARACTERS} characters", "name")
    if not url or len(url) > URL_CHARACTERS:
        raise InvalidArgument(f"an address has 1 to {URL_CHARACTERS} characters", "url")


def _types(types: Sequence[str], community_id: str) -> tuple[str, ...]:
    known = COMMUNITY_TYPES if community_id else ORGANIZATION_TYPES
    asked = set(types)
    unknown = sorted(asked - set(known))
    if unknown:
        raise InvalidArgument(f"there is no event {unknown[0][:100]!r} to be told of here: choose from the list", "event_types")
    if not asked:
        raise InvalidArgument("choose at least one event", "event_types")
    return tuple(each for each in known if each in asked)
