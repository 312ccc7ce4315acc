"""A push service on this machine that takes messages and reads them as the device would."""
from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from libs.push.messages import SigningKey, decrypt
from libs.push.sender import Device


@dataclass
class Message:
    """One push as the device has it."""

    path: str
    headers: dict[str, str]
    content: bytes


@dataclass
class FakeDevice:
    """A device with its keys."""

    address: Device
    key: SigningKey


@dataclass
class PushService:
    """Answers `status` to each message and keeps what could be read."""

    port: int = 0
    status: int = 201
    retry_after: str = ""
    messages: list[Message] = field(default_factory=list)
    devices: dict[str, FakeDevice] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[PushService]:
        """On a free port of the loopback."""
        service = cls()
        server = await asyncio.start_server(service._serve, "127.0.0.1", 0)
        service.port = server.sockets[0].getsockname()[1]
        try:
            yield service
        finally:
            server.close()
            await server.wait_closed()

    def device(self) -> FakeDevice:
        """A new device."""
        key, secret, path = SigningKey.new(), os.urandom(16), f"/push/{len(self.devices)}"
        made = self.devices[path] = FakeDevice(Device(f"http://127.0.0.1:{self.port}{path}", key.public, secret), key)
        return made

    async def wait(self, count: int) -> list[Message]:
        """The messages, once there are so many."""
        async with asyncio.timeout(60):
            while len(self.messages) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.messages

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = head[0].split(" ")[1]
        device = self.devices[path]
        if 200 <= self.status < 300:
            self.messages.append(Message(path, headers, decrypt(body, device.key, device.address.secret)))
            self.arrived.set()
        extra = f"retry-after: {self.retry_after}\r\n" if self.retry_after else ""
        extra += "location: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n"
        writer.write(f"HTTP/1.1 {self.status} x\r\n{extra}\r\n".encode())
        await writer.drain()
        writer.close()
