"""Every statement on the gateway's tables: sessions, and the answers to requests that may be repeated."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from libs.db.database import Row, Transaction, in_list


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in device; `seen_time` is true to five minutes."""

    session_id: str
    person_id: str
    create_time: datetime
    seen_time: datetime
    expire_time: datetime
    user_agent: str
    address: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered; `status` is 0 while nothing has been."""

    fingerprint: str
    status: int
    media_type: str
    headers: str
    body: bytes
    create_micros: int


def _time(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)


def _session(row: Row) -> Session:
    return Session(
        row["session_id"], row["person_id"], _time(row["create_time"]), _time(row["seen_time"]), _time(row["expire_time"]),
        row["user_agent"], row["address"],
    )


async def add_session(
    tx: Transaction, session_id: str, secret_hash: str, person_id: str, now: int, expire: int, user_agent: str, address: str
) -> None:
    """Remember a session from now on."""
    await tx.execute(
        """
        INSERT INTO sessions (session_id, secret_hash, person_id, create_time, seen_time, expire_time, user_agent, address)
        VALUES (:session_id, :secret_hash, :person_id, :now, :now, :expire, :user_agent, :address)
        """,
        session_id=session_id, secret_hash=secret_hash, person_id=person_id, now=now, expire=expire, user_agent=user_agent, address=address,
    )


async def session_by_hash(tx: Transaction, secret_hash: str, now: int) -> Session | None:
    """The session of a cookie, unless it has expired."""
    row = await tx.fetch_one(
        "SELECT * FROM sessions WHERE secret_hash = :secret_hash AND expire_time > :now", secret_hash=secret_hash, now=now
    )
    return _session(row) if row else None


async def touch_session(tx: Transaction, session_id: str, now: int, expire: int) -> None:
    """The session was used: it lives on."""
    await tx.execute(
        "UPDATE sessions SET seen_time = :now, expire_time = :expire WHERE session_id = :session_id",
        session_id=session_id, now=now, expire=expire,
    )


async def sessions_of(tx: Transaction, person_id: str, after: str, limit: int, now: int) -> list[Session]:
    """A person's sessions, newest first, older than the one named."""
    rows = await tx.fetch(
        """
        SELECT * FROM sessions
        WHERE person_id = :person_id AND expire_time > :now AND session_id < :after
        ORDER BY session_id DESC
        LIMIT :limit
        """,
        person_id=person_id, after=after or "~", limit=limit, now=now,
    )
    return [_session(row) for row in rows]


async def all_sessions(tx: Transaction, after: str, limit: int, now: int) -> list[Session]:
    """Everybody's sessions, newest first, older than the one named."""
    rows = await tx.fetch(
        """
        SELECT * FROM sessions
        WHERE expire_time > :now AND session_id < :after
        ORDER BY session_id DESC
        LIMIT :limit
        """,
        after=after or "~", limit=limit, now=now,
    )
    return [_session(row) for row in rows]


async def expired_sessions(tx: Transaction, now: int) -> list[Session]:
    """Sessions that have expired and wait to be deleted, 1,000 at most."""
    rows = await tx.fetch("SELECT * FROM sessions WHERE expire_time <= :now ORDER BY session_id LIMIT 1000", now=now)
    return [_session(row) for row in rows]


async def session_by_id(tx: Transaction, session_id: str) -> Session | None:
    """A session by its id."""
    row = await tx.fetch_one("SELECT * FROM sessions WHERE session_id = :session_id", session_id=session_id)
    return _session(row) if row else None


async def delete_session(tx: Transaction, session_id: str) -> int:
    """End a session; answers how many there were."""
    return await tx.execute("DELETE FROM sessions WHERE session_id = :session_id", session_id=session_id)


async def delete_sessions_of(tx: Transaction, person_id: str, keep: str, created_until: int) -> int:
    """End a person's sessions begun until a time, but for one; answers how many there were."""
    return await tx.execute(
        "DELETE FROM sessions WHERE person_id = :person_id AND session_id <> :keep AND create_time <= :created_until",
        person_id=person_id, keep=keep, created_until=created_until,
    )


async def delete_expired(tx: Transaction, now: int, answers_before: int) -> int:
    """Forget expired sessions, old answers and pictures that nobody posted."""
    ended = await tx.execute("DELETE FROM sessions WHERE expire_time <= :now", now=now)
    await tx.execute("DELETE FROM uploads WHERE create_time < :before", before=answers_before)
    return ended + await tx.execute("DELETE FROM answered_requests WHERE create_time < :before", before=answers_before)


async def answer(tx: Transaction, request_key: str) -> Answer | None:
    """What a request was answered, or that it is being answered."""
    row = await tx.fetch_one("SELECT * FROM answered_requests WHERE request_key = :key", key=request_key)
    if row is None:
        return None
    return Answer(row["fingerprint"], row["status"], row["media_type"], row["headers"], bytes(row["body"]), row["create_time"])


async def begin_answer(tx: Transaction, request_key: str, person_id: str, fingerprint: str, now: int) -> None:
    """A request is being answered; takes the place of what was there."""
    await tx.execute(
        """
        INSERT INTO answered_requests (request_key, person_id, fingerprint, status, media_type, headers, body, create_time)
        VALUES (:key, :person_id, :fingerprint, 0, '', '', :body, :now)
        ON CONFLICT (request_key) DO UPDATE SET
            fingerprint = excluded.fingerprint, status = 0, media_type = '', headers = '', body = excluded.body,
            create_time = excluded.create_time
        """,
        key=request_key, person_id=person_id, fingerprint=fingerprint, body=b"", now=now,
    )


async def finish_answer(tx: Transaction, request_key: str, status: int, media_type: str, headers: str, body: bytes) -> None:
    """Keep what a request was answered."""
    await tx.execute(
        """
        UPDATE answered_requests SET status = :status, media_type = :media_type, headers = :headers, body = :body
        WHERE request_key = :key
        """,
        key=request_key, status=status, media_type=media_type, headers=headers, body=body,
    )


async def drop_answer(tx: Transaction, request_key: str) -> None:
    """Forget a request, so that it may be tried again."""
    await tx.execute("DELETE FROM answered_requests WHERE request_key = :key", key=request_key)


async def delete_answers(tx: Transaction, created_until: int) -> None:
    """Forget what anybody was answered to requests that came until a time; those still being answered stay."""
    await tx.execute("DELETE FROM answered_requests WHERE status <> 0 AND create_time <= :created_until", created_until=created_until)


async def add_visits(tx: Transaction, visits: Sequence[tuple[int, str]]) -> None:
    """Note on which days (since 1970, UTC) which people were here."""
    await tx.execute_many(
        "INSERT INTO visits (day, person_id) VALUES (:day, :person_id) ON CONFLICT (day, person_id) DO NOTHING",
        # In one order, so that processes which note the same visits at once wait for each other and not in a circle.
        [{"day": day, "person_id": person_id} for day, person_id in sorted(visits)],
    )


async def count_visitors(tx: Transaction, since_day: int) -> int:
    """How many people were here on that day or later."""
    row = await tx.fetch_one("SELECT COUNT(DISTINCT person_id) AS people FROM visits WHERE day >= :since", since=since_day)
    return int(row["people"]) if row is not None else 0


async def delete_visits(tx: Transaction, until_day: int) -> None:
    """Forget the visits of that day and before."""
    await tx.execute("DELETE FROM visits WHERE day <= :until", until=until_day)


async def delete_visits_of(tx: Transaction, person_id: str) -> None:
    """Forget on which days a person was here."""
    await tx.execute("DELETE FROM visits WHERE person_id = :person_id", person_id=person_id)


async def add_thumbnail(tx: Transaction, blob_id: str, thumbnail_id: str, now: int) -> None:
    """Remember the small form of an image."""
    await tx.execute(
        """
        INSERT INTO thumbnails (blob_id, thumbnail_id, create_time) VALUES (:blob_id, :thumbnail_id, :now)
        ON CONFLICT (blob_id) DO UPDATE SET thumbnail_id = excluded.thumbnail_id
        """,
        blob_id=blob_id, thumbnail_id=thumbnail_id, now=now,
    )


async def thumbnails(tx: Transaction, after: str, limit: int) -> list[tuple[str, str]]:
    """Images with their small forms, in order, past an image."""
    rows = await tx.fetch(
        "SELECT blob_id, thumbnail_id FROM thumbnails WHERE blob_id > :after ORDER BY blob_id LIMIT :limit", after=after, limit=limit
    )
    return [(row["blob_id"], row["thumbnail_id"]) for row in rows]


async def delete_thumbnail(tx: Transaction, blob_id: str) -> None:
    """Forget the small form of an image."""
    await tx.execute("DELETE FROM thumbnails WHERE blob_id = :blob_id", blob_id=blob_id)


async def thumbnail_used(tx: Transaction, thumbnail_id: str, besides: str) -> bool:
    """Whether a blob is the small form of some image besides one."""
    row = await tx.fetch_one(
        "SELECT 1 AS one FROM thumbnails WHERE thumbnail_id = :id AND blob_id <> :besides LIMIT 1", id=thumbnail_id, besides=besides
    )
    return row is not None


async def thumbnail(tx: Transaction, blob_id: str) -> str:
    """The small form of an image; empty where there is none yet."""
    row = await tx.fetch_one("SELECT thumbnail_id FROM thumbnails WHERE blob_id = :blob_id", blob_id=blob_id)
    return str(row["thumbnail_id"]) if row else ""


# --- what clients of Mastodon's API leave behind ----------------------------------------------------------------------


class Upload(NamedTuple):
    """A picture that is uploaded and not yet posted."""

    blob_id: str
    media_type: str
    size_bytes: int
    width: int
    height: int
    description: str


async def keep_upload(tx: Transaction, person_id: str, upload: Upload, now: int) -> None:
    """Remember a picture until it is posted; the same picture once more takes the place of the first."""
    await tx.execute(
        """
        INSERT INTO uploads (person_id, blob_id, media_type, size_bytes, width, height, description, create_time)
        VALUES (:person_id, :blob_id, :media_type, :size_bytes, :width, :height, :description, :now)
        ON CONFLICT (person_id, blob_id) DO UPDATE SET description = excluded.description, create_time = excluded.create_time
        """,
        person_id=person_id, now=now, **upload._asdict(),
    )


async def uploads(tx: Transaction, person_id: str, blob_ids: Sequence[str]) -> list[Upload]:
    """Those of the pictures that the person uploaded."""
    names, values = in_list("blob", blob_ids)
    rows = await tx.fetch(
        f"""
        SELECT blob_id, media_type, size_bytes, width, height, description
        FROM uploads
        WHERE person_id = :person_id AND blob_id IN ({names})
        """,
        person_id=person_id, **values,
    )
    return [
        Upload(row["blob_id"], row["media_type"], row["size_bytes"], row["width"], row["height"], row["description"]) for row in rows
    ]


async def drop_upload(tx: Transaction, person_id: str, blob_id: str) -> None:
    """Forget a picture."""
    await tx.execute(
        "DELETE FROM uploads WHERE person_id = :person_id AND blob_id = :blob_id", person_id=person_id, blob_id=blob_id
    )


class Dismissed(NamedTuple):
    """Notifications that are not given to clients again: all up to a position, and single ones after it."""

    cleared_position: int
    positions: frozenset[int]


async def dismissed(tx: Transaction, person_id: str) -> Dismissed:
    """What a person's clients cleared and dismissed."""
    rows = await tx.fetch("SELECT position, cleared FROM dismissed WHERE person_id = :person_id", person_id=person_id)
    cleared = max((row["position"] for row in rows if row["cleared"]), default=0)
    return Dismissed(cleared, frozenset(row["position"] for row in rows if row["position"] > cleared))


async def clear_notifications(tx: Transaction, person_id: str, position: int, now: int) -> None:
    """All up to a position; the single ones before it need not be remembered any more."""
    await tx.execute("DELETE FROM dismissed WHERE person_id = :person_id AND position <= :position", person_id=person_id, position=position)
    await tx.execute(
        "INSERT INTO dismissed (person_id, position, cleared, create_time) VALUES (:person_id, :position, 1, :now)",
        person_id=person_id, position=position, now=now,
    )


async def dismiss_notification(tx: Transaction, person_id: str, position: int, now: int) -> None:
    """One."""
    await tx.execute(
        """
        INSERT INTO dismissed (person_id, position, cleared, create_time) VALUES (:person_id, :position, 0, :now)
        ON CONFLICT (person_id, position) DO NOTHING
        """,
        person_id=person_id, position=position, now=now,
    )


async def delete_left_behind(tx: Transaction, person_id: str) -> None:
    """Forget all of it of a person."""
    await tx.execute("DELETE FROM uploads WHERE person_id = :person_id", person_id=person_id)
    await tx.execute("DELETE FROM dismissed WHERE person_id = :person_id", person_id=person_id)
