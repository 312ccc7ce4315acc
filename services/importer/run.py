"""An import at work: records in batches to the services that own them, and what became of each."""
from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from libs.blobs.images import ImageRefused, prepare_aside
from libs.blobs.store import BlobStore
from libs.runtime.embedded import Embedded
from libs.telemetry import metrics
from libs.text.markdown import BODY_LENGTH_MAX
from libs.text.nul import without_nul
from watercooler.feed.v1.feed_service_pb2 import ImportCommunitiesRequest, ImportPostsRequest, PostRecord
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub
from watercooler.identity.v1.identity_service_pb2 import (
    IMPORT_OUTCOME_ADDED,
    IMPORT_OUTCOME_CHANGED,
    IMPORT_OUTCOME_REFUSED,
    IMPORT_OUTCOME_UNCHANGED,
    ImportGroupsRequest,
    ImportPeopleRequest,
    PersonRecord,
)
from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceStub

from . import records, split
from .mapping import ImportMapping, Lookup, Part
from .readers import read
from .readers.model import Bad, Record
from .values import Unusable, found, text

BATCH = 500
CALL_SECONDS = 120.0
SETTLE_SECONDS = 600.0
LAST_MICROSECOND = 253_402_300_799_999_999

ADDED, CHANGED, UNCHANGED, REFUSED, LEFT_OUT = "added", "changed", "unchanged", "refused", "left out"
OUTCOMES = (ADDED, CHANGED, UNCHANGED, REFUSED, LEFT_OUT)
PHOTO_LEFT_OUT = "the photo was left out"
_OUTCOME = {
    IMPORT_OUTCOME_ADDED: ADDED, IMPORT_OUTCOME_CHANGED: CHANGED, IMPORT_OUTCOME_UNCHANGED: UNCHANGED, IMPORT_OUTCOME_REFUSED: REFUSED,
}
_COUNTED = {"people": "person", "communities": "community", "posts": "post"}


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one record, or would in a dry run."""

    kind: str
    place: str
    outcome: str
    reason: str = ""
    warnings: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    id: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """A record in the form its service takes, with a person's photo."""

    message: Any
    photo: bytes = b""


Item = Ready | Found


@dataclass(slots=True)
class Run:
    """One import. `tell` hears of every record, in the order in which it is settled."""

    network: Embedded
    mapping: ImportMapping
    root: Path
    dry_run: bool
    tell: Callable[[Found], None]
    identity: Any = field(init=False)
    feed: Any = field(init=False)
    blobs: BlobStore = field(init=False)
    lookups: Mapping[str, Mapping[str, str]] = field(init=False)
    # What a dry run would have added by now, so that later parts count on it.
    people_to_come: set[str] = field(default_factory=set)
    communities_to_come: set[str] = field(default_factory=set)
    posts_to_come: set[str] = field(default_factory=set)
    # Into how many replies the rest of a post too long went, by its key.
    continued: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        channel: Any = self.network.channel
        self.identity, self.feed = IdentityServiceStub(channel), FeedServiceStub(channel)
        # A dry run prepares photos too, to learn their ids, and keeps them nowhere.
        self.blobs = BlobStore.memory() if self.dry_run else self.network.engines.blobs()
        self.lookups = {name: dict(self._table(lookup)) for name, lookup in self.mapping.lookups.items()}

    @property
    def bytes_max(self) -> int:
        """The largest file."""
        return self.network.settings.import_bytes_max

    async def part(self, part: Part) -> None:
        """Import one part of the mapping; the next may refer to what it brought."""
        match part.kind:
            case "people":
                await self.people(self.read(part, self._aliases(part)))
            case "groups":
                await self.groups(self.read(part))
            case "communities":
                await self.communities(self.read(part))
            case "posts":
                await self.posts(self.read(part))

    def read(self, part: Part, aliases: Mapping[str, str] | None = None) -> Iterator[Item]:
        """The records of a part, converted; what cannot be is found out here."""
        context = records.Context(part, self.lookups, self.mapping.zone)
        for each in read(self.root, part, self.bytes_max):
            if isinstance(each, Bad):
                yield Found(part.kind, each.place, REFUSED, each.reason)
                continue
            try:
                if why := records.left_out(part, each):
                    yield Found(part.kind, each.place, LEFT_OUT, why)
                elif part.kind == "people":
                    yield Ready(*records.person(context, each, aliases or {}))
                else:
                    yield Ready(_CONVERTED[part.kind](context, each))
            except Unusable as error:
                yield Found(part.kind, each.place, REFUSED, str(error))

    async def people(self, items: Iterable[Item]) -> list[Found]:
        """Import people; afterwards the feed knows them."""
        done = await self._send("people", _each_once(items), self._send_people, again=True)
        if not self.dry_run:
            await self.network.settle(SETTLE_SECONDS)
        return done

    async def groups(self, items: Iterable[Item]) -> list[Found]:
        """Import groups of the directory."""
        return await self._send("groups", items, self._send_groups, again=True)

    async def communities(self, items: Iterable[Item]) -> list[Found]:
        """Import communities."""
        return await self._send("communities", items, self._send_communities)

    async def posts(self, items: Iterable[Item]) -> list[Found]:
        """Import posts."""
        done = await self._send("posts", self._in_parts(items), self._send_posts)
        if not self.dry_run:
            await self.network.settle(SETTLE_SECONDS)
        return done

    def _in_parts(self, items: Iterable[Item]) -> Iterator[Item]:
        """Posts, those longer than one may be in parts: the first as the post, the others as replies to it, each a millisecond later."""
        for item in items:
            if not isinstance(item, Ready):
                yield item
                continue
            post: PostRecord = item.message
            first, *others = split.parts(post.body)
            if others:
                post.body = first
                self.continued[post.external_id] = len(others)
            yield item
            for number, body in enumerate(others, 2):
                part = PostRecord(
                    place=f"{post.place}#{number}", external_id=f"{post.external_id}#{number}", author_key=post.author_key, body=body,
                    language=post.language, community_external_id=post.community_external_id, parent_external_id=post.external_id,
                )
                if post.HasField("publish_time"):
                    later = post.publish_time.ToMicroseconds() + (number - 1) * 1_000
                    part.publish_time.FromMicroseconds(min(later, LAST_MICROSECOND))
                yield Ready(part)

    async def _send(self, kind: str, items: Iterable[Item], send: Any, *, again: bool = False) -> list[Found]:
        """Send batches; with `again`, records that referred to later ones go a second time once those are there."""
        waiting: list[tuple[Any, Found]] = []
        settled: list[Found] = []
        batches = 0

        def settle(result: Found) -> None:
            settled.append(result)
            self.tell(result)

        async for ready, results in self._batches(kind, items, send, settle):
            batches += 1
            for message, result in zip(ready, results, strict=True):
                if again and result.warnings:
                    waiting.append((message, result))
                else:
                    settle(result)
        if batches > 1 and not self.dry_run:
            for start in range(0, len(waiting), BATCH):
                batch = waiting[start : start + BATCH]
                for (_, first), second in zip(batch, await send([message for message, _ in batch]), strict=True):
                    outcome = second.outcome if first.outcome == UNCHANGED or second.outcome == REFUSED else first.outcome
                    photo = (warning for warning in first.warnings if warning.startswith(PHOTO_LEFT_OUT))
                    settle(replace(first, outcome=outcome, reason=second.reason, warnings=(*second.warnings, *photo)))
        else:
            for message, result in waiting:
                settle(self._without_what_is_to_come(message, result))
        return settled

    async def _batches(
        self, kind: str, items: Iterable[Item], send: Any, settle: Callable[[Found], None]
    ) -> AsyncIterator[tuple[list[Any], list[Found]]]:
        batch: list[Any] = []
        photo_warnings: dict[int, str] = {}
        for item in items:
            if isinstance(item, Found):
                if item.outcome == REFUSED and not self.dry_run and kind in _COUNTED:
                    metrics.IMPORT_RECORDS.labels(kind=_COUNTED[kind], outcome="rejected").inc()
                settle(item)
                continue
            if item.photo:
                try:
                    item.message.photo_blob_id = await self._photo(item.photo)
                except ImageRefused as error:
                    photo_warnings[len(batch)] = f"{PHOTO_LEFT_OUT}: {error}"
            batch.append(item.message)
            if len(batch) == BATCH:
                yield batch, _warned(await send(batch), photo_warnings)
                batch, photo_warnings = [], {}
        if batch:
            yield batch, _warned(await send(batch), photo_warnings)

    async def _photo(self, content: bytes) -> str:
        settings = self.network.settings
        picture = (await prepare_aside(content, bytes_max=settings.image_bytes_max, pixels_max=settings.image_pixels_max)).display
        blob_id = (await self.blobs.put(picture.content, picture.media_type, limit_bytes=max(len(picture.content), 1))).id
        if self.dry_run:
            await self.blobs.delete(blob_id)
        return blob_id

    async def _send_people(self, batch: Sequence[PersonRecord]) -> list[Found]:
        request = ImportPeopleRequest(source=self.mapping.source, records=batch, dry_run=self.dry_run)
        response = await self.identity.ImportPeople(without_nul(request), timeout=CALL_SECONDS)
        results = [
            Found("people", r.place, _OUTCOME[r.outcome], r.reason, tuple(r.warnings), tuple(r.changed_fields), r.id)
            for r in response.results
        ]
        if self.dry_run:
            for record, result in zip(batch, results, strict=True):
                if result.outcome != REFUSED:
                    profile = record.profile
                    keys = (record.external_id, profile.email, profile.handle, profile.employee_number, profile.name)
                    self.people_to_come.update(key.casefold() for key in keys if key)
        return results

    async def _send_groups(self, batch: Sequence[Any]) -> list[Found]:
        expecting = [self._expect_members(record, ("members",)) for record in batch]
        request = ImportGroupsRequest(source=self.mapping.source, records=[record for record, _ in expecting], dry_run=self.dry_run)
        response = await self.identity.ImportGroups(without_nul(request), timeout=CALL_SECONDS)
        return [
            _with_members_to_come(
                Found("groups", r.place, _OUTCOME[r.outcome], r.reason, tuple(r.warnings), tuple(r.changed_fields), r.id), more
            )
            for r, (_, more) in zip(response.results, expecting, strict=True)
        ]

    async def _send_communities(self, batch: Sequence[Any]) -> list[Found]:
        expecting = [self._expect_members(record, ("owner_keys", "moderator_keys", "member_keys")) for record in batch]
        request = ImportCommunitiesRequest(source=self.mapping.source, records=[record for record, _ in expecting], dry_run=self.dry_run)
        response = await self.feed.ImportCommunities(without_nul(request), timeout=CALL_SECONDS)
        results = [
            _with_members_to_come(Found("communities", r.place, _OUTCOME[r.outcome], r.reason, tuple(r.warnings), (), r.id), more)
            for r, (_, more) in zip(response.results, expecting, strict=True)
        ]
        if self.dry_run:
            pairs = zip(batch, results, strict=True)
            self.communities_to_come.update(record.external_id for record, result in pairs if result.outcome == ADDED)
        return results

    async def _send_posts(self, batch: Sequence[Any]) -> list[Found]:
        results: dict[int, Found] = {}
        sending: list[int] = []
        for number, record in enumerate(batch):
            if self.dry_run and record.author_key.casefold() in self.people_to_come:
                if record.body and record.HasField("publish_time"):
                    results[number] = Found("posts", record.place, ADDED)
                    self.posts_to_come.add(record.external_id)
                else:
                    results[number] = Found("posts", record.place, REFUSED, "the text or the time of publication is missing")
            else:
                sending.append(number)
        if sending:
            sent = [self._without_places_to_come(batch[number]) for number in sending]
            request = ImportPostsRequest(source=self.mapping.source, records=sent, dry_run=self.dry_run)
            response = await self.feed.ImportPosts(without_nul(request), timeout=CALL_SECONDS)
            for number, r in zip(sending, response.results, strict=True):
                results[number] = Found("posts", r.place, _OUTCOME[r.outcome], r.reason, tuple(r.warnings), (), r.id)
                if self.dry_run and results[number].outcome == ADDED:
                    self.posts_to_come.add(batch[number].external_id)
        for number, result in results.items():
            if (count := self.continued.get(batch[number].external_id)) and result.outcome != REFUSED:
                rest = "a reply" if count == 1 else f"{count} replies"
                why = f"it has more than {BODY_LENGTH_MAX:,} characters: the rest stands in {rest} to it"
                results[number] = replace(result, warnings=(*result.warnings, why))
        return [results[number] for number in range(len(batch))]

    # --- dry runs ----------------------------------------------------------------------------------------------------

    def _without_places_to_come(self, post: Any) -> Any:
        """In a dry run, a copy without the community and thread that the run would have made; all else can be checked."""
        community, parent = post.community_external_id in self.communities_to_come, post.parent_external_id in self.posts_to_come
        if not self.dry_run or not (community or parent):
            return post
        trimmed = PostRecord()
        trimmed.CopyFrom(post)
        if community:
            trimmed.community_external_id = ""
        if parent:
            trimmed.parent_external_id = ""
        return trimmed

    def _expect_members(self, record: Any, lists: Sequence[str]) -> tuple[Any, int]:
        """In a dry run, a copy without the members whom the run would have brought, and their number."""
        if not self.dry_run or not self.people_to_come:
            return record, 0
        trimmed = type(record)()
        trimmed.CopyFrom(record)
        more = 0
        for name in lists:
            members = list(getattr(record, name))
            known = [each for each in members if _key_of(each).casefold() not in self.people_to_come]
            more += len(members) - len(known)
            trimmed.ClearField(name)
            getattr(trimmed, name).extend(known)
        return trimmed, more

    def _without_what_is_to_come(self, message: Any, result: Found) -> Found:
        """In a dry run, without the warning that a manager is not known who would be by the end of it."""
        if not self.dry_run or not isinstance(message, PersonRecord) or message.manager_key.casefold() not in self.people_to_come:
            return result
        kept = tuple(warning for warning in result.warnings if "is not known" not in warning)
        if kept == result.warnings:
            return result
        outcome = CHANGED if result.outcome == UNCHANGED else result.outcome
        return replace(result, warnings=kept, outcome=outcome, changed=(*result.changed, "manager"))

    # --- what stands beside the records ------------------------------------------------------------------------------

    def _table(self, lookup: Lookup) -> Iterator[tuple[str, str]]:
        folder = self.root if self.root.is_dir() else self.root.parent
        for each in read(folder, lookup.part, self.bytes_max):
            if isinstance(each, Bad):
                self.tell(Found("lookup", each.place, REFUSED, each.reason))
                continue
            try:
                key, value = text(found(each.fields, lookup.key)), text(found(each.fields, lookup.value))
            except Unusable as error:
                self.tell(Found("lookup", each.place, REFUSED, str(error)))
                continue
            if key:
                yield key, value

    def _aliases(self, part: Part) -> dict[str, str]:
        """Whom managers' keys mean: the key of the record with that alias, or the name where the record itself is left out."""
        aliases: dict[str, str] = {}
        if part.alias is None:
            return aliases
        context = records.Context(part, self.lookups, self.mapping.zone)
        for each in read(self.root, part, self.bytes_max):
            if isinstance(each, Record):
                try:
                    alias = text(context.value(part.alias, each)).strip()
                    stands_for = context.text("name", each) if records.left_out(part, each) else context.key(each)
                except Unusable:
                    continue  # reported when the record itself is read
                if alias:
                    aliases.setdefault(alias, stands_for)
        return aliases


_CONVERTED: Mapping[str, Callable[[records.Context, Record], Any]] = {
    "groups": records.group, "communities": records.community, "posts": records.post,
}


def _each_once(items: Iterable[Item]) -> Iterator[Item]:
    """People without those who came before in the same part, however far before: the services look at one batch at a time."""
    places: dict[tuple[str, str], str] = {}
    for item in items:
        if isinstance(item, Ready):
            record, profile = item.message, item.message.profile
            found_by = {"number": profile.employee_number.strip(), "address": profile.email.strip().casefold(), "key": record.external_id}
            names = [each for each in found_by.items() if each[1]]
            if first := next((places[name] for name in names if name in places), ""):
                yield Found("people", record.place, REFUSED, f"this is the same person as in {first}: keep one of the two rows")
                continue
            places.update(dict.fromkeys(names, record.place))
        yield item


def _key_of(member: Any) -> str:
    return member if isinstance(member, str) else str(member.person_key)


def _with_members_to_come(result: Found, more: int) -> Found:
    if more and result.outcome == UNCHANGED:
        return replace(result, outcome=CHANGED, changed=(*result.changed, "members"))
    return result


def _warned(results: list[Found], photo_warnings: Mapping[int, str]) -> list[Found]:
    for number, warning in photo_warnings.items():
        results[number] = replace(results[number], warnings=(*results[number].warnings, warning))
    return results
