"""A list of people, kept by one person to read what they write."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, assert_never

from libs.eventstore.model import InvalidArgument, NotFound, Rejected
from watercooler.feed.v1.reading_events_pb2 import ListChanged, ListCreated, ListDeleted, ListPersonAdded, ListPersonRemoved

from ..commands.reading import AddListPeople, ChangeList, CreateList, DeleteList, ListCommand, RemoveListPeople

Event = ListCreated | ListChanged | ListDeleted | ListPersonAdded | ListPersonRemoved

TITLE_CHARACTERS = 100
PEOPLE = 500
PEOPLE_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class PeopleList:
    """The list and who is on it."""

    status: Literal["absent", "kept", "deleted"] = "absent"
    owner_id: str = ""
    title: str = ""
    exclusive: bool = False
    person_ids: frozenset[str] = frozenset()


def initial() -> PeopleList:
    """Before it is begun."""
    return PeopleList()


def decide(command: ListCommand, people: PeopleList) -> list[Event]:
    """What happens; a list exists for its owner only."""
    if isinstance(command, CreateList):
        if people.status != "absent":
            return []
        _check(command.title)
        created = ListCreated(
            list_id=command.list_id, owner_id=command.owner_id, title=command.title, exclusive=command.exclusive
        )
        created.create_time.FromDatetime(command.now)
        return [created]
    if isinstance(command, DeleteList) and people.status == "deleted" and people.owner_id == command.owner_id:
        return []
    if people.status != "kept" or people.owner_id != command.owner_id:
        raise NotFound("you keep no such list")
    match command:
        case ChangeList():
            _check(command.title)
            if (command.title, command.exclusive) == (people.title, people.exclusive):
                return []
            return [
                ListChanged(list_id=command.list_id, owner_id=command.owner_id, title=command.title, exclusive=command.exclusive)
            ]
        case DeleteList():
            return [ListDeleted(list_id=command.list_id, owner_id=command.owner_id)]
        case AddListPeople():
            _check_people(command.person_ids)
            if command.owner_id in command.person_ids:
                raise InvalidArgument("your own posts are in your home timeline: put others on the list", "person_ids")
            new = [each for each in dict.fromkeys(command.person_ids) if each not in people.person_ids]
            if len(people.person_ids) + len(new) > PEOPLE:
                raise Rejected(f"a list holds at most {PEOPLE} people: begin another, or take somebody off this one")
            return [ListPersonAdded(list_id=command.list_id, owner_id=command.owner_id, person_id=each) for each in new]
        case RemoveListPeople():
            _check_people(command.person_ids)
            gone = [each for each in dict.fromkeys(command.person_ids) if each in people.person_ids]
            return [ListPersonRemoved(list_id=command.list_id, owner_id=command.owner_id, person_id=each) for each in gone]
        case _:
            assert_never(command)


def evolve(people: PeopleList, event: Event) -> PeopleList:
    """The list after the event."""
    match event:
        case ListCreated():
            return PeopleList("kept", event.owner_id, event.title, event.exclusive)
        case ListChanged():
            return replace(people, title=event.title, exclusive=event.exclusive)
        case ListDeleted():
            return replace(people, status="deleted", title="", person_ids=frozenset())
        case ListPersonAdded():
            return replace(people, person_ids=people.person_ids | {event.person_id})
        case ListPersonRemoved():
            return replace(people, person_ids=people.person_ids - {event.person_id})
        case _:
            assert_never(event)


def _check(title: str) -> None:
    if not 1 <= len(title.strip()) <= TITLE_CHARACTERS:
        raise InvalidArgument(f"a list has a title of 1 to {TITLE_CHARACTERS} characters", "title")


def _check_people(person_ids: tuple[str, ...]) -> None:
    if not 1 <= len(person_ids) <= PEOPLE_AT_ONCE:
        raise InvalidArgument(f"name 1 to {PEOPLE_AT_ONCE} people at a time, not {len(person_ids)}", "person_ids")
