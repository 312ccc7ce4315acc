"""The database, event store and subscription contracts on SQLite."""
from __future__ import annotations

from pathlib import Path

import pytest

from libs.db.database import Database, UnusableDatabase
from libs.db.sqlite import SqliteDatabase
from libs.testing.contracts import DatabaseContract, EventStoreContract, SubscriptionContract


class OnSqlite:
    async def open(self, folder: Path) -> Database:
        return SqliteDatabase(folder / "events.db")


class TestDatabase(OnSqlite, DatabaseContract):
    pass


class TestEventStore(OnSqlite, EventStoreContract):
    pass


class TestSubscription(OnSqlite, SubscriptionContract):
    pass


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(b"not a database at all, but long enough to look like one" * 100)
    with pytest.raises(UnusableDatabase):
        SqliteDatabase(path)
