"""Accounts: people and communities. To follow a community is to join it, or to ask for it where it is closed."""
from __future__ import annotations

from typing import Any, Final

import grpc

from libs.rpc.errors import RpcError
from watercooler.feed.v1 import events_pb2 as feed_events
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import reading_service_pb2 as reading
from watercooler.identity.v1 import identity_service_pb2 as identity
from watercooler.search.v1 import search_service_pb2 as search

from . import entities
from .entities import Entity
from .errors import invalid, not_found
from .media import store_part
from .paging import links, page_of
from .router import Call, Reply, route
from .timelines import timeline

RELATIONSHIPS: Final = 100
STEWARDED: Final = 200
REQUESTS: Final = 200
_ABSENT = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)


async def find(call: Call, account_id: str) -> identity.Person | feed.Community:
    """A person or a community by id. Raises Refusal 404."""
    try:
        return await call.clients.identity.GetPerson(identity.GetPersonRequest(person_id=account_id))
    except RpcError as error:
        if error.code() not in _ABSENT:
            raise
    return await _community(call, account_id)


async def _community(call: Call, community_id: str) -> feed.Community:
    try:
        return await call.clients.feed.GetCommunity(feed.GetCommunityRequest(community_id=community_id))
    except RpcError as error:
        if error.code() not in _ABSENT:
            raise
        raise not_found() from None


async def account(call: Call, found: identity.Person | feed.Community) -> Entity:
    """The account of a person or a community, with its counts."""
    if isinstance(found, feed.Community):
        return entities.account_of_community(found, call.site)
    standing = await call.clients.feed.GetRelationship(feed.GetRelationshipRequest(person_id=found.person_id))
    return entities.account_of_person(found, call.site, standing)


async def relationships_of(call: Call, account_ids: list[str]) -> list[Entity]:
    """How whoever asks and these accounts stand to each other, in the order asked for."""
    found: dict[str, Entity] = {}
    bonds = await call.clients.reading.BatchGetBonds(reading.BatchGetBondsRequest(person_ids=account_ids))
    for each in bonds.bonds:
        found[each.person_id] = entities.relationship(each)
    for account_id in account_ids:
        if account_id not in found:
            try:
                found[account_id] = entities.relationship_to_community(await _community(call, account_id))
            except Exception as error:
                if getattr(error, "status", 0) != 404:
                    raise
    return [found[each] for each in dict.fromkeys(account_ids) if each in found]


async def relationship_of(call: Call, account_id: str) -> Entity:
    """How whoever asks and an account stand to each other. Raises Refusal 404."""
    found = await relationships_of(call, [account_id])
    if not found:
        raise not_found()
    return found[0]


# --- oneself ---------------------------------------------------------------------------------------------------------


@route("GET", "/api/v1/accounts/verify_credentials", "read:accounts:me")
async def verify_credentials(call: Call) -> Any:
    """Who one is."""
    me = call.me
    standing = await call.clients.feed.GetRelationship(feed.GetRelationshipRequest(person_id=me.person_id))
    return entities.credentials(me.person, call.site, standing, 0, me.is_administrator)


@route("PATCH", "/api/v1/profile", "write:accounts")
@route("PATCH", "/api/v1/accounts/update_credentials", "write:accounts")
async def update_credentials(call: Call) -> Any:
    """Change one's name, text, contact lines or photo; the rest is the directory's, or has no meaning in a company network."""
    params, me = call.params, call.me
    request = identity.UpdateProfileRequest(person_id=me.person_id, request_id=call.request_id)
    if "display_name" in params:
        request.profile.preferred_name = params.text("display_name", most=200).strip()
        request.update_mask.append("preferred_name")
    if "note" in params:
        request.profile.about = params.text("note", most=10_000)
        request.update_mask.append("about")
    if "fields_attributes" in params:
        for each in params.inners("fields_attributes", 50):
            name, value = each.text("name", most=255).strip(), each.text("value", most=1_000).strip()
            if name and value:
                request.profile.contact[name] = value
        request.update_mask.append("contact")
    person = me.person
    if request.update_mask:
        person = await call.clients.identity.UpdateProfile(request)
    photo = await store_part(call, "avatar")
    if photo:
        person = await call.clients.identity.ChangePhoto(identity.ChangePhotoRequest(person_id=me.person_id, photo_blob_id=photo))
    call.gateway.accounts.forget(me.person_id)
    standing = await call.clients.feed.GetRelationship(feed.GetRelationshipRequest(person_id=me.person_id))
    return entities.credentials(person, call.site, standing, 0, me.is_administrator)


@route("DELETE", "/api/v1/profile/avatar", "write:accounts")
async def remove_avatar(call: Call) -> Any:
    """Take one's photo away."""
    await call.clients.identity.ChangePhoto(identity.ChangePhotoRequest(person_id=call.me.person_id, request_id=call.request_id))
    call.gateway.accounts.forget(call.me.person_id)
    return await verify_again(call)


@route("DELETE", "/api/v1/profile/header", "write:accounts")
async def remove_header(call: Call) -> Any:
    """There are no header pictures."""
    return await verify_again(call)


async def verify_again(call: Call) -> Any:
    """Who one is, as the directory has it now."""
    person = await call.clients.identity.GetPerson(identity.GetPersonRequest(person_id=call.me.person_id))
    standing = await call.clients.feed.GetRelationship(feed.GetRelationshipRequest(person_id=call.me.person_id))
    return entities.credentials(person, call.site, standing, 0, call.me.is_administrator)


@route("GET", "/api/v1/profile", "read:accounts:me")
async def profile(call: Call) -> Any:
    """Who one is."""
    return await verify_again(call)


# --- accounts --------------------------------------------------------------------------------------------------------


@route("GET", "/api/v1/accounts", "read:accounts")
async def several(call: Call) -> Any:
    """Several accounts by id; unknown ones are left out."""
    wanted = [each for each in call.params.texts("id", 80) if len(each) == 36]
    people = {each.person_id: each for each in await call.shown.people(wanted)}
    found = []
    for each in dict.fromkeys(wanted):
        if each in people:
            found.append(entities.account_of_person(people[each], call.site))
        else:
            try:
                found.append(entities.account_of_community(await _community(call, each), call.site))
            except Exception as error:
                if getattr(error, "status", 0) != 404:
                    raise
    return found


@route("GET", "/api/v1/accounts/lookup", "read:accounts")
async def lookup(call: Call) -> Any:
    """An account by its handle; one with another network's name after @ is not here."""
    handle, _, host = call.params.text("acct", most=300).strip().lstrip("@").partition("@")
    if not handle or (host and host != _host(call)):
        raise not_found()
    try:
        return await account(call, await call.clients.identity.FindPerson(identity.FindPersonRequest(handle=handle.lower())))
    except RpcError as error:
        if error.code() not in _ABSENT:
            raise
    try:
        return await account(call, await call.clients.feed.GetCommunity(feed.GetCommunityRequest(handle=handle.lower())))
    except RpcError as error:
        if error.code() not in _ABSENT:
            raise
        raise not_found() from None


def _host(call: Call) -> str:
    return call.site.base.partition("://")[2]


@route("GET", "/api/v1/accounts/search", "read:accounts")
async def search_accounts(call: Call) -> Any:
    """People and communities as one types, typing errors forgiven; `following` keeps those one follows."""
    params = call.params
    found = await matching(call, params.text("q", most=200), params.whole("limit", 40, 1, 80))
    if params.flag("following") and found:
        followed = {
            each["id"] for each in await relationships_of(call, [one["id"] for one in found][:RELATIONSHIPS]) if each["following"]
        }
        found = [each for each in found if each["id"] in followed]
    return found


async def matching(call: Call, query: str, limit: int, offset: int = 0) -> list[Entity]:
    """Accounts that a text may mean, the most fitting first: handles as such, then names."""
    query = query.strip()
    handle, _, host = query.lstrip("@").partition("@")
    if host and host == _host(call):
        query = handle
    if not query.strip("@"):
        return []
    hits = await call.clients.search.SuggestPeople(
        search.SuggestPeopleRequest(query=query.lstrip("@"), page_size=min(limit + offset, 200))
    )
    people = await call.shown.people([each.id for each in hits.people])
    found = [entities.account_of_person(each, call.site) for each in people]
    if len(found) < limit + offset:
        communities = await call.clients.feed.ListCommunities(
            feed.ListCommunitiesRequest(query=query.lstrip("@"), page_size=min(limit + offset, 200))
        )
        found += [entities.account_of_community(each, call.site) for each in communities.communities]
    return found[offset:offset + limit]


@route("GET", "/api/v1/accounts/relationships", "read:follows")
async def relationships(call: Call) -> Any:
    """How one stands to each of up to 100 accounts."""
    return await relationships_of(call, [each for each in call.params.texts("id", RELATIONSHIPS) if len(each) == 36])


@route("GET", "/api/v1/accounts/familiar_followers", "read:follows")
async def familiar_followers(call: Call) -> Any:
    """Who of those one follows follows them too is not told: everybody may read everybody's followers."""
    return [{"id": each, "accounts": []} for each in call.params.texts("id", RELATIONSHIPS)]


@route("GET", "/api/v1/accounts/:id", "read:accounts")
async def one(call: Call) -> Any:
    """A person or a community."""
    return await account(call, await find(call, call.id()))


@route("GET", "/api/v1/accounts/:id/statuses", "read:statuses")
async def statuses(call: Call) -> Reply:
    """What a person wrote, or what stands in a community."""
    params, account_id = call.params, call.id()
    found = await find(call, account_id)
    pictures = params.flag("only_media")
    if params.text("tagged", most=100):
        return Reply([])
    if params.flag("pinned"):
        return await timeline(call, feed.TIMELINE_KIND_PINNED, account_id)
    if isinstance(found, feed.Community):
        return await timeline(call, feed.TIMELINE_KIND_COMMUNITY, account_id, only_attachments=pictures)
    return await timeline(
        call, feed.TIMELINE_KIND_PERSON, account_id, include_replies=not params.flag("exclude_replies"), only_attachments=pictures,
        exclude_reposts=params.flag("exclude_reblogs") or pictures,
    )


@route("GET", "/api/v1/accounts/:id/followers", "read:accounts")
async def followers(call: Call) -> Reply:
    """Who follows a person, or who is a member of a community."""
    page, account_id = page_of(call, 40, 80), call.id()
    found = await find(call, account_id)
    if isinstance(found, feed.Community):
        members = await call.clients.feed.ListMembers(
            feed.ListMembersRequest(community_id=account_id, page_size=page.limit, page_token=page.max_id)
        )
        shown = await call.shown.accounts([each.person for each in members.members])
        return Reply(shown, link=links(call, members.next_page_token))
    people = await call.clients.feed.ListFollowers(
        feed.ListFollowersRequest(person_id=account_id, page_size=page.limit, page_token=page.max_id)
    )
    return Reply(await call.shown.accounts(people.people), link=links(call, people.next_page_token))


@route("GET", "/api/v1/accounts/:id/following", "read:accounts")
async def following(call: Call) -> Reply:
    """Whom a person follows; a community follows nobody."""
    page, account_id = page_of(call, 40, 80), call.id()
    if isinstance(await find(call, account_id), feed.Community):
        return Reply([])
    people = await call.clients.feed.ListFollowedPeople(
        feed.ListFollowedPeopleRequest(person_id=account_id, page_size=page.limit, page_token=page.max_id)
    )
    return Reply(await call.shown.accounts(people.people), link=links(call, people.next_page_token))


@route("GET", "/api/v1/accounts/:id/lists", "read:lists")
async def lists(call: Call) -> Any:
    """One's own lists that the person is on."""
    found = await call.clients.reading.ListLists(reading.ListListsRequest(person_id=call.id()))
    return [entities.people_list(each) for each in found.lists]


@route("GET", "/api/v1/accounts/:id/featured_tags", "read:accounts")
@route("GET", "/api/v1/accounts/:id/endorsements", "read:accounts")
@route("GET", "/api/v1/accounts/:id/identity_proofs", "read:accounts")
async def nothing_featured(call: Call) -> Any:
    """Nobody puts tags or people on their page."""
    await find(call, call.id())
    return []


@route("GET", "/api/v1/accounts/:id/collections", "read:accounts")
@route("GET", "/api/v1/accounts/:id/in_collections", "read:accounts")
async def no_collections(call: Call) -> Any:
    """There are no collections of accounts."""
    await find(call, call.id())
    return {"collections": []}


# --- relationships ---------------------------------------------------------------------------------------------------


@route("POST", "/api/v1/accounts/:id/follow", "write:follows")
async def follow(call: Call) -> Any:
    """Follow a person, or join a community; where it is closed, ask to."""
    account_id = call.id()
    if isinstance(await find(call, account_id), feed.Community):
        joined = await call.clients.feed.JoinCommunity(feed.JoinCommunityRequest(community_id=account_id, request_id=call.request_id))
        return entities.relationship_to_community(joined)
    await call.clients.feed.FollowPerson(feed.FollowPersonRequest(person_id=account_id, request_id=call.request_id))
    return await relationship_of(call, account_id)


@route("POST", "/api/v1/accounts/:id/unfollow", "write:follows")
async def unfollow(call: Call) -> Any:
    """Follow a person no longer, or leave a community."""
    account_id = call.id()
    if isinstance(await find(call, account_id), feed.Community):
        left = await call.clients.feed.LeaveCommunity(feed.LeaveCommunityRequest(community_id=account_id, request_id=call.request_id))
        return entities.relationship_to_community(left)
    await call.clients.feed.UnfollowPerson(feed.UnfollowPersonRequest(person_id=account_id, request_id=call.request_id))
    return await relationship_of(call, account_id)


@route("POST", "/api/v1/accounts/:id/remove_from_followers", "write:follows")
async def remove_from_followers(call: Call) -> Any:
    """Who follows whom in a company is open: nobody is sent away."""
    await find(call, call.id())
    raise invalid("Followers are not sent away here. Write to named people or a community instead.")


@route("POST", "/api/v1/accounts/:id/mute", "write:mutes")
async def mute(call: Call) -> Any:
    """See nothing of a person, for a while or until unmuted."""
    params = call.params
    await call.clients.reading.MutePerson(
        reading.MutePersonRequest(
            person_id=call.id(), notifications=params.flag("notifications", True),
            duration_seconds=params.whole("duration", 0, 0, 366 * 86_400), request_id=call.request_id,
        )
    )
    return await relationship_of(call, call.id())


@route("POST", "/api/v1/accounts/:id/unmute", "write:mutes")
async def unmute(call: Call) -> Any:
    """See a person again."""
    await call.clients.reading.UnmutePerson(reading.UnmutePersonRequest(person_id=call.id(), request_id=call.request_id))
    return await relationship_of(call, call.id())


@route("POST", "/api/v1/accounts/:id/block", "write:blocks")
async def block(call: Call) -> Any:
    """Keep a person away, where the organisation allows it."""
    await call.clients.reading.BlockPerson(reading.BlockPersonRequest(person_id=call.id(), request_id=call.request_id))
    return await relationship_of(call, call.id())


@route("POST", "/api/v1/accounts/:id/unblock", "write:blocks")
async def unblock(call: Call) -> Any:
    """Keep them away no longer."""
    await call.clients.reading.UnblockPerson(reading.UnblockPersonRequest(person_id=call.id(), request_id=call.request_id))
    return await relationship_of(call, call.id())


@route("POST", "/api/v1/accounts/:id/note", "write:accounts")
async def note(call: Call) -> Any:
    """Keep a private remark on a person; an empty one takes it away."""
    await call.clients.reading.SetNote(
        reading.SetNoteRequest(person_id=call.id(), note=call.params.text("comment", most=10_000), request_id=call.request_id)
    )
    return await relationship_of(call, call.id())


@route("POST", "/api/v1/accounts/:id/pin", "write:accounts")
@route("POST", "/api/v1/accounts/:id/unpin", "write:accounts")
@route("POST", "/api/v1/accounts/:id/endorse", "write:accounts")
@route("POST", "/api/v1/accounts/:id/unendorse", "write:accounts")
async def endorse(call: Call) -> Any:
    """Nobody puts people on their page: how one stands to the person is answered as it is."""
    return await relationship_of(call, call.id())


@route("GET", "/api/v1/mutes", "read:mutes")
async def mutes(call: Call) -> Reply:
    """Whom one muted."""
    page = page_of(call, 40, 80)
    found = await call.clients.reading.ListMutedPeople(reading.ListMutedPeopleRequest(page_size=page.limit, page_token=page.max_id))
    return Reply(await call.shown.accounts(found.people), link=links(call, found.next_page_token))


@route("GET", "/api/v1/blocks", "read:blocks")
async def blocks(call: Call) -> Reply:
    """Whom one blocked."""
    page = page_of(call, 40, 80)
    found = await call.clients.reading.ListBlockedPeople(reading.ListBlockedPeopleRequest(page_size=page.limit, page_token=page.max_id))
    return Reply(await call.shown.accounts(found.people), link=links(call, found.next_page_token))


# --- follow requests: who asks to join a community that one looks after ----------------------------------------------


async def _requests(call: Call) -> list[tuple[str, feed.Author]]:
    found: list[tuple[str, feed.Author]] = []
    mine = await call.clients.feed.ListCommunities(feed.ListCommunitiesRequest(member_id=call.me.person_id, page_size=STEWARDED))
    for community in mine.communities:
        if community.my_role >= feed_events.MEMBER_ROLE_MODERATOR and community.join_request_count:
            asking = await call.clients.feed.ListJoinRequests(
                feed.ListJoinRequestsRequest(community_id=community.community_id, page_size=REQUESTS)
            )
            found += [(community.community_id, each.person) for each in asking.members]
    return found


@route("GET", "/api/v1/follow_requests", "read:follows")
async def follow_requests(call: Call) -> Any:
    """Who asks to join a community that one looks after."""
    people = {person.person_id: person for _, person in await _requests(call)}
    return await call.shown.accounts(list(people.values())[:page_of(call, 40, 80).limit])


@route("POST", "/api/v1/follow_requests/:id/authorize", "write:follows")
async def authorize(call: Call) -> Any:
    """Let a person into every community of one's own that they ask to join."""
    account_id = call.id()
    wanted = [community_id for community_id, person in await _requests(call) if person.person_id == account_id]
    if not wanted:
        raise not_found()
    for community_id in wanted:
        await call.clients.feed.ApproveJoinRequest(feed.ApproveJoinRequestRequest(community_id=community_id, person_id=account_id))
    return await relationship_of(call, account_id)


@route("POST", "/api/v1/follow_requests/:id/reject", "write:follows")
async def reject(call: Call) -> Any:
    """Decline."""
    account_id = call.id()
    wanted = [community_id for community_id, person in await _requests(call) if person.person_id == account_id]
    if not wanted:
        raise not_found()
    for community_id in wanted:
        await call.clients.feed.DeclineJoinRequest(feed.DeclineJoinRequestRequest(community_id=community_id, person_id=account_id))
    return await relationship_of(call, account_id)
