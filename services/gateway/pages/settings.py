"""One's own settings: profile and photo, password, devices, access tokens, language and appearance."""
from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final
from zoneinfo import available_timezones

from litestar import Response

from libs.rpc.errors import RpcError
from watercooler.identity.v1 import events_pb2 as identity_events
from watercooler.identity.v1 import identity_service_pb2 as identity

from .. import files
from ..http import AnyRequest, asked, clients, current_person, gateway
from ..problems import Refusal
from ..rendering import LOCALES, language_name
from ..views import (
    Form,
    Option,
    SettingsAppearancePage,
    SettingsProfilePage,
    SettingsSecurityPage,
    SettingsSessionsPage,
    SettingsTokensPage,
)
from . import convert
from .common import (
    Look,
    Posted,
    Problems,
    bad,
    conflict,
    get,
    go,
    look,
    look_cookie,
    nothing,
    post,
    posted,
    problems,
    render,
    shell,
    told,
    translated,
    wants_fragment,
)
from .delivering import end_pushes

OWN_FIELDS: Final = ("preferred_name", "pronouns", "location", "about", "languages")
DIRECTORY_FIELDS: Final = ("title", "department")
PROFILE_FIELDS: Final = (*OWN_FIELDS, *DIRECTORY_FIELDS, "phone")
PHOTO_BYTES: Final = 5_000_000
SESSIONS_MAX: Final = 100
EXPIRY_DAYS: Final = (0, 30, 90, 365)


@get("/settings")
async def settings(request: AnyRequest) -> Response[bytes]:
    """The first of the settings pages."""
    return go(request, "/settings/profile")


# --- profile ----------------------------------------------------------------------------------------------------------


def _phone_label(profile: identity_events.Profile) -> str:
    return next((label for label in convert.PHONE_LABELS if label in profile.contact), convert.PHONE_LABELS[0])


def _profile_values(profile: identity_events.Profile) -> dict[str, str]:
    values = {name: str(getattr(profile, name)) for name in (*OWN_FIELDS, *DIRECTORY_FIELDS) if name != "languages"}
    return {**values, "languages": ", ".join(profile.languages), "phone": profile.contact.get(_phone_label(profile), "")}


async def _profile_page(request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
    locked = [] if current_person(request).is_administrator else list(DIRECTORY_FIELDS)
    return render(request, SettingsProfilePage(shell=await shell(request), form=form, locked=locked), status)


@get("/settings/profile")
async def show_profile(request: AnyRequest) -> Response[bytes]:
    """What others see of oneself."""
    me = current_person(request)
    whole = await clients(request).identity.GetPerson(identity.GetPersonRequest(person_id=me.person_id))
    return await _profile_page(request, Form(values={**_profile_values(whole.profile), "version": whole.etag}))


@post("/settings/profile")
async def change_profile(request: AnyRequest) -> Response[bytes]:
    """Change one's own profile and photo."""
    form = await posted(request)
    me, services = current_person(request), clients(request)
    before = await services.identity.GetPerson(identity.GetPersonRequest(person_id=me.person_id))
    now = _profile_values(before.profile)
    typed = {**now, **form.kept(*PROFILE_FIELDS), "version": before.etag}
    if form.text("version", 40) not in ("", before.etag):
        text = told(request, "Your profile was changed while you were writing. Saving again puts your text in the place of what was saved.")
        theirs = conflict(request, form.kept(*PROFILE_FIELDS), now)
        return await _profile_page(request, Form(values=typed, errors=theirs, message=text), 409)
    try:
        photo_problem = await _change_photo(request, form)
        if photo_problem is not None:
            return await _profile_page(request, photo_problem.form(typed), photo_problem.status)
        await _change_fields(request, before, form)
    except RpcError as error:
        problem = problems(error, {**{name: name for name in PROFILE_FIELDS}, "contact": "phone", "photo_blob_id": "photo"})
        return await _profile_page(request, problem.form(typed), problem.status)
    gateway(request).accounts.forget(me.person_id)
    return go(request, "/settings/profile", told(request, "Saved."))


async def _change_fields(request: AnyRequest, before: identity.Person, form: Posted) -> None:
    me = current_person(request)
    names = (*OWN_FIELDS, *(DIRECTORY_FIELDS if me.is_administrator else ()))
    given = identity_events.Profile()
    mask: list[str] = []
    for name in names:
        if name not in form.values:
            continue
        if name == "languages":
            languages = [each.strip() for each in form.text(name).split(",") if each.strip()]
            if languages != list(before.profile.languages):
                given.languages.extend(languages)
                mask.append(name)
        elif form.text(name) != getattr(before.profile, name):
            setattr(given, name, form.text(name))
            mask.append(name)
    label = _phone_label(before.profile)
    if "phone" in form.values and form.text("phone") != before.profile.contact.get(label, ""):
        given.contact.update({each: value for each, value in before.profile.contact.items() if each != label})
        if form.text("phone"):
            given.contact[label] = form.text("phone")
        mask.append("contact")
    if mask:
        change = identity.UpdateProfileRequest(person_id=me.person_id, profile=given, update_mask=mask)
        await clients(request).identity.UpdateProfile(change)


async def _change_photo(request: AnyRequest, form: Posted) -> Problems | None:
    me = current_person(request)
    upload = form.file("photo")
    if upload is not None:
        content = await upload.read(PHOTO_BYTES + 1)
        if len(content) > PHOTO_BYTES:
            return bad("photo", told(request, "The photo is larger than 5 MB: save it smaller and choose it again."))
        try:
            ref, _, _ = await files.store_image(request, content)
        except Refusal as error:
            if error.status not in (400, 413):
                raise
            return bad("photo", error.detail)
        await clients(request).identity.ChangePhoto(identity.ChangePhotoRequest(person_id=me.person_id, photo_blob_id=ref.id))
    elif form.text("remove_photo"):
        await clients(request).identity.ChangePhoto(identity.ChangePhotoRequest(person_id=me.person_id, photo_blob_id=""))
    return None


# --- password ---------------------------------------------------------------------------------------------------------


@get("/settings/security")
async def show_security(request: AnyRequest) -> Response[bytes]:
    """Change the password."""
    return render(request, SettingsSecurityPage(shell=await shell(request)))


@post("/settings/security")
async def change_password(request: AnyRequest) -> Response[bytes]:
    """Set a new password and sign the other devices out."""
    form = await posted(request)
    say, me, parts = translated(request), current_person(request), gateway(request)
    problem: Problems | None = None
    if form.raw("password") != form.raw("password_again"):
        problem = bad("password_again", say("The two are not the same."))
    else:
        change = identity.ChangePasswordRequest(
            current_password=form.raw("current_password"), new_password=form.raw("password"), ends_apps=bool(form.text("ends_apps", 5))
        )
        try:
            await clients(request).identity.ChangePassword(change)
        except RpcError as error:
            problem = problems(error, {"current_password": "current_password", "new_password": "password"})
    if problem is not None:
        return render(request, SettingsSecurityPage(shell=await shell(request), form=problem.form({})), problem.status)
    await parts.sessions.end_all(me.person_id, parts.context.now(), keep=me.session_id)
    parts.live.close_other_sessions(me.person_id, me.session_id)
    return go(request, "/settings/security", say("Your password is changed, and your other devices are signed out."))


# --- devices ----------------------------------------------------------------------------------------------------------


@get("/settings/sessions")
async def sessions(request: AnyRequest) -> Response[bytes]:
    """Where one is signed in."""
    me, parts = current_person(request), gateway(request)
    around, found = await asyncio.gather(shell(request), parts.sessions.list_of(me.person_id, "", SESSIONS_MAX, parts.context.now()))
    return render(request, SettingsSessionsPage(shell=around, sessions=[convert.session(each, me.session_id) for each in found]))


@post("/settings/sessions")
async def end_session(request: AnyRequest) -> Response[bytes]:
    """Sign a device out, or all but this one."""
    form = await posted(request)
    me, parts, say = current_person(request), gateway(request), translated(request)
    session_id = form.text("session_id", 36)
    if session_id == "others":
        ended = await parts.sessions.list_of(me.person_id, "", SESSIONS_MAX, parts.context.now())
        await parts.sessions.end_all(me.person_id, parts.context.now(), keep=me.session_id)
        await end_pushes(request, *(each.session_id for each in ended if each.session_id != me.session_id))
        for each in ended:
            if each.session_id != me.session_id:
                parts.live.close_session(each.session_id)
        return go(request, "/settings/sessions", say("All other devices are signed out."))
    found = await parts.sessions.get(session_id)
    if found is None or found.person_id != me.person_id:
        raise Refusal(404, "")
    await parts.sessions.end(session_id)
    await end_pushes(request, session_id)
    parts.live.close_session(session_id)
    if wants_fragment(request):
        return nothing(request)
    return go(request, "/settings/sessions", say("The device is signed out."))


# --- access tokens ----------------------------------------------------------------------------------------------------


async def _tokens_page(
    request: AnyRequest, form: Form, *, secret: str = "", chosen: list[str] | None = None, status: int = 200
) -> Response[bytes]:
    say, me = translated(request), current_person(request)
    around, found = await asyncio.gather(shell(request), clients(request).identity.ListAccessTokens(identity.ListAccessTokensRequest()))
    labels = {"read": say("Read what you may read"), "write": say("Write, react, join and follow as you")}
    if me.is_administrator:
        labels["admin"] = say("Administer people and imports")
    marked = ["read"] if chosen is None else chosen
    view = SettingsTokensPage(
        shell=around, tokens=[convert.token(each) for each in found.tokens], form=form, new_token=secret,
        scopes=[Option(value=scope, label=label, is_chosen=scope in marked) for scope, label in labels.items()],
    )
    return render(request, view, status)


@get("/settings/tokens")
async def tokens(request: AnyRequest) -> Response[bytes]:
    """One's access tokens."""
    return await _tokens_page(request, Form())


@post("/settings/tokens")
async def change_tokens(request: AnyRequest) -> Response[bytes]:
    """Make a token, whose secret is shown this once, or revoke one."""
    form = await posted(request)
    services, parts, say = clients(request), gateway(request), translated(request)
    if form.text("action", 20) == "revoke":
        token_id = form.text("token_id", 36)
        await services.identity.RevokeAccessToken(identity.RevokeAccessTokenRequest(token_id=token_id))
        parts.accounts.forget(current_person(request).person_id)
        parts.live.close_token(token_id)
        if wants_fragment(request):
            return nothing(request)
        return go(request, "/settings/tokens", say("The token is revoked."))
    scopes = form.texts("scopes")
    days = int(form.text("expire_days", 3)) if form.text("expire_days", 3) in {str(each) for each in EXPIRY_DAYS} else 0
    issue = identity.IssueAccessTokenRequest(name=form.text("name"), scopes=scopes)
    if days:
        issue.expire_time.FromDatetime(parts.context.now() + timedelta(days=days))
    try:
        made = await services.identity.IssueAccessToken(issue)
    except RpcError as error:
        problem = problems(error, {"name": "name", "scopes": "scopes", "expire_time": "expire_days"})
        return await _tokens_page(request, problem.form(form.kept("name", "expire_days")), chosen=scopes, status=problem.status)
    asked(request).hides_answer = True
    return await _tokens_page(request, Form(), secret=made.secret)


# --- language and appearance ------------------------------------------------------------------------------------------


@get("/settings/appearance")
async def show_appearance(request: AnyRequest) -> Response[bytes]:
    """Language, time zone, brightness and contrast."""
    return await _appearance_page(request, None)


async def _appearance_page(request: AnyRequest, form: Form | None, status: int = 200) -> Response[bytes]:
    around = await shell(request)
    chosen = look(request)
    zone = current_person(request).person.profile.time_zone or "UTC"
    places = {name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "posix/", "right/"))}
    zones = sorted({*places, "UTC", zone})
    locale = around.viewer.locale if around.viewer else "en"
    values = {"locale": locale, "time_zone": zone, "theme": chosen.theme, "contrast": chosen.contrast}
    view = SettingsAppearancePage(
        shell=around, form=form or Form(values=values), locales=[Option(value=each, label=language_name(each)) for each in LOCALES],
        time_zones=[Option(value=each, label=each.replace("_", " ")) for each in zones],
    )
    return render(request, view, status)


@post("/settings/appearance")
async def change_appearance(request: AnyRequest) -> Response[bytes]:
    """The time zone belongs to the person; how things look to this device."""
    form = await posted(request)
    me = current_person(request)
    zone = form.text("time_zone", 60)
    if zone and zone != me.person.profile.time_zone:
        change = identity.UpdateProfileRequest(
            person_id=me.person_id, profile=identity_events.Profile(time_zone=zone), update_mask=["time_zone"]
        )
        try:
            await clients(request).identity.UpdateProfile(change)
        except RpcError as error:
            problem = problems(error, {"time_zone": "time_zone"})
            again = problem.form(form.kept("locale", "time_zone", "theme", "contrast"))
            return await _appearance_page(request, again, problem.status)
        gateway(request).accounts.forget(me.person_id)
    chosen = Look(
        form.text("locale", 10) if form.text("locale", 10) in LOCALES else "",
        form.text("theme", 10) if form.text("theme", 10) in ("light", "dark") else "system",
        "more" if form.text("contrast", 10) == "more" else "system",
    )
    return go(request, "/settings/appearance", told(request, "Saved."), cookies=[look_cookie(request, chosen)])
