"""`Idempotency-Key` on POST (draft-ietf-httpapi-idempotency-key-header): the same request again gets the first answer again.

Answers are kept for 24 hours. The services are told a request id made from the key, so that even an answer that was lost with the
process, or was too large to keep, is not done twice.
"""
from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime, timedelta
from typing import Any

from libs.db.database import Database
from libs.eventstore.model import micros

from . import queries
from .http import Asked
from .problems import Refusal

KEEP = timedelta(hours=24)
# A request still unanswered after so long has died with its process.
GIVEN_UP_AFTER = timedelta(seconds=60)
KEY_CHARACTERS = 255
BODY_BYTES = 1 << 20
# What says nothing of the request itself is not kept: the next try may go better.
_PASSING = frozenset({401, 408, 425, 429})
_KEPT_HEADERS = ("etag", "location")

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


def read_key(value: str) -> str:
    """The key of a header, with or without the quotation marks of the draft.

    Raises:
        Refusal: 400, it is empty, too long or no printable ASCII.
    """
    key = value.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not 1 <= len(key) <= KEY_CHARACTERS or not all(" " <= c <= "~" for c in key):
        raise Refusal(
            400, f"An Idempotency-Key has 1 to {KEY_CHARACTERS} printable ASCII characters; a random UUID does well.",
            field="Idempotency-Key",
        )
    return key


def fingerprint(method: str, path: str, query: bytes, body: bytes) -> str:
    """What makes two requests the same one."""
    digest = hashlib.sha256(f"{method} {path}?".encode())
    digest.update(query + b"\0" + body)
    return digest.hexdigest()


class Idempotency:
    """Answers repeated requests from the gateway's own table."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        """Over the gateway's database."""
        self._database = database
        self._now = now
        self._running: set[str] = set()

    async def answer(self, asked: Asked, person_id: str, fingerprint: str, work: Callable[[Send], Awaitable[None]], send: Send) -> None:
        """Do the work and keep its answer, or send the answer kept.

        Raises:
            Refusal: 409 while the first request is being answered or where its answer was not kept, 422 when the key was used for
                another request.
        """
        key = hashlib.sha256(f"{person_id}\0{asked.idempotency_key}".encode()).hexdigest()
        asked.request_id = f"{key[:32]}.{fingerprint[:31]}"
        if key in self._running:
            raise _in_flight()
        self._running.add(key)
        try:
            kept = await self._begin(key, person_id, fingerprint)
            if kept is not None:
                await _replay(kept, send)
                return
            await self._work(key, asked, work, send)
        finally:
            self._running.discard(key)

    async def _begin(self, key: str, person_id: str, fingerprint: str) -> queries.Answer | None:
        now = self._now()
        async with self._database.transaction() as tx:
            await tx.lock(f"answer:{key}")  # the same request may reach two processes at once
            found = await queries.answer(tx, key)
            if found is not None and found.create_micros > micros(now - KEEP):
                if found.fingerprint != fingerprint:
                    raise Refusal(422, "This Idempotency-Key was used for another request: take a new one.", field="Idempotency-Key")
                if found.status:
                    return found
                if found.create_micros > micros(now - GIVEN_UP_AFTER):
                    raise _in_flight()
            await queries.begin_answer(tx, key, person_id, fingerprint, micros(now))
        return None

    async def _work(self, key: str, asked: Asked, work: Callable[[Send], Awaitable[None]], send: Send) -> None:
        messages: list[Message] = []

        async def hold(message: Message) -> None:
            messages.append(message)

        try:
            await work(hold)
        except BaseException:
            await self._drop(key)
            raise
        start = next((m for m in messages if m["type"] == "http.response.start"), None)
        body = b"".join(m.get("body", b"") for m in messages if m["type"] == "http.response.body")
        status = int(start["status"]) if start is not None else 500
        if start is None or status >= 500 or status in _PASSING or len(body) > BODY_BYTES:
            await self._drop(key)
        else:
            headers = {bytes(name).decode("latin-1").lower(): bytes(value).decode("latin-1") for name, value in start["headers"]}
            kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
            hidden = asked.hides_answer and status < 400
            async with self._database.transaction() as tx:
                await queries.finish_answer(
                    tx, key, status, "" if hidden else headers.get("content-type", ""), "hidden" if hidden else json.dumps(kept),
                    b"" if hidden else body,
                )
        for message in messages:
            await send(message)

    async def _drop(self, key: str) -> None:
        async with self._database.transaction() as tx:
            await queries.drop_answer(tx, key)


def _in_flight() -> Refusal:
    return Refusal(
        409, "The first request with this Idempotency-Key is still being answered: ask again in a moment.", field="Idempotency-Key",
        code="in_flight", retry_seconds=1,
    )


async def _replay(kept: queries.Answer, send: Send) -> None:
    if kept.headers == "hidden":
        raise Refusal(
            409, "This was done, and its answer held a secret that is shown only once. Look at the list, and make a new one if it is lost.",
            field="Idempotency-Key", code="answer_not_kept",
        )
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in json.loads(kept.headers).items()]
    if kept.media_type:
        headers.append((b"content-type", kept.media_type.encode("latin-1")))
    headers += [(b"content-length", str(len(kept.body)).encode()), (b"idempotency-replayed", b"true")]
    await send({"type": "http.response.start", "status": kept.status, "headers": headers})
    await send({"type": "http.response.body", "body": kept.body})
