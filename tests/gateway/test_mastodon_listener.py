"""What one streaming connection is told, without a network."""
from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from libs.rpc import errors
from services.gateway.mastodon import streaming
from services.gateway.mastodon.streaming import Listener, Subscription
from services.gateway.parties import Principal
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import reading_service_pb2 as reading


class Services:
    """Notes what it is asked; there are no notifications, and no list (any more)."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def ListNotifications(self, request: feed.ListNotificationsRequest) -> feed.ListNotificationsResponse:
        self.asked.append("notifications")
        return feed.ListNotificationsResponse()

    async def ListListPeople(self, request: reading.ListListPeopleRequest) -> feed.ListFollowsResponse:
        self.asked.append("list")
        raise errors.rpc_error(errors.Problem(grpc.StatusCode.NOT_FOUND, "you keep no such list"))


def listener(services: Services, monkeypatch: pytest.MonkeyPatch, *scopes: str) -> Listener:
    @contextmanager
    def nobody(self: Listener) -> Any:
        yield

    async def none(call: Any, found: Any) -> list[Any]:
        assert not found
        return []

    monkeypatch.setattr(Listener, "acting", nobody)
    monkeypatch.setattr(streaming, "shown", none)
    me: Any = Principal("p", frozenset({"employee"}), frozenset(scopes), None, token_id="t")  # type: ignore[arg-type]
    shown: Any = SimpleNamespace(clients=SimpleNamespace(feed=services, reading=services), site=None)
    gateway: Any = None
    queue: Any = None
    return Listener(gateway, shown, me, "secret", queue)


@pytest.mark.parametrize(("scope", "asked"), [
    ("read:statuses", []), ("read:notifications", ["notifications"]), ("read", ["notifications"]),
])
async def test_notifications_come_to_who_may_read_them(monkeypatch: pytest.MonkeyPatch, scope: str, asked: list[str]) -> None:
    services = Services()
    found = listener(services, monkeypatch, scope)
    found.subscriptions["user", ""] = Subscription("user")
    assert await found._told(b"event: notification\ndata: {}") == []
    assert services.asked == asked


async def test_a_list_that_is_gone_ends_no_other_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LIST_SECONDS", -1.0)
    services = Services()
    found = listener(services, monkeypatch, "read")
    gone = Subscription("list", "l", frozenset({"ann"}))
    assert not await found._is_in(gone, "post", {"author_id": "ann"})
    assert services.asked == ["list"] and gone.people == frozenset()
