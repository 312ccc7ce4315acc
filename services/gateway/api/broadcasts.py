"""Announcements: publishing, confirming, and how far they reached."""
# ruff: noqa: RUF012 - msgspec copies the empty lists and dicts that are defaults here.
from __future__ import annotations

import asyncio
import csv
import io
import time
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from libs.rpc import auth
from libs.rpc.errors import RpcError
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import announcement_events_pb2 as events
from watercooler.feed.v1 import announcement_service_pb2 as feed

from ..problems import Refusal
from ..streaming import EventStream
from . import models
from .models import Id, Language, Page, PageToken
from .operations import Answer, Call, Input, Output, operation, stamp_of, time_of

LOOK_SECONDS: Final = 1.0
HEARTBEAT_SECONDS: Final = 15.0
REACH_PAGE: Final = 2_000
# Spreadsheets run what begins like this.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_REACH_FACTS: Final = {
    "any": feed.REACH_FACT_UNSPECIFIED, "shown": feed.REACH_FACT_SHOWN, "opened": feed.REACH_FACT_OPENED,
    "confirmed": feed.REACH_FACT_CONFIRMED,
}
_FILTERS: Final = {
    "all": feed.ANNOUNCEMENT_FILTER_UNSPECIFIED, "pending": feed.ANNOUNCEMENT_FILTER_PENDING, "mine": feed.ANNOUNCEMENT_FILTER_MINE,
}

FactName = Literal["any", "shown", "opened", "confirmed"]
Title = Annotated[str, Meta(min_length=1, max_length=150, description="One line.")]
Text = Annotated[str, Meta(min_length=1, max_length=9_500, description="Markdown subset.")]
Version = Annotated[int, Meta(ge=0, le=500, description="The version it is about; 0 for the one that counts now.")]


class BroadcastAudience(Input, frozen=True, kw_only=True):
    """Whom it is for; `id` names the community, the group, or the person at the head of a part of the organisation chart."""

    kind: Literal["everyone", "community", "group", "chart"] = "everyone"
    id: Id | None = None


class Broadcast(Output, frozen=True, kw_only=True):
    """An announcement; its post has the same id."""

    id: str
    author: models.Author
    title: str
    body: str
    language: str
    audience: models.Audience
    must_confirm: bool
    deadline: datetime | None
    remind_times: list[datetime]
    reminder_count: int
    publish_time: datetime | None
    version: int
    right_since: int
    what_was_wrong: str
    change_time: datetime | None
    audience_count: int
    my_shown_version: int
    my_opened_version: int
    my_confirmed_version: int
    addressed: bool
    pending: bool
    misinformed: bool
    can_edit: bool
    can_see_reach: bool
    withdrawn: bool
    erased: bool
    preparing: bool
    url: str


def broadcast(message: feed.Announcement) -> Broadcast:
    """An announcement, from feed's message."""
    return Broadcast(
        id=message.announcement_id, author=models.author(message.author), title=message.title, body=message.body,
        language=message.language, audience=models.audience(message.audience, message.audience_name),
        must_confirm=message.urgency == events.ANNOUNCEMENT_URGENCY_CONFIRM,
        deadline=time_of(message.deadline) if message.HasField("deadline") else None,
        remind_times=[time_of(each) for each in message.remind_times], reminder_count=message.reminder_count,
        publish_time=time_of(message.publish_time) if message.HasField("publish_time") else None, version=message.version,
        right_since=message.right_since, what_was_wrong=message.what_was_wrong,
        change_time=time_of(message.change_time) if message.HasField("change_time") else None, audience_count=message.audience_count,
        my_shown_version=message.my_shown_version, my_opened_version=message.my_opened_version,
        my_confirmed_version=message.my_confirmed_version, addressed=message.addressed, pending=message.pending,
        misinformed=message.misinformed, can_edit=message.can_edit, can_see_reach=message.can_see_reach, withdrawn=message.withdrawn,
        erased=message.erased, preparing=message.preparing, url=f"/announcements/{message.announcement_id}",
    )


def read_audience(given: BroadcastAudience) -> Audience:
    """The audience of a request. Raises Refusal 400 where kind and id do not fit together."""
    if (given.kind == "everyone") != (given.id is None):
        wants = "takes no" if given.kind == "everyone" else "needs"
        raise Refusal(400, f"An audience of kind {given.kind} {wants} id.", field="audience.id")
    match given.kind:
        case "community":
            return Audience(community_id=given.id or "")
        case "group":
            return Audience(group_id=given.id or "")
        case "chart":
            return Audience(chart_of_id=given.id or "")
        case _:
            audience = Audience()
            audience.everyone.SetInParent()
            return audience


class BroadcastList(Output, frozen=True, kw_only=True):
    """Newest first."""

    broadcasts: list[Broadcast]
    next_page_token: str


class BroadcastsQuery(Page, frozen=True, kw_only=True):
    """Which announcements."""

    filter: Annotated[Literal["all", "pending", "mine"], Meta(description="pending: what waits for the caller.")] = "all"


@operation("GET", "/broadcasts", "List announcements", tag="broadcasts", query=BroadcastsQuery, answer=BroadcastList)
async def list_broadcasts(call: Call, query: BroadcastsQuery) -> BroadcastList:
    """Those one may see."""
    found = await call.clients.announcements.ListAnnouncements(
        feed.ListAnnouncementsRequest(filter=_FILTERS[query.filter], page_size=query.page_size, page_token=query.page_token)
    )
    return BroadcastList(broadcasts=[broadcast(each) for each in found.announcements], next_page_token=found.next_page_token)


class AudiencePreview(Output, frozen=True, kw_only=True):
    """How many people it would reach now, the caller not counted."""

    audience_count: int
    audience_name: str


class PreviewInput(Input, frozen=True, kw_only=True):
    """For whom."""

    audience: BroadcastAudience = BroadcastAudience()


@operation("POST", "/broadcasts/preview", "Count an audience", tag="broadcasts", body=PreviewInput, answer=AudiencePreview)
async def preview_broadcast(call: Call, body: PreviewInput) -> AudiencePreview:
    """Before publishing; for those who may announce to it."""
    found = await call.clients.announcements.PreviewAudience(feed.PreviewAudienceRequest(audience=read_audience(body.audience)))
    return AudiencePreview(audience_count=found.audience_count, audience_name=found.audience_name)


class BroadcastInput(Input, frozen=True, kw_only=True):
    """A new announcement. Who is in the audience at this moment counts; who comes later sees the post and does not."""

    title: Title
    body: Text
    language: Language = ""
    audience: BroadcastAudience = BroadcastAudience()
    must_confirm: bool = False
    deadline: Annotated[datetime | None, Meta(description="Only with must_confirm.")] = None
    remind_times: Annotated[
        list[datetime], Meta(max_length=3, description="When those who have not confirmed are reminded, before the deadline.")
    ] = []


@operation("POST", "/broadcasts", "Publish an announcement", tag="broadcasts", status=201, body=BroadcastInput, answer=Broadcast)
async def publish_broadcast(call: Call, body: BroadcastInput) -> Answer:
    """For communications, leaders and administrators; and for owners and moderators to their community.

    `preparing` says that a large audience is still being frozen, which goes on by itself.
    """
    request = feed.PublishAnnouncementRequest(
        title=body.title, body=body.body, language=body.language, audience=read_audience(body.audience), request_id=call.request_id,
        urgency=events.ANNOUNCEMENT_URGENCY_CONFIRM if body.must_confirm else events.ANNOUNCEMENT_URGENCY_NORMAL,
        deadline=stamp_of(body.deadline, "deadline") if body.deadline is not None else None,
        remind_times=[stamp_of(each, "remind_times") for each in body.remind_times],
    )
    made = await call.clients.announcements.PublishAnnouncement(request)
    return Answer(broadcast(made), location=f"/api/v1/broadcasts/{made.announcement_id}")


@operation("GET", "/broadcasts/{broadcast_id}", "Read an announcement", tag="broadcasts", answer=Broadcast)
async def get_broadcast(call: Call) -> Broadcast:
    """Reading it here is neither being shown it nor opening it: say so by POST /broadcasts/receipts."""
    request = feed.GetAnnouncementRequest(announcement_id=call.id("broadcast_id"))
    return broadcast(await call.clients.announcements.GetAnnouncement(request))


class BroadcastEdit(Input, frozen=True, kw_only=True):
    """The text after the change; with `version` only if nobody changed it since."""

    title: Title
    body: Text
    language: Language = ""
    version: Version = 0


@operation("PUT", "/broadcasts/{broadcast_id}/text", "Edit an announcement", tag="broadcasts", body=BroadcastEdit, answer=Broadcast)
async def edit_broadcast(call: Call, body: BroadcastEdit) -> Broadcast:
    """Where nobody was misled by what stood there before: nobody is told."""
    request = feed.EditAnnouncementRequest(
        announcement_id=call.id("broadcast_id"), title=body.title, body=body.body, language=body.language, version=body.version,
        request_id=call.request_id,
    )
    return broadcast(await call.clients.announcements.EditAnnouncement(request))


class CorrectionInput(BroadcastEdit, frozen=True, kw_only=True):
    """The right text, and what was wrong."""

    what_was_wrong: Annotated[str, Meta(min_length=1, max_length=1_000, description="Plain text.")]


@operation(
    "POST", "/broadcasts/{broadcast_id}/corrections", "Correct an announcement", tag="broadcasts", body=CorrectionInput, answer=Broadcast
)
async def correct_broadcast(call: Call, body: CorrectionInput) -> Broadcast:
    """Exactly those who were shown, opened or confirmed a wrong version are told."""
    request = feed.CorrectAnnouncementRequest(
        announcement_id=call.id("broadcast_id"), title=body.title, body=body.body, language=body.language, version=body.version,
        what_was_wrong=body.what_was_wrong, request_id=call.request_id,
    )
    return broadcast(await call.clients.announcements.CorrectAnnouncement(request))


class BroadcastVersion(Output, frozen=True, kw_only=True):
    """A version; `what_was_wrong` is of a correction."""

    version: int
    title: str
    body: str
    correction: bool
    what_was_wrong: str
    version_time: datetime
    editor: models.Author
    text_sha256: str


class BroadcastVersionList(Output, frozen=True, kw_only=True):
    """Newest first."""

    versions: list[BroadcastVersion]


@operation("GET", "/broadcasts/{broadcast_id}/versions", "Read every version", tag="broadcasts", answer=BroadcastVersionList)
async def list_broadcast_versions(call: Call) -> BroadcastVersionList:
    """Versions before the last correction are wrong."""
    request = feed.ListAnnouncementVersionsRequest(announcement_id=call.id("broadcast_id"))
    found = await call.clients.announcements.ListAnnouncementVersions(request)
    return BroadcastVersionList(versions=[
        BroadcastVersion(
            version=each.version, title=each.title, body=each.body, correction=each.correction, what_was_wrong=each.what_was_wrong,
            version_time=time_of(each.version_time), editor=models.author(each.editor), text_sha256=each.text_digest,
        )
        for each in found.versions
    ])


class ReceiptInput(Input, frozen=True, kw_only=True):
    """What a client showed or opened."""

    id: Id
    fact: Literal["shown", "opened"]
    version: Version = 0


class ReceiptsInput(Input, frozen=True, kw_only=True):
    """Many at a time."""

    receipts: Annotated[list[ReceiptInput], Meta(max_length=100)]


class ReceiptsAnswer(Output, frozen=True, kw_only=True):
    """How many facts were new."""

    recorded_count: int


@operation(
    "POST", "/broadcasts/receipts", "Say what was shown and opened", tag="broadcasts", body=ReceiptsInput, answer=ReceiptsAnswer
)
async def record_receipts(call: Call, body: ReceiptsInput) -> ReceiptsAnswer:
    """Shown: at least half of it was in view for a second. Opened: its page was opened. Neither is a confirmation."""
    records = [
        feed.ReceiptRecord(announcement_id=each.id, fact=_REACH_FACTS[each.fact], version=each.version) for each in body.receipts
    ]
    done = await call.clients.announcements.RecordReceipts(feed.RecordReceiptsRequest(receipts=records))
    return ReceiptsAnswer(recorded_count=done.recorded_count)


class ConfirmationInput(Input, frozen=True, kw_only=True):
    """Which version was read."""

    version: Version = 0


@operation(
    "PUT", "/broadcasts/{broadcast_id}/confirmation", "Confirm an announcement", tag="broadcasts", body=ConfirmationInput, answer=Broadcast
)
async def confirm_broadcast(call: Call, body: ConfirmationInput) -> Broadcast:
    """Say that one has read it; cannot be taken back."""
    request = feed.ConfirmAnnouncementRequest(
        announcement_id=call.id("broadcast_id"), version=body.version, request_id=call.request_id
    )
    return broadcast(await call.clients.announcements.ConfirmAnnouncement(request))


@operation("PUT", "/broadcasts/{broadcast_id}/dismissal", "Dismiss an announcement", tag="broadcasts", answer=Broadcast)
async def dismiss_broadcast(call: Call) -> Broadcast:
    """It leaves the head of one's home page; what must be confirmed stays until it is."""
    request = feed.DismissAnnouncementRequest(announcement_id=call.id("broadcast_id"), request_id=call.request_id)
    return broadcast(await call.clients.announcements.DismissAnnouncement(request))


# --- reach -----------------------------------------------------------------------------------------------------------


class Reach(Output, frozen=True, kw_only=True):
    """Of the frozen audience: people with each fact about a version that is right now, and about whatever version (`ever`).

    `wrong_count` saw a wrong version; `misinformed_count` of them have not opened or confirmed a right one since.
    """

    version: int
    right_since: int
    audience_count: int
    shown_count: int
    opened_count: int
    confirmed_count: int
    ever_shown_count: int
    ever_opened_count: int
    ever_confirmed_count: int
    wrong_count: int
    misinformed_count: int
    reminder_count: int
    remindable_count: int


def reach(message: feed.Reach) -> Reach:
    """The counts, from feed's message."""
    return Reach(**{name: getattr(message, name) for name in Reach.__struct_fields__})


@operation("GET", "/broadcasts/{broadcast_id}/reach", "How far an announcement reached", tag="broadcasts", answer=Reach, streams=True)
async def get_broadcast_reach(call: Call) -> Any:
    """For its author, communications and administrators. With `Accept: text/event-stream` the counts go on as they change."""
    announcement_id = call.id("broadcast_id")
    found = await call.clients.announcements.GetReach(feed.GetReachRequest(announcement_id=announcement_id))
    if "text/event-stream" not in call.request.headers.get("accept", ""):
        return reach(found)
    return EventStream(_live(call, announcement_id, found))


async def _live(call: Call, announcement_id: str, found: feed.Reach) -> AsyncGenerator[bytes, None]:
    """The counts whenever they have changed, looked at once a second, until the reader may not see them any more."""
    me, parts = call.me, call.gateway
    yield b"retry: 2000\n\n"
    told: feed.Reach | None = None
    spoken = time.monotonic()
    while not parts.live.draining:
        if found != told:
            told, spoken = found, time.monotonic()
            yield b"event: reach\ndata: %s\n\n" % msgspec.json.encode(reach(found))
        elif time.monotonic() - spoken >= HEARTBEAT_SECONDS:
            spoken = time.monotonic()
            if me.session_id:
                session = await parts.sessions.get(me.session_id)
                if session is None or session.expire_time <= parts.context.now():
                    return
            elif await parts.accounts.of_token(call.request.headers.get("authorization", "").partition(" ")[2].strip()) is None:
                return
            yield b": still here\n\n"
        await asyncio.sleep(LOOK_SECONDS)
        now = await parts.accounts.of_person(me.person_id)
        if now is None:
            return
        caller = auth.Caller(me.person_id, now.roles, me.scopes)
        try:
            with auth.acting(parts.context.tokens.sign(caller)):
                found = await parts.clients.announcements.GetReach(feed.GetReachRequest(announcement_id=announcement_id))
        except RpcError:
            return


class PersonReach(Output, frozen=True, kw_only=True):
    """What one person did: the latest version of each fact (0 for none) and its first time."""

    person: models.Author
    shown_version: int
    opened_version: int
    confirmed_version: int
    show_time: datetime | None
    open_time: datetime | None
    confirm_time: datetime | None


class PersonReachList(Output, frozen=True, kw_only=True):
    """In order of ids."""

    people: list[PersonReach]
    next_page_token: str


class ReachQuery(Input, frozen=True, kw_only=True):
    """Who."""

    fact: FactName = "any"
    missing: Annotated[bool, Meta(description="Those without the fact instead of those with it.")] = False


class ReachPageQuery(ReachQuery, frozen=True, kw_only=True):
    """Who, page by page."""

    page_size: Annotated[int, Meta(ge=1, le=REACH_PAGE, description="How many at most.")] = 20
    page_token: PageToken = ""


@operation(
    "GET", "/broadcasts/{broadcast_id}/reach/people", "Who has and who has not", tag="broadcasts", query=ReachPageQuery,
    answer=PersonReachList,
)
async def list_broadcast_reach(call: Call, query: ReachPageQuery) -> PersonReachList:
    """For those who see its reach; managers see the people who report to them."""
    request = feed.ListReachRequest(
        announcement_id=call.id("broadcast_id"), fact=_REACH_FACTS[query.fact], missing=query.missing, page_size=query.page_size,
        page_token=query.page_token,
    )
    found = await call.clients.announcements.ListReach(request)
    return PersonReachList(
        people=[
            PersonReach(
                person=models.author(each.person), shown_version=each.shown_version, opened_version=each.opened_version,
                confirmed_version=each.confirmed_version, show_time=time_of(each.show_time) if each.HasField("show_time") else None,
                open_time=time_of(each.open_time) if each.HasField("open_time") else None,
                confirm_time=time_of(each.confirm_time) if each.HasField("confirm_time") else None,
            )
            for each in found.people
        ],
        next_page_token=found.next_page_token,
    )


@operation(
    "GET", "/broadcasts/{broadcast_id}/reach/people.csv", "Download who has and who has not", tag="broadcasts", query=ReachQuery,
    downloads="text/csv",
)
async def download_broadcast_reach(call: Call, query: ReachQuery) -> EventStream:
    """The same as a table for spreadsheets, UTF-8."""
    announcement_id = call.id("broadcast_id")
    request = feed.ListReachRequest(
        announcement_id=announcement_id, fact=_REACH_FACTS[query.fact], missing=query.missing, page_size=REACH_PAGE
    )
    first = await call.clients.announcements.ListReach(request)
    return EventStream.file(_table(call, request, first), "text/csv", f"reach-{announcement_id}.csv")


async def _table(call: Call, request: feed.ListReachRequest, found: feed.ListReachResponse) -> AsyncGenerator[bytes, None]:
    # The mark at the beginning tells spreadsheets that it is UTF-8.
    yield _lines([(
        "\ufeffname", "handle", "title", "person_id", "shown_version", "first_shown", "opened_version", "first_opened",
        "confirmed_version", "first_confirmed",
    )])
    while True:
        yield _lines([
            (
                each.person.display_name, each.person.handle, each.person.title, each.person.person_id,
                each.shown_version or "", _time(each, "show_time"), each.opened_version or "", _time(each, "open_time"),
                each.confirmed_version or "", _time(each, "confirm_time"),
            )
            for each in found.people
        ])
        if not found.next_page_token:
            return
        request.page_token = found.next_page_token
        with auth.acting(call.gateway.context.tokens.sign(call.me.caller)):
            found = await call.gateway.clients.announcements.ListReach(request)


def _time(each: feed.PersonReach, name: str) -> str:
    return time_of(getattr(each, name)).isoformat(timespec="seconds") if each.HasField(name) else ""  # type: ignore[arg-type]


def _lines(rows: list[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value for value in row])
    return text.getvalue().encode()


@operation("POST", "/broadcasts/{broadcast_id}/reminders", "Remind those who have not", tag="broadcasts", answer=Reach)
async def remind_broadcast(call: Call) -> Reach:
    """Those who have not confirmed, or where no confirmation is asked for not opened; three times at most, set times included."""
    request = feed.RemindAudienceRequest(announcement_id=call.id("broadcast_id"), request_id=call.request_id)
    return reach(await call.clients.announcements.RemindAudience(request))


class ProofQuery(Input, frozen=True, kw_only=True):
    """How people stand in it."""

    pseudonymous: Annotated[bool, Meta(description="Names made for this file alone instead of people's ids.")] = False


@operation(
    "GET", "/broadcasts/{broadcast_id}/reach/proof", "Download the proof of reach", tag="broadcasts", query=ProofQuery,
    downloads="application/jsonl",
)
async def download_broadcast_proof(call: Call, query: ProofQuery) -> EventStream:
    """Hash-chained and signed; `watercooler verify-reach FILE` checks it without this network."""
    announcement_id = call.id("broadcast_id")
    # Refused before anything is sent, not in the middle of the file.
    await call.clients.announcements.GetReach(feed.GetReachRequest(announcement_id=announcement_id))
    request = feed.ExportReachRequest(announcement_id=announcement_id, pseudonymous=query.pseudonymous)
    return EventStream.file(_pieces(call, request), "application/jsonl", f"reach-{announcement_id}.jsonl")


async def _pieces(call: Call, request: feed.ExportReachRequest) -> AsyncGenerator[bytes, None]:
    with auth.acting(call.gateway.context.tokens.sign(call.me.caller)):
        stream = call.gateway.clients.announcements.ExportReach(request)
    async for piece in stream:
        yield piece.data
