"""The commands of the importer: `watercooler people` and `watercooler import`."""
from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

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

from . import slack
from .mapping import KINDS, ImportMapping, MappingError, is_source_name, load
from .run import ADDED, CHANGED, OUTCOMES, REFUSED, UNCHANGED, Found, Run
from .sample import FILE_NAME, Credentials

ROLES = ("employee", "guest", "communications", "leader", "administrator")
SCOPES = ("read", "write", "admin")
CALL_SECONDS = 120.0
PAGE = 200
# More are counted, and all of them are in the report file.
SHOWN_MAX = 50


def register(group: click.Group) -> None:
    """Add the commands to the command line."""
    group.add_command(people)
    group.add_command(import_)


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
            facts["invitation"] = f"{app.address}/invitation/{link.secret}"
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


@click.command("import")
@click.argument("kind", type=click.Choice([*KINDS, "all"]))
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.option("--mapping", "mapping_path", type=click.Path(path_type=Path), help="Which field is which: docs/import.md.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--source-name", help="The short name under which records are found again, instead of the mapping's.")
@click.option("--report", "report_path", type=click.Path(path_type=Path, dir_okay=False), help="Write what became of every record here.")
@_as_json
@click.pass_obj
def import_(
    app: App, kind: str, source: Path, mapping_path: Path | None, dry_run: bool, source_name: str | None, report_path: Path | None
) -> None:
    """Bring KIND in from SOURCE, a file or folder; a second run changes nothing.

    `all` imports every part of the mapping, one after the other. Bad records are reported, the others go in. Exit status 1: nothing could.
    """
    try:
        mapping = _mapping(kind, mapping_path, source_name)
    except MappingError as error:
        raise click.ClickException("the mapping is wrong:\n" + "\n".join(f"  {problem}" for problem in error.problems)) from error
    tally = Tally(app, dry_run)
    try:
        if report_path is None:
            run_async(_import(app, mapping, source, tally))
        else:
            with report_path.open("w", encoding="utf-8") as report:
                tally.report = report
                run_async(_import(app, mapping, source, tally))
    except OSError as error:
        raise click.ClickException(f"{report_path}: {error.strerror or error}") from error
    tally.show()
    if tally.came_to_nothing:
        sys.exit(1)


def _mapping(kind: str, path: Path | None, source_name: str | None) -> ImportMapping:
    if path is None and kind != "slack":
        raise MappingError(["say by --mapping FILE which field is which: docs/import.md"])
    mapping = load(path, kind) if path is not None else slack.default_mapping()
    parts = tuple(part for part in mapping.parts if kind in ("all", part.kind))
    if not parts:
        there = ", ".join(sorted({part.kind for part in mapping.parts}))
        raise MappingError([f"the mapping has no part of the kind {kind}: it has {there}"])
    renamed = source_name or mapping.source
    if not is_source_name(renamed):
        raise MappingError([f"--source-name: {renamed[:60]!r} is no short name: give a-z, 0-9, -, _ and ., as in hr-export"])
    return replace(mapping, source=renamed, parts=parts)


async def _import(app: App, mapping: ImportMapping, source: Path, tally: Tally) -> None:
    network = await app.network("identity", "feed")
    try:
        with app.progress() as progress, acting(network.service_token("importer")):
            task = progress.add_task("reading", total=None)

            def tell(found: Found) -> None:
                tally.add(found)
                progress.advance(task)

            run = Run(network, mapping, source, tally.dry_run, tell)
            for part in mapping.parts:
                progress.update(task, description=part.name)
                if part.kind == "slack":
                    try:
                        await slack.run(run, slack.with_defaults(part), source)
                    except slack.Unreadable as error:
                        raise click.ClickException(str(error)) from error
                else:
                    await run.part(part)
            progress.update(task, total=tally.total, completed=tally.total)
    finally:
        await network.stop()


@dataclass(slots=True)
class Tally:
    """What became of all records: counted, the remarkable ones kept to be shown, each written to the report."""

    app: App
    dry_run: bool
    report: IO[str] | None = None
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    problems: list[Found] = field(default_factory=list)
    changes: list[Found] = field(default_factory=list)
    problem_count: int = 0

    def add(self, found: Found) -> None:
        """Count a record."""
        self.counts.setdefault(found.kind, Counter())[found.outcome] += 1
        remarkable = found.outcome == REFUSED or bool(found.warnings)
        line = json.dumps(asdict(found), ensure_ascii=False)
        if self.report is not None:
            self.report.write(line + "\n")
        if self.app.as_json:
            if remarkable or (self.dry_run and found.outcome in (ADDED, CHANGED)):
                click.echo(line)
            return
        if remarkable:
            self.problem_count += 1
            if len(self.problems) < SHOWN_MAX:
                self.problems.append(found)
        if self.dry_run and found.outcome in (ADDED, CHANGED) and len(self.changes) < SHOWN_MAX:
            self.changes.append(found)

    @property
    def total(self) -> int:
        """How many records there were."""
        return sum(counter.total() for counter in self.counts.values())

    @property
    def came_to_nothing(self) -> bool:
        """Whether not one record is in the network now, or would be."""
        return not any(counter[outcome] for counter in self.counts.values() for outcome in (ADDED, CHANGED, UNCHANGED))

    def show(self) -> None:
        """Tell the end of it."""
        moved = sum(counter[ADDED] + counter[CHANGED] for counter in self.counts.values())
        if self.app.as_json:
            for kind, counter in self.counts.items():
                click.echo(json.dumps({"kind": kind, "dry_run": self.dry_run, **{name: counter[name] for name in OUTCOMES}}))
            return
        console = self.app.console
        if self.changes:
            table = Table("kind", "place", "would be", "fields", box=None, pad_edge=False)
            for found in self.changes:
                table.add_row(found.kind, _printable(found.place), found.outcome, _printable(", ".join(found.changed)))
            console.print(table)
            if moved > len(self.changes):
                console.print(f"and {moved - len(self.changes):,} more: --report FILE writes them all\n")
        for found in self.problems:
            for text in (*([f"refused: {found.reason}"] if found.outcome == REFUSED else []), *found.warnings):
                console.print(f"{_printable(found.place)}: {_printable(text)}", highlight=False, soft_wrap=True)
        if self.problem_count > len(self.problems):
            console.print(f"and {self.problem_count - len(self.problems):,} more: --report FILE writes them all")
        table = Table("", *OUTCOMES, box=None, pad_edge=False)
        for kind, counter in self.counts.items():
            table.add_row(kind, *(f"{counter[name]:,}" for name in OUTCOMES))
        console.print(table)
        if self.dry_run:
            console.print("This was a dry run: nothing was changed.")
        elif self.came_to_nothing:
            console.print("Nothing could go in.")
        elif not moved:
            console.print("Nothing changed: everything was here already.")
