"""The real engines beside the node, started as in `make test-cluster` inside its network namespace; pods reach them at its address.

Run inside the namespace. Prints one JSON object with what an installation needs to know, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from tests.cluster.engines import kafka
from tests.cluster.engines.shared import NAMES, running
from tests.kubernetes.node import ADDRESS

SERVICES = ("identity", "feed", "search", "gateway")


async def forward(port: int) -> None:
    """Pass what comes to the node's address on to the engine, which listens on the loopback."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        with contextlib.suppress(asyncio.CancelledError):  # at the end
            await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    await asyncio.start_server(taken, ADDRESS, port)


async def main() -> None:
    """Start, tell, forward, wait."""
    # Clients are told to come to the node's address; the engine itself stays on the loopback.
    kafka._SETTINGS = kafka._SETTINGS.replace("advertised.listeners=PLAINTEXT://127.0.0.1", f"advertised.listeners=PLAINTEXT://{ADDRESS}")
    engines = running()
    engines.prepare(*NAMES)
    engines.launch(*NAMES)
    started = engines._started
    ports = {"kafka": started["kafka"].ports[0]} | {name: started[name].port for name in NAMES if name != "kafka"}
    for port in ports.values():  # before they are waited for: Kafka is only ready when it is reached at the address it gives
        await forward(port)
    await asyncio.to_thread(engines.handover)
    database = engines.postgres().fresh(*SERVICES)
    bucket = engines.s3().fresh()
    print(
        json.dumps(
            {
                "database": database.replace("127.0.0.1", ADDRESS),
                "kafka": f"{ADDRESS}:{ports['kafka']}",
                "search": f"http://{ADDRESS}:{ports['opensearch']}",
                "blob": {key: value.replace("127.0.0.1", ADDRESS) for key, value in bucket.items()},
            }
        ),
        flush=True,
    )
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
