"""Work that one process at a time does, by a lease in a database: the others stand by and take over when it stops or dies."""
from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from libs.telemetry import logs

# By the database's clock. A process that dies is followed after this and one more try of those that stand by.
LEASE_SECONDS = 10.0
RENEW_SECONDS = 3.0
TRY_SECONDS = 2.0
# So long before the lease runs out by our own clock, work ends: nobody else may have begun by then.
MARGIN_SECONDS = 1.0
RELEASE_SECONDS = 2.0

_log = logs.get_logger(__name__)


class Leases(Protocol):
    """Named leases, kept where all who want them look (libs/db/postgres.py)."""

    async def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew a lease; False while another holds it."""
        ...

    async def release(self, name: str, holder: str) -> None:
        """Give it back, if it is held."""
        ...


class Work(Protocol):
    """What the leader does."""

    async def begin(self) -> None:
        """Start what goes on until `end`; called again after an `end`."""
        ...

    async def end(self, *, gently: bool) -> None:
        """Stop: `gently` finishes what is under way, else at once."""
        ...


class Leadership:
    """Takes a lease, works as long as it holds it, and stands by when another does."""

    def __init__(self, leases: Leases, name: str, holder: str, work: Work, clock: Callable[[], float] = time.monotonic) -> None:
        """`holder` is this process's own name, which no other has."""
        self.name = name
        self.holder = holder
        self.leading = False
        self._leases = leases
        self._work = work
        self._clock = clock
        self._until = 0.0
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Go on until `stop`; what is under way is finished then, and the lease given back."""
        told = ""
        while not self._stopping.is_set():
            took = await self._take()
            if took:
                told = ""
                await self._lead()
                continue
            state = "the database does not answer" if took is None else "another process works"
            if told != state:
                told = state
                _log.info("stands by", lease=self.name, reason=state)
            await self._pause(TRY_SECONDS)

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._stopping.set()

    async def _lead(self) -> None:
        _log.info("works from here on", lease=self.name, holder=self.holder)
        self.leading = True
        lost = ""
        try:
            await self._work.begin()
            while not self._stopping.is_set():
                held = await self._take()
                if held is False:
                    lost = "another process took over"
                    return
                if self._left() <= 0:
                    lost = "the database does not answer"
                    return
                await self._pause(RENEW_SECONDS if held else min(1.0, self._left()))
        finally:
            self.leading = False
            if lost:
                _log.warning("stops working", lease=self.name, reason=lost)
            await self._work.end(gently=not lost)
            if not lost:
                await self._release()

    async def _take(self) -> bool | None:
        """True when the lease is ours, False when it is another's, None when nobody answers."""
        began = self._clock()
        seconds = RENEW_SECONDS if not self.leading else max(0.1, min(RENEW_SECONDS, self._left()))
        try:
            async with asyncio.timeout(seconds):
                taken = await self._leases.lease(self.name, self.holder, LEASE_SECONDS)
        except Exception as error:
            _log.debug("lease not asked for", lease=self.name, reason=repr(error))
            return None
        if taken:
            self._until = began + LEASE_SECONDS
        return taken

    def _left(self) -> float:
        return self._until - MARGIN_SECONDS - self._clock()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._leases.release(self.name, self.holder)
        except Exception as error:  # it runs out by itself
            _log.warning("lease not given back", lease=self.name, reason=repr(error))
