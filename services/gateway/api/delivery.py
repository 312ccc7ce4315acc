"""How one is reached: preferences, push subscriptions, digests, and what a post costs its readers."""
# ruff: noqa: RUF012 - msgspec copies the empty lists that are defaults here.
from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from watercooler.common.v1.audience_pb2 import Audience, Everyone
from watercooler.feed.v1 import delivery_events_pb2 as events
from watercooler.feed.v1 import delivery_service_pb2 as delivery
from watercooler.feed.v1 import feed_service_pb2 as feed

from ..problems import Refusal
from .models import Id, NotificationKindName
from .operations import Call, Input, Output, operation, time_of

Rhythm = Literal["never", "daily", "weekly"]
Day = Annotated[int, Meta(ge=1, le=7, description="1 is Monday.")]
Minute = Annotated[int, Meta(ge=0, le=1439, description="After midnight, in the person's time zone.")]
Encoded = Annotated[str, Meta(max_length=200, description="base64url, as browsers give it.")]

RHYTHMS: Final[dict[Rhythm, events.DigestRhythm.ValueType]] = {
    "never": events.DIGEST_RHYTHM_NEVER, "daily": events.DIGEST_RHYTHM_DAILY, "weekly": events.DIGEST_RHYTHM_WEEKLY,
}
_RHYTHM_NAMES: Final = {number: name for name, number in RHYTHMS.items()}
WORDS_PER_MINUTE: Final = 200


class KindChoice(Output, frozen=True, kw_only=True):
    """Where notifications of one kind go; what is not in the app is neither pushed nor in the digest."""

    kind: NotificationKindName
    in_app: bool
    push: bool
    digest: bool


class KindInput(Input, frozen=True, kw_only=True):
    """Where notifications of one kind are to go."""

    kind: NotificationKindName
    in_app: bool = True
    push: bool = False
    digest: bool = False


class QuietHoursInput(Input, frozen=True, kw_only=True):
    """When nothing is to be pushed; an end at or before the start is on the next day."""

    on: bool
    start_minute: Minute = 20 * 60
    end_minute: Minute = 7 * 60
    days: Annotated[list[Day], Meta(max_length=7, description="On which they begin.")] | UnsetType = UNSET


class QuietHours(Output, frozen=True, kw_only=True):
    """When nothing is pushed."""

    on: bool
    start_minute: int
    end_minute: int
    days: list[int]


class PushSubscription(Output, frozen=True, kw_only=True):
    """A device that takes pushes; `is_mine` where it belongs to the session or token that asks."""

    id: str
    label: str
    subscribe_time: datetime
    kinds: list[NotificationKindName]
    is_mine: bool


class Delivery(Output, frozen=True, kw_only=True):
    """How one is reached."""

    kinds: list[KindChoice]
    quiet_hours: QuietHours
    pushes_per_day: int
    pushes_today: int
    quiet_until: datetime | None
    rhythm: Rhythm
    digest_hour: int
    digest_day: int
    language: str
    time_zone: str
    mail_address: str
    next_digest_time: datetime | None
    last_digest_time: datetime | None
    devices: list[PushSubscription]
    etag: str


class DeliveryChange(Input, frozen=True, kw_only=True):
    """What is to change; the rest stays."""

    kinds: Annotated[list[KindInput], Meta(max_length=50)] | UnsetType = UNSET
    quiet_hours: QuietHoursInput | UnsetType = UNSET
    pushes_per_day: Annotated[int, Meta(ge=0, le=200, description="Past it the rest of a day waits for the digest.")] | UnsetType = UNSET
    rhythm: Rhythm | UnsetType = UNSET
    digest_hour: Annotated[int, Meta(ge=0, le=23)] | UnsetType = UNSET
    digest_day: Day | UnsetType = UNSET
    language: Annotated[str, Meta(max_length=35, description="BCP 47; empty: as the profile says.")] | UnsetType = UNSET


def kind_name(kind: int) -> NotificationKindName:
    """The name of a kind here."""
    return feed.NotificationKind.Name(kind).removeprefix("NOTIFICATION_KIND_").lower()  # type: ignore[arg-type,return-value]


def kind_number(name: str) -> feed.NotificationKind.ValueType:
    """The kind of a name; raises ValueError for what is none."""
    return feed.NotificationKind.Value(f"NOTIFICATION_KIND_{name.upper()}")


def holder(call: Call) -> str:
    """The session or access token that a subscription belongs to."""
    return f"token:{call.me.token_id}" if call.me.token_id else f"session:{call.me.session_id}"


def _days(quiet: QuietHoursInput) -> list[int]:
    return list(range(1, 8)) if quiet.days is UNSET else sorted(set(quiet.days))


def _device(found: delivery.PushSubscription, mine: str) -> PushSubscription:
    return PushSubscription(
        id=found.subscription_id, label=found.label, subscribe_time=time_of(found.subscribe_time),
        kinds=[kind_name(kind) for kind in found.kinds], is_mine=found.holder == mine,
    )


def _shown(found: delivery.Delivery, mine: str) -> Delivery:
    chosen, quiet = found.preferences, found.preferences.quiet_hours
    return Delivery(
        kinds=[KindChoice(kind=kind_name(each.kind), in_app=each.in_app, push=each.push, digest=each.digest) for each in chosen.kinds],
        quiet_hours=QuietHours(on=quiet.on, start_minute=quiet.start_minute, end_minute=quiet.end_minute, days=list(quiet.days)),
        pushes_per_day=chosen.pushes_per_day, pushes_today=found.pushes_today,
        quiet_until=time_of(found.quiet_until) if found.HasField("quiet_until") else None,
        rhythm=_RHYTHM_NAMES[chosen.rhythm], digest_hour=chosen.digest_hour, digest_day=chosen.digest_day, language=chosen.language,
        time_zone=found.time_zone, mail_address=found.mail_address,
        next_digest_time=time_of(found.next_digest_time) if found.HasField("next_digest_time") else None,
        last_digest_time=time_of(found.last_digest_time) if found.HasField("last_digest_time") else None,
        devices=[_device(each, mine) for each in found.subscriptions], etag=found.etag,
    )


@operation("GET", "/delivery", "How notifications reach one", tag="delivery", answer=Delivery)
async def get_delivery(call: Call) -> Delivery:
    """Complete: what was never chosen stands with its default."""
    return _shown(await call.clients.delivery.GetDelivery(delivery.GetDeliveryRequest()), holder(call))


@operation("PATCH", "/delivery", "Choose how notifications reach one", tag="delivery", body=DeliveryChange, answer=Delivery, is_edit=True)
async def change_delivery(call: Call, body: DeliveryChange) -> Delivery:
    """Only what is named changes; of the kinds only those that are listed."""
    wanted = events.DeliveryPreferences()
    mask = []
    if body.kinds is not UNSET:
        mask.append("kinds")
        wanted.kinds.extend(
            events.KindDelivery(kind=kind_number(each.kind), in_app=each.in_app, push=each.push, digest=each.digest) for each in body.kinds
        )
    if body.quiet_hours is not UNSET:
        mask.append("quiet_hours")
        quiet = body.quiet_hours
        wanted.quiet_hours.CopyFrom(
            events.QuietHours(on=quiet.on, start_minute=quiet.start_minute, end_minute=quiet.end_minute, days=_days(quiet))
        )
    if body.rhythm is not UNSET:
        mask.append("rhythm")
        wanted.rhythm = RHYTHMS[body.rhythm]
    for name in ("pushes_per_day", "digest_hour", "digest_day", "language"):
        if (value := getattr(body, name)) is not UNSET:
            mask.append(name)
            setattr(wanted, name, value)
    if not mask:
        raise Refusal(400, "Say what is to change.")
    change = delivery.ChangeDeliveryRequest(
        preferences=wanted, update_mask=mask, etag=await call.if_match(), request_id=call.request_id
    )
    return _shown(await call.clients.delivery.ChangeDelivery(change), holder(call))


class PushKey(Output, frozen=True, kw_only=True):
    """What a browser is given as applicationServerKey."""

    public_key: str


@operation("GET", "/delivery/push-key", "The key that pushes are signed with", tag="delivery", answer=PushKey)
async def get_push_key(call: Call) -> PushKey:
    """A point of the curve P-256 in base64url (RFC 8292)."""
    found = await call.clients.delivery.GetPushKey(delivery.GetPushKeyRequest())
    return PushKey(public_key=base64.urlsafe_b64encode(found.public_key).rstrip(b"=").decode())


class SubscribeInput(Input, frozen=True, kw_only=True):
    """What the browser's subscription says."""

    endpoint: Annotated[str, Meta(min_length=1, max_length=2_000, description="https, and a public address.")]
    p256dh: Encoded
    auth: Encoded
    label: Annotated[str, Meta(max_length=200)] = ""
    kinds: Annotated[list[NotificationKindName], Meta(max_length=50, description="Empty: what the preferences push.")] = []


def _bytes(text: str, field: str) -> bytes:
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise Refusal(400, "This is base64url, as browsers give it.", field=field) from None


@operation("PUT", "/delivery/push", "Push to this device", tag="delivery", body=SubscribeInput, answer=PushSubscription)
async def subscribe_push(call: Call, body: SubscribeInput) -> PushSubscription:
    """One subscription a session or access token: a second one takes the place of the first, and it ends with them."""
    found = await call.clients.delivery.SubscribePush(
        delivery.SubscribePushRequest(
            holder=holder(call), endpoint=body.endpoint, public_key=_bytes(body.p256dh, "p256dh"), secret=_bytes(body.auth, "auth"),
            format=events.PUSH_FORMAT_WEB, kinds=[kind_number(each) for each in body.kinds], label=body.label, request_id=call.request_id,
        )
    )
    return _device(found, holder(call))


@operation("DELETE", "/delivery/push", "Push no more to this device", tag="delivery", status=204)
async def unsubscribe_push(call: Call) -> None:
    """Doing it twice changes nothing."""
    await call.clients.delivery.UnsubscribePush(delivery.UnsubscribePushRequest(holder=holder(call), request_id=call.request_id))


@operation("DELETE", "/delivery/devices/{device_id}", "Push no more to a device", tag="delivery", status=204)
async def remove_device(call: Call) -> None:
    """One of one's own; doing it twice changes nothing."""
    await call.clients.delivery.UnsubscribePush(
        delivery.UnsubscribePushRequest(subscription_id=call.id("device_id"), request_id=call.request_id)
    )


class PushTest(Output, frozen=True, kw_only=True):
    """What became of a test."""

    sent_count: int
    failed_count: int


@operation("POST", "/delivery/push/test", "Send oneself a test push", tag="delivery", answer=PushTest)
async def test_push(call: Call) -> PushTest:
    """To each device, at once, whatever the hour; once a minute."""
    found = await call.clients.delivery.TestPush(delivery.TestPushRequest())
    return PushTest(sent_count=found.sent_count, failed_count=found.failed_count)


class DigestShown(Output, frozen=True, kw_only=True):
    """A digest as a letter."""

    subject: str
    text: str
    html: str
    notification_count: int
    post_count: int


class DigestQuery(Input, frozen=True, kw_only=True):
    """In which language."""

    language: Annotated[str, Meta(max_length=35)] = ""


def _digest(found: delivery.Digest) -> DigestShown:
    return DigestShown(
        subject=found.subject, text=found.text, html=found.html, notification_count=found.notification_count, post_count=found.post_count
    )


@operation("GET", "/delivery/digest", "Preview one's next digest", tag="delivery", query=DigestQuery, answer=DigestShown)
async def preview_digest(call: Call, query: DigestQuery) -> DigestShown:
    """What it would say if it were sent now."""
    return _digest(await call.clients.delivery.PreviewDigest(delivery.PreviewDigestRequest(language=query.language)))


@operation("POST", "/delivery/digest/test", "Send oneself the digest now", tag="delivery", answer=DigestShown)
async def test_digest(call: Call) -> DigestShown:
    """It does not count as the one that is due; once a minute."""
    return _digest(await call.clients.delivery.TestDigest(delivery.TestDigestRequest()))


class CostQuery(Input, frozen=True, kw_only=True):
    """For whom, and how long."""

    audience: Literal["everyone", "followers", "community"] = "everyone"
    community_id: Id | None = None
    words: Annotated[int, Meta(ge=0, le=10_000)] = 0


class PostCost(Output, frozen=True, kw_only=True):
    """What a post costs: people times the time it takes to read, at 200 words a minute."""

    people: int
    seconds_each: int
    seconds_in_all: int
    # From here on whoever writes is asked whether it is for fewer people.
    hint_from_seconds: int


@operation("GET", "/delivery/cost", "What a post costs its readers", tag="delivery", query=CostQuery, answer=PostCost)
async def post_cost(call: Call, query: CostQuery) -> PostCost:
    """Those who would find it on their pages, without its writer."""
    audience = Audience(everyone=Everyone())
    if query.audience == "followers":
        audience = Audience(followers_of_id=call.me.person_id)
    elif query.audience == "community":
        if query.community_id is None:
            raise Refusal(400, "Say which community.", field="community_id")
        audience = Audience(community_id=query.community_id)
    found = await call.clients.delivery.CountReach(delivery.CountReachRequest(audience=audience))
    each = reading_seconds(query.words)
    hint = int(call.gateway.context.settings.reading_hint.total_seconds())
    return PostCost(people=found.people, seconds_each=each, seconds_in_all=each * found.people, hint_from_seconds=hint)


def reading_seconds(words: int) -> int:
    """How long so many words take to read; a second at least where there are any."""
    return -(-words * 60 // WORDS_PER_MINUTE)
