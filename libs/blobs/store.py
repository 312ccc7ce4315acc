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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore import exceptions
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from libs.telemetry import metrics
from libs.text.ids import new_id

if TYPE_CHECKING:
    from obstore import Attributes, ObjectMeta

# Pieces in which blobs are read, and in which large ones are written.
CHUNK_BYTES: Final = 256 * 1024
PART_BYTES: Final = 5 * 1024 * 1024
# How many of them are on their way at once: with the bytes of one upload in memory they are bounded too.
PARTS_AT_ONCE: Final = 4
# An upload broken off by the end of the process is swept away when a store is opened this long afterwards.
INCOMING_HOURS_MAX: Final = 24
PRESIGNED_SECONDS_MAX: Final = 7 * 24 * 3600

_MEDIA_TYPE: Final = re.compile(r"[a-z]{1,20}/[a-z0-9][a-z0-9.+-]{0,99}")
_ID: Final = re.compile(r"([0-9a-f]{64})-([a-z]{1,20})\.([a-z0-9][a-z0-9.+-]{0,99})")
_INLINE: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_SNIFFED_BYTES: Final = 16
_S3_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_S3_BUSY: Final = frozenset({"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown"})
_S3_ELSEWHERE: Final = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})


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


class BlobStoreFailed(OSError):
    """The store could not do it: the disk is full, read-only or out of reach. Nothing acknowledged is lost; trying again later helps."""


class BlobStoreRefused(Exception):
    """The store refuses us or is not there: settings must change first; the message names them."""


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
    """Blobs in a folder, in memory, or in a bucket."""

    def __init__(self, store: ObjectStore, *, place: str = "") -> None:
        """Over an object store that `place` describes. Use `local`, `memory` and `s3`."""
        self._store = store
        self._place = place
        self._folder = store.prefix if isinstance(store, LocalStore) else None
        self._bucket = store if isinstance(store, S3Store) else None

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

    @classmethod
    def s3(cls, *, bucket: str, prefix: str = "", endpoint: str = "", region: str, access_key: str = "", secret_key: str = "") -> BlobStore:
        """Blobs in a bucket of an S3-compatible store, below a prefix; without an endpoint, at Amazon.

        Without keys they are taken from the process's surroundings as Amazon's own tools do: variables, or the machine's role. The bucket
        needs a lifecycle rule that aborts incomplete multipart uploads after a day: a process that ends in one cannot do it.
        """
        store = S3Store(
            bucket, prefix=prefix or None,
            config={
                "region": region, "disable_bulk_delete": True,
                **({"endpoint": endpoint} if endpoint else {}),
                **({"access_key_id": access_key, "secret_access_key": secret_key} if access_key else {}),
            },
            client_options={
                "allow_http": endpoint.startswith("http://"), "connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=30),
            },
            retry_config={
                "max_retries": 3, "retry_timeout": timedelta(seconds=10),
                "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
            },
        )  # fmt: skip
        return cls(store, place=f"the bucket {bucket} at {endpoint or 'Amazon S3'}")

    async def check(self) -> None:
        """Whether the store can be used, and sweeps away what uploads left that were broken off long ago.

        Raises BlobStoreRefused where settings are wrong, and BlobStoreFailed where the store is out of reach.
        """
        try:
            await self.sweep(INCOMING_HOURS_MAX * 3600)
        except BlobStoreFailed as error:
            codes = set(_S3_CODE.findall(str(error.__cause__))) - _S3_BUSY
            if "NoSuchBucket" in codes:
                raise BlobStoreRefused(f"blob_url: nobody knows {self._place}; make it first") from error
            if codes & _S3_ELSEWHERE:
                raise BlobStoreRefused(f"blob_region: {self._place} is in another region") from error
            if codes:
                reason = ", ".join(sorted(codes))
                raise BlobStoreRefused(f"blob_access_key, blob_secret_key: {self._place} refuses us ({reason})") from error
            raise

    async def sweep(self, seconds: float) -> int:
        """Remove what uploads left that were broken off this long ago; answers how many there were. Raises BlobStoreFailed.

        The incomplete parts in a bucket are not among it: they have no name, and the bucket's lifecycle rule takes them away.
        """
        swept = 0
        oldest = datetime.now(UTC) - timedelta(seconds=seconds)
        async for found in self._listed("incoming"):
            if found["last_modified"] < oldest:
                with _failures_of(found["path"]), contextlib.suppress(FileNotFoundError):
                    await obstore.delete_async(self._store, found["path"])
                swept += 1
        return swept

    async def presigned(self, blob_id: str, seconds: int) -> str | None:
        """An address where anyone may fetch a blob for so long, of at most seven days; None where there is no such store.

        The store answers with the blob's media type, and for all but images as a download. The address is as good as the file:
        hand it only to who may read that. Raises BlobNotFound and BlobStoreFailed.
        """
        if not 1 <= seconds <= PRESIGNED_SECONDS_MAX:
            raise ValueError(f"an address lasts from one second to {PRESIGNED_SECONDS_MAX}, not {seconds}")
        ref = await self.head(blob_id)
        if self._bucket is None:
            return None
        with _failures_of(blob_id):
            return await obstore.sign_async(self._bucket, "GET", _path(ref.id), timedelta(seconds=seconds))

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
        async for found in self._listed("content"):
            blob_id = found["path"].rpartition("/")[2]
            if match := _ID.fullmatch(blob_id):
                yield BlobRef(blob_id, found["size"], f"{match[2]}/{match[3]}", match[1])

    async def _listed(self, prefix: str) -> AsyncIterator[ObjectMeta]:
        batches = aiter(obstore.list(self._store, prefix=prefix))
        while True:
            with _failures_of(prefix):
                batch = await anext(batches, None)
            if batch is None:
                return
            for found in batch:
                yield found

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
        if self._bucket is not None:  # a bucket shows an object when all of it is there: it needs no other name first
            with _failures_of(ref.id, writing=True):
                await obstore.put_async(self._store, _path(ref.id), content, attributes=_attributes(ref), use_multipart=False)
            metrics.BLOB_BYTES.inc(ref.size)
            return ref
        incoming = f"incoming/{new_id()}"
        try:
            with _failures_of(incoming, writing=True):
                await obstore.put_async(self._store, incoming, content, use_multipart=False)
                await self._keep(incoming, ref)
        finally:
            await self._discard(incoming)
        return ref

    async def _put_stream(self, content: AsyncIterable[bytes], media_type: str, limit_bytes: int) -> BlobRef:
        digest, size, start = hashlib.sha256(), 0, b""
        incoming = f"incoming/{new_id()}"
        try:
            writer = obstore.open_writer_async(
                self._store, incoming, buffer_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE,
                attributes=_attributes(_ref("", 0, media_type)) if self._bucket is not None else None,
            )
            async for chunk in content:
                size += len(chunk)
                if size > limit_bytes:
                    raise BlobTooLarge(limit_bytes)
                if len(start) < _SNIFFED_BYTES:
                    start = (start + chunk)[:_SNIFFED_BYTES]
                digest.update(chunk)
                with _failures_of(incoming, writing=True):
                    await writer.write(chunk)
            _check_type(start, media_type)
            ref = _ref(digest.hexdigest(), size, media_type)
            with _failures_of(incoming, writing=True):
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
def _failures_of(name: str, *, writing: bool = False) -> Iterator[None]:
    """What goes wrong in the store, in this module's words; what goes wrong at the caller's end passes unchanged."""
    try:
        yield
    except (exceptions.NotFoundError, FileNotFoundError) as error:
        if writing:  # there is no bucket, or its folder was taken away
            raise BlobStoreFailed(str(error)) from error
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


def _attributes(ref: BlobRef) -> Attributes:
    """What a bucket is to answer with when a blob is fetched there directly."""
    return {"Content-Type": ref.media_type, "Content-Disposition": "inline" if ref.inline else "attachment"}


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
