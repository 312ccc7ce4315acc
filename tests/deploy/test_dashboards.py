"""The Grafana dashboards: every expression parses, names only what is exposed, and every panel says what it shows."""
from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.promql import DASHBOARDS, OTHERS, ROOT, declared, names, promtool, recorded, run, unknown

__all__ = ["promtool"]

NEEDS_HELM = False
NAMES = ("engagement", "operation", "events")
# What Grafana fills in.
FILLED = {"$__rate_interval": "5m", "$__range": "6h", "$__interval": "1m", "$namespace": ".*", "$service": ".*", "$group": ".*"}
UNITS = {"short", "s", "percentunit", "reqps", "cps", "bytes"}


def dashboard(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DASHBOARDS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in dashboard(name)["panels"] if panel["type"] not in ("row", "text")]


def filled(expression: str) -> str:
    for name, value in FILLED.items():
        expression = expression.replace(name, value)
    return expression


def expressions() -> Iterator[tuple[str, str, str]]:
    """Dashboard, panel and each expression as Prometheus is asked."""
    for name in NAMES:
        for panel in panels(name):
            for target in panel["targets"]:
                yield name, panel["title"], filled(target["expr"])


def test_there_are_these_dashboards() -> None:
    assert {path.stem for path in DASHBOARDS.glob("*.json")} == set(NAMES)
    assert len({dashboard(name)["uid"] for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_promtool_parses_every_expression(promtool: Path, tmp_path: Path, name: str) -> None:
    # Each expression as a recording rule of its own: JSON is YAML, too.
    rules = [
        {"record": f"panel:expression:{number}", "expr": expression}
        for number, (board, _, expression) in enumerate(expressions()) if board == name
    ]
    assert rules
    path = tmp_path / "expressions.yaml"
    path.write_text(json.dumps({"groups": [{"name": name, "rules": rules}]}), encoding="utf-8")
    status, said = run(promtool, "check", "rules", path)
    assert status == 0, said
    assert f"{len(rules)} rules found" in said


@pytest.mark.parametrize(("name", "title", "expression"), list(expressions()))
def test_an_expression_names_only_what_is_exposed(name: str, title: str, expression: str) -> None:
    assert "$" not in expression, "a variable that Grafana would not fill in"
    assert names(expression)
    assert unknown(expression) == set()
    if not names(expression) <= OTHERS:
        assert 'namespace=~".*"' in expression, "the dashboard's namespace counts in every panel"


@pytest.mark.parametrize("name", NAMES)
def test_labels_and_their_values_are_declared(name: str) -> None:
    from libs.telemetry import metrics

    known = {one.name: one.labels for one in metrics.DECLARED}
    for _, title, expression in expressions():
        for metric, matchers in re.findall(r"([a-z_]+)\{([^{}]*)\}", expression):
            base = metric if metric in known else re.sub(r"_(bucket|count|sum)$", "", metric)
            if base not in known:
                continue
            for label, operator, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', matchers):
                if label == "namespace":
                    continue
                assert label in known[base] or label == "le", f"{title}: {metric} has no label {label}"
                allowed = known[base].get(label, ())
                for each in value.split("|") if allowed and value != ".*" else ():
                    assert each in allowed, f"{title}: {label} is never {each} ({operator})"


@pytest.mark.parametrize("name", NAMES)
def test_no_source_of_data_is_fixed_and_variables_are_declared(name: str) -> None:
    board = dashboard(name)
    declared_variables = {variable["name"] for variable in board["templating"]["list"]}
    assert {"datasource", "namespace"} <= declared_variables
    assert board["templating"]["list"][0]["type"] == "datasource"
    text = json.dumps(board)
    used = set(re.findall(r"\$\{?([a-z]+)\b", text)) - {"datasource"}
    assert used <= declared_variables
    assert declared_variables - {"datasource"} <= used
    for panel in panels(name):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
    for variable in board["templating"]["list"][1:]:
        assert variable["datasource"]["uid"] == "${datasource}"
        metric = re.match(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
        assert metric is not None
        assert metric[1] in declared() | OTHERS
        assert variable["allValue"] == ".*", "All includes what has no such label"


@pytest.mark.parametrize("name", NAMES)
def test_panels_explain_themselves_and_do_not_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in dashboard(name)["panels"]]
    assert len(ids) == len(set(ids))
    for panel in dashboard(name)["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    titles = [panel["title"] for panel in panels(name)]
    for panel in panels(name):
        assert panel["title"]
        assert panel["description"].endswith((".", ".md")), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
        for page in re.findall(r"docs/[\w/-]+\.md", panel["description"]):
            assert (ROOT / page).exists(), page
        if len(panel["targets"]) > 1 or panel["type"] == "timeseries":
            assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
    assert len(titles) >= 12


def test_every_recorded_figure_is_shown_or_alerted_on() -> None:
    from tests.deploy.promql import groups

    used = {name for _, _, expression in expressions() for name in names(expression)}
    used |= {name for _, rule in groups() for name in names(rule["expr"])}
    assert recorded() - used == set()
