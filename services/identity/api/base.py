"""What every part of the api needs: the caller's rights, ids, pages, and the one way from a command to a reply."""
from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from libs.blobs.store import BlobStore
from libs.db.database import Database
from libs.eventstore.handle import Handled, handle
from libs.eventstore.model import InvalidArgument, Metadata, NotFound, PermissionDenied
from libs.eventstore.store import EventStore
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.runtime.service import Context
from libs.runtime.settings import Settings
from libs.telemetry import traces
from watercooler.identity.v1.events_pb2 import Profile
from watercooler.identity.v1.identity_service_pb2 import Person

from .. import queries
from ..mail import Mail
from ..passwords import Passwords

T = TypeVar("T")

PAGE_DEFAULT, PAGE_MAX = 20, 200
REQUEST_ID_MAX = 100
ID_LENGTH = 36


class Part:
    """A part of the servicer; the parts share one state."""

    def __init__(self, context: Context, passwords: Passwords, mail: Mail) -> None:
        """Over a running service's surroundings."""
        self.database: Database = context.database
        self.events: EventStore = context.events
        self.blobs: BlobStore = context.blobs
        self.settings: Settings = context.settings
        self.now: Callable[[], datetime] = context.now
        self.passwords = passwords
        self.mail = mail

    async def done(self, decider: Any, stream: str, command: object, actor_id: str, request_id: str = "") -> Handled[Any]:
        """Handle a command for an actor."""
        if len(request_id) > REQUEST_ID_MAX:
            raise InvalidArgument(f"a request id has at most {REQUEST_ID_MAX} characters", "request_id")
        meta = Metadata(actor_id, traceparent=traces.current())
        return await handle(self.events, decider, stream, command, meta, request_id)

    async def read_person(self, person_id: str) -> Person:
        """A person as they are now, whole.

        Raises:
            NotFound: there is no such person.
        """
        async with self.database.snapshot() as tx:
            found = await queries.person(tx, person_id)
        if found is None:
            raise NotFound("there is no such person")
        return found


def reader() -> Caller:
    """The caller, who may read.

    Raises:
        PermissionDenied: the access token is not for reading.
    """
    caller = auth.caller()
    if "read" not in caller.scopes:
        raise PermissionDenied("this access token is not for reading: use one with the scope read")
    return caller


def insider() -> Caller:
    """The caller, who may read what guests may not.

    Raises:
        PermissionDenied: the caller is a guest.
    """
    caller = reader()
    if caller.is_guest:
        raise PermissionDenied("guests see only the people they meet in posts: ask an employee")
    return caller


def writer() -> Caller:
    """The caller, who may change what is theirs.

    Raises:
        PermissionDenied: the access token is not for writing.
    """
    caller = auth.caller()
    if "write" not in caller.scopes:
        raise PermissionDenied("this access token is not for writing: use one with the scope write")
    return caller


def administrator() -> Caller:
    """The caller, who may administer; services of the deployment may.

    Raises:
        PermissionDenied: the caller is no administrator, or the access token is not for administering.
    """
    caller = writer()
    if not caller.is_administrator:
        if "administrator" in caller.roles:
            raise PermissionDenied("this access token is not for administering: use one with the scope admin")
        raise PermissionDenied("only administrators may do this: ask one of them")
    return caller


def service() -> Caller:
    """The caller, which is a service of the deployment.

    Raises:
        PermissionDenied: a person calls.
    """
    caller = auth.caller()
    if not caller.service:
        raise PermissionDenied("only the services of the deployment may call this")
    return caller


def shown(person: Person, caller: Caller) -> Person:
    """What the caller may see of a person: guests the name, handle and title; state of the account only those concerned."""
    if caller.is_administrator or caller.person_id == person.person_id:
        return person
    if caller.is_guest:
        full = person.profile
        return Person(
            person_id=person.person_id, photo_blob_id=person.photo_blob_id, state=person.state, display_name=person.display_name,
            profile=Profile(
                name=full.name, preferred_name=full.preferred_name, pronouns=full.pronouns, handle=full.handle, title=full.title
            ),
        )
    person.ClearField("has_password")
    person.ClearField("invited")
    return person


def stream_of(category: str, entity_id: str) -> str:
    """The stream of an id that came in.

    Raises:
        NotFound: it cannot be an id.
    """
    if len(entity_id) != ID_LENGTH:
        raise NotFound(f"there is no such {category}")
    return f"{category}-{entity_id}"


def page_size(asked: int) -> int:
    """How long a page is.

    Raises:
        InvalidArgument: less than nothing was asked for.
    """
    if asked < 0:
        raise InvalidArgument("a page has at least one entry", "page_size")
    return min(asked or PAGE_DEFAULT, PAGE_MAX)


def page_token(last: list[str]) -> str:
    """The token of the page after `last`; empty when nothing follows."""
    return base64.urlsafe_b64encode(json.dumps(last, ensure_ascii=False, separators=(",", ":")).encode()).decode() if last else ""


def page_after(token: str, length: int = 2) -> tuple[str, ...] | None:
    """The key that a page token stands for; None for the first page.

    Raises:
        InvalidArgument: this is no token of ours.
    """
    if not token:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(token.encode("ascii"))) if len(token) <= 2_000 else None
    except (ValueError, binascii.Error, RecursionError):
        key = None
    if not isinstance(key, list) or len(key) != length or not all(isinstance(part, str) for part in key):
        raise InvalidArgument("this page token is not valid: start again from the first page", "page_token")
    return tuple(key)


def new_secret() -> tuple[str, str]:
    """A secret of 32 random bytes for a link, and its hash."""
    secret = secrets.token_urlsafe(32)
    return secret, secret_hash(secret)


def secret_hash(secret: str) -> str:
    """The SHA-256 by which a secret is stored; enough, because the secret is random and long."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def gathered(work: list[Callable[[], Awaitable[T]]], at_once: int) -> list[T | Exception]:
    """The results of many pieces of work in order, or what each failed with; `at_once` go on side by side and so share commits."""
    results: list[T | Exception] = []

    async def one(piece: Callable[[], Awaitable[T]]) -> T | Exception:
        try:
            return await piece()
        except Exception as error:
            return error

    for start in range(0, len(work), at_once):
        results += await asyncio.gather(*(one(piece) for piece in work[start : start + at_once]))
    return results
