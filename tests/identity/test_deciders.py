"""The rules of each stream: outcome, refusal, repetition; and that every history replays to the state it led to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given as for_all
from hypothesis import strategies as st

from libs.eventstore.model import EditConflict, InvalidArgument, NotFound, Rejected, fold
from libs.testing.spec import Spec
from services.identity import commands as c
from services.identity.deciders import group, organization, person, token
from watercooler.identity.v1 import events_pb2 as e
from watercooler.identity.v1.events_pb2 import ROLE_ADMINISTRATOR, ROLE_COMMUNICATIONS, ROLE_EMPLOYEE, ROLE_GUEST, ROLE_LEADER, Profile

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ANN = Profile(name="Ann Bell", email="ann@example.com", handle="ann", languages=["en"], contact={"room": "3.14"})


def at(event: Any, **times: datetime) -> Any:
    """The event with its times set."""
    for name, moment in times.items():
        getattr(event, name).FromDatetime(moment)
    return event


ADDED = at(e.PersonAdded(person_id="p", profile=ANN, roles=[ROLE_EMPLOYEE]), add_time=NOW)
INVITED = at(e.PersonInvited(person_id="p", secret_hash="s"), expire_time=LATER)
RESET = at(e.PasswordResetRequested(person_id="p", secret_hash="r"), expire_time=LATER)
CHANGED = e.PasswordChanged(person_id="p", password_hash="h")
LEFT = at(e.PersonLeft(person_id="p"), leave_time=NOW)
REJOINED = at(e.PersonRejoined(person_id="p"), rejoin_time=NOW)
ERASED = at(e.PersonErased(person_id="p"), erase_time=NOW)
ADMIN = e.RoleGranted(person_id="p", role=ROLE_ADMINISTRATOR)


def add(**changes: Any) -> c.AddPerson:
    return c.AddPerson(**{"person_id": "p", "profile": ANN, "roles": [], "manager_id": "", "password_hash": "", "now": NOW} | changes)


def row(**changes: Any) -> c.ImportPerson:
    return c.ImportPerson(
        **{
            "person_id": "p", "profile": ANN, "fields": ["name", "email"], "roles": [], "photo_blob_id": "", "external_key": "",
            "left": False, "now": NOW,
        } | changes
    )


def edit(fields: list[str], version: int | None = None, **values: Any) -> c.ChangeProfile:
    return c.ChangeProfile(person_id="p", profile=Profile(**values), fields=fields, version=version)


# --- organisation --------------------------------------------------------------------------------------------------

CREATED = at(e.OrganizationCreated(organization_id="o", name="Harbour Works"), create_time=NOW)


def test_an_organisation_is_created_once() -> None:
    create = c.CreateOrganization(organization_id="o", name="Harbour Works", now=NOW)
    Spec(organization).given().when(create).then(CREATED)
    Spec(organization).given(CREATED).when(create).then_nothing()


def test_an_organisation_is_renamed() -> None:
    renamed = e.OrganizationRenamed(organization_id="o", name="Harbour")
    rename = c.RenameOrganization(organization_id="o", name="Harbour")
    Spec(organization).given(CREATED).when(rename).then(renamed)
    Spec(organization).given(CREATED, renamed).when(rename).then_nothing()
    Spec(organization).given().when(rename).then_rejected("set it up first", NotFound)


# --- person: joiner, mover, leaver ---------------------------------------------------------------------------------


def test_a_person_is_added_once_as_an_employee_unless_said_otherwise() -> None:
    Spec(person).given().when(add()).then(ADDED)
    Spec(person).given(ADDED).when(add()).then_nothing()
    guest = at(e.PersonAdded(person_id="p", profile=ANN, roles=[ROLE_GUEST]), add_time=NOW)
    Spec(person).given().when(add(roles=[ROLE_GUEST, ROLE_GUEST])).then(guest)


def test_a_person_may_be_added_with_manager_and_password() -> None:
    Spec(person).given().when(add(manager_id="m", password_hash="h")).then(ADDED, e.ManagerAssigned(person_id="p", manager_id="m"), CHANGED)
    Spec(person).given().when(add(manager_id="p")).then_rejected("their own manager")


def test_an_edit_takes_the_named_fields_only() -> None:
    after = Profile()
    after.CopyFrom(ANN)
    after.title = "Captain"
    changed = e.PersonProfileChanged(person_id="p", profile=after, changed_fields=["title"])
    Spec(person).given(ADDED).when(edit(["title"], title="Captain", name="Somebody Else")).then(changed)
    Spec(person).given(ADDED, changed).when(edit(["title"], title="Captain")).then_nothing()


def test_an_edit_replaces_lists_and_maps_whole_and_may_empty_them() -> None:
    after = Profile()
    after.CopyFrom(ANN)
    after.ClearField("contact")
    after.languages[:] = ["pt", "en"]
    changed = e.PersonProfileChanged(person_id="p", profile=after, changed_fields=["contact", "languages"])
    Spec(person).given(ADDED).when(edit(["contact", "languages"], languages=["pt", "en"])).then(changed)


def test_an_edit_on_an_older_version_is_a_conflict() -> None:
    Spec(person).given(ADDED, ADMIN).when(edit(["title"], 1, title="x")).then_rejected("changed meanwhile", EditConflict)
    done = fold(person, [ADDED, ADMIN])
    assert len(person.decide(edit(["title"], 2, title="x"), done)) == 1


def test_nobody_is_changed_who_does_not_exist() -> None:
    Spec(person).given().when(edit(["title"], title="x")).then_rejected("no such person", NotFound)
    Spec(person).given().when(c.OffboardPerson(person_id="p", now=NOW)).then_rejected("no such person", NotFound)


def test_a_photo_is_changed_and_removed() -> None:
    photo = e.PersonPhotoChanged(person_id="p", photo_blob_id="b")
    Spec(person).given(ADDED).when(c.ChangePhoto(person_id="p", photo_blob_id="b")).then(photo)
    Spec(person).given(ADDED, photo).when(c.ChangePhoto(person_id="p", photo_blob_id="b")).then_nothing()
    Spec(person).given(ADDED, photo).when(c.ChangePhoto(person_id="p", photo_blob_id="")).then(e.PersonPhotoChanged(person_id="p"))


def test_a_manager_is_assigned_and_taken_away() -> None:
    assigned = e.ManagerAssigned(person_id="p", manager_id="m")
    Spec(person).given(ADDED).when(c.AssignManager(person_id="p", manager_id="m")).then(assigned)
    Spec(person).given(ADDED, assigned).when(c.AssignManager(person_id="p", manager_id="m")).then_nothing()
    Spec(person).given(ADDED, assigned).when(c.AssignManager(person_id="p", manager_id="")).then(e.ManagerAssigned(person_id="p"))
    Spec(person).given(ADDED).when(c.AssignManager(person_id="p", manager_id="p")).then_rejected("their own manager")


def test_roles_are_granted_and_revoked_but_for_the_last_one() -> None:
    Spec(person).given(ADDED).when(c.GrantRole(person_id="p", role=ROLE_ADMINISTRATOR)).then(ADMIN)
    Spec(person).given(ADDED, ADMIN).when(c.GrantRole(person_id="p", role=ROLE_ADMINISTRATOR)).then_nothing()
    revoked = e.RoleRevoked(person_id="p", role=ROLE_EMPLOYEE)
    Spec(person).given(ADDED, ADMIN).when(c.RevokeRole(person_id="p", role=ROLE_EMPLOYEE)).then(revoked)
    Spec(person).given(ADDED).when(c.RevokeRole(person_id="p", role=ROLE_LEADER)).then_nothing()
    Spec(person).given(ADDED).when(c.RevokeRole(person_id="p", role=ROLE_EMPLOYEE)).then_rejected("at least one role")
    Spec(person).given(ADDED, LEFT).when(c.GrantRole(person_id="p", role=ROLE_LEADER)).then_rejected("has left")


def test_a_person_leaves_and_comes_back() -> None:
    Spec(person).given(ADDED).when(c.OffboardPerson(person_id="p", now=NOW)).then(LEFT)
    Spec(person).given(ADDED, LEFT).when(c.OffboardPerson(person_id="p", now=NOW)).then_nothing()
    Spec(person).given(ADDED, LEFT).when(c.ReinstatePerson(person_id="p", now=NOW)).then(REJOINED)
    Spec(person).given(ADDED).when(c.ReinstatePerson(person_id="p", now=NOW)).then_nothing()


def test_an_administrator_comes_back_as_an_employee() -> None:
    revoked = e.RoleRevoked(person_id="p", role=ROLE_ADMINISTRATOR)
    Spec(person).given(ADDED, ADMIN, LEFT).when(c.ReinstatePerson(person_id="p", now=NOW)).then(REJOINED, revoked)
    only = at(e.PersonAdded(person_id="p", profile=ANN, roles=[ROLE_ADMINISTRATOR]), add_time=NOW)
    employee = e.RoleGranted(person_id="p", role=ROLE_EMPLOYEE)
    Spec(person).given(only, LEFT).when(c.ReinstatePerson(person_id="p", now=NOW)).then(REJOINED, employee, revoked)


def test_an_erased_person_is_erased_for_good() -> None:
    Spec(person).given(ADDED).when(c.ErasePerson(person_id="p", now=NOW)).then(ERASED)
    Spec(person).given(ADDED, LEFT).when(c.ErasePerson(person_id="p", now=NOW)).then(ERASED)
    Spec(person).given(ADDED, ERASED).when(c.ErasePerson(person_id="p", now=NOW)).then_nothing()
    grant, reinstate = c.GrantRole(person_id="p", role=ROLE_LEADER), c.ReinstatePerson(person_id="p", now=NOW)
    for command in (edit(["title"], title="x"), grant, reinstate, row()):
        Spec(person).given(ADDED, ERASED).when(command).then_rejected("was erased")


# --- person: import ------------------------------------------------------------------------------------------------


def test_a_row_adds_a_person_with_all_it_says() -> None:
    Spec(person).given().when(row(external_key="hr:7", photo_blob_id="b", left=True)).then(
        ADDED, e.ExternalKeyAdded(person_id="p", external_key="hr:7"), e.PersonPhotoChanged(person_id="p", photo_blob_id="b"), LEFT
    )


def test_a_row_changes_the_named_fields_and_the_same_row_again_nothing() -> None:
    new = Profile()
    new.CopyFrom(ANN)
    new.name = "Ann Bell-Okoro"
    new.title = "not named"
    after = Profile()
    after.CopyFrom(ANN)
    after.name = "Ann Bell-Okoro"
    changed = e.PersonProfileChanged(person_id="p", profile=after, changed_fields=["name"])
    leader = e.RoleGranted(person_id="p", role=ROLE_LEADER)
    Spec(person).given(ADDED).when(row(profile=new, roles=[ROLE_LEADER])).then(changed, leader)
    Spec(person).given(ADDED, changed, leader).when(row(profile=new, roles=[ROLE_LEADER])).then_nothing()


def test_a_row_brings_back_only_where_its_source_says_who_left() -> None:
    Spec(person).given(ADDED, LEFT).when(row()).then_nothing()
    Spec(person).given(ADDED, LEFT).when(row(fields=["name", "left"])).then(REJOINED)
    Spec(person).given(ADDED).when(row(left=True)).then(LEFT)
    Spec(person).given(ADDED, LEFT).when(row(left=True)).then_nothing()
    administrator = row(fields=["left"], roles=[ROLE_ADMINISTRATOR])
    Spec(person).given(ADDED, ADMIN, LEFT).when(administrator).then(REJOINED)
    Spec(person).given(ADDED, ADMIN, LEFT, REJOINED).when(administrator).then_nothing()


# --- person: passwords ---------------------------------------------------------------------------------------------


def test_an_invitation_is_accepted_once_and_in_time() -> None:
    invite = c.InvitePerson(person_id="p", secret_hash="s", expire_time=LATER)
    accept = c.AcceptInvitation(person_id="p", secret_hash="s", password_hash="h", now=NOW)
    accepted = e.InvitationAccepted(person_id="p")
    Spec(person).given(ADDED).when(invite).then(INVITED)
    Spec(person).given(ADDED, INVITED).when(accept).then(accepted, CHANGED)
    Spec(person).given(ADDED, INVITED, accepted, CHANGED).when(accept).then_rejected("used before", NotFound)
    late = c.AcceptInvitation(person_id="p", secret_hash="s", password_hash="h", now=LATER)
    Spec(person).given(ADDED, INVITED).when(late).then_rejected("past its time", NotFound)
    Spec(person).given(ADDED, CHANGED).when(invite).then_rejected("reset link")
    second = at(e.PersonInvited(person_id="p", secret_hash="t"), expire_time=LATER)
    Spec(person).given(ADDED, INVITED, second).when(accept).then_rejected("used before", NotFound)


def test_a_reset_link_works_once_and_every_change_voids_the_others() -> None:
    request = c.RequestReset(person_id="p", secret_hash="r", expire_time=LATER)
    use = c.ResetPassword(person_id="p", secret_hash="r", password_hash="h", now=NOW)
    Spec(person).given(ADDED, CHANGED).when(request).then(RESET)
    ended = e.PasswordChanged(person_id="p", password_hash="h", ends_apps=True)
    Spec(person).given(ADDED, CHANGED, RESET).when(use).then(ended)
    Spec(person).given(ADDED, RESET, CHANGED).when(use).then_rejected("used before", NotFound)
    late = c.ResetPassword(person_id="p", secret_hash="r", password_hash="h", now=LATER)
    Spec(person).given(ADDED, RESET).when(late).then_rejected("past its time", NotFound)
    Spec(person).given(ADDED, RESET, LEFT).when(use).then_rejected("has left")
    more = [at(e.PasswordResetRequested(person_id="p", secret_hash=f"r{n}"), expire_time=LATER) for n in range(person.OPEN_RESETS_MAX)]
    Spec(person).given(ADDED, RESET, *more).when(use).then_rejected("used before", NotFound)


def test_a_password_is_changed_only_from_the_one_that_was_checked() -> None:
    change = c.ChangePassword(person_id="p", password_hash="new", replaces="h")
    Spec(person).given(ADDED, CHANGED).when(change).then(e.PasswordChanged(person_id="p", password_hash="new"))
    Spec(person).given(ADDED, CHANGED, e.PasswordChanged(person_id="p", password_hash="other")).when(change).then_rejected("meanwhile")


def test_a_renewed_hash_leaves_links_open() -> None:
    renew = c.ChangePassword(person_id="p", password_hash="new", replaces="h", rehashed=True)
    renewed = e.PasswordChanged(person_id="p", password_hash="new", rehashed=True)
    Spec(person).given(ADDED, CHANGED).when(renew).then(renewed)
    Spec(person).given(ADDED, CHANGED, renewed).when(renew).then_nothing()
    use = c.ResetPassword(person_id="p", secret_hash="r", password_hash="x", now=NOW)
    changed = e.PasswordChanged(person_id="p", password_hash="x", ends_apps=True)
    Spec(person).given(ADDED, CHANGED, RESET, renewed).when(use).then(changed)


# --- group ---------------------------------------------------------------------------------------------------------


def team(*members: tuple[str, str], **changes: Any) -> c.ImportGroup:
    facts = {"group_id": "g", "name": "Crew", "kind": "team", "parent_id": "", "description": "", "external_key": "hr:crew"}
    return c.ImportGroup(**facts | {"members": members} | changes)


MADE = e.GroupCreated(group_id="g", name="Crew", kind="team", external_id="hr:crew")


def member(person_id: str, role: str = "") -> e.GroupMemberAdded:
    return e.GroupMemberAdded(group_id="g", person_id=person_id, role=role)


def test_a_group_is_made_changed_and_kept_as_its_source_has_it() -> None:
    Spec(group).given().when(team(("a", "lead"), ("b", ""))).then(MADE, member("a", "lead"), member("b"))
    Spec(group).given(MADE, member("a", "lead")).when(team(("a", "lead"))).then_nothing()
    Spec(group).given(MADE, member("a", "lead"), member("b")).when(team(("a", ""))).then(
        e.GroupMemberRemoved(group_id="g", person_id="b"), member("a")
    )
    renamed = e.GroupChanged(group_id="g", name="Deck crew", kind="team", parent_id="q")
    Spec(group).given(MADE).when(team(name="Deck crew", parent_id="q")).then(renamed)
    Spec(group).given(MADE, renamed).when(team(name="Deck crew", parent_id="q")).then_nothing()
    Spec(group).given(MADE).when(team(parent_id="g")).then_rejected("part of itself")




def test_a_large_group_is_taken_in_portions() -> None:
    everybody = [(f"p{number:03}", "") for number in range(250)]
    log: list[Message] = []
    sizes = []
    while events := group.decide(team(*everybody), fold(group, log)):
        log += events
        sizes.append(len(events))
    assert sizes == [100, 100, 51]
    assert dict(fold(group, log).members) == dict(everybody)


def test_a_group_is_deleted_once() -> None:
    deleted = e.GroupDeleted(group_id="g")
    Spec(group).given(MADE).when(c.DeleteGroup(group_id="g")).then(deleted)
    Spec(group).given(MADE, deleted).when(c.DeleteGroup(group_id="g")).then_nothing()
    Spec(group).given().when(c.DeleteGroup(group_id="g")).then_rejected("no such group", NotFound)
    Spec(group).given(MADE, deleted).when(team()).then_rejected("was deleted")


# --- token ---------------------------------------------------------------------------------------------------------


def issue(**changes: Any) -> c.IssueToken:
    facts = {"token_id": "t", "person_id": "p", "name": "script", "secret_hash": "s", "expire_time": None, "now": NOW}
    return c.IssueToken(**{"scopes": ["write", "read"]} | facts | changes)


ISSUED = at(e.AccessTokenIssued(token_id="t", person_id="p", name="script", scopes=["read", "write"], secret_hash="s"), issue_time=NOW)


def test_a_token_is_issued_once_with_known_scopes_and_a_future() -> None:
    Spec(token).given().when(issue()).then(ISSUED)
    Spec(token).given(ISSUED).when(issue()).then_nothing()
    Spec(token).given().when(issue(scopes=[])).then_rejected("scopes", InvalidArgument)
    Spec(token).given().when(issue(scopes=["read", "everything"])).then_rejected("scopes", InvalidArgument)
    Spec(token).given().when(issue(expire_time=NOW)).then_rejected("future", InvalidArgument)


def test_a_token_is_revoked_once() -> None:
    revoked = e.AccessTokenRevoked(token_id="t", person_id="p")
    Spec(token).given(ISSUED).when(c.RevokeToken(token_id="t")).then(revoked)
    Spec(token).given(ISSUED, revoked).when(c.RevokeToken(token_id="t")).then_nothing()
    Spec(token).given().when(c.RevokeToken(token_id="t")).then_rejected("no such token", NotFound)


# --- any history ---------------------------------------------------------------------------------------------------

words = st.sampled_from(["", "Ann", "Bo", "Çelik"])
some_profiles = st.builds(
    Profile, name=words, title=words, languages=st.lists(words, max_size=2), contact=st.dictionaries(words, words, max_size=2)
)
fields = st.lists(st.sampled_from(["name", "title", "languages", "contact"]), unique=True)
roles = st.sampled_from([ROLE_EMPLOYEE, ROLE_GUEST, ROLE_COMMUNICATIONS, ROLE_LEADER, ROLE_ADMINISTRATOR])
times = st.sampled_from([NOW, LATER, LATER + timedelta(hours=1)])
short = st.sampled_from(["", "a", "b"])
person_ids = st.just("p")

PERSON = st.one_of(
    st.builds(add, profile=some_profiles, roles=st.lists(roles, max_size=2), manager_id=short, password_hash=short),
    st.builds(
        row, profile=some_profiles, fields=st.lists(st.sampled_from(["name", "contact", "left"])), roles=st.lists(roles, max_size=2),
        photo_blob_id=short, external_key=short, left=st.booleans(),
    ),
    st.builds(c.ChangeProfile, person_id=person_ids, profile=some_profiles, fields=fields, version=st.sampled_from([None, 1, 2, 3])),
    st.builds(c.ChangePhoto, person_id=person_ids, photo_blob_id=short),
    st.builds(c.AssignManager, person_id=person_ids, manager_id=st.sampled_from(["", "m", "p"])),
    st.builds(c.GrantRole, person_id=person_ids, role=roles),
    st.builds(c.RevokeRole, person_id=person_ids, role=roles),
    st.builds(c.InvitePerson, person_id=person_ids, secret_hash=short, expire_time=times),
    st.builds(c.AcceptInvitation, person_id=person_ids, secret_hash=short, password_hash=short, now=times),
    st.builds(c.RequestReset, person_id=person_ids, secret_hash=short, expire_time=times),
    st.builds(c.ResetPassword, person_id=person_ids, secret_hash=short, password_hash=short, now=times),
    st.builds(c.ChangePassword, person_id=person_ids, password_hash=short, replaces=short, rehashed=st.booleans()),
    st.builds(c.OffboardPerson, person_id=person_ids, now=times),
    st.builds(c.ReinstatePerson, person_id=person_ids, now=times),
    st.builds(c.ErasePerson, person_id=person_ids, now=times),
)
GROUP = st.one_of(
    st.builds(
        team, name=words, parent_id=st.sampled_from(["", "g", "q"]),
        members=st.dictionaries(st.sampled_from("abc"), short).map(lambda members: tuple(members.items())),
    ),
    st.just(c.DeleteGroup(group_id="g")),
)
TOKEN = st.one_of(
    st.builds(issue, scopes=st.lists(st.sampled_from(["read", "write", "admin", "x"]))), st.just(c.RevokeToken(token_id="t"))
)
ORGANIZATION = st.one_of(
    st.builds(c.CreateOrganization, organization_id=st.just("o"), name=words, now=times),
    st.builds(c.RenameOrganization, organization_id=st.just("o"), name=words),
)


@pytest.mark.parametrize(
    ("decider", "some"), [(person, PERSON), (group, GROUP), (token, TOKEN), (organization, ORGANIZATION)],
    ids=["person", "group", "token", "organization"],
)
def test_any_history_replays_to_the_state_it_led_to(decider: Any, some: st.SearchStrategy[Any]) -> None:
    @for_all(st.lists(some, max_size=12))
    def replays(history: list[Any]) -> None:
        log: list[Message] = []
        live = decider.initial()
        for command in history:
            try:
                events = decider.decide(command, live)
            except Rejected:
                continue
            for event in events:
                live = decider.evolve(live, event)
            log += events
            try:
                again = decider.decide(command, live)
            except Rejected:
                again = []
            # Each invitation and each reset request is a link of its own; everything else is done once.
            assert not again or isinstance(command, c.InvitePerson | c.RequestReset | c.ChangePassword), (command, again)
        assert fold(decider, [type(event).FromString(event.SerializeToString()) for event in log]) == live

    replays()
