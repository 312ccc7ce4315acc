"""Emoji: what people send as a reaction is one, what is text is none."""

from __future__ import annotations

import emoji as unicode_list
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.text import emoji

ONE = ["👍", "👍🏽", "❤️", "❤", "☺", "🇩🇪", "1️⃣", "#️⃣", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "👁️‍🗨️", "👁‍🗨", "🧑🏻‍❤️‍🧑🏿", "🫠", "©️", "⌚", "🀄"]
NONE = [
    "",
    "a",
    "1",
    "#",
    "👍👍",
    "👍 ",
    " 👍",
    "🏽",
    "🇩",
    "🇽🇽",
    "\ufe0f",
    "\u200d",
    "👍\u200d",
    "é",
    "漢",
    ":)",
    ":thumbsup:",
    "👍\n",
    "👍" * 1000,
]


@pytest.mark.parametrize("text", ONE)
def test_one_emoji(text: str) -> None:
    assert emoji.is_emoji(text)
    assert emoji.canonical(emoji.canonical(text) or "") == emoji.canonical(text)


@pytest.mark.parametrize("text", NONE)
def test_no_emoji(text: str) -> None:
    assert not emoji.is_emoji(text)


def test_every_recommended_emoji_is_one_and_keeps_its_form() -> None:
    qualified = [each for each, known in unicode_list.EMOJI_DATA.items() if known["status"] == unicode_list.STATUS["fully_qualified"]]
    assert len(qualified) > 3500
    assert [each for each in qualified if emoji.canonical(each) != each] == []
    assert max(map(len, qualified)) <= emoji.LENGTH_MAX


def test_forms_of_one_emoji_count_as_one() -> None:
    assert emoji.canonical("❤") == emoji.canonical("❤️") == "❤️"
    assert emoji.canonical("👍") != emoji.canonical("👍🏽")


def test_names_are_for_who_cannot_see_them() -> None:
    assert emoji.name_of("❤") == "red heart"
    assert emoji.name_of("👍🏽") == "thumbs up medium skin tone"
    assert emoji.name_of("no emoji") == "no emoji"


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    found = emoji.canonical(text)
    assert found is None or unicode_list.is_emoji(found)
