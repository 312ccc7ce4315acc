"""What every page handler needs: the declaration of a page, the shell around it, forms read and refused, and answers."""
from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import grpc
import msgspec
from litestar import Response
from litestar.datastructures import Cookie, UploadFile
from litestar.handlers import HTTPRouteHandler

from libs.rpc import auth
from libs.rpc.errors import RETRY_SECONDS, RpcError
from watercooler.feed.v1 import events_pb2 as feed_events
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.identity.v1 import identity_service_pb2 as identity

from .. import http
from ..http import AnyRequest, Gateway, asked, clients, current_person, gateway, principal
from ..navigation import navigation
from ..neighbours import spared
from ..parties import Clients, Principal, is_away
from ..problems import Refusal, refusal_of
from ..rendering import LOCALES, negotiate, translations
from ..site import Rail
from ..views import Form, Fragment, Notice, Page, Shell, Viewer
from . import convert

Handler = Callable[[AnyRequest], Awaitable[Response[bytes]]]

LOOK_COOKIE: Final = "watercooler_look"
LOOK_SECONDS: Final = 400 * 86_400
RAIL_COMMUNITIES: Final = 100
# Live events from so far back are told again: a page may show a little less than the log holds.
LIVE_OVERLAP: Final = 3
# What is typed is never cut before it is refused; the edge holds a whole form to its limit.
TEXT_CHARACTERS: Final = 1_000_000
TOKEN_CHARACTERS: Final = 1_000
COMPRESS_FROM_BYTES: Final = 2_000
GZIP_LEVEL: Final = 4

route_handlers: list[HTTPRouteHandler] = []


# --- declaring a page -------------------------------------------------------------------------------------------------


def page(method: str, *paths: str, is_open: bool = False) -> Callable[[Handler], Handler]:
    """Declare the handler of a page; all but the open ones need a sign-in, and everything waits for the set-up."""

    def declare(handler: Handler) -> Handler:
        async def answer(request: AnyRequest) -> Response[bytes]:
            if paths[0] != "/setup" and await organization_name(request) is None:
                return http.redirect(request, "/setup")
            if not is_open:
                current_person(request)
            return await handler(request)

        answer.__doc__ = handler.__doc__
        answer.__name__ = handler.__name__
        route_handlers.append(HTTPRouteHandler(list(paths), http_method=method, include_in_schema=False)(answer))  # type: ignore[arg-type]
        return handler

    return declare


def get(*paths: str, is_open: bool = False) -> Callable[[Handler], Handler]:
    """Declare a page that shows something."""
    return page("GET", *paths, is_open=is_open)


def post(*paths: str, is_open: bool = False) -> Callable[[Handler], Handler]:
    """Declare what takes a form."""
    return page("POST", *paths, is_open=is_open)


async def organization_name(request: AnyRequest) -> str | None:
    """The organisation's name; None until there is one."""
    site = gateway(request).site
    if site.organization_name is None:
        try:
            found = await clients(request).identity.GetOrganization(identity.GetOrganizationRequest())
        except RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            if site.organization_name_last and is_away(error):
                site.set_organization_name(site.organization_name_last)
                return site.organization_name_last
            raise
        site.set_organization_name(found.name)
    return site.organization_name or site.organization_name_last


# --- the shell --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """What a device shows: language, brightness, contrast."""

    locale: str = ""
    theme: str = "system"
    contrast: str = "system"


def look(request: AnyRequest) -> Look:
    """What this browser was told to look like."""
    return _look(asked(request).cookies.get(LOOK_COOKIE, ""))


def _look(value: str) -> Look:
    found = dict(parse_qsl(value[:200]))
    return Look(
        found["locale"] if found.get("locale") in LOCALES else "",
        found["theme"] if found.get("theme") in ("light", "dark") else "system",
        "more" if found.get("contrast") == "more" else "system",
    )


def look_cookie(request: AnyRequest, chosen: Look) -> Cookie:
    """The cookie that keeps it."""
    value = urlencode({"locale": chosen.locale, "theme": chosen.theme, "contrast": chosen.contrast})
    return http.cookie(request, LOOK_COOKIE, value, LOOK_SECONDS)


def path_of(request: AnyRequest) -> str:
    """Path and query of this request."""
    query = request.scope.get("query_string", b"").decode("latin-1")
    path = quote(request.scope["path"], safe="/@:~")
    return f"{path}?{query}" if query else path


def return_path(request: AnyRequest, form: Posted, default: str = "/") -> str:
    """Where a form came from and comes back to."""
    return http.return_to(form.text("return_to"), default)


def viewer_of(found: Principal, chosen: Look, accept_language: str) -> Viewer:
    """The person signed in, as the shell shows them."""
    return Viewer(
        person=convert.person(found.person),
        is_administrator=found.is_administrator,
        is_guest=found.is_guest,
        locale=chosen.locale or negotiate(accept_language),
        time_zone=found.person.profile.time_zone or "UTC",
        theme=chosen.theme,  # type: ignore[arg-type]
        contrast=chosen.contrast,  # type: ignore[arg-type]
    )


async def shell(request: AnyRequest, *, live: bool = False) -> Shell:
    """What surrounds the page: two calls for who is signed in (their communities, their unread count), none for others.

    With `live` the position that live updates have reached is noted before anything is fetched, so that what happens meanwhile arrives.
    Where feed is away, the rail shows what it did before.
    """
    parts = gateway(request)
    found = principal(request)
    chosen = look(request)
    accepted = request.headers.get("accept-language", "")
    position = -1
    if live and found is not None and parts.live.consumer.position is not None:
        position = max(0, parts.live.consumer.position - LIVE_OVERLAP)
    rail: Rail | None = None
    if found is not None:
        before = parts.site.rail(found.person_id) or Rail([], 0)
        rail = await spared(request, "feed", lambda: read_rail(parts, clients(request), found), before)
    said = http.flash(request)
    notices = [Notice(text=said[1], kind=said[0], undo_url=said[2])] if said else []  # type: ignore[arg-type]
    return Shell(
        organization_name=await organization_name(request) or "",
        viewer=viewer_of(found, chosen, accepted) if found else None,
        csrf_token=http.csrf_token(request),
        path=path_of(request),
        locale=chosen.locale or negotiate(accepted),
        nav=navigation(
            unread_count=rail.unread_count, is_guest=found.is_guest, cases=rail.cases, announcements=rail.announcements
        ) if found and rail else [],
        communities=rail.communities if rail else [],
        unread_count=rail.unread_count if rail else 0,
        notices=notices,
        live_position=position,
        now=parts.context.now(),
    )


async def read_rail(parts: Gateway, services: Clients, found: Principal) -> Rail:
    """What the rail shows of a person; the one before where feed does not know them yet."""
    request = feed.ListCommunitiesRequest(member_id=found.person_id, page_size=RAIL_COMMUNITIES)
    try:
        mine, unread = await asyncio.gather(
            services.feed.ListCommunities(request), services.feed.CountUnreadNotifications(feed.CountUnreadNotificationsRequest())
        )
    except RpcError as error:
        if is_away(error):
            raise
        return parts.site.rail(found.person_id) or Rail([], 0)
    communities = [convert.community_ref(each) for each in mine.communities if each.my_role != feed_events.MEMBER_ROLE_UNSPECIFIED]
    cases = -1
    if found.is_administrator or any(each.my_role >= feed_events.MEMBER_ROLE_MODERATOR for each in mine.communities):
        cases = unread.waiting_case_count
    rail = Rail(communities, unread.unread_count, cases, unread.pending_announcement_count)
    parts.site.set_rail(found.person_id, rail)
    return rail


def fragment_shell(request: AnyRequest) -> Shell:
    """The shell of a fragment: who reads, language, zone and token, without a call to anybody."""
    parts = gateway(request)
    found = principal(request)
    chosen = look(request)
    accepted = request.headers.get("accept-language", "")
    return Shell(
        organization_name=parts.site.organization_name_last,
        viewer=viewer_of(found, chosen, accepted) if found else None,
        csrf_token=http.csrf_token(request),
        path=_current_path(request),
        locale=chosen.locale or negotiate(accepted),
        now=parts.context.now(),
    )


def _current_path(request: AnyRequest) -> str:
    """The page that asks for a fragment, so that the forms in it come back there."""
    parts = urlsplit(request.headers.get("hx-current-url", "")[:2_000])
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return http.return_to(path, "/")


def wants_fragment(request: AnyRequest) -> bool:
    """Whether htmx asks, for a part of the page rather than the page."""
    return "hx-request" in request.headers


def is_on(request: AnyRequest, prefix: str) -> bool:
    """Whether the page that asks for a fragment is at a path that begins so."""
    return _current_path(request).startswith(prefix)


# --- answers ----------------------------------------------------------------------------------------------------------


def render(request: AnyRequest, view: Page | Fragment, status: int = 200, *, cookies: list[Cookie] | None = None) -> Response[bytes]:
    """The HTML of a page or fragment. What was to be said once has been said with a page that shows it."""
    set_cookies = list(cookies or [])
    if isinstance(view, Page) and view.shell.notices and http.FLASH_COOKIE in asked(request).cookies:
        set_cookies.append(http.clear_flash(request))
    body = gateway(request).site.renderer.render(view).encode()
    headers = {"vary": "HX-Request, Accept-Encoding"}
    if status == 503:
        headers["retry-after"] = str(RETRY_SECONDS)
    # Compressed, a page tells by its size a little of what is in it; cookies with SameSite keep other sites from asking for pages in
    # somebody's name, so nobody else can measure it.
    if len(body) > COMPRESS_FROM_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, GZIP_LEVEL, mtime=0)
        headers["content-encoding"] = "gzip"
    return Response(body, status_code=status, media_type="text/html", cookies=set_cookies, headers=headers)


def nothing(request: AnyRequest) -> Response[bytes]:
    """Done, and there is nothing to show in its place."""
    return Response(b"", status_code=204, media_type="text/html")


def go(request: AnyRequest, path: str, notice: str = "", **options: Any) -> Response[bytes]:
    """Go on to another page after a form; a script that sent it is told to do so by itself."""
    return http.redirect(request, path, notice=notice, **options)


# --- forms ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Posted:
    """The fields of a form."""

    values: Mapping[str, list[Any]]

    def text(self, name: str, characters: int = TEXT_CHARACTERS) -> str:
        """A field's text without blanks around it; empty where there is none."""
        return self.raw(name, characters).strip()

    def raw(self, name: str, characters: int = TEXT_CHARACTERS) -> str:
        """A field's text as typed, with \\n at line ends. Past the limit it is cut one character later, so that its service refuses it."""
        for value in self.values.get(name, ()):
            if isinstance(value, str):
                return value[: characters + 1].replace("\r\n", "\n").replace("\0", "")
        return ""

    def texts(self, name: str) -> list[str]:
        """Every value of a field that may be given several times, at most 100."""
        return [value.replace("\0", "") for value in self.values.get(name, ())[:100] if isinstance(value, str)]

    def file(self, name: str) -> UploadFile | None:
        """An uploaded file; None where none was chosen."""
        for value in self.values.get(name, ()):
            if isinstance(value, UploadFile) and value.filename:
                return value
        return None

    def kept(self, *names: str) -> dict[str, str]:
        """The fields to show again; never name one with a password."""
        return {name: self.raw(name) for name in names if name in self.values}


async def posted(request: AnyRequest) -> Posted:
    """The form that was sent."""
    form = await request.form()
    return Posted({key: form.getall(key) for key in form})


def sentence(text: str) -> str:
    """A service's reason as a sentence."""
    text = text.strip()
    if not text:
        return text
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?…" else ".")


@dataclass(frozen=True, slots=True)
class Problems:
    """Why a form was refused: the status to answer, and the sentences at the fields or for the whole."""

    status: int
    errors: dict[str, str] = field(default_factory=dict)
    message: str = ""
    code: str = ""
    retry_seconds: int = 0

    def form(self, values: dict[str, str]) -> Form:
        """The form again, with what was typed."""
        return Form(values=values, errors=self.errors, message=self.message)


def problems(error: Exception, fields: Mapping[str, str] | None = None) -> Problems:
    """What a refused call means for the form that caused it; `fields` gives the form's names for those of the service.

    What is not the sender's fault is raised again where nothing typed could be lost by it; here it is told with the text kept.
    """
    refusal = refusal_of(error)
    if refusal.status == 404 and not refusal.field:
        raise refusal
    name = refusal.field.removeprefix("profile.")
    known = fields if fields is not None else {}
    at = known.get(refusal.field, known.get(name, ""))
    # A form that is shown again was not processed: 422 is what htmx puts in its place.
    status = 422 if refusal.status in (400, 401, 403, 404, 409, 413) else refusal.status
    text = sentence(refusal.detail)
    return Problems(status, {at: text} if at else {}, "" if at else text, refusal.code, refusal.retry_seconds)


def bad(at: str, text: str) -> Problems:
    """A form refused by the page itself."""
    return Problems(422, {at: text} if at else {}, "" if at else text)


def conflict(request: AnyRequest, typed: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """What somebody else saved while this form was written, said at each field that differs."""
    say = translated(request)
    found: dict[str, str] = {}
    for name, value in typed.items():
        theirs = now.get(name, value)
        if theirs.split() != value.split():
            found[name] = say("Saved meanwhile: %(text)s") % {"text": theirs} if theirs else say("Emptied meanwhile.")
    return found


def as_gateway(request: AnyRequest) -> Any:
    """Calls made inside come from the gateway itself."""
    return auth.acting(gateway(request).context.tokens.sign(auth.Caller(service="gateway")))


def path_id(request: AnyRequest, name: str) -> str:
    """An id from the address; raises Refusal 404 for what cannot be one."""
    value = str(request.path_params[name])
    if len(value) != 36 or not value.isascii():
        raise Refusal(404, "")
    return value


def query(request: AnyRequest, name: str, characters: int = 200) -> str:
    """A field of the address, without blanks around it, cut at the limit."""
    return (request.query_params.get(name) or "").strip()[:characters]


def page_locale(request: AnyRequest) -> str:
    """The language of the pages: the one chosen in the settings, else the browser's."""
    return look(request).locale or negotiate(request.headers.get("accept-language", ""))


def lacking(around: Shell, text: str) -> Shell:
    """The shell of a page on which something is missing, with the sentence that says so."""
    return msgspec.structs.replace(around, notices=[*around.notices, Notice(text=text, kind="bad")])


def translated(request: AnyRequest) -> Callable[[str], str]:
    """Texts in the reader's language."""
    return translations(page_locale(request)).gettext


def told(request: AnyRequest, text: str) -> str:
    """One text in the reader's language."""
    return translated(request)(text)
