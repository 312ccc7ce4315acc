"""Posts through the calls: threads, edits, tombstones, responses."""
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from libs.telemetry import metrics
from tests.feed.worlds import ABORTED, CLOSED, DENIED, EVERYONE, FAILED, INVALID, MISSING, MODERATOR, OPEN, Feed, feed_of, people, refused
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.identity.v1 import events_pb2 as identity


async def test_a_post_comes_back_whole(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    picture = Attachment(blob_id="b", media_type="image/png", description="a pier", width=3, height=2, size_bytes=9)
    post = await feed.post(ann, "Hello @bob and @nobody, see #Ulm #ULM and `#code @ann`", language="en", attachments=[picture])
    assert (post.author.display_name, post.author.handle, post.author.title) == ("Ann", "ann", "Tester")
    assert [(one.person_id, one.handle, one.display_name) for one in post.mentions] == [(bob, "bob", "Bob")]
    assert list(post.tags) == ["ulm"]
    assert list(post.attachments) == [picture]
    assert post.language == "en"
    assert post.audience == EVERYONE
    assert (post.can_edit, post.can_delete, post.etag) == (True, True, "1")
    assert post.position == await feed.world.store("feed").head()
    with feed.by(bob):
        seen = await feed.stub.GetPost(api.GetPostRequest(post_id=post.post_id))
    assert (seen.can_edit, seen.can_delete) == (False, False)
    assert seen.body == post.body


@pytest.mark.parametrize(("request_", "field", "text"), [
    (api.PublishPostRequest(body=" "), "body", "needs some text"),
    (api.PublishPostRequest(body="x" * 10_001), "body", "10,000"),
    (api.PublishPostRequest(body=" ".join(f"@p{n}" for n in range(51))), "body", "50"),
    (api.PublishPostRequest(body=" ".join(f"#t{n}" for n in range(31))), "body", "30"),
    (api.PublishPostRequest(body="x", language="English please"), "language", "BCP 47"),
    (api.PublishPostRequest(body="x", attachments=[Attachment(blob_id="b", description="d" * 1501)]), "attachments", "1,500"),
    (api.PublishPostRequest(body="x", attachments=[Attachment(blob_id="b")] * 5), "attachments", "4"),
    (api.PublishPostRequest(body="x", attachments=[Attachment(blob_id="b", width=-1)]), "attachments", "negative"),
    (api.PublishPostRequest(body="x", audience=people("nobody")), "audience", "leave them out"),
    (api.PublishPostRequest(body="x", audience=people(*map(str, range(101)))), "audience", "1 to 100"),
    (api.PublishPostRequest(body="x", audience=Audience(group_id="none")), "audience", "no such group"),
    (api.PublishPostRequest(body="x", audience=Audience(followers_of_id="somebody")), "audience", "own followers"),
    (api.PublishPostRequest(body="x", request_id="r" * 129), "request_id", "128"),
])
async def test_limits_name_the_field(feed: Feed, request_: api.PublishPostRequest, field: str, text: str) -> None:
    ann = await feed.person("ann")
    with feed.by(ann), refused(INVALID, text, field):
        await feed.stub.PublishPost(request_)


async def test_a_repeated_request_is_answered_with_the_first_post(feed: Feed) -> None:
    ann = await feed.person("ann")
    first = await feed.post(ann, "once", request_id="r")
    again = await feed.post(ann, "once", request_id="r")
    assert again.post_id == first.post_id
    assert await feed.timeline(ann) == ["once"]


async def test_who_may_not_write(feed: Feed) -> None:
    ann, guest = await feed.person("ann"), await feed.person("gus", "guest")
    with feed.world.acting_as(ann, scopes=("read",)), refused(DENIED, "only read"):
        await feed.stub.PublishPost(api.PublishPostRequest(body="x"))
    with feed.world.acting_for("gateway"), refused(DENIED, "person"):
        await feed.stub.PublishPost(api.PublishPostRequest(body="x"))
    with feed.by(guest), refused(DENIED, "guests write"):
        await feed.stub.PublishPost(api.PublishPostRequest(body="x"))
    with feed.by(guest), refused(DENIED, "guests follow"):
        await feed.stub.FollowPerson(api.FollowPersonRequest(person_id=ann))
    assert (await feed.post(guest, "hello ann", people(ann))).body == "hello ann"


async def test_a_thread_is_paged_in_order_and_takes_its_audience_along(feed: Feed) -> None:
    ann, bob, cem = await feed.person("ann"), await feed.person("bob"), await feed.person("cem")
    root = await feed.post(ann, "root", people(bob))
    parent = root
    for number in range(25):  # ever deeper
        parent = await feed.post((ann, bob)[number % 2], f"answer {number}", EVERYONE, parent_id=parent.post_id)
        assert parent.root_id == root.post_id
        assert parent.audience == root.audience
    with feed.by(bob):
        thread = await feed.stub.GetThread(api.GetThreadRequest(post_id=parent.post_id, page_size=20))
        assert thread.root.post_id == root.post_id
        assert thread.root.reply_count == 25
        rest = await feed.stub.GetThread(
            api.GetThreadRequest(post_id=root.post_id, page_size=20, page_token=thread.next_page_token)
        )
        assert [post.body for post in (*thread.replies, *rest.replies)] == [f"answer {number}" for number in range(25)]
        assert rest.next_page_token == ""
    with feed.by(cem), refused(MISSING):
        await feed.stub.GetThread(api.GetThreadRequest(post_id=parent.post_id))


async def test_deleting_leaves_a_tombstone_in_the_thread_only(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    root = await feed.post(ann, "root #tag @bob")
    answer = await feed.post(bob, "answer", parent_id=root.post_id)
    with feed.by(bob), refused(DENIED, "only its author"):
        await feed.stub.DeletePost(api.DeletePostRequest(post_id=root.post_id))
    with feed.by(ann):
        await feed.stub.EditPost(api.EditPostRequest(post_id=root.post_id, body="root edited #tag @bob"))
        gone = await feed.stub.DeletePost(api.DeletePostRequest(post_id=root.post_id))
        assert (gone.deleted, gone.body, list(gone.tags), list(gone.mentions)) == (True, "", [], [])
        assert not gone.can_edit
        thread = await feed.stub.GetThread(api.GetThreadRequest(post_id=answer.post_id))
        assert thread.root.deleted
        assert [post.body for post in thread.replies] == ["answer"]
        assert (await feed.stub.ListRevisions(api.ListRevisionsRequest(post_id=root.post_id))).revisions == []
        with refused(FAILED, "deleted"):
            await feed.stub.EditPost(api.EditPostRequest(post_id=root.post_id, body="back"))
        with refused(FAILED, "deleted"):
            await feed.stub.PublishPost(api.PublishPostRequest(body="x", parent_id=root.post_id))
        with refused(FAILED, "gone"):
            await feed.stub.AddReaction(api.AddReactionRequest(post_id=root.post_id, emoji="🎉"))
        assert (await feed.stub.GetTag(api.GetTagRequest(tag="tag"))).post_count == 0
    assert await feed.timeline(ann) == []
    assert await feed.timeline(bob, api.TIMELINE_KIND_COMPANY) == []
    assert [one.kind for one in await feed.notifications(bob)] == []


async def test_moderators_and_administrators_delete(feed: Feed) -> None:
    ann, bob, mod, admin = [await feed.person(name) for name in ("ann", "bob", "mod", "admin")]
    club = (await feed.community(ann, kind=CLOSED)).community_id
    await feed.add(ann, club, bob)
    await feed.add(ann, club, mod, MODERATOR)
    post = await feed.post(bob, "rude", Audience(community_id=club))
    with feed.by(admin, "employee", "administrator"), refused(MISSING):  # an administrator does not look into closed communities
        await feed.stub.DeletePost(api.DeletePostRequest(post_id=post.post_id))
    with feed.by(mod):
        assert (await feed.stub.GetPost(api.GetPostRequest(post_id=post.post_id))).can_delete
        assert (await feed.stub.DeletePost(api.DeletePostRequest(post_id=post.post_id))).deleted
    public = await feed.post(bob, "rude again")
    with feed.by(admin, "employee", "administrator"):
        assert (await feed.stub.DeletePost(api.DeletePostRequest(post_id=public.post_id))).deleted


async def test_edits_keep_every_version_and_the_second_of_two_is_told(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    post = await feed.post(ann, "one #old")
    with feed.by(ann):
        edited = await feed.stub.EditPost(api.EditPostRequest(post_id=post.post_id, body="two #new", etag=post.etag))
        assert edited.HasField("edit_time")
        assert (edited.etag, list(edited.tags)) == ("2", ["new"])
        with refused(ABORTED, "edited meanwhile"):
            await feed.stub.EditPost(api.EditPostRequest(post_id=post.post_id, body="mine", etag=post.etag))
        await feed.stub.EditPost(api.EditPostRequest(post_id=post.post_id, body="three", etag=edited.etag))
    with feed.by(bob):
        revisions = (await feed.stub.ListRevisions(api.ListRevisionsRequest(post_id=post.post_id))).revisions
        assert [(one.number, one.body) for one in revisions] == [(3, "three"), (2, "two #new"), (1, "one #old")]
        assert revisions[2].revise_time == post.publish_time
        with refused(DENIED, "only its author"):
            await feed.stub.EditPost(api.EditPostRequest(post_id=post.post_id, body="mine"))
    assert await feed.timeline(bob, api.TIMELINE_KIND_TAG, "#Old") == []
    untouched = await feed.post(ann, "never edited")
    with feed.by(bob):
        only = (await feed.stub.ListRevisions(api.ListRevisionsRequest(post_id=untouched.post_id))).revisions
    assert [(one.number, one.body) for one in only] == [(1, "never edited")]


async def test_two_edits_at_once_lose_nothing(feed: Feed) -> None:
    ann = await feed.person("ann")
    post = await feed.post(ann, "start")

    async def edit(body: str) -> bool:
        try:
            with feed.by(ann):
                await feed.stub.EditPost(api.EditPostRequest(post_id=post.post_id, body=body, etag=post.etag))
        except Exception:
            return False
        return True

    outcomes = await asyncio.gather(*(edit(f"version {number}") for number in range(5)))
    assert sum(outcomes) == 1


async def test_reactions_are_counted_and_listed(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    post = await feed.post(ann)
    for person_id, emoji in ((ann, "❤️"), (bob, "❤"), (bob, "🎉")):  # with and without its variation selector
        with feed.by(person_id):
            shown = await feed.stub.AddReaction(api.AddReactionRequest(post_id=post.post_id, emoji=emoji))
            shown = await feed.stub.AddReaction(api.AddReactionRequest(post_id=post.post_id, emoji=emoji))
    assert [(one.emoji, one.count, one.mine) for one in shown.reactions] == [("❤️", 2, True), ("🎉", 1, True)]
    with feed.by(ann):
        shown = await feed.stub.GetPost(api.GetPostRequest(post_id=post.post_id))
        assert [(one.count, one.mine) for one in shown.reactions] == [(2, True), (1, False)]
        first = await feed.stub.ListReactions(api.ListReactionsRequest(post_id=post.post_id, page_size=2))
        rest = await feed.stub.ListReactions(
            api.ListReactionsRequest(post_id=post.post_id, page_size=2, page_token=first.next_page_token)
        )
        assert [(one.person.handle, one.emoji) for one in (*first.reactions, *rest.reactions)] == [
            ("bob", "🎉"), ("bob", "❤️"), ("ann", "❤️"),
        ]
        hearts = await feed.stub.ListReactions(api.ListReactionsRequest(post_id=post.post_id, emoji="❤"))
        assert len(hearts.reactions) == 2
        with refused(INVALID, "one emoji", "emoji"):
            await feed.stub.AddReaction(api.AddReactionRequest(post_id=post.post_id, emoji="🎉🎉"))
    with feed.by(bob):
        await feed.stub.RemoveReaction(api.RemoveReactionRequest(post_id=post.post_id, emoji="🎉"))
        shown = await feed.stub.RemoveReaction(api.RemoveReactionRequest(post_id=post.post_id, emoji="❤️"))
    assert [(one.emoji, one.count, one.mine) for one in shown.reactions] == [("❤️", 1, False)]


async def test_read_confirmations(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    post = await feed.post(ann)
    before = metrics.value("watercooler_read_confirmations_total")
    with feed.by(bob):
        for _ in range(2):
            shown = await feed.stub.ConfirmRead(api.ConfirmReadRequest(post_id=post.post_id))
    assert (shown.read_confirmed, shown.read_confirmation_count) == (True, 1)
    assert metrics.value("watercooler_read_confirmations_total") == before + 1
    with feed.by(ann):
        seen = await feed.stub.GetPost(api.GetPostRequest(post_id=post.post_id))
    assert (seen.read_confirmed, seen.read_confirmation_count) == (False, 1)


async def test_many_at_once_by_many(feed: Feed) -> None:
    ann = await feed.person("ann")
    post = await feed.post(ann)
    readers = [await feed.person(f"r{number}") for number in range(12)]

    async def respond(person_id: str) -> None:
        with feed.by(person_id):
            await feed.stub.AddReaction(api.AddReactionRequest(post_id=post.post_id, emoji="👍"))
            await feed.stub.PublishPost(api.PublishPostRequest(body="yes", parent_id=post.post_id))

    await asyncio.gather(*map(respond, readers))
    with feed.by(ann):
        shown = await feed.stub.GetPost(api.GetPostRequest(post_id=post.post_id))
    assert (shown.reactions[0].count, shown.reply_count) == (12, 12)


async def test_names_follow_identity(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    post = await feed.post(ann, "hello @bob")
    profile = identity.Profile(name="Robert Roe", preferred_name="Bob Roe", handle="bob", email="bob@example.com")
    await feed.tell(f"person-{bob}", identity.PersonProfileChanged(person_id=bob, profile=profile))
    await feed.tell(f"person-{ann}", identity.PersonPhotoChanged(person_id=ann, photo_blob_id="photo"), identity.PersonLeft(person_id=ann))
    with feed.by(bob):
        seen = await feed.stub.GetPost(api.GetPostRequest(post_id=post.post_id))
    assert seen.mentions[0].display_name == "Bob Roe"
    assert (seen.author.photo_blob_id, seen.author.left, seen.body) == ("photo", True, "hello @bob")
    with feed.by(bob), refused(FAILED, "left"):
        await feed.stub.FollowPerson(api.FollowPersonRequest(person_id=ann))
    await feed.tell(f"person-{ann}", identity.PersonRejoined(person_id=ann))
    await feed.follow(bob, ann)


async def test_batches_keep_their_order_and_have_a_limit(feed: Feed) -> None:
    ann = await feed.person("ann")
    posts = [(await feed.post(ann, f"{number}")).post_id for number in range(3)]
    with feed.by(ann):
        found = await feed.stub.BatchGetPosts(api.BatchGetPostsRequest(post_ids=[posts[2], "nothing", posts[0], posts[2]]))
        assert [post.post_id for post in found.posts] == [posts[2], posts[0]]
        with refused(INVALID, "200", "post_ids"):
            await feed.stub.BatchGetPosts(api.BatchGetPostsRequest(post_ids=["x"] * 201))
        with refused(INVALID, "1,000", "person_ids"):
            await feed.stub.CheckVisibility(api.CheckVisibilityRequest(post_id=posts[0], person_ids=["x"] * 1001))


async def test_tags_are_followed_in_any_spelling(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    with feed.by(bob):
        tag = await feed.stub.FollowTag(api.FollowTagRequest(tag="#Überstunden"))
        assert (tag.tag, tag.following, tag.follower_count) == ("überstunden", True, 1)
        with refused(INVALID, "a tag is", "tag"):
            await feed.stub.FollowTag(api.FollowTagRequest(tag="two words"))
    await feed.post(ann, "about #ÜBERSTUNDEN")
    assert await feed.timeline(bob) == ["about #ÜBERSTUNDEN"]
    with feed.by(bob):
        assert [one.tag for one in (await feed.stub.ListFollowedTags(api.ListFollowedTagsRequest())).tags] == ["überstunden"]
        trending = (await feed.stub.ListTrendingTags(api.ListTrendingTagsRequest())).tags
        assert [(one.tag, one.post_count, one.following) for one in trending] == [("überstunden", 1, True)]
        await feed.stub.UnfollowTag(api.UnfollowTagRequest(tag="überstunden"))
    assert await feed.timeline(bob) == []


async def test_relationships(feed: Feed) -> None:
    ann, bob, cem = [await feed.person(name) for name in ("ann", "bob", "cem")]
    await feed.follow(ann, bob)
    await feed.follow(cem, bob)
    await feed.post(bob, "hi")
    with feed.by(bob):
        seen = await feed.stub.GetRelationship(api.GetRelationshipRequest(person_id=ann))
        assert (seen.following, seen.followed_by, seen.follower_count, seen.following_count) == (False, True, 0, 1)
        first = await feed.stub.ListFollowers(api.ListFollowersRequest(person_id=bob, page_size=1))
        rest = await feed.stub.ListFollowers(
            api.ListFollowersRequest(person_id=bob, page_size=1, page_token=first.next_page_token)
        )
        assert [one.handle for one in (*first.people, *rest.people)] == ["cem", "ann"]
        whom = await feed.stub.ListFollowedPeople(api.ListFollowedPeopleRequest(person_id=ann))
        assert [one.handle for one in whom.people] == ["bob"]
        with refused(MISSING):
            await feed.stub.GetRelationship(api.GetRelationshipRequest(person_id="nobody"))
    with feed.by(ann):
        after = await feed.stub.UnfollowPerson(api.UnfollowPersonRequest(person_id=bob))
        assert (after.following, after.follower_count, after.post_count) == (False, 1, 1)
        with refused(INVALID, "somebody else"):
            await feed.stub.FollowPerson(api.FollowPersonRequest(person_id=ann))


async def test_an_archived_community_is_read_only(feed: Feed) -> None:
    ann = await feed.person("ann")
    club = (await feed.community(ann, kind=OPEN)).community_id
    post = await feed.post(ann, "before", Audience(community_id=club))
    with feed.by(ann):
        assert (await feed.stub.ArchiveCommunity(api.ArchiveCommunityRequest(community_id=club))).archived
        for request in (api.PublishPostRequest(body="x", audience=Audience(community_id=club)),
                        api.PublishPostRequest(body="x", parent_id=post.post_id)):
            with refused(FAILED, "archived"):
                await feed.stub.PublishPost(request)
        assert (await feed.stub.GetPost(api.GetPostRequest(post_id=post.post_id))).body == "before"
        await feed.stub.UnarchiveCommunity(api.UnarchiveCommunityRequest(community_id=club))
    assert (await feed.post(ann, "after", Audience(community_id=club))).community_name == "Cyclists"


async def test_engagement_is_counted_in_numbers(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    replies, seconds = metrics.value("watercooler_replies_total"), metrics.value("watercooler_reply_seconds_count")
    post = await feed.post(ann)
    await feed.post(ann, "me first", parent_id=post.post_id)
    other = await feed.post(ann)
    await feed.post(bob, "answer", parent_id=other.post_id)
    with feed.by(bob):
        await feed.stub.AddReaction(api.AddReactionRequest(post_id=post.post_id, emoji="👍"))
        with refused(DENIED, "figures"):
            await feed.stub.GetEngagement(api.GetEngagementRequest())
    assert metrics.value("watercooler_replies_total") == replies + 2
    assert metrics.value("watercooler_reply_seconds_count") == seconds + 1
    await feed.world.settle()
    with feed.by(ann, "employee", "leader"):
        figures = await feed.stub.GetEngagement(api.GetEngagementRequest())
    assert (figures.active_people_day, figures.active_people_week) == (2, 2)
    assert (figures.post_count, figures.reply_count, figures.reaction_count) == (2, 2, 1)


async def test_an_organisation_may_keep_posts_short(tmp_path: Path) -> None:
    async with feed_of(tmp_path, post_characters_max=200) as feed:
        ann = await feed.person("ann")
        post = await feed.post(ann, "x" * 200)
        with feed.by(ann):
            with refused(INVALID, "at most 200", "body"):
                await feed.stub.PublishPost(api.PublishPostRequest(body="x" * 201))
            with refused(INVALID, "at most 200", "body"):
                await feed.stub.EditPost(api.EditPostRequest(post_id=post.post_id, body="x" * 201))
