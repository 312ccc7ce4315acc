"""Signing in and out, passwords, and personal access tokens."""
from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from watercooler.identity.v1 import identity_service_pb2 as identity

from ..http import as_gateway, csrf_token, sign_in, sign_out
from ..problems import Refusal
from . import models
from .models import Email, Id, Page, Password, Scope, Secret, session_info
from .operations import Answer, Call, Input, Output, not_found, operation, stamp_of
from .people import signed_out


class SignInInput(Input, frozen=True, kw_only=True):
    """Who signs in."""

    email: Email
    password: Password


class SignedIn(Output, frozen=True, kw_only=True):
    """A web session has begun: its cookie is set. Writes with the cookie carry `csrf_token` in the header X-CSRF-Token."""

    person: models.Person
    csrf_token: str


async def _signed_in(call: Call, person: identity.Person) -> Answer:
    cookie = await sign_in(call.request, person.person_id)
    return Answer(SignedIn(person=models.person(person), csrf_token=csrf_token(call.request)), cookies=(cookie,))


@operation("POST", "/sessions", "Sign in", tag="sign-in", status=201, body=SignInInput, answer=SignedIn, public=True)
async def create_session(call: Call, body: SignInInput) -> Answer:
    """Sets the session cookie. Programs take an access token instead: see POST /access-tokens."""
    with as_gateway(call.request):
        found = await call.clients.identity.Authenticate(
            identity.AuthenticateRequest(email=body.email, password=body.password, client_address=call.asked.address)
        )
    return await _signed_in(call, found.person)


class SessionsQuery(Page, frozen=True, kw_only=True):
    """Whose sessions."""

    person_id: Annotated[Id | None, Meta(description="Another person's, for administrators.")] = None
    everybody: Annotated[bool, Meta(description="All people's, for administrators.")] = False


class SessionList(Output, frozen=True, kw_only=True):
    """A page of sessions, newest first."""

    sessions: list[models.SessionInfo]
    next_page_token: str


@operation("GET", "/sessions", "List sign-in sessions", tag="sign-in", query=SessionsQuery, answer=SessionList)
async def list_sessions(call: Call, query: SessionsQuery) -> SessionList:
    """One's own; administrators may ask for another's or everybody's."""
    me = call.me
    foreign = query.everybody or (query.person_id is not None and query.person_id != me.person_id)
    if foreign and not me.is_administrator:
        raise Refusal(403, "Only administrators see the sessions of others.")
    after = _read_token(query.page_token)
    now, size = call.gateway.context.now(), query.page_size
    if query.everybody:
        found = await call.gateway.sessions.list_all(after, size + 1, now)
    else:
        found = await call.gateway.sessions.list_of(query.person_id or me.person_id, after, size + 1, now)
    more = len(found) > size
    return SessionList(
        sessions=[session_info(each, me.session_id) for each in found[:size]],
        next_page_token=base64.urlsafe_b64encode(found[size - 1].session_id.encode()).decode() if more else "",
    )


def _read_token(token: str) -> str:
    if not token:
        return ""
    try:
        text = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    if len(text) != 36:
        raise Refusal(400, "This page token is none of ours: begin again without one.", field="page_token")
    return text


@operation("DELETE", "/sessions/{session_id}", "End a session", tag="sign-in", status=204)
async def end_session(call: Call) -> Answer:
    """Signs that device out. `current` names the session of this request; administrators may end anybody's."""
    name = call.text("session_id", 36)
    me = call.me
    if name == "current":
        return Answer(None, cookies=(await sign_out(call.request),))
    session = await call.gateway.sessions.get(name)
    if session is None or not (session.person_id == me.person_id or me.is_administrator):
        raise not_found()
    await call.gateway.sessions.end(session.session_id)
    call.gateway.live.close_session(session.session_id)
    return Answer(None)


class EndSessionsQuery(Input, frozen=True, kw_only=True):
    """Whose sessions end."""

    person_id: Annotated[Id | None, Meta(description="Another person's, for administrators.")] = None


class Ended(Output, frozen=True, kw_only=True):
    """How many sessions ended."""

    ended_count: int


@operation("DELETE", "/sessions", "End all other sessions", tag="sign-in", query=EndSessionsQuery, answer=Ended)
async def end_sessions(call: Call, query: EndSessionsQuery) -> Ended:
    """All of one's own but that of this request, or, for administrators, all of another person."""
    me = call.me
    if query.person_id is not None and query.person_id != me.person_id:
        if not me.is_administrator:
            raise Refusal(403, "Only administrators end the sessions of others.")
        ended = await call.gateway.sessions.end_all(query.person_id, call.gateway.context.now())
        call.gateway.live.close_person(query.person_id)
        return Ended(ended_count=ended)
    return await _end_others(call)


async def _end_others(call: Call) -> Ended:
    me = call.me
    ended = await call.gateway.sessions.end_all(me.person_id, call.gateway.context.now(), keep=me.session_id)
    call.gateway.live.close_other_sessions(me.person_id, me.session_id)
    return Ended(ended_count=ended)


# --- invitations and passwords ---------------------------------------------------------------------------------------


class SecretInput(Input, frozen=True, kw_only=True):
    """The secret of a link."""

    secret: Secret


@operation("POST", "/invitations/check", "Whose link is this?", tag="sign-in", body=SecretInput, answer=models.Author, public=True)
async def check_secret_link(call: Call, body: SecretInput) -> models.Author:
    """The person an invitation or reset link was made for, while it works."""
    found = await call.clients.identity.CheckSecretLink(identity.CheckSecretLinkRequest(secret=body.secret))
    return models.Author(
        id=found.person_id, display_name=found.display_name, handle=found.profile.handle, title=found.profile.title,
        photo_url=models.media_url(found.photo_blob_id), left=False, erased=False,
    )


class NewPasswordInput(Input, frozen=True, kw_only=True):
    """The secret of a link and the password to be."""

    secret: Secret
    password: Password


@operation("POST", "/invitations/accept", "Accept an invitation", tag="sign-in", body=NewPasswordInput, answer=SignedIn, public=True)
async def accept_invitation(call: Call, body: NewPasswordInput) -> Answer:
    """Sets the first password and signs in."""
    found = await call.clients.identity.AcceptInvitation(
        identity.AcceptInvitationRequest(secret=body.secret, password=body.password, request_id=call.request_id)
    )
    return await _signed_in(call, found)


class ForgottenInput(Input, frozen=True, kw_only=True):
    """Whose password is forgotten."""

    email: Email


@operation(
    "POST", "/password/forgotten", "Ask for a reset link", tag="sign-in", status=202, body=ForgottenInput, answer=models.Empty, public=True
)
async def forget_password(call: Call, body: ForgottenInput) -> models.Empty:
    """The answer is the same whether the address is known or not."""
    await call.clients.identity.RequestPasswordReset(
        identity.RequestPasswordResetRequest(email=body.email, client_address=call.asked.address)
    )
    return models.Empty()


@operation("POST", "/password/reset", "Set a new password by a link", tag="sign-in", body=NewPasswordInput, answer=SignedIn, public=True)
async def reset_password(call: Call, body: NewPasswordInput) -> Answer:
    """Ends every session of the person and signs in anew."""
    found = await call.clients.identity.ResetPassword(
        identity.ResetPasswordRequest(secret=body.secret, password=body.password, request_id=call.request_id)
    )
    await signed_out(call, found.person_id)
    return await _signed_in(call, found)


class PasswordInput(Input, frozen=True, kw_only=True):
    """The old and the new password."""

    current_password: Password
    new_password: Password


@operation("PUT", "/me/password", "Change one's password", tag="sign-in", body=PasswordInput, answer=Ended)
async def change_password(call: Call, body: PasswordInput) -> Ended:
    """Ends all other sessions."""
    await call.clients.identity.ChangePassword(
        identity.ChangePasswordRequest(
            current_password=body.current_password, new_password=body.new_password, request_id=call.request_id
        )
    )
    return await _end_others(call)


# --- access tokens ---------------------------------------------------------------------------------------------------


class AccessTokenInput(Input, frozen=True, kw_only=True):
    """A token to be made."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=3)]
    expire_time: datetime | None = None
    person_id: Annotated[Id | None, Meta(description="For another person, by an administrator.")] = None


class IssuedAccessToken(Output, frozen=True, kw_only=True):
    """A new token: `secret` is shown once."""

    token: models.AccessToken
    secret: str


class AccessTokenList(Output, frozen=True, kw_only=True):
    """One's own tokens."""

    tokens: list[models.AccessToken]


@operation("GET", "/access-tokens", "List one's access tokens", tag="sign-in", answer=AccessTokenList)
async def list_access_tokens(call: Call) -> AccessTokenList:
    """Without their secrets."""
    found = await call.clients.identity.ListAccessTokens(identity.ListAccessTokensRequest())
    return AccessTokenList(tokens=[models.access_token(each) for each in found.tokens])


@operation("POST", "/access-tokens", "Make an access token", tag="sign-in", status=201, body=AccessTokenInput, answer=IssuedAccessToken)
async def issue_access_token(call: Call, body: AccessTokenInput) -> IssuedAccessToken:
    """The secret is shown once. A token makes no token with more scopes than its own, or that ends later."""
    me = call.me
    if me.token_id and not set(body.scopes) <= me.scopes:
        raise Refusal(403, "A token cannot make one that may do more: sign in to make it.", field="scopes")
    call.hide_answer()
    request = identity.IssueAccessTokenRequest(
        person_id=body.person_id or "", name=body.name, scopes=sorted(set(body.scopes)), request_id=call.request_id
    )
    ends = stamp_of(body.expire_time, "expire_time") if body.expire_time is not None else None
    if me.token_ends is not None:  # a token that ends makes none that goes on
        last = stamp_of(me.token_ends, "expire_time")
        ends = last if ends is None or ends.ToNanoseconds() > last.ToNanoseconds() else ends
    if ends is not None:
        request.expire_time.CopyFrom(ends)
    made = await call.clients.identity.IssueAccessToken(request)
    return IssuedAccessToken(token=models.access_token(made.token), secret=made.secret)


@operation("DELETE", "/access-tokens/{token_id}", "Revoke an access token", tag="sign-in", answer=models.AccessToken)
async def revoke_access_token(call: Call) -> models.AccessToken:
    """It stops working at once."""
    revoked = await call.clients.identity.RevokeAccessToken(
        identity.RevokeAccessTokenRequest(token_id=call.id("token_id"), request_id=call.request_id)
    )
    call.gateway.accounts.forget(revoked.person_id or call.me.person_id)
    call.gateway.live.close_token(revoked.token_id)
    return models.access_token(revoked)

