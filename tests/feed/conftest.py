"""What the tests of the feed share."""
from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.feed.worlds import Feed, feed_of


@pytest.fixture
async def feed(tmp_path: Path) -> AsyncIterator[Feed]:
    async with feed_of(tmp_path) as running:
        yield running
