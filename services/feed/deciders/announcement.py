"""An announcement: prepared, published once its audience is frozen, then edited, corrected, and reminded of at most three times."""
from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal, assert_never

from libs.eventstore.model import EditConflict, InvalidArgument, NotFound, Rejected
from watercooler.feed.v1.announcement_events_pb2 import (
    ANNOUNCEMENT_URGENCY_CONFIRM,
    ANNOUNCEMENT_URGENCY_NORMAL,
    AnnouncementCorrected,
    AnnouncementEdited,
    AnnouncementPrepared,
    AnnouncementPublished,
    AnnouncementReminderAsked,
    AnnouncementUrgency,
)

from ..commands.announcements import AnnouncementCommand, AskReminder, ChangeAnnouncement, FinishPublication, PrepareAnnouncement

Event = AnnouncementPrepared | AnnouncementPublished | AnnouncementEdited | AnnouncementCorrected | AnnouncementReminderAsked

TITLE_CHARACTERS = 150
BODY_CHARACTERS = 9_500
WRONG_CHARACTERS = 1_000
REMINDERS = 3
VERSIONS = 500
DEADLINE_DAYS = 366


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the decisions on an announcement depend on; the text as `author_id` answers for it."""

    status: Literal["absent", "prepared", "published"] = "absent"
    author_id: str = ""
    title: str = ""
    body: str = ""
    language: str = ""
    urgency: AnnouncementUrgency.ValueType = ANNOUNCEMENT_URGENCY_NORMAL
    version: int = 0
    right_since: int = 1
    reminders: int = 0
    set_times: frozenset[int] = frozenset()


def initial() -> Announcement:
    """Before it is prepared."""
    return Announcement()


def post_body(title: str, body: str) -> str:
    """The text of the announcement's post: the title in bold above the body."""
    return f"**{title}**\n\n{body}"


def digest(title: str, body: str) -> str:
    """SHA-256 over title, line feed and body in UTF-8, hexadecimal."""
    return sha256(f"{title}\n{body}".encode()).hexdigest()


def decide(command: AnnouncementCommand, announcement: Announcement) -> list[Event]:
    """What happens; raises Rejected with the limit that is passed."""
    match command:
        case PrepareAnnouncement():
            if announcement.status != "absent":
                return []
            return [_prepare(command)]
        case FinishPublication():
            if announcement.status != "prepared":
                return []
            published = AnnouncementPublished(
                announcement_id=command.announcement_id, author_id=announcement.author_id, audience_count=command.audience_count,
                audience_digest=command.audience_digest,
            )
            published.publish_time.FromDatetime(command.now)
            return [published]
        case ChangeAnnouncement():
            return _change(command, announcement)
        case AskReminder():
            if announcement.status != "published":
                raise NotFound("there is no such announcement, or it is not for you to see")
            if command.set_time is not None and _seconds(command.set_time) in announcement.set_times:
                return []
            if announcement.reminders >= REMINDERS:
                raise Rejected(f"an announcement is reminded of at most {REMINDERS} times: ask the people themselves")
            asked = AnnouncementReminderAsked(
                announcement_id=command.announcement_id, sender_id=command.sender_id, number=announcement.reminders + 1
            )
            asked.ask_time.FromDatetime(command.now)
            if command.set_time is not None:
                asked.set_time.FromDatetime(command.set_time)
            return [asked]
        case _:
            assert_never(command)


def evolve(announcement: Announcement, event: Event) -> Announcement:
    """The announcement after the event."""
    match event:
        case AnnouncementPrepared():
            return Announcement("prepared", event.author_id, event.title, event.body, event.language, event.urgency, 1)
        case AnnouncementPublished():
            return replace(announcement, status="published")
        case AnnouncementEdited():
            return replace(announcement, title=event.title, body=event.body, language=event.language, version=event.version)
        case AnnouncementCorrected():
            return replace(
                announcement, title=event.title, body=event.body, language=event.language, version=event.version,
                right_since=event.version,
            )
        case AnnouncementReminderAsked():
            times = announcement.set_times | ({event.set_time.ToSeconds()} if event.HasField("set_time") else frozenset())
            return replace(announcement, reminders=event.number, set_times=times)
        case _:
            assert_never(event)


def _prepare(command: PrepareAnnouncement) -> AnnouncementPrepared:
    _check_text(command.title, command.body)
    if command.urgency not in (ANNOUNCEMENT_URGENCY_NORMAL, ANNOUNCEMENT_URGENCY_CONFIRM):
        raise InvalidArgument("say whether it must be confirmed", "urgency")
    confirms = command.urgency == ANNOUNCEMENT_URGENCY_CONFIRM
    if command.deadline is not None:
        if not confirms:
            raise InvalidArgument("only what must be confirmed has a deadline: leave it out, or ask for confirmation", "deadline")
        if command.deadline <= command.now:
            raise InvalidArgument("the deadline has passed already: choose a later time", "deadline")
        if (command.deadline - command.now).days > DEADLINE_DAYS:
            raise InvalidArgument(f"a deadline is at most {DEADLINE_DAYS} days ahead: choose an earlier time", "deadline")
    times = sorted(dict.fromkeys(moment.replace(microsecond=0) for moment in command.remind_times))
    if times:
        if command.deadline is None:
            raise InvalidArgument("reminders at set times need a deadline before which they are sent", "remind_times")
        if len(times) > REMINDERS:
            raise InvalidArgument(f"at most {REMINDERS} reminders, not {len(times)}", "remind_times")
        if times[0] <= command.now or times[-1] >= command.deadline:
            raise InvalidArgument("reminders are sent between now and the deadline: choose times in between", "remind_times")
    if command.audience.WhichOneof("kind") not in ("everyone", "community_id", "group_id", "chart_of_id"):
        raise InvalidArgument(
            "an announcement is for everyone, a community, a group of the directory or a part of the organisation chart", "audience"
        )
    prepared = AnnouncementPrepared(
        announcement_id=command.announcement_id, author_id=command.author_id, title=command.title, body=command.body,
        language=command.language, audience=command.audience, urgency=command.urgency, text_digest=digest(command.title, command.body),
    )
    if command.deadline is not None:
        prepared.deadline.FromDatetime(command.deadline)
    for moment in times:
        prepared.remind_times.add().FromDatetime(moment)
    prepared.prepare_time.FromDatetime(command.now)
    return prepared


def _change(command: ChangeAnnouncement, announcement: Announcement) -> list[Event]:
    if announcement.status != "published":
        raise NotFound("there is no such announcement, or it is not for you to see")
    if command.version and command.version != announcement.version:
        raise EditConflict("the announcement was changed meanwhile: look at the newer text, then make your change on it")
    _check_text(command.title, command.body)
    if command.is_correction and not command.what_was_wrong.strip():
        raise InvalidArgument("say what was wrong: those who read it are told exactly that", "what_was_wrong")
    if len(command.what_was_wrong) > WRONG_CHARACTERS:
        raise InvalidArgument(f"what was wrong is said in at most {WRONG_CHARACTERS:,} characters: shorten it", "what_was_wrong")
    same = (command.title, command.body, command.language) == (announcement.title, announcement.body, announcement.language)
    if same:
        if command.is_correction:
            raise InvalidArgument("a correction changes the text: write what is right", "body")
        return []
    if announcement.version >= VERSIONS:
        raise Rejected(f"an announcement has at most {VERSIONS} versions: publish a new one")
    version, text_digest = announcement.version + 1, digest(command.title, command.body)
    if command.is_correction:
        corrected = AnnouncementCorrected(
            announcement_id=command.announcement_id, author_id=announcement.author_id, editor_id=command.editor_id, version=version,
            title=command.title, body=command.body, language=command.language, what_was_wrong=command.what_was_wrong,
            text_digest=text_digest,
        )
        corrected.correct_time.FromDatetime(command.now)
        return [corrected]
    edited = AnnouncementEdited(
        announcement_id=command.announcement_id, author_id=announcement.author_id, editor_id=command.editor_id, version=version,
        title=command.title, body=command.body, language=command.language, text_digest=text_digest,
    )
    edited.edit_time.FromDatetime(command.now)
    return [edited]


def _check_text(title: str, body: str) -> None:
    if not title.strip():
        raise InvalidArgument("an announcement needs a title", "title")
    if len(title) > TITLE_CHARACTERS or "\n" in title:
        raise InvalidArgument(f"a title is one line of at most {TITLE_CHARACTERS} characters, this one has {len(title)}", "title")
    if not body.strip():
        raise InvalidArgument("an announcement needs some text", "body")
    if len(body) > BODY_CHARACTERS:
        raise InvalidArgument(f"a text has at most {BODY_CHARACTERS:,} characters, this one has {len(body):,}: shorten it", "body")


def _seconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp())
