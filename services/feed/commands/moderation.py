"""What can be asked of reports, cases and appeals, and of the posts they are about."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from watercooler.feed.v1 import moderation_events_pb2 as events
from watercooler.feed.v1.events_pb2 import PostPublished


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """Report a post, a person or a community; `author_id` is whose matter it is, empty for a community."""

    case_id: str
    report_id: str
    subject: events.CaseSubject.ValueType
    subject_id: str
    author_id: str
    community_id: str
    to_administrators: bool
    reporter_id: str
    category: events.ReportCategory.ValueType
    words: str
    now: datetime
    administrator_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchWatch:
    """Say that a post has words that are watched for."""

    case_id: str
    post_id: str
    author_id: str
    community_id: str
    to_administrators: bool
    words: tuple[str, ...]
    now: datetime
    administrator_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignCase:
    """Look after a case, or after it no more where `release`."""

    case_id: str
    moderator_id: str
    release: bool
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalateCase:
    """Leave a case to the administrators."""

    case_id: str
    moderator_id: str
    reason: str
    now: datetime
    administrator_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideCase:
    """Decide what is reported; what a warning replaces is told by the caller, who has seen the post."""

    case_id: str
    outcome: events.CaseOutcome.ValueType
    guideline: str
    reason: str
    decider_id: str
    now: datetime
    mute_days: int = 0
    warning: str = ""
    former_warning: str = ""
    former_sensitive: bool = False
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAppeal:
    """Ask that the newest decision be looked at again."""

    case_id: str
    person_id: str
    words: str
    now: datetime
    administrator_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideAppeal:
    """Uphold the appeal or not; `alone` says that there is nobody else than the first decider."""

    case_id: str
    upheld: bool
    reason: str
    decider_id: str
    alone: bool
    now: datetime


CaseCommand = FileReport | MatchWatch | AssignCase | EscalateCase | DecideCase | FileAppeal | DecideAppeal


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverPost:
    """Put a warning before a post that its author cannot take away; `lifted`: its author has the say again."""

    post_id: str
    moderator_id: str
    warning: str
    sensitive: bool
    now: datetime
    lifted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePost:
    """Bring a deleted post back that was put aside; `content` is how it read."""

    post_id: str
    restorer_id: str
    content: PostPublished
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscardKeptPost:
    """Keep a deleted post aside no longer."""

    post_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteMember:
    """Let somebody write nothing in a community until a moment."""

    community_id: str
    person_id: str
    moderator_id: str
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmuteMember:
    """Let somebody write in a community again."""

    community_id: str
    person_id: str
    moderator_id: str


SilenceCommand = MuteMember | UnmuteMember
