"""The contract of the blob store, held by a bucket, and what is a bucket's own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import obstore
import pytest

from libs.blobs.store import BlobNotFound, BlobRef, BlobStore, BlobStoreFailed, BlobStoreRefused
from libs.testing.blobs_contract import LIMIT, PNG, BlobStoreContract, all_refs

ROOT = Path(__file__).resolve().parents[2]
MEBIBYTE = 1 << 20


def opened(settings: dict[str, str], **changed: str) -> BlobStore:
    """The store that these settings lead to."""
    settings = settings | changed
    place = urlsplit(settings["blob_url"])
    return BlobStore.s3(
        bucket=place.netloc, prefix=place.path.strip("/"), endpoint=settings["blob_endpoint"], region=settings["blob_region"],
        access_key=settings["blob_access_key"], secret_key=settings["blob_secret_key"],
    )


def fetch(address: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """What a stranger gets there."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=30) as answer:
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        return error.code, b"", {}


class TestBucket(BlobStoreContract):
    @pytest.fixture(autouse=True)
    def _bucket(self, s3: dict[str, str]) -> None:
        self.settings = s3

    def make(self, folder: Path) -> BlobStore:
        return opened(self.settings)


async def test_a_usable_store_says_nothing(s3: dict[str, str]) -> None:
    await opened(s3).check()


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("blob_secret_key", "wrong-secret-key", "blob_access_key, blob_secret_key"),
        ("blob_access_key", "nobody", "blob_access_key, blob_secret_key"),
        ("blob_url", "s3://no-such-bucket-here/files", "blob_url: nobody knows the bucket no-such-bucket-here"),
    ],
)
async def test_wrong_settings_are_named_at_the_start(s3: dict[str, str], setting: str, value: str, named: str) -> None:
    with pytest.raises(BlobStoreRefused, match=named) as caught:
        await opened(s3, **{setting: value}).check()
    assert s3["blob_secret_key"] not in str(caught.value)
    with pytest.raises(BlobStoreFailed):
        await opened(s3, **{setting: value}).put(b"hello", "text/plain", limit_bytes=LIMIT)


async def test_a_store_that_is_away_has_failed_and_is_not_empty(s3: dict[str, str]) -> None:
    store = opened(s3, blob_endpoint="http://127.0.0.1:9")
    known = "0" * 64 + "-text.plain"
    for asked in (
        store.check(), store.head(known), store.get(known), store.delete(known), all_refs(store),
        store.put(b"hello", "text/plain", limit_bytes=LIMIT),
    ):
        with pytest.raises(BlobStoreFailed):
            await asked


# What a process does that stores 100 MB, or is killed while it does; it says how much its memory has grown.
UPLOAD = """
import asyncio, json, resource, sys
sys.path.insert(0, sys.argv[1])
from libs.testing.blobs_contract import pieces
from tests.cluster.test_s3 import opened, stream
settings, megabytes, hold = json.loads(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "hold"

async def main():
    store = opened(settings)
    await store.put(pieces(*[bytes(1 << 20)] * 12), "application/zip", limit_bytes=1 << 30)  # what every upload needs is in memory now
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def content():
        async for piece in stream(megabytes):
            yield piece
        if hold:
            print("held", flush=True)
            await asyncio.Event().wait()

    ref = await store.put(content(), "application/zip", limit_bytes=1 << 30)
    print(json.dumps({"id": ref.id, "size": ref.size, "grown": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before}))

asyncio.run(main())
"""


async def stream(megabytes: int) -> AsyncIterator[bytes]:
    """Always the same bytes, none like the next."""
    source = random.Random(7)
    for _ in range(megabytes):
        yield source.randbytes(MEBIBYTE)


def upload(settings: dict[str, str], megabytes: int, *, hold: bool = False) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", UPLOAD, str(ROOT), json.dumps(settings), str(megabytes), "hold" if hold else "end"],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT / "protos")},
    )


async def test_a_hundred_megabytes_take_little_memory_and_read_alike_in_every_range(s3: dict[str, str], tmp_path: Path) -> None:
    process = upload(s3, 100)
    said, _ = await asyncio.to_thread(process.communicate, timeout=110)
    assert process.returncode == 0
    uploaded = json.loads(said)
    assert uploaded["size"] == 100 * MEBIBYTE
    assert uploaded["grown"] < 48 * 1024  # KiB: parts on their way, not the file

    bucket, folder = opened(s3), BlobStore.local(tmp_path / "blobs")
    kept = await folder.put(stream(100), "application/zip", limit_bytes=1 << 30)
    assert uploaded["id"] == kept.id
    assert await bucket.head(kept.id) == kept
    part = 5 * MEBIBYTE
    end = 100 * MEBIBYTE
    for byte_range in ((0, 1), (part - 3, part + 3), (end - MEBIBYTE, None), (17, 2 * part), (end - 1, None), (50, 50 + MEBIBYTE)):
        parts = [await (await store.get(kept.id, byte_range)).read() for store in (bucket, folder)]
        assert parts[0] == parts[1]
    assert await bucket.intact(kept.id)


async def test_an_upload_that_is_killed_shows_nothing(s3: dict[str, str]) -> None:
    store = opened(s3)
    process = upload(s3, 30, hold=True)
    assert process.stdout is not None
    assert (await asyncio.to_thread(process.stdout.readline)) == "held\n"
    before = await all_refs(store)
    process.kill()
    process.wait()
    process.stdout.close()
    digest = hashlib.sha256()
    async for piece in stream(30):
        digest.update(piece)
    assert await all_refs(store) == before
    with pytest.raises(BlobNotFound):
        await store.head(f"{digest.hexdigest()}-application.zip")
    assert [found["path"] async for found in store._listed("incoming")] == []
    again = await store.put(stream(30), "application/zip", limit_bytes=1 << 30)
    assert again.sha256 == digest.hexdigest()
    assert await store.intact(again.id)


async def test_what_was_uploaded_but_not_named_is_swept_away_in_time(s3: dict[str, str]) -> None:
    store = opened(s3)
    kept = await store.put(b"kept", "text/plain", limit_bytes=LIMIT)
    await obstore.put_async(store._store, "incoming/0190-left", b"left by a process that was killed")
    assert await all_refs(store) == {kept}
    await store.check()  # too young to be swept
    assert [found["path"] async for found in store._listed("incoming")] == ["incoming/0190-left"]
    deadline = time.monotonic() + 60
    while not await store.sweep(0.5):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert [found["path"] async for found in store._listed("incoming")] == []
    assert await all_refs(store) == {kept}


class TestPresigned:
    @pytest.fixture
    async def stored(self, s3: dict[str, str]) -> tuple[BlobStore, BlobRef]:
        store = opened(s3)
        return store, await store.put(b"0123456789", "application/pdf", limit_bytes=LIMIT)

    async def test_anyone_may_fetch_it_as_a_download(self, stored: tuple[BlobStore, BlobRef]) -> None:
        store, ref = stored
        address = await store.presigned(ref.id, 3600)
        assert address is not None
        status, content, headers = await asyncio.to_thread(fetch, address)
        assert (status, content) == (200, b"0123456789")
        assert (headers["content-type"], headers["content-disposition"]) == ("application/pdf", "attachment")
        status, content, headers = await asyncio.to_thread(fetch, address, Range="bytes=2-4")
        assert (status, content) == (206, b"234")

    async def test_large_ones_too_and_images_are_shown(self, s3: dict[str, str]) -> None:
        store = opened(s3)
        large = await store.put(stream(7), "application/zip", limit_bytes=LIMIT)
        image = await store.put(PNG, "image/png", limit_bytes=LIMIT)
        for ref, shown in ((large, "attachment"), (image, "inline")):
            address = await store.presigned(ref.id, 3600)
            assert address is not None
            status, content, headers = await asyncio.to_thread(fetch, address)
            assert (status, hashlib.sha256(content).hexdigest()) == (200, ref.sha256)
            assert (headers["content-type"], headers["content-disposition"]) == (ref.media_type, shown)

    async def test_it_is_for_this_blob_and_for_reading_only(self, stored: tuple[BlobStore, BlobRef]) -> None:
        store, ref = stored
        other = await store.put(b"other", "application/pdf", limit_bytes=LIMIT)
        address = await store.presigned(ref.id, 3600)
        assert address is not None
        assert (await asyncio.to_thread(fetch, address.partition("?")[0]))[0] == 403
        swapped = address.replace(ref.id, other.id).replace(f"/{ref.id[:2]}/", f"/{other.id[:2]}/")
        assert (await asyncio.to_thread(fetch, swapped))[0] == 403
        assert (await asyncio.to_thread(fetch, address.replace("X-Amz-Expires=3600", "X-Amz-Expires=36000")))[0] in (400, 403)

    async def test_it_expires(self, stored: tuple[BlobStore, BlobRef]) -> None:
        store, ref = stored
        address = await store.presigned(ref.id, 1)
        assert address is not None
        deadline = time.monotonic() + 60
        while (await asyncio.to_thread(fetch, address))[0] == 200:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        assert (await asyncio.to_thread(fetch, address))[0] == 403

    async def test_what_is_not_there_or_lasts_too_long_has_none(self, stored: tuple[BlobStore, BlobRef], tmp_path: Path) -> None:
        store, ref = stored
        with pytest.raises(BlobNotFound):
            await store.presigned("0" * 64 + "-text.plain", 60)
        for seconds in (0, -1, 7 * 24 * 3600 + 1):
            with pytest.raises(ValueError, match="seconds|second"):
                await store.presigned(ref.id, seconds)
        folder = BlobStore.local(tmp_path / "blobs")
        assert await folder.presigned((await folder.put(b"x", "text/plain", limit_bytes=LIMIT)).id, 60) is None
