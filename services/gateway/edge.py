"""What surrounds every request: trace, sender, limits, repetition, security headers and the duration metric, in one ASGI layer.

One layer instead of a stack of middleware, because each of those costs as much as a whole timeline takes to read.
"""
from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec

from libs.eventstore.model import micros
from libs.rpc import auth
from libs.telemetry import metrics, traces
from libs.text.ids import new_id

from . import cors, csrf
from .http import Asked, Gateway, session_subject
from .idempotency import Idempotency, fingerprint, read_key
from .mastodon.app import HEALTH, PICTURES, STREAMING, Mastodon
from .mastodon.entities import of_seconds
from .mastodon.router import Route
from .oauth.paths import is_application, is_for_programs, is_protocol
from .oauth.refusals import oauth_refusal
from .parties import Principal
from .problems import MEDIA_TYPE, Refusal, refusal_of
from .ratelimit import Decision, Limit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

API = "/api/"
VISITOR_COOKIE = "watercooler_visitor"
# Of what is asked here no link to whoever asks is kept anywhere, and the answer to an Idempotency-Key would be one.
_UNLINKED = ["api", "v1", "asking", "leadership", "anonymous"]
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Answered without asking who asks: probes, metrics, and files that are the same for all.
_OPEN = (
    "/healthz", "/readyz", "/metrics", "/assets/", "/favicon.ico", "/api/openapi.json", "/api/asyncapi.json",
    "/.well-known/oauth-authorization-server", "/.well-known/nodeinfo", "/nodeinfo/",
)
# These go on until the client leaves, so there is no answer to take the body off.
_ENDLESS = ("/live", "/api/v1/events", STREAMING)
_PATH_CHARACTERS = 2_000
# Scopes of apps that hold a part of reading or writing, beside those that are named after it.
_FINER = {"read": frozenset({"follow", "push", "profile"}), "write": frozenset({"follow", "push"})}
_KNOW_FINER = ("/oauth/userinfo", "/api/v1/apps/verify_credentials", "/media/")
# Proxies that a request may have come through; more of them are not looked at.
_HOPS = 10
# A thousand records of an import by the API.
_IMPORT_CHUNK_BYTES = 32 << 20
_COOKIE_CHARACTERS = 16_384
# A body that comes slower than this is given up, so that slow senders cannot hold every connection: for each piece, and in all.
_PIECE_SECONDS = 30.0
_BODY_SECONDS = 600.0
# Pages with secrets in them or in their address: no browser keeps them.
_NEVER_KEPT = (API, "/oauth/", "/settings/apps", "/invitation/", "/password/", "/settings/tokens", "/admin/invite", "/admin/people")

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
    "media-src 'self' blob:; manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SECURITY = (
    (b"content-security-policy", _CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")
_NAMED_ONCE = frozenset(name for name, _ in _SECURITY) | {b"cache-control"}


class Edge:
    """The outermost ASGI application."""

    def __init__(self, app: App, gateway: Gateway, error_page: Callable[[Scope, Refusal], str] | None) -> None:
        """Around the Litestar application; `error_page` writes the HTML of a refusal for whoever reads pages."""
        self._app = app
        self.gateway = gateway
        self._error_page = error_page
        context, settings = gateway.context, gateway.context.settings
        self.mastodon = Mastodon(gateway)
        self._limits = gateway.limits
        self._idempotency = Idempotency(context.database, context.now)
        self._security = (*_SECURITY, _STRICT_TRANSPORT) if gateway.sessions.secure else _SECURITY
        self._proxies = tuple(ip_network(each) for each in settings.trusted_proxies.split(",") if each)
        self._json_max = settings.request_bytes_max
        self._file_max = settings.image_bytes_max + settings.request_bytes_max
        self._import_file_max = settings.import_bytes_max + settings.request_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "websocket":
            await self.mastodon.websocket(_address(scope, _headers(scope), self._proxies), scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        method, path = str(scope["method"]), str(scope["path"])
        headers = _headers(scope)
        if path.startswith(STREAMING) and b"authorization" not in headers:
            token_from_query(scope, headers)
        status = 500
        is_head = method == "HEAD" and not path.startswith(_ENDLESS)
        if is_head:
            scope = {**scope, "method": "GET"}
        asked = Asked(_address(scope, headers, self._proxies), _cookies(headers.get(b"cookie", b"")), method not in _SAFE)
        scope["asked"] = asked
        scope["gateway"] = self.gateway
        extra: list[tuple[bytes, bytes]] = []
        if cors.is_shared(path):
            if cors.is_preflight(method, headers):
                await cors.answer_preflight(send)
                return
            extra += cors.HEADERS
        begun = False

        with traces.span(method, parent=headers.get(b"traceparent", b"").decode("latin-1")) as here:

            async def answer(message: Message) -> None:
                nonlocal status, begun
                if message["type"] == "http.response.start":
                    begun = True
                    status = message["status"]
                    if asked.is_write:  # before whoever wrote can ask again
                        self.gateway.fresh.wrote()
                    message["headers"] = self._complete(message["headers"], path, here, extra)
                elif is_head:
                    message = {**message, "body": b""}
                await send(message)

            try:
                await self._enter(scope, receive, answer, asked, headers, extra)
            except Exception as error:
                if begun:
                    raise
                refusal = refusal_of(error, b"if-match" in headers)
                await self.refuse(scope, refusal, answer)
            finally:
                metrics.HTTP_SERVER_REQUEST_DURATION.labels(
                    method=method if method in _METHODS else "_OTHER", route=str(scope.get("path_template") or "none"), status=str(status)
                ).observe(time.perf_counter() - started)

    async def _enter(
        self, scope: Scope, receive: Receive, send: Send, asked: Asked, headers: dict[bytes, bytes], extra: list[tuple[bytes, bytes]]
    ) -> None:
        path: str = scope["path"]
        if path.startswith(_OPEN):
            await self._app(scope, receive, send)
            return
        # Routing takes two slashes for one; nothing here that looks at the beginning of a path does.
        if len(path) > _PATH_CHARACTERS or "\0" in path or path.startswith("//"):
            raise Refusal(404, "There is nothing at this address.")
        for part in scope.get("query_string", b"").split(b"&"):
            if b"%00" in part:
                field = part.partition(b"=")[0].decode("ascii", "replace")[:60]
                raise Refusal(400, "Text cannot contain the NUL character.", field=field)
        if path.startswith((PICTURES, HEALTH)) and await self.mastodon.picture(path, send):
            return
        route = self.mastodon.find(scope["method"], path) if path.startswith(API) else None
        if is_for_programs(path):
            limit = self._limits.writes if asked.is_write else self._limits.reads
            extra += _limit_headers(limit, limit.demand(f"address {asked.address}"))
            if asked.is_write:
                receive, body = await self._take_body(scope, receive, headers)
                asked.body = body or b""
            await self._app(scope, receive, send)
            return
        failed = await self._identify(asked, headers)
        found = asked.principal
        limit = self._limits.writes if asked.is_write else self._limits.reads
        decision = limit.demand(found.token_id or found.person_id if found is not None else f"address {asked.address}")
        extra += _limit_headers(limit, decision)
        if route is not None:
            scope["path_template"] = route[0].path
            extra += _mastodon_limit_headers(limit, decision)
        if failed:
            self._limits.sign_ins.demand(f"token {asked.address}")
            raise Refusal(401, failed, headers={"www-authenticate": 'Bearer realm="watercooler", error="invalid_token"'})
        if found is None:
            if route is None:
                self._visit(asked, extra)
        else:
            self.gateway.visits.note(found.person_id, micros(self.gateway.context.now()))
        if route is None:
            self._check_scope(path, asked, found)
        elif not asked.is_write and headers.get(b"content-length", b"0") != b"0":  # some clients ask by a body
            receive, body = await self._take_body(scope, receive, headers, whole=True)
            asked.body = body or b""
        if asked.is_write:
            receive, body = await self._take_body(scope, receive, headers, whole=route is not None)
            asked.body = body or b""
            self._check_origin(path, asked, headers)
            key = headers.get(b"idempotency-key")
            if key is not None and [part for part in path.split("/") if part] == _UNLINKED:
                text = "This is kept without a link to you, and takes no Idempotency-Key: the same text within an hour is one question."
                raise Refusal(400, text, field="Idempotency-Key")
            if key is not None and found is not None and scope["method"] == "POST" and body is not None:
                asked.idempotency_key = read_key(key.decode("latin-1"))
                mark = fingerprint("POST", path, scope.get("query_string", b""), body)
                held = receive

                async def work(answer: Send) -> None:
                    await self._run(scope, held, answer, found, route)

                await self._idempotency.answer(asked, found.person_id, mark, work, send)
                return
        await self._run(scope, receive, send, found, route)

    async def _run(
        self, scope: Scope, receive: Receive, send: Send, found: Principal | None, route: tuple[Route, tuple[str, ...]] | None
    ) -> None:
        if route is not None:
            await self.mastodon.answer(route, scope, receive, send)
            return
        if found is None:
            await self._app(scope, receive, send)
            return
        with auth.acting(self.gateway.context.tokens.sign(found.caller)):
            await self._app(scope, receive, send)

    async def _identify(self, asked: Asked, headers: dict[bytes, bytes]) -> str:
        """Find who sends the request; answers what is wrong with its access token, where something is."""
        authorization = headers.get(b"authorization", b"")
        if authorization:
            scheme, _, secret = authorization.decode("latin-1").partition(" ")
            if scheme.lower() != "bearer":
                return "Send an access token: Authorization: Bearer wct_..."
            asked.principal, asked.app = await self.gateway.accounts.of_bearer(secret.strip())
            return "" if asked.principal or asked.app else "This access token is not valid: it is mistyped, revoked or expired."
        sessions = self.gateway.sessions
        secret = asked.cookies.get(sessions.cookie, "")
        if secret:
            session = await sessions.find(secret, self.gateway.context.now())
            if session is not None:
                person = await self.gateway.accounts.of_person(session.person_id)
                if person is not None:
                    asked.principal = replace(person, session_id=session.session_id)
                    asked.csrf_subject = session_subject(session.session_id)
        return ""

    def _visit(self, asked: Asked, extra: list[tuple[bytes, bytes]]) -> None:
        visitor = asked.cookies.get(VISITOR_COOKIE, "")
        if len(visitor) != 36:
            visitor = new_id()
            asked.visitor_new = visitor
            secure = "; Secure" if self.gateway.sessions.secure else ""
            extra.append((b"set-cookie", f"{VISITOR_COOKIE}={visitor}; Path=/; HttpOnly; SameSite=Lax{secure}".encode()))
        asked.csrf_subject = f"visitor {visitor}"

    @staticmethod
    def _check_scope(path: str, asked: Asked, found: Principal | None) -> None:
        if found is None or not found.token_id:
            return
        needed = "write" if asked.is_write else "read"
        # A finer scope is enough only where what answers looks at it: the services know no finer ones, and would show all there is.
        finer = path.startswith(_KNOW_FINER) and any(
            each in _FINER[needed] or each.startswith(f"{needed}:") for each in found.scopes
        )
        if needed not in found.scopes and not finer:
            raise Refusal(
                403, f"This access token lacks the scope {needed}: make one that has it.", code="insufficient_scope",
                headers={"www-authenticate": f'Bearer realm="watercooler", error="insufficient_scope", scope="{needed}"'},
            )
        if not path.startswith((API, "/media/", "/live", "/oauth/userinfo")):
            raise Refusal(403, "Access tokens are for the API under /api/; pages need a sign-in.")

    def _check_origin(self, path: str, asked: Asked, headers: dict[bytes, bytes]) -> None:
        """Refuse writes that a browser sends for another site; API writes by cookie need the token in a header as well."""
        found = asked.principal
        if found is not None and found.token_id:
            return
        origin, site, host = (headers.get(name, b"").decode("latin-1") for name in (b"origin", b"sec-fetch-site", b"host"))
        if csrf.cross_site(origin, site, host):
            raise Refusal(403, "This request comes from another site.", code="cross_site")
        if found is not None and path.startswith(API):
            token = headers.get(csrf.HEADER.encode(), b"").decode("latin-1")
            if not self.gateway.csrf.holds(asked.csrf_subject, token):
                raise Refusal(403, "The header X-CSRF-Token is missing or of another session: reload the page.", code="csrf")

    async def _take_body(
        self, scope: Scope, receive: Receive, headers: dict[bytes, bytes], *, whole: bool = False
    ) -> tuple[Receive, bytes | None]:
        """Hold the body of a request to its limit; an API request's is read here, so that it is known whole."""
        receive = _hurried(receive)
        path, media_type = scope["path"], headers.get(b"content-type", b"")
        is_file = media_type.startswith(b"multipart/form-data") or path == "/api/v1/uploads"
        limit = self._file_max if is_file else self._json_max
        found = scope["asked"].principal
        if found is not None and found.is_administrator:  # nobody else may send that much
            if path.startswith("/admin/import"):
                limit = self._import_file_max
            elif path.startswith("/api/v1/imports/"):
                limit = max(limit, _IMPORT_CHUNK_BYTES)
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and len(declared) < 19 and int(declared) > limit:
            raise _too_large(limit)
        if (path.startswith(API) or is_for_programs(path)) and (whole or not is_file or is_for_programs(path)):
            chunks: list[bytes] = []
            size = 0
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    break
            body = b"".join(chunks)
            return _once(body, receive), body
        return _counted(receive, limit), None

    def _complete(
        self, headers: Any, path: str, here: str, extra: list[tuple[bytes, bytes]]
    ) -> list[tuple[bytes, bytes]]:
        own = [(bytes(name).lower(), bytes(value)) for name, value in headers]
        named = {name for name, _ in own} & _NAMED_ONCE
        own += [pair for pair in self._security if pair[0] not in named] if named else self._security
        if b"cache-control" not in named:
            own.append((b"cache-control", b"no-store" if path.startswith(_NEVER_KEPT) else b"private, no-cache"))
        own.append((b"traceresponse", here.encode()))
        own.append((b"x-request-id", here[3:35].encode()))
        own += extra
        return own

    async def refuse(self, scope: Scope, refusal: Refusal, send: Send) -> None:
        """Send a refusal: problem details to programs, a page to people."""
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in refusal.response_headers().items()]
        status = refusal.status
        body = b""
        if self._wants_page(scope):
            given = _headers(scope)
            if status == 401:
                target = "/sign-in"
                if scope["method"] == "GET" and b"hx-request" not in given:
                    query = scope.get("query_string", b"").decode("latin-1")
                    target += "?next=" + quote(scope["path"] + (f"?{query}" if query else ""), safe="/")
                headers = [(b"hx-redirect", target.encode())] if b"hx-request" in given else [(b"location", target.encode())]
                status = 200 if b"hx-request" in given else 303
            elif self._error_page is not None:
                body = self._error_page(scope, refusal).encode()
                headers.append((b"content-type", b"text/html; charset=utf-8"))
            else:
                body = refusal.detail.encode()
                headers.append((b"content-type", b"text/plain; charset=utf-8"))
        elif is_protocol(scope["path"]) or is_application(scope["path"]):
            status, body = oauth_refusal(scope["path"], refusal)
            headers += [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        elif self.mastodon.owns(scope["path"]):
            status, body = self.mastodon.refusal(refusal)
            headers.append((b"content-type", b"application/json; charset=utf-8"))
        else:
            body = msgspec.json.encode(refusal.details)
            headers.append((b"content-type", MEDIA_TYPE.encode()))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    @staticmethod
    def _wants_page(scope: Scope) -> bool:
        path = scope["path"]
        return not path.startswith((API, "/live", "/media/", "/healthz", "/readyz", "/metrics", "/.well-known/", "/nodeinfo/")) and (
            not is_protocol(path)
        )


def _headers(scope: Scope) -> dict[bytes, bytes]:
    return dict(scope["headers"])


def token_from_query(scope: Scope, headers: dict[bytes, bytes]) -> None:
    """Take an access token from the query, for streams only: browsers can give theirs no header."""
    for name, value in parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=20):
        if name == "access_token":
            headers[b"authorization"] = b"Bearer " + value.encode("latin-1", "replace")
            return


def _address(scope: Scope, headers: dict[bytes, bytes], proxies: Sequence[IPv4Network | IPv6Network]) -> str:
    """Where the request comes from: the last in X-Forwarded-For that is no proxy of ours, where one of them passed it on."""
    client = scope.get("client")
    address = str(client[0]) if client else ""
    forwarded = headers.get(b"x-forwarded-for")
    if forwarded is None or (address and not _is_in(address, proxies)):
        return address
    for each in reversed(forwarded.decode("latin-1").split(",")[-_HOPS:]):
        named = each.strip()[:64]
        if named:
            address = named
            if not _is_in(named, proxies):
                break
    return address


def _is_in(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks)


def _cookies(header: bytes) -> dict[str, str]:
    if not header or len(header) > _COOKIE_CHARACTERS:
        return {}
    found: dict[str, str] = {}
    for part in header.decode("latin-1").split(";"):
        name, equals, value = part.strip().partition("=")
        if equals:
            found.setdefault(name, value.strip('"'))
    return found


def _limit_headers(limit: Limit, decision: Decision) -> list[tuple[bytes, bytes]]:
    return [(b"ratelimit-policy", limit.policy.encode()), (b"ratelimit", limit.header(decision).encode())]


def _mastodon_limit_headers(limit: Limit, decision: Decision) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-ratelimit-limit", str(limit.quota).encode()), (b"x-ratelimit-remaining", str(decision.remaining).encode()),
        (b"x-ratelimit-reset", of_seconds(int(time.time()) + decision.reset_seconds).encode()),
    ]


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"The request is too large: it may have {limit:,} bytes.", headers={"connection": "close"})


def _once(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _hurried(receive: Receive) -> Receive:
    """Receive a body in time."""
    ends = time.monotonic() + _BODY_SECONDS
    ended = False

    async def hurried() -> Message:
        nonlocal ended
        if ended:  # what comes now is the end of the connection, whenever that is
            return await receive()
        try:
            async with asyncio.timeout(min(_PIECE_SECONDS, ends - time.monotonic())):
                message = await receive()
        except TimeoutError:
            raise Refusal(408, "The request took too long to arrive: send it again.", headers={"connection": "close"}) from None
        ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return hurried


def _counted(receive: Receive, limit: int) -> Receive:
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            if size > limit:
                raise _too_large(limit)
        return message

    return counted
