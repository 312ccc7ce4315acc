"""OAuth 2.0 as apps meet it: registration however it comes, consent, codes that work once for whom they were made, tokens and their end."""
from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from libs.testing.world import World
from services.feed.service import SERVICE as FEED
from services.gateway.oauth.scopes import SCOPES
from services.gateway.service import SERVICE as GATEWAY
from services.identity import oauth
from services.identity.service import SERVICE as IDENTITY
from services.search.service import SERVICE as SEARCH
from tests.gateway.conftest import PASSWORD, QUICK, Network, Person

OOB = "urn:ietf:wg:oauth:2.0:oob"
BACK = "https://client.example/back?kept=1"
ALL = "read write follow push"


@pytest.fixture
async def open_network(tmp_path: Path) -> AsyncIterator[Network]:
    """A network where apps may take passwords."""
    async with World.of(tmp_path, IDENTITY, FEED, SEARCH, GATEWAY, oauth_password_grant=True, **QUICK) as world:
        found = Network(world)
        await found.set_up()
        yield found


async def register(network: Network, **changes: Any) -> dict[str, Any]:
    values = {"client_name": "Toucan", "redirect_uris": f"{BACK}\n{OOB}\ntoucan://oauth", "scopes": ALL, "website": "https://toucan.example"}
    answer = await network.anybody.client.post("/api/v1/apps", data=values | changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def consent(browser: Person, app: dict[str, Any], decision: str = "allow", **changes: str) -> httpx.Response:
    """Open the app's question and answer it as a browser does."""
    query = {"client_id": app["client_id"], "redirect_uri": BACK, "response_type": "code", "scope": ALL, "state": "s t&=1"} | changes
    page = await browser.client.get("/oauth/authorize/", params=query)
    assert page.status_code == 200, page.text
    form = page.text[page.text.index('action="/oauth/authorize"'):].split("</form>")[0]
    hidden = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form))
    sent = {name: value.replace("&amp;", "&").replace("&#39;", "'").replace("&#34;", '"') for name, value in hidden.items()}
    return await browser.client.post("/oauth/authorize", data=sent | {"decision": decision})


def code_of(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


async def redeem(network: Network, app: dict[str, Any], code: str, **changes: Any) -> httpx.Response:
    return await network.anybody.client.post("/oauth/token", data={
        "grant_type": "authorization_code", "code": code, "client_id": app["client_id"], "client_secret": app["client_secret"],
        "redirect_uri": BACK,
    } | changes)


async def test_an_app_registers_by_form_json_and_query_and_with_no_type_at_all(network: Network) -> None:
    client = network.anybody.client
    values = {"client_name": "Toucan", "redirect_uris": OOB, "scopes": "read write:media"}
    answers = [
        await client.post("/api/v1/apps", data=values),
        await client.post("/api/v1/apps", json=values | {"redirect_uris": [OOB]}),
        await client.post("/api/v1/apps", params=values),
        await client.post("/api/v1/apps", content=httpx.QueryParams(values).__str__().encode()),
        await client.post("/api/v1/apps/", files={name: (None, value) for name, value in values.items()}),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["name"] == "Toucan" and told["redirect_uris"] == [OOB] and told["redirect_uri"] == OOB and told["website"] is None
        assert told["scopes"] == ["read", "write:media"] and told["client_secret_expires_at"] == 0 and "vapid_key" in told
        assert told["id"] == told["client_id"] and len(told["client_secret"]) > 40
        assert answer.headers["access-control-allow-origin"] == "*" and answer.headers["cache-control"] == "no-store"
    assert len({answer.json()["client_id"] for answer in answers}) == len(answers)


@pytest.mark.parametrize("changes", [
    {"client_name": ""}, {"client_name": "x" * 201}, {"redirect_uris": ""}, {"redirect_uris": "javascript:alert(1)"},
    {"redirect_uris": "data:text/html,x"}, {"redirect_uris": "/relative"}, {"redirect_uris": "https://a.example/#part"},
    {"redirect_uris": "https://user:pw@a.example/"}, {"redirect_uris": "https:///nohost"}, {"redirect_uris": "file:///etc"},
    {"scopes": "read everything"}, {"website": "javascript:alert(1)"}, {"redirect_uris": "https://a.example/\\@b.example"},
])
async def test_what_an_app_may_not_be_is_told(network: Network, changes: dict[str, str]) -> None:
    values = {"client_name": "Toucan", "redirect_uris": OOB, "scopes": "read"}
    answer = await network.anybody.client.post("/api/v1/apps", data=values | changes)
    assert answer.status_code == 422 and answer.json()["error"] == answer.json()["error_description"] != ""


async def test_from_question_to_token_and_its_end(network: Network) -> None:
    app, ann = await register(network), await network.person("Ann Bell")
    browser = await network.browser(ann)
    verifier = "v" * 64
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    answer = await consent(browser, app, code_challenge=challenge, code_challenge_method="S256")
    assert answer.headers["location"].startswith("https://client.example/back?kept=1&code=")
    assert parse_qs(urlsplit(answer.headers["location"]).query)["state"] == ["s t&=1"]
    got = await redeem(network, app, code_of(answer), code_verifier=verifier)
    assert got.status_code == 200, got.text
    told = got.json()
    assert told["token_type"] == "Bearer" and told["scope"] == ALL and isinstance(told["created_at"], int)
    assert got.headers["cache-control"] == "no-store" and got.headers["access-control-allow-origin"] == "*"
    phone = Person(network, ann.id, ann.email, told["access_token"])
    assert (await phone.get("/me")).json()["person"]["id"] == ann.id
    assert (await phone.post("/posts", {"body": "From my phone"})).status_code == 201
    seen = (await phone.client.get("/api/v1/apps/verify_credentials")).json()
    assert seen["name"] == "Toucan" and seen["id"] == app["client_id"] and "client_secret" not in seen
    who = (await phone.client.get("/oauth/userinfo")).json()
    assert who["name"] == "Ann Bell" and who["sub"].endswith(ann.id)
    listed = await browser.client.get("/settings/apps")
    assert "Toucan" in listed.text and "last used" in listed.text
    revoke = {"client_id": app["client_id"], "client_secret": app["client_secret"], "token": told["access_token"]}
    assert (await network.anybody.client.post("/oauth/revoke", data=revoke)).json() == {}
    assert (await phone.get("/me")).status_code == 401
    assert (await network.anybody.client.post("/oauth/revoke", data=revoke)).status_code == 200
    assert "Toucan" not in (await browser.client.get("/settings/apps")).text


async def test_a_code_works_once_and_its_second_use_ends_the_token(network: Network) -> None:
    app, ann = await register(network), await network.person("Ann Bell")
    code = code_of(await consent(await network.browser(ann), app))
    first = await redeem(network, app, code)
    phone = Person(network, ann.id, ann.email, first.json()["access_token"])
    assert (await phone.get("/me")).status_code == 200
    second = await redeem(network, app, code)
    assert second.status_code == 400 and second.json()["error"] == "invalid_grant"
    await network.world.settle()
    assert (await phone.get("/me")).status_code == 401
    assert (await redeem(network, app, code)).json()["error"] == "invalid_grant"


async def test_codes_are_for_one_app_one_address_one_verifier_and_ten_minutes(network: Network) -> None:
    app, other, ann = await register(network), await register(network, client_name="Other"), await network.person("Ann Bell")
    browser = await network.browser(ann)
    verifier = "w" * 50
    code = code_of(await consent(browser, app, code_challenge=verifier))
    for changes in (
        {"client_id": other["client_id"], "client_secret": other["client_secret"], "code_verifier": verifier},
        {"redirect_uri": OOB, "code_verifier": verifier}, {"redirect_uri": "https://client.example/back", "code_verifier": verifier},
        {"code_verifier": "x" * 50}, {}, {"code_verifier": "short"},
    ):
        answer = await redeem(network, app, code, **changes)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), changes
    for changes in ({"client_secret": "wrong"}, {"client_id": "nobody"}, {"client_id": ""}, {"client_secret": other["client_secret"]}):
        answer = await redeem(network, app, code, code_verifier=verifier, **changes)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), changes
    for wrong in ("", "nonsense", "0" * 32 + "x" * 40, code[:-1], code[:32] + "A" * 43):
        answer = await redeem(network, app, wrong, code_verifier=verifier)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), wrong
    assert (await redeem(network, app, code, code_verifier=verifier)).status_code == 200
    unproved = code_of(await consent(browser, app))
    assert (await redeem(network, app, unproved, code_verifier=verifier)).json()["error"] == "invalid_grant"


async def test_questions_that_cannot_be_answered_lead_nowhere(network: Network) -> None:
    app, ann = await register(network), await network.person("Ann Bell")
    browser = await network.browser(ann)
    good = {"client_id": app["client_id"], "redirect_uri": BACK, "response_type": "code", "scope": "read", "state": "x"}
    for changes in (
        {"client_id": "nobody"}, {"redirect_uri": "https://client.example/back"}, {"redirect_uri": BACK + "&more=1"}, {"redirect_uri": ""},
        {"redirect_uri": "https://evil.example/"}, {"redirect_uri": BACK.replace("client", "CLIENT")}, {"state": "s" * 2_001},
    ):
        page = await browser.client.get("/oauth/authorize", params=good | changes)
        assert page.status_code == 400 and "location" not in page.headers, changes
    for changes, error in (
        ({"scope": "read admin"}, "invalid_scope"), ({"scope": "read nonsense"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"), ({"code_challenge": "short"}, "invalid_request"),
    ):
        answer = await browser.client.get("/oauth/authorize", params=good | changes)
        told = parse_qs(urlsplit(answer.headers["location"]).query)
        assert answer.headers["location"].startswith("https://client.example/back?kept=1&") and told["error"] == [error], changes
        assert told["state"] == ["x"]
    denied = await consent(browser, app, "deny")
    assert parse_qs(urlsplit(denied.headers["location"]).query)["error"] == ["access_denied"]
    away = await network.anybody.client.get("/oauth/authorize", params=good)
    assert away.status_code == 303 and away.headers["location"].startswith("/sign-in?next=/oauth/authorize%3F")


async def test_consent_is_guarded_and_its_page_may_lead_to_the_app_only(network: Network) -> None:
    app, ann = await register(network), await network.person("Ann Bell")
    browser = await network.browser(ann)
    query = {"client_id": app["client_id"], "redirect_uri": BACK, "response_type": "code", "scope": "read"}
    for target, source in ((BACK, "https://client.example"), ("toucan://oauth", "toucan:"), (OOB, "")):
        page = await browser.client.get("/oauth/authorize", params=query | {"redirect_uri": target})
        policy = page.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy and f"form-action 'self'{' ' if source else ''}{source};" in policy
        assert page.headers["cache-control"] == "no-store"
    forged = await browser.client.post("/oauth/authorize", data=query | {"decision": "allow"}, headers={"x-csrf-token": "forged"})
    assert forged.status_code == 403
    crossed = await browser.client.post("/oauth/authorize", data=query | {"decision": "allow"}, headers={"sec-fetch-site": "cross-site"})
    assert crossed.status_code == 403
    moved = await consent(browser, app, redirect_uri="toucan://oauth")
    assert moved.headers["location"].startswith("toucan://oauth?code=")
    shown = await consent(browser, app, redirect_uri=OOB)
    code = re.search(r'id="oauth-code"[^>]* value="([^"]+)"', shown.text)
    assert code is not None and (await redeem(network, app, code[1], redirect_uri=OOB)).status_code == 200
    token = Person(network, ann.id, ann.email, ann.token)
    assert (await token.client.get("/oauth/authorize", params=query)).status_code == 403
    german = await browser.client.get("/oauth/authorize", params=query | {"lang": "de"})
    assert 'lang="de"' in german.text


async def test_who_must_sign_in_again_comes_back_to_the_question(network: Network) -> None:
    app, ann = await register(network), await network.person("Ann Bell")
    browser = await network.browser(ann)
    query = {"client_id": app["client_id"], "redirect_uri": BACK, "response_type": "code", "scope": "read", "force_login": "true"}
    assert 'value="allow"' in (await browser.client.get("/oauth/authorize", params=query)).text  # signed in a moment ago
    sent = {"client_id": app["client_id"], "redirect_uri": BACK, "response_type": "code", "scope": "read"}
    answer = await browser.client.post("/oauth/sign-in-again", data=sent)
    assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?next=/oauth/authorize%3Fclient_id")
    assert (await browser.get("/me")).status_code == 401


async def test_scopes_hold_what_they_say(network: Network) -> None:
    app, ann = await register(network, scopes="read:statuses write:media profile"), await network.person("Ann Bell")
    browser = await network.browser(ann)
    code = code_of(await consent(browser, app, scope="read:statuses profile"))
    told = (await redeem(network, app, code)).json()
    assert told["scope"] == "read:statuses profile"
    phone = Person(network, ann.id, ann.email, told["access_token"])
    found, _ = await network.gateway.accounts.of_bearer(told["access_token"])
    assert found is not None and found.scopes == {"read:statuses", "profile"} and found.app_id == app["client_id"]
    assert (await phone.client.get("/oauth/userinfo")).status_code == 200
    for path in ("/people", "/feeds/home", "/inbox", "/posts?ids=x", "/drafts"):  # our own interface wants the whole of read
        assert (await phone.get(path)).status_code == 403, path
    assert (await phone.client.get("/live/register")).status_code == 403
    assert (await phone.client.get("/api/v1/apps/verify_credentials")).json()["name"] == "Toucan"
    assert (await phone.post("/posts", {"body": "no"})).status_code == 403
    wider = await register(network, scopes="read")
    assert code_of(await consent(browser, wider, scope="read:statuses"))


async def test_an_app_acts_for_itself_by_form_json_query_and_basic(network: Network) -> None:
    app = await register(network)
    client = network.anybody.client
    values = {"grant_type": "client_credentials", "scope": "read"}
    named = {"client_id": app["client_id"], "client_secret": app["client_secret"]}
    basic = base64.b64encode(f"{app['client_id']}:{app['client_secret']}".encode()).decode()
    for answer in (
        await client.post("/oauth/token", data=values | named),
        await client.post("/oauth/token", json=values | named),
        await client.post("/oauth/token/", params=values | named),
        await client.post("/oauth/token", data=values, headers={"authorization": f"Basic {basic}"}),
    ):
        assert answer.status_code == 200, answer.text
        itself = Person(network, "", "", answer.json()["access_token"])
        assert (await itself.client.get("/api/v1/apps/verify_credentials")).json()["name"] == "Toucan"
        assert (await itself.get("/me")).status_code == 401
        assert (await itself.post("/posts", {"body": "no"})).status_code == 401
    wrong = await client.post("/oauth/token", data=values, headers={"authorization": "Basic !!!"})
    assert wrong.status_code == 401 and wrong.headers["www-authenticate"].startswith("Basic")
    for changes, error in (
        ({"grant_type": ""}, "invalid_request"), ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"scope": "admin"}, "invalid_scope"), ({"grant_type": "password"}, "unauthorized_client"),
    ):
        refusal = await client.post("/oauth/token", data=values | named | changes)
        assert refusal.status_code == 400 and refusal.json()["error"] == error and refusal.json()["error_description"]
    assert (await client.get("/oauth/token")).status_code == 405


async def test_passwords_are_taken_only_where_the_administrator_allows_it(open_network: Network) -> None:
    app = await register(open_network)
    ann = await open_network.person("Ann Bell")
    values = {
        "grant_type": "password", "client_id": app["client_id"], "client_secret": app["client_secret"], "username": ann.email,
        "password": PASSWORD, "scope": ALL,
    }
    answer = await open_network.anybody.client.post("/oauth/token", data=values)
    assert answer.status_code == 200 and answer.json()["scope"] == ALL
    phone = Person(open_network, ann.id, ann.email, answer.json()["access_token"])
    assert (await phone.get("/me")).json()["person"]["id"] == ann.id
    wrong = await open_network.anybody.client.post("/oauth/token", data=values | {"password": "wrong"})
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    stranger = await open_network.anybody.client.post("/oauth/token", data=values | {"client_secret": "wrong"})
    assert (stranger.status_code, stranger.json()["error"]) == (401, "invalid_client")
    assert "password" in (await open_network.anybody.client.get("/.well-known/oauth-authorization-server")).json()["grant_types_supported"]
    left = await open_network.administrator.post(f"/people/{ann.id}/offboard")
    assert left.status_code == 200, left.text
    await open_network.world.settle()
    assert (await phone.get("/me")).status_code == 401
    assert (await open_network.anybody.client.post("/oauth/token", data=values)).json()["error"] == "invalid_grant"


async def test_a_page_of_another_site_may_ask_with_a_token_and_never_with_cookies(network: Network) -> None:
    client = network.anybody.client
    asks = {"origin": "https://elk.example", "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    for path in ("/api/v1/apps", "/oauth/token", "/oauth/revoke", "/api/v1/posts", "/.well-known/oauth-authorization-server"):
        answer = await client.options(path, headers=asks)
        assert answer.status_code == 204 and answer.headers["access-control-allow-origin"] == "*"
        assert "Authorization" in answer.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in answer.headers
    ann = await network.person("Ann Bell")
    there = await ann.post("/posts", {"body": "From Elk"}, headers={"origin": "https://elk.example", "sec-fetch-site": "cross-site"})
    assert there.status_code == 201 and "Link" in there.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in (await client.get("/sign-in")).headers
    assert "access-control-allow-origin" not in (await client.options("/oauth/authorize", headers=asks)).headers


async def test_what_is_where_is_told(network: Network) -> None:
    client = network.anybody.client
    told = (await client.get("/.well-known/oauth-authorization-server")).json()
    assert told["token_endpoint"].endswith("/oauth/token") and told["grant_types_supported"] == ["authorization_code", "client_credentials"]
    assert told["code_challenge_methods_supported"] == ["S256", "plain"] and told["issuer"] == "http://water.example/"
    assert tuple(told["scopes_supported"]) == SCOPES and set(SCOPES) == set(oauth.SCOPES)
    links = (await client.get("/.well-known/nodeinfo")).json()["links"]
    assert (await client.get(urlsplit(links[0]["href"]).path)).json()["software"]["name"] == "watercooler"
