"""What identity does of its own accord."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.eventstore.model import Recorded
from libs.runtime.service import Context
from watercooler.identity.v1.events_pb2 import PersonErased, PersonPhotoChanged

from . import queries


class Clearing:
    """Deletes the photos of erased people, as far as nobody else has them. Doing it twice changes nothing.

    Photos are found in the log, which keeps their ids; so what the store could not delete is found again when it is back.
    """

    name = "identity.clearing"
    handles: tuple[type[Message], ...] = (PersonErased,)

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context

    async def react(self, event: Recorded) -> None:
        """Delete every photo the person ever had. Raises BlobStoreFailed where the store cannot do it now."""
        erased = event.data
        assert isinstance(erased, PersonErased)
        recorded = await self._context.events.read(f"person-{erased.person_id}")
        for blob_id in sorted({each.data.photo_blob_id for each in recorded if isinstance(each.data, PersonPhotoChanged)} - {""}):
            async with self._context.database.snapshot() as tx:
                used = await queries.photo_used(tx, blob_id)
            if not used:
                await self._context.blobs.delete(blob_id)
