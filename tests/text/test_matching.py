"""Words are found in texts of any script, and only as words where that is asked for."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.text.matching import contains, normal

# Letters of scripts that set spaces between words.
SPACED = st.text(st.sampled_from("abcxyzäéßøčДжжλΩאבגابتकखगকখ가나다"), min_size=1, max_size=8)
ANY = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


def found(text: str, word: str, *, whole: bool = True) -> bool:
    return contains(normal(text), normal(word), whole=whole)


@pytest.mark.parametrize(("text", "word", "expected"), [
    ("the reorg begins", "reorg", True),
    ("The REORG!", "reorg", True),
    ("reorganisation", "reorg", False),
    ("re-org", "org", True),
    ("snake_case", "snake", False),
    ("naïve", "nai", False),  # however the dots are composed
    ("nai\u0308ve", "na\u00efve", True),
    ("Größe", "grösse", True),
    ("i like c++", "c++", True),
    ("#news of today", "#news", True),
    ("明天会议取消", "会议", True),
    ("使用API接口", "api", True),
    ("การประชุมพรุ่งนี้", "ประชุม", True),
    ("किताब", "कि", False),
    ("कि यह", "कि", True),
    ("क", "कि", False),
    ("ﬁsh", "fish", True),
    ("", "x", False),
    ("x", "", False),
])
def test_whole_words(text: str, word: str, *, expected: bool) -> None:
    assert found(text, word) is expected


@given(SPACED, ANY, ANY)
def test_a_word_between_spaces_is_found(word: str, before: str, after: str) -> None:
    assert found(f"{before} {word} {after}", word)
    assert found(f"{before} {word}. {after}", word)


@given(SPACED, SPACED, SPACED)
def test_a_part_of_a_word_is_none(word: str, before: str, after: str) -> None:
    text = before + word + after
    assert found(text, word, whole=False)
    assert not contains(normal(text), normal(word), whole=True)


@given(ANY, ANY)
def test_a_whole_word_is_a_part_too(text: str, word: str) -> None:
    if found(text, word):
        assert found(text, word, whole=False)
