"""People, the organisation, its chart and its groups."""
# ruff: noqa: RUF012 - msgspec copies the empty lists and dicts that are defaults here.
from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.identity.v1 import events_pb2 as identity_events
from watercooler.identity.v1 import identity_service_pb2 as identity

from ..problems import Refusal
from . import models
from .models import BlobId, Email, Id, Line, Page, PageSize, PageToken, Password, RoleName, StateName
from .operations import Answer, Call, Input, Output, operation

About = Annotated[str, Meta(max_length=5_000, description="Markdown.")]
Labels = Annotated[
    dict[Annotated[str, Meta(max_length=60)], Annotated[str, Meta(max_length=500)]], Meta(max_length=30, description="Label to value.")
]
Languages = Annotated[list[Annotated[str, Meta(max_length=35)]], Meta(max_length=20, description="BCP 47 tags.")]
Handle = Annotated[str, Meta(max_length=64)]
EmployeeNumber = Annotated[str, Meta(max_length=60)]
StartDate = Annotated[str, Meta(max_length=10, description="ISO 8601 date.")]
Depth = Annotated[int, Meta(ge=1, le=5, description="Levels of reports.")]


@operation("GET", "/me", "Who is signed in", tag="people", answer=models.Me)
async def get_me(call: Call) -> models.Me:
    """The person behind the session or access token, with what it may do."""
    me = call.me
    return models.Me(
        person=models.person(me.person), scopes=sorted(me.scopes), is_administrator=me.is_administrator,
        session_id=me.session_id or None, access_token_id=me.token_id or None,
    )


class PeopleQuery(Page, frozen=True, kw_only=True):
    """Which people."""

    query: Annotated[str, Meta(max_length=200, description="Part of a name or e-mail address.")] = ""
    department: Line = ""
    location: Line = ""
    role: RoleName | None = None
    state: Annotated[StateName | None, Meta(description="Active people where absent.")] = None
    all_states: bool = False


@operation("GET", "/people", "List people by name", tag="people", query=PeopleQuery, answer=models.PersonList)
async def list_people(call: Call, query: PeopleQuery) -> models.PersonList:
    """Active people unless another state is asked for."""
    found = await call.clients.identity.ListPeople(
        identity.ListPeopleRequest(
            page_size=query.page_size, page_token=query.page_token, query=query.query, department=query.department,
            location=query.location, all_states=query.all_states,
            role=models.ROLES[query.role] if query.role else identity_events.ROLE_UNSPECIFIED,
            state=models.STATES[query.state] if query.state else identity.PERSON_STATE_UNSPECIFIED,
        )
    )
    return models.PersonList(
        people=[models.person(each) for each in found.people], next_page_token=found.next_page_token, total_size=found.total_size
    )


class PersonInput(Input, frozen=True, kw_only=True):
    """A new person."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    email: Email
    employee_number: EmployeeNumber = ""
    handle: Handle = ""
    preferred_name: Line = ""
    pronouns: Line = ""
    title: Line = ""
    department: Line = ""
    location: Line = ""
    time_zone: Annotated[str, Meta(max_length=64, description="IANA name such as Europe/Lisbon.")] = ""
    languages: Languages = []
    start_date: StartDate = ""
    about: About = ""
    contact: Labels = {}
    custom_fields: Labels = {}
    roles: Annotated[list[RoleName], Meta(max_length=5)] = []
    manager_id: Id | None = None
    password: Annotated[Password, Meta(description="Set at once instead of by invitation.")] = ""


_PROFILE = tuple(field.name for field in identity_events.Profile.DESCRIPTOR.fields)


@operation("POST", "/people", "Add a person", tag="people", status=201, body=PersonInput, answer=models.Person)
async def create_person(call: Call, body: PersonInput) -> Answer:
    """For administrators. Without a password the person is invited by a link: POST /people/{person_id}/invitation."""
    values: dict[str, Any] = {name: getattr(body, name) for name in _PROFILE}
    made = await call.clients.identity.CreatePerson(
        identity.CreatePersonRequest(
            profile=identity_events.Profile(**values), roles=[models.ROLES[role] for role in body.roles], manager_id=body.manager_id or "",
            password=body.password, request_id=call.request_id,
        )
    )
    return Answer(models.person(made), etag=made.etag, location=f"/api/v1/people/{made.person_id}")


class LookupQuery(Input, frozen=True, kw_only=True):
    """By exactly one of these."""

    email: Email = ""
    handle: Handle = ""
    employee_number: EmployeeNumber = ""


@operation("GET", "/people/lookup", "Find one person by a key", tag="people", query=LookupQuery, answer=models.Person)
async def look_up_person(call: Call, query: LookupQuery) -> Answer:
    """By e-mail address, handle or employee number, exactly one of them."""
    given = {name: value for name, value in msgspec.structs.asdict(query).items() if value}
    if len(given) != 1:
        raise Refusal(400, "Give exactly one of email, handle and employee_number.", field="email")
    found = await call.clients.identity.FindPerson(identity.FindPersonRequest(**given))
    return Answer(models.person(found), etag=found.etag)


@operation("GET", "/people/{person_id}", "Read a person", tag="people", answer=models.Person)
async def get_person(call: Call) -> Answer:
    """Those who have left are found by their id too."""
    found = await call.clients.identity.GetPerson(identity.GetPersonRequest(person_id=call.id("person_id")))
    return Answer(models.person(found), etag=found.etag)


class PersonPatch(Input, frozen=True, kw_only=True):
    """What to change; what is absent stays. `contact` and `custom_fields` are replaced whole."""

    name: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    employee_number: EmployeeNumber | UnsetType = UNSET
    handle: Handle | UnsetType = UNSET
    preferred_name: Line | UnsetType = UNSET
    pronouns: Line | UnsetType = UNSET
    title: Line | UnsetType = UNSET
    department: Line | UnsetType = UNSET
    location: Line | UnsetType = UNSET
    time_zone: Annotated[str, Meta(max_length=64, description="IANA name such as Europe/Lisbon.")] | UnsetType = UNSET
    languages: Languages | UnsetType = UNSET
    start_date: StartDate | UnsetType = UNSET
    about: About | UnsetType = UNSET
    contact: Labels | UnsetType = UNSET
    custom_fields: Labels | UnsetType = UNSET


@operation("PATCH", "/people/{person_id}", "Change a profile", tag="people", body=PersonPatch, answer=models.Person, is_edit=True)
async def update_person(call: Call, body: PersonPatch) -> Answer:
    """One's own, or anybody's by an administrator. With If-Match only if nobody changed it since."""
    person_id = call.id("person_id")
    given = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}
    if not given:
        raise Refusal(400, "Name at least one field to change.")

    async def current() -> str:
        return (await call.clients.identity.GetPerson(identity.GetPersonRequest(person_id=person_id))).etag

    changed = await call.clients.identity.UpdateProfile(
        identity.UpdateProfileRequest(
            person_id=person_id, profile=identity_events.Profile(**given), update_mask=list(given), etag=await call.if_match(current),
            request_id=call.request_id,
        )
    )
    call.gateway.accounts.forget(person_id)
    return Answer(models.person(changed), etag=changed.etag)


class PhotoInput(Input, frozen=True, kw_only=True):
    """An uploaded image."""

    blob_id: BlobId


@operation("PUT", "/people/{person_id}/photo", "Set a photo", tag="people", body=PhotoInput, answer=models.Person)
async def set_photo(call: Call, body: PhotoInput) -> Answer:
    """Of an image uploaded before by POST /uploads."""
    return await _change_photo(call, body.blob_id)


@operation("DELETE", "/people/{person_id}/photo", "Remove a photo", tag="people", answer=models.Person)
async def remove_photo(call: Call) -> Answer:
    """Initials are shown instead."""
    return await _change_photo(call, "")


async def _change_photo(call: Call, blob_id: str) -> Answer:
    if blob_id:
        await require_image(call, blob_id, "blob_id")
    person_id = call.id("person_id")
    changed = await call.clients.identity.ChangePhoto(
        identity.ChangePhotoRequest(person_id=person_id, photo_blob_id=blob_id, request_id=call.request_id)
    )
    call.gateway.accounts.forget(person_id)
    return Answer(models.person(changed), etag=changed.etag)


async def require_image(call: Call, blob_id: str, field: str) -> None:
    """Raises Refusal 400 for an id that names no uploaded image."""
    from ..files import image_ref

    if await image_ref(call.gateway.blobs, blob_id) is None:
        raise Refusal(400, "There is no uploaded image of this id: upload it first by POST /api/v1/uploads.", field=field)


class ManagerInput(Input, frozen=True, kw_only=True):
    """Who leads the person; null: nobody, at the top of the chart."""

    manager_id: Id | None


@operation("PUT", "/people/{person_id}/manager", "Assign a manager", tag="people", body=ManagerInput, answer=models.Person)
async def assign_manager(call: Call, body: ManagerInput) -> Answer:
    """For administrators. A chart in which somebody leads themselves, over however many steps, is refused."""
    changed = await call.clients.identity.AssignManager(
        identity.AssignManagerRequest(person_id=call.id("person_id"), manager_id=body.manager_id or "", request_id=call.request_id)
    )
    return Answer(models.person(changed), etag=changed.etag)


def _role(call: Call) -> identity_events.Role.ValueType:
    role = models.ROLES.get(call.text("role", 40))
    if role is None:
        raise Refusal(404, f"There is no such role: there are {', '.join(models.ROLES)}.")
    return role


@operation("PUT", "/people/{person_id}/roles/{role}", "Grant a role", tag="people", answer=models.Person)
async def grant_role(call: Call) -> Answer:
    """For administrators."""
    person_id = call.id("person_id")
    changed = await call.clients.identity.GrantRole(
        identity.GrantRoleRequest(person_id=person_id, role=_role(call), request_id=call.request_id)
    )
    call.gateway.accounts.forget(person_id)
    return Answer(models.person(changed), etag=changed.etag)


@operation("DELETE", "/people/{person_id}/roles/{role}", "Revoke a role", tag="people", answer=models.Person)
async def revoke_role(call: Call) -> Answer:
    """For administrators. The last administrator keeps the role."""
    person_id = call.id("person_id")
    changed = await call.clients.identity.RevokeRole(
        identity.RevokeRoleRequest(person_id=person_id, role=_role(call), request_id=call.request_id)
    )
    call.gateway.accounts.forget(person_id)
    return Answer(models.person(changed), etag=changed.etag)


@operation("POST", "/people/{person_id}/offboard", "Let a person leave", tag="people", answer=models.Person)
async def offboard_person(call: Call) -> Answer:
    """For administrators. The person is signed out everywhere at once; their work stays and says that they left."""
    person_id = call.id("person_id")
    changed = await call.clients.identity.OffboardPerson(
        identity.OffboardPersonRequest(person_id=person_id, request_id=call.request_id)
    )
    await signed_out(call, person_id)
    return Answer(models.person(changed), etag=changed.etag)


@operation("POST", "/people/{person_id}/reinstate", "Take a person back", tag="people", answer=models.Person)
async def reinstate_person(call: Call) -> Answer:
    """For administrators."""
    person_id = call.id("person_id")
    changed = await call.clients.identity.ReinstatePerson(
        identity.ReinstatePersonRequest(person_id=person_id, request_id=call.request_id)
    )
    call.gateway.accounts.forget(person_id)
    return Answer(models.person(changed), etag=changed.etag)


@operation("POST", "/people/{person_id}/erase", "Erase a person", tag="people", answer=models.Person)
async def erase_person(call: Call) -> Answer:
    """For administrators. Name, profile and the text of everything they wrote are gone for good, in every service."""
    person_id = call.id("person_id")
    changed = await call.clients.identity.ErasePerson(identity.ErasePersonRequest(person_id=person_id, request_id=call.request_id))
    await signed_out(call, person_id)
    return Answer(models.person(changed), etag=changed.etag)


async def signed_out(call: Call, person_id: str) -> None:
    """End everything of a person here without waiting for the event to come round."""
    call.gateway.accounts.forget(person_id)
    await call.gateway.sessions.end_all(person_id, call.gateway.context.now())
    call.gateway.live.close_person(person_id)


@operation("POST", "/people/{person_id}/invitation", "Make an invitation link", tag="people", status=201, answer=models.SecretLink)
async def invite_person(call: Call) -> models.SecretLink:
    """For administrators. The link is shown once; a new one takes the place of the old."""
    call.hide_answer()
    link = await call.clients.identity.InvitePerson(
        identity.InvitePersonRequest(person_id=call.id("person_id"), request_id=call.request_id)
    )
    return models.secret_link(link, call.request, "/invitation")


@operation("POST", "/people/{person_id}/password-reset", "Make a password reset link", tag="people", status=201, answer=models.SecretLink)
async def make_password_reset(call: Call) -> models.SecretLink:
    """For administrators, to be handed to the person. The link is shown once."""
    if not call.me.is_administrator:
        raise Refusal(403, "Only administrators make reset links for others: ask for one by POST /api/v1/password/forgotten.")
    call.hide_answer()
    found = await call.clients.identity.GetPerson(identity.GetPersonRequest(person_id=call.id("person_id")))
    answer = await call.clients.identity.RequestPasswordReset(
        identity.RequestPasswordResetRequest(email=found.profile.email, client_address=call.asked.address)
    )
    if not answer.link.secret:
        raise Refusal(409, "This person cannot sign in, so there is no password to reset.")
    return models.secret_link(answer.link, call.request, "/password/reset")


@operation("GET", "/people/{person_id}/relationship", "How you and a person stand", tag="people", answer=models.Relationship)
async def get_relationship(call: Call) -> models.Relationship:
    """Who follows whom, and how many follow and are followed."""
    return models.relationship(await call.clients.feed.GetRelationship(feed.GetRelationshipRequest(person_id=call.id("person_id"))))


@operation("PUT", "/people/{person_id}/follow", "Follow a person", tag="people", answer=models.Relationship)
async def follow_person(call: Call) -> models.Relationship:
    """Their posts come into the home timeline, those before as well."""
    request = feed.FollowPersonRequest(person_id=call.id("person_id"), request_id=call.request_id)
    return models.relationship(await call.clients.feed.FollowPerson(request))


@operation("DELETE", "/people/{person_id}/follow", "Follow a person no longer", tag="people", answer=models.Relationship)
async def unfollow_person(call: Call) -> models.Relationship:
    """Their posts leave the home timeline."""
    request = feed.UnfollowPersonRequest(person_id=call.id("person_id"), request_id=call.request_id)
    return models.relationship(await call.clients.feed.UnfollowPerson(request))


@operation("GET", "/people/{person_id}/followers", "List followers", tag="people", query=Page, answer=models.AuthorList)
async def list_followers(call: Call, query: Page) -> models.AuthorList:
    """Who follows the person, newest first."""
    found = await call.clients.feed.ListFollowers(
        feed.ListFollowersRequest(person_id=call.id("person_id"), page_size=query.page_size, page_token=query.page_token)
    )
    return models.AuthorList(people=[models.author(each) for each in found.people], next_page_token=found.next_page_token)


@operation("GET", "/people/{person_id}/followed", "List the people a person follows", tag="people", query=Page, answer=models.AuthorList)
async def list_followed_people(call: Call, query: Page) -> models.AuthorList:
    """Newest first."""
    found = await call.clients.feed.ListFollowedPeople(
        feed.ListFollowedPeopleRequest(person_id=call.id("person_id"), page_size=query.page_size, page_token=query.page_token)
    )
    return models.AuthorList(people=[models.author(each) for each in found.people], next_page_token=found.next_page_token)


# --- organisation ----------------------------------------------------------------------------------------------------


@operation("GET", "/organization", "Read the organisation", tag="organization", answer=models.Organization, public=True)
async def get_organization(call: Call) -> models.Organization:
    """404 until it has been set up."""
    return models.organization(await call.clients.identity.GetOrganization(identity.GetOrganizationRequest()))


class SetUpInput(Input, frozen=True, kw_only=True):
    """The organisation and its first administrator."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    person_name: Annotated[str, Meta(min_length=1, max_length=200)]
    email: Email
    password: Password


class SetUp(Output, frozen=True, kw_only=True):
    """What was set up."""

    organization: models.Organization
    administrator: models.Person


@operation("POST", "/organization", "Set up the organisation", tag="organization", status=201, body=SetUpInput, answer=SetUp, public=True)
async def set_up_organization(call: Call, body: SetUpInput) -> SetUp:
    """Once for a deployment, by whoever comes first."""
    made = await call.clients.identity.SetUpOrganization(
        identity.SetUpOrganizationRequest(
            name=body.name, person_name=body.person_name, email=body.email, password=body.password, request_id=call.request_id
        )
    )
    return SetUp(organization=models.organization(made.organization), administrator=models.person(made.administrator))


class OrganizationPatch(Input, frozen=True, kw_only=True):
    """The new name."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]


@operation("PATCH", "/organization", "Rename the organisation", tag="organization", body=OrganizationPatch, answer=models.Organization)
async def rename_organization(call: Call, body: OrganizationPatch) -> models.Organization:
    """For administrators."""
    request = identity.RenameOrganizationRequest(name=body.name, request_id=call.request_id)
    return models.organization(await call.clients.identity.RenameOrganization(request))


class ChartQuery(Input, frozen=True, kw_only=True):
    """Which part of the chart."""

    person_id: Annotated[Id | None, Meta(description="The person in the middle; from the top where absent.")] = None
    depth: Depth = 2


@operation("GET", "/organization/chart", "Read the organisation chart", tag="organization", query=ChartQuery, answer=models.Chart)
async def get_chart(call: Call, query: ChartQuery) -> models.Chart:
    """Around a person, or from the top."""
    found = await call.clients.identity.GetOrganizationChart(
        identity.GetOrganizationChartRequest(person_id=query.person_id or "", depth=query.depth)
    )
    return models.Chart(managers=[models.person(each) for each in found.managers], nodes=[models.chart_node(each) for each in found.nodes])


class GroupsQuery(Input, frozen=True, kw_only=True):
    """Which groups."""

    page_size: PageSize = 20
    page_token: PageToken = ""
    person_id: Annotated[Id | None, Meta(description="Only those this person is a member of.")] = None


class GroupList(Output, frozen=True, kw_only=True):
    """A page of groups."""

    groups: list[models.Group]
    next_page_token: str


@operation("GET", "/groups", "List groups of the directory", tag="organization", query=GroupsQuery, answer=GroupList)
async def list_groups(call: Call, query: GroupsQuery) -> GroupList:
    """Teams, departments and working groups."""
    found = await call.clients.identity.ListGroups(
        identity.ListGroupsRequest(page_size=query.page_size, page_token=query.page_token, person_id=query.person_id or "")
    )
    return GroupList(groups=[models.group(each) for each in found.groups], next_page_token=found.next_page_token)


@operation("GET", "/groups/{group_id}", "Read a group", tag="organization", answer=models.Group)
async def get_group(call: Call) -> models.Group:
    """A team, department or working group."""
    return models.group(await call.clients.identity.GetGroup(identity.GetGroupRequest(group_id=call.id("group_id"))))


class GroupMembers(Output, frozen=True, kw_only=True):
    """A page of a group's members."""

    person_ids: list[str]
    next_page_token: str


@operation("GET", "/groups/{group_id}/members", "List a group's members", tag="organization", query=Page, answer=GroupMembers)
async def list_group_members(call: Call, query: Page) -> GroupMembers:
    """By id; read the people by GET /people/{person_id}."""
    found = await call.clients.identity.ListGroupMembers(
        identity.ListGroupMembersRequest(group_id=call.id("group_id"), page_size=query.page_size, page_token=query.page_token)
    )
    return GroupMembers(person_ids=list(found.person_ids), next_page_token=found.next_page_token)
