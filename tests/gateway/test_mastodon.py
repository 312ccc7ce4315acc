"""Mastodon's client API: how parameters are read, what paths and scopes lead to, refusals in its form, pictures, WebSockets."""
from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from libs.text.ids import id_at, new_id, time_of
from services.gateway.api import MODULES
from services.gateway.api.operations import OPERATIONS
from services.gateway.mastodon import paging, params
from services.gateway.mastodon.entities import Site, of_seconds
from services.gateway.mastodon.router import ROUTES, Route, Table, allows
from services.gateway.problems import Refusal
from tests.gateway.conftest import Network, Person

FORM = "application/x-www-form-urlencoded"


# --- parameters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("query", "body", "media_type", "expected"), [
    (b"limit=5&max_id=x", b"", "", {"limit": "5", "max_id": "x"}),
    (b"id[]=a&id[]=b", b"", "", {"id": ["a", "b"]}),
    (b"id=a&id=b", b"", "", {"id": ["a", "b"]}),
    (b"", b"status=x&poll[options][]=a&poll[options][]=b&poll[multiple]=true", FORM, {
        "status": "x", "poll": {"options": ["a", "b"], "multiple": "true"},
    }),
    (b"", b"keywords_attributes[][keyword]=a&keywords_attributes[][whole_word]=1&keywords_attributes[][keyword]=b", FORM, {
        "keywords_attributes": [{"keyword": "a", "whole_word": "1"}, {"keyword": "b"}],
    }),
    (b"", b"fields_attributes[0][name]=Room&fields_attributes[0][value]=4", FORM, {
        "fields_attributes": {"0": {"name": "Room", "value": "4"}},
    }),
    (b"", b'{"media_ids": ["a"], "poll": {"options": ["x"]}}', "application/json", {"media_ids": ["a"], "poll": {"options": ["x"]}}),
    (b"", b'{"media_ids[]": "a"}', "application/json", {"media_ids": ["a"]}),
    (b"status=query", b"status=body", FORM, {"status": "body"}),
    (b"", b'{"status": "no type"}', "", {"status": "no type"}),
    (b"", b"status=no+type", "", {"status": "no type"}),
])
def test_parameters_read_alike_however_they_come(query: bytes, body: bytes, media_type: str, expected: dict[str, Any]) -> None:
    assert params.read(query, body, media_type).values == expected


def test_a_multipart_body_has_texts_and_files() -> None:
    body = (
        b'--b\r\ncontent-disposition: form-data; name="description"\r\n\r\nA boat\r\n--b\r\n'
        b'content-disposition: form-data; name="file"; filename="a.png"\r\ncontent-type: image/png\r\n\r\n\x89PNG\r\n\r\n--b--\r\n'
    )
    read = params.read(b"", body, 'multipart/form-data; boundary="b"')
    file = read.file("file")
    assert read.text("description") == "A boat" and file is not None
    assert (file.name, file.media_type, file.content) == ("a.png", "image/png", b"\x89PNG\r\n")


@pytest.mark.parametrize("bad", [b"a=1&a[b]=2", b"a[]=1&a[b]=2", b"a[b]=1&a[]=2"])
def test_a_name_is_one_thing(bad: bytes) -> None:
    with pytest.raises(Refusal) as told:
        params.read(bad, b"", "")
    assert told.value.status == 422


@pytest.mark.parametrize(("body", "media_type"), [
    (b"[1]", "application/json"), (b"{", "application/json"), (b"%ff=1", FORM), (b"&".join(b"a%d=1" % n for n in range(600)), FORM),
    (b"nothing", "multipart/form-data; boundary=b"), (b"[" * 5_000, "application/json"),
])
def test_what_cannot_be_read_is_refused(body: bytes, media_type: str) -> None:
    with pytest.raises(Refusal) as told:
        params.read(b"", body, media_type)
    assert told.value.status == 400


def test_values_have_types_and_limits() -> None:
    read = params.Params({"yes": "on", "no": "0", "true": True, "n": "900", "bad": "x", "long": "x" * 20_000, "one": "a", "nul": "a\0"})
    assert read.flag("yes") and not read.flag("no") and read.flag("true") and read.flag("absent", True)
    assert read.whole("n", 20, 1, 40) == 40 and read.whole("absent", 20, 1, 40) == 20 and read.texts("one") == ["a"]
    for refused in (lambda: read.whole("bad", 1, 1, 2), lambda: read.text("long"), lambda: read.text("nul"), lambda: read.moment("bad")):
        with pytest.raises(Refusal):
            refused()


# --- paths, scopes, ids ----------------------------------------------------------------------------------------------


def test_fixed_parts_of_a_path_go_before_varying_ones() -> None:
    table = Table(ROUTES)
    for method, path, expected in (
        ("GET", "accounts/verify_credentials", "accounts/verify_credentials"), ("GET", "accounts/x", "accounts/:id"),
        ("GET", "filters/x", "filters/:id"), ("GET", "timelines/home/", "timelines/home"),
        ("POST", "notifications/clear", "notifications/clear"), ("GET", "notifications/x", "notifications/:id"),
        ("GET", "notifications/requests/merged", "notifications/requests/merged"),
    ):
        found, _ = table.find(method, f"/api/v1/{path}")
        assert isinstance(found, Route) and found.path == f"/api/v1/{expected}"
    assert table.find("DELETE", "/api/v1/timelines/home") == (None, ("GET",))
    assert table.find("GET", "/api/v1/posts/x") == (None, ()) and not table.owns("/api/v1/posts/x") and table.owns("/api/v1/accounts/x/y")


def test_no_path_is_declared_twice() -> None:
    declared = [(each.method, each.path) for each in ROUTES]
    assert len(declared) == len(set(declared)) and len(declared) > 190


def test_our_own_paths_use_other_words() -> None:
    assert MODULES  # imported, so that they are declared
    own = {each.path.split("/")[3] for each in OPERATIONS}
    assert own & Table(ROUTES).words == set()


@pytest.mark.parametrize(("scopes", "needed", "expected"), [
    ({"read"}, "read:statuses", True), ({"read:statuses"}, "read:statuses", True), ({"read:accounts"}, "read:statuses", False),
    ({"read"}, "write:statuses", False), ({"follow"}, "write:follows", True), ({"follow"}, "read:blocks", True),
    ({"follow"}, "write:statuses", False), ({"push"}, "push", True), ({"write"}, "push", True), ({"read"}, "push", False),
    ({"profile"}, "read:accounts:me", True), ({"profile"}, "read:accounts", False), ({"read:accounts"}, "read:accounts:me", True),
    (set(), "", True), (set(), "read:statuses", False),
])
def test_scopes(scopes: set[str], needed: str, expected: bool) -> None:
    assert allows(frozenset(scopes), needed) is expected


def test_ids_sort_as_text_and_dates_become_ids() -> None:
    ids = [new_id() for _ in range(50)]
    assert ids == sorted(ids) and {len(each) for each in ids} == {36}
    moment = time_of(ids[0])
    snowflake = str(int(moment.timestamp() * 1000) << 16)
    mark = paging._mark(snowflake)
    assert mark <= ids[0] and abs((time_of(mark) - moment).total_seconds()) < 0.01 and mark[:13] == id_at(moment)[:13]


def test_addresses_of_pictures_carry_their_right_and_end() -> None:
    site, other = Site.of("https://water.example", "a key " * 8), Site.of("https://water.example", "b key " * 8)
    url = site.image("blob-1")
    fields = dict(part.split("=") for part in url.partition("?")[2].split("&"))
    assert site.may_read("blob-1", fields["until"], fields["key"])
    assert not site.may_read("blob-2", fields["until"], fields["key"]) and not other.may_read("blob-1", fields["until"], fields["key"])
    assert not site.may_read("blob-1", "1", fields["key"]) and not site.may_read("blob-1", fields["until"] + "0", fields["key"])
    assert of_seconds(0, 5) == "1970-01-01T00:00:00.005Z"


# --- over the whole network ------------------------------------------------------------------------------------------


async def test_refusals_have_mastodons_form(network: Network) -> None:
    ben = await network.person("Ben Ito")
    reader = await network.person("Rita Reader", scopes=("read",))

    async def told(person: Person, method: str, path: str, **options: Any) -> tuple[int, str]:
        answer = await person.client.request(method, path, **options)
        assert answer.headers["content-type"].startswith("application/json"), answer.text
        assert answer.headers["access-control-allow-origin"] == "*"
        return answer.status_code, answer.json()["error"]

    assert await told(network.anybody, "GET", "/api/v1/timelines/home") == (401, "This method requires an authenticated user")
    assert (await told(network.anybody, "GET", "/api/v1/timelines/home", headers={"authorization": "Bearer wct_" + "x" * 40}))[0] == 401
    assert await told(ben, "GET", f"/api/v1/statuses/{new_id()}") != (200, "")
    assert (await told(ben, "GET", f"/api/v1/statuses/{new_id()}"))[0] == 404
    assert (await told(ben, "GET", "/api/v1/accounts/no/such/thing"))[0] == 404
    assert (await told(ben, "GET", "/api/v2/nothing"))[0] == 404
    assert (await told(ben, "PUT", "/api/v1/timelines/home"))[0] == 405
    assert await told(ben, "POST", "/api/v1/statuses", data={"status": " "}) == (422, "Validation failed: Text can't be blank")
    assert (await told(ben, "POST", "/api/v1/statuses", content=b"{", headers={"content-type": "application/json"}))[0] == 400
    assert (await told(ben, "POST", "/api/v1/statuses", json={"status": "x", "media_ids": ["nobody-knows"]}))[0] == 422
    assert (await told(ben, "POST", "/api/v1/statuses", json={"status": "x", "in_reply_to_id": new_id()}))[0] == 404
    assert (await told(ben, "POST", "/api/v1/statuses", json={"status": "x" * 10_001}))[0] == 422
    assert (await told(reader, "POST", "/api/v1/statuses", json={"status": "x"}))[0] == 403
    # Our own paths keep theirs.
    assert (await ben.get(f"/posts/{new_id()}")).headers["content-type"] == "application/problem+json"

    # The same key makes one post.
    answers = [
        await ben.client.post("/api/v1/statuses", data={"status": "once"}, headers={"idempotency-key": "k1"}) for _ in range(2)
    ]
    assert [each.status_code for each in answers] == [200, 200] and answers[0].json()["id"] == answers[1].json()["id"]
    other = await ben.client.post("/api/v1/statuses", data={"status": "twice"}, headers={"idempotency-key": "k1"})
    assert other.status_code == 422 and "Idempotency-Key" in other.json()["error"]


async def test_what_is_not_for_one_is_not_there(network: Network) -> None:
    ben, carla, ada = await network.person("Ben Ito"), await network.person("Carla Duarte"), network.administrator
    made = (await carla.post("/communities", {"name": "Board", "kind": "secret"})).json()
    inside = (await carla.client.post("/api/v1/statuses", json={"status": f"@{made['handle']} inside #board"})).json()
    assert inside["mentions"][0]["acct"] == made["handle"]
    await network.world.settle()
    post_id, community_id = inside["id"], made["id"]
    for path in (
        f"statuses/{post_id}", f"statuses/{post_id}/context", f"statuses/{post_id}/source", f"accounts/{community_id}",
        f"accounts/{community_id}/statuses", f"accounts/lookup?acct={made['handle']}",
    ):
        for person in (ben, ada):
            assert (await person.client.get(f"/api/v1/{path}")).status_code == 404, path
    for path in ("timelines/public", "timelines/tag/board", "timelines/home", f"statuses?id[]={post_id}"):
        assert (await ben.client.get(f"/api/v1/{path}")).json() == [], path
    assert (await ben.client.get("/api/v2/search?q=inside")).json()["statuses"] == []
    # A community's name that nobody else may know is no place for others: their text stays a text.
    plain = (await ben.client.post("/api/v1/statuses", json={"status": f"@{made['handle']} outside"})).json()
    assert plain["visibility"] == "public" and made["handle"] in plain["content"]


async def test_who_was_erased_is_gone_from_what_is_kept_written_out(network: Network) -> None:
    ben, carla = await network.person("Ben Ito"), await network.person("Carla Duarte")
    post = (await carla.client.post("/api/v1/statuses", json={"status": "Only for now"})).json()
    assert "Only for now" in (await ben.client.get("/api/v1/timelines/public")).text
    erased = await network.administrator.post(f"/people/{carla.id}/erase")
    assert erased.status_code < 300, erased.text
    await network.world.settle()
    assert "Only for now" not in (await ben.client.get("/api/v1/timelines/public")).text
    assert (await ben.client.get(f"/api/v1/statuses/{post['id']}")).status_code == 404
    assert not network.edge.mastodon.shown._posts


class Socket:
    """One end of a WebSocket, without a server between."""

    def __init__(self, network: Network, query: str = "", protocols: tuple[str, ...] = ()) -> None:
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {
            "type": "websocket", "path": "/api/v1/streaming", "query_string": query.encode(), "headers": [],
            "subprotocols": list(protocols), "client": ("192.0.2.9", 1), "extensions": {"websocket.http.response": {}},
        }
        self.said.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.ensure_future(network.edge(scope, self.said.get, self.told.put))

    async def next(self, kind: str) -> dict[str, Any]:
        """The next message of a kind, half a minute at most."""
        async with asyncio.timeout(45):
            while True:
                message = await self.told.get()
                if message["type"] == kind:
                    return message

    async def event(self, name: str) -> dict[str, Any]:
        """The next event of a name."""
        while True:
            found: dict[str, Any] = json.loads((await self.next("websocket.send"))["text"])
            if found.get("event", "error") == name:
                return found

    def say(self, **message: Any) -> None:
        """Send a message."""
        self.said.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    async def leave(self) -> None:
        """Close it."""
        self.said.put_nowait({"type": "websocket.disconnect", "code": 1000})
        async with asyncio.timeout(45):
            await self.task


async def test_one_websocket_many_streams(network: Network) -> None:
    ben, carla = await network.person("Ben Ito"), await network.person("Carla Duarte")
    await network.world.settle()
    socket = Socket(network, "stream=user", protocols=(ben.token,))
    assert (await socket.next("websocket.accept"))["subprotocol"] == ben.token
    socket.say(type="subscribe", stream="hashtag", tag="#Lake")
    socket.say(type="subscribe", stream="nothing")
    assert (await socket.event("error"))["error"] == "Unknown stream type"
    socket.say(type="dance")
    assert "subscribe" in (await socket.event("error"))["error"]
    post = (await carla.client.post("/api/v1/statuses", json={"status": "On the #lake @ben.ito"})).json()
    update = await socket.event("update")
    assert update["stream"] == ["hashtag", "lake"] and json.loads(update["payload"])["id"] == post["id"]
    assert json.loads((await socket.event("notification"))["payload"])["type"] == "mention"
    socket.say(type="unsubscribe", stream="hashtag", tag="lake")
    await carla.client.delete(f"/api/v1/statuses/{post['id']}")
    deleted = await socket.event("delete")
    assert deleted == {"stream": ["user"], "event": "delete", "payload": post["id"]}
    await socket.leave()
    assert network.gateway.live.connections(ben.id) == 0


async def test_a_websocket_needs_a_token_and_ends_with_it(network: Network) -> None:
    ben = await network.person("Ben Ito")
    for socket in (Socket(network), Socket(network, "access_token=wct_" + "x" * 40)):
        assert (await socket.next("websocket.http.response.start"))["status"] == 401
        await socket.task
    ben_browser = await network.browser(ben)
    made = (await ben_browser.post("/access-tokens", {"name": "to be revoked", "scopes": ["read"]})).json()
    socket = Socket(network, f"stream=user&access_token={made['secret']}")
    await socket.next("websocket.accept")
    await ben_browser.delete(f"/access-tokens/{made['token']['id'] if 'token' in made else made['id']}")
    assert (await socket.next("websocket.close"))["code"] == 1000
    await socket.task

    # So many at once, and no more.
    sockets = [Socket(network, f"access_token={ben.token}") for _ in range(10)]
    for each in sockets:
        await each.next("websocket.accept")
    one_more = Socket(network, f"access_token={ben.token}")
    assert (await one_more.next("websocket.http.response.start"))["status"] == 429
    for each in sockets:
        await each.leave()


