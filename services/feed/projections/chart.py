"""The organisation chart as the feed needs it: who stands above whom."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.identity.v1 import events_pb2 as identity


class Chart:
    """A row for each person and each who stands above them, themselves included. Identity sees to it that there are no cycles."""

    name = "feed.chart"
    handles: tuple[type[Message], ...] = (identity.PersonAdded, identity.ManagerAssigned)
    tables: tuple[str, ...] = ("chart_lines",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Move a person, with everybody below them, under their new manager."""
        match event.data:
            case identity.PersonAdded() as added:
                await tx.batch(
                    """
                    INSERT INTO chart_lines (manager_id, person_id) VALUES (:person_id, :person_id)
                    ON CONFLICT (manager_id, person_id) DO NOTHING
                    """,
                    person_id=added.person_id,
                )
            case identity.ManagerAssigned() as assigned:
                await tx.batch(
                    """
                    DELETE FROM chart_lines
                    WHERE person_id IN (SELECT person_id FROM chart_lines WHERE manager_id = :person_id)
                      AND manager_id IN (SELECT manager_id FROM chart_lines WHERE person_id = :person_id AND manager_id <> :person_id)
                    """,
                    person_id=assigned.person_id,
                )
                await tx.batch(
                    """
                    INSERT INTO chart_lines (manager_id, person_id)
                    SELECT above.manager_id, below.person_id
                    FROM chart_lines above
                    CROSS JOIN chart_lines below
                    WHERE above.person_id = :manager_id AND below.manager_id = :person_id
                    ON CONFLICT (manager_id, person_id) DO NOTHING
                    """,
                    person_id=assigned.person_id, manager_id=assigned.manager_id,
                )
