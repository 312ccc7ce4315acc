"""Notifications: one of ours stands for several of the same kind about the same thing, as Mastodon's grouped ones do.

Ids are positions in the feed's log as text: they grow with time. What a client clears or dismisses is read, and is not given to clients
of this API again; the pages go on showing it.
"""
from __future__ import annotations

from typing import Any, Final

import msgspec

from libs.eventstore.model import micros
from watercooler.feed.v1 import feed_service_pb2 as feed

from .. import queries
from . import entities
from .entities import Entity
from .errors import not_found
from .paging import links
from .params import Params
from .router import Call, Reply, route

LIMIT: Final = 40
MOST: Final = 80
GROUPED: Final = frozenset({"favourite", "follow", "reblog"})
_POSITION = (1 << 63) - 1


def kinds_of(params: Params) -> list[feed.NotificationKind.ValueType]:
    """The kinds that a request wants; all that have a word in Mastodon where it says nothing."""
    wanted, unwanted = set(params.texts("types", 50)), set(params.texts("exclude_types", 50))
    return [
        feed.NotificationKind.ValueType(kind) for kind, name in entities.TYPES.items()
        if (not wanted or name in wanted) and name not in unwanted
    ]


def _position(params: Params, name: str) -> int:
    text = params.text(name, most=100)
    return min(int(text), _POSITION) if text.isascii() and text.isdigit() and len(text) <= 19 else 0


async def _found(call: Call, most: int = MOST) -> tuple[list[feed.Notification], str]:
    """What a request asks for, and the mark of what is older."""
    params = call.params
    kinds = kinds_of(params)
    if not kinds:
        return [], ""
    after, from_oldest = _position(params, "since_id"), False
    if "min_id" in params:
        after, from_oldest = _position(params, "min_id"), True
    gone = await _dismissed(call)
    answer = await call.clients.feed.ListNotifications(
        feed.ListNotificationsRequest(
            page_size=params.whole("limit", LIMIT, 1, most), before_position=_position(params, "max_id"),
            after_position=max(after, gone.cleared_position), from_oldest=from_oldest, kinds=kinds,
        )
    )
    account_id = params.text("account_id", most=60)
    shown = [
        each for each in answer.notifications
        if entities.notification_type(each) and each.position not in gone.positions
        and (not account_id or any(actor.person_id == account_id for actor in each.actors))
    ]
    older = str(answer.notifications[-1].position) if answer.next_page_token and answer.notifications else ""
    return shown, older


async def _dismissed(call: Call) -> queries.Dismissed:
    async with call.gateway.context.database.snapshot() as tx:
        return await queries.dismissed(tx, call.me.person_id)


async def shown(call: Call, found: list[feed.Notification]) -> list[Entity]:
    """Notifications as entities, each with its post as JSON."""
    posts = [each.post for each in found if each.HasField("post")]
    written = iter(await call.shown.statuses([each for each in posts if not each.deleted and not each.erased], parents=True))
    result = []
    for each in found:
        one: Entity = {
            "id": str(each.position), "type": entities.notification_type(each), "created_at": entities.moment(each.notify_time),
            "group_key": entities.group_key(each), "account": entities.notification_account(each, call.site),
        }
        if each.HasField("post") and not each.post.deleted and not each.post.erased:
            one["status"] = next(written)
        result.append(one)
    return result


@route("GET", "/api/v1/notifications", "read:notifications")
async def notifications(call: Call) -> Reply:
    """What others did that concerns one, newest first."""
    found, older = await _found(call)
    return Reply(await shown(call, found), link=links(call, older, str(found[0].position) if found else ""))


@route("GET", "/api/v1/notifications/unread_count", "read:notifications")
@route("GET", "/api/v2/notifications/unread_count", "read:notifications")
async def unread_count(call: Call) -> Any:
    """How many are unread."""
    answer = await call.clients.feed.CountUnreadNotifications(feed.CountUnreadNotificationsRequest())
    return {"count": answer.unread_count}


async def _one(call: Call, position: int) -> feed.Notification:
    gone = await _dismissed(call)
    if position and position > gone.cleared_position and position not in gone.positions:
        answer = await call.clients.feed.ListNotifications(
            feed.ListNotificationsRequest(page_size=1, before_position=position + 1, after_position=position - 1)
        )
        for each in answer.notifications:
            if each.position == position and entities.notification_type(each):
                return each
    raise not_found()


def _asked(call: Call) -> int:
    text = call.word()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


@route("GET", "/api/v1/notifications/:id", "read:notifications")
async def one(call: Call) -> Any:
    """A notification."""
    return (await shown(call, [await _one(call, _asked(call))]))[0]


@route("POST", "/api/v1/notifications/clear", "write:notifications")
async def clear(call: Call) -> Any:
    """All there are now are read, and not given to clients again."""
    await call.clients.feed.MarkNotificationsRead(feed.MarkNotificationsReadRequest(request_id=call.request_id))
    newest = await call.clients.feed.ListNotifications(feed.ListNotificationsRequest(page_size=1))
    if newest.notifications:
        async with call.gateway.context.database.transaction() as tx:
            await queries.clear_notifications(tx, call.me.person_id, newest.notifications[0].position, _now(call))
    return {}


async def _dismiss(call: Call, position: int) -> Any:
    await _one(call, position)
    async with call.gateway.context.database.transaction() as tx:
        await queries.dismiss_notification(tx, call.me.person_id, position, _now(call))
    return {}


def _now(call: Call) -> int:
    return micros(call.gateway.context.now())


@route("POST", "/api/v1/notifications/:id/dismiss", "write:notifications")
async def dismiss(call: Call) -> Any:
    """One is not given to clients again."""
    return await _dismiss(call, _asked(call))


@route("POST", "/api/v1/notifications/dismiss", "write:notifications")
async def dismiss_as_before(call: Call) -> Any:
    """The same, as the oldest clients ask for it."""
    return await _dismiss(call, _position(call.params, "id"))


# --- grouped ---------------------------------------------------------------------------------------------------------


def _group(each: feed.Notification) -> Entity:
    position = str(each.position)
    group: Entity = {
        "group_key": entities.group_key(each), "notifications_count": max(each.actor_count, 1), "type": entities.notification_type(each),
        "most_recent_notification_id": position, "page_min_id": position, "page_max_id": position,
        "latest_page_notification_at": entities.moment(each.notify_time),
        "sample_account_ids": [one.person_id for one in each.actors] or [each.post.author.person_id],
    }
    if each.HasField("post"):
        group["status_id"] = each.post.post_id
    return group


async def _grouped(call: Call, found: list[feed.Notification]) -> Entity:
    accounts: dict[str, Entity] = {}
    posts: dict[str, feed.Post] = {}
    for each in found:
        for actor in each.actors or [each.post.author]:
            accounts.setdefault(actor.person_id, entities.account_of_author(actor, call.site))
        if each.HasField("post"):
            posts.setdefault(each.post.post_id, each.post)
    result: Entity = {
        "accounts": list(accounts.values()), "statuses": await call.shown.statuses(list(posts.values()), parents=True),
        "notification_groups": [_group(each) for each in found],
    }
    if call.params.text("expand_accounts", most=40) == "partial_avatars":
        result["partial_accounts"] = []
    return result


@route("GET", "/api/v2/notifications", "read:notifications")
async def grouped(call: Call) -> Reply:
    """Notifications in groups, which is how they are kept."""
    found, older = await _found(call)
    return Reply(await _grouped(call, found), link=links(call, older, str(found[0].position) if found else ""))


async def _of_key(call: Call, key: str) -> feed.Notification:
    kind, _, rest = key.partition("-")
    if kind == "ungrouped" and rest.isascii() and rest.isdigit() and len(rest) <= 18:
        return await _one(call, int(rest))
    gone = await _dismissed(call)
    answer = await call.clients.feed.ListNotifications(
        feed.ListNotificationsRequest(page_size=200, after_position=gone.cleared_position)
    )
    for each in answer.notifications:
        if entities.notification_type(each) and entities.group_key(each) == key and each.position not in gone.positions:
            return each
    raise not_found()


@route("GET", "/api/v2/notifications/:key", "read:notifications")
async def one_group(call: Call) -> Any:
    """A group."""
    return await _grouped(call, [await _of_key(call, call.word())])


@route("GET", "/api/v1/notifications/:key/accounts", "read:notifications")
@route("GET", "/api/v2/notifications/:key/accounts", "read:notifications")
async def accounts_of_group(call: Call) -> Any:
    """Whose doings a group is of: the newest five."""
    found = await _of_key(call, call.word())
    return await call.shown.accounts(found.actors)


@route("POST", "/api/v2/notifications/:key/dismiss", "write:notifications")
async def dismiss_group(call: Call) -> Any:
    """A group is not given to clients again; what is new in it is."""
    return await _dismiss(call, (await _of_key(call, call.word())).position)


# --- what a company network has none of ------------------------------------------------------------------------------


POLICY: Final[Entity] = {
    "for_not_following": "accept", "for_not_followers": "accept", "for_new_accounts": "accept", "for_private_mentions": "accept",
    "for_limited_accounts": "accept", "summary": {"pending_requests_count": 0, "pending_notifications_count": 0},
}


@route("GET", "/api/v1/notifications/policy", "read:notifications")
@route("GET", "/api/v2/notifications/policy", "read:notifications")
@route("PATCH", "/api/v1/notifications/policy", "write:notifications")
@route("PATCH", "/api/v2/notifications/policy", "write:notifications")
async def policy(call: Call) -> Any:
    """Everybody is a colleague: nobody's notifications wait to be let through. What should not disturb is set in the settings."""
    if call.path.startswith("/api/v1/"):
        return {
            "filter_not_following": False, "filter_not_followers": False, "filter_new_accounts": False, "filter_private_mentions": False,
            **POLICY,
        }
    return POLICY


@route("GET", "/api/v1/notifications/requests", "read:notifications")
async def requests(call: Call) -> Any:
    """None wait."""
    return []


@route("GET", "/api/v1/notifications/requests/merged", "read:notifications")
async def merged(call: Call) -> Any:
    """None wait to be merged."""
    return {"merged": True}


@route("POST", "/api/v1/notifications/requests/accept", "write:notifications")
@route("POST", "/api/v1/notifications/requests/dismiss", "write:notifications")
async def no_requests(call: Call) -> Any:
    """None wait."""
    return {}


@route("GET", "/api/v1/notifications/requests/:id", "read:notifications")
@route("POST", "/api/v1/notifications/requests/:id/accept", "write:notifications")
@route("POST", "/api/v1/notifications/requests/:id/dismiss", "write:notifications")
async def no_request(call: Call) -> Any:
    """None wait, so there is none of that id."""
    raise not_found()


def encoded(entity: Entity) -> str:
    """An entity as JSON text, for streams."""
    return msgspec.json.encode(entity).decode()
