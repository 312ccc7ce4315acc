"""Reposts, quotes, polls, warnings, pins and muted threads by REST and in the pages."""
from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import Network, Person


@pytest.fixture
async def ada(network: Network) -> Person:
    return await network.browser(network.administrator)


async def form(person: Person, path: str, fields: dict[str, Any]) -> httpx.Response:
    """Send a form as a page does."""
    return await person.client.post(path, data={"csrf_token": person.client.headers["x-csrf-token"], **fields})


async def test_by_rest(network: Network) -> None:
    ada, bo = network.administrator, await network.person("Bo Berg")
    close = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    poll = {"options": ["Thursday", "Friday"], "close_time": close}
    asked = (await ada.post("/posts", {"body": "Which day?", "poll": poll, "warning": "Dates", "kind": "question"})).json()
    assert (asked["poll"]["counts"], asked["warning"], asked["kind"]) == ([0, 0], "Dates", "question")
    refused = await ada.post("/posts", {"body": "x", "poll": {**poll, "close_time": datetime.now(UTC).isoformat()}})
    assert (refused.status_code, refused.json()["field"]) == (400, "poll")
    voted = (await bo.put(f"/posts/{asked['id']}/vote", {"choices": [1]})).json()
    assert (voted["poll"]["counts"], voted["poll"]["my_choices"]) == ([0, 1], [1])
    assert (await bo.put(f"/posts/{asked['id']}/vote", {"choices": [0]})).status_code == 409
    passed = (await bo.put(f"/posts/{asked['id']}/repost")).json()
    assert (passed["reposted"]["body"], passed["reposted"]["my_repost_id"]) == ("Which day?", passed["id"])
    assert [one["id"] for one in (await ada.get(f"/posts/{asked['id']}/reposts")).json()["people"]] == [bo.id]
    quote = (await bo.post("/posts", {"body": "Good question", "quoted_id": asked["id"]})).json()
    assert quote["quoted"]["poll"]["voter_count"] == 1
    assert [one["id"] for one in (await ada.get(f"/posts/{asked['id']}/quotes")).json()["posts"]] == [quote["id"]]
    patched = (await ada.patch(f"/posts/{asked['id']}", {"body": "Which day suits?"})).json()
    assert (patched["warning"], patched["poll"]["voter_count"]) == ("Dates", 1)
    assert (await ada.put(f"/posts/{asked['id']}/pin")).json()["pinned"]
    assert [one["id"] for one in (await bo.get(f"/feeds/pinned/{ada.id}")).json()["posts"]] == [asked["id"]]
    assert not (await ada.delete(f"/posts/{asked['id']}/pin")).json()["pinned"]
    assert (await ada.put(f"/posts/{quote['id']}/mute")).json()["thread_muted"]
    assert not (await ada.delete(f"/posts/{quote['id']}/mute")).json()["thread_muted"]
    with_repost = (await ada.get(f"/feeds/people/{bo.id}")).json()["posts"]
    assert [one["reposted_id"] for one in with_repost] == [None, asked["id"]]
    assert len((await ada.get(f"/feeds/people/{bo.id}", params={"exclude_reposts": True})).json()["posts"]) == 1
    assert (await ada.get("/feeds/company", params={"after": asked["id"]})).json()["posts"][0]["id"] == quote["id"]
    assert (await bo.delete(f"/posts/{asked['id']}/repost")).json()["repost_count"] == 0
    kinds = [one["kind"] for one in (await ada.get("/inbox")).json()["notifications"]]
    assert kinds == ["quote"]


async def test_in_the_pages_without_script(network: Network, ada: Person) -> None:
    bo = await network.browser(await network.person("Bo Berg"))
    typed = {
        "body": "Which day?", "audience": "everyone", "poll_options": "Thursday\r\n\r\nFriday ", "poll_minutes": "60",
        "poll_anonymous": "1", "request_id": "r1",
    }
    again = await form(ada, "/posts", {**typed, "poll_options": "Thursday", "warning": "Dates"})
    assert again.status_code == 422 and "2 to 10 options" in again.text and 'value="Dates"' in again.text
    assert ">Thursday</textarea>" in again.text and re.search(r'name="poll_anonymous" value="1" checked', again.text)
    assert (await form(ada, "/posts", typed)).status_code == 303
    page = (await bo.client.get("/company")).text
    post_id = re.findall(r'action="/posts/([0-9a-f-]{36})/vote"', page)[0]
    assert "anonymous" in page and 'type="radio" name="choice" value="1"' in page
    assert (await form(bo, f"/posts/{post_id}/vote", {"choice": "1"})).status_code == 303
    shown = (await bo.client.get(f"/posts/{post_id}")).text
    assert "poll-option" in shown and f"/posts/{post_id}/vote" not in shown
    assert (await form(bo, f"/posts/{post_id}/vote", {"choice": "0"})).status_code in (400, 409, 422)
    assert (await form(bo, f"/posts/{post_id}/repost", {"repost": "1"})).status_code == 303
    hers = (await ada.client.get(f"/people/{bo.id}")).text
    assert "Bo Berg reposted" in hers
    assert "Bo Berg" in (await ada.client.get(f"/posts/{post_id}/reposts")).text
    composing = (await bo.client.get(f"/compose?quote={post_id}")).text
    outer = composing[composing.index('id="compose"'):]
    assert f'name="quoted_id" value="{post_id}"' in outer and "<form" not in outer[:outer.index("</form>")]
    assert (await form(bo, "/posts", {"body": "Well asked", "audience": "everyone", "quoted_id": post_id})).status_code == 303
    assert "Well asked" in (await ada.client.get(f"/posts/{post_id}/quotes")).text
    assert (await form(ada, f"/posts/{post_id}/pin", {"pin": "1"})).status_code == 303
    assert f'id="post-pin-{post_id}"' in (await bo.client.get(f"/people/{ada.id}")).text
    assert (await form(ada, f"/posts/{post_id}/mute", {"mute": "1"})).status_code == 303
    assert "Well asked" in (await ada.client.get("/notifications")).text  # another thread
    warned = (await network.administrator.post("/posts", {"body": "The butler did it", "warning": "Spoilers"})).json()["id"]
    shown = (await bo.client.get(f"/posts/{warned}")).text
    assert re.search(r'<details class="warned"><summary>.*?Spoilers.*?</summary>', shown, re.DOTALL)
    editing = (await ada.client.get(f"/posts/{warned}/edit")).text
    assert 'value="Spoilers"' in editing
    changed = {"body": "The gardener did it", "version": "1", "warning": "Spoilers"}
    assert (await form(ada, f"/posts/{warned}/edit", changed)).status_code == 303
    assert "Spoilers" in (await bo.client.get(f"/posts/{warned}")).text
