"""Reposts, quotes, polls, warnings, pins and muted threads through the calls."""
from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.text.ids import new_id
from services.feed.closing import close_due
from services.feed.service import SERVICE
from tests.feed.worlds import CLOSED, DENIED, FAILED, INVALID, MISSING, MODERATOR, Feed, people, refused
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.identity.v1 import events_pb2 as identity

HOME, PERSON, COMPANY = api.TIMELINE_KIND_HOME, api.TIMELINE_KIND_PERSON, api.TIMELINE_KIND_COMPANY


async def repost(feed: Feed, person_id: str, post_id: str) -> api.Post:
    with feed.by(person_id):
        found: api.Post = await feed.stub.RepostPost(api.RepostPostRequest(post_id=post_id))
    return found


async def seen(feed: Feed, person_id: str, post_id: str) -> api.Post:
    with feed.by(person_id):
        found: api.Post = await feed.stub.GetPost(api.GetPostRequest(post_id=post_id))
    return found


async def page(feed: Feed, person_id: str, kind: Any = HOME, subject: str = "", **fields: Any) -> list[api.Post]:
    with feed.by(person_id):
        return list((await feed.stub.ListTimeline(api.ListTimelineRequest(kind=kind, subject=subject, **fields))).posts)


def poll(*options: str, minutes: float = 60, **fields: Any) -> events_pb2.Poll:
    asked = events_pb2.Poll(options=options, **fields)
    asked.close_time.FromDatetime(datetime.now(UTC) + timedelta(minutes=minutes))
    return asked


async def vote(feed: Feed, person_id: str, post_id: str, *choices: int) -> api.Post:
    with feed.by(person_id):
        found: api.Post = await feed.stub.VotePoll(api.VotePollRequest(post_id=post_id, choices=choices))
    return found


async def test_a_repost_is_a_post_of_its_own_for_those_who_see_the_original(feed: Feed) -> None:
    ann, bob, cem, guest = [await feed.person(name) for name in ("ann", "bob", "cem")] + [await feed.person("gus", "guest")]
    club = await feed.community(ann, "Closed club", CLOSED)
    await feed.add(ann, club.community_id, bob)
    await feed.follow(cem, bob)
    await feed.follow(ann, bob)
    original = await feed.post(ann, "worth reading")
    inner = await feed.post(ann, "members only", Audience(community_id=club.community_id))
    passed = await repost(feed, bob, original.post_id)
    assert (passed.author.person_id, passed.body, passed.reposted.body) == (bob, "", "worth reading")
    assert (passed.can_edit, passed.reposted.repost_count, passed.reposted.my_repost_id) == (False, 1, passed.post_id)
    hidden = await repost(feed, bob, inner.post_id)
    assert [post.reposted.body for post in await page(feed, ann, PERSON, bob)] == ["members only", "worth reading"]
    assert [post.reposted.body for post in await page(feed, cem)] == ["worth reading"]
    with feed.by(cem), refused(MISSING):
        await feed.stub.GetPost(api.GetPostRequest(post_id=hidden.post_id))
    with feed.by(guest), refused(MISSING):
        await feed.stub.GetPost(api.GetPostRequest(post_id=passed.post_id))
    assert await feed.timeline(cem, COMPANY) == ["worth reading"]  # a repost is for followers, not for everybody
    assert await page(feed, cem, exclude_reposts=True) == []
    with feed.world.acting_for("gateway"):
        told = await feed.stub.CheckVisibility(api.CheckVisibilityRequest(post_id=passed.post_id, person_ids=[ann, bob, cem, guest]))
    assert (list(told.visible_ids), list(told.home_ids)) == ([ann, bob, cem], [ann, bob, cem])


async def test_one_repost_a_person_and_it_can_be_undone(feed: Feed) -> None:
    ann, bob, cem = [await feed.person(name) for name in ("ann", "bob", "cem")]
    original = await feed.post(ann, "worth reading")
    first, second = await asyncio.gather(repost(feed, bob, original.post_id), repost(feed, bob, original.post_id))
    assert first.post_id == second.post_id
    again = await repost(feed, cem, first.post_id)  # of a repost: of the original
    assert again.reposted_id == original.post_id
    with feed.by(ann):
        who = await feed.stub.ListReposters(api.ListRepostersRequest(post_id=original.post_id, page_size=1))
        rest = await feed.stub.ListReposters(
            api.ListRepostersRequest(post_id=original.post_id, page_size=1, page_token=who.next_page_token)
        )
    assert [one.person_id for one in (*who.people, *rest.people)] == [cem, bob]
    assert [(one.kind, one.actor_count) for one in await feed.notifications(ann)] == [(api.NOTIFICATION_KIND_REPOST, 2)]
    with feed.by(bob):
        left = await feed.stub.UndoRepost(api.UndoRepostRequest(post_id=original.post_id))
        assert (await feed.stub.UndoRepost(api.UndoRepostRequest(post_id=original.post_id))).repost_count == 1
    assert (left.post_id, left.repost_count, left.my_repost_id) == (original.post_id, 1, "")
    assert [one.actor_count for one in await feed.notifications(ann)] == [1]
    assert (await repost(feed, bob, original.post_id)).reposted.repost_count == 2
    mine = await repost(feed, ann, original.post_id)
    assert mine.reposted.repost_count == 3
    with feed.by(ann):
        reacted = await feed.stub.AddReaction(api.AddReactionRequest(post_id=mine.post_id, emoji="👍"))
        answered = await feed.stub.PublishPost(api.PublishPostRequest(body="so true", parent_id=mine.post_id))
        thread = await feed.stub.GetThread(api.GetThreadRequest(post_id=mine.post_id))
    assert (reacted.post_id, answered.parent_id, thread.root.post_id) == (original.post_id,) * 3


async def test_what_is_for_few_is_not_passed_on_and_what_is_gone_takes_its_reposts_along(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await feed.follow(bob, ann)
    direct = await feed.post(ann, "for bob", people(bob))
    followers = await feed.post(ann, "for followers", Audience(followers_of_id=ann))
    for post in (direct, followers):
        with feed.by(bob), refused(FAILED, "cannot be passed on"):
            await feed.stub.RepostPost(api.RepostPostRequest(post_id=post.post_id))
    with feed.by(bob), refused(MISSING):
        await feed.stub.RepostPost(api.RepostPostRequest(post_id=new_id()))
    original = await feed.post(ann, "soon gone")
    passed = await repost(feed, bob, original.post_id)
    with feed.by(bob), refused(FAILED, "no text of its own"):
        await feed.stub.EditPost(api.EditPostRequest(post_id=passed.post_id, body="x"))
    with feed.by(ann):
        await feed.stub.DeletePost(api.DeletePostRequest(post_id=original.post_id))
    assert await page(feed, ann, PERSON, bob) == []
    with feed.by(bob), refused(MISSING):
        await feed.stub.GetPost(api.GetPostRequest(post_id=passed.post_id))
    with feed.by(bob), refused(MISSING):
        await feed.stub.RepostPost(api.RepostPostRequest(post_id=passed.post_id))
    with feed.by(bob), refused(FAILED, "gone"):
        await feed.stub.RepostPost(api.RepostPostRequest(post_id=original.post_id))


async def test_a_repost_by_several_stands_once_on_a_page(feed: Feed) -> None:
    ann, bob, cem, dan = [await feed.person(name) for name in ("ann", "bob", "cem", "dan")]
    await feed.follow(dan, bob)
    await feed.follow(dan, cem)
    original = await feed.post(ann, "worth reading")
    await repost(feed, bob, original.post_id)
    newest = await repost(feed, cem, original.post_id)
    assert [post.post_id for post in await page(feed, dan)] == [newest.post_id]


async def test_a_quote_shows_the_other_post_to_those_who_may_see_it(feed: Feed) -> None:
    ann, bob, cem = [await feed.person(name) for name in ("ann", "bob", "cem")]
    club = await feed.community(ann, "Closed club", CLOSED)
    await feed.add(ann, club.community_id, bob)
    inner = await feed.post(ann, "members only", Audience(community_id=club.community_id))
    quote = await feed.post(bob, "look at this", quoted_id=inner.post_id)
    assert quote.quoted.body == "members only"
    other = await seen(feed, cem, quote.post_id)
    assert (other.quoted_id, other.HasField("quoted")) == (inner.post_id, False)
    assert (await seen(feed, ann, inner.post_id)).quote_count == 1
    around = await feed.post(cem, "a quote of a quote", quoted_id=quote.post_id)
    assert around.quoted.body == "look at this" and not around.quoted.HasField("quoted")
    assert [(one.kind, one.post.body) for one in await feed.notifications(ann)] == [(api.NOTIFICATION_KIND_QUOTE, "look at this")]
    passed = await repost(feed, ann, quote.post_id)
    assert passed.reposted.quoted.body == "members only"
    with feed.by(ann):
        quotes = await feed.stub.ListQuotes(api.ListQuotesRequest(post_id=inner.post_id))
    assert [post.body for post in quotes.posts] == ["look at this"]
    with feed.by(cem), refused(MISSING, field="quoted_id"):
        await feed.stub.PublishPost(api.PublishPostRequest(body="x", quoted_id=inner.post_id))
    with feed.by(ann):
        await feed.stub.DeletePost(api.DeletePostRequest(post_id=inner.post_id))
    assert not (await seen(feed, bob, quote.post_id)).HasField("quoted")
    with feed.by(bob):
        await feed.stub.DeletePost(api.DeletePostRequest(post_id=quote.post_id))
    assert (await seen(feed, ann, inner.post_id)).quote_count == 0


async def test_a_named_poll_counts_once_and_tells_those_who_took_part(feed: Feed) -> None:
    ann, bob, cem = [await feed.person(name) for name in ("ann", "bob", "cem")]
    asked = await feed.post(ann, "Which day?", poll=poll("Monday", " Friday ", minutes=5, multiple=True))
    assert list(asked.poll.poll.options) == ["Monday", "Friday"] and list(asked.poll.counts) == [0, 0]
    voted = await vote(feed, bob, asked.post_id, 1, 0)
    assert (voted.poll.voted, list(voted.poll.my_choices), list(voted.poll.counts)) == (True, [0, 1], [1, 1])
    assert (await vote(feed, bob, asked.post_id, 0, 1)).poll.voter_count == 1
    with feed.by(bob), refused(FAILED, "a vote stands"):
        await feed.stub.VotePoll(api.VotePollRequest(post_id=asked.post_id, choices=[0]))
    with feed.by(cem), refused(INVALID, "options 0 to 1", "choices"):
        await feed.stub.VotePoll(api.VotePollRequest(post_id=asked.post_id, choices=[2]))
    other = await seen(feed, cem, asked.post_id)
    assert (other.poll.voted, list(other.poll.my_choices), other.poll.voter_count) == (False, [], 1)
    plain = await feed.post(ann, "no poll")
    with feed.by(bob), refused(FAILED, "no poll"):
        await feed.stub.VotePoll(api.VotePollRequest(post_id=plain.post_id, choices=[0]))
    await at_a_later_time(feed, minutes=6)
    assert [one.kind for one in await feed.notifications(ann)] == [api.NOTIFICATION_KIND_POLL]
    assert [(one.kind, one.actors[0].person_id) for one in await feed.notifications(bob)] == [(api.NOTIFICATION_KIND_POLL, ann)]
    assert list(await feed.notifications(cem)) == []
    assert (await seen(feed, cem, asked.post_id)).poll.closed


async def at_a_later_time(feed: Feed, minutes: float) -> None:
    """Let polls close as they would then."""
    context = feed.world.embedded._context(SERVICE, feed.world.embedded.engines.blobs())
    later = datetime.now(UTC) + timedelta(minutes=minutes)
    await close_due(type(context)(**{
        name: getattr(context, name) for name in context.__dataclass_fields__ if name != "now"
    }, now=lambda: later))


async def test_no_stored_link_leads_from_an_anonymous_vote_to_its_person(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    asked = await feed.post(ann, "How is it?", poll=poll("Good", "Bad", anonymous=True))
    with feed.by(bob):
        voted = await feed.stub.VotePoll(api.VotePollRequest(post_id=asked.post_id, choices=[1], request_id="bobs-request"))
    assert (voted.poll.voted, list(voted.poll.my_choices), list(voted.poll.counts)) == (True, [], [0, 1])
    with feed.by(bob), refused(FAILED, "a vote stands"):
        await feed.stub.VotePoll(api.VotePollRequest(post_id=asked.post_id, choices=[0]))
    store = feed.world.store("feed")
    event = (await store.tail(0, 1_000))[-1]
    assert isinstance(event.data, events_pb2.PollVoted)
    assert (event.data.voter_id, event.meta.actor_id, event.meta.traceparent, event.meta.causation_id) == ("", "", "", "")
    assert event.meta.correlation_id == event.id and not event.data.HasField("vote_time")
    assert await store.database.fetch("SELECT request_key FROM requests WHERE request_key LIKE '%bobs-request%'") == []
    stored = await store.database.fetch("SELECT * FROM ballots")
    assert len(stored) == 1 and bob not in str(list(stored[0])) and bob not in event.stream
    assert len(await store.database.fetch("SELECT secret FROM poll_secrets")) == 1
    await at_a_later_time(feed, minutes=61)
    assert await store.database.fetch("SELECT secret FROM poll_secrets") == []
    after = await seen(feed, bob, asked.post_id)
    assert (after.poll.closed, after.poll.voted, list(after.poll.counts)) == (True, False, [0, 1])
    assert [one.kind for one in await feed.notifications(ann)] == [api.NOTIFICATION_KIND_POLL]
    assert list(await feed.notifications(bob)) == []


async def test_a_warning_folds_the_text_and_earlier_versions_keep_it(feed: Feed) -> None:
    ann = await feed.person("ann")
    post = await feed.post(ann, "The butler did it", warning=" Spoilers ", sensitive=True)
    assert (post.warning, post.sensitive) == ("Spoilers", True)
    with feed.by(ann):
        await feed.stub.PinPost(api.PinPostRequest(post_id=post.post_id))  # no newer text, so the edit below is on the version it names
        edited = await feed.stub.EditPost(api.EditPostRequest(post_id=post.post_id, body="The butler did it", etag=post.etag))
        revisions = (await feed.stub.ListRevisions(api.ListRevisionsRequest(post_id=post.post_id))).revisions
    assert (edited.warning, edited.sensitive, edited.etag, edited.pinned) == ("", False, "2", True)
    assert [(one.number, one.warning) for one in revisions] == [(2, ""), (1, "Spoilers")]
    with feed.by(ann), refused(INVALID, "at most 200", "warning"):
        await feed.stub.PublishPost(api.PublishPostRequest(body="x", warning="w" * 201))


async def test_five_pins_stand_at_the_head_of_a_page(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    club = await feed.community(ann)
    await feed.add(ann, club.community_id, bob, MODERATOR)
    here = Audience(community_id=club.community_id)
    posts = [await feed.post(ann, f"post {number}", here) for number in range(6)]
    with feed.by(ann):
        for post in posts[:5]:
            await feed.stub.PinPost(api.PinPostRequest(post_id=post.post_id))
        with refused(FAILED, "at most 5"):
            await feed.stub.PinPost(api.PinPostRequest(post_id=posts[5].post_id))
        await feed.stub.UnpinPost(api.UnpinPostRequest(post_id=posts[0].post_id))
        assert (await feed.stub.PinPost(api.PinPostRequest(post_id=posts[5].post_id))).pinned
    with feed.by(bob):
        assert (await feed.stub.PinPost(api.PinPostRequest(post_id=posts[2].post_id, in_community=True))).pinned_in_community
        with refused(DENIED, "your own posts"):
            await feed.stub.PinPost(api.PinPostRequest(post_id=posts[2].post_id))
    assert [post.body for post in await page(feed, bob, api.TIMELINE_KIND_PINNED, ann)] == [f"post {n}" for n in (5, 4, 3, 2, 1)]
    assert [post.body for post in await page(feed, bob, api.TIMELINE_KIND_PINNED, club.community_id)] == ["post 2"]
    with feed.by(bob):
        both = await feed.stub.ListTimeline(api.ListTimelineRequest(kind=PERSON, subject=ann, page_size=2, with_pinned=True))
    assert [post.body for post in (*both.pinned, *both.posts)] == [f"post {n}" for n in (5, 4, 3, 2, 1, 5, 4)]
    cem = await feed.person("cem")
    with feed.by(cem), refused(DENIED, "moderate"):
        await feed.stub.PinPost(api.PinPostRequest(post_id=posts[3].post_id, in_community=True))
    with feed.by(ann):
        await feed.stub.DeletePost(api.DeletePostRequest(post_id=posts[5].post_id))
    assert len(await page(feed, bob, api.TIMELINE_KIND_PINNED, ann)) == 4


async def test_a_muted_thread_tells_nothing_until_it_is_heard_again(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    root = await feed.post(ann, "a long talk")
    reply = await feed.post(bob, "one more thing", parent_id=root.post_id)
    with feed.by(ann):
        assert (await feed.stub.MuteThread(api.MuteThreadRequest(post_id=reply.post_id))).thread_muted
        assert (await feed.stub.CountUnreadNotifications(api.CountUnreadNotificationsRequest())).unread_count == 0
    await feed.post(bob, "and @ann another", parent_id=root.post_id)
    assert list(await feed.notifications(ann)) == []
    assert not (await seen(feed, bob, root.post_id)).thread_muted
    with feed.by(ann):
        assert not (await feed.stub.UnmuteThread(api.UnmuteThreadRequest(post_id=root.post_id))).thread_muted
    assert len(await feed.notifications(ann)) == 2


async def test_timelines_are_paged_from_either_end(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    await feed.follow(bob, ann)
    posts = [await feed.post(ann, str(number)) for number in range(7)]
    ids = [post.post_id for post in posts]
    for kind, subject in ((HOME, ""), (COMPANY, ""), (PERSON, ann)):
        async def bodies(kind: Any = kind, subject: str = subject, **fields: Any) -> str:
            return "".join(post.body for post in await page(feed, bob, kind, subject, **fields))

        assert await bodies(before_id=ids[3]) == "210"
        assert await bodies(after_id=ids[3]) == "654"
        assert await bodies(after_id=ids[3], page_size=2) == "65"
        assert await bodies(after_id=ids[1], from_oldest=True, page_size=2) == "32"
        assert await bodies(after_id=ids[1], before_id=ids[4]) == "32"
        assert await bodies(after_id=ids[1], before_id=ids[3], from_oldest=True) == "2"
        assert await bodies(from_oldest=True, page_size=2) == "10"
        assert await bodies(after_id=ids[6]) == ""
    with feed.by(bob):
        for number in (2, 5, 0):
            await feed.stub.SavePost(api.SavePostRequest(post_id=ids[number]))
            await feed.stub.AddReaction(api.AddReactionRequest(post_id=ids[number], emoji="👍"))
        await feed.stub.AddReaction(api.AddReactionRequest(post_id=ids[2], emoji="🎉"))
    assert [post.body for post in await page(feed, bob, api.TIMELINE_KIND_SAVED, before_id=ids[0])] == ["5", "2"]
    assert [post.body for post in await page(feed, bob, api.TIMELINE_KIND_SAVED, after_id=ids[2], from_oldest=True, page_size=1)] == ["5"]
    assert [post.body for post in await page(feed, bob, api.TIMELINE_KIND_REACTED)] == ["2", "0", "5"]
    with feed.by(bob), refused(INVALID, field="after_id"):
        await feed.stub.ListTimeline(api.ListTimelineRequest(kind=HOME, after_id="7"))
    direct = await feed.post(ann, "for bob", people(bob))
    await feed.post(bob, "an answer", parent_id=direct.post_id)
    assert [post.body for post in await page(feed, bob, api.TIMELINE_KIND_DIRECT)] == ["for bob"]


async def test_praise_and_questions_are_published_with_their_posts(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    asked = await feed.post(ann, "Who knows?", kind=events_pb2.POST_KIND_QUESTION)
    assert asked.kind == events_pb2.POST_KIND_QUESTION
    with feed.by(ann), refused(INVALID, "announcements have their own", "kind"):
        await feed.stub.PublishPost(api.PublishPostRequest(body="x", kind=events_pb2.POST_KIND_ANNOUNCEMENT))
    thanks = await feed.post(ann, "Thank you", praised_ids=[bob], praise_value="Helping each other")
    assert (thanks.kind, thanks.praised[0].handle, thanks.praise_value) == (events_pb2.POST_KIND_PRAISE, "bob", "Helping each other")
    with feed.by(ann), refused(INVALID, "for others", "praised_ids"):
        await feed.stub.PublishPost(api.PublishPostRequest(body="x", praised_ids=[ann], praise_value="Helping each other"))
    with feed.by(ann), refused(INVALID, "choose what", "praise_value"):
        await feed.stub.PublishPost(api.PublishPostRequest(body="x", praised_ids=[bob], praise_value="Being late"))


@pytest.mark.parametrize("who", ["ann", "bob"])
async def test_an_erased_author_leaves_nothing_behind(feed: Feed, who: str) -> None:
    ann, bob, cem = [await feed.person(name) for name in ("ann", "bob", "cem")]
    picture = Attachment(blob_id="b", media_type="image/png", description="a pier", width=3, height=2, size_bytes=9)
    asked = await feed.post(
        ann, "my own words", poll=poll("my option", "another"), warning="my warning", sensitive=True, attachments=[picture]
    )
    base = await feed.post(cem, "base")
    quote = await feed.post(ann, "my own quote", quoted_id=base.post_id)
    await repost(feed, bob, asked.post_id)
    await repost(feed, ann, base.post_id)
    await vote(feed, bob, asked.post_id, 0)
    with feed.by(ann):
        await feed.stub.PinPost(api.PinPostRequest(post_id=quote.post_id))
        await feed.stub.EditPost(api.EditPostRequest(post_id=quote.post_id, body="my own edit", warning="mine", sensitive=True))
    erased = {"ann": ann, "bob": bob}[who]
    await feed.tell(f"person-{erased}", identity.PersonErased(person_id=erased))
    counted = await seen(feed, cem, base.post_id)
    if who == "ann":
        assert (counted.repost_count, counted.quote_count) == (0, 0)
        assert await page(feed, cem, PERSON, bob) == []
        gone = await seen(feed, cem, asked.post_id)
        assert gone.erased and not gone.HasField("poll") and (gone.warning, gone.sensitive, gone.body) == ("", False, "")
    else:
        assert (counted.repost_count, counted.quote_count) == (1, 1)
        assert (await seen(feed, cem, asked.post_id)).repost_count == 0
    rows = await feed.world.store("feed").database.fetch("SELECT card FROM posts")
    assert (b"my o" in b"".join(bytes(row["card"]) for row in rows)) == (who == "bob")
