"""What can be asked of a post besides writing, changing and deleting it."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import events_pb2 as events


@dataclass(frozen=True, slots=True, kw_only=True)
class RepostPost:
    """Pass a post on; `post_id` is the repost's own, `audience` the original's."""

    post_id: str
    author_id: str
    original_id: str
    original_author_id: str
    audience: Audience
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PinPost:
    """Put a post at the head of its author's page, or of its community's where `community_id` is given by one who moderates there."""

    post_id: str
    pinner_id: str
    community_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpinPost:
    """Take a post from the head of a page."""

    post_id: str
    pinner_id: str
    community_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosePoll:
    """Say that the closing time of a post's poll has come."""

    post_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewLink:
    """Keep what the first link of a post leads to, as its text was in that version."""

    post_id: str
    version: int
    preview: events.LinkPreview


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteThread:
    """Be told nothing more of a thread; `post_id` is its first post."""

    post_id: str
    person_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmuteThread:
    """Be told of a thread again."""

    post_id: str
    person_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VotePoll:
    """Choose among a poll's options, which are told here as the poll has them; `voter_id` is empty where it is anonymous."""

    post_id: str
    voter_id: str
    choices: tuple[int, ...]
    options: int
    multiple: bool
    close_time: datetime
    now: datetime
