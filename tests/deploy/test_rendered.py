"""What holds for every object the chart makes, under every set of values."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from libs.runtime.settings import load
from tests.deploy.chart import (
    CASES,
    CHART,
    Object,
    case,
    containers,
    hook_events,
    hook_weight,
    identity,
    labels,
    matches,
    of_kind,
    pods,
    render,
    values_of,
)

pytestmark = pytest.mark.parametrize("name", CASES)

# Images that the chart may name: the network's own, and those of the try-out engines.
OWN_IMAGES = ("watercooler:", "images.example.org/watercooler@sha256:")
VOLUMES_OF_RESTRICTED = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def test_restricted(name: str) -> None:
    """Every pod fulfils the Pod Security Standard `restricted`, and no container of the network's own may write to its image."""
    for item, pod in pods(case(name)):
        spec = pod["spec"]
        shared = spec.get("securityContext", {})
        assert not {"hostNetwork", "hostPID", "hostIPC"} & {key for key, value in spec.items() if value}, identity(item)
        for volume in spec.get("volumes", []):
            assert (set(volume) - {"name"}) <= VOLUMES_OF_RESTRICTED, (identity(item), volume)
        for container in containers(pod):
            where = (*identity(item), container["name"])
            own = container.get("securityContext", {})
            assert own.get("allowPrivilegeEscalation") is False, where
            assert own.get("capabilities", {}).get("drop") == ["ALL"], where
            assert not own.get("capabilities", {}).get("add"), where
            assert not own.get("privileged"), where
            assert own.get("runAsNonRoot", shared.get("runAsNonRoot")) is True, where
            assert own.get("runAsUser", shared.get("runAsUser")) != 0, where
            assert own.get("seccompProfile", shared.get("seccompProfile", {})).get("type") in ("RuntimeDefault", "Localhost"), where
            assert not any(port.get("hostPort") for port in container.get("ports", [])), where
            if container["image"].startswith(OWN_IMAGES):
                assert own.get("readOnlyRootFilesystem") is True, where


def test_no_token_and_no_link(name: str) -> None:
    """No pod gets a token of the cluster, nor variables named by Services, which would not be settings."""
    objects = case(name)
    accounts = {each["metadata"]["name"]: each for each in of_kind(objects, "ServiceAccount")}
    assert all(each["automountServiceAccountToken"] is False for each in accounts.values())
    for item, pod in pods(objects):
        assert pod["spec"]["automountServiceAccountToken"] is False, identity(item)
        assert pod["spec"]["enableServiceLinks"] is False, identity(item)
        account = pod["spec"].get("serviceAccountName", "default")
        assert account == "default" or account in accounts, (identity(item), account)


def test_names_are_unique_and_short(name: str) -> None:
    """No object is there twice, and the longest release name Helm allows still gives names Kubernetes takes."""
    objects = case(name)
    assert [
        each for each, count in Counter((each["apiVersion"].split("/")[0], *identity(each)) for each in objects).items() if count > 1
    ] == []
    for item in render(*CASES[name], release="x" * 53):
        assert len(item["metadata"]["name"]) <= 63, identity(item)
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", item["metadata"]["name"]), identity(item)
        for value in item["metadata"].get("labels", {}).values():
            assert re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", value), (identity(item), value)
        for _, pod in pods([item]):
            assert all(len(value) <= 63 for value in labels(pod).values()), identity(item)


def references(pod: Object) -> Iterator[tuple[str, str, set[str], bool]]:
    """Secrets and ConfigMaps a pod needs: kind, name, entries (none: all of it), whether it may be absent."""
    for container in containers(pod):
        for variable in container.get("env", []):
            for key, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                if source := variable.get("valueFrom", {}).get(key):
                    yield kind, source["name"], {source["key"]}, source.get("optional", False)
        for source in container.get("envFrom", []):
            for key, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
                if key in source:
                    yield kind, source[key]["name"], set(), source[key].get("optional", False)
    for volume in pod["spec"].get("volumes", []):
        sources = [volume, *volume.get("projected", {}).get("sources", [])]
        for source in sources:
            for key, kind in (("secret", "Secret"), ("configMap", "ConfigMap")):
                if key in source:
                    found = source[key]
                    yield (
                        kind,
                        found.get("secretName") or found["name"],
                        {each["key"] for each in found.get("items", [])},
                        found.get("optional", False),
                    )
    for secret in pod["spec"].get("imagePullSecrets", []):
        yield "Secret", secret["name"], set(), False


def named_by_user(values: Any) -> set[str]:
    """Every Secret that values name as existing."""
    if isinstance(values, dict):
        own = {value for key, value in values.items() if key == "existingSecret" and value}
        return own.union(*(named_by_user(each) for each in values.values())) if values else own
    return set()


def made(objects: list[Object]) -> dict[tuple[str, str], tuple[Object, set[str] | None]]:
    """The Secrets and ConfigMaps that the objects are or lead to, with their entries where these are known."""
    found: dict[tuple[str, str], tuple[Object, set[str] | None]] = {}
    for item in objects:
        kind, name = identity(item)
        if kind in ("Secret", "ConfigMap"):
            found[kind, name] = (item, {*item.get("data", {}), *item.get("stringData", {})})
        elif kind == "ExternalSecret":
            entries = None if item["spec"].get("dataFrom") else {each["secretKey"] for each in item["spec"].get("data", [])}
            found["Secret", item["spec"]["target"]["name"]] = (item, entries)
        elif kind == "Certificate":
            found["Secret", item["spec"]["secretName"]] = (item, {"tls.crt", "tls.key", "ca.crt"})
        elif kind == "Kafka":  # the operator publishes the authority of its brokers
            found["Secret", f"{name}-cluster-ca-cert"] = (item, None)
        elif kind == "OpenSearchCluster":
            found["Secret", f"{name}-admin-password"] = (item, {"username", "password"})
            found["Secret", f"{name}-http-cert"] = (item, None)
    return found


def test_references_resolve_and_hooks_needs_come_first(name: str) -> None:
    """What a pod needs is in the release or was named by the user; what a hook needs is there before it, at every event it runs at."""
    objects = case(name)
    there = made(objects)
    named = named_by_user(values_of(name)) | {each["name"] for each in values_of(name).get("imagePullSecrets") or []}
    accounts = {each["metadata"]["name"]: each for each in of_kind(objects, "ServiceAccount")}
    for item, pod in pods(objects):
        needed: list[Object] = []
        for kind, wanted, entries, optional in references(pod):
            if (kind, wanted) in there:
                source, known = there[kind, wanted]
                assert known is None or entries <= known, (identity(item), wanted, entries - known)
                needed.append(source)
            else:
                assert optional or wanted in named, f"{identity(item)} needs {kind} {wanted}, which nobody makes or names"
        if account := accounts.get(pod["spec"].get("serviceAccountName", "")):
            needed.append(account)
        if (events := hook_events(item)) and "test" not in events:
            for each in needed:
                assert hook_events(each) >= events, f"{identity(item)} runs before {identity(each)} is there"
                assert hook_weight(each) < hook_weight(item), f"{identity(each)} must come before {identity(item)}"


def test_every_named_secret_is_honoured(name: str) -> None:
    """Each Secret a user names is used by a pod or an object somewhere: none is ignored."""
    objects = case(name)
    text = yaml.safe_dump_all(objects)
    used = {wanted for _, pod in pods(objects) for _, wanted, _, _ in references(pod)}
    for wanted in named_by_user(values_of(name)):
        assert wanted in used or re.search(rf"name: {re.escape(wanted)}\b", text), wanted


def test_no_hook_waits_for_what_waits_for_it(name: str) -> None:
    """Migrations run before the release or in its pods, never after it: `--wait` waits for the pods, which wait for the schema."""
    for item in case(name):
        events = hook_events(item)
        assert not events - {"pre-install", "pre-upgrade", "test"}, identity(item)
        if events:
            assert "before-hook-creation" in item["metadata"]["annotations"]["helm.sh/hook-delete-policy"], identity(item)
    if engines := values_of(name).get("engines"):
        assert engines
        assert not [each for each in case(name) if each["kind"] == "Job"], "a hook cannot wait for an engine of the same release"
        for item in of_kind(case(name), "Deployment"):
            assert [each["name"] for each in item["spec"]["template"]["spec"]["initContainers"]][-2:] == ["migrate", "topics"], identity(
                item
            )


def test_variables_are_settings(name: str, tmp_path: Path) -> None:
    """Every variable the chart gives a process is a setting, with a value it takes; none is missing that `serve` needs."""
    secrets = {
        "database-url": "postgresql://water:secret@postgres:5432/watercooler_{service}",
        "secret-key": "k" * 48,
        "smtp-url": "smtps://mail.example.org",
        "kafka-password": "p",
        "search-password": "p",
        "blob-secret-key": "p",
    }
    for item, pod in pods(case(name)):
        for container in containers(pod):
            if not container["image"].startswith(OWN_IMAGES) or container["name"] == "test":
                continue
            mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
            environ: dict[str, str] = {}
            for variable in container["env"]:
                value = variable.get("value", "x")
                if value.startswith("/etc/watercooler/"):
                    folder = value.rpartition("/")[0]
                    assert folder in mounts or value in mounts, f"{identity(item)}: {variable['name']} is not mounted"
                    if value.startswith("/etc/watercooler/secrets/"):
                        volume = next(each for each in pod["spec"]["volumes"] if each["name"] == mounts["/etc/watercooler/secrets"])
                        paths = [each["path"] for source in volume["projected"]["sources"] for each in source["secret"]["items"]]
                        assert value.rpartition("/")[2] in paths, f"{identity(item)}: {variable['name']}"
                    path = tmp_path / value.lstrip("/")
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if not path.is_dir():
                        path.write_text(secrets.get(path.name, "x"), "utf-8")
                    value = str(path)
                environ[variable["name"]] = value
            assert len(environ) == len(container["env"]), f"{identity(item)}: a variable stands there twice"
            settings = load({key: value for key, value in environ.items() if key.startswith("WATERCOOLER_")})
            assert ("{service}" in settings.database_url) == (container["name"] != "topics"), identity(item)
            assert settings.kafka_brokers


def test_pods_and_what_points_at_them(name: str) -> None:
    """Services, budgets and scalers find their pods, probes ask ports that are there, and what is scaled has no fixed number."""
    objects = case(name)
    workloads = {identity(item): (item, pod) for item, pod in pods(objects)}
    by_deployment = {item["metadata"]["name"]: item for item in of_kind(objects, "Deployment")}
    for item in of_kind(objects, "Deployment", "StatefulSet"):
        assert matches(item["spec"]["selector"], labels(item["spec"]["template"])), identity(item)
    for item in of_kind(objects, "Service"):
        found = [pod for _, pod in workloads.values() if matches({"matchLabels": item["spec"]["selector"]}, labels(pod))]
        assert found, identity(item)
        if item["metadata"]["labels"]["app.kubernetes.io/component"] == "metrics":
            continue
        assert len(found) == 1, identity(item)
        ports = {key for each in containers(found[0]) for port in each.get("ports", []) for key in (port["name"], port["containerPort"])}
        assert {each["targetPort"] for each in item["spec"]["ports"]} <= ports, identity(item)
    for item in of_kind(objects, "PodDisruptionBudget"):
        assert len([each for each in by_deployment.values() if matches(item["spec"]["selector"], labels(each["spec"]["template"]))]) == 1, (
            identity(item)
        )
    for item in of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject"):
        target = by_deployment[item["spec"]["scaleTargetRef"]["name"]]
        assert "replicas" not in target["spec"], identity(item)
    for item in of_kind(objects, "Deployment"):
        spec = item["spec"]["template"]["spec"]
        assert spec["terminationGracePeriodSeconds"] >= 30
        ports = {key for port in spec["containers"][0]["ports"] for key in (port["name"], port["containerPort"])}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = spec["containers"][0][probe]
            assert (asked.get("httpGet") or asked.get("grpc"))["port"] in ports, (identity(item), probe)


def test_calls_are_probed_by_grpc_where_a_kubelet_can(name: str) -> None:
    """A service's api is asked by gRPC, but over its status port where it speaks TLS, which a kubelet does not."""
    tls = bool((values_of(name).get("tls") or {}).get("enabled"))
    for item in of_kind(case(name), "Deployment"):
        container = item["spec"]["template"]["spec"]["containers"][0]
        by_grpc = container["args"][2:] == ["--role", "api"] and container["args"][1] != "gateway" and not tls
        assert ("grpc" in container["readinessProbe"]) == by_grpc, identity(item)


def test_nothing_that_cannot_change_does(name: str, tmp_path: Path) -> None:
    """Another version of chart and image changes no field that Kubernetes refuses to change, and no name."""
    newer = tmp_path / "chart"
    shutil.copytree(CHART, newer)
    about = yaml.safe_load((newer / "Chart.yaml").read_text("utf-8"))
    (newer / "Chart.yaml").write_text(yaml.safe_dump(about | {"version": "99.1.2", "appVersion": "98.7.6"}), "utf-8")
    before, after = case(name), render(*CASES[name], chart=newer)

    def fixed(objects: list[Object]) -> dict[tuple[str, str], Any]:
        return {
            identity(each): {
                "Deployment": lambda spec: spec["selector"],
                "StatefulSet": lambda spec: {
                    key: value for key, value in spec.items() if key not in ("replicas", "template", "updateStrategy")
                },
                "Service": lambda spec: (spec.get("clusterIP"), spec["selector"]),
                "PodDisruptionBudget": lambda spec: spec["selector"],
                "NetworkPolicy": lambda spec: spec,
            }.get(each["kind"], lambda _: None)(each.get("spec"))
            for each in objects
        }

    assert fixed(before) == fixed(after)
    for item in of_kind(after, "Deployment", "StatefulSet"):
        assert "99.1.2" not in yaml.safe_dump(item["spec"]), f"{identity(item)} restarts only because the chart has another version"


def test_no_images_of_others(name: str) -> None:
    """The chart runs the network's image alone, but for the engines of a try-out, whose images the values name."""
    allowed = set((yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["engines"]["tryout"]["images"]).values())
    tryout = bool(((values_of(name).get("engines") or {}).get("tryout") or {}).get("enabled"))
    for item, pod in pods(case(name)):
        for container in containers(pod):
            if container["image"].startswith(OWN_IMAGES) or container["name"] in ("sidecar", "before"):
                continue
            assert tryout and container["image"] in allowed, identity(item)


def test_resources_are_asked_for(name: str) -> None:
    """Every container says what it needs, unless the values took that away."""
    if name == "empty":
        return
    for item, pod in pods(case(name)):
        for container in containers(pod):
            if container["name"] in ("sidecar", "before"):
                continue
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), identity(item)
            assert "memory" in container["resources"]["limits"], identity(item)
