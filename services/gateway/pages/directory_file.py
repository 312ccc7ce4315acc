"""A directory file as the import page takes it: CSV with a header, or JSON Lines, with the usual names of fields.

Files that need a mapping of their own are for the command line: `watercooler import`.
"""
from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from watercooler.identity.v1 import events_pb2 as events
from watercooler.identity.v1.identity_service_pb2 import PersonRecord

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
}
_YES = frozenset({"1", "true", "yes", "y", "x"})


class FileRefused(Exception):
    """The file cannot be read; the text says why and what to do."""


def read(content: bytes, kind: str) -> list[PersonRecord]:
    """The people of a file, in its order. Raises FileRefused."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FileRefused(f"The file is not UTF-8 text: line {line} holds other bytes. Save it as UTF-8 and choose it again.") from None
    rows = _csv(text) if kind == "csv" else _json_lines(text)
    records: list[PersonRecord] = []
    for line, row in rows:
        if len(records) >= RECORDS_MAX:
            raise FileRefused(f"The file has more than {RECORDS_MAX:,} records: split it.")
        records.append(_record(line, row))
    if not records:
        raise FileRefused("The file holds no records.")
    return records


def _csv(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    sample = text[:10_000].partition("\n")[0]
    delimiter = max(",;\t", key=sample.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        known = [NAMES.get(_plain(name), "") for name in header]
        if "name" not in known and "email" not in known:
            raise FileRefused("The first line names no field that is known: it needs at least name and email.")
        line = reader.line_num + 1
        for row in reader:
            if any(value.strip() for value in row):
                yield line, dict(zip(header, row, strict=False))
            line = reader.line_num + 1
    except csv.Error as error:
        raise FileRefused(f"Line {reader.line_num} cannot be read as CSV ({error}). Mend it and choose the file again.") from None


def _json_lines(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise FileRefused(f"Line {number} is no JSON ({error}). Mend it and choose the file again.") from None
        if not isinstance(row, dict):
            raise FileRefused(f"Line {number} is no JSON object: each line is one person.")
        yield number, row


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _record(line: int, row: Mapping[str, Any]) -> PersonRecord:
    record = PersonRecord(place=f"line {line}", profile=events.Profile())
    fields: list[str] = []
    for name, raw in row.items():
        field = NAMES.get(_plain(str(name)), "")
        values = raw if isinstance(raw, list) else [raw]
        value = ", ".join("" if each is None else str(each) for each in values).strip()[:FIELD_CHARACTERS]
        if field == "manager":
            record.manager_key, record.has_manager = value, True
        elif field == "external_id":
            record.external_id = value
        elif field == "left":
            record.left = value.casefold() in _YES
            fields.append("left")
        elif field == "phone":
            if value:
                record.profile.contact["Phone"] = value
                fields.append("contact")
        elif field == "languages":
            record.profile.languages.extend(each.strip() for each in value.replace(";", ",").split(",") if each.strip())
            fields.append("languages")
        elif field:
            setattr(record.profile, field, value)
            fields.append(field)
    record.fields.extend(dict.fromkeys(fields))
    return record
