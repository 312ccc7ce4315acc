"""What may stand in a profile, and the folded forms by which people are found."""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from zoneinfo import available_timezones

from libs.eventstore.model import InvalidArgument
from watercooler.identity.v1.events_pb2 import Profile

NAME_MAX = 200
TEXT_MAX = 200
ABOUT_MAX = 5_000
HANDLE_MAX = 64
EMPLOYEE_NUMBER_MAX = 60
LANGUAGES_MAX = 20
ENTRIES_MAX = 30
LABEL_MAX = 60
ENTRY_MAX = 500
# RFC 5321, section 4.5.3.1.
EMAIL_MAX, LOCAL_PART_MAX, DOMAIN_MAX = 254, 64, 253

FIELDS: tuple[str, ...] = tuple(field.name for field in Profile.DESCRIPTOR.fields)

# What the directory owns: only administrators and imports change it.
DIRECTORY_FIELDS = frozenset({"email", "employee_number", "title", "department", "start_date"})

ERASED_NAME = "Erased person"

_HANDLE = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,62}[a-z0-9_])?")
_DOMAIN_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")
# RFC 5646, the well-formed tags without the grandfathered ones: language, script, region, variants, extensions, private use.
_LANGUAGE = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?",
    re.IGNORECASE,
)
_LANGUAGE_MAX = 35


def fold(text: str) -> str:
    """Text for comparing and sorting: without case, accents and superfluous blanks."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())


def fold_key(text: str) -> str:
    """A unique key for comparing exactly but for case: e-mail addresses, employee numbers, handles."""
    return unicodedata.normalize("NFC", text.strip().casefold())


def display_name(profile: Profile) -> str:
    """What is shown as the name: the preferred one where there is one."""
    return profile.preferred_name or profile.name


def handle_base(profile: Profile, key: str = "") -> str:
    """The handle a person would get if nobody had it: the given one, else from the e-mail's local part, a key like a name, or the name."""
    named = key if _HANDLE.fullmatch(key.lower()) and any(c.isalpha() for c in key) else ""
    for source in (profile.handle, profile.email.partition("@")[0], named, profile.name):
        plain = fold(source).replace(" ", ".")
        text = re.sub(r"[^a-z0-9_.-]", "", plain).strip(".-")[: HANDLE_MAX - 6].strip(".-")
        if text:
            return text
    return "person"


def check(profile: Profile, fields: Iterable[str] = FIELDS, *, prefix: str = "profile.") -> None:
    """Refuse what may not stand in the named fields of a profile.

    Raises:
        InvalidArgument: a field is past its limit or malformed; names the field with `prefix`.
    """
    for name in fields:
        if name not in FIELDS:
            raise InvalidArgument(f"a profile has no field {name[:60]!r}: it has {', '.join(FIELDS)}", "update_mask")
        try:
            _check(profile, name)
        except ValueError as error:
            raise InvalidArgument(str(error), prefix + name) from None


def check_email(email: str) -> None:
    """Refuse what is no e-mail address; raises ValueError with the reason."""
    if len(email.encode()) > EMAIL_MAX:
        raise ValueError(f"an e-mail address has at most {EMAIL_MAX} characters")
    if email.count("@") != 1:
        raise ValueError("an e-mail address has exactly one @, as in ada@example.com")
    local, domain = email.split("@")
    if not local or len(local.encode()) > LOCAL_PART_MAX:
        raise ValueError(f"an e-mail address has 1 to {LOCAL_PART_MAX} characters before the @")
    if any(c.isspace() or unicodedata.category(c).startswith("C") or c in '<>(),;:\\"[]' for c in email):
        raise ValueError("an e-mail address has no blanks, quotes, brackets or control characters")
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise ValueError("an e-mail address has single dots only, and none at the ends of a part")
    if not domain or len(domain.encode()) > DOMAIN_MAX or not all(_DOMAIN_LABEL.fullmatch(label) for label in domain.split(".")):
        raise ValueError("an e-mail address ends in a host name, as in ada@example.com")


def check_text(value: str, what: str, least: int, most: int, *, lines: bool = False) -> None:
    """Refuse text that is too short, too long or not readable; raises ValueError with the reason."""
    if len(value) > most:
        raise ValueError(f"{what} takes at most {most:,} characters, not {len(value):,}")
    if len(value.strip()) < least:
        raise ValueError(f"{what} is empty: please fill it in")
    if any(unicodedata.category(c) == "Cc" and not (lines and c in "\n\r\t") for c in value):
        raise ValueError(f"{what} holds control characters: please remove them")


def check_name(value: str, field: str, what: str, most: int = NAME_MAX) -> None:
    """Refuse a name that is empty, too long or unreadable.

    Raises:
        InvalidArgument: with the reason, for `field`.
    """
    try:
        check_text(value, what, 1, most)
    except ValueError as error:
        raise InvalidArgument(str(error), field) from None


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


_LIMITS = {
    "name": ("a name", 1, NAME_MAX),
    "preferred_name": ("a preferred name", 0, NAME_MAX),
    "pronouns": ("the field for pronouns", 0, 60),
    "title": ("a title", 0, TEXT_MAX),
    "department": ("a department", 0, TEXT_MAX),
    "location": ("a location", 0, TEXT_MAX),
    "employee_number": ("an employee number", 0, EMPLOYEE_NUMBER_MAX),
}


def _check(profile: Profile, name: str) -> None:
    match name:
        case "email":
            if profile.email:
                check_email(profile.email)
        case "handle":
            if profile.handle and not _HANDLE.fullmatch(profile.handle):
                raise ValueError(f"a handle has 1 to {HANDLE_MAX} of a-z, 0-9, _, . and -, the last two only inside")
        case "about":
            check_text(profile.about, "the text about a person", 0, ABOUT_MAX, lines=True)
        case "time_zone":
            if profile.time_zone and profile.time_zone not in _zones():
                raise ValueError(f"there is no time zone {profile.time_zone[:60]!r}: give an IANA name such as Europe/Lisbon")
        case "languages":
            _check_languages(profile.languages)
        case "start_date":
            _check_date(profile.start_date)
        case "contact" | "custom_fields":
            _check_entries(getattr(profile, name))
        case _:
            what, least, most = _LIMITS[name]
            check_text(getattr(profile, name), what, least, most)


def _check_languages(languages: Iterable[str]) -> None:
    tags = list(languages)
    if len(tags) > LANGUAGES_MAX:
        raise ValueError(f"a profile names at most {LANGUAGES_MAX} languages")
    for tag in tags:
        if len(tag) > _LANGUAGE_MAX or not _LANGUAGE.fullmatch(tag):
            raise ValueError(f"{tag[:40]!r} is no language tag: give one such as en, pt-BR or zh-Hant")
    if len({tag.lower() for tag in tags}) != len(tags):
        raise ValueError("a language is named twice")


def _check_date(text: str) -> None:
    if not text:
        return
    try:
        valid = len(text) == 10 and date.fromisoformat(text) is not None
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"{text[:40]!r} is no date: write it as in 2024-03-31")


def _check_entries(entries: Mapping[str, str]) -> None:
    if len(entries) > ENTRIES_MAX:
        raise ValueError(f"at most {ENTRIES_MAX} entries fit, not {len(entries)}")
    for label, value in entries.items():
        check_text(label, "a label", 1, LABEL_MAX)
        check_text(value, f"the entry {label!r}", 0, ENTRY_MAX, lines=True)
