"""Lists of people, as one keeps them for oneself."""
from __future__ import annotations

from typing import Any

from watercooler.feed.v1 import reading_service_pb2 as reading

from . import entities
from .errors import invalid
from .paging import links, page_of
from .router import Call, Reply, route

TITLE_CHARACTERS = 200
PEOPLE = 500


@route("GET", "/api/v1/lists", "read:lists")
async def lists(call: Call) -> Any:
    """All of one's lists."""
    found = await call.clients.reading.ListLists(reading.ListListsRequest())
    return [entities.people_list(each) for each in found.lists]


@route("POST", "/api/v1/lists", "write:lists")
async def create(call: Call) -> Any:
    """A new list; `replies_policy` changes nothing, for lists hold threads."""
    title = call.params.text("title", most=TITLE_CHARACTERS).strip()
    if not title:
        raise invalid("Title can't be blank", "title")
    return entities.people_list(
        await call.clients.reading.CreateList(
            reading.CreateListRequest(title=title, exclusive=call.params.flag("exclusive"), request_id=call.request_id)
        )
    )


@route("GET", "/api/v1/lists/:id", "read:lists")
async def one(call: Call) -> Any:
    """A list."""
    return entities.people_list(await call.clients.reading.GetList(reading.GetListRequest(list_id=call.id())))


@route("PUT", "/api/v1/lists/:id", "write:lists")
async def update(call: Call) -> Any:
    """Another title; what is absent stays."""
    held = await call.clients.reading.GetList(reading.GetListRequest(list_id=call.id()))
    title = call.params.text("title", held.title, TITLE_CHARACTERS).strip()
    if not title:
        raise invalid("Title can't be blank", "title")
    return entities.people_list(
        await call.clients.reading.UpdateList(
            reading.UpdateListRequest(
                list_id=held.list_id, title=title, exclusive=call.params.flag("exclusive", held.exclusive), request_id=call.request_id
            )
        )
    )


@route("DELETE", "/api/v1/lists/:id", "write:lists")
async def delete(call: Call) -> Any:
    """The people stay where they are."""
    await call.clients.reading.DeleteList(reading.DeleteListRequest(list_id=call.id(), request_id=call.request_id))
    return {}


@route("GET", "/api/v1/lists/:id/accounts", "read:lists")
async def people(call: Call) -> Reply:
    """The people on a list; `limit=0` asks for as many as a page holds."""
    page = page_of(call, 40, 80)
    size = 200 if call.params.text("limit", most=20) == "0" else page.limit
    found = await call.clients.reading.ListListPeople(
        reading.ListListPeopleRequest(list_id=call.id(), page_size=size, page_token=page.max_id)
    )
    return Reply(await call.shown.accounts(found.people), link=links(call, found.next_page_token))


@route("POST", "/api/v1/lists/:id/accounts", "write:lists")
async def add(call: Call) -> Any:
    """Put people on a list."""
    await call.clients.reading.AddListPeople(
        reading.AddListPeopleRequest(
            list_id=call.id(), person_ids=call.params.texts("account_ids", PEOPLE), request_id=call.request_id
        )
    )
    return {}


@route("DELETE", "/api/v1/lists/:id/accounts", "write:lists")
async def remove(call: Call) -> Any:
    """Take people off a list."""
    await call.clients.reading.RemoveListPeople(
        reading.RemoveListPeopleRequest(
            list_id=call.id(), person_ids=call.params.texts("account_ids", PEOPLE), request_id=call.request_id
        )
    )
    return {}
