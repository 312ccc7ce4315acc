"""The catalogues against the templates: nothing said that is not translated, nothing inline that the policy forbids."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from services.gateway.rendering import HERE, LOCALES, Renderer, initials, negotiate
from tests.browser import samples

KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None, "say": None, "told": (2,), "_gettext": None, "_ngettext": (1, 2)}
RENDERER = Renderer()
PAGES = [pytest.param(make, id=name) for name, make in samples.pages()]


def _said() -> set[str]:
    found: set[str] = set()
    for folder, method in ((HERE, [("**.py", "python")]), (HERE / "templates", [("**.html", "jinja2")])):
        for _, _, message, _, _ in extract_from_dir(str(folder), method, {"**.html": {"trimmed": "true", "silent": "false"}}, KEYWORDS):
            found.add(message if isinstance(message, str) else message[0])
    return found


@pytest.mark.parametrize("locale", [locale for locale in LOCALES if locale != "en"])
def test_every_text_is_translated(locale: str) -> None:
    with (HERE / "locale" / locale / "LC_MESSAGES" / "messages.po").open("rb") as source:
        catalogue = read_po(source, locale=locale)
    translated = {
        message.id if isinstance(message.id, str) else message.id[0]
        for message in catalogue
        if message.id and all([message.string] if isinstance(message.string, str) else message.string)
    }
    said = _said()
    assert len(said) > 400
    assert said - translated == set()
    for message in catalogue:
        assert not list(message.check(catalogue)), message.id


@pytest.mark.parametrize("make", PAGES)
def test_pages_carry_nothing_inline(make: object) -> None:
    assert callable(make)
    html = RENDERER.render(make())
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", html)
    assert html.count("<h1") == 1
    assert len(re.findall(r'\sid="([^"]+)"', html)) == len(set(re.findall(r'\sid="([^"]+)"', html))), "an id stands twice"
    for form in re.findall(r'<form[^>]*method="post".*?</form>', html, re.DOTALL):
        assert 'name="csrf_token"' in form, form[:120]


def test_what_people_write_is_escaped() -> None:
    evil = samples.v.PersonRef(id=samples._id(1), name="<script>alert(1)</script>", title='"><img src=x>')
    html = RENDERER.render(
        samples.v.PeoplePage(shell=samples.shell("/people?q=%22"), query='"><script>', people=[samples.v.PersonRow(person=evil)], total=1)
    )
    assert "<script>alert" not in html
    assert "<img src=x>" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_languages_are_negotiated() -> None:
    assert negotiate("de-AT,de;q=0.9,en;q=0.5") == "de"
    assert negotiate("fr;q=0.9, en;q=0.3, de;q=0.6") == "de"
    assert negotiate("ja") == "en"
    assert negotiate("") == "en"
    assert negotiate(";q=,;;q=x") == "en"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Rosa Almeida", "RA"),
        ("森 健二", "森"),
        ("عمر الخطيب", "عا"),
        ("Tess", "T"),
        ("Anne-Marie de la Tour", "AT"),
        ("", "?"),
        ("  ", "?"),
        ("42", "4"),
        ("- -", "-"),
    ],
)
def test_initials_stand_for_names_in_any_script(name: str, expected: str) -> None:
    assert initials(name) == expected


def test_reading_the_pages_needs_no_built_assets(tmp_path: Path) -> None:
    html = Renderer(tmp_path).render(samples.v.SignInPage(shell=samples.plain("/sign-in")))
    assert '<form class="stack" method="post" action="/sign-in">' in html


def test_each_reader_is_spoken_to_in_their_own_language() -> None:
    made = dict(samples.pages())
    english, german, again = (RENDERER.render(made[name]()) for name in ("home", "home-german", "home"))
    assert english == again
    assert "Thumbs up" in english
    assert "Thumbs up" not in german
    assert "Daumen hoch" in german
    assert '<html lang="de" dir="ltr"' in german
    assert 'dir="rtl"' in RENDERER.render(made["home-rtl"]())
