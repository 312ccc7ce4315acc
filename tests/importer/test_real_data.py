"""Real organisations come in whole, with exact counts, original times, chart and photos; dry and second runs change nothing."""

from datetime import UTC, datetime
from pathlib import Path

from libs.blobs.store import BlobStore
from libs.testing.world import World
from services.feed.service import SERVICE as FEED
from services.identity.service import SERVICE as IDENTITY
from tests.importer.importing import Outcome, events, feed, identity, imported, pages
from watercooler.feed.v1 import feed_service_pb2 as feed_api
from watercooler.identity.v1 import identity_service_pb2 as identity_api


async def thrice(world: World, source: Path, mapping: str) -> Outcome:
    """A dry run that changes nothing and tells what the run then does, the run, and a second run that changes nothing."""
    dry = await imported(world, source, mapping, dry_run=True)
    assert (await events(world, "identity"), await events(world, "feed")) == (0, 0)
    done = await imported(world, source, mapping)
    for kind in {each.kind for each in done.found}:
        assert dry.counts(kind) == done.counts(kind)
    assert dry.refused() == done.refused()
    before = (await events(world, "identity"), await events(world, "feed"))
    again = await imported(world, source, mapping)
    assert again.moved() == 0
    assert again.refused() == done.refused()
    assert (await events(world, "identity"), await events(world, "feed")) == before
    await world.settle()
    return done


async def test_18f_comes_in_as_one_company(tmp_path: Path, data: Path) -> None:
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        done = await thrice(world, data, "18f.yaml")
        assert done.counts("people") == {"added": 147}
        assert done.counts("groups") == {"added": 2}
        assert done.counts("communities") == {"added": 8}
        assert done.counts("posts") == {"added": 37}
        assert done.refused() == {}
        assert done.warnings() == {
            "people/18f-hub/projects/myusa.yml": ("a member was left out: nobody is known as 'esgoodman'",)
        }
        with world.acting_for("gateway"):
            mbland = await identity(world).FindPerson(identity_api.FindPersonRequest(handle="mbland"))
            assert mbland.profile.email == "michael.bland@example.com"
            robert = await identity(world).FindPerson(identity_api.FindPersonRequest(handle="robert"))
            assert robert.profile.email == "robert@example.com"  # made by the mapping: the source has none
            aidan = await identity(world).FindPerson(identity_api.FindPersonRequest(email="aidan.feldman@example.com"))
            assert (aidan.profile.name, aidan.profile.location, aidan.profile.time_zone, aidan.profile.custom_fields["Skills"]) == (
                "Aidan Feldman", "New York City", "America/New_York", "Ruby, JavaScript"
            )
            communities = await pages(feed(world).ListCommunities, feed_api.ListCommunitiesRequest(), "communities")
            values = next(each for each in communities if each.name == "Core Values Working Group")
            assert values.member_count == 5
            members = await pages(feed(world).ListMembers, feed_api.ListMembersRequest(community_id=values.community_id), "members")
            assert sorted(each.person.handle for each in members) == ["kara", "mbland", "sarah", "sasha", "yuda"]
            assert {each.person.handle for each in members if each.role == 3} == {"sarah", "sasha"}
            timeline = feed_api.ListTimelineRequest(kind=feed_api.TIMELINE_KIND_PERSON, subject=mbland.person_id)
            posts = await pages(feed(world).ListTimeline, timeline, "posts")
        assert len(posts) == 6
        first = posts[-1]
        assert first.publish_time.ToDatetime(UTC) == datetime(2014, 12, 8, 15, 10, 58, tzinfo=UTC)  # 10:10:58 in New York
        assert first.body.startswith("**Last week**\n\n- [Hub hacking](https://github.com/18F/hub): fixes")
        assert "\n\n**This week**\n\n- Hub: cleanup" in first.body
        await world.assert_rebuilds()


async def test_sourcegraph_brings_its_chart(tmp_path: Path, data: Path) -> None:
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        done = await thrice(world, data / "people" / "sourcegraph", "sourcegraph.yaml")
        assert done.counts("people") == {"added": 167, "left out": 8}
        assert done.refused() == done.warnings() == {}
        assert {each.reason for each in done.found if each.outcome == "left out"} == {
            "left out by the mapping: hide_on_team_page is true"
        }
        assert any(each.place.startswith("team.yml:") and each.place.partition(":")[2].isdigit() for each in done.found)
        with world.acting_for("gateway"):
            people = await pages(identity(world).ListPeople, identity_api.ListPeopleRequest(), "people")
        names = {each.person_id: each.profile.name for each in people}
        manager = {each.profile.name: names.get(each.manager_id, "") for each in people}
        assert [name for name, above in manager.items() if not above] == ["Quinn Slack"]
        assert manager["Stephen Gutekanst"] == "Cezary Bartoszuk"
        assert manager["Keegan Carruthers-Smith"] == "Matt Manela"  # by the slug of a hidden second hat
        assert manager["Joe Chen"] == "Nelson Araujo"
        assert next(each for each in people if each.profile.name == "Quinn Slack").profile.title == "CEO, co-founder, Board of Directors"


async def test_the_rust_project_brings_people_and_teams(tmp_path: Path, data: Path) -> None:
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        done = await thrice(world, data / "people" / "rust-team", "rust-team.yaml")
        assert done.counts("people") == {"added": 666}
        assert done.counts("groups") == {"added": len(list((data / "people/rust-team/teams").rglob("*.toml")))} == {"added": 213}
        assert done.refused() == done.warnings() == {}
        with world.acting_for("gateway"):
            groups = await pages(identity(world).ListGroups, identity_api.ListGroupsRequest(), "groups")
        assert sum(each.member_count for each in groups) == 970
        assert sum(bool(each.parent_id) for each in groups) == 157
        by_id = {each.external_id.rpartition(":")[2]: each for each in groups}
        assert by_id["compiler"].member_count == 75
        assert by_id["compiler-fcp"].parent_id == by_id["compiler"].group_id


async def test_a_directory_brings_photos(tmp_path: Path, data: Path) -> None:
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        done = await thrice(world, data / "directory" / "ldif-planetexpress", "planetexpress.yaml")
        assert done.counts("people") == {"added": 7, "left out": 3}
        assert done.counts("groups") == {"added": 2, "left out": 8}
        assert done.refused() == done.warnings() == {}
        with world.acting_for("gateway"):
            people = await pages(identity(world).ListPeople, identity_api.ListPeopleRequest(), "people")
            groups = await pages(identity(world).ListGroups, identity_api.ListGroupsRequest(), "groups")
        by_handle = {each.profile.handle: each for each in people}
        assert by_handle["professor"].profile.email == "professor@planetexpress.com"
        assert (by_handle["leela"].display_name, by_handle["leela"].profile.title) == ("Turanga Leela", "Captain, Pilot")
        assert by_handle["fry"].display_name == "Fry"
        with_photo = {handle for handle, each in by_handle.items() if each.photo_blob_id}
        assert with_photo == {"bender", "fry", "leela", "professor", "zoidberg"}
        blobs = BlobStore.local(tmp_path / "var" / "blobs")
        stored = {ref.id: ref async for ref in blobs.refs()}
        assert {by_handle[handle].photo_blob_id for handle in with_photo} == set(stored)
        assert {ref.media_type for ref in stored.values()} == {"image/jpeg"}
        assert {each.name: each.member_count for each in groups} == {"admin_staff": 2, "ship_crew": 3}


async def test_communities_of_practice_come_from_their_pages(tmp_path: Path, data: Path) -> None:
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        done = await thrice(world, data / "communities" / "digitalgov", "digitalgov.yaml")
        assert done.counts("communities") == {"added": 40, "left out": 1}
        assert done.refused() == {}
        with world.acting_for("gateway"):
            communities = await pages(feed(world).ListCommunities, feed_api.ListCommunitiesRequest(), "communities")
        mobile = next(each for each in communities if each.name == "Mobile")
        assert mobile.description == "Working to implement solutions for making mobile technologies better in government"
        assert mobile.create_time.ToDatetime(UTC) == datetime(2013, 11, 21, 7, 30, tzinfo=UTC)
        assert list(mobile.tags) == ["accessibility", "mobile"]
        assert mobile.rules.startswith("Mobile Community of Practice members")


async def test_a_slack_workspace_brings_channels_and_messages(tmp_path: Path, data: Path) -> None:
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        done = await thrice(world, data / "chat" / "slack-export.zip", "slack.yaml")
        assert done.counts("people") == {"added": 4}
        assert done.counts("communities") == {"added": 2}
        assert done.counts("posts") == {"added": 53, "left out": 105}
        assert done.refused() == done.warnings() == {}
        reasons = [each.reason.partition(":")[0].partition(" (")[0] for each in done.found if each.outcome == "left out"]
        assert {reason: reasons.count(reason) for reason in set(reasons)} == {
            "a message of the bot B0JL6RASU": 49, "a message of the bot B0JL6UFSL": 28, "a message of the bot B0VJZKVHC": 17,
            "Slack's own notice": 11,
        }
        with world.acting_for("gateway"):
            hamza = await identity(world).FindPerson(identity_api.FindPersonRequest(handle="hamza"))
            communities = await pages(feed(world).ListCommunities, feed_api.ListCommunitiesRequest(), "communities")
            assert {each.name: (each.member_count, each.create_time.seconds) for each in communities} == {
                "enrique": (4, 1452837318), "traveling-sailor": (4, 1452988822)
            }
            enrique = next(each for each in communities if each.name == "enrique").community_id
            timeline = feed_api.ListTimelineRequest(kind=feed_api.TIMELINE_KIND_COMMUNITY, subject=enrique)
            posts = await pages(feed(world).ListTimeline, timeline, "posts")
        first = posts[-1]
        assert first.body == "@abilinski: Created an issue for a setup.py so that it can be installed to a standard place"
        assert first.publish_time.ToDatetime(UTC) == datetime.fromtimestamp(1452837352, UTC).replace(microsecond=6)
        assert first.author.person_id == hamza.person_id
        assert [each.handle for each in first.mentions] == ["abilinski"]
        await world.assert_rebuilds()
