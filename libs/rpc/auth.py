"""Who is calling: short-lived signed tokens of the acting person, or of a service acting for itself.

A token is a compact JWS (RFC 7515) with EdDSA over Ed25519 (RFC 8037): the gateway signs, every service checks. Keys are named by
`kid`, and several may be valid at once, so that they can rotate without a restart.
"""
from __future__ import annotations

import json
import os
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

K = TypeVar("K")
V = TypeVar("V")

TOKEN_SECONDS = 300
REUSE_SECONDS = 60
CACHED_TOKENS = 20_000
_ISSUER = "watercooler"
_ALGORITHMS = ["Ed25519", "EdDSA"]


class KeysUnusable(Exception):
    """A signing key cannot be read; the message names its file."""


class Unauthenticated(Exception):
    """No token, or one that is not valid (any more)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who acts: a person with roles and scopes, or a service.

    `roles` are the names of watercooler.identity.v1.Role without prefix, in lower case; `scopes` bound what a token may do
    (`read`, `write`, `admin`). `service` is empty for a person.
    """

    person_id: str = ""
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset({"read", "write", "admin"})
    service: str = ""

    @property
    def is_administrator(self) -> bool:
        """May administer, by role and by scope; services of the deployment may."""
        return bool(self.service) or ("administrator" in self.roles and "admin" in self.scopes)

    @property
    def is_guest(self) -> bool:
        """Sees only what names them or a community they were let into."""
        return "guest" in self.roles and "employee" not in self.roles

    @property
    def actor_id(self) -> str:
        """The id that events caused by this caller carry."""
        return self.person_id or f"service:{self.service}"


class Keys:
    """The signing keys of a deployment, in one folder of private JSON Web Keys (RFC 7517), the newest signing."""

    def __init__(self, folder: Path) -> None:
        """Read the folder's keys, or make the first.

        Raises:
            KeysUnusable: a file in the folder is no key.
        """
        self._folder = folder
        self._stamp = -1.0
        self._set = KeySet([])
        self._signing = ""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not any(folder.glob("*.jwk")):
            key = OKPKey.generate_key("Ed25519", parameters={"kid": f"k{time.time_ns():x}", "use": "sig"})
            path = folder / f"{key.kid}.jwk"
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump(key.as_dict(private=True), file)
        self._load()

    def _load(self) -> None:
        stamp = self._folder.stat().st_mtime
        if stamp == self._stamp:
            return
        keys = [_read(path) for path in sorted(self._folder.glob("*.jwk"))]
        self._set = KeySet(list(keys))
        self._signing = keys[-1].kid or ""
        self._stamp = stamp

    @property
    def signing(self) -> OKPKey:
        """The key that signs now."""
        self._load()
        key = self._set.get_by_kid(self._signing)
        assert isinstance(key, OKPKey)
        return key

    @property
    def checking(self) -> KeySet:
        """Every key whose signatures count."""
        self._load()
        return self._set


def _read(path: Path) -> OKPKey:
    try:
        return OKPKey.import_key(json.loads(path.read_text()))
    except (ValueError, KeyError, TypeError, JoseError) as error:
        raise KeysUnusable(f"{path} is damaged: restore it from a backup, or remove it to sign with another key") from error


class Tokens:
    """Signs and checks callers' tokens; both are cached, since one signature costs more than a whole timeline."""

    def __init__(self, keys: Keys) -> None:
        """Tokens under these keys."""
        self._keys = keys
        self._signed: OrderedDict[Caller, tuple[float, str]] = OrderedDict()
        self._checked: OrderedDict[str, tuple[float, Caller]] = OrderedDict()

    def sign(self, caller: Caller) -> str:
        """A token for the caller, valid for at least four minutes."""
        now = time.time()
        held = self._signed.get(caller)
        if held is not None and held[0] > now:
            return held[1]
        claims = {
            "iss": _ISSUER, "sub": caller.actor_id, "iat": int(now), "exp": int(now) + TOKEN_SECONDS,
            "roles": sorted(caller.roles), "scopes": sorted(caller.scopes),
        }
        key = self._keys.signing
        token = jwt.encode({"alg": "Ed25519", "kid": key.kid}, claims, key, algorithms=_ALGORITHMS)
        _hold(self._signed, caller, (now + REUSE_SECONDS, token))
        return token

    def check(self, token: str) -> Caller:
        """The caller of a token.

        Raises:
            Unauthenticated: it is forged, malformed or past its time.
        """
        now = time.time()
        held = self._checked.get(token)
        if held is not None:
            if held[0] > now:
                return held[1]
            raise Unauthenticated("the token is past its time")
        try:
            claims = jwt.decode(token, self._keys.checking, algorithms=_ALGORITHMS).claims
            subject, expires = str(claims["sub"]), float(claims["exp"])
            roles, scopes = frozenset(map(str, claims["roles"])), frozenset(map(str, claims["scopes"]))
            issuer = claims["iss"]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise Unauthenticated("the token is not valid") from error
        if issuer != _ISSUER or expires <= now:
            raise Unauthenticated("the token is past its time")
        if subject.startswith("service:"):
            caller = Caller(service=subject.removeprefix("service:"), roles=roles, scopes=scopes)
        else:
            caller = Caller(person_id=subject, roles=roles, scopes=scopes)
        _hold(self._checked, token, (expires, caller))
        return caller


def _hold(cache: OrderedDict[K, V], key: K, value: V) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > CACHED_TOKENS:
        cache.popitem(last=False)


_acting: ContextVar[str] = ContextVar("acting_token", default="")
_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


@contextmanager
def acting(token: str) -> Iterator[None]:
    """Calls made inside carry this token."""
    reset = _acting.set(token)
    try:
        yield
    finally:
        _acting.reset(reset)


def acting_token() -> str:
    """The token that calls made now carry; empty when nobody acts."""
    return _acting.get()


@contextmanager
def called_by(caller: Caller | None) -> Iterator[None]:
    """Inside, `caller()` answers this caller; used where a request enters a service."""
    reset = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(reset)


def caller() -> Caller:
    """Who called the servicer method that runs now.

    Raises:
        Unauthenticated: the call carried no valid token.
    """
    found = _caller.get()
    if found is None:
        raise Unauthenticated("this call needs the token of a person or a service")
    return found


def optional_caller() -> Caller | None:
    """Who called, or None: for the few methods that anybody may call (sign-in, set-up)."""
    return _caller.get()


