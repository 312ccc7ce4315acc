"""What browsers, other sites and hand-made requests may try: forgery, redirects, headers, paths, methods and bodies."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from litestar.handlers import HTTPRouteHandler

from libs.testing.world import shared_data
from libs.text.ids import new_id
from services.gateway import edge, pages
from services.gateway.api.operations import OPERATIONS
from services.gateway.app import ONE_CLICK
from tests.gateway.conftest import BASE
from tests.security.conftest import PASSWORD, Network, Person, started
from tests.security.test_erasure import png

pytestmark = pytest.mark.asyncio(loop_scope="module")

# The one that mail programs send has its own signed token in its address (RFC 8058), and no session.
FORMS = sorted(
    path
    for handler in pages.route_handlers
    if isinstance(handler, HTTPRouteHandler) and "POST" in handler.http_methods
    for path in handler.paths
    if path != ONE_CLICK
)


def address(path: str) -> str:
    return re.sub(r"\{\w+:str\}", new_id(), path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Network]:
    """One network for all tests here."""
    async with started(tmp_path_factory.mktemp("web")) as found:
        yield found


async def test_every_form_needs_the_token_of_its_session(network: Network) -> None:
    assert len(FORMS) >= 30
    browser, other = await network.browser(network.administrator), await network.browser(network.administrator)
    browser.client.headers.pop("x-csrf-token")
    foreign = other.client.headers["x-csrf-token"]
    for path in FORMS:
        for sent in ({}, {"csrf_token": ""}, {"csrf_token": "x" * 43}, {"csrf_token": foreign}):
            answer = await browser.client.post(address(path), data={**sent, "body": "forged", "person_id": network.administrator.id})
            assert answer.status_code == 403, (path, sent, answer.status_code)
    posts = await network.administrator.get(f"/feeds/people/{network.administrator.id}")
    assert "forged" not in posts.text
    assert (await browser.get("/me")).status_code == 200, "nor was anybody signed out"


async def test_every_write_of_the_api_by_cookie_needs_the_token(network: Network) -> None:
    browser = await network.browser(network.administrator)
    token = browser.client.headers.pop("x-csrf-token")
    writes = [each for each in OPERATIONS if each.method != "GET"]
    assert len(writes) >= 35
    for each in writes:
        path = re.sub(r"\{\w+\}", new_id(), each.path)
        answer = await browser.client.request(each.method, path, json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf"), each.path
        for headers in (
            {"origin": "https://evil.example"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": "null"},
        ):
            answer = await browser.client.request(each.method, path, json={}, headers={**headers, "x-csrf-token": token})
            assert answer.status_code == 403, (each.path, headers)
            if each.public:
                answer = await network.anybody.client.request(each.method, path, json={}, headers=headers)
                assert answer.status_code == 403, (each.path, headers)
    assert (await browser.get("/me")).status_code == 200


async def test_other_methods_and_overrides_change_nothing(network: Network) -> None:
    admin = network.administrator
    post = (await admin.post("/posts", {"body": "stays"})).json()["id"]
    for method in ("TRACE", "TRACK", "CONNECT", "PROPFIND", "BREW", "OPTIONS", "HEAD"):
        answer = await admin.client.request(method, f"/api/v1/posts/{post}", headers={"x-secret": "echoed?"})
        assert answer.status_code in (200, 204, 405), (method, answer.status_code)
        assert "echoed?" not in answer.text
        if method == "HEAD":
            assert answer.content == b"" and answer.status_code == 200
        elif method != "OPTIONS":
            assert answer.status_code == 405, method
    for headers in ({"x-http-method-override": "DELETE"}, {"x-method-override": "DELETE"}):
        await admin.client.get(f"/api/v1/posts/{post}?_method=DELETE", headers=headers)
        await admin.client.post(f"/api/v1/posts/{post}?_method=DELETE", headers=headers)
    assert (await admin.get(f"/posts/{post}")).json()["body"] == "stays"


async def test_every_answer_carries_the_security_headers(network: Network) -> None:
    browser = await network.browser(network.administrator)
    picture = (
        await network.administrator.client.post("/api/v1/uploads", content=png((1, 2, 3)), headers={"content-type": "image/png"})
    ).json()
    for path, status in (
        ("/", 200),
        ("/no/such/page", 404),
        ("/sign-in", 303),
        ("/api/v1/me", 200),
        ("/api/v1/nothing", 404),
        ("/healthz", 200),
        ("/assets/none.js", 404),
        (picture["url"], 200),
        ("/media/none", 404),
        ("/live/register", 200),
        ("/admin/people", 200),
        ("/api/openapi.json", 200),
        ("/api/asyncapi.json", 200),
        ("/metrics", 200),
    ):
        answer = await browser.client.get(path)
        assert answer.status_code in (status, 503), path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["x-frame-options"] == "DENY", path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe-inline' 'self'" not in policy and "script-src *" not in policy, path
        if not path.startswith("/media"):
            assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy, path
        assert "public" not in answer.headers["cache-control"] or path.startswith("/assets"), path
        assert not answer.headers.get("server", "").strip(), path
    for path in ("/settings/tokens", f"/invitation/{'x' * 43}", f"/password/reset/{'x' * 43}", "/api/v1/me"):
        assert (await browser.client.get(path)).headers["cache-control"] == "no-store", path
    cookies = (await Person(network, "", "").post("/sessions", {"email": "ada@water.example", "password": PASSWORD})).headers.get_list(
        "set-cookie"
    )
    assert all("HttpOnly" in each and "samesite=lax" in each.lower() for each in cookies), cookies


async def test_signing_in_makes_a_session_of_its_own(network: Network) -> None:
    victim = Person(network, network.administrator.id, "ada@water.example")
    planted = "A" * 43
    victim.client.cookies.set("watercooler_session", planted)
    answer = await victim.post("/sessions", {"email": victim.email, "password": PASSWORD})
    assert answer.status_code == 201
    secret = re.search(r"watercooler_session=([^;]+)", ",".join(answer.headers.get_list("set-cookie")))
    assert secret is not None and secret[1] != planted
    attacker = Person(network, "", "")
    attacker.client.cookies.set("watercooler_session", planted)
    assert (await attacker.get("/me")).status_code == 401


async def test_sign_in_leads_nowhere_else(network: Network) -> None:
    for target in (
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/%0a/evil.example\n",
        "javascript:alert(1)",
        "/ok\r\nSet-Cookie: a=b",
        "///evil.example",
        "http:evil.example",
        " //evil.example",
        "data:text/html,x",
    ):
        browser = Person(network, "", "")
        page = await browser.client.get("/sign-in", params={"next": target})
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert token is not None
        form = {"csrf_token": token[1], "email": "ada@water.example", "password": PASSWORD, "next": target}
        answer = await browser.client.post("/sign-in", data=form, headers={"origin": BASE})
        assert answer.status_code == 303, answer.text[:300]
        assert answer.headers["location"] in ("/", "/%0a/evil.example"), answer.headers["location"]
        assert "a" not in browser.client.cookies


async def test_the_host_header_makes_no_links(network: Network) -> None:
    poison = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    made = await network.administrator.post("/people", {"name": "Nia New", "email": "nia@water.example"}, headers=poison)
    link = await network.administrator.post(f"/people/{made.json()['id']}/invitation", headers=poison)
    assert link.status_code == 201 and "evil" not in link.text
    assert (await network.anybody.post("/password/forgotten", {"email": "ada@water.example"}, headers=poison)).status_code == 202
    async with asyncio.timeout(10):
        while not (letters := list(network.gateway.context.settings.data.rglob("*.eml"))):
            await asyncio.sleep(0.02)
    assert all(b"evil" not in letter.read_bytes() for letter in letters)
    assert all(letter.stat().st_mode & 0o077 == 0 for letter in letters)
    for path in ("/", "/sign-in", "/no-such"):
        answer = await network.anybody.client.get(path, headers=poison)
        assert "evil" not in answer.text + str(answer.headers)


async def test_paths_lead_out_of_no_folder(network: Network) -> None:
    tricks = (
        "../secret.key",
        "..%2fsecret.key",
        "%2e%2e/secret.key",
        "..%5csecret.key",
        "....//secret.key",
        "%2fetc%2fpasswd",
        "..;/x",
        "%00",
        "a%00.js",
    )
    for base in ("/assets/", "/media/", "/assets/../../var/", "/media/content/"):
        for trick in tricks:
            answer = await network.administrator.client.get(base + trick)
            assert answer.status_code in (400, 403, 404, 405), (base + trick, answer.status_code)
            assert "root:" not in answer.text and len(answer.text) < 20_000


async def test_two_slashes_lead_past_no_check(network: Network) -> None:
    browser = await network.browser(network.administrator)
    browser.client.headers.pop("x-csrf-token")
    for path in ("//api/v1/posts", "//api/v1/me", "//settings", "///admin/people"):
        for person in (browser, network.administrator):
            for method in ("GET", "POST"):
                answer = await person.client.request(method, BASE + path, json={"body": "forged"})
                assert answer.status_code == 404, (method, path)


async def test_bodies_have_bounds(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = network.administrator
    most = network.gateway.context.settings.request_bytes_max

    async def status(content: bytes, **headers: str) -> tuple[int, str]:
        answer = await admin.client.post("/api/v1/posts", content=content, headers={"content-type": "application/json", **headers})
        return answer.status_code, answer.text

    assert (await status(b'{"body":"' + b"x" * most + b'"}'))[0] == 413
    assert (await status(b"{}", **{"content-length": "99999999999"}))[0] == 413
    for deep in (b'{"body":' + b"[" * 100_000, b'{"audience":' * 2_000 + b"1", b"[" * 10_000 + b"]" * 10_000):
        assert (await status(deep))[0] == 400
    assert (await status(b'{"body":"one","body":"two"}'))[0] in (201, 400)
    for odd in (
        b"",
        b"null",
        b"[]",
        b'{"body":"\\ud800"}',
        b'{"body":"a\\u0000b"}',
        b"\xff\xfe",
        b'{"body":1e999}',
        b'{"body":"x","__proto__":{}}',
    ):
        found, text = await status(odd)
        assert found == 400, (odd, text)
    assert (await admin.client.get("/api/v1/me", headers={"cookie": "a=" + "x" * 20_000})).status_code == 200
    assert (await admin.client.get("/api/v1/people?query=" + "x" * 20_000)).status_code == 400
    assert (await admin.client.get("/" + "x" * 5_000)).status_code in (403, 404)
    assert (await admin.client.get("/api/v1/me", headers={"traceparent": "x" * 5_000, "accept-language": "x" * 10_000})).status_code == 200

    # A sender that stops in the middle is not waited for.
    monkeypatch.setattr(edge, "_PIECE_SECONDS", 0.05)
    for path in ("/api/v1/posts", "/api/v1/uploads", "/posts"):
        sent: list[Any] = []
        pieces = iter([{"type": "http.request", "body": b"{", "more_body": True}])

        async def receive(pieces: Any = pieces) -> Any:
            for piece in pieces:
                return piece
            await asyncio.Event().wait()
            return None

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        media = b"application/x-www-form-urlencoded" if path == "/posts" else b"image/png" if "uploads" in path else b"application/json"
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [
                (b"content-type", media),
                (b"host", b"water.example"),
                *([] if path == "/posts" else [(b"authorization", f"Bearer {admin.token}".encode())]),
            ],
            "client": ("192.0.2.9", 1),
            "server": ("water.example", 80),
            "scheme": "http",
            "root_path": "",
        }
        async with asyncio.timeout(5):
            await network.edge(scope, receive, send)
        assert sent[0]["status"] == 408, (path, sent[0])


async def test_answers_split_no_headers(network: Network) -> None:
    admin = network.administrator
    for value in ("a\r\nset-cookie: x=1", "a\nb", "%0d%0aset-cookie:%20x=1"):
        for path in (f"/api/v1/topics/{value}", f"/tags/{value}", f"/search?q={value}", f"/sign-in?next=/{value}", f"/{value}"):
            answer = await admin.client.get(path.replace("\r", "%0d").replace("\n", "%0a"))
            assert "x" not in answer.cookies and not any("x=1" in each for each in answer.headers.get_list("set-cookie")), path


# --- uploads ---------------------------------------------------------------------------------------------------------


def hostile_files() -> list[Path]:
    folder = shared_data()
    if folder is None:
        return []
    return [path for part in ("uploads", "svg", "images-pillow") for path in sorted((folder / "data" / "hostile" / part).glob("*"))]


async def test_hostile_uploads_are_refused_or_harmless(network: Network) -> None:
    files = hostile_files()
    if not files:
        pytest.skip("no corpus of hostile uploads: data/hostile of the folder of shared data is missing")
    admin = network.administrator
    taken = 0
    for path in files:
        content = path.read_bytes()
        for media_type in ("image/png", "image/jpeg", "image/gif", "image/svg+xml", "text/html"):
            by_body = await admin.client.post("/api/v1/uploads", content=content, headers={"content-type": media_type})
            by_form = await admin.client.post("/api/v1/uploads", files={"file": (path.name, content, media_type)})
            for answer in (by_body, by_form):
                assert answer.status_code in (201, 400, 413, 415), (path.name, answer.status_code, answer.text[:200])
                if answer.status_code != 201:
                    continue
                taken += 1
                served = await admin.client.get(answer.json()["url"])
                assert served.headers["content-type"] in ("image/png", "image/jpeg", "image/gif", "image/webp"), path.name
                assert "sandbox" in served.headers["content-security-policy"]
                for payload in (b"<script", b"<?php", b"alert(", b"<html", b"<svg", b"eval("):
                    assert payload not in served.content.lower(), (path.name, payload)
    assert taken, "some of them are pictures with something added, which is taken off"


async def test_a_page_in_an_images_clothes_is_refused(network: Network) -> None:
    admin = network.administrator
    for content in (
        b"GIF89a<script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"\x89PNG\r\n\x1a\n<html>",
        b"%PDF-1.4",
    ):
        assert (await admin.client.post("/api/v1/uploads", content=content, headers={"content-type": "image/gif"})).status_code == 400
    polyglot = png((9, 9, 9)) + b"<script>alert(1)</script><?php system($_GET[0]);"
    made = await admin.client.post("/api/v1/uploads", content=polyglot, headers={"content-type": "image/png"})
    assert made.status_code == 201
    served = await admin.client.get(made.json()["url"])
    assert b"script" not in served.content and b"php" not in served.content


# --- repeated requests -----------------------------------------------------------------------------------------------


async def test_a_key_is_its_owners_alone(network: Network) -> None:
    ann, bob = await network.person("Ann Able"), await network.person("Bob Baker")
    key = {"idempotency-key": "the very same"}
    first = await ann.post("/posts", {"body": "ours"}, headers=key)
    again = await ann.post("/posts", {"body": "ours"}, headers=key)
    others = await bob.post("/posts", {"body": "ours"}, headers=key)
    assert first.json()["id"] == again.json()["id"] != others.json()["id"]
    assert (again.headers.get("idempotency-replayed"), others.headers.get("idempotency-replayed")) == ("true", None)
    assert others.json()["author"]["id"] == bob.id
    assert (await bob.post("/posts", {"body": "something else"}, headers=key)).status_code == 422
    elsewhere = await ann.post(f"/posts/{others.json()['id']}/reactions", {"emoji": "👍"}, headers=key)
    assert elsewhere.status_code == 422
    reading = await network.administrator.post("/access-tokens", {"name": "r", "scopes": ["read"], "person_id": ann.id})
    reader = Person(network, ann.id, ann.email, reading.json()["secret"])
    assert (await reader.post("/posts", {"body": "ours"}, headers=key)).status_code == 403, "nor is an answer kept for who may not ask"


async def test_entity_tags_guard_edits(network: Network) -> None:
    ann = await network.person("Etta Tag")
    post = await ann.post("/posts", {"body": "one"})
    path, tag = f"/posts/{post.json()['id']}", post.headers["etag"]
    assert (await ann.patch(path, {"body": "two"}, headers={"if-match": tag})).status_code == 200
    stale = await ann.patch(path, {"body": "three"}, headers={"if-match": tag})
    assert (stale.status_code, json.loads(stale.text)["code"]) == (412, "precondition_failed")
    assert (await ann.patch(path, {"body": "three"}, headers={"if-match": f"W/{tag}"})).status_code == 412
    assert (await ann.patch(path, {"body": "three"}, headers={"if-match": "*"})).status_code == 200
    assert (await ann.get(path)).json()["body"] == "three"
