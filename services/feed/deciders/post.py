"""A post: published once, edited by its author only, deleted by its author or a moderator; or another's post passed on."""
from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import Literal, assert_never

from libs.eventstore.model import EditConflict, InvalidArgument, PermissionDenied, Rejected
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1.events_pb2 import (
    POST_KIND_QUESTION,
    LinkPreviewed,
    Poll,
    PollClosed,
    PostDeleted,
    PostEdited,
    PostPinned,
    PostPublished,
    PostReposted,
    PostUnpinned,
)
from watercooler.feed.v1.moderation_events_pb2 import KeptPostDiscarded, PostCovered, PostRestored

from ..commands import (
    ClosePoll,
    CoverPost,
    DeletePost,
    DiscardKeptPost,
    EditPost,
    PinPost,
    PostCommand,
    PreviewLink,
    PublishPost,
    RepostPost,
    RestorePost,
    UnpinPost,
)

Event = (
    PostPublished | PostEdited | PostDeleted | PostReposted | PostPinned | PostUnpinned | PollClosed | LinkPreviewed | PostCovered
    | PostRestored | KeptPostDiscarded
)

BODY_CHARACTERS = 10_000
MENTIONS = 50
TAGS = 30
ATTACHMENTS = 4
DESCRIPTION_CHARACTERS = 1_500
NAMED_PEOPLE = 100
WARNING_CHARACTERS = 200
OPTIONS_LEAST = 2
OPTIONS_MOST = 10
OPTION_CHARACTERS = 100
POLL_LEAST = timedelta(minutes=5)
POLL_MOST = timedelta(days=366)
# What passes between asking and deciding: a poll of exactly five minutes is one.
_POLL_SLACK = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Post:
    """What the decisions on a post depend on; `version` counts what its author wrote, so that a pin is no newer text."""

    status: Literal["absent", "live", "deleted"] = "absent"
    version: int = 0
    author_id: str = ""
    body: str = ""
    language: str = ""
    attachments: tuple[Attachment, ...] = ()
    warning: str = ""
    sensitive: bool = False
    reposts: str = ""
    community_id: str = ""
    reply: bool = False
    pinned: frozenset[str] = frozenset()
    close_micros: int = 0
    closed: bool = False
    preview: bytes = b""
    # Deleted, but put aside.
    kept: bool = False
    # A moderator's warning, which an edit does not take away.
    cover: str = ""


def initial() -> Post:
    """Before it is published."""
    return Post()


def decide(command: PostCommand, post: Post) -> list[Event]:
    """What happens to the post; raises Rejected with the limit that is passed."""
    match command:
        case PublishPost():
            if post.status != "absent":
                return []  # the same command again: nothing new happened
            return [_published(command)]
        case RepostPost():
            if post.status != "absent":
                return []
            if command.audience.WhichOneof("kind") not in ("everyone", "community_id", "group_id", "chart_of_id"):
                raise Rejected("this post is for followers or named people only: it cannot be passed on")
            reposted = PostReposted(
                post_id=command.post_id, author_id=command.author_id, original_id=command.original_id,
                original_author_id=command.original_author_id, audience=command.audience,
            )
            reposted.repost_time.FromDatetime(command.now)
            return [reposted]
        case EditPost():
            return _edit(command, post)
        case DeletePost():
            if post.status == "deleted":
                return []
            if post.status != "live" or not (command.actor_id == post.author_id or command.moderates):
                raise PermissionDenied("only its author and those who moderate can delete a post")
            deleted = PostDeleted(
                post_id=command.post_id, author_id=post.author_id, deleter_id=command.actor_id, kept=command.kept and not post.reposts
            )
            deleted.delete_time.FromDatetime(command.now)
            return [deleted]
        case PinPost() | UnpinPost():
            return _pin(command, post)
        case ClosePoll():
            if post.status != "live" or post.closed or not post.close_micros or _micros(command) < post.close_micros:
                return []
            closed = PollClosed(post_id=command.post_id, author_id=post.author_id)
            closed.close_time.FromMicroseconds(post.close_micros)
            return [closed]
        case PreviewLink():
            preview = command.preview.SerializeToString(deterministic=True)
            if post.status != "live" or post.reposts or command.version != post.version or preview == post.preview:
                return []  # it was deleted, or edited, while its link was looked up
            return [LinkPreviewed(post_id=command.post_id, author_id=post.author_id, preview=command.preview)]
        case CoverPost() | RestorePost() | DiscardKeptPost():
            return _moderate(command, post)
        case _:
            assert_never(command)


def evolve(post: Post, event: Event) -> Post:
    """The post after the event."""
    match event:
        case PostPublished():
            return Post(
                "live", 1, event.author_id, event.body, event.language, tuple(event.attachments), event.warning, event.sensitive,
                community_id=event.audience.community_id, reply=bool(event.parent_id),
                close_micros=event.poll.close_time.ToMicroseconds() if event.HasField("poll") else 0,
            )
        case PostReposted():
            return Post("live", 1, event.author_id, reposts=event.original_id)
        case PostEdited():
            return replace(
                post, version=post.version + 1, body=event.body, language=event.language, attachments=tuple(event.attachments),
                warning=event.warning, sensitive=event.sensitive, preview=b"",
            )
        case PostDeleted():
            return replace(
                post, status="deleted", version=post.version + 1, body="", attachments=(), warning="", preview=b"", kept=event.kept
            )
        case PostPinned():
            return replace(post, pinned=post.pinned | {event.community_id})
        case PostUnpinned():
            return replace(post, pinned=post.pinned - {event.community_id})
        case PollClosed():
            return replace(post, closed=True)
        case LinkPreviewed():
            return replace(post, preview=event.preview.SerializeToString(deterministic=True))
        case PostCovered():
            return replace(post, warning=event.warning, sensitive=event.sensitive, cover="" if event.lifted else event.warning)
        case PostRestored():
            return replace(
                post, status="live", body=event.content.body, language=event.content.language,
                attachments=tuple(event.content.attachments), warning=event.content.warning, sensitive=event.content.sensitive, kept=False,
            )
        case KeptPostDiscarded():
            return replace(post, kept=False)
        case _:
            assert_never(event)


def _published(command: PublishPost) -> PostPublished:
    _check_text(command)
    _check_audience(command.audience)
    if command.kind == POST_KIND_QUESTION and command.parent_id:
        raise InvalidArgument("a question begins a thread of its own: answer here, or ask in a new post", "kind")
    published = PostPublished(
        post_id=command.post_id, author_id=command.author_id, body=command.body, language=command.language,
        audience=command.audience, parent_id=command.parent_id, root_id=command.root_id, mentioned_ids=command.mentioned_ids,
        tags=command.tags, attachments=command.attachments, external_id=command.external_id, kind=command.kind,
        warning=command.warning, sensitive=command.sensitive, quoted_id=command.quoted_id,
        mentioned_community_ids=command.mentioned_community_ids, mentioned_group_ids=command.mentioned_group_ids,
        draft_id=command.draft_id, poll=_checked_poll(command) if command.poll is not None else None, praise=command.praise,
    )
    published.publish_time.FromDatetime(command.now)
    return published


def _edit(command: EditPost, post: Post) -> list[Event]:
    if post.status == "deleted":
        raise Rejected("this post was deleted and cannot be edited any more: write a new one")
    if post.status != "live" or command.editor_id != post.author_id:
        raise PermissionDenied("only its author can edit a post")
    if post.reposts:
        raise Rejected("a repost has no text of its own: quote the post instead")
    if command.etag and command.etag != str(post.version):
        raise EditConflict("the post was edited meanwhile: look at the newer text, then make your change on it")
    _check_text(command)
    if post.cover and not command.warning:
        command = replace(command, warning=post.cover, sensitive=True)
    asked = (command.body, command.language, command.attachments, command.warning, command.sensitive)
    if asked == (post.body, post.language, post.attachments, post.warning, post.sensitive):
        return []
    edited = PostEdited(
        post_id=command.post_id, author_id=post.author_id, body=command.body, language=command.language,
        mentioned_ids=command.mentioned_ids, tags=command.tags, attachments=command.attachments, warning=command.warning,
        sensitive=command.sensitive, mentioned_community_ids=command.mentioned_community_ids,
        mentioned_group_ids=command.mentioned_group_ids,
    )
    edited.edit_time.FromDatetime(command.now)
    return [edited]


def _moderate(command: CoverPost | RestorePost | DiscardKeptPost, post: Post) -> list[Event]:
    match command:
        case CoverPost():
            if post.status != "live" or (post.warning, post.sensitive) == (command.warning, command.sensitive):
                return []  # its author deleted it meanwhile, or it stands there already
            covered = PostCovered(
                post_id=command.post_id, author_id=post.author_id, moderator_id=command.moderator_id, warning=command.warning,
                sensitive=command.sensitive, lifted=command.lifted,
            )
            covered.cover_time.FromDatetime(command.now)
            return [covered]
        case RestorePost():
            if post.status != "deleted":
                return []
            if not post.kept:
                raise Rejected("this post was deleted for good: nothing of it was put aside")
            restored = PostRestored(
                post_id=command.post_id, author_id=post.author_id, restorer_id=command.restorer_id, content=command.content
            )
            restored.restore_time.FromDatetime(command.now)
            return [restored]
        case DiscardKeptPost():
            if not post.kept:
                return []
            discarded = KeptPostDiscarded(post_id=command.post_id, author_id=post.author_id)
            discarded.discard_time.FromDatetime(command.now)
            return [discarded]
        case _:
            assert_never(command)


def _pin(command: PinPost | UnpinPost, post: Post) -> list[Event]:
    if post.status != "live" or post.reposts:
        raise Rejected("only a post with a text of its own stands at the head of a page")
    if not command.community_id and command.pinner_id != post.author_id:
        raise PermissionDenied("on your own page you pin your own posts: save this one, or pass it on")
    if command.community_id and (command.community_id != post.community_id or post.reply):
        raise Rejected("at the head of a community stand posts that were written there, and no answers")
    if isinstance(command, UnpinPost):
        if command.community_id not in post.pinned:
            return []
        return [PostUnpinned(post_id=command.post_id, pinner_id=command.pinner_id, community_id=command.community_id)]
    if command.community_id in post.pinned:
        return []
    pinned = PostPinned(post_id=command.post_id, pinner_id=command.pinner_id, community_id=command.community_id)
    pinned.pin_time.FromDatetime(command.now)
    return [pinned]


def _micros(command: ClosePoll) -> int:
    return round(command.now.timestamp() * 1_000_000)


def _checked_poll(command: PublishPost) -> Poll:
    assert command.poll is not None
    options = [option.strip() for option in command.poll.options]
    if not OPTIONS_LEAST <= len(options) <= OPTIONS_MOST:
        raise InvalidArgument(f"a poll has {OPTIONS_LEAST} to {OPTIONS_MOST} options, this one {len(options)}", "poll")
    if not all(1 <= len(option) <= OPTION_CHARACTERS for option in options):
        raise InvalidArgument(f"an option of a poll has 1 to {OPTION_CHARACTERS} characters", "poll")
    if len({option.casefold() for option in options}) < len(options):
        raise InvalidArgument("two options of the poll are the same: leave one out", "poll")
    if not command.poll.HasField("close_time"):
        raise InvalidArgument("say when the poll closes", "poll")
    try:
        lasts = command.poll.close_time.ToDatetime(UTC) - command.now
    except (ValueError, OverflowError) as error:
        raise InvalidArgument("the poll's closing time is none", "poll") from error
    if not POLL_LEAST - _POLL_SLACK <= lasts <= POLL_MOST:
        raise InvalidArgument("a poll is open for at least 5 minutes and at most a year: choose another closing time", "poll")
    return Poll(
        options=options, multiple=command.poll.multiple, anonymous=command.poll.anonymous, close_time=command.poll.close_time
    )


def _check_text(command: PublishPost | EditPost) -> None:
    if not command.body.strip() and not command.attachments:
        raise InvalidArgument("a post needs some text or a picture", "body")
    if len(command.body) > BODY_CHARACTERS:
        raise InvalidArgument(f"a post has at most {BODY_CHARACTERS:,} characters, this one has {len(command.body):,}: shorten it", "body")
    if len(command.warning) > WARNING_CHARACTERS:
        raise InvalidArgument(f"a content warning has at most {WARNING_CHARACTERS} characters: shorten it", "warning")
    if len(command.mentioned_ids) > MENTIONS:
        raise InvalidArgument(f"a post mentions at most {MENTIONS} people, this one {len(command.mentioned_ids)}", "body")
    if len(command.tags) > TAGS:
        raise InvalidArgument(f"a post has at most {TAGS} tags, this one {len(command.tags)}", "body")
    if len(command.attachments) > ATTACHMENTS:
        raise InvalidArgument(f"a post has at most {ATTACHMENTS} attachments, this one {len(command.attachments)}", "attachments")
    for attachment in command.attachments:
        if not attachment.blob_id:
            raise InvalidArgument("an attachment needs the blob_id of an uploaded file", "attachments")
        if len(attachment.description) > DESCRIPTION_CHARACTERS:
            raise InvalidArgument(f"a description has at most {DESCRIPTION_CHARACTERS:,} characters: shorten it", "attachments")


def _check_audience(audience: Audience) -> None:
    kind = audience.WhichOneof("kind")
    if kind is None:
        raise InvalidArgument("say who may see the post", "audience")
    if kind == "people" and not 1 <= len(audience.people.person_ids) <= NAMED_PEOPLE:
        raise InvalidArgument(
            f"name 1 to {NAMED_PEOPLE} people, not {len(audience.people.person_ids)}: make a community for more", "audience"
        )
