"""What every blob store keeps to, whatever is below: subclass it in a test module, and say how a store is made.

class TestFolder(BlobStoreContract):
    def make(self, folder: Path) -> BlobStore:
        return BlobStore.local(folder)
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.blobs.store import (
    CHUNK_BYTES,
    PART_BYTES,
    BlobNotFound,
    BlobRangeWrong,
    BlobRef,
    BlobStore,
    BlobTooLarge,
    BlobTypeWrong,
)
from libs.telemetry import metrics

LIMIT = 64 << 20
PNG = b"\x89PNG\r\n\x1a\n" + b"rest"


class GoneAway(OSError):
    """The client's end of an upload broke off."""


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    """An upload in these pieces."""
    for piece in content:
        yield piece


async def all_refs(store: BlobStore) -> set[BlobRef]:
    """Everything stored."""
    return {ref async for ref in store.refs()}


class BlobStoreContract(ABC):
    """The contract; each method is a test."""

    @abstractmethod
    def make(self, folder: Path) -> BlobStore:
        """A new, empty store; `folder` is its own."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> BlobStore:
        return self.make(tmp_path / "blobs")

    async def test_what_is_put_is_got(self, store: BlobStore) -> None:
        ref = await store.put(b"hello", "text/plain", limit_bytes=LIMIT)
        assert ref.sha256 == hashlib.sha256(b"hello").hexdigest()
        assert (ref.size, ref.media_type) == (5, "text/plain")
        assert ref.sha256 in ref.id
        assert await store.head(ref.id) == ref
        content = await store.get(ref.id)
        assert (content.ref, content.start, content.stop) == (ref, 0, 5)
        assert await content.read() == b"hello"
        assert await store.intact(ref.id)

    @pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 7])
    async def test_streams_and_bytes_are_stored_alike(self, store: BlobStore, size: int) -> None:
        content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        step = 300_001
        streamed = await store.put(
            pieces(*(content[at : at + step] for at in range(0, size, step))), "application/zip", limit_bytes=max(size, 1)
        )
        assert await store.put(content, "application/zip", limit_bytes=size) == streamed
        assert await (await store.get(streamed.id)).read() == content
        assert await all_refs(store) == {streamed}

    async def test_the_same_content_is_stored_and_counted_once(self, store: BlobStore) -> None:
        before = metrics.value("watercooler_blob_bytes_total")
        refs = [await store.put(b"again", "text/plain", limit_bytes=LIMIT) for _ in range(3)]
        refs += [await store.put(pieces(b"ag", b"ain"), "text/plain", limit_bytes=LIMIT)]
        assert len(set(refs)) == 1
        assert await all_refs(store) == set(refs)
        assert metrics.value("watercooler_blob_bytes_total") == before + 5

    async def test_many_at_once_may_put_the_same(self, store: BlobStore) -> None:
        content = b"together" * 100_000
        puts = [store.put(content if odd else pieces(content), "text/plain", limit_bytes=LIMIT) for odd in (0, 1) * 4]
        refs = await asyncio.gather(*puts)
        assert len(set(refs)) == 1
        assert await store.intact(refs[0].id)

    async def test_the_media_type_belongs_to_the_blob(self, store: BlobStore) -> None:
        plain = await store.put(b"a,b", "text/plain", limit_bytes=LIMIT)
        table = await store.put(b"a,b", "text/csv", limit_bytes=LIMIT)
        model = await store.put(b"a,b", "application/vnd.oasis.opendocument.text+xml", limit_bytes=LIMIT)
        assert plain.sha256 == table.sha256 == model.sha256
        for ref in (plain, table, model):
            assert (await store.head(ref.id)).media_type == ref.media_type
        assert await all_refs(store) == {plain, table, model}

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_too_large_content_is_refused_and_leaves_nothing(self, store: BlobStore, streamed: bool) -> None:
        content = b"x" * (PART_BYTES + 1)
        with pytest.raises(BlobTooLarge) as caught:
            await store.put(pieces(*[content] * 3) if streamed else content, "text/plain", limit_bytes=PART_BYTES)
        assert caught.value.limit_bytes == PART_BYTES
        assert await all_refs(store) == set()

    async def test_a_stream_without_end_stops_at_the_limit(self, store: BlobStore) -> None:
        taken = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal taken
            while True:
                taken += 1
                yield b"x" * 1000

        with pytest.raises(BlobTooLarge):
            await store.put(endless(), "text/plain", limit_bytes=10_000)
        assert taken == 11

    async def test_a_broken_stream_leaves_nothing_and_keeps_its_error(self, store: BlobStore) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield b"x" * (PART_BYTES + 1)
            raise GoneAway("client went away")

        with pytest.raises(GoneAway):
            await store.put(broken(), "text/plain", limit_bytes=LIMIT)
        assert await all_refs(store) == set()

    async def test_a_cancelled_upload_leaves_nothing(self, store: BlobStore) -> None:
        waiting = asyncio.Event()

        async def stuck() -> AsyncIterator[bytes]:
            yield b"x" * (PART_BYTES + 1)
            waiting.set()
            await asyncio.Event().wait()

        upload = asyncio.create_task(store.put(stuck(), "text/plain", limit_bytes=LIMIT))
        await waiting.wait()
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        assert await all_refs(store) == set()

    @pytest.mark.parametrize(
        ("byte_range", "expected"),
        [((0, None), b"0123456789"), ((3, 5), b"34"), ((9, None), b"9"), ((5, 1000), b"56789"), ((0, 1), b"0")],
    )
    async def test_ranges(self, store: BlobStore, byte_range: tuple[int, int | None], expected: bytes) -> None:
        ref = await store.put(b"0123456789", "text/plain", limit_bytes=LIMIT)
        content = await store.get(ref.id, byte_range)
        assert await content.read() == expected
        assert (content.start, content.stop) == (byte_range[0], byte_range[0] + len(expected))

    @pytest.mark.parametrize("byte_range", [(10, None), (11, 12), (5, 5), (5, 4), (-1, 3), (0, 0)])
    async def test_ranges_that_are_none(self, store: BlobStore, byte_range: tuple[int, int | None]) -> None:
        ref = await store.put(b"0123456789", "text/plain", limit_bytes=LIMIT)
        with pytest.raises(BlobRangeWrong) as caught:
            await store.get(ref.id, byte_range)
        assert caught.value.size == 10

    async def test_large_blobs_come_in_pieces(self, store: BlobStore) -> None:
        ref = await store.put(b"x" * (8 * CHUNK_BYTES), "text/plain", limit_bytes=LIMIT)
        sizes = [len(chunk) async for chunk in (await store.get(ref.id)).chunks]
        assert sum(sizes) == 8 * CHUNK_BYTES
        assert max(sizes) <= 8 * CHUNK_BYTES

    async def test_deleting(self, store: BlobStore) -> None:
        ref = await store.put(b"gone", "text/plain", limit_bytes=LIMIT)
        kept = await store.put(b"kept", "text/plain", limit_bytes=LIMIT)
        assert await store.delete(ref.id)
        assert not await store.delete(ref.id)
        with pytest.raises(BlobNotFound):
            await store.get(ref.id)
        assert await all_refs(store) == {kept}
        assert await store.put(b"gone", "text/plain", limit_bytes=LIMIT) == ref

    @pytest.mark.parametrize(
        "blob_id",
        [
            "",
            "x",
            "../../etc/passwd",
            "0" * 64,
            "0" * 64 + "-text.plain",
            "0" * 64 + "-text.plain/../../x",
            "0" * 64 + "-text.plain\n",
            "A" * 64 + "-text.plain",
            "0" * 64 + "-text." + "x" * 5000,
        ],
    )
    async def test_other_ids_name_nothing(self, store: BlobStore, blob_id: str) -> None:
        await store.put(b"something", "text/plain", limit_bytes=LIMIT)
        for ask in (store.get, store.head, store.intact):
            with pytest.raises(BlobNotFound) as caught:
                await ask(blob_id)
            assert len(str(caught.value)) <= 200
        assert not await store.delete(blob_id)

    @pytest.mark.parametrize(
        ("content", "media_type"),
        [(b"<html>", "image/png"), (PNG, "image/jpeg"), (PNG, "text/plain"), (b"GIF89a<script>", "text/html"), (b"", "image/gif")],
    )
    async def test_nothing_is_an_image_in_disguise(self, store: BlobStore, content: bytes, media_type: str) -> None:
        for given in (content, pieces(content[:3], content[3:])):
            with pytest.raises(BlobTypeWrong):
                await store.put(given, media_type, limit_bytes=LIMIT)
        assert await all_refs(store) == set()

    async def test_only_images_are_shown_within_a_page(self, store: BlobStore) -> None:
        assert (await store.put(PNG, "image/png", limit_bytes=LIMIT)).inline
        for media_type in ("text/html", "image/svg+xml", "application/pdf", "text/plain"):
            assert not (await store.put(b"<script>", media_type, limit_bytes=LIMIT)).inline

    @pytest.mark.parametrize(
        "media_type", ["", "png", "image/", "/png", "Image/PNG", "text/plain; charset=utf-8", "a/../b", "text/" + "x" * 200]
    )
    async def test_media_types_are_plain(self, store: BlobStore, media_type: str) -> None:
        with pytest.raises(ValueError, match="a media type is written like image/png"):
            await store.put(b"x", media_type, limit_bytes=LIMIT)
