"""A slash command: /name in the composer asks a bot."""
from __future__ import annotations

import re
from typing import Final, assert_never

from libs.eventstore.model import InvalidArgument, NotFound
from watercooler.feed.v1.integration_events_pb2 import SlashCommandDeleted, SlashCommandRegistered

from ..commands.integrations import DeleteSlashCommand, RegisterSlashCommand, SlashCommandCommand

Event = SlashCommandRegistered | SlashCommandDeleted

DESCRIPTION_CHARACTERS: Final = 200
HINT_CHARACTERS: Final = 100
NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def initial() -> str:
    """None yet."""
    return "absent"


def decide(command: SlashCommandCommand, status: str) -> list[Event]:
    """What happens.

    Raises:
        InvalidArgument: the name, description or hint is not what it may be.
        NotFound: there is no such command, or no longer.
    """
    match command:
        case RegisterSlashCommand():
            if status != "absent":
                return []
            if not NAME.fullmatch(command.name):
                raise InvalidArgument(
                    "a command's name has 1 to 32 small letters, digits, hyphens and underscores, a letter first, without the slash", "name"
                )
            if not command.description.strip() or len(command.description) > DESCRIPTION_CHARACTERS:
                raise InvalidArgument(f"say in 1 to {DESCRIPTION_CHARACTERS} characters what the command does", "description")
            if len(command.hint) > HINT_CHARACTERS:
                raise InvalidArgument(f"the hint has at most {HINT_CHARACTERS} characters", "hint")
            registered = SlashCommandRegistered(
                command_id=command.command_id, bot_id=command.bot_id, name=command.name, description=command.description.strip(),
                hint=command.hint.strip(), url=command.url, community_id=command.community_id, secret=command.secret,
                creator_id=command.creator_id,
            )
            registered.register_time.FromDatetime(command.now)
            return [registered]
        case DeleteSlashCommand():
            if status != "live":
                raise NotFound("there is no such command")
            return [SlashCommandDeleted(command_id=command.command_id)]
        case _:
            assert_never(command)


def evolve(status: str, event: Event) -> str:
    """Whether it is there after the event."""
    match event:
        case SlashCommandRegistered():
            return "live"
        case SlashCommandDeleted():
            return "deleted"
        case _:
            assert_never(event)
