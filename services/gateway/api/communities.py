"""Communities, their members, and who asks to be one."""
# ruff: noqa: RUF012 - msgspec copies the empty lists and dicts that are defaults here.
from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from watercooler.feed.v1 import events_pb2 as feed_events
from watercooler.feed.v1 import feed_service_pb2 as feed

from ..problems import Refusal
from . import models
from .models import CommunityKindName, Id, MemberRoleName, Page
from .operations import Answer, Call, Input, operation

Name = Annotated[str, Meta(min_length=1, max_length=100)]
Description = Annotated[str, Meta(max_length=2_000)]
Rules = Annotated[str, Meta(max_length=10_000, description="Markdown.")]
Tags = Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=50)]


class CommunitiesQuery(Page, frozen=True, kw_only=True):
    """Which communities."""

    query: Annotated[str, Meta(max_length=200, description="Part of the name or description.")] = ""
    member_id: Annotated[Id | None, Meta(description="Only those this person is a member of.")] = None
    include_archived: bool = False


@operation("GET", "/communities", "List communities", tag="communities", query=CommunitiesQuery, answer=models.CommunityList)
async def list_communities(call: Call, query: CommunitiesQuery) -> models.CommunityList:
    """Those one may know of: secret ones only as a member."""
    found = await call.clients.feed.ListCommunities(
        feed.ListCommunitiesRequest(
            page_size=query.page_size, page_token=query.page_token, member_id=query.member_id or "", query=query.query,
            include_archived=query.include_archived,
        )
    )
    return models.CommunityList(communities=[models.community(each) for each in found.communities], next_page_token=found.next_page_token)


class CommunityInput(Input, frozen=True, kw_only=True):
    """A new community. Open: all read and join; closed: members read, joining is asked for; secret: by invitation only."""

    name: Name
    description: Description = ""
    rules: Rules = ""
    kind: CommunityKindName = "open"
    tags: Tags = []


@operation("POST", "/communities", "Found a community", tag="communities", status=201, body=CommunityInput, answer=models.Community)
async def create_community(call: Call, body: CommunityInput) -> Answer:
    """Whoever founds it owns it."""
    made = await call.clients.feed.CreateCommunity(
        feed.CreateCommunityRequest(
            name=body.name, description=body.description, rules=body.rules, kind=models.COMMUNITY_KINDS[body.kind], tags=body.tags,
            request_id=call.request_id,
        )
    )
    return Answer(models.community(made), etag=made.etag, location=f"/api/v1/communities/{made.community_id}")


class HandleQuery(Input, frozen=True, kw_only=True):
    """By its handle."""

    handle: Annotated[str, Meta(min_length=1, max_length=100)]


@operation("GET", "/communities/lookup", "Find a community by its handle", tag="communities", query=HandleQuery, answer=models.Community)
async def look_up_community(call: Call, query: HandleQuery) -> Answer:
    """The name it has in addresses and mentions."""
    found = await call.clients.feed.GetCommunity(feed.GetCommunityRequest(handle=query.handle))
    return Answer(models.community(found), etag=found.etag)


@operation("GET", "/communities/{community_id}", "Read a community", tag="communities", answer=models.Community)
async def get_community(call: Call) -> Answer:
    """The ETag is the version to name in If-Match when changing it."""
    found = await call.clients.feed.GetCommunity(feed.GetCommunityRequest(community_id=call.id("community_id")))
    return Answer(models.community(found), etag=found.etag)


class CommunityPatch(Input, frozen=True, kw_only=True):
    """What to change; what is absent stays."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    rules: Rules | UnsetType = UNSET
    kind: CommunityKindName | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


@operation(
    "PATCH", "/communities/{community_id}", "Change a community", tag="communities", body=CommunityPatch, answer=models.Community,
    is_edit=True,
)
async def update_community(call: Call, body: CommunityPatch) -> Answer:
    """For its owners. With If-Match only if nobody changed it since."""
    given = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}
    if not given:
        raise Refusal(400, "Name at least one of name, description, rules, kind and tags.")
    mask = list(given)
    if "kind" in given:
        given["kind"] = models.COMMUNITY_KINDS[given["kind"]]
    community_id = call.id("community_id")

    async def current() -> str:
        return (await call.clients.feed.GetCommunity(feed.GetCommunityRequest(community_id=community_id))).etag

    changed = await call.clients.feed.UpdateCommunity(
        feed.UpdateCommunityRequest(
            community_id=community_id, update_mask=mask, etag=await call.if_match(current), request_id=call.request_id, **given
        )
    )
    return Answer(models.community(changed), etag=changed.etag)


@operation("POST", "/communities/{community_id}/archive", "Archive a community", tag="communities", answer=models.Community)
async def archive_community(call: Call) -> models.Community:
    """For its owners. Everything stays readable, nothing is added."""
    request = feed.ArchiveCommunityRequest(community_id=call.id("community_id"), request_id=call.request_id)
    return models.community(await call.clients.feed.ArchiveCommunity(request))


@operation("POST", "/communities/{community_id}/unarchive", "Open an archived community again", tag="communities", answer=models.Community)
async def unarchive_community(call: Call) -> models.Community:
    """For its owners."""
    request = feed.UnarchiveCommunityRequest(community_id=call.id("community_id"), request_id=call.request_id)
    return models.community(await call.clients.feed.UnarchiveCommunity(request))


@operation("POST", "/communities/{community_id}/join", "Join a community", tag="communities", answer=models.Community)
async def join_community(call: Call) -> models.Community:
    """Joins an open one; asks to join a closed one."""
    request = feed.JoinCommunityRequest(community_id=call.id("community_id"), request_id=call.request_id)
    return models.community(await call.clients.feed.JoinCommunity(request))


@operation("POST", "/communities/{community_id}/leave", "Leave a community", tag="communities", answer=models.Community)
async def leave_community(call: Call) -> models.Community:
    """Or take back the wish to join. The last owner stays."""
    request = feed.LeaveCommunityRequest(community_id=call.id("community_id"), request_id=call.request_id)
    return models.community(await call.clients.feed.LeaveCommunity(request))


class MembersQuery(Page, frozen=True, kw_only=True):
    """Which members."""

    role: MemberRoleName | None = None


@operation("GET", "/communities/{community_id}/members", "List members", tag="communities", query=MembersQuery, answer=models.MemberList)
async def list_members(call: Call, query: MembersQuery) -> models.MemberList:
    """All, or those with one role."""
    found = await call.clients.feed.ListMembers(
        feed.ListMembersRequest(
            community_id=call.id("community_id"), page_size=query.page_size, page_token=query.page_token,
            role=models.MEMBER_ROLES[query.role] if query.role else feed_events.MEMBER_ROLE_UNSPECIFIED,
        )
    )
    return models.MemberList(members=[models.member(each) for each in found.members], next_page_token=found.next_page_token)


class NewMemberInput(Input, frozen=True, kw_only=True):
    """Who, as what."""

    person_id: Id
    role: MemberRoleName = "member"


@operation(
    "POST", "/communities/{community_id}/members", "Add a member", tag="communities", status=201, body=NewMemberInput, answer=models.Member
)
async def add_member(call: Call, body: NewMemberInput) -> models.Member:
    """For moderators and owners."""
    request = feed.AddMemberRequest(
        community_id=call.id("community_id"), person_id=body.person_id, role=models.MEMBER_ROLES[body.role], request_id=call.request_id
    )
    return models.member(await call.clients.feed.AddMember(request))


class MemberPatch(Input, frozen=True, kw_only=True):
    """The new role."""

    role: MemberRoleName


@operation(
    "PATCH", "/communities/{community_id}/members/{person_id}", "Change a member's role", tag="communities", body=MemberPatch,
    answer=models.Member,
)
async def change_member_role(call: Call, body: MemberPatch) -> models.Member:
    """For owners."""
    request = feed.ChangeMemberRoleRequest(
        community_id=call.id("community_id"), person_id=call.id("person_id"), role=models.MEMBER_ROLES[body.role],
        request_id=call.request_id,
    )
    return models.member(await call.clients.feed.ChangeMemberRole(request))


@operation("DELETE", "/communities/{community_id}/members/{person_id}", "Remove a member", tag="communities", answer=models.Member)
async def remove_member(call: Call) -> models.Member:
    """For moderators and owners."""
    request = feed.RemoveMemberRequest(
        community_id=call.id("community_id"), person_id=call.id("person_id"), request_id=call.request_id
    )
    return models.member(await call.clients.feed.RemoveMember(request))


@operation(
    "GET", "/communities/{community_id}/join-requests", "List who asks to join", tag="communities", query=Page, answer=models.MemberList
)
async def list_join_requests(call: Call, query: Page) -> models.MemberList:
    """For moderators and owners."""
    found = await call.clients.feed.ListJoinRequests(
        feed.ListJoinRequestsRequest(community_id=call.id("community_id"), page_size=query.page_size, page_token=query.page_token)
    )
    return models.MemberList(members=[models.member(each) for each in found.members], next_page_token=found.next_page_token)


@operation(
    "POST", "/communities/{community_id}/join-requests/{person_id}/approve", "Let somebody in", tag="communities", answer=models.Member
)
async def approve_join_request(call: Call) -> models.Member:
    """For moderators and owners."""
    request = feed.ApproveJoinRequestRequest(
        community_id=call.id("community_id"), person_id=call.id("person_id"), request_id=call.request_id
    )
    return models.member(await call.clients.feed.ApproveJoinRequest(request))


@operation(
    "POST", "/communities/{community_id}/join-requests/{person_id}/decline", "Do not let somebody in", tag="communities",
    answer=models.Member,
)
async def decline_join_request(call: Call) -> models.Member:
    """For moderators and owners."""
    request = feed.DeclineJoinRequestRequest(
        community_id=call.id("community_id"), person_id=call.id("person_id"), request_id=call.request_id
    )
    return models.member(await call.clients.feed.DeclineJoinRequest(request))
