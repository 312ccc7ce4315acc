"""Calls in one process: callers, errors with details, deadlines, traces."""
from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from libs.rpc import errors
from libs.rpc.auth import Caller, Keys, Tokens, Unauthenticated, acting
from libs.testing.world import World
from tests.runtime.small import services
from watercooler.feed.v1 import feed_service_pb2 as pb
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub


async def test_a_servicer_knows_who_calls(tmp_path: Path) -> None:
    async with World.of(tmp_path, services()[0]) as world:
        stub = world.stub(FeedServiceStub, "source")
        with world.acting_as("ann"):
            assert (await stub.GetPost(pb.GetPostRequest(post_id="p"))).body == "ann"
        with world.acting_for("gateway"):
            assert (await stub.GetPost(pb.GetPostRequest(post_id="p"))).body == "service:gateway"


async def test_refusals_travel_with_field_and_status(tmp_path: Path) -> None:
    async with World.of(tmp_path, services()[0]) as world:
        stub = world.stub(FeedServiceStub, "source")
        with world.acting_as("ann"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.GetPost(pb.GetPostRequest())
            problem = errors.read(caught.value)
            assert (problem.code, problem.reason, problem.field) == (grpc.StatusCode.INVALID_ARGUMENT, "name a post", "post_id")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.GetPost(pb.GetPostRequest(post_id="fault"))
            assert caught.value.code() is grpc.StatusCode.INTERNAL
            assert "secret" not in (caught.value.details() or "")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.DeletePost(pb.DeletePostRequest(post_id="p"))
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetPost(pb.GetPostRequest(post_id="p"))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        with acting("forged.token.x"), pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetPost(pb.GetPostRequest(post_id="p"))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_tokens_are_checked_against_every_key_and_only_those(tmp_path: Path) -> None:
    first = Tokens(Keys(tmp_path / "keys"))
    caller = Caller("ann", frozenset({"leader"}), frozenset({"read"}))
    token = first.sign(caller)
    assert Tokens(Keys(tmp_path / "keys")).check(token) == caller
    with pytest.raises(Unauthenticated):
        Tokens(Keys(tmp_path / "others")).check(token)
    with pytest.raises(Unauthenticated):
        first.check(token[:-4] + "AAAA")
    assert oct(next((tmp_path / "keys").glob("*.jwk")).stat().st_mode & 0o777) == "0o600"


def test_a_callers_scope_bounds_their_role() -> None:
    assert Caller("ann", frozenset({"administrator"}), frozenset({"read", "admin"})).is_administrator
    assert not Caller("ann", frozenset({"administrator"}), frozenset({"read", "write"})).is_administrator
    assert Caller("ann", frozenset({"guest"})).is_guest
    assert not Caller("ann", frozenset({"guest", "employee"})).is_guest
