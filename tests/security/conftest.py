"""A whole network to attack, and what several of these tests need."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.testing.world import World
from services.feed.service import SERVICE as FEED
from services.gateway.service import SERVICE as GATEWAY
from services.identity.service import SERVICE as IDENTITY
from services.search.service import SERVICE as SEARCH
from tests.gateway.conftest import PASSWORD, QUICK, Network, Person

__all__ = ["PASSWORD", "Network", "Person", "as_page", "network", "started"]

MANY = {"rate_reads_per_minute": 100_000, "rate_writes_per_minute": 100_000, "rate_sign_ins_per_minute": 1_000}


@asynccontextmanager
async def started(folder: Path, **settings: Any) -> AsyncIterator[Network]:
    """All four services, with quotas that do not get in the way of asking everything."""
    async with World.of(folder, IDENTITY, FEED, SEARCH, GATEWAY, **{**QUICK, **MANY, **settings}) as world:
        found = Network(world)
        await found.set_up()
        yield found


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    """A network of the test's own."""
    async with started(tmp_path) as found:
        yield found


async def as_page(browser: Person, path: str, **options: object) -> httpx.Response:
    """A page as a signed-in browser gets it."""
    return await browser.client.get(path, **options)  # type: ignore[arg-type]
