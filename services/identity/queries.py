"""What is read of identity's tables."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from libs.db.database import Row, Transaction, in_list
from watercooler.identity.v1.app_service_pb2 import App
from watercooler.identity.v1.events_pb2 import ROLE_ADMINISTRATOR, Profile, Role
from watercooler.identity.v1.identity_service_pb2 import PERSON_STATE_ACTIVE, AccessToken, Group, Organization, Person, PersonState

from .profiles import fold, fold_key
from .projections import CHAIN_MAX

_PERSON = """
    p.person_id, p.state, p.profile, p.display_name, p.name_key, p.manager_id, p.photo_blob_id, p.has_password, p.invited, p.add_time,
    p.leave_time, p.version
"""
# The engines limit how many parameters a statement takes; lists are asked for in pieces.
PIECE = 512


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a sign-in is checked against."""

    person_id: str
    state: PersonState.ValueType
    password_hash: str


@dataclass(frozen=True, slots=True)
class Link:
    """An open invitation or reset link."""

    person_id: str
    kind: str
    expire_time: int


@dataclass(frozen=True, slots=True)
class Known:
    """A person as an import looks at them."""

    person_id: str
    state: PersonState.ValueType
    profile: Profile
    display_name: str
    manager_id: str
    photo_blob_id: str
    roles: frozenset[int]


async def organization(tx: Transaction) -> Organization | None:
    """The organisation, once it is set up."""
    row = await tx.fetch_one("SELECT organization_id, name, create_time FROM organizations LIMIT 1")
    if row is None:
        return None
    return Organization(organization_id=row["organization_id"], name=row["name"], create_time=_time(row["create_time"]))


async def has_administrator(tx: Transaction) -> bool:
    """Whether somebody is or was an administrator."""
    row = await tx.fetch_one("SELECT person_id FROM person_roles WHERE role = :role LIMIT 1", role=ROLE_ADMINISTRATOR)
    return row is not None


async def active_administrators(tx: Transaction) -> set[str]:
    """Who may administer."""
    rows = await tx.fetch(
        """
        SELECT r.person_id FROM person_roles r JOIN people p ON p.person_id = r.person_id
        WHERE r.role = :role AND p.state = 1
        """,
        role=ROLE_ADMINISTRATOR,
    )
    return {row["person_id"] for row in rows}


async def photo_used(tx: Transaction, photo_blob_id: str) -> bool:
    """Whether somebody's photo is this blob."""
    row = await tx.fetch_one("SELECT person_id FROM people WHERE photo_blob_id = :blob LIMIT 1", blob=photo_blob_id)
    return row is not None


async def people(tx: Transaction, person_ids: Sequence[str]) -> list[Person]:
    """The people with these ids, in no particular order."""
    found: list[Row] = []
    for piece in _pieces(person_ids):
        names, values = in_list("id", piece)
        found += await tx.fetch(f"SELECT {_PERSON} FROM people p WHERE p.person_id IN ({names})", **values)
    return await _people(tx, found)


async def person(tx: Transaction, person_id: str) -> Person | None:
    """One person by id."""
    found = await people(tx, [person_id])
    return found[0] if found else None


async def find_person(tx: Transaction, *, email: str = "", handle: str = "", employee_number: str = "") -> Person | None:
    """The one person with this address, handle or number."""
    column, value = next(
        (c, v) for c, v in (("email_key", email), ("handle_key", handle), ("employee_number_key", employee_number)) if v
    )
    rows = await tx.fetch(f"SELECT {_PERSON} FROM people p WHERE p.{column} = :value", value=fold_key(value))
    found = await _people(tx, rows)
    return found[0] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleFilter:
    """Which people a list is of; `state` 0 is all of them."""

    query: str = ""
    department: str = ""
    location: str = ""
    role: int = 0
    state: int = PERSON_STATE_ACTIVE

    def where(self) -> tuple[str, dict[str, object]]:
        """The condition and its parameters."""
        conditions: list[str] = []
        values: dict[str, object] = {}
        if self.state:
            conditions.append("p.state = :state")
            values["state"] = self.state
        for number, word in enumerate(fold(self.query).split()[:8]):
            conditions.append(f"p.search_key LIKE :word{number} ESCAPE '!'")
            values[f"word{number}"] = "%" + word.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"
        if self.department:
            conditions.append("p.department = :department")
            values["department"] = self.department
        if self.location:
            conditions.append("p.location = :location")
            values["location"] = self.location
        if self.role:
            conditions.append("EXISTS (SELECT 1 FROM person_roles r WHERE r.person_id = p.person_id AND r.role = :role)")
            values["role"] = self.role
        return " AND ".join(conditions) or "1 = 1", values


async def list_people(tx: Transaction, wanted: PeopleFilter, limit: int, after: tuple[str, str] | None) -> tuple[list[Person], list[str]]:
    """A page of people by name, and the key of the last one (empty where nothing follows)."""
    where, values = wanted.where()
    if after is not None:
        where += " AND (p.name_key > :after_name OR (p.name_key = :after_name AND p.person_id > :after_id))"
        values.update(after_name=after[0], after_id=after[1])
    rows = await tx.fetch(
        f"SELECT {_PERSON} FROM people p WHERE {where} ORDER BY p.name_key, p.person_id LIMIT :limit",
        limit=limit + 1, **values,
    )
    page = rows[:limit]
    found = {each.person_id: each for each in await _people(tx, page)}
    last = [page[-1]["name_key"], page[-1]["person_id"]] if len(rows) > limit else []
    return [found[row["person_id"]] for row in page], last


async def count_people(tx: Transaction, wanted: PeopleFilter) -> int:
    """How many people a list is of in all."""
    where, values = wanted.where()
    row = await tx.fetch_one(f"SELECT COUNT(*) AS n FROM people p WHERE {where}", **values)
    assert row is not None
    return int(row["n"])


async def managers_above(tx: Transaction, person_id: str) -> list[Person]:
    """The chain of managers of a person, from the top down to the direct one."""
    chain: list[str] = []
    row = await tx.fetch_one("SELECT manager_id FROM people WHERE person_id = :person_id", person_id=person_id)
    while row is not None and row["manager_id"] and row["manager_id"] not in chain and len(chain) < CHAIN_MAX:
        chain.append(row["manager_id"])
        row = await tx.fetch_one("SELECT manager_id FROM people WHERE person_id = :person_id", person_id=row["manager_id"])
    found = {each.person_id: each for each in await people(tx, chain)}
    return [found[each] for each in reversed(chain) if each in found]


async def tops(tx: Transaction, limit: int) -> list[Person]:
    """Everyone who has reports and no manager who is still here, by name."""
    rows = await tx.fetch(
        f"""
        SELECT {_PERSON} FROM people p LEFT JOIN people m ON m.person_id = p.manager_id AND m.state = 1
        WHERE p.state = 1 AND m.person_id IS NULL
            AND EXISTS (SELECT 1 FROM people r WHERE r.manager_id = p.person_id AND r.state = 1)
        ORDER BY p.name_key, p.person_id LIMIT :limit
        """,
        limit=limit,
    )
    return await _in_order(tx, rows)


async def reports(tx: Transaction, manager_ids: Sequence[str], limit: int) -> list[Person]:
    """The active direct reports of several people, by name."""
    rows: list[Row] = []
    for piece in _pieces(manager_ids):
        names, values = in_list("id", piece)
        rows += await tx.fetch(
            f"""
            SELECT {_PERSON} FROM people p WHERE p.manager_id IN ({names}) AND p.state = 1
            ORDER BY p.name_key, p.person_id LIMIT :limit
            """,
            limit=limit, **values,
        )
    return await _in_order(tx, rows[:limit])


async def manager_map(tx: Transaction) -> dict[str, str]:
    """Who reports to whom, of everybody."""
    rows = await tx.fetch("SELECT person_id, manager_id FROM people WHERE manager_id IS NOT NULL")
    return {row["person_id"]: row["manager_id"] for row in rows}


async def handles_like(tx: Transaction, base: str) -> set[str]:
    """The handles taken of a base: itself and those with a number after it."""
    rows = await tx.fetch(
        "SELECT handle_key FROM people WHERE handle_key = :base OR (handle_key > :first AND handle_key < :last)",
        base=base, first=base + "-", last=base + ".",
    )
    return {row["handle_key"] for row in rows}


async def known(tx: Transaction, person_ids: Iterable[str]) -> dict[str, Known]:
    """People as an import looks at them, by id."""
    ids = sorted(set(person_ids))
    result: dict[str, Known] = {}
    for piece in _pieces(ids):
        names, values = in_list("id", piece)
        rows = await tx.fetch(f"SELECT {_PERSON} FROM people p WHERE p.person_id IN ({names})", **values)
        roles = await _roles(tx, [row["person_id"] for row in rows])
        for row in rows:
            result[row["person_id"]] = Known(
                row["person_id"], row["state"], Profile.FromString(bytes(row["profile"])), row["display_name"], row["manager_id"] or "",
                row["photo_blob_id"], frozenset(roles.get(row["person_id"], ())),
            )
    return result


async def ids_by(tx: Transaction, column: str, keys: Iterable[str]) -> dict[str, str]:
    """Person ids by a unique key; `column` is email_key, employee_number_key or handle_key."""
    assert column in ("email_key", "employee_number_key", "handle_key")
    result: dict[str, str] = {}
    for piece in _pieces(sorted({key for key in keys if key})):
        names, values = in_list("key", piece)
        rows = await tx.fetch(f"SELECT {column} AS found, person_id FROM people WHERE {column} IN ({names})", **values)
        result.update({row["found"]: row["person_id"] for row in rows})
    return result


async def ids_by_external_key(tx: Transaction, keys: Iterable[str]) -> dict[str, str]:
    """Person ids by the key of an outside source."""
    result: dict[str, str] = {}
    for piece in _pieces(sorted(set(keys))):
        names, values = in_list("key", piece)
        rows = await tx.fetch(
            f"SELECT external_key, person_id FROM external_keys WHERE external_key IN ({names})", **values
        )
        result.update({row["external_key"]: row["person_id"] for row in rows})
    return result


async def ids_by_name(tx: Transaction, name_keys: Iterable[str]) -> dict[str, list[str]]:
    """The ids of the active people of each folded name."""
    result: dict[str, list[str]] = {}
    for piece in _pieces(sorted({key for key in name_keys if key})):
        names, values = in_list("key", piece)
        rows = await tx.fetch(
            f"SELECT name_key, person_id FROM people WHERE name_key IN ({names}) AND state = 1", **values
        )
        for row in rows:
            result.setdefault(row["name_key"], []).append(row["person_id"])
    return result


# --- sign-in -------------------------------------------------------------------------------------------------------


async def credentials(tx: Transaction, *, email: str = "", person_id: str = "") -> Credentials | None:
    """What a sign-in is checked against, by e-mail address or by id."""
    condition = "p.email_key = :value" if email else "p.person_id = :value"
    row = await tx.fetch_one(
        f"""
        SELECT p.person_id, p.state, COALESCE(w.password_hash, '') AS password_hash
        FROM people p LEFT JOIN passwords w ON w.person_id = p.person_id
        WHERE {condition}
        """,
        value=fold_key(email) if email else person_id,
    )
    return Credentials(row["person_id"], row["state"], row["password_hash"]) if row else None


async def link(tx: Transaction, secret_hash: str) -> Link | None:
    """The open link of a secret."""
    row = await tx.fetch_one(
        "SELECT person_id, kind, expire_time FROM link_secrets WHERE secret_hash = :secret_hash", secret_hash=secret_hash
    )
    return Link(row["person_id"], row["kind"], row["expire_time"]) if row else None


# Attempts are counted and noted by one process at a time, else many at once would all find room for one more.
_ATTEMPTS = "sign-in attempts"


async def count_attempt(tx: Transaction, attempts: Mapping[str, str], now: int, window: int, limit: int) -> int:
    """Note attempts (key to id) unless one of the keys has had `limit` of them within `window` microseconds.

    Answers 0 when noted, else the microseconds until another attempt is due.
    """
    await tx.lock(_ATTEMPTS)
    await tx.execute("DELETE FROM sign_in_attempts WHERE attempt_time <= :oldest", oldest=now - window)
    for key in attempts:
        row = await tx.fetch_one(
            "SELECT COUNT(*) AS n, MIN(attempt_time) AS first FROM sign_in_attempts WHERE attempt_key = :key", key=key
        )
        assert row is not None
        if row["n"] >= limit:
            return max(1, int(row["first"]) + window - now)
    await tx.execute_many(
        "INSERT INTO sign_in_attempts (attempt_id, attempt_key, attempt_time) VALUES (:id, :key, :now)",
        [{"id": attempt_id, "key": key, "now": now} for key, attempt_id in attempts.items()],
    )
    return 0


async def forget_attempts(tx: Transaction, key: str, attempt_ids: Iterable[str]) -> None:
    """After a success: forget every attempt of the account, and of the address this one only."""
    await tx.lock(_ATTEMPTS)
    await tx.execute("DELETE FROM sign_in_attempts WHERE attempt_key = :key", key=key)
    for attempt_id in attempt_ids:
        await tx.execute("DELETE FROM sign_in_attempts WHERE attempt_id = :id", id=attempt_id)


# --- letters that wait for the mail server ---------------------------------------------------------------------------


class Letter(NamedTuple):
    """A letter that the mail server has not taken yet; times are microseconds since 1970."""

    letter_id: str
    to: str
    subject: str
    text: str
    write_time: int
    expire_time: int
    tries: int


async def keep_letter(tx: Transaction, letter: Letter, to_key: str) -> None:
    """Add a letter, due at once."""
    await tx.execute(
        """
        INSERT INTO letters (letter_id, address, address_key, subject, body, write_time, expire_time, due_time, tries)
        VALUES (:letter_id, :address, :address_key, :subject, :body, :write_time, :expire_time, :write_time, 0)
        """,
        letter_id=letter.letter_id, address=letter.to, address_key=to_key, subject=letter.subject, body=letter.text,
        write_time=letter.write_time, expire_time=letter.expire_time,
    )


async def due_letters(tx: Transaction, now: int, most: int) -> list[Letter]:
    """The letters to try now, or to give up, the longest due first."""
    rows = await tx.fetch(
        """
        SELECT letter_id, address, subject, body, write_time, expire_time, tries FROM letters
        WHERE due_time <= :now OR expire_time <= :now ORDER BY due_time, letter_id LIMIT :most
        """,
        now=now, most=most,
    )
    return [Letter(*row) for row in rows]


async def count_letters(tx: Transaction) -> int:
    """How many letters wait."""
    row = await tx.fetch_one("SELECT COUNT(*) AS n FROM letters")
    assert row is not None
    return int(row["n"])


async def delay_letter(tx: Transaction, letter_id: str, due: int) -> None:
    """Try a letter again, not before a time."""
    await tx.execute("UPDATE letters SET due_time = :due, tries = tries + 1 WHERE letter_id = :letter_id", due=due, letter_id=letter_id)


async def drop_letter(tx: Transaction, letter_id: str) -> None:
    """Forget a letter."""
    await tx.execute("DELETE FROM letters WHERE letter_id = :letter_id", letter_id=letter_id)


async def drop_letters_to(tx: Transaction, to_key: str) -> None:
    """Forget the letters to an address."""
    await tx.execute("DELETE FROM letters WHERE address_key = :to_key", to_key=to_key)


# --- access tokens -------------------------------------------------------------------------------------------------

_TOKEN = """
    SELECT t.token_id, t.person_id, t.name, t.scopes, t.issue_time, t.expire_time, u.use_day
    FROM access_tokens t LEFT JOIN token_uses u ON u.token_id = t.token_id
"""


async def token(tx: Transaction, *, token_id: str = "", secret_hash: str = "") -> AccessToken | None:
    """A token that was not revoked, by id or by the hash of its secret; it may be past its time."""
    condition = "t.token_id = :value" if token_id else "t.secret_hash = :value"
    row = await tx.fetch_one(f"{_TOKEN} WHERE {condition}", value=token_id or secret_hash)
    return _token(row) if row else None


async def tokens(tx: Transaction, person_id: str) -> list[AccessToken]:
    """A person's tokens, the newest first."""
    rows = await tx.fetch(f"{_TOKEN} WHERE t.person_id = :person_id ORDER BY t.token_id DESC", person_id=person_id)
    return [_token(row) for row in rows]


async def note_use(tx: Transaction, token_id: str, day: int) -> None:
    """Keep the day on which a token was used, as days since 1970."""
    await tx.execute(
        """
        INSERT INTO token_uses (token_id, use_day) VALUES (:token_id, :use_day)
        ON CONFLICT (token_id) DO UPDATE SET use_day = excluded.use_day
        """,
        token_id=token_id, use_day=day,
    )


async def sweep_uses(tx: Transaction) -> None:
    """Forget the days of tokens that no longer count."""
    await tx.execute(
        """
        DELETE FROM token_uses
        WHERE NOT EXISTS (SELECT 1 FROM access_tokens t WHERE t.token_id = token_uses.token_id)
            AND NOT EXISTS (SELECT 1 FROM app_tokens t WHERE t.token_id = token_uses.token_id)
        """
    )


# --- apps ----------------------------------------------------------------------------------------------------------

_APP = "a.app_id, a.name, a.website, a.redirect_uris, a.scopes, a.register_time"
_APP_TOKEN = """
    SELECT t.token_id, t.person_id, t.app_id, a.name AS app_name, t.scopes, t.issue_time, u.use_day
    FROM app_tokens t JOIN apps a ON a.app_id = t.app_id LEFT JOIN token_uses u ON u.token_id = t.token_id
"""


async def app(tx: Transaction, app_id: str) -> App | None:
    """An app that was not removed."""
    row = await tx.fetch_one(f"SELECT {_APP}, 0 AS token_count FROM apps a WHERE a.app_id = :app_id", app_id=app_id)
    return _app(row) if row else None


async def app_secret_hash(tx: Transaction, app_id: str) -> str:
    """The hash of an app's secret; empty where there is no such app."""
    row = await tx.fetch_one("SELECT secret_hash FROM apps WHERE app_id = :app_id", app_id=app_id)
    return row["secret_hash"] if row else ""


async def used_apps(tx: Transaction, before: str, limit: int) -> list[App]:
    """Apps that people let act for them, the newest first, with how many of their tokens count."""
    rows = await tx.fetch(
        f"""
        SELECT {_APP}, (SELECT COUNT(*) FROM app_tokens t WHERE t.app_id = a.app_id AND t.person_id <> '') AS token_count
        FROM apps a
        WHERE a.is_used = 1 AND (:before = '' OR a.app_id < :before)
        ORDER BY a.app_id DESC LIMIT :limit
        """,
        before=before, limit=limit,
    )
    return [_app(row) for row in rows]


async def app_token(tx: Transaction, secret_hash: str) -> AccessToken | None:
    """An app's token by the hash of its secret."""
    row = await tx.fetch_one(f"{_APP_TOKEN} WHERE t.secret_hash = :secret_hash", secret_hash=secret_hash)
    return _app_token(row) if row else None


async def app_tokens_of(tx: Transaction, person_id: str) -> list[AccessToken]:
    """The tokens of a person's apps, the newest first."""
    rows = await tx.fetch(f"{_APP_TOKEN} WHERE t.person_id = :person_id ORDER BY t.token_id DESC", person_id=person_id)
    return [_app_token(row) for row in rows]


async def tokens_of_app(tx: Transaction, app_id: str, limit: int) -> list[str]:
    """The ids of an app's tokens."""
    rows = await tx.fetch("SELECT token_id FROM app_tokens WHERE app_id = :app_id LIMIT :limit", app_id=app_id, limit=limit)
    return [row["token_id"] for row in rows]


# --- groups --------------------------------------------------------------------------------------------------------

_GROUP = """
    g.group_id, g.name, g.name_key, g.kind, g.parent_id, g.description, COALESCE(g.external_key, '') AS external_key,
    (SELECT COUNT(*) FROM group_members m WHERE m.group_id = g.group_id) AS member_count
"""


async def group(tx: Transaction, group_id: str) -> Group | None:
    """One group by id."""
    row = await tx.fetch_one(f"SELECT {_GROUP} FROM groups g WHERE g.group_id = :group_id", group_id=group_id)
    return _group(row) if row else None


async def list_groups(tx: Transaction, person_id: str, limit: int, after: tuple[str, str] | None) -> tuple[list[Group], list[str]]:
    """A page of groups by name, of one person where an id is given, and the key of the last one (empty where nothing follows)."""
    conditions = ["1 = 1"]
    values: dict[str, object] = {}
    if person_id:
        conditions.append("EXISTS (SELECT 1 FROM group_members o WHERE o.group_id = g.group_id AND o.person_id = :person_id)")
        values["person_id"] = person_id
    if after is not None:
        conditions.append("(g.name_key > :after_name OR (g.name_key = :after_name AND g.group_id > :after_id))")
        values.update(after_name=after[0], after_id=after[1])
    rows = await tx.fetch(
        f"SELECT {_GROUP} FROM groups g WHERE {' AND '.join(conditions)} ORDER BY g.name_key, g.group_id LIMIT :limit",
        limit=limit + 1, **values,
    )
    page = rows[:limit]
    return [_group(row) for row in page], [page[-1]["name_key"], page[-1]["group_id"]] if len(rows) > limit else []


async def group_members(tx: Transaction, group_id: str, limit: int, after: str) -> tuple[list[str], str]:
    """A page of a group's members by id, and the last one (empty where nothing follows)."""
    rows = await tx.fetch(
        """
        SELECT person_id FROM group_members WHERE group_id = :group_id AND person_id > :after ORDER BY person_id LIMIT :limit
        """,
        group_id=group_id, after=after, limit=limit + 1,
    )
    ids = [row["person_id"] for row in rows[:limit]]
    return ids, ids[-1] if len(rows) > limit else ""


async def groups_by_external_key(tx: Transaction, keys: Iterable[str]) -> dict[str, Group]:
    """Groups by the key of their source."""
    result: dict[str, Group] = {}
    for piece in _pieces(sorted({key for key in keys if key})):
        names, values = in_list("key", piece)
        rows = await tx.fetch(f"SELECT {_GROUP} FROM groups g WHERE g.external_key IN ({names})", **values)
        result.update({row["external_key"]: _group(row) for row in rows})
    return result


async def group_parents(tx: Transaction) -> dict[str, str]:
    """Which group is part of which."""
    rows = await tx.fetch("SELECT group_id, parent_id FROM groups WHERE parent_id <> ''")
    return {row["group_id"]: row["parent_id"] for row in rows}


async def all_members(tx: Transaction, group_ids: Iterable[str]) -> dict[str, dict[str, str]]:
    """Members and their roles, by group."""
    result: dict[str, dict[str, str]] = {}
    for piece in _pieces(sorted(set(group_ids))):
        names, values = in_list("id", piece)
        rows = await tx.fetch(f"SELECT group_id, person_id, role FROM group_members WHERE group_id IN ({names})", **values)
        for row in rows:
            result.setdefault(row["group_id"], {})[row["person_id"]] = row["role"]
    return result


# --- rows to messages ----------------------------------------------------------------------------------------------


def _pieces(values: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(values), PIECE):
        yield values[start : start + PIECE]


async def _roles(tx: Transaction, person_ids: Sequence[str]) -> dict[str, list[Role.ValueType]]:
    result: dict[str, list[Role.ValueType]] = {}
    for piece in _pieces(person_ids):
        names, values = in_list("id", piece)
        rows = await tx.fetch(
            f"SELECT person_id, role FROM person_roles WHERE person_id IN ({names}) ORDER BY role", **values
        )
        for row in rows:
            result.setdefault(row["person_id"], []).append(row["role"])
    return result


async def _report_counts(tx: Transaction, person_ids: Sequence[str]) -> dict[str, int]:
    result: dict[str, int] = {}
    for piece in _pieces(person_ids):
        names, values = in_list("id", piece)
        rows = await tx.fetch(
            f"SELECT manager_id, COUNT(*) AS n FROM people WHERE manager_id IN ({names}) AND state = 1 GROUP BY manager_id",
            **values,
        )
        result.update({row["manager_id"]: row["n"] for row in rows})
    return result


async def _in_order(tx: Transaction, rows: Sequence[Row]) -> list[Person]:
    found = {each.person_id: each for each in await _people(tx, rows)}
    return [found[row["person_id"]] for row in rows]


async def _people(tx: Transaction, rows: Sequence[Row]) -> list[Person]:
    ids = [row["person_id"] for row in rows]
    roles = await _roles(tx, ids)
    counts = await _report_counts(tx, ids)
    return [
        Person(
            person_id=row["person_id"], profile=Profile.FromString(bytes(row["profile"])), roles=roles.get(row["person_id"], ()),
            manager_id=row["manager_id"] or "", photo_blob_id=row["photo_blob_id"], state=row["state"], add_time=_time(row["add_time"]),
            leave_time=_time(row["leave_time"]), has_password=bool(row["has_password"]), invited=bool(row["invited"]),
            report_count=counts.get(row["person_id"], 0), etag=str(row["version"]), display_name=row["display_name"],
        )
        for row in rows
    ]


def _token(row: Row) -> AccessToken:
    return AccessToken(
        token_id=row["token_id"], person_id=row["person_id"], name=row["name"], scopes=row["scopes"].split(),
        issue_time=_time(row["issue_time"]), expire_time=_time(row["expire_time"]), last_use_date=_date(row["use_day"]),
    )


def _app(row: Row) -> App:
    return App(
        app_id=row["app_id"], name=row["name"], website=row["website"], redirect_uris=row["redirect_uris"].split("\n"),
        scopes=row["scopes"].split(), register_time=_time(row["register_time"]), token_count=row["token_count"],
    )


def _app_token(row: Row) -> AccessToken:
    return AccessToken(
        token_id=row["token_id"], person_id=row["person_id"], name=row["app_name"], app_id=row["app_id"], app_name=row["app_name"],
        scopes=row["scopes"].split(), issue_time=_time(row["issue_time"]), last_use_date=_date(row["use_day"]),
    )


def _date(day: int | None) -> str:
    return "" if day is None else (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def _group(row: Row) -> Group:
    return Group(
        group_id=row["group_id"], name=row["name"], kind=row["kind"], parent_id=row["parent_id"], description=row["description"],
        external_id=row["external_key"], member_count=row["member_count"],
    )


def _time(micros: int | None) -> Timestamp | None:
    return None if micros is None else Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1_000)
