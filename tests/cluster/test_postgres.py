"""PostgreSQL keeps the contracts of the embedded engine, and what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.db.database import Database
from libs.db.postgres import PostgresDatabase
from libs.testing.contracts import DatabaseContract, EventStoreContract, SubscriptionContract
from tests.cluster.engines.postgres import Databases


class OnPostgres:
    """A database for each folder, made when it is first opened."""

    @pytest.fixture(autouse=True)
    def _server(self, postgres: Databases) -> None:
        self._databases: dict[Path, str] = {}
        self._postgres = postgres

    async def open(self, folder: Path) -> Database:
        url = self._databases.get(folder)
        if url is None:
            url = self._databases[folder] = self._postgres.fresh_one()
        return await PostgresDatabase.open(url, connections=6)


class TestDatabase(OnPostgres, DatabaseContract):
    pass


class TestEventStore(OnPostgres, EventStoreContract):
    pass


class TestSubscriptions(OnPostgres, SubscriptionContract):
    pass
