"""Announcements, their versions, and what each person of the audience did with them."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1.announcement_events_pb2 import (
    AnnouncementConfirmed,
    AnnouncementCorrected,
    AnnouncementDismissed,
    AnnouncementEdited,
    AnnouncementOpened,
    AnnouncementPrepared,
    AnnouncementPublished,
    AnnouncementReminderAsked,
    AnnouncementShown,
    AudienceFrozen,
)
from watercooler.feed.v1.announcement_service_pb2 import REACH_FACT_CONFIRMED, REACH_FACT_OPENED, REACH_FACT_SHOWN
from watercooler.feed.v1.events_pb2 import AuthorErased, PostDeleted
from watercooler.feed.v1.moderation_events_pb2 import PostRestored

from ..access import scope_of
from ..deciders.announcement import REMINDERS

_FACTS = {"shown": REACH_FACT_SHOWN, "opened": REACH_FACT_OPENED, "confirmed": REACH_FACT_CONFIRMED}


class Announcements:
    """A row for each announcement, each version, each person of its audience, and each fact; and how many people there are of each kind."""

    name = "feed.announcements"
    handles: tuple[type[Message], ...] = (
        AnnouncementPrepared, AnnouncementPublished, AnnouncementEdited, AnnouncementCorrected, AnnouncementReminderAsked, AudienceFrozen,
        AnnouncementShown, AnnouncementOpened, AnnouncementConfirmed, AnnouncementDismissed, PostDeleted,
        PostRestored, AuthorErased,
    )
    tables: tuple[str, ...] = ("announcements", "announcement_versions", "receipts", "reach_tallies", "reach_facts")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the rows it is about."""
        match event.data:
            case AnnouncementPrepared() as prepared:
                await self._prepare(prepared, event.erased, tx)
            case AnnouncementPublished() as published:
                await self._publish(published, tx)
            case AnnouncementEdited() as edited:
                await _version(tx, edited, event.erased)
                await tx.batch(
                    "UPDATE announcements SET version = :version WHERE announcement_id = :announcement_id",
                    announcement_id=edited.announcement_id, version=edited.version,
                )
            case AnnouncementCorrected() as corrected:
                await _version(tx, corrected, event.erased)
                await tx.batch(
                    """
                    UPDATE announcements SET version = :version, right_since = :version WHERE announcement_id = :announcement_id
                    """,
                    announcement_id=corrected.announcement_id, version=corrected.version,
                )
            case AnnouncementReminderAsked() as asked:
                await self._remind(asked, tx)
            case AudienceFrozen() as frozen:
                await tx.execute_many(
                    """
                    INSERT INTO receipts (announcement_id, person_id, counted, shown, opened, confirmed, dismissed, first_version,
                                          shown_time, opened_time, confirmed_time)
                    VALUES (:announcement_id, :person_id, 1, 0, 0, 0, 0, 0, 0, 0, 0)
                    """,
                    [{"announcement_id": frozen.announcement_id, "person_id": person_id} for person_id in frozen.person_ids],
                )
            case AnnouncementShown() as shown:
                await _fact(tx, event, "shown", shown, shown.show_time.ToMicroseconds())
            case AnnouncementOpened() as opened:
                await _fact(tx, event, "opened", opened, opened.open_time.ToMicroseconds())
            case AnnouncementConfirmed() as confirmed:
                await _fact(tx, event, "confirmed", confirmed, confirmed.confirm_time.ToMicroseconds())
            case AnnouncementDismissed() as dismissed:
                await tx.batch(
                    """
                    UPDATE receipts SET dismissed = :version WHERE announcement_id = :announcement_id AND person_id = :person_id
                    """,
                    announcement_id=dismissed.announcement_id, person_id=dismissed.person_id, version=dismissed.version,
                )
            case PostDeleted() as deleted:
                await tx.batch(
                    "UPDATE announcements SET withdrawn = 1, next_reminder_time = 0 WHERE announcement_id = :post_id",
                    post_id=deleted.post_id,
                )
            case PostRestored() as restored:
                await tx.batch("UPDATE announcements SET withdrawn = 0 WHERE announcement_id = :post_id", post_id=restored.post_id)
            case AuthorErased() as erased:
                await self._erase(erased.person_id, tx)

    @staticmethod
    async def _prepare(prepared: AnnouncementPrepared, erased: bool, tx: Transaction) -> None:
        scope, scope_id = scope_of(prepared.audience)
        await tx.batch(
            """
            INSERT INTO announcements (announcement_id, author_id, scope, scope_id, urgency, deadline_time, remind_times,
                                       next_reminder_time, reminder_count, prepare_time, publish_time, version, right_since,
                                       audience_count, audience_digest, withdrawn, erased)
            VALUES (:announcement_id, :author_id, :scope, :scope_id, :urgency, :deadline_time, :remind_times,
                    0, 0, :prepare_time, 0, 1, 1, 0, '', 0, :erased)
            """,
            announcement_id=prepared.announcement_id, author_id=prepared.author_id, scope=scope, scope_id=scope_id,
            urgency=prepared.urgency, deadline_time=prepared.deadline.ToMicroseconds() if prepared.HasField("deadline") else 0,
            remind_times=" ".join(str(moment.ToMicroseconds()) for moment in prepared.remind_times),
            prepare_time=prepared.prepare_time.ToMicroseconds(), erased=int(erased),
        )
        await tx.batch(
            _INSERT_VERSION,
            announcement_id=prepared.announcement_id, version=1, title=prepared.title, body=prepared.body, language=prepared.language,
            what_was_wrong="", correction=0, editor_id=prepared.author_id, version_time=prepared.prepare_time.ToMicroseconds(),
            text_digest=prepared.text_digest,
        )

    @staticmethod
    async def _publish(published: AnnouncementPublished, tx: Transaction) -> None:
        row = await tx.fetch_one(
            "SELECT remind_times FROM announcements WHERE announcement_id = :announcement_id", announcement_id=published.announcement_id
        )
        times = row["remind_times"].split() if row is not None else []
        await tx.batch(
            """
            UPDATE announcements
            SET publish_time = :publish_time, audience_count = :audience_count, audience_digest = :audience_digest,
                next_reminder_time = CASE WHEN withdrawn = 1 THEN 0 ELSE CAST(:next_reminder_time AS BIGINT) END
            WHERE announcement_id = :announcement_id
            """,
            announcement_id=published.announcement_id, publish_time=published.publish_time.ToMicroseconds(),
            audience_count=published.audience_count, audience_digest=published.audience_digest,
            next_reminder_time=int(times[0]) if times else 0,
        )

    @staticmethod
    async def _remind(asked: AnnouncementReminderAsked, tx: Transaction) -> None:
        row = await tx.fetch_one(
            """
            SELECT remind_times, next_reminder_time FROM announcements WHERE announcement_id = :announcement_id
            """,
            announcement_id=asked.announcement_id,
        )
        if row is None:
            return
        following = row["next_reminder_time"]
        if asked.HasField("set_time"):
            done = asked.set_time.ToMicroseconds()
            following = next((int(moment) for moment in row["remind_times"].split() if int(moment) > done), 0)
        if asked.number >= REMINDERS:
            following = 0
        await tx.batch(
            """
            UPDATE announcements
            SET reminder_count = :number, next_reminder_time = CASE WHEN withdrawn = 1 THEN 0 ELSE CAST(:following AS BIGINT) END
            WHERE announcement_id = :announcement_id
            """,
            announcement_id=asked.announcement_id, number=asked.number, following=following,
        )

    @staticmethod
    async def _erase(person_id: str, tx: Transaction) -> None:
        await tx.batch("UPDATE announcements SET erased = 1 WHERE author_id = :person_id", person_id=person_id)
        await tx.batch(
            """
            UPDATE announcement_versions SET title = '', body = '', what_was_wrong = ''
            WHERE announcement_id IN (SELECT announcement_id FROM announcements WHERE author_id = :person_id)
            """,
            person_id=person_id,
        )


_INSERT_VERSION = """
    INSERT INTO announcement_versions (announcement_id, version, title, body, language, what_was_wrong, correction, editor_id,
                                       version_time, text_digest)
    VALUES (:announcement_id, :version, :title, :body, :language, :what_was_wrong, :correction, :editor_id, :version_time, :text_digest)
"""


async def _version(tx: Transaction, change: AnnouncementEdited | AnnouncementCorrected, erased: bool) -> None:
    correction = isinstance(change, AnnouncementCorrected)
    await tx.batch(
        _INSERT_VERSION,
        announcement_id=change.announcement_id, version=change.version, title=change.title, body=change.body, language=change.language,
        what_was_wrong=change.what_was_wrong if isinstance(change, AnnouncementCorrected) else "", correction=int(correction),
        editor_id=change.editor_id, text_digest=change.text_digest,
        version_time=(change.correct_time if isinstance(change, AnnouncementCorrected) else change.edit_time).ToMicroseconds(),
    )
    if erased:
        await tx.batch(
            "UPDATE announcements SET erased = 1 WHERE announcement_id = :announcement_id", announcement_id=change.announcement_id
        )


async def _fact(
    tx: Transaction, event: Recorded, fact: str, data: AnnouncementShown | AnnouncementOpened | AnnouncementConfirmed, time: int
) -> None:
    key = {"announcement_id": data.announcement_id, "person_id": data.person_id}
    row = await tx.fetch_one(
        """
        SELECT counted, shown, opened, confirmed, first_version, shown_time, opened_time, confirmed_time
        FROM receipts
        WHERE announcement_id = :announcement_id AND person_id = :person_id
        """,
        **key,
    )
    if row is None:
        await tx.batch(
            """
            INSERT INTO receipts (announcement_id, person_id, counted, shown, opened, confirmed, dismissed, first_version,
                                  shown_time, opened_time, confirmed_time)
            VALUES (:announcement_id, :person_id, 0, 0, 0, 0, 0, 0, 0, 0, 0)
            """,
            **key,
        )
        counted, before, seen, informed, first_time = 0, 0, 0, 0, 0
    else:
        counted, before, seen, first_time = row["counted"], row[fact], row["first_version"], row[f"{fact}_time"]
        informed = max(row["opened"], row["confirmed"])
    seen_now = min(seen, data.version) if seen else data.version
    informed_now = informed if fact == "shown" else max(informed, data.version)
    await tx.batch(
        f"""
        UPDATE receipts SET {fact} = :version, {fact}_time = :first_time, first_version = :seen
        WHERE announcement_id = :announcement_id AND person_id = :person_id
        """,
        version=data.version, first_time=first_time or time, seen=seen_now, **key,
    )
    changes: dict[tuple[str, int, int], int] = {}
    if counted:
        await tx.batch(
            """
            INSERT INTO reach_facts (announcement_id, position, person_id, fact, version, fact_time)
            VALUES (:announcement_id, :position, :person_id, :fact, :version, :fact_time)
            """,
            position=event.position, fact=_FACTS[fact], version=data.version, fact_time=time, **key,
        )
        if before:
            changes[(fact, 0, before)] = -1
        changes[(fact, 0, data.version)] = 1
    if (seen, informed) != (seen_now, informed_now):
        if seen:
            changes[("informed", seen, informed)] = -1
        changes[("informed", seen_now, informed_now)] = 1
    for (kind, first, version), change in changes.items():
        await tx.batch(
            """
            INSERT INTO reach_tallies (announcement_id, fact, seen, version, people)
            VALUES (:announcement_id, :fact, :seen, :version, :change)
            ON CONFLICT (announcement_id, fact, seen, version) DO UPDATE SET people = reach_tallies.people + excluded.people
            """,
            announcement_id=data.announcement_id, fact=kind, seen=first, version=version, change=change,
        )
