"""Tokens, roles, links, limits and secrets: nobody does more than they may, and nobody is told what is not theirs."""

from __future__ import annotations

import asyncio
import logging
import re
import stat
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from services.gateway.api.operations import OPERATIONS
from tests.gateway.conftest import BASE
from tests.security.conftest import PASSWORD, Network, Person, started

pytestmark = pytest.mark.asyncio(loop_scope="module")

ID = "01900000-0000-7000-8000-000000000000"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Network]:
    """One network for all tests here."""
    async with started(tmp_path_factory.mktemp("authentication")) as found:
        yield found


async def token_of(network: Network, person: Person, *scopes: str) -> Person:
    made = await network.administrator.post("/access-tokens", {"name": "t", "scopes": list(scopes), "person_id": person.id})
    assert made.status_code == 201, made.text
    return Person(network, person.id, person.email, made.json()["secret"])


async def test_scopes_bound_every_operation(network: Network) -> None:
    admin = network.administrator
    reader, writer = await token_of(network, admin, "read"), await token_of(network, admin, "write")
    for each in OPERATIONS:
        path = re.sub(r"\{\w+\}", ID, each.path)
        if each.method == "GET":
            answer = await writer.client.request(each.method, path)
        else:
            answer = await reader.client.request(each.method, path, json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope"), each.path
    for path in ("/", "/settings", "/admin/people"):
        assert (await reader.client.get(path)).status_code == 403, "tokens open no pages"


async def test_a_token_that_ends_makes_none_that_goes_on(network: Network) -> None:
    ends = "2100-01-01T00:00:00Z"
    made = await network.administrator.post("/access-tokens", {"name": "t", "scopes": ["write"], "expire_time": ends})
    assert made.status_code == 201, made.text
    token = Person(network, network.administrator.id, "", made.json()["secret"])
    for asked, given in ((None, ends), ("2150-01-01T00:00:00Z", ends), ("2090-01-01T00:00:00Z", "2090-01-01T00:00:00Z")):
        body = {"name": "t", "scopes": ["write"], **({"expire_time": asked} if asked else {})}
        child = await token.post("/access-tokens", body)
        assert child.status_code == 201, child.text
        assert child.json()["token"]["expire_time"] == given


ADMINISTRATION = (
    ("POST", "/people", {"name": "Eve", "email": "eve@water.example", "roles": ["administrator"]}),
    ("PUT", "/people/{me}/roles/administrator", None),
    ("PUT", "/people/{me}/roles/leader", None),
    ("DELETE", "/people/{admin}/roles/administrator", None),
    ("POST", "/people/{admin}/offboard", None),
    ("POST", "/people/{admin}/erase", None),
    ("POST", "/people/{admin}/invitation", None),
    ("POST", "/people/{admin}/password-reset", None),
    ("PATCH", "/people/{admin}", {"title": "fool"}),
    ("PATCH", "/people/{me}", {"email": "ada@water.example"}),
    ("PATCH", "/people/{me}", {"employee_number": "1"}),
    ("PUT", "/people/{me}/manager", {"manager_id": None}),
    ("PATCH", "/organization", {"name": "Mine"}),
    (
        "POST",
        "/imports/people",
        {"source": "s", "records": [{"external_id": "x", "email": "ben@water.example", "roles": ["administrator"]}]},
    ),
    ("POST", "/imports/groups", {"source": "s", "records": []}),
    ("POST", "/imports/communities", {"source": "s", "records": []}),
    ("POST", "/imports/posts", {"source": "s", "records": []}),
    ("GET", "/events", None),
    ("GET", "/sessions?everybody=true", None),
    ("GET", "/sessions?person_id={admin}", None),
    ("DELETE", "/sessions?person_id={admin}", None),
    ("GET", "/engagement", None),
    ("POST", "/access-tokens", {"name": "t", "scopes": ["read"], "person_id": "{admin}"}),
    ("POST", "/access-tokens", {"name": "t", "scopes": ["admin"]}),
)

# What an administrator may do as anybody may, when the administrator of the table is they.
OWN = [way for way in ADMINISTRATION if way[1] in ("/sessions?person_id={admin}", "/engagement", "/people/{admin}")] + [ADMINISTRATION[-2]]


async def attempt(person: Person, admin_id: str, way: tuple[str, str, object]) -> httpx.Response:
    method, path, body = way
    path = path.replace("{me}", person.id).replace("{admin}", admin_id)
    if isinstance(body, dict):
        body = {key: admin_id if value == "{admin}" else value for key, value in body.items()}
    return await person.client.request(method, "/api/v1" + path, json=body)


async def test_nobody_but_an_administrator_acting_as_one_administers(network: Network) -> None:
    admin = network.administrator
    people = [
        await network.person("Ben Bolt"),
        await network.person("Gus Guest", roles=("guest",)),
        await token_of(network, admin, "read", "write"),  # an administrator's token that is not for administering
    ]
    await network.administrator.put(f"/people/{people[0].id}/roles/communications")
    await network.administrator.delete(f"/people/{people[0].id}/roles/communications")
    for person in people:
        before = (await admin.get(f"/people/{person.id}")).json()
        for way in ADMINISTRATION:
            if person.id == admin.id and way in OWN:
                continue
            answer = await attempt(person, admin.id, way)
            assert answer.status_code == 403, (person.email, way, answer.status_code, answer.text)
        assert (await admin.get(f"/people/{person.id}")).json() == before


async def test_the_last_administrator_stays(network: Network) -> None:
    admin = network.administrator
    for method, path in (("DELETE", "roles/administrator"), ("POST", "offboard"), ("POST", "erase")):
        answer = await admin.client.request(method, f"/api/v1/people/{admin.id}/{path}")
        assert answer.status_code == 409, path
        assert "last administrator" in answer.json()["detail"]
    again = {"name": "Mine", "person_name": "Eve", "email": "eve@water.example", "password": PASSWORD}
    assert (await Person(network, "", "").post("/organization", again)).status_code == 409, "nor is it set up anew"


async def test_links_work_once_and_only_as_what_they_are(network: Network, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    admin = network.administrator
    made = (await admin.post("/people", {"name": "Nia New", "email": "nia@water.example"})).json()
    first = (await admin.post(f"/people/{made['id']}/invitation")).json()["secret"]
    second = (await admin.post(f"/people/{made['id']}/invitation")).json()["secret"]
    anybody = Person(network, "", "")
    chosen = "six green newts beside Turku"

    async def accept(path: str, secret: str) -> int:
        return (await Person(network, "", "").post(path, {"secret": secret, "password": chosen})).status_code

    assert await accept("/invitations/accept", first) == 404, "the newer took its place"
    assert await accept("/password/reset", second) == 404, "an invitation is no reset link"
    found = await asyncio.gather(*(accept("/invitations/accept", second) for _ in range(5)))
    assert sorted(found) == [200, 404, 404, 404, 404]
    reset = (await admin.post(f"/people/{made['id']}/password-reset")).json()["secret"]
    for browser in (await anybody.post("/invitations/check", {"secret": reset}),):
        assert browser.status_code == 200
        assert set(browser.json()) == {"id", "display_name", "handle", "title", "photo_url", "left", "erased"}
    assert await accept("/invitations/accept", reset) == 404
    assert sorted(await asyncio.gather(*(accept("/password/reset", reset) for _ in range(3)))) == [200, 404, 404]
    # Neither the links nor the passwords stand anywhere but with whom they were given to.
    token = await token_of(network, admin, "read")
    secrets = (first, second, reset, chosen, PASSWORD, token.token)
    events = "".join([(await admin.get(f"/events?service=identity&after={after}")).text for after in (0, 200)])
    assert "_hash" not in events and not any(secret in events for secret in secrets)
    data = network.gateway.context.settings.data
    for path in data.rglob("*"):
        if path.is_file() and path.suffix != ".eml":
            content = path.read_bytes()
            assert not any(secret.encode() in content for secret in secrets), path.name
    assert not any(secret in record.getMessage() for record in caplog.records for secret in secrets)
    metrics = (await anybody.client.get("/metrics")).text
    assert not any(secret in metrics for secret in secrets) and "@water.example" not in metrics


async def test_answers_do_not_say_who_is_known(network: Network) -> None:
    left = await network.person("Lea Left")
    await network.administrator.post(f"/people/{left.id}/offboard")
    invited = (await network.administrator.post("/people", {"name": "Ina Invited", "email": "ina@water.example"})).json()
    assert invited["id"]
    addresses = ("ada@water.example", left.email, "ina@water.example", "nobody@water.example", "x@y")

    def plain(answer: httpx.Response) -> tuple[int, str]:
        return answer.status_code, re.sub(r'"trace_id":"\w+"', "", answer.text)

    signing_in = {plain(await Person(network, "", "").post("/sessions", {"email": each, "password": "not this one"})) for each in addresses}
    forgotten = {plain(await Person(network, "", "").post("/password/forgotten", {"email": each})) for each in addresses}
    assert len(signing_in) == len(forgotten) == 1
    right = plain(await Person(network, "", "").post("/sessions", {"email": left.email, "password": PASSWORD}))
    assert right in signing_in, "nor that somebody has left"


async def test_only_the_proxy_says_where_a_request_comes_from(network: Network) -> None:
    strangers = Person(network, "", "")
    local = httpx.AsyncClient(transport=httpx.ASGITransport(app=network.edge, client=("127.0.0.1", 1)), base_url=BASE)  # type: ignore[arg-type]
    credentials = {"email": "ada@water.example", "password": PASSWORD}
    for client, header, expected in (
        (strangers.client, "203.0.113.9", "192.0.2.7"),
        (local, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (local, "", "127.0.0.1"),
    ):
        signed = await client.post("/api/v1/sessions", json=credentials, headers={"x-forwarded-for": header, "forwarded": "for=10.0.0.1"})
        assert signed.status_code == 201
        listed = (await client.get("/api/v1/sessions")).json()["sessions"][0]
        assert listed["address"] == expected
        client.cookies.clear()


async def test_a_flood_from_one_address_locks_nobody_else_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with started(tmp_path_factory.mktemp("flood"), rate_sign_ins_per_minute=5) as network:
        person = await network.person("Pia Patient")

        def client(address: str) -> httpx.AsyncClient:
            return httpx.AsyncClient(transport=httpx.ASGITransport(app=network.edge, client=(address, 1)), base_url=BASE)  # type: ignore[arg-type]

        async def sign_in(address: str, email: str, password: str, **headers: str) -> int:
            async with client(address) as one:
                return (await one.post("/api/v1/sessions", json={"email": email, "password": password}, headers=headers)).status_code

        flood = [
            await sign_in("192.0.2.66", f"guess{n}@water.example", "wrong guess", **{"x-forwarded-for": f"10.0.0.{n}"}) for n in range(8)
        ]
        assert flood == [401] * 5 + [429] * 3, "a header of the sender's own changes nothing"
        assert await sign_in("192.0.2.1", person.email, PASSWORD) == 201, "others sign in"
        for _ in range(5):
            await sign_in("192.0.2.67", person.email, "wrong guess")
        assert await sign_in("192.0.2.68", person.email, "wrong guess") == 429, "one account is not tried from everywhere"
        assert (await person.get("/me")).status_code == 200, "who is signed in stays so"


async def test_what_is_secret_is_readable_by_its_owner_only(network: Network) -> None:
    data = network.gateway.context.settings.data
    assert stat.S_IMODE(data.stat().st_mode) & 0o077 == 0, "the data folder is for nobody else"
    for path in [*data.glob("keys/*"), *data.glob("secret.key"), *data.glob("sample-credentials*"), *data.rglob("*.eml")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name
