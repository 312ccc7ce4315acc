"""A membership: one person in one community, from the request to the leaving. That an owner remains is guarded by the projection."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, assert_never

from libs.eventstore.model import InvalidArgument, Rejected
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1.events_pb2 import (
    JoinRequestDeclined,
    JoinRequested,
    JoinRequestWithdrawn,
    MemberJoined,
    MemberLeft,
    MemberRemoved,
    MemberRoleChanged,
)

from ..commands import Admit, ApproveJoin, ChangeRole, DeclineJoin, Leave, MembershipCommand, RemoveMember, RequestJoin

Event = JoinRequested | JoinRequestDeclined | JoinRequestWithdrawn | MemberJoined | MemberRoleChanged | MemberLeft | MemberRemoved

_ROLES = (events_pb2.MEMBER_ROLE_MEMBER, events_pb2.MEMBER_ROLE_MODERATOR, events_pb2.MEMBER_ROLE_OWNER)


@dataclass(frozen=True, slots=True)
class Membership:
    """How the person stands to the community."""

    status: Literal["none", "requested", "member"] = "none"
    role: events_pb2.MemberRole.ValueType = events_pb2.MEMBER_ROLE_UNSPECIFIED


def initial() -> Membership:
    """A stranger."""
    return Membership()


def decide(command: MembershipCommand, membership: Membership) -> list[Event]:
    """What happens between the two."""
    ids: Any = {"community_id": command.community_id, "person_id": command.person_id}
    match command:
        case RequestJoin():
            if membership.status != "none":
                return []
            requested = JoinRequested(**ids)
            requested.request_time.FromDatetime(command.now)
            return [requested]
        case DeclineJoin():
            if membership.status == "member":
                raise Rejected("they are a member already: remove them instead")
            return [JoinRequestDeclined(**ids, decider_id=command.decider_id)] if membership.status == "requested" else []
        case ApproveJoin():
            if membership.status == "none":
                raise Rejected("there is no join request of theirs any more: add them as a member instead")
            if membership.status == "member":
                return []
            return [_joined(ids, events_pb2.MEMBER_ROLE_MEMBER, command.decider_id, command)]
        case Admit():
            if membership.status == "member":
                return []
            _check_role(command.role)
            return [_joined(ids, command.role, command.admitter_id, command)]
        case ChangeRole():
            _check_role(command.role)
            if membership.status != "member":
                raise Rejected("they are no member: add them first")
            return [MemberRoleChanged(**ids, role=command.role)] if membership.role != command.role else []
        case Leave():
            if membership.status == "requested":
                return [JoinRequestWithdrawn(**ids)]
            return [MemberLeft(**ids)] if membership.status == "member" else []
        case RemoveMember():
            if membership.status == "requested":
                return [JoinRequestDeclined(**ids, decider_id=command.remover_id)]
            return [MemberRemoved(**ids, remover_id=command.remover_id)] if membership.status == "member" else []
        case _:
            assert_never(command)


def evolve(membership: Membership, event: Event) -> Membership:
    """The membership after the event."""
    match event:
        case JoinRequested():
            return Membership("requested")
        case MemberJoined() | MemberRoleChanged():
            return Membership("member", event.role)
        case JoinRequestDeclined() | JoinRequestWithdrawn() | MemberLeft() | MemberRemoved():
            return Membership()
        case _:
            assert_never(event)


def _joined(ids: Any, role: events_pb2.MemberRole.ValueType, admitter_id: str, command: ApproveJoin | Admit) -> MemberJoined:
    joined = MemberJoined(**ids, role=role, admitter_id=admitter_id, imported=isinstance(command, Admit) and command.imported)
    joined.join_time.FromDatetime(command.now)
    return joined


def _check_role(role: events_pb2.MemberRole.ValueType) -> None:
    if role not in _ROLES:
        raise InvalidArgument("a role is member, moderator or owner: choose one", "role")
