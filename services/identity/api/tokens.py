"""Personal access tokens."""
from __future__ import annotations

import secrets
from datetime import UTC
from typing import Any

from libs.eventstore.model import AlreadyExists, InvalidArgument, NotFound, PermissionDenied, Rejected, micros
from libs.rpc import auth
from libs.text.ids import new_id
from watercooler.identity.v1.events_pb2 import ROLE_ADMINISTRATOR
from watercooler.identity.v1.identity_service_pb2 import (
    PERSON_STATE_ACTIVE,
    AccessToken,
    AuthenticateAccessTokenRequest,
    AuthenticateAccessTokenResponse,
    IssueAccessTokenRequest,
    IssueAccessTokenResponse,
    ListAccessTokensRequest,
    ListAccessTokensResponse,
    RevokeAccessTokenRequest,
)

from .. import commands, profiles, queries
from ..deciders import token
from ..projections import stamp
from .base import Part, reader, secret_hash, service, stream_of, writer

NAME_MAX = 100
SECRET_MAX = 200
PREFIX = "wct_"
APP_PREFIX = "wca_"
_DAY_MICROS = 86_400_000_000


class TokensPart(Part):
    """Personal access tokens."""

    # The day on which the days of tokens that are gone were last forgotten.
    _swept_day = 0

    async def IssueAccessToken(self, request: IssueAccessTokenRequest, context: Any) -> IssueAccessTokenResponse:
        """Make a token for oneself, with no more scopes than one has; administrators for anybody. The secret is shown this once."""
        caller = writer()
        person_id = request.person_id or caller.person_id
        if not person_id:
            raise InvalidArgument("say whose token it is to be", "person_id")
        if person_id != caller.person_id and not caller.is_administrator:
            raise PermissionDenied("people make access tokens for themselves only: ask an administrator")
        profiles.check_name(request.name, "name", "the name of a token", NAME_MAX)
        if not set(request.scopes) <= caller.scopes | (set(token.SCOPES) if caller.is_administrator else set()):
            raise PermissionDenied("a token cannot be used to make one with more scopes", "scopes")
        owner = await self.read_person(person_id)
        if owner.state != PERSON_STATE_ACTIVE:
            raise Rejected("who has left has no access tokens: reinstate them first", "person_id")
        if "admin" in request.scopes and ROLE_ADMINISTRATOR not in owner.roles:
            raise PermissionDenied("only administrators have tokens with the scope admin", "scopes")
        secret, token_id = PREFIX + secrets.token_urlsafe(30), new_id()
        issue = commands.IssueToken(
            token_id=token_id, person_id=person_id, name=request.name.strip(), scopes=list(request.scopes), secret_hash=secret_hash(secret),
            expire_time=_expiry(request), now=self.now(),
        )
        done = await self.done(token, f"token-{token_id}", issue, caller.actor_id, request.request_id)
        if done.repeated:
            raise AlreadyExists("this request made a token before, and its secret is shown only once: revoke that token and make another")
        async with self.database.snapshot() as tx:
            made = await queries.token(tx, token_id=token_id)
        assert made is not None
        return IssueAccessTokenResponse(token=made, secret=secret)

    async def ListAccessTokens(self, request: ListAccessTokensRequest, context: Any) -> ListAccessTokensResponse:
        """One's own tokens, the newest first; there are at most 100."""
        caller = reader()
        async with self.database.snapshot() as tx:
            return ListAccessTokensResponse(tokens=await queries.tokens(tx, caller.person_id))

    async def RevokeAccessToken(self, request: RevokeAccessTokenRequest, context: Any) -> AccessToken:
        """End a token at once: one's own; administrators any."""
        caller = writer()
        async with self.database.snapshot() as tx:
            found = await queries.token(tx, token_id=request.token_id) if request.token_id else None
        if found is None or (found.person_id != caller.person_id and not caller.is_administrator):
            raise NotFound("there is no such token, or it was revoked before")
        revoke = commands.RevokeToken(token_id=request.token_id)
        await self.done(token, stream_of("token", request.token_id), revoke, caller.actor_id, request.request_id)
        return found

    async def AuthenticateAccessToken(
        self, request: AuthenticateAccessTokenRequest, context: Any
    ) -> AuthenticateAccessTokenResponse:
        """Whose token this is and what it is for; the gateway only."""
        service()
        of_app = request.secret.startswith(APP_PREFIX)
        if not request.secret.startswith((PREFIX, APP_PREFIX)) or len(request.secret) > SECRET_MAX:
            raise auth.Unauthenticated("the access token is not valid")
        hashed = secret_hash(request.secret)
        async with self.database.snapshot() as tx:
            found = await queries.app_token(tx, hashed) if of_app else await queries.token(tx, secret_hash=hashed)
            owner = await queries.person(tx, found.person_id) if found and found.person_id else None
        if found is None:
            raise auth.Unauthenticated("the access token is not valid")
        if of_app and not found.person_id:
            await self._note_use(found)
            return AuthenticateAccessTokenResponse(token=found)
        if owner is None or owner.state != PERSON_STATE_ACTIVE:
            raise auth.Unauthenticated("the access token is not valid")
        if found.HasField("expire_time") and stamp(found.expire_time) <= micros(self.now()):
            raise auth.Unauthenticated("the access token is past its time: make another one")
        if "admin" in found.scopes and ROLE_ADMINISTRATOR not in owner.roles:
            found.scopes.remove("admin")
        await self._note_use(found)
        return AuthenticateAccessTokenResponse(person=owner, token=found)

    async def _note_use(self, found: AccessToken) -> None:
        """Keep the day: the first use of each day writes."""
        today = micros(self.now()) // _DAY_MICROS
        if found.last_use_date == self.now().date().isoformat():
            return
        async with self.database.transaction() as tx:
            await queries.note_use(tx, found.token_id, today)
            if self._swept_day != today:
                await queries.sweep_uses(tx)
                self._swept_day = today


def _expiry(request: IssueAccessTokenRequest) -> Any:
    if not request.HasField("expire_time"):
        return None
    try:
        return request.expire_time.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument("this is no time", "expire_time") from None
