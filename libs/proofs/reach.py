"""The proof of how far an announcement reached: JSON Lines, each with the hash of the line before, signed at the end.

    header    the announcement, its versions with the SHA-256 of their texts, the count and the Merkle root of the audience, the key
    audience  up to 1,000 ids of people of the frozen audience, in ascending order, as many lines as it takes
    fact      shown, opened or confirmed: who, which version, when, and its position in the log, in the order of the log
    footer    how many facts, and how many people have each; the Ed25519 signature

Each line is canonical JSON (canonical.py) that ends with a line feed. `before` is the SHA-256 of the line before without its line feed,
64 zeros in the header. The signature is over CONTEXT and the canonical footer without its signature; through `before` it holds for
every line. A line that is changed, missing, moved or added is found by anybody who has the file, without this network.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from .canonical import canonical
from .merkle import MerkleRoot
from .signing import check_key, is_signed

FORMAT = "watercooler-reach-proof"
VERSION = 1
CONTEXT = b"watercooler-reach-proof-1\n"
IDS_A_LINE = 1_000
LINE_BYTES = 1 << 20
FACTS = ("shown", "opened", "confirmed")
PROBLEMS = 20
_NOTHING = "0" * 64

_FIELDS = {
    "header": {
        "type", "line", "before", "format", "format_version", "announcement", "versions", "audience_count", "audience_root",
        "log_audience_root", "ids", "exported", "key",
    },
    "audience": {"type", "line", "before", "ids"},
    "fact": {"type", "line", "before", "position", "time", "person", "fact", "version"},
    "footer": {"type", "line", "before", "facts", "people", "signature"},
}
_ORDER = {"header": 0, "audience": 1, "fact": 2, "footer": 3}


class ProofWriter:
    """Writes the lines of a proof one after the other; what they say is the caller's to know."""

    def __init__(self) -> None:
        """Before the header."""
        self._line = 0
        self._before = _NOTHING
        self._facts = 0
        self._people: dict[str, set[str]] = {fact: set() for fact in FACTS}

    def header(
        self, *, announcement: Mapping[str, Any], versions: Sequence[Mapping[str, Any]], audience_count: int, audience_root: str,
        log_audience_root: str, ids: str, exported: str, key_id: str, public_key: str,
    ) -> bytes:
        """The first line."""
        return self._write({
            "type": "header", "format": FORMAT, "format_version": VERSION, "announcement": dict(announcement),
            "versions": [dict(version) for version in versions], "audience_count": audience_count, "audience_root": audience_root,
            "log_audience_root": log_audience_root, "ids": ids, "exported": exported, "key": {"id": key_id, "public": public_key},
        })

    def audience(self, ids: Sequence[str]) -> bytes:
        """The next up to 1,000 people, in ascending order."""
        return self._write({"type": "audience", "ids": list(ids)})

    def fact(self, position: int, time: str, person: str, fact: str, version: int) -> bytes:
        """The next fact in the order of the log."""
        self._facts += 1
        self._people[fact].add(person)
        return self._write({"type": "fact", "position": position, "time": time, "person": person, "fact": fact, "version": version})

    def footer(self, sign: Callable[[bytes], bytes]) -> bytes:
        """The last line; `sign` makes the Ed25519 signature over bytes."""
        people = {fact: len(found) for fact, found in self._people.items()}
        line = {"type": "footer", "line": self._line + 1, "before": self._before, "facts": self._facts, "people": people}
        return self._write({**line, "signature": sign(CONTEXT + canonical(line)).hex()})

    def _write(self, content: dict[str, Any]) -> bytes:
        self._line += 1
        line = canonical({**content, "line": self._line, "before": self._before})
        self._before = sha256(line).hexdigest()
        return line + b"\n"


@dataclass(slots=True)
class Verdict:
    """What a file was found to be: `problems` says in words what is wrong and where; a file without any is what it says it is."""

    problems: list[str] = field(default_factory=list)
    announcement_id: str = ""
    ids: str = ""
    audience_count: int = 0
    fact_count: int = 0
    people: dict[str, int] = field(default_factory=dict)
    exported: str = ""
    key_id: str = ""
    public_key: str = ""
    line_count: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def _say(self, problem: str) -> None:
        if len(self.problems) < PROBLEMS:
            self.problems.append(problem)


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a file with their line feeds; one of more than 1 MiB is cut there, which no line of a proof is."""
    held = b""
    for chunk in chunks:
        held += chunk
        while (end := held.find(b"\n")) >= 0 or len(held) > LINE_BYTES:
            cut = end + 1 if 0 <= end < LINE_BYTES else LINE_BYTES
            yield held[:cut]
            held = held[cut:]
    if held:
        yield held


def verify(lines: Iterable[bytes], trusted_key: str = "") -> Verdict:
    """Check a proof; `trusted_key` is the public key (hexadecimal) that it must be signed with, where one is known."""
    return _Reading(trusted_key.strip().lower()).read(lines)


class _Reading:
    def __init__(self, trusted_key: str) -> None:
        self._trusted = trusted_key
        self._verdict = Verdict()
        self._before = _NOTHING
        self._stage = -1
        self._header: dict[str, Any] = {}
        self._versions: set[int] = set()
        self._audience: set[str] = set()
        self._last_id = ""
        self._root = MerkleRoot()
        self._position = 0
        self._newest: dict[tuple[str, str], int] = {}
        self._people: dict[str, set[str]] = {fact: set() for fact in FACTS}
        self._counted = False
        self._ended = False

    def read(self, lines: Iterable[bytes]) -> Verdict:
        verdict = self._verdict
        number = 0
        for number, raw in enumerate(lines, 1):
            if len(verdict.problems) >= PROBLEMS:
                verdict.problems[-1] = f"line {number}: and more; what follows was not looked at"
                return verdict
            self._line(number, raw)
        verdict.line_count = number
        verdict.people = {fact: len(found) for fact, found in self._people.items()}
        if not number:
            verdict._say("the file is empty")
        elif not self._ended:
            verdict._say(f"line {number + 1}: the footer with the signature is missing: the file was cut off")
        return verdict

    def _line(self, number: int, raw: bytes) -> None:
        say = self._verdict._say
        body = raw.removesuffix(b"\n")
        if body == raw:
            say(f"line {number}: the line does not end with a line feed: the file was cut off or something was added")
        content = _parsed(body)
        before, self._before = self._before, sha256(body).hexdigest()
        if content is None:
            say(f"line {number}: this is no line of a proof (not canonical JSON): it was changed or added")
            return
        kind = content.get("type")
        if not isinstance(kind, str) or kind not in _FIELDS:
            say(f"line {number}: its type is none of header, audience, fact and footer: it was changed or added")
            return
        if set(content) != _FIELDS[kind]:
            differs = ", ".join(sorted(set(content) ^ _FIELDS[kind]))
            say(f"line {number}: the {kind} has fields too many or too few ({differs}): it was changed")
            return
        if content["before"] != before:
            say(f"line {number}: it does not follow the line before: a line was changed, removed, moved or added here or just before")
        if content["line"] != number:
            say(f"line {number}: it says that it is line {content['line']}: a line was removed, moved or added before it")
        if self._ended:
            say(f"line {number}: it stands after the footer: it was added")
            return
        stage = _ORDER[kind]
        if stage < self._stage or (stage == self._stage and kind in ("header", "footer")) or (self._stage < 0 and kind != "header"):
            say(f"line {number}: a {kind} does not belong here: lines were moved, removed or added")
            return
        self._stage = stage
        try:
            if self._counted is False and kind in ("fact", "footer"):
                self._counted = True
                self._close_audience(number)
            match kind:
                case "header":
                    self._take_header(number, content)
                case "audience":
                    self._take_audience(number, content)
                case "fact":
                    self._take_fact(number, content)
                case _:
                    self._take_footer(number, content)
        except (TypeError, ValueError, KeyError, AttributeError):
            say(f"line {number}: the {kind} holds values that no proof has: it was changed")

    def _take_header(self, number: int, content: dict[str, Any]) -> None:
        verdict = self._verdict
        if content["format"] != FORMAT or content["format_version"] != VERSION:
            verdict._say(f"line {number}: this is no {FORMAT} of version {VERSION}: use the newer program for newer files")
        self._header = content
        self._versions = {_whole(version["version"]) for version in content["versions"]}
        if self._versions != set(range(1, len(content["versions"]) + 1)):
            verdict._say(f"line {number}: the versions are not numbered from 1 on: the header was changed")
        for version in content["versions"]:
            moment(version["time"])
            if len(bytes.fromhex(version["sha256"])) != 32:
                raise ValueError
        moment(content["exported"])
        verdict.announcement_id = str(content["announcement"]["id"])
        verdict.ids, verdict.exported = content["ids"], content["exported"]
        verdict.audience_count = _whole(content["audience_count"])
        verdict.key_id, verdict.public_key = str(content["key"]["id"]), str(content["key"]["public"])
        check_key(verdict.public_key)
        if content["ids"] not in ("real", "pseudonymous"):
            raise ValueError
        if content["ids"] == "real" and content["audience_root"] != content["log_audience_root"]:
            verdict._say(f"line {number}: the audience is not the one that was frozen at publication")
        if self._trusted and verdict.public_key != self._trusted:
            verdict._say(
                f"line {number}: it is signed with the key {verdict.public_key}, not with the one you trust ({self._trusted}): "
                "it is from another deployment, or was made by somebody else"
            )

    def _take_audience(self, number: int, content: dict[str, Any]) -> None:
        if not 1 <= len(content["ids"]) <= IDS_A_LINE:
            raise ValueError
        for person in content["ids"]:
            if not isinstance(person, str) or person <= self._last_id:
                self._verdict._say(f"line {number}: {str(person)[:60]!r} is not in ascending order, or stands twice")
                return
            self._last_id = person
            self._audience.add(person)
        self._root.extend(content["ids"])

    def _close_audience(self, number: int) -> None:
        """Once the first line comes that is no audience."""
        if not self._header:
            return
        stated, found = self._header["audience_count"], len(self._audience)
        if stated != found:
            self._verdict._say(f"line {number}: the lines before it name {found:,} people, the header says {stated:,}")
        if self._root.root != self._header["audience_root"]:
            self._verdict._say(f"line {number}: the people named before it are not the audience whose Merkle root stands in the header")

    def _take_fact(self, number: int, content: dict[str, Any]) -> None:
        say = self._verdict._say
        person, fact, version = content["person"], content["fact"], _whole(content["version"])
        if fact not in FACTS:
            raise ValueError
        moment(content["time"])
        self._verdict.fact_count += 1
        self._people[fact].add(person)
        if person not in self._audience:
            say(f"line {number}: {str(person)[:60]!r} is not in the audience")
        if version not in self._versions:
            say(f"line {number}: there is no version {version}")
        if _whole(content["position"]) <= self._position:
            say(f"line {number}: it is not in the order of the log: lines were moved, or it stands twice")
        self._position = max(self._position, content["position"])
        if version <= self._newest.get((person, fact), 0):
            say(f"line {number}: that {str(person)[:60]!r} has {fact} version {version} was said before, or follows from a newer one")
        self._newest[(person, fact)] = version

    def _take_footer(self, number: int, content: dict[str, Any]) -> None:
        say = self._verdict._say
        self._ended = True
        people = {fact: len(found) for fact, found in self._people.items()}
        if content["facts"] != self._verdict.fact_count:
            say(f"line {number}: the file has {self._verdict.fact_count:,} facts, the footer says {content['facts']}")
        if content["people"] != people:
            say(f"line {number}: the footer's counts of people are not those of the facts ({json.dumps(people)})")
        key = self._header["key"]["public"] if self._header else ""
        unsigned = {name: value for name, value in content.items() if name != "signature"}
        signature = bytes.fromhex(content["signature"])
        # Nothing but the signature vouches for its own spelling.
        if signature.hex() != content["signature"] or not is_signed(CONTEXT + canonical(unsigned), signature, key):
            say(f"line {number}: the signature is not one of the key in the header over this file: something was changed after signing")


def _whole(value: Any) -> int:
    """A number of a line; raises ValueError for what is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError
    return value


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(body)
        if isinstance(content, dict) and canonical(content) == body:
            return content
    except (ValueError, RecursionError):
        pass
    return None


def moment(text: str) -> datetime:
    """A time as it stands in a proof; raises ValueError for others."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")

