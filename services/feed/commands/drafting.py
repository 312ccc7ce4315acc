"""What can be done with a draft."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from watercooler.feed.v1.drafting_events_pb2 import DraftContent


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveDraft:
    """Keep the draft as it is now; `etag` is the version it was made on, empty for whatever the version."""

    draft_id: str
    author_id: str
    content: DraftContent
    now: datetime
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDraft:
    """Publish it by itself at a time."""

    draft_id: str
    author_id: str
    publish_time: datetime
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnscheduleDraft:
    """Publish it no more by itself; `reason` says why it could not be, empty where its author takes it back."""

    draft_id: str
    author_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishDraft:
    """Note which post it has become."""

    draft_id: str
    author_id: str
    post_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscardDraft:
    """Throw it away."""

    draft_id: str
    author_id: str


DraftCommand = SaveDraft | ScheduleDraft | UnscheduleDraft | PublishDraft | DiscardDraft
