"""What asking and ideas put on the cards of posts: the best answer, and where an idea stands. Part of the projection of posts."""
from __future__ import annotations

from collections.abc import Callable, Iterator

from google.protobuf.message import Message

from watercooler.feed.v1 import ideas_events_pb2 as ideas
from watercooler.feed.v1.asking_events_pb2 import BestAnswerMarked, BestAnswerUnmarked
from watercooler.feed.v1.feed_service_pb2 import Post

HANDLES: tuple[type[Message], ...] = (BestAnswerMarked, BestAnswerUnmarked, ideas.IdeaProposed, ideas.IdeaStateChanged)
STATES = {
    ideas.IDEA_STATE_NEW: "new", ideas.IDEA_STATE_DISCUSSED: "discussed", ideas.IDEA_STATE_TRIAL: "trial",
    ideas.IDEA_STATE_DONE: "done", ideas.IDEA_STATE_NOT_NOW: "not_now",
}


def changes(event: Message) -> Iterator[tuple[str, Callable[[Post], None]]]:
    """Which cards an event changes, and how."""
    match event:
        case BestAnswerMarked():
            yield event.question_id, lambda card: _set(card, best_answer_id=event.answer_id)
            yield event.answer_id, lambda card: _set(card, is_best_answer=True)
            if event.previous_id:
                yield event.previous_id, lambda card: card.ClearField("is_best_answer")
        case BestAnswerUnmarked():
            yield event.question_id, lambda card: card.ClearField("best_answer_id")
            yield event.answer_id, lambda card: card.ClearField("is_best_answer")
        case ideas.IdeaProposed():
            yield event.post_id, lambda card: _set(card, idea_state=STATES[ideas.IDEA_STATE_NEW])
        case ideas.IdeaStateChanged():
            yield event.post_id, lambda card: _set(card, idea_state=STATES[event.state])


def _set(card: Post, **fields: object) -> None:
    for name, value in fields.items():
        setattr(card, name, value)
