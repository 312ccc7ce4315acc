"""Timelines, writing, threads, and what one does with a post."""
from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec
from litestar import Response
from litestar.datastructures import UploadFile
from markupsafe import Markup, escape

from libs.rpc.errors import RpcError
from libs.text.ids import new_id
from libs.text.markdown import normal_hashtag
from watercooler.common.v1.audience_pb2 import Audience, Everyone, People
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.identity.v1 import identity_service_pb2 as identity

from .. import files, http
from ..http import AnyRequest, clients, current_person, gateway
from ..neighbours import spared
from ..parties import is_away
from ..problems import Refusal
from ..rendering import address, language_name
from ..views import (
    CommunityRow,
    ComposePage,
    ComposeView,
    Conflict,
    FollowFragment,
    Form,
    HomePage,
    Option,
    PersonRef,
    PostDeletePage,
    PostEditPage,
    PostFragment,
    PostHistoryPage,
    PostListFragment,
    PostPage,
    PostVersion,
    PostView,
    ReactionRow,
    ReactionsPage,
    RepliesFragment,
    ReplyFragment,
    SavedPage,
    Shell,
    TagPage,
    ThreadPage,
)
from . import commanding, convert, ordering
from .announced import note_opened, pending, with_strips
from .common import (
    TOKEN_CHARACTERS,
    Posted,
    Problems,
    bad,
    fragment_shell,
    get,
    go,
    is_on,
    nothing,
    page_locale,
    path_id,
    post,
    posted,
    problems,
    query,
    render,
    return_path,
    shell,
    told,
    translated,
    wants_fragment,
)
from .delivering import reach_of
from .draft_forms import publish_draft
from .moderating import guidelines_first
from .whom import followed_if_known, resolve

POSTS_A_PAGE: Final = 20
REPLIES_A_PAGE: Final = 100
REACTIONS_A_PAGE: Final = 50
SUGGESTIONS: Final = 4
TAGS: Final = 10
LANGUAGES: Final = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "cs", "sv", "da", "fi", "tr", "uk", "ar", "he", "hi", "zh", "ja", "ko")
COMPOSE_FIELDS: Final = (
    "body", "audience", "people", "language", "image_description", "poll_options", "poll_minutes", "poll_multiple", "poll_anonymous",
    "warning", "sensitive", "question", "quoted_id",
)
POLL_MINUTES: Final = 1_440
SERVICE_FIELDS: Final = {
    "poll": "poll", "warning": "warning", "quoted_id": "", "kind": "",
    "text": "body",
    "body": "body", "audience": "people", "language": "language", "attachments": "image", "description": "image_description",
    "attachments.description": "image_description",
}
DIFF_WORDS: Final = 4_000

_WORDS = re.compile(r"\s+|[^\s]+")


# --- timelines --------------------------------------------------------------------------------------------------------


async def timeline(
    request: AnyRequest, kind: feed.TimelineKind.ValueType, subject: str, path: str, *, live_scope: str = "", **fields: str
) -> PostPage:
    """A page of a timeline; `path` and `fields` are its address. At most three calls."""
    asked_for = feed.ListTimelineRequest(
        kind=kind, subject=subject, page_size=POSTS_A_PAGE, page_token=query(request, "page", TOKEN_CHARACTERS),
        include_replies=fields.get("replies") == "1", with_pinned=not query(request, "page", TOKEN_CHARACTERS),
    )
    found = await clients(request).feed.ListTimeline(asked_for)
    posts = await post_views(request, [*found.pinned, *found.posts])
    at_head = [msgspec.structs.replace(each, at_head=True) for each in posts[:len(found.pinned)]]
    following = address(path, **fields, page=found.next_page_token) if found.next_page_token else ""
    return PostPage(posts=posts[len(found.pinned):], pinned=at_head, next_url=following, live_scope=live_scope)


async def post_views(request: AnyRequest, posts: Sequence[feed.Post]) -> list[PostView]:
    """Posts with the names of those whom they answer or address: at most two calls."""
    originals = [each.reposted if each.HasField("reposted") else each for each in posts]
    people, parents = await asyncio.gather(named_people(request, originals), _parents(request, originals))
    return await with_strips(request, posts, [convert.post(each, people=people, parents=parents) for each in posts])


async def named_people(request: AnyRequest, posts: Sequence[feed.Post]) -> dict[str, PersonRef]:
    """Those named in the audience of posts, the first five of each."""
    ids = {person_id for each in posts for person_id in each.audience.people.person_ids[:5]}
    if not ids:
        return {}
    asked_for = identity.BatchGetPeopleRequest(person_ids=sorted(ids)[:200])
    found = await spared(request, "identity", lambda: clients(request).identity.BatchGetPeople(asked_for))
    return {each.person_id: convert.person(each) for each in found.people} if found is not None else {}


async def _parents(request: AnyRequest, posts: Sequence[feed.Post]) -> dict[str, feed.Post]:
    ids = list(dict.fromkeys(each.parent_id for each in posts if each.parent_id))
    if not ids:
        return {}
    found = await clients(request).feed.BatchGetPosts(feed.BatchGetPostsRequest(post_ids=ids))
    return {each.post_id: each for each in found.posts}


def is_continuation(request: AnyRequest) -> bool:
    """Whether a list asks for its next run."""
    return wants_fragment(request) and bool(query(request, "page", TOKEN_CHARACTERS))


def more(request: AnyRequest, page: PostPage) -> Response[bytes]:
    """The next run of a list, for htmx."""
    return render(request, PostListFragment(shell=fragment_shell(request), page=page))


@get("/")
async def home(request: AnyRequest) -> Response[bytes]:
    """The posts of the people, communities and tags one follows."""
    is_ranked = ordering.is_ranked(request)
    kind, fields = (feed.TIMELINE_KIND_RANKED, {"order": "ranked"}) if is_ranked else (feed.TIMELINE_KIND_HOME, {})
    if is_continuation(request):
        return more(request, await timeline(request, kind, "", "/", **fields))
    around = await shell(request, live=True)
    page, beside = await asyncio.gather(
        timeline(request, kind, "", "/", live_scope="following", **fields), _beside(request, around)
    )
    compose = compose_view(request, around)
    return render(request, HomePage(shell=around, tab="following", is_ranked=is_ranked, page=page, compose=compose, **beside))


@get("/company")
async def company(request: AnyRequest) -> Response[bytes]:
    """What is said to everyone."""
    if is_continuation(request):
        return more(request, await timeline(request, feed.TIMELINE_KIND_COMPANY, "", "/company"))
    around = await shell(request, live=True)
    page, beside = await asyncio.gather(
        timeline(request, feed.TIMELINE_KIND_COMPANY, "", "/company", live_scope="company"), _beside(request, around)
    )
    return render(request, HomePage(shell=around, tab="company", page=page, compose=compose_view(request, around), **beside))


async def _beside(request: AnyRequest, around: Shell) -> dict[str, Any]:
    """Communities and people one might want, and what is talked about: four calls, and a fifth where an announcement waits."""
    services, me = clients(request), current_person(request)
    communities, tags, follows, people, announced = await asyncio.gather(
        spared(request, "feed", lambda: services.feed.ListCommunities(feed.ListCommunitiesRequest(page_size=50))),
        spared(request, "feed", lambda: services.feed.ListTrendingTags(feed.ListTrendingTagsRequest(page_size=TAGS))),
        followed_if_known(request, pages=1),
        spared(request, "identity", lambda: _colleagues(request), []),
        pending(request, around),
    )
    listed = communities.communities if communities is not None else []
    open_to_me = [each for each in listed if convert.membership(each) == "none" and not each.archived]
    largest = sorted(open_to_me, key=lambda each: -each.member_count)[:SUGGESTIONS]
    rows: list[CommunityRow] = [convert.community_row(each) for each in largest]
    strangers = [each for each in people if follows is not None and each.person_id not in follows and each.person_id != me.person_id]
    return {
        "announcements": announced,
        "suggested_communities": rows,
        "suggested_people": [convert.person_row(each, me.person_id, frozenset()) for each in strangers[:SUGGESTIONS]],
        "tags": [Option(value=each.tag, label=each.tag, count=each.post_count) for each in (tags.tags if tags else [])],
    }


async def _colleagues(request: AnyRequest) -> list[identity.Person]:
    """People of the reader's own department."""
    me = current_person(request)
    if me.is_guest:
        return []
    wanted = identity.ListPeopleRequest(page_size=30, department=me.person.profile.department)
    return list((await clients(request).identity.ListPeople(wanted)).people)


@get("/tags/{tag:str}")
async def tag(request: AnyRequest) -> Response[bytes]:
    """The posts with a tag."""
    name = str(request.path_params["tag"])[:100]
    path = f"/tags/{name}"
    try:
        if is_continuation(request):
            return more(request, await timeline(request, feed.TIMELINE_KIND_TAG, name, path))
        around = await shell(request, live=True)
        found, page, others = await asyncio.gather(
            clients(request).feed.GetTag(feed.GetTagRequest(tag=name)),
            timeline(request, feed.TIMELINE_KIND_TAG, name, path, live_scope=f"tag:{normal_hashtag(name) or name}"),
            clients(request).feed.ListTrendingTags(feed.ListTrendingTagsRequest(page_size=TAGS)),
        )
    except RpcError as error:
        if is_away(error):
            raise
        raise Refusal(404, "") from error
    view = TagPage(
        shell=around, tag=found.tag, is_following=found.following, post_count=found.post_count, follower_count=found.follower_count,
        page=page, related=[Option(value=each.tag, label=each.tag) for each in others.tags if each.tag != found.tag],
    )
    return render(request, view)


@get("/saved")
async def saved(request: AnyRequest) -> Response[bytes]:
    """One's own saved posts."""
    if is_continuation(request):
        return more(request, await timeline(request, feed.TIMELINE_KIND_SAVED, "", "/saved"))
    around, page = await asyncio.gather(shell(request), timeline(request, feed.TIMELINE_KIND_SAVED, "", "/saved"))
    return render(request, SavedPage(shell=around, page=page))


# --- writing ----------------------------------------------------------------------------------------------------------


def languages(request: AnyRequest) -> list[Option]:
    """The languages offered: the writer's own first, or where they name none that of the pages."""
    spoken = current_person(request).person.profile.languages
    own = [each.split("-")[0].lower() for each in spoken or [page_locale(request)]]
    tags = list(dict.fromkeys([*(each for each in own if 2 <= len(each) <= 3), *LANGUAGES]))
    return [Option(value=each, label=language_name(each), is_chosen=at == 0) for at, each in enumerate(tags)]


def compose_view(
    request: AnyRequest, around: Shell, *, form: Form | None = None, audience: str = "", action: str = "/posts",
    reply_to: PostView | None = None, quoted: PostView | None = None,
) -> ComposeView:
    """The box to write in."""
    settings = gateway(request).context.settings
    me = current_person(request)
    first = f"community:{around.communities[0].id}" if me.is_guest and around.communities else "everyone"
    return ComposeView(
        action=action, form=form or Form(), communities=around.communities, languages=languages(request), request_id=new_id(),
        audience=audience or first, body_max=settings.post_characters_max, image_max=settings.image_bytes_max, reply_to=reply_to,
        quoted=quoted,
    )


@get("/compose")
async def show_compose(request: AnyRequest) -> Response[bytes]:
    """The box on a page of its own."""
    around = await shell(request)
    values = {"body": query(request, "body", 2_000)} if query(request, "body", 2_000) else {}
    if query(request, "question", 1):
        values["question"] = "1"
    quoted = await _quoted(request, query(request, "quote", 36))
    view = compose_view(request, around, audience=query(request, "audience", 60), form=Form(values=values), quoted=quoted)
    return render(request, ComposePage(shell=around, compose=msgspec.structs.replace(view, reach=await reach_of(request))))


async def _quoted(request: AnyRequest, post_id: str) -> PostView | None:
    """The post that is to be quoted, as far as the writer sees it."""
    if len(post_id) != 36:
        return None
    found = await clients(request).feed.BatchGetPosts(feed.BatchGetPostsRequest(post_ids=[post_id]))
    shown = await post_views(request, [each.reposted if each.HasField("reposted") else each for each in found.posts])
    return shown[0] if shown else None


def read_poll(request: AnyRequest, form: Posted) -> events_pb2.Poll | None:
    """The poll of the form; None where no option is typed."""
    options = [line.strip() for line in form.raw("poll_options", 1_200).split("\n") if line.strip()]
    if not options:
        return None
    typed = form.text("poll_minutes", 10)
    minutes = int(typed) if typed.isascii() and typed.isdigit() else POLL_MINUTES
    poll = events_pb2.Poll(options=options[:20], multiple=bool(form.text("poll_multiple")), anonymous=bool(form.text("poll_anonymous")))
    # The service refuses what is too short or too long; a number past all times is only kept within what a time can be.
    poll.close_time.FromDatetime(gateway(request).context.now() + timedelta(minutes=min(minutes, 10_000_000)))
    return poll


async def read_audience(request: AnyRequest, form: Posted) -> Audience | Problems:
    """The audience of the form."""
    say = translated(request)
    chosen = form.text("audience", 100) or "everyone"
    me = current_person(request)
    if chosen == "everyone":
        return Audience(everyone=Everyone())
    if chosen == "followers":
        return Audience(followers_of_id=me.person_id)
    if chosen.startswith("community:"):
        return Audience(community_id=chosen.removeprefix("community:"))
    if chosen == "people":
        text = form.text("people", 2_000)
        if not text:
            return bad("people", say("Name at least one person."))
        ids, unknown = await resolve(request, text)
        if unknown:
            return bad("people", say("Nobody is found by this name: %s. Write @ and choose from the list.") % unknown)
        return Audience(people=People(person_ids=list(dict.fromkeys([*ids, me.person_id]))))
    return bad("", say("Choose who may see it."))


async def store_image(request: AnyRequest, upload: UploadFile, description: str) -> Attachment:
    """An uploaded image, checked and kept.

    Raises:
        Refusal: it cannot be used; the text says why.
    """
    content = await upload.read(gateway(request).context.settings.image_bytes_max + 1)
    ref, width, height = await files.store_image(request, content)
    return Attachment(
        blob_id=ref.id, media_type=ref.media_type, description=description, width=width, height=height, size_bytes=ref.size
    )


async def _read_image(request: AnyRequest, form: Posted) -> list[Attachment] | Problems:
    upload = form.file("image")
    if upload is None:
        return []
    description = form.text("image_description", 2_000)
    if not description:
        problem = bad("image_description", told(request, "Say in a few words what the image shows."))
        return Problems(problem.status, {**problem.errors, "image": told(request, "Please choose the image again.")})
    try:
        return [await store_image(request, upload, description)]
    except Refusal as error:
        if error.status not in (400, 413):
            raise
        return bad("image", error.detail)


@post("/posts")
async def publish(request: AnyRequest) -> Response[bytes]:
    """Publish a post; where it is refused the page comes again with everything typed."""
    form = await posted(request)
    if (first := await guidelines_first(request, form, COMPOSE_FIELDS)) is not None:
        return first
    try:
        made = await (_command(request, form) if commanding.is_command(form) else _publish(request, form))
    except RpcError as error:
        # The field for people shows only where people are named.
        made = problems(error, {**SERVICE_FIELDS, "audience": "people" if form.text("audience", 20) == "people" else ""})
    if isinstance(made, Response):
        return made
    if isinstance(made, Problems):
        around = await shell(request)
        quoted = await _quoted(request, form.text("quoted_id", 36))
        view = compose_view(request, around, form=made.form(form.kept(*COMPOSE_FIELDS)), quoted=quoted)
        return render(request, ComposePage(shell=around, compose=view), made.status)
    if wants_fragment(request):
        shown = (await post_views(request, [made]))[0]
        return render(request, PostFragment(shell=fragment_shell(request), post=shown))
    back = return_path(request, form)
    return go(request, f"/posts/{made.post_id}" if back.startswith("/compose") else back, told(request, "Posted."))


async def _command(request: AnyRequest, form: Posted) -> feed.Post | Problems | Response[bytes]:
    """Ask a bot instead: what it posts is the post, what it says to the asker alone is an answer of its own."""
    audience = await read_audience(request, form)
    if isinstance(audience, Problems):
        return audience
    answer = await commanding.ask(request, form, audience=audience)
    return answer.post if answer.HasField("post") else await commanding.answered(request, form, answer)


async def _publish(request: AnyRequest, form: Posted) -> feed.Post | Problems:
    wanted = await read_post(request, form)
    if isinstance(wanted, Problems):
        return wanted
    return await publish_draft(request, form, wanted) or await clients(request).feed.PublishPost(wanted)


async def read_post(request: AnyRequest, form: Posted) -> feed.PublishPostRequest | Problems:
    """The post that the form asks for."""
    audience = await read_audience(request, form)
    if isinstance(audience, Problems):
        return audience
    attachments = await _read_image(request, form)
    if isinstance(attachments, Problems):
        return attachments
    return feed.PublishPostRequest(
        body=form.raw("body"), language=form.text("language", 60), audience=audience, attachments=attachments,
        request_id=form.text("request_id", 100), poll=read_poll(request, form), warning=form.text("warning", 200),
        sensitive=bool(form.text("sensitive")), quoted_id=form.text("quoted_id", 36),
        kind=events_pb2.POST_KIND_QUESTION if form.text("question") else events_pb2.POST_KIND_UNSPECIFIED,
    )


@post("/posts/{post_id:str}/replies")
async def reply(request: AnyRequest) -> Response[bytes]:
    """Answer a post."""
    form = await posted(request)
    parent = path_id(request, "post_id")
    asked_for = feed.PublishPostRequest(
        body=form.raw("body"), language=form.text("language", 60), parent_id=parent, request_id=form.text("request_id", 100)
    )
    try:
        if commanding.is_command(form):
            answer = await commanding.ask(request, form, parent_id=parent)
            if not answer.HasField("post"):
                return await commanding.answered(request, form, answer, f"/posts/{parent}")
            made = answer.post
        else:
            made = await clients(request).feed.PublishPost(asked_for)
    except RpcError as error:
        found = problems(error, {**SERVICE_FIELDS, "parent_id": ""})
        if found.code == "not_found":
            raise Refusal(404, found.message) from error
        return await _thread_page(request, parent, form=found.form(form.kept("body", "language")), status=found.status, reply_to_id=parent)
    if wants_fragment(request):
        return render(request, ReplyFragment(shell=fragment_shell(request), post=(await post_views(request, [made]))[0]))
    return go(request, f"/posts/{made.root_id}#post-{made.post_id}", told(request, "Posted."))


# --- threads ----------------------------------------------------------------------------------------------------------


@get("/posts/{post_id:str}")
async def show_thread(request: AnyRequest) -> Response[bytes]:
    """A post with its replies. A reply leads to its thread; htmx may ask for the post alone (`part=post`) or for further replies."""
    post_id = path_id(request, "post_id")
    if wants_fragment(request) and query(request, "part") == "post":
        return await answer_with_post(request, await clients(request).feed.GetPost(feed.GetPostRequest(post_id=post_id)))
    return await _thread_page(request, post_id, reply_to_id=query(request, "reply", 36))


async def _thread_page(
    request: AnyRequest, post_id: str, *, form: Form | None = None, status: int = 200, reply_to_id: str = ""
) -> Response[bytes]:
    token = query(request, "page", TOKEN_CHARACTERS)
    around = await shell(request, live=True)
    asked_for = feed.GetThreadRequest(post_id=post_id, page_size=REPLIES_A_PAGE, page_token=token)
    found = await clients(request).feed.GetThread(asked_for)
    if found.root.post_id != post_id and status == 200 and not token:
        return go(request, f"/posts/{found.root.post_id}?reply={post_id}#post-{post_id}")
    people = await named_people(request, [found.root])
    replies = convert.tree(found.root, found.replies, people)
    following = address(f"/posts/{found.root.post_id}", page=found.next_page_token) if found.next_page_token else ""
    if is_continuation(request):
        return render(request, RepliesFragment(shell=fragment_shell(request), posts=replies, next_url=following))
    root = (await with_strips(request, [found.root], [convert.post(found.root, people=people, replies=replies)]))[0]
    if root.announcement is not None and not root.announcement.is_own:
        await note_opened(request, root.id, root.announcement.version)
    from . import asking  # which itself shows posts

    root, question = await asking.of_thread(request, found.root, root)
    answered = next((convert.post(each) for each in found.replies if each.post_id == reply_to_id and not each.deleted), root)
    compose = compose_view(request, around, form=form, action=f"/posts/{answered.id}/replies", reply_to=answered)
    everybody = {each.author.person_id: convert.author(each.author) for each in [found.root, *found.replies] if not each.deleted}
    participants = [each for each in everybody.values() if not each.is_erased]
    view = ThreadPage(shell=around, root=root, compose=compose, next_url=following, participants=participants[:12], question=question)
    return render(request, view, status)


async def answer_with_post(request: AnyRequest, found: feed.Post) -> Response[bytes]:
    """One post as it stands on the page that asks."""
    if found.HasField("reposted"):
        found = found.reposted
    shown = (await post_views(request, [found]))[0]
    in_thread = is_on(request, "/posts/")
    if in_thread and shown.root_id:
        from . import asking  # which itself shows posts

        shown = await asking.markable(request, shown)
    view = PostFragment(
        shell=fragment_shell(request), post=shown, in_thread=in_thread and bool(shown.root_id), is_root=in_thread and not shown.root_id
    )
    return render(request, view)


async def done(request: AnyRequest, form: Posted, found: feed.Post, notice: str = "") -> Response[bytes]:
    """The answer to what was done with a post: the post itself, or back to where it stands."""
    if wants_fragment(request):
        return await answer_with_post(request, found)
    root = found.root_id or found.post_id
    return go(request, return_path(request, form, f"/posts/{root}").partition("#")[0] + f"#post-{found.post_id}", notice)


@post("/posts/{post_id:str}/reactions")
async def react(request: AnyRequest) -> Response[bytes]:
    """React with an emoji, or take it back where one has."""
    form = await posted(request)
    post_id, emoji = path_id(request, "post_id"), form.text("emoji", 60)
    services = clients(request)
    now = await services.feed.GetPost(feed.GetPostRequest(post_id=post_id))
    if any(each.emoji == emoji and each.mine for each in now.reactions):
        found = await services.feed.RemoveReaction(feed.RemoveReactionRequest(post_id=post_id, emoji=emoji))
    else:
        found = await services.feed.AddReaction(feed.AddReactionRequest(post_id=post_id, emoji=emoji))
    return await done(request, form, found)


@get("/posts/{post_id:str}/reactions")
async def reactions(request: AnyRequest) -> Response[bytes]:
    """Who reacted to a post, with any emoji or with one."""
    post_id, emoji = path_id(request, "post_id"), query(request, "emoji", 60)
    wanted = feed.ListReactionsRequest(
        post_id=post_id, emoji=emoji, page_size=REACTIONS_A_PAGE, page_token=query(request, "page", TOKEN_CHARACTERS)
    )
    around, found, listed = await asyncio.gather(shell(request), _one(request, post_id), clients(request).feed.ListReactions(wanted))
    if found.deleted or found.erased:
        raise Refusal(404, "")
    rows = [
        ReactionRow(person=convert.author(each.person), emoji=each.emoji, time=convert.moment(each.react_time))
        for each in listed.reactions
    ]
    path = f"/posts/{post_id}/reactions"
    following = address(path, emoji=emoji, page=listed.next_page_token) if listed.next_page_token else ""
    return render(request, ReactionsPage(shell=around, post=convert.post(found), emoji=emoji, reactions=rows, next_url=following))


@post("/posts/{post_id:str}/save")
async def save(request: AnyRequest) -> Response[bytes]:
    """Save for later, or no longer."""
    form = await posted(request)
    post_id = path_id(request, "post_id")
    if form.text("save") == "0":
        found = await clients(request).feed.UnsavePost(feed.UnsavePostRequest(post_id=post_id))
        return await done(request, form, found, told(request, "No longer saved."))
    found = await clients(request).feed.SavePost(feed.SavePostRequest(post_id=post_id))
    return await done(request, form, found, told(request, "Saved. It waits for you under Saved."))


@post("/posts/{post_id:str}/read")
async def confirm_read(request: AnyRequest) -> Response[bytes]:
    """Say that one has read it."""
    form = await posted(request)
    found = await clients(request).feed.ConfirmRead(feed.ConfirmReadRequest(post_id=path_id(request, "post_id")))
    return await done(request, form, found)


# --- edit, history, delete --------------------------------------------------------------------------------------------


async def _one(request: AnyRequest, post_id: str) -> feed.Post:
    return await clients(request).feed.GetPost(feed.GetPostRequest(post_id=post_id))


async def _edit_page(
    request: AnyRequest, found: feed.Post, form: Form, *, conflict: Conflict | None = None, status: int = 200
) -> Response[bytes]:
    chosen = form.value("language") or found.language
    offered = [Option(value=each.value, label=each.label, is_chosen=each.value == chosen) for each in languages(request)]
    if chosen and all(each.value != chosen for each in offered):
        offered.insert(0, Option(value=chosen, label=language_name(chosen), is_chosen=True))
    view = PostEditPage(
        shell=await shell(request), post=convert.post(found), form=form, languages=offered,
        body_max=gateway(request).context.settings.post_characters_max, conflict=conflict,
    )
    return render(request, view, status)


@get("/posts/{post_id:str}/edit")
async def show_edit(request: AnyRequest) -> Response[bytes]:
    """The text to be changed."""
    found = await _one(request, path_id(request, "post_id"))
    if not found.can_edit:
        raise Refusal(403, told(request, "Only the author changes a post."))
    form = Form(values={
        "body": found.body, "language": found.language, "version": found.etag, "warning": found.warning,
        "sensitive": "1" if found.sensitive else "",
    })
    return await _edit_page(request, found, form)


@post("/posts/{post_id:str}/edit")
async def edit(request: AnyRequest) -> Response[bytes]:
    """Save the changed text; where another change came first both texts are shown."""
    form = await posted(request)
    post_id = path_id(request, "post_id")
    before = await _one(request, post_id)
    change = feed.EditPostRequest(
        post_id=post_id, body=form.raw("body"), language=form.text("language", 60), attachments=before.attachments,
        etag=form.text("version", 40), warning=form.text("warning", 200), sensitive=bool(form.text("sensitive")),
    )
    try:
        found = await clients(request).feed.EditPost(change)
    except RpcError as error:
        problem = problems(error, SERVICE_FIELDS)
        typed = form.kept("body", "language", "version", "warning", "sensitive")
        if problem.code == "edit_conflict":
            now = await _one(request, post_id)
            conflict = Conflict(
                body=now.body, editor=convert.author(now.author), version=now.etag,
                edit_time=convert.moment(now.edit_time if now.HasField("edit_time") else now.publish_time),
            )
            return await _edit_page(request, now, Form(values=typed), conflict=conflict, status=409)
        return await _edit_page(request, before, problem.form(typed), status=problem.status)
    root = found.root_id or found.post_id
    return go(request, f"/posts/{root}#post-{found.post_id}", told(request, "Saved."))


@get("/posts/{post_id:str}/history")
async def history(request: AnyRequest) -> Response[bytes]:
    """Every version of a post."""
    post_id = path_id(request, "post_id")
    around, found, listed = await asyncio.gather(
        shell(request), _one(request, post_id), clients(request).feed.ListRevisions(feed.ListRevisionsRequest(post_id=post_id))
    )
    revisions = list(listed.revisions)
    versions = [
        PostVersion(
            number=each.number, time=convert.moment(each.revise_time), body_html=convert.rendered(each.body),
            body_diff_html=difference(revisions[at + 1].body, each.body) if at + 1 < len(revisions) else "",
        )
        for at, each in enumerate(revisions)
    ]
    return render(request, PostHistoryPage(shell=around, post=convert.post(found), versions=versions))


def difference(before: str, after: str) -> str:
    """What changed between two texts, word by word, as HTML; empty for texts too long to compare well."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if len(old) + len(new) > DIFF_WORDS:
        return ""
    parts: list[Markup] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = escape("".join(old[a:b])), escape("".join(new[c:d]))
        if kind == "equal":
            parts.append(gone)
            continue
        if gone.strip():
            parts.append(Markup("<del>{}</del>").format(gone))
        if come:
            parts.append(Markup("<ins>{}</ins>").format(come) if come.strip() else come)
    return str(Markup("<p>{}</p>").format(Markup("").join(parts)).replace("\n", Markup("<br>")))


@get("/posts/{post_id:str}/delete")
async def show_delete(request: AnyRequest) -> Response[bytes]:
    """Ask before deleting."""
    around, found = await asyncio.gather(shell(request), _one(request, path_id(request, "post_id")))
    if not found.can_delete:
        raise Refusal(403, told(request, "Only the author, a moderator of its community or an administrator deletes a post."))
    return render(request, PostDeletePage(shell=around, post=convert.post(found)))


@post("/posts/{post_id:str}/delete")
async def delete(request: AnyRequest) -> Response[bytes]:
    """Delete for good."""
    found = await clients(request).feed.DeletePost(feed.DeletePostRequest(post_id=path_id(request, "post_id")))
    if wants_fragment(request):
        return nothing(request)
    root = found.root_id if found.root_id and found.root_id != found.post_id else ""
    return go(request, f"/posts/{root}" if root else "/", told(request, "Deleted."))


@post("/tags/{tag:str}/follow")
async def follow_tag(request: AnyRequest) -> Response[bytes]:
    """Follow a tag, or no longer."""
    form = await posted(request)
    name = str(request.path_params["tag"])[:100]
    services = clients(request)
    if form.text("follow") == "0":
        found = await services.feed.UnfollowTag(feed.UnfollowTagRequest(tag=name))
    else:
        found = await services.feed.FollowTag(feed.FollowTagRequest(tag=name))
    if wants_fragment(request):
        view = FollowFragment(
            shell=fragment_shell(request), url=f"/tags/{found.tag}/follow", name=f"#{found.tag}", is_following=found.following,
            is_small=not is_on(request, "/tags/"),
        )
        return render(request, view)
    return go(request, http.return_to(form.text("return_to"), f"/tags/{found.tag}"))
