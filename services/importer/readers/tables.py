"""CSV and JSON Lines, read a line at a time."""
from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from ..tree import Broken, json_value
from .model import RECORD_BYTES_MAX, Bad, Record

COLUMNS_MAX = 1_000
# More bad lines than this in a row: the file is something else than it says.
BAD_IN_A_ROW_MAX = 1_000

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class LineTooLong(Exception):
    """A line goes past RECORD_BYTES_MAX."""


class _Lines:
    """The lines of a file; one past RECORD_BYTES_MAX is passed over and told, and the next is read as ever."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(RECORD_BYTES_MAX + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) <= RECORD_BYTES_MAX:
            return line
        while line and not line.endswith("\n"):
            line = self._file.readline(RECORD_BYTES_MAX)
        raise LineTooLong


def opened(path: Path, encoding: str) -> TextIO:
    """A text file in the encoding of its byte order mark, else the named one, else UTF-8; bytes that are wrong become surrogates."""
    with path.open("rb") as file:
        start = file.read(4)
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), "")
    return path.open(encoding=marked or encoding or "utf-8", errors="replace" if marked == "utf-16" else "surrogateescape", newline="")


def flaw(text: str) -> str:
    """Why a text cannot be taken as it is; empty when it can."""
    if "\0" in text:
        return "holds a NUL character"
    if any("\udc80" <= c <= "\udcff" for c in text) and not text.isascii():
        return "is not UTF-8: say encoding in the mapping (cp1252 for most files from Windows)"
    return ""


def read_csv(path: Path, shown: str, delimiter: str, encoding: str) -> Iterator[Record | Bad]:
    """The rows of a CSV file with a row of names at its top (RFC 4180)."""
    csv.field_size_limit(RECORD_BYTES_MAX)
    with opened(path, encoding) as file:
        lines = _Lines(file)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        names: list[str] = []
        bad = 0
        while bad < BAD_IN_A_ROW_MAX:
            line = lines.number + 1
            place = f"{shown}:{line}"
            try:
                row = next(reader)
            except StopIteration:
                return
            except LineTooLong:
                bad += 1
                yield Bad(place, f"a line has more than {RECORD_BYTES_MAX:,} characters")
                if not names:
                    return
                continue
            except csv.Error as error:
                bad += 1
                yield Bad(place, f"not CSV: {error}")
                continue
            if not any(row):
                continue
            why = next(filter(None, map(flaw, row)), "")
            if not names:
                if why or len(row) > COLUMNS_MAX:
                    yield Bad(place, f"the row of names {why or f'has more than {COLUMNS_MAX:,} columns'}")
                    return
                names = [name.strip() for name in row]
                continue
            if why:
                bad += 1
                yield Bad(place, f"the row {why}")
            elif len(row) != len(names):
                bad += 1
                yield Bad(place, f"the row has {len(row)} cells, the row of names {len(names)}")
            else:
                bad = 0
                yield Record(place, dict(zip(names, row, strict=True)) | {"_file": path.stem, "_path": shown, "_line": str(line)})
        yield Bad(shown, f"{BAD_IN_A_ROW_MAX:,} bad rows on end: the rest was not read")


def read_json_lines(path: Path, shown: str, encoding: str) -> Iterator[Record | Bad]:
    """One JSON object a line."""
    with opened(path, encoding) as file:
        lines, bad = _Lines(file), 0
        while bad < BAD_IN_A_ROW_MAX:
            number = lines.number + 1
            place = f"{shown}:{number}"
            try:
                line = next(lines)
            except StopIteration:
                return
            except LineTooLong:
                bad += 1
                yield Bad(place, f"a line has more than {RECORD_BYTES_MAX:,} characters")
                continue
            if not line.strip():
                continue
            why, value = flaw(line), None
            try:
                value = None if why else json_value(line)
            except Broken as error:
                why = error.reason
            if not why and not isinstance(value, dict):
                why = "is no JSON object"
            if why or not isinstance(value, dict):
                bad += 1
                yield Bad(place, why if why.startswith("not ") else f"the line {why}")
                continue
            bad = 0
            yield Record(place, value | {"_file": path.stem, "_path": shown, "_line": str(number)})
        yield Bad(shown, f"{BAD_IN_A_ROW_MAX:,} bad lines on end: the rest was not read")
