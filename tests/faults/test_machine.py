"""The event store against a model that is too simple to be wrong: whatever is done in whatever order, both agree."""
from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.db.sqlite import SqliteDatabase
from libs.eventstore.model import Conflict, Metadata, Recorded, Rejected
from libs.eventstore.store import SCHEMA, EventStore
from libs.subscriptions import rebuild
from libs.subscriptions.consumers import ProjectionConsumer
from libs.subscriptions.subscription import Subscription
from libs.testing.contracts import TABLES, Tallies, Texts
from watercooler.feed.v1.events_pb2 import PostDeleted, PostEdited, PostPublished
from watercooler.identity.v1.events_pb2 import PersonErased

T = TypeVar("T")

PEOPLE = ("ann", "bob")
POSTS = st.integers(0, 4)


class Scrubbed(Texts):
    """As a service's projection: who is erased has no text left, live as on a rebuild."""

    handles = (*Texts.handles, PersonErased)

    async def apply(self, event: Recorded, tx: Any) -> None:
        match event.data:
            case PersonErased(person_id=person_id):
                await tx.execute("UPDATE texts SET body = post_id WHERE post_id LIKE :own", own=f"%-{person_id}")
            case PostEdited() if event.erased:
                pass
            case _:
                await super().apply(event, tx)


class Machine(RuleBasedStateMachine):
    """Appends, races, repeated requests, erasures, rebuilds and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        # The model: the log as a list of (stream, version, author, text), and what each request was answered.
        self.log: list[tuple[str, int, str, str]] = []
        self.answers: dict[str, tuple[str, int]] = {}
        self.erased: set[int] = set()
        self.texts: dict[str, str] = {}
        self.number = 0

    @initialize()
    def open(self) -> None:
        self.database = SqliteDatabase(self.folder / "events.db")
        self.do(self.database.install(SCHEMA + TABLES))
        self.store = EventStore("test", self.database, (Scrubbed(),))
        self.follower = Subscription(self.store, ProjectionConsumer(Tallies(), self.database), batch=2)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, 30))

    def version(self, stream: str) -> int:
        return sum(entry[0] == stream for entry in self.log)

    def event(self, number: int, person: str, version: int) -> tuple[str, str, PostPublished | PostEdited]:
        """The next event of a post at this version: its stream, its text, itself."""
        self.number += 1
        post_id, text = f"p{number}-{person}", f"text {self.number}"
        if version == 0:
            return f"post-{post_id}", text, PostPublished(post_id=post_id, author_id=person, body=text)
        return f"post-{post_id}", text, PostEdited(post_id=post_id, author_id=person, body=text)

    def happened(self, stream: str, person: str, text: str) -> None:
        version = self.version(stream) + 1
        self.log.append((stream, version, person, text))
        if version == 1 or stream.removeprefix("post-") in self.texts:  # an edit of a deleted post shows nowhere
            self.texts[stream.removeprefix("post-")] = text

    @rule(number=POSTS, person=st.sampled_from(PEOPLE), request=st.none() | st.integers(0, 3))
    def append(self, number: int, person: str, request: int | None) -> None:
        stream = f"post-p{number}-{person}"
        version = self.version(stream)
        _, text, event = self.event(number, person, version)
        key = "" if request is None else f"{person}:{request}"
        append = self.store.append(stream, version, [event], Metadata(person), key)
        if key in self.answers:
            try:
                self.do(append)
            except Conflict:
                assert self.do(self.store.answered(key)) == self.answers[key]
                return
            raise AssertionError("a request was answered twice")
        assert self.do(append) == len(self.log) + 1
        self.happened(stream, person, text)
        if key:
            self.answers[key] = (stream, version + 1)

    @rule(numbers=st.lists(POSTS, min_size=2, max_size=8), person=st.sampled_from(PEOPLE), behind=st.booleans())
    def race(self, numbers: list[int], person: str, behind: bool) -> None:
        """Several at once, some on the same stream, some (with `behind`) decided on what is no longer so."""
        asked = []
        for index, number in enumerate(numbers):
            stream = f"post-p{number}-{person}"
            expected = max(0, self.version(stream) - (1 if behind and index % 2 else 0))
            asked.append((stream, expected, *self.event(number, person, expected)[1:]))

        async def all_at_once() -> list[int | BaseException]:
            return await asyncio.gather(
                *(self.store.append(stream, expected, [event], Metadata(person)) for stream, expected, _, event in asked),
                return_exceptions=True,
            )

        results = self.do(all_at_once())
        winners = sorted((result, index) for index, result in enumerate(results) if isinstance(result, int))
        for position, index in winners:
            stream, expected, text, _ = asked[index]
            assert (position, expected) == (len(self.log) + 1, self.version(stream))
            self.happened(stream, person, text)
        for index, result in enumerate(results):
            if not isinstance(result, int):
                assert isinstance(result, Conflict)
                stream = asked[index][0]
                assert asked[index][1] != self.version(stream) or any(other[0] == stream for other in asked[:index])

    @rule(number=POSTS, person=st.sampled_from(PEOPLE))
    def refuse(self, number: int, person: str) -> None:
        """An inline projection refuses one of two appends: that one alone."""
        good = f"post-other{self.number}-{person}"
        _, text, event = self.event(number, person, 0)
        event.post_id = good.removeprefix("post-")
        bad = PostPublished(post_id=f"bad{self.number}", author_id=person, body="forbidden")

        async def both() -> list[int | BaseException]:
            return await asyncio.gather(
                self.store.append(f"post-bad{self.number}", 0, [bad], Metadata(person)),
                self.store.append(good, 0, [event], Metadata(person)), return_exceptions=True,
            )

        refused, position = self.do(both())
        assert isinstance(refused, Rejected) and position == len(self.log) + 1
        self.happened(good, person, text)

    @precondition(lambda self: self.texts)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        post_id = data.draw(st.sampled_from(sorted(self.texts)))
        stream, person = f"post-{post_id}", post_id.rpartition("-")[2]
        version = self.version(stream)
        self.do(self.store.append(stream, version, [PostDeleted(post_id=post_id, author_id=person)], Metadata(person)))
        self.log.append((stream, version + 1, person, ""))
        self.texts.pop(post_id)

    @rule(person=st.sampled_from(PEOPLE))
    def erase(self, person: str) -> None:
        stream = f"person-{person}"
        version = self.version(stream)
        self.erased |= {position for position, entry in enumerate(self.log, 1) if entry[2] == person and entry[3]}
        self.do(self.store.append(stream, version, [PersonErased(person_id=person)], Metadata(person)))
        self.log.append((stream, version + 1, person, ""))
        for post_id in self.texts:
            if post_id.endswith(f"-{person}"):
                self.texts[post_id] = post_id

    @rule()
    def rebuild_inline(self) -> None:
        self.do(rebuild.rebuild(self.store.inline[0], self.store, self.database, SCHEMA + TABLES, inline=True))

    @rule()
    def rebuild_followed(self) -> None:
        self.do(rebuild.rebuild(Tallies(), self.store, self.database, SCHEMA + TABLES, inline=False))

    @rule(steps=st.integers(1, 3))
    def follow(self, steps: int) -> None:
        for _ in range(steps):
            self.do(self.follower.step())

    @rule()
    def reopen(self) -> None:
        self.do(self.store.close())
        self.do(self.database.close())
        self.open()

    @invariant()
    def the_log_is_the_models(self) -> None:
        if not hasattr(self, "store"):
            return
        events = self.do(self.store.tail(0, 10_000))
        assert [(e.position, e.stream, e.version) for e in events] == [(n, *entry[:2]) for n, entry in enumerate(self.log, 1)]
        for event, (_, _, _, text) in zip(events, self.log, strict=True):
            gone = event.position in self.erased
            assert event.erased is gone
            if isinstance(event.data, PostPublished | PostEdited):
                assert event.data.body == ("" if gone else text)
        for stream in {entry[0] for entry in self.log}:
            assert [e.version for e in self.do(self.store.read(stream))] == list(range(1, self.version(stream) + 1))
        assert {row["post_id"]: row["body"] for row in self.do(self.database.fetch("SELECT post_id, body FROM texts"))} == self.texts

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.do(self.drain())
            self.do(self.database.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    async def drain(self) -> None:
        """At the end, what is followed agrees with what was written."""
        while await self.follower.step():
            pass
        tallies = {row["author_id"]: row["posts"] for row in await self.database.fetch("SELECT author_id, posts FROM tallies")}
        first = [entry for entry in self.log if entry[0].startswith("post-") and entry[1] == 1]
        assert tallies == {person: count for person in PEOPLE if (count := sum(entry[2] == person for entry in first))}
        for projection, inline in ((self.store.inline[0], True), (Tallies(), False)):
            assert await rebuild.compare(projection, self.store, self.database, SCHEMA + TABLES, inline=inline) == []


Machine.TestCase.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
TestMachine = Machine.TestCase
