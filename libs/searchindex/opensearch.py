"""The search index of a cluster: OpenSearch, shared by every process of the service.

The alias `<prefix>-<name>` names the generation in use, an index `<prefix>-<name>-<generation>`; a rebuild fills another generation and
moves the alias in one step. Generations are written through an alias of their own, `...-write`, which goes with them: a write that comes
too late fails and makes no index anew. Readers know the alias only, so a change of generations takes nothing from them.

Words are cut and folded here, as for every engine (`text`), and stemmed by OpenSearch, with an analyser a language. Each document is
written under its version, which OpenSearch compares (`version_type=external`); a removal stays as a document that no query finds, for
OpenSearch forgets the versions of deleted ones after a minute. The checkpoint of a source is a document too, written last.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import random
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import opensearchpy
from opensearchpy import exceptions

from libs.searchindex import ranking, text
from libs.searchindex.index import (
    LIMIT_MAX,
    OFFSET_MAX,
    WRITE_DOCUMENTS_MAX,
    Checkpoint,
    Document,
    Hit,
    IndexAway,
    IndexBusy,
    IndexRefused,
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
from libs.searchindex.tantivy import stem
from libs.telemetry import logs

SCHEMA: Final = 1
BULK_DOCUMENTS_MAX: Final = 500
BULK_BYTES_MAX: Final = 4 << 20
REFRESH_INTERVAL: Final = "500ms"
LANGUAGES_SECONDS: Final = 30.0
# OpenSearch refuses a query of more than 1,024 clauses; the audience and other filters are among them.
CLAUSES_MAX: Final = 900
START_LENGTH_MAX: Final = 30
EXPUNGE_SECONDS_MAX: Final = 120.0
MERGE_SECONDS_MAX: Final = 3_600
COPIES_SECONDS_MAX: Final = 60
PATIENCE_SECONDS: Final = 30.0

# Lucene leaves the constant factor k1 + 1 out of its scores, so what is given a fixed score would weigh more.
_BM25_SCALE: Final = 2.2
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})

_log = logs.get_logger(__name__)
# What fails is said by the errors raised here, which name no text of a query; an index that is not there yet is no warning.
logging.getLogger("opensearch").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSearchConfig:
    """Where OpenSearch is, who we are to it, and how new indexes are laid out."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    prefix: str = "watercooler"
    shards: int = 1
    replicas: int = 0
    timeout_seconds: float = 10.0


class OpenSearchHome:
    """An index in OpenSearch, by name."""

    def __init__(
        self, config: OpenSearchConfig, name: str, *, clock: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        """The index `name`, under the prefix of `config`; `clock` gives microseconds since the epoch, for the age of hits."""
        self._server = _Server(config, name)
        self._clock = clock

    async def open(self) -> SearchIndex:
        """The index; made by the first write where there is none.

        Raises IndexUnusable where it is of another version, IndexAway where OpenSearch does not answer, IndexRefused where it refuses us.
        """
        try:
            await self._server.check()
            generation = await self._server.live()
            if generation is not None:
                await self._server.check_schema(generation)
        except BaseException:
            await self._server.close()
            raise
        return OpenSearchIndex(self._server, self._clock)

    async def discard(self) -> None:
        """Deletes every generation and the template, so that the index starts anew with every checkpoint at 0."""
        await self._server.delete(await self._server.generations())
        with self._server.faults(), contextlib.suppress(exceptions.NotFoundError):
            await self._server.client.indices.delete_index_template(name=self._server.alias)

    async def check(self) -> None:
        """Raises IndexAway where OpenSearch does not answer, IndexRefused where it refuses us or is something else."""
        try:
            await self._server.check()
        finally:
            await self._server.close()

    async def close(self) -> None:
        """Ends connections, of an open index too; what needs one later opens another."""
        await self._server.close()


class _Server:
    """OpenSearch as far as one index is concerned: its generations and what goes wrong with them."""

    def __init__(self, config: OpenSearchConfig, name: str) -> None:
        self.config = config
        self.alias = f"{config.prefix}-{name}"
        self._ours = re.compile(re.escape(self.alias) + r"-[0-9]+(-[0-9a-f]+)?\Z")
        self._client: opensearchpy.AsyncOpenSearch | None = None
        address = urlsplit(config.url)
        self.place = f"{address.hostname}:{address.port or (443 if address.scheme == 'https' else 80)}"

    @property
    def client(self) -> Any:
        if self._client is None:
            config = self.config
            more: dict[str, Any] = {"http_auth": (config.username, config.password)} if config.username else {}
            if config.url.startswith("https"):
                more |= {"verify_certs": True, "ca_certs": str(config.ca_file) if config.ca_file else None}
            self._client = opensearchpy.AsyncOpenSearch(
                hosts=[config.url], timeout=config.timeout_seconds, max_retries=0, retry_on_status=(), maxsize=32, **more
            )
        return self._client

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @contextlib.contextmanager
    def faults(self) -> Iterator[None]:
        """What goes wrong between us and OpenSearch, in the words of the port; what is wrong with a request passes unchanged."""
        try:
            yield
        except exceptions.SSLError as error:
            raise IndexRefused(f"OpenSearch at {self.place} is not whom search_ca_file vouches for: {error.info}") from error
        except (exceptions.ConnectionError, exceptions.ConnectionTimeout) as error:
            raise IndexAway(f"OpenSearch at {self.place} does not answer: try again in a moment") from error
        except exceptions.TransportError as error:
            kind = str(error.error)
            if error.status_code in (401, 403) and kind != "cluster_block_exception":
                raise IndexRefused(
                    f"OpenSearch at {self.place} refuses us ({kind[:200]}): check search_username and search_password"
                ) from error
            if error.status_code in _PASSING or kind == "cluster_block_exception":
                raise IndexAway(f"OpenSearch at {self.place} cannot do this now ({kind[:200]}): try again in a moment") from error
            raise

    @contextlib.contextmanager
    def within(self, generation: str) -> Iterator[None]:
        """As `faults`, for what is asked of a generation that another process may take away meanwhile."""
        try:
            with self.faults():
                yield
        except exceptions.NotFoundError as error:
            raise IndexAway(f"the search index {generation} has just been replaced") from error

    async def check(self) -> None:
        """That OpenSearch answers, and is OpenSearch."""
        with self.faults():
            about = (await self.client.info()).get("version", {})
        if about.get("distribution") != "opensearch" or int(str(about.get("number", "0")).partition(".")[0]) < 2:
            raise IndexRefused(f"what answers at {self.place} is not OpenSearch 2 or newer: check search_url")

    async def live(self) -> str | None:
        """The generation in use, None where there is none."""
        try:
            with self.faults():
                found = await self.client.indices.get_alias(name=self.alias)
        except exceptions.NotFoundError:
            return None
        ours = [name for name in found if self._ours.match(name)]
        if len(ours) != 1 or len(found) != 1:
            raise IndexUnusable(f"the alias {self.alias} at {self.place} names {', '.join(sorted(found))}: it must name one index of ours")
        return str(ours[0])

    async def generations(self) -> list[str]:
        """All generations there are, in use or not."""
        with self.faults():
            found = await self.client.indices.get_mapping(index=f"{self.alias}-*", params={"expand_wildcards": "all"})
        return sorted(
            name for name, about in found.items()
            if self._ours.match(name) and about["mappings"].get("_meta", {}).get("alias") == self.alias
        )

    async def check_schema(self, generation: str) -> None:
        """Raises IndexUnusable where a generation is of another version."""
        try:
            with self.faults():
                found = await self.client.indices.get_mapping(index=generation)
        except exceptions.NotFoundError:
            return
        written = found[generation]["mappings"].get("_meta", {}).get("schema")
        if written == SCHEMA:
            return
        newer = isinstance(written, int) and written > SCHEMA
        why = f"a newer version wrote it (schema {written}, this one reads {SCHEMA})" if newer else f"its schema is {written}, not {SCHEMA}"
        raise IndexUnusable(
            f"the search index {generation} at {self.place} cannot be used: {why}. It holds nothing that events do not: rebuild it"
        )

    async def create(self, generation: str, *, live: bool) -> bool:
        """A generation, by the template; False where it exists. One that is filled first has no copies and refreshes when it is done."""
        aliases: dict[str, Any] = {_writing(generation): {}}
        if live:
            aliases[self.alias] = {}
        body: dict[str, Any] = {"aliases": aliases}
        if not live:
            body["settings"] = {"index": {"refresh_interval": "-1", "number_of_replicas": 0}}
        with self.faults():
            await self.client.indices.put_index_template(name=self.alias, body=_template(self.config, self.alias))
            try:
                await self.client.indices.create(index=generation, body=body)
            except exceptions.RequestError as error:
                if error.error == "resource_already_exists_exception":
                    return False
                raise
        await self.check_schema(generation)
        return True

    async def delete(self, generations: Sequence[str]) -> None:
        """Remove generations; those that are gone are gone."""
        for generation in generations:
            with self.faults(), contextlib.suppress(exceptions.NotFoundError):
                await self.client.indices.delete(index=generation)

    async def put_into_use(self, generation: str, instead_of: str | None) -> None:
        """Move the alias in one step. Raises IndexBusy where another process has moved it meanwhile."""
        actions: list[dict[str, Any]] = [{"add": {"index": generation, "alias": self.alias}}]
        if instead_of is not None:
            actions.insert(0, {"remove": {"index": instead_of, "alias": self.alias, "must_exist": True}})
        try:
            with self.faults():
                await self.client.indices.update_aliases(body={"actions": actions})
        except exceptions.NotFoundError as error:
            raise IndexBusy("another process has rebuilt this search index meanwhile") from error

    def new_generation(self) -> str:
        return f"{self.alias}-{time.time_ns() // 1_000_000}-{secrets.token_hex(3)}"


class OpenSearchIndex:
    """A `SearchIndex` in OpenSearch. Any number of processes may read; of those that write, the one that leads the service's worker."""

    def __init__(self, server: _Server, clock: Callable[[], int], *, fresh: str | None = None) -> None:
        """Use `OpenSearchHome.open`."""
        self._server, self._clock, self._fresh = server, clock, fresh
        self._generation: str | None = fresh
        self._known: dict[str, int] = {}  # the newest checkpoints that this process has seen
        self._writing = asyncio.Lock()
        self._rebuilding = False
        self._bulk_documents = BULK_DOCUMENTS_MAX
        self._languages: list[str] = []
        self._languages_until = -1.0

    # Writing

    async def write(self, documents: Sequence[Document | Removal], checkpoint: Checkpoint | None = None) -> None:
        """Stores the documents, then the checkpoint; repeating it changes nothing.

        Raises IndexAway where OpenSearch does not take all of it, and IndexUnusable where the index was lost or put back meanwhile: what
        this process has written is missing then, and only a rebuild brings it.
        """
        if len(documents) > WRITE_DOCUMENTS_MAX:
            raise ValueError(f"{len(documents)} documents in one write; at most {WRITE_DOCUMENTS_MAX} are taken")
        newest: dict[str, Document | Removal] = {}
        for document in documents:
            if document.id not in newest or document.version > newest[document.id].version:
                newest[document.id] = document
        async with self._writing:
            target = await self._target()
            # Cutting 500 posts into words takes 0.2 s: not of the event loop's.
            await self._bulk(target, await asyncio.to_thread(_pieces, list(newest.values())))
            if checkpoint is not None:
                await self._bulk(target, [_piece(_checkpoint_id(checkpoint.source), checkpoint.position, {})])
                self._known[checkpoint.source] = max(checkpoint.position, self._known.get(checkpoint.source, 0))
        if any(isinstance(each, Document) for each in newest.values()):
            self._languages_until = -1.0

    async def _target(self) -> str:
        """The generation to write to, made where there never was one."""
        if self._fresh is not None:
            return self._fresh
        server = self._server
        live = await server.live()
        if live is None:
            if self._generation is not None:
                raise IndexUnusable(f"the search index {server.alias} at {server.place} is gone: rebuild it")
            await server.create(f"{server.alias}-1", live=True)
            live = await server.live()
            if live is None:
                raise IndexUnusable(f"the search index {server.alias}-1 at {server.place} is there but not in use: rebuild it")
        if self._generation is not None and live != self._generation:
            # Another process has rebuilt it. What this one wrote before must be in there.
            for source, position in self._known.items():
                if await self._position(live, source) < position:
                    raise IndexUnusable(f"the search index {server.alias} at {server.place} was put back to an older state: rebuild it")
        self._generation = live
        return live

    async def _bulk(self, target: str, pieces: Sequence[bytes]) -> None:
        """Writes in chunks that shrink when OpenSearch has too much to do. Raises IndexAway when it does not take all in half a minute."""
        left = list(pieces)
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = 0.1
        while left:
            chunk = _chunk(left, self._bulk_documents)
            refused = await self._bulk_once(target, chunk)
            left = [*refused, *left[len(chunk) :]]
            if not refused:
                self._bulk_documents = min(BULK_DOCUMENTS_MAX, self._bulk_documents + 25)
                pause = 0.1
                continue
            self._bulk_documents = max(1, self._bulk_documents // 2)
            if time.monotonic() > deadline:
                raise IndexAway(f"OpenSearch at {self._server.place} has too much to do: {len(left)} documents wait to be written")
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 5.0)

    async def _bulk_once(self, target: str, chunk: Sequence[bytes]) -> list[bytes]:
        """Answers the pieces that OpenSearch had no time for; a piece that is older than what is stored counts as written."""
        try:
            with self._server.within(target):
                answer = await self._server.client.bulk(
                    body=b"".join(chunk), index=_writing(target),
                    params={"require_alias": "true", "filter_path": "errors,items.*.status,items.*.error", "request_timeout": 60},
                )
        except IndexAway as error:
            if isinstance(error.__cause__, exceptions.TransportError) and error.__cause__.status_code == 429:
                return list(chunk)
            raise
        refused: list[bytes] = []
        if not answer["errors"]:
            return refused
        for piece, item in zip(chunk, answer["items"], strict=True):
            status, fault = item["index"]["status"], item["index"].get("error", {})
            if status < 300 or status == 409:
                continue
            if status == 404:
                raise IndexAway(f"the search index {target} has just been replaced")
            if fault.get("type") == "cluster_block_exception":
                raise IndexAway(f"OpenSearch at {self._server.place} takes no writes: {str(fault.get('reason'))[:200]}")
            if status not in _PASSING:
                raise ValueError(f"OpenSearch refuses a document: {json.dumps(fault)[:500]}")
            refused.append(piece)
        return refused

    async def checkpoint(self, source: str) -> int:
        """The position stored for this source, 0 where there is none."""
        checked = Checkpoint(source, 0)
        generation = self._fresh or await self._server.live()
        if generation is None:
            return 0
        position = await self._position(generation, checked.source)
        if self._generation is None:
            self._generation = generation
        self._known[source] = max(position, self._known.get(source, 0))
        return position

    async def _position(self, generation: str, source: str) -> int:
        try:
            with self._server.faults():
                found = await self._server.client.get(index=generation, id=_checkpoint_id(source), params={"_source": "false"})
        except exceptions.NotFoundError:
            return 0
        return int(found["_version"])

    async def refresh(self) -> None:
        """Shows what was written."""
        self._languages_until = -1.0
        generation = self._fresh or await self._server.live()
        if generation is not None:
            with self._server.within(generation):
                await self._server.client.indices.refresh(index=generation)

    async def clear(self) -> None:
        """Forgets everything, by putting an empty generation in its place."""
        if self._fresh is not None:
            raise IndexBusy("an index that is being filled is not cleared: leave the block by an exception")
        async with self.rebuilding():
            pass

    async def expunge(self) -> bool:
        """Has OpenSearch merge the removed text away; False where it cannot be had to within two minutes.

        OpenSearch keeps what was removed until every copy of a shard has it on disk and says so, which copies do twice a minute: so this
        takes up to half a minute, besides the merge of all segments that hold something removed.
        """
        generation = self._fresh or await self._server.live()
        if generation is None:
            return True
        indices = self._server.client.indices
        removed = {shard: about["seq_no"]["max_seq_no"] for shard, about in await self._shards(generation) if about["routing"]["primary"]}
        deadline = time.monotonic() + EXPUNGE_SECONDS_MAX
        while True:
            with self._server.within(generation):
                await indices.flush(index=generation, params={"wait_if_ongoing": "true", "force": "true", "request_timeout": 60})
            if all(_released(about, removed.get(shard, -1)) for shard, about in await self._shards(generation)):
                break
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.5)
        with self._server.within(generation):
            # What a shard may let go is set anew by each flush.
            await indices.flush(index=generation, params={"wait_if_ongoing": "true", "force": "true", "request_timeout": 60})
            done = await indices.forcemerge(index=generation, params={"only_expunge_deletes": "true", "request_timeout": MERGE_SECONDS_MAX})
            await indices.refresh(index=generation)
        return int(done["_shards"]["failed"]) == 0

    async def _shards(self, generation: str) -> list[tuple[str, dict[str, Any]]]:
        with self._server.within(generation):
            stats = await self._server.client.indices.stats(index=generation, metric="docs", params={"level": "shards"})
        return [(shard, copy) for shard, copies in stats["indices"].get(generation, {"shards": {}})["shards"].items() for copy in copies]

    def rebuilding(self) -> AbstractAsyncContextManager[SearchIndex]:
        """A fresh generation; needs as much room again until the block is left."""
        return self._rebuild()

    @asynccontextmanager
    async def _rebuild(self) -> AsyncIterator[SearchIndex]:
        if self._rebuilding or self._fresh is not None:
            raise IndexBusy("this search index is being rebuilt already")
        self._rebuilding = True
        server = self._server
        try:
            live = await server.live()
            # Generations that are not in use are what a crash left of a rebuild.
            await server.delete([left for left in await server.generations() if left != live])
            generation = server.new_generation()
            await server.create(generation, live=False)
            fresh = OpenSearchIndex(server, self._clock, fresh=generation)
            try:
                yield fresh
                await self._make_ready(generation)
                async with self._writing:
                    await server.put_into_use(generation, live)
                    self._generation, self._known = generation, fresh._known
            except BaseException:
                await server.delete([generation])
                raise
            self._languages_until = -1.0
            if live is not None:
                await server.delete([live])
        finally:
            self._rebuilding = False

    async def _make_ready(self, generation: str) -> None:
        config = self._server.config
        settings = {"index": {"refresh_interval": REFRESH_INTERVAL, "number_of_replicas": config.replicas}}
        with self._server.within(generation):
            client = self._server.client
            await client.indices.put_settings(index=generation, body=settings)
            await client.indices.refresh(index=generation)
            if config.replicas:
                # With copies missing it would answer as well, so that is no reason not to go on.
                health = await client.cluster.health(
                    index=generation,
                    params={
                        "wait_for_status": "green", "timeout": f"{COPIES_SECONDS_MAX}s", "request_timeout": COPIES_SECONDS_MAX + 10,
                        "ignore": 408,
                    },
                )
                if health.get("status") != "green":
                    _log.warning("the search index is put into use without all of its copies", index=generation)

    async def close(self) -> None:
        """Ends the connections."""
        if self._fresh is None:
            await self._server.close()

    # Reading

    async def count(self, query: Query) -> int:
        """How many documents match."""
        matching, _ = await self._matching(query)
        answer = await self._search({"query": matching, "size": 0, "track_total_hits": False, "aggs": _KINDS}, query.audience)
        return ranking.total(_facets(answer), query)

    async def search(self, query: Query) -> Results:
        """The page of hits, in one request."""
        offset = offset_of(query.page_token)
        matching, clauses = await self._matching(query)
        by_match = query.sort is Sort.RELEVANCE and any(not clause.excluded for clause in clauses)
        newest = [{"create_time": {"order": "desc", "missing": "_last"}}, {"id": "asc"}]
        body: dict[str, Any] = {
            "query": _aged(matching, self._clock()) if by_match else matching,
            "sort": ["_score", *newest] if by_match else newest,
            "from": offset, "size": query.limit, "track_total_hits": False, "aggs": _KINDS, "_source": ["stored"],
        }
        if query.kinds:
            body["post_filter"] = {"terms": {"kind": list(query.kinds)}}
        answer = await self._search(body, query.audience)
        facets = _facets(answer)
        total = ranking.total(facets, query)
        highlighter = text.Highlighter(clauses, stem)
        hits = []
        for found in answer["hits"]["hits"]:
            hits.append(ranking.hit(json.loads(found["_source"]["stored"]), float(found["_score"]) if by_match else 0.0, highlighter))
            await asyncio.sleep(0)
        return Results(hits=hits, total=total, facets=facets, next_page_token=next_page_token(offset, query.limit, total))

    async def suggest_people(self, typed: str, audience: Sequence[str], limit: int = 10) -> list[Hit]:
        """People by what was typed so far, in one request."""
        check_suggestion(typed, audience, limit)
        words = text.name_query(typed)
        if not words:
            return []
        begins = _constant({"prefix": {"person_name": {"value": text.folded_name(typed)}}}, ranking.NAME_BEGINS_SCORE)
        query = {"bool": {"filter": [_audience(audience)], "must": [_person_word(options) for options in words], "should": [begins]}}
        answer = await self._search(
            {
                "query": query, "size": max(limit, ranking.SUGGESTION_CANDIDATES), "track_total_hits": False, "_source": ["stored"],
                "sort": ["_score", {"person_order": {"order": "asc", "missing": "_last"}}, {"id": "asc"}],
            },
            audience,
        )
        return [
            ranking.person(json.loads(found["_source"]["stored"]), float(found["_score"]), words, stem)
            for found in answer["hits"]["hits"][:limit]
        ]

    async def _search(self, body: dict[str, Any], audience: Sequence[str]) -> Any:
        """Copies of a shard score a little differently: a reader's pages come from the same ones, by the reader's keys."""
        params = {
            "preference": hashlib.sha256("\n".join(audience).encode()).hexdigest()[:16],
            "allow_partial_search_results": "false",
            "filter_path": "hits.hits._score,hits.hits._source,aggregations",
        }
        if self._server.config.shards > 1:
            params["search_type"] = "dfs_query_then_fetch"  # words are as rare in all shards as in one
        for attempt in (1, 2):
            try:
                with self._server.faults():
                    answer = await self._server.client.search(body=body, index=self._fresh or self._server.alias, params=params)
            except exceptions.NotFoundError as error:
                # The old generation may go between the look at the alias and the search in it.
                if attempt == 2:
                    if self._generation is None and await self._server.live() is None:
                        return {"hits": {"hits": []}}  # nothing was written yet
                    raise IndexAway("the search index is being filled again: try again in a few minutes") from error
            except exceptions.RequestError as error:
                live = self._fresh or await self._server.live()
                if live is not None:
                    try:
                        await self._server.check_schema(live)
                    except IndexUnusable as unusable:
                        raise IndexAway("the search index was replaced by one of another version") from unusable
                raise ValueError(f"OpenSearch refuses a search: {error.error}") from error
            else:
                answer.setdefault("hits", {}).setdefault("hits", [])
                return answer
        raise AssertionError("unreachable")

    async def _matching(self, query: Query) -> tuple[dict[str, Any], list[text.Clause]]:
        """Everything but the kinds, so that the counts by kind can be taken from it."""
        filters: list[dict[str, Any]] = [_audience(query.audience)]
        for name, value in (("author_id", query.author_id), ("community_id", query.community_id)):
            if value:
                filters.append({"term": {name: value}})
        if query.tag:
            filters.append({"term": {"tags": ranking.folded_tag(query.tag)}})
        if query.after_time is not None or query.before_time is not None:
            bounds = {"gte": query.after_time, "lt": query.before_time}
            filters.append({"range": {"create_time": {name: bound for name, bound in bounds.items() if bound is not None}}})
        if not query.text.strip():
            return {"bool": {"filter": filters}}, []
        languages = await self._present()
        clauses = text.parse(query.text, stem, languages)
        return {"bool": {"filter": filters, "must": [_text_query(clauses, languages)]}}, clauses

    async def _present(self) -> list[str]:
        """The languages in Latin letters of the indexed texts, the most frequent first."""
        if time.monotonic() >= self._languages_until:
            languages = {"kinds": {"terms": {"field": "language", "size": 50}}}
            answer = await self._search({"size": 0, "track_total_hits": False, "aggs": languages}, ())
            of_algorithm = {text.STEMMERS[language]: language for language in reversed(text.QUERY_LATIN)}
            self._languages = [of_algorithm[algorithm] for algorithm in _facets(answer) if algorithm in of_algorithm]
            self._languages_until = time.monotonic() + LANGUAGES_SECONDS
        return self._languages


def _writing(generation: str) -> str:
    return f"{generation}-write"


def _released(shard: dict[str, Any], operation: int) -> bool:
    """Whether a copy of a shard has everything up to an operation on disk, as all others have, and keeps no history of it for them."""
    commit = shard["commit"]["user_data"]
    return (
        int(commit["local_checkpoint"]) >= operation
        and int(commit["max_seq_no"]) <= int(shard["seq_no"]["global_checkpoint"])
        and all(int(lease["retaining_seq_no"]) > operation for lease in shard["retention_leases"]["leases"])
    )


def _template(config: OpenSearchConfig, alias: str) -> dict[str, Any]:
    """What every generation looks like."""
    algorithms = sorted(set(text.STEMMERS.values()))
    exact = {"type": "keyword", "doc_values": False}
    terms = {"type": "text", "analyzer": "terms"}
    forms = {"type": "text", "analyzer": "terms", "index_options": "freqs"}
    names = {"type": "text", "analyzer": "terms", "index_options": "docs", "norms": False}
    properties: dict[str, Any] = {
        "id": {"type": "keyword"}, "version": {"type": "long", "index": False}, "kind": {"type": "keyword"},
        "create_time": {"type": "long"}, "language": {"type": "keyword"},
        "audience": exact, "author_id": exact, "community_id": exact, "tags": exact,
        "person_name": exact, "person_order": {"type": "keyword", "index": False},
        "stored": {"type": "keyword", "index": False, "doc_values": False},
    }
    for name in ranking.FIELD_BOOSTS:
        properties[name] = terms
        properties[f"{name}_forms"] = forms
        for algorithm in algorithms:
            properties[f"{name}_{algorithm}"] = forms | {"analyzer": algorithm}
    for name in ("person_words", "person_keywords"):
        properties[name] = names
        properties[f"{name}_starts"] = names | {"analyzer": "starts", "search_analyzer": "terms"}
    analysis = {
        "filter": {
            "starts": {"type": "edge_ngram", "min_gram": 1, "max_gram": START_LENGTH_MAX},
            **{algorithm: {"type": "snowball", "language": algorithm.capitalize()} for algorithm in algorithms},
        },
        "analyzer": {
            "terms": {"type": "custom", "tokenizer": "whitespace"},
            "starts": {"type": "custom", "tokenizer": "whitespace", "filter": ["starts"]},
            **{algorithm: {"type": "custom", "tokenizer": "whitespace", "filter": [algorithm, "asciifolding"]} for algorithm in algorithms},
        },
    }
    settings = {
        "number_of_shards": config.shards, "number_of_replicas": config.replicas, "refresh_interval": REFRESH_INTERVAL,
        "max_result_window": OFFSET_MAX + LIMIT_MAX, "merge.policy.expunge_deletes_allowed": 0, "analysis": analysis,
    }
    return {
        "index_patterns": [f"{alias}-*"],
        "priority": 500,
        "template": {
            "settings": {"index": settings},
            "mappings": {
                "_meta": {"schema": SCHEMA, "alias": alias},
                "dynamic": "strict",
                # Only what is shown is kept as it was; all else can be had from events.
                "_source": {"includes": ["id", "version", "stored"]},
                "properties": properties,
            },
        },
    }


def _piece(id: str, version: int, entry: dict[str, Any]) -> bytes:
    """One write as two lines of a bulk request."""
    action = {"index": {"_id": id, "version": version, "version_type": "external"}}
    return "".join(f"{json.dumps(each, ensure_ascii=False, separators=(',', ':'))}\n" for each in (action, entry)).encode()


def _pieces(documents: Sequence[Document | Removal]) -> list[bytes]:
    return [_piece(_document_id(each.id), each.version, _entry(each)) for each in documents]


def _chunk(pieces: Sequence[bytes], most: int) -> list[bytes]:
    chunk: list[bytes] = []
    size = 0
    for piece in pieces[:most]:
        size += len(piece)
        if chunk and size > BULK_BYTES_MAX:
            break
        chunk.append(piece)
    return chunk


def _document_id(id: str) -> str:
    """OpenSearch takes ids of up to 512 bytes."""
    return f"d:{id}" if len(id.encode()) <= 500 else f"h:{hashlib.sha256(id.encode()).hexdigest()}"


def _checkpoint_id(source: str) -> str:
    return f"c:{source}" if len(source.encode()) <= 500 else f"s:{hashlib.sha256(source.encode()).hexdigest()}"


def _unstemmed(algorithm: str, word: str) -> str:
    return word


def _cut(value: str, languages: Sequence[str]) -> list[str]:
    return text.without_stems(text.forms(value, languages, _unstemmed))


def _entry(document: Document | Removal) -> dict[str, Any]:
    entry = ranking.entry(document, _cut)
    if isinstance(document, Removal):
        return entry
    languages = text.languages_of(document.language)
    for name, value in ranking.texts(document):
        for algorithm, words in text.to_stem(value, languages).items():
            entry[f"{name}_{algorithm}"] = " ".join(words)
    if document.kind == "person":
        entry["person_order"] = text.folded_name(document.title)[:200]
        for name, values in (("person_words", [document.title, *document.names]), ("person_keywords", document.keywords)):
            entry[name] = entry[f"{name}_starts"] = " ".join(text.names_terms(values))
    if document.create_time:
        entry["create_time"] = document.create_time
    return entry


def _audience(keys: Sequence[str]) -> dict[str, Any]:
    return {"terms": {"audience": list(dict.fromkeys(keys))}} if keys else {"match_none": {}}


def _constant(query: dict[str, Any], score: float) -> dict[str, Any]:
    return {"constant_score": {"filter": query, "boost": score}}


def _best_of(queries: Sequence[dict[str, Any]], boost: float = 1.0, others: float = 0.0) -> dict[str, Any]:
    return {"dis_max": {"queries": list(queries), "boost": boost, "tie_breaker": others}}


def _any_field(query: Callable[[str, float], dict[str, Any]], boost: float = 1.0) -> dict[str, Any]:
    return _best_of([query(name, weight) for name, weight in ranking.FIELD_BOOSTS.items()], boost, ranking.OTHER_FIELDS)


def _aged(query: dict[str, Any], now: int) -> dict[str, Any]:
    """Lowers scores by age: by nothing for now, by less than `AGE_WEIGHT` at any age; a document without a time has no age."""
    decay = {"create_time": {"origin": now, "scale": ranking.AGE_HALF_LIFE_US, "decay": 0.5}}
    past = {"range": {"create_time": {"lte": now}}}
    return {
        "function_score": {
            "query": query,
            "functions": [
                {"weight": 1 - ranking.AGE_WEIGHT},
                {"filter": past, "exp": decay, "weight": ranking.AGE_WEIGHT},
                {"filter": {"bool": {"must_not": [past]}}, "weight": ranking.AGE_WEIGHT},
            ],
            "score_mode": "sum",
            "boost_mode": "multiply",
        }
    }


def _text_query(clauses: Sequence[text.Clause], languages: Sequence[str]) -> dict[str, Any]:
    """Tags, handles and phrases are required; of three words or more a quarter may be missing; what is excluded is excluded.

    A query with very many words is stemmed in the most frequent languages only, and its runs of unspaced scripts become phrases.
    """
    if not clauses:
        return {"match_none": {}}
    kept = list(languages)
    while (cost := sum(_cost(clause, kept) for clause in clauses)) > CLAUSES_MAX and kept:
        kept.pop()
    loose_runs = cost <= CLAUSES_MAX
    found: dict[str, list[dict[str, Any]]] = {"must": [], "must_not": []}
    words: list[dict[str, Any]] = []
    for clause in clauses:
        query = _clause_query(clause, kept, loose_runs=loose_runs)
        if clause.excluded:
            found["must_not"].append(query)
        elif clause.kind in ("word", "run"):
            words.append(query)
        else:
            found["must"].append(query)
    if words:
        found["must"].append({"bool": {"should": words, "minimum_should_match": ranking.needed(len(words))}})
    if not found["must"]:
        found["must"].append({"match_all": {}})
    return {"bool": found}


def _cost(clause: text.Clause, languages: Sequence[str]) -> int:
    """How many clauses of OpenSearch's a clause becomes."""
    if clause.kind == "run":
        return len(ranking.FIELD_BOOSTS) * (1 + len(set(clause.terms)))
    if clause.kind != "word" or clause.excluded:
        return len(ranking.FIELD_BOOSTS)
    stems = sum(len(words) for words in text.to_stem(clause.raw, languages).values())
    return len(ranking.FIELD_BOOSTS) * (1 + len(text.without_stems(clause.terms)) + stems)


def _clause_query(clause: text.Clause, languages: Sequence[str], *, loose_runs: bool) -> dict[str, Any]:
    first = clause.terms[0]
    if clause.kind in ("tag", "handle"):
        return _form(first)
    if clause.kind == "phrase" or (clause.kind == "run" and len(clause.terms) > 1 and (clause.excluded or not loose_runs)):
        return _any_field(lambda name, weight: _phrase(name, clause.terms, weight))
    if clause.kind == "run":
        if len(clause.terms) == 1 and len(first) == 1:
            return _form(first)
        return _any_field(lambda name, weight: _run_query(name, clause.terms, weight))
    options = [_any_field(lambda name, weight: _term(name, first, weight))]
    if clause.excluded:  # -running keeps what only says "run": the word itself is excluded, in every field
        return options[0]
    options += [_form(form, ranking.FORM_BOOST) for form in text.without_stems(clause.terms)]
    for algorithm, words in text.to_stem(clause.raw, languages).items():
        options.append(_stemmed(algorithm, words))
    if clause.prefix:
        score = ranking.PREFIX_SCORE / _BM25_SCALE
        options.append(_any_field(lambda name, weight: _constant({"prefix": {name: {"value": first}}}, score * weight)))
    return _best_of(options)


def _stemmed(algorithm: str, words: Sequence[str]) -> dict[str, Any]:
    typed = " ".join(words)
    return _any_field(lambda name, weight: {"match": {f"{name}_{algorithm}": {"query": typed, "boost": weight}}}, ranking.FORM_BOOST)


def _term(name: str, term: str, boost: float) -> dict[str, Any]:
    return {"term": {name: {"value": term, "boost": boost}}}


def _phrase(name: str, terms: Sequence[str], boost: float) -> dict[str, Any]:
    return {"match_phrase": {name: {"query": " ".join(terms), "boost": boost}}}


def _form(form: str, boost: float = 1.0) -> dict[str, Any]:
    return _any_field(lambda name, weight: _term(f"{name}_forms", form, weight), boost)


def _run_query(name: str, pairs: Sequence[str], boost: float) -> dict[str, Any]:
    """Three quarters of the pairs in one field; all of them side by side count more."""
    each = [_term(name, pair, 1.0) for pair in dict.fromkeys(pairs)]
    some = {"bool": {"should": each, "minimum_should_match": ranking.needed(len(each))}}
    if len(pairs) == 1:
        return {"bool": {"must": [some], "boost": boost}}
    return {"bool": {"must": [some], "should": [_phrase(name, pairs, 1.0)], "boost": boost}}


def _person_word(options: Sequence[str]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    for score, match, name, word, errors in ranking.person_steps(options):
        terms = name if match == "whole" else f"{name}_starts"
        query: dict[str, Any] = {"term": {terms: word}}
        if errors:  # every term that is near enough counts, not only the fifty nearest
            query = {"fuzzy": {terms: {"value": word, "fuzziness": errors, "transpositions": True, "rewrite": "constant_score"}}}
        elif match == "start" and len(word) > START_LENGTH_MAX:
            query = {"prefix": {name: word}}
        steps.append(_constant(query, score))
    return _best_of(steps)


_KINDS: Final = {"kinds": {"terms": {"field": "kind", "size": 100}}}


def _facets(answer: dict[str, Any]) -> dict[str, int]:
    buckets = answer.get("aggregations", {}).get("kinds", {}).get("buckets", [])
    return {str(bucket["key"]): int(bucket["doc_count"]) for bucket in buckets}
