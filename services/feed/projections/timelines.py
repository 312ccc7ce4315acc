"""Timelines: fan-out on write for ordinary sources, lists to merge at read for broad ones (docs/decisions/0001-timelines.md)."""
from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1.events_pb2 import (
    MemberJoined,
    MemberLeft,
    MemberRemoved,
    PersonFollowed,
    PersonUnfollowed,
    PostDeleted,
    PostEdited,
    PostPublished,
    PostReposted,
    TagFollowed,
    TagUnfollowed,
)
from watercooler.feed.v1.moderation_events_pb2 import KeptPostDiscarded

from ..access import scope_of

# Above so many subscribers a source is broad: writing each an entry would cost its author more than the merge costs its readers.
BROAD_SUBSCRIBERS = 100
# Entries kept per reader and source group before the oldest are left to the merge at read.
KEPT_ENTRIES = 300

OWN = "own"


class Timelines:
    """The posts of each source, who subscribes to it, and the entries of home timelines.

    An entry `(reader, post, source)` stands for every listed post at or above the reader's floor that comes from a subscribed source
    which is not broad, from the reader's own hand (`own`) or from naming the reader (`named:<reader>`). Below the floor, and for broad
    sources, `source_entries` has what there is to merge. Who may see a post is decided when it is read.
    """

    name = "feed.timelines"
    handles: tuple[type[Message], ...] = (
        PostPublished, PostEdited, PostDeleted, PersonFollowed, PersonUnfollowed, TagFollowed, TagUnfollowed, MemberJoined, MemberLeft,
        MemberRemoved, PostReposted, KeptPostDiscarded,
    )
    tables: tuple[str, ...] = ("source_entries", "listed_posts", "sources", "subscriptions", "home_floors", "home_entries")

    def __init__(self, broad_subscribers: int = BROAD_SUBSCRIBERS, kept_entries: int = KEPT_ENTRIES) -> None:
        """With the two limits; smaller ones are for tests."""
        self._broad = broad_subscribers
        self._kept = kept_entries

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into sources, subscriptions and entries."""
        match event.data:
            case PostPublished() as published:
                if not published.root_id:
                    await self._publish(published, event.position, tx)
            case PostReposted() as reposted:
                await self._list(reposted.post_id, reposted.author_id, [f"person:{reposted.author_id}"], [], [], event.position, tx)
            case PostEdited() as edited:
                await self._retag(edited, event.position, tx)
            case PostDeleted() as deleted:
                if not deleted.kept:  # what is put aside may come back, and is in its place then
                    await self._delete(deleted, tx)
            case KeptPostDiscarded() as discarded:
                await self._delete(discarded, tx)
            case PersonFollowed() as followed:
                await self._subscribe(followed.follower_id, f"person:{followed.person_id}", tx)
            case PersonUnfollowed() as unfollowed:
                await self._unsubscribe(unfollowed.follower_id, f"person:{unfollowed.person_id}", tx)
            case TagFollowed() as tag:
                await self._subscribe(tag.follower_id, f"tag:{tag.tag}", tx)
            case TagUnfollowed() as tag:
                await self._unsubscribe(tag.follower_id, f"tag:{tag.tag}", tx)
            case MemberJoined() as joined:
                await self._subscribe(joined.person_id, f"community:{joined.community_id}", tx)
            case MemberLeft() | MemberRemoved() as gone:
                await self._unsubscribe(gone.person_id, f"community:{gone.community_id}", tx)

    async def _publish(self, published: PostPublished, position: int, tx: Transaction) -> None:
        scope, scope_id = scope_of(published.audience)
        subscribed = [f"person:{published.author_id}", *(f"tag:{tag}" for tag in dict.fromkeys(published.tags))]
        named: list[str] = []
        others: list[str] = []
        if scope == "community":
            subscribed.append(f"community:{scope_id}")
            others.append("company")
        elif scope == "everyone":
            others.append("company")
        elif scope == "people":
            named = [person_id for person_id in dict.fromkeys(published.audience.people.person_ids) if person_id != published.author_id]
            others += (f"named:{person_id}" for person_id in named)
        await self._list(published.post_id, published.author_id, subscribed, others, named, position, tx)

    async def _list(
        self, post_id: str, author_id: str, subscribed: list[str], others: list[str], named: list[str], position: int, tx: Transaction
    ) -> None:
        """Put a post into its sources, those that people subscribe to and others, and into home timelines."""
        sources = [*subscribed, *others]
        await tx.batch(
            "INSERT INTO listed_posts (post_id, sources) VALUES (:post_id, :sources)", post_id=post_id, sources=" ".join(sources)
        )
        await tx.execute_many(
            "INSERT INTO source_entries (source, post_id) VALUES (:source, :post_id)",
            [{"source": source, "post_id": post_id} for source in sources],
        )
        entries = [{"reader_id": author_id, "post_id": post_id, "source": OWN}]
        entries += ({"reader_id": person_id, "post_id": post_id, "source": f"named:{person_id}"} for person_id in named)
        await tx.execute_many(
            "INSERT INTO home_entries (reader_id, post_id, source) VALUES (:reader_id, :post_id, :source)", entries
        )
        await self._trim(entries[position % len(entries)]["reader_id"], tx)
        for source in subscribed:
            await self._fan_out(source, post_id, position, tx)

    async def _fan_out(self, source: str, post_id: str, position: int, tx: Transaction) -> None:
        """Write the post to each subscriber, and trim one of them in turn, so that nobody's entries grow without end."""
        if not await self._narrow(source, tx):
            return
        readers = await tx.execute(
            """
            INSERT INTO home_entries (reader_id, post_id, source)
            SELECT reader_id, :post_id, source FROM subscriptions WHERE source = :source
            """,
            source=source, post_id=post_id,
        )
        if readers > 0:
            row = await tx.fetch_one(
                "SELECT reader_id FROM subscriptions WHERE source = :source ORDER BY reader_id LIMIT 1 OFFSET :turn",
                source=source, turn=position % readers,
            )
            if row is not None:
                await self._trim(row["reader_id"], tx)

    @staticmethod
    async def _narrow(source: str, tx: Transaction) -> bool:
        """Whether somebody subscribes, and not too many."""
        row = await tx.fetch_one("SELECT broad FROM sources WHERE source = :source", source=source)
        return row is not None and row["broad"] == 0

    async def _trim(self, reader_id: str, tx: Transaction) -> None:
        row = await tx.fetch_one(
            "SELECT post_id FROM home_entries WHERE reader_id = :reader_id ORDER BY post_id DESC LIMIT 1 OFFSET :kept",
            reader_id=reader_id, kept=self._kept,
        )
        if row is not None:
            await self._raise_floor(reader_id, row["post_id"], tx)

    @staticmethod
    async def _raise_floor(reader_id: str, floor: str, tx: Transaction) -> None:
        await tx.batch("DELETE FROM home_entries WHERE reader_id = :reader_id AND post_id < :floor", reader_id=reader_id, floor=floor)
        await tx.batch(
            """
            INSERT INTO home_floors (reader_id, floor) VALUES (:reader_id, :floor)
            ON CONFLICT (reader_id) DO UPDATE
            SET floor = CASE WHEN excluded.floor > home_floors.floor THEN excluded.floor ELSE home_floors.floor END
            """,
            reader_id=reader_id, floor=floor,
        )

    async def _retag(self, edited: PostEdited, position: int, tx: Transaction) -> None:
        row = await tx.fetch_one("SELECT sources FROM listed_posts WHERE post_id = :post_id", post_id=edited.post_id)
        if row is None:
            return
        before: list[str] = row["sources"].split(" ")
        tags = [f"tag:{tag}" for tag in dict.fromkeys(edited.tags)]
        after = [source for source in before if not source.startswith("tag:")] + tags
        gone, new = [s for s in before if s not in after], [s for s in tags if s not in before]
        if not gone and not new:
            return
        await self._unlist(edited.post_id, gone, tx)
        await tx.execute_many(
            "INSERT INTO source_entries (source, post_id) VALUES (:source, :post_id)",
            [{"source": source, "post_id": edited.post_id} for source in new],
        )
        await tx.batch(
            "UPDATE listed_posts SET sources = :sources WHERE post_id = :post_id", post_id=edited.post_id, sources=" ".join(after)
        )
        for source in new:
            await self._fan_out(source, edited.post_id, position, tx)

    async def _delete(self, deleted: PostDeleted | KeptPostDiscarded, tx: Transaction) -> None:
        row = await tx.fetch_one("SELECT sources FROM listed_posts WHERE post_id = :post_id", post_id=deleted.post_id)
        if row is None:
            return
        sources: list[str] = row["sources"].split(" ")
        await self._unlist(deleted.post_id, sources, tx)
        await tx.batch("DELETE FROM listed_posts WHERE post_id = :post_id", post_id=deleted.post_id)
        readers = [deleted.author_id, *(source.removeprefix("named:") for source in sources if source.startswith("named:"))]
        await tx.execute_many(
            "DELETE FROM home_entries WHERE reader_id = :reader_id AND post_id = :post_id",
            [{"reader_id": reader_id, "post_id": deleted.post_id} for reader_id in readers],
        )

    async def _unlist(self, post_id: str, sources: Iterable[str], tx: Transaction) -> None:
        for source in sources:
            await tx.batch("DELETE FROM source_entries WHERE source = :source AND post_id = :post_id", source=source, post_id=post_id)
            if await self._narrow(source, tx):
                await tx.batch(
                    """
                    DELETE FROM home_entries
                    WHERE reader_id IN (SELECT reader_id FROM subscriptions WHERE source = :source)
                      AND post_id = :post_id AND source = :source
                    """,
                    source=source, post_id=post_id,
                )

    async def _subscribe(self, reader_id: str, source: str, tx: Transaction) -> None:
        await tx.batch(
            """
            INSERT INTO sources (source, subscriber_count, broad) VALUES (:source, 1, 0)
            ON CONFLICT (source) DO UPDATE SET subscriber_count = sources.subscriber_count + 1
            """,
            source=source,
        )
        state = await tx.fetch_one("SELECT subscriber_count, broad FROM sources WHERE source = :source", source=source)
        assert state is not None
        await tx.batch(
            "INSERT INTO subscriptions (source, reader_id, broad) VALUES (:source, :reader_id, :broad)",
            source=source, reader_id=reader_id, broad=state["broad"],
        )
        if state["broad"]:
            return
        if state["subscriber_count"] > self._broad:
            await self._broaden(source, tx)
        else:
            await self._back_fill(reader_id, source, tx)

    async def _broaden(self, source: str, tx: Transaction) -> None:
        """From now on the source is merged at read; it stays so, lest it swing to and fro at the limit."""
        await tx.batch(
            """
            DELETE FROM home_entries
            WHERE reader_id IN (SELECT reader_id FROM subscriptions WHERE source = :source) AND source = :source
            """,
            source=source,
        )
        await tx.batch("UPDATE sources SET broad = 1 WHERE source = :source", source=source)
        await tx.batch("UPDATE subscriptions SET broad = 1 WHERE source = :source", source=source)

    async def _back_fill(self, reader_id: str, source: str, tx: Transaction) -> None:
        """Give the reader the newest of the source at once; what is older than that comes from the merge."""
        floor_row = await tx.fetch_one("SELECT floor FROM home_floors WHERE reader_id = :reader_id", reader_id=reader_id)
        floor = floor_row["floor"] if floor_row else ""
        rows = await tx.fetch(
            "SELECT post_id FROM source_entries WHERE source = :source AND post_id >= :floor ORDER BY post_id DESC LIMIT :limit",
            source=source, floor=floor, limit=self._kept + 1,
        )
        if not rows:
            return
        await tx.execute_many(
            "INSERT INTO home_entries (reader_id, post_id, source) VALUES (:reader_id, :post_id, :source)",
            [{"reader_id": reader_id, "post_id": row["post_id"], "source": source} for row in rows],
        )
        if len(rows) > self._kept:
            await self._raise_floor(reader_id, rows[-1]["post_id"], tx)
        await self._trim(reader_id, tx)

    @staticmethod
    async def _unsubscribe(reader_id: str, source: str, tx: Transaction) -> None:
        await tx.batch("DELETE FROM subscriptions WHERE source = :source AND reader_id = :reader_id", source=source, reader_id=reader_id)
        await tx.batch("UPDATE sources SET subscriber_count = subscriber_count - 1 WHERE source = :source", source=source)
        await tx.batch("DELETE FROM home_entries WHERE reader_id = :reader_id AND source = :source", source=source, reader_id=reader_id)
