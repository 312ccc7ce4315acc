"""Drafts are kept for their authors, and published once: now, or at their time."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.eventstore.model import EditConflict, InvalidArgument, Metadata, NotFound, Rejected
from libs.testing.spec import Spec
from services.feed.commands import drafting as commands
from services.feed.deciders import draft
from tests.feed.worlds import ABORTED, FAILED, INVALID, MISSING, Feed, feed_of, people, refused
from watercooler.feed.v1 import drafting_events_pb2 as events
from watercooler.feed.v1 import drafting_service_pb2 as drafting
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.drafting_service_pb2_grpc import DraftingServiceStub
from watercooler.feed.v1.events_pb2 import Poll, PostPublished
from watercooler.identity.v1 import events_pb2 as identity

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
CONTENT = events.DraftContent(body="half a thought")
SAVED = events.DraftSaved(draft_id="d", author_id="ann", content=CONTENT)
SAVED.save_time.FromDatetime(NOW)
SAVE: dict[str, Any] = {"draft_id": "d", "author_id": "ann", "now": NOW}


def scheduled(time: datetime) -> events.DraftScheduled:
    found = events.DraftScheduled(draft_id="d", author_id="ann")
    found.publish_time.FromDatetime(time)
    return found


def test_a_draft_is_saved_as_it_is_and_only_on_the_version_that_was_seen() -> None:
    Spec(draft).when(commands.SaveDraft(content=CONTENT, **SAVE)).then(SAVED)
    Spec(draft).given(SAVED).when(commands.SaveDraft(content=CONTENT, **SAVE)).then_nothing()
    more = events.DraftContent(body="a thought")
    changed = events.DraftSaved(draft_id="d", author_id="ann", content=more)
    changed.save_time.FromDatetime(NOW)
    Spec(draft).given(SAVED).when(commands.SaveDraft(content=more, etag="1", **SAVE)).then(changed)
    stale = commands.SaveDraft(content=CONTENT, etag="1", **SAVE)
    Spec(draft).given(SAVED, changed).when(stale).then_rejected("another device", EditConflict)
    Spec(draft).given(SAVED).when(commands.SaveDraft(content=more, **SAVE | {"author_id": "bob"})).then_rejected("no such", NotFound)
    Spec(draft).when(commands.SaveDraft(content=events.DraftContent(language="en"), **SAVE)).then_rejected("some text", InvalidArgument)
    Spec(draft).when(commands.SaveDraft(content=events.DraftContent(body="x" * 10_001), **SAVE)).then_rejected("10,000", InvalidArgument)
    large = events.DraftContent(body="x", warning="x" * 100_000)
    Spec(draft).when(commands.SaveDraft(content=large, **SAVE)).then_rejected("100,000 bytes", InvalidArgument)


def test_a_draft_is_scheduled_from_five_minutes_to_two_years_ahead() -> None:
    soon = NOW + timedelta(minutes=5)
    ask: dict[str, Any] = {"draft_id": "d", "author_id": "ann", "now": NOW}
    Spec(draft).given(SAVED).when(commands.ScheduleDraft(publish_time=soon, **ask)).then(scheduled(soon))
    Spec(draft).given(SAVED, scheduled(soon)).when(commands.ScheduleDraft(publish_time=soon, **ask)).then_nothing()
    for wrong in (NOW + timedelta(minutes=4), NOW - timedelta(days=1), NOW + timedelta(days=800)):
        Spec(draft).given(SAVED).when(commands.ScheduleDraft(publish_time=wrong, **ask)).then_rejected("5 minutes", InvalidArgument)
    Spec(draft).when(commands.ScheduleDraft(publish_time=soon, **ask)).then_rejected("no such", NotFound)
    taken_back = commands.UnscheduleDraft(draft_id="d", author_id="ann")
    Spec(draft).given(SAVED, scheduled(soon)).when(taken_back).then(events.DraftUnscheduled(draft_id="d", author_id="ann"))
    Spec(draft).given(SAVED).when(taken_back).then_nothing()


def test_a_draft_ends_once() -> None:
    published = events.DraftPublished(draft_id="d", author_id="ann", post_id="p")
    publish = commands.PublishDraft(draft_id="d", author_id="ann", post_id="p")
    Spec(draft).given(SAVED).when(publish).then(published)
    Spec(draft).given(SAVED, published).when(publish).then_nothing()
    save = commands.SaveDraft(content=events.DraftContent(body="more"), **SAVE)
    Spec(draft).given(SAVED, published).when(save).then_rejected("published", Rejected)
    discard = commands.DiscardDraft(draft_id="d", author_id="ann")
    discarded = events.DraftDiscarded(draft_id="d", author_id="ann")
    Spec(draft).given(SAVED).when(discard).then(discarded)
    Spec(draft).given(SAVED, discarded).when(discard).then_nothing()
    Spec(draft).given(SAVED, discarded).when(save).then_rejected("thrown away", Rejected)


@pytest.fixture
def drafts(feed: Feed) -> Any:
    return feed.world.stub(DraftingServiceStub, "feed")


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    """Wait for what another task does."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


async def overdue(feed: Feed, author_id: str, draft_id: str, seconds: float = -1.0) -> None:
    """Have a draft scheduled for a moment that nobody could have asked for any more."""
    store = feed.world.store("feed")
    event = events.DraftScheduled(draft_id=draft_id, author_id=author_id)
    event.publish_time.FromDatetime(datetime.now(UTC) + timedelta(seconds=seconds))
    stream = f"draft-{draft_id}"
    await store.append(stream, len(await store.read(stream)), [event], Metadata(author_id))


async def test_drafts_are_their_authors_alone(feed: Feed, drafts: Any) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    with feed.by(ann):
        saved = await drafts.SaveDraft(drafting.SaveDraftRequest(content=CONTENT, request_id="first"))
        assert saved == await drafts.SaveDraft(drafting.SaveDraftRequest(content=CONTENT, request_id="first"))
        later = await drafts.SaveDraft(drafting.SaveDraftRequest(content=events.DraftContent(body="two")))
        ahead = datetime.now(UTC) + timedelta(hours=2)
        ask = drafting.ScheduleDraftRequest(draft_id=later.draft_id)
        ask.publish_time.FromDatetime(ahead)
        later = await drafts.ScheduleDraft(ask)
        assert later.publish_time.ToDatetime(UTC) == ahead
        page = await drafts.ListDrafts(drafting.ListDraftsRequest(page_size=1))
        rest = await drafts.ListDrafts(drafting.ListDraftsRequest(page_size=1, page_token=page.next_page_token))
        assert (list(page.drafts), list(rest.drafts), rest.next_page_token) == ([later], [saved], "")
        assert list((await drafts.ListDrafts(drafting.ListDraftsRequest(only_scheduled=True))).drafts) == [later]
        assert list((await drafts.ListDrafts(drafting.ListDraftsRequest(only_unscheduled=True))).drafts) == [saved]
        with refused(ABORTED, "another device"):
            await drafts.SaveDraft(drafting.SaveDraftRequest(draft_id=saved.draft_id, content=later.content, etag="7"))
        assert not (await drafts.UnscheduleDraft(drafting.UnscheduleDraftRequest(draft_id=later.draft_id))).HasField("publish_time")
        ask.publish_time.FromDatetime(datetime.now(UTC) + timedelta(seconds=10))
        with refused(INVALID, "5 minutes", "publish_time"):
            await drafts.ScheduleDraft(ask)
    with feed.by(bob):
        assert not (await drafts.ListDrafts(drafting.ListDraftsRequest())).drafts
        with refused(MISSING):
            await drafts.GetDraft(drafting.GetDraftRequest(draft_id=saved.draft_id))
        with refused(MISSING):
            await drafts.SaveDraft(drafting.SaveDraftRequest(draft_id=saved.draft_id, content=CONTENT))
        with refused(MISSING):
            await drafts.PublishDraft(drafting.PublishDraftRequest(draft_id=saved.draft_id))
        with refused(MISSING):
            await drafts.DiscardDraft(drafting.DiscardDraftRequest(draft_id=saved.draft_id))
    with feed.by(ann):
        await drafts.DiscardDraft(drafting.DiscardDraftRequest(draft_id=saved.draft_id))
        with refused(MISSING):
            await drafts.GetDraft(drafting.GetDraftRequest(draft_id=saved.draft_id))
        await drafts.SaveDraft(drafting.SaveDraftRequest(content=CONTENT))
    await feed.tell(f"person-{ann}", identity.PersonErased(person_id=ann))
    assert not await feed.world.store("feed").database.fetch("SELECT * FROM drafts")


async def test_a_draft_is_published_with_all_that_belongs_to_it_and_once(feed: Feed, drafts: Any) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    content = events.DraftContent(
        body="Lunch, @bob?", audience=people(bob), warning="Food", poll=Poll(options=["yes", "no"]), poll_seconds=3_600,
    )
    with feed.by(ann):
        saved = await drafts.SaveDraft(drafting.SaveDraftRequest(content=content))
        first, second = await asyncio.gather(*(
            drafts.PublishDraft(drafting.PublishDraftRequest(draft_id=saved.draft_id)) for _ in range(2)
        ))
        assert first.post_id == second.post_id
        again = await drafts.PublishDraft(drafting.PublishDraftRequest(draft_id=saved.draft_id))
        assert (again.post_id, again.warning, list(again.poll.poll.options)) == (first.post_id, "Food", ["yes", "no"])
        closing = again.poll.poll.close_time.ToDatetime(UTC) - again.publish_time.ToDatetime(UTC)
        assert timedelta(minutes=59) < closing < timedelta(minutes=61)
    published = (await feed.world.store("feed").read(f"post-{first.post_id}"))[0].data
    assert isinstance(published, PostPublished)
    assert published.draft_id == saved.draft_id
    assert await feed.timeline(bob) == ["Lunch, @bob?"]


async def test_a_scheduled_draft_is_published_at_its_time(feed: Feed, drafts: Any) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await feed.follow(bob, ann)
    with feed.by(ann):
        saved = await drafts.SaveDraft(drafting.SaveDraftRequest(content=events.DraftContent(body="good morning")))
        await overdue(feed, ann, saved.draft_id, 0.5)

    async def published() -> bool:
        return bool(await feed.timeline(bob))

    await until(published)
    assert await feed.timeline(bob) == ["good morning"]
    with feed.by(ann):
        post = await drafts.PublishDraft(drafting.PublishDraftRequest(draft_id=saved.draft_id))
    asked = (await feed.world.store("feed").read(f"draft-{saved.draft_id}"))[1].data.publish_time
    assert post.publish_time.ToMicroseconds() >= asked.ToMicroseconds()


async def test_what_was_due_while_nothing_ran_is_published_at_the_next_start_and_once(tmp_path: Path) -> None:
    async with feed_of(tmp_path) as feed:
        ann = await feed.person("ann")
        stub: Any = feed.world.stub(DraftingServiceStub, "feed")
        with feed.by(ann):
            saved = await stub.SaveDraft(drafting.SaveDraftRequest(content=events.DraftContent(body="in the night")))
            # The post is out, and the process went before it could note that.
            request = api.PublishPostRequest(body="in the night", request_id=f"draft-{saved.draft_id}-2")
            first = await feed.stub.PublishPost(request)
        await overdue(feed, ann, saved.draft_id, 1.0)
        await feed.world.settle()
    async with feed_of(tmp_path) as feed:
        async def noted() -> bool:
            stream = await feed.world.store("feed").read(f"draft-{saved.draft_id}")
            return isinstance(stream[-1].data, events.DraftPublished)

        await until(noted)
        last = (await feed.world.store("feed").read(f"draft-{saved.draft_id}"))[-1].data
        assert last.post_id == first.post_id
        with feed.by(ann, "employee"):
            page = await feed.stub.ListTimeline(api.ListTimelineRequest(kind=api.TIMELINE_KIND_COMPANY))
        assert [post.body for post in page.posts] == ["in the night"]


async def test_what_cannot_be_published_goes_back_to_its_author_with_the_reason(feed: Feed, drafts: Any) -> None:
    ann, owner = await feed.person("ann"), await feed.person("owner")
    community = await feed.community(owner)
    with feed.by(ann):
        await feed.stub.JoinCommunity(api.JoinCommunityRequest(community_id=community.community_id))
        content = events.DraftContent(body="to all of you")
        content.audience.community_id = community.community_id
        saved = await drafts.SaveDraft(drafting.SaveDraftRequest(content=content))
        await feed.stub.LeaveCommunity(api.LeaveCommunityRequest(community_id=community.community_id))
        await overdue(feed, ann, saved.draft_id)

    async def refused_at_last() -> bool:
        with feed.by(ann):
            return bool((await drafts.GetDraft(drafting.GetDraftRequest(draft_id=saved.draft_id))).failure)

    await until(refused_at_last)
    with feed.by(ann):
        held = await drafts.GetDraft(drafting.GetDraftRequest(draft_id=saved.draft_id))
        assert "join it first" in held.failure
        assert not held.HasField("publish_time")
        assert [(each.kind, each.actor_count) for each in await feed.notifications(ann)] == [(api.NOTIFICATION_KIND_DRAFT, 0)]
        content.audience.everyone.SetInParent()
        held = await drafts.SaveDraft(drafting.SaveDraftRequest(draft_id=saved.draft_id, content=content))
        assert held.failure == ""
        assert (await drafts.PublishDraft(drafting.PublishDraftRequest(draft_id=saved.draft_id))).body == "to all of you"
        with refused(FAILED, "published"):
            await drafts.SaveDraft(drafting.SaveDraftRequest(draft_id=saved.draft_id, content=content))
