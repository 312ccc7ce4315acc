"""What the tools of others say of the chart: kubeconform by the schemas of Kubernetes, kube-score by its habits; and both can refuse."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart import CASES, CHART, ROOT, TOOLS, Object, case, identity, of_kind

# The lowest and the newest Kubernetes the chart is for (Chart.yaml names the lowest).
VERSIONS = ("1.34.0", "1.37.0")

TRYOUT = {"tryout", "tryout-without-volumes"}
# What kube-score would have otherwise, under which values (None: all) it is let through, and why.
ALLOWED: dict[str, tuple[set[str] | None, str]] = {
    "container-resources": (
        None,
        "no limit of CPU: a throttled process is slower for everybody who waits, and requests divide the node already",
    ),
    "container-image-pull-policy": (None, "IfNotPresent: a tag or digest of ours never changes its content"),
    "deployment-has-host-podantiaffinity": (None, "topology spread does it, which also knows zones"),
    "deployment-replicas": ({"everything", "small"}, "KEDA sets the number, or a thousand people can do without search for seconds"),
    "pod-probes": ({"everything"}, "the pod of `helm test` serves nobody, and kube-score takes the metrics' Service for one of its own"),
    "pod-probes-identical": (TRYOUT, "that their port takes connections is all that Kafka and the S3 store tell without a client"),
    "container-ephemeral-storage-request-and-limit": (
        {"empty", "everything"},
        "the values take all resources away, or add containers of the user's without any",
    ),
    "deployment-has-poddisruptionbudget": ({"empty", "nothing-optional"}, "the values take the budgets away"),
    "pod-networkpolicy": ({"nothing-optional"}, "the values take the policies away"),
    "container-security-context-user-group-id": (
        {"tryout", "tryout-without-volumes"},
        "the engines' images have users of their own, of low numbers",
    ),
    "container-security-context-readonlyrootfilesystem": (
        {"tryout", "tryout-without-volumes"},
        "Kafka's and OpenSearch's images write beside their data",
    ),
}


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The schemas of both versions, and ours of other people's resources."""
    folder = tmp_path_factory.mktemp("schemas")
    subprocess.run([sys.executable, ROOT / "scripts/kubernetes_schemas.py", folder, *VERSIONS], check=True, timeout=300)
    for name, schema in yaml.safe_load((Path(__file__).parent / "custom_resources.yaml").read_text("utf-8")).items():
        if name != ".":
            (folder / f"{name}.json").write_text(json.dumps(schema), "utf-8")
    return folder


def conform(schemas: Path, version: str, objects: list[Any]) -> tuple[int, str]:
    """What kubeconform says; a kind without a schema is an error to it."""
    done = subprocess.run(
        [
            TOOLS / "kubeconform",
            "-strict",
            "-kubernetes-version",
            version,
            "-output",
            "text",
            "-schema-location",
            f"{schemas}/{{{{.NormalizedKubernetesVersion}}}}{{{{.StrictSuffix}}}}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
            "-schema-location",
            f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        ],
        input=yaml.safe_dump_all(objects),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CASES)
def test_kubernetes_would_take_it(schemas: Path, name: str, version: str) -> None:
    """Every object has a schema and conforms to it, with no field that is not in it."""
    status, said = conform(schemas, version, case(name))
    assert status == 0, said


def changed(name: str, kind: str, path: list[Any], value: Any) -> Object:
    """An object of a case with one wrong field."""
    item: Any = copy.deepcopy(next(each for each in case(name) if each["kind"] == kind))
    here = item
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    return dict(item)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "kind", "path", "value"),
    [
        ("all-external", "Deployment", ["spec", "replicas"], "two"),
        ("all-external", "Deployment", ["spec", "template", "spec", "contaiers"], []),
        ("all-external", "NetworkPolicy", ["spec", "podselector"], {}),
        ("all-external", "Job", ["apiVersion"], "batch/v1beta1"),
        ("everything", "ServiceMonitor", ["spec", "endpoint"], []),
        ("everything", "HTTPRoute", ["spec", "rules", 0, "backendRefs", 0, "port"], "http"),
        ("everything", "ScaledObject", ["spec", "triggers", 0, "metadata", "lagThreshold"], 1000),
        ("everything", "Certificate", ["spec", "dnsName"], "x"),
        ("everything", "ExternalSecret", ["spec", "secretStoreRef"], {}),
        ("operators", "KafkaUser", ["spec", "authorization", "type"], "complex"),
        ("operators", "Cluster", ["spec", "instances"], "three"),
        ("operators", "OpenSearchCluster", ["spec", "nodePool"], []),
    ],
)
def test_what_is_wrong_is_refused(schemas: Path, name: str, kind: str, path: list[Any], value: Any, version: str) -> None:
    """The check can fail: for a wrong type, an unknown field, a version that is gone, and in other people's resources."""
    assert conform(schemas, version, [next(each for each in case(name) if each["kind"] == kind)])[0] == 0
    assert conform(schemas, version, [changed(name, kind, path, value)])[0] != 0


def test_a_kind_without_a_schema_is_refused(schemas: Path) -> None:
    """Nothing goes unchecked because nobody wrote its schema."""
    status, said = conform(schemas, VERSIONS[0], [{"apiVersion": "example.org/v1", "kind": "Unknown", "metadata": {"name": "x"}}])
    assert status != 0
    assert "could not find schema" in said


def test_the_chart_names_the_lowest_version() -> None:
    """Chart.yaml and these tests mean the same lowest Kubernetes."""
    about = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert about["kubeVersion"] == f">={VERSIONS[0]}-0"


def allowed(check: str, name: str) -> bool:
    """Whether a finding is let through under the values of a case."""
    cases, _ = ALLOWED.get(check, (set(), ""))
    return cases is None or name in cases


@pytest.mark.parametrize("name", CASES)
def test_kube_score(name: str) -> None:
    """kube-score finds nothing beyond what is allowed, with the reason beside it."""
    objects = [each for each in case(name) if not each["apiVersion"].endswith((".cnpg.io/v1",))]
    done = subprocess.run(
        [TOOLS / "kube-score", "score", "--output-format", "json", "--kubernetes-version", "v1.34", "-"],
        input=yaml.safe_dump_all(objects),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = json.loads(done.stdout)
    assert len(found) >= len(of_kind(objects, "Deployment", "StatefulSet", "Job")), done.stderr
    wrong = [
        (check["check"]["id"], item["object_name"], [comment["summary"] for comment in check.get("comments") or []])
        for item in found
        for check in item["checks"] or []
        if check["grade"] < 10 and not check["skipped"] and not allowed(check["check"]["id"], name)
    ]
    assert not wrong, "\n".join(map(str, wrong))


def test_kube_score_finds_what_is_wrong() -> None:
    """It can: a container that may become root, and one that asks for nothing."""
    item = changed("all-external", "Deployment", ["spec", "template", "spec", "containers", 0, "securityContext"], {"privileged": True})
    done = subprocess.run(
        [TOOLS / "kube-score", "score", "--output-format", "json", "-"],
        input=yaml.safe_dump(item),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    checks = {
        check["check"]["id"] for each in json.loads(done.stdout) for check in each["checks"] if check["grade"] < 10 and not check["skipped"]
    }
    assert "container-security-context-privileged" in checks, identity(item)
