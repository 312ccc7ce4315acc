"""given(events).when(command).then(events)."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message

from libs.eventstore.model import Rejected, fold


class Spec:
    """A specification of a decider by example."""

    def __init__(self, decider: Any) -> None:
        """For the decider module under test."""
        self._decider = decider
        self._events: Sequence[Message] = ()
        self._command: Any = None

    def given(self, *events: Message) -> Spec:
        """What has happened."""
        self._events = events
        return self

    def when(self, command: Any) -> Spec:
        """What is asked for."""
        self._command = command
        return self

    def then(self, *expected: Message) -> None:
        """What happens: exactly these events."""
        assert self._decide() == list(expected)

    def then_nothing(self) -> None:
        """Nothing new happens, and nobody is refused."""
        assert self._decide() == []

    def then_rejected(self, match: str, kind: type[Rejected] = Rejected) -> None:
        """The command is refused with a reason that contains `match`."""
        try:
            events = self._decide()
        except kind as error:
            assert match.lower() in str(error).lower(), f"refused with {error!s}"
        else:
            raise AssertionError(f"the command was accepted: {events}")

    def _decide(self) -> list[Message]:
        events: list[Message] = self._decider.decide(self._command, fold(self._decider, self._events))
        return events
