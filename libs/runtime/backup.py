"""The whole network in one file, while it runs; and back."""
from __future__ import annotations

import json
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from libs.db.database import UnusableDatabase
from libs.db.sqlite import SqliteDatabase

from .embedded import FORMAT, MARK
from .service import Service
from .settings import Settings


class BackupError(Exception):
    """The backup cannot be made or restored; the message says why."""


async def backup(services: Sequence[Service], settings: Settings, target: Path, told: Callable[[str], None]) -> int:
    """Write a consistent copy of the data folder to one gzipped tar file; answers its size in bytes.

    Each database is copied as of one moment. Followers are copied before those they follow, so no read model in the copy is ahead of
    the log it came from; what it is behind, it catches up on at the next start. Search indexes are left out: they are rebuilt. The
    keys of personal data are inside, so a backup made before an erasure still holds what was erased: keep backups no longer than you
    may keep the data.

    Raises:
        BackupError: there is nothing to copy, or the target exists.
    """
    data = settings.data
    if settings.database_url:
        raise BackupError(
            "the databases are on a PostgreSQL server: back them up there (pg_dump, or base backups with the write-ahead log), those that "
            "follow before those they follow, and with them the bucket and the keys; docs/operations.md says in which order"
        )
    if not (data / MARK).exists():
        raise BackupError(f"{data} holds no network to back up")
    if target.exists():
        raise BackupError(f"{target} exists: choose another name, a backup overwrites nothing")
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=data) as folder:
        part = target.with_name(target.name + ".part")
        try:
            part.touch(mode=0o600)  # it holds every key
            with tarfile.open(part, "w:gz", compresslevel=3) as archive:
                archive.add(data / MARK, MARK)
                for service in followers_first(services):
                    source = data / f"{service.name}.db"
                    if not source.exists():
                        continue
                    told(service.name)
                    copy = Path(folder) / source.name
                    database = SqliteDatabase(source)
                    try:
                        await database.backup(str(copy))
                    finally:
                        await database.close()
                    archive.add(copy, source.name)
                    copy.unlink()
                for name in ("keys", "proof-keys", "blobs", "secret.key", "watercooler.toml"):
                    if (data / name).exists():
                        told(name)
                        archive.add(data / name, name, filter=_kept)
            part.rename(target)
        finally:
            part.unlink(missing_ok=True)
    return target.stat().st_size


def _kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """All but uploads under way, which come and go."""
    return None if entry.name == "blobs/incoming" else entry


def restore(settings: Settings, source: Path) -> None:
    """Unpack a backup into an empty data folder.

    Raises:
        BackupError: the folder is not empty, or the file is no backup of this or an older version.
    """
    data = settings.data
    if data.exists() and any(data.iterdir()):
        raise BackupError(f"{data} is not empty: restore into a new folder by --data, or move this one away")
    try:
        with tarfile.open(source, "r:gz") as archive:
            mark = archive.extractfile(MARK)
            found = int(json.load(mark)["format"]) if mark else 0
            if found > FORMAT:
                raise BackupError(f"{source} was made by a newer version (format {found}, this one knows {FORMAT})")
            data.mkdir(parents=True, exist_ok=True, mode=0o700)
            archive.extractall(data, filter="data")
    except (tarfile.TarError, OSError, KeyError, ValueError, TypeError, EOFError) as error:
        raise BackupError(f"{source} cannot be read as a backup: {error}") from error
    for name in data.glob("*.db"):
        try:
            SqliteDatabase(name).writer.close()
        except UnusableDatabase as error:
            raise BackupError(f"the backup is damaged: {error}") from error


def followers_first(services: Sequence[Service]) -> list[Service]:
    """The services in an order in which each comes before those it follows."""
    left = list(services)
    ordered: list[Service] = []
    while left:
        followed = {name for service in left for name in service.follows if name != service.name}
        free = [service for service in left if service.name not in followed] or left[:1]
        ordered += free
        left = [service for service in left if service not in free]
    return ordered
