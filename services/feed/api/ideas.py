"""Ideas: posts with a state, votes, a sponsor and the objective they serve."""
from __future__ import annotations

from typing import Any

from libs.db.database import Row
from libs.eventstore.model import InvalidArgument, NotFound, PermissionDenied, Rejected
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.runtime.service import Context
from libs.text.ids import pair_id
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import ideas_service_pb2 as api
from watercooler.feed.v1.asking_events_pb2 import SUPPORT_SUBJECT_IDEA
from watercooler.feed.v1.ideas_events_pb2 import IdeaState
from watercooler.feed.v1.ideas_service_pb2_grpc import IdeasServiceServicer

from ..commands import asking as asking_commands
from ..commands import ideas as commands
from ..deciders import idea, support
from ..queries import communities as community_queries
from ..queries import ideas as queries
from ..queries import posts as post_queries
from .asking import pair_of
from .base import NO_COMMUNITY, NO_POST, REQUEST_ID_CHARACTERS, Calls, page_size, person, token
from .posts import PostCalls

NO_IDEA = "there is no such idea, or it is not for you to see"


class IdeasApi(Calls, IdeasServiceServicer):
    """IdeasService."""

    def __init__(self, context: Context) -> None:
        """For the running service."""
        super().__init__(context)
        self._posts = PostCalls(context)

    async def PublishIdea(self, request: api.PublishIdeaRequest, context: Any) -> api.Idea:
        """Publish a post that is an idea. Repeated with the same request id, what is missing is done."""
        caller = person()
        title, url = request.objective_title.strip(), request.objective_url.strip()
        idea.check_objective(title, url)
        if len(request.request_id) > REQUEST_ID_CHARACTERS:
            raise InvalidArgument(f"a request_id has at most {REQUEST_ID_CHARACTERS} characters", "request_id")
        published = await self._posts.PublishPost(
            feed.PublishPostRequest(
                body=request.body, language=request.language, audience=request.audience if request.HasField("audience") else None,
                request_id=request.request_id,
            ),
            context,
        )
        post_id, now = published.post_id, self.now()
        await self.handle(
            caller, idea, f"idea-{post_id}",
            commands.ProposeIdea(
                post_id=post_id, author_id=published.author.person_id, proposer_id=caller.person_id, moderates=False, now=now
            ),
        )
        if title:
            await self.handle(
                caller, idea, f"idea-{post_id}",
                commands.LinkIdea(
                    post_id=post_id, linker_id=caller.person_id, decides=False, objective_title=title, objective_url=url, now=now
                ),
            )
        return await self._idea(caller, post_id)

    async def ProposeIdea(self, request: api.ProposeIdeaRequest, context: Any) -> api.Idea:
        """Make a thread an idea."""
        caller = person()
        frame = await self._frame(caller, request.post_id)
        if frame["parent_id"]:
            raise Rejected("an answer is no idea: make its thread one, or write the idea as a post of its own")
        if frame["reposted_id"]:
            raise Rejected("a repost is no idea: make the post itself one")
        if frame["hidden"]:
            raise Rejected("the text of this post is gone")
        command = commands.ProposeIdea(
            post_id=request.post_id, author_id=frame["author_id"], proposer_id=caller.person_id,
            moderates=queries.moderates(caller, frame["role"]), now=self.now(),
        )
        await self.handle(caller, idea, f"idea-{request.post_id}", command, request.request_id)
        return await self._idea(caller, request.post_id)

    async def GetIdea(self, request: api.GetIdeaRequest, context: Any) -> api.Idea:
        """An idea with its history."""
        return await self._idea(auth.caller(), request.post_id)

    async def _idea(self, caller: Caller, post_id: str) -> api.Idea:
        async with self.database.snapshot() as tx:
            found = await queries.fetch_ideas(tx, caller, [post_id])
        if not found:
            raise NotFound(NO_IDEA)
        return found[0]

    async def _frame(self, caller: Caller, post_id: str) -> Row:
        async with self.database.snapshot() as tx:
            frame = await post_queries.fetch_frame(tx, caller, post_id)
        if frame is None:
            raise NotFound(NO_POST)
        return frame

    async def ListIdeas(self, request: api.ListIdeasRequest, context: Any) -> api.ListIdeasResponse:
        """Ideas that the caller may see, by votes or by time."""
        caller = auth.caller()
        size = page_size(request.page_size)
        if request.order not in api.IdeaOrder.values():
            raise InvalidArgument("choose an order", "order")
        if request.state not in IdeaState.values():
            raise InvalidArgument("choose a state", "state")
        async with self.database.snapshot() as tx:
            if request.community_id and await community_queries.fetch_community(tx, caller, request.community_id) is None:
                raise NotFound(NO_COMMUNITY, "community_id")
            rows = await queries.list_ids(
                tx, caller, request.state, request.order, request.community_id, pair_of(request.page_token), size + 1
            )
            found = await queries.fetch_ideas(tx, caller, [row["post_id"] for row in rows[:size]])
        following = f"{rows[size - 1]['vote_count']} {rows[size - 1]['post_id']}" if len(rows) > size else ""
        return api.ListIdeasResponse(ideas=found, next_page_token=token(following))

    async def ChangeIdeaState(self, request: api.ChangeIdeaStateRequest, context: Any) -> api.Idea:
        """Say where the idea stands."""
        caller = person()
        frame = await self._frame(caller, request.post_id)
        command = commands.ChangeIdeaState(
            post_id=request.post_id, changer_id=caller.person_id, decides=queries.decides(caller, frame["role"]), state=request.state,
            reason=request.reason.strip(), now=self.now(),
        )
        await self.handle(caller, idea, f"idea-{request.post_id}", command, request.request_id)
        return await self._idea(caller, request.post_id)

    async def SponsorIdea(self, request: api.SponsorIdeaRequest, context: Any) -> api.Idea:
        """Stand up for the idea."""
        caller = person()
        await self._frame(caller, request.post_id)
        if caller.is_guest:
            raise PermissionDenied("an idea is sponsored by an employee")
        command = commands.SponsorIdea(post_id=request.post_id, sponsor_id=caller.person_id, now=self.now())
        await self.handle(caller, idea, f"idea-{request.post_id}", command, request.request_id)
        return await self._idea(caller, request.post_id)

    async def LeaveIdea(self, request: api.LeaveIdeaRequest, context: Any) -> api.Idea:
        """Sponsor the idea no longer."""
        caller = person()
        await self._frame(caller, request.post_id)
        command = commands.LeaveIdea(post_id=request.post_id, sponsor_id=caller.person_id, now=self.now())
        await self.handle(caller, idea, f"idea-{request.post_id}", command, request.request_id)
        return await self._idea(caller, request.post_id)

    async def LinkIdea(self, request: api.LinkIdeaRequest, context: Any) -> api.Idea:
        """Name the objective that the idea serves."""
        caller = person()
        frame = await self._frame(caller, request.post_id)
        command = commands.LinkIdea(
            post_id=request.post_id, linker_id=caller.person_id, decides=queries.decides(caller, frame["role"]),
            objective_title=request.objective_title.strip(), objective_url=request.objective_url.strip(), now=self.now(),
        )
        await self.handle(caller, idea, f"idea-{request.post_id}", command, request.request_id)
        return await self._idea(caller, request.post_id)

    async def VoteIdea(self, request: api.VoteIdeaRequest, context: Any) -> api.Idea:
        """One vote each, not for one's own idea; or the vote taken back."""
        caller = person()
        found = await self._idea(caller, request.post_id)
        command: asking_commands.SupportCommand
        if request.withdraw:
            command = asking_commands.WithdrawSupport(
                subject=SUPPORT_SUBJECT_IDEA, subject_id=request.post_id, person_id=caller.person_id
            )
        elif found.post.deleted or found.post.erased:
            raise Rejected("the text of this idea is gone")
        else:
            command = asking_commands.GiveSupport(
                subject=SUPPORT_SUBJECT_IDEA, subject_id=request.post_id, person_id=caller.person_id,
                owner_id=found.post.author.person_id, now=self.now(),
            )
        await self.handle(caller, support, f"support-{pair_id(request.post_id, caller.person_id)}", command, request.request_id)
        return await self._idea(caller, request.post_id)
