"""Bots, incoming hooks and slash commands over HTTP, with a program that answers."""
from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook as Reference

from libs.testing.world import World
from services.feed import webhooks
from services.feed.api import integrations as asking
from services.feed.service import SERVICE as FEED
from services.gateway.incoming import message_of
from services.gateway.problems import Refusal
from services.gateway.service import SERVICE as GATEWAY
from services.identity.service import SERVICE as IDENTITY
from services.search.service import SERVICE as SEARCH
from tests.gateway.conftest import QUICK, Network, Person


@pytest.fixture
async def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Network]:
    # A busy machine may take longer than people would wait.
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 60.0)
    monkeypatch.setattr(webhooks, "SECONDS", 60.0)
    async with World.of(tmp_path, IDENTITY, FEED, SEARCH, GATEWAY, private_hosts="127.0.0.1", **QUICK) as world:
        found = Network(world)
        await found.set_up()
        yield found


@asynccontextmanager
async def program(answers: list[web.Response]) -> AsyncIterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A bot's program: its address, and what it was asked."""
    asked: list[tuple[dict[str, str], bytes]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return answers[len(asked) - 1]

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/", asked
    finally:
        await runner.cleanup()


async def community(person: Person, **changes: Any) -> str:
    made = await person.post("/communities", {"name": "Water", "kind": "closed"} | changes)
    assert made.status_code == 201, made.text
    return made.json()["id"]


async def done(answer: Any, status: int = 201) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def test_a_bot_acts_by_its_token_and_is_no_person(network: Network) -> None:
    admin, ann = network.administrator, await network.person("Ann Bell")
    assert (await ann.post("/integrations/bots", {"name": "Weather"})).status_code == 403
    bot = await done(await admin.post("/integrations/bots", {"name": "Weather", "description": "Says what it is like outside."}))
    made = await done(await admin.post(f"/integrations/bots/{bot['id']}/tokens", {"name": "host", "scopes": ["read", "write"]}))
    await network.world.settle()
    program = Person(network, bot["id"], "", made["secret"])
    post = await done(await program.post("/posts", {"body": "Rain."}))
    assert post["author"]["display_name"] == "Weather"
    card = await network.world.embedded.stores["feed"].database.fetch_one(
        "SELECT employee, guest, card FROM people WHERE person_id = :id", id=bot["id"]
    )
    assert (card["employee"], card["guest"]) == (0, 1)  # nobody whom announcements count
    assert [each["name"] for each in (await done(await admin.get("/integrations/bots"), 200))["bots"]] == ["Weather"]
    assert (await done(await admin.get(f"/people/{bot['id']}"), 200))["roles"] == ["bot"]
    for path, body in (("invite", None), ("roles", {"role": "administrator"})):
        assert (await admin.post(f"/people/{bot['id']}/{path}", body)).status_code >= 400
    await done(await admin.delete(f"/integrations/bots/{bot['id']}"), 204)
    await network.world.settle()
    assert (await program.post("/posts", {"body": "Still rain."})).status_code == 401
    assert (await done(await admin.get(f"/posts/{post['id']}"), 200))["body"] == "Rain."
    await network.world.assert_rebuilds()


async def test_another_system_posts_at_its_address_until_that_changes(network: Network) -> None:
    ann, bea = await network.person("Ann Bell"), await network.person("Bea Cole")
    place = await community(ann)
    assert (await bea.post("/integrations/incoming-hooks", {"name": "Build", "community_id": place})).status_code == 403
    hook = await done(await ann.post("/integrations/incoming-hooks", {"name": "Build", "community_id": place}))
    path = "/api/v1/integrations/in/" + hook["url"].split("/in/")[1]
    client = network.anybody.client
    await network.world.settle()
    first = await done(await client.post(path, json={"text": "Build 7 is *green*.", "title": "Main", "username": "ci"}))
    assert any("username" in each for each in first["warnings"])
    slack = {
        "text": "Deployed", "attachments": [{"title": "v1.2", "text": "in 3 minutes"}], "blocks": [{"type": "divider"}], "channel": "#x",
    }
    second = await done(await client.post(path, data={"payload": json.dumps(slack)}))
    assert any("blocks" in each for each in second["warnings"])
    shown = await done(await ann.get(f"/posts/{second['post_id']}"), 200)
    assert shown["body"] == "Deployed\n\nv1.2\n\nin 3 minutes" and shown["author"]["display_name"] == "Build"
    assert shown["audience"]["id"] == place and (await bea.get(f"/posts/{second['post_id']}")).status_code == 404
    for body, status in (({}, 400), ({"text": ""}, 400), ({"text": 7}, 400), ({"text": "x" * 10_001}, 400)):
        assert (await client.post(path, json=body)).status_code == status, body
    assert (await client.post(path, content=b"\xff{", headers={"content-type": "application/json"})).status_code == 400
    assert (await client.post(path[:-3] + "xyz", json={"text": "no"})).status_code == 404
    turned = await done(await ann.post(f"/integrations/incoming-hooks/{hook['hook']['id']}/secret"), 200)
    assert (await client.post(path, json={"text": "old"})).status_code == 404
    path = "/api/v1/integrations/in/" + turned["url"].split("/in/")[1]
    await done(await client.post(path, json={"text": "new"}))
    own = await done(await bea.post("/integrations/incoming-hooks", {"name": "My sensor"}))
    await network.world.settle()
    note = await done(await client.post("/api/v1/integrations/in/" + own["url"].split("/in/")[1], json={"text": "Door open"}))
    assert (await bea.get(f"/posts/{note['post_id']}")).status_code == 200
    assert (await ann.get(f"/posts/{note['post_id']}")).status_code == 404
    assert (await ann.delete(f"/integrations/incoming-hooks/{own['hook']['id']}")).status_code == 404
    await done(await ann.delete(f"/integrations/incoming-hooks/{hook['hook']['id']}"), 204)
    assert (await client.post(path, json={"text": "gone"})).status_code == 404
    await network.world.assert_rebuilds()


async def test_a_command_asks_its_bot_and_what_fails_is_said(network: Network) -> None:
    ann, bea = await network.person("Ann Bell"), await network.person("Bea Cole")
    place = await community(ann, kind="open")
    bot = await done(await ann.post("/integrations/bots", {"name": "Weather", "community_id": place}))
    asks = {"text": "/weather  Tartu ", "audience": {"kind": "community", "id": place}}
    answers = [
        web.json_response({"text": "Rain until **four**."}), web.json_response({"text": "Rain for all", "response_type": "in_thread"}),
        web.Response(status=500), web.json_response(["no"]), web.Response(status=204),
    ]
    async with program(answers) as (url, asked):
        values = {"bot_id": bot["id"], "name": "weather", "description": "What it is like outside", "hint": "<place>", "url": url}
        assert (await bea.post("/integrations/commands", values)).status_code == 403
        made = await done(await ann.post("/integrations/commands", values))
        assert (await ann.post("/integrations/commands", values)).status_code == 409
        for wrong in ({"name": "Weather!"}, {"url": "http://10.0.0.1/"}, {"url": "http://example.com/"}):
            assert (await ann.post("/integrations/commands", values | {"name": "other"} | wrong)).status_code == 400, wrong
        await network.world.settle()
        listed = await done(await bea.get(f"/integrations/commands?community_id={place}&prefix=we"), 200)
        assert [(each["name"], each["url"]) for each in listed["commands"]] == [("weather", None)]
        assert (await done(await bea.get("/integrations/commands?prefix=we"), 200))["commands"] == []
        outside = await bea.post("/integrations/commands/run", asks)
        assert outside.status_code == 403 and "only members write" in outside.json()["detail"]
        await done(await bea.post(f"/communities/{place}/join"), 200)
        whisper = await done(await bea.post("/integrations/commands/run", asks), 200)
        assert whisper == {"command_name": "weather", "bot_name": "Weather", "text": "Rain until **four**.", "post_id": None}
        told = Reference(made["secret"]).verify(asked[0][1], asked[0][0])["data"]
        assert told["command"] == "/weather" and told["text"] == "Tartu" and told["person"]["display_name"] == "Bea Cole"
        loud = await done(await bea.post("/integrations/commands/run", asks), 200)
        assert (await done(await ann.get(f"/posts/{loud['post_id']}"), 200))["body"] == "Rain for all"
        failed = await bea.post("/integrations/commands/run", asks)
        assert failed.status_code == 409 and "Weather answered with an error (500)" in failed.json()["detail"]
        assert (await done(await bea.post("/integrations/commands/run", asks), 200))["text"] == ""
        quiet = await done(await bea.post("/integrations/commands/run", asks), 200)
        assert (quiet["text"], quiet["post_id"]) == ("", None)
    response = "/api/v1" + told["response_url"].split("/api/v1")[1]
    client = network.anybody.client
    later = await done(await client.post(response, json={"text": "It stopped."}))
    assert (await bea.get(f"/posts/{later['post_id']}")).status_code == 200
    assert (await ann.get(f"/posts/{later['post_id']}")).status_code == 404
    for _ in range(4):
        await done(await client.post(response, json={"text": "Again.", "response_type": "in_thread"}))
    assert (await client.post(response, json={"text": "Too often."})).status_code == 404
    gone = await bea.post("/integrations/commands/run", asks)
    assert gone.status_code == 409 and "Weather did not answer" in gone.json()["detail"]
    assert (await bea.post("/integrations/commands/run", {"text": "/nothing"})).status_code == 400
    await done(await ann.delete(f"/integrations/commands/{made['command']['id']}"), 204)
    assert (await bea.post("/integrations/commands/run", asks)).status_code == 400
    await network.world.assert_rebuilds()


def test_messages_are_read_as_far_as_they_are_text() -> None:
    assert message_of({"title": "T", "text": "x"}) == ("**T**\n\nx", [])
    assert message_of({"attachments": [{"fallback": "f"}, "odd", {"pretext": "p"}]}) == ("f\n\np", [])
    for values in ({}, {"text": " "}, {"blocks": [1]}, {"text": "a\0"}):
        with pytest.raises(Refusal):
            message_of(values)


async def test_the_pages_connect_and_disconnect(network: Network) -> None:
    ada = await network.browser(network.administrator)
    ann = await network.person("Ann Bell")
    browser = await network.browser(ann)
    place = await community(ann, kind="open")
    here = f"/communities/{place}/integrations"
    for who, path in ((ada, "/admin/integrations"), (browser, here), (browser, "/settings/apps")):
        assert (await who.client.get(path)).status_code == 200, path
    assert (await browser.client.get("/admin/integrations")).status_code == 403
    async with program([web.Response(status=204), web.json_response({"text": "Only for you."}), web.Response(status=500)]) as (url, _):
        values = {"action": "webhook", "name": "Ticker", "url": url, "event_types": "watercooler.feed.v1.PostDeleted"}
        made = await ada.client.post("/admin/integrations", data=values)
        assert made.status_code == 200 and "whsec_" in made.text
        refused = await ada.client.post("/admin/integrations", data=values | {"url": "http://10.0.0.1/"})
        assert refused.status_code == 422 and "not a public address" in refused.text and 'value="http://10.0.0.1/"' in refused.text
        one = made.text.split('href="/integrations/webhooks/')[1].split('"')[0]
        page = f"/integrations/webhooks/{one}"
        assert (await browser.client.get(page)).status_code == 403
        assert (await ada.client.post(page, data={"action": "test"})).status_code == 303
        assert "ping" in (await ada.client.get(page)).text
        assert "whsec_" in (await ada.client.post(page, data={"action": "rotate"})).text
        assert (await ada.client.post(page, data={"action": "off"})).status_code == 303
        assert "Switched off by hand" in (await ada.client.get(page)).text
        assert (await ada.client.post(page, data={"action": "delete"})).headers["location"] == "/admin/integrations"
        bot = (await browser.client.post(here, data={"action": "bot", "name": "Weather"})).headers["location"]
        assert "wct_" in (await browser.client.post(bot, data={"action": "token", "token_name": "host"})).text
        command = {"action": "command", "name": "/weather", "description": "What it is like outside", "url": url}
        assert "whsec_" in (await browser.client.post(bot, data=command)).text
        assert (await browser.client.post(bot, data=command)).status_code == 422
        await network.world.settle()
        listed = await browser.client.get("/integrations/commands/suggest", params={"q": "/we", "community": place})
        assert [each["name"] for each in listed.json()] == ["weather"]
        post = {"body": "/weather Tartu", "audience": f"community:{place}"}
        said = await browser.client.post("/posts", data=post, headers={"hx-request": "true"})
        assert said.status_code == 200 and "Only for you." in said.text and "Only you see this" in said.text
        failed = await browser.client.post("/posts", data=post)
        assert failed.status_code == 422 and "answered with an error (500)" in failed.text and "/weather Tartu" in failed.text
        unknown = await browser.client.post("/posts", data=post | {"body": "/nothing"})
        assert unknown.status_code == 422 and "no command /nothing" in unknown.text
        assert (await browser.client.post("/posts", data=post | {"body": "/etc/hosts is a file"})).status_code == 303
        assert (await browser.client.post(bot, data={"action": "delete"})).headers["location"] == here
    hook = await browser.client.post(here, data={"action": "incoming", "name": "Build"})
    assert "/api/v1/integrations/in/" in hook.text
    own = await browser.client.post("/settings/apps", data={"action": "incoming", "name": "Sensor"})
    assert "/api/v1/integrations/in/" in own.text and "Sensor" in own.text
