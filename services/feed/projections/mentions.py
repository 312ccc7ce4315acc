"""How groups are called in texts, and whom the mention of many reaches."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from libs.text.handles import HANDLE_CHARACTERS, slug
from watercooler.feed.v1.feed_service_pb2 import NOTIFICATION_KIND_MENTION
from watercooler.feed.v1.mention_events_pb2 import MembersMentioned
from watercooler.identity.v1 import events_pb2 as identity


class GroupHandles:
    """One handle for each group of the directory, from its first name here; it stays when the name changes, since texts hold it.

    It stands apart from `directory_groups`, so that networks which had groups before it fill it from the log.
    """

    name = "feed.group_handles"
    handles: tuple[type[Message], ...] = (identity.GroupCreated, identity.GroupChanged, identity.GroupDeleted)
    tables: tuple[str, ...] = ("group_handles",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the group's row."""
        match event.data:
            case identity.GroupCreated() as created:
                await tx.batch(
                    "INSERT INTO group_handles (group_id, handle, name) VALUES (:group_id, :handle, :name)",
                    group_id=created.group_id, handle=await _free(tx, slug(created.name, "group")), name=created.name,
                )
            case identity.GroupChanged() as changed:
                await tx.batch(
                    "UPDATE group_handles SET name = :name WHERE group_id = :group_id", group_id=changed.group_id, name=changed.name
                )
            case identity.GroupDeleted() as deleted:
                await tx.batch("DELETE FROM group_handles WHERE group_id = :group_id", group_id=deleted.group_id)


async def _free(tx: Transaction, base: str) -> str:
    """The handle itself, or with the first number that is free."""
    number, handle = 1, base
    while await tx.fetch_one("SELECT 1 AS one FROM group_handles WHERE handle = :handle", handle=handle) is not None:
        number += 1
        tail = f"-{number}"
        handle = base[:HANDLE_CHARACTERS - len(tail)] + tail
    return handle


async def notify_members(tx: Transaction, told: MembersMentioned, position: int, kept: int) -> None:
    """A row for each of the people, who keep their newest `kept`: two statements, however many they are."""
    await tx.execute_many(
        """
        INSERT INTO notifications (recipient_id, position, kind, subject, actor_id, post_id, community_id, emoji, notify_time)
        VALUES (:recipient_id, :position, :kind, :post_id, :actor_id, :post_id, '', '', :notify_time)
        """,
        [
            {
                "recipient_id": person_id, "position": position, "kind": NOTIFICATION_KIND_MENTION, "actor_id": told.author_id,
                "post_id": told.post_id, "notify_time": told.mention_time.ToMicroseconds(),
            }
            for person_id in told.person_ids
        ],
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
