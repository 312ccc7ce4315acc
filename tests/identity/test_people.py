"""People over the calls: who may read and change what, what must be unique, and the chart."""

from __future__ import annotations

from typing import Any

import pytest

from libs.db.database import DatabaseBusy
from libs.rpc.errors import RpcError
from libs.text.ids import new_id
from services.identity.deciders import organization
from tests.identity.worlds import ABORTED, DENIED, EXISTS, INVALID, MISSING, NOBODY, PASSWORD, REFUSED, Identity, refused
from watercooler.identity.v1 import identity_service_pb2 as pb
from watercooler.identity.v1.events_pb2 import ROLE_ADMINISTRATOR, ROLE_EMPLOYEE, ROLE_GUEST, ROLE_LEADER, Profile


def set_up(**changes: str) -> pb.SetUpOrganizationRequest:
    facts = {"name": "Harbour Works", "person_name": "Ada Abara", "email": "ada@example.com", "password": PASSWORD}
    return pb.SetUpOrganizationRequest(**facts | changes)


def names(people: Any) -> list[str]:
    return [each.display_name for each in people]


# --- set-up --------------------------------------------------------------------------------------------------------


async def test_set_up_happens_once_and_needs_nobody(bare: Identity) -> None:
    with refused(MISSING, "set it up first"):
        await bare.stub.GetOrganization(pb.GetOrganizationRequest())
    done = await bare.stub.SetUpOrganization(set_up())
    assert done.organization.name == "Harbour Works"
    assert list(done.administrator.roles) == [ROLE_EMPLOYEE, ROLE_ADMINISTRATOR]
    assert (await bare.stub.GetOrganization(pb.GetOrganizationRequest())) == done.organization
    with refused(EXISTS, "set up already"):
        await bare.stub.SetUpOrganization(set_up(email="eve@example.com"))
    bare.pass_time(days=1)
    with refused(EXISTS, "set up already"):
        await bare.stub.SetUpOrganization(set_up(email="eve@example.com"))


async def test_set_up_that_broke_off_is_finished_by_whoever_began_it(bare: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    done = bare.api.done

    async def broken(decider: Any, *args: Any) -> Any:
        if decider is organization:
            raise DatabaseBusy("the process ends here")
        return await done(decider, *args)

    monkeypatch.setattr(bare.api, "done", broken)
    with pytest.raises(RpcError):
        await bare.stub.SetUpOrganization(set_up())
    monkeypatch.undo()
    bare.pass_time(days=1)
    with refused(EXISTS, "somebody began", field="email"):
        await bare.stub.SetUpOrganization(set_up(email="eve@example.com"))
    with refused(EXISTS, "somebody began", field="email"):
        await bare.stub.SetUpOrganization(set_up(password="another one, quite long"))
    finished = await bare.stub.SetUpOrganization(set_up(name="Harbour & Sons"))
    assert (finished.organization.name, finished.administrator.display_name) == ("Harbour & Sons", "Ada Abara")
    with refused(EXISTS, "set up already"):
        await bare.stub.SetUpOrganization(set_up())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "x" * 201), ("person_name", " "), ("email", ""), ("email", "ada"), ("password", "short"),
        ("password", "ada abara 1"),
    ],
)
async def test_set_up_names_the_field_at_fault(bare: Identity, field: str, value: str) -> None:
    with refused(INVALID, field=field):
        await bare.stub.SetUpOrganization(set_up(**{field: value}))


async def test_the_organisation_is_renamed_by_administrators(identity: Identity) -> None:
    request = pb.RenameOrganizationRequest(name="Harbour & Sons")
    with identity.as_person(identity.ann), refused(DENIED, "administrators"):
        await identity.stub.RenameOrganization(request)
    with identity.as_admin():
        assert (await identity.stub.RenameOrganization(request)).name == "Harbour & Sons"


# --- adding and editing --------------------------------------------------------------------------------------------


async def test_only_administrators_and_services_add_people(identity: Identity) -> None:
    request = pb.CreatePersonRequest(profile=Profile(name="Cy", email="cy@example.com"))
    with identity.as_person(identity.ann), refused(DENIED, "administrators"):
        await identity.stub.CreatePerson(request)
    with refused(NOBODY):
        await identity.stub.CreatePerson(request)
    with identity.as_gateway():
        assert (await identity.stub.CreatePerson(request)).display_name == "Cy"


async def test_a_token_without_the_scope_does_not_act(identity: Identity) -> None:
    admin = identity.world.acting_as(identity.admin.person_id, ("employee", "administrator"), ("read", "write"))
    with admin, refused(DENIED, "scope admin"):
        await identity.stub.CreatePerson(pb.CreatePersonRequest(profile=Profile(name="Cy", email="cy@example.com")))
    with identity.as_person(identity.ann, scopes=("read",)), refused(DENIED, "scope write"):
        await identity.stub.UpdateProfile(
            pb.UpdateProfileRequest(person_id=identity.ann.person_id, profile=Profile(about="hi"), update_mask=["about"])
        )
    with identity.as_person(identity.ann, scopes=("write",)), refused(DENIED, "scope read"):
        await identity.stub.GetPerson(pb.GetPersonRequest(person_id=identity.ann.person_id))


async def test_addresses_numbers_and_handles_are_unique(identity: Identity) -> None:
    first = await identity.create("Bo", "bo@example.com", profile={"employee_number": "E7"})
    assert first.profile.handle == "bo"
    with refused(EXISTS, "e-mail", "profile.email"):
        await identity.create("Bo", "BO@Example.com")
    with refused(EXISTS, "employee number", "profile.employee_number"):
        await identity.create("Bo", "bo2@example.com", profile={"employee_number": "e7"})
    with refused(EXISTS, "handle", "profile.handle"):
        await identity.create("Bo", "bo3@example.com", profile={"handle": "bo"})
    assert (await identity.create("Bo", "bo@example.org")).profile.handle == "bo-2"
    assert (await identity.create("Bo", "bo@example.net")).profile.handle == "bo-3"


async def test_a_repeated_request_adds_one_person(identity: Identity) -> None:
    request = pb.CreatePersonRequest(profile=Profile(name="Cy", email="cy@example.com"), request_id="once")
    with identity.as_admin():
        first = await identity.stub.CreatePerson(request)
        assert await identity.stub.CreatePerson(request) == first
        with refused(INVALID, "request id", "request_id"):
            await identity.stub.CreatePerson(pb.CreatePersonRequest(profile=request.profile, request_id="x" * 101))


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("profile.name", {"profile": Profile(email="cy@example.com")}),
        ("profile.email", {"profile": Profile(name="Cy")}),
        ("profile.time_zone", {"profile": Profile(name="Cy", email="cy@example.com", time_zone="Nowhere/Land")}),
        ("roles", {"profile": Profile(name="Cy", email="cy@example.com"), "roles": [0]}),
        ("password", {"profile": Profile(name="Cy", email="cy@example.com"), "password": "password123"}),
    ],
)
async def test_a_new_person_is_within_limits(identity: Identity, field: str, request_: dict[str, Any]) -> None:
    with identity.as_admin(), refused(INVALID, field=field):
        await identity.stub.CreatePerson(pb.CreatePersonRequest(**request_))


async def update(identity: Identity, person: pb.Person, etag: str = "", **values: Any) -> pb.Person:
    request = pb.UpdateProfileRequest(person_id=person.person_id, profile=Profile(**values), update_mask=list(values), etag=etag)
    return await identity.stub.UpdateProfile(request)


async def test_people_edit_their_own_profile_but_not_what_the_directory_keeps(identity: Identity) -> None:
    with identity.as_person(identity.ann):
        facts = {"preferred_name": "Annie", "about": "**Hello**", "languages": ["en", "pt"], "contact": {"room": "3"}}
        done = await update(identity, identity.ann, **facts)
        assert (done.display_name, done.profile.contact["room"]) == ("Annie", "3")
        for field in ("email", "employee_number", "title", "department", "start_date"):
            value = {"email": "new@example.com", "start_date": "2024-01-01"}.get(field, "x")
            with refused(DENIED, "administrator", f"profile.{field}"):
                await update(identity, identity.ann, **{field: value})
        with refused(DENIED, "their own"):
            await update(identity, identity.admin, about="x")
    with identity.as_admin():
        done = await update(identity, identity.ann, title="Captain", email="bell@example.com")
        assert (done.profile.title, done.profile.about) == ("Captain", "**Hello**")


async def test_the_second_of_two_edits_meets_a_conflict(identity: Identity) -> None:
    with identity.as_person(identity.ann):
        etag = (await identity.stub.GetPerson(pb.GetPersonRequest(person_id=identity.ann.person_id))).etag
        done = await update(identity, identity.ann, etag, about="first")
        assert done.etag != etag
        with refused(ABORTED, "changed meanwhile"):
            await update(identity, identity.ann, etag, about="second")
        assert (await update(identity, identity.ann, done.etag, about="second")).profile.about == "second"
        with refused(INVALID, "etag", "etag"):
            await update(identity, identity.ann, "W/x", about="third")


async def test_an_edit_names_known_fields(identity: Identity) -> None:
    with identity.as_admin():
        for mask in ([], ["shoe_size"]):
            with refused(INVALID, field="update_mask"):
                await identity.stub.UpdateProfile(pb.UpdateProfileRequest(person_id=identity.ann.person_id, update_mask=mask))
        with refused(INVALID, field="profile.name"):
            await update(identity, identity.ann, name="")
        with refused(EXISTS, field="profile.handle"):
            await update(identity, identity.ann, handle="ada")


async def test_a_photo_is_ones_own(identity: Identity) -> None:
    request = pb.ChangePhotoRequest(person_id=identity.ann.person_id, photo_blob_id="b")
    with identity.as_person(identity.ann):
        assert (await identity.stub.ChangePhoto(request)).photo_blob_id == "b"
        with refused(DENIED):
            await identity.stub.ChangePhoto(pb.ChangePhotoRequest(person_id=identity.admin.person_id, photo_blob_id="b"))


# --- reading -------------------------------------------------------------------------------------------------------


async def test_guests_see_names_and_titles_only(identity: Identity) -> None:
    gus = await identity.create("Gus", "gus@example.com", roles=[ROLE_GUEST])
    await identity.create("Lea", "lea@example.com", profile={"title": "Pilot", "about": "private", "contact": {"phone": "1"}})
    with identity.as_person(gus, "guest"):
        lea = await identity.stub.FindPerson(pb.FindPersonRequest(handle="lea"))
        assert lea.profile == Profile(name="Lea", title="Pilot", handle="lea")
        assert (lea.manager_id, list(lea.roles), lea.etag) == ("", [], "")
        assert (await identity.stub.GetPerson(pb.GetPersonRequest(person_id=gus.person_id))).profile.email == "gus@example.com"
        batch = await identity.stub.BatchGetPeople(pb.BatchGetPeopleRequest(person_ids=[identity.ann.person_id, new_id()]))
        assert [each.profile.email for each in batch.people] == [""]
        for call in (
            identity.stub.ListPeople(pb.ListPeopleRequest()),
            identity.stub.FindPerson(pb.FindPersonRequest(email="lea@example.com")),
            identity.stub.GetOrganizationChart(pb.GetOrganizationChartRequest()),
            identity.stub.ListGroups(pb.ListGroupsRequest()),
        ):
            with refused(DENIED, "guests"):
                await call


async def test_employees_do_not_see_the_state_of_accounts(identity: Identity) -> None:
    with identity.as_person(identity.ann):
        assert not (await identity.stub.GetPerson(pb.GetPersonRequest(person_id=identity.admin.person_id))).has_password
        assert (await identity.stub.GetPerson(pb.GetPersonRequest(person_id=identity.ann.person_id))).has_password
    with identity.as_admin():
        assert (await identity.stub.GetPerson(pb.GetPersonRequest(person_id=identity.ann.person_id))).has_password


async def test_people_are_found_by_their_keys(identity: Identity) -> None:
    bo = await identity.create("Bo", "bo@example.com", profile={"employee_number": "E7"})
    with identity.as_person(identity.ann):
        for by in ({"email": "BO@example.com"}, {"handle": "Bo"}, {"employee_number": "e7"}):
            assert (await identity.stub.FindPerson(pb.FindPersonRequest(**by))).person_id == bo.person_id
        with refused(MISSING):
            await identity.stub.FindPerson(pb.FindPersonRequest(email="nobody@example.com"))
        with refused(INVALID):
            await identity.stub.FindPerson(pb.FindPersonRequest())
        for person_id in ("", "x", new_id()):
            with refused(MISSING):
                await identity.stub.GetPerson(pb.GetPersonRequest(person_id=person_id))
        with refused(INVALID, field="person_ids"):
            await identity.stub.BatchGetPeople(pb.BatchGetPeopleRequest(person_ids=[new_id() for _ in range(201)]))


async def test_lists_are_paged_by_name_and_filtered(identity: Identity) -> None:
    for number, name in enumerate(["Émile Zola", "emma", "Zoë 100%", "Bo", "bo"]):
        await identity.create(name, f"x{number}@example.com", profile={"department": "Deck" if number % 2 else "Hull"})
    with identity.as_person(identity.ann):
        seen: list[str] = []
        token, pages = "", 0
        while pages == 0 or token:
            page = await identity.stub.ListPeople(pb.ListPeopleRequest(page_size=2, page_token=token))
            assert page.total_size == 7
            assert len(page.people) <= 2
            seen += names(page.people)
            token, pages = page.next_page_token, pages + 1
        assert seen == ["Ada Abara", "Ann Bell", "Bo", "bo", "Émile Zola", "emma", "Zoë 100%"]

        async def found(**wanted: Any) -> list[str]:
            return names((await identity.stub.ListPeople(pb.ListPeopleRequest(**wanted))).people)

        assert await found(query="emile") == ["Émile Zola"]
        assert await found(query="ZOLA é") == ["Émile Zola"]
        assert await found(query="%") == ["Zoë 100%"]
        assert await found(query="_") == []
        assert await found(query="x3@exa") == ["Bo"]
        assert await found(department="Hull") == ["bo", "Émile Zola", "Zoë 100%"]
        assert await found(role=ROLE_ADMINISTRATOR) == ["Ada Abara"]
        assert await found(state=pb.PERSON_STATE_LEFT) == []
        tokens = ({"page_token": "nonsense"}, {"page_token": "WzFd"})
        for wrong in (*tokens, {"page_size": -1}, {"query": "x" * 201}, {"role": 77}, {"state": 9}):
            with refused(INVALID, field=next(iter(wrong))):
                await identity.stub.ListPeople(pb.ListPeopleRequest(**wrong))


# --- roles, leaving, last administrator ----------------------------------------------------------------------------


async def test_the_last_administrator_stays(identity: Identity) -> None:
    admin = identity.admin.person_id
    with identity.as_admin():
        for call in (
            lambda: identity.stub.RevokeRole(pb.RevokeRoleRequest(person_id=admin, role=ROLE_ADMINISTRATOR)),
            lambda: identity.stub.OffboardPerson(pb.OffboardPersonRequest(person_id=admin)),
            lambda: identity.stub.ErasePerson(pb.ErasePersonRequest(person_id=admin)),
        ):
            with refused(REFUSED, "last administrator"):
                await call()
        await identity.stub.GrantRole(pb.GrantRoleRequest(person_id=identity.ann.person_id, role=ROLE_ADMINISTRATOR))
        await identity.stub.OffboardPerson(pb.OffboardPersonRequest(person_id=identity.ann.person_id))
        with refused(REFUSED, "last administrator"):  # who has left does not count
            await identity.stub.OffboardPerson(pb.OffboardPersonRequest(person_id=admin))
        back = await identity.stub.ReinstatePerson(pb.ReinstatePersonRequest(person_id=identity.ann.person_id))
        assert list(back.roles) == [ROLE_EMPLOYEE]
        await identity.stub.GrantRole(pb.GrantRoleRequest(person_id=identity.ann.person_id, role=ROLE_ADMINISTRATOR))
        gone = await identity.stub.OffboardPerson(pb.OffboardPersonRequest(person_id=admin))
        assert gone.state == pb.PERSON_STATE_LEFT
        assert gone.leave_time.ToDatetime() == identity.time.replace(tzinfo=None)


async def test_two_administrators_cannot_both_leave_at_once(identity: Identity) -> None:
    import asyncio

    with identity.as_admin():
        await identity.stub.GrantRole(pb.GrantRoleRequest(person_id=identity.ann.person_id, role=ROLE_ADMINISTRATOR))
        answers = await asyncio.gather(
            *(identity.stub.OffboardPerson(pb.OffboardPersonRequest(person_id=each.person_id)) for each in (identity.ann, identity.admin)),
            return_exceptions=True,
        )
    assert sum(isinstance(answer, Exception) for answer in answers) == 1


async def test_roles_are_for_administrators_to_give(identity: Identity) -> None:
    with identity.as_person(identity.ann), refused(DENIED):
        await identity.stub.GrantRole(pb.GrantRoleRequest(person_id=identity.ann.person_id, role=ROLE_ADMINISTRATOR))
    with identity.as_admin():
        done = await identity.stub.GrantRole(pb.GrantRoleRequest(person_id=identity.ann.person_id, role=ROLE_LEADER))
        assert list(done.roles) == [ROLE_EMPLOYEE, ROLE_LEADER]
        with refused(INVALID, field="role"):
            await identity.stub.GrantRole(pb.GrantRoleRequest(person_id=identity.ann.person_id))


# --- chart ---------------------------------------------------------------------------------------------------------


async def assign(identity: Identity, person: pb.Person, manager: pb.Person | None) -> pb.Person:
    with identity.as_admin():
        request = pb.AssignManagerRequest(person_id=person.person_id, manager_id=manager.person_id if manager else "")
        return await identity.stub.AssignManager(request)


def drawn(nodes: Any) -> Any:
    return {node.person.display_name: drawn(node.reports) for node in nodes}


async def test_the_chart_is_walked_and_has_no_circles(identity: Identity) -> None:
    bo, cy = await identity.create("Bo", "bo@example.com"), await identity.create("Cy", "cy@example.com")
    await assign(identity, identity.ann, identity.admin)
    await assign(identity, bo, identity.ann)
    await assign(identity, cy, bo)
    with refused(REFUSED, "Ada Abara cannot report to Cy, because Cy reports to Bo reports to Ann Bell reports to Ada Abara", "manager_id"):
        await assign(identity, identity.admin, cy)
    with refused(REFUSED, "their own manager", "manager_id"):
        await assign(identity, cy, cy)
    with refused(MISSING, "not among", "manager_id"):
        await assign(identity, cy, pb.Person(person_id=new_id()))
    with identity.as_person(identity.ann):
        chart = await identity.stub.GetOrganizationChart(pb.GetOrganizationChartRequest(depth=2))
        assert (drawn(chart.nodes), names(chart.managers)) == ({"Ada Abara": {"Ann Bell": {"Bo": {}}}}, [])
        assert chart.nodes[0].person.report_count == 1
        chart = await identity.stub.GetOrganizationChart(pb.GetOrganizationChartRequest(person_id=bo.person_id))
        assert (drawn(chart.nodes), names(chart.managers)) == ({"Bo": {"Cy": {}}}, ["Ada Abara", "Ann Bell"])
        with refused(INVALID, field="depth"):
            await identity.stub.GetOrganizationChart(pb.GetOrganizationChartRequest(depth=6))
        with refused(DENIED):
            await identity.stub.AssignManager(pb.AssignManagerRequest(person_id=cy.person_id))


async def test_reports_of_someone_who_left_are_at_the_top(identity: Identity) -> None:
    bo, cy = await identity.create("Bo", "bo@example.com"), await identity.create("Cy", "cy@example.com")
    await assign(identity, bo, identity.ann)
    await assign(identity, cy, bo)
    with identity.as_admin():
        await identity.stub.OffboardPerson(pb.OffboardPersonRequest(person_id=identity.ann.person_id))
        assert drawn((await identity.stub.GetOrganizationChart(pb.GetOrganizationChartRequest())).nodes) == {"Bo": {"Cy": {}}}
    with refused(REFUSED, "Ann Bell has left", "manager_id"):
        await assign(identity, cy, identity.ann)
