"""Imports of people and groups: bad rows, second runs, dry runs, managers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.identity.worlds import DENIED, INVALID, PASSWORD, Identity, refused
from watercooler.identity.v1 import identity_service_pb2 as pb
from watercooler.identity.v1.events_pb2 import ROLE_ADMINISTRATOR, ROLE_EMPLOYEE, ROLE_LEADER, Profile

OUTCOMES = {
    pb.IMPORT_OUTCOME_ADDED: "added", pb.IMPORT_OUTCOME_CHANGED: "changed", pb.IMPORT_OUTCOME_UNCHANGED: "unchanged",
    pb.IMPORT_OUTCOME_REFUSED: "refused",
}


def row(name: str = "", email: str = "", manager: str | None = None, **more: Any) -> pb.PersonRecord:
    """A row with the fields that are given."""
    facts = {key: more.pop(key) for key in list(more) if key in Profile.DESCRIPTOR.fields_by_name} | {"name": name, "email": email}
    return pb.PersonRecord(profile=Profile(**facts), manager_key=manager or "", has_manager=manager is not None, **more)


async def run(identity: Identity, rows: Sequence[pb.PersonRecord], dry_run: bool = False, source: str = "hr") -> list[pb.ImportResult]:
    for number, each in enumerate(rows, 1):
        each.place = f"line {number}"
    with identity.as_admin():
        request = pb.ImportPeopleRequest(source=source, records=rows, dry_run=dry_run)
        return list((await identity.stub.ImportPeople(request, timeout=120)).results)


def table(results: Sequence[pb.ImportResult]) -> list[tuple[str, str, list[str]]]:
    return [(each.place, OUTCOMES[each.outcome], list(each.changed_fields)) for each in results]


def outcomes(results: Sequence[pb.ImportResult]) -> list[str]:
    return [OUTCOMES[each.outcome] for each in results]


async def person(identity: Identity, **by: str) -> pb.Person:
    with identity.as_admin():
        return await identity.stub.FindPerson(pb.FindPersonRequest(**by))


COMPANY = [
    row("Dee Chu", "dee@example.com", "", employee_number="1", title="Head"),
    row("Eli Roy", "eli@example.com", "dee@example.com", employee_number="2", languages=["fr"], contact={"room": "1"}),
    row("Fay Wu", "fay@example.com", "2", employee_number="3", external_id="fwu", roles=[ROLE_LEADER]),
    row("Gil Ito", "gil@example.com", "fwu", left=True),
    row("Hal Kim", "", "Eli Roy", external_id="hkim"),
]


def company() -> list[pb.PersonRecord]:
    copies = [pb.PersonRecord() for _ in COMPANY]
    for copy, original in zip(copies, COMPANY, strict=True):
        copy.CopyFrom(original)
    return copies


# --- outcome, repetition, dry run ----------------------------------------------------------------------------------


async def test_a_company_goes_in_and_a_second_run_changes_nothing(identity: Identity) -> None:
    first = await run(identity, company())
    assert outcomes(first) == ["added"] * 5
    assert [list(each.warnings) for each in first] == [[]] * 5
    dee, eli, fay, gil = [await person(identity, email=f"{name}@example.com") for name in ("dee", "eli", "fay", "gil")]
    hal = await person(identity, handle="hkim")
    assert [each.manager_id for each in (dee, eli, fay, gil, hal)] == ["", dee.person_id, eli.person_id, fay.person_id, eli.person_id]
    assert (list(fay.roles), list(eli.roles)) == ([ROLE_LEADER], [ROLE_EMPLOYEE])
    assert gil.state == pb.PERSON_STATE_LEFT
    assert eli.profile == Profile(
        name="Eli Roy", email="eli@example.com", employee_number="2", handle="eli", languages=["fr"], contact={"room": "1"}
    )
    assert [each.id for each in first][:2] == [dee.person_id, eli.person_id]
    head = await identity.api.events.head()
    second = await run(identity, company())
    assert outcomes(second) == ["unchanged"] * 5
    assert [each.id for each in second] == [each.id for each in first]
    assert await identity.api.events.head() == head


async def test_a_dry_run_gives_the_same_table_and_writes_nothing(identity: Identity) -> None:
    rows = [*company(), row("", "nameless@example.com"), row("Ann B. Bell", "ann@example.com", "nobody", title="Mate")]
    head = await identity.api.events.head()
    dry = await run(identity, rows, dry_run=True)
    assert await identity.api.events.head() == head
    wet = await run(identity, rows)
    assert table(dry) == table(wet)
    assert [list(each.warnings) for each in dry] == [list(each.warnings) for each in wet]
    assert table(wet)[-2:] == [("line 6", "refused", []), ("line 7", "changed", ["name", "title"])]


async def test_a_changed_row_changes_its_fields_only(identity: Identity) -> None:
    await run(identity, company())
    with identity.as_admin():
        eli = await person(identity, email="eli@example.com")
        by_hand = Profile(about="by hand", title="by hand")
        await identity.stub.UpdateProfile(
            pb.UpdateProfileRequest(person_id=eli.person_id, profile=by_hand, update_mask=["about", "title"])
        )
    again = row("Eli Roy-Lee", "eli.roy@example.com", employee_number="2", fields=["name", "email", "employee_number", "title"])
    assert table(await run(identity, [again])) == [("line 1", "changed", ["name", "email", "title"])]
    after = (await person(identity, email="eli.roy@example.com")).profile
    assert (after.name, after.title, after.about, after.handle, list(after.languages)) == ("Eli Roy-Lee", "", "by hand", "eli", ["fr"])
    assert outcomes(await run(identity, [again])) == ["unchanged"]


async def test_rows_find_people_by_number_address_and_key(identity: Identity) -> None:
    await run(identity, company())
    moved = [
        row("Dee Chu", "dee.chu@example.com", employee_number="1"),
        row("Fay Wu", "fay@example.com", employee_number="33", external_id="fwu"),
        row("Hal Kim", "hal@example.com", external_id="hkim"),
    ]
    assert [each[1:] for each in table(await run(identity, moved))] == [
        ("changed", ["email"]), ("changed", ["employee_number"]), ("changed", ["email"])
    ]
    other_source = [row("Hal Kim", "hal@example.com", external_id="hkim")]
    assert table(await run(identity, other_source, source="crm")) == [("line 1", "changed", ["external_id"])]
    assert outcomes(await run(identity, [row("Hal Kim", external_id="hkim")], source="crm")) == ["unchanged"]


async def test_an_address_alone_does_not_change_whose_employee_number_it_is(identity: Identity) -> None:
    assert outcomes(await run(identity, [row("Ida Berg", "ida@example.com", employee_number="41")])) == ["added"]
    head = await identity.api.events.head()
    for source in ("hr", "crm"):
        (result,) = await run(identity, [row("Ivo Berg", "IDA@example.com", employee_number="42", external_id="ivo")], source=source)
        assert OUTCOMES[result.outcome] == "refused"
        assert "Ida Berg, whose employee number is 41, not 42: two rows for one address" in result.reason
    assert await identity.api.events.head() == head
    assert (await person(identity, email="ida@example.com")).profile.employee_number == "41"
    # The same number, none, and a first one are no contradiction.
    assert outcomes(await run(identity, [row("Ida Berg", "ida@example.com", employee_number="41")])) == ["unchanged"]
    assert outcomes(await run(identity, [row("Ida Berg", "ida@example.com")])) == ["unchanged"]
    await run(identity, [row("Jo Lund", "jo@example.com")])
    assert table(await run(identity, [row("Jo Lund", "jo@example.com", employee_number="7")])) == [
        ("line 1", "changed", ["employee_number"])
    ]


async def test_an_empty_cell_removes_no_key(identity: Identity) -> None:
    await run(identity, company())
    fields = ["name", "email", "employee_number", "handle", "title"]
    assert table(await run(identity, [row("Dee Chu", "", employee_number="1", fields=fields)])) == [("line 1", "changed", ["title"])]
    assert (await person(identity, email="dee@example.com")).profile.employee_number == "1"


# --- bad rows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row("", "x@example.com"), "name"),
        (row("X", "not an address"), "email: "),
        (row("X", "x@example.com", time_zone="Mars/Olympus"), "time_zone: "),
        (row("X", "x@example.com", start_date="yesterday"), "start_date: "),
        (row("x" * 201, "x@example.com"), "name: "),
        (row("X"), "external id"),
        (row("X", "x@example.com", fields=["name", "email", "shoe_size"]), "shoe_size"),
        (row("X", "x@example.com", roles=[17]), "role"),
        (row("X", "x@example.com", external_id="x" * 201), "external id"),
        (row("X", "x@example.com", photo_blob_id="x" * 201), "photo"),
        (row("X", "dee@example.com", employee_number="2"), "Eli Roy, the e-mail address that of Dee Chu"),
        (row("X", "dee@example.com", external_id="fwu"), "the e-mail address is that of Dee Chu, the external id that of Fay Wu"),
        (row("Ada", "ada@example.com", left=True), "last administrator"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_bad_row_is_refused_whole_and_the_others_go_in(identity: Identity, bad: pb.PersonRecord, reason: str) -> None:
    await run(identity, company())
    record = pb.PersonRecord()
    record.CopyFrom(bad)
    head = await identity.api.events.head()
    results = await run(identity, [row("Ida", "ida@example.com"), record, row("Jo", "jo@example.com")])
    assert outcomes(results) == ["added", "refused", "added"]
    assert reason in results[1].reason
    assert results[1].place == "line 2"
    assert await identity.api.events.head() == head + 2


async def test_two_rows_about_one_person_are_not_both_taken(identity: Identity) -> None:
    rows = [row("Ida", "ida@example.com"), row("Ida Two", "IDA@example.com"), row("Ann", "ann@example.com", title="x")]
    results = await run(identity, rows)
    assert outcomes(results) == ["added", "refused", "changed"]
    assert "same person as in line 1" in results[1].reason


async def test_an_import_is_for_administrators_and_has_limits(identity: Identity) -> None:
    request = pb.ImportPeopleRequest(source="hr", records=[row("Ida", "ida@example.com")])
    with identity.as_person(identity.ann), refused(DENIED):
        await identity.stub.ImportPeople(request)
    with identity.as_admin():
        for source in ("", "HR", "a b", "x" * 61):
            with refused(INVALID, field="source"):
                await identity.stub.ImportPeople(pb.ImportPeopleRequest(source=source))
        with refused(INVALID, "1,000", "records"):
            await identity.stub.ImportPeople(pb.ImportPeopleRequest(source="hr", records=[pb.PersonRecord()] * 1_001))
    with identity.as_gateway():
        assert outcomes((await identity.stub.ImportPeople(request)).results) == ["added"]


# --- handles, leaving ----------------------------------------------------------------------------------------------


async def test_handles_are_made_unique_and_stay(identity: Identity) -> None:
    rows = [row("Ann One", "ann@example.org"), row("Ann Two", "ann@example.net"), row("Ann Three", "three@example.net", handle="ann")]
    await run(identity, rows)
    assert [(await person(identity, email=each.profile.email)).profile.handle for each in rows] == ["ann-2", "ann-3", "ann-4"]
    assert outcomes(await run(identity, rows)) == ["unchanged"] * 3
    rename = [row("Ann Two", "ann@example.net", handle="annika")]
    assert table(await run(identity, rename)) == [("line 1", "changed", ["handle"])]


async def test_leaving_and_coming_back_follow_the_source(identity: Identity) -> None:
    await run(identity, company())
    assert outcomes(await run(identity, [row("Gil Ito", "gil@example.com")])) == ["unchanged"]
    back = row("Gil Ito", "gil@example.com", fields=["name", "email", "left"])
    assert table(await run(identity, [back])) == [("line 1", "changed", ["left"])]
    assert (await person(identity, email="gil@example.com")).state == pb.PERSON_STATE_ACTIVE
    assert outcomes(await run(identity, [back])) == ["unchanged"]


async def test_of_several_administrators_one_stays(identity: Identity) -> None:
    with identity.as_admin():
        await identity.stub.GrantRole(pb.GrantRoleRequest(person_id=identity.ann.person_id, role=ROLE_ADMINISTRATOR))
    rows = [row("Ann", "ann@example.com", left=True), row("Ada", "ada@example.com", left=True)]
    dry, wet = await run(identity, rows, dry_run=True), await run(identity, rows)
    assert outcomes(dry) == outcomes(wet) == ["changed", "refused"]


# --- managers ------------------------------------------------------------------------------------------------------


async def test_an_unknown_manager_is_a_warning_until_known(identity: Identity) -> None:
    rows = [row("Ida", "ida@example.com", "jo@example.com")]
    (first,) = await run(identity, rows)
    assert OUTCOMES[first.outcome] == "added"
    assert "jo@example.com" in first.warnings[0]
    await run(identity, [row("Jo", "jo@example.com", "")])
    (second,) = await run(identity, rows)
    assert (OUTCOMES[second.outcome], list(second.changed_fields), list(second.warnings)) == ("changed", ["manager"], [])
    assert (await person(identity, email="ida@example.com")).manager_id == (await person(identity, email="jo@example.com")).person_id


async def test_a_circle_in_the_data_is_cut_with_a_warning(identity: Identity) -> None:
    rows = [row("Ida", "ida@example.com", "Kit"), row("Jo", "jo@example.com", "Ida"), row("Kit", "kit@example.com", "Jo")]
    dry, wet = await run(identity, rows, dry_run=True), await run(identity, rows)
    assert [list(each.warnings) for each in dry] == [list(each.warnings) for each in wet]
    assert [len(each.warnings) for each in wet] == [0, 0, 1]
    assert "Kit cannot report to Jo, because Jo reports to Ida reports to Kit" in wet[2].warnings[0]
    head = await identity.api.events.head()
    assert outcomes(await run(identity, rows)) == ["unchanged"] * 3
    assert await identity.api.events.head() == head


async def test_a_chart_turned_upside_down_goes_in_at_once(identity: Identity) -> None:
    people = ["Ida", "Jo", "Kit", "Lou"]

    def chain(order: list[str]) -> list[pb.PersonRecord]:
        return [row(name, f"{name.lower()}@example.com", above) for name, above in zip(order, ["", *order], strict=False)]

    await run(identity, chain(people))
    results = await run(identity, chain(people[::-1]))
    assert [list(each.warnings) for each in results] == [[]] * 4
    lou = await person(identity, email="lou@example.com")
    with identity.as_admin():
        chart = await identity.stub.GetOrganizationChart(pb.GetOrganizationChartRequest(person_id=lou.person_id, depth=5))
    assert chart.nodes[0].reports[0].reports[0].reports[0].person.display_name == "Ida"


async def test_managers_who_left_or_are_oneself_or_ambiguous_are_warnings(identity: Identity) -> None:
    await run(identity, company())
    await run(identity, [row("Twin", "twin1@example.com"), row("Twin", "twin2@example.com")])
    results = await run(identity, [
        row("Ida", "ida@example.com", "gil@example.com"), row("Jo", "jo@example.com", "Jo"), row("Kit", "kit@example.com", "Twin"),
    ])
    assert outcomes(results) == ["added"] * 3
    assert [each.warnings[0].partition(":")[0] for each in results] == [
        "the manager Gil Ito has left", "nobody is their own manager", "the manager 'Twin' is not known, or not by this key alone"
    ]


async def test_a_source_without_managers_changes_none(identity: Identity) -> None:
    await run(identity, company())
    assert outcomes(await run(identity, [row("Eli Roy", "eli@example.com")])) == ["unchanged"]
    assert table(await run(identity, [row("Eli Roy", "eli@example.com", "")])) == [("line 1", "changed", ["manager"])]


NAMES = [f"n{number}" for number in range(6)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chart=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["", *NAMES])), max_size=8), number=st.integers(0, 10**9))
async def test_any_chart_goes_in_without_circles_and_settles(bare: Identity, chart: list[tuple[str, str]], number: int) -> None:
    source = f"s{number}"
    rows = [
        row(name, manager=above, external_id=name, place=f"{name} {above}") for name, above in dict(chart).items()
    ]
    with bare.as_gateway():
        dry = await bare.stub.ImportPeople(pb.ImportPeopleRequest(source=source, records=rows, dry_run=True))
        first = await bare.stub.ImportPeople(pb.ImportPeopleRequest(source=source, records=rows))
        second = await bare.stub.ImportPeople(pb.ImportPeopleRequest(source=source, records=rows))
        assert [(r.outcome, list(r.warnings)) for r in dry.results] == [(r.outcome, list(r.warnings)) for r in first.results]
        assert {OUTCOMES[r.outcome] for r in second.results} <= {"unchanged"}
        people = await bare.stub.BatchGetPeople(pb.BatchGetPeopleRequest(person_ids=[r.id for r in first.results]))
    above = {each.person_id: each.manager_id for each in people.people}
    for start in above:
        seen, at = set(), start
        while at:
            assert at not in seen, "a circle"
            seen.add(at)
            at = above.get(at, "")


# --- groups --------------------------------------------------------------------------------------------------------


def crew(external_id: str, *members: str, **more: Any) -> pb.GroupRecord:
    people = [pb.GroupMember(person_key=key.partition("=")[0], role=key.partition("=")[2]) for key in members]
    return pb.GroupRecord(**{"external_id": external_id, "name": external_id.title(), "kind": "team", "members": people} | more)


async def run_groups(identity: Identity, rows: Sequence[pb.GroupRecord], dry_run: bool = False) -> list[pb.ImportResult]:
    with identity.as_admin():
        request = pb.ImportGroupsRequest(source="hr", records=rows, dry_run=dry_run)
        return list((await identity.stub.ImportGroups(request, timeout=120)).results)


async def members_of(identity: Identity, group_id: str) -> list[str]:
    with identity.as_admin():
        ids: list[str] = []
        token = "start"
        while token:
            request = pb.ListGroupMembersRequest(group_id=group_id, page_size=2, page_token="" if token == "start" else token)
            page = await identity.stub.ListGroupMembers(request)
            ids += page.person_ids
            token = page.next_page_token
        return ids


async def test_groups_go_in_with_parents_and_members_and_follow_their_source(identity: Identity) -> None:
    people = {each.external_id or each.place: each.id for each in await run(identity, company())}
    rows = [crew("hull", "1", "eli@example.com=lead", "fwu", parent_external_id="works"), crew("works", "Hal Kim", "ghost")]
    dry = await run_groups(identity, rows, dry_run=True)
    with identity.as_admin():
        assert not (await identity.stub.ListGroups(pb.ListGroupsRequest())).groups
    first = await run_groups(identity, rows)
    assert outcomes(dry) == outcomes(first) == ["added", "added"]
    assert list(first[1].warnings) == ["not known, so no members: ghost"]
    with identity.as_person(identity.ann):
        listed = (await identity.stub.ListGroups(pb.ListGroupsRequest())).groups
        assert [(g.name, g.kind, g.member_count, g.external_id) for g in listed] == [
            ("Hull", "team", 3, "hr:hull"), ("Works", "team", 1, "hr:works")
        ]
        assert listed[0].parent_id == listed[1].group_id
        theirs = (await identity.stub.ListGroups(pb.ListGroupsRequest(person_id=people["fwu"]))).groups
        assert [g.name for g in theirs] == ["Hull"]
        assert (await identity.stub.GetGroup(pb.GetGroupRequest(group_id=first[0].id))).name == "Hull"
    assert len(await members_of(identity, first[0].id)) == 3
    head = await identity.api.events.head()
    assert outcomes(await run_groups(identity, rows)) == ["unchanged", "unchanged"]
    assert await identity.api.events.head() == head
    smaller = [crew("hull", "fwu=lead", name="Hull and keel", parent_external_id="works")]
    assert table(await run_groups(identity, smaller)) == [("", "changed", ["name", "members"])]
    assert await members_of(identity, first[0].id) == [people["fwu"]]


async def test_groups_in_a_circle_are_cut_and_turned_around(identity: Identity) -> None:
    rows = [crew("a", parent_external_id="b"), crew("b", parent_external_id="a"), crew("c", parent_external_id="nowhere")]
    first = await run_groups(identity, rows)
    assert [len(each.warnings) for each in first] == [0, 1, 1]
    assert outcomes(await run_groups(identity, rows)) == ["unchanged"] * 3
    turned = [crew("a"), crew("b", parent_external_id="a")]
    assert outcomes(await run_groups(identity, turned)) == ["changed", "changed"]


async def test_a_bad_group_is_refused_and_the_others_go_in(identity: Identity) -> None:
    results = await run_groups(identity, [
        crew("a"), crew("", name="B"), crew("c", name=""), crew("d", kind="x" * 61), crew("e", description="x" * 5_001),
        crew("a", name="again"), crew("f", "ann@example.com=" + "x" * 61),
    ])
    assert outcomes(results) == ["added"] + ["refused"] * 6
    with identity.as_person(identity.ann), refused(DENIED):
        await identity.stub.ImportGroups(pb.ImportGroupsRequest(source="hr"))


async def test_a_large_group_goes_in_whole(identity: Identity) -> None:
    await run(identity, [row(f"P{n}", f"p{n}@example.com") for n in range(230)])
    (result,) = await run_groups(identity, [crew("crowd", *(f"p{n}@example.com" for n in range(230)))])
    with identity.as_admin():
        assert (await identity.stub.GetGroup(pb.GetGroupRequest(group_id=result.id))).member_count == 230


async def test_a_full_call_with_a_deep_chart_goes_in_and_is_listed(identity: Identity) -> None:
    rows = [
        row(f"Person {n}", f"person{n}@example.com", f"person{n - 1}@example.com" if n % 50 else "", employee_number=str(n))
        for n in range(1_000)
    ]
    results = await run(identity, rows)
    assert outcomes(results) == ["added"] * 1_000
    assert not any(each.warnings for each in results)
    with identity.as_admin():
        assert (await identity.stub.ListPeople(pb.ListPeopleRequest(query="person"))).total_size == 1_000
        last = await identity.stub.GetOrganizationChart(pb.GetOrganizationChartRequest(person_id=results[49].id))
    assert len(last.managers) == 49
    assert outcomes(await run(identity, rows)) == ["unchanged"] * 1_000


async def test_an_imported_person_signs_in_after_an_invitation(identity: Identity) -> None:
    await run(identity, company())
    dee = await person(identity, email="dee@example.com")
    with identity.as_admin():
        link = await identity.stub.InvitePerson(pb.InvitePersonRequest(person_id=dee.person_id))
    await identity.stub.AcceptInvitation(pb.AcceptInvitationRequest(secret=link.secret, password=PASSWORD))
    with identity.as_gateway():
        await identity.stub.Authenticate(pb.AuthenticateRequest(email="dee@example.com", password=PASSWORD))
