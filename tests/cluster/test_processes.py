"""One process a service: what it waits for, how it stops, who takes over, and what it outlives."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.network import Administrator
from tests.cluster.cluster import Cluster, Part, eventually
from tests.cluster.engines.shared import Engines
from tests.cluster.writer import word

pytestmark = pytest.mark.timeout(600)

STOP_SECONDS = 20.0
# The lease of 10 s, the next try 2 s later, and what a busy machine adds.
TAKEOVER_SECONDS = 45.0
PARTS = (Part("identity"), Part("feed", ("api",)), Part("feed", ("worker", "relay"), "a"), Part("feed", ("worker", "relay"), "b"),
         Part("search"), Part("gateway"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, engines: Engines) -> Iterator[Cluster]:
    """A cluster whose databases are empty: nothing is prepared, nothing runs."""
    engines.launch("postgres", "kafka", "opensearch", "s3")
    made = Cluster(
        tmp_path_factory.mktemp("processes"), databases=engines.postgres(), brokers=engines.kafka(), search_url=engines.opensearch(),
        store=engines.s3(), parts=PARTS, settings={"stop_pause": "5s"},
    )
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def admin(cluster: Cluster) -> Administrator:
    """The administrator of the running cluster; what a process waits for before that is looked at on the way."""
    for process in cluster.processes.values():
        process.launch()
    for name in cluster.processes:
        eventually(f"{name} waits for its tables", lambda name=name: "watercooler migrate" in cluster.status(name, "/readyz")[1], 120)
        assert cluster.status(name, "/readyz")[0] == 503
        assert cluster.status(name, "/livez")[0] == 200
    assert {line["did"] for line in cluster.say("migrate")} == {"tables made"}
    assert {line["did"] for line in cluster.say("migrate", "--wait")} == {"is up to date"}
    cluster.say("topics", "--create")
    for name in cluster.processes:
        cluster.wait_ready(name)
    return Administrator(cluster)  # type: ignore[arg-type] - the part of a network that it uses


@pytest.fixture(autouse=True)
def told(cluster: Cluster) -> Iterator[None]:
    """What the cluster said is in the report of a test that fails."""
    yield
    cluster.start()
    print(cluster.log(3000))


def found(cluster: Cluster, admin: Administrator, text: str) -> bool:
    """Whether search finds the word."""
    return text in json.dumps(cluster.api("GET", f"/find?query={text}", admin.token))


def test_a_post_travels_from_the_gateway_to_search(cluster: Cluster, admin: Administrator) -> None:
    text = word()
    admin.post(f"Still running {text} water")
    eventually("it is found", lambda: found(cluster, admin, text))
    assert cluster.verify() == []
    lags = {line["subscription"]: line for line in cluster.say("topics") if "subscription" in line}
    assert lags["feed.relay"]["source"] == "feed"
    assert lags["search.people"]["head"] > 0


class Caller:
    """Reads and writes without pause through the gateway, as long as a load balancer would send it there."""

    def __init__(self, cluster: Cluster, admin: Administrator) -> None:
        self.failures: list[str] = []
        self.answered = 0
        self._cluster, self._admin = cluster, admin
        self._gone = threading.Event()
        self._threads = [threading.Thread(target=self._go) for _ in range(4)]
        self._watch = threading.Thread(target=self._look)

    def __enter__(self) -> Caller:
        for thread in (*self._threads, self._watch):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._gone.set()
        for thread in (*self._threads, self._watch):
            thread.join()

    def _look(self) -> None:
        while not self._gone.is_set():
            if self._cluster.status("gateway", "/readyz")[0] != 200:
                self._gone.set()
            self._gone.wait(0.1)

    def _go(self) -> None:
        while not self._gone.is_set():
            try:
                self._cluster.api("POST", "/posts", self._admin.token, {"body": f"under load {word()}"})
                self._cluster.api("GET", "/organization", self._admin.token)
            except (OSError, urllib.error.URLError) as error:
                self.failures.append(repr(error))
            self.answered += 2


def test_a_gateway_that_is_asked_to_stop_under_load_loses_no_request(cluster: Cluster, admin: Administrator) -> None:
    gateway = cluster.processes["gateway"]
    with Caller(cluster, admin) as caller:
        eventually("there is load", lambda: caller.answered > 20)
        assert gateway.stop(30) < STOP_SECONDS
    assert gateway.exit_status == 0
    assert caller.failures == []


def test_services_stop_under_load_within_twenty_seconds_and_the_gateway_says_come_again(cluster: Cluster, admin: Administrator) -> None:
    for name in ("search", "feed-api", "identity", "feed-worker-relay-a"):
        process = cluster.processes[name]
        assert process.stop(30) < STOP_SECONDS
        assert process.exit_status == 0, process.log()
        if name == "search":
            with pytest.raises(urllib.error.HTTPError) as refused:
                cluster.api("GET", "/find?query=water", admin.token)
            assert refused.value.code == 503
            assert int(refused.value.headers["Retry-After"]) > 0
        cluster.start()


def test_a_second_signal_ends_a_process_at_once(cluster: Cluster, admin: Administrator) -> None:
    gateway = cluster.processes["gateway"]
    gateway.signal(15)
    eventually("it is stopping", lambda: cluster.status("gateway", "/readyz")[0] == 503)
    began = time.monotonic()
    gateway.signal(15)
    eventually("it has ended", lambda: not gateway.running)
    assert gateway.exit_status == 1
    assert time.monotonic() - began < STOP_SECONDS


@pytest.mark.parametrize("lease", ["worker", "relay"])
def test_another_process_takes_over_from_a_killed_one(cluster: Cluster, admin: Administrator, lease: str) -> None:
    eventually("one of them works", lambda: cluster.leader("feed", lease))
    first = cluster.leader("feed", lease)
    cluster.kill(first)
    began = time.monotonic()
    eventually("the other one works", lambda: cluster.leader("feed", lease) not in ("", first))
    assert time.monotonic() - began < TAKEOVER_SECONDS
    text = word()
    admin.post(f"after the takeover {text}")
    eventually("it is found", lambda: found(cluster, admin, text))


def test_events_arrive_that_were_written_while_their_relay_was_away(cluster: Cluster, admin: Administrator, tmp_path: Path) -> None:
    relays = [name for name in cluster.processes if "relay" in name]
    for name in relays:
        cluster.processes[name].stop(30)
    text = word()
    admin.post(f"unheard {text}")
    cluster.start()
    eventually("it is found", lambda: found(cluster, admin, text))
    assert cluster.verify() == []
