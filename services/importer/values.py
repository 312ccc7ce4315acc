"""How a mapping says where a value comes from: a field, a constant or a template, and a few steps that turn it into what is wanted."""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from libs.text import markdown

_REFERENCE = re.compile(r"\{([^{}]+)\}")
# Links within a source lead nowhere here, and the Markdown of posts does not know them.
_LINK = re.compile(r"\[([^\[\]\n]{0,500})\]\([^()\s]{0,2000}\)")
TEXT_MAX = 200_000
LIST_MAX = 20_000


class Unusable(ValueError):
    """A record's value cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Value:
    """Where a value comes from, and its steps in the order of their names here. Exactly one of the first five is set."""

    path: str = ""
    constant: str | None = None
    template: str = ""
    alternatives: tuple[Value, ...] = ()
    """The first of these that is not empty."""
    pieces: tuple[Value, ...] = ()
    """These that are not empty, with `glue` between them."""
    glue: str = " "
    of: str = ""
    """Of each mapping in a list, this field."""
    split: str = ""
    take: str = ""
    lookup: str = ""
    table: Mapping[str, str] = field(default_factory=dict)
    plain: bool = False
    """Markdown to plain text."""
    slug: bool = False
    dates: tuple[str, ...] = ()
    default: str = ""

    def of_record(self, fields: Mapping[str, Any], lookups: Mapping[str, Mapping[str, str]]) -> Any:
        """The value in a record: a text, a list or bytes; None where the record has no such field at all."""
        value = self._source(fields, lookups)
        if self.of:
            value = [each.get(self.of, "") if isinstance(each, Mapping) else each for each in _listed(value)]
        if self.split:
            value = [part.strip() for part in text(value).split(self.split) if part.strip()] if value is not None else None
        if self.take and isinstance(value, list):
            value = (value[0] if self.take == "first" else value[-1]) if value else ""
        steps = self.table or self.lookup or self.plain or self.slug
        if steps and value is not None and not isinstance(value, bytes):
            lookup = lookups.get(self.lookup, {})
            value = [self._step(text(each), lookup) for each in value] if isinstance(value, list) else self._step(text(value), lookup)
        if self.default and value in (None, "", []):
            return self.default
        return value

    def _step(self, value: str, lookup: Mapping[str, str]) -> str:
        value = lookup.get(value, value)
        value = self.table.get(value, value)
        if self.plain:
            value = markdown.plain(_LINK.sub(r"\1", value)).strip()
        return _slug(value) if self.slug else value

    def _source(self, fields: Mapping[str, Any], lookups: Mapping[str, Mapping[str, str]]) -> Any:
        if self.constant is not None:
            return self.constant
        if self.alternatives:
            values = [each.of_record(fields, lookups) for each in self.alternatives]
            return next((value for value in values if value not in (None, "", [])), next((v for v in values if v is not None), None))
        if self.pieces:
            texts = [each.of_record(fields, lookups) for each in self.pieces]
            filled = [text(each) for each in texts if text(each).strip()]
            return self.glue.join(filled) if filled else (None if all(each is None for each in texts) else "")
        if self.template:
            return self._filled(fields)
        return found(fields, self.path)

    def _filled(self, fields: Mapping[str, Any]) -> str | None:
        values: list[Any] = []

        def put(match: re.Match[str]) -> str:
            name, _, change = match[1].partition("|")
            value = found(fields, name.strip())
            values.append(value)
            shown = text(value)
            return _FILTERS[change.strip()](shown) if change else shown

        filled = _REFERENCE.sub(put, self.template)
        if values and not any(text(value).strip() for value in values):
            return None if all(value is None for value in values) else ""
        return filled


def is_template(spec: str) -> bool:
    """Whether a text of a mapping refers to fields in braces."""
    return bool(_REFERENCE.search(spec))


def template_flaw(spec: str) -> str:
    """What is wrong with a template; empty when nothing is."""
    for match in _REFERENCE.finditer(spec):
        change = match[1].partition("|")[2].strip()
        if change and change not in _FILTERS:
            return f"there is no {change!r}: after | stands {' or '.join(_FILTERS)}"
    return ""


def found(fields: Mapping[str, Any], path: str) -> Any:
    """A field by its name, or by the names on the way to it with dots between; None where it is not there."""
    if path in fields:
        return fields[path]
    value: Any = fields
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def text(value: Any) -> str:
    """A value as text; a list with commas between its texts.

    Raises:
        Unusable: it is a mapping or no text, or too long.
    """
    match value:
        case None:
            return ""
        case str():
            if len(value) > TEXT_MAX:
                raise Unusable(f"a text has more than {TEXT_MAX:,} characters")
            if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
                raise Unusable("a text holds half a character (a lone surrogate)")
            if "\0" in value:
                raise Unusable("a text holds a NUL character")
            return value
        case bytes():
            raise Unusable("a value is binary where text is wanted")
        case Mapping():
            raise Unusable("a value is a mapping where text is wanted: name the field inside it with a dot between")
        case _:
            shown = (text(each) for each in list(value)[:LIST_MAX] if not isinstance(each, Sequence) or isinstance(each, str))
            return ", ".join(each for each in shown if each)


def texts(value: Any) -> list[str]:
    """A value as a list of texts, empty ones left out.

    Raises:
        Unusable: it is longer than LIST_MAX, or one of them is no text.
    """
    listed = _listed(value)
    if len(listed) > LIST_MAX:
        raise Unusable(f"a list has more than {LIST_MAX:,} entries")
    return [shown for each in listed if (shown := text(each).strip())]


def moment(value: str, formats: Sequence[str], zone: tzinfo) -> datetime:
    """The moment a text names, in UTC; `zone` counts where the text names none.

    Raises:
        Unusable: it is none in these formats (ISO 8601 where there are none; `epoch`: seconds since 1970).
    """
    for form in formats or ("iso",):
        try:
            if form == "epoch":
                return datetime.fromtimestamp(float(value), UTC)
            read = datetime.fromisoformat(value) if form == "iso" else datetime.strptime(value, form)  # noqa: DTZ007 - the zone follows
            return (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            continue
    wanted = " or ".join(formats) or "ISO 8601, as in 2024-03-31T09:30:00+02:00"
    raise Unusable(f"{value[:60]!r} is no time of the form {wanted}")


def _listed(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _slug(value: str) -> str:
    folded = "".join(c for c in unicodedata.normalize("NFKD", value.casefold()) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", ".", folded).strip(".")


_FILTERS = {"lower": str.lower, "slug": _slug}
