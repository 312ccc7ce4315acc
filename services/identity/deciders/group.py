"""A group of the directory: a team, department or working group, kept as its source has it."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, assert_never

from libs.eventstore.model import NotFound, Rejected
from watercooler.identity.v1.events_pb2 import GroupChanged, GroupCreated, GroupDeleted, GroupMemberAdded, GroupMemberRemoved

from ..commands import DeleteGroup, GroupCommand, ImportGroup

Event = GroupCreated | GroupChanged | GroupMemberAdded | GroupMemberRemoved | GroupDeleted

# What one append takes; a larger difference is taken by the same command again until nothing is left.
CHANGES_MAX = 100


@dataclass(frozen=True, slots=True)
class Group:
    """`members` maps each person to their role in the group."""

    status: Literal["absent", "live", "deleted"] = "absent"
    name: str = ""
    kind: str = ""
    parent_id: str = ""
    description: str = ""
    members: Mapping[str, str] = field(default_factory=dict)


def initial() -> Group:
    """No group yet."""
    return Group()


def decide(command: GroupCommand, state: Group) -> list[Event]:
    """What happens; at most CHANGES_MAX events, so a large import is asked again until the answer is empty.

    Raises:
        Rejected: the group was deleted, or is to be its own parent.
        NotFound: there is no group to delete.
    """
    match command:
        case ImportGroup():
            return _import(command, state)[:CHANGES_MAX]
        case DeleteGroup():
            if state.status == "absent":
                raise NotFound("there is no such group")
            return [] if state.status == "deleted" else [GroupDeleted(group_id=command.group_id)]
        case _:
            assert_never(command)


def evolve(state: Group, event: Event) -> Group:
    """The state after the event."""
    match event:
        case GroupCreated():
            return Group("live", event.name, event.kind, event.parent_id, event.description)
        case GroupChanged():
            return replace(state, name=event.name, kind=event.kind, parent_id=event.parent_id, description=event.description)
        case GroupMemberAdded():
            return replace(state, members={**state.members, event.person_id: event.role})
        case GroupMemberRemoved():
            return replace(state, members={person: role for person, role in state.members.items() if person != event.person_id})
        case GroupDeleted():
            return Group("deleted")
        case _:
            assert_never(event)


def _import(command: ImportGroup, state: Group) -> list[Event]:
    group_id = command.group_id
    if state.status == "deleted":
        raise Rejected("this group was deleted")
    if command.parent_id == group_id:
        raise Rejected("a group is not part of itself", "parent_external_id")
    events: list[Event] = []
    facts = {"name": command.name, "kind": command.kind, "parent_id": command.parent_id, "description": command.description}
    if state.status == "absent":
        events.append(GroupCreated(group_id=group_id, external_id=command.external_key, **facts))
    elif facts != {"name": state.name, "kind": state.kind, "parent_id": state.parent_id, "description": state.description}:
        events.append(GroupChanged(group_id=group_id, **facts))
    wanted = dict(command.members)
    events += [GroupMemberRemoved(group_id=group_id, person_id=person) for person in state.members if person not in wanted]
    events += [
        GroupMemberAdded(group_id=group_id, person_id=person, role=role)
        for person, role in wanted.items()
        if state.members.get(person) != role
    ]
    return events
