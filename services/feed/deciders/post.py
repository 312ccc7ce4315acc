"""A post: published once, edited by its author only, deleted by its author or a moderator."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, assert_never

from libs.eventstore.model import EditConflict, InvalidArgument, PermissionDenied, Rejected
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1.events_pb2 import PostDeleted, PostEdited, PostPublished

from ..commands import DeletePost, EditPost, PostCommand, PublishPost

Event = PostPublished | PostEdited | PostDeleted

BODY_CHARACTERS = 10_000
MENTIONS = 50
TAGS = 30
ATTACHMENTS = 4
DESCRIPTION_CHARACTERS = 1_500
NAMED_PEOPLE = 100


@dataclass(frozen=True, slots=True)
class Post:
    """What the decisions on a post depend on; `version` counts its events."""

    status: Literal["absent", "live", "deleted"] = "absent"
    version: int = 0
    author_id: str = ""
    body: str = ""
    language: str = ""
    attachments: tuple[Attachment, ...] = ()


def initial() -> Post:
    """Before it is published."""
    return Post()


def decide(command: PostCommand, post: Post) -> list[Event]:
    """What happens to the post; raises Rejected with the limit that is passed."""
    match command:
        case PublishPost():
            if post.status != "absent":
                return []  # the same command again: nothing new happened
            _check_text(command)
            _check_audience(command.audience)
            published = PostPublished(
                post_id=command.post_id, author_id=command.author_id, body=command.body, language=command.language,
                audience=command.audience, parent_id=command.parent_id, root_id=command.root_id, mentioned_ids=command.mentioned_ids,
                tags=command.tags, attachments=command.attachments, external_id=command.external_id,
            )
            published.publish_time.FromDatetime(command.now)
            return [published]
        case EditPost():
            if post.status == "deleted":
                raise Rejected("this post was deleted and cannot be edited any more: write a new one")
            if post.status != "live" or command.editor_id != post.author_id:
                raise PermissionDenied("only its author can edit a post")
            if command.etag and command.etag != str(post.version):
                raise EditConflict("the post was edited meanwhile: look at the newer text, then make your change on it")
            _check_text(command)
            if (command.body, command.language, command.attachments) == (post.body, post.language, post.attachments):
                return []
            edited = PostEdited(
                post_id=command.post_id, author_id=post.author_id, body=command.body, language=command.language,
                mentioned_ids=command.mentioned_ids, tags=command.tags, attachments=command.attachments,
            )
            edited.edit_time.FromDatetime(command.now)
            return [edited]
        case DeletePost():
            if post.status == "deleted":
                return []
            if post.status != "live" or not (command.actor_id == post.author_id or command.moderates):
                raise PermissionDenied("only its author and those who moderate can delete a post")
            deleted = PostDeleted(post_id=command.post_id, author_id=post.author_id, deleter_id=command.actor_id)
            deleted.delete_time.FromDatetime(command.now)
            return [deleted]
        case _:
            assert_never(command)


def evolve(post: Post, event: Event) -> Post:
    """The post after the event."""
    match event:
        case PostPublished():
            return Post("live", 1, event.author_id, event.body, event.language, tuple(event.attachments))
        case PostEdited():
            return replace(
                post, version=post.version + 1, body=event.body, language=event.language, attachments=tuple(event.attachments)
            )
        case PostDeleted():
            return replace(post, status="deleted", version=post.version + 1, body="", attachments=())
        case _:
            assert_never(event)


def _check_text(command: PublishPost | EditPost) -> None:
    if not command.body.strip() and not command.attachments:
        raise InvalidArgument("a post needs some text or a picture", "body")
    if len(command.body) > BODY_CHARACTERS:
        raise InvalidArgument(f"a post has at most {BODY_CHARACTERS:,} characters, this one has {len(command.body):,}: shorten it", "body")
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
