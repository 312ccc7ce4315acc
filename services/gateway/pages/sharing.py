"""What one does with a post beside answering it: pass it on, quote it, pin it, vote in it, and hear no more of its thread."""
from __future__ import annotations

import asyncio

from litestar import Response

from libs.rpc.errors import RpcError
from watercooler.feed.v1 import feed_service_pb2 as feed

from ..http import AnyRequest, clients
from ..problems import Refusal
from ..rendering import address
from ..views import PostPage
from ..views_posts import QuotesPage, RepostsPage
from . import convert
from .common import TOKEN_CHARACTERS, get, path_id, post, posted, problems, query, render, shell, told
from .posts import POSTS_A_PAGE, done, is_continuation, more, post_views

PEOPLE_A_PAGE = 50


@post("/posts/{post_id:str}/repost")
async def repost(request: AnyRequest) -> Response[bytes]:
    """Show a post to those who follow one, or no longer."""
    form = await posted(request)
    post_id = path_id(request, "post_id")
    if form.text("repost") == "0":
        found = await clients(request).feed.UndoRepost(feed.UndoRepostRequest(post_id=post_id))
        return await done(request, form, found, told(request, "No longer reposted."))
    found = await clients(request).feed.RepostPost(feed.RepostPostRequest(post_id=post_id))
    return await done(request, form, found.reposted, told(request, "Reposted."))


@post("/posts/{post_id:str}/pin")
async def pin(request: AnyRequest) -> Response[bytes]:
    """Put a post at the head of one's own page or its community's, or take it from there."""
    form = await posted(request)
    post_id = path_id(request, "post_id")
    in_community = "pin_in_community" in form.values
    if form.text("pin_in_community" if in_community else "pin") == "0":
        found = await clients(request).feed.UnpinPost(feed.UnpinPostRequest(post_id=post_id, in_community=in_community))
        return await done(request, form, found, told(request, "Unpinned."))
    found = await clients(request).feed.PinPost(feed.PinPostRequest(post_id=post_id, in_community=in_community))
    return await done(request, form, found, told(request, "Pinned."))


@post("/posts/{post_id:str}/mute")
async def mute(request: AnyRequest) -> Response[bytes]:
    """Be notified of nothing more in a thread, or again."""
    form = await posted(request)
    post_id = path_id(request, "post_id")
    if form.text("mute") == "0":
        found = await clients(request).feed.UnmuteThread(feed.UnmuteThreadRequest(post_id=post_id))
        return await done(request, form, found, told(request, "You hear of this thread again."))
    found = await clients(request).feed.MuteThread(feed.MuteThreadRequest(post_id=post_id))
    return await done(request, form, found, told(request, "You hear no more of this thread."))


@post("/posts/{post_id:str}/vote")
async def vote(request: AnyRequest) -> Response[bytes]:
    """Vote in a poll, once."""
    form = await posted(request)
    choices = [int(each) for each in form.texts("choice")[:10] if each.isascii() and each.isdigit() and len(each) < 3]
    post_id = path_id(request, "post_id")
    try:
        found = await clients(request).feed.VotePoll(feed.VotePollRequest(post_id=post_id, choices=choices))
    except RpcError as error:
        problem = problems(error, {"choices": ""})
        raise Refusal(problem.status, problem.message) from error
    return await done(request, form, found)


@get("/posts/{post_id:str}/reposts")
async def reposts(request: AnyRequest) -> Response[bytes]:
    """Who passed a post on."""
    post_id = path_id(request, "post_id")
    wanted = feed.ListRepostersRequest(post_id=post_id, page_size=PEOPLE_A_PAGE, page_token=query(request, "page", TOKEN_CHARACTERS))
    around, found, listed = await asyncio.gather(
        shell(request), clients(request).feed.GetPost(feed.GetPostRequest(post_id=post_id)), clients(request).feed.ListReposters(wanted)
    )
    following = address(f"/posts/{post_id}/reposts", page=listed.next_page_token) if listed.next_page_token else ""
    view = RepostsPage(
        shell=around, post=convert.post(found), people=[convert.author(each) for each in listed.people], next_url=following
    )
    return render(request, view)


@get("/posts/{post_id:str}/quotes")
async def quotes(request: AnyRequest) -> Response[bytes]:
    """What quotes a post, as far as one may see it."""
    post_id = path_id(request, "post_id")
    wanted = feed.ListQuotesRequest(post_id=post_id, page_size=POSTS_A_PAGE, page_token=query(request, "page", TOKEN_CHARACTERS))
    found, listed = await asyncio.gather(
        clients(request).feed.GetPost(feed.GetPostRequest(post_id=post_id)), clients(request).feed.ListQuotes(wanted)
    )
    following = address(f"/posts/{post_id}/quotes", page=listed.next_page_token) if listed.next_page_token else ""
    page = PostPage(posts=await post_views(request, listed.posts), next_url=following)
    if is_continuation(request):
        return more(request, page)
    return render(request, QuotesPage(shell=await shell(request), post=convert.post(found), page=page))
