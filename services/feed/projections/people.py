"""What identity says of people and of the groups of the directory."""
from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from libs.db.database import Row, Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1.feed_service_pb2 import Author
from watercooler.identity.v1 import events_pb2 as identity


class People:
    """One row per person, with the card that posts show of them."""

    name = "feed.people"
    handles: tuple[type[Message], ...] = (
        identity.PersonAdded, identity.PersonProfileChanged, identity.ExternalKeyAdded, identity.PersonPhotoChanged, identity.RoleGranted,
        identity.RoleRevoked, identity.PersonLeft, identity.PersonRejoined, identity.PersonErased,
    )
    tables: tuple[str, ...] = ("people", "external_keys")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the row of its person."""
        match event.data:
            case identity.PersonAdded() as added:
                row = {
                    "person_id": added.person_id, "photo_blob_id": "", "employee": int(identity.ROLE_EMPLOYEE in added.roles),
                    # Bots are told only of what names them, and no announcement counts them.
                    "guest": int(identity.ROLE_GUEST in added.roles or identity.ROLE_BOT in added.roles), "departed": 0, "erased": 0,
                    **_facts(added.profile),
                }
                await tx.batch(
                    """
                    INSERT INTO people (person_id, display_name, handle, email, employee_number, title, photo_blob_id,
                                        employee, guest, departed, erased, card)
                    VALUES (:person_id, :display_name, :handle, :email, :employee_number, :title, :photo_blob_id,
                            :employee, :guest, :departed, :erased, :card)
                    """,
                    **row, card=_card(row, identity.ROLE_BOT in added.roles),
                )
            case identity.PersonProfileChanged() as changed:
                await _change(tx, changed.person_id, **_facts(changed.profile))
            case identity.ExternalKeyAdded() as known:
                if known.external_key:
                    await tx.batch(
                        """
                        INSERT INTO external_keys (external_key, bare_key, person_id) VALUES (:external_key, :bare_key, :person_id)
                        ON CONFLICT (external_key) DO UPDATE SET person_id = excluded.person_id
                        """,
                        external_key=known.external_key, bare_key=known.external_key.partition(":")[2], person_id=known.person_id,
                    )
            case identity.PersonPhotoChanged() as photo:
                await _change(tx, photo.person_id, photo_blob_id=photo.photo_blob_id)
            case identity.RoleGranted() as granted:
                await _change(tx, granted.person_id, **_role(granted.role, 1))
            case identity.RoleRevoked() as revoked:
                await _change(tx, revoked.person_id, **_role(revoked.role, 0))
            case identity.PersonLeft() as left:
                await _change(tx, left.person_id, departed=1)
            case identity.PersonRejoined() as rejoined:
                await _change(tx, rejoined.person_id, departed=0)
            case identity.PersonErased() as erased:
                await _change(
                    tx, erased.person_id, display_name="", handle="", email="", employee_number="", title="", photo_blob_id="", erased=1
                )
                await tx.batch("DELETE FROM external_keys WHERE person_id = :person_id", person_id=erased.person_id)


def _facts(profile: identity.Profile) -> dict[str, str]:
    return {
        "display_name": profile.preferred_name or profile.name, "handle": profile.handle.casefold(), "email": profile.email.casefold(),
        "employee_number": profile.employee_number, "title": profile.title,
    }


def _role(role: identity.Role.ValueType, held: int) -> dict[str, int]:
    if role == identity.ROLE_EMPLOYEE:
        return {"employee": held}
    return {"guest": held} if role == identity.ROLE_GUEST else {}


def _card(row: dict[str, Any], is_bot: bool) -> bytes:
    return Author(
        person_id=row["person_id"], display_name=row["display_name"], handle=row["handle"], title=row["title"],
        photo_blob_id=row["photo_blob_id"], left=bool(row["departed"]), erased=bool(row["erased"]), bot=is_bot,
    ).SerializeToString()


async def _change(tx: Transaction, person_id: str, **changes: str | int) -> None:
    if not changes:
        return
    found: Row | None = await tx.fetch_one(
        """
        SELECT person_id, display_name, handle, email, employee_number, title, photo_blob_id, employee, guest, departed, erased,
               card
        FROM people
        WHERE person_id = :person_id
        """,
        person_id=person_id,
    )
    if found is None:
        return
    row = {key: found[key] for key in found.keys() if key != "card"} | changes  # noqa: SIM118 -- a row iterates over its values
    await tx.batch(
        """
        UPDATE people
        SET display_name = :display_name, handle = :handle, email = :email, employee_number = :employee_number, title = :title,
            photo_blob_id = :photo_blob_id, employee = :employee, guest = :guest, departed = :departed, erased = :erased, card = :card
        WHERE person_id = :person_id
        """,
        **row, card=_card(row, Author.FromString(found["card"]).bot),
    )


class Groups:
    """The groups of the directory and who is in them."""

    name = "feed.groups"
    handles: tuple[type[Message], ...] = (
        identity.GroupCreated, identity.GroupChanged, identity.GroupDeleted, identity.GroupMemberAdded, identity.GroupMemberRemoved,
        identity.PersonErased,
    )
    tables: tuple[str, ...] = ("directory_groups", "group_members")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the two tables."""
        match event.data:
            case identity.GroupCreated() as created:
                await tx.batch(
                    "INSERT INTO directory_groups (group_id, name) VALUES (:group_id, :name)", group_id=created.group_id, name=created.name
                )
            case identity.GroupChanged() as changed:
                await tx.batch(
                    "UPDATE directory_groups SET name = :name WHERE group_id = :group_id", group_id=changed.group_id, name=changed.name
                )
            case identity.GroupDeleted() as deleted:
                await tx.batch("DELETE FROM directory_groups WHERE group_id = :group_id", group_id=deleted.group_id)
                await tx.batch("DELETE FROM group_members WHERE group_id = :group_id", group_id=deleted.group_id)
            case identity.GroupMemberAdded() as added:
                await tx.batch(
                    """
                    INSERT INTO group_members (group_id, person_id) VALUES (:group_id, :person_id)
                    ON CONFLICT (group_id, person_id) DO NOTHING
                    """,
                    group_id=added.group_id, person_id=added.person_id,
                )
            case identity.GroupMemberRemoved() as removed:
                await tx.batch(
                    "DELETE FROM group_members WHERE group_id = :group_id AND person_id = :person_id",
                    group_id=removed.group_id, person_id=removed.person_id,
                )
            case identity.PersonErased() as erased:
                await tx.batch("DELETE FROM group_members WHERE person_id = :person_id", person_id=erased.person_id)
