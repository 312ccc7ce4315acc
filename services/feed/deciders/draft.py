"""A draft: kept for its author until it is published or thrown away."""
from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, assert_never

from libs.eventstore.model import EditConflict, InvalidArgument, NotFound, Rejected
from watercooler.feed.v1.drafting_events_pb2 import (
    DraftContent,
    DraftDiscarded,
    DraftPublished,
    DraftSaved,
    DraftScheduled,
    DraftUnscheduled,
)

from ..commands.drafting import DiscardDraft, DraftCommand, PublishDraft, SaveDraft, ScheduleDraft, UnscheduleDraft
from .post import BODY_CHARACTERS

Event = DraftSaved | DraftScheduled | DraftUnscheduled | DraftPublished | DraftDiscarded

CONTENT_BYTES = 100_000
REASON_CHARACTERS = 1_000
SOONEST = timedelta(minutes=5)
LATEST = timedelta(days=731)
# What passes between asking and deciding: five minutes sharp is soon enough.
_SLACK = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Draft:
    """The draft; `version` counts its events; `publish_micros` is 0 when it is not scheduled."""

    status: Literal["absent", "kept", "published", "discarded"] = "absent"
    version: int = 0
    author_id: str = ""
    content: DraftContent | None = None
    publish_micros: int = 0
    post_id: str = ""


def initial() -> Draft:
    """Before its first save."""
    return Draft()


def decide(command: DraftCommand, draft: Draft) -> list[Event]:
    """What happens; a draft exists for its author only."""
    if draft.status != "absent" and draft.author_id != command.author_id:
        raise NotFound("you keep no such draft")
    if draft.status == "absent" and not isinstance(command, SaveDraft):
        raise NotFound("you keep no such draft")
    match command:
        case SaveDraft():
            _check_kept(draft)
            if command.etag and command.etag != str(draft.version):
                raise EditConflict("the draft was changed meanwhile, perhaps on another device: look at it, then make your change")
            _check(command.content)
            if command.content == draft.content:
                return []
            saved = DraftSaved(draft_id=command.draft_id, author_id=command.author_id, content=command.content)
            saved.save_time.FromDatetime(command.now)
            return [saved]
        case ScheduleDraft():
            _check_kept(draft)
            wait = command.publish_time - command.now
            if not SOONEST - _SLACK <= wait <= LATEST:
                raise InvalidArgument("schedule a post for a time from 5 minutes to 2 years ahead, or publish it now", "publish_time")
            scheduled = DraftScheduled(draft_id=command.draft_id, author_id=command.author_id)
            scheduled.publish_time.FromDatetime(command.publish_time)
            return [] if scheduled.publish_time.ToMicroseconds() == draft.publish_micros else [scheduled]
        case UnscheduleDraft():
            if draft.status != "kept" or not draft.publish_micros:
                return []
            return [
                DraftUnscheduled(draft_id=command.draft_id, author_id=command.author_id, reason=command.reason[:REASON_CHARACTERS])
            ]
        case PublishDraft():
            if draft.status == "published":
                return []
            return [DraftPublished(draft_id=command.draft_id, author_id=command.author_id, post_id=command.post_id)]
        case DiscardDraft():
            return [DraftDiscarded(draft_id=command.draft_id, author_id=command.author_id)] if draft.status == "kept" else []
        case _:
            assert_never(command)


def evolve(draft: Draft, event: Event) -> Draft:
    """The draft after the event."""
    draft = replace(draft, version=draft.version + 1)
    match event:
        case DraftSaved():
            return replace(draft, status="kept", author_id=event.author_id, content=event.content)
        case DraftScheduled():
            return replace(draft, publish_micros=event.publish_time.ToMicroseconds())
        case DraftUnscheduled():
            return replace(draft, publish_micros=0)
        case DraftPublished():
            return replace(draft, status="published", content=None, publish_micros=0, post_id=event.post_id)
        case DraftDiscarded():
            return replace(draft, status="discarded", content=None, publish_micros=0)
        case _:
            assert_never(event)


def _check_kept(draft: Draft) -> None:
    if draft.status == "published":
        raise Rejected("this draft was published already: edit the post, or write a new one")
    if draft.status == "discarded":
        raise Rejected("this draft was thrown away: write a new one")


def _check(content: DraftContent) -> None:
    if not (content.body.strip() or content.attachments or content.warning.strip() or any(content.poll.options)):
        raise InvalidArgument("a draft needs some text, a picture or a poll", "content")
    if len(content.body) > BODY_CHARACTERS:
        raise InvalidArgument(f"a text has at most {BODY_CHARACTERS:,} characters, this one {len(content.body):,}: shorten it", "content")
    if content.ByteSize() > CONTENT_BYTES:
        raise InvalidArgument(f"a draft takes at most {CONTENT_BYTES:,} bytes with all that belongs to it: leave something out", "content")
    if content.poll_seconds < 0:
        raise InvalidArgument("a poll is open for some time, which is not negative", "content")
