"""A community: its description, who may read it (open, closed, secret) and whether it is archived."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from libs.eventstore.model import EditConflict, InvalidArgument, NotFound, Rejected
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1.events_pb2 import CommunityArchived, CommunityChanged, CommunityCreated, CommunityUnarchived

from ..commands import ArchiveCommunity, ChangeCommunity, CommunityCommand, CreateCommunity, UnarchiveCommunity

Event = CommunityCreated | CommunityChanged | CommunityArchived | CommunityUnarchived

NAME_CHARACTERS = 100
DESCRIPTION_CHARACTERS = 1_000
RULES_CHARACTERS = 10_000
TAGS = 50


@dataclass(frozen=True, slots=True)
class Community:
    """The community as it is described; `version` counts its events."""

    exists: bool = False
    version: int = 0
    name: str = ""
    description: str = ""
    rules: str = ""
    kind: events_pb2.CommunityKind.ValueType = events_pb2.COMMUNITY_KIND_UNSPECIFIED
    tags: tuple[str, ...] = ()
    archived: bool = False


def initial() -> Community:
    """Before it is created."""
    return Community()


def decide(command: CommunityCommand, community: Community) -> list[Event]:
    """What happens to the community; raises Rejected with the limit that is passed."""
    if isinstance(command, CreateCommunity):
        return _create(command, community)
    if not community.exists:
        raise NotFound("there is no such community")
    match command:
        case ChangeCommunity():
            return _change(command, community)
        case ArchiveCommunity():
            if community.archived:
                return []
            archived = CommunityArchived(community_id=command.community_id)
            archived.archive_time.FromDatetime(command.now)
            return [archived]
        case UnarchiveCommunity():
            return [CommunityUnarchived(community_id=command.community_id)] if community.archived else []
        case _:
            assert_never(command)


def evolve(community: Community, event: Event) -> Community:
    """The community after the event."""
    version = community.version + 1
    match event:
        case CommunityCreated():
            return Community(True, version, event.name, event.description, event.rules, event.kind, tuple(event.tags))
        case CommunityChanged():
            return replace(
                community, version=version, name=event.name, description=event.description, rules=event.rules, kind=event.kind,
                tags=tuple(event.tags),
            )
        case CommunityArchived():
            return replace(community, version=version, archived=True)
        case CommunityUnarchived():
            return replace(community, version=version, archived=False)
        case _:
            assert_never(event)


def _create(command: CreateCommunity, community: Community) -> list[Event]:
    if community.exists:
        return []
    _check(Community(True, 0, command.name, command.description, command.rules, command.kind, command.tags))
    created = CommunityCreated(
        community_id=command.community_id, name=command.name, handle=command.handle, description=command.description,
        rules=command.rules, kind=command.kind, tags=command.tags, creator_id=command.creator_id, external_id=command.external_id,
    )
    created.create_time.FromDatetime(command.now)
    return [created]


def _change(command: ChangeCommunity, community: Community) -> list[Event]:
    if command.etag and command.etag != str(community.version):
        raise EditConflict("the community was changed meanwhile: look at it again, then make your change on it")
    if community.archived:
        raise Rejected("the community is archived: unarchive it before you change it")
    changed = replace(
        community,
        name=community.name if command.name is None else command.name,
        description=community.description if command.description is None else command.description,
        rules=community.rules if command.rules is None else command.rules,
        kind=community.kind if command.kind is None else command.kind,
        tags=community.tags if command.tags is None else command.tags,
    )
    if changed == community:
        return []
    _check(changed)
    return [CommunityChanged(
        community_id=command.community_id, name=changed.name, description=changed.description, rules=changed.rules, kind=changed.kind,
        tags=changed.tags,
    )]


def _check(community: Community) -> None:
    if not 1 <= len(community.name) <= NAME_CHARACTERS:
        raise InvalidArgument(f"a community's name has 1 to {NAME_CHARACTERS} characters", "name")
    if len(community.description) > DESCRIPTION_CHARACTERS:
        raise InvalidArgument(f"a description has at most {DESCRIPTION_CHARACTERS:,} characters: shorten it", "description")
    if len(community.rules) > RULES_CHARACTERS:
        raise InvalidArgument(f"the rules have at most {RULES_CHARACTERS:,} characters: shorten them", "rules")
    if len(community.tags) > TAGS:
        raise InvalidArgument(f"a community has at most {TAGS} tags", "tags")
    if community.kind not in (events_pb2.COMMUNITY_KIND_OPEN, events_pb2.COMMUNITY_KIND_CLOSED, events_pb2.COMMUNITY_KIND_SECRET):
        raise InvalidArgument("a community is open, closed or secret: choose one", "kind")
