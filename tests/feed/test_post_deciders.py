"""What is allowed with polls, pins, reposts and previews, said by example."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from libs.eventstore.model import InvalidArgument, PermissionDenied
from libs.testing.spec import Spec
from services.feed import commands
from services.feed.deciders import post, vote
from watercooler.common.v1.audience_pb2 import Audience, Everyone
from watercooler.feed.v1 import events_pb2

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
EVERYONE = Audience(everyone=Everyone())
LATER = NOW + timedelta(hours=1)


def _poll(*options: str, close: datetime = LATER, **fields: bool) -> events_pb2.Poll:
    poll = events_pb2.Poll(options=options, **fields)
    poll.close_time.FromDatetime(close)
    return poll


def _vote(*choices: int, now: datetime = NOW, multiple: bool = False) -> commands.VotePoll:
    return commands.VotePoll(
        post_id="p", voter_id="bob", choices=choices, options=3, multiple=multiple, close_time=LATER, now=now,
    )


def _voted(*choices: int) -> events_pb2.PollVoted:
    voted = events_pb2.PollVoted(post_id="p", voter_id="bob", choices=choices)
    voted.vote_time.FromDatetime(NOW)
    return voted


def test_a_vote_is_made_once_and_stands() -> None:
    Spec(vote).when(_vote(2)).then(_voted(2))
    Spec(vote).when(_vote(2, 0, 2, multiple=True)).then(_voted(0, 2))
    Spec(vote).given(_voted(2)).when(_vote(2)).then_nothing()
    Spec(vote).given(_voted(2)).when(_vote(1)).then_rejected("a vote stands")
    Spec(vote).when(_vote(0, now=LATER)).then_rejected("has closed")
    Spec(vote).when(_vote(0, 1)).then_rejected("one choice", InvalidArgument)
    Spec(vote).when(_vote()).then_rejected("choose", InvalidArgument)
    Spec(vote).when(_vote(3)).then_rejected("options 0 to 2", InvalidArgument)
    Spec(vote).when(_vote(-1)).then_rejected("options 0 to 2", InvalidArgument)


@pytest.mark.parametrize(("poll", "reason"), [
    (_poll("a"), "2 to 10"),
    (_poll(*map(str, range(11))), "2 to 10"),
    (_poll("a", " "), "1 to 100"),
    (_poll("a", "b" * 101), "1 to 100"),
    (_poll("Yes", "yes "), "the same"),
    (_poll("a", "b", close=NOW + timedelta(minutes=4)), "5 minutes"),
    (_poll("a", "b", close=NOW + timedelta(days=400)), "a year"),
    (events_pb2.Poll(options=["a", "b"]), "when the poll closes"),
])
def test_a_poll_has_limits(poll: events_pb2.Poll, reason: str) -> None:
    command = commands.PublishPost(post_id="p", author_id="ann", body="?", audience=EVERYONE, now=NOW, poll=poll)
    Spec(post).when(command).then_rejected(reason, InvalidArgument)


def test_a_poll_closes_once_and_not_before_its_time() -> None:
    published = events_pb2.PostPublished(post_id="p", author_id="ann", body="?", poll=_poll("a", "b"))
    closed = events_pb2.PollClosed(post_id="p", author_id="ann", close_time=published.poll.close_time)
    Spec(post).given(published).when(commands.ClosePoll(post_id="p", now=NOW)).then_nothing()
    Spec(post).given(published).when(commands.ClosePoll(post_id="p", now=LATER)).then(closed)
    Spec(post).given(published, closed).when(commands.ClosePoll(post_id="p", now=LATER)).then_nothing()


def test_who_pins_where() -> None:
    published = events_pb2.PostPublished(post_id="p", author_id="ann", body="x", audience=Audience(community_id="c"))
    pinned = events_pb2.PostPinned(post_id="p", pinner_id="ann")
    pinned.pin_time.FromDatetime(NOW)
    pin = commands.PinPost(post_id="p", pinner_id="ann", community_id="", now=NOW)
    Spec(post).given(published).when(pin).then(pinned)
    Spec(post).given(published, pinned).when(pin).then_nothing()
    unpin = commands.UnpinPost(post_id="p", pinner_id="ann", community_id="")
    Spec(post).given(published, pinned).when(unpin).then(events_pb2.PostUnpinned(post_id="p", pinner_id="ann"))
    Spec(post).given(published).when(unpin).then_nothing()
    other = commands.PinPost(post_id="p", pinner_id="bob", community_id="", now=NOW)
    Spec(post).given(published).when(other).then_rejected("your own posts", PermissionDenied)
    elsewhere = commands.PinPost(post_id="p", pinner_id="bob", community_id="d", now=NOW)
    Spec(post).given(published).when(elsewhere).then_rejected("written there")


def test_a_preview_belongs_to_the_text_it_was_looked_up_for() -> None:
    published = events_pb2.PostPublished(post_id="p", author_id="ann", body="see https://example.com")
    edited = events_pb2.PostEdited(post_id="p", author_id="ann", body="see nothing")
    preview = events_pb2.LinkPreview(url="https://example.com", title="Example")
    command = commands.PreviewLink(post_id="p", version=1, preview=preview)
    previewed = events_pb2.LinkPreviewed(post_id="p", author_id="ann", preview=preview)
    Spec(post).given(published).when(command).then(previewed)
    Spec(post).given(published, previewed).when(command).then_nothing()
    Spec(post).given(published, edited).when(command).then_nothing()
    Spec(post).given(published, events_pb2.PostDeleted(post_id="p", author_id="ann")).when(command).then_nothing()
