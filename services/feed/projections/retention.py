"""Retention rules with their runs, legal holds, and exports."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1 import retention_service_pb2 as api
from watercooler.feed.v1.retention_events_pb2 import (
    ExportExpired,
    ExportFailed,
    ExportFinished,
    ExportRequested,
    HoldLifted,
    HoldPlaced,
    RuleApplied,
    RuleDisabled,
    RuleDrafted,
    RuleEnabled,
    RuleRehearsed,
)

# Sorts after every id.
END_KEY = "~"


def first_key(micros: int) -> str:
    """What sorts before the id of every post published at or after a moment, and after all others."""
    millis = f"{max(0, micros // 1_000):012x}"
    return f"{millis[:8]}-{millis[8:]}"


class Retention:
    """The state of each as it is now."""

    name = "feed.retention"
    handles: tuple[type[Message], ...] = (
        RuleDrafted, RuleRehearsed, RuleEnabled, RuleDisabled, RuleApplied, HoldPlaced, HoldLifted, ExportRequested, ExportFinished,
        ExportFailed, ExportExpired,
    )
    tables: tuple[str, ...] = ("rules", "rule_runs", "holds", "exports")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into its row."""
        match event.data:
            case RuleDrafted() | RuleRehearsed() | RuleEnabled() | RuleDisabled() | RuleApplied():
                await self._rule(event, tx)
            case HoldPlaced() as placed:
                from_time = placed.from_time.ToMicroseconds() if placed.HasField("from_time") else 0
                until_time = placed.until_time.ToMicroseconds() if placed.HasField("until_time") else 0
                await tx.batch(
                    """
                    INSERT INTO holds (hold_id, subject, subject_id, from_key, until_key, from_time, until_time, reason, placer_id,
                                       place_time, active, lift_time, lift_reason)
                    VALUES (:hold_id, :subject, :subject_id, :from_key, :until_key, :from_time, :until_time, :reason, :placer_id,
                            :place_time, 1, 0, '')
                    """,
                    hold_id=placed.hold_id, subject=int(placed.subject), subject_id=placed.subject_id, from_key=first_key(from_time),
                    until_key=first_key(until_time) if until_time else END_KEY, from_time=from_time, until_time=until_time,
                    reason=placed.reason, placer_id=placed.placer_id, place_time=placed.place_time.ToMicroseconds(),
                )
            case HoldLifted() as lifted:
                await tx.batch(
                    "UPDATE holds SET active = 0, lift_time = :lift_time, lift_reason = :reason WHERE hold_id = :hold_id",
                    hold_id=lifted.hold_id, lift_time=lifted.lift_time.ToMicroseconds(), reason=lifted.reason,
                )
            case ExportRequested() as asked:
                await tx.batch(
                    """
                    INSERT INTO exports (export_id, subject, subject_id, requester_id, reason, state, request_time, blob_id, size_bytes,
                                         post_count, finish_time, expire_time, failure)
                    VALUES (:export_id, :subject, :subject_id, :requester_id, :reason, :state, :request_time, '', 0, 0, 0, 0, '')
                    """,
                    export_id=asked.export_id, subject=int(asked.subject), subject_id=asked.subject_id, requester_id=asked.requester_id,
                    reason=asked.reason, state=int(api.EXPORT_STATE_WAITING), request_time=asked.request_time.ToMicroseconds(),
                )
            case ExportFinished() as finished:
                await tx.batch(
                    """
                    UPDATE exports
                    SET state = :state, blob_id = :blob_id, size_bytes = :size_bytes, post_count = :post_count,
                        finish_time = :finish_time, expire_time = :expire_time
                    WHERE export_id = :export_id
                    """,
                    export_id=finished.export_id, state=int(api.EXPORT_STATE_READY), blob_id=finished.blob_id,
                    size_bytes=finished.size_bytes, post_count=finished.post_count, finish_time=finished.finish_time.ToMicroseconds(),
                    expire_time=finished.expire_time.ToMicroseconds(),
                )
            case ExportFailed() as failed:
                await tx.batch(
                    "UPDATE exports SET state = :state, failure = :failure WHERE export_id = :export_id",
                    export_id=failed.export_id, state=int(api.EXPORT_STATE_FAILED), failure=failed.reason,
                )
            case ExportExpired() as expired:
                await tx.batch(
                    "UPDATE exports SET state = :state, blob_id = '' WHERE export_id = :export_id",
                    export_id=expired.export_id, state=int(api.EXPORT_STATE_EXPIRED),
                )

    @staticmethod
    async def _rule(event: Recorded, tx: Transaction) -> None:
        match event.data:
            case RuleDrafted() as drafted:
                await tx.batch(
                    """
                    INSERT INTO rules (rule_id, name, audience, audience_id, age_days, unit, reason, enabled, draft_time, rehearse_time,
                                       rehearsed_count, version)
                    VALUES (:rule_id, :name, :audience, :audience_id, :age_days, :unit, :reason, 0, :draft_time, 0, 0, :version)
                    """,
                    rule_id=drafted.rule_id, name=drafted.name, audience=int(drafted.audience), audience_id=drafted.audience_id,
                    age_days=drafted.age_days, unit=int(drafted.unit), reason=drafted.reason,
                    draft_time=drafted.draft_time.ToMicroseconds(), version=event.version,
                )
                return
            case RuleRehearsed() as rehearsed:
                await tx.batch(
                    "UPDATE rules SET rehearse_time = :time, rehearsed_count = :posts WHERE rule_id = :rule_id",
                    rule_id=rehearsed.rule_id, time=rehearsed.rehearse_time.ToMicroseconds(), posts=rehearsed.post_count,
                )
            case RuleEnabled() | RuleDisabled() as switched:
                await tx.batch(
                    "UPDATE rules SET enabled = :enabled WHERE rule_id = :rule_id",
                    rule_id=switched.rule_id, enabled=int(isinstance(switched, RuleEnabled)),
                )
            case RuleApplied() as applied:
                await tx.batch(
                    """
                    INSERT INTO rule_runs (rule_id, position, deleted_count, protected_count, start_time, end_time, partial)
                    VALUES (:rule_id, :position, :deleted_count, :protected_count, :start_time, :end_time, :partial)
                    """,
                    rule_id=applied.rule_id, position=event.position, deleted_count=applied.deleted_count,
                    protected_count=applied.protected_count, start_time=applied.start_time.ToMicroseconds(),
                    end_time=applied.end_time.ToMicroseconds(), partial=int(applied.partial),
                )
        await tx.batch(
            "UPDATE rules SET version = :version WHERE rule_id = :rule_id",
            rule_id=event.stream.removeprefix("rule-"), version=event.version,
        )
