"""A whole network in one process with its REST API, and clients of it."""
from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.testing.world import World
from services.feed.service import SERVICE as FEED
from services.gateway.edge import Edge
from services.gateway.http import Gateway
from services.gateway.service import SERVICE as GATEWAY
from services.identity.service import SERVICE as IDENTITY
from services.search.service import SERVICE as SEARCH

BASE = "http://water.example"
PASSWORD = "seven quiet herons over Tartu"
# The least work argon2 may do: these tests are about what surrounds it.
QUICK = {"password_hash_bytes": 1 << 20, "password_hash_passes": 1, "password_hash_lanes": 1}


@dataclass
class Person:
    """Somebody who uses the API by access token or in a browser."""

    network: Network
    id: str
    email: str
    token: str = ""
    client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        self.client = httpx.AsyncClient(transport=self.network.transport, base_url=BASE, headers=headers)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.get("/api/v1" + path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return await self.client.post("/api/v1" + path, json=json, **options)

    async def put(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return await self.client.put("/api/v1" + path, json=json, **options)

    async def patch(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return await self.client.patch("/api/v1" + path, json=json, **options)

    async def delete(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.delete("/api/v1" + path, **options)


class Network:
    """The running network, its edge and what the gateway holds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.edge: Edge = world.embedded.assemblies["gateway"].app
        self.gateway: Gateway = self.edge.gateway
        self.transport = httpx.ASGITransport(app=self.edge, client=("192.0.2.7", 4711))  # type: ignore[arg-type]
        self.anybody = Person(self, "", "")
        self.administrator: Person

    async def set_up(self) -> None:
        """An organisation with its first administrator, who has an access token."""
        made = await self.anybody.post(
            "/organization",
            {"name": "Example Waterworks", "person_name": "Ada Admin", "email": "ada@water.example", "password": PASSWORD},
        )
        assert made.status_code == 201, made.text
        person_id = made.json()["administrator"]["id"]
        await self.world.settle()
        browser = Person(self, person_id, "ada@water.example")
        await sign_in(browser)
        token = await browser.post("/access-tokens", {"name": "tests", "scopes": ["read", "write", "admin"]})
        assert token.status_code == 201, token.text
        self.administrator = Person(self, person_id, "ada@water.example", token.json()["secret"])

    async def person(self, name: str, *, scopes: tuple[str, ...] = ("read", "write"), roles: tuple[str, ...] = ()) -> Person:
        """An employee with an access token."""
        email = f"{name.lower().replace(' ', '.')}@water.example"
        made = await self.administrator.post("/people", {"name": name, "email": email, "password": PASSWORD, "roles": list(roles)})
        assert made.status_code == 201, made.text
        person_id = made.json()["id"]
        token = await self.administrator.post(
            "/access-tokens", {"name": "tests", "scopes": list(scopes), "person_id": person_id}
        )
        assert token.status_code == 201, token.text
        await self.world.settle()
        return Person(self, person_id, email, token.json()["secret"])

    async def browser(self, person: Person) -> Person:
        """The same person, signed in with a cookie."""
        found = Person(self, person.id, person.email)
        await sign_in(found)
        return found


async def sign_in(person: Person) -> None:
    """Sign in by password; the client keeps the cookie and sends the CSRF token."""
    answer = await person.post("/sessions", {"email": person.email, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    person.client.headers["x-csrf-token"] = answer.json()["csrf_token"]


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    async with World.of(tmp_path, IDENTITY, FEED, SEARCH, GATEWAY, **QUICK) as world:
        found = Network(world)
        await found.set_up()
        yield found
