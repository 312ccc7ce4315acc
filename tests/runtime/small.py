"""A service small enough to test the runtime with: posts, one inline and one asynchronous projection, one RPC, one reactor."""
from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import InvalidArgument, Recorded
from libs.rpc import auth
from libs.runtime.service import Assembly, Context, Follows, Service
from libs.testing.contracts import TABLES, Tallies, Texts
from watercooler.feed.v1 import feed_service_pb2 as pb
from watercooler.feed.v1.events_pb2 import PostPublished
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceServicer, add_FeedServiceServicer_to_server


class Copies:
    """What a neighbour keeps of the posts."""

    name = "copy.copies"
    handles: tuple[type[Message], ...] = (PostPublished,)
    tables: tuple[str, ...] = ("copies",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        assert isinstance(event.data, PostPublished)
        await tx.execute("INSERT INTO copies (post_id) VALUES (:id)", id=event.data.post_id)


class Echo:
    """Remembers what it reacted to."""

    name = "copy.echo"
    handles: tuple[type[Message], ...] = (PostPublished,)

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def react(self, event: Recorded) -> None:
        self.heard.append(event.stream)


class Api(FeedServiceServicer):
    async def GetPost(self, request: pb.GetPostRequest, context: Any) -> pb.Post:
        if request.post_id == "fault":
            raise RuntimeError("a secret of the house")
        if not request.post_id:
            raise InvalidArgument("name a post", "post_id")
        return pb.Post(post_id=request.post_id, body=auth.caller().actor_id)


def services() -> tuple[Service, Service, Echo]:
    echo = Echo()

    def source(context: Context) -> Assembly:
        return Assembly(servicers=[(add_FeedServiceServicer_to_server, Api())])

    def copy(context: Context) -> Assembly:
        return Assembly(reactors=[("source", echo)])

    return (
        Service(
            name="source", summary="", schema=TABLES, assemble=source, projections=(Texts(),), subscribed=(Follows("source", Tallies()),)
        ),
        Service(
            name="copy", summary="", schema="CREATE TABLE IF NOT EXISTS copies (post_id TEXT PRIMARY KEY);", assemble=copy,
            follows=("source",), subscribed=(Follows("source", Copies()),),
        ),
        echo,
    )
