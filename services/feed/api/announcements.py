"""Announcements: publishing them to a frozen audience, changing them, and knowing how far they reached."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.db.database import Transaction
from libs.eventstore.model import InvalidArgument, Metadata, NotFound, PermissionDenied, Rejected, micros
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.runtime.service import Context
from libs.telemetry import metrics, traces
from libs.text.ids import is_id, new_id, pair_id
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import announcement_events_pb2 as events
from watercooler.feed.v1 import announcement_service_pb2 as api
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1.announcement_service_pb2_grpc import AnnouncementServiceServicer

from .. import commands as post_commands
from ..access import scope_of
from ..announcing import bring_post_up_to_date, wait_until_published
from ..commands import announcements as commands
from ..deciders import announcement, receipt, response
from ..proving import ProofKeys, proof
from ..queries import announcements as queries
from ..queries import communities as community_queries
from .base import NO_COMMUNITY, PAGE_SIZE, REQUEST_ID_CHARACTERS, Calls, id_of, page_size, person, token
from .confirming import NO_ANNOUNCEMENT, confirm
from .posts import check_language

ANNOUNCING = frozenset({"communications", "leader", "administrator"})
BATCH_MAX = 200
RECEIPTS_MAX = 100
REACH_PAGE_MAX = 2_000
_END = "~"
_FACTS = {
    api.REACH_FACT_UNSPECIFIED: "", api.REACH_FACT_SHOWN: "shown", api.REACH_FACT_OPENED: "opened",
    api.REACH_FACT_CONFIRMED: "confirmed",
}
_FILTERS = {
    api.ANNOUNCEMENT_FILTER_UNSPECIFIED: "all", api.ANNOUNCEMENT_FILTER_PENDING: "pending", api.ANNOUNCEMENT_FILTER_MINE: "mine",
}


class AnnouncementApi(Calls, AnnouncementServiceServicer):
    """AnnouncementService."""

    def __init__(self, context: Context) -> None:
        """For the running service."""
        super().__init__(context)
        self._keys = ProofKeys(context)

    # --- publishing -------------------------------------------------------------------------------------------------

    async def PreviewAudience(self, request: api.PreviewAudienceRequest, context: Any) -> api.PreviewAudienceResponse:
        """How many people it would reach now, for whoever may announce to them."""
        caller = person()
        async with self.database.snapshot() as tx:
            name = await self._allowed(tx, caller, request.audience)
            scope, scope_id = scope_of(request.audience)
            count = await queries.count_audience(tx, scope, scope_id, caller.person_id)
        return api.PreviewAudienceResponse(audience_count=count, audience_name=name)

    async def PublishAnnouncement(self, request: api.PublishAnnouncementRequest, context: Any) -> api.Announcement:
        """Freeze the audience and publish; `preparing` says that a large audience is still being frozen, which goes on by itself."""
        caller = person()
        if len(request.request_id) > REQUEST_ID_CHARACTERS:
            raise InvalidArgument(f"a request_id has at most {REQUEST_ID_CHARACTERS} characters", "request_id")
        check_language(request.language)
        async with self.database.snapshot() as tx:
            await self._allowed(tx, caller, request.audience)
        prepare = commands.PrepareAnnouncement(
            announcement_id=new_id(), author_id=caller.person_id, title=request.title.strip(), body=request.body.strip(),
            language=request.language, audience=request.audience, urgency=request.urgency or events.ANNOUNCEMENT_URGENCY_NORMAL,
            deadline=_moment(request.deadline, "deadline") if request.HasField("deadline") else None,
            remind_times=tuple(_moment(each, "remind_times") for each in request.remind_times), now=self.now(),
        )
        done = await self.handle(caller, announcement, f"announcement-{prepare.announcement_id}", prepare, request.request_id)
        announcement_id = done.stream.removeprefix("announcement-")
        await wait_until_published(self.context, announcement_id)
        if not done.repeated:
            metrics.ENGAGEMENT_ACTIONS.labels(kind="post").inc()
            metrics.POSTS.inc()
        return await self._one(caller, announcement_id)

    async def _allowed(self, tx: Transaction, caller: Caller, audience: Audience) -> str:
        """The name of the audience; raises PermissionDenied for who may not announce to it."""
        scope, scope_id = scope_of(audience)
        if scope == "community":
            community = await community_queries.fetch_community(tx, caller, scope_id)
            if community is None:
                raise NotFound(NO_COMMUNITY, "audience")
            if community.my_role < events_pb2.MEMBER_ROLE_MODERATOR:
                raise PermissionDenied("only owners and moderators announce to their community: ask one of them, or write a post")
            if community.archived:
                raise Rejected("the community is archived: it can be read, but nothing new is written there")
            return community.name
        if scope not in ("everyone", "group", "chart"):
            raise InvalidArgument(
                "an announcement is for everyone, a community, a group of the directory or a part of the organisation chart", "audience"
            )
        if caller.is_guest or not ANNOUNCING & caller.roles:
            raise PermissionDenied(
                "only communications, leaders and administrators announce beyond a community: ask one of them, or write a post"
            )
        name = await queries.audience_name(tx, scope, scope_id)
        if name is None:
            what = "group in the directory" if scope == "group" else "person here"
            raise InvalidArgument(f"there is no such {what}", "audience")
        return name

    # --- reading ----------------------------------------------------------------------------------------------------

    async def GetAnnouncement(self, request: api.GetAnnouncementRequest, context: Any) -> api.Announcement:
        """One announcement, for whoever sees its post or its reach."""
        return await self._one(auth.caller(), request.announcement_id)

    async def _one(self, caller: Caller, announcement_id: str) -> api.Announcement:
        async with self.database.snapshot() as tx:
            found = (await queries.fetch_announcements(tx, caller, (announcement_id,))).get(announcement_id)
        if found is None:
            raise NotFound(NO_ANNOUNCEMENT)
        return found

    async def BatchGetAnnouncements(
        self, request: api.BatchGetAnnouncementsRequest, context: Any
    ) -> api.BatchGetAnnouncementsResponse:
        """Those of up to 200 announcements that the caller may see, in the order asked for."""
        if len(request.announcement_ids) > BATCH_MAX:
            raise InvalidArgument(f"at most {BATCH_MAX} announcements at a time", "announcement_ids")
        async with self.database.snapshot() as tx:
            found = await queries.fetch_announcements(tx, auth.caller(), list(request.announcement_ids))
        return api.BatchGetAnnouncementsResponse(
            announcements=[found[each] for each in dict.fromkeys(request.announcement_ids) if each in found]
        )

    async def ListAnnouncements(self, request: api.ListAnnouncementsRequest, context: Any) -> api.ListAnnouncementsResponse:
        """A page, newest first."""
        size = page_size(request.page_size)
        before = id_of(request.page_token, _END)
        if request.filter not in _FILTERS:
            raise InvalidArgument("say which announcements", "filter")
        async with self.database.snapshot() as tx:
            found = await queries.list_announcements(
                tx, auth.caller(), _FILTERS[request.filter], before, size + 1, micros(self.now())
            )
        return api.ListAnnouncementsResponse(
            announcements=found[:size], next_page_token=token(found[size - 1].announcement_id) if len(found) > size else ""
        )

    async def ListAnnouncementVersions(
        self, request: api.ListAnnouncementVersionsRequest, context: Any
    ) -> api.ListAnnouncementVersionsResponse:
        """Every version with what was wrong, for whoever sees the announcement."""
        await self._one(auth.caller(), request.announcement_id)
        return api.ListAnnouncementVersionsResponse(versions=await queries.fetch_versions(self.database, request.announcement_id))

    # --- changing ---------------------------------------------------------------------------------------------------

    async def EditAnnouncement(self, request: api.EditAnnouncementRequest, context: Any) -> api.Announcement:
        """Change the text where nobody was misled; nobody is told."""
        return await self._change(request, "")

    async def CorrectAnnouncement(self, request: api.CorrectAnnouncementRequest, context: Any) -> api.Announcement:
        """Change what was wrong, and tell those who saw it."""
        return await self._change(request, request.what_was_wrong.strip(), is_correction=True)

    async def _change(
        self, request: api.EditAnnouncementRequest | api.CorrectAnnouncementRequest, what_was_wrong: str, *, is_correction: bool = False
    ) -> api.Announcement:
        caller = person()
        check_language(request.language)
        found = await self._one(caller, request.announcement_id)
        if found.withdrawn or found.erased:
            raise Rejected("this announcement was withdrawn and cannot be changed any more: publish a new one")
        if not found.can_edit:
            raise PermissionDenied("only its author, communications and administrators change an announcement: ask one of them")
        command = commands.ChangeAnnouncement(
            announcement_id=request.announcement_id, editor_id=caller.person_id, title=request.title.strip(), body=request.body.strip(),
            language=request.language, version=request.version, now=self.now(), is_correction=is_correction, what_was_wrong=what_was_wrong,
        )
        await self.handle(caller, announcement, f"announcement-{request.announcement_id}", command, request.request_id)
        await bring_post_up_to_date(self.context, request.announcement_id, self._meta(caller))
        return await self._one(caller, request.announcement_id)

    # --- what people did --------------------------------------------------------------------------------------------

    async def RecordReceipts(self, request: api.RecordReceiptsRequest, context: Any) -> api.RecordReceiptsResponse:
        """Note what the caller was shown and opened; what is known already costs no write, and what they may not see is passed over."""
        caller = person()
        if len(request.receipts) > RECEIPTS_MAX:
            raise InvalidArgument(f"at most {RECEIPTS_MAX} receipts at a time", "receipts")
        wanted = {
            (each.announcement_id, each.fact): each for each in sorted(request.receipts, key=lambda one: one.version)
            if each.fact in (api.REACH_FACT_SHOWN, api.REACH_FACT_OPENED) and is_id(each.announcement_id)
        }
        ids = sorted({announcement_id for announcement_id, _ in wanted})
        if not ids:
            return api.RecordReceiptsResponse()
        async with self.database.snapshot() as tx:
            visible = await queries.fetch_announcements(tx, caller, ids)
        now = self.now()
        work = []
        for each in wanted.values():
            found = visible.get(each.announcement_id)
            if found is None or found.preparing or found.withdrawn or found.author.person_id == caller.person_id:
                continue
            version = min(each.version, found.version) if each.version > 0 else found.version
            known = found.my_shown_version if each.fact == api.REACH_FACT_SHOWN else found.my_opened_version
            if version <= known:
                continue
            kind = commands.RecordShown if each.fact == api.REACH_FACT_SHOWN else commands.RecordOpened
            command = kind(announcement_id=each.announcement_id, person_id=caller.person_id, version=version, now=now)
            work.append((each.announcement_id, command))
        # One stream a person and announcement: two facts of one are decided one after the other, all others together.
        firsts = dict(reversed(work))
        seconds = [(announcement_id, command) for announcement_id, command in work if firsts[announcement_id] is not command]
        done = await asyncio.gather(*(self._receipt(caller, *one) for one in firsts.items()))
        done += await asyncio.gather(*(self._receipt(caller, *one) for one in seconds))
        return api.RecordReceiptsResponse(recorded_count=sum(done))

    async def _receipt(self, caller: Caller, announcement_id: str, command: commands.ReceiptCommand, request_id: str = "") -> bool:
        stream = f"receipt-{pair_id(announcement_id, caller.person_id)}"
        return bool((await self.handle(caller, receipt, stream, command, request_id)).position)

    async def ConfirmAnnouncement(self, request: api.ConfirmAnnouncementRequest, context: Any) -> api.Announcement:
        """Say that the caller has read a version, by default the one that counts."""
        caller = person()
        await confirm(self, caller, request.announcement_id, request.version, request.request_id)
        command = post_commands.ConfirmRead(post_id=request.announcement_id, person_id=caller.person_id, now=self.now())
        await self.handle(caller, response, f"response-{pair_id(request.announcement_id, caller.person_id)}", command)
        return await self._one(caller, request.announcement_id)

    async def DismissAnnouncement(self, request: api.DismissAnnouncementRequest, context: Any) -> api.Announcement:
        """Take it off the head of the caller's home page; what must be confirmed stays there until it is."""
        caller = person()
        found = await self._one(caller, request.announcement_id)
        if found.urgency == events.ANNOUNCEMENT_URGENCY_CONFIRM and found.pending and not found.misinformed:
            raise Rejected("this announcement asks for a confirmation: confirm that you have read it, and it is gone")
        command = commands.DismissAnnouncement(
            announcement_id=request.announcement_id, person_id=caller.person_id, version=found.version
        )
        await self._receipt(caller, request.announcement_id, command, request.request_id)
        return await self._one(caller, request.announcement_id)

    # --- reach ------------------------------------------------------------------------------------------------------

    async def _entitled(self, caller: Caller, announcement_id: str) -> api.Announcement:
        found = await self._one(caller, announcement_id)
        if not found.can_see_reach:
            raise PermissionDenied("how far an announcement reached is for its author, communications and administrators")
        return found

    async def GetReach(self, request: api.GetReachRequest, context: Any) -> api.Reach:
        """The counts as they are now."""
        await self._entitled(auth.caller(), request.announcement_id)
        async with self.database.snapshot() as tx:
            return await queries.fetch_reach(tx, request.announcement_id)

    async def ListReach(self, request: api.ListReachRequest, context: Any) -> api.ListReachResponse:
        """Who has and who has not; managers see the people who report to them."""
        caller = auth.caller()
        if request.fact not in _FACTS:
            raise InvalidArgument("say shown, opened or confirmed", "fact")
        if request.page_size < 0:
            raise InvalidArgument(f"a page has 1 to {REACH_PAGE_MAX:,} entries", "page_size")
        size = min(request.page_size, REACH_PAGE_MAX) or PAGE_SIZE
        after = id_of(request.page_token, "")
        found = await self._one(caller, request.announcement_id)
        if not (found.can_see_reach or found.can_see_reports):
            raise PermissionDenied(
                "who has read an announcement is for its author, communications, administrators, and managers about their own reports"
            )
        under_id = "" if found.can_see_reach else caller.person_id
        async with self.database.snapshot() as tx:
            people = await queries.list_reach(
                tx, request.announcement_id, found.right_since, _FACTS[request.fact], request.missing, under_id, after, size + 1
            )
        return api.ListReachResponse(
            people=people[:size], next_page_token=token(people[size - 1].person.person_id) if len(people) > size else ""
        )

    async def RemindAudience(self, request: api.RemindAudienceRequest, context: Any) -> api.Reach:
        """Remind those who have not confirmed (where none is asked for: not opened); at most three times, the set times counted."""
        caller = person()
        found = await self._entitled(caller, request.announcement_id)
        if found.withdrawn or found.erased:
            raise Rejected("this announcement was withdrawn: nobody is reminded of it any more")
        command = commands.AskReminder(announcement_id=request.announcement_id, sender_id=caller.person_id, now=self.now())
        await self.handle(caller, announcement, f"announcement-{request.announcement_id}", command, request.request_id)
        async with self.database.snapshot() as tx:
            return await queries.fetch_reach(tx, request.announcement_id)

    async def ExportReach(self, request: api.ExportReachRequest, context: Any) -> AsyncIterator[api.ExportReachResponse]:
        """The proof of reach, signed, piece by piece."""
        await self._entitled(auth.caller(), request.announcement_id)
        found = await queries.standing(self.database, request.announcement_id)
        if found is None or not found.published:
            raise Rejected("this announcement is still being published: try again in a moment")
        async for data in proof(self.context, self._keys, found, pseudonymous=request.pseudonymous):
            yield api.ExportReachResponse(data=data)

    async def ListProofKeys(self, request: api.ListProofKeysRequest, context: Any) -> api.ListProofKeysResponse:
        """The public keys of proofs."""
        return api.ListProofKeysResponse(keys=self._keys.public())

    def _meta(self, caller: Caller) -> Metadata:
        return Metadata(caller.actor_id, correlation_id=traces.trace_id(), traceparent=traces.current())


def _moment(stamp: Any, field: str) -> datetime:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=stamp.ToMicroseconds())
    except (OverflowError, ValueError) as error:
        raise InvalidArgument("this time is out of range", field) from error
