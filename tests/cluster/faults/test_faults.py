"""Faults under load, one at a time: afterwards every acknowledged write is there exactly once, and `verify` finds nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import asyncpg
import pytest
from kafka import KafkaConsumer, KafkaProducer

from libs.runtime.leadership import LEASE_SECONDS
from tests.browser.network import Administrator
from tests.cluster.cluster import Cluster, Part, eventually, stay
from tests.cluster.engines import downloads
from tests.cluster.engines.postgres import apart
from tests.cluster.engines.processes import EngineError
from tests.cluster.engines.shared import Engines
from tests.cluster.faults.stage import Stage, Wire
from tests.cluster.writer import Writer

pytestmark = pytest.mark.timeout(600)
# Longer than a lease, and than a Kafka group waits for a silent member.
PAST_EVERY_TIME_OUT = max(LEASE_SECONDS, 10.0) * 2 + 5


# --- processes of our own ------------------------------------------------------------------------------------------------


def test_every_process_is_killed_under_load(stage: Stage) -> None:
    with Writer(stage.cluster, stage.admin) as writer:
        for name in stage.cluster.processes:
            stage.cluster.kill(name)
            stage.cluster.start()
            writer.wait_for_more(4)
    writer.check()


def test_a_standby_takes_over_from_a_killed_worker_and_relay(stage: Stage) -> None:
    with Writer(stage.cluster, stage.admin) as writer:
        eventually("one of the workers has the lease", lambda: stage.cluster.leader("feed"))
        first = stage.cluster.leader("feed")
        stage.cluster.kill(first)
        eventually("the other worker has the lease", lambda: stage.cluster.leader("feed") not in ("", first))
        writer.wait_for_more(4)
        stage.cluster.start()
    writer.check()


def test_a_worker_paused_past_every_time_out_does_no_harm_when_it_goes_on(stage: Stage) -> None:
    with Writer(stage.cluster, stage.admin) as writer:
        eventually("one of the workers has the lease", lambda: stage.cluster.leader("feed"))
        first = stage.cluster.leader("feed")
        stage.cluster.processes[first].pause()
        stay(PAST_EVERY_TIME_OUT)
        assert stage.cluster.leader("feed") not in ("", first)
        writer.wait_for_more(4)
        stage.cluster.processes[first].resume()
        writer.wait_for_more(10)
        assert stage.cluster.processes[first].running
        assert stage.cluster.leader("feed") not in ("", first)
    writer.check()


def test_a_service_paused_past_every_time_out_does_no_harm_when_it_goes_on(stage: Stage) -> None:
    with Writer(stage.cluster, stage.admin) as writer:
        stage.cluster.processes["search"].pause()
        stay(PAST_EVERY_TIME_OUT)
        writer.wait_for_more(4)  # nobody needs search in order to write
        stage.cluster.processes["search"].resume()
    writer.check()


def test_all_processes_asked_to_stop_end_in_time_and_lose_nothing(stage: Stage) -> None:
    with Writer(stage.cluster, stage.admin) as writer:
        began = time.monotonic()
        for process in stage.cluster.processes.values():
            process.ask_to_stop()
        for name, process in stage.cluster.processes.items():
            process.stop(60)
            assert process.exit_status == 0, f"{name} ended with {process.exit_status}: {process.log()}"
        # Each has 20 s by itself; here all of them share this machine.
        assert time.monotonic() - began < 40
        stage.cluster.start()
        writer.wait_for_more(4)
    writer.check()


# --- engines -------------------------------------------------------------------------------------------------------------


def test_a_kafka_broker_is_killed_and_comes_back(stage: Stage) -> None:
    with Writer(stage.cluster, stage.admin) as writer:
        stage.kafka.kill(1)
        writer.wait_for_more(10)
        stage.kafka.restart(1)
        writer.wait_for_more(5)
    writer.check()


def test_postgres_is_killed_and_comes_back(stage: Stage) -> None:
    with Writer(stage.cluster, stage.admin) as writer:
        stage.postgres.kill()
        stage.postgres.restart()
        writer.wait_for_more(10)
    writer.check()


def test_opensearch_is_killed_and_comes_back(stage: Stage) -> None:
    with Writer(stage.cluster, stage.admin) as writer:
        stage.opensearch.kill()
        writer.wait_for_more(10)  # nobody needs search in order to write
        stage.opensearch.restart()
        writer.wait_for_more(5)
    writer.check()


def test_the_disk_of_the_topics_is_full(stage: Stage) -> None:
    if stage.disk is None:
        print(f"left out: {stage.no_disk}")
        pytest.skip(stage.no_disk)
    with Writer(stage.cluster, stage.admin) as writer:
        stage.disk.fill()
        writer.wait_for_more(20)  # events wait in the logs of the services, which are not on that disk
        stage.disk.clear()
        for index, node in enumerate(stage.kafka.nodes):
            if not node.running:
                node.launch()
            else:
                stage.kafka.nodes[index].resume()
        stage.kafka.wait()
        writer.wait_for_more(5)
    writer.check()


# --- what is in the log, and around it -----------------------------------------------------------------------------------


def sql(stage: Stage, service: str, statement: str) -> None:
    """One statement, as an operator gives it."""

    async def run() -> None:
        connection = await asyncpg.connect(stage.cluster.database_url.replace("{service}", service), timeout=30)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    apart(asyncio.wait_for(run(), 60))


def test_a_poison_event_is_set_aside_and_taken_later(stage: Stage) -> None:
    cluster = stage.cluster
    topic = f"{cluster.prefix}watercooler.identity.v1.events"
    sql(stage, "feed", "ALTER TABLE people ADD CONSTRAINT poison CHECK (display_name <> 'Poison Ivy') NOT VALID")
    try:
        with Writer(cluster, stage.admin) as writer:
            poison, _ = stage.admin.add("Poison Ivy")
            producer = KafkaProducer(bootstrap_servers=stage.kafka.brokers.split(","), acks="all")
            producer.send(topic, key=b"person-nobody", value=b"\xff is no event").get(60)
            producer.close()
            stream = f"person-{poison}"
            eventually("the event is set aside", lambda: stream in [each.get("stream") for each in cluster.say("parked", "list")], 120, 1.0)
            writer.wait_for_more(10)
            assert any(f"parked {stream}" in each for each in cluster.verify())
            sql(stage, "feed", "ALTER TABLE people DROP CONSTRAINT poison")
            cluster.say("parked", "retry", stream)
            eventually("nothing is set aside", lambda: cluster.say("parked", "list") == [{"parked": 0}], 120, 1.0)
        writer.check()
        dead = KafkaConsumer(f"{topic}.dead-letter", bootstrap_servers=stage.kafka.brokers.split(","), auto_offset_reset="earliest",
                             group_id=None, consumer_timeout_ms=60_000)
        assert next(iter(dead)).value == b"\xff is no event"
        dead.close()
    finally:
        sql(stage, "feed", "ALTER TABLE people DROP CONSTRAINT IF EXISTS poison")


@pytest.mark.parametrize("name", ["feed-api", "feed-worker-a"])
def test_the_clock_of_one_process_jumps(stage: Stage, tmp_path: Path, name: str) -> None:
    shown = tmp_path / "clock"
    shown.write_text("+0", "utf-8")
    try:
        stage.with_environment(name, {
            "LD_PRELOAD": str(downloads.faketime()), "FAKETIME_TIMESTAMP_FILE": str(shown), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        })
        # Who is hours ahead of the others takes their tokens for old; callers are told to try again, which helps once its clock is right.
        with Writer(stage.cluster, stage.admin) as writer:
            if name != "feed-api":  # it must be the one at work
                stage.cluster.processes["feed-worker-b"].stop()
                eventually("it has the lease", lambda: stage.cluster.leader("feed") == name)
            for jump in ("+2h", "-1h"):
                shown.write_text(jump, "utf-8")
                stay(5)
                shown.write_text("+0", "utf-8")
                writer.wait_for_more(5)
            assert stage.cluster.processes[name].running
        writer.check()
    finally:
        stage.with_environment(name, {"LD_PRELOAD": "", "FAKETIME_TIMESTAMP_FILE": "", "FAKETIME_NO_CACHE": ""})


def test_the_network_between_two_services_is_cut(engines: Engines, tmp_path: Path) -> None:
    engines.launch("postgres", "kafka", "opensearch", "s3")
    databases, brokers, search, store = engines.postgres(), engines.kafka(), engines.opensearch(), engines.s3()
    ports = [databases.port, store.port, int(search.rsplit(":", 1)[1]), *(int(each.rsplit(":", 1)[1]) for each in brokers.split(","))]
    try:
        wire = Wire(tmp_path / "wire", ports)
    except EngineError as error:
        print(f"left out: {error}")
        pytest.skip(str(error))
    cluster = None
    try:
        identity = Part("identity", before=tuple(wire.before))
        cluster = _Apart(
            tmp_path / "cluster", databases=databases, brokers=brokers, search_url=search, store=store, host=wire.inside,
            parts=(identity, Part("feed"), Part("search"), Part("gateway")),
        )
        cluster.prepare()
        cluster.start()
        admin = Administrator(cluster)  # type: ignore[arg-type] - the part of a network that it uses
        with Writer(cluster, admin) as writer:
            wire.cut()
            stay(PAST_EVERY_TIME_OUT)
            wire.join()
            writer.wait_for_more(10)
        writer.check()
    finally:
        if cluster is not None:
            cluster.stop()
        wire.remove()


class _Apart(Cluster):
    """A cluster whose identity is reached over a wire."""

    def __init__(self, folder: Path, *, host: str, **rest: object) -> None:
        self.host = host
        super().__init__(folder, **rest, addresses={"identity": host})  # type: ignore[arg-type] - passed on

    def status_host(self, name: str) -> str:
        return self.host if name == "identity" else super().status_host(name)

