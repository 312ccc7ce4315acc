"""Communities: joining, roles, handles, and the owner who remains."""
from __future__ import annotations

import asyncio

import pytest

from services.feed.api.communities import slug
from tests.feed.worlds import ABORTED, CLOSED, DENIED, FAILED, INVALID, MEMBER, MISSING, MODERATOR, OPEN, OWNER, SECRET, Feed, refused
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import feed_service_pb2 as api


@pytest.mark.parametrize(("name", "handle"), [
    ("Data guild", "data-guild"), ("Ulm – Werk & Büro", "ulm-werk-büro"), ("安全", "安全"), ("  C++ / Rust!! ", "c-rust"),
    ("!!!", "community"), ("x" * 100, "x" * 50),
])
def test_handles_come_from_names(name: str, handle: str) -> None:
    assert slug(name) == handle


async def test_the_creator_owns_it(feed: Feed) -> None:
    ann = await feed.person("ann")
    made = await feed.community(ann, "Data guild", CLOSED, description="d", rules="r", tags=["#Data", "data"], request_id="r")
    assert (made.name, made.handle, made.description, made.rules, list(made.tags)) == ("Data guild", "data-guild", "d", "r", ["data"])
    assert (made.my_role, made.member_count, made.readable, made.etag) == (OWNER, 1, True, "1")
    again = await feed.community(ann, "Data guild", CLOSED, description="d", rules="r", request_id="r")
    assert again.community_id == made.community_id
    with feed.by(ann):
        assert len((await feed.stub.ListCommunities(api.ListCommunitiesRequest())).communities) == 1


async def test_handles_are_unique_even_at_once(feed: Feed) -> None:
    ann = await feed.person("ann")
    made = await asyncio.gather(*(feed.community(ann, "Data guild") for _ in range(4)))
    assert sorted(one.handle for one in made) == ["data-guild", "data-guild-2", "data-guild-3", "data-guild-4"]


async def test_wrong_ones_are_refused_whole(feed: Feed) -> None:
    ann, guest = await feed.person("ann"), await feed.person("gus", "guest")
    for request, field in (
        (api.CreateCommunityRequest(name=" ", kind=OPEN), "name"), (api.CreateCommunityRequest(name="x" * 101, kind=OPEN), "name"),
        (api.CreateCommunityRequest(name="x"), "kind"), (api.CreateCommunityRequest(name="x", kind=OPEN, tags=["a b"]), "tags"),
        (api.CreateCommunityRequest(name="x", kind=OPEN, description="x" * 1001), "description"),
        (api.CreateCommunityRequest(name="x", kind=OPEN, rules="x" * 10_001), "rules"),
    ):
        with feed.by(ann), refused(INVALID, field=field):
            await feed.stub.CreateCommunity(request)
    assert await feed.world.store("feed").head() == 0
    with feed.by(guest), refused(DENIED, "ask an employee"):
        await feed.stub.CreateCommunity(api.CreateCommunityRequest(name="x", kind=OPEN))


async def test_joining_an_open_one(feed: Feed) -> None:
    ann, bob, guest = await feed.person("ann"), await feed.person("bob"), await feed.person("gus", "guest")
    club = (await feed.community(ann)).community_id
    post = await feed.post(ann, "history", Audience(community_id=club))
    with feed.by(bob), refused(DENIED, "join it first"):
        await feed.stub.PublishPost(api.PublishPostRequest(body="x", audience=Audience(community_id=club)))
    assert (await feed.post(bob, "answers need no membership", parent_id=post.post_id)).community_name == "Cyclists"
    assert await feed.timeline(bob) == []
    with feed.by(bob):
        for _ in range(2):
            joined = await feed.stub.JoinCommunity(api.JoinCommunityRequest(community_id=club))
            assert (joined.my_role, joined.member_count) == (MEMBER, 2)
    assert await feed.timeline(bob) == ["history"]
    with feed.by(guest), refused(MISSING):
        await feed.stub.JoinCommunity(api.JoinCommunityRequest(community_id=club))
    await feed.add(ann, club, guest)
    assert await feed.timeline(guest) == ["history"]
    with feed.by(guest):
        assert (await feed.stub.LeaveCommunity(api.LeaveCommunityRequest(community_id=club))).readable is False
    assert await feed.timeline(guest) == []


async def test_asking_to_join_a_closed_one(feed: Feed) -> None:
    ann, mod, bob, cem = [await feed.person(name) for name in ("ann", "mod", "bob", "cem")]
    club = (await feed.community(ann, kind=CLOSED)).community_id
    await feed.add(ann, club, mod, MODERATOR)
    for asking in (bob, cem):
        with feed.by(asking):
            asked = await feed.stub.JoinCommunity(api.JoinCommunityRequest(community_id=club))
            assert (asked.join_requested, asked.my_role, asked.readable) == (True, 0, False)
            with refused(DENIED, "owners and moderators"):
                await feed.stub.ListJoinRequests(api.ListJoinRequestsRequest(community_id=club))
    with feed.by(mod):
        requests = (await feed.stub.ListJoinRequests(api.ListJoinRequestsRequest(community_id=club))).members
        assert [one.person.handle for one in requests] == ["bob", "cem"]
        assert (await feed.stub.GetCommunity(api.GetCommunityRequest(community_id=club))).join_request_count == 2
        approved = await feed.stub.ApproveJoinRequest(api.ApproveJoinRequestRequest(community_id=club, person_id=bob))
        assert approved.role == MEMBER
        await feed.stub.DeclineJoinRequest(api.DeclineJoinRequestRequest(community_id=club, person_id=cem))
        with refused(FAILED, "no join request"):
            await feed.stub.ApproveJoinRequest(api.ApproveJoinRequestRequest(community_id=club, person_id=cem))
    with feed.by(cem):
        assert not (await feed.stub.GetCommunity(api.GetCommunityRequest(community_id=club))).join_requested
        await feed.stub.JoinCommunity(api.JoinCommunityRequest(community_id=club))
        withdrawn = await feed.stub.LeaveCommunity(api.LeaveCommunityRequest(community_id=club))
        assert not withdrawn.join_requested


async def test_a_secret_one_is_by_invitation(feed: Feed) -> None:
    ann, bob, admin = [await feed.person(name) for name in ("ann", "bob", "admin")]
    club = (await feed.community(ann, "Merger", SECRET)).community_id
    for outsider, roles in ((bob, ("employee",)), (admin, ("employee", "administrator"))):
        with feed.by(outsider, *roles):
            for call in (feed.stub.JoinCommunity(api.JoinCommunityRequest(community_id=club)),
                         feed.stub.AddMember(api.AddMemberRequest(community_id=club, person_id=outsider)),
                         feed.stub.UpdateCommunity(api.UpdateCommunityRequest(community_id=club, name="x", update_mask=["name"])),
                         feed.stub.ListJoinRequests(api.ListJoinRequestsRequest(community_id=club))):
                with refused(MISSING):
                    await call
            assert not (await feed.stub.ListCommunities(api.ListCommunitiesRequest(member_id=ann, query="mer"))).communities
    await feed.add(ann, club, bob)
    with feed.by(bob):
        found = await feed.stub.ListCommunities(api.ListCommunitiesRequest(member_id=ann, query="MER"))
        assert [one.name for one in found.communities] == ["Merger"]


async def test_an_owner_remains(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    club = (await feed.community(ann)).community_id
    await feed.add(ann, club, bob)
    with feed.by(ann):
        with refused(FAILED, "needs an owner"):
            await feed.stub.LeaveCommunity(api.LeaveCommunityRequest(community_id=club))
        with refused(FAILED, "needs an owner"):
            await feed.stub.ChangeMemberRole(api.ChangeMemberRoleRequest(community_id=club, person_id=ann, role=MEMBER))
        with refused(FAILED, "needs an owner"):
            await feed.stub.RemoveMember(api.RemoveMemberRequest(community_id=club, person_id=ann))
        await feed.stub.ChangeMemberRole(api.ChangeMemberRoleRequest(community_id=club, person_id=bob, role=OWNER))

    async def leave(person_id: str) -> bool:
        try:
            with feed.by(person_id):
                await feed.stub.LeaveCommunity(api.LeaveCommunityRequest(community_id=club))
        except Exception:
            return False
        return True

    assert sorted(await asyncio.gather(leave(ann), leave(bob))) == [False, True]


async def test_who_may_do_what_with_members(feed: Feed) -> None:
    ann, mod, bob, cem = [await feed.person(name) for name in ("ann", "mod", "bob", "cem")]
    club = (await feed.community(ann)).community_id
    await feed.add(ann, club, mod, MODERATOR)
    await feed.add(mod, club, bob)
    with feed.by(bob):
        for call in (feed.stub.AddMember(api.AddMemberRequest(community_id=club, person_id=cem)),
                     feed.stub.RemoveMember(api.RemoveMemberRequest(community_id=club, person_id=mod)),
                     feed.stub.ArchiveCommunity(api.ArchiveCommunityRequest(community_id=club))):
            with refused(DENIED):
                await call
    with feed.by(mod):
        with refused(DENIED, "only owners"):
            await feed.stub.AddMember(api.AddMemberRequest(community_id=club, person_id=cem, role=MODERATOR))
        with refused(DENIED, "only owners"):
            await feed.stub.RemoveMember(api.RemoveMemberRequest(community_id=club, person_id=ann))
        with refused(DENIED, "owners"):
            await feed.stub.ChangeMemberRole(api.ChangeMemberRoleRequest(community_id=club, person_id=bob, role=OWNER))
        with refused(INVALID, "no longer", "person_id"):
            await feed.stub.AddMember(api.AddMemberRequest(community_id=club, person_id="nobody"))
        await feed.stub.RemoveMember(api.RemoveMemberRequest(community_id=club, person_id=bob))
        members = (await feed.stub.ListMembers(api.ListMembersRequest(community_id=club, page_size=1)))
        rest = await feed.stub.ListMembers(api.ListMembersRequest(community_id=club, page_size=1, page_token=members.next_page_token))
        assert [(one.person.handle, one.role) for one in (*members.members, *rest.members)] == [("ann", OWNER), ("mod", MODERATOR)]
        owners = await feed.stub.ListMembers(api.ListMembersRequest(community_id=club, role=OWNER))
        assert [one.person.handle for one in owners.members] == ["ann"]


async def test_changes_name_their_fields_and_their_version(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    club = await feed.community(ann, description="d")
    with feed.by(ann):
        changed = await feed.stub.UpdateCommunity(api.UpdateCommunityRequest(
            community_id=club.community_id, name="Bikes", description="ignored", update_mask=["name"], etag=club.etag
        ))
        assert (changed.name, changed.description, changed.handle, changed.etag) == ("Bikes", "d", "cyclists", "2")
        with refused(ABORTED, "changed meanwhile"):
            await feed.stub.UpdateCommunity(api.UpdateCommunityRequest(
                community_id=club.community_id, name="Wheels", update_mask=["name"], etag=club.etag
            ))
        with refused(INVALID, "update_mask", "update_mask"):
            await feed.stub.UpdateCommunity(api.UpdateCommunityRequest(community_id=club.community_id, update_mask=["handle"]))
    with feed.by(bob), refused(DENIED, "owners"):
        await feed.stub.UpdateCommunity(api.UpdateCommunityRequest(community_id=club.community_id, name="x", update_mask=["name"]))


async def test_lists_are_paged_by_name(feed: Feed) -> None:
    ann = await feed.person("ann")
    for name in ("beta", "Alpha", "gamma", "100%", "delta_x"):
        await feed.community(ann, name)
    with feed.by(ann):
        names: list[str] = []
        page_token = ""
        while True:
            page = await feed.stub.ListCommunities(api.ListCommunitiesRequest(page_size=2, page_token=page_token))
            names += (one.name for one in page.communities)
            page_token = page.next_page_token
            if not page_token:
                break
        assert names == ["100%", "Alpha", "beta", "delta_x", "gamma"]
        for query, expected in (("%", ["100%"]), ("_", ["delta_x"]), ("ALPH", ["Alpha"]), ("", names)):
            found = await feed.stub.ListCommunities(api.ListCommunitiesRequest(query=query))
            assert [one.name for one in found.communities] == expected
        archived = (await feed.stub.ListCommunities(api.ListCommunitiesRequest(query="beta"))).communities[0]
        await feed.stub.ArchiveCommunity(api.ArchiveCommunityRequest(community_id=archived.community_id))
        assert not (await feed.stub.ListCommunities(api.ListCommunitiesRequest(query="beta"))).communities
        assert (await feed.stub.ListCommunities(api.ListCommunitiesRequest(query="beta", include_archived=True))).communities
        with refused(INVALID, field="page_token"):
            await feed.stub.ListCommunities(api.ListCommunitiesRequest(page_token="YWJj"))
        with refused(INVALID, field="query"):
            await feed.stub.ListCommunities(api.ListCommunitiesRequest(query="x" * 101))
