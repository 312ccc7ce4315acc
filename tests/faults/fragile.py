"""The small network with one read model that fails on posts whose text is `poison`, until the file POISON_MENDED names exists.

    python -m tests.faults.fragile --data FOLDER run
"""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Metadata, Recorded
from libs.runtime.cli import build
from libs.runtime.service import Assembly, Context, Follows, Service
from libs.telemetry import metrics
from libs.testing.contracts import TABLES, Texts
from watercooler.feed.v1.events_pb2 import PostEdited, PostPublished

SCHEMA = "CREATE TABLE IF NOT EXISTS bodies (post_id TEXT PRIMARY KEY, body TEXT NOT NULL);"


class Bodies:
    """What the neighbour keeps of the posts."""

    name = "copy.bodies"
    handles: tuple[type[Message], ...] = (PostPublished, PostEdited)
    tables: tuple[str, ...] = ("bodies",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        match event.data:
            case PostPublished(post_id=post_id, body=body):
                if body == "poison" and not Path(os.environ["POISON_MENDED"]).exists():
                    raise RuntimeError("this text is poison")
                await tx.execute("INSERT INTO bodies (post_id, body) VALUES (:id, :body)", id=post_id, body=body)
            case PostEdited(post_id=post_id, body=body):
                if not await tx.execute("UPDATE bodies SET body = :body WHERE post_id = :id", id=post_id, body=body):
                    raise RuntimeError("edited before it was published")


def services() -> tuple[Service, Service]:
    """The source, with a way in by HTTP, and the one that follows."""

    def source(context: Context) -> Assembly:
        return Assembly(app=App(context))

    def copy(context: Context) -> Assembly:
        return Assembly()

    return (
        Service(name="source", summary="", schema=TABLES, assemble=source, projections=(Texts(),)),
        Service(name="copy", summary="", schema=SCHEMA, assemble=copy, follows=("source",), subscribed=(Follows("source", Bodies()),)),
    )


class App:
    """`POST /post/ID/VERSION` with a text appends an event; `GET /metrics` and `GET /behind` tell how things are."""

    def __init__(self, context: Context) -> None:
        self.context = context

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b"".join([(await receive())["body"]])
        match scope["path"].split("/")[1:]:
            case ["post", post_id, version]:
                kind = PostPublished if version == "0" else PostEdited
                event = kind(post_id=post_id, author_id="ann", body=body.decode())
                answer = str(await self.context.events.append(f"post-{post_id}", int(version), [event], Metadata("ann"))).encode()
            case ["metrics"]:
                answer = metrics.exposition()[0]
            case _:
                answer = json.dumps(dict(await self.context.caught_up())).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    build(services())()
