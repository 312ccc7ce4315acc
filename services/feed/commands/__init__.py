"""What the feed can be asked to do: every id, actor and time is inside."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from watercooler.common.v1.audience_pb2 import Audience
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1 import events_pb2 as events

from .moderation import CoverPost, DiscardKeptPost, RestorePost
from .posts import ClosePoll, MuteThread, PinPost, PreviewLink, RepostPost, UnmuteThread, UnpinPost, VotePoll

__all__ = [
    "AddReaction", "Admit", "ApproveJoin", "ArchiveCommunity", "AuthorCommand", "ChangeCommunity", "ChangeRole", "ClosePoll",
    "CommunityCommand", "ConfirmRead", "CoverPost", "CreateCommunity", "DeclineJoin", "DeletePost", "DiscardKeptPost", "EditPost",
    "EraseAuthor", "FollowCommand", "FollowPerson", "FollowTag", "InboxCommand", "Leave", "MembershipCommand", "MuteThread", "PinPost",
    "PostCommand", "PreviewLink", "PublishPost", "ReadNotifications", "RemoveMember", "RemoveReaction", "RepostPost", "RequestJoin",
    "ResponseCommand", "RestorePost", "SavePost", "UnarchiveCommunity", "UnfollowPerson", "UnfollowTag", "UnmuteThread", "UnpinPost",
    "UnsavePost", "VotePoll",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPost:
    """Publish a post or a reply; `external_id` is `source:key` for what is imported, else empty."""

    post_id: str
    author_id: str
    body: str
    audience: Audience
    now: datetime
    language: str = ""
    parent_id: str = ""
    root_id: str = ""
    mentioned_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    external_id: str = ""
    kind: events.PostKind.ValueType = events.POST_KIND_UNSPECIFIED
    warning: str = ""
    sensitive: bool = False
    quoted_id: str = ""
    poll: events.Poll | None = None
    praise: events.Praise | None = None
    mentioned_community_ids: tuple[str, ...] = ()
    mentioned_group_ids: tuple[str, ...] = ()
    draft_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPost:
    """Replace a post's text; `etag` is the version the edit was made on, empty for whatever the version."""

    post_id: str
    editor_id: str
    body: str
    now: datetime
    language: str = ""
    mentioned_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    etag: str = ""
    warning: str = ""
    sensitive: bool = False
    mentioned_community_ids: tuple[str, ...] = ()
    mentioned_group_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePost:
    """Delete a post; `moderates` says that the actor moderates the post's community or the deployment.

    `kept` puts it aside: under a legal hold, or until an appeal can no longer bring it back.
    """

    post_id: str
    actor_id: str
    moderates: bool
    now: datetime
    kept: bool = False


PostCommand = (
    PublishPost | EditPost | DeletePost | RepostPost | PinPost | UnpinPost | ClosePoll | PreviewLink | CoverPost | RestorePost
    | DiscardKeptPost
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddReaction:
    """React to a post with one emoji."""

    post_id: str
    person_id: str
    emoji: str
    now: datetime
    imported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveReaction:
    """Take a reaction back."""

    post_id: str
    person_id: str
    emoji: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SavePost:
    """Keep a post on one's own list."""

    post_id: str
    person_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsavePost:
    """Take a post off one's own list."""

    post_id: str
    person_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmRead:
    """Say that one has read a post."""

    post_id: str
    person_id: str
    now: datetime


ResponseCommand = AddReaction | RemoveReaction | SavePost | UnsavePost | ConfirmRead | MuteThread | UnmuteThread


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowPerson:
    """Follow a person."""

    follower_id: str
    person_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfollowPerson:
    """Follow a person no more."""

    follower_id: str
    person_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowTag:
    """Follow a tag, case-folded and without #."""

    follower_id: str
    tag: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfollowTag:
    """Follow a tag no more."""

    follower_id: str
    tag: str


FollowCommand = FollowPerson | UnfollowPerson | FollowTag | UnfollowTag


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCommunity:
    """Create a community under a handle that is unique in the deployment."""

    community_id: str
    name: str
    handle: str
    description: str
    rules: str
    kind: events.CommunityKind.ValueType
    tags: tuple[str, ...]
    creator_id: str
    now: datetime
    external_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCommunity:
    """Change the fields that are not None; `etag` as in EditPost."""

    community_id: str
    name: str | None = None
    description: str | None = None
    rules: str | None = None
    kind: events.CommunityKind.ValueType | None = None
    tags: tuple[str, ...] | None = None
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveCommunity:
    """Close a community for new posts; it stays readable."""

    community_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnarchiveCommunity:
    """Open an archived community again."""

    community_id: str


CommunityCommand = CreateCommunity | ChangeCommunity | ArchiveCommunity | UnarchiveCommunity


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestJoin:
    """Ask to be let into a community."""

    community_id: str
    person_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclineJoin:
    """Turn a join request down."""

    community_id: str
    person_id: str
    decider_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveJoin:
    """Let in somebody who asked."""

    community_id: str
    person_id: str
    decider_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Admit:
    """Make somebody a member, whether they asked or not."""

    community_id: str
    person_id: str
    role: events.MemberRole.ValueType
    admitter_id: str
    now: datetime
    imported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRole:
    """Give a member another role."""

    community_id: str
    person_id: str
    role: events.MemberRole.ValueType


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Leave a community, or withdraw one's join request."""

    community_id: str
    person_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveMember:
    """Put a member out of a community."""

    community_id: str
    person_id: str
    remover_id: str


MembershipCommand = RequestJoin | DeclineJoin | ApproveJoin | Admit | ChangeRole | Leave | RemoveMember


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadNotifications:
    """Mark what was caused at or before a position of the log as read."""

    person_id: str
    read_position: int


InboxCommand = ReadNotifications


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseAuthor:
    """Delete what a person wrote for good."""

    person_id: str
    now: datetime


AuthorCommand = EraseAuthor
