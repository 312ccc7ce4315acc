"""A notice: everybody concerned by one occasion is told once, in parts in ascending order of their ids."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from libs.eventstore.model import InvalidArgument
from watercooler.feed.v1.announcement_events_pb2 import AudienceNoticeEnded, AudienceNotified

from ..commands.announcements import EndNotice, NoticeCommand, NotifyPart

Event = AudienceNotified | AudienceNoticeEnded

PART_PEOPLE = 500


@dataclass(frozen=True, slots=True)
class Notice:
    """How far it has gone out."""

    count: int = 0
    last_id: str = ""
    ended: bool = False


def initial() -> Notice:
    """Nobody is told yet."""
    return Notice()


def decide(command: NoticeCommand, notice: Notice) -> list[Event]:
    """Tell the next people, or end; nothing once it has ended, or for people who were told already."""
    match command:
        case NotifyPart():
            ids = command.person_ids
            if not 1 <= len(ids) <= PART_PEOPLE:
                raise InvalidArgument(f"a part has 1 to {PART_PEOPLE:,} people, not {len(ids):,}")
            if notice.ended or ids[0] <= notice.last_id:
                return []
            told = AudienceNotified(
                announcement_id=command.announcement_id, notice=command.notice, number=command.number, sender_id=command.sender_id,
                person_ids=ids,
            )
            told.notify_time.FromDatetime(command.now)
            return [told]
        case EndNotice():
            if notice.ended:
                return []
            return [
                AudienceNoticeEnded(
                    announcement_id=command.announcement_id, notice=command.notice, number=command.number, notified_count=notice.count
                )
            ]
        case _:
            assert_never(command)


def evolve(notice: Notice, event: Event) -> Notice:
    """The notice after the event."""
    match event:
        case AudienceNotified():
            return replace(notice, count=notice.count + len(event.person_ids), last_id=event.person_ids[-1])
        case AudienceNoticeEnded():
            return replace(notice, ended=True)
        case _:
            assert_never(event)
