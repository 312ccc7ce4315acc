"""What can be asked of the organisation's policy."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePolicy:
    """Change the fields that are not None; `ask_again` says that the guidelines changed in substance."""

    changer_id: str
    reason: str
    now: datetime
    guidelines: str | None = None
    guidelines_required: bool | None = None
    values: tuple[str, ...] | None = None
    anonymous_questions: bool | None = None
    blocking_allowed: bool | None = None
    watched_words: tuple[str, ...] | None = None
    ask_again: bool = False
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWatch:
    """Replace the words that put a community's posts before its moderators."""

    community_id: str
    words: tuple[str, ...]
    changer_id: str
    now: datetime
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptGuidelines:
    """Accept one version of the guidelines."""

    person_id: str
    guidelines_version: int
    now: datetime
