"""The engines are real, are ours, and nothing of them stays behind. That they come back with what they kept is shown by the faults."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import asyncpg
import obstore
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from obstore.store import S3Store

from tests.cluster.engines import downloads
from tests.cluster.engines.postgres import Databases, Postgres
from tests.cluster.engines.processes import EngineError, Process, free_ports, give_up, own_folder, wait_for
from tests.cluster.engines.prometheus import Prometheus
from tests.cluster.engines.s3 import request


async def test_every_test_has_empty_databases_of_its_own(postgres: Databases) -> None:
    template = postgres.fresh("identity", "feed")
    for service in ("identity", "feed"):
        connection = await asyncpg.connect(template.replace("{service}", service))
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        await connection.close()
    assert postgres.fresh("identity") != postgres.fresh("identity")


def test_kafka_takes_and_gives_records(kafka: str, kafka_prefix: str) -> None:
    topic = f"{kafka_prefix}things"
    admin = KafkaAdminClient(bootstrap_servers=kafka.split(","))
    admin.create_topics([NewTopic(topic, 2, 1)])
    producer = KafkaProducer(bootstrap_servers=kafka.split(","), acks="all")
    producer.send(topic, key=b"a", value=b"one").get(30)
    producer.close()
    consumer = KafkaConsumer(topic, bootstrap_servers=kafka.split(","), auto_offset_reset="earliest", group_id=None)
    assert next(iter(consumer)).value == b"one"
    consumer.close()
    admin.close()


def test_opensearch_finds_what_it_was_given(opensearch: str, search_prefix: str) -> None:
    document = urllib.request.Request(
        f"{opensearch}/{search_prefix}-things/_doc/1?refresh=true", json.dumps({"text": "running water"}).encode(),
        {"content-type": "application/json"}, method="PUT",
    )
    with urllib.request.urlopen(document, timeout=60) as answer:
        assert answer.status == 201
    with urllib.request.urlopen(f"{opensearch}/{search_prefix}-things/_search?q=text:water", timeout=60) as answer:
        assert json.load(answer)["hits"]["total"]["value"] == 1


async def test_s3_takes_parts_gives_ranges_and_knows_its_key(s3: dict[str, str]) -> None:
    bucket = s3["blob_url"].removeprefix("s3://").split("/")[0]
    store = S3Store(
        bucket, endpoint=s3["blob_endpoint"], region=s3["blob_region"], access_key_id=s3["blob_access_key"],
        secret_access_key=s3["blob_secret_key"], client_options={"allow_http": True},
    )
    content = os.urandom(11 << 20)
    await obstore.put_async(store, "files/one", content, use_multipart=True)
    assert bytes(await obstore.get_range_async(store, "files/one", start=5, length=7)) == content[5:12]
    assert request("GET", s3["blob_endpoint"], f"/{bucket}", s3["blob_access_key"], "another secret") == 403


def test_prometheus_looks_at_its_targets(prometheus: Callable[[Sequence[str], Sequence[Path]], Prometheus]) -> None:
    port = free_ports(1)[0]
    server = prometheus([f"127.0.0.1:{port}"], [])
    wait_for("a look at the target", lambda: server.query("up"))
    assert server.query("up")[0]["value"][1] == "0"  # nobody is at that port


def test_a_used_port_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = Process("server", [sys.executable, "-m", "http.server", str(port)], tmp_path, ports=[port])
        with pytest.raises(EngineError, match=f"port {port} is in use"):
            server.launch()
        assert not server.running


def test_another_server_at_the_port_is_not_taken_for_ours(postgres: Databases, tmp_path: Path) -> None:
    ours = Postgres(tmp_path)
    ours.port = postgres.port
    ours.process = Process("waits", [sys.executable, "-c", "import signal; signal.pause()"], tmp_path)
    try:
        ours.process.launch()
        with pytest.raises(EngineError, match="another PostgreSQL"):
            ours.wait()
    finally:
        ours.stop()


_KEEPER = """\
import signal, sys
from pathlib import Path
from tests.cluster.engines.processes import Process
server = Process("server", [sys.executable, "-c", "import signal; signal.pause()"], Path(sys.argv[1]))
server.launch()
print(server.pid, flush=True)
signal.pause()
"""


def test_an_engine_ends_with_a_test_run_that_is_killed(tmp_path: Path) -> None:
    keeper = subprocess.Popen([sys.executable, "-c", _KEEPER, str(tmp_path)], cwd=downloads.ROOT, stdout=subprocess.PIPE, text=True)
    assert keeper.stdout is not None
    server = int(keeper.stdout.readline())
    os.kill(server, 0)
    keeper.send_signal(signal.SIGKILL)
    keeper.wait()
    # A process whose parent is gone is taken over by another one, which may take its time to bury it.
    wait_for("the engine is gone", lambda: _state(server) in ("", "Z", "X"))


_OWNER = """\
import signal
from tests.cluster.engines.processes import own_folder
folder = own_folder("watercooler-test-")
(folder / "data").write_text("much", "utf-8")
print(folder, flush=True)
signal.pause()
"""


def test_folders_of_a_test_run_that_is_killed_are_swept_by_the_next_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # it is looked up once a process
    somebodys = tmp_path / "watercooler-test-by-hand"
    somebodys.mkdir()
    command = [sys.executable, "-c", _OWNER]
    owners = [subprocess.Popen(command, cwd=downloads.ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        killed, living = [Path(str(owner.stdout and owner.stdout.readline().strip())) for owner in owners]
        owners[0].kill()
        owners[0].wait()
        assert (killed / "data").exists()
        ours = own_folder("watercooler-test-")
        assert set(tmp_path.iterdir()) == {somebodys, living, ours}
        other = own_folder("watercooler-test-")
        assert set(tmp_path.iterdir()) == {somebodys, living, ours, other}, "what is ours stays too"
        for folder in (ours, other, other):
            give_up(folder)
        assert set(tmp_path.iterdir()) == {somebodys, living}
    finally:
        for owner in owners:
            owner.kill()
            owner.wait()


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
