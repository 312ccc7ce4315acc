"""Images: taken in checked and cleaned, given out unchangeable, unable to run anything, to whoever is signed in and knows the id.

An id contains the hash of the content, so nobody comes upon one by trying: one learns it from a post or profile one may see.
"""
from __future__ import annotations

from typing import Any, Final, Literal

from litestar import get
from litestar.datastructures import UploadFile
from litestar.response.base import ASGIResponse

from libs.blobs import images
from libs.blobs.store import BlobNotFound, BlobRef, BlobStore, BlobStoreFailed
from libs.db.database import Database
from libs.eventstore.model import micros

from . import queries
from .http import AnyRequest, Gateway, current_person, gateway
from .problems import Refusal

_BLOB_ID_CHARACTERS: Final = 200
_SWEPT_AT_ONCE: Final = 500
_HEADERS: Final = {
    "cache-control": "private, max-age=31536000, immutable",
    # Whatever it is, it runs no script and loads nothing, even when opened by itself.
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


async def image_ref(blobs: BlobStore, blob_id: str) -> BlobRef | None:
    """An image of the blob store; None for an unknown id and for what is no image. Raises Refusal 503."""
    try:
        ref = await blobs.head(blob_id)
    except BlobNotFound:
        return None
    except BlobStoreFailed as error:
        raise _failed() from error
    return ref if ref.inline else None


async def store_image(request: AnyRequest, content: bytes) -> tuple[BlobRef, int, int]:
    """As `store_picture`, for a request."""
    return await store_picture(gateway(request), content)


async def store_picture(parts: Gateway, content: bytes) -> tuple[BlobRef, int, int]:
    """Take an uploaded image in: its display form with width and height; the thumbnail is kept beside it.

    Raises:
        Refusal: 400 or 413 with what is wrong with it, 503 when there is no room.
    """
    settings = parts.context.settings
    try:
        prepared = await images.prepare_aside(content, bytes_max=settings.image_bytes_max, pixels_max=settings.image_pixels_max)
    except images.ImageTooLarge as error:
        raise Refusal(413, str(error), field="file") from None
    except images.ImageRefused as error:
        raise Refusal(400, str(error), field="file") from None
    try:
        shown = await parts.blobs.put(
            prepared.display.content, prepared.display.media_type, limit_bytes=max(len(prepared.display.content), 1)
        )
        small = await parts.blobs.put(
            prepared.thumbnail.content, prepared.thumbnail.media_type, limit_bytes=max(len(prepared.thumbnail.content), 1)
        )
    except BlobStoreFailed as error:
        raise _failed() from error
    async with parts.context.database.transaction() as tx:
        await queries.add_thumbnail(tx, shown.id, small.id, micros(parts.context.now()))
    return shown, prepared.display.width, prepared.display.height


async def read_upload(request: AnyRequest, field: str = "file") -> bytes:
    """The content of an upload: the part `file` of a form, or the whole body of a request of an image type.

    Raises:
        Refusal: 400 without a file, 415 for another type.
    """
    most = gateway(request).context.settings.image_bytes_max
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        form = await request.form()
        part = form.get(field)
        if not isinstance(part, UploadFile):
            raise Refusal(400, f"Send the image as the part {field} of the form.", field=field)
        content = await part.read(most + 1)
    elif media_type.startswith("image/"):
        content = await request.body()
    else:
        raise Refusal(415, "Send an image: multipart/form-data with the part file, or the image itself with its Content-Type.")
    if not content:
        raise Refusal(400, "The file is empty.", field=field)
    return content


@get("/media/{blob_id:str}", include_in_schema=False)
async def media(request: AnyRequest) -> ASGIResponse:
    """An image, or with `?size=thumbnail` a still square of 256 pixels of it."""
    blob_id = str(request.scope["path_params"]["blob_id"])
    shared = _is_shared(request, blob_id)
    if not shared:
        current_person(request)
    wanted = request.query_params.get("size", "")
    if wanted not in ("", "thumbnail"):
        raise Refusal(400, "size is thumbnail, or absent for the whole image.", field="size")
    size: Literal["", "thumbnail"] = "thumbnail" if wanted else ""
    if len(blob_id) > _BLOB_ID_CHARACTERS:
        raise Refusal(404, "There is no such file.")
    tag = f'"{blob_id[:64]}{size}"'
    if request.headers.get("if-none-match") == tag:
        return ASGIResponse(status_code=304, headers={**_HEADERS, "etag": tag})
    try:
        ref, content = await _read(request, blob_id, size)
    except BlobNotFound:
        raise Refusal(404, "There is no such file.") from None
    except BlobStoreFailed as error:
        raise _failed() from error
    headers = {**_HEADERS, "etag": tag, "content-disposition": "inline" if ref.inline else "attachment"}
    if shared:
        headers["cross-origin-resource-policy"] = "cross-origin"
    return ASGIResponse(body=content, media_type=ref.media_type if ref.inline else "application/octet-stream", headers=headers)


def _is_shared(request: AnyRequest, blob_id: str) -> bool:
    """Whether the address carries its own right to be read, as addresses given to clients of the Mastodon API do."""
    key, until = request.query_params.get("key", ""), request.query_params.get("until", "")
    return bool(key and until) and gateway(request).images.may_read(blob_id, until, key)


async def _read(request: AnyRequest, blob_id: str, size: Literal["", "thumbnail"]) -> tuple[BlobRef, bytes]:
    parts = gateway(request)
    if size == "thumbnail":
        await parts.blobs.head(blob_id)  # an image that was deleted has no small form either
        async with parts.context.database.snapshot() as tx:
            held = await queries.thumbnail(tx, blob_id)
        if held:
            found = await parts.blobs.get(held)
            return found.ref, await found.read()
    found = await parts.blobs.get(blob_id)
    content = await found.read()
    if size == "" or not found.ref.inline:
        return found.ref, content
    # Images that came by an import have no thumbnail until one is asked for.
    try:
        prepared = await images.prepare_aside(content, pixels_max=parts.context.settings.image_pixels_max, bytes_max=len(content))
    except images.ImageRefused:
        return found.ref, content
    small = await parts.blobs.put(prepared.thumbnail.content, prepared.thumbnail.media_type, limit_bytes=len(prepared.thumbnail.content))
    async with parts.context.database.transaction() as tx:
        await queries.add_thumbnail(tx, blob_id, small.id, micros(parts.context.now()))
    return small, prepared.thumbnail.content


async def sweep_thumbnails(database: Database, blobs: BlobStore) -> int:
    """Delete the small forms of images that were deleted; answers how many there were. Raises BlobStoreFailed."""
    after, swept = "", 0
    while True:
        async with database.snapshot() as tx:
            page = await queries.thumbnails(tx, after, _SWEPT_AT_ONCE)
        if not page:
            return swept
        after = page[-1][0]
        for blob_id, thumbnail_id in page:
            try:
                await blobs.head(blob_id)
                continue
            except BlobNotFound:
                swept += 1
            async with database.snapshot() as tx:
                used = await queries.thumbnail_used(tx, thumbnail_id, blob_id)
            if not used:  # what the store cannot delete now stays known, for the next time
                await blobs.delete(thumbnail_id)
            async with database.transaction() as tx:
                await queries.delete_thumbnail(tx, blob_id)


def _failed() -> Refusal:
    return Refusal(503, "Files cannot be stored or read just now. Nothing is lost: try again in a moment.", retry_seconds=10)


route_handlers: list[Any] = [media]
