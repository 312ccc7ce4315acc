"""What surrounds every servicer method, in one process and over the network alike: caller, deadline, trace, metrics, errors.

And the server that other processes call.
"""
from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]

from libs.eventstore.model import InvalidArgument
from libs.telemetry import logs, metrics, traces
from libs.text.nul import field_with_nul

from . import auth, deadlines, errors
from .deadlines import DEADLINE_SECONDS
from .tls import Tls

# What makes calls unavailable lasts, a full disk above all: it is told once in a while and not by every call.
UNAVAILABLE_TOLD_SECONDS = 10.0
MESSAGE_BYTES = 16 * 1024 * 1024
METADATA_BYTES = 32 * 1024
CALLS_MAX = 1_000
STREAMS_MAX = 100
FULL_SECONDS = 1
# Connections end after so long, when no call is on them, so that callers look anew which instances there are.
CONNECTION_SECONDS = 60

Behaviour = Callable[[Any, Any], Awaitable[Any]]
StreamBehaviour = Callable[[Any, Any], AsyncIterator[Any]]
Write = Callable[[Any], Awaitable[None]]

_log = logs.get_logger(__name__)
_stdlib_log = logging.getLogger(__name__)


class _Surroundings:
    """What is the same for every call of one method."""

    def __init__(self, path: str, tokens: auth.Tokens) -> None:
        self.path = path
        self.service, self.method = path.lstrip("/").split("/")
        self.tokens = tokens
        self._told = -UNAVAILABLE_TOLD_SECONDS

    @contextmanager
    def call(self, token: str, traceparent: str, seconds: float | None) -> Iterator[None]:
        """One call: what it raises leaves as the `RpcError` that the caller sees, and it is measured whatever comes of it."""
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        served = deadlines.Served(seconds)
        with traces.span(self.path, parent=traceparent):
            reset = deadlines.serving.set(served)
            try:
                with auth.called_by(self._caller(token)), auth.acting(token):
                    yield
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:
                problem = self._problem(error)
                code = problem.code
                if code is grpc.StatusCode.UNAVAILABLE and started - self._told >= UNAVAILABLE_TOLD_SECONDS:
                    self._told = started
                    _log.warning("call not possible now", method=self.path, reason=str(error) or problem.reason)
                raise errors.rpc_error(problem) from error
            finally:
                served.over()
                deadlines.serving.reset(reset)
                self.observe(code, time.perf_counter() - started)

    def _caller(self, token: str) -> auth.Caller | None:
        try:
            return self.tokens.check(token) if token else None
        except auth.Unauthenticated as error:
            raise auth.TokenRefused(str(error)) from error

    def observe(self, code: grpc.StatusCode, seconds: float) -> None:
        metrics.RPC_SERVER_DURATION.labels(service=self.service, method=self.method, code=code.name).observe(seconds)
        if _stdlib_log.isEnabledFor(logging.DEBUG):  # asking structlog costs as much as the rest of this line
            _log.debug("call", method=self.path, code=code.name, seconds=round(seconds, 6))

    def _problem(self, error: Exception) -> errors.Problem:
        problem = errors.problem_of(error)
        if problem is None:
            _log.exception("call failed", method=self.path)
            problem = errors.Problem(grpc.StatusCode.INTERNAL, "something went wrong here; it is logged and will be looked at")
        return problem


def around(path: str, behaviour: Behaviour, tokens: auth.Tokens) -> Callable[[Any, Any, str, str, float], Awaitable[Any]]:
    """Wrap a servicer's method; the result is called with request, context, token, traceparent and seconds to the deadline.

    What the domain refuses becomes an `RpcError` with status details; what nobody foresaw is logged and becomes INTERNAL
    without saying what.
    """
    surroundings = _Surroundings(path, tokens)

    async def call(request: Any, context: Any, token: str, traceparent: str, deadline_seconds: float) -> Any:
        with surroundings.call(token, traceparent, deadline_seconds):
            _check_text(request)
            async with asyncio.timeout(deadline_seconds):
                return await behaviour(request, context)

    return call


def around_stream(
    path: str, behaviour: StreamBehaviour, tokens: auth.Tokens
) -> Callable[[Any, Any, str, str, float | None, Write], Awaitable[None]]:
    """Wrap a servicer's method that answers with a stream, by the same rules; each message is handed to the last argument.

    Without a deadline (None) it lasts until either side ends it. Everything runs in the one task that calls the result.
    """
    surroundings = _Surroundings(path, tokens)

    async def call(
        request: Any, context: Any, token: str, traceparent: str, deadline_seconds: float | None, write: Write
    ) -> None:
        with surroundings.call(token, traceparent, deadline_seconds):
            _check_text(request)
            async with asyncio.timeout(deadline_seconds), contextlib.aclosing(_closable(behaviour(request, context))) as messages:
                async for message in messages:
                    await write(message)

    return call


def _check_text(request: Any) -> None:
    """Refuse text that not every engine can keep, before anything is done with it."""
    if field := field_with_nul(request):
        raise InvalidArgument("text must not hold the character NUL: take it out", field)


def _closable(messages: Any) -> Any:
    """The messages of a behaviour, which is an async generator function wherever it is implemented."""
    if not hasattr(messages, "aclose"):
        raise TypeError("a method that answers with a stream is an async generator")
    return messages


class NetworkServer:
    """Servicers for other processes, over gRPC, by the rules of `around`; with health (grpc.health.v1) and reflection.

    A token comes as `authorization: Bearer ...`, the trace as `traceparent`, the deadline by gRPC's own means. Past `calls_max` calls
    or `streams_max` streams at once the next is refused as RESOURCE_EXHAUSTED with the time to wait. Health and reflection ask nobody
    who they are. Use from one event loop.
    """

    def __init__(
        self, tokens: auth.Tokens, host: str, port: int, tls: Tls | None = None, *,
        calls_max: int = CALLS_MAX, streams_max: int = STREAMS_MAX,
    ) -> None:
        """Prepare; nothing listens before `start`. Port 0 is any free one."""
        self._tokens = tokens
        self._host, self._port = host, port
        self._tls = tls
        self._handlers: dict[str, dict[str, Any]] = {}
        self._calls = _Places(calls_max, "calls")
        self._streams = _Places(streams_max, "streams")
        self._endless: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self._server: Any = None
        self._health = _Health(self._until_stop)

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        """Taken by `add_registered_method_handlers`."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Register the methods of a servicer, as generated `add_..._to_server` functions do."""
        self._handlers[service] = {name: self._handler(f"/{service}/{name}", handler) for name, handler in handlers.items()}

    @property
    def services(self) -> list[str]:
        """The full names of what is served, health and reflection not counted."""
        return sorted(self._handlers)

    async def start(self) -> int:
        """Listen; answers the port. Every service, and the whole under the empty name, is SERVING unless `serving` said otherwise.

        Raises:
            OSError: the port is taken, or the host is none of this machine.
        """
        self._server = grpc.aio.server(options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
            ("grpc.max_send_message_length", MESSAGE_BYTES),
            ("grpc.max_metadata_size", METADATA_BYTES),
            ("grpc.max_connection_age_ms", CONNECTION_SECONDS * 1_000),
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 2_000),
        ])
        generic = [grpc.method_handlers_generic_handler(service, handlers) for service, handlers in self._handlers.items()]
        self._server.add_generic_rpc_handlers(tuple(generic))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection([*self._handlers, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)
        for service in self._handlers:
            await self._health.begin(service)
        host = f"[{self._host}]" if ":" in self._host else self._host
        address = f"{host}:{self._port}"
        try:
            if self._tls is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, self._tls.server_credentials())
        except RuntimeError as error:
            raise OSError(f"cannot listen for calls at {self._host} port {self._port}: the port is taken, or the host not ours") from error
        await self._server.start()
        return int(port)

    async def serving(self, answer: bool, service: str = "") -> None:
        """Say to those who ask for the health of a service, or of the whole by the empty name, whether it serves."""
        await self._health.tell(service, answer)

    async def stop(self, grace_seconds: float) -> None:
        """Say NOT_SERVING, take no more calls, end streams without deadline, let running calls finish within the grace, cut the rest."""
        if self._server is None:
            return
        self._stopping = True
        await self._health.enter_graceful_shutdown()
        for task in list(self._endless):
            task.cancel()
        await self._server.stop(grace_seconds)
        self._server = None

    def _handler(self, path: str, handler: Any) -> Any:
        means = {"request_deserializer": handler.request_deserializer, "response_serializer": handler.response_serializer}
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._unary(path, handler.unary_unary), **means)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(self._stream(path, handler.unary_stream), **means)
        raise TypeError(f"{path}: only unary requests are used between services")

    def _unary(self, path: str, behaviour: Behaviour) -> Behaviour:
        call = around(path, behaviour, self._tokens)
        refuse = _Surroundings(path, self._tokens)

        async def handle(request: Any, context: Any) -> Any:
            try:
                with self._calls.taken(refuse):
                    token, traceparent = _carried(context)
                    left = context.time_remaining()
                    return await call(request, context, token, traceparent, DEADLINE_SECONDS if left is None else left)
            except errors.RpcError as error:
                await _abort(context, error)

        return handle

    def _stream(self, path: str, behaviour: StreamBehaviour) -> Behaviour:
        call = around_stream(path, behaviour, self._tokens)
        refuse = _Surroundings(path, self._tokens)

        async def handle(request: Any, context: Any) -> None:
            try:
                with self._streams.taken(refuse):
                    token, traceparent = _carried(context)
                    left = context.time_remaining()
                    work = call(request, context, token, traceparent, left, context.write)
                    if left is not None:
                        await work
                    elif not await self._until_stop(work):
                        reason = "the service stops: ask again, another instance answers"
                        raise errors.rpc_error(errors.Problem(grpc.StatusCode.UNAVAILABLE, reason, retry_seconds=FULL_SECONDS))
            except errors.RpcError as error:
                await _abort(context, error)

        return handle

    async def _until_stop(self, work: Awaitable[Any]) -> bool:
        """Do the work; False when the server's stop ended it."""
        task = asyncio.current_task()
        assert task is not None
        self._endless.add(task)
        try:
            await work
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            task.uncancel()
            return False
        finally:
            self._endless.discard(task)
        return True


class _Places:
    """How many calls go on at once."""

    def __init__(self, most: int, what: str) -> None:
        self._most = most
        self._taken = 0
        self._what = what

    @contextmanager
    def taken(self, surroundings: _Surroundings) -> Iterator[None]:
        if self._taken >= self._most:
            problem = errors.Problem(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"more than {self._most} {self._what} at once: try again in a second",
                retry_seconds=FULL_SECONDS,
            )
            surroundings.observe(problem.code, 0.0)
            raise errors.rpc_error(problem)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


class _Health(health.aio.HealthServicer):  # type: ignore[misc]
    """Health whose watchers are let go at the stop."""

    def __init__(self, until_stop: Callable[[Awaitable[Any]], Awaitable[bool]]) -> None:
        super().__init__()
        self._until_stop = until_stop
        self._said: set[str] = set()

    async def Watch(self, request: Any, context: Any) -> None:
        """Tell of each change until the server stops."""
        if not await self._until_stop(super().Watch(request, context)):
            await context.write(health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.NOT_SERVING))

    async def tell(self, service: str, answer: bool) -> None:
        self._said.add(service)
        status = health_pb2.HealthCheckResponse.SERVING if answer else health_pb2.HealthCheckResponse.NOT_SERVING
        await self.set(service, status)

    async def begin(self, service: str) -> None:
        if service not in self._said:
            await self.tell(service, True)


def _carried(context: Any) -> tuple[str, str]:
    token = traceparent = ""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            token = value.removeprefix("Bearer ")
        elif key == "traceparent":
            traceparent = value
    return token, traceparent


async def _abort(context: Any, error: errors.RpcError) -> None:
    trailing: Iterable[tuple[str, Any]] = error.trailing_metadata() or ()
    await context.abort(error.code(), error.details() or "", tuple(trailing))
