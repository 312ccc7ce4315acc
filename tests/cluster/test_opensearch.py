"""The contract of the search index, held by OpenSearch, and what is OpenSearch's own."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.searchindex.index import SearchIndex
from libs.searchindex.opensearch import OpenSearchConfig, OpenSearchHome
from libs.testing.searchindex_contract import NOW, SearchIndexContract


@pytest.fixture
async def homes(opensearch: str, search_prefix: str) -> AsyncIterator[Homes]:
    """Homes of indexes that are gone after the test."""
    homes = Homes(opensearch, search_prefix)
    yield homes
    await homes.discard()


class Homes:
    """Homes of indexes for one test."""

    def __init__(self, url: str, prefix: str) -> None:
        self.url = url
        self.prefix = prefix
        self._made: dict[str, OpenSearchHome] = {}

    def at(self, name: str = "search", **more: object) -> OpenSearchHome:
        """A home, as a process would make it for itself."""
        home = OpenSearchHome(OpenSearchConfig(url=self.url, prefix=self.prefix, **more), name, clock=lambda: NOW)  # type: ignore[arg-type]
        self._made[name] = home
        return home

    async def discard(self) -> None:
        for home in self._made.values():
            await home.discard()
            await home.close()


class TestOpenSearch(SearchIndexContract):
    visible_seconds = 30.0

    @pytest.fixture(autouse=True)
    def _homes(self, homes: Homes) -> None:
        self.homes = homes

    async def open_index(self, place: Path) -> SearchIndex:
        return await self.homes.at(f"i{hashlib.sha256(str(place).encode()).hexdigest()[:12]}").open()
