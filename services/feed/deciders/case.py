"""A case: everything that was ever reported of one post, person or community, what was decided, and appeals."""
from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, assert_never

from libs.eventstore.model import EditConflict, InvalidArgument, NotFound, PermissionDenied, Rejected, micros
from watercooler.feed.v1 import moderation_events_pb2 as pb
from watercooler.feed.v1.moderation_events_pb2 import (
    AppealDecided,
    AppealFiled,
    CaseAssigned,
    CaseDecided,
    CaseEscalated,
    ReportFiled,
    WatchMatched,
)

from ..commands.moderation import AssignCase, CaseCommand, DecideAppeal, DecideCase, EscalateCase, FileAppeal, FileReport, MatchWatch

Event = ReportFiled | WatchMatched | CaseAssigned | CaseEscalated | CaseDecided | AppealFiled | AppealDecided

WORDS_CHARACTERS = 1_000
REASON_CHARACTERS = 2_000
GUIDELINE_CHARACTERS = 500
WARNING_CHARACTERS = 200
APPEAL_CHARACTERS = 5_000
APPEAL_DAYS = 30
MUTE_DAYS = 365
# More reports of one thing before it is decided say nothing new, and are not kept.
REPORTS = 200

_ANYWHERE = (pb.CASE_OUTCOME_NO_BREACH, pb.CASE_OUTCOME_REMINDED)
_IN_COMMUNITY = (pb.CASE_OUTCOME_MUTED, pb.CASE_OUTCOME_MEMBER_REMOVED)


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision with the appeal against it, where there is one."""

    decided: CaseDecided
    appeal: AppealFiled | None = None
    verdict: AppealDecided | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """The case as it stands; `fresh` are the reports that no decision has answered yet."""

    status: Literal["absent", "open", "decided", "appealed"] = "absent"
    version: int = 0
    subject: pb.CaseSubject.ValueType = pb.CASE_SUBJECT_UNSPECIFIED
    subject_id: str = ""
    author_id: str = ""
    community_id: str = ""
    to_administrators: bool = False
    assignee_id: str = ""
    fresh: tuple[ReportFiled | WatchMatched, ...] = ()
    answered: tuple[tuple[int, ReportFiled | WatchMatched], ...] = ()
    decisions: tuple[Decision, ...] = ()


def initial() -> Case:
    """Nobody has reported it."""
    return Case()


def outcomes(subject: int, community_id: str) -> tuple[pb.CaseOutcome.ValueType, ...]:
    """What can be decided of such a thing."""
    if subject != pb.CASE_SUBJECT_POST:
        return _ANYWHERE
    own = (pb.CASE_OUTCOME_COVERED, pb.CASE_OUTCOME_REMOVED)
    return (*_ANYWHERE, *own, *_IN_COMMUNITY) if community_id else (*_ANYWHERE, *own)


def decide(command: CaseCommand, case: Case) -> list[Event]:
    """What happens to the case; raises Rejected with the limit that is passed."""
    match command:
        case FileReport():
            return _report(command, case)
        case MatchWatch():
            return _match(command, case)
    if case.status == "absent":
        raise NotFound("there is no such case")
    match command:
        case AssignCase():
            if case.status == "decided":
                raise Rejected("this case was decided: nobody needs to look after it any more")
            now_with = "" if command.release else command.moderator_id
            if now_with == case.assignee_id or (command.release and case.assignee_id != command.moderator_id):
                return []
            if command.moderator_id == case.author_id:
                raise PermissionDenied("this case is about you: somebody else looks after it")
            assigned = CaseAssigned(case_id=command.case_id, moderator_id=now_with)
            assigned.assign_time.FromDatetime(command.now)
            return [assigned]
        case EscalateCase():
            if case.status == "decided":
                raise Rejected("this case was decided already")
            if case.to_administrators:
                raise Rejected("this case is with the administrators already")
            _check_reason(command.reason)
            escalated = CaseEscalated(
                case_id=command.case_id, moderator_id=command.moderator_id, author_id=case.author_id or command.moderator_id,
                reason=command.reason, administrator_ids=command.administrator_ids,
            )
            escalated.escalate_time.FromDatetime(command.now)
            return [escalated]
        case DecideCase():
            return _decide(command, case)
        case FileAppeal():
            return _appeal(command, case)
        case DecideAppeal():
            return _decide_appeal(command, case)
        case _:
            assert_never(command)


def evolve(case: Case, event: Event) -> Case:
    """The case after the event."""
    version = case.version + 1
    match event:
        case ReportFiled():
            return replace(
                case, status="appealed" if case.status == "appealed" else "open",
                version=version, subject=event.subject, subject_id=event.subject_id, author_id=event.author_id,
                community_id=event.community_id, to_administrators=event.to_administrators, fresh=(*case.fresh, event),
            )
        case WatchMatched():
            return replace(
                case, status="appealed" if case.status == "appealed" else "open",
                version=version, subject=pb.CASE_SUBJECT_POST, subject_id=event.post_id, author_id=event.author_id,
                community_id=event.community_id, to_administrators=event.to_administrators, fresh=(*case.fresh, event),
            )
        case CaseAssigned():
            return replace(case, version=version, assignee_id=event.moderator_id)
        case CaseEscalated():
            return replace(case, version=version, to_administrators=True, assignee_id="")
        case CaseDecided():
            answered = tuple((event.number - 1, report) for report in case.fresh)
            return replace(
                case, status="decided", version=version, assignee_id="", fresh=(), answered=case.answered + answered,
                decisions=(*case.decisions, Decision(event)),
            )
        case AppealFiled():
            newest = replace(case.decisions[-1], appeal=event)
            return replace(case, status="appealed", version=version, assignee_id="", decisions=(*case.decisions[:-1], newest))
        case AppealDecided():
            newest = replace(case.decisions[-1], verdict=event)
            return replace(
                case, status="open" if case.fresh else "decided", version=version, assignee_id="",
                decisions=(*case.decisions[:-1], newest),
            )
        case _:
            assert_never(event)


def appeal_end_micros(decided: CaseDecided) -> int:
    """The last moment for an appeal, in microseconds since 1970."""
    return decided.decide_time.ToMicroseconds() + APPEAL_DAYS * 86_400_000_000


def _report(command: FileReport, case: Case) -> list[Event]:
    if command.category not in pb.ReportCategory.values() or not command.category:
        raise InvalidArgument("say what is wrong: choose one of the categories", "category")
    if len(command.words) > WORDS_CHARACTERS:
        raise InvalidArgument(f"a report has at most {WORDS_CHARACTERS:,} characters: shorten it", "words")
    if command.category == pb.REPORT_CATEGORY_OTHER and not command.words.strip():
        raise InvalidArgument("say in a few words what is wrong", "words")
    told = any(isinstance(report, ReportFiled) and report.reporter_id == command.reporter_id for report in case.fresh)
    if told or len(case.fresh) >= REPORTS:
        return []  # it waits to be decided already
    filed = ReportFiled(
        case_id=command.case_id, report_id=command.report_id, subject=command.subject, subject_id=command.subject_id,
        author_id=command.author_id, community_id=command.community_id,
        to_administrators=command.to_administrators or (case.to_administrators and case.status != "decided"),
        reporter_id=command.reporter_id, category=command.category, words=command.words.strip(),
    )
    filed.report_time.FromDatetime(command.now)
    filed.administrator_ids.extend(command.administrator_ids if filed.to_administrators else ())
    return [filed]


def _match(command: MatchWatch, case: Case) -> list[Event]:
    reports = (*case.fresh, *(old for _, old in case.answered))
    known = {word for report in reports if isinstance(report, WatchMatched) for word in report.words}
    new = [word for word in command.words if word not in known]
    if not new:
        return []
    matched = WatchMatched(
        case_id=command.case_id, post_id=command.post_id, author_id=command.author_id, community_id=command.community_id,
        to_administrators=command.to_administrators or (case.to_administrators and case.status != "decided"), words=new,
    )
    matched.match_time.FromDatetime(command.now)
    matched.administrator_ids.extend(command.administrator_ids if matched.to_administrators else ())
    return [matched]


def _decide(command: DecideCase, case: Case) -> list[Event]:
    if command.etag and command.etag != str(case.version):
        raise EditConflict("something happened in this case meanwhile: look at it again before you decide")
    if not case.fresh:
        raise Rejected("this case was decided already: nothing new was reported since")
    if case.status == "appealed":
        raise Rejected("there is an appeal in this case: decide that first")
    if command.decider_id == case.author_id:
        raise PermissionDenied("this case is about you: somebody else decides it")
    if command.outcome not in outcomes(case.subject, case.community_id):
        raise InvalidArgument("this cannot be decided here: choose one of the outcomes that the case names", "outcome")
    _check_reason(command.reason)
    breach = command.outcome != pb.CASE_OUTCOME_NO_BREACH
    if len(command.guideline) > GUIDELINE_CHARACTERS or (breach and not command.guideline.strip()):
        raise InvalidArgument(f"name the guideline that was broken, in 1 to {GUIDELINE_CHARACTERS} characters", "guideline")
    covered, muted = command.outcome == pb.CASE_OUTCOME_COVERED, command.outcome == pb.CASE_OUTCOME_MUTED
    if covered and not 1 <= len(command.warning.strip()) <= WARNING_CHARACTERS:
        raise InvalidArgument(f"say what the warning is to say, in 1 to {WARNING_CHARACTERS} characters", "warning")
    if muted and not 1 <= command.mute_days <= MUTE_DAYS:
        raise InvalidArgument(f"somebody is muted for 1 to {MUTE_DAYS} days", "mute_days")
    decided = CaseDecided(
        case_id=command.case_id, number=len(case.decisions) + 1, subject=case.subject, subject_id=case.subject_id,
        author_id=case.author_id, community_id=case.community_id, outcome=command.outcome,
        guideline=command.guideline.strip() if breach else "", reason=command.reason.strip(),
        about_id=case.author_id or command.decider_id, decider_id=command.decider_id,
        warning=command.warning.strip() if covered else "", former_warning=command.former_warning if covered else "",
        former_sensitive=covered and command.former_sensitive, reporter_ids=_reporters(case),
    )
    decided.decide_time.FromDatetime(command.now)
    if muted:
        decided.mute_end_time.FromDatetime(command.now + timedelta(days=command.mute_days))
    return [decided]


def _appeal(command: FileAppeal, case: Case) -> list[Event]:
    if command.person_id != case.author_id or not case.decisions:
        raise NotFound("there is no decision about you here")
    newest = case.decisions[-1]
    if newest.decided.outcome == pb.CASE_OUTCOME_NO_BREACH:
        raise Rejected("nothing was found wrong: there is nothing to appeal against")
    if newest.appeal is not None:
        raise Rejected("you have appealed against this decision already; it can be done once")
    if micros(command.now) > appeal_end_micros(newest.decided):
        raise Rejected(f"a decision can be appealed against for {APPEAL_DAYS} days: that time is over")
    if not 1 <= len(command.words.strip()) <= APPEAL_CHARACTERS:
        raise InvalidArgument(f"say why, in 1 to {APPEAL_CHARACTERS:,} characters", "words")
    filed = AppealFiled(
        case_id=command.case_id, number=newest.decided.number, author_id=case.author_id, words=command.words.strip(),
        community_id=case.community_id, to_administrators=case.to_administrators,
    )
    filed.appeal_time.FromDatetime(command.now)
    filed.administrator_ids.extend(command.administrator_ids if filed.to_administrators else ())
    return [filed]


def _decide_appeal(command: DecideAppeal, case: Case) -> list[Event]:
    if case.status != "appealed":
        raise Rejected("there is no appeal that waits to be decided")
    newest = case.decisions[-1]
    if command.decider_id == case.author_id:
        raise PermissionDenied("this appeal is your own: somebody else decides it")
    if command.decider_id == newest.decided.decider_id and not command.alone:
        raise PermissionDenied("an appeal is decided by somebody else than the decision: leave it to another moderator or administrator")
    _check_reason(command.reason)
    verdict = AppealDecided(
        case_id=command.case_id, number=newest.decided.number, author_id=case.author_id, upheld=command.upheld,
        reason=command.reason.strip(), decider_id=command.decider_id, reporter_ids=newest.decided.reporter_ids,
    )
    verdict.decide_time.FromDatetime(command.now)
    return [verdict]


def _reporters(case: Case) -> list[str]:
    return list(dict.fromkeys(report.reporter_id for report in case.fresh if isinstance(report, ReportFiled)))


def _check_reason(reason: str) -> None:
    if not 1 <= len(reason.strip()) <= REASON_CHARACTERS:
        raise InvalidArgument(f"give the reason, in 1 to {REASON_CHARACTERS:,} characters", "reason")
