"""Notifications, grouped, with a read state that all devices share."""
from __future__ import annotations

import asyncio
from typing import Final

from litestar import Response

from watercooler.feed.v1 import feed_service_pb2 as feed

from ..http import AnyRequest, clients
from ..rendering import address
from ..views import NotificationsFragment, NotificationsPage
from . import convert
from .common import TOKEN_CHARACTERS, fragment_shell, get, go, post, posted, query, render, shell, wants_fragment

NOTIFICATIONS_A_PAGE: Final = 30


@get("/notifications")
async def notifications(request: AnyRequest) -> Response[bytes]:
    """What others did that concerns the reader, newest first."""
    token = query(request, "page", TOKEN_CHARACTERS)
    wanted = feed.ListNotificationsRequest(page_size=NOTIFICATIONS_A_PAGE, page_token=token)
    if wants_fragment(request) and token:
        found = await clients(request).feed.ListNotifications(wanted)
        rows = [convert.notification(each) for each in found.notifications]
        return render(request, NotificationsFragment(shell=fragment_shell(request), notifications=rows, next_url=_next(found)))
    around, found = await asyncio.gather(shell(request, live=True), clients(request).feed.ListNotifications(wanted))
    view = NotificationsPage(
        shell=around, notifications=[convert.notification(each) for each in found.notifications],
        position=max((each.position for each in found.notifications), default=0), next_url=_next(found),
    )
    return render(request, view)


def _next(found: feed.ListNotificationsResponse) -> str:
    return address("/notifications", page=found.next_page_token) if found.next_page_token else ""


@post("/notifications/read")
async def mark_read(request: AnyRequest) -> Response[bytes]:
    """Mark everything up to a position as read, on every device."""
    form = await posted(request)
    text = form.text("position", 20)
    position = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    await clients(request).feed.MarkNotificationsRead(feed.MarkNotificationsReadRequest(read_position=position))
    return go(request, "/notifications")
