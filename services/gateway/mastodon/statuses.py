"""Posts: written, read with their thread, answered, passed on, kept, voted on, edited and deleted."""
from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

import grpc

from libs.rpc.errors import RpcError
from libs.text import markdown
from watercooler.common.v1 import audience_pb2, blob_pb2
from watercooler.feed.v1 import drafting_events_pb2 as drafting_events
from watercooler.feed.v1 import drafting_service_pb2 as drafting
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.identity.v1 import identity_service_pb2 as identity

from . import entities
from .entities import Entity
from .errors import invalid, not_found
from .media import attachments_of
from .paging import links, page_of
from .params import Params
from .router import Call, Reply, route

SCHEDULE_LEAST: Final = timedelta(minutes=5)
POLL_SECONDS_LEAST: Final = 300
POLL_SECONDS_MOST: Final = 30 * 86_400
THREAD_POSTS: Final = 2_000
_FIRST = re.compile(r"\s*@([A-Za-z0-9_][A-Za-z0-9._-]{0,63})(?:@[^\s]*)?[ \t]*[,:]?\s*")


async def original_of(call: Call, post_id: str) -> feed.Post:
    """A post; of a repost the post that it passes on. Raises Refusal 404."""
    post = await get(call, post_id)
    return post.reposted if post.reposted_id and post.HasField("reposted") else post


async def get(call: Call, post_id: str) -> feed.Post:
    """A post. Raises Refusal 404 for one that is gone or not for whoever asks."""
    post = await call.clients.feed.GetPost(feed.GetPostRequest(post_id=post_id))
    if post.deleted or post.erased:
        raise not_found()
    return post


# --- writing ---------------------------------------------------------------------------------------------------------


@route("POST", "/api/v1/statuses", "write:statuses")
async def publish(call: Call) -> Any:
    """Publish a post, or keep it to be published at its time."""
    params = call.params
    content = await content_of(call, params)
    at = params.moment("scheduled_at")
    if at is not None:
        return await _schedule(call, content, at)
    request = feed.PublishPostRequest(
        body=content.body, language=content.language, parent_id=content.parent_id, attachments=content.attachments,
        request_id=call.request_id, warning=content.warning, sensitive=content.sensitive, quoted_id=content.quoted_id,
    )
    if content.HasField("audience"):
        request.audience.CopyFrom(content.audience)
    if content.HasField("poll"):
        request.poll.CopyFrom(content.poll)
        request.poll.close_time.FromDatetime(call.gateway.context.now() + timedelta(seconds=content.poll_seconds))
    return await call.shown.status(await call.clients.feed.PublishPost(request))


async def content_of(call: Call, params: Params) -> drafting_events.DraftContent:
    """What a request says of a post to be written. Raises Refusal 422, 404."""
    body = params.text("status", most=100_000)
    if len(body) > markdown.BODY_LENGTH_MAX:
        raise invalid(f"Text character limit of {markdown.BODY_LENGTH_MAX} exceeded", "status")
    attachments = await attachments_of(call, params.texts("media_ids", 16), params)
    if not body.strip() and not attachments and "poll" not in params:
        raise invalid("Text can't be blank", "status")
    content = drafting_events.DraftContent(
        language=params.text("language", most=35), parent_id=params.text("in_reply_to_id", most=100), attachments=attachments,
        warning=params.text("spoiler_text", most=2_000), sensitive=params.flag("sensitive"),
        quoted_id=params.text("quoted_status_id", most=100) or params.text("quote_id", most=100),
    )
    if content.parent_id:  # has the audience of its thread
        parent = await original_of(call, content.parent_id)
        content.parent_id = parent.post_id
    else:
        body, audience = await _audience(call, body, params.text("visibility", "public", 20) or "public")
        content.audience.CopyFrom(audience)
    content.body = body
    _read_poll(params, content)
    return content


def _read_poll(params: Params, content: drafting_events.DraftContent) -> None:
    given = params.inner("poll")
    options = [each.strip() for each in given.texts("options", 50)]
    if not options:
        return
    seconds = given.whole("expires_in", 86_400, 0, 10 * POLL_SECONDS_MOST)
    if not POLL_SECONDS_LEAST <= seconds <= POLL_SECONDS_MOST:
        raise invalid("A poll is open for 5 minutes to 30 days: expires_in counts seconds.", "poll[expires_in]")
    content.poll.options.extend(options)
    content.poll.multiple = given.flag("multiple")
    content.poll_seconds = seconds


async def _audience(call: Call, body: str, visibility: str) -> tuple[str, audience_pb2.Audience]:
    """Who may see a new thread, and its text: a community named as the first word is the place, and no part of the text."""
    audience = audience_pb2.Audience()
    first = _FIRST.match(body)
    if first is not None:
        community = await _community(call, first[1])
        if community is not None:
            audience.community_id = community.community_id
            return body[first.end():], audience
    if visibility in ("public", "unlisted", "local"):
        audience.everyone.SetInParent()
    elif visibility == "private":
        audience.followers_of_id = call.me.person_id
    elif visibility == "direct":
        named = await _people(call, markdown.extract(body).mentions)
        if not named:
            raise invalid("A direct post names somebody of this network: write @ and their handle.", "status")
        audience.people.person_ids.extend(named)
    else:
        raise invalid("visibility is public, unlisted, private or direct.", "visibility")
    return body, audience


async def _community(call: Call, handle: str) -> feed.Community | None:
    try:
        return await call.clients.feed.GetCommunity(feed.GetCommunityRequest(handle=handle.lower()))
    except RpcError as error:
        if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
            return None
        raise


async def _people(call: Call, handles: tuple[str, ...]) -> list[str]:
    found = []
    for handle in handles[:50]:
        try:
            found.append((await call.clients.identity.FindPerson(identity.FindPersonRequest(handle=handle))).person_id)
        except RpcError as error:
            if error.code() not in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                raise
    return [each for each in dict.fromkeys(found) if each != call.me.person_id] or list(dict.fromkeys(found))


@route("PUT", "/api/v1/statuses/:id", "write:statuses")
async def edit(call: Call) -> Any:
    """Edit one's own; what is absent stays, but for pictures: those not named any more go."""
    params = call.params
    held = await get(call, call.id())
    body = params.text("status", held.body, 100_000)
    if len(body) > markdown.BODY_LENGTH_MAX:
        raise invalid(f"Text character limit of {markdown.BODY_LENGTH_MAX} exceeded", "status")
    attachments: list[blob_pb2.Attachment] = list(held.attachments)
    if "media_ids" in params or "media_attributes" in params:
        named = params.texts("media_ids", 16) if "media_ids" in params else [each.blob_id for each in held.attachments]
        attachments = await attachments_of(call, named, params, held.attachments)
    changed = await call.clients.feed.EditPost(
        feed.EditPostRequest(
            post_id=held.post_id, body=body, language=params.text("language", held.language, 35), attachments=attachments, etag=held.etag,
            request_id=call.request_id, warning=params.text("spoiler_text", held.warning, 2_000),
            sensitive=params.flag("sensitive", held.sensitive),
        )
    )
    return await call.shown.status(changed)


@route("DELETE", "/api/v1/statuses/:id", "write:statuses")
async def delete(call: Call) -> Any:
    """Delete a post; the answer has its text once more, for writing it anew."""
    held = await get(call, call.id())
    if held.reposted_id:
        await call.clients.feed.UndoRepost(feed.UndoRepostRequest(post_id=held.reposted_id, request_id=call.request_id))
    else:
        await call.clients.feed.DeletePost(feed.DeletePostRequest(post_id=held.post_id, request_id=call.request_id))
    found = entities.status(held, call.site, await call.shown.known([held], parents=True))
    found["text"] = held.body
    return found


# --- reading ---------------------------------------------------------------------------------------------------------


@route("GET", "/api/v1/statuses", "read:statuses")
async def several(call: Call) -> Any:
    """Several posts; what one may not see is left out."""
    wanted = [each for each in call.params.texts("id", 100) if len(each) == 36]
    found = await call.clients.feed.BatchGetPosts(feed.BatchGetPostsRequest(post_ids=wanted))
    return await call.shown.statuses(found.posts, parents=True)


@route("GET", "/api/v1/statuses/:id", "read:statuses")
async def one(call: Call) -> Any:
    """A post."""
    return await call.shown.status(await get(call, call.id()))


@route("GET", "/api/v1/statuses/:id/context", "read:statuses")
async def context(call: Call) -> Any:
    """What a post answers, and what answers it."""
    post_id = (await original_of(call, call.id())).post_id
    posts: list[feed.Post] = []
    mark = ""
    while True:
        found = await call.clients.feed.GetThread(feed.GetThreadRequest(post_id=post_id, page_size=200, page_token=mark))
        posts += found.replies
        mark = found.next_page_token
        if not mark or len(posts) >= THREAD_POSTS:
            break
    by_id = {each.post_id: each for each in (found.root, *posts)}
    ancestors: list[feed.Post] = []
    at = by_id.get(post_id)
    while at is not None and at.parent_id and (at := by_id.get(at.parent_id)) is not None:
        ancestors.insert(0, at)
    below = {post_id}
    descendants = []
    for each in posts:  # oldest first, so what is answered comes before its answers
        if each.parent_id in below:
            below.add(each.post_id)
            descendants.append(each)
    return {
        "ancestors": await call.shown.statuses(ancestors, parents=True), "descendants": await call.shown.statuses(descendants, parents=True)
    }


@route("GET", "/api/v1/statuses/:id/source", "read:statuses")
async def source(call: Call) -> Any:
    """The text as it was typed, for an editor."""
    post = await get(call, call.id())
    return {"id": post.post_id, "text": post.body, "spoiler_text": post.warning}


@route("GET", "/api/v1/statuses/:id/history", "read:statuses")
async def history(call: Call) -> Any:
    """Every version, oldest first."""
    post = await original_of(call, call.id())
    found = await call.clients.feed.ListRevisions(feed.ListRevisionsRequest(post_id=post.post_id))
    return [entities.revision(each, post, call.site) for each in reversed(found.revisions)]


@route("GET", "/api/v1/statuses/:id/card", "read:statuses")
async def card(call: Call) -> Any:
    """What the first link leads to; empty where there is none."""
    post = await original_of(call, call.id())
    return entities.card(post.preview, call.site) if post.HasField("preview") else {}


@route("GET", "/api/v1/statuses/:id/favourited_by", "read:accounts")
async def favourited_by(call: Call) -> Reply:
    """Who reacted, newest first, each once."""
    page = page_of(call, 40, 80)
    post = await original_of(call, call.id())
    found = await call.clients.feed.ListReactions(
        feed.ListReactionsRequest(post_id=post.post_id, page_size=page.limit, page_token=page.max_id)
    )
    people = {each.person.person_id: each.person for each in found.reactions}
    return Reply(await call.shown.accounts(list(people.values())), link=links(call, found.next_page_token))


@route("GET", "/api/v1/statuses/:id/reblogged_by", "read:accounts")
async def reblogged_by(call: Call) -> Reply:
    """Who passed the post on."""
    page = page_of(call, 40, 80)
    post = await original_of(call, call.id())
    found = await call.clients.feed.ListReposters(
        feed.ListRepostersRequest(post_id=post.post_id, page_size=page.limit, page_token=page.max_id)
    )
    return Reply(await call.shown.accounts(found.people), link=links(call, found.next_page_token))


@route("GET", "/api/v1/statuses/:id/quotes", "read:statuses")
async def quotes(call: Call) -> Reply:
    """Posts that quote this one."""
    page = page_of(call)
    post = await original_of(call, call.id())
    found = await call.clients.feed.ListQuotes(feed.ListQuotesRequest(post_id=post.post_id, page_size=page.limit, page_token=page.max_id))
    return Reply(await call.shown.statuses(found.posts), link=links(call, found.next_page_token))


@route("POST", "/api/v1/statuses/:id/translate", "read:statuses")
async def translate(call: Call) -> Any:
    """Nothing leaves the network to be translated."""
    await get(call, call.id())
    raise not_found()


# --- responding ------------------------------------------------------------------------------------------------------


@route("POST", "/api/v1/statuses/:id/favourite", "write:favourites")
async def favourite(call: Call) -> Any:
    """React with a heart; nothing changes where one reacted already, with whatever emoji."""
    post = await original_of(call, call.id())
    if not any(each.mine for each in post.reactions):
        post = await call.clients.feed.AddReaction(
            feed.AddReactionRequest(post_id=post.post_id, emoji=entities.HEART, request_id=call.request_id)
        )
    return await call.shown.status(post)


@route("POST", "/api/v1/statuses/:id/unfavourite", "write:favourites")
async def unfavourite(call: Call) -> Any:
    """Take one's reactions back, whatever their emoji: the star that clients show stands for all of them."""
    post = await original_of(call, call.id())
    for each in list(post.reactions):
        if each.mine:
            post = await call.clients.feed.RemoveReaction(
                feed.RemoveReactionRequest(post_id=post.post_id, emoji=each.emoji)
            )
    return await call.shown.status(post)


@route("POST", "/api/v1/statuses/:id/reblog", "write:statuses")
async def reblog(call: Call) -> Any:
    """Pass a post on; the answer is the repost."""
    post = await original_of(call, call.id())
    return await call.shown.status(
        await call.clients.feed.RepostPost(feed.RepostPostRequest(post_id=post.post_id, request_id=call.request_id))
    )


@route("POST", "/api/v1/statuses/:id/unreblog", "write:statuses")
async def unreblog(call: Call) -> Any:
    """Take a repost back; the answer is the post itself."""
    post = await original_of(call, call.id())
    await call.clients.feed.UndoRepost(feed.UndoRepostRequest(post_id=post.post_id, request_id=call.request_id))
    return await call.shown.status(await get(call, post.post_id))


@route("POST", "/api/v1/statuses/:id/bookmark", "write:bookmarks")
async def bookmark(call: Call) -> Any:
    """Save a post."""
    post = await original_of(call, call.id())
    return await call.shown.status(
        await call.clients.feed.SavePost(feed.SavePostRequest(post_id=post.post_id, request_id=call.request_id))
    )


@route("POST", "/api/v1/statuses/:id/unbookmark", "write:bookmarks")
async def unbookmark(call: Call) -> Any:
    """Save a post no longer."""
    post = await original_of(call, call.id())
    return await call.shown.status(
        await call.clients.feed.UnsavePost(feed.UnsavePostRequest(post_id=post.post_id, request_id=call.request_id))
    )


@route("POST", "/api/v1/statuses/:id/pin", "write:accounts")
async def pin(call: Call) -> Any:
    """Put one's own post at the head of one's page."""
    return await call.shown.status(
        await call.clients.feed.PinPost(feed.PinPostRequest(post_id=call.id(), request_id=call.request_id))
    )


@route("POST", "/api/v1/statuses/:id/unpin", "write:accounts")
async def unpin(call: Call) -> Any:
    """Take it from there."""
    return await call.shown.status(
        await call.clients.feed.UnpinPost(feed.UnpinPostRequest(post_id=call.id(), request_id=call.request_id))
    )


@route("POST", "/api/v1/statuses/:id/mute", "write:mutes")
async def mute(call: Call) -> Any:
    """Be told nothing more of a thread."""
    post = await original_of(call, call.id())
    return await call.shown.status(
        await call.clients.feed.MuteThread(feed.MuteThreadRequest(post_id=post.post_id, request_id=call.request_id))
    )


@route("POST", "/api/v1/statuses/:id/unmute", "write:mutes")
async def unmute(call: Call) -> Any:
    """Be told of a thread again."""
    post = await original_of(call, call.id())
    return await call.shown.status(
        await call.clients.feed.UnmuteThread(feed.UnmuteThreadRequest(post_id=post.post_id, request_id=call.request_id))
    )


@route("PUT", "/api/v1/statuses/:id/interaction_policy", "write:statuses")
async def interaction_policy(call: Call) -> Any:
    """Who may quote follows from the audience: the post is answered as it is."""
    return await call.shown.status(await get(call, call.id()))


@route("POST", "/api/v1/statuses/:id/quotes/:quoting/revoke", "write:statuses")
async def revoke_quote(call: Call) -> Any:
    """A quote is taken away by whoever wrote it, or by a moderator."""
    await get(call, call.id())
    raise invalid("A quote stays as long as the post that quotes: ask its author, or report it.")


# --- polls -----------------------------------------------------------------------------------------------------------


@route("GET", "/api/v1/polls/:id", "read:statuses")
async def poll(call: Call) -> Any:
    """A poll, by the id of its post."""
    post = await get(call, call.id())
    if not post.HasField("poll"):
        raise not_found()
    return _poll(call, post)


@route("POST", "/api/v1/polls/:id/votes", "write:statuses")
async def vote(call: Call) -> Any:
    """Vote; a vote stands."""
    choices = []
    for each in call.params.texts("choices", 50):
        if not (each.isascii() and each.isdigit() and len(each) < 4):
            raise invalid("choices are numbers of options, counted from 0.", "choices")
        choices.append(int(each))
    post = await get(call, call.id())
    if not post.HasField("poll"):
        raise not_found()
    return _poll(
        call,
        await call.clients.feed.VotePoll(feed.VotePollRequest(post_id=post.post_id, choices=choices, request_id=call.request_id)),
    )


def _poll(call: Call, post: feed.Post) -> Entity:
    return entities.poll(post, [entities.emoji(each, call.site) for each in post.emojis])


# --- scheduled -------------------------------------------------------------------------------------------------------


async def _schedule(call: Call, content: drafting_events.DraftContent, at: Any) -> Entity:
    if at - call.gateway.context.now() < SCHEDULE_LEAST:
        raise invalid("Scheduled at must be at least 5 minutes from now.", "scheduled_at")
    saved = await call.clients.drafting.SaveDraft(drafting.SaveDraftRequest(content=content, request_id=call.request_id))
    request = drafting.ScheduleDraftRequest(draft_id=saved.draft_id)
    request.publish_time.FromDatetime(at)
    return entities.scheduled(await call.clients.drafting.ScheduleDraft(request), call.site)


@route("GET", "/api/v1/scheduled_statuses", "read:statuses")
async def scheduled_statuses(call: Call) -> Reply:
    """What waits for its time."""
    page = page_of(call)
    found = await call.clients.drafting.ListDrafts(
        drafting.ListDraftsRequest(page_size=page.limit, page_token=page.max_id, only_scheduled=True)
    )
    return Reply([entities.scheduled(each, call.site) for each in found.drafts], link=links(call, found.next_page_token))


async def _scheduled(call: Call) -> drafting.Draft:
    draft = await call.clients.drafting.GetDraft(drafting.GetDraftRequest(draft_id=call.id()))
    if not draft.HasField("publish_time"):
        raise not_found()
    return draft


@route("GET", "/api/v1/scheduled_statuses/:id", "read:statuses")
async def scheduled_status(call: Call) -> Any:
    """One that waits."""
    return entities.scheduled(await _scheduled(call), call.site)


@route("PUT", "/api/v1/scheduled_statuses/:id", "write:statuses")
async def reschedule(call: Call) -> Any:
    """Another time."""
    draft = await _scheduled(call)
    at = call.params.moment("scheduled_at")
    if at is None:
        return entities.scheduled(draft, call.site)
    if at - call.gateway.context.now() < SCHEDULE_LEAST:
        raise invalid("Scheduled at must be at least 5 minutes from now.", "scheduled_at")
    request = drafting.ScheduleDraftRequest(draft_id=draft.draft_id, request_id=call.request_id)
    request.publish_time.FromDatetime(at)
    return entities.scheduled(await call.clients.drafting.ScheduleDraft(request), call.site)


@route("DELETE", "/api/v1/scheduled_statuses/:id", "write:statuses")
async def unschedule(call: Call) -> Any:
    """Not to be published."""
    draft = await _scheduled(call)
    await call.clients.drafting.DiscardDraft(drafting.DiscardDraftRequest(draft_id=draft.draft_id, request_id=call.request_id))
    return {}
