"""What announcements put among the notifications of many people at once."""
from __future__ import annotations

from libs.db.database import Transaction
from watercooler.feed.v1 import announcement_events_pb2 as events
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.announcement_events_pb2 import AudienceNotified

_KINDS = {
    events.ANNOUNCEMENT_NOTICE_PUBLISHED: api.NOTIFICATION_KIND_ANNOUNCEMENT,
    events.ANNOUNCEMENT_NOTICE_REMINDER: api.NOTIFICATION_KIND_REMINDER,
    events.ANNOUNCEMENT_NOTICE_CORRECTION: api.NOTIFICATION_KIND_CORRECTION,
}


async def notify_audience(tx: Transaction, told: AudienceNotified, position: int, kept: int) -> None:
    """A row for each of the people, who keep their newest `kept`: two statements, however many they are."""
    kind = _KINDS.get(told.notice)
    if kind is None:
        return
    rows = [
        {
            "recipient_id": person_id, "position": position, "kind": kind, "subject": told.announcement_id, "actor_id": told.sender_id,
            "post_id": told.announcement_id, "notify_time": told.notify_time.ToMicroseconds(),
        }
        for person_id in told.person_ids
    ]
    await tx.execute_many(
        """
        INSERT INTO notifications (recipient_id, position, kind, subject, actor_id, post_id, community_id, emoji, notify_time)
        VALUES (:recipient_id, :position, :kind, :subject, :actor_id, :post_id, '', '', :notify_time)
        """,
        rows,
    )
    await tx.execute_many(
        """
        DELETE FROM notifications
        WHERE recipient_id = :recipient_id AND position <= (
            SELECT o.position FROM notifications o WHERE o.recipient_id = :recipient_id ORDER BY o.position DESC LIMIT 1 OFFSET :kept
        )
        """,
        [{"recipient_id": person_id, "kept": kept} for person_id in told.person_ids],
    )
