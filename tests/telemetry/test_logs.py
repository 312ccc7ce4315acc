"""The log: one JSON object a line, with time, trace and service, and without secrets or personal text."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from libs.db.database import StorageFull
from libs.rpc import server
from libs.rpc.auth import Keys, Tokens
from libs.rpc.errors import RpcError
from libs.telemetry import logs, traces
from watercooler.feed.v1.feed_service_pb2 import GetPostRequest

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, before = logging.getLogger(), logging.getLogger().level
    handlers, configured = list(root.handlers), structlog.get_config()
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(before)
    logging.captureWarnings(False)
    structlog.configure(**configured)


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    logs.configure("json", "debug", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_utc_time_level_and_fields(lines: Lines) -> None:
    logs.get_logger("libs.here").warning("projection\nrebuilt", events=1200, tag="Über 日本")
    [line] = lines()
    assert {
        "event": "projection\nrebuilt",
        "events": 1200,
        "tag": "Über 日本",
        "level": "warning",
        "logger": "libs.here",
    }.items() <= line.items()
    assert line["time"].endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(line["time"])).total_seconds()) < 60


def test_trace_and_service_are_bound_for_a_while(lines: Lines) -> None:
    log = logs.get_logger("x")
    with logs.bound(service="feed"), traces.span("request", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"):
        log.info("inside")
        logging.getLogger("library").info("inside too")
    log.info("outside")
    inside, library, outside = lines()
    assert {"service": "feed", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}.items() <= inside.items()
    assert {"service": "feed", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}.items() <= library.items()
    assert outside.keys().isdisjoint({"service", "trace_id"})


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "new_password",
        "passwd",
        "token",
        "access_token",
        "csrfToken",
        "client_secret",
        "Authorization",
        "Cookie",
        "set-cookie",
        "api_key",
    ],
)
def test_secrets_are_redacted_at_any_depth(name: str, lines: Lines) -> None:
    logs.get_logger("x").error("refused", **{name: "hunter2"}, request={"headers": [{name: ["hunter2"]}], "route": "/sign-in"})
    [line] = lines()
    assert line[name] == logs.REDACTED
    assert line["request"] == {"headers": [{name: logs.REDACTED}], "route": "/sign-in"}


@pytest.mark.parametrize("name", ["body", "text", "email", "display_name", "query", "Markdown"])
def test_personal_text_is_redacted_at_any_depth(name: str, lines: Lines) -> None:
    logs.get_logger("x").info("post published", **{name: "Mary had"}, post={name: "a little lamb", "post_id": "p1"})
    [line] = lines()
    assert line[name] == logs.REDACTED
    assert line["post"] == {name: logs.REDACTED, "post_id": "p1"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer hunter2hunter2", "Authorization: [redacted]"),
        ("Cookie: session=hunter2; other=hunter2", "Cookie: [redacted]"),
        ("GET /x?token=hunter2&page=2", "GET /x?token=[redacted]&page=2"),
        ("connect postgresql://me:hunter2@db/x", "connect postgresql://me:[redacted]@db/x"),
        ("sent bearer hunter2hunter2 twice", "sent bearer [redacted] twice"),
        ('{"password": "hunter2"}', '{"password": [redacted]"}'),
        ("the token was refused", "the token was refused"),
    ],
)
def test_secrets_in_the_text_of_libraries_are_redacted(text: str, shown: str, lines: Lines) -> None:
    logging.getLogger("library").warning("%s", text)
    assert [line["event"] for line in lines()] == [shown]


def test_an_exception_is_one_line_with_its_traceback_and_without_its_secrets(lines: Lines) -> None:
    for log in (logs.get_logger("x"), logging.getLogger("library")):
        try:
            raise RuntimeError("password=hunter2")
        except RuntimeError:
            log.exception("failed")
    for line in lines():
        assert line["event"] == "failed"
        assert "Traceback" in line["exception"]
        assert "test_an_exception_is_one_line" in line["exception"]
        assert "hunter2" not in line["exception"]
    assert len(lines()) == 2


def test_what_is_long_deep_or_binary_is_cut(lines: Lines) -> None:
    deep: Any = "bottom"
    for _ in range(50):
        deep = [deep]
    logs.get_logger("x").info("big", long="x" * 100_000, deep=deep, raw=b"\x00" * 9, when=datetime(2026, 1, 1, tzinfo=UTC))
    [line] = lines()
    assert len(line["long"]) < logs.TEXT_LENGTH_MAX + 50
    assert line["long"].endswith("[100000 characters]")
    assert "bottom" not in json.dumps(line)
    assert line["raw"] == "[9 bytes]"
    assert line["when"] == "2026-01-01 00:00:00+00:00"


def test_the_level_holds_for_the_product_and_its_libraries(stream: io.StringIO) -> None:
    logs.configure("json", "warning", stream)
    for log in (logs.get_logger("x"), logging.getLogger("library")):
        log.info("no")
        log.warning("yes")
    logs.configure("json", "info", stream)
    logging.getLogger("httpx").info("every request")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["yes", "yes"]


def test_configuring_twice_writes_once(stream: io.StringIO) -> None:
    logs.configure("json", "info", stream)
    logs.configure("json", "info", stream)
    logs.get_logger("x").info("once")
    assert len(stream.getvalue().splitlines()) == 1


def test_the_console_form_is_for_reading_and_as_discreet(stream: io.StringIO) -> None:
    logs.configure("console", "info", stream)
    logs.get_logger("x").warning("refused", token="hunter2", attempts=3)
    assert "refused" in stream.getvalue()
    assert "attempts=3" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_auto_is_json_where_nobody_watches(stream: io.StringIO) -> None:
    logs.configure("auto", "info", stream)
    logs.get_logger("x").info("seen")
    assert json.loads(stream.getvalue())["event"] == "seen"


def test_other_forms_and_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="auto, console or json"):
        logs.configure("xml")
    with pytest.raises(ValueError, match="debug, info, warning or error"):
        logs.configure("json", "loud")


def test_before_configuration_stdout_stays_clean() -> None:
    # In a process of its own: tests before this one have configured logs here.
    program = "from libs.telemetry import logs; logs.get_logger('x').warning('early', password='hunter2')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
    assert "early" in done.stderr
    assert "hunter2" not in done.stderr


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=10,
)


@given(VALUES, st.text())
def test_any_value_becomes_json(value: Any, event: str) -> None:
    shown = logs.redact(None, "info", {"event": event, "value": value, "token": value})
    assert json.loads(json.dumps(shown))["token"] == logs.REDACTED


async def test_every_call_is_in_the_log_for_finding_faults_with_its_trace(lines: Lines, tmp_path: Path) -> None:
    async def answer(request: Message, context: object) -> Message:
        return request

    call = server.around("/x.v1.Service/Do", answer, Tokens(Keys(tmp_path)))
    hello = GetPostRequest(post_id="hello")
    assert await call(hello, None, "", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 1.0) == hello
    (line,) = lines()
    assert (line["event"], line["level"], line["method"], line["code"]) == ("call", "debug", "/x.v1.Service/Do", "OK")
    assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_a_full_disk_is_told_once_and_not_by_every_call(lines: Lines, tmp_path: Path) -> None:
    async def full(request: Message, context: object) -> Message:
        raise StorageFull("the disk is full")

    call = server.around("/x.v1.Service/Do", full, Tokens(Keys(tmp_path)))
    for _ in range(3):
        with pytest.raises(RpcError):
            await call(GetPostRequest(), None, "", "", 1.0)
    (warned,) = [line for line in lines() if line["level"] == "warning"]
    assert (warned["event"], warned["reason"]) == ("call not possible now", "the disk is full")
