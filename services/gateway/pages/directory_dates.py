"""Days as directories write them: any form of which only one day can be meant."""
from __future__ import annotations

import re
from datetime import date
from typing import Final

_MONTHS: Final = (
    ("january", "januar", "jänner"), ("february", "februar"), ("march", "märz", "maerz", "mrz"), ("april",), ("may", "mai"),
    ("june", "juni"), ("july", "juli"), ("august",), ("september", "sept"), ("october", "oktober"), ("november",),
    ("december", "dezember"),
)
_NUMBERS: Final = {
    name: number for number, names in enumerate(_MONTHS, 1) for full in names for name in (full, full[:3])
}
_ISO = re.compile(r"(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?Z| ?[+-]\d{2}:?\d{2})?)?")
_DOTTED = re.compile(r"(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})")
_EITHER = re.compile(r"(\d{1,2})([/-])(\d{1,2})\2(\d{4})")
_DAY_FIRST = re.compile(r"(\d{1,2})(?:st|nd|rd|th|\.)?[ -]+([^\W\d]{3,12})\.?,?[ -]+(\d{4})")
_MONTH_FIRST = re.compile(r"([^\W\d]{3,12})\.? +(\d{1,2})(?:st|nd|rd|th)?,? +(\d{4})")


def day(value: str) -> str:
    """A day as 2024-03-31; empty for an empty text. A time of day behind it is left out.

    Raises:
        ValueError: two days can be meant, or none; the text says which forms are right.
    """
    shown = value.strip()
    if not shown:
        return ""
    if match := _EITHER.fullmatch(shown):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        readings = {made for made in (_made(year, second, first), _made(year, first, second)) if made}
        if len(readings) > 1:
            one, other = sorted(each.isoformat() for each in readings)
            raise ValueError(f"{shown!r} may be {one} or {other}: write one of the two")
        found = next(iter(readings), None)
    elif match := _ISO.fullmatch(shown):
        whole = match[2] or (len(match[3]) == len(match[4]) == 2)
        found = _made(int(match[1]), int(match[3]), int(match[4])) if whole else None
    elif match := _DOTTED.fullmatch(shown):
        found = _made(int(match[3]), int(match[2]), int(match[1]))
    elif match := _DAY_FIRST.fullmatch(shown):
        found = _made(int(match[3]), _NUMBERS.get(match[2].casefold(), 0), int(match[1]))
    elif match := _MONTH_FIRST.fullmatch(shown):
        found = _made(int(match[3]), _NUMBERS.get(match[1].casefold(), 0), int(match[2]))
    else:
        found = None
    if found is None:
        raise ValueError(f"{shown[:60]!r} is no day: write it as in 2024-03-31, 31.03.2024 or 31 March 2024")
    return found.isoformat()


def _made(year: int, month: int, number: int) -> date | None:
    try:
        return date(year, month, number)
    except ValueError:
        return None
