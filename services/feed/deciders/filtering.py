"""A filter: words by which a person folds or hides what they read."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from libs.eventstore.model import InvalidArgument, NotFound
from watercooler.feed.v1.reading_events_pb2 import (
    FILTER_ACTION_HIDE,
    FILTER_ACTION_WARN,
    FILTER_CONTEXT_UNSPECIFIED,
    FilterDeleted,
    FilterSaved,
)

from ..commands.reading import DeleteFilter, FilterCommand, SaveFilter

Event = FilterSaved | FilterDeleted

TITLE_CHARACTERS = 200
KEYWORDS = 50
KEYWORD_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """The filter as it was last saved."""

    status: Literal["absent", "kept", "deleted"] = "absent"
    owner_id: str = ""
    saved: FilterSaved | None = None


def initial() -> Filter:
    """Before it is made."""
    return Filter()


def decide(command: FilterCommand, held: Filter) -> list[Event]:
    """What happens; a filter exists for its owner only."""
    match command:
        case SaveFilter():
            if held.status == "deleted" or held.owner_id not in ("", command.owner_id):
                raise NotFound("you have no such filter")
            _check(command)
            saved = FilterSaved(
                filter_id=command.filter_id, owner_id=command.owner_id, title=command.title, keywords=command.keywords,
                contexts=sorted(set(command.contexts)), action=command.action,
            )
            if command.expire is not None:
                saved.expire_time.FromDatetime(command.expire)
            if saved == held.saved:
                return []
            if command.expire is not None and command.expire <= command.now:
                raise InvalidArgument("a filter ends in the future: give a later time, or none", "expire_time")
            return [saved]
        case DeleteFilter():
            if held.status == "absent" or held.owner_id != command.owner_id:
                raise NotFound("you have no such filter")
            return [FilterDeleted(filter_id=command.filter_id, owner_id=command.owner_id)] if held.status == "kept" else []
        case _:
            assert_never(command)


def evolve(held: Filter, event: Event) -> Filter:
    """The filter after the event."""
    match event:
        case FilterSaved():
            return Filter("kept", event.owner_id, event)
        case FilterDeleted():
            return Filter("deleted", event.owner_id)
        case _:
            assert_never(event)


def _check(command: SaveFilter) -> None:
    if not 1 <= len(command.title.strip()) <= TITLE_CHARACTERS:
        raise InvalidArgument(f"a filter has a title of 1 to {TITLE_CHARACTERS} characters", "title")
    if len(command.keywords) > KEYWORDS:
        raise InvalidArgument(f"a filter has at most {KEYWORDS} keywords, this one {len(command.keywords)}: make another", "keywords")
    for keyword in command.keywords:
        if not 1 <= len(keyword.text.strip()) <= KEYWORD_CHARACTERS:
            raise InvalidArgument(f"a keyword has 1 to {KEYWORD_CHARACTERS} characters", "keywords")
    if len({keyword.keyword_id for keyword in command.keywords}) < len(command.keywords):
        raise InvalidArgument("each keyword has an id of its own", "keywords")
    if not command.contexts or FILTER_CONTEXT_UNSPECIFIED in command.contexts:
        raise InvalidArgument("say where the filter holds: home, notifications, public, thread or person", "contexts")
    if command.action not in (FILTER_ACTION_WARN, FILTER_ACTION_HIDE):
        raise InvalidArgument("say what the filter does: warn or hide", "action")
