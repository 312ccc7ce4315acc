"""What is taken away is gone within a second, over every way in and in streams that are open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from tests.gateway.test_live import Listener
from tests.security.conftest import PASSWORD, Network, Person

SOON = 1.0


async def within(check: Callable[[], Awaitable[bool]], what: str) -> None:
    """Ask until it is so; fail after a second."""
    end = time.monotonic() + SOON
    while not await check():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.01)


async def listen(network: Network, person: Person) -> Listener:
    """An open stream of live updates, past its beginning."""
    queue = (await person.client.get("/live/register")).json()["queue"]
    found = Listener(network, person, f"/live?queue={queue}", {})
    async with asyncio.timeout(5):
        while not found.status:
            await asyncio.sleep(0)
    assert found.status == 200
    return found


async def ended(stream: Listener) -> None:
    """The stream ends within a second, whatever it told before."""
    async with asyncio.timeout(SOON):
        while await stream.next() is not None:
            pass


async def status(person: Person, path: str) -> int:
    return (await person.get(path)).status_code


async def finds(person: Person, word: str) -> bool:
    return bool((await person.get(f"/find?query={word}")).json()["hits"])


async def test_leaving_a_community_takes_its_posts_from_sight(network: Network) -> None:
    owner, member, other = [await network.person(name) for name in ("Olga Owner", "Mia Member", "Otto Other")]
    for kind in ("closed", "secret"):
        made = (await owner.post("/communities", {"name": f"{kind} circle", "kind": kind})).json()["id"]
        for person in (member, other):
            assert (await owner.post(f"/communities/{made}/members", {"person_id": person.id})).status_code == 201
        audience = {"kind": "community", "id": made}
        post = (await owner.post("/posts", {"body": f"quokka{kind} @mia.member @otto.other #quokka", "audience": audience})).json()["id"]
        await network.world.settle()
        assert await finds(member, f"quokka{kind}") and await finds(other, f"quokka{kind}")
        assert (await member.post(f"/communities/{made}/leave")).status_code == 200
        assert (await owner.delete(f"/communities/{made}/members/{other.id}")).status_code == 200
        for person in (member, other):
            for path in (f"/posts/{post}", f"/posts/{post}/thread", f"/feeds/communities/{made}" if kind == "secret" else f"/posts/{post}"):
                assert await status(person, path) == 404
            for path in ("/inbox", "/feeds/home", f"/feeds/people/{owner.id}", "/feeds/tags/quokka"):
                assert f"quokka{kind}" not in (await person.get(path)).text, path

            async def gone(reader: Person = person, word: str = f"quokka{kind}") -> bool:
                return not await finds(reader, word)

            await within(gone, "search goes on finding it")
        queue = network.gateway.live.find((await member.client.get("/live/register")).json()["queue"], member.id)
        assert queue is not None
        await owner.post("/posts", {"body": "more", "audience": audience})
        await network.world.settle()
        assert not queue.waiting


async def test_a_community_that_closes_is_closed_at_once(network: Network) -> None:
    owner, reader = [await network.person(name) for name in ("Olga Owner", "Rita Reader")]
    made = (await owner.post("/communities", {"name": "Open circle", "kind": "open"})).json()["id"]
    post = (await owner.post("/posts", {"body": "wombat #wombat", "audience": {"kind": "community", "id": made}})).json()["id"]
    assert (await reader.put(f"/posts/{post}/save")).status_code == 200
    await network.world.settle()
    assert await finds(reader, "wombat")
    assert (await owner.patch(f"/communities/{made}", {"kind": "secret"})).status_code == 200
    for path in (f"/posts/{post}", f"/communities/{made}", f"/feeds/communities/{made}"):
        assert await status(reader, path) == 404, path
    for path in ("/feeds/company", "/feeds/saved", "/feeds/tags/wombat", "/topics"):
        assert "wombat" not in (await reader.get(path)).text.replace('"tag":"wombat"', "" if "tags/" in path else "wombat"), path

    async def gone() -> bool:
        return not await finds(reader, "wombat") and not await finds(reader, "circle")

    await within(gone, "search goes on finding it")


async def test_who_unfollows_reads_no_more(network: Network) -> None:
    author, reader = [await network.person(name) for name in ("Anna Author", "Rita Reader")]
    await reader.put(f"/people/{author.id}/follow")
    post = (await author.post("/posts", {"body": "numbat", "audience": {"kind": "followers"}})).json()["id"]
    answer = (await reader.post("/posts", {"body": "numbat too", "parent_id": post})).json()["id"]
    await network.world.settle()
    assert await finds(reader, "numbat")
    assert (await reader.delete(f"/people/{author.id}/follow")).status_code == 200
    assert await status(reader, f"/posts/{post}") == 404
    assert await status(reader, f"/posts/{answer}") == 404

    async def gone() -> bool:
        return not await finds(reader, "numbat")

    await within(gone, "search goes on finding it")


async def test_whoever_leaves_is_out_at_once_with_every_open_stream(network: Network) -> None:
    admin = network.administrator
    for way in ("offboard", "erase"):
        person = await network.person(f"Lea {way}")
        browser = await network.browser(person)
        streams = [await listen(network, person), await listen(network, browser)]
        assert (await admin.post(f"/people/{person.id}/{way}")).status_code == 200
        for stream in streams:
            await ended(stream)
        for each in (person, browser):
            assert await status(each, "/me") == 401
            assert (await each.client.get("/live/register")).status_code == 401


async def test_a_former_administrator_follows_no_events(network: Network) -> None:
    person = await network.person("Rolf Role")
    await network.administrator.put(f"/people/{person.id}/roles/administrator")
    await network.world.settle()
    browser = await network.browser(person)
    events = Listener(network, browser, "/api/v1/events?service=feed", {"accept": "text/event-stream"})
    async with asyncio.timeout(5):
        while not events.status:
            await asyncio.sleep(0)
    assert events.status == 200
    live = await listen(network, browser)
    assert (await network.administrator.delete(f"/people/{person.id}/roles/administrator")).status_code == 200
    await ended(events)
    await ended(live)
    assert await status(browser, "/events") == 403
    assert (await browser.post("/people", {"name": "Eve", "email": "eve@water.example"})).status_code == 403


async def test_the_streams_of_ended_sessions_end(network: Network) -> None:
    person = await network.person("Sina Session")
    kept = await network.browser(person)
    for change in (
        lambda: kept.delete("/sessions"),
        lambda: kept.put("/me/password", {"current_password": PASSWORD, "new_password": "nine loud cranes under Narva"}),
    ):
        other = await network.browser(person)
        mine, theirs = await listen(network, kept), await listen(network, other)
        assert (await change()).status_code == 200
        await ended(theirs)
        assert await status(other, "/me") == 401
        assert network.gateway.live.connections(person.id) >= 1, "one's own stream goes on"
        await mine.leave()


async def test_the_stream_of_a_revoked_token_ends(network: Network) -> None:
    person = await network.person("Toni Token")
    stream = await listen(network, person)
    token = (await person.get("/access-tokens")).json()["tokens"][0]["id"]
    assert (await network.administrator.delete(f"/access-tokens/{token}")).status_code == 200
    await ended(stream)
    assert await status(person, "/me") == 401
