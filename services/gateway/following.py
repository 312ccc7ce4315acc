"""Following a log in memory: from now on, for what this process alone holds (caches and open connections)."""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from google.protobuf.message import Message

from libs.eventstore.model import Recorded
from libs.subscriptions.model import Parked
from libs.telemetry import logs

_log = logs.get_logger(__name__)


class FromNow:
    """A consumer whose effect dies with the process, so that its checkpoint may too: every start begins at the log's head."""

    linger_seconds = 0.0
    every_process = True

    def __init__(self, name: str, handles: tuple[type[Message], ...] | None, take: Callable[[Recorded], Awaitable[None]]) -> None:
        """Call `take` for each event of these types, of all where None.

        One that fails is logged and passed, since pages find the truth when they next ask.
        """
        self.name = name
        self.handles = handles
        self._take = take
        self.position: int | None = None

    async def checkpoint(self, source: str) -> int | None:
        """The position taken in this process."""
        return self.position

    async def start(self, source: str, head: int) -> int:
        """From now."""
        return head

    async def take(self, source: str, events: Sequence[Recorded], position: int) -> None:
        """Take each event."""
        for event in events:
            try:
                await self._take(event)
            except Exception:
                _log.exception("event passed over", subscription=self.name, position=event.position)
        self.position = position

    async def park(self, source: str, event: Recorded, reason: str) -> None:
        """Nothing is ever set aside."""

    async def parked(self, source: str) -> dict[str, Parked]:
        """Nothing is ever set aside."""
        return {}

    async def unpark(self, source: str, stream: str, events: Sequence[Recorded]) -> None:
        """Nothing is ever set aside."""
