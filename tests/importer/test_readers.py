"""Whatever a source file holds, a reader yields records and says what is wrong and where; it never raises and never runs away."""

import base64
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.importer import readers, tree
from services.importer.mapping import Part
from services.importer.readers.model import RECORD_BYTES_MAX, Bad, Record

BYTES_MAX = 1 << 30


def read(path: Path, **part: Any) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The fields of the good records without those that start with _, and the bad places."""
    good: list[dict[str, Any]] = []
    bad: dict[str, str] = {}
    for each in readers.read(path, Part("people", **part), BYTES_MAX):
        match each:
            case Record():
                good.append({name: value for name, value in each.fields.items() if not name.startswith("_")})
            case Bad():
                bad[each.place] = each.reason
    return good, bad


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv_with_quotes_marks_and_line_breaks(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '\ufeffname,note\r\n"Ada, Countess","first\nsecond"\r\n\r\nBob,"say ""hi"""\r\n')
    assert read(path) == ([{"name": "Ada, Countess", "note": "first\nsecond"}, {"name": "Bob", "note": 'say "hi"'}], {})
    places = [each.place for each in readers.read(path, Part("people"), BYTES_MAX)]
    assert places == ["a.csv:2", "a.csv:5"]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [("name,town\nJürgen,Köln\n".encode("utf-16"), ""), ("name,town\nJürgen,Köln\n".encode("cp1252"), "cp1252")],
)
def test_csv_in_other_encodings(tmp_path: Path, content: bytes, encoding: str) -> None:
    assert read(written(tmp_path, "a.csv", content), encoding=encoding) == ([{"name": "Jürgen", "town": "Köln"}], {})


def test_bad_csv_rows_are_told_and_the_others_come(tmp_path: Path) -> None:
    rows = [b"name,town", b"Ada,London", b"Bob", b"J\xfcrgen,K", b"Eve,\x00", b'"Mal"x,y', b"Zoe,Rome"]
    good, bad = read(written(tmp_path, "a.csv", b"\n".join(rows)))
    assert [each["name"] for each in good] == ["Ada", "Zoe"]
    assert list(bad) == ["a.csv:3", "a.csv:4", "a.csv:5", "a.csv:6"]
    assert bad["a.csv:3"] == "the row has 1 cells, the row of names 2"
    assert "is not UTF-8: say encoding" in bad["a.csv:4"]
    assert "NUL" in bad["a.csv:5"]
    assert bad["a.csv:6"].startswith("not CSV: ")


def test_a_quote_that_never_ends_is_told(tmp_path: Path) -> None:
    good, bad = read(written(tmp_path, "a.csv", 'name\nAda\n"Bob\n' + "x\n" * 50))
    assert [each["name"] for each in good] == ["Ada"]
    assert list(bad) == ["a.csv:3"] and bad["a.csv:3"].startswith("not CSV: ")


def test_a_line_too_long_is_told_and_the_others_come(tmp_path: Path) -> None:
    big = "x" * (2 * RECORD_BYTES_MAX + 10)
    path = written(tmp_path, "a.csv", f"name,note\nAda,1\n{big},\nBob,2\nEve,3\n{big}")
    why = "a line has more than 1,048,576 characters"
    good, bad = read(path)
    assert [each["name"] for each in good] == ["Ada", "Bob", "Eve"] and bad == {"a.csv:3": why, "a.csv:6": why}
    path = written(tmp_path, "a.jsonl", f'{{"name":"Ada"}}\n{"[" * len(big)}\n{{"name":"Bob"}}\n')
    assert read(path) == ([{"name": "Ada"}, {"name": "Bob"}], {"a.jsonl:2": why})
    assert read(written(tmp_path, "b.csv", big)) == ([], {"b.csv:1": why})


def test_a_way_to_the_records_leads_through_lists(tmp_path: Path) -> None:
    path = written(tmp_path, "a.yaml", "sigs:\n- name: Api\n  who: {chairs: [{id: a}, {id: b}]}\n- name: None\n- who: {chairs: {id: c}}\n")
    assert [each["id"] for each in read(path, at="sigs.who.chairs")[0]] == ["a", "b", "c"]
    assert list(read(path, at="sigs.who.owners")[1].values()) == ["has no sigs.who.owners, where the mapping says its records are"]


def test_json_lines(tmp_path: Path) -> None:
    lines = ['{"name": "Ada", "n": 1.50, "ok": true, "none": null, "at": {"town": "Rome"}}', "[1]", "{", "[" * 100_000, '{"name": "Bob"}']
    good, bad = read(written(tmp_path, "a.jsonl", "\n".join(lines)))
    assert good == [{"name": "Ada", "n": "1.50", "ok": "true", "none": "", "at": {"town": "Rome"}}, {"name": "Bob"}]
    assert bad["a.jsonl:2"] == "the line is no JSON object"
    assert bad["a.jsonl:3"].startswith("not JSON: ")
    assert "nested too deep" in bad["a.jsonl:4"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused_with_their_line(tmp_path: Path, number: str) -> None:
    good, bad = read(written(tmp_path, "a.jsonl", f'{{"name": "Ada"}}\n{{"name": "Bob", "n": {number}}}\n{{"name": "{number}"}}\n'))
    assert (good, bad) == ([{"name": "Ada"}, {"name": number}], {"a.jsonl:2": f"not JSON: {number} is no number there"})


def test_of_two_equal_keys_none_wins(tmp_path: Path) -> None:
    lines = ['{"name": "Ada", "mail": "a@x", "name": "Eve"}', '{"at": {"town": "Rome", "town": "Oslo"}}', '{"a": {"n": 1}, "b": {"n": 1}}']
    good, bad = read(written(tmp_path, "a.jsonl", "\n".join(lines)))
    assert good == [{"a": {"n": "1"}, "b": {"n": "1"}}]
    assert bad == {
        "a.jsonl:1": "the line has the key 'name' twice: keep one of the two",
        "a.jsonl:2": "the line has the key 'town' twice: keep one of the two",
    }


@pytest.mark.parametrize(("name", "content"), [
    ("a.csv", ""), ("a.csv", "name,mail\n\n"), ("a.jsonl", ""), ("a.jsonl", "\n \n"), ("a.ldif", ""), ("a.yaml", ""), ("a.yaml", "[]"),
    ("folder/readme.txt", "hello"),
])
def test_a_source_without_records_says_so(tmp_path: Path, name: str, content: str) -> None:
    path = written(tmp_path, name, content)
    source = path if path.parent == tmp_path else path.parent
    assert read(source) == ([], {source.name: "holds no records"})


def test_an_empty_file_beside_a_full_one_is_nothing_to_speak_of(tmp_path: Path) -> None:
    written(tmp_path, "in/a.csv", "name\nAda\n")
    written(tmp_path, "in/b.csv", "")
    assert read(tmp_path / "in") == ([{"name": "Ada"}], {})


def test_a_file_larger_than_allowed_is_not_opened(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "name\n" + "x\n" * 1000)
    found = list(readers.read(path, Part("people"), 1000))
    assert found == [Bad("a.csv", "the file has 2,005 bytes, more than 1,000: split it, or raise the setting import_bytes_max")]


def test_yaml_keeps_what_was_written(tmp_path: Path) -> None:
    text = "name: Ada\nnumber: 007\nsince: 2014-12-08\nhidden: yes\nnone: ~\nskills: [a, b]\nat: {town: Rome}\n"
    assert read(written(tmp_path, "a.yml", text)) == (
        [
            {
                "name": "Ada", "number": "007", "since": "2014-12-08", "hidden": "yes", "none": "", "skills": ["a", "b"],
                "at": {"town": "Rome"},
            }
        ],
        {},
    )


def test_yaml_lists_and_keyed_records_name_their_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "list.yml", "---\n- name: Ada\n- name: Bob\n- 3\n")
    assert [each.place for each in readers.read(path, Part("people"), BYTES_MAX)] == ["list.yml:2", "list.yml:3", "list.yml"]
    path = written(tmp_path, "keyed.yml", "ada:\n  name: Ada\nbob:\n  name: Bob\nada:\n  name: Eve\ncarl:\n  name: C\n  name: D\n")
    good, bad = read(path, records="keyed")
    assert [each["name"] for each in good] == ["Ada", "Bob"]
    assert bad == {
        "keyed.yml:5": "the key 'ada' stands twice, first in line 1: the first was taken",
        "keyed.yml:9": "the field 'name' stands twice, first in line 8",
    }


BROKEN_YAML = {
    "unclosed": "name: [a, b\nnext: 1\n",
    "tab": "name:\n\t- a\n",
    "binary": "name: a\x01b\n",
    "nul": "name: a\x00b\n",
    "deep": "[" * 100_000,
    "deep-mapping": "\n".join(" " * n + "a:" for n in range(60)),
    "alias": "name: *nobody\n",
    "bomb": "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)),
    "itself": "name: &a [*a]\n",
    "key": "? [a]\n: b\n",
    "scalar": "just a text\n",
    "empty": "",
    "not-utf-8": b"name: J\xfcrgen\n",
    "python": "name: !!python/object/apply:os.system ['true']\n",
}


@pytest.mark.parametrize("name", BROKEN_YAML)
def test_broken_and_hostile_yaml_is_told_quickly(tmp_path: Path, name: str) -> None:
    content = BROKEN_YAML[name]
    path = written(tmp_path, "a.yml", content)
    started = time.perf_counter()
    good, bad = read(path)
    assert time.perf_counter() - started < 60  # unfolded, the bomb would take for ever
    if name in ("bomb", "itself", "python"):
        assert len(good) == 1 and bad == {}  # an alias is one value however often it is named; tags make nothing
    elif name == "empty":
        assert (good, bad) == ([], {}) or list(bad) == ["a.yml"]
    else:
        assert good == [] and len(bad) == 1


def test_a_bomb_is_unusable_as_text_but_harmless() -> None:
    from services.importer.values import text

    document = next(tree.yaml_documents(str(BROKEN_YAML["bomb"])))
    assert text(document["a0"]) == ", ".join("x" * 10)
    assert text(document["a29"]) == ""


def test_toml_and_front_matter(tmp_path: Path) -> None:
    good, _ = read(written(tmp_path, "a.toml", 'name = "Ada"\nid = 12\n[people]\nleads = ["x", {github = "y"}]\n'))
    assert good == [{"name": "Ada", "id": "12", "people": {"leads": ["x", {"github": "y"}]}}]
    assert "not TOML" in read(written(tmp_path, "b.toml", "name = \n"))[1]["b.toml"]
    assert "nested too deep" in read(written(tmp_path, "c.toml", "a = " + "[" * 5000 + "]" * 5000))[1]["c.toml"]
    page = written(tmp_path, "p.md", "---\ntitle: Mobile\n---\n\nText\n---\nmore\n")
    record = next(iter(readers.read(page, Part("communities"), BYTES_MAX)))
    assert isinstance(record, Record) and (record.fields["title"], record.fields["_body"]) == ("Mobile", "Text\n---\nmore")
    assert read(written(tmp_path, "q.md", "# Title\n"))[1] == {"q.md": "has no front matter: the first line is not ---"}
    assert read(written(tmp_path, "r.md", "---\ntitle: x\n"))[1] == {"r.md": "the front matter does not end: no line is --- again"}
    assert list(read(written(tmp_path, "s.md", "---\na: 1\nb: [\n---\n"))[1]) == ["s.md:4"]


def test_ldif_as_the_rfc_writes_it(tmp_path: Path) -> None:
    photo = bytes(range(256))
    lines = [
        "version: 1", "# a comment", " that goes on", "dn: cn=Ada,", " dc=example", "objectClass: top", "objectClass: person",
        "cn:: " + base64.b64encode(b"Ada Lovelace").decode(), "sn;lang-de: Graf", "jpegPhoto:: " + base64.b64encode(photo).decode(),
        "", "", "dn: cn=Bob", "CN: Bob  ",
    ]
    assert read(written(tmp_path, "a.ldif", "\r\n".join(lines))) == (
        [
            {"dn": "cn=Ada,dc=example", "objectclass": ["top", "person"], "cn": "Ada Lovelace", "sn": "Graf", "jpegphoto": photo},
            {"dn": "cn=Bob", "cn": "Bob"},
        ],
        {},
    )


def test_bad_ldif_entries_are_told_and_the_others_come(tmp_path: Path) -> None:
    entries = [
        b"dn: a\ncn:: !!!", b"dn: b\nchangetype: delete", b"cn: no dn", b"dn: c\nphoto:< file:///etc/passwd", b"dn: d\ncn: \xff",
        b"dn: e\nno attribute", b"dn: f\ncn: good",
    ]
    good, bad = read(written(tmp_path, "a.ldif", b"\n\n".join(entries)))
    assert [each["dn"] for each in good] == ["f"]
    assert list(bad) == ["a.ldif:1", "a.ldif:4", "a.ldif:7", "a.ldif:9", "a.ldif:12", "a.ldif:15"]
    assert "not fetched" in bad["a.ldif:9"]


def seeds() -> Iterator[tuple[str, bytes]]:
    yield "a.csv", b'name,town\n"Ada","Rome"\nBob,Ulm\n'
    yield "a.jsonl", json.dumps({"name": "Ada", "at": {"town": ["x"]}}).encode() + b"\n"
    yield "a.yml", b"- name: &n Ada\n  skills: [a, {b: c}]\n- <<: {x: 1}\n  name: *n\n"
    yield "a.toml", b'name = "Ada"\n[[a]]\nb = 1979-05-27\n'
    yield "a.ldif", b"dn: a\ncn:: QWRh\nphoto: x\n y\n\ndn: b\ncn: c\n"
    yield "a.md", b"---\ntitle: x\ntags: [a]\n---\nbody\n"


@pytest.mark.parametrize(("name", "seed"), list(seeds()))
def test_no_damage_makes_a_reader_raise(tmp_path: Path, name: str, seed: bytes) -> None:
    noise = random.Random(7)
    path = tmp_path / name
    for _ in range(400):
        content = bytearray(seed)
        for _ in range(noise.randint(1, 6)):
            place = noise.randrange(len(content))
            match noise.randrange(3):
                case 0:
                    content[place] = noise.randrange(256)
                case 1:
                    del content[place : place + noise.randint(1, 8)]
                case _:
                    content[place:place] = bytes(noise.choice(b"\x00\xff\"'[]{}:,-\n &*#|>%@`=") for _ in range(noise.randint(1, 5)))
            if not content:
                content = bytearray(b"x")
        path.write_bytes(bytes(content))
        for each in readers.read(path, Part("people"), BYTES_MAX):
            assert isinstance(each, Record | Bad)
            assert not isinstance(each, Bad) or each.reason


def test_files_are_found_below_the_source_in_order(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yml", "sub/c.yaml", "_index.yml", "notes.txt", "picture.png"):
        written(tmp_path, name, "name: x\n")
    assert [shown for _, shown in readers.files(tmp_path, Part("people", exclude=("_index.*",)))] == ["a.yml", "b.yml", "sub/c.yaml"]
    assert [shown for _, shown in readers.files(tmp_path, Part("people", files="*.txt", format="yaml"))] == ["notes.txt"]
    assert [shown for _, shown in readers.files(tmp_path / "a.yml", Part("people", files="*.csv"))] == ["a.yml"]


def test_a_file_name_that_is_no_text_is_shown_with_escapes(tmp_path: Path) -> None:
    written(tmp_path, os.fsdecode(b"J\xfcrgen.yml"), "name: x\n")
    assert [each.place for each in readers.read(tmp_path, Part("people"), BYTES_MAX)] == ["J\\udcfcrgen.yml"]
