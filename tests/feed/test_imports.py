"""Imports: the good records go in, the bad ones are named, and the same again changes nothing."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from libs.text.ids import time_of
from tests.feed.worlds import CLOSED, DENIED, INVALID, MEMBER, MODERATOR, OWNER, SECRET, Feed, people, refused
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.identity.v1 import events_pb2 as identity

ADDED, CHANGED, UNCHANGED, REFUSED = (
    api.IMPORT_OUTCOME_ADDED, api.IMPORT_OUTCOME_CHANGED, api.IMPORT_OUTCOME_UNCHANGED, api.IMPORT_OUTCOME_REFUSED,
)
START = datetime(2015, 3, 1, 12, tzinfo=UTC)


def at(minutes: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(START + timedelta(minutes=minutes))
    return stamp


def record(key: str, author: str = "ann", body: str = "", minutes: float = 0, **fields: Any) -> api.PostRecord:
    return api.PostRecord(
        place=f"line {key}", external_id=key, author_key=author, body=body or f"post {key}", publish_time=at(minutes), **fields
    )


async def bring(feed: Feed, admin: str, *records: api.PostRecord, source: str = "old", dry_run: bool = False) -> Any:
    with feed.by(admin, "employee", "administrator"):
        return (await feed.stub.ImportPosts(api.ImportPostsRequest(source=source, records=records, dry_run=dry_run), timeout=60)).results


async def found(feed: Feed, admin: str, *records: api.CommunityRecord, dry_run: bool = False) -> Any:
    with feed.by(admin, "employee", "administrator"):
        request = api.ImportCommunitiesRequest(source="old", records=records, dry_run=dry_run)
        return (await feed.stub.ImportCommunities(request, timeout=60)).results


def outcomes(results: Any) -> list[int]:
    return [result.outcome for result in results]


async def test_posts_keep_their_times_and_threads_in_any_order(feed: Feed) -> None:
    admin, ann, bob = [await feed.person(name) for name in ("admin", "ann", "bob")]
    await feed.follow(bob, ann)
    now = await feed.post(ann, "written here")
    records = [
        record("4", "bob", minutes=9, parent_external_id="3"), record("3", "bob@example.com", minutes=5, parent_external_id="1"),
        record("1", "@ann", "@bob look at #this", reactions=[api.RecordedReaction(emoji="🎉", person_keys=["E-bob", "ann", "zoe"])]),
        record("2", "E-ann", minutes=2),
    ]
    results = await bring(feed, admin, *records)
    assert outcomes(results) == [ADDED] * 4, results
    assert [result.place for result in results] == [one.place for one in records]
    assert list(results[2].warnings) == ["a reaction was left out: nobody is known as 'zoe'"]
    assert await feed.timeline(bob) == [now.body, "post 2", "@bob look at #this"]
    with feed.by(bob):
        thread = await feed.stub.GetThread(api.GetThreadRequest(post_id=results[0].id))
        assert [(one.body, one.author.handle, one.parent_id) for one in thread.replies] == [
            ("post 3", "bob", results[2].id), ("post 4", "bob", results[1].id),
        ]
        assert thread.root.publish_time == at(0)
        assert [(one.emoji, one.count, one.mine) for one in thread.root.reactions] == [("🎉", 2, True)]
    assert time_of(results[3].id) == START + timedelta(minutes=2)
    assert [one.kind for one in await feed.notifications(ann)] == [api.NOTIFICATION_KIND_FOLLOW]
    assert await feed.notifications(bob) == []

    head = await feed.world.store("feed").head()
    again = await bring(feed, admin, *records)
    assert outcomes(again) == [UNCHANGED] * 4
    assert [result.id for result in again] == [result.id for result in results]
    assert await feed.world.store("feed").head() == head


async def test_what_changed_in_the_source_is_edited_unless_it_was_edited_here(feed: Feed) -> None:
    admin, ann = await feed.person("admin"), await feed.person("ann")
    first = await bring(feed, admin, record("1", body="one"), record("2", body="two"))
    changed = await bring(feed, admin, record("1", body="one, better"), record("2", body="two"))
    assert outcomes(changed) == [CHANGED, UNCHANGED]
    assert outcomes(await bring(feed, admin, record("1", body="one, best"))) == [CHANGED]
    with feed.by(ann):
        await feed.stub.EditPost(api.EditPostRequest(post_id=first[0].id, body="mine now"))
    result, = await bring(feed, admin, record("1", body="one, better still"))
    assert (result.outcome, len(result.warnings)) == (UNCHANGED, 1)
    assert sorted(await feed.timeline(ann)) == ["mine now", "two"]
    with feed.by(ann):
        await feed.stub.DeletePost(api.DeletePostRequest(post_id=first[0].id))
    assert outcomes(await bring(feed, admin, record("1", body="back from the dead"))) == [UNCHANGED]
    assert await feed.timeline(ann) == ["two"]


async def test_bad_records_are_refused_with_their_reasons(feed: Feed) -> None:
    admin, _ = await feed.person("admin"), await feed.person("ann")
    results = await bring(
        feed, admin, record("1"), record("2", "zoe"), record("3", parent_external_id="2"), record("4", body="x" * 10_001),
        api.PostRecord(external_id="5", author_key="ann", body="when?"), record("6", minutes=60 * 24 * 365 * 200), record(""),
        record("1", body="again"), record("7", community_external_id="nowhere"), record("8", parent_external_id="9"),
        record("9", parent_external_id="8"), record("10", audience=Audience(followers_of_id=admin)), record("11", language="no language"),
    )
    assert outcomes(results) == [ADDED] + [REFUSED] * 12
    for result, reason in zip(results[1:], (
        "nobody is known as 'zoe'", "did not come in", "10,000", "time of publication", "future", "key of 1 to 200", "twice",
        "communities first", "did not come in", "did not come in", "author's followers", "BCP 47",
    ), strict=True):
        assert reason in result.reason, result
        assert not result.id


async def test_a_dry_run_says_the_same_and_changes_nothing(feed: Feed) -> None:
    admin, _ = await feed.person("admin"), await feed.person("ann")
    records = [record("2", parent_external_id="1"), record("1"), record("3", "zoe")]
    head = await feed.world.store("feed").head()
    dry = await bring(feed, admin, *records, dry_run=True)
    assert await feed.world.store("feed").head() == head
    assert outcomes(dry) == outcomes(await bring(feed, admin, *records)) == [ADDED, ADDED, REFUSED]
    assert outcomes(await bring(feed, admin, record("1", body="new text"), dry_run=True)) == [CHANGED]
    clubs = [api.CommunityRecord(external_id="c", name="Club", owner_keys=["ann"])]
    head = await feed.world.store("feed").head()
    assert outcomes(await found(feed, admin, *clubs, dry_run=True)) == [ADDED]
    assert await feed.world.store("feed").head() == head


async def test_who_may_and_how_much(feed: Feed) -> None:
    ann = await feed.person("ann")
    with feed.by(ann), refused(DENIED, "administrators"):
        await feed.stub.ImportPosts(api.ImportPostsRequest(source="old"))
    with feed.by(ann, "employee", "administrator"):
        with refused(INVALID, "1,000", "records"):
            await feed.stub.ImportPosts(api.ImportPostsRequest(source="old", records=[api.PostRecord()] * 1001))
        for source in ("", "a:b", "x" * 51):
            with refused(INVALID, field="source"):
                await feed.stub.ImportCommunities(api.ImportCommunitiesRequest(source=source))
    with feed.world.acting_for("cli"):
        results = (await feed.stub.ImportPosts(api.ImportPostsRequest(source="old", records=[record("1")]))).results
    assert outcomes(results) == [ADDED]


async def test_communities_come_with_their_members(feed: Feed) -> None:
    admin, ann, bob, cem = [await feed.person(name) for name in ("admin", "ann", "bob", "cem")]
    records = [
        api.CommunityRecord(
            place="a", external_id="a", name="Data guild", description="d", kind=CLOSED, tags=["Data"], owner_keys=["ann"],
            moderator_keys=["bob@example.com"], member_keys=["E-cem", "ann", "zoe"], create_time=at(0),
        ),
        api.CommunityRecord(place="b", external_id="b", name="Nobody's"),
        api.CommunityRecord(place="c", external_id="c", name="x" * 101),
    ]
    results = await found(feed, admin, *records)
    assert outcomes(results) == [ADDED, ADDED, REFUSED]
    assert list(results[0].warnings) == ["a member was left out: nobody is known as 'zoe'"]
    with feed.by(ann):
        club = await feed.stub.GetCommunity(api.GetCommunityRequest(handle="data-guild"))
        assert (club.create_time, club.kind, club.member_count, list(club.tags)) == (at(0), CLOSED, 3, ["data"])
        members = (await feed.stub.ListMembers(api.ListMembersRequest(community_id=club.community_id))).members
        assert {one.person.handle: one.role for one in members} == {"ann": OWNER, "bob": MODERATOR, "cem": MEMBER}
        with feed.by(admin):
            owned = await feed.stub.GetCommunity(api.GetCommunityRequest(handle="nobody-s"))
        assert owned.my_role == OWNER
    assert await feed.notifications(cem) == []

    with feed.by(cem):
        await feed.stub.LeaveCommunity(api.LeaveCommunityRequest(community_id=club.community_id))
    head = await feed.world.store("feed").head()
    assert outcomes(await found(feed, admin, *records)) == [UNCHANGED, UNCHANGED, REFUSED]
    assert await feed.world.store("feed").head() == head, "who left is not let in again"
    records[0].description = "better"
    assert outcomes(await found(feed, admin, *records[:2])) == [CHANGED, UNCHANGED]

    posts = await bring(feed, admin, record("1", community_external_id="a"), record("2", parent_external_id="1"))
    assert outcomes(posts) == [ADDED, ADDED]
    assert await feed.timeline(bob) == ["post 1"]
    assert await feed.timeline(cem) == []
    with feed.by(bob):
        assert (await feed.stub.GetPost(api.GetPostRequest(post_id=posts[1].id))).audience.community_id == club.community_id


async def test_people_are_found_under_their_outside_keys(feed: Feed) -> None:
    admin, ann, bob = [await feed.person(name) for name in ("admin", "ann", "bob")]
    await feed.tell(f"person-{ann}", identity.ExternalKeyAdded(person_id=ann, external_key="old:U1"))
    await feed.tell(f"person-{bob}", identity.ExternalKeyAdded(person_id=bob, external_key="other:U1"),
                    identity.ExternalKeyAdded(person_id=bob, external_key="other:U2"))
    results = await bring(feed, admin, record("1", "U1"), record("2", "other:U1"), record("3", "U2"), record("4", ann))
    assert outcomes(results) == [ADDED] * 4
    with feed.by(admin):
        authors = [(await feed.stub.GetPost(api.GetPostRequest(post_id=result.id))).author.handle for result in results]
    assert authors == ["ann", "bob", "bob", "ann"]
    assert outcomes(await bring(feed, admin, record("5", "U1"), source="third")) == [REFUSED]  # it fits two people


async def test_private_posts_stay_private(feed: Feed) -> None:
    admin, ann, bob, cem = [await feed.person(name) for name in ("admin", "ann", "bob", "cem")]
    await found(feed, admin, api.CommunityRecord(external_id="s", name="Secret", kind=SECRET, owner_keys=["ann"]))
    results = await bring(feed, admin, record("1", audience=people(bob)), record("2", community_external_id="s"))
    assert outcomes(results) == [ADDED, ADDED]
    assert await feed.timeline(bob) == ["post 1"]
    assert await feed.timeline(ann) == ["post 2", "post 1"]
    assert await feed.timeline(cem, api.TIMELINE_KIND_PERSON, ann) == []


async def test_a_thousand_go_in_at_once(feed: Feed) -> None:
    admin, ann = await feed.person("admin"), await feed.person("ann")
    records = [record(str(number), minutes=number, body=f"post {number} about #things") for number in range(1_000)]
    results = await bring(feed, admin, *records)
    assert outcomes(results) == [ADDED] * 1_000
    assert len(await feed.timeline(ann, page_size=200)) == 1_000


async def test_what_has_the_same_time_keeps_the_order_of_its_source(feed: Feed) -> None:
    admin, ann = await feed.person("admin"), await feed.person("ann")
    results = await bring(feed, admin, record("3", parent_external_id="2"), *(record(str(number)) for number in (1, 2, 5, 4)))
    assert outcomes(results) == [ADDED] * 5
    assert await feed.timeline(ann) == ["post 4", "post 5", "post 2", "post 1"]
    assert results[0].id > results[2].id
    with feed.by(ann):
        assert (await feed.stub.GetPost(api.GetPostRequest(post_id=results[4].id))).publish_time == at(0)
