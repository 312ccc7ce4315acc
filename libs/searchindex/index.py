"""What a search index is to the services: documents in, hits out, every answer filtered by audience.

An index is a read model that can always be rebuilt from events. Each document carries the opaque audience keys that may find it and each
query the keys of its reader; a document is found only where they share one. Writes carry the position of the event that caused them, so a
write that arrives late or twice changes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

BODY_BYTES_MAX: Final = 64 * 1024
TITLE_LENGTH_MAX: Final = 1_000
NAME_LENGTH_MAX: Final = 400
NAMES_MAX: Final = 100
TAGS_MAX: Final = 50
TAG_LENGTH_MAX: Final = 200
KEY_LENGTH_MAX: Final = 200
DOCUMENT_AUDIENCE_MAX: Final = 1_000
READER_AUDIENCE_MAX: Final = 10_000
EXTRA_BYTES_MAX: Final = 4 * 1024
QUERY_LENGTH_MAX: Final = 500
LIMIT_MAX: Final = 100
OFFSET_MAX: Final = 10_000
WRITE_DOCUMENTS_MAX: Final = 1_000
POSITION_MAX: Final = 2**63 - 1

_KIND = re.compile(r"[a-z][a-z0-9_-]{0,39}\Z")


class IndexUnusable(Exception):
    """The stored index cannot be read, or was written by a newer version: it must be rebuilt from events."""


class IndexBusy(Exception):
    """Another process writes to this index, or a rebuild of it is already under way."""


class IndexAway(OSError):
    """The engine that keeps the index does not answer, or has too much to do: nothing is lost, and trying again later helps."""


class IndexRefused(Exception):
    """The engine that keeps the index refuses us, or is none that we can use: settings must change first; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One thing that can be found.

    `id` is unique in the whole index. `version` is the position of the event that caused the write; positions of different sources do not
    compare, so one document is always written from one source. `title` is what a hit shows (for a person: the display name), `names` are
    other names of the same thing (preferred name, e-mail local part), `keywords` describe it (job title, department, location). `language`
    is a BCP 47 tag; empty means that it is guessed from the script. `create_time` is microseconds since the epoch. `extra` is JSON for
    display: stored, never searched.

    A body beyond `BODY_BYTES_MAX` bytes of UTF-8 is cut: the rest is neither found nor shown. Every other limit raises ValueError.
    """

    id: str
    kind: str
    version: int
    title: str
    audience: Sequence[str]
    body: str = ""
    language: str = ""
    author_id: str = ""
    community_id: str = ""
    tags: Sequence[str] = ()
    names: Sequence[str] = ()
    keywords: Sequence[str] = ()
    create_time: int = 0
    extra: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_key("id", self.id)
        _check_kind("kind", self.kind)
        _check_position("version", self.version)
        _check_position("create_time", self.create_time)
        # Lone surrogates, which no engine stores, become question marks.
        object.__setattr__(self, "title", self.title.encode("utf-8", "replace").decode("utf-8"))
        _check_text("title", self.title, TITLE_LENGTH_MAX)
        _check_text("language", self.language, 100)
        _check_text("author_id", self.author_id, KEY_LENGTH_MAX)
        _check_text("community_id", self.community_id, KEY_LENGTH_MAX)
        _check_each("tags", self.tags, TAGS_MAX, TAG_LENGTH_MAX)
        _check_each("names", self.names, NAMES_MAX, NAME_LENGTH_MAX)
        _check_each("keywords", self.keywords, NAMES_MAX, NAME_LENGTH_MAX)
        _check_each("audience", self.audience, DOCUMENT_AUDIENCE_MAX, KEY_LENGTH_MAX)
        try:
            size = len(json.dumps(self.extra, ensure_ascii=False).encode("utf-8", "replace"))
        except (TypeError, ValueError) as error:
            raise ValueError(f"extra is not JSON: {error}") from error
        if size > EXTRA_BYTES_MAX:
            raise ValueError(f"extra has {size} bytes of JSON; at most {EXTRA_BYTES_MAX} are stored")
        # A multi-byte character at the edge is dropped.
        body = self.body.encode("utf-8", "replace")[:BODY_BYTES_MAX].decode("utf-8", "ignore")
        object.__setattr__(self, "body", body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """The document `id` is gone as of `version`, an event position like a document's; an older write does not bring it back."""

    id: str
    version: int

    def __post_init__(self) -> None:
        _check_key("id", self.id)
        _check_position("version", self.version)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far the events of one source have been applied, stored atomically with the documents they caused."""

    source: str
    position: int

    def __post_init__(self) -> None:
        _check_key("source", self.source)
        _check_position("position", self.position)


class Sort(Enum):
    """The order of hits: best match first with newer ones slightly ahead, or newest first."""

    RELEVANCE = "relevance"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a reader looks for. Every string is a valid `text`, up to `QUERY_LENGTH_MAX` characters.

    `text` understands "a phrase", -excluded, #tag and @handle; the last word is also taken as the beginning of a longer one. Empty text
    matches everything the filters allow, newest first; text without a letter, digit or symbol to search for matches nothing. `audience`
    holds the reader's keys: without any, nothing is found. Times are microseconds since the epoch: `after_time` inclusive, `before_time`
    exclusive. `page_token` comes from the `next_page_token` of the page before; nothing beyond `OFFSET_MAX` hits can be paged to.
    """

    text: str = ""
    audience: Sequence[str] = ()
    kinds: Sequence[str] = ()
    author_id: str = ""
    community_id: str = ""
    tag: str = ""
    after_time: int | None = None
    before_time: int | None = None
    sort: Sort = Sort.RELEVANCE
    limit: int = 20
    page_token: str = ""

    def __post_init__(self) -> None:
        check_query_text(self.text)
        _check_each("audience", self.audience, READER_AUDIENCE_MAX, KEY_LENGTH_MAX)
        _check_each("kinds", self.kinds, 50, 40)
        _check_text("author_id", self.author_id, KEY_LENGTH_MAX)
        _check_text("community_id", self.community_id, KEY_LENGTH_MAX)
        _check_text("tag", self.tag, TAG_LENGTH_MAX)
        for name, time in (("after_time", self.after_time), ("before_time", self.before_time)):
            if time is not None:
                _check_position(name, time)
        if not 1 <= self.limit <= LIMIT_MAX:
            raise ValueError(f"limit is {self.limit}; it must be between 1 and {LIMIT_MAX}")
        offset_of(self.page_token)


@dataclass(frozen=True, slots=True)
class Fragment:
    """Plain text with the (start, end) character ranges that matched, in order, without overlap. Never HTML: escape it to show it."""

    text: str
    highlights: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One found document: its title and the most telling part of its body, matches marked. Scores compare within one query only."""

    id: str
    kind: str
    score: float
    title: Fragment
    snippet: Fragment
    author_id: str
    community_id: str
    create_time: int
    extra: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """One page of hits. `facets` counts matches by kind as if no kind had been asked for; `total` counts those of the kinds asked for."""

    hits: Sequence[Hit]
    total: int
    facets: Mapping[str, int]
    next_page_token: str = ""


class SearchIndex(Protocol):
    """The port. One writer at a time per index; any number of concurrent readers."""

    async def write(self, documents: Sequence[Document | Removal], checkpoint: Checkpoint | None = None) -> None:
        """Stores all of it or nothing, durably, and returns; it is found within one second.

        At most `WRITE_DOCUMENTS_MAX` documents. A document or removal whose version is not newer than the stored one of the same id is
        ignored, and so is a checkpoint that is behind. An engine that cannot store both at once stores the checkpoint last, so a crash
        between re-applies harmlessly. Batch writes: each has the cost of a durable commit.
        """

    async def checkpoint(self, source: str) -> int:
        """The stored position of a source, 0 where nothing of it was applied."""

    async def refresh(self) -> None:
        """Makes everything written so far visible to the next search."""

    async def search(self, query: Query) -> Results:
        """The page of hits the reader may see."""

    async def suggest_people(self, text: str, audience: Sequence[str], limit: int = 10) -> list[Hit]:
        """People whose name, title, department or location match the words typed so far, in any order, typing errors forgiven.

        One error in a word of at least 4 letters, two from 8; swapped neighbours count as one. A name that begins with the text comes
        first. Text without anything to search for suggests nobody. Limits as for `Query`.
        """

    async def count(self, query: Query) -> int:
        """How many documents the query matches, whatever its limit and page."""

    async def clear(self) -> None:
        """Forgets every document, removal and checkpoint."""

    async def expunge(self) -> bool:
        """Makes the text of what was removed or replaced unrecoverable now; False where only a rebuild does that."""

    def rebuilding(self) -> AbstractAsyncContextManager[SearchIndex]:
        """A fresh, empty index to fill while this one keeps answering; leaving the block replaces this one by it, an exception discards it.

        The block must not be left before the fresh index has caught up: what was written meanwhile to this one is replaced too. Raises
        IndexBusy where a rebuild is under way.
        """

    async def close(self) -> None:
        """Ends background work; everything written is already durable."""


class IndexHome(Protocol):
    """Where a service's index is kept: a folder, or an engine of its own."""

    async def open(self) -> SearchIndex:
        """The index, made where there is none, by its first write at the latest.

        Raises IndexUnusable where it cannot be read or is of another version, IndexAway and IndexRefused.
        """

    async def check(self) -> None:
        """Whether the engine can be used. Raises IndexAway where it does not answer, IndexRefused where settings must change first."""

    async def discard(self) -> None:
        """Removes an unusable index, so that the next `open` starts with an empty one and every checkpoint at 0."""


def check_query_text(text: str) -> None:
    """Raises ValueError where the text a person typed is too long to search for."""
    if len(text) > QUERY_LENGTH_MAX:
        raise ValueError(f"text has {len(text)} characters; at most {QUERY_LENGTH_MAX} can be searched for")


def offset_of(page_token: str) -> int:
    """The number of hits before a page; ValueError for a token that no result carried."""
    if not page_token:
        return 0
    if not re.fullmatch(r"[1-9][0-9]{0,4}", page_token, re.ASCII) or int(page_token) > OFFSET_MAX:
        raise ValueError(f"page_token {page_token[:40]!r} is not one returned by a search; hits beyond {OFFSET_MAX} cannot be paged to")
    return int(page_token)


def next_page_token(offset: int, limit: int, total: int) -> str:
    """The token of the following page, empty where there is none or it lies beyond `OFFSET_MAX`."""
    following = offset + limit
    return str(following) if following < total and following <= OFFSET_MAX else ""


def check_suggestion(text: str, audience: Sequence[str], limit: int) -> None:
    """Raises ValueError where a suggestion is asked for beyond the limits of a query."""
    Query(text=text, audience=audience, limit=limit)


def _check_text(name: str, value: str, most: int) -> None:
    if len(value) > most:
        raise ValueError(f"{name} has {len(value)} characters; at most {most} are allowed")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} is not text: {error.reason} at character {error.start}") from error


def _check_key(name: str, value: str) -> None:
    if not value or len(value) > KEY_LENGTH_MAX or not value.isprintable():
        raise ValueError(f"{name} {value[:40]!r} must have 1 to {KEY_LENGTH_MAX} printable characters")


def _check_kind(name: str, value: str) -> None:
    if not _KIND.match(value):
        raise ValueError(f"{name} {value[:40]!r} must be a lower-case word of at most 40 characters")


def _check_position(name: str, value: int) -> None:
    if not 0 <= value <= POSITION_MAX:
        raise ValueError(f"{name} is {value}; it must be between 0 and {POSITION_MAX}")


def _check_each(name: str, values: Sequence[str], count: int, length: int) -> None:
    if isinstance(values, str):
        raise ValueError(f"{name} must be a list of strings, not one string")
    if len(values) > count:
        raise ValueError(f"{name} has {len(values)} entries; at most {count} are allowed")
    for value in values:
        _check_text(f"an entry of {name}", value, length)
