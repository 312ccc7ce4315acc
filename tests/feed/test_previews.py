"""Link previews: what pages say of themselves, and that looking leads nowhere it should not and never stands in a post's way."""
from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from PIL import Image

from libs.blobs.store import BlobNotFound
from libs.testing.world import shared_data
from services.feed import links
from services.feed.previews import Previewing, Previews
from services.feed.service import SERVICE
from tests.feed.worlds import Feed, people
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.events_pb2 import PostPublished
from watercooler.identity.v1 import events_pb2 as identity

PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>Plain title</title>
<meta property="og:title" content="Cold &amp; fast"><meta property="og:description" content=" Two
lines "><meta property="og:site_name" content="Example"><meta name="author" content="Ann"><meta property="og:image" content="/p.png">
</head><body><meta property="og:title" content="not this"></body></html>"""


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (600, 300), "teal").save(out, "PNG")
    return out.getvalue()


def test_a_page_says_what_it_is() -> None:
    told = links.read(PAGE.encode(), "text/html", "https://example.com/a/b")
    assert told == links.Told("Cold & fast", "Two lines", "Example", "Ann", "https://example.com/p.png")
    plain = links.read(b"<title>Gr\xfc\xdfe</title>", "text/html; charset=iso-8859-1", "https://example.com/")
    assert (plain.title, plain.image_url) == ("Grüße", "")


@pytest.mark.parametrize(("page", "title"), [
    (b"", ""),
    (b"\x00\xff\xfe<title>\x00a\x07b</title>", "a b"),
    ("<title>\u202egnihtemos</title>".encode(), "gnihtemos"),
    (b"<title>" + b"x" * 10_000 + b"</title>", "x" * 199 + "…"),
    (b'<meta charset="no-such-code"><title>t</title>', "t"),
    (b"<meta property=og:title content='a'><meta property=og:title content='b'>", "a"),
    (b"<body><title>too late</title>", ""),
    (b"<script>" + b"<" * 300_000, ""),
    (b"<a " + b"a='" * 90_000, ""),
    (b"<!--" + b"-" * 300_000, ""),
    (b"<![CDATA[" * 30_000, ""),
])
def test_hostile_pages_are_read_within_limits(page: bytes, title: str) -> None:
    assert links.read(page, "text/html", "https://example.com/").title == title


@pytest.mark.parametrize("address", ["javascript:alert(1)", "file:///etc/passwd", "data:image/png;base64,AA", "http://[", "//["])
def test_a_picture_has_an_address_of_the_web(address: str) -> None:
    page = f'<title>t</title><meta property="og:image" content="{address}">'
    assert links.read(page.encode(), "", "https://example.com/").image_url == ""


def test_markup_of_others_is_text_or_nothing() -> None:
    shared = shared_data()
    if shared is None:
        print("skipped: the real data is not here")
        pytest.skip("the real data is not here")
    cases = json.loads((shared / "data/hostile/html-xss/dompurify-expect.json").read_text("utf-8"))
    for case in cases:
        payload = case["payload"] if isinstance(case, dict) else str(case)
        told = links.read(f"<title>t</title>{payload}".encode("utf-8", "replace"), "text/html", "https://example.com/")
        assert told == links.Told(title="t")


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def looker(feed: Feed, *, hosts: str = "", resolve: Any = None, later: timedelta = timedelta()) -> Previews:
    """What looks links up, with names that lead where the test says."""
    context = feed.world.embedded._context(SERVICE, feed.world.embedded.engines.blobs())
    now = context.now
    settings = replace(context.settings, link_previews=True, link_preview_hosts=hosts)
    return Previews(replace(context, settings=settings, now=lambda: now() + later), resolve)


async def local(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


async def note(feed: Feed, previews: Previews, post: api.Post) -> None:
    """What the reactor does with the post's publication."""
    context = previews._context
    events = [event for event in await feed.world.store("feed").read(f"post-{post.post_id}") if isinstance(event.data, PostPublished)]
    await Previewing(context, previews).react(events[0])


async def preview_of(feed: Feed, person_id: str, post: api.Post) -> api.Post:
    with feed.by(person_id):
        return await feed.stub.GetPost(api.GetPostRequest(post_id=post.post_id))  # type: ignore[no-any-return]


async def jobs(feed: Feed) -> list[Any]:
    return list(await feed.world.store("feed").database.fetch("SELECT post_id, attempts FROM preview_jobs"))


async def test_a_link_is_looked_up_beside_the_post(feed: Feed) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/p.png":
            return web.Response(body=picture(), content_type="image/png")
        if request.path == "/moved":
            raise web.HTTPFound("/page")
        return web.Response(text=PAGE, content_type="text/html")

    ann = await feed.person("ann")
    async with serving(answer) as port:
        previews = looker(feed, hosts="pages.example", resolve=local)
        post = await feed.post(ann, f"see http://pages.example:{port}/moved and http://other.example/")
        assert not post.HasField("preview")
        await note(feed, previews, post)
        await note(feed, previews, post)
        await previews.look()
    found = await preview_of(feed, ann, post)
    assert (found.preview.title, found.preview.description, found.preview.site_name) == ("Cold & fast", "Two lines", "Example")
    assert found.preview.url == f"http://pages.example:{port}/moved" and found.etag == "1"
    assert (found.preview.image_width, found.preview.image_height) == (600, 300) and found.preview.image_blob_id
    assert await jobs(feed) == []
    with feed.by(ann):
        edited = await feed.stub.EditPost(api.EditPostRequest(post_id=post.post_id, body="no link any more", etag=found.etag))
    assert not edited.HasField("preview")
    await feed.world.settle()  # the picture is noted as no longer shown
    blobs = feed.world.embedded.engines.blobs()
    await blobs.head(found.preview.image_blob_id)
    await feed.tell(f"person-{ann}", identity.PersonErased(person_id=ann))
    await feed.world.settle()
    with pytest.raises(BlobNotFound):
        await blobs.head(found.preview.image_blob_id)


@pytest.mark.parametrize("target", [
    "http://127.0.0.1/", "http://[::ffff:10.0.0.1]/", "http://169.254.169.254/latest/meta-data/", "http://inner.example/", "http://printer/",
    "http://pages.example:22/", "http://user:pass@pages.example/", "ftp://pages.example/",
])
async def test_no_link_and_no_redirect_leads_into_the_own_network(feed: Feed, target: str) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        raise web.HTTPFound(target)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return {"start.example": ["127.0.0.1"], "inner.example": ["10.0.0.8"]}.get(host, ["93.184.216.34"])

    ann = await feed.person("ann")
    async with serving(answer) as port:
        previews = looker(feed, hosts="start.example", resolve=resolve)
        post = await feed.post(ann, f"see http://start.example:{port}/first")
        await note(feed, previews, post)
        await previews.look()
    assert asked == ["/first"]
    assert not (await preview_of(feed, ann, post)).HasField("preview")
    assert await jobs(feed) == []  # refused for good


@pytest.mark.parametrize(("status", "kind", "body", "left"), [
    (404, "text/html", b"<title>gone</title>", 0),
    (200, "application/pdf", b"%PDF", 0),
    (200, "text/html", b"<p>nothing said</p>", 0),
    (503, "text/html", b"<title>later</title>", 1),
])
async def test_what_has_no_preview_is_not_asked_for_ever(feed: Feed, status: int, kind: str, body: bytes, left: int) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, content_type=kind)

    ann = await feed.person("ann")
    async with serving(answer) as port:
        post = await feed.post(ann, f"see http://start.example:{port}/")
        first = looker(feed, hosts="start.example", resolve=local)
        await note(feed, first, post)
        await first.look()
        assert len(await jobs(feed)) == left
        for hours in (2, 4, 6):
            await looker(feed, hosts="start.example", resolve=local, later=timedelta(hours=hours)).look()
    assert await jobs(feed) == []
    assert not (await preview_of(feed, ann, post)).HasField("preview")


async def test_what_is_for_few_or_old_or_not_wanted_is_left_alone(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    previews = looker(feed)
    await note(feed, previews, await feed.post(ann, "see https://one-time.example/secret", people(bob)))
    for body in ("no link, http only", "mailto:a@b.example"):
        await note(feed, previews, await feed.post(ann, body))
    public = await feed.post(ann, "see https://pages.example/")
    await note(feed, looker(feed, later=timedelta(days=2)), public)
    assert await jobs(feed) == []
    await note(feed, previews, public)
    assert len(await jobs(feed)) == 1
