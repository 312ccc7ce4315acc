"""A custom emoji: a picture that stands for its shortcode until it is removed."""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import assert_never

from libs.eventstore.model import AlreadyExists, InvalidArgument, NotFound
from watercooler.feed.v1.reading_events_pb2 import EmojiAdded, EmojiRemoved

from ..commands.reading import AddEmoji, EmojiCommand, RemoveEmoji

Event = EmojiAdded | EmojiRemoved

CATEGORY_CHARACTERS = 50
_SHORTCODE = re.compile(r"[a-z0-9_]{2,40}")


@dataclass(frozen=True, slots=True)
class Emoji:
    """The picture; empty while there is none."""

    blob_id: str = ""
    category: str = ""


def initial() -> Emoji:
    """Only a word."""
    return Emoji()


def decide(command: EmojiCommand, emoji: Emoji) -> list[Event]:
    """What happens; a picture is not exchanged under texts that use it."""
    match command:
        case AddEmoji():
            if _SHORTCODE.fullmatch(command.shortcode) is None:
                raise InvalidArgument("a shortcode has 2 to 40 small letters (a to z), digits and underscores", "shortcode")
            if len(command.category) > CATEGORY_CHARACTERS:
                raise InvalidArgument(f"a category has at most {CATEGORY_CHARACTERS} characters", "category")
            if (command.blob_id, command.category) == (emoji.blob_id, emoji.category):
                return []
            if emoji.blob_id:
                raise AlreadyExists(f":{command.shortcode}: is a picture already: remove it first, or choose another word", "shortcode")
            added = EmojiAdded(
                shortcode=command.shortcode, blob_id=command.blob_id, category=command.category, adder_id=command.adder_id
            )
            added.add_time.FromDatetime(command.now)
            return [added]
        case RemoveEmoji():
            if not emoji.blob_id:
                raise NotFound("there is no such emoji", "shortcode")
            return [EmojiRemoved(shortcode=command.shortcode)]
        case _:
            assert_never(command)


def evolve(emoji: Emoji, event: Event) -> Emoji:
    """The emoji after the event."""
    match event:
        case EmojiAdded():
            return Emoji(event.blob_id, event.category)
        case EmojiRemoved():
            return Emoji()
        case _:
            assert_never(event)
