"""Timelines: candidates by source, newest first, then the posts among them that the caller may see."""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

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

Page = Callable[[Transaction, str, int], Awaitable[list[tuple[str, str]]]]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The entries of a timeline as (key, post id), whoever may see the posts.

    `older` gives those before a key, newest first. `newer` gives those after a key, oldest first; where a timeline has none, what is asked
    for is looked for from its newest end. A key is the post's id unless `key` finds another for a post (None: it does not stand there).
    """

    older: Page
    newer: Page | None = None
    key: Callable[[Transaction, str], Awaitable[str | None]] | None = None

    async def __call__(self, tx: Transaction, before: str, limit: int) -> list[tuple[str, str]]:
        """Key and post id of the entries before a key, newest first."""
        return await self.older(tx, before, limit)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of a timeline, between two keys, and what to leave out."""

    size: int
    before: str = END
    after: str = ""
    from_oldest: bool = False
    pictures: bool = False
    reposts: bool = True
    shade: Shade | None = None


async def read_timeline(tx: Transaction, caller: Caller, candidates: Candidates, wanted: Wanted) -> tuple[list[Post], str]:
    """A page of a timeline, newest first and without what its reader keeps out, and the key to go on from, which is empty at the end.

    From the oldest the key is always empty: the newest post of the page says where the next one begins.
    """
    if not wanted.from_oldest:
        return await _read(tx, caller, candidates.older, wanted, lambda key, limit: key <= limit, wanted.before, wanted.after)
    if candidates.newer is not None:
        found, _ = await _read(tx, caller, candidates.newer, wanted, lambda key, limit: key >= limit, wanted.after, wanted.before)
        return found[::-1], ""
    kept: list[Post] = []
    before = wanted.before
    for _ in range(SCANNED // BATCH):
        part, before = await read_timeline(
            tx, caller, candidates, replace(wanted, size=BATCH, before=before, from_oldest=False)
        )
        kept = [*kept, *part][-wanted.size:]
        if not before:
            break
    return kept, ""


async def _read(
    tx: Transaction, caller: Caller, page_from: Page, wanted: Wanted, past: Callable[[str, str], bool], start: str, end: str
) -> tuple[list[Post], str]:
    found: list[Post] = []
    passed_on: set[str] = set()
    at = last = start
    batch = wanted.size + 1
    scanned = 0
    while True:
        page = await page_from(tx, at, batch)
        within = page if not end else [entry for entry in page if not past(entry[0], end)]
        posts = await fetch_posts(
            tx, caller, [post_id for _, post_id in within], hidden=False, pictures=wanted.pictures, reposts=wanted.reposts
        )
        for key, post_id in within:
            if (post := posts.get(post_id)) is None or (wanted.shade is not None and wanted.shade.hides(post)):
                continue
            if post.reposted_id:  # what several people pass on stands once on a page
                if post.reposted_id in passed_on:
                    continue
                passed_on.add(post.reposted_id)
            if len(found) == wanted.size:
                return found, last
            found.append(post)
            last = key
        if len(page) < batch or len(within) < len(page):
            return found, ""
        at = page[-1][0]
        scanned += batch
        if scanned >= SCANNED:
            return found, last if len(found) == wanted.size else at
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

    async def newer(tx: Transaction, after: str, limit: int) -> list[tuple[str, str]]:
        rows = await tx.fetch(
            """
            SELECT DISTINCT post_id FROM home_entries
            WHERE reader_id = :reader_id AND post_id > :after
            ORDER BY post_id
            LIMIT :limit
            """,
            reader_id=reader_id, after=after, limit=limit,
        )
        ids = {row["post_id"] for row in rows}
        floor = await tx.fetch_one("SELECT floor FROM home_floors WHERE reader_id = :reader_id", reader_id=reader_id)
        below = floor is not None and after < floor["floor"]
        sources = [row["source"] for row in await tx.fetch(
            "SELECT source FROM subscriptions WHERE reader_id = :reader_id AND broad >= :broad", reader_id=reader_id, broad=int(not below)
        )]
        if below:
            sources += [f"person:{reader_id}", f"named:{reader_id}"]
        if sources:
            ids |= await _oldest(tx, sources, after, limit)
        return [(post_id, post_id) for post_id in sorted(ids)[:limit]]

    return Candidates(candidates, newer)


async def _oldest(tx: Transaction, sources: Sequence[str], after: str, limit: int) -> set[str]:
    """The first of each source past an id."""
    found: set[str] = set()
    for start in range(0, len(sources), MERGED_SOURCES):
        part = sources[start:start + MERGED_SOURCES]
        size = 1 << (len(part) - 1).bit_length()
        padded = [*part, *["" for _ in range(size - len(part))]]
        sql = " UNION ALL ".join(
            f"""
            SELECT post_id FROM (
                SELECT post_id FROM source_entries
                WHERE source = :s{i} AND post_id > :after
                ORDER BY post_id
                LIMIT :limit
            ) AS q{i}
            """
            for i in range(size)
        )
        rows = await tx.fetch(sql, after=after, limit=limit, **{f"s{i}": source for i, source in enumerate(padded)})
        found.update(row["post_id"] for row in rows)
    return found


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
    return _listed("source_entries", "source", source)


def of_person(person_id: str, replies: bool) -> Candidates:
    """What one person wrote and passed on."""
    return _listed("posts", "author_id", person_id) if replies else of_source(f"person:{person_id}")


def of_tag(tag: str) -> Candidates:
    """What carries a tag, replies too."""
    return _listed("post_tags", "tag", tag)


def quotes_of(post_id: str) -> Candidates:
    """What quotes a post."""
    return _listed("quotes", "quoted_id", post_id)


def direct(reader_id: str) -> Candidates:
    """Threads for the reader and other named people."""
    return _listed("thread_people", "person_id", reader_id, "thread_id")


def of_list(list_id: str) -> Candidates:
    """What the people on a list wrote."""

    async def older(tx: Transaction, before: str, limit: int) -> list[tuple[str, str]]:
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

    async def newer(tx: Transaction, after: str, limit: int) -> list[tuple[str, str]]:
        rows = await tx.fetch("SELECT 'person:' || person_id AS source FROM list_people WHERE list_id = :list_id", list_id=list_id)
        found = await _oldest(tx, [row["source"] for row in rows], after, limit)
        return [(post_id, post_id) for post_id in sorted(found)[:limit]]

    return Candidates(older, newer)


def _listed(table: str, column: str, subject: str, post_id: str = "post_id") -> Candidates:
    """The rows of a table whose `column` is the subject, by post id."""

    def page(order: str, comparison: str) -> Page:
        async def read(tx: Transaction, at: str, limit: int) -> list[tuple[str, str]]:
            rows = await tx.fetch(
                f"""
                SELECT {post_id} AS post_id FROM {table}
                WHERE {column} = :subject AND {post_id} {comparison} :at
                ORDER BY {post_id} {order}
                LIMIT :limit
                """,
                subject=subject, at=at, limit=limit,
            )
            return [(row["post_id"], row["post_id"]) for row in rows]

        return read

    return Candidates(page("DESC", "<"), page("ASC", ">"))


def pinned(place: str) -> Candidates:
    """What stands at the head of a person's or community's page, the newest pin first."""
    return _positioned("SELECT post_id, position FROM pins WHERE place = :subject", place)


def saved(reader_id: str) -> Candidates:
    """What a person saved, the newest save first."""
    return _positioned(
        "SELECT post_id, save_position AS position FROM responses WHERE person_id = :subject AND save_position > 0", reader_id
    )


def reacted(reader_id: str) -> Candidates:
    """What a person reacted to, the newest reaction first."""
    return _positioned(
        "SELECT post_id, MAX(position) AS position FROM reactions WHERE person_id = :subject GROUP BY post_id", reader_id
    )


def _positioned(entries: str, subject: str) -> Candidates:
    """Posts in the order of a position of the log, which is their key in 19 digits."""

    def page(order: str, comparison: str, start: int) -> Page:
        async def read(tx: Transaction, at: str, limit: int) -> list[tuple[str, str]]:
            rows = await tx.fetch(
                f"""
                SELECT post_id, position FROM ({entries}) AS entries
                WHERE position {comparison} :at
                ORDER BY position {order}
                LIMIT :limit
                """,
                subject=subject, at=int(at) if at not in ("", END) else start, limit=limit,
            )
            return [(f"{row['position']:019d}", row["post_id"]) for row in rows]

        return read

    async def key(tx: Transaction, post_id: str) -> str | None:
        row = await tx.fetch_one(
            f"SELECT position FROM ({entries}) AS entries WHERE post_id = :post_id", subject=subject, post_id=post_id
        )
        return f"{row['position']:019d}" if row is not None else None

    return Candidates(page("DESC", "<", 1 << 62), page("ASC", ">", 0), key)


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
