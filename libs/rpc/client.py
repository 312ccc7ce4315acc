"""Calls to a service in another process, by the generated stubs."""
from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Any

import grpc

from libs.telemetry import logs, metrics, traces

from . import auth, deadlines, errors
from .deadlines import DEADLINE_SECONDS
from .server import MESSAGE_BYTES, METADATA_BYTES
from .tls import Material, Tls

TRIES = 3
FIRST_PAUSE_SECONDS = 0.05
AWAY_SECONDS = 2
# How long a connection may take, and how long may pass until the next try of one.
CONNECT_SECONDS = 2.0
# After so long without an answer everything about the channel is made anew, so that names are resolved at once and not with
# the resolver's own growing pauses (up to two minutes).
RENEW_SECONDS = 2.0
CLOSE_SECONDS = 5.0

# Methods that change nothing, so that a second call does no harm.
READING = ("Get", "List", "BatchGet", "Search", "Suggest", "Read", "Find", "Check", "Count")

_ROUND_ROBIN = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})
_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.service_config", _ROUND_ROBIN),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_metadata_size", METADATA_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", int(CONNECT_SECONDS * 1_000)),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 4_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)

_log = logs.get_logger(__name__)


class NetworkChannel:
    """A channel for generated stubs: `FeedServiceStub(NetworkChannel("feed:9000", name="feed"))`.

    `target` is `host:port`; every address of the host gets calls in turn, and one that goes is left out at once. `name` is the service
    as people are told of it. Calls carry the acting token, the trace and a deadline: `timeout`, else 2 s, never past the deadline of
    the call being served; a stream has none unless given. Where no instance answers, calls that change nothing, or that carry a
    request id, are tried three times; then, and all others at once, they fail as UNAVAILABLE with the time to wait. Use from one
    event loop; opened by the first call.
    """

    def __init__(self, target: str, tls: Tls | None = None, *, name: str = "", tries: int = TRIES) -> None:
        """Prepare; a service that is not there yet is no fault."""
        self._target = target if _has_scheme(target) else f"dns:///{target}"
        self._name = name or target.rpartition("/")[2].split(":")[0]
        self._tls = tls
        self._tries = tries
        self._channel: Any = None
        self._material: Material | None = None
        self._opened = 0.0
        self._answered = 0.0
        self._methods: dict[str, tuple[Any, Any]] = {}
        self._multi: dict[str, Any] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, _registered_method: bool = False
    ) -> Callable[..., Awaitable[Any]]:
        """A callable for one method."""
        self._methods[method] = (request_serializer, response_deserializer)

        async def call(request: Any, *, timeout: float | None = None, metadata: Sequence[tuple[str, str]] = ()) -> Any:
            work = _Work(self, method, request, deadlines.within(DEADLINE_SECONDS if timeout is None else timeout))
            with work.measured() as traceparent:
                carried = _carried(metadata, traceparent)
                while True:
                    channel = self._current()
                    try:
                        response = await self._callable("unary_unary", method)(request, timeout=work.left(), metadata=carried)
                    except errors.RpcError as error:
                        await work.again(error, channel)
                    else:
                        self._answered = time.monotonic()
                        return response

        return call

    def unary_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, _registered_method: bool = False
    ) -> Callable[..., AsyncIterator[Any]]:
        """A callable for one method that answers with a stream; tried again only before its first message."""
        self._methods[method] = (request_serializer, response_deserializer)

        async def messages(work: _Work, request: Any, carried: tuple[tuple[str, str], ...]) -> AsyncGenerator[Any, None]:
            while True:
                channel = self._current()
                answer = self._callable("unary_stream", method)(request, timeout=work.left(), metadata=carried)
                try:
                    async for message in answer:
                        work.began()
                        yield message
                    return
                except errors.RpcError as error:
                    await work.again(error, channel)
                finally:
                    answer.cancel()

        async def answered(work: _Work, request: Any, carried: tuple[tuple[str, str], ...]) -> AsyncIterator[Any]:
            with work.observed():
                async with aclosing(messages(work, request, carried)) as answer:
                    async for message in answer:
                        yield message

        def call(request: Any, *, timeout: float | None = None, metadata: Sequence[tuple[str, str]] = ()) -> AsyncIterator[Any]:
            # Who acts and until when is who acts now, not when the first message is asked for.
            work = _Work(self, method, request, deadlines.remaining() if timeout is None else deadlines.within(timeout))
            return answered(work, request, _carried(metadata, traces.child(traces.current())))

        return call

    def unary_only(self, method: str, *_: Any, **__: Any) -> Callable[..., Any]:
        """Requests that stream are not used between services."""

        def refuse(*_: Any, **__: Any) -> Any:
            raise TypeError(f"{method}: only unary requests are used between services")

        return refuse

    stream_unary = unary_only
    stream_stream = unary_only

    async def close(self) -> None:
        """End what is under way and let the connections go."""
        if self._channel is not None:
            self._retire(0.0)
        if self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    def problem(self, error: errors.RpcError, method: str, channel: Any) -> errors.Problem:
        """What a failure is called: the service's own words where it had any, else ours for what the network says."""
        if any(key == errors.DETAILS_KEY for key, _ in error.trailing_metadata() or ()):
            self._answered = time.monotonic()
            return errors.read(error)
        code, said = error.code(), error.details() or ""
        if code is grpc.StatusCode.DEADLINE_EXCEEDED and _reachable(channel):
            late = errors.problem_of(TimeoutError())
            assert late is not None
            return late
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
            self._away(channel)
            _log.info("service not reachable", service=self._name, method=method, reason=said)
            return errors.Problem(grpc.StatusCode.UNAVAILABLE, f"{self._name} is not reachable just now", retry_seconds=AWAY_SECONDS)
        self._answered = time.monotonic()
        _log.warning("call failed", service=self._name, method=method, code=code.name, reason=said)
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return errors.Problem(code, f"{self._name} does not know {method}: it may be of another version")
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            most = f"{MESSAGE_BYTES // 1024 // 1024} MiB"
            return errors.Problem(code, f"a message to or from {self._name} has at most {most}: ask for less at once")
        return errors.Problem(grpc.StatusCode.INTERNAL, f"{self._name} could not answer; it is logged and will be looked at")

    def _callable(self, kind: str, method: str) -> Any:
        found = self._multi.get(method)
        if found is None:
            found = self._multi[method] = getattr(self._channel, kind)(method, *self._methods[method])
        return found

    def _current(self) -> Any:
        if self._channel is not None and self._tls is not None and self._tls.material() is not self._material:
            self._retire(CLOSE_SECONDS)  # calls under way end on the old connections, and new ones show the new certificate
        if self._channel is None:
            if self._tls is None:
                self._channel = grpc.aio.insecure_channel(self._target, options=_OPTIONS)
            else:
                self._material = self._tls.material()
                named = (("grpc.ssl_target_name_override", self._tls.server_name),) if self._tls.server_name else ()
                self._channel = grpc.aio.secure_channel(self._target, self._tls.channel_credentials(), options=_OPTIONS + named)
            self._opened = time.monotonic()
        return self._channel

    def _away(self, channel: Any) -> None:
        if channel is self._channel and not _reachable(channel) and time.monotonic() - max(self._opened, self._answered) > RENEW_SECONDS:
            self._retire(CLOSE_SECONDS)

    def _retire(self, grace_seconds: float) -> None:
        task = asyncio.get_running_loop().create_task(self._channel.close(grace_seconds))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        self._channel = None
        self._multi.clear()


class _Work:
    """One call through all its tries."""

    def __init__(self, owner: NetworkChannel, method: str, request: Any, seconds: float | None) -> None:
        self._owner = owner
        self._path = method
        self._service, self._method = method.lstrip("/").split("/")
        self._until = None if seconds is None else time.monotonic() + seconds
        self._again = self._method.startswith(READING) or bool(getattr(request, "request_id", ""))
        self._tried = 0
        self._pause = FIRST_PAUSE_SECONDS

    def left(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def began(self) -> None:
        """The answer has begun: nothing is repeated any more."""
        self._again = False

    async def again(self, error: errors.RpcError, channel: Any) -> None:
        """Wait for the next try, or raise what the caller sees."""
        problem = self._owner.problem(error, self._method, channel)
        self._tried += 1
        pause = self._pause * random.uniform(0.5, 1.5)
        left = self.left()
        told_to_wait = any(key == errors.DETAILS_KEY for key, _ in error.trailing_metadata() or ()) and problem.retry_seconds > 0
        if (
            problem.code is not grpc.StatusCode.UNAVAILABLE or not self._again or told_to_wait
            or self._tried >= self._owner._tries or (left is not None and left <= pause)
        ):
            raise errors.rpc_error(problem) from error
        metrics.RPC_CLIENT_RETRIES.labels(service=self._service, method=self._method).inc()
        await asyncio.sleep(pause)
        self._pause *= 2

    @contextmanager
    def measured(self) -> Iterator[str]:
        """In a span of its own."""
        with self.observed(), traces.span(self._path) as traceparent:
            yield traceparent

    @contextmanager
    def observed(self) -> Iterator[None]:
        started = time.perf_counter()
        code = "OK"
        try:
            yield
        except errors.RpcError as error:
            code = error.code().name
            raise
        except (asyncio.CancelledError, GeneratorExit):
            code = "CANCELLED"
            raise
        finally:
            observe = metrics.RPC_CLIENT_DURATION.labels(service=self._service, method=self._method, code=code)
            observe.observe(time.perf_counter() - started)


def _carried(metadata: Sequence[tuple[str, str]], traceparent: str) -> tuple[tuple[str, str], ...]:
    token = auth.acting_token()
    return (*metadata, ("traceparent", traceparent), *((("authorization", f"Bearer {token}"),) if token else ()))


def _reachable(channel: Any) -> bool:
    return channel.get_state() is grpc.ChannelConnectivity.READY


def _has_scheme(target: str) -> bool:
    return target.partition(":")[0] in ("dns", "ipv4", "ipv6", "unix")
