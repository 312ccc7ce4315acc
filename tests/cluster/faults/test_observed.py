"""Prometheus over the running cluster with the rules of the chart: every process is seen, every rule can be evaluated."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.cluster.cluster import ROOT, eventually
from tests.cluster.engines.prometheus import Prometheus
from tests.cluster.faults.stage import Stage
from tests.cluster.writer import Writer

pytestmark = pytest.mark.timeout(300)
RULES = sorted((ROOT / "deploy" / "helm" / "watercooler" / "rules").glob("*.yaml"))


def test_prometheus_sees_every_process_and_evaluates_every_rule(
    stage: Stage, prometheus: Callable[[Sequence[str], Sequence[Path]], Prometheus]
) -> None:
    cluster = stage.cluster
    server = prometheus([f"127.0.0.1:{port}" for port in cluster.status_ports.values()], RULES)

    def total(expression: str) -> float:
        return sum(float(series["value"][1]) for series in server.query(expression))

    with Writer(cluster, stage.admin) as writer:
        eventually("all processes are seen", lambda: total("sum(up)") == len(cluster.processes))
        eventually("the relay is seen to publish", lambda: total("sum(rate(watercooler_relay_events_total[1m]))") > 0)
        writer.wait_for_more(5)

    def rules() -> list[dict[str, str]]:
        with urllib.request.urlopen(f"{server.url}/api/v1/rules", timeout=15) as answer:
            return [rule for group in json.load(answer)["data"]["groups"] for rule in group["rules"]]

    assert rules(), "the chart has no rules"
    eventually("every rule was evaluated", lambda: all(rule["health"] != "unknown" for rule in rules()))
    assert [rule["name"] + ": " + rule.get("lastError", "") for rule in rules() if rule["health"] != "ok"] == []
