"""The embedded network: starting, following, stopping, verifying, backing up."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from libs.db.database import UnusableDatabase
from libs.eventstore.model import Metadata
from libs.runtime import backup
from libs.runtime.embedded import AlreadyRunning, Embedded
from libs.runtime.settings import Settings
from libs.runtime.verify import verify
from libs.testing.contracts import published
from libs.testing.world import World
from tests.runtime.small import services

META = Metadata("ann")


async def publish(world: World, *numbers: int) -> None:
    for number in numbers:
        await world.store("source").append(f"post-{number}", 0, [published(number)], META)


async def test_every_read_model_follows_and_survives_a_restart(tmp_path: Path) -> None:
    source, copy, echo = services()
    async with World.of(tmp_path, source, copy) as world:
        await publish(world, 1, 2, 3)
        await world.assert_rebuilds()
        assert echo.heard == ["post-1", "post-2", "post-3"]
    source, copy, echo = services()
    async with World.of(tmp_path, source, copy) as world:
        await publish(world, 4)
        await world.assert_rebuilds()
        rows = await world.store("copy").database.fetch("SELECT post_id FROM copies ORDER BY post_id")
        assert [row["post_id"] for row in rows] == ["p1", "p2", "p3", "p4"]
    assert echo.heard == ["post-4"]  # what was reacted to is not reacted to again


async def test_a_reactor_starts_at_now(tmp_path: Path) -> None:
    source, copy, echo = services()
    async with World.of(tmp_path, source) as world:
        await publish(world, 1)
    async with World.of(tmp_path, source, copy) as world:
        await world.settle()
        await publish(world, 2)
        await world.settle()
        rows = await world.store("copy").database.fetch("SELECT post_id FROM copies")
    assert echo.heard == ["post-2"]
    assert len(rows) == 2


async def test_one_folder_is_served_by_one_process(tmp_path: Path) -> None:
    source, copy, _ = services()
    async with World.of(tmp_path, source, copy):
        with pytest.raises(AlreadyRunning, match="another process"):
            await Embedded((source, copy), Settings(data=tmp_path / "var")).start()
        beside = Embedded((source, copy), Settings(data=tmp_path / "var"), follow="projections")
        await beside.start()
        await beside.stop()


async def test_two_processes_share_the_log_and_the_read_models(tmp_path: Path) -> None:
    source, copy, _ = services()
    async with World.of(tmp_path, source, copy) as world:
        beside = Embedded(services()[:2], Settings(data=tmp_path / "var"), follow="projections")
        await beside.start()
        try:
            for number in range(20):
                store = world.store("source") if number % 2 else beside.stores["source"]
                await store.append(f"post-{number}", 0, [published(number)], META)
            await beside.settle()
        finally:
            await beside.stop()
        await world.assert_rebuilds()
        rows = await world.store("copy").database.fetch("SELECT post_id FROM copies")
        assert len(rows) == 20


async def test_data_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    source, copy, _ = services()
    async with World.of(tmp_path, source, copy) as world, world.store("source").database.transaction() as tx:
        await tx.execute("UPDATE schema_versions SET version = 99 WHERE part = 'kernel'")
    with pytest.raises(UnusableDatabase, match="newer version"):
        await Embedded((source, copy), Settings(data=tmp_path / "var")).start()


async def test_a_folder_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "watercooler.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(UnusableDatabase, match="newer version"):
        await Embedded(services()[:2], Settings(data=tmp_path)).start()


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"format": "x"}'])
async def test_an_unreadable_folder_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "watercooler.json").write_text(content)
    with pytest.raises(UnusableDatabase, match="cannot be read"):
        await Embedded(services()[:2], Settings(data=tmp_path)).start()


async def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "watercooler.json").write_text('{"format": 1}')
    (tmp_path / "source.db").write_bytes(b"\x00\x01" * 8_000)
    with pytest.raises(UnusableDatabase, match=r"source\.db"):
        await Embedded(services()[:2], Settings(data=tmp_path)).start()


async def test_verify_finds_what_was_falsified(tmp_path: Path) -> None:
    source, copy, _ = services()
    async with World.of(tmp_path, source, copy) as world:
        await publish(world, 1, 2, 3)
        await world.settle()
        assert await verify(world.embedded, lambda name: None) == []
        async with world.store("source").database.transaction() as tx:
            await tx.execute("DELETE FROM events WHERE position = 2")
        async with world.store("copy").database.transaction() as tx:
            await tx.execute("UPDATE copies SET post_id = 'other' WHERE post_id = 'p3'")
            await tx.execute("UPDATE checkpoints SET position = 99 WHERE subscription = 'copy.copies'")
        findings = [f"{f.service}: {f.what}" for f in await verify(world.embedded, lambda name: None)]
    assert any("the log has gaps" in f for f in findings)
    assert any("past the end of source" in f for f in findings)
    assert any("copy.copies differs" in f and "other" in f for f in findings)


async def test_a_backup_taken_while_writing_restores_to_a_whole_network(tmp_path: Path) -> None:
    source, copy, _ = services()
    target = tmp_path / "backup.tar.gz"
    async with World.of(tmp_path, source, copy) as world:
        await publish(world, *range(50))
        await backup.backup((source, copy), world.embedded.settings, target, lambda name: None)
        await publish(world, *range(50, 60))
        with pytest.raises(backup.BackupError, match="overwrites nothing"):
            await backup.backup((source, copy), world.embedded.settings, target, lambda name: None)
    settings = Settings(data=tmp_path / "restored")
    backup.restore(settings, target)
    with pytest.raises(backup.BackupError, match="not empty"):
        backup.restore(settings, target)
    restored = Embedded(services()[:2], settings)
    await restored.start()
    try:
        await restored.settle()
        assert await verify(restored, lambda name: None) == []
        assert await restored.stores["source"].head() == 50
    finally:
        await restored.stop()


def test_a_file_that_is_no_backup_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"nothing of the kind")
    with pytest.raises(backup.BackupError, match="cannot be read"):
        backup.restore(Settings(data=tmp_path / "var"), tmp_path / "x")


def test_followers_are_backed_up_before_those_they_follow() -> None:
    source, copy, _ = services()
    assert [s.name for s in backup.followers_first((source, copy))] == ["copy", "source"]
