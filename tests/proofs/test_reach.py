"""The proof of reach: whatever one changes in it is found, and said where."""
from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.proofs import reach
from libs.proofs.canonical import canonical
from libs.proofs.merkle import MerkleRoot
from libs.runtime.cli import build

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw().hex()
PEOPLE = [f"person-{number:05d}" for number in range(1, 1_204)]
TIME = "2026-03-12T12:00:00.000001Z"


def proof(key: Ed25519PrivateKey = KEY) -> list[bytes]:
    """A small true one, line by line."""
    tree = MerkleRoot()
    tree.extend(PEOPLE)
    writer = reach.ProofWriter()
    lines = [writer.header(
        announcement={"id": "a1", "author": "rosa", "audience": {"kind": "everyone"}, "urgency": "confirm", "published": TIME},
        versions=[
            {"version": number, "time": TIME, "correction": number > 1, "sha256": sha256(b"%d" % number).hexdigest()} for number in (1, 2)
        ],
        audience_count=len(PEOPLE), audience_root=tree.root, log_audience_root=tree.root, ids="real", exported=TIME, key_id="k1",
        public_key=key.public_key().public_bytes_raw().hex(),
    )]
    lines += (writer.audience(PEOPLE[start:start + reach.IDS_A_LINE]) for start in range(0, len(PEOPLE), reach.IDS_A_LINE))
    for position, (person, fact, version) in enumerate(
        [(1, "shown", 1), (2, "shown", 1), (1, "opened", 1), (1, "opened", 2), (7, "confirmed", 2), (2, "shown", 2)], 10
    ):
        lines.append(writer.fact(position, TIME, PEOPLE[person], fact, version))
    return [*lines, writer.footer(key.sign)]


LINES = proof()
# A busy machine may take its time.
patiently = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def problems(lines: list[bytes], trusted: str = "") -> list[str]:
    return reach.verify(reach.lines_of([b"".join(lines)]), trusted).problems


def test_a_true_one_holds() -> None:
    verdict = reach.verify(reach.lines_of(LINES), PUBLIC)
    assert verdict.problems == []
    assert (verdict.audience_count, verdict.fact_count, verdict.line_count) == (1_203, 6, 10)
    assert verdict.people == {"shown": 2, "opened": 1, "confirmed": 1}


@patiently
@given(st.integers(0, len(LINES) - 1))
def test_a_removed_line_is_found(number: int) -> None:
    assert problems(LINES[:number] + LINES[number + 1:])


@patiently
@given(st.integers(0, len(LINES) - 1), st.integers(0, len(LINES) - 1))
def test_a_moved_line_is_found(source: int, target: int) -> None:
    moved = LINES[:source] + LINES[source + 1:]
    moved.insert(target, LINES[source])
    assert bool(problems(moved)) == (moved != LINES)


@patiently
@given(st.integers(0, len(LINES)), st.one_of(st.sampled_from(LINES), st.binary(max_size=200).map(lambda text: text + b"\n")))
def test_an_added_line_is_found(number: int, line: bytes) -> None:
    assert problems([*LINES[:number], line, *LINES[number:]])


@patiently
@given(st.data())
def test_a_changed_byte_is_found(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(LINES) - 1))
    place = data.draw(st.integers(0, len(LINES[number]) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != LINES[number][place]))
    changed = LINES[number][:place] + bytes([other]) + LINES[number][place + 1:]
    assert problems([*LINES[:number], changed, *LINES[number + 1:]])


@patiently
@given(st.data())
def test_a_changed_value_is_found_though_it_is_well_written(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(LINES) - 1))
    content = json.loads(LINES[number])
    name = data.draw(st.sampled_from(sorted(content)))
    value = data.draw(
        st.one_of(st.integers(0, 99), st.text(max_size=9), st.none(), st.lists(st.text(max_size=3), max_size=3), st.just({}))
        .filter(lambda value: value != content[name])
    )
    changed = canonical({**content, name: value}) + b"\n"
    assert problems([*LINES[:number], changed, *LINES[number + 1:]])


def test_a_signature_spelled_in_another_way_is_found() -> None:
    footer = json.loads(LINES[-1])
    for spelled in (footer["signature"].upper(), footer["signature"] + " "):
        assert "signature" in problems([*LINES[:-1], canonical({**footer, "signature": spelled}) + b"\n"])[0]


@patiently
@given(st.integers(0, len(LINES) - 1))
def test_a_file_that_was_cut_off_is_found(number: int) -> None:
    assert problems(LINES[:number])


def test_it_says_in_words_what_is_wrong_and_where() -> None:
    assert problems([]) == ["the file is empty"]
    assert "line 10: the footer with the signature is missing" in problems(LINES[:-1])[0]
    assert "line 5: it does not follow the line before" in problems(LINES[:4] + LINES[5:])[0]
    assert "line 11: it stands after the footer" in problems([*LINES, LINES[5]])[-1]
    stranger = json.loads(LINES[4]) | {"person": "nobody"}
    assert "line 5: 'nobody' is not in the audience" in problems([*LINES[:4], canonical(stranger) + b"\n", *LINES[5:]])[0]
    assert "not with the one you trust" in problems(LINES, "00" * 32)[0]


def test_one_made_anew_with_another_key_is_found_by_who_knows_the_key() -> None:
    forged = proof(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    assert problems(forged) == []
    assert "not with the one you trust" in problems(forged, PUBLIC)[0]
    assert "the signature is not one of the key" in problems([*LINES[:-1], forged[-1]])[-1]


@patiently
@given(st.binary(max_size=3_000))
def test_whatever_the_file_is_it_gets_an_answer(data: bytes) -> None:
    assert problems([data])


def test_canonical_json_is_one_form() -> None:
    assert canonical({"b": [1, True, None], "a": "é\n\u2028"}) == '{"a":"é\\n\u2028","b":[1,true,null]}'.encode()
    for value in (1.5, 1 << 53, {"é": 1}, "\ud800", b""):
        with pytest.raises(ValueError):
            canonical(value)


def test_the_merkle_root_is_that_of_the_rfc() -> None:
    def root(leaves: list[bytes]) -> bytes:
        if not leaves:
            return sha256(b"").digest()
        if len(leaves) == 1:
            return sha256(b"\x00" + leaves[0]).digest()
        half = 1 << (len(leaves) - 1).bit_length() - 1
        return sha256(b"\x01" + root(leaves[:half]) + root(leaves[half:])).digest()

    for count in range(20):
        leaves = [str(number) for number in range(count)]
        tree = MerkleRoot()
        tree.extend(leaves)
        assert tree.root == root([leaf.encode() for leaf in leaves]).hex()


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from libs.proofs import cli

    monkeypatch.setenv("WATERCOOLER_DATA", str(tmp_path / "var"))
    watercooler = build([])
    cli.register(watercooler)
    good, bad, key = tmp_path / "good.jsonl", tmp_path / "bad.jsonl", tmp_path / "key"
    good.write_bytes(b"".join(LINES))
    bad.write_bytes(b"".join(LINES[:5] + LINES[6:]))
    key.write_text(PUBLIC + "\n")

    def run(*arguments: object) -> tuple[int, str]:
        done = CliRunner().invoke(watercooler, [str(argument) for argument in arguments])
        return done.exit_code, done.output

    status, text = run("verify-reach", good)
    assert status == 0 and "is a valid proof" in text and "compare it" in text and "confirmed 1 (0.1%)" in text
    status, text = run("verify-reach", good, "--key", key)
    assert status == 0 and "the one you trust" in text
    status, text = run("verify-reach", bad)
    assert status == 1 and "NOT a valid proof" in text and "line 6:" in text
    status, text = run("verify-reach", good, "--key", "00" * 32, "--json")
    assert status == 1 and json.loads(text)["holds"] is False
    assert run("verify-reach", good, "--key", "nonsense")[0] == 1
    assert run("verify-reach", tmp_path / "missing")[0] == 1
