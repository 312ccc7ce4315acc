"""Texts longer than a post may be, in parts that each make one."""
from __future__ import annotations

import re
import unicodedata
from typing import Final

from libs.text.markdown import BODY_LENGTH_MAX

# More marks than this on one letter are no writing that a cut could spoil.
_MARKS_MAX: Final = 64
_OPENING_MAX: Final = 60
# Left for the end of a block of code.
_ROOM: Final = 64
_FENCE = re.compile(r"^ {0,3}(`{3,60}|~{3,60})(.*)$", re.MULTILINE)
_BREAKS = (re.compile(r"\n[ \t]*\n"), re.compile(r"\n"), re.compile(r"\s"))


def parts(body: str, limit: int = BODY_LENGTH_MAX) -> list[str]:
    """A text in parts of at most `limit` characters (400 at least): itself where it is no longer, else cut after a paragraph, line or word.

    A block of code that is cut ends in one part and begins again in the next. The same text has the same parts.
    """
    if len(body) <= limit:
        return [body]
    found: list[str] = []
    rest = body.strip("\n").rstrip()
    while len(rest) > limit:
        head, tail = _cut(rest, limit - _ROOM)
        fence = _open_fence(head)
        if fence:
            opening, marks = fence
            head, tail = f"{head}\n{marks}", f"{opening}\n{tail}"
        if head.strip():
            found.append(head)
        rest = tail
    if rest.strip():
        found.append(rest)
    return found or [body]


def _cut(text: str, limit: int) -> tuple[str, str]:
    least = limit // 2
    for pattern in _BREAKS:
        breaks = [match for match in pattern.finditer(text, least, limit + 1) if match.start() <= limit]
        if breaks:
            last = breaks[-1]
            return text[: last.start()].rstrip(), text[last.end() :]
    cut = limit
    while cut > limit - _MARKS_MAX and _joined(text[cut - 1], text[cut]):
        cut -= 1
    return text[:cut], text[cut:]


def _joined(before: str, after: str) -> bool:
    """Whether two characters belong together: a letter and its mark, or the pieces of one emoji."""
    return unicodedata.category(after).startswith("M") or "\u200d" in (before, after) or "\U0001f3fb" <= after <= "\U0001f3ff"


def _open_fence(text: str) -> tuple[str, str] | None:
    """The opening line and the marks of the block of code that a text leaves open."""
    opened: tuple[str, str] | None = None
    for match in _FENCE.finditer(text):
        marks, after = match[1], match[2]
        if opened is None:
            if not (marks[0] == "`" and "`" in after):
                opened = (match[0] if len(match[0]) <= _OPENING_MAX else marks, marks)
        elif marks[0] == opened[1][0] and len(marks) >= len(opened[1]) and not after.strip():
            opened = None
    return opened
