"""What a post said, read back from its stream: the log keeps the words of deleted posts until their author is erased."""
from __future__ import annotations

from collections.abc import Sequence

from libs.eventstore.model import Recorded
from watercooler.feed.v1.events_pb2 import PostDeleted, PostEdited, PostPublished
from watercooler.feed.v1.moderation_events_pb2 import PostCovered, PostRestored


def content_of(stream: Sequence[Recorded]) -> tuple[PostPublished | None, bool, bool]:
    """A post with its newest text, whether it is deleted, and whether its author was erased; None for a repost and where there is none."""
    content: PostPublished | None = None
    deleted = erased = False
    for recorded in stream:
        erased = erased or recorded.erased
        match recorded.data:
            case PostPublished() as published:
                content = PostPublished()
                content.CopyFrom(published)
            case PostEdited() as edited if content is not None:
                content.body, content.language = edited.body, edited.language
                content.warning, content.sensitive = edited.warning, edited.sensitive
                for field in ("mentioned_ids", "tags", "attachments", "mentioned_community_ids", "mentioned_group_ids"):
                    content.ClearField(field)
                    getattr(content, field).extend(getattr(edited, field))
            case PostCovered() as covered if content is not None:
                content.warning, content.sensitive = covered.warning, covered.sensitive
            case PostDeleted():
                deleted = True
            case PostRestored():
                deleted = False
            case _:
                pass
    return content, deleted, erased
