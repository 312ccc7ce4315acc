"""What identity's events do to the gateway's own tables."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.identity.v1 import events_pb2 as events

from . import queries


class LeaversSignedOut:
    """Ends the sessions of whoever has left or was erased; the sessions themselves are no read model and not rebuilt."""

    name = "gateway.leavers-signed-out"
    handles: tuple[type[Message], ...] = (events.PersonLeft, events.PersonErased)
    tables: tuple[str, ...] = ()

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """End the sessions begun before the event: one who has come back since keeps the new ones."""
        data = event.data
        assert isinstance(data, events.PersonLeft | events.PersonErased)
        await queries.delete_sessions_of(tx, data.person_id, keep="", created_until=event.record_micros)
        if isinstance(data, events.PersonErased):
            # What anybody was answered may show the person; the services still know the requests, so none is done twice.
            await queries.delete_answers(tx, event.record_micros)
            await queries.delete_visits_of(tx, data.person_id)
            await queries.delete_left_behind(tx, data.person_id)
