"""Who a request is from: people and tokens as identity knows them, held for seconds and dropped at once when they change.

While identity is away, whom it knew some minutes ago may go on: what changes meanwhile is told by its events all the same.
"""
from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import grpc

from libs.rpc import auth
from libs.rpc.errors import RpcError
from watercooler.identity.v1 import events_pb2 as events
from watercooler.identity.v1 import identity_service_pb2 as identity

from .parties import ActingApp, Clients, Principal, is_away

CACHE_SECONDS: Final = 10.0
AWAY_SECONDS: Final = 300.0
AWAY_ASK_SECONDS: Final = 2.0
CACHED: Final = 20_000
TOKEN_PREFIX: Final = "wct_"

_TOKEN = re.compile(r"wc[at]_[A-Za-z0-9_.-]{16,300}")
ALL_SCOPES = frozenset({"read", "write", "admin"})

ROLE_NAMES = {
    events.ROLE_EMPLOYEE: "employee", events.ROLE_GUEST: "guest", events.ROLE_COMMUNICATIONS: "communications",
    events.ROLE_LEADER: "leader", events.ROLE_ADMINISTRATOR: "administrator",
    events.ROLE_BOT: "bot",
}


@dataclass(frozen=True, slots=True)
class _Held:
    until: float
    principal: Principal | None
    # Until when it counts where identity does not answer.
    away_until: float
    app: ActingApp | None = None


class Accounts:
    """People and access tokens, from identity through a short memory."""

    def __init__(self, clients: Clients, tokens: auth.Tokens) -> None:
        """Ask identity as the gateway itself."""
        self._clients = clients
        self._tokens = tokens
        self._people: OrderedDict[str, _Held] = OrderedDict()
        self._secrets: OrderedDict[str, _Held] = OrderedDict()
        # Counts what was dropped: an answer that was under way meanwhile is used once and not held.
        self._dropped = 0

    async def of_person(self, person_id: str) -> Principal | None:
        """A person who may act, with everything a session may do; None for those who left, were erased or never were."""
        held = self._people.get(person_id)
        if held is not None and held.until > time.monotonic():
            return held.principal
        dropped = self._dropped
        try:
            with self._as_gateway():
                person = await self._clients.identity.GetPerson(identity.GetPersonRequest(person_id=person_id))
        except RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                return self._while_away(self._people, person_id, error).principal
            return None
        principal = _principal(person, ALL_SCOPES, identity.AccessToken())
        if dropped == self._dropped:
            _hold(self._people, person_id, principal)
        return principal

    async def of_token(self, secret: str) -> Principal | None:
        """Whom an access token acts for, within its scopes; None for one that is unknown, revoked or expired, or of an app alone."""
        return (await self.of_bearer(secret))[0]

    async def of_bearer(self, secret: str) -> tuple[Principal | None, ActingApp | None]:
        """Whom an access token acts for, or the app that acts for itself by it; neither for one that does not count."""
        if not _TOKEN.fullmatch(secret):
            return None, None
        key = hashlib.sha256(secret.encode()).hexdigest()
        held = self._secrets.get(key)
        if held is not None and held.until > time.monotonic():
            return held.principal, held.app
        dropped = self._dropped
        try:
            with self._as_gateway():
                answer = await self._clients.identity.AuthenticateAccessToken(identity.AuthenticateAccessTokenRequest(secret=secret))
        except RpcError as error:
            if is_away(error) or error.code() not in (
                grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED,
                grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION,
            ):
                held = self._while_away(self._secrets, key, error)
                return held.principal, held.app
            return None, None
        token = answer.token
        ends = token.expire_time.ToDatetime(UTC) if token.HasField("expire_time") else None
        principal: Principal | None = None
        app: ActingApp | None = None
        if answer.HasField("person"):
            principal = _principal(answer.person, frozenset(token.scopes), token, ends)
        else:
            app = ActingApp(token.app_id, token.app_name, token.token_id, frozenset(token.scopes))
        if dropped == self._dropped:
            left = ends.timestamp() - time.time() if ends else CACHE_SECONDS
            _hold(self._secrets, key, principal, min(CACHE_SECONDS, left), min(AWAY_SECONDS, left) if ends else AWAY_SECONDS, app)
        return principal, app

    def _while_away(self, cache: OrderedDict[str, _Held], key: str, error: RpcError) -> _Held:
        """Whom identity knew a while ago, asked for again in two seconds; the error for those it was not asked for lately."""
        held, now = cache.get(key), time.monotonic()
        if held is None or not is_away(error) or held.away_until <= now:
            raise error
        cache[key] = _Held(min(now + AWAY_ASK_SECONDS, held.away_until), held.principal, held.away_until, held.app)
        return held

    def forget_token(self, token_id: str) -> None:
        """Ask again for a token by which an app acts for itself."""
        self._dropped += 1
        for key in [key for key, held in self._secrets.items() if held.app is not None and held.app.token_id == token_id]:
            del self._secrets[key]

    def forget(self, person_id: str) -> None:
        """Ask again for a person and their tokens."""
        self._dropped += 1
        self._people.pop(person_id, None)
        for key in [key for key, held in self._secrets.items() if held.principal and held.principal.person_id == person_id]:
            del self._secrets[key]

    def _as_gateway(self) -> AbstractContextManager[None]:
        return auth.acting(self._tokens.sign(auth.Caller(service="gateway")))


def _principal(
    person: identity.Person, scopes: frozenset[str], token: identity.AccessToken, token_ends: datetime | None = None
) -> Principal | None:
    if person.state != identity.PERSON_STATE_ACTIVE:
        return None
    roles = frozenset(ROLE_NAMES[role] for role in person.roles if role in ROLE_NAMES)
    return Principal(
        person.person_id, roles, scopes, person, token_id=token.token_id, token_ends=token_ends, app_id=token.app_id,
        app_name=token.app_name,
    )


def _hold(
    cache: OrderedDict[str, _Held], key: str, principal: Principal | None, seconds: float = CACHE_SECONDS, away: float = AWAY_SECONDS,
    app: ActingApp | None = None,
) -> None:
    now = time.monotonic()
    cache[key] = _Held(now + seconds, principal, now + away, app)
    if len(cache) > CACHED:
        cache.popitem(last=False)
