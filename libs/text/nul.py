"""The character NUL, which not every engine keeps in a text and nobody types: found in what is sent, taken out of what is imported."""
from __future__ import annotations

from typing import TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

NUL = "\0"


def field_with_nul(message: Message) -> str:
    """The path of the first field whose text holds NUL, as in `profile.name`; empty where none does. Bytes may hold it."""
    for field, value in message.ListFields():
        if isinstance(value, str):
            if NUL in value:
                return str(field.name)
        elif isinstance(value, Message):
            if below := field_with_nul(value):
                return f"{field.name}.{below}"
        elif field.type == FieldDescriptor.TYPE_STRING:
            if any(NUL in each for each in value):
                return str(field.name)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            if _is_map(field):
                if any(isinstance(text, str) and NUL in text for pair in value.items() for text in pair):
                    return str(field.name)
                continue
            for each in value:
                if below := field_with_nul(each):
                    return f"{field.name}.{below}"
    return ""


def without_nul(message: M) -> M:
    """The message itself where no text holds NUL, else a copy in which none does."""
    if not field_with_nul(message):
        return message
    copy = type(message)()
    copy.CopyFrom(message)
    _take_out(copy)
    return copy


def _is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and bool(kind.GetOptions().map_entry)


def _take_out(message: Message) -> None:
    for field, value in message.ListFields():
        if isinstance(value, str):
            setattr(message, field.name, value.replace(NUL, ""))
        elif isinstance(value, Message):
            _take_out(value)
        elif field.type == FieldDescriptor.TYPE_STRING:
            value[:] = [each.replace(NUL, "") for each in value]
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            if not _is_map(field):
                for each in value:
                    _take_out(each)
            elif any(isinstance(text, str) and NUL in text for pair in value.items() for text in pair):
                pairs = [tuple(text.replace(NUL, "") if isinstance(text, str) else text for text in pair) for pair in value.items()]
                value.clear()
                value.update(pairs)
