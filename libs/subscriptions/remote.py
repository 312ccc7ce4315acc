"""A service's log for other processes (watercooler.events.v1.EventLog), and the log of a service elsewhere."""
from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from libs.eventstore.codec import UnknownEventType, decode, outward
from libs.eventstore.model import InvalidArgument, Metadata, PermissionDenied, Recorded
from libs.eventstore.store import EventStore
from libs.rpc import auth, errors
from watercooler.events.v1.event_log_pb2 import (
    GetHeadRequest,
    GetHeadResponse,
    ReadBatchRequest,
    ReadBatchResponse,
    ReadRequest,
    ReadResponse,
)
from watercooler.events.v1.event_log_pb2_grpc import EventLogServicer, EventLogStub

BATCH, BATCH_MAX = 200, 1_000
BATCH_BYTES = 4 * 1024 * 1024
LIVE_POLL_SECONDS = 1.0
READ_SECONDS = 10.0

# What a further try may meet otherwise; the rest is a mistake of the deployment, and shown as it is.
_PASSING = (
    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED,
    grpc.StatusCode.ABORTED, grpc.StatusCode.INTERNAL,
)


def to_response(event: Recorded) -> ReadResponse:
    """A recorded event as it travels."""
    told = ReadResponse(
        position=event.position, id=event.id, stream=event.stream, version=event.version, type=event.data.DESCRIPTOR.full_name,
        data=outward(event.data).SerializeToString(), actor_id=event.meta.actor_id, correlation_id=event.meta.correlation_id,
        causation_id=event.meta.causation_id, traceparent=event.meta.traceparent, erased=event.erased,
    )
    seconds, micros = divmod(event.record_micros, 1_000_000)
    told.record_time.seconds, told.record_time.nanos = seconds, micros * 1_000
    return told


def to_recorded(told: ReadResponse) -> Recorded:
    """The event that travelled. One of a type that this version does not know is carried as `google.protobuf.Any`, so that no position
    is missing; nothing here handles it.
    """
    data: Message
    try:
        data = decode(told.type, told.data)
    except UnknownEventType:
        data = AnyMessage(type_url=f"type.googleapis.com/{told.type}", value=told.data)
    meta = Metadata(told.actor_id, told.correlation_id, told.causation_id, told.traceparent)
    micros = told.record_time.seconds * 1_000_000 + told.record_time.nanos // 1_000
    return Recorded(told.id, told.stream, told.version, told.position, micros, data, meta, told.erased)


class EventLogApi(EventLogServicer):
    """The log of one service, for the services of the deployment and for administrators: it holds what everybody wrote."""

    def __init__(self, store: EventStore, name: str = "") -> None:
        """Over a service's store."""
        self._store = store
        self._name = name or store.name

    async def Read(self, request: ReadRequest, context: Any) -> AsyncIterator[ReadResponse]:
        """Events past a position, in order; live after the end where no limit is given, as long as a token is good for."""
        self._admit(request)
        until = time.monotonic() + auth.TOKEN_SECONDS
        position, left = request.after_position, request.limit or None
        waker = self._store.waker()
        try:
            while left is None or left > 0:
                waker.clear()
                events = await self._store.tail(position, BATCH if left is None else min(left, BATCH))
                for event in events:
                    yield to_response(event)
                if events:
                    position = events[-1].position
                    left = None if left is None else left - len(events)
                elif left is not None:
                    return
                elif time.monotonic() > until:
                    raise auth.Unauthenticated("the token of this call is past its time: read on with a new one")
                else:
                    try:
                        async with asyncio.timeout(LIVE_POLL_SECONDS):
                            await waker.wait()
                    except TimeoutError:
                        pass  # polled, where a wake-up was lost
        finally:
            self._store.dismiss(waker)

    async def ReadBatch(self, request: ReadBatchRequest, context: Any) -> ReadBatchResponse:
        """The next events past a position, as many as go well into one message."""
        self._admit(request)
        answer = ReadBatchResponse()
        size = 0
        for event in await self._store.tail(request.after_position, min(request.limit or BATCH, BATCH_MAX)):
            told = to_response(event)
            size += told.ByteSize()
            if size > BATCH_BYTES and answer.events:
                break
            answer.events.append(told)
        return answer

    async def GetHead(self, request: GetHeadRequest, context: Any) -> GetHeadResponse:
        """The position of the newest event."""
        self._admit(request)
        return GetHeadResponse(position=await self._store.head())

    def _admit(self, request: ReadRequest | ReadBatchRequest | GetHeadRequest) -> None:
        if not auth.caller().is_administrator:
            raise PermissionDenied(f"the log of {self._name} is for services and administrators: ask an administrator")
        if isinstance(request, GetHeadRequest):
            return
        if request.after_position < 0:
            raise InvalidArgument("positions start at 1: read after 0 for all of them", "after_position")
        if request.limit < 0:
            raise InvalidArgument("a limit is 1 or more; 0 leaves it to the service", "limit")


class RemoteLog:
    """The log of a service in another process, read from that service itself.

    Whoever reads long stretches is read ahead for: while one part is being taken, the next is on its way. A fault that passes (the
    service is away, slow, or full) is raised as UNAVAILABLE, which subscriptions wait out.
    """

    def __init__(self, name: str, channel: Any, token: Callable[[], str]) -> None:
        """Over a channel to the service; `token` answers a token of a service, asked anew for each call."""
        self.name = name
        self._stub: Any = EventLogStub(channel)
        self._token = token
        self._held: Sequence[Recorded] = ()
        self._coming: tuple[int, asyncio.Task[Sequence[Recorded]]] | None = None

    async def tail(self, after: int, limit: int) -> Sequence[Recorded]:
        """The next events past a position; fewer than there are where they are large, and never none before the end."""
        if limit < BATCH:
            return await self._read(after, limit)
        held = self._held
        if not held or held[0].position != after + 1:
            coming, self._coming = self._coming, None
            if coming is not None and coming[0] == after:
                held = await coming[1]
            else:
                held = await self._read(after, BATCH_MAX)
            if len(held) > limit:  # much to catch up with
                reading = asyncio.create_task(self._read(held[-1].position, BATCH_MAX))
                reading.add_done_callback(_observe)
                self._coming = held[-1].position, reading
        self._held = held[limit:]
        return held[:limit]

    async def _read(self, after: int, limit: int) -> Sequence[Recorded]:
        request = ReadBatchRequest(after_position=after, limit=limit)
        try:
            with auth.acting(self._token()):
                answer: ReadBatchResponse = await self._stub.ReadBatch(request, timeout=READ_SECONDS)
        except errors.RpcError as error:
            raise self._fault(error) from error
        return [to_recorded(told) for told in answer.events]

    async def head(self) -> int:
        """The position of the newest event; 0 when there is none."""
        try:
            with auth.acting(self._token()):
                answer: GetHeadResponse = await self._stub.GetHead(GetHeadRequest(), timeout=READ_SECONDS)
        except errors.RpcError as error:
            raise self._fault(error) from error
        return answer.position

    def _fault(self, error: errors.RpcError) -> errors.RpcError:
        if error.code() not in _PASSING:
            return error
        reason = f"the log of {self.name} cannot be read just now: {error.details() or error.code().name}"
        return errors.rpc_error(errors.Problem(grpc.StatusCode.UNAVAILABLE, reason, retry_seconds=errors.read(error).retry_seconds))


def _observe(reading: asyncio.Task[Sequence[Recorded]]) -> None:
    """What nobody waits for any more may fail unheard: the same part is read again when it is asked for."""
    if not reading.cancelled():
        reading.exception()
