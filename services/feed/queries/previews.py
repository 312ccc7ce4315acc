"""Links that are still to be looked up."""
from __future__ import annotations

from dataclasses import dataclass

from libs.db.database import Transaction
from watercooler.feed.v1.feed_service_pb2 import Post


@dataclass(frozen=True, slots=True)
class Job:
    """The first link of a post as its text was in a version, and how often it was tried."""

    post_id: str
    version: int
    url: str
    attempts: int


async def text_of(tx: Transaction, post_id: str) -> tuple[Post, int] | None:
    """A post as it stands, whoever asks, and the version of its text."""
    row = await tx.fetch_one("SELECT card, version FROM posts WHERE post_id = :post_id AND hidden = 0", post_id=post_id)
    return (Post.FromString(bytes(row["card"])), row["version"]) if row is not None else None


async def note(tx: Transaction, post_id: str, version: int, url: str, now_micros: int) -> None:
    """Note a link; the same version again changes nothing."""
    await tx.execute(
        """
        INSERT INTO preview_jobs (post_id, version, url, attempts, due_time) VALUES (:post_id, :version, :url, 0, :now)
        ON CONFLICT (post_id) DO UPDATE
        SET version = excluded.version, url = excluded.url, attempts = 0, due_time = excluded.due_time
        WHERE preview_jobs.version <> excluded.version
        """,
        post_id=post_id, version=version, url=url, now=now_micros,
    )


async def due(tx: Transaction, now_micros: int, limit: int) -> list[Job]:
    """What is to be looked up now, the longest waiting first."""
    rows = await tx.fetch(
        """
        SELECT post_id, version, url, attempts FROM preview_jobs
        WHERE due_time <= :now
        ORDER BY due_time, post_id
        LIMIT :limit
        """,
        now=now_micros, limit=limit,
    )
    return [Job(row["post_id"], row["version"], row["url"], row["attempts"]) for row in rows]


async def count_attempt(tx: Transaction, job: Job, again_micros: int) -> None:
    """Note that a link is tried, and when it is due again unless this goes well."""
    await tx.execute(
        """
        UPDATE preview_jobs SET attempts = attempts + 1, due_time = :again
        WHERE post_id = :post_id AND version = :version
        """,
        post_id=job.post_id, version=job.version, again=again_micros,
    )


async def settle(tx: Transaction, job: Job) -> None:
    """The link is looked up, or has no preview."""
    await tx.execute("DELETE FROM preview_jobs WHERE post_id = :post_id AND version = :version", post_id=job.post_id, version=job.version)
