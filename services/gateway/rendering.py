"""Turns views into HTML: the Jinja environment, the catalogues, and how times, numbers, faces and icons are written.

One environment serves every language: language, zone and CSRF token of the reader stand in a context variable while a page is
rendered, so that macros need not be handed them.
"""

from __future__ import annotations

import gettext as catalogues
import io
import json
import unicodedata
import zlib
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.core import negotiate_locale
from babel.dates import format_date, format_datetime, format_skeleton, format_time, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_compact_decimal, format_decimal, format_percent
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from .navigation import N_
from .views import Fragment, Page, PersonRef, Shell

HERE = Path(__file__).parent
# The languages with a complete catalogue; English is the source.
LOCALES = ("en", "de")
RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "ps", "ur", "yi"})
HUES = 12
# From here on counts are shortened ("12K"): they only say how large.
COMPACT_FROM = 10_000
# Scripts written without spaces between names: the first character stands for the person.
_ONE_CHARACTER = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL")


EMOJI = (
    ("👍", N_("Thumbs up")),
    ("❤️", N_("Heart")),
    ("🎉", N_("Hooray")),
    ("💡", N_("Good idea")),
    ("👏", N_("Applause")),
    ("😄", N_("Smile")),
    ("🤔", N_("Thinking")),
    ("👀", N_("Looking")),
    ("🙏", N_("Thank you")),
    ("✅", N_("Done")),
)


class Reader:
    """Who a page is being rendered for: language, zone, token and the present."""

    __slots__ = ("form_fields", "locale", "now", "translations", "zone")

    def __init__(self, shell: Shell) -> None:
        viewer = shell.viewer
        self.locale = _locale(viewer.locale if viewer else shell.locale)
        self.zone = _zone(viewer.time_zone if viewer else "UTC")
        self.translations = translations(viewer.locale if viewer else shell.locale)
        self.form_fields = Markup(
            '<input type="hidden" name="csrf_token" value="{}"><input type="hidden" name="return_to" value="{}">'
        ).format(shell.csrf_token, shell.path)
        self.now = shell.now or datetime.now(UTC)


_reader: ContextVar[Reader] = ContextVar("reader")


@lru_cache(maxsize=64)
def _locale(tag: str) -> Locale:
    try:
        return Locale.parse(tag, sep="-" if "-" in tag else "_")
    except (UnknownLocaleError, ValueError):
        return Locale("en")


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


@lru_cache(maxsize=16)
def translations(locale: str) -> catalogues.NullTranslations:
    """The catalogue of a language, compiled from its .po at first use; the source text where there is none."""
    language = str(_locale(locale).language)
    path = HERE / "locale" / language / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return catalogues.NullTranslations()
    compiled = io.BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return catalogues.GNUTranslations(compiled)


def negotiate(accept_language: str) -> str:
    """The best language for an Accept-Language header; English where none fits. Reads the first 20 entries."""
    wanted: list[tuple[float, str]] = []
    for entry in accept_language.split(",")[:20]:
        tag, _, quality = entry.strip().partition(";q=")
        try:
            wanted.append((-float(quality or 1), tag.strip()))
        except ValueError:
            continue
    return negotiate_locale([tag for _, tag in sorted(wanted, key=lambda item: item[0])], list(LOCALES), sep="-") or "en"


# --- what templates call ---------------------------------------------------------------------------------------------


def _gettext(text: str) -> str:
    return _reader.get().translations.gettext(text)


def _ngettext(one: str, many: str, count: int) -> str:
    return _reader.get().translations.ngettext(one, many, count)


def full_time(moment: datetime) -> str:
    """Date and time with the zone, in the reader's language and zone."""
    reader = _reader.get()
    return _full_time(moment, reader.locale, reader.zone)


@lru_cache(maxsize=4096)
def _full_time(moment: datetime, locale: Locale, zone: ZoneInfo) -> str:
    return format_datetime(moment, "full", tzinfo=zone, locale=locale)


def _short_time(moment: datetime) -> str:
    reader = _reader.get()
    local, now = moment.astimezone(reader.zone), reader.now.astimezone(reader.zone)
    age = now - local
    if timedelta(0) <= age < timedelta(minutes=1):
        return _gettext("now")
    if timedelta(0) <= age < timedelta(hours=1):
        minutes = int(age.total_seconds() // 60)
        return _ngettext("%(num)s min", "%(num)s min", minutes) % {"num": format_decimal(minutes, locale=reader.locale)}
    if local.date() == now.date():
        return format_time(local, "short", tzinfo=reader.zone, locale=reader.locale)
    if (now.date() - local.date()).days == 1:
        return _gettext("yesterday")
    if timedelta(0) <= age < timedelta(days=6):
        return format_datetime(local, "EEEE", tzinfo=reader.zone, locale=reader.locale)
    return format_skeleton("MMMd" if local.year == now.year else "yMMMd", local, tzinfo=reader.zone, locale=reader.locale)


def ago(moment: datetime) -> Markup:
    """A time as short as it can be said ("12 min", "9:12", "yesterday", "3 Oct"), the full one on hover."""
    stamp = moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    full, short = escape(full_time(moment)), escape(_short_time(moment))
    return Markup(f'<time datetime="{stamp}" title="{full}">{short}</time>')  # noqa: S704 - both are escaped


def day(value: date | datetime) -> Markup:
    """A date in words of middle length."""
    reader = _reader.get()
    if isinstance(value, datetime):
        value = value.astimezone(reader.zone).date()
    return Markup('<time datetime="{}">{}</time>').format(value.isoformat(), format_date(value, "medium", locale=reader.locale))


def local_clock(zone: str) -> str:
    """What the clock shows in a zone now, such as "14:05"."""
    reader = _reader.get()
    return format_time(reader.now.astimezone(_zone(zone)), "short", tzinfo=_zone(zone), locale=reader.locale)


def lasting(seconds: int) -> str:
    """A length of time in its largest unit, such as "3 days"; a minute at least."""
    return format_timedelta(timedelta(seconds=seconds), granularity="minute", threshold=1, locale=_reader.get().locale)


def number(value: float) -> str:
    """A number with the reader's separators, shortened where only its size matters."""
    return _number(value, _reader.get().locale)


@lru_cache(maxsize=4096)
def _number(value: float, locale: Locale) -> str:
    if value >= COMPACT_FROM:
        return format_compact_decimal(value, locale=locale, fraction_digits=0)
    return format_decimal(value, locale=locale)


def exact(value: float) -> str:
    """A number with the reader's separators, every digit."""
    return format_decimal(value, locale=_reader.get().locale)


def percent(value: float) -> str:
    """A share between 0 and 1 as whole per cent."""
    return format_percent(value, locale=_reader.get().locale)


def file_size(size_bytes: int) -> str:
    """A size in MB or kB."""
    if size_bytes >= 1_000_000:
        return f"{exact(round(size_bytes / 1_000_000, 1))} MB"
    return f"{exact(max(1, round(size_bytes / 1000)))} kB"


@lru_cache(maxsize=4096)
def initials(name: str) -> str:
    """One or two characters that stand for a name in any script."""
    words = [word for word in name.replace("-", " ").split() if word[0].isalpha()]
    if not words:
        return name.strip()[:1].upper() or "?"
    if unicodedata.name(words[0][0], "").startswith(_ONE_CHARACTER):
        return words[0][0]
    return (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper()


@lru_cache(maxsize=4096)
def hue(identifier: str) -> int:
    """The colour class of a person or community: the same everywhere, told from the id."""
    return zlib.crc32(identifier.encode()) % HUES


def language_name(tag: str) -> str:
    """A language's own name, such as "Deutsch"."""
    try:
        return Locale.parse(tag, sep="-").get_display_name() or tag
    except (UnknownLocaleError, ValueError):
        return tag


def csrf() -> Markup:
    """The hidden fields of every form that writes: the CSRF token and where to come back to."""
    return _reader.get().form_fields


def emoji_buttons() -> Markup:
    """The buttons under a post with which one reacts; other emoji come from the API."""
    return _emoji_buttons(_reader.get().translations)


@lru_cache(maxsize=16)
def _emoji_buttons(catalogue: catalogues.NullTranslations) -> Markup:
    button = Markup('<button name="emoji" value="{}" title="{}" aria-label="{}"><span class="emoji" aria-hidden="true">{}</span></button>')
    labels = ((emoji, catalogue.gettext(label)) for emoji, label in EMOJI)
    return Markup("").join(button.format(emoji, label, label, emoji) for emoji, label in labels)


def address(path: str, **fields: str | None) -> str:
    """A path with the given query fields; empty ones are left out."""
    query = urlencode({key: value for key, value in fields.items() if value})
    return f"{path}?{query}" if query else path


def names(people: list[PersonRef], count: int) -> Markup:
    """ "A", "A and B", "A, B and 3 others": people as bold names in the reader's language."""
    shown = [Markup("<b><bdi>{}</bdi></b>").format(person.name) for person in people[:2]]
    others = count - len(shown)
    if not shown:
        return escape(_ngettext("%(num)s person", "%(num)s people", count) % {"num": exact(count)})
    if others > 0:
        text = _ngettext("%(names)s and %(num)s other", "%(names)s and %(num)s others", others)
        return escape(text) % {"names": Markup(", ").join(shown), "num": exact(others)}
    if len(shown) == 2:
        return escape(_gettext("%(first)s and %(second)s")) % {"first": shown[0], "second": shown[1]}
    return shown[0]


class Renderer:
    """Renders pages and fragments; safe to share between requests.

    `assets` is the folder that build.mjs writes: without it pages carry neither style nor script nor icons, and say so in a comment.
    """

    def __init__(self, assets: Path = HERE / "assets" / "dist", *, auto_reload: bool = False) -> None:
        self._manifest = _json(assets / "manifest.json")
        self._icons = _json(assets / "icons.json")
        self._drawn: dict[tuple[str, str], Markup] = {}
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=auto_reload,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        )
        self._environment.policies["ext.i18n.trimmed"] = True
        install: Any = self._environment
        install.install_gettext_callables(_gettext, _ngettext, newstyle=True)
        self._environment.globals.update(
            address=address,
            ago=ago,
            asset=self.asset,
            csrf=csrf,
            day=day,
            emoji_buttons=emoji_buttons,
            icon=self.icon,
            local_clock=local_clock,
            names=names,
        )
        self._environment.filters.update(
            exact=exact,
            file_size=file_size,
            full_time=full_time,
            hue=hue,
            initials=initials,
            lasting=lasting,
            language_name=language_name,
            number=number,
            percent=percent,
        )

    def asset(self, name: str) -> str:
        """The address of a built file by the name its source has."""
        return f"/assets/{self._manifest.get(name, name)}"

    def icon(self, name: str, label: str = "") -> Markup:
        """An icon, drawn in place; decoration unless it has a label."""
        drawn = self._drawn.get((name, label))
        if drawn is None:
            told = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
            inside = Markup(self._icons.get(name, "<!-- no such icon -->"))  # noqa: S704 - from our own build
            drawn = Markup('<svg class="icon" viewBox="0 0 24 24" {}>{}</svg>').format(told, inside)
            self._drawn[name, label] = drawn
        return drawn

    def render(self, view: Page | Fragment) -> str:
        """The HTML of a page or fragment, in the language and zone of its reader."""
        reader = Reader(view.shell)
        token = _reader.set(reader)
        try:
            tag = str(reader.locale).replace("_", "-")
            return self._environment.get_template(view.template).render(
                shell=view.shell,
                view=view,
                locale=tag,
                direction="rtl" if reader.locale.language in RIGHT_TO_LEFT else "ltr",
                zone=str(reader.zone),
            )
        finally:
            _reader.reset(token)


def _json(path: Path) -> dict[str, str]:
    try:
        content: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content
