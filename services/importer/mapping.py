"""The mapping file: which field of a source is which field here. docs/import.md explains it to those who write one."""
from __future__ import annotations

import codecs
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .tree import Broken, Mapped, yaml_documents
from .values import Value, is_template, template_flaw

FILE_BYTES_MAX = 256 << 10
PARTS_MAX = 50
_SOURCE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,49}")
_FORMATS = ("csv", "jsonl", "yaml", "toml", "ldif", "markdown")
ROLES = ("employee", "guest", "communications", "leader", "administrator")

TARGETS: dict[str, dict[str, str]] = {
    "people": {
        "email": "text", "employee_number": "text", "handle": "text", "name": "text", "preferred_name": "text", "pronouns": "text",
        "title": "text", "department": "text", "location": "text", "time_zone": "text", "languages": "list", "start_date": "date",
        "about": "text", "contact": "map", "custom_fields": "map", "manager": "text", "roles": "list", "photo": "photo", "left": "flag",
    },
    "groups": {"name": "text", "kind": "text", "description": "text", "parent": "text", "members": "members"},
    "communities": {
        "name": "text", "description": "text", "rules": "text", "kind": "text", "tags": "list", "owners": "list", "moderators": "list",
        "members": "list", "create_time": "time",
    },
    "posts": {"author": "text", "body": "text", "language": "text", "community": "text", "parent": "text", "time": "time"},
}
TARGETS["slack"] = {name: kind for name, kind in TARGETS["people"].items() if kind == "text" and name != "manager"}
KINDS = tuple(TARGETS)
REQUIRED: dict[str, tuple[str, ...]] = {
    "people": ("name",), "groups": ("name",), "communities": ("name",), "posts": ("author", "body", "time"), "slack": (),
}
_PART_KEYS = (
    "kind", "name", "files", "exclude", "format", "encoding", "delimiter", "records", "at", "key", "alias", "skip", "only", "fields",
    "bots",
)
_HEAD_KEYS = ("source", "time_zone", "lookups", "parts")
_VALUE_KEYS = (
    "field", "constant", "template", "any", "join", "with", "of", "split", "take", "map", "lookup", "plain", "slug", "date", "default",
    "role",
)
_SOURCES = ("field", "constant", "template", "any", "join")


def is_source_name(name: str) -> bool:
    """Whether a source may be called so."""
    return bool(_SOURCE.fullmatch(name))


class MappingError(Exception):
    """A mapping cannot be used; each of `problems` names the file, the line and what would be right."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Condition:
    """A field and the values that count; any value where there are none."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of record in an import, where its files are and what its fields mean."""

    kind: str
    name: str = ""
    files: str = ""
    exclude: tuple[str, ...] = ()
    format: str = ""
    encoding: str = ""
    delimiter: str = ""
    records: str = ""
    at: str = ""
    key: Value | None = None
    alias: Value | None = None
    skip: tuple[Condition, ...] = ()
    only: tuple[Condition, ...] = ()
    fields: Mapping[str, Value] = field(default_factory=dict)
    maps: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    members: tuple[tuple[Value, str], ...] = ()
    bots: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A table beside the records: key to value."""

    part: Part
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class ImportMapping:
    """A whole mapping file."""

    source: str
    zone: ZoneInfo
    parts: tuple[Part, ...]
    lookups: Mapping[str, Lookup] = field(default_factory=dict)


def load(path: Path, kind: str) -> ImportMapping:
    """Read and check a mapping file; `kind` counts where the file holds a single part without one.

    Raises:
        MappingError: with every problem found.
    """
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise MappingError([f"{path.name}: larger than {FILE_BYTES_MAX >> 10} KiB, so hardly a mapping"])
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise MappingError([f"{path.name}: is not UTF-8"]) from None
    except OSError as error:
        raise MappingError([f"{path}: cannot be read: {error.strerror or error}"]) from None
    return parse(content, path.name, kind)


def parse(content: str, name: str, kind: str) -> ImportMapping:
    """Check the text of a mapping file; raises as `load` does."""
    try:
        documents = list(yaml_documents(content))
    except Broken as error:
        raise MappingError([f"{name}:{error.line}: {error.reason}"]) from None
    if len(documents) != 1 or not isinstance(documents[0], Mapped):
        raise MappingError([f"{name}:1: a mapping file is one YAML mapping with source and parts"])
    reader = _Reader(name)
    made = reader.mapping(documents[0], kind)
    if reader.problems:
        raise MappingError(reader.problems)
    return made


class _Reader:
    """Reads a mapping and notes every problem instead of stopping at the first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[str] = []
        self.lookups: dict[str, Lookup] = {}

    def note(self, line: int, text: str) -> None:
        self.problems.append(f"{self.name}:{line}: {text}")

    def mapping(self, root: Mapped, kind: str) -> ImportMapping:
        single = "parts" not in root
        self.known(root, (*_HEAD_KEYS, *_PART_KEYS) if single else _HEAD_KEYS, "the mapping")
        source = self.text(root, "source")
        if not is_source_name(source):
            what = f"{source[:60]!r} is no short name" if source else "source is missing"
            self.note(root.lines.get("source", 1), f"{what}: give a-z, 0-9, -, _ and ., as in source: hr-export")
        zone = ZoneInfo("UTC")
        try:
            zone = ZoneInfo(self.text(root, "time_zone") or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.note(root.lines["time_zone"], "there is no such time zone: give an IANA name such as Europe/Lisbon")
        lookups = root.get("lookups", Mapped())
        if isinstance(lookups, Mapped):
            for name, each in lookups.items():
                self.lookups[name] = self.lookup(name, each, lookups.lines.get(name, 1))
        else:
            self.note(root.lines["lookups"], "lookups is a mapping of tables by name")
        parts: list[Part] = []
        listed = [root] if single else root["parts"]
        if not isinstance(listed, list) or not listed or len(listed) > PARTS_MAX:
            self.note(root.lines.get("parts", 1), f"parts is a list of 1 to {PARTS_MAX} parts, each with a kind")
            listed = []
        for each in listed:
            if isinstance(each, Mapped):
                parts.append(self.part(each, kind if single else ""))
            else:
                self.note(root.lines.get("parts", 1), "a part is a mapping with kind and fields")
        return ImportMapping(source, zone, tuple(parts), self.lookups)

    def lookup(self, name: str, node: Any, line: int) -> Lookup:
        if not isinstance(node, Mapped):
            self.note(line, f"the lookup {name!r} needs files, key and value")
            return Lookup(Part("lookup"), "", "")
        self.known(node, ("files", "format", "encoding", "delimiter", "records", "at", "key", "value"), f"the lookup {name!r}")
        for needed in ("files", "key", "value"):
            if not self.text(node, needed):
                self.note(node.line, f"the lookup {name!r} needs {needed}")
        return Lookup(self.place(node, "lookup"), self.text(node, "key"), self.text(node, "value"))

    def place(self, node: Mapped, kind: str, **more: Any) -> Part:
        """The keys that say where records are."""
        files = self.text(node, "files")
        if files and (Path(files).is_absolute() or ".." in Path(files).parts):
            self.note(node.lines["files"], "files is a pattern below the source, as in team/*.yml: no leading / and no ..")
            files = ""
        form = self.text(node, "format")
        if form and form not in _FORMATS:
            self.note(node.lines["format"], f"there is no format {form[:40]!r}: choose from {', '.join(_FORMATS)}")
        encoding = self.text(node, "encoding")
        if encoding:
            try:
                if not codecs.lookup(encoding)._is_text_encoding:
                    raise LookupError
            except LookupError:
                self.note(node.lines["encoding"], f"there is no encoding {encoding[:40]!r}: use utf-8, cp1252, latin-1 or utf-16")
        delimiter = self.text(node, "delimiter").replace("\\t", "\t")
        if len(delimiter) > 1:
            self.note(node.lines["delimiter"], "delimiter is one character")
        records = self.text(node, "records")
        if records not in ("", "keyed"):
            self.note(node.lines["records"], "records is left out (one a file, or a list), or keyed (a mapping of records by key)")
        exclude = node.get("exclude", "")
        return Part(
            kind=kind, files=files, format=form, encoding=encoding, delimiter=delimiter[:1], records=records, at=self.text(node, "at"),
            exclude=tuple(str(each) for each in (exclude if isinstance(exclude, list) else [exclude]) if each), **more,
        )

    def part(self, node: Mapped, kind: str) -> Part:
        kind = self.text(node, "kind") or kind
        if "fields" in node or "kind" in node:
            self.known(node, (*_HEAD_KEYS, *_PART_KEYS) if "source" in node else _PART_KEYS, "a part")
        if kind not in KINDS:
            self.note(node.lines.get("kind", node.line), f"{'there is no kind ' + repr(kind[:40]) if kind else 'kind is missing'}: "
                      f"choose from {', '.join(KINDS)}")
            return Part("people")
        targets = TARGETS[kind]
        fields: dict[str, Value] = {}
        maps: dict[str, dict[str, Value]] = {}
        members: tuple[tuple[Value, str], ...] = ()
        given = node.get("fields", Mapped(node.line))
        if not isinstance(given, Mapped):
            self.note(node.lines["fields"], "fields is a mapping from a field here to where it comes from")
            given = Mapped(node.line)
        self.known(given, tuple(targets), f"{kind}: fields")
        for name, spec in given.items():
            line = given.lines.get(name, node.line)
            match targets.get(name):
                case None:
                    continue
                case "map":
                    if isinstance(spec, Mapped):
                        maps[name] = {label: self.value(each, spec.lines.get(label, line)) for label, each in spec.items()}
                    else:
                        self.note(line, f"{name} is a mapping from a label to where it comes from")
                case "members":
                    members = tuple(self.member(each, line) for each in (spec if isinstance(spec, list) else [spec]))
                case _:
                    fields[name] = self.value(spec, line)
        for needed in REQUIRED[kind]:
            if needed not in fields:
                self.note(given.line or node.line, f"{kind} need {needed}: say in fields where it comes from")
        key = self.value(node["key"], node.lines["key"]) if "key" in node else None
        if key is None and kind in ("groups", "communities", "posts"):
            self.note(node.line, f"{kind} need a key that stays the same, so that a second run finds them: say key")
        if key is None and kind == "people" and not {"email", "employee_number"} & fields.keys():
            self.note(node.line, "people need a key, an email or an employee_number, so that a second run finds them")
        bots = node.get("bots", Mapped())
        return self.place(
            node, kind, name=self.text(node, "name") or kind, key=key, fields=fields, maps=maps, members=members,
            alias=self.value(node["alias"], node.lines["alias"]) if "alias" in node else None,
            skip=self.conditions(node, "skip"), only=self.conditions(node, "only"), bots=bots if isinstance(bots, Mapped) else {},
        )

    def member(self, spec: Any, line: int) -> tuple[Value, str]:
        role = spec.get("role", "") if isinstance(spec, Mapped) else ""
        return self.value(spec, line), role if isinstance(role, str) else ""

    def conditions(self, node: Mapped, name: str) -> tuple[Condition, ...]:
        given = node.get(name, Mapped())
        if not isinstance(given, Mapped):
            self.note(node.lines[name], f'{name} is a mapping from a field to a value or a list of values ("*" for any)')
            return ()
        conditions = []
        for key, values in given.items():
            listed = [str(each) for each in (values if isinstance(values, list) else [values])]
            conditions.append(Condition(key, () if "*" in listed else tuple(listed)))
        return tuple(conditions)

    def value(self, spec: Any, line: int) -> Value:
        if isinstance(spec, str):
            if not spec:
                self.note(line, "is empty: name a field, or write a template with {fields} in braces")
            if flaw := template_flaw(spec):
                self.note(line, flaw)
                return Value(constant="")
            return Value(template=spec) if is_template(spec) else Value(path=spec)
        if isinstance(spec, list):
            return Value(alternatives=tuple(self.value(each, line) for each in spec))
        if not isinstance(spec, Mapped):
            self.note(line, "is no value: give a field's name, a template, or a mapping")
            return Value(constant="")
        self.known(spec, _VALUE_KEYS, "a value")
        named = [key for key in _SOURCES if key in spec]
        if len(named) != 1:
            self.note(spec.line or line, f"a value has exactly one of {', '.join(_SOURCES)}")
            return Value(constant="")
        several: dict[str, tuple[Value, ...]] = {}
        for key in ("any", "join"):
            listed = spec.get(key)
            several[key] = tuple(self.value(each, spec.lines[key]) for each in listed) if isinstance(listed, list) else ()
            if key in spec and not several[key]:
                self.note(spec.lines[key], f"{key} is a list of values")
        template = self.text(spec, "template")
        if flaw := template_flaw(template):
            self.note(spec.lines["template"], flaw)
        lookup = self.text(spec, "lookup")
        if lookup and lookup not in self.lookups:
            self.note(spec.lines["lookup"], f"there is no lookup {lookup[:40]!r}{_nearest(lookup, self.lookups)}")
        take = self.text(spec, "take")
        if take not in ("", "first", "last"):
            self.note(spec.lines["take"], "take is first or last")
        mapped = spec.get("map", {})
        if not isinstance(mapped, dict) or not all(isinstance(each, str) for each in mapped.values()):
            self.note(spec.lines["map"], "map is a mapping from a value to a value")
            mapped = {}
        dates = spec.get("date", [])
        return Value(
            path=self.text(spec, "field"), constant=self.text(spec, "constant") if "constant" in spec else None, template=template,
            alternatives=several["any"], pieces=several["join"], glue=self.text(spec, "with") if "with" in spec else " ",
            of=self.text(spec, "of"), split=self.text(spec, "split"), take=take, table=mapped, lookup=lookup,
            plain=self.text(spec, "plain") == "true", slug=self.text(spec, "slug") == "true", default=self.text(spec, "default"),
            dates=tuple(str(each) for each in (dates if isinstance(dates, list) else [dates]) if each),
        )

    def text(self, node: Mapped, key: str) -> str:
        value = node.get(key, "")
        if isinstance(value, str):
            return value
        self.note(node.lines.get(key, node.line), f"{key} is a single text")
        return ""

    def known(self, node: Mapped, keys: tuple[str, ...], what: str) -> None:
        for key in node:
            if key not in keys:
                hint = _nearest(key, keys) or f": choose from {', '.join(keys)}"
                self.note(node.lines.get(key, node.line), f"{what} has no {key[:60]!r}{hint}")
        for key, line in node.repeated:
            self.note(line, f"{key[:60]!r} stands twice, first in line {node.lines[key]}")


def _nearest(name: str, options: Iterable[str]) -> str:
    near = difflib.get_close_matches(name[:100], list(options), n=1, cutoff=0.6)
    return f": did you mean {near[0]}?" if near else ""
