"""Communities and their members."""
from __future__ import annotations

from typing import Any

from libs.eventstore.model import AlreadyExists, InvalidArgument, NotFound, PermissionDenied, Rejected
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.telemetry import metrics
from libs.text.handles import HANDLE_CHARACTERS, slug
from libs.text.ids import new_id, pair_id
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import feed_service_pb2 as api

from .. import commands
from ..deciders import community, membership
from ..queries import communities as queries
from ..queries import people as people_queries
from .base import NO_COMMUNITY, Calls, bad_token, key_of, page_size, person, position_of, token
from .posts import tag_of

_MEMBER, _MODERATOR, _OWNER = events_pb2.MEMBER_ROLE_MEMBER, events_pb2.MEMBER_ROLE_MODERATOR, events_pb2.MEMBER_ROLE_OWNER
_FIELDS = ("name", "description", "rules", "kind", "tags")
HANDLE_ATTEMPTS = 100
_TAIL = 8
QUERY_CHARACTERS = 100


class CommunityCalls(Calls):
    """Everything about communities."""

    async def CreateCommunity(self, request: api.CreateCommunityRequest, context: Any) -> api.Community:
        """Create a community; the caller owns it."""
        caller = person()
        if caller.is_guest:
            raise PermissionDenied("guests cannot create communities: ask an employee to")
        if request.request_id and (answer := await self.events.answered(f"{caller.actor_id}:{request.request_id}")) is not None:
            return await self._community(caller, answer[0].removeprefix("community-"))
        created = commands.CreateCommunity(
            community_id=new_id(), name=request.name.strip(), handle="", description=request.description, rules=request.rules,
            kind=request.kind, tags=tags_of(request.tags), creator_id=caller.person_id, now=self.now(),
        )
        return await self._community(caller, await self.create(caller, created, request.request_id))

    async def create(self, caller: Caller, command: commands.CreateCommunity, request_id: str = "", *, owner: bool = True) -> str:
        """Create under the first free handle of the name and answer the id.

        The owner joins first: what a crash between the two leaves behind is a membership of nothing, not a community of nobody.
        """
        community.decide(command, community.initial())  # refuse what is wrong before anybody joins
        if owner:
            await self.admit(caller, command.community_id, command.creator_id, _OWNER)
        base = slug(command.name)
        if command.kind == events_pb2.COMMUNITY_KIND_SECRET:  # else a second one of the name would be told that there is a first
            base = f"{base[:HANDLE_CHARACTERS - _TAIL - 1]}-{command.community_id[-_TAIL:]}"
        for number in range(1, HANDLE_ATTEMPTS + 1):
            handle = base if number == 1 else f"{base}-{number}"
            async with self.database.snapshot() as tx:
                if await queries.handle_taken(tx, handle):
                    continue
            named = commands.CreateCommunity(
                community_id=command.community_id, name=command.name, handle=handle, description=command.description, rules=command.rules,
                kind=command.kind, tags=command.tags, creator_id=command.creator_id, now=command.now, external_id=command.external_id,
            )
            try:
                done = await self.handle(caller, community, f"community-{command.community_id}", named, request_id)
            except AlreadyExists:  # somebody took it this very moment
                continue
            return done.stream.removeprefix("community-")
        raise AlreadyExists("there are too many communities of this name already: choose another", "name")

    async def admit(
        self, caller: Caller, community_id: str, person_id: str, role: events_pb2.MemberRole.ValueType, request_id: str = ""
    ) -> None:
        """Make somebody a member."""
        command = commands.Admit(
            community_id=community_id, person_id=person_id, role=role, admitter_id=caller.person_id, now=self.now()
        )
        done = await self.handle(caller, membership, membership_stream(community_id, person_id), command, request_id)
        if done.position:
            metrics.ENGAGEMENT_ACTIONS.labels(kind="join").inc()

    async def GetCommunity(self, request: api.GetCommunityRequest, context: Any) -> api.Community:
        """One community by id or handle."""
        async with self.database.snapshot() as tx:
            found = await queries.fetch_community(tx, auth.caller(), request.community_id, request.handle)
        if found is None:
            raise NotFound(NO_COMMUNITY)
        return found

    async def _community(self, caller: Caller, community_id: str) -> api.Community:
        async with self.database.snapshot() as tx:
            found = await queries.fetch_community(tx, caller, community_id) if community_id else None
        if found is None:
            raise NotFound(NO_COMMUNITY, "community_id")
        return found

    async def ListCommunities(self, request: api.ListCommunitiesRequest, context: Any) -> api.ListCommunitiesResponse:
        """The communities that exist for the caller, in order of their names."""
        size = page_size(request.page_size)
        if len(request.query) > QUERY_CHARACTERS:
            raise InvalidArgument(f"a query has at most {QUERY_CHARACTERS} characters", "query")
        name, separator, last_id = key_of(request.page_token).rpartition("\n")
        if request.page_token and not separator:
            raise bad_token()
        async with self.database.snapshot() as tx:
            rows = await queries.list_communities(
                tx, auth.caller(), after=(name, last_id), limit=size + 1, member_id=request.member_id, query=request.query.strip(),
                archived=request.include_archived,
            )
        more = f"{rows[size - 1][0]}\n{rows[size - 1][1].community_id}" if len(rows) > size else ""
        return api.ListCommunitiesResponse(communities=[found for _, found in rows[:size]], next_page_token=token(more))

    async def UpdateCommunity(self, request: api.UpdateCommunityRequest, context: Any) -> api.Community:
        """Change what `update_mask` names; the handle stays."""
        caller = person()
        unknown = sorted(set(request.update_mask) - set(_FIELDS))
        if unknown or not request.update_mask:
            raise InvalidArgument(f"update_mask names one or more of {', '.join(_FIELDS)}", "update_mask")
        await self._owned(caller, request.community_id)
        mask = set(request.update_mask)
        command = commands.ChangeCommunity(
            community_id=request.community_id, etag=request.etag,
            name=request.name.strip() if "name" in mask else None,
            description=request.description if "description" in mask else None,
            rules=request.rules if "rules" in mask else None,
            kind=request.kind if "kind" in mask else None,
            tags=tags_of(request.tags) if "tags" in mask else None,
        )
        await self.handle(caller, community, f"community-{request.community_id}", command, request.request_id)
        return await self._community(caller, request.community_id)

    async def ArchiveCommunity(self, request: api.ArchiveCommunityRequest, context: Any) -> api.Community:
        """Close the community for new posts; it stays readable."""
        caller = person()
        await self._owned(caller, request.community_id)
        command = commands.ArchiveCommunity(community_id=request.community_id, now=self.now())
        await self.handle(caller, community, f"community-{request.community_id}", command, request.request_id)
        return await self._community(caller, request.community_id)

    async def UnarchiveCommunity(self, request: api.UnarchiveCommunityRequest, context: Any) -> api.Community:
        """Open an archived community again."""
        caller = person()
        await self._owned(caller, request.community_id)
        command = commands.UnarchiveCommunity(community_id=request.community_id)
        await self.handle(caller, community, f"community-{request.community_id}", command, request.request_id)
        return await self._community(caller, request.community_id)

    async def JoinCommunity(self, request: api.JoinCommunityRequest, context: Any) -> api.Community:
        """Join an open community; ask to join a closed one."""
        caller = person()
        found = await self._community(caller, request.community_id)
        if found.my_role:
            return found
        if caller.is_guest:
            raise PermissionDenied("guests are let in by the community's owners: ask one of them")
        if found.archived:
            raise Rejected("the community is archived: nothing new happens there")
        if found.kind == events_pb2.COMMUNITY_KIND_OPEN:
            await self.admit(caller, request.community_id, caller.person_id, _MEMBER, request.request_id)
        else:
            command = commands.RequestJoin(community_id=request.community_id, person_id=caller.person_id, now=self.now())
            stream = membership_stream(request.community_id, caller.person_id)
            await self.handle(caller, membership, stream, command, request.request_id)
        return await self._community(caller, request.community_id)

    async def LeaveCommunity(self, request: api.LeaveCommunityRequest, context: Any) -> api.Community:
        """Leave, or withdraw the request to join; the answer to leaving a secret community is its last sight."""
        caller = person()
        found = await self._community(caller, request.community_id)
        command = commands.Leave(community_id=request.community_id, person_id=caller.person_id)
        stream = membership_stream(request.community_id, caller.person_id)
        done = await self.handle(caller, membership, stream, command, request.request_id)
        try:
            return await self._community(caller, request.community_id)
        except NotFound:
            if not done.position:
                raise
            last = api.Community()
            last.CopyFrom(found)
            last.my_role = events_pb2.MEMBER_ROLE_UNSPECIFIED
            last.readable = False
            return last

    async def AddMember(self, request: api.AddMemberRequest, context: Any) -> api.Member:
        """Let somebody in, guests too; only owners make moderators and owners."""
        caller = person()
        found = await self._moderated(caller, request.community_id)
        role = request.role or _MEMBER
        self._check_may_give(caller, found, role)
        async with self.database.snapshot() as tx:
            if not await people_queries.present(tx, (request.person_id,)):
                raise InvalidArgument("they are not (or no longer) here", "person_id")
        await self.admit(caller, request.community_id, request.person_id, role, request.request_id)
        return await self._member(request.community_id, request.person_id)

    async def RemoveMember(self, request: api.RemoveMemberRequest, context: Any) -> api.Member:
        """Put a member out; a moderator cannot remove moderators or owners."""
        caller = person()
        found = await self._moderated(caller, request.community_id)
        member = await self._member(request.community_id, request.person_id)
        if member.role > _MEMBER:
            self._check_may_give(caller, found, member.role)
        command = commands.RemoveMember(community_id=request.community_id, person_id=request.person_id, remover_id=caller.person_id)
        await self.handle(caller, membership, membership_stream(request.community_id, request.person_id), command, request.request_id)
        gone = api.Member()
        gone.CopyFrom(member)
        gone.role = events_pb2.MEMBER_ROLE_UNSPECIFIED
        return gone

    async def ChangeMemberRole(self, request: api.ChangeMemberRoleRequest, context: Any) -> api.Member:
        """Make a member a moderator or an owner, or back; by owners."""
        caller = person()
        await self._owned(caller, request.community_id)
        await self._member(request.community_id, request.person_id)
        command = commands.ChangeRole(community_id=request.community_id, person_id=request.person_id, role=request.role)
        await self.handle(caller, membership, membership_stream(request.community_id, request.person_id), command, request.request_id)
        return await self._member(request.community_id, request.person_id)

    async def ListMembers(self, request: api.ListMembersRequest, context: Any) -> api.ListMembersResponse:
        """The members, in order of joining, for whom the community exists."""
        caller = auth.caller()
        size = page_size(request.page_size)
        after = position_of(request.page_token, 0)
        await self._community(caller, request.community_id)
        async with self.database.snapshot() as tx:
            rows = await queries.list_members(tx, request.community_id, request.role, after, size + 1)
        return api.ListMembersResponse(
            members=[member for _, member in rows[:size]], next_page_token=token(rows[size - 1][0]) if len(rows) > size else ""
        )

    async def ListJoinRequests(self, request: api.ListJoinRequestsRequest, context: Any) -> api.ListMembersResponse:
        """Who asks to be let in; for owners and moderators."""
        caller = auth.caller()
        size = page_size(request.page_size)
        after = position_of(request.page_token, 0)
        await self._moderated(caller, request.community_id)
        async with self.database.snapshot() as tx:
            rows = await queries.list_join_requests(tx, request.community_id, after, size + 1)
        return api.ListMembersResponse(
            members=[member for _, member in rows[:size]], next_page_token=token(rows[size - 1][0]) if len(rows) > size else ""
        )

    async def ApproveJoinRequest(self, request: api.ApproveJoinRequestRequest, context: Any) -> api.Member:
        """Let in somebody who asked."""
        caller = person()
        await self._moderated(caller, request.community_id)
        command = commands.ApproveJoin(
            community_id=request.community_id, person_id=request.person_id, decider_id=caller.person_id, now=self.now()
        )
        stream = membership_stream(request.community_id, request.person_id)
        if (await self.handle(caller, membership, stream, command, request.request_id)).position:
            metrics.ENGAGEMENT_ACTIONS.labels(kind="join").inc()
        return await self._member(request.community_id, request.person_id)

    async def DeclineJoinRequest(self, request: api.DeclineJoinRequestRequest, context: Any) -> api.Member:
        """Turn a request down; they may ask again."""
        caller = person()
        await self._moderated(caller, request.community_id)
        command = commands.DeclineJoin(community_id=request.community_id, person_id=request.person_id, decider_id=caller.person_id)
        await self.handle(caller, membership, membership_stream(request.community_id, request.person_id), command, request.request_id)
        return api.Member(community_id=request.community_id, person=api.Author(person_id=request.person_id))

    async def _owned(self, caller: Caller, community_id: str) -> api.Community:
        found = await self._community(caller, community_id)
        if found.my_role != _OWNER and not caller.is_administrator:
            raise PermissionDenied("only the community's owners can do this: ask one of them")
        return found

    async def _moderated(self, caller: Caller, community_id: str) -> api.Community:
        found = await self._community(caller, community_id)
        if found.my_role not in (_MODERATOR, _OWNER) and not caller.is_administrator:
            raise PermissionDenied("only the community's owners and moderators can do this: ask one of them")
        return found

    @staticmethod
    def _check_may_give(caller: Caller, found: api.Community, role: int) -> None:
        if role > _MEMBER and found.my_role != _OWNER and not caller.is_administrator:
            raise PermissionDenied("only owners decide who moderates and owns the community")

    async def _member(self, community_id: str, person_id: str) -> api.Member:
        async with self.database.snapshot() as tx:
            member = await queries.fetch_member(tx, community_id, person_id)
        if member is None:
            raise NotFound("they are no member of this community", "person_id")
        return member


def membership_stream(community_id: str, person_id: str) -> str:
    """The stream of one person in one community."""
    return f"membership-{pair_id(community_id, person_id)}"


def tags_of(tags: Any) -> tuple[str, ...]:
    """Tags in their one form, each once."""
    return tuple(dict.fromkeys(tag_of(tag, "tags") for tag in tags))
