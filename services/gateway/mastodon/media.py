"""Pictures: uploaded first, named in a post then. A picture's id is that of its content; its description is kept until it is posted."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from libs.eventstore.model import micros
from watercooler.common.v1 import blob_pb2

from .. import queries
from ..files import image_ref, store_picture
from ..problems import Refusal
from . import entities
from .errors import invalid, not_found
from .params import Params
from .router import Call, route

DESCRIPTION_CHARACTERS = 1_500


def _description(params: Params) -> str:
    text = params.text("description", most=100_000).strip()
    if len(text) > DESCRIPTION_CHARACTERS:
        raise invalid(f"Description is too long (maximum is {DESCRIPTION_CHARACTERS:,} characters)", "description")
    return text


@route("POST", "/api/v2/media", "write:media")
async def upload(call: Call) -> Any:
    """Take a picture in, turned upright and freed of everything but its pixels. It is ready at once, so this is never 202."""
    params = call.params
    file = params.file("file")
    if file is None:
        raise invalid("File can't be blank: send it as the part `file` of multipart/form-data.", "file")
    if not file.content:
        raise invalid("File is empty.", "file")
    try:
        ref, width, height = await store_picture(call.gateway, file.content)
    except Refusal as error:
        if error.status == 400:
            raise invalid(error.detail, "file") from None
        raise
    kept = queries.Upload(ref.id, ref.media_type, ref.size, width, height, _description(params))
    async with call.gateway.context.database.transaction() as tx:
        await queries.keep_upload(tx, call.me.person_id, kept, micros(call.gateway.context.now()))
    return _media(call, kept)


@route("POST", "/api/v1/media", "write:media")
async def upload_as_before(call: Call) -> Any:
    """The same, as older clients ask for it."""
    return await upload(call)


async def _kept(call: Call) -> queries.Upload:
    async with call.gateway.context.database.snapshot() as tx:
        found = await queries.uploads(tx, call.me.person_id, [call.word(most=200)])
    if not found:
        raise not_found()
    return found[0]


@route("GET", "/api/v1/media/:id", "write:media")
async def one(call: Call) -> Any:
    """A picture that one uploaded in the last day."""
    return _media(call, await _kept(call))


@route("PUT", "/api/v1/media/:id", "write:media")
async def describe(call: Call) -> Any:
    """Say what the picture shows; `focus` and `thumbnail` change nothing."""
    held = await _kept(call)
    if "description" in call.params:
        held = held._replace(description=_description(call.params))
        async with call.gateway.context.database.transaction() as tx:
            await queries.keep_upload(tx, call.me.person_id, held, micros(call.gateway.context.now()))
    return _media(call, held)


@route("DELETE", "/api/v1/media/:id", "write:media")
async def drop(call: Call) -> Any:
    """Not to be posted after all."""
    held = await _kept(call)
    async with call.gateway.context.database.transaction() as tx:
        await queries.drop_upload(tx, call.me.person_id, held.blob_id)
    return {}


def _media(call: Call, held: queries.Upload) -> entities.Entity:
    return entities.media(
        held.blob_id, call.site.image(held.blob_id), held.media_type, held.description, held.width, held.height
    )


async def attachments_of(
    call: Call, media_ids: list[str], params: Params, posted: Iterable[blob_pb2.Attachment] = ()
) -> list[blob_pb2.Attachment]:
    """The pictures of a post, by what was uploaded or stands in it already. Raises Refusal 422 for one that nobody uploaded."""
    if not media_ids:
        return []
    known = {each.blob_id: each for each in posted}
    wanted = list(dict.fromkeys(media_ids))
    missing = [each for each in wanted if each not in known]
    if missing:
        async with call.gateway.context.database.snapshot() as tx:
            for held in await queries.uploads(tx, call.me.person_id, missing):
                known[held.blob_id] = blob_pb2.Attachment(
                    blob_id=held.blob_id, media_type=held.media_type, size_bytes=held.size_bytes, description=held.description,
                    width=held.width, height=held.height,
                )
    described = {each.text("id", most=200): each for each in params.inners("media_attributes", 16)}
    found = []
    for media_id in wanted:
        attachment = known.get(media_id)
        if attachment is None or not await _is_there(call, media_id):
            raise invalid("Media could not be found: upload it again, it is kept for a day.", "media_ids")
        told = described.get(media_id)
        if told is not None and "description" in told:
            changed = blob_pb2.Attachment()
            changed.CopyFrom(attachment)
            changed.description = _description(told)
            attachment = changed
        found.append(attachment)
    return found


async def _is_there(call: Call, blob_id: str) -> bool:
    return await image_ref(call.gateway.blobs, blob_id) is not None


async def store_part(call: Call, name: str) -> str:
    """The blob id of a picture that is part of the request, such as an avatar; empty where there is none. Raises Refusal 422."""
    file = call.params.file(name)
    if file is None or not file.content:
        return ""
    try:
        ref, _, _ = await store_picture(call.gateway, file.content)
    except Refusal as error:
        raise invalid(error.detail, name) from None
    return ref.id
