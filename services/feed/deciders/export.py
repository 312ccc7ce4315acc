"""An export: asked for, finished or failed, and gone after its time."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from libs.eventstore.model import InvalidArgument
from watercooler.feed.v1.retention_events_pb2 import ExportExpired, ExportFailed, ExportFinished, ExportRequested

from ..commands.retention import ExpireExport, ExportCommand, FailExport, FinishExport, RequestExport

Event = ExportRequested | ExportFinished | ExportFailed | ExportExpired

REASON_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Export:
    """How far it is."""

    state: Literal["absent", "waiting", "ready", "over"] = "absent"


def initial() -> Export:
    """Before it is asked for."""
    return Export()


def decide(command: ExportCommand, export: Export) -> list[Event]:
    """What happens to it."""
    match command:
        case RequestExport():
            if export.state != "absent":
                return []
            if len(command.reason) > REASON_CHARACTERS:
                raise InvalidArgument(f"a reason has at most {REASON_CHARACTERS} characters: shorten it", "reason")
            asked = ExportRequested(
                export_id=command.export_id, subject=command.subject, subject_id=command.subject_id,
                requester_id=command.requester_id, reason=command.reason,
            )
            asked.request_time.FromDatetime(command.now)
            return [asked]
        case FinishExport():
            if export.state != "waiting":
                return []
            finished = ExportFinished(
                export_id=command.export_id, blob_id=command.blob_id, size_bytes=command.size_bytes, post_count=command.post_count
            )
            finished.finish_time.FromDatetime(command.now)
            finished.expire_time.FromDatetime(command.expires)
            return [finished]
        case FailExport():
            if export.state != "waiting":
                return []
            failed = ExportFailed(export_id=command.export_id, reason=command.reason)
            failed.fail_time.FromDatetime(command.now)
            return [failed]
        case ExpireExport():
            if export.state not in ("ready", "waiting"):
                return []
            expired = ExportExpired(export_id=command.export_id)
            expired.expire_time.FromDatetime(command.now)
            return [expired]
        case _:
            assert_never(command)


def evolve(export: Export, event: Event) -> Export:
    """The export after the event."""
    match event:
        case ExportRequested():
            return Export("waiting")
        case ExportFinished():
            return Export("ready")
        case ExportFailed() | ExportExpired():
            return Export("over")
        case _:
            assert_never(event)
