"""Event types by their one name: stored type, CloudEvents `type` and proto full name are the same string."""
from __future__ import annotations

from functools import cache

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

from watercooler.options.v1 import options_pb2


class UnknownEventType(Exception):
    """The log holds an event of a type that this version does not know: a newer version wrote it."""


@cache
def message_type(name: str) -> type[Message]:
    """The message class of a stored type name, through the descriptor pool.

    Raises:
        UnknownEventType: no such message in this version.
    """
    try:
        return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
    except KeyError:
        raise UnknownEventType(f"{name} is not known to this version: start the version that wrote it, or a newer one") from None


def decode(type_name: str, data: bytes) -> Message:
    """The event that was stored as these bytes under this type."""
    return message_type(type_name).FromString(data)


_secrets: dict[type[Message], tuple[str, ...]] = {}


def outward(event: Message) -> Message:
    """The event as it may leave its service: without the fields marked `(watercooler.options.v1.secret)`."""
    kind = type(event)
    names = _secrets.get(kind)
    if names is None:
        names = tuple(field.name for field in kind.DESCRIPTOR.fields if field.GetOptions().Extensions[options_pb2.secret])
        _secrets[kind] = names
    if not names:
        return event
    told = kind()
    told.CopyFrom(event)
    for name in names:
        told.ClearField(name)
    return told
