"""What a PromQL expression names, and promtool where it is to be had."""
from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from libs.telemetry import metrics
from tests.cluster.engines import downloads
from tests.cluster.engines.processes import EngineError
from tests.deploy.chart import TOOLS

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/helm/watercooler/rules"
DASHBOARDS = ROOT / "deploy/helm/watercooler/dashboards"

# What others expose of us and our engines: the kubelet, kube-state-metrics and the Strimzi or danielqsj Kafka exporter, in these versions
# or newer; and what the Prometheus client adds about the process.
OTHERS = {
    "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes",
    "kube_pod_container_resource_limits", "kube_pod_container_status_restarts_total",
    "kafka_consumergroup_lag", "kafka_topic_partition_current_offset",
    "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_max_fds", "process_start_time_seconds",
    "up",
}
KEYWORDS = {
    "and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right", "inf", "nan",
    "atan2", "start", "end",
}
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "gauge": ("",), "counter": ("",)}


def declared() -> set[str]:
    """The series that the code declares, as they are exposed."""
    found = set()
    for family in metrics.REGISTRY.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        if name in {one.name for one in metrics.DECLARED}:
            found |= {name + suffix for suffix in SUFFIXES[family.type]}
    return found


def groups() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every rule, with the file it stands in."""
    for path in sorted(RULES.glob("*.yaml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                yield path, rule


def recorded() -> set[str]:
    """The series that recording rules make."""
    return {rule["record"] for _, rule in groups() if "record" in rule}


def names(expression: str) -> set[str]:
    """The metrics that an expression names."""
    text = re.sub(r'"(\\.|[^"\\])*"', '""', expression)
    text = re.sub(r"#.*", "", text)
    text = re.sub(r"\{[^{}]*\}", " ", text)
    text = re.sub(r"\[[^\]]*\]", " ", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)", " ", text)
    found = re.findall(r"(?<![\w:.])([a-zA-Z_:][\w:]*)\b(?!\s*\()", text)
    return {name for name in found if name.lower() not in KEYWORDS}


def unknown(expression: str) -> set[str]:
    """The metrics an expression names that nobody exposes."""
    return names(expression) - declared() - recorded() - OTHERS


@pytest.fixture(scope="session")
def promtool() -> Path:
    """promtool: the one that `make helm-check` builds, the installed one, or Debian's where the tests of the cluster have it already."""
    if (TOOLS / "promtool").exists():
        return TOOLS / "promtool"
    cached = downloads.CACHE / "prometheus" / "usr" / "bin" / "promtool"
    if not (cached.exists() or shutil.which("promtool")):
        pytest.skip("promtool is not here: run `make helm-check`")
    try:
        return downloads.prometheus() / "promtool"
    except EngineError as error:
        pytest.skip(f"promtool is not to be had: {error}")


def run(promtool: Path, *arguments: str | Path) -> tuple[int, str]:
    """Its exit status and everything it says."""
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, timeout=110, check=False)
    return done.returncode, done.stdout + done.stderr
