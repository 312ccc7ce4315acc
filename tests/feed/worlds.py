"""The feed beside a stand-in for identity that only has a log: what tests say of people arrives as identity's events."""
from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message

from libs.eventstore.model import Metadata
from libs.rpc import errors
from libs.runtime.service import Assembly, Service
from libs.testing.world import World
from libs.text.ids import new_id
from services.feed.service import SERVICE
from watercooler.common.v1.audience_pb2 import Audience, Everyone, People
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub
from watercooler.identity.v1 import events_pb2 as identity

IDENTITY = Service(name="identity", summary="Only a log.", schema="", assemble=lambda context: Assembly())

INVALID = grpc.StatusCode.INVALID_ARGUMENT
DENIED = grpc.StatusCode.PERMISSION_DENIED
MISSING = grpc.StatusCode.NOT_FOUND
FAILED = grpc.StatusCode.FAILED_PRECONDITION
ABORTED = grpc.StatusCode.ABORTED

OPEN, CLOSED, SECRET = events_pb2.COMMUNITY_KIND_OPEN, events_pb2.COMMUNITY_KIND_CLOSED, events_pb2.COMMUNITY_KIND_SECRET
MEMBER, MODERATOR, OWNER = events_pb2.MEMBER_ROLE_MEMBER, events_pb2.MEMBER_ROLE_MODERATOR, events_pb2.MEMBER_ROLE_OWNER

EVERYONE = Audience(everyone=Everyone())


def people(*person_ids: str) -> Audience:
    """Named people."""
    return Audience(people=People(person_ids=person_ids))


@contextmanager
def refused(code: grpc.StatusCode, text: str = "", field: str | None = None) -> Iterator[None]:
    """What is done inside is refused with this status, a reason that contains `text`, and the field at fault."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        found = errors.read(error)
        assert found.code == code, found
        assert text.lower() in found.reason.lower(), found
        assert field is None or found.field == field, found
    else:
        raise AssertionError(f"nothing was refused, though {code.name} was expected")


class Feed:
    """A stub of the feed, and people by short names."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stub: Any = world.stub(FeedServiceStub, "feed")
        self.roles: dict[str, tuple[str, ...]] = {}
        self._versions: dict[str, int] = {}

    async def person(self, handle: str, role: str = "employee") -> str:
        """Somebody new; answers the id."""
        person_id = new_id()
        given = identity.Role.Value(f"ROLE_{role.upper()}")
        profile = identity.Profile(
            email=f"{handle}@example.com", handle=handle, name=handle.title(), title="Tester", employee_number=f"E-{handle}"
        )
        await self.tell(f"person-{person_id}", identity.PersonAdded(person_id=person_id, profile=profile, roles=[given]))
        self.roles[person_id] = (role,)
        return person_id

    async def tell(self, stream: str, *happened: Message) -> None:
        """Let identity say something, and wait until the feed has heard."""
        version = self._versions.get(stream, 0)
        await self.world.store("identity").append(stream, version, list(happened), Metadata("service:test"))
        self._versions[stream] = version + len(happened)
        await self.world.settle()

    def by(self, person_id: str, *roles: str) -> Any:
        """Calls made inside come from this person."""
        return self.world.acting_as(person_id, roles or self.roles[person_id])

    async def post(self, author_id: str, body: str = "hello", audience: Audience | None = None, **fields: Any) -> api.Post:
        """Publish."""
        with self.by(author_id):
            return await self.stub.PublishPost(api.PublishPostRequest(body=body, audience=audience, **fields))

    async def community(self, owner_id: str, name: str = "Cyclists", kind: Any = OPEN, **fields: Any) -> api.Community:
        """Create a community."""
        with self.by(owner_id):
            return await self.stub.CreateCommunity(api.CreateCommunityRequest(name=name, kind=kind, **fields))

    async def add(self, owner_id: str, community_id: str, person_id: str, role: Any = MEMBER) -> None:
        """Let somebody into a community."""
        with self.by(owner_id):
            await self.stub.AddMember(api.AddMemberRequest(community_id=community_id, person_id=person_id, role=role))

    async def follow(self, follower_id: str, person_id: str) -> None:
        """Follow a person."""
        with self.by(follower_id):
            await self.stub.FollowPerson(api.FollowPersonRequest(person_id=person_id))

    async def timeline(self, reader_id: str, kind: Any = api.TIMELINE_KIND_HOME, subject: str = "", **fields: Any) -> list[str]:
        """The bodies of a whole timeline, page by page."""
        found: list[str] = []
        page_token = ""
        with self.by(reader_id):
            while True:
                page = await self.stub.ListTimeline(api.ListTimelineRequest(kind=kind, subject=subject, page_token=page_token, **fields))
                found += (post.body for post in page.posts)
                page_token = page.next_page_token
                if not page_token:
                    return found

    async def notifications(self, person_id: str, **fields: Any) -> Sequence[api.Notification]:
        """What a person is notified of."""
        with self.by(person_id):
            return (await self.stub.ListNotifications(api.ListNotificationsRequest(**fields))).notifications


@asynccontextmanager
async def feed_of(folder: Path, service: Service = SERVICE, **settings: Any) -> AsyncIterator[Feed]:
    """A running feed in a folder; its read models equal their rebuilds when the test is over."""
    async with World.of(folder, IDENTITY, service, **settings) as world:
        yield Feed(world)
        await world.assert_rebuilds()
