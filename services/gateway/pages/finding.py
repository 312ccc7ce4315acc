"""Search: results with filters, what is offered as one types, and which result was opened."""
from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time, timedelta
from typing import Final

from litestar import Response

from libs.rpc.errors import RpcError
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import mention_service_pb2 as mentioning
from watercooler.feed.v1 import reading_service_pb2 as reading
from watercooler.search.v1 import search_service_pb2 as search

from ..http import AnyRequest, clients, current_person
from ..neighbours import spared
from ..parties import is_away
from ..problems import Refusal
from ..rendering import address
from ..views import CommunityRef, Form, Option, PersonRef, PlaceOption, SearchPage, SuggestFragment
from . import convert
from .common import TOKEN_CHARACTERS, fragment_shell, get, go, problems, query, render, shell, told, translated
from .whom import find, whole

RESULTS_A_PAGE: Final = 20
PEOPLE_OFFERED: Final = 6
COMMUNITIES_OFFERED: Final = 3
PLACES_OFFERED: Final = 4
TAGS_OFFERED: Final = 3
RANK_MAX: Final = 10_000
KINDS: Final = {"person": search.HIT_KIND_PERSON, "post": search.HIT_KIND_POST, "community": search.HIT_KIND_COMMUNITY}
NAMES: Final = {number: name for name, number in KINDS.items()}
FILTERS: Final = ("kind", "author", "community", "after", "before", "tag")
PLACES: Final = {"person": "/people/", "post": "/posts/", "community": "/communities/"}


@get("/search")
async def results(request: AnyRequest) -> Response[bytes]:
    """What is found, with filters beside."""
    text = query(request, "q")
    values = {name: query(request, name, 100) for name in FILTERS}
    around = await shell(request)
    if not text and not any(values.values()):
        return render(request, SearchPage(shell=around, form=Form(), communities=around.communities))
    try:
        wanted, errors = await _wanted(request, text, values)
    except RpcError as error:
        if not is_away(error):
            raise
        message = told(request, "The author cannot be looked up just now: try again in a moment, or without this filter.")
        form = Form(values=values, errors={"author": message})
        return render(request, SearchPage(shell=around, form=form, query=text, communities=around.communities), 503)
    start = _whole(query(request, "from", 8))
    status, message = 200, ""
    found = search.SearchResponse()
    if not errors:
        try:
            found = await clients(request).search.Search(wanted)
        except RpcError as error:
            problem = problems(error)
            status, message = problem.status, problem.message
            if is_away(error):
                message = told(request, "Search is away just now, and back in a moment. Everything else can be read meanwhile.")
    else:
        status = 422
    given = {name: value for name, value in values.items() if value}
    following = ""
    if found.next_page_token:
        following = address("/search", q=text, **given, page=found.next_page_token, **{"from": str(start + len(found.hits))})
    page = SearchPage(
        shell=around, form=Form(values=values, errors=errors, message=message), query=text, kinds=_kinds(request, text, values, found),
        communities=around.communities, total=found.total_size, next_url=following,
        results=[convert.search_result(hit, _open_url(hit, start + at + 1)) for at, hit in enumerate(found.hits)],
    )
    return render(request, page, status)


def _open_url(hit: search.Hit, rank: int) -> str:
    return address("/search/open", kind=NAMES.get(hit.kind, "post"), id=hit.id, rank=str(rank))


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


async def _wanted(request: AnyRequest, text: str, values: dict[str, str]) -> tuple[search.SearchRequest, dict[str, str]]:
    """The request for what was asked, and what is wrong with the filters."""
    say = translated(request)
    errors: dict[str, str] = {}
    wanted = search.SearchRequest(
        query=text, kinds=[KINDS[values["kind"]]] if values["kind"] in KINDS else [], community_id=values["community"],
        tag=values["tag"], page_size=RESULTS_A_PAGE, page_token=query(request, "page", TOKEN_CHARACTERS),
    )
    if values["author"]:
        author = await find(request, values["author"])
        if author is None:
            errors["author"] = say("Nobody is found by this name.")
        else:
            wanted.author_id = author
    for name, field in (("after", wanted.after_time), ("before", wanted.before_time)):
        if not values[name]:
            continue
        try:
            day = datetime.combine(datetime.fromisoformat(values[name]).date(), time.min, UTC)
            if day.year < 1970:
                raise ValueError
        except ValueError:
            errors[name] = say("Write a day as in 2025-03-31.")
            continue
        # Until a day means with that day.
        field.FromDatetime(day + timedelta(days=1) if name == "before" else day)
    return wanted, errors


def _kinds(request: AnyRequest, text: str, values: dict[str, str], found: search.SearchResponse) -> list[Option]:
    say = translated(request)
    counts = {NAMES.get(each.kind, ""): each.count for each in found.counts}
    others = {name: value for name, value in values.items() if value and name != "kind"}
    labels = (("", say("Everything")), ("person", say("People")), ("post", say("Posts")), ("community", say("Communities")))
    return [
        Option(
            value=kind, label=label, count=counts.get(kind, 0) if kind else sum(counts.values()), is_chosen=values["kind"] == kind,
            url=address("/search", q=text, **others, kind=kind),
        )
        for kind, label in labels
    ]


@get("/search/suggest")
async def suggest(request: AnyRequest) -> Response[bytes]:
    """What is offered while one types: people first, then communities, tags and the whole search."""
    text = query(request, "q", 100)
    around = fragment_shell(request)
    if not text:
        return render(request, SuggestFragment(shell=around, query=""))
    services = clients(request)
    if query(request, "mention", 1):
        return await _suggest_mentions(request, text)
    asked_people = search.SuggestPeopleRequest(query=text.removeprefix("@"), page_size=PEOPLE_OFFERED)
    asked_communities = feed.ListCommunitiesRequest(query=text, page_size=COMMUNITIES_OFFERED)
    people, communities, tags = await asyncio.gather(
        spared(request, "search", lambda: services.search.SuggestPeople(asked_people)),
        spared(request, "feed", lambda: services.feed.ListCommunities(asked_communities)),
        spared(request, "feed", lambda: services.feed.ListTrendingTags(feed.ListTrendingTagsRequest(page_size=20))),
    )
    hits = people.people if people is not None else []
    found = await spared(request, "identity", lambda: _whole_people(request, [hit.id for hit in hits]), [])
    handles = {each.id: each for each in found}
    start = text.removeprefix("#").casefold()
    view = SuggestFragment(
        shell=around, query=text, people=[handles[hit.id] if hit.id in handles else _named(hit) for hit in hits],
        communities=[CommunityRef(id=each.community_id, name=each.name) for each in (communities.communities if communities else [])],
        tags=[each.tag for each in (tags.tags if tags else []) if each.tag.startswith(start)][:TAGS_OFFERED], is_lacking=people is None,
    )
    return render(request, view, 503 if people is None else 200)


async def _suggest_mentions(request: AnyRequest, text: str) -> Response[bytes]:
    """Whom a text may call: people whom one neither mutes nor blocks, communities one is in, groups of the directory."""
    services = clients(request)
    asked_people = search.SuggestPeopleRequest(query=text.removeprefix("@"), page_size=PEOPLE_OFFERED)
    asked_places = mentioning.SuggestMentionsRequest(query=text, page_size=PLACES_OFFERED)
    people, places = await asyncio.gather(
        spared(request, "search", lambda: services.search.SuggestPeople(asked_people)),
        spared(request, "feed", lambda: services.mentions.SuggestMentions(asked_places)),
    )
    ids = [hit.id for hit in people.people] if people is not None else []
    bonds = reading.BatchGetBondsRequest(person_ids=ids)
    found, kept = await asyncio.gather(
        spared(request, "identity", lambda: _whole_people(request, ids), []),
        spared(request, "feed", lambda: services.reading.BatchGetBonds(bonds)),
    )
    away = {each.person_id for each in kept.bonds if each.muted or each.blocked} if kept is not None else set()
    view = SuggestFragment(
        shell=fragment_shell(request), query="", people=[each for each in found if each.handle and each.id not in away],
        places=[
            PlaceOption(
                handle=each.handle, name=each.display_name, is_group=bool(each.group_id),
                url=f"/groups/{each.group_id}" if each.group_id else f"/communities/{each.community_id}",
            )
            for each in (places.mentions if places is not None else [])
        ],
        is_lacking=people is None,
    )
    return render(request, view, 503 if people is None else 200)


def _named(hit: search.Hit) -> PersonRef:
    return PersonRef(id=hit.id, name=hit.title.text, title=hit.subtitle, photo_url=convert.photo(hit.photo_blob_id))


async def _whole_people(request: AnyRequest, ids: list[str]) -> list[PersonRef]:
    return [convert.person(each) for each in await whole(request, ids)]


@get("/search/open")
async def opened(request: AnyRequest) -> Response[bytes]:
    """Go on to a result, and count at which rank it stood."""
    kind, found_id, rank = query(request, "kind", 20), query(request, "id", 40), _whole(query(request, "rank", 8))
    current_person(request)
    if kind not in PLACES or len(found_id) != 36 or not all(c.isalnum() or c == "-" for c in found_id):
        raise Refusal(404, "")
    if 1 <= rank <= RANK_MAX:
        try:
            await clients(request).search.RecordClick(search.RecordClickRequest(id=found_id, rank=rank))
        except RpcError:
            pass  # a count that is missing keeps nobody from reading
    return go(request, PLACES[kind] + found_id)
