"""Reports, decisions, policy, retention and exports, as people and programs meet them."""
from __future__ import annotations

import asyncio
import io
import zipfile
from typing import Any

import httpx

from .conftest import Network, Person


async def form(person: Person, path: str, fields: dict[str, Any]) -> httpx.Response:
    """Send a form of a page, with the token that the page carries."""
    return await person.client.post(path, data={"csrf_token": person.client.headers["x-csrf-token"], **fields})


async def test_a_report_is_decided_and_appealed_against_in_the_pages(network: Network) -> None:
    ada, bo, cy = await network.browser(network.administrator), await network.person("Bo Berg"), await network.person("Cy Cole")
    bo_browser, cy_browser = await network.browser(bo), await network.browser(cy)
    post_id = (await cy.post("/posts", {"body": "You are all fools."})).json()["id"]
    await network.world.settle()
    assert f"/report?subject=post&amp;id={post_id}" in (await bo_browser.client.get("/company")).text
    assert "/report?" not in (await cy_browser.client.get("/company")).text
    assert "You are all fools." in (await bo_browser.client.get(f"/report?subject=post&id={post_id}")).text
    fields = {"subject": "post", "subject_id": post_id, "category": "harassment", "words": "rude", "back": "/company"}
    refused = await form(bo_browser, "/report", fields | {"category": ""})
    assert (refused.status_code, "rude" in refused.text) == (422, True)
    assert (await form(bo_browser, "/report", fields)).headers["location"] == "/company"
    own = (await bo_browser.client.get("/reports")).text
    assert "rude" in own and "Waits" in own and "/moderation/notices/" in own
    assert "No reports" in (await cy_browser.client.get("/reports")).text

    queue = (await ada.client.get("/moderation")).text
    assert "Post by Cy Cole" in queue
    assert 'href="/moderation"' in (await ada.client.get("/")).text
    assert 'href="/moderation"' not in (await bo_browser.client.get("/")).text
    assert (await bo_browser.client.get("/moderation")).status_code == 403
    (waiting,) = (await network.administrator.get("/moderation/cases")).json()["cases"]
    path = f"/moderation/cases/{waiting['id']}"
    assert "rude" in (await ada.client.get(path)).text
    assert (await cy_browser.client.get(path)).status_code == 404
    assert (await form(ada, path, {"action": "assign"})).status_code == 303
    missing = await form(ada, path, {"action": "decide", "outcome": "removed", "reason": "Insults."})
    assert (missing.status_code, "name the guideline" in missing.text.lower()) == (422, True)
    done = await form(ada, path, {"action": "decide", "outcome": "removed", "reason": "Insults.", "other_guideline": "Be kind."})
    assert done.status_code == 303
    await network.world.settle()
    assert (await cy.get(f"/posts/{post_id}")).json()["deleted"] is True

    notices = (await cy.get("/moderation/notices")).json()["notices"]
    assert [(one["mine"], one["may_appeal"], one["decisions"][0]["decider"]) for one in notices] == [(True, True, None)]
    found = await cy_browser.client.get(f"/moderation/{waiting['id']}")
    assert found.headers["location"] == f"/moderation/notices/{waiting['id']}"
    page = (await cy_browser.client.get(found.headers["location"])).text
    assert "You are all fools." in page
    assert "Be kind." in page
    assert "Bo Berg" not in page
    assert (await form(cy_browser, f"/moderation/notices/{waiting['id']}", {"words": "It was a joke."})).status_code == 303
    assert "It was a joke." in (await ada.client.get(path)).text
    assert (await form(ada, path, {"action": "uphold", "appeal_reason": "Right."})).status_code == 303
    await network.world.settle()
    assert (await bo.get(f"/posts/{post_id}")).json()["body"] == "You are all fools."
    record = (await ada.client.get("/admin/audit")).text
    assert "decided an appeal" in record
    entries = (await network.administrator.get("/moderation/audit?action=case")).json()["entries"]
    assert [one["action"] for one in entries] == ["case.decided"]
    assert (await bo.get("/moderation/audit")).status_code == 403


async def test_guidelines_come_before_the_first_post(network: Network) -> None:
    ada, bo = await network.browser(network.administrator), await network.person("Bo Berg")
    browser = await network.browser(bo)
    assert (await browser.client.get("/guidelines")).status_code == 404
    saved = await form(ada, "/admin/policy", {
        "guidelines": "* Be kind.\n* Name your sources.", "values": "Care\nCourage", "blocking_allowed": "1", "guidelines_required": "1",
    })
    assert saved.status_code == 303, saved.text
    policy = (await bo.get("/policy")).json()
    assert (policy["values"], policy["anonymous_questions"], policy["acceptance_due"]) == (["Care", "Courage"], False, True)
    refused = await bo.post("/posts", {"body": "Hello"})
    assert (refused.status_code, "policy/acceptance" in refused.text) == (403, True)
    asked = await form(browser, "/posts", {"body": "Hello from Bo", "audience": "everyone", "return_to": "/"})
    assert asked.status_code == 200
    assert "Name your sources." in asked.text
    assert 'name="body" value="Hello from Bo"' in asked.text
    posted = await form(
        browser, "/posts", {"body": "Hello from Bo", "audience": "everyone", "return_to": "/", "guidelines_version": "1"}
    )
    assert posted.status_code == 303
    assert "Hello from Bo" in (await browser.client.get("/company")).text
    assert (await bo.get("/policy")).json()["acceptance_due"] is False
    edited = await network.administrator.patch("/policy", {"guidelines": "* Be kind.", "ask_again": True, "reason": "shorter"})
    assert edited.json()["guidelines_version"] == 2
    assert (await bo.post("/policy/acceptance", {"guidelines_version": 2})).json()["my_accepted_version"] == 2


async def test_rules_and_holds_are_governed_in_the_pages(network: Network) -> None:
    ada, bo = await network.browser(network.administrator), await network.person("Bo Berg")
    assert (await (await network.browser(bo)).client.get("/admin/retention")).status_code == 403
    made = await form(ada, "/admin/retention", {
        "name": "Small talk", "audience": "everyone", "age_days": "1", "unit": "post", "reason": "works agreement",
    })
    path = made.headers["location"]
    await bo.post("/posts", {"body": "Fresh"})
    too_soon = await form(ada, path, {"action": "enable", "reason": "now"})
    assert (too_soon.status_code, "dry run" in too_soon.text) == (422, True)
    seen = await form(ada, path, {"action": "rehearse"})
    assert "0 posts" in seen.text
    assert (await form(ada, path, {"action": "enable", "reason": "looks right"})).status_code == 303
    assert (await network.administrator.get("/retention/rules")).json()["rules"][0]["enabled"] is True
    assert (await form(ada, path, {"action": "disable", "reason": "enough"})).status_code == 303

    unknown = await form(ada, "/admin/holds", {"subject": "person", "person": "nobody at all", "reason": "case 7"})
    assert unknown.status_code == 422
    placed = await form(ada, "/admin/holds", {"subject": "person", "person": bo.email, "reason": "case 7", "from_day": "2026-01-01"})
    assert placed.status_code == 303, placed.text
    assert "What Bo Berg wrote" in (await ada.client.get("/admin/holds")).text
    assert "case 7" in (await ada.client.get(f"/admin/erasure?person_id={bo.id}")).text
    (hold,) = (await network.administrator.get("/retention/holds")).json()["holds"]
    lifted = await network.administrator.post(f"/retention/holds/{hold['id']}/lift", {"reason": "settled"})
    assert lifted.json()["active"] is False


async def test_an_export_is_for_who_asked(network: Network) -> None:
    bo = await network.person("Bo Berg")
    browser = await network.browser(bo)
    await bo.post("/posts", {"body": "Mine to take along"})
    assert (await form(browser, "/settings/export", {"subject": "me"})).status_code == 303
    async with asyncio.timeout(60):
        while (found := (await bo.get("/exports")).json()["exports"][0])["state"] == "waiting":
            await asyncio.sleep(0.05)
    assert (found["state"], found["post_count"]) == ("ready", 1)
    assert f"/api/v1/exports/{found['id']}/file" in (await browser.client.get("/settings/export")).text
    for answer in (await browser.get(f"/exports/{found['id']}/file"), await bo.get(f"/exports/{found['id']}/file")):
        assert answer.headers["content-type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
            assert b"Mine to take along" in packed.read("index.html")
    assert (await network.administrator.get(f"/exports/{found['id']}/file")).status_code == 404
