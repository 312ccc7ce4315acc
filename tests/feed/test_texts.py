"""What mails and pushes say: each kind in each language, and every text translated."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.feed.calm import KINDS
from services.feed.mail import texts
from services.feed.mail.digest import Content, letter, write
from services.feed.ranking import Signals, rank
from tests.feed.test_calm import NOON
from watercooler.feed.v1 import feed_service_pb2 as api

FOLDER = Path(texts.__file__).parent


@pytest.mark.parametrize("language", texts.LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_said(language: str, kind: int) -> None:
    ann = api.Author(display_name="Ann")
    told = texts.title(language, api.Notification(kind=kind, actors=[ann], actor_count=3, community_name="Pumps"))  # type: ignore[arg-type]
    assert told != "{who}"
    assert "{" not in told


def test_every_text_is_translated() -> None:
    said = set()
    for path in (*FOLDER.glob("*.py"), *FOLDER.glob("templates/*"), FOLDER.parent / "pushes.py"):
        said |= set(re.findall(r'\bsay\((?:\s*language,)?\s*"((?:[^"\\]|\\.)+)"', path.read_text("utf-8")))
    assert len(said) > 10
    assert said - set(texts._TEXTS["de"]) == set()


def test_each_reason_is_translated() -> None:
    best = Signals(
        post_id="p", author_id="a", age_hours=1.0, following=True, followed_by=True, author_points=9, reacted_by_followed=1, reply_count=20,
    )
    for reason in rank(best).reasons:
        assert texts.reason("de", reason) != reason
    assert texts.reason("de", "7 people you follow reacted").startswith("7 Personen")


def test_a_language_is_chosen() -> None:
    assert texts.language_of("", "fr", "de-AT", "en") == "de"
    assert texts.language_of("ja") == "en"


def test_names_and_words_are_escaped_and_headers_hold_one_line() -> None:
    evil = "<script>x</script>"
    post = api.Post(post_id="1", body=f"{evil} hello", author=api.Author(display_name=evil))
    content = Content(evil, NOON, False, [post], [], [], 3, [(post, ("New",))])
    written = write(content, "en", "https://net.example", "https://net.example/digests/stop?token=x")
    assert "<script" not in written.html
    assert "&lt;script&gt;" in written.html
    assert f"Hello {evil}" in written.text
    made = letter(
        written, sender="w@net.example", to="ann@example.com", message_id="m", now=NOON, stop_url="https://net.example/digests/stop?token=x"
    )
    assert made["List-Unsubscribe"] == "<https://net.example/digests/stop?token=x>"
    with pytest.raises(ValueError, match="linefeed|newline|header"):
        letter(written, sender="w@net.example", to="ann@example.com\r\nBcc: x@y", message_id="m", now=NOON, stop_url="x")


def test_a_warning_stands_for_what_it_covers() -> None:
    from services.feed.mail.digest import words_of

    assert words_of(api.Post(body="secret", warning="the plot")) == "the plot"
    assert words_of(api.Post(body="", deleted=True)) == ""
    assert words_of(api.Post(reposted=api.Post(body="theirs"))) == "theirs"
