"""Groups of the directory, as far as they are read."""
from __future__ import annotations

from typing import Any

from libs.eventstore.model import NotFound, PermissionDenied
from watercooler.identity.v1.identity_service_pb2 import (
    GetGroupRequest,
    Group,
    ListGroupMembersRequest,
    ListGroupMembersResponse,
    ListGroupsRequest,
    ListGroupsResponse,
)

from .. import queries
from .base import Part, insider, page_after, page_size, page_token, reader


class GroupsPart(Part):
    """Groups of the directory; guests see their own only."""

    async def GetGroup(self, request: GetGroupRequest, context: Any) -> Group:
        """One group."""
        insider()
        return await self._group(request.group_id)

    async def ListGroups(self, request: ListGroupsRequest, context: Any) -> ListGroupsResponse:
        """A page of groups by name: all, or one person's."""
        caller = reader()
        if caller.is_guest and request.person_id != caller.person_id:
            raise PermissionDenied("guests see their own groups only")
        size, after = page_size(request.page_size), page_after(request.page_token)
        async with self.database.snapshot() as tx:
            found, last = await queries.list_groups(tx, request.person_id, size, (after[0], after[1]) if after else None)
        return ListGroupsResponse(groups=found, next_page_token=page_token(last))

    async def ListGroupMembers(self, request: ListGroupMembersRequest, context: Any) -> ListGroupMembersResponse:
        """A page of who is in a group, by id."""
        insider()
        size, after = page_size(request.page_size), page_after(request.page_token, 1)
        await self._group(request.group_id)
        async with self.database.snapshot() as tx:
            found, last = await queries.group_members(tx, request.group_id, size, after[0] if after else "")
        return ListGroupMembersResponse(person_ids=found, next_page_token=page_token([last] if last else []))

    async def _group(self, group_id: str) -> Group:
        async with self.database.snapshot() as tx:
            found = await queries.group(tx, group_id)
        if found is None:
            raise NotFound("there is no such group")
        return found
