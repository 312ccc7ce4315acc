"""Recorded events in the words of CloudEvents 1.0 (https://github.com/cloudevents/spec, JSON event format)."""
from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict

from libs.eventstore.model import Recorded


def to_json(event: Recorded, service: str) -> dict[str, Any]:
    """The event as a CloudEvents JSON object.

    `subject` is the stream, `sequence` the position in the service's log, `streamversion` the version in the stream. `erased` is
    present and true when the personal fields are gone.
    """
    told: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/watercooler/{service}",
        "type": event.data.DESCRIPTOR.full_name,
        "subject": event.stream,
        "time": event.time.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "sequence": str(event.position),
        "streamversion": event.version,
        "actorid": event.meta.actor_id,
        "correlationid": event.meta.correlation_id or event.id,
        "data": MessageToDict(event.data, preserving_proto_field_name=True),
    }
    if event.meta.causation_id:
        told["causationid"] = event.meta.causation_id
    if event.meta.traceparent:
        told["traceparent"] = event.meta.traceparent
    if event.erased:
        told["erased"] = True
    return told
