"""Trace context against the W3C recommendation, and spans that end where they began."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.telemetry import traces

GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FORM = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")


def hex_ids(size: int) -> st.SearchStrategy[str]:
    return st.binary(min_size=size, max_size=size).map(bytes.hex).filter(lambda value: value.strip("0") != "")


@given(hex_ids(16), hex_ids(8), st.integers(0, 255))
def test_every_valid_header_is_read_and_written_back(trace_id: str, span_id: str, flags: int) -> None:
    context = traces.parse(f"00-{trace_id}-{span_id}-{flags:02x}")
    assert context == traces.TraceContext(trace_id, span_id, bool(flags & 1))
    assert traces.parse(context.format()) == context


@given(hex_ids(16), hex_ids(8), st.integers(1, 254), st.text(max_size=100))
def test_later_versions_are_read_as_far_as_this_one_reaches(trace_id: str, span_id: str, version: int, more: str) -> None:
    known = f"{version:02x}-{trace_id}-{span_id}-01"
    assert traces.parse(known) == traces.TraceContext(trace_id, span_id, True)
    assert traces.parse(f"{known}-{more}") == traces.TraceContext(trace_id, span_id, True)
    assert traces.parse(f"{known}x{more}") is None


@pytest.mark.parametrize(
    "header",
    ["", "00", GOOD[:-1], GOOD + "-", GOOD + "-00", GOOD + "0", " " + GOOD, GOOD + "\n", GOOD.upper(), "ff" + GOOD[2:],
     "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01", GOOD.replace("-", "_"),
     "0g" + GOOD[2:], GOOD[:-2] + "0x", "00-4bf92f3577b34da6a3ce929d0e0e473\u0666-00f067aa0ba902b7-01", "01" + GOOD[2:] + "-" + "a" * 600],
)  # fmt: skip
def test_invalid_headers_start_a_new_trace(header: str) -> None:
    assert traces.parse(header) is None
    child = traces.child(header)
    assert FORM.fullmatch(child)
    assert GOOD[3:35] not in child


@given(st.text(max_size=600))
def test_any_header_leads_to_a_valid_child(header: str) -> None:
    assert FORM.fullmatch(traces.child(header))


def test_a_child_keeps_the_trace_and_the_decision_to_record_but_not_the_place() -> None:
    for flags in ("01", "00", "03", "fe"):
        parent = GOOD[:-2] + flags
        child = traces.child(parent)
        assert child[3:35] == parent[3:35]
        assert child[36:52] != parent[36:52]
        assert child[-2:] == f"{int(flags, 16) & 1:02x}"


def test_spans_nest_and_end_where_they_began() -> None:
    assert (traces.current(), traces.trace_id()) == ("", "")
    with traces.span("request", GOOD) as outer:
        assert traces.current() == outer
        assert traces.trace_id() == GOOD[3:35]
        with pytest.raises(RuntimeError), traces.span("call") as inner:
            raise RuntimeError
        assert inner[3:35] == outer[3:35]
        assert inner != outer
        assert traces.current() == outer
    assert traces.current() == ""


async def _spans_of_two_tasks() -> None:
    both_open = asyncio.Barrier(2)

    async def work(name: str) -> tuple[str, str]:
        with traces.span(name) as mine:
            await both_open.wait()
            return mine, traces.current()

    for mine, seen in await asyncio.gather(work("a"), work("b")):
        assert mine == seen
    assert traces.current() == ""


def test_tasks_do_not_see_each_others_spans() -> None:
    asyncio.run(_spans_of_two_tasks())


def test_an_exporter_receives_finished_spans_with_parent_times_and_error() -> None:
    spans: list[traces.Span] = []
    traces.export_to(spans.append)
    try:
        with pytest.raises(KeyError), traces.span("outer", GOOD) as outer, traces.span("inner") as inner:
            raise KeyError
        with traces.span("unsampled", GOOD[:-2] + "00"):
            pass
        with traces.span("root", "nonsense"):
            pass
    finally:
        traces.export_to(None)
    assert [(span.name, span.traceparent, span.parent, span.error) for span in spans[:2]] == [
        ("inner", inner, outer, "KeyError"),
        ("outer", outer, GOOD, "KeyError"),
    ]
    assert [(span.name, span.parent) for span in spans[2:]] == [("root", "")]
    assert all(0 < span.start_time_ns <= span.end_time_ns for span in spans)
    assert spans[1].start_time_ns <= spans[0].start_time_ns <= spans[0].end_time_ns <= spans[1].end_time_ns
