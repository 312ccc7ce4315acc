"""Apps, webhooks, bots, incoming hooks and slash commands: how other systems are connected."""
from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from watercooler.feed.v1 import integration_service_pb2 as integrations
from watercooler.identity.v1 import app_service_pb2 as apps

from .. import bots
from . import models
from .models import Id, Page
from .operations import Answer, Call, Input, Output, operation, time_of
from .posts import AudienceInput, read_audience

Url = Annotated[str, Meta(max_length=2_000)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
ShortName = Annotated[str, Meta(min_length=1, max_length=60)]
EventTypes = Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(min_length=1, max_length=50, description="Full names of events.")]
StateName = Literal["waiting", "delivered", "dead", "dropped"]
STATES: dict[str, integrations.WebhookDeliveryState.ValueType] = {
    "waiting": integrations.WEBHOOK_DELIVERY_STATE_WAITING, "delivered": integrations.WEBHOOK_DELIVERY_STATE_DELIVERED,
    "dead": integrations.WEBHOOK_DELIVERY_STATE_DEAD, "dropped": integrations.WEBHOOK_DELIVERY_STATE_DROPPED,
}
STATE_NAMES: dict[int, StateName] = {value: name for name, value in STATES.items()}  # type: ignore[misc]


class OwnerQuery(Input, frozen=True, kw_only=True):
    """Of which community; of the whole organisation where none is named."""

    community_id: Id | None = None


# --- apps -----------------------------------------------------------------------------------------------------------


class AuthorizedApp(Output, frozen=True, kw_only=True):
    """An app that acts for the caller."""

    id: str
    name: str
    website: str | None
    scopes: list[str]
    authorize_time: datetime
    last_use_date: str | None


class AuthorizedAppList(Output, frozen=True, kw_only=True):
    """The one let in last first."""

    apps: list[AuthorizedApp]


@operation("GET", "/integrations/apps", "List the apps that act for one", tag="integrations", answer=AuthorizedAppList)
async def list_authorized_apps(call: Call) -> AuthorizedAppList:
    """Those let in by OAuth 2.0."""
    found = await call.clients.apps.ListAuthorizedApps(apps.ListAuthorizedAppsRequest())
    return AuthorizedAppList(apps=[
        AuthorizedApp(
            id=each.app.app_id, name=each.app.name, website=each.app.website or None, scopes=list(each.scopes),
            authorize_time=time_of(each.authorize_time), last_use_date=each.last_use_date or None,
        )
        for each in found.apps
    ])


@operation("DELETE", "/integrations/apps/{app_id}", "End what an app may do", tag="integrations", status=204)
async def end_authorized_app(call: Call) -> None:
    """Its tokens stop working at once."""
    ended = await call.clients.apps.EndAuthorization(
        apps.EndAuthorizationRequest(app_id=call.id("app_id"), request_id=call.request_id)
    )
    call.gateway.accounts.forget(call.me.person_id)
    for token_id in ended.token_ids:
        call.gateway.live.close_token(token_id)


# --- outgoing webhooks ----------------------------------------------------------------------------------------------


class Webhook(Output, frozen=True, kw_only=True):
    """A system that is told of events. `failing_since` is when its deliveries began to fail."""

    id: str
    name: str
    url: str
    community_id: str | None
    event_types: list[str]
    includes_restricted: bool
    creator: models.Author
    create_time: datetime
    is_disabled: bool
    disabled_reason: str | None
    waiting_count: int
    dead_count: int
    failing_since: datetime | None


class WebhookList(Output, frozen=True, kw_only=True):
    """The newest first."""

    webhooks: list[Webhook]


class CreatedWebhook(Output, frozen=True, kw_only=True):
    """The secret is shown this once."""

    webhook: Webhook
    secret: str


class WebhookInput(Input, frozen=True, kw_only=True):
    """A new webhook."""

    name: Name
    url: Url
    event_types: EventTypes
    community_id: Id | None = None
    includes_restricted: bool = False


class WebhookChange(Input, frozen=True, kw_only=True):
    """A webhook as it is to be."""

    name: Name
    url: Url
    event_types: EventTypes
    includes_restricted: bool = False
    is_disabled: bool = False


def webhook(found: integrations.Webhook) -> Webhook:
    """A webhook, from feed's message."""
    return Webhook(
        id=found.webhook_id, name=found.name, url=found.url, community_id=found.community_id or None, event_types=list(found.event_types),
        includes_restricted=found.includes_restricted, creator=models.author(found.creator), create_time=time_of(found.create_time),
        is_disabled=found.disabled, disabled_reason=found.disabled_reason or None, waiting_count=found.waiting_count,
        dead_count=found.dead_count, failing_since=time_of(found.failing_since) if found.HasField("failing_since") else None,
    )


@operation("GET", "/integrations/webhooks", "List webhooks", tag="integrations", query=OwnerQuery, answer=WebhookList)
async def list_webhooks(call: Call, query: OwnerQuery) -> WebhookList:
    """For administrators, and for owners of the community."""
    found = await call.clients.integrations.ListWebhooks(integrations.ListWebhooksRequest(community_id=query.community_id or ""))
    return WebhookList(webhooks=[webhook(each) for each in found.webhooks])


@operation("POST", "/integrations/webhooks", "Make a webhook", tag="integrations", status=201, body=WebhookInput, answer=CreatedWebhook)
async def create_webhook(call: Call, body: WebhookInput) -> Answer:
    """Told from now on."""
    call.hide_answer()
    made = await call.clients.integrations.CreateWebhook(integrations.CreateWebhookRequest(
        name=body.name, url=body.url, event_types=body.event_types, community_id=body.community_id or "",
        includes_restricted=body.includes_restricted, request_id=call.request_id,
    ))
    location = f"/api/v1/integrations/webhooks/{made.webhook.webhook_id}"
    return Answer(CreatedWebhook(webhook=webhook(made.webhook), secret=made.secret), location=location)


@operation("GET", "/integrations/webhooks/{webhook_id}", "Read a webhook", tag="integrations", answer=Webhook)
async def get_webhook(call: Call) -> Webhook:
    """Without its secret."""
    return webhook(await call.clients.integrations.GetWebhook(integrations.GetWebhookRequest(webhook_id=call.id("webhook_id"))))


@operation("PUT", "/integrations/webhooks/{webhook_id}", "Change a webhook", tag="integrations", body=WebhookChange, answer=Webhook)
async def update_webhook(call: Call, body: WebhookChange) -> Webhook:
    """Also to switch it off, or on again."""
    return webhook(await call.clients.integrations.UpdateWebhook(integrations.UpdateWebhookRequest(
        webhook_id=call.id("webhook_id"), name=body.name, url=body.url, event_types=body.event_types,
        includes_restricted=body.includes_restricted, disabled=body.is_disabled, request_id=call.request_id,
    )))


@operation("POST", "/integrations/webhooks/{webhook_id}/secret", "Give a webhook a new secret", tag="integrations", answer=CreatedWebhook)
async def rotate_webhook_secret(call: Call) -> CreatedWebhook:
    """For a day both sign."""
    call.hide_answer()
    made = await call.clients.integrations.RotateWebhookSecret(
        integrations.RotateWebhookSecretRequest(webhook_id=call.id("webhook_id"))
    )
    return CreatedWebhook(webhook=webhook(made.webhook), secret=made.secret)


@operation("DELETE", "/integrations/webhooks/{webhook_id}", "Delete a webhook", tag="integrations", status=204)
async def delete_webhook(call: Call) -> None:
    """It is told nothing more."""
    await call.clients.integrations.DeleteWebhook(
        integrations.DeleteWebhookRequest(webhook_id=call.id("webhook_id"), request_id=call.request_id)
    )


class WebhookDelivery(Output, frozen=True, kw_only=True):
    """What a webhook was sent: its id is the header webhook-id. `answer` is the beginning of the last answer, or why there was none."""

    id: str
    event_type: str
    state: StateName
    tries: int
    create_time: datetime
    try_time: datetime | None
    next_try_time: datetime | None
    answer_status: int | None
    answer: str


class WebhookDeliveryList(Output, frozen=True, kw_only=True):
    """A page of deliveries."""

    deliveries: list[WebhookDelivery]
    next_page_token: str


class DeliveriesQuery(Page, frozen=True, kw_only=True):
    """Which deliveries."""

    state: StateName | None = None


def delivery(found: integrations.WebhookDelivery) -> WebhookDelivery:
    """A delivery, from feed's message."""
    return WebhookDelivery(
        id=found.delivery_id, event_type=found.event_type, state=STATE_NAMES.get(found.state, "dropped"), tries=found.tries,
        create_time=time_of(found.create_time), try_time=time_of(found.try_time) if found.HasField("try_time") else None,
        next_try_time=time_of(found.next_try_time) if found.HasField("next_try_time") else None,
        answer_status=found.answer_status or None, answer=found.answer,
    )


@operation(
    "GET", "/integrations/webhooks/{webhook_id}/deliveries", "List what a webhook was sent", tag="integrations", query=DeliveriesQuery,
    answer=WebhookDeliveryList,
)
async def list_webhook_deliveries(call: Call, query: DeliveriesQuery) -> WebhookDeliveryList:
    """Of the last 30 days, the newest first."""
    found = await call.clients.integrations.ListWebhookDeliveries(integrations.ListWebhookDeliveriesRequest(
        webhook_id=call.id("webhook_id"), page_size=query.page_size, page_token=query.page_token,
        state=STATES[query.state] if query.state else integrations.WEBHOOK_DELIVERY_STATE_UNSPECIFIED,
    ))
    return WebhookDeliveryList(deliveries=[delivery(each) for each in found.deliveries], next_page_token=found.next_page_token)


@operation("POST", "/integrations/webhooks/{webhook_id}/test", "Send a webhook a ping", tag="integrations", answer=WebhookDelivery)
async def test_webhook(call: Call) -> WebhookDelivery:
    """An event of the type `ping`, tried once; the answer says what came of it."""
    return delivery(await call.clients.integrations.TestWebhook(integrations.TestWebhookRequest(webhook_id=call.id("webhook_id"))))


@operation("POST", "/integrations/deliveries/{delivery_id}/retry", "Send a delivery again", tag="integrations", answer=WebhookDelivery)
async def retry_webhook_delivery(call: Call) -> WebhookDelivery:
    """Whatever came of it before."""
    return delivery(await call.clients.integrations.RetryWebhookDelivery(
        integrations.RetryWebhookDeliveryRequest(delivery_id=call.id("delivery_id"))
    ))


# --- bots -----------------------------------------------------------------------------------------------------------


class Bot(Output, frozen=True, kw_only=True):
    """A program with an account."""

    id: str
    name: str
    description: str
    community_id: str | None
    owner: models.Author
    create_time: datetime


class BotList(Output, frozen=True, kw_only=True):
    """The bots of a community or of the organisation."""

    bots: list[Bot]


class BotInput(Input, frozen=True, kw_only=True):
    """A new bot."""

    name: ShortName
    description: Annotated[str, Meta(max_length=500)] = ""
    community_id: Id | None = None


class BotTokenInput(Input, frozen=True, kw_only=True):
    """A token by which a bot acts."""

    name: Name
    scopes: Annotated[list[Literal["read", "write"]], Meta(min_length=1, max_length=2)]


class BotToken(Output, frozen=True, kw_only=True):
    """The secret is shown this once."""

    token: models.AccessToken
    secret: str


def bot(found: integrations.Bot) -> Bot:
    """A bot, from feed's message."""
    return Bot(
        id=found.bot_id, name=found.name, description=found.description, community_id=found.community_id or None,
        owner=models.author(found.owner), create_time=time_of(found.create_time),
    )


@operation("GET", "/integrations/bots", "List bots", tag="integrations", query=OwnerQuery, answer=BotList)
async def list_bots(call: Call, query: OwnerQuery) -> BotList:
    """For administrators, and for owners of the community."""
    found = await call.clients.integrations.ListBots(integrations.ListBotsRequest(community_id=query.community_id or ""))
    return BotList(bots=[bot(each) for each in found.bots])


@operation("POST", "/integrations/bots", "Make a bot", tag="integrations", status=201, body=BotInput, answer=Bot)
async def create_bot(call: Call, body: BotInput) -> Bot:
    """An account without password; it acts by access tokens, and is shown as a bot."""
    return bot(await bots.create_bot(call.request, body.name, body.description, body.community_id or ""))


@operation("DELETE", "/integrations/bots/{bot_id}", "End a bot", tag="integrations", status=204)
async def delete_bot(call: Call) -> None:
    """With its commands and tokens; what it wrote stays."""
    bot_id = call.id("bot_id")
    await call.clients.integrations.DeleteBot(integrations.DeleteBotRequest(bot_id=bot_id, request_id=call.request_id))
    await bots.end_account(call.request, bot_id)


@operation(
    "POST", "/integrations/bots/{bot_id}/tokens", "Make a token for a bot", tag="integrations", status=201, body=BotTokenInput,
    answer=BotToken,
)
async def issue_bot_token(call: Call, body: BotTokenInput) -> BotToken:
    """For who manages the bot."""
    call.hide_answer()
    made = await bots.issue_token(call.request, call.id("bot_id"), body.name, list(body.scopes))
    return BotToken(token=models.access_token(made.token), secret=made.secret)


# --- incoming hooks -------------------------------------------------------------------------------------------------


class IncomingHook(Output, frozen=True, kw_only=True):
    """An address at which another system posts, into a community or to whoever made it."""

    id: str
    name: str
    community_id: str | None
    bot_id: str
    create_time: datetime


class IncomingHookList(Output, frozen=True, kw_only=True):
    """The hooks of a community, or one's own."""

    hooks: list[IncomingHook]


class CreatedIncomingHook(Output, frozen=True, kw_only=True):
    """The address has the secret in it and is shown this once."""

    hook: IncomingHook
    url: str


class IncomingHookInput(Input, frozen=True, kw_only=True):
    """A new hook; without a community it posts to oneself."""

    name: ShortName
    community_id: Id | None = None


def incoming_hook(found: integrations.IncomingHook) -> IncomingHook:
    """A hook, from feed's message."""
    return IncomingHook(
        id=found.hook_id, name=found.name, community_id=found.community_id or None, bot_id=found.bot_id,
        create_time=time_of(found.create_time),
    )


def address_of(call: Call, made: integrations.CreateIncomingHookResponse) -> str:
    """Where the system posts."""
    return f"{call.gateway.context.settings.address}/api/v1/integrations/in/{made.hook.hook_id}/{made.secret}"


@operation("GET", "/integrations/incoming-hooks", "List incoming hooks", tag="integrations", query=OwnerQuery, answer=IncomingHookList)
async def list_incoming_hooks(call: Call, query: OwnerQuery) -> IncomingHookList:
    """Those of a community for its owners; without one, one's own."""
    found = await call.clients.integrations.ListIncomingHooks(
        integrations.ListIncomingHooksRequest(community_id=query.community_id or "")
    )
    return IncomingHookList(hooks=[incoming_hook(each) for each in found.hooks])


@operation(
    "POST", "/integrations/incoming-hooks", "Make an incoming hook", tag="integrations", status=201, body=IncomingHookInput,
    answer=CreatedIncomingHook,
)
async def create_incoming_hook(call: Call, body: IncomingHookInput) -> CreatedIncomingHook:
    """Messages are JSON with a text; those made for Slack are understood as far as they are text."""
    call.hide_answer()
    made = await bots.create_hook(call.request, body.name, body.community_id or "")
    return CreatedIncomingHook(hook=incoming_hook(made.hook), url=address_of(call, made))


@operation(
    "POST", "/integrations/incoming-hooks/{hook_id}/secret", "Give an incoming hook a new address", tag="integrations",
    answer=CreatedIncomingHook,
)
async def rotate_incoming_hook(call: Call) -> CreatedIncomingHook:
    """The one before ends at once."""
    call.hide_answer()
    made = await call.clients.integrations.RotateIncomingHook(integrations.RotateIncomingHookRequest(hook_id=call.id("hook_id")))
    return CreatedIncomingHook(hook=incoming_hook(made.hook), url=address_of(call, made))


@operation("DELETE", "/integrations/incoming-hooks/{hook_id}", "Delete an incoming hook", tag="integrations", status=204)
async def delete_incoming_hook(call: Call) -> None:
    """What it posted stays."""
    gone = await call.clients.integrations.DeleteIncomingHook(
        integrations.DeleteIncomingHookRequest(hook_id=call.id("hook_id"), request_id=call.request_id)
    )
    await bots.end_account(call.request, gone.bot_id)


# --- slash commands -------------------------------------------------------------------------------------------------


class SlashCommand(Output, frozen=True, kw_only=True):
    """What /name asks; `url` is shown to who manages the bot."""

    id: str
    bot_id: str
    bot_name: str
    name: str
    description: str
    hint: str
    url: str | None
    community_id: str | None


class SlashCommandList(Output, frozen=True, kw_only=True):
    """Commands by name."""

    commands: list[SlashCommand]


class RegisteredCommand(Output, frozen=True, kw_only=True):
    """The secret that signs the requests is shown this once."""

    command: SlashCommand
    secret: str


class CommandsQuery(Input, frozen=True, kw_only=True):
    """Which commands: those that may be typed in a community, or those of a bot."""

    community_id: Id | None = None
    prefix: Annotated[str, Meta(max_length=40)] = ""
    bot_id: Id | None = None


class CommandInput(Input, frozen=True, kw_only=True):
    """A new command."""

    bot_id: Id
    name: Annotated[str, Meta(max_length=32)]
    description: Annotated[str, Meta(max_length=200)]
    hint: Annotated[str, Meta(max_length=100)] = ""
    url: Url


class RunInput(Input, frozen=True, kw_only=True):
    """A command as typed, and where."""

    text: Annotated[str, Meta(min_length=2, max_length=2_000)]
    parent_id: Id | None = None
    audience: AudienceInput | None = None


class CommandAnswer(Output, frozen=True, kw_only=True):
    """What the bot says to the asker alone, or what it posted in the thread."""

    command_name: str
    bot_name: str
    text: str
    post_id: str | None


def command(found: integrations.SlashCommand) -> SlashCommand:
    """A command, from feed's message."""
    return SlashCommand(
        id=found.command_id, bot_id=found.bot_id, bot_name=found.bot_name, name=found.name, description=found.description,
        hint=found.hint, url=found.url or None, community_id=found.community_id or None,
    )


@operation("GET", "/integrations/commands", "List slash commands", tag="integrations", query=CommandsQuery, answer=SlashCommandList)
async def list_commands(call: Call, query: CommandsQuery) -> SlashCommandList:
    """What may be typed there."""
    found = await call.clients.integrations.ListCommands(integrations.ListCommandsRequest(
        community_id=query.community_id or "", prefix=query.prefix.removeprefix("/"), bot_id=query.bot_id or ""
    ))
    return SlashCommandList(commands=[command(each) for each in found.commands])


@operation(
    "POST", "/integrations/commands", "Register a slash command", tag="integrations", status=201, body=CommandInput,
    answer=RegisteredCommand,
)
async def register_command(call: Call, body: CommandInput) -> RegisteredCommand:
    """For who manages the bot; it holds where the bot does."""
    call.hide_answer()
    made = await call.clients.integrations.RegisterCommand(integrations.RegisterCommandRequest(
        bot_id=body.bot_id, name=body.name, description=body.description, hint=body.hint, url=body.url, request_id=call.request_id
    ))
    return RegisteredCommand(command=command(made.command), secret=made.secret)


@operation("DELETE", "/integrations/commands/{command_id}", "Delete a slash command", tag="integrations", status=204)
async def delete_command(call: Call) -> None:
    """For who manages the bot."""
    await call.clients.integrations.DeleteCommand(
        integrations.DeleteCommandRequest(command_id=call.id("command_id"), request_id=call.request_id)
    )


@operation("POST", "/integrations/commands/run", "Ask a bot", tag="integrations", body=RunInput, answer=CommandAnswer)
async def run_command(call: Call, body: RunInput) -> CommandAnswer:
    """Typed as /name and what follows; the bot has three seconds."""
    answered = await call.clients.integrations.RunCommand(integrations.RunCommandRequest(
        text=body.text, parent_id=body.parent_id or "", audience=read_audience(call, body.audience),
        request_id=call.request_id,
    ))
    return CommandAnswer(
        command_name=answered.command_name, bot_name=answered.bot_name, text=answered.text,
        post_id=answered.post.post_id if answered.HasField("post") else None,
    )
