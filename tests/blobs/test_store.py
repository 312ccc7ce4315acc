"""The blob store on a folder and in memory, and what only a folder can do: last, fill up, be damaged."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.blobs import store as blobs
from libs.blobs.store import BlobStore, BlobStoreFailed
from libs.testing.blobs_contract import LIMIT, BlobStoreContract, GoneAway, pieces

ROOT = Path(__file__).resolve().parents[2]


class TestFolder(BlobStoreContract):
    def make(self, folder: Path) -> BlobStore:
        return BlobStore.local(folder)


class TestMemory(BlobStoreContract):
    def make(self, folder: Path) -> BlobStore:
        return BlobStore.memory()


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


async def test_blobs_outlive_the_store(tmp_path: Path) -> None:
    ref = await BlobStore.local(tmp_path).put(b"kept", "text/plain", limit_bytes=LIMIT)
    assert await (await BlobStore.local(tmp_path).get(ref.id)).read() == b"kept"
    assert files(tmp_path) == [f"content/{ref.id[:2]}/{ref.id}"]


async def test_content_is_on_disk_before_its_name_and_the_name_before_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    sync = blobs._sync

    def watch(path: Path) -> None:
        inside = path.relative_to(tmp_path).parts
        named = any((tmp_path / "content").rglob("*.plain"))
        seen.append(f"{inside[0] if inside else 'root'} {'after' if named else 'before'}")
        sync(path)

    monkeypatch.setattr(blobs, "_sync", watch)
    await BlobStore.local(tmp_path).put(b"durable", "text/plain", limit_bytes=LIMIT)
    assert seen == ["incoming before", "content after", "content after", "root after"]


async def test_damage_is_seen(tmp_path: Path) -> None:
    store = BlobStore.local(tmp_path)
    ref = await store.put(b"as it was", "text/plain", limit_bytes=LIMIT)
    [path] = [tmp_path / name for name in files(tmp_path)]
    path.write_bytes(b"as it is!")
    assert not await store.intact(ref.id)
    path.write_bytes(b"short")
    assert await store.put(b"as it was", "text/plain", limit_bytes=LIMIT) == ref
    assert await store.intact(ref.id), "content of another size is written anew"


async def test_broken_uploads_leave_no_file_and_old_ones_are_swept(tmp_path: Path) -> None:
    store = BlobStore.local(tmp_path)

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        raise GoneAway

    with pytest.raises(GoneAway):
        await store.put(broken(), "text/plain", limit_bytes=LIMIT)
    assert files(tmp_path) == []
    for name, age_hours in (("old", 25), ("new", 1)):
        path = tmp_path / "incoming" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age_hours * 3600,) * 2)
    BlobStore.local(tmp_path)
    assert files(tmp_path) == ["incoming/new"]


async def test_a_folder_that_went_away_is_said(tmp_path: Path) -> None:
    store = BlobStore.local(tmp_path / "blobs")
    (tmp_path / "blobs").rmdir()
    (tmp_path / "blobs").write_text("in the way")
    with pytest.raises(BlobStoreFailed):
        await store.put(b"x", "text/plain", limit_bytes=LIMIT)
    with pytest.raises(BlobStoreFailed):
        await store.put(pieces(b"x"), "text/plain", limit_bytes=LIMIT)


FULL = """
import asyncio, resource, sys
from collections.abc import AsyncIterator
from pathlib import Path
from libs.blobs.store import BlobStore, BlobStoreFailed

async def main(folder: Path) -> None:
    store = BlobStore.local(folder)
    small = await store.put(b"before", "text/plain", limit_bytes=1 << 30)
    # No file may grow past 1 MiB: what a write meets on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    async def large():
        for _ in range(20):
            yield b"x" * (1 << 20)
    for content in (b"x" * (20 << 20), large()):
        try:
            await store.put(content, "text/plain", limit_bytes=1 << 30)
        except BlobStoreFailed as error:
            print("refused")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    again = await store.put(b"x" * (20 << 20), "text/plain", limit_bytes=1 << 30)
    print(await store.intact(again.id), await store.intact(small.id), len([ref async for ref in store.refs()]))

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs file size limits of POSIX")
def test_a_full_disk_refuses_loses_nothing_and_recovers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.split("\n")[:3] == ["refused", "refused", "True True 2"], done.stderr
