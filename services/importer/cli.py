"""The commands of the importer: `watercooler people` and `watercooler import`."""
from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import click
from rich.table import Table

from libs.rpc.auth import acting
from libs.runtime.cli import App, run_async
from libs.runtime.embedded import Embedded
from watercooler.identity.v1.events_pb2 import Profile, Role
from watercooler.identity.v1.identity_service_pb2 import (
    CreatePersonRequest,
    InvitePersonRequest,
    IssueAccessTokenRequest,
    ListPeopleRequest,
    Person,
)
from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceStub

from .sample import FILE_NAME, Credentials

ROLES = ("employee", "guest", "communications", "leader", "administrator")
SCOPES = ("read", "write", "admin")
CALL_SECONDS = 120.0
PAGE = 200


def register(group: click.Group) -> None:
    """Add the commands to the command line."""
    group.add_command(people)


def show_sample(network: Embedded, credentials: Sequence[Credentials] | None, *, fresh: bool) -> None:
    """Tell how to sign in to the sample organisation: one administrator and one employee."""
    context = click.get_current_context(silent=True)
    app = context.obj if context is not None and isinstance(context.obj, App) else None
    path = network.settings.data / FILE_NAME
    say: Callable[..., None] = app.say if app is not None else lambda text, **facts: click.echo(text)
    if credentials is None:
        data = str(network.settings.data)
        say(f"{data} is not empty, so the sample was not loaded: choose another folder by --data", data=data)
        return
    if not fresh:
        say(f"The sample is there already. How its people sign in: {path}", credentials=str(path))
        return
    text = f"The sample organisation is loaded: {len(credentials)} people. How they sign in: {path}"
    say(text, people=len(credentials), credentials=str(path))
    for role in ("administrator", "employee"):
        one = next(each for each in credentials if each.role == role)
        say(
            f"  {role}: {network.settings.address}  e-mail {one.email}  password {one.password}  token {one.token}",
            role=role, address=network.settings.address, email=one.email, password=one.password, token=one.token,
        )


@click.group()
def people() -> None:
    """Add people, and list them."""


def _as_json(command: Callable[..., Any]) -> Callable[..., Any]:
    def note(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value and isinstance(context.obj, App):
            context.obj.as_json = True

    return click.option("--json", is_flag=True, expose_value=False, callback=note, help="Answer in JSON, one object a line.")(command)


def _scopes(_: click.Context, __: click.Parameter, value: str | None) -> list[str]:
    scopes = [scope.strip() for scope in (value or "").split(",") if scope.strip()]
    for scope in scopes:
        if scope not in SCOPES:
            raise click.BadParameter(f"{scope!r} is no scope: choose from {','.join(SCOPES)}")
    if value is not None and not scopes:
        raise click.BadParameter(f"name at least one scope of {','.join(SCOPES)}")
    return scopes


@people.command()
@click.option("--name", required=True, help="The full name.")
@click.option("--email", required=True, help="The e-mail address to sign in by.")
@click.option("--role", "roles", multiple=True, type=click.Choice(ROLES), help="May be given several times; employee where none is.")
@click.option("--title", default="", help="What the person does.")
@click.option("--department", default="", help="Where in the organisation.")
@click.option("--password-prompt", is_flag=True, help="Ask for a password here instead of making an invitation link.")
@click.option("--token", "scopes", callback=_scopes, metavar="SCOPES", help="Make an access token too: read,write or read,write,admin.")
@_as_json
@click.pass_obj
def add(
    app: App, name: str, email: str, roles: tuple[str, ...], title: str, department: str, password_prompt: bool, scopes: list[str]
) -> None:
    """Add a person; prints a link by which they choose a password, or with --token a personal access token."""
    password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True) if password_prompt else ""
    profile = Profile(name=name, email=email, title=title, department=department)
    run_async(_add(app, profile, roles or ("employee",), password, scopes))


@people.command("list")
@click.argument("query", default="")
@click.option("--all", "all_states", is_flag=True, help="Also those who have left.")
@_as_json
@click.pass_obj
def list_people(app: App, query: str, all_states: bool) -> None:
    """Print people by name, or those whose name or e-mail address holds QUERY."""
    run_async(_list(app, query, all_states))


async def _with_identity(app: App, work: Callable[[Any], Awaitable[None]]) -> None:
    network = await app.network("identity")
    try:
        with acting(network.service_token("importer")):
            channel: Any = network.channel
            await work(IdentityServiceStub(channel))
    finally:
        await network.stop()


async def _add(app: App, profile: Profile, roles: Sequence[str], password: str, scopes: list[str]) -> None:
    async def work(identity: Any) -> None:
        if "admin" in scopes and "administrator" not in roles:
            raise click.ClickException("only administrators have tokens with the scope admin: add --role administrator")
        wanted = [Role.Value(f"ROLE_{role.upper()}") for role in roles]
        person = await identity.CreatePerson(CreatePersonRequest(profile=profile, roles=wanted, password=password), timeout=CALL_SECONDS)
        facts = _facts(person)
        if scopes:
            request = IssueAccessTokenRequest(person_id=person.person_id, name="Command line", scopes=scopes)
            facts["token"] = (await identity.IssueAccessToken(request, timeout=CALL_SECONDS)).secret
            facts["scopes"] = scopes
        if not password:
            link = await identity.InvitePerson(InvitePersonRequest(person_id=person.person_id), timeout=CALL_SECONDS)
            facts["invitation"] = f"{app.settings.address}/invitation/{link.secret}"
        lines = [f"{person.display_name} is added, with the handle @{person.profile.handle}."]
        if not password:
            lines.append(f"To choose a password: {facts['invitation']}")
        if scopes:
            lines.append(f"Personal access token ({', '.join(scopes)}), shown this once: {facts['token']}")
        app.say("\n".join(lines), **facts)

    await _with_identity(app, work)


async def _list(app: App, query: str, all_states: bool) -> None:
    async def work(identity: Any) -> None:
        table = Table("name", "e-mail", "handle", "roles", "title", "department", box=None, pad_edge=False)
        token, count = "", 0
        while True:
            request = ListPeopleRequest(query=query, all_states=all_states, page_size=PAGE, page_token=token)
            page = await identity.ListPeople(request, timeout=CALL_SECONDS)
            for person in page.people:
                count += 1
                facts = _facts(person)
                if app.as_json:
                    click.echo(json.dumps(facts, ensure_ascii=False))
                else:
                    profile = person.profile
                    roles = ", ".join(facts["roles"])
                    cells = (person.display_name, profile.email, profile.handle, roles, profile.title, profile.department)
                    table.add_row(*map(_printable, cells))
            token = page.next_page_token
            if not token:
                break
        if not app.as_json:
            app.console.print(table if count else "nobody")

    await _with_identity(app, work)


def _facts(person: Person) -> dict[str, Any]:
    profile = person.profile
    return {
        "person_id": person.person_id, "name": profile.name, "email": profile.email, "handle": profile.handle, "title": profile.title,
        "department": profile.department, "roles": [Role.Name(role).removeprefix("ROLE_").lower() for role in person.roles],
    }


def _printable(text: str) -> str:
    """Without what a terminal or rich would take as a command."""
    return "".join(c if c.isprintable() else " " for c in text).replace("[", r"\[")
