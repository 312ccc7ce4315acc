"""The import of a directory: a dry run with a table of what would change, then the run, which goes on by itself and tells how far it is."""
from __future__ import annotations

import asyncio
from typing import Any, Final

from litestar import Response

from libs.rpc import auth
from libs.rpc.errors import RpcError
from libs.telemetry import logs
from libs.text.ids import new_id
from libs.text.nul import without_nul
from watercooler.identity.v1 import identity_service_pb2 as identity

from ..http import AnyRequest, Gateway, clients, gateway
from ..import_files import Import
from ..parties import Clients, Principal
from ..problems import refusal_of
from ..views import AdminImportPage, Form, ImportChange, ImportProgressFragment, Option
from . import directory_file
from .common import bad, fragment_shell, get, go, path_id, post, posted, render, sentence, shell, translated, wants_fragment
from .guards import administrator

SHOWN: Final = 200
# Of a dry run: as many as identity takes at once.
CHUNK_DRY: Final = 1_000
CHUNK: Final = 200
SOURCE: Final = "directory"
_log = logs.get_logger(__name__)

_ACTIONS: Final = {
    identity.IMPORT_OUTCOME_ADDED: "add", identity.IMPORT_OUTCOME_CHANGED: "change", identity.IMPORT_OUTCOME_UNCHANGED: "keep",
    identity.IMPORT_OUTCOME_REFUSED: "reject",
}


def _kinds(request: AnyRequest) -> list[Option]:
    say = translated(request)
    return [Option(value="csv", label=say("CSV with a header line")), Option(value="jsonl", label=say("JSON Lines"))]


async def _page(request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
    return render(request, AdminImportPage(shell=await shell(request), form=form, kinds=_kinds(request)), status)


@get("/admin/import")
async def show_import(request: AnyRequest) -> Response[bytes]:
    """Choose a file."""
    administrator(request)
    return await _page(request, Form(values={"kind": "csv"}))


@post("/admin/import")
async def take_import(request: AnyRequest) -> Response[bytes]:
    """A file: its dry run. An import_id: the run itself, which goes on when the page is left."""
    me = administrator(request)
    form = await posted(request)
    parts, say = gateway(request), translated(request)
    if form.text("import_id", 36):
        entry = parts.site.imports.find(form.text("import_id", 36))
        if entry.state == "planned":
            entry.state = "running"
            entry.task = asyncio.create_task(_run(parts, clients(request), me, entry))
        return go(request, f"/admin/import/{entry.import_id}")
    upload = form.file("file")
    if upload is None:
        problem = bad("file", say("Choose a file."))
        return await _page(request, problem.form(form.kept("kind")), problem.status)
    name = str(upload.filename)[:200]
    kind = form.text("kind", 10) if form.text("kind", 10) in ("csv", "jsonl") else "jsonl" if name.endswith((".json", ".jsonl")) else "csv"
    content = await upload.read(parts.context.settings.import_bytes_max + 1)
    try:
        found = await asyncio.to_thread(directory_file.read, content, kind)
    except directory_file.FileRefused as error:
        problem = bad("file", str(error))
        return await _page(request, problem.form(form.kept("kind")), problem.status)
    results: list[identity.ImportResult] = []
    for start in range(0, len(found.records), CHUNK_DRY):
        part = found.records[start:start + CHUNK_DRY]
        asking = without_nul(identity.ImportPeopleRequest(source=SOURCE, records=part, dry_run=True))
        answer = await clients(request).identity.ImportPeople(asking)
        results += answer.results
    entry = Import(new_id(), me.person_id, name, found.records, results, found.refused)
    parts.site.imports.add(entry)
    return go(request, f"/admin/import/{entry.import_id}")


@get("/admin/import/{import_id:str}")
async def show_entry(request: AnyRequest) -> Response[bytes]:
    """What would change, or how far the run is."""
    administrator(request)
    entry = gateway(request).site.imports.find(path_id(request, "import_id"))
    progress = entry.progress()
    if wants_fragment(request) and progress is not None:
        return render(request, ImportProgressFragment(shell=fragment_shell(request), import_id=entry.import_id, progress=progress))
    view = AdminImportPage(
        shell=await shell(request), kinds=_kinds(request), import_id=entry.import_id, file_name=entry.file_name, progress=progress,
        counts=_counts(entry), changes=[] if progress else _changes(entry),
    )
    return render(request, view)


def _counts(entry: Import) -> dict[str, int]:
    counts = {"reject": len(entry.refused)}
    for result in entry.results:
        action = _ACTIONS.get(result.outcome, "keep")
        counts[action] = counts.get(action, 0) + 1
    return counts


def _changes(entry: Import) -> list[ImportChange]:
    """The first records of the table: what is refused first, then what changes, then what is added."""
    order = {"reject": 0, "change": 1, "add": 2, "keep": 3}
    rows = [(order[_ACTIONS.get(result.outcome, "keep")], at, result) for at, result in enumerate(entry.results)]
    shown = [ImportChange(line=line, action="reject", name="", email="", reason=why) for line, why in entry.refused[:SHOWN]]
    for _, at, result in sorted(rows, key=lambda row: row[:2])[: SHOWN - len(shown)]:
        record = entry.records[at]
        place = result.place.removeprefix("line ")
        reason = sentence(result.reason) if result.reason else " ".join(sentence(each) for each in result.warnings)
        shown.append(
            ImportChange(
                line=int(place) if place.isdigit() else at + 1, action=_ACTIONS.get(result.outcome, "keep"),  # type: ignore[arg-type]
                name=record.profile.preferred_name or record.profile.name, email=record.profile.email, reason=reason,
                changes=[(name, "", _value(record, name)) for name in result.changed_fields],
            )
        )
    return shown


def _value(record: identity.PersonRecord, name: str) -> str:
    if name == "manager":
        return record.manager_key
    value: Any = getattr(record.profile, name, "")
    if name == "languages":
        return ", ".join(value)
    if name in ("contact", "custom_fields"):
        return ", ".join(f"{label}: {text}" for label, text in sorted(value.items()))
    return str(value)[:200]


async def _run(parts: Gateway, services: Clients, me: Principal, entry: Import) -> None:
    """Write the records a few at a time; managers named before they were added are assigned in a second round."""
    entry.done = entry.rejected = len(entry.refused)
    try:
        again: list[identity.PersonRecord] = []
        for start in range(0, len(entry.records), CHUNK):
            part = entry.records[start:start + CHUNK]
            results = await _write(parts, services, me, part)
            entry.done += len(part)
            entry.rejected += sum(result.outcome == identity.IMPORT_OUTCOME_REFUSED for result in results)
            again += [record for record, result in zip(part, results, strict=True) if result.warnings and record.has_manager]
        for start in range(0, len(again), CHUNK):
            await _write(parts, services, me, again[start:start + CHUNK])
        entry.state = "done"
    except Exception as error:
        entry.message = sentence(refusal_of(error).detail)
        entry.state = "failed"
        if not isinstance(error, RpcError):
            _log.exception("import stopped", import_id=entry.import_id)


async def _write(
    parts: Gateway, services: Clients, me: Principal, records: list[identity.PersonRecord]
) -> list[identity.ImportResult]:
    # The token of the request that began it is short-lived: each part is signed anew.
    with auth.acting(parts.context.tokens.sign(me.caller)):
        answer = await services.identity.ImportPeople(without_nul(identity.ImportPeopleRequest(source=SOURCE, records=records)))
    return list(answer.results)
