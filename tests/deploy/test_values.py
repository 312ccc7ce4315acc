"""What may be set: everything may be null, slips are refused by name, other charts' values are left alone, and what is missing is said."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import jsonschema
import pytest
import yaml

from libs.runtime.settings import Settings
from tests.deploy.chart import CHART, ROOT, HelmRefused, Object, identity, of_kind, render

SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
BASE = ("ci/all-external-values.yaml",)
# Without these there is no network; the chart says so (test_what_is_missing_is_said).
NEEDED = {
    "database",
    "database.existingSecret",
    "kafka",
    "kafka.brokers",
    "kafka.existingSecret",
    "search",
    "search.url",
    "search.existingSecret",
    "blob",
    "blob.url",
}


def paths(values: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of the values, outer before inner."""
    for key, value in values.items():
        yield (*prefix, key)
        if isinstance(value, dict):
            yield from paths(value, (*prefix, key))


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Values with one key set."""
    for key in reversed(path):
        value = {key: value}
    return dict(value)


def test_generated_files_are_current() -> None:
    """The list of services, the schema and the README are what scripts/chart.py makes of the manifests and values.yaml."""
    done = subprocess.run([sys.executable, ROOT / "scripts/chart.py", "--check"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def leaves(values: dict[str, Any]) -> list[tuple[str, ...]]:
    """The keys that hold no keys of their own, without those that are needed."""
    every = list(paths(values))
    return [
        path for path in every if not any(other[: len(path)] == path and other != path for other in every) and ".".join(path) not in NEEDED
    ]


def all_null(chosen: list[tuple[str, ...]]) -> dict[str, Any]:
    """Values with these keys null."""
    made: dict[str, Any] = {}
    for path in chosen:
        here = made
        for key in path[:-1]:
            here = here.setdefault(key, {})
        here[path[-1]] = None
    return made


def test_the_schema_takes_null_everywhere() -> None:
    """Whatever a user unsets, alone."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for path in paths(DEFAULTS):
        validator.validate(nested(path, None))


@pytest.mark.parametrize("section", sorted(set(DEFAULTS) - NEEDED))
def test_a_section_may_be_null(section: str) -> None:
    """A chart renders without it."""
    assert render(*BASE, values={section: None})


@pytest.mark.parametrize("section", sorted(DEFAULTS))
def test_what_is_in_a_section_may_be_null(section: str) -> None:
    """A chart renders with everything in it unset."""
    if chosen := leaves({section: DEFAULTS[section]}):
        assert render(*BASE, values=all_null(chosen))


@pytest.mark.parametrize("step", [2, 3])
def test_values_may_be_null_in_any_mixture(step: int) -> None:
    """A chart renders with every second or third value unset."""
    for first in range(step):
        assert render(*BASE, values=all_null(leaves(DEFAULTS)[first::step]))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"databse": {"existingSecret": "x"}}, "databse"),
        ({"Kafka": {}}, "Kafka"),
        ({"netwrokPolicy": {"enabled": False}}, "netwrokPolicy"),
        ({"surprise": "text"}, "surprise"),
        ({"database": {"existingsecret": "x"}}, "existingsecret"),
        ({"api": {"replicas": "two"}}, "replicas"),
        ({"api": {"replicas": -1}}, "replicas"),
        ({"api": {"replica": 3}}, "replica"),
        ({"services": {"fed": {}}}, "fed"),
        ({"services": {"feed": {"api": {"resource": {}}}}}, "resource"),
        ({"pod": {"extraEnv": {"A": "b"}}}, "extraEnv"),
        ({"pod": {"terminationGracePeriodSeconds": 5}}, "terminationGracePeriodSeconds"),
        ({"networkPolicy": {"enabled": "yes"}}, "enabled"),
        ({"settings": {"session_lifetme": "1d"}}, "session_lifetme"),
        ({"settings": {"database_url": "postgresql://in-clear"}}, "database_url"),
        ({"settings": {"secret_key": "in clear"}}, "secret_key"),
        ({"kafka": {"security": "tls"}}, "security"),
        ({"kafka": {"retention": "two weeks"}}, "retention"),
        ({"blob": {"url": "https://bucket"}}, "url"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"fullnameOverride": "x" * 41}, "fullnameOverride"),
        ({"migrations": {"mode": "post"}}, "mode"),
        ({"externalSecrets": {"secrets": {"datbase": {}}}}, "datbase"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_slips_are_refused(wrong: dict[str, Any], said: str) -> None:
    """A wrong type, name or word stops helm, which names it."""
    with pytest.raises(HelmRefused, match=said):
        render(*BASE, values=wrong)


def test_values_of_others_are_left_alone() -> None:
    """Several charts may share one file, and a chart above ours may hand down `global`."""
    others = {
        "global": {"imageRegistry": "images.example.org"},
        "grafana": {"enabled": True},
        "postgresql": None,
        "ingress-nginx": {"controller": {}},
    }
    assert [identity(each) for each in render(*BASE, values=others)] == [identity(each) for each in render(*BASE)]


def test_every_setting_can_be_set() -> None:
    """Each setting has a value of its own in the chart, or is taken in `settings`."""
    from scripts.chart import SET_BY_CHART

    names = {each.name for each in fields(Settings)}
    assert names >= SET_BY_CHART, "the chart knows settings that do not exist"
    assert set(SCHEMA["properties"]["settings"]["properties"]) == names - SET_BY_CHART
    objects = render(*BASE, values={"settings": {"session_lifetime": "14d", "rate_reads_per_minute": 60}})
    for item in of_kind(objects, "Deployment"):
        variables = {each["name"]: each.get("value") for each in item["spec"]["template"]["spec"]["containers"][0]["env"]}
        assert variables["WATERCOOLER_SESSION_LIFETIME"] == "14d"
        assert variables["WATERCOOLER_RATE_READS_PER_MINUTE"] == "60"


def test_no_secret_in_values() -> None:
    """No default looks like a secret, and no value is one by its name."""
    for path in paths(DEFAULTS):
        name = path[-1].lower()
        assert not name.endswith(("password", "token")) or name == "automountserviceaccounttoken", ".".join(path)
    secrets = {setting.name for setting in fields(Settings) if setting.metadata["secret"]}
    assert not secrets & set(SCHEMA["properties"]["settings"]["properties"])


def test_what_is_missing_is_said() -> None:
    """With nothing set, helm names everything that is needed at once, with an example of each."""
    with pytest.raises(HelmRefused) as refused:
        render()
    for name in ("database.existingSecret", "kafka.brokers", "search.url", "blob.url"):
        assert name in str(refused.value)
    with pytest.raises(HelmRefused, match=r"kafka\.existingSecret"):
        render(*BASE, values={"kafka": {"existingSecret": None}})
    with pytest.raises(HelmRefused, match=r"search\.existingSecret"):
        render(*BASE, values={"search": {"existingSecret": ""}})
    with pytest.raises(HelmRefused, match=r"tls\.existingSecret"):
        render(*BASE, values={"tls": {"enabled": True}})
    with pytest.raises(HelmRefused, match=r"migrations\.mode"):
        render("ci/tryout-values.yaml", values={"migrations": {"mode": "hook"}})


def environment(objects: list[Object], name: str) -> dict[str, Any]:
    """The variables of a Deployment's own container."""
    item = next(each for each in of_kind(objects, "Deployment") if each["metadata"]["name"] == name)
    return {each["name"]: each for each in item["spec"]["template"]["spec"]["containers"][0]["env"]}


def test_extras_are_rendered_and_count() -> None:
    """A variable of the user's takes the place of the chart's; templates in it are rendered; other containers are untouched."""
    values = {
        "services": {
            "feed": {
                "api": {
                    "extraEnv": [
                        {"name": "WATERCOOLER_DATABASE_TIMEOUT", "value": "5s"},
                        {"name": "FROM", "valueFrom": {"configMapKeyRef": {"name": "{{ .Release.Name }}-more", "key": "k"}}},
                    ]
                }
            }
        }
    }
    objects = render(*BASE, values=values)
    feed, worker = environment(objects, "wc-watercooler-feed"), environment(objects, "wc-watercooler-feed-worker")
    assert feed["WATERCOOLER_DATABASE_TIMEOUT"]["value"] == "5s"
    assert feed["FROM"]["valueFrom"]["configMapKeyRef"]["name"] == "wc-more"
    assert worker["WATERCOOLER_DATABASE_TIMEOUT"]["value"] == "30s"
    assert "FROM" not in worker


def test_false_zero_and_null_of_a_service_count() -> None:
    """What one service sets counts before what holds for all, also where it is nothing."""
    values = {
        "api": {"autoscaling": {"enabled": True}, "podDisruptionBudget": {"enabled": True}},
        "worker": {"replicas": 2},
        "services": {
            "feed": {
                "api": {"autoscaling": {"enabled": False}, "replicas": 0, "podDisruptionBudget": {"enabled": False}},
                "worker": {"replicas": 0},
            },
            "search": {"api": {"resources": None, "priorityClassName": "low"}},
        },
    }
    objects = {identity(each): each for each in render(*BASE, values=values)}
    assert objects["Deployment", "wc-watercooler-feed"]["spec"]["replicas"] == 0
    assert objects["Deployment", "wc-watercooler-feed-worker"]["spec"]["replicas"] == 0
    assert ("HorizontalPodAutoscaler", "wc-watercooler-feed") not in objects
    assert ("HorizontalPodAutoscaler", "wc-watercooler-identity") in objects
    assert ("PodDisruptionBudget", "wc-watercooler-feed") not in objects
    search = objects["Deployment", "wc-watercooler-search"]["spec"]["template"]["spec"]
    assert "resources" not in search["containers"][0]
    assert search["priorityClassName"] == "low"
    assert objects["Deployment", "wc-watercooler-identity-worker"]["spec"]["replicas"] == 2


def test_kept_secrets_are_made_once(tmp_path: Any) -> None:
    """Without a Secret named, the chart makes the key of forms and an Ed25519 key that the services can read, and marks them to be kept."""
    from libs.rpc.auth import Caller, Keys, Tokens

    secrets = {each["metadata"]["name"]: each for each in of_kind(render("ci/nothing-optional-values.yaml"), "Secret")}
    assert set(secrets) == {"wc-watercooler-secret-key", "wc-watercooler-signing-keys"}
    assert all(each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for each in secrets.values())
    import base64

    assert len(base64.b64decode(secrets["wc-watercooler-secret-key"]["data"]["secret-key"])) == 48
    for name, value in secrets["wc-watercooler-signing-keys"]["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(value))
    tokens = Tokens(Keys(tmp_path))
    assert tokens.check(tokens.sign(Caller(service="feed"))).service == "feed"


def test_every_object_of_sizes_differs_only_in_size() -> None:
    """The values of a size change how many and how large, never which objects beyond scalers and relays of their own."""
    plain = {identity(each) for each in render(*BASE)}
    for size in ("small", "medium", "large"):
        found = {identity(each) for each in render(*BASE, f"values-{size}.yaml")}
        added = {(kind, name) for kind, name in found - plain if kind != "HorizontalPodAutoscaler" and not name.endswith("-relay")}
        assert not added
        assert plain <= found
