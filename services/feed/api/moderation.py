"""Reports, what is decided about them, and appeals."""
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, cast

from google.protobuf.timestamp_pb2 import Timestamp

from libs.db.database import Row, Transaction
from libs.eventstore.model import InvalidArgument, NotFound, PermissionDenied, Recorded, Rejected, fold, micros
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.text.ids import new_id, pair_id
from libs.text.markdown import plain
from watercooler.feed.v1 import moderation_events_pb2 as pb
from watercooler.feed.v1 import moderation_service_pb2 as api
from watercooler.feed.v1.feed_service_pb2 import Author, Community, Post
from watercooler.feed.v1.moderation_service_pb2_grpc import ModerationServiceServicer

from ..commands import moderation as commands
from ..deciders import case
from ..queries import communities as community_queries
from ..queries import moderation as queries
from ..queries import people as people_queries
from ..queries import policy as policy_queries
from ..queries import posts as post_queries
from ..reading_back import content_of
from .base import NO_COMMUNITY, NO_PERSON, NO_POST, Calls, page_size, person, position_of, token
from .policy import administrator

SUBJECTS = 10
MY_REPORTS = 100
_END = 1 << 62
NO_CASE = "there is no such case, or it is not for you to decide"
NO_NOTICE = "there is no such decision, or it is not about you"


class ModerationApi(Calls, ModerationServiceServicer):
    """ModerationService."""

    async def FileReport(self, request: api.FileReportRequest, context: Any) -> api.Report:
        """Report up to ten things at once; each goes to those who decide about it."""
        caller = person()
        asked = list(dict.fromkeys((one.subject, one.subject_id) for one in request.subjects))
        if not 1 <= len(asked) <= SUBJECTS:
            raise InvalidArgument(f"a report is about 1 to {SUBJECTS} things, not {len(asked)}", "subjects")
        filed = []
        report_id, now = new_id(), self.now()
        async with self.database.snapshot() as tx:
            administrators = await queries.administrators(tx)
            for subject, subject_id in asked:
                author_id, community_id, to_administrators = await self._found(tx, caller, subject, subject_id)
                filed.append(commands.FileReport(
                    case_id=case_id_of(subject, subject_id), report_id=report_id, subject=subject, subject_id=subject_id,
                    author_id=author_id, community_id=community_id, to_administrators=to_administrators, reporter_id=caller.person_id,
                    category=request.category, words=request.words, now=now, administrator_ids=administrators,
                ))
        for command in filed:
            request_id = f"{request.request_id}:{command.case_id[:8]}" if request.request_id else ""
            await self.handle(caller, case, f"case-{command.case_id}", command, request_id)
        report = api.Report(report_id=report_id, subjects=request.subjects, category=request.category, words=request.words.strip())
        report.report_time.FromDatetime(now)
        return report

    async def _found(self, tx: Transaction, caller: Caller, subject: int, subject_id: str) -> tuple[str, str, bool]:
        """Whose matter it is, in which community, and whether it goes to the administrators."""
        match subject:
            case pb.CASE_SUBJECT_POST:
                frame = await post_queries.fetch_frame(tx, caller, subject_id)
                if frame is None:
                    raise NotFound(NO_POST, "subjects")
                if frame["hidden"]:
                    raise Rejected("this post is gone already: there is nothing to report any more")
                if frame["author_id"] == caller.person_id:
                    raise Rejected("this post is your own: edit or delete it instead")
                community_id = frame["scope_id"] if frame["scope"] == "community" else ""
                return frame["author_id"], community_id, await to_administrators(tx, community_id, frame["author_id"])
            case pb.CASE_SUBJECT_PERSON:
                found = await people_queries.fetch_person(tx, subject_id)
                if found is None or found["erased"]:
                    raise NotFound(NO_PERSON, "subjects")
                if subject_id == caller.person_id:
                    raise Rejected("this is you: others can be reported")
                return subject_id, "", True
            case pb.CASE_SUBJECT_COMMUNITY:
                community = await community_queries.fetch_community(tx, caller, subject_id) if subject_id else None
                if community is None:
                    raise NotFound(NO_COMMUNITY, "subjects")
                return "", subject_id, True
            case _:
                raise InvalidArgument("a report is about a post, a person or a community", "subjects")

    async def ListMyReports(self, request: api.ListMyReportsRequest, context: Any) -> api.ListMyReportsResponse:
        """The newest reports of the caller, newest first."""
        caller = person()
        async with self.database.snapshot() as tx:
            rows = await queries.filed_by(tx, caller.person_id, MY_REPORTS)
        reports: dict[str, api.Report] = {}
        for row in rows:
            report = reports.get(row["report_id"])
            if report is None:
                report = reports[row["report_id"]] = api.Report(report_id=row["report_id"], decided=True)
                for recorded in await self.events.read(f"case-{row['case_id']}"):
                    if isinstance(recorded.data, pb.ReportFiled) and recorded.data.report_id == row["report_id"]:
                        report.category, report.words = recorded.data.category, recorded.data.words
                        report.report_time.CopyFrom(recorded.data.report_time)
            report.subjects.add(subject=row["subject"], subject_id=row["subject_id"], case_id=row["case_id"])
            report.decided = report.decided and row["state"] in (api.CASE_STATE_DECIDED, api.CASE_STATE_APPEALED)
        return api.ListMyReportsResponse(reports=reports.values())

    async def ListCases(self, request: api.ListCasesRequest, context: Any) -> api.ListCasesResponse:
        """The cases that the caller may decide."""
        caller = auth.caller()
        size = page_size(request.page_size)
        before = position_of(request.page_token, _END)
        async with self.database.snapshot() as tx:
            rows = await queries.list_cases(
                tx, caller, state=request.state, only_mine=request.only_mine, community_id=request.community_id, before=before,
                limit=size + 1,
            )
            found = await queries.summaries(tx, rows[:size])
        return api.ListCasesResponse(cases=found, next_page_token=token(rows[size - 1]["position"]) if len(rows) > size else "")

    async def GetModerationState(self, request: api.GetModerationStateRequest, context: Any) -> api.ModerationState:
        """Whether the caller moderates anything, and how much waits."""
        caller = auth.caller()
        async with self.database.snapshot() as tx:
            moderates = caller.is_administrator or await queries.moderates(tx, caller.person_id)
            return api.ModerationState(moderates=moderates, waiting_count=await queries.count_waiting(tx, caller) if moderates else 0)

    async def GetCase(self, request: api.GetCaseRequest, context: Any) -> api.Case:
        """A case with everything that was said in it."""
        return await self._case(auth.caller(), request.case_id)

    async def _row(self, tx: Transaction, caller: Caller, case_id: str) -> Row:
        row = await queries.fetch_case(tx, caller, case_id)
        if row is None:
            raise NotFound(NO_CASE, "case_id")
        return row

    async def _case(self, caller: Caller, case_id: str) -> api.Case:
        async with self.database.snapshot() as tx:
            row = await self._row(tx, caller, case_id)
            summary = (await queries.summaries(tx, [row]))[0]
            alone = not await queries.others_who_decide(tx, row, caller.person_id)
            guidelines = await self._guidelines(tx, row["community_id"])
            name = ""
            if row["subject"] == pb.CASE_SUBJECT_COMMUNITY:
                name, _ = await queries.name_and_rules(tx, row["subject_id"])
        recorded = await self.events.read(f"case-{case_id}")
        state = _state(recorded)
        people = await self._people(recorded)
        post = await self._post(row["subject_id"], people) if row["subject"] == pb.CASE_SUBJECT_POST else None
        newest = state.decisions[-1].decided if state.decisions else None
        may_appeal = state.status == "appealed" and (newest is None or newest.decider_id != caller.person_id or alone)
        hindrance = ""
        if state.status == "appealed" and not may_appeal:
            hindrance = "you took the decision: somebody else decides the appeal"
        elif not state.fresh and state.status != "appealed":
            hindrance = "everything reported was decided"
        return api.Case(
            summary=summary, post=post, reports=_reports(state, people), decisions=[_decision(one, people) for one in state.decisions],
            history=[_step(one, people) for one in recorded], guidelines=guidelines,
            outcomes=case.outcomes(state.subject, state.community_id), may_decide=bool(state.fresh) and state.status == "open",
            may_decide_appeal=may_appeal, hindrance=hindrance, community_subject_name=name, etag=str(state.version),
        )

    @staticmethod
    async def _guidelines(tx: Transaction, community_id: str) -> list[str]:
        """The rules of the community and the guidelines, one a line."""
        policy = await policy_queries.fetch_policy(tx)
        _, rules = await queries.name_and_rules(tx, community_id)
        return [*_lines(rules), *_lines(policy.guidelines)]

    async def _people(self, recorded: Sequence[Recorded]) -> dict[str, Author]:
        ids = {one.meta.actor_id for one in recorded}
        for one in recorded:
            for field in ("reporter_id", "moderator_id", "decider_id", "author_id"):
                ids.add(getattr(one.data, field, ""))
        async with self.database.snapshot() as tx:
            return dict(await post_queries.fetch_authors(tx, {person_id for person_id in ids if person_id}))

    async def _post(self, post_id: str, people: dict[str, Author]) -> Post | None:
        """The reported post as its newest text reads, also where it was deleted: the decision is about what stood there."""
        stream = await self.events.read(f"post-{post_id}")
        content, deleted, erased = content_of(stream)
        if content is None or erased:
            return None
        shown = Post(
            post_id=post_id, body=content.body, language=content.language, audience=content.audience, attachments=content.attachments,
            warning=content.warning, sensitive=content.sensitive, publish_time=content.publish_time, root_id=content.root_id,
            parent_id=content.parent_id, deleted=deleted, kind=content.kind,
        )
        if content.HasField("poll"):
            shown.poll.poll.CopyFrom(content.poll)
        shown.author.CopyFrom(people.get(content.author_id) or Author(person_id=content.author_id))
        return shown

    async def AssignCase(self, request: api.AssignCaseRequest, context: Any) -> api.Case:
        """Look after a case, or give it back."""
        caller = person()
        async with self.database.snapshot() as tx:
            await self._row(tx, caller, request.case_id)
        command = commands.AssignCase(
            case_id=request.case_id, moderator_id=caller.person_id, release=request.release, now=self.now()
        )
        await self.handle(caller, case, f"case-{request.case_id}", command, request.request_id)
        return await self._case(caller, request.case_id)

    async def EscalateCase(self, request: api.EscalateCaseRequest, context: Any) -> api.Case:
        """Leave a case to the administrators."""
        caller = person()
        async with self.database.snapshot() as tx:
            row = await self._row(tx, caller, request.case_id)
            administrators = await queries.administrators(tx)
        before = await self._case(caller, request.case_id)
        command = commands.EscalateCase(
            case_id=request.case_id, moderator_id=caller.person_id, reason=request.reason.strip(), now=self.now(),
            administrator_ids=administrators,
        )
        await self.handle(caller, case, f"case-{row['case_id']}", command, request.request_id)
        try:
            return await self._case(caller, request.case_id)
        except NotFound:  # it is no longer theirs
            before.summary.to_administrators = True
            before.may_decide = before.may_decide_appeal = False
            return before

    async def DecideCase(self, request: api.DecideCaseRequest, context: Any) -> api.Case:
        """Decide; what follows from it is done at once after."""
        caller = person()
        async with self.database.snapshot() as tx:
            row = await self._row(tx, caller, request.case_id)
        warning, sensitive = "", False
        if row["subject"] == pb.CASE_SUBJECT_POST:
            content, _, _ = content_of(await self.events.read(f"post-{row['subject_id']}"))
            if content is not None:
                warning, sensitive = content.warning, content.sensitive
        command = commands.DecideCase(
            case_id=request.case_id, outcome=request.outcome, guideline=request.guideline, reason=request.reason,
            decider_id=caller.person_id, now=self.now(), mute_days=request.mute_days, warning=request.warning, former_warning=warning,
            former_sensitive=sensitive, etag=request.etag,
        )
        await self.handle(caller, case, f"case-{request.case_id}", command, request.request_id)
        return await self._case(caller, request.case_id)

    async def DecideAppeal(self, request: api.DecideAppealRequest, context: Any) -> api.Case:
        """Uphold an appeal, which takes back what was decided, or dismiss it."""
        caller = person()
        async with self.database.snapshot() as tx:
            row = await self._row(tx, caller, request.case_id)
            alone = not await queries.others_who_decide(tx, row, caller.person_id)
        command = commands.DecideAppeal(
            case_id=request.case_id, upheld=request.upheld, reason=request.reason, decider_id=caller.person_id, alone=alone, now=self.now()
        )
        await self.handle(caller, case, f"case-{request.case_id}", command, request.request_id)
        return await self._case(caller, request.case_id)

    async def GetNotice(self, request: api.GetNoticeRequest, context: Any) -> api.Notice:
        """What was decided, for somebody concerned."""
        return await self._notice(person(), request.case_id)

    async def _notice(self, caller: Caller, case_id: str) -> api.Notice:
        async with self.database.snapshot() as tx:
            row = await queries.party(tx, case_id, caller.person_id)
            if row is None:
                raise NotFound(NO_NOTICE, "case_id")
        state = _state(await self.events.read(f"case-{case_id}"))
        mine = bool(row["author"])
        community: Community | None = None
        if state.community_id:
            async with self.database.snapshot() as tx:
                community = await community_queries.fetch_community(tx, caller, state.community_id)
        notice = api.Notice(
            case_id=case_id, subject=state.subject, subject_id=state.subject_id, mine=mine, community_id=state.community_id,
            community_name=community.name if community else "",
        )
        if mine:
            notice.decisions.extend(
                _without_decider(_decision(one, {})) for one in state.decisions if one.decided.outcome != pb.CASE_OUTCOME_NO_BREACH
            )
            newest = state.decisions[-1]
            notice.may_appeal = (
                newest.decided.outcome != pb.CASE_OUTCOME_NO_BREACH and newest.appeal is None
                and micros(self.now()) <= case.appeal_end_micros(newest.decided)
            )
            if state.subject == pb.CASE_SUBJECT_POST:
                content, _, _ = content_of(await self.events.read(f"post-{state.subject_id}"))
                notice.body = content.body if content is not None else ""
            return notice
        for one in state.decisions:
            if caller.person_id in one.decided.reporter_ids:
                outcome = api.CaseDecision(
                    number=one.decided.number, outcome=one.decided.outcome, guideline=one.decided.guideline,
                    decide_time=one.decided.decide_time, appeal_decided=one.verdict is not None and one.verdict.upheld,
                    appeal_upheld=one.verdict is not None and one.verdict.upheld,
                )
                notice.decisions.append(outcome)
        for report in (*state.fresh, *(old for _, old in state.answered)):
            if isinstance(report, pb.ReportFiled) and report.reporter_id == caller.person_id:
                notice.report_time.CopyFrom(report.report_time)
                break
        return notice

    async def ListNotices(self, request: api.ListNoticesRequest, context: Any) -> api.ListNoticesResponse:
        """Everything the caller is told of, newest first."""
        caller = person()
        size = page_size(request.page_size)
        before = position_of(request.page_token, _END)
        async with self.database.snapshot() as tx:
            rows = await queries.parties(tx, caller.person_id, before, size + 1)
        notices = [await self._notice(caller, row["case_id"]) for row in rows[:size]]
        return api.ListNoticesResponse(notices=notices, next_page_token=token(rows[size - 1]["position"]) if len(rows) > size else "")

    async def FileAppeal(self, request: api.FileAppealRequest, context: Any) -> api.Notice:
        """Ask that the newest decision about the caller is looked at again."""
        caller = person()
        async with self.database.snapshot() as tx:
            row = await queries.party(tx, request.case_id, caller.person_id)
            administrators = await queries.administrators(tx)
        if row is None or not row["author"]:
            raise NotFound(NO_NOTICE, "case_id")
        command = commands.FileAppeal(
            case_id=request.case_id, person_id=caller.person_id, words=request.words, now=self.now(), administrator_ids=administrators
        )
        await self.handle(caller, case, f"case-{request.case_id}", command, request.request_id)
        return await self._notice(caller, request.case_id)

    async def ListAudit(self, request: api.ListAuditRequest, context: Any) -> api.ListAuditResponse:
        """Every decision of those who govern the network."""
        administrator()
        size = page_size(request.page_size)
        before = position_of(request.page_token, _END)
        if not re.fullmatch(r"[a-z]{0,20}", request.action):
            raise InvalidArgument("an action begins with one word, such as `rule`", "action")
        async with self.database.snapshot() as tx:
            entries = await queries.audit(tx, request.action, before, size + 1)
        return api.ListAuditResponse(
            entries=entries[:size], next_page_token=token(entries[size - 1].position) if len(entries) > size else ""
        )


def _state(recorded: Sequence[Recorded]) -> case.Case:
    return fold(case, [cast(case.Event, one.data) for one in recorded])


def case_id_of(subject: int, subject_id: str) -> str:
    """The one case of a post, a person or a community."""
    return pair_id(pb.CaseSubject.Name(subject), subject_id)  # type: ignore[arg-type]


async def to_administrators(tx: Transaction, community_id: str, author_id: str) -> bool:
    """Whether a post's case goes to the administrators: outside communities, and where its author moderates the community."""
    return not community_id or await queries.author_moderates(tx, community_id, author_id)


async def check_not_muted(tx: Transaction, caller: Caller, community_id: str, now: Any) -> None:
    """Raises where a moderator decided that the caller writes nothing in a community for now."""
    end = await queries.silenced_until(tx, community_id, caller.person_id)
    if end > micros(now):
        until = Timestamp()
        until.FromMicroseconds(end)
        raise PermissionDenied(
            f"a moderator decided that you write nothing in this community until {until.ToDatetime():%Y-%m-%d %H:%M} UTC: "
            "your notifications say why, and how to appeal"
        )


def _reports(state: case.Case, people: dict[str, Author]) -> list[api.CaseReport]:
    found = []
    for decisions, report in (*state.answered, *((len(state.decisions), fresh) for fresh in state.fresh)):
        if isinstance(report, pb.WatchMatched):
            found.append(api.CaseReport(watched_words=report.words, report_time=report.match_time, decisions_before=decisions))
            continue
        shown = api.CaseReport(
            report_id=report.report_id, category=report.category, words=report.words, report_time=report.report_time,
            decisions_before=decisions,
        )
        shown.reporter.CopyFrom(people.get(report.reporter_id) or Author(person_id=report.reporter_id))
        found.append(shown)
    return found


def _decision(one: case.Decision, people: dict[str, Author]) -> api.CaseDecision:
    decided = one.decided
    shown = api.CaseDecision(
        number=decided.number, outcome=decided.outcome, guideline=decided.guideline, reason=decided.reason,
        decide_time=decided.decide_time, warning=decided.warning,
        decider=people.get(decided.decider_id) or Author(person_id=decided.decider_id),
    )
    if decided.HasField("mute_end_time"):
        shown.mute_end_time.CopyFrom(decided.mute_end_time)
    if decided.outcome != pb.CASE_OUTCOME_NO_BREACH:
        shown.appeal_end_time.FromMicroseconds(case.appeal_end_micros(decided))
    if one.appeal is not None:
        shown.appealed, shown.appeal_words = True, one.appeal.words
        shown.appeal_time.CopyFrom(one.appeal.appeal_time)
    if one.verdict is not None:
        shown.appeal_decided, shown.appeal_upheld, shown.appeal_reason = True, one.verdict.upheld, one.verdict.reason
        shown.appeal_decider.CopyFrom(people.get(one.verdict.decider_id) or Author(person_id=one.verdict.decider_id))
        shown.appeal_decide_time.CopyFrom(one.verdict.decide_time)
    return shown


def _without_decider(decision: api.CaseDecision) -> api.CaseDecision:
    decision.ClearField("decider")
    decision.ClearField("appeal_decider")
    return decision


def _step(recorded: Recorded, people: dict[str, Author]) -> api.CaseStep:
    match recorded.data:
        case pb.ReportFiled() as filed:
            name, person_id, detail = "reported", filed.reporter_id, ""
        case pb.WatchMatched() as matched:
            name, person_id, detail = "matched", "", ", ".join(matched.words)
        case pb.CaseAssigned() as assigned:
            name, person_id, detail = ("assigned", assigned.moderator_id, "") if assigned.moderator_id else (
                "released", recorded.meta.actor_id, "")
        case pb.CaseEscalated() as escalated:
            name, person_id, detail = "escalated", escalated.moderator_id, escalated.reason
        case pb.CaseDecided() as decided:
            name, person_id, detail = "decided", decided.decider_id, decided.reason
        case pb.AppealFiled() as appeal:
            name, person_id, detail = "appealed", appeal.author_id, appeal.words
        case pb.AppealDecided() as verdict:
            name, person_id, detail = "appeal_decided", verdict.decider_id, verdict.reason
        case other:
            raise TypeError(f"{type(other).__name__} is no event of a case")
    step = api.CaseStep(step=name, detail=detail)
    if person_id:
        step.person.CopyFrom(people.get(person_id) or Author(person_id=person_id))
    step.step_time.FromMicroseconds(recorded.record_micros)
    return step


def _lines(markdown: str) -> Iterable[str]:
    lines = (plain(line).strip()[:case.GUIDELINE_CHARACTERS] for line in markdown.splitlines())
    return [line for line in lines if len(line) > 2]
