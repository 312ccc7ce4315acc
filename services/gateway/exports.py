"""The file of an export, for who asked for it."""
from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC
from typing import Final

from libs.blobs.store import BlobContent, BlobNotFound, BlobStoreFailed
from watercooler.feed.v1 import retention_events_pb2 as pb
from watercooler.feed.v1 import retention_service_pb2 as api

from .http import AnyRequest, clients, gateway
from .problems import Refusal
from .streaming import EventStream

_KINDS: Final[dict[int, str]] = {pb.EXPORT_SUBJECT_PERSON: "person", pb.EXPORT_SUBJECT_COMMUNITY: "community"}


async def export_file(request: AnyRequest, export_id: str) -> EventStream:
    """The file of an export, streamed. Raises Refusal 404 where there is none (any more) or somebody else asked for it."""
    found = await clients(request).retention.GetExport(api.GetExportRequest(export_id=export_id))
    if found.state != api.EXPORT_STATE_READY:
        raise Refusal(404, "This export is not ready, or its time is over: ask for a new one.")
    try:
        content = await gateway(request).blobs.get(found.blob_id)
    except BlobNotFound:
        raise Refusal(404, "The file is gone: ask for a new export.") from None
    except BlobStoreFailed as error:
        raise Refusal(503, "The store of files cannot be reached: try again in a few minutes.") from error
    day = found.request_time.ToDatetime(UTC).strftime("%Y-%m-%d")
    name = f"watercooler-{_KINDS[found.subject]}-{day}.zip"
    return EventStream.file(_chunks(content), "application/zip", name)


async def _chunks(content: BlobContent) -> AsyncGenerator[bytes, None]:
    async for chunk in content.chunks:
        yield chunk
