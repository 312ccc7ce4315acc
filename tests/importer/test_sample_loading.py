"""The sample organisation as it stands in a network: everybody can sign in, what was written is readable, and nothing is loaded twice."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.testing.world import World
from services.feed.service import SERVICE as FEED
from services.identity.service import SERVICE as IDENTITY
from services.importer import sample
from services.main import prepare_sample
from services.sample import load_sample
from watercooler.feed.v1.feed_service_pb2 import TIMELINE_KIND_SAVED, ListCommunitiesRequest, ListTimelineRequest
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub
from watercooler.identity.v1.identity_service_pb2 import (
    AuthenticateAccessTokenRequest,
    AuthenticateRequest,
    FindPersonRequest,
    GetOrganizationRequest,
    ListPeopleRequest,
)
from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceStub


async def test_the_sample_is_loaded_whole_and_its_people_sign_in(tmp_path: Path) -> None:
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        assert await sample.is_empty(world.embedded)
        assert sample.stored(tmp_path / "var") is None
        found = load_sample.read_sample(datetime.now(UTC))
        credentials = await sample.load(world.embedded, found, load_sample.ORGANISATION_NAME)
        await world.settle()

        identity, feed = world.stub(IdentityServiceStub, "identity"), world.stub(FeedServiceStub, "feed")
        path = tmp_path / "var" / sample.FILE_NAME
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        written = json.loads(path.read_text())
        assert len(written) == len(found.people) and set(written[0]) == {"email", "password", "token", "role"}
        assert len({each["password"] for each in written}) == len({each["token"] for each in written}) == len(found.people)
        assert {each["role"] for each in written} >= {"administrator", "employee", "guest"}
        assert not {person.email for person in found.people} & {each["email"] for each in written}
        assert not await sample.is_empty(world.embedded)
        assert sample.stored(tmp_path / "var") == credentials

        with world.acting_for("gateway"):
            assert (await identity.GetOrganization(GetOrganizationRequest())).name == load_sample.ORGANISATION_NAME
            assert (await identity.ListPeople(ListPeopleRequest())).total_size == len(found.people)
            for each in (credentials[0], next(one for one in credentials if one.role == "administrator")):
                signed_in = await identity.Authenticate(AuthenticateRequest(email=each.email, password=each.password))
                assert signed_in.person.profile.email == each.email
                by_token = await identity.AuthenticateAccessToken(AuthenticateAccessTokenRequest(secret=each.token))
                assert by_token.person == signed_in.person
            for person in found.people:
                there = await identity.FindPerson(FindPersonRequest(handle=person.key))
                assert (there.profile.name, there.profile.title) == (person.name, person.title)
                if person.manager:
                    manager = await identity.FindPerson(FindPersonRequest(handle=person.manager))
                    assert there.manager_id == manager.person_id
            communities = (await feed.ListCommunities(ListCommunitiesRequest(page_size=100))).communities
            assert {each.name: each.member_count for each in communities} == {each.name: len(each.members) for each in found.communities}

        today = found.today
        assert await _count(world, "PostPublished") == len(found.posts) + len(today.posts) + len(today.announcements)
        reacted = [people for post in (*found.posts, *today.posts) for people in post.reactions.values()]
        assert await _count(world, "ReactionAdded") == sum(map(len, reacted))
        polls = [post.poll for post in today.posts if post.poll]
        assert await _count(world, "PollVoted") == sum(len(people) for poll in polls for people in poll.options.values())
        assert await _count(world, "BestAnswerMarked") == sum(post.best for post in today.posts)
        addressed = len(found.people) - 2  # without its author and the guest
        assert await _count(world, "AnnouncementConfirmed") == round(addressed * today.announcements[0].confirmed_percent / 100)
        assert await _count(world, "IdeaProposed") == len(today.ideas)
        assert await _count(world, "IdeaStateChanged") == sum(len(idea.steps) for idea in today.ideas)
        assert await _count(world, "SupportGiven") == sum(len(one.votes) for one in (*today.ideas, *today.enquiries))
        assert await _count(world, "PostReposted") == sum(len(repost.by) for repost in today.reposts)
        assert await _count(world, "PostPinned") == len(today.pins)
        assert await _count(world, "DraftSaved") == len(today.drafts)
        assert await _count(world, "DraftScheduled") == sum(draft.in_days is not None for draft in today.drafts)
        assert await _count(world, "ListCreated") == len(today.lists)
        assert await _count(world, "PersonFollowed") == sum(len(follow.people) for follow in found.follows)
        assert await _count(world, "TagFollowed") == sum(len(follow.tags) for follow in found.follows)
        saver = next(post.saves[0] for post in found.posts if post.saves)
        with world.acting_for("gateway"):
            saver_id = (await identity.FindPerson(FindPersonRequest(handle=saver))).person_id
        with world.acting_as(saver_id):
            saved = await feed.ListTimeline(ListTimelineRequest(kind=TIMELINE_KIND_SAVED, page_size=100))
        bodies = {post.body: post.publish_time for post in found.posts if saver in post.saves}
        assert {post.body: post.publish_time.ToDatetime(UTC) for post in saved.posts} == bodies
        await world.assert_rebuilds()


async def test_run_with_sample_prints_how_to_sign_in_and_loads_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        await prepare_sample(world.embedded)
        told = capsys.readouterr().out
        credentials = sample.stored(tmp_path / "var")
        assert credentials is not None
        for role in ("administrator", "employee"):
            one = next(each for each in credentials if each.role == role)
            assert one.email in told and one.password in told and one.token in told
        assert told.count("password") == 2  # of nobody else
        head = await world.store("feed").head()
        await prepare_sample(world.embedded)
        told = capsys.readouterr().out
        assert "is there already" in told and "sample-credentials.json" in told and "password" not in told
        assert await world.store("feed").head() == head
        (tmp_path / "var" / sample.FILE_NAME).unlink()
        await prepare_sample(world.embedded)
        assert "is not empty, so the sample was not loaded" in capsys.readouterr().out


async def _count(world: World, suffix: str) -> int:
    store = world.store("feed")
    position, count = 0, 0
    while batch := await store.tail(position, 500):
        count += sum(type(event.data).__name__ == suffix for event in batch)
        position = batch[-1].position
    return count
