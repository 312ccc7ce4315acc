"""Who follows whom, and which tags."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1.events_pb2 import PersonFollowed, PersonUnfollowed, TagFollowed, TagUnfollowed


class FollowLists:
    """Follows in both directions, with their counts."""

    name = "feed.follows"
    handles: tuple[type[Message], ...] = (PersonFollowed, PersonUnfollowed, TagFollowed, TagUnfollowed)
    tables: tuple[str, ...] = ("follows", "follow_counts", "followed_tags", "tag_followers")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Add or remove a follow."""
        match event.data:
            case PersonFollowed() as followed:
                await tx.batch(
                    "INSERT INTO follows (follower_id, person_id, position) VALUES (:follower_id, :person_id, :position)",
                    follower_id=followed.follower_id, person_id=followed.person_id, position=event.position,
                )
                await _count(tx, followed.follower_id, followed.person_id, 1)
            case PersonUnfollowed() as unfollowed:
                await tx.batch(
                    "DELETE FROM follows WHERE follower_id = :follower_id AND person_id = :person_id",
                    follower_id=unfollowed.follower_id, person_id=unfollowed.person_id,
                )
                await _count(tx, unfollowed.follower_id, unfollowed.person_id, -1)
            case TagFollowed() as tag:
                await tx.batch(
                    "INSERT INTO followed_tags (follower_id, tag) VALUES (:follower_id, :tag)", follower_id=tag.follower_id, tag=tag.tag
                )
                await _count_tag(tx, tag.tag, 1)
            case TagUnfollowed() as tag:
                await tx.batch(
                    "DELETE FROM followed_tags WHERE follower_id = :follower_id AND tag = :tag", follower_id=tag.follower_id, tag=tag.tag
                )
                await _count_tag(tx, tag.tag, -1)


async def _count(tx: Transaction, follower_id: str, person_id: str, change: int) -> None:
    await tx.execute_many(
        """
        INSERT INTO follow_counts (person_id, follower_count, following_count) VALUES (:person_id, :followers, :following)
        ON CONFLICT (person_id) DO UPDATE
        SET follower_count = follow_counts.follower_count + excluded.follower_count,
            following_count = follow_counts.following_count + excluded.following_count
        """,
        [
            {"person_id": follower_id, "followers": 0, "following": change},
            {"person_id": person_id, "followers": change, "following": 0},
        ],
    )


async def _count_tag(tx: Transaction, tag: str, change: int) -> None:
    await tx.batch(
        """
        INSERT INTO tag_followers (tag, follower_count) VALUES (:tag, :change)
        ON CONFLICT (tag) DO UPDATE SET follower_count = tag_followers.follower_count + excluded.follower_count
        """,
        tag=tag, change=change,
    )
