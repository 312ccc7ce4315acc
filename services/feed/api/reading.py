"""How the caller shapes what they read, and the organisation's own emoji."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, timedelta
from typing import Any

from libs.blobs.store import BlobNotFound
from libs.db.database import Transaction
from libs.eventstore.model import InvalidArgument, NotFound, PermissionDenied, Rejected, micros
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.text.ids import is_id, new_id, pair_id
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import reading_service_pb2 as api
from watercooler.feed.v1.reading_events_pb2 import FilterKeyword
from watercooler.feed.v1.reading_service_pb2_grpc import ReadingServiceServicer

from ..commands import FollowCommand, UnfollowPerson
from ..commands import reading as commands
from ..deciders import bond, emoji, filtering, follow, markers, people_list
from ..queries import emoji as emoji_queries
from ..queries import people as people_queries
from ..queries import reading as queries
from ..queries.policy import fetch_policy
from .base import NO_PERSON, Calls, page_size, person, position_of, token

BATCH_MAX = 200
BONDS = 10_000
LISTS = 50
FILTERS = 100
EMOJI = 1_000
EMOJI_BYTES = 256 * 1024
EMOJI_TYPES = ("image/png", "image/gif", "image/webp")
KEYWORD_ID_CHARACTERS = 64
NO_LIST = "you keep no such list"
NO_FILTER = "you have no such filter"


class ReadingApi(Calls, ReadingServiceServicer):
    """ReadingService."""

    # --- mutes, blocks, notes ---

    async def MutePerson(self, request: api.MutePersonRequest, context: Any) -> api.Bond:
        """Keep a person out of the caller's timelines, for a while or until unmuted."""
        caller = person()
        if not 0 <= request.duration_seconds <= bond.MUTE_SECONDS:
            raise InvalidArgument("a mute with an end lasts at most a year: 0 mutes until unmuted", "duration_seconds")
        now = self.now()
        command = commands.MutePerson(
            person_id=caller.person_id, muted_id=request.person_id, notifications=request.notifications, now=now,
            expire=now + timedelta(seconds=request.duration_seconds) if request.duration_seconds else None,
        )
        return await self._bind(caller, request.person_id, command, request.request_id)

    async def UnmutePerson(self, request: api.UnmutePersonRequest, context: Any) -> api.Bond:
        """See them again."""
        caller = person()
        command = commands.UnmutePerson(person_id=caller.person_id, muted_id=request.person_id)
        return await self._bind(caller, request.person_id, command, request.request_id)

    async def BlockPerson(self, request: api.BlockPersonRequest, context: Any) -> api.Bond:
        """Have nothing to do with a person: both follows end, and they no longer reach the caller."""
        caller = person()
        async with self.database.snapshot() as tx:
            allowed = (await fetch_policy(tx)).blocking_allowed
        command = commands.BlockPerson(
            person_id=caller.person_id, blocked_id=request.person_id, allowed=allowed, now=self.now()
        )
        await self._bind(caller, request.person_id, command, request.request_id)
        # After the block, which keeps new ones from beginning; a repeated call ends what a broken one left.
        for follower_id, followed_id in ((caller.person_id, request.person_id), (request.person_id, caller.person_id)):
            unfollow: FollowCommand = UnfollowPerson(follower_id=follower_id, person_id=followed_id)
            await self.handle(caller, follow, f"follow-{pair_id(follower_id, followed_id)}", unfollow)
        return await self._bond(caller, request.person_id)

    async def UnblockPerson(self, request: api.UnblockPersonRequest, context: Any) -> api.Bond:
        """End the block."""
        caller = person()
        command = commands.UnblockPerson(person_id=caller.person_id, blocked_id=request.person_id)
        return await self._bind(caller, request.person_id, command, request.request_id)

    async def SetNote(self, request: api.SetNoteRequest, context: Any) -> api.Bond:
        """Keep a remark that nobody else reads."""
        caller = person()
        command = commands.SetNote(person_id=caller.person_id, noted_id=request.person_id, note=request.note.strip())
        return await self._bind(caller, request.person_id, command, request.request_id)

    async def _bind(self, caller: Caller, person_id: str, command: commands.BondCommand, request_id: str) -> api.Bond:
        async with self.database.snapshot() as tx:
            row = await people_queries.fetch_person(tx, person_id)
            if row is None or row["erased"]:
                raise NotFound(NO_PERSON, "person_id")
            if await queries.count_bonds(tx, caller.person_id) >= BONDS and not await self._known(tx, caller, person_id):
                raise Rejected(f"mutes, blocks and notes are kept for at most {BONDS:,} people: take some back first")
        await self.handle(caller, bond, f"bond-{pair_id(caller.person_id, person_id)}", command, request_id)
        return await self._bond(caller, person_id)

    async def _known(self, tx: Transaction, caller: Caller, person_id: str) -> bool:
        held = (await queries.fetch_bonds(tx, caller.person_id, [person_id], 0))[person_id]
        return held.muted or held.blocked or bool(held.note)

    async def _bond(self, caller: Caller, person_id: str) -> api.Bond:
        async with self.database.snapshot() as tx:
            return (await queries.fetch_bonds(tx, caller.person_id, [person_id], micros(self.now())))[person_id]

    async def BatchGetBonds(self, request: api.BatchGetBondsRequest, context: Any) -> api.BatchGetBondsResponse:
        """What is between the caller and up to 200 people, in the order asked for; unknown people are left out."""
        caller = auth.caller()
        if len(request.person_ids) > BATCH_MAX:
            raise InvalidArgument(f"at most {BATCH_MAX} people at a time", "person_ids")
        wanted = list(dict.fromkeys(request.person_ids))
        async with self.database.snapshot() as tx:
            known = await queries.known(tx, wanted)
            found = await queries.fetch_bonds(tx, caller.person_id, [each for each in wanted if each in known], micros(self.now()))
        return api.BatchGetBondsResponse(bonds=list(found.values()))

    async def ListMutedPeople(self, request: api.ListMutedPeopleRequest, context: Any) -> feed.ListFollowsResponse:
        """Whom the caller mutes, the newest first."""
        now = micros(self.now())
        return await self._people(request, lambda tx, me, before, limit: queries.list_muted(tx, me, now, before, limit))

    async def ListBlockedPeople(self, request: api.ListBlockedPeopleRequest, context: Any) -> feed.ListFollowsResponse:
        """Whom the caller blocks, the newest first."""
        return await self._people(request, queries.list_blocked)

    async def _people(
        self, request: api.ListMutedPeopleRequest | api.ListBlockedPeopleRequest | api.ListListPeopleRequest,
        query: Callable[[Transaction, str, int, int], Awaitable[list[tuple[int, feed.Author]]]], of: str = "",
    ) -> feed.ListFollowsResponse:
        caller = auth.caller()
        size = page_size(request.page_size)
        before = position_of(request.page_token, 1 << 62)
        async with self.database.snapshot() as tx:
            if of and not await queries.list_lists(tx, caller.person_id, list_id=of):
                raise NotFound(NO_LIST, "list_id")
            rows = await query(tx, of or caller.person_id, before, size + 1)
        return feed.ListFollowsResponse(
            people=[author for _, author in rows[:size]], next_page_token=token(rows[size - 1][0]) if len(rows) > size else ""
        )

    # --- lists ---

    async def CreateList(self, request: api.CreateListRequest, context: Any) -> api.PeopleList:
        """Begin a list."""
        caller = person()
        async with self.database.snapshot() as tx:
            if len(await queries.list_lists(tx, caller.person_id)) >= LISTS:
                raise Rejected(f"a person keeps at most {LISTS} lists: delete one first")
        command = commands.CreateList(
            list_id=new_id(), owner_id=caller.person_id, title=request.title.strip(), exclusive=request.exclusive, now=self.now()
        )
        done = await self.handle(caller, people_list, f"list-{command.list_id}", command, request.request_id)
        return await self._list(caller, done.stream.removeprefix("list-"))

    async def UpdateList(self, request: api.UpdateListRequest, context: Any) -> api.PeopleList:
        """Give the list another title, or another place."""
        caller = person()
        command = commands.ChangeList(
            list_id=request.list_id, owner_id=caller.person_id, title=request.title.strip(), exclusive=request.exclusive
        )
        return await self._change(caller, command, request.request_id)

    async def DeleteList(self, request: api.DeleteListRequest, context: Any) -> api.DeleteListResponse:
        """Give the list up."""
        caller = person()
        self._check_id(request.list_id, NO_LIST, "list_id")
        command = commands.DeleteList(list_id=request.list_id, owner_id=caller.person_id)
        await self.handle(caller, people_list, f"list-{request.list_id}", command, request.request_id)
        return api.DeleteListResponse()

    async def GetList(self, request: api.GetListRequest, context: Any) -> api.PeopleList:
        """One of the caller's lists."""
        return await self._list(auth.caller(), request.list_id)

    async def ListLists(self, request: api.ListListsRequest, context: Any) -> api.ListListsResponse:
        """The caller's lists in the order they were made, or those that a person is on."""
        async with self.database.snapshot() as tx:
            return api.ListListsResponse(lists=await queries.list_lists(tx, auth.caller().person_id, request.person_id))

    async def AddListPeople(self, request: api.AddListPeopleRequest, context: Any) -> api.PeopleList:
        """Put up to 100 people on the list."""
        caller = person()
        async with self.database.snapshot() as tx:
            wanted = list(dict.fromkeys(request.person_ids))[:people_list.PEOPLE_AT_ONCE + 1]
            if len(await people_queries.present(tx, wanted)) < len(wanted):
                raise InvalidArgument("somebody named is not (or no longer) here: leave them out", "person_ids")
        command = commands.AddListPeople(
            list_id=request.list_id, owner_id=caller.person_id, person_ids=tuple(request.person_ids)
        )
        return await self._change(caller, command, request.request_id)

    async def RemoveListPeople(self, request: api.RemoveListPeopleRequest, context: Any) -> api.PeopleList:
        """Take up to 100 people off the list."""
        caller = person()
        command = commands.RemoveListPeople(
            list_id=request.list_id, owner_id=caller.person_id, person_ids=tuple(request.person_ids)
        )
        return await self._change(caller, command, request.request_id)

    async def ListListPeople(self, request: api.ListListPeopleRequest, context: Any) -> feed.ListFollowsResponse:
        """Who is on the list, the newest first."""
        self._check_id(request.list_id, NO_LIST, "list_id")
        return await self._people(request, queries.list_people, of=request.list_id)

    async def _change(
        self, caller: Caller, command: commands.ChangeList | commands.AddListPeople | commands.RemoveListPeople, request_id: str
    ) -> api.PeopleList:
        self._check_id(command.list_id, NO_LIST, "list_id")
        await self.handle(caller, people_list, f"list-{command.list_id}", command, request_id)
        return await self._list(caller, command.list_id)

    async def _list(self, caller: Caller, list_id: str) -> api.PeopleList:
        self._check_id(list_id, NO_LIST, "list_id")
        async with self.database.snapshot() as tx:
            found = await queries.list_lists(tx, caller.person_id, list_id=list_id)
        if not found:
            raise NotFound(NO_LIST, "list_id")
        return found[0]

    @staticmethod
    def _check_id(text: str, reason: str, field: str) -> None:
        if not is_id(text):
            raise NotFound(reason, field)

    # --- filters ---

    async def SaveFilter(self, request: api.SaveFilterRequest, context: Any) -> api.Filter:
        """Make a filter, or put this in place of the one with its id."""
        caller = person()
        asked = request.filter
        async with self.database.snapshot() as tx:
            held = await queries.list_filters(tx, caller.person_id)
        if asked.filter_id:
            if asked.filter_id not in {each.filter_id for each in held}:
                raise NotFound(NO_FILTER, "filter_id")
        elif len(held) >= FILTERS:
            raise Rejected(f"a person has at most {FILTERS} filters: delete one first")
        if any(len(keyword.keyword_id) > KEYWORD_ID_CHARACTERS for keyword in asked.keywords):
            raise InvalidArgument(f"a keyword_id has at most {KEYWORD_ID_CHARACTERS} characters: leave it out for a new one", "keywords")
        if not -62_135_596_800 <= asked.expire_time.seconds <= 253_402_300_799:
            raise InvalidArgument("a filter ends in the years 1 to 9999", "expire_time")
        command = commands.SaveFilter(
            filter_id=asked.filter_id or new_id(), owner_id=caller.person_id, title=asked.title.strip(),
            keywords=tuple(
                FilterKeyword(keyword_id=keyword.keyword_id or new_id(), text=keyword.text.strip(), whole_word=keyword.whole_word)
                for keyword in asked.keywords
            ),
            contexts=tuple(asked.contexts), action=asked.action, now=self.now(),
            expire=asked.expire_time.ToDatetime(UTC) if asked.HasField("expire_time") else None,
        )
        done = await self.handle(caller, filtering, f"filter-{command.filter_id}", command, request.request_id)
        return await self._filter(caller, done.stream.removeprefix("filter-"))

    async def DeleteFilter(self, request: api.DeleteFilterRequest, context: Any) -> api.DeleteFilterResponse:
        """Filter by it no more."""
        caller = person()
        self._check_id(request.filter_id, NO_FILTER, "filter_id")
        command = commands.DeleteFilter(filter_id=request.filter_id, owner_id=caller.person_id)
        await self.handle(caller, filtering, f"filter-{request.filter_id}", command, request.request_id)
        return api.DeleteFilterResponse()

    async def GetFilter(self, request: api.GetFilterRequest, context: Any) -> api.Filter:
        """One of the caller's filters."""
        return await self._filter(auth.caller(), request.filter_id)

    async def _filter(self, caller: Caller, filter_id: str) -> api.Filter:
        self._check_id(filter_id, NO_FILTER, "filter_id")
        async with self.database.snapshot() as tx:
            found = await queries.list_filters(tx, caller.person_id, filter_id)
        if not found:
            raise NotFound(NO_FILTER, "filter_id")
        return found[0]

    async def ListFilters(self, request: api.ListFiltersRequest, context: Any) -> api.ListFiltersResponse:
        """The caller's filters in the order they were made; those that have ended too, until they are deleted."""
        async with self.database.snapshot() as tx:
            return api.ListFiltersResponse(filters=await queries.list_filters(tx, auth.caller().person_id))

    # --- markers ---

    async def GetMarkers(self, request: api.GetMarkersRequest, context: Any) -> api.Markers:
        """How far the caller has read."""
        async with self.database.snapshot() as tx:
            return api.Markers(markers=await queries.fetch_markers(tx, auth.caller().person_id))

    async def MoveMarker(self, request: api.MoveMarkerRequest, context: Any) -> api.Markers:
        """Say how far a timeline is read."""
        caller = person()
        command = commands.MoveMarker(
            person_id=caller.person_id, timeline=request.timeline, last_read_id=request.last_read_id, now=self.now()
        )
        await self.handle(caller, markers, f"markers-{caller.person_id}", command, request.request_id)
        async with self.database.snapshot() as tx:
            return api.Markers(markers=await queries.fetch_markers(tx, caller.person_id))

    # --- emoji ---

    async def AddEmoji(self, request: api.AddEmojiRequest, context: Any) -> feed.CustomEmoji:
        """Let an uploaded picture stand for a word between colons."""
        caller = _keeper()
        try:
            ref = await self.context.blobs.head(request.blob_id)
        except BlobNotFound:
            raise InvalidArgument("there is no such upload: upload the picture first", "blob_id") from None
        if ref.media_type not in EMOJI_TYPES or ref.size > EMOJI_BYTES:
            raise InvalidArgument(f"an emoji is a PNG, GIF or WebP picture of at most {EMOJI_BYTES // 1024} KiB", "blob_id")
        async with self.database.snapshot() as tx:
            if await emoji_queries.count_emoji(tx) >= EMOJI:
                raise Rejected(f"there are at most {EMOJI:,} custom emoji: remove some first")
        shortcode = request.shortcode.strip().strip(":").lower()
        command = commands.AddEmoji(
            shortcode=shortcode, blob_id=request.blob_id, category=request.category.strip(), adder_id=caller.person_id, now=self.now()
        )
        await self.handle(caller, emoji, f"emoji-{shortcode[:64]}", command, request.request_id)
        return feed.CustomEmoji(shortcode=shortcode, blob_id=command.blob_id, category=command.category)

    async def RemoveEmoji(self, request: api.RemoveEmojiRequest, context: Any) -> feed.CustomEmoji:
        """Let the word be a word again, in every text."""
        caller = _keeper()
        shortcode = request.shortcode.strip().strip(":").lower()
        async with self.database.snapshot() as tx:
            held = (await emoji_queries.fetch_emoji(tx, [shortcode])).get(shortcode)
        if held is None:
            raise NotFound("there is no such emoji", "shortcode")
        await self.handle(caller, emoji, f"emoji-{shortcode}", commands.RemoveEmoji(shortcode=shortcode), request.request_id)
        return held

    async def ListEmoji(self, request: api.ListEmojiRequest, context: Any) -> api.ListEmojiResponse:
        """Every custom emoji, by category and shortcode."""
        auth.caller()
        async with self.database.snapshot() as tx:
            return api.ListEmojiResponse(emojis=await emoji_queries.list_emoji(tx))


def _keeper() -> Caller:
    caller = person()
    if not (caller.is_administrator or "communications" in caller.roles):
        raise PermissionDenied("custom emoji are kept by administrators and communications: send one of them the picture")
    return caller
