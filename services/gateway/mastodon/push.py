"""Web push: where pushes of one access token go, and what of."""
from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from watercooler.feed.v1 import delivery_events_pb2 as delivery_events
from watercooler.feed.v1 import delivery_service_pb2 as delivery
from watercooler.feed.v1 import feed_service_pb2 as feed

from .entities import TYPES, Entity
from .errors import invalid, not_found
from .instance import push_key
from .params import Params
from .router import Call, route

ALERTS: Final = (
    "mention", "status", "reblog", "follow", "follow_request", "favourite", "poll", "update", "quote", "quoted_update", "admin.sign_up",
    "admin.report",
)
POLICIES: Final = ("all", "followed", "follower", "none")


def _holder(call: Call) -> str:
    return f"token:{call.me.token_id}" if call.me.token_id else f"session:{call.me.session_id}"


def _bytes(params: Params, name: str) -> bytes:
    text = params.text(name, most=300).strip()
    try:
        return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raise invalid(f"{name} is base64url.", f"subscription[keys][{name}]") from None


def _kinds(params: Params) -> list[feed.NotificationKind.ValueType]:
    alerts = params.inner("data").inner("alerts")
    wanted = {each for each in ALERTS if alerts.flag(each)}
    return [feed.NotificationKind.ValueType(kind) for kind, name in TYPES.items() if name in wanted]


def _policy(params: Params, default: str) -> str:
    policy = params.inner("data").text("policy", default, 20) or params.text("policy", default, 20) or default
    if policy not in POLICIES:
        raise invalid(f"policy is {', '.join(POLICIES)}.", "data[policy]")
    return policy


async def _shown(call: Call, given: delivery.PushSubscription) -> Entity:
    kinds = {TYPES[each] for each in given.kinds if each in TYPES}
    if not given.subscription_id:
        raise not_found()
    return {
        "id": given.subscription_id, "endpoint": given.endpoint, "standard": True, "policy": given.policy or "all",
        "alerts": {each: each in kinds for each in ALERTS} | {"admin_sign_up": False, "admin_report": False},
        "server_key": await push_key(call),
    }


@route("POST", "/api/v1/push/subscription", "push")
async def subscribe(call: Call) -> Any:
    """Push to a device; the subscription before takes its leave."""
    subscription = call.params.inner("subscription")
    keys = subscription.inner("keys")
    endpoint = subscription.text("endpoint", most=2_000)
    if not endpoint:
        raise invalid("subscription[endpoint] can't be blank", "subscription[endpoint]")
    kinds = _kinds(call.params)
    return await _shown(
        call,
        await call.clients.delivery.SubscribePush(
            delivery.SubscribePushRequest(
                holder=_holder(call), endpoint=endpoint, public_key=_bytes(keys, "p256dh"), secret=_bytes(keys, "auth"),
                format=delivery_events.PUSH_FORMAT_MASTODON, kinds=kinds, policy=_policy(call.params, "all") if kinds else "none",
                label=(getattr(call.me, "app_name", "") or "Mastodon client")[:100], request_id=call.request_id,
            )
        ),
    )


async def _held(call: Call) -> delivery.PushSubscription:
    return await call.clients.delivery.GetPush(delivery.GetPushRequest(holder=_holder(call)))


@route("GET", "/api/v1/push/subscription", "push")
async def read(call: Call) -> Any:
    """The subscription of this token."""
    return await _shown(call, await _held(call))


@route("PUT", "/api/v1/push/subscription", "push")
async def change(call: Call) -> Any:
    """Other alerts, or from others."""
    held = await _held(call)
    kinds = _kinds(call.params) if call.params.inner("data").inner("alerts").values else list(held.kinds)
    policy = _policy(call.params, "all" if held.policy == "none" else held.policy or "all") if kinds else "none"
    return await _shown(
        call,
        await call.clients.delivery.ChangePush(
            delivery.ChangePushRequest(holder=_holder(call), kinds=kinds, policy=policy, request_id=call.request_id)
        ),
    )


@route("DELETE", "/api/v1/push/subscription", "push")
async def end(call: Call) -> Any:
    """No more pushes to it."""
    await call.clients.delivery.UnsubscribePush(delivery.UnsubscribePushRequest(holder=_holder(call), request_id=call.request_id))
    return {}
