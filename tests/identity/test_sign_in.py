"""Sign-in, its limits in time, and the links by which a password is chosen."""

from __future__ import annotations

import asyncio
import email
import email.policy
import time
from pathlib import Path
from typing import Any

import pytest

from libs.telemetry import metrics
from services.identity.api.sign_in import WRONG
from services.identity.passwords import Passwords
from tests.identity.worlds import DENIED, EXHAUSTED, INVALID, MISSING, NOBODY, PASSWORD, REFUSED, Identity, refused
from watercooler.identity.v1 import identity_service_pb2 as pb
from watercooler.identity.v1.events_pb2 import PasswordChanged

NEW = "eight loud drums"


async def sign_in(identity: Identity, address: str, password: str, client: str = "") -> pb.Person:
    with identity.as_gateway():
        request = pb.AuthenticateRequest(email=address, password=password, client_address=client)
        return (await identity.stub.Authenticate(request)).person


def counted(outcome: str) -> float:
    return metrics.value("watercooler_sign_ins_total", outcome=outcome)


async def invite(identity: Identity, person: pb.Person) -> pb.SecretLink:
    with identity.as_admin():
        return await identity.stub.InvitePerson(pb.InvitePersonRequest(person_id=person.person_id))


async def reset_link(identity: Identity, address: str) -> pb.SecretLink:
    with identity.as_admin():
        return (await identity.stub.RequestPasswordReset(pb.RequestPasswordResetRequest(email=address))).link


def letters(identity: Identity) -> list[Any]:
    folder = identity.world.embedded.settings.data / "mail"
    return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in sorted(folder.glob("*"))]


# --- sign-in -------------------------------------------------------------------------------------------------------


async def test_sign_in_by_address_and_password(identity: Identity) -> None:
    before = counted("succeeded")
    assert (await sign_in(identity, " ANN@example.com ", PASSWORD)).person_id == identity.ann.person_id
    assert counted("succeeded") == before + 1


async def test_only_services_check_passwords(identity: Identity) -> None:
    request = pb.AuthenticateRequest(email="ann@example.com", password=PASSWORD)
    with identity.as_admin(), refused(DENIED, "services"):
        await identity.stub.Authenticate(request)
    with refused(NOBODY):
        await identity.stub.Authenticate(request)


async def test_every_failure_sounds_the_same(identity: Identity) -> None:
    bo = await identity.create("Bo", "bo@example.com", password=PASSWORD)
    await identity.create("Cy", "cy@example.com")
    with identity.as_admin():
        await identity.stub.OffboardPerson(pb.OffboardPersonRequest(person_id=bo.person_id))
    failed, left = counted("failed"), counted("deactivated")
    for address, password in (
        ("nobody@example.com", PASSWORD), ("ann@example.com", "wrong password"), ("bo@example.com", PASSWORD), ("cy@example.com", ""),
        ("", ""), ("ann@example.com", PASSWORD + "x" * 300), ("x" * 5_000, "y"),
    ):
        with refused(NOBODY, WRONG):
            await sign_in(identity, address, password)
    assert counted("failed") - failed == 6
    assert counted("deactivated") - left == 1


async def test_an_unknown_address_takes_the_work_of_a_wrong_password(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    verify = Passwords._verify
    monkeypatch.setattr(Passwords, "_verify", lambda self, digest, password: (checked.append(password), verify(self, digest, password))[1])
    for address in ("nobody@example.com", "ann@example.com"):
        with refused(NOBODY, WRONG):
            await sign_in(identity, address, "guess")
    assert checked == ["guess", "guess"]


async def test_attempts_are_limited_by_account(identity: Identity) -> None:
    limit = identity.world.embedded.settings.rate_sign_ins_per_minute
    limited = counted("rate_limited")
    for _ in range(limit):
        with refused(NOBODY):
            await sign_in(identity, "ann@example.com", "guess")
        identity.pass_time(seconds=1)
    with refused(EXHAUSTED, f"try again in {60 - limit} s"):
        await sign_in(identity, "Ann@example.com", PASSWORD)
    assert counted("rate_limited") == limited + 1
    assert await sign_in(identity, "ada@example.com", PASSWORD)
    identity.pass_time(seconds=60 - limit)
    assert await sign_in(identity, "ann@example.com", PASSWORD)


async def test_the_refusal_says_when_to_come_back(identity: Identity) -> None:
    from libs.rpc import errors

    for _ in range(identity.world.embedded.settings.rate_sign_ins_per_minute):
        with refused(NOBODY):
            await sign_in(identity, "ann@example.com", "guess")
    with pytest.raises(errors.RpcError) as caught:
        await sign_in(identity, "ann@example.com", "guess")
    assert errors.read(caught.value).retry_seconds == 60


async def test_attempts_are_limited_by_client_address(identity: Identity) -> None:
    limit = identity.world.embedded.settings.rate_sign_ins_per_minute
    for number in range(limit):
        with refused(NOBODY):
            await sign_in(identity, f"guess{number}@example.com", "guess", "192.0.2.7")
    with refused(EXHAUSTED):
        await sign_in(identity, "ann@example.com", PASSWORD, "192.0.2.7")
    assert await sign_in(identity, "ann@example.com", PASSWORD, "192.0.2.8")


async def test_attempts_at_once_are_counted_one_by_one(identity: Identity) -> None:
    limit = identity.world.embedded.settings.rate_sign_ins_per_minute
    attempts = (sign_in(identity, "ann@example.com", "guess") for _ in range(limit + 5))
    answers = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(getattr(answer, "code", str)() == EXHAUSTED for answer in answers) == 5


async def test_success_clears_the_account_and_whole_offices_sign_in_at_nine(identity: Identity) -> None:
    limit = identity.world.embedded.settings.rate_sign_ins_per_minute
    for _ in range(2):
        for _ in range(limit - 1):
            with refused(NOBODY):
                await sign_in(identity, "ann@example.com", "guess")
        assert await sign_in(identity, "ann@example.com", PASSWORD)
    for _ in range(limit + 5):
        assert await sign_in(identity, "ada@example.com", PASSWORD, "192.0.2.9")


async def test_no_address_is_kept_in_the_table_of_attempts(identity: Identity) -> None:
    with refused(NOBODY):
        await sign_in(identity, "ann@example.com", "guess", "192.0.2.7")
    async with identity.api.database.snapshot() as tx:
        rows = await tx.fetch("SELECT * FROM sign_in_attempts")
    assert len(rows) == 2
    for row in rows:
        assert len(row["attempt_key"]) == 64
        assert int(row["attempt_key"], 16)


async def test_a_hash_is_renewed_when_the_parameters_changed(identity: Identity) -> None:
    link = await reset_link(identity, "ann@example.com")
    identity.api.passwords.close()
    identity.api.passwords = Passwords(memory_kib=9 << 10, passes=1, lanes=1)
    assert await sign_in(identity, "ann@example.com", PASSWORD)
    recorded = await identity.api.events.read(f"person-{identity.ann.person_id}")
    assert isinstance(recorded[-1].data, PasswordChanged)
    assert recorded[-1].data.rehashed
    assert "m=9216" in recorded[-1].data.password_hash
    assert await sign_in(identity, "ann@example.com", PASSWORD)
    assert len(await identity.api.events.read(f"person-{identity.ann.person_id}")) == len(recorded)
    assert await identity.stub.CheckSecretLink(pb.CheckSecretLinkRequest(secret=link.secret))


async def test_hashing_leaves_the_loop_free() -> None:
    passwords = Passwords(memory_kib=64 << 10, passes=3, lanes=1)
    work = asyncio.create_task(passwords.hash(PASSWORD))
    turns = 0
    started = time.perf_counter()
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    passwords.close()
    assert turns > 20, f"{turns} turns of the loop in {time.perf_counter() - started:.3f} s"


# --- links ---------------------------------------------------------------------------------------------------------


async def test_an_invited_person_chooses_a_password_once(identity: Identity) -> None:
    cy = await identity.create("Cy Young", "cy@example.com")
    first, link = await invite(identity, cy), await invite(identity, cy)
    assert link.expire_time.ToDatetime() == (identity.time + identity.world.embedded.settings.invitation_lifetime).replace(tzinfo=None)
    with refused(MISSING, "used before"):
        await identity.stub.CheckSecretLink(pb.CheckSecretLinkRequest(secret=first.secret))
    seen = await identity.stub.CheckSecretLink(pb.CheckSecretLinkRequest(secret=link.secret))
    assert (seen.display_name, seen.profile.email, seen.invited) == ("Cy Young", "cy@example.com", True)
    with refused(INVALID, "name", "password"):
        await identity.stub.AcceptInvitation(pb.AcceptInvitationRequest(secret=link.secret, password="young and free"))
    done = await identity.stub.AcceptInvitation(pb.AcceptInvitationRequest(secret=link.secret, password=NEW))
    assert (done.has_password, done.invited) == (True, False)
    assert (await sign_in(identity, "cy@example.com", NEW)).person_id == cy.person_id
    with refused(MISSING, "used before"):
        await identity.stub.AcceptInvitation(pb.AcceptInvitationRequest(secret=link.secret, password=NEW))
    with refused(REFUSED, "reset link"):
        await invite(identity, cy)


async def test_an_invitation_ends(identity: Identity) -> None:
    cy = await identity.create("Cy", "cy@example.com")
    link = await invite(identity, cy)
    identity.time += identity.world.embedded.settings.invitation_lifetime
    with refused(MISSING, "past its time"):
        await identity.stub.AcceptInvitation(pb.AcceptInvitationRequest(secret=link.secret, password=NEW))
    link = await invite(identity, cy)
    with identity.as_admin():
        await identity.stub.OffboardPerson(pb.OffboardPersonRequest(person_id=cy.person_id))
    with refused(MISSING):
        await identity.stub.AcceptInvitation(pb.AcceptInvitationRequest(secret=link.secret, password=NEW))


async def test_an_administrator_hands_over_a_reset_link(identity: Identity) -> None:
    link, other = await reset_link(identity, "ann@example.com"), await reset_link(identity, "ann@example.com")
    with refused(MISSING):  # a reset link is no invitation
        await identity.stub.AcceptInvitation(pb.AcceptInvitationRequest(secret=link.secret, password=NEW))
    await identity.stub.ResetPassword(pb.ResetPasswordRequest(secret=link.secret, password=NEW))
    for secret in (link.secret, other.secret, "", "x" * 201, "nonsense"):
        with refused(MISSING, "used before"):
            await identity.stub.ResetPassword(pb.ResetPasswordRequest(secret=secret, password=PASSWORD))
    assert await sign_in(identity, "ann@example.com", NEW)
    with refused(NOBODY):
        await sign_in(identity, "ann@example.com", PASSWORD)
    link = await reset_link(identity, "ann@example.com")
    identity.time += identity.world.embedded.settings.reset_lifetime
    with refused(MISSING, "past its time"):
        await identity.stub.ResetPassword(pb.ResetPasswordRequest(secret=link.secret, password=PASSWORD))
    with identity.as_admin(), refused(MISSING, field="email"):
        await identity.stub.RequestPasswordReset(pb.RequestPasswordResetRequest(email="nobody@example.com"))
    assert letters(identity) == []


async def test_a_forgotten_password_comes_by_letter_and_the_answer_tells_nothing(identity: Identity) -> None:
    answers = [
        await identity.stub.RequestPasswordReset(pb.RequestPasswordResetRequest(email=address, client_address="192.0.2.7"))
        for address in ("ann@example.com", "nobody@example.com", "")
    ]
    assert answers == [pb.RequestPasswordResetResponse()] * 3
    await identity.api.idle()
    (letter,) = letters(identity)
    assert letter["To"] == "ann@example.com"
    secret = letter.get_content().partition("/password/reset/")[2].split()[0]
    await identity.stub.ResetPassword(pb.ResetPasswordRequest(secret=secret, password=NEW))
    assert await sign_in(identity, "ann@example.com", NEW)
    for recorded in await identity.api.events.tail(0, 1_000):
        assert secret not in str(recorded.data)


async def test_an_employee_gets_no_link_in_the_answer(identity: Identity) -> None:
    with identity.as_person(identity.ann):
        answer = await identity.stub.RequestPasswordReset(pb.RequestPasswordResetRequest(email="ada@example.com"))
        assert answer == pb.RequestPasswordResetResponse()
        with refused(DENIED):
            await identity.stub.InvitePerson(pb.InvitePersonRequest(person_id=identity.ann.person_id))
    await identity.api.idle()


async def test_letters_are_limited_in_time(identity: Identity) -> None:
    limit = identity.world.embedded.settings.rate_sign_ins_per_minute
    for _ in range(limit):
        await identity.stub.RequestPasswordReset(pb.RequestPasswordResetRequest(email="ann@example.com"))
    with refused(EXHAUSTED):
        await identity.stub.RequestPasswordReset(pb.RequestPasswordResetRequest(email="ann@example.com"))
    assert await sign_in(identity, "ann@example.com", PASSWORD)  # which is another count
    await identity.api.idle()


async def test_letters_are_readable_by_their_owner_only(identity: Identity) -> None:
    await identity.stub.RequestPasswordReset(pb.RequestPasswordResetRequest(email="ann@example.com"))
    await identity.api.idle()
    folder: Path = identity.world.embedded.settings.data / "mail"
    (letter,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, letter.stat().st_mode & 0o777, letter.suffix) == (0o700, 0o600, ".eml")


async def test_a_password_is_changed_by_who_knows_it(identity: Identity) -> None:
    link = await reset_link(identity, "ann@example.com")
    with identity.as_person(identity.ann):
        with refused(REFUSED, "not right", "current_password"):
            await identity.stub.ChangePassword(pb.ChangePasswordRequest(current_password="guess", new_password=NEW))
        with refused(INVALID, field="new_password"):
            await identity.stub.ChangePassword(pb.ChangePasswordRequest(current_password=PASSWORD, new_password="short"))
        await identity.stub.ChangePassword(pb.ChangePasswordRequest(current_password=PASSWORD, new_password=NEW))
    assert await sign_in(identity, "ann@example.com", NEW)
    with refused(MISSING):
        await identity.stub.CheckSecretLink(pb.CheckSecretLinkRequest(secret=link.secret))


async def test_guesses_at_the_present_password_are_limited(identity: Identity) -> None:
    with identity.as_person(identity.ann):
        for _ in range(identity.world.embedded.settings.rate_sign_ins_per_minute):
            with refused(REFUSED):
                await identity.stub.ChangePassword(pb.ChangePasswordRequest(current_password="guess", new_password=NEW))
        with refused(EXHAUSTED):
            await identity.stub.ChangePassword(pb.ChangePasswordRequest(current_password=PASSWORD, new_password=NEW))
