"""The commands beside a running network: events, rebuild, verify, backup and restore."""
from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from libs.blobs.store import BlobStore
from tests.cli.programs import Command, call

REQUIRED = {"specversion", "id", "source", "type"}  # CloudEvents 1.0, required attributes
PASSWORD = "seven quiet herons over Tartu"


@dataclass
class Running:
    """A running network with an administrator."""

    command: Command
    address: str
    token: str
    person_id: str

    def post(self, text: str) -> str:
        status, made = call("POST", f"{self.address}/api/v1/posts", {"body": text}, self.token)
        assert status == 201, made
        return str(made["id"])


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    command = Command(tmp_path_factory.mktemp("network") / "var")
    with command.running() as address:
        organization = {"name": "Riverside", "person_name": "Ann Able", "email": "ann@example.org", "password": PASSWORD}
        status, made = call("POST", f"{address}/api/v1/organization", organization)
        assert status == 201, made
        [added] = command.lines(
            "people", "add", "--name", "Bea Bell", "--email", "bea@example.org", "--role", "employee", "--role", "administrator",
            "--token", "read,write,admin", "--json",
        )
        yield Running(command, address, added["token"], added["person_id"])


def test_events_are_cloudevents(network: Running) -> None:
    post_id = network.post("to be shown as an event")
    events = network.command.lines("events", "tail", "feed", "--after", "0")
    assert [int(event["sequence"]) for event in events] == list(range(1, len(events) + 1))
    for event in events:
        assert event.keys() >= REQUIRED and all(isinstance(event[name], str) and event[name] for name in REQUIRED)
        assert event["specversion"] == "1.0" and event["source"] == "/watercooler/feed"
        assert all(name.isalnum() and name == name.lower() for name in event), "attribute names are lower-case letters and digits"
    [published] = [event for event in events if event["data"].get("post_id") == post_id and event["type"].endswith(".PostPublished")]
    assert published["type"] == "watercooler.feed.v1.PostPublished"
    assert published["subject"] == f"post-{post_id}" and published["actorid"] == network.person_id
    assert published["data"]["body"] == "to be shown as an event"

    position = published["sequence"]
    for what in (published["id"], position, published["subject"]):
        assert network.command.lines("--json", "events", "show", "feed", what)[0] == published
    assert json.loads(network.command("events", "show", "feed", position)) == published  # indented, for people
    assert "no event or stream" in network.command("events", "show", "feed", "99999999", status=1)
    assert "no event or stream" in network.command("events", "show", "feed", "nothing", status=1)
    assert "there is no service" in network.command("events", "tail", "nobody", status=1)


def test_tail_is_bounded_and_follows(network: Running) -> None:
    for number in range(5):
        network.post(f"tail {number}")
    all_events = network.command.lines("events", "tail", "feed", "--after", "0")
    two = network.command.lines("events", "tail", "feed", "--after", "1", "--limit", "2")
    assert two == all_events[1:3]
    assert network.command.lines("events", "tail", "feed") == all_events[-20:]
    head = all_events[-1]["sequence"]
    with network.command.start("events", "tail", "feed", "--after", head, "--follow", "--limit", "2") as following:
        assert following.stdout is not None
        first, second = network.post("followed one"), network.post("followed two")
        seen = [json.loads(line)["data"]["post_id"] for line in following.stdout if ".PostPublished" in line]
        assert following.wait(timeout=20) == 0
    assert seen == [first, second][:len(seen)] and seen


def test_a_reader_that_stops_reading_is_no_error(network: Running) -> None:
    with network.command.start("events", "tail", "feed", "--after", "0", "--follow") as following:
        assert following.stdout is not None and following.stderr is not None
        assert following.stdout.readline()
        following.stdout.close()
        network.post("nobody reads this")
        network.post("nor this")
        assert following.wait(timeout=20) in (0, 1)
        assert following.stderr.read() == ""


def test_rebuild_beside_a_running_network_that_is_written_to(network: Running) -> None:
    stop = threading.Event()
    written: list[str] = []
    failures: list[Exception] = []

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                written.append(network.post(f"written during a rebuild {number}"))
            except AssertionError as error:
                if "too_many" not in str(error):
                    failures.append(error)
                    return
                stop.wait(0.5)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        told = network.command.lines("rebuild", "feed", "--json")
        told += network.command.lines("rebuild", "identity", "people", "--json")
        told += network.command.lines("rebuild", "search", "index", "--json")
    finally:
        stop.set()
        writer.join()
    assert not failures and len(written) > 1
    assert all(set(each) == {"projection", "events"} and each["events"] > 0 for each in told[:-1]), told
    assert told[-1]["projection"] == "search.index"
    assert [each["projection"] for each in network.command.lines("rebuild", "search", "--json")][-1] == "search.index"
    assert network.command.lines("verify", "--json") == [{"findings": 0}]
    complaint = network.command("rebuild", "identity", "nothing", status=1)
    assert "identity has no read model nothing: choose from" in complaint and "people" in complaint


def test_verify_says_what_is_wrong_by_its_exit_status(network: Running, tmp_path: Path) -> None:
    for text in ("one", "two", "three"):  # a log to make a hole in, whichever tests ran before
        network.post(text)
    target = tmp_path / "backup.tar.gz"
    network.command("backup", str(target))
    copy = Command(tmp_path / "copy")
    copy("restore", str(target))
    assert copy.lines("verify", "--json") == [{"findings": 0}]
    assert "nothing is wrong" in copy("verify")
    with sqlite3.connect(tmp_path / "copy" / "feed.db") as database:
        database.execute("DELETE FROM events WHERE position = 2")
    found = copy.lines("--json", "verify", status=1)
    assert found[-1]["findings"] == len(found) - 1 > 0
    assert any(each.get("service") == "feed" and "gaps" in each["problem"] for each in found[:-1])


def test_a_backup_restores_people_posts_keys_files_and_tokens(network: Running, tmp_path: Path) -> None:
    kept = network.post("kept in the backup")
    photo = asyncio.run(BlobStore.local(network.command.data / "blobs").put(b"a photo" * 100, "text/plain", limit_bytes=1 << 20))
    (network.command.data / "blobs" / "incoming").mkdir(exist_ok=True)
    (network.command.data / "blobs" / "incoming" / "under way").write_bytes(b"half of a file")
    target = tmp_path / "backup.tar.gz"
    [told] = network.command.lines("backup", str(target), "--json")
    assert told == {"file": str(target), "size_bytes": target.stat().st_size}
    assert target.stat().st_mode & 0o077 == 0, "a backup holds every key"
    assert network.command.data.stat().st_mode & 0o077 == 0
    lost = network.post("after the backup")
    assert "overwrites nothing" in network.command("backup", str(target), status=1)
    assert "not empty" in network.command("restore", str(target), status=1)

    moved = Command(tmp_path / "moved")
    assert moved.lines("restore", str(target), "--json") == [{"data": str(moved.data)}]
    assert asyncio.run(BlobStore.local(moved.data / "blobs").intact(photo.id))
    assert not (moved.data / "blobs" / "incoming" / "under way").exists()
    for name in ("keys", "secret.key"):
        assert (moved.data / name).exists()
    key = next((moved.data / "keys").glob("*.jwk"))
    assert key.stat().st_mode & 0o077 == 0, "private keys stay private"
    with moved.running() as address:
        status, post = call("GET", f"{address}/api/v1/posts/{kept}", token=network.token)
        assert (status, post["body"]) == (200, "kept in the backup")  # the token holds, the text can be deciphered
        assert call("GET", f"{address}/api/v1/posts/{lost}", token=network.token)[0] == 404
        status, person = call("GET", f"{address}/api/v1/people/{network.person_id}", token=network.token)
        assert (status, person["name"]) == (200, "Bea Bell")
        assert call("POST", f"{address}/api/v1/posts", {"body": "life goes on"}, network.token)[0] == 201
        assert moved.lines("verify", "--json") == [{"findings": 0}]


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(base64.b64decode("bm8gYmFja3Vw"))
    assert "cannot be read as a backup" in Command(tmp_path / "var")("restore", str(tmp_path / "file"), status=1)
    assert "holds no network" in Command(tmp_path / "var")("backup", str(tmp_path / "new"), status=1)


def test_options_may_follow_the_command(network: Running, tmp_path: Path) -> None:
    elsewhere = Command(tmp_path / "unused")
    given: list[list[Any]] = [["--data", str(network.command.data)], [f"--data={network.command.data}"]]
    for data in given:
        assert elsewhere.lines("parked", "list", "--json", *data) == [{"parked": 0}]
        assert elsewhere.lines(*data, "--json", "parked", "list") == [{"parked": 0}]
    assert "is not parked" in network.command("parked", "retry", "post-x", status=1)
