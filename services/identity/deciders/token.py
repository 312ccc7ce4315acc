"""An access token, a person's own or an app's: issued once, valid until revoked or past its time."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, assert_never

from libs.eventstore.model import InvalidArgument, NotFound
from watercooler.identity.v1.events_pb2 import AccessTokenIssued, AccessTokenRevoked

from .. import oauth
from ..commands import IssueToken, RevokeToken, TokenCommand

Event = AccessTokenIssued | AccessTokenRevoked

SCOPES = ("read", "write", "admin")


@dataclass(frozen=True, slots=True)
class Token:
    """Whose token it is, and whether it counts."""

    status: Literal["absent", "live", "revoked"] = "absent"
    person_id: str = ""


def initial() -> Token:
    """No token yet."""
    return Token()


def decide(command: TokenCommand, state: Token) -> list[Event]:
    """What happens.

    Raises:
        InvalidArgument: the scopes are not among read, write and admin (for an app: those of OAuth), or the time to expire is past.
        NotFound: there is no token to revoke.
    """
    match command:
        case IssueToken():
            return _issue(command) if state.status == "absent" else []
        case RevokeToken():
            if state.status == "absent":
                raise NotFound("there is no such token")
            if state.status == "revoked":
                return []
            return [AccessTokenRevoked(token_id=command.token_id, person_id=state.person_id)]
        case _:
            assert_never(command)


def evolve(state: Token, event: Event) -> Token:
    """The state after the event."""
    match event:
        case AccessTokenIssued():
            return Token("live", event.person_id)
        case AccessTokenRevoked():
            return replace(state, status="revoked")
        case _:
            assert_never(event)


def _issue(command: IssueToken) -> list[Event]:
    if command.app_id:
        scopes = oauth.check_scopes(command.scopes)
    else:
        scopes = [scope for scope in SCOPES if scope in command.scopes]
        if not scopes or set(command.scopes) - set(SCOPES):
            raise InvalidArgument(f"a token has one or more of the scopes {', '.join(SCOPES)}", "scopes")
    if command.expire_time is not None and command.expire_time <= command.now:
        raise InvalidArgument("a token expires in the future: give a later time, or none", "expire_time")
    issued = AccessTokenIssued(
        token_id=command.token_id, person_id=command.person_id, name=command.name, scopes=scopes, secret_hash=command.secret_hash,
        app_id=command.app_id,
    )
    issued.issue_time.FromDatetime(command.now)
    if command.expire_time is not None:
        issued.expire_time.FromDatetime(command.expire_time)
    return [issued]
