"""Parameters as Mastodon's clients send them: in the query, as a form, as JSON or as parts of a multipart body, nested by brackets.

`media_ids[]=a&media_ids[]=b`, `poll[options][]=x`, `fields_attributes[0][name]=n` and the same as JSON all read alike here.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from multipart import MultipartError, PushMultipartParser  # type: ignore[import-untyped]

from ..problems import Refusal

FIELDS: Final = 500
DEPTH: Final = 5
LIST: Final = 500
TRUE: Final = frozenset({"1", "true", "on", "t", "yes"})

_NAME = re.compile(r"[^\[\]]+|\[[^\[\]]*\]")


@dataclass(frozen=True, slots=True)
class File:
    """A part of a multipart body that is a file."""

    name: str
    content: bytes
    media_type: str


class Params:
    """What a request carries, whatever way it came."""

    __slots__ = ("values",)

    def __init__(self, values: dict[str, Any]) -> None:
        """Over nested values."""
        self.values = values

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def get(self, name: str) -> Any:
        """The value as it came; None where there is none."""
        return self.values.get(name)

    def text(self, name: str, default: str = "", most: int = 12_000) -> str:
        """A text. Raises Refusal 422 for what is none or too long."""
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        if not isinstance(value, str):
            raise Refusal(422, f"Validation failed: {name} must be a text.", field=name)
        if len(value) > most:
            raise Refusal(422, f"Validation failed: {name} has at most {most:,} characters.", field=name)
        if "\0" in value:
            raise Refusal(422, f"Validation failed: {name} cannot contain the NUL character.", field=name)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """A yes or no."""
        value = self.values.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, bool):
            return value
        return str(value).lower() in TRUE

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number, brought within limits as Mastodon does. Raises Refusal 422 for what is none."""
        value = self.values.get(name)
        if value is None or value == "":
            return default
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError):
            raise Refusal(422, f"Validation failed: {name} must be a whole number.", field=name) from None
        return max(least, min(number, most))

    def texts(self, name: str, most: int = LIST) -> list[str]:
        """A list of texts; one alone is a list of one. Raises Refusal 422 for too many and for what are no texts."""
        value = self.values.get(name)
        if value is None or value == "":
            return []
        if isinstance(value, dict):  # indices instead of empty brackets
            value = list(value.values())
        if not isinstance(value, list):
            value = [value]
        if len(value) > most:
            raise Refusal(422, f"Validation failed: {name} has at most {most} entries.", field=name)
        found = []
        for each in value:
            if isinstance(each, bool) or not isinstance(each, str | int):
                raise Refusal(422, f"Validation failed: {name} is a list of texts.", field=name)
            text = str(each)
            if len(text) > 12_000 or "\0" in text:
                raise Refusal(422, f"Validation failed: {name} holds a text that cannot be read.", field=name)
            found.append(text)
        return found

    def inner(self, name: str) -> Params:
        """The values below a name; empty where there are none."""
        value = self.values.get(name)
        return Params(value if isinstance(value, dict) else {})

    def inners(self, name: str, most: int = LIST) -> list[Params]:
        """A list of groups of values. Raises Refusal 422 for too many."""
        value = self.values.get(name)
        if isinstance(value, dict):
            value = list(value.values())
        if not isinstance(value, list):
            return []
        if len(value) > most:
            raise Refusal(422, f"Validation failed: {name} has at most {most} entries.", field=name)
        return [Params(each) for each in value if isinstance(each, dict)]

    def moment(self, name: str) -> datetime | None:
        """A time; None where there is none. Raises Refusal 422."""
        text = self.text(name, most=60)
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        except ValueError:
            raise Refusal(422, f"Validation failed: {name} is a time such as 2026-03-01T09:00:00Z.", field=name) from None
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)

    def file(self, name: str) -> File | None:
        """A file; None where there is none."""
        value = self.values.get(name)
        return value if isinstance(value, File) else None


def nested(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Names with brackets as nested values. Raises Refusal 422 where a name is both a text and a group."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        parts = _NAME.findall(name)
        if not parts or len(parts) > DEPTH or "".join(parts) != name:
            values[name] = value
            continue
        _put(values, parts[0], [part[1:-1] for part in parts[1:]], value)
    return values


def _put(group: dict[str, Any], name: str, rest: list[str], value: Any) -> None:
    if not rest:
        group[name] = value
        return
    if rest[0] == "":
        held = group.setdefault(name, [])
        if not isinstance(held, list):
            raise _mixed(name)
        if len(rest) == 1:
            held.append(value)
            return
        # `a[][x]=1&a[][y]=2&a[][x]=3`: a name that comes again begins the next group.
        last = held[-1] if held and isinstance(held[-1], dict) else None
        if last is None or (len(rest) == 2 and rest[1] in last):
            last = {}
            held.append(last)
        _put(last, rest[1], rest[2:], value)
        return
    held = group.setdefault(name, {})
    if not isinstance(held, dict):
        raise _mixed(name)
    _put(held, rest[0], rest[1:], value)


def _mixed(name: str) -> Refusal:
    return Refusal(422, f"Validation failed: {name[:60]} is given in two ways.", field=name[:60])


def of_query(raw: bytes) -> dict[str, Any]:
    """The parameters of a query or of a form. Raises Refusal 400."""
    try:
        pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS)
    except UnicodeDecodeError:
        raise Refusal(400, "The parameters are not UTF-8.", code="bad_request") from None
    except ValueError:
        raise Refusal(400, f"A request has at most {FIELDS} parameters.", code="bad_request") from None
    simple = all("[" not in name for name, _ in pairs)
    if simple and len({name for name, _ in pairs}) == len(pairs):
        return dict(pairs)
    # `id=1&id=2` is a list as well, as some clients send it.
    counts: dict[str, int] = {}
    for name, _ in pairs:
        counts[name] = counts.get(name, 0) + 1
    return nested([(f"{name}[]" if counts[name] > 1 and "[" not in name else name, value) for name, value in pairs])


def of_json(body: bytes) -> dict[str, Any]:
    """The parameters of a JSON body. Raises Refusal 400."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"The body is not JSON: {error}.", code="bad_request") from None
    if not isinstance(found, dict):
        raise Refusal(400, "The body is a JSON object.", code="bad_request")
    # Clients that turn forms into JSON keep the brackets.
    return nested(list(found.items())) if any("[" in name for name in found) else found


def of_multipart(body: bytes, media_type: str) -> dict[str, Any]:
    """The parameters of a multipart body. Raises Refusal 400."""
    boundary = next(
        (part.partition("=")[2].strip().strip('"') for part in media_type.split(";") if part.strip().lower().startswith("boundary=")), ""
    )
    pairs: list[tuple[str, Any]] = []
    name, file_name, kind, content = "", None, "", bytearray()
    try:
        with PushMultipartParser(boundary.encode("latin-1"), max_segment_count=FIELDS) as parser:
            for event in parser.parse(body):
                if event is None:
                    pairs.append((name, _part(name, file_name, kind, bytes(content))))
                elif isinstance(event, bytes | bytearray):
                    content += event
                else:
                    name, file_name, kind, content = event.name, event.filename, event.content_type or "", bytearray()
            parser.close()
    except (MultipartError, ValueError) as error:
        raise Refusal(400, f"The multipart body cannot be read: {error}.", code="bad_request") from None
    return nested(pairs)


def _part(name: str, file_name: str | None, media_type: str, content: bytes) -> Any:
    if file_name is not None:
        return File(file_name[:255], content, media_type)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Refusal(400, f"The part {name[:60]} is not UTF-8.", code="bad_request") from None


def read(query: bytes, body: bytes, media_type: str) -> Params:
    """Everything a request carries; the body goes before the query. Raises Refusal 400."""
    values = of_query(query) if query else {}
    if body:
        kind = media_type.partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            values |= of_multipart(body, media_type)
        elif kind == "application/x-www-form-urlencoded":
            values |= of_query(body)
        elif kind.endswith("json") or body.lstrip()[:1] == b"{":  # some send no type at all
            values |= of_json(body)
        else:
            values |= of_query(body)
    return Params(values)
