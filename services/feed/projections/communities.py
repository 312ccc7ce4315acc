"""Communities, their members and those who asked to join."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction, UniqueViolation
from libs.eventstore.model import AlreadyExists, Recorded, Rejected
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1.events_pb2 import (
    CommunityArchived,
    CommunityChanged,
    CommunityCreated,
    CommunityUnarchived,
    JoinRequestDeclined,
    JoinRequested,
    JoinRequestWithdrawn,
    MemberJoined,
    MemberLeft,
    MemberRemoved,
    MemberRoleChanged,
)


class Communities:
    """Guards that a handle is unique and that the last owner stays one."""

    name = "feed.communities"
    handles: tuple[type[Message], ...] = (
        CommunityCreated, CommunityChanged, CommunityArchived, CommunityUnarchived, JoinRequested, JoinRequestDeclined,
        JoinRequestWithdrawn, MemberJoined, MemberRoleChanged, MemberLeft, MemberRemoved,
    )
    tables: tuple[str, ...] = ("communities", "imported_communities", "members", "member_counts", "join_requests")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event, or refuse it where it would break an invariant."""
        match event.data:
            case CommunityCreated() as created:
                await self._create(created, event.version, tx)
            case CommunityChanged() as changed:
                await tx.batch(
                    """
                    UPDATE communities
                    SET name = :name, sort_name = :sort_name, description = :description, rules = :rules, kind = :kind, tags = :tags,
                        version = :version
                    WHERE community_id = :community_id
                    """,
                    community_id=changed.community_id, name=changed.name, sort_name=changed.name.casefold(),
                    description=changed.description, rules=changed.rules, kind=changed.kind, tags=" ".join(changed.tags),
                    version=event.version,
                )
            case CommunityArchived() | CommunityUnarchived() as moved:
                await tx.batch(
                    "UPDATE communities SET archived = :archived, version = :version WHERE community_id = :community_id",
                    community_id=moved.community_id, archived=int(isinstance(moved, CommunityArchived)), version=event.version,
                )
            case JoinRequested() as requested:
                await tx.batch(
                    """
                    INSERT INTO join_requests (community_id, person_id, request_time, position)
                    VALUES (:community_id, :person_id, :request_time, :position)
                    """,
                    community_id=requested.community_id, person_id=requested.person_id,
                    request_time=requested.request_time.ToMicroseconds(), position=event.position,
                )
            case JoinRequestDeclined() | JoinRequestWithdrawn() as gone:
                await self._forget_request(gone.community_id, gone.person_id, tx)
            case MemberJoined() as joined:
                await self._forget_request(joined.community_id, joined.person_id, tx)
                await tx.batch(
                    """
                    INSERT INTO members (community_id, person_id, role, join_time, position)
                    VALUES (:community_id, :person_id, :role, :join_time, :position)
                    """,
                    community_id=joined.community_id, person_id=joined.person_id, role=joined.role,
                    join_time=joined.join_time.ToMicroseconds(), position=event.position,
                )
                await _count(tx, joined.community_id, 1)
            case MemberRoleChanged() as changed:
                if changed.role != events_pb2.MEMBER_ROLE_OWNER:
                    await self._guard_owner(changed.community_id, changed.person_id, tx)
                await tx.batch(
                    "UPDATE members SET role = :role WHERE community_id = :community_id AND person_id = :person_id",
                    community_id=changed.community_id, person_id=changed.person_id, role=changed.role,
                )
            case MemberLeft() | MemberRemoved() as gone:
                await self._guard_owner(gone.community_id, gone.person_id, tx)
                await tx.batch(
                    "DELETE FROM members WHERE community_id = :community_id AND person_id = :person_id",
                    community_id=gone.community_id, person_id=gone.person_id,
                )
                await _count(tx, gone.community_id, -1)

    @staticmethod
    async def _create(created: CommunityCreated, version: int, tx: Transaction) -> None:
        try:
            await tx.execute(
                """
                INSERT INTO communities (community_id, name, sort_name, handle, description, rules, kind, tags, archived, create_time,
                                         version)
                VALUES (:community_id, :name, :sort_name, :handle, :description, :rules, :kind, :tags, 0, :create_time, :version)
                """,
                community_id=created.community_id, name=created.name, sort_name=created.name.casefold(), handle=created.handle,
                description=created.description, rules=created.rules, kind=created.kind, tags=" ".join(created.tags),
                create_time=created.create_time.ToMicroseconds(), version=version,
            )
        except UniqueViolation as taken:
            raise AlreadyExists(f"the handle {created.handle} is taken: choose another name", "name") from taken
        if created.external_id:
            await tx.batch(
                "INSERT INTO imported_communities (external_id, community_id) VALUES (:external_id, :community_id)",
                external_id=created.external_id, community_id=created.community_id,
            )

    @staticmethod
    async def _forget_request(community_id: str, person_id: str, tx: Transaction) -> None:
        await tx.batch(
            "DELETE FROM join_requests WHERE community_id = :community_id AND person_id = :person_id",
            community_id=community_id, person_id=person_id,
        )

    @staticmethod
    async def _guard_owner(community_id: str, person_id: str, tx: Transaction) -> None:
        """Refuse when the person is the only owner."""
        owners = await tx.fetch(
            "SELECT person_id FROM members WHERE community_id = :community_id AND role = :owner LIMIT 2",
            community_id=community_id, owner=events_pb2.MEMBER_ROLE_OWNER,
        )
        if [row["person_id"] for row in owners] == [person_id]:
            raise Rejected("a community needs an owner: make somebody else an owner first")


async def _count(tx: Transaction, community_id: str, change: int) -> None:
    await tx.batch(
        """
        INSERT INTO member_counts (community_id, member_count) VALUES (:community_id, :change)
        ON CONFLICT (community_id) DO UPDATE SET member_count = member_counts.member_count + excluded.member_count
        """,
        community_id=community_id, change=change,
    )
