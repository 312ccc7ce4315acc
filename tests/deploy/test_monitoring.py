"""What Prometheus and Grafana are given by the chart: the rules and dashboards of the files, whole, with links to the runbooks."""
from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.deploy.chart import Object, of_kind, render
from tests.deploy.promql import DASHBOARDS, RULES

MONITORED = {"rules": {"enabled": True}, "dashboards": {"enabled": True}, "serviceMonitor": {"enabled": True}}


def objects(**rules: str) -> list[Object]:
    monitoring: dict[str, Any] = {**MONITORED, "rules": {"enabled": True, **rules}}
    return render("ci/all-external-values.yaml", values={"monitoring": monitoring})


def test_every_rule_reaches_prometheus_as_it_stands() -> None:
    [rules] = of_kind(objects(), "PrometheusRule")
    wanted = [group for path in sorted(RULES.glob("*.yaml")) for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    assert sorted(rules["spec"]["groups"], key=lambda group: group["name"]) == sorted(wanted, key=lambda group: group["name"])


@pytest.mark.parametrize("address", ["https://git.example.org/docs/runbooks", "https://git.example.org/docs/runbooks/"])
def test_alerts_lead_to_where_the_runbooks_are_read(address: str) -> None:
    [rules] = of_kind(objects(runbooksUrl=address), "PrometheusRule")
    links = [rule["annotations"]["runbook_url"] for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert links
    assert all(link.startswith("https://git.example.org/docs/runbooks/") and link.endswith(".md") for link in links)
    assert all(link.count("runbooks") == 1 for link in links)


def test_every_dashboard_reaches_grafana_as_it_stands() -> None:
    data = [entry for item in of_kind(objects(), "ConfigMap") for entry in (item.get("data") or {}).items()]
    found = {name: json.loads(text) for name, text in data if name.endswith(".json")}
    assert found == {path.name: json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS.glob("*.json")}
    # A ConfigMap holds 1 MiB at most.
    assert all(len(path.read_bytes()) < 500_000 for path in DASHBOARDS.glob("*.json"))


def test_labels_of_ours_are_kept_when_prometheus_has_the_same() -> None:
    [monitor] = of_kind(objects(), "ServiceMonitor")
    assert all(endpoint["honorLabels"] is True for endpoint in monitor["spec"]["endpoints"]), "`service` would become `exported_service`"
