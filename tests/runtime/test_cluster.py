"""What of a cluster's processes can be told without its engines: settings, roles, status, commands."""
from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from libs.eventstore.model import Rejected
from libs.rpc.auth import make_key
from libs.runtime import cluster_commands
from libs.runtime.cli import build
from libs.runtime.cluster import Crew, Process
from libs.runtime.http_server import HttpServer
from libs.runtime.settings import Settings, SettingsError, load, service_address
from libs.runtime.status import StatusServer
from services.main import SERVICES
from tests.runtime.small import services

CLUSTER = Settings(
    database_url="postgresql://localhost/x_{service}", kafka_brokers="localhost:9092", keys=Path("keys"), search_url="http://localhost:9200",
    blob_url="s3://bucket", secret_key="k" * 40,
)


def command(*words: str, **environment: str) -> Result:
    watercooler = build(SERVICES)
    cluster_commands.register(watercooler)
    given = {f"WATERCOOLER_{name.upper()}": value for name, value in environment.items()}
    return CliRunner().invoke(watercooler, list(words), env=given)


@pytest.mark.parametrize(("name", "missing"), [
    ("feed", ["database_url"]), ("feed", ["kafka_brokers"]), ("feed", ["database_url", "kafka_brokers"]), ("feed", ["keys"]),
    ("identity", ["blob_url"]), ("search", ["search_url"]), ("gateway", ["blob_url", "secret_key"]),
])
def test_a_process_does_not_start_without_what_it_needs(name: str, missing: list[str]) -> None:
    service = next(each for each in SERVICES if each.name == name)
    settings = replace(CLUSTER, **{each: Settings.__dataclass_fields__[each].default for each in missing})
    with pytest.raises(SettingsError) as caught:
        Process(service, settings)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == missing
    for problem, each in zip(caught.value.problems, missing, strict=True):
        assert f"`serve {name}` needs it; set WATERCOOLER_{each.upper()}" in problem


def test_every_service_starts_with_all_its_settings_and_a_relay_needs_fewer() -> None:
    for service in SERVICES:
        assert Process(service, CLUSTER).roles == (("api", "worker", "relay") if service.streams else ("api", "worker"))
    feed = next(each for each in SERVICES if each.name == "feed")
    assert Process(feed, replace(CLUSTER, keys=None), ["relay"]).roles == ("relay",)
    assert Process(feed, CLUSTER, ["worker", "api"]).roles == ("api", "worker")
    with pytest.raises(ValueError, match="there is no role cook"):
        Process(feed, CLUSTER, ["cook"])
    gateway = next(each for each in SERVICES if each.name == "gateway")
    with pytest.raises(Rejected, match="no events of its own to relay"):
        Process(gateway, CLUSTER, ["relay"])


def test_the_addresses_of_all_neighbours_are_known_at_the_start() -> None:
    gateway = next(each for each in SERVICES if each.name == "gateway")
    with pytest.raises(SettingsError, match="service_addresses: names no address of"):
        Process(gateway, replace(CLUSTER, service_addresses="feed=10.0.0.8:9000"))
    mixed = replace(CLUSTER, service_addresses="{service}.water:9000,feed=10.0.0.8:9001")
    assert service_address(mixed, "feed") == "10.0.0.8:9001"
    assert service_address(mixed, "identity") == "identity.water:9000"


@pytest.mark.parametrize(("given", "said"), [
    ({"kafka_security": "sasl_ssl"}, "kafka_security: sasl_ssl needs kafka_username"),
    ({"tls_key_file": __file__}, "tls_key_file: has no use without tls_certificate_file"),
    ({"tls_certificate_file": __file__}, "tls_certificate_file: has no use without tls_key_file"),
    ({"tls_ca_file": __file__}, "tls_ca_file: has no use without tls_certificate_file"),
    ({"tls_clients": "required"}, "tls_clients: required needs tls_ca_file"),
    ({"search_username": "me"}, "search_username: has no use without search_password"),
    ({"blob_secret_key": "s"}, "blob_secret_key: has no use without blob_access_key"),
    ({"kafka_ca_file": "/nowhere/ca.pem"}, "kafka_ca_file: /nowhere/ca.pem is missing"),
    ({"service_addresses": "a:1,b:2"}, "service_addresses: holds more than one address that names no service"),
])
def test_settings_that_do_not_go_together_are_refused(given: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load({"WATERCOOLER_DATA": str(tmp_path)} | {f"WATERCOOLER_{name.upper()}": value for name, value in given.items()})
    assert said in str(caught.value)


def test_files_named_in_a_settings_file_stand_beside_it(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    file = tmp_path / "water.toml"
    file.write_text('kafka_ca_file = "ca.pem"\nkeys = "keys"\nsearch_ca_file = ""\n')
    loaded = load({"WATERCOOLER_CONFIG": str(file), "WATERCOOLER_DATA": str(tmp_path)})
    assert loaded.kafka_ca_file == tmp_path / "ca.pem"
    assert loaded.keys == tmp_path / "keys"
    assert loaded.search_ca_file is None


def test_commands_say_which_setting_they_miss() -> None:
    for words, name in ((["serve", "feed"], "kafka_brokers"), (["gateway"], "database_url"), (["migrate"], "database_url"),
                        (["topics"], "kafka_brokers")):
        done = command(*words)
        assert done.exit_code == 1
        assert f"{name}: is not set" in done.output
    assert "there is no service wiki" in command("serve", "wiki").output
    assert command("serve", "feed", "--role", "cook").exit_code == 2


def test_a_backup_on_a_server_says_what_to_do_instead(tmp_path: Path) -> None:
    done = command("backup", str(tmp_path / "b.tar.gz"), database_url="postgresql://localhost/x_{service}")
    assert done.exit_code == 1
    assert "pg_dump" in done.output


def test_a_database_for_one_service_is_not_shared() -> None:
    async def two() -> None:
        from libs.runtime.engines import Engines

        engines = Engines(Settings(database_url="postgresql://localhost/one"))
        engines._databases["identity"] = object()  # type: ignore[assignment]
        await engines.postgres("feed")

    with pytest.raises(SettingsError, match="database_url: feed and identity would share one database"):
        asyncio.run(two())


def test_keys_are_made_and_staged(tmp_path: Path) -> None:
    first = json.loads(command("--json", "keys", "new", str(tmp_path / "keys")).output)
    staged = json.loads(command("--json", "keys", "new", str(tmp_path / "keys"), "--staged").output)
    assert (first["signs"], staged["signs"]) == (True, False)
    names = sorted(path.name for path in (tmp_path / "keys").iterdir())
    assert names == [Path(staged["file"]).name, Path(first["file"]).name]
    assert all((tmp_path / "keys" / name).stat().st_mode & 0o077 == 0 for name in names)


async def ask(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return int(answer.split()[1]), answer.partition("\r\n\r\n")[2]


async def test_status_says_what_is_waited_for_and_what_has_died() -> None:
    crew, waits = Crew(), {"PostgreSQL": "nobody answers"}
    server = StatusServer("127.0.0.1", 0, alive=lambda: crew.dead, ready=lambda: waits)
    await server.start()
    try:
        assert await ask(server.port, "/livez") == (200, '{"status": "alive"}\n')
        assert await ask(server.port, "/readyz") == (503, '{"status": "waiting", "for": {"PostgreSQL": "nobody answers"}}\n')
        waits.clear()
        assert (await ask(server.port, "/readyz"))[0] == 200
        status, text = await ask(server.port, "/metrics?x=1")
        assert status == 200
        assert "watercooler_" in text
        assert (await ask(server.port, "/metrics", "HEAD"))[1] == ""
        assert (await ask(server.port, "/else"))[0] == 404
        assert (await ask(server.port, "/livez", "POST"))[0] == 405

        async def fails() -> None:
            raise RuntimeError("a mistake")

        await asyncio.wait([crew.go("subscription copy.copies", fails)])
        status, text = await ask(server.port, "/livez")
        assert status == 503
        assert json.loads(text)["for"] == {"subscription copy.copies": "RuntimeError('a mistake')"}
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"x" * 100_000)
        assert await reader.read() == b""  # whoever sends no request is let go
        writer.close()
        with pytest.raises(OSError, match="status_port: cannot listen"):
            await StatusServer("127.0.0.1", server.port, alive=dict, ready=dict).start()
    finally:
        await server.stop()
        await crew.close(10)


async def test_a_process_is_not_ready_before_it_serves_and_says_what_it_waits_for(tmp_path: Path) -> None:
    make_key(tmp_path / "keys")
    service = services()[0]
    settings = replace(
        CLUSTER, keys=tmp_path / "keys", data=tmp_path, database_url="postgresql://nobody@127.0.0.1:1/x", status_port=0,
        grpc_host="127.0.0.1",
    )
    process = Process(service, settings, ["api"])
    assert set(process.waits) == {"start"}
    starting = asyncio.create_task(process.start())
    try:
        async with asyncio.timeout(60):
            while "PostgreSQL" not in process.waits:
                await asyncio.sleep(0.01)
        assert "127.0.0.1:1" in process.waits["PostgreSQL"]
        assert "start" in process.waits
        assert process.crew.dead == {}
    finally:
        starting.cancel()
        await asyncio.wait([starting])
        await process.stop()
    assert "stop" in process.waits


async def test_an_http_server_ends_what_is_under_way_and_sends_the_rest_elsewhere() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        begun.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})

    server = HttpServer(app, "127.0.0.1", 0)
    await server.start()
    asking = asyncio.create_task(ask(server.port, "/"))
    await begun.wait()
    stopping = asyncio.create_task(server.stop(30))
    await asyncio.sleep(0)
    assert not stopping.done()
    go_on.set()
    assert await asking == (200, "done")  # the connection is closed with the answer, else this would wait
    await stopping
    with pytest.raises(OSError):
        await ask(server.port, "/")


def test_a_manifest_names_settings_that_exist() -> None:
    for service in SERVICES:
        assert all(hasattr(Settings(), name) for name in service.needs)
    assert services()[0].needs == ()
