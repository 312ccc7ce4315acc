"""The log of the product: one event a line, JSON or for the eye, with the trace and the service it belongs to.

    log = get_logger(__name__)
    log.info("projection rebuilt", projection="timelines", events=1200)

The event is a constant sentence; what varies goes into fields. Ids may be logged; what people write, their names and addresses may not.
Fields named like secrets or like personal text are replaced, at any depth, whatever they hold. Lines of libraries that use the
standard library's logging come out in the same form.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from libs.telemetry import traces

REDACTED: Final = "[redacted]"
# A longer text is cut: a log line is a sentence, and the limit keeps a request body out of it.
TEXT_LENGTH_MAX: Final = 2000
DEPTH_MAX: Final = 6

_SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|token|secret|authorization|cookie|credential|api[-_]?key|private[-_]?key|signing[-_]?key", re.IGNORECASE
)
# Fields that would hold what people write or who they are: an id finds both, for those who may.
_PERSONAL_NAMES: Final = frozenset(
    (
        "about",
        "answer",
        "body",
        "comment",
        "content",
        "display_name",
        "draft",
        "email",
        "excerpt",
        "family_name",
        "first_name",
        "full_name",
        "given_name",
        "html",
        "last_name",
        "markdown",
        "phone",
        "preferred_name",
        "query",
        "search_query",
        "snippet",
        "text",
    )
)
# In running text of other libraries: `Authorization: Bearer x`, `token=x`, `password: x`, and a user's part in an address.
_SECRET_TEXT = re.compile(
    r"(?P<head>(?:authorization|cookie|set-cookie)['\"]?\s*[:=]\s*)(?P<line>[^\r\n]+)"
    r"|(?P<name>(?:passw(?:or)?d|token|secret|api[-_]?key)['\"]?\s*[:=]\s*)(?P<word>['\"]?[^\s'\"&,;]+)"
    r"|(?P<scheme>\b(?:bearer|basic)\s+)(?P<value>[A-Za-z0-9._~+/=-]{8,})"
    r"|(?P<start>://[^/\s:@]{1,200}:)(?P<user>[^/\s@]{1,200})(?=@)",
    re.IGNORECASE,
)
# The libraries that say much at INFO of what the product logs itself.
_QUIET: Final = ("httpx", "httpcore", "asyncio", "kafka", "opensearch", "PIL", "markdown_it", "multipart", "uvicorn")
# This one says at ERROR, dozens of times a second, that a broker is away, which the product logs once; at DEBUG it may.
_MUTE: Final = ("aiokafka",)


def configure(form: str = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Set up logging for this process; called once at the start, and again by tests. Values are those of the settings of the same names.

    `form` is "json", "console", or "auto": console on a terminal, else JSON. Raises ValueError for anything else.
    """
    if form not in ("auto", "console", "json"):
        raise ValueError(f"a log is written as auto, console or json, not {form!r}")
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"a log level is debug, info, warning or error, not {level!r}")
    stream = stream or sys.stderr
    console = form == "console" or (form == "auto" and stream.isatty())

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _add_trace,
        structlog.processors.StackInfoRenderer(),
    ]
    ends: list[Processor]
    if console:
        plain = structlog.dev.plain_traceback
        ends = [redact, structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain, timestamp_key="time")]
    else:
        ends = [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer(ensure_ascii=False)]

    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ends],
        )
    )
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(number)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    for name in _MUTE:
        logging.getLogger(name).setLevel(number if number <= logging.DEBUG else logging.CRITICAL)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> FilteringBoundLogger:
    """The logger of a module: `log.info("event as a sentence", field=value)`. What is logged before `configure` goes to stderr."""
    return cast(FilteringBoundLogger, structlog.stdlib.get_logger(name))


@contextmanager
def bound(**values: Any) -> Iterator[None]:
    """Add these fields to every line logged inside, by this task and those it starts: `with bound(service="feed"): ...`."""
    with structlog.contextvars.bound_contextvars(**values):
        yield


def redact(logger: WrappedLogger, method: str, event: EventDict) -> MutableMapping[str, Any]:
    """Replace secrets and personal text by the names of their fields, secrets in text by their usual forms; cut the too long and deep."""
    return {key: REDACTED if _is_private(key) else _safe(value, _limit(key), 1) for key, value in event.items()}


def _is_private(name: object) -> bool:
    return isinstance(name, str) and (name.lower() in _PERSONAL_NAMES or _SECRET_NAME.search(name) is not None)


def _limit(key: str) -> int:
    return 10 * TEXT_LENGTH_MAX if key in ("exception", "stack") else TEXT_LENGTH_MAX


def _safe(value: Any, limit: int, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, Mapping | Sequence | set | frozenset) and not isinstance(value, str):
        if depth >= DEPTH_MAX:
            return "[...]"
        if isinstance(value, Mapping):
            return {str(key): REDACTED if _is_private(key) else _safe(each, limit, depth + 1) for key, each in value.items()}
        return [_safe(each, limit, depth + 1) for each in value]
    if isinstance(value, BaseException) or not isinstance(value, str):
        value = str(value)
    value = value.rstrip("\r\n")
    text = value if len(value) <= limit else f"{value[:limit]}... [{len(value)} characters]"
    return _SECRET_TEXT.sub(_hide, text)


def _hide(match: re.Match[str]) -> str:
    return (match["head"] or match["name"] or match["scheme"] or match["start"]) + REDACTED


def _add_trace(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    trace_id = traces.trace_id()
    if trace_id:
        event["trace_id"] = trace_id
    return event


# Until a process has its settings, and in tools that never call `configure`: stderr, because stdout is for results.
structlog.configure(
    processors=[structlog.stdlib.add_log_level, structlog.processors.format_exc_info, redact, structlog.dev.ConsoleRenderer(colors=False)],
    logger_factory=lambda *names: structlog.PrintLogger(sys.stderr),
    wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    cache_logger_on_first_use=False,
)
