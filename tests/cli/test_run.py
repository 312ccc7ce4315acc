"""`watercooler run`: it says where it is, is alone on its folder and port, and refuses what it cannot use in a sentence."""
from __future__ import annotations

import json
import shutil
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from libs.runtime.embedded import running_address
from tests.cli.programs import Command, call

LOOKING = [
    ("verify",), ("events", "tail", "feed"), ("events", "show", "feed", "1"), ("rebuild", "identity"), ("parked", "list"),
    ("parked", "retry", "post-1"), ("backup", "copy.tar.gz"),
]


def test_one_network_a_folder_and_a_port(tmp_path: Path) -> None:
    first = Command(tmp_path / "one")
    with first.running() as address:
        assert call("GET", f"{address}/healthz")[0] == 200
        assert call("GET", f"{address}/readyz")[0] == 200
        assert "served by another process" in first("run", "--port", "0", status=1)
        port = address.rpartition(":")[2]
        assert f"port {port}: another program listens there" in Command(tmp_path / "two")("run", "--port", port, status=1)
    with first.running() as address:  # stopped cleanly, it starts again
        assert call("GET", f"{address}/healthz")[0] == 200


def test_a_host_that_is_not_ours(tmp_path: Path) -> None:
    complaint = Command(tmp_path / "var", WATERCOOLER_HOST="192.0.2.1")("run", "--port", "0", status=1)
    assert "cannot listen at 192.0.2.1" in complaint and "WATERCOOLER_HOST" in complaint


def test_the_address_is_told_to_people_and_programs(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = Command(tmp_path / "var", WATERCOOLER_PORT=str(port))
    with command.start("run") as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert f"Watercooler is at http://localhost:{port}" in line
            assert "set up your organisation" in line
            process.terminate()
            assert process.wait(timeout=25) == 0
        finally:
            process.kill()
    with Command(tmp_path / "var", WATERCOOLER_PUBLIC_URL="https://water.example.org").start("run", "--port", "0", "--json") as process:
        assert process.stdout is not None
        try:
            told = json.loads(process.stdout.readline())
            assert told.pop("way_in").startswith("Open it in a browser to set up")
            assert told == {"address": "https://water.example.org", "data": str(tmp_path / "var")}
        finally:
            process.kill()


def test_links_lead_to_the_running_network(tmp_path: Path) -> None:
    command = Command(tmp_path / "var")
    lock = tmp_path / "var" / "serving.lock"

    def invitation(name: str, **settings: str) -> str:
        [added] = Command(tmp_path / "var", **settings).lines("people", "add", "--name", name, "--email", f"{name}@example.org", "--json")
        return str(added["invitation"])

    with command.running() as address:
        told = json.loads(lock.read_text())
        assert told["address"] == address and told["pid"] > 0
        assert invitation("ann").startswith(f"{address}/invitation/")
        public = "https://water.example.org"
        assert invitation("bo", WATERCOOLER_PUBLIC_URL=public).startswith(f"{public}/invitation/")
    assert lock.read_text() == ""
    assert invitation("cy", WATERCOOLER_PORT="8123").startswith("http://localhost:8123/invitation/")
    for left_by_the_dead in (json.dumps(told), "4711", "[1]", '{"address": 5}', "not json", "\0", "[" * 4_000):
        lock.write_text(left_by_the_dead)
        assert running_address(tmp_path / "var") == ""
    assert running_address(tmp_path / "nowhere") == ""


@pytest.mark.parametrize(
    ("settings", "arguments", "name"),
    [
        ({"WATERCOOLER_PORT": "many"}, ("run",), "port: 'many' is not a whole number"),
        ({"WATERCOOLER_IMAGE_BYTES_MAX": "1kb"}, ("verify",), "image_bytes_max"),
        ({"WATERCOOLER_PROT": "8000"}, ("run",), "WATERCOOLER_PROT"),
        ({}, ("run", "--port", "99999"), "port"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, settings: dict[str, str], arguments: tuple[str, ...], name: str) -> None:
    complaint = Command(tmp_path / "var", **settings).within(*arguments, status=1)
    assert "the settings are wrong" in complaint and name in complaint
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("arguments", LOOKING, ids=" ".join)
def test_looking_at_no_network_makes_none(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert "holds no network" in Command(tmp_path / "var").within(*arguments, status=1)
    assert not (tmp_path / "var").exists()


def newer_format(data: Path) -> None:
    (data / "watercooler.json").write_text('{"format": 99}')


def unreadable_mark(data: Path) -> None:
    (data / "watercooler.json").write_text("{")


def newer_schema(data: Path) -> None:
    with sqlite3.connect(data / "feed.db") as database:
        database.execute("UPDATE schema_versions SET version = 99")


def no_database(data: Path) -> None:
    (data / "identity.db").write_bytes(b"\0\1" * 9_000)


def lost_mark(data: Path) -> None:
    (data / "watercooler.json").unlink()


def damaged_key(data: Path) -> None:
    for path in (data / "keys").glob("*.jwk"):
        path.write_text("{")


def damaged_secret(data: Path) -> None:
    (data / "secret.key").write_text("short")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that a network has used."""
    data = tmp_path_factory.mktemp("pristine") / "var"
    with Command(data).running():
        pass
    return data


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (newer_format, "newer version"), (unreadable_mark, "cannot be read"), (newer_schema, "newer version"),
        (no_database, "identity.db"), (lost_mark, "watercooler.json"), (damaged_key, ".jwk is damaged"),
        (damaged_secret, "secret.key is damaged"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_in_a_sentence(
    pristine: Path, tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    data = tmp_path / "var"
    shutil.copytree(pristine, data)
    damage(data)
    complaint = Command(data).within("run", "--port", "0", status=1)
    assert said in complaint, complaint


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "Not a directory" in Command(tmp_path / "file").within("run", "--port", "0", status=1)
