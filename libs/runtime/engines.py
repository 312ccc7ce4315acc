"""Which engine keeps what: the only place that chooses between the embedded ones and those of a cluster.

The libraries of an engine are imported where it is chosen, so that a network on one machine starts without those it does not use.
"""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from libs.blobs.store import BlobStore
from libs.db.database import Database
from libs.db.sqlite import SqliteDatabase
from libs.rpc.auth import Keys, KeysUnusable
from libs.searchindex.index import IndexHome, SearchIndex

from .settings import Settings, SettingsError

if TYPE_CHECKING:
    from libs.db.postgres import PostgresDatabase
    from libs.rpc.tls import Tls
    from libs.subscriptions.kafka import KafkaConfig

SERVICE_PLACE = "{service}"


class Engines:
    """The engines that the settings name, each opened once."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is opened yet."""
        self.settings = settings
        self._databases: dict[str, Database] = {}
        self._blobs: BlobStore | None = None

    @property
    def on_server(self) -> bool:
        """Whether the databases are on a server, where other processes may use them too, and not in the data folder."""
        return bool(self.settings.database_url)

    async def database(self, name: str) -> Database:
        """The database of a service; the same one when asked again.

        Raises:
            UnusableDatabase: it cannot be opened; the message says why.
            SettingsError: `database_url` gives two services one database.
        """
        if name in self._databases:
            return self._databases[name]
        opened: Database
        if self.on_server:
            opened = await self.postgres(name)
        else:
            path = self.settings.data / f"{name}.db"
            opened = SqliteDatabase(path, cache_kib=self.settings.cache_database_bytes // 1024)
        self._databases[name] = opened
        return opened

    async def postgres(self, name: str) -> PostgresDatabase:
        """As `database`, where it is on a server: with the leases that only a server can give."""
        from libs.db.postgres import PostgresDatabase

        held = self._databases.get(name)
        if held is not None:
            assert isinstance(held, PostgresDatabase)
            return held
        if SERVICE_PLACE not in self.settings.database_url and self._databases:
            other = next(iter(self._databases))
            raise SettingsError([
                f"database_url: {name} and {other} would share one database, and each needs its own; put {SERVICE_PLACE} in its name"
            ])
        opened = await PostgresDatabase.open(
            self.settings.database_url.replace(SERVICE_PLACE, name),
            connections=self.settings.database_connections,
            timeout_seconds=self.settings.database_timeout.total_seconds(),
        )
        self._databases[name] = opened
        return opened

    def blobs(self) -> BlobStore:
        """Where uploaded files are kept."""
        if self._blobs is None:
            if self.settings.blob_url:
                place = urlsplit(self.settings.blob_url)
                self._blobs = BlobStore.s3(
                    bucket=place.netloc, prefix=place.path.strip("/"), endpoint=self.settings.blob_endpoint,
                    region=self.settings.blob_region, access_key=self.settings.blob_access_key,
                    secret_key=self.settings.blob_secret_key,
                )
            else:
                self._blobs = BlobStore.local(self.settings.data / "blobs")
        return self._blobs

    def folder(self, name: str) -> Path:
        """Where a service keeps what is neither log nor table."""
        return self.settings.data / "index" / name

    def index(self, name: str) -> IndexHome:
        """Where a service's search index is kept."""
        return _Chosen(self.settings, self.folder(name), name)

    def kafka(self) -> KafkaConfig:
        """How Kafka is reached, and how topics are made."""
        from libs.subscriptions.kafka import KafkaConfig

        settings = self.settings
        return KafkaConfig(
            brokers=tuple(settings.kafka_brokers.split(",")), security=settings.kafka_security, mechanism=settings.kafka_mechanism,
            username=settings.kafka_username, password=settings.kafka_password, ca_file=settings.kafka_ca_file,
            prefix=settings.kafka_prefix, partitions=settings.kafka_partitions, replication=settings.kafka_replication,
            retention_seconds=int(settings.kafka_retention.total_seconds()),
        )

    def tls(self) -> Tls | None:
        """How calls between services are guarded; None where they are plain."""
        settings = self.settings
        if settings.tls_certificate_file is None and settings.tls_ca_file is None:
            return None
        from libs.rpc.tls import Tls

        return Tls(
            certificate=settings.tls_certificate_file, key=settings.tls_key_file, authority=settings.tls_ca_file,
            require_clients=settings.tls_clients == "required",
        )

    def keys(self, *, make: bool) -> Keys:
        """The keys that sign tokens between services; `make` lets the first one be made, where nobody else reads the folder.

        Raises:
            KeysUnusable: a file in the folder is no key, or there is none and none may be made.
        """
        folder = self.settings.keys or self.settings.data / "keys"
        try:
            return Keys(folder, make=make and self.settings.keys is None)
        except KeysUnusable as error:
            raise KeysUnusable(f"keys: {error}; `watercooler keys new {folder}` makes one, the same for all services") from error

    async def close(self) -> None:
        """Close every database."""
        for database in self._databases.values():
            await database.close()
        self._databases.clear()


class _Chosen:
    """The home of an index, in the engine that is chosen when it is first needed."""

    def __init__(self, settings: Settings, folder: Path, name: str) -> None:
        self._settings = settings
        self._folder = folder
        self._name = name
        self._home: IndexHome | None = None

    @property
    def home(self) -> IndexHome:
        if self._home is None:
            settings = self._settings
            if settings.search_url:
                from libs.searchindex.opensearch import OpenSearchConfig, OpenSearchHome

                self._home = OpenSearchHome(
                    OpenSearchConfig(
                        url=settings.search_url, username=settings.search_username, password=settings.search_password,
                        ca_file=settings.search_ca_file, prefix=settings.search_prefix, shards=settings.search_shards,
                        replicas=settings.search_replicas,
                    ),
                    self._name,
                )
            else:
                from libs.searchindex.tantivy import TantivyHome

                self._home = TantivyHome(self._folder)
        return self._home

    async def open(self) -> SearchIndex:
        return await self.home.open()

    async def check(self) -> None:
        await self.home.check()

    async def discard(self) -> None:
        await self.home.discard()
