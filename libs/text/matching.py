"""Whether a text contains a word or phrase, in any script, however it is cased or composed."""
from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

# Scripts that set no spaces between words: a word of theirs may begin and end anywhere but within a letter and its marks.
_UNSPACED: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x312F),  # Han radicals, kana, bopomofo
    (0x31A0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),
    (0x1B000, 0x1B16F),
    (0x20000, 0x3FFFF),
)


@lru_cache(maxsize=4_096)
def normal(text: str) -> str:
    """The form in which texts are compared: compatibility forms composed, case folded."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def contains(text: str, word: str, *, whole: bool) -> bool:
    """Whether a normal text contains a normal word; `whole`: not as a part of a longer one.

    Both are given as `normal` answers them. Signs at a word's edge need nothing beside them, so `c++` and `#news` are found.
    """
    if not word:
        return False
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if not whole or (not _joined(text, at) and not _joined(text, end)):
            return True
        at = text.find(word, at + 1)
    return False


def _joined(text: str, at: int) -> bool:
    """Whether what stands before and after this place belongs to one word."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if unicodedata.category(after)[0] == "M" or "\u200d" in (before, after):
        return True  # never between a letter and its marks
    return _in_word(before) and _in_word(after) and not (_is_unspaced(before) or _is_unspaced(after))


def _in_word(character: str) -> bool:
    return character == "_" or character == "\u200c" or character.isalnum() or unicodedata.category(character)[0] == "M"


def _is_unspaced(character: str) -> bool:
    code = ord(character)
    return code >= 0x0E00 and any(first <= code <= last for first, last in _UNSPACED)
