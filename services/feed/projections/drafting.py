"""Drafts, for their authors alone."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1.drafting_events_pb2 import DraftDiscarded, DraftPublished, DraftSaved, DraftScheduled, DraftUnscheduled
from watercooler.feed.v1.events_pb2 import AuthorErased


class Drafts:
    """One row for each draft that is kept."""

    name = "feed.drafts"
    handles: tuple[type[Message], ...] = (DraftSaved, DraftScheduled, DraftUnscheduled, DraftPublished, DraftDiscarded, AuthorErased)
    tables: tuple[str, ...] = ("drafts",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the draft's row."""
        match event.data:
            case DraftSaved() as saved:
                await tx.batch(
                    """
                    INSERT INTO drafts (draft_id, author_id, content, save_time, publish_time, failure, version)
                    VALUES (:draft_id, :author_id, :content, :save_time, 0, '', :version)
                    ON CONFLICT (draft_id) DO UPDATE
                    SET content = excluded.content, save_time = excluded.save_time, failure = '', version = excluded.version
                    """,
                    draft_id=saved.draft_id, author_id=saved.author_id, content=saved.content.SerializeToString(),
                    save_time=saved.save_time.ToMicroseconds(), version=event.version,
                )
            case DraftScheduled() as scheduled:
                await _time(tx, scheduled.draft_id, scheduled.publish_time.ToMicroseconds(), "", event.version)
            case DraftUnscheduled() as unscheduled:
                await _time(tx, unscheduled.draft_id, 0, unscheduled.reason, event.version)
            case DraftPublished() | DraftDiscarded() as gone:
                await tx.batch("DELETE FROM drafts WHERE draft_id = :draft_id", draft_id=gone.draft_id)
            case AuthorErased() as erased:
                await tx.batch("DELETE FROM drafts WHERE author_id = :person_id", person_id=erased.person_id)


async def _time(tx: Transaction, draft_id: str, publish_time: int, failure: str, version: int) -> None:
    await tx.batch(
        "UPDATE drafts SET publish_time = :publish_time, failure = :failure, version = :version WHERE draft_id = :draft_id",
        draft_id=draft_id, publish_time=publish_time, failure=failure, version=version,
    )
