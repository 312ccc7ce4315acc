"""Until when the call being served has to be answered, so that the calls it makes are given up no later."""
from __future__ import annotations

import time
from contextvars import ContextVar

DEADLINE_SECONDS = 2.0
"""What a call has that names no time itself."""


class Served:
    """The deadline of a call that is being served; work it leaves behind when it is answered is bound by it no longer."""

    __slots__ = ("until",)

    def __init__(self, seconds: float | None) -> None:
        """So many seconds from now; None without end."""
        self.until: float | None = None if seconds is None else time.monotonic() + seconds

    def over(self) -> None:
        """The call is answered."""
        self.until = None


serving: ContextVar[Served | None] = ContextVar("served", default=None)


def remaining() -> float | None:
    """Seconds until the call being served must be answered, never negative; None outside any call and in one without end."""
    served = serving.get()
    if served is None or served.until is None:
        return None
    return max(0.0, served.until - time.monotonic())


def within(seconds: float) -> float:
    """So many seconds, or fewer where the call being served has fewer left."""
    left = remaining()
    return seconds if left is None else min(seconds, left)
