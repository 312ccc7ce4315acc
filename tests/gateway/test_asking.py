"""Questions, thanks, questions to leaders and ideas in a browser and by REST; and what is stored of an anonymous question."""
from __future__ import annotations

import io
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, generate_latest

from libs.telemetry import logs
from libs.testing.world import tables
from libs.text.ids import new_id
from services.feed.questions import release_held
from services.feed.service import SERVICE as FEED
from services.gateway.edge import VISITOR_COOKIE
from tests.gateway.conftest import Network, Person

QUESTION = "Why do the canteen’s plumbago dumplings cost so much?"
BY_REST = "And who chose the vermilion chairs in the lobby?"


async def _form(sender: Person, path: str, **fields: Any) -> Any:
    token = sender.client.headers["x-csrf-token"]
    return await sender.client.post(path, data={"csrf_token": token, **fields})


@pytest.fixture
async def ada(network: Network) -> Person:
    """The administrator in a browser."""
    return await network.browser(network.administrator)


async def _release(network: Network) -> int:
    """The hour is full."""
    context = network.world.embedded._context(FEED, network.world.embedded.engines.blobs())
    kept = {name: getattr(context, name) for name in context.__dataclass_fields__}
    return await release_held(type(context)(**kept | {"now": lambda: datetime.now(UTC) + timedelta(hours=1)}))


async def test_a_question_is_asked_answered_and_marked_in_a_browser(network: Network, ada: Person) -> None:
    bob = await network.person("Bob Builder")
    asked = await bob.post("/posts", {"body": "How does one seal #film?", "kind": "question"})
    assert asked.json()["kind"] == "question"
    post_id = asked.json()["id"]
    page = await ada.client.get("/questions")
    assert page.status_code == 200 and "How does one seal" in page.text
    answer = (await network.administrator.post("/posts", {"body": "With a hot wire.", "parent_id": post_id})).json()["id"]
    assert "How does one seal" not in (await ada.client.get("/questions")).text
    marked = await bob.put(f"/asking/questions/{post_id}/best-answer", {"answer_id": answer})
    assert marked.json()["best_answer"]["id"] == answer and marked.json()["best_answer"]["is_best_answer"]
    thread = (await ada.client.get(f"/posts/{post_id}")).text
    assert thread.count("With a hot wire.") == 2 and "Best answer" in thread
    script = {"hx-request": "true", "hx-current-url": f"http://testserver.local/posts/{post_id}"}
    again = await (await network.browser(bob)).client.post(f"/posts/{answer}/save", data={"save": "1"}, headers=script)
    assert again.status_code == 200 and f'action="/posts/{answer}/best"' in again.text
    taken = await _form(ada, f"/posts/{answer}/best", best="0")
    assert taken.status_code == 303 and taken.headers["location"] == f"/posts/{post_id}"
    assert (await ada.client.get(f"/posts/{post_id}")).text.count("With a hot wire.") == 1
    assert (await ada.client.get("/questions?show=open")).text.count("How does one seal") >= 1
    listed = (await bob.get("/asking/questions?filter=solved")).json()
    assert listed["questions"] == []


async def test_thanks_are_given_from_a_form_and_stand_with_the_person(network: Network, ada: Person) -> None:
    bob = await network.person("Bob Builder")
    form = (await ada.client.get(f"/praise/new?person={bob.id}")).text
    assert "@bob" in form and "Helping each other" in form
    refused = await _form(ada, "/praise", people="@nobody.here", value="Helping each other", body="Thank you!")
    assert refused.status_code == 422 and "Thank you!" in refused.text
    handle = (await bob.get(f"/people/{bob.id}")).json()["handle"]
    given = await _form(ada, "/praise", people=f"@{handle}", value="Helping each other", body="For the bridge!", audience="everyone")
    assert given.status_code == 303
    assert "Helping each other" in (await ada.client.get(f"/people/{bob.id}")).text
    assert "For the bridge!" in (await ada.client.get(f"/people/{bob.id}/praise")).text
    told = (await bob.get(f"/people/{bob.id}/praise")).json()
    assert told["values"] == [{"value": "Helping each other", "count": 1}]


async def test_leaders_answer_in_a_browser_and_ideas_get_a_state(network: Network, ada: Person) -> None:
    lea = await network.browser(await network.person("Lea Leader", roles=("employee", "leader")))
    bob = await network.person("Bob Builder")
    asked = await _form(ada, "/ask", body="When does the canteen open again?")
    assert asked.status_code == 303
    address = asked.headers["location"]
    enquiry_id = address.removeprefix("/ask/")
    assert (await bob.put(f"/asking/leadership/questions/{enquiry_id}/vote")).json()["vote_count"] == 1
    assert "Answer in the open" not in (await ada.client.get(address)).text
    page = (await lea.client.get(address)).text
    assert "Answer in the open" in page
    empty = await _form(lea, f"{address}/decide", action="decline", text="")
    assert empty.status_code == 422
    assert (await _form(lea, f"{address}/decide", action="answer", text="On **Monday**.")).status_code == 303
    shown = (await ada.client.get("/ask")).text
    assert "<strong>Monday</strong>" in shown and "answered after" in shown and " second<" not in shown
    assert f'href="{address}"' in (await ada.client.get("/notifications")).text
    decided = await bob.post(f"/asking/leadership/questions/{enquiry_id}/decisions", {"decision": "decline", "text": "No."})
    assert decided.status_code == 403

    proposed = await _form(ada, "/ideas", body="Compost the coffee grounds.", audience="everyone", objective_title="Half the waste")
    place = proposed.headers["location"]
    idea_id = place.removeprefix("/ideas/")
    assert (await bob.put(f"/ideas/{idea_id}/vote")).json()["vote_count"] == 1
    assert (await bob.put(f"/ideas/{idea_id}/sponsor")).json()["sponsor"]["id"] == bob.id
    assert (await bob.put(f"/ideas/{idea_id}/state", {"state": "not_now"})).json()["field"] == "reason"
    assert (await bob.put(f"/ideas/{idea_id}/state", {"state": "trial"})).json()["post"]["idea_state"] == "trial"
    assert "Compost the coffee" in (await ada.client.get("/ideas?state=trial")).text
    assert "Compost the coffee" not in (await ada.client.get("/ideas?state=done")).text
    assert "Half the waste" in (await ada.client.get(place)).text
    plain = (await network.administrator.post("/posts", {"body": "A thought."})).json()["id"]
    assert (await _form(ada, f"/posts/{plain}/idea")).headers["location"] == f"/ideas/{plain}"
    guest = await network.browser(await network.person("Gus Guest", roles=("guest",)))
    assert (await guest.client.get("/ask")).status_code == 404
    for path in ("/questions", "/ideas"):
        assert (await guest.client.get(path)).status_code == 200


async def test_experts_are_named_on_a_page_of_their_community(network: Network, ada: Person) -> None:
    community = (await network.administrator.post("/communities", {"name": "Sealing"})).json()["id"]
    handle = (await network.administrator.get(f"/people/{ada.id}")).json()["handle"]
    named = await _form(ada, f"/communities/{community}/experts", action="add", person=f"@{handle}")
    assert named.status_code == 303
    assert "Ada Admin" in (await ada.client.get(f"/communities/{community}/experts")).text
    listed = (await network.administrator.get(f"/communities/{community}/experts")).json()
    assert [each["id"] for each in listed["experts"]] == [ada.id]
    removed = await _form(ada, f"/communities/{community}/experts", action="remove", person_id=ada.id)
    assert removed.status_code == 303
    assert (await network.administrator.get(f"/communities/{community}/experts")).json()["experts"] == []


# --- nothing leads from an anonymous question to its asker ------------------------------------------------------------


async def _rows(network: Network) -> dict[str, set[str]]:
    """Every row of every table of every service's database, as text; stored messages as they are in bytes."""
    found: dict[str, set[str]] = {}
    for service in network.world.embedded.services:
        database = network.world.store(service.name).database
        for table in tables(service):
            rows = await database.fetch(f"SELECT * FROM {table}")
            found[f"{service.name}.{table}"] = {" ".join(_text(value) for value in tuple(row)) for row in rows}
    return found


def _text(value: Any) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | bytearray | memoryview) else str(value)


async def test_no_stored_link_leads_from_an_anonymous_question_to_who_asked(network: Network, ada: Person, tmp_path: Path) -> None:
    """One asks in a browser and one by REST; then every table of every database, the whole log text and all metrics are searched."""
    bob = await network.person("Bob Builder")
    told = io.StringIO()
    before_level = logging.getLogger().level
    logs.configure("json", "debug", told)
    try:
        # What a person does anyway: reading is noted once a day, whatever is read.
        await ada.client.get("/ask")
        await bob.get("/asking/leadership")
        await network.gateway.visits.written()
        before = await _rows(network)
        mark = told.tell()

        trace, key = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01", new_id()
        by_form = await _form(ada, "/ask/anonymous", body=QUESTION, request_id=key)
        assert by_form.status_code == 303 and by_form.headers["location"] == "/ask"
        refused = await bob.post("/asking/leadership/anonymous", {"body": BY_REST}, headers={"idempotency-key": key})
        assert refused.status_code == 400 and refused.json()["field"] == "Idempotency-Key"
        twisted = await bob.client.post(
            "/api/v1/asking/leadership//anonymous/", json={"body": BY_REST}, headers={"idempotency-key": key}
        )
        assert twisted.status_code in (400, 404)
        by_rest = await bob.post("/asking/leadership/anonymous", {"body": BY_REST}, headers={"traceparent": trace})
        assert by_rest.status_code == 202 and list(by_rest.json()) == ["publish_time"]
        await network.gateway.visits.written()
        lines = told.getvalue()[mark:]
        held = await _rows(network)
        assert await _release(network) == 2
        await network.world.settle()
        after = await _rows(network)
    finally:
        logs.configure("auto", "warning")
        logging.getLogger().setLevel(before_level)

    browser, person = ada.client.cookies, {"ada": ada, "bob": bob}
    sessions = [value for name, value in browser.items() if name != VISITOR_COOKIE]
    requests = [answer.headers["x-request-id"] for answer in (by_form, by_rest)]
    links = {
        *(each.id for each in person.values()), *(each.email for each in person.values()), bob.token, ada.client.headers["x-csrf-token"],
        *sessions, *requests, key, "ab" * 16, "Ada Admin", "Bob Builder", "192.0.2.7",
    }
    assert not any(_words(text) for rows in before.values() for text in rows), "the words are nowhere before they are asked"
    new_held = {table: rows - before[table] for table, rows in held.items() if rows - before[table]}
    # A day that begins meanwhile is noted once, as on every day.
    new_held.pop("gateway.visits", None)
    assert set(new_held) == {"feed.held_enquiries"}, "asking writes rows of text and nothing else"
    new = {table: rows - before[table] for table, rows in after.items() if rows - before[table]}
    new.pop("gateway.visits", None)
    assert set(new) <= {"feed.events", "feed.enquiries", "feed.checkpoints", "search.checkpoints", "gateway.checkpoints"}, sorted(new)
    assert len(new["feed.events"]) == len(new["feed.enquiries"]) == 2
    for table, rows in new.items():
        for text in rows:
            assert not [link for link in links if link and link in text], (table, text)
    assert not any(_words(text) for table, rows in after.items() if table not in ("feed.events", "feed.enquiries") for text in rows)
    for link in (*requests, key, "ab" * 16):
        assert not any(link in text for rows in after.values() for text in rows), "no request's id is kept anywhere"

    log = told.getvalue()
    assert lines, "calls are logged at this level, so that there is something to search"
    assert not _words(log)
    assert not [link for link in links - set(requests) - {"ab" * 16} if link and link in lines], "no line says who asked"
    ids = [each.split(" ", 1)[0] for each in new["feed.enquiries"]]
    assert not [each for each in ids if each in lines]
    metrics = generate_latest(REGISTRY).decode()
    assert not _words(metrics) and not [each for each in (*ids, ada.id, bob.id) if each in metrics]

    # The order in the log is that of ids made of the texts, on the hour, and the time shown is no finer.
    shown = (await bob.get("/asking/leadership/questions?order=newest")).json()["questions"]
    assert {each["body"] for each in shown} == {QUESTION, BY_REST}
    assert {(each["anonymous"], each["asker"], each["ask_time"][14:19]) for each in shown} == {(True, None, "00:00")}
    assert sorted(each["id"] for each in shown) == sorted(ids)
    assert await _notified(bob) == await _notified(network.administrator) == 0


def _words(text: str) -> bool:
    return "plumbago dumplings" in text or "vermilion chairs" in text


async def _notified(person: Person) -> int:
    return len((await person.get("/inbox")).json()["notifications"])
