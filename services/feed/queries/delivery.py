"""How people are reached, what waits to be pushed, and whose digest is due."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from libs.db.database import Reader, Row, Transaction, in_list
from libs.rpc.auth import Caller
from watercooler.feed.v1.delivery_events_pb2 import DIGEST_RHYTHM_NEVER, DeliveryPreferences

from ..calm import UTC_ZONE, complete, zone_of

EVERYTHING = 1 << 62


@dataclass(frozen=True, slots=True)
class Reached:
    """A person who is here, and how to reach them."""

    person_id: str
    email: str
    zone: ZoneInfo
    languages: tuple[str, ...]
    preferences: DeliveryPreferences
    employee: bool
    last_slot: int
    last_sent: int

    @property
    def caller(self) -> Caller:
        """As whom their digest and pushes are read: they see what they would see on the pages."""
        return Caller(self.person_id, frozenset({"employee"} if self.employee else {"guest"}), frozenset({"read"}))


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A way to choose a digest that somebody has chosen, in a time zone."""

    rhythm: int
    hour: int
    weekday: int
    time_zone: str


_REACHED = """
    SELECT p.person_id, p.employee, p.guest, d.email, d.time_zone, d.languages, x.card, s.slot_time, s.send_time
    FROM people p
    LEFT JOIN delivery_people d ON d.person_id = p.person_id
    LEFT JOIN delivery_preferences x ON x.person_id = p.person_id
    LEFT JOIN digests_sent s ON s.person_id = p.person_id
    WHERE p.departed = 0 AND p.erased = 0 AND p.person_id IN (%s)
"""


async def fetch_reached(tx: Reader, person_ids: Sequence[str]) -> dict[str, Reached]:
    """The people who have neither left nor been erased, by id."""
    placeholders, params = in_list("i", person_ids)
    return {row["person_id"]: _reached(row) for row in await tx.fetch(_REACHED % placeholders, **params)}


def _reached(row: Row) -> Reached:
    stored = DeliveryPreferences.FromString(bytes(row["card"])) if row["card"] is not None else None
    return Reached(
        row["person_id"], row["email"] or "", zone_of(row["time_zone"] or "") if row["time_zone"] else UTC_ZONE,
        tuple((row["languages"] or "").split()), complete(stored), not row["guest"] or bool(row["employee"]),
        row["slot_time"] or 0, row["send_time"] or 0,
    )


# --- devices ----------------------------------------------------------------------------------------------------------


async def fetch_devices(tx: Reader, person_ids: Sequence[str]) -> list[Row]:
    """Every device of these people, the oldest first."""
    placeholders, params = in_list("i", person_ids)
    return list(await tx.fetch(
        f"""
        SELECT subscription_id, person_id, holder, endpoint, public_key, secret, format, kinds, policy, label, client_token, subscribe_time
        FROM push_subscriptions
        WHERE person_id IN ({placeholders})
        ORDER BY subscribe_time, subscription_id
        """,
        **params,
    ))


async def devices_held(tx: Reader, holder: str) -> list[Row]:
    """The devices of a session or access token."""
    return list(await tx.fetch("SELECT subscription_id, person_id FROM push_subscriptions WHERE holder = :holder", holder=holder))


async def any_device(tx: Reader) -> bool:
    """Whether anybody takes pushes at all."""
    return await tx.fetch_one("SELECT 1 AS one FROM push_subscriptions LIMIT 1") is not None


# --- pushes that wait ------------------------------------------------------------------------------------------------


async def caused(tx: Reader, after: int, until: int, limit: int) -> list[Row]:
    """What positions of the log caused for people who have devices, a row a device."""
    return list(await tx.fetch(
        """
        SELECT n.position, n.kind, n.recipient_id AS person_id, n.notify_time, d.subscription_id
        FROM notifications n
        JOIN push_subscriptions d ON d.person_id = n.recipient_id
        WHERE n.position > :after AND n.position <= :until
        ORDER BY n.position
        LIMIT :limit
        """,
        after=after, until=until, limit=limit,
    ))


async def queue(tx: Transaction, rows: Iterable[Row], now: int) -> None:
    """Let pushes wait for the sender, each once."""
    for row in rows:
        await tx.batch(
            """
            INSERT INTO push_queue (subscription_id, position, kind, person_id, queue_time, due_time, tries)
            VALUES (:subscription_id, :position, :kind, :person_id, :now, :now, 0)
            ON CONFLICT (subscription_id, position, kind) DO NOTHING
            """,
            subscription_id=row["subscription_id"], position=row["position"], kind=row["kind"], person_id=row["person_id"], now=now,
        )


async def due_pushes(tx: Reader, now: int, limit: int) -> list[Row]:
    """What is to be sent now, a person's together."""
    return list(await tx.fetch(
        """
        SELECT subscription_id, position, kind, person_id, queue_time, tries
        FROM push_queue
        WHERE due_time <= :now
        ORDER BY due_time, person_id, position DESC
        LIMIT :limit
        """,
        now=now, limit=limit,
    ))


async def next_push_time(tx: Reader) -> int:
    """When the next push is due; 0 when none waits."""
    row = await tx.fetch_one("SELECT MIN(due_time) AS due FROM push_queue")
    return int(row["due"] or 0) if row else 0


async def drop_pushes(tx: Transaction, rows: Iterable[Row]) -> None:
    """Sent, or not to be sent any more."""
    for row in rows:
        await tx.batch(
            "DELETE FROM push_queue WHERE subscription_id = :subscription_id AND position = :position AND kind = :kind",
            subscription_id=row["subscription_id"], position=row["position"], kind=row["kind"],
        )


async def delay_pushes(tx: Transaction, rows: Iterable[Row], due: int, *, tried: bool) -> None:
    """Try again at a time."""
    for row in rows:
        await tx.batch(
            """
            UPDATE push_queue SET due_time = :due, tries = tries + :tried
            WHERE subscription_id = :subscription_id AND position = :position AND kind = :kind
            """,
            subscription_id=row["subscription_id"], position=row["position"], kind=row["kind"], due=due, tried=int(tried),
        )


async def release_pushes(tx: Transaction, person_id: str, now: int) -> None:
    """Let a person's pushes that wait for a good hour be looked at now, since they chose their hours anew."""
    await tx.batch(
        "UPDATE push_queue SET due_time = :now WHERE person_id = :person_id AND tries = 0 AND due_time > :now", person_id=person_id, now=now
    )


async def count_pushes(tx: Reader) -> int:
    """How many pushes wait."""
    row = await tx.fetch_one("SELECT COUNT(*) AS waiting FROM push_queue")
    return int(row["waiting"]) if row else 0


async def spent(tx: Reader, person_id: str, day: int) -> int:
    """How many pushes of a day count already."""
    row = await tx.fetch_one("SELECT day, pushes FROM push_days WHERE person_id = :person_id", person_id=person_id)
    return int(row["pushes"]) if row and row["day"] == day else 0


async def spend(tx: Transaction, person_id: str, day: int, pushes: int) -> None:
    """Set how many count."""
    await tx.batch(
        """
        INSERT INTO push_days (person_id, day, pushes) VALUES (:person_id, :day, :pushes)
        ON CONFLICT (person_id) DO UPDATE SET day = excluded.day, pushes = excluded.pushes
        """,
        person_id=person_id, day=day, pushes=pushes,
    )


async def follows_between(tx: Reader, person_id: str, others: Sequence[str]) -> tuple[set[str], set[str]]:
    """Whom of the others a person follows, and who of them follows the person."""
    placeholders, params = in_list("i", others)
    followed = await tx.fetch(
        f"SELECT person_id FROM follows WHERE follower_id = :me AND person_id IN ({placeholders})", me=person_id, **params
    )
    followers = await tx.fetch(
        f"SELECT follower_id FROM follows WHERE person_id = :me AND follower_id IN ({placeholders})", me=person_id, **params
    )
    return {row["person_id"] for row in followed}, {row["follower_id"] for row in followers}


# --- digests ----------------------------------------------------------------------------------------------------------


_CHOSEN = """
    FROM delivery_people d
    JOIN people p ON p.person_id = d.person_id AND p.departed = 0 AND p.erased = 0
    LEFT JOIN delivery_preferences x ON x.person_id = d.person_id
"""


async def rhythms(tx: Reader, rhythm: int, hour: int, weekday: int) -> list[Rhythm]:
    """Every way in which digests are chosen by anybody; the arguments stand for those who never chose."""
    rows = await tx.fetch(
        f"""
        SELECT DISTINCT COALESCE(x.rhythm, :rhythm) AS rhythm, COALESCE(x.digest_hour, :hour) AS hour,
               COALESCE(x.digest_day, :weekday) AS weekday, d.time_zone
        {_CHOSEN}
        WHERE d.email <> '' AND COALESCE(x.rhythm, :rhythm) <> {int(DIGEST_RHYTHM_NEVER)}
        """,
        rhythm=rhythm, hour=hour, weekday=weekday,
    )
    return [Rhythm(row["rhythm"], row["hour"], row["weekday"], row["time_zone"]) for row in rows]


async def due_people(tx: Reader, chosen: Rhythm, defaults: Rhythm, slot: int, now: int, limit: int) -> list[str]:
    """Those of one rhythm, chosen before the slot, for whom its digest is neither done nor waiting for another try."""
    rows = await tx.fetch(
        f"""
        SELECT d.person_id
        {_CHOSEN}
        LEFT JOIN digest_slots s ON s.person_id = d.person_id
        WHERE d.email <> '' AND d.time_zone = :time_zone AND COALESCE(x.rhythm, :default_rhythm) = :rhythm
          AND COALESCE(x.digest_hour, :default_hour) = :hour AND COALESCE(x.digest_day, :default_weekday) = :weekday
          AND COALESCE(x.change_time, 0) < :slot
          AND (s.slot_time IS NULL OR s.slot_time < :slot OR (s.slot_time = :slot AND s.outcome = 'waiting' AND s.try_time <= :now))
        ORDER BY d.person_id
        LIMIT :limit
        """,
        time_zone=chosen.time_zone, rhythm=chosen.rhythm, hour=chosen.hour, weekday=chosen.weekday, default_rhythm=defaults.rhythm,
        default_hour=defaults.hour, default_weekday=defaults.weekday, slot=slot, now=now, limit=limit,
    )
    return [row["person_id"] for row in rows]


async def fetch_slot(tx: Reader, person_id: str) -> Row | None:
    """The digest that was due last."""
    return await tx.fetch_one(
        "SELECT slot_time, outcome, tries, try_time FROM digest_slots WHERE person_id = :person_id", person_id=person_id
    )


async def settle_slot(tx: Transaction, person_id: str, slot: int, outcome: str, tries: int = 0, try_time: int = 0) -> None:
    """Note what became of a digest that was due."""
    await tx.batch(
        """
        INSERT INTO digest_slots (person_id, slot_time, outcome, tries, try_time)
        VALUES (:person_id, :slot, :outcome, :tries, :try_time)
        ON CONFLICT (person_id) DO UPDATE
        SET slot_time = excluded.slot_time, outcome = excluded.outcome, tries = excluded.tries, try_time = excluded.try_time
        """,
        person_id=person_id, slot=slot, outcome=outcome, tries=tries, try_time=try_time,
    )


async def next_try_time(tx: Reader) -> int:
    """When a digest is to be tried again; 0 when none waits."""
    row = await tx.fetch_one("SELECT MIN(try_time) AS due FROM digest_slots WHERE outcome = 'waiting'")
    return int(row["due"] or 0) if row else 0


async def unconfirmed(tx: Transaction, person_id: str, limit: int) -> list[str]:
    """The announcements that wait for a person's confirmation, the newest first."""
    rows = await tx.fetch(
        """
        SELECT a.announcement_id
        FROM receipts r
        JOIN announcements a ON a.announcement_id = r.announcement_id
        WHERE r.person_id = :person_id AND r.counted = 1 AND r.confirmed < a.right_since AND a.withdrawn = 0 AND a.erased = 0
          AND a.publish_time > 0
        ORDER BY a.announcement_id DESC
        LIMIT :limit
        """,
        person_id=person_id, limit=limit,
    )
    return [row["announcement_id"] for row in rows]


# --- what a post costs --------------------------------------------------------------------------------------------------


async def count_reach(tx: Reader, scope: str, scope_id: str, person_id: str) -> int:
    """How many people an audience is for, without the writer; a community's are its members, whoever else may look in."""
    here = "p.departed = 0 AND p.erased = 0 AND p.person_id <> :me"
    counted = "SELECT COUNT(*) AS people FROM people p JOIN"
    employed = "(p.employee = 1 OR p.guest = 0)"
    match scope:
        case "everyone":
            sql = f"SELECT COUNT(*) AS people FROM people p WHERE {employed} AND {here}"
        case "followers":
            sql = f"{counted} follows f ON p.person_id = f.follower_id WHERE f.person_id = :me AND {here}"
        case "community":
            sql = f"{counted} members m ON p.person_id = m.person_id WHERE m.community_id = :of AND {here}"
        case "group":
            sql = f"{counted} group_members g ON p.person_id = g.person_id WHERE g.group_id = :of AND {here}"
        case "chart":
            sql = f"{counted} chart_lines l ON p.person_id = l.person_id WHERE l.manager_id = :of AND {here}"
        case _:
            return 0
    row = await tx.fetch_one(sql, me=person_id, of=scope_id)
    return int(row["people"]) if row else 0


# --- the deployment's secrets, and tests ---------------------------------------------------------------------------------


async def keep_key(tx: Transaction, name: str, value: str) -> str:
    """The kept secret of a name; the given one where there was none."""
    await tx.execute(
        "INSERT INTO delivery_keys (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING", name=name, value=value
    )
    row = await tx.fetch_one("SELECT value FROM delivery_keys WHERE name = :name", name=name)
    assert row is not None
    return str(row["value"])


async def read_key(tx: Reader, name: str) -> str:
    """The kept secret of a name; empty where there is none yet."""
    row = await tx.fetch_one("SELECT value FROM delivery_keys WHERE name = :name", name=name)
    return str(row["value"]) if row else ""


async def last_test(tx: Reader, person_id: str, kind: str) -> int:
    """When a person last sent themselves a test; 0: never."""
    row = await tx.fetch_one(
        "SELECT test_time FROM delivery_tests WHERE person_id = :person_id AND kind = :kind", person_id=person_id, kind=kind
    )
    return int(row["test_time"]) if row else 0


async def note_test(tx: Transaction, person_id: str, kind: str, now: int) -> None:
    """Note a test."""
    await tx.batch(
        """
        INSERT INTO delivery_tests (person_id, kind, test_time) VALUES (:person_id, :kind, :now)
        ON CONFLICT (person_id, kind) DO UPDATE SET test_time = excluded.test_time
        """,
        person_id=person_id, kind=kind, now=now,
    )
