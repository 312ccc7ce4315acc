"""Where files are kept: written once under the hash of their content, never changed, read in pieces.

A blob's id is its SHA-256 and its media type, so the same file uploaded twice is stored once, and an id can be checked against
what it names. Who may read a blob is decided by whoever hands out its id; this store knows nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import obstore
from obstore import exceptions
from obstore.store import LocalStore, MemoryStore, ObjectStore

from libs.telemetry import metrics
from libs.text.ids import new_id

# Pieces in which blobs are read, and in which large ones are written.
CHUNK_BYTES: Final = 256 * 1024
PART_BYTES: Final = 5 * 1024 * 1024
# An upload broken off by the end of the process is swept away when a store is opened this long afterwards.
INCOMING_HOURS_MAX: Final = 24

_MEDIA_TYPE: Final = re.compile(r"[a-z]{1,20}/[a-z0-9][a-z0-9.+-]{0,99}")
_ID: Final = re.compile(r"([0-9a-f]{64})-([a-z]{1,20})\.([a-z0-9][a-z0-9.+-]{0,99})")
_INLINE: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_SNIFFED_BYTES: Final = 16


class BlobNotFound(Exception):
    """No blob has this id."""


class BlobTooLarge(Exception):
    """The content is larger than its limit; nothing was stored."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The file is larger than {limit_bytes:,} bytes.")
        self.limit_bytes = limit_bytes


class BlobTypeWrong(Exception):
    """The content is not of the media type it was said to be; nothing was stored."""


class BlobRangeWrong(Exception):
    """The range begins past the end of the blob, or is no range."""

    def __init__(self, size: int) -> None:
        super().__init__(f"The file has {size:,} bytes.")
        self.size = size


class BlobStoreFailed(Exception):
    """The store could not do it: the disk is full, read-only or out of reach. Nothing acknowledged is lost; try again later."""


@dataclass(frozen=True, slots=True)
class BlobRef:
    """A stored blob: its id (which contains hash and media type), its size in bytes, its media type and its SHA-256 in hex."""

    id: str
    size: int
    media_type: str
    sha256: str

    @property
    def inline(self) -> bool:
        """Whether a browser may show it within a page; all else is offered as a download, for it might hold a script."""
        return self.media_type in _INLINE


@dataclass(frozen=True, slots=True)
class BlobContent:
    """A blob being read: `chunks` holds the bytes from `start` up to, not including, `stop`."""

    ref: BlobRef
    start: int
    stop: int
    chunks: AsyncIterator[bytes]

    async def read(self) -> bytes:
        """All of it at once, for blobs known to be small."""
        return b"".join([chunk async for chunk in self.chunks])


class BlobStore:
    """Blobs in a folder, in memory, or wherever obstore reaches."""

    def __init__(self, store: ObjectStore) -> None:
        """Over an object store. For a folder or for memory use `local` and `memory`."""
        self._store = store
        self._folder = store.prefix if isinstance(store, LocalStore) else None

    @classmethod
    def local(cls, folder: Path) -> BlobStore:
        """Blobs as files in a folder, which is made where it is missing. Raises OSError where it cannot be."""
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder / "incoming")
        return cls(LocalStore(folder))

    @classmethod
    def memory(cls) -> BlobStore:
        """Blobs that live as long as this object, for tests."""
        return cls(MemoryStore())

    async def put(self, content: bytes | AsyncIterable[bytes], media_type: str, *, limit_bytes: int) -> BlobRef:
        """Store content durably, all of it or nothing, and say what it is called from now on. The same content again changes nothing.

        Raises BlobTooLarge past `limit_bytes`, BlobTypeWrong when content and `media_type` contradict each other,
        ValueError for a media type with parameters or other than lower case, and BlobStoreFailed.
        """
        if not _MEDIA_TYPE.fullmatch(media_type):
            raise ValueError(f"a media type is written like image/png, not {media_type[:120]!r}")
        if isinstance(content, bytes):
            return await self._put_bytes(content, media_type, limit_bytes)
        return await self._put_stream(content, media_type, limit_bytes)

    async def get(self, blob_id: str, byte_range: tuple[int, int | None] | None = None) -> BlobContent:
        """Read a blob, or the bytes from the first number of `byte_range` up to, not including, the second (None: the end).

        Raises BlobNotFound, BlobRangeWrong and BlobStoreFailed.
        """
        ref = await self.head(blob_id)
        start, stop = byte_range or (0, None)
        stop = ref.size if stop is None else min(stop, ref.size)
        if byte_range is not None and not 0 <= start < stop:
            raise BlobRangeWrong(ref.size)
        return BlobContent(ref, start, stop, self._chunks(ref, start, stop))

    async def head(self, blob_id: str) -> BlobRef:
        """What is known of a blob. Raises BlobNotFound, also for what cannot be an id, and BlobStoreFailed."""
        match = _ID.fullmatch(blob_id)
        if match is None:
            raise BlobNotFound(blob_id[:200])
        with _failures_of(blob_id):
            found = await obstore.head_async(self._store, _path(blob_id))
        return BlobRef(blob_id, found["size"], f"{match[2]}/{match[3]}", match[1])

    async def delete(self, blob_id: str) -> bool:
        """Remove a blob durably; False where there was none. Raises BlobStoreFailed."""
        try:
            await self.head(blob_id)
            with _failures_of(blob_id):
                await obstore.delete_async(self._store, _path(blob_id))
                await self._sync_folders(blob_id)
        except BlobNotFound:
            return False
        return True

    async def refs(self) -> AsyncIterator[BlobRef]:
        """Every blob there is, in no particular order; what is added meanwhile may be missed. Raises BlobStoreFailed."""
        batches = aiter(obstore.list(self._store, prefix="content"))
        while True:
            with _failures_of("content"):
                batch = await anext(batches, None)
            if batch is None:
                return
            for found in batch:
                blob_id = found["path"].rpartition("/")[2]
                if match := _ID.fullmatch(blob_id):
                    yield BlobRef(blob_id, found["size"], f"{match[2]}/{match[3]}", match[1])

    async def intact(self, blob_id: str) -> bool:
        """Whether a blob still is what its id says, by reading all of it. Raises BlobNotFound and BlobStoreFailed."""
        content = await self.get(blob_id)
        digest = hashlib.sha256()
        async for chunk in content.chunks:
            digest.update(chunk)
        return digest.hexdigest() == content.ref.sha256

    async def _put_bytes(self, content: bytes, media_type: str, limit_bytes: int) -> BlobRef:
        if len(content) > limit_bytes:
            raise BlobTooLarge(limit_bytes)
        _check_type(content[:_SNIFFED_BYTES], media_type)
        ref = _ref(hashlib.sha256(content).hexdigest(), len(content), media_type)
        if await self._stored(ref):
            return ref
        incoming = f"incoming/{new_id()}"
        try:
            with _failures_of(incoming):
                await obstore.put_async(self._store, incoming, content, use_multipart=False)
                await self._keep(incoming, ref)
        finally:
            await self._discard(incoming)
        return ref

    async def _put_stream(self, content: AsyncIterable[bytes], media_type: str, limit_bytes: int) -> BlobRef:
        digest, size, start = hashlib.sha256(), 0, b""
        incoming = f"incoming/{new_id()}"
        try:
            writer = obstore.open_writer_async(self._store, incoming, buffer_size=PART_BYTES)
            async for chunk in content:
                size += len(chunk)
                if size > limit_bytes:
                    raise BlobTooLarge(limit_bytes)
                if len(start) < _SNIFFED_BYTES:
                    start = (start + chunk)[:_SNIFFED_BYTES]
                digest.update(chunk)
                with _failures_of(incoming):
                    await writer.write(chunk)
            _check_type(start, media_type)
            ref = _ref(digest.hexdigest(), size, media_type)
            with _failures_of(incoming):
                await writer.close()
                if not await self._stored(ref):
                    await self._keep(incoming, ref)
        finally:
            await self._discard(incoming)
        return ref

    async def _keep(self, incoming: str, ref: BlobRef) -> None:
        # The bytes reach the disk before the name does: a name must never stand for content that a power cut could take.
        if self._folder is not None:
            await asyncio.to_thread(_sync, self._folder / incoming)
        await obstore.rename_async(self._store, incoming, _path(ref.id))
        await self._sync_folders(ref.id)
        metrics.BLOB_BYTES.inc(ref.size)

    async def _stored(self, ref: BlobRef) -> bool:
        try:
            return (await self.head(ref.id)).size == ref.size
        except BlobNotFound:
            return False

    async def _discard(self, incoming: str) -> None:
        # What remains is swept later; the error that led here is the one to report.
        with contextlib.suppress(exceptions.BaseError, OSError):
            await obstore.delete_async(self._store, incoming)

    async def _sync_folders(self, blob_id: str) -> None:
        if self._folder is not None:
            path = self._folder / _path(blob_id)
            for folder in (path.parent, path.parent.parent, self._folder):
                await asyncio.to_thread(_sync, folder)

    async def _chunks(self, ref: BlobRef, start: int, stop: int) -> AsyncIterator[bytes]:
        if start == stop:
            return
        with _failures_of(ref.id):
            found = await obstore.get_async(self._store, _path(ref.id), options={"range": (start, stop)})
        chunks = aiter(found.stream(min_chunk_size=CHUNK_BYTES))
        while True:
            with _failures_of(ref.id):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            yield bytes(chunk)


def sniff(start: bytes) -> str | None:
    """The media type a file's first bytes show, of those this product treats specially; None for all others."""
    if start.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "image/webp"
    return None


@contextlib.contextmanager
def _failures_of(name: str) -> Iterator[None]:
    """What goes wrong in the store, in this module's words; what goes wrong at the caller's end passes unchanged."""
    try:
        yield
    except (exceptions.NotFoundError, FileNotFoundError):
        raise BlobNotFound(name) from None
    except (exceptions.BaseError, OSError) as error:
        raise BlobStoreFailed(str(error)) from error


def _check_type(start: bytes, media_type: str) -> None:
    sniffed = sniff(start)
    # An image must be the image it is said to be, and nothing else may be one in disguise.
    if sniffed != media_type and (sniffed in _INLINE or media_type in _INLINE):
        raise BlobTypeWrong(f"The file was said to be {media_type} but is {sniffed or 'not'}.")


def _ref(sha256: str, size: int, media_type: str) -> BlobRef:
    return BlobRef(f"{sha256}-{media_type.replace('/', '.', 1)}", size, media_type, sha256)


def _path(blob_id: str) -> str:
    return f"content/{blob_id[:2]}/{blob_id}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(incoming: Path) -> None:
    oldest = time.time() - INCOMING_HOURS_MAX * 3600
    for path in incoming.glob("*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
