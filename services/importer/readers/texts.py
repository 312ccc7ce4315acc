"""YAML, TOML and Markdown with front matter: files that are read whole."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..mapping import Part
from ..tree import Broken, Mapped, toml_document, yaml_documents
from .model import DOCUMENT_BYTES_MAX, Bad, Record
from .tables import flaw

FENCE = "---"


def read(path: Path, shown: str, form: str, part: Part) -> Iterator[Record | Bad]:
    """The records of a document: the mapping it is, the mappings it lists, or those it holds by key, as the mapping file says."""
    if path.stat().st_size > DOCUMENT_BYTES_MAX:
        yield Bad(shown, f"the file has more than {DOCUMENT_BYTES_MAX >> 20} MiB and is read whole: split it, or use JSON Lines or CSV")
        return
    text = path.read_bytes().decode(part.encoding or "utf-8-sig", "surrogateescape")
    if why := flaw(text):
        line = next((number for number, each in enumerate(text.splitlines(), 1) if flaw(each)), 1)
        yield Bad(f"{shown}:{line}", f"the file {why}")
        return
    facts = {"_file": path.stem, "_path": shown}
    try:
        if form == "markdown":
            yield _front_matter(text, shown, facts)
            return
        documents = [toml_document(text)] if form == "toml" else yaml_documents(text)
        for document in documents:
            yield from _records(_at(document, part.at), shown, part.records, facts)
    except Broken as error:
        yield Bad(f"{shown}:{error.line}" if error.line else shown, error.reason)


def _at(document: Any, path: str) -> Any:
    """What stands at a path; where it leads through a list, the entries below each that has them, as one list."""
    for name in path.split(".") if path else ():
        if isinstance(document, list):
            below = [each[name] for each in document if isinstance(each, dict) and name in each]
            document = [entry for each in below for entry in (each if isinstance(each, list) else [each])] or None
        else:
            document = document.get(name) if isinstance(document, dict) else None
        if document is None:
            raise Broken(f"has no {path}, where the mapping says its records are")
    return document


def _records(value: Any, shown: str, records: str, facts: dict[str, str]) -> Iterator[Record | Bad]:
    if records == "keyed":
        if not isinstance(value, Mapped):
            raise Broken("is no mapping of records by key")
        for key, line in value.repeated:
            yield Bad(f"{shown}:{line}", f"the key {key[:100]!r} stands twice, first in line {value.lines[key]}: the first was taken")
        for key, each in value.items():
            yield _record(each, shown, facts | {"_key": key}, value.lines.get(key, 0))
    elif isinstance(value, list):
        for each in value:
            yield _record(each, shown, facts, each.line if isinstance(each, Mapped) else 0)
    else:
        yield _record(value, shown, facts, 0)


def _record(value: Any, shown: str, facts: dict[str, str], line: int) -> Record | Bad:
    place = f"{shown}:{line}" if line else shown
    if not isinstance(value, Mapped):
        return Bad(place, "the file is empty" if value == "" and not line else "is no mapping of fields")
    if value.repeated:
        key, again = value.repeated[0]
        return Bad(f"{shown}:{again}", f"the field {key[:100]!r} stands twice, first in line {value.lines[key]}")
    return Record(place, dict(value) | facts | {"_line": str(line)})


def _front_matter(text: str, shown: str, facts: dict[str, str]) -> Record | Bad:
    lines = text.splitlines()
    if not lines or lines[0].rstrip() != FENCE:
        return Bad(shown, "has no front matter: the first line is not ---")
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == FENCE), 0)
    if not end:
        return Bad(shown, "the front matter does not end: no line is --- again")
    try:
        head = list(yaml_documents("\n".join(lines[1:end])))
    except Broken as error:
        raise Broken(error.reason, error.line + 1 if error.line else 0) from None
    value = head[0] if head else Mapped()
    if not isinstance(value, Mapped):
        return Bad(shown, "the front matter is no mapping of fields")
    record = _record(value, shown, facts, 0)
    if isinstance(record, Record):
        return Record(record.place, dict(record.fields) | {"_body": "\n".join(lines[end + 1 :]).strip()})
    return record
