"""Follows and tags."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

from libs.db.database import Transaction
from libs.eventstore.model import NotFound, PermissionDenied, Rejected
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.telemetry import metrics
from libs.text.ids import id_at, pair_id
from watercooler.feed.v1 import feed_service_pb2 as api

from .. import commands
from ..deciders import follow
from ..queries import people as queries
from ..queries import posts as post_queries
from ..queries import reading
from .base import CLOSED, NO_PERSON, Calls, page_size, person, position_of, token
from .posts import tag_of

FOLLOWS = 5_000
TRENDING_DAYS = 14
TRENDING = 20


class FollowCalls(Calls):
    """Who and what a person follows."""

    async def FollowPerson(self, request: api.FollowPersonRequest, context: Any) -> api.Relationship:
        """Follow a person of the company."""
        caller = person()
        _no_guest(caller)
        async with self.database.snapshot() as tx:
            row = await queries.fetch_person(tx, request.person_id)
            if row is None or row["erased"]:
                raise NotFound(NO_PERSON, "person_id")
            if row["departed"]:
                raise Rejected("they have left the company and write no more")
            if await reading.blocks(tx, caller.person_id, request.person_id):
                raise Rejected("you block them: unblock them first")
            if await reading.blocks(tx, request.person_id, caller.person_id):
                raise Rejected(CLOSED)
            await _check_room(tx, caller)
        command = commands.FollowPerson(follower_id=caller.person_id, person_id=request.person_id, now=self.now())
        stream = f"follow-{pair_id(caller.person_id, request.person_id)}"
        if (await self.handle(caller, follow, stream, command, request.request_id)).position:
            metrics.ENGAGEMENT_ACTIONS.labels(kind="follow").inc()
        return await self._relationship(caller, request.person_id)

    async def UnfollowPerson(self, request: api.UnfollowPersonRequest, context: Any) -> api.Relationship:
        """Follow a person no more."""
        caller = person()
        command = commands.UnfollowPerson(follower_id=caller.person_id, person_id=request.person_id)
        await self.handle(caller, follow, f"follow-{pair_id(caller.person_id, request.person_id)}", command, request.request_id)
        return await self._relationship(caller, request.person_id)

    async def GetRelationship(self, request: api.GetRelationshipRequest, context: Any) -> api.Relationship:
        """How the caller and a person stand to each other."""
        return await self._relationship(auth.caller(), request.person_id)

    async def _relationship(self, caller: Caller, person_id: str) -> api.Relationship:
        async with self.database.snapshot() as tx:
            if await queries.fetch_person(tx, person_id) is None:
                raise NotFound(NO_PERSON, "person_id")
            row = await queries.relation(tx, caller.person_id, person_id)
            posts = await post_queries.count_posts_of(tx, caller, person_id)
        return api.Relationship(
            person_id=person_id, following=bool(row["following"]), followed_by=bool(row["followed_by"]),
            follower_count=row["follower_count"], following_count=row["following_count"], post_count=posts,
        )

    async def ListFollowers(self, request: api.ListFollowersRequest, context: Any) -> api.ListFollowsResponse:
        """Who follows a person, the newest first."""
        return await self._list(queries.followers, request)

    async def ListFollowedPeople(self, request: api.ListFollowedPeopleRequest, context: Any) -> api.ListFollowsResponse:
        """Whom a person follows, the newest first."""
        return await self._list(queries.followed, request)

    async def _list(self, query: Any, request: api.ListFollowersRequest | api.ListFollowedPeopleRequest) -> api.ListFollowsResponse:
        caller = auth.caller()
        if caller.is_guest and request.person_id != caller.person_id:
            raise PermissionDenied("guests do not see who follows whom")
        size = page_size(request.page_size)
        before = position_of(request.page_token, 1 << 62)
        async with self.database.snapshot() as tx:
            if await queries.fetch_person(tx, request.person_id) is None:
                raise NotFound(NO_PERSON, "person_id")
            rows = await query(tx, request.person_id, before, size + 1)
        return api.ListFollowsResponse(
            people=[author for _, author in rows[:size]], next_page_token=token(rows[size - 1][0]) if len(rows) > size else ""
        )

    async def FollowTag(self, request: api.FollowTagRequest, context: Any) -> api.Tag:
        """Follow a tag."""
        caller = person()
        tag = tag_of(request.tag, "tag")
        async with self.database.snapshot() as tx:
            await _check_room(tx, caller)
        command = commands.FollowTag(follower_id=caller.person_id, tag=tag, now=self.now())
        if (await self.handle(caller, follow, f"follow-{pair_id(caller.person_id, f'tag:{tag}')}", command, request.request_id)).position:
            metrics.ENGAGEMENT_ACTIONS.labels(kind="follow").inc()
        return await self._tag(caller, tag)

    async def UnfollowTag(self, request: api.UnfollowTagRequest, context: Any) -> api.Tag:
        """Follow a tag no more."""
        caller = person()
        tag = tag_of(request.tag, "tag")
        command = commands.UnfollowTag(follower_id=caller.person_id, tag=tag)
        await self.handle(caller, follow, f"follow-{pair_id(caller.person_id, f'tag:{tag}')}", command, request.request_id)
        return await self._tag(caller, tag)

    async def GetTag(self, request: api.GetTagRequest, context: Any) -> api.Tag:
        """A tag, counted in what the caller may see; every word is one, used or not."""
        return await self._tag(auth.caller(), tag_of(request.tag, "tag"))

    async def _tag(self, caller: Caller, tag: str) -> api.Tag:
        async with self.database.snapshot() as tx:
            following, followers = (await queries.tag_state(tx, caller.person_id, (tag,)))[tag]
            posts = await post_queries.count_posts_with(tx, caller, tag)
        return api.Tag(tag=tag, following=following, post_count=posts, follower_count=followers)

    async def ListFollowedTags(self, request: api.ListFollowedTagsRequest, context: Any) -> api.ListTagsResponse:
        """The tags the caller follows, in order of the alphabet."""
        caller = auth.caller()
        async with self.database.snapshot() as tx:
            tags = await queries.followed_tags(tx, caller.person_id, FOLLOWS)
            state = await queries.tag_state(tx, caller.person_id, tags) if tags else {}
        return api.ListTagsResponse(tags=[api.Tag(tag=tag, following=True, follower_count=state[tag][1]) for tag in tags])

    async def ListTrendingTags(self, request: api.ListTrendingTagsRequest, context: Any) -> api.ListTagsResponse:
        """The tags most used in the last 14 days in what the caller may see."""
        caller = auth.caller()
        size = min(page_size(request.page_size), TRENDING) if request.page_size else 10
        since = id_at(self.now() - timedelta(days=TRENDING_DAYS))
        async with self.database.snapshot() as tx:
            uses = await post_queries.trending_tags(tx, caller, since, size)
            state = await queries.tag_state(tx, caller.person_id, [tag for tag, _ in uses]) if uses else {}
        return api.ListTagsResponse(
            tags=[api.Tag(tag=tag, following=state[tag][0], post_count=count, follower_count=state[tag][1]) for tag, count in uses]
        )


def _no_guest(caller: Caller) -> None:
    if caller.is_guest:
        raise PermissionDenied("guests follow what goes on in the communities they were let into, not single people")


async def _check_room(tx: Transaction, caller: Caller) -> None:
    if await queries.count_follows(tx, caller.person_id) >= FOLLOWS:
        raise Rejected(f"a person follows at most {FOLLOWS:,} people and tags: unfollow some first")
