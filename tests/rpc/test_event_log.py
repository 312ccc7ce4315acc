"""A log read from another process: whole, in parts, live, and only by those who may."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage

from libs.db.sqlite import SqliteDatabase
from libs.eventstore.model import EVENT_BYTES, Recorded
from libs.eventstore.store import SCHEMA, EventStore
from libs.rpc import errors
from libs.rpc.auth import Caller, Keys, Tokens, acting
from libs.rpc.client import NetworkChannel
from libs.rpc.inprocess import Channel, Registry
from libs.rpc.server import NetworkServer
from libs.subscriptions import remote
from libs.subscriptions.remote import EventLogApi, RemoteLog, to_recorded, to_response
from libs.subscriptions.subscription import is_passing
from libs.testing.contracts import META
from tests.rpc.house import reserved_port
from watercooler.events.v1.event_log_pb2 import GetHeadRequest, ReadBatchRequest, ReadRequest, ReadResponse
from watercooler.events.v1.event_log_pb2_grpc import EventLogStub, add_EventLogServicer_to_server
from watercooler.feed.v1.events_pb2 import PostPublished
from watercooler.identity.v1.events_pb2 import PersonAdded, PersonErased, Profile

PERSON = "018f0000-0000-7000-8000-000000000001"


class Reached(NamedTuple):
    store: EventStore
    channel: Any
    tokens: Tokens

    @property
    def log(self) -> RemoteLog:
        return RemoteLog("source", self.channel, lambda: self.tokens.sign(Caller(service="copy")))

    @property
    def stub(self) -> Any:
        return EventLogStub(self.channel)

    def as_service(self) -> Any:
        return acting(self.tokens.sign(Caller(service="copy")))

    async def post(self, *names: str) -> None:
        for name in names:
            await self.store.append(f"post-{name}", 0, [PostPublished(post_id=name, author_id=PERSON, body=name)], META)


@pytest.fixture(params=["in one process", "over the network"])
async def reached(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Reached]:
    tokens = Tokens(Keys(tmp_path / "keys"))
    database = SqliteDatabase(tmp_path / "source.db")
    await database.install(SCHEMA)
    store = EventStore("source", database)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        stack.push_async_callback(store.close)
        taker: Any = Registry(tokens) if request.param == "in one process" else NetworkServer(tokens, "127.0.0.1", 0)
        add_EventLogServicer_to_server(EventLogApi(store), taker)
        channel: Any
        if isinstance(taker, Registry):
            channel = Channel(taker)
        else:
            channel = NetworkChannel(f"127.0.0.1:{await taker.start()}", name="source")
            stack.push_async_callback(taker.stop, 0)
            stack.push_async_callback(channel.close)
        yield Reached(store, channel, tokens)


async def refusal(call: Any) -> errors.Problem:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return errors.read(caught.value)


async def first(messages: Any) -> Any:
    async with aclosing(messages):
        return await anext(messages)


async def test_what_comes_out_is_what_the_store_holds(reached: Reached) -> None:
    await reached.post("a", "b")
    await reached.store.append(f"person-{PERSON}", 0, [PersonAdded(person_id=PERSON, profile=Profile(name="Ann"))], META)
    await reached.post("c")
    log = reached.log
    assert (log.name, await log.head()) == ("source", 4)
    assert await log.tail(0, 100) == await reached.store.tail(0, 100)
    assert [event.position for event in await log.tail(1, 2)] == [2, 3]
    assert await log.tail(4, 100) == []
    with reached.as_service():
        streamed = [to_recorded(told) async for told in reached.stub.Read(ReadRequest(after_position=1, limit=3))]
        short = [told.position async for told in reached.stub.Read(ReadRequest(limit=100))]
    assert streamed == await reached.store.tail(1, 3)
    assert short == [1, 2, 3, 4], "a limit past the end does not wait"


async def test_an_empty_log_has_no_head_and_no_events(reached: Reached) -> None:
    assert (await reached.log.head(), await reached.log.tail(0, 10)) == (0, [])


async def test_what_was_erased_is_gone_here_too(reached: Reached) -> None:
    await reached.store.append(f"person-{PERSON}", 0, [PersonAdded(person_id=PERSON, profile=Profile(name="Ann"))], META)
    await reached.store.append(f"person-{PERSON}", 1, [PersonErased(person_id=PERSON)], META)
    added, erased = await reached.log.tail(0, 10)
    assert isinstance(added.data, PersonAdded)
    assert (added.erased, added.data.profile.name, erased.erased) == (True, "", False)


async def test_a_read_without_limit_goes_on_live(reached: Reached) -> None:
    await reached.post("a", "b")
    with reached.as_service():
        live = reached.stub.Read(ReadRequest(after_position=1))
    async with aclosing(live), asyncio.timeout(60):
        assert (await anext(live)).position == 2
        waiting = asyncio.ensure_future(anext(live))
        await reached.post("c", "d")
        assert ((await waiting).position, (await anext(live)).position) == (3, 4)


async def test_a_live_read_finds_what_no_wake_up_told_of(reached: Reached, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LIVE_POLL_SECONDS", 0.01)
    await reached.post("a")
    with reached.as_service():
        live = reached.stub.Read(ReadRequest())
    async with aclosing(live), asyncio.timeout(60):
        assert (await anext(live)).position == 1
        waiting = asyncio.ensure_future(anext(live))
        await EventStore("source", reached.store.database).append("post-z", 0, [PostPublished(post_id="z", author_id=PERSON)], META)
        assert (await waiting).position == 2


async def test_a_live_read_lasts_no_longer_than_a_token(reached: Reached, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.rpc.auth.TOKEN_SECONDS", 0)
    monkeypatch.setattr(remote, "LIVE_POLL_SECONDS", 0.01)
    with acting(_long_token(reached)):
        live = reached.stub.Read(ReadRequest())
    assert (await refusal(first(live))).code is grpc.StatusCode.UNAUTHENTICATED


def _long_token(reached: Reached) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("libs.rpc.auth.TOKEN_SECONDS", 300)
        return reached.tokens.sign(Caller(service="copy"))


@pytest.mark.parametrize(
    ("caller", "admitted"),
    [
        (Caller(service="copy"), True),
        (Caller("ada", frozenset({"employee", "administrator"})), True),
        (Caller("ada", frozenset({"employee", "administrator"}), frozenset({"read", "write"})), False),
        (Caller("ann", frozenset({"employee", "leader", "communications"})), False),
        (Caller("gil", frozenset({"guest"})), False),
    ],
)
async def test_only_services_and_administrators_read_a_log(reached: Reached, caller: Caller, admitted: bool) -> None:
    await reached.post("a")
    with acting(reached.tokens.sign(caller)):
        calls = (
            lambda: first(reached.stub.Read(ReadRequest(limit=1))),
            lambda: reached.stub.ReadBatch(ReadBatchRequest(), timeout=40),
            lambda: reached.stub.GetHead(GetHeadRequest(), timeout=40),
        )
        for call in calls:
            if admitted:
                assert await call()
            else:
                assert (await refusal(call())).code is grpc.StatusCode.PERMISSION_DENIED


async def test_nobody_reads_a_log_unnamed(reached: Reached) -> None:
    assert (await refusal(first(reached.stub.Read(ReadRequest(limit=1))))).code is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(("after", "limit", "field"), [(-1, 1, "after_position"), (0, -1, "limit")])
async def test_what_is_no_position_and_no_limit_is_named(reached: Reached, after: int, limit: int, field: str) -> None:
    with reached.as_service():
        for call in (
            first(reached.stub.Read(ReadRequest(after_position=after, limit=limit))),
            reached.stub.ReadBatch(ReadBatchRequest(after_position=after, limit=limit), timeout=40),
        ):
            problem = await refusal(call)
            assert (problem.code, problem.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_large_events_come_in_batches_that_fit_a_message(reached: Reached) -> None:
    body = "x" * (EVENT_BYTES - 1_000)
    for number in range(12):
        await reached.store.append(f"post-{number}", 0, [PostPublished(post_id=str(number), author_id=PERSON, body=body)], META)
    position, parts = 0, []
    while events := await reached.log.tail(position, 1_000):
        parts.append(len(events))
        position = events[-1].position
    assert (sum(parts), max(parts)) == (12, 8)


def test_an_event_of_a_type_nobody_knows_yet_keeps_its_place() -> None:
    told = ReadResponse(position=7, id="e", stream="post-a", version=3, type="watercooler.feed.v9.Sung", data=b"\x0a\x01x")
    event = to_recorded(told)
    assert event.position == 7
    assert event.data == AnyMessage(type_url="type.googleapis.com/watercooler.feed.v9.Sung", value=b"\x0a\x01x")


def test_an_event_goes_and_comes_back_as_it_was() -> None:
    event = Recorded("e", "post-a", 3, 7, 1_790_000_000_123_457, PostPublished(post_id="a", body="hello"), META, True)
    assert to_recorded(ReadResponse.FromString(to_response(event).SerializeToString())) == event


async def test_a_log_that_is_away_is_waited_for(tmp_path: Path) -> None:
    tokens = Tokens(Keys(tmp_path / "keys"))
    with reserved_port() as port:
        channel = NetworkChannel(f"127.0.0.1:{port}", name="source")
        log = RemoteLog("source", channel, lambda: tokens.sign(Caller(service="copy")))
        for call in (log.head(), log.tail(0, 10)):
            with pytest.raises(grpc.aio.AioRpcError, match="the log of source cannot be read just now") as caught:
                await call
            assert is_passing(caught.value)
        await channel.close()
