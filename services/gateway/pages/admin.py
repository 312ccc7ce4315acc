"""Administration: people and their roles, invitations, sessions, erasure, operation."""
from __future__ import annotations

import asyncio
import re
from importlib import metadata
from typing import Any, Final

from litestar import Response

from libs.rpc.errors import RpcError
from libs.telemetry import metrics
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import retention_service_pb2 as retention
from watercooler.identity.v1 import events_pb2 as identity_events
from watercooler.identity.v1 import identity_service_pb2 as identity

from ..http import AnyRequest, asked, clients, gateway
from ..problems import Refusal
from ..queries import Session
from ..rendering import address
from ..views import (
    AdminErasurePage,
    AdminInvitePage,
    AdminOperationPage,
    AdminOrganizationPage,
    AdminPeoplePage,
    AdminPersonPage,
    AdminPersonRow,
    AdminSessionsPage,
    Form,
    Option,
    ParkedStream,
    PersonRef,
    SubscriptionView,
)
from . import convert
from .common import (
    TOKEN_CHARACTERS,
    Posted,
    Problems,
    bad,
    conflict,
    get,
    go,
    nothing,
    path_id,
    post,
    posted,
    problems,
    query,
    render,
    return_path,
    shell,
    told,
    translated,
    wants_fragment,
)
from .guards import administrator
from .whom import find, optional, whole

PEOPLE_A_PAGE: Final = 50
SESSIONS_A_PAGE: Final = 50
SESSIONS_SEARCHED: Final = 500
ROLES: Final[dict[str, identity_events.Role.ValueType]] = {name: number for number, name in convert.ROLES.items()}
STATES: Final = {
    "active": identity.PERSON_STATE_ACTIVE, "invited": identity.PERSON_STATE_ACTIVE, "left": identity.PERSON_STATE_LEFT,
    "erased": identity.PERSON_STATE_ERASED,
}
_PARKED = re.compile(r'^watercooler_parked_streams\{subscription="([^"]+)"\} (\S+)$', re.MULTILINE)
DIRECTORY_FIELDS: Final = ("name", "email", "title", "department", "location", "employee_number", "start_date")
INVITE_FIELDS: Final = ("email", "name", "title", "department", "manager", "role")


@get("/admin")
async def index(request: AnyRequest) -> Response[bytes]:
    """The first of the administration's pages."""
    administrator(request)
    return go(request, "/admin/people")


# --- people -----------------------------------------------------------------------------------------------------------


def _state(found: identity.Person) -> str:
    if found.state == identity.PERSON_STATE_LEFT:
        return "left"
    if found.state == identity.PERSON_STATE_ERASED:
        return "erased"
    return "invited" if found.invited and not found.has_password else "active"


@get("/admin/people")
async def people(request: AnyRequest) -> Response[bytes]:
    """Everybody, filtered by name, state and role."""
    administrator(request)
    parts = gateway(request)
    text, state, role = query(request, "q", 100), query(request, "state", 20), query(request, "role", 20)
    wanted = identity.ListPeopleRequest(
        page_size=PEOPLE_A_PAGE, page_token=query(request, "page", TOKEN_CHARACTERS), query=text,
        role=ROLES.get(role, identity_events.ROLE_UNSPECIFIED), state=STATES.get(state, identity.PERSON_STATE_UNSPECIFIED),
        all_states=state not in STATES,
    )
    around, found, recent = await asyncio.gather(
        shell(request), clients(request).identity.ListPeople(wanted), parts.sessions.list_all("", SESSIONS_SEARCHED, parts.context.now())
    )
    seen: dict[str, Session] = {}
    for each in recent:
        if each.person_id not in seen or seen[each.person_id].seen_time < each.seen_time:
            seen[each.person_id] = each
    rows = [
        AdminPersonRow(
            person=convert.person(each), email=each.profile.email, department=each.profile.department, roles=convert.roles(each),
            state=_state(each), last_seen_time=seen[each.person_id].seen_time if each.person_id in seen else None,  # type: ignore[arg-type]
        )
        for each in found.people if state not in ("invited", "active") or _state(each) == state
    ]
    following = address("/admin/people", q=text, state=state, role=role, page=found.next_page_token) if found.next_page_token else ""
    view = AdminPeoplePage(shell=around, query=text, state=state, role=role, people=rows, total=found.total_size, next_url=following)
    return render(request, view)


@post("/admin/people")
async def act(request: AnyRequest) -> Response[bytes]:
    """Grant or take a role, let somebody leave or come back, make a link for a new password."""
    administrator(request)
    form = await posted(request)
    services, parts, say = clients(request), gateway(request), translated(request)
    person_id, (action, _, role) = form.text("person_id", 36), form.text("action", 60).partition(":")
    target = return_path(request, form, "/admin/people")
    try:
        if action in ("grant", "revoke"):
            number = ROLES.get(role, identity_events.ROLE_UNSPECIFIED)
            if action == "grant":
                found = await services.identity.GrantRole(identity.GrantRoleRequest(person_id=person_id, role=number))
                notice = say("%s has the role now.") % found.display_name
            else:
                found = await services.identity.RevokeRole(identity.RevokeRoleRequest(person_id=person_id, role=number))
                notice = say("%s no longer has the role.") % found.display_name
        elif action == "leave":
            found = await services.identity.OffboardPerson(identity.OffboardPersonRequest(person_id=person_id))
            await _end_all(request, person_id)
            notice = say("%s is marked as left and signed out everywhere. Their work stays.") % found.display_name
        elif action == "rejoin":
            found = await services.identity.ReinstatePerson(identity.ReinstatePersonRequest(person_id=person_id))
            notice = say("%s is back.") % found.display_name
        elif action == "reset":
            return await _hand_over(request, person_id)
        else:
            raise Refusal(400, say("Choose what to change."))
    except RpcError as error:
        problem = problems(error)
        return go(request, target, problem.message or next(iter(problem.errors.values()), ""), kind="bad")
    parts.accounts.forget(person_id)
    return go(request, target, notice)


@get("/admin/people/{person_id:str}")
async def show_person(request: AnyRequest) -> Response[bytes]:
    """What the directory keeps of a person, to be changed."""
    administrator(request)
    found = await clients(request).identity.GetPerson(identity.GetPersonRequest(person_id=path_id(request, "person_id")))
    form = Form(values={**_values(found), "manager": await _manager(request, found), "version": found.etag})
    return await _person_page(request, found, form)


def _values(found: identity.Person) -> dict[str, str]:
    return {name: str(getattr(found.profile, name)) for name in DIRECTORY_FIELDS}


async def _manager(request: AnyRequest, found: identity.Person) -> str:
    if not found.manager_id:
        return ""
    manager = await optional(clients(request).identity.GetPerson(identity.GetPersonRequest(person_id=found.manager_id)))
    return f"@{manager.profile.handle}" if manager else ""


async def _person_page(request: AnyRequest, found: identity.Person, form: Form, status: int = 200) -> Response[bytes]:
    if found.state == identity.PERSON_STATE_ERASED:
        raise Refusal(404, "")
    return render(request, AdminPersonPage(shell=await shell(request), person=convert.person(found), form=form), status)


@post("/admin/people/{person_id:str}")
async def change_person(request: AnyRequest) -> Response[bytes]:
    """Change what the directory keeps of a person, and to whom they report."""
    administrator(request)
    form = await posted(request)
    services, say, person_id = clients(request), translated(request), path_id(request, "person_id")
    before = await services.identity.GetPerson(identity.GetPersonRequest(person_id=person_id))
    try:
        problem = await _change(request, form, before)
    except RpcError as error:
        problem = problems(error, {**{name: name for name in DIRECTORY_FIELDS}, "manager_id": "manager"})
        if problem.code == "edit_conflict":
            text = say("Somebody changed this person while you were writing. Saving again puts your text in the place of theirs.")
            problem = Problems(409, {}, text)
    if problem is not None:
        now = await services.identity.GetPerson(identity.GetPersonRequest(person_id=person_id))
        if problem.status == 409:
            problem.errors.update(conflict(request, form.kept(*DIRECTORY_FIELDS), _values(now)))
        typed = {**form.kept(*DIRECTORY_FIELDS, "manager"), "version": now.etag}
        return await _person_page(request, now, problem.form(typed), problem.status)
    gateway(request).accounts.forget(person_id)
    return go(request, f"/admin/people/{person_id}", say("Saved."))


async def _change(request: AnyRequest, form: Posted, before: identity.Person) -> Problems | None:
    services, say = clients(request), translated(request)
    manager, manager_id = form.text("manager", 200), ""
    if manager:
        found = await find(request, manager)
        if found is None:
            return bad("manager", say("Nobody is found by this name. Write @ and choose from the list."))
        manager_id = found
    given = identity_events.Profile()
    mask = [name for name in DIRECTORY_FIELDS if name in form.values and form.text(name) != getattr(before.profile, name)]
    for name in mask:
        setattr(given, name, form.text(name))
    if mask:
        change = identity.UpdateProfileRequest(
            person_id=before.person_id, profile=given, update_mask=mask, etag=form.text("version", 40)
        )
        await services.identity.UpdateProfile(change)
    if manager_id != before.manager_id:
        await services.identity.AssignManager(identity.AssignManagerRequest(person_id=before.person_id, manager_id=manager_id))
    return None


async def _end_all(request: AnyRequest, person_id: str) -> None:
    """End everything of a person here without waiting for the event to come round."""
    parts = gateway(request)
    parts.accounts.forget(person_id)
    await parts.sessions.end_all(person_id, parts.context.now())
    parts.live.close_person(person_id)


async def _hand_over(request: AnyRequest, person_id: str) -> Response[bytes]:
    """A link to be handed to a person: an invitation before the first password, else one for a new password. It is shown once."""
    services = clients(request)
    person = await services.identity.GetPerson(identity.GetPersonRequest(person_id=person_id))
    if person.has_password:
        answer = await services.identity.RequestPasswordReset(identity.RequestPasswordResetRequest(email=person.profile.email))
        path, link = "/password/reset/", answer.link
    else:
        path, link = "/invitation/", await services.identity.InvitePerson(identity.InvitePersonRequest(person_id=person_id))
    asked(request).hides_answer = True
    url = gateway(request).context.settings.address + path + link.secret
    view = AdminInvitePage(
        shell=await shell(request), link=url, invited=convert.person(person), is_reset=person.has_password,
        mailed_to=person.profile.email if link.mailed else "",
    )
    return render(request, view)


@get("/admin/invite")
async def show_invite(request: AnyRequest) -> Response[bytes]:
    """Add a person."""
    administrator(request)
    return render(request, AdminInvitePage(shell=await shell(request), form=Form(values={"role": "employee"})))


@post("/admin/invite")
async def invite(request: AnyRequest) -> Response[bytes]:
    """Add a person and show the invitation to hand over."""
    administrator(request)
    form = await posted(request)
    made = await _add(request, form.text("manager", 200), form)
    if isinstance(made, Problems):
        view = AdminInvitePage(shell=await shell(request), form=made.form(form.kept(*INVITE_FIELDS)))
        return render(request, view, made.status)
    link = await clients(request).identity.InvitePerson(identity.InvitePersonRequest(person_id=made.person_id))
    asked(request).hides_answer = True
    url = f"{gateway(request).context.settings.address}/invitation/{link.secret}"
    view = AdminInvitePage(
        shell=await shell(request), link=url, invited=convert.person(made), form=Form(values={"role": "employee"}),
        mailed_to=made.profile.email if link.mailed else "",
    )
    return render(request, view)


async def _add(request: AnyRequest, manager: str, form: Any) -> identity.Person | Problems:
    say = translated(request)
    manager_id = ""
    if manager:
        found = await find(request, manager)
        if found is None:
            return bad("manager", say("Nobody is found by this name. Write @ and choose from the list."))
        manager_id = found
    role = ROLES.get(form.text("role", 20), identity_events.ROLE_EMPLOYEE)
    # Whoever has a further role is an employee too; a guest is only that.
    roles = [role] if role in (identity_events.ROLE_GUEST, identity_events.ROLE_EMPLOYEE) else [identity_events.ROLE_EMPLOYEE, role]
    profile = identity_events.Profile(
        email=form.text("email"), name=form.text("name"), title=form.text("title"), department=form.text("department")
    )
    try:
        return await clients(request).identity.CreatePerson(
            identity.CreatePersonRequest(profile=profile, roles=roles, manager_id=manager_id)
        )
    except RpcError as error:
        return problems(error, {**{name: name for name in INVITE_FIELDS}, "manager_id": "manager", "roles": "role"})


# --- sessions ---------------------------------------------------------------------------------------------------------


@get("/admin/sessions")
async def sessions(request: AnyRequest) -> Response[bytes]:
    """Who is signed in where."""
    me = administrator(request)
    parts = gateway(request)
    text, after = query(request, "q", 100), query(request, "page", 36)
    limit = SESSIONS_SEARCHED if text else SESSIONS_A_PAGE + 1
    around, found = await asyncio.gather(shell(request), parts.sessions.list_all(after, limit, parts.context.now()))
    ids = sorted({each.person_id for each in found})
    batches = await asyncio.gather(*(whole(request, ids[at:at + 200]) for at in range(0, len(ids), 200)))
    people = {each.person_id: convert.person(each) for batch in batches for each in batch}
    if text:
        found = [
            each for each in found
            if text.casefold() in f"{people[each.person_id].name if each.person_id in people else ''} {each.address}".casefold()
        ]
    shown = found[:SESSIONS_A_PAGE]
    following = address("/admin/sessions", q=text, page=shown[-1].session_id) if len(found) > SESSIONS_A_PAGE and not text else ""
    view = AdminSessionsPage(
        shell=around, query=text, sessions=[convert.session(each, me.session_id, people) for each in shown], next_url=following
    )
    return render(request, view)


@post("/admin/sessions")
async def end_session(request: AnyRequest) -> Response[bytes]:
    """Sign one device out, or all of a person."""
    administrator(request)
    form = await posted(request)
    parts = gateway(request)
    if form.text("person_id", 36):
        await _end_all(request, form.text("person_id", 36))
    else:
        session_id = form.text("session_id", 36)
        await parts.sessions.end(session_id)
        parts.live.close_session(session_id)
    if wants_fragment(request):
        return nothing(request)
    return go(request, "/admin/sessions", told(request, "Signed out."))


# --- erasure ----------------------------------------------------------------------------------------------------------


async def _erasure_page(request: AnyRequest, person_id: str, form: Form, status: int = 200) -> Response[bytes]:
    services, say = clients(request), translated(request)
    around, found, relation, held = await asyncio.gather(
        shell(request), services.identity.GetPerson(identity.GetPersonRequest(person_id=person_id)),
        optional(services.feed.GetRelationship(feed.GetRelationshipRequest(person_id=person_id))),
        services.retention.ListHolds(retention.ListHoldsRequest(person_id=person_id)),
    )
    holdings = [
        Option(value="posts", label=say("posts you may see"), count=relation.post_count),
        Option(value="followers", label=say("followers"), count=relation.follower_count),
        Option(value="reports", label=say("people who report to them"), count=found.report_count),
    ] if relation else []
    view = AdminErasurePage(
        shell=around, person=convert.person(found), holdings=holdings, holds=[one.reason for one in held.holds], form=form
    )
    return render(request, view, status)


@get("/admin/erasure")
async def show_erasure(request: AnyRequest) -> Response[bytes]:
    """Find whom to erase, and see what would go."""
    administrator(request)
    person_id, text = query(request, "person_id", 36), query(request, "q", 100)
    if person_id:
        return await _erasure_page(request, person_id, Form())
    found: list[PersonRef] = []
    if text:
        wanted = identity.ListPeopleRequest(page_size=20, query=text, all_states=True)
        listed = await clients(request).identity.ListPeople(wanted)
        found = [convert.person(each) for each in listed.people if each.state != identity.PERSON_STATE_ERASED]
    view = AdminErasurePage(shell=await shell(request), query=text, people=found, done=query(request, "done", 1) == "1")
    return render(request, view)


@post("/admin/erasure")
async def erase(request: AnyRequest) -> Response[bytes]:
    """Erase a person for good, where the name was typed."""
    administrator(request)
    form = await posted(request)
    services, say = clients(request), translated(request)
    person_id = form.text("person_id", 36)
    person = await services.identity.GetPerson(identity.GetPersonRequest(person_id=person_id))
    if " ".join(form.text("confirm_name", 400).split()) != " ".join(person.display_name.split()):
        problem = bad("confirm_name", say("This is not the name: type it exactly as shown."))
        return await _erasure_page(request, person_id, problem.form(form.kept("confirm_name")), problem.status)
    try:
        await services.identity.ErasePerson(identity.ErasePersonRequest(person_id=person_id))
    except RpcError as error:
        problem = problems(error)
        return await _erasure_page(request, person_id, problem.form(form.kept("confirm_name")), problem.status)
    await _end_all(request, person_id)
    return go(request, "/admin/erasure?done=1")


# --- the organisation -------------------------------------------------------------------------------------------------


@get("/admin/organisation")
async def show_organization(request: AnyRequest) -> Response[bytes]:
    """What the organisation is called, to be changed."""
    administrator(request)
    around, found = await asyncio.gather(shell(request), clients(request).identity.GetOrganization(identity.GetOrganizationRequest()))
    return render(request, AdminOrganizationPage(shell=around, form=Form(values={"name": found.name})))


@post("/admin/organisation")
async def rename_organization(request: AnyRequest) -> Response[bytes]:
    """Give the organisation another name."""
    administrator(request)
    form = await posted(request)
    try:
        found = await clients(request).identity.RenameOrganization(identity.RenameOrganizationRequest(name=form.text("name")))
    except RpcError as error:
        problem = problems(error, {"name": "name"})
        view = AdminOrganizationPage(shell=await shell(request), form=problem.form(form.kept("name")))
        return render(request, view, problem.status)
    gateway(request).site.set_organization_name(found.name)
    return go(request, "/admin/organisation", told(request, "Saved."))


# --- operation --------------------------------------------------------------------------------------------------------


@get("/admin/operation")
async def operation(request: AnyRequest) -> Response[bytes]:
    """How far every read model is behind, and what is set aside."""
    administrator(request)
    parts = gateway(request)
    around, behind = await asyncio.gather(shell(request), parts.context.caught_up())
    order = sorted(behind.items(), key=lambda entry: (-entry[1], entry[0]))
    subscriptions = [SubscriptionView(service=name.partition(".")[0], name=name, lag=lag) for name, lag in order]
    view = AdminOperationPage(shell=around, subscriptions=subscriptions, parked=_parked(), version=_version())
    return render(request, view)


def _parked() -> list[ParkedStream]:
    """How many streams each subscription has set aside, from the metrics; the command line names them."""
    exposed = metrics.exposition("")[0].decode()
    return [
        ParkedStream(service=name.partition(".")[0], subscription=name, count=int(float(value)))
        for name, value in _PARKED.findall(exposed) if float(value)
    ]


def _version() -> str:
    try:
        return metadata.version("watercooler")
    except metadata.PackageNotFoundError:
        return ""
