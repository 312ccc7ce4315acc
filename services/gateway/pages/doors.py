"""Before the sign-in: set-up, sign-in and out, forgotten password, reset, invitation."""
from __future__ import annotations

from litestar import Response

from libs.rpc.errors import RpcError
from watercooler.identity.v1 import identity_service_pb2 as identity

from .. import http
from ..http import AnyRequest, asked, clients, gateway, principal
from ..problems import Refusal
from ..views import Form, InvitationPage, PasswordForgottenPage, PasswordResetPage, SetupPage, SignInPage
from .common import as_gateway, bad, get, go, organization_name, post, posted, problems, query, render, shell, told
from .delivering import end_pushes


@get("/setup", is_open=True)
async def show_setup(request: AnyRequest) -> Response[bytes]:
    """The first page of a new deployment."""
    if await organization_name(request) is not None:
        return go(request, "/")
    return render(request, SetupPage(shell=await shell(request)))


@post("/setup", is_open=True)
async def set_up(request: AnyRequest) -> Response[bytes]:
    """Create the organisation and its first administrator, who is signed in at once."""
    form = await posted(request)
    try:
        made = await clients(request).identity.SetUpOrganization(
            identity.SetUpOrganizationRequest(
                name=form.text("organization_name"), person_name=form.text("name"), email=form.text("email"), password=form.raw("password")
            )
        )
    except RpcError as error:
        found = problems(error, {"name": "organization_name", "person_name": "name", "email": "email", "password": "password"})
        again = found.form(form.kept("organization_name", "name", "email"))
        return render(request, SetupPage(shell=await shell(request), form=again), found.status)
    gateway(request).site.set_organization_name(made.organization.name)
    session = await http.sign_in(request, made.administrator.person_id)
    welcome = told(request, "Welcome. Invite people, or import the directory, under Administration.")
    return go(request, "/", welcome, cookies=[session])


@get("/sign-in", is_open=True)
async def show_sign_in(request: AnyRequest) -> Response[bytes]:
    """The sign-in page; `next` is where one wanted to go."""
    target = http.return_to(query(request, "next", 2_000))
    if principal(request) is not None:
        return go(request, target)
    return render(request, SignInPage(shell=await shell(request), form=Form(values={"next": target})))


@post("/sign-in", is_open=True)
async def sign_in(request: AnyRequest) -> Response[bytes]:
    """Check address and password and begin a session."""
    form = await posted(request)
    target = http.return_to(form.text("next", 2_000))
    try:
        with as_gateway(request):
            found = await clients(request).identity.Authenticate(
                identity.AuthenticateRequest(email=form.text("email"), password=form.raw("password"), client_address=asked(request).address)
            )
    except RpcError as error:
        problem = problems(error)
        again = Form(values={**form.kept("email"), "next": target}, message="" if problem.retry_seconds else problem.message)
        view = SignInPage(shell=await shell(request), form=again, retry_after_seconds=problem.retry_seconds)
        return render(request, view, problem.status)
    return go(request, target, cookies=[await http.sign_in(request, found.person.person_id)])


@post("/sign-out")
async def sign_out(request: AnyRequest) -> Response[bytes]:
    """End this device's session."""
    if (found := principal(request)) is not None and found.session_id:
        await end_pushes(request, found.session_id)
    return go(request, "/sign-in", cookies=[await http.sign_out(request)])


@get("/password/forgotten", is_open=True)
async def show_forgotten(request: AnyRequest) -> Response[bytes]:
    """Ask for a link."""
    return render(request, PasswordForgottenPage(shell=await shell(request)))


@post("/password/forgotten", is_open=True)
async def forgotten(request: AnyRequest) -> Response[bytes]:
    """Send a link, and say the same whether or not the address is known."""
    form = await posted(request)
    ask = identity.RequestPasswordResetRequest(email=form.text("email", 300), client_address=asked(request).address)
    try:
        with as_gateway(request):
            await clients(request).identity.RequestPasswordReset(ask)
    except RpcError as error:
        problem = problems(error, {"email": "email"})
        view = PasswordForgottenPage(shell=await shell(request), form=problem.form(form.kept("email")))
        return render(request, view, problem.status)
    return render(request, PasswordForgottenPage(shell=await shell(request), is_sent=True))


@get("/password/reset/{secret:str}", is_open=True)
async def show_reset(request: AnyRequest) -> Response[bytes]:
    """Choose a new password by a link."""
    return await _reset_page(request, Form())


async def _reset_page(request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
    expired = await _link(request, invitation=False) is None
    return render(request, PasswordResetPage(shell=await shell(request), form=form, is_expired=expired), 404 if expired else status)


@post("/password/reset/{secret:str}", is_open=True)
async def reset(request: AnyRequest) -> Response[bytes]:
    """Set the password, end the person's sessions and begin one here."""
    form = await posted(request)
    if form.raw("password") != form.raw("password_again"):
        found = bad("password_again", told(request, "The two are not the same."))
        return await _reset_page(request, found.form({}), found.status)
    change = identity.ResetPasswordRequest(secret=str(request.path_params["secret"]), password=form.raw("password"))
    try:
        person = await clients(request).identity.ResetPassword(change)
    except RpcError as error:
        try:
            found = problems(error, {"password": "password"})
        except Refusal:
            return await _reset_page(request, Form())
        return await _reset_page(request, found.form({}), found.status)
    return await _begin(request, person.person_id, told(request, "Your new password is set. Your other devices are signed out."))


async def _begin(request: AnyRequest, person_id: str, notice: str) -> Response[bytes]:
    parts = gateway(request)
    await parts.sessions.end_all(person_id, parts.context.now())
    parts.live.close_person(person_id)
    return go(request, "/", notice, cookies=[await http.sign_in(request, person_id)])


async def _link(request: AnyRequest, *, invitation: bool) -> identity.Person | None:
    """Whom a link is for; None when it was used, is past its time or of the other kind."""
    secret = str(request.path_params["secret"])
    try:
        found = await clients(request).identity.CheckSecretLink(identity.CheckSecretLinkRequest(secret=secret))
    except RpcError as error:
        try:
            problems(error)
        except Refusal:
            return None
        raise
    return found if found.invited == invitation else None


@get("/invitation/{secret:str}", is_open=True)
async def show_invitation(request: AnyRequest) -> Response[bytes]:
    """Choose the first password."""
    return await _invitation_page(request, None)


async def _invitation_page(request: AnyRequest, form: Form | None, status: int = 200) -> Response[bytes]:
    person = await _link(request, invitation=True)
    if person is None:
        return render(request, InvitationPage(shell=await shell(request), is_expired=True), 404)
    view = InvitationPage(
        shell=await shell(request), form=form or Form(), name=person.display_name, email=person.profile.email
    )
    return render(request, view, status)


@post("/invitation/{secret:str}", is_open=True)
async def accept_invitation(request: AnyRequest) -> Response[bytes]:
    """Set the first password and begin a session."""
    form = await posted(request)
    if form.raw("password") != form.raw("password_again"):
        found = bad("password_again", told(request, "The two are not the same."))
        return await _invitation_page(request, found.form({}), found.status)
    accept = identity.AcceptInvitationRequest(secret=str(request.path_params["secret"]), password=form.raw("password"))
    try:
        person = await clients(request).identity.AcceptInvitation(accept)
    except RpcError as error:
        try:
            found = problems(error, {"password": "password"})
        except Refusal:
            return await _invitation_page(request, None)
        return await _invitation_page(request, found.form({}), found.status)
    return await _begin(request, person.person_id, told(request, "Welcome. A photo and a few words about you help others find you."))
