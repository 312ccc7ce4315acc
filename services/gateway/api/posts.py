"""Posts, timelines and tags."""
# ruff: noqa: RUF012 - msgspec copies the empty lists and dicts that are defaults here.
from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from watercooler.common.v1 import audience_pb2, blob_pb2
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import feed_service_pb2 as feed

from ..http import gateway
from ..problems import Refusal
from . import models
from .models import BlobId, Body, Emoji, Id, Language, Page, PageSize, PageToken
from .operations import Answer, Call, Input, Output, operation, time_of
from .people import require_image


class AudienceInput(Input, frozen=True, kw_only=True):
    """Who may see a post: `id` names the group or community; `person_ids` the people; followers are the writer's own."""

    kind: Literal["everyone", "followers", "group", "community", "people"]
    id: Id | None = None
    person_ids: Annotated[list[Id], Meta(max_length=100)] = []


class AttachmentInput(Input, frozen=True, kw_only=True):
    """An image uploaded before by POST /uploads."""

    blob_id: BlobId
    description: Annotated[str, Meta(max_length=1_500, description="What the picture shows, for those who cannot see it.")] = ""
    width: Annotated[int, Meta(ge=0, le=100_000)] = 0
    height: Annotated[int, Meta(ge=0, le=100_000)] = 0


Attachments = Annotated[list[AttachmentInput], Meta(max_length=10)]


class PollInput(Input, frozen=True, kw_only=True):
    """A poll. In an anonymous one nobody can find out who chose what, its asker included."""

    options: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(min_length=2, max_length=10)]
    close_time: Annotated[datetime, Meta(tz=True, description="5 minutes to a year from now.")]
    multiple: bool = False
    anonymous: bool = False


Warning = Annotated[str, Meta(max_length=200, description="Shown instead of the text, which is folded under it.")]


class PostInput(Input, frozen=True, kw_only=True):
    """A post, or with `parent_id` a reply; a reply has the audience of its thread."""

    body: Body
    language: Language = ""
    audience: Annotated[AudienceInput | None, Meta(description="Everyone where absent.")] = None
    parent_id: Id | None = None
    attachments: Attachments = []
    kind: Annotated[Literal["plain", "question"], Meta(description="Praise follows from `praised_ids`.")] = "plain"
    warning: Warning = ""
    sensitive: Annotated[bool, Meta(description="Pictures are covered until asked for.")] = False
    quoted_id: Id | None = None
    poll: PollInput | None = None
    praised_ids: Annotated[list[Id], Meta(max_length=20)] = []
    praise_value: Annotated[str, Meta(max_length=200, description="One of the organisation's values; needed with `praised_ids`.")] = ""


def read_poll(given: PollInput | None) -> events_pb2.Poll | None:
    """The poll of a request as services know it."""
    if given is None:
        return None
    poll = events_pb2.Poll(options=given.options, multiple=given.multiple, anonymous=given.anonymous)
    poll.close_time.FromDatetime(given.close_time)
    return poll


def read_audience(call: Call, given: AudienceInput | None) -> audience_pb2.Audience | None:
    """The audience of a request as services know it. Raises Refusal 400 naming what does not fit together."""
    if given is None:
        return None
    if (given.kind in ("group", "community")) != (given.id is not None):
        raise Refusal(400, f"An audience of kind {given.kind} {'needs' if given.id is None else 'takes no'} id.", field="audience.id")
    if (given.kind == "people") != bool(given.person_ids):
        wants = "needs" if given.kind == "people" else "takes no"
        raise Refusal(400, f"An audience of kind {given.kind} {wants} person_ids.", field="audience.person_ids")
    audience = audience_pb2.Audience()
    if given.kind == "everyone":
        audience.everyone.SetInParent()
    elif given.kind == "followers":
        audience.followers_of_id = call.me.person_id
    elif given.kind == "group":
        audience.group_id = given.id or ""
    elif given.kind == "community":
        audience.community_id = given.id or ""
    else:
        audience.people.person_ids.extend(dict.fromkeys(given.person_ids))
    return audience


async def read_attachments(call: Call, given: list[AttachmentInput]) -> list[blob_pb2.Attachment]:
    """The attachments of a request; what they are is read from the blobs, not believed. Raises Refusal 400 for an unknown one."""
    from ..files import image_ref

    found: list[blob_pb2.Attachment] = []
    for number, each in enumerate(given):
        await require_image(call, each.blob_id, f"attachments[{number}].blob_id")
        ref = await image_ref(gateway(call.request).blobs, each.blob_id)
        assert ref is not None
        found.append(
            blob_pb2.Attachment(
                blob_id=ref.id, media_type=ref.media_type, size_bytes=ref.size, description=each.description, width=each.width,
                height=each.height,
            )
        )
    return found


@operation("POST", "/posts", "Publish a post or a reply", tag="posts", status=201, body=PostInput, answer=models.Post)
async def publish_post(call: Call, body: PostInput) -> Answer:
    """Mentions (@handle) and tags (#tag) are read from the text. Send an Idempotency-Key, and a repeated request stays one post."""
    request = feed.PublishPostRequest(
        body=body.body, language=body.language, parent_id=body.parent_id or "", request_id=call.request_id,
        attachments=await read_attachments(call, body.attachments) if body.attachments else (),
        kind=events_pb2.POST_KIND_QUESTION if body.kind == "question" else events_pb2.POST_KIND_UNSPECIFIED,
        warning=body.warning, sensitive=body.sensitive, quoted_id=body.quoted_id or "", poll=read_poll(body.poll),
        praised_ids=body.praised_ids, praise_value=body.praise_value,
    )
    audience = read_audience(call, body.audience)
    if audience is not None:
        request.audience.CopyFrom(audience)
    made = await call.clients.feed.PublishPost(request)
    return Answer(models.post(made), etag=made.etag, location=f"/api/v1/posts/{made.post_id}")


class PostsQuery(Input, frozen=True, kw_only=True):
    """Which posts."""

    id: Annotated[list[Id], Meta(min_length=1, max_length=100, description="Repeat it for several.")]


@operation("GET", "/posts", "Read several posts", tag="posts", query=PostsQuery, answer=models.PostList)
async def batch_get_posts(call: Call, query: PostsQuery) -> models.PostList:
    """What one may not see is left out."""
    found = await call.clients.feed.BatchGetPosts(feed.BatchGetPostsRequest(post_ids=query.id))
    return models.PostList(posts=[models.post(each) for each in found.posts], next_page_token="")


@operation("GET", "/posts/{post_id}", "Read a post", tag="posts", answer=models.Post)
async def get_post(call: Call) -> Answer:
    """The ETag is the version to name in If-Match when editing."""
    found = await call.clients.feed.GetPost(feed.GetPostRequest(post_id=call.id("post_id")))
    return Answer(models.post(found), etag=found.etag)


class PostPatch(Input, frozen=True, kw_only=True):
    """What to change; what is absent stays."""

    body: Body | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    attachments: Attachments | UnsetType = UNSET
    warning: Warning | UnsetType = UNSET
    sensitive: bool | UnsetType = UNSET


@operation("PATCH", "/posts/{post_id}", "Edit a post", tag="posts", body=PostPatch, answer=models.Post, is_edit=True)
async def edit_post(call: Call, body: PostPatch) -> Answer:
    """One's own. Every version stays readable under /revisions. With If-Match only if nobody changed it since."""
    if all(each is UNSET for each in (body.body, body.language, body.attachments, body.warning, body.sensitive)):
        raise Refusal(400, "Name at least one of body, language, attachments, warning and sensitive.", field="body")
    post_id = call.id("post_id")
    held = await call.clients.feed.GetPost(feed.GetPostRequest(post_id=post_id))

    async def current() -> str:
        return held.etag

    # What stays is taken from the version just read, so the edit is made on that one where the request names none.
    etag = await call.if_match(current) or held.etag
    changed = await call.clients.feed.EditPost(
        feed.EditPostRequest(
            post_id=post_id,
            body=held.body if body.body is UNSET else body.body,
            language=held.language if body.language is UNSET else body.language,
            attachments=held.attachments if body.attachments is UNSET else await read_attachments(call, body.attachments),
            etag=etag,
            request_id=call.request_id,
            warning=held.warning if body.warning is UNSET else body.warning,
            sensitive=held.sensitive if body.sensitive is UNSET else body.sensitive,
        )
    )
    return Answer(models.post(changed), etag=changed.etag)


@operation("DELETE", "/posts/{post_id}", "Delete a post", tag="posts", answer=models.Post)
async def delete_post(call: Call) -> models.Post:
    """The text is gone; the replies stay, below a tombstone."""
    request = feed.DeletePostRequest(post_id=call.id("post_id"), request_id=call.request_id)
    return models.post(await call.clients.feed.DeletePost(request))


@operation("GET", "/posts/{post_id}/revisions", "Read every version of a post", tag="posts", answer=models.RevisionList)
async def list_revisions(call: Call) -> models.RevisionList:
    """Newest first."""
    found = await call.clients.feed.ListRevisions(feed.ListRevisionsRequest(post_id=call.id("post_id")))
    return models.RevisionList(
        revisions=[
            models.Revision(
                number=each.number, body=each.body, revise_time=time_of(each.revise_time),
                attachments=[models.attachment(one) for one in each.attachments], warning=each.warning,
            )
            for each in found.revisions
        ]
    )


@operation("GET", "/posts/{post_id}/thread", "Read a thread", tag="posts", query=Page, answer=models.Thread)
async def get_thread(call: Call, query: Page) -> models.Thread:
    """Of any of its posts."""
    found = await call.clients.feed.GetThread(
        feed.GetThreadRequest(post_id=call.id("post_id"), page_size=query.page_size, page_token=query.page_token)
    )
    return models.Thread(
        root=models.post(found.root), replies=[models.post(each) for each in found.replies], next_page_token=found.next_page_token
    )


class ReactionsQuery(Page, frozen=True, kw_only=True):
    """Which reactions."""

    emoji: Annotated[str, Meta(max_length=40, description="All where absent.")] = ""


@operation("GET", "/posts/{post_id}/reactions", "Who reacted how", tag="posts", query=ReactionsQuery, answer=models.ReactionList)
async def list_reactions(call: Call, query: ReactionsQuery) -> models.ReactionList:
    """Newest first."""
    found = await call.clients.feed.ListReactions(
        feed.ListReactionsRequest(
            post_id=call.id("post_id"), emoji=query.emoji, page_size=query.page_size, page_token=query.page_token
        )
    )
    return models.ReactionList(
        reactions=[
            models.Reaction(person=models.author(each.person), emoji=each.emoji, react_time=time_of(each.react_time))
            for each in found.reactions
        ],
        next_page_token=found.next_page_token,
    )


class ReactionInput(Input, frozen=True, kw_only=True):
    """One emoji."""

    emoji: Emoji


@operation("POST", "/posts/{post_id}/reactions", "React to a post", tag="posts", body=ReactionInput, answer=models.Post)
async def add_reaction(call: Call, body: ReactionInput) -> models.Post:
    """The same emoji again changes nothing."""
    request = feed.AddReactionRequest(post_id=call.id("post_id"), emoji=body.emoji, request_id=call.request_id)
    return models.post(await call.clients.feed.AddReaction(request))


class ReactionQuery(Input, frozen=True, kw_only=True):
    """One emoji."""

    emoji: Emoji


@operation("DELETE", "/posts/{post_id}/reactions", "Take a reaction back", tag="posts", query=ReactionQuery, answer=models.Post)
async def remove_reaction(call: Call, query: ReactionQuery) -> models.Post:
    """Of one emoji."""
    request = feed.RemoveReactionRequest(post_id=call.id("post_id"), emoji=query.emoji, request_id=call.request_id)
    return models.post(await call.clients.feed.RemoveReaction(request))


@operation("PUT", "/posts/{post_id}/save", "Save a post", tag="posts", answer=models.Post)
async def save_post(call: Call) -> models.Post:
    """Seen by nobody else, and found again under /feeds/saved."""
    return models.post(await call.clients.feed.SavePost(feed.SavePostRequest(post_id=call.id("post_id"), request_id=call.request_id)))


@operation("DELETE", "/posts/{post_id}/save", "Save a post no longer", tag="posts", answer=models.Post)
async def unsave_post(call: Call) -> models.Post:
    """The post stays what it is."""
    return models.post(await call.clients.feed.UnsavePost(feed.UnsavePostRequest(post_id=call.id("post_id"), request_id=call.request_id)))


@operation("PUT", "/posts/{post_id}/confirmation", "Say that one has read a post", tag="posts", answer=models.Post)
async def confirm_read(call: Call) -> models.Post:
    """Cannot be taken back."""
    return models.post(await call.clients.feed.ConfirmRead(feed.ConfirmReadRequest(post_id=call.id("post_id"), request_id=call.request_id)))


# --- timelines -------------------------------------------------------------------------------------------------------


class FeedQuery(Input, frozen=True, kw_only=True):
    """Which posts."""

    page_size: PageSize = 20
    page_token: PageToken = ""
    only_attachments: Annotated[bool, Meta(description="Only posts with a picture.")] = False
    before: Annotated[Id | None, Meta(description="Only what is older than this post.")] = None
    after: Annotated[Id | None, Meta(description="Only what is newer than this post.")] = None
    from_oldest: Annotated[bool, Meta(description="The page that follows `after`, instead of the newest one.")] = False
    exclude_reposts: Annotated[bool, Meta(description="Home and people's timelines hold reposts unless left out.")] = False


class PersonFeedQuery(FeedQuery, frozen=True, kw_only=True):
    """Which posts of a person."""

    include_replies: bool = False


class EncodedPostList(Output, frozen=True, kw_only=True):
    """What PostList is in JSON, of posts that are JSON already."""

    posts: list[msgspec.Raw]
    next_page_token: str


class EncodedPosts:
    """Posts as JSON, by the very message they are of: a busy timeline's posts are written out once, not for each reader."""

    def __init__(self) -> None:
        """Empty."""
        self._held: dict[bytes, msgspec.Raw] = {}

    def encode(self, message: feed.Post, most: int) -> msgspec.Raw:
        """The JSON of a post; at most `most` are kept."""
        key = message.SerializeToString()
        held = self._held.get(key)
        if held is None:
            held = msgspec.Raw(msgspec.json.encode(models.post(message)))
            if most:
                if len(self._held) >= most:  # the one that came first goes first
                    del self._held[next(iter(self._held))]
                self._held[key] = held
        return held

    def clear(self) -> None:
        """Forget all, as when somebody was erased."""
        self._held.clear()


encoded_posts = EncodedPosts()


async def feed_of(call: Call, kind: feed.TimelineKind.ValueType, query: FeedQuery, subject: str = "") -> EncodedPostList:
    """A page of a timeline, each post encoded once."""
    request = feed.ListTimelineRequest(
        kind=kind, subject=subject, page_size=query.page_size, page_token=query.page_token, only_attachments=query.only_attachments,
        include_replies=isinstance(query, PersonFeedQuery) and query.include_replies,
        before_id=query.before or "", after_id=query.after or "", from_oldest=query.from_oldest, exclude_reposts=query.exclude_reposts,
    )
    found = await call.clients.feed.ListTimeline(request)
    most = call.gateway.context.settings.cache_rendered_posts
    return EncodedPostList(posts=[encoded_posts.encode(each, most) for each in found.posts], next_page_token=found.next_page_token)


@operation("GET", "/feeds/home", "Read the home timeline", tag="feeds", query=FeedQuery, answer=models.PostList)
async def home_feed(call: Call, query: FeedQuery) -> EncodedPostList:
    """What the people, communities and tags that one follows have brought, newest first."""
    return await feed_of(call, feed.TIMELINE_KIND_HOME, query)


@operation("GET", "/feeds/company", "Read the company's timeline", tag="feeds", query=FeedQuery, answer=models.PostList)
async def company_feed(call: Call, query: FeedQuery) -> EncodedPostList:
    """Everything that is for everyone or in an open community."""
    return await feed_of(call, feed.TIMELINE_KIND_COMPANY, query)


@operation("GET", "/feeds/saved", "Read what one saved", tag="feeds", query=FeedQuery, answer=models.PostList)
async def saved_feed(call: Call, query: FeedQuery) -> EncodedPostList:
    """Saved last first."""
    return await feed_of(call, feed.TIMELINE_KIND_SAVED, query)


@operation("GET", "/feeds/reacted", "Read what one reacted to", tag="feeds", query=FeedQuery, answer=models.PostList)
async def reacted_feed(call: Call, query: FeedQuery) -> EncodedPostList:
    """Reacted to last first."""
    return await feed_of(call, feed.TIMELINE_KIND_REACTED, query)


@operation("GET", "/feeds/direct", "Read what is for oneself and other named people", tag="feeds", query=FeedQuery, answer=models.PostList)
async def direct_feed(call: Call, query: FeedQuery) -> EncodedPostList:
    """The first posts of the threads."""
    return await feed_of(call, feed.TIMELINE_KIND_DIRECT, query)


@operation("GET", "/feeds/pinned/{place_id}", "Read what is pinned", tag="feeds", query=FeedQuery, answer=models.PostList)
async def pinned_feed(call: Call, query: FeedQuery) -> EncodedPostList:
    """At the head of a person's or community's page, pinned last first."""
    return await feed_of(call, feed.TIMELINE_KIND_PINNED, query, call.id("place_id"))


@operation("GET", "/feeds/communities/{community_id}", "Read a community's posts", tag="feeds", query=FeedQuery, answer=models.PostList)
async def community_feed(call: Call, query: FeedQuery) -> EncodedPostList:
    """Of a community one may read."""
    return await feed_of(call, feed.TIMELINE_KIND_COMMUNITY, query, call.id("community_id"))


@operation("GET", "/feeds/people/{person_id}", "Read a person's posts", tag="feeds", query=PersonFeedQuery, answer=models.PostList)
async def person_feed(call: Call, query: PersonFeedQuery) -> EncodedPostList:
    """Those one may see."""
    return await feed_of(call, feed.TIMELINE_KIND_PERSON, query, call.id("person_id"))


@operation("GET", "/feeds/tags/{tag}", "Read the posts with a tag", tag="feeds", query=FeedQuery, answer=models.PostList)
async def tag_feed(call: Call, query: FeedQuery) -> EncodedPostList:
    """Those one may see."""
    return await feed_of(call, feed.TIMELINE_KIND_TAG, query, call.text("tag", 100))


# --- tags ------------------------------------------------------------------------------------------------------------


class TrendingQuery(Input, frozen=True, kw_only=True):
    """How many."""

    page_size: PageSize = 20


@operation("GET", "/topics", "List the tags in use", tag="topics", query=TrendingQuery, answer=models.TopicList)
async def list_trending_topics(call: Call, query: TrendingQuery) -> models.TopicList:
    """Those most used of late in what one may see."""
    found = await call.clients.feed.ListTrendingTags(feed.ListTrendingTagsRequest(page_size=query.page_size))
    return models.TopicList(topics=[models.topic(each) for each in found.tags])


@operation("GET", "/me/topics", "List the tags one follows", tag="topics", answer=models.TopicList)
async def list_followed_topics(call: Call) -> models.TopicList:
    """By name."""
    found = await call.clients.feed.ListFollowedTags(feed.ListFollowedTagsRequest())
    return models.TopicList(topics=[models.topic(each) for each in found.tags])


@operation("GET", "/topics/{tag}", "Read a tag", tag="topics", answer=models.Topic)
async def get_topic(call: Call) -> models.Topic:
    """Without the #."""
    return models.topic(await call.clients.feed.GetTag(feed.GetTagRequest(tag=call.text("tag", 100))))


@operation("PUT", "/topics/{tag}/follow", "Follow a tag", tag="topics", answer=models.Topic)
async def follow_topic(call: Call) -> models.Topic:
    """Its posts come into the home timeline."""
    return models.topic(await call.clients.feed.FollowTag(feed.FollowTagRequest(tag=call.text("tag", 100), request_id=call.request_id)))


@operation("DELETE", "/topics/{tag}/follow", "Follow a tag no longer", tag="topics", answer=models.Topic)
async def unfollow_topic(call: Call) -> models.Topic:
    """Its posts leave the home timeline, but for those that stand there for another reason."""
    return models.topic(await call.clients.feed.UnfollowTag(feed.UnfollowTagRequest(tag=call.text("tag", 100), request_id=call.request_id)))


