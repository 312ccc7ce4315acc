"""Documents as plain trees of texts, lists and mappings: whatever the format, a number is its digits and nothing is guessed."""
from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any, cast

import yaml

DEPTH_MAX = 20
NODES_MAX = 2_000_000

_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})


class Broken(Exception):
    """A document that cannot be read. `line` is 0 where it is not known."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


class Mapped(dict[str, Any]):
    """A mapping that knows where it stands, where its keys stand, and which of them stood twice (the first is kept)."""

    __slots__ = ("line", "lines", "repeated")

    def __init__(self, line: int = 0) -> None:
        """Empty."""
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}
        self.repeated: list[tuple[str, int]] = []


class _Open:
    """A list or mapping of which more is to come."""

    __slots__ = ("key", "key_line", "value")

    def __init__(self, value: Mapped | list[Any]) -> None:
        self.value = value
        self.key: str | None = None
        self.key_line = 0


def yaml_documents(text: str) -> Iterator[Any]:
    """The documents of a YAML text, built from its events, so that neither depth nor aliases can exhaust anything.

    Raises:
        Broken: the text is no YAML, or goes past DEPTH_MAX or NODES_MAX.
    """
    if "\0" in text:
        raise Broken("holds a NUL character, so it is hardly text", text[: text.index("\0")].count("\n") + 1)
    try:
        yield from _documents(text)
    except yaml.MarkedYAMLError as error:
        mark = cast(Any, error.problem_mark or error.context_mark)
        raise Broken(f"not YAML: {error.problem or error.context}", mark.line + 1 if mark else 0) from None
    except yaml.YAMLError as error:
        raise Broken(f"not YAML: {str(error).splitlines()[0]}") from None
    except ValueError as error:  # what the C scanner says of characters outside Unicode
        raise Broken(f"not YAML: {error}") from None


def _documents(text: str) -> Iterator[Any]:
    stack: list[_Open] = []
    anchors: dict[str, Any] = {}
    count = 0
    root: Any = ""
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.DocumentStartEvent):
            stack, anchors, root = [], {}, ""
            continue
        if isinstance(event, yaml.DocumentEndEvent):
            yield root
            continue
        if isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent):
            continue
        line = cast(Any, event).start_mark.line + 1
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            stack.pop()
            continue
        count += 1
        if count > NODES_MAX:
            raise Broken(f"has more than {NODES_MAX:,} values: split it", line)
        value: Any
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise Broken(f"refers to *{event.anchor}, which does not stand above", line)
            value = anchors[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            value = "" if event.implicit[0] and event.value in _NOTHING else event.value
        else:
            if len(stack) >= DEPTH_MAX:
                raise Broken(f"is nested more than {DEPTH_MAX} levels deep", line)
            value = Mapped(line) if isinstance(event, yaml.MappingStartEvent) else []
        if isinstance(event, yaml.NodeEvent) and not isinstance(event, yaml.AliasEvent) and event.anchor:
            anchors[event.anchor] = value
        if not stack:
            root = value
        else:
            _put(stack[-1], value, line)
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            stack.append(_Open(value))


def _put(into: _Open, value: Any, line: int) -> None:
    if isinstance(into.value, list):
        into.value.append(value)
        return
    if into.key is None:
        if not isinstance(value, str):
            raise Broken("has a key that is a list or mapping", line)
        into.key, into.key_line = value, line
        return
    key, into.key = into.key, None
    if key == "<<" and isinstance(value, dict):
        for name, each in value.items():
            into.value.setdefault(name, each)
    elif key in into.value.lines:
        into.value.repeated.append((key, into.key_line))
    else:
        into.value[key] = value
        into.value.lines[key] = into.key_line


def toml_document(text: str) -> Any:
    """A TOML text.

    Raises:
        Broken: it is none.
    """
    try:
        return plain(tomllib.loads(text))
    except RecursionError:
        raise Broken("is nested too deep") from None
    except ValueError as error:
        raise Broken(f"not TOML: {error}") from None


def json_value(text: str) -> Any:
    """A JSON text.

    Raises:
        Broken: it is none, or one of its objects has a key twice.
    """
    try:
        return plain(json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_number, object_pairs_hook=_once_each))
    except RecursionError:
        raise Broken("is nested too deep") from None
    except ValueError as error:
        raise Broken(f"not JSON: {error}") from None


def _no_number(name: str) -> Any:
    raise Broken(f"not JSON: {name} is no number there")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's values by key; with a key twice, nobody can tell which of the two is meant."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Broken(f"has the key {key[:60]!r} twice: keep one of the two")
            seen.add(key)
    return found


def plain(value: Any, depth: int = 0) -> Any:
    """A parsed value with every leaf a text.

    Raises:
        Broken: it is nested more than DEPTH_MAX levels deep.
    """
    if depth > DEPTH_MAX:
        raise Broken(f"is nested more than {DEPTH_MAX} levels deep")
    match value:
        case dict():
            mapped = Mapped()
            for key, each in value.items():
                mapped[str(key)] = plain(each, depth + 1)
            return mapped
        case list():
            return [plain(each, depth + 1) for each in value]
        case bool():
            return "true" if value else "false"
        case None:
            return ""
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return str(value)
