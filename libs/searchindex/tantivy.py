"""The search index of the embedded network: tantivy, in a folder of its own.

The folder holds `index.json` (format and current generation) and one folder a generation; a rebuild fills the next generation and replaces
`index.json` by a rename, so a crash leaves either the old index or the new one.

Measured on two shared, busy cores (`benchmarks/searchindex.py`). A durable commit takes 10 to 25 ms, whatever it holds, and releases the
interpreter lock; writes run in one worker thread, so the event loop never waits for one. Of a search in 50,000 posts tantivy takes 1 to 2
ms and marking twenty hits 3 ms more, a hit at a time with the event loop in between; a people suggestion takes 1 to 2 ms: both run
inline. The writer gets the least memory tantivy takes, 15 MB of address space of which 8 MiB are touched while idle; more would only mean
fewer and larger segments in a rebuild.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final, TypeVar

import tantivy
from tantivy import Occur
from tantivy import Query as Clauses

from libs.searchindex import ranking, text
from libs.searchindex.index import (
    OFFSET_MAX,
    WRITE_DOCUMENTS_MAX,
    Checkpoint,
    Document,
    Hit,
    IndexBusy,
    IndexUnusable,
    Query,
    Removal,
    Results,
    SearchIndex,
    Sort,
    check_suggestion,
    next_page_token,
    offset_of,
)

FORMAT: Final = 1
WRITER_BYTES: Final = 15_000_000
RERANKED: Final = 200  # hits whose order the age changes; pages beyond keep the order of the match alone

T = TypeVar("T")


@lru_cache(maxsize=32)
def _stemmer(algorithm: str) -> tantivy.TextAnalyzer:
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.stemmer(algorithm)).build()


@lru_cache(maxsize=16_384)
def stem(algorithm: str, word: str) -> str:
    """The stem of a lower-case word by a Snowball algorithm, named as in `text.STEMMERS`."""
    return str(_stemmer(algorithm).analyze(word)[0])


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_integer_field("version", fast=True)
    builder.add_text_field("kind", tokenizer_name="raw", index_option="basic", fast=True)
    builder.add_integer_field("create_time", fast=True, indexed=True)
    for name in ("audience", "language", "author_id", "community_id", "tags", "person_name"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in ranking.FIELD_BOOSTS:
        builder.add_text_field(name, tokenizer_name="terms", index_option="position")
        builder.add_text_field(f"{name}_forms", tokenizer_name="terms", index_option="freq")
    for name in ("person_words", "person_keywords"):
        builder.add_text_field(name, tokenizer_name="terms", index_option="basic")
    builder.add_text_field("stored", stored=True, tokenizer_name="none", index_option="basic")
    return builder.build()


class _Generation:
    """One tantivy index in one folder; its writing methods belong to one thread, its reading methods to the event loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.schema = _schema()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._index = tantivy.Index(self.schema, str(folder), reuse=True)
            self._index.register_tokenizer("terms", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
            # Text that is only stored goes through a tokenizer that keeps nothing.
            nothing = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.remove_long(1)).build()
            self._index.register_tokenizer("none", nothing)
            # The default policy watches the folder twice a second; here every commit is our own.
            self._index.config_reader("manual")
            self.reload()
        except (ValueError, OSError) as error:
            raise _unusable(folder.parent, str(error)) from error
        self._writer: tantivy.IndexWriter | None = None

    def _open_writer(self) -> tantivy.IndexWriter:
        if self._writer is None:
            try:
                self._writer = self._index.writer(WRITER_BYTES, num_threads=1)
            except ValueError as error:
                if "lock" in str(error).lower():
                    raise IndexBusy(f"another process writes to the search index in {self.folder.parent}") from error
                raise OSError(f"the search index cannot be written: {error}") from error
        return self._writer

    def write(self, documents: Sequence[Document | Removal], checkpoint: Checkpoint | None) -> None:
        newest = self._newer(documents)
        if checkpoint is not None and checkpoint.position <= self.position(checkpoint.source):
            checkpoint = None
        if not newest and checkpoint is None:
            return
        entries = [_entry(document) for document in newest]
        if checkpoint is not None:
            entries.append(_checkpoint_entry(checkpoint))
        self._commit(lambda writer: _replace(writer, entries))

    def clear(self) -> None:
        self._commit(lambda writer: writer.delete_all_documents())

    def _commit(self, change: Callable[[tantivy.IndexWriter], None]) -> None:
        writer = self._open_writer()
        try:
            change(writer)
            writer.commit()
        except ValueError as error:
            # A writer that failed (disk full) stays dead, and holds the lock while anything refers to it, this frame included; the next
            # write opens another on what is committed.
            self._writer = None
            del writer
            raise OSError(f"the search index cannot be written: {error}") from error
        except BaseException:
            writer.rollback()
            raise
        self.reload()

    def reload(self) -> None:
        self._index.reload()
        searcher = self._index.searcher()
        self.languages = [language for language in text.QUERY_LATIN if searcher.doc_freq("language", text.STEMMERS[language])]
        self.searcher = searcher

    def _newer(self, documents: Sequence[Document | Removal]) -> list[Document | Removal]:
        known = self._versions({document.id for document in documents})
        newest: dict[str, Document | Removal] = {}
        for document in documents:
            if document.version > known.get(document.id, -1):
                known[document.id] = document.version
                newest[document.id] = document
        return list(newest.values())

    def _versions(self, ids: Iterable[str]) -> dict[str, int]:
        keys = list(ids)
        if not keys:
            return {}
        searcher = self.searcher
        found = [at for _, at in searcher.search(Clauses.term_set_query(self.schema, "id", keys), len(keys), count=False).hits]
        versions = searcher.fast_field_values("version", found)
        return {str(searcher.doc(at)["id"][0]): int(version or 0) for at, version in zip(found, versions, strict=True)}

    def position(self, source: str) -> int:
        return self._versions([_checkpoint_id(source)]).get(_checkpoint_id(source), 0)

    def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.wait_merging_threads()


class TantivyIndex:
    """A `SearchIndex` in a folder of this machine, for one process."""

    def __init__(self, folder: Path, generation: _Generation, clock: Callable[[], int], *, fresh: bool) -> None:
        """Use `open_index`."""
        self._folder, self._generation, self._clock, self._fresh = folder, generation, clock, fresh
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="searchindex")
        self._rebuilding = False

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    async def write(self, documents: Sequence[Document | Removal], checkpoint: Checkpoint | None = None) -> None:
        """Stores documents and checkpoint in one commit. OSError where the disk refuses it: nothing was stored then."""
        if len(documents) > WRITE_DOCUMENTS_MAX:
            raise ValueError(f"{len(documents)} documents in one write; at most {WRITE_DOCUMENTS_MAX} are taken")
        await self._run(lambda: self._generation.write(documents, checkpoint))

    async def checkpoint(self, source: str) -> int:
        """The position stored with the documents of this source, 0 where there is none."""
        return self._generation.position(Checkpoint(source, 0).source)

    async def refresh(self) -> None:
        """Waits for the writes under way; each shows its documents when it is done."""
        await self._run(self._generation.reload)

    async def clear(self) -> None:
        """Forgets everything, in one commit."""
        await self._run(self._generation.clear)

    async def expunge(self) -> bool:
        """False: what is removed stays in its segment until tantivy merges that, which may be never."""
        return False

    async def count(self, query: Query) -> int:
        """How many documents match."""
        matching, _ = self._matching(query)
        return ranking.total(_facets(self._generation.searcher, matching), query)

    async def search(self, query: Query) -> Results:
        """The page of hits; inline, a few milliseconds. The event loop runs between the hits of a page with long bodies."""
        searcher = self._generation.searcher
        offset = offset_of(query.page_token)
        matching, clauses = self._matching(query)
        facets = _facets(searcher, matching)
        total = ranking.total(facets, query)
        if total <= offset:
            return Results(hits=[], total=total, facets=facets)
        found = self._ranked(
            searcher, _all(matching, self._of_kinds(query)), query, offset, by_match=any(not clause.excluded for clause in clauses)
        )
        highlighter = text.Highlighter(clauses, stem)
        hits = []
        for score, at in found:
            hits.append(ranking.hit(json.loads(searcher.doc(at)["stored"][0]), score, highlighter))
            await asyncio.sleep(0)
        return Results(hits=hits, total=total, facets=facets, next_page_token=next_page_token(offset, query.limit, total))

    def _ranked(
        self, searcher: tantivy.Searcher, query: Clauses, asked: Query, offset: int, *, by_match: bool
    ) -> list[tuple[float, tantivy.DocAddress]]:
        if asked.sort is Sort.NEWEST or not by_match:
            newest = searcher.search(query, asked.limit, count=False, offset=offset, order_by_field="create_time").hits
            return [(0.0, at) for _, at in newest]
        most = min(max(RERANKED, offset + asked.limit), OFFSET_MAX + asked.limit)
        found = searcher.search(query, most, count=False).hits
        best, rest = found[:RERANKED], found[RERANKED:]
        now = self._clock()
        times = searcher.fast_field_values("create_time", [at for _, at in best])
        aged = [(score * ranking.freshness(int(then or 0), now), at) for (score, at), then in zip(best, times, strict=True)]
        aged.sort(key=lambda pair: -pair[0])
        return [*aged, *rest][offset : offset + asked.limit]

    def _of_kinds(self, query: Query) -> list[Clauses]:
        return [Clauses.term_set_query(self._generation.schema, "kind", list(query.kinds))] if query.kinds else []

    def _matching(self, query: Query) -> tuple[Clauses, list[text.Clause]]:
        """Everything but the kinds, so that the counts by kind can be taken from it."""
        schema = self._generation.schema
        filters = [_audience(schema, query.audience)]
        for field, value in (("author_id", query.author_id), ("community_id", query.community_id)):
            if value:
                filters.append(_silent(Clauses.term_query(schema, field, value, "basic")))
        if query.tag:
            filters.append(_silent(Clauses.term_query(schema, "tags", ranking.folded_tag(query.tag), "basic")))
        if query.after_time is not None or query.before_time is not None:
            before = None if query.before_time is None else query.before_time - 1
            filters.append(_silent(Clauses.range_query(schema, "create_time", tantivy.FieldType.Integer, query.after_time, before)))
        clauses = text.parse(query.text, stem, self._generation.languages)
        if query.text.strip():
            filters.append(_text_query(schema, clauses))
        return _all(*filters), clauses

    async def suggest_people(self, typed: str, audience: Sequence[str], limit: int = 10) -> list[Hit]:
        """People by what was typed so far; inline."""
        check_suggestion(typed, audience, limit)
        words = text.name_query(typed)
        if not words:
            return []
        schema, searcher = self._generation.schema, self._generation.searcher
        start = text.folded_name(typed)
        wanted = _all(_audience(schema, audience), *[_person_word(schema, options) for options in words])
        begins = Clauses.const_score_query(Clauses.fuzzy_term_query(schema, "person_name", start, 0, True, True), ranking.NAME_BEGINS_SCORE)
        query = Clauses.boolean_query([(Occur.Must, wanted), (Occur.Should, begins)])
        candidates = []
        for score, at in searcher.search(query, max(limit, ranking.SUGGESTION_CANDIDATES), count=False).hits:
            stored = json.loads(searcher.doc(at)["stored"][0])
            candidates.append((-score, text.folded_name(stored["title"]), stored["id"], stored))
        candidates.sort(key=lambda candidate: candidate[:3])
        return [ranking.person(stored, -score, words, stem) for score, _, _, stored in candidates[:limit]]

    def rebuilding(self) -> AbstractAsyncContextManager[SearchIndex]:
        """A fresh generation; needs as much disk again until the block is left."""
        return self._rebuild()

    @asynccontextmanager
    async def _rebuild(self) -> AsyncIterator[SearchIndex]:
        if self._rebuilding or self._fresh:
            raise IndexBusy("this search index is being rebuilt already")
        self._rebuilding = True
        try:
            name = f"{int(self._generation.folder.name) + 1:08d}"
            shutil.rmtree(self._folder / name, ignore_errors=True)
            fresh = TantivyIndex(self._folder, _Generation(self._folder / name), self._clock, fresh=True)
            try:
                yield fresh
            except BaseException:
                await fresh.close()
                shutil.rmtree(self._folder / name, ignore_errors=True)
                raise
            await fresh.close()
            # In the worker thread: a write to the old generation that is under way ends first.
            await self._run(lambda: self._swap(name))
        finally:
            self._rebuilding = False

    def _swap(self, name: str) -> None:
        replacement = _Generation(self._folder / name)
        _write_state(self._folder, name)
        old, self._generation = self._generation, replacement
        old.close()
        shutil.rmtree(old.folder, ignore_errors=True)

    async def close(self) -> None:
        """Ends merges and the worker thread, and lets another process write."""
        await self._run(self._generation.close)
        self._worker.shutdown()


def open_index(folder: Path, *, clock: Callable[[], int] = lambda: time.time_ns() // 1000) -> TantivyIndex:
    """The index in a folder, created where there is none.

    `clock` gives microseconds since the epoch, for the age of hits. Raises IndexUnusable where the folder cannot be read or is from a newer
    version; `discard` then clears the way for a rebuild from events.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        state = folder / "index.json"
        if state.exists():
            name = _read_state(folder)
            if not (folder / name / "meta.json").exists():
                raise _unusable(folder, f"generation {name} is missing")
        else:
            name = f"{1:08d}"
        # Generations that no state names are what a crash left of a rebuild.
        for other in folder.iterdir():
            if other.is_dir() and other.name.isdecimal() and (other.name != name or not state.exists()):
                shutil.rmtree(other, ignore_errors=True)
        generation = _Generation(folder / name)
        if not state.exists():
            _write_state(folder, name)
    except OSError as error:
        raise _unusable(folder, str(error)) from error
    return TantivyIndex(folder, generation, clock, fresh=False)


def discard(folder: Path) -> None:
    """Removes an unusable index, so that the next `open_index` starts with an empty one and every checkpoint at 0."""
    (folder / "index.json").unlink(missing_ok=True)
    for generation in folder.glob("[0-9]*"):
        shutil.rmtree(generation)


class TantivyHome:
    """An index in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """In this folder, which is made when the index is opened."""
        self.folder = folder

    async def open(self) -> SearchIndex:
        """The index in the folder; raises as `open_index`."""
        return open_index(self.folder)

    async def check(self) -> None:
        """A folder is there when it is needed."""

    async def discard(self) -> None:
        """Removes it, as `discard`."""
        discard(self.folder)


def _read_state(folder: Path) -> str:
    try:
        state = json.loads((folder / "index.json").read_text("utf-8"))
        written, name = int(state["format"]), str(state["generation"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unusable(folder, f"index.json cannot be read ({error})") from error
    if written != FORMAT:
        raise _unusable(folder, f"its format is {written}, this version reads {FORMAT}")
    if not name.isdecimal():
        raise _unusable(folder, f"index.json names the generation {name[:40]!r}")
    return name


def _write_state(folder: Path, name: str) -> None:
    temporary = folder / "index.json.new"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump({"format": FORMAT, "generation": name}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / "index.json")
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _unusable(folder: Path, why: str) -> IndexUnusable:
    return IndexUnusable(f"the search index in {folder} cannot be used: {why}. It holds nothing that events do not: rebuild it")


def _replace(writer: tantivy.IndexWriter, entries: Iterable[dict[str, Any]]) -> None:
    for entry in entries:
        writer.delete_documents_by_term("id", entry["id"])
        writer.add_document(tantivy.Document(**entry))


def _checkpoint_id(source: str) -> str:
    return f"\x00checkpoint:{source}"  # no document's id: those are printable


def _checkpoint_entry(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"id": _checkpoint_id(checkpoint.source), "version": checkpoint.position}


def _cut(value: str, languages: Sequence[str]) -> list[str]:
    return text.forms(value, languages, stem)


def _entry(document: Document | Removal) -> dict[str, Any]:
    entry = ranking.entry(document, _cut)
    if isinstance(document, Removal):
        return entry
    if document.kind == "person":
        entry["person_words"] = " ".join(text.names_terms([document.title, *document.names]))
        entry["person_keywords"] = " ".join(text.names_terms(document.keywords))
    return entry | {"create_time": document.create_time}


def _all(*queries: Clauses | Sequence[Clauses]) -> Clauses:
    flat = [query for each in queries for query in (each if isinstance(each, Sequence) else [each])]
    return Clauses.boolean_query([(Occur.Must, query) for query in flat])


def _silent(query: Clauses) -> Clauses:
    return Clauses.const_score_query(query, 0.0)


def _audience(schema: tantivy.Schema, keys: Sequence[str]) -> Clauses:
    return _silent(Clauses.term_set_query(schema, "audience", list(dict.fromkeys(keys)))) if keys else Clauses.empty_query()


def _text_query(schema: tantivy.Schema, clauses: Sequence[text.Clause]) -> Clauses:
    """Tags, handles and phrases are required; of three words or more a quarter may be missing; what is excluded is excluded."""
    if not clauses:
        return Clauses.empty_query()
    required: list[tuple[Occur, Clauses]] = []
    words: list[tuple[Occur, Clauses]] = []
    for clause in clauses:
        query = _clause_query(schema, clause)
        if clause.excluded:
            required.append((Occur.MustNot, query))
        elif clause.kind in ("word", "run"):
            words.append((Occur.Should, query))
        else:
            required.append((Occur.Must, query))
    if words:
        required.append((Occur.Must, Clauses.boolean_query(words, ranking.needed(len(words)))))
    if all(occur == Occur.MustNot for occur, _ in required):
        required.append((Occur.Must, Clauses.all_query()))
    return Clauses.boolean_query(required)


def _clause_query(schema: tantivy.Schema, clause: text.Clause) -> Clauses:
    if clause.kind in ("tag", "handle"):
        return _any_field(partial(_form, schema, clause.terms[0]))
    if clause.kind == "phrase" or (clause.kind == "run" and clause.excluded and len(clause.terms) > 1):
        return _any_field(lambda field: Clauses.phrase_query(schema, field, list(clause.terms)))
    if clause.kind == "run":
        return _any_field(lambda field: _run_query(schema, field, clause.terms))
    options = [_any_field(lambda field: Clauses.term_query(schema, field, clause.terms[0]))]
    if clause.excluded:  # -running keeps what only says "run": the word itself is excluded, in every field
        return options[0]
    for form in clause.terms:
        options.append(Clauses.boost_query(_any_field(partial(_form, schema, form)), ranking.FORM_BOOST))
    if clause.prefix:
        options.append(_any_field(lambda field: Clauses.const_score_query(_prefix(schema, field, clause.terms[0]), ranking.PREFIX_SCORE)))
    return Clauses.disjunction_max_query(options)


def _form(schema: tantivy.Schema, form: str, field: str) -> Clauses:
    return Clauses.term_query(schema, f"{field}_forms", form, "freq")


def _any_field(query: Callable[[str], Clauses]) -> Clauses:
    each = [Clauses.boost_query(query(field), boost) for field, boost in ranking.FIELD_BOOSTS.items()]
    return Clauses.disjunction_max_query(each, ranking.OTHER_FIELDS)


def _run_query(schema: tantivy.Schema, field: str, pairs: Sequence[str]) -> Clauses:
    """Three quarters of the pairs in one field; all of them side by side count more. One character alone is looked for anywhere."""
    if len(pairs) == 1 and len(pairs[0]) == 1:
        return _form(schema, pairs[0], field)
    each = [(Occur.Should, Clauses.term_query(schema, field, pair)) for pair in dict.fromkeys(pairs)]
    some = Clauses.boolean_query(each, ranking.needed(len(each)))
    if len(pairs) == 1:
        return some
    return Clauses.boolean_query([(Occur.Must, some), (Occur.Should, Clauses.phrase_query(schema, field, list(pairs)))])


def _prefix(schema: tantivy.Schema, field: str, start: str) -> Clauses:
    return Clauses.fuzzy_term_query(schema, field, start, 0, True, True)


def _person_word(schema: tantivy.Schema, options: Sequence[str]) -> Clauses:
    steps: list[Clauses] = []
    for score, match, field, word, errors in ranking.person_steps(options):
        if match == "whole" and not errors:
            query = Clauses.term_query(schema, field, word, "basic")
        elif not errors:
            query = _prefix(schema, field, word)
        else:
            query = Clauses.fuzzy_term_query(schema, field, word, errors, True, match == "start")
        steps.append(Clauses.const_score_query(query, score))
    return Clauses.disjunction_max_query(steps)


def _facets(searcher: tantivy.Searcher, query: Clauses) -> dict[str, int]:
    answer = searcher.aggregate(query, {"kinds": {"terms": {"field": "kind", "size": 100}}})
    return {str(bucket["key"]): int(bucket["doc_count"]) for bucket in answer["kinds"]["buckets"]}
