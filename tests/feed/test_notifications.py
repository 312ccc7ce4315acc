"""Notifications: who is told of what, grouped, read on all devices, and never of what they may not see."""
from __future__ import annotations

import pytest

from tests.feed.worlds import CLOSED, INVALID, MODERATOR, Feed, people, refused
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import feed_service_pb2 as api

MENTION, REPLY, REACTION, FOLLOW, JOIN_REQUEST, JOINED, DIRECT = (
    api.NOTIFICATION_KIND_MENTION, api.NOTIFICATION_KIND_REPLY, api.NOTIFICATION_KIND_REACTION, api.NOTIFICATION_KIND_FOLLOW,
    api.NOTIFICATION_KIND_JOIN_REQUEST, api.NOTIFICATION_KIND_JOINED, api.NOTIFICATION_KIND_DIRECT,
)


async def told(feed: Feed, person_id: str) -> list[tuple[int, list[str], str]]:
    """Kind, actors and the post's text of each notification."""
    return [(one.kind, [actor.handle for actor in one.actors], one.post.body) for one in await feed.notifications(person_id)]


async def test_each_kind_reaches_whom_it_concerns(feed: Feed) -> None:
    ann, bob, cem = [await feed.person(name) for name in ("ann", "bob", "cem")]
    root = await feed.post(ann, "root @ann @bob")
    answer = await feed.post(bob, "answer", parent_id=root.post_id)
    await feed.post(cem, "deeper", parent_id=answer.post_id)
    await feed.follow(cem, ann)
    await feed.post(cem, "for you two", people(ann, bob))
    with feed.by(cem):
        await feed.stub.AddReaction(api.AddReactionRequest(post_id=answer.post_id, emoji="🎉"))
    assert await told(feed, ann) == [
        (DIRECT, ["cem"], "for you two"), (FOLLOW, ["cem"], ""), (REPLY, ["cem", "bob"], "deeper"),
    ]
    assert await told(feed, bob) == [
        (REACTION, ["cem"], "answer"), (DIRECT, ["cem"], "for you two"), (REPLY, ["cem"], "deeper"), (MENTION, ["ann"], "root @ann @bob"),
    ]
    assert await told(feed, cem) == []


async def test_several_about_one_thing_are_one(feed: Feed) -> None:
    ann = await feed.person("ann")
    post = await feed.post(ann)
    others = [await feed.person(f"p{number}") for number in range(7)]
    for person_id in others:
        with feed.by(person_id):
            await feed.stub.AddReaction(api.AddReactionRequest(post_id=post.post_id, emoji="🎉"))
            await feed.stub.AddReaction(api.AddReactionRequest(post_id=post.post_id, emoji="👍"))
    group, = await feed.notifications(ann)
    assert [actor.handle for actor in group.actors] == ["p6", "p5", "p4", "p3", "p2"]
    assert (group.actor_count, list(group.emoji), group.unread) == (7, ["👍", "🎉"], True)
    for person_id in others:
        with feed.by(person_id):
            await feed.stub.RemoveReaction(api.RemoveReactionRequest(post_id=post.post_id, emoji="👍"))
    group, = await feed.notifications(ann)
    assert list(group.emoji) == ["🎉"]


async def test_reading_is_shared_and_only_moves_forward(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    for number in range(3):
        await feed.post(bob, f"@ann {number}")
    first = await feed.notifications(ann)
    with feed.by(ann):
        assert (await feed.stub.CountUnreadNotifications(api.CountUnreadNotificationsRequest())).unread_count == 3
        mark = feed.stub.MarkNotificationsRead
        assert (await mark(api.MarkNotificationsReadRequest(read_position=first[1].position))).unread_count == 1
        assert (await mark(api.MarkNotificationsReadRequest(read_position=first[2].position))).unread_count == 1
        listed = await feed.stub.ListNotifications(api.ListNotificationsRequest(only_unread=True))
        assert [one.post.body for one in listed.notifications] == ["@ann 2"]
        assert (await mark(api.MarkNotificationsReadRequest(read_position=1 << 60))).unread_count == 0
        with refused(INVALID, "negative", "read_position"):
            await mark(api.MarkNotificationsReadRequest(read_position=-1))
    await feed.post(bob, "@ann once more")
    with feed.by(ann):
        assert (await feed.stub.CountUnreadNotifications(api.CountUnreadNotificationsRequest())).unread_count == 1
        assert (await mark(api.MarkNotificationsReadRequest())).unread_count == 0


async def test_pages(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    for number in range(5):
        await feed.post(bob, f"@ann {number}")
    with feed.by(ann):
        found: list[str] = []
        page_token = ""
        while True:
            page = await feed.stub.ListNotifications(api.ListNotificationsRequest(page_size=2, page_token=page_token))
            found += (one.post.body for one in page.notifications)
            page_token = page.next_page_token
            if not page_token:
                break
    assert found == [f"@ann {number}" for number in (4, 3, 2, 1, 0)]


async def test_an_edit_tells_only_those_newly_mentioned(feed: Feed) -> None:
    ann, bob, cem = [await feed.person(name) for name in ("ann", "bob", "cem")]
    post = await feed.post(ann, "@bob")
    with feed.by(bob):
        await feed.stub.MarkNotificationsRead(api.MarkNotificationsReadRequest())
    with feed.by(ann):
        await feed.stub.EditPost(api.EditPostRequest(post_id=post.post_id, body="@bob @cem"))
        await feed.stub.EditPost(api.EditPostRequest(post_id=post.post_id, body="@cem @bob"))
    assert [one.unread for one in await feed.notifications(bob)] == [False]
    assert await told(feed, cem) == [(MENTION, ["ann"], "@cem @bob")]


async def test_nobody_is_told_of_what_they_may_not_see(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    club = (await feed.community(ann, kind=CLOSED)).community_id
    await feed.post(ann, "between us, @bob", Audience(community_id=club))
    await feed.add(ann, club, bob)
    post = await feed.post(bob, "mine", Audience(community_id=club))
    with feed.by(ann):
        await feed.stub.AddReaction(api.AddReactionRequest(post_id=post.post_id, emoji="🎉"))
    assert {one.kind for one in await feed.notifications(bob)} == {MENTION, JOINED, REACTION}
    with feed.by(ann):
        await feed.stub.RemoveMember(api.RemoveMemberRequest(community_id=club, person_id=bob))
    assert [one.kind for one in await feed.notifications(bob)] == [JOINED]  # a closed one is listed, so its name is no news
    with feed.by(bob):
        assert (await feed.stub.CountUnreadNotifications(api.CountUnreadNotificationsRequest())).unread_count == 1


async def test_join_requests_reach_those_who_decide_until_they_are_decided(feed: Feed) -> None:
    ann, mod, bob, cem = [await feed.person(name) for name in ("ann", "mod", "bob", "cem")]
    club = (await feed.community(ann, kind=CLOSED)).community_id
    await feed.add(ann, club, mod, MODERATOR)
    for asking in (bob, cem):
        with feed.by(asking):
            await feed.stub.JoinCommunity(api.JoinCommunityRequest(community_id=club))
    for decider in (ann, mod):
        request = (await feed.notifications(decider))[0]
        assert (request.kind, [one.handle for one in request.actors]) == (JOIN_REQUEST, ["cem", "bob"])
        assert (request.community_id, request.community_name) == (club, "Cyclists")
    with feed.by(mod):
        await feed.stub.ApproveJoinRequest(api.ApproveJoinRequestRequest(community_id=club, person_id=bob))
        await feed.stub.DeclineJoinRequest(api.DeclineJoinRequestRequest(community_id=club, person_id=cem))
    assert await feed.notifications(ann) == []
    assert await told(feed, bob) == [(JOINED, ["mod"], "")]
    assert await told(feed, cem) == []


async def test_what_is_taken_back_is_not_news(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await feed.follow(bob, ann)
    with feed.by(bob):
        await feed.stub.UnfollowPerson(api.UnfollowPersonRequest(person_id=ann))
    post = await feed.post(bob, "@ann")
    with feed.by(bob):
        await feed.stub.DeletePost(api.DeletePostRequest(post_id=post.post_id))
    assert await feed.notifications(ann) == []


async def test_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch, feed: Feed) -> None:
    monkeypatch.setattr("services.feed.projections.notifications.KEPT", 5)
    ann, bob = await feed.person("ann"), await feed.person("bob")
    for number in range(9):
        await feed.post(bob, f"@ann {number}")
    assert [body for _, _, body in await told(feed, ann)] == [f"@ann {number}" for number in (8, 7, 6, 5, 4)]
    await feed.world.assert_rebuilds()
