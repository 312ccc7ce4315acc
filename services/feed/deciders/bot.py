"""A bot: a program with an account that people see as such."""
from __future__ import annotations

from typing import Final, assert_never

from libs.eventstore.model import InvalidArgument, NotFound
from watercooler.feed.v1.integration_events_pb2 import BotCreated, BotDeleted

from ..commands.integrations import BotCommand, CreateBot, DeleteBot

Event = BotCreated | BotDeleted

NAME_CHARACTERS: Final = 60
DESCRIPTION_CHARACTERS: Final = 500


def initial() -> str:
    """None yet."""
    return "absent"


def decide(command: BotCommand, status: str) -> list[Event]:
    """What happens.

    Raises:
        InvalidArgument: the name or the description is not what it may be.
        NotFound: there is no such bot, or no longer.
    """
    match command:
        case CreateBot():
            if status != "absent":
                return []
            if not command.name.strip() or len(command.name) > NAME_CHARACTERS:
                raise InvalidArgument(f"a bot's name has 1 to {NAME_CHARACTERS} characters", "name")
            if len(command.description) > DESCRIPTION_CHARACTERS:
                raise InvalidArgument(f"a description has at most {DESCRIPTION_CHARACTERS} characters", "description")
            created = BotCreated(
                bot_id=command.bot_id, name=command.name.strip(), description=command.description.strip(),
                community_id=command.community_id, owner_id=command.owner_id,
            )
            created.create_time.FromDatetime(command.now)
            return [created]
        case DeleteBot():
            if status != "live":
                raise NotFound("there is no such bot")
            return [BotDeleted(bot_id=command.bot_id)]
        case _:
            assert_never(command)


def evolve(status: str, event: Event) -> str:
    """Whether it is there after the event."""
    match event:
        case BotCreated():
            return "live"
        case BotDeleted():
            return "deleted"
        case _:
            assert_never(event)
