"""A servicer that shows what it knows of its call, and ways to reach one: in this process and over the network."""
from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc

from libs.eventstore.model import InvalidArgument
from libs.rpc import auth, deadlines
from libs.rpc.auth import Keys, Tokens
from libs.rpc.client import NetworkChannel
from libs.rpc.errors import ResourceExhausted
from libs.rpc.inprocess import Channel, Registry
from libs.rpc.server import NetworkServer
from libs.telemetry import traces
from watercooler.events.v1 import event_log_pb2 as log_pb
from watercooler.events.v1.event_log_pb2_grpc import EventLogServicer, add_EventLogServicer_to_server
from watercooler.feed.v1 import feed_service_pb2 as pb
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceServicer, FeedServiceStub, add_FeedServiceServicer_to_server

PATIENCE_SECONDS = 60.0


class House(FeedServiceServicer):
    """Answers a post whose fields tell of the call; `post_id` says what to do."""

    def __init__(self, neighbour: Any = None) -> None:
        self.neighbour = neighbour
        self.calls = 0
        self.entered = asyncio.Event()
        self.release = asyncio.Event()

    async def GetPost(self, request: pb.GetPostRequest, context: Any) -> pb.Post:
        self.calls += 1
        match request.post_id:
            case "":
                raise InvalidArgument("name a post – please", "post_id")
            case "fault":
                raise RuntimeError("a secret of the house")
            case "wordy":
                raise InvalidArgument("ü" * 5_000, "post_id")
            case "exhausted":
                raise ResourceExhausted("not so fast", 7)
            case "slow":
                self.entered.set()
                await self.release.wait()
            case "behind":
                task = asyncio.create_task(self._later())
                self.left_behind = task
        actor = auth.optional_caller()
        who = actor.actor_id if actor else ""
        return pb.Post(post_id=str(deadlines.remaining()), body=who, community_name=traces.trace_id(), etag=auth.acting_token())

    async def _later(self) -> str:
        await self.release.wait()
        return str(deadlines.remaining())


class Relay(House):
    """Asks its neighbour."""

    async def GetPost(self, request: pb.GetPostRequest, context: Any) -> pb.Post:
        return await FeedServiceStub(self.neighbour).GetPost(request, timeout=50)


class Stream(EventLogServicer):
    """Streams what it knows of the call; `after_position` says what to do."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.entered = asyncio.Event()

    async def Read(self, request: log_pb.ReadRequest, context: Any) -> AsyncIterator[log_pb.ReadResponse]:
        try:
            if request.after_position == 1:
                raise InvalidArgument("begin elsewhere", "after_position")
            yield log_pb.ReadResponse(id=auth.caller().actor_id, stream=str(deadlines.remaining()), traceparent=traces.trace_id())
            if request.after_position == 2:
                raise RuntimeError("a secret of the house")
            self.entered.set()
            if request.after_position == 3:
                await asyncio.Event().wait()
            for position in range(request.limit):
                yield log_pb.ReadResponse(position=position, id=auth.caller().actor_id)
        finally:
            self.closed.set()


Reach = Callable[..., Awaitable[Any]]


@asynccontextmanager
async def reaching(kind: str, folder: Path) -> AsyncIterator[tuple[Reach, Tokens]]:
    """A function from servicers to a channel that reaches them, in the manner of `kind`."""
    tokens = Tokens(Keys(folder / "keys"))
    async with AsyncExitStack() as stack:

        async def reach(*servicers: Any) -> Any:
            taker: Any = Registry(tokens) if kind == "in one process" else NetworkServer(tokens, "127.0.0.1", 0)
            for servicer in servicers:
                add(servicer, taker)
            if isinstance(taker, Registry):
                return Channel(taker)
            port = await taker.start()
            stack.push_async_callback(taker.stop, 0)
            channel = NetworkChannel(f"127.0.0.1:{port}", name="house")
            stack.push_async_callback(channel.close)
            return channel

        yield reach, tokens


def add(servicer: Any, taker: Any) -> None:
    """Add a servicer of this module to a server or a registry."""
    (add_FeedServiceServicer_to_server if isinstance(servicer, FeedServiceServicer) else add_EventLogServicer_to_server)(servicer, taker)


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port that nobody else is given meanwhile, and where a server may still begin to listen; until then connections are refused."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def eventually(check: Callable[[], Awaitable[Any]]) -> Any:
    """What `check` answers once it is true and raises no RPC error; fails when that lasts a minute."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                if found := await check():
                    return found
            except grpc.aio.AioRpcError:
                pass
            await asyncio.sleep(0.02)
