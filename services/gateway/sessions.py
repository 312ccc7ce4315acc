"""Web sessions: who is signed in where. The cookie holds a random secret, the table its SHA-256."""
from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from libs.db.database import Database
from libs.eventstore.model import micros
from libs.runtime.settings import Settings
from libs.text.ids import new_id

from . import queries
from .queries import Session

SECRET_BYTES = 32
# So long a revocation made by another process may go unnoticed by this one.
CACHE_SECONDS = 10
CACHED = 20_000
# How true `seen_time` is: writing it on every request would make every read a write.
SEEN_STEP = timedelta(minutes=5)
USER_AGENT_CHARACTERS = 300
# What is announced when somebody signs out, so that no other process goes on knowing the session.
ENDED = "sessions"

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


class Sessions:
    """Begins, finds, lists and ends sessions."""

    def __init__(self, database: Database, settings: Settings) -> None:
        """Sessions in the gateway's own database, living as long as the settings say."""
        self._database = database
        self._lifetime = settings.session_lifetime
        self.secure = settings.address.startswith("https://")
        # `__Host-` binds the cookie to this host and to https; a browser takes it on no plain connection.
        self.cookie = "__Host-watercooler_session" if self.secure else "watercooler_session"
        self._held: OrderedDict[str, tuple[datetime, Session]] = OrderedDict()
        self._ended = 0
        database.listen(ENDED, lambda: self._forget(lambda session: True))

    async def begin(self, person_id: str, user_agent: str, address: str, now: datetime) -> tuple[Session, str]:
        """Sign a person in; answers the session and the secret for its cookie."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        session_id = new_id()
        async with self._database.transaction() as tx:
            await queries.add_session(
                tx, session_id, _hash(secret), person_id, micros(now), micros(now + self._lifetime),
                user_agent[:USER_AGENT_CHARACTERS], address[:100],
            )
        session = Session(session_id, person_id, now, now, now + self._lifetime, user_agent[:USER_AGENT_CHARACTERS], address[:100])
        return session, secret

    async def find(self, secret: str, now: datetime) -> Session | None:
        """The session of a cookie, kept alive by being used; None when it has ended, expired or never was."""
        if not _SECRET.fullmatch(secret):
            return None
        key = _hash(secret)
        held = self._held.get(key)
        if held is not None and held[0] > now:
            return held[1]
        ended = self._ended
        async with self._database.snapshot() as tx:
            session = await queries.session_by_hash(tx, key, micros(now))
        if session is None:
            self._held.pop(key, None)
            return None
        if now - session.seen_time >= SEEN_STEP:
            async with self._database.transaction() as tx:
                await queries.touch_session(tx, session.session_id, micros(now), micros(now + self._lifetime))
        if ended == self._ended:  # else a session ended while this one was read, and it may be this one
            self._held[key] = (min(now + timedelta(seconds=CACHE_SECONDS), session.expire_time), session)
            if len(self._held) > CACHED:
                self._held.popitem(last=False)
        return session

    async def list_of(self, person_id: str, after: str, limit: int, now: datetime) -> list[Session]:
        """A person's sessions, newest first."""
        async with self._database.snapshot() as tx:
            return await queries.sessions_of(tx, person_id, after, limit, micros(now))

    async def list_all(self, after: str, limit: int, now: datetime) -> list[Session]:
        """Everybody's sessions, newest first, for administrators."""
        async with self._database.snapshot() as tx:
            return await queries.all_sessions(tx, after, limit, micros(now))

    async def get(self, session_id: str) -> Session | None:
        """A session by its id."""
        async with self._database.snapshot() as tx:
            return await queries.session_by_id(tx, session_id)

    async def end(self, session_id: str) -> bool:
        """Sign one device out; False when it was so already."""
        async with self._database.transaction() as tx:
            ended = await queries.delete_session(tx, session_id)
            await tx.announce(ENDED)
        self._forget(lambda session: session.session_id == session_id)
        return bool(ended)

    async def end_all(self, person_id: str, now: datetime, keep: str = "") -> int:
        """Sign a person out everywhere, but for one session where one is named; answers how many ended."""
        async with self._database.transaction() as tx:
            ended = await queries.delete_sessions_of(tx, person_id, keep, micros(now))
            await tx.announce(ENDED)
        self._forget(lambda session: session.person_id == person_id and session.session_id != keep)
        return ended

    def forget_person(self, person_id: str) -> None:
        """Drop a person's sessions from memory: the table has the truth."""
        self._forget(lambda session: session.person_id == person_id)

    def _forget(self, which: Callable[[Session], bool]) -> None:
        self._ended += 1
        for key in [key for key, (_, session) in self._held.items() if which(session)]:
            del self._held[key]

    async def expired(self, now: datetime) -> list[Session]:
        """Those whose time is up and that are still in the table, 1,000 at most."""
        async with self._database.snapshot() as tx:
            return await queries.expired_sessions(tx, micros(now))

    async def tidy(self, now: datetime, answers_before: datetime) -> int:
        """Delete what has expired."""
        async with self._database.transaction() as tx:
            return await queries.delete_expired(tx, micros(now), micros(answers_before))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
