"""Whatever a client sends within or beside the OpenAPI document, the answer is no server error and is as documented."""

# ruff: noqa: B023 - each generated test runs within its own round of the loop.
from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import httpx
import hypothesis
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck

from libs.testing.world import World
from services.feed.service import SERVICE as FEED
from services.gateway.api.openapi import document
from services.gateway.api.operations import OPERATIONS
from services.gateway.service import SERVICE as GATEWAY
from services.identity.service import SERVICE as IDENTITY
from services.search.service import SERVICE as SEARCH

from .conftest import BASE, QUICK, Network

# No limits in the way of a flood, and a minute at most: each operation gets its even share.
FLOOD = {**QUICK, "rate_reads_per_minute": 1_000_000, "rate_writes_per_minute": 1_000_000, "rate_sign_ins_per_minute": 10_000}
SECONDS = 60.0
EXAMPLES = 12

ANSWERS = {each.name: each.answer for each in OPERATIONS}
SCHEMA = schemathesis.openapi.from_dict(document())


class Running:
    """The network on an event loop of its own thread, since schemathesis is not asynchronous."""

    def __init__(self, folder: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="network")
        self.thread.start()
        self._world = World.of(folder, IDENTITY, FEED, SEARCH, GATEWAY, **FLOOD)
        # Ids that exist, by the name of the path parameter they go into.
        self.known: dict[str, list[str]] = {}
        self.network = self.run(self._begin())

    async def _begin(self) -> Network:
        network = Network(await self._world.__aenter__())
        await network.set_up()
        other = await network.person("Bo Berg")
        post = (await other.post("/posts", {"body": "Hello #water"})).json()
        mine = (await network.administrator.post("/posts", {"body": "To be edited"})).json()
        community = (await network.administrator.post("/communities", {"name": "Pumps", "kind": "closed"})).json()
        await other.post(f"/communities/{community['id']}/join")
        self.known = {
            "person_id": [network.administrator.id, other.id],
            "post_id": [post["id"], mine["id"]],
            "community_id": [community["id"]],
            "role": ["leader", "guest"],
            "tag": ["water"],
        }
        await network.world.settle()
        return network

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def stop(self) -> None:
        self.run(self._world.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    found = Running(tmp_path_factory.mktemp("network"))
    yield found
    found.stop()


def send(running: Running, case: Any) -> httpx.Response:
    """Send a generated case as the administrator."""
    options = case.as_transport_kwargs(base_url=BASE)
    client = running.network.administrator.client
    request = httpx_request(options)
    request.headers["authorization"] = client.headers["authorization"]

    async def ask() -> httpx.Response:
        async with asyncio.timeout(20):
            return await client.send(request)

    answer: httpx.Response = running.run(ask())
    return answer


def httpx_request(options: dict[str, Any]) -> httpx.Request:
    """What schemathesis would hand to `requests`, prepared by that library and carried over byte by byte."""
    import requests

    options = {
        name: value for name, value in options.items() if name in ("method", "url", "headers", "data", "json", "files", "params", "cookies")
    }
    prepared = requests.Request(**options).prepare()
    body = prepared.body
    content = body.encode() if isinstance(body, str) else body
    headers = {name: value for name, value in prepared.headers.items() if name.lower() != "content-length"}
    assert prepared.url is not None
    return httpx.Request(prepared.method or "GET", prepared.url, headers=headers, content=content or b"")


def operations() -> list[Any]:
    return [found.ok() for found in SCHEMA.get_all_operations()]


JUNK = [
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    -(2**63),
    1e308,
    "",
    " ",
    "\0",
    "\x7f",
    "a" * 300,
    "x" * 40_000,
    "\u202e",
    "\U0001f469\u200d\U0001f52c",
    "%00",
    "../..",
    "'; DROP TABLE events; --",
    [],
    {},
    [[]],
    [None],
    ["a"] * 300,
    {"a": None},
    "9999-12-31T23:59:59.999999-23:59",
    "0001-01-01T00:00:00+23:59",
    "2026-01-01T00:00:00",
    "00000000-0000-0000-0000-000000000000",
    "01a2087f-3607-722b-bb09-fd61c059225b",
    "e\u0301" * 100,
]
BODIES = [
    b"",
    b" ",
    b"{",
    b"null",
    b"[]",
    b"1",
    b'"x"',
    b"\xff\xfe",
    b'{"a":"\\ud800"}',
    b'{"body":"\\ud800"}',
    b'{"body":"a\\u0000b"}',
    b'{"body":"a\x00b"}',
    b"[" * 20_000,
    b'{"a":' * 20_000,
    b'{"body":1e999999}',
    b"{}" * 10,
    b'{"body":"a","body":"b"}',
    b"--x\r\n\r\n",
    "{\u200b}".encode("utf-16"),
]
TYPES = [
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "image/png",
    "",
    "application/json; charset=utf-16",
]
QUERIES = [
    "page_size=0",
    "page_size=201",
    "page_size=x",
    "page_size=1&page_size=2",
    "page_token=%00",
    "page_token=%FF",
    "page_token=abc",
    "page_token=MTI%3D",
    "page_token=" + "A" * 5_000,
    "unknown=1",
    "&&&=&=",
    "%",
    "page_size=%ud800",
    "after=99999999999999999999",
    "query=%F0%9F%98%80",
    "query=" + "a" * 501,
    "kind=post&kind=nothing",
    "after_time=yesterday",
    "after_time=0001-01-01T00:00:00%2B23:59",
    "emoji=%E2%9D%A4",
    "depth=9",
    "id=" + "&id=" * 400,
    "query=%22%28%2A%5B%5E%7E%3AAND%20OR",
    "page_token=eyJ4IjoxfQ==",
    "page_token=W10",
    "page_token=bnVsbA",
    "page_token=" + "9" * 40,
]


@pytest.mark.timeout(400)
def test_no_request_is_answered_by_a_server_error(running: Running) -> None:
    every = operations()
    assert len(every) > 80
    started = time.monotonic()
    sent: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    for number, declared in enumerate(every):
        until = started + SECONDS * (number + 1) / len(every)

        @hypothesis.given(case=declared.as_strategy(), data=hypothesis.strategies.data())
        @hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def one(case: Any, data: Any) -> None:
            for name, choice in running.known.items():
                if name in (case.path_parameters or {}) and data.draw(hypothesis.strategies.booleans()):
                    case.path_parameters[name] = data.draw(hypothesis.strategies.sampled_from(choice))
            if declared.path.endswith(("/offboard", "/erase", "/roles/{role}")):
                hypothesis.assume(case.path_parameters["person_id"] != running.network.administrator.id)
            # Not before the last draw: what is drawn may not depend on the time, or Hypothesis takes it for flaky.
            if time.monotonic() > until and sent[declared.label] >= 5:
                return
            answer = send(running, case)
            sent[declared.label] += 1
            statuses[answer.status_code] += 1
            judge(declared, answer)

        one()
    print(f"{sum(sent.values())} requests to {len(sent)} operations in {time.monotonic() - started:.0f} s: {dict(statuses)}")
    assert len(sent) == len(every)


def judge(declared: Any, answer: httpx.Response) -> None:
    """No server error, problem details for what is refused, and a status that the document names."""
    told = f"{answer.request.method} {answer.request.url} {answer.request.content[:300]!r}: {answer.status_code} {answer.text[:500]}"
    assert answer.status_code < 500, told
    assert str(answer.status_code) in declared.definition.raw["responses"], told
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", told
    elif answer.content:
        kind = ANSWERS[declared.definition.raw["operationId"]]
        assert kind is not None, told
        msgspec.json.decode(answer.content, type=kind)


@pytest.mark.timeout(400)
def test_junk_is_refused_and_nothing_breaks(running: Running) -> None:
    random = Random(20260301)
    statuses: Counter[int] = Counter()
    for declared in operations():
        raw = declared.definition.raw
        method, path = declared.method.upper(), declared.path
        names = [each["name"] for each in raw.get("parameters", ()) if each["in"] == "path"]
        for name in names:
            path = path.replace("{" + name + "}", random.choice(running.known.get(name, ["administrator"])))
        safe = path.replace(running.network.administrator.id, random.choice(running.known["person_id"][1:]))
        requests: list[tuple[str, bytes, dict[str, str]]] = [(f"{safe}?{query}", b"", {}) for query in random.sample(QUERIES, 8)]
        requests += [
            (declared.path.replace("{", "").replace("}", "x" * 400), b"{}", {}),
            (declared.path.replace("{", "%00").replace("}", "%FF"), b"", {}),
        ]
        if method != "GET":
            requests += [(safe, body, {"content-type": random.choice(TYPES)}) for body in random.sample(BODIES, 8)]
            requests += [(safe, json.dumps(each).encode(), {"content-type": "application/json"}) for each in objects(raw, random)]
            requests += [
                (safe, b"{}", {"content-type": "application/json", "if-match": tag})
                for tag in ("7", '"', '"\xe9"', '"a", "b"', 'W/"1"', "*")
            ]
            requests += [
                (safe, b"{}", {"content-type": "application/json", "idempotency-key": key}) for key in ("", "k" * 300, "\xe9", '"x"')
            ]
        for target, body, headers in requests:
            if declared.path == "/api/v1/sessions/{session_id}":
                continue
            answer = running.run(running.network.administrator.client.request(method, BASE + target, content=body, headers=latin(headers)))
            statuses[answer.status_code] += 1
            judge(declared, answer)
    print(dict(statuses))
    assert statuses[400] > 500


def latin(headers: dict[str, str]) -> dict[str, bytes]:
    return {name: value.encode("latin-1") for name, value in headers.items()}


def objects(raw: dict[str, Any], random: Random) -> list[Any]:
    """Bodies of the right fields with wrong values."""
    content = raw.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return []
    name = content["schema"]["$ref"].rpartition("/")[2]
    fields = list(document()["components"]["schemas"][name]["properties"])
    found: list[Any] = [{}, {"nonsense": 1}]
    for _ in range(25):
        found.append({field: random.choice(JUNK) for field in fields if random.random() < 0.7})
    return found
