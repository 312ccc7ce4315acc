"""Whom a name means, whom the reader follows, and people by id: what several pages ask the services."""
from __future__ import annotations

import re
from typing import Any, Final

import grpc

from libs.rpc.errors import RpcError
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.identity.v1 import identity_service_pb2 as identity
from watercooler.search.v1 import search_service_pb2 as search

from ..http import AnyRequest, clients, current_person
from ..neighbours import spared

FOLLOWED_A_PAGE: Final = 200
NAMED_MAX: Final = 20


async def followed_if_known(request: AnyRequest, pages: int = 2) -> frozenset[str] | None:
    """Whom the reader follows, as `followed`; None where feed is away."""
    known: frozenset[str] | None = await spared(request, "feed", lambda: followed(request, pages))
    return known


async def followed(request: AnyRequest, pages: int = 2) -> frozenset[str]:
    """Whom the reader follows, the newest first, so many pages of 200 of them: a call each."""
    me = current_person(request)
    ids: set[str] = set()
    token = ""
    for _ in range(pages):
        wanted = feed.ListFollowedPeopleRequest(person_id=me.person_id, page_size=FOLLOWED_A_PAGE, page_token=token)
        try:
            found = await clients(request).feed.ListFollowedPeople(wanted)
        except RpcError as error:
            # A person added a moment ago may not have reached feed yet; they follow nobody.
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return frozenset()
            raise
        ids.update(each.person_id for each in found.people)
        token = found.next_page_token
        if not token:
            break
    return frozenset(ids)


async def resolve(request: AnyRequest, text: str) -> tuple[list[str], str]:
    """The people named in a text by handle, address or name, separated by commas; and the first name that means nobody, or several."""
    names = [each.strip() for each in re.split(r"[,;\n]", text) if each.strip()]
    ids: list[str] = []
    for name in names[:NAMED_MAX]:
        found = await find(request, name)
        if found is None:
            return ids, name[:60]
        ids.append(found)
    return (ids, "") if len(names) <= NAMED_MAX else (ids, names[NAMED_MAX][:60])


async def find(request: AnyRequest, name: str) -> str | None:
    """The one person of a handle, an e-mail address or a name."""
    services = clients(request)
    handle = name.removeprefix("@")
    asked_for = identity.FindPersonRequest(email=handle) if "@" in handle else identity.FindPersonRequest(handle=handle.lower())
    if handle and " " not in handle:
        try:
            return (await services.identity.FindPerson(asked_for)).person_id
        except RpcError as error:
            if error.code() not in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                raise
    if name.startswith("@"):
        return None
    hits = (await services.search.SuggestPeople(search.SuggestPeopleRequest(query=name[:100], page_size=5))).people
    same = [hit.id for hit in hits if hit.title.text.casefold() == name.casefold()]
    return same[0] if len(same) == 1 else None


async def whole(request: AnyRequest, ids: list[str]) -> list[identity.Person]:
    """People by id, at most 200."""
    if not ids:
        return []
    return list((await clients(request).identity.BatchGetPeople(identity.BatchGetPeopleRequest(person_ids=ids[:200]))).people)


async def optional(call: Any) -> Any:
    """The answer of a call, or None where what it is about does not exist for the reader."""
    try:
        return await call
    except RpcError as error:
        if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED):
            return None
        raise
