"""Retention rules, legal holds and exports."""
from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from libs.db.database import Row, Transaction
from libs.eventstore.model import InvalidArgument, NotFound, PermissionDenied, Rejected, micros
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.runtime.service import Context
from libs.text.ids import is_id, new_id
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import retention_events_pb2 as pb
from watercooler.feed.v1 import retention_service_pb2 as api
from watercooler.feed.v1.retention_service_pb2_grpc import RetentionServiceServicer

from ..commands import retention as commands
from ..deciders import export, hold, rule
from ..queries import communities as community_queries
from ..queries import exports
from ..queries import people as people_queries
from ..queries import retention as queries
from .base import NO_COMMUNITY, NO_PERSON, Calls, person
from .policy import administrator

RUNS = 20
RULES = 100
HOLDS = 1_000
EXPORTS = 50
EXPORTS_WAITING = 3


class RetentionApi(Calls, RetentionServiceServicer):
    """RetentionService."""

    def __init__(self, context: Context, wake_keeping: Callable[[], None], wake_exporting: Callable[[], None]) -> None:
        """For the running service; the functions wake what works in the background, where it runs in this process."""
        super().__init__(context)
        self._wake_keeping = wake_keeping
        self._wake_exporting = wake_exporting

    async def DraftRule(self, request: api.DraftRuleRequest, context: Any) -> api.Rule:
        """Write a rule down."""
        caller = administrator()
        async with self.database.snapshot() as tx:
            if len(await queries.list_rules(tx)) >= RULES:
                raise Rejected(f"there are {RULES} rules already: one rule can be for all communities")
            if request.audience_id and not await queries.subject_name(tx, request.audience_id):
                raise InvalidArgument("there is no such community, group or person", "audience_id")
        command = commands.DraftRule(
            rule_id=new_id(), name=request.name, audience=request.audience, audience_id=request.audience_id, age_days=request.age_days,
            unit=request.unit, author_id=caller.person_id, reason=request.reason, now=self.now(),
        )
        done = await self.handle(caller, rule, f"rule-{command.rule_id}", command, request.request_id)
        return await self._rule(done.stream.removeprefix("rule-"))

    async def ListRules(self, request: api.ListRulesRequest, context: Any) -> api.ListRulesResponse:
        """All rules, the newest first."""
        administrator()
        async with self.database.snapshot() as tx:
            return api.ListRulesResponse(rules=[await _rule(tx, row) for row in await queries.list_rules(tx)])

    async def GetRule(self, request: api.GetRuleRequest, context: Any) -> api.Rule:
        """One rule with its newest runs."""
        administrator()
        return await self._rule(request.rule_id)

    async def _rule(self, rule_id: str) -> api.Rule:
        async with self.database.snapshot() as tx:
            row = await queries.fetch_rule(tx, rule_id)
            if row is None:
                raise NotFound("there is no such rule", "rule_id")
            return await _rule(tx, row)

    async def RehearseRule(self, request: api.RehearseRuleRequest, context: Any) -> api.Rehearsal:
        """Count what the rule would delete now, and note that it was looked at."""
        caller = administrator()
        now = self.now()
        async with self.database.snapshot() as tx:
            await tx.take_time()
            row = await queries.fetch_rule(tx, request.rule_id)
            if row is None:
                raise NotFound("there is no such rule", "rule_id")
            rehearsal = await queries.rehearse(tx, caller, request.rule_id, queries.selection(row, micros(now)))
        command = commands.RehearseRule(
            rule_id=request.rule_id, post_count=rehearsal.post_count, protected_count=rehearsal.protected_count,
            person_id=caller.person_id, now=now,
        )
        await self.handle(caller, rule, f"rule-{request.rule_id}", command)
        return rehearsal

    async def EnableRule(self, request: api.EnableRuleRequest, context: Any) -> api.Rule:
        """Switch a rule on that was looked at within the last seven days."""
        caller = administrator()
        command = commands.EnableRule(rule_id=request.rule_id, person_id=caller.person_id, reason=request.reason, now=self.now())
        await self.handle(caller, rule, f"rule-{request.rule_id}", command, request.request_id)
        self._wake_keeping()
        return await self._rule(request.rule_id)

    async def DisableRule(self, request: api.DisableRuleRequest, context: Any) -> api.Rule:
        """Switch a rule off."""
        caller = administrator()
        command = commands.DisableRule(rule_id=request.rule_id, person_id=caller.person_id, reason=request.reason, now=self.now())
        await self.handle(caller, rule, f"rule-{request.rule_id}", command, request.request_id)
        return await self._rule(request.rule_id)

    async def PlaceHold(self, request: api.PlaceHoldRequest, context: Any) -> api.Hold:
        """Place a legal hold."""
        caller = administrator()
        async with self.database.snapshot() as tx:
            if len(await queries.list_holds(tx, lifted=False, person_id="")) >= HOLDS:
                raise Rejected(f"there are {HOLDS:,} holds already: lift those that are over")
            if request.subject == pb.HOLD_SUBJECT_PERSON and await people_queries.fetch_person(tx, request.subject_id) is None:
                raise InvalidArgument(NO_PERSON, "subject_id")
            if request.subject == pb.HOLD_SUBJECT_COMMUNITY and not await queries.subject_name(tx, request.subject_id):
                raise InvalidArgument(NO_COMMUNITY, "subject_id")
        command = commands.PlaceHold(
            hold_id=new_id(), subject=request.subject, subject_id=request.subject_id,
            from_time=moment(request.from_time, "from_time") if request.HasField("from_time") else None,
            until_time=moment(request.until_time, "until_time") if request.HasField("until_time") else None,
            reason=request.reason, placer_id=caller.person_id, now=self.now(),
        )
        done = await self.handle(caller, hold, f"hold-{command.hold_id}", command, request.request_id)
        return await self._hold(done.stream.removeprefix("hold-"))

    async def LiftHold(self, request: api.LiftHoldRequest, context: Any) -> api.Hold:
        """End a hold; what was deleted meanwhile goes for good."""
        caller = administrator()
        command = commands.LiftHold(hold_id=request.hold_id, reason=request.reason, lifter_id=caller.person_id, now=self.now())
        await self.handle(caller, hold, f"hold-{request.hold_id}", command, request.request_id)
        self._wake_keeping()
        return await self._hold(request.hold_id)

    async def _hold(self, hold_id: str) -> api.Hold:
        async with self.database.snapshot() as tx:
            for found in await queries.list_holds(tx, lifted=True, person_id=""):
                if found.hold_id == hold_id:
                    return found
        raise NotFound("there is no such hold", "hold_id")

    async def ListHolds(self, request: api.ListHoldsRequest, context: Any) -> api.ListHoldsResponse:
        """Legal holds, the newest first."""
        administrator()
        async with self.database.snapshot() as tx:
            holds = await queries.list_holds(tx, lifted=request.include_lifted, person_id=request.person_id)
        return api.ListHoldsResponse(holds=holds)

    async def RequestExport(self, request: api.RequestExportRequest, context: Any) -> api.Export:
        """Ask for an export; it is written in the background."""
        caller = person()
        subject_id = request.subject_id or (caller.person_id if request.subject == pb.EXPORT_SUBJECT_PERSON else "")
        reason = request.reason.strip()
        async with self.database.snapshot() as tx:
            if request.subject == pb.EXPORT_SUBJECT_PERSON:
                if subject_id != caller.person_id:
                    administrator()
                    if await people_queries.fetch_person(tx, subject_id) is None:
                        raise NotFound(NO_PERSON, "subject_id")
                    _check_reason(reason)
            elif request.subject == pb.EXPORT_SUBJECT_COMMUNITY:
                found = await community_queries.fetch_community(tx, caller, subject_id) if is_id(subject_id) else None
                if found is None:
                    raise NotFound(NO_COMMUNITY, "subject_id")
                if found.my_role != events_pb2.MEMBER_ROLE_OWNER:
                    if not caller.is_administrator:
                        raise PermissionDenied("only the community's owners can take it with them: ask one of them")
                    _check_reason(reason)
            else:
                raise InvalidArgument("an export is of a person or a community", "subject")
            if await exports.waiting(tx, caller.person_id) >= EXPORTS_WAITING:
                raise Rejected(f"{EXPORTS_WAITING} exports of yours are being written: wait until one is ready")
        command = commands.RequestExport(
            export_id=new_id(), subject=request.subject, subject_id=subject_id, requester_id=caller.person_id, reason=reason,
            now=self.now(),
        )
        done = await self.handle(caller, export, f"export-{command.export_id}", command, request.request_id)
        self._wake_exporting()
        return await self._export(caller, done.stream.removeprefix("export-"))

    async def ListExports(self, request: api.ListExportsRequest, context: Any) -> api.ListExportsResponse:
        """The newest exports that the caller asked for."""
        caller = person()
        async with self.database.snapshot() as tx:
            rows = await exports.of_requester(tx, caller.person_id, EXPORTS)
            return api.ListExportsResponse(exports=[await exports.described(tx, row, with_blob=False) for row in rows])

    async def GetExport(self, request: api.GetExportRequest, context: Any) -> api.Export:
        """One export, with where its file is, for who asked for it."""
        caller = auth.caller()
        return await self._export(caller, request.export_id)

    async def _export(self, caller: Caller, export_id: str) -> api.Export:
        async with self.database.snapshot() as tx:
            row = await exports.fetch(tx, export_id)
            if row is None or not caller.person_id or row["requester_id"] != caller.person_id:
                raise NotFound("there is no such export, or somebody else asked for it", "export_id")
            if not await _still_entitled(tx, caller, row):
                raise PermissionDenied("this export is no longer for you: what you were when you asked for it, you are no more")
            return await exports.described(tx, row, with_blob=True)


async def _still_entitled(tx: Transaction, caller: Caller, row: Row) -> bool:
    """Whether who asked for an export might ask for it now: a file goes no further than the rights it was made by."""
    if row["subject"] == pb.EXPORT_SUBJECT_PERSON:
        return caller.is_administrator or bool(row["subject_id"] == caller.person_id)
    found = await community_queries.fetch_community(tx, caller, row["subject_id"])
    return found is not None and (caller.is_administrator or found.my_role == events_pb2.MEMBER_ROLE_OWNER)


def moment(given: Timestamp, field: str) -> datetime:
    """A moment of a request; raises InvalidArgument for what is none."""
    try:
        return given.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument("this is no moment in time", field) from error


def _check_reason(reason: str) -> None:
    if not 1 <= len(reason) <= export.REASON_CHARACTERS:
        raise InvalidArgument(f"give the reason, in 1 to {export.REASON_CHARACTERS} characters: it stays on record", "reason")


async def _rule(tx: Transaction, row: Row) -> api.Rule:
    found = api.Rule(
        rule_id=row["rule_id"], name=row["name"], audience=row["audience"], audience_id=row["audience_id"],
        audience_name=await queries.subject_name(tx, row["audience_id"]) if row["audience_id"] else "", age_days=row["age_days"],
        unit=row["unit"], reason=row["reason"], enabled=bool(row["enabled"]), rehearsed_count=row["rehearsed_count"],
        runs=await queries.runs(tx, row["rule_id"], RUNS), etag=str(row["version"]),
    )
    found.draft_time.FromMicroseconds(row["draft_time"])
    if row["rehearse_time"]:
        found.rehearse_time.FromMicroseconds(row["rehearse_time"])
    return found
