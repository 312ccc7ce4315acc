"""What the browser tests and the journeys run on when TEST_NETWORK=cluster: the same interface, one process a service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.browser.network import Network
from tests.cluster.cluster import Cluster
from tests.cluster.engines.shared import running


def started(folder: Path) -> Cluster:
    """An empty cluster, one process a service, on the engines of this test run."""
    engines = running()
    engines.launch("postgres", "kafka", "opensearch", "s3")
    cluster = Cluster(
        folder, databases=engines.postgres(), brokers=engines.kafka(), search_url=engines.opensearch(), store=engines.s3(),
    )
    cluster.prepare()
    try:
        cluster.start()
    except BaseException:
        cluster.stop()
        raise
    return cluster


class ClusterNetwork(Network):
    """A running network of several processes, for tests that know it by its address."""

    def __init__(self, folder: Path) -> None:
        """Start it; stop it by `stop`."""
        self.folder = folder
        self.cluster = started(folder / "cluster")
        self.port = self.cluster.port
        self.address = self.cluster.address

    def log(self) -> str:
        """What the processes said."""
        return self.cluster.log()

    def stop(self) -> None:
        """End the processes and wait for them."""
        self.cluster.stop()


class ClusterCompany:
    """The network as an operator runs it, for the journeys: processes, and a command line that is given their settings."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cluster: Cluster | None = None
        self.address = ""

    @property
    def cluster(self) -> Cluster:
        assert self._cluster is not None, "not started"
        return self._cluster

    def start(self) -> None:
        """Start it, for the first time or again with what it had kept."""
        if self._cluster is None:
            self._cluster = started(self._folder / "cluster")
            self.address = self._cluster.address
        else:
            self._cluster.start()

    def kill(self) -> None:
        """End every process at once."""
        self.cluster.kill()

    def stop(self) -> None:
        """End every process."""
        if self._cluster is not None:
            self._cluster.stop()

    def command(self, *words: str) -> list[dict[str, Any]]:
        """Run the command line beside the network; answers its JSON lines."""
        return self.cluster.say(*words)

    def api(self, method: str, path: str, token: str, body: Any = None) -> Any:
        """Call the REST API in somebody's name."""
        return self.cluster.api(method, path, token, body)
