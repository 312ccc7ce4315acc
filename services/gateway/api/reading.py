"""How one shapes what one reads: mutes, blocks, notes, lists, filters, markers; and the organisation's own emoji."""
# ruff: noqa: RUF012 - msgspec copies the empty lists and dicts that are defaults here.
from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import reading_events_pb2 as events
from watercooler.feed.v1 import reading_service_pb2 as reading

from . import models
from .models import BlobId, Id, Page
from .operations import Answer, Call, Input, Output, operation, stamp_of, time_of
from .posts import EncodedPostList, FeedQuery, feed_of

ContextName = Literal["home", "notifications", "public", "thread", "person"]
_CONTEXTS: dict[ContextName, events.FilterContext.ValueType] = {
    "home": events.FILTER_CONTEXT_HOME, "notifications": events.FILTER_CONTEXT_NOTIFICATIONS, "public": events.FILTER_CONTEXT_PUBLIC,
    "thread": events.FILTER_CONTEXT_THREAD, "person": events.FILTER_CONTEXT_PERSON,
}
_CONTEXT_NAMES = {number: name for name, number in _CONTEXTS.items()}


class Bond(Output, frozen=True, kw_only=True):
    """What one keeps from a person, and who follows whom. Nobody else learns of it."""

    person_id: str
    muted: bool
    notifications_muted: bool
    mute_expire_time: datetime | None
    blocked: bool
    note: str
    following: bool
    followed_by: bool


class BondList(Output, frozen=True, kw_only=True):
    """Several of them."""

    bonds: list[Bond]


def bond(message: reading.Bond) -> Bond:
    """A bond, from feed's message."""
    return Bond(
        person_id=message.person_id, muted=message.muted, notifications_muted=message.notifications_muted,
        mute_expire_time=time_of(message.mute_expire_time) if message.HasField("mute_expire_time") else None, blocked=message.blocked,
        note=message.note, following=message.following, followed_by=message.followed_by,
    )


def _people(found: feed.ListFollowsResponse) -> models.AuthorList:
    return models.AuthorList(people=[models.author(each) for each in found.people], next_page_token=found.next_page_token)


class BondsQuery(Input, frozen=True, kw_only=True):
    """Which people."""

    id: Annotated[list[Id], Meta(min_length=1, max_length=100, description="Repeat it for several.")]


@operation("GET", "/reading/bonds", "Read what one keeps from people", tag="reading", query=BondsQuery, answer=BondList)
async def batch_get_bonds(call: Call, query: BondsQuery) -> BondList:
    """Mutes, blocks, notes and follows. Unknown people are left out."""
    found = await call.clients.reading.BatchGetBonds(reading.BatchGetBondsRequest(person_ids=query.id))
    return BondList(bonds=[bond(each) for each in found.bonds])


class MuteInput(Input, frozen=True, kw_only=True):
    """How a person is muted."""

    notifications: Annotated[bool, Meta(description="Nothing they do notifies either.")] = True
    duration_seconds: Annotated[int, Meta(ge=0, le=31_622_400, description="0: until unmuted.")] = 0


@operation("GET", "/reading/mutes", "List muted people", tag="reading", query=Page, answer=models.AuthorList)
async def list_muted_people(call: Call, query: Page) -> models.AuthorList:
    """Muted last first."""
    return _people(
        await call.clients.reading.ListMutedPeople(
            reading.ListMutedPeopleRequest(page_size=query.page_size, page_token=query.page_token)
        )
    )


@operation("PUT", "/reading/mutes/{person_id}", "Mute a person", tag="reading", body=MuteInput, answer=Bond)
async def mute_person(call: Call, body: MuteInput) -> Bond:
    """Their posts are left out of timelines, for a time or until unmuted. Announcements reach one all the same."""
    request = reading.MutePersonRequest(
        person_id=call.id("person_id"), notifications=body.notifications, duration_seconds=body.duration_seconds, request_id=call.request_id
    )
    return bond(await call.clients.reading.MutePerson(request))


@operation("DELETE", "/reading/mutes/{person_id}", "Mute a person no longer", tag="reading", answer=Bond)
async def unmute_person(call: Call) -> Bond:
    """Their posts are back, those of meanwhile too."""
    request = reading.UnmutePersonRequest(person_id=call.id("person_id"), request_id=call.request_id)
    return bond(await call.clients.reading.UnmutePerson(request))


@operation("GET", "/reading/blocks", "List blocked people", tag="reading", query=Page, answer=models.AuthorList)
async def list_blocked_people(call: Call, query: Page) -> models.AuthorList:
    """Blocked last first."""
    return _people(
        await call.clients.reading.ListBlockedPeople(
            reading.ListBlockedPeopleRequest(page_size=query.page_size, page_token=query.page_token)
        )
    )


@operation("PUT", "/reading/blocks/{person_id}", "Block a person", tag="reading", answer=Bond)
async def block_person(call: Call) -> Bond:
    """Where the organisation allows it: both follows end; they cannot follow, answer, react to or notify one any more."""
    request = reading.BlockPersonRequest(person_id=call.id("person_id"), request_id=call.request_id)
    return bond(await call.clients.reading.BlockPerson(request))


@operation("DELETE", "/reading/blocks/{person_id}", "Block a person no longer", tag="reading", answer=Bond)
async def unblock_person(call: Call) -> Bond:
    """Follows do not come back by themselves."""
    request = reading.UnblockPersonRequest(person_id=call.id("person_id"), request_id=call.request_id)
    return bond(await call.clients.reading.UnblockPerson(request))


class NoteInput(Input, frozen=True, kw_only=True):
    """A remark."""

    note: Annotated[str, Meta(max_length=2_000, description="Empty takes it away.")]


@operation("PUT", "/reading/notes/{person_id}", "Keep a note on a person", tag="reading", body=NoteInput, answer=Bond)
async def set_note(call: Call, body: NoteInput) -> Bond:
    """Nobody else reads it."""
    request = reading.SetNoteRequest(person_id=call.id("person_id"), note=body.note, request_id=call.request_id)
    return bond(await call.clients.reading.SetNote(request))


# --- lists -----------------------------------------------------------------------------------------------------------


class PeopleList(Output, frozen=True, kw_only=True):
    """A list of people, to read what they write. With `exclusive` that stands in the list only, not in the home timeline."""

    id: str
    title: str
    exclusive: bool
    person_count: int


class PeopleLists(Output, frozen=True, kw_only=True):
    """All of one's lists."""

    lists: list[PeopleList]


def people_list(message: reading.PeopleList) -> PeopleList:
    """A list, from feed's message."""
    return PeopleList(id=message.list_id, title=message.title, exclusive=message.exclusive, person_count=message.person_count)


class ListInput(Input, frozen=True, kw_only=True):
    """What a list is."""

    title: Annotated[str, Meta(min_length=1, max_length=100)]
    exclusive: bool = False


class ListsQuery(Input, frozen=True, kw_only=True):
    """Which lists."""

    person_id: Annotated[Id | None, Meta(description="Only those that this person is on.")] = None


@operation("GET", "/reading/lists", "List one's lists", tag="reading", query=ListsQuery, answer=PeopleLists)
async def list_lists(call: Call, query: ListsQuery) -> PeopleLists:
    """In the order they were made; at most 50."""
    found = await call.clients.reading.ListLists(reading.ListListsRequest(person_id=query.person_id or ""))
    return PeopleLists(lists=[people_list(each) for each in found.lists])


@operation("POST", "/reading/lists", "Make a list", tag="reading", status=201, body=ListInput, answer=PeopleList)
async def create_list(call: Call, body: ListInput) -> Answer:
    """Without anybody at first."""
    made = await call.clients.reading.CreateList(
        reading.CreateListRequest(title=body.title, exclusive=body.exclusive, request_id=call.request_id)
    )
    return Answer(people_list(made), location=f"/api/v1/reading/lists/{made.list_id}")


@operation("GET", "/reading/lists/{list_id}", "Read a list", tag="reading", answer=PeopleList)
async def get_list(call: Call) -> PeopleList:
    """One's own only."""
    return people_list(await call.clients.reading.GetList(reading.GetListRequest(list_id=call.id("list_id"))))


@operation("PUT", "/reading/lists/{list_id}", "Change a list", tag="reading", body=ListInput, answer=PeopleList)
async def update_list(call: Call, body: ListInput) -> PeopleList:
    """Its title and whether it is exclusive."""
    request = reading.UpdateListRequest(
        list_id=call.id("list_id"), title=body.title, exclusive=body.exclusive, request_id=call.request_id
    )
    return people_list(await call.clients.reading.UpdateList(request))


@operation("DELETE", "/reading/lists/{list_id}", "Delete a list", tag="reading", status=204)
async def delete_list(call: Call) -> None:
    """Its people learn nothing of it."""
    await call.clients.reading.DeleteList(reading.DeleteListRequest(list_id=call.id("list_id"), request_id=call.request_id))


@operation("GET", "/reading/lists/{list_id}/people", "List who is on a list", tag="reading", query=Page, answer=models.AuthorList)
async def list_list_people(call: Call, query: Page) -> models.AuthorList:
    """Added last first."""
    return _people(await call.clients.reading.ListListPeople(
        reading.ListListPeopleRequest(list_id=call.id("list_id"), page_size=query.page_size, page_token=query.page_token)
    ))


@operation("PUT", "/reading/lists/{list_id}/people/{person_id}", "Put a person on a list", tag="reading", answer=PeopleList)
async def add_list_person(call: Call) -> PeopleList:
    """One need not follow them. At most 500 a list."""
    request = reading.AddListPeopleRequest(
        list_id=call.id("list_id"), person_ids=[call.id("person_id")], request_id=call.request_id
    )
    return people_list(await call.clients.reading.AddListPeople(request))


@operation("DELETE", "/reading/lists/{list_id}/people/{person_id}", "Take a person off a list", tag="reading", answer=PeopleList)
async def remove_list_person(call: Call) -> PeopleList:
    """They learn nothing of it."""
    request = reading.RemoveListPeopleRequest(
        list_id=call.id("list_id"), person_ids=[call.id("person_id")], request_id=call.request_id
    )
    return people_list(await call.clients.reading.RemoveListPeople(request))


@operation("GET", "/feeds/lists/{list_id}", "Read what the people on a list write", tag="feeds", query=FeedQuery, answer=models.PostList)
async def list_feed(call: Call, query: FeedQuery) -> EncodedPostList:
    """What one may see of it, newest first."""
    return await feed_of(call, feed.TIMELINE_KIND_LIST, query, call.id("list_id"))


# --- filters ---------------------------------------------------------------------------------------------------------


class Keyword(Output, frozen=True, kw_only=True):
    """A word or phrase."""

    id: str
    text: str
    whole_word: bool


class Filter(Output, frozen=True, kw_only=True):
    """Words by which posts are folded (`warn`) or left out (`hide`), and where. One's own posts and announcements are never touched."""

    id: str
    title: str
    keywords: list[Keyword]
    contexts: list[ContextName]
    action: Literal["warn", "hide"]
    expire_time: datetime | None


class FilterList(Output, frozen=True, kw_only=True):
    """All of one's filters, ended ones too."""

    filters: list[Filter]


def reading_filter(message: reading.Filter) -> Filter:
    """A filter, from feed's message."""
    return Filter(
        id=message.filter_id, title=message.title,
        keywords=[Keyword(id=each.keyword_id, text=each.text, whole_word=each.whole_word) for each in message.keywords],
        contexts=[_CONTEXT_NAMES[each] for each in message.contexts if each in _CONTEXT_NAMES],
        action="hide" if message.action == events.FILTER_ACTION_HIDE else "warn",
        expire_time=time_of(message.expire_time) if message.HasField("expire_time") else None,
    )


class KeywordInput(Input, frozen=True, kw_only=True):
    """A word or phrase; upper and lower case are the same."""

    text: Annotated[str, Meta(min_length=1, max_length=200)]
    whole_word: Annotated[bool, Meta(description="Not as a part of a longer word.")] = True


class FilterInput(Input, frozen=True, kw_only=True):
    """A whole filter."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    keywords: Annotated[list[KeywordInput], Meta(max_length=50)] = []
    contexts: Annotated[list[ContextName], Meta(min_length=1, max_length=5)]
    action: Literal["warn", "hide"] = "warn"
    expire_time: datetime | None = None


def _filter(body: FilterInput, filter_id: str = "") -> reading.Filter:
    asked = reading.Filter(
        filter_id=filter_id, title=body.title, contexts=[_CONTEXTS[each] for each in body.contexts],
        keywords=[events.FilterKeyword(text=each.text, whole_word=each.whole_word) for each in body.keywords],
        action=events.FILTER_ACTION_HIDE if body.action == "hide" else events.FILTER_ACTION_WARN,
    )
    if body.expire_time is not None:
        asked.expire_time.CopyFrom(stamp_of(body.expire_time, "expire_time"))
    return asked


@operation("GET", "/reading/filters", "List one's filters", tag="reading", answer=FilterList)
async def list_filters(call: Call) -> FilterList:
    """In the order they were made; at most 100."""
    found = await call.clients.reading.ListFilters(reading.ListFiltersRequest())
    return FilterList(filters=[reading_filter(each) for each in found.filters])


@operation("POST", "/reading/filters", "Make a filter", tag="reading", status=201, body=FilterInput, answer=Filter)
async def create_filter(call: Call, body: FilterInput) -> Answer:
    """It holds from the next page on."""
    made = await call.clients.reading.SaveFilter(reading.SaveFilterRequest(filter=_filter(body), request_id=call.request_id))
    return Answer(reading_filter(made), location=f"/api/v1/reading/filters/{made.filter_id}")


@operation("GET", "/reading/filters/{filter_id}", "Read a filter", tag="reading", answer=Filter)
async def get_filter(call: Call) -> Filter:
    """One's own only."""
    return reading_filter(await call.clients.reading.GetFilter(reading.GetFilterRequest(filter_id=call.id("filter_id"))))


@operation("PUT", "/reading/filters/{filter_id}", "Change a filter", tag="reading", body=FilterInput, answer=Filter)
async def update_filter(call: Call, body: FilterInput) -> Filter:
    """The whole of it, its keywords included."""
    request = reading.SaveFilterRequest(filter=_filter(body, call.id("filter_id")), request_id=call.request_id)
    return reading_filter(await call.clients.reading.SaveFilter(request))


@operation("DELETE", "/reading/filters/{filter_id}", "Delete a filter", tag="reading", status=204)
async def delete_filter(call: Call) -> None:
    """What it hid is shown again."""
    await call.clients.reading.DeleteFilter(reading.DeleteFilterRequest(filter_id=call.id("filter_id"), request_id=call.request_id))


# --- markers ---------------------------------------------------------------------------------------------------------


class Marker(Output, frozen=True, kw_only=True):
    """How far a timeline is read. `version` counts the moves."""

    timeline: str
    last_read_id: str
    version: int
    update_time: datetime


class MarkerList(Output, frozen=True, kw_only=True):
    """Those there are."""

    markers: list[Marker]


def _markers(found: reading.Markers) -> MarkerList:
    return MarkerList(markers=[
        Marker(timeline=each.timeline, last_read_id=each.last_read_id, version=each.version, update_time=time_of(each.update_time))
        for each in found.markers
    ])


@operation("GET", "/reading/markers", "Read how far one has read", tag="reading", answer=MarkerList)
async def get_markers(call: Call) -> MarkerList:
    """On all of one's devices."""
    return _markers(await call.clients.reading.GetMarkers(reading.GetMarkersRequest()))


class MarkerInput(Input, frozen=True, kw_only=True):
    """Up to where."""

    last_read_id: Annotated[str, Meta(min_length=1, max_length=64)]


@operation("PUT", "/reading/markers/{timeline}", "Say how far one has read", tag="reading", body=MarkerInput, answer=MarkerList)
async def move_marker(call: Call, body: MarkerInput) -> MarkerList:
    """Of `home` or `notifications`."""
    request = reading.MoveMarkerRequest(
        timeline=call.text("timeline", 20), last_read_id=body.last_read_id, request_id=call.request_id
    )
    return _markers(await call.clients.reading.MoveMarker(request))


# --- emoji -----------------------------------------------------------------------------------------------------------


class CustomEmoji(Output, frozen=True, kw_only=True):
    """A picture that stands for `:shortcode:` in texts."""

    shortcode: str
    category: str
    image_url: str


class EmojiList(Output, frozen=True, kw_only=True):
    """All of them."""

    emoji: list[CustomEmoji]


def _emoji(message: feed.CustomEmoji) -> CustomEmoji:
    return CustomEmoji(shortcode=message.shortcode, category=message.category, image_url=f"/media/{message.blob_id}")


class EmojiInput(Input, frozen=True, kw_only=True):
    """A picture uploaded before by POST /uploads: PNG, GIF or WebP, at most 256 KiB."""

    shortcode: Annotated[str, Meta(min_length=2, max_length=40, description="Letters a to z, digits and underscores.")]
    blob_id: BlobId
    category: Annotated[str, Meta(max_length=50)] = ""


@operation("GET", "/emoji", "List custom emoji", tag="reading", answer=EmojiList)
async def list_emoji(call: Call) -> EmojiList:
    """By category and shortcode."""
    found = await call.clients.reading.ListEmoji(reading.ListEmojiRequest())
    return EmojiList(emoji=[_emoji(each) for each in found.emojis])


@operation("POST", "/emoji", "Add a custom emoji", tag="reading", status=201, body=EmojiInput, answer=CustomEmoji)
async def add_emoji(call: Call, body: EmojiInput) -> CustomEmoji:
    """By administrators and communications."""
    request = reading.AddEmojiRequest(
        shortcode=body.shortcode, blob_id=body.blob_id, category=body.category, request_id=call.request_id
    )
    return _emoji(await call.clients.reading.AddEmoji(request))


@operation("DELETE", "/emoji/{shortcode}", "Remove a custom emoji", tag="reading", answer=CustomEmoji)
async def remove_emoji(call: Call) -> CustomEmoji:
    """By administrators and communications. Texts show the word again."""
    request = reading.RemoveEmojiRequest(shortcode=call.text("shortcode", 40), request_id=call.request_id)
    return _emoji(await call.clients.reading.RemoveEmoji(request))
