"""The queue of cases, who is told of them, who is muted where; the administrators; and the record of every decision."""
from __future__ import annotations

from google.protobuf.message import Message

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1 import moderation_service_pb2 as api
from watercooler.feed.v1.moderation_events_pb2 import (
    CASE_OUTCOME_NO_BREACH,
    CASE_SUBJECT_POST,
    AppealDecided,
    AppealFiled,
    CaseAssigned,
    CaseDecided,
    CaseEscalated,
    MemberMuted,
    MemberUnmuted,
    ReportFiled,
    WatchMatched,
)
from watercooler.feed.v1.policy_events_pb2 import PolicyChanged, WatchChanged
from watercooler.feed.v1.retention_events_pb2 import (
    ExportRequested,
    HoldLifted,
    HoldPlaced,
    RuleApplied,
    RuleDisabled,
    RuleDrafted,
    RuleEnabled,
)
from watercooler.identity.v1 import events_pb2 as identity

_OPEN, _ASSIGNED = int(api.CASE_STATE_OPEN), int(api.CASE_STATE_ASSIGNED)
_DECIDED, _APPEALED = int(api.CASE_STATE_DECIDED), int(api.CASE_STATE_APPEALED)


class Moderation:
    """One row a case; no words of anybody."""

    name = "feed.moderation"
    handles: tuple[type[Message], ...] = (
        ReportFiled, WatchMatched, CaseAssigned, CaseEscalated, CaseDecided, AppealFiled, AppealDecided, MemberMuted, MemberUnmuted,
    )
    tables: tuple[str, ...] = ("cases", "case_parties", "filed_reports", "silences")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the row of its case."""
        match event.data:
            case ReportFiled() as filed:
                await self._report(
                    tx, event.position, filed.report_time.ToMicroseconds(), int(filed.category), case_id=filed.case_id,
                    subject=int(filed.subject), subject_id=filed.subject_id, author_id=filed.author_id, community_id=filed.community_id,
                    to_administrators=int(filed.to_administrators),
                )
                await _tell(tx, filed.case_id, filed.reporter_id, 0, event.position)
                await tx.batch(
                    """
                    INSERT INTO filed_reports (report_id, case_id, reporter_id, position)
                    VALUES (:report_id, :case_id, :reporter_id, :position)
                    """,
                    report_id=filed.report_id, case_id=filed.case_id, reporter_id=filed.reporter_id, position=event.position,
                )
            case WatchMatched() as matched:
                await self._report(
                    tx, event.position, matched.match_time.ToMicroseconds(), 0, case_id=matched.case_id, subject=int(CASE_SUBJECT_POST),
                    subject_id=matched.post_id, author_id=matched.author_id, community_id=matched.community_id,
                    to_administrators=int(matched.to_administrators),
                )
            case CaseAssigned() as assigned:
                await tx.batch(
                    """
                    UPDATE cases
                    SET assignee_id = :assignee_id,
                        state = CASE WHEN state = :appealed THEN state WHEN :assignee_id = '' THEN :open ELSE :assigned END
                    WHERE case_id = :case_id
                    """,
                    case_id=assigned.case_id, assignee_id=assigned.moderator_id, appealed=_APPEALED, open=_OPEN, assigned=_ASSIGNED,
                )
            case CaseEscalated() as escalated:
                await tx.batch(
                    """
                    UPDATE cases
                    SET to_administrators = 1, assignee_id = '', state = CASE WHEN state = :assigned THEN :open ELSE state END
                    WHERE case_id = :case_id
                    """,
                    case_id=escalated.case_id, assigned=_ASSIGNED, open=_OPEN,
                )
            case CaseDecided() as decided:
                await tx.batch(
                    """
                    UPDATE cases
                    SET state = :decided, assignee_id = '', fresh_count = 0, outcome = :outcome, upheld = 0, decide_time = :decide_time
                    WHERE case_id = :case_id
                    """,
                    case_id=decided.case_id, decided=_DECIDED, outcome=int(decided.outcome),
                    decide_time=decided.decide_time.ToMicroseconds(),
                )
                if decided.author_id and decided.outcome != CASE_OUTCOME_NO_BREACH:
                    await _tell(tx, decided.case_id, decided.author_id, 1, event.position)
                for reporter_id in decided.reporter_ids:
                    await _tell(tx, decided.case_id, reporter_id, 0, event.position)
            case AppealFiled() as appeal:
                await tx.batch(
                    "UPDATE cases SET state = :appealed, assignee_id = '', position = :position WHERE case_id = :case_id",
                    case_id=appeal.case_id, appealed=_APPEALED, position=event.position,
                )
            case AppealDecided() as verdict:
                await tx.batch(
                    """
                    UPDATE cases
                    SET assignee_id = '', state = CASE WHEN fresh_count > 0 THEN :open ELSE :decided END, upheld = :upheld
                    WHERE case_id = :case_id
                    """,
                    case_id=verdict.case_id, open=_OPEN, decided=_DECIDED, upheld=int(verdict.upheld),
                )
                await _tell(tx, verdict.case_id, verdict.author_id, 1, event.position)
            case MemberMuted() as muted:
                await tx.batch(
                    """
                    INSERT INTO silences (community_id, person_id, end_time) VALUES (:community_id, :person_id, :end_time)
                    ON CONFLICT (community_id, person_id) DO UPDATE SET end_time = excluded.end_time
                    """,
                    community_id=muted.community_id, person_id=muted.person_id, end_time=muted.end_time.ToMicroseconds(),
                )
            case MemberUnmuted() as unmuted:
                await tx.batch(
                    "DELETE FROM silences WHERE community_id = :community_id AND person_id = :person_id",
                    community_id=unmuted.community_id, person_id=unmuted.person_id,
                )

    @staticmethod
    async def _report(tx: Transaction, position: int, time: int, category: int, **facts: str | int) -> None:
        known = await tx.fetch_one("SELECT categories FROM cases WHERE case_id = :case_id", case_id=facts["case_id"])
        before = known["categories"].split() if known is not None else []
        categories = " ".join(dict.fromkeys([*before, *([str(category)] if category else [])]))
        await tx.batch(
            """
            INSERT INTO cases (case_id, subject, subject_id, author_id, community_id, to_administrators, state, assignee_id, report_count,
                               fresh_count, categories, first_time, last_time, outcome, upheld, decide_time, position)
            VALUES (:case_id, :subject, :subject_id, :author_id, :community_id, :to_administrators, :open, '', 1, 1, :categories,
                    :time, :time, 0, 0, 0, :position)
            ON CONFLICT (case_id) DO UPDATE
            SET author_id = excluded.author_id, community_id = excluded.community_id, to_administrators = excluded.to_administrators,
                state = CASE WHEN cases.state = :decided THEN excluded.state ELSE cases.state END,
                report_count = cases.report_count + 1, fresh_count = cases.fresh_count + 1, categories = excluded.categories,
                last_time = excluded.last_time, position = excluded.position
            """,
            **facts, open=_OPEN, decided=_DECIDED, categories=categories, time=time, position=position,
        )


async def _tell(tx: Transaction, case_id: str, person_id: str, author: int, position: int) -> None:
    await tx.batch(
        """
        INSERT INTO case_parties (case_id, person_id, author, position) VALUES (:case_id, :person_id, :author, :position)
        ON CONFLICT (case_id, person_id, author) DO UPDATE SET position = excluded.position
        """,
        case_id=case_id, person_id=person_id, author=author, position=position,
    )


class Audit:
    """One row for each decision; reasons that are somebody's personal matter stay in their case."""

    name = "feed.audit"
    handles: tuple[type[Message], ...] = (
        PolicyChanged, WatchChanged, CaseEscalated, CaseDecided, AppealDecided, RuleDrafted, RuleEnabled, RuleDisabled, RuleApplied,
        HoldPlaced, HoldLifted, ExportRequested,
    )
    tables: tuple[str, ...] = ("audit",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Add a row."""
        action, subject_id, reason = _told(event.data)
        await tx.batch(
            """
            INSERT INTO audit (position, audit_time, actor_id, action, subject_id, reason)
            VALUES (:position, :audit_time, :actor_id, :action, :subject_id, :reason)
            """,
            position=event.position, audit_time=event.record_micros, actor_id=event.meta.actor_id, action=action, subject_id=subject_id,
            reason=reason,
        )


def _told(data: Message) -> tuple[str, str, str]:
    match data:
        case PolicyChanged():
            return "policy.changed", "", data.reason
        case WatchChanged():
            return "watch.changed", data.community_id, ""
        case CaseEscalated():
            return "case.escalated", data.case_id, ""
        case CaseDecided():
            return "case.decided", data.case_id, ""
        case AppealDecided():
            return "appeal.decided", data.case_id, ""
        case RuleDrafted():
            return "rule.drafted", data.rule_id, data.reason
        case RuleEnabled():
            return "rule.enabled", data.rule_id, data.reason
        case RuleDisabled():
            return "rule.disabled", data.rule_id, data.reason
        case RuleApplied():
            return "rule.applied", data.rule_id, str(data.deleted_count)
        case HoldPlaced():
            return "hold.placed", data.hold_id, data.reason
        case HoldLifted():
            return "hold.lifted", data.hold_id, data.reason
        case ExportRequested():
            return "export.requested", data.export_id, data.reason
        case _:
            raise TypeError(f"{type(data).__name__} is not handled")


class Administrators:
    """Who administers the network, and is here."""

    name = "feed.administrators"
    handles: tuple[type[Message], ...] = (
        identity.PersonAdded, identity.RoleGranted, identity.RoleRevoked, identity.PersonLeft, identity.PersonRejoined,
        identity.PersonErased,
    )
    tables: tuple[str, ...] = ("administrators",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the row of its person."""
        match event.data:
            case identity.PersonAdded() as added:
                if identity.ROLE_ADMINISTRATOR in added.roles:
                    await _grant(tx, added.person_id)
            case identity.RoleGranted() as granted:
                if granted.role == identity.ROLE_ADMINISTRATOR:
                    await _grant(tx, granted.person_id)
            case identity.RoleRevoked() as revoked:
                if revoked.role == identity.ROLE_ADMINISTRATOR:
                    await tx.batch("DELETE FROM administrators WHERE person_id = :person_id", person_id=revoked.person_id)
            case identity.PersonLeft() | identity.PersonRejoined() as moved:
                await tx.batch(
                    "UPDATE administrators SET here = :here WHERE person_id = :person_id",
                    person_id=moved.person_id, here=int(isinstance(moved, identity.PersonRejoined)),
                )
            case identity.PersonErased() as erased:
                await tx.batch("DELETE FROM administrators WHERE person_id = :person_id", person_id=erased.person_id)


async def _grant(tx: Transaction, person_id: str) -> None:
    await tx.batch(
        """
        INSERT INTO administrators (person_id, here) VALUES (:person_id, 1)
        ON CONFLICT (person_id) DO UPDATE SET here = excluded.here
        """,
        person_id=person_id,
    )
