"""Tells webhooks of events: each notes what it is to be told while the logs are followed, and is sent it in order, until it is taken."""
from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from google.protobuf.message import Message

from libs.db.database import Reader
from libs.eventstore.handle import handle
from libs.eventstore.model import InvalidArgument, Metadata, NotFound, Recorded, micros
from libs.fetch import FetchFailed, FetchRefused, Limits, check_url, fetch
from libs.runtime.service import Context
from libs.subscriptions.cloudevents import to_json
from libs.telemetry import logs
from libs.text.ids import pair_id
from watercooler.feed.v1 import events_pb2 as feed
from watercooler.feed.v1 import integration_events_pb2 as hooks
from watercooler.feed.v1.integration_service_pb2 import Webhook
from watercooler.identity.v1 import events_pb2 as identity

from .commands.integrations import DisableWebhook
from .deciders import webhook
from .queries import integrations as queries
from .queries.integrations import Due, Target
from .signing import headers_of

PING: Final = "ping"
SECONDS: Final = 10.0
ANSWER_BYTES: Final = 4_096
ANSWER_CHARACTERS: Final = 500
WAITING_MAX: Final = 10_000
KEPT: Final = timedelta(days=30)
KEPT_PER_HOOK: Final = 5_000
# After the first try, so long until the next: 71.6 hours in all.
PAUSES: Final = tuple(
    timedelta(seconds=each) for each in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 72_000)
)
DEAD_AFTER: Final = timedelta(days=5)
LOOK_SECONDS: Final = 30.0
TIDY_SECONDS: Final = 3_600.0
_GONE: Final = 410

_log = logs.get_logger(__name__)

_POSTS: Final = (feed.PostPublished, feed.PostEdited, feed.PostDeleted, feed.ReactionAdded, feed.ReactionRemoved, feed.PollClosed)
_COMMUNITIES: Final = (
    feed.CommunityCreated, feed.CommunityChanged, feed.CommunityArchived, feed.CommunityUnarchived, feed.MemberJoined,
    feed.MemberRoleChanged, feed.MemberLeft, feed.MemberRemoved,
)
_HOOKS: Final = (
    hooks.WebhookCreated, hooks.WebhookChanged, hooks.WebhookSecretRotated, hooks.WebhookDisabled, hooks.WebhookEnabled,
    hooks.WebhookDeleted,
)
_PEOPLE: Final = (
    identity.PersonAdded, identity.PersonProfileChanged, identity.PersonLeft, identity.PersonRejoined, identity.PersonErased,
)


def private_of(context: Context) -> frozenset[str]:
    """The hosts of the own network that may be asked all the same."""
    return frozenset(each for each in context.settings.private_hosts.split(",") if each)


def check_target(url: str, private: frozenset[str]) -> None:
    """Whether requests may go to an address.

    Raises:
        InvalidArgument: it is none, not public, or not encrypted.
    """
    try:
        check_url(url, private)
    except FetchRefused as error:
        raise InvalidArgument(str(error), "url") from error
    parts = urlsplit(url)
    if parts.scheme != "https" and (parts.hostname or "").lower() not in private:
        raise InvalidArgument("the address begins with https: what is sent is for nobody else to read", "url")


class Telling:
    """Notes what each webhook is to be told, as its log is followed; the same event again notes nothing."""

    def __init__(self, context: Context, sending: Sending, source: str) -> None:
        """Of one log."""
        self.name = f"feed.webhooks-{source}"
        self.handles: tuple[type[Message], ...] = (*_POSTS, *_COMMUNITIES, *_HOOKS) if source == "feed" else _PEOPLE
        self._context = context
        self._sending = sending
        self._source = source

    async def react(self, event: Recorded) -> None:
        """Note it for those that want it and may be told."""
        if isinstance(event.data, _HOOKS):
            self._sending.changed()
            return
        found = [each for each in await self._sending.targets() if event.data.DESCRIPTOR.full_name in each.event_types]
        if not found or (isinstance(event.data, feed.PostPublished) and event.data.external_id):
            return
        database = self._context.database
        place = await _place(database, event.data)
        told = [each for each in found if _may_be_told(each, *place)]
        for each in told:
            if await queries.count_waiting(database, each.webhook_id) >= WAITING_MAX:
                await self._sending.switch_off(each.webhook_id, f"More than {WAITING_MAX:,} events waited for it.")
                continue
            async with database.transaction() as tx:
                await queries.note(
                    tx, pair_id(each.webhook_id, event.id), each.webhook_id, event.data.DESCRIPTOR.full_name, self._source, event.position,
                    event.record_micros,
                )
        if told:
            self._sending.wake()


async def _place(database: Reader, data: Any) -> tuple[str, str, str]:
    """The scope of what happened, of which community, and how open that is."""
    if isinstance(data, _POSTS):
        scope, scope_id, _ = await queries.place_of_post(database, data.post_id)
    elif isinstance(data, _COMMUNITIES):
        scope, scope_id = "community", data.community_id
    else:
        return "everyone", "", "open"
    if scope != "community":
        return scope, "", "open" if scope == "everyone" else "secret" if scope in ("people", "nobody") else "closed"
    return scope, scope_id, await queries.openness(database, scope_id)


def _may_be_told(target: Target | Webhook, scope: str, community_id: str, openness: str) -> bool:
    if target.community_id:
        return scope == "community" and community_id == target.community_id
    return openness == "open" or (openness == "closed" and target.includes_restricted)


class Sending:
    """Sends each webhook what waits for it, one after the other, and tries again after the pauses above.

    An answer of 2xx within ten seconds is a success; redirects are none. 410 switches the webhook off, and so does failing for five days.
    """

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context
        self._private = private_of(context)
        self._wake = asyncio.Event()
        self._targets: list[Target] | None = None
        self._running: dict[str, asyncio.Task[float]] = {}
        # For tests: how names are resolved, if not by the system.
        self.resolve: Any = None

    async def targets(self) -> list[Target]:
        """Every webhook that is switched on, read again after a change."""
        if self._targets is None:
            self._targets = await queries.targets(self._context.database)
        return self._targets

    def changed(self) -> None:
        """A webhook was made or changed."""
        self._targets = None
        self.wake()

    def wake(self) -> None:
        """Look again: something waits."""
        self._wake.set()

    async def run(self) -> None:
        """Go on until it is cancelled."""
        tidied = -TIDY_SECONDS
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._wake.clear()
                try:
                    if loop.time() - tidied >= TIDY_SECONDS:
                        await self._tidy()
                        tidied = loop.time()
                    for webhook_id in await queries.waiting_hooks(self._context.database):
                        if webhook_id not in self._running:
                            self._running[webhook_id] = asyncio.create_task(self._drain(webhook_id))
                            self._running[webhook_id].add_done_callback(lambda task, of=webhook_id: self._done(of, task))  # type: ignore[misc]
                except Exception:
                    _log.exception("webhooks could not be looked up; it is tried again")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._wake.wait()
        finally:
            for task in list(self._running.values()):
                task.cancel()

    def _done(self, webhook_id: str, task: asyncio.Task[float]) -> None:
        self._running.pop(webhook_id, None)
        if task.cancelled():
            return
        wait = LOOK_SECONDS
        if error := task.exception():
            _log.error("a webhook's deliveries stay for now", webhook_id=webhook_id, exc_info=error)
        else:
            wait = task.result()
        if wait < LOOK_SECONDS:
            asyncio.get_running_loop().call_later(wait, self.wake)

    async def _drain(self, webhook_id: str) -> float:
        """Send what is due; answers how many seconds are left until something is."""
        while True:
            found = await queries.head(self._context.database, webhook_id)
            if found is None:
                return LOOK_SECONDS
            wait = (found.due_time - micros(self._context.now())) / 1_000_000
            if wait > 0:
                return wait
            await self.send(found)
            if await queries.signing(self._context.database, webhook_id, 0) is None:
                return LOOK_SECONDS

    async def send(self, due: Due) -> None:
        """Try once, and note what became of it."""
        context = self._context
        signing = await queries.signing(context.database, due.webhook_id, micros(context.now()))
        if signing is None:
            return
        url, secrets = signing
        told = await self._told(due)
        now = micros(context.now())
        if told is None:
            async with context.database.transaction() as tx:
                why = "What it told of is gone, or not for it any more."
                await queries.settle(tx, due.delivery_id, queries.DROPPED, due.tries, 0, now, 0, why)
            return
        body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
        status, answer = await self._post(url, headers_of(secrets, due.delivery_id, now // 1_000_000, body), body)
        await self._settle(due, micros(context.now()), status, answer)

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        try:
            check_target(url, self._private)
            got = await fetch(
                url, method="POST", headers=headers, body=body, limits=Limits(seconds=SECONDS, bytes_max=ANSWER_BYTES, cut=True),
                allow_private=self._private, resolve=self.resolve,
            )
        except InvalidArgument as error:
            return 0, error.reason
        except (FetchRefused, FetchFailed) as error:
            return 0, str(error)
        return got.status, got.body.decode("utf-8", "replace").replace("\0", "")[:ANSWER_CHARACTERS]

    async def _told(self, due: Due) -> dict[str, Any] | None:
        """The body of a delivery; None where what it would tell of was deleted, erased or closed to it meanwhile."""
        stamp = datetime.now(UTC)
        if not due.position:
            return {"type": PING, "timestamp": _written(stamp), "data": {"webhook_id": due.webhook_id}}
        log = self._context.log(due.source) if due.source != self._context.name else self._context.events
        found: Sequence[Recorded] = await log.tail(due.position - 1, 1)
        if not found or found[0].position != due.position:
            return None
        event = found[0]
        if isinstance(event.data, feed.PostPublished | feed.PostEdited):
            _, _, gone = await queries.place_of_post(self._context.database, event.data.post_id)
            if gone or event.erased:
                return None
        if event.erased and not isinstance(event.data, identity.PersonErased):
            return None
        hook = await queries.webhook(self._context.database, due.webhook_id)
        if hook is None or not _may_be_told(hook, *await _place(self._context.database, event.data)):
            return None  # the community was closed meanwhile, or the webhook is to be told less
        return {"type": due.event_type, "timestamp": _written(event.time), "data": to_json(event, due.source)}

    async def _settle(self, due: Due, now: int, status: int, answer: str) -> None:
        tries = due.tries + 1
        async with self._context.database.transaction() as tx:
            if 200 <= status < 300:
                await queries.settle(tx, due.delivery_id, queries.DELIVERED, tries, 0, now, status, answer)
                await queries.succeeded(tx, due.webhook_id)
                return
            last = tries > len(PAUSES) or not due.position
            due_time = 0 if last else now + PAUSES[tries - 1] // timedelta(microseconds=1)
            state = queries.DEAD if last else queries.WAITING
            await queries.settle(tx, due.delivery_id, state, tries, due_time, now, status, answer)
            since = await queries.failing_since(tx, due.webhook_id, now) if due.position else now
        if status == _GONE:
            await self.switch_off(due.webhook_id, "The receiver answered 410 (gone): it wants no more.")
        elif now - since >= DEAD_AFTER // timedelta(microseconds=1):
            await self.switch_off(due.webhook_id, f"Nothing could be delivered for {DEAD_AFTER.days} days.")

    async def switch_off(self, webhook_id: str, reason: str) -> None:
        """Switch a webhook off, and say why where it is managed."""
        disable = DisableWebhook(webhook_id=webhook_id, reason=reason, now=self._context.now())
        with contextlib.suppress(NotFound):
            await handle(self._context.events, webhook, f"webhook-{webhook_id}", disable, Metadata("service:feed"))
        self.changed()

    async def _tidy(self) -> None:
        async with self._context.database.transaction() as tx:
            await queries.sweep(tx, micros(self._context.now() - KEPT), KEPT_PER_HOOK)


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
