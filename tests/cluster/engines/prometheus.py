"""Prometheus as a real server over given targets and rules, and its tool that checks rules and expressions."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import downloads
from .processes import EngineError, Process, free_ports


def promtool(*arguments: str, folder: Path | None = None) -> str:
    """What promtool says about something; raises EngineError with its words where it finds fault."""
    done = subprocess.run(
        [str(downloads.prometheus() / "promtool"), *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise EngineError(f"promtool {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Prometheus:
    """A server on this machine that looks at its targets every second. `url` is where it answers."""

    def __init__(self, folder: Path, targets: Sequence[str] = (), rules: Sequence[Path] = (), *, job: str = "watercooler") -> None:
        """`targets` are hosts with ports that answer at /metrics; nothing runs before `start`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = folder / "prometheus"
        # JSON is YAML, too, and needs no quoting of our own.
        settings = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": list(targets)}]}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(settings), "utf-8")
        self.process = Process(
            "prometheus",
            [
                str(downloads.prometheus() / "prometheus"), f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.data}", f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn",
            ],
            folder, ports=[self.port],
        )

    def launch(self) -> None:
        """Start the server; `wait` until it serves."""
        self.process.launch()

    def wait(self) -> None:
        """Wait until the server is ready. Raises EngineError when something else answers."""
        self.process.wait_until("the server is ready", self._ready)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                pass
            flags = self._get("/api/v1/status/flags")
        except (urllib.error.URLError, OSError):
            return False
        if flags["storage.tsdb.path"] != str(self.data):
            raise EngineError(f"{self.url} is another Prometheus, with its data in {flags['storage.tsdb.path']}")
        return True

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=15) as answer:
            return json.loads(answer.read())["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression is now: its series with labels (`metric`) and `value`."""
        found: list[dict[str, Any]] = self._get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))["result"]
        return found

    def start(self) -> Prometheus:
        """Start the server and wait until it is ready."""
        self.launch()
        self.wait()
        return self

    def kill(self) -> None:
        """End the server at once."""
        self.process.kill()

    def stop(self) -> None:
        """End the server."""
        self.process.stop()
