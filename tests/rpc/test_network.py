"""What only a network has: services that go and come, tries, balance, limits, health, reflection, an orderly stop."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from libs.rpc import errors
from libs.rpc.auth import Caller, Keys, Tokens, acting
from libs.rpc.client import TRIES, NetworkChannel
from libs.rpc.server import MESSAGE_BYTES, NetworkServer
from libs.subscriptions.subscription import is_passing
from libs.telemetry import metrics
from tests.rpc.house import House, Stream, add, eventually, reserved_port
from watercooler.events.v1.event_log_pb2 import ReadRequest, ReadResponse
from watercooler.events.v1.event_log_pb2_grpc import EventLogServicer, EventLogStub, add_EventLogServicer_to_server
from watercooler.feed.v1 import feed_service_pb2 as pb
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceServicer, FeedServiceStub, add_FeedServiceServicer_to_server

FEED = "watercooler.feed.v1.FeedService"
PATIENT = 40.0


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(Keys(tmp_path / "keys"))


@asynccontextmanager
async def server_of(tokens: Tokens, *servicers: Any, port: int = 0, **limits: int) -> AsyncIterator[tuple[NetworkServer, int]]:
    server = NetworkServer(tokens, "127.0.0.1", port, **limits)
    for servicer in servicers:
        add(servicer, server)
    bound = await server.start()
    try:
        yield server, bound
    finally:
        await server.stop(0)


@asynccontextmanager
async def channel_to(*ports: int) -> AsyncIterator[NetworkChannel]:
    channel = NetworkChannel("ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports), name="feed")
    try:
        yield channel
    finally:
        await channel.close()


async def refusal(call: Any) -> errors.Problem:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return errors.read(caught.value)


AWAY = errors.Problem(grpc.StatusCode.UNAVAILABLE, "feed is not reachable just now", "", 2)


class Flaky(FeedServiceServicer, EventLogServicer):
    """Breaks off as a dying process does, without details, so many times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.calls = 0

    async def _break_off(self, context: Any) -> None:
        self.calls += 1
        if self.calls <= self.times:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")

    async def GetPost(self, request: pb.GetPostRequest, context: Any) -> pb.Post:
        await self._break_off(context)
        return pb.Post(post_id=request.post_id)

    async def PublishPost(self, request: pb.PublishPostRequest, context: Any) -> pb.Post:
        await self._break_off(context)
        return pb.Post(post_id="published")

    async def Read(self, request: Any, context: Any) -> AsyncIterator[ReadResponse]:
        if request.after_position:
            yield ReadResponse(position=1)
        await self._break_off(context)
        yield ReadResponse(position=2)


@asynccontextmanager
async def flaky(times: int) -> AsyncIterator[tuple[Flaky, NetworkChannel]]:
    servicer = Flaky(times)
    server = grpc.aio.server()
    add_FeedServiceServicer_to_server(servicer, server)
    add_EventLogServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with channel_to(port) as channel:
            yield servicer, channel
    finally:
        await server.stop(0)


async def test_calls_that_change_nothing_are_tried_again() -> None:
    async with flaky(TRIES - 1) as (servicer, channel):
        labels = {"service": FEED, "method": "GetPost"}
        metrics.RPC_CLIENT_RETRIES.labels(**labels)
        before = metrics.value("rpc_client_retries_total", **labels)
        stub: Any = FeedServiceStub(channel)
        assert (await stub.GetPost(pb.GetPostRequest(post_id="p"), timeout=PATIENT)).post_id == "p"
        assert servicer.calls == TRIES
        assert metrics.value("rpc_client_retries_total", **labels) == before + TRIES - 1


async def test_calls_are_tried_so_many_times_and_no_more() -> None:
    async with flaky(100) as (servicer, channel):
        stub: Any = FeedServiceStub(channel)
        assert await refusal(stub.GetPost(pb.GetPostRequest(post_id="p"), timeout=PATIENT)) == AWAY
        assert servicer.calls == TRIES


async def test_a_change_is_tried_again_only_under_a_request_id() -> None:
    async with flaky(1) as (servicer, channel):
        stub: Any = FeedServiceStub(channel)
        assert await refusal(stub.PublishPost(pb.PublishPostRequest(body="hello"), timeout=PATIENT)) == AWAY
        assert servicer.calls == 1
        servicer.times = 2
        found = await stub.PublishPost(pb.PublishPostRequest(body="hello", request_id="r"), timeout=PATIENT)
        assert (found.post_id, servicer.calls) == ("published", 3)


async def test_a_stream_is_begun_again_but_never_repeated() -> None:
    async with flaky(1) as (servicer, channel):
        stub: Any = EventLogStub(channel)
        assert [m.position async for m in stub.Read(ReadRequest())] == [2]
        assert servicer.calls == 2
        servicer.times = 3
        seen = []
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for message in stub.Read(ReadRequest(after_position=1)):
                seen.append(message.position)
        assert seen == [1]
        assert (errors.read(caught.value), servicer.calls) == (AWAY, 3)


async def test_a_refusal_that_names_a_time_to_wait_is_not_tried_again(tokens: Tokens) -> None:
    house = House()
    async with server_of(tokens, house) as (_, port), channel_to(port) as channel:
        stub: Any = FeedServiceStub(channel)
        assert (await refusal(stub.GetPost(pb.GetPostRequest(post_id="exhausted"), timeout=PATIENT))).retry_seconds == 7
        assert house.calls == 1


async def test_a_service_that_is_away_is_told_at_once_and_found_when_it_is_back(tokens: Tokens) -> None:
    get = pb.GetPostRequest(post_id="p")
    with reserved_port() as port:
        async with channel_to(port) as channel:
            stub: Any = FeedServiceStub(channel)
            started = asyncio.get_running_loop().time()
            assert await refusal(stub.GetPost(get, timeout=PATIENT)) == AWAY
            assert asyncio.get_running_loop().time() - started < PATIENT / 2
            for _ in range(2):
                async with server_of(tokens, House(), port=port):
                    await eventually(lambda: stub.GetPost(get))
                assert await refusal(stub.GetPost(get, timeout=PATIENT)) == AWAY


async def test_a_channel_that_finds_nobody_begins_anew(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.rpc.client.RENEW_SECONDS", 0.0)
    with reserved_port() as port:
        async with channel_to(port) as channel:
            stub: Any = FeedServiceStub(channel)
            for _ in range(3):
                assert await refusal(stub.GetPost(pb.GetPostRequest(post_id="p"), timeout=PATIENT)) == AWAY
            async with server_of(tokens, House(), port=port):
                await eventually(lambda: stub.GetPost(pb.GetPostRequest(post_id="p")))


async def test_calls_go_to_all_instances_and_one_that_goes_is_not_missed(tokens: Tokens) -> None:
    one, two = House(), House()
    get = pb.GetPostRequest(post_id="p")
    async with AsyncExitStack() as stack:
        second = stack.enter_context(reserved_port())
        _, first = await stack.enter_async_context(server_of(tokens, one))
        leaving, _ = await stack.enter_async_context(server_of(tokens, two, port=second))
        channel = await stack.enter_async_context(channel_to(first, second))
        stub: Any = FeedServiceStub(channel)

        async def both_answer() -> bool:
            await stub.GetPost(get, timeout=PATIENT)
            return bool(one.calls and two.calls)

        await eventually(both_answer)
        before = one.calls, two.calls
        for _ in range(20):
            await stub.GetPost(get, timeout=PATIENT)
        assert (one.calls - before[0], two.calls - before[1]) == (10, 10)

        answered = 0

        async def go_on() -> None:
            nonlocal answered
            while not gone.is_set():
                await stub.GetPost(get, timeout=PATIENT)
                answered += 1

        gone = asyncio.Event()
        callers = [asyncio.create_task(go_on()) for _ in range(4)]
        await eventually(lambda: _true(answered > 20))
        await leaving.stop(PATIENT)
        at_stop = answered
        await eventually(lambda: _true(answered > at_stop + 20))
        gone.set()
        await asyncio.gather(*callers)

        two.calls = 0
        async with server_of(tokens, two, port=second):
            await eventually(both_answer)


async def _true(answer: bool) -> bool:
    return answer


async def test_more_calls_at_once_than_there_is_room_for_are_told_to_wait(tokens: Tokens) -> None:
    house, stream = House(), Stream()
    async with server_of(tokens, house, stream, calls_max=2, streams_max=1) as (_, port), channel_to(port) as channel:
        stub: Any = FeedServiceStub(channel)
        slow = [asyncio.create_task(_call(stub.GetPost(pb.GetPostRequest(post_id="slow"), timeout=PATIENT))) for _ in range(2)]
        await eventually(lambda: _true(house.calls == 2))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetPost(pb.GetPostRequest(post_id="p"), timeout=PATIENT)
        problem = errors.read(caught.value)
        assert (problem.code, problem.retry_seconds) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1)
        assert is_passing(caught.value), "a subscription waits, and parks nothing"
        house.release.set()
        await asyncio.gather(*slow)
        assert await stub.GetPost(pb.GetPostRequest(post_id="p"), timeout=PATIENT)

        with acting(tokens.sign(Caller("ann"))):
            logs: Any = EventLogStub(channel)
            async with aclosing(logs.Read(ReadRequest(after_position=3))) as held:
                await anext(held)
                problem = await refusal(anext(logs.Read(ReadRequest(after_position=3))))
                assert (problem.code, problem.retry_seconds) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1)


async def _call(call: Any) -> Any:
    return await call


async def test_a_message_that_is_too_large_is_refused_in_words(tokens: Tokens) -> None:
    async with server_of(tokens, House()) as (_, port), channel_to(port) as channel:
        stub: Any = FeedServiceStub(channel)
        problem = await refusal(stub.GetPost(pb.GetPostRequest(post_id="x" * (MESSAGE_BYTES + 1)), timeout=PATIENT))
        assert problem.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "at most 16 MiB" in problem.reason


async def test_a_port_that_is_taken_is_named(tokens: Tokens) -> None:
    async with server_of(tokens, House()) as (_, port):
        with pytest.raises(OSError, match=f"127.0.0.1 port {port}"):
            await NetworkServer(tokens, "127.0.0.1", port).start()


async def test_health_is_told_for_each_service_and_ends_first_at_a_stop(tokens: Tokens) -> None:
    house = House()
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    async with server_of(tokens, house) as (server, port), channel_to(port) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)

        async def status(service: str) -> Any:
            return (await health.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENT)).status

        assert (await status(""), await status(FEED)) == (serving, serving)
        await server.serving(False, FEED)
        assert (await status(""), await status(FEED)) == (serving, not_serving)
        await server.serving(False)
        assert await status("") == not_serving
        await server.serving(True)
        async with aclosing(health.Watch(health_pb2.HealthCheckRequest())) as watched:
            assert (await anext(watched)).status == serving
            stopping = asyncio.create_task(server.stop(PATIENT))
            assert (await anext(watched)).status == not_serving
            async with asyncio.timeout(PATIENT / 2):
                await stopping


async def test_what_is_served_can_be_asked_by_reflection(tokens: Tokens) -> None:
    async with server_of(tokens, House()) as (_, port):

        def ask() -> tuple[set[str], str]:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                database = ProtoReflectionDescriptorDatabase(channel)
                pool = DescriptorPool(database)
                return set(database.get_services()), pool.FindServiceByName(FEED).FindMethodByName("GetPost").input_type.full_name

        services, request = await asyncio.to_thread(ask)
        assert {FEED, "grpc.health.v1.Health"} <= services
        assert request == "watercooler.feed.v1.GetPostRequest"


async def test_a_stop_lets_running_calls_finish_and_takes_no_more(tokens: Tokens) -> None:
    house, stream = House(), Stream()
    async with server_of(tokens, house, stream) as (server, port), channel_to(port) as channel, channel_to(port) as late:
        with acting(tokens.sign(Caller("ann"))):
            live = EventLogStub(channel).Read(ReadRequest(after_position=3))  # type: ignore[arg-type]
        assert (await anext(live)).id == "ann"
        stub: Any = FeedServiceStub(channel)
        slow = asyncio.create_task(_call(stub.GetPost(pb.GetPostRequest(post_id="slow"), timeout=PATIENT)))
        await house.entered.wait()
        stopping = asyncio.create_task(server.stop(PATIENT))
        problem = await refusal(anext(live))
        assert (problem.code, problem.retry_seconds) == (grpc.StatusCode.UNAVAILABLE, 1), "nothing waits for what never ends"
        other: Any = FeedServiceStub(late)
        assert await refusal(other.GetPost(pb.GetPostRequest(post_id="p"), timeout=PATIENT)) == AWAY
        assert not slow.done()
        assert not stopping.done()
        house.release.set()
        assert (await slow).post_id
        await stopping


async def test_a_stop_cuts_what_outlasts_the_grace(tokens: Tokens) -> None:
    house = House()
    async with server_of(tokens, house) as (server, port), channel_to(port) as channel:
        stub: Any = FeedServiceStub(channel)
        slow = asyncio.create_task(refusal(stub.GetPost(pb.GetPostRequest(post_id="slow"), timeout=PATIENT)))
        await house.entered.wait()
        await server.stop(0.1)
        assert await slow == AWAY
