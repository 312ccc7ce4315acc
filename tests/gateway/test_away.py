"""A neighbour that is away takes with it what only it can do; whatever else a page or call needs still works."""
from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import grpc
import httpx
import pytest

from libs.rpc import auth, errors
from services.gateway import accounts, neighbours

from .conftest import Network, Person

HX = {"hx-request": "true"}
PASSES = 60.0


@contextmanager
def away(network: Network, service: str, *, hangs: bool = False, refuses_tokens: bool = False) -> Iterator[None]:
    """Inside, a service does not answer: at once as refused, or not at all, or because it takes no token for good."""
    registry = network.world.embedded.channel._registry

    async def refuse(*_: Any) -> Any:
        if hangs:
            await asyncio.sleep(PASSES)
        if refuses_tokens:
            problem = errors.problem_of(auth.TokenRefused("the token is past its time"))
            assert problem is not None
            raise errors.rpc_error(problem)
        raise errors.rpc_error(errors.Problem(grpc.StatusCode.UNAVAILABLE, f"{service} does not answer", retry_seconds=2))

    mine = {path: handler for path, handler in registry.unary.items() if path.startswith(f"/watercooler.{service}.")}
    assert mine
    registry.unary.update(dict.fromkeys(mine, refuse))
    try:
        yield
    finally:
        registry.unary.update(mine)
        network.gateway.site.away.clear()


def at(monkeypatch: pytest.MonkeyPatch, module: Any, moment: float) -> None:
    """For this module alone it is that moment, and stays it."""
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: moment, time=time.time))


def is_away(answer: httpx.Response) -> bool:
    """A clear 503 that says when to come again."""
    assert "Traceback" not in answer.text
    return answer.status_code == 503 and int(answer.headers["retry-after"]) > 0 and len(answer.content) > 20


@pytest.fixture
async def ada(network: Network) -> Person:
    """The administrator in a browser."""
    return await network.browser(network.administrator)


@pytest.fixture
async def things(network: Network) -> dict[str, str]:
    """A person, a community and a post."""
    bo = await network.person("Bo Berg")
    community = (await bo.post("/communities", {"name": "Pumps", "kind": "open"})).json()["id"]
    post = (await bo.post("/posts", {"body": "Pump 3 hums #pumps"})).json()["id"]
    await network.world.settle()
    return {"person": bo.id, "community": community, "post": post}


async def test_a_service_whose_clock_is_wrong_is_away_and_signs_nobody_out(network: Network, ada: Person, things: dict[str, str]) -> None:
    admin = network.administrator
    with away(network, "feed", refuses_tokens=True):
        assert is_away(await ada.client.get("/api/v1/feeds/home"))
        assert is_away(await admin.post("/posts", {"body": "Is anybody there?"}))
        assert (await ada.client.get("/people")).status_code == 200
    assert (await ada.client.get("/api/v1/feeds/home")).status_code == 200


async def test_without_search_all_but_search_works(network: Network, ada: Person, things: dict[str, str]) -> None:
    admin = network.administrator
    with away(network, "search"):
        for path in ("/", "/company", f"/posts/{things['post']}", "/communities", f"/communities/{things['community']}", "/people",
                     f"/people/{things['person']}", "/organisation", "/settings/profile", "/search", "/notifications"):
            assert (await ada.client.get(path)).status_code == 200, path
        found = await ada.client.get("/search?q=pump")
        assert is_away(found)
        assert "Search is away just now" in found.text
        assert "Nothing found" not in found.text
        assert 'href="/people"' in found.text  # the page around it stands
        offered = await ada.client.get("/search/suggest?q=pum", headers=HX)
        assert is_away(offered)
        assert "Search is away" in offered.text
        assert "Pumps" in offered.text
        listed = await ada.client.get("/people?q=Bo")
        assert listed.status_code == 200
        assert "Bo Berg" in listed.text
        assert is_away(await ada.client.get("/search?q=pump&author=Bo+Berg"))
        assert is_away(await admin.get("/find?query=pump"))
        assert (await admin.post("/posts", {"body": "still here"})).status_code == 201
    assert (await ada.client.get("/search?q=pump")).status_code == 200


async def test_without_feed_people_and_settings_work(network: Network, ada: Person, things: dict[str, str]) -> None:
    admin = network.administrator
    bo = await network.browser(Person(network, things["person"], "bo.berg@water.example"))
    with away(network, "feed"):
        for path in ("/people", "/people?q=Bo", f"/people/{things['person']}", "/organisation", "/settings/profile", "/settings/sessions",
                     "/admin/people", "/search?q=pump"):
            answer = await ada.client.get(path)
            assert answer.status_code == 200, path
        person = await ada.client.get(f"/people/{things['person']}")
        assert "cannot be shown just now" in person.text
        assert "/follow" not in (await ada.client.get("/people")).text
        offered = await ada.client.get("/search/suggest?q=Bo", headers=HX)
        assert offered.status_code == 200
        assert "Bo Berg" in offered.text
        for path in ("/", f"/posts/{things['post']}", "/communities", "/tags/pumps"):
            assert is_away(await ada.client.get(path)), path
        # The rail of somebody who has seen no page yet is empty, and no reason to fail.
        assert (await bo.client.get("/organisation")).status_code == 200
        assert is_away(await admin.get(f"/posts/{things['post']}"))
        assert is_away(await admin.post("/posts", {"body": "not now"}))
        assert (await admin.get("/people")).status_code == 200
    assert (await ada.client.get("/")).status_code == 200


async def test_without_identity_those_who_are_known_read_on(
    network: Network, ada: Person, things: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = network.administrator
    assert (await ada.client.get("/")).status_code == 200
    assert (await admin.get(f"/posts/{things['post']}")).status_code == 200
    later = time.monotonic() + accounts.CACHE_SECONDS + 1
    at(monkeypatch, accounts, later)
    stranger = Person(network, things["person"], "bo.berg@water.example")
    with away(network, "identity"):
        for path in ("/", "/company", f"/posts/{things['post']}", "/communities", "/search?q=pump"):
            assert (await ada.client.get(path)).status_code == 200, path
        assert (await admin.get(f"/posts/{things['post']}")).status_code == 200
        for path in ("/people", "/organisation", f"/people/{things['person']}"):
            assert is_away(await ada.client.get(path)), path
        unknown = await stranger.client.get("/api/v1/people", headers={"authorization": "Bearer wct_" + "x" * 40})
        assert is_away(unknown)
        assert unknown.headers["content-type"] == "application/problem+json"
        assert is_away(await stranger.client.post("/api/v1/sessions", json={"email": stranger.email, "password": "wrong password"}))
        much_later = later + accounts.AWAY_SECONDS
        at(monkeypatch, accounts, much_later)
        for answer in (await ada.client.get("/"), await admin.get(f"/posts/{things['post']}")):
            assert is_away(answer)
    assert (await ada.client.get("/")).status_code == 200


async def test_a_fresh_gateway_without_identity_says_so(network: Network) -> None:
    site = network.gateway.site
    site._organization = None
    with away(network, "identity"):
        answer = await network.anybody.client.get("/sign-in", headers={"accept": "text/html"})
        assert is_away(answer)
        assert "Back in a moment" in answer.text
        assert (await network.anybody.client.get("/healthz")).status_code == 200


async def test_a_neighbour_that_hangs_holds_up_one_page_and_not_all(
    network: Network, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "OPTIONAL_SECONDS", 0.05)
    assert (await ada.client.get("/organisation")).status_code == 200
    asked = 0
    with away(network, "feed", hangs=True):
        registry = network.world.embedded.channel._registry
        hanging = next(handler for path, handler in registry.unary.items() if path.startswith("/watercooler.feed."))

        async def counted(*given: Any) -> Any:
            nonlocal asked
            asked += 1
            return await hanging(*given)

        registry.unary.update({path: counted for path in list(registry.unary) if path.startswith("/watercooler.feed.")})
        now = time.monotonic()
        at(monkeypatch, neighbours, now)
        for _ in range(5):
            assert (await ada.client.get("/organisation")).status_code == 200
        assert 0 < asked <= 2  # the two calls of the first page
        at(monkeypatch, neighbours, now + neighbours.AWAY_SECONDS)
        assert (await ada.client.get("/organisation")).status_code == 200
        assert asked > 2
