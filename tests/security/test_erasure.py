"""After an erasure nothing personal is left anywhere in the data folder, whoever looks and however raw."""

from __future__ import annotations

import asyncio
import gc
import io
import sqlite3
from pathlib import Path

from PIL import Image

from services.gateway.files import sweep_thumbnails
from tests.security.conftest import PASSWORD, Network, Person, as_page

# No other word of the network contains any of these.
WORDS = (
    "quellmunda",
    "zyxgratia",
    "frobnard",
    "wexholm",
    "plinthwort",
    "snargle",
    "tovemoor",
    "glimmerfen",
    "hobbleton",
    "mirkwallow",
    "oxenfrith",
)


def png(colour: tuple[int, int, int]) -> bytes:
    """A picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (300, 200), colour).save(file, "PNG")
    return file.getvalue()


async def upload(person: Person, content: bytes) -> str:
    answer = await person.client.post("/api/v1/uploads", content=content, headers={"content-type": "image/png"})
    assert answer.status_code == 201, answer.text
    blob_id: str = answer.json()["blob_id"]
    thumbnail = await person.client.get(f"/media/{blob_id}?size=thumbnail")
    assert thumbnail.status_code == 200
    return blob_id


def files_with(folder: Path, words: tuple[str, ...]) -> list[str]:
    """Which files hold which words, in any letter case, as UTF-8 or UTF-16."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes().lower()
        for word in words:
            if word.encode() in content or word.encode("utf-16-le") in content:
                found.append(f"{path.relative_to(folder)}: {word}")
    return found


def checkpoint(folder: Path) -> None:
    """Empty the write-ahead logs, as SQLite does by itself when they grow and when the process stops."""
    for path in folder.glob("*.db"):
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        connection.close()


async def test_nothing_of_an_erased_person_is_left(network: Network, tmp_path: Path) -> None:
    data = tmp_path / "var"
    admin = network.administrator
    friend = await network.person("Frida Friend")
    made = await admin.post(
        "/people",
        {
            "name": "Zyxgratia Quellmunda",
            "email": "zyxgratia@quellmunda.example",
            "handle": "brim.below",
            "password": PASSWORD,
            "title": "Keeper of the frobnard",
            "about": "I live at **Wexholm** and like plinthwort.",
            "location": "Tovemoor",
            "employee_number": "oxenfrith-7",
            "contact": {"phone": "+49 snargle"},
        },
        headers={"idempotency-key": "made"},
    )
    assert made.status_code == 201, made.text
    person = Person(network, made.json()["id"], "zyxgratia@quellmunda.example")
    token = await admin.post("/access-tokens", {"name": "glimmerfen", "scopes": ["read", "write"], "person_id": person.id})
    assert token.status_code == 201, token.text
    person = Person(network, person.id, person.email, token.json()["secret"])
    await network.world.settle()
    browser = Person(network, person.id, person.email)
    signed = await browser.post("/sessions", {"email": person.email, "password": PASSWORD}, headers={"user-agent": "Hobbleton/1"})
    assert signed.status_code == 201
    assert (await network.anybody.post("/password/forgotten", {"email": person.email})).status_code == 202
    await idle_letters(network, data, 1)
    renamed = await admin.patch(f"/people/{person.id}", {"email": "mirkwallow@quellmunda.example"})
    assert renamed.status_code == 200, renamed.text
    assert (await network.anybody.post("/password/forgotten", {"email": "mirkwallow@quellmunda.example"})).status_code == 202
    await idle_letters(network, data, 2)
    photo, picture, second, shared = [await upload(person, png((n, 9, 200 - n))) for n in (10, 20, 30, 40)]
    assert (await person.put(f"/people/{person.id}/photo", {"blob_id": photo})).status_code == 200
    body = {
        "body": "The snargle is broken, tovemoor knows",
        "attachments": [{"blob_id": picture, "description": "A snargle"}, {"blob_id": shared}],
    }
    post = await person.post("/posts", body, headers={"idempotency-key": "first"})
    assert post.status_code == 201, post.text
    edited = await person.patch(f"/posts/{post.json()['id']}", {"body": "The glimmerfen is mended", "attachments": [{"blob_id": second}]})
    assert edited.status_code == 200, edited.text
    friends = await friend.post("/posts", {"body": "Thanks @brim.below", "attachments": [{"blob_id": shared}]})
    assert friends.status_code == 201
    reply = await person.post("/posts", {"body": "hobbleton", "parent_id": friends.json()["id"]})
    assert reply.status_code == 201
    assert (await person.post(f"/posts/{friends.json()['id']}/reactions", {"emoji": "👍"})).status_code < 300
    deleted = await person.post("/posts", {"body": "A wexholm, soon gone", "attachments": [{"blob_id": picture}]})
    assert (await person.delete(f"/posts/{deleted.json()['id']}")).status_code == 200
    await network.world.settle()
    seen = await friend.get("/inbox")
    assert "Quellmunda" in seen.text
    browsing = await network.browser(friend)
    for path in ("/", f"/people/{person.id}", "/notifications", "/search?q=snargle", "/people"):
        await as_page(browsing, path)
    for query in ("glimmerfen", "quellmunda"):
        assert (await friend.get("/find", params={"query": query})).json()["hits"], query
    checkpoint(data)
    before = files_with(data, WORDS)
    assert {line.partition("/")[0].partition(":")[0] for line in before} >= {"identity.db", "feed.db", "search.db", "gateway.db"}, before

    erased = await admin.post(f"/people/{person.id}/erase")
    assert erased.status_code == 200, erased.text
    await network.world.settle()
    async with asyncio.timeout(20):
        while not await rebuilt(network):
            await asyncio.sleep(0.05)
    await sweep_thumbnails(network.gateway.context.database, network.gateway.blobs)
    gc.collect()
    checkpoint(data)
    assert files_with(data, WORDS) == []
    kept = (await friend.get(f"/posts/{friends.json()['id']}")).json()["attachments"][0]["url"].rpartition("/")[2]
    assert kept == shared
    assert (await friend.client.get(f"/media/{shared}")).status_code == 200, "what somebody else shows too stays"
    assert (await friend.client.get(f"/media/{shared}?size=thumbnail")).status_code == 200
    for gone in (photo, picture, second):
        for size in ("", "?size=thumbnail"):
            assert (await friend.client.get(f"/media/{gone}{size}")).status_code == 404
    assert len([path for path in (data / "blobs" / "content").rglob("*") if path.is_file()]) == 2
    # Nor does anybody see them, in what they keep of it.
    thread = f"/posts/{friends.json()['id']}/thread"
    for path in ("/inbox", thread, f"/people/{person.id}", "/feeds/home", f"/people/{person.id}/followers"):
        answer = await friend.get(path)
        assert answer.status_code in (200, 404), path
        assert not [word for word in WORDS if word in answer.text.lower()], path
    assert (await person.get("/me")).status_code == 401
    assert (await browser.get("/me")).status_code == 401
    await network.world.assert_rebuilds()
    assert files_with(data, WORDS) == []


async def idle_letters(network: Network, data: Path, count: int) -> None:
    """Wait for letters that are written after the answer."""
    async with asyncio.timeout(10):
        while len(list(data.rglob("*.eml"))) < count:
            await asyncio.sleep(0.02)


async def rebuilt(network: Network) -> bool:
    """Whether no rebuild of the search index is due."""
    database = network.world.store("search").database
    due = await database.fetch("SELECT part FROM rebuild_requests WHERE part = 'index' AND finish_time = 0")
    return not due
