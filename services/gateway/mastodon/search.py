"""Search: people and communities, posts, tags; and what is used and reacted to of late."""
from __future__ import annotations

from typing import Any, Final

import msgspec

from libs.text.markdown import normal_hashtag
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.search.v1 import search_service_pb2 as search

from . import entities
from .accounts import matching
from .entities import Entity
from .paging import is_post_id
from .router import Call, Reply, route

MOST: Final = 40
OFFSET: Final = 160
TRENDING: Final = 100
_TYPES = ("accounts", "statuses", "hashtags")


@route("GET", "/api/v2/search", "read:search")
async def search_all(call: Call) -> Any:
    """What a text may mean; `type` keeps one kind, `offset` works with it. Nothing is looked up elsewhere, so `resolve` is not read."""
    params = call.params
    query = params.text("q", most=500).strip()
    only = params.text("type", most=20)
    limit, offset = params.whole("limit", 20, 1, MOST), params.whole("offset", 0, 0, OFFSET)
    result: dict[str, Any] = {"accounts": [], "statuses": [], "hashtags": [], "collections": []}
    if not query or (only and only not in _TYPES):
        return result
    address = query.partition(call.site.base + "/")[2] if query.startswith(call.site.base + "/") else ""
    if address:
        await _at(call, address, result)
        return result
    if only in ("", "accounts"):
        result["accounts"] = await matching(call, query, limit, offset if only else 0)
    if only in ("", "statuses"):
        result["statuses"] = await _statuses(call, query, limit, offset if only else 0)
    if only in ("", "hashtags"):
        result["hashtags"] = await _tags(call, query, limit, offset if only else 0)
    return result


@route("GET", "/api/v1/search", "read:search")
async def search_as_before(call: Call) -> Any:
    """The same; tags are words only."""
    found = await search_all(call)
    return {
        "accounts": found["accounts"], "statuses": found["statuses"], "hashtags": [each["name"] for each in found["hashtags"]]
    }


async def _at(call: Call, address: str, result: dict[str, Any]) -> None:
    """The page of this network that an address names, as clients look up links."""
    kind, _, subject = address.split("?", maxsplit=1)[0].strip("/").partition("/")
    if kind == "posts" and is_post_id(subject):
        found = await call.clients.feed.BatchGetPosts(feed.BatchGetPostsRequest(post_ids=[subject]))
        result["statuses"] = await call.shown.statuses(found.posts)
    elif kind == "people" and len(subject) == 36:
        result["accounts"] = [entities.account_of_person(each, call.site) for each in await call.shown.people([subject])]
    elif kind == "communities" and len(subject) == 36 and (await call.shown.community(subject))[0]:
        community = await call.clients.feed.GetCommunity(feed.GetCommunityRequest(community_id=subject))
        result["accounts"] = [entities.account_of_community(community, call.site)]
    elif kind == "tags" and normal_hashtag(subject):
        result["hashtags"] = [entities.tag(await call.clients.feed.GetTag(feed.GetTagRequest(tag=subject)), call.site)]


async def _statuses(call: Call, query: str, limit: int, offset: int) -> list[msgspec.Raw]:
    params = call.params
    account_id = params.text("account_id", most=60)
    hits = await call.clients.search.Search(
        search.SearchRequest(
            query=query, kinds=[search.HIT_KIND_POST], page_size=min(limit + offset, 200),
            author_id=account_id if len(account_id) == 36 else "",
        )
    )
    wanted = [each.id for each in hits.hits][offset:offset + limit]
    if not wanted:
        return []
    found = await call.clients.feed.BatchGetPosts(feed.BatchGetPostsRequest(post_ids=wanted))
    return await call.shown.statuses(found.posts)


async def _tags(call: Call, query: str, limit: int, offset: int) -> list[Entity]:
    word = normal_hashtag(query.lstrip("#"))
    if word is None:
        return []
    found: dict[str, Entity] = {}
    exact = await call.clients.feed.GetTag(feed.GetTagRequest(tag=word))
    if exact.post_count or exact.following:
        found[exact.tag] = entities.tag(exact, call.site)
    trending = await call.clients.feed.ListTrendingTags(feed.ListTrendingTagsRequest(page_size=TRENDING))
    for each in trending.tags:
        if word in each.tag:
            found.setdefault(each.tag, entities.tag(each, call.site))
    return list(found.values())[offset:offset + limit]


# --- trends ----------------------------------------------------------------------------------------------------------


@route("GET", "/api/v1/trends", "read:statuses")
@route("GET", "/api/v1/trends/tags", "read:statuses")
async def trending_tags(call: Call) -> Any:
    """The tags most used of late in what one may see."""
    limit, offset = call.params.whole("limit", 10, 1, 20), call.params.whole("offset", 0, 0, OFFSET)
    found = await call.clients.feed.ListTrendingTags(feed.ListTrendingTagsRequest(page_size=limit + offset))
    return [entities.tag(each, call.site) for each in found.tags][offset:]


@route("GET", "/api/v1/trends/statuses", "read:statuses")
async def trending_statuses(call: Call) -> Any:
    """Of the newest posts for everybody, those with the most reactions, answers and reposts."""
    limit, offset = call.params.whole("limit", 20, 1, MOST), call.params.whole("offset", 0, 0, OFFSET)
    found = await call.clients.feed.ListTimeline(feed.ListTimelineRequest(kind=feed.TIMELINE_KIND_COMPANY, page_size=200))

    def weight(post: feed.Post) -> int:
        return sum(each.count for each in post.reactions) + post.reply_count + post.repost_count

    best = sorted((each for each in found.posts if weight(each)), key=weight, reverse=True)
    return await call.shown.statuses(best[offset:offset + limit])


@route("GET", "/api/v1/trends/links", "read:statuses")
async def trending_links(call: Call) -> Any:
    """Who links where is not counted."""
    return []


# --- tags ------------------------------------------------------------------------------------------------------------


@route("GET", "/api/v1/tags/:tag", "read:follows")
async def tag(call: Call) -> Any:
    """A tag."""
    return entities.tag(await call.clients.feed.GetTag(feed.GetTagRequest(tag=call.word())), call.site)


@route("POST", "/api/v1/tags/:tag/follow", "write:follows")
async def follow_tag(call: Call) -> Any:
    """Its posts come into the home timeline."""
    return entities.tag(
        await call.clients.feed.FollowTag(feed.FollowTagRequest(tag=call.word(), request_id=call.request_id)), call.site
    )


@route("POST", "/api/v1/tags/:tag/unfollow", "write:follows")
async def unfollow_tag(call: Call) -> Any:
    """They leave it."""
    return entities.tag(
        await call.clients.feed.UnfollowTag(feed.UnfollowTagRequest(tag=call.word(), request_id=call.request_id)), call.site
    )


@route("POST", "/api/v1/tags/:tag/feature", "write:accounts")
@route("POST", "/api/v1/tags/:tag/unfeature", "write:accounts")
async def feature_tag(call: Call) -> Any:
    """Nobody puts tags on their page: the tag is answered as it is."""
    return await tag(call)


@route("GET", "/api/v1/followed_tags", "read:follows")
async def followed_tags(call: Call) -> Reply:
    """The tags one follows, all on one page."""
    found = await call.clients.feed.ListFollowedTags(feed.ListFollowedTagsRequest())
    return Reply([entities.tag(each, call.site) for each in found.tags])
