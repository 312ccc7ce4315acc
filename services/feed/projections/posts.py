"""Posts as their readers are shown them."""
from __future__ import annotations

from collections.abc import Callable, Iterable

from google.protobuf.message import Message

from libs.db.database import Transaction, UniqueViolation
from libs.eventstore.model import AlreadyExists, Recorded
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1.events_pb2 import (
    AuthorErased,
    PostDeleted,
    PostEdited,
    PostPublished,
    PostReadConfirmed,
    ReactionAdded,
    ReactionRemoved,
)
from watercooler.feed.v1.feed_service_pb2 import Mention, Post, ReactionCount

from ..access import scope_of


class Posts:
    """One row per post with its card, and what belongs to it: thread, tags, earlier versions, counts."""

    name = "feed.posts"
    handles: tuple[type[Message], ...] = (
        PostPublished, PostEdited, PostDeleted, ReactionAdded, ReactionRemoved, PostReadConfirmed, AuthorErased,
    )
    tables: tuple[str, ...] = ("posts", "thread_people", "post_tags", "revisions", "imported_posts", "community_activity")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the post's row."""
        match event.data:
            case PostPublished() as published:
                await self._publish(published, event, tx)
            case PostEdited() as edited:
                await self._edit(edited, event, tx)
            case PostDeleted() as deleted:
                await self._delete(deleted, event, tx)
            case ReactionAdded() as added:
                await _redraw(tx, added.post_id, lambda card: _react(card, added.emoji, 1))
            case ReactionRemoved() as removed:
                await _redraw(tx, removed.post_id, lambda card: _react(card, removed.emoji, -1))
            case PostReadConfirmed() as confirmed:
                await tx.batch(
                    "UPDATE posts SET confirmation_count = confirmation_count + 1 WHERE post_id = :post_id", post_id=confirmed.post_id
                )
            case AuthorErased() as erased:
                await self._erase(erased.person_id, tx)

    @staticmethod
    async def _publish(published: PostPublished, event: Recorded, tx: Transaction) -> None:
        scope, scope_id = scope_of(published.audience)
        thread_id = published.root_id or published.post_id
        card = Post(
            post_id=published.post_id, body=published.body, language=published.language, audience=published.audience,
            parent_id=published.parent_id, root_id=published.root_id,
            mentions=[Mention(person_id=person_id) for person_id in published.mentioned_ids],
            tags=published.tags, attachments=published.attachments, publish_time=published.publish_time, erased=event.erased,
        )
        await tx.batch(
            """
            INSERT INTO posts (post_id, author_id, thread_id, parent_id, scope, scope_id, card, hidden, pictures, reply_count,
                               confirmation_count, version, position)
            VALUES (:post_id, :author_id, :thread_id, :parent_id, :scope, :scope_id, :card, :hidden, :pictures, 0, 0, :version, :position)
            """,
            post_id=published.post_id, author_id=published.author_id, thread_id=thread_id, parent_id=published.parent_id,
            scope=scope, scope_id=scope_id, card=card.SerializeToString(), hidden=int(event.erased),
            pictures=_pictures(published.attachments), version=event.version, position=event.position,
        )
        if published.tags:
            await tx.execute_many(
                "INSERT INTO post_tags (tag, post_id) VALUES (:tag, :post_id)",
                [{"tag": tag, "post_id": published.post_id} for tag in dict.fromkeys(published.tags)],
            )
        if published.external_id:
            try:
                await tx.execute(
                    "INSERT INTO imported_posts (external_id, post_id) VALUES (:external_id, :post_id)",
                    external_id=published.external_id, post_id=published.post_id,
                )
            except UniqueViolation as known:
                raise AlreadyExists(f"{published.external_id} was imported before") from known
        if published.root_id:
            await _count_reply(tx, published.root_id, published.parent_id, 1)
        elif scope == "people":
            named = dict.fromkeys([*published.audience.people.person_ids, published.author_id])
            await tx.execute_many(
                "INSERT INTO thread_people (thread_id, person_id) VALUES (:thread_id, :person_id)",
                [{"thread_id": thread_id, "person_id": person_id} for person_id in named],
            )
        if scope == "community":
            await tx.batch(
                """
                INSERT INTO community_activity (community_id, post_count, last_post_time) VALUES (:community_id, 1, :time)
                ON CONFLICT (community_id) DO UPDATE
                SET post_count = community_activity.post_count + 1,
                    last_post_time = CASE WHEN community_activity.last_post_time > excluded.last_post_time
                                          THEN community_activity.last_post_time ELSE excluded.last_post_time END
                """,
                community_id=scope_id, time=published.publish_time.ToMicroseconds(),
            )

    @staticmethod
    async def _edit(edited: PostEdited, event: Recorded, tx: Transaction) -> None:
        row = await tx.fetch_one("SELECT card, hidden FROM posts WHERE post_id = :post_id", post_id=edited.post_id)
        if row is None:
            return
        card = Post.FromString(bytes(row["card"]))
        if not card.HasField("edit_time"):
            await _revise(tx, edited.post_id, 1, card)
        card.body = edited.body
        card.language = edited.language
        for field in ("mentions", "tags", "attachments"):
            card.ClearField(field)
        card.mentions.extend(Mention(person_id=person_id) for person_id in edited.mentioned_ids)
        card.tags.extend(edited.tags)
        card.attachments.extend(edited.attachments)
        card.edit_time.CopyFrom(edited.edit_time)
        await tx.batch(
            "UPDATE posts SET card = :card, pictures = :pictures, version = :version WHERE post_id = :post_id",
            post_id=edited.post_id, card=card.SerializeToString(), pictures=_pictures(edited.attachments), version=event.version,
        )
        await _revise(tx, edited.post_id, event.version, card)
        await tx.batch("DELETE FROM post_tags WHERE post_id = :post_id", post_id=edited.post_id)
        if edited.tags:
            await tx.execute_many(
                "INSERT INTO post_tags (tag, post_id) VALUES (:tag, :post_id)",
                [{"tag": tag, "post_id": edited.post_id} for tag in dict.fromkeys(edited.tags)],
            )

    @staticmethod
    async def _delete(deleted: PostDeleted, event: Recorded, tx: Transaction) -> None:
        row = await tx.fetch_one(
            "SELECT card, thread_id, parent_id, scope, scope_id FROM posts WHERE post_id = :post_id", post_id=deleted.post_id
        )
        if row is None:
            return
        full = Post.FromString(bytes(row["card"]))
        tombstone = Post(
            post_id=full.post_id, audience=full.audience, parent_id=full.parent_id, root_id=full.root_id,
            publish_time=full.publish_time, deleted=True, erased=full.erased,
        )
        await tx.batch(
            "UPDATE posts SET card = :card, hidden = 1, pictures = 0, version = :version WHERE post_id = :post_id",
            post_id=deleted.post_id, card=tombstone.SerializeToString(), version=event.version,
        )
        await tx.batch("DELETE FROM post_tags WHERE post_id = :post_id", post_id=deleted.post_id)
        await tx.batch("DELETE FROM revisions WHERE post_id = :post_id", post_id=deleted.post_id)
        if row["parent_id"]:
            await _count_reply(tx, row["thread_id"], row["parent_id"], -1)
        if row["scope"] == "community":
            await tx.batch(
                "UPDATE community_activity SET post_count = post_count - 1 WHERE community_id = :community_id", community_id=row["scope_id"]
            )

    @staticmethod
    async def _erase(person_id: str, tx: Transaction) -> None:
        rows = await tx.fetch("SELECT post_id, card FROM posts WHERE author_id = :person_id", person_id=person_id)
        changes = []
        for row in rows:
            card = Post.FromString(bytes(row["card"]))
            card.ClearField("body")
            card.ClearField("attachments")
            card.erased = True
            changes.append({"post_id": row["post_id"], "card": card.SerializeToString()})
        await tx.execute_many("UPDATE posts SET card = :card, hidden = 1, pictures = 0 WHERE post_id = :post_id", changes)
        await tx.execute_many("UPDATE revisions SET body = '', attachments = :nothing WHERE post_id = :post_id", [
            {"post_id": row["post_id"], "nothing": b""} for row in rows
        ])


def _pictures(attachments: Iterable[Attachment]) -> int:
    return int(any(one.media_type.startswith("image/") for one in attachments))


async def _count_reply(tx: Transaction, root_id: str, parent_id: str, change: int) -> None:
    """The first post counts the whole thread, the others their direct answers."""
    await tx.batch(
        "UPDATE posts SET reply_count = reply_count + :change WHERE post_id = :root_id OR post_id = :parent_id",
        root_id=root_id, parent_id=parent_id, change=change,
    )


async def _revise(tx: Transaction, post_id: str, number: int, card: Post) -> None:
    time = card.edit_time if card.HasField("edit_time") else card.publish_time
    await tx.batch(
        """
        INSERT INTO revisions (post_id, number, body, attachments, revise_time)
        VALUES (:post_id, :number, :body, :attachments, :revise_time)
        """,
        post_id=post_id, number=number, body=card.body, attachments=Post(attachments=card.attachments).SerializeToString(),
        revise_time=time.ToMicroseconds(),
    )


async def _redraw(tx: Transaction, post_id: str, change: Callable[[Post], None]) -> None:
    row = await tx.fetch_one("SELECT card FROM posts WHERE post_id = :post_id", post_id=post_id)
    if row is None:
        return
    card = Post.FromString(bytes(row["card"]))
    if card.deleted:
        return
    change(card)
    await tx.batch("UPDATE posts SET card = :card WHERE post_id = :post_id", post_id=post_id, card=card.SerializeToString())


def _react(card: Post, emoji: str, change: int) -> None:
    for index, counted in enumerate(card.reactions):
        if counted.emoji == emoji:
            counted.count += change
            if counted.count <= 0:
                del card.reactions[index]
            return
    if change > 0:
        card.reactions.append(ReactionCount(emoji=emoji, count=change))
