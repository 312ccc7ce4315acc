"""gRPC without a network: generated stubs call generated servicers in the same process, by the same rules.

Messages are handed over as they are, so neither side may change one it was given.
"""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import grpc

from libs.telemetry import traces

from . import auth, deadlines, errors
from .deadlines import DEADLINE_SECONDS
from .server import Write, around, around_stream

# Messages of a stream that wait for their reader; the servicer waits beyond.
MESSAGES_WAITING = 16


class Context:
    """What a servicer may ask of its call; aborting raises the error that the caller sees."""

    __slots__ = ("_metadata",)

    def __init__(self, metadata: Sequence[tuple[str, str]]) -> None:
        """The call's metadata."""
        self._metadata = metadata

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        """The metadata of the call."""
        return self._metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        """Taken from the exception instead: generated servicers set it and raise NotImplementedError."""

    def set_details(self, details: str) -> None:
        """Taken from the exception instead."""

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> None:
        """End the call with an error."""
        raise errors.rpc_error(errors.Problem(code, details))


class Registry:
    """The servicers of one process, by method path; stands in for a server when servicers are added."""

    def __init__(self, tokens: auth.Tokens) -> None:
        """An empty registry that checks callers by `tokens`."""
        self._tokens = tokens
        self.unary: dict[str, Callable[[Any, Any, str, str, float], Awaitable[Any]]] = {}
        self.streaming: dict[str, Callable[[Any, Any, str, str, float | None, Write], Awaitable[None]]] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        """Taken by `add_registered_method_handlers`."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Register the methods of a servicer."""
        for name, handler in handlers.items():
            path = f"/{service}/{name}"
            if handler.unary_unary is not None:
                self.unary[path] = around(path, handler.unary_unary, self._tokens)
            elif handler.unary_stream is not None:
                self.streaming[path] = around_stream(path, handler.unary_stream, self._tokens)
            else:
                raise TypeError(f"{path}: only unary requests are used between services")


class _End(NamedTuple):
    failure: Exception | None


class Channel:
    """A channel for generated stubs: `FeedServiceStub(Channel(registry))`."""

    def __init__(self, registry: Registry) -> None:
        """Calls go to the servicers of this registry, whether they were added before or are added later."""
        self._registry = registry

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, _registered_method: bool = False
    ) -> Callable[..., Awaitable[Any]]:
        """A callable for one method."""
        registry = self._registry

        async def call(request: Any, *, timeout: float | None = None, metadata: Sequence[tuple[str, str]] = ()) -> Any:
            handler = registry.unary.get(method)
            if handler is None:
                raise errors.rpc_error(errors.Problem(grpc.StatusCode.UNAVAILABLE, f"{method} is not served here", retry_seconds=5))
            seconds = deadlines.within(DEADLINE_SECONDS if timeout is None else timeout)
            return await handler(request, Context(metadata), auth.acting_token(), traces.current(), seconds)

        return call

    def unary_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, _registered_method: bool = False
    ) -> Callable[..., AsyncIterator[Any]]:
        """A callable for one method that answers with a stream."""
        registry = self._registry

        async def answered(work: Callable[[Write], Awaitable[None]]) -> AsyncIterator[Any]:
            queue: asyncio.Queue[Any] = asyncio.Queue(MESSAGES_WAITING)

            async def serve() -> None:
                failure: Exception | None = None
                try:
                    await work(queue.put)
                except Exception as error:
                    failure = error
                await queue.put(_End(failure))

            # A task of its own, for what the servicer keeps in context variables must not show between two messages here.
            serving = asyncio.create_task(serve())
            try:
                while not isinstance(message := await queue.get(), _End):
                    yield message
                if message.failure is not None:
                    raise message.failure
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)

        def call(request: Any, *, timeout: float | None = None, metadata: Sequence[tuple[str, str]] = ()) -> AsyncIterator[Any]:
            # Who acts and until when is who acts now, not when the first message is asked for.
            token, traceparent = auth.acting_token(), traces.current()
            seconds = deadlines.remaining() if timeout is None else deadlines.within(timeout)

            async def work(write: Write) -> None:
                handler = registry.streaming.get(method)
                if handler is None:
                    raise errors.rpc_error(errors.Problem(grpc.StatusCode.UNAVAILABLE, f"{method} is not served here", retry_seconds=5))
                await handler(request, Context(metadata), token, traceparent, seconds, write)

            return answered(work)

        return call

    def unary_only(self, method: str, *_: Any, **__: Any) -> Callable[..., Any]:
        """Requests that stream are not used between services."""
        raise TypeError(f"{method}: only unary requests are used between services")

    stream_unary = unary_only
    stream_stream = unary_only
