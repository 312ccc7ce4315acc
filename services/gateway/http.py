"""What every handler is given: who asks, the neighbours to ask, cookies, redirects and what is said once on the next page.

    from .http import clients, current_person, redirect
"""
from __future__ import annotations

import base64
import json
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import quote

from litestar import Request, Response
from litestar.datastructures import Cookie

from libs.blobs.store import BlobStore
from libs.rpc import auth
from libs.runtime.service import Context
from libs.telemetry import traces

from .freshness import Freshness
from .parties import ActingApp, Clients, Principal
from .problems import Refusal
from .site import Site

if TYPE_CHECKING:
    from .accounts import Accounts
    from .csrf import Csrf
    from .live import Live
    from .mastodon.entities import Site as Images
    from .ratelimit import Limits
    from .sessions import Sessions
    from .visits import Visits

AnyRequest = Request[Any, Any, Any]

FLASH_COOKIE = "watercooler_flash"
FLASH_CHARACTERS = 600
_PATH = re.compile(r"/(?![/\\])[^\x00-\x20\\\x7f]{0,2000}")


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts of the running gateway."""

    context: Context
    clients: Clients
    sessions: Sessions
    accounts: Accounts
    csrf: Csrf
    live: Live
    limits: Limits
    visits: Visits
    # Signs the addresses of images that programs are given.
    images: Images
    site: Site = field(default_factory=Site)
    fresh: Freshness = field(default_factory=Freshness)

    @property
    def blobs(self) -> BlobStore:
        """Where uploads are kept."""
        return self.context.blobs


class Asked:
    """What the edge knows of a request before it is routed; handlers find it in `scope["asked"]`."""

    __slots__ = (
        "address", "app", "body", "cookies", "csrf_subject", "hides_answer", "idempotency_key", "is_write", "principal", "request_id",
        "visitor_new",
    )

    def __init__(self, address: str, cookies: dict[str, str], is_write: bool) -> None:
        self.address = address
        self.cookies = cookies
        self.is_write = is_write
        # The whole body of a write to the API; empty for uploads and forms, which are read piece by piece.
        self.body = b""
        self.principal: Principal | None = None
        # The app that acts for itself, where the access token is its own.
        self.app: ActingApp | None = None
        # What the CSRF token of this request's pages is signed for; empty with an access token, which needs none.
        self.csrf_subject = ""
        # A visitor id to be set as a cookie with the answer; empty when the browser has one.
        self.visitor_new = ""
        self.idempotency_key = ""
        # What services are told, so that a repetition changes nothing; empty without an Idempotency-Key.
        self.request_id = ""
        # The answer holds a secret that is shown once: it is not kept for a repetition of the request.
        self.hides_answer = False


def asked(request: AnyRequest) -> Asked:
    """What is known of the request."""
    return cast(Asked, request.scope["asked"])  # type: ignore[typeddict-item]


def gateway(request: AnyRequest) -> Gateway:
    """The running gateway."""
    return cast(Gateway, request.scope["gateway"])  # type: ignore[typeddict-item]


def clients(request: AnyRequest) -> Clients:
    """The services, called as whoever sent the request."""
    return gateway(request).clients


def as_gateway(request: AnyRequest) -> AbstractContextManager[None]:
    """Calls made inside come from the gateway itself: for checking passwords, which identity leaves to nobody else."""
    return auth.acting(gateway(request).context.tokens.sign(auth.Caller(service="gateway")))


def principal(request: AnyRequest) -> Principal | None:
    """Who sent the request; None where nobody is signed in."""
    return asked(request).principal


def current_person(request: AnyRequest) -> Principal:
    """Who sent the request.

    Raises:
        Refusal: 401, nobody is signed in.
    """
    found = asked(request).principal
    if found is None:
        raise Refusal(401, "Sign in first, or send an access token: Authorization: Bearer wct_...")
    return found


def csrf_token(request: AnyRequest) -> str:
    """The token that forms of the answer to this request carry in the field `csrf_token`."""
    found = asked(request)
    return gateway(request).csrf.token(found.csrf_subject) if found.csrf_subject else ""


async def sign_in(request: AnyRequest, person_id: str) -> Cookie:
    """Begin a session for a person who has just proved to be one; answers the cookie to set."""
    parts = gateway(request)
    found = asked(request)
    if found.principal is not None and found.principal.session_id:  # a new sign-in takes the place of the old one of this browser
        await parts.sessions.end(found.principal.session_id)
    session, secret = await parts.sessions.begin(person_id, request.headers.get("user-agent", ""), found.address, parts.context.now())
    found.csrf_subject = session_subject(session.session_id)
    lifetime = int(parts.context.settings.session_lifetime.total_seconds())
    return cookie(request, parts.sessions.cookie, secret, lifetime)


def session_subject(session_id: str) -> str:
    """What the CSRF tokens of a session are signed for."""
    return f"session {session_id}"


async def sign_out(request: AnyRequest) -> Cookie:
    """End the session of this request, if it has one; answers the cookie that clears the browser's."""
    parts = gateway(request)
    found = asked(request).principal
    if found is not None and found.session_id:
        await parts.sessions.end(found.session_id)
        parts.live.close_session(found.session_id)
    return cookie(request, parts.sessions.cookie, "", 0)


def cookie(request: AnyRequest, name: str, value: str, max_age_seconds: int) -> Cookie:
    """A cookie that scripts cannot read and other sites cannot send; an age of 0 clears it."""
    secure = gateway(request).sessions.secure
    return Cookie(key=name, value=value, max_age=max_age_seconds, path="/", secure=secure, httponly=True, samesite="lax")


def return_to(value: str, default: str = "/") -> str:
    """The path on this site that a form names to come back to; the default for anything else."""
    return value if _PATH.fullmatch(value) else default


def redirect(
    request: AnyRequest,
    path: str,
    *,
    notice: str = "",
    kind: Literal["good", "bad", "note"] = "good",
    undo_url: str = "",
    cookies: list[Cookie] | None = None,
) -> Response[bytes]:
    """Go on to another page of this site (303), which says `notice` once; `undo_url` takes a POST that undoes what was done."""
    set_cookies = list(cookies or [])
    if notice:
        text = json.dumps([kind, notice[:FLASH_CHARACTERS], undo_url[:300]], ensure_ascii=True)
        set_cookies.append(cookie(request, FLASH_COOKIE, base64.urlsafe_b64encode(text.encode()).decode(), 60))
    # A header holds ASCII only; what is quoted already stays as it is.
    location = quote(return_to(path), safe="/?#[]@!$&'()*+,;=%:~")
    return Response(b"", status_code=303, headers={"location": location}, cookies=set_cookies, media_type="text/plain")


def flash(request: AnyRequest) -> tuple[str, str, str] | None:
    """What the request before left to be said: kind, text and the address that undoes it; clear it by `clear_flash`."""
    held = asked(request).cookies.get(FLASH_COOKIE, "")
    if not held:
        return None
    try:
        kind, text, undo_url = json.loads(base64.urlsafe_b64decode(held.encode()))
    except (ValueError, TypeError):
        return None
    if kind not in ("good", "bad", "note") or not isinstance(text, str) or not isinstance(undo_url, str):
        return None
    return kind, text[:FLASH_CHARACTERS], return_to(undo_url, "")


def clear_flash(request: AnyRequest) -> Cookie:
    """The cookie that says it has been said."""
    return cookie(request, FLASH_COOKIE, "", 0)


def trace_id() -> str:
    """The id under which the log speaks of this request."""
    return traces.trace_id()
