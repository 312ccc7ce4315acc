"""The organisation's policy as it is now."""
from __future__ import annotations

from dataclasses import dataclass

from libs.db.database import Reader
from watercooler.feed.v1.policy_events_pb2 import PolicyChanged

from ..deciders.policy import DEFAULT_VALUES


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds in the organisation; the defaults are what holds while nobody has changed anything.

    `guidelines` is Markdown; `guidelines_version` is 0 while there never were any; `version` is the etag's number.
    """

    guidelines: str = ""
    values: tuple[str, ...] = DEFAULT_VALUES
    anonymous_questions: bool = True
    blocking_allowed: bool = True
    guidelines_version: int = 0
    guidelines_required: bool = False
    watched_words: tuple[str, ...] = ()
    version: int = 0


async def fetch_policy(tx: Reader) -> Policy:
    """The policy; one short statement."""
    row = await tx.fetch_one("SELECT card, version FROM policies WHERE policy_id = 'organization'")
    if row is None:
        return Policy()
    card = PolicyChanged.FromString(bytes(row["card"]))
    return Policy(
        card.guidelines, tuple(card.values), card.anonymous_questions, card.blocking_allowed, card.guidelines_version,
        card.guidelines_required, tuple(card.watched_words), row["version"],
    )


async def accepted_version(tx: Reader, person_id: str) -> int:
    """The version of the guidelines that a person accepted last; 0: none."""
    row = await tx.fetch_one("SELECT guidelines_version FROM acceptances WHERE person_id = :person_id", person_id=person_id)
    return int(row["guidelines_version"]) if row else 0


async def fetch_watch(tx: Reader, community_id: str) -> tuple[tuple[str, ...], int]:
    """The words a community watches for, and the version of the list."""
    row = await tx.fetch_one("SELECT words, version FROM watches WHERE community_id = :community_id", community_id=community_id)
    return (tuple(row["words"].split("\n")) if row["words"] else (), row["version"]) if row else ((), 0)
