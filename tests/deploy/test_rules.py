"""Recording rules and alerts: they parse, name only what is exposed, lead to a runbook, and each is tested by promtool."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from libs.runtime import cluster_commands
from libs.runtime.cli import build
from services.importer import cli as importer
from services.main import SERVICES
from tests.deploy.promql import ROOT, RULES, declared, groups, names, promtool, recorded, run, unknown

__all__ = ["promtool"]

NEEDS_HELM = False
TESTS = Path(__file__).parent / "rules"
RUNBOOKS = ROOT / "docs/runbooks"
SECTIONS = ["What it means", "How to look", "How to mend", "How to know that it is over"]
ALL = list(groups())
ALERTS = [rule for _, rule in ALL if "alert" in rule]


@pytest.mark.parametrize("path", sorted(RULES.glob("*.yaml")), ids=lambda path: path.stem)
def test_promtool_accepts_the_rules(promtool: Path, path: Path) -> None:
    status, said = run(promtool, "check", "rules", "--lint-fatal", path)
    assert status == 0, said


@pytest.mark.parametrize("path", sorted(TESTS.glob("*_test.yaml")), ids=lambda path: path.stem)
def test_promtool_passes_the_tests(promtool: Path, path: Path) -> None:
    status, said = run(promtool, "test", "rules", path)
    assert status == 0, said


def test_promtool_refuses_what_is_wrong(promtool: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("groups: [{name: g, rules: [{record: a:b, expr: 'sum by (x watercooler_posts_total'}]}]\n", encoding="utf-8")
    assert run(promtool, "check", "rules", broken)[0] != 0


def test_every_rule_is_tested() -> None:
    tested = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.glob("*_test.yaml"))
    missing = [name for _, rule in ALL if not re.search(rf"\b{re.escape(name := rule.get('alert') or rule['record'])}\b", tested)]
    assert missing == []
    for path in TESTS.glob("*_test.yaml"):
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            assert test.get("alert_rule_test") or test.get("promql_expr_test"), test["name"]
    firing = {
        each["alertname"]
        for path in TESTS.glob("*_test.yaml")
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for each in test.get("alert_rule_test", ())
        if each["exp_alerts"]
    }
    assert firing == {rule["alert"] for rule in ALERTS}, "each alert fires in some test"


@pytest.mark.parametrize("rule", [rule for _, rule in ALL], ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_names_only_what_is_exposed(rule: dict[str, Any]) -> None:
    assert names(rule["expr"])
    assert unknown(rule["expr"]) == set()
    if "record" in rule:
        assert re.fullmatch(r"watercooler:[a-z0-9_]+:[a-z0-9_]+", rule["record"])
        assert "namespace" in rule["expr"] or names(rule["expr"]) <= recorded(), "several networks in one Prometheus stay apart"


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_means_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert set(rule["labels"]) == {"severity"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["description"].endswith(".")
    assert not rule["annotations"]["summary"].endswith(".")
    runbook = ROOT / rule["annotations"]["runbook_url"]
    assert runbook.parent == RUNBOOKS
    assert f"`{rule['alert']}`" in runbook.read_text(encoding="utf-8"), "the runbook says which alerts lead to it"


def test_gauges_of_the_whole_network_are_not_added_up() -> None:
    whole = {
        "watercooler_active_people", "watercooler_visiting_people", "watercooler_recent_posts", "watercooler_recent_conversations",
        "watercooler_recent_announcements", "watercooler_announcement_people",
    }
    assert whole <= declared()
    for _, rule in ALL:
        for name in whole & names(rule["expr"]):
            for found in re.finditer(rf"(\w+)\s+by\s*\([^)]*\)\s*\({name}", rule["expr"]):
                assert found[1] == "max", rule["record"]


RUNBOOK_FILES = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")


def commands(group: click.Group) -> dict[str, click.Command]:
    """Every command by its words: `parked list`."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {inner}": each for inner, each in commands(command).items()}
    return found


@pytest.mark.parametrize("path", RUNBOOK_FILES, ids=lambda path: path.stem)
def test_a_runbook_leads_from_the_alert_to_its_end(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    named = set(re.findall(r"`(Watercooler\w+)`", text))
    assert named & {rule["alert"] for rule in ALERTS}, "an alert leads here"
    assert named <= {rule["alert"] for rule in ALERTS}
    known = declared()
    for name in re.findall(r"\b(watercooler_[a-z_]+)\b", text):
        assert any(each.startswith(name) for each in known), name
    for name in re.findall(r"\b(watercooler:[a-z_0-9:]+)\b", text):
        assert name in recorded(), name
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (path.parent / link).exists(), link


@pytest.mark.parametrize("path", RUNBOOK_FILES, ids=lambda path: path.stem)
def test_the_commands_of_a_runbook_exist(path: Path) -> None:
    program = build(SERVICES)
    importer.register(program)
    cluster_commands.register(program)
    known = commands(program)
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("    ")]
    for line in lines:
        for words in re.findall(r"(?:^|-- |\$ |; )\s*watercooler ([a-z][a-z -]*)", line.split("#")[0]):
            given = words.split()
            name = next((" ".join(given[:count]) for count in (2, 1) if " ".join(given[:count]) in known), None)
            assert name is not None, line
            if isinstance(known[name], click.Group):
                assert len(given) == 1, f"{line}: there is no such command"
