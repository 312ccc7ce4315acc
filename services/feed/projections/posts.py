"""Posts as their readers are shown them."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import Message

from libs.db.database import Transaction, UniqueViolation
from libs.eventstore.model import AlreadyExists, Recorded, Rejected
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1.events_pb2 import (
    POST_KIND_ANNOUNCEMENT,
    AuthorErased,
    LinkPreviewed,
    PollClosed,
    PollVoted,
    PostDeleted,
    PostEdited,
    PostPinned,
    PostPublished,
    PostReadConfirmed,
    PostReposted,
    PostUnpinned,
    ReactionAdded,
    ReactionRemoved,
)
from watercooler.feed.v1.feed_service_pb2 import Author, Mention, PollResult, Post, ReactionCount
from watercooler.feed.v1.moderation_events_pb2 import KeptPostDiscarded, PostCovered, PostRestored

from ..access import scope_of
from . import kept, marks

PINS = 5
# What a card holds of its author's own, beside the text: gone when they are erased.
_PERSONAL: tuple[Any, ...] = (
    "body", "attachments", "warning", "sensitive", "poll", "quoted_id", "reposted_id", "praised", "praise_value", "preview", "pinned",
    "pinned_in_community",
)


class Posts:
    """One row per post with its card, and what belongs to it: thread, tags, earlier versions, counts."""

    name = "feed.posts"
    handles: tuple[type[Message], ...] = (
        PostPublished, PostEdited, PostDeleted, ReactionAdded, ReactionRemoved, PostReadConfirmed, AuthorErased, PostReposted, PostPinned,
        PostUnpinned, PollVoted, PollClosed, LinkPreviewed, PostCovered, PostRestored, KeptPostDiscarded,
        *marks.HANDLES,
    )
    tables: tuple[str, ...] = (
        "posts", "thread_people", "post_tags", "revisions", "imported_posts", "community_activity", "reposts", "quotes", "ballots",
        "open_polls", "pins", "preview_images", "kept_posts",
    )

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
            case _ if isinstance(event.data, marks.HANDLES):
                for post_id, change in marks.changes(event.data):
                    await _mark(tx, post_id, change)
            case AuthorErased() as erased:
                await self._erase(erased.person_id, tx)
            case PostReposted() as reposted:
                await self._repost(reposted, event, tx)
            case PostPinned() as pinned:
                await self._pin(pinned, event.position, tx)
            case PostUnpinned() as unpinned:
                place = _place(unpinned)
                await tx.batch("DELETE FROM pins WHERE place = :place AND post_id = :post_id", place=place, post_id=unpinned.post_id)
                await _redraw(tx, unpinned.post_id, lambda card: _set_pinned(card, unpinned.community_id, False))
            case PollVoted() as voted:
                await self._vote(voted, event.stream.removeprefix("vote-"), tx)
            case PollClosed() as closed:
                await tx.batch("DELETE FROM open_polls WHERE post_id = :post_id", post_id=closed.post_id)
                await _redraw(tx, closed.post_id, _close)
            case LinkPreviewed() as previewed:
                if not event.erased:
                    await self._preview(previewed, tx)
            case PostCovered() as covered:
                await _redraw(tx, covered.post_id, lambda card: _cover(card, covered))
            case PostRestored() as restored:
                await self._restore(restored.post_id, tx)
            case KeptPostDiscarded() as discarded:
                await kept.discard(tx, discarded.post_id)

    @staticmethod
    async def _publish(published: PostPublished, event: Recorded, tx: Transaction) -> None:
        scope, scope_id = scope_of(published.audience)
        thread_id = published.root_id or published.post_id
        card = Post(
            post_id=published.post_id, body=published.body, language=published.language, audience=published.audience,
            parent_id=published.parent_id, root_id=published.root_id,
            mentions=[Mention(person_id=person_id) for person_id in published.mentioned_ids],
            tags=published.tags, attachments=published.attachments, publish_time=published.publish_time, erased=event.erased,
            kind=published.kind, announcement_id=published.post_id if published.kind == POST_KIND_ANNOUNCEMENT else "",
        )
        card.mentions.extend(Mention(community_id=community_id) for community_id in published.mentioned_community_ids)
        card.mentions.extend(Mention(group_id=group_id) for group_id in published.mentioned_group_ids)
        if not event.erased:
            await Posts._more(card, published, tx)
        await tx.batch(
            """
            INSERT INTO posts (post_id, author_id, thread_id, parent_id, scope, scope_id, card, hidden, pictures, reply_count,
                               confirmation_count, version, position, reposted_id)
            VALUES (:post_id, :author_id, :thread_id, :parent_id, :scope, :scope_id, :card, :hidden, :pictures, 0, 0, 1, :position, '')
            """,
            post_id=published.post_id, author_id=published.author_id, thread_id=thread_id, parent_id=published.parent_id,
            scope=scope, scope_id=scope_id, card=card.SerializeToString(), hidden=int(event.erased),
            pictures=_pictures(published.attachments), position=event.position,
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
    async def _more(card: Post, published: PostPublished, tx: Transaction) -> None:
        """What few posts have."""
        card.warning = published.warning
        card.sensitive = published.sensitive
        if published.HasField("praise"):
            card.praised.extend(Author(person_id=person_id) for person_id in published.praise.person_ids)
            card.praise_value = published.praise.value
        if published.HasField("poll"):
            card.poll.CopyFrom(PollResult(poll=published.poll, counts=[0] * len(published.poll.options)))
            await tx.batch(
                "INSERT INTO open_polls (post_id, close_time) VALUES (:post_id, :close_time)",
                post_id=published.post_id, close_time=published.poll.close_time.ToMicroseconds(),
            )
        if published.quoted_id:
            card.quoted_id = published.quoted_id
            await tx.batch(
                "INSERT INTO quotes (quoted_id, post_id) VALUES (:quoted_id, :post_id)",
                quoted_id=published.quoted_id, post_id=published.post_id,
            )
            await _redraw(tx, published.quoted_id, lambda quoted: _count_quote(quoted, 1))

    @staticmethod
    async def _repost(reposted: PostReposted, event: Recorded, tx: Transaction) -> None:
        original = await tx.fetch_one("SELECT card, hidden FROM posts WHERE post_id = :post_id", post_id=reposted.original_id)
        if original is None or Post.FromString(bytes(original["card"])).deleted:
            raise Rejected("this post was deleted: it cannot be passed on")
        try:
            await tx.execute(
                "INSERT INTO reposts (original_id, author_id, post_id) VALUES (:original_id, :author_id, :post_id)",
                original_id=reposted.original_id, author_id=reposted.author_id, post_id=reposted.post_id,
            )
        except UniqueViolation as known:
            raise AlreadyExists("you have passed this post on already") from known
        scope, scope_id = scope_of(reposted.audience)
        card = Post(
            post_id=reposted.post_id, audience=reposted.audience, publish_time=reposted.repost_time, reposted_id=reposted.original_id
        )
        await tx.batch(
            """
            INSERT INTO posts (post_id, author_id, thread_id, parent_id, scope, scope_id, card, hidden, pictures, reply_count,
                               confirmation_count, version, position, reposted_id)
            VALUES (:post_id, :author_id, :post_id, '', :scope, :scope_id, :card, :hidden, 0, 0, 0, 1, :position, :reposted_id)
            """,
            post_id=reposted.post_id, author_id=reposted.author_id, scope=scope, scope_id=scope_id, card=card.SerializeToString(),
            hidden=original["hidden"], position=event.position, reposted_id=reposted.original_id,
        )
        await _redraw(tx, reposted.original_id, lambda card: _count_repost(card, 1))

    @staticmethod
    async def _pin(pinned: PostPinned, position: int, tx: Transaction) -> None:
        place = _place(pinned)
        row = await tx.fetch_one("SELECT COUNT(*) AS total FROM pins WHERE place = :place", place=place)
        if row is not None and row["total"] >= PINS:
            raise Rejected(f"at most {PINS} posts stand at the head of a page: unpin another one first")
        await tx.batch(
            "INSERT INTO pins (place, post_id, position) VALUES (:place, :post_id, :position)",
            place=place, post_id=pinned.post_id, position=position,
        )
        await _redraw(tx, pinned.post_id, lambda card: _set_pinned(card, pinned.community_id, True))

    @staticmethod
    async def _vote(voted: PollVoted, ballot_id: str, tx: Transaction) -> None:
        row = await tx.fetch_one("SELECT card FROM posts WHERE post_id = :post_id", post_id=voted.post_id)
        card = Post.FromString(bytes(row["card"])) if row is not None else Post()
        if not card.HasField("poll"):
            return  # deleted or erased
        await tx.batch(
            "INSERT INTO ballots (ballot_id, post_id, choices) VALUES (:ballot_id, :post_id, :choices)",
            ballot_id=ballot_id, post_id=voted.post_id, choices=" ".join(map(str, voted.choices)),
        )
        for choice in voted.choices:
            card.poll.counts[choice] += 1
        card.poll.voter_count += 1
        await _write_card(tx, card)

    @staticmethod
    async def _preview(previewed: LinkPreviewed, tx: Transaction) -> None:
        await tx.batch("DELETE FROM preview_images WHERE post_id = :post_id", post_id=previewed.post_id)
        if previewed.preview.image_blob_id:
            await tx.batch(
                "INSERT INTO preview_images (post_id, blob_id) VALUES (:post_id, :blob_id)",
                post_id=previewed.post_id, blob_id=previewed.preview.image_blob_id,
            )
        await _redraw(tx, previewed.post_id, lambda card: card.preview.CopyFrom(previewed.preview))

    @staticmethod
    async def _edit(edited: PostEdited, event: Recorded, tx: Transaction) -> None:
        row = await tx.fetch_one("SELECT card, hidden, version FROM posts WHERE post_id = :post_id", post_id=edited.post_id)
        if row is None:
            return
        number = row["version"] + 1
        card = Post.FromString(bytes(row["card"]))
        if not card.HasField("edit_time"):
            await _revise(tx, edited.post_id, 1, card)
        card.body = edited.body
        card.language = edited.language
        card.ClearField("mentions")
        card.ClearField("tags")
        card.ClearField("attachments")
        card.ClearField("preview")
        await tx.batch("DELETE FROM preview_images WHERE post_id = :post_id", post_id=edited.post_id)
        card.warning = edited.warning
        card.sensitive = edited.sensitive and not event.erased
        card.mentions.extend(Mention(person_id=person_id) for person_id in edited.mentioned_ids)
        card.mentions.extend(Mention(community_id=community_id) for community_id in edited.mentioned_community_ids)
        card.mentions.extend(Mention(group_id=group_id) for group_id in edited.mentioned_group_ids)
        card.tags.extend(edited.tags)
        card.attachments.extend(edited.attachments)
        card.edit_time.CopyFrom(edited.edit_time)
        await tx.batch(
            "UPDATE posts SET card = :card, pictures = :pictures, version = :version WHERE post_id = :post_id",
            post_id=edited.post_id, card=card.SerializeToString(), pictures=_pictures(edited.attachments), version=number,
        )
        await _revise(tx, edited.post_id, number, card)
        await tx.batch("DELETE FROM post_tags WHERE post_id = :post_id", post_id=edited.post_id)
        if edited.tags:
            await tx.execute_many(
                "INSERT INTO post_tags (tag, post_id) VALUES (:tag, :post_id)",
                [{"tag": tag, "post_id": edited.post_id} for tag in dict.fromkeys(edited.tags)],
            )

    @staticmethod
    async def _delete(deleted: PostDeleted, event: Recorded, tx: Transaction) -> None:
        row = await tx.fetch_one(
            "SELECT card, thread_id, parent_id, scope, scope_id, version, reposted_id FROM posts WHERE post_id = :post_id",
            post_id=deleted.post_id,
        )
        if row is None:
            return
        await _leave(tx, deleted.post_id, row["reposted_id"])
        full = Post.FromString(bytes(row["card"]))
        await _unmark_best(tx, full)
        tombstone = Post(
            post_id=full.post_id, audience=full.audience, parent_id=full.parent_id, root_id=full.root_id,
            publish_time=full.publish_time, deleted=True, erased=full.erased,
        )
        await tx.batch(
            "UPDATE posts SET card = :card, hidden = 1, pictures = 0, version = :version WHERE post_id = :post_id",
            post_id=deleted.post_id, card=tombstone.SerializeToString(), version=row["version"] + 1,
        )
        await tx.batch("DELETE FROM post_tags WHERE post_id = :post_id", post_id=deleted.post_id)
        if deleted.kept:
            await kept.put_aside(tx, full)
        else:
            await tx.batch("DELETE FROM revisions WHERE post_id = :post_id", post_id=deleted.post_id)
        if row["parent_id"]:
            await _count_reply(tx, row["thread_id"], row["parent_id"], -1)
        if row["scope"] == "community" and not row["reposted_id"]:
            await tx.batch(
                "UPDATE community_activity SET post_count = post_count - 1 WHERE community_id = :community_id", community_id=row["scope_id"]
            )

    @staticmethod
    async def _restore(post_id: str, tx: Transaction) -> None:
        """Put the card back that was put aside; pins, reposts and the link's preview stay gone, and its poll stays closed."""
        row = await tx.fetch_one("SELECT thread_id, parent_id, scope, scope_id FROM posts WHERE post_id = :post_id", post_id=post_id)
        card = await kept.take_back(tx, post_id)
        if row is None or card is None:
            return
        if card.is_best_answer and not card.erased:
            await _mark(tx, card.root_id, lambda question: setattr(question, "best_answer_id", post_id))
        await tx.batch(
            "UPDATE posts SET card = :card, hidden = :hidden, pictures = :pictures WHERE post_id = :post_id",
            post_id=post_id, card=card.SerializeToString(), hidden=int(card.erased), pictures=_pictures(card.attachments),
        )
        await tx.execute_many(
            "INSERT INTO post_tags (tag, post_id) VALUES (:tag, :post_id)",
            [{"tag": tag, "post_id": post_id} for tag in dict.fromkeys(card.tags)],
        )
        if card.quoted_id:
            await tx.batch(
                "INSERT INTO quotes (quoted_id, post_id) VALUES (:quoted_id, :post_id)", quoted_id=card.quoted_id, post_id=post_id
            )
            await _redraw(tx, card.quoted_id, lambda quoted: _count_quote(quoted, 1))
        if row["parent_id"]:
            await _count_reply(tx, row["thread_id"], row["parent_id"], 1)
        if row["scope"] == "community":
            await tx.batch(
                "UPDATE community_activity SET post_count = post_count + 1 WHERE community_id = :community_id", community_id=row["scope_id"]
            )

    @staticmethod
    async def _erase(person_id: str, tx: Transaction) -> None:
        rows = await tx.fetch("SELECT post_id, reposted_id FROM posts WHERE author_id = :person_id ORDER BY post_id", person_id=person_id)
        for row in rows:
            await _leave(tx, row["post_id"], row["reposted_id"])
        rows = await tx.fetch("SELECT post_id, card FROM posts WHERE author_id = :person_id", person_id=person_id)
        changes, best = [], []
        for row in rows:
            card = Post.FromString(bytes(row["card"]))
            best += [card.root_id] if card.is_best_answer else []
            for field in _PERSONAL:
                card.ClearField(field)
            card.erased = True
            changes.append({"post_id": row["post_id"], "card": card.SerializeToString()})
        await tx.execute_many("UPDATE posts SET card = :card, hidden = 1, pictures = 0, reposted_id = '' WHERE post_id = :post_id", changes)
        for question_id in best:
            await _mark(tx, question_id, lambda card: card.ClearField("best_answer_id"))
        aside = []
        for post_id, card in (await kept.kept_of(tx, person_id)).items():
            for field in _PERSONAL:
                card.ClearField(field)
            card.erased = True
            aside.append({"post_id": post_id, "card": card.SerializeToString()})
        await tx.execute_many("UPDATE kept_posts SET card = :card WHERE post_id = :post_id", aside)
        await tx.execute_many("UPDATE revisions SET body = '', attachments = :nothing WHERE post_id = :post_id", [
            {"post_id": row["post_id"], "nothing": b""} for row in rows
        ])


async def _unmark_best(tx: Transaction, card: Post) -> None:
    """A question names no answer that is gone."""
    if card.is_best_answer:
        await _mark(tx, card.root_id, lambda question: question.ClearField("best_answer_id"))


async def _mark(tx: Transaction, post_id: str, change: Callable[[Post], None]) -> None:
    """Change a post's card, where it is deleted the one put aside."""
    await _redraw(tx, post_id, change)
    await kept.change_kept(tx, post_id, change)


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
        post_id=post_id, number=number, body=card.body,
        attachments=Post(attachments=card.attachments, warning=card.warning).SerializeToString(),
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
    await _write_card(tx, card)


async def _write_card(tx: Transaction, card: Post) -> None:
    await tx.batch("UPDATE posts SET card = :card WHERE post_id = :post_id", post_id=card.post_id, card=card.SerializeToString())


async def _leave(tx: Transaction, post_id: str, reposted_id: str) -> None:
    """Undo what a post did elsewhere: it is no repost and no quote any more, its own reposts and pins go along."""
    if reposted_id and await tx.execute("DELETE FROM reposts WHERE post_id = :post_id", post_id=post_id):
        await _redraw(tx, reposted_id, lambda card: _count_repost(card, -1))
    await tx.execute(
        "UPDATE posts SET hidden = 1 WHERE post_id IN (SELECT post_id FROM reposts WHERE original_id = :post_id)", post_id=post_id
    )
    await tx.execute("DELETE FROM reposts WHERE original_id = :post_id", post_id=post_id)
    quoting = await tx.fetch_one("SELECT quoted_id FROM quotes WHERE post_id = :post_id", post_id=post_id)
    if quoting is not None:
        await tx.execute("DELETE FROM quotes WHERE post_id = :post_id", post_id=post_id)
        await _redraw(tx, quoting["quoted_id"], lambda card: _count_quote(card, -1))
    for table in ("pins", "ballots", "open_polls", "preview_images"):
        await tx.batch(f"DELETE FROM {table} WHERE post_id = :post_id", post_id=post_id)


def _place(pin: PostPinned | PostUnpinned) -> str:
    return pin.community_id or pin.pinner_id


def _set_pinned(card: Post, community_id: str, pinned: bool) -> None:
    if community_id:
        card.pinned_in_community = pinned
    else:
        card.pinned = pinned


def _count_repost(card: Post, change: int) -> None:
    card.repost_count += change


def _count_quote(card: Post, change: int) -> None:
    card.quote_count += change


def _cover(card: Post, covered: PostCovered) -> None:
    if not card.erased:
        card.warning = covered.warning
        card.sensitive = covered.sensitive


def _close(card: Post) -> None:
    if card.HasField("poll"):
        card.poll.closed = True


def _react(card: Post, emoji: str, change: int) -> None:
    for index, counted in enumerate(card.reactions):
        if counted.emoji == emoji:
            counted.count += change
            if counted.count <= 0:
                del card.reactions[index]
            return
    if change > 0:
        card.reactions.append(ReactionCount(emoji=emoji, count=change))
