"""The organisation's policy: guidelines, values, what is allowed; and the words each community watches for."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from libs.eventstore.model import EditConflict, InvalidArgument
from watercooler.feed.v1.policy_events_pb2 import PolicyChanged

from ..commands.policy import ChangePolicy

GUIDELINES_CHARACTERS = 20_000
REASON_CHARACTERS = 500
VALUES = 30
VALUE_CHARACTERS = 60
WORDS = 500
WORD_CHARACTERS = 60
DEFAULT_VALUES = ("Helping each other", "Owning the result", "Learning in the open", "Customers first")


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy as it is; `version` counts its changes, `guidelines_version` those that everybody is asked about."""

    version: int = 0
    guidelines: str = ""
    guidelines_version: int = 0
    guidelines_required: bool = False
    values: tuple[str, ...] = DEFAULT_VALUES
    anonymous_questions: bool = True
    blocking_allowed: bool = True
    watched_words: tuple[str, ...] = ()


def initial() -> Policy:
    """What holds while nobody has changed anything."""
    return Policy()


def decide(command: ChangePolicy, policy: Policy) -> list[PolicyChanged]:
    """Change what is given; raises Rejected with the limit that is passed."""
    match command:
        case ChangePolicy():
            return _change(command, policy)
        case _:
            assert_never(command)


def evolve(policy: Policy, event: PolicyChanged) -> Policy:
    """The policy after the change."""
    return Policy(
        policy.version + 1, event.guidelines, event.guidelines_version, event.guidelines_required, tuple(event.values),
        event.anonymous_questions, event.blocking_allowed, tuple(event.watched_words),
    )


def check_words(words: tuple[str, ...], field: str) -> None:
    """Raises InvalidArgument for too many or too long words to watch for."""
    if len(words) > WORDS:
        raise InvalidArgument(f"at most {WORDS} words can be watched for: keep to the ones that matter", field)
    for word in words:
        if not 1 <= len(word) <= WORD_CHARACTERS:
            raise InvalidArgument(f"a watched word or phrase has 1 to {WORD_CHARACTERS} characters", field)


def _change(command: ChangePolicy, policy: Policy) -> list[PolicyChanged]:
    if command.etag and command.etag != str(policy.version):
        raise EditConflict("the policy was changed meanwhile: look at it again, then make your change on it")
    changed = replace(
        policy,
        guidelines=policy.guidelines if command.guidelines is None else command.guidelines,
        guidelines_required=policy.guidelines_required if command.guidelines_required is None else command.guidelines_required,
        values=policy.values if command.values is None else command.values,
        anonymous_questions=policy.anonymous_questions if command.anonymous_questions is None else command.anonymous_questions,
        blocking_allowed=policy.blocking_allowed if command.blocking_allowed is None else command.blocking_allowed,
        watched_words=policy.watched_words if command.watched_words is None else command.watched_words,
    )
    appeared = bool(changed.guidelines) and not policy.guidelines
    if changed.guidelines and (appeared or command.ask_again):
        changed = replace(changed, guidelines_version=policy.guidelines_version + 1)
    if changed == policy:
        return []
    _check(changed, command.reason)
    event = PolicyChanged(
        guidelines=changed.guidelines, guidelines_version=changed.guidelines_version, guidelines_required=changed.guidelines_required,
        values=changed.values, anonymous_questions=changed.anonymous_questions, blocking_allowed=changed.blocking_allowed,
        watched_words=changed.watched_words, changer_id=command.changer_id, reason=command.reason,
    )
    event.change_time.FromDatetime(command.now)
    return [event]


def _check(policy: Policy, reason: str) -> None:
    if len(policy.guidelines) > GUIDELINES_CHARACTERS:
        raise InvalidArgument(f"guidelines have at most {GUIDELINES_CHARACTERS:,} characters: people are to read them", "guidelines")
    if not 1 <= len(policy.values) <= VALUES:
        raise InvalidArgument(f"a company has 1 to {VALUES} values", "values")
    if len({value.casefold() for value in policy.values}) < len(policy.values):
        raise InvalidArgument("a value stands there twice: name each once", "values")
    for value in policy.values:
        if not 1 <= len(value) <= VALUE_CHARACTERS:
            raise InvalidArgument(f"the name of a value has 1 to {VALUE_CHARACTERS} characters", "values")
    check_words(policy.watched_words, "watched_words")
    if len(reason) > REASON_CHARACTERS:
        raise InvalidArgument(f"a reason has at most {REASON_CHARACTERS} characters: shorten it", "reason")
