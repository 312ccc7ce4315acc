"""How people shape what they read. All of it is theirs alone, and goes with them."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1.events_pb2 import AuthorErased
from watercooler.feed.v1.reading_events_pb2 import (
    EmojiAdded,
    EmojiRemoved,
    FilterDeleted,
    FilterSaved,
    ListChanged,
    ListCreated,
    ListDeleted,
    ListPersonAdded,
    ListPersonRemoved,
    MarkerMoved,
    PersonBlocked,
    PersonMuted,
    PersonNoted,
    PersonUnblocked,
    PersonUnmuted,
)
from watercooler.feed.v1.reading_service_pb2 import Filter


class Bonds:
    """Mutes, blocks and notes: one row for two people, while there is something between them."""

    name = "feed.bonds"
    handles: tuple[type[Message], ...] = (PersonMuted, PersonUnmuted, PersonBlocked, PersonUnblocked, PersonNoted, AuthorErased)
    tables: tuple[str, ...] = ("bonds",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the row of the two."""
        match event.data:
            case PersonMuted() as muted:
                await _bind(
                    tx, muted.person_id, muted.muted_id, mute_position=event.position, silenced=int(muted.notifications),
                    expire_time=muted.expire_time.ToMicroseconds() if muted.HasField("expire_time") else 0,
                )
            case PersonUnmuted() as unmuted:
                await _bind(tx, unmuted.person_id, unmuted.muted_id, mute_position=0, silenced=0, expire_time=0)
            case PersonBlocked() as blocked:
                await _bind(tx, blocked.person_id, blocked.blocked_id, block_position=event.position)
            case PersonUnblocked() as unblocked:
                await _bind(tx, unblocked.person_id, unblocked.blocked_id, block_position=0)
            case PersonNoted() as noted:
                await _bind(tx, noted.person_id, noted.noted_id, note=noted.note)
            case AuthorErased() as erased:
                await tx.batch(
                    "DELETE FROM bonds WHERE person_id = :person_id OR other_id = :person_id", person_id=erased.person_id
                )


async def _bind(tx: Transaction, person_id: str, other_id: str, **changes: str | int) -> None:
    found = await tx.fetch_one(
        """
        SELECT mute_position, silenced, expire_time, block_position, note FROM bonds
        WHERE person_id = :person_id AND other_id = :other_id
        """,
        person_id=person_id, other_id=other_id,
    )
    row: dict[str, str | int] = {"mute_position": 0, "silenced": 0, "expire_time": 0, "block_position": 0, "note": ""}
    if found is not None:
        row = {column: found[column] for column in row}
    row |= changes
    if not (row["mute_position"] or row["block_position"] or row["note"]):
        await tx.batch("DELETE FROM bonds WHERE person_id = :person_id AND other_id = :other_id", person_id=person_id, other_id=other_id)
        return
    await tx.batch(
        """
        INSERT INTO bonds (person_id, other_id, mute_position, silenced, expire_time, block_position, note)
        VALUES (:person_id, :other_id, :mute_position, :silenced, :expire_time, :block_position, :note)
        ON CONFLICT (person_id, other_id) DO UPDATE
        SET mute_position = excluded.mute_position, silenced = excluded.silenced, expire_time = excluded.expire_time,
            block_position = excluded.block_position, note = excluded.note
        """,
        person_id=person_id, other_id=other_id, **row,
    )


class PeopleLists:
    """Lists and who is on them."""

    name = "feed.lists"
    handles: tuple[type[Message], ...] = (ListCreated, ListChanged, ListDeleted, ListPersonAdded, ListPersonRemoved, AuthorErased)
    tables: tuple[str, ...] = ("people_lists", "list_people")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the two tables."""
        match event.data:
            case ListCreated() as created:
                await tx.batch(
                    """
                    INSERT INTO people_lists (list_id, owner_id, title, exclusive) VALUES (:list_id, :owner_id, :title, :exclusive)
                    """,
                    list_id=created.list_id, owner_id=created.owner_id, title=created.title, exclusive=int(created.exclusive),
                )
            case ListChanged() as changed:
                await tx.batch(
                    "UPDATE people_lists SET title = :title, exclusive = :exclusive WHERE list_id = :list_id",
                    list_id=changed.list_id, title=changed.title, exclusive=int(changed.exclusive),
                )
            case ListDeleted() as deleted:
                await tx.batch("DELETE FROM list_people WHERE list_id = :list_id", list_id=deleted.list_id)
                await tx.batch("DELETE FROM people_lists WHERE list_id = :list_id", list_id=deleted.list_id)
            case ListPersonAdded() as added:
                await tx.batch(
                    "INSERT INTO list_people (list_id, person_id, position) VALUES (:list_id, :person_id, :position)",
                    list_id=added.list_id, person_id=added.person_id, position=event.position,
                )
            case ListPersonRemoved() as removed:
                await tx.batch(
                    "DELETE FROM list_people WHERE list_id = :list_id AND person_id = :person_id",
                    list_id=removed.list_id, person_id=removed.person_id,
                )
            case AuthorErased() as erased:
                await tx.batch(
                    """
                    DELETE FROM list_people
                    WHERE person_id = :person_id OR list_id IN (SELECT list_id FROM people_lists WHERE owner_id = :person_id)
                    """,
                    person_id=erased.person_id,
                )
                await tx.batch("DELETE FROM people_lists WHERE owner_id = :person_id", person_id=erased.person_id)


class Filters:
    """Filters as they are applied when their owner reads."""

    name = "feed.filters"
    handles: tuple[type[Message], ...] = (FilterSaved, FilterDeleted, AuthorErased)
    tables: tuple[str, ...] = ("reading_filters",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the filter's row."""
        match event.data:
            case FilterSaved() as saved:
                kept = Filter(
                    filter_id=saved.filter_id, title=saved.title, keywords=saved.keywords, contexts=saved.contexts, action=saved.action
                )
                if saved.HasField("expire_time"):
                    kept.expire_time.CopyFrom(saved.expire_time)
                await tx.batch(
                    """
                    INSERT INTO reading_filters (filter_id, owner_id, filter) VALUES (:filter_id, :owner_id, :filter)
                    ON CONFLICT (filter_id) DO UPDATE SET filter = excluded.filter
                    """,
                    filter_id=saved.filter_id, owner_id=saved.owner_id, filter=kept.SerializeToString(),
                )
            case FilterDeleted() as deleted:
                await tx.batch("DELETE FROM reading_filters WHERE filter_id = :filter_id", filter_id=deleted.filter_id)
            case AuthorErased() as erased:
                await tx.batch("DELETE FROM reading_filters WHERE owner_id = :person_id", person_id=erased.person_id)


class Markers:
    """How far people have read."""

    name = "feed.markers"
    handles: tuple[type[Message], ...] = (MarkerMoved, AuthorErased)
    tables: tuple[str, ...] = ("reading_markers",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Move the marker."""
        match event.data:
            case MarkerMoved() as moved:
                await tx.batch(
                    """
                    INSERT INTO reading_markers (person_id, timeline, last_read_id, version, update_time)
                    VALUES (:person_id, :timeline, :last_read_id, 1, :update_time)
                    ON CONFLICT (person_id, timeline) DO UPDATE
                    SET last_read_id = excluded.last_read_id, version = reading_markers.version + 1, update_time = excluded.update_time
                    """,
                    person_id=moved.person_id, timeline=moved.timeline, last_read_id=moved.last_read_id,
                    update_time=moved.update_time.ToMicroseconds(),
                )
            case AuthorErased() as erased:
                await tx.batch("DELETE FROM reading_markers WHERE person_id = :person_id", person_id=erased.person_id)


class CustomEmojis:
    """The organisation's own emoji; they stay when who added them goes."""

    name = "feed.emoji"
    handles: tuple[type[Message], ...] = (EmojiAdded, EmojiRemoved)
    tables: tuple[str, ...] = ("custom_emoji",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Add or remove the picture."""
        match event.data:
            case EmojiAdded() as added:
                await tx.batch(
                    "INSERT INTO custom_emoji (shortcode, blob_id, category) VALUES (:shortcode, :blob_id, :category)",
                    shortcode=added.shortcode, blob_id=added.blob_id, category=added.category,
                )
            case EmojiRemoved() as removed:
                await tx.batch("DELETE FROM custom_emoji WHERE shortcode = :shortcode", shortcode=removed.shortcode)
