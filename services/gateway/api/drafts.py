"""One's drafts, kept on the server for all one's devices, and when they are to be published."""
# ruff: noqa: RUF012 - msgspec copies the empty lists and dicts that are defaults here.
from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from watercooler.feed.v1 import drafting_events_pb2 as events
from watercooler.feed.v1 import drafting_service_pb2 as drafting
from watercooler.feed.v1.events_pb2 import POST_KIND_QUESTION, Poll

from . import models
from .models import Body, Id, Language, Page
from .operations import Answer, Call, Input, Output, operation, stamp_of, time_of
from .posts import Attachments, AudienceInput, read_attachments, read_audience


class DraftPollInput(Input, frozen=True, kw_only=True):
    """A poll that begins with the post."""

    options: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(min_length=2, max_length=10)]
    multiple: bool = False
    anonymous: bool = False
    open_seconds: Annotated[int, Meta(ge=300, le=31_622_400)] = 86_400


class DraftInput(Input, frozen=True, kw_only=True):
    """What a post is to be; it may be unfinished."""

    body: Body = ""
    language: Language = ""
    audience: AudienceInput | None = None
    parent_id: Id | None = None
    attachments: Attachments = []
    kind: Literal["plain", "question"] = "plain"
    warning: Annotated[str, Meta(max_length=1_000)] = ""
    sensitive: bool = False
    quoted_id: Id | None = None
    poll: DraftPollInput | None = None
    praised_ids: Annotated[list[Id], Meta(max_length=20)] = []
    praise_value: Annotated[str, Meta(max_length=200)] = ""


class DraftPoll(Output, frozen=True, kw_only=True):
    """A poll that begins with the post."""

    options: list[str]
    multiple: bool
    anonymous: bool
    open_seconds: int


class Draft(Output, frozen=True, kw_only=True):
    """A draft. `failure` says why it was not published at its time."""

    id: str
    body: str
    language: str
    audience: models.Audience | None
    parent_id: str | None
    attachments: list[models.Attachment]
    kind: Literal["plain", "question"]
    warning: str
    sensitive: bool
    quoted_id: str | None
    poll: DraftPoll | None
    praised_ids: list[str]
    praise_value: str
    save_time: datetime
    publish_time: datetime | None
    failure: str | None
    etag: str


class DraftList(Output, frozen=True, kw_only=True):
    """A page of drafts."""

    drafts: list[Draft]
    next_page_token: str


def draft(message: drafting.Draft) -> Draft:
    """A draft, from feed's message."""
    content = message.content
    return Draft(
        id=message.draft_id, body=content.body, language=content.language,
        audience=models.audience(content.audience, "") if content.audience.WhichOneof("kind") else None,
        parent_id=content.parent_id or None, attachments=[models.attachment(each) for each in content.attachments],
        kind="question" if content.kind == POST_KIND_QUESTION else "plain", warning=content.warning, sensitive=content.sensitive,
        quoted_id=content.quoted_id or None,
        poll=DraftPoll(
            options=list(content.poll.options), multiple=content.poll.multiple, anonymous=content.poll.anonymous,
            open_seconds=content.poll_seconds,
        ) if content.poll.options else None,
        praised_ids=list(content.praised_ids), praise_value=content.praise_value, save_time=time_of(message.save_time),
        publish_time=time_of(message.publish_time) if message.HasField("publish_time") else None, failure=message.failure or None,
        etag=message.etag,
    )


async def _content(call: Call, body: DraftInput) -> events.DraftContent:
    content = events.DraftContent(
        body=body.body, language=body.language, parent_id=body.parent_id or "",
        attachments=await read_attachments(call, body.attachments) if body.attachments else (), warning=body.warning,
        sensitive=body.sensitive, quoted_id=body.quoted_id or "", praised_ids=body.praised_ids, praise_value=body.praise_value,
    )
    if body.kind == "question":
        content.kind = POST_KIND_QUESTION
    if (audience := read_audience(call, body.audience)) is not None:
        content.audience.CopyFrom(audience)
    if body.poll is not None:
        content.poll.CopyFrom(Poll(options=body.poll.options, multiple=body.poll.multiple, anonymous=body.poll.anonymous))
        content.poll_seconds = body.poll.open_seconds
    return content


class DraftsQuery(Page, frozen=True, kw_only=True):
    """Which drafts."""

    scheduled: Annotated[bool | None, Meta(description="Only those with a time to be published at, or only those without.")] = None


@operation("GET", "/drafts", "List one's drafts", tag="drafts", query=DraftsQuery, answer=DraftList)
async def list_drafts(call: Call, query: DraftsQuery) -> DraftList:
    """Newest first."""
    found = await call.clients.drafting.ListDrafts(drafting.ListDraftsRequest(
        page_size=query.page_size, page_token=query.page_token, only_scheduled=query.scheduled is True,
        only_unscheduled=query.scheduled is False,
    ))
    return DraftList(drafts=[draft(each) for each in found.drafts], next_page_token=found.next_page_token)


@operation("POST", "/drafts", "Keep a draft", tag="drafts", status=201, body=DraftInput, answer=Draft)
async def create_draft(call: Call, body: DraftInput) -> Answer:
    """At most 300 a person."""
    made = await call.clients.drafting.SaveDraft(
        drafting.SaveDraftRequest(content=await _content(call, body), request_id=call.request_id)
    )
    return Answer(draft(made), etag=made.etag, location=f"/api/v1/drafts/{made.draft_id}")


@operation("GET", "/drafts/{draft_id}", "Read a draft", tag="drafts", answer=Draft)
async def get_draft(call: Call) -> Answer:
    """One's own only. The ETag is the version to name in If-Match when saving."""
    found = await call.clients.drafting.GetDraft(drafting.GetDraftRequest(draft_id=call.id("draft_id")))
    return Answer(draft(found), etag=found.etag)


@operation("PUT", "/drafts/{draft_id}", "Save a draft", tag="drafts", body=DraftInput, answer=Draft, is_edit=True)
async def save_draft(call: Call, body: DraftInput) -> Answer:
    """The whole of it. With If-Match only if no other device changed it since; a scheduled one stays scheduled."""
    draft_id = call.id("draft_id")

    async def current() -> str:
        return (await call.clients.drafting.GetDraft(drafting.GetDraftRequest(draft_id=draft_id))).etag

    saved = await call.clients.drafting.SaveDraft(drafting.SaveDraftRequest(
        draft_id=draft_id, content=await _content(call, body), etag=await call.if_match(current), request_id=call.request_id
    ))
    return Answer(draft(saved), etag=saved.etag)


@operation("DELETE", "/drafts/{draft_id}", "Discard a draft", tag="drafts", status=204)
async def discard_draft(call: Call) -> None:
    """A scheduled one is not published then."""
    await call.clients.drafting.DiscardDraft(drafting.DiscardDraftRequest(draft_id=call.id("draft_id"), request_id=call.request_id))


class ScheduleInput(Input, frozen=True, kw_only=True):
    """When."""

    publish_time: Annotated[datetime, Meta(description="From 5 minutes to 2 years ahead.")]


@operation("PUT", "/drafts/{draft_id}/schedule", "Publish a draft at a time", tag="drafts", body=ScheduleInput, answer=Draft)
async def schedule_draft(call: Call, body: ScheduleInput) -> Draft:
    """Once, to the second. Where it cannot be published then, one is told, and the draft says why."""
    request = drafting.ScheduleDraftRequest(draft_id=call.id("draft_id"), request_id=call.request_id)
    request.publish_time.CopyFrom(stamp_of(body.publish_time, "publish_time"))
    return draft(await call.clients.drafting.ScheduleDraft(request))


@operation("DELETE", "/drafts/{draft_id}/schedule", "Publish a draft at no time", tag="drafts", answer=Draft)
async def unschedule_draft(call: Call) -> Draft:
    """It stays a draft."""
    request = drafting.UnscheduleDraftRequest(draft_id=call.id("draft_id"), request_id=call.request_id)
    return draft(await call.clients.drafting.UnscheduleDraft(request))


@operation("POST", "/drafts/{draft_id}/publication", "Publish a draft now", tag="drafts", answer=models.Post)
async def publish_draft(call: Call) -> models.Post:
    """Once: a repetition answers the same post."""
    request = drafting.PublishDraftRequest(draft_id=call.id("draft_id"), request_id=call.request_id)
    return models.post(await call.clients.drafting.PublishDraft(request))
