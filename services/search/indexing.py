"""Events into index documents: one consumer for identity's log and one for feed's, their checkpoints stored with the documents."""
from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC as _UTC
from typing import Any

from google.protobuf.message import Message

from libs.db.database import Database, Transaction
from libs.eventstore.model import Log, Recorded, micros
from libs.searchindex.index import Checkpoint, Document, IndexAway, IndexHome, IndexUnusable, Removal, SearchIndex
from libs.subscriptions.consumers import Parking
from libs.telemetry import logs
from libs.text import markdown
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1.events_pb2 import (
    COMMUNITY_KIND_SECRET,
    AuthorErased,
    CommunityArchived,
    CommunityChanged,
    CommunityCreated,
    CommunityUnarchived,
    PostDeleted,
    PostEdited,
    PostPublished,
)
from watercooler.feed.v1.moderation_events_pb2 import PostRestored
from watercooler.identity.v1.events_pb2 import (
    PersonAdded,
    PersonErased,
    PersonLeft,
    PersonPhotoChanged,
    PersonProfileChanged,
    PersonRejoined,
    Profile,
)

from . import queries

KINDS: tuple[type[Message], ...] = (
    PersonAdded, PersonProfileChanged, PersonPhotoChanged, PersonLeft, PersonRejoined, PersonErased,
    PostPublished, PostEdited, PostDeleted, PostRestored, AuthorErased,
    CommunityCreated, CommunityChanged, CommunityArchived, CommunityUnarchived,
)
TITLE_CHARACTERS = 200
REBUILD_BATCH = 500
# The name by which a rebuild of the index is asked for.
REBUILT = "index"

_log = logs.get_logger(__name__)


class Shelf:
    """The index of this service, opened when first needed; an unusable one is put away and filled again from the logs."""

    def __init__(self, home: IndexHome) -> None:
        """The index that is kept there."""
        self._home = home
        self._index: SearchIndex | None = None
        self._opening = asyncio.Lock()

    async def readable(self) -> SearchIndex:
        """The index to search in. Raises IndexAway where it cannot be read before whoever writes it has filled it again."""
        try:
            return self._index or await self._opened()
        except IndexUnusable as error:
            raise IndexAway("search is being prepared: try again in a few minutes") from error

    async def writable(self) -> SearchIndex:
        """The index to write to: only who writes puts an unusable one away, so that others never take it from under a writer."""
        try:
            return self._index or await self._opened()
        except IndexUnusable as error:
            _log.warning("the search index is filled again from the logs", reason=str(error))
            await self._home.discard()
            return await self._opened()

    async def _opened(self) -> SearchIndex:
        async with self._opening:
            if self._index is None:
                self._index = await self._home.open()
            return self._index

    async def close(self) -> None:
        """Close the index, if it was opened."""
        if self._index is not None:
            await self._index.close()
            self._index = None


class Indexing(Parking):
    """Writes what one source's events change into the index."""

    handles: tuple[type[Message], ...] | None = KINDS
    # An index commit costs some 20 ms whatever it holds: a few a second keep search current within one.
    linger_seconds = 0.25
    every_process = False

    def __init__(self, source: str, database: Database, shelf: Shelf) -> None:
        """For one source; `database` remembers the parts of documents that single events do not carry."""
        super().__init__(f"search.index.{source}", database)
        self.paused = asyncio.Lock()
        self._shelf = shelf

    async def checkpoint(self, source: str) -> int | None:
        """What the index itself says."""
        return await (await self._shelf.writable()).checkpoint(source)

    async def start(self, source: str, head: int) -> int:
        """From the beginning."""
        return 0

    async def take(self, source: str, events: Sequence[Recorded], position: int) -> None:
        """Write the documents of the events; taking them twice changes nothing.

        A document that is removed can no longer be found, but an engine keeps its text until it clears up. So an erasure has it clear
        up now; where it cannot, the index is filled anew, beside the old one, from logs that do not hold what was erased any more.
        """
        async with self.paused:
            index = await self._shelf.writable()
            erasing = any(isinstance(event.data, AuthorErased | PersonErased) for event in events)
            try:
                await self.write(index, source, events, None if erasing else position)
                if erasing:
                    if not await index.expunge():
                        await self._ask_for_rebuild()
                    await index.write([], Checkpoint(source, position))  # last: a crash before it repeats the erasure
            except IndexUnusable as error:
                await self._ask_for_rebuild()
                raise IndexAway(f"the search index is filled again first: {error}") from error

    async def _ask_for_rebuild(self) -> None:
        async with self.database.transaction() as tx:
            await queries.ask_for_rebuild(tx, REBUILT, time.time_ns() // 1_000)

    async def write(self, index: SearchIndex, source: str, events: Sequence[Recorded], position: int | None) -> None:
        """Write into a given index; without a position its checkpoint stays."""
        changes: dict[str, Document | Removal] = {}
        if events:
            async with self.database.transaction(durable=False) as tx:
                await tx.lock("documents")  # several sources, and a rebuild, change parts of one document
                for event in events:
                    for change in await _changes(event, tx):
                        changes[change.id] = change
        await index.write(list(changes.values()), None if position is None else Checkpoint(source, position))

    async def park(self, source: str, event: Recorded, reason: str) -> None:
        """Set a stream aside, then pass the event: the index keeps the checkpoint."""
        async with self.database.transaction() as tx:
            await self.set_aside(tx, source, event, reason)
        await (await self._shelf.writable()).write([], Checkpoint(source, event.position))

    async def unpark(self, source: str, stream: str, events: Sequence[Recorded]) -> None:
        """Write what a stream missed."""
        await self.take(source, events, await (await self._shelf.writable()).checkpoint(source))
        async with self.database.transaction() as tx:
            await self.forget(tx, source, stream)


async def rebuild(
    consumers: Sequence[tuple[str, Indexing]], logs_of: Callable[[str], Log], shelf: Shelf, progress: Callable[[int, int], None]
) -> None:
    """Fill a fresh index from the logs while the old one answers, catch up with the consumers paused, and change over."""
    heads = {source: await logs_of(source).head() for source, _ in consumers}
    total = sum(heads.values())
    reached = dict.fromkeys(heads, 0)

    async def fill(fresh: SearchIndex) -> None:
        for source, consumer in consumers:
            while events := await logs_of(source).tail(reached[source], REBUILD_BATCH):
                wanted = [event for event in events if isinstance(event.data, KINDS)]
                await consumer.write(fresh, source, wanted, events[-1].position)
                reached[source] = events[-1].position
                progress(min(sum(reached.values()), total), total)

    async with (await shelf.writable()).rebuilding() as fresh:
        await fill(fresh)
        for _, consumer in consumers:
            await consumer.paused.acquire()
        try:
            await fill(fresh)
        except BaseException:
            for _, consumer in consumers:
                consumer.paused.release()
            raise
    for _, consumer in consumers:
        consumer.paused.release()
    progress(total, total)


async def _changes(event: Recorded, tx: Transaction) -> list[Document | Removal]:
    position = event.position
    match event.data:
        case PersonAdded(person_id=person_id, profile=profile):
            if event.erased:
                return [Removal(id=person_id, version=position)]
            return [await _person(person_id, _profile(profile), position, tx)]
        case PersonProfileChanged(person_id=person_id, profile=profile):
            if event.erased:
                return [Removal(id=person_id, version=position)]
            return await _changed_person(person_id, _profile(profile), position, tx)
        case PersonPhotoChanged(person_id=person_id, photo_blob_id=photo):
            return await _changed_person(person_id, {"photo_blob_id": photo}, position, tx)
        case PersonLeft(person_id=person_id):
            return await _changed_person(person_id, {"left": True}, position, tx)
        case PersonRejoined(person_id=person_id):
            return await _changed_person(person_id, {"left": False}, position, tx)
        case PersonErased(person_id=person_id):
            await queries.forget_document(tx, person_id)
            return [Removal(id=person_id, version=position)]
        case PostPublished() as post:
            return await _published(post, event, tx)
        case PostRestored() as restored:
            return [] if event.erased else await _published(restored.content, event, tx)
        case PostEdited() as edited:
            content = await queries.document(tx, edited.post_id)
            if content is None or event.erased:
                return []
            content |= {"language": edited.language, "tags": list(edited.tags)}
            await queries.keep_document(tx, edited.post_id, edited.author_id, content)
            return [_post(edited.post_id, content, edited.body, [a.description for a in edited.attachments], position)]
        case PostDeleted(post_id=post_id):
            await queries.forget_document(tx, post_id)
            return [Removal(id=post_id, version=position)]
        case AuthorErased(person_id=person_id):
            written = await queries.authored(tx, person_id)
            for post_id in written:
                await queries.forget_document(tx, post_id)
            return [Removal(id=post_id, version=position) for post_id in written]
        case CommunityCreated() as created:
            content = {"create_time": micros(created.create_time.ToDatetime(_UTC)), "archived": False}
            return [await _community(created, content, position, tx)]
        case CommunityChanged() as changed:
            known = await queries.document(tx, changed.community_id) or {"create_time": 0, "archived": False}
            return [await _community(changed, known, position, tx)]
        case CommunityArchived(community_id=community_id):
            return await _archived(community_id, True, position, tx)
        case CommunityUnarchived(community_id=community_id):
            return await _archived(community_id, False, position, tx)
    return []


def _profile(profile: Profile) -> dict[str, Any]:
    return {
        "name": profile.name, "preferred_name": profile.preferred_name, "handle": profile.handle,
        "mailbox": profile.email.partition("@")[0], "title": profile.title, "department": profile.department,
        "location": profile.location, "about": profile.about,
    }


async def _person(person_id: str, content: dict[str, Any], position: int, tx: Transaction) -> Document | Removal:
    await queries.keep_document(tx, person_id, "", content)
    if content.get("left"):
        return Removal(id=person_id, version=position)  # the work stays findable; as somebody to turn to, they are gone
    names = [content["name"], content["preferred_name"], content["handle"], content["mailbox"]]
    keywords = [content["title"], content["department"], content["location"]]
    return Document(
        id=person_id, kind="person", version=position, title=content["preferred_name"] or content["name"], audience=[queries.EMPLOYEES],
        body=markdown.plain(content["about"]), names=[n for n in dict.fromkeys(names) if n], keywords=[k for k in keywords if k],
        extra={
            "subtitle": ", ".join(k for k in (content["title"], content["location"]) if k),
            "photo_blob_id": content.get("photo_blob_id", ""),
        },
    )


async def _changed_person(person_id: str, change: dict[str, Any], position: int, tx: Transaction) -> list[Document | Removal]:
    content = await queries.document(tx, person_id)
    if content is None:
        return []  # erased since
    return [await _person(person_id, content | change, position, tx)]


async def _published(post: PostPublished, event: Recorded, tx: Transaction) -> list[Document | Removal]:
    if event.erased:
        return []
    begun_by = post.author_id
    if post.root_id and (root := await queries.document(tx, post.root_id)) is not None:
        begun_by = root["author_id"]
    content = {
        "author_id": post.author_id, "audience": _audience_keys(post.audience, post.author_id, begun_by), "language": post.language,
        "community_id": post.audience.community_id, "tags": list(post.tags),
        "create_time": micros(post.publish_time.ToDatetime(_UTC)),
    }
    await queries.keep_document(tx, post.post_id, post.author_id, content)
    return [_post(post.post_id, content, post.body, [a.description for a in post.attachments], event.position)]


def _post(post_id: str, content: dict[str, Any], body: str, descriptions: Sequence[str], position: int) -> Document:
    text = "\n".join([markdown.plain(body), *(d for d in descriptions if d)])
    return Document(
        id=post_id, kind="post", version=position, title="", audience=content["audience"], body=text, language=content["language"],
        author_id=content["author_id"], community_id=content["community_id"], tags=content["tags"], create_time=content["create_time"],
    )


def _audience_keys(audience: Audience, author_id: str, begun_by: str) -> list[str]:
    """Who may find a post, as services/feed/access.py says it; `begun_by` wrote the thread's first post."""
    match audience.WhichOneof("kind"):
        case "everyone":
            return [queries.EMPLOYEES, queries.person_key(author_id)]
        case "followers_of_id":
            return [queries.followers_key(audience.followers_of_id), queries.person_key(audience.followers_of_id)]
        case "group_id":  # here and below not the author's own key: who leaves loses sight of it whole
            return [queries.group_key(audience.group_id)]
        case "community_id":
            return [queries.community_key(audience.community_id)]
        case "chart_of_id":  # who stands where in the chart is not known here: others come upon it in the list of announcements
            return [queries.person_key(author_id)]
        case "people":
            return [queries.person_key(person_id) for person_id in sorted({*audience.people.person_ids, begun_by, author_id})]
        case _:
            return []


async def _community(
    event: CommunityCreated | CommunityChanged, content: dict[str, Any], position: int, tx: Transaction
) -> Document | Removal:
    audience = [queries.community_key(event.community_id)]
    if event.kind != COMMUNITY_KIND_SECRET:
        audience.append(queries.EMPLOYEES)
    content = content | {
        "name": event.name, "description": event.description, "audience": audience, "tags": list(event.tags),
    }
    return await _kept_community(event.community_id, content, position, tx)


async def _kept_community(community_id: str, content: dict[str, Any], position: int, tx: Transaction) -> Document | Removal:
    await queries.keep_document(tx, community_id, "", content)
    if content["archived"]:
        return Removal(id=community_id, version=position)
    return Document(
        id=community_id, kind="community", version=position, title=content["name"], audience=content["audience"],
        body=content["description"], community_id=community_id, tags=content["tags"], create_time=content["create_time"],
    )


async def _archived(community_id: str, archived: bool, position: int, tx: Transaction) -> list[Document | Removal]:
    content = await queries.document(tx, community_id)
    if content is None:
        return []
    return [await _kept_community(community_id, content | {"archived": archived}, position, tx)]
