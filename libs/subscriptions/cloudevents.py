"""Recorded events in the words of CloudEvents 1.0 (https://github.com/cloudevents/spec): its JSON event format, and its Kafka binding."""
from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from libs.eventstore.codec import UnknownEventType, message_type, outward
from libs.eventstore.model import Metadata, Recorded

CONTENT_TYPE = b"application/protobuf"
POSITION_MAX = 2**63 - 1

Headers = list[tuple[str, bytes]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Undecodable(Exception):
    """A Kafka record that is no event of ours, or one that this version cannot read; the message says why.

    `position` is the event's place in its log where the record says that much, else None. Where only the event's type is strange, since
    a newer version wrote it, `event` is the event with its data as `google.protobuf.Any`: it has its place, though nothing here handles it.
    """

    def __init__(self, reason: str, position: int | None = None, event: Recorded | None = None) -> None:
        super().__init__(reason)
        self.position = position
        self.event = event


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
        "data": MessageToDict(outward(event.data), preserving_proto_field_name=True),
    }
    if event.meta.causation_id:
        told["causationid"] = event.meta.causation_id
    if event.meta.traceparent:
        told["traceparent"] = event.meta.traceparent
    if event.erased:
        told["erased"] = True
    return told


def to_kafka(event: Recorded, service: str) -> tuple[bytes, bytes, Headers]:
    """The event as key, value and headers of a Kafka record, in the binary content mode.

    The key is the stream, so that a partition holds a stream's events in order. The value is the whole event, personal fields in clear.
    Attributes without a value are left out. See bindings/kafka-protocol-binding.md of the specification, 3.2.
    """
    meta = event.meta
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.id.encode()),
        ("ce_source", _source(service)),
        ("ce_type", event.data.DESCRIPTOR.full_name.encode()),
        ("ce_time", _written(event.record_micros)),
        ("ce_subject", event.stream.encode()),
        ("ce_sequence", b"%d" % event.position),
        ("ce_streamversion", b"%d" % event.version),
    ]
    if meta.actor_id:
        headers.append(("ce_actorid", meta.actor_id.encode()))
    if meta.correlation_id:
        headers.append(("ce_correlationid", meta.correlation_id.encode()))
    if meta.causation_id:
        headers.append(("ce_causationid", meta.causation_id.encode()))
    if event.erased:
        headers.append(("ce_erased", b"true"))
    if meta.traceparent:
        headers.append(("traceparent", meta.traceparent.encode()))
    headers.append(("content-type", CONTENT_TYPE))
    return event.stream.encode(), outward(event.data).SerializeToString(), headers


def from_kafka(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]], service: str = "") -> Recorded:
    """The event that a Kafka record holds; with `service`, only that service's events count.

    Raises:
        Undecodable: it holds none, or none that this version knows.
    """
    found = dict(headers)
    position: int | None = None
    try:
        position = _number(found, "ce_sequence")
        if found.get("ce_specversion") != b"1.0":
            raise Undecodable("the header ce_specversion is not 1.0: this is no CloudEvent in the binary mode", position)
        if found.get("content-type") != CONTENT_TYPE:
            raise Undecodable(f"the header content-type is not {CONTENT_TYPE.decode()}", position)
        if service and found.get("ce_source") != _source(service):
            raise Undecodable(f"the header ce_source is not /watercooler/{service}", None)
        stream = _text(found, "ce_subject")
        if key is None or key.decode() != stream:
            raise Undecodable("the key is not the stream that ce_subject names", position)
        if value is None:
            raise Undecodable("the record has no value", position)
        version = _number(found, "ce_streamversion")
        event_id = _text(found, "ce_id")
        record_micros = _read(_text(found, "ce_time"))
        type_name = _text(found, "ce_type")
        meta = Metadata(
            (found.get("ce_actorid") or b"").decode(), (found.get("ce_correlationid") or b"").decode(),
            (found.get("ce_causationid") or b"").decode(), (found.get("traceparent") or b"").decode(),
        )
        erased = found.get("ce_erased") == b"true"
    except UnicodeDecodeError as error:
        raise Undecodable("a header or the key is not UTF-8", position) from error
    except (ValueError, OverflowError) as error:
        raise Undecodable(str(error), position) from error
    try:
        data = message_type(type_name).FromString(value)
    except UnknownEventType as error:
        carried = AnyMessage(type_url=f"type.googleapis.com/{type_name}", value=value)
        event = Recorded(event_id, stream, version, position, record_micros, carried, meta, erased)
        raise Undecodable(str(error), position, event) from error
    except DecodeError as error:
        raise Undecodable(f"the value is no {type_name}: {error}", position) from error
    return Recorded(event_id, stream, version, position, record_micros, data, meta, erased)


def _text(headers: dict[str, bytes | None], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise ValueError(f"the header {name} is missing or empty")
    return value.decode()


def _number(headers: dict[str, bytes | None], name: str) -> int:
    written = headers.get(name)
    if not written:
        raise ValueError(f"the header {name} is missing or empty")
    number = int(written) if len(written) <= 19 and written.isdigit() else 0
    if not 1 <= number <= POSITION_MAX:
        raise ValueError(f"the header {name} is no number from 1 to {POSITION_MAX}")
    return number


@lru_cache(maxsize=256)
def _source(service: str) -> bytes:
    return f"/watercooler/{service}".encode()


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def _written(micros: int) -> bytes:
    seconds, rest = divmod(micros, 1_000_000)
    return f"{_second(seconds)}.{rest:06d}Z".encode()


def _read(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("the header ce_time is no time as RFC 3339 writes it") from None
    if moment.tzinfo is None:
        raise ValueError("the header ce_time has no offset from UTC")
    return (moment - _EPOCH) // _MICROSECOND
