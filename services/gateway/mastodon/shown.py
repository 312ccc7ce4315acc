"""Posts and people as JSON for Mastodon's clients: written out once for each version of them, not for each reader.

A post's JSON is kept under the very message it was made of, so that a changed count, name or photo makes a new one by itself. Readers to
whom a post is the same share it; what differs (one's own reactions, what one may see of a quoted post) is in the message, so it cannot
reach anybody else.
"""
from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import grpc
import msgspec

from libs.rpc.errors import RpcError
from watercooler.feed.v1 import events_pb2 as events
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.identity.v1 import identity_service_pb2 as identity

from . import entities
from .entities import Entity, Known, Site
from .services import Services

NAMES: Final = 20_000
# So long a community's new handle, or somebody's new name in an old direct post, may stay unseen.
NAME_SECONDS: Final = 60.0
BATCH: Final = 200

_encode = msgspec.json.Encoder().encode


class Shown:
    """What is kept written out, and the names that posts tell by id only."""

    def __init__(self, clients: Services, site: Site, most: int) -> None:
        """Ask the services as whoever asks; at most `most` posts are kept, none at 0."""
        self.clients = clients
        self.site = site
        self._most = most
        self._posts: dict[bytes, msgspec.Raw] = {}
        self._window = site.window
        self._communities: OrderedDict[str, tuple[float, str, str]] = OrderedDict()
        self._open: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        self._people: OrderedDict[str, tuple[float, str, str]] = OrderedDict()

    def clear(self) -> None:
        """Forget all, as when somebody was erased."""
        self._posts.clear()
        self._people.clear()

    async def statuses(self, posts: Sequence[feed.Post], parents: bool = False) -> list[msgspec.Raw]:
        """Posts as JSON, without those whose text is gone; with `parents` it is looked up whom replies answer."""
        if self._window != self.site.window:  # the addresses of images have changed
            self._posts.clear()
            self._window = self.site.window
        held = self._posts
        found: list[msgspec.Raw] = []
        missing: list[tuple[int, bytes, feed.Post]] = []
        for post in posts:
            if post.deleted or post.erased:
                continue
            key = post.SerializeToString()
            text = held.get(key)
            if text is None or (parents and post.parent_id):
                missing.append((len(found), key, post))
                found.append(_NOTHING)
            else:
                found.append(text)
        if missing:
            known = await self.known([post for _, _, post in missing], parents=parents)
            for number, key, post in missing:
                text = msgspec.Raw(_encode(entities.status(post, self.site, known)))
                found[number] = text
                if self._most and not (parents and post.parent_id):
                    if len(held) >= self._most:  # the one that came first goes first
                        del held[next(iter(held))]
                    held[key] = text
        return found

    async def status(self, post: feed.Post) -> msgspec.Raw:
        """One post as JSON."""
        return (await self.statuses([post], parents=bool(post.parent_id)))[0]

    async def known(self, posts: Sequence[feed.Post], *, parents: bool = False) -> Known:
        """What posts name by id only, from memory or asked for together."""
        communities: dict[str, tuple[str, str]] = {}
        people: set[str] = set()
        answered: set[str] = set()
        for post in posts:
            for each in (post, post.reposted, post.quoted) if post.reposted_id or post.quoted_id else (post,):
                kind = each.audience.WhichOneof("kind")
                if kind == "community_id":
                    communities[each.audience.community_id] = ("", "")
                elif kind == "people":
                    people.update(each.audience.people.person_ids)
                if parents and each.parent_id:
                    answered.add(each.parent_id)
        for community_id in communities:
            communities[community_id] = await self.community(community_id)
        return Known(communities, await self.names(people) if people else {}, await self._writers(answered, posts) if answered else {})

    async def community(self, community_id: str) -> tuple[str, str]:
        """Handle and name of a community that whoever asks may see; empty ones where they may not."""
        held = self._communities.get(community_id)
        now = time.monotonic()
        if held is not None and held[0] > now:
            return held[1], held[2]
        try:
            found = await self.clients.feed.GetCommunity(feed.GetCommunityRequest(community_id=community_id))
        except RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return "", ""
        self._communities[community_id] = (now + NAME_SECONDS, found.handle, found.name)
        if len(self._communities) > NAMES:
            self._communities.popitem(last=False)
        return found.handle, found.name

    async def is_open(self, community_id: str) -> bool:
        """Whether a community is open to all employees; what was so is believed for a minute."""
        held = self._open.get(community_id)
        now = time.monotonic()
        if held is None or held[0] <= now:
            try:
                found = await self.clients.feed.GetCommunity(feed.GetCommunityRequest(community_id=community_id))
            except RpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
                return False
            held = self._open[community_id] = (now + NAME_SECONDS, found.kind == events.COMMUNITY_KIND_OPEN)
            if len(self._open) > NAMES:
                self._open.popitem(last=False)
        return held[1]

    async def names(self, people: Iterable[str]) -> Mapping[str, tuple[str, str]]:
        """Handle and name of people."""
        now = time.monotonic()
        found: dict[str, tuple[str, str]] = {}
        missing = []
        for person_id in people:
            held = self._people.get(person_id)
            if held is not None and held[0] > now:
                found[person_id] = held[1], held[2]
            else:
                missing.append(person_id)
        for person in await self.people(missing):
            found[person.person_id] = person.profile.handle, person.display_name
            self._people[person.person_id] = (now + NAME_SECONDS, person.profile.handle, person.display_name)
        while len(self._people) > NAMES:
            self._people.popitem(last=False)
        return found

    async def people(self, person_ids: Sequence[str]) -> list[identity.Person]:
        """People by id, in the order asked for; unknown ones are left out."""
        found: dict[str, identity.Person] = {}
        for start in range(0, len(person_ids), BATCH):
            request = identity.BatchGetPeopleRequest(person_ids=person_ids[start:start + BATCH])
            found |= {each.person_id: each for each in (await self.clients.identity.BatchGetPeople(request)).people}
        return [found[each] for each in person_ids if each in found]

    async def accounts(self, authors: Sequence[feed.Author]) -> list[Entity]:
        """People of a list as accounts, with what the directory tells of them."""
        people = {each.person_id: each for each in await self.people([each.person_id for each in authors])}
        return [
            entities.account_of_person(people[each.person_id], self.site) if each.person_id in people
            else entities.account_of_author(each, self.site)
            for each in authors
        ]

    async def _writers(self, post_ids: set[str], given: Sequence[feed.Post]) -> Mapping[str, str]:
        found = {each.post_id: each.author.person_id for each in given if each.post_id in post_ids}
        missing = [each for each in post_ids if each not in found]
        for start in range(0, len(missing), BATCH):
            request = feed.BatchGetPostsRequest(post_ids=missing[start:start + BATCH])
            found |= {each.post_id: each.author.person_id for each in (await self.clients.feed.BatchGetPosts(request)).posts}
        return found


_NOTHING: Final = msgspec.Raw(b"null")
