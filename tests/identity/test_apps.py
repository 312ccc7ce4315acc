"""Apps in identity: what their streams decide, what their tables hold, and when tokens end."""
from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.eventstore.model import InvalidArgument
from libs.testing.spec import Spec
from services.identity import commands, oauth, projections
from services.identity.deciders import app, authorization
from tests.identity.worlds import DENIED, INVALID, MISSING, NOBODY, PASSWORD, Identity, refused
from watercooler.identity.v1 import app_events_pb2 as events
from watercooler.identity.v1 import app_service_pb2 as pb
from watercooler.identity.v1 import identity_service_pb2 as identity_pb
from watercooler.identity.v1.app_service_pb2_grpc import AppServiceStub

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
BACK = "https://client.example/back"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()

REGISTER = commands.RegisterApp(
    app_id="a", name="Toucan", website="", redirect_uris=[BACK], scopes=["read"], secret_hash="s", now=NOW
)
ALLOW = commands.AuthorizeApp(
    authorization_id="z", app_id="a", app_redirect_uris=[BACK], app_scopes=["read", "write:media"], person_id="p", scopes=["read:statuses"],
    redirect_uri=BACK, code_hash="c", code_challenge=CHALLENGE, code_challenge_method="S256", now=NOW,
)


def changed(command: Any, **fields: Any) -> Any:
    return type(command)(**{name: getattr(command, name) for name in command.__slots__} | fields)


def authorized() -> events.AppAuthorized:
    made = events.AppAuthorized(
        authorization_id="z", app_id="a", person_id="p", scopes=["read:statuses"], redirect_uri=BACK, code_hash="c",
        code_challenge=CHALLENGE, code_challenge_method="S256",
    )
    made.authorize_time.FromDatetime(NOW)
    made.expire_time.FromDatetime(NOW + timedelta(minutes=10))
    return made


REDEEM = commands.RedeemCode(
    authorization_id="z", app_id="a", code_hash="c", redirect_uri=BACK, code_verifier=VERIFIER, token_id="t", now=NOW + timedelta(minutes=9)
)


def test_an_app_registers_once_and_is_removed_once() -> None:
    registered = events.AppRegistered(app_id="a", name="Toucan", redirect_uris=[BACK], scopes=["read"], secret_hash="s")
    registered.register_time.FromDatetime(NOW)
    Spec(app).given().when(REGISTER).then(registered)
    Spec(app).given(registered).when(REGISTER).then_nothing()
    Spec(app).given(registered).when(commands.RemoveApp(app_id="a")).then(events.AppRemoved(app_id="a"))
    Spec(app).given(registered, events.AppRemoved(app_id="a")).when(commands.RemoveApp(app_id="a")).then_nothing()
    Spec(app).given().when(commands.RemoveApp(app_id="a")).then_rejected("no such app")
    for wrong in ({"name": " "}, {"scopes": ["everything"]}, {"redirect_uris": []}, {"redirect_uris": ["javascript:x"]}, {"website": "x"}):
        Spec(app).given().when(changed(REGISTER, **wrong)).then_rejected("")


def test_a_code_is_good_once_for_what_it_was_given_for() -> None:
    Spec(authorization).given().when(ALLOW).then(authorized())
    Spec(authorization).given(authorized()).when(REDEEM).then(events.AppCodeRedeemed(authorization_id="z", token_id="t"))
    redeemed = events.AppCodeRedeemed(authorization_id="z", token_id="t")
    replayed = events.AppCodeReplayed(authorization_id="z", token_id="t")
    Spec(authorization).given(authorized(), redeemed).when(REDEEM).then(replayed)
    Spec(authorization).given(authorized(), redeemed, replayed).when(REDEEM).then_rejected("not valid")
    Spec(authorization).given().when(REDEEM).then_rejected("not valid")
    for wrong in (
        {"app_id": "b"}, {"code_hash": "d"}, {"redirect_uri": BACK + "/"}, {"now": NOW + timedelta(minutes=10)}, {"code_verifier": ""},
        {"code_verifier": "w" * 43},
    ):
        Spec(authorization).given(authorized()).when(changed(REDEEM, **wrong)).then_rejected("")
    for wrong in (
        {"redirect_uri": BACK + "/"}, {"scopes": ["write"]}, {"scopes": ["nonsense"]}, {"code_challenge_method": "S512"},
        {"code_challenge": "short"}, {"code_challenge": ""},
    ):
        Spec(authorization).given().when(changed(ALLOW, **wrong)).then_rejected("")


def test_scopes_and_challenges() -> None:
    assert oauth.check_scopes([]) == ["read"] and oauth.check_scopes(["write", "read", "write"]) == ["write", "read"]
    assert oauth.covers({"read"}, "read:statuses") and oauth.covers({"admin"}, "admin:read:accounts")
    assert not oauth.covers({"read:statuses"}, "read") and not oauth.covers({"write"}, "read:statuses")
    with pytest.raises(InvalidArgument):
        oauth.check_scopes(["read", "root"])
    assert oauth.verifies("", "", "") and not oauth.verifies("", "", VERIFIER) and oauth.verifies(VERIFIER, "plain", VERIFIER)
    # The example of RFC 7636, appendix B.
    assert oauth.verifies("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "S256", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    for uri in ("toot://x", "com.app:/back", "http://127.0.0.1:5000/", oauth.OUT_OF_BAND):
        assert oauth.check_redirect_uris([uri, uri]) == [uri]


class Apps:
    """The stub, with an app and a way to a token."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.stub: Any = identity.world.stub(AppServiceStub, "identity")
        api = next(each for _, each in identity.world.embedded.assemblies["identity"].servicers if type(each).__name__ == "AppApi")
        api.now = lambda: identity.time

    async def register(self, name: str = "Toucan") -> pb.RegisterAppResponse:
        return await self.stub.RegisterApp(pb.RegisterAppRequest(name=name, redirect_uris=[BACK], scopes=["read", "write"]))

    async def token(self, made: pb.RegisterAppResponse, person: identity_pb.Person) -> pb.AppToken:
        with self.identity.as_person(person):
            allowed = await self.stub.AuthorizeApp(pb.AuthorizeAppRequest(app_id=made.app.app_id, redirect_uri=BACK, scopes=["read"]))
        with self.identity.as_gateway():
            return await self.stub.RedeemCode(pb.RedeemCodeRequest(
                client_id=made.app.app_id, client_secret=made.client_secret, code=allowed.code, redirect_uri=BACK
            ))

    async def counts(self, secret: str) -> bool:
        with self.identity.as_gateway():
            try:
                await self.identity.stub.AuthenticateAccessToken(identity_pb.AuthenticateAccessTokenRequest(secret=secret))
            except Exception:
                return False
        return True


async def test_tokens_of_apps_end_with_whatever_ends_them(identity: Identity) -> None:
    apps = Apps(identity)
    made, other = await apps.register(), await apps.register("Other")
    first, second = await apps.token(made, identity.ann), await apps.token(other, identity.ann)
    for recorded in await identity.api.events.tail(0, 1_000):
        assert first.secret not in str(recorded.data) and made.client_secret not in str(recorded.data)
    assert await apps.counts(first.secret)
    with identity.as_person(identity.ann):
        listed = (await apps.stub.ListAuthorizedApps(pb.ListAuthorizedAppsRequest())).apps
        assert [each.app.name for each in listed] == ["Other", "Toucan"] and listed[1].last_use_date == "2026-03-02"
        await apps.stub.EndAuthorization(pb.EndAuthorizationRequest(app_id=made.app.app_id))
        with refused(MISSING):
            await apps.stub.EndAuthorization(pb.EndAuthorizationRequest(app_id=made.app.app_id))
    assert not await apps.counts(first.secret) and await apps.counts(second.secret)
    change = identity_pb.ChangePasswordRequest(current_password=PASSWORD, new_password="nine patient herons")
    with identity.as_person(identity.ann):
        await identity.stub.ChangePassword(change)
        assert await apps.counts(second.secret)
        await identity.stub.ChangePassword(identity_pb.ChangePasswordRequest(
            current_password="nine patient herons", new_password="ten patient herons", ends_apps=True
        ))
    assert not await apps.counts(second.secret)
    third = await apps.token(made, identity.ann)
    with identity.as_admin():
        await apps.stub.RemoveApp(pb.RemoveAppRequest(app_id=made.app.app_id))
    assert not await apps.counts(third.secret)
    fourth = await apps.token(other, identity.ann)
    with identity.as_admin():
        await identity.stub.OffboardPerson(identity_pb.OffboardPersonRequest(person_id=identity.ann.person_id))
    assert not await apps.counts(fourth.secret)
    await identity.world.assert_rebuilds()


async def test_who_may_do_what_with_apps(identity: Identity) -> None:
    apps = Apps(identity)
    made = await apps.register()
    with identity.as_person(identity.ann):
        for call, request in (
            (apps.stub.RedeemCode, pb.RedeemCodeRequest()), (apps.stub.IssueAppToken, pb.IssueAppTokenRequest()),
            (apps.stub.RevokeAppToken, pb.RevokeAppTokenRequest()), (apps.stub.ListApps, pb.ListAppsRequest()),
            (apps.stub.RemoveApp, pb.RemoveAppRequest(app_id=made.app.app_id)),
        ):
            with refused(DENIED):
                await call(request)
    ask = pb.IssueAppTokenRequest(client_id=made.app.app_id, client_secret=made.client_secret, person_id=identity.ann.person_id)
    with identity.as_gateway():
        with refused(DENIED, "passwords"):
            await apps.stub.IssueAppToken(ask)
        with refused(NOBODY, "secret"):
            await apps.stub.IssueAppToken(pb.IssueAppTokenRequest(client_id=made.app.app_id, client_secret="wrong"))
        with refused(INVALID, "register"):
            await apps.stub.IssueAppToken(pb.IssueAppTokenRequest(
                client_id=made.app.app_id, client_secret=made.client_secret, scopes=["admin"]
            ))


async def test_an_erased_person_leaves_no_token_and_old_ones_make_room(monkeypatch: pytest.MonkeyPatch, identity: Identity) -> None:
    apps = Apps(identity)
    made = await apps.register()
    monkeypatch.setattr(projections, "APP_TOKENS_MAX", 2)
    monkeypatch.setattr(projections, "UNUSED_APPS_MAX", 2)
    tokens = [await apps.token(made, identity.ann) for _ in range(3)]
    assert [await apps.counts(each.secret) for each in tokens] == [False, True, True]
    idle = [(await apps.register(f"Idle {number}")).app.app_id for number in range(3)]
    with refused(MISSING):
        await apps.stub.GetApp(pb.GetAppRequest(app_id=idle[0]))
    assert (await apps.stub.GetApp(pb.GetAppRequest(app_id=idle[2]))).name == "Idle 2"
    assert (await apps.stub.GetApp(pb.GetAppRequest(app_id=made.app.app_id))).name == "Toucan"
    with identity.as_admin():
        await identity.stub.ErasePerson(identity_pb.ErasePersonRequest(person_id=identity.ann.person_id))
    assert not await apps.counts(tokens[2].secret)
    await identity.world.assert_rebuilds()
