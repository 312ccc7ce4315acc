"""Timelines: candidates by source, newest first, then the posts among them that the caller may see."""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from libs.db.database import Transaction, in_list
from libs.rpc.auth import Caller
from watercooler.feed.v1.feed_service_pb2 import Post

from .posts import fetch_posts
from .reading import Shade

# Keys that page a timeline (ids, or positions with leading zeros) are all less than this.
END = "~"
# One page looks at no more than so many posts that the caller may not see; the next goes on from there.
SCANNED = 2_000
BATCH = 200
MERGED_SOURCES = 64

Candidates = Callable[[Transaction, str, int], Awaitable[list[tuple[str, str]]]]
"""Key and post id of the entries before a key, newest first."""


async def read_timeline(
    tx: Transaction, caller: Caller, candidates: Candidates, before: str, size: int, *, pictures: bool = False, shade: Shade | None = None
) -> tuple[list[Post], str]:
    """A page of a timeline, without what its reader keeps out, and the key to go on from, which is empty at the end."""
    found: list[Post] = []
    last = before
    batch = size + 1
    scanned = 0
    while True:
        page = await candidates(tx, before, batch)
        posts = await fetch_posts(tx, caller, [post_id for _, post_id in page], hidden=False, pictures=pictures)
        for key, post_id in page:
            if (post := posts.get(post_id)) is None or (shade is not None and shade.hides(post)):
                continue
            if len(found) == size:
                return found, last
            found.append(post)
            last = key
        if len(page) < batch:
            return found, ""
        before = page[-1][0]
        scanned += batch
        if scanned >= SCANNED:
            return found, last if len(found) == size else before
        batch = min(BATCH, batch * 2)


def home(reader_id: str) -> Candidates:
    """What a person follows, is a member of, wrote or is named by."""

    async def candidates(tx: Transaction, before: str, limit: int) -> list[tuple[str, str]]:
        rows = await tx.fetch(
            """
            SELECT DISTINCT post_id FROM home_entries
            WHERE reader_id = :reader_id AND post_id < :before
            ORDER BY post_id DESC
            LIMIT :limit
            """,
            reader_id=reader_id, before=before, limit=limit,
        )
        ids = [row["post_id"] for row in rows]
        state = await tx.fetch(
            """
            SELECT floor AS value, 0 AS broad FROM home_floors WHERE reader_id = :reader_id
            UNION ALL
            SELECT source AS value, 1 AS broad FROM subscriptions WHERE reader_id = :reader_id AND broad = 1
            """,
            reader_id=reader_id,
        )
        floor = next((row["value"] for row in state if not row["broad"]), "")
        below = bool(floor) and (len(ids) < limit or ids[-1] < floor)
        if below or any(row["broad"] for row in state):
            heads = await _heads(tx, reader_id, before, narrow_too=below)
            ids = sorted({*ids, *await _merge(tx, heads, ids, before, limit)}, reverse=True)[:limit]
        return [(post_id, post_id) for post_id in ids]

    return candidates


async def _heads(tx: Transaction, reader_id: str, before: str, *, narrow_too: bool) -> dict[str, str]:
    """The newest post of each subscribed source: of the broad ones, or of all and of what is the reader's own."""
    rows = await tx.fetch(
        """
        SELECT s.source, (
            SELECT e.post_id FROM source_entries e
            WHERE e.source = s.source AND e.post_id < :before
            ORDER BY e.post_id DESC
            LIMIT 1
        ) AS head
        FROM subscriptions s
        WHERE s.reader_id = :reader_id AND s.broad >= :broad
        """,
        reader_id=reader_id, before=before, broad=0 if narrow_too else 1,
    )
    heads = {row["source"]: row["head"] for row in rows if row["head"] is not None}
    if narrow_too:  # their heads are not worth a query: END lets them into the merge
        heads |= {f"person:{reader_id}": END, f"named:{reader_id}": END}
    return heads


async def _merge(tx: Transaction, heads: Mapping[str, str], known: Sequence[str], before: str, limit: int) -> set[str]:
    """The newest of all the sources together, as far as they are newer than the oldest of a full list of `known` ones.

    When a whole page of sources have something newer than a post, that post is not on the page: most sources need not be asked.
    """
    newest = sorted((head for head in heads.values() if head != END), reverse=True)
    low = newest[limit - 1] if len(newest) >= limit else ""
    if len(known) >= limit:
        low = max(low, known[-1])
    sources = [source for source, head in heads.items() if head >= low]
    found: set[str] = set()
    for start in range(0, len(sources), MERGED_SOURCES):
        part = sources[start:start + MERGED_SOURCES]
        size = 1 << (len(part) - 1).bit_length()  # few distinct statements to prepare
        padded = [*part, *["" for _ in range(size - len(part))]]
        sql = " UNION ALL ".join(
            f"""
            SELECT post_id FROM (
                SELECT post_id FROM source_entries
                WHERE source = :s{i} AND post_id < :before AND post_id >= :low
                ORDER BY post_id DESC
                LIMIT :limit
            ) AS q{i}
            """
            for i in range(size)
        )
        rows = await tx.fetch(sql, before=before, low=low, limit=limit, **{f"s{i}": source for i, source in enumerate(padded)})
        found.update(row["post_id"] for row in rows)
    return found


def of_source(source: str) -> Candidates:
    """One source: `company`, or `community:` with an id."""
    return _listed(
        """
        SELECT post_id FROM source_entries
        WHERE source = :subject AND post_id < :before
        ORDER BY post_id DESC
        LIMIT :limit
        """,
        source,
    )


def of_person(person_id: str, replies: bool) -> Candidates:
    """What one person wrote."""
    if replies:
        return _listed(
            "SELECT post_id FROM posts WHERE author_id = :subject AND post_id < :before ORDER BY post_id DESC LIMIT :limit", person_id
        )
    return _listed(
        """
        SELECT post_id FROM source_entries
        WHERE source = :subject AND post_id < :before
        ORDER BY post_id DESC
        LIMIT :limit
        """,
        f"person:{person_id}",
    )


def of_tag(tag: str) -> Candidates:
    """What carries a tag, replies too."""
    return _listed("SELECT post_id FROM post_tags WHERE tag = :subject AND post_id < :before ORDER BY post_id DESC LIMIT :limit", tag)


def _listed(sql: str, subject: str) -> Candidates:
    async def candidates(tx: Transaction, before: str, limit: int) -> list[tuple[str, str]]:
        rows = await tx.fetch(sql, subject=subject, before=before, limit=limit)
        return [(row["post_id"], row["post_id"]) for row in rows]

    return candidates


def of_list(list_id: str) -> Candidates:
    """What the people on a list wrote."""

    async def candidates(tx: Transaction, before: str, limit: int) -> list[tuple[str, str]]:
        rows = await tx.fetch(
            """
            SELECT 'person:' || l.person_id AS source, (
                SELECT e.post_id FROM source_entries e
                WHERE e.source = 'person:' || l.person_id AND e.post_id < :before
                ORDER BY e.post_id DESC
                LIMIT 1
            ) AS head
            FROM list_people l
            WHERE l.list_id = :list_id
            """,
            list_id=list_id, before=before,
        )
        heads = {row["source"]: row["head"] for row in rows if row["head"] is not None}
        found = await _merge(tx, heads, (), before, limit) if heads else set()
        return [(post_id, post_id) for post_id in sorted(found, reverse=True)[:limit]]

    return candidates


def saved(reader_id: str) -> Candidates:
    """What a person saved, the newest save first."""

    async def candidates(tx: Transaction, before: str, limit: int) -> list[tuple[str, str]]:
        rows = await tx.fetch(
            """
            SELECT save_position, post_id FROM responses
            WHERE person_id = :reader_id AND save_position > 0 AND save_position < :before
            ORDER BY save_position DESC
            LIMIT :limit
            """,
            reader_id=reader_id, before=int(before) if before != END else 1 << 62, limit=limit,
        )
        return [(f"{row['save_position']:019d}", row["post_id"]) for row in rows]

    return candidates


async def at_home_with(tx: Transaction, post_id: str, author_id: str, person_ids: Sequence[str]) -> set[str]:
    """In whose home timelines a post stands, of these people, access apart; nobody's where it is a reply."""
    row = await tx.fetch_one("SELECT sources FROM listed_posts WHERE post_id = :post_id", post_id=post_id)
    if row is None:
        return set()
    sources: list[str] = row["sources"].split(" ")
    wanted, params = in_list("p", person_ids)
    of, of_params = in_list("s", sources)
    rows = await tx.fetch(
        f"SELECT DISTINCT reader_id FROM subscriptions WHERE source IN ({of}) AND reader_id IN ({wanted})", **params, **of_params
    )
    named = {source.removeprefix("named:") for source in sources if source.startswith("named:")}
    return {row["reader_id"] for row in rows} | ((named | {author_id}) & set(person_ids))
