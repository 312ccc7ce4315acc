"""The home timeline equals what a naive reader would gather, whatever happened; small limits make broad sources and floors common."""
from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as forall
from hypothesis import strategies as st

from libs.db.sqlite import SqliteDatabase
from libs.eventstore.model import Metadata, Recorded
from libs.text.ids import id_at, new_id
from services.feed.projections import Timelines
from services.feed.service import SERVICE
from tests.feed.worlds import CLOSED, EVERYONE, INVALID, MISSING, OPEN, Feed, feed_of, people, refused
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.events_pb2 import PersonFollowed, PostDeleted, PostPublished

TAGS = ("red", "blue")
PEOPLE = 4


def with_limits(broad: int, kept: int) -> Any:
    """The service with timelines of other limits."""
    projections = tuple(Timelines(broad, kept) if isinstance(one, Timelines) else one for one in SERVICE.projections)
    return replace(SERVICE, projections=projections)


@dataclass
class Written:
    author: int
    audience: str
    tags: set[str]
    named: set[int] = field(default_factory=set)
    post_id: str = ""
    deleted: bool = False


@dataclass
class Model:
    """All posts, filtered: what a home timeline is, by definition."""

    posts: list[Written] = field(default_factory=list)
    follows: set[tuple[int, int]] = field(default_factory=set)
    tags: set[tuple[int, str]] = field(default_factory=set)
    members: dict[str, set[int]] = field(default_factory=lambda: {"open": {0}, "closed": {0}})

    def visible(self, reader: int, post: Written) -> bool:
        match post.audience:
            case "followers":
                return reader == post.author or (reader, post.author) in self.follows
            case "closed":
                return reader in self.members["closed"]
            case "people":
                return reader == post.author or reader in post.named
            case _:
                return True

    def home(self, reader: int) -> list[str]:
        return [
            post.post_id for post in sorted(self.posts, key=lambda one: one.post_id, reverse=True)
            if not post.deleted and self.visible(reader, post) and (
                reader == post.author or (reader, post.author) in self.follows or reader in self.members.get(post.audience, ())
                or any((reader, tag) in self.tags for tag in post.tags) or reader in post.named
            )
        ]


who = st.integers(0, PEOPLE - 1)
steps = st.lists(st.one_of(
    st.tuples(st.just("post"), who, st.sampled_from(["everyone", "followers", "open", "closed", "people"]),
              st.sets(st.sampled_from(TAGS)), st.sets(who, min_size=1)),
    st.tuples(st.just("post"), who, st.just("everyone"), st.sets(st.sampled_from(TAGS)), st.just(set())),
    st.tuples(st.just("follow"), who, who),
    st.tuples(st.just("unfollow"), who, who),
    st.tuples(st.just("follow tag"), who, st.sampled_from(TAGS)),
    st.tuples(st.just("unfollow tag"), who, st.sampled_from(TAGS)),
    st.tuples(st.just("join"), st.integers(1, PEOPLE - 1), st.sampled_from(["open", "closed"])),
    st.tuples(st.just("leave"), st.integers(1, PEOPLE - 1), st.sampled_from(["open", "closed"])),
    st.tuples(st.just("delete"), st.integers(0, 30)),
    st.tuples(st.just("edit"), st.integers(0, 5), st.sets(st.sampled_from(TAGS))),
), min_size=1, max_size=40)


class Run:
    """The same steps in the feed and in the model."""

    def __init__(self, feed: Feed, ids: list[str], communities: dict[str, str]) -> None:
        self.feed, self.ids, self.communities, self.model = feed, ids, communities, Model()

    async def step(self, step: tuple[Any, ...]) -> None:
        stub, ids, model = self.feed.stub, self.ids, self.model
        match step:
            case ("post", author, audience, tags, named):
                await self._post(author, audience, tags, named - {author})
            case ("follow", reader, author) if reader != author:
                await self.feed.follow(ids[reader], ids[author])
                model.follows.add((reader, author))
            case ("unfollow", reader, author):
                with self.feed.by(ids[reader]):
                    await stub.UnfollowPerson(api.UnfollowPersonRequest(person_id=ids[author]))
                model.follows.discard((reader, author))
            case ("follow tag", reader, tag):
                with self.feed.by(ids[reader]):
                    await stub.FollowTag(api.FollowTagRequest(tag=tag))
                model.tags.add((reader, tag))
            case ("unfollow tag", reader, tag):
                with self.feed.by(ids[reader]):
                    await stub.UnfollowTag(api.UnfollowTagRequest(tag=tag))
                model.tags.discard((reader, tag))
            case ("join", reader, name):
                await self.feed.add(ids[0], self.communities[name], ids[reader])
                model.members[name].add(reader)
            case ("leave", reader, name):
                with self.feed.by(ids[reader]):
                    await stub.LeaveCommunity(api.LeaveCommunityRequest(community_id=self.communities[name]))
                model.members[name].discard(reader)
            case ("delete", number) if number < len(model.posts) and self._editable(model.posts[number]):
                post = model.posts[number]
                with self.feed.by(ids[post.author]):
                    await stub.DeletePost(api.DeletePostRequest(post_id=post.post_id))
                post.deleted = True
            case ("edit", number, tags) if number < len(model.posts) and self._editable(model.posts[number]):
                post = model.posts[number]
                with self.feed.by(ids[post.author]):
                    await stub.EditPost(api.EditPostRequest(post_id=post.post_id, body=_body(tags)))
                post.tags = tags

    def _editable(self, post: Written) -> bool:
        return not post.deleted and self.model.visible(post.author, post)

    async def _post(self, author: int, audience: str, tags: set[str], named: set[int]) -> None:
        if audience in self.communities and author not in self.model.members[audience]:
            return
        if audience == "people" and not named:
            return
        written = Written(author, audience, tags, named if audience == "people" else set())
        match audience:
            case "everyone":
                for_whom = EVERYONE
            case "followers":
                for_whom = Audience(followers_of_id=self.ids[author])
            case "people":
                for_whom = people(*(self.ids[one] for one in named))
            case _:
                for_whom = Audience(community_id=self.communities[audience])
        written.post_id = (await self.feed.post(self.ids[author], _body(tags), for_whom)).post_id
        self.model.posts.append(written)

    async def check(self) -> None:
        for reader, person_id in enumerate(self.ids):
            found: list[str] = []
            page_token = ""
            with self.feed.by(person_id):
                while True:
                    page = await self.feed.stub.ListTimeline(
                        api.ListTimelineRequest(kind=api.TIMELINE_KIND_HOME, page_size=3, page_token=page_token)
                    )
                    found += (post.post_id for post in page.posts)
                    page_token = page.next_page_token
                    if not page_token:
                        break
            assert found == self.model.home(reader)


def _body(tags: set[str]) -> str:
    return " ".join(["hello", *(f"#{tag}" for tag in sorted(tags))])


@pytest.mark.parametrize(("broad", "kept"), [(200, 300), (2, 4), (1, 2), (3, 1)])
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@forall(steps=steps)
def test_home_equals_the_naive_model(broad: int, kept: int, steps: list[tuple[Any, ...]]) -> None:
    async def run() -> None:
        with TemporaryDirectory() as folder:
            async with feed_of(Path(folder), with_limits(broad, kept)) as feed:
                ids = [await feed.person(f"p{number}") for number in range(PEOPLE)]
                communities = {
                    name: (await feed.community(ids[0], name, kind)).community_id for name, kind in (("open", OPEN), ("closed", CLOSED))
                }
                run = Run(feed, ids, communities)
                for step in steps:
                    await run.step(step)
                await run.check()

    asyncio.run(run())


async def test_a_new_follow_shows_the_whole_history_past_what_is_copied(tmp_path: Path) -> None:
    async with feed_of(tmp_path, with_limits(2, 5)) as feed:
        ann, bob, cem, dora = [await feed.person(name) for name in ("ann", "bob", "cem", "dora")]
        bodies = [(await feed.post(ann, f"post {number}")).body for number in range(30)]
        for reader in (bob, cem, dora):  # the third makes ann broad
            await feed.follow(reader, ann)
            assert await feed.timeline(reader, page_size=7) == bodies[::-1]
        bodies.append((await feed.post(ann, "the newest")).body)
        for reader in (ann, bob, cem, dora):
            assert await feed.timeline(reader, page_size=7) == bodies[::-1]


async def test_the_work_of_a_post_is_bounded_by_the_limit(tmp_path: Path) -> None:
    async with feed_of(tmp_path, with_limits(3, 300)) as feed:
        ann = await feed.person("ann")
        readers = [await feed.person(f"reader{number}") for number in range(6)]
        for reader in readers:
            await feed.follow(reader, ann)
        post = await feed.post(ann, "to all of you")
        async with feed.world.store("feed").database.snapshot() as tx:
            entries = await tx.fetch("SELECT reader_id FROM home_entries WHERE post_id = :post_id", post_id=post.post_id)
        assert [row["reader_id"] for row in entries] == [ann]
        for reader in readers:
            assert await feed.timeline(reader) == ["to all of you"]


@pytest.mark.parametrize("broad", [1, 2, 200])
async def test_a_tag_edited_away_takes_the_post_out(tmp_path: Path, broad: int) -> None:
    async with feed_of(tmp_path, with_limits(broad, 300)) as feed:
        ann, *readers = [await feed.person(name) for name in ("ann", "bob", "cem")]
        posts = []
        for reader in readers:  # the second makes the tag broad where the limit is 1, after the first has entries
            posts.append(await feed.post(ann, "about #red"))
            with feed.by(reader):
                await feed.stub.FollowTag(api.FollowTagRequest(tag="red"))
        for number, post in enumerate(posts, 1):
            with feed.by(ann):
                await feed.stub.EditPost(api.EditPostRequest(post_id=post.post_id, body="about #blue"))
            for reader in readers:
                assert await feed.timeline(reader) == ["about #red"] * (2 - number)
        with feed.by(ann):
            await feed.stub.EditPost(api.EditPostRequest(post_id=posts[0].post_id, body="about #red again"))
        for reader in readers:
            assert await feed.timeline(reader) == ["about #red again"]


async def test_a_post_to_very_many_costs_what_a_post_to_many_does(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "feed.db", durable=False)
    await database.install(SERVICE.schema)
    timelines = Timelines(broad_subscribers=50)
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    async def take(event: Any) -> int:
        nonlocal steps
        async with database.transaction() as tx:
            database.writer.set_progress_handler(count, 100)
            steps = 0
            await timelines.apply(Recorded("", "", 1, 7, 0, event, Metadata("")), tx)
            database.writer.set_progress_handler(None, 0)
        return steps

    ann = new_id()
    cost = {}
    for followers in range(1, 5_001):
        await take(PersonFollowed(follower_id=new_id(), person_id=ann))
        if followers in (50, 51, 5_000):
            post_id = new_id()
            published = await take(PostPublished(post_id=post_id, author_id=ann, audience=EVERYONE, tags=["red"]))
            cost[followers] = published + await take(PostDeleted(post_id=post_id, author_id=ann))
    await database.close()
    assert cost[51] < cost[50] / 2, cost
    assert cost[5_000] <= cost[51] + 1, cost


async def test_entries_do_not_grow_without_end(tmp_path: Path) -> None:
    async with feed_of(tmp_path, with_limits(200, 10)) as feed:
        ann, bob = await feed.person("ann"), await feed.person("bob")
        await feed.follow(bob, ann)
        for number in range(60):
            await feed.post(ann, f"post {number}")
        async with feed.world.store("feed").database.snapshot() as tx:
            rows = await tx.fetch("SELECT reader_id, COUNT(*) AS entries FROM home_entries GROUP BY reader_id")
        assert {row["reader_id"]: row["entries"] for row in rows} == {ann: 11, bob: 11}
        assert len(await feed.timeline(bob)) == 60


async def test_home_holds_no_replies(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await feed.follow(bob, ann)
    first = await feed.post(ann, "first")
    await feed.post(ann, "an answer", parent_id=first.post_id)
    assert await feed.timeline(bob) == ["first"]
    assert await feed.timeline(bob, api.TIMELINE_KIND_PERSON, ann) == ["first"]
    assert await feed.timeline(bob, api.TIMELINE_KIND_PERSON, ann, include_replies=True) == ["an answer", "first"]


async def test_pictures_only(feed: Feed) -> None:
    ann = await feed.person("ann")
    await feed.post(ann, "words")
    await feed.post(ann, "a picture", attachments=[Attachment(blob_id="b", media_type="image/png", description="a pier")])
    await feed.post(ann, "a paper", attachments=[Attachment(blob_id="c", media_type="application/pdf")])
    assert await feed.timeline(ann, api.TIMELINE_KIND_PERSON, ann, only_attachments=True) == ["a picture"]
    assert await feed.timeline(ann, only_attachments=True) == ["a picture"]


async def test_saved_posts_come_in_order_of_saving(feed: Feed) -> None:
    ann = await feed.person("ann")
    posts = [await feed.post(ann, f"post {number}") for number in range(5)]
    with feed.by(ann):
        for number in (3, 0, 4, 1):
            await feed.stub.SavePost(api.SavePostRequest(post_id=posts[number].post_id))
        await feed.stub.UnsavePost(api.UnsavePostRequest(post_id=posts[4].post_id))
    assert await feed.timeline(ann, api.TIMELINE_KIND_SAVED, page_size=2) == ["post 1", "post 0", "post 3"]


async def test_bad_requests_say_which_field(feed: Feed) -> None:
    ann = await feed.person("ann")
    with feed.by(ann):
        with refused(INVALID, field="page_token"):
            await feed.stub.ListTimeline(api.ListTimelineRequest(kind=api.TIMELINE_KIND_HOME, page_token="%%%"))
        with refused(INVALID, field="page_token"):
            await feed.stub.ListTimeline(api.ListTimelineRequest(kind=api.TIMELINE_KIND_HOME, page_token="YWJj"))
        with refused(INVALID, field="page_token"):
            await feed.stub.ListTimeline(api.ListTimelineRequest(kind=api.TIMELINE_KIND_SAVED, page_token="YWJj"))
        with refused(INVALID, field="kind"):
            await feed.stub.ListTimeline(api.ListTimelineRequest())
        with refused(INVALID, field="subject"):
            await feed.stub.ListTimeline(api.ListTimelineRequest(kind=api.TIMELINE_KIND_TAG, subject="no tag"))
        with refused(MISSING, field="subject"):
            await feed.stub.ListTimeline(api.ListTimelineRequest(kind=api.TIMELINE_KIND_COMMUNITY, subject="nowhere"))
        with refused(INVALID, field="page_size"):
            await feed.stub.ListTimeline(api.ListTimelineRequest(kind=api.TIMELINE_KIND_HOME, page_size=-1))


async def test_much_hidden_makes_short_pages_that_go_on(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.feed.queries.timelines.SCANNED", 10)
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await feed.follow(bob, ann)
    secret = (await feed.community(ann, "Plans", CLOSED)).community_id
    await feed.post(ann, "the oldest")
    for number in range(60):
        await feed.post(ann, f"secret {number}", Audience(community_id=secret))
    await feed.post(ann, "the newest")
    assert await feed.timeline(bob, page_size=2) == ["the newest", "the oldest"]
    with feed.by(bob):
        page = await feed.stub.ListTimeline(api.ListTimelineRequest(kind=api.TIMELINE_KIND_HOME, page_size=2))
    assert [post.body for post in page.posts] == ["the newest"]
    assert page.next_page_token


def test_time_orders_ids() -> None:
    """What the timelines rely on: an id made for a later millisecond sorts after one for an earlier."""
    start = datetime(2020, 1, 1, tzinfo=UTC)
    ids = [id_at(start + timedelta(milliseconds=number)) for number in range(100)]
    assert ids == sorted(ids)
