"""What counts as an emoji: exactly what Unicode recommends for general interchange (UTS #51), one at a time."""

from __future__ import annotations

from functools import cache
from typing import Final

import emoji as _emoji

# The longest recommended sequence has 10 code points; longer texts are refused unread.
LENGTH_MAX: Final = 16
_VARIATION_SELECTOR: Final = "\ufe0f"


def is_emoji(text: str) -> bool:
    """Whether `text` is one emoji: with skin tone, joined, a flag or a keycap, but not a skin tone alone, nor two emoji."""
    return canonical(text) is not None


def canonical(text: str) -> str | None:
    """The one way this emoji is written, so that the heart typed on two keyboards is one reaction; None for what is no emoji."""
    if not text or len(text) > LENGTH_MAX:
        return None
    return _fully_qualified().get(text.replace(_VARIATION_SELECTOR, ""))


def name_of(text: str) -> str:
    """The English name of an emoji for who cannot see it ("red heart"); the text itself where it has none."""
    known = _emoji.EMOJI_DATA.get(canonical(text) or "")
    return str(known["en"]).strip(":").replace("_", " ") if known else text


@cache
def _fully_qualified() -> dict[str, str]:
    """Every recommended emoji by its form without variation selectors."""
    qualified = _emoji.STATUS["fully_qualified"]
    return {each.replace(_VARIATION_SELECTOR, ""): each for each, known in _emoji.EMOJI_DATA.items() if known["status"] == qualified}


def by_name(name: str) -> str | None:
    """The emoji that chat programs write as `:name:`, with or without colons; None where none is called so."""
    return _named().get(name.strip(":").lower())


@cache
def _named() -> dict[str, str]:
    """Every recommended emoji by its names; a name of its own goes before an alias."""
    named: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for each in _fully_qualified().values():
        known = _emoji.EMOJI_DATA[each]
        named[str(known["en"]).strip(":").lower()] = each
        for alias in known.get("alias", ()):
            aliases.setdefault(str(alias).strip(":").lower(), each)
    return aliases | named
