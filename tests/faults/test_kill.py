"""kill -9 under load: what was acknowledged is there, once, and everything made from it agrees."""
from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from libs.runtime.verify import verify
from libs.testing.world import World
from tests.runtime.small import services

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 6
ACKNOWLEDGED_BEFORE = (1, 400)


def run_and_kill(folder: Path, callers: int, acknowledged: int) -> list[tuple[str, int, int]]:
    """Start a writer, kill it after so many acknowledgements; answers all it acknowledged, to its last breath."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.writer", str(folder), str(callers)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if len(lines) == acknowledged:
                process.kill()
    assert process.returncode == -9, f"the writer ended by itself: {process.returncode}"
    lines = [line for line in lines if line.endswith("\n")]
    return [(stream, int(version), int(position)) for stream, version, position in (line.split() for line in lines)]


async def test_acknowledged_writes_survive_kill_9_exactly_once(tmp_path: Path) -> None:
    dice = random.Random(9)
    acknowledged: list[tuple[str, int, int]] = []
    for number in range(ROUNDS):
        acknowledged += run_and_kill(tmp_path / "var", dice.choice((1, 8, 64)), dice.randint(*ACKNOWLEDGED_BEFORE))
        source, copy, _ = services()
        async with World.of(tmp_path, source, copy) as world:
            await world.settle()
            assert await verify(world.embedded, lambda name: None) == [], f"round {number}"
            await world.assert_rebuilds()
            store = world.store("source")
            events = await store.tail(0, 1_000_000)
            stored = [(event.stream, event.version, event.position) for event in events]
            assert len(set(stored)) == len(stored)
            assert set(acknowledged) <= set(stored), f"round {number}: acknowledged and lost"
            # The read models: every post once, in the neighbour's table too, and each text as its last event says.
            published = sorted(event.data.post_id for event in events if event.version == 1)
            assert [row["post_id"] for row in await world.store("copy").database.fetch("SELECT post_id FROM copies ORDER BY post_id")] \
                == published
            assert [row["post_id"] for row in await store.database.fetch("SELECT post_id FROM texts ORDER BY post_id")] == published
            [tally] = await store.database.fetch("SELECT posts FROM tallies")
            assert tally["posts"] == len(published)
            # A repeated request gets its first answer, so a client that never heard may ask again.
            stream = acknowledged[-1][0]
            assert await store.answered(f"ann:{stream.removeprefix('post-')}") == (stream, 1)
            acknowledged = sorted(set(acknowledged))
