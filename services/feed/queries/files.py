"""Which stored files posts and people show."""
from __future__ import annotations

import asyncio
from collections.abc import Iterable

from libs.db.database import Database, Row, Transaction, in_list
from watercooler.feed.v1.feed_service_pb2 import Author, Post

_READ_AT_ONCE = 200


async def discard(tx: Transaction, blob_ids: Iterable[str]) -> None:
    """Note files that are to be deleted as soon as nothing shows them."""
    await tx.execute_many(
        """
        INSERT INTO discarded_files (blob_id) VALUES (:blob_id)
        ON CONFLICT (blob_id) DO NOTHING
        """,
        [{"blob_id": blob_id} for blob_id in sorted(blob_ids)],
    )


async def discarded(database: Database, after: str, limit: int) -> list[str]:
    """Files that are to be deleted, in order, past one of them."""
    rows = await database.fetch(
        "SELECT blob_id FROM discarded_files WHERE blob_id > :after ORDER BY blob_id LIMIT :limit", after=after, limit=limit
    )
    return [row["blob_id"] for row in rows]


async def settle(tx: Transaction, blob_id: str) -> None:
    """Note that a file is deleted."""
    await tx.execute("DELETE FROM discarded_files WHERE blob_id = :blob_id", blob_id=blob_id)


async def files_of(tx: Transaction, author_id: str) -> set[str]:
    """The files of everything a person wrote, earlier versions too."""
    cards = await tx.fetch("SELECT card FROM posts WHERE author_id = :author_id AND pictures = 1", author_id=author_id)
    revisions = await tx.fetch(
        """
        SELECT r.attachments AS card FROM revisions r JOIN posts p ON p.post_id = r.post_id
        WHERE p.author_id = :author_id
        """,
        author_id=author_id,
    )
    aside = await tx.fetch(
        "SELECT k.card FROM kept_posts k JOIN posts p ON p.post_id = k.post_id WHERE p.author_id = :author_id", author_id=author_id
    )
    previews = await tx.fetch(
        "SELECT i.blob_id FROM preview_images i JOIN posts p ON p.post_id = i.post_id WHERE p.author_id = :author_id", author_id=author_id
    )
    return _files([*cards, *revisions, *aside]) | {row["blob_id"] for row in previews}


async def unused(database: Database, blob_ids: Iterable[str]) -> set[str]:
    """Those of the files that no post, earlier version, photo or emoji shows; reads all posts with pictures, in many small pieces."""
    left = set(blob_ids)
    for first, more in (
        (
            "SELECT post_id, 0 AS number, card FROM kept_posts ORDER BY post_id LIMIT :limit",
            "SELECT post_id, 0 AS number, card FROM kept_posts WHERE post_id > :post_id ORDER BY post_id LIMIT :limit",
        ),
        (
            "SELECT post_id, 0 AS number, card FROM posts WHERE pictures = 1 ORDER BY post_id LIMIT :limit",
            "SELECT post_id, 0 AS number, card FROM posts WHERE pictures = 1 AND post_id > :post_id ORDER BY post_id LIMIT :limit",
        ),
        (
            """
            SELECT post_id, number, attachments AS card FROM revisions ORDER BY post_id, number LIMIT :limit
            """,
            """
            SELECT post_id, number, attachments AS card FROM revisions
            WHERE post_id > :post_id OR (post_id = :post_id AND number > :number)
            ORDER BY post_id, number
            LIMIT :limit
            """,
        ),
    ):
        rows = await database.fetch(first, limit=_READ_AT_ONCE)
        while rows and left:
            left -= _files(rows)
            await asyncio.sleep(0)
            last = rows[-1]
            given = {"post_id": last["post_id"], "number": last["number"]} if ":number" in more else {"post_id": last["post_id"]}
            rows = await database.fetch(more, limit=_READ_AT_ONCE, **given)
    if left:
        wanted, params = in_list("b", sorted(left))
        rows = await database.fetch(f"SELECT DISTINCT blob_id FROM preview_images WHERE blob_id IN ({wanted})", **params)
        left -= {row["blob_id"] for row in rows}
    if left:
        people = await database.fetch("SELECT card FROM people WHERE photo_blob_id <> ''")
        left -= {Author.FromString(bytes(row["card"])).photo_blob_id for row in people}
    if left:
        left -= {row["blob_id"] for row in await database.fetch("SELECT blob_id FROM custom_emoji")}
    return left


def _files(rows: Iterable[Row]) -> set[str]:
    return {attachment.blob_id for row in rows for attachment in Post.FromString(bytes(row["card"])).attachments}
