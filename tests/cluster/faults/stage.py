"""What the faults happen to: a cluster whose feed is split by roles, on engines that may be killed; and the tools that cut and fill."""

from __future__ import annotations

import os
import random
import select
import shutil
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.browser.network import Administrator
from tests.cluster.cluster import ROOT, Cluster, Part
from tests.cluster.engines.kafka import Kafka
from tests.cluster.engines.opensearch import OpenSearch
from tests.cluster.engines.postgres import Postgres
from tests.cluster.engines.processes import EngineError, Process
from tests.cluster.engines.s3 import Buckets

PARTS = (
    Part("identity"), Part("feed", ("api",)), Part("feed", ("worker",), "a"), Part("feed", ("worker",), "b"), Part("feed", ("relay",)),
    Part("search"), Part("gateway"),
)


class Disk:
    """A small disk in memory, seen by the processes that are started through it only, and gone with it."""

    def __init__(self, folder: Path, mebibytes: int) -> None:
        """Raises EngineError where this user may not mount."""
        self.mount = folder / "disk"
        self.mount.mkdir(parents=True)
        self._filler = self.mount / "filler"
        mount = f'mount -t tmpfs -o size={mebibytes}m,mode=755 watercooler "{self.mount}"'
        script = f'{mount} && touch "{folder}/mounted" && exec sleep infinity'
        self._holder = Process("disk", ["unshare", "--mount", "--propagation", "private", "sh", "-c", script], folder)
        self._holder.launch()
        try:
            self._holder.wait_until("a disk in memory", (folder / "mounted").exists, 20)
        except EngineError as error:
            self._holder.stop()
            raise EngineError(f"no disk can be mounted here: {error}") from None

    @property
    def before(self) -> list[str]:
        """What stands before the command line of a process that is to see the disk."""
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt"]

    def fill(self) -> None:
        """Take all room that is left."""
        writing = ["dd", "if=/dev/zero", f"of={self._filler}", "bs=64k"]
        subprocess.run([*self.before, *writing], stderr=subprocess.DEVNULL, check=False, timeout=60)
        if self.free() > 64 << 10:
            raise EngineError(f"{self.mount} is not full")

    def clear(self) -> None:
        """Give the room back."""
        subprocess.run([*self.before, "rm", "-f", str(self._filler)], check=True, timeout=60)

    def free(self) -> int:
        """The room that is left, in bytes."""
        said = subprocess.run([*self.before, "df", "--output=avail", "-B1", str(self.mount)], capture_output=True, text=True, check=True)
        return int(said.stdout.split()[-1])

    def remove(self) -> None:
        """Take it away, with all it holds."""
        self._holder.stop()


class Wire:
    """A network of its own for processes on this machine, joined to the rest by one wire that can be cut, and gone with it.

    The engines are not reached over the wire: their ports are taken through sockets in a folder, so a cut parts services only.
    """

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        """`ports` of this machine are reached at the same place inside. Raises EngineError where this user may not make networks."""
        if os.geteuid() != 0 or shutil.which("ip") is None:
            raise EngineError("networks are made by root only, with the command ip (iproute2)")
        folder.mkdir(parents=True, exist_ok=True)
        first, second = random.SystemRandom().randint(64, 127), random.SystemRandom().randint(0, 255)
        self.outside, self.inside = f"10.{first}.{second}.1", f"10.{first}.{second}.2"
        self._name = f"wc{uuid.uuid4().hex[:8]}"
        self._holder = Process("network", ["unshare", "--net", "sh", "-c", f'touch "{folder}/made" && exec sleep infinity'], folder)
        self._holder.launch()
        self._doors: list[Process] = []
        try:
            self._holder.wait_until("a network of its own", (folder / "made").exists, 20)
            self._ip("link", "add", f"{self._name}a", "type", "veth", "peer", "name", f"{self._name}b", "netns", str(self._holder.pid))
            self._ip("addr", "add", f"{self.outside}/30", "dev", f"{self._name}a")
            self._ip("link", "set", f"{self._name}a", "up")
            for words in (
                ("addr", "add", f"{self.inside}/30", "dev", f"{self._name}b"), ("link", "set", f"{self._name}b", "up"),
                ("link", "set", "lo", "up"), ("route", "add", "default", "via", self.outside),
            ):
                self._ip(*words, inside=True)
            sockets = folder / "doors"
            sockets.mkdir()
            for name, before, side in (("outer", [], "out"), ("inner", self.before, "in")):
                door = Process(
                    f"doors-{name}", [*before, sys.executable, "-m", "tests.cluster.faults.stage", side, str(sockets), *map(str, ports)],
                    folder, working=ROOT,
                )
                door.launch()
                self._doors.append(door)
                ready = sockets / f"{side}.ready"
                door.wait_until("the ways to the engines", ready.exists, 30)
        except BaseException:
            self.remove()
            raise

    @property
    def before(self) -> list[str]:
        """What stands before the command line of a process inside."""
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net"]

    def _ip(self, *words: str, inside: bool = False) -> None:
        done = subprocess.run([*(self.before if inside else []), "ip", *words], capture_output=True, text=True, check=False, timeout=30)
        if done.returncode:
            raise EngineError(f"ip {' '.join(words)}: {done.stderr}")

    def cut(self) -> None:
        """From now on nothing gets through, and nobody is told."""
        self._ip("link", "set", f"{self._name}b", "down", inside=True)

    def join(self) -> None:
        """Everything gets through again."""
        self._ip("link", "set", f"{self._name}b", "up", inside=True)
        self._ip("route", "replace", "default", "via", self.outside, inside=True)

    def remove(self) -> None:
        """Take it away; the wire goes with the network at its end."""
        for door in self._doors:
            door.stop()
        self._holder.stop()


class Stage:
    """Engines that may be killed, a cluster on them, and its administrator."""

    def __init__(self, folder: Path, store: Buckets) -> None:
        """Everything is started; `close` ends it."""
        self.disk: Disk | None = None
        self.no_disk = ""
        try:
            self.disk = Disk(folder / "disk", 400)
        except EngineError as error:
            self.no_disk = str(error)
        self.postgres = Postgres(folder / "postgres", durable=True)
        self.opensearch = OpenSearch(folder / "opensearch")
        self.kafka = Kafka(
            folder / "kafka", 3, data=self.disk.mount if self.disk else None, before=self.disk.before if self.disk else (),
            segment_bytes=1 << 20,
        )
        self._cluster: Cluster | None = None
        try:
            for engine in (self.postgres, self.opensearch, self.kafka):
                engine.launch()
            for engine in (self.postgres, self.opensearch, self.kafka):
                engine.wait()
            self._cluster = Cluster(
                folder / "cluster", databases=self.postgres, brokers=self.kafka.brokers, search_url=self.opensearch.url, store=store,
                parts=PARTS, replication=3,
            )
            self.cluster.prepare()
            self.cluster.start()
            self.admin = Administrator(self.cluster)  # type: ignore[arg-type] - the part of a network that it uses
        except BaseException:
            self.close()
            raise

    @property
    def cluster(self) -> Cluster:
        """The processes."""
        assert self._cluster is not None
        return self._cluster

    def heal(self) -> None:
        """Everything runs again, whatever the last test left."""
        if self.disk:
            self.disk.clear()
        for index, node in enumerate(self.kafka.nodes):
            node.resume()
            if not node.running:
                self.kafka.restart(index)
        for engine in (self.postgres, self.opensearch):
            engine.process.resume()
            if not engine.process.running:
                engine.restart()
        for process in self.cluster.processes.values():
            process.resume()
            if process.ending:
                process.stop()
        self.cluster.start()

    def with_environment(self, name: str, environment: Mapping[str, str]) -> None:
        """Start a process of the cluster again, in another environment."""
        process = self.cluster.processes[name]
        process.stop()
        process.environment = {**process.environment, **environment}
        process.launch()
        self.cluster.wait_ready(name)

    def close(self) -> None:
        """End everything."""
        if self._cluster is not None:
            self._cluster.stop()
        for engine in (self.kafka, self.opensearch, self.postgres):
            engine.stop()
        if self.disk is not None:
            self.disk.remove()


# --- the doors: ports of this machine inside another network, through sockets in a folder ------------------------------


def _pump(one: socket.socket, other: socket.socket) -> None:
    with one, other:
        ways = {one: other, other: one}
        while ways:
            for ready in select.select(list(ways), [], [])[0]:
                try:
                    content = ready.recv(1 << 16)
                    if content:
                        ways[ready].sendall(content)
                        continue
                    ways[ready].shutdown(socket.SHUT_WR)
                except OSError:
                    return
                del ways[ready]


def _door(listener: socket.socket, reach: tuple[str, int] | str) -> None:
    while True:
        caller, _ = listener.accept()
        called = socket.socket(socket.AF_UNIX if isinstance(reach, str) else socket.AF_INET)
        try:
            called.connect(reach)
        except OSError:
            caller.close()
            called.close()
            continue
        threading.Thread(target=_pump, args=(caller, called), daemon=True).start()


def _doors(side: str, folder: Path, ports: Sequence[int]) -> None:
    listeners: list[tuple[socket.socket, tuple[str, int] | str]] = []
    for port in ports:
        path = str(folder / str(port))
        listener = socket.socket(socket.AF_UNIX if side == "out" else socket.AF_INET)
        listener.bind(path if side == "out" else ("127.0.0.1", port))
        listener.listen(128)
        listeners.append((listener, ("127.0.0.1", port) if side == "out" else path))
    (folder / f"{side}.ready").touch()
    threads = [threading.Thread(target=_door, args=each) for each in listeners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    _doors(sys.argv[1], Path(sys.argv[2]), [int(port) for port in sys.argv[3:]])


