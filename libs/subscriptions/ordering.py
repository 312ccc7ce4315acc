"""Puts events that arrive in any order, some of them twice, back into the order of their log."""
from __future__ import annotations

import heapq

from libs.eventstore.model import Recorded


class Window:
    """The part of a log that is held in memory: events by position, with gaps where something has not arrived yet.

    A log's positions have no gaps, so an event is next when its position is.
    """

    def __init__(self, capacity: int, capacity_bytes: int) -> None:
        """Holds about `capacity` positions or `capacity_bytes` of events, whichever is less, and says when it is full."""
        self.capacity = capacity
        self.capacity_bytes = capacity_bytes
        self.highest = 0
        self._held: dict[int, tuple[Recorded, int]] = {}
        self._order: list[int] = []
        self._bytes = 0
        self._reach = 0

    def __contains__(self, position: int) -> bool:
        return position in self._held

    def __len__(self) -> int:
        return len(self._held)

    @property
    def full(self) -> bool:
        """Whether no more should come in."""
        return len(self._held) >= self.capacity or self._bytes >= self.capacity_bytes

    @property
    def roomy(self) -> bool:
        """Whether there is a good part of the room again after it was full."""
        return len(self._held) * 4 <= self.capacity * 3 and self._bytes * 4 <= self.capacity_bytes * 3

    def put(self, event: Recorded, size: int) -> bool:
        """Take an event that takes `size` bytes; False when its position is held already."""
        position = event.position
        if position in self._held:
            return False
        self._held[position] = (event, size)
        heapq.heappush(self._order, position)
        self._bytes += size
        self.highest = max(self.highest, position)
        return True

    def run(self, after: int, limit: int) -> list[Recorded]:
        """The events that follow a position without a gap, at most `limit`."""
        held = self._held
        events: list[Recorded] = []
        for position in range(after + 1, after + 1 + limit):
            entry = held.get(position)
            if entry is None:
                break
            events.append(entry[0])
        return events

    def reach(self, front: int) -> int:
        """The last position that follows `front` without a gap; `front` never goes back."""
        self._reach = max(self._reach, front)
        while self._reach + 1 in self._held:
            self._reach += 1
        return self._reach

    def trim(self, floor: int, front: int) -> None:
        """Let go of what everybody has taken (up to `floor`), and for want of room also of what somebody has (up to `front`)."""
        order = self._order
        while order and (order[0] <= floor or (self.full and order[0] <= front)):
            _, size = self._held.pop(heapq.heappop(order))
            self._bytes -= size

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()
        self._order.clear()
        self._bytes = 0
        self.highest = self._reach = 0
