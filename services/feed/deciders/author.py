"""An author: erased once, after identity has erased the person."""
from __future__ import annotations

from dataclasses import dataclass

from watercooler.feed.v1.events_pb2 import AuthorErased

from ..commands import AuthorCommand

Event = AuthorErased


@dataclass(frozen=True, slots=True)
class Author:
    """Whether what they wrote is gone."""

    erased: bool = False


def initial() -> Author:
    """Like everybody."""
    return Author()


def decide(command: AuthorCommand, author: Author) -> list[Event]:
    """Erase, once."""
    if author.erased:
        return []
    erased = AuthorErased(person_id=command.person_id)
    erased.erase_time.FromDatetime(command.now)
    return [erased]


def evolve(author: Author, event: Event) -> Author:
    """The author after the event."""
    return Author(erased=True)
