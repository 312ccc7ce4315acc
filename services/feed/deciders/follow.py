"""A follow: one person's subscription to another person or to a tag."""
from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from libs.eventstore.model import InvalidArgument
from watercooler.feed.v1.events_pb2 import PersonFollowed, PersonUnfollowed, TagFollowed, TagUnfollowed

from ..commands import FollowCommand, FollowPerson, FollowTag, UnfollowPerson, UnfollowTag

Event = PersonFollowed | PersonUnfollowed | TagFollowed | TagUnfollowed


@dataclass(frozen=True, slots=True)
class Follow:
    """Whether it stands."""

    following: bool = False


def initial() -> Follow:
    """Not followed."""
    return Follow()


def decide(command: FollowCommand, follow: Follow) -> list[Event]:
    """What happens; nobody follows themselves."""
    match command:
        case FollowPerson():
            if command.follower_id == command.person_id:
                raise InvalidArgument("your own posts are in your timeline anyway: follow somebody else", "person_id")
            if follow.following:
                return []
            person = PersonFollowed(follower_id=command.follower_id, person_id=command.person_id)
            person.follow_time.FromDatetime(command.now)
            return [person]
        case UnfollowPerson():
            return [PersonUnfollowed(follower_id=command.follower_id, person_id=command.person_id)] if follow.following else []
        case FollowTag():
            if follow.following:
                return []
            tag = TagFollowed(follower_id=command.follower_id, tag=command.tag)
            tag.follow_time.FromDatetime(command.now)
            return [tag]
        case UnfollowTag():
            return [TagUnfollowed(follower_id=command.follower_id, tag=command.tag)] if follow.following else []
        case _:
            assert_never(command)


def evolve(follow: Follow, event: Event) -> Follow:
    """The follow after the event."""
    match event:
        case PersonFollowed() | TagFollowed():
            return Follow(following=True)
        case PersonUnfollowed() | TagUnfollowed():
            return Follow(following=False)
        case _:
            assert_never(event)
