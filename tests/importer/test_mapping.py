"""A mapping file says which field is which, and a wrong one is told with line and key."""

from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.importer import mapping, records
from services.importer.mapping import MappingError
from services.importer.readers.model import Record
from services.importer.values import Unusable, moment
from tests.importer.importing import MAPPINGS

PEOPLE = "source: hr\nparts:\n  - kind: people\n    key: id\n    fields:\n      name: Name\n"


def problems(text: str, kind: str = "people") -> list[str]:
    with pytest.raises(MappingError) as caught:
        mapping.parse(text, "m.yaml", kind)
    return caught.value.problems


def person(fields: str, given: dict[str, Any], **lookups: dict[str, str]) -> Any:
    tables = "".join(f"  {name}: {{files: x.yml, key: k, value: v}}\n" for name in lookups)
    head = f"source: hr\ntime_zone: Europe/Berlin\n{'lookups:' if lookups else ''}\n{tables}key: id\nfields:\n  name: {{constant: Ada}}\n"
    found = mapping.parse(head + fields, "m.yaml", "people")
    context = records.Context(found.parts[0], lookups, found.zone)
    return records.person(context, Record("here", given), {})[0]


@pytest.mark.parametrize("path", sorted(MAPPINGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_mappings_beside_the_tests_are_right(path: Path) -> None:
    found = mapping.load(path, "all")
    assert found.parts and found.source


NAMES = "give a-z, 0-9, -, _ and ., as in source: hr-export"
WRONG = [
    (PEOPLE.replace("name: Name", "name: Name\n      emial: Mail"), "7: people: fields has no 'emial': did you mean email?"),
    (PEOPLE.replace("source: hr\n", ""), f"1: source is missing: {NAMES}"),
    (PEOPLE.replace("source: hr", "source: H R"), f"1: 'H R' is no short name: {NAMES}"),
    (PEOPLE.replace("kind: people", "kind: x"), "3: there is no kind 'x': choose from people, groups, communities, posts, slack"),
    (PEOPLE.replace("name: Name", "title: Name"), "6: people need name: say in fields where it comes from"),
    (PEOPLE.replace("    key: id\n", ""), "3: people need a key, an email or an employee_number, so that a second run finds them"),
    (PEOPLE.replace("key: id", "files: ../x.csv"), "4: files is a pattern below the source, as in team/*.yml: no leading / and no .."),
    (PEOPLE.replace("key: id", "format: xls"), "4: there is no format 'xls': choose from csv, jsonl, yaml, toml, ldif, markdown"),
    (PEOPLE.replace("key: id", "encoding: rot13"), "4: there is no encoding 'rot13': use utf-8, cp1252, latin-1 or utf-16"),
    (PEOPLE + "      location: {field: a, lookup: towns}\n", "7: there is no lookup 'towns'"),
    (PEOPLE + "      location: {field: a, constant: b}\n", "7: a value has exactly one of field, constant, template, any, join"),
    (PEOPLE + "      location: {field: a, spilt: b}\n", "7: a value has no 'spilt': did you mean split?"),
    (PEOPLE + '      email: "{name|sluggish}@x"\n', "7: there is no 'sluggish': after | stands lower or slug"),
    (PEOPLE + "      name: Again\n", "7: 'name' stands twice, first in line 6"),
    (PEOPLE + "time_zone: Mars\n", "7: there is no such time zone: give an IANA name such as Europe/Lisbon"),
    ("- a\n", "1: a mapping file is one YAML mapping with source and parts"),
    ("source: [\n", "2: not YAML: did not find expected node content"),
]


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_what_is_wrong_is_told_with_its_line(text: str, expected: str) -> None:
    assert f"m.yaml:{expected}" in problems(text)


def test_all_problems_are_told_at_once() -> None:
    assert len(problems(PEOPLE.replace("source: hr", "sorce: hr") + "      titel: x\n      depart: y\n")) == 4


@pytest.mark.parametrize(
    ("spec", "given", "expected"),
    [
        ("title: Job", {"Job": " Smith "}, "Smith"),
        ("title: job.title", {"job": {"title": "Smith"}}, "Smith"),
        ("title: job.title", {"job.title": "Smith"}, "Smith"),
        ("title: [a, b]", {"a": "", "b": "Smith"}, "Smith"),
        ("title: '{a} of {b}'", {"a": "Head", "b": "Sales"}, "Head of Sales"),
        ("title: '{a} of {b}'", {"a": "", "b": ""}, ""),
        ("title: {constant: Smith}", {}, "Smith"),
        ("title: {field: a, default: Smith}", {"a": ""}, "Smith"),
        ("title: {field: a, take: last}", {"a": ["x", "y"]}, "y"),
        ("title: a", {"a": ["x", "y"]}, "x, y"),
        ("title: {field: a, map: {SW: Software}}", {"a": "SW"}, "Software"),
        ("title: {field: a, lookup: t}", {"a": "SW"}, "Soft"),
        ("title: {field: a, lookup: t, map: {Soft: Ware}}", {"a": "SW"}, "Ware"),
        ("title: {join: ['A {a}', 'B {b}'], with: ' - '}", {"a": "1", "b": ""}, "A 1"),
        ("title: {join: ['A {a}', 'B {b}'], with: ' - '}", {"a": "1", "b": "2"}, "A 1 - B 2"),
        ("title: {field: a, plain: true}", {"a": "[CEO](../ceo.md), **co-founder**"}, "CEO, co-founder"),
        ("title: {field: a, split: ;}", {"a": "x; y;;z"}, "x, y, z"),
        ("title: {field: a, of: name}", {"a": [{"name": "x"}, "y", {"no": "z"}]}, "x, y"),
    ],
)
def test_values(spec: str, given: dict[str, Any], expected: str) -> None:
    made = person(f"  {spec}\n", given, t={"SW": "Soft"})
    assert made.profile.title == expected


def test_an_address_is_made_where_the_source_has_none() -> None:
    spec = "  email: [mail, '{name|slug}@example.com']\n"
    assert person(spec, {"name": "Ada de Lovelacé"}).profile.email == "ada.de.lovelace@example.com"
    assert person(spec, {"name": "Ada", "mail": "a@b.org"}).profile.email == "a@b.org"


def test_a_field_the_record_does_not_have_stays_as_it_is_and_an_empty_one_is_emptied() -> None:
    spec = "  title: Job\n  location: Town\n  contact: {Phone: tel, Room: room}\n  languages: lang\n"
    made = person(spec, {"Job": "", "tel": "12", "room": ""})
    assert list(made.fields) == ["name", "title", "contact"]
    assert dict(made.profile.contact) == {"Phone": "12"}


def test_dates_roles_and_leaving() -> None:
    spec = "  start_date: {field: d, date: ['%d.%m.%Y', iso]}\n  roles: {field: r, split: ',', map: {}}\n  left: gone\n"
    made = person(spec, {"d": "31.03.2024", "r": "employee,Leader", "gone": "yes"})
    assert (made.profile.start_date, list(made.roles), made.left) == ("2024-03-31", [1, 4], True)
    with pytest.raises(Unusable, match=r"'31/03' is no time of the form %d\.%m\.%Y or iso"):
        person(spec, {"d": "31/03"})
    with pytest.raises(Unusable, match="'boss' is no role"):
        person(spec, {"r": "boss"})


def test_moments_have_the_zone_of_the_mapping_unless_they_name_one() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert moment("2024-07-01T12:00", (), berlin).isoformat() == "2024-07-01T10:00:00+00:00"
    assert moment("2024-07-01T12:00Z", (), berlin).isoformat() == "2024-07-01T12:00:00+00:00"
    assert moment("1452837352.5", ("epoch",), berlin).timestamp() == 1452837352.5
    for wrong in ("", "soon", "9" * 400, "nan", "inf", "-1e300"):
        with pytest.raises(Unusable):
            moment(wrong, ("epoch", "iso"), UTC)


@pytest.mark.parametrize("value", [{"a": "b"}, b"\xff", "\ud800", "a\0b", "x" * 200_001])
def test_what_is_no_text_is_unusable(value: Any) -> None:
    with pytest.raises(Unusable):
        person("  title: a\n", {"a": value})
