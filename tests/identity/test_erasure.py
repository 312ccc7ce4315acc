"""Erasure: what was known of a person is gone from the log, the tables, the letters and the photo; everything else stands."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import sqlite3
from typing import Any

import pytest

from libs.blobs.store import BlobNotFound, BlobStoreFailed
from libs.testing.world import tables
from services.identity.service import SERVICE
from tests.identity.worlds import DENIED, MISSING, NOBODY, PASSWORD, REFUSED, Identity, refused
from watercooler.identity.v1 import identity_service_pb2 as pb
from watercooler.identity.v1.events_pb2 import Profile

# Words that occur nowhere else, so that finding one means that it was left.
SECRETS = {
    "name": "Xylophania Quagmire", "preferred_name": "Xyquag", "email": "xylophania.quagmire@example.com", "employee_number": "ZQ-990017",
    "title": "Wyrmkeeper", "department": "Gloamworks", "location": "Vexholm", "about": "born in Umbrageton", "pronouns": "zyr/zem",
    "start_date": "1987-11-23", "handle": "qqwyrm", "time_zone": "Antarctica/Troll",
}
MORE = {"contact": {"burrowphone": "+990 17 00 42"}, "custom_fields": {"badgeword": "snarkfin"}, "languages": ["gsw-x-wyrm"]}
WORDS = [
    *SECRETS.values(), "burrowphone", "+990 17 00 42", "badgeword", "snarkfin", "gsw-x-wyrm", "payrollkey77", "mothtoken", "xylophania",
    "gloamworks",
]
PHOTO = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


async def everything(identity: Identity) -> dict[str, bytes]:
    """Every value of every table, and every other file of the data folder but the keys, by where it stands."""
    found: dict[str, bytes] = {}
    async with identity.api.database.snapshot() as tx:
        for table in tables(SERVICE):
            for number, row in enumerate(await tx.fetch(f"SELECT * FROM {table}")):
                for column in row.keys():  # noqa: SIM118
                    value = row[column]
                    found[f"{table}.{column}[{number}]"] = bytes(value) if isinstance(value, bytes) else str(value).encode()
    for path in (identity.world.embedded.settings.data / "mail").glob("*"):
        found[path.name] = path.read_bytes()
    return found


def places(found: dict[str, bytes]) -> set[str]:
    return {f"{word} in {place}" for place, value in found.items() for word in WORDS if word.encode() in value}


async def a_whole_person(identity: Identity) -> pb.Person:
    """Somebody with everything one can have: by import, with manager, reports, photo, token, invitation, reset letter and group."""
    photo = await identity.api.blobs.put(PHOTO, "image/gif", limit_bytes=1_000)
    record = pb.PersonRecord(
        profile=Profile(**SECRETS, **MORE), manager_key="ada@example.com", has_manager=True, external_id="payrollkey77",
        photo_blob_id=photo.id,
    )
    with identity.as_admin():
        (result,) = (await identity.stub.ImportPeople(pb.ImportPeopleRequest(source="hr", records=[record]))).results
        assert result.outcome == pb.IMPORT_OUTCOME_ADDED, result.reason
        await identity.stub.AssignManager(pb.AssignManagerRequest(person_id=identity.ann.person_id, manager_id=result.id))
        link = await identity.stub.InvitePerson(pb.InvitePersonRequest(person_id=result.id))
        await identity.stub.AcceptInvitation(pb.AcceptInvitationRequest(secret=link.secret, password=PASSWORD))
        await identity.stub.IssueAccessToken(pb.IssueAccessTokenRequest(person_id=result.id, name="mothtoken", scopes=["read"]))
        group = pb.GroupRecord(external_id="g", name="Crew", members=[pb.GroupMember(person_key="payrollkey77")])
        await identity.stub.ImportGroups(pb.ImportGroupsRequest(source="hr", records=[group]))
        change = pb.UpdateProfileRequest(person_id=result.id, profile=Profile(about="still from Umbrageton"), update_mask=["about"])
        await identity.stub.UpdateProfile(change)
    await identity.stub.RequestPasswordReset(pb.RequestPasswordResetRequest(email=SECRETS["email"]))
    await identity.api.idle()
    with identity.as_admin():
        return await identity.stub.GetPerson(pb.GetPersonRequest(person_id=result.id))


async def erase(identity: Identity, person: pb.Person) -> pb.Person:
    with identity.as_admin():
        erased: pb.Person = await identity.stub.ErasePerson(pb.ErasePersonRequest(person_id=person.person_id))
    await identity.world.settle()
    return erased


async def test_nothing_personal_is_left(identity: Identity) -> None:
    person = await a_whole_person(identity)
    before = places(await everything(identity))
    assert not any(" in events." in place for place in before), "personal text stands open in the log"
    columns = {place.split(" in ")[1].partition("[")[0] for place in before}
    assert columns >= {"people.profile", "access_tokens.name", "external_keys.external_key"}
    assert any(".eml" in place for place in before)
    versions = [recorded.version for recorded in await identity.api.events.read(f"person-{person.person_id}")]
    erased = await erase(identity, person)
    assert erased == pb.Person(
        person_id=person.person_id, profile=Profile(), state=pb.PERSON_STATE_ERASED, display_name="Erased person", add_time=person.add_time,
        report_count=1, etag=str(len(versions) + 1),
    )
    assert places(await everything(identity)) == set()
    with pytest.raises(BlobNotFound):
        await identity.api.blobs.head(person.photo_blob_id)


async def test_no_page_of_the_file_keeps_what_was_overwritten(identity: Identity) -> None:
    if identity.world.on_server:
        pytest.skip("a server keeps its files to itself")
    await erase(identity, await a_whole_person(identity))
    folder = identity.world.embedded.settings.data
    with contextlib.closing(sqlite3.connect(folder / "identity.db")) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    left = {f"{word} in {path.name}" for path in folder.glob("identity.db*") for word in WORDS if word.encode() in path.read_bytes()}
    assert left == set()


async def test_the_history_stays_in_order_without_its_words(identity: Identity) -> None:
    person = await a_whole_person(identity)
    before = await identity.api.events.tail(0, 1_000)
    await erase(identity, person)
    after = await identity.api.events.tail(0, 1_000)
    assert [each.id for each in after[:-1]] == [each.id for each in before]
    theirs = [each for each in after if getattr(each.data, "person_id", "") == person.person_id]
    assert [each.erased for each in theirs if each.data.DESCRIPTOR.name == "PersonAdded"] == [True]
    assert not any(word in str(each.data) for each in after for word in WORDS)
    await identity.world.assert_rebuilds()


async def test_a_rebuild_from_a_fresh_process_shows_the_same(identity: Identity) -> None:
    person = await a_whole_person(identity)
    await erase(identity, person)
    identity.api.events.keyring.forget(identity.ann.person_id)  # as in a process that has read nothing yet
    await identity.world.assert_rebuilds()
    with identity.as_person(identity.ann):
        shown = await identity.stub.GetPerson(pb.GetPersonRequest(person_id=person.person_id))
    assert (shown.display_name, shown.state) == ("Erased person", pb.PERSON_STATE_ERASED)


async def test_their_keys_are_free_again_and_they_are_found_by_none(identity: Identity) -> None:
    person = await a_whole_person(identity)
    await erase(identity, person)
    with identity.as_admin():
        for by in ({"email": SECRETS["email"]}, {"handle": SECRETS["handle"]}, {"employee_number": SECRETS["employee_number"]}):
            with refused(MISSING):
                await identity.stub.FindPerson(pb.FindPersonRequest(**by))
        listed = await identity.stub.ListPeople(pb.ListPeopleRequest(query="erased"))
        assert not listed.people
    keys = {"employee_number": SECRETS["employee_number"], "handle": SECRETS["handle"]}
    assert (await identity.create("Another", SECRETS["email"], profile=keys)).person_id != person.person_id


async def test_they_are_signed_out_everywhere_for_good(identity: Identity) -> None:
    person = await a_whole_person(identity)
    with identity.as_person(person):
        made = await identity.stub.IssueAccessToken(pb.IssueAccessTokenRequest(name="x", scopes=["read"]))
    await erase(identity, person)
    with identity.as_gateway():
        with refused(NOBODY):
            await identity.stub.AuthenticateAccessToken(pb.AuthenticateAccessTokenRequest(secret=made.secret))
        with refused(NOBODY):
            await identity.stub.Authenticate(pb.AuthenticateRequest(email=SECRETS["email"], password=PASSWORD))
    with identity.as_admin():
        calls: list[Any] = [
            identity.stub.ReinstatePerson(pb.ReinstatePersonRequest(person_id=person.person_id)),
            identity.stub.InvitePerson(pb.InvitePersonRequest(person_id=person.person_id)),
        ]
        for call in calls:
            with refused(REFUSED, "was erased"):
                await call
    assert (await erase(identity, person)).state == pb.PERSON_STATE_ERASED  # once more changes nothing


async def test_former_photos_are_deleted_too(identity: Identity) -> None:
    person = await a_whole_person(identity)
    newer = await identity.api.blobs.put(PHOTO + b";", "image/gif", limit_bytes=1_000)
    with identity.as_person(person):
        await identity.stub.ChangePhoto(pb.ChangePhotoRequest(person_id=person.person_id, photo_blob_id=newer.id))
    await erase(identity, person)
    for blob_id in (person.photo_blob_id, newer.id):
        with pytest.raises(BlobNotFound):
            await identity.api.blobs.head(blob_id)


async def test_photos_are_deleted_once_their_store_is_back(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    person = await a_whole_person(identity)
    delete, tried = identity.api.blobs.delete, asyncio.Event()

    async def away(blob_id: str) -> bool:
        tried.set()
        raise BlobStoreFailed("the bucket cannot be reached")

    monkeypatch.setattr(identity.api.blobs, "delete", away)
    with identity.as_admin():
        erased = await identity.stub.ErasePerson(pb.ErasePersonRequest(person_id=person.person_id))
    assert erased.state == pb.PERSON_STATE_ERASED
    async with asyncio.timeout(60):
        await tried.wait()
    assert (await identity.api.blobs.head(person.photo_blob_id)).id == person.photo_blob_id
    monkeypatch.setattr(identity.api.blobs, "delete", delete)
    await identity.world.settle()
    with pytest.raises(BlobNotFound):
        await identity.api.blobs.head(person.photo_blob_id)


async def test_a_photo_that_others_have_too_stays(identity: Identity) -> None:
    person = await a_whole_person(identity)
    with identity.as_person(identity.ann):
        await identity.stub.ChangePhoto(pb.ChangePhotoRequest(person_id=identity.ann.person_id, photo_blob_id=person.photo_blob_id))
    await erase(identity, person)
    assert (await identity.api.blobs.head(person.photo_blob_id)).media_type == "image/gif"


async def test_only_administrators_erase(identity: Identity) -> None:
    with identity.as_person(identity.ann), refused(DENIED):
        await identity.stub.ErasePerson(pb.ErasePersonRequest(person_id=identity.ann.person_id))
