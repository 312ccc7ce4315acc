"""Where a request came from: W3C trace context (Trace Context Level 1), from the browser through every call to the events it caused.

A span costs two context variable writes and eight random bytes while nobody exports; `export_to` names who wants the finished ones.
`tracestate` is not carried: it is other vendors' data, and one deployment talks to itself.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random
from types import TracebackType

# Longer headers are refused unread. Version 00 is 55 characters; later versions may append fields.
TRACEPARENT_LENGTH_MAX = 512

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_SAMPLED = 0x01


@dataclass(frozen=True, slots=True)
class TraceContext:
    """One place in a trace: the whole (`trace_id`), the place itself (`span_id`) and whether the caller records it."""

    trace_id: str
    span_id: str
    sampled: bool

    def format(self) -> str:
        """The `traceparent` header, always in version 00; flags this version does not know are not passed on."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


@dataclass(frozen=True, slots=True)
class Span:
    """A finished piece of work, for an exporter. `parent` is a traceparent, empty at the start of a trace; times are Unix nanoseconds."""

    name: str
    traceparent: str
    parent: str
    start_time_ns: int
    end_time_ns: int
    error: str


_current: ContextVar[str] = ContextVar("traceparent", default="")
_export: Callable[[Span], None] | None = None


def parse(traceparent: str) -> TraceContext | None:
    """Read a `traceparent` header; None where the recommendation calls it invalid.

    Later versions are read as far as version 00 reaches, as the recommendation asks; version ff and ids of zeros are invalid.
    """
    if len(traceparent) > TRACEPARENT_LENGTH_MAX:
        return None
    match = _FORM.fullmatch(traceparent)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if trace_id == "0" * 32 or span_id == "0" * 16:
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def current() -> str:
    """The traceparent of the work going on, or an empty string outside any span."""
    return _current.get()


def trace_id() -> str:
    """The id of the trace going on, 32 hex digits, or an empty string outside any span."""
    return _current.get()[3:35]


def child(traceparent: str) -> str:
    """A new traceparent one step below `traceparent`; a new trace, sampled, where that is empty or invalid."""
    parent = parse(traceparent)
    if parent is None:
        return f"00-{_random_id(16)}-{_random_id(8)}-01"
    return TraceContext(parent.trace_id, _random_id(8), parent.sampled).format()


def span(name: str, parent: str | None = None) -> _Working:
    """Do a piece of work as a child of the current span, or of `parent`, a traceparent that came with a request.

    `with span("GET /posts", request_header): ...` yields its own traceparent. An invalid header starts a new trace.
    """
    return _Working(name, parent)


class _Working:
    """A span while its work goes on; a class because a generator would cost three times as much."""

    __slots__ = ("_name", "_parent", "_previous", "_start_time_ns", "_traceparent")

    def __init__(self, name: str, parent: str | None) -> None:
        self._name = name
        self._parent = parent

    def __enter__(self) -> str:
        self._previous = _current.get()
        if self._parent is None:
            self._parent = self._previous
        self._traceparent = child(self._parent)
        _current.set(self._traceparent)
        self._start_time_ns = time.time_ns() if _export is not None else 0
        return self._traceparent

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # Set rather than reset by token: a streaming response may be closed in another context than it was opened in.
        _current.set(self._previous)
        if _export is not None and self._start_time_ns:
            context = parse(self._traceparent)
            if context is not None and context.sampled:
                parent = self._parent if self._parent and parse(self._parent) else ""
                _export(Span(self._name, self._traceparent, parent, self._start_time_ns, time.time_ns(), kind.__name__ if kind else ""))


def export_to(exporter: Callable[[Span], None] | None) -> None:
    """Give every finished, sampled span to `exporter`; None stops it. The exporter must neither block nor raise."""
    global _export  # noqa: PLW0603 - one process, one place its spans go
    _export = exporter


def _random_id(size: int) -> str:
    """Random bytes in hex, never all zero, which the recommendation forbids; they name and keep no secret, so a plain generator does."""
    while True:
        value = _random.getrandbits(8 * size)
        if value:
            return f"{value:0{2 * size}x}"


_random = Random(os.urandom(32))
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))
