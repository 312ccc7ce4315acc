"""What can be asked of announcements, of their audiences, and of what people did with them."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import announcement_events_pb2 as events


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareAnnouncement:
    """Say what is to be published to whom; `deadline` None for none."""

    announcement_id: str
    author_id: str
    title: str
    body: str
    language: str
    audience: Audience
    urgency: events.AnnouncementUrgency.ValueType
    deadline: datetime | None
    remind_times: tuple[datetime, ...]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishPublication:
    """Say that the audience is frozen and the post is there."""

    announcement_id: str
    audience_count: int
    audience_digest: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAnnouncement:
    """Replace the text; `what_was_wrong` makes it a correction, and `version` is the one it was made on (0: whatever the version)."""

    announcement_id: str
    editor_id: str
    title: str
    body: str
    language: str
    version: int
    now: datetime
    is_correction: bool = False
    what_was_wrong: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskReminder:
    """Remind those who have not confirmed; `set_time` where it was agreed on when it was published."""

    announcement_id: str
    sender_id: str
    now: datetime
    set_time: datetime | None = None


AnnouncementCommand = PrepareAnnouncement | FinishPublication | ChangeAnnouncement | AskReminder


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezePart:
    """Count the next people, in ascending order of their ids."""

    announcement_id: str
    person_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseAudience:
    """There are no more people."""

    announcement_id: str
    digest: str


AudienceCommand = FreezePart | CloseAudience


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyPart:
    """Tell the next people, in ascending order of their ids."""

    announcement_id: str
    notice: events.AnnouncementNotice.ValueType
    number: int
    sender_id: str
    person_ids: tuple[str, ...]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EndNotice:
    """Everybody was told."""

    announcement_id: str
    notice: events.AnnouncementNotice.ValueType
    number: int


NoticeCommand = NotifyPart | EndNotice


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordShown:
    """A version was in view in the person's client."""

    announcement_id: str
    person_id: str
    version: int
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOpened:
    """The person opened the page with a version."""

    announcement_id: str
    person_id: str
    version: int
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmAnnouncement:
    """The person says that they have read a version."""

    announcement_id: str
    person_id: str
    version: int
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DismissAnnouncement:
    """The person wants it no more at the head of their home page."""

    announcement_id: str
    person_id: str
    version: int


ReceiptCommand = RecordShown | RecordOpened | ConfirmAnnouncement | DismissAnnouncement
