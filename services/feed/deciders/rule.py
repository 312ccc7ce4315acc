"""A retention rule: drafted, looked at in a dry run, switched on and off; every run of it is noted."""
from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from libs.eventstore.model import InvalidArgument, NotFound, Rejected, micros
from watercooler.feed.v1 import retention_events_pb2 as pb
from watercooler.feed.v1.retention_events_pb2 import RuleApplied, RuleDisabled, RuleDrafted, RuleEnabled, RuleRehearsed

from ..commands.retention import DisableRule, DraftRule, EnableRule, RecordRun, RehearseRule, RuleCommand

Event = RuleDrafted | RuleRehearsed | RuleEnabled | RuleDisabled | RuleApplied

NAME_CHARACTERS = 100
REASON_CHARACTERS = 500
AGE_DAYS = 36_500
# A dry run older than this says too little about what the rule would delete today.
REHEARSAL_LASTS = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Rule:
    """Whether the rule is there and on, and when it was looked at last, in microseconds since 1970."""

    exists: bool = False
    enabled: bool = False
    rehearsed: int = 0


def initial() -> Rule:
    """Before it is drafted."""
    return Rule()


def decide(command: RuleCommand, rule: Rule) -> list[Event]:
    """What happens to the rule; raises Rejected with the limit that is passed."""
    if isinstance(command, DraftRule):
        return _draft(command, rule)
    if not rule.exists:
        raise NotFound("there is no such rule")
    match command:
        case RehearseRule():
            rehearsed = RuleRehearsed(
                rule_id=command.rule_id, post_count=command.post_count, protected_count=command.protected_count,
                person_id=command.person_id,
            )
            rehearsed.rehearse_time.FromDatetime(command.now)
            return [rehearsed]
        case EnableRule():
            if rule.enabled:
                return []
            check_reason(command.reason)
            if micros(command.now - REHEARSAL_LASTS) > rule.rehearsed:
                raise Rejected("look at what the rule would delete first: make a dry run, which counts for 7 days")
            enabled = RuleEnabled(rule_id=command.rule_id, person_id=command.person_id, reason=command.reason.strip())
            enabled.enable_time.FromDatetime(command.now)
            return [enabled]
        case DisableRule():
            if not rule.enabled:
                return []
            check_reason(command.reason)
            disabled = RuleDisabled(rule_id=command.rule_id, person_id=command.person_id, reason=command.reason.strip())
            disabled.disable_time.FromDatetime(command.now)
            return [disabled]
        case RecordRun():
            applied = RuleApplied(
                rule_id=command.rule_id, deleted_count=command.deleted_count, protected_count=command.protected_count,
                partial=command.partial,
            )
            applied.start_time.FromDatetime(command.start)
            applied.end_time.FromDatetime(command.end)
            return [applied]
        case _:
            assert_never(command)


def evolve(rule: Rule, event: Event) -> Rule:
    """The rule after the event."""
    match event:
        case RuleDrafted():
            return Rule(exists=True)
        case RuleRehearsed():
            return replace(rule, rehearsed=event.rehearse_time.ToMicroseconds())
        case RuleEnabled():
            return replace(rule, enabled=True)
        case RuleDisabled():
            return replace(rule, enabled=False)
        case RuleApplied():
            return rule
        case _:
            assert_never(event)


def check_reason(reason: str) -> None:
    """Raises InvalidArgument unless there is a reason of at most 500 characters."""
    if not 1 <= len(reason.strip()) <= REASON_CHARACTERS:
        raise InvalidArgument(f"give the reason, in 1 to {REASON_CHARACTERS} characters: it stays on record", "reason")


def _draft(command: DraftRule, rule: Rule) -> list[Event]:
    if rule.exists:
        return []
    if not 1 <= len(command.name.strip()) <= NAME_CHARACTERS:
        raise InvalidArgument(f"a rule has a name of 1 to {NAME_CHARACTERS} characters", "name")
    if not command.audience or command.audience not in pb.RetentionAudience.values():
        raise InvalidArgument("say for which audience the rule is", "audience")
    if command.unit not in (pb.RETENTION_UNIT_POST, pb.RETENTION_UNIT_THREAD):
        raise InvalidArgument("say whether posts grow old each by itself or as threads", "unit")
    if not 1 <= command.age_days <= AGE_DAYS:
        raise InvalidArgument(f"an age is 1 to {AGE_DAYS:,} days", "age_days")
    if command.audience_id and command.audience in (pb.RETENTION_AUDIENCE_EVERYONE, pb.RETENTION_AUDIENCE_PEOPLE):
        raise InvalidArgument("this audience has no id: leave it empty", "audience_id")
    check_reason(command.reason)
    drafted = RuleDrafted(
        rule_id=command.rule_id, name=command.name.strip(), audience=command.audience, audience_id=command.audience_id,
        age_days=command.age_days, unit=command.unit, author_id=command.author_id, reason=command.reason.strip(),
    )
    drafted.draft_time.FromDatetime(command.now)
    return [drafted]
