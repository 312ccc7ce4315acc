"""The log of one service: streams to decide on, positions to follow."""
from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from google.protobuf.message import Message

from libs.db.database import Database, DatabaseBusy, Reader, Row, StorageFull, Transaction, UniqueViolation
from libs.telemetry import metrics
from libs.text.ids import new_id

from .codec import message_type
from .model import EVENT_BYTES, EVENTS_PER_APPEND, Conflict, InvalidArgument, Metadata, Projection, Recorded
from .personal import Ciphers, Keyring, Marks, marks

SCHEMA = resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
SCHEMA_VERSION = 1
APPENDS_PER_COMMIT = 256
# What is announced at each append, for those who follow the log in other processes.
APPENDED = "events"

RECENT = 512

# What ends a whole transaction, whoever's statement met it; trying each append apart would only meet it again.
_NOBODYS_FAULT = (StorageFull, DatabaseBusy)

_COLUMNS = "position, id, stream, version, type, data, sealed, actor_id, correlation_id, causation_id, traceparent, record_time"
_INSERT = f"""
    INSERT INTO events ({_COLUMNS})
    VALUES (:position, :id, :stream, :version, :type, :data, :sealed,
            :actor_id, :correlation_id, :causation_id, :traceparent, :record_time)
"""


@dataclass(slots=True, eq=False)
class _Append:
    stream: str
    expected: int
    events: Sequence[Message]
    meta: Metadata
    request_key: str
    done: asyncio.Future[int]


class EventStore:
    """Append-only streams in one database, committed in groups.

    Appends that arrive while a commit is under way, or in the same turn of the event loop, share the next commit: the lock, the
    fsync and the statement that finds the next position are paid once for all. `unique (stream, version)` finds the loser of a
    race, and only that append fails. Under the lock, positions are given without gaps, so commit order is position order and a
    reader that follows positions never skips an event.
    """

    def __init__(self, name: str, database: Database, inline: Sequence[Projection] = ()) -> None:
        """A store over a database that has the schema; `inline` projections commit with each append."""
        self.name = name
        self.database = database
        self.inline = tuple(inline)
        self.keyring = Keyring()
        self._by_type: dict[type[Message], tuple[Projection, ...]] = {}
        self._pending: list[_Append] = []
        self._flusher: asyncio.Task[None] | None = None
        self._wakers: set[asyncio.Event] = set()
        # The newest events of this process, without a gap; those who follow the log take them from here and neither read nor decrypt.
        self._recent: list[Recorded] = []
        self._recent_keys = 0
        self._batch_size = metrics.APPEND_BATCH_SIZE
        self._seconds = metrics.APPEND_SECONDS
        self._appended = metrics.EVENTS_APPENDED.labels(service=name)
        database.listen(APPENDED, self._wake)

    async def append(self, stream: str, expected: int, events: Sequence[Message], meta: Metadata, request_key: str = "") -> int:
        """Append to a stream that is at version `expected`; answers the position of the last event once it is durable.

        Raises:
            Conflict: the stream is past `expected`, or the request key was used meanwhile.
            InvalidArgument: more than 100 events, or one of more than 512 KiB.
            Rejected: an inline projection refuses.
            StorageFull: no room; nothing was written.
            DatabaseBusy: the database is away or held by others; nothing was written, but for `CommitUnknown`, after which only the
                request key tells: repeated with it, a command finds its first answer or is done once.
        """
        if not 1 <= len(events) <= EVENTS_PER_APPEND:
            raise InvalidArgument(f"an append takes 1 to {EVENTS_PER_APPEND} events, not {len(events)}")
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._pending.append(_Append(stream, expected, events, meta, request_key, done))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())
        return await done

    async def read(self, stream: str, after: int = 0) -> list[Recorded]:
        """A stream's events past a version, in order."""
        rows = await self.database.fetch(
            f"SELECT {_COLUMNS} FROM events WHERE stream = :stream AND version > :after ORDER BY version", stream=stream, after=after
        )
        return await self._all_recorded(rows)

    async def tail(self, after: int, limit: int) -> list[Recorded]:
        """The next events of the log past a position; fewer than `limit` only where there were no more, or others have just written.

        They may be shared with other readers: who needs one otherwise makes a copy.
        """
        recent = self._recent
        if recent and recent[0].position <= after + 1 <= recent[-1].position and self._recent_keys == self.keyring.forgotten:
            start = after + 1 - recent[0].position
            return recent[start:start + limit]
        rows = await self.database.fetch(
            f"SELECT {_COLUMNS} FROM events WHERE position > :after ORDER BY position LIMIT :limit", after=after, limit=limit
        )
        return await self._all_recorded(rows)

    async def head(self) -> int:
        """The position of the newest event; 0 when there is none."""
        return await _head(self.database)

    async def answered(self, request_key: str) -> tuple[str, int] | None:
        """The stream and version that answered a request before, if one did."""
        row = await self.database.fetch_one("SELECT stream, version FROM requests WHERE request_key = :key", key=request_key)
        return (row["stream"], row["version"]) if row else None

    def waker(self) -> asyncio.Event:
        """An event that is set at each commit of this process, and soon after those of others; give it back by `dismiss`."""
        waker = asyncio.Event()
        self._wakers.add(waker)
        return waker

    def dismiss(self, waker: asyncio.Event) -> None:
        """Stop setting a waker."""
        self._wakers.discard(waker)

    async def close(self) -> None:
        """Wait for the commit under way."""
        if self._flusher is not None:
            await asyncio.gather(self._flusher, return_exceptions=True)

    async def _flush(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending[:APPENDS_PER_COMMIT], self._pending[APPENDS_PER_COMMIT:]
                started = time.perf_counter()
                await self._commit(batch)
                self._seconds.observe(time.perf_counter() - started)
                self._batch_size.observe(len(batch))
                self._wake()
        finally:
            self._flusher = None

    def _wake(self) -> None:
        for waker in self._wakers:
            waker.set()

    async def _commit(self, batch: list[_Append]) -> None:
        first: set[str] = set()
        alone: list[_Append] = []
        for append in batch:
            if append.stream in first:  # decided on the same version as an earlier one of this batch: that one wins
                _fail(append, Conflict(append.stream))
            else:
                first.add(append.stream)
                alone.append(append)
        fresh: Ciphers = {}
        erased: list[str] = []
        try:
            async with self.database.transaction() as tx:
                positions, recorded = await self._write(tx, alone, fresh, erased)
        except Exception as error:
            if len(alone) > 1 and not isinstance(error, _NOBODYS_FAULT):
                await self._commit_apart(alone)
                return
            self._recent.clear()  # a commit of which nobody knows whether it happened may have left events, or deleted a key
            for person_id in erased:
                self.keyring.forget(person_id)
            for append in alone:
                _fail(append, _meant(error, append))
            return
        self._committed(alone, positions, recorded, fresh, erased)

    async def _commit_apart(self, batch: list[_Append]) -> None:
        """One commit still, but each append in a savepoint of its own, so that only the ones at fault fail."""
        kept: list[_Append] = []
        positions: list[int] = []
        recorded: list[Recorded] = []
        fresh: Ciphers = {}
        erased: list[str] = []
        failures: list[tuple[_Append, Exception]] = []
        try:
            async with self.database.transaction() as tx:
                for append in batch:
                    made: Ciphers = dict(fresh)
                    gone: list[str] = []
                    try:
                        async with tx.savepoint():
                            written, events = await self._write(tx, [append], made, gone)
                    except _NOBODYS_FAULT:
                        raise  # the transaction is over: none of them is stored
                    except Exception as error:
                        failures.append((append, _meant(error, append)))
                    else:
                        kept.append(append)
                        positions += written
                        recorded += events
                        fresh.update(made)
                        erased += gone
        except Exception as error:
            self._recent.clear()
            for person_id in erased:
                self.keyring.forget(person_id)
            for append in batch:
                _fail(append, _meant(error, append))
            return
        for append, failure in failures:
            _fail(append, failure)
        self._committed(kept, positions, recorded, fresh, erased)

    def _committed(
        self, batch: list[_Append], positions: list[int], recorded: list[Recorded], fresh: Ciphers, erased: list[str]
    ) -> None:
        for person_id in erased:
            self.keyring.forget(person_id)
        self.keyring.remember(fresh)
        self._remember([] if erased else recorded)
        for append, position in zip(batch, positions, strict=True):
            self._appended.inc(len(append.events))
            if not append.done.done():
                append.done.set_result(position)

    def _remember(self, recorded: list[Recorded]) -> None:
        """Hold what was just committed for `tail`; what somebody erased is in it may not be held on to."""
        recent = self._recent
        if not recorded or self._recent_keys != self.keyring.forgotten or (recent and recent[-1].position + 1 != recorded[0].position):
            recent.clear()
            self._recent_keys = self.keyring.forgotten
        recent += recorded
        if len(recent) > 2 * RECENT:
            del recent[:-RECENT]

    async def _write(
        self, tx: Transaction, batch: list[_Append], fresh: Ciphers, erased: list[str]
    ) -> tuple[list[int], list[Recorded]]:
        await tx.lock("events")
        position = await _head(tx)
        now = time.time_ns() // 1_000
        rows: list[dict[str, object]] = []
        recorded: list[Recorded] = []
        requests: list[dict[str, object]] = []
        positions: list[int] = []
        for append in batch:
            version = append.expected
            meta = append.meta
            for event in append.events:
                position += 1
                version += 1
                data, sealed = await self.keyring.seal(event, tx, now, fresh)
                if len(data) + len(sealed or b"") > EVENT_BYTES:
                    raise InvalidArgument(f"an event takes at most {EVENT_BYTES // 1024} KiB: store large things as files, refer to them")
                event_id = new_id()
                rows.append({
                    "position": position, "id": event_id, "stream": append.stream, "version": version,
                    "type": event.DESCRIPTOR.full_name, "data": data, "sealed": sealed,
                    "actor_id": meta.actor_id, "correlation_id": meta.correlation_id or event_id,
                    "causation_id": meta.causation_id, "traceparent": meta.traceparent, "record_time": now,
                })
                known = meta if meta.correlation_id else meta._replace(correlation_id=event_id)
                recorded.append(Recorded(event_id, append.stream, version, position, now, event, known))
                mark = marks(type(event))
                if mark.erases:  # at once, so that what the same commit holds of this person afterwards gets a key of its own
                    person_id = getattr(event, mark.subject)
                    await self.keyring.destroy(person_id, tx)
                    fresh[person_id] = None
                    erased.append(person_id)
            positions.append(position)
            if append.request_key:
                requests.append({"key": append.request_key, "stream": append.stream, "version": version, "now": now})
        await tx.execute_many(_INSERT, rows)
        if requests:
            await tx.execute_many(
                "INSERT INTO requests (request_key, stream, version, record_time) VALUES (:key, :stream, :version, :now)", requests
            )
        for event_recorded in recorded:
            for projection in self.projections(type(event_recorded.data)):
                await projection.apply(event_recorded, tx)
        await tx.announce(APPENDED)
        return positions, recorded

    def projections(self, event_type: type[Message]) -> tuple[Projection, ...]:
        """The inline projections that take this type of event."""
        found = self._by_type.get(event_type)
        if found is None:
            found = self._by_type[event_type] = tuple(p for p in self.inline if event_type in p.handles)
        return found

    async def _all_recorded(self, rows: Sequence[Row]) -> list[Recorded]:
        found: list[Recorded] = []
        keyring = self.keyring
        make = tuple.__new__  # what the classes themselves call, a Python frame later
        for position, event_id, stream, version, type_name, data, sealed, actor, correlation, causation, traceparent, record_time in rows:
            kind = _kinds.get(type_name)
            if kind is None:
                known = message_type(type_name)
                kind = _kinds[type_name] = (known, marks(known))
            message, mark = kind
            event = message.FromString(data)
            readable: bool | None = True
            if sealed is not None:
                readable = keyring.opened(event, sealed, getattr(event, mark.subject))
                if readable is None:
                    readable = await keyring.open(event, sealed, self.database)
            if mark.erases:  # another process may have erased: its key must not live on in this one's memory
                keyring.forget(getattr(event, mark.subject))
            meta = make(Metadata, (actor, correlation, causation, traceparent))
            found.append(make(Recorded, (event_id, stream, version, position, record_time, event, meta, not readable)))
        return found


_kinds: dict[str, tuple[type[Message], Marks]] = {}


async def _head(reader: Reader) -> int:
    row = await reader.fetch_one("SELECT COALESCE(MAX(position), 0) AS head FROM events")
    assert row is not None
    head: int = row["head"]
    return head


def _meant(error: Exception, append: _Append) -> Exception:
    """Only the log's own unique constraints mean a lost race; a projection's are its own business."""
    if isinstance(error, UniqueViolation) and error.constraint.split(".")[0] in ("events", "requests"):
        return Conflict(append.stream)
    return error


def _fail(append: _Append, error: Exception) -> None:
    if not append.done.done():
        append.done.set_exception(error)


