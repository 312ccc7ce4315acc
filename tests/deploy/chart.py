"""The chart, rendered by helm as a user would, and what is needed to look at the objects."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/watercooler"
TOOLS = ROOT / ".tools/bin"
HELM = TOOLS / "helm"
RELEASE, NAMESPACE = "wc", "net"

# The one in C where there is one: the rendered text is long.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Object = dict[str, Any]

# The values an administrator would start from; the sizes are rendered over the ones with every engine outside.
CASES: dict[str, tuple[str, ...]] = {
    path.name.removesuffix("-values.yaml"): (f"ci/{path.name}",) for path in sorted((CHART / "ci").glob("*.yaml"))
} | {size: ("ci/all-external-values.yaml", f"values-{size}.yaml") for size in ("small", "medium", "large")}


class HelmRefused(Exception):
    """Helm did not render; the message is what the user would see."""


@functools.cache
def _text(files: tuple[str, ...], values: str, release: str, chart: Path) -> str:
    command = [str(HELM), "template", release, str(chart), "--namespace", NAMESPACE]
    for file in files:
        command += ["--values", str(chart / file)]
    if values:
        command += ["--values", "-"]
    done = subprocess.run(command, input=values, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise HelmRefused(done.stderr)
    return done.stdout


def render(*files: str, values: Any = None, release: str = RELEASE, chart: Path = CHART) -> list[Object]:
    """The objects of the chart under values files (relative to the chart) and further values; not to be changed. Raises HelmRefused."""
    return _parsed(_text(files, json.dumps(values) if values is not None else "", release, chart))


@functools.cache
def _parsed(text: str) -> list[Object]:
    return [each for each in yaml.load_all(text, Loader=LOADER) if each]


def case(name: str) -> list[Object]:
    """The objects of one of CASES."""
    return render(*CASES[name])


def values_of(name: str) -> dict[str, Any]:
    """What one of CASES sets, later files over earlier ones."""
    found: dict[str, Any] = {}
    for file in CASES[name]:
        found = _over(found, yaml.safe_load((CHART / file).read_text("utf-8")) or {})
    return found


def _over(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _over(lower[key], upper[key])
        for key in lower.keys() & upper.keys()
        if isinstance(lower[key], dict) and isinstance(upper[key], dict)
    }
    return lower | upper | both


def identity(item: Object) -> tuple[str, str]:
    """Kind and name."""
    return item["kind"], item["metadata"]["name"]


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """The objects of these kinds."""
    return [each for each in objects if each["kind"] in kinds]


def hook_events(item: Object) -> set[str]:
    """The events an object is a hook of; empty for an ordinary one."""
    text = item["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    return {each.strip() for each in text.split(",") if each.strip()}


def hook_weight(item: Object) -> int:
    """Its place among the hooks."""
    return int(item["metadata"].get("annotations", {}).get("helm.sh/hook-weight", "0"))


def pods(objects: list[Object]) -> Iterator[tuple[Object, Object]]:
    """Every object that makes pods, with the pod (metadata and spec)."""
    for item in objects:
        if item["kind"] == "Pod":
            yield item, item
        elif item["kind"] in ("Deployment", "StatefulSet", "Job", "DaemonSet"):
            yield item, item["spec"]["template"]


def containers(pod: Object) -> list[Object]:
    """Those of a pod, the ones that run before included."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def labels(pod: Object) -> dict[str, str]:
    """The labels of a pod."""
    return pod["metadata"].get("labels", {})


def matches(selector: Object, of: dict[str, str]) -> bool:
    """Whether a selector (only of labels that are equal) takes an object with these labels."""
    assert not set(selector) - {"matchLabels"}, f"only matchLabels is expected: {selector}"
    return all(of.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
