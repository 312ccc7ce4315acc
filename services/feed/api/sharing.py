"""What is done with posts besides answering them: passing on, quoting, pinning, voting, and hearing no more of a thread."""
from __future__ import annotations

from datetime import UTC
from typing import Any

from libs.eventstore.handle import handle
from libs.eventstore.model import AlreadyExists, Metadata, NotFound, PermissionDenied, Rejected
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.telemetry import metrics
from libs.text.ids import new_id, pair_id
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import feed_service_pb2 as api

from .. import commands
from ..deciders import post, response, vote
from ..queries import polls, reading, timelines
from ..queries import posts as queries
from .base import CLOSED, NO_POST, bad_token, id_of, key_of, page_size, person, token
from .posts import PostCalls


class SharingCalls(PostCalls):
    """Reposts, quotes, pins, muted threads and votes."""

    async def RepostPost(self, request: api.RepostPostRequest, context: Any) -> api.Post:
        """Pass a post on to those who follow the caller; where they have done so before, that repost."""
        caller = person()
        async with self.database.snapshot() as tx:
            original_id = await self._original(tx, caller, request.post_id)
            frame = await queries.fetch_frame(tx, caller, original_id)
            known = await queries.repost_of(tx, original_id, caller.person_id)
            if frame is None:
                raise NotFound(NO_POST)
            if await reading.blocks(tx, frame["author_id"], caller.person_id):
                raise Rejected(CLOSED)
        if frame["hidden"]:
            raise Rejected("the text of this post is gone: there is nothing to pass on")
        if known:
            return await self.post_for(caller, known)
        command = commands.RepostPost(
            post_id=new_id(), author_id=caller.person_id, original_id=original_id, original_author_id=frame["author_id"],
            audience=api.Post.FromString(frame["card"]).audience, now=self.now(),
        )
        try:
            done = await self.handle(caller, post, f"post-{command.post_id}", command, request.request_id)
        except AlreadyExists:
            async with self.database.snapshot() as tx:  # asked twice at once
                return await self.post_for(caller, await queries.repost_of(tx, original_id, caller.person_id))
        if done.position:
            metrics.ENGAGEMENT_ACTIONS.labels(kind="repost").inc()
        return await self.post_for(caller, done.stream.removeprefix("post-"))

    async def UndoRepost(self, request: api.UndoRepostRequest, context: Any) -> api.Post:
        """Take the caller's repost back; answers the original."""
        caller = person()
        async with self.database.snapshot() as tx:
            original_id = await self._original(tx, caller, request.post_id)
            known = await queries.repost_of(tx, original_id, caller.person_id)
        if known:
            command = commands.DeletePost(post_id=known, actor_id=caller.person_id, moderates=False, now=self.now())
            await self.handle(caller, post, f"post-{known}", command, request.request_id)
        return await self.post_for(caller, original_id)

    async def ListReposters(self, request: api.ListRepostersRequest, context: Any) -> api.ListFollowsResponse:
        """Who passed a post on, the newest first."""
        caller = auth.caller()
        size = page_size(request.page_size)
        before = id_of(request.page_token, timelines.END)
        async with self.database.snapshot() as tx:
            original_id = await self._original(tx, caller, request.post_id)
            rows = await queries.fetch_reposters(tx, original_id, before, size + 1)
        return api.ListFollowsResponse(
            people=[who for _, who in rows[:size]], next_page_token=token(rows[size - 1][0]) if len(rows) > size else ""
        )

    async def ListQuotes(self, request: api.ListQuotesRequest, context: Any) -> api.ListTimelineResponse:
        """The posts that quote one, as far as the caller may see them, the newest first."""
        caller = auth.caller()
        before = key_of(request.page_token) or timelines.END
        if request.page_token and len(before) != 36:
            raise bad_token()
        async with self.database.snapshot() as tx:
            original_id = await self._original(tx, caller, request.post_id)
            wanted = timelines.Wanted(page_size(request.page_size), before=before)
            posts, last = await timelines.read_timeline(tx, caller, timelines.quotes_of(original_id), wanted)
        return api.ListTimelineResponse(posts=posts, next_page_token=token(last))

    async def PinPost(self, request: api.PinPostRequest, context: Any) -> api.Post:
        """Put a post at the head of the caller's own page, or of the community's."""
        caller = person()
        community_id = await self._place(caller, request.post_id, request.in_community)
        command = commands.PinPost(
            post_id=request.post_id, pinner_id=caller.person_id, community_id=community_id, now=self.now()
        )
        await self.handle(caller, post, f"post-{request.post_id}", command, request.request_id)
        return await self.post_for(caller, request.post_id)

    async def UnpinPost(self, request: api.UnpinPostRequest, context: Any) -> api.Post:
        """Take a post from the head of a page."""
        caller = person()
        community_id = await self._place(caller, request.post_id, request.in_community)
        command = commands.UnpinPost(post_id=request.post_id, pinner_id=caller.person_id, community_id=community_id)
        await self.handle(caller, post, f"post-{request.post_id}", command, request.request_id)
        return await self.post_for(caller, request.post_id)

    async def _place(self, caller: Caller, post_id: str, in_community: bool) -> str:
        """The community the caller may pin in; empty for their own page."""
        async with self.database.snapshot() as tx:
            frame = await queries.fetch_frame(tx, caller, post_id)
        if frame is None:
            raise NotFound(NO_POST)
        if not in_community:
            return ""
        if frame["scope"] != "community":
            raise Rejected("this post stands in no community: pin it on your own page")
        if not caller.is_administrator and (frame["role"] or 0) < events_pb2.MEMBER_ROLE_MODERATOR:
            raise PermissionDenied("only those who moderate the community pin posts there: ask one of them")
        community_id: str = frame["scope_id"]
        return community_id

    async def MuteThread(self, request: api.MuteThreadRequest, context: Any) -> api.Post:
        """Tell the caller nothing more of a thread."""
        return await self._mute(person(), request.post_id, request.request_id, muted=True)

    async def UnmuteThread(self, request: api.UnmuteThreadRequest, context: Any) -> api.Post:
        """Tell the caller of a thread again."""
        return await self._mute(person(), request.post_id, request.request_id, muted=False)

    async def _mute(self, caller: Caller, post_id: str, request_id: str, *, muted: bool) -> api.Post:
        async with self.database.snapshot() as tx:
            original_id = await self._original(tx, caller, post_id)
            frame = await queries.fetch_frame(tx, caller, original_id)
        if frame is None:
            raise NotFound(NO_POST)
        kind = commands.MuteThread if muted else commands.UnmuteThread
        command = kind(post_id=frame["thread_id"], person_id=caller.person_id)
        await self.handle(caller, response, f"response-{pair_id(command.post_id, command.person_id)}", command, request_id)
        return await self.post_for(caller, original_id)

    async def VotePoll(self, request: api.VotePollRequest, context: Any) -> api.Post:
        """Vote, once.

        A vote in an anonymous poll is stored without its person: no voter, no actor, no trace, and no request id, since that would lead
        back to the person; the stream's id takes the poll's secret to find, which is deleted when the poll closes.
        """
        caller = person()
        async with self.database.snapshot() as tx:
            post_id = await self._original(tx, caller, request.post_id)
        shown = await self.post_for(caller, post_id)
        if not shown.HasField("poll"):
            raise Rejected("this post holds no poll")
        poll, now = shown.poll.poll, self.now()
        close_time = poll.close_time.ToDatetime(UTC)
        secret = ""
        if poll.anonymous:
            if now >= close_time or shown.poll.closed:
                raise Rejected("this poll has closed: its result is final")
            async with self.database.transaction() as tx:
                secret = await polls.secret_of(tx, post_id)
        command = commands.VotePoll(
            post_id=post_id, voter_id="" if poll.anonymous else caller.person_id, choices=tuple(request.choices), now=now,
            options=len(poll.options), multiple=poll.multiple, close_time=close_time,
        )
        stream = f"vote-{polls.ballot_of(post_id, caller.person_id, secret)}"
        if poll.anonymous:
            done = await handle(self.events, vote, stream, command, Metadata(""))
        else:
            done = await self.handle(caller, vote, stream, command, request.request_id)
        if done.position:
            metrics.ENGAGEMENT_ACTIONS.labels(kind="vote").inc()
        return await self.post_for(caller, post_id)
