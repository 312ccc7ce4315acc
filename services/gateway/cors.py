"""Which addresses scripts of other sites may ask (https://fetch.spec.whatwg.org/#http-cors-protocol).

Clients that run in a browser, at an address of their own, send access tokens. They may read what is for programs; never with cookies, since
`Access-Control-Allow-Origin: *` and credentials exclude each other.
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

_PATHS: Final = (
    "/api/v1/", "/api/v2/", "/api/v1_alpha/", "/api/openapi.json", "/api/asyncapi.json", "/oauth/token", "/oauth/revoke", "/oauth/userinfo",
    "/.well-known/", "/nodeinfo/",
)
_EXPOSED: Final = (
    "Link, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, RateLimit, RateLimit-Policy, Retry-After, Idempotency-Key, "
    "X-Request-Id, ETag, Location"
)
HEADERS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", _EXPOSED.encode()),
)
_PREFLIGHT: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
    (b"access-control-allow-headers", b"Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID"),
    (b"access-control-max-age", b"86400"),
    (b"content-length", b"0"),
)


def is_shared(path: str) -> bool:
    """Whether scripts of other sites may read what is at a path."""
    return path.startswith(_PATHS)


def is_preflight(method: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser asks if it may ask."""
    return method == "OPTIONS" and b"access-control-request-method" in headers


async def answer_preflight(send: Callable[[Any], Awaitable[None]]) -> None:
    """Yes, without cookies."""
    await send({"type": "http.response.start", "status": 204, "headers": list(_PREFLIGHT)})
    await send({"type": "http.response.body", "body": b""})
