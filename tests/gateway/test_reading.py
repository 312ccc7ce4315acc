"""Mutes, blocks, lists, filters, emoji and drafts over the whole network: by REST and by the pages."""
from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.feed.test_reading import picture

from .conftest import Network, Person


async def form(person: Person, path: str, fields: dict[str, Any], **options: Any) -> httpx.Response:
    token = person.client.headers["x-csrf-token"]
    return await person.client.post(path, data={"csrf_token": token, **fields}, **options)


@pytest.fixture
async def ada(network: Network) -> Person:
    """The administrator in a browser."""
    return await network.browser(network.administrator)


async def test_what_one_reads_is_shaped_by_rest(network: Network) -> None:
    ada, bo = network.administrator, await network.person("Bo Berg")
    await ada.put(f"/people/{bo.id}/follow")
    await bo.post("/posts", {"body": "The reorg comes"})
    muted = await ada.put(f"/reading/mutes/{bo.id}", {"duration_seconds": 3_600})
    assert muted.json()["muted"], muted.text
    assert [each["id"] for each in (await ada.get("/reading/mutes")).json()["people"]] == [bo.id]
    assert (await ada.get("/feeds/home")).json()["posts"] == []
    assert not (await ada.delete(f"/reading/mutes/{bo.id}")).json()["muted"]
    made = await ada.post("/reading/lists", {"title": "Team"})
    assert made.status_code == 201, made.text
    place = made.json()["id"]
    assert (await ada.put(f"/reading/lists/{place}/people/{bo.id}")).json()["person_count"] == 1
    assert [each["body"] for each in (await ada.get(f"/feeds/lists/{place}")).json()["posts"]] == ["The reorg comes"]
    assert (await ada.put(f"/reading/lists/{place}", {"title": "All", "exclusive": True})).json()["exclusive"]
    assert (await ada.get("/feeds/home")).json()["posts"] == []
    assert (await bo.get(f"/reading/lists/{place}")).status_code == 404
    assert (await ada.delete(f"/reading/lists/{place}")).status_code == 204
    words = {"title": "No reorg", "keywords": [{"text": "reorg"}], "contexts": ["home"], "action": "hide"}
    kept = await ada.post("/reading/filters", words)
    assert kept.status_code == 201, kept.text
    assert (await ada.get("/feeds/home")).json()["posts"] == []
    assert (await ada.delete(f"/reading/filters/{kept.json()['id']}")).status_code == 204
    assert len((await ada.get("/feeds/home")).json()["posts"]) == 1
    assert (await ada.put("/reading/markers/home", {"last_read_id": "7"})).json()["markers"][0]["version"] == 1
    blocked = (await ada.put(f"/reading/blocks/{bo.id}")).json()
    assert (blocked["blocked"], blocked["following"]) == (True, False)
    assert (await bo.put(f"/people/{ada.id}/follow")).status_code == 409
    assert (await ada.put(f"/reading/notes/{bo.id}", {"note": "loud"})).json()["note"] == "loud"
    bonds = (await ada.get("/reading/bonds", params={"id": bo.id})).json()["bonds"]
    assert (bonds[0]["blocked"], bonds[0]["note"]) == (True, "loud")


async def test_drafts_by_rest(network: Network) -> None:
    ada = network.administrator
    made = await ada.post("/drafts", {"body": "half", "poll": {"options": ["a", "b"], "open_seconds": 600}})
    assert made.status_code == 201, made.text
    place = f"/drafts/{made.json()['id']}"
    stale = {"if-match": '"7"'}
    assert (await ada.put(place, {"body": "whole"}, headers=stale)).status_code == 412
    saved = await ada.put(place, {"body": "whole"}, headers={"if-match": made.headers["etag"]})
    assert (saved.status_code, saved.json()["poll"]) == (200, None)
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert (await ada.put(f"{place}/schedule", {"publish_time": at})).json()["publish_time"]
    assert len((await ada.get("/drafts", params={"scheduled": "true"})).json()["drafts"]) == 1
    assert (await ada.delete(f"{place}/schedule")).json()["publish_time"] is None
    post = await ada.post(f"{place}/publication")
    assert post.json()["body"] == "whole"
    assert (await ada.post(f"{place}/publication")).json()["id"] == post.json()["id"]
    assert (await ada.get(place)).status_code == 404


async def test_the_pages_of_mutes_blocks_notes_and_lists(network: Network, ada: Person) -> None:
    bo = await network.person("Bo Berg")
    await bo.post("/posts", {"body": "Bo writes"})
    page = f"/people/{bo.id}/reading"
    assert "Mute" in (await ada.client.get(f"/people/{bo.id}")).text
    assert (await form(ada, "/lists", {"title": "Team"})).status_code == 303
    place = re.search(r'href="(/lists/[0-9a-f-]{36})"', (await ada.client.get("/lists")).text)
    assert place is not None
    wrong = await form(ada, "/lists", {"title": ""})
    assert (wrong.status_code, "1 to 100 characters" in wrong.text) == (422, True)
    assert (await form(ada, page, {"action": "lists", "lists": place[1].removeprefix("/lists/")})).status_code == 303
    shown = (await ada.client.get(place[1])).text
    assert "Bo writes" in shown and "Bo Berg" in shown
    assert (await form(ada, place[1], {"action": "remove", "person_id": bo.id})).status_code == 303
    assert "Bo writes" not in (await ada.client.get(place[1])).text
    nobody = await form(ada, place[1], {"action": "add", "add": "@nobody"})
    assert (nobody.status_code, "Nobody is found" in nobody.text) == (422, True)
    assert (await form(ada, place[1], {"action": "add", "add": "@bo.berg"})).status_code == 303
    assert (await form(ada, place[1], {"action": "change", "title": "Circle", "exclusive": "1"})).status_code == 303
    assert "Circle" in (await ada.client.get("/lists")).text
    assert (await form(ada, page, {"action": "note", "note": "likes tea"})).status_code == 303
    assert "likes tea" in (await ada.client.get(f"/people/{bo.id}")).text
    assert (await form(ada, page, {"action": "mute", "days": "7", "notifications": "1"})).status_code == 303
    assert "Bo Berg" in (await ada.client.get("/settings/reading")).text
    assert "Bo writes" not in (await ada.client.get("/company")).text
    assert (await form(ada, page, {"action": "unmute"})).status_code == 303
    assert (await form(ada, page, {"action": "block"})).status_code == 303
    assert "Unblock" in (await ada.client.get("/settings/reading")).text
    assert (await form(ada, page, {"action": "unblock", "return_to": "/settings/reading"})).headers["location"] == "/settings/reading"
    assert (await form(ada, place[1], {"action": "delete"})).headers["location"] == "/lists"
    assert (await ada.client.get(f"/people/{ada.id}/reading")).status_code == 404


async def test_the_page_of_filters(network: Network, ada: Person) -> None:
    bo = await network.person("Bo Berg")
    await bo.post("/posts", {"body": "A reorg, said Bo"})
    wrong = await form(ada, "/settings/filters", {"keywords": "reorg", "title": "Enough"})
    assert (wrong.status_code, "say where" in wrong.text.lower()) == (422, True)
    assert (await form(ada, "/settings/filters", {"keywords": " "})).status_code == 422
    folded = {"keywords": "reorg", "title": "Enough", "whole": "1", "contexts": "public", "action": "warn"}
    made = await form(ada, "/settings/filters", folded)
    assert made.status_code == 303, made.text
    assert "Filtered: Enough" in (await ada.client.get("/company")).text
    place = re.search(r'href="(/settings/filters/[0-9a-f-]{36})#filter"', (await ada.client.get("/settings/filters")).text)
    assert place is not None
    assert "reorg" in (await ada.client.get(place[1])).text
    hidden = {"keywords": "reorg", "title": "Enough", "contexts": "public", "action": "hide", "days": "1"}
    assert (await form(ada, place[1], hidden)).status_code == 303
    assert "said Bo" not in (await ada.client.get("/company")).text
    assert (await form(ada, place[1], {"delete": "1"})).status_code == 303
    assert "said Bo" in (await ada.client.get("/company")).text


async def test_drafts_on_the_pages(network: Network, ada: Person) -> None:
    fields = {"body": "a first thought", "audience": "everyone", "request_id": "r1", "poll_options": "yes\nno", "poll_minutes": "60"}
    auto = await form(ada, "/drafts/auto", fields)
    assert auto.status_code == 200, auto.text
    draft = auto.json()["draft_id"]
    again = await form(ada, "/drafts/auto", {**fields, "body": "a second", "draft_id": draft, "draft_etag": auto.json()["etag"]})
    assert again.json()["draft_id"] == draft
    stale = await form(ada, "/drafts/auto", {**fields, "body": "a third", "draft_id": draft, "draft_etag": auto.json()["etag"]})
    assert (stale.status_code, "another device" in stale.json()["problem"]) == (422, True)
    page = (await ada.client.get(f"/drafts/{draft}")).text
    assert "a second" in page and "yes\nno" in page and "(UTC)" in page
    soon = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M")
    refused = await form(ada, f"/drafts/{draft}", {"do": "time", "time": soon})
    assert (refused.status_code, "5 minutes" in refused.text) == (422, True)
    assert (await form(ada, f"/drafts/{draft}", {"do": "time", "time": "tomorrow"})).status_code == 422
    later = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    assert (await form(ada, f"/drafts/{draft}", {"do": "time", "time": later})).headers["location"] == "/drafts?tab=scheduled"
    assert "a second" in (await ada.client.get("/drafts?tab=scheduled")).text
    assert (await form(ada, f"/drafts/{draft}", {"do": "unschedule"})).status_code == 303
    # The composer that holds the draft posts it.
    posted = await form(ada, "/posts", {**fields, "body": "a last one", "draft_id": draft})
    assert posted.status_code == 303, posted.text
    assert "a last one" in (await ada.client.get("/company")).text
    assert (await ada.client.get(f"/drafts/{draft}")).status_code == 404
    kept = await form(ada, "/drafts", {"body": "for later", "audience": "everyone", "request_id": "r2", "do": "schedule"})
    place = kept.headers["location"].partition("#")
    assert place[2] == "schedule"
    published = await form(ada, place[0], {"do": "publish", "body": "now then", "audience": "everyone"})
    assert published.headers["location"].startswith("/posts/")
    kept = await form(ada, "/drafts", {"body": "never mind", "audience": "everyone", "request_id": "r3", "do": "save"})
    assert kept.headers["location"] == "/drafts"
    place_of = re.search(r'href="(/drafts/[0-9a-f-]{36})"', (await ada.client.get("/drafts")).text)
    assert place_of is not None
    assert (await form(ada, place_of[1], {"do": "discard"})).status_code == 303
    assert "never mind" not in (await ada.client.get("/drafts")).text


async def test_custom_emoji_and_mentions_of_many_on_the_pages(network: Network, ada: Person) -> None:
    admin = network.administrator
    token = ada.client.headers["x-csrf-token"]
    added = await ada.client.post(
        "/admin/emoji", data={"csrf_token": token, "shortcode": "party", "category": "Fun"},
        files={"image": ("party.png", picture(8), "image/png")},
    )
    assert added.status_code == 303, added.text
    assert ":party:" in (await ada.client.get("/admin/emoji")).text
    assert [each["shortcode"] for each in (await admin.get("/emoji")).json()["emoji"]] == ["party"]
    community = (await admin.post("/communities", {"name": "Pumps", "kind": "open"})).json()["id"]
    await admin.post("/posts", {"body": "Hooray :party: @pumps"})
    shown = (await ada.client.get("/company")).text
    assert '<img class="emoji"' in shown
    assert f'href="/communities/{community}" class="mention"' in shown
    bo = await network.browser(await network.person("Bo Berg"))
    assert (await bo.client.get("/admin/emoji")).status_code == 403
    assert (await form(ada, "/admin/emoji", {"shortcode": "none"})).status_code == 422
    assert (await form(ada, "/admin/emoji", {"remove": "party"})).status_code == 303
    assert '<img class="emoji"' not in (await ada.client.get("/company")).text
