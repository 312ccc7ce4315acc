"""Webhooks, bots, incoming hooks and slash commands as they are now."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction, UniqueViolation
from libs.eventstore.model import AlreadyExists, Recorded, Rejected
from watercooler.feed.v1 import integration_events_pb2 as events
from watercooler.feed.v1.events_pb2 import AuthorErased

EACH_MAX = 50


class Integrations:
    """The newest state of each; there are 50 of a kind at most, of the organisation and of each community or person."""

    name = "feed.integrations"
    handles: tuple[type[Message], ...] = (
        events.WebhookCreated, events.WebhookChanged, events.WebhookSecretRotated, events.WebhookDisabled, events.WebhookEnabled,
        events.WebhookDeleted, events.BotCreated, events.BotDeleted, events.IncomingHookCreated, events.IncomingHookSecretRotated,
        events.IncomingHookDeleted, events.SlashCommandRegistered, events.SlashCommandDeleted, AuthorErased,
    )
    tables: tuple[str, ...] = ("webhooks", "bots", "incoming_hooks", "slash_commands")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the tables.

        Raises:
            Rejected: there are too many of the kind.
            AlreadyExists: the command's name is taken there.
        """
        data = event.data
        if isinstance(data, events.BotCreated | events.BotDeleted):
            await _bot(data, tx)
        elif isinstance(data, events.IncomingHookCreated | events.IncomingHookSecretRotated | events.IncomingHookDeleted | AuthorErased):
            await _incoming(data, tx)
        elif isinstance(data, events.SlashCommandRegistered | events.SlashCommandDeleted):
            await _command(data, tx)
        else:
            await _webhook(event, tx)


async def _guard(tx: Transaction, table: str, column: str, value: str, what: str) -> None:
    row = await tx.fetch_one(f"SELECT COUNT(*) AS n FROM {table} WHERE {column} = :value", value=value)
    if row is not None and row["n"] >= EACH_MAX:
        raise Rejected(f"there are {EACH_MAX} {what} already: delete one that is no longer needed")


async def _webhook(event: Recorded, tx: Transaction) -> None:
    match event.data:
        case events.WebhookCreated() as created:
            await _guard(tx, "webhooks", "community_id", created.community_id, "webhooks")
            await tx.batch(
                """
                INSERT INTO webhooks (webhook_id, name, url, community_id, event_types, includes_restricted, secret, previous_secret,
                                      previous_until_time, creator_id, create_time, disabled, disabled_reason, version)
                VALUES (:webhook_id, :name, :url, :community_id, :event_types, :includes_restricted, :secret, '', 0, :creator_id,
                        :create_time, 0, '', :version)
                """,
                webhook_id=created.webhook_id, name=created.name, url=created.url, community_id=created.community_id,
                event_types=" ".join(created.event_types), includes_restricted=int(created.includes_restricted), secret=created.secret,
                creator_id=created.creator_id, create_time=created.create_time.ToMicroseconds(), version=event.version,
            )
        case events.WebhookChanged() as changed:
            await tx.batch(
                """
                UPDATE webhooks
                SET name = :name, url = :url, event_types = :event_types, includes_restricted = :includes_restricted, version = :version
                WHERE webhook_id = :webhook_id
                """,
                webhook_id=changed.webhook_id, name=changed.name, url=changed.url, event_types=" ".join(changed.event_types),
                includes_restricted=int(changed.includes_restricted), version=event.version,
            )
        case events.WebhookSecretRotated() as rotated:
            await tx.batch(
                """
                UPDATE webhooks
                SET previous_secret = secret, previous_until_time = :until, secret = :secret, version = :version
                WHERE webhook_id = :webhook_id
                """,
                webhook_id=rotated.webhook_id, secret=rotated.secret, until=rotated.previous_until.ToMicroseconds(), version=event.version,
            )
        case events.WebhookDisabled() as off:
            await tx.batch(
                "UPDATE webhooks SET disabled = 1, disabled_reason = :reason, version = :version WHERE webhook_id = :webhook_id",
                webhook_id=off.webhook_id, reason=off.reason, version=event.version,
            )
        case events.WebhookEnabled() as on:
            await tx.batch(
                "UPDATE webhooks SET disabled = 0, disabled_reason = '', version = :version WHERE webhook_id = :webhook_id",
                webhook_id=on.webhook_id, version=event.version,
            )
        case events.WebhookDeleted() as deleted:
            await tx.batch("DELETE FROM webhooks WHERE webhook_id = :webhook_id", webhook_id=deleted.webhook_id)


async def _bot(data: Message, tx: Transaction) -> None:
    match data:
        case events.BotCreated() as created:
            await _guard(tx, "bots", "community_id", created.community_id, "bots")
            await tx.batch(
                """
                INSERT INTO bots (bot_id, name, description, community_id, owner_id, create_time)
                VALUES (:bot_id, :name, :description, :community_id, :owner_id, :create_time)
                """,
                bot_id=created.bot_id, name=created.name, description=created.description, community_id=created.community_id,
                owner_id=created.owner_id, create_time=created.create_time.ToMicroseconds(),
            )
        case events.BotDeleted() as deleted:
            await tx.batch("DELETE FROM bots WHERE bot_id = :bot_id", bot_id=deleted.bot_id)
            await tx.batch("DELETE FROM slash_commands WHERE bot_id = :bot_id", bot_id=deleted.bot_id)


async def _incoming(data: Message, tx: Transaction) -> None:
    match data:
        case events.IncomingHookCreated() as created:
            column = "community_id" if created.community_id else "person_id"
            await _guard(tx, "incoming_hooks", column, created.community_id or created.person_id, "incoming hooks")
            await tx.batch(
                """
                INSERT INTO incoming_hooks (hook_id, name, community_id, person_id, bot_id, secret_hash, creator_id, create_time)
                VALUES (:hook_id, :name, :community_id, :person_id, :bot_id, :secret_hash, :creator_id, :create_time)
                """,
                hook_id=created.hook_id, name=created.name, community_id=created.community_id, person_id=created.person_id,
                bot_id=created.bot_id, secret_hash=created.secret_hash, creator_id=created.creator_id,
                create_time=created.create_time.ToMicroseconds(),
            )
        case events.IncomingHookSecretRotated() as rotated:
            await tx.batch(
                "UPDATE incoming_hooks SET secret_hash = :secret_hash WHERE hook_id = :hook_id",
                hook_id=rotated.hook_id, secret_hash=rotated.secret_hash,
            )
        case events.IncomingHookDeleted() as deleted:
            await tx.batch("DELETE FROM incoming_hooks WHERE hook_id = :hook_id", hook_id=deleted.hook_id)
        case AuthorErased() as erased:
            await tx.batch("DELETE FROM incoming_hooks WHERE person_id = :person_id", person_id=erased.person_id)


async def _command(data: Message, tx: Transaction) -> None:
    match data:
        case events.SlashCommandRegistered() as made:
            await _guard(tx, "slash_commands", "community_id", made.community_id, "commands")
            try:
                await tx.execute(
                    """
                    INSERT INTO slash_commands (command_id, bot_id, name, description, hint, url, community_id, secret)
                    VALUES (:command_id, :bot_id, :name, :description, :hint, :url, :community_id, :secret)
                    """,
                    command_id=made.command_id, bot_id=made.bot_id, name=made.name, description=made.description, hint=made.hint,
                    url=made.url, community_id=made.community_id, secret=made.secret,
                )
            except UniqueViolation as error:
                raise AlreadyExists(f"/{made.name} is taken here: choose another name", "name") from error
        case events.SlashCommandDeleted() as deleted:
            await tx.batch("DELETE FROM slash_commands WHERE command_id = :command_id", command_id=deleted.command_id)
