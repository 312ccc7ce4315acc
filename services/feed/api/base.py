"""What all calls share: the caller, pages, and the store."""
from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any

from libs.eventstore.handle import Handled, handle
from libs.eventstore.model import InvalidArgument, Metadata, NotFound, PermissionDenied
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.runtime.service import Context
from libs.telemetry import traces
from libs.text.ids import is_id
from watercooler.feed.v1.feed_service_pb2 import Post

from ..queries import posts as post_queries

PAGE_SIZE = 20
PAGE_SIZE_MAX = 200
REQUEST_ID_CHARACTERS = 128

NO_POST = "there is no such post, or it is not for you to see"
NO_COMMUNITY = "there is no such community, or it is not for you to see"
NO_PERSON = "there is no such person"
# Says no more than that it is so: who blocks whom is nobody else's to know.
CLOSED = "this is not possible between the two of you"


class Calls:
    """The base of each group of calls."""

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self.context = context
        self.events = context.events
        self.database = context.database

    def now(self) -> datetime:
        """The time of what is decided now."""
        return self.context.now()

    async def handle(self, caller: Caller, decider: Any, stream: str, command: Any, request_id: str = "") -> Handled[Any]:
        """Decide and store in the caller's name."""
        if len(request_id) > REQUEST_ID_CHARACTERS:
            raise InvalidArgument(f"a request_id has at most {REQUEST_ID_CHARACTERS} characters", "request_id")
        meta = Metadata(caller.actor_id, correlation_id=traces.trace_id(), traceparent=traces.current())
        return await handle(self.events, decider, stream, command, meta, request_id)

    async def post_for(self, caller: Caller, post_id: str) -> Post:
        """The post as the caller sees it; raises NotFound where they do not."""
        async with self.database.snapshot() as tx:
            post = await post_queries.fetch_post(tx, caller, post_id)
        if post is None:
            raise NotFound(NO_POST)
        return post


def person() -> Caller:
    """The calling person, for what only people do; raises PermissionDenied for others and for tokens that may only read."""
    caller = auth.caller()
    if not caller.person_id:
        raise PermissionDenied("only a person can do this: call in the name of one")
    if "write" not in caller.scopes:
        raise PermissionDenied("this token may only read: use one with the scope write")
    return caller


def page_size(asked: int) -> int:
    """How much a page holds: 20 unless asked, 200 at most."""
    if asked < 0:
        raise InvalidArgument("a page has 1 to 200 entries", "page_size")
    return min(asked, PAGE_SIZE_MAX) or PAGE_SIZE


def token(key: str | int) -> str:
    """The opaque form of the key a page ends with."""
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=") if key != "" else ""


def key_of(page_token: str) -> str:
    """The key inside a token; raises InvalidArgument for what no page ended with."""
    if not page_token:
        return ""
    try:
        if len(page_token) > 1_000:
            raise ValueError
        return base64.urlsafe_b64decode(page_token + "=" * (-len(page_token) % 4)).decode()
    except (ValueError, binascii.Error, UnicodeDecodeError) as error:
        raise bad_token() from error


def position_of(page_token: str, start: int) -> int:
    """The position inside a token; `start` without one."""
    if not page_token:
        return start
    key = key_of(page_token)
    if not (key.isascii() and key.isdigit() and len(key) <= 19):
        raise bad_token()
    return min(int(key), (1 << 63) - 1)


def id_of(page_token: str, start: str) -> str:
    """The id inside a token; `start` without one."""
    if not page_token:
        return start
    key = key_of(page_token)
    if not is_id(key):
        raise bad_token()
    return key


def bad_token() -> InvalidArgument:
    """What a token that no page ended with is answered."""
    return InvalidArgument("this page_token is from no earlier answer: start from the first page without one", "page_token")
