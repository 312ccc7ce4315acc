"""What can be asked of questions, experts, questions to leaders, and votes for these and for ideas."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from watercooler.feed.v1 import asking_events_pb2 as events


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkBestAnswer:
    """Mark a reply as the best answer; `allowed` says that the marker asked, moderates there or is an expert there."""

    question_id: str
    asker_id: str
    answer_id: str
    answerer_id: str
    marker_id: str
    allowed: bool
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmarkBestAnswer:
    """Say that no answer is the best any more."""

    question_id: str
    unmarker_id: str
    allowed: bool
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteQuestion:
    """Bring an unanswered question to people who are likely to know, each with the reasons."""

    question_id: str
    asker_id: str
    people: tuple[events.RoutedPerson, ...]
    now: datetime


QuestionCommand = MarkBestAnswer | UnmarkBestAnswer | RouteQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class NameExpert:
    """Name an expert of a community; `owns` says that the namer owns it."""

    community_id: str
    person_id: str
    namer_id: str
    owns: bool
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawExpert:
    """Take an expert off a community's list; experts may do it themselves."""

    community_id: str
    person_id: str
    withdrawer_id: str
    owns: bool


ExpertiseCommand = NameExpert | WithdrawExpert


@dataclass(frozen=True, slots=True, kw_only=True)
class AskLeaders:
    """Ask the leaders by name."""

    enquiry_id: str
    asker_id: str
    body: str
    addressee_ids: tuple[str, ...]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AskLeadersAnonymously:
    """Ask the leaders without a name; there is no field for one, and `hour` is no finer than its name."""

    enquiry_id: str
    body: str
    addressee_ids: tuple[str, ...]
    hour: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptEnquiry:
    """Say that the question will be dealt with; `leads` says that the actor is a leader or answers for one."""

    enquiry_id: str
    actor_id: str
    leads: bool
    text: str
    now: datetime
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerEnquiry:
    """Answer the question, or put an answer in order; `leads` says that the actor is a leader."""

    enquiry_id: str
    actor_id: str
    leads: bool
    text: str
    now: datetime
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclineEnquiry:
    """Say that the question will not be answered, and why; `leads` says that the actor is a leader."""

    enquiry_id: str
    actor_id: str
    leads: bool
    text: str
    now: datetime
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegateEnquiry:
    """Let somebody else answer; an empty `delegate_id` ends that."""

    enquiry_id: str
    actor_id: str
    leads: bool
    delegate_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawEnquiry:
    """Take one's own question back, or as an administrator (`administers`) take one away."""

    enquiry_id: str
    actor_id: str
    administers: bool
    text: str
    now: datetime


DecideEnquiry = AcceptEnquiry | AnswerEnquiry | DeclineEnquiry
EnquiryCommand = AskLeaders | AskLeadersAnonymously | DecideEnquiry | DelegateEnquiry | WithdrawEnquiry


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveSupport:
    """Vote for a question to leaders or an idea; `owner_id` is who it is from, empty where nobody knows."""

    subject: events.SupportSubject.ValueType
    subject_id: str
    person_id: str
    owner_id: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawSupport:
    """Take the vote back."""

    subject: events.SupportSubject.ValueType
    subject_id: str
    person_id: str


SupportCommand = GiveSupport | WithdrawSupport
