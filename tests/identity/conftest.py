"""A network with identity alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.testing.world import World
from services.identity.service import SERVICE
from tests.identity.worlds import Identity


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Identity]:
    """Identity before set-up."""
    async with World.of(tmp_path, SERVICE, password_hash_bytes=8 << 20, password_hash_passes=1) as world:
        yield Identity(world)


@pytest.fixture
async def identity(bare: Identity) -> AsyncIterator[Identity]:
    """Identity after set-up; at the end, every read model equals its rebuild."""
    await bare.set_up()
    yield bare
    await bare.world.assert_rebuilds()
