"""What a process finds out of the search engine and the store of files before it begins: wrong settings stop it, absence is waited for.

The servers here answer as the real ones do where it matters; those are asked in tests/cluster.
"""
from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from libs.runtime.cluster import Process
from libs.runtime.settings import Settings, SettingsError
from services.main import SERVICES
from tests.runtime.test_cluster import CLUSTER

EMPTY = '<?xml version="1.0"?><ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated></ListBucketResult>'
OPENSEARCH = json.dumps({"version": {"distribution": "opensearch", "number": "3.1.0"}})
SECRET = "quite-secret"


Answer = tuple[int, str]


@asynccontextmanager
async def server(*answers: Answer, port: int = 0) -> AsyncIterator[int]:
    """A server that gives these answers one after the other, the last one for ever; answers its port."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            status, body = left.pop(0) if len(left) > 1 else left[0]
            kind = "application/xml" if body.startswith("<") else "application/json"
            head = f"HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            writer.write((head + body).encode())
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # somebody only looked whether anybody listens
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", port, reuse_port=bool(port))
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


def xml(code: str) -> str:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message></Error>'


def process(name: str, settings: Settings) -> Process:
    return Process(next(each for each in SERVICES if each.name == name), settings, ["worker"])


def bucket(port: int) -> Settings:
    return replace(
        CLUSTER, blob_endpoint=f"http://127.0.0.1:{port}", blob_access_key="me", blob_secret_key=SECRET, blob_region="us-east-1"
    )


def search(port: int) -> Settings:
    return replace(CLUSTER, search_url=f"http://127.0.0.1:{port}", search_username="me", search_password=SECRET)


@pytest.mark.parametrize(("status", "code", "named"), [
    (403, "InvalidAccessKeyId", "blob_access_key, blob_secret_key: "), (403, "SignatureDoesNotMatch", "blob_access_key, blob_secret_key: "),
    (404, "NoSuchBucket", "blob_url: nobody knows the bucket bucket"), (400, "AuthorizationHeaderMalformed", "blob_region: "),
])
async def test_a_bucket_that_refuses_us_stops_the_start_by_the_setting(status: int, code: str, named: str) -> None:
    async with server((status, xml(code))) as port:
        with pytest.raises(SettingsError) as caught:
            await process("feed", bucket(port)).check_engines()
    assert caught.value.problems[0].startswith(named)
    assert SECRET not in str(caught.value)


async def test_a_bucket_that_has_too_much_to_do_is_waited_for() -> None:
    # As often refused as the client itself tries again, and once more.
    async with server(*[(503, xml("SlowDown"))] * 5, (200, EMPTY)) as port:
        async with asyncio.timeout(60):
            await process("feed", bucket(port)).check_engines()


@pytest.mark.parametrize(("status", "body", "named"), [
    (401, "Unauthorized", "search_username and search_password"), (200, json.dumps({"version": {"number": "8.1"}}), "search_url"),
])
async def test_a_search_engine_that_refuses_us_stops_the_start_by_the_setting(status: int, body: str, named: str) -> None:
    async with server((status, body)) as port:
        with pytest.raises(SettingsError, match=named) as caught:
            await process("search", search(port)).check_engines()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("name", "engine"), [("feed", "S3"), ("search", "OpenSearch")])
async def test_an_engine_that_is_away_is_waited_for_and_named(name: str, engine: str) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port, and nobody answers there
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        settings = bucket(port) if name == "feed" else search(port)
        waiting = process(name, settings)
        checking = asyncio.create_task(waiting.check_engines())
        async with asyncio.timeout(60):
            while engine not in waiting.waits:
                await asyncio.sleep(0.01)
            assert f"127.0.0.1:{port}" in waiting.waits[engine]
            async with server((200, EMPTY if name == "feed" else OPENSEARCH), port=port):
                await checking
    assert engine not in waiting.waits


async def test_a_service_asks_only_the_engines_it_needs() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()[1]
        async with server((200, OPENSEARCH)) as port, asyncio.timeout(60):
            await process("search", replace(search(port), blob_endpoint=f"http://127.0.0.1:{nobody}")).check_engines()
