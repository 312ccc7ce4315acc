"""A person: joins, moves, leaves, comes back, may be erased; signs in by a password that links let them choose.

What several people must agree on (unique addresses, a chart without cycles, one administrator left) is guarded where all of them are
seen, in the inline projections.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, assert_never

from libs.eventstore.model import EditConflict, NotFound, Rejected
from watercooler.identity.v1.events_pb2 import (
    ROLE_ADMINISTRATOR,
    ROLE_BOT,
    ROLE_EMPLOYEE,
    ExternalKeyAdded,
    InvitationAccepted,
    ManagerAssigned,
    PasswordChanged,
    PasswordResetRequested,
    PersonAdded,
    PersonErased,
    PersonInvited,
    PersonLeft,
    PersonPhotoChanged,
    PersonProfileChanged,
    PersonRejoined,
    Profile,
    Role,
    RoleGranted,
    RoleRevoked,
)

from ..commands import (
    AcceptInvitation,
    AddPerson,
    AssignManager,
    ChangePassword,
    ChangePhoto,
    ChangeProfile,
    ErasePerson,
    GrantRole,
    ImportPerson,
    InvitePerson,
    OffboardPerson,
    PersonCommand,
    ReinstatePerson,
    RequestReset,
    ResetPassword,
    RevokeRole,
)

Event = (
    PersonAdded | PersonProfileChanged | ExternalKeyAdded | PersonPhotoChanged | ManagerAssigned | RoleGranted | RoleRevoked
    | PersonInvited | InvitationAccepted | PasswordResetRequested | PasswordChanged | PersonLeft | PersonRejoined | PersonErased
)

# Older links stop working, so that a stream of requests does not keep a stream of secrets open.
OPEN_RESETS_MAX = 5

Link = tuple[str, datetime]
"""The SHA-256 of a link's secret, and when it expires."""


@dataclass(frozen=True, slots=True)
class Person:
    """What decisions about a person need. `version` counts the events of the stream."""

    status: Literal["absent", "active", "left", "erased"] = "absent"
    version: int = 0
    profile: Profile = field(default_factory=Profile)
    roles: frozenset[Role.ValueType] = frozenset()
    manager_id: str = ""
    photo_blob_id: str = ""
    external_keys: frozenset[str] = frozenset()
    password_hash: str = ""
    has_password: bool = False
    invitation: Link | None = None
    resets: tuple[Link, ...] = ()


def initial() -> Person:
    """Nobody yet."""
    return Person()


def merged(old: Profile, new: Profile, fields: Iterable[str]) -> tuple[Profile, list[str]]:
    """The old profile with `fields` from the new one, and which of them differ; maps and lists are replaced whole."""
    result = Profile()
    result.CopyFrom(old)
    changed: list[str] = []
    for name in fields:
        if getattr(old, name) == getattr(new, name):
            continue
        changed.append(name)
        value = getattr(new, name)
        if name == "languages":
            del result.languages[:]
            result.languages.extend(value)
        elif name in ("contact", "custom_fields"):
            entries = getattr(result, name)
            entries.clear()
            entries.update(value)
        else:
            setattr(result, name, value)
    return result, changed


def decide(command: PersonCommand, state: Person) -> list[Event]:
    """What happens.

    Raises:
        NotFound: there is no such person, or the link is unknown, used or past its time.
        EditConflict: the profile was edited on an older version.
        Rejected: the person has left, was erased, or the rule named in the text forbids it.
    """
    if isinstance(command, AddPerson):
        return _add(command) if state.status == "absent" else []
    if isinstance(command, ImportPerson):
        return _import(command, state)
    if state.status == "absent":
        raise NotFound("there is no such person")
    if state.status == "erased":
        if isinstance(command, ErasePerson):
            return []  # erased already: nothing new happened
        raise Rejected("this person was erased: nothing about them can be changed any more")
    match command:
        case ChangeProfile():
            return _change_profile(command, state)
        case ChangePhoto():
            if command.photo_blob_id == state.photo_blob_id:
                return []
            return [PersonPhotoChanged(person_id=command.person_id, photo_blob_id=command.photo_blob_id)]
        case AssignManager():
            return _assign_manager(command, state)
        case GrantRole():
            _active(state)
            return [] if command.role in state.roles else [RoleGranted(person_id=command.person_id, role=command.role)]
        case RevokeRole():
            if command.role not in state.roles:
                return []
            if len(state.roles) == 1:
                raise Rejected("everybody has at least one role: grant another one first, or offboard the person", "role")
            return [RoleRevoked(person_id=command.person_id, role=command.role)]
        case OffboardPerson():
            return [] if state.status == "left" else [_left(command.person_id, command.now)]
        case ReinstatePerson():
            return [] if state.status == "active" else _rejoin(command.person_id, command.now, state.roles)
        case ErasePerson():
            erased = PersonErased(person_id=command.person_id)
            erased.erase_time.FromDatetime(command.now)
            return [erased]
        case InvitePerson() | AcceptInvitation() | RequestReset() | ResetPassword() | ChangePassword():
            _active(state)
            return _password(command, state)
        case _:
            assert_never(command)


def evolve(state: Person, event: Event) -> Person:
    """The state after the event."""
    return replace(_evolve(state, event), version=state.version + 1)


def _evolve(state: Person, event: Event) -> Person:
    match event:
        case PersonAdded():
            return Person("active", 0, event.profile, frozenset(event.roles))
        case PersonProfileChanged():
            return replace(state, profile=event.profile)
        case ExternalKeyAdded():
            return replace(state, external_keys=state.external_keys | {event.external_key})
        case PersonPhotoChanged():
            return replace(state, photo_blob_id=event.photo_blob_id)
        case ManagerAssigned():
            return replace(state, manager_id=event.manager_id)
        case RoleGranted():
            return replace(state, roles=state.roles | {event.role})
        case RoleRevoked():
            return replace(state, roles=state.roles - {event.role})
        case PersonInvited():
            return replace(state, invitation=(event.secret_hash, _utc(event)))
        case InvitationAccepted():
            return replace(state, invitation=None)
        case PasswordResetRequested():
            return replace(state, resets=(*state.resets, (event.secret_hash, _utc(event)))[-OPEN_RESETS_MAX:])
        case PasswordChanged():
            if event.rehashed:
                return replace(state, password_hash=event.password_hash)
            return replace(state, password_hash=event.password_hash, has_password=True, invitation=None, resets=())
        case PersonLeft():
            return replace(state, status="left", invitation=None, resets=())
        case PersonRejoined():
            return replace(state, status="active")
        case PersonErased():
            return Person("erased")
        case _:
            assert_never(event)


def _add(command: AddPerson) -> list[Event]:
    added = PersonAdded(person_id=command.person_id, profile=command.profile, roles=sorted(set(command.roles)) or [ROLE_EMPLOYEE])
    added.add_time.FromDatetime(command.now)
    events: list[Event] = [added]
    if command.manager_id:
        if command.manager_id == command.person_id:
            raise Rejected("nobody is their own manager", "manager_id")
        events.append(ManagerAssigned(person_id=command.person_id, manager_id=command.manager_id))
    if command.password_hash:
        events.append(PasswordChanged(person_id=command.person_id, password_hash=command.password_hash))
    return events


def _import(command: ImportPerson, state: Person) -> list[Event]:
    if state.status == "erased":
        raise Rejected("this person was erased: nothing about them can be changed any more")
    person_id = command.person_id
    events: list[Event] = []
    if state.status == "absent":
        added = PersonAdded(person_id=person_id, profile=command.profile, roles=sorted(set(command.roles)) or [ROLE_EMPLOYEE])
        added.add_time.FromDatetime(command.now)
        events.append(added)
    else:
        profile, changed = merged(state.profile, command.profile, [name for name in command.fields if name != "left"])
        if changed:
            events.append(PersonProfileChanged(person_id=person_id, profile=profile, changed_fields=changed))
        events += [RoleGranted(person_id=person_id, role=role) for role in sorted(set(command.roles) - state.roles)]
    if command.external_key and command.external_key not in state.external_keys:
        events.append(ExternalKeyAdded(person_id=person_id, external_key=command.external_key))
    if command.photo_blob_id and command.photo_blob_id != state.photo_blob_id:
        events.append(PersonPhotoChanged(person_id=person_id, photo_blob_id=command.photo_blob_id))
    if command.left and state.status != "left":
        events.append(_left(person_id, command.now))
    elif state.status == "left" and not command.left and "left" in command.fields:
        # A source that names the role anew means it.
        events += _rejoin(person_id, command.now, frozenset() if ROLE_ADMINISTRATOR in command.roles else state.roles)
    return events


def _change_profile(command: ChangeProfile, state: Person) -> list[Event]:
    if command.version is not None and command.version != state.version:
        raise EditConflict("the profile was changed meanwhile: look at it again and repeat the edit", "etag")
    profile, changed = merged(state.profile, command.profile, command.fields)
    return [PersonProfileChanged(person_id=command.person_id, profile=profile, changed_fields=changed)] if changed else []


def _assign_manager(command: AssignManager, state: Person) -> list[Event]:
    if command.manager_id == state.manager_id:
        return []
    if command.manager_id == command.person_id:
        raise Rejected("nobody is their own manager", "manager_id")
    return [ManagerAssigned(person_id=command.person_id, manager_id=command.manager_id)]


def _password(command: InvitePerson | AcceptInvitation | RequestReset | ResetPassword | ChangePassword, state: Person) -> list[Event]:
    match command:
        case InvitePerson():
            if ROLE_BOT in state.roles:
                raise Rejected("a bot has no password: it acts by access tokens")
            if state.has_password:
                raise Rejected("this person has a password already: make a reset link instead")
            invited = PersonInvited(person_id=command.person_id, secret_hash=command.secret_hash)
            invited.expire_time.FromDatetime(command.expire_time)
            return [invited]
        case AcceptInvitation():
            _open([state.invitation] if state.invitation else [], command.secret_hash, command.now)
            return [
                InvitationAccepted(person_id=command.person_id),
                PasswordChanged(person_id=command.person_id, password_hash=command.password_hash),
            ]
        case RequestReset():
            requested = PasswordResetRequested(person_id=command.person_id, secret_hash=command.secret_hash)
            requested.expire_time.FromDatetime(command.expire_time)
            return [requested]
        case ResetPassword():
            _open(state.resets, command.secret_hash, command.now)
            # Whoever lost the password may have lost more: every app signs in anew, as every browser does.
            return [PasswordChanged(person_id=command.person_id, password_hash=command.password_hash, ends_apps=True)]
        case ChangePassword():
            if command.replaces != state.password_hash:
                if command.rehashed:
                    return []  # changed since it was checked: the new one is hashed as it should be
                raise Rejected("the password was changed meanwhile: sign in again", "current_password")
            changed = PasswordChanged(
                person_id=command.person_id, password_hash=command.password_hash, rehashed=command.rehashed, ends_apps=command.ends_apps
            )
            return [changed]
        case _:
            assert_never(command)


def _active(state: Person) -> None:
    if state.status != "active":
        raise Rejected("this person has left: reinstate them first")


def _open(links: Sequence[Link], secret_hash: str, now: datetime) -> None:
    if not any(link == secret_hash and now < expires for link, expires in links):
        raise NotFound("this link was used before or is past its time: ask for a new one")


def _left(person_id: str, now: datetime) -> PersonLeft:
    left = PersonLeft(person_id=person_id)
    left.leave_time.FromDatetime(now)
    return left


def _rejoin(person_id: str, now: datetime, roles: frozenset[Role.ValueType]) -> list[Event]:
    rejoined = PersonRejoined(person_id=person_id)
    rejoined.rejoin_time.FromDatetime(now)
    events: list[Event] = [rejoined]
    if ROLE_ADMINISTRATOR in roles:  # who comes back starts without the keys of the house
        if roles == {ROLE_ADMINISTRATOR}:
            events.append(RoleGranted(person_id=person_id, role=ROLE_EMPLOYEE))
        events.append(RoleRevoked(person_id=person_id, role=ROLE_ADMINISTRATOR))
    return events


def _utc(event: PersonInvited | PasswordResetRequested) -> datetime:
    return event.expire_time.ToDatetime(UTC)
