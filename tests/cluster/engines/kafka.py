"""Kafka as real brokers, each also a controller (KRaft), one or three of them."""

from __future__ import annotations

import base64
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from . import downloads
from .processes import EngineError, Process, free_ports, is_used

_SETTINGS = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor={copies}
min.insync.replicas={in_sync}
num.partitions=3
offsets.topic.num.partitions=4
offsets.topic.replication.factor={copies}
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=2
background.threads=2
log.cleaner.dedupe.buffer.size=8388608
log.index.size.max.bytes=1048576
log.segment.bytes={segment}
"""


class Kafka:
    """A cluster of brokers on this machine. `brokers` is how clients are told of it."""

    def __init__(
        self, folder: Path, nodes: int = 1, *, data: Path | None = None, before: Sequence[str] = (), segment_bytes: int = 32 << 20
    ) -> None:
        """`before` stands before the command lines of the brokers, such as `nsenter ...`, where `data` is the folder of their topics;
        nothing runs before `start`."""
        java = downloads.java(downloads.KAFKA_JAVA) / "bin" / "java"
        libraries = downloads.kafka()
        self._java = [
            *before, str(java), "-Xms96m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={downloads.HERE / 'java' / 'log4j2.properties'}", "-cp", f"{libraries}/*",
        ]
        self.folder = folder
        # Every cluster has an id of its own, by which we know that it is ours.
        self.id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        ports = free_ports(2 * nodes)
        self.ports = ports[:nodes]
        controllers = ports[nodes:]
        self.brokers = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        self.nodes: list[Process] = []
        for index, (port, controller) in enumerate(zip(self.ports, controllers, strict=True)):
            own = folder / f"broker-{index + 1}"
            own.mkdir(parents=True)
            (own / "server.properties").write_text(
                _SETTINGS.format(
                    node=index + 1, port=port, controller=controller, copies=nodes, in_sync=2 if nodes > 2 else 1, segment=segment_bytes,
                    voters=",".join(f"{number + 1}@127.0.0.1:{each}" for number, each in enumerate(controllers)),
                    data=(data or own) / f"data-{index + 1}",
                ),
                "utf-8",
            )
            self.nodes.append(
                Process(f"kafka-{index + 1}", [*self._java, "kafka.Kafka", str(own / "server.properties")], own, ports=[port, controller])
            )

    def launch(self) -> None:
        """Start the brokers; `wait` until they serve."""
        formats = [
            subprocess.Popen(
                [
                    *self._java, "kafka.tools.StorageTool", "format", "--cluster-id", self.id,
                    "--config", str(node.folder / "server.properties"),
                ],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for node in self.nodes
        ]
        for formatting in formats:
            said, _ = formatting.communicate(timeout=120)
            if formatting.returncode:
                raise EngineError(f"Kafka's folders could not be prepared:\n{said[-3000:]}")
        for node in self.nodes:
            node.launch()

    def wait(self) -> None:
        """Wait until every broker serves. Raises EngineError when something else answers."""
        for node in self.nodes:
            node.wait_until("all brokers serve", self._serve)

    def start(self) -> Kafka:
        """Start the brokers and wait until they serve."""
        self.launch()
        self.wait()
        return self

    def _serve(self) -> bool:
        up = {index for index, node in enumerate(self.nodes) if node.running}
        if not all(is_used(self.ports[index]) for index in up):
            return False  # the client below waits long for a broker that does not listen yet
        try:
            client = KafkaAdminClient(bootstrap_servers=[f"127.0.0.1:{self.ports[index]}" for index in up], request_timeout_ms=3000)
        except KafkaError:
            return False
        try:
            cluster = client.describe_cluster()
        except KafkaError:
            return False
        finally:
            client.close()
        if cluster["cluster_id"] != self.id:
            raise EngineError(f"{self.brokers} is another Kafka ({cluster['cluster_id']}), not the one that was started here")
        return len(cluster["brokers"]) == len(up)

    def kill(self, index: int) -> None:
        """End one broker at once, without its knowing."""
        self.nodes[index].kill()

    def restart(self, index: int) -> None:
        """Start a broker again that was killed, with what it had kept, and wait until all serve."""
        self.nodes[index].launch()
        self.wait()

    def stop(self) -> None:
        """End every broker."""
        for node in self.nodes:
            node.ask_to_stop()
        for node in self.nodes:
            # With the others gone a controller may wait for a quorum that never comes.
            node.stop(10)
