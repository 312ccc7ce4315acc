"""Personal access tokens: who makes them, what they are for, when they end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.identity import projections
from tests.identity.worlds import DENIED, EXISTS, INVALID, MISSING, NOBODY, REFUSED, Identity, refused
from watercooler.identity.v1 import identity_service_pb2 as pb
from watercooler.identity.v1.events_pb2 import ROLE_ADMINISTRATOR


async def issue(identity: Identity, **changes: Any) -> pb.IssueAccessTokenResponse:
    return await identity.stub.IssueAccessToken(pb.IssueAccessTokenRequest(**{"name": "script", "scopes": ["read", "write"]} | changes))


async def check(identity: Identity, secret: str) -> pb.AuthenticateAccessTokenResponse:
    with identity.as_gateway():
        return await identity.stub.AuthenticateAccessToken(pb.AuthenticateAccessTokenRequest(secret=secret))


async def test_a_token_stands_for_its_person(identity: Identity) -> None:
    with identity.as_person(identity.ann):
        made = await issue(identity)
        assert made.secret.startswith("wct_")
        assert len(made.secret) == 44
        listed = await identity.stub.ListAccessTokens(pb.ListAccessTokensRequest())
        assert list(listed.tokens) == [made.token]
        with refused(DENIED, "services"):
            await identity.stub.AuthenticateAccessToken(pb.AuthenticateAccessTokenRequest(secret=made.secret))
    found = await check(identity, made.secret)
    assert (found.person.person_id, list(found.token.scopes)) == (identity.ann.person_id, ["read", "write"])
    for recorded in await identity.api.events.tail(0, 1_000):
        assert made.secret not in str(recorded.data)
    for wrong in ("", "wct_" + "x" * 40, made.secret[4:], made.secret + "x" * 300):
        with refused(NOBODY, "not valid"):
            await check(identity, wrong)


async def test_a_token_ends_when_revoked_and_in_time(identity: Identity) -> None:
    with identity.as_person(identity.ann):
        made = await issue(identity)
        request = pb.RevokeAccessTokenRequest(token_id=made.token.token_id)
        with identity.as_person(identity.admin), refused(MISSING):
            await identity.stub.RevokeAccessToken(request)
        await identity.stub.RevokeAccessToken(request)
        with refused(MISSING, "revoked before"):
            await identity.stub.RevokeAccessToken(request)
    with refused(NOBODY):
        await check(identity, made.secret)
    limited = pb.IssueAccessTokenRequest(name="week", scopes=["read"])
    limited.expire_time.FromDatetime(identity.time + timedelta(days=7))
    with identity.as_person(identity.ann):
        week = await identity.stub.IssueAccessToken(limited)
    assert (await check(identity, week.secret)).token.expire_time == limited.expire_time
    identity.pass_time(days=7)
    with refused(NOBODY, "past its time"):
        await check(identity, week.secret)


async def test_a_leaver_loses_tokens_for_good(identity: Identity) -> None:
    with identity.as_person(identity.ann):
        made = await issue(identity)
    with identity.as_admin():
        await identity.stub.OffboardPerson(pb.OffboardPersonRequest(person_id=identity.ann.person_id))
    with refused(NOBODY):
        await check(identity, made.secret)
    with identity.as_admin():
        with refused(REFUSED, "has left"):
            await issue(identity, person_id=identity.ann.person_id)
        await identity.stub.ReinstatePerson(pb.ReinstatePersonRequest(person_id=identity.ann.person_id))
    with refused(NOBODY):
        await check(identity, made.secret)


async def test_scopes_do_not_grow(identity: Identity) -> None:
    with identity.as_person(identity.ann, scopes=("read", "write")), refused(DENIED, "more scopes", "scopes"):
        await issue(identity, scopes=["admin"])
    with identity.as_person(identity.ann):
        with refused(DENIED, "administrators", "scopes"):
            await issue(identity, scopes=["admin"])
        with refused(DENIED, "themselves"):
            await issue(identity, person_id=identity.admin.person_id)
    with identity.as_admin():
        made = await issue(identity, scopes=["admin", "read"])
        theirs = await issue(identity, person_id=identity.ann.person_id, scopes=["read"])
        assert theirs.token.person_id == identity.ann.person_id
        await identity.stub.GrantRole(pb.GrantRoleRequest(person_id=identity.ann.person_id, role=ROLE_ADMINISTRATOR))
        await identity.stub.RevokeRole(pb.RevokeRoleRequest(person_id=identity.admin.person_id, role=ROLE_ADMINISTRATOR))
    assert list((await check(identity, made.secret)).token.scopes) == ["read"]


@pytest.mark.parametrize(("field", "wrong"), [("name", {"name": ""}), ("name", {"name": "x" * 101}), ("scopes", {"scopes": []})])
async def test_a_token_is_within_limits(identity: Identity, field: str, wrong: dict[str, Any]) -> None:
    with identity.as_person(identity.ann), refused(INVALID, field=field):
        await issue(identity, **wrong)
    past = pb.IssueAccessTokenRequest(name="x", scopes=["read"])
    past.expire_time.FromDatetime(identity.time)
    with identity.as_person(identity.ann), refused(INVALID, "future", "expire_time"):
        await identity.stub.IssueAccessToken(past)


async def test_a_person_has_so_many_tokens(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projections, "TOKENS_MAX", 2)
    with identity.as_person(identity.ann):
        first = await issue(identity)
        await issue(identity)
        with refused(REFUSED, "at most 2"):
            await issue(identity)
        await identity.stub.RevokeAccessToken(pb.RevokeAccessTokenRequest(token_id=first.token.token_id))
        await issue(identity)


async def test_a_repeated_request_makes_no_second_token(identity: Identity) -> None:
    with identity.as_person(identity.ann):
        await issue(identity, request_id="once")
        with refused(EXISTS, "only once"):
            await issue(identity, request_id="once")
        assert len((await identity.stub.ListAccessTokens(pb.ListAccessTokensRequest())).tokens) == 1
