"""Notifications, search and what the whole company does."""
# ruff: noqa: RUF012 - msgspec copies the empty lists and dicts that are defaults here.
from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.search.v1 import search_service_pb2 as search

from . import models
from .models import HitKindName, Id, Page, PageSize
from .operations import Call, Input, Output, operation, stamp_of


class InboxQuery(Page, frozen=True, kw_only=True):
    """Which notifications."""

    only_unread: bool = False


@operation("GET", "/inbox", "List notifications", tag="inbox", query=InboxQuery, answer=models.NotificationList)
async def list_notifications(call: Call, query: InboxQuery) -> models.NotificationList:
    """Newest first, several of the same kind about the same thing as one."""
    found = await call.clients.feed.ListNotifications(
        feed.ListNotificationsRequest(page_size=query.page_size, page_token=query.page_token, only_unread=query.only_unread)
    )
    return models.NotificationList(
        notifications=[models.notification(each) for each in found.notifications], next_page_token=found.next_page_token,
        unread_count=found.unread_count,
    )


@operation("GET", "/inbox/count", "Count unread notifications", tag="inbox", answer=models.UnreadCount)
async def count_unread(call: Call) -> models.UnreadCount:
    """The number beside the bell."""
    found = await call.clients.feed.CountUnreadNotifications(feed.CountUnreadNotificationsRequest())
    return models.UnreadCount(unread_count=found.unread_count)


class ReadInput(Input, frozen=True, kw_only=True):
    """Up to where."""

    position: Annotated[int, Meta(ge=0, le=2**63 - 1, description="Of the newest notification shown; 0: all there are now.")] = 0


@operation("POST", "/inbox/read", "Mark notifications as read", tag="inbox", body=ReadInput, answer=models.UnreadCount)
async def mark_read(call: Call, body: ReadInput) -> models.UnreadCount:
    """On every device."""
    found = await call.clients.feed.MarkNotificationsRead(
        feed.MarkNotificationsReadRequest(read_position=body.position, request_id=call.request_id)
    )
    return models.UnreadCount(unread_count=found.unread_count)


# --- search ----------------------------------------------------------------------------------------------------------


class FindQuery(Page, frozen=True, kw_only=True):
    """What to look for."""

    query: Annotated[str, Meta(max_length=500)] = ""
    kind: Annotated[list[HitKindName], Meta(max_length=3, description="All where absent; repeat it for several.")] = []
    author_id: Id | None = None
    community_id: Id | None = None
    tag: Annotated[str, Meta(max_length=100)] = ""
    after_time: datetime | None = None
    before_time: datetime | None = None
    newest_first: Annotated[bool, Meta(description="Else the most fitting first.")] = False


class KindCount(Output, frozen=True, kw_only=True):
    """How many results of a kind."""

    kind: HitKindName
    count: int


class Found(Output, frozen=True, kw_only=True):
    """A page of results; `counts` are of all kinds, whichever were asked for."""

    hits: list[models.Hit]
    next_page_token: str
    total_size: int
    counts: list[KindCount]


@operation("GET", "/find", "Search", tag="search", query=FindQuery, answer=Found)
async def find(call: Call, query: FindQuery) -> Found:
    """People, posts and communities; only what one may see, in results and counts alike."""
    request = search.SearchRequest(
        query=query.query, kinds=[models.HIT_KINDS[each] for each in dict.fromkeys(query.kind)], author_id=query.author_id or "",
        community_id=query.community_id or "", tag=query.tag, page_size=query.page_size, page_token=query.page_token,
        sort=search.SORT_ORDER_NEWEST if query.newest_first else search.SORT_ORDER_RELEVANCE,
    )
    if query.after_time is not None:
        request.after_time.CopyFrom(stamp_of(query.after_time, "after_time"))
    if query.before_time is not None:
        request.before_time.CopyFrom(stamp_of(query.before_time, "before_time"))
    found = await call.clients.search.Search(request)
    return Found(
        hits=[models.hit(each) for each in found.hits], next_page_token=found.next_page_token, total_size=found.total_size,
        counts=[KindCount(kind=models.HIT_KIND_NAMES[each.kind], count=each.count) for each in found.counts if each.kind],
    )


class SuggestQuery(Input, frozen=True, kw_only=True):
    """What has been typed."""

    query: Annotated[str, Meta(max_length=200)]
    page_size: PageSize = 8


class Suggested(Output, frozen=True, kw_only=True):
    """People that may be meant."""

    people: list[models.Hit]


@operation("GET", "/find/people", "Suggest people as one types", tag="search", query=SuggestQuery, answer=Suggested)
async def suggest_people(call: Call, query: SuggestQuery) -> Suggested:
    """Typing errors are forgiven."""
    found = await call.clients.search.SuggestPeople(search.SuggestPeopleRequest(query=query.query, page_size=query.page_size))
    return Suggested(people=[models.hit(each) for each in found.people])


class ClickInput(Input, frozen=True, kw_only=True):
    """Which result was opened, counted from 1."""

    id: Id
    rank: Annotated[int, Meta(ge=1, le=10_000)]


@operation("POST", "/find/clicks", "Say which result was opened", tag="search", status=204, body=ClickInput)
async def record_click(call: Call, body: ClickInput) -> None:
    """Feeds the measure of how good the ranking is; who clicked is not kept."""
    await call.clients.search.RecordClick(search.RecordClickRequest(id=body.id, rank=body.rank))


# --- engagement ------------------------------------------------------------------------------------------------------


class Engagement(Output, frozen=True, kw_only=True):
    """What the whole company does, in sums only."""

    active_people_day: int
    active_people_week: int
    post_count: int
    reply_count: int
    reaction_count: int


@operation("GET", "/engagement", "Read engagement", tag="operation", answer=Engagement)
async def get_engagement(call: Call) -> Engagement:
    """Of the whole company, never of a person."""
    found = await call.clients.feed.GetEngagement(feed.GetEngagementRequest())
    return Engagement(
        active_people_day=found.active_people_day, active_people_week=found.active_people_week, post_count=found.post_count,
        reply_count=found.reply_count, reaction_count=found.reaction_count,
    )
