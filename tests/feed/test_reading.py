"""Mutes, blocks, notes, lists, filters, markers and custom emoji, as people use them."""
from __future__ import annotations

import struct
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.feed.worlds import DENIED, FAILED, INVALID, MISSING, Feed, people, refused
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1 import reading_events_pb2 as reading_events
from watercooler.feed.v1 import reading_service_pb2 as reading
from watercooler.feed.v1.reading_service_pb2_grpc import ReadingServiceStub
from watercooler.identity.v1 import events_pb2 as identity

HOME, COMPANY, LIST = api.TIMELINE_KIND_HOME, api.TIMELINE_KIND_COMPANY, api.TIMELINE_KIND_LIST


@pytest.fixture
def read(feed: Feed) -> Any:
    return feed.world.stub(ReadingServiceStub, "feed")


def picture(size: int = 1) -> bytes:
    """A PNG of one colour."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x7f" * size for _ in range(size)), 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def test_a_mute_takes_posts_and_notifications_until_it_ends(feed: Feed, read: Any) -> None:
    ann, bob, cid = await feed.person("ann"), await feed.person("bob"), await feed.person("cid")
    await feed.follow(ann, bob)
    await feed.post(bob, "from bob")
    await feed.post(bob, "hello @ann")
    await feed.post(cid, "from cid")
    with feed.by(ann):
        bond = await read.MutePerson(reading.MutePersonRequest(person_id=bob, notifications=True, duration_seconds=3_600))
        assert (bond.muted, bond.notifications_muted, bond.following) == (True, True, True)
        assert bond.mute_expire_time.ToDatetime(UTC) > datetime.now(UTC)
        assert [each.person_id for each in (await read.ListMutedPeople(reading.ListMutedPeopleRequest())).people] == [bob]
    assert await feed.timeline(ann, HOME) == []
    assert await feed.timeline(ann, COMPANY) == ["from cid"]
    assert await feed.timeline(ann, api.TIMELINE_KIND_PERSON, bob) == ["hello @ann", "from bob"]
    assert list(await feed.notifications(ann)) == []
    with feed.by(ann):
        assert (await feed.stub.CountUnreadNotifications(api.CountUnreadNotificationsRequest())).unread_count == 0
        # Without notifications: only the timelines.
        await read.MutePerson(reading.MutePersonRequest(person_id=bob))
    assert await feed.timeline(ann, HOME) == []
    assert [each.kind for each in await feed.notifications(ann)] == [api.NOTIFICATION_KIND_MENTION]
    with feed.by(ann):
        assert not (await read.UnmutePerson(reading.UnmutePersonRequest(person_id=bob))).muted
    assert await feed.timeline(ann, HOME) == ["hello @ann", "from bob"]
    with feed.by(ann), refused(INVALID, "yourself"):
        await read.MutePerson(reading.MutePersonRequest(person_id=ann))
    with feed.by(ann), refused(INVALID, "a year"):
        await read.MutePerson(reading.MutePersonRequest(person_id=bob, duration_seconds=400 * 86_400))
    with feed.by(ann), refused(MISSING):
        await read.MutePerson(reading.MutePersonRequest(person_id="nobody"))


async def test_a_mute_with_an_end_counts_no_longer_when_it_is_past(feed: Feed, read: Any) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await feed.post(bob, "from bob")
    past = reading_events.PersonMuted(person_id=ann, muted_id=bob, notifications=True)
    past.expire_time.FromDatetime(datetime.now(UTC) - timedelta(seconds=1))
    from libs.eventstore.model import Metadata
    from libs.text.ids import pair_id
    await feed.world.store("feed").append(f"bond-{pair_id(ann, bob)}", 0, [past], Metadata(ann))
    assert await feed.timeline(ann, COMPANY) == ["from bob"]
    with feed.by(ann):
        found = await read.BatchGetBonds(reading.BatchGetBondsRequest(person_ids=[bob]))
        assert not found.bonds[0].muted
        assert not (await read.ListMutedPeople(reading.ListMutedPeopleRequest())).people


async def test_a_block_ends_follows_and_keeps_the_blocked_one_away(feed: Feed, read: Any) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await feed.follow(ann, bob)
    await feed.follow(bob, ann)
    written = await feed.post(ann, "by ann")
    await feed.post(bob, "hello @ann")
    with feed.by(ann):
        bond = await read.BlockPerson(reading.BlockPersonRequest(person_id=bob))
        assert (bond.blocked, bond.following, bond.followed_by) == (True, False, False)
        assert [each.person_id for each in (await read.ListBlockedPeople(reading.ListBlockedPeopleRequest())).people] == [bob]
        with refused(FAILED, "unblock"):
            await feed.stub.FollowPerson(api.FollowPersonRequest(person_id=bob))
    assert await feed.timeline(ann, COMPANY) == ["by ann"]
    assert list(await feed.notifications(ann)) == []
    with feed.by(bob):
        # What the blocked one reads says nothing of the block.
        found = (await read.BatchGetBonds(reading.BatchGetBondsRequest(person_ids=[ann]))).bonds[0]
        assert found == reading.Bond(person_id=ann)
        assert (await feed.stub.GetPost(api.GetPostRequest(post_id=written.post_id))).body == "by ann"
        with refused(FAILED):
            await feed.stub.FollowPerson(api.FollowPersonRequest(person_id=ann))
        with refused(FAILED):
            await feed.stub.AddReaction(api.AddReactionRequest(post_id=written.post_id, emoji="👍"))
        with refused(FAILED):
            await feed.stub.PublishPost(api.PublishPostRequest(body="but", parent_id=written.post_id))
        await feed.stub.PublishPost(api.PublishPostRequest(body="@ann again"))
    assert list(await feed.notifications(ann)) == []
    with feed.by(ann):
        assert not (await read.UnblockPerson(reading.UnblockPersonRequest(person_id=bob))).blocked
    await feed.follow(bob, ann)


async def test_blocking_is_the_organisations_to_allow(feed: Feed, read: Any) -> None:
    from watercooler.feed.v1.policy_service_pb2 import ChangePolicyRequest
    from watercooler.feed.v1.policy_service_pb2_grpc import PolicyServiceStub
    ann, bob, admin = await feed.person("ann"), await feed.person("bob"), await feed.person("admin", "administrator")
    policy: Any = feed.world.stub(PolicyServiceStub, "feed")
    with feed.by(admin, "administrator", "employee"):
        await policy.ChangePolicy(ChangePolicyRequest(blocking_allowed=False, update_mask=["blocking_allowed"], reason="we talk"))
    with feed.by(ann), refused(FAILED, "mute"):
        await read.BlockPerson(reading.BlockPersonRequest(person_id=bob))


async def test_lists_are_their_owners_and_show_what_their_people_write(feed: Feed, read: Any) -> None:
    ann, bob, cid = await feed.person("ann"), await feed.person("bob"), await feed.person("cid")
    for author in (bob, cid):
        await feed.follow(ann, author)
    await feed.post(bob, "one")
    await feed.post(cid, "two")
    await feed.post(bob, "three")
    with feed.by(ann):
        kept = await read.CreateList(reading.CreateListRequest(title=" Team ", request_id="once"))
        assert kept == await read.CreateList(reading.CreateListRequest(title=" Team ", request_id="once"))
        kept = await read.AddListPeople(reading.AddListPeopleRequest(list_id=kept.list_id, person_ids=[bob]))
        assert (kept.title, kept.person_count, kept.exclusive) == ("Team", 1, False)
        assert [each.list_id for each in (await read.ListLists(reading.ListListsRequest(person_id=bob))).lists] == [kept.list_id]
        assert not (await read.ListLists(reading.ListListsRequest(person_id=cid))).lists
    assert await feed.timeline(ann, LIST, kept.list_id, page_size=1) == ["three", "one"]
    assert await feed.timeline(ann, HOME) == ["three", "two", "one"]
    with feed.by(ann):
        await read.UpdateList(reading.UpdateListRequest(list_id=kept.list_id, title="Team", exclusive=True))
    assert await feed.timeline(ann, HOME) == ["two"]
    assert await feed.timeline(ann, COMPANY) == ["three", "two", "one"]
    for other, ask in ((bob, read.GetList(reading.GetListRequest(list_id=kept.list_id))),):
        with feed.by(other), refused(MISSING):
            await ask
    with feed.by(bob), refused(MISSING):
        await read.AddListPeople(reading.AddListPeopleRequest(list_id=kept.list_id, person_ids=[cid]))
    with feed.by(bob), refused(MISSING):
        await feed.stub.ListTimeline(api.ListTimelineRequest(kind=LIST, subject=kept.list_id))
    with feed.by(ann):
        listed = await read.ListListPeople(reading.ListListPeopleRequest(list_id=kept.list_id))
        assert [each.person_id for each in listed.people] == [bob]
        await read.RemoveListPeople(reading.RemoveListPeopleRequest(list_id=kept.list_id, person_ids=[bob]))
        await read.DeleteList(reading.DeleteListRequest(list_id=kept.list_id))
        assert not (await read.ListLists(reading.ListListsRequest())).lists
        with refused(INVALID, "title"):
            await read.CreateList(reading.CreateListRequest(title=" "))
        await read.CreateList(reading.CreateListRequest(title="Another"))


async def test_filters_fold_or_hide_where_they_hold(feed: Feed, read: Any) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    root = await feed.post(bob, "The **big** reorg begins")
    await feed.post(bob, "reorganisation of the shelf")
    await feed.post(ann, "my own reorg")
    await feed.post(bob, "@ann a REORG again", parent_id=root.post_id)
    wanted = reading.Filter(
        title="No reorg", action=reading_events.FILTER_ACTION_WARN, contexts=[reading_events.FILTER_CONTEXT_PUBLIC],
        keywords=[reading_events.FilterKeyword(text="reorg", whole_word=True)],
    )
    with feed.by(ann):
        kept = await read.SaveFilter(reading.SaveFilterRequest(filter=wanted, request_id="f"))
        page = await feed.stub.ListTimeline(api.ListTimelineRequest(kind=COMPANY))
        assert [(post.body, [match.title for match in post.filters]) for post in page.posts] == [
            ("my own reorg", []), ("reorganisation of the shelf", []), ("The **big** reorg begins", ["No reorg"]),
        ]
        assert list(page.posts[2].filters[0].keywords) == ["reorg"]
        kept.action = reading_events.FILTER_ACTION_HIDE
        kept.contexts[:] = [reading_events.FILTER_CONTEXT_PUBLIC, reading_events.FILTER_CONTEXT_NOTIFICATIONS]
        kept = await read.SaveFilter(reading.SaveFilterRequest(filter=kept))
        assert (await read.ListFilters(reading.ListFiltersRequest())).filters == [kept]
    assert await feed.timeline(ann, COMPANY) == ["my own reorg", "reorganisation of the shelf"]
    assert list(await feed.notifications(ann)) == []
    with feed.by(ann):
        assert (await feed.stub.CountUnreadNotifications(api.CountUnreadNotificationsRequest())).unread_count == 0
        thread = await feed.stub.GetThread(api.GetThreadRequest(post_id=root.post_id))
        assert len(thread.replies) == 1
        kept.contexts[:] = [reading_events.FILTER_CONTEXT_THREAD]
        await read.SaveFilter(reading.SaveFilterRequest(filter=kept))
        thread = await feed.stub.GetThread(api.GetThreadRequest(post_id=root.post_id))
        assert (thread.root.body, len(thread.replies)) == ("The **big** reorg begins", 0)
        with refused(INVALID, "later"):
            kept.expire_time.FromDatetime(datetime.now(UTC) - timedelta(hours=1))
            await read.SaveFilter(reading.SaveFilterRequest(filter=kept))
    assert len(await feed.notifications(ann)) == 1
    with feed.by(bob), refused(MISSING):
        await read.GetFilter(reading.GetFilterRequest(filter_id=kept.filter_id))
    with feed.by(bob), refused(MISSING):
        await read.DeleteFilter(reading.DeleteFilterRequest(filter_id=kept.filter_id))
    with feed.by(ann):
        await read.DeleteFilter(reading.DeleteFilterRequest(filter_id=kept.filter_id))
        assert not (await read.ListFilters(reading.ListFiltersRequest())).filters


async def test_markers_notes_and_erasure(feed: Feed, read: Any) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    with feed.by(ann):
        await read.MoveMarker(reading.MoveMarkerRequest(timeline="home", last_read_id="17"))
        moved = await read.MoveMarker(reading.MoveMarkerRequest(timeline="home", last_read_id="18"))
        assert [(each.timeline, each.last_read_id, each.version) for each in moved.markers] == [("home", "18", 2)]
        with refused(INVALID, "home"):
            await read.MoveMarker(reading.MoveMarkerRequest(timeline="other", last_read_id="1"))
        assert (await read.SetNote(reading.SetNoteRequest(person_id=bob, note="likes tea"))).note == "likes tea"
        kept = await read.CreateList(reading.CreateListRequest(title="Tea"))
        await read.AddListPeople(reading.AddListPeopleRequest(list_id=kept.list_id, person_ids=[bob]))
        await read.SaveFilter(reading.SaveFilterRequest(filter=reading.Filter(
            title="x", action=reading_events.FILTER_ACTION_WARN, contexts=[reading_events.FILTER_CONTEXT_HOME],
        )))
    with feed.by(bob):
        await read.SetNote(reading.SetNoteRequest(person_id=ann, note="owes me a cup"))
        assert (await read.BatchGetBonds(reading.BatchGetBondsRequest(person_ids=[ann]))).bonds[0].note == "owes me a cup"
    await feed.tell(f"person-{ann}", identity.PersonErased(person_id=ann))
    with feed.by(bob):
        assert not (await read.BatchGetBonds(reading.BatchGetBondsRequest(person_ids=[ann]))).bonds
    tables = ("bonds", "people_lists", "list_people", "reading_filters", "reading_markers")
    for table in tables:
        assert not await feed.world.store("feed").database.fetch(f"SELECT * FROM {table}")


async def test_custom_emoji_are_pictures_in_posts(feed: Feed, read: Any) -> None:
    ann, comms = await feed.person("ann"), await feed.person("comms", "communications")
    blobs = feed.world.embedded.engines.blobs()
    ref = await blobs.put(picture(), "image/png", limit_bytes=1_000_000)
    large = await blobs.put(picture(600), "image/png", limit_bytes=1_000_000)
    with feed.by(ann), refused(DENIED, "communications"):
        await read.AddEmoji(reading.AddEmojiRequest(shortcode="party", blob_id=ref.id))
    with feed.by(comms, "employee", "communications"):
        added = await read.AddEmoji(reading.AddEmojiRequest(shortcode=":Party:", blob_id=ref.id, category="Fun"))
        assert added == api.CustomEmoji(shortcode="party", blob_id=ref.id, category="Fun")
        with refused(INVALID, "upload"):
            await read.AddEmoji(reading.AddEmojiRequest(shortcode="none", blob_id="nothing"))
        with refused(INVALID, "256 KiB"):
            await read.AddEmoji(reading.AddEmojiRequest(shortcode="large", blob_id=large.id))
        with refused(INVALID, "shortcode"):
            await read.AddEmoji(reading.AddEmojiRequest(shortcode="a b", blob_id=ref.id))
    shown = await feed.post(ann, "We did it :party: at 12:30:45 :nosuch:")
    assert [each.shortcode for each in shown.emojis] == ["party"]
    with feed.by(ann):
        assert (await read.ListEmoji(reading.ListEmojiRequest())).emojis == [added]
        with refused(DENIED):
            await read.RemoveEmoji(reading.RemoveEmojiRequest(shortcode="party"))
    with feed.by(comms, "employee", "communications"):
        await read.RemoveEmoji(reading.RemoveEmojiRequest(shortcode="party"))
    with feed.by(ann):
        assert not (await feed.stub.GetPost(api.GetPostRequest(post_id=shown.post_id))).emojis


async def test_a_message_of_a_muted_person_to_named_people_is_left_out_too(feed: Feed, read: Any) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await feed.post(bob, "psst", people(ann))
    assert await feed.timeline(ann, HOME) == ["psst"]
    with feed.by(ann):
        await read.MutePerson(reading.MutePersonRequest(person_id=bob, notifications=True))
    assert await feed.timeline(ann, HOME) == []
