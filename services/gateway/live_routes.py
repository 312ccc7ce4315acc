"""Where pages register for live updates, and where they listen."""
from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from litestar import Response, get

from .http import AnyRequest, current_person, gateway
from .live import AGAIN, CONNECTIONS_PER_PERSON, IDLE_SECONDS, LastSeen, stream
from .problems import Refusal
from .streaming import EventStream


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A new queue: listen at `url`; what happened after `position` arrives there."""

    queue: str
    position: int
    url: str
    idle_seconds: int = int(IDLE_SECONDS)


@get("/live/register", include_in_schema=False)
async def register(request: AnyRequest) -> Response[bytes]:
    """A new queue for a page; `after` names the position the page shows, so that nothing since is missed."""
    me = current_person(request)
    after = request.query_params.get("after", "")
    if after and not (after.isascii() and after.isdigit() and len(after) < 19):
        raise Refusal(400, "after is a position: a whole number.", field="after")
    parts = gateway(request)
    queue = await parts.live.register(me.person_id, me.caller, me.session_id, me.token_id, int(after or -1))
    answer = Registered(queue=queue.queue_id, position=queue.position, url=f"/live?queue={queue.queue_id}")
    return Response(msgspec.json.encode(answer), media_type="application/json", headers={"cache-control": "no-store"})


@get("/live", include_in_schema=False)
async def listen(request: AnyRequest) -> EventStream:
    """The events of a queue, as server-sent events."""
    me = current_person(request)
    parts = gateway(request)
    if parts.live.draining:
        return EventStream(elsewhere())
    queue_id = request.query_params.get("queue", "")
    queue = parts.live.find(queue_id, me.person_id)
    if queue is not None and not queue.connected and parts.live.connections(me.person_id) >= CONNECTIONS_PER_PERSON:
        raise Refusal(429, f"At most {CONNECTIONS_PER_PERSON} pages receive live updates: close some.", retry_seconds=int(IDLE_SECONDS))
    last = LastSeen.of(request.headers.get("last-event-id", ""))

    if queue is None or (last is not None and last.process not in ("", parts.live.process)):
        queue = await parts.live.resume(queue_id, last, me.person_id, me.caller, me.session_id, me.token_id)
        last = None

    async def signed_in() -> bool:
        if not me.session_id:
            return await parts.accounts.of_token(request.headers.get("authorization", "").partition(" ")[2].strip()) is not None
        session = await parts.sessions.get(me.session_id)
        return session is not None and session.expire_time > parts.context.now()

    return EventStream(stream(queue, last.number if last is not None else None, signed_in))


async def elsewhere() -> AsyncGenerator[bytes, None]:
    """A stream that ends at once: the browser comes back in two seconds, and reaches a process that goes on."""
    yield AGAIN


route_handlers: list[Any] = [register, listen]
