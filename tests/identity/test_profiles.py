"""What a profile may hold, and how people are compared."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.eventstore.model import InvalidArgument
from services.identity import profiles
from watercooler.identity.v1.events_pb2 import Profile

GOOD: list[dict[str, Any]] = [
    {"name": "x" * 200},
    {"name": "李小龍"},
    {"email": "ada.lovelace+cool@mail.example.co.uk"},
    {"email": "ada@localhost"},
    {"email": "zoë@exämple.com"},
    {"email": f"{'a' * 64}@{'b' * 63}.example"},
    {"handle": "ada.lovelace-2"},
    {"about": "x" * 5_000},
    {"about": "two\n\nparagraphs\twith a tab"},
    {"languages": ["en", "pt-BR", "zh-Hant-TW", "sl-rozaj-biske", "de-1996", "x-klingon"[2:], "en-a-bbb-x-a-ccc"]},
    {"time_zone": "Europe/Lisbon"},
    {"time_zone": "UTC"},
    {"start_date": "2024-02-29"},
    {"contact": {f"label {n}": "x" * 500 for n in range(30)}},
    {"custom_fields": {"x" * 60: ""}},
    {},
]
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("name", {"name": "x" * 201}, "at most 200"),
    ("name", {"name": "  "}, "empty"),
    ("name", {"name": "Ann\x00"}, "control characters"),
    ("name", {"name": "Ann\nBell"}, "control characters"),
    ("preferred_name", {"preferred_name": "x" * 201}, "at most 200"),
    ("pronouns", {"pronouns": "x" * 61}, "at most 60"),
    ("email", {"email": "nobody"}, "exactly one @"),
    ("email", {"email": "a@b@c"}, "exactly one @"),
    ("email", {"email": "@example.com"}, "before the @"),
    ("email", {"email": "a" * 65 + "@example.com"}, "64"),
    ("email", {"email": "a@" + ".".join(["b" * 60] * 5)}, "254"),
    ("email", {"email": "a b@example.com"}, "blanks"),
    ("email", {"email": "a\x00@example.com"}, "control"),
    ("email", {"email": "a\u202e@example.com"}, "control"),
    ("email", {"email": "a..b@example.com"}, "dots"),
    ("email", {"email": ".a@example.com"}, "dots"),
    ("email", {"email": "a@"}, "host name"),
    ("email", {"email": "a@-example.com"}, "host name"),
    ("email", {"email": "a@example..com"}, "host name"),
    ("handle", {"handle": "Ann"}, "handle"),
    ("handle", {"handle": "ann."}, "handle"),
    ("handle", {"handle": "a" * 65}, "handle"),
    ("about", {"about": "x" * 5_001}, "5,000"),
    ("about", {"about": "bell\x07"}, "control"),
    ("title", {"title": "x" * 201}, "at most 200"),
    ("department", {"department": "x" * 201}, "at most 200"),
    ("location", {"location": "x" * 201}, "at most 200"),
    ("employee_number", {"employee_number": "1" * 61}, "at most 60"),
    ("time_zone", {"time_zone": "Mars/Olympus"}, "Mars/Olympus"),
    ("time_zone", {"time_zone": "../../etc/passwd"}, "time zone"),
    ("languages", {"languages": ["en"] + [f"a{chr(97 + n)}" for n in range(20)]}, "at most 20"),
    ("languages", {"languages": ["english please"]}, "language tag"),
    ("languages", {"languages": ["e"]}, "language tag"),
    ("languages", {"languages": ["en", "EN"]}, "twice"),
    ("start_date", {"start_date": "2023-02-29"}, "no date"),
    ("start_date", {"start_date": "20240301"}, "no date"),
    ("start_date", {"start_date": "1 March"}, "no date"),
    ("contact", {"contact": {str(n): "" for n in range(31)}}, "30"),
    ("contact", {"contact": {"x" * 61: ""}}, "at most 60"),
    ("contact", {"contact": {"": "x"}}, "empty"),
    ("custom_fields", {"custom_fields": {"x": "y" * 501}}, "at most 500"),
]


@pytest.mark.parametrize("values", GOOD, ids=lambda values: next(iter(values), "nothing"))
def test_it_takes(values: dict[str, Any]) -> None:
    profiles.check(Profile(**values), list(values))


@pytest.mark.parametrize(("field", "values", "reason"), BAD, ids=[f"{field}: {reason}" for field, _, reason in BAD])
def test_it_refuses_naming_the_field(field: str, values: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        profiles.check(Profile(**values), [field])
    assert caught.value.field == f"profile.{field}"
    assert reason in caught.value.reason


def test_it_refuses_fields_that_do_not_exist() -> None:
    with pytest.raises(InvalidArgument) as caught:
        profiles.check(Profile(), ["shoe_size"])
    assert caught.value.field == "update_mask"


@given(st.text(max_size=300), st.sampled_from(["email", "handle", "time_zone", "start_date", "name", "about"]))
def test_any_text_is_taken_or_refused_with_a_reason(text: str, field: str) -> None:
    refused = None
    try:
        profiles.check(Profile(**{field: text}), [field])
    except InvalidArgument as error:
        refused = error
    assert refused is None or (refused.field == f"profile.{field}" and refused.reason)


@pytest.mark.parametrize(
    ("profile", "key", "base"),
    [
        (Profile(email="Ada.Lovelace@example.com", name="Ada"), "", "ada.lovelace"),
        (Profile(email="zoë+news@example.com"), "", "zoenews"),
        (Profile(name="Ångström Çelik"), "", "angstrom.celik"),
        (Profile(name="Ada Byron"), "ada_b", "ada_b"),
        (Profile(name="Ada Byron"), "4711", "ada.byron"),
        (Profile(name="Ada Byron"), "cn=Ada Byron,ou=people", "ada.byron"),
        (Profile(name="李小龍"), "", "person"),
        (Profile(handle="countess", email="ada@example.com"), "x", "countess"),
    ],
)
def test_a_handle_comes_from_what_is_known(profile: Profile, key: str, base: str) -> None:
    assert profiles.handle_base(profile, key) == base


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=100))
def test_every_handle_made_is_one_that_is_taken(email: str, name: str, key: str) -> None:
    profiles.check(Profile(handle=profiles.handle_base(Profile(email=email, name=name), key)), ["handle"])


def test_folding_ignores_case_accents_and_blanks() -> None:
    assert profiles.fold("  ÉMILE   Zola ") == profiles.fold("emile zola") == "emile zola"
    assert profiles.fold_key(" Ada@Example.COM ") == "ada@example.com"
    assert profiles.fold_key("zoë@example.com") == profiles.fold_key("zoe\u0308@example.com")
