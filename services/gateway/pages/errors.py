"""The page that says what happened, what was kept and what to do."""
from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import quote

from litestar.utils.scope.state import ScopeState

from libs.telemetry import traces

from ..http import Asked, Gateway
from ..navigation import navigation
from ..problems import Refusal
from ..rendering import negotiate
from ..site import Rail
from ..views import ErrorPage, Shell
from .common import LOOK_COOKIE, _look, sentence, viewer_of

KEPT_FIELDS = ("body", "about", "description", "rules")


def error_page(scope: MutableMapping[str, Any], refusal: Refusal) -> str:
    """The HTML of a refusal. Asks no service, for it may be one that failed."""
    parts: Gateway = scope["gateway"]
    asked: Asked = scope["asked"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    chosen = _look(asked.cookies.get(LOOK_COOKIE, ""))
    found = asked.principal
    accepted = headers.get("accept-language", "")
    rail = (parts.site.rail(found.person_id) if found else None) or Rail([], 0)
    query = scope.get("query_string", b"").decode("latin-1")
    path = quote(scope["path"], safe="/@:~") + (f"?{query}" if query else "")
    is_get = scope["method"] in ("GET", "HEAD")
    shell = Shell(
        organization_name=parts.site.organization_name_last,
        viewer=viewer_of(found, chosen, accepted) if found else None,
        csrf_token=parts.csrf.token(asked.csrf_subject) if asked.csrf_subject else "",
        path=path if is_get else "/",
        locale=chosen.locale or negotiate(accepted),
        nav=navigation(
            unread_count=rail.unread_count, is_guest=found.is_guest, cases=rail.cases, announcements=rail.announcements
        ) if found else [],
        communities=rail.communities,
        unread_count=rail.unread_count,
        now=parts.context.now(),
    )
    # Not found says the same whether there is nothing or it is not meant for the reader.
    detail = "" if refusal.status in (404, 500) else sentence(refusal.detail)
    page = ErrorPage(
        shell=shell, status=refusal.status, detail=detail, kept=_kept(scope), retry_after_seconds=refusal.retry_seconds,
        trace_id=traces.trace_id() if refusal.status >= 500 else "",
    )
    return parts.site.renderer.render(page)


def _kept(scope: Any) -> str:
    """What was typed into the form that failed, where it had been read."""
    form = ScopeState.from_scope(scope).form
    if not isinstance(form, Mapping):
        return ""
    for name in KEPT_FIELDS:
        value = form.get(name)
        text = value[0] if isinstance(value, list) and value else value
        if isinstance(text, str) and text.strip():
            return text
    return ""
