"""Announcements: the list, writing one, one with its reach, correcting it, and who has read it."""
from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from litestar import Response

from libs.rpc.errors import RpcError
from libs.text.ids import is_id, new_id
from watercooler.common.v1.audience_pb2 import Audience, Everyone
from watercooler.feed.v1 import announcement_events_pb2 as events
from watercooler.feed.v1 import announcement_service_pb2 as api
from watercooler.feed.v1 import events_pb2 as feed_events
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.identity.v1 import identity_service_pb2 as identity

from ..http import AnyRequest, as_gateway, clients, current_person
from ..neighbours import spared
from ..problems import Refusal
from ..rendering import address
from ..views import CommunityRef, Form, Option
from ..views_announcements import (
    AnnouncementEditPage,
    AnnouncementNewPage,
    AnnouncementPage,
    AnnouncementPeoplePage,
    AnnouncementsPage,
    ReachBar,
    ReachRow,
    ReachView,
    VersionView,
)
from . import convert
from .announced import note_opened, view
from .common import (
    TOKEN_CHARACTERS,
    Posted,
    Problems,
    bad,
    get,
    go,
    nothing,
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
from .posts import languages
from .whom import find

A_PAGE: Final = 20
PEOPLE_A_PAGE: Final = 100
GROUPS: Final = 200
REMINDERS: Final = 3
FIELDS: Final = (
    "title", "body", "language", "audience", "community", "group", "head", "must_confirm", "deadline", "remind_3d", "remind_1d",
    "remind_2h", "request_id",
)
EDIT_FIELDS: Final = ("title", "body", "language", "kind", "what_was_wrong", "version")
REMIND: Final = {"remind_3d": timedelta(days=3), "remind_1d": timedelta(days=1), "remind_2h": timedelta(hours=2)}
ANNOUNCING: Final = frozenset({"communications", "leader", "administrator"})
_FILTERS: Final = {
    "all": api.ANNOUNCEMENT_FILTER_UNSPECIFIED, "pending": api.ANNOUNCEMENT_FILTER_PENDING, "mine": api.ANNOUNCEMENT_FILTER_MINE,
}
_REACH_FACTS: Final = {
    "any": api.REACH_FACT_UNSPECIFIED, "shown": api.REACH_FACT_SHOWN, "opened": api.REACH_FACT_OPENED,
    "confirmed": api.REACH_FACT_CONFIRMED,
}


@get("/announcements")
async def announcements(request: AnyRequest) -> Response[bytes]:
    """What was announced to the reader, what waits for them, or what they announced themselves."""
    me = current_person(request)
    chosen = query(request, "tab", 10)
    tab = chosen if chosen in _FILTERS else "all"
    wanted = api.ListAnnouncementsRequest(filter=_FILTERS[tab], page_size=A_PAGE, page_token=query(request, "page", TOKEN_CHARACTERS))
    around, found, mine = await asyncio.gather(
        shell(request), clients(request).announcements.ListAnnouncements(wanted), _moderated(request)
    )
    following = address("/announcements", tab=tab, page=found.next_page_token) if found.next_page_token else ""
    page = AnnouncementsPage(
        shell=around, tab=tab, announcements=[view(each, me.person_id) for each in found.announcements], next_url=following,  # type: ignore[arg-type]
        can_announce=_is_company_wide(request) or bool(mine),
    )
    return render(request, page)


def _is_company_wide(request: AnyRequest) -> bool:
    me = current_person(request)
    return bool(ANNOUNCING & me.roles) and not me.is_guest


async def _moderated(request: AnyRequest) -> list[CommunityRef]:
    """The communities that the reader runs."""
    wanted = feed.ListCommunitiesRequest(member_id=current_person(request).person_id, page_size=100)
    found = await clients(request).feed.ListCommunities(wanted)
    return [convert.community_ref(each) for each in found.communities if each.my_role >= feed_events.MEMBER_ROLE_MODERATOR]


# --- writing one ------------------------------------------------------------------------------------------------------


async def _new_page(
    request: AnyRequest, form: Form, *, preview: api.PreviewAudienceResponse | None = None, status: int = 200
) -> Response[bytes]:
    wide = _is_company_wide(request)
    around, communities, groups = await asyncio.gather(shell(request), _moderated(request), _groups(request) if wide else _nothing())
    if not (wide or communities):
        raise Refusal(
            403, told(request, "Only communications, leaders and administrators announce; and who runs a community, to its members.")
        )
    page = AnnouncementNewPage(
        shell=around, form=form, is_company_wide=wide, communities=communities, groups=groups, languages=languages(request),
        request_id=form.value("request_id") or new_id(), preview_count=preview.audience_count if preview is not None else -1,
        preview_name=preview.audience_name if preview is not None else "",
        preview_html=convert.rendered(form.value("body")) if preview is not None else "",
    )
    return render(request, page, status)


async def _groups(request: AnyRequest) -> list[Option]:
    wanted = identity.ListGroupsRequest(page_size=GROUPS)
    found = await spared(request, "identity", lambda: clients(request).identity.ListGroups(wanted))
    return [Option(value=each.group_id, label=each.name) for each in found.groups] if found is not None else []


async def _nothing() -> list[Option]:
    return []


@get("/announcements/new")
async def show_new(request: AnyRequest) -> Response[bytes]:
    """The form."""
    return await _new_page(request, Form(values={"audience": query(request, "audience", 20)}))


@post("/announcements/new")
async def publish(request: AnyRequest) -> Response[bytes]:
    """Show how many it reaches, or publish it."""
    form = await posted(request)
    values = form.kept(*FIELDS)
    read = await _read(request, form)
    if isinstance(read, Problems):
        return await _new_page(request, read.form(values), status=read.status)
    try:
        if form.text("action", 20) != "publish":
            preview = await clients(request).announcements.PreviewAudience(api.PreviewAudienceRequest(audience=read.audience))
            return await _new_page(request, Form(values=values), preview=preview)
        made = await clients(request).announcements.PublishAnnouncement(read)
    except RpcError as error:
        at = {"everyone": "", "community": "community", "group": "group", "chart": "head"}.get(form.text("audience", 20), "")
        problem = problems(error, {
            "title": "title", "body": "body", "language": "language", "deadline": "deadline", "remind_times": "deadline", "audience": at,
        })
        return await _new_page(request, problem.form(values), status=problem.status)
    return go(request, f"/announcements/{made.announcement_id}", told(request, "Published. Everybody in the audience is being told."))


async def _read(request: AnyRequest, form: Posted) -> api.PublishAnnouncementRequest | Problems:
    say = translated(request)
    audience = await _audience(request, form)
    if isinstance(audience, Problems):
        return audience
    confirms = form.text("must_confirm", 10) == "1"
    wanted = api.PublishAnnouncementRequest(
        title=form.text("title"), body=form.text("body"), language=form.text("language", 40), audience=audience,
        urgency=events.ANNOUNCEMENT_URGENCY_CONFIRM if confirms else events.ANNOUNCEMENT_URGENCY_NORMAL,
        request_id=form.text("request_id", 100),
    )
    if not wanted.title:
        return bad("title", say("An announcement needs a title."))
    if not wanted.body:
        return bad("body", say("An announcement needs some text."))
    if confirms and (typed := form.text("deadline", 40)):
        deadline = _local(request, typed)
        if deadline is None:
            return bad("deadline", say("Write date and time, such as 2026-12-01T17:00."))
        wanted.deadline.FromDatetime(deadline)
        now = datetime.now(UTC)
        for name, before in REMIND.items():
            if form.text(name, 5) and deadline - before > now:
                wanted.remind_times.add().FromDatetime(deadline - before)
    return wanted


async def _audience(request: AnyRequest, form: Posted) -> Audience | Problems:
    say = translated(request)
    match form.text("audience", 20):
        case "community":
            chosen = form.text("community", 40)
            return Audience(community_id=chosen) if chosen else bad("community", say("Choose a community."))
        case "group":
            chosen = form.text("group", 40)
            return Audience(group_id=chosen) if chosen else bad("group", say("Choose a group."))
        case "chart":
            found = await find(request, form.text("head", 200)) if form.text("head", 200) else None
            if found is None:
                return bad("head", say("Nobody is found by this name. Write @ and choose from the list."))
            return Audience(chart_of_id=found)
        case _:
            return Audience(everyone=Everyone())


def _local(request: AnyRequest, typed: str) -> datetime | None:
    """A time as the browser's field gives it, in the reader's own zone."""
    try:
        zone = ZoneInfo(current_person(request).person.profile.time_zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    try:
        moment = datetime.fromisoformat(typed)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# --- one announcement -------------------------------------------------------------------------------------------------


async def _one(request: AnyRequest) -> api.Announcement:
    announcement_id = path_id(request, "announcement_id")
    return await clients(request).announcements.GetAnnouncement(api.GetAnnouncementRequest(announcement_id=announcement_id))


@get("/announcements/{announcement_id:str}")
async def show(request: AnyRequest) -> Response[bytes]:
    """The text, which is opened by this; its versions where there are several, and its reach for those entitled: six calls."""
    services, me = clients(request), current_person(request)
    around, found = await asyncio.gather(shell(request), _one(request))
    announcement_id = found.announcement_id
    if found.version > found.my_opened_version and found.author.person_id != me.person_id:
        await note_opened(request, announcement_id, found.version)
        found = await _one(request)
    versions: list[VersionView] = []
    if found.version > 1:
        listed = await services.announcements.ListAnnouncementVersions(
            api.ListAnnouncementVersionsRequest(announcement_id=announcement_id)
        )
        versions = [
            VersionView(
                number=each.version, time=convert.moment(each.version_time), editor=convert.author(each.editor),
                is_correction=each.correction, what_was_wrong=each.what_was_wrong, title=each.title, body_html=convert.rendered(each.body),
            )
            for each in listed.versions
        ]
    reach = None
    if found.can_see_reach and not found.preparing:
        counted = await services.announcements.GetReach(api.GetReachRequest(announcement_id=announcement_id))
        reach = _reach(found, counted)
    return render(request, AnnouncementPage(shell=around, announcement=view(found, me.person_id), versions=versions, reach=reach))


def _reach(found: api.Announcement, counted: api.Reach) -> ReachView:
    bars = [
        ReachBar(key="shown", count=counted.shown_count, ever_count=counted.ever_shown_count),
        ReachBar(key="opened", count=counted.opened_count, ever_count=counted.ever_opened_count),
    ]
    if found.urgency == events.ANNOUNCEMENT_URGENCY_CONFIRM or counted.ever_confirmed_count:
        bars.append(ReachBar(key="confirmed", count=counted.confirmed_count, ever_count=counted.ever_confirmed_count))
    return ReachView(
        audience_count=counted.audience_count, bars=bars, has_versions=counted.right_since > 1, wrong_count=counted.wrong_count,
        misinformed_count=counted.misinformed_count, reminder_count=counted.reminder_count,
        reminders_left=max(0, REMINDERS - counted.reminder_count) if not found.withdrawn else 0, remindable_count=counted.remindable_count,
        remind_times=[convert.moment(each) for each in found.remind_times],
    )


@post("/announcements/{announcement_id:str}/confirm")
async def confirm(request: AnyRequest) -> Response[bytes]:
    """Say that one has read it."""
    form = await posted(request)
    version = form.text("version", 6)
    wanted = api.ConfirmAnnouncementRequest(
        announcement_id=path_id(request, "announcement_id"), version=int(version) if version.isascii() and version.isdigit() else 0
    )
    await clients(request).announcements.ConfirmAnnouncement(wanted)
    return go(request, return_path(request, form), told(request, "Thank you: it is noted that you have read it."))


@post("/announcements/{announcement_id:str}/dismiss")
async def dismiss(request: AnyRequest) -> Response[bytes]:
    """Take it off one's home page."""
    form = await posted(request)
    wanted = api.DismissAnnouncementRequest(announcement_id=path_id(request, "announcement_id"))
    await clients(request).announcements.DismissAnnouncement(wanted)
    return go(request, return_path(request, form))


@post("/announcements/{announcement_id:str}/remind")
async def remind(request: AnyRequest) -> Response[bytes]:
    """Remind those who have not."""
    announcement_id = path_id(request, "announcement_id")
    form = await posted(request)
    try:
        wanted = api.RemindAudienceRequest(announcement_id=announcement_id, request_id=form.text("request_id", 100))
        await clients(request).announcements.RemindAudience(wanted)
    except RpcError as error:
        problem = problems(error)
        return go(request, f"/announcements/{announcement_id}", problem.message, kind="bad")
    return go(request, f"/announcements/{announcement_id}", told(request, "Those who have not are being reminded."))


@post("/announcements/shown")
async def shown(request: AnyRequest) -> Response[bytes]:
    """What was in view, told by the script of the page: a JSON list of id and version in the field `shown`."""
    form = await posted(request)
    try:
        seen = msgspec.json.decode(form.raw("shown", 10_000).encode(), type=list[tuple[str, int]])
    except msgspec.DecodeError as error:
        raise Refusal(400, "shown is a JSON list of id and version.", field="shown") from error
    records = [
        api.ReceiptRecord(announcement_id=announcement_id, fact=api.REACH_FACT_SHOWN, version=version)
        for announcement_id, version in seen[:100] if is_id(announcement_id) and 0 < version < 1_000
    ]
    if records:
        await clients(request).announcements.RecordReceipts(api.RecordReceiptsRequest(receipts=records))
    return nothing(request)


# --- changing it ------------------------------------------------------------------------------------------------------


async def _edit_page(request: AnyRequest, found: api.Announcement, form: Form, status: int = 200) -> Response[bytes]:
    if not found.can_edit:
        raise Refusal(403, told(request, "Only its author, communications and administrators change an announcement: ask one of them."))
    around, counted = await asyncio.gather(
        shell(request), clients(request).announcements.GetReach(api.GetReachRequest(announcement_id=found.announcement_id))
    )
    seen = max(counted.ever_shown_count, counted.ever_opened_count, counted.ever_confirmed_count)
    page = AnnouncementEditPage(
        shell=around, announcement=view(found, current_person(request).person_id), form=form, seen_count=seen
    )
    return render(request, page, status)


@get("/announcements/{announcement_id:str}/edit")
async def show_edit(request: AnyRequest) -> Response[bytes]:
    """The text, to be changed."""
    found = await _one(request)
    values = {"title": found.title, "body": found.body, "language": found.language, "version": str(found.version)}
    return await _edit_page(request, found, Form(values=values))


@post("/announcements/{announcement_id:str}/edit")
async def edit(request: AnyRequest) -> Response[bytes]:
    """Change it quietly, or correct what people read."""
    form = await posted(request)
    announcement_id = path_id(request, "announcement_id")
    typed = form.text("version", 6)
    version = int(typed) if typed.isascii() and typed.isdigit() else 0
    title, body, language = form.text("title"), form.text("body"), form.text("language", 40)
    services, say = clients(request), translated(request)
    is_correction = form.text("kind", 20) == "correction"
    try:
        if is_correction:
            await services.announcements.CorrectAnnouncement(
                api.CorrectAnnouncementRequest(
                    announcement_id=announcement_id, title=title, body=body, language=language, version=version,
                    what_was_wrong=form.text("what_was_wrong"),
                )
            )
        else:
            await services.announcements.EditAnnouncement(
                api.EditAnnouncementRequest(
                    announcement_id=announcement_id, title=title, body=body, language=language, version=version
                )
            )
    except RpcError as error:
        problem = problems(error, {"title": "title", "body": "body", "language": "language", "what_was_wrong": "what_was_wrong"})
        found = await _one(request)
        values = form.kept(*EDIT_FIELDS)
        if problem.code == "edit_conflict":
            values["version"] = str(found.version)
        return await _edit_page(request, found, problem.form(values), problem.status)
    notice = say("Corrected. Those who saw the wrong text are being told.") if is_correction else say("Saved.")
    return go(request, f"/announcements/{announcement_id}", notice)


# --- who --------------------------------------------------------------------------------------------------------------


@get("/announcements/{announcement_id:str}/people")
async def people(request: AnyRequest) -> Response[bytes]:
    """Who has and who has not; for managers their own reports."""
    chosen = query(request, "fact", 10)
    fact = chosen if chosen in _REACH_FACTS else "any"
    missing = query(request, "missing", 2) == "1" and fact != "any"
    around, found = await asyncio.gather(shell(request), _one(request))
    wanted = api.ListReachRequest(
        announcement_id=found.announcement_id, fact=_REACH_FACTS[fact], missing=missing, page_size=PEOPLE_A_PAGE,
        page_token=query(request, "page", TOKEN_CHARACTERS),
    )
    answer = await clients(request).announcements.ListReach(wanted)
    path = f"/announcements/{found.announcement_id}/people"
    chosen_fields = {"fact": fact, **({"missing": "1"} if missing else {})}
    rows = [
        ReachRow(
            person=convert.author(each.person), show_time=convert.optional_moment(each, "show_time"),
            open_time=convert.optional_moment(each, "open_time"), confirm_time=convert.optional_moment(each, "confirm_time"),
        )
        for each in answer.people
    ]
    table = address(
        f"/api/v1/broadcasts/{found.announcement_id}/reach/people.csv", fact=fact, **({"missing": "true"} if missing else {})
    )
    page = AnnouncementPeoplePage(
        shell=around, announcement=view(found, current_person(request).person_id), fact=fact, is_missing=missing, people=rows,  # type: ignore[arg-type]
        next_url=address(path, **chosen_fields, page=answer.next_page_token) if answer.next_page_token else "", csv_url=table,
    )
    return render(request, page)


# --- keys -------------------------------------------------------------------------------------------------------------


@get("/.well-known/watercooler-reach-keys.json", is_open=True)
async def proof_keys(request: AnyRequest) -> Response[bytes]:
    """The public keys of proofs of reach, as a JSON Web Key Set (RFC 7517), each in hexadecimal too."""
    with as_gateway(request):
        found = await clients(request).announcements.ListProofKeys(api.ListProofKeysRequest())
    keys = [
        {
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": each.key_id, "public_key": each.public_key,
            "x": base64.urlsafe_b64encode(bytes.fromhex(each.public_key)).decode().rstrip("="),
        }
        for each in found.keys
    ]
    return Response(
        msgspec.json.encode({"keys": keys}), media_type="application/json", headers={"cache-control": "public, max-age=300"}
    )
