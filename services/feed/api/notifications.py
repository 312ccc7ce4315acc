"""Notifications and engagement."""
from __future__ import annotations

from typing import Any

from libs.eventstore.model import InvalidArgument, PermissionDenied, micros
from libs.rpc import auth
from libs.rpc.auth import Caller
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.reading_events_pb2 import FILTER_CONTEXT_NOTIFICATIONS

from .. import commands
from ..deciders import inbox
from ..queries import activity, announcements, moderation
from ..queries import notifications as queries
from ..queries.reading import fetch_shade
from .base import Calls, page_size, person, position_of, token


class NotificationCalls(Calls):
    """What others did that concerns the caller, and how much goes on in the company."""

    async def ListNotifications(self, request: api.ListNotificationsRequest, context: Any) -> api.ListNotificationsResponse:
        """Groups of notifications, the newest first."""
        caller = auth.caller()
        size = page_size(request.page_size)
        before = position_of(request.page_token, (1 << 63) - 1)
        if request.before_position > 0:
            before = min(before, request.before_position)
        async with self.database.snapshot() as tx:
            shade = await fetch_shade(tx, caller, micros(self.now()), FILTER_CONTEXT_NOTIFICATIONS)
            found = await queries.list_notifications(
                tx, caller, before, size + 1, request.only_unread, shade, after=max(request.after_position, 0),
                from_oldest=request.from_oldest, kinds=frozenset(request.kinds),
            )
            unread = await queries.count_unread(tx, caller, shade)
        if request.from_oldest:  # what is past the page is newer, not older
            return api.ListNotificationsResponse(notifications=found[-size:], unread_count=unread)
        return api.ListNotificationsResponse(
            notifications=found[:size], unread_count=unread, next_page_token=token(found[size - 1].position) if len(found) > size else ""
        )

    async def CountUnreadNotifications(
        self, request: api.CountUnreadNotificationsRequest, context: Any
    ) -> api.CountUnreadNotificationsResponse:
        """The number of unread groups."""
        return await self._unread(auth.caller())

    async def MarkNotificationsRead(self, request: api.MarkNotificationsReadRequest, context: Any) -> api.CountUnreadNotificationsResponse:
        """Mark as read up to a position, on all of the caller's devices; 0 is all there are now."""
        caller = person()
        if request.read_position < 0:
            raise InvalidArgument("a position is not negative", "read_position")
        async with self.database.snapshot() as tx:
            newest = await queries.newest_position(tx, caller.person_id)
        # Never past what exists: notifications yet to come are not read.
        position = min(request.read_position or newest, newest)
        command = commands.ReadNotifications(person_id=caller.person_id, read_position=position)
        await self.handle(caller, inbox, f"inbox-{caller.person_id}", command, request.request_id)
        return await self._unread(caller)

    async def _unread(self, caller: Caller) -> api.CountUnreadNotificationsResponse:
        async with self.database.snapshot() as tx:
            shade = await fetch_shade(tx, caller, micros(self.now()), FILTER_CONTEXT_NOTIFICATIONS)
            moderates = caller.is_administrator or await moderation.moderates(tx, caller.person_id)
            return api.CountUnreadNotificationsResponse(
                unread_count=await queries.count_unread(tx, caller, shade),
                pending_announcement_count=await announcements.count_pending(tx, caller.person_id, micros(self.now())),
                waiting_case_count=await moderation.count_waiting(tx, caller) if moderates else 0,
            )

    async def GetEngagement(self, request: api.GetEngagementRequest, context: Any) -> api.Engagement:
        """The company in numbers, for those who look after it."""
        caller = auth.caller()
        if not (caller.is_administrator or caller.roles & {"communications", "leader"}):
            raise PermissionDenied("the company's figures are for communications, leaders and administrators")
        now = micros(self.now())
        async with self.database.snapshot() as tx:
            totals = await activity.totals(tx)
            return api.Engagement(
                active_people_day=await activity.active_people(tx, now, 1), active_people_week=await activity.active_people(tx, now, 7),
                post_count=totals.get("posts", 0), reply_count=totals.get("replies", 0), reaction_count=totals.get("reactions", 0),
            )
