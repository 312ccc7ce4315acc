"""How an operation of the REST API is declared, called and answered; the OpenAPI document is made from the same declarations."""
from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from litestar import Request
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from ..http import AnyRequest, Asked, Gateway, asked, current_person, gateway
from ..parties import Clients, Principal
from ..problems import Refusal, refusal_of
from ..streaming import EventStream

PREFIX: Final = "/api/v1"
ID_CHARACTERS: Final = 36
PAGE_SIZE_MAX: Final = 200
ETAG_CHARACTERS: Final = 60

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])

_encode = msgspec.json.Encoder().encode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')
_PLACE = re.compile(r" - at `\$\.?(.*)`$")
_NAMED = re.compile(r"(?:unknown|required) field `([^`]*)`")


class Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request carries; a field that does not exist is refused, for it is most likely mistyped."""


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer carries; every field is always there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with more than a body: an entity tag for edits, an address, cookies."""

    body: Output | None
    etag: str = ""
    location: str = ""
    cookies: tuple[Cookie, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """A declared operation."""

    method: str
    path: str
    name: str
    summary: str
    description: str
    tag: str
    status: int
    query: type[Input] | None
    body: type[Input] | None
    answer: type[Output] | None
    public: bool
    is_edit: bool
    scope: str
    takes_file: bool
    streams: bool
    downloads: str
    handler: Callable[..., Awaitable[Any]]


OPERATIONS: Final[list[Operation]] = []


class Call:
    """One call of an operation."""

    __slots__ = ("_asked", "_gateway", "request")

    def __init__(self, request: AnyRequest) -> None:
        self.request = request
        self._asked = asked(request)
        self._gateway = gateway(request)

    @property
    def gateway(self) -> Gateway:
        """The running gateway."""
        return self._gateway

    @property
    def asked(self) -> Asked:
        """What the edge knows of the request."""
        return self._asked

    @property
    def clients(self) -> Clients:
        """The services, called as whoever called."""
        return self._gateway.clients

    @property
    def me(self) -> Principal:
        """Who called. Raises Refusal 401."""
        return current_person(self.request)

    @property
    def request_id(self) -> str:
        """What makes a repetition harmless; empty without an Idempotency-Key."""
        return self._asked.request_id

    def id(self, name: str) -> str:
        """An id of the path. Raises Refusal 404 for what cannot be one."""
        value = str(self.request.scope["path_params"][name])
        if len(value) != ID_CHARACTERS or not value.isascii():
            raise not_found()
        return value

    def text(self, name: str, most: int) -> str:
        """A text of the path. Raises Refusal 404 for one that is too long to name anything."""
        value = str(self.request.scope["path_params"][name])
        if not 1 <= len(value) <= most or "\0" in value:
            raise not_found()
        return value

    async def if_match(self, current: Callable[[], Awaitable[str]] | None = None) -> str:
        """The version that the edit was made on; empty where the request names none, or takes any (`*`).

        Where several are named, the one that is `current` counts. Raises Refusal 400, 412.
        """
        header = str(self.request.headers.get("if-match", "")).strip()
        if header in ("", "*"):
            return ""
        found = [(bool(weak), tag) for weak, tag in _TAG.findall(header)]
        if not found or _TAG.sub("", header).strip(" \t,"):
            raise Refusal(400, 'If-Match holds the entity tag of what was read, as in If-Match: "7".', field="If-Match")
        strong = [tag for weak, tag in found if not weak and len(tag) <= ETAG_CHARACTERS]
        if not strong:
            raise Refusal(412, "Somebody changed this since: read it again, and make the change on what is there now.", field="If-Match")
        if len(strong) > 1 and current is not None:
            now = await current()
            return now if now in strong else str(strong[0])
        return str(strong[0])

    def hide_answer(self) -> None:
        """The answer holds a secret: it is not kept to be repeated."""
        self._asked.hides_answer = True


def not_found() -> Refusal:
    """What does not exist, and what one may not know of, answer alike."""
    return Refusal(404, "There is nothing of that name, or you may not see it.")


def operation(
    method: str,
    path: str,
    summary: str,
    *,
    tag: str,
    status: int = 200,
    query: type[Input] | None = None,
    body: type[Input] | None = None,
    answer: type[Output] | None = None,
    public: bool = False,
    is_edit: bool = False,
    scope: str = "",
    takes_file: bool = False,
    streams: bool = False,
    downloads: str = "",
) -> Callable[[F], F]:
    """Declare an operation below /api/v1. The function is given the Call, then the query and the body where there are any.

    `public` operations need no sign-in; `is_edit` ones heed If-Match; `scope` is what an access token needs (by default read for
    GET, else write; administrators' operations need admin as well); `downloads` is the media type of an answer that is a file.
    """

    def declare(handler: F) -> F:
        needed = scope or ("read" if method == "GET" else "write")
        description = (handler.__doc__ or "").strip()
        OPERATIONS.append(
            Operation(
                method, PREFIX + path, handler.__name__, summary, description, tag, status, query, body, answer, public, is_edit, needed,
                takes_file, streams, downloads, handler,
            )
        )
        return handler

    return declare


def route_handlers() -> list[HTTPRouteHandler]:
    """The declared operations, for Litestar."""
    return [_route(each) for each in OPERATIONS]


def _route(declared: Operation) -> HTTPRouteHandler:
    handler, public, status = declared.handler, declared.public, declared.status
    query = _query_reader(declared.query) if declared.query is not None else None
    body = _body_reader(declared.body) if declared.body is not None else None
    takes_body = declared.method in ("POST", "PUT", "PATCH", "DELETE")

    async def called(request: Request[Any, Any, Any]) -> ASGIResponse:
        call = Call(request)
        if not public:
            call.me  # noqa: B018 - refuses whoever is not signed in
        arguments: list[Any] = [call]
        raw = request.scope["query_string"]
        if query is not None:
            arguments.append(query(raw))
        elif raw:
            _no_query(raw)
        if body is not None:
            arguments.append(body(request, call.asked.body))
        elif takes_body and call.asked.body.strip() not in (b"", b"{}"):
            raise Refusal(400, "This operation takes no body.")
        try:
            result = await handler(*arguments)
        except Refusal:
            raise
        except Exception as error:
            raise _translated(error, call) from error
        if isinstance(result, EventStream):
            return result
        return _response(result, status)

    path = re.sub(r"\{(\w+)\}", r"{\1:str}", declared.path)
    return HTTPRouteHandler(path, http_method=declared.method, status_code=200, name=declared.name, include_in_schema=False)(called)  # type: ignore[arg-type]


def _translated(error: Exception, call: Call) -> Refusal:
    """Services name the fields of their messages; here they are those of the request."""
    refusal = refusal_of(error, stale_is_precondition="if-match" in call.request.headers)
    refusal.field = refusal.field.removeprefix("profile.")
    if refusal.status == 412:
        refusal.field = "If-Match"
    return refusal


def _response(result: Any, status: int) -> ASGIResponse:
    headers: dict[str, str] = {}
    cookies: tuple[Cookie, ...] = ()
    if isinstance(result, Answer):
        if result.etag:
            headers["etag"] = f'"{result.etag}"'
        if result.location:
            headers["location"] = result.location
        cookies = result.cookies
        result = result.body
    if result is None:
        return ASGIResponse(status_code=204, headers=headers, cookies=cookies)
    return ASGIResponse(body=_encode(result), media_type="application/json", status_code=status, headers=headers, cookies=cookies)


def _query_reader(kind: type[Input]) -> Callable[[bytes], Input]:
    default: Input | None
    try:
        default = kind()
    except TypeError:
        default = None
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    lists = {name for name, field in fields.items() if _is_list(field.type)}

    def read(raw: bytes) -> Input:
        if not raw and default is not None:
            return default
        values: dict[str, Any] = {}
        for name, value in _pairs(raw):
            if name not in fields:
                known = ", ".join(fields)
                raise Refusal(400, f"There is no parameter {name[:60]!r}: there are {known}.", field=name[:60])
            if name in lists:
                values.setdefault(name, []).append(value)
            elif name in values:
                raise Refusal(400, "This parameter is given twice.", field=name)
            else:
                values[name] = value
        try:
            return msgspec.convert(values, kind, strict=False)
        except msgspec.ValidationError as error:
            raise _wrong(error) from None

    return read


def _is_list(kind: Any) -> bool:
    told = msgspec.inspect.type_info(kind)
    if isinstance(told, msgspec.inspect.Metadata):
        told = told.type
    return isinstance(told, msgspec.inspect.ListType)


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors="strict", max_num_fields=300)
    except UnicodeDecodeError:
        raise Refusal(400, "The query is not UTF-8.") from None
    except ValueError:
        raise Refusal(400, "The query has too many parameters.") from None


def _no_query(raw: bytes) -> None:
    for name, _ in _pairs(raw):
        raise Refusal(400, "This operation takes no parameters.", field=name[:60])


def _body_reader(kind: type[Input]) -> Callable[[AnyRequest, bytes], Input]:
    decode = msgspec.json.Decoder(kind).decode

    def read(request: AnyRequest, body: bytes) -> Input:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json" and not (media_type.startswith("application/") and media_type.endswith("+json")):
            raise Refusal(415, "Send JSON: Content-Type: application/json.", headers={"accept-post": "application/json"})
        try:
            value = decode(body)
        except msgspec.ValidationError as error:
            raise _wrong(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(400, f"The body is not JSON: {error}.") from None
        if b"\\u0000" in body:
            _refuse_nul(msgspec.json.decode(body), "")
        return value

    return read


def _refuse_nul(value: Any, place: str) -> None:
    """Raises Refusal for a text with a NUL character, which tables and logs take badly."""
    if isinstance(value, str):
        if "\0" in value:
            raise Refusal(400, "Text cannot contain the NUL character.", field=place)
    elif isinstance(value, dict):
        for name, each in value.items():
            _refuse_nul(name, place)
            _refuse_nul(each, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            _refuse_nul(each, f"{place}[{number}]")


def _wrong(error: msgspec.ValidationError) -> Refusal:
    text = str(error)
    place = _PLACE.search(text)
    field = place[1] if place else ""
    named = _NAMED.search(text)
    if named:
        field = f"{field}.{named[1]}" if field else named[1]
    detail = _PLACE.sub("", text)
    return Refusal(400, f"{detail}.", field=field[:200])


def time_of(stamp: Timestamp) -> datetime:
    """A time of a message."""
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


def stamp_of(moment: datetime, field: str) -> Timestamp:
    """A time for a message. Raises Refusal 400 for one without a zone or out of range."""
    if moment.tzinfo is None:
        raise Refusal(400, "A time needs its zone, as in 2026-03-01T09:00:00Z.", field=field)
    stamp = Timestamp()
    try:
        stamp.FromDatetime(moment.astimezone(UTC))
    except (OverflowError, ValueError):
        raise Refusal(400, "This time is out of range.", field=field) from None
    return stamp
