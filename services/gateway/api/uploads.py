"""Uploads."""
from __future__ import annotations

from ..files import read_upload, store_image
from ..http import current_person
from .operations import Answer, Call, Output, operation


class Upload(Output, frozen=True, kw_only=True):
    """An image that is stored: name its `blob_id` in a post or as a photo."""

    blob_id: str
    url: str
    thumbnail_url: str
    media_type: str
    width: int
    height: int
    size_bytes: int


@operation("POST", "/uploads", "Upload an image", tag="uploads", status=201, answer=Upload, takes_file=True)
async def upload(call: Call) -> Answer:
    """JPEG, PNG, GIF or WebP. It is turned upright and freed of everything but its pixels, and made to fit 2048 pixels."""
    current_person(call.request)
    ref, width, height = await store_image(call.request, await read_upload(call.request))
    url = f"/media/{ref.id}"
    return Answer(
        Upload(
            blob_id=ref.id, url=url, thumbnail_url=f"{url}?size=thumbnail", media_type=ref.media_type, width=width, height=height,
            size_bytes=ref.size,
        ),
        location=url,
    )
