"""The figures of engagement: counted from what happened, honest about what is not known, and naming nobody."""
from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from libs.eventstore.model import micros
from libs.telemetry import metrics
from libs.text.ids import id_at
from services.feed import reactors
from services.feed.queries import activity, engagement
from services.feed.queries.engagement import Announced, first_id
from tests.feed.worlds import Feed
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.identity.v1 import events_pb2 as identity

NOW = datetime(2026, 3, 12, 12, tzinfo=UTC)


async def place(feed: Feed, person_id: str, department: str) -> None:
    """Somebody moves to a department."""
    profile = identity.Profile(handle=person_id[-6:], name="Somebody", department=department)
    await feed.tell(f"person-{person_id}", identity.PersonProfileChanged(person_id=person_id, profile=profile))


async def ask(feed: Feed, figure: object, ahead: timedelta = timedelta()) -> object:
    """A figure as it is now, or will be when nothing more happens."""
    async with feed.world.store("feed").database.snapshot() as tx:
        return await figure(tx, micros(datetime.now(UTC) + ahead))  # type: ignore[operator]


def test_ids_are_cut_by_their_time() -> None:
    before, after = id_at(NOW - timedelta(milliseconds=1)), id_at(NOW)
    assert before < first_id(micros(NOW)) <= after


async def test_an_answer_counts_when_somebody_else_gave_it(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    answered = await feed.post(ann, "who knows?")
    alone = await feed.post(ann, "nobody knows")
    await feed.post(bob, "I do", parent_id=answered.post_id)
    await feed.post(ann, "really nobody", parent_id=alone.post_id)
    assert await ask(feed, engagement.answers) == (0, 0)  # they have had no day yet
    assert await ask(feed, engagement.answers, timedelta(days=2)) == (1, 1)
    assert await ask(feed, engagement.answers, timedelta(days=9)) == (0, 0)


async def test_bots_are_no_people(feed: Feed) -> None:
    ann, bot = await feed.person("ann"), await feed.person("weather", "bot")
    asked = await feed.post(ann, "will it rain?")
    await feed.post(bot, "it will", parent_id=asked.post_id)
    await feed.post(bot, "wind from the west")
    assert await ask(feed, engagement.answers, timedelta(days=2)) == (0, 1)
    assert await ask(feed, engagement.conversations) == (0, 0, 0)
    assert await ask(feed, lambda tx, now: activity.active_people(tx, now, 1)) == 1
    with feed.by(ann):
        thread = await feed.stub.GetThread(api.GetThreadRequest(post_id=asked.post_id))
    assert (thread.root.bot_name, [each.bot_name for each in thread.replies]) == ("", ["Weather"])


async def test_a_deleted_answer_is_none(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    asked = await feed.post(ann, "who knows?")
    answer = await feed.post(bob, "I do", parent_id=asked.post_id)
    with feed.by(bob):
        await feed.stub.DeletePost(api.DeletePostRequest(post_id=answer.post_id))
    assert await ask(feed, engagement.answers, timedelta(days=2)) == (0, 1)
    assert await ask(feed, engagement.conversations) == (0, 0, 0)


async def test_a_conversation_crosses_departments_when_its_writers_do(feed: Feed) -> None:
    ann, bob, cleo, dan = [await feed.person(name) for name in ("ann", "bob", "cleo", "dan")]
    await place(feed, ann, "Tunnel  Works")
    await place(feed, bob, "tunnel works")
    await place(feed, cleo, "Finance")
    for second in (bob, cleo, dan):  # the same department, another, none on record
        first = await feed.post(ann, "a question")
        await feed.post(second, "an answer", parent_id=first.post_id)
    talk_with_oneself = await feed.post(ann, "hm")
    await feed.post(ann, "ah", parent_id=talk_with_oneself.post_id)
    assert await ask(feed, engagement.conversations) == (1, 1, 1)
    assert await ask(feed, engagement.conversations, timedelta(days=8)) == (0, 0, 0)


async def test_a_move_counts_from_then_on_and_an_erasure_forgets_the_department(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await place(feed, ann, "Pumps")
    await place(feed, bob, "Pumps")
    first = await feed.post(ann, "a question")
    await feed.post(bob, "an answer", parent_id=first.post_id)
    assert await ask(feed, engagement.conversations) == (0, 1, 0)
    await place(feed, bob, "Quality")
    assert await ask(feed, engagement.conversations) == (1, 0, 0)
    await feed.tell(f"person-{bob}", identity.PersonErased(person_id=bob))
    async with feed.world.store("feed").database.snapshot() as tx:
        rows = await tx.fetch("SELECT department FROM standings WHERE person_id = :person_id", person_id=bob)
    assert [row["department"] for row in rows] == [""]


async def test_the_reach_of_announcements_is_what_people_showed(feed: Feed) -> None:
    ada = await feed.person("ada", "communications")
    await feed.tell(f"person-{ada}", identity.RoleGranted(person_id=ada, role=identity.ROLE_EMPLOYEE))
    ann, bob, cleo = [await feed.person(name) for name in ("ann", "bob", "cleo")]
    guest = await feed.person("guest", "guest")
    news = await feed.post(ada, "We have a new canteen")
    await feed.post(ann, "only a post, for Ann makes no announcements")
    for person, act in (
        (ann, lambda: feed.stub.ConfirmRead(api.ConfirmReadRequest(post_id=news.post_id))),
        (ann, lambda: feed.stub.AddReaction(api.AddReactionRequest(post_id=news.post_id, emoji="🎉"))),
        (ada, lambda: feed.stub.AddReaction(api.AddReactionRequest(post_id=news.post_id, emoji="🎉"))),
    ):
        with feed.by(person):
            await act()
    await feed.post(bob, "What is there today?", parent_id=news.post_id)
    # Employees but for the author; Ann by two signs and Bob by his answer; the author and guests count on no side.
    assert await ask(feed, engagement.announced) == Announced(announcements=1, audience=3, reached=2, confirmed=1)
    assert await ask(feed, engagement.announced, timedelta(days=29)) == Announced(0, 0, 0, 0)
    await feed.tell(f"person-{cleo}", identity.PersonLeft(person_id=cleo))
    assert await ask(feed, engagement.announced) == Announced(1, 2, 2, 1)
    assert guest


async def test_a_group_is_an_audience_of_its_own_and_a_role_can_be_taken_back(feed: Feed) -> None:
    chief, ann = await feed.person("chief"), await feed.person("ann")
    await feed.person("bob")
    await feed.tell(f"person-{chief}", identity.RoleGranted(person_id=chief, role=identity.ROLE_LEADER))
    group_id = id_at(NOW)
    await feed.tell(
        f"group-{group_id}", identity.GroupCreated(group_id=group_id, name="Pumps"),
        *(identity.GroupMemberAdded(group_id=group_id, person_id=one) for one in (chief, ann)),
    )
    await feed.post(chief, "For us only", Audience(group_id=group_id))
    assert await ask(feed, engagement.announced) == Announced(1, 1, 0, 0)
    await feed.tell(f"person-{chief}", identity.RoleRevoked(person_id=chief, role=identity.ROLE_LEADER))
    assert await ask(feed, engagement.announced) == Announced(0, 0, 0, 0)


async def test_the_gauges_show_what_is_measured_and_nothing_when_nobody_measures(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await place(feed, ann, "Pumps")
    await place(feed, bob, "Quality")
    first = await feed.post(ann, "a question")
    await feed.post(bob, "an answer", parent_id=first.post_id)
    # The network's own measuring would show the same, and go on where ours stops.
    own = [task for task in feed.world.embedded._tasks if task.get_name() == "feed task 0"]
    assert own
    for task in own:
        task.cancel()
    await asyncio.wait(own)
    measured = asyncio.Event()
    measure = reactors._measure

    async def told(context: object) -> None:
        await measure(context)  # type: ignore[arg-type]
        measured.set()

    class Surroundings:
        database = feed.world.store("feed").database

        @staticmethod
        def now() -> datetime:
            return datetime.now(UTC)

    monkeypatch.setattr(reactors, "_measure", told)
    task = asyncio.create_task(reactors.gauge_engagement(Surroundings()))  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        await measured.wait()
    assert metrics.value("watercooler_recent_conversations", departments="several") == 1
    assert metrics.value("watercooler_active_people", window="day") == 2
    task.cancel()
    await asyncio.wait([task])
    assert metrics.value("watercooler_recent_conversations", departments="several") == 0
    assert metrics.value("watercooler_active_people", window="day") == 0
