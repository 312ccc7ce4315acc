"""People: the finder, a person's page, following, the organisation chart."""
from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final, Literal

from litestar import Response

from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import reading_service_pb2 as reading
from watercooler.identity.v1 import identity_service_pb2 as identity
from watercooler.search.v1 import search_service_pb2 as search

from ..http import AnyRequest, clients, current_person, gateway
from ..neighbours import spared
from ..problems import Refusal
from ..rendering import address
from ..views import FollowFragment, FollowsPage, Option, OrganizationPage, PeopleFragment, PeoplePage, PersonPage, PersonRow, PostPage
from ..views_asking import ValueCount
from . import convert
from .asking import praise_of
from .common import (
    TOKEN_CHARACTERS,
    fragment_shell,
    get,
    go,
    is_on,
    lacking,
    path_id,
    post,
    posted,
    query,
    render,
    return_path,
    shell,
    told,
    wants_fragment,
)
from .posts import is_continuation, more, timeline
from .reading import bond_view
from .whom import followed, followed_if_known, optional, whole

PEOPLE_A_PAGE: Final = 30
FOUND_MAX: Final = 50
FACET_PAGES: Final = 3


# --- the finder -------------------------------------------------------------------------------------------------------


@get("/people")
async def people(request: AnyRequest) -> Response[bytes]:
    """Everybody, or those found by what was typed; typing errors are forgiven."""
    text, department, location = query(request, "q"), query(request, "department"), query(request, "location")
    token = query(request, "page", TOKEN_CHARACTERS)
    if text:
        rows, total, next_token = await _found(request, text, department, location)
    else:
        rows, total, next_token = await _listed(request, department, location, token)
    following = address("/people", department=department, location=location, page=next_token) if next_token else ""
    if wants_fragment(request):
        view = PeopleFragment(
            shell=fragment_shell(request), query=text, people=rows, total=total, next_url=following, is_continuation=bool(token)
        )
        return render(request, view)
    around, (departments, locations) = await asyncio.gather(shell(request), facets(request))
    page = PeoplePage(
        shell=around, query=text, people=rows, total=total, next_url=following, departments=_options(departments, department),
        locations=_options(locations, location),
    )
    return render(request, page)


def _options(values: list[str], chosen: str) -> list[Option]:
    return [Option(value=each, label=each, is_chosen=each == chosen) for each in values]


async def _listed(request: AnyRequest, department: str, location: str, token: str) -> tuple[list[PersonRow], int, str]:
    wanted = identity.ListPeopleRequest(page_size=PEOPLE_A_PAGE, page_token=token, department=department, location=location)
    found, follows = await asyncio.gather(clients(request).identity.ListPeople(wanted), followed_if_known(request))
    return _rows(request, found.people, follows), found.total_size, found.next_page_token


def _rows(request: AnyRequest, found: Iterable[identity.Person], follows: frozenset[str] | None) -> list[PersonRow]:
    """People in a list; they can be followed from here where it is known who is followed already."""
    me = current_person(request)
    may_follow = not me.is_guest and follows is not None
    return [convert.person_row(each, me.person_id, follows or frozenset(), may_follow=may_follow) for each in found]


async def _found(request: AnyRequest, text: str, department: str, location: str) -> tuple[list[PersonRow], int, str]:
    services = clients(request)
    asked_for = search.SuggestPeopleRequest(query=text, page_size=FOUND_MAX)
    hits, follows = await asyncio.gather(
        spared(request, "search", lambda: services.search.SuggestPeople(asked_for)), followed_if_known(request)
    )
    if hits is None:  # the directory itself finds parts of names, without forgiving anything
        wanted = identity.ListPeopleRequest(page_size=FOUND_MAX, query=text, department=department, location=location)
        listed = await services.identity.ListPeople(wanted)
        return _rows(request, listed.people, follows), listed.total_size, ""
    ids = [hit.id for hit in hits.people]
    found = {each.person_id: each for each in await whole(request, ids)}
    fitting = [
        found[each] for each in ids
        if each in found and (not department or found[each].profile.department == department)
        and (not location or found[each].profile.location == location)
    ]
    return _rows(request, fitting, follows), len(fitting), ""


async def facets(request: AnyRequest) -> tuple[list[str], list[str]]:
    """The departments and locations of the first 600 people by name, asked for once a minute."""
    site = gateway(request).site
    if current_person(request).is_guest:
        return [], []
    if site.facets is None:
        departments: set[str] = set()
        locations: set[str] = set()
        token = ""
        for _ in range(FACET_PAGES):
            found = await clients(request).identity.ListPeople(identity.ListPeopleRequest(page_size=200, page_token=token))
            departments.update(each.profile.department for each in found.people)
            locations.update(each.profile.location for each in found.people)
            token = found.next_page_token
            if not token:
                break
        site.set_facets((sorted(departments - {""}, key=str.casefold), sorted(locations - {""}, key=str.casefold)))
    known: tuple[list[str], list[str]] = site.facets or ([], [])
    return known


# --- a person ---------------------------------------------------------------------------------------------------------


@get("/people/{person_id:str}")
async def show_person(request: AnyRequest) -> Response[bytes]:
    """A person's page."""
    person_id = path_id(request, "person_id")
    path = f"/people/{person_id}"
    if is_continuation(request):
        return more(request, await timeline(request, feed.TIMELINE_KIND_PERSON, person_id, path))
    services, me = clients(request), current_person(request)
    around, found = await asyncio.gather(
        shell(request, live=True), services.identity.GetPerson(identity.GetPersonRequest(person_id=person_id))
    )
    of_feed, chart = await asyncio.gather(
        spared(request, "feed", lambda: _in_feed(request, person_id, path)),
        optional(services.identity.GetOrganizationChart(identity.GetOrganizationChartRequest(person_id=person_id, depth=1))),
    )
    if of_feed is None:
        around = lacking(around, told(request, "Posts and communities cannot be shown just now: try again in a moment."))
        view = convert.person_view(found, chart, [], None, me.person_id)
        return render(request, PersonPage(shell=around, person=view, page=PostPage()))
    page, relation, communities, praise, bonds = of_feed
    bond = bond_view(convert.person(found), bonds.bonds[0]) if bonds is not None and bonds.bonds else None
    view = convert.person_view(found, chart, communities.communities, relation, me.person_id)
    return render(request, PersonPage(shell=around, person=view, page=page, praise=praise, bond=bond))


async def _in_feed(
    request: AnyRequest, person_id: str, path: str
) -> tuple[PostPage, Any, feed.ListCommunitiesResponse, list[ValueCount], reading.BatchGetBondsResponse | None]:
    """What feed knows of a person: five calls, four for oneself."""
    services = clients(request)
    asked_for = reading.BatchGetBondsRequest(person_ids=[person_id] if person_id != current_person(request).person_id else [])
    page, relation, communities, praise, bonds = await asyncio.gather(
        timeline(request, feed.TIMELINE_KIND_PERSON, person_id, path, live_scope=f"person:{person_id}"),
        optional(services.feed.GetRelationship(feed.GetRelationshipRequest(person_id=person_id))),
        services.feed.ListCommunities(feed.ListCommunitiesRequest(member_id=person_id, page_size=30)),
        praise_of(request, person_id),
        optional(services.reading.BatchGetBonds(asked_for)),
    )
    return page, relation, communities, praise, bonds


@post("/people/{person_id:str}/follow")
async def follow(request: AnyRequest) -> Response[bytes]:
    """Follow a person, or no longer."""
    form = await posted(request)
    person_id = path_id(request, "person_id")
    services = clients(request)
    if form.text("follow") == "0":
        relation = await services.feed.UnfollowPerson(feed.UnfollowPersonRequest(person_id=person_id))
    else:
        relation = await services.feed.FollowPerson(feed.FollowPersonRequest(person_id=person_id))
    if not wants_fragment(request):
        return go(request, return_path(request, form, f"/people/{person_id}"))
    person = await services.identity.GetPerson(identity.GetPersonRequest(person_id=person_id))
    view = FollowFragment(
        shell=fragment_shell(request), url=f"/people/{person_id}/follow", name=person.display_name, is_following=relation.following,
        is_small=not is_on(request, f"/people/{person_id}"),
    )
    return render(request, view)


@get("/people/{person_id:str}/followers")
async def followers(request: AnyRequest) -> Response[bytes]:
    """Who follows a person."""
    return await _follows(request, "followers")


@get("/people/{person_id:str}/following")
async def following(request: AnyRequest) -> Response[bytes]:
    """Whom a person follows."""
    return await _follows(request, "following")


async def _follows(request: AnyRequest, part: Literal["followers", "following"]) -> Response[bytes]:
    services, me = clients(request), current_person(request)
    person_id, token = path_id(request, "person_id"), query(request, "page", TOKEN_CHARACTERS)
    listed: Any
    if part == "followers":
        listed = services.feed.ListFollowers(feed.ListFollowersRequest(person_id=person_id, page_size=PEOPLE_A_PAGE, page_token=token))
    else:
        wanted = feed.ListFollowedPeopleRequest(person_id=person_id, page_size=PEOPLE_A_PAGE, page_token=token)
        listed = services.feed.ListFollowedPeople(wanted)
    around, found, person, relation, follows = await asyncio.gather(
        shell(request), listed, services.identity.GetPerson(identity.GetPersonRequest(person_id=person_id)),
        services.feed.GetRelationship(feed.GetRelationshipRequest(person_id=person_id)), followed(request),
    )
    if person.state == identity.PERSON_STATE_ERASED:
        raise Refusal(404, "")
    path = f"/people/{person_id}/{part}"
    view = FollowsPage(
        shell=around, person=convert.person(person), part=part, follower_count=relation.follower_count,
        following_count=relation.following_count, next_url=address(path, page=found.next_page_token) if found.next_page_token else "",
        people=[convert.author_row(each, me.person_id, follows, may_follow=not me.is_guest) for each in found.people],
    )
    return render(request, view)


# --- the organisation -------------------------------------------------------------------------------------------------


@get("/organisation", "/organisation/{person_id:str}")
async def organization(request: AnyRequest) -> Response[bytes]:
    """The chart from the top, or around a person."""
    services = clients(request)
    if "person_id" not in request.path_params:
        around, chart = await asyncio.gather(
            shell(request), services.identity.GetOrganizationChart(identity.GetOrganizationChartRequest(depth=2))
        )
        # One at the top: the chart is drawn around them, with whoever reports to them side by side.
        if len(chart.nodes) == 1:
            top = convert.chart_node(chart.nodes[0], chart.nodes[0].person.person_id)
            return render(request, OrganizationPage(shell=around, centre=top))
        return render(request, OrganizationPage(shell=around, tops=[convert.chart_node(each) for each in chart.nodes]))
    person_id = path_id(request, "person_id")
    around, chart = await asyncio.gather(
        shell(request), services.identity.GetOrganizationChart(identity.GetOrganizationChartRequest(person_id=person_id, depth=2))
    )
    peers: list[Any] = []
    if chart.managers:
        above = await services.identity.GetOrganizationChart(
            identity.GetOrganizationChartRequest(person_id=chart.managers[-1].person_id, depth=1)
        )
        peers = [convert.person(each.person) for each in above.nodes[0].reports if each.person.person_id != person_id]
    view = OrganizationPage(
        shell=around, centre=convert.chart_node(chart.nodes[0], person_id), managers=[convert.person(each) for each in chart.managers],
        peers=peers,
    )
    return render(request, view)
