"""Posts, threads, responses and timelines."""
from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from libs.db.database import Transaction
from libs.eventstore.model import InvalidArgument, NotFound, PermissionDenied, Rejected, micros
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.telemetry import metrics
from libs.text import emoji as emoji_text
from libs.text.ids import is_id, new_id, pair_id
from libs.text.markdown import extract, normal_hashtag
from watercooler.common.v1.audience_pb2 import Audience, Everyone, People
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.reading_events_pb2 import (
    FILTER_CONTEXT_HOME,
    FILTER_CONTEXT_PERSON,
    FILTER_CONTEXT_PUBLIC,
    FILTER_CONTEXT_THREAD,
)

from .. import commands
from ..access import readers_among
from ..deciders import post, response
from ..queries import communities as community_queries
from ..queries import mentions as mention_queries
from ..queries import people as people_queries
from ..queries import policy as policy_queries
from ..queries import posts as queries
from ..queries import reading, retention, timelines
from .base import CLOSED, NO_COMMUNITY, NO_POST, PAGE_SIZE, Calls, bad_token, id_of, key_of, page_size, person, position_of, token
from .confirming import confirm_where_announced
from .moderation import check_not_muted
from .policy import require_guidelines
from .ranked import ranked_page

# Where mutes, blocks and filters hold, and as what; what one saved or asked for by name is shown whole.
_SHADED = {
    api.TIMELINE_KIND_HOME: FILTER_CONTEXT_HOME,
    api.TIMELINE_KIND_RANKED: FILTER_CONTEXT_HOME,
    api.TIMELINE_KIND_LIST: FILTER_CONTEXT_HOME,
    api.TIMELINE_KIND_DIRECT: FILTER_CONTEXT_HOME,
    api.TIMELINE_KIND_COMPANY: FILTER_CONTEXT_PUBLIC,
    api.TIMELINE_KIND_COMMUNITY: FILTER_CONTEXT_PUBLIC,
    api.TIMELINE_KIND_TAG: FILTER_CONTEXT_PUBLIC,
    api.TIMELINE_KIND_PERSON: FILTER_CONTEXT_PERSON,
    api.TIMELINE_KIND_PINNED: FILTER_CONTEXT_PERSON,
}

BATCH_MAX = 200
PRAISED_MAX = 20
CALLED_MAX = 5
_SPEAKING = frozenset({"communications", "leader"})
VISIBILITY_MAX = 1_000
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,6}")
_ATTACHMENT_CHARACTERS = 200


class PostCalls(Calls):
    """Everything about single posts and lists of them."""

    async def PublishPost(self, request: api.PublishPostRequest, context: Any) -> api.Post:
        """Publish for the audience, or answer into the thread's."""
        return await self.publish(person(), request)

    async def publish(self, caller: Caller, request: api.PublishPostRequest, draft_id: str = "") -> api.Post:
        """Publish in the name of a person, perhaps what they kept as a draft; the same `request_id` again is the same post.

        Raises:
            Rejected: it cannot be published as it is; the reason is for its author.
        """
        now = self.now()
        self.check_length(request.body)
        check_language(request.language)
        check_attachments(request.attachments)
        kind = self._kind(request)
        async with self.database.snapshot() as tx:
            await require_guidelines(tx, caller)
            parent_id = await self._original(tx, caller, request.parent_id, "parent_id") if request.parent_id else ""
            if parent_id:
                audience, root_id, waited = await self._reply(tx, caller, parent_id, now)
            else:
                audience, root_id, waited = await self._audience(tx, caller, request.audience), "", None
            if audience.community_id:
                await check_not_muted(tx, caller, audience.community_id, now)
            quoted_id = await self._quotable(tx, caller, request.quoted_id) if request.quoted_id else ""
            praise = await self._praise(tx, caller, request)
            named = await references(tx, request.body, caller, self.context.settings.mention_members_max)
        command = commands.PublishPost(
            post_id=new_id(), author_id=caller.person_id, body=request.body, language=request.language, audience=audience,
            parent_id=parent_id, root_id=root_id, mentioned_ids=named.mentioned_ids, tags=named.tags,
            mentioned_community_ids=named.community_ids, mentioned_group_ids=named.group_ids, attachments=tuple(request.attachments),
            now=now, kind=kind, warning=request.warning.strip(), sensitive=request.sensitive, quoted_id=quoted_id,
            poll=request.poll if request.HasField("poll") else None, praise=praise, draft_id=draft_id,
        )
        done = await self.handle(caller, post, f"post-{command.post_id}", command, request.request_id)
        if not done.repeated:
            count_post(reply=bool(root_id), mentions=len(named.mentioned_ids))
            if waited is not None:
                metrics.REPLY_SECONDS.observe(waited)
        return await self.post_for(caller, done.stream.removeprefix("post-"))

    @staticmethod
    def _kind(request: api.PublishPostRequest) -> events_pb2.PostKind.ValueType:
        if request.kind not in (events_pb2.POST_KIND_UNSPECIFIED, events_pb2.POST_KIND_QUESTION):
            raise InvalidArgument("a post is plain or a question: praise names people, and announcements have their own call", "kind")
        if request.kind == events_pb2.POST_KIND_QUESTION and (request.parent_id or request.praised_ids):
            raise InvalidArgument("a question begins a thread of its own and praises nobody", "kind")
        return events_pb2.POST_KIND_PRAISE if request.praised_ids else request.kind

    async def _praise(self, tx: Transaction, caller: Caller, request: api.PublishPostRequest) -> events_pb2.Praise | None:
        named = list(dict.fromkeys(request.praised_ids))
        if not named:
            return None
        if request.parent_id:
            raise InvalidArgument("praise begins a thread of its own", "praised_ids")
        if len(named) > PRAISED_MAX:
            raise InvalidArgument(f"praise names at most {PRAISED_MAX} people, this one {len(named)}", "praised_ids")
        if caller.person_id in named:
            raise InvalidArgument("praise is for others: leave yourself out", "praised_ids")
        if len(await people_queries.present(tx, named)) < len(named):
            raise InvalidArgument("somebody named is not (or no longer) here: leave them out", "praised_ids")
        values = (await policy_queries.fetch_policy(tx)).values
        if request.praise_value not in values:
            raise InvalidArgument(f"choose what the praise is for: {', '.join(values)}", "praise_value")
        return events_pb2.Praise(person_ids=named, value=request.praise_value)

    async def _quotable(self, tx: Transaction, caller: Caller, post_id: str) -> str:
        quoted_id = await self._original(tx, caller, post_id, "quoted_id")
        frame = await queries.fetch_frame(tx, caller, quoted_id)
        if frame is None:
            raise NotFound(NO_POST, "quoted_id")
        if frame["hidden"]:
            raise Rejected("the text of this post is gone: there is nothing to quote")
        if await reading.blocks(tx, frame["author_id"], caller.person_id):
            raise Rejected(CLOSED)
        return quoted_id

    @staticmethod
    async def _original(tx: Transaction, caller: Caller, post_id: str, field: str = "") -> str:
        """The post itself, or the one that it passes on: what is done with a repost is done with its original."""
        frame = await queries.fetch_frame(tx, caller, post_id)
        if frame is None or (frame["reposted_id"] and frame["hidden"]):
            raise NotFound(NO_POST, field)
        return frame["reposted_id"] or post_id

    def check_length(self, body: str) -> None:
        """What is written here keeps to the organisation's own limit; imports keep to the decider's."""
        most = self.context.settings.post_characters_max
        if len(body) > most:
            raise InvalidArgument(f"a post has at most {most:,} characters here, this one has {len(body):,}: shorten it", "body")

    async def _reply(self, tx: Transaction, caller: Caller, parent_id: str, now: datetime) -> tuple[Audience, str, float | None]:
        """The thread's audience and first post; and how long the parent waited, where this is its first answer by somebody else."""
        frame = await queries.fetch_frame(tx, caller, parent_id)
        if frame is None:
            raise NotFound(NO_POST, "parent_id")
        card = api.Post.FromString(frame["card"])
        if card.deleted:
            raise Rejected("this post was deleted: answer another post of the thread")
        if frame["archived"]:
            raise Rejected("the community is archived: it can be read, but nothing new is written there")
        if await reading.blocks(tx, frame["author_id"], caller.person_id):
            raise Rejected(CLOSED)
        waited = None
        if frame["reply_count"] == 0 and frame["author_id"] != caller.person_id:
            waited = max(0.0, now.timestamp() - card.publish_time.ToMicroseconds() / 1_000_000)
        return card.audience, frame["thread_id"], waited

    async def check_audience(self, tx: Transaction, caller: Caller, asked: Audience, now: datetime) -> None:
        """Refuse an audience that the caller may not write to."""
        audience = await self._audience(tx, caller, asked)
        if audience.community_id:
            await check_not_muted(tx, caller, audience.community_id, now)

    async def _audience(self, tx: Transaction, caller: Caller, asked: Audience) -> Audience:
        kind = asked.WhichOneof("kind") or "everyone"
        if caller.is_guest and kind not in ("community_id", "people"):
            raise PermissionDenied("guests write in the communities they were let into, or to named people: choose one of these")
        match kind:
            case "community_id":
                community = await community_queries.fetch_community(tx, caller, asked.community_id)
                if community is None:
                    raise NotFound(NO_COMMUNITY, "audience")
                if not community.my_role:
                    raise PermissionDenied("only members write in a community: join it first")
                if community.archived:
                    raise Rejected("the community is archived: it can be read, but nothing new is written there")
                return asked
            case "followers_of_id":
                if asked.followers_of_id not in ("", caller.person_id):
                    raise InvalidArgument("a post can be for your own followers only", "audience")
                return Audience(followers_of_id=caller.person_id)
            case "group_id":
                if not await people_queries.group_exists(tx, asked.group_id):
                    raise InvalidArgument("there is no such group in the directory", "audience")
                if not await people_queries.in_group(tx, asked.group_id, caller.person_id):
                    raise PermissionDenied("only members write to a group of the directory: ask one of them, or write to everyone")
                return asked
            case "people":
                named = list(dict.fromkeys(asked.people.person_ids))
                if not 1 <= len(named) <= post.NAMED_PEOPLE:
                    raise InvalidArgument(
                        f"name 1 to {post.NAMED_PEOPLE} people, not {len(named)}: make a community for more", "audience"
                    )
                if len(await people_queries.present(tx, named)) < len(named):
                    raise InvalidArgument("somebody named is not (or no longer) here: leave them out", "audience")
                return Audience(people=People(person_ids=named))
            case _:
                return Audience(everyone=Everyone())

    async def GetPost(self, request: api.GetPostRequest, context: Any) -> api.Post:
        """One post; a tombstone where it was deleted."""
        return await self.post_for(auth.caller(), request.post_id)

    async def BatchGetPosts(self, request: api.BatchGetPostsRequest, context: Any) -> api.BatchGetPostsResponse:
        """Those of up to 200 posts that the caller may see, in the order asked for."""
        if len(request.post_ids) > BATCH_MAX:
            raise InvalidArgument(f"at most {BATCH_MAX} posts at a time", "post_ids")
        async with self.database.snapshot() as tx:
            found = await queries.fetch_posts(tx, auth.caller(), request.post_ids)
        return api.BatchGetPostsResponse(posts=[found[post_id] for post_id in dict.fromkeys(request.post_ids) if post_id in found])

    async def EditPost(self, request: api.EditPostRequest, context: Any) -> api.Post:
        """Replace the text, which becomes an earlier version."""
        caller = person()
        self.check_length(request.body)
        check_language(request.language)
        check_attachments(request.attachments)
        async with self.database.snapshot() as tx:
            frame = await queries.fetch_frame(tx, caller, request.post_id)
            if frame is None:
                raise NotFound(NO_POST)
            card = api.Post.FromString(frame["card"])
            if card.announcement_id:
                raise Rejected("an announcement is changed on a page of its own: there you say whether it corrects what people read")
            known = {mention.community_id or mention.group_id for mention in card.mentions}
            named = await references(tx, request.body, caller, self.context.settings.mention_members_max, known)
        command = commands.EditPost(
            post_id=request.post_id, editor_id=caller.person_id, body=request.body, language=request.language,
            mentioned_ids=named.mentioned_ids, tags=named.tags, mentioned_community_ids=named.community_ids,
            mentioned_group_ids=named.group_ids, attachments=tuple(request.attachments), etag=request.etag, now=self.now(),
            warning=request.warning.strip(), sensitive=request.sensitive,
        )
        done = await self.handle(caller, post, f"post-{request.post_id}", command, request.request_id)
        if done.position:
            metrics.ENGAGEMENT_ACTIONS.labels(kind="edit").inc()
        return await self.post_for(caller, request.post_id)

    async def DeletePost(self, request: api.DeletePostRequest, context: Any) -> api.Post:
        """Delete the text for good; a tombstone stays in the thread."""
        caller = person()
        async with self.database.snapshot() as tx:
            frame = await queries.fetch_frame(tx, caller, request.post_id)
            held = await retention.is_held(tx, request.post_id)
        if frame is None:
            raise NotFound(NO_POST)
        moderates = caller.is_administrator or (frame["role"] or 0) >= events_pb2.MEMBER_ROLE_MODERATOR
        command = commands.DeletePost(
            post_id=request.post_id, actor_id=caller.person_id, moderates=moderates, now=self.now(), kept=held
        )
        await self.handle(caller, post, f"post-{request.post_id}", command, request.request_id)
        return await self.post_for(caller, request.post_id)

    async def ListRevisions(self, request: api.ListRevisionsRequest, context: Any) -> api.ListRevisionsResponse:
        """The earlier versions, for whoever sees the post."""
        caller = auth.caller()
        async with self.database.snapshot() as tx:
            shown = await queries.fetch_post(tx, caller, request.post_id)
            if shown is None:
                raise NotFound(NO_POST)
            revisions = [] if shown.deleted else await queries.fetch_revisions(tx, request.post_id)
        if not revisions and not shown.deleted:
            only = api.Revision(number=1, body=shown.body, revise_time=shown.publish_time, attachments=shown.attachments)
            revisions = [only]
        return api.ListRevisionsResponse(revisions=revisions)

    async def GetThread(self, request: api.GetThreadRequest, context: Any) -> api.Thread:
        """The first post of a thread and a page of its replies."""
        caller = auth.caller()
        size = page_size(request.page_size)
        after = id_of(request.page_token, "")
        async with self.database.snapshot() as tx:
            frame = await queries.fetch_frame(tx, caller, request.post_id)
            if frame is not None and frame["reposted_id"]:
                frame = await queries.fetch_frame(tx, caller, frame["reposted_id"])
            if frame is None:
                raise NotFound(NO_POST)
            ids = await queries.fetch_replies(tx, frame["thread_id"], after, size + 1)
            found = await queries.fetch_posts(tx, caller, [frame["thread_id"], *ids[:size]])
            if (shade := await reading.fetch_shade(tx, caller, micros(self.now()), FILTER_CONTEXT_THREAD)) is not None:
                # What the caller asked for by its id is shown whatever they keep out.
                kept = {frame["thread_id"], request.post_id}
                found = {post_id: shown for post_id, shown in found.items() if not shade.hides(shown) or post_id in kept}
        if frame["thread_id"] not in found:
            raise NotFound(NO_POST)
        return api.Thread(
            root=found[frame["thread_id"]], replies=[found[post_id] for post_id in ids[:size] if post_id in found],
            next_page_token=token(ids[size - 1]) if len(ids) > size else "",
        )

    async def AddReaction(self, request: api.AddReactionRequest, context: Any) -> api.Post:
        """React with one emoji; the heart typed on two keyboards is one."""
        emoji = emoji_text.canonical(request.emoji)
        if emoji is None:
            raise InvalidArgument("a reaction is one emoji", "emoji")
        caller = person()
        command = commands.AddReaction(post_id=request.post_id, person_id=caller.person_id, emoji=emoji, now=self.now())
        return await self._respond(caller, command, request.request_id, "reaction")

    async def RemoveReaction(self, request: api.RemoveReactionRequest, context: Any) -> api.Post:
        """Take a reaction back."""
        caller = person()
        emoji = emoji_text.canonical(request.emoji) or request.emoji
        return await self._respond(
            caller, commands.RemoveReaction(post_id=request.post_id, person_id=caller.person_id, emoji=emoji), request.request_id
        )

    async def SavePost(self, request: api.SavePostRequest, context: Any) -> api.Post:
        """Put the post on the caller's own list."""
        caller = person()
        command = commands.SavePost(post_id=request.post_id, person_id=caller.person_id, now=self.now())
        return await self._respond(caller, command, request.request_id, "save")

    async def UnsavePost(self, request: api.UnsavePostRequest, context: Any) -> api.Post:
        """Take the post off the caller's own list."""
        caller = person()
        return await self._respond(caller, commands.UnsavePost(post_id=request.post_id, person_id=caller.person_id), request.request_id)

    async def ConfirmRead(self, request: api.ConfirmReadRequest, context: Any) -> api.Post:
        """Say that the caller has read the post."""
        caller = person()
        await confirm_where_announced(self, caller, request.post_id)
        command = commands.ConfirmRead(post_id=request.post_id, person_id=caller.person_id, now=self.now())
        return await self._respond(caller, command, request.request_id, "confirm")

    async def _respond(self, caller: Caller, command: commands.ResponseCommand, request_id: str, kind: str = "") -> api.Post:
        shown = await self.post_for(caller, command.post_id)
        if shown.reposted_id:
            shown = shown.reposted
            command = replace(command, post_id=shown.post_id)
        if (shown.deleted or shown.erased) and isinstance(command, commands.AddReaction | commands.SavePost | commands.ConfirmRead):
            raise Rejected("the text of this post is gone: there is nothing to respond to")
        if isinstance(command, commands.AddReaction):
            async with self.database.snapshot() as tx:
                if await reading.blocks(tx, shown.author.person_id, caller.person_id):
                    raise Rejected(CLOSED)
        stream = f"response-{pair_id(command.post_id, command.person_id)}"
        done = await self.handle(caller, response, stream, command, request_id)
        if done.position and kind:
            metrics.ENGAGEMENT_ACTIONS.labels(kind=kind).inc()
            if kind == "reaction":
                metrics.REACTIONS.inc()
            elif kind == "confirm":
                metrics.READ_CONFIRMATIONS.inc()
        return await self.post_for(caller, command.post_id)

    async def ListReactions(self, request: api.ListReactionsRequest, context: Any) -> api.ListReactionsResponse:
        """Who reacted to a post, the newest first."""
        caller = auth.caller()
        size = page_size(request.page_size)
        emoji = (emoji_text.canonical(request.emoji) or request.emoji) if request.emoji else ""
        before = position_of(request.page_token, 1 << 62)
        async with self.database.snapshot() as tx:
            if await queries.fetch_frame(tx, caller, request.post_id) is None:
                raise NotFound(NO_POST)
            rows = await queries.fetch_reactions(tx, request.post_id, emoji, before, size + 1)
        return api.ListReactionsResponse(
            reactions=[reaction for _, reaction in rows[:size]], next_page_token=token(rows[size - 1][0]) if len(rows) > size else ""
        )

    async def ListTimeline(self, request: api.ListTimelineRequest, context: Any) -> api.ListTimelineResponse:
        """A page of a timeline, newest first; a page may be short where much is hidden from the caller, the token tells if more follows."""
        caller = auth.caller()
        if request.before_id and request.page_token:
            raise InvalidArgument("a page begins at a page_token or before_id: leave one out", "before_id")
        if request.kind == api.TIMELINE_KIND_RANKED:
            return await ranked_page(self.database, caller, request, self.now())
        wanted = timelines.Wanted(
            page_size(request.page_size), from_oldest=request.from_oldest, pictures=request.only_attachments,
            reposts=not request.exclude_reposts,
        )
        async with self.database.snapshot() as tx:
            candidates = await self._candidates(tx, caller, request)
            wanted = replace(
                wanted, before=await self._begin(tx, candidates, request), shade=await self._shade(tx, caller, request.kind),
                after=await self._key(tx, candidates, request.after_id, "after_id", "") if request.after_id else "",
            )
            posts, last = await timelines.read_timeline(tx, caller, candidates, wanted)
            pinned: list[api.Post] = []
            if request.with_pinned and request.kind in (api.TIMELINE_KIND_PERSON, api.TIMELINE_KIND_COMMUNITY):
                head = timelines.Wanted(PAGE_SIZE, shade=wanted.shade)
                pinned, _ = await timelines.read_timeline(tx, caller, timelines.pinned(request.subject), head)
        return api.ListTimelineResponse(posts=posts, next_page_token=token(last), pinned=pinned)

    async def _begin(self, tx: Transaction, candidates: timelines.Candidates, request: api.ListTimelineRequest) -> str:
        """The key before which the page begins."""
        if request.before_id:
            return await self._key(tx, candidates, request.before_id, "before_id", timelines.END)
        if not request.page_token:
            return timelines.END
        key = key_of(request.page_token)
        if candidates.key is not None:
            position_of(request.page_token, 0)
        elif len(key) != 36:
            raise bad_token()
        return key

    @staticmethod
    async def _key(tx: Transaction, candidates: timelines.Candidates, post_id: str, field: str, otherwise: str) -> str:
        if not is_id(post_id):
            raise InvalidArgument("this is no id of a post", field)
        if candidates.key is None:
            return post_id
        return await candidates.key(tx, post_id) or otherwise

    async def _shade(self, tx: Transaction, caller: Caller, kind: api.TimelineKind.ValueType) -> reading.Shade | None:
        if kind not in _SHADED:
            return None
        at_home = kind in (api.TIMELINE_KIND_HOME, api.TIMELINE_KIND_RANKED)
        return await reading.fetch_shade(tx, caller, micros(self.now()), _SHADED[kind], without_lists=at_home)

    @staticmethod
    async def _candidates(tx: Transaction, caller: Caller, request: api.ListTimelineRequest) -> timelines.Candidates:
        match request.kind:
            case api.TIMELINE_KIND_HOME:
                return timelines.home(caller.person_id)
            case api.TIMELINE_KIND_COMPANY:
                return timelines.of_source("company")
            case api.TIMELINE_KIND_COMMUNITY:
                if await community_queries.fetch_community(tx, caller, request.subject) is None:
                    raise NotFound(NO_COMMUNITY, "subject")
                return timelines.of_source(f"community:{request.subject}")
            case api.TIMELINE_KIND_PERSON:
                return timelines.of_person(request.subject, request.include_replies)
            case api.TIMELINE_KIND_TAG:
                return timelines.of_tag(tag_of(request.subject, "subject"))
            case api.TIMELINE_KIND_SAVED:
                return timelines.saved(caller.person_id)
            case api.TIMELINE_KIND_PINNED:
                return timelines.pinned(request.subject)
            case api.TIMELINE_KIND_REACTED:
                return timelines.reacted(caller.person_id)
            case api.TIMELINE_KIND_DIRECT:
                return timelines.direct(caller.person_id)
            # A kind of timeline is a `timelines.Candidates`: what stands there, in order. Who may see it is asked afterwards.
            case api.TIMELINE_KIND_LIST:
                if not await reading.list_lists(tx, caller.person_id, list_id=request.subject):
                    raise NotFound("you keep no such list", "subject")
                return timelines.of_list(request.subject)
            case _:
                raise InvalidArgument("say which timeline", "kind")

    async def CheckVisibility(self, request: api.CheckVisibilityRequest, context: Any) -> api.CheckVisibilityResponse:
        """Which of the people may see a post and have it in their home timeline; for services of the deployment and for who sees it."""
        caller = auth.caller()
        if len(request.person_ids) > VISIBILITY_MAX:
            raise InvalidArgument(f"at most {VISIBILITY_MAX:,} people at a time", "person_ids")
        async with self.database.snapshot() as tx:
            if caller.person_id and await queries.fetch_frame(tx, caller, request.post_id) is None:
                raise NotFound(NO_POST)
            row = await queries.fetch_scope(tx, request.post_id)
            if row is None:
                raise NotFound(NO_POST)
            people = list(dict.fromkeys(request.person_ids))
            visible = await readers_among(tx, row, people)
            shaded = await reading.silencing(tx, row["author_id"], people, micros(self.now()), notifications=False)
            if caller.person_id:
                shaded &= {caller.person_id}  # whom others mute is nobody else's to know
            home: set[str] = set()
            if not row["hidden"]:
                home = await timelines.at_home_with(tx, request.post_id, row["author_id"], people) & visible - shaded
        return api.CheckVisibilityResponse(
            visible_ids=[one for one in people if one in visible], home_ids=[one for one in people if one in home]
        )


def check_language(language: str) -> None:
    """Refuse what is no language tag; empty is unknown."""
    if language and (len(language) > 35 or _LANGUAGE.fullmatch(language) is None):
        raise InvalidArgument("a language is a BCP 47 tag such as en or pt-BR", "language")


def check_attachments(attachments: Sequence[Attachment]) -> None:
    """Refuse references that no blob store gives out."""
    for attachment in attachments:
        if len(attachment.blob_id) > _ATTACHMENT_CHARACTERS or len(attachment.media_type) > _ATTACHMENT_CHARACTERS:
            raise InvalidArgument(f"blob_id and media_type have at most {_ATTACHMENT_CHARACTERS} characters each", "attachments")
        if attachment.width < 0 or attachment.height < 0 or attachment.size_bytes < 0:
            raise InvalidArgument("sizes are not negative", "attachments")


class References(NamedTuple):
    """What a text refers to: people, tags, and the communities and groups of which the members are told."""

    mentioned_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    community_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()


async def references(tx: Transaction, body: str, caller: Caller | None = None, most: int = 0, known: Collection[str] = ()) -> References:
    """The people a text mentions, as far as they are here, and its tags; the post decider refuses what is too long or too many.

    With the caller who writes it, the communities and groups too. Those of more than `most` members, unless they are `known`, may be
    called by those only who look after them or speak for the company.
    """
    if len(body) > post.BODY_CHARACTERS or not ("@" in body or "#" in body or "＃" in body or "＠" in body):
        return References()
    found = extract(body)
    if len(found.mentions) > post.MENTIONS:
        raise InvalidArgument(f"a post mentions at most {post.MENTIONS} people, this one {len(found.mentions)}", "body")
    mentioned = await people_queries.by_handle(tx, found.mentions) if found.mentions else []
    called = await mention_queries.called(tx, caller, found.names[:post.MENTIONS]) if found.names and caller is not None else []
    if len(called) > CALLED_MAX:
        raise InvalidArgument(f"a post mentions at most {CALLED_MAX} communities and groups, this one {len(called)}", "body")
    for each in called:
        assert caller is not None
        speaks = each.keeps or caller.is_administrator or bool(caller.roles & _SPEAKING)
        if each.size > most and not speaks and each.id not in known:
            raise InvalidArgument(
                f"@{each.handle} would notify {each.size:,} people; mentions of more than {most:,} are for moderators and owners, "
                "communications, leaders and administrators: leave out the @, or ask one of them", "body",
            )
    return References(
        tuple(mentioned), found.hashtags, tuple(each.id for each in called if each.kind == "community"),
        tuple(each.id for each in called if each.kind == "group"),
    )


def tag_of(text: str, field: str) -> str:
    """The one form of a tag, with or without its #; raises InvalidArgument for what cannot be one."""
    tag = normal_hashtag(text.strip().removeprefix("#"))
    if tag is None:
        raise InvalidArgument("a tag is a word of at most 64 letters, digits and _, such as #onboarding", field)
    return tag


def count_post(*, reply: bool, mentions: int) -> None:
    """Count a new post in the metrics."""
    metrics.ENGAGEMENT_ACTIONS.labels(kind="reply" if reply else "post").inc()
    (metrics.REPLIES if reply else metrics.POSTS).inc()
    if mentions:
        metrics.ENGAGEMENT_ACTIONS.labels(kind="mention").inc(mentions)
