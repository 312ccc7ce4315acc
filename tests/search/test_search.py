"""Site search through its public surface: what is found, by whom, and how soon it stops being found."""
from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from libs.eventstore.model import Metadata
from libs.runtime.service import Assembly, Service
from libs.telemetry import metrics
from libs.testing.world import World
from libs.text.ids import new_id
from services.search import indexing
from services.search.service import SERVICE
from watercooler.common.v1.audience_pb2 import Audience, Everyone, People
from watercooler.feed.v1 import events_pb2 as feed
from watercooler.identity.v1 import events_pb2 as identity
from watercooler.search.v1 import search_service_pb2 as pb
from watercooler.search.v1.search_service_pb2_grpc import SearchServiceStub

EVERYONE = Audience(everyone=Everyone())


def bare(name: str) -> Service:
    """A neighbour reduced to its log: its events are all that search knows of it."""
    return Service(name=name, summary="", schema="", assemble=lambda context: Assembly())


class Town:
    """Writes the events that neighbours would."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stub = world.stub(SearchServiceStub, "search")
        self.versions: dict[str, int] = {}

    async def tell(self, service: str, stream: str, *events: Message) -> None:
        version = self.versions.get(stream, 0)
        await self.world.store(service).append(stream, version, events, Metadata("test"))
        self.versions[stream] = version + len(events)

    async def person(self, name: str, **profile: Any) -> str:
        person_id = new_id()
        profile.setdefault("email", f"{name.split(maxsplit=1)[0].lower()}@example.com")
        event = identity.PersonAdded(person_id=person_id, profile=identity.Profile(name=name, **profile), roles=[identity.ROLE_EMPLOYEE])
        await self.tell("identity", f"person-{person_id}", event)
        return person_id

    async def post(self, author_id: str, body: str, audience: Audience = EVERYONE, **fields: Any) -> str:
        post_id = new_id()
        event = feed.PostPublished(post_id=post_id, author_id=author_id, body=body, audience=audience, **fields)
        event.publish_time.FromDatetime(datetime.now(UTC))
        await self.tell("feed", f"post-{post_id}", event)
        return post_id

    async def community(self, name: str, kind: feed.CommunityKind.ValueType, *members: str) -> str:
        community_id = new_id()
        await self.tell("feed", f"community-{community_id}", feed.CommunityCreated(community_id=community_id, name=name, kind=kind))
        for person_id in members:
            await self.tell(
                "feed", f"membership-{community_id}{person_id}", feed.MemberJoined(community_id=community_id, person_id=person_id)
            )
        return community_id

    async def find(self, reader_id: str, query: str, roles: tuple[str, ...] = ("employee",), **fields: Any) -> list[str]:
        return [hit.id for hit in (await self.search(reader_id, query, roles, **fields)).hits]

    async def search(self, reader_id: str, query: str, roles: tuple[str, ...] = ("employee",), **fields: Any) -> pb.SearchResponse:
        await self.world.settle()
        with self.world.acting_as(reader_id, roles):
            response: pb.SearchResponse = await self.stub.Search(pb.SearchRequest(query=query, **fields))
        return response


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with World.of(tmp_path, bare("identity"), bare("feed"), SERVICE) as world:
        yield Town(world)
        await world.assert_rebuilds()


async def test_each_audience_is_found_by_exactly_its_readers(town: Town) -> None:
    author, member, follower, stranger = [await town.person(name) for name in ("Ann Author", "Mia Member", "Flo Follower", "Sam Stranger")]
    opened = await town.community("Canteen talk", feed.COMMUNITY_KIND_OPEN, member)
    closed = await town.community("Works council", feed.COMMUNITY_KIND_CLOSED, author, member)
    secret = await town.community("Project Zinnia", feed.COMMUNITY_KIND_SECRET, author, member)
    await town.tell("feed", "follow-1", feed.PersonFollowed(follower_id=follower, person_id=author))
    await town.tell("identity", "group-g", identity.GroupMemberAdded(group_id="g", person_id=member))
    posts = {
        "everyone": await town.post(author, "zebra one"),
        "followers": await town.post(author, "zebra two", Audience(followers_of_id=author)),
        "group": await town.post(author, "zebra three", Audience(group_id="g")),
        "open": await town.post(author, "zebra four", Audience(community_id=opened)),
        "closed": await town.post(author, "zebra five", Audience(community_id=closed)),
        "secret": await town.post(author, "zebra six", Audience(community_id=secret)),
        "named": await town.post(author, "zebra seven", Audience(people=People(person_ids=[stranger]))),
    }
    names = {post_id: name for name, post_id in posts.items()}

    async def seen(reader: str, *roles: str) -> set[str]:
        return {names[i] for i in await town.find(reader, "zebra", roles or ("employee",))}

    assert await seen(author) == {"everyone", "followers", "open", "closed", "secret", "named"}, "only members read what a group is told"
    assert await seen(member) == {"everyone", "group", "open", "closed", "secret"}
    assert await seen(follower) == {"everyone", "followers", "open"}
    assert await seen(stranger) == {"everyone", "open", "named"}
    assert await seen(stranger, "guest") == {"named"}
    assert await seen(member, "guest") == {"open", "closed", "secret"}

    assert set(await town.find(stranger, "", kinds=[pb.HIT_KIND_COMMUNITY])) == {opened, closed}
    totals = (await town.search(stranger, "zebra")).total_size
    assert totals == 3


async def test_what_is_revoked_is_gone_from_results_and_counts(town: Town) -> None:
    author, member = await town.person("Ann Author"), await town.person("Mia Member")
    community = await town.community("Works council", feed.COMMUNITY_KIND_CLOSED, author, member)
    post_id = await town.post(author, "the walrus agreement", Audience(community_id=community))
    assert await town.find(member, "walrus") == [post_id]
    await town.tell("feed", f"membership-{community}{member}", feed.MemberRemoved(community_id=community, person_id=member))
    response = await town.search(member, "walrus")
    assert (list(response.hits), response.total_size) == ([], 0)
    opened = feed.CommunityChanged(community_id=community, name="Works", kind=feed.COMMUNITY_KIND_OPEN)
    await town.tell("feed", f"community-{community}", opened)
    assert await town.find(member, "walrus") == [post_id]


async def test_edits_and_deletions_are_followed(town: Town) -> None:
    ann = await town.person("Ann Author")
    post_id = await town.post(ann, "a narwhal", tags=["sea"])
    edited = feed.PostEdited(post_id=post_id, author_id=ann, body="a **porpoise**", tags=["ocean"])
    await town.tell("feed", f"post-{post_id}", edited)
    assert await town.find(ann, "narwhal") == []
    assert await town.find(ann, "porpoise") == [post_id]
    assert await town.find(ann, "porpoise", tag="Ocean") == [post_id]
    await town.tell("feed", f"post-{post_id}", feed.PostDeleted(post_id=post_id, author_id=ann, deleter_id=ann))
    assert await town.find(ann, "porpoise") == []


async def test_results_carry_names_places_and_counts(town: Town) -> None:
    ann = await town.person("Ann Author", title="Process engineer", location="Lyon")
    community = await town.community("Sealing", feed.COMMUNITY_KIND_OPEN, ann)
    await town.post(ann, "Seal creep at *80 degrees*", Audience(community_id=community))
    response = await town.search(ann, "seal")
    post = next(hit for hit in response.hits if hit.kind == pb.HIT_KIND_POST)
    assert (post.author_name, post.community_name, post.community_id) == ("Ann Author", "Sealing", community)
    marked = [post.snippet.text[span.start:span.end] for span in post.snippet.highlights]
    assert marked == ["Seal"]
    assert {count.kind: count.count for count in response.counts} == {pb.HIT_KIND_POST: 1, pb.HIT_KIND_COMMUNITY: 1}
    person = (await town.search(ann, "author", kinds=[pb.HIT_KIND_PERSON])).hits[0]
    assert (person.title.text, person.subtitle) == ("Ann Author", "Process engineer, Lyon")


async def test_people_are_suggested_despite_typing_errors_and_leavers_are_not(town: Town) -> None:
    reader = await town.person("Rita Reader")
    found = await town.person("Katharina Müller")
    await town.world.settle()
    with town.world.acting_as(reader):
        for typed in ("kath", "katarina", "mueller", "müler kath", "Kathraina"):
            people = (await town.stub.SuggestPeople(pb.SuggestPeopleRequest(query=typed))).people
            assert [hit.id for hit in people] == [found], typed
    await town.tell("identity", f"person-{found}", identity.PersonLeft(person_id=found))
    assert await town.find(reader, "katharina") == []
    await town.tell("identity", f"person-{found}", identity.PersonRejoined(person_id=found))
    assert await town.find(reader, "katharina") == [found]


async def test_guests_find_no_directory(town: Town) -> None:
    guest = await town.person("Gus Guest")
    assert await town.find(guest, "guest", ("guest",)) == []


async def test_the_erased_are_not_found_nor_is_what_they_wrote(town: Town) -> None:
    ann, bob = await town.person("Ann Author"), await town.person("Bob Brown")
    post_id = await town.post(ann, "an ocelot")
    assert await town.find(bob, "ocelot") == [post_id]
    await town.tell("identity", f"person-{ann}", identity.PersonErased(person_id=ann))
    await town.tell("feed", f"author-{ann}", feed.AuthorErased(person_id=ann))
    assert await town.find(bob, "ocelot") == []
    assert await town.find(bob, "author") == []
    rows = await town.world.store("search").database.fetch("SELECT content FROM documents")
    assert not any("Ann" in row["content"] for row in rows)


async def test_a_rebuilt_index_answers_as_the_live_one(town: Town) -> None:
    ann = await town.person("Ann Author")
    posts = [await town.post(ann, f"a lemur number {n}") for n in range(30)]
    await town.tell("feed", f"post-{posts[3]}", feed.PostDeleted(post_id=posts[3], author_id=ann, deleter_id=ann))
    before = await town.find(ann, "lemur", page_size=50)
    told: list[tuple[int, int]] = []
    await town.world.embedded.assemblies["search"].rebuilders["index"](lambda done, total: told.append((done, total)))
    assert set(await town.find(ann, "lemur", page_size=50)) == set(before) == set(posts) - {posts[3]}
    assert told[-1][0] == told[-1][1] > 0
    later = await town.post(ann, "a lemur after the rebuild")
    assert later in await town.find(ann, "lemur", page_size=50)


async def test_an_unusable_index_is_filled_again(tmp_path: Path) -> None:
    async with World.of(tmp_path, bare("identity"), bare("feed"), SERVICE) as world:
        town = Town(world)
        ann = await town.person("Ann Author")
        post_id = await town.post(ann, "a pangolin")
        assert await town.find(ann, "pangolin") == [post_id]
    (tmp_path / "var" / "index" / "search" / "index.json").write_text("damaged")
    async with World.of(tmp_path, bare("identity"), bare("feed"), SERVICE) as world:
        assert await Town(world).find(ann, "pangolin") == [post_id]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"query": "x" * 501}, "query"),
        ({"query": "x", "page_token": "nonsense"}, "page_token"),
        ({"query": "x", "page_size": -1}, "page_size"),
        ({"query": "x", "kinds": [99]}, "kinds"),
    ],
)
async def test_limits_have_an_answer(town: Town, fields: dict[str, Any], field: str) -> None:
    from libs.rpc import errors

    reader = await town.person("Rita Reader")
    with town.world.acting_as(reader), pytest.raises(grpc.aio.AioRpcError) as caught:
        await town.stub.Search(pb.SearchRequest(**fields))
    assert (caught.value.code(), errors.read(caught.value).field) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_clicks_are_counted_by_rank(town: Town) -> None:
    reader = await town.person("Rita Reader")

    def counted() -> float:
        return metrics.SEARCH_CLICKS.labels(rank="4-10")._value.get()

    before = counted()
    with town.world.acting_as(reader):
        await town.stub.RecordClick(pb.RecordClickRequest(id="x", rank=7))
    assert counted() == before + 1


def test_the_index_consumers_take_every_kind_they_name() -> None:
    assert len(set(indexing.KINDS)) == len(indexing.KINDS)
