"""Server-sent events as a response that ends when either side does."""
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from litestar.response.base import ASGIResponse


class EventStream(ASGIResponse):
    """A stream of server-sent events. Litestar's own goes on waiting for the client after the server has ended it."""

    __slots__ = ("_events",)
    _should_set_content_length = False

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        """Send what `events` yields; it is closed when the client leaves."""
        super().__init__(media_type="text/event-stream", headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        self._events = events

    @classmethod
    def file(cls, pieces: AsyncGenerator[bytes, None], media_type: str, name: str) -> EventStream:
        """The same for a file that is made while it is sent; `name` is ASCII without quotes."""
        made = cls(pieces)
        ASGIResponse.__init__(
            made, media_type=media_type,
            headers={"cache-control": "no-store", "content-disposition": f'attachment; filename="{name}"', "x-accel-buffering": "no"},
        )
        return made

    async def send_body(self, send: Any, receive: Any) -> None:
        """Send events until they end or the client has left."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
        if not sending.cancelled() and (error := sending.exception()) is not None:
            raise error

    async def _send(self, send: Any) -> None:
        async with contextlib.aclosing(self._events) as events:
            async for chunk in events:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
