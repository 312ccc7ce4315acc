"""Event types by their one name: stored type, CloudEvents `type` and proto full name are the same string."""
from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

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
    found = _known(name)
    if found is None:
        _load(name.rpartition(".")[0])
        found = _known(name)
    if found is None:
        raise UnknownEventType(f"{name} is not known to this version: start the version that wrote it, or a newer one")
    return found


def _known(name: str) -> type[Message] | None:
    try:
        return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
    except KeyError:
        return None


def _load(package: str) -> None:
    """Import the events of a package: the pool knows only what this process has imported, and a neighbour has more than it follows."""
    if not _PACKAGE.fullmatch(package):
        return
    with suppress(ModuleNotFoundError):
        for module in iter_modules(import_module(package).__path__):
            if module.name == "events_pb2" or module.name.endswith("_events_pb2"):
                import_module(f"{package}.{module.name}")


_PACKAGE = re.compile(r"watercooler\.[a-z]+\.v[0-9]+")


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
