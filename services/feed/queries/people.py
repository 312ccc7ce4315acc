"""People, follows and tags, as far as the feed knows them."""
from __future__ import annotations

from collections.abc import Iterable, Sequence

from libs.db.database import Row, Transaction, in_list
from watercooler.feed.v1.feed_service_pb2 import Author

_CHUNK = 256


async def fetch_person(tx: Transaction, person_id: str) -> Row | None:
    """A person's row: state, roles and card."""
    return await tx.fetch_one(
        "SELECT person_id, employee, guest, departed, erased, card FROM people WHERE person_id = :person_id", person_id=person_id
    )


async def present(tx: Transaction, person_ids: Sequence[str]) -> set[str]:
    """Those of the people who exist and have neither left nor been erased."""
    placeholders, params = in_list("i", person_ids)
    rows = await tx.fetch(f"SELECT person_id FROM people WHERE person_id IN ({placeholders}) AND departed = 0 AND erased = 0", **params)
    return {row["person_id"] for row in rows}


async def by_handle(tx: Transaction, handles: Sequence[str]) -> list[str]:
    """The people with these handles, in the order of the handles; unknown ones are left out."""
    placeholders, params = in_list("i", handles)
    rows = await tx.fetch(
        f"SELECT handle, person_id FROM people WHERE handle IN ({placeholders}) AND departed = 0 AND erased = 0", **params
    )
    found = {row["handle"]: row["person_id"] for row in rows}
    return [found[handle] for handle in handles if handle in found]


async def by_key(tx: Transaction, keys: Iterable[str], source: str) -> dict[str, str]:
    """People by whatever a source calls them: id, e-mail, handle, employee number, or external key with or without its source.

    Where a key fits several people, nobody is found under it; the key of this source comes first, then the order above.
    """
    wanted = sorted({key for key in keys if key})
    by_form: dict[str, list[str]] = {}
    for key in wanted:
        for form in (key, key.casefold(), key.casefold().removeprefix("@"), f"{source}:{key}"):
            by_form.setdefault(form, []).append(key)
    found: dict[str, set[str]] = {}
    for column, table in (
        ("external_key", "external_keys"), ("person_id", "people"), ("email", "people"), ("handle", "people"),
        ("employee_number", "people"), ("bare_key", "external_keys"),
    ):
        fresh: dict[str, set[str]] = {}
        forms = [form for form, of in by_form.items() if any(key not in found for key in of)]
        for start in range(0, len(forms), _CHUNK):
            placeholders, params = in_list("i", forms[start:start + _CHUNK])
            rows = await tx.fetch(f"SELECT {column} AS form, person_id FROM {table} WHERE {column} IN ({placeholders})", **params)
            for row in rows:
                for key in by_form[row["form"]]:
                    fresh.setdefault(key, set()).add(row["person_id"])
        for key, people in fresh.items():
            found.setdefault(key, people)
    return {key: next(iter(people)) for key, people in found.items() if len(people) == 1}


async def group_exists(tx: Transaction, group_id: str) -> bool:
    """Whether the directory has the group."""
    return await tx.fetch_one("SELECT 1 AS one FROM directory_groups WHERE group_id = :group_id", group_id=group_id) is not None


async def in_group(tx: Transaction, group_id: str, person_id: str) -> bool:
    """Whether the person is a member of the group."""
    row = await tx.fetch_one(
        "SELECT 1 AS one FROM group_members WHERE group_id = :group_id AND person_id = :person_id", group_id=group_id, person_id=person_id
    )
    return row is not None


async def relation(tx: Transaction, reader_id: str, person_id: str) -> Row:
    """Whether the two follow each other, and the person's counts."""
    row = await tx.fetch_one(
        """
        SELECT
            (SELECT COUNT(*) FROM follows WHERE follower_id = :reader_id AND person_id = :person_id) AS following,
            (SELECT COUNT(*) FROM follows WHERE follower_id = :person_id AND person_id = :reader_id) AS followed_by,
            COALESCE((SELECT follower_count FROM follow_counts WHERE person_id = :person_id), 0) AS follower_count,
            COALESCE((SELECT following_count FROM follow_counts WHERE person_id = :person_id), 0) AS following_count
        """,
        reader_id=reader_id, person_id=person_id,
    )
    assert row is not None
    return row


async def count_follows(tx: Transaction, follower_id: str) -> int:
    """How many people and tags a person follows."""
    row = await tx.fetch_one(
        """
        SELECT COALESCE((SELECT following_count FROM follow_counts WHERE person_id = :follower_id), 0)
             + (SELECT COUNT(*) FROM followed_tags WHERE follower_id = :follower_id) AS total
        """,
        follower_id=follower_id,
    )
    return int(row["total"]) if row else 0


async def followers(tx: Transaction, person_id: str, before: int, limit: int) -> list[tuple[int, Author]]:
    """Who follows a person, the newest first, with the position that pages."""
    return _authors(await tx.fetch(
        """
        SELECT f.position, f.follower_id AS person_id, a.card
        FROM follows f
        LEFT JOIN people a ON a.person_id = f.follower_id
        WHERE f.person_id = :person_id AND f.position < :before
        ORDER BY f.position DESC
        LIMIT :limit
        """,
        person_id=person_id, before=before, limit=limit,
    ))


async def followed(tx: Transaction, person_id: str, before: int, limit: int) -> list[tuple[int, Author]]:
    """Whom a person follows, the newest first, with the position that pages."""
    return _authors(await tx.fetch(
        """
        SELECT f.position, f.person_id, a.card
        FROM follows f
        LEFT JOIN people a ON a.person_id = f.person_id
        WHERE f.follower_id = :person_id AND f.position < :before
        ORDER BY f.position DESC
        LIMIT :limit
        """,
        person_id=person_id, before=before, limit=limit,
    ))


def _authors(rows: Sequence[Row]) -> list[tuple[int, Author]]:
    return [
        (row["position"], Author.FromString(row["card"]) if row["card"] is not None else Author(person_id=row["person_id"])) for row in rows
    ]


async def tag_state(tx: Transaction, reader_id: str, tags: Sequence[str]) -> dict[str, tuple[bool, int]]:
    """For each tag whether the reader follows it, and its number of followers."""
    placeholders, params = in_list("t", tags)
    followed_rows = await tx.fetch(
        f"SELECT tag FROM followed_tags WHERE follower_id = :reader_id AND tag IN ({placeholders})", reader_id=reader_id, **params
    )
    count_rows = await tx.fetch(f"SELECT tag, follower_count FROM tag_followers WHERE tag IN ({placeholders})", **params)
    following = {row["tag"] for row in followed_rows}
    counts = {row["tag"]: row["follower_count"] for row in count_rows}
    return {tag: (tag in following, counts.get(tag, 0)) for tag in tags}


async def followed_tags(tx: Transaction, reader_id: str, limit: int) -> list[str]:
    """The tags a person follows, in order."""
    rows = await tx.fetch(
        "SELECT tag FROM followed_tags WHERE follower_id = :reader_id ORDER BY tag LIMIT :limit", reader_id=reader_id, limit=limit
    )
    return [row["tag"] for row in rows]
