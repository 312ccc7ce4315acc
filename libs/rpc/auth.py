"""Who is calling: short-lived signed tokens of the acting person, or of a service acting for itself.

A token is a compact JWS (RFC 7515) with EdDSA over Ed25519 (RFC 8037): the gateway signs, every service checks. Keys are named by
`kid`, and several may be valid at once, so that they can rotate without a restart.
"""
from __future__ import annotations

import base64
import json
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from libs.telemetry import logs

K = TypeVar("K")
V = TypeVar("V")

TOKEN_SECONDS = 300
REUSE_SECONDS = 60
LOOK_SECONDS = 1.0
TOKEN_CHARACTERS_MAX = 4_096
CACHED_TOKENS = 20_000
_ISSUER = "watercooler"
_ALGORITHMS = ["Ed25519", "EdDSA"]
_ENDINGS = (".jwk", ".pem")

_log = logs.get_logger(__name__)


class KeysUnusable(Exception):
    """A signing key cannot be read; the message names its file."""


class Unauthenticated(Exception):
    """No token, or one that is not valid (any more)."""


class TokenRefused(Unauthenticated):
    """The token that a call carried does not count here: it is forged or old, or the two machines' clocks or keys differ."""

    field = "authorization"


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


class Signer(NamedTuple):
    """A key that signs bytes: its id, its public half (Ed25519, 64 hexadecimal digits), and what makes a signature of 64 bytes."""

    key_id: str
    public_key: str
    sign: Callable[[bytes], bytes]


class Keys:
    """The signing keys of a deployment: files in one folder, each an Ed25519 key as JSON Web Key (`.jwk`, RFC 7517) or PKCS 8 (`.pem`).

    The last private key by name signs, and all of them count when a token is checked; a public key checks only. The key id of a PEM file
    is its name without the ending. A change of the folder is seen within a second, and at once where a token names a key that is not
    known yet. A mounted secret does: the folder is never written unless the first key is made there.
    """

    def __init__(self, folder: Path, make: bool = True) -> None:
        """Read the folder's keys; where there is none, make the first, or refuse with `make=False`.

        Raises:
            KeysUnusable: a file in the folder is no key, or there is none that signs.
        """
        self._folder = folder
        self._stamp: object = None
        self._looked = 0.0
        self._told = ""
        self._by_id: dict[str, OKPKey] = {}
        self._marks: dict[str, str] = {}
        self._set = KeySet([])
        self._signing = ""
        try:
            if make:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                if not self._files():
                    make_key(folder)
            self._take(self._files(), damaged=None)
        except OSError as error:
            raise KeysUnusable(f"the folder of keys {folder} cannot be read: {error.strerror or error}") from error
        if not self._signing:
            raise KeysUnusable(
                f"the folder of keys {folder} holds no key that signs: put a private Ed25519 key there, as a .pem or a .jwk file"
            )

    @property
    def signing(self) -> OKPKey:
        """The key that signs now.

        Raises:
            KeysUnusable: every key that signs was removed.
        """
        self._look()
        if not self._signing:
            raise KeysUnusable(f"the folder of keys {self._folder} holds no key that signs any more: put one there")
        return self._by_id[self._signing]

    @property
    def checking(self) -> KeySet:
        """Every key whose signatures count."""
        self._look()
        return self._set

    def signer(self) -> Signer:
        """The key that signs now, for other things than tokens; raises as `signing`."""
        key = self.signing
        private: Any = key.private_key  # one of Ed25519, as every key that is read here
        return Signer(key.kid or "", _public_digits(key), private.sign)

    def public_keys(self) -> list[tuple[str, str]]:
        """Id and public half (64 hexadecimal digits) of every key, the one that signs now first; raises as `signing`."""
        first = self.signing
        return [(key.kid or "", _public_digits(key)) for key in (first, *(key for key in self._by_id.values() if key is not first))]

    def mark(self, key_id: str) -> str:
        """What tells the key of this id from any other that had or will have the id; empty when its signatures do not count.

        A key that is not known is looked for at once.
        """
        self._look()
        if key_id not in self._marks:
            self._look(at_once=True)
        return self._marks.get(key_id, "")

    def _look(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS and not at_once:
            return
        self._looked = now
        damaged: list[str] = []
        try:
            files = self._files()
            if tuple(files.items()) != self._stamp:
                self._take(files, damaged)
        except OSError as error:  # the folder is not to be seen for a moment: what was known goes on
            damaged.append(f"{self._folder}: {error.strerror or error}")
        told = "; ".join(damaged)
        if told and told != self._told:
            _log.error("signing keys cannot be read", reason=told)
        self._told = told

    def _files(self) -> dict[Path, tuple[int, ...]]:
        """The key files by name, with what tells one content from another: of what links lead to, since a mounted secret swaps that."""
        found: dict[Path, tuple[int, ...]] = {}
        for path in sorted(self._folder.iterdir(), key=lambda each: each.name):
            if path.suffix in _ENDINGS and not path.name.startswith("."):
                state = path.stat()
                found[path] = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        return found

    def _take(self, files: dict[Path, tuple[int, ...]], damaged: list[str] | None) -> None:
        """Read the files; the first that is no key is raised, or all of them are noted in `damaged` and left out."""
        by_id: dict[str, OKPKey] = {}
        signing = ""
        for path in files:
            try:
                key = _read(path)
            except KeysUnusable as error:
                if damaged is None:
                    raise
                damaged.append(str(error))
                continue
            by_id[key.kid or ""] = key
            if key.is_private:
                signing = key.kid or ""
        self._by_id, self._signing = by_id, signing
        self._set = KeySet(list(by_id.values()))
        self._marks = {key_id: key.thumbprint() for key_id, key in by_id.items()}
        # A damaged file may be one that is still being written: it is read again the next time.
        self._stamp = None if damaged else tuple(files.items())


def make_key(folder: Path, *, staged: bool = False) -> Path:
    """Make a new private key in a folder, readable by its owner only; answers its file.

    The new one is the last by name and so signs from now on; a `staged` one is the first and only counts, until it is renamed.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = OKPKey.generate_key("Ed25519", parameters={"kid": f"k{time.time_ns():x}", "use": "sig"})
    path = folder / f"{'0-' if staged else ''}{key.kid}.jwk"
    part = folder / f".{path.name}"
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(key.as_dict(private=True), file)
    part.rename(path)
    return path


def _public_digits(key: OKPKey) -> str:
    return key.public_key.public_bytes_raw().hex()


def _read(path: Path) -> OKPKey:
    try:
        content = path.read_bytes()
        if path.suffix == ".pem":
            key = OKPKey.import_key(content, {"kid": path.stem, "use": "sig"})
        else:
            key = OKPKey.import_key({"kid": path.stem, **json.loads(content)})
        if key.curve_name == "Ed25519":
            return key
    except (ValueError, KeyError, TypeError, JoseError) as error:
        raise KeysUnusable(f"{path} is damaged: restore it from a backup, or remove it to sign with another key") from error
    raise KeysUnusable(f"{path} is no Ed25519 key: make one by `openssl genpkey -algorithm ed25519`")


class Tokens:
    """Signs and checks callers' tokens; both are cached, since one signature costs more than a whole timeline."""

    def __init__(self, keys: Keys) -> None:
        """Tokens under these keys."""
        self._keys = keys
        self._signed: OrderedDict[Caller, _Signed] = OrderedDict()
        self._checked: OrderedDict[str, _Checked] = OrderedDict()

    def sign(self, caller: Caller) -> str:
        """A token for the caller, valid for at least four minutes.

        Raises:
            KeysUnusable: there is no key to sign with any more.
        """
        now = time.time()
        held = self._signed.get(caller)
        # By both clocks: one that is set back would make a token look fresh that other machines know to be past its time.
        fresh = held is not None and held.fresh_until > time.monotonic() and held.expires - now > REUSE_SECONDS
        if held is not None and fresh and self._keys.mark(held.key_id) == held.mark:
            return held.token
        expires = int(now) + TOKEN_SECONDS
        claims = {
            "iss": _ISSUER, "sub": caller.actor_id, "iat": int(now), "exp": expires,
            "roles": sorted(caller.roles), "scopes": sorted(caller.scopes),
        }
        key = self._keys.signing
        token = jwt.encode({"alg": "Ed25519", "kid": key.kid}, claims, key, algorithms=_ALGORITHMS)
        key_id = key.kid or ""
        _hold(self._signed, caller, _Signed(time.monotonic() + REUSE_SECONDS, expires, key_id, self._keys.mark(key_id), token))
        return token

    def check(self, token: str) -> Caller:
        """The caller of a token.

        Raises:
            Unauthenticated: it is forged, malformed or past its time, or its key counts no longer.
        """
        now = time.time()
        held = self._checked.get(token)
        if held is not None and self._keys.mark(held.key_id) == held.mark:
            if held.expires > now:
                return held.caller
            raise Unauthenticated("the token is past its time")
        try:
            key_id = _key_id(token)
            mark = self._keys.mark(key_id)
            if not mark:
                raise Unauthenticated("the token is not valid")
            claims = jwt.decode(token, self._keys.checking, algorithms=_ALGORITHMS).claims
            subject, expires = str(claims["sub"]), float(claims["exp"])
            roles, scopes = frozenset(map(str, claims["roles"])), frozenset(map(str, claims["scopes"]))
            issuer = claims["iss"]
        except (JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise Unauthenticated("the token is not valid") from error
        if issuer != _ISSUER or expires <= now:
            raise Unauthenticated("the token is past its time")
        if subject.startswith("service:"):
            caller = Caller(service=subject.removeprefix("service:"), roles=roles, scopes=scopes)
        else:
            caller = Caller(person_id=subject, roles=roles, scopes=scopes)
        _hold(self._checked, token, _Checked(expires, key_id, mark, caller))
        return caller


class _Signed(NamedTuple):
    fresh_until: float
    expires: float
    key_id: str
    mark: str
    token: str


class _Checked(NamedTuple):
    expires: float
    key_id: str
    mark: str
    caller: Caller


def _key_id(token: str) -> str:
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise ValueError("too long for a token of ours")
    header = token.partition(".")[0]
    found = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    if not isinstance(found, str):
        raise TypeError("a key id is a string")
    return found


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


