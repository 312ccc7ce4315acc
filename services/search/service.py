"""The search service: what it follows and serves."""
from __future__ import annotations

from collections.abc import Callable

from libs.runtime.service import Assembly, Context, Follows, Service, schema_of
from watercooler.search.v1.search_service_pb2_grpc import add_SearchServiceServicer_to_server

from . import indexing
from .api import SearchApi
from .projections import Communities, FollowedPeople, GroupMembers, Members, People


def assemble(context: Context) -> Assembly:
    """The servicer, and the consumers that keep the index current."""
    shelf = indexing.Shelf(context.index)
    consumers = [(source, indexing.Indexing(source, context.database, shelf)) for source in ("identity", "feed")]

    async def rebuild(progress: Callable[[int, int], None]) -> None:
        await indexing.rebuild(consumers, context.log, shelf, progress)

    return Assembly(
        servicers=[(add_SearchServiceServicer_to_server, SearchApi(context.database, shelf))],
        consumers=consumers,
        rebuilders={indexing.REBUILT: rebuild},
        close=shelf.close,
    )


SERVICE = Service(
    name="search",
    summary="Site search: one index over people, posts and communities, filtered by what the reader may see.",
    schema=schema_of(__package__),
    assemble=assemble,
    follows=("identity", "feed"),
    needs=("search_url",),
    subscribed=(
        Follows("identity", People()),
        Follows("identity", GroupMembers()),
        Follows("feed", Communities()),
        Follows("feed", Members()),
        Follows("feed", FollowedPeople()),
    ),
)
