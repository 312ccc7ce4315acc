"""Timelines: home, public, tags, lists, direct messages, saved and favourite posts."""
from __future__ import annotations

from typing import Any

from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import reading_service_pb2 as reading

from . import entities
from .errors import not_found
from .paging import is_post_id, links, page_of
from .router import Call, Reply, route


@route("GET", "/api/v1/timelines/home", "read:statuses")
async def home(call: Call) -> Reply:
    """What the people, communities and tags that one follows have brought, newest first."""
    page = page_of(call)
    found = await call.clients.feed.ListTimeline(
        feed.ListTimelineRequest(
            kind=feed.TIMELINE_KIND_HOME, page_size=page.limit, before_id=page.max_id, after_id=page.min_id or page.since_id,
            from_oldest=bool(page.min_id),
        )
    )
    posts = found.posts
    if not posts:
        return Reply([])
    return Reply(
        await call.shown.statuses(posts), link=links(call, posts[-1].post_id if found.next_page_token else "", posts[0].post_id)
    )


async def timeline(call: Call, kind: feed.TimelineKind.ValueType, subject: str = "", **more: Any) -> Reply:
    """A page of a timeline. Raises Refusal 404 for a subject that is not there, or not for whoever asks."""
    page = page_of(call)
    request = feed.ListTimelineRequest(
        kind=kind, subject=subject, page_size=page.limit, after_id=page.min_id or page.since_id, from_oldest=bool(page.min_id), **more
    )
    if page.max_id and not is_post_id(page.max_id):
        request.page_token = page.max_id
    else:
        request.before_id = page.max_id
    found = await call.clients.feed.ListTimeline(request)
    posts = found.posts
    if not posts:
        return Reply([])
    # Saved posts and reactions come in the order of saving: their pages go on by a mark of their own.
    in_order = kind not in (feed.TIMELINE_KIND_SAVED, feed.TIMELINE_KIND_REACTED, feed.TIMELINE_KIND_PINNED)
    older = (posts[-1].post_id if in_order else found.next_page_token) if found.next_page_token else ""
    shown = await call.shown.statuses(posts, parents=any(each.parent_id for each in posts))
    return Reply(shown, link=links(call, older, posts[0].post_id if in_order else ""))


@route("GET", "/api/v1/timelines/public", "read:statuses")
async def public(call: Call) -> Reply:
    """Everything that is for everyone or in an open community; all of it is local, so `remote` is empty."""
    if call.params.flag("remote"):
        return Reply([])
    return await timeline(call, feed.TIMELINE_KIND_COMPANY, only_attachments=call.params.flag("only_media"))


@route("GET", "/api/v1/timelines/tag/:tag", "read:statuses")
async def tag(call: Call) -> Reply:
    """Posts with a tag; `any`, `all` and `none` of more tags are not read."""
    return await timeline(call, feed.TIMELINE_KIND_TAG, call.word(), only_attachments=call.params.flag("only_media"))


@route("GET", "/api/v1/timelines/list/:id", "read:lists")
async def of_list(call: Call) -> Reply:
    """What the people on one of one's lists wrote."""
    return await timeline(call, feed.TIMELINE_KIND_LIST, call.id())


@route("GET", "/api/v1/timelines/direct", "read:statuses")
async def direct(call: Call) -> Reply:
    """What is for oneself and other named people."""
    return await timeline(call, feed.TIMELINE_KIND_DIRECT)


@route("GET", "/api/v1/timelines/link", "read:statuses")
async def link(call: Call) -> Reply:
    """Posts with a link: which link stands in which post is not kept by address, so there are none."""
    return Reply([])


@route("GET", "/api/v1/bookmarks", "read:bookmarks")
async def bookmarks(call: Call) -> Reply:
    """What one saved, saved last first."""
    return await timeline(call, feed.TIMELINE_KIND_SAVED)


@route("GET", "/api/v1/favourites", "read:favourites")
async def favourites(call: Call) -> Reply:
    """What one reacted to."""
    return await timeline(call, feed.TIMELINE_KIND_REACTED)


# --- conversations: the direct posts of one thread are one ----------------------------------------------------------


async def conversation_of(call: Call, posts: list[feed.Post]) -> dict[str, Any]:
    """A conversation, from its newest posts."""
    newest = posts[0]
    me = call.me.person_id
    ids = [each for each in dict.fromkeys([*newest.audience.people.person_ids, newest.author.person_id]) if each != me]
    people = await call.shown.people(ids)
    return {
        "id": newest.root_id or newest.post_id, "unread": False,
        "accounts": [entities.account_of_person(each, call.site) for each in people] or [
            entities.account_of_author(newest.author, call.site)
        ],
        "last_status": await call.shown.status(newest),
    }


@route("GET", "/api/v1/conversations", "read:statuses")
async def conversations(call: Call) -> Reply:
    """Direct posts by thread, the one with the newest post first; a page reads so many posts, so it may have fewer threads."""
    page = page_of(call)
    found = await call.clients.feed.ListTimeline(
        feed.ListTimelineRequest(
            kind=feed.TIMELINE_KIND_DIRECT, page_size=page.limit * 2, before_id=page.max_id, after_id=page.min_id or page.since_id,
            from_oldest=bool(page.min_id),
        )
    )
    threads: dict[str, list[feed.Post]] = {}
    for post in found.posts:
        if not post.deleted and not post.erased:
            threads.setdefault(post.root_id or post.post_id, []).append(post)
    shown = [await conversation_of(call, each) for each in list(threads.values())]
    if not found.posts:
        return Reply([])
    return Reply(shown, link=links(call, found.posts[-1].post_id if found.next_page_token else "", found.posts[0].post_id))


@route("POST", "/api/v1/conversations/:id/read", "write:conversations")
async def read_conversation(call: Call) -> Any:
    """Reading marks notifications as read, not threads: the thread is answered as it is."""
    found = await call.clients.feed.GetThread(feed.GetThreadRequest(post_id=call.id(), page_size=200))
    if found.root.audience.WhichOneof("kind") != "people":
        raise not_found()
    return await conversation_of(call, [*reversed([each for each in found.replies if not each.deleted]), found.root])


@route("DELETE", "/api/v1/conversations/:id", "write:conversations")
async def hide_conversation(call: Call) -> Any:
    """A thread for named people is taken off nobody's list: muting it ends its notifications."""
    await call.clients.feed.MuteThread(feed.MuteThreadRequest(post_id=call.id(), request_id=call.request_id))
    return {}


# --- markers ---------------------------------------------------------------------------------------------------------


def _markers(found: reading.Markers, wanted: list[str]) -> dict[str, Any]:
    return {
        each.timeline: {
            "last_read_id": each.last_read_id, "version": each.version, "updated_at": entities.moment(each.update_time)
        }
        for each in found.markers if each.timeline in wanted
    }


@route("GET", "/api/v1/markers", "read:statuses")
async def markers(call: Call) -> Any:
    """How far one has read, on any device."""
    wanted = call.params.texts("timeline", 10)
    return _markers(await call.clients.reading.GetMarkers(reading.GetMarkersRequest()), wanted)


@route("POST", "/api/v1/markers", "write:statuses")
async def move_markers(call: Call) -> Any:
    """Say how far one has read."""
    moved: dict[str, Any] = {}
    for name in ("home", "notifications"):
        last = call.params.inner(name).text("last_read_id", most=100)
        if last:
            request_id = f"{call.request_id}{name}" if call.request_id else ""
            found = await call.clients.reading.MoveMarker(
                reading.MoveMarkerRequest(timeline=name, last_read_id=last, request_id=request_id)
            )
            moved |= _markers(found, [name])
    return moved
