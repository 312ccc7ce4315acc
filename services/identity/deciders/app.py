"""An app that may ask people to act for them: registered once, shut out for good by an administrator."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from libs.eventstore.model import NotFound
from watercooler.identity.v1.app_events_pb2 import AppRegistered, AppRemoved

from .. import oauth
from ..commands import AppCommand, RegisterApp, RemoveApp

Event = AppRegistered | AppRemoved


@dataclass(frozen=True, slots=True)
class App:
    """Whether the app counts."""

    status: Literal["absent", "live", "removed"] = "absent"


def initial() -> App:
    """No app yet."""
    return App()


def decide(command: AppCommand, state: App) -> list[Event]:
    """What happens.

    Raises:
        InvalidArgument: name, website, redirect addresses or scopes are not what they may be.
        NotFound: there is no app to remove.
    """
    match command:
        case RegisterApp():
            return _register(command) if state.status == "absent" else []
        case RemoveApp():
            if state.status == "absent":
                raise NotFound("there is no such app")
            return [AppRemoved(app_id=command.app_id)] if state.status == "live" else []
        case _:
            assert_never(command)


def evolve(state: App, event: Event) -> App:
    """The state after the event."""
    match event:
        case AppRegistered():
            return App("live")
        case AppRemoved():
            return App("removed")
        case _:
            assert_never(event)


def _register(command: RegisterApp) -> list[Event]:
    oauth.check_app(command.name, command.website)
    registered = AppRegistered(
        app_id=command.app_id, name=command.name.strip(), website=command.website,
        redirect_uris=oauth.check_redirect_uris(command.redirect_uris), scopes=oauth.check_scopes(command.scopes),
        secret_hash=command.secret_hash,
    )
    registered.register_time.FromDatetime(command.now)
    return [registered]
