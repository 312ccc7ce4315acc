"""A person let an app act for them: the code for that is good once, for minutes, for that app, address and verifier."""
from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, assert_never

from libs.eventstore.model import InvalidArgument
from watercooler.identity.v1.app_events_pb2 import AppAuthorized, AppCodeRedeemed, AppCodeReplayed

from .. import oauth
from ..commands import AuthorizationCommand, AuthorizeApp, RedeemCode

Event = AppAuthorized | AppCodeRedeemed | AppCodeReplayed

# RFC 6749 section 4.1.2 recommends ten minutes at most.
CODE_LIFETIME = timedelta(minutes=10)
WRONG = (
    "this code is not valid: it was used before, is past its ten minutes, or was given to another app or address; "
    "start the sign-in again"
)


@dataclass(frozen=True, slots=True)
class Authorization:
    """What the code is good for; `token_id` once it was exchanged."""

    status: Literal["absent", "open", "redeemed", "replayed"] = "absent"
    app_id: str = ""
    person_id: str = ""
    scopes: tuple[str, ...] = ()
    redirect_uri: str = ""
    code_hash: str = ""
    challenge: str = ""
    method: str = ""
    expire_time: datetime | None = None
    token_id: str = ""


def initial() -> Authorization:
    """Nothing was allowed yet."""
    return Authorization()


def decide(command: AuthorizationCommand, state: Authorization) -> list[Event]:
    """What happens.

    Raises:
        InvalidArgument: with the field `code`, where the code is not good for this (RFC 6749 section 5.2, invalid_grant); else the field
            of the request at fault.
    """
    match command:
        case AuthorizeApp():
            return _authorize(command) if state.status == "absent" else []
        case RedeemCode():
            return _redeem(command, state)
        case _:
            assert_never(command)


def evolve(state: Authorization, event: Event) -> Authorization:
    """The state after the event."""
    match event:
        case AppAuthorized():
            return Authorization(
                "open", event.app_id, event.person_id, tuple(event.scopes), event.redirect_uri, event.code_hash, event.code_challenge,
                event.code_challenge_method, event.expire_time.ToDatetime(UTC),
            )
        case AppCodeRedeemed():
            return replace(state, status="redeemed", token_id=event.token_id)
        case AppCodeReplayed():
            return replace(state, status="replayed")
        case _:
            assert_never(event)


def _authorize(command: AuthorizeApp) -> list[Event]:
    if command.redirect_uri not in command.app_redirect_uris:
        raise InvalidArgument("this redirect address is not one that the app registered, to the letter", "redirect_uri")
    scopes = oauth.check_scopes(command.scopes)
    for scope in scopes:
        if not oauth.covers(command.app_scopes, scope):
            raise InvalidArgument(f"the app did not register the scope {scope}: register it anew with all it needs", "scopes")
    authorized = AppAuthorized(
        authorization_id=command.authorization_id, app_id=command.app_id, person_id=command.person_id, scopes=scopes,
        redirect_uri=command.redirect_uri, code_hash=command.code_hash, code_challenge=command.code_challenge,
        code_challenge_method=oauth.check_challenge(command.code_challenge, command.code_challenge_method),
    )
    authorized.authorize_time.FromDatetime(command.now)
    authorized.expire_time.FromDatetime(command.now + CODE_LIFETIME)
    return [authorized]


def _redeem(command: RedeemCode, state: Authorization) -> list[Event]:
    is_code = state.status != "absent" and hmac.compare_digest(state.code_hash, command.code_hash) and state.app_id == command.app_id
    if not is_code:
        raise InvalidArgument(WRONG, "code")
    if state.status == "redeemed":
        return [AppCodeReplayed(authorization_id=command.authorization_id, token_id=state.token_id)]
    assert state.expire_time is not None
    if state.status == "replayed" or command.now >= state.expire_time or command.redirect_uri != state.redirect_uri:
        raise InvalidArgument(WRONG, "code")
    if not oauth.verifies(state.challenge, state.method, command.code_verifier):
        raise InvalidArgument("the code_verifier is not the one this sign-in began with", "code")
    return [AppCodeRedeemed(authorization_id=command.authorization_id, token_id=command.token_id)]
