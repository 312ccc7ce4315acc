"""Requests to the index, and its answers with names."""
from __future__ import annotations

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from libs.db.database import Database
from libs.eventstore.model import InvalidArgument
from libs.rpc import auth
from libs.searchindex import index as searchindex
from libs.telemetry import metrics
from watercooler.search.v1 import search_service_pb2 as pb
from watercooler.search.v1.search_service_pb2_grpc import SearchServiceServicer

from . import queries
from .indexing import Shelf

PAGE_SIZE = 20
SUGGESTIONS = 8
_KINDS = {pb.HIT_KIND_PERSON: "person", pb.HIT_KIND_POST: "post", pb.HIT_KIND_COMMUNITY: "community"}
_NUMBERS = {name: number for number, name in _KINDS.items()}


class SearchApi(SearchServiceServicer):
    """The servicer of watercooler.search.v1.SearchService."""

    def __init__(self, database: Database, shelf: Shelf) -> None:
        """Over the tables and the index of this service."""
        self._database = database
        self._shelf = shelf

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:
        """The page of results that the caller may see."""
        keys = await queries.reader_keys(self._database, auth.caller())
        try:
            query = searchindex.Query(
                text=request.query, audience=keys, kinds=_kinds(request), author_id=request.author_id, community_id=request.community_id,
                tag=request.tag.removeprefix("#").casefold(), after_time=_micros(request, "after_time"),
                before_time=_micros(request, "before_time"),
                sort=searchindex.Sort.NEWEST if request.sort == pb.SORT_ORDER_NEWEST else searchindex.Sort.RELEVANCE,
                limit=_page_size(request.page_size, PAGE_SIZE), page_token=request.page_token,
            )
        except ValueError as error:
            metrics.SEARCHES.labels(outcome="refused").inc()
            raise _refused(error) from error
        results = await (await self._shelf.readable()).search(query)
        metrics.SEARCHES.labels(outcome="found" if results.hits else "empty").inc()
        return pb.SearchResponse(
            hits=await self._told(results.hits), next_page_token=results.next_page_token, total_size=results.total,
            counts=[pb.KindCount(kind=_NUMBERS[kind], count=count) for kind, count in sorted(results.facets.items()) if kind in _NUMBERS],
        )

    async def SuggestPeople(self, request: pb.SuggestPeopleRequest, context: Any) -> pb.SuggestPeopleResponse:
        """People as one types."""
        keys = await queries.reader_keys(self._database, auth.caller())
        try:
            found = await (await self._shelf.readable()).suggest_people(request.query, keys, _page_size(request.page_size, SUGGESTIONS))
        except ValueError as error:
            raise _refused(error) from error
        return pb.SuggestPeopleResponse(people=await self._told(found))

    async def RecordClick(self, request: pb.RecordClickRequest, context: Any) -> pb.RecordClickResponse:
        """Count an opened result by its rank."""
        auth.caller()
        if not 1 <= request.rank <= searchindex.OFFSET_MAX:
            raise InvalidArgument(f"a rank is from 1 to {searchindex.OFFSET_MAX}", "rank")
        metrics.SEARCH_CLICKS.labels(rank=metrics.rank_bucket(request.rank)).inc()
        return pb.RecordClickResponse()

    async def _told(self, hits: Any) -> list[pb.Hit]:
        people = await queries.people(self._database, [h.author_id for h in hits if h.author_id])
        communities = await queries.community_names(self._database, [h.community_id for h in hits if h.community_id])
        # How rare a word is in the whole index, hidden documents too, would stand in the scores: only their proportions are told.
        best = max((hit.score for hit in hits), default=0.0) or 1.0
        return [
            _hit(hit, round(hit.score / best, 2), *people.get(hit.author_id, ("", "")), communities.get(hit.community_id, ""))
            for hit in hits
        ]


def _hit(hit: searchindex.Hit, score: float, author_name: str, author_photo: str, community_name: str) -> pb.Hit:
    told = pb.Hit(
        kind=_NUMBERS[hit.kind], id=hit.id, title=_fragment(hit.title), snippet=_fragment(hit.snippet), author_id=hit.author_id,
        author_name=author_name, community_id=hit.community_id, community_name=community_name, score=score,
        photo_blob_id=author_photo or str(hit.extra.get("photo_blob_id", "")), subtitle=str(hit.extra.get("subtitle", "")),
    )
    if hit.create_time:
        told.create_time.CopyFrom(Timestamp(seconds=hit.create_time // 1_000_000, nanos=hit.create_time % 1_000_000 * 1_000))
    return told


def _fragment(fragment: searchindex.Fragment) -> pb.Fragment:
    return pb.Fragment(text=fragment.text, highlights=[pb.Span(start=start, end=end) for start, end in fragment.highlights])


def _kinds(request: pb.SearchRequest) -> list[str]:
    for kind in request.kinds:
        if kind not in _KINDS:
            raise InvalidArgument("there is no such kind of result: choose person, post or community", "kinds")
    return [_KINDS[kind] for kind in request.kinds]


def _micros(request: pb.SearchRequest, field: str) -> int | None:
    if not request.HasField(field):  # type: ignore[arg-type]
        return None
    moment: Timestamp = getattr(request, field)
    if moment.seconds < 0:
        raise InvalidArgument("times before 1970 cannot be searched for", field)
    return moment.seconds * 1_000_000 + moment.nanos // 1_000


def _page_size(asked: int, default: int) -> int:
    if asked < 0:
        raise InvalidArgument("a page has at least one result", "page_size")
    return min(asked or default, searchindex.LIMIT_MAX)


def _refused(error: ValueError) -> InvalidArgument:
    text = str(error)
    field = "page_token" if text.startswith("page_token") else "query"
    return InvalidArgument(text.replace("text has", "the query has"), field)
