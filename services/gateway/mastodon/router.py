"""The way of a request on Mastodon's paths: found by a dictionary, scope checked, answered as JSON; no framework between.

A call is declared once:

    @route("GET", "/api/v1/bookmarks", "read:bookmarks")
    async def bookmarks(call: Call) -> Reply: ...
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from libs.rpc import auth
from libs.telemetry import traces

from ..freshness import Answer
from ..http import Asked, Gateway
from ..parties import Principal
from ..problems import Refusal
from . import params as parameters
from .entities import Site
from .errors import lacks, not_found
from .params import Params

if TYPE_CHECKING:
    from .services import Services
    from .shown import Shown

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PREFIXES: Final = ("/api/v1/", "/api/v2/", "/api/v1_alpha/")
ID_CHARACTERS: Final = 36
_FOLLOW: Final = frozenset({"blocks", "follows", "mutes"})
_encode = msgspec.json.Encoder().encode
_JSON: Final = (b"content-type", b"application/json; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with more than a body of 200."""

    body: Any
    status: int = 200
    link: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Streamed:
    """An answer that the handler sends itself."""


STREAMED: Final = Streamed()


@dataclass(frozen=True, slots=True)
class Route:
    """A declared call: `scope` is what an access token needs, empty where nobody need be signed in."""

    method: str
    path: str
    scope: str
    handler: Callable[..., Awaitable[Any]]


ROUTES: Final[list[Route]] = []


def route(method: str, path: str, scope: str = "") -> Callable[[F], F]:
    """Declare a call; `:name` in the path is a part that varies."""

    def declare(handler: F) -> F:
        ROUTES.append(Route(method, path, scope, handler))
        return handler

    return declare


def allows(scopes: frozenset[str], needed: str) -> bool:
    """Whether scopes of an access token include the one needed: `read` includes `read:statuses`, `follow` what relationships need."""
    if not needed or needed in scopes:
        return True
    first, _, rest = needed.partition(":")
    if first in scopes or (rest in _FOLLOW and "follow" in scopes):
        return True
    if first == "push":
        return "write" in scopes
    return needed == "read:accounts:me" and bool(scopes & {"read:accounts", "profile"})


class Call:
    """One call."""

    __slots__ = (
        "_params", "asked", "body", "gateway", "media_type", "parts", "path", "query", "receive", "route", "scope", "send", "shown",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, found: Route, parts: tuple[str, ...], shown: Shown) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.route = found
        self.parts = parts
        self.shown = shown
        self.asked: Asked = scope["asked"]
        self.gateway: Gateway = scope["gateway"]
        self.path: str = scope["path"]
        self.query: bytes = scope.get("query_string", b"")
        self.body = self.asked.body
        self.media_type = ""
        self._params: Params | None = None

    @property
    def site(self) -> Site:
        """Where this network is."""
        return self.shown.site

    @property
    def clients(self) -> Services:
        """The services, called as whoever called."""
        return self.shown.clients

    @property
    def me(self) -> Principal:
        """Who called. Raises Refusal 401."""
        found = self.asked.principal
        if found is None:
            raise Refusal(401, "This method requires an authenticated user")
        return found

    @property
    def secret(self) -> str:
        """The access token as it was sent; empty for a session."""
        for name, value in self.scope["headers"]:
            if name == b"authorization":
                text = str(value.decode("latin-1"))
                return text[7:].strip() if text[:7].lower() == "bearer " else ""
        return self.params.text("access_token", most=400)

    @property
    def request_id(self) -> str:
        """What makes a repetition harmless; empty without an Idempotency-Key."""
        return self.asked.request_id

    @property
    def params(self) -> Params:
        """What the request carries. Raises Refusal 400."""
        if self._params is None:
            self._params = parameters.read(self.query, self.body, self.media_type)
        return self._params

    def id(self, number: int = 0) -> str:
        """An id of the path. Raises Refusal 404 for what cannot be one."""
        value = self.parts[number]
        if len(value) != ID_CHARACTERS or not value.isascii():
            raise not_found()
        return value

    def word(self, number: int = 0, most: int = 200) -> str:
        """A text of the path. Raises Refusal 404 for one that is too long to name anything."""
        value = self.parts[number]
        if not 1 <= len(value) <= most or "\0" in value:
            raise not_found()
        return value


class Table:
    """Finds the call for a method and a path."""

    def __init__(self, routes: list[Route]) -> None:
        """Of the declared calls; one with fixed parts goes before one that varies there."""
        self._fixed: dict[str, dict[str, Route]] = {}
        self._varying: dict[int, list[tuple[tuple[str, ...], dict[str, Route]]]] = {}
        self.words = frozenset(each.path.split("/")[3] for each in routes if each.path.startswith(PREFIXES))
        for each in routes:
            if ":" not in each.path:
                self._fixed.setdefault(each.path, {})[each.method] = each
                continue
            pattern = tuple(each.path.split("/"))
            held = self._varying.setdefault(len(pattern), [])
            for known, methods in held:
                if known == pattern:
                    methods[each.method] = each
                    break
            else:
                held.append((pattern, {each.method: each}))
        for held in self._varying.values():
            held.sort(key=lambda entry: sum(part.startswith(":") for part in entry[0]))

    def owns(self, path: str) -> bool:
        """Whether a path is one of Mastodon's, found or not: its refusals have Mastodon's form."""
        if path.startswith("/api/v2/"):
            return True
        return path.startswith(PREFIXES) and path.split("/", 4)[3] in self.words

    def find(self, method: str, path: str) -> tuple[Route, tuple[str, ...]] | tuple[None, tuple[str, ...]]:
        """The call and the parts of its path that vary; without a call, the methods that the path takes."""
        fixed = self._fixed.get(path)
        if fixed is None and path.endswith("/") and len(path) > 1:
            path = path[:-1]
            fixed = self._fixed.get(path)
        allowed: set[str] = set(fixed or ())
        if fixed is not None and method in fixed:
            return fixed[method], ()
        split = path.split("/")
        for pattern, methods in self._varying.get(len(split), ()):
            values = []
            for want, have in zip(pattern, split, strict=True):
                if want[:1] == ":":
                    values.append(have)
                elif want != have:
                    break
            else:
                if method in methods:
                    return methods[method], tuple(values)
                allowed |= set(methods)
        return None, tuple(sorted(allowed))


async def answer(call: Call) -> None:
    """Check the scope, do the call, send what it answers; a question asked again while nothing has happened is answered from memory."""
    fresh = call.gateway.fresh
    mark: tuple[int, ...] = ()
    mine: tuple[str, ...] = ()
    found = call.route
    principal = call.asked.principal
    headers = call.scope["headers"]
    for name, value in headers:
        if name == b"content-type":
            call.media_type = value.decode("latin-1")
            break
    if principal is None:
        if found.scope:
            raise Refusal(401, "This method requires an authenticated user")
        result = await found.handler(call)
    else:
        if principal.token_id and not allows(principal.scopes, found.scope):
            raise lacks(found.scope.removesuffix(":me"))
        # With the token, as some answers are about that: where its pushes go.
        mine = (principal.person_id, principal.token_id, call.path, call.query.decode("latin-1"))
        if found.method == "GET" and principal.person_id and not call.body:
            if (kept := fresh.find(*mine)) is not None:
                await send_json(call, 200, kept.body, [(b"link", kept.link.encode("latin-1"))] if kept.link else [])
                return
            mark = fresh.mark()
        with auth.acting(call.gateway.context.tokens.sign(caller_of(principal))):
            result = await found.handler(call)
    if isinstance(result, Streamed):
        return
    status, extra = 200, []
    if isinstance(result, Reply):
        status = result.status
        extra = [(b"link", result.link.encode("latin-1"))] if result.link else []
        extra += result.headers
        result = result.body
    body = result if isinstance(result, bytes) else _encode(result)
    if mark and status == 200 and all(name == b"link" for name, _ in extra):
        fresh.keep(mark, Answer(body, extra[0][1].decode("latin-1") if extra else ""), *mine)
    await send_json(call, status, body, extra)


async def send_json(call: Call, status: int, body: bytes, extra: Sequence[tuple[bytes, bytes]]) -> None:
    """Send a body; JSON unless a header says otherwise."""
    head = [_JSON] if not any(name == b"content-type" for name, _ in extra) else []
    await call.send({
        "type": "http.response.start", "status": status, "headers": [*head, (b"content-length", str(len(body)).encode()), *extra]
    })
    await call.send({"type": "http.response.body", "body": body})


def caller_of(principal: Principal) -> auth.Caller:
    """Who the services see. They know only `read`, `write` and `admin`: finer scopes are checked here, call by call."""
    scopes = principal.scopes
    if not principal.token_id or {"read", "write"} <= scopes:
        return principal.caller
    return auth.Caller(principal.person_id, principal.roles, scopes & {"admin"} | {"read", "write"})


def trace_id() -> str:
    """The id under which the log speaks of this request."""
    return traces.trace_id()
