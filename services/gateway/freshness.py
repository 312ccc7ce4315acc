"""Answers that are given again while nothing has happened: for clients that ask for the same page many times a second.

An answer counts as fresh while this process has heard of no event since it was made and has answered no write, and for a second at most:
what other processes write arrives by their events a moment later, and what depends on the time alone (a mute that ends) has no event.
"""
from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final, NamedTuple

from .following import FromNow

SECONDS: Final = 1.0
BYTES: Final = 16 << 20
# What an answer takes besides its body and its key.
ENTRY_BYTES: Final = 1_000


class Answer(NamedTuple):
    """A whole answer: its body and its Link header."""

    body: bytes
    link: str


class Freshness:
    """What this process knows of what has happened, and the answers made since."""

    def __init__(self) -> None:
        """Nothing is fresh until `watch`."""
        self._followed: tuple[FromNow, ...] = ()
        self._writes = 0
        self._held: OrderedDict[tuple[str, ...], tuple[float, tuple[int, ...], Answer]] = OrderedDict()
        self._bytes = 0

    def watch(self, *followed: FromNow) -> None:
        """The consumers that hear of every event of the logs that answers are made of."""
        self._followed = followed

    def wrote(self) -> None:
        """Somebody has changed something through this process, whether or not its event has been heard of."""
        self._writes += 1

    def mark(self) -> tuple[int, ...]:
        """What is known now, to be taken before an answer is made; empty while a log is not followed yet."""
        positions = [each.position for each in self._followed]
        return (self._writes, *(each for each in positions if each is not None)) if positions and None not in positions else ()

    def find(self, *key: str) -> Answer | None:
        """The answer to the same question, where it is fresh."""
        held = self._held.get(key)
        if held is None:
            return None
        if held[0] < time.monotonic() or held[1] != self.mark():
            self._drop(key)
            return None
        return held[2]

    def keep(self, mark: tuple[int, ...], answer: Answer, *key: str) -> None:
        """Hold an answer that was begun at this mark."""
        if not mark or mark != self.mark():
            return
        self._drop(key)
        self._held[key] = (time.monotonic() + SECONDS, mark, answer)
        self._bytes += _size(key, answer)
        while self._held:
            oldest = next(iter(self._held))
            if self._bytes <= BYTES and self._held[oldest][0] >= time.monotonic():
                break
            self._drop(oldest)

    def _drop(self, key: tuple[str, ...]) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            self._bytes -= _size(key, held[2])


def _size(key: tuple[str, ...], answer: Answer) -> int:
    return ENTRY_BYTES + len(answer.body) + len(answer.link) + sum(map(len, key))
