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

from .parties import Clients, Principal, is_away

CACHE_SECONDS: Final = 10.0
AWAY_SECONDS: Final = 300.0
AWAY_ASK_SECONDS: Final = 2.0
CACHED: Final = 20_000
TOKEN_PREFIX: Final = "wct_"

_TOKEN = re.compile(r"wct_[A-Za-z0-9_.-]{16,300}")
ALL_SCOPES = frozenset({"read", "write", "admin"})

ROLE_NAMES = {
    events.ROLE_EMPLOYEE: "employee", events.ROLE_GUEST: "guest", events.ROLE_COMMUNICATIONS: "communications",
    events.ROLE_LEADER: "leader", events.ROLE_ADMINISTRATOR: "administrator",
}


@dataclass(frozen=True, slots=True)
class _Held:
    until: float
    principal: Principal | None
    # Until when it counts where identity does not answer.
    away_until: float


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
                return self._while_away(self._people, person_id, error)
            return None
        principal = _principal(person, ALL_SCOPES, "")
        if dropped == self._dropped:
            _hold(self._people, person_id, principal)
        return principal

    async def of_token(self, secret: str) -> Principal | None:
        """Whom a personal access token acts for, within its scopes; None for one that is unknown, revoked or expired."""
        if not _TOKEN.fullmatch(secret):
            return None
        key = hashlib.sha256(secret.encode()).hexdigest()
        held = self._secrets.get(key)
        if held is not None and held.until > time.monotonic():
            return held.principal
        dropped = self._dropped
        try:
            with self._as_gateway():
                answer = await self._clients.identity.AuthenticateAccessToken(identity.AuthenticateAccessTokenRequest(secret=secret))
        except RpcError as error:
            if is_away(error) or error.code() not in (
                grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED,
                grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION,
            ):
                return self._while_away(self._secrets, key, error)
            return None
        ends = answer.token.expire_time.ToDatetime(UTC) if answer.token.HasField("expire_time") else None
        principal = _principal(answer.person, frozenset(answer.token.scopes) & ALL_SCOPES, answer.token.token_id, ends)
        if dropped == self._dropped:
            left = ends.timestamp() - time.time() if ends else CACHE_SECONDS
            _hold(self._secrets, key, principal, min(CACHE_SECONDS, left), min(AWAY_SECONDS, left) if ends else AWAY_SECONDS)
        return principal

    def _while_away(self, cache: OrderedDict[str, _Held], key: str, error: RpcError) -> Principal | None:
        """Whom identity knew a while ago, asked for again in two seconds; the error for those it was not asked for lately."""
        held, now = cache.get(key), time.monotonic()
        if held is None or not is_away(error) or held.away_until <= now:
            raise error
        cache[key] = _Held(min(now + AWAY_ASK_SECONDS, held.away_until), held.principal, held.away_until)
        return held.principal

    def forget(self, person_id: str) -> None:
        """Ask again for a person and their tokens."""
        self._dropped += 1
        self._people.pop(person_id, None)
        for key in [key for key, held in self._secrets.items() if held.principal and held.principal.person_id == person_id]:
            del self._secrets[key]

    def _as_gateway(self) -> AbstractContextManager[None]:
        return auth.acting(self._tokens.sign(auth.Caller(service="gateway")))


def _principal(
    person: identity.Person, scopes: frozenset[str], token_id: str, token_ends: datetime | None = None
) -> Principal | None:
    if person.state != identity.PERSON_STATE_ACTIVE:
        return None
    roles = frozenset(ROLE_NAMES[role] for role in person.roles if role in ROLE_NAMES)
    return Principal(person.person_id, roles, scopes, person, token_id=token_id, token_ends=token_ends)


def _hold(
    cache: OrderedDict[str, _Held], key: str, principal: Principal | None, seconds: float = CACHE_SECONDS, away: float = AWAY_SECONDS
) -> None:
    now = time.monotonic()
    cache[key] = _Held(now + seconds, principal, now + away)
    if len(cache) > CACHED:
        cache.popitem(last=False)
