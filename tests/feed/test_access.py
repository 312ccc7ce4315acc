"""Every audience, every kind of reader, every way to read: what may not be seen answers as what does not exist."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from tests.feed.worlds import CLOSED, DENIED, EVERYONE, MISSING, OPEN, SECRET, Feed, people, refused
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.identity.v1 import events_pb2 as identity

READERS = ("author", "follower", "stranger", "grouped", "member", "named", "guest", "named_guest", "member_guest", "follower_guest")
EMPLOYEES = {"author", "follower", "stranger", "grouped", "member", "named"}

# Who sees what the author wrote for whom. `member` and `member_guest` are in all three communities, with the author.
EXPECTED: dict[str, set[str]] = {
    "everyone": EMPLOYEES,
    "followers": {"author", "follower"},
    "group": {"author", "grouped"},
    "open": EMPLOYEES | {"member_guest"},
    "closed": {"author", "member", "member_guest"},
    "secret": {"author", "member", "member_guest"},
    "people": {"author", "named", "named_guest"},
}

Read = Callable[[Feed, api.Post, str], Awaitable[bool]]


async def answer_of(call: Awaitable[Any]) -> Any:
    """What a call answers; None where it does not find, which is the one failure allowed."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        if error.code() is not MISSING:
            raise
        return None


async def found(call: Awaitable[Any]) -> bool:
    """Whether a call finds what it asks for."""
    return await answer_of(call) is not None


def lists(kind: Any, subject: Callable[[api.Post], str] = lambda post: "") -> Read:
    async def read(feed: Feed, post: api.Post, reader: str) -> bool:
        request = api.ListTimelineRequest(kind=kind, subject=subject(post), page_size=200)
        page = await answer_of(feed.stub.ListTimeline(request))
        return page is not None and post.post_id in [one.post_id for one in page.posts]

    return read


async def batch(feed: Feed, post: api.Post, reader: str) -> bool:
    return bool((await feed.stub.BatchGetPosts(api.BatchGetPostsRequest(post_ids=[post.post_id]))).posts)


async def visibility(feed: Feed, post: api.Post, reader: str) -> bool:
    with feed.world.acting_for("gateway"):
        answer = await feed.stub.CheckVisibility(api.CheckVisibilityRequest(post_id=post.post_id, person_ids=[reader]))
    return reader in answer.visible_ids


async def tag_count(feed: Feed, post: api.Post, reader: str) -> bool:
    return (await feed.stub.GetTag(api.GetTagRequest(tag=post.tags[0]))).post_count == 1


async def trending(feed: Feed, post: api.Post, reader: str) -> bool:
    tags = (await feed.stub.ListTrendingTags(api.ListTrendingTagsRequest(page_size=20))).tags
    return post.tags[0] in [tag.tag for tag in tags]


READS: dict[str, Read] = {
    "GetPost": lambda feed, post, _: found(feed.stub.GetPost(api.GetPostRequest(post_id=post.post_id))),
    "BatchGetPosts": batch,
    "GetThread": lambda feed, post, _: found(feed.stub.GetThread(api.GetThreadRequest(post_id=post.post_id))),
    "ListRevisions": lambda feed, post, _: found(feed.stub.ListRevisions(api.ListRevisionsRequest(post_id=post.post_id))),
    "ListReactions": lambda feed, post, _: found(feed.stub.ListReactions(api.ListReactionsRequest(post_id=post.post_id))),
    "person timeline": lists(api.TIMELINE_KIND_PERSON, lambda post: post.author.person_id),
    "tag timeline": lists(api.TIMELINE_KIND_TAG, lambda post: post.tags[0]),
    "CheckVisibility": visibility,
    "GetTag": tag_count,
    "ListTrendingTags": trending,
}
WRITES: dict[str, Read] = {
    "AddReaction": lambda feed, post, _: found(feed.stub.AddReaction(api.AddReactionRequest(post_id=post.post_id, emoji="🎉"))),
    "RemoveReaction": lambda feed, post, _: found(feed.stub.RemoveReaction(api.RemoveReactionRequest(post_id=post.post_id, emoji="🎉"))),
    "SavePost": lambda feed, post, _: found(feed.stub.SavePost(api.SavePostRequest(post_id=post.post_id))),
    "UnsavePost": lambda feed, post, _: found(feed.stub.UnsavePost(api.UnsavePostRequest(post_id=post.post_id))),
    "ConfirmRead": lambda feed, post, _: found(feed.stub.ConfirmRead(api.ConfirmReadRequest(post_id=post.post_id))),
    "reply": lambda feed, post, _: found(feed.stub.PublishPost(api.PublishPostRequest(body="me too", parent_id=post.post_id))),
}


async def prepare(feed: Feed) -> tuple[dict[str, str], dict[str, api.Post], dict[str, str]]:
    """The readers, one post for each audience, and the communities."""
    ids = {name: await feed.person(name.replace("_", ""), "guest" if "guest" in name else "employee") for name in READERS}
    author = ids["author"]
    for follower in ("follower", "follower_guest"):
        with feed.by(ids[follower], "employee"):  # a guest may have followed as an employee
            await feed.stub.FollowPerson(api.FollowPersonRequest(person_id=author))
    await feed.tell("group-g", identity.GroupCreated(group_id="g", name="Field"))
    await feed.tell("group-g", *(identity.GroupMemberAdded(group_id="g", person_id=ids[name]) for name in ("author", "grouped", "guest")))
    communities = {}
    for name, kind in (("open", OPEN), ("closed", CLOSED), ("secret", SECRET)):
        communities[name] = (await feed.community(author, name, kind)).community_id
        for member in ("member", "member_guest"):
            await feed.add(author, communities[name], ids[member])
    audiences = {
        "everyone": EVERYONE, "followers": Audience(followers_of_id=author), "group": Audience(group_id="g"),
        "people": people(ids["named"], ids["named_guest"]),
    } | {name: Audience(community_id=community_id) for name, community_id in communities.items()}
    everyone_mentioned = " ".join(f"@{name.replace('_', '')}" for name in READERS)
    posts = {name: await feed.post(author, f"for #{name}only {everyone_mentioned}", audience) for name, audience in audiences.items()}
    return ids, posts, communities


async def test_matrix(feed: Feed) -> None:
    ids, posts, _ = await prepare(feed)
    for calls in (READS, WRITES):  # writes change counts
        for name, call in calls.items():
            for audience, post in posts.items():
                seen = set()
                for reader in READERS:
                    with feed.by(ids[reader]):
                        if await call(feed, post, ids[reader]):
                            seen.add(reader)
                assert seen == EXPECTED[audience], f"{name} of a post for {audience}"


async def test_lists_and_counts_hold_what_one_may_see_and_no_more(feed: Feed) -> None:
    ids, posts, communities = await prepare(feed)
    with feed.by(ids["member"]):
        handles = {
            name: (await feed.stub.GetCommunity(api.GetCommunityRequest(community_id=community_id))).handle
            for name, community_id in communities.items()
        }
    assert (handles["open"], handles["closed"]) == ("open", "closed")
    assert handles["secret"] != "secret"  # a second one of that name must not be told that there is a first
    for reader in READERS:
        visible = {name for name, readers in EXPECTED.items() if reader in readers}
        with feed.by(ids[reader]):
            relation = await feed.stub.GetRelationship(api.GetRelationshipRequest(person_id=ids["author"]))
            assert relation.post_count == len(visible), reader
            company = await feed.stub.ListTimeline(api.ListTimelineRequest(kind=api.TIMELINE_KIND_COMPANY, page_size=200))
            assert {post.post_id for post in company.posts} == {
                posts[name].post_id for name in visible & {"everyone", "open", "closed", "secret"}
            }, reader
            listed = {one.name for one in (await feed.stub.ListCommunities(api.ListCommunitiesRequest())).communities}
            for name, community_id in communities.items():
                expected = reader in EXPECTED["secret"] or (name != "secret" and reader in EMPLOYEES)
                assert await found(feed.stub.GetCommunity(api.GetCommunityRequest(community_id=community_id))) == expected
                assert await found(feed.stub.GetCommunity(api.GetCommunityRequest(handle=handles[name]))) == expected
                assert await found(feed.stub.ListMembers(api.ListMembersRequest(community_id=community_id))) == expected
                assert (name in listed) == expected, f"{reader} lists {name}"
                request = api.ListTimelineRequest(kind=api.TIMELINE_KIND_COMMUNITY, subject=community_id)
                page = await answer_of(feed.stub.ListTimeline(request))
                assert (page is not None) == expected
                if page is not None:
                    assert [post.post_id for post in page.posts] == ([posts[name].post_id] if name in visible else [])
                if expected:
                    shown = await feed.stub.GetCommunity(api.GetCommunityRequest(community_id=community_id))
                    assert shown.readable == (name in visible)
                    assert shown.post_count == (1 if name in visible else 0)
            if reader != "author":  # all were mentioned in all
                inbox = await feed.stub.ListNotifications(api.ListNotificationsRequest(page_size=50))
                about = {one.post.post_id for one in inbox.notifications if one.HasField("post")}
                assert about == {posts[name].post_id for name in visible}, reader
                assert inbox.unread_count == len(inbox.notifications)


async def test_home_is_filtered_when_it_is_read(feed: Feed) -> None:
    ids, posts, communities = await prepare(feed)
    reader = ids["follower"]
    assert await feed.timeline(reader) == [posts[name].body for name in ("open", "followers", "everyone")]

    # The community closes: gone at once. It opens again: back at once.
    for kind, expected in ((CLOSED, ["followers", "everyone"]), (OPEN, ["open", "followers", "everyone"])):
        with feed.by(ids["author"]):
            await feed.stub.UpdateCommunity(api.UpdateCommunityRequest(community_id=communities["open"], kind=kind, update_mask=["kind"]))
        assert await feed.timeline(reader) == [posts[name].body for name in expected]

    with feed.by(reader):
        await feed.stub.UnfollowPerson(api.UnfollowPersonRequest(person_id=ids["author"]))
    assert await feed.timeline(reader) == []
    with feed.by(reader), refused(MISSING):
        await feed.stub.GetPost(api.GetPostRequest(post_id=posts["followers"].post_id))


async def test_revocation_is_at_once(feed: Feed) -> None:
    ids, posts, communities = await prepare(feed)

    async def sees(reader: str, name: str) -> bool:
        with feed.by(ids[reader]):
            return await found(feed.stub.GetPost(api.GetPostRequest(post_id=posts[name].post_id)))

    with feed.by(ids["author"]):
        for name in ("closed", "secret", "open"):
            for member in ("member", "member_guest"):
                await feed.stub.RemoveMember(api.RemoveMemberRequest(community_id=communities[name], person_id=ids[member]))
    assert [await sees("member", name) for name in ("open", "closed", "secret")] == [True, False, False]
    assert [await sees("member_guest", name) for name in ("open", "closed", "secret")] == [False, False, False]
    home = await feed.timeline(ids["member"])
    assert posts["closed"].body not in home
    assert posts["secret"].body not in home

    await feed.add(ids["author"], communities["closed"], ids["member"])
    assert await sees("member", "closed"), "joining shows the history"
    assert posts["closed"].body in await feed.timeline(ids["member"])

    await feed.tell("group-g", identity.GroupMemberRemoved(group_id="g", person_id=ids["grouped"]))
    assert not await sees("grouped", "group")
    with feed.by(ids["grouped"]), refused(DENIED, "only members"):
        await feed.post(ids["grouped"], "to the field", Audience(group_id="g"))


async def test_a_leaver_loses_sight_of_their_own_posts_in_a_secret_community(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    secret = (await feed.community(ann, "Plans", SECRET)).community_id
    await feed.add(ann, secret, bob)
    post = await feed.post(bob, "mine", Audience(community_id=secret))
    with feed.by(bob):
        left = await feed.stub.LeaveCommunity(api.LeaveCommunityRequest(community_id=secret))
        assert not left.readable
        for call in (READS | WRITES):
            if call not in ("CheckVisibility", "tag timeline", "GetTag", "ListTrendingTags"):
                assert not await (READS | WRITES)[call](feed, post, bob), call
        with refused(MISSING):
            await feed.stub.EditPost(api.EditPostRequest(post_id=post.post_id, body="still mine"))
        with refused(MISSING):
            await feed.stub.DeletePost(api.DeletePostRequest(post_id=post.post_id))


async def test_home_recipients_for_live_updates(feed: Feed) -> None:
    ids, posts, _ = await prepare(feed)
    with feed.world.acting_for("gateway"):
        for name, post in posts.items():
            answer = await feed.stub.CheckVisibility(api.CheckVisibilityRequest(post_id=post.post_id, person_ids=list(ids.values())))
            homes = {who for who, person_id in ids.items() if person_id in answer.home_ids}
            really = {who for who, person_id in ids.items() if post.body in await feed.timeline(person_id)}
            assert homes == really, name
