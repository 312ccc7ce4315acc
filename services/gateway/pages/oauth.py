"""An app asks a person whether it may act for them (RFC 6749 section 4.1.1), and the list of those that may."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import grpc
from litestar import Response

from libs.rpc import errors
from libs.rpc.errors import RpcError
from watercooler.feed.v1 import integration_service_pb2 as integrations
from watercooler.identity.v1 import app_service_pb2 as apps

from .. import bots, http
from ..http import AnyRequest, asked, clients, current_person, gateway
from ..oauth.routes import OUT_OF_BAND, scopes_of
from ..oauth.scopes import in_words
from ..problems import Refusal, refusal_of
from ..rendering import LOCALES
from ..views import Form
from ..views_integrations import AuthorizedAppRow, HookRow, OAuthCodePage, OAuthConsentPage, OAuthProblemPage, SettingsAppsPage
from .common import (
    LOOK_COOKIE,
    Posted,
    get,
    go,
    look,
    nothing,
    post,
    posted,
    problems,
    render,
    sentence,
    shell,
    told,
    translated,
    wants_fragment,
)
from .integrations import hook_address

# What an app sends and the consent form carries on.
FIELDS: Final = ("client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method", "response_type")
STATE_CHARACTERS: Final = 2_000
# An app that wants the person to sign in anew is content with a sign-in this young.
FRESH: Final = timedelta(minutes=5)
_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'{target}; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE_FIELDS: Final = frozenset({"app_id", "redirect_uri"})
_CODES: Final = {"scopes": "invalid_scope"}


def N_(text: str) -> str:
    """Marks a text for the catalogue; it is translated where it is shown."""
    return text


class _Wrong(Exception):
    """The app asks in a way that cannot be answered at its own address; the text is for the person."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class _Answered(Exception):
    """The app is to be told of an error at its own address."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


async def _ask(request: AnyRequest, given: dict[str, str], *, validate_only: bool) -> apps.AuthorizeAppResponse:
    try:
        return await clients(request).apps.AuthorizeApp(apps.AuthorizeAppRequest(
            app_id=given["client_id"], redirect_uri=given["redirect_uri"], scopes=scopes_of(given["scope"]),
            code_challenge=given["code_challenge"], code_challenge_method=given["code_challenge_method"], validate_only=validate_only,
        ))
    except RpcError as error:
        problem = errors.problem_of(error)
        refusal = refusal_of(error)
        if problem is None or refusal.status >= 429:
            raise
        if refusal.field in _PAGE_FIELDS or problem.code is not grpc.StatusCode.INVALID_ARGUMENT:
            raise _Wrong(sentence(refusal.detail)) from error
        raise _Answered(_CODES.get(refusal.field, "invalid_request"), refusal.detail) from error


def _answer_at(given: dict[str, str], **answer: str) -> Response[bytes]:
    """Send the browser to the app's own address, which was compared with those it registered (RFC 6749 section 4.1.2)."""
    parts = urlsplit(given["redirect_uri"])
    told = [*parse_qsl(parts.query, keep_blank_values=True), *((name, value) for name, value in answer.items() if value)]
    if given["state"]:
        told.append(("state", given["state"]))
    location = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(told), ""))
    if not parts.netloc and given["redirect_uri"].startswith(f"{parts.scheme}://"):  # urlunsplit leaves out an empty authority
        location = location.replace(f"{parts.scheme}:", f"{parts.scheme}://", 1)
    headers = {"location": quote(location, safe="/?#[]@!$&'()*+,;=%:~-._"), "cache-control": "no-store"}
    return Response(b"", status_code=303, headers=headers, media_type="text/plain")


def _target_source(redirect_uri: str) -> str:
    """What the page's form may lead to, for Content-Security-Policy: browsers hold its redirects to `form-action` as well."""
    if redirect_uri == OUT_OF_BAND:
        return ""
    parts = urlsplit(redirect_uri)
    if parts.scheme in ("http", "https"):
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        return f" {parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"
    return f" {parts.scheme}:"


def _check(given: dict[str, str]) -> None:
    if len(given["state"]) > STATE_CHARACTERS:
        raise _Wrong(N_("The app sends a state that is too long."))
    if not given["client_id"] or not given["redirect_uri"]:
        raise _Wrong(N_("The app did not say who it is (client_id) or where it takes the answer (redirect_uri)."))


async def _problem(request: AnyRequest, text: str) -> Response[bytes]:
    return render(request, OAuthProblemPage(shell=await shell(request), text=told(request, text)), 400)


def _in_language(request: AnyRequest, lang: str) -> None:
    """The page in the language that the app asks for, unless the person chose one here."""
    chosen = lang if lang in LOCALES else lang.partition("-")[0]
    if chosen in LOCALES and not look(request).locale:
        now = look(request)
        asked(request).cookies[LOOK_COOKIE] = urlencode({"locale": chosen, "theme": now.theme, "contrast": now.contrast})


@get("/oauth/authorize")
async def show_consent(request: AnyRequest) -> Response[bytes]:
    """What an app wants to do in one's name."""
    me, parts = current_person(request), gateway(request)
    values = {name: (request.query_params.get(name) or "") for name in (*FIELDS, "force_login", "lang")}
    given = {name: values[name] for name in FIELDS}
    _in_language(request, values["lang"])
    try:
        _check(given)
        asks = await _ask(request, given, validate_only=True)
        if given["response_type"] != "code":
            raise _Answered("unsupported_response_type", "the response type is code")
    except _Wrong as wrong:
        return await _problem(request, wrong.text)
    except _Answered as answered:
        if given["redirect_uri"] == OUT_OF_BAND:
            return await _problem(request, sentence(answered.detail))
        return _answer_at(given, error=answered.code, error_description=answered.detail)
    again = False
    if values["force_login"].lower() in ("true", "1"):
        session = await parts.sessions.get(me.session_id)
        again = session is None or parts.context.now() - session.create_time > FRESH
    say = translated(request)
    view = OAuthConsentPage(
        shell=await shell(request), app_name=asks.app.name, website=asks.app.website, scopes=[say(each) for each in in_words(asks.scopes)],
        hidden=given, target=given["redirect_uri"], again=again,
    )
    answer = render(request, view)
    answer.headers["content-security-policy"] = _CSP.format(target=_target_source(given["redirect_uri"]))
    return answer


def _typed(form: Posted) -> dict[str, str]:
    return {name: form.raw(name, 5_000) for name in FIELDS}


@post("/oauth/authorize")
async def decide(request: AnyRequest) -> Response[bytes]:
    """Let the app in, or not."""
    form = await posted(request)
    current_person(request)
    allows, given = form.text("decision", 10) == "allow", _typed(form)
    try:
        _check(given)
        allowed = await _ask(request, given, validate_only=not allows)
    except _Wrong as wrong:
        return await _problem(request, wrong.text)
    except _Answered as answered:
        if given["redirect_uri"] == OUT_OF_BAND:
            return await _problem(request, sentence(answered.detail))
        return _answer_at(given, error=answered.code, error_description=answered.detail)
    if given["redirect_uri"] == OUT_OF_BAND:
        if not allows:
            return go(request, "/", told(request, "The app may not act for you."), kind="note")
        asked(request).hides_answer = True
        return render(request, OAuthCodePage(shell=await shell(request), app_name=allowed.app.name, code=allowed.code))
    if not allows:
        return _answer_at(given, error="access_denied", error_description="The person did not let the app in.")
    return _answer_at(given, code=allowed.code)


@post("/oauth/sign-in-again")
async def sign_in_again(request: AnyRequest) -> Response[bytes]:
    """Sign out, and come back to the app's question after the next sign-in."""
    given = _typed(await posted(request))
    path = "/oauth/authorize?" + urlencode({name: value for name, value in given.items() if value})
    return go(request, "/sign-in?next=" + quote(path, safe="/"), cookies=[await http.sign_out(request)])


# --- the apps that act for one ----------------------------------------------------------------------------------------


@get("/settings/apps")
async def show_apps(request: AnyRequest) -> Response[bytes]:
    """What acts for one, and since when."""
    return await _apps_page(request)


async def _apps_page(request: AnyRequest, *, form: Form | None = None, secret: str = "", status: int = 200) -> Response[bytes]:
    found = await clients(request).apps.ListAuthorizedApps(apps.ListAuthorizedAppsRequest())
    say = translated(request)
    rows = [
        AuthorizedAppRow(
            id=each.app.app_id, name=each.app.name, website=each.app.website, scopes=[say(text) for text in in_words(each.scopes)],
            since=each.authorize_time.ToDatetime(UTC),
            last_use_date=datetime.fromisoformat(each.last_use_date) if each.last_use_date else None,
        )
        for each in found.apps
    ]
    hooks = await clients(request).integrations.ListIncomingHooks(integrations.ListIncomingHooksRequest())
    view = SettingsAppsPage(
        shell=await shell(request), apps=rows, hooks=[HookRow(id=each.hook_id, name=each.name) for each in hooks.hooks],
        form=form or Form(), secret=secret,
    )
    return render(request, view, status)


@post("/settings/apps")
async def end_apps(request: AnyRequest) -> Response[bytes]:
    """End what an app may do, or all of them."""
    form = await posted(request)
    app_id = form.text("app_id", 36)
    if form.text("action", 20):
        return await _change_hooks(request, form)
    if not app_id:
        raise Refusal(404, "")
    ended = await clients(request).apps.EndAuthorization(apps.EndAuthorizationRequest(app_id="" if app_id == "all" else app_id))
    parts = gateway(request)
    parts.accounts.forget(current_person(request).person_id)
    for token_id in ended.token_ids:
        parts.live.close_token(token_id)
    if wants_fragment(request) and app_id != "all":
        return nothing(request)
    say = translated(request)
    return go(
        request, "/settings/apps",
        say("No app acts for you any more.") if app_id == "all" else say("The app does not act for you any more."),
    )


async def _change_hooks(request: AnyRequest, form: Posted) -> Response[bytes]:
    """Make, turn or delete a hook that posts to oneself."""
    services, action = clients(request).integrations, form.text("action", 20)
    try:
        if action == "incoming":
            made = await bots.create_hook(request, form.text("name", 200), "")
        elif action == "rotate-incoming":
            made = await services.RotateIncomingHook(integrations.RotateIncomingHookRequest(hook_id=form.text("hook_id", 36)))
        elif action == "delete-incoming":
            gone = await services.DeleteIncomingHook(integrations.DeleteIncomingHookRequest(hook_id=form.text("hook_id", 36)))
            await bots.end_account(request, gone.bot_id)
            return go(request, "/settings/apps", told(request, "The hook takes nothing more."))
        else:
            raise Refusal(404, "")
    except RpcError as error:
        found = problems(error, {"name": ""})
        return await _apps_page(request, form=found.form(form.kept("name")), status=found.status)
    asked(request).hides_answer = True
    return await _apps_page(request, secret=hook_address(request, made))
