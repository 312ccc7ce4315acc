"""The network in one process on PostgreSQL: one at a time, and commands beside it change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.db.database import UnusableDatabase
from libs.eventstore.model import Metadata
from libs.runtime.embedded import AlreadyRunning, Embedded
from libs.runtime.settings import Settings
from libs.runtime.verify import verify
from libs.testing.contracts import published
from libs.testing.world import World
from tests.cluster.engines.postgres import Databases
from tests.runtime.small import services


async def test_read_models_follow_and_one_process_works_at_a_time(tmp_path: Path, postgres: Databases) -> None:
    source, copy, echo = services()
    url = postgres.fresh("source", "copy")
    elsewhere = Settings(data=tmp_path / "elsewhere", database_url=url)
    async with World.of(tmp_path, source, copy, database_url=url) as world:
        for number in (1, 2):
            await world.store("source").append(f"post-{number}", 0, [published(number)], Metadata("ann"))
        await world.assert_rebuilds()
        assert echo.heard == ["post-1", "post-2"]
        with pytest.raises(AlreadyRunning, match="another process works on the database of source"):
            await Embedded((source, copy), elsewhere).start()
        beside = Embedded((source, copy), elsewhere, follow="nothing")
        await beside.start()
        try:
            assert await verify(beside, lambda _: None) == []
        finally:
            await beside.stop()
    async with World.of(tmp_path / "again", source, copy, database_url=url) as world:  # the leases were given back
        assert await world.store("source").head() == 2
        await world.assert_rebuilds()


async def test_commands_make_no_tables(tmp_path: Path, postgres: Databases) -> None:
    source, copy, _ = services()
    url = postgres.fresh("source", "copy")
    network = Embedded((source, copy), Settings(data=tmp_path, database_url=url), follow="projections")
    with pytest.raises(UnusableDatabase, match="run `watercooler migrate` first"):
        await network.start()


async def test_a_database_of_another_service_is_refused(tmp_path: Path, postgres: Databases) -> None:
    source, copy, _ = services()
    url = postgres.fresh("source").replace("{service}", "source")
    async with World.of(tmp_path, source, database_url=url):
        pass
    with pytest.raises(UnusableDatabase, match="holds the data of source"):
        async with World.of(tmp_path, copy, database_url=url):
            pytest.fail("it started")
