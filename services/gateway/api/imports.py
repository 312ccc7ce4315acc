"""Imports by administrators, a chunk of records at a time: the same chunk again changes nothing."""
# ruff: noqa: RUF012 - msgspec copies the empty lists and dicts that are defaults here.
from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.identity.v1 import events_pb2 as identity_events
from watercooler.identity.v1 import identity_service_pb2 as identity

from ..problems import Refusal
from . import models
from .models import BlobId, CommunityKindName, Emoji, RoleName
from .operations import Call, Input, operation, stamp_of
from .people import Labels, Languages, require_image
from .posts import AudienceInput, read_audience

RECORDS_MAX = 1_000
# An import writes up to a thousand streams; a call has two seconds unless it says otherwise.
IMPORT_SECONDS = 120.0

Key = Annotated[str, Meta(max_length=300)]
Source = Annotated[str, Meta(min_length=1, max_length=60, description="The source's short name: its keys are told apart by it.")]
Place = Annotated[str, Meta(max_length=300, description="Where the record stands in its source, for the report.")]
Text = Annotated[str, Meta(max_length=200)]
Keys = Annotated[list[Key], Meta(max_length=10_000)]


class PersonRecord(Input, frozen=True, kw_only=True):
    """A person of a directory, matched by employee number, then by e-mail; fields that are absent stay as they are."""

    place: Place = ""
    external_id: Key = ""
    email: Annotated[str, Meta(max_length=254)] | UnsetType = UNSET
    employee_number: Annotated[str, Meta(max_length=60)] | UnsetType = UNSET
    handle: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    name: Text | UnsetType = UNSET
    preferred_name: Text | UnsetType = UNSET
    pronouns: Text | UnsetType = UNSET
    title: Text | UnsetType = UNSET
    department: Text | UnsetType = UNSET
    location: Text | UnsetType = UNSET
    time_zone: Text | UnsetType = UNSET
    languages: Languages | UnsetType = UNSET
    start_date: Annotated[str, Meta(max_length=10)] | UnsetType = UNSET
    about: Annotated[str, Meta(max_length=5_000)] | UnsetType = UNSET
    contact: Labels | UnsetType = UNSET
    custom_fields: Labels | UnsetType = UNSET
    manager_key: Annotated[Key, Meta(description="E-mail, employee number or external id; empty: nobody.")] | UnsetType = UNSET
    roles: Annotated[list[RoleName], Meta(max_length=5)] = []
    photo_blob_id: BlobId = ""
    left: bool = False


class PeopleImport(Input, frozen=True, kw_only=True):
    """A chunk of people."""

    source: Source
    records: Annotated[list[PersonRecord], Meta(max_length=RECORDS_MAX)]
    dry_run: bool = False


_PROFILE = tuple(field.name for field in identity_events.Profile.DESCRIPTOR.fields)


def _administrator(call: Call) -> None:
    if not call.me.is_administrator:
        raise Refusal(403, "Only administrators import, with a token of the scope admin.")


@operation("POST", "/imports/people", "Import people", tag="imports", body=PeopleImport, answer=models.ImportReport)
async def import_people(call: Call, body: PeopleImport) -> models.ImportReport:
    """For administrators. With `dry_run` nothing is written and the report says what would be."""
    _administrator(call)
    records: list[identity.PersonRecord] = []
    for number, each in enumerate(body.records):
        if each.photo_blob_id:
            await require_image(call, each.photo_blob_id, f"records[{number}].photo_blob_id")
        given: dict[str, Any] = {
            name: value for name in _PROFILE if (value := getattr(each, name)) is not UNSET
        }
        records.append(
            identity.PersonRecord(
                place=each.place, external_id=each.external_id, profile=identity_events.Profile(**given), fields=list(given),
                manager_key="" if each.manager_key is UNSET else each.manager_key, has_manager=each.manager_key is not UNSET,
                roles=[models.ROLES[role] for role in each.roles], photo_blob_id=each.photo_blob_id, left=each.left,
            )
        )
    found = await call.clients.identity.ImportPeople(
        identity.ImportPeopleRequest(source=body.source, records=records, dry_run=body.dry_run), timeout=IMPORT_SECONDS
    )
    return models.ImportReport(dry_run=body.dry_run, results=models.identity_results(found.results))


class GroupMemberRecord(Input, frozen=True, kw_only=True):
    """A member by e-mail, employee number, handle or external id."""

    person_key: Key
    role: Text = ""


class GroupRecord(Input, frozen=True, kw_only=True):
    """A team, department or working group, matched by its external id."""

    place: Place = ""
    external_id: Key
    name: Text
    kind: Annotated[str, Meta(max_length=60)] = ""
    parent_external_id: Key = ""
    description: Annotated[str, Meta(max_length=5_000)] = ""
    members: Annotated[list[GroupMemberRecord], Meta(max_length=10_000)] = []


class GroupsImport(Input, frozen=True, kw_only=True):
    """A chunk of groups."""

    source: Source
    records: Annotated[list[GroupRecord], Meta(max_length=RECORDS_MAX)]
    dry_run: bool = False


@operation("POST", "/imports/groups", "Import groups", tag="imports", body=GroupsImport, answer=models.ImportReport)
async def import_groups(call: Call, body: GroupsImport) -> models.ImportReport:
    """For administrators."""
    _administrator(call)
    records = [
        identity.GroupRecord(
            place=each.place, external_id=each.external_id, name=each.name, kind=each.kind, parent_external_id=each.parent_external_id,
            description=each.description,
            members=[identity.GroupMember(person_key=one.person_key, role=one.role) for one in each.members],
        )
        for each in body.records
    ]
    found = await call.clients.identity.ImportGroups(
        identity.ImportGroupsRequest(source=body.source, records=records, dry_run=body.dry_run), timeout=IMPORT_SECONDS
    )
    return models.ImportReport(dry_run=body.dry_run, results=models.identity_results(found.results))


class CommunityRecord(Input, frozen=True, kw_only=True):
    """A community, matched by its external id; people by e-mail, handle, employee number or external id."""

    place: Place = ""
    external_id: Key
    name: Annotated[str, Meta(max_length=200)]
    description: Annotated[str, Meta(max_length=2_000)] = ""
    rules: Annotated[str, Meta(max_length=10_000)] = ""
    kind: CommunityKindName = "open"
    tags: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=50)] = []
    owner_keys: Keys = []
    moderator_keys: Keys = []
    member_keys: Keys = []
    create_time: datetime | None = None


class CommunitiesImport(Input, frozen=True, kw_only=True):
    """A chunk of communities."""

    source: Source
    records: Annotated[list[CommunityRecord], Meta(max_length=RECORDS_MAX)]
    dry_run: bool = False


@operation("POST", "/imports/communities", "Import communities", tag="imports", body=CommunitiesImport, answer=models.ImportReport)
async def import_communities(call: Call, body: CommunitiesImport) -> models.ImportReport:
    """For administrators."""
    _administrator(call)
    records: list[feed.CommunityRecord] = []
    for number, each in enumerate(body.records):
        record = feed.CommunityRecord(
            place=each.place, external_id=each.external_id, name=each.name, description=each.description, rules=each.rules,
            kind=models.COMMUNITY_KINDS[each.kind], tags=each.tags, owner_keys=each.owner_keys, moderator_keys=each.moderator_keys,
            member_keys=each.member_keys,
        )
        if each.create_time is not None:
            record.create_time.CopyFrom(stamp_of(each.create_time, f"records[{number}].create_time"))
        records.append(record)
    found = await call.clients.feed.ImportCommunities(
        feed.ImportCommunitiesRequest(source=body.source, records=records, dry_run=body.dry_run), timeout=IMPORT_SECONDS
    )
    return models.ImportReport(dry_run=body.dry_run, results=models.feed_results(found.results))


class ReactionRecord(Input, frozen=True, kw_only=True):
    """Who reacted with one emoji."""

    emoji: Emoji
    person_keys: Keys


class PostRecord(Input, frozen=True, kw_only=True):
    """A post with its original time, matched by its external id."""

    place: Place = ""
    external_id: Key
    author_key: Key
    body: Annotated[str, Meta(max_length=100_000)]
    language: Annotated[str, Meta(max_length=35)] = ""
    community_external_id: Key = ""
    parent_external_id: Key = ""
    publish_time: datetime | None = None
    reactions: Annotated[list[ReactionRecord], Meta(max_length=100)] = []
    audience: AudienceInput | None = None


class PostsImport(Input, frozen=True, kw_only=True):
    """A chunk of posts; parents before their replies."""

    source: Source
    records: Annotated[list[PostRecord], Meta(max_length=RECORDS_MAX)]
    dry_run: bool = False


@operation("POST", "/imports/posts", "Import posts", tag="imports", body=PostsImport, answer=models.ImportReport)
async def import_posts(call: Call, body: PostsImport) -> models.ImportReport:
    """For administrators. Original times are kept; nobody is notified."""
    _administrator(call)
    records: list[feed.PostRecord] = []
    for number, each in enumerate(body.records):
        record = feed.PostRecord(
            place=each.place, external_id=each.external_id, author_key=each.author_key, body=each.body, language=each.language,
            community_external_id=each.community_external_id, parent_external_id=each.parent_external_id,
            reactions=[feed.RecordedReaction(emoji=one.emoji, person_keys=one.person_keys) for one in each.reactions],
        )
        if each.publish_time is not None:
            record.publish_time.CopyFrom(stamp_of(each.publish_time, f"records[{number}].publish_time"))
        audience = read_audience(call, each.audience)
        if audience is not None:
            record.audience.CopyFrom(audience)
        records.append(record)
    found = await call.clients.feed.ImportPosts(
        feed.ImportPostsRequest(source=body.source, records=records, dry_run=body.dry_run), timeout=IMPORT_SECONDS
    )
    return models.ImportReport(dry_run=body.dry_run, results=models.feed_results(found.results))


