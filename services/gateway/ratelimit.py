"""How much one person, token or address may ask for: token buckets in memory, one process's share each.

Headers after draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy` says the quota, `RateLimit` what is left of it.
"""
from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from libs.runtime.settings import Settings
from libs.telemetry import metrics

from .problems import Refusal

WINDOW_SECONDS = 60
BUCKETS = 50_000


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether one more request is within the quota, and what is left after it."""

    allowed: bool
    remaining: int
    # Until a request is possible again; until the quota is whole where one is possible now.
    reset_seconds: int


class Limit:
    """A quota a minute for each key: that many at once, then as they refill."""

    def __init__(self, name: str, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """A quota; `clock` counts seconds."""
        self.name = name
        self.quota = per_minute
        self._rate = per_minute / WINDOW_SECONDS
        self._clock = clock
        # Key to tokens left and when that was so; the key unused longest goes first, and by then it is full or a flood of new keys is on.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.policy = f'"{name}";q={per_minute};w={WINDOW_SECONDS}'

    def take(self, key: str) -> Decision:
        """Ask for one request."""
        now = self._clock()
        held = self._buckets.get(key)
        left = float(self.quota) if held is None else min(self.quota, held[0] + (now - held[1]) * self._rate)
        allowed = left >= 1
        if allowed:
            left -= 1
        self._buckets[key] = (left, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > BUCKETS:
            self._buckets.popitem(last=False)
        wait = (self.quota - left if allowed else 1 - left) / self._rate
        return Decision(allowed, int(left), math.ceil(wait))

    def header(self, decision: Decision) -> str:
        """The value of `RateLimit` for a decision."""
        return f'"{self.name}";r={decision.remaining};t={decision.reset_seconds}'

    def demand(self, key: str) -> Decision:
        """Ask for one request.

        Raises:
            Refusal: 429 with the time to wait.
        """
        decision = self.take(key)
        if not decision.allowed:
            metrics.RATE_LIMITED.inc()
            raise Refusal(
                429, f"Too many requests: at most {self.quota} a minute. Try again in {decision.reset_seconds} s.",
                retry_seconds=decision.reset_seconds,
                headers={"ratelimit": self.header(decision), "ratelimit-policy": self.policy},
            )
        return decision


@dataclass(frozen=True, slots=True)
class Limits:
    """The quotas of the settings: reads and writes for each person or token, sign-ins for each address."""

    reads: Limit
    writes: Limit
    sign_ins: Limit

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """As the settings say."""
        return cls(
            Limit("reads", settings.rate_reads_per_minute),
            Limit("writes", settings.rate_writes_per_minute),
            Limit("sign-ins", settings.rate_sign_ins_per_minute),
        )
