"""What a reader may find, followed from the services that own it."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1.events_pb2 import (
    COMMUNITY_KIND_OPEN,
    CommunityChanged,
    CommunityCreated,
    MemberJoined,
    MemberLeft,
    MemberRemoved,
    PersonFollowed,
    PersonUnfollowed,
)
from watercooler.identity.v1.events_pb2 import (
    GroupDeleted,
    GroupMemberAdded,
    GroupMemberRemoved,
    PersonAdded,
    PersonErased,
    PersonLeft,
    PersonPhotoChanged,
    PersonProfileChanged,
    PersonRejoined,
)


class People:
    """The name and photo shown with a result."""

    name = "search.people"
    handles: tuple[type[Message], ...] = (PersonAdded, PersonProfileChanged, PersonPhotoChanged, PersonLeft, PersonRejoined, PersonErased)
    tables: tuple[str, ...] = ("people",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Keep one row a person."""
        match event.data:
            case PersonAdded(person_id=person_id, profile=profile):
                await tx.batch(
                    "INSERT INTO people (person_id, display_name, photo_blob_id, state) VALUES (:person_id, :name, '', 'active')",
                    person_id=person_id, name=profile.preferred_name or profile.name,
                )
            case PersonProfileChanged(person_id=person_id, profile=profile):
                await tx.batch(
                    "UPDATE people SET display_name = :name WHERE person_id = :person_id",
                    person_id=person_id, name=profile.preferred_name or profile.name,
                )
            case PersonPhotoChanged(person_id=person_id, photo_blob_id=photo):
                await tx.batch("UPDATE people SET photo_blob_id = :photo WHERE person_id = :person_id", person_id=person_id, photo=photo)
            case PersonLeft(person_id=person_id):
                await tx.batch("UPDATE people SET state = 'left' WHERE person_id = :person_id", person_id=person_id)
            case PersonRejoined(person_id=person_id):
                await tx.batch("UPDATE people SET state = 'active' WHERE person_id = :person_id", person_id=person_id)
            case PersonErased(person_id=person_id):
                await tx.batch(
                    "UPDATE people SET display_name = '', photo_blob_id = '', state = 'erased' WHERE person_id = :person_id",
                    person_id=person_id,
                )


class GroupMembers:
    """Who is in which group of the directory."""

    name = "search.group_members"
    handles: tuple[type[Message], ...] = (GroupMemberAdded, GroupMemberRemoved, GroupDeleted)
    tables: tuple[str, ...] = ("group_members",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Keep one row a member."""
        match event.data:
            case GroupMemberAdded(person_id=person_id, group_id=group_id):
                await tx.batch(
                    "INSERT INTO group_members (person_id, group_id) VALUES (:person_id, :group_id) ON CONFLICT DO NOTHING",
                    person_id=person_id, group_id=group_id,
                )
            case GroupMemberRemoved(person_id=person_id, group_id=group_id):
                await tx.batch(
                    "DELETE FROM group_members WHERE person_id = :person_id AND group_id = :group_id",
                    person_id=person_id, group_id=group_id,
                )
            case GroupDeleted(group_id=group_id):
                await tx.batch("DELETE FROM group_members WHERE group_id = :group_id", group_id=group_id)


class Communities:
    """The name of a community, and whether every employee may read it."""

    name = "search.communities"
    handles: tuple[type[Message], ...] = (CommunityCreated, CommunityChanged)
    tables: tuple[str, ...] = ("communities",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Keep one row a community."""
        data = event.data
        assert isinstance(data, CommunityCreated | CommunityChanged)
        await tx.batch(
            """
            INSERT INTO communities (community_id, name, open) VALUES (:community_id, :name, :open)
            ON CONFLICT (community_id) DO UPDATE SET name = excluded.name, open = excluded.open
            """,
            community_id=data.community_id, name=data.name, open=int(data.kind == COMMUNITY_KIND_OPEN),
        )


class Members:
    """Who is in which community."""

    name = "search.members"
    handles: tuple[type[Message], ...] = (MemberJoined, MemberLeft, MemberRemoved)
    tables: tuple[str, ...] = ("members",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Keep one row a member."""
        match event.data:
            case MemberJoined(person_id=person_id, community_id=community_id):
                await tx.batch(
                    "INSERT INTO members (person_id, community_id) VALUES (:person_id, :community_id) ON CONFLICT DO NOTHING",
                    person_id=person_id, community_id=community_id,
                )
            case MemberLeft(person_id=person_id, community_id=community_id) | MemberRemoved(person_id=person_id, community_id=community_id):
                await tx.batch(
                    "DELETE FROM members WHERE person_id = :person_id AND community_id = :community_id",
                    person_id=person_id, community_id=community_id,
                )


class FollowedPeople:
    """Who follows whom, for posts to followers."""

    name = "search.followed_people"
    handles: tuple[type[Message], ...] = (PersonFollowed, PersonUnfollowed)
    tables: tuple[str, ...] = ("followed_people",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Keep one row a follow."""
        match event.data:
            case PersonFollowed(follower_id=follower_id, person_id=person_id):
                await tx.batch(
                    "INSERT INTO followed_people (follower_id, person_id) VALUES (:follower_id, :person_id) ON CONFLICT DO NOTHING",
                    follower_id=follower_id, person_id=person_id,
                )
            case PersonUnfollowed(follower_id=follower_id, person_id=person_id):
                await tx.batch(
                    "DELETE FROM followed_people WHERE follower_id = :follower_id AND person_id = :person_id",
                    follower_id=follower_id, person_id=person_id,
                )
