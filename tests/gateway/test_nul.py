"""The character NUL: programs are told where it is, and what a browser sends loses it, whatever keeps the text."""
from __future__ import annotations

import grpc
import pytest

from libs.rpc import errors
from tests.gateway.conftest import Network
from tests.gateway.test_pages import form
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub


async def test_programs_are_told_which_field_holds_it(network: Network) -> None:
    admin = network.administrator
    for body, field in (
        ({"body": "a\0b"}, "body"), ({"body": "a", "attachments": [{"blob_id": "b", "description": "\0"}]}, "attachments[0].description"),
    ):
        refused = await admin.post("/posts", body)
        assert refused.status_code == 400, refused.text
        problem = refused.json()
        assert (problem["code"], problem["field"]) == ("invalid_argument", field)
        assert "NUL" in problem["detail"]
    refused = await admin.get("/find", params={"query": "pump\0s"})
    assert (refused.status_code, refused.json().get("field")) == (400, "query"), refused.text
    stub = network.world.stub(FeedServiceStub, "feed")
    with network.world.acting_as(admin.id), pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.PublishPost(feed.PublishPostRequest(body="a\0b"))
    told = errors.read(caught.value)
    assert (told.code, told.field) == (grpc.StatusCode.INVALID_ARGUMENT, "body")
    assert "NUL" in told.reason
    assert (await admin.get("/feeds/company")).json()["posts"] == []


async def test_what_a_browser_sends_loses_it(network: Network) -> None:
    ada = await network.browser(network.administrator)
    answer = await form(ada, "/posts", {"body": "Pump\0 three hums", "audience": "everyone"})
    assert answer.status_code in (200, 303), answer.text
    await network.world.settle()
    assert [post["body"] for post in (await ada.get("/feeds/company")).json()["posts"]] == ["Pump three hums"]
