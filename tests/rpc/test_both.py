"""The same rules for calls in one process and over the network: callers, errors with details, deadlines, traces, streams."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest

from libs.rpc import auth, errors
from libs.rpc.auth import Caller, Tokens, acting
from libs.telemetry import metrics, traces
from tests.rpc.house import House, Reach, Relay, Stream, eventually, reaching
from watercooler.events.v1.event_log_pb2 import ReadRequest
from watercooler.events.v1.event_log_pb2_grpc import EventLogStub
from watercooler.feed.v1 import feed_service_pb2 as pb
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub

ANN = Caller("ann", frozenset({"employee"}))
PATIENT = 40.0


@pytest.fixture(params=["in one process", "over the network"])
async def reached(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Reach, Tokens]]:
    async with reaching(request.param, tmp_path) as found:
        yield found


async def refusal(call: Any) -> errors.Problem:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return errors.read(caught.value)


async def first(messages: Any) -> Any:
    async with aclosing(messages):
        return await anext(messages)


async def test_the_servicer_knows_who_calls_and_passes_it_on(reached: tuple[Reach, Tokens]) -> None:
    reach, tokens = reached
    stub: Any = FeedServiceStub(await reach(Relay(await reach(House()))))
    token = tokens.sign(ANN)
    with acting(token):
        found = await stub.GetPost(pb.GetPostRequest(post_id="p"), timeout=PATIENT)
    assert (found.body, found.etag) == ("ann", token)
    with acting(tokens.sign(Caller(service="gateway"))):
        assert (await stub.GetPost(pb.GetPostRequest(post_id="p"), timeout=PATIENT)).body == "service:gateway"
    assert (await stub.GetPost(pb.GetPostRequest(post_id="p"), timeout=PATIENT)).body == ""
    with acting("forged.token.x"):
        assert (await refusal(stub.GetPost(pb.GetPostRequest(post_id="p"), timeout=PATIENT))).code is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("post_id", "expected"),
    [
        ("", errors.Problem(grpc.StatusCode.INVALID_ARGUMENT, "name a post – please", "post_id")),
        ("exhausted", errors.Problem(grpc.StatusCode.RESOURCE_EXHAUSTED, "not so fast", "", 7)),
        ("wordy", errors.Problem(grpc.StatusCode.INVALID_ARGUMENT, "ü" * 997 + "...", "post_id")),
        ("fault", errors.Problem(grpc.StatusCode.INTERNAL, "something went wrong here; it is logged and will be looked at")),
    ],
)
async def test_refusals_keep_their_details_through_two_services(
    reached: tuple[Reach, Tokens], post_id: str, expected: errors.Problem
) -> None:
    reach, _ = reached
    house = House()
    stub: Any = FeedServiceStub(await reach(Relay(await reach(house))))
    assert await refusal(stub.GetPost(pb.GetPostRequest(post_id=post_id), timeout=PATIENT)) == expected
    assert house.calls == 1


async def test_a_method_nobody_wrote_is_unimplemented(reached: tuple[Reach, Tokens]) -> None:
    reach, _ = reached
    stub: Any = FeedServiceStub(await reach(House()))
    assert (await refusal(stub.DeletePost(pb.DeletePostRequest(post_id="p"), timeout=PATIENT))).code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_deadline_holds_for_every_call_made_under_it(reached: tuple[Reach, Tokens]) -> None:
    reach, _ = reached
    last = House()
    stub: Any = FeedServiceStub(await reach(Relay(await reach(Relay(await reach(last))))))
    left = float((await stub.GetPost(pb.GetPostRequest(post_id="p"), timeout=40)).post_id)
    assert 0 < left <= 45, "the services between asked for 50 s"
    unnamed = await eventually(lambda: stub.GetPost(pb.GetPostRequest(post_id="p")))
    assert 0 < float(unnamed.post_id) <= 2.5
    problem = await refusal(stub.GetPost(pb.GetPostRequest(post_id="slow"), timeout=0.5))
    assert problem.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert problem.reason == "this took too long and was given up: try again"


async def test_what_a_call_leaves_behind_is_not_bound_by_its_deadline(reached: tuple[Reach, Tokens]) -> None:
    reach, _ = reached
    house = House()
    stub: Any = FeedServiceStub(await reach(house))
    await stub.GetPost(pb.GetPostRequest(post_id="behind"), timeout=40)
    house.release.set()
    assert await house.left_behind == "None"


async def test_the_trace_goes_through_and_calls_are_measured(reached: tuple[Reach, Tokens]) -> None:
    reach, _ = reached
    stub: Any = FeedServiceStub(await reach(Relay(await reach(House()))))
    labels = {"service": "watercooler.feed.v1.FeedService", "method": "GetPost", "code": "OK"}
    metrics.RPC_SERVER_DURATION.labels(**labels)
    before = metrics.value("rpc_server_duration_seconds_count", **labels)
    with traces.span("page"):
        found = await stub.GetPost(pb.GetPostRequest(post_id="p"), timeout=PATIENT)
        assert found.community_name == traces.trace_id()
    assert metrics.value("rpc_server_duration_seconds_count", **labels) == before + 2


async def test_a_stream_goes_by_the_same_rules(reached: tuple[Reach, Tokens]) -> None:
    reach, tokens = reached
    stub: Any = EventLogStub(await reach(Stream()))
    with acting(tokens.sign(ANN)), traces.span("page"):
        trace_id = traces.trace_id()
        answer = stub.Read(ReadRequest(limit=100))
    with acting(tokens.sign(Caller("somebody else"))):
        messages = []
        async for message in answer:
            messages.append(message)
            assert auth.optional_caller() is None, "what the servicer knows is not seen where its messages are read"
    assert (messages[0].id, messages[0].stream, messages[0].traceparent) == ("ann", "None", trace_id)
    assert [(m.position, m.id) for m in messages[1:]] == [(n, "ann") for n in range(100)]
    assert (await refusal(first(stub.Read(ReadRequest())))).code is grpc.StatusCode.UNAUTHENTICATED
    with acting(tokens.sign(ANN)):
        assert await refusal(first(stub.Read(ReadRequest(after_position=1)))) == errors.Problem(
            grpc.StatusCode.INVALID_ARGUMENT, "begin elsewhere", "after_position"
        )
        assert 0 < float((await first(stub.Read(ReadRequest(), timeout=40))).stream) <= 45


async def test_a_stream_that_fails_midway_gave_what_came_before(reached: tuple[Reach, Tokens]) -> None:
    reach, tokens = reached
    stub: Any = EventLogStub(await reach(Stream()))
    with acting(tokens.sign(ANN)):
        answer = stub.Read(ReadRequest(after_position=2))
    async with aclosing(answer):
        assert (await anext(answer)).id == "ann"
        problem = await refusal(anext(answer))
    assert problem.code is grpc.StatusCode.INTERNAL
    assert "secret" not in problem.reason


async def test_a_stream_ends_at_its_deadline_and_when_its_reader_leaves(reached: tuple[Reach, Tokens]) -> None:
    reach, tokens = reached
    servicer = Stream()
    stub: Any = EventLogStub(await reach(servicer))
    with acting(tokens.sign(ANN)):
        assert (await first(stub.Read(ReadRequest()))).id == "ann"
        servicer.entered.clear()
        servicer.closed.clear()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for message in stub.Read(ReadRequest(after_position=3), timeout=1):
                assert message.id == "ann"
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        if servicer.entered.is_set():  # else the second was over before the call arrived
            async with asyncio.timeout(60):
                await servicer.closed.wait()
        servicer.closed.clear()
        assert (await first(stub.Read(ReadRequest(after_position=3)))).id == "ann"
        async with asyncio.timeout(60):
            await servicer.closed.wait()
