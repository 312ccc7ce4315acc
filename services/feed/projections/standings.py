"""What the figures of engagement need to know of people: in which department they are, and who makes announcements."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.identity.v1 import events_pb2 as identity

# Bits of `announces`, so that one role may go while the other stays.
_ANNOUNCING = {identity.ROLE_COMMUNICATIONS: 1, identity.ROLE_LEADER: 2}


class Standings:
    """One row for each person. It stands apart from `people`, so that networks which had people before it fill it from the log."""

    name = "feed.standings"
    handles: tuple[type[Message], ...] = (
        identity.PersonAdded, identity.PersonProfileChanged, identity.RoleGranted, identity.RoleRevoked, identity.PersonErased,
    )
    tables: tuple[str, ...] = ("standings",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the row of its person."""
        match event.data:
            case identity.PersonAdded() as added:
                await tx.batch(
                    "INSERT INTO standings (person_id, department, announces) VALUES (:person_id, :department, :announces)",
                    person_id=added.person_id, department=_department(added.profile),
                    announces=sum({_ANNOUNCING.get(role, 0) for role in added.roles}),
                )
            case identity.PersonProfileChanged() as changed:
                await tx.batch(
                    "UPDATE standings SET department = :department WHERE person_id = :person_id",
                    person_id=changed.person_id, department=_department(changed.profile),
                )
            case identity.RoleGranted() as granted:
                await _set(tx, granted.person_id, _ANNOUNCING.get(granted.role, 0), True)
            case identity.RoleRevoked() as revoked:
                await _set(tx, revoked.person_id, _ANNOUNCING.get(revoked.role, 0), False)
            case identity.PersonErased() as erased:
                await tx.batch("UPDATE standings SET department = '' WHERE person_id = :person_id", person_id=erased.person_id)


class BotAccounts:
    """Which accounts are bots: what they do is nobody's activity."""

    name = "feed.bot_accounts"
    handles: tuple[type[Message], ...] = (identity.PersonAdded,)
    tables: tuple[str, ...] = ("bot_accounts",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Note a bot when its account is made; the role is never granted later, and never taken back."""
        match event.data:
            case identity.PersonAdded() as added if identity.ROLE_BOT in added.roles:
                await tx.batch("INSERT INTO bot_accounts (person_id) VALUES (:person_id)", person_id=added.person_id)


def _department(profile: identity.Profile) -> str:
    """One form of each name, however people write it."""
    return " ".join(profile.department.casefold().split())


async def _set(tx: Transaction, person_id: str, bit: int, held: bool) -> None:
    if not bit:
        return
    row = await tx.fetch_one("SELECT announces FROM standings WHERE person_id = :person_id", person_id=person_id)
    if row is not None:
        announces = row["announces"] | bit if held else row["announces"] & ~bit
        await tx.batch(
            "UPDATE standings SET announces = :announces WHERE person_id = :person_id", person_id=person_id, announces=announces
        )
