"""The mention of communities and groups in one post: each member is told of it once."""
from __future__ import annotations

from dataclasses import dataclass

from watercooler.feed.v1.mention_events_pb2 import MembersMentioned

from ..commands.mentions import MentionCommand

Event = MembersMentioned

PEOPLE_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Mention:
    """Who was told."""

    person_ids: frozenset[str] = frozenset()


def initial() -> Mention:
    """Nobody."""
    return Mention()


def decide(command: MentionCommand, mention: Mention) -> list[Event]:
    """Tell those who were not."""
    new = [each for each in dict.fromkeys(command.person_ids) if each not in mention.person_ids and each != command.author_id]
    if not new:
        return []
    told = MembersMentioned(post_id=command.post_id, author_id=command.author_id, person_ids=new[:PEOPLE_AT_ONCE])
    told.mention_time.FromDatetime(command.now)
    return [told]


def evolve(mention: Mention, event: Event) -> Mention:
    """The mention after the event."""
    return Mention(mention.person_ids | set(event.person_ids))
