"""Event types by their one name: stored type, CloudEvents `type` and proto full name are the same string."""
from __future__ import annotations

from functools import cache

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message


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
