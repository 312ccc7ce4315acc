"""Webhooks, bots, incoming hooks and slash commands."""
from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
from datetime import timedelta
from typing import Any, Final

from libs.eventstore.model import InvalidArgument, NotFound, PermissionDenied, Rejected, micros
from libs.fetch import FetchFailed, FetchRefused, Limits, fetch
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.rpc.errors import ResourceExhausted
from libs.runtime.service import Context
from libs.telemetry import logs
from libs.text.ids import is_id, new_id, pair_id
from watercooler.common.v1.audience_pb2 import Audience, Everyone, People
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import integration_service_pb2 as pb
from watercooler.feed.v1.integration_service_pb2_grpc import IntegrationServiceServicer

from .. import commands, signing
from ..commands import integrations as integration_commands
from ..deciders import bot, incoming, membership, slash_command, webhook
from ..queries import communities as community_queries
from ..queries import integrations as queries
from ..queries import people as people_queries
from ..queries import posts as post_queries
from ..queries.integrations import Due, Run
from ..webhooks import PING, Sending, check_target, private_of
from .base import NO_COMMUNITY, Calls, bad_token, key_of, page_size, person, token
from .posts import PostCalls

_OWNER = events_pb2.MEMBER_ROLE_OWNER
ROTATION: Final = timedelta(hours=24)
ANSWER_SECONDS: Final = 3.0
ANSWER_BYTES: Final = 64 * 1024
RESPONSE_LIFETIME: Final = timedelta(minutes=30)
RESPONSES_MAX: Final = 5
COMMAND_CHARACTERS: Final = 2_000
TEXT_CHARACTERS: Final = 10_000
INCOMING_PER_MINUTE: Final = 60
NO_HOOK: Final = "there is no such webhook"

_log = logs.get_logger(__name__)


class IntegrationApi(Calls, IntegrationServiceServicer):
    """IntegrationService."""

    def __init__(self, context: Context, posts: PostCalls, sending: Sending) -> None:
        """Publishes through the calls of posts."""
        super().__init__(context)
        self._posts = posts
        self._sending = sending
        self._private = private_of(context)
        # When each incoming hook posted lately; for this process, which is enough to stop a loop.
        self._posted: dict[str, list[float]] = {}
        # For tests: how names are resolved, if not by the system.
        self.resolve: Any = None

    async def _may_manage(self, caller: Caller, community_id: str) -> None:
        """Whether the caller manages what belongs to a community, or to the organisation."""
        if not community_id:
            if not caller.is_administrator:
                raise PermissionDenied("only administrators manage what belongs to the whole organisation: ask one of them")
            return
        async with self.database.snapshot() as tx:
            found = await community_queries.fetch_community(tx, caller, community_id)
        if found is None:
            raise NotFound(NO_COMMUNITY, "community_id")
        if caller.is_guest:  # a bot reads as employees do
            raise PermissionDenied("guests connect no programs: ask an employee who owns the community")
        if found.my_role != _OWNER and not caller.is_administrator:
            raise PermissionDenied("only the community's owners can do this: ask one of them")

    async def CheckIntegrationAccess(
        self, request: pb.CheckIntegrationAccessRequest, context: Any
    ) -> pb.CheckIntegrationAccessResponse:
        """Nothing, or the reason why not."""
        await self._may_manage(person(), request.community_id)
        return pb.CheckIntegrationAccessResponse()

    # --- outgoing webhooks -----------------------------------------------------------------------------------------

    async def CreateWebhook(self, request: pb.CreateWebhookRequest, context: Any) -> pb.CreateWebhookResponse:
        """Tell another system of events from now on; the secret is shown this once."""
        caller = person()
        await self._may_manage(caller, request.community_id)
        check_target(request.url, self._private)
        webhook_id, secret = new_id(), signing.new_secret()
        create = integration_commands.CreateWebhook(
            webhook_id=webhook_id, name=request.name, url=request.url, community_id=request.community_id,
            event_types=list(request.event_types), includes_restricted=request.includes_restricted, secret=secret,
            creator_id=caller.person_id, now=self.now(),
        )
        await self.handle(caller, webhook, f"webhook-{webhook_id}", create)
        return pb.CreateWebhookResponse(webhook=await self._webhook(caller, webhook_id), secret=secret)

    async def UpdateWebhook(self, request: pb.UpdateWebhookRequest, context: Any) -> pb.Webhook:
        """Change it, and switch it on or off."""
        caller = person()
        found = await self._webhook(caller, request.webhook_id)
        check_target(request.url, self._private)
        stream = f"webhook-{found.webhook_id}"
        change = integration_commands.ChangeWebhook(
            webhook_id=found.webhook_id, name=request.name, url=request.url, event_types=list(request.event_types),
            includes_restricted=request.includes_restricted,
        )
        await self.handle(caller, webhook, stream, change, request.request_id)
        if request.disabled and not found.disabled:
            off = integration_commands.DisableWebhook(webhook_id=found.webhook_id, reason="Switched off by hand.", now=self.now())
            await self.handle(caller, webhook, stream, off)
        elif found.disabled and not request.disabled:
            async with self.database.transaction() as tx:  # it begins anew: five more days
                await queries.succeeded(tx, found.webhook_id)
            await self.handle(caller, webhook, stream, integration_commands.EnableWebhook(webhook_id=found.webhook_id))
        return await self._webhook(caller, found.webhook_id)

    async def RotateWebhookSecret(self, request: pb.RotateWebhookSecretRequest, context: Any) -> pb.CreateWebhookResponse:
        """A new secret, shown this once; for a day both sign."""
        caller = person()
        found = await self._webhook(caller, request.webhook_id)
        secret = signing.new_secret()
        rotate = integration_commands.RotateWebhook(
            webhook_id=found.webhook_id, secret=secret, previous_until=self.now() + ROTATION
        )
        await self.handle(caller, webhook, f"webhook-{found.webhook_id}", rotate)
        return pb.CreateWebhookResponse(webhook=await self._webhook(caller, found.webhook_id), secret=secret)

    async def DeleteWebhook(self, request: pb.DeleteWebhookRequest, context: Any) -> pb.Webhook:
        """Tell it nothing more."""
        caller = person()
        found = await self._webhook(caller, request.webhook_id)
        delete = integration_commands.DeleteWebhook(webhook_id=found.webhook_id)
        await self.handle(caller, webhook, f"webhook-{found.webhook_id}", delete, request.request_id)
        return found

    async def GetWebhook(self, request: pb.GetWebhookRequest, context: Any) -> pb.Webhook:
        """One webhook, for who manages it."""
        return await self._webhook(auth.caller(), request.webhook_id)

    async def ListWebhooks(self, request: pb.ListWebhooksRequest, context: Any) -> pb.ListWebhooksResponse:
        """Those of a community or of the organisation."""
        await self._may_manage(auth.caller(), request.community_id)
        async with self.database.snapshot() as tx:
            return pb.ListWebhooksResponse(webhooks=await queries.webhooks(tx, request.community_id))

    async def TestWebhook(self, request: pb.TestWebhookRequest, context: Any) -> pb.WebhookDelivery:
        """Send it a ping now and answer what came of it; it is tried once."""
        caller = person()
        found = await self._webhook(caller, request.webhook_id)
        if found.disabled:
            raise Rejected("the webhook is switched off: switch it on first")
        delivery_id = new_id()
        async with self.database.transaction() as tx:
            await queries.note(tx, delivery_id, found.webhook_id, PING, "", 0, micros(self.now()))
            # Noted as done, so that it does not wait behind what does.
            await queries.settle(tx, delivery_id, queries.DROPPED, 0, 0, 0, 0, "")
        await self._sending.send(Due(delivery_id, found.webhook_id, PING, "", 0, 0, 0))
        async with self.database.snapshot() as tx:
            return await queries.delivery(tx, delivery_id) or pb.WebhookDelivery(delivery_id=delivery_id)

    async def ListWebhookDeliveries(
        self, request: pb.ListWebhookDeliveriesRequest, context: Any
    ) -> pb.ListWebhookDeliveriesResponse:
        """What it was sent and what came of it, the newest first."""
        found = await self._webhook(auth.caller(), request.webhook_id)
        before = (1 << 62, "~")
        if request.page_token:
            time, _, last = key_of(request.page_token).partition(" ")
            if not (time.isascii() and time.isdigit() and len(time) < 19 and is_id(last)):
                raise bad_token()
            before = (int(time), last)
        size = page_size(request.page_size)
        async with self.database.snapshot() as tx:
            rows = await queries.deliveries(tx, found.webhook_id, request.state, before, size + 1)
        following = token(f"{rows[size - 1][0]} {rows[size - 1][1].delivery_id}") if len(rows) > size else ""
        return pb.ListWebhookDeliveriesResponse(deliveries=[each for _, each in rows[:size]], next_page_token=following)

    async def RetryWebhookDelivery(self, request: pb.RetryWebhookDeliveryRequest, context: Any) -> pb.WebhookDelivery:
        """Send it once more, whatever came of it."""
        caller = person()
        async with self.database.snapshot() as tx:
            found = await queries.delivery(tx, request.delivery_id)
        if found is None or found.event_type == PING:
            raise NotFound("there is no such delivery, or no longer")
        await self._webhook(caller, found.webhook_id)
        async with self.database.transaction() as tx:
            await queries.again(tx, found.delivery_id)
        self._sending.wake()
        async with self.database.snapshot() as tx:
            return await queries.delivery(tx, found.delivery_id) or found

    async def _webhook(self, caller: Caller, webhook_id: str) -> pb.Webhook:
        async with self.database.snapshot() as tx:
            found = await queries.webhook(tx, webhook_id)
        if found is None:
            raise NotFound(NO_HOOK)
        await self._may_manage(caller, found.community_id)
        return found

    # --- bots ------------------------------------------------------------------------------------------------------

    async def CreateBot(self, request: pb.CreateBotRequest, context: Any) -> pb.Bot:
        """Put an account of identity to use as a bot; one of a community is a member of it."""
        caller = person()
        await self._may_manage(caller, request.community_id)
        await self._check_account(request.bot_id, request.community_id)
        create = integration_commands.CreateBot(
            bot_id=request.bot_id, name=request.name, description=request.description, community_id=request.community_id,
            owner_id=caller.person_id, now=self.now(),
        )
        await self.handle(caller, bot, f"bot-{request.bot_id}", create, request.request_id)
        await self._admit(caller, request.community_id, request.bot_id)
        return await self._bot(caller, request.bot_id)

    async def _check_account(self, bot_id: str, community_id: str | None = None) -> None:
        """Refuse an account that is a person's or another program's, which would write in its name; the bot of that community may repeat.

        One that identity made a moment ago may not be known here yet.
        """
        if not is_id(bot_id):
            raise InvalidArgument("a bot or hook has an account in identity: name its id", "bot_id")
        async with self.database.snapshot() as tx:
            author = (await post_queries.fetch_authors(tx, [bot_id])).get(bot_id)
            known = await queries.bot(tx, bot_id)
            taken = await queries.has_incoming_hook(tx, bot_id) or (known is not None and known.community_id != community_id)
        if taken or (author is not None and not author.bot):
            raise PermissionDenied("this account is not free: a bot or hook has one of its own, made for it in identity")

    async def _admit(self, caller: Caller, community_id: str, bot_id: str) -> None:
        if not community_id:
            return
        admit = commands.Admit(
            community_id=community_id, person_id=bot_id, role=events_pb2.MEMBER_ROLE_MEMBER, admitter_id=caller.person_id, now=self.now()
        )
        await self.handle(caller, membership, f"membership-{pair_id(community_id, bot_id)}", admit)

    async def GetBot(self, request: pb.GetBotRequest, context: Any) -> pb.Bot:
        """One bot, for who manages it."""
        return await self._bot(auth.caller(), request.bot_id)

    async def ListBots(self, request: pb.ListBotsRequest, context: Any) -> pb.ListBotsResponse:
        """Those of a community or of the organisation."""
        await self._may_manage(auth.caller(), request.community_id)
        async with self.database.snapshot() as tx:
            return pb.ListBotsResponse(bots=await queries.bots(tx, request.community_id))

    async def DeleteBot(self, request: pb.DeleteBotRequest, context: Any) -> pb.Bot:
        """End a bot and its commands; what it wrote stays."""
        caller = person()
        found = await self._bot(caller, request.bot_id)
        delete = integration_commands.DeleteBot(bot_id=found.bot_id)
        await self.handle(caller, bot, f"bot-{found.bot_id}", delete, request.request_id)
        return found

    async def _bot(self, caller: Caller, bot_id: str) -> pb.Bot:
        async with self.database.snapshot() as tx:
            found = await queries.bot(tx, bot_id)
        if found is None:
            raise NotFound("there is no such bot")
        await self._may_manage(caller, found.community_id)
        return found

    # --- incoming hooks --------------------------------------------------------------------------------------------

    async def CreateIncomingHook(self, request: pb.CreateIncomingHookRequest, context: Any) -> pb.CreateIncomingHookResponse:
        """An address at which another system posts; the secret is shown this once."""
        caller = person()
        if request.person_id:
            if request.person_id != caller.person_id:
                raise PermissionDenied("a hook posts to whoever made it, or into a community")
        else:
            await self._may_manage(caller, request.community_id)
        await self._check_account(request.bot_id)
        hook_id, secret = new_id(), secrets.token_urlsafe(32)
        create = integration_commands.CreateIncomingHook(
            hook_id=hook_id, name=request.name, community_id=request.community_id, person_id=request.person_id, bot_id=request.bot_id,
            secret_hash=_hash(secret), creator_id=caller.person_id, now=self.now(),
        )
        await self.handle(caller, incoming, f"incoming-{hook_id}", create)
        await self._admit(caller, request.community_id, request.bot_id)
        return pb.CreateIncomingHookResponse(hook=await self._incoming(caller, hook_id), secret=secret)

    async def RotateIncomingHook(self, request: pb.RotateIncomingHookRequest, context: Any) -> pb.CreateIncomingHookResponse:
        """A new address; the one before ends at once."""
        caller = person()
        found = await self._incoming(caller, request.hook_id)
        secret = secrets.token_urlsafe(32)
        rotate = integration_commands.RotateIncomingHook(hook_id=found.hook_id, secret_hash=_hash(secret))
        await self.handle(caller, incoming, f"incoming-{found.hook_id}", rotate)
        return pb.CreateIncomingHookResponse(hook=found, secret=secret)

    async def ListIncomingHooks(self, request: pb.ListIncomingHooksRequest, context: Any) -> pb.ListIncomingHooksResponse:
        """Those that post into a community, or to the caller."""
        caller = auth.caller()
        if request.community_id:
            await self._may_manage(caller, request.community_id)
        own = "" if request.community_id else caller.person_id
        async with self.database.snapshot() as tx:
            return pb.ListIncomingHooksResponse(hooks=await queries.incoming_hooks(tx, request.community_id, own))

    async def DeleteIncomingHook(self, request: pb.DeleteIncomingHookRequest, context: Any) -> pb.IncomingHook:
        """Take nothing more at its address."""
        caller = person()
        found = await self._incoming(caller, request.hook_id)
        delete = integration_commands.DeleteIncomingHook(hook_id=found.hook_id)
        await self.handle(caller, incoming, f"incoming-{found.hook_id}", delete, request.request_id)
        return found

    async def PostByIncomingHook(self, request: pb.PostByIncomingHookRequest, context: Any) -> feed.Post:
        """Post as the hook's bot; whoever has the secret may."""
        async with self.database.snapshot() as tx:
            held = await queries.incoming(tx, request.hook_id)
        if held is None or not hmac.compare_digest(held[1], _hash(request.secret)):
            raise NotFound("there is no such hook, or its secret is not right")
        found = held[0]
        self._count(found.hook_id)
        audience = (
            Audience(community_id=found.community_id) if found.community_id else Audience(people=People(person_ids=[found.person_id]))
        )
        publish = feed.PublishPostRequest(body=request.body, audience=audience, request_id=request.request_id)
        return await self._posts.publish(_bot_caller(found.bot_id), publish)

    def _count(self, hook_id: str) -> None:
        now = asyncio.get_running_loop().time()
        lately = [each for each in self._posted.get(hook_id, ()) if now - each < 60]
        if len(lately) >= INCOMING_PER_MINUTE:
            raise ResourceExhausted(f"a hook posts at most {INCOMING_PER_MINUTE} times a minute: wait a little", 60)
        self._posted[hook_id] = [*lately, now]

    async def _incoming(self, caller: Caller, hook_id: str) -> pb.IncomingHook:
        async with self.database.snapshot() as tx:
            held = await queries.incoming(tx, hook_id)
        if held is None or (held[0].person_id and held[0].person_id != caller.person_id):
            raise NotFound("there is no such hook")
        if held[0].community_id:
            await self._may_manage(caller, held[0].community_id)
        return held[0]

    # --- slash commands --------------------------------------------------------------------------------------------

    async def RegisterCommand(self, request: pb.RegisterCommandRequest, context: Any) -> pb.RegisterCommandResponse:
        """Let people ask a bot by /name; the secret that signs the requests is shown this once."""
        caller = person()
        found = await self._bot(caller, request.bot_id)
        check_target(request.url, self._private)
        command_id, secret = new_id(), signing.new_secret()
        register = integration_commands.RegisterSlashCommand(
            command_id=command_id, bot_id=found.bot_id, name=request.name, description=request.description, hint=request.hint,
            url=request.url, community_id=found.community_id, secret=secret, creator_id=caller.person_id, now=self.now(),
        )
        await self.handle(caller, slash_command, f"command-{command_id}", register)
        async with self.database.snapshot() as tx:
            made = await queries.command(tx, command_id)
        assert made is not None
        return pb.RegisterCommandResponse(command=made, secret=secret)

    async def ListCommands(self, request: pb.ListCommandsRequest, context: Any) -> pb.ListCommandsResponse:
        """What may be typed there; those of a bot with their addresses, for who manages it."""
        caller = auth.caller()
        if request.bot_id:
            await self._bot(caller, request.bot_id)
            async with self.database.snapshot() as tx:
                return pb.ListCommandsResponse(commands=await queries.commands(tx, (), bot_id=request.bot_id))
        async with self.database.snapshot() as tx:
            found = await community_queries.fetch_community(tx, caller, request.community_id) if request.community_id else None
            listed = await queries.commands(tx, (found.community_id if found else "",), request.prefix[:40].lower())
        for each in listed:
            each.ClearField("url")
        return pb.ListCommandsResponse(commands=listed)

    async def DeleteCommand(self, request: pb.DeleteCommandRequest, context: Any) -> pb.SlashCommand:
        """End a command."""
        caller = person()
        async with self.database.snapshot() as tx:
            found = await queries.command(tx, request.command_id)
        if found is None:
            raise NotFound("there is no such command")
        await self._bot(caller, found.bot_id)
        delete = integration_commands.DeleteSlashCommand(command_id=found.command_id)
        await self.handle(caller, slash_command, f"command-{found.command_id}", delete, request.request_id)
        return found

    async def RunCommand(self, request: pb.RunCommandRequest, context: Any) -> pb.RunCommandResponse:
        """Ask the bot, and answer what it says within three seconds."""
        caller = person()
        if len(request.text) > COMMAND_CHARACTERS:
            raise InvalidArgument(f"a command has at most {COMMAND_CHARACTERS:,} characters", "text")
        name, _, rest = request.text.strip().removeprefix("/").partition(" ")
        now = self.now()
        async with self.database.snapshot() as tx:
            if not request.parent_id and request.audience.WhichOneof("kind") in ("everyone", "community_id"):
                # Where the bot may answer for all to see, the asker may write too.
                await self._posts.check_audience(tx, caller, request.audience, now)
            community_id = request.audience.community_id
            if request.parent_id:
                frame = await post_queries.fetch_frame(tx, caller, request.parent_id)
                if frame is None:
                    raise NotFound("there is no such post, or it is not for you to see", "parent_id")
                community_id = frame["scope_id"] if frame["scope"] == "community" else ""
            found = [each for each in await queries.commands(tx, (community_id,), name.lower()) if each.name == name.lower()]
            if not found:
                raise InvalidArgument(f"there is no command /{name[:40]} here: begin with another word to post it as text", "text")
            asked = found[0]
            secret = await queries.command_secret(tx, asked.command_id)
            authors = await post_queries.fetch_authors(tx, [caller.person_id])
        me = authors.get(caller.person_id) or feed.Author(person_id=caller.person_id)
        answer_token = secrets.token_urlsafe(32)
        unsaid = Audience(people=People(person_ids=[caller.person_id])) if caller.is_guest else Audience(everyone=Everyone())
        audience = request.audience if request.audience.WhichOneof("kind") else unsaid
        run = Run(asked.command_id, asked.bot_id, caller.person_id, request.parent_id, audience)
        async with self.database.transaction() as tx:
            await queries.keep_run(tx, _hash(answer_token), run, micros(now), micros(now + RESPONSE_LIFETIME))
        body = json.dumps({
            "type": "command", "timestamp": now.isoformat().replace("+00:00", "Z"),
            "data": {
                "command": f"/{asked.name}", "text": rest.strip(), "community_id": community_id or None,
                "parent_id": request.parent_id or None,
                "person": {"id": me.person_id, "handle": me.handle, "display_name": me.display_name},
                "response_url": f"{self.context.settings.address}/api/v1/integrations/responses/{answer_token}",
            },
        }, ensure_ascii=False).encode()
        answered = await self._ask(asked, signing.headers_of([secret], new_id(), int(now.timestamp()), body), body)
        answer = pb.RunCommandResponse(command_name=asked.name, bot_name=asked.bot_name)
        text = answered.get("text", "")
        if not isinstance(text, str) or len(text) > TEXT_CHARACTERS or "\0" in text:
            raise Rejected(f"/{asked.name} answered with a text that cannot be shown: tell whoever runs {asked.bot_name}")
        if answered.get("response_type") == "in_thread" and text.strip():
            answer.post.CopyFrom(await self._say(run, text, in_thread=True))
        else:
            answer.text = text
        return answer

    async def _ask(self, asked: pb.SlashCommand, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        said = f"/{asked.name} did not work"
        try:
            check_target(asked.url, self._private)
            got = await fetch(
                asked.url, method="POST", headers=headers, body=body, limits=Limits(seconds=ANSWER_SECONDS, bytes_max=ANSWER_BYTES),
                allow_private=self._private, resolve=self.resolve,
            )
        except (InvalidArgument, FetchRefused, FetchFailed) as error:
            _log.info("a command was not answered", command=asked.name, reason=str(error))
            raise Rejected(f"{said}: {asked.bot_name} did not answer. Try again later, or tell whoever runs it") from error
        if not 200 <= got.status < 300:
            raise Rejected(f"{said}: {asked.bot_name} answered with an error ({got.status}). Try again later, or tell whoever runs it")
        if not got.body.strip():
            return {}
        if got.media_type == "application/json":
            try:
                found = json.loads(got.body)
            except (ValueError, RecursionError) as error:
                raise Rejected(f"{said}: what {asked.bot_name} answered cannot be read. Tell whoever runs it") from error
            return found if isinstance(found, dict) else {}
        return {"text": got.body.decode("utf-8", "replace").replace("\0", "")}

    async def RespondToCommand(self, request: pb.RespondToCommandRequest, context: Any) -> feed.Post:
        """What the bot says later: in the thread, or to the asker; five times within half an hour."""
        if not request.text.strip():
            raise InvalidArgument("say something", "text")
        async with self.database.transaction() as tx:
            run = await queries.use_run(tx, _hash(request.token), micros(self.now()), RESPONSES_MAX)
            here = await people_queries.present(tx, [run.person_id]) if run else set()
        if run is None or run.person_id not in here:
            raise NotFound(f"this address takes {RESPONSES_MAX} answers within 30 minutes; it takes none now")
        return await self._say(run, request.text, in_thread=request.in_thread)

    async def _say(self, run: Run, text: str, *, in_thread: bool) -> feed.Post:
        publish = feed.PublishPostRequest(body=text)
        if not in_thread:
            publish.audience.CopyFrom(Audience(people=People(person_ids=[run.person_id])))
        elif run.parent_id:
            publish.parent_id = run.parent_id
        elif run.audience.WhichOneof("kind") in ("everyone", "community_id"):
            publish.audience.CopyFrom(run.audience)
        else:
            publish.audience.CopyFrom(Audience(people=People(person_ids=[run.person_id])))
        caller = _bot_caller(run.bot_id)
        if publish.parent_id:
            async with self.database.snapshot() as tx:
                if await post_queries.fetch_frame(tx, caller, publish.parent_id) is None:
                    raise Rejected("the bot may not write in this thread: it is no member there")
        return await self._posts.publish(caller, publish)


def _bot_caller(bot_id: str) -> Caller:
    return Caller(bot_id, frozenset({"bot"}), frozenset({"read", "write"}))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
