"""How one shapes what one reads: mutes, blocks, notes, filters and lists; groups that texts mention; custom emoji."""
from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from litestar import Response

from libs.rpc.errors import RpcError
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import reading_events_pb2 as events
from watercooler.feed.v1 import reading_service_pb2 as reading
from watercooler.feed.v1.policy_service_pb2 import GetPolicyRequest
from watercooler.identity.v1 import identity_service_pb2 as identity

from .. import files
from ..http import AnyRequest, clients, current_person, gateway
from ..problems import Refusal
from ..rendering import address
from ..views import Form, Option, PersonRef
from ..views_reading import (
    AdminEmojiPage,
    BondPage,
    BondView,
    EmojiView,
    FilterView,
    GroupPage,
    ListPage,
    ListsPage,
    ListView,
    SettingsFiltersPage,
    SettingsReadingPage,
)
from . import convert
from .common import (
    TOKEN_CHARACTERS,
    Posted,
    Problems,
    bad,
    get,
    go,
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
)
from .posts import is_continuation, more, timeline
from .whom import resolve, whole

SHOWN: Final = 200
GROUP_PEOPLE: Final = 50
DAY_SECONDS: Final = 86_400
DAYS_MAX: Final = 365
KEYWORDS: Final = 50
CONTEXTS: Final = {
    "home": events.FILTER_CONTEXT_HOME, "notifications": events.FILTER_CONTEXT_NOTIFICATIONS, "public": events.FILTER_CONTEXT_PUBLIC,
    "thread": events.FILTER_CONTEXT_THREAD, "person": events.FILTER_CONTEXT_PERSON,
}


def bond_view(person: PersonRef, bond: reading.Bond) -> BondView:
    """What one keeps from a person."""
    return BondView(
        person=person, is_muted=bond.muted, is_silenced=bond.notifications_muted,
        mute_end=convert.moment(bond.mute_expire_time) if bond.HasField("mute_expire_time") else None, is_blocked=bond.blocked,
        note=bond.note,
    )


# --- a person ---------------------------------------------------------------------------------------------------------


async def _bond_page(request: AnyRequest, form: Form | None = None, status: int = 200) -> Response[bytes]:
    person_id, me, services = path_id(request, "person_id"), current_person(request), clients(request)
    if person_id == me.person_id:
        raise Refusal(404, "")
    around, person, bonds, lists, on, allowed = await asyncio.gather(
        shell(request), services.identity.GetPerson(identity.GetPersonRequest(person_id=person_id)),
        services.reading.BatchGetBonds(reading.BatchGetBondsRequest(person_ids=[person_id])),
        services.reading.ListLists(reading.ListListsRequest()), services.reading.ListLists(reading.ListListsRequest(person_id=person_id)),
        _may_block(request),
    )
    if person.state == identity.PERSON_STATE_ERASED or not bonds.bonds:
        raise Refusal(404, "")
    held = {each.list_id for each in on.lists}
    page = BondPage(
        shell=around, bond=bond_view(convert.person(person), bonds.bonds[0]), may_block=allowed, form=form or Form(),
        lists=[Option(value=each.list_id, label=each.title, is_chosen=each.list_id in held) for each in lists.lists],
    )
    return render(request, page, status)


async def _may_block(request: AnyRequest) -> bool:
    """Whether the organisation lets people block each other."""
    return (await clients(request).policy.GetPolicy(GetPolicyRequest())).blocking_allowed


@get("/people/{person_id:str}/reading")
async def show_bond(request: AnyRequest) -> Response[bytes]:
    """Mute, block, note and lists for one person, with what each means."""
    return await _bond_page(request)


@post("/people/{person_id:str}/reading")
async def change_bond(request: AnyRequest) -> Response[bytes]:
    """Change one of them."""
    form = await posted(request)
    person_id = path_id(request, "person_id")
    try:
        said = await _change_bond(request, person_id, form)
    except RpcError as error:
        problem = problems(error, {"note": "note"})
        return await _bond_page(request, problem.form(form.kept("note")), problem.status)
    return go(request, return_path(request, form, f"/people/{person_id}/reading"), said)


async def _change_bond(request: AnyRequest, person_id: str, form: Posted) -> str:
    service, request_id = clients(request).reading, form.text("request_id", 100)
    match form.text("action", 20):
        case "mute":
            days = int(form.text("days", 3)) if form.text("days", 3).isdigit() else 0
            await service.MutePerson(reading.MutePersonRequest(
                person_id=person_id, notifications=bool(form.text("notifications")), request_id=request_id,
                duration_seconds=min(days, DAYS_MAX) * DAY_SECONDS,
            ))
            return told(request, "Muted. They learn nothing of it.")
        case "unmute":
            await service.UnmutePerson(reading.UnmutePersonRequest(person_id=person_id))
            return told(request, "No longer muted.")
        case "block":
            await service.BlockPerson(reading.BlockPersonRequest(person_id=person_id))
            return told(request, "Blocked. They are not told.")
        case "unblock":
            await service.UnblockPerson(reading.UnblockPersonRequest(person_id=person_id))
            return told(request, "No longer blocked.")
        case "note":
            await service.SetNote(reading.SetNoteRequest(person_id=person_id, note=form.text("note")))
            return told(request, "Saved.")
        case "lists":
            await _put_on_lists(request, person_id, set(form.texts("lists")))
            return told(request, "Saved.")
        case _:
            raise Refusal(400, "")


async def _put_on_lists(request: AnyRequest, person_id: str, wanted: set[str]) -> None:
    service = clients(request).reading
    held = {each.list_id for each in (await service.ListLists(reading.ListListsRequest(person_id=person_id))).lists}
    for list_id in sorted(wanted - held):
        await service.AddListPeople(reading.AddListPeopleRequest(list_id=list_id, person_ids=[person_id]))
    for list_id in sorted(held - wanted):
        await service.RemoveListPeople(reading.RemoveListPeopleRequest(list_id=list_id, person_ids=[person_id]))


# --- settings: people -------------------------------------------------------------------------------------------------


@get("/settings/reading")
async def show_reading(request: AnyRequest) -> Response[bytes]:
    """Whom one mutes and blocks."""
    service = clients(request).reading
    around, muted, blocked, allowed = await asyncio.gather(
        shell(request), service.ListMutedPeople(reading.ListMutedPeopleRequest(page_size=SHOWN)),
        service.ListBlockedPeople(reading.ListBlockedPeopleRequest(page_size=SHOWN)), _may_block(request),
    )
    ids = list(dict.fromkeys(each.person_id for each in [*muted.people, *blocked.people]))[:SHOWN]
    found = await service.BatchGetBonds(reading.BatchGetBondsRequest(person_ids=ids)) if ids else reading.BatchGetBondsResponse()
    bonds = {each.person_id: each for each in found.bonds}

    def views(people: Sequence[feed.Author]) -> list[BondView]:
        return [bond_view(convert.author(each), bonds.get(each.person_id, reading.Bond())) for each in people]

    view = SettingsReadingPage(
        shell=around, muted=views(muted.people), blocked=views(blocked.people), may_block=allowed,
        is_cut=bool(muted.next_page_token or blocked.next_page_token),
    )
    return render(request, view)


# --- settings: filters ------------------------------------------------------------------------------------------------


def _contexts(request: AnyRequest, chosen: Sequence[str]) -> list[Option]:
    say = translated(request)
    labels = {
        "home": say("Home and lists"), "notifications": say("Notifications"), "public": say("Company, communities and tags"),
        "thread": say("Conversations"), "person": say("People’s pages"),
    }
    return [Option(value=name, label=label, is_chosen=name in chosen) for name, label in labels.items()]


def _filter_view(found: reading.Filter) -> FilterView:
    names = {number: name for name, number in CONTEXTS.items()}
    end = convert.moment(found.expire_time) if found.HasField("expire_time") else None
    return FilterView(
        id=found.filter_id, title=found.title, keywords=[each.text for each in found.keywords],
        contexts=[names[each] for each in found.contexts if each in names], hides=found.action == events.FILTER_ACTION_HIDE, end=end,
        has_ended=end is not None and end <= datetime.now(UTC),
    )


async def _filters_page(request: AnyRequest, form: Form | None = None, status: int = 200, edited: str = "") -> Response[bytes]:
    around, listed = await asyncio.gather(shell(request), clients(request).reading.ListFilters(reading.ListFiltersRequest()))
    found = next((each for each in listed.filters if each.filter_id == edited), None)
    if edited and found is None:
        raise Refusal(404, "")
    chosen = ["home", "public"]
    values: dict[str, str] = {}
    if found is not None:
        view = _filter_view(found)
        chosen = view.contexts
        whole = all(each.whole_word for each in found.keywords)
        values = {
            "title": view.title, "keywords": "\n".join(view.keywords), "whole": "1" if whole else "",
            "action": "hide" if view.hides else "warn", "days": "keep" if view.end else "",
        }
    if form is not None:
        chosen = form.value("contexts").split()
    page = SettingsFiltersPage(
        shell=around, filters=[_filter_view(each) for each in listed.filters], edited=_filter_view(found) if found else None,
        contexts=_contexts(request, chosen), form=form or Form(values=values),
    )
    return render(request, page, status)


@get("/settings/filters")
async def show_filters(request: AnyRequest) -> Response[bytes]:
    """One's filters, and a form for another."""
    return await _filters_page(request)


@get("/settings/filters/{filter_id:str}")
async def edit_filter(request: AnyRequest) -> Response[bytes]:
    """One filter to change."""
    return await _filters_page(request, edited=path_id(request, "filter_id"))


@post("/settings/filters", "/settings/filters/{filter_id:str}")
async def save_filter(request: AnyRequest) -> Response[bytes]:
    """Make or change a filter, or delete it."""
    form = await posted(request)
    filter_id = path_id(request, "filter_id") if "filter_id" in request.path_params else ""
    service = clients(request).reading
    if filter_id and form.text("delete"):
        await service.DeleteFilter(reading.DeleteFilterRequest(filter_id=filter_id))
        return go(request, "/settings/filters", told(request, "Deleted."))
    contexts = [each for each in form.texts("contexts") if each in CONTEXTS]
    words = list(dict.fromkeys(line.strip() for line in form.raw("keywords").split("\n") if line.strip()))
    wanted = reading.Filter(
        filter_id=filter_id, title=form.text("title") or (words[0][:200] if words else ""), contexts=[CONTEXTS[each] for each in contexts],
        keywords=[events.FilterKeyword(text=word, whole_word=bool(form.text("whole"))) for word in words[: KEYWORDS + 1]],
        action=events.FILTER_ACTION_HIDE if form.text("action") == "hide" else events.FILTER_ACTION_WARN,
    )
    days = form.text("days", 4)
    if days == "keep" and filter_id:
        held = await service.GetFilter(reading.GetFilterRequest(filter_id=filter_id))
        if held.HasField("expire_time"):
            wanted.expire_time.CopyFrom(held.expire_time)
    elif days.isdigit() and int(days):
        wanted.expire_time.FromDatetime(datetime.now(UTC) + timedelta(days=min(int(days), DAYS_MAX)))
    kept = {**form.kept("title", "keywords", "whole", "action", "days"), "contexts": " ".join(contexts)}
    problem: Problems | None = None
    if not words:
        problem = bad("keywords", told(request, "Give at least one word."))
    else:
        try:
            await service.SaveFilter(reading.SaveFilterRequest(filter=wanted, request_id=form.text("request_id", 100)))
        except RpcError as error:
            problem = problems(error, {name: name for name in ("title", "keywords", "contexts", "action")})
    if problem is not None:
        return await _filters_page(request, problem.form(kept), problem.status, filter_id)
    return go(request, "/settings/filters", told(request, "Saved."))


# --- lists ------------------------------------------------------------------------------------------------------------


def _list_view(found: reading.PeopleList) -> ListView:
    return ListView(id=found.list_id, title=found.title, is_exclusive=found.exclusive, person_count=found.person_count)


async def _lists_page(request: AnyRequest, form: Form | None = None, status: int = 200) -> Response[bytes]:
    around, found = await asyncio.gather(shell(request), clients(request).reading.ListLists(reading.ListListsRequest()))
    return render(request, ListsPage(shell=around, lists=[_list_view(each) for each in found.lists], form=form or Form()), status)


@get("/lists")
async def show_lists(request: AnyRequest) -> Response[bytes]:
    """One's lists, and a form for another."""
    return await _lists_page(request)


@post("/lists")
async def make_list(request: AnyRequest) -> Response[bytes]:
    """Begin a list."""
    form = await posted(request)
    try:
        made = await clients(request).reading.CreateList(reading.CreateListRequest(
            title=form.text("title"), exclusive=bool(form.text("exclusive")), request_id=form.text("request_id", 100)
        ))
    except RpcError as error:
        problem = problems(error, {"title": "title"})
        return await _lists_page(request, problem.form(form.kept("title", "exclusive")), problem.status)
    return go(request, f"/lists/{made.list_id}")


async def _list_page(request: AnyRequest, form: Form | None = None, status: int = 200) -> Response[bytes]:
    list_id = path_id(request, "list_id")
    path, service = f"/lists/{list_id}", clients(request).reading
    around, found, page, people = await asyncio.gather(
        shell(request), service.GetList(reading.GetListRequest(list_id=list_id)), timeline(request, feed.TIMELINE_KIND_LIST, list_id, path),
        service.ListListPeople(reading.ListListPeopleRequest(list_id=list_id, page_size=SHOWN)),
    )
    view = ListPage(
        shell=around, shown=_list_view(found), page=page, people=[convert.author(each) for each in people.people],
        form=form or Form(values={"title": found.title, "exclusive": "1" if found.exclusive else ""}),
    )
    return render(request, view, status)


@get("/lists/{list_id:str}")
async def show_list(request: AnyRequest) -> Response[bytes]:
    """What the people on a list write, and who they are."""
    if is_continuation(request):
        list_id = path_id(request, "list_id")
        return more(request, await timeline(request, feed.TIMELINE_KIND_LIST, list_id, f"/lists/{list_id}"))
    return await _list_page(request)


@post("/lists/{list_id:str}")
async def change_list(request: AnyRequest) -> Response[bytes]:
    """Change a list or who is on it, or delete it."""
    form = await posted(request)
    list_id = path_id(request, "list_id")
    try:
        problem = await _change_list(request, list_id, form)
    except RpcError as error:
        problem = problems(error, {"title": "title", "person_ids": "add"})
    if problem is not None:
        return await _list_page(request, problem.form(form.kept("title", "exclusive", "add")), problem.status)
    if form.text("action", 20) == "delete":
        return go(request, "/lists", told(request, "Deleted."))
    return go(request, f"/lists/{list_id}", told(request, "Saved."))


async def _change_list(request: AnyRequest, list_id: str, form: Posted) -> Problems | None:
    service, say = clients(request).reading, translated(request)
    match form.text("action", 20):
        case "add":
            ids, unknown = await resolve(request, form.text("add", 2_000))
            if unknown or not ids:
                return bad("add", say("Nobody is found by this name: %s. Write @ and choose from the list.") % (unknown or "–"))
            await service.AddListPeople(reading.AddListPeopleRequest(list_id=list_id, person_ids=ids))
        case "remove":
            await service.RemoveListPeople(reading.RemoveListPeopleRequest(list_id=list_id, person_ids=[form.text("person_id", 40)]))
        case "delete":
            await service.DeleteList(reading.DeleteListRequest(list_id=list_id))
        case _:
            await service.UpdateList(
                reading.UpdateListRequest(list_id=list_id, title=form.text("title"), exclusive=bool(form.text("exclusive")))
            )
    return None


# --- groups -----------------------------------------------------------------------------------------------------------


@get("/groups/{group_id:str}")
async def show_group(request: AnyRequest) -> Response[bytes]:
    """A group of the directory, to which mentions lead."""
    group_id, services = path_id(request, "group_id"), clients(request)
    if current_person(request).is_guest:
        raise Refusal(404, "")
    members = identity.ListGroupMembersRequest(
        group_id=group_id, page_size=GROUP_PEOPLE, page_token=query(request, "page", TOKEN_CHARACTERS)
    )
    around, group, found = await asyncio.gather(
        shell(request), services.identity.GetGroup(identity.GetGroupRequest(group_id=group_id)),
        services.identity.ListGroupMembers(members),
    )
    people = {each.person_id: each for each in await whole(request, list(found.person_ids))}
    view = GroupPage(
        shell=around, name=group.name, description=group.description,
        people=[convert.person(people[each]) for each in found.person_ids if each in people],
        next_url=address(f"/groups/{group_id}", page=found.next_page_token) if found.next_page_token else "",
    )
    return render(request, view)


# --- emoji ------------------------------------------------------------------------------------------------------------


async def _emoji_page(request: AnyRequest, form: Form | None = None, status: int = 200) -> Response[bytes]:
    _keeper(request)
    around, found = await asyncio.gather(shell(request), clients(request).reading.ListEmoji(reading.ListEmojiRequest()))
    shown = [
        EmojiView(shortcode=each.shortcode, image_url=convert.picture(each.blob_id), category=each.category) for each in found.emojis
    ]
    return render(request, AdminEmojiPage(shell=around, emoji=shown, form=form or Form()), status)


def _keeper(request: AnyRequest) -> None:
    me = current_person(request)
    if not (me.is_administrator or "communications" in me.roles):
        raise Refusal(403, told(request, "Custom emoji are kept by administrators and communications."))


@get("/admin/emoji")
async def show_emoji(request: AnyRequest) -> Response[bytes]:
    """The organisation's own emoji."""
    return await _emoji_page(request)


@post("/admin/emoji")
async def change_emoji(request: AnyRequest) -> Response[bytes]:
    """Add or remove one."""
    _keeper(request)
    form = await posted(request)
    service = clients(request).reading
    try:
        if form.text("remove"):
            await service.RemoveEmoji(reading.RemoveEmojiRequest(shortcode=form.text("remove", 60)))
            return go(request, "/admin/emoji", told(request, "Removed."))
        upload = form.file("image")
        problem = bad("image", told(request, "Choose a picture.")) if upload is None else None
        if upload is not None:
            content = await upload.read(gateway(request).context.settings.image_bytes_max + 1)
            ref, _, _ = await files.store_image(request, content)
            await service.AddEmoji(
                reading.AddEmojiRequest(shortcode=form.text("shortcode", 60), blob_id=ref.id, category=form.text("category", 100))
            )
    except Refusal as error:
        if error.status not in (400, 413):
            raise
        problem = bad("image", error.detail)
    except RpcError as error:
        problem = problems(error, {"shortcode": "shortcode", "category": "category", "blob_id": "image"})
    if problem is not None:
        return await _emoji_page(request, problem.form(form.kept("shortcode", "category")), problem.status)
    return go(request, "/admin/emoji", told(request, "Added."))
