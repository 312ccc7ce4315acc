"""Live updates by server-sent events: register, then fetch, then apply; a lost queue means reload.

A page registers a queue (`GET /live/register`), shows what it fetched, and opens `GET /live?queue=...`. What is pushed names posts
and people by id only, to those who may see them: the page fetches what it shows through its ordinary path, so nothing can leak here.

A queue lives in one process. Its name and the ids of its events say from which position of feed's log they go on, so that a connection
that reaches another process is served there, from the log.
"""
from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import grpc
import msgspec
from google.protobuf.message import Message

from libs.eventstore.model import Log, Recorded
from libs.rpc import auth
from libs.rpc.errors import RpcError
from libs.telemetry import logs, metrics
from libs.text.ids import new_id
from watercooler.feed.v1 import announcement_events_pb2 as announcements
from watercooler.feed.v1 import asking_events_pb2 as asking
from watercooler.feed.v1 import events_pb2 as events
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import ideas_events_pb2 as ideas
from watercooler.feed.v1 import reading_events_pb2 as reading_events
from watercooler.feed.v1.mention_events_pb2 import MembersMentioned

from .following import FromNow
from .parties import Clients
from .problems import Refusal

QUEUE_LENGTH: Final = 1_000
IDLE_SECONDS: Final = 60.0
HEARTBEAT_SECONDS: Final = 15.0
TEND_SECONDS: Final = 5.0
CONNECTIONS_PER_PERSON: Final = 10
# Registered and not connected included; a page that is reloaded leaves its queue behind for a minute.
QUEUES_PER_PERSON: Final = 50
CHECKED_AT_ONCE: Final = 1_000
# What a page may have missed between being shown and registering; past that it reloads.
MISSED_EVENTS: Final = 200
# What is sent again to a connection that breaks and comes back.
KEPT_AFTER_SENDING: Final = 100
FLUSH_SECONDS: Final = 0.15
RELOAD: Final = b"event: reload\ndata: {}\n\n"
AGAIN: Final = b"retry: 2000\n\n"

_QUEUE_ID = re.compile(r"[0-9a-f-]{36}\.([0-9]{1,18})\.([0-9a-f]{12})")
_EVENT_ID = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18})-([0-9a-f]{12}))?")

_AUDIENCES: Final = {"followers_of_id": "followers", "group_id": "group", "community_id": "community", "chart_of_id": "chart"}

_log = logs.get_logger(__name__)

HANDLES: Final[tuple[type[Message], ...]] = (
    events.PostPublished, events.PostReposted, events.PostEdited, events.PostDeleted, events.ReactionAdded, events.ReactionRemoved,
    events.PostReadConfirmed, events.PersonFollowed, events.JoinRequested, events.MemberJoined, events.NotificationsRead,
    reading_events.FilterSaved, reading_events.FilterDeleted, events.PollVoted, events.PollClosed, events.LinkPreviewed,
    MembersMentioned,
    announcements.AudienceNotified,
    asking.BestAnswerMarked, asking.QuestionRouted, ideas.IdeaStateChanged, ideas.IdeaSponsored,
)


@dataclass(slots=True, eq=False)
class Queue:
    """What one page has still to be told, and what it was told last, for a connection that breaks."""

    queue_id: str
    person_id: str
    session_id: str
    token_id: str
    caller: auth.Caller
    position: int
    process: str = ""
    waiting: deque[tuple[int, bytes]] = field(default_factory=deque)
    sent: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=KEPT_AFTER_SENDING))
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    number: int = 0
    told: int = 0
    connection: int = 0
    connected: bool = False
    idle_since: float = field(default_factory=time.monotonic)
    lost: bool = False
    closed: bool = False

    def push(self, event: bytes, position: int = 0) -> bool:
        """Add an event; False when the page has fallen too far behind."""
        if len(self.waiting) >= QUEUE_LENGTH:
            return False
        self.waiting.append((position, event))
        self.wake.set()
        return True

    def take(self) -> bytes:
        """The next event, numbered, ready to be sent."""
        self.number += 1
        position, event = self.waiting.popleft()
        self.told = max(self.told, position)
        event = b"id: %d-%d-%s\n" % (self.number, self.told, self.process.encode()) + event
        self.sent.append((self.number, event))
        return event

    def unseen(self, last: int) -> list[bytes] | None:
        """What was sent after the event of that number; None when that is not known any more."""
        if last > self.number or (self.sent and last < self.sent[0][0] - 1) or (not self.sent and last < self.number):
            return None
        return [event for number, event in self.sent if number > last]


class LastSeen(NamedTuple):
    """What a page has seen last: the number of an event and its position, and which process sent it (empty for unknown)."""

    number: int
    position: int = 0
    process: str = ""

    @classmethod
    def of(cls, event_id: str) -> LastSeen | None:
        """From the header Last-Event-ID; None for anything that is no id of ours."""
        found = _EVENT_ID.fullmatch(event_id)
        return cls(int(found[1]), int(found[2] or 0), found[3] or "") if found else None


class Live:
    """The queues of this process, filled from the feed's log."""

    def __init__(self, clients: Clients, tokens: auth.Tokens, log: Log) -> None:
        """Ask feed who may see what, as the gateway itself; `log` is the feed's, for what a page missed before it registered."""
        self._clients = clients
        self._tokens = tokens
        self._log = log
        self.consumer = FromNow("gateway.live", None, self._taken)
        self.process = new_id().replace("-", "")[-12:]
        self.draining = False
        self._queues: dict[str, Queue] = {}
        self._of_person: dict[str, dict[str, Queue]] = {}
        # Posts whose counts, and people whose notifications, have changed since the last flush, with the newest position.
        self._counts: dict[str, int] = {}
        self._notified: dict[str, int] = {}
        self._changed = asyncio.Event()

    # --- queues --------------------------------------------------------------------------------------------------

    async def register(
        self, person_id: str, caller: auth.Caller, session_id: str = "", token_id: str = "", after: int = -1, queue_id: str = ""
    ) -> Queue:
        """A new queue, which gathers from now on, or from a position that a page has shown.

        Raises:
            Refusal: 429, the person has too many; 503, this process does not follow the feed yet.
        """
        if self.consumer.position is None:
            raise Refusal(503, "Live updates are not ready yet: try again in a moment.", retry_seconds=2)
        mine = self._of_person.get(person_id, {})
        if len(mine) >= QUEUES_PER_PERSON:
            idle = [queue for queue in mine.values() if not queue.connected]
            if not idle:
                raise Refusal(429, "Too many pages are open: close some.", retry_seconds=int(IDLE_SECONDS))
            self._drop(min(idle, key=lambda queue: queue.idle_since))
        now = self.consumer.position
        begin = after if 0 <= after < now else now
        queue = Queue(queue_id or f"{new_id()}.{begin}.{self.process}", person_id, session_id, token_id, caller, now, self.process)
        queue.told = begin
        self._queues[queue.queue_id] = queue
        self._of_person.setdefault(person_id, {})[queue.queue_id] = queue
        if 0 <= after < queue.position:
            await self._catch_up(queue, after)
        return queue

    async def _catch_up(self, queue: Queue, after: int) -> None:
        missed = await self._log.tail(after, MISSED_EVENTS + 1)
        if len(missed) > MISSED_EVENTS:
            self._lose(queue)
            return
        for event in missed:
            if event.position <= queue.position and isinstance(event.data, HANDLES):
                await self._tell_of(event, [queue.person_id])

    def find(self, queue_id: str, person_id: str) -> Queue | None:
        """A person's own queue; None when it is lost, or was never theirs."""
        queue = self._queues.get(queue_id)
        return queue if queue is not None and queue.person_id == person_id else None

    async def resume(
        self, queue_id: str, last: LastSeen | None, person_id: str, caller: auth.Caller, session_id: str, token_id: str
    ) -> Queue | None:
        """A queue that another process held, as far as the log can tell; None for one that was lost, or never was.

        Raises:
            Refusal: as `register`.
        """
        found = _QUEUE_ID.fullmatch(queue_id)
        if found is None or (found[2] == self.process and (last is None or last.process in ("", self.process))):
            return None
        held = self.find(queue_id, person_id)
        if held is not None:
            self._drop(held)
        elif queue_id in self._queues:
            return None
        after = last.position if last is not None and last.process else int(found[1])
        return await self.register(person_id, caller, session_id, token_id, after, queue_id)

    async def drain(self) -> None:
        """End every stream, so that its page goes on in another process; one that comes now is sent on at once."""
        await self.flush()
        self.draining = True
        self._close(list(self._queues.values()))

    def connections(self, person_id: str) -> int:
        """How many pages of a person listen now."""
        return sum(queue.connected for queue in self._of_person.get(person_id, {}).values())

    def close_person(self, person_id: str) -> None:
        """End every stream of a person at once."""
        self._close(list(self._of_person.get(person_id, {}).values()))

    def close_other_sessions(self, person_id: str, keep: str) -> None:
        """End every stream of a person's sessions but for one; those of access tokens go on."""
        mine = self._of_person.get(person_id, {}).values()
        self._close([queue for queue in mine if queue.session_id not in ("", keep)])

    def close_session(self, session_id: str) -> None:
        """End every stream of a session at once."""
        self._close([queue for queue in self._queues.values() if queue.session_id == session_id])

    def close_token(self, token_id: str) -> None:
        """End every stream of an access token at once."""
        self._close([queue for queue in self._queues.values() if queue.token_id == token_id])

    def leave(self, queue: Queue) -> None:
        """A connection that does not come back has ended: its queue gathers no more."""
        queue.connected = False
        self._drop(queue)

    def _close(self, queues: Sequence[Queue]) -> None:
        for queue in queues:
            queue.closed = True
            queue.wake.set()
            self._drop(queue)

    def _lose(self, queue: Queue) -> None:
        queue.lost = True
        queue.wake.set()
        metrics.LIVE_QUEUES_LOST.inc()
        self._drop(queue)

    def _drop(self, queue: Queue) -> None:
        self._queues.pop(queue.queue_id, None)
        mine = self._of_person.get(queue.person_id)
        if mine is not None:
            mine.pop(queue.queue_id, None)
            if not mine:
                del self._of_person[queue.person_id]

    async def tend(self) -> None:
        """Drop queues that nobody has listened to for a minute."""
        while True:
            await asyncio.sleep(TEND_SECONDS)
            self.collect(time.monotonic())

    def collect(self, now: float) -> int:
        """Drop what has been idle for a minute at `now` (monotonic seconds); answers how many there were."""
        idle = [queue for queue in self._queues.values() if not queue.connected and now - queue.idle_since >= IDLE_SECONDS]
        for queue in idle:
            self._drop(queue)
        return len(idle)

    # --- events --------------------------------------------------------------------------------------------------

    async def _taken(self, event: Recorded) -> None:
        if self._of_person and isinstance(event.data, HANDLES):
            await self._tell_of(event, list(self._of_person))

    async def _tell_of(self, event: Recorded, people: Sequence[str]) -> None:
        """Tell those of the people who may know."""
        data, position = event.data, event.position
        match data:
            case events.PostPublished():
                await self._published(data, position, people)
            case events.PostReposted():
                await self._reposted(data, position, people)
            case events.PostEdited():
                await self._to_viewers("edited", data.post_id, position, people)
            case events.PostDeleted():
                await self._to_viewers("deleted", data.post_id, position, people)
            case events.ReactionAdded() | events.ReactionRemoved():
                self._counted(data.post_id, position)
                self._may_have_news(await self._author(data.post_id), position)
            case events.PostReadConfirmed() | events.PollVoted():
                self._counted(data.post_id, position)
            case events.PollClosed() | events.LinkPreviewed():
                await self._to_viewers("edited", data.post_id, position, people)
                if isinstance(data, events.PollClosed):
                    self._may_have_news([data.author_id], position)
            case MembersMentioned():
                self._may_have_news([each for each in data.person_ids if each in people], position)
            case events.PersonFollowed() | events.NotificationsRead():
                self._may_have_news([data.person_id], position)
            case announcements.AudienceNotified():
                self._may_have_news(data.person_ids, position)
            case asking.BestAnswerMarked():
                await self._to_viewers("edited", data.question_id, position, people)
                self._may_have_news([data.answerer_id], position)
            case asking.QuestionRouted():
                self._may_have_news([each.person_id for each in data.people], position)
            case ideas.IdeaStateChanged():
                await self._to_viewers("edited", data.post_id, position, people)
                self._may_have_news([data.author_id], position)
            case ideas.IdeaSponsored():
                self._may_have_news(await self._author(data.post_id), position)
            case reading_events.FilterSaved() | reading_events.FilterDeleted():
                self._tell([data.owner_id] if data.owner_id in people else [], "filters", {"position": position})
            case events.JoinRequested() | events.MemberJoined():
                self._may_have_news([data.person_id, *await self._stewards(data.community_id)], position)
            case _:
                raise TypeError(f"{type(data).__name__} is not handled")

    async def _published(self, data: events.PostPublished, position: int, people: Sequence[str]) -> None:
        visible, home = await self._viewers(data.post_id, people)
        audience = data.audience.WhichOneof("kind") or "nobody"
        seen: dict[str, Any] = {
            "audience": _AUDIENCES.get(audience, audience),
            "post_id": data.post_id, "root_id": data.root_id, "author_id": data.author_id, "tags": list(data.tags), "position": position,
            "community_id": data.audience.community_id,
        }
        kind = "reply" if data.parent_id else "post"
        for at_home, those in ((True, visible & home), (False, visible - home)):
            self._tell(those, kind, {**seen, "parent_id": data.parent_id, "home": at_home})
        if data.parent_id:
            self._tell(visible, "counts", {"post_id": data.root_id, "position": position})
        told = {*data.mentioned_ids, *data.audience.people.person_ids, *data.praise.person_ids}
        if data.parent_id:
            told |= {*await self._author(data.parent_id), *await self._author(data.root_id)}
        self._may_have_news(sorted(told & visible), position)

    async def _reposted(self, data: events.PostReposted, position: int, people: Sequence[str]) -> None:
        visible, home = await self._viewers(data.post_id, people)
        audience = data.audience.WhichOneof("kind") or "nobody"
        for at_home, those in ((True, visible & home), (False, visible - home)):
            self._tell(those, "post", {
                "audience": _AUDIENCES.get(audience, audience), "post_id": data.post_id, "root_id": "", "author_id": data.author_id,
                "tags": [], "position": position, "community_id": data.audience.community_id, "parent_id": "", "home": at_home,
                "reposted_id": data.original_id,
            })
        self._counted(data.original_id, position)
        self._may_have_news([data.original_author_id], position)

    async def _to_viewers(self, kind: str, post_id: str, position: int, people: Sequence[str]) -> None:
        visible, _ = await self._viewers(post_id, people)
        self._tell(visible, kind, {"post_id": post_id, "position": position})

    def _counted(self, post_id: str, position: int) -> None:
        self._counts[post_id] = position
        self._changed.set()

    def _may_have_news(self, people: Sequence[str], position: int) -> None:
        for person_id in people:
            if person_id in self._of_person:
                self._notified[person_id] = position
                self._changed.set()

    async def flush_forever(self) -> None:
        """Tell of counts and notifications a little later, so that a hundred reactions are one message."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            self._changed.clear()
            await self.flush()

    async def flush(self) -> None:
        """Tell of counts and notifications that have changed."""
        counts, self._counts = self._counts, {}
        notified, self._notified = self._notified, {}
        for post_id, position in counts.items():
            try:
                await self._to_viewers("counts", post_id, position, list(self._of_person))
            except Exception:
                _log.exception("counts not told", post_id=post_id)
        for person_id, position in notified.items():
            queues = self._of_person.get(person_id)
            if not queues:
                continue
            try:
                with auth.acting(self._tokens.sign(next(iter(queues.values())).caller)):
                    unread = (await self._clients.feed.CountUnreadNotifications(feed.CountUnreadNotificationsRequest())).unread_count
            except Exception:
                _log.exception("notifications not told", person_id=person_id)
                continue
            self._tell([person_id], "notification", {"unread_count": unread, "position": position})

    def _tell(self, people: Iterable[str], kind: str, data: dict[str, Any]) -> None:
        text: bytes | None = None
        for person_id in people:
            for queue in list(self._of_person.get(person_id, {}).values()):
                if text is None:
                    text = b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode(data))
                if not queue.push(text, data["position"]):
                    self._lose(queue)

    # --- what feed knows -----------------------------------------------------------------------------------------

    async def _viewers(self, post_id: str, people: Sequence[str]) -> tuple[set[str], set[str]]:
        visible: set[str] = set()
        home: set[str] = set()
        for start in range(0, len(people), CHECKED_AT_ONCE):
            request = feed.CheckVisibilityRequest(post_id=post_id, person_ids=people[start:start + CHECKED_AT_ONCE])
            with self._as_gateway():
                try:
                    answer = await self._clients.feed.CheckVisibility(request)
                except RpcError as error:
                    if error.code() is grpc.StatusCode.NOT_FOUND:
                        return set(), set()
                    raise
            visible.update(answer.visible_ids)
            home.update(answer.home_ids)
        return visible, home

    async def _author(self, post_id: str) -> list[str]:
        with self._as_gateway():
            try:
                return [(await self._clients.feed.GetPost(feed.GetPostRequest(post_id=post_id))).author.person_id]
            except RpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    return []
                raise

    async def _stewards(self, community_id: str) -> list[str]:
        found: list[str] = []
        with self._as_gateway():
            for role in (events.MEMBER_ROLE_OWNER, events.MEMBER_ROLE_MODERATOR):
                request = feed.ListMembersRequest(community_id=community_id, page_size=200, role=role)
                try:
                    members = (await self._clients.feed.ListMembers(request)).members
                except RpcError as error:
                    if error.code() is grpc.StatusCode.NOT_FOUND:  # the first owner joins a moment before there is a community
                        return []
                    raise
                found += [member.person.person_id for member in members]
        return found

    def _as_gateway(self) -> AbstractContextManager[None]:
        return auth.acting(self._tokens.sign(auth.Caller(service="gateway")))


async def stream(queue: Queue | None, last: int | None, signed_in: Callable[[], Awaitable[bool]]) -> AsyncGenerator[bytes, None]:
    """The bytes of a queue as they come, with a comment every 15 s; ends when the queue is lost or its person signed out."""
    if queue is None:
        yield RELOAD
        return
    queue.connection += 1
    mine = queue.connection
    queue.connected = True
    queue.wake.set()  # a connection that this one replaces ends by itself
    metrics.LIVE_CONNECTIONS.inc()
    try:
        yield AGAIN
        if last is not None:
            again = queue.unseen(last)
            if again is None:
                yield RELOAD
                return
            for event in again:
                yield event
        while queue.connection == mine and not queue.closed:
            while queue.waiting and not queue.lost:
                yield queue.take()
            if queue.lost:
                yield RELOAD
                return
            queue.wake.clear()
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await queue.wake.wait()
            except TimeoutError:
                if not await signed_in():
                    return
                yield b": still here\n\n"
    finally:
        metrics.LIVE_CONNECTIONS.dec()
        if queue.connection == mine:
            queue.connected = False
            queue.idle_since = time.monotonic()
