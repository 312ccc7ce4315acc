"""Announcements over a whole network: the REST API, the pages, and what they tell of who has read them."""
from __future__ import annotations

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta

from libs.proofs import reach

from .conftest import Network
from .test_pages import form


async def test_from_preview_to_proof(network: Network) -> None:
    ada, bo, cy = network.administrator, await network.person("Bo Berg"), await network.person("=Cy Cole")
    assert (await ada.post("/broadcasts/preview", {})).json() == {"audience_count": 2, "audience_name": ""}
    deadline = datetime.now(UTC) + timedelta(days=3)
    given = {
        "title": "Offices close", "body": "At **noon**.", "must_confirm": True, "deadline": deadline.isoformat(),
        "remind_times": [(deadline - timedelta(days=1)).isoformat()],
    }
    refused = await bo.post("/broadcasts", given)
    assert (refused.status_code, "only communications" in refused.text.lower()) == (403, True)
    made = await ada.post("/broadcasts", given)
    assert made.status_code == 201, made.text
    await network.world.settle()
    found = (await ada.get(f"/broadcasts/{made.json()['id']}")).json()
    assert (found["audience_count"], found["version"], len(found["remind_times"])) == (2, 1, 1)
    await network.world.settle()
    path = f"/broadcasts/{found['id']}"
    pending = (await bo.get("/broadcasts", params={"filter": "pending"})).json()["broadcasts"]
    assert [each["id"] for each in pending] == [found["id"]]
    receipts = {"receipts": [{"id": found["id"], "fact": fact, "version": 1} for fact in ("shown", "opened")]}
    assert [(await bo.post("/broadcasts/receipts", receipts)).json()["recorded_count"] for _ in range(2)] == [2, 0]
    assert (await bo.put(f"{path}/confirmation", {})).json()["my_confirmed_version"] == 1
    corrected = await ada.post(f"{path}/corrections", {"title": "Offices close", "body": "At one.", "what_was_wrong": "The time."})
    assert (corrected.status_code, corrected.json()["right_since"]) == (200, 2)
    counts = (await ada.get(f"{path}/reach")).json()
    assert (counts["ever_confirmed_count"], counts["confirmed_count"], counts["misinformed_count"]) == (1, 0, 1)
    assert (await bo.get(f"{path}/reach")).status_code == 403
    who = (await ada.get(f"{path}/reach/people", params={"fact": "confirmed", "missing": True})).json()["people"]
    assert {each["person"]["id"] for each in who} == {bo.id, cy.id}
    table = await ada.get(f"{path}/reach/people.csv")
    assert table.headers["content-disposition"] == f'attachment; filename="reach-{found["id"]}.csv"'
    rows = list(csv.DictReader(io.StringIO(table.text.removeprefix("\ufeff"))))
    assert sorted(row["name"] for row in rows) == ["'=Cy Cole", "Bo Berg"]  # no formula for a spreadsheet
    assert (await bo.get(f"{path}/reach/people.csv")).status_code == 403
    assert (await ada.post(f"{path}/reminders")).json()["reminder_count"] == 1
    keys = (await network.anybody.client.get("/.well-known/watercooler-reach-keys.json")).json()["keys"]
    proof = await ada.get(f"{path}/reach/proof")
    verdict = reach.verify(reach.lines_of([proof.content]), keys[0]["public_key"])
    assert (verdict.problems, verdict.fact_count, verdict.audience_count) == ([], 3, 2)
    assert (await bo.get(f"{path}/reach/proof")).status_code == 403
    versions = (await bo.get(f"{path}/versions")).json()["versions"]
    assert [(each["version"], each["what_was_wrong"]) for each in versions] == [(2, "The time."), (1, "")]


async def test_the_counts_go_on_live(network: Network) -> None:
    ada, bo = network.administrator, await network.person("Bo Berg")
    made = (await ada.post("/broadcasts", {"title": "Offices close", "body": "At noon."})).json()
    await network.world.settle()
    path = f"/broadcasts/{made['id']}"
    heard: list[str] = []

    async def listen() -> None:
        async with asyncio.timeout(60):
            await _hear(network, path, heard)

    listening = asyncio.create_task(listen())
    while not heard:
        await asyncio.sleep(0.02)
        if listening.done():
            listening.result()
    assert '"opened_count":0' in heard[0]
    await bo.post("/broadcasts/receipts", {"receipts": [{"id": made["id"], "fact": "opened"}]})
    await listening
    assert '"opened_count":1' in heard[-1]


async def _hear(network: Network, path: str, heard: list[str]) -> None:
    """Ask the edge as a server does, since the client of the tests waits for the end of an answer."""
    done = asyncio.Event()
    headers = [
        (b"host", b"testserver"), (b"accept", b"text/event-stream"),
        (b"authorization", network.administrator.client.headers["authorization"].encode()),
    ]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": f"/api/v1{path}/reach",
        "raw_path": f"/api/v1{path}/reach".encode(), "query_string": b"", "headers": headers, "client": ("192.0.2.7", 4711),
        "server": ("testserver", 80), "state": {},
    }
    asked = False

    async def receive() -> dict[str, object]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200, message
        body = message.get("body", b"")
        assert isinstance(body, bytes)
        if b"event: reach" in body:
            heard.append(body.decode())
            if len(heard) > 1:
                done.set()

    await network.edge(scope, receive, send)  # type: ignore[arg-type]


async def test_the_pages(network: Network) -> None:
    ada = await network.browser(network.administrator)
    bo = await network.browser(await network.person("Bo Berg"))
    fields = {"title": "Offices close", "body": "At **noon**.", "audience": "everyone", "must_confirm": "1", "deadline": "2027-06-01T12:00"}
    assert (await bo.client.get("/announcements/new")).status_code == 403
    assert "waits for you" in (await bo.client.get("/announcements?tab=pending")).text.lower()
    assert (await form(ada, "/announcements/new", {**fields, "title": "", "action": "publish"})).status_code == 422
    nobody = await form(ada, "/announcements/new", {**fields, "audience": "chart", "head": "@nobody.here"})
    assert (nobody.status_code, "Nobody is found" in nobody.text) == (422, True)
    page = await form(ada, "/announcements/new", {**fields, "action": "preview"})
    assert "Publish to 1 person" in page.text
    made = await form(ada, "/announcements/new", {**fields, "action": "publish", "request_id": "one"})
    assert made.status_code == 303
    path = made.headers["location"]
    await network.world.settle()
    home = (await bo.client.get("/")).text
    assert "announcement-banner" in home and "Offices close" in home
    assert "data-reach-live" in (await ada.client.get(path)).text
    company = (await bo.client.get("/company")).text
    assert f'data-announcement="{path.rsplit("/", 1)[1]}" data-version="1"' in company
    shown = await form(bo, "/announcements/shown", {"shown": f'[["{path.rsplit("/", 1)[1]}",1]]'})
    assert shown.status_code == 204
    assert (await form(bo, "/announcements/shown", {"shown": "nonsense"})).status_code == 400
    page = await bo.client.get(path)  # opens it
    assert "I have read this" in page.text and "data-reach-live" not in page.text
    counts = (await network.administrator.get(f"/broadcasts/{path.rsplit('/', 1)[1]}/reach")).json()
    assert (counts["shown_count"], counts["opened_count"], counts["confirmed_count"]) == (1, 1, 0)
    assert (await form(bo, f"{path}/confirm", {"version": "1", "return_to": "/"})).status_code == 303
    assert "announcement-banner" not in (await bo.client.get("/")).text
    assert (await bo.client.get(f"{path}/edit")).status_code == 403
    wrong = await form(ada, f"{path}/edit", {"title": "Offices close", "body": "At one.", "kind": "correction", "version": "1"})
    assert (wrong.status_code, "Say what was wrong" in wrong.text) == (422, True)
    fixed = await form(
        ada, f"{path}/edit",
        {"title": "Offices close", "body": "At one.", "kind": "correction", "what_was_wrong": "One, not noon.", "version": "1"},
    )
    assert fixed.status_code == 303
    await network.world.settle()
    assert "This was corrected after you saw it." in (await bo.client.get("/")).text
    page = await ada.client.get(path)
    assert "data-reach-wrong" in page.text and "One, not noon." in page.text
    people = await ada.client.get(f"{path}/people?fact=confirmed&missing=1")
    assert "Bo Berg" in people.text and "people.csv?fact=confirmed&amp;missing=true" in people.text
    reminded = await form(ada, f"{path}/remind", {})
    assert (reminded.status_code, reminded.headers["location"]) == (303, path)
    await network.world.settle()
    assert (await bo.client.get("/notifications")).status_code == 200
    again = await bo.client.get(path.replace("announcements", "posts"))
    assert again.status_code == 200 and "You have read this" not in again.text  # what was read is wrong by now, so it is asked once more
    assert again.text.count("I have read this") == 1
