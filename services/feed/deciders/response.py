"""A response: what one person did with one post. Doing or undoing it twice is no news."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from libs.eventstore.model import InvalidArgument
from libs.text.emoji import is_emoji
from watercooler.feed.v1.events_pb2 import (
    PostReadConfirmed,
    PostSaved,
    PostUnsaved,
    ReactionAdded,
    ReactionRemoved,
    ThreadMuted,
    ThreadUnmuted,
)

from ..commands import AddReaction, ConfirmRead, MuteThread, RemoveReaction, ResponseCommand, SavePost, UnmuteThread, UnsavePost

Event = ReactionAdded | ReactionRemoved | PostSaved | PostUnsaved | PostReadConfirmed | ThreadMuted | ThreadUnmuted

EMOJI = 20


@dataclass(frozen=True, slots=True)
class Response:
    """What stands between the person and the post."""

    emoji: frozenset[str] = frozenset()
    saved: bool = False
    confirmed: bool = False
    muted: bool = False


def initial() -> Response:
    """Nothing done yet."""
    return Response()


def decide(command: ResponseCommand, response: Response) -> list[Event]:
    """What the person does; raises InvalidArgument for what is no emoji and past 20 different ones."""
    match command:
        case AddReaction():
            if command.emoji in response.emoji:
                return []
            if not is_emoji(command.emoji):
                raise InvalidArgument("a reaction is one emoji", "emoji")
            if len(response.emoji) >= EMOJI:
                raise InvalidArgument(f"a person gives one post at most {EMOJI} different emoji: take one back first", "emoji")
            added = ReactionAdded(post_id=command.post_id, person_id=command.person_id, emoji=command.emoji, imported=command.imported)
            added.react_time.FromDatetime(command.now)
            return [added]
        case RemoveReaction():
            if command.emoji not in response.emoji:
                return []
            return [ReactionRemoved(post_id=command.post_id, person_id=command.person_id, emoji=command.emoji)]
        case SavePost():
            if response.saved:
                return []
            saved = PostSaved(post_id=command.post_id, person_id=command.person_id)
            saved.save_time.FromDatetime(command.now)
            return [saved]
        case UnsavePost():
            return [PostUnsaved(post_id=command.post_id, person_id=command.person_id)] if response.saved else []
        case ConfirmRead():
            if response.confirmed:
                return []
            confirmed = PostReadConfirmed(post_id=command.post_id, person_id=command.person_id)
            confirmed.confirm_time.FromDatetime(command.now)
            return [confirmed]
        case MuteThread():
            return [] if response.muted else [ThreadMuted(post_id=command.post_id, person_id=command.person_id)]
        case UnmuteThread():
            return [ThreadUnmuted(post_id=command.post_id, person_id=command.person_id)] if response.muted else []
        case _:
            assert_never(command)


def evolve(response: Response, event: Event) -> Response:
    """The response after the event."""
    match event:
        case ReactionAdded():
            return replace(response, emoji=response.emoji | {event.emoji})
        case ReactionRemoved():
            return replace(response, emoji=response.emoji - {event.emoji})
        case PostSaved():
            return replace(response, saved=True)
        case PostUnsaved():
            return replace(response, saved=False)
        case PostReadConfirmed():
            return replace(response, confirmed=True)
        case ThreadMuted():
            return replace(response, muted=True)
        case ThreadUnmuted():
            return replace(response, muted=False)
        case _:
            assert_never(event)
