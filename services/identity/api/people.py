"""People: read, list, change, and their place in the chart."""
from __future__ import annotations

from typing import Any

from libs.db.database import Transaction
from libs.eventstore.model import AlreadyExists, InvalidArgument, NotFound, PermissionDenied
from libs.rpc.auth import Caller
from libs.telemetry import logs
from libs.text.ids import new_id
from watercooler.identity.v1.events_pb2 import ROLE_BOT, PersonAdded, PersonProfileChanged, Profile, Role
from watercooler.identity.v1.identity_service_pb2 import (
    PERSON_STATE_ACTIVE,
    PERSON_STATE_ERASED,
    AssignManagerRequest,
    BatchGetPeopleRequest,
    BatchGetPeopleResponse,
    ChangePhotoRequest,
    ChartNode,
    CreatePersonRequest,
    ErasePersonRequest,
    FindPersonRequest,
    GetOrganizationChartRequest,
    GetPersonRequest,
    GrantRoleRequest,
    ListPeopleRequest,
    ListPeopleResponse,
    OffboardPersonRequest,
    OrganizationChart,
    Person,
    PersonState,
    ReinstatePersonRequest,
    RevokeRoleRequest,
    UpdateProfileRequest,
)

from .. import commands, passwords, profiles, queries
from ..deciders import person
from .base import Part, administrator, insider, page_after, page_size, page_token, reader, shown, stream_of, writer
from .organization import free_handle

BATCH_MAX = 200
QUERY_MAX = 200
CHART_DEPTH_DEFAULT, CHART_DEPTH_MAX = 2, 5
CHART_NODES_MAX = 500
HANDLE_ATTEMPTS = 5
BLOB_ID_MAX = 200

_log = logs.get_logger(__name__)


class PeoplePart(Part):
    """People and their place in the chart."""

    async def CreatePerson(self, request: CreatePersonRequest, context: Any) -> Person:
        """Add a person; administrators and services only."""
        caller = administrator()
        profile = Profile()
        profile.CopyFrom(request.profile)
        profile.email = profile.email.strip()
        profiles.check(profile)
        profiles.check_name(profile.name, "profile.name", "a name")
        is_bot = ROLE_BOT in request.roles
        if is_bot and (list(request.roles) != [ROLE_BOT] or request.password or profile.email):
            raise InvalidArgument("a bot has no other role, no e-mail address and no password: it acts by access tokens", "roles")
        if not profile.email and not is_bot:
            raise InvalidArgument("people sign in by e-mail address: please fill it in", "profile.email")
        for role in () if is_bot else request.roles:
            check_role(role, "roles")
        password_hash = ""
        if request.password:
            passwords.check(request.password, names=(profile.name, profile.preferred_name, profile.email))
            password_hash = await self.passwords.hash(request.password)
        person_id = new_id()
        for attempt in range(HANDLE_ATTEMPTS):
            if not request.profile.handle:
                profile.handle = await self._handle_for(profile)
            add = commands.AddPerson(
                person_id=person_id, profile=profile, roles=list(request.roles), manager_id=request.manager_id,
                password_hash=password_hash, now=self.now(),
            )
            try:
                done = await self.done(person, f"person-{person_id}", add, caller.actor_id, request.request_id)
            except AlreadyExists as error:
                if error.field != "profile.handle" or request.profile.handle or attempt == HANDLE_ATTEMPTS - 1:
                    raise
                continue  # somebody took the handle between the look and the append
            return await self.read_person(done.stream.removeprefix("person-"))
        raise AssertionError("unreachable")

    async def GetPerson(self, request: GetPersonRequest, context: Any) -> Person:
        """One person; guests see name, handle and title."""
        return shown(await self.read_person(request.person_id), reader())

    async def FindPerson(self, request: FindPersonRequest, context: Any) -> Person:
        """The one person with an address, handle or number; guests find by handle only."""
        caller = reader()
        by = request.WhichOneof("by")
        if by is None or not getattr(request, by).strip():
            raise InvalidArgument("say whom to find: an email, handle or employee_number", by or "by")
        if by != "handle":
            insider()
        async with self.database.snapshot() as tx:
            found = await queries.find_person(tx, email=request.email, handle=request.handle, employee_number=request.employee_number)
        if found is None:
            raise NotFound("there is no such person")
        return shown(found, caller)

    async def BatchGetPeople(self, request: BatchGetPeopleRequest, context: Any) -> BatchGetPeopleResponse:
        """Several people at once; unknown ids are left out."""
        caller = reader()
        if len(request.person_ids) > BATCH_MAX:
            raise InvalidArgument(f"at most {BATCH_MAX} people are fetched at once: ask in several calls", "person_ids")
        async with self.database.snapshot() as tx:
            found = await queries.people(tx, sorted(set(request.person_ids)))
        return BatchGetPeopleResponse(people=[shown(each, caller) for each in found])

    async def ListPeople(self, request: ListPeopleRequest, context: Any) -> ListPeopleResponse:
        """A page of people by name; not for guests."""
        caller = insider()
        if len(request.query) > QUERY_MAX:
            raise InvalidArgument(f"a search has at most {QUERY_MAX} characters", "query")
        if request.role:
            check_role(request.role, "role")
        if request.state not in PersonState.values():
            raise InvalidArgument("there is no such state", "state")
        size, after = page_size(request.page_size), page_after(request.page_token)
        wanted = queries.PeopleFilter(
            query=request.query, department=request.department, location=request.location, role=request.role,
            state=0 if request.all_states else request.state or PERSON_STATE_ACTIVE,
        )
        async with self.database.snapshot() as tx:
            found, last = await queries.list_people(tx, wanted, size, (after[0], after[1]) if after else None)
            total = await queries.count_people(tx, wanted)
        return ListPeopleResponse(people=[shown(each, caller) for each in found], next_page_token=page_token(last), total_size=total)

    async def UpdateProfile(self, request: UpdateProfileRequest, context: Any) -> Person:
        """Change fields of a profile: one's own, but for what the directory keeps; administrators any."""
        caller = self._own_or_administrator(request.person_id)
        fields = list(dict.fromkeys(request.update_mask))
        if not fields:
            raise InvalidArgument("name the fields to change", "update_mask")
        profile = Profile()
        profile.CopyFrom(request.profile)
        profiles.check(profile, fields)
        for name in ("name", "email", "handle"):
            if name in fields:
                profiles.check_name(getattr(profile, name), f"profile.{name}", f"the {name}")
        kept = sorted(profiles.DIRECTORY_FIELDS.intersection(fields))
        if kept and not caller.is_administrator:
            reason = f"the directory keeps {' and '.join(kept)}: ask an administrator to change them"
            raise PermissionDenied(reason, f"profile.{kept[0]}")
        version = None
        if request.etag:
            if not request.etag.isascii() or not request.etag.isdigit() or len(request.etag) > 9:
                raise InvalidArgument("this etag was not given by this service: read the person again", "etag")
            version = int(request.etag)
        change = commands.ChangeProfile(person_id=request.person_id, profile=profile, fields=fields, version=version)
        return await self._done(request.person_id, change, caller, request.request_id)

    async def ChangePhoto(self, request: ChangePhotoRequest, context: Any) -> Person:
        """Set or remove a photo: one's own; administrators any."""
        caller = self._own_or_administrator(request.person_id)
        if len(request.photo_blob_id) > BLOB_ID_MAX:
            raise InvalidArgument("this is no stored file: upload the photo first", "photo_blob_id")
        change = commands.ChangePhoto(person_id=request.person_id, photo_blob_id=request.photo_blob_id)
        return await self._done(request.person_id, change, caller, request.request_id)

    async def AssignManager(self, request: AssignManagerRequest, context: Any) -> Person:
        """Say to whom a person reports; administrators only."""
        caller = administrator()
        assign = commands.AssignManager(person_id=request.person_id, manager_id=request.manager_id)
        return await self._done(request.person_id, assign, caller, request.request_id)

    async def GrantRole(self, request: GrantRoleRequest, context: Any) -> Person:
        """Give a role; administrators only."""
        caller = administrator()
        check_role(request.role, "role")
        grant = commands.GrantRole(person_id=request.person_id, role=request.role)
        return await self._done(request.person_id, grant, caller, request.request_id)

    async def RevokeRole(self, request: RevokeRoleRequest, context: Any) -> Person:
        """Take a role; administrators only."""
        caller = administrator()
        check_role(request.role, "role")
        revoke = commands.RevokeRole(person_id=request.person_id, role=request.role)
        return await self._done(request.person_id, revoke, caller, request.request_id)

    async def OffboardPerson(self, request: OffboardPersonRequest, context: Any) -> Person:
        """The person has left: no sign-in, no tokens, the work stays; administrators only."""
        caller = administrator()
        leave = commands.OffboardPerson(person_id=request.person_id, now=self.now())
        return await self._done(request.person_id, leave, caller, request.request_id)

    async def ReinstatePerson(self, request: ReinstatePersonRequest, context: Any) -> Person:
        """The person is back, though not as an administrator; administrators only."""
        caller = administrator()
        rejoin = commands.ReinstatePerson(person_id=request.person_id, now=self.now())
        return await self._done(request.person_id, rejoin, caller, request.request_id)

    async def ErasePerson(self, request: ErasePersonRequest, context: Any) -> Person:
        """Delete what is known of a person, for good; administrators only."""
        caller = administrator()
        await self.read_person(request.person_id)
        addresses = await self._addresses(request.person_id)
        erase = commands.ErasePerson(person_id=request.person_id, now=self.now())
        erased = await self._done(request.person_id, erase, caller, request.request_id)
        try:
            for address in addresses:
                await self.mail.forget(address)
        except OSError:  # the erasure itself stands
            _log.exception("letters to an erased person not deleted", person_id=request.person_id)
        return erased

    async def GetOrganizationChart(self, request: GetOrganizationChartRequest, context: Any) -> OrganizationChart:
        """The chart around a person, or from the top; not for guests."""
        caller = insider()
        depth = request.depth or CHART_DEPTH_DEFAULT
        if not 1 <= depth <= CHART_DEPTH_MAX:
            raise InvalidArgument(f"the chart shows 1 to {CHART_DEPTH_MAX} levels at once", "depth")
        async with self.database.snapshot() as tx:
            if not request.person_id:
                heads = await queries.tops(tx, CHART_NODES_MAX)
                managers: list[Person] = []
            else:
                middle = await queries.person(tx, request.person_id)
                if middle is None or middle.state == PERSON_STATE_ERASED:
                    raise NotFound("there is no such person")
                heads = [middle]
                managers = await queries.managers_above(tx, request.person_id)
            below = await _levels(tx, heads, depth)
        nodes = [_node(head, below, caller) for head in heads]
        return OrganizationChart(managers=[shown(each, caller) for each in managers], nodes=nodes)

    async def _done(self, person_id: str, command: commands.PersonCommand, caller: Caller, request_id: str) -> Person:
        await self.done(person, stream_of("person", person_id), command, caller.actor_id, request_id)
        return await self.read_person(person_id)

    async def _addresses(self, person_id: str) -> list[str]:
        """Every e-mail address the person ever had."""
        recorded = await self.events.read(stream_of("person", person_id))
        found = [each.data.profile.email for each in recorded if isinstance(each.data, PersonAdded | PersonProfileChanged)]
        return [address for address in dict.fromkeys(found) if address]

    async def _handle_for(self, profile: Profile) -> str:
        base = profiles.handle_base(profile)
        async with self.database.snapshot() as tx:
            return free_handle(base, await queries.handles_like(tx, base))

    def _own_or_administrator(self, person_id: str) -> Caller:
        caller = writer()
        if caller.person_id != person_id and not caller.is_administrator:
            raise PermissionDenied("people change their own profile only: ask an administrator")
        return caller


def check_role(role: Role.ValueType, field: str) -> None:
    """Refuse what is no role.

    Raises:
        InvalidArgument: naming `field`.
    """
    if not role or role not in Role.values() or role == ROLE_BOT:
        raise InvalidArgument("there is no such role: use employee, guest, communications, leader or administrator", field)


async def _levels(tx: Transaction, heads: list[Person], depth: int) -> dict[str, list[Person]]:
    """The reports of everyone in the chart, by manager, level by level until it is full."""
    below: dict[str, list[Person]] = {}
    level, room = [head.person_id for head in heads], CHART_NODES_MAX - len(heads)
    for _ in range(depth):
        if not level or room <= 0:
            break
        found = await queries.reports(tx, level, room)
        room -= len(found)
        for each in found:
            below.setdefault(each.manager_id, []).append(each)
        level = [each.person_id for each in found]
    return below


def _node(head: Person, below: dict[str, list[Person]], caller: Caller) -> ChartNode:
    reports = [_node(each, below, caller) for each in below.get(head.person_id, ())]
    return ChartNode(person=shown(head, caller), reports=reports)
