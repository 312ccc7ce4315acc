"""This API as a part of the gateway: its calls in one table, its answers, and the few files that its accounts need."""
from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final

from ..http import Gateway
from ..problems import Refusal
from . import accounts, filters, instance, lists, media, misc, notifications, push, search, statuses, streaming, timelines
from .errors import body_of, not_found, status_of
from .router import ROUTES, Call, Receive, Route, Scope, Send, Table, answer
from .services import Services
from .shown import Shown

# Declared by being imported.
MODULES: Final = (accounts, filters, instance, lists, media, misc, notifications, push, search, statuses, streaming, timelines)
PICTURES: Final = "/avatars/"
HEALTH: Final = "/health"
STREAMING: Final = "/api/v1/streaming"
_HELD: Final = b"public, max-age=86400"


class Mastodon:
    """Mastodon's client API of a gateway."""

    def __init__(self, gateway: Gateway) -> None:
        """Over the parts of the gateway."""
        context = gateway.context
        self.gateway = gateway
        self.site = gateway.images
        self.shown = Shown(Services.of(context), self.site, context.settings.cache_rendered_posts)
        self.table = Table(ROUTES)
        self._pictures = {**dict(pictures()), HEALTH: b"OK"}

    def owns(self, path: str) -> bool:
        """Whether a path is this API's, with something there or not."""
        return self.table.owns(path)

    def find(self, method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
        """The call for a request; None for what is not this API's. Raises Refusal 404, 405."""
        found, parts = self.table.find(method, path)
        if found is not None:
            return found, parts
        if not self.table.owns(path):
            return None
        if parts:
            raise Refusal(405, "This address does not take that method.", headers={"allow": ", ".join(parts)})
        raise not_found()

    async def answer(self, found: tuple[Route, tuple[str, ...]], scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that the edge has looked at. Raises Refusal and what services raise."""
        call = Call(scope, receive, send, found[0], found[1], self.shown)
        await answer(call)

    async def websocket(self, address: str, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket."""
        await streaming.websocket(self.gateway, self.shown, address, scope, receive, send)

    def refusal(self, refusal: Refusal) -> tuple[int, bytes]:
        """Status and body of a refusal in Mastodon's form."""
        return status_of(refusal), body_of(refusal)

    async def picture(self, path: str, send: Send) -> bool:
        """Send one of the pictures that stand for a missing photo, or that all is well; False where the path is none of theirs."""
        content = self._pictures.get(path)
        if content is None:
            return False
        kind = b"image/png" if path.startswith(PICTURES) else b"text/plain; charset=utf-8"
        headers = [
            (b"content-type", kind), (b"content-length", str(len(content)).encode()),
            (b"cache-control", _HELD if path.startswith(PICTURES) else b"no-store"),
            (b"cross-origin-resource-policy", b"cross-origin"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})
        return True


# --- pictures that stand for a missing photo: drawn here, since clients insist on there being one ---------------------

_INK: Final = (250, 250, 252)
_GROUND: Final = (86, 110, 140)
_GROUND_GROUP: Final = (64, 128, 112)


def pictures() -> Iterator[tuple[str, bytes]]:
    """Address and content of each."""
    size = 120

    def body(x: int, y: int, centre: int, head: int, top: int, radius: int, width: int) -> bool:
        is_head = (x - centre) ** 2 + (y - head) ** 2 <= radius ** 2
        return is_head or (y >= top and ((x - centre) / width) ** 2 + ((y - size) / (size - top)) ** 2 <= 1)

    def person(x: int, y: int) -> tuple[int, int, int]:
        return _INK if body(x, y, 60, 46, 74, 22, 40) else _GROUND

    def group(x: int, y: int) -> tuple[int, int, int]:
        shown = body(x, y, 60, 52, 78, 17, 30) or body(x, y, 28, 42, 66, 12, 20) or body(x, y, 92, 42, 66, 12, 20)
        return _INK if shown else _GROUND_GROUP

    yield f"{PICTURES}person.png", _png(size, size, person)
    yield f"{PICTURES}group.png", _png(size, size, group)
    yield f"{PICTURES}header.png", _png(60, 20, lambda x, y: _GROUND)


def _png(width: int, height: int, colour: Any) -> bytes:
    rows = b"".join(b"\0" + bytes(part for x in range(width) for part in colour(x, y)) for y in range(height))

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
