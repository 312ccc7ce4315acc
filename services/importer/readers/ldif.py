"""LDIF (RFC 2849): entries of a directory, with folded lines and base64 values. Attribute names are lower-cased."""
from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .model import Bad, Record

ENTRY_BYTES_MAX = 20 << 20
"""The largest entry: a photo of 10 MiB in base64 and what is around it."""
VALUES_MAX = 50_000


def read(path: Path, shown: str) -> Iterator[Record | Bad]:
    """The entries of an LDIF file; what changes or deletes an entry is reported as bad, for a directory's export holds none."""
    for number, lines, why in _entries(path):
        place = f"{shown}:{number}"
        if why:
            yield Bad(place, why)
            continue
        try:
            fields = _fields(lines)
        except ValueError as error:
            yield Bad(place, str(error))
            continue
        if fields:
            yield Record(place, fields | {"_file": path.stem, "_path": shown, "_line": str(number)})


def _entries(path: Path) -> Iterator[tuple[int, list[bytes], str]]:
    """Each entry's first line number, its unfolded lines, and why it is too large where it is."""
    lines: list[bytes] = []
    first, size, comment, number = 0, 0, False, 0
    with path.open("rb") as file:
        while True:
            raw = file.readline(ENTRY_BYTES_MAX + 1)
            number += 1
            line = raw.rstrip(b"\r\n")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line:
                if size > ENTRY_BYTES_MAX:
                    yield first, [], f"the entry has more than {ENTRY_BYTES_MAX >> 20} MiB"
                elif lines:
                    yield first, lines, ""
                lines, size, comment = [], 0, False
                if not raw:
                    return
                continue
            size += len(line)
            if line.startswith(b" "):
                if lines and not comment and size <= ENTRY_BYTES_MAX:
                    lines.append(line)
                continue
            comment = line.startswith(b"#")
            if not comment and size <= ENTRY_BYTES_MAX:
                if not lines:
                    first = number
                lines.append(line)
            elif not lines:
                first = number


def _fields(lines: list[bytes]) -> dict[str, Any]:
    unfolded: list[list[bytes]] = []
    for line in lines:
        if line.startswith(b" "):
            if not unfolded:
                raise ValueError("the entry begins with a continuation line")
            unfolded[-1].append(line[1:])
        else:
            unfolded.append([line])
    found: dict[str, list[Any]] = {}
    for number, parts in enumerate(unfolded):
        name, value = _attribute(b"".join(parts))
        if number == 0 and name == "version":
            if value != "1":
                raise ValueError(f"LDIF version {value[:20]!r} is not known: export version 1")
            continue
        if not found and name != "dn":
            raise ValueError("the entry does not begin with its dn")
        if name == "changetype" and value != "add":
            raise ValueError(f"this is a change ({value[:20]}), not an entry")
        if len(found.setdefault(name, [])) >= VALUES_MAX:
            raise ValueError(f"{name} has more than {VALUES_MAX:,} values")
        found[name].append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _attribute(line: bytes) -> tuple[str, Any]:
    name, colon, value = line.partition(b":")
    if not colon or not name.strip():
        raise ValueError(f"no attribute in the line {line[:40].decode('utf-8', 'replace')!r}")
    attribute = name.partition(b";")[0].decode("utf-8", "replace").strip().lower()
    if value.startswith(b"<"):
        raise ValueError(f"{attribute} stands at an address outside the file, which is not fetched: export the value itself")
    if value.startswith(b":"):
        try:
            value = base64.b64decode(value[1:].strip(), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"{attribute} is not valid base64") from None
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            return attribute, value
        return attribute, value if "\0" in text else text
    try:
        return attribute, value.strip(b" ").decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{attribute} is not UTF-8") from None
