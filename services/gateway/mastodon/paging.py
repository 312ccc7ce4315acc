"""Which part of a list, and the `Link` header that names the parts before and after it.

Ids are UUIDv7 strings of 36 characters, so `max_id`, `since_id` and `min_id` compare as text. Lists that have another order (followers,
saved posts) carry their own mark in `max_id`: clients take it from the header and send it back.
"""
from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urlencode

from libs.text.ids import id_at, is_id

from ..problems import Refusal

if TYPE_CHECKING:
    from .router import Call

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# A date given to Mastodon.py becomes an id of Mastodon's own form: milliseconds, then 16 bits.
_SNOWFLAKE_BITS: Final = 16
_MARK_CHARACTERS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list of posts was asked for."""

    limit: int
    max_id: str = ""
    since_id: str = ""
    min_id: str = ""


def page_of(call: Call, default: int = 20, most: int = 40) -> Page:
    """The part asked for. Raises Refusal 422 for marks that are none."""
    if not call.query:
        return Page(default)
    params = call.params
    return Page(
        params.whole("limit", default, 1, most), _mark(params.text("max_id", most=_MARK_CHARACTERS)),
        _mark(params.text("since_id", most=_MARK_CHARACTERS)), _mark(params.text("min_id", most=_MARK_CHARACTERS)),
    )


def _mark(text: str) -> str:
    if 12 <= len(text) <= 20 and text.isascii() and text.isdigit():
        try:
            made = id_at(_EPOCH + timedelta(milliseconds=int(text) >> _SNOWFLAKE_BITS))
        except (ValueError, OverflowError):
            raise Refusal(422, "Validation failed: this id is out of range.") from None
        return made[:15] + "000-8000-000000000000"
    return text


def is_post_id(mark: str) -> bool:
    """Whether a mark is the id of a post, and no mark of a list with another order."""
    return len(mark) == 36 and is_id(mark)


def links(call: Call, older: str = "", newer: str = "", newer_name: str = "min_id") -> str:
    """The `Link` header; empty where there is nothing before and nothing after."""
    if not older and not newer:
        return ""
    base = f"{call.site.base}{call.path}?{_kept(call.query)}"
    parts = []
    if older:
        parts.append(f'<{base}max_id={quote(older, safe="")}>; rel="next"')
    if newer:
        parts.append(f'<{base}{newer_name}={quote(newer, safe="")}>; rel="prev"')
    return ", ".join(parts)


@lru_cache(maxsize=500)
def _kept(query: bytes) -> str:
    """What of a query stands in the addresses of the parts before and after, ready for one more parameter."""
    kept = [
        (name, value) for name, value in parse_qsl(query.decode("utf-8", "replace"), keep_blank_values=True)
        if name not in ("max_id", "min_id", "since_id", "access_token")
    ]
    return f"{urlencode(kept)}&" if kept else ""
