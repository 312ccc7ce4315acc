"""Set-up and the organisation."""
from __future__ import annotations

import asyncio
from typing import Any

from libs.eventstore.model import AlreadyExists, InvalidArgument, NotFound, Rejected
from libs.text.ids import new_id
from watercooler.identity.v1.events_pb2 import ROLE_ADMINISTRATOR, ROLE_EMPLOYEE, Profile
from watercooler.identity.v1.identity_service_pb2 import (
    GetOrganizationRequest,
    Organization,
    RenameOrganizationRequest,
    SetUpOrganizationRequest,
    SetUpOrganizationResponse,
)

from .. import passwords, profiles, queries
from ..commands import AddPerson, CreateOrganization, RenameOrganization
from ..deciders import organization, person
from .base import Part, administrator


class OrganizationPart(Part):
    """The organisation of the deployment."""

    def __init__(self, *args: Any) -> None:
        """As every part."""
        super().__init__(*args)
        self._setting_up = asyncio.Lock()

    async def GetOrganization(self, request: GetOrganizationRequest, context: Any) -> Organization:
        """The organisation; anybody may ask, since a deployment without one shows its set-up page."""
        async with self.database.snapshot() as tx:
            found = await queries.organization(tx)
        if found is None:
            raise NotFound("there is no organisation yet: set it up first")
        return found

    async def SetUpOrganization(self, request: SetUpOrganizationRequest, context: Any) -> SetUpOrganizationResponse:
        """Create the first administrator and the organisation; anybody may, once.

        The administrator comes first: a set-up that breaks off between the two can be finished by nobody but whoever knows that
        administrator's password, so that nobody else takes the network over.
        """
        profile = Profile(name=request.person_name.strip(), email=request.email.strip())
        profiles.check_name(request.name, "name", "the name of the organisation")
        profiles.check_name(profile.name, "person_name", "your name")
        if not profile.email:
            raise InvalidArgument("an administrator signs in by e-mail address: please fill it in", "email")
        try:
            profiles.check_email(profile.email)
        except ValueError as error:
            raise InvalidArgument(str(error), "email") from None
        passwords.check(request.password, names=(profile.name, profile.email))
        async with self._setting_up:
            async with self.database.snapshot() as tx:
                if await queries.organization(tx) is not None:
                    raise AlreadyExists("the organisation is set up already: sign in instead")
                begun = await queries.has_administrator(tx)
            person_id = await self._resumed(profile.email, request.password) if begun else await self._first(profile, request.password)
            organization_id = new_id()
            create = CreateOrganization(organization_id=organization_id, name=request.name.strip(), now=self.now())
            await self.done(organization, f"organization-{organization_id}", create, person_id)
        return SetUpOrganizationResponse(
            organization=await self.GetOrganization(GetOrganizationRequest(), context), administrator=await self.read_person(person_id)
        )

    async def _first(self, profile: Profile, password: str) -> str:
        """Add the first administrator and answer their id."""
        async with self.database.snapshot() as tx:
            profile.handle = await self._free_handle(tx, profile)
        person_id = new_id()
        add = AddPerson(
            person_id=person_id, profile=profile, roles=[ROLE_EMPLOYEE, ROLE_ADMINISTRATOR], manager_id="",
            password_hash=await self.passwords.hash(password), now=self.now(),
        )
        try:
            await self.done(person, f"person-{person_id}", add, person_id)
        except Rejected as error:
            raise type(error)(error.reason, error.field.removeprefix("profile.")) from error
        return person_id

    async def _resumed(self, email: str, password: str) -> str:
        """The id of the administrator whom a set-up that broke off has made.

        Raises:
            AlreadyExists: the address and the password are not theirs.
        """
        async with self.database.snapshot() as tx:
            found = await queries.credentials(tx, email=email)
            administrators = await queries.active_administrators(tx)
        right = await self.passwords.verify(found.password_hash if found else "", password)
        if found is None or not right or found.person_id not in administrators:
            raise AlreadyExists("somebody began to set this up: finish it with the same e-mail address and password", "email")
        return found.person_id

    async def RenameOrganization(self, request: RenameOrganizationRequest, context: Any) -> Organization:
        """Give the organisation another name; administrators only."""
        caller = administrator()
        profiles.check_name(request.name, "name", "the name of the organisation")
        found = await self.GetOrganization(GetOrganizationRequest(), context)
        command = RenameOrganization(organization_id=found.organization_id, name=request.name.strip())
        await self.done(organization, f"organization-{found.organization_id}", command, caller.actor_id, request.request_id)
        return await self.GetOrganization(GetOrganizationRequest(), context)

    async def _free_handle(self, tx: Any, profile: Profile) -> str:
        base = profiles.handle_base(profile)
        return free_handle(base, await queries.handles_like(tx, base))


def free_handle(base: str, taken: set[str]) -> str:
    """The base, or the base with the first number from 2 that is free."""
    number, handle = 1, base
    while handle in taken:
        number += 1
        handle = f"{base}-{number}"
    return handle
