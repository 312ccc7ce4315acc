"""The dashboards over the running cluster: after a little use, every panel has something to show."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.cluster import ROOT, eventually
from tests.cluster.engines.prometheus import Prometheus
from tests.cluster.faults.stage import Stage
from tests.cluster.writer import Writer
from tests.deploy.test_dashboards import expressions

pytestmark = pytest.mark.timeout(400)
RULES = sorted((ROOT / "deploy" / "helm" / "watercooler" / "rules").glob("*.yaml"))
PASSWORD = "seven quiet herons over Tartu"

# What this machine does not have: who else exposes it, or what is off here.
WITHOUT = {
    "Room on volumes": "the kubelet", "Restarts": "kube-state-metrics", "Behind, by group and topic": "a Kafka exporter",
    "Records arriving": "a Kafka exporter", "Certificates": "TLS between services",
}


class Company:
    """A few people who use the network."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.admin = stage.admin.token
        self.people: list[tuple[str, str]] = []

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        return self.stage.cluster.api(method, path, token or self.admin, body)

    def hire(self, name: str, department: str) -> None:
        email = f"{name.lower()}@panels.example.com"
        made = self.call("POST", "/people", {"name": name, "email": email, "password": PASSWORD, "department": department})
        token = self.call("POST", "/access-tokens", {"name": "panels", "scopes": ["read", "write"], "person_id": made["id"]})
        self.people.append((email, token["secret"]))

    def remember(self) -> None:
        """A conversation of two days ago, taken over from another system."""
        then = datetime.now(UTC) - timedelta(days=2)
        records = [
            {"external_id": "p1", "author_key": self.people[0][0], "body": "Who knows?", "publish_time": then.isoformat()},
            {
                "external_id": "p2", "author_key": self.people[1][0], "body": "I do", "parent_external_id": "p1",
                "publish_time": (then + timedelta(minutes=5)).isoformat(),
            },
        ]
        found = self.call("POST", "/imports/posts", {"source": "panels", "records": records})
        assert [each["outcome"] for each in found["results"]] == ["added", "added"], found

    def talk(self) -> None:
        """What people do in a moment."""
        (_, ann), (_, bob) = self.people
        news = self.call("POST", "/posts", {"body": "We have a new canteen #panels", "audience": {"kind": "everyone"}})
        self.call("PUT", f"/posts/{news['id']}/confirmation", token=ann)
        self.call("POST", "/posts", {"body": "What is there today?", "parent_id": news["id"]}, token=bob)
        for words in ("canteen", "zzyzx"):
            self.call("GET", f"/find?query={words}", token=ann)
        self.call("POST", "/find/clicks", {"id": news["id"], "rank": 1}, token=ann)
        # Asked for and not there: an everyday answer that is no success.
        with contextlib.suppress(urllib.error.HTTPError):
            self.call("GET", f"/posts/{uuid.uuid4()}", token=ann)


def test_the_gateway_describes_the_topics_that_are_there(stage: Stage) -> None:
    cluster = stage.cluster
    with urllib.request.urlopen(f"{cluster.address}/api/asyncapi.json", timeout=30) as answer:
        channels = json.load(answer)["channels"]
    described = {channel["address"] for name, channel in channels.items() if name.endswith("-topic")}
    assert described == {f"{cluster.prefix}watercooler.{service}.v1.events" for service in ("identity", "feed")}
    assert described <= {line["topic"] for line in cluster.say("topics") if "partitions" in line}


def test_every_panel_has_something_to_show(
    stage: Stage, prometheus: Callable[[Sequence[str], Sequence[Path]], Prometheus]
) -> None:
    cluster = stage.cluster
    server = prometheus([f"127.0.0.1:{port}" for port in cluster.status_ports.values()], RULES)
    company = Company(stage)
    company.hire("Panela", "Pumps")
    company.hire("Panelo", "Quality")
    company.call("PUT", f"/people/{stage.admin.id}/roles/communications")
    eventually("people are known to the feed", lambda: company.remember() is None)
    empty: list[str] = []

    def all_shown() -> bool:
        company.talk()
        empty[:] = sorted(
            f"{board}: {title}" for board, title, expression in expressions()
            if title not in WITHOUT and not [series for series in server.query(expression) if series["value"][1] != "NaN"]
        )
        return not empty

    with Writer(cluster, stage.admin):
        try:
            eventually("every panel shows something", all_shown, seconds=240, pause=5)
        except AssertionError as error:
            raise AssertionError(f"nothing to show: {empty}") from error
