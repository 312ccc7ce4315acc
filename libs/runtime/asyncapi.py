"""The AsyncAPI 3 document of the network's events, made from the services' manifests and protos: what is published is documented.

https://www.asyncapi.com/docs/reference/specification/v3.0.0, with the bindings for Kafka.
"""
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

from watercooler.options.v1 import options_pb2

from .service import Service
from .settings import Settings

VERSION = "1.0.0"
_MESSAGE, _SCHEMA = "#/components/messages/{}", "#/components/schemas/{}"
_KAFKA_BINDING = "0.5.0"

# How proto3's JSON mapping writes each type (https://protobuf.dev/programming-guides/json/).
_JSON: dict[int, dict[str, Any]] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    FieldDescriptor.TYPE_INT64: {"type": "string", "pattern": "^-?[0-9]{1,19}$"},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "pattern": "^[0-9]{1,20}$"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number"},
}

# The attributes of CloudEvents as libs/subscriptions/cloudevents.py writes them: schema, and whether each event has them.
_ATTRIBUTES: dict[str, tuple[dict[str, Any], bool]] = {
    "specversion": ({"type": "string", "const": "1.0"}, True),
    "id": ({"type": "string", "description": "Unique for ever; the key to recognise a repeated event by."}, True),
    "source": ({"type": "string", "format": "uri-reference", "description": "/watercooler/ and the service whose log it is."}, True),
    "type": ({"type": "string", "description": "The full name of the message."}, True),
    "subject": ({"type": "string", "description": "The stream: what the event is about, <category>-<id>. Also the key in Kafka."}, True),
    "time": ({"type": "string", "format": "date-time", "description": "When it was stored."}, True),
    "sequence": ({"type": "string", "pattern": "^[0-9]{1,19}$", "description": "Its position in the service's log, without gaps."}, True),
    "streamversion": ({"type": "integer", "minimum": 1, "description": "Its place in the stream."}, True),
    "actorid": ({"type": "string", "description": "The person who did it, or service:<name>."}, False),
    "correlationid": ({"type": "string", "description": "The same for all that follows from one act."}, False),
    "causationid": ({"type": "string", "description": "The event it follows from."}, False),
    "erased": ({"type": "boolean", "description": "true where the personal fields are gone for good."}, False),
}
_TRACEPARENT = {"type": "string", "description": "The W3C trace of the request."}


def document(services: Sequence[Service], settings: Settings) -> dict[str, Any]:
    """The document for a network with these services: the topics where Kafka is configured, and the HTTP stream always."""
    published = [service for service in services if service.streams]
    on_kafka = bool(settings.kafka_brokers)
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for service in published:
        types = list(event_types(service.name))
        for each in types:
            _describe(each, schemas)
        if on_kafka:
            messages |= {each.full_name: _record(each) for each in types}
            names = [each.full_name for each in types]
            channels[f"{service.name}-topic"] = {
                "address": f"{settings.kafka_prefix}watercooler.{service.name}.v1.events",
                "title": f"Events of {service.name}, in Kafka",
                "description": f"{service.summary} One record an event, keyed by its stream; streams: "
                f"{', '.join(sorted(service.streams))}. What is older than the topic keeps is read over HTTP or gRPC (EventLog/Read).",
                "servers": [{"$ref": "#/servers/kafka"}],
                "messages": {each.name: {"$ref": _MESSAGE.format(each.full_name)} for each in types},
                "bindings": {
                    "kafka": {
                        "partitions": settings.kafka_partitions, "replicas": settings.kafka_replication,
                        "topicConfiguration": {
                            "cleanup.policy": ["delete"], "retention.ms": int(settings.kafka_retention.total_seconds() * 1000),
                        },
                        "bindingVersion": _KAFKA_BINDING,
                    }
                },
            }
            operations[f"publish-{service.name}"] = _sends(f"{service.name}-topic", [name.rpartition(".")[2] for name in names])
        envelope = f"watercooler.{service.name}.v1.CloudEvent"
        schemas[envelope] = _envelope(service.name, types)
        messages[envelope] = {
            "title": f"An event of {service.name}", "contentType": "application/cloudevents+json",
            "summary": "CloudEvents 1.0 in the JSON format; one server-sent event each, whose id is the position.",
            "payload": {"$ref": _SCHEMA.format(envelope)},
        }
        channels[f"{service.name}-stream"] = {
            "address": f"/api/v1/events?service={service.name}",
            "title": f"Events of {service.name}, over HTTP",
            "description": "Server-sent events with `Accept: text/event-stream`; `after` or `Last-Event-ID` is the last position taken.",
            "servers": [{"$ref": "#/servers/http"}],
            "messages": {"CloudEvent": {"$ref": _MESSAGE.format(envelope)}},
        }
        operations[f"stream-{service.name}"] = _sends(f"{service.name}-stream", ["CloudEvent"])
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Watercooler events",
            "version": VERSION,
            "description": "What happens in the internal social network. docs/events.md is a guide, with consumers to start from.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/protobuf" if on_kafka else "application/cloudevents+json",
        "servers": _servers(settings),
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": _security(settings),
        },
    }


def event_types(service: str) -> Iterator[Descriptor]:
    """The events of a service, in the order of its protos `events` and `<subject>_events`: messages that are no part of another message."""
    package = f"watercooler.{service}.v1"
    names = [module.name for module in iter_modules(import_module(package).__path__) if module.name.endswith("_events_pb2")]
    files: list[FileDescriptor] = [import_module(f"{package}.{name}").DESCRIPTOR for name in ("events_pb2", *sorted(names))]
    messages = [message for file in files for message in file.message_types_by_name.values()]
    parts = {field.message_type.full_name for message in messages for field in message.fields if field.message_type}
    # An event may be part of another, which brings it back; it names whose it is, as no other part does.
    return (
        message for message in messages
        if message.full_name not in parts or message.GetOptions().Extensions[options_pb2.subject]
    )


def _sends(channel: str, messages: Sequence[str]) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }


def _servers(settings: Settings) -> dict[str, Any]:
    address = urlsplit(settings.address)
    servers: dict[str, Any] = {
        "http": {
            "host": address.netloc, "protocol": address.scheme,
            "description": "For administrators, with an access token of the scope admin.",
            "security": [{"$ref": "#/components/securitySchemes/access_token"}],
        }
    }
    if settings.kafka_brokers:
        guarded = settings.kafka_security
        # Which brokers there are is for those who are let in to know, so the document leaves a place for them.
        servers["kafka"] = {
            "host": "{broker}", "protocol": "kafka" if guarded in ("plaintext", "sasl_plaintext") else "kafka-secure",
            "description": "The organisation's Kafka; its operators give out addresses, users and passwords.",
            "variables": {"broker": {"description": "Any broker, as host:port.", "default": "kafka:9092"}},
        }
        if guarded.startswith("sasl_"):
            servers["kafka"]["security"] = [{"$ref": "#/components/securitySchemes/kafka"}]
    return servers


def _security(settings: Settings) -> dict[str, Any]:
    schemes: dict[str, Any] = {
        "access_token": {"type": "http", "scheme": "bearer", "description": "A personal access token, wct_..., with the scope admin."}
    }
    if settings.kafka_brokers and settings.kafka_security.startswith("sasl_"):
        kinds = {"plain": "plain", "scram-sha-256": "scramSha256", "scram-sha-512": "scramSha512"}
        schemes["kafka"] = {"type": kinds[settings.kafka_mechanism], "description": "A user of Kafka who may read the topics."}
    return schemes


def _record(message: Descriptor) -> dict[str, Any]:
    """An event as a Kafka record, in the binary mode of CloudEvents."""
    headers = {f"ce_{name}": dict(schema) for name, (schema, _) in _ATTRIBUTES.items()}
    # Header values are text, whatever the attribute's type.
    headers["ce_streamversion"] = {"type": "string", "pattern": "^[0-9]{1,19}$", "description": "Its place in the stream."}
    headers["ce_erased"] = {"type": "string", "const": "true", "description": "Present where the personal fields are gone for good."}
    headers["ce_type"] = {"type": "string", "const": message.full_name}
    headers["traceparent"] = _TRACEPARENT
    headers["content-type"] = {"type": "string", "const": "application/protobuf"}
    told: dict[str, Any] = {
        "name": message.full_name,
        "title": message.name,
        "contentType": "application/protobuf",
        "headers": {
            "type": "object",
            "properties": headers,
            "required": [f"ce_{name}" for name, (_, always) in _ATTRIBUTES.items() if always] + ["content-type"],
        },
        "payload": {"$ref": _SCHEMA.format(message.full_name)},
        "bindings": {
            "kafka": {"key": {"type": "string", "description": "The stream, <category>-<id>."}, "bindingVersion": _KAFKA_BINDING}
        },
        "x-protobuf-message": message.full_name,
        "x-protobuf-file": message.file.name,
    }
    if comment := _comments(message.file).get(message.full_name):
        told["summary"] = comment
    return told


def _envelope(service: str, types: Sequence[Descriptor]) -> dict[str, Any]:
    properties = {name: dict(schema) for name, (schema, _) in _ATTRIBUTES.items()}
    properties["source"]["const"] = f"/watercooler/{service}"
    properties["datacontenttype"] = {"type": "string", "const": "application/json"}
    properties["traceparent"] = dict(_TRACEPARENT)
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name, (_, always) in _ATTRIBUTES.items() if always] + ["datacontenttype", "data"],
        "oneOf": [
            {"properties": {"type": {"const": each.full_name}, "data": {"$ref": _SCHEMA.format(each.full_name)}}} for each in types
        ],
    }


def _describe(message: Descriptor, schemas: dict[str, Any]) -> None:
    """Add the schema of a message, and of what it holds."""
    if message.full_name in schemas:
        return
    comments = _comments(message.file)
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    schemas[message.full_name] = schema
    if comment := comments.get(message.full_name):
        schema["description"] = comment
    if message.GetOptions().Extensions[options_pb2.erases]:
        schema["x-erases"] = True
    for field in message.fields:
        held = _field(field, schemas)
        if comment := comments.get(field.full_name):
            held["description"] = comment
        if field.GetOptions().Extensions[options_pb2.personal]:
            held["x-personal"] = True
        held["x-protobuf-field"] = field.number
        schema["properties"][field.name] = held


def _field(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": _one(message.fields_by_name["value"], schemas)}
    one = _one(field, schemas)
    return {"type": "array", "items": one} if field.is_repeated else one


def _one(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None:
        if field.message_type.full_name == "google.protobuf.Timestamp":
            return {"type": "string", "format": "date-time"}
        _describe(field.message_type, schemas)
        # Beside a reference nothing else may stand.
        return {"allOf": [{"$ref": _SCHEMA.format(field.message_type.full_name)}]}
    if field.enum_type is not None:
        return _enum(field.enum_type)
    return dict(_JSON[field.type])


def _enum(enum: EnumDescriptor) -> dict[str, Any]:
    return {
        "type": "string", "enum": [value.name for value in enum.values],
        "x-protobuf-values": {value.name: value.number for value in enum.values},
    }


_LINE = re.compile(
    r"\s*(?:(?P<block>message|enum|oneof)\s+(?P<name>\w+)\s*\{|[\w.<>, ]+?\s+(?P<field>\w+)\s*=\s*\d+|//(?P<comment>.*)|(?P<end>\}))"
)


@cache
def _comments(file: FileDescriptor) -> dict[str, str]:
    """What the proto's comments say of its messages and fields, by full name; the descriptors that run carry none."""
    generated = import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2").__file__
    source = Path(generated or "").with_name(Path(file.name).name)
    if not source.is_file():
        return {}
    found: dict[str, str] = {}
    within: list[str] = [file.package]
    above: list[str] = []
    for line in source.read_text("utf-8").splitlines():
        match = _LINE.match(line)
        if match is None:
            above = []
        elif match["comment"] is not None:
            above.append(match["comment"].strip())
            continue
        else:
            if match["block"] == "oneof":
                within.append(within[-1])
            elif match["block"]:
                within.append(f"{within[-1]}.{match['name']}")
                _keep(found, within[-1], above)
            elif match["field"]:
                _keep(found, f"{within[-1]}.{match['field']}", above)
            elif match["end"] and len(within) > 1:
                within.pop()
            above = []
        if match is not None and match["block"] and line.rstrip().endswith("}"):
            within.pop()
    return found


def _keep(found: dict[str, str], name: str, comment: Sequence[str]) -> None:
    if comment:
        found[name] = " ".join(comment)
