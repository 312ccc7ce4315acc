"""Schemas as text: their statements, and what each of them makes."""
from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

TOKENS = re.compile(
    r"""
    (?P<other>
        (?<!\w)[eE]'(?:[^'\\]|\\.|'')*'     # a string with escapes
      | '(?:[^']|'')*'                      # a string
      | "(?:[^"]|"")*"                      # a quoted name
      | --[^\n]*
      | /\*.*?\*/
      | (?P<dollar>\$\w*\$).*?(?P=dollar)   # a string between dollars
      | ::                                  # a cast
    )
    | :(?P<name>[A-Za-z_]\w*)
    | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)

_CREATES = re.compile(
    r"""
    (?:\s|--[^\n]*\n)*
    CREATE\s+(?:UNIQUE\s+)?(?P<what>TABLE|INDEX)\s+IF\s+NOT\s+EXISTS\s+(?P<name>\w+)(?:\s+ON\s+(?P<table>\w+))?
    """,
    re.VERBOSE,
)


class Created(NamedTuple):
    """What a statement makes: a table, or an index on one."""

    name: str
    table: str

    @property
    def is_table(self) -> bool:
        """Whether it is no index."""
        return self.name == self.table


def statements(script: str) -> list[str]:
    """The statements of a script, without their semicolons."""
    found: list[str] = []
    start = 0
    for token in TOKENS.finditer(script):
        if token["end"] is not None:
            found.append(script[start:token.start()].strip())
            start = token.end()
    found.append(script[start:].strip())
    return [statement for statement in found if statement]


def created(statement: str) -> Created | None:
    """The table or index that a `CREATE ... IF NOT EXISTS` makes, in lower case; None for other statements."""
    match = _CREATES.match(statement)
    if match is None:
        return None
    return Created(match["name"].lower(), (match["table"] or match["name"]).lower())


def only(script: str, tables: Collection[str]) -> str:
    """The part of a schema that makes these tables and their indexes."""
    kept = []
    for statement in statements(script):
        made = created(statement)
        if made is not None and made.table in tables:
            kept.append(statement + ";\n")
    return "".join(kept)
