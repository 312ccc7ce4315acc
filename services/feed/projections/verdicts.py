"""Notifications of reports and appeals that wait, and of what was decided about them; nobody is named in them.

Part of the projection of notifications, whose tables it writes.
"""
from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.moderation_events_pb2 import (
    CASE_OUTCOME_NO_BREACH,
    AppealDecided,
    AppealFiled,
    CaseDecided,
    CaseEscalated,
    ReportFiled,
    WatchMatched,
)

HANDLES: tuple[type[Message], ...] = (ReportFiled, WatchMatched, CaseEscalated, CaseDecided, AppealFiled, AppealDecided)


async def notify_verdict(event: Recorded, tx: Transaction, kept: int) -> None:
    """Notify those concerned by one of HANDLES; anything else is let be."""
    match event.data:
        case ReportFiled() as filed:
            people = await _deciders(tx, filed, {filed.author_id, filed.reporter_id})
            await _tell(tx, people, filed.case_id, event.position, filed.report_time, kept)
        case WatchMatched() as matched:
            people = await _deciders(tx, matched, {matched.author_id})
            await _tell(tx, people, matched.case_id, event.position, matched.match_time, kept)
        case CaseEscalated() as escalated:
            people = [each for each in escalated.administrator_ids if each not in (escalated.author_id, escalated.moderator_id)]
            await _tell(tx, people, escalated.case_id, event.position, escalated.escalate_time, kept)
        case AppealFiled() as appeal:
            people = await _deciders(tx, appeal, {appeal.author_id})
            await _tell(tx, people, appeal.case_id, event.position, appeal.appeal_time, kept)
        case CaseDecided() as decided:
            concerned = [decided.author_id] if decided.outcome != CASE_OUTCOME_NO_BREACH else []
            await _tell(tx, [*concerned, *decided.reporter_ids], decided.case_id, event.position, decided.decide_time, kept)
        case AppealDecided() as verdict:
            reporters = verdict.reporter_ids if verdict.upheld else ()
            await _tell(tx, [verdict.author_id, *reporters], verdict.case_id, event.position, verdict.decide_time, kept)


async def _deciders(tx: Transaction, brought: ReportFiled | WatchMatched | AppealFiled, but: set[str]) -> list[str]:
    """Those who moderate the community, or the administrators that the event names."""
    if brought.to_administrators:
        return [person_id for person_id in brought.administrator_ids if person_id not in but]
    rows = await tx.fetch(
        "SELECT person_id FROM notification_moderators WHERE community_id = :community_id ORDER BY person_id",
        community_id=brought.community_id,
    )
    return [row["person_id"] for row in rows if row["person_id"] not in but]


async def _tell(tx: Transaction, people: Iterable[str], case_id: str, position: int, time: Timestamp, kept: int) -> None:
    told = [person_id for person_id in dict.fromkeys(people) if person_id]
    await tx.execute_many(
        """
        INSERT INTO notifications (recipient_id, position, kind, subject, actor_id, post_id, community_id, emoji, notify_time)
        VALUES (:recipient_id, :position, :kind, :subject, '', '', '', '', :notify_time)
        """,
        [
            {
                "recipient_id": person_id, "position": position, "kind": api.NOTIFICATION_KIND_MODERATION, "subject": case_id,
                "notify_time": time.ToMicroseconds(),
            }
            for person_id in told
        ],
    )
    await tx.execute_many(
        """
        DELETE FROM notifications
        WHERE recipient_id = :recipient_id AND position <= (
            SELECT o.position FROM notifications o WHERE o.recipient_id = :recipient_id ORDER BY o.position DESC LIMIT 1 OFFSET :kept
        )
        """,
        [{"recipient_id": person_id, "kept": kept} for person_id in told],
    )
