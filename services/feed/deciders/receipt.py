"""A receipt: what one person did with one announcement. Shown, opened and confirmed are three facts, and none follows from another."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from watercooler.feed.v1.announcement_events_pb2 import (
    AnnouncementConfirmed,
    AnnouncementDismissed,
    AnnouncementOpened,
    AnnouncementShown,
)

from ..commands.announcements import ConfirmAnnouncement, DismissAnnouncement, ReceiptCommand, RecordOpened, RecordShown

Event = AnnouncementShown | AnnouncementOpened | AnnouncementConfirmed | AnnouncementDismissed


@dataclass(frozen=True, slots=True)
class Receipt:
    """The latest version of each fact; 0 for none."""

    shown: int = 0
    opened: int = 0
    confirmed: int = 0
    dismissed: int = 0


def initial() -> Receipt:
    """Nothing yet."""
    return Receipt()


def decide(command: ReceiptCommand, receipt: Receipt) -> list[Event]:
    """Each fact once for each version; an older version after a newer one is no news."""
    match command:
        case RecordShown():
            if command.version <= receipt.shown:
                return []
            shown = AnnouncementShown(
                announcement_id=command.announcement_id, person_id=command.person_id, version=command.version
            )
            shown.show_time.FromDatetime(command.now)
            return [shown]
        case RecordOpened():
            if command.version <= receipt.opened:
                return []
            opened = AnnouncementOpened(
                announcement_id=command.announcement_id, person_id=command.person_id, version=command.version
            )
            opened.open_time.FromDatetime(command.now)
            return [opened]
        case ConfirmAnnouncement():
            if command.version <= receipt.confirmed:
                return []
            confirmed = AnnouncementConfirmed(
                announcement_id=command.announcement_id, person_id=command.person_id, version=command.version
            )
            confirmed.confirm_time.FromDatetime(command.now)
            return [confirmed]
        case DismissAnnouncement():
            if command.version <= receipt.dismissed:
                return []
            return [
                AnnouncementDismissed(
                    announcement_id=command.announcement_id, person_id=command.person_id, version=command.version
                )
            ]
        case _:
            assert_never(command)


def evolve(receipt: Receipt, event: Event) -> Receipt:
    """The receipt after the event."""
    match event:
        case AnnouncementShown():
            return replace(receipt, shown=event.version)
        case AnnouncementOpened():
            return replace(receipt, opened=event.version)
        case AnnouncementConfirmed():
            return replace(receipt, confirmed=event.version)
        case AnnouncementDismissed():
            return replace(receipt, dismissed=event.version)
        case _:
            assert_never(event)
