"""Follows one log for one consumer: in order, with bounded retries, setting poisonous streams aside."""
from __future__ import annotations

import asyncio

import grpc

from libs.db.database import DatabaseBusy, StorageFull
from libs.eventstore.model import Log, Recorded
from libs.eventstore.store import EventStore
from libs.rpc.errors import RpcError, read
from libs.telemetry import logs, metrics

from .model import Consumer

BATCH = 500
RETRIES = 5
UNSAVED_POSITIONS = 1_000
FIRST_PAUSE_SECONDS = 0.05
POLL_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
LAG_SECONDS = 1.0
# So long after an operator asked for another try at a parked stream it is had.
PARKED_SECONDS = 1.0

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
        self.saved = -1
        """What the consumer's checkpoint holds; less than `position` where the events between were of no interest to it."""
        self._stale = False
        self._lag_time = 0.0
        self._parked_time = float("-inf")
        # Whether a short batch means that there was no more, so that it need not be asked for.
        self._tells_end = isinstance(log, EventStore)
        self._parked: set[str] = set()
        self._moved = asyncio.Condition()
        self._waker: asyncio.Event | None = None
        self._ending = False
        self._lag = metrics.SUBSCRIPTION_LAG.labels(subscription=consumer.name)
        self._parked_gauge = metrics.PARKED_STREAMS.labels(subscription=consumer.name)

    async def prepare(self) -> None:
        """Find where to go on, or where to start."""
        source = self.log.name
        position = await self.consumer.checkpoint(source)
        if position is None:
            position = await self.consumer.start(source, await self.log.head())
            await self.consumer.take(source, (), position)
        self.position = self.saved = position
        self._stale = False
        self._parked = set(await self.consumer.parked(source))
        self._parked_gauge.set(len(self._parked))

    async def run(self, waker: asyncio.Event) -> None:
        """Follow until cancelled, or told to `finish`; `waker` is set when the log has grown, and polling stands behind it.

        Run again, it asks the consumer anew how far it is, since another process may have gone on meanwhile. What no event is to blame
        for (a full disk, a neighbour that does not answer) is waited out, in pauses that grow to 5 s. It is logged once, and once when it
        is over.
        """
        self._waker = waker
        try:
            await self._follow(waker)
        finally:
            # From here on another process knows; what was true here must not outlast that.
            self._lag.set(0)
            self._parked_gauge.set(0)
            self._waker = None
            self._ending = False
            self._stale = True

    async def _follow(self, waker: asyncio.Event) -> None:
        pause, told = POLL_SECONDS, ""
        while not self._ending:
            waker.clear()
            try:
                moved = await self.step()
            except Exception as error:
                if told != type(error).__name__:
                    told = type(error).__name__
                    _log.error("subscription waits", subscription=self.consumer.name, reason=repr(error), exc_info=not is_passing(error))
                await self._fall_behind()
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            if told:
                _log.warning("subscription goes on", subscription=self.consumer.name)
                pause, told = POLL_SECONDS, ""
            linger = self.consumer.linger_seconds
            if moved == self.batch or (moved and not linger and not self._tells_end):
                continue
            if moved and linger:  # a full batch means that more waits: that is no time to gather
                await asyncio.sleep(linger)
            elif not self._ending:
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await waker.wait()
                except TimeoutError:
                    pass

    def finish(self) -> None:
        """Let `run` end by itself, after the batch that is under way."""
        self._ending = True
        if self._waker is not None:
            self._waker.set()

    async def step(self) -> int:
        """Take the next batch; answers how many events it held, 0 at the end of the log."""
        if self.position < 0 or self._stale:
            await self.prepare()
        events = await self.log.tail(self.position, self.batch)
        if events or self._parked:
            now = asyncio.get_running_loop().time()
            if self._parked or now - self._parked_time >= PARKED_SECONDS:
                self._parked_time = now
                await self.retry_parked()
        if not events:
            self._lag.set(0)
            return 0
        wanted = [event for event in events if self._wants(event)]
        last = events[-1].position
        try:
            # A batch that holds nothing for the consumer costs no transaction: reading it again after a restart changes nothing.
            if wanted or last - self.saved >= UNSAVED_POSITIONS:
                await self.consumer.take(self.log.name, wanted, last)
                self.saved = last
        except Exception as error:
            if is_passing(error):
                raise
            _log.warning("batch refused; its events are tried one by one", subscription=self.consumer.name, reason=repr(error))
            for event in wanted:
                await self._take_alone(event)
            await self.consumer.take(self.log.name, (), last)
            self.saved = last
        await self._arrive(last)
        if len(events) == self.batch:
            await self._fall_behind()
        else:
            self._lag.set(0)
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
        """Give the streams an operator asked for another try: all their events from where they were set aside.

        The table is asked each time: another process may have parked a stream, or rebuilt the projection and parked none.
        """
        source = self.log.name
        table = await self.consumer.parked(source)
        self._parked = set(table)
        for stream, parked in table.items():
            if not parked.retry:
                continue
            taken = max(self.position, await self.consumer.checkpoint(source) or 0)  # another process may be ahead of this one
            missed = await self._missed(stream, parked.position, taken)
            try:
                await self.consumer.unpark(source, stream, missed)
            except Exception as error:
                if is_passing(error) or not missed:
                    raise
                _log.error("stream stays parked", subscription=self.consumer.name, stream=stream, reason=repr(error))
                await self.consumer.park(source, missed[0], repr(error))
            else:
                self._parked.discard(stream)
        self._parked_gauge.set(len(self._parked))

    async def _missed(self, stream: str, first: int, last: int) -> list[Recorded]:
        missed: list[Recorded] = []
        position = first - 1
        while position < last:
            events = await self.log.tail(position, self.batch)
            if not events:
                break
            missed += [e for e in events if e.stream == stream and e.position <= last and self._handled(e)]
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
            except Exception as error:
                if is_passing(error):
                    raise
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

    async def _fall_behind(self) -> None:
        """Tell how many events wait, once a second; a log that cannot say how long it is has its reasons, and is asked again."""
        now = asyncio.get_running_loop().time()
        if now - self._lag_time < LAG_SECONDS:
            return
        self._lag_time = now
        try:
            self._lag.set(max(0, await self.log.head() - max(self.position, 0)))
        except Exception as error:
            _log.debug("the log cannot be asked how long it is", subscription=self.consumer.name, reason=repr(error))

    async def _arrive(self, position: int) -> None:
        async with self._moved:
            self.position = max(self.position, position)
            self._moved.notify_all()


def is_passing(error: Exception) -> bool:
    """Whether the fault lies with the surroundings and passes (no room, a lock, a neighbour away or full), not with the event.

    Such an event is tried until it works and never parked. A timeout is not among them: an event may be its cause.
    """
    if isinstance(error, RpcError):
        full = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and read(error).retry_seconds > 0
        return full or error.code() is grpc.StatusCode.UNAVAILABLE
    return isinstance(error, StorageFull | DatabaseBusy | OSError) and not isinstance(error, TimeoutError)
