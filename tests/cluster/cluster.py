"""Watercooler as a cluster on this machine: one process a service, or one a role, on real engines with fresh databases and names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.cluster.engines.postgres import Databases, apart
from tests.cluster.engines.processes import EngineError, Process, free_ports, wait_for
from tests.cluster.engines.s3 import Buckets

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("identity", "feed", "search", "gateway")
COMMAND_SECONDS = 300
# The least work that a password's hash may take, and no limit that a test meets.
QUICK = {
    "WATERCOOLER_PASSWORD_HASH_BYTES": "8MiB", "WATERCOOLER_PASSWORD_HASH_PASSES": "1",
    "WATERCOOLER_RATE_WRITES_PER_MINUTE": "1000000", "WATERCOOLER_RATE_READS_PER_MINUTE": "1000000",
    "WATERCOOLER_RATE_SIGN_INS_PER_MINUTE": "10000",
}


@dataclass(frozen=True)
class Part:
    """One process of the cluster: a service with all its roles, or with some."""

    service: str
    roles: tuple[str, ...] = ()
    copy: str = ""
    before: tuple[str, ...] = ()
    """What stands before its command line, such as `nsenter ...`."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name among the parts."""
        return "-".join(part for part in (self.service, *self.roles, self.copy) if part)

    @property
    def answers(self) -> bool:
        """Whether it takes calls."""
        return not self.roles or "api" in self.roles


WHOLE = tuple(Part(service) for service in SERVICES)


class Cluster:
    """The processes of a cluster, its settings, and its command line."""

    def __init__(
        self, folder: Path, *, databases: Databases, brokers: str, search_url: str, store: Buckets, parts: Sequence[Part] = WHOLE,
        replication: int = 1, settings: Mapping[str, str] | None = None, addresses: Mapping[str, str] | None = None,
    ) -> None:
        """Everything it keeps is new and empty. `addresses` says on which hosts services are reached that are not on this one."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.parts = {part.name: part for part in parts}
        self.prefix = f"t{uuid.uuid4().hex[:12]}."
        self.databases = databases
        self.database_url = databases.fresh(*SERVICES)
        self.port, *ports = free_ports(1 + 2 * len(parts))
        self.call_ports = dict(zip(self.parts, ports[: len(parts)], strict=True))
        self.status_ports = dict(zip(self.parts, ports[len(parts) :], strict=True))
        self.address = f"http://localhost:{self.port}"
        keys = folder / "keys"
        keys.mkdir(mode=0o700)
        key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (keys / "first.pem").write_bytes(key)
        (keys / "first.pem").chmod(0o600)
        places = {part.service: f"127.0.0.1:{self.call_ports[name]}" for name, part in self.parts.items() if part.answers}
        places |= {service: f"{host}:{places[service].rpartition(':')[2]}" for service, host in (addresses or {}).items()}
        self._settings = {
            **QUICK,
            "WATERCOOLER_DATABASE_URL": self.database_url, "WATERCOOLER_DATABASE_CONNECTIONS": "6",
            "WATERCOOLER_KAFKA_BROKERS": brokers, "WATERCOOLER_KAFKA_PREFIX": self.prefix, "WATERCOOLER_KAFKA_PARTITIONS": "3",
            "WATERCOOLER_KAFKA_REPLICATION": str(replication),
            "WATERCOOLER_SEARCH_URL": search_url, "WATERCOOLER_SEARCH_PREFIX": self.prefix.rstrip("."),
            "WATERCOOLER_KEYS": str(keys), "WATERCOOLER_SECRET_KEY": uuid.uuid4().hex,
            "WATERCOOLER_SERVICE_ADDRESSES": ",".join(f"{service}={place}" for service, place in places.items() if service != "gateway"),
            "WATERCOOLER_GRPC_HOST": "0.0.0.0", "WATERCOOLER_PUBLIC_URL": self.address, "WATERCOOLER_LOG_FORMAT": "json",
            **{f"WATERCOOLER_{name.upper()}": value for name, value in store.fresh().items()},
            **{f"WATERCOOLER_{name.upper()}": value for name, value in (settings or {}).items()},
        }
        self.processes = {name: self._process(part) for name, part in self.parts.items()}

    def environment(self) -> dict[str, str]:
        """The settings that every process and command of this cluster is given, among this process's own environment."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WATERCOOLER_")}
        return {**kept, "PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}", **self._settings}

    def _process(self, part: Part) -> Process:
        name = part.name
        command = [*part.before, sys.executable, "-m", "services.main", "serve", part.service]
        for role in part.roles:
            command += ["--role", role]
        own = {
            "WATERCOOLER_DATA": str(self.folder / "data" / name), "WATERCOOLER_STATUS_PORT": str(self.status_ports[name]),
            "WATERCOOLER_GRPC_PORT": str(self.call_ports[name]), "WATERCOOLER_PORT": str(self.port),
        }
        ports = [self.status_ports[name], *([self.call_ports[name]] if part.answers else [])]
        if part.answers and part.service == "gateway":
            ports.append(self.port)
        return Process(
            name, command, self.folder / "processes" / name, working=ROOT, ports=[] if part.before else ports,
            environment={**self.environment(), **own, **part.environment},
        )

    # --- running ------------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the schemas and the topics, as an operator does before the first start."""
        self.say("migrate")
        self.say("topics", "--create")

    def start(self) -> None:
        """Start every process that does not run, and wait until all are ready."""
        missing = [name for name, process in self.processes.items() if not process.running]
        for name in missing:
            self.processes[name].launch()
        for name in missing:
            self.wait_ready(name)

    def wait_ready(self, name: str, seconds: float = 120) -> None:
        """Wait until a process says that it is ready."""
        self.processes[name].wait_until("ready", lambda: self.ready(name), seconds)

    def ready(self, name: str) -> bool:
        """Whether a process says that it is ready."""
        return self.status(name, "/readyz")[0] == 200

    def status(self, name: str, path: str) -> tuple[int, str]:
        """What a process answers at its status port: code (0 where nobody answers) and text."""
        try:
            with urllib.request.urlopen(f"http://{self.status_host(name)}:{self.status_ports[name]}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode("utf-8", "replace")
        except OSError as error:
            return 0, str(error)

    def status_host(self, name: str) -> str:
        """Where the status port of a process is reached."""
        return "127.0.0.1"

    def metric(self, name: str, metric: str, **labels: str) -> float:
        """The sum of a metric's series with these labels in one process; 0 where there are none."""
        total = 0.0
        for line in self.status(name, "/metrics")[1].splitlines():
            if line.startswith((metric + "{", metric + " ")) and all(f'{label}="{value}"' in line for label, value in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def kill(self, *names: str) -> None:
        """End processes at once (SIGKILL), all where none is named."""
        for name in names or tuple(self.processes):
            self.processes[name].signal(9)
        for name in names or tuple(self.processes):
            self.processes[name].kill()

    def stop(self) -> None:
        """Ask every process to end, and wait for them."""
        for process in self.processes.values():
            process.ask_to_stop()
        for process in self.processes.values():
            process.stop()

    def log(self, characters: int = 4000) -> str:
        """The last that each process said."""
        return "\n".join(f"--- {name}\n{process.log(characters)}" for name, process in self.processes.items())

    def leader(self, service: str, lease: str = "worker") -> str:
        """Which process has a lease of a service, by its name among the parts; empty where none of the running ones has."""

        async def holder() -> str:
            connection = await asyncpg.connect(self.database_url.replace("{service}", service), timeout=30)
            try:
                return str(await connection.fetchval("SELECT holder FROM leases WHERE name = $1", lease) or "")
            finally:
                await connection.close()

        held = apart(holder())
        return next((name for name, process in self.processes.items() if process.running and f"-{process.pid}-" in held), "")

    # --- its command line ---------------------------------------------------------------------------------------------

    def run(self, *words: str, seconds: float = COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run `watercooler ... --json` with the cluster's settings."""
        environment = {**self.environment(), "WATERCOOLER_DATA": str(self.folder / "data" / "command")}
        return subprocess.run(
            [sys.executable, "-m", "services.main", "--json", *words], cwd=ROOT, env=environment, capture_output=True, text=True,
            timeout=seconds, check=False,
        )

    def say(self, *words: str) -> list[dict[str, Any]]:
        """Run a command that must succeed; answers its JSON lines."""
        done = self.run(*words)
        if done.returncode:
            raise EngineError(f"watercooler {' '.join(words)}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def verify(self) -> list[str]:
        """What `watercooler verify` finds wrong."""
        done = self.run("verify")
        found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if not found or "findings" not in found[-1]:
            raise EngineError(f"watercooler verify: status {done.returncode}\n{done.stdout}\n{done.stderr}")
        assert (done.returncode == 0) == (found[-1]["findings"] == 0)
        return [f"{each['service']}: {each['problem']}" for each in found[:-1]]

    # --- its REST API -------------------------------------------------------------------------------------------------

    def api(self, method: str, path: str, token: str, body: Any = None, **headers: str) -> Any:
        """Call the REST API in somebody's name."""
        request = urllib.request.Request(
            f"{self.address}/api/v1{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {token}", "content-type": "application/json", **headers},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if content else None


def eventually(what: str, holds: Any, seconds: float = 90, pause: float = 0.2) -> None:
    """Wait until something holds; a server that is away for the moment does not answer, and is asked again."""
    last: list[str] = [""]

    def look() -> bool:
        try:
            return bool(holds())
        except (OSError, urllib.error.URLError) as error:
            last[0] = repr(error)
            return False

    try:
        wait_for(what, look, seconds, pause)
    except EngineError as error:
        raise AssertionError(f"{error} {last[0]}") from None


def stay(seconds: float) -> None:
    """Let a fault last so long: the length is part of the fault, and nothing is waited for."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        threading.Event().wait(left)
