"""An incoming hook: an address at which another system posts into one community, or to one person."""
from __future__ import annotations

from typing import Final, assert_never

from libs.eventstore.model import InvalidArgument, NotFound
from watercooler.feed.v1.integration_events_pb2 import IncomingHookCreated, IncomingHookDeleted, IncomingHookSecretRotated

from ..commands.integrations import CreateIncomingHook, DeleteIncomingHook, IncomingCommand, RotateIncomingHook

Event = IncomingHookCreated | IncomingHookSecretRotated | IncomingHookDeleted

NAME_CHARACTERS: Final = 60


def initial() -> str:
    """None yet."""
    return "absent"


def decide(command: IncomingCommand, status: str) -> list[Event]:
    """What happens.

    Raises:
        InvalidArgument: the name is not what it may be, or it would post nowhere or to two places.
        NotFound: there is no such hook, or no longer.
    """
    if isinstance(command, CreateIncomingHook):
        if status != "absent":
            return []
        if not command.name.strip() or len(command.name) > NAME_CHARACTERS:
            raise InvalidArgument(f"a hook's name has 1 to {NAME_CHARACTERS} characters", "name")
        if bool(command.community_id) == bool(command.person_id):
            raise InvalidArgument("a hook posts into a community or to a person: say which one", "community_id")
        created = IncomingHookCreated(
            hook_id=command.hook_id, name=command.name.strip(), community_id=command.community_id, person_id=command.person_id,
            bot_id=command.bot_id, secret_hash=command.secret_hash, creator_id=command.creator_id,
        )
        created.create_time.FromDatetime(command.now)
        return [created]
    if status != "live":
        raise NotFound("there is no such hook")
    match command:
        case RotateIncomingHook():
            return [IncomingHookSecretRotated(hook_id=command.hook_id, secret_hash=command.secret_hash)]
        case DeleteIncomingHook():
            return [IncomingHookDeleted(hook_id=command.hook_id)]
        case _:
            assert_never(command)


def evolve(status: str, event: Event) -> str:
    """Whether it is there after the event."""
    match event:
        case IncomingHookCreated():
            return "live"
        case IncomingHookSecretRotated():
            return status
        case IncomingHookDeleted():
            return "deleted"
        case _:
            assert_never(event)
