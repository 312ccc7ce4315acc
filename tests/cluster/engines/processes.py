"""Servers as children of the test run: on free ports, in folders of their own, ended by process id and never left behind."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

# Below the range that Linux gives to outgoing connections, so that no client of anybody takes the port in between.
PORTS = range(15000, 32000)
STOP_SECONDS = 30
_PR_SET_PDEATHSIG = 1
OWNER = ".owner"

_owned: dict[Path, TextIO] = {}


class EngineError(Exception):
    """An engine cannot be had, started or trusted; the text says what to do."""


def is_used(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((host, port)) == 0


def free_ports(count: int) -> list[int]:
    """Ports on this machine that nobody listens at."""
    found: list[int] = []
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise EngineError(f"this machine has no {count} free ports from {PORTS.start} to {PORTS.stop}")


def wait_for(what: str, holds: Callable[[], object], seconds: float = 60, pause: float = 0.05) -> None:
    """Wait until it holds. Raises EngineError, naming what was waited for, past the seconds."""
    until = time.monotonic() + seconds
    between = threading.Event()
    while not holds():
        if time.monotonic() > until:
            raise EngineError(f"after {seconds:.0f} s still waiting for: {what}")
        between.wait(pause)


def own_folder(prefix: str) -> Path:
    """A folder among the temporary ones that is ours while this process lives; those of processes that were killed are swept away.

    The lock on a file in it says so: it goes with the process, however that ends.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*/{OWNER}"):
        with contextlib.suppress(OSError), left.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    owner = (folder / f"{OWNER}.new").open("w")
    fcntl.flock(owner, fcntl.LOCK_EX)
    (folder / f"{OWNER}.new").rename(folder / OWNER)  # by this name it is locked from the beginning
    _owned[folder] = owner
    return folder


def give_up(folder: Path) -> None:
    """Remove a folder that `own_folder` made; once more does no harm."""
    shutil.rmtree(folder, ignore_errors=True)
    if owner := _owned.pop(folder, None):
        owner.close()


def _die_with_parent() -> None:  # runs in the child, before it becomes the server
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Process:
    """One server process, known by its process id.

    It is a child of this process and is killed by the kernel when the thread that started it ends, however that ends:
    start it from the main thread.
    """

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, *, ports: Sequence[int] = (), environment: Mapping[str, str] | None = None,
        stop_signal: int = signal.SIGTERM, working: Path | None = None,
    ) -> None:
        """Nothing runs before `launch`. It will listen at `ports`; it works in `folder`, which takes its output, or in `working`."""
        self.name = name
        self.command = list(command)
        self.folder = folder
        self.working = working or folder
        self.ports = list(ports)
        self.environment = dict(environment or {})
        self.stop_signal = stop_signal
        self.output = folder / f"{name}.out"
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = False

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise EngineError(f"{self.name} was not started here")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def ending(self) -> bool:
        """Whether it was asked to end and has not yet."""
        return self._asked and self.running

    @property
    def exit_status(self) -> int | None:
        """How the process ended; None while it runs."""
        return None if self._process is None else self._process.poll()

    def launch(self) -> None:
        """Start the process. Raises EngineError where one of its ports is in use."""
        for port in self.ports:
            if is_used(port):
                raise EngineError(f"{self.name}: port {port} is in use by something that was not started here")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._asked = False
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                self.command, cwd=self.working, env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True, preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call, of the C library only
            )

    def wait_until(self, what: str, holds: Callable[[], object], seconds: float = 120) -> None:
        """Wait for something that the process is to do; its last words are in the error when it ends or is too slow."""

        def look() -> object:
            if not self.running:
                raise EngineError(f"{self.name} ended with status {self.exit_status}:\n{self.log()}")
            return holds()

        try:
            wait_for(f"{self.name}: {what}", look, seconds)
        except EngineError as error:
            if self.running:
                raise EngineError(f"{error}\n{self.log()}") from None
            raise

    def log(self, characters: int = 4000) -> str:
        """The end of what it wrote."""
        if not self.output.exists():
            return ""
        with self.output.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 4 * characters))
            return file.read().decode("utf-8", "replace")[-characters:]

    def signal(self, number: int) -> None:
        """Send a signal to the process, if it is still there."""
        if self.running:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once (SIGKILL) and wait until it is gone."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(STOP_SECONDS)

    def pause(self) -> None:
        """Stop it where it stands (SIGSTOP)."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self.signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """Ask it to end, once: a second signal means to many servers that they must not finish what is under way."""
        self.signal(signal.SIGCONT)
        if not self._asked:
            self._asked = True
            self.signal(self.stop_signal)

    def stop(self, seconds: float = STOP_SECONDS) -> float:
        """Ask it to end, and end it when it has not after the seconds; answers how long it took."""
        if self._process is None:
            return 0.0
        started = time.monotonic()
        self.ask_to_stop()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        return time.monotonic() - started


@contextlib.contextmanager
def ended(*processes: Process) -> Iterator[None]:
    """Stop the processes at the end of the block, whatever happens."""
    try:
        yield
    finally:
        for process in processes:
            process.stop()
