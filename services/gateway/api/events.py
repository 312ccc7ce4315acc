"""The events of the network for other systems: CloudEvents by position, as pages or as a stream that can be resumed."""
from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from libs.eventstore.model import Log
from libs.subscriptions.cloudevents import to_json

from ..problems import Refusal
from ..streaming import EventStream
from .operations import Call, Input, Output, operation

BATCH: Final = 200
POLL_SECONDS: Final = 0.25
HEARTBEAT_SECONDS: Final = 15.0
# So long a revocation may go unnoticed by an open stream.
CHECK_SECONDS: Final = 0.5


class EventsQuery(Input, frozen=True, kw_only=True):
    """Which events."""

    service: Annotated[Literal["identity", "feed"], Meta(description="Whose log.")] = "feed"
    after: Annotated[int, Meta(ge=0, le=2**63 - 1, description="Events with a greater position; Last-Event-ID goes before it.")] = 0
    page_size: Annotated[int, Meta(ge=1, le=BATCH)] = BATCH


class EventList(Output, frozen=True, kw_only=True):
    """Events by position; ask again after `next_after`."""

    events: list[dict[str, Any]]
    next_after: int


@operation("GET", "/events", "Follow the events of a service", tag="operation", query=EventsQuery, answer=EventList, streams=True)
async def list_events(call: Call, query: EventsQuery) -> Any:
    """For administrators, with the scope admin. With `Accept: text/event-stream` it goes on as they happen."""
    me = call.me
    if not me.is_administrator:
        raise Refusal(403, "Only administrators follow the events, with a token of the scope admin.", code="insufficient_scope")
    log = call.gateway.context.log(query.service)
    after = query.after
    last = call.request.headers.get("last-event-id", "")
    if last:
        if not (last.isascii() and last.isdigit() and len(last) < 19):
            raise Refusal(400, "Last-Event-ID is a position: a whole number.", field="Last-Event-ID")
        after = int(last)
    if "text/event-stream" not in call.request.headers.get("accept", ""):
        found = await log.tail(after, query.page_size)
        return EventList(
            events=[to_json(each, query.service) for each in found], next_after=found[-1].position if found else after
        )

    async def may_go_on() -> bool:
        if call.gateway.live.draining:
            return False
        if me.session_id:
            session = await call.gateway.sessions.get(me.session_id)
            if session is None or session.expire_time <= call.gateway.context.now():
                return False
            now = await call.gateway.accounts.of_person(me.person_id)
        else:
            now = await call.gateway.accounts.of_token(call.request.headers.get("authorization", "").partition(" ")[2].strip())
        return now is not None and now.is_administrator

    return EventStream(stream(log, query.service, after, may_go_on))


async def stream(log: Log, service: str, after: int, may_go_on: Callable[[], Awaitable[bool]]) -> AsyncGenerator[bytes, None]:
    """The events past a position as server-sent events, with the position as id; ends when the reader may not go on."""
    yield b"retry: 2000\n\n"
    checked = spoken = time.monotonic()
    while True:
        if time.monotonic() - checked >= CHECK_SECONDS:
            checked = time.monotonic()
            if not await may_go_on():
                return
        found = await log.tail(after, BATCH)
        for each in found:
            after = each.position
            yield b"id: %d\ndata: %s\n\n" % (after, msgspec.json.encode(to_json(each, service)))
        if found:
            spoken = time.monotonic()
        elif time.monotonic() - spoken >= HEARTBEAT_SECONDS:
            spoken = time.monotonic()
            yield b": still here\n\n"
        if not found:
            await asyncio.sleep(POLL_SECONDS)
