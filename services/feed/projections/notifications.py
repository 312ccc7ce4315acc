"""Notifications: one row for each person and cause; they are grouped, and filtered by what the person may see, when they are read."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.announcement_events_pb2 import AudienceNotified
from watercooler.feed.v1.drafting_events_pb2 import DraftUnscheduled
from watercooler.feed.v1.events_pb2 import (
    JoinRequestDeclined,
    JoinRequested,
    JoinRequestWithdrawn,
    MemberJoined,
    MemberLeft,
    MemberRemoved,
    MemberRoleChanged,
    NotificationsRead,
    PersonFollowed,
    PersonUnfollowed,
    PollClosed,
    PollVoted,
    PostDeleted,
    PostEdited,
    PostPublished,
    PostReposted,
    ReactionAdded,
    ReactionRemoved,
)
from watercooler.feed.v1.integration_events_pb2 import WebhookDisabled
from watercooler.feed.v1.mention_events_pb2 import MembersMentioned

from . import decisions, verdicts
from .mentions import notify_members
from .notices import notify_audience

KEPT = 1_000
_DAY_MICROS = 86_400_000_000
_MODERATING = (events_pb2.MEMBER_ROLE_MODERATOR, events_pb2.MEMBER_ROLE_OWNER)


class Notifications:
    """What others did that concerns a person; never what they did themselves, never what was imported; the newest 1,000 of each person."""

    name = "feed.notifications"
    handles: tuple[type[Message], ...] = (
        PostPublished, PostEdited, PostDeleted, ReactionAdded, ReactionRemoved, PersonFollowed, PersonUnfollowed, JoinRequested,
        JoinRequestDeclined, JoinRequestWithdrawn, MemberJoined, MemberRoleChanged, MemberLeft, MemberRemoved, NotificationsRead,
        PostReposted, PollVoted, PollClosed, AudienceNotified, *decisions.HANDLES, *verdicts.HANDLES, DraftUnscheduled, MembersMentioned,
        WebhookDisabled,
    )
    tables: tuple[str, ...] = (
        "notifications", "notification_authors", "notification_moderators", "read_positions", "notification_voters", "notification_reposts",
        *decisions.TABLES,
    )

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Notify those concerned, or take back what no longer holds."""
        match event.data:
            case PostPublished() as published:
                await self._publish(published, event.position, tx)
            case PostEdited() as edited:
                await self._edit(edited, event.position, tx)
            case PostDeleted() as deleted:
                await self._delete(deleted.post_id, tx)
            case PostReposted() as reposted:
                await self._repost(reposted, event.position, tx)
            case PollVoted() as voted:
                if voted.voter_id:
                    await tx.batch(
                        "INSERT INTO notification_voters (post_id, person_id) VALUES (:post_id, :person_id)",
                        post_id=voted.post_id, person_id=voted.voter_id,
                    )
            case PollClosed() as closed:
                await self._close(closed, event.position, tx)
            case ReactionAdded() as added:
                await self._react(added, event.position, tx)
            case ReactionRemoved() as removed:
                await tx.batch(
                    "DELETE FROM notifications WHERE post_id = :post_id AND kind = :kind AND actor_id = :actor_id AND emoji = :emoji",
                    post_id=removed.post_id, kind=api.NOTIFICATION_KIND_REACTION, actor_id=removed.person_id, emoji=removed.emoji,
                )
            case PersonFollowed() as followed:
                time = followed.follow_time.ToMicroseconds()
                day = str(time // _DAY_MICROS)
                await _notify(tx, followed.person_id, api.NOTIFICATION_KIND_FOLLOW, day, followed.follower_id, event.position, time)
            case PersonUnfollowed() as unfollowed:
                await tx.batch(
                    "DELETE FROM notifications WHERE recipient_id = :recipient_id AND kind = :kind AND actor_id = :actor_id",
                    recipient_id=unfollowed.person_id, kind=api.NOTIFICATION_KIND_FOLLOW, actor_id=unfollowed.follower_id,
                )
            case NotificationsRead() as read:
                await tx.batch(
                    """
                    INSERT INTO read_positions (person_id, read_position) VALUES (:person_id, :position)
                    ON CONFLICT (person_id) DO UPDATE SET read_position = excluded.read_position
                    """,
                    person_id=read.person_id, position=read.read_position,
                )
            case DraftUnscheduled() as unscheduled:
                if unscheduled.reason:
                    await _notify(
                        tx, unscheduled.author_id, api.NOTIFICATION_KIND_DRAFT, unscheduled.draft_id, "", event.position,
                        event.record_micros,
                    )
            case WebhookDisabled() as off:
                if off.creator_id:
                    await _notify(
                        tx, off.creator_id, api.NOTIFICATION_KIND_WEBHOOK, off.webhook_id, "", event.position,
                        off.disable_time.ToMicroseconds(), community_id=off.community_id,
                    )
            case MembersMentioned() as reached:
                await notify_members(tx, reached, event.position, KEPT)
            case AudienceNotified() as told:
                await notify_audience(tx, told, event.position, KEPT)
            case _ if isinstance(event.data, decisions.HANDLES):
                await decisions.notify_decision(event, tx, KEPT)
            case _ if isinstance(event.data, verdicts.HANDLES):
                await verdicts.notify_verdict(event, tx, KEPT)
            case _:
                await self._membership(event, tx)

    @staticmethod
    async def _delete(post_id: str, tx: Transaction) -> None:
        repost = await tx.fetch_one(
            "SELECT original_id, author_id FROM notification_reposts WHERE post_id = :post_id", post_id=post_id
        )
        if repost is not None:
            await tx.batch(
                "DELETE FROM notifications WHERE post_id = :post_id AND kind = :kind AND actor_id = :actor_id",
                post_id=repost["original_id"], kind=api.NOTIFICATION_KIND_REPOST, actor_id=repost["author_id"],
            )
        await tx.batch("DELETE FROM notifications WHERE post_id = :post_id", post_id=post_id)
        await tx.batch("DELETE FROM notification_reposts WHERE post_id = :post_id OR original_id = :post_id", post_id=post_id)
        await tx.batch("DELETE FROM notification_voters WHERE post_id = :post_id", post_id=post_id)

    @staticmethod
    async def _repost(reposted: PostReposted, position: int, tx: Transaction) -> None:
        await tx.batch(
            "INSERT INTO notification_reposts (post_id, original_id, author_id) VALUES (:post_id, :original_id, :author_id)",
            post_id=reposted.post_id, original_id=reposted.original_id, author_id=reposted.author_id,
        )
        await _notify(
            tx, reposted.original_author_id, api.NOTIFICATION_KIND_REPOST, reposted.original_id, reposted.author_id, position,
            reposted.repost_time.ToMicroseconds(), post_id=reposted.original_id,
        )

    @staticmethod
    async def _close(closed: PollClosed, position: int, tx: Transaction) -> None:
        """Tell the asker, and those who voted with their name."""
        time = closed.close_time.ToMicroseconds()
        voters = await tx.fetch(
            "SELECT person_id FROM notification_voters WHERE post_id = :post_id ORDER BY person_id", post_id=closed.post_id
        )
        told = dict.fromkeys([closed.author_id, *(row["person_id"] for row in voters)])
        for person_id in told:
            actor_id = closed.author_id if person_id != closed.author_id else ""  # nobody did it to the asker
            await _notify(tx, person_id, api.NOTIFICATION_KIND_POLL, closed.post_id, actor_id, position, time, post_id=closed.post_id)

    async def _publish(self, published: PostPublished, position: int, tx: Transaction) -> None:
        kinds: dict[str, tuple[int, str]] = {}
        if not published.external_id:
            if published.parent_id:
                rows = await tx.fetch(
                    "SELECT post_id, author_id FROM notification_authors WHERE post_id = :parent_id OR post_id = :root_id",
                    parent_id=published.parent_id, root_id=published.root_id,
                )
                for row in sorted(rows, key=lambda row: row["post_id"] != published.parent_id):
                    kinds.setdefault(row["author_id"], (api.NOTIFICATION_KIND_REPLY, row["post_id"]))
            if published.quoted_id:
                quoted = await tx.fetch_one(
                    "SELECT author_id FROM notification_authors WHERE post_id = :post_id", post_id=published.quoted_id
                )
                if quoted is not None:
                    kinds[quoted["author_id"]] = (api.NOTIFICATION_KIND_QUOTE, published.post_id)
            for person_id in published.mentioned_ids:
                kinds[person_id] = (api.NOTIFICATION_KIND_MENTION, published.post_id)
            if not published.parent_id and published.audience.WhichOneof("kind") == "people":
                for person_id in published.audience.people.person_ids:
                    kinds[person_id] = (api.NOTIFICATION_KIND_DIRECT, published.post_id)
            for person_id in published.praise.person_ids:
                kinds[person_id] = (api.NOTIFICATION_KIND_PRAISE, published.post_id)
        time = published.publish_time.ToMicroseconds()
        for person_id, (kind, subject) in kinds.items():
            await _notify(tx, person_id, kind, subject, published.author_id, position, time, post_id=published.post_id)
        await tx.batch(
            "INSERT INTO notification_authors (post_id, author_id, told) VALUES (:post_id, :author_id, :told)",
            post_id=published.post_id, author_id=published.author_id, told=" ".join(dict.fromkeys([*kinds, *published.mentioned_ids])),
        )

    async def _edit(self, edited: PostEdited, position: int, tx: Transaction) -> None:
        reposters = await tx.fetch(
            "SELECT author_id FROM notification_reposts WHERE original_id = :post_id ORDER BY author_id", post_id=edited.post_id
        )
        for reposter in reposters:
            await _notify(
                tx, reposter["author_id"], api.NOTIFICATION_KIND_EDIT, edited.post_id, edited.author_id, position,
                edited.edit_time.ToMicroseconds(), post_id=edited.post_id,
            )
        row = await tx.fetch_one("SELECT told FROM notification_authors WHERE post_id = :post_id", post_id=edited.post_id)
        if row is None:
            return
        told = row["told"].split()
        new = [person_id for person_id in dict.fromkeys(edited.mentioned_ids) if person_id not in told]
        if not new:
            return
        for person_id in new:
            await _notify(
                tx, person_id, api.NOTIFICATION_KIND_MENTION, edited.post_id, edited.author_id, position,
                edited.edit_time.ToMicroseconds(), post_id=edited.post_id,
            )
        await tx.batch(
            "UPDATE notification_authors SET told = :told WHERE post_id = :post_id", post_id=edited.post_id, told=" ".join([*told, *new])
        )

    async def _react(self, added: ReactionAdded, position: int, tx: Transaction) -> None:
        if added.imported:
            return
        row = await tx.fetch_one("SELECT author_id FROM notification_authors WHERE post_id = :post_id", post_id=added.post_id)
        if row is not None:
            await _notify(
                tx, row["author_id"], api.NOTIFICATION_KIND_REACTION, added.post_id, added.person_id, position,
                added.react_time.ToMicroseconds(), post_id=added.post_id, emoji=added.emoji,
            )

    async def _membership(self, event: Recorded, tx: Transaction) -> None:
        match event.data:
            case JoinRequested() as requested:
                moderators = await tx.fetch(
                    "SELECT person_id FROM notification_moderators WHERE community_id = :community_id ORDER BY person_id",
                    community_id=requested.community_id,
                )
                for row in moderators:
                    await _notify(
                        tx, row["person_id"], api.NOTIFICATION_KIND_JOIN_REQUEST, requested.community_id, requested.person_id,
                        event.position, requested.request_time.ToMicroseconds(), community_id=requested.community_id,
                    )
            case JoinRequestDeclined() | JoinRequestWithdrawn() as gone:
                await _forget_request(tx, gone.community_id, gone.person_id)
            case MemberJoined() as joined:
                await _forget_request(tx, joined.community_id, joined.person_id)
                await _moderates(tx, joined.community_id, joined.person_id, joined.role)
                if joined.admitter_id != joined.person_id and not joined.imported:
                    await _notify(
                        tx, joined.person_id, api.NOTIFICATION_KIND_JOINED, joined.community_id, joined.admitter_id, event.position,
                        joined.join_time.ToMicroseconds(), community_id=joined.community_id,
                    )
            case MemberRoleChanged() as changed:
                await _moderates(tx, changed.community_id, changed.person_id, changed.role)
            case MemberLeft() | MemberRemoved() as gone:
                await _moderates(tx, gone.community_id, gone.person_id, events_pb2.MEMBER_ROLE_UNSPECIFIED)


async def _notify(
    tx: Transaction, recipient_id: str, kind: int, subject: str, actor_id: str, position: int, time: int, *,
    post_id: str = "", community_id: str = "", emoji: str = "",
) -> None:
    if recipient_id == actor_id:
        return
    await tx.batch(
        """
        INSERT INTO notifications (recipient_id, position, kind, subject, actor_id, post_id, community_id, emoji, notify_time)
        VALUES (:recipient_id, :position, :kind, :subject, :actor_id, :post_id, :community_id, :emoji, :notify_time)
        """,
        recipient_id=recipient_id, position=position, kind=kind, subject=subject, actor_id=actor_id, post_id=post_id,
        community_id=community_id, emoji=emoji, notify_time=time,
    )
    oldest = await tx.fetch_one(
        "SELECT position FROM notifications WHERE recipient_id = :recipient_id ORDER BY position DESC LIMIT 1 OFFSET :kept",
        recipient_id=recipient_id, kept=KEPT,
    )
    if oldest is not None:
        await tx.batch(
            "DELETE FROM notifications WHERE recipient_id = :recipient_id AND position <= :position",
            recipient_id=recipient_id, position=oldest["position"],
        )


async def _forget_request(tx: Transaction, community_id: str, person_id: str) -> None:
    await tx.batch(
        """
        DELETE FROM notifications
        WHERE recipient_id IN (SELECT person_id FROM notification_moderators WHERE community_id = :community_id)
          AND kind = :kind AND subject = :community_id AND actor_id = :person_id
        """,
        kind=api.NOTIFICATION_KIND_JOIN_REQUEST, community_id=community_id, person_id=person_id,
    )


async def _moderates(tx: Transaction, community_id: str, person_id: str, role: int) -> None:
    if role in _MODERATING:
        await tx.batch(
            """
            INSERT INTO notification_moderators (community_id, person_id) VALUES (:community_id, :person_id)
            ON CONFLICT (community_id, person_id) DO NOTHING
            """,
            community_id=community_id, person_id=person_id,
        )
    else:
        await tx.batch(
            "DELETE FROM notification_moderators WHERE community_id = :community_id AND person_id = :person_id",
            community_id=community_id, person_id=person_id,
        )
        await tx.batch(
            "DELETE FROM notifications WHERE recipient_id = :person_id AND kind = :kind AND subject = :community_id",
            community_id=community_id, person_id=person_id, kind=api.NOTIFICATION_KIND_JOIN_REQUEST,
        )
