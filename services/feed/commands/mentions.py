"""What follows from the mention of a community or group."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MentionMembers:
    """Tell some of the members, 200 at most."""

    post_id: str
    author_id: str
    person_ids: tuple[str, ...]
    now: datetime


MentionCommand = MentionMembers
