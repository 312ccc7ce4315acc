"""The words a community watches for."""
from __future__ import annotations

from dataclasses import dataclass

from libs.eventstore.model import EditConflict
from watercooler.feed.v1.policy_events_pb2 import WatchChanged

from ..commands.policy import ChangeWatch
from .policy import check_words

Event = WatchChanged


@dataclass(frozen=True, slots=True)
class Watch:
    """The words as they are; `version` counts their changes."""

    version: int = 0
    words: tuple[str, ...] = ()


def initial() -> Watch:
    """Nothing is watched for."""
    return Watch()


def decide(command: ChangeWatch, watch: Watch) -> list[Event]:
    """Replace the words; raises Rejected with the limit that is passed."""
    if command.etag and command.etag != str(watch.version):
        raise EditConflict("the words were changed meanwhile: look at them again, then make your change on them")
    check_words(command.words, "words")
    if command.words == watch.words:
        return []
    changed = WatchChanged(community_id=command.community_id, words=command.words, changer_id=command.changer_id)
    changed.change_time.FromDatetime(command.now)
    return [changed]


def evolve(watch: Watch, event: Event) -> Watch:
    """The words after the change."""
    return Watch(watch.version + 1, tuple(event.words))
