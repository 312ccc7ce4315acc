"""Who reaches whom: the network policies against the services' manifests."""

from __future__ import annotations

from typing import Any

import pytest

from services.main import SERVICES
from tests.deploy.chart import RELEASE, Object, case, labels, matches, of_kind, pods, render

BY_NAME = {each.name: each for each in SERVICES}
MAY_CALL = {(each.name, other) for each in SERVICES for other in {*each.calls, *each.follows}}
ALL = ("ci/all-external-values.yaml",)


def policies_of(objects: list[Object], pod: Object) -> list[Object]:
    """The policies that select a pod."""
    return [each for each in of_kind(objects, "NetworkPolicy") if matches(each["spec"]["podSelector"], labels(pod))]


def role_pods(objects: list[Object]) -> dict[tuple[str, str], Object]:
    """The pods of services by service and role."""
    return {
        (labels(pod)["watercooler/service"], labels(pod)["watercooler/role"]): pod
        for _, pod in pods(objects)
        if "watercooler/role" in labels(pod)
    }


def port_matches(rule: Object, pod: Object, port: int) -> bool:
    """Whether a rule names a port of a pod, by number or name."""
    names = {each["name"]: each["containerPort"] for each in pod["spec"]["containers"][0]["ports"]}
    return not rule.get("ports") or any(names.get(each["port"], each["port"]) == port for each in rule["ports"])


def peer_matches(peers: list[Any] | None, pod: Object) -> bool:
    """Whether peers take a pod of the same namespace."""
    return not peers or any(
        "namespaceSelector" not in peer and "podSelector" in peer and matches(peer["podSelector"], labels(pod)) for peer in peers
    )


def reaches(objects: list[Object], source: Object, target: Object, port: int) -> bool:
    """Whether the policies let a pod call another."""
    out = any(
        port_matches(rule, target, port) and peer_matches(rule.get("to"), target)
        for policy in policies_of(objects, source)
        for rule in policy["spec"].get("egress", [])
    )
    into = any(
        port_matches(rule, target, port) and peer_matches(rule.get("from"), source)
        for policy in policies_of(objects, target)
        for rule in policy["spec"].get("ingress", [])
    )
    return out and into


@pytest.mark.parametrize("name", ["all-external", "empty", "tryout", "operators", "large"])
def test_services_reach_whom_their_manifests_name(name: str) -> None:
    """Exactly follows and calls lead to another service's api; nobody calls a worker."""
    objects = case(name)
    found = role_pods(objects)
    assert {service for service, _ in found} == set(BY_NAME)
    for (source, role), pod in found.items():
        for (target, other_role), other in found.items():
            if (source, role) == (target, other_role):
                continue
            may = other_role == "api" and (source, target) in MAY_CALL
            port = 8000 if target == "gateway" else 9000
            if target == "gateway":
                continue  # its port is open to people, see below; what calls it from inside is refused by egress
            assert reaches(objects, pod, other, port) == may, f"{source} {role} -> {target} {other_role}"


def test_no_service_calls_the_gateway() -> None:
    """No service may reach the gateway: only people do, and `helm test`."""
    objects = case("all-external")
    found = role_pods(objects)
    gateway = found["gateway", "api"]
    for (source, role), pod in found.items():
        assert not reaches(objects, pod, gateway, 8000), (source, role)
    test_pod = next(pod for item, pod in pods(objects) if item["kind"] == "Pod")
    assert reaches(objects, test_pod, gateway, 8000)
    assert not reaches(objects, test_pod, found["feed", "api"], 9000)


@pytest.mark.parametrize("name", ["all-external", "tryout"])
def test_everything_else_is_denied(name: str) -> None:
    """Every pod of the release is selected by a policy that denies both ways, engines of a try-out included."""
    objects = case(name)
    for item, pod in pods(objects):
        both = [each for each in policies_of(objects, pod) if set(each["spec"]["policyTypes"]) == {"Ingress", "Egress"}]
        assert any("ingress" not in each["spec"] and "egress" not in each["spec"] for each in both), item["metadata"]["name"]


def test_metrics_are_for_the_monitoring_only() -> None:
    """The status port is open to the peers named for metrics, and to nobody else."""
    for pod in role_pods(case("all-external")).values():
        rules = [
            rule
            for policy in policies_of(case("all-external"), pod)
            for rule in policy["spec"].get("ingress", [])
            if port_matches(rule, pod, 9090)
        ]
        assert [rule["from"] for rule in rules] == [[{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]]


def test_the_gateway_is_open_to_those_named() -> None:
    """From everywhere by default; where peers are named, from them and the pod of `helm test` alone."""
    gateway = role_pods(case("all-external"))["gateway", "api"]
    rules = [
        each
        for policy in policies_of(case("all-external"), gateway)
        for each in policy["spec"].get("ingress", [])
        if port_matches(each, gateway, 8000)
    ]
    assert rules == [{"ports": [{"protocol": "TCP", "port": "http"}]}]
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
    objects = render(*ALL, values={"networkPolicy": {"gatewayFrom": [peer]}})
    found = role_pods(objects)
    rule = next(
        each
        for policy in policies_of(objects, found["gateway", "api"])
        for each in policy["spec"].get("ingress", [])
        if port_matches(each, found["gateway", "api"], 8000)
    )
    assert rule["from"][0] == peer
    assert [each["podSelector"]["matchLabels"]["watercooler/service"] for each in rule["from"][1:]] == ["test"]
    test_pod = next(pod for item, pod in pods(objects) if item["kind"] == "Pod")
    assert reaches(objects, test_pod, found["gateway", "api"], 8000)


def test_only_those_reach_an_engine_who_need_it() -> None:
    """Search alone reaches OpenSearch, and the gateway, identity and feed the files; everybody PostgreSQL and Kafka."""
    objects = case("tryout")
    engines = {
        labels(pod)["watercooler/service"].removeprefix("tryout-"): pod for item, pod in pods(objects) if item["kind"] == "StatefulSet"
    }
    assert set(engines) == {"database", "kafka", "search", "s3"}
    allowed = {
        engine: {
            service
            for (service, _), pod in role_pods(objects).items()
            if any(
                peer_matches(rule.get("to"), engine_pod)
                and port_matches(rule, engine_pod, engine_pod["spec"]["containers"][0]["ports"][0]["containerPort"])
                for policy in policies_of(objects, pod)
                for rule in policy["spec"].get("egress", [])
            )
        }
        for engine, engine_pod in engines.items()
    }
    assert allowed["database"] == allowed["kafka"] == set(BY_NAME)
    assert allowed["search"] == {"search"}
    assert allowed["s3"] == {"gateway", "identity", "feed"}


def test_the_migrations_have_their_policy_before_them() -> None:
    """Where a namespace denies by default, the Job still reaches PostgreSQL and Kafka, and nothing else."""
    objects = case("all-external")
    job = next(pod for item, pod in pods(objects) if item["kind"] == "Job")
    ports = {each["port"] for policy in policies_of(objects, job) for rule in policy["spec"].get("egress", []) for each in rule["ports"]}
    assert ports == {53, 5432, 9093}
    assert f"{RELEASE}-watercooler-migrations" in {each["metadata"]["name"] for each in policies_of(objects, job)}


def test_only_who_asks_outside_reaches_the_internet_and_nobody_an_inner_address_by_that() -> None:
    objects = case("all-external")
    for (service, role), pod in role_pods(objects).items():
        blocks = [
            peer["ipBlock"] for policy in policies_of(objects, pod) for rule in policy["spec"].get("egress", [])
            for peer in rule.get("to", []) if "ipBlock" in peer
        ]
        assert bool(blocks) == (service == "feed"), (service, role)
        assert all({"10.0.0.0/8", "169.254.0.0/16"} <= set(block["except"]) for block in blocks if "." in block["cidr"])
