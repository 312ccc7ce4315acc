"""HTTP and WebSocket for an ASGI application: uvicorn on httptools, with the limits it leaves to its user.

A client may hold a connection as long as it likes while it is served, but the head of a request has a size and a time, so that slow or
endless senders cannot hold them all (docs/decisions/0009-http-server.md).
"""
from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import socket
import sys
from collections.abc import Iterator
from typing import Any, Final

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from libs.telemetry import logs

HEAD_BYTES: Final = 64 << 10
HEAD_SECONDS: Final = 30.0
KEEP_ALIVE_SECONDS: Final = 75
# Open streams of live updates are among them. Past it an answer of 503 says so.
CONNECTIONS: Final = 20_000
# What a WebSocket may send in one message; clients only say what they listen to.
MESSAGE_BYTES: Final = 64 << 10
CLOSE_SECONDS: Final = 3.0
_SWEEP_SECONDS: Final = 5.0
# Every statement of SQLite lets go of the interpreter and waits so long, at most, to have it back from a thread that computes
# (indexing). Python's own 5 ms, twenty times a request, are a tenth of a second.
_SWITCH_SECONDS: Final = 0.000_2
_TOO_LARGE_TEXT: Final = b"The head of a request holds 64 KiB at most: shorten it.\n"
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(_TOO_LARGE_TEXT), _TOO_LARGE_TEXT)
)

_log = logs.get_logger(__name__)


class _Connection(HttpToolsProtocol):
    """A connection that bounds what comes before a request's body."""

    head_bytes = 0
    # When the head that is awaited began, by the loop's clock; 0 while a request is served or its body comes.
    head_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.head_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.head_since:
            return
        # The end of a body before it in the same piece counts too: whoever sends large requests waits for their answers.
        self.head_bytes += len(data)
        if self.head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        self.head_bytes = 0
        self.head_since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.head_since = 0.0
        super().on_headers_complete()


class _Server(Server):
    """A server whose process handles signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """An ASGI application at a port, which is told to finish before it ends."""

    def __init__(self, app: Any, host: str, port: int) -> None:
        """Prepare; port 0 takes any free one. The application's lifespan is the caller's business."""
        self.port = port
        self.draining = False
        self._host = host
        self._app = app
        self._under_way = 0
        self._idle = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken, or the host is none of this machine.
        """
        _take_all_descriptors()
        sys.setswitchinterval(_SWITCH_SECONDS)
        self.port = free_port(self._host, self.port)
        config = Config(
            self._handle, host=self._host, port=self.port, http=_Connection, ws="websockets-sansio", lifespan="off", interface="asgi3",
            log_config=None, access_log=False, server_header=False, date_header=True, proxy_headers=False,
            limit_concurrency=CONNECTIONS, timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=int(CLOSE_SECONDS),
            ws_max_size=MESSAGE_BYTES, ws_per_message_deflate=False,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._serve())
        while not self._serving.done() and not self._server.started:
            await asyncio.wait([self._serving], timeout=0.01)
        if self._serving.done():
            await self._serving

    async def _serve(self) -> None:
        sweeping = asyncio.create_task(self._sweep())
        try:
            await self._server.serve()
        except SystemExit:  # uvicorn's way to say that it cannot listen
            raise OSError(f"cannot listen at {self._host} port {self.port}") from None
        finally:
            sweeping.cancel()

    async def _sweep(self) -> None:
        """Close connections whose request has not begun to make sense in time."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            late = loop.time() - HEAD_SECONDS
            for connection in list(self._server.server_state.connections):
                if isinstance(connection, _Connection) and 0 < connection.head_since < late and not connection.transport.is_closing():
                    connection.transport.close()

    async def wait(self) -> None:
        """Until it has ended."""
        if self._serving is not None:
            await self._serving

    def end(self) -> None:
        """Listen no more; what is under way has three seconds."""
        if self._serving is not None:
            self._server.should_exit = True

    async def stop(self, seconds: float) -> None:
        """Let what is under way end, so long at most, then listen no more."""
        self.draining = True
        if self._serving is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._under_way:
                    self._idle.clear()
                    await self._idle.wait()
        self.end()
        await asyncio.wait([self._serving], timeout=CLOSE_SECONDS)

    async def _handle(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def closing(message: Any) -> None:
            if self.draining and message["type"] == "http.response.start":  # so that the next request goes to another process
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        self._under_way += 1
        try:
            await self._app(scope, receive, closing)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()


def _take_all_descriptors() -> None:
    """A connection is a file descriptor: take as many as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, CONNECTIONS + 1_000)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            _log.debug("more connections possible", descriptors=wanted)


def free_port(host: str, port: int) -> int:
    """The port, or any free one for 0; the server itself would share a port that somebody else listens at.

    Raises:
        OSError: the port is taken, or the host is none of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            found: int = probe.getsockname()[1]
            return found
    except OSError as error:
        reason = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise OSError(f"cannot listen at {host} port {port}: {reason}; choose by --port, WATERCOOLER_PORT or WATERCOOLER_HOST") from error
