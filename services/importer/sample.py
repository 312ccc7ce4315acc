"""Fills an empty network with a sample organisation, over the same calls that every client uses."""
from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from libs.eventstore.model import Rejected
from libs.rpc.auth import Caller, acting
from libs.rpc.errors import RpcError
from libs.runtime.embedded import Embedded
from watercooler.common.v1.audience_pb2 import Audience, Everyone, People
from watercooler.feed.v1 import events_pb2 as feed_events
from watercooler.feed.v1.feed_service_pb2 import (
    IMPORT_OUTCOME_REFUSED,
    CommunityRecord,
    FollowPersonRequest,
    FollowTagRequest,
    ImportCommunitiesRequest,
    ImportPostsRequest,
    ImportResponse,
    PostRecord,
    RecordedReaction,
    SavePostRequest,
)
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub
from watercooler.identity.v1.events_pb2 import Profile, Role
from watercooler.identity.v1.identity_service_pb2 import (
    AssignManagerRequest,
    CreatePersonRequest,
    GetOrganizationRequest,
    IssueAccessTokenRequest,
    Person,
    SetUpOrganizationRequest,
    UpdateProfileRequest,
)
from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceStub

from .sample_today import Today

T = TypeVar("T")

FILE_NAME = "sample-credentials.json"
SOURCE = "sample"
CALL_SECONDS = 120.0
BATCH = 500
AT_ONCE = 32
DOMAIN = "sample.example.com"
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Credentials:
    """How one person of the sample signs in. `role` is the highest one they hold."""

    email: str
    password: str
    token: str
    role: str


async def is_empty(network: Embedded) -> bool:
    """Whether nobody has set the network up yet."""
    channel: Any = network.channel
    identity: Any = IdentityServiceStub(channel)
    try:
        await identity.GetOrganization(GetOrganizationRequest())
    except RpcError as error:
        if error.code().name == "NOT_FOUND":
            return True
        raise
    return False


def stored(data: Path) -> list[Credentials] | None:
    """The credentials that an earlier load wrote into the data folder; None where there are none."""
    try:
        return [Credentials(**each) for each in json.loads((data / FILE_NAME).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return None


async def load(network: Embedded, sample: Any, name: str) -> list[Credentials]:
    """Turn the sample (services/sample) into people, communities, posts, follows, reactions and saved posts, and publish what is
    published today.

    Every password, token and e-mail address is made up for this network alone, and written to sample-credentials.json in the data
    folder, readable by its owner only.

    Raises:
        Rejected: a part of the sample is refused, which is a fault of the sample.
    """
    loader = _Loader(network, sample, name)
    with acting(network.service_token("importer")):
        await loader.people()
        await network.settle()
        await loader.communities()
        await loader.posts()
        await network.settle()
        await loader.follows_and_saves()
    await loader.today()
    await network.settle()
    _write(network.settings.data / FILE_NAME, loader.credentials)
    return loader.credentials


class _Loader:
    """One load; what it made is remembered by the sample's keys."""

    def __init__(self, network: Embedded, sample: Any, name: str) -> None:
        self.network = network
        self.sample = sample
        self.name = name
        channel: Any = network.channel
        self.identity: Any = IdentityServiceStub(channel)
        self.feed: Any = FeedServiceStub(channel)
        self.ids: dict[str, str] = {}
        self.post_ids: dict[str, str] = {}
        self.community_ids: dict[str, str] = {}
        self.roles: dict[str, tuple[str, ...]] = {}
        self.credentials: list[Credentials] = []

    async def people(self) -> None:
        """The organisation and everyone in it, managers first."""
        people = list(self.sample.people)
        secrets_of = {p.key: (_email(p.email), secrets.token_urlsafe(12)) for p in people}
        first = next(p for p in people if "administrator" in p.roles)
        email, password = secrets_of[first.key]
        made = await self.identity.SetUpOrganization(
            SetUpOrganizationRequest(name=self.name, person_name=first.name, email=email, password=password), timeout=CALL_SECONDS
        )
        self.ids[first.key] = made.administrator.person_id
        waiting = people
        while waiting:
            ready = [p for p in waiting if p.manager is None or p.manager in self.ids]
            await _together(
                (lambda p=p: self._person(p, *secrets_of[p.key])) for p in ready if p.key != first.key  # type: ignore[misc]
            )
            waiting = [p for p in waiting if p not in ready]
        profile = _profile(first, email)
        await self.identity.UpdateProfile(
            UpdateProfileRequest(
                person_id=self.ids[first.key], profile=profile, update_mask=[descriptor.name for descriptor, _ in profile.ListFields()]
            ),
            timeout=CALL_SECONDS,
        )
        if first.manager is not None:
            await self.identity.AssignManager(
                AssignManagerRequest(person_id=self.ids[first.key], manager_id=self.ids[first.manager]), timeout=CALL_SECONDS
            )
        issued = await _together((lambda p=p: self._token(p)) for p in people)  # type: ignore[misc]
        self.roles = {p.key: tuple(p.roles) for p in people}
        self.credentials = [
            Credentials(email=secrets_of[p.key][0], password=secrets_of[p.key][1], token=token, role=_highest(p.roles))
            for p, token in zip(people, issued, strict=True)
        ]

    async def _person(self, person: Any, email: str, password: str) -> None:
        made: Person = await self.identity.CreatePerson(
            CreatePersonRequest(
                profile=_profile(person, email), roles=[Role.Value(f"ROLE_{role.upper()}") for role in person.roles],
                manager_id=self.ids[person.manager] if person.manager else "", password=password,
            ),
            timeout=CALL_SECONDS,
        )
        self.ids[person.key] = made.person_id

    async def _token(self, person: Any) -> str:
        scopes = ["read", "write", "admin"] if "administrator" in person.roles else ["read", "write"]
        issued = await self.identity.IssueAccessToken(
            IssueAccessTokenRequest(person_id=self.ids[person.key], name="Sample", scopes=scopes), timeout=CALL_SECONDS
        )
        return str(issued.secret)

    async def communities(self) -> None:
        """The communities, as old as their first post."""
        oldest: dict[str, datetime] = {}
        for post in self.sample.posts:
            if post.audience.community:
                oldest[post.audience.community] = min(post.publish_time, oldest.get(post.audience.community, post.publish_time))
        records = []
        for community in self.sample.communities:
            record = CommunityRecord(
                place=f"communities.yaml: {community.key}", external_id=community.key, name=community.name,
                description=community.description, rules=community.rules, tags=community.tags,
                kind=feed_events.CommunityKind.Value(f"COMMUNITY_KIND_{community.kind.upper()}"),
                owner_keys=self._people(community.owners), moderator_keys=self._people(community.moderators),
                member_keys=self._people(community.members),
            )
            if community.key in oldest:
                record.create_time.FromDatetime(oldest[community.key])
            records.append(record)
        response = await self.feed.ImportCommunities(ImportCommunitiesRequest(source=SOURCE, records=records), timeout=CALL_SECONDS)
        _all_went_in(response)
        self.community_ids = {record.external_id: result.id for record, result in zip(records, response.results, strict=True)}

    async def posts(self) -> None:
        """The posts with their times, audiences and reactions, oldest first."""
        records = [self._post(post) for post in self.sample.posts]
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            response = await self.feed.ImportPosts(ImportPostsRequest(source=SOURCE, records=batch), timeout=CALL_SECONDS)
            _all_went_in(response)
            self.post_ids |= {record.external_id: result.id for record, result in zip(batch, response.results, strict=True)}

    def _post(self, post: Any) -> PostRecord:
        record = PostRecord(
            place=post.key, external_id=post.key, author_key=self.ids[post.author], body=post.body, language=post.language,
            parent_external_id=post.reply_to or "",
            reactions=[RecordedReaction(emoji=emoji, person_keys=self._people(keys)) for emoji, keys in post.reactions.items()],
        )
        record.publish_time.FromDatetime(post.publish_time)
        match post.audience.kind:
            case "community":
                record.community_external_id = post.audience.community
            case "followers":
                record.audience.CopyFrom(Audience(followers_of_id=self.ids[post.author]))
            case "people":
                record.audience.CopyFrom(Audience(people=People(person_ids=self._people(post.audience.people))))
            case _:
                record.audience.CopyFrom(Audience(everyone=Everyone()))
        return record

    async def follows_and_saves(self) -> None:
        """Who follows whom and which tags, and what they saved, each in the person's own name."""
        work: dict[str, list[Callable[[], Awaitable[Any]]]] = defaultdict(list)
        for follow in self.sample.follows:
            for key in follow.people:
                request = FollowPersonRequest(person_id=self.ids[key])
                work[follow.person].append(lambda r=request: self.feed.FollowPerson(r, timeout=CALL_SECONDS))  # type: ignore[misc]
            for tag in follow.tags:
                tagged = FollowTagRequest(tag=tag)
                work[follow.person].append(lambda r=tagged: self.feed.FollowTag(r, timeout=CALL_SECONDS))  # type: ignore[misc]
        for post in self.sample.posts:
            for key in post.saves:
                save = SavePostRequest(post_id=self.post_ids[post.key])
                work[key].append(lambda r=save: self.feed.SavePost(r, timeout=CALL_SECONDS))  # type: ignore[misc]
        await _together((lambda key=key, calls=calls: self._in_the_name_of(key, calls)) for key, calls in work.items())  # type: ignore[misc]

    async def today(self) -> None:
        """What has no history to bring along: polls, questions, thanks, announcements, ideas and the like."""
        found = Today(self.network, self.sample.today, self.ids, self.roles, self.post_ids, self.community_ids, _together)
        await found.publish()

    async def _in_the_name_of(self, key: str, calls: list[Callable[[], Awaitable[Any]]]) -> None:
        caller = Caller(self.ids[key], frozenset(self.roles[key]), frozenset({"read", "write"}))
        with acting(self.network.tokens.sign(caller)):
            for call in calls:
                await call()

    def _people(self, keys: Iterable[str]) -> list[str]:
        return [self.ids[key] for key in keys]


def _profile(person: Any, email: str) -> Profile:
    return Profile(
        email=email, employee_number=person.employee_number, handle=person.key, name=person.name, preferred_name=person.preferred_name,
        pronouns=person.pronouns, title=person.title, department=person.department, location=person.location, time_zone=person.time_zone,
        languages=person.languages, start_date=person.start_date.isoformat(), about=person.about, contact=dict(person.contact),
        custom_fields=dict(person.custom),
    )


def _email(address: str) -> str:
    """An address nobody can guess, so that a sample left running on a network is no open door."""
    noise = "".join(secrets.choice(_LETTERS) for _ in range(4))
    return f"{address.partition('@')[0]}.{noise}@{DOMAIN}"


def _highest(roles: Iterable[str]) -> str:
    held = set(roles)
    return next((role for role in ("administrator", "communications", "leader", "guest") if role in held), "employee")


def _all_went_in(response: ImportResponse) -> None:
    for result in response.results:
        if result.outcome == IMPORT_OUTCOME_REFUSED or result.warnings:
            raise Rejected(f"the sample cannot be loaded: {result.place}: {result.reason or result.warnings[0]}")


async def _together(work: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(piece: Callable[[], Awaitable[T]]) -> T:
        async with gate:
            return await piece()

    return list(await asyncio.gather(*(one(piece) for piece in work)))


def _write(path: Path, credentials: Iterable[Credentials]) -> None:
    """Whole or not at all, and for its owner's eyes from the first byte."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump([asdict(each) for each in credentials], file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
