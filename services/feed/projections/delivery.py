"""How people are reached: their preferences, devices and digests; and what identity says of where."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1.delivery_events_pb2 import DeliveryPreferencesChanged, DigestSent, PushSubscribed, PushUnsubscribed
from watercooler.feed.v1.events_pb2 import AuthorErased
from watercooler.identity.v1 import events_pb2 as identity


class Deliveries:
    """One row of preferences a person who has any, one a device, and the last digest."""

    name = "feed.delivery"
    handles: tuple[type[Message], ...] = (DeliveryPreferencesChanged, PushSubscribed, PushUnsubscribed, DigestSent, AuthorErased)
    tables: tuple[str, ...] = ("delivery_preferences", "silenced_kinds", "push_subscriptions", "digests_sent")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the tables."""
        match event.data:
            case DeliveryPreferencesChanged() as changed:
                await _change(tx, changed)
            case PushSubscribed() as subscribed:
                await _subscribe(tx, subscribed)
            case PushUnsubscribed() as ended:
                await tx.batch("DELETE FROM push_subscriptions WHERE subscription_id = :id", id=ended.subscription_id)
            case DigestSent() as sent:
                await tx.batch(
                    """
                    INSERT INTO digests_sent (person_id, slot_time, send_time) VALUES (:person_id, :slot_time, :send_time)
                    ON CONFLICT (person_id) DO UPDATE SET slot_time = excluded.slot_time, send_time = excluded.send_time
                    """,
                    person_id=sent.person_id, slot_time=sent.slot_time.ToMicroseconds(), send_time=sent.send_time.ToMicroseconds(),
                )
            case AuthorErased() as erased:
                for table in self.tables:
                    await tx.batch(f"DELETE FROM {table} WHERE person_id = :person_id", person_id=erased.person_id)


async def _change(tx: Transaction, changed: DeliveryPreferencesChanged) -> None:
    chosen = changed.preferences
    await tx.batch(
        """
        INSERT INTO delivery_preferences (person_id, card, rhythm, digest_hour, digest_day, change_time)
        VALUES (:person_id, :card, :rhythm, :digest_hour, :digest_day, :change_time)
        ON CONFLICT (person_id) DO UPDATE
        SET card = excluded.card, rhythm = excluded.rhythm, digest_hour = excluded.digest_hour, digest_day = excluded.digest_day,
            change_time = excluded.change_time
        """,
        person_id=changed.person_id, card=chosen.SerializeToString(deterministic=True), rhythm=chosen.rhythm,
        digest_hour=chosen.digest_hour, digest_day=chosen.digest_day, change_time=changed.change_time.ToMicroseconds(),
    )
    await tx.batch("DELETE FROM silenced_kinds WHERE person_id = :person_id", person_id=changed.person_id)
    for each in chosen.kinds:
        if not each.in_app:
            await tx.batch(
                "INSERT INTO silenced_kinds (person_id, kind) VALUES (:person_id, :kind)", person_id=changed.person_id, kind=each.kind
            )


async def _subscribe(tx: Transaction, subscribed: PushSubscribed) -> None:
    await tx.batch("DELETE FROM push_subscriptions WHERE subscription_id = :id", id=subscribed.subscription_id)
    await tx.batch(
        """
        INSERT INTO push_subscriptions (
            subscription_id, person_id, holder, endpoint, public_key, secret, format, kinds, policy, label, client_token, subscribe_time
        )
        VALUES (
            :subscription_id, :person_id, :holder, :endpoint, :public_key, :secret, :format, :kinds, :policy, :label, :client_token,
            :subscribe_time
        )
        """,
        subscription_id=subscribed.subscription_id, person_id=subscribed.person_id, holder=subscribed.holder, endpoint=subscribed.endpoint,
        public_key=subscribed.public_key, secret=subscribed.secret, format=subscribed.format,
        kinds=" ".join(str(kind) for kind in subscribed.kinds), policy=subscribed.policy, label=subscribed.label,
        client_token=subscribed.client_token, subscribe_time=subscribed.subscribe_time.ToMicroseconds(),
    )


class Reachable:
    """A person's mail address, time zone and languages, as identity has them."""

    name = "feed.delivery_people"
    handles: tuple[type[Message], ...] = (identity.PersonAdded, identity.PersonProfileChanged, identity.PersonErased)
    tables: tuple[str, ...] = ("delivery_people",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the row of its person."""
        match event.data:
            case identity.PersonAdded() | identity.PersonProfileChanged() as told:
                profile = told.profile
                await tx.batch(
                    """
                    INSERT INTO delivery_people (person_id, email, time_zone, languages)
                    VALUES (:person_id, :email, :time_zone, :languages)
                    ON CONFLICT (person_id) DO UPDATE
                    SET email = excluded.email, time_zone = excluded.time_zone, languages = excluded.languages
                    """,
                    person_id=told.person_id, email=profile.email, time_zone=profile.time_zone, languages=" ".join(profile.languages),
                )
            case identity.PersonErased() as erased:
                await tx.batch("DELETE FROM delivery_people WHERE person_id = :person_id", person_id=erased.person_id)
