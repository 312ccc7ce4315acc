"""Handles that follow from names, for addresses and mentions."""
from __future__ import annotations

import re
import unicodedata
from typing import Final

HANDLE_CHARACTERS: Final = 50


def slug(name: str, otherwise: str = "community") -> str:
    """The handle of a name: case-folded letters and digits of any script, joined by hyphens; at most 50 characters.

    `otherwise` is the handle of a name that has neither.
    """
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", name).casefold())
    return "-".join(words)[:HANDLE_CHARACTERS].strip("-") or otherwise
