"""Other servers are asked safely: nothing in the own network, nothing without end."""
from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from libs.fetch import FetchFailed, FetchRefused, Limits, fetch
from libs.fetch.addresses import is_public

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    """A server on a port of its own, and the port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def names(**table: str | Sequence[str]):
    """A resolver that knows these names only, and counts how often it was asked."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        resolve.asked.append(host)
        found = table[host.partition(".")[0]]
        return [found] if isinstance(found, str) else found

    resolve.asked = []
    return resolve


@pytest.mark.parametrize("address", [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
    "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "fec0::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1",
    "2002:7f00:1::", "2002:a00:1::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe", "no address", "",
])
def test_inner_addresses_are_told_whatever_covers_them(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are(address):
    assert is_public(address)


@pytest.mark.parametrize("url", [
    "http://127.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://localhost/", "http://localhost./", "http://printer/",
    "http://files.local/", "http://10.1.2.3:8080/x", "file:///etc/passwd", "ftp://example.com/", "http:///x", "http://user:pass@example.com/",
    "http://example.com:0/", "http://example.com:99999/", "http://exa mple.com/", "http://example.com/\r\nX: y", "http://example.com\\@127.0.0.1/",
    "nonsense", "http://example.com/" + "x" * 2_100, "http://[::1", "gopher://example.com/",
])
async def test_such_addresses_are_not_asked(url):
    resolve = names()
    with pytest.raises(FetchRefused):
        await fetch(url, resolve=resolve)
    assert resolve.asked == []


@pytest.mark.parametrize("addresses", ["127.0.0.1", "::1", "169.254.169.254", ["93.184.216.34", "10.0.0.1"], "64:ff9b::7f00:1"])
async def test_a_name_that_leads_inside_is_not_asked(addresses):
    with pytest.raises(FetchRefused, match="not a public address"):
        await fetch("http://trick.example/", resolve=names(trick=addresses))


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
async def test_odd_spellings_of_an_address_are_no_way_in(host):
    with pytest.raises((FetchRefused, FetchFailed)):
        await fetch(f"http://{host}/", limits=Limits(seconds=20))


async def test_an_allowed_host_is_asked_and_its_name_is_resolved_once():
    async def answer(request: web.Request) -> web.Response:
        assert request.headers["User-Agent"] == "Watercooler" and "Cookie" not in request.headers
        return web.Response(body=request.method.encode() + b" " + await request.read(), headers={"X-Told": "this"}, status=201)

    async with serving(answer) as port:
        resolve = names(inside="127.0.0.1")
        got = await fetch(
            f"http://inside.example:{port}/hook", method="POST", body=b"hello", allow_private={"inside.example"}, resolve=resolve,
            headers={"Content-Type": "text/plain"}, limits=Limits(seconds=60),
        )
    assert (got.status, got.body, got.headers["x-told"]) == (201, b"POST hello", "this")
    assert resolve.asked == ["inside.example"]


async def test_redirects_are_the_answer_unless_they_may_be_followed_and_lead_nowhere_forbidden():
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/end":
            return web.Response(text=request.headers.get("Authorization", "none"))
        return web.Response(status=302, headers={"Location": request.query["to"]})

    async with serving(answer) as port:
        resolve = names(inside="127.0.0.1", other="127.0.0.1", closed="127.0.0.1")
        allowed = {"inside.example", "other.example"}
        base = f"http://inside.example:{port}"

        async def follow(to: str, redirects: int):
            return await fetch(
                f"{base}/?to={to}", headers={"Authorization": "Bearer x"}, limits=Limits(seconds=60, redirects=redirects),
                allow_private=allowed, resolve=resolve,
            )

        assert (await follow("/end", 0)).status == 302
        same = await follow("/end", 3)
        assert (same.url, same.body, len(same.redirects)) == (f"{base}/end", b"Bearer x", 1)
        assert (await follow(f"http://other.example:{port}/end", 3)).body == b"none"
        for inner in (f"http://closed.example:{port}/end", f"http://127.0.0.1:{port}/end", "file:///etc/passwd", "//localhost/"):
            with pytest.raises(FetchRefused):
                await follow(inner, 3)
        with pytest.raises(FetchFailed, match="more than 2 times"):
            await follow("/?to=/?to=/", 2)


async def test_what_is_too_long_is_refused_or_cut_and_compression_does_not_hide_it():
    async def answer(request: web.Request) -> web.Response:
        body = b"a" * 3_000_000
        if request.path == "/packed":
            return web.Response(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})
        return web.Response(body=body)

    async with serving(answer) as port:
        for path in ("/", "/packed"):
            url = f"http://inside.example:{port}{path}"
            options = {"allow_private": {"inside.example"}, "resolve": names(inside="127.0.0.1")}
            with pytest.raises(FetchFailed, match="1,000 bytes"):
                await fetch(url, limits=Limits(seconds=60, bytes_max=1_000), **options)
            cut = await fetch(url, limits=Limits(seconds=60, bytes_max=1_000, cut=True), **options)
            assert cut.was_cut and cut.body == b"a" * 1_000


async def test_a_server_that_never_ends_is_given_up():
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await over.wait()
        return response

    async with serving(answer) as port:
        options = {"allow_private": {"inside.example"}, "resolve": names(inside="127.0.0.1")}
        with pytest.raises(FetchFailed, match=r"within 0\.5 seconds"):
            await fetch(f"http://inside.example:{port}/", limits=Limits(seconds=0.5), **options)
        over.set()


async def test_what_is_no_server_or_speaks_no_http_is_said():
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-hello\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = {"allow_private": {"inside.example"}, "resolve": names(inside="127.0.0.1")}
    async with server:
        with pytest.raises(FetchFailed, match="HTTP"):
            await fetch(f"http://inside.example:{port}/", limits=Limits(seconds=60), **options)
    with pytest.raises(FetchFailed, match="cannot be reached"):
        await fetch(f"http://inside.example:{port}/", limits=Limits(seconds=60), **options)

    async def nobody(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(FetchFailed, match="no server named gone.example"):
        await fetch("http://gone.example/", resolve=nobody)


async def test_headers_cannot_be_smuggled_in():
    for name, value in (("X-A", "b\r\nHost: evil"), ("X A", "b"), ("", "b")):
        with pytest.raises(FetchRefused, match="header"):
            await fetch("http://example.com/", headers={name: value}, resolve=names())
