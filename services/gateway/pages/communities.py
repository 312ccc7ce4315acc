"""Communities: the list, a community's page, founding and changing one, its members and who asks to join."""
from __future__ import annotations

import asyncio
from typing import Final

from litestar import Response

from libs.rpc.errors import RpcError
from watercooler.feed.v1 import events_pb2 as feed_events
from watercooler.feed.v1 import feed_service_pb2 as feed

from .. import http
from ..http import AnyRequest, clients, current_person
from ..problems import Refusal
from ..rendering import address
from ..views import (
    CommunitiesPage,
    CommunityEditPage,
    CommunityPage,
    Form,
    JoinRequest,
    MemberRow,
    MembershipFragment,
    MembersPage,
    PersonRef,
    PostPage,
    RequestsPage,
)
from . import convert
from .asking import experts_of
from .common import (
    TOKEN_CHARACTERS,
    bad,
    conflict,
    fragment_shell,
    get,
    go,
    is_on,
    path_id,
    post,
    posted,
    problems,
    query,
    render,
    shell,
    told,
    translated,
    wants_fragment,
)
from .posts import compose_view, is_continuation, more, timeline
from .whom import find

COMMUNITIES_A_PAGE: Final = 30
MEMBERS_A_PAGE: Final = 50
MEMBERS_SEARCHED: Final = 3
FACES: Final = 12
KINDS: Final = {
    "open": feed_events.COMMUNITY_KIND_OPEN, "closed": feed_events.COMMUNITY_KIND_CLOSED, "secret": feed_events.COMMUNITY_KIND_SECRET,
}
ROLES: Final = {
    "member": feed_events.MEMBER_ROLE_MEMBER, "moderator": feed_events.MEMBER_ROLE_MODERATOR, "owner": feed_events.MEMBER_ROLE_OWNER,
}
FIELDS: Final = ("name", "description", "rules", "kind", "tags")


async def _one(request: AnyRequest) -> feed.Community:
    community_id = path_id(request, "community_id")
    return await clients(request).feed.GetCommunity(feed.GetCommunityRequest(community_id=community_id))


@get("/communities")
async def communities(request: AnyRequest) -> Response[bytes]:
    """The communities one may know of, or one's own."""
    me = current_person(request)
    tab, text, token = query(request, "tab", 10), query(request, "q", 100), query(request, "page", TOKEN_CHARACTERS)
    wanted = feed.ListCommunitiesRequest(
        page_size=COMMUNITIES_A_PAGE, page_token=token, query=text, member_id=me.person_id if tab == "mine" else "",
    )
    around, found = await asyncio.gather(shell(request), clients(request).feed.ListCommunities(wanted))
    following = address("/communities", tab=tab, q=text, page=found.next_page_token) if found.next_page_token else ""
    page = CommunitiesPage(
        shell=around, tab="mine" if tab == "mine" else "all", query=text, next_url=following, can_create=not me.is_guest,
        communities=[convert.community_row(each) for each in found.communities],
    )
    return render(request, page)


# --- one community ----------------------------------------------------------------------------------------------------


@get("/communities/{community_id:str}")
async def show_community(request: AnyRequest) -> Response[bytes]:
    """A community's posts, or what it is about for those who may not read them: nine calls."""
    community_id = path_id(request, "community_id")
    path = f"/communities/{community_id}"
    if is_continuation(request):
        return more(request, await timeline(request, feed.TIMELINE_KIND_COMMUNITY, community_id, path))
    services, me = clients(request), current_person(request)
    around, found = await asyncio.gather(shell(request, live=True), _one(request))
    owners: list[PersonRef] = []
    moderators: list[PersonRef] = []
    members: list[PersonRef] = []
    experts: list[PersonRef] = []
    page = PostPage()
    if found.readable:
        scope = f"community:{community_id}"
        page, experts, rows = await asyncio.gather(
            timeline(request, feed.TIMELINE_KIND_COMMUNITY, community_id, path, live_scope=scope),
            experts_of(request, community_id),
            asyncio.gather(*(
                services.feed.ListMembers(feed.ListMembersRequest(community_id=community_id, page_size=FACES, role=role))
                for role in (ROLES["owner"], ROLES["moderator"], feed_events.MEMBER_ROLE_UNSPECIFIED)
            )),
        )
        owners, moderators, members = ([convert.author(each.person) for each in row.members] for row in rows)
    view = convert.community(found, owners=owners, moderators=moderators, members=members, is_administrator=me.is_administrator)
    may_write = view.membership in ("member", "moderator", "owner") and not found.archived
    compose = compose_view(request, around, audience=f"community:{community_id}") if may_write else None
    return render(request, CommunityPage(shell=around, community=view, page=page, compose=compose, experts=experts))




@post("/communities/{community_id:str}/join")
async def join(request: AnyRequest) -> Response[bytes]:
    """Join an open community, ask to join a closed one."""
    form = await posted(request)
    found = await clients(request).feed.JoinCommunity(feed.JoinCommunityRequest(community_id=path_id(request, "community_id")))
    say = translated(request)
    notice = say("You have asked to join. The moderators answer.") if found.join_requested else say("You are a member now.")
    return await _membership(request, found, http.return_to(form.text("return_to"), f"/communities/{found.community_id}"), notice)


@post("/communities/{community_id:str}/leave")
async def leave(request: AnyRequest) -> Response[bytes]:
    """Leave, or withdraw the request to join."""
    form = await posted(request)
    found = await clients(request).feed.LeaveCommunity(feed.LeaveCommunityRequest(community_id=path_id(request, "community_id")))
    target = http.return_to(form.text("return_to"), "/communities")
    if found.kind == feed_events.COMMUNITY_KIND_SECRET:
        target = "/communities"
    return await _membership(request, found, target, told(request, "You are no longer in this community."))


async def _membership(request: AnyRequest, found: feed.Community, target: str, notice: str) -> Response[bytes]:
    if not wants_fragment(request):
        return go(request, target, notice)
    row = convert.community_row(found)
    view = MembershipFragment(
        shell=fragment_shell(request), id=row.id, name=row.name, kind=row.kind, membership=row.membership,
        is_small=not is_on(request, f"/communities/{row.id}"),
    )
    return render(request, view)


# --- founding and changing --------------------------------------------------------------------------------------------


@get("/communities/new")
async def show_new(request: AnyRequest) -> Response[bytes]:
    """Found a community."""
    return render(request, CommunityEditPage(shell=await shell(request)))


def _tags(text: str) -> list[str]:
    return [each.strip().removeprefix("#") for each in text.split(",") if each.strip()][:100]


@post("/communities/new")
async def create(request: AnyRequest) -> Response[bytes]:
    """Found a community; its founder owns it."""
    form = await posted(request)
    request_to = feed.CreateCommunityRequest(
        name=form.text("name"), description=form.text("description"), rules=form.text("rules"),
        kind=KINDS.get(form.text("kind"), feed_events.COMMUNITY_KIND_UNSPECIFIED), tags=_tags(form.text("tags")),
        request_id=form.text("request_id", 100),
    )
    try:
        found = await clients(request).feed.CreateCommunity(request_to)
    except RpcError as error:
        problem = problems(error, {each: each for each in FIELDS})
        view = CommunityEditPage(shell=await shell(request), form=problem.form(form.kept(*FIELDS)))
        return render(request, view, problem.status)
    return go(request, f"/communities/{found.community_id}", told(request, "The community is founded. Invite its first members."))


async def _edit_page(request: AnyRequest, found: feed.Community, form: Form, status: int = 200) -> Response[bytes]:
    view = convert.community(found, is_administrator=current_person(request).is_administrator)
    if not view.can_edit:
        raise Refusal(403, told(request, "Only the owners change a community: ask one of them."))
    return render(request, CommunityEditPage(shell=await shell(request), community=view, form=form), status)


@get("/communities/{community_id:str}/edit")
async def show_edit(request: AnyRequest) -> Response[bytes]:
    """What can be changed."""
    found = await _one(request)
    return await _edit_page(request, found, Form(values={**_values(found), "version": found.etag}))


def _values(found: feed.Community) -> dict[str, str]:
    return {
        "name": found.name, "description": found.description, "rules": found.rules, "kind": convert.KINDS.get(found.kind, "open"),
        "tags": ", ".join(found.tags),
    }


@post("/communities/{community_id:str}/edit")
async def edit(request: AnyRequest) -> Response[bytes]:
    """Change the community, archive it or take it out of the archive."""
    form = await posted(request)
    services, community_id, say = clients(request), path_id(request, "community_id"), translated(request)
    action = form.text("action", 20)
    if action == "archive":
        await services.feed.ArchiveCommunity(feed.ArchiveCommunityRequest(community_id=community_id))
        return go(request, f"/communities/{community_id}", say("The community is archived: it can be read, and nothing new is written."))
    if action == "unarchive":
        await services.feed.UnarchiveCommunity(feed.UnarchiveCommunityRequest(community_id=community_id))
        return go(request, f"/communities/{community_id}", say("The community is open for new posts again."))
    change = feed.UpdateCommunityRequest(
        community_id=community_id, name=form.text("name"), description=form.text("description"), rules=form.text("rules"),
        kind=KINDS.get(form.text("kind"), feed_events.COMMUNITY_KIND_UNSPECIFIED), tags=_tags(form.text("tags")),
        update_mask=list(FIELDS), etag=form.text("version", 40),
    )
    try:
        await services.feed.UpdateCommunity(change)
    except RpcError as error:
        problem = problems(error, {each: each for each in FIELDS})
        typed = form.kept(*FIELDS, "version")
        now = await _one(request)
        if problem.code == "edit_conflict":
            theirs = say("Somebody changed the community while you were writing. Saving again puts your text in the place of theirs.")
            errors = conflict(request, form.kept(*FIELDS), _values(now))
            return await _edit_page(request, now, Form(values={**typed, "version": now.etag}, errors=errors, message=theirs), 409)
        return await _edit_page(request, now, problem.form(typed), problem.status)
    return go(request, f"/communities/{community_id}", say("Saved."))


# --- members ----------------------------------------------------------------------------------------------------------


async def _members_page(request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
    me = current_person(request)
    text, token = query(request, "q", 100), query(request, "page", TOKEN_CHARACTERS)
    around, found = await asyncio.gather(shell(request), _one(request))
    view = convert.community(found, is_administrator=me.is_administrator)
    if not found.readable:
        raise Refusal(404, "")
    members, next_token = await _members(request, found.community_id, text, token)
    rows = [
        MemberRow(
            person=convert.author(each.person), role=convert.MEMBERSHIPS.get(each.role, "member"),  # type: ignore[arg-type]
            join_time=convert.optional_moment(each, "join_time"),
            can_change=view.can_moderate and each.person.person_id != me.person_id
            and (view.can_edit or each.role == feed_events.MEMBER_ROLE_MEMBER),
        )
        for each in members
    ]
    following = address(f"/communities/{found.community_id}/members", page=next_token) if next_token else ""
    return render(request, MembersPage(shell=around, community=view, members=rows, query=text, next_url=following, form=form), status)


async def _members(request: AnyRequest, community_id: str, text: str, token: str) -> tuple[list[feed.Member], str]:
    """A page of members; with a text those among the first 600 whose name holds it."""
    services = clients(request)
    if not text:
        wanted = feed.ListMembersRequest(community_id=community_id, page_size=MEMBERS_A_PAGE, page_token=token)
        found = await services.feed.ListMembers(wanted)
        return list(found.members), found.next_page_token
    members: list[feed.Member] = []
    token = ""
    for _ in range(MEMBERS_SEARCHED):
        found = await services.feed.ListMembers(feed.ListMembersRequest(community_id=community_id, page_size=200, page_token=token))
        members += [each for each in found.members if text.casefold() in f"{each.person.display_name} {each.person.handle}".casefold()]
        token = found.next_page_token
        if not token:
            break
    return members, ""


@get("/communities/{community_id:str}/members")
async def members(request: AnyRequest) -> Response[bytes]:
    """Who is in the community."""
    return await _members_page(request, Form())


@post("/communities/{community_id:str}/members")
async def change_member(request: AnyRequest) -> Response[bytes]:
    """Add somebody, change a role, or remove a member."""
    form = await posted(request)
    services, community_id, say = clients(request), path_id(request, "community_id"), translated(request)
    action, person_id = form.text("action", 20), form.text("person_id", 36)
    target = f"/communities/{community_id}/members"
    try:
        if action == "add":
            found = await find(request, form.text("person", 200))
            if found is None:
                problem = bad("person", say("Nobody is found by this name. Write @ and choose from the list."))
                return await _members_page(request, problem.form(form.kept("person")), problem.status)
            await services.feed.AddMember(feed.AddMemberRequest(community_id=community_id, person_id=found, role=ROLES["member"]))
            return go(request, target, say("Added."))
        if action == "remove":
            await services.feed.RemoveMember(feed.RemoveMemberRequest(community_id=community_id, person_id=person_id))
            return go(request, target, say("Removed."))
        if action not in ROLES:
            raise Refusal(400, say("Choose what to change."))
        await services.feed.ChangeMemberRole(
            feed.ChangeMemberRoleRequest(community_id=community_id, person_id=person_id, role=ROLES[action])
        )
    except RpcError as error:
        problem = problems(error, {"person_id": "person"})
        return await _members_page(request, problem.form(form.kept("person")), problem.status)
    return go(request, target, say("Saved."))


@get("/communities/{community_id:str}/requests")
async def requests(request: AnyRequest) -> Response[bytes]:
    """Who asks to be let in."""
    around, found = await asyncio.gather(shell(request), _one(request))
    view = convert.community(found, is_administrator=current_person(request).is_administrator)
    if not view.can_moderate:
        raise Refusal(403, told(request, "Only the moderators see who asks to join."))
    listed = await clients(request).feed.ListJoinRequests(feed.ListJoinRequestsRequest(community_id=found.community_id, page_size=200))
    rows = [JoinRequest(person=convert.author(each.person), request_time=convert.moment(each.join_time)) for each in listed.members]
    return render(request, RequestsPage(shell=around, community=view, requests=rows))


@post("/communities/{community_id:str}/requests")
async def answer_request(request: AnyRequest) -> Response[bytes]:
    """Let somebody in, or decline."""
    form = await posted(request)
    services, community_id, say = clients(request), path_id(request, "community_id"), translated(request)
    person_id = form.text("person_id", 36)
    if form.text("action", 20) == "admit":
        await services.feed.ApproveJoinRequest(feed.ApproveJoinRequestRequest(community_id=community_id, person_id=person_id))
        notice = say("Let in. They are told.")
    else:
        await services.feed.DeclineJoinRequest(feed.DeclineJoinRequestRequest(community_id=community_id, person_id=person_id))
        notice = say("Declined.")
    return go(request, f"/communities/{community_id}/requests", notice)
