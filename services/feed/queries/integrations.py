"""Webhooks and their deliveries, bots, incoming hooks, commands."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from libs.db.database import Reader, Row, Transaction
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import integration_service_pb2 as pb
from watercooler.feed.v1.feed_service_pb2 import Author

WAITING, DELIVERED, DEAD, DROPPED = (
    pb.WEBHOOK_DELIVERY_STATE_WAITING, pb.WEBHOOK_DELIVERY_STATE_DELIVERED, pb.WEBHOOK_DELIVERY_STATE_DEAD,
    pb.WEBHOOK_DELIVERY_STATE_DROPPED,
)
_OPEN, _SECRET = int(events_pb2.COMMUNITY_KIND_OPEN), int(events_pb2.COMMUNITY_KIND_SECRET)

_HOOK = """
    SELECT w.webhook_id, w.name, w.url, w.community_id, w.event_types, w.includes_restricted, w.creator_id, w.create_time, w.disabled,
           w.disabled_reason, w.version, a.card, f.failing_since,
           (SELECT COUNT(*) FROM webhook_deliveries d WHERE d.webhook_id = w.webhook_id AND d.state = 1) AS waiting_count,
           (SELECT COUNT(*) FROM webhook_deliveries d WHERE d.webhook_id = w.webhook_id AND d.state = 3) AS dead_count
    FROM webhooks w
    LEFT JOIN people a ON a.person_id = w.creator_id
    LEFT JOIN webhook_failures f ON f.webhook_id = w.webhook_id
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook that is switched on, and what it wants to know."""

    webhook_id: str
    url: str
    community_id: str
    event_types: frozenset[str]
    includes_restricted: bool


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery to be tried."""

    delivery_id: str
    webhook_id: str
    event_type: str
    source: str
    position: int
    tries: int
    due_time: int


@dataclass(frozen=True, slots=True)
class Run:
    """A command that may still be answered."""

    command_id: str
    bot_id: str
    person_id: str
    parent_id: str
    audience: Audience


# --- webhooks ----------------------------------------------------------------------------------------------------


async def targets(tx: Reader) -> list[Target]:
    """Every webhook that is switched on."""
    rows = await tx.fetch(
        "SELECT webhook_id, url, community_id, event_types, includes_restricted FROM webhooks WHERE disabled = 0 ORDER BY webhook_id"
    )
    return [
        Target(row["webhook_id"], row["url"], row["community_id"], frozenset(row["event_types"].split()), bool(row["includes_restricted"]))
        for row in rows
    ]


async def webhook(tx: Reader, webhook_id: str) -> pb.Webhook | None:
    """One webhook."""
    row = await tx.fetch_one(f"{_HOOK} WHERE w.webhook_id = :webhook_id", webhook_id=webhook_id)
    return _webhook(row) if row else None


async def webhooks(tx: Reader, community_id: str) -> list[pb.Webhook]:
    """Those of a community or of the organisation, the newest first."""
    rows = await tx.fetch(f"{_HOOK} WHERE w.community_id = :community_id ORDER BY w.webhook_id DESC", community_id=community_id)
    return [_webhook(row) for row in rows]


async def signing(tx: Reader, webhook_id: str, now: int) -> tuple[str, list[str]] | None:
    """The address of a webhook that is switched on, and the secrets that sign for it now."""
    row = await tx.fetch_one(
        "SELECT url, secret, previous_secret, previous_until_time FROM webhooks WHERE webhook_id = :webhook_id AND disabled = 0",
        webhook_id=webhook_id,
    )
    if row is None:
        return None
    return row["url"], [row["secret"], *([row["previous_secret"]] if row["previous_secret"] and row["previous_until_time"] > now else [])]


async def place_of_post(tx: Reader, post_id: str) -> tuple[str, str, bool]:
    """The scope of a post's audience, of what, and whether its text is gone."""
    row = await tx.fetch_one("SELECT scope, scope_id, hidden FROM posts WHERE post_id = :post_id", post_id=post_id)
    return (row["scope"], row["scope_id"], bool(row["hidden"])) if row else ("nobody", "", True)


async def openness(tx: Reader, community_id: str) -> str:
    """Whether a community is open, closed or secret."""
    row = await tx.fetch_one("SELECT kind FROM communities WHERE community_id = :community_id", community_id=community_id)
    if row is None or row["kind"] == _SECRET:
        return "secret"
    return "open" if row["kind"] == _OPEN else "closed"


# --- deliveries --------------------------------------------------------------------------------------------------

_DELIVERY = """
    SELECT delivery_id, webhook_id, event_type, source, position, record_time, state, tries, due_time, try_time, answer_status, answer
    FROM webhook_deliveries
"""


async def note(tx: Transaction, delivery_id: str, webhook_id: str, event_type: str, source: str, position: int, record_time: int) -> None:
    """Something to be sent; noted once."""
    await tx.execute(
        """
        INSERT INTO webhook_deliveries (delivery_id, webhook_id, event_type, source, position, record_time, state, tries, due_time,
                                        try_time, answer_status, answer)
        VALUES (:delivery_id, :webhook_id, :event_type, :source, :position, :record_time, 1, 0, 0, 0, 0, '')
        ON CONFLICT (delivery_id) DO NOTHING
        """,
        delivery_id=delivery_id, webhook_id=webhook_id, event_type=event_type, source=source, position=position, record_time=record_time,
    )


async def waiting_hooks(tx: Reader) -> list[str]:
    """The webhooks that something waits for."""
    rows = await tx.fetch(
        """
        SELECT w.webhook_id FROM webhooks w
        WHERE w.disabled = 0
          AND EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.webhook_id = w.webhook_id AND d.state = 1)
        """
    )
    return [row["webhook_id"] for row in rows]


async def count_waiting(tx: Reader, webhook_id: str) -> int:
    """How much waits for a webhook."""
    row = await tx.fetch_one(
        "SELECT COUNT(*) AS n FROM webhook_deliveries WHERE webhook_id = :webhook_id AND state = 1", webhook_id=webhook_id
    )
    return int(row["n"]) if row else 0


async def head(tx: Reader, webhook_id: str) -> Due | None:
    """What a webhook is to be sent next, due or not."""
    row = await tx.fetch_one(
        f"{_DELIVERY} WHERE webhook_id = :webhook_id AND state = 1 ORDER BY record_time, delivery_id LIMIT 1", webhook_id=webhook_id
    )
    if row is None:
        return None
    return Due(
        row["delivery_id"], row["webhook_id"], row["event_type"], row["source"], row["position"], row["tries"], row["due_time"]
    )


async def settle(
    tx: Transaction, delivery_id: str, state: int, tries: int, due_time: int, try_time: int, answer_status: int, answer: str
) -> None:
    """What became of a try."""
    await tx.execute(
        """
        UPDATE webhook_deliveries
        SET state = :state, tries = :tries, due_time = :due_time, try_time = :try_time, answer_status = :answer_status, answer = :answer
        WHERE delivery_id = :delivery_id
        """,
        delivery_id=delivery_id, state=state, tries=tries, due_time=due_time, try_time=try_time, answer_status=answer_status, answer=answer,
    )


async def failing_since(tx: Transaction, webhook_id: str, now: int) -> int:
    """Since when a webhook fails: from now, unless it did before."""
    await tx.execute(
        """
        INSERT INTO webhook_failures (webhook_id, failing_since) VALUES (:webhook_id, :now)
        ON CONFLICT (webhook_id) DO NOTHING
        """,
        webhook_id=webhook_id, now=now,
    )
    row = await tx.fetch_one("SELECT failing_since FROM webhook_failures WHERE webhook_id = :webhook_id", webhook_id=webhook_id)
    return int(row["failing_since"]) if row else now


async def succeeded(tx: Transaction, webhook_id: str) -> None:
    """It does not fail any more."""
    await tx.execute("DELETE FROM webhook_failures WHERE webhook_id = :webhook_id", webhook_id=webhook_id)


async def delivery(tx: Reader, delivery_id: str) -> pb.WebhookDelivery | None:
    """One delivery."""
    row = await tx.fetch_one(f"{_DELIVERY} WHERE delivery_id = :delivery_id", delivery_id=delivery_id)
    return _delivery(row) if row else None


async def deliveries(tx: Reader, webhook_id: str, state: int, before: tuple[int, str], limit: int) -> list[tuple[int, pb.WebhookDelivery]]:
    """Those of a webhook, the newest first, with the time that pages."""
    rows = await tx.fetch(
        f"""
        {_DELIVERY}
        WHERE webhook_id = :webhook_id AND (:state = 0 OR state = :state)
          AND (record_time < :time OR (record_time = :time AND delivery_id < :last_id))
        ORDER BY record_time DESC, delivery_id DESC
        LIMIT :limit
        """,
        webhook_id=webhook_id, state=state, time=before[0], last_id=before[1], limit=limit,
    )
    return [(row["record_time"], _delivery(row)) for row in rows]


async def again(tx: Transaction, delivery_id: str) -> None:
    """Send it once more."""
    await tx.execute(
        "UPDATE webhook_deliveries SET state = 1, tries = 0, due_time = 0 WHERE delivery_id = :delivery_id", delivery_id=delivery_id
    )


async def sweep(tx: Transaction, before: int, keep: int) -> None:
    """Forget what is too old, what belongs to no webhook, and all but the newest of what is done."""
    await tx.execute("DELETE FROM webhook_deliveries WHERE record_time < :before", before=before)
    for table in ("webhook_deliveries", "webhook_failures"):
        await tx.execute(f"DELETE FROM {table} WHERE webhook_id NOT IN (SELECT webhook_id FROM webhooks)")
    for row in await tx.fetch("SELECT webhook_id FROM webhooks ORDER BY webhook_id"):
        await tx.execute(
            """
            DELETE FROM webhook_deliveries WHERE delivery_id IN (
                SELECT delivery_id FROM webhook_deliveries WHERE webhook_id = :webhook_id AND state <> 1
                ORDER BY record_time DESC, delivery_id DESC LIMIT 10000 OFFSET :keep
            )
            """,
            webhook_id=row["webhook_id"], keep=keep,
        )


# --- bots, incoming hooks, commands ------------------------------------------------------------------------------

_BOT = """
    SELECT b.bot_id, b.name, b.description, b.community_id, b.owner_id, b.create_time, a.card
    FROM bots b LEFT JOIN people a ON a.person_id = b.owner_id
"""
_INCOMING = """
    SELECT h.hook_id, h.name, h.community_id, h.person_id, h.bot_id, h.secret_hash, h.creator_id, h.create_time, a.card
    FROM incoming_hooks h LEFT JOIN people a ON a.person_id = h.creator_id
"""
_COMMAND = """
    SELECT s.command_id, s.bot_id, b.name AS bot_name, s.name, s.description, s.hint, s.url, s.community_id, s.secret
    FROM slash_commands s JOIN bots b ON b.bot_id = s.bot_id
"""


async def bot(tx: Reader, bot_id: str) -> pb.Bot | None:
    """One bot."""
    row = await tx.fetch_one(f"{_BOT} WHERE b.bot_id = :bot_id", bot_id=bot_id)
    return _bot(row) if row else None


async def bots(tx: Reader, community_id: str) -> list[pb.Bot]:
    """Those of a community or of the organisation."""
    rows = await tx.fetch(f"{_BOT} WHERE b.community_id = :community_id ORDER BY b.bot_id", community_id=community_id)
    return [_bot(row) for row in rows]


async def incoming(tx: Reader, hook_id: str) -> tuple[pb.IncomingHook, str] | None:
    """One incoming hook, and the hash of its secret."""
    row = await tx.fetch_one(f"{_INCOMING} WHERE h.hook_id = :hook_id", hook_id=hook_id)
    return (_incoming(row), row["secret_hash"]) if row else None


async def has_incoming_hook(tx: Reader, bot_id: str) -> bool:
    """Whether an incoming hook posts by this account."""
    return await tx.fetch_one("SELECT 1 AS one FROM incoming_hooks WHERE bot_id = :bot_id LIMIT 1", bot_id=bot_id) is not None


async def incoming_hooks(tx: Reader, community_id: str, person_id: str) -> list[pb.IncomingHook]:
    """Those that post into a community, or to a person."""
    rows = await tx.fetch(
        f"{_INCOMING} WHERE h.community_id = :community_id AND h.person_id = :person_id ORDER BY h.hook_id",
        community_id=community_id, person_id=person_id,
    )
    return [_incoming(row) for row in rows]


async def commands(tx: Reader, communities: Sequence[str], prefix: str = "", bot_id: str = "") -> list[pb.SlashCommand]:
    """Commands of the organisation and of a community that begin so, or of a bot."""
    if bot_id:
        rows = await tx.fetch(f"{_COMMAND} WHERE s.bot_id = :bot_id ORDER BY s.name", bot_id=bot_id)
    else:
        rows = await tx.fetch(
            f"""
            {_COMMAND}
            WHERE (s.community_id = '' OR s.community_id = :community_id) AND s.name >= :prefix AND s.name < :end
            ORDER BY s.name, s.community_id DESC
            """,
            community_id=next((each for each in communities if each), ""), prefix=prefix, end=prefix + "\x7f",
        )
    return [_command(row) for row in rows]


async def command(tx: Reader, command_id: str) -> pb.SlashCommand | None:
    """One command."""
    row = await tx.fetch_one(f"{_COMMAND} WHERE s.command_id = :command_id", command_id=command_id)
    return _command(row) if row else None


async def command_secret(tx: Reader, command_id: str) -> str:
    """What signs its requests."""
    row = await tx.fetch_one("SELECT secret FROM slash_commands WHERE command_id = :command_id", command_id=command_id)
    return row["secret"] if row else ""


async def keep_run(tx: Transaction, token_hash: str, run: Run, now: int, expire_time: int) -> None:
    """A command may be answered until then; what may no longer is forgotten."""
    await tx.execute("DELETE FROM command_runs WHERE expire_time <= :now", now=now)
    await tx.execute(
        """
        INSERT INTO command_runs (token_hash, command_id, bot_id, person_id, parent_id, audience, uses, expire_time)
        VALUES (:token_hash, :command_id, :bot_id, :person_id, :parent_id, :audience, 0, :expire_time)
        """,
        token_hash=token_hash, command_id=run.command_id, bot_id=run.bot_id, person_id=run.person_id, parent_id=run.parent_id,
        audience=run.audience.SerializeToString(deterministic=True), expire_time=expire_time,
    )


async def use_run(tx: Transaction, token_hash: str, now: int, most: int) -> Run | None:
    """Answer a command once more; None where it may not be."""
    row = await tx.fetch_one(
        """
        SELECT r.command_id, r.bot_id, r.person_id, r.parent_id, r.audience, r.uses
        FROM command_runs r JOIN slash_commands s ON s.command_id = r.command_id
        WHERE r.token_hash = :token_hash AND r.expire_time > :now AND r.uses < :most
        """,
        token_hash=token_hash, now=now, most=most,
    )
    if row is None:
        return None
    await tx.execute("UPDATE command_runs SET uses = uses + 1 WHERE token_hash = :token_hash", token_hash=token_hash)
    return Run(row["command_id"], row["bot_id"], row["person_id"], row["parent_id"], Audience.FromString(row["audience"]))


async def forget_runs_of(tx: Transaction, person_id: str) -> None:
    """Whoever asked was erased."""
    await tx.execute("DELETE FROM command_runs WHERE person_id = :person_id", person_id=person_id)


def _author(row: Row, person_id: str) -> Author:
    return Author.FromString(row["card"]) if row["card"] is not None else Author(person_id=person_id)


def _time(micros: int) -> Timestamp:
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1_000)


def _webhook(row: Row) -> pb.Webhook:
    return pb.Webhook(
        webhook_id=row["webhook_id"], name=row["name"], url=row["url"], community_id=row["community_id"],
        event_types=row["event_types"].split(), includes_restricted=bool(row["includes_restricted"]),
        creator=_author(row, row["creator_id"]), create_time=_time(row["create_time"]), disabled=bool(row["disabled"]),
        disabled_reason=row["disabled_reason"], waiting_count=row["waiting_count"], dead_count=row["dead_count"],
        failing_since=_time(row["failing_since"]) if row["failing_since"] is not None else None, etag=str(row["version"]),
    )


def _delivery(row: Row) -> pb.WebhookDelivery:
    waits = row["state"] == WAITING
    return pb.WebhookDelivery(
        delivery_id=row["delivery_id"], webhook_id=row["webhook_id"], event_type=row["event_type"], state=row["state"], tries=row["tries"],
        create_time=_time(row["record_time"]), try_time=_time(row["try_time"]) if row["try_time"] else None,
        next_try_time=_time(row["due_time"] or row["record_time"]) if waits else None, answer_status=row["answer_status"],
        answer=row["answer"],
    )


def _bot(row: Row) -> pb.Bot:
    return pb.Bot(
        bot_id=row["bot_id"], name=row["name"], description=row["description"], community_id=row["community_id"],
        owner=_author(row, row["owner_id"]), create_time=_time(row["create_time"]),
    )


def _incoming(row: Row) -> pb.IncomingHook:
    return pb.IncomingHook(
        hook_id=row["hook_id"], name=row["name"], community_id=row["community_id"], person_id=row["person_id"], bot_id=row["bot_id"],
        creator=_author(row, row["creator_id"]), create_time=_time(row["create_time"]),
    )


def _command(row: Row) -> pb.SlashCommand:
    return pb.SlashCommand(
        command_id=row["command_id"], bot_id=row["bot_id"], bot_name=row["bot_name"], name=row["name"], description=row["description"],
        hint=row["hint"], url=row["url"], community_id=row["community_id"],
    )
