"""Filters by words, in Mastodon's newer form and in its older one, in which each word is a filter of its own."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

from watercooler.feed.v1 import reading_events_pb2 as reading_events
from watercooler.feed.v1 import reading_service_pb2 as reading

from . import entities
from .entities import Entity
from .errors import invalid, not_found
from .params import Params
from .router import Call, route

KEYWORDS = 200
TITLE_CHARACTERS = 200
SECONDS_MOST = 10 * 366 * 86_400


async def _all(call: Call) -> list[reading.Filter]:
    return list((await call.clients.reading.ListFilters(reading.ListFiltersRequest())).filters)


async def _get(call: Call, filter_id: str) -> reading.Filter:
    return await call.clients.reading.GetFilter(reading.GetFilterRequest(filter_id=filter_id))


async def _save(call: Call, changed: reading.Filter) -> reading.Filter:
    return await call.clients.reading.SaveFilter(reading.SaveFilterRequest(filter=changed, request_id=call.request_id))


def _read(call: Call, params: Params, changed: reading.Filter) -> None:
    """Take over what a request says of a filter as a whole. Raises Refusal 422."""
    if "context" in params:
        del changed.contexts[:]
        for each in dict.fromkeys(params.texts("context", 20)):
            if each not in entities.CONTEXTS:
                raise invalid(f"Context holds {', '.join(entities.CONTEXTS)}.", "context")
            changed.contexts.append(entities.CONTEXTS[each])
    if not changed.contexts:
        raise invalid("Context must supply at least one of " + ", ".join(entities.CONTEXTS), "context")
    if "expires_in" in params:
        seconds = params.whole("expires_in", 0, 0, SECONDS_MOST)
        if seconds:
            changed.expire_time.FromDatetime(call.gateway.context.now() + timedelta(seconds=seconds))
        else:
            changed.ClearField("expire_time")


# --- version 2 -------------------------------------------------------------------------------------------------------


@route("GET", "/api/v2/filters", "read:filters")
async def filters(call: Call) -> Any:
    """All of one's filters."""
    return [entities.filter_v2(each) for each in await _all(call)]


@route("POST", "/api/v2/filters", "write:filters")
async def create(call: Call) -> Any:
    """A new filter."""
    made = reading.Filter(action=reading_events.FILTER_ACTION_WARN)
    return await _write(call, made)


@route("GET", "/api/v2/filters/:id", "read:filters")
async def one(call: Call) -> Any:
    """A filter."""
    return entities.filter_v2(await _get(call, call.id()))


@route("PUT", "/api/v2/filters/:id", "write:filters")
async def update(call: Call) -> Any:
    """What is absent stays; words are changed, added, and taken out by `_destroy`."""
    return await _write(call, await _get(call, call.id()))


async def _write(call: Call, changed: reading.Filter) -> Entity:
    params = call.params
    if "title" in params:
        changed.title = params.text("title", most=TITLE_CHARACTERS).strip()
    if not changed.title:
        raise invalid("Title can't be blank", "title")
    if "filter_action" in params:
        action = params.text("filter_action", most=20)
        if action not in ("warn", "hide", "blur"):
            raise invalid("filter_action is warn or hide.", "filter_action")
        changed.action = reading_events.FILTER_ACTION_HIDE if action == "hide" else reading_events.FILTER_ACTION_WARN
    _read(call, params, changed)
    for each in params.inners("keywords_attributes", KEYWORDS):
        word_id = each.text("id", most=60)
        held = next((one for one in changed.keywords if word_id and one.keyword_id == word_id), None)
        if each.flag("_destroy"):
            if held is not None:
                changed.keywords.remove(held)
            continue
        if held is None:
            held = changed.keywords.add()
        if "keyword" in each:
            held.text = each.text("keyword", most=500)
        if "whole_word" in each:
            held.whole_word = each.flag("whole_word")
    return entities.filter_v2(await _save(call, changed))


@route("DELETE", "/api/v2/filters/:id", "write:filters")
async def delete(call: Call) -> Any:
    """With its words."""
    await call.clients.reading.DeleteFilter(reading.DeleteFilterRequest(filter_id=call.id(), request_id=call.request_id))
    return {}


@route("GET", "/api/v1/filters/:id/keywords", "read:filters")
@route("GET", "/api/v2/filters/:id/keywords", "read:filters")
async def keywords(call: Call) -> Any:
    """The words of a filter."""
    return [entities.keyword(each) for each in (await _get(call, call.id())).keywords]


@route("POST", "/api/v1/filters/:id/keywords", "write:filters")
@route("POST", "/api/v2/filters/:id/keywords", "write:filters")
async def add_keyword(call: Call) -> Any:
    """One more word."""
    held = await _get(call, call.id())
    word = call.params.text("keyword", most=500).strip()
    if not word:
        raise invalid("Keyword can't be blank", "keyword")
    known = {each.keyword_id for each in held.keywords}
    held.keywords.add(text=word, whole_word=call.params.flag("whole_word"))
    saved = await _save(call, held)
    return entities.keyword(next((each for each in saved.keywords if each.keyword_id not in known), saved.keywords[-1]))


async def _of_word(call: Call, word_id: str) -> tuple[reading.Filter, reading_events.FilterKeyword]:
    for each in await _all(call):
        for word in each.keywords:
            if word.keyword_id == word_id:
                return each, word
    raise not_found()


@route("GET", "/api/v1/filters/keywords/:id", "read:filters")
@route("GET", "/api/v2/filters/keywords/:id", "read:filters")
async def keyword(call: Call) -> Any:
    """A word."""
    return entities.keyword((await _of_word(call, call.id()))[1])


@route("PUT", "/api/v1/filters/keywords/:id", "write:filters")
@route("PUT", "/api/v2/filters/keywords/:id", "write:filters")
async def update_keyword(call: Call) -> Any:
    """Another word."""
    held, word = await _of_word(call, call.id())
    word.text = call.params.text("keyword", word.text, 500)
    word.whole_word = call.params.flag("whole_word", word.whole_word)
    return entities.keyword(next(each for each in (await _save(call, held)).keywords if each.keyword_id == word.keyword_id))


@route("DELETE", "/api/v1/filters/keywords/:id", "write:filters")
@route("DELETE", "/api/v2/filters/keywords/:id", "write:filters")
async def delete_keyword(call: Call) -> Any:
    """One word less; the filter goes with its last one."""
    held, word = await _of_word(call, call.id())
    await _without(call, held, word)
    return {}


async def _without(call: Call, held: reading.Filter, word: reading_events.FilterKeyword) -> None:
    if len(held.keywords) == 1:
        await call.clients.reading.DeleteFilter(reading.DeleteFilterRequest(filter_id=held.filter_id, request_id=call.request_id))
        return
    held.keywords.remove(word)
    await _save(call, held)


@route("GET", "/api/v2/filters/:id/statuses", "read:filters")
async def statuses(call: Call) -> Any:
    """Single posts are not filtered."""
    await _get(call, call.id())
    return []


@route("POST", "/api/v2/filters/:id/statuses", "write:filters")
async def add_status(call: Call) -> Any:
    """Single posts are not filtered."""
    await _get(call, call.id())
    raise invalid("Filters work by words here, not on single posts: mute the thread or the person.")


# --- version 1 -------------------------------------------------------------------------------------------------------


@route("GET", "/api/v1/filters", "read:filters")
async def filters_v1(call: Call) -> Any:
    """Every word as a filter."""
    return [entities.filter_v1(each, word) for each in await _all(call) for word in each.keywords]


@route("POST", "/api/v1/filters", "write:filters")
async def create_v1(call: Call) -> Any:
    """A filter of one word."""
    phrase = call.params.text("phrase", most=500).strip()
    if not phrase:
        raise invalid("Phrase can't be blank", "phrase")
    hides = call.params.flag("irreversible")
    made = reading.Filter(
        title=phrase[:TITLE_CHARACTERS],
        action=reading_events.FILTER_ACTION_HIDE if hides else reading_events.FILTER_ACTION_WARN,
    )
    made.keywords.add(text=phrase, whole_word=call.params.flag("whole_word"))
    _read(call, call.params, made)
    saved = await _save(call, made)
    return entities.filter_v1(saved, saved.keywords[0])


@route("GET", "/api/v1/filters/:id", "read:filters")
async def one_v1(call: Call) -> Any:
    """One word."""
    return entities.filter_v1(*await _of_word(call, call.id()))


@route("PUT", "/api/v1/filters/:id", "write:filters")
async def update_v1(call: Call) -> Any:
    """Another word; where and how long holds for the whole filter."""
    held, word = await _of_word(call, call.id())
    word.text = call.params.text("phrase", word.text, 500)
    word.whole_word = call.params.flag("whole_word", word.whole_word)
    if "irreversible" in call.params:
        hides = call.params.flag("irreversible")
        held.action = reading_events.FILTER_ACTION_HIDE if hides else reading_events.FILTER_ACTION_WARN
    _read(call, call.params, held)
    saved = await _save(call, held)
    return entities.filter_v1(saved, next(each for each in saved.keywords if each.keyword_id == word.keyword_id))


@route("DELETE", "/api/v1/filters/:id", "write:filters")
async def delete_v1(call: Call) -> Any:
    """One word less."""
    held, word = await _of_word(call, call.id())
    await _without(call, held, word)
    return {}
