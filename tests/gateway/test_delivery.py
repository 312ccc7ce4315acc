"""How one is reached, by REST and by the pages: settings, devices, digests, the order of home, what a post costs."""
from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.push.messages import b64
from libs.testing.world import World
from services.feed.digests import Digests
from services.feed.service import SERVICE as FEED
from services.gateway.expiry import end_expired_pushes
from services.gateway.pages.delivering import LABELS
from services.gateway.service import SERVICE as GATEWAY
from services.identity.service import SERVICE as IDENTITY
from services.search.service import SERVICE as SEARCH
from tests.push.service import PushService

from .conftest import QUICK, Network, Person


@pytest.fixture
async def push() -> AsyncIterator[PushService]:
    async with PushService.running() as service:
        yield service


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Network]:
    async with World.of(tmp_path, IDENTITY, FEED, SEARCH, GATEWAY, **QUICK, private_hosts="127.0.0.1") as world:
        found = Network(world)
        await found.set_up()
        yield found


async def test_preferences_by_rest(network: Network) -> None:
    ada = network.administrator
    found = (await ada.get("/delivery")).json()
    assert (found["rhythm"], found["quiet_hours"]["start_minute"], found["devices"]) == ("weekly", 1200, [])
    assert {each["kind"] for each in found["kinds"]} == set(LABELS), "each kind has its row on the page"
    mention = {"kind": "mention", "push": False, "digest": True}
    change = {"pushes_per_day": 3, "rhythm": "daily", "kinds": [mention], "quiet_hours": {"on": False}}
    after = await ada.patch("/delivery", change, headers={"if-match": f'"{found["etag"]}"'})
    assert after.status_code == 200, after.text
    told = after.json()
    assert (told["pushes_per_day"], told["rhythm"], told["quiet_hours"]["on"], told["quiet_until"]) == (3, "daily", False, None)
    assert next(each for each in told["kinds"] if each["kind"] == "mention") == {
        "kind": "mention", "in_app": True, "push": False, "digest": True,
    }
    stale = await ada.patch("/delivery", {"pushes_per_day": 4}, headers={"if-match": f'"{found["etag"]}"'})
    assert stale.status_code == 412
    for wrong in ({}, {"pushes_per_day": 201}, {"rhythm": "hourly"}, {"digest_hour": 24}, {"quiet_hours": {"on": True, "days": []}}):
        assert (await ada.patch("/delivery", wrong)).status_code == 400, wrong


async def test_a_device_by_rest_is_pushed_to_and_ends_with_the_sign_out(home: Network, push: PushService) -> None:
    ada = home.administrator
    browser = await home.browser(ada)
    assert len((await ada.get("/delivery/push-key")).json()["public_key"]) == 87
    await ada.patch("/delivery", {"quiet_hours": {"on": False}})
    device = push.device()
    address = device.address
    body = {"endpoint": address.endpoint, "p256dh": b64(address.public_key), "auth": b64(address.secret), "label": "Laptop"}
    made = await browser.put("/delivery/push", body)
    assert made.status_code == 200, made.text
    assert made.json()["is_mine"]
    sent = await ada.post("/delivery/push/test")
    assert sent.json() == {"sent_count": 1, "failed_count": 0}
    assert json.loads((await push.wait(1))[0].content)["title"] == "A test"
    again = await ada.post("/delivery/push/test")
    assert again.status_code == 429
    bo = await home.person("Bo Berg")
    await bo.post("/posts", {"body": "look, @ada"})
    assert json.loads((await push.wait(2))[1].content)["title"] == "Bo Berg mentioned you"
    page = await browser.client.get("/settings/notifications")
    assert "Laptop" in page.text
    token = browser.client.headers["x-csrf-token"]
    assert (await browser.client.post("/sign-out", data={"csrf_token": token})).status_code == 303
    assert (await ada.get("/delivery")).json()["devices"] == []
    assert (await ada.put("/delivery/push", {**body, "endpoint": "https://10.0.0.1/x"})).status_code == 400
    assert (await ada.put("/delivery/push", {**body, "auth": "%%%"})).json()["field"] == "auth"
    assert (await ada.delete("/delivery/push")).status_code == 204


async def test_a_device_ends_with_its_session(home: Network, push: PushService) -> None:
    ada = home.administrator
    browser, address = await home.browser(ada), push.device().address
    body = {"endpoint": address.endpoint, "p256dh": b64(address.public_key), "auth": b64(address.secret), "label": "Laptop"}
    assert (await browser.put("/delivery/push", body)).status_code == 200
    now = home.gateway.context.now()
    await end_expired_pushes(home.gateway, now)
    assert len((await ada.get("/delivery")).json()["devices"]) == 1
    await end_expired_pushes(home.gateway, now + home.gateway.context.settings.session_lifetime * 2)
    assert (await ada.get("/delivery")).json()["devices"] == []


async def save(browser: Person, page: str, **fields: object) -> tuple[int, str]:
    """Send the form of the settings as it stands on the page, but for these fields."""
    form = page[page.index('action="/settings/notifications"'):]
    form = form[: form.index("</form>")]
    values: dict[str, list[str]] = {}
    for field in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]+)"', field), re.search(r'value="([^"]*)"', field)
        kind = re.search(r'type="(\w+)"', field)
        if name is None or value is None or (kind and kind[1] in ("checkbox", "radio") and "checked" not in field):
            continue
        values.setdefault(name[1], []).append(value[1])
    for name, options in re.findall(r'<select id="(\w+)".*?>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        assert chosen, name
        values[name] = [chosen[1]]
    for name, value in fields.items():
        values[name] = value if isinstance(value, list) else [str(value)]
    answer = await browser.client.post("/settings/notifications", data=values)
    return answer.status_code, answer.text


async def test_the_page_keeps_what_is_not_changed_and_says_what_is_wrong(network: Network) -> None:
    ada = network.administrator
    browser = await network.browser(ada)
    page = (await browser.client.get("/settings/notifications")).text
    before = (await ada.get("/delivery")).json()
    assert (await save(browser, page, pushes_per_day="7", quiet_start="21:30", quiet_days=["5", "6"]))[0] == 303
    after = (await ada.get("/delivery")).json()
    assert (after["pushes_per_day"], after["quiet_hours"]["start_minute"], after["quiet_hours"]["days"]) == (7, 1290, [5, 6])
    assert after["kinds"] == before["kinds"]
    assert after["language"] == "en"
    status, text = await save(browser, (await browser.client.get("/settings/notifications")).text, quiet_start="25:00", pushes_per_day="9")
    assert (status, "Write a time of day" in text, 'value="9"' in text) == (422, True, True)
    status, text = await save(browser, page, pushes_per_day="8")
    assert (status, "changed meanwhile" in text) == (422, True), "the page was older than the settings"
    status, text = await save(browser, (await browser.client.get("/settings/notifications")).text, quiet_days=[])
    assert (status, "at least one day" in text) == (422, True)


async def test_the_digest_is_shown_as_a_letter_that_runs_nothing(network: Network) -> None:
    ada = network.administrator
    bo = await network.person("Bo Berg")
    await bo.post("/posts", {"body": "<script>alert(1)</script> hello @ada"})
    browser = await network.browser(ada)
    page = await browser.client.get("/settings/notifications/digest")
    assert page.status_code == 200
    assert "Bo Berg mentioned you" in page.text
    assert "<script" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    told = (await ada.get("/delivery/digest", params={"language": "de"})).json()
    assert told["subject"] == "Deine Woche: 1 für dich"
    token = browser.client.headers["x-csrf-token"]
    sent = await browser.client.post("/settings/notifications/test", data={"csrf_token": token, "test": "mail"})
    assert sent.status_code == 303
    folder = network.world.embedded.settings.data / "mail"
    assert len(list(folder.glob("*.eml"))) == 1


async def test_a_mail_program_ends_digests_by_one_click(network: Network) -> None:
    ada = network.administrator
    servicer = next(each for _, each in network.world.embedded.assemblies["feed"].servicers if hasattr(each, "StopDigest"))
    digests: Digests = servicer._digests
    address = await digests.stop_url(ada.id)
    path = address[address.index("/digests/stop"):]
    nobody = network.anybody.client
    shown = await nobody.get(path)
    assert (shown.status_code, "No more digests?" in shown.text) == (200, True)
    assert (await ada.get("/delivery")).json()["rhythm"] == "weekly", "looking at it ends nothing"
    clicked = await nobody.post(path, data={"List-Unsubscribe": "One-Click"})
    assert clicked.status_code == 200, clicked.text
    assert (await ada.get("/delivery")).json()["rhythm"] == "never"
    assert (await nobody.post("/digests/stop?token=abc", data={"List-Unsubscribe": "One-Click"})).status_code == 404


async def test_home_keeps_the_order_that_was_chosen(network: Network) -> None:
    ada = network.administrator
    bo = await network.person("Bo Berg")
    await ada.put(f"/people/{bo.id}/follow")
    for number in range(30):
        await bo.post("/posts", {"body": f"number {number}"})
    browser = await network.browser(ada)
    assert "You follow the author" not in (await browser.client.get("/")).text
    token = browser.client.headers["x-csrf-token"]
    assert (await browser.client.post("/home/order", data={"csrf_token": token, "order": "ranked"})).status_code == 303
    page = (await browser.client.get("/")).text
    assert "You follow the author" in page
    following = re.search(r'href="(/\?order=ranked&amp;page=[^"]+)"', page)
    assert following
    rest = (await browser.client.get(following[1].replace("&amp;", "&"))).text
    shown = set(re.findall(r"number \d+", page)) | set(re.findall(r"number \d+", rest))
    assert len(shown) == 30
    await browser.client.post("/home/order", data={"csrf_token": token, "order": "newest"})
    assert "You follow the author" not in (await browser.client.get("/")).text


async def test_what_a_post_costs(network: Network) -> None:
    ada = network.administrator
    bo = await network.person("Bo Berg")
    found = (await ada.get("/delivery/cost", params={"words": "100"})).json()
    assert found == {"people": 1, "seconds_each": 30, "seconds_in_all": 30, "hint_from_seconds": 28_800}
    room = (await ada.post("/communities", {"name": "Pumps", "kind": "secret"})).json()["id"]
    inside = await ada.get("/delivery/cost", params={"audience": "community", "community_id": room, "words": "1"})
    assert inside.json()["people"] == 0
    assert (await bo.get("/delivery/cost", params={"audience": "community", "community_id": room})).status_code == 404
    assert (await bo.get("/delivery/cost", params={"audience": "community"})).status_code == 400
    await bo.put(f"/people/{ada.id}/follow")
    page = (await (await network.browser(ada)).client.get("/compose")).text
    assert ("Everyone (1)" in page, "My followers (1)" in page) == (True, True), "without script too"
    assert (await ada.get("/delivery/cost", params={"audience": "followers", "words": "0"})).json()["people"] == 1


async def test_the_service_worker_is_at_the_root(network: Network) -> None:
    found = await network.anybody.client.get("/service-worker.js")
    if found.status_code == 404:
        pytest.skip("the web interface has not been built: make assets")
    assert found.headers["content-type"].startswith("text/javascript")
    assert found.headers["cache-control"] == "no-cache"
    assert "notificationclick" in found.text
