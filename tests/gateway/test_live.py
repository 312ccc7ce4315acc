"""Live updates: who is told what, when, and what happens to those who fall behind."""
from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from services.gateway import live, live_routes
from services.gateway.live import Queue
from services.gateway.parties import Principal
from watercooler.identity.v1 import identity_service_pb2 as identity

from .conftest import Network, Person


class Listener:
    """A page that listens: the ASGI application spoken to directly, since httpx waits for the end of an answer."""

    def __init__(self, network: Network, person: Person, path: str, headers: dict[str, str]) -> None:
        self.status = 0
        self._events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._rest = b""
        path, _, query = path.partition("?")
        cookies = "; ".join(f"{name}={value}" for name, value in person.client.cookies.items())
        sent = {**dict(person.client.headers), **headers, **({"cookie": cookies} if cookies else {})}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode(),
            "query_string": query.encode(), "headers": [(k.lower().encode(), v.encode()) for k, v in sent.items()],
            "client": ("192.0.2.7", 1), "server": ("water.example", 80), "scheme": "http", "root_path": "",
        }
        self._task = asyncio.create_task(network.edge(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self._rest += message.get("body", b"")
        while b"\n\n" in self._rest:
            block, _, self._rest = self._rest.partition(b"\n\n")
            found = dict(line.split(": ", 1) for line in block.decode().splitlines() if not line.startswith(":"))
            if "data" in found:
                self._events.put_nowait({"event": found.get("event", ""), "id": found.get("id", ""), **msgspec.json.decode(found["data"])})
        if not message.get("more_body", False):
            self._events.put_nowait(None)

    async def next(self) -> dict[str, Any] | None:
        """The next event; None when the stream has ended."""
        async with asyncio.timeout(10):
            return await self._events.get()

    async def until(self, kind: str) -> dict[str, Any]:
        """The next event of a kind."""
        while (found := await self.next()) is not None:
            if found["event"] == kind:
                return found
        raise AssertionError(f"the stream ended without {kind}")

    async def leave(self) -> None:
        self._gone.set()
        await asyncio.wait([self._task], timeout=10)


@asynccontextmanager
async def listening(network: Network, person: Person, queue: str = "", after: int | None = None, **headers: str) -> AsyncIterator[Listener]:
    if not queue:
        registered = await person.client.get("/live/register", params={} if after is None else {"after": after})
        assert registered.status_code == 200, registered.text
        queue = registered.json()["queue"]
    found = Listener(network, person, f"/live?queue={queue}", headers)
    try:
        yield found
    finally:
        await found.leave()


async def test_posts_arrive_with_where_they_stand(network: Network) -> None:
    ada, bo = network.administrator, await network.person("Bo Berg")
    await bo.put(f"/people/{ada.id}/follow")
    cy = await network.person("Cy Cole")
    async with listening(network, bo) as for_bo, listening(network, cy) as for_cy:
        post = (await ada.post("/posts", {"body": "Fresh water #news"})).json()
        seen = await for_bo.until("post")
        assert seen["post_id"] == post["id"]
        assert seen["author_id"] == ada.id
        assert seen["home"] is True
        assert seen["tags"] == ["news"]
        assert seen["audience"] == "everyone"
        assert seen["position"] == post["position"]
        assert "body" not in seen
        assert (await for_cy.until("post"))["home"] is False

        reply = (await cy.post("/posts", {"body": "Cheers", "parent_id": post["id"]})).json()
        heard = await for_bo.until("reply")
        assert (heard["post_id"], heard["root_id"]) == (reply["id"], post["id"])
        assert (await for_bo.until("counts"))["post_id"] == post["id"]
        await cy.post(f"/posts/{post['id']}/reactions", {"emoji": "🎉"})
        assert (await for_bo.until("counts"))["post_id"] == post["id"]
        await ada.patch(f"/posts/{post['id']}", {"body": "Fresher water #news"})
        assert (await for_bo.until("edited"))["post_id"] == post["id"]
        await ada.delete(f"/posts/{post['id']}")
        assert (await for_bo.until("deleted"))["post_id"] == post["id"]


async def test_nobody_is_told_of_what_they_may_not_see(network: Network) -> None:
    ada, bo, cy = network.administrator, await network.person("Bo Berg"), await network.person("Cy Cole")
    async with listening(network, bo) as for_bo, listening(network, cy) as for_cy:
        secret = (await ada.post("/posts", {"body": "psst", "audience": {"kind": "people", "person_ids": [bo.id]}})).json()
        assert (await for_bo.until("post"))["post_id"] == secret["id"]
        await bo.post(f"/posts/{secret['id']}/reactions", {"emoji": "🤫"})
        assert (await for_bo.until("counts"))["post_id"] == secret["id"]
        open_post = (await ada.post("/posts", {"body": "hello all"})).json()
        first = await for_cy.next()
        assert first is not None
        assert first["event"] == "post"
        assert first["post_id"] == open_post["id"]


async def test_notifications_are_counted(network: Network) -> None:
    ada, bo = network.administrator, await network.person("Bo Berg")
    async with listening(network, bo) as for_bo:
        post = (await ada.post("/posts", {"body": "Look, @bo.berg"})).json()
        assert (await for_bo.until("notification"))["unread_count"] == 1
        await bo.post("/inbox/read", {})
        assert (await for_bo.until("notification"))["unread_count"] == 0
        mine = (await bo.post("/posts", {"body": "Yes?", "parent_id": post["id"]})).json()
        await ada.post(f"/posts/{mine['id']}/reactions", {"emoji": "👀"})
        assert (await for_bo.until("notification"))["unread_count"] == 1


async def test_what_happened_since_the_page_was_shown_is_told(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bo = network.administrator, await network.person("Bo Berg")
    shown = (await ada.post("/posts", {"body": "shown"})).json()
    missed = (await ada.post("/posts", {"body": "missed"})).json()
    await network.world.settle()
    async with listening(network, bo, after=shown["position"]) as for_bo:
        assert (await for_bo.until("post"))["post_id"] == missed["id"]
    monkeypatch.setattr(live, "MISSED_EVENTS", 1)
    async with listening(network, bo, after=0) as too_late:
        assert (await too_late.next() or {})["event"] == "reload"
    assert (await bo.client.get("/live/register", params={"after": "soon"})).status_code == 400


async def test_a_connection_that_breaks_goes_on_where_it_was(network: Network) -> None:
    ada, bo = network.administrator, await network.person("Bo Berg")
    queue = (await bo.client.get("/live/register")).json()["queue"]
    async with listening(network, bo, queue) as first:
        posts = [(await ada.post("/posts", {"body": f"number {n}"})).json()["id"] for n in range(3)]
        seen = [await first.until("post") for _ in range(2)]
    assert [each["post_id"] for each in seen] == posts[:2]
    async with listening(network, bo, queue, **{"last-event-id": seen[0]["id"]}) as second:
        assert [(await second.until("post"))["post_id"] for _ in range(2)] == posts[1:]
    async with listening(network, bo, queue, **{"last-event-id": "999"}) as third:
        assert (await third.next() or {})["event"] == "reload"


async def test_an_unknown_queue_means_reload(network: Network) -> None:
    bo = await network.person("Bo Berg")
    async with listening(network, bo, "nothing") as lost:
        assert (await lost.next() or {})["event"] == "reload"
        assert await lost.next() is None
    queue = (await network.administrator.client.get("/live/register")).json()["queue"]
    async with listening(network, bo, queue) as foreign:
        assert (await foreign.next() or {})["event"] == "reload"
    assert (await network.anybody.client.get("/live/register")).status_code == 401


async def test_another_process_goes_on_from_the_log(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bo = network.administrator, await network.person("Bo Berg")
    here = network.gateway.live
    queue = (await bo.client.get("/live/register")).json()["queue"]
    async with listening(network, bo, queue) as first:
        posts = [(await ada.post("/posts", {"body": f"number {n}"})).json()["id"] for n in range(3)]
        seen = [await first.until("post") for _ in range(2)]
    here._drop(here.find(queue, bo.id) or pytest.fail("the queue is gone"))
    monkeypatch.setattr(here, "process", "ffffffffffff")
    async with listening(network, bo, queue) as fresh:  # the page registered there, and connects here
        assert [(await fresh.until("post"))["post_id"] for _ in range(3)] == posts
    async with listening(network, bo, queue, **{"last-event-id": seen[1]["id"]}) as again:  # the connection broke there
        assert (await again.until("post"))["post_id"] == posts[2]
    with monkeypatch.context() as small:
        small.setattr(live, "MISSED_EVENTS", 1)
        async with listening(network, bo, queue, **{"last-event-id": seen[0]["id"]}) as late:
            assert (await late.next() or {})["event"] == "reload"
    await here.drain()
    async with listening(network, bo, queue) as leaving:
        assert await leaving.next() is None


async def test_who_falls_behind_reloads(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "QUEUE_LENGTH", 3)
    ada, bo = network.administrator, await network.person("Bo Berg")
    queue = (await bo.client.get("/live/register")).json()["queue"]
    for number in range(4):
        await ada.post("/posts", {"body": f"number {number}"})
    await network.world.settle()
    assert network.gateway.live.find(queue, bo.id) is None
    async with listening(network, bo, queue) as late:
        assert (await late.next() or {})["event"] == "reload"


async def test_idle_queues_are_dropped_and_connected_ones_kept(network: Network) -> None:
    bo = await network.person("Bo Berg")
    idle = (await bo.client.get("/live/register")).json()["queue"]
    kept = (await bo.client.get("/live/register")).json()["queue"]
    async with listening(network, bo, kept) as page:
        await network.administrator.post("/posts", {"body": "are you there?"})
        await page.until("post")
        assert network.gateway.live.collect(time.monotonic() + live.IDLE_SECONDS) == 1
        assert network.gateway.live.find(idle, bo.id) is None
        assert network.gateway.live.find(kept, bo.id) is not None


async def test_a_person_has_ten_connections(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_routes, "CONNECTIONS_PER_PERSON", 1)
    bo = await network.person("Bo Berg")
    async with listening(network, bo) as first:
        await network.administrator.post("/posts", {"body": "one"})
        await first.until("post")
        queue = (await bo.client.get("/live/register")).json()["queue"]
        refused = await bo.client.get(f"/live?queue={queue}")
        assert refused.status_code == 429


async def test_a_leaver_hears_nothing_more(network: Network) -> None:
    bo = await network.person("Bo Berg")
    async with listening(network, bo) as page:
        await network.administrator.post("/posts", {"body": "one"})
        await page.until("post")
        with network.world.acting_as(network.administrator.id, roles=("administrator",)):
            await network.gateway.clients.identity.OffboardPerson(identity.OffboardPersonRequest(person_id=bo.id))
        while await page.next() is not None:
            pass


async def test_an_ended_session_hears_nothing_more(network: Network) -> None:
    bo = await network.person("Bo Berg")
    browser = await network.browser(bo)
    async with listening(network, browser) as page:
        await network.administrator.post("/posts", {"body": "one"})
        await page.until("post")
        session = (await browser.get("/me")).json()["session_id"]
        assert (await bo.delete(f"/sessions/{session}")).status_code == 204
        while await page.next() is not None:
            pass


async def test_the_events_stream_goes_on_and_resumes(network: Network) -> None:
    ada = network.administrator
    await ada.post("/posts", {"body": "one"})
    head = (await ada.get("/events")).json()["next_after"]
    stream = Listener(network, ada, f"/api/v1/events?after={head}", {"accept": "text/event-stream"})
    post = (await ada.post("/posts", {"body": "two"})).json()
    event = await stream.next()
    assert event is not None
    assert event["type"] == "watercooler.feed.v1.PostPublished"
    assert event["data"]["post_id"] == post["id"]
    await stream.leave()
    resumed = Listener(network, ada, "/api/v1/events", {"accept": "text/event-stream", "last-event-id": str(head)})
    assert await resumed.next() is not None
    await resumed.leave()


def test_what_was_sent_is_known_for_a_while() -> None:
    queue = Queue("q", "p", "", "", Principal("p", frozenset(), frozenset(), identity.Person()).caller, 0)
    for number in range(live.KEPT_AFTER_SENDING + 5):
        assert queue.push(b"%d" % number)
        queue.take()
    assert queue.unseen(queue.number) == []
    assert len(queue.unseen(queue.number - 2) or []) == 2
    assert queue.unseen(1) is None
    assert queue.unseen(queue.number + 1) is None
