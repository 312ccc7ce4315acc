"""The ranked timeline by its call: whose posts, in which order, why, and the same order on the pages that follow."""
from __future__ import annotations

from tests.feed.worlds import INVALID, Feed, people, refused
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1 import reading_service_pb2 as reading
from watercooler.feed.v1.reading_service_pb2_grpc import ReadingServiceStub

RANKED = api.TIMELINE_KIND_RANKED


async def page(feed: Feed, reader: str, size: int = 20, token: str = "") -> api.ListTimelineResponse:
    with feed.by(reader):
        found: api.ListTimelineResponse = await feed.stub.ListTimeline(
            api.ListTimelineRequest(kind=RANKED, page_size=size, page_token=token)
        )
    return found


async def test_what_matters_stands_first_and_says_why(feed: Feed) -> None:
    ann, bob, cem, dan = [await feed.person(name) for name in ("ann", "bob", "cem", "dan")]
    for author in (bob, cem):
        await feed.follow(ann, author)
    await feed.follow(bob, ann)
    first = await feed.post(bob, "from a friend")
    await feed.post(cem, "from somebody followed")
    await feed.post(dan, "from a stranger")
    direct = await feed.post(dan, "for you", people(ann))
    mine = await feed.post(ann, "my own")
    with feed.by(bob):
        await feed.stub.AddReaction(api.AddReactionRequest(post_id=mine.post_id, emoji="🎉"))
    found = (await page(feed, ann)).posts
    assert [(post.body, list(post.reasons)) for post in found] == [
        ("for you", ["Addressed to you"]),
        ("from a friend", ["You and the author follow each other"]),
        ("from somebody followed", ["You follow the author"]),
        ("my own", ["1 person you follow reacted"]),
    ]
    with feed.by(ann):
        await feed.stub.AddReaction(api.AddReactionRequest(post_id=direct.post_id, emoji="👍"))
    assert (await page(feed, ann)).posts[0].post_id == first.post_id, "what one answered steps back"
    assert await feed.timeline(ann) == ["my own", "for you", "from somebody followed", "from a friend"], "the other order is that of time"


async def test_later_pages_keep_the_order_of_the_first(feed: Feed) -> None:
    ann, bob, cem = [await feed.person(name) for name in ("ann", "bob", "cem")]
    for author in (bob, cem):
        await feed.follow(ann, author)
    for number in range(7):
        await feed.post(bob if number % 2 else cem, f"number {number}")
    whole = [post.post_id for post in (await page(feed, ann)).posts]
    first = await page(feed, ann, 3)
    await feed.post(bob, "newer than the first page")
    with feed.by(bob):
        await feed.stub.AddReaction(api.AddReactionRequest(post_id=whole[-1], emoji="🎉"))
    gone = whole[4]
    with feed.by(bob), feed.world.acting_as(bob, ("administrator", "employee")):
        await feed.stub.DeletePost(api.DeletePostRequest(post_id=gone))
    seen = [post.post_id for post in first.posts]
    token = first.next_page_token
    while token:
        following = await page(feed, ann, 3, token)
        seen += [post.post_id for post in following.posts]
        token = following.next_page_token
    assert seen == [post_id for post_id in whole if post_id != gone]


async def test_no_author_fills_it_and_mutes_hold(feed: Feed) -> None:
    ann, bob, cem = [await feed.person(name) for name in ("ann", "bob", "cem")]
    for author in (bob, cem):
        await feed.follow(ann, author)
    await feed.follow(bob, ann)
    await feed.post(cem, "other")
    for number in range(4):
        await feed.post(bob, f"number {number}")
    authors = [post.author.handle for post in (await page(feed, ann)).posts]
    assert authors == ["bob", "bob", "cem", "bob", "bob"]
    with feed.by(ann):
        await feed.world.stub(ReadingServiceStub, "feed").MutePerson(reading.MutePersonRequest(person_id=bob))
    assert [post.body for post in (await page(feed, ann)).posts] == ["other"]


async def test_its_pages_are_asked_for_by_token_only(feed: Feed) -> None:
    ann = await feed.person("ann")
    assert list((await page(feed, ann)).posts) == []
    for wrong in ("x", "é", "a" * 1_001, "AAAA"):
        with refused(INVALID, field="page_token"):
            await page(feed, ann, token=wrong)
    with feed.by(ann), refused(INVALID, "page_token only"):
        await feed.stub.ListTimeline(api.ListTimelineRequest(kind=RANKED, before_id=ann))
