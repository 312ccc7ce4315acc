"""Follows one log for one consumer: in order, with bounded retries, setting poisonous streams aside."""
from __future__ import annotations

import asyncio

from libs.db.database import DatabaseBusy, StorageFull
from libs.eventstore.model import Log, Recorded
from libs.telemetry import logs, metrics

from .model import Consumer

BATCH = 200
RETRIES = 5
FIRST_PAUSE_SECONDS = 0.05
POLL_SECONDS = 0.2

_log = logs.get_logger(__name__)


class Subscription:
    """The delivery of one log to one consumer."""

    def __init__(self, log: Log, consumer: Consumer, *, batch: int = BATCH, retries: int = RETRIES) -> None:
        """Follow `log` for `consumer`; `batch` bounds what one transaction takes, `retries` what one event is tried."""
        self.log = log
        self.consumer = consumer
        self.batch = batch
        self.retries = retries
        self.position = -1
        self._parked: set[str] = set()
        self._moved = asyncio.Condition()
        self._lag = metrics.SUBSCRIPTION_LAG.labels(subscription=consumer.name)
        self._parked_gauge = metrics.PARKED_STREAMS.labels(subscription=consumer.name)

    async def prepare(self) -> None:
        """Find where to go on, or where to start."""
        source = self.log.name
        position = await self.consumer.checkpoint(source)
        if position is None:
            position = await self.consumer.start(source, await self.log.head())
            await self.consumer.take(source, (), position)
        self.position = position
        self._parked = set(await self.consumer.parked(source))
        self._parked_gauge.set(len(self._parked))

    async def run(self, waker: asyncio.Event) -> None:
        """Follow until cancelled; `waker` is set when the log has grown, and polling stands behind it."""
        while True:
            waker.clear()
            try:
                if self.position < 0:
                    await self.prepare()
                moved = await self.step()
            except asyncio.CancelledError:
                raise
            except (StorageFull, DatabaseBusy) as error:
                _log.warning("subscription waits", subscription=self.consumer.name, reason=str(error))
                moved = 0
            except Exception:
                _log.exception("subscription failed and goes on", subscription=self.consumer.name)
                moved = 0
            if not moved:
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await waker.wait()
                except TimeoutError:
                    pass

    async def step(self) -> int:
        """Take the next batch; answers how many events it held, 0 at the end of the log."""
        if self.position < 0:
            await self.prepare()
        events = await self.log.tail(self.position, self.batch)
        if self._parked:
            await self.retry_parked()
        if not events:
            self._lag.set(0)
            return 0
        wanted = [event for event in events if self._wants(event)]
        last = events[-1].position
        try:
            await self.consumer.take(self.log.name, wanted, last)
        except (StorageFull, DatabaseBusy):
            raise
        except Exception as error:
            _log.warning("batch refused; its events are tried one by one", subscription=self.consumer.name, reason=repr(error))
            for event in wanted:
                await self._take_alone(event)
            await self.consumer.take(self.log.name, (), last)
        await self._arrive(last)
        self._lag.set(max(0, await self.log.head() - last) if len(events) == self.batch else 0)
        return len(events)

    async def reached(self, position: int, timeout_seconds: float = 2.0) -> bool:
        """Wait until the consumer has taken everything up to a position; False when that lasts too long."""
        if self.position >= position:
            return True
        try:
            async with asyncio.timeout(timeout_seconds), self._moved:
                await self._moved.wait_for(lambda: self.position >= position)
        except TimeoutError:
            return False
        return True

    async def caught_up(self) -> bool:
        """Whether the consumer has taken all there is."""
        return self.position >= await self.log.head()

    async def retry_parked(self) -> None:
        """Give the streams an operator asked for another try: all their events from where they were set aside."""
        source = self.log.name
        for stream, parked in (await self.consumer.parked(source)).items():
            if not parked.retry:
                continue
            missed = await self._missed(stream, parked.position)
            try:
                await self.consumer.unpark(source, stream, missed)
            except Exception as error:
                _log.error("stream stays parked", subscription=self.consumer.name, stream=stream, reason=repr(error))
                await self.consumer.park(source, missed[0], repr(error))
            else:
                self._parked.discard(stream)
                self._parked_gauge.set(len(self._parked))

    async def _missed(self, stream: str, first: int) -> list[Recorded]:
        missed: list[Recorded] = []
        position = first - 1
        while position < self.position:
            events = await self.log.tail(position, self.batch)
            if not events:
                break
            missed += [e for e in events if e.stream == stream and e.position <= self.position and self._handled(e)]
            position = events[-1].position
        return missed

    def _wants(self, event: Recorded) -> bool:
        return self._handled(event) and event.stream not in self._parked

    def _handled(self, event: Recorded) -> bool:
        handles = self.consumer.handles
        return handles is None or type(event.data) in handles

    async def _take_alone(self, event: Recorded) -> None:
        if event.stream in self._parked:
            return
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(1, self.retries + 1):
            try:
                await self.consumer.take(self.log.name, (event,), event.position)
            except (StorageFull, DatabaseBusy):
                raise
            except Exception as error:
                if attempt == self.retries:
                    _log.error(
                        "stream parked", subscription=self.consumer.name, stream=event.stream, position=event.position, reason=repr(error)
                    )
                    await self.consumer.park(self.log.name, event, repr(error))
                    self._parked.add(event.stream)
                    self._parked_gauge.set(len(self._parked))
                    break
                await asyncio.sleep(pause)
                pause *= 2
            else:
                break
        await self._arrive(event.position)

    async def _arrive(self, position: int) -> None:
        async with self._moved:
            self.position = max(self.position, position)
            self._moved.notify_all()
