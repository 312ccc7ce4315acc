"""Settings of notifications: what reaches one where, when and on which devices, the digest, and the way out of it by a letter's link."""
from __future__ import annotations

import asyncio
import base64
import re
from datetime import UTC, date, timedelta
from functools import partial
from typing import Final

from babel.dates import format_date
from litestar import Response

from libs.rpc.errors import RpcError
from watercooler.common.v1.audience_pb2 import Audience, Everyone
from watercooler.feed.v1 import delivery_events_pb2 as events
from watercooler.feed.v1 import delivery_service_pb2 as delivery

from ..api.delivery import RHYTHMS, kind_name
from ..http import AnyRequest, clients, current_person
from ..navigation import N_
from ..neighbours import spared
from ..problems import Refusal
from ..views import Form, Option
from ..views_delivery import DeviceRow, DigestStopPage, KindRow, SettingsNotificationsPage
from .common import (
    Posted,
    as_gateway,
    bad,
    get,
    go,
    page_locale,
    post,
    posted,
    problems,
    query,
    render,
    shell,
    told,
    translated,
)

PATH: Final = "/settings/notifications"
FIELDS: Final = ("quiet_start", "quiet_end", "pushes_per_day", "rhythm", "digest_day", "digest_hour")
# In the order of the page: what is for the reader in person first.
LABELS: Final = {
    "direct": N_("Posts addressed to you"),
    "mention": N_("Mentions"),
    "reply": N_("Replies"),
    "announcement": N_("Announcements"),
    "reminder": N_("Reminders of announcements"),
    "correction": N_("Corrections of announcements"),
    "question": N_("Questions you may know the answer to"),
    "best_answer": N_("Your answer is the best one"),
    "praise": N_("Praise"),
    "decision": N_("Decisions on what you asked or proposed"),
    "moderation": N_("Reports and appeals"),
    "draft": N_("Scheduled posts of yours that could not be published"),
    "webhook": N_("Webhooks of yours that were switched off"),
    "post": N_("New posts of people you asked about"),
    "reaction": N_("Reactions"),
    "repost": N_("Your posts passed on"),
    "quote": N_("Your posts quoted"),
    "edit": N_("Edits of posts you reacted to"),
    "poll": N_("Polls that have closed"),
    "follow": N_("New followers"),
    "join_request": N_("Requests to join your communities"),
    "joined": N_("You were let into a community"),
}
# The mail itself: its own styles, and nothing from anywhere.
_LETTER_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_MONDAY: Final = date(2026, 11, 23)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _minute(text: str) -> int | None:
    found = _CLOCK.fullmatch(text)
    return int(found[1]) * 60 + int(found[2]) if found else None


def _values(found: delivery.Delivery) -> dict[str, str]:
    chosen = found.preferences
    rhythm = next(name for name, number in RHYTHMS.items() if number == chosen.rhythm)
    return {
        "quiet_start": _clock(chosen.quiet_hours.start_minute), "quiet_end": _clock(chosen.quiet_hours.end_minute),
        "pushes_per_day": str(chosen.pushes_per_day), "rhythm": rhythm, "digest_day": str(chosen.digest_day),
        "digest_hour": str(chosen.digest_hour), "version": found.etag,
    }


def holder(request: AnyRequest) -> str:
    """The session that a device of this browser belongs to."""
    return f"session:{current_person(request).session_id}"


async def _page(request: AnyRequest, form: Form | None = None, status: int = 200, typed: Posted | None = None) -> Response[bytes]:
    services = clients(request).delivery
    around, found, key = await asyncio.gather(
        shell(request), services.GetDelivery(delivery.GetDeliveryRequest()), services.GetPushKey(delivery.GetPushKeyRequest())
    )
    say, locale = translated(request), page_locale(request)
    chosen = found.preferences if typed is None else _read(typed, found.preferences)
    kinds = {kind_name(each.kind): each for each in chosen.kinds}
    days = [(_MONDAY + timedelta(days=at)) for at in range(7)]
    names = [format_date(each, "EEEE", locale=locale) for each in days]
    view = SettingsNotificationsPage(
        shell=around, form=form or Form(values=_values(found)),
        kinds=[
            KindRow(name=name, label=say(label), in_app=kinds[name].in_app, push=kinds[name].push, digest=kinds[name].digest)
            for name, label in LABELS.items() if name in kinds
        ],
        quiet_on=chosen.quiet_hours.on,
        quiet_days=[
            Option(value=str(at), label=format_date(each, "EEE", locale=locale), hint=name, is_chosen=at in chosen.quiet_hours.days)
            for at, (each, name) in enumerate(zip(days, names, strict=True), 1)
        ],
        rhythms=[
            Option(value="daily", label=say("Every day")), Option(value="weekly", label=say("Every week")),
            Option(value="never", label=say("Never")),
        ],
        digest_days=[Option(value=str(at), label=name) for at, name in enumerate(names, 1)],
        digest_hours=[Option(value=str(hour), label=_clock(hour * 60)) for hour in range(24)],
        devices=[
            DeviceRow(
                id=each.subscription_id, label=each.label or say("A device"), since=each.subscribe_time.ToDatetime(UTC),
                is_here=each.holder == holder(request),
            )
            for each in found.subscriptions
        ],
        push_key=base64.urlsafe_b64encode(key.public_key).rstrip(b"=").decode(), time_zone=found.time_zone,
        mail_address=found.mail_address, pushes_today=found.pushes_today,
        quiet_until=found.quiet_until.ToDatetime(UTC) if found.HasField("quiet_until") else None,
        next_digest_time=found.next_digest_time.ToDatetime(UTC) if found.HasField("next_digest_time") else None,
        last_digest_time=found.last_digest_time.ToDatetime(UTC) if found.HasField("last_digest_time") else None,
    )
    return render(request, view, status)


def _read(form: Posted, before: events.DeliveryPreferences) -> events.DeliveryPreferences:
    """What the form chooses; what cannot be read stays as it was, and is refused by `_wrong`."""
    chosen = events.DeliveryPreferences()
    chosen.CopyFrom(before)
    wanted = {name: set(form.texts(name)) for name in ("app", "push", "digest")}
    for each in chosen.kinds:
        kind = kind_name(each.kind)
        if kind in LABELS:
            each.in_app = kind in wanted["app"]
            each.push = each.in_app and kind in wanted["push"]
            each.digest = each.in_app and kind in wanted["digest"]
    chosen.quiet_hours.on = bool(form.text("quiet_on", 10))
    for field, attribute in (("quiet_start", "start_minute"), ("quiet_end", "end_minute")):
        if (minute := _minute(form.text(field, 10))) is not None:
            setattr(chosen.quiet_hours, attribute, minute)
    del chosen.quiet_hours.days[:]
    chosen.quiet_hours.days.extend(sorted({int(day) for day in form.texts("quiet_days") if day in "1234567" and day}))
    for name in ("pushes_per_day", "digest_day", "digest_hour"):
        text = form.text(name, 6)
        if text.isascii() and text.isdigit():
            setattr(chosen, name, int(text))
    if (rhythm := form.text("rhythm", 10)) in RHYTHMS:
        chosen.rhythm = RHYTHMS[rhythm]
    return chosen


@get(PATH)
async def show_notifications(request: AnyRequest) -> Response[bytes]:
    """What reaches one where and when."""
    return await _page(request)


@post(PATH)
async def change_notifications(request: AnyRequest) -> Response[bytes]:
    """Choose it."""
    form = await posted(request)
    say, services = translated(request), clients(request).delivery
    kept = form.kept(*FIELDS, "version")
    for name in ("quiet_start", "quiet_end"):
        if _minute(form.text(name, 10)) is None:
            problem = bad(name, say("Write a time of day, such as 20:00."))
            return await _page(request, problem.form(kept), problem.status, form)
    count = form.text("pushes_per_day", 6)
    if not (count.isascii() and count.isdigit()):
        problem = bad("pushes_per_day", say("Write a number from 0 to 200."))
        return await _page(request, problem.form(kept), problem.status, form)
    before = await services.GetDelivery(delivery.GetDeliveryRequest())
    wanted = _read(form, before.preferences)
    wanted.language = page_locale(request)
    mask = ["kinds", "quiet_hours", "pushes_per_day", "rhythm", "digest_day", "digest_hour", "language"]
    try:
        await services.ChangeDelivery(
            delivery.ChangeDeliveryRequest(preferences=wanted, update_mask=mask, etag=form.text("version", 40))
        )
    except RpcError as error:
        problem = problems(error, {"quiet_hours": "quiet_days", "pushes_per_day": "pushes_per_day"})
        return await _page(request, problem.form({**kept, "version": before.etag}), problem.status, form)
    return go(request, PATH, say("Saved."))


@post(f"{PATH}/devices")
async def remove_device(request: AnyRequest) -> Response[bytes]:
    """Push no more to a device."""
    form = await posted(request)
    device_id = form.text("device_id", 36)
    if len(device_id) != 36:
        raise Refusal(404, "")
    await clients(request).delivery.UnsubscribePush(delivery.UnsubscribePushRequest(subscription_id=device_id))
    return go(request, PATH, told(request, "Nothing more is pushed to this device."))


@post(f"{PATH}/test")
async def test_delivery(request: AnyRequest) -> Response[bytes]:
    """Send oneself a push or the digest."""
    form = await posted(request)
    say, services = translated(request), clients(request).delivery
    try:
        if form.text("test", 10) == "mail":
            await services.TestDigest(delivery.TestDigestRequest(language=page_locale(request)))
            return go(request, PATH, say("The digest is on its way to your mailbox."))
        found = await services.TestPush(delivery.TestPushRequest())
    except RpcError as error:
        problem = problems(error)
        return go(request, PATH, problem.message or next(iter(problem.errors.values()), ""), kind="bad")
    if found.failed_count:
        return go(request, PATH, say("A device could not be reached. Remove it and add it again."), kind="bad")
    if not found.sent_count:
        return go(request, PATH, say("No device takes notifications yet: add this one first."), kind="note")
    return go(request, PATH, say("Sent: look at your devices."))


@get(f"{PATH}/digest")
async def preview_digest(request: AnyRequest) -> Response[bytes]:
    """The next digest as it would look now: the letter itself."""
    found = await clients(request).delivery.PreviewDigest(delivery.PreviewDigestRequest(language=page_locale(request)))
    headers = {"content-security-policy": _LETTER_POLICY, "cache-control": "no-store"}
    return Response(found.html.encode(), media_type="text/html", headers=headers)


async def end_pushes(request: AnyRequest, *session_ids: str) -> None:
    """Push no more to the browsers of sessions that end; where feed is away, they end with their push service."""
    for session_id in session_ids:
        ending = delivery.UnsubscribePushRequest(holder=f"session:{session_id}", signed_out=True)
        await spared(request, "feed", partial(clients(request).delivery.UnsubscribePush, ending))


async def reach_of(request: AnyRequest) -> dict[str, int]:
    """How many people the widest audiences are for, as the composer's own page shows it without script; nothing where feed is away."""
    audiences = {"everyone": Audience(everyone=Everyone()), "followers": Audience(followers_of_id=current_person(request).person_id)}
    calls = [
        spared(request, "feed", partial(clients(request).delivery.CountReach, delivery.CountReachRequest(audience=each)))
        for each in audiences.values()
    ]
    found = await asyncio.gather(*calls)
    return {name: each.people for name, each in zip(audiences, found, strict=True) if each is not None}


# --- the link of a letter -------------------------------------------------------------------------------------------------


@get("/digests/stop", is_open=True)
async def show_stop(request: AnyRequest) -> Response[bytes]:
    """Ask whether digests shall end: mail programs that only look at links end nothing."""
    return render(request, DigestStopPage(shell=await shell(request), token=query(request, "token", 200)))


@post("/digests/stop", is_open=True)
async def stop(request: AnyRequest) -> Response[bytes]:
    """End digests; a mail program sends this by itself (RFC 8058), so that the letter's token stands for a sign-in."""
    token = query(request, "token", 200)
    with as_gateway(request):
        try:
            await clients(request).delivery.StopDigest(delivery.StopDigestRequest(token=token))
        except RpcError as error:
            try:
                problems(error)
            except Refusal:
                return render(request, DigestStopPage(shell=await shell(request), state="broken"), 404)
            raise
    return render(request, DigestStopPage(shell=await shell(request), state="done"))
