"""The HTTP server: what it refuses before an application is asked, and how it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from libs.runtime import http_server
from libs.runtime.http_server import HEAD_BYTES, HttpServer


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["path"]})
        await send({"type": "websocket.close", "code": 1000})
        return
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            break
    body = f"{scope['method']} {size}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


async def said(port: int, content: bytes) -> bytes:
    """Everything that is answered until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(content)
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()


@pytest.fixture
async def server() -> Any:
    running = HttpServer(app, "127.0.0.1", 0)
    await running.start()
    yield running
    await running.stop(5)


async def test_requests_are_answered_and_a_large_body_is_no_large_head(server: HttpServer) -> None:
    body = b"x" * (4 * HEAD_BYTES)
    answer = await said(
        server.port, b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    )
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"POST %d" % len(body))
    assert b"server:" not in answer.lower()


async def test_a_head_has_a_size(server: HttpServer) -> None:
    endless = b"GET / HTTP/1.1\r\nhost: a\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"y" * 1_000) for n in range(80))
    assert b" 431 " in await said(server.port, endless)
    assert (await said(server.port, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_head_has_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(http_server, "_SWEEP_SECONDS", 0.05)
    running = HttpServer(app, "127.0.0.1", 0)
    await running.start()
    try:
        assert await said(running.port, b"GET / HTTP/1.1\r\nhost:") == b""
        assert await said(running.port, b"") == b""
    finally:
        await running.stop(5)


async def test_what_is_no_http_is_refused(server: HttpServer) -> None:
    assert (await said(server.port, b"\x16\x03\x01 hello\r\n\r\n")).startswith(b"HTTP/1.1 400")


async def test_websockets_reach_the_application(server: HttpServer) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{server.port}/talk") as socket:
        assert (await socket.receive(30)).data == "/talk"
        assert (await socket.receive(30)).type == aiohttp.WSMsgType.CLOSE
