"""The port to a relational database: the whole difference between engines is behind it."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from libs.telemetry import metrics


class Row(Protocol):
    """One result row: by column name, or its values in the order of the query."""

    def __getitem__(self, column: str, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def keys(self) -> Any: ...


class DatabaseError(Exception):
    """The engine refused or failed; subclasses say what can be done."""


class UniqueViolation(DatabaseError):
    """A row with the same unique value exists; `constraint` names table and columns, such as `people.email`."""

    def __init__(self, constraint: str) -> None:
        super().__init__(f"{constraint} exists already")
        self.constraint = constraint


class StorageFull(DatabaseError):
    """The disk is full: nothing was written, and writing works again when there is room. Each one is counted."""

    def __init__(self, *reasons: object) -> None:
        super().__init__(*reasons)
        metrics.STORAGE_FULL.inc()


class DatabaseBusy(DatabaseError):
    """It passes: another process held a lock for too long, or the server is away or has no connection to give. Try again."""


class CommitUnknown(DatabaseBusy):
    """The connection broke while a transaction was committing: it is stored whole or not at all, and only asking again will tell."""

    def __init__(self) -> None:
        """Say what to do about it."""
        super().__init__("the connection to the database broke while this was being stored: try again, it is not done twice")


class StatementTimeout(DatabaseError):
    """One statement took longer than the server allows; nothing of its transaction is stored."""


class UnstorableText(DatabaseError):
    """A text holds what the engine cannot keep: the character NUL in PostgreSQL."""


class DatabaseAway(DatabaseBusy):
    """The server cannot be reached; the message names it, for operators and nobody else."""


class UnusableDatabase(DatabaseError):
    """The file or server cannot be used by this version; the message says why and what to do."""


class Reader(Protocol):
    """Queries with `:named` parameters."""

    async def fetch(self, sql: str, **params: Any) -> Sequence[Row]:
        """All rows of a query."""
        ...

    async def fetch_one(self, sql: str, **params: Any) -> Row | None:
        """The first row of a query, if there is one."""
        ...


class Transaction(Reader, Protocol):
    """Statements with `:named` parameters, all or nothing."""

    async def execute(self, sql: str, **params: Any) -> int:
        """Run one statement; answers the number of rows it touched.

        Raises:
            UniqueViolation: a unique value exists.
            StorageFull: no room.
        """
        ...

    async def execute_many(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run one statement for each row of parameters; raises as `execute`."""
        ...

    async def batch(self, sql: str, **params: Any) -> None:
        """A statement whose answer nobody needs: it runs in its order, at the latest before the next one of another kind.

        It spares an engine on the network a round trip for each statement. What `execute` raises is raised by the statement, the end
        of the savepoint or the commit that follows.
        """
        ...

    async def lock(self, name: str) -> None:
        """Exclude other holders of the named lock until the transaction ends."""
        ...

    async def take_time(self) -> None:
        """Let the statements that follow in this transaction last: for migrations and rebuilds, not for callers who wait."""
        ...

    async def announce(self, name: str) -> None:
        """Wake those who listen to this name in other processes, once the transaction is committed (see `Database.listen`)."""
        ...

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """A part that can fail alone: an exception inside undoes that part and is raised on."""
        ...


class Database(Reader, Protocol):
    """Where one service keeps its log and its read models.

    `fetch` and `fetch_one` run one query by itself on what is committed: the cheapest read there is. Queries that must see the same
    moment share a `snapshot`.
    """

    def transaction(self, *, durable: bool = True) -> AbstractAsyncContextManager[Transaction]:
        """A write transaction: when the block ends without an exception, the rows survive power loss.

        With `durable=False` an engine that ends with this process may lose the newest such transactions in a power cut, in order and
        whole, until a durable one follows. That is enough for read models whose checkpoint is in the same transaction, and spares them
        the wait for the disk.
        """
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Transaction]:
        """A read-only view of one committed moment."""
        ...

    def scratch(self, schema: str) -> AbstractAsyncContextManager[Database]:
        """An empty database with this schema, of the same engine, gone when the block ends: for rebuilding beside the live tables."""
        ...

    async def adopt(self, scratch: Database, tables: Sequence[str], tx: Transaction) -> None:
        """Inside `tx`, replace the contents of `tables` by those of a scratch database."""
        ...

    def listen(self, name: str, wake: Callable[[], None]) -> None:
        """Call `wake` soon after transactions of other processes that announce this name, until the database is closed.

        A hint that may be lost or come for nothing: whoever must not miss anything looks by himself every now and then.
        """
        ...

    async def install(self, schema: str) -> None:
        """Create what is missing of a schema; running it again changes nothing."""
        ...

    async def backup(self, path: str) -> None:
        """A consistent copy in one file, taken while others read and write."""
        ...

    async def close(self) -> None:
        """Release every connection."""
        ...


def in_list(name: str, values: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """The placeholders and parameters of `column IN (...)`, portable between engines.

    The list is padded to a power of two by repeating its last value, so that few distinct statements need preparing.
    An empty list becomes `NULL`, which matches nothing.
    """
    if not values:
        return "NULL", {}
    size = 1 << (len(values) - 1).bit_length()
    padded = list(values) + [values[-1]] * (size - len(values))
    return ", ".join(f":{name}{i}" for i in range(size)), {f"{name}{i}": value for i, value in enumerate(padded)}
