"""The command that checks a proof of reach, without a network and without trust in whoever handed the file over."""
from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from . import reach
from .signing import check_key

CHUNK_BYTES = 1 << 16


def register(watercooler: click.Group) -> None:
    """Add `verify-reach`."""

    @watercooler.command("verify-reach")
    @click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
    @click.option("--key", "key", default="", help="The public key you trust: 64 hexadecimal digits, or a file that holds them.")
    @click.pass_obj
    def verify_reach(app: Any, file: Path, key: str) -> None:
        """Check the proof of an announcement's reach in FILE: its chain, signature, counts and audience. Exit status 1 where it fails."""
        trusted = _key(key)
        try:
            with file.open("rb") as source:
                verdict = reach.verify(reach.lines_of(_chunks(source)), trusted)
        except OSError as error:
            raise click.ClickException(f"{file} cannot be read: {error.strerror or error}") from error
        facts = {
            "holds": verdict.holds, "problems": verdict.problems, "announcement_id": verdict.announcement_id, "ids": verdict.ids,
            "audience_count": verdict.audience_count, "facts": verdict.fact_count, "people": verdict.people, "exported": verdict.exported,
            "key_id": verdict.key_id, "public_key": verdict.public_key, "key_trusted": bool(trusted) and verdict.holds,
        }
        app.say(_words(file, verdict, bool(trusted)), **facts)
        if not verdict.holds:
            sys.exit(1)


def _chunks(source: Any) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_BYTES):
        yield chunk


def _key(given: str) -> str:
    """The hexadecimal digits of a key; raises ClickException for what is none."""
    text = given.strip()
    if text and len(text) != 64:
        try:
            text = Path(text).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise click.ClickException("--key takes a public key of 64 hexadecimal digits, or a file that holds them") from error
    if text:
        try:
            check_key(text)
        except ValueError as error:
            raise click.ClickException("--key takes a public key of 64 hexadecimal digits, or a file that holds them") from error
    return text.lower()


def _words(file: Path, verdict: reach.Verdict, trusted: bool) -> str:
    if not verdict.holds:
        return "\n".join([f"{file} is NOT a valid proof:", *(f"  {problem}" for problem in verdict.problems)])
    share = {fact: f"{count:,} ({count / verdict.audience_count:.1%})" if verdict.audience_count else "0"
             for fact, count in verdict.people.items()}
    told = [
        f"{file} is a valid proof of {verdict.line_count:,} lines, made {verdict.exported}.",
        f"  announcement {verdict.announcement_id}, audience {verdict.audience_count:,} people ({verdict.ids} ids)",
        f"  shown {share['shown']}, opened {share['opened']}, confirmed {share['confirmed']}",
        f"  signed with the key {verdict.public_key} ({verdict.key_id})"
        + (", which is the one you trust" if trusted else
           "; whose key that is the file cannot tell: compare it with /.well-known/watercooler-reach-keys.json, or give it by --key"),
    ]
    return "\n".join(told)
