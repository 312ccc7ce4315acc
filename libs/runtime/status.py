"""A process's word to its platform: alive, ready, and what it measures; a few lines of HTTP that need no framework."""
from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from libs.telemetry import logs, metrics

HEAD_BYTES_MAX = 16 * 1024
REQUEST_SECONDS = 5.0
CONNECTIONS_MAX = 100

_log = logs.get_logger(__name__)

# What is wrong, by part; empty when nothing is.
Ask = Callable[[], Mapping[str, str]]


class StatusServer:
    """`/livez`: is the process worth keeping. `/readyz`: may it be given work. `/metrics`: Prometheus or OpenMetrics text."""

    def __init__(self, host: str, port: int, *, alive: Ask, ready: Ask) -> None:
        """Answer 503 with what `alive` or `ready` name, else 200. Port 0 takes any free one."""
        self.port = port
        self._host = host
        self._alive = alive
        self._ready = ready
        self._connections = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken, or the host is none of this machine.
        """
        try:
            self._server = await asyncio.start_server(self._serve, self._host, self.port, limit=HEAD_BYTES_MAX)
        except OSError as error:
            raise OSError(f"status_port: cannot listen at {self._host} port {self.port}: {error.strerror or error}") from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= CONNECTIONS_MAX:
                async with asyncio.timeout(REQUEST_SECONDS):
                    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                    writer.write(self._answer(head))
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked is gone, or asks for something else
        finally:
            self._connections -= 1
            writer.close()

    def _answer(self, head: list[str]) -> bytes:
        method, _, rest = head[0].partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        if method not in ("GET", "HEAD"):
            return _response(405, "text/plain", b"GET only\n", method)
        if path == "/livez":
            return _told(self._alive(), "alive", "dead", method)
        if path == "/readyz":
            return _told(self._ready(), "ready", "waiting", method)
        if path == "/metrics":
            body, media_type = metrics.exposition(headers.get("accept", ""))
            return _response(200, media_type, body, method)
        return _response(404, "text/plain", b"/livez, /readyz, /metrics\n", method)


def _told(wrong: Mapping[str, str], well: str, ill: str, method: str) -> bytes:
    said: dict[str, Any] = {"status": ill if wrong else well, **({"for": dict(wrong)} if wrong else {})}
    return _response(503 if wrong else 200, "application/json", json.dumps(said, ensure_ascii=False).encode() + b"\n", method)


def _response(status: int, media_type: str, body: bytes, method: str) -> bytes:
    words = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}[status]
    head = (
        f"HTTP/1.1 {status} {words}\r\ncontent-type: {media_type}\r\ncontent-length: {len(body)}\r\n"
        "cache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (b"" if method == "HEAD" else body)
