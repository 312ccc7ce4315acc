"""The organisation: created once, renamed at will; that there is only one is guarded where all of them are seen (projections)."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from libs.eventstore.model import NotFound
from watercooler.identity.v1.events_pb2 import OrganizationCreated, OrganizationRenamed

from ..commands import CreateOrganization, OrganizationCommand, RenameOrganization

Event = OrganizationCreated | OrganizationRenamed


@dataclass(frozen=True, slots=True)
class Organization:
    """The name is empty until the organisation exists."""

    organization_id: str = ""
    name: str = ""


def initial() -> Organization:
    """No organisation yet."""
    return Organization()


def decide(command: OrganizationCommand, state: Organization) -> list[Event]:
    """What happens.

    Raises:
        NotFound: nothing was created under this id.
    """
    match command:
        case CreateOrganization():
            if state.organization_id:
                return []  # the same command again: nothing new happened
            created = OrganizationCreated(organization_id=command.organization_id, name=command.name)
            created.create_time.FromDatetime(command.now)
            return [created]
        case RenameOrganization():
            if not state.organization_id:
                raise NotFound("there is no organisation yet: set it up first")
            if command.name == state.name:
                return []
            return [OrganizationRenamed(organization_id=command.organization_id, name=command.name)]
        case _:
            assert_never(command)


def evolve(state: Organization, event: Event) -> Organization:
    """The state after the event."""
    match event:
        case OrganizationCreated():
            return Organization(event.organization_id, event.name)
        case OrganizationRenamed():
            return replace(state, name=event.name)
        case _:
            assert_never(event)
