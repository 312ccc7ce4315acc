"""The read models of identity, and the rules that no single stream can hold: unique addresses, no cycles, one administrator left."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from libs.db.database import Transaction, UniqueViolation
from libs.eventstore.model import AlreadyExists, NotFound, Recorded, Rejected
from watercooler.identity.v1.app_events_pb2 import AppRegistered, AppRemoved
from watercooler.identity.v1.events_pb2 import (
    ROLE_ADMINISTRATOR,
    AccessTokenIssued,
    AccessTokenRevoked,
    ExternalKeyAdded,
    GroupChanged,
    GroupCreated,
    GroupDeleted,
    GroupMemberAdded,
    GroupMemberRemoved,
    InvitationAccepted,
    ManagerAssigned,
    OrganizationCreated,
    OrganizationRenamed,
    PasswordChanged,
    PasswordResetRequested,
    PersonAdded,
    PersonErased,
    PersonInvited,
    PersonLeft,
    PersonPhotoChanged,
    PersonProfileChanged,
    PersonRejoined,
    Profile,
    RoleGranted,
    RoleRevoked,
)

from .profiles import ERASED_NAME, display_name, fold, fold_key

ACTIVE, LEFT, ERASED = 1, 2, 3
TOKENS_MAX = 100
APP_TOKENS_MAX = 200
UNUSED_APPS_MAX = 5_000
# How far a chain of managers, or of groups, is followed: far above any organisation, so that a walk always ends.
CHAIN_MAX = 1_000

_TAKEN = {
    "people.email_key": ("this e-mail address is another person's: use theirs, or a different address", "profile.email"),
    "people.employee_number_key": ("this employee number is another person's", "profile.employee_number"),
    "people.handle_key": ("this handle is taken: choose another one", "profile.handle"),
}


def stamp(time: Timestamp) -> int:
    """A proto time as it stands in tables: microseconds since 1970, UTC."""
    return time.seconds * 1_000_000 + time.nanos // 1_000


class Organizations:
    """The one organisation of the deployment; a second one is refused."""

    name = "identity.organizations"
    handles: tuple[type[Message], ...] = (OrganizationCreated, OrganizationRenamed)
    tables: tuple[str, ...] = ("organizations",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the tables."""
        match event.data:
            case OrganizationCreated() as created:
                if await tx.fetch_one("SELECT organization_id FROM organizations LIMIT 1"):
                    raise AlreadyExists("the organisation is set up already: sign in instead")
                await tx.batch(
                    """
                    INSERT INTO organizations (organization_id, name, create_time, version)
                    VALUES (:organization_id, :name, :create_time, :version)
                    """,
                    organization_id=created.organization_id, name=created.name, create_time=stamp(created.create_time),
                    version=event.version,
                )
            case OrganizationRenamed() as renamed:
                await tx.batch(
                    "UPDATE organizations SET name = :name, version = :version WHERE organization_id = :organization_id",
                    name=renamed.name, version=event.version, organization_id=renamed.organization_id,
                )


class People:
    """Everyone, with roles and place in the chart."""

    name = "identity.people"
    handles: tuple[type[Message], ...] = (
        PersonAdded, PersonProfileChanged, ExternalKeyAdded, PersonPhotoChanged, ManagerAssigned, RoleGranted, RoleRevoked,
        PersonInvited, InvitationAccepted, PasswordResetRequested, PasswordChanged, PersonLeft, PersonRejoined, PersonErased,
    )
    tables: tuple[str, ...] = ("people", "person_roles", "external_keys")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the tables.

        Raises:
            AlreadyExists: the e-mail address, employee number, handle or external key is another person's.
            NotFound: the manager is nobody.
            Rejected: the manager has left or reports to this person; the last administrator would be gone.
        """
        data: Any = event.data
        person_id: str = data.person_id
        match data:
            case PersonAdded():
                await _insert(data, event.version, tx)
            case PersonProfileChanged():
                await _change_profile(person_id, data.profile, event.version, tx)
            case ExternalKeyAdded():
                await _add_external_key(data, tx)
                await _set(person_id, event.version, tx)
            case PersonPhotoChanged():
                await _set(person_id, event.version, tx, photo_blob_id=data.photo_blob_id)
            case ManagerAssigned():
                await _guard_chart(person_id, data.manager_id, tx)
                await _set(person_id, event.version, tx, manager_id=data.manager_id or None)
            case RoleGranted():
                await _grant(person_id, data.role, tx)
                await _set(person_id, event.version, tx)
            case RoleRevoked():
                if data.role == ROLE_ADMINISTRATOR:
                    await _guard_last_administrator(person_id, tx, "cannot give up the role")
                await tx.batch(
                    "DELETE FROM person_roles WHERE person_id = :person_id AND role = :role", person_id=person_id, role=data.role
                )
                await _set(person_id, event.version, tx)
            case PersonInvited():
                await _set(person_id, event.version, tx, invited=1)
            case PasswordChanged():
                await _set(person_id, event.version, tx, has_password=1, invited=0)
            case PersonLeft():
                await _guard_last_administrator(person_id, tx, "cannot leave")
                await _set(person_id, event.version, tx, state=LEFT, leave_time=stamp(data.leave_time), invited=0)
            case PersonRejoined():
                await _set(person_id, event.version, tx, state=ACTIVE, leave_time=None)
            case PersonErased():
                await _guard_last_administrator(person_id, tx, "cannot be erased")
                await _erase(person_id, event.version, tx)
            case _:
                await _set(person_id, event.version, tx)


async def _insert(added: PersonAdded, version: int, tx: Transaction) -> None:
    try:
        await tx.execute(
            """
            INSERT INTO people (
                person_id, state, profile, display_name, name_key, search_key, email_key, employee_number_key, handle_key,
                department, location, manager_id, photo_blob_id, has_password, invited, add_time, leave_time, version
            ) VALUES (
                :person_id, :state, :profile, :display_name, :name_key, :search_key, :email_key, :employee_number_key, :handle_key,
                :department, :location, NULL, '', 0, 0, :add_time, NULL, :version
            )
            """,
            person_id=added.person_id, state=ACTIVE, add_time=stamp(added.add_time), version=version, **_columns(added.profile),
        )
    except UniqueViolation as error:
        raise _taken(error) from error
    for role in added.roles:
        await _grant(added.person_id, role, tx)


async def _change_profile(person_id: str, profile: Profile, version: int, tx: Transaction) -> None:
    try:
        await tx.execute(
            """
            UPDATE people SET
                profile = :profile, display_name = :display_name, name_key = :name_key, search_key = :search_key,
                email_key = :email_key, employee_number_key = :employee_number_key, handle_key = :handle_key,
                department = :department, location = :location, version = :version
            WHERE person_id = :person_id
            """,
            person_id=person_id, version=version, **_columns(profile),
        )
    except UniqueViolation as error:
        raise _taken(error) from error


def _columns(profile: Profile) -> dict[str, Any]:
    shown = display_name(profile)
    return {
        "profile": profile.SerializeToString(deterministic=True),
        "display_name": shown,
        "name_key": fold(shown),
        "search_key": fold(f"{shown} {profile.name} {profile.email} {profile.handle}"),
        "email_key": fold_key(profile.email) or None,
        "employee_number_key": fold_key(profile.employee_number) or None,
        "handle_key": fold_key(profile.handle) or None,
        "department": profile.department,
        "location": profile.location,
    }


def _taken(error: UniqueViolation) -> Exception:
    # SQLite names the columns of a constraint, PostgreSQL the constraint, people_email_key_key; both hold the column's name.
    for column, (reason, field) in _TAKEN.items():
        if error.constraint == column or column.partition(".")[2] in error.constraint:
            return AlreadyExists(reason, field)
    return error


async def _add_external_key(added: ExternalKeyAdded, tx: Transaction) -> None:
    if not added.external_key:  # sealed under a key that is gone
        return
    try:
        await tx.execute(
            "INSERT INTO external_keys (external_key, person_id) VALUES (:external_key, :person_id)",
            external_key=added.external_key, person_id=added.person_id,
        )
    except UniqueViolation as error:
        raise AlreadyExists("this key of the source names another person", "external_id") from error


async def _set(person_id: str, version: int, tx: Transaction, **columns: object) -> None:
    assignments = "".join(f", {column} = :{column}" for column in columns)
    await tx.batch(
        f"UPDATE people SET version = :version{assignments} WHERE person_id = :person_id",
        person_id=person_id, version=version, **columns,
    )


async def _grant(person_id: str, role: int, tx: Transaction) -> None:
    await tx.batch(
        "INSERT INTO person_roles (person_id, role) VALUES (:person_id, :role) ON CONFLICT (person_id, role) DO NOTHING",
        person_id=person_id, role=role,
    )


async def _guard_chart(person_id: str, manager_id: str, tx: Transaction) -> None:
    """Walk up from the new manager: whoever is met must not be the person."""
    names: list[str] = []
    above = manager_id
    while above and len(names) < CHAIN_MAX:
        row = await tx.fetch_one("SELECT display_name, manager_id, state FROM people WHERE person_id = :person_id", person_id=above)
        if not names:
            if row is None or row["state"] == ERASED:
                raise NotFound("the manager is not among the people here: add them first", "manager_id")
            if row["state"] == LEFT:
                raise Rejected(f"{row['display_name']} has left and manages nobody: choose somebody who is here", "manager_id")
        if row is None:
            return
        names.append(row["display_name"])
        above = row["manager_id"] or ""
        if above == person_id:
            own = await tx.fetch_one("SELECT display_name FROM people WHERE person_id = :person_id", person_id=person_id)
            raise Rejected(cycle_text([*names, own["display_name"] if own else ""]), "manager_id")


def cycle_text(names: list[str]) -> str:
    """Why somebody cannot report to the first of a chain that ends in that somebody."""
    shown = names if len(names) <= 6 else [*names[:3], "...", *names[-2:]]
    return f"{names[-1]} cannot report to {names[0]}, because {' reports to '.join(shown)}"


async def _guard_last_administrator(person_id: str, tx: Transaction, what: str) -> None:
    row = await tx.fetch_one(
        """
        SELECT display_name FROM people
        WHERE person_id = :person_id AND state = 1
            AND EXISTS (SELECT 1 FROM person_roles WHERE person_id = :person_id AND role = :role)
            AND NOT EXISTS (
                SELECT 1 FROM person_roles r JOIN people p ON p.person_id = r.person_id
                WHERE r.role = :role AND p.state = 1 AND r.person_id <> :person_id
            )
        """,
        person_id=person_id, role=ROLE_ADMINISTRATOR,
    )
    if row is not None:
        raise Rejected(f"{row['display_name']} is the last administrator and {what}: make somebody else an administrator first")


async def _erase(person_id: str, version: int, tx: Transaction) -> None:
    await tx.batch(
        """
        UPDATE people SET
            state = :state, profile = :profile, display_name = :name, name_key = :name_key, search_key = '', email_key = NULL,
            employee_number_key = NULL, handle_key = NULL, department = '', location = '', manager_id = NULL, photo_blob_id = '',
            has_password = 0, invited = 0, version = :version
        WHERE person_id = :person_id
        """,
        person_id=person_id, state=ERASED, profile=b"", name=ERASED_NAME, name_key=fold(ERASED_NAME), version=version,
    )
    for table in ("person_roles", "external_keys"):
        await tx.batch(f"DELETE FROM {table} WHERE person_id = :person_id", person_id=person_id)


class SignIn:
    """Password hashes and open links."""

    name = "identity.sign_in"
    handles: tuple[type[Message], ...] = (PersonInvited, PasswordResetRequested, PasswordChanged, PersonLeft, PersonErased)
    tables: tuple[str, ...] = ("passwords", "link_secrets")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the tables."""
        match event.data:
            case PersonInvited() as invited:
                await tx.batch(
                    "DELETE FROM link_secrets WHERE person_id = :person_id AND kind = 'invitation'", person_id=invited.person_id
                )
                await _open_link(invited.person_id, invited.secret_hash, "invitation", stamp(invited.expire_time), tx)
            case PasswordResetRequested() as requested:
                await _open_link(requested.person_id, requested.secret_hash, "reset", stamp(requested.expire_time), tx)
            case PasswordChanged() as changed:
                await tx.batch(
                    """
                    INSERT INTO passwords (person_id, password_hash) VALUES (:person_id, :password_hash)
                    ON CONFLICT (person_id) DO UPDATE SET password_hash = excluded.password_hash
                    """,
                    person_id=changed.person_id, password_hash=changed.password_hash,
                )
                if not changed.rehashed:
                    await _close_links(changed.person_id, tx)
            case PersonLeft() as left:
                await _close_links(left.person_id, tx)
            case PersonErased() as erased:
                await _close_links(erased.person_id, tx)
                await tx.batch("DELETE FROM passwords WHERE person_id = :person_id", person_id=erased.person_id)


async def _open_link(person_id: str, secret_hash: str, kind: str, expire_time: int, tx: Transaction) -> None:
    await tx.batch(
        """
        INSERT INTO link_secrets (secret_hash, person_id, kind, expire_time) VALUES (:secret_hash, :person_id, :kind, :expire_time)
        ON CONFLICT (secret_hash) DO NOTHING
        """,
        secret_hash=secret_hash, person_id=person_id, kind=kind, expire_time=expire_time,
    )


async def _close_links(person_id: str, tx: Transaction) -> None:
    await tx.batch("DELETE FROM link_secrets WHERE person_id = :person_id", person_id=person_id)


class AccessTokens:
    """The personal tokens that count; a leaver's are gone for good."""

    name = "identity.access_tokens"
    handles: tuple[type[Message], ...] = (AccessTokenIssued, AccessTokenRevoked, PersonLeft, PersonErased)
    tables: tuple[str, ...] = ("access_tokens",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the tables.

        Raises:
            Rejected: the person has the most tokens one may have.
        """
        match event.data:
            case AccessTokenIssued(app_id="") as issued:
                count = await tx.fetch_one(
                    "SELECT COUNT(*) AS n FROM access_tokens WHERE person_id = :person_id", person_id=issued.person_id
                )
                if count is not None and count["n"] >= TOKENS_MAX:
                    raise Rejected(f"a person has at most {TOKENS_MAX} access tokens: revoke one that is no longer needed")
                await tx.batch(
                    """
                    INSERT INTO access_tokens (token_id, person_id, name, scopes, secret_hash, issue_time, expire_time)
                    VALUES (:token_id, :person_id, :name, :scopes, :secret_hash, :issue_time, :expire_time)
                    """,
                    token_id=issued.token_id, person_id=issued.person_id, name=issued.name, scopes=" ".join(issued.scopes),
                    secret_hash=issued.secret_hash, issue_time=stamp(issued.issue_time),
                    expire_time=stamp(issued.expire_time) if issued.HasField("expire_time") else None,
                )
            case AccessTokenRevoked() as revoked:
                await tx.batch("DELETE FROM access_tokens WHERE token_id = :token_id", token_id=revoked.token_id)
            case PersonLeft() | PersonErased() as gone:
                await tx.batch("DELETE FROM access_tokens WHERE person_id = :person_id", person_id=gone.person_id)


class Apps:
    """The apps that people may let act for them, and the tokens by which they do.

    Of those that nobody has used, and of one person's or app's tokens, there are so many at most: the oldest goes when another comes.
    """

    name = "identity.apps"
    handles: tuple[type[Message], ...] = (
        AppRegistered, AppRemoved, AccessTokenIssued, AccessTokenRevoked, PasswordChanged, PersonLeft, PersonErased,
    )
    tables: tuple[str, ...] = ("apps", "app_tokens")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the tables."""
        match event.data:
            case AppRegistered() as registered:
                await tx.batch(
                    """
                    DELETE FROM apps WHERE app_id IN (
                        SELECT app_id FROM apps WHERE is_used = 0 ORDER BY app_id DESC LIMIT 100 OFFSET :most
                    )
                    """,
                    most=UNUSED_APPS_MAX - 1,
                )
                await tx.batch(
                    """
                    INSERT INTO apps (app_id, name, website, redirect_uris, scopes, secret_hash, register_time, is_used)
                    VALUES (:app_id, :name, :website, :redirect_uris, :scopes, :secret_hash, :register_time, 0)
                    """,
                    app_id=registered.app_id, name=registered.name, website=registered.website,
                    redirect_uris="\n".join(registered.redirect_uris), scopes=" ".join(registered.scopes),
                    secret_hash=registered.secret_hash, register_time=stamp(registered.register_time),
                )
            case AppRemoved() as removed:
                await tx.batch("DELETE FROM apps WHERE app_id = :app_id", app_id=removed.app_id)
                await tx.batch("DELETE FROM app_tokens WHERE app_id = :app_id", app_id=removed.app_id)
            case AccessTokenIssued() as issued if issued.app_id:
                await _insert_app_token(issued, tx)
            case AccessTokenRevoked() as revoked:
                await tx.batch("DELETE FROM app_tokens WHERE token_id = :token_id", token_id=revoked.token_id)
            case PasswordChanged(ends_apps=True) | PersonLeft() | PersonErased() as gone:
                await tx.batch("DELETE FROM app_tokens WHERE person_id = :person_id", person_id=gone.person_id)


async def _insert_app_token(issued: AccessTokenIssued, tx: Transaction) -> None:
    # Those of a person count over all apps; those of an app without a person count for the app.
    await tx.batch(
        """
        DELETE FROM app_tokens WHERE token_id IN (
            SELECT token_id FROM app_tokens
            WHERE person_id = :person_id AND (person_id <> '' OR app_id = :app_id)
            ORDER BY token_id DESC LIMIT 100 OFFSET :most
        )
        """,
        person_id=issued.person_id, app_id=issued.app_id, most=APP_TOKENS_MAX - 1,
    )
    await tx.batch(
        """
        INSERT INTO app_tokens (token_id, app_id, person_id, scopes, secret_hash, issue_time)
        VALUES (:token_id, :app_id, :person_id, :scopes, :secret_hash, :issue_time)
        """,
        token_id=issued.token_id, app_id=issued.app_id, person_id=issued.person_id, scopes=" ".join(issued.scopes),
        secret_hash=issued.secret_hash, issue_time=stamp(issued.issue_time),
    )
    await tx.batch("UPDATE apps SET is_used = 1 WHERE app_id = :app_id", app_id=issued.app_id)


class Groups:
    """Groups of the directory and who is in them."""

    name = "identity.groups"
    handles: tuple[type[Message], ...] = (GroupCreated, GroupChanged, GroupMemberAdded, GroupMemberRemoved, GroupDeleted, PersonErased)
    tables: tuple[str, ...] = ("groups", "group_members")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the tables.

        Raises:
            AlreadyExists: another group has this external key.
            Rejected: the parent is part of this group.
        """
        match event.data:
            case GroupCreated() as created:
                try:
                    await tx.execute(
                        """
                        INSERT INTO groups (group_id, name, name_key, kind, parent_id, description, external_key, version)
                        VALUES (:group_id, :name, :name_key, :kind, :parent_id, :description, :external_key, :version)
                        """,
                        external_key=created.external_id or None, version=event.version, **_facts(created),
                    )
                except UniqueViolation as error:
                    raise AlreadyExists("this key of the source names another group", "external_id") from error
            case GroupChanged() as changed:
                await _guard_parents(changed.group_id, changed.parent_id, tx)
                await tx.batch(
                    """
                    UPDATE groups SET name = :name, name_key = :name_key, kind = :kind, parent_id = :parent_id,
                        description = :description, version = :version
                    WHERE group_id = :group_id
                    """,
                    version=event.version, **_facts(changed),
                )
            case GroupMemberAdded() as member:
                await tx.batch(
                    """
                    INSERT INTO group_members (group_id, person_id, role) VALUES (:group_id, :person_id, :role)
                    ON CONFLICT (group_id, person_id) DO UPDATE SET role = excluded.role
                    """,
                    group_id=member.group_id, person_id=member.person_id, role=member.role,
                )
            case GroupMemberRemoved() as member:
                await tx.batch(
                    "DELETE FROM group_members WHERE group_id = :group_id AND person_id = :person_id",
                    group_id=member.group_id, person_id=member.person_id,
                )
            case GroupDeleted() as deleted:
                await tx.batch("DELETE FROM groups WHERE group_id = :group_id", group_id=deleted.group_id)
                await tx.batch("DELETE FROM group_members WHERE group_id = :group_id", group_id=deleted.group_id)
            case PersonErased() as erased:
                await tx.batch("DELETE FROM group_members WHERE person_id = :person_id", person_id=erased.person_id)


def _facts(group: GroupCreated | GroupChanged) -> Mapping[str, str]:
    return {
        "group_id": group.group_id, "name": group.name, "name_key": fold(group.name), "kind": group.kind,
        "parent_id": group.parent_id, "description": group.description,
    }


async def _guard_parents(group_id: str, parent_id: str, tx: Transaction) -> None:
    names: list[str] = []
    above = parent_id
    while above and len(names) < CHAIN_MAX:
        row = await tx.fetch_one("SELECT name, parent_id FROM groups WHERE group_id = :group_id", group_id=above)
        if row is None:
            return
        names.append(row["name"])
        above = row["parent_id"]
        if above == group_id:
            raise Rejected(f"a group is not part of itself: {' is part of '.join(names)}, which is part of it", "parent_external_id")


ALL = (Organizations(), People(), SignIn(), AccessTokens(), Apps(), Groups())
