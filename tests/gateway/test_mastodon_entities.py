"""Every entity that Mastodon's client API answers, against the published list of their fields and types."""
from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.testing.world import shared_data
from tests.gateway.conftest import Network

SHARED = shared_data()
LIST = SHARED / "data" / "microblog" / "mastodon-entities.json" if SHARED is not None else Path("nowhere")
pytestmark = pytest.mark.skipif(not LIST.exists(), reason="the list of Mastodon's entities is not beside this repository")

# Present and null here, where the list says that there always is a value: nobody is the network's contact, and links have no accounts.
ABSENT = {("Instance", "contact_account"), ("InstanceContact", "account"), ("PreviewCardAuthor", "account")}
# What another name or form has in the list than in Mastodon's own answers.
LEFT_OUT = {("WebPushSubscriptionAlerts", "admin_sign_up"), ("WebPushSubscriptionAlerts", "admin_report")}
# A scheduled poll has its texts and its seconds, as it was sent; the list takes it for a poll.
UNLIKE = {("ScheduledStatusParams", "poll")}
TEXTS = {"str", "IdType", "MaybeSnowflakeIdType"}


class Checker:
    """Walks answers beside the list."""

    def __init__(self) -> None:
        self.entities = {each["python_name"]: each["fields"] for each in json.loads(LIST.read_text("utf-8"))}
        self.seen: set[str] = set()
        self.wrong: list[str] = []

    def check(self, name: str, value: Any, where: str = "") -> None:
        """An entity by its name in the list."""
        where = where or name
        if not isinstance(value, dict):
            self.wrong.append(f"{where}: {value!r} is no {name}")
            return
        self.seen.add(name)
        for field, told in self.entities[name].items():
            if field.startswith("_"):
                continue
            if field not in value:
                if not told["is_optional"] and (name, field) not in LEFT_OUT:
                    self.wrong.append(f"{where}.{field} is missing")
                continue
            held = value[field]
            if held is None:
                if not told["is_nullable"] and (name, field) not in ABSENT:
                    self.wrong.append(f"{where}.{field} is null")
                continue
            if (name, field) not in UNLIKE:
                self._type(told["field_type"], told.get("field_subtype"), held, f"{where}.{field}")

    def _type(self, kind: str, inner: str | None, value: Any, where: str) -> None:
        if kind in TEXTS:
            right = isinstance(value, str)
        elif kind == "int":
            right = isinstance(value, int) and not isinstance(value, bool)
        elif kind == "float":
            right = isinstance(value, int | float) and not isinstance(value, bool)
        elif kind == "bool":
            right = isinstance(value, bool)
        elif kind == "datetime":
            right = isinstance(value, str) and (value.isdigit() or _moment(value) is not None)  # days of histories are seconds
        elif kind.endswith("List"):
            right = isinstance(value, list)
            for number, each in enumerate(value if right else ()):
                if inner:
                    self._type(inner, None, each, f"{where}[{number}]")
        elif kind.startswith("Union["):
            names = [each.strip() for each in kind[6:-1].split(",")]
            fitting = [name for name in names if name in self.entities and self._fits(name, value)]
            right = bool(fitting)
            if fitting:
                self.check(fitting[0], value, where)
        elif kind in self.entities:
            self.check(kind, value, where)
            right = True
        else:
            right = True
        if not right:
            self.wrong.append(f"{where} is {value!r}, not {kind}")

    def _fits(self, name: str, value: Any) -> bool:
        return isinstance(value, dict) and all(
            field in value or told["is_optional"] for field, told in self.entities[name].items() if not field.startswith("_")
        )


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


@pytest.mark.timeout(120)
async def test_every_entity_has_the_fields_that_clients_expect(network: Network) -> None:
    ben, carla, ada = await network.person("Ben Ito"), await network.person("Carla Duarte"), network.administrator
    checker = Checker()

    async def ask(person: Any, method: str, path: str, **options: Any) -> Any:
        answer = await person.client.request(method, path, **options)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def get(name: str, path: str, *, person: Any = ben, pick: Callable[[Any], Any] = lambda found: found, least: int = 1) -> Any:
        found = pick(await ask(person, "GET", path))
        several = found if isinstance(found, list) else [found]
        assert len(several) >= least, f"{path} answers nothing to look at"
        for each in several:
            checker.check(name, each, path)
        return found

    async def post(name: str, path: str, body: Any = None, *, person: Any = ben, method: str = "POST", **options: Any) -> Any:
        found = await ask(person, method, path, json=body, **options) if not options else await ask(person, method, path, **options)
        if name:
            checker.check(name, found, path)
        return found

    # People and communities.
    await get("Account", "/api/v1/accounts/verify_credentials")
    await post("Account", "/api/v1/accounts/update_credentials", {
        "display_name": "Ben I.", "note": "I *row*.", "fields_attributes": {"0": {"name": "Room", "value": "4.12"}},
    }, method="PATCH")
    await get("Account", f"/api/v1/accounts/{carla.id}")
    made = (await ada.post("/communities", {"name": "Rowing", "kind": "open", "description": "On the water"})).json()
    await network.world.settle()
    await get("Account", f"/api/v1/accounts/{made['id']}")
    await post("Relationship", f"/api/v1/accounts/{carla.id}/follow")
    await post("Relationship", f"/api/v1/accounts/{made['id']}/follow")
    await post("Relationship", f"/api/v1/accounts/{carla.id}/mute", {"duration": 600})
    await get("Account", "/api/v1/mutes")
    await post("Relationship", f"/api/v1/accounts/{carla.id}/unmute")
    await get("Relationship", f"/api/v1/accounts/relationships?id[]={carla.id}&id[]={made['id']}", least=2)
    await get("FamiliarFollowers", f"/api/v1/accounts/familiar_followers?id[]={carla.id}")
    await get("Account", f"/api/v1/accounts/{carla.id}/followers")

    # Posts of every kind.
    picture = await ask(carla, "POST", "/api/v2/media", files={"file": ("a.png", _png(), "image/png")}, data={"description": "A boat"})
    checker.check("MediaAttachment", picture)
    first = await post("Status", "/api/v1/statuses", {
        "status": "On the #lake with @ben.ito", "media_ids": [picture["id"]], "spoiler_text": "Water", "language": "en",
    }, person=carla)
    reply = await post("Status", "/api/v1/statuses", {"status": "Envious", "in_reply_to_id": first["id"]})
    await post("Status", "/api/v1/statuses", {"status": "See", "quoted_status_id": first["id"]})
    asked = await post("Status", "/api/v1/statuses", {"status": "?", "poll": {"options": ["a", "b"], "expires_in": 600}}, person=carla)
    await post("Poll", f"/api/v1/polls/{asked['poll']['id']}/votes", {"choices": [1]})
    secret = await post("Status", "/api/v1/statuses", {"status": "@ben.ito psst", "visibility": "direct"}, person=carla)
    assert secret["visibility"] == "direct"
    await post("Status", "/api/v1/statuses", {"status": f"@{made['handle']} hello"})
    await post("Status", f"/api/v1/statuses/{first['id']}/favourite")
    await post("Status", f"/api/v1/statuses/{first['id']}/reblog")
    edited = {"status": "On the river #lake", "media_ids": [picture["id"]]}
    await post("Status", f"/api/v1/statuses/{first['id']}", edited, person=carla, method="PUT")
    await get("StatusEdit", f"/api/v1/statuses/{first['id']}/history", least=2)
    await get("StatusSource", f"/api/v1/statuses/{first['id']}/source", person=carla)
    checker.check("Context", await ask(ben, "GET", f"/api/v1/statuses/{reply['id']}/context"))
    await get("Account", f"/api/v1/statuses/{first['id']}/favourited_by")
    await get("Status", f"/api/v1/statuses/{first['id']}/quotes")
    await post("Status", f"/api/v1/statuses/{first['id']}/bookmark")
    for path in ("timelines/home", "timelines/public", "bookmarks", "favourites", f"accounts/{carla.id}/statuses", "trends/statuses"):
        await get("Status", f"/api/v1/{path}")
    await get("Conversation", "/api/v1/conversations")
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    poll = {"options": ["a", "b"], "expires_in": 600}
    await post("ScheduledStatus", "/api/v1/statuses", {"status": "Later", "scheduled_at": at, "poll": poll})

    # What one reads by.
    await post("Filter", "/api/v1/filters", {"phrase": "river", "context": ["home", "public", "thread"]})
    await get("FilterV2", "/api/v2/filters")
    filtered = await get("Status", "/api/v1/timelines/public")
    assert any(each["filtered"] for each in filtered)
    await post("UserList", "/api/v1/lists", {"title": "Sailors"})
    await post("Tag", "/api/v1/tags/lake/follow")
    await get("Tag", "/api/v1/followed_tags")
    await get("Tag", "/api/v1/trends/tags")
    for marker in (await post("", "/api/v1/markers", {"home": {"last_read_id": first["id"]}})).values():
        checker.check("Marker", marker)
    checker.check("SearchV2", await ask(ben, "GET", "/api/v2/search?q=carla"))

    # What the organisation says, and its own emoji.
    assert (await ada.post("/broadcasts", {"title": "Closed on Friday", "body": "The harbour *rests*."})).status_code == 201
    asks = await ada.post("/broadcasts", {"title": "New rules", "body": "Read them.", "must_confirm": True})
    assert asks.status_code == 201, asks.text
    await network.world.settle()
    said = await get("Announcement", "/api/v1/announcements", least=2)
    for each in said:
        await post("", f"/api/v1/announcements/{each['id']}/dismiss")
    assert ["New rules" in each["content"] for each in await ask(ben, "GET", "/api/v1/announcements")] == [True]
    assert (await ada.post("/emoji", {"shortcode": "boat", "blob_id": picture["id"]})).status_code == 201
    await get("CustomEmoji", "/api/v1/custom_emojis")
    await post("Status", "/api/v1/statuses", {"status": "Ahoy :boat:"})

    # What others did.
    notified = await get("Notification", "/api/v1/notifications", person=carla, least=2)
    assert {"mention", "favourite", "reblog"} <= {each["type"] for each in notified}
    checker.check("GroupedNotificationsResults", await ask(carla, "GET", "/api/v2/notifications"))
    checker.check("NotificationPolicy", await ask(carla, "GET", "/api/v2/notifications/policy"))
    checker.check("UnreadNotificationsCount", await ask(carla, "GET", "/api/v1/notifications/unread_count"))

    # The network itself.
    checker.check("Instance", await ask(ben, "GET", "/api/v1/instance"))
    checker.check("InstanceV2", await ask(ben, "GET", "/api/v2/instance"))
    checker.check("Preferences", await ask(ben, "GET", "/api/v1/preferences"))
    checker.check("ExtendedDescription", await ask(ben, "GET", "/api/v1/instance/extended_description"))
    await get("SupportedLocale", "/api/v1/instance/languages", least=2)
    await post("Report", "/api/v1/reports", {"account_id": carla.id, "status_ids": [first["id"]], "comment": "Look"})
    assert not checker.wrong, "\n".join(checker.wrong)
    assert len(checker.seen) >= 45, sorted(checker.seen)


def _png() -> bytes:
    from io import BytesIO

    from PIL import Image

    out = BytesIO()
    Image.new("RGB", (32, 24), (20, 90, 160)).save(out, "PNG")
    return out.getvalue()
