"""Carries a service's log to its topic: in order, every event, as it stands in the log at that moment."""
from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Protocol

from libs.eventstore.model import Recorded
from libs.eventstore.store import EventStore
from libs.telemetry import logs, metrics

from .consumers import fence, read_checkpoint, write_checkpoint
from .subscription import LONGEST_PAUSE_SECONDS, POLL_SECONDS

BATCH = 500
BATCHES_UNDER_WAY = 4
UNSAVED_EVENTS = 2_000
SAVE_SECONDS = 1.0
FINISH_SECONDS = 3.0
HEAD_SECONDS = 1.0

_log = logs.get_logger(__name__)


class Outlet(Protocol):
    """Where events are published: a Publisher."""

    async def publish(self, service: str, events: list[Recorded], /) -> None:
        """Publish events in order; returns when all are acknowledged."""
        ...


class Relay:
    """Publishes one service's log, from where the one before it stopped.

    The position is saved after the acknowledgement, at the latest 2,000 events or a second of rest behind; so a relay
    that dies sends few events twice, and whoever reads drops them by position. An event whose personal fields were
    erased before its turn came is published without them. One relay a service may run at a time; a second one does no harm but doubles.
    """

    def __init__(self, store: EventStore, publisher: Outlet, *, batch: int = BATCH) -> None:
        """Publish what `store` holds; the position is kept in its database as the subscription `<service>.relay`."""
        self.store = store
        self.publisher = publisher
        self.batch = batch
        self.name = f"{store.name}.relay"
        self.position = -1
        self._saved = -1
        self._save_time = 0.0
        self._under_way: deque[tuple[int, asyncio.Task[None]]] = deque()
        self._waiting_since: float | None = None
        self._position = metrics.RELAY_POSITION.labels(service=store.name)
        self._lag = metrics.RELAY_LAG.labels(service=store.name)
        self._events = metrics.RELAY_EVENTS.labels(service=store.name)
        self._failures = metrics.RELAY_FAILURES.labels(service=store.name)
        self._stalled = metrics.RELAY_STALLED_SECONDS.labels(service=store.name)

    async def run(self) -> None:
        """Publish until cancelled. What goes wrong is logged once, waited out in pauses that grow to 5 s, and tried again."""
        waker = self.store.waker()
        clock = asyncio.get_running_loop().time
        self._stalled.set_function(lambda: clock() - self._waiting_since if self._waiting_since is not None else 0.0)
        pause, told = POLL_SECONDS, ""
        self.position = -1
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                waker.clear()
                try:
                    moved = await self._step()
                except Exception as error:
                    self._failures.inc()
                    if told != type(error).__name__:
                        told = type(error).__name__
                        _log.error("relay waits", service=self.store.name, reason=repr(error), exc_info=not isinstance(error, OSError))
                    await self._abandon()
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                    continue
                if told:
                    _log.warning("relay goes on", service=self.store.name)
                    pause, told = POLL_SECONDS, ""
                if not moved:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(POLL_SECONDS):
                            await waker.wait()
        finally:
            watching.cancel()
            self.store.dismiss(waker)
            await self._finish()
            self._waiting_since = None
            self._lag.set(0)

    async def _step(self) -> bool:
        """Send the next events, or wait for the first acknowledgement that is due; False when there is nothing to do."""
        if self.position < 0:
            self.position = self._saved = await read_checkpoint(self.store.database, self.name, self.store.name) or 0
            self._position.set(self.position)
        events: list[Recorded] = []
        if len(self._under_way) < BATCHES_UNDER_WAY:
            events = await self.store.tail(self._under_way[-1][0] if self._under_way else self.position, self.batch)
        if events:
            if self._waiting_since is None:
                self._waiting_since = asyncio.get_running_loop().time()
            self._under_way.append((events[-1].position, asyncio.create_task(self.publisher.publish(self.store.name, events))))
            await asyncio.sleep(0)  # it stands in line before the next
        elif self._under_way:
            await asyncio.wait([self._under_way[0][1]])
        while self._under_way and self._under_way[0][1].done():
            position, publishing = self._under_way[0]
            publishing.result()
            self._under_way.popleft()
            self._acknowledged(position)
        if self._saved + UNSAVED_EVENTS <= self.position:
            await self._save()
        if events or self._under_way:
            return True
        self._waiting_since = None
        if self._saved < self.position and asyncio.get_running_loop().time() - self._save_time > SAVE_SECONDS:
            await self._save()
        return False

    def _acknowledged(self, position: int) -> None:
        self._events.inc(position - self.position)
        self.position = position
        self._position.set(position)
        self._waiting_since = asyncio.get_running_loop().time()

    async def _save(self) -> None:
        position = self.position
        async with self.store.database.transaction(durable=False) as tx:
            await fence(tx, self.name)
            if position > (await read_checkpoint(tx, self.name, self.store.name) or 0):
                await write_checkpoint(tx, self.name, self.store.name, position)
        self._saved = position
        self._save_time = asyncio.get_running_loop().time()

    async def _finish(self) -> None:
        """Wait a moment for what is under way, and save how far that came."""
        if self._under_way:
            await asyncio.wait([publishing for _, publishing in self._under_way], timeout=FINISH_SECONDS)
        while self._under_way and (publishing := self._under_way[0][1]).done() and publishing.exception() is None:
            self._acknowledged(self._under_way.popleft()[0])
        await self._abandon()
        if self._saved < self.position:
            try:
                await self._save()
            except Exception as error:
                _log.warning("relay did not save how far it is; events will be sent again", service=self.store.name, reason=repr(error))

    async def _abandon(self) -> None:
        """Let go of what is under way: whatever of it was acknowledged will be sent again."""
        under_way = [publishing for _, publishing in self._under_way]
        self._under_way.clear()
        for publishing in under_way:
            publishing.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _watch(self) -> None:
        """Tell how far behind the relay is, for as long as it runs."""
        while True:
            with contextlib.suppress(Exception):  # whatever it is, the relay itself meets it and says so
                self._lag.set(max(0, await self.store.head() - max(self.position, 0)))
            await asyncio.sleep(HEAD_SECONDS)
