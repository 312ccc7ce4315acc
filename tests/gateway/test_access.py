"""Who may ask, by cookie or access token, and what ends it."""
from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from libs.testing.world import World
from services.gateway.edge import _address
from services.gateway.sessions import Sessions
from watercooler.identity.v1 import identity_service_pb2 as identity

from .conftest import BASE, FEED, GATEWAY, IDENTITY, PASSWORD, QUICK, SEARCH, Network, Person


async def test_me_by_token_and_by_cookie(network: Network) -> None:
    by_token = await network.administrator.get("/me")
    assert by_token.status_code == 200
    assert by_token.json()["person"]["display_name"] == "Ada Admin"
    assert by_token.json()["is_administrator"]
    assert by_token.json()["session_id"] is None

    browser = await network.browser(network.administrator)
    by_cookie = (await browser.get("/me")).json()
    assert by_cookie["person"]["id"] == network.administrator.id
    assert by_cookie["session_id"]


async def test_nobody_is_told_to_sign_in(network: Network) -> None:
    answer = await network.anybody.get("/me")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthenticated"
    assert answer.json()["trace_id"] == answer.headers["x-request-id"]


async def test_a_token_that_is_none_is_refused(network: Network) -> None:
    for secret in ("wct_", "wct_" + "a" * 40, "x" * 5_000, "wct_é"):
        answer = await network.anybody.get("/me", headers={"authorization": f"Bearer {secret}".encode()})
        assert answer.status_code == 401, secret
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert (await network.anybody.get("/me", headers={"authorization": "Basic YTpi"})).status_code == 401


async def test_guessing_tokens_is_slowed_down(network: Network) -> None:
    most = network.gateway.context.settings.rate_sign_ins_per_minute
    answers = [await network.anybody.get("/me", headers={"authorization": f"Bearer wct_{'g' * 30}{n}"}) for n in range(most + 1)]
    assert [each.status_code for each in answers] == [401] * most + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_scopes_bound_a_token(network: Network) -> None:
    reader = await network.person("Rita Reader", scopes=("read",))
    assert (await reader.get("/feeds/home")).status_code == 200
    refused = await reader.post("/posts", {"body": "no"})
    assert refused.status_code == 403
    assert refused.json()["code"] == "insufficient_scope"

    writer = await network.person("Will Writer", scopes=("write",))
    assert (await writer.post("/posts", {"body": "yes"})).status_code == 201
    assert (await writer.get("/feeds/home")).status_code == 403


async def test_a_token_makes_no_token_that_may_do_more(network: Network) -> None:
    writer = await network.person("Will Writer")
    refused = await writer.post("/access-tokens", {"name": "more", "scopes": ["read", "admin"]})
    assert refused.status_code == 403
    assert refused.json()["field"] == "scopes"


async def test_a_revoked_token_stops_at_once(network: Network) -> None:
    person = await network.person("Rita Reader")
    assert (await person.get("/me")).status_code == 200
    mine = (await person.get("/access-tokens")).json()["tokens"]
    assert (await person.delete(f"/access-tokens/{mine[0]['id']}")).status_code == 200
    assert (await person.get("/me")).status_code == 401


async def test_roles_take_effect_at_once(network: Network) -> None:
    person = await network.person("Rolf Rise")
    assert (await person.get("/events")).status_code == 403
    granted = await network.administrator.put(f"/people/{person.id}/roles/administrator")
    assert granted.status_code == 200, granted.text
    await network.world.settle()
    browser = await network.browser(person)
    assert (await browser.get("/events")).status_code == 200
    assert (await network.administrator.delete(f"/people/{person.id}/roles/administrator")).status_code == 200
    await network.world.settle()
    assert (await browser.get("/events")).status_code == 403


async def test_a_leaver_is_signed_out_everywhere_even_by_another_process(network: Network) -> None:
    person = await network.person("Lea Leaver")
    browser = await network.browser(person)
    assert (await browser.get("/me")).status_code == 200
    # Not through the API: as an import by the command line would do it.
    with network.world.acting_as(network.administrator.id, roles=("administrator",)):
        await network.gateway.clients.identity.OffboardPerson(identity.OffboardPersonRequest(person_id=person.id))
    await network.world.settle()
    assert (await browser.get("/me")).status_code == 401
    assert (await person.get("/me")).status_code == 401
    with network.world.acting_as(network.administrator.id, roles=("administrator",)):
        await network.gateway.clients.identity.ReinstatePerson(identity.ReinstatePersonRequest(person_id=person.id))
    await network.world.settle()
    assert (await browser.get("/me")).status_code == 401, "the old session does not come back"


async def test_sessions_are_listed_and_ended(network: Network) -> None:
    person = await network.person("Sina Session")
    first = await network.browser(person)
    second = await network.browser(person)
    listed = (await first.get("/sessions")).json()["sessions"]
    assert len(listed) == 2
    assert [each["is_current"] for each in listed] == [False, True]
    assert listed[0]["address"] == "192.0.2.7"

    page = (await first.get("/sessions?page_size=1")).json()
    rest = (await first.get("/sessions", params={"page_size": 1, "page_token": page["next_page_token"]})).json()
    assert [page["sessions"][0]["id"], rest["sessions"][0]["id"]] == [each["id"] for each in listed]
    assert rest["next_page_token"] == ""

    other = await network.person("Otto Other")
    assert (await other.delete(f"/sessions/{listed[0]['id']}")).status_code == 404
    assert (await other.get("/sessions", params={"person_id": person.id})).status_code == 403
    assert (await first.delete(f"/sessions/{listed[0]['id']}")).status_code == 204
    assert (await second.get("/me")).status_code == 401
    assert (await first.delete("/sessions/current")).status_code == 204
    assert (await first.get("/me")).status_code == 401


async def test_only_the_hash_of_a_session_is_stored(network: Network) -> None:
    browser = await network.browser(network.administrator)
    secret = browser.client.cookies["watercooler_session"]
    assert len(secret) == 43
    async with network.gateway.context.database.snapshot() as tx:
        rows = await tx.fetch("SELECT * FROM sessions")
    assert all(secret not in [str(value) for value in tuple(row)] for row in rows)


async def test_a_session_slides_and_expires(network: Network) -> None:
    sessions, settings = network.gateway.sessions, network.gateway.context.settings
    begin = network.gateway.context.now()
    session, secret = await sessions.begin(network.administrator.id, "test", "::1", begin)
    later = begin + settings.session_lifetime * 0.9
    found = await sessions.find(secret, later)
    assert found is not None and found.session_id == session.session_id
    assert await sessions.find(secret, begin + settings.session_lifetime * 1.5) is not None, "used at 0.9, so alive until 1.9"
    assert await sessions.find(secret, later + settings.session_lifetime * 1.7) is None
    assert await sessions.tidy(later + settings.session_lifetime * 1.7, begin) > 0


async def test_the_cookie_over_https_is_bound_to_the_host(network: Network) -> None:
    secure = Sessions(network.gateway.context.database, replace(network.gateway.context.settings, public_url="https://water.example"))
    assert secure.cookie.startswith("__Host-")
    assert secure.secure
    answer = await network.anybody.post("/sessions", {"email": "ada@water.example", "password": PASSWORD})
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("watercooler_session"))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie


async def test_writes_by_cookie_need_the_csrf_token(network: Network) -> None:
    browser = await network.browser(network.administrator)
    token = browser.client.headers.pop("x-csrf-token")
    assert (await browser.post("/posts", {"body": "no token"})).json()["code"] == "csrf"
    other = await network.browser(network.administrator)
    foreign = other.client.headers["x-csrf-token"]
    assert (await browser.post("/posts", {"body": "another session's"}, headers={"x-csrf-token": foreign})).status_code == 403
    assert (await browser.post("/posts", {"body": "mine"}, headers={"x-csrf-token": token})).status_code == 201
    crossed = await browser.post("/posts", {"body": "elsewhere"}, headers={"x-csrf-token": token, "origin": "https://evil.example"})
    assert crossed.json()["code"] == "cross_site"
    crossed = await browser.post("/posts", {"body": "elsewhere"}, headers={"x-csrf-token": token, "sec-fetch-site": "cross-site"})
    assert crossed.status_code == 403
    same = await browser.post("/posts", {"body": "here"}, headers={"x-csrf-token": token, "origin": BASE, "sec-fetch-site": "same-origin"})
    assert same.status_code == 201


async def test_changing_the_password_ends_the_other_sessions(network: Network) -> None:
    person = await network.person("Pia Password")
    kept, ended = await network.browser(person), await network.browser(person)
    new = "nine loud cranes under Narva"
    answer = await kept.put("/me/password", {"current_password": PASSWORD, "new_password": new})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"ended_count": 1}
    assert (await kept.get("/me")).status_code == 200
    assert (await ended.get("/me")).status_code == 401


async def test_invitation_from_link_to_session(network: Network) -> None:
    made = (await network.administrator.post("/people", {"name": "Nia New", "email": "nia@water.example"})).json()
    link = await network.administrator.post(f"/people/{made['id']}/invitation", headers={"idempotency-key": "invite-nia"})
    assert link.status_code == 201, link.text
    assert link.json()["url"].endswith("/invitation/" + link.json()["secret"])
    again = await network.administrator.post(f"/people/{made['id']}/invitation", headers={"idempotency-key": "invite-nia"})
    assert again.json()["code"] == "answer_not_kept"

    newcomer = Person(network, made["id"], "nia@water.example")
    assert (await newcomer.post("/invitations/check", {"secret": link.json()["secret"]})).json()["display_name"] == "Nia New"
    accepted = await newcomer.post("/invitations/accept", {"secret": link.json()["secret"], "password": PASSWORD})
    assert accepted.status_code == 200, accepted.text
    assert (await newcomer.get("/me")).json()["person"]["id"] == made["id"]
    await network.world.assert_rebuilds()


async def test_an_invitation_says_whether_it_goes_by_mail_and_shows_the_link_all_the_same(tmp_path: Path) -> None:
    fields = {"name": "Nia New", "email": "nia@water.example", "role": "employee"}
    for folder, smtp_url in (("without", ""), ("with", "smtp://127.0.0.1:1")):
        async with World.of(tmp_path / folder, IDENTITY, FEED, SEARCH, GATEWAY, **QUICK, smtp_url=smtp_url, public_url=BASE) as world:
            network = Network(world)
            await network.set_up()
            ada = await network.browser(network.administrator)
            sent = {"csrf_token": ada.client.headers["x-csrf-token"], **fields}
            page = await ada.client.post("/admin/invite", data=sent)
            assert page.status_code == 200, page.text
            assert f"{BASE}/invitation/" in page.text
            assert ("by mail" in page.text) is ("nia@water.example" in page.text) is bool(smtp_url)
            german = await ada.client.post(
                "/admin/invite", data={**sent, "email": "nils@water.example"}, headers={"accept-language": "de"}
            )
            assert ("per E-Mail an nils@water.example" in german.text) is bool(smtp_url)
            person_id = (await ada.get("/people", params={"query": "Nia", "all_states": "true"})).json()["people"][0]["id"]
            link = (await network.administrator.post(f"/people/{person_id}/invitation")).json()
            assert link["mailed"] is bool(smtp_url)
            assert link["url"].endswith("/invitation/" + link["secret"])


async def test_wrong_passwords_are_refused_alike(network: Network) -> None:
    known = await network.anybody.post("/sessions", {"email": "ada@water.example", "password": "not this one"})
    unknown = await network.anybody.post("/sessions", {"email": "nobody@water.example", "password": "not this one"})
    assert known.status_code == unknown.status_code == 401
    assert known.json()["detail"] == unknown.json()["detail"]
    for _ in range(network.gateway.context.settings.rate_sign_ins_per_minute):
        last = await network.anybody.post("/sessions", {"email": "ada@water.example", "password": "not this one"})
    assert last.status_code == 429
    assert "retry-after" in last.headers


@pytest.mark.parametrize(("client", "forwarded", "address"), [
    ("192.0.2.7", "203.0.113.9", "192.0.2.7"),  # anybody may write the header
    ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
    ("127.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
    ("10.1.2.3", "198.51.100.1, 203.0.113.9, 10.9.9.9", "203.0.113.9"),
    ("::ffff:10.1.2.3", "203.0.113.9", "203.0.113.9"),
    ("10.1.2.3", "10.9.9.9", "10.9.9.9"),
    ("10.1.2.3", " , ", "10.1.2.3"),
    ("10.1.2.3", "unknown", "unknown"),
    ("10.1.2.3", None, "10.1.2.3"),
])
def test_proxies_of_ours_say_where_a_request_comes_from(client: str, forwarded: str | None, address: str) -> None:
    proxies = [ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")]
    headers = {b"x-forwarded-for": forwarded.encode()} if forwarded is not None else {}
    assert _address({"client": (client, 4711)}, headers, proxies) == address
