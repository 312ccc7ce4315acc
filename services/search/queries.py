"""What search reads from its tables: the keys of a reader, the names in results, the parts of a document."""
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from libs.db.database import Reader, Transaction, in_list
from libs.rpc.auth import Caller
from libs.searchindex.index import READER_AUDIENCE_MAX

EMPLOYEES = "employee"


def person_key(person_id: str) -> str:
    """What only this person may find."""
    return f"person:{person_id}"


def community_key(community_id: str) -> str:
    """What the readers of this community may find."""
    return f"community:{community_id}"


def followers_key(person_id: str) -> str:
    """What the followers of this person may find."""
    return f"followers:{person_id}"


def group_key(group_id: str) -> str:
    """What the members of this group may find."""
    return f"group:{group_id}"


async def reader_keys(reader: Reader, caller: Caller) -> list[str]:
    """Everything that lets this caller find a document: the one place of this service that knows audience.

    A document of an open community carries the community's key like any other, so that a community that closes is closed at once.
    Past 10,000 keys the reader's open communities count first by id; the rest is not found until the reader joins.
    """
    person_id = caller.person_id
    if not person_id:
        return []
    keys = [person_key(person_id)]
    for row in await reader.fetch("SELECT community_id FROM members WHERE person_id = :id", id=person_id):
        keys.append(community_key(row["community_id"]))
    if caller.is_guest:
        return keys[:READER_AUDIENCE_MAX]
    keys.append(EMPLOYEES)
    for row in await reader.fetch("SELECT group_id FROM group_members WHERE person_id = :id", id=person_id):
        keys.append(group_key(row["group_id"]))
    for row in await reader.fetch("SELECT person_id FROM followed_people WHERE follower_id = :id", id=person_id):
        keys.append(followers_key(row["person_id"]))
    keys.append(followers_key(person_id))
    left = READER_AUDIENCE_MAX - len(keys)
    if left > 0:
        for row in await reader.fetch("SELECT community_id FROM communities WHERE open = 1 ORDER BY community_id LIMIT :left", left=left):
            keys.append(community_key(row["community_id"]))
    return list(dict.fromkeys(keys))[:READER_AUDIENCE_MAX]


async def people(reader: Reader, ids: Iterable[str]) -> Mapping[str, tuple[str, str]]:
    """Display name and photo by person id."""
    names, values = in_list("ids", sorted(set(ids)))
    rows = await reader.fetch(f"SELECT person_id, display_name, photo_blob_id FROM people WHERE person_id IN ({names})", **values)
    return {row["person_id"]: (row["display_name"], row["photo_blob_id"]) for row in rows}


async def community_names(reader: Reader, ids: Iterable[str]) -> Mapping[str, str]:
    """Name by community id."""
    names, values = in_list("ids", sorted(set(ids)))
    rows = await reader.fetch(f"SELECT community_id, name FROM communities WHERE community_id IN ({names})", **values)
    return {row["community_id"]: row["name"] for row in rows}


async def document(reader: Reader, document_id: str) -> dict[str, Any] | None:
    """The remembered part of a document."""
    row = await reader.fetch_one("SELECT content FROM documents WHERE document_id = :id", id=document_id)
    content: dict[str, Any] | None = json.loads(row["content"]) if row else None
    return content


async def keep_document(tx: Transaction, document_id: str, author_id: str, content: Mapping[str, Any]) -> None:
    """Remember a document's part."""
    await tx.execute(
        """
        INSERT INTO documents (document_id, author_id, content) VALUES (:id, :author_id, :content)
        ON CONFLICT (document_id) DO UPDATE SET author_id = excluded.author_id, content = excluded.content
        """,
        id=document_id, author_id=author_id, content=json.dumps(content, ensure_ascii=False),
    )


async def forget_document(tx: Transaction, document_id: str) -> None:
    """Forget a document's part."""
    await tx.execute("DELETE FROM documents WHERE document_id = :id", id=document_id)


async def authored(reader: Reader, author_id: str) -> list[str]:
    """The documents this person wrote."""
    return [row["document_id"] for row in await reader.fetch("SELECT document_id FROM documents WHERE author_id = :id", id=author_id)]


async def ask_for_rebuild(tx: Transaction, part: str, now: int) -> None:
    """Have the runtime rebuild a part of this service; one that was asked for before and has not begun is the same."""
    await tx.execute(
        """
        INSERT INTO rebuild_requests (part, request_time) VALUES (:part, :now)
        ON CONFLICT (part) DO UPDATE
        SET request_time = excluded.request_time, done = 0, total = 0, finish_time = 0, problem = ''
        """,
        part=part, now=now,
    )
