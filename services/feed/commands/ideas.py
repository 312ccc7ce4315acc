"""What can be asked of an idea."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from watercooler.feed.v1 import ideas_events_pb2 as events


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeIdea:
    """Make a thread an idea; `moderates` says that the proposer moderates where it stands."""

    post_id: str
    author_id: str
    proposer_id: str
    moderates: bool
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeIdeaState:
    """Say where the idea stands; `decides` says that the changer moderates there, is a leader or administers."""

    post_id: str
    changer_id: str
    decides: bool
    state: events.IdeaState.ValueType
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SponsorIdea:
    """Stand up for the idea."""

    post_id: str
    sponsor_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveIdea:
    """Sponsor the idea no longer."""

    post_id: str
    sponsor_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkIdea:
    """Name the objective it serves; both texts empty: none. `decides` as above."""

    post_id: str
    linker_id: str
    decides: bool
    objective_title: str
    objective_url: str
    now: datetime


IdeaCommand = ProposeIdea | ChangeIdeaState | SponsorIdea | LeaveIdea | LinkIdea
