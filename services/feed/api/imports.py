"""What comes from other systems, by administrators: each record on its own, the same again changes nothing."""
from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.db.database import Transaction
from libs.eventstore.model import AlreadyExists, InvalidArgument, PermissionDenied, Rejected
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.telemetry import metrics
from libs.text import emoji as emoji_text
from libs.text.ids import id_at, new_id, pair_id, time_of
from watercooler.common.v1.audience_pb2 import Audience, Everyone
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import feed_service_pb2 as api

from .. import commands
from ..deciders import community, membership, post, response
from ..queries import communities as community_queries
from ..queries import people as people_queries
from ..queries import posts as post_queries
from .communities import CommunityCalls, membership_stream, tags_of
from .posts import PostCalls, check_attachments, check_language, references

RECORDS = 1_000
SOURCE_CHARACTERS = 50
EXTERNAL_ID_CHARACTERS = 200
REQUEST_ID_CHARACTERS = 128
# Clocks differ; what is later than this comes from a wrong mapping.
FUTURE = timedelta(days=1)
_MILLISECOND = timedelta(milliseconds=1)

_ADDED, _CHANGED, _UNCHANGED, _REFUSED = (
    api.IMPORT_OUTCOME_ADDED, api.IMPORT_OUTCOME_CHANGED, api.IMPORT_OUTCOME_UNCHANGED, api.IMPORT_OUTCOME_REFUSED,
)
_COUNTED = {_ADDED: "created", _CHANGED: "updated", _UNCHANGED: "unchanged", _REFUSED: "rejected"}


@dataclass(slots=True)
class _Batch:
    """What a call of posts has looked up, and what it has come to so far."""

    caller: Caller
    source: str
    dry_run: bool
    people: dict[str, str]
    communities: dict[str, str]
    known: dict[str, str]
    """Post ids by external id: imported before, or by this call."""
    ticks: dict[str, int]
    """By external id, how many records of the call before it have the same time: many sources know the day only."""
    frames: dict[str, tuple[str, Audience, datetime]] = field(default_factory=dict)
    """First post and audience of the thread, and the post's own time, by post id."""


class ImportCalls(PostCalls, CommunityCalls):
    """Communities and posts of other systems."""

    async def ImportCommunities(self, request: api.ImportCommunitiesRequest, context: Any) -> api.ImportResponse:
        """Create communities with their members, or bring their descriptions up to date."""
        caller = _importer(request.source, request.records)
        async with self.database.snapshot() as tx:
            keys = (key for one in request.records for key in (*one.owner_keys, *one.moderator_keys, *one.member_keys))
            people = await people_queries.by_key(tx, keys, request.source)
            known = await community_queries.imported_communities(
                tx, [f"{request.source}:{record.external_id}" for record in request.records]
            )
        results = []
        for record in request.records:
            result = api.ImportResult(place=record.place)
            try:
                await self._import_community(caller, request, record, people, known, result)
            except Rejected as refused:
                result.outcome, result.reason = _REFUSED, refused.reason
            results.append(result)
        _count("community", request.dry_run, results)
        return api.ImportResponse(results=results)

    async def _import_community(
        self, caller: Caller, request: api.ImportCommunitiesRequest, record: api.CommunityRecord, people: dict[str, str],
        known: dict[str, str], result: api.ImportResult,
    ) -> None:
        external_id = _external_id(request.source, record.external_id)
        kind = record.kind or events_pb2.COMMUNITY_KIND_OPEN
        now = _time(record, "create_time", self.now()) if record.HasField("create_time") else self.now()
        members = _members(record, people, result)
        if not any(role == events_pb2.MEMBER_ROLE_OWNER for role in members.values()) and caller.person_id:
            members[caller.person_id] = events_pb2.MEMBER_ROLE_OWNER
        description = {"name": record.name.strip(), "description": record.description, "rules": record.rules, "kind": kind,
                       "tags": tags_of(record.tags)}
        known_id = known.get(external_id, "")
        result.id = known_id
        if not known_id:
            create = commands.CreateCommunity(
                community_id=new_id(), handle="", creator_id=caller.person_id, external_id=external_id, now=now, **description  # type: ignore[arg-type]
            )
            community.decide(create, community.initial())
            result.outcome = _ADDED
            if request.dry_run:
                return
            known[external_id] = result.id = await self.create(caller, create, owner=False)
        else:
            change = commands.ChangeCommunity(community_id=known_id, **description)  # type: ignore[arg-type]
            result.outcome = _UNCHANGED
            if await self._would_change(known_id, community, f"community-{known_id}", change):
                result.outcome = _CHANGED
                if not request.dry_run:
                    await self.handle(caller, community, f"community-{known_id}", change)
        joined = await asyncio.gather(*(
            self._import_member(caller, result.id, person_id, role, now, request.dry_run) for person_id, role in members.items()
        ))
        if any(joined) and result.outcome == _UNCHANGED:
            result.outcome = _CHANGED

    async def _would_change(self, known_id: str, decider: Any, stream: str, command: Any) -> bool:
        state = decider.initial()
        for recorded in await self.events.read(stream):
            state = decider.evolve(state, recorded.data)
        return bool(decider.decide(command, state))

    async def _import_member(
        self, caller: Caller, community_id: str, person_id: str, role: events_pb2.MemberRole.ValueType, now: datetime, dry_run: bool
    ) -> bool:
        """Who was let in by an earlier run and has left since is not let in again."""
        stream = membership_stream(community_id, person_id)
        if await self.events.read(stream):
            return False
        if dry_run:
            return True
        command = commands.Admit(
            community_id=community_id, person_id=person_id, role=role, admitter_id=caller.person_id or person_id, now=now, imported=True
        )
        done = await self.handle(caller, membership, stream, command)
        return bool(done.position)

    async def ImportPosts(self, request: api.ImportPostsRequest, context: Any) -> api.ImportResponse:
        """Publish posts under their original times; what an earlier run published is edited where its text has changed."""
        caller = _importer(request.source, request.records)
        source = request.source
        external_ids = {f"{source}:{key}" for one in request.records for key in (one.external_id, one.parent_external_id) if key}
        async with self.database.snapshot() as tx:
            keys = [one.author_key for one in request.records]
            keys += (key for one in request.records for reaction in one.reactions for key in reaction.person_keys)
            batch = _Batch(
                caller=caller, source=source, dry_run=request.dry_run,
                people=await people_queries.by_key(tx, keys, source),
                communities=await community_queries.imported_communities(
                    tx, sorted({f"{source}:{one.community_external_id}" for one in request.records if one.community_external_id})
                ),
                known=await post_queries.imported_posts(tx, sorted(external_ids)), ticks=_ticks(request.records),
            )
        results = [api.ImportResult(place=record.place) for record in request.records]
        first: dict[str, int] = {}
        for index, record in enumerate(request.records):
            if (earlier := first.setdefault(record.external_id, index)) != index:
                _refuse(results[index], f"the key stands twice in this delivery, first at {request.records[earlier].place or earlier + 1}")
        waiting = [index for index, result in enumerate(results) if result.outcome != _REFUSED]
        while waiting:
            ready = [
                index for index in waiting
                if not (parent := request.records[index].parent_external_id) or f"{source}:{parent}" in batch.known
            ]
            if not ready:
                for index in waiting:
                    _refuse(results[index], f"the post it answers ({request.records[index].parent_external_id}) did not come in")
                break
            await asyncio.gather(*(self._import_post(batch, request.records[index], results[index]) for index in ready))
            waiting = sorted(set(waiting) - set(ready))
        _count("post", request.dry_run, results)
        return api.ImportResponse(results=results)

    async def _import_post(self, batch: _Batch, record: api.PostRecord, result: api.ImportResult) -> None:
        try:
            external_id = _external_id(batch.source, record.external_id)
            if (post_id := batch.known.get(external_id)) is not None:
                result.id = post_id
                await self._import_edit(batch, record, result)
            else:
                await self._import_new(batch, record, external_id, result)
                batch.known[external_id] = result.id
            if not batch.dry_run:
                await self._import_reactions(batch, record, result)
        except AlreadyExists:
            result.outcome = _UNCHANGED  # another run of the same import was faster
        except Rejected as refused:
            _refuse(result, refused.reason)

    async def _import_new(self, batch: _Batch, record: api.PostRecord, external_id: str, result: api.ImportResult) -> None:
        author_id = batch.people.get(record.author_key)
        if author_id is None:
            key = record.author_key[:100]
            raise InvalidArgument(f"nobody is known as {key!r}: import the people first, or map another field", "author_key")
        if not record.HasField("publish_time"):
            raise InvalidArgument("the time of publication is missing", "publish_time")
        published = _time(record, "publish_time", self.now())
        check_language(record.language)
        check_attachments(record.attachments)
        parent_id = batch.known[f"{batch.source}:{record.parent_external_id}"] if record.parent_external_id else ""
        async with self.database.snapshot() as tx:
            if parent_id:
                root_id, audience, answered = await self._thread(tx, batch, parent_id, published)
            else:
                root_id, audience, answered = "", self._record_audience(batch, record, author_id), published
            mentioned_ids, tags, *_ = await references(tx, record.body)
        command = commands.PublishPost(
            post_id=id_at(_order(published, batch.ticks.get(record.external_id, 0), parent_id, answered)), author_id=author_id,
            body=record.body, language=record.language, audience=audience, parent_id=parent_id, root_id=root_id,
            mentioned_ids=mentioned_ids, tags=tags, attachments=tuple(record.attachments), now=published, external_id=external_id,
        )
        result.id = command.post_id
        result.outcome = _ADDED
        batch.frames[command.post_id] = (root_id or command.post_id, audience, published)
        if batch.dry_run:
            post.decide(command, post.initial())
            result.id = ""
            return
        done = await self.handle(batch.caller, post, f"post-{command.post_id}", command, _request_id(external_id))
        result.id = done.stream.removeprefix("post-")

    async def _thread(self, tx: Transaction, batch: _Batch, parent_id: str, published: datetime) -> tuple[str, Audience, datetime]:
        if (frame := batch.frames.get(parent_id)) is None:
            card = await post_queries.fetch_audience(tx, parent_id)
            if card is None:  # a dry run, whose parent is not there
                return parent_id or "-", Audience(everyone=Everyone()), published
            frame = batch.frames[parent_id] = (card.root_id or card.post_id, card.audience, card.publish_time.ToDatetime(UTC))
        return frame

    @staticmethod
    def _record_audience(batch: _Batch, record: api.PostRecord, author_id: str) -> Audience:
        if record.community_external_id:
            community_id = batch.communities.get(f"{batch.source}:{record.community_external_id}")
            if community_id is None:
                raise InvalidArgument(
                    f"the community {record.community_external_id[:100]} is not here: import the communities first", "community_external_id"
                )
            return Audience(community_id=community_id)
        kind = record.audience.WhichOneof("kind")
        if kind == "followers_of_id" and record.audience.followers_of_id != author_id:
            raise InvalidArgument("a post can be for its author's followers only", "audience")
        return record.audience if kind else Audience(everyone=Everyone())

    async def _import_edit(self, batch: _Batch, record: api.PostRecord, result: api.ImportResult) -> None:
        async with self.database.snapshot() as tx:
            card = await post_queries.fetch_audience(tx, result.id)
            mentioned_ids, tags, *_ = await references(tx, record.body)
            row = await post_queries.fetch_scope(tx, result.id)
        result.outcome = _UNCHANGED
        if card is None or row is None or card.deleted or card.erased or card.body == record.body:
            return
        if (await self.events.read(f"post-{result.id}", after=1)) and not await self._last_edit_imported(batch, result.id):
            result.warnings.append("it was edited here since: the text of the source was not taken over")
            return
        command = commands.EditPost(
            post_id=result.id, editor_id=row["author_id"], body=record.body, language=record.language or card.language,
            mentioned_ids=mentioned_ids, tags=tags, attachments=tuple(record.attachments) or tuple(card.attachments), now=self.now(),
        )
        result.outcome = _CHANGED
        if not batch.dry_run:
            await self.handle(batch.caller, post, f"post-{result.id}", command)

    async def _last_edit_imported(self, batch: _Batch, post_id: str) -> bool:
        """Whether the newest version came from an import: its actor is then not the author."""
        newest = (await self.events.read(f"post-{post_id}", after=1))[-1]
        return newest.meta.actor_id != getattr(newest.data, "author_id", "")

    async def _import_reactions(self, batch: _Batch, record: api.PostRecord, result: api.ImportResult) -> None:
        now = self.now()
        if record.HasField("publish_time"):
            now = record.publish_time.ToDatetime(UTC)
        wanted = []
        for reaction in record.reactions:
            emoji = emoji_text.canonical(reaction.emoji)
            if emoji is None:
                result.warnings.append(f"a reaction was left out: {reaction.emoji[:40]!r} is no emoji")
                continue
            for key in reaction.person_keys:
                if (person_id := batch.people.get(key)) is None:
                    result.warnings.append(f"a reaction was left out: nobody is known as {key[:100]!r}")
                else:
                    wanted.append((person_id, emoji))
        for person_id, emoji in dict.fromkeys(wanted):
            command = commands.AddReaction(post_id=result.id, person_id=person_id, emoji=emoji, now=now, imported=True)
            request_id = f"import:{result.id}:{person_id}:{emoji}"
            done = await self.handle(batch.caller, response, f"response-{pair_id(result.id, person_id)}", command, request_id)
            if done.position and result.outcome == _UNCHANGED:
                result.outcome = _CHANGED


def _importer(source: str, records: Sequence[Any]) -> Caller:
    caller = auth.caller()
    if not caller.is_administrator:
        raise PermissionDenied("only administrators import: ask one of them")
    if not 1 <= len(source) <= SOURCE_CHARACTERS or ":" in source:
        raise InvalidArgument(f"a source has a short name of 1 to {SOURCE_CHARACTERS} characters without a colon", "source")
    if len(records) > RECORDS:
        raise InvalidArgument(f"at most {RECORDS:,} records at a time: send the rest in further calls", "records")
    return caller


def _request_id(external_id: str) -> str:
    """What makes the same import once only; a long key is taken by its hash, since long keys often begin alike."""
    whole = f"import:{external_id}"
    return whole if len(whole) <= REQUEST_ID_CHARACTERS else f"import:{pair_id('post', external_id)}"


def _external_id(source: str, key: str) -> str:
    if not 1 <= len(key) <= EXTERNAL_ID_CHARACTERS:
        raise InvalidArgument(f"a record needs a key of 1 to {EXTERNAL_ID_CHARACTERS} characters in its source", "external_id")
    return f"{source}:{key}"


def _time(record: Any, name: str, now: datetime) -> datetime:
    try:
        time: datetime = getattr(record, name).ToDatetime(UTC)
        id_at(time)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument("the time lies before 1970 or is none", name) from error
    if time > now + FUTURE:
        raise InvalidArgument(f"the time {time:%Y-%m-%d} lies in the future: look at the mapping", name)
    return time


def _ticks(records: Iterable[api.PostRecord]) -> dict[str, int]:
    seen: dict[int, int] = {}
    ticks = {}
    for record in records:
        moment = record.publish_time.seconds * 1_000 + record.publish_time.nanos // 1_000_000
        ticks[record.external_id] = seen[moment] = seen.get(moment, -1) + 1
    return ticks


def _order(published: datetime, tick: int, parent_id: str, answered: datetime) -> datetime:
    """The time that places a post in timelines: its own, in the order of the source within one moment, and after what it answers.

    `answered` is the own time of what it answers: where that was placed later, its answers keep their distance.
    """
    placed = published + tick * _MILLISECOND
    if not parent_id:
        return placed
    parent = time_of(parent_id)
    shift = parent - answered
    return max(placed, parent + _MILLISECOND, published + shift if timedelta() < shift <= RECORDS * _MILLISECOND else placed)


def _members(
    record: api.CommunityRecord, people: dict[str, str], result: api.ImportResult
) -> dict[str, events_pb2.MemberRole.ValueType]:
    members: dict[str, events_pb2.MemberRole.ValueType] = {}
    for role, keys in (
        (events_pb2.MEMBER_ROLE_OWNER, record.owner_keys), (events_pb2.MEMBER_ROLE_MODERATOR, record.moderator_keys),
        (events_pb2.MEMBER_ROLE_MEMBER, record.member_keys),
    ):
        for key in keys:
            if (person_id := people.get(key)) is None:
                result.warnings.append(f"a member was left out: nobody is known as {key[:100]!r}")
            else:
                members.setdefault(person_id, role)
    return members


def _refuse(result: api.ImportResult, reason: str) -> None:
    result.outcome = _REFUSED
    result.reason = reason
    result.id = ""


def _count(kind: str, dry_run: bool, results: Iterable[api.ImportResult]) -> None:
    if not dry_run:
        for result in results:
            metrics.IMPORT_RECORDS.labels(kind=kind, outcome=_COUNTED[result.outcome]).inc()
