"""What is done with posts: passing on, quoting, pinning, voting, and hearing no more of a thread."""
from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from watercooler.feed.v1 import feed_service_pb2 as feed

from . import models
from .models import Page
from .operations import Answer, Call, Input, operation


@operation("PUT", "/posts/{post_id}/repost", "Pass a post on", tag="posts", answer=models.Post)
async def repost(call: Call) -> Answer:
    """Answers the repost, the same one the second time. What is for followers or named people only cannot be passed on."""
    made = await call.clients.feed.RepostPost(feed.RepostPostRequest(post_id=call.id("post_id"), request_id=call.request_id))
    return Answer(models.post(made), etag=made.etag, location=f"/api/v1/posts/{made.post_id}")


@operation("DELETE", "/posts/{post_id}/repost", "Take a repost back", tag="posts", answer=models.Post)
async def undo_repost(call: Call) -> models.Post:
    """By the original or the repost; answers the original."""
    return models.post(await call.clients.feed.UndoRepost(feed.UndoRepostRequest(post_id=call.id("post_id"), request_id=call.request_id)))


@operation("GET", "/posts/{post_id}/reposts", "Who passed a post on", tag="posts", query=Page, answer=models.AuthorList)
async def list_reposters(call: Call, query: Page) -> models.AuthorList:
    """Newest first."""
    found = await call.clients.feed.ListReposters(
        feed.ListRepostersRequest(post_id=call.id("post_id"), page_size=query.page_size, page_token=query.page_token)
    )
    return models.AuthorList(people=[models.author(each) for each in found.people], next_page_token=found.next_page_token)


@operation("GET", "/posts/{post_id}/quotes", "Read what quotes a post", tag="posts", query=Page, answer=models.PostList)
async def list_quotes(call: Call, query: Page) -> models.PostList:
    """Those one may see, newest first."""
    found = await call.clients.feed.ListQuotes(
        feed.ListQuotesRequest(post_id=call.id("post_id"), page_size=query.page_size, page_token=query.page_token)
    )
    return models.PostList(posts=[models.post(each) for each in found.posts], next_page_token=found.next_page_token)


class PinQuery(Input, frozen=True, kw_only=True):
    """Where."""

    in_community: Annotated[bool, Meta(description="On the page of the community it stands in, by those who moderate there.")] = False


@operation("PUT", "/posts/{post_id}/pin", "Pin a post", tag="posts", query=PinQuery, answer=models.Post)
async def pin_post(call: Call, query: PinQuery) -> models.Post:
    """At the head of one's own page, or of the community's; five at most."""
    request = feed.PinPostRequest(post_id=call.id("post_id"), in_community=query.in_community, request_id=call.request_id)
    return models.post(await call.clients.feed.PinPost(request))


@operation("DELETE", "/posts/{post_id}/pin", "Unpin a post", tag="posts", query=PinQuery, answer=models.Post)
async def unpin_post(call: Call, query: PinQuery) -> models.Post:
    """The post stays where it stands in time."""
    request = feed.UnpinPostRequest(post_id=call.id("post_id"), in_community=query.in_community, request_id=call.request_id)
    return models.post(await call.clients.feed.UnpinPost(request))


@operation("PUT", "/posts/{post_id}/mute", "Mute a thread", tag="posts", answer=models.Post)
async def mute_thread(call: Call) -> models.Post:
    """Nothing more of the thread is notified; it stays readable."""
    return models.post(await call.clients.feed.MuteThread(feed.MuteThreadRequest(post_id=call.id("post_id"), request_id=call.request_id)))


@operation("DELETE", "/posts/{post_id}/mute", "Hear of a thread again", tag="posts", answer=models.Post)
async def unmute_thread(call: Call) -> models.Post:
    """From now on, and of what was missed."""
    request = feed.UnmuteThreadRequest(post_id=call.id("post_id"), request_id=call.request_id)
    return models.post(await call.clients.feed.UnmuteThread(request))


class VoteInput(Input, frozen=True, kw_only=True):
    """A choice."""

    choices: Annotated[
        list[Annotated[int, Meta(ge=0, le=9)]],
        Meta(min_length=1, max_length=10, description="Indices of options; one unless the poll takes several."),
    ]


@operation("PUT", "/posts/{post_id}/vote", "Vote in a poll", tag="posts", body=VoteInput, answer=models.Post)
async def vote(call: Call, body: VoteInput) -> models.Post:
    """A vote stands; the same one again changes nothing, so that no Idempotency-Key is needed, which would lead back to the voter."""
    return models.post(await call.clients.feed.VotePoll(feed.VotePollRequest(post_id=call.id("post_id"), choices=body.choices)))
