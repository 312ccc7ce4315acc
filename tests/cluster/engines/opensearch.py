"""OpenSearch as one real node."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from . import downloads
from .processes import EngineError, Process, free_ports


class OpenSearch:
    """A node on this machine, without security. `url` is where it answers."""

    def __init__(self, folder: Path) -> None:
        """Nothing runs before `start`."""
        home = downloads.java(downloads.OPENSEARCH_JAVA)
        libraries = downloads.opensearch()
        self.folder = folder
        self.port, transport = free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        self.name = f"tests-{uuid.uuid4().hex[:12]}"
        self.process = Process(
            "opensearch",
            [
                str(home / "bin" / "java"), "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-Djava.awt.headless=true",
                "-cp", f"{libraries / 'classes'}:{libraries}/*", "SearchNode", str(folder / "opensearch"),
                f"cluster.name={self.name}", "node.name=one", "network.host=127.0.0.1", f"http.port={self.port}",
                f"transport.port={transport}", "discovery.type=single-node", "cluster.routing.allocation.disk.threshold_enabled=false",
                "cluster.max_shards_per_node=5000", "action.destructive_requires_name=true",
            ],
            folder, ports=[self.port, transport],
        )

    def launch(self) -> None:
        """Start the node; `wait` until it serves."""
        self.process.launch()

    def wait(self) -> None:
        """Wait until the node serves what it holds. Raises EngineError when something else answers."""
        self.process.wait_until("the node serves", self._serves)

    def _get(self, path: str) -> dict[str, object]:
        with urllib.request.urlopen(self.url + path, timeout=15) as answer:
            content: dict[str, object] = json.loads(answer.read())
            return content

    def _serves(self) -> bool:
        try:
            about = self._get("/")
            health = self._get("/_cluster/health?wait_for_status=yellow&timeout=10s")
        except (urllib.error.URLError, OSError):
            return False
        if about["cluster_name"] != self.name:
            raise EngineError(f"{self.url} is another OpenSearch ({about['cluster_name']}), not the one that was started here")
        return health["status"] in ("yellow", "green")

    def start(self) -> OpenSearch:
        """Start the node and wait until it serves."""
        self.launch()
        self.wait()
        return self

    def kill(self) -> None:
        """End the node at once."""
        self.process.kill()

    def restart(self) -> None:
        """Start the node again that was killed, with what it had kept."""
        for lock in (self.folder / "opensearch" / "data").glob("nodes/*/node.lock"):
            lock.unlink()
        self.launch()
        self.wait()

    def stop(self) -> None:
        """End the node."""
        self.process.stop()
