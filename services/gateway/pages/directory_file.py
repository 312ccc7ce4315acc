"""A directory file as the import page takes it: CSV with a header, or JSON Lines, with the usual names of fields.

Files that need a mapping of their own are for the command line: `watercooler import`.
"""
from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from watercooler.identity.v1 import events_pb2 as events
from watercooler.identity.v1.identity_service_pb2 import PersonRecord

from . import directory_dates

RECORDS_MAX: Final = 100_000
FIELD_CHARACTERS: Final = 20_000

# The field of a profile by the names that directories give it, compared without case, blanks, hyphens and underscores.
NAMES: Final[dict[str, str]] = {
    "email": "email", "emailaddress": "email", "mail": "email", "workemail": "email",
    "employeenumber": "employee_number", "employeeid": "employee_number", "personnelnumber": "employee_number", "number": "employee_number",
    "handle": "handle", "username": "handle", "login": "handle",
    "name": "name", "fullname": "name", "displayname": "name",
    "preferredname": "preferred_name", "nickname": "preferred_name", "pronouns": "pronouns",
    "title": "title", "jobtitle": "title", "position": "title", "role": "title",
    "department": "department", "team": "department", "unit": "department", "organization": "department",
    "location": "location", "office": "location", "city": "location",
    "timezone": "time_zone", "tz": "time_zone", "languages": "languages", "language": "languages",
    "startdate": "start_date", "hiredate": "start_date", "about": "about", "bio": "about",
    "phone": "phone", "telephone": "phone", "mobile": "phone",
    "manager": "manager", "manageremail": "manager", "reportsto": "manager", "managerid": "manager",
    "id": "external_id", "externalid": "external_id", "left": "left", "terminated": "left",
    "firstname": "first", "givenname": "first", "lastname": "last", "surname": "last", "familyname": "last",
    # As German directories write them.
    "vorname": "first", "nachname": "last", "familienname": "last", "personalnummer": "employee_number", "personalnr": "employee_number",
    "funktion": "title", "stelle": "title", "abteilung": "department", "standort": "location", "ort": "location", "telefon": "phone",
    "sprachen": "languages", "vorgesetzter": "manager", "vorgesetzte": "manager", "führungskraft": "manager", "eintritt": "start_date",
    "eintrittsdatum": "start_date", "ausgeschieden": "left",
}
_YES = frozenset({"1", "true", "yes", "y", "x", "ja"})
CELL_CHARACTERS: Final = 1_000_000


class _Unusable(ValueError):
    """A record cannot be taken; the text says which column and why."""


class FileRefused(Exception):
    """The file cannot be read; the text says why and what to do."""


@dataclass(slots=True)
class DirectoryFile:
    """The people of a file, in its order, and the lines that hold none, with the reason."""

    records: list[PersonRecord] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)


def read(content: bytes, kind: str) -> DirectoryFile:
    """The people of a file. Raises FileRefused where nothing of it can be used."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FileRefused(f"The file is not UTF-8 text: line {line} holds other bytes. Save it as UTF-8 and choose it again.") from None
    rows = _csv(text) if kind == "csv" else _json_lines(text)
    found = DirectoryFile()
    places: dict[tuple[str, str], int] = {}
    for line, row in rows:
        if len(found.records) + len(found.refused) >= RECORDS_MAX:
            raise FileRefused(f"The file has more than {RECORDS_MAX:,} records: split it.")
        if isinstance(row, str):
            found.refused.append((line, row))
            continue
        try:
            record = _record(line, row)
        except _Unusable as error:
            found.refused.append((line, str(error)))
            continue
        profile = record.profile
        named = {("number", profile.employee_number), ("address", profile.email.casefold()), ("key", record.external_id)}
        known = [each for each in named if each[1]]
        if first := min((places[each] for each in known if each in places), default=0):
            found.refused.append((line, f"This is the same person as in line {first}: keep one of the two."))
            continue
        places.update(dict.fromkeys(known, line))
        found.records.append(record)
    if not found.records:
        raise FileRefused("The file holds no records." if not found.refused else "Line {}: {}".format(*found.refused[0]))
    return found


def _csv(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """The rows by their lines; for one that cannot be used, the reason."""
    sample = text[:10_000].partition("\n")[0]
    delimiter = max(",;\t", key=sample.count)
    csv.field_size_limit(CELL_CHARACTERS)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            if not header:
                raise FileRefused(f"Line {line} cannot be read as CSV ({error}). Mend it and choose the file again.") from None
            yield line, f"This cannot be read as CSV ({error})."
            continue
        if not header:
            header = row
            if not {"name", "email", "last"} & {NAMES.get(_plain(name), "") for name in header}:
                break
        elif not any(value.strip() for value in row):
            continue
        elif len(row) != len(header):
            yield line, f"The row has {len(row)} cells, the first line {len(header)}."
        else:
            yield line, dict(zip(header, row, strict=True))
    if not {"name", "email", "last"} & {NAMES.get(_plain(name), "") for name in header}:
        raise FileRefused("The first line names no field that is known: it needs at least name and email.")


def _json_lines(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """The objects by their lines; for a line that is none, the reason."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_constant=_no_number, object_pairs_hook=_once_each)
        except _Unusable as error:
            yield number, str(error)
            continue
        except (ValueError, RecursionError) as error:
            yield number, f"This is no JSON ({str(error)[:200]})."
            continue
        yield number, row if isinstance(row, dict) else "This is no JSON object: each line is one person."


def _no_number(name: str) -> Any:
    raise _Unusable(f"This is no JSON ({name} is no number there).")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's values by key; with a key twice, nobody can tell which of the two is meant."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Unusable(f"This has the key {key[:60]!r} twice: keep one of the two.")
        found[key] = value
    return found


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _record(line: int, row: Mapping[str, Any]) -> PersonRecord:
    record = PersonRecord(place=f"line {line}", profile=events.Profile())
    fields: list[str] = []
    parts: dict[str, str] = {}
    for name, raw in row.items():
        known_as = NAMES.get(_plain(str(name)), "")
        values = raw if isinstance(raw, list) else [raw]
        value = ", ".join("" if each is None else str(each) for each in values).strip()[:FIELD_CHARACTERS]
        value = value.replace("\0", "").encode("utf-8", "replace").decode()
        if known_as in ("first", "last"):
            parts[known_as] = value
        elif known_as == "manager":
            record.manager_key, record.has_manager = value, True
        elif known_as == "external_id":
            record.external_id = value
        elif known_as == "left":
            record.left = value.casefold() in _YES
            fields.append("left")
        elif known_as == "phone":
            if value:
                record.profile.contact["Phone"] = value
                fields.append("contact")
        elif known_as == "languages":
            record.profile.languages.extend(each.strip() for each in value.replace(";", ",").split(",") if each.strip())
            fields.append("languages")
        elif known_as == "start_date":
            try:
                record.profile.start_date = directory_dates.day(value)
            except ValueError as error:
                raise _Unusable(f"{str(name).strip()[:60]}: {error}.") from None
            fields.append(known_as)
        elif known_as:
            setattr(record.profile, known_as, value)
            fields.append(known_as)
    if parts and not record.profile.name:
        record.profile.name = f"{parts.get('first', '')} {parts.get('last', '')}".strip()
        fields.append("name")
    record.fields.extend(dict.fromkeys(fields))
    return record
