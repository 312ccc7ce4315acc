"""A question: one answer at a time is the best, and it is brought to likely experts once."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from libs.eventstore.model import PermissionDenied, Rejected
from watercooler.feed.v1.asking_events_pb2 import BestAnswerMarked, BestAnswerUnmarked, QuestionRouted

from ..commands.asking import MarkBestAnswer, QuestionCommand, RouteQuestion, UnmarkBestAnswer

Event = BestAnswerMarked | BestAnswerUnmarked | QuestionRouted

ROUTED_PEOPLE = 5
NOT_YOURS = "the best answer is marked by whoever asked, by those who moderate the community, and by its experts"


@dataclass(frozen=True, slots=True)
class Question:
    """What the decisions depend on: the best answer, and whether it was brought to anybody."""

    best_id: str = ""
    routed: bool = False


def initial() -> Question:
    """Just asked."""
    return Question()


def decide(command: QuestionCommand, question: Question) -> list[Event]:
    """What happens; marking the marked again is no news."""
    match command:
        case MarkBestAnswer():
            if not command.allowed:
                raise PermissionDenied(NOT_YOURS)
            if command.answer_id == command.question_id:
                raise Rejected("a question does not answer itself: mark one of the replies")
            if command.answer_id == question.best_id:
                return []
            marked = BestAnswerMarked(
                question_id=command.question_id, answer_id=command.answer_id, asker_id=command.asker_id, answerer_id=command.answerer_id,
                marker_id=command.marker_id, previous_id=question.best_id,
            )
            marked.mark_time.FromDatetime(command.now)
            return [marked]
        case UnmarkBestAnswer():
            if not command.allowed:
                raise PermissionDenied(NOT_YOURS)
            if not question.best_id:
                return []
            unmarked = BestAnswerUnmarked(question_id=command.question_id, answer_id=question.best_id, unmarker_id=command.unmarker_id)
            unmarked.unmark_time.FromDatetime(command.now)
            return [unmarked]
        case RouteQuestion():
            if question.routed or question.best_id or not command.people:
                return []
            routed = QuestionRouted(question_id=command.question_id, asker_id=command.asker_id, people=command.people[:ROUTED_PEOPLE])
            routed.route_time.FromDatetime(command.now)
            return [routed]
        case _:
            assert_never(command)


def evolve(question: Question, event: Event) -> Question:
    """The question after the event."""
    match event:
        case BestAnswerMarked():
            return replace(question, best_id=event.answer_id)
        case BestAnswerUnmarked():
            return replace(question, best_id="")
        case QuestionRouted():
            return replace(question, routed=True)
        case _:
            assert_never(event)
