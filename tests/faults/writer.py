"""A process to be killed: runs the small network and prints a line for each write it acknowledges.

    python -m tests.faults.writer FOLDER CALLERS
"""
from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from libs.eventstore.model import Metadata
from libs.runtime.embedded import Embedded
from libs.runtime.settings import Settings
from libs.testing.contracts import published
from libs.text.ids import new_id
from tests.runtime.small import services
from watercooler.feed.v1.events_pb2 import PostEdited

META = Metadata("ann")


async def write_for_ever(network: Embedded) -> None:
    """Publish a post and edit it, over and over; `stream version position` goes out once `append` has returned."""
    store = network.stores["source"]
    while True:
        post_id = new_id()
        position = await store.append(f"post-{post_id}", 0, [published(post_id)], META, f"ann:{post_id}")
        acknowledge(f"post-{post_id}", 1, position)
        edited = PostEdited(post_id=f"p{post_id}", author_id="ann", body=f"edited {post_id}")
        position = await store.append(f"post-{post_id}", 1, [edited], META)
        acknowledge(f"post-{post_id}", 2, position)


def acknowledge(stream: str, version: int, position: int) -> None:
    """One write of one line past Python's buffers, so that a killed process leaves whole lines."""
    os.write(1, f"{stream} {version} {position}\n".encode())


async def main(folder: Path, callers: int) -> None:
    """Start, and write until killed."""
    source, copy, _ = services()
    network = Embedded((source, copy), Settings(data=folder, log_level="error"))
    await network.start()
    await asyncio.gather(*(write_for_ever(network) for _ in range(callers)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
