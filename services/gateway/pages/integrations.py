"""Webhooks, bots, incoming hooks and commands: of the organisation for administrators, of a community for its owners."""
from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from litestar import Response

from libs.rpc.errors import RpcError
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import integration_service_pb2 as pb

from .. import bots
from ..http import AnyRequest, asked, clients, gateway
from ..problems import Refusal
from ..views import Form, Option
from ..views_integrations import (
    AdminIntegrationsPage,
    BotPage,
    BotRow,
    CommandRow,
    CommunityIntegrationsPage,
    DeliveryRow,
    HookRow,
    Integrations,
    WebhookPage,
    WebhookRow,
)
from . import convert
from .common import TOKEN_CHARACTERS, Posted, Problems, get, go, path_id, post, posted, problems, query, render, shell, translated
from .guards import administrator

DELIVERIES_A_PAGE: Final = 50
FIELDS: Final = {"name": "name", "url": "url", "event_types": "event_types", "description": "description", "hint": "hint"}


def N_(text: str) -> str:
    """Marks a text for the catalogue; it is translated where it is shown."""
    return text


_FEED, _IDENTITY = "watercooler.feed.v1.", "watercooler.identity.v1."
_TYPES: Final[dict[str, str]] = {
    f"{_FEED}PostPublished": N_("A post or reply was written"),
    f"{_FEED}PostEdited": N_("A post was changed"),
    f"{_FEED}PostDeleted": N_("A post was deleted"),
    f"{_FEED}ReactionAdded": N_("Somebody reacted"),
    f"{_FEED}ReactionRemoved": N_("Somebody took a reaction back"),
    f"{_FEED}PollClosed": N_("A poll ended"),
    f"{_FEED}CommunityChanged": N_("A community was changed"),
    f"{_FEED}CommunityArchived": N_("A community was archived"),
    f"{_FEED}CommunityUnarchived": N_("A community was opened again"),
    f"{_FEED}MemberJoined": N_("Somebody joined a community"),
    f"{_FEED}MemberRoleChanged": N_("A member got another role"),
    f"{_FEED}MemberLeft": N_("A member left"),
    f"{_FEED}MemberRemoved": N_("A member was removed"),
}
_ORGANIZATION: Final[dict[str, str]] = {
    f"{_FEED}CommunityCreated": N_("A community was founded"),
    f"{_IDENTITY}PersonAdded": N_("A person was added"),
    f"{_IDENTITY}PersonProfileChanged": N_("A profile was changed"),
    f"{_IDENTITY}PersonLeft": N_("A person left the company"),
    f"{_IDENTITY}PersonRejoined": N_("A person came back"),
    f"{_IDENTITY}PersonErased": N_("A person was erased"),
}


def _types(request: AnyRequest, community_id: str, chosen: list[str]) -> list[Option]:
    say = translated(request)
    known = _TYPES if community_id else {**_TYPES, **_ORGANIZATION}
    return [Option(value=name, label=say(label), is_chosen=name in chosen) for name, label in known.items()]


def _row(found: pb.Webhook) -> WebhookRow:
    return WebhookRow(
        id=found.webhook_id, name=found.name, url=found.url, is_disabled=found.disabled, reason=found.disabled_reason,
        waiting_count=found.waiting_count, dead_count=found.dead_count,
    )


def _bot_row(found: pb.Bot) -> BotRow:
    return BotRow(id=found.bot_id, name=found.name, description=found.description)


def _moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)


def _back(community_id: str) -> str:
    return f"/communities/{community_id}/integrations" if community_id else "/admin/integrations"


async def _list_page(
    request: AnyRequest, community_id: str, *, form: Form | None = None, refused: str = "", secret: str = "", label: str = "",
    chosen: list[str] | None = None, status: int = 200,
) -> Response[bytes]:
    services = clients(request).integrations
    around, webhooks, found_bots = await asyncio.gather(
        shell(request), services.ListWebhooks(pb.ListWebhooksRequest(community_id=community_id)),
        services.ListBots(pb.ListBotsRequest(community_id=community_id)),
    )
    hooks: list[HookRow] = []
    if community_id:
        listed = await services.ListIncomingHooks(pb.ListIncomingHooksRequest(community_id=community_id))
        hooks = [HookRow(id=each.hook_id, name=each.name) for each in listed.hooks]
    content = Integrations(
        action_url=_back(community_id), webhooks=[_row(each) for each in webhooks.webhooks],
        bots=[_bot_row(each) for each in found_bots.bots], hooks=hooks, event_types=_types(request, community_id, chosen or []),
        form=form or Form(), refused=refused, secret=secret, secret_label=label, takes_hooks=bool(community_id),
        can_restrict=not community_id,
    )
    if not community_id:
        return render(request, AdminIntegrationsPage(shell=around, all=content), status)
    community = await clients(request).feed.GetCommunity(feed.GetCommunityRequest(community_id=community_id))
    return render(request, CommunityIntegrationsPage(shell=around, community=convert.community(community), all=content), status)


@get("/admin/integrations")
async def show_organization(request: AnyRequest) -> Response[bytes]:
    """What the organisation is connected with."""
    administrator(request)
    return await _list_page(request, "")


@get("/communities/{community_id:str}/integrations")
async def show_community(request: AnyRequest) -> Response[bytes]:
    """What a community is connected with."""
    return await _list_page(request, path_id(request, "community_id"))


@post("/admin/integrations")
async def change_organization(request: AnyRequest) -> Response[bytes]:
    """Connect something, or take it away."""
    administrator(request)
    return await _change(request, "")


@post("/communities/{community_id:str}/integrations")
async def change_community(request: AnyRequest) -> Response[bytes]:
    """Connect something, or take it away."""
    return await _change(request, path_id(request, "community_id"))


async def _change(request: AnyRequest, community_id: str) -> Response[bytes]:
    form = await posted(request)
    action, services, say = form.text("action", 20), clients(request).integrations, translated(request)
    try:
        if action == "webhook":
            made = await services.CreateWebhook(pb.CreateWebhookRequest(
                name=form.text("name", 200), url=form.text("url", 3_000), community_id=community_id, event_types=form.texts("event_types"),
                includes_restricted=bool(form.text("includes_restricted", 5)),
            ))
            asked(request).hides_answer = True
            return await _list_page(request, community_id, secret=made.secret, label=say("Secret of the webhook"))
        if action == "bot":
            bot = await bots.create_bot(request, form.text("name", 200), form.text("description", 1_000), community_id)
            return go(request, f"/integrations/bots/{bot.bot_id}", say("The bot has an account. Make a token by which it acts."))
        if action == "incoming":
            hook = await bots.create_hook(request, form.text("name", 200), community_id)
            asked(request).hides_answer = True
            return await _list_page(request, community_id, secret=hook_address(request, hook), label=say("Address to post to"))
        if action == "rotate-incoming":
            turned = await services.RotateIncomingHook(pb.RotateIncomingHookRequest(hook_id=form.text("hook_id", 36)))
            asked(request).hides_answer = True
            return await _list_page(request, community_id, secret=hook_address(request, turned), label=say("Address to post to"))
        if action == "delete-incoming":
            gone = await services.DeleteIncomingHook(pb.DeleteIncomingHookRequest(hook_id=form.text("hook_id", 36)))
            await bots.end_account(request, gone.bot_id)
            return go(request, _back(community_id), say("The hook takes nothing more."))
    except RpcError as error:
        found = problems(error, {**FIELDS, "community_id": ""})
        return await _list_page(
            request, community_id, form=found.form(form.kept("name", "url", "description")), refused=action,
            chosen=form.texts("event_types"), status=found.status,
        )
    raise Refusal(404, "")


def hook_address(request: AnyRequest, made: pb.CreateIncomingHookResponse) -> str:
    """Where another system posts."""
    return f"{gateway(request).context.settings.address}/api/v1/integrations/in/{made.hook.hook_id}/{made.secret}"


# --- one webhook ------------------------------------------------------------------------------------------------------


async def _webhook_page(
    request: AnyRequest, found: pb.Webhook, *, problem: Problems | None = None, form: Posted | None = None, secret: str = ""
) -> Response[bytes]:
    page = query(request, "page", TOKEN_CHARACTERS)
    around, sent = await asyncio.gather(shell(request), clients(request).integrations.ListWebhookDeliveries(
        pb.ListWebhookDeliveriesRequest(webhook_id=found.webhook_id, page_size=DELIVERIES_A_PAGE, page_token=page)
    ))
    values = {"name": found.name, "url": found.url, "includes_restricted": "1" if found.includes_restricted else ""}
    if form is not None:
        values |= form.kept("name", "url")
    names = {
        pb.WEBHOOK_DELIVERY_STATE_WAITING: "waiting", pb.WEBHOOK_DELIVERY_STATE_DELIVERED: "delivered",
        pb.WEBHOOK_DELIVERY_STATE_DEAD: "dead",
    }
    view = WebhookPage(
        shell=around, webhook=_row(found), back_url=_back(found.community_id),
        form=problem.form(values) if problem else Form(values=values),
        event_types=_types(request, found.community_id, form.texts("event_types") if form else list(found.event_types)), secret=secret,
        can_restrict=not found.community_id, failing_since=_moment(found.failing_since) if found.HasField("failing_since") else None,
        deliveries=[
            DeliveryRow(
                id=each.delivery_id, event_type=each.event_type.rpartition(".")[2], state=names.get(each.state, "dropped"),
                tries=each.tries, time=_moment(each.create_time), status=each.answer_status, answer=each.answer,
                next_time=_moment(each.next_try_time) if each.HasField("next_try_time") else None,
            )
            for each in sent.deliveries
        ],
        next_url=f"/integrations/webhooks/{found.webhook_id}?page={sent.next_page_token}" if sent.next_page_token else "",
    )
    return render(request, view, problem.status if problem else 200)


async def _webhook(request: AnyRequest) -> pb.Webhook:
    return await clients(request).integrations.GetWebhook(pb.GetWebhookRequest(webhook_id=path_id(request, "webhook_id")))


@get("/integrations/webhooks/{webhook_id:str}")
async def show_webhook(request: AnyRequest) -> Response[bytes]:
    """What it is told, and what came of it."""
    return await _webhook_page(request, await _webhook(request))


@post("/integrations/webhooks/{webhook_id:str}")
async def change_webhook(request: AnyRequest) -> Response[bytes]:
    """Change it, try it, send something again, or end it."""
    form, found = await posted(request), await _webhook(request)
    services, say, here = clients(request).integrations, translated(request), f"/integrations/webhooks/{found.webhook_id}"
    action = form.text("action", 20)
    try:
        if action in ("save", "on", "off"):
            change = pb.UpdateWebhookRequest(
                webhook_id=found.webhook_id, name=found.name, url=found.url, event_types=found.event_types,
                includes_restricted=found.includes_restricted, disabled=found.disabled,
            )
            if action == "save":
                del change.event_types[:]
                change.name, change.url = form.text("name", 200), form.text("url", 3_000)
                change.event_types.extend(form.texts("event_types"))
                change.includes_restricted = bool(form.text("includes_restricted", 5))
            else:
                change.disabled = action == "off"
            await services.UpdateWebhook(change)
            return go(request, here, say("Saved."))
        if action == "test":
            tried = await services.TestWebhook(pb.TestWebhookRequest(webhook_id=found.webhook_id))
            if tried.state == pb.WEBHOOK_DELIVERY_STATE_DELIVERED:
                return go(request, here, say("The receiver took the ping."))
            return go(request, here, say("The ping was not taken: see below."), kind="bad")
        if action == "retry":
            await services.RetryWebhookDelivery(pb.RetryWebhookDeliveryRequest(delivery_id=form.text("delivery_id", 36)))
            return go(request, here, say("It is sent again."))
        if action == "rotate":
            turned = await services.RotateWebhookSecret(pb.RotateWebhookSecretRequest(webhook_id=found.webhook_id))
            asked(request).hides_answer = True
            return await _webhook_page(request, turned.webhook, secret=turned.secret)
        if action == "delete":
            await services.DeleteWebhook(pb.DeleteWebhookRequest(webhook_id=found.webhook_id))
            return go(request, _back(found.community_id), say("The webhook is deleted."))
    except RpcError as error:
        return await _webhook_page(request, found, problem=problems(error, FIELDS), form=form if action == "save" else None)
    raise Refusal(404, "")


# --- one bot ----------------------------------------------------------------------------------------------------------


async def _bot_page(
    request: AnyRequest, found: pb.Bot, *, problem: Problems | None = None, form: Posted | None = None, refused: str = "",
    secret: str = "", label: str = "",
) -> Response[bytes]:
    around, tokens, commands = await asyncio.gather(
        shell(request), bots.tokens_of(request, found.bot_id),
        clients(request).integrations.ListCommands(pb.ListCommandsRequest(bot_id=found.bot_id)),
    )
    values = form.kept("name", "description", "hint", "url", "token_name") if form else {}
    view = BotPage(
        shell=around, bot=_bot_row(found), back_url=_back(found.community_id), tokens=[convert.token(each) for each in tokens],
        commands=[
            CommandRow(id=each.command_id, name=each.name, description=each.description, hint=each.hint, url=each.url)
            for each in commands.commands
        ],
        form=problem.form(values) if problem else Form(values=values), refused=refused, secret=secret, secret_label=label,
    )
    return render(request, view, problem.status if problem else 200)


async def _bot(request: AnyRequest) -> pb.Bot:
    return await clients(request).integrations.GetBot(pb.GetBotRequest(bot_id=path_id(request, "bot_id")))


@get("/integrations/bots/{bot_id:str}")
async def show_bot(request: AnyRequest) -> Response[bytes]:
    """Its tokens and commands."""
    return await _bot_page(request, await _bot(request))


@post("/integrations/bots/{bot_id:str}")
async def change_bot(request: AnyRequest) -> Response[bytes]:
    """Give it a token or a command, or end it."""
    form, found = await posted(request), await _bot(request)
    services, say, here = clients(request).integrations, translated(request), f"/integrations/bots/{found.bot_id}"
    action = form.text("action", 20)
    try:
        if action == "token":
            made = await bots.issue_token(request, found.bot_id, form.text("token_name", 200), ["read", "write"])
            asked(request).hides_answer = True
            return await _bot_page(request, found, secret=made.secret, label=say("Access token of the bot"))
        if action == "revoke":
            await bots.revoke_token(request, found.bot_id, form.text("token_id", 36))
            return go(request, here, say("The token is revoked."))
        if action == "command":
            registered = await services.RegisterCommand(pb.RegisterCommandRequest(
                bot_id=found.bot_id, name=form.text("name", 100).removeprefix("/"), description=form.text("description", 1_000),
                hint=form.text("hint", 500), url=form.text("url", 3_000),
            ))
            asked(request).hides_answer = True
            return await _bot_page(request, found, secret=registered.secret, label=say("Secret that signs what the command sends"))
        if action == "delete-command":
            await services.DeleteCommand(pb.DeleteCommandRequest(command_id=form.text("command_id", 36)))
            return go(request, here, say("The command is deleted."))
        if action == "delete":
            await services.DeleteBot(pb.DeleteBotRequest(bot_id=found.bot_id))
            await bots.end_account(request, found.bot_id)
            return go(request, _back(found.community_id), say("The bot has ended. What it wrote stays."))
    except RpcError as error:
        fields = {"name": "token_name"} if action == "token" else FIELDS
        return await _bot_page(request, found, problem=problems(error, fields), form=form, refused=action)
    raise Refusal(404, "")
