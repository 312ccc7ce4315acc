"""The REST API: what it does, what it refuses and how it says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from libs.testing.world import World
from services.feed.service import SERVICE as FEED
from services.gateway import ratelimit
from services.gateway.api.openapi import document
from services.gateway.api.operations import OPERATIONS
from services.gateway.service import SERVICE as GATEWAY
from services.identity.service import SERVICE as IDENTITY
from services.search.service import SERVICE as SEARCH

from .conftest import QUICK, Network


async def test_a_post_from_writing_to_deleting(network: Network) -> None:
    ada, bo = network.administrator, await network.person("Bo Berg")
    made = await bo.post("/posts", {"body": "Pump 3 hums again #pumps", "language": "en"})
    assert made.status_code == 201, made.text
    post = made.json()
    assert made.headers["location"] == f"/api/v1/posts/{post['id']}"
    assert made.headers["etag"] == f'"{post["etag"]}"'
    assert post["tags"] == ["pumps"]
    assert post["audience"] == {"kind": "everyone", "id": None, "name": None, "person_ids": []}
    assert post["publish_time"].endswith("Z")

    reply = (await ada.post("/posts", {"body": "Since when, @bo.berg?", "parent_id": post["id"]})).json()
    thread = (await bo.get(f"/posts/{reply['id']}/thread")).json()
    assert thread["root"]["id"] == post["id"]
    assert [each["id"] for each in thread["replies"]] == [reply["id"]]

    assert (await ada.post(f"/posts/{post['id']}/reactions", {"emoji": "👍"})).json()["reactions"][0] == {
        "emoji": "👍",
        "count": 1,
        "mine": True,
    }
    who = (await bo.get(f"/posts/{post['id']}/reactions")).json()["reactions"]
    assert [each["person"]["id"] for each in who] == [ada.id]
    assert (await ada.delete(f"/posts/{post['id']}/reactions", params={"emoji": "👍"})).json()["reactions"] == []
    assert [each["id"] for each in (await ada.get("/posts", params={"id": [post["id"], reply["id"]]})).json()["posts"]] != []
    assert (await ada.put(f"/posts/{post['id']}/save")).json()["saved"]
    assert [each["id"] for each in (await ada.get("/feeds/saved")).json()["posts"]] == [post["id"]]
    assert not (await ada.delete(f"/posts/{post['id']}/save")).json()["saved"]
    assert (await ada.put(f"/posts/{post['id']}/confirmation")).json()["read_confirmation_count"] == 1

    edited = await bo.patch(f"/posts/{post['id']}", {"body": "Pump 3 is quiet #pumps"}, headers={"if-match": made.headers["etag"]})
    assert edited.status_code == 200, edited.text
    assert edited.json()["language"] == "en", "what is not named stays"
    revisions = (await ada.get(f"/posts/{post['id']}/revisions")).json()["revisions"]
    assert [each["body"] for each in revisions] == ["Pump 3 is quiet #pumps", "Pump 3 hums again #pumps"]
    assert (await bo.delete(f"/posts/{post['id']}")).json()["deleted"]
    assert (await ada.get(f"/posts/{post['id']}")).json()["body"] == ""


async def test_an_edit_on_an_older_version_is_refused(network: Network) -> None:
    ada = network.administrator
    made = await ada.post("/posts", {"body": "first"})
    path, etag = f"/posts/{made.json()['id']}", made.headers["etag"]
    assert (await ada.patch(path, {"body": "second"}, headers={"if-match": etag})).status_code == 200
    stale = await ada.patch(path, {"body": "third"}, headers={"if-match": etag})
    assert stale.status_code == 412
    assert stale.json()["code"] == "precondition_failed"
    assert stale.json()["field"] == "If-Match"
    assert (await ada.patch(path, {"body": "third"}, headers={"if-match": f"W/{etag}"})).status_code == 412
    assert (await ada.patch(path, {"body": "third"}, headers={"if-match": "7"})).status_code == 400
    current = (await ada.get(path)).headers["etag"]
    assert (await ada.patch(path, {"body": "third"}, headers={"if-match": f'"99", {current}'})).status_code == 200
    assert (await ada.patch(path, {"body": "fourth"}, headers={"if-match": "*"})).status_code == 200
    assert (await ada.get(path)).json()["body"] == "fourth"

    person = await ada.get(f"/people/{ada.id}")
    assert (await ada.patch(f"/people/{ada.id}", {"title": "Head"}, headers={"if-match": person.headers["etag"]})).json()["title"] == "Head"
    assert (await ada.patch(f"/people/{ada.id}", {"title": "Tail"}, headers={"if-match": person.headers["etag"]})).status_code == 412


async def test_an_idempotency_key_makes_one_post_of_two_requests(network: Network) -> None:
    ada = network.administrator
    key = {"idempotency-key": '"5f0e4b0c"'}
    first = await ada.post("/posts", {"body": "once"}, headers=key)
    again = await ada.post("/posts", {"body": "once"}, headers=key)
    assert (again.status_code, again.content) == (first.status_code, first.content) and first.status_code == 201
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    other = await ada.post("/posts", {"body": "twice"}, headers=key)
    assert other.status_code == 422
    assert other.json()["field"] == "Idempotency-Key"
    bo = await network.person("Bo Berg")
    assert (await bo.post("/posts", {"body": "twice"}, headers=key)).status_code == 201, "keys are each person's own"
    assert len((await ada.get("/feeds/company")).json()["posts"]) == 2
    assert (await ada.post("/posts", {"body": "x"}, headers={"idempotency-key": "k" * 256})).status_code == 400


async def test_a_lost_answer_is_not_done_twice(network: Network) -> None:
    ada = network.administrator
    key = {"idempotency-key": "lost"}
    first = (await ada.post("/posts", {"body": "once"}, headers=key)).json()
    async with network.gateway.context.database.transaction() as tx:
        await tx.execute("DELETE FROM answered_requests")  # as if the process had died before it was kept
    again = await ada.post("/posts", {"body": "once"}, headers=key)
    assert again.json()["id"] == first["id"]
    assert len((await ada.get("/feeds/company")).json()["posts"]) == 1


async def test_the_same_key_at_the_same_moment(network: Network) -> None:
    ada = network.administrator
    answers = await asyncio.gather(*(ada.post("/posts", {"body": "once"}, headers={"idempotency-key": "race"}) for _ in range(4)))
    statuses = sorted(each.status_code for each in answers)
    assert statuses.count(201) >= 1
    assert set(statuses) <= {201, 409}
    assert len((await ada.get("/feeds/company")).json()["posts"]) == 1
    refused = [each for each in answers if each.status_code == 409]
    assert all(each.json()["code"] == "in_flight" and "retry-after" in each.headers for each in refused)


async def test_a_refusal_is_kept_and_a_failure_is_not(network: Network) -> None:
    ada = network.administrator
    key = {"idempotency-key": "refused"}
    refused = await ada.post("/posts", {"body": ""}, headers=key)
    assert refused.status_code == 400
    again = await ada.post("/posts", {"body": ""}, headers=key)
    assert again.json()["code"] == refused.json()["code"]
    async with network.gateway.context.database.snapshot() as tx:
        rows = await tx.fetch("SELECT status FROM answered_requests")
    assert all(row["status"] != 0 for row in rows), "nothing stays in flight"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"body": 7}', "body"),
        (b'{"body": "x", "bodi": "y"}', "bodi"),
        (b"{}", "body"),
        (b'{"body": "x", "audience": {"kind": "all"}}', "audience.kind"),
        (b'{"body": "x", "audience": {"kind": "community"}}', "audience.id"),
        (b'{"body": "x", "audience": {"kind": "people"}}', "audience.person_ids"),
        (b'{"body": "a\\u0000b"}', "body"),
        (b'{"body": "x", "parent_id": "1"}', "parent_id"),
        (b'{"body": "' + b"x" * 10_001 + b'"}', "body"),
        (b'{"body": "x", "attachments": [{"blob_id": "nothing"}]}', "attachments[0].blob_id"),
        (b'{"body": "\xff"}', ""),
        (b'{"body": "x"', ""),
        (b"null", ""),
        (b"", ""),
    ],
)
async def test_what_is_wrong_is_named(network: Network, body: bytes, field: str) -> None:
    answer = await network.administrator.client.post("/api/v1/posts", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json().get("field", "") == field, answer.text
    assert answer.json()["detail"]


async def test_queries_are_checked_too(network: Network) -> None:
    ada = network.administrator
    for query, field in {
        "page_size=0": "page_size",
        "page_size=201": "page_size",
        "page_size=many": "page_size",
        "pagesize=5": "pagesize",
        "page_size=1&page_size=2": "page_size",
        "page_token=nonsense": "page_token",
    }.items():
        answer = await ada.get(f"/feeds/home?{query}")
        assert answer.status_code == 400, query
        assert answer.json()["field"] == field, answer.text
    assert (await ada.get("/me?x=1")).status_code == 400
    assert (await ada.get("/posts/short")).status_code == 404
    assert (await ada.get("/posts/" + "x" * 3_000)).status_code == 404
    assert (await ada.get("/posts/01a2087f-3607-722b-bb09-fd61c059225b")).json()["code"] == "not_found"
    assert (await ada.post("/posts?x=1", {"body": "x"})).status_code == 400


async def test_bodies_have_a_limit_and_a_type(network: Network) -> None:
    ada = network.administrator
    large = b'{"body": "' + b"x" * network.gateway.context.settings.request_bytes_max + b'"}'
    answer = await ada.client.post("/api/v1/posts", content=large, headers={"content-type": "application/json"})
    assert answer.status_code == 413

    async def pieces() -> Any:
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    answer = await ada.client.post("/api/v1/posts", content=pieces(), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert (await ada.client.post("/api/v1/posts", content=b"body=x", headers={"content-type": "text/plain"})).status_code == 415


async def test_requests_are_counted_and_limited(tmp_path: Any) -> None:
    async with World.of(tmp_path, IDENTITY, FEED, SEARCH, GATEWAY, **QUICK, rate_reads_per_minute=20) as world:
        network = Network(world)
        await network.set_up()
        answers = [await network.administrator.get("/me")]
        while answers[-1].status_code == 200 and len(answers) < 100:  # a slow machine gets some more in the time it takes
            answers.append(await network.administrator.get("/me"))
        assert [each.status_code for each in answers[:20]] == [200] * 20
        assert answers[-1].status_code == 429
        assert answers[0].headers["ratelimit-policy"] == '"reads";q=20;w=60'
        assert answers[0].headers["ratelimit"].startswith('"reads";r=19;t=')
        refused = answers[-1]
        assert 1 <= int(refused.headers["retry-after"]) == refused.json()["retry_after_seconds"] <= 3
        assert refused.json()["code"] == "too_many_requests"
        browser = await network.browser(network.administrator)
        assert (await browser.get("/me")).status_code == 200, "another quota than the token's"


def test_a_bucket_refills() -> None:
    now = 0.0
    limit = ratelimit.Limit("test", 60, lambda: now)
    assert [limit.take("a").allowed for _ in range(61)] == [True] * 60 + [False]
    assert limit.take("b").remaining == 59
    now = 1.0
    assert limit.take("a").allowed
    decision = limit.take("a")
    assert not decision.allowed
    assert decision.reset_seconds == 1
    now = 3_600.0
    assert limit.take("a").remaining == 59


async def test_people_and_the_organisation(network: Network) -> None:
    ada = network.administrator
    bo = await network.person("Bo Berg")
    assert (await ada.put(f"/people/{bo.id}/manager", {"manager_id": ada.id})).json()["manager_id"] == ada.id
    circle = await ada.put(f"/people/{ada.id}/manager", {"manager_id": bo.id})
    assert circle.status_code == 409, circle.text
    chart = (await bo.get("/organization/chart", params={"person_id": bo.id})).json()
    assert [each["id"] for each in chart["managers"]] == [ada.id]
    assert (await bo.get("/people/lookup", params={"handle": "bo.berg"})).json()["id"] == bo.id
    assert (await bo.get("/people/lookup")).status_code == 400
    found = (await bo.get("/people", params={"query": "berg"})).json()
    assert [each["id"] for each in found["people"]] == [bo.id]
    assert found["total_size"] == 1
    assert (await bo.post("/people", {"name": "No", "email": "no@water.example"})).status_code == 403
    taken = await ada.post("/people", {"name": "Bo", "email": "bo.berg@water.example"})
    assert taken.status_code == 409
    assert taken.json()["code"] == "already_exists"
    assert taken.json()["field"] == "email"
    assert (await ada.patch("/organization", {"name": "Example Water"})).json()["name"] == "Example Water"
    assert (await network.anybody.get("/organization")).json()["name"] == "Example Water"
    assert (await ada.put(f"/people/{bo.id}/follow")).json()["following"]
    assert [each["id"] for each in (await bo.get(f"/people/{bo.id}/followers")).json()["people"]] == [ada.id]
    assert not (await ada.delete(f"/people/{bo.id}/follow")).json()["following"]


async def test_communities(network: Network) -> None:
    ada, bo = network.administrator, await network.person("Bo Berg")
    made = await ada.post("/communities", {"name": "Pumps", "kind": "closed", "description": "All about pumps"})
    assert made.status_code == 201, made.text
    community = made.json()
    path = f"/communities/{community['id']}"
    assert (await bo.post(f"{path}/join")).json()["join_requested"]
    asking = (await ada.get(f"{path}/join-requests")).json()["members"]
    assert [each["person"]["id"] for each in asking] == [bo.id]
    assert (await ada.post(f"{path}/join-requests/{bo.id}/approve")).json()["role"] == "member"
    hidden = {"body": "for members", "audience": {"kind": "community", "id": community["id"]}}
    post = (await bo.post("/posts", hidden)).json()
    assert post["audience"]["name"] == "Pumps"
    cy = await network.person("Cy Cole")
    assert (await cy.get(f"/posts/{post['id']}")).status_code == 404
    hidden_feed = await cy.get(f"/feeds/communities/{community['id']}")
    assert hidden_feed.status_code in (403, 404) or hidden_feed.json()["posts"] == []
    assert (await ada.patch(f"{path}/members/{bo.id}", {"role": "moderator"})).json()["role"] == "moderator"
    changed = await ada.patch(path, {"rules": "Be kind"}, headers={"if-match": made.headers["etag"]})
    assert changed.status_code == 200, changed.text
    assert (await ada.patch(path, {"rules": "Be quick"}, headers={"if-match": made.headers["etag"]})).status_code == 412
    assert (await ada.delete(f"{path}/members/{bo.id}")).status_code == 200
    assert (await bo.get(f"/posts/{post['id']}")).status_code == 404
    assert (await ada.post(f"{path}/archive")).json()["archived"]


async def test_notifications_and_search(network: Network) -> None:
    ada, bo = network.administrator, await network.person("Bo Berg")
    await ada.post("/posts", {"body": "Ask @bo.berg about turbines"})
    await network.world.settle()
    assert (await bo.get("/inbox/count")).json() == {"unread_count": 1}
    listed = (await bo.get("/inbox")).json()
    assert listed["notifications"][0]["kind"] == "mention"
    assert (await bo.post("/inbox/read", {"position": listed["notifications"][0]["position"]})).json() == {"unread_count": 0}
    found = (await bo.get("/find", params={"query": "turbine", "kind": "post"})).json()
    assert [each["kind"] for each in found["hits"]] == ["post"]
    assert [each["title"]["text"] for each in (await ada.get("/find/people", params={"query": "berk"})).json()["people"]] == ["Bo Berg"]
    assert (await ada.post("/find/clicks", {"id": found["hits"][0]["id"], "rank": 1})).status_code == 204


async def test_imports(network: Network) -> None:
    ada = network.administrator
    chunk = {
        "source": "hr",
        "dry_run": True,
        "records": [{"place": "line 2", "email": "dee@water.example", "name": "Dee Day"}, {"place": "line 3", "name": "No Address"}],
    }
    dry = await ada.post("/imports/people", chunk)
    assert dry.status_code == 200, dry.text
    assert [each["outcome"] for each in dry.json()["results"]] == ["added", "refused"]
    assert (await ada.get("/people/lookup", params={"email": "dee@water.example"})).status_code == 404
    assert (await ada.post("/imports/people", {**chunk, "dry_run": False})).json()["results"][0]["outcome"] == "added"
    assert (await ada.post("/imports/people", {**chunk, "dry_run": False})).json()["results"][0]["outcome"] == "unchanged"
    bo = await network.person("Bo Berg")
    assert (await bo.post("/imports/people", chunk)).status_code == 403


async def test_events_for_other_systems(network: Network) -> None:
    ada = network.administrator
    made = (await ada.post("/posts", {"body": "for the record"})).json()
    listed = (await ada.get("/events")).json()
    event = next(each for each in listed["events"] if each["type"] == "watercooler.feed.v1.PostPublished")
    assert event["specversion"] == "1.0"
    assert event["data"]["post_id"] == made["id"]
    assert event["traceparent"]
    assert listed["next_after"] == int(listed["events"][-1]["sequence"])
    assert (await ada.get("/events", params={"after": listed["next_after"]})).json() == {"events": [], "next_after": listed["next_after"]}
    people = (await ada.get("/events?service=identity")).json()["events"]
    assert any(each["type"].endswith("PasswordChanged") or each["type"].endswith("PersonAdded") for each in people)
    assert all("_hash" not in name for each in people for name in each["data"])
    bo = await network.person("Bo Berg")
    assert (await bo.get("/events")).status_code == 403


async def test_traces_reach_from_the_browser_to_the_event(network: Network) -> None:
    ada = network.administrator
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = await ada.post("/posts", {"body": "traced"}, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert answer.headers["x-request-id"] == trace
    assert answer.headers["traceresponse"].startswith(f"00-{trace}-")
    events = (await ada.get("/events")).json()["events"]
    assert next(each for each in events if each["type"].endswith("PostPublished"))["traceparent"].startswith(f"00-{trace}-")


async def test_probes_and_headers(network: Network) -> None:
    client = network.anybody.client
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    await network.world.settle()
    assert (await client.get("/readyz")).json() == {"status": "ready", "behind": {}}
    exposed = await client.get("/metrics")
    assert 'route="/healthz"' in exposed.text
    assert 'route="/api/v1/organization"' in exposed.text
    for path in ("/api/v1/me", "/nowhere", "/healthz"):
        headers = (await client.get(path)).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert (await client.head("/healthz")).content == b""
    allowed = await client.request("BREW", "/api/v1/me")
    assert allowed.status_code in (400, 403, 405)


async def test_not_ready_while_a_read_model_is_behind(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    subscription = next(iter(network.world.embedded.subscriptions.values()))
    head = await network.world.embedded.stores[subscription.log.name].head()
    monkeypatch.setattr(subscription, "position", head - 1)
    answer = await network.anybody.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["behind"]


async def test_the_document(network: Network) -> None:
    served = (await network.anybody.client.get("/api/openapi.json")).json()
    assert served["openapi"] == "3.1.0"
    assert served == document()
    assert served["components"]["schemas"]["PostInput"]["properties"]["body"]["maxLength"] == 10_000
    assert served["components"]["schemas"]["PostInput"]["additionalProperties"] is False
    names = [each.name for each in OPERATIONS]
    assert len(names) == len(set(names))
    for each in OPERATIONS:
        lists = each.answer is not None and any(name.endswith("next_page_token") for name in each.answer.__struct_fields__)
        if lists and each.name != "batch_get_posts":
            assert each.query is not None, each.name
            assert {"page_size", "page_token"} <= set(each.query.__struct_fields__), each.name


def test_the_paths_of_mastodon_stay_free() -> None:
    taken = {
        "accounts",
        "statuses",
        "timelines",
        "notifications",
        "instance",
        "apps",
        "media",
        "streaming",
        "lists",
        "bookmarks",
        "favourites",
        "search",
        "tags",
        "followed_tags",
        "trends",
        "polls",
        "conversations",
        "markers",
        "filters",
        "reports",
        "suggestions",
        "directory",
        "admin",
        "preferences",
        "profile",
        "push",
        "mutes",
        "blocks",
        "domain_blocks",
        "endorsements",
        "featured_tags",
        "follow_requests",
        "scheduled_statuses",
        "announcements",
        "custom_emojis",
        "emails",
    }
    assert not {each.path.split("/")[3] for each in OPERATIONS} & taken
