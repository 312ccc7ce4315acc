"""A question to the leaders: open, then accepted, answered or declined by those who lead, each with its words; or withdrawn."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, assert_never

from libs.eventstore.model import EditConflict, InvalidArgument, NotFound, PermissionDenied, Rejected
from watercooler.feed.v1.asking_events_pb2 import (
    EnquiryAccepted,
    EnquiryAnswered,
    EnquiryAsked,
    EnquiryAskedAnonymously,
    EnquiryDeclined,
    EnquiryDelegated,
    EnquiryWithdrawn,
)

from ..commands.asking import (
    AcceptEnquiry,
    AnswerEnquiry,
    AskLeaders,
    AskLeadersAnonymously,
    DecideEnquiry,
    DeclineEnquiry,
    DelegateEnquiry,
    EnquiryCommand,
    WithdrawEnquiry,
)

Event = (
    EnquiryAsked | EnquiryAskedAnonymously | EnquiryAccepted | EnquiryAnswered | EnquiryDeclined | EnquiryDelegated | EnquiryWithdrawn
)

BODY_LEAST = 10
BODY_CHARACTERS = 2_000
REASON_CHARACTERS = 2_000
ANSWER_CHARACTERS = 10_000
ADDRESSEES = 10
NOT_YOURS = "questions to leaders are answered by leaders, and by whom a leader asks to answer"


@dataclass(frozen=True, slots=True)
class Enquiry:
    """What the decisions depend on; `asker_id` is empty where it was asked anonymously, `version` counts the events."""

    status: Literal["absent", "open", "accepted", "answered", "declined", "withdrawn"] = "absent"
    version: int = 0
    asker_id: str = ""
    answered: bool = False
    delegate_id: str = ""
    text: str = ""


def initial() -> Enquiry:
    """Before it is asked."""
    return Enquiry()


def decide(command: EnquiryCommand, enquiry: Enquiry) -> list[Event]:
    """What happens to the question; raises Rejected with what is missing."""
    match command:
        case AskLeaders():
            if enquiry.status != "absent":
                return []
            check_question(command.body, command.addressee_ids)
            asked = EnquiryAsked(
                enquiry_id=command.enquiry_id, asker_id=command.asker_id, body=command.body, addressee_ids=command.addressee_ids
            )
            asked.ask_time.FromDatetime(command.now)
            return [asked]
        case AskLeadersAnonymously():
            if enquiry.status != "absent":
                return []
            check_question(command.body, command.addressee_ids)
            if command.hour.minute or command.hour.second or command.hour.microsecond:
                raise InvalidArgument("an anonymous question has no finer time than its hour", "hour")
            nobody = EnquiryAskedAnonymously(enquiry_id=command.enquiry_id, body=command.body, addressee_ids=command.addressee_ids)
            nobody.ask_time.FromDatetime(command.hour)
            return [nobody]
        case AcceptEnquiry() | AnswerEnquiry() | DeclineEnquiry():
            return _decide(command, enquiry)
        case DelegateEnquiry():
            _check_there(enquiry)
            if not command.leads:
                raise PermissionDenied("only a leader asks somebody else to answer")
            if command.delegate_id == enquiry.delegate_id:
                return []
            if command.delegate_id and command.delegate_id == enquiry.asker_id:
                raise Rejected("who asked does not answer: ask somebody else")
            delegated = EnquiryDelegated(enquiry_id=command.enquiry_id, leader_id=command.actor_id, delegate_id=command.delegate_id)
            delegated.delegate_time.FromDatetime(command.now)
            return [delegated]
        case WithdrawEnquiry():
            if enquiry.status == "withdrawn":
                return []
            _check_there(enquiry)
            own = bool(enquiry.asker_id) and command.actor_id == enquiry.asker_id
            if not (own or command.administers):
                raise PermissionDenied("a question is taken back by whoever asked it, or taken away by an administrator with the reason")
            if not (own or command.text.strip()):
                raise InvalidArgument("say why it is taken away", "text")
            _check_length(command.text, REASON_CHARACTERS)
            withdrawn = EnquiryWithdrawn(enquiry_id=command.enquiry_id, withdrawer_id=command.actor_id, reason=command.text)
            withdrawn.withdraw_time.FromDatetime(command.now)
            return [withdrawn]
        case _:
            assert_never(command)


def evolve(enquiry: Enquiry, event: Event) -> Enquiry:
    """The question after the event."""
    enquiry = replace(enquiry, version=enquiry.version + 1)
    match event:
        case EnquiryAsked():
            return replace(enquiry, status="open", asker_id=event.asker_id)
        case EnquiryAskedAnonymously():
            return replace(enquiry, status="open")
        case EnquiryAccepted():
            return replace(enquiry, status="accepted", text=event.reason)
        case EnquiryAnswered():
            return replace(enquiry, status="answered", answered=True, text=event.answer)
        case EnquiryDeclined():
            return replace(enquiry, status="declined", text=event.reason)
        case EnquiryDelegated():
            return replace(enquiry, delegate_id=event.delegate_id)
        case EnquiryWithdrawn():
            return replace(enquiry, status="withdrawn")
        case _:
            assert_never(event)


def check_question(body: str, addressee_ids: tuple[str, ...]) -> None:
    """Refuse a text that is no question: too short, too long, or for too many."""
    if len(body.strip()) < BODY_LEAST:
        raise InvalidArgument(f"a question has at least {BODY_LEAST} characters", "body")
    if len(body) > BODY_CHARACTERS:
        raise InvalidArgument(f"a question has at most {BODY_CHARACTERS:,} characters, this one has {len(body):,}: shorten it", "body")
    if len(addressee_ids) > ADDRESSEES:
        raise InvalidArgument(f"name at most {ADDRESSEES} leaders, or ask all of them by naming none", "addressee_ids")


def _decide(command: DecideEnquiry, enquiry: Enquiry) -> list[Event]:
    _check_there(enquiry)
    if not (command.leads or command.actor_id == enquiry.delegate_id):
        raise PermissionDenied(NOT_YOURS)
    if command.actor_id == enquiry.asker_id:
        raise Rejected("who asked does not decide: leave it to another leader")
    if command.etag and command.etag != str(enquiry.version):
        raise EditConflict("somebody else has decided on this question meanwhile: read that first")
    missing = {
        AcceptEnquiry: "say what will be done, and by when", AnswerEnquiry: "write the answer",
        DeclineEnquiry: "say why it will not be answered: it is read by all who voted for it",
    }
    if not command.text.strip():
        raise InvalidArgument(missing[type(command)], "text")
    _check_length(command.text, ANSWER_CHARACTERS if isinstance(command, AnswerEnquiry) else REASON_CHARACTERS)
    event: EnquiryAccepted | EnquiryAnswered | EnquiryDeclined
    match command:
        case AcceptEnquiry():
            if enquiry.status == "answered":
                raise Rejected("this question is answered already")
            if enquiry.status == "accepted" and enquiry.text == command.text:
                return []
            event = EnquiryAccepted(enquiry_id=command.enquiry_id, leader_id=command.actor_id, reason=command.text)
            event.accept_time.FromDatetime(command.now)
        case AnswerEnquiry():
            if enquiry.status == "answered" and enquiry.text == command.text:
                return []
            event = EnquiryAnswered(
                enquiry_id=command.enquiry_id, answerer_id=command.actor_id, answer=command.text, amended=enquiry.answered
            )
            event.answer_time.FromDatetime(command.now)
        case DeclineEnquiry():
            if enquiry.status == "answered":
                raise Rejected("this question is answered already")
            if enquiry.status == "declined" and enquiry.text == command.text:
                return []
            event = EnquiryDeclined(enquiry_id=command.enquiry_id, leader_id=command.actor_id, reason=command.text)
            event.decline_time.FromDatetime(command.now)
        case _:
            assert_never(command)
    return [event]


def _check_there(enquiry: Enquiry) -> None:
    if enquiry.status == "absent":
        raise NotFound("there is no such question")
    if enquiry.status == "withdrawn":
        raise Rejected("this question was withdrawn")


def _check_length(text: str, most: int) -> None:
    if len(text) > most:
        raise InvalidArgument(f"at most {most:,} characters here, these are {len(text):,}: shorten it", "text")
