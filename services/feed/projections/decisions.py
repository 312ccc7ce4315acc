"""Notifications of best answers, routed questions, and decisions on questions to leaders and on ideas.

Part of the projection of notifications, whose tables it writes.
"""
from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1 import asking_events_pb2 as asking
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1 import ideas_events_pb2 as ideas

HANDLES: tuple[type[Message], ...] = (
    asking.BestAnswerMarked, asking.BestAnswerUnmarked, asking.QuestionRouted, asking.EnquiryAsked, asking.EnquiryAccepted,
    asking.EnquiryAnswered, asking.EnquiryDeclined, asking.EnquiryDelegated, asking.EnquiryWithdrawn, asking.SupportGiven,
    asking.SupportWithdrawn, ideas.IdeaProposed, ideas.IdeaStateChanged, ideas.IdeaSponsored, ideas.IdeaSponsorLeft,
)
TABLES = ("notification_supporters",)


async def notify_decision(event: Recorded, tx: Transaction, kept: int) -> None:
    """Notify those concerned by one of HANDLES; anything else is let be."""
    match event.data:
        case asking.BestAnswerMarked() as marked:
            if marked.previous_id:
                await _forget_best(tx, marked.previous_id)
            await _tell(
                tx, [marked.answerer_id], api.NOTIFICATION_KIND_BEST_ANSWER, marked.answer_id, marked.marker_id, event.position,
                marked.mark_time, kept, post_id=marked.answer_id,
            )
        case asking.BestAnswerUnmarked() as unmarked:
            await _forget_best(tx, unmarked.answer_id)
        case asking.QuestionRouted() as routed:
            await _tell(
                tx, [each.person_id for each in routed.people], api.NOTIFICATION_KIND_QUESTION, routed.question_id, routed.asker_id,
                event.position, routed.route_time, kept, post_id=routed.question_id,
            )
        case asking.EnquiryAsked() as asked:
            await _concern(tx, asked.enquiry_id, asked.asker_id)
        case asking.EnquiryAccepted() as accepted:
            await _decided(tx, accepted.enquiry_id, accepted.leader_id, event.position, accepted.accept_time, kept)
        case asking.EnquiryAnswered() as answered:
            await _decided(tx, answered.enquiry_id, answered.answerer_id, event.position, answered.answer_time, kept)
        case asking.EnquiryDeclined() as declined:
            await _decided(tx, declined.enquiry_id, declined.leader_id, event.position, declined.decline_time, kept)
        case asking.EnquiryDelegated() as delegated:
            if delegated.delegate_id:
                await _tell(
                    tx, [delegated.delegate_id], api.NOTIFICATION_KIND_DECISION, delegated.enquiry_id, delegated.leader_id, event.position,
                    delegated.delegate_time, kept,
                )
        case asking.EnquiryWithdrawn() as withdrawn:
            await tx.batch(
                "DELETE FROM notifications WHERE kind = :kind AND subject = :subject",
                kind=api.NOTIFICATION_KIND_DECISION, subject=withdrawn.enquiry_id,
            )
            await tx.batch("DELETE FROM notification_supporters WHERE subject_id = :subject", subject=withdrawn.enquiry_id)
        case asking.SupportGiven() as given:
            await _concern(tx, given.subject_id, given.person_id)
        case asking.SupportWithdrawn() as taken:
            await _unconcern(tx, taken.subject_id, taken.person_id)
        case ideas.IdeaProposed() as proposed:
            await _concern(tx, proposed.post_id, proposed.author_id)
            await _tell(
                tx, [proposed.author_id], api.NOTIFICATION_KIND_DECISION, proposed.post_id, proposed.proposer_id, event.position,
                proposed.propose_time, kept, post_id=proposed.post_id,
            )
        case ideas.IdeaStateChanged() as changed:
            await _decided(
                tx, changed.post_id, changed.changer_id, event.position, changed.change_time, kept, post_id=changed.post_id
            )
        case ideas.IdeaSponsored() as sponsored:
            await _concern(tx, sponsored.post_id, sponsored.sponsor_id)
            await _decided(
                tx, sponsored.post_id, sponsored.sponsor_id, event.position, sponsored.sponsor_time, kept, post_id=sponsored.post_id
            )


async def _concern(tx: Transaction, subject_id: str, person_id: str) -> None:
    await tx.batch(
        """
        INSERT INTO notification_supporters (subject_id, person_id) VALUES (:subject_id, :person_id)
        ON CONFLICT (subject_id, person_id) DO NOTHING
        """,
        subject_id=subject_id, person_id=person_id,
    )


async def _unconcern(tx: Transaction, subject_id: str, person_id: str) -> None:
    await tx.batch(
        "DELETE FROM notification_supporters WHERE subject_id = :subject_id AND person_id = :person_id",
        subject_id=subject_id, person_id=person_id,
    )


async def _decided(
    tx: Transaction, subject_id: str, actor_id: str, position: int, time: Timestamp, kept: int, *, post_id: str = ""
) -> None:
    rows = await tx.fetch(
        "SELECT person_id FROM notification_supporters WHERE subject_id = :subject_id ORDER BY person_id", subject_id=subject_id
    )
    await _tell(
        tx, [row["person_id"] for row in rows], api.NOTIFICATION_KIND_DECISION, subject_id, actor_id, position, time, kept, post_id=post_id
    )


async def _forget_best(tx: Transaction, answer_id: str) -> None:
    await tx.batch(
        "DELETE FROM notifications WHERE kind = :kind AND subject = :subject", kind=api.NOTIFICATION_KIND_BEST_ANSWER, subject=answer_id
    )


async def _tell(
    tx: Transaction, person_ids: Iterable[str], kind: int, subject: str, actor_id: str, position: int, time: Timestamp, kept: int, *,
    post_id: str = "",
) -> None:
    told = [person_id for person_id in dict.fromkeys(person_ids) if person_id and person_id != actor_id]
    await tx.execute_many(
        """
        INSERT INTO notifications (recipient_id, position, kind, subject, actor_id, post_id, community_id, emoji, notify_time)
        VALUES (:recipient_id, :position, :kind, :subject, :actor_id, :post_id, '', '', :notify_time)
        ON CONFLICT (recipient_id, position, kind) DO NOTHING
        """,
        [
            {
                "recipient_id": person_id, "position": position, "kind": kind, "subject": subject, "actor_id": actor_id,
                "post_id": post_id, "notify_time": time.ToMicroseconds(),
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
