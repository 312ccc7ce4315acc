"""Streaming: what happens, as it happens, by WebSocket (several streams over one) and by server-sent events (one each).

It is fed by the same queues as the pages: those name posts by id, and what is sent is fetched as whoever listens, so that access is
checked once more. A connection ends when its token is revoked, its person leaves or the process does; clients connect again.
"""
from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import grpc
import msgspec

from libs.rpc import auth
from libs.rpc.errors import RpcError
from libs.telemetry import logs, metrics
from libs.text.markdown import normal_hashtag
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import reading_service_pb2 as reading

from ..http import Gateway
from ..live import CONNECTIONS_PER_PERSON, HEARTBEAT_SECONDS, Queue
from ..parties import Principal
from ..problems import Refusal, refusal_of
from . import entities
from .entities import TYPES
from .errors import body_of, lacks, status_of
from .notifications import encoded, shown
from .router import STREAMED, Call, Receive, Reply, Scope, Send, Streamed, allows, caller_of, route
from .shown import Shown
from .timelines import conversation_of

SUBSCRIPTIONS: Final = 50
NOTIFICATIONS_AT_ONCE: Final = 40
LIST_SECONDS: Final = 60.0
LIST_PEOPLE: Final = 2_000
COMMUNITY_SECONDS: Final = 60.0
STREAMS: Final = {
    "user": "read:statuses", "user:notification": "read:notifications", "public": "read:statuses", "public:local": "read:statuses",
    "public:media": "read:statuses", "public:local:media": "read:statuses", "public:remote": "read:statuses",
    "public:remote:media": "read:statuses", "hashtag": "read:statuses", "hashtag:local": "read:statuses", "list": "read:lists",
    "direct": "read:statuses",
}

_log = logs.get_logger(__name__)


@dataclass(slots=True)
class Subscription:
    """One stream that a connection listens to."""

    stream: str
    subject: str = ""
    people: frozenset[str] = frozenset()
    read_at: float = 0.0

    @property
    def names(self) -> list[str]:
        """What the stream is called in messages."""
        return [self.stream, self.subject] if self.subject else [self.stream]


@dataclass(slots=True, eq=False)
class Listener:
    """What one connection is told: subscriptions, and what happened as messages of them."""

    gateway: Gateway
    shown: Shown
    me: Principal
    secret: str
    queue: Queue
    subscriptions: dict[tuple[str, str], Subscription] = field(default_factory=dict)
    notified: int = 0

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Calls made inside are made as whoever listens."""
        with auth.acting(self.gateway.context.tokens.sign(caller_of(self.me))):
            yield

    async def subscribe(self, stream: str, tag: str = "", list_id: str = "") -> None:
        """Listen to one more stream. Raises Refusal for one that there is not, or not for this token."""
        if stream not in STREAMS:
            raise Refusal(404, "Unknown stream type")
        if self.me.token_id and not allows(self.me.scopes, STREAMS[stream]):
            raise lacks(STREAMS[stream])
        subject = ""
        if stream.startswith("hashtag"):
            subject = normal_hashtag(tag.strip().removeprefix("#")) or ""
            if not subject:
                raise Refusal(400, "Missing tag name parameter", code="bad_request")
        elif stream == "list":
            subject = list_id
            if not subject:
                raise Refusal(400, "Missing list name parameter", code="bad_request")
        if len(self.subscriptions) >= SUBSCRIPTIONS:
            raise Refusal(429, f"A connection listens to at most {SUBSCRIPTIONS} streams.")
        made = Subscription(stream, subject)
        if stream == "list":
            with self.acting():
                made.people = await self._people(subject)
            made.read_at = time.monotonic()
        self.subscriptions[stream, subject] = made

    def unsubscribe(self, stream: str, tag: str = "", list_id: str = "") -> None:
        """Listen to a stream no longer."""
        subject = (normal_hashtag(tag.strip().removeprefix("#")) or "") if stream.startswith("hashtag") else list_id
        self.subscriptions.pop((stream, subject if stream.startswith("hashtag") or stream == "list" else ""), None)

    async def _people(self, list_id: str) -> frozenset[str]:
        people: set[str] = set()
        mark = ""
        while len(people) < LIST_PEOPLE:
            found = await self.shown.clients.reading.ListListPeople(
                reading.ListListPeopleRequest(list_id=list_id, page_size=200, page_token=mark)
            )
            people.update(each.person_id for each in found.people)
            mark = found.next_page_token
            if not mark:
                break
        return frozenset(people)

    async def begin(self) -> None:
        """Notifications from now on."""
        with self.acting():
            newest = await self.shown.clients.feed.ListNotifications(feed.ListNotificationsRequest(page_size=1))
        self.notified = newest.notifications[0].position if newest.notifications else 0

    async def messages(self) -> AsyncGenerator[tuple[list[str], str, str] | None, None]:
        """What happens: the stream, the event and its payload; None every 15 seconds. Ends when the connection may not go on."""
        queue = self.queue
        while not queue.closed and not queue.lost:
            queue.wake.clear()
            while queue.waiting:
                _, event = queue.waiting.popleft()
                try:
                    for message in await self._told(event):
                        yield message
                except Exception:
                    _log.exception("event passed over by a stream")
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await queue.wake.wait()
            except TimeoutError:
                if not await self._may_go_on():
                    return
                yield None

    async def _may_go_on(self) -> bool:
        return (not self.secret) or await self.gateway.accounts.of_token(self.secret) is not None

    async def _told(self, event: bytes) -> list[tuple[list[str], str, str]]:
        head, _, body = event.partition(b"\ndata: ")
        kind = head.removeprefix(b"event: ").decode()
        data: dict[str, Any] = msgspec.json.decode(body)
        match kind:
            case "post" | "reply":
                return await self._published(kind, data)
            case "edited":
                payload = await self._status(str(data["post_id"]))
                wanted = [each for each in self.subscriptions.values() if each.stream != "user:notification"]
                return [(each.names, "status.update", payload) for each in wanted] if payload else []
            case "deleted":
                wanted = [each for each in self.subscriptions.values() if each.stream != "user:notification"]
                return [(each.names, "delete", str(data["post_id"])) for each in wanted]
            case "notification":
                return await self._notifications()
            case "filters":
                return [(["user"], "filters_changed", "undefined")] if ("user", "") in self.subscriptions else []
            case _:
                return []

    async def _published(self, kind: str, data: dict[str, Any]) -> list[tuple[list[str], str, str]]:
        wanted, conversation = [], None
        for each in self.subscriptions.values():
            if each.stream == "direct":
                conversation = each if data["audience"] == "people" else None
            elif await self._is_in(each, kind, data):
                wanted.append(each)
        if not wanted and conversation is None:
            return []
        with self.acting():
            found = await self._post(str(data["post_id"]))
            if found is None:
                return []
            told = []
            if wanted:
                payload = bytes(await self.shown.status(found)).decode()
                told = [
                    (each.names, "update", payload) for each in wanted
                    if not each.stream.endswith(":media") or found.attachments
                ]
            if conversation is not None:
                call = _Inside(self)
                told.append((conversation.names, "conversation", encoded(await conversation_of(call, [found]))))  # type: ignore[arg-type]
        return told

    async def _is_in(self, subscription: Subscription, kind: str, data: dict[str, Any]) -> bool:
        stream = subscription.stream
        if stream == "user":
            return bool(data["home"])
        if stream.startswith("public"):
            if kind != "post" or "remote" in stream or data.get("reposted_id"):
                return False
            return data["audience"] == "everyone" or (data["audience"] == "community" and await self._is_open(str(data["community_id"])))
        if stream.startswith("hashtag"):
            return subscription.subject in data["tags"]
        if stream == "list":
            if time.monotonic() - subscription.read_at > LIST_SECONDS:
                subscription.read_at = time.monotonic()
                with self.acting():
                    try:
                        subscription.people = await self._people(subscription.subject)
                    except RpcError as error:
                        if error.code() is not grpc.StatusCode.NOT_FOUND:
                            raise
                        subscription.people = frozenset()  # the list was deleted, which is no matter of the other streams
            return kind == "post" and data["author_id"] in subscription.people
        return False

    async def _is_open(self, community_id: str) -> bool:
        with self.acting():
            return await self.shown.is_open(community_id)

    async def _post(self, post_id: str) -> feed.Post | None:
        found = await self.shown.clients.feed.BatchGetPosts(feed.BatchGetPostsRequest(post_ids=[post_id]))
        posts = [each for each in found.posts if not each.deleted and not each.erased]
        return posts[0] if posts else None

    async def _status(self, post_id: str) -> str:
        with self.acting():
            found = await self._post(post_id)
            return bytes(await self.shown.status(found)).decode() if found is not None else ""

    async def _notifications(self) -> list[tuple[list[str], str, str]]:
        # Notifications come with `user` too, for whoever may read them.
        wanted = [each for each in self.subscriptions.values() if each.stream in ("user", "user:notification")]
        if self.me.token_id and not allows(self.me.scopes, STREAMS["user:notification"]):
            return []
        if not wanted:
            return []
        with self.acting():
            answer = await self.shown.clients.feed.ListNotifications(
                feed.ListNotificationsRequest(
                    page_size=NOTIFICATIONS_AT_ONCE, after_position=self.notified,
                    kinds=[feed.NotificationKind.ValueType(each) for each in TYPES],
                )
            )
            found = [each for each in reversed(answer.notifications) if entities.notification_type(each) and each.unread]
            if answer.notifications:
                self.notified = max(self.notified, answer.notifications[0].position)
            told = await shown(_Inside(self), found)  # type: ignore[arg-type]
        return [(each.names, "notification", encoded(one)) for one in told for each in wanted]


class _Inside:
    """What functions that take a call need of one, for a connection that goes on."""

    def __init__(self, listener: Listener) -> None:
        self.shown = listener.shown
        self.site = listener.shown.site
        self.clients = listener.shown.clients
        self.me = listener.me
        self.gateway = listener.gateway


async def _open(gateway: Gateway, shown: Shown, me: Principal, secret: str) -> Listener:
    """A connection that listens to nothing yet. Raises Refusal 429, 503."""
    if gateway.live.draining:
        raise Refusal(503, "This process is about to end: connect again.", retry_seconds=1)
    if gateway.live.connections(me.person_id) >= CONNECTIONS_PER_PERSON:
        raise Refusal(429, f"At most {CONNECTIONS_PER_PERSON} streams are open at once: close some.", retry_seconds=10)
    queue = await gateway.live.register(me.person_id, caller_of(me), me.session_id, me.token_id)
    queue.connected = True
    listener = Listener(gateway, shown, me, secret, queue)
    try:
        await listener.begin()
    except BaseException:
        gateway.live.leave(queue)
        raise
    return listener


# --- server-sent events ----------------------------------------------------------------------------------------------


@route("GET", "/api/v1/streaming/health")
async def health(call: Call) -> Reply:
    """Streaming works."""
    return Reply(b"OK", headers=((b"content-type", b"text/plain; charset=utf-8"),))


@route("GET", "/api/v1/streaming", "read:statuses")
@route("GET", "/api/v1/streaming/user", "read:statuses")
@route("GET", "/api/v1/streaming/user/notification", "read:notifications")
@route("GET", "/api/v1/streaming/public", "read:statuses")
@route("GET", "/api/v1/streaming/public/local", "read:statuses")
@route("GET", "/api/v1/streaming/public/remote", "read:statuses")
@route("GET", "/api/v1/streaming/hashtag", "read:statuses")
@route("GET", "/api/v1/streaming/hashtag/local", "read:statuses")
@route("GET", "/api/v1/streaming/list", "read:lists")
@route("GET", "/api/v1/streaming/direct", "read:statuses")
async def stream(call: Call) -> Streamed:
    """One stream as server-sent events, named by the path."""
    params = call.params
    name = call.path.rstrip("/").removeprefix("/api/v1/streaming").strip("/").replace("/", ":") or params.text("stream", most=60)
    if params.flag("only_media") and name.startswith("public"):
        name += ":media"
    listener = await _open(call.gateway, call.shown, call.me, call.secret)
    try:
        await listener.subscribe(name, params.text("tag", most=200), params.text("list", most=60))
        await call.send({
            "type": "http.response.start", "status": 200,
            "headers": [
                (b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")
            ],
        })
        await _until_left(_events(listener, call.send), _left(call.receive, "http.disconnect"))
        with contextlib.suppress(Exception):
            await call.send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        call.gateway.live.leave(listener.queue)
    return STREAMED


async def _events(listener: Listener, send: Send) -> None:
    await send({"type": "http.response.body", "body": b":)\n\n", "more_body": True})
    metrics.LIVE_CONNECTIONS.inc()
    try:
        async for message in listener.messages():
            text = b":thump\n\n"
            if message is not None:
                _, event, payload = message
                # An id of digits, as Mastodon has it, is JSON as it stands; readers of this form take it for that.
                text = f"event: {event}\ndata: {_quoted(payload) if event == 'delete' else payload}\n\n".encode()
            await send({"type": "http.response.body", "body": text, "more_body": True})
    finally:
        metrics.LIVE_CONNECTIONS.dec()


def _quoted(text: str) -> str:
    return _encode(text).decode()


async def _left(receive: Receive, kind: str) -> None:
    while (await receive())["type"] != kind:
        pass


async def _until_left(*work: Any) -> None:
    """Do all of it until one ends."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# --- WebSocket -------------------------------------------------------------------------------------------------------


class _Asked(msgspec.Struct, frozen=True):
    """What a client sends over a WebSocket."""

    type: str
    stream: str = ""
    tag: str = ""
    list: str = ""


_decode = msgspec.json.Decoder(_Asked).decode
_encode = msgspec.json.Encoder().encode


async def websocket(gateway: Gateway, shown: Shown, address: str, scope: Scope, receive: Receive, send: Send) -> None:
    """One WebSocket: the token by header, query or subprotocol, streams by the query and by messages."""
    if (await receive())["type"] != "websocket.connect":
        return
    query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=20))
    offered = [str(each) for each in scope.get("subprotocols", ())]
    headers = dict(scope["headers"])
    bearer = headers.get(b"authorization", b"").decode("latin-1")
    secret = bearer[7:].strip() if bearer[:7].lower() == "bearer " else query.get("access_token", "")
    protocol = ""
    if not secret and offered:
        secret = protocol = offered[0]
    try:
        if scope["path"].rstrip("/") != "/api/v1/streaming":
            raise Refusal(404, "Unknown stream type")
        gateway.limits.reads.demand(f"address {address}")
        me = await gateway.accounts.of_token(secret) if secret else None
        if me is None:
            gateway.limits.sign_ins.demand(f"token {address}")
            raise Refusal(401, "The access token is invalid" if secret else "Missing access token")
        listener = await _open(gateway, shown, me, secret)
    except Exception as error:
        await _deny(scope, send, refusal_of(error))
        return
    try:
        accepted: dict[str, Any] = {"type": "websocket.accept"}
        if protocol or offered:
            accepted["subprotocol"] = protocol or offered[0]
        await send(accepted)
        lock = asyncio.Lock()

        async def tell(message: Any) -> None:
            async with lock:
                await send({"type": "websocket.send", "text": _encode(message).decode()})

        if query.get("stream"):
            await _asked(listener, _Asked("subscribe", query["stream"], query.get("tag", ""), query.get("list", "")), tell)
        await _until_left(_speak(listener, tell), _listen(listener, receive, tell))
        with contextlib.suppress(Exception):
            await send({"type": "websocket.close", "code": 1001 if gateway.live.draining else 1000})
    finally:
        gateway.live.leave(listener.queue)


async def _speak(listener: Listener, tell: Any) -> None:
    metrics.LIVE_CONNECTIONS.inc()
    try:
        async for message in listener.messages():
            if message is not None:  # the server itself sends pings
                streams, event, payload = message
                told: dict[str, Any] = {"stream": streams, "event": event}
                if event != "filters_changed":
                    told["payload"] = payload
                await tell(told)
    finally:
        metrics.LIVE_CONNECTIONS.dec()


async def _listen(listener: Listener, receive: Receive, tell: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        try:
            asked = _decode(message.get("text") or message.get("bytes") or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            await tell({"error": 'Send JSON such as {"type": "subscribe", "stream": "user"}.', "status": 400})
            continue
        await _asked(listener, asked, tell)


async def _asked(listener: Listener, asked: _Asked, tell: Any) -> None:
    try:
        if asked.type == "subscribe":
            await listener.subscribe(asked.stream, asked.tag, asked.list)
        elif asked.type == "unsubscribe":
            listener.unsubscribe(asked.stream, asked.tag, asked.list)
        else:
            raise Refusal(400, "type is subscribe or unsubscribe.", code="bad_request")
    except (Refusal, RpcError) as error:
        refusal = refusal_of(error)
        await tell({"error": refusal.detail, "status": status_of(refusal)})


async def _deny(scope: Scope, send: Send, refusal: Refusal) -> None:
    if "websocket.http.response" in (scope.get("extensions") or {}):
        headers = [(b"content-type", b"application/json")]
        await send({"type": "websocket.http.response.start", "status": status_of(refusal), "headers": headers})
        await send({"type": "websocket.http.response.body", "body": body_of(refusal)})
    else:
        await send({"type": "websocket.close", "code": 1008})
