"""The caller's drafts, and their publication."""
from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any, cast

from libs.eventstore.model import InvalidArgument, NotFound, Rejected
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.runtime.service import Context
from libs.text.ids import is_id, new_id
from watercooler.feed.v1 import drafting_service_pb2 as api
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1.drafting_service_pb2_grpc import DraftingServiceServicer

from ..commands import drafting as commands
from ..deciders import draft
from ..queries import drafting as queries
from .base import Calls, id_of, page_size, person, token
from .posts import PostCalls, check_attachments, check_language

DRAFTS = 300
NO_DRAFT = "you keep no such draft"
_LAST = "~"


class DraftingApi(Calls, DraftingServiceServicer):
    """DraftingService."""

    def __init__(self, context: Context, posts: PostCalls) -> None:
        """For the running service, with the calls that publish."""
        super().__init__(context)
        self._posts = posts

    async def SaveDraft(self, request: api.SaveDraftRequest, context: Any) -> api.Draft:
        """Keep a new draft, or this in place of the one with its id; a scheduled one stays scheduled."""
        caller = person()
        check_language(request.content.language)
        check_attachments(request.content.attachments)
        if request.draft_id:
            _check_id(request.draft_id)
            if not await self.events.read(f"draft-{request.draft_id}"):
                raise NotFound(NO_DRAFT, "draft_id")
        else:
            async with self.database.snapshot() as tx:
                if await queries.count_drafts(tx, caller.person_id) >= DRAFTS:
                    raise Rejected(f"a person keeps at most {DRAFTS} drafts: publish or discard some first")
        command = commands.SaveDraft(
            draft_id=request.draft_id or new_id(), author_id=caller.person_id, content=request.content, now=self.now(), etag=request.etag
        )
        done = await self.handle(caller, draft, f"draft-{command.draft_id}", command, request.request_id)
        return await self._draft(caller, done.stream.removeprefix("draft-"))

    async def GetDraft(self, request: api.GetDraftRequest, context: Any) -> api.Draft:
        """One of the caller's drafts."""
        return await self._draft(auth.caller(), request.draft_id)

    async def ListDrafts(self, request: api.ListDraftsRequest, context: Any) -> api.ListDraftsResponse:
        """The caller's drafts, the newest first."""
        caller = auth.caller()
        if request.only_scheduled and request.only_unscheduled:
            raise InvalidArgument("ask for the scheduled ones or for the others, or leave both out for all", "only_scheduled")
        size = page_size(request.page_size)
        scheduled = True if request.only_scheduled else False if request.only_unscheduled else None
        async with self.database.snapshot() as tx:
            found = await queries.list_drafts(tx, caller.person_id, id_of(request.page_token, _LAST), size + 1, scheduled=scheduled)
        return api.ListDraftsResponse(
            drafts=found[:size], next_page_token=token(found[size - 1].draft_id) if len(found) > size else ""
        )

    async def DiscardDraft(self, request: api.DiscardDraftRequest, context: Any) -> api.DiscardDraftResponse:
        """Throw a draft away; once more changes nothing."""
        caller = person()
        _check_id(request.draft_id)
        command = commands.DiscardDraft(draft_id=request.draft_id, author_id=caller.person_id)
        await self.handle(caller, draft, f"draft-{request.draft_id}", command, request.request_id)
        return api.DiscardDraftResponse()

    async def ScheduleDraft(self, request: api.ScheduleDraftRequest, context: Any) -> api.Draft:
        """Publish it by itself at a time, or at another time than was said before."""
        caller = person()
        held = await self._draft(caller, request.draft_id)
        if not 0 < request.publish_time.seconds <= 253_402_300_799:
            raise InvalidArgument("say when the post is to be published", "publish_time")
        self._posts.check_length(held.content.body)
        command = commands.ScheduleDraft(
            draft_id=request.draft_id, author_id=caller.person_id, publish_time=request.publish_time.ToDatetime(UTC), now=self.now()
        )
        await self.handle(caller, draft, f"draft-{request.draft_id}", command, request.request_id)
        return await self._draft(caller, request.draft_id)

    async def UnscheduleDraft(self, request: api.UnscheduleDraftRequest, context: Any) -> api.Draft:
        """Keep it as a draft only."""
        caller = person()
        await self._draft(caller, request.draft_id)
        command = commands.UnscheduleDraft(draft_id=request.draft_id, author_id=caller.person_id)
        await self.handle(caller, draft, f"draft-{request.draft_id}", command, request.request_id)
        return await self._draft(caller, request.draft_id)

    async def PublishDraft(self, request: api.PublishDraftRequest, context: Any) -> feed.Post:
        """Publish it now; once more answers the post it has become."""
        return await self.publish(person(), request.draft_id)

    async def publish(self, caller: Caller, draft_id: str) -> feed.Post:
        """Publish a draft in its author's name, once: the same version again is the same post.

        Raises:
            Rejected: it cannot be published as it is; the reason is for its author.
        """
        _check_id(draft_id)
        state = draft.initial()
        for recorded in await self.events.read(f"draft-{draft_id}"):
            state = draft.evolve(state, cast(draft.Event, recorded.data))
        if state.author_id != caller.person_id or state.status in ("absent", "discarded"):
            raise NotFound(NO_DRAFT, "draft_id")
        if state.status == "published":
            return await self.post_for(caller, state.post_id)
        assert state.content is not None
        content = state.content
        request = feed.PublishPostRequest(
            body=content.body, language=content.language, parent_id=content.parent_id, attachments=content.attachments,
            kind=content.kind, warning=content.warning, sensitive=content.sensitive, quoted_id=content.quoted_id,
            praised_ids=content.praised_ids, praise_value=content.praise_value, request_id=f"draft-{draft_id}-{state.version}",
        )
        if content.HasField("audience") and content.audience.WhichOneof("kind") and not content.parent_id:
            request.audience.CopyFrom(content.audience)
        if any(content.poll.options):
            request.poll.CopyFrom(content.poll)
            request.poll.close_time.FromDatetime(self.now() + timedelta(seconds=content.poll_seconds or 86_400))
        post = await self._posts.publish(caller, request, draft_id)
        command = commands.PublishDraft(draft_id=draft_id, author_id=caller.person_id, post_id=post.post_id)
        await self.handle(caller, draft, f"draft-{draft_id}", command)
        return post

    async def _draft(self, caller: Caller, draft_id: str) -> api.Draft:
        _check_id(draft_id)
        async with self.database.snapshot() as tx:
            found = await queries.fetch_draft(tx, caller.person_id, draft_id)
        if found is None:
            raise NotFound(NO_DRAFT, "draft_id")
        return found


def _check_id(draft_id: str) -> None:
    if not is_id(draft_id):
        raise NotFound(NO_DRAFT, "draft_id")
