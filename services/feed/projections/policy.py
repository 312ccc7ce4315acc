"""The organisation's policy, the words communities watch for, and who accepted which guidelines."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1.policy_events_pb2 import GuidelinesAccepted, PolicyChanged, WatchChanged

POLICY_ID = "organization"


class Policies:
    """The state of each as it is now."""

    name = "feed.policy"
    handles: tuple[type[Message], ...] = (PolicyChanged, WatchChanged, GuidelinesAccepted)
    tables: tuple[str, ...] = ("policies", "watches", "acceptances")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the newest state."""
        match event.data:
            case PolicyChanged() as changed:
                card = PolicyChanged()
                card.CopyFrom(changed)
                for field in ("changer_id", "reason", "change_time"):
                    card.ClearField(field)
                await tx.batch(
                    """
                    INSERT INTO policies (policy_id, card, version) VALUES (:policy_id, :card, :version)
                    ON CONFLICT (policy_id) DO UPDATE SET card = excluded.card, version = excluded.version
                    """,
                    policy_id=POLICY_ID, card=card.SerializeToString(), version=event.version,
                )
            case WatchChanged() as watch:
                await tx.batch(
                    """
                    INSERT INTO watches (community_id, words, version) VALUES (:community_id, :words, :version)
                    ON CONFLICT (community_id) DO UPDATE SET words = excluded.words, version = excluded.version
                    """,
                    community_id=watch.community_id, words="\n".join(watch.words), version=event.version,
                )
            case GuidelinesAccepted() as accepted:
                await tx.batch(
                    """
                    INSERT INTO acceptances (person_id, guidelines_version, accept_time)
                    VALUES (:person_id, :guidelines_version, :accept_time)
                    ON CONFLICT (person_id) DO UPDATE
                    SET guidelines_version = excluded.guidelines_version, accept_time = excluded.accept_time
                    """,
                    person_id=accepted.person_id, guidelines_version=accepted.guidelines_version,
                    accept_time=accepted.accept_time.ToMicroseconds(),
                )
