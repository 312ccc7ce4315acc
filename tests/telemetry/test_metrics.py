"""Every metric against the naming rules of the architecture, and the exposition both formats need."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from libs.telemetry import metrics

ROOT = Path(__file__).resolve().parents[2]
TECHNICAL = {
    "http_server_request_duration_seconds", "rpc_server_duration_seconds", "rpc_client_duration_seconds", "rpc_client_retries_total",
}
# What a name may end in: a base unit, a count of a named thing, or _total for what only rises.
ENDINGS = (
    "_total", "_seconds", "_bytes", "_events", "_people", "_streams", "_connections", "_batch_size", "_posts", "_conversations",
    "_announcements", "_letters", "_pushes",
)
# What is a state rather than an amount: 1 or 0, or a place in a log.
STATES = {"watercooler_leading", "watercooler_engine_up", "watercooler_relay_position", "watercooler_followed_connected"}
PERSONAL = re.compile(r"person|user|actor|author|email|handle|name$|(^|_)id$|address|session|token|path|url|query")


def exposed() -> dict[str, tuple[str, set[str]]]:
    """The exposed name of each metric, its type and its labels, without the collectors of process and platform."""
    found = {}
    for family in metrics.REGISTRY.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        if not name.startswith(("process_", "python_")):
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            found[name] = (family.type, labels)
    return found


def test_what_is_declared_is_exposed_and_nothing_else() -> None:
    assert set(exposed()) == {declared.name for declared in metrics.DECLARED}
    assert len(metrics.DECLARED) == len({declared.name for declared in metrics.DECLARED})


@pytest.mark.parametrize("declared", metrics.DECLARED, ids=lambda declared: declared.name)
def test_names_and_labels_keep_the_rules(declared: metrics.Declared) -> None:
    kind, labels = exposed()[declared.name]
    assert re.fullmatch(r"[a-z][a-z0-9_]*", declared.name)
    assert declared.name.startswith("watercooler_") != (declared.name in TECHNICAL)
    assert declared.name.endswith(ENDINGS) or declared.name in STATES
    assert (kind == "counter") == declared.name.endswith("_total")
    assert not re.search(r"_(ms|millis|milliseconds|minutes|hours|kb|mb|kib|mib|percent)(_|$)", declared.name)
    assert declared.meaning.endswith(".")
    assert labels <= set(declared.labels)
    for label, allowed in declared.labels.items():
        assert re.fullmatch(r"[a-z]+", label)
        assert label == "method" or not PERSONAL.search(label), "a metric never names a person, nor anything with as many values"
        assert len(allowed) <= 12
        assert len(set(allowed)) == len(allowed)


def test_only_this_module_knows_the_client_library() -> None:
    importing = re.compile(r"^\s*(from|import)\s+prometheus_client\b", re.MULTILINE)
    sources = [*ROOT.glob("libs/**/*.py"), *ROOT.glob("services/**/*.py")]
    users = [source.relative_to(ROOT).as_posix() for source in sources if importing.search(source.read_text(encoding="utf-8"))]
    assert users == ["libs/telemetry/metrics.py"]


def test_counting_shows_in_the_exposition() -> None:
    before = metrics.value("watercooler_engagement_actions_total", kind="save")
    metrics.ENGAGEMENT_ACTIONS.labels(kind="save").inc()
    metrics.HTTP_SERVER_REQUEST_DURATION.labels(status="200", route="/tags/{tag}", method="GET").observe(0.002)
    assert metrics.value("watercooler_engagement_actions_total", kind="save") == before + 1
    assert metrics.value("http_server_request_duration_seconds_bucket", method="GET", route="/tags/{tag}", status="200", le="0.0025") >= 1
    assert math.isnan(metrics.value("watercooler_engagement_actions_total", kind="never"))


def test_undeclared_labels_and_values_are_refused() -> None:
    with pytest.raises(ValueError, match="kind is one of post, reply"):
        metrics.ENGAGEMENT_ACTIONS.labels(kind="shout")
    with pytest.raises(ValueError, match="has the labels kind, not person"):
        metrics.ENGAGEMENT_ACTIONS.labels(person="mary")
    with pytest.raises(ValueError, match="has the labels kind, not none"):
        metrics.ENGAGEMENT_ACTIONS.labels()


def test_an_open_label_cannot_fill_the_memory() -> None:
    family = metrics.Family(
        metrics.Declared("watercooler_probe_total", "A probe.", {"service": metrics.OPEN, "kind": ("a", "b")}),
        metrics.Counter("watercooler_probe_total", "A probe.", ("service", "kind"), registry=None),
    )
    for number in range(metrics.SERIES_MAX):
        family.labels(service=f"s{number}", kind="a")
    late = family.labels(service="one too many", kind="b")
    assert late is family.labels(service="and another", kind="b")
    assert late is not family.labels(service="s1", kind="a")


def test_listed_series_start_at_zero() -> None:
    assert metrics.value("watercooler_import_records_total", kind="community", outcome="rejected") == 0


@pytest.mark.parametrize(("rank", "bucket"), [(1, "1"), (3, "3"), (4, "4-10"), (10, "4-10"), (11, "11+"), (5000, "11+")])
def test_ranks_fall_in_their_bucket(rank: int, bucket: str) -> None:
    assert metrics.rank_bucket(rank) == bucket
    metrics.SEARCH_CLICKS.labels(rank=metrics.rank_bucket(rank))


def test_a_rank_counts_from_one() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        metrics.rank_bucket(0)


def test_prometheus_and_openmetrics_are_both_written() -> None:
    body, content_type = metrics.exposition()
    assert content_type.startswith("text/plain")
    plain = {family.name for family in read_text(body.decode())}
    body, content_type = metrics.exposition("application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")
    openmetrics = {family.name for family in read_openmetrics(body.decode())}
    assert "watercooler_posts" in plain & openmetrics
    assert "python_info" in plain & openmetrics


ACCEPT = r"(application/openmetrics-text|text/plain);(version|escaping|q)=[^,]{0,9}(,.{0,9})?"


@given(st.one_of(st.text(max_size=80), st.from_regex(ACCEPT)))
def test_any_accept_header_is_answered(accept: str) -> None:
    body, content_type = metrics.exposition(accept)
    assert b"watercooler_posts" in body
    assert "charset=utf-8" in content_type
