"""Steady writes through the REST API during faults, and what must be true of every acknowledged one of them afterwards."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import urllib.error
import uuid
from dataclasses import dataclass
from typing import Any

import asyncpg

from tests.browser.network import Administrator
from tests.cluster.cluster import Cluster, eventually
from tests.cluster.engines.postgres import apart

_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def word() -> str:
    """A word that no other text has, without digits, so that every analyser takes it as one."""
    return "w" + uuid.uuid4().hex[:19].translate(_LETTERS)


@dataclass(frozen=True)
class Write:
    """One write that was acknowledged: under which request id, what it is, and the word that only it holds."""

    request_id: str
    kind: str
    id: str
    word: str


class Writer:
    """Posts, replies and new people, as fast as two patient clients send them; each is repeated with its request id until it is answered.

        with Writer(cluster, admin) as writer:
            ... fault ...
        writer.check()
    """

    def __init__(
        self, cluster: Cluster, admin: Administrator, *, callers: int = 2, pause: float = 0.2
    ) -> None:
        """`pause` in seconds lies between two writes of one caller."""
        self.cluster = cluster
        self.admin = admin
        self.pause = pause
        self.acknowledged: list[Write] = []
        self.sent: list[str] = []
        self.refused: list[str] = []
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._write, name=f"writer-{number}", daemon=True) for number in range(callers)]

    def __enter__(self) -> Writer:
        for thread in self._threads:
            thread.start()
        self.wait_for_more(3)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(60)

    @property
    def count(self) -> int:
        """How many writes were acknowledged."""
        with self._lock:
            return len(self.acknowledged)

    def wait_for_more(self, more: int = 5, seconds: float = 90) -> None:
        """Wait until so many more writes were acknowledged."""
        goal = self.count + more
        eventually(f"{more} more writes acknowledged", lambda: self.count >= goal, seconds, 0.05)

    def _write(self) -> None:
        number = 0
        parent = ""
        while not self._end.is_set():
            number += 1
            text, request_id = word(), str(uuid.uuid4())
            kind = ("post", "reply", "post", "person")[number % 4]
            path, body = "/posts", {"body": f"Steady writing {text}"}
            if kind == "reply" and parent:
                body["parent_id"] = parent
            elif kind == "person":
                path, body = "/people", {"name": f"Robin {text.title()}", "email": f"{text}@example.com"}
            else:
                kind = "post"
            with self._lock:
                self.sent.append(request_id)
            made = self._send(path, body, request_id)
            if made is not None:
                if kind == "post":
                    parent = made["id"]
                with self._lock:
                    self.acknowledged.append(Write(request_id, kind, made["id"], text))
            self._end.wait(self.pause)

    def _send(self, path: str, body: dict[str, str], request_id: str) -> dict[str, Any] | None:
        """Send until it is answered; None when the end comes first."""
        while True:
            try:
                made: dict[str, Any] = self.cluster.api("POST", path, self.admin.token, body, **{"Idempotency-Key": request_id})
                return made
            except urllib.error.HTTPError as error:
                content = error.read().decode("utf-8", "replace")
                # Refused for good is what a correct request never is, whatever fault there is.
                if error.code not in (409, 429, 500, 502, 503, 504):
                    with self._lock:
                        self.refused.append(f"{path}: {error.code} {content[:300]}")
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                pass
            if self._end.wait(0.3):
                return None

    # --- what must be true afterwards -----------------------------------------------------------------------------------

    def check(self) -> None:
        """Every acknowledged write is there exactly once: in its log, in every read model, in the search index; and `verify` agrees."""
        assert not self.refused, f"correct requests were refused: {self.refused[:5]}"
        posts = {write.id: write for write in self.acknowledged if write.kind != "person"}
        people = {write.id: write for write in self.acknowledged if write.kind == "person"}
        assert len(posts) + len(people) == len(self.acknowledged), "one id was given to two writes"
        assert posts, "nothing was written"

        published = "SELECT substr(stream, 6), count(*) FROM events WHERE type LIKE '%PostPublished' GROUP BY 1"
        added = "SELECT substr(stream, 8), count(*) FROM events WHERE type LIKE '%PersonAdded' GROUP BY 1"
        assert self._counts("feed", published, posts) == {}
        assert self._counts("identity", added, people) == {}
        assert self._counts("feed", "SELECT post_id, count(*) FROM posts GROUP BY 1", posts) == {}
        assert self._counts("identity", "SELECT person_id, count(*) FROM people GROUP BY 1", people) == {}
        for service, what in (("feed", people), ("search", people)):
            eventually(
                f"every person in {service}",
                lambda service=service, what=what: self._counts(service, "SELECT person_id, count(*) FROM people GROUP BY 1", what) == {},
            )
        eventually(
            "every post and person among the documents of search",
            lambda: self._counts("search", "SELECT document_id, count(*) FROM documents GROUP BY 1", {**posts, **people}) == {},
        )
        # One request never makes two posts: the word is in one of them only.
        words = "SELECT body, count(*) FROM revisions WHERE body LIKE 'Steady writing %' GROUP BY 1 HAVING count(*) > 1"
        assert self._rows("feed", words) == []
        for write in self.acknowledged:
            self._find(write)
        eventually("verify finds nothing", self._verified, 180, 1.0)

    def _verified(self) -> bool:
        """Whether `verify` finds nothing; while the last events are still being taken, it may find what is about to be right."""
        self.findings = self.cluster.verify()
        return self.findings == []

    findings: list[str] = []  # noqa: RUF012 - replaced, never changed

    def _find(self, write: Write) -> None:
        def found() -> bool:
            kind = "person" if write.kind == "person" else "post"
            answer = self.cluster.api("GET", f"/find?query={write.word}&kind={kind}", self.admin.token)
            assert answer["total_size"] <= 1, f"{write} is in the index twice"
            return bool(answer["total_size"] == 1 and answer["hits"][0]["id"] == write.id)

        eventually(f"{write} in the search index", found)

    def _counts(self, service: str, query: str, wanted: dict[str, Write]) -> dict[str, int]:
        """How often each wanted id is there, where that is not once."""
        counts: dict[str, int] = dict(self._rows(service, query))
        return {each: counts.get(each, 0) for each in wanted if counts.get(each, 0) != 1}

    def _rows(self, service: str, query: str) -> list[tuple[Any, ...]]:
        async def rows() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.cluster.database_url.replace("{service}", service), timeout=30)
            try:
                return [tuple(row) for row in await connection.fetch(query)]
            finally:
                await connection.close()

        return apart(asyncio.wait_for(rows(), 120))
