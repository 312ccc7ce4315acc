"""What a consumer of the events needs beside the messages: it knows no service and nothing but protobuf."""
from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from google.protobuf.message import Message

from watercooler.options.v1 import options_pb2

_NAME = re.compile(r"(watercooler\.[a-z]+\.v[0-9]+)\.([A-Z]\w*)")


@cache
def message_type(name: str) -> type[Message]:
    """The class of an event type, such as `watercooler.feed.v1.PostPublished`.

    Raises:
        KeyError: this version does not know the type; a consumer passes over it.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise KeyError(f"{name} is no type of Watercooler's events")
    found = next((held for module in _modules(match[1]) if (held := getattr(module, match[2], None)) is not None), None)
    if not (isinstance(found, type) and issubclass(found, Message)):
        raise KeyError(f"{name} is not known to this version of watercooler-events")
    return found


def _modules(package: str) -> list[ModuleType]:
    """The modules with a package's events: `events_pb2`, and one a subject."""
    try:
        path = import_module(package).__path__
    except ModuleNotFoundError:
        return []
    names = [module.name for module in iter_modules(path) if module.name == "events_pb2" or module.name.endswith("_events_pb2")]
    return [import_module(f"{package}.{name}") for name in names]


def parse(name: str, value: bytes) -> Message:
    """The event that a record's `ce_type` and value hold.

    Raises:
        KeyError: the type is not known.
        google.protobuf.message.DecodeError: the value is damaged.
    """
    return message_type(name).FromString(value)


def personal_fields(kind: type[Message]) -> tuple[str, ...]:
    """The fields of an event type that are emptied when their person is erased."""
    return tuple(field.name for field in kind.DESCRIPTOR.fields if field.GetOptions().Extensions[options_pb2.personal])


def erases(kind: type[Message]) -> bool:
    """Whether an event of this type erases its subject: a consumer deletes what it keeps of the person."""
    return bool(kind.DESCRIPTOR.GetOptions().Extensions[options_pb2.erases])


def subject(event: Message) -> str:
    """The id of the person whose personal data an event carries, or who is erased; empty where it is about nobody's."""
    field: Any = event.DESCRIPTOR.GetOptions().Extensions[options_pb2.subject]
    return str(getattr(event, field)) if field else ""
