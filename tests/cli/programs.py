"""Runs the `watercooler` command as an operator does: as a process, by its output and exit status."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from libs.runtime.cli import build
from services.main import SERVICES

ROOT = Path(__file__).resolve().parents[2]
# The least work a password's hash may take.
QUICK = {"WATERCOOLER_PASSWORD_HASH_BYTES": "8MiB", "WATERCOOLER_PASSWORD_HASH_PASSES": "1"}


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without settings of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WATERCOOLER_")}
    return kept | {"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}"} | QUICK | settings


class Command:
    """`watercooler` on one data folder."""

    def __init__(self, data: Path, program: str = "services.main", **settings: str) -> None:
        self.data = data
        self.program = program
        self.settings = settings

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", self.program, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(WATERCOOLER_DATA=str(self.data), **self.settings),
        )

    def __call__(self, *arguments: str, status: int = 0, timeout_seconds: float = 60.0) -> str:
        """Run a command to its end; answers what it printed, and what it complained of when it failed. Never is that a traceback."""
        with self.start(*arguments) as process:
            output, complaint = process.communicate(timeout=timeout_seconds)
        assert "Traceback" not in complaint, complaint
        assert process.returncode == status, f"exit status {process.returncode}: {output}{complaint}"
        return complaint if status else output

    def within(self, *arguments: str, status: int = 0) -> str:
        """As a call, without a process of its own; for what ends before anything is served."""
        unset = {name: None for name in os.environ if name.startswith("WATERCOOLER_")}
        settings = {**unset, **QUICK, "WATERCOOLER_DATA": str(self.data), **self.settings}
        done = CliRunner().invoke(build(SERVICES), arguments, env=settings)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == status, f"exit status {done.exit_code}: {done.output}"
        return done.output

    def lines(self, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
        """The JSON objects that a command prints, one a line."""
        with self.start(*arguments) as process:
            output, complaint = process.communicate(timeout=60)
        assert "Traceback" not in complaint, complaint
        assert process.returncode == status, f"exit status {process.returncode}: {output}{complaint}"
        return [json.loads(line) for line in output.splitlines()]

    @contextmanager
    def running(self, *arguments: str) -> Iterator[str]:
        """A running network; answers its address. It ends by SIGTERM, within the time a stop may take, and with status 0."""
        with self.start("run", "--json", "--port", "0", *arguments) as process:
            assert process.stdout is not None
            try:
                first = process.stdout.readline()
                assert first, process.communicate(timeout=20)[1]
                yield json.loads(first)["address"]
                process.send_signal(signal.SIGTERM)
                _, complaint = process.communicate(timeout=25)
                assert process.returncode == 0, complaint
            finally:
                process.kill()


def call(method: str, url: str, body: Any = None, token: str = "", content_type: str = "application/json") -> tuple[int, Any]:
    """An HTTP request; answers status and body, read as JSON where it is."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": content_type, "user-agent": "tests"}, method=method)
    if token:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            raw, status, kind = answer.read(), answer.status, answer.headers.get("content-type", "")
    except urllib.error.HTTPError as error:
        raw, status, kind = error.read(), error.code, error.headers.get("content-type", "")
    return status, json.loads(raw) if "json" in kind and raw else raw
