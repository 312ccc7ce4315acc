"""PostgreSQL as a real server, and fresh databases in it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import threading
import uuid
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from . import downloads
from .processes import EngineError, Process, free_ports, give_up, own_folder, wait_for

T = TypeVar("T")

_NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--pdeathsig", "SIGKILL"]
_FAST = ["-c", "fsync=off", "-c", "full_page_writes=off"]


def apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a thread of its own, so that it does not matter whether a loop runs here."""
    result: list[T] = []
    problem: list[BaseException] = []

    def run() -> None:
        try:
            result.append(asyncio.run(work))
        except BaseException as error:
            problem.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if problem:
        raise problem[0]
    return result[0]


class Databases:
    """A server that runs somewhere on this machine, and fresh databases in it."""

    def __init__(self, port: int) -> None:
        """It answers at the port, to the user postgres, without a password."""
        self.port = port

    def url(self, database: str) -> str:
        """How to reach a database of that name; `{service}` in the name stays."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def fresh(self, *services: str) -> str:
        """Make an empty database for each service; answers their address, with `{service}` where the name of a service goes."""
        prefix = f"t{uuid.uuid4().hex[:12]}"
        self.make([f"{prefix}_{service}" for service in services])
        return self.url(prefix + "_{service}")

    def fresh_one(self) -> str:
        """Make one empty database; answers its address."""
        return self.fresh("only").replace("{service}", "only")

    def make(self, names: list[str]) -> None:
        """Make empty databases of these names."""

        async def make() -> None:
            connection = await asyncpg.connect(self.url("postgres"), timeout=30)
            try:
                for name in names:
                    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
            finally:
                await connection.close()

        apart(make())


class Postgres(Databases):
    """A server of our own, listening on this machine only. `durable` lets a commit wait for the disk, as in production."""

    def __init__(self, folder: Path, *, durable: bool = False, connections: int = 300) -> None:
        """Nothing runs before `start`."""
        super().__init__(free_ports(1)[0])
        self._programs = downloads.postgres()
        self._root = os.geteuid() == 0
        # nobody cannot enter the folders of pytest, so the data is kept in one of its own.
        self.folder = own_folder("watercooler-postgres-") if self._root else folder / "postgres"
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._root:
            if shutil.which("setpriv") is None:
                raise EngineError("PostgreSQL refuses to run as root, and setpriv (util-linux), which makes it somebody else, is missing")
            shutil.chown(self.folder, "nobody", "nogroup")
        self.data = self.folder / "data"
        self.connections = connections
        self.durable = durable
        command = [
            str(self._programs / "postgres"), "-D", str(self.data), "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
            "-c", f"unix_socket_directories={self.folder}", "-c", f"max_connections={connections}", "-c", "shared_buffers=64MB",
            "-c", "max_wal_size=512MB", "-c", "log_min_messages=warning", *([] if durable else _FAST),
        ]
        self.process = Process(
            "postgres", self._as_somebody(command), folder, ports=[self.port], environment={"LC_ALL": "C.UTF-8", "HOME": str(self.folder)},
            stop_signal=signal.SIGINT, working=self.folder,
        )

    def _as_somebody(self, command: list[str]) -> list[str]:
        return [*_NOBODY, *command] if self._root else command

    def launch(self) -> None:
        """Start the server; `wait` until it serves."""
        if not (self.data / "PG_VERSION").exists():
            made = subprocess.run(
                self._as_somebody([
                    str(self._programs / "initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
                    "--no-sync",
                ]),
                cwd=self.folder, env={**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(self.folder)}, capture_output=True, text=True,
                timeout=120, check=False,
            )
            if made.returncode:
                raise EngineError(f"PostgreSQL's folder could not be prepared:\n{(made.stdout + made.stderr)[-3000:]}")
        self.process.launch()

    def wait(self) -> None:
        """Wait until the server answers. Raises EngineError when something else does."""
        self.process.wait_until("the server answers", lambda: apart(self._answers()))

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url("postgres"), timeout=10)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        try:
            folder = await connection.fetchval("SHOW data_directory")
        finally:
            await connection.close()
        if Path(folder).resolve() != self.data.resolve():
            raise EngineError(f"port {self.port} is another PostgreSQL, with its data in {folder}")
        return True

    def start(self) -> Postgres:
        """Start the server and wait until it answers."""
        self.launch()
        self.wait()
        return self

    def kill(self) -> None:
        """End the server at once, as a machine does that loses its power, but for its cache of the disk."""
        self.process.kill()

    def restart(self) -> None:
        """Start the server again that was killed; it recovers what was committed."""
        # What served connections ends soon after the server itself; before that its memory cannot be taken over.
        socket = self.folder / f".s.PGSQL.{self.port}"
        wait_for("the last processes of the killed PostgreSQL are gone", lambda: not self._left(), 60)
        for left in (socket, socket.with_name(socket.name + ".lock")):
            left.unlink(missing_ok=True)
        self.launch()
        self.wait()

    def _left(self) -> list[int]:
        """Processes that still work in the data folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if (entry / "cwd").resolve() == self.data.resolve():
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    def stop(self) -> None:
        """End the server and remove its data."""
        self.process.stop()
        if self._root:
            give_up(self.folder)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
