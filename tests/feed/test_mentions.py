"""Mentions of communities and groups: who may, who is told, and once."""
from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.testing.spec import Spec
from libs.text.ids import new_id
from services.feed.commands.mentions import MentionMembers
from services.feed.deciders import mention
from tests.feed.worlds import CLOSED, INVALID, SECRET, Feed, feed_of, people, refused
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.mention_events_pb2 import MembersMentioned
from watercooler.feed.v1.mention_service_pb2 import SuggestMentionsRequest
from watercooler.feed.v1.mention_service_pb2_grpc import MentionServiceStub
from watercooler.identity.v1 import events_pb2 as identity

NOW = datetime(2026, 5, 4, tzinfo=UTC)
MENTION = api.NOTIFICATION_KIND_MENTION


def told(*person_ids: str) -> MembersMentioned:
    event = MembersMentioned(post_id="p", author_id="ann", person_ids=person_ids)
    event.mention_time.FromDatetime(NOW)
    return event


def ask(*person_ids: str) -> MentionMembers:
    return MentionMembers(post_id="p", author_id="ann", person_ids=person_ids, now=NOW)


def test_everybody_is_told_once_and_never_the_author() -> None:
    Spec(mention).when(ask("ann", "bob", "bob")).then(told("bob"))
    Spec(mention).given(told("bob")).when(ask("bob", "cid")).then(told("cid"))
    Spec(mention).given(told("bob")).when(ask("bob", "ann")).then_nothing()


async def group(feed: Feed, name: str, *members: str) -> str:
    group_id = new_id()
    joined = [identity.GroupMemberAdded(group_id=group_id, person_id=person_id) for person_id in members]
    await feed.tell(f"group-{group_id}", identity.GroupCreated(group_id=group_id, name=name), *joined)
    return group_id


async def test_members_of_a_mentioned_community_are_told_once(feed: Feed) -> None:
    ann, bob, cid, out = [await feed.person(name) for name in ("ann", "bob", "cid", "out")]
    community = await feed.community(ann, "Köln Büro")
    for each in (bob, cid):
        await feed.add(ann, community.community_id, each)
    before = len(await feed.notifications(bob))
    post = await feed.post(ann, "@Köln-Büro, and @bob above all")
    assert [(one.community_id, one.handle, one.display_name) for one in post.mentions if not one.person_id] == [
        (community.community_id, "köln-büro", "Köln Büro"),
    ]
    await feed.world.settle()
    assert (await feed.notifications(cid))[0].kind == MENTION
    mentions = [each for each in await feed.notifications(bob) if each.kind == MENTION]
    assert (len(mentions), mentions[0].actor_count, len(await feed.notifications(bob))) == (1, 1, before + 1)
    assert list(await feed.notifications(out)) == []
    assert list(await feed.notifications(ann)) == []
    # An edit tells nobody a second time.
    with feed.by(ann):
        await feed.stub.EditPost(api.EditPostRequest(post_id=post.post_id, body="@köln-büro again"))
    await feed.world.settle()
    rows = await feed.world.store("feed").database.fetch(
        "SELECT recipient_id FROM notifications WHERE post_id = :post_id ORDER BY recipient_id", post_id=post.post_id
    )
    assert sorted(row["recipient_id"] for row in rows) == sorted([bob, cid])
    # Who is no member only writes a word.
    word = await feed.post(out, "@köln-büro hello")
    assert not word.mentions
    await feed.world.settle()
    assert len([each for each in await feed.notifications(cid) if each.kind == MENTION]) == 1


async def test_groups_are_called_by_the_handle_of_their_name(feed: Feed) -> None:
    ann, bob, guest = await feed.person("ann"), await feed.person("bob"), await feed.person("guest", "guest")
    first = await group(feed, "Team Blue", bob)
    second = await group(feed, "team blue", ann)
    post = await feed.post(ann, "@team-blue and @team-blue-2")
    assert [(one.group_id, one.handle) for one in post.mentions] == [(first, "team-blue"), (second, "team-blue-2")]
    await feed.world.settle()
    assert [each.kind for each in await feed.notifications(bob)] == [MENTION]
    # A community of the same name takes the word; the group is called with its kind then.
    community = await feed.community(bob, "Team Blue")
    post = await feed.post(bob, "@team-blue and @team-blue-group")
    assert [(one.community_id, one.group_id) for one in post.mentions] == [(community.community_id, ""), ("", first)]
    # Guests call no groups.
    with feed.by(guest, "guest"):
        word = await feed.stub.PublishPost(api.PublishPostRequest(body="@team-blue-2", audience=people(ann)))
    assert not word.mentions


async def test_a_mention_reaches_those_only_who_may_see_the_post(feed: Feed) -> None:
    ann, bob, cid = await feed.person("ann"), await feed.person("bob"), await feed.person("cid")
    await group(feed, "Team", bob, cid)
    await feed.post(ann, "between us and @team", people(bob))
    await feed.world.settle()
    assert [each.kind for each in await feed.notifications(bob)] == [api.NOTIFICATION_KIND_DIRECT]
    assert list(await feed.notifications(cid)) == []


@pytest.mark.parametrize("kind", [CLOSED, SECRET])
async def test_a_community_that_others_do_not_know_stays_a_word_for_them(feed: Feed, kind: int) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    community = await feed.community(ann, "Hidden", kind)
    post = await feed.post(ann, f"come, @{community.handle}")
    with feed.by(bob):
        seen = await feed.stub.GetPost(api.GetPostRequest(post_id=post.post_id))
    assert seen.mentions[0].display_name == ("Hidden" if kind == CLOSED else "")


async def test_a_mention_of_very_many_is_for_those_who_speak_for_them(tmp_path: Path) -> None:
    async with feed_of(tmp_path, mention_members_max=2) as feed:
        owner, ann, bob = [await feed.person(name) for name in ("owner", "ann", "bob")]
        community = await feed.community(owner, "All")
        for each in (ann, bob):
            await feed.add(owner, community.community_id, each)
        with refused(INVALID, "3 people", "body"):
            await feed.post(ann, "hey @all")
        with feed.by(ann, "employee", "communications"):
            await feed.stub.PublishPost(api.PublishPostRequest(body="news @all"))
        post = await feed.post(owner, "dear @all")
        assert post.mentions[0].community_id == community.community_id
        await feed.post(ann, "all of you")


async def test_what_may_be_called_is_offered(feed: Feed) -> None:
    ann, bob, guest = await feed.person("ann"), await feed.person("bob"), await feed.person("guest", "guest")
    community = await feed.community(ann, "Team Blue")
    await feed.community(bob, "Team Red")
    group_id = await group(feed, "Team Blue", bob)
    stub = feed.world.stub(MentionServiceStub, "feed")
    with feed.by(ann):
        found = await stub.SuggestMentions(SuggestMentionsRequest(query="@Team"))
    assert [(each.community_id, each.group_id, each.handle) for each in found.mentions] == [
        (community.community_id, "", "team-blue"), ("", group_id, "team-blue-group"),
    ]
    with feed.by(guest, "guest"):
        assert not (await stub.SuggestMentions(SuggestMentionsRequest(query="team"))).mentions
