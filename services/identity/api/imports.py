"""Imports of the directory: planned whole, then written side by side, so that ten thousand rows share few commits."""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from libs.eventstore.model import Conflict, InvalidArgument, Rejected
from libs.telemetry import metrics
from watercooler.identity.v1.identity_service_pb2 import (
    IMPORT_OUTCOME_ADDED,
    IMPORT_OUTCOME_CHANGED,
    IMPORT_OUTCOME_REFUSED,
    IMPORT_OUTCOME_UNCHANGED,
    ImportGroupsRequest,
    ImportGroupsResponse,
    ImportPeopleRequest,
    ImportPeopleResponse,
)

from ..commands import AssignManager, ImportGroup
from ..deciders import group, person
from ..planning.groups import GroupPlan, GroupsPlanner
from ..planning.keybook import check_source
from ..planning.people import PeoplePlanner, PersonPlan
from .base import Part, administrator, gathered

RECORDS_MAX = 1_000
AT_ONCE = 256

_OUTCOMES = {
    IMPORT_OUTCOME_ADDED: "created",
    IMPORT_OUTCOME_CHANGED: "updated",
    IMPORT_OUTCOME_UNCHANGED: "unchanged",
    IMPORT_OUTCOME_REFUSED: "rejected",
}
_REFUSALS = (Rejected, Conflict)


class ImportsPart(Part):
    """Imports of people and groups; administrators and services only."""

    async def ImportPeople(self, request: ImportPeopleRequest, context: Any) -> ImportPeopleResponse:
        """Add and change people as their source has them; a bad row is refused with its reason, the others go in.

        A second run with the same rows changes nothing.
        """
        caller = administrator()
        check_source(request.source)
        _check_length(request.records)
        planner = PeoplePlanner(request.source, self.now())
        async with self.database.snapshot() as tx:
            await planner.load(tx, request.records)
        plans = planner.plan(request.records)
        if not request.dry_run:
            await self._write_people(plans, caller.actor_id)
            for plan in plans:
                metrics.IMPORT_RECORDS.labels(kind="person", outcome=_OUTCOMES[plan.result.outcome]).inc()
        return ImportPeopleResponse(results=[plan.result for plan in plans])

    async def ImportGroups(self, request: ImportGroupsRequest, context: Any) -> ImportGroupsResponse:
        """Add and change groups and their members as their source has them; rules as for people."""
        caller = administrator()
        check_source(request.source)
        _check_length(request.records)
        planner = GroupsPlanner(request.source)
        async with self.database.snapshot() as tx:
            await planner.load(tx, request.records)
        plans = planner.plan(request.records)
        if not request.dry_run:
            await self._write_groups(plans, caller.actor_id)
        return ImportGroupsResponse(results=[plan.result for plan in plans])

    async def _write_people(self, plans: Sequence[PersonPlan], actor_id: str) -> None:
        writing = [plan for plan in plans if plan.command is not None]
        work: list[Callable[[], Awaitable[Any]]] = [
            partial(self.done, person, f"person-{plan.result.id}", plan.command, actor_id) for plan in writing
        ]
        for plan, failure in zip(writing, await gathered(work, AT_ONCE), strict=True):
            if isinstance(failure, Exception):
                _refuse(plan, failure)
        # Managers from the top of the new chart down: each link then leads to people whose own links are final already.
        moving = sorted(
            (plan for plan in plans if plan.manager_id is not None and plan.result.outcome != IMPORT_OUTCOME_REFUSED),
            key=lambda plan: plan.depth,
        )
        for _, level in groupby(moving, key=lambda plan: plan.depth):
            row = list(level)
            work = [
                partial(
                    self.done, person, f"person-{plan.result.id}",
                    AssignManager(person_id=plan.result.id, manager_id=plan.manager_id or ""), actor_id,
                )
                for plan in row
            ]
            for plan, failure in zip(row, await gathered(work, AT_ONCE), strict=True):
                if isinstance(failure, Exception):
                    _warn(plan, failure)

    async def _write_groups(self, plans: Sequence[GroupPlan], actor_id: str) -> None:
        writing = sorted((plan for plan in plans if plan.command is not None), key=lambda plan: plan.depth)
        for _, level in groupby(writing, key=lambda plan: plan.depth):
            row = list(level)
            work: list[Callable[[], Awaitable[Any]]] = [partial(self._import_group, plan.command, actor_id) for plan in row if plan.command]
            for plan, failure in zip(row, await gathered(work, AT_ONCE), strict=True):
                if isinstance(failure, Exception):
                    _refuse(plan, failure)

    async def _import_group(self, command: ImportGroup, actor_id: str) -> None:
        while (await self.done(group, f"group-{command.group_id}", command, actor_id)).position:
            pass  # an append takes a hundred members; the next turn takes those that are left


def _check_length(records: Sequence[object]) -> None:
    if len(records) > RECORDS_MAX:
        raise InvalidArgument(f"a call takes at most {RECORDS_MAX:,} records: send the rest in another", "records")


def _reason(failure: Exception) -> str:
    if isinstance(failure, _REFUSALS):
        return failure.reason if isinstance(failure, Rejected) else "somebody changed this at the same moment: import it again"
    raise failure  # no row is to blame: the call fails, and the same call again goes on where this one stopped


def _refuse(plan: PersonPlan | GroupPlan, failure: Exception) -> None:
    plan.result.reason = _reason(failure)
    plan.result.outcome = IMPORT_OUTCOME_REFUSED
    del plan.result.changed_fields[:]


def _warn(plan: PersonPlan, failure: Exception) -> None:
    plan.result.warnings.append(f"{_reason(failure)}: the manager was not changed")
    plan.result.changed_fields.remove("manager")
    if plan.result.outcome == IMPORT_OUTCOME_CHANGED and not plan.result.changed_fields:
        plan.result.outcome = IMPORT_OUTCOME_UNCHANGED
