"""Drafts kept on the server, and posts that are to be published at a time."""
from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from litestar import Response

from libs.rpc.errors import RpcError
from libs.text import markdown
from watercooler.feed.v1 import drafting_service_pb2 as drafting
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1.drafting_events_pb2 import DraftContent
from watercooler.feed.v1.events_pb2 import POST_KIND_QUESTION

from ..http import AnyRequest, clients, current_person
from ..problems import Refusal
from ..rendering import address
from ..views import ComposeView, Form, Shell
from ..views_reading import DraftPage, DraftsPage, DraftView
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
    shell,
    told,
)
from .draft_forms import content_of
from .posts import COMPOSE_FIELDS, SERVICE_FIELDS, compose_view, read_post

DRAFTS_A_PAGE: Final = 50
EXCERPT: Final = 160
SOONEST: Final = timedelta(minutes=5)
LATEST: Final = timedelta(days=731)
FIELDS: Final = {**SERVICE_FIELDS, "content": "body", "publish_time": "time"}


def draft_view(found: drafting.Draft, around: Shell) -> DraftView:
    """A draft in a list; communities are named as far as the rail knows them."""
    content = found.content
    community = next((each.name for each in around.communities if each.id == content.audience.community_id), "")
    return DraftView(
        id=found.draft_id, text=markdown.excerpt(content.body, EXCERPT), save_time=convert.moment(found.save_time),
        publish_time=convert.moment(found.publish_time) if found.HasField("publish_time") else None, failure=found.failure,
        audience=convert.audience(content.audience, community, {}), is_reply=bool(content.parent_id), has_picture=bool(content.attachments),
        has_poll=bool(content.poll.options),
    )


def form_values(content: DraftContent) -> dict[str, str]:
    """The composer's fields as the draft has them."""
    audience = content.audience
    chosen = {"followers_of_id": "followers", "people": "people"}.get(audience.WhichOneof("kind") or "", "everyone")
    if audience.community_id:
        chosen = f"community:{audience.community_id}"
    return {
        "body": content.body, "language": content.language, "audience": chosen, "warning": content.warning,
        "sensitive": "1" if content.sensitive else "", "question": "1" if content.kind == POST_KIND_QUESTION else "",
        "poll_options": "\n".join(content.poll.options), "poll_minutes": str(content.poll_seconds // 60 or 1_440),
        "poll_multiple": "1" if content.poll.multiple else "", "poll_anonymous": "1" if content.poll.anonymous else "",
    }


@get("/drafts")
async def show_drafts(request: AnyRequest) -> Response[bytes]:
    """One's drafts, or with tab=scheduled what is to be published."""
    scheduled = query(request, "tab", 20) == "scheduled"
    wanted = drafting.ListDraftsRequest(
        page_size=DRAFTS_A_PAGE, page_token=query(request, "page", TOKEN_CHARACTERS), only_scheduled=scheduled,
        only_unscheduled=not scheduled,
    )
    around, found = await asyncio.gather(shell(request), clients(request).drafting.ListDrafts(wanted))
    drafts = [draft_view(each, around) for each in found.drafts]
    tab = {"tab": "scheduled"} if scheduled else {}
    view = DraftsPage(
        shell=around, tab="scheduled" if scheduled else "drafts",
        drafts=sorted(drafts, key=lambda each: each.publish_time or each.save_time) if scheduled else drafts,
        next_url=address("/drafts", **tab, page=found.next_page_token) if found.next_page_token else "",
    )
    return render(request, view)


async def _draft_page(
    request: AnyRequest, draft_id: str, form: Form | None = None, time_form: Form | None = None, status: int = 200
) -> Response[bytes]:
    around, found = await asyncio.gather(
        shell(request), clients(request).drafting.GetDraft(drafting.GetDraftRequest(draft_id=draft_id))
    )
    values = form_values(found.content)
    if form is None and values["audience"] == "people":
        values["people"] = await _handles(request, found.content)
    zone = zone_of(around)
    now = datetime.now(UTC)
    compose = _compose(request, around, found, form or Form(values=values))
    at = convert.moment(found.publish_time).astimezone(zone) if found.HasField("publish_time") else None
    view = DraftPage(
        shell=around, draft=draft_view(found, around), compose=compose, zone=str(zone),
        form=time_form or Form(values={"time": _local(at)} if at is not None else {}),
        earliest=_local((now + SOONEST + timedelta(minutes=1)).astimezone(zone)), latest=_local((now + LATEST).astimezone(zone)),
    )
    return render(request, view, status)


def _compose(request: AnyRequest, around: Shell, found: drafting.Draft, form: Form) -> ComposeView:
    import msgspec

    view = compose_view(request, around, form=form, action=f"/drafts/{found.draft_id}")
    images = [convert.picture(each.blob_id) for each in found.content.attachments]
    return msgspec.structs.replace(view, draft_id=found.draft_id, draft_etag=found.etag, draft_images=images)


async def _handles(request: AnyRequest, content: DraftContent) -> str:
    from .whom import whole

    me = current_person(request).person_id
    people = await whole(request, [each for each in content.audience.people.person_ids if each != me])
    return ", ".join(f"@{each.profile.handle}" for each in people if each.profile.handle)


def zone_of(around: Shell) -> ZoneInfo:
    """The time zone of whoever reads; UTC where it is not known."""
    try:
        return ZoneInfo(around.viewer.time_zone if around.viewer else "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _local(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M")


@get("/drafts/{draft_id:str}")
async def show_draft(request: AnyRequest) -> Response[bytes]:
    """A draft to go on with."""
    return await _draft_page(request, path_id(request, "draft_id"))


async def _save(request: AnyRequest, form: Posted, draft_id: str) -> drafting.Draft | Problems:
    wanted = await read_post(request, form)
    if isinstance(wanted, Problems):
        return wanted
    service = clients(request).drafting
    held = await service.GetDraft(drafting.GetDraftRequest(draft_id=draft_id)) if draft_id else None
    return await service.SaveDraft(drafting.SaveDraftRequest(
        draft_id=draft_id, content=content_of(wanted, form, held.content if held is not None else None),
        etag=form.text("draft_etag", 40) if draft_id else "", request_id="" if draft_id else form.text("request_id", 100),
    ))


@post("/drafts")
async def keep_draft(request: AnyRequest) -> Response[bytes]:
    """Keep what stands in the composer, and go on to its time where it is to be scheduled."""
    form = await posted(request)
    draft_id = form.text("draft_id", 40)
    try:
        saved = await _save(request, form, draft_id if len(draft_id) == 36 else "")
    except RpcError as error:
        saved = problems(error, FIELDS)
    if isinstance(saved, Problems):
        from ..views import ComposePage

        around = await shell(request)
        view = compose_view(request, around, form=saved.form(form.kept(*COMPOSE_FIELDS)))
        return render(request, ComposePage(shell=around, compose=view), saved.status)
    if form.text("do", 20) == "schedule":
        return go(request, f"/drafts/{saved.draft_id}#schedule")
    return go(request, "/drafts", told(request, "Saved as a draft."))


@post("/drafts/auto")
async def autosave(request: AnyRequest) -> Response[bytes]:
    """Keep what is being typed, for the script of the composer: answers the draft's id and version as JSON."""
    form = await posted(request)
    draft_id = form.text("draft_id", 40)
    try:
        saved = await _save(request, form, draft_id if len(draft_id) == 36 else "")
    except RpcError as error:
        saved = problems(error, FIELDS)
    if isinstance(saved, Problems):
        said = saved.message or next(iter(saved.errors.values()), "")
        return Response(json.dumps({"problem": said}).encode(), status_code=saved.status, media_type="application/json")
    body = json.dumps({"draft_id": saved.draft_id, "etag": saved.etag, "said": told(request, "Saved as a draft.")})
    return Response(body.encode(), status_code=200, media_type="application/json")


@post("/drafts/{draft_id:str}")
async def change_draft(request: AnyRequest) -> Response[bytes]:
    """Save a draft, give it a time or take that back, publish or discard it."""
    form = await posted(request)
    draft_id = path_id(request, "draft_id")
    do = form.text("do", 20)
    if do == "time":
        return await _set_time(request, form, draft_id)
    try:
        if (made := await _act(request, form, draft_id, do)) is not None:
            return made
    except RpcError as error:
        problem = problems(error, FIELDS)
    else:
        return go(request, "/drafts", told(request, "Saved as a draft."))
    if do in ("unschedule", "discard", "now"):
        return await _draft_page(request, draft_id, time_form=Form(message=problem.message or next(iter(problem.errors.values()), "")),
                                 status=problem.status)
    return await _draft_page(request, draft_id, problem.form(form.kept(*COMPOSE_FIELDS)), status=problem.status)


async def _act(request: AnyRequest, form: Posted, draft_id: str, do: str) -> Response[bytes] | None:
    service = clients(request).drafting
    if do == "discard":
        await service.DiscardDraft(drafting.DiscardDraftRequest(draft_id=draft_id))
        return go(request, "/drafts", told(request, "Discarded."))
    if do == "unschedule":
        await service.UnscheduleDraft(drafting.UnscheduleDraftRequest(draft_id=draft_id))
        return go(request, "/drafts", told(request, "It stays a draft."))
    if do != "now":
        saved = await _save(request, form, draft_id)
        if isinstance(saved, Problems):
            return await _draft_page(request, draft_id, saved.form(form.kept(*COMPOSE_FIELDS)), status=saved.status)
    if do == "schedule":
        return go(request, f"/drafts/{draft_id}#schedule")
    if do == "save":
        return None
    made: feed.Post = await service.PublishDraft(drafting.PublishDraftRequest(draft_id=draft_id))
    return go(request, f"/posts/{made.root_id or made.post_id}", told(request, "Posted."))


async def _set_time(request: AnyRequest, form: Posted, draft_id: str) -> Response[bytes]:
    around = await shell(request)
    text = form.text("time", 30)
    kept = {"time": text}
    try:
        at = datetime.fromisoformat(text).replace(tzinfo=zone_of(around))
    except ValueError:
        problem = bad("time", told(request, "Write day and time as in 2026-03-31T09:00."))
        return await _draft_page(request, draft_id, time_form=problem.form(kept), status=problem.status)
    asked = drafting.ScheduleDraftRequest(draft_id=draft_id)
    try:
        asked.publish_time.FromDatetime(at.astimezone(UTC))
        await clients(request).drafting.ScheduleDraft(asked)
    except (OverflowError, ValueError):
        raise Refusal(400, "") from None
    except RpcError as error:
        problem = problems(error, {"publish_time": "time"})
        return await _draft_page(request, draft_id, time_form=problem.form(kept), status=problem.status)
    return go(request, "/drafts?tab=scheduled", told(request, "Scheduled."))
