"""What becomes of rows about groups."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.db.database import Transaction
from libs.eventstore.model import InvalidArgument, Rejected
from libs.text.ids import new_id
from watercooler.identity.v1.identity_service_pb2 import (
    IMPORT_OUTCOME_ADDED,
    IMPORT_OUTCOME_CHANGED,
    IMPORT_OUTCOME_REFUSED,
    IMPORT_OUTCOME_UNCHANGED,
    Group,
    GroupRecord,
    ImportResult,
)

from .. import profiles, queries
from ..commands import ImportGroup
from .keybook import KeyBook
from .people import EXTERNAL_ID_MAX, PLACE_MAX

KIND_MAX = 60
DESCRIPTION_MAX = 5_000
MEMBERS_MAX = 5_000
NAMED_MAX = 10


@dataclass(slots=True)
class GroupPlan:
    """What becomes of one record. `command` is None where nothing is to be written."""

    record: GroupRecord
    result: ImportResult
    command: ImportGroup | None = None
    depth: int = 0


@dataclass(slots=True)
class GroupsPlanner:
    """Plans the rows of one call: `load`, then `plan`."""

    source: str
    book: KeyBook = field(init=False)
    known: dict[str, Group] = field(default_factory=dict)
    members: dict[str, dict[str, str]] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.book = KeyBook(self.source)

    async def load(self, tx: Transaction, records: Sequence[GroupRecord]) -> None:
        """Read at once what the records may meet."""
        await self.book.load(tx, {member.person_key for r in records for member in r.members})
        keys = {self.book.external_key(key) for r in records for key in (r.external_id, r.parent_external_id) if key}
        self.known = await queries.groups_by_external_key(tx, keys)
        self.ids = {key: group.group_id for key, group in self.known.items()}
        self.members = await queries.all_members(tx, self.ids.values())
        self.parents = await queries.group_parents(tx)

    def plan(self, records: Sequence[GroupRecord]) -> list[GroupPlan]:
        """What becomes of each record, in order."""
        plans = [GroupPlan(r, ImportResult(place=r.place[:PLACE_MAX], external_id=r.external_id[:EXTERNAL_ID_MAX])) for r in records]
        for plan in plans:
            try:
                self._check(plan)
            except Rejected as error:
                plan.result.outcome = IMPORT_OUTCOME_REFUSED
                plan.result.reason = error.reason
        going = [plan for plan in plans if plan.result.outcome != IMPORT_OUTCOME_REFUSED]
        parents = self._parents(going)
        for plan in going:
            self._plan(plan, parents[plan.result.id])
        return plans

    def _check(self, plan: GroupPlan) -> None:
        record = plan.record
        if not record.external_id or len(record.external_id) > EXTERNAL_ID_MAX:
            raise InvalidArgument(f"a group needs an external id of at most {EXTERNAL_ID_MAX} characters, so that the next import finds it")
        profiles.check_name(record.name, "name", "the name of a group")
        try:
            profiles.check_text(record.kind, "the kind of a group", 0, KIND_MAX)
            profiles.check_text(record.description, "the description of a group", 0, DESCRIPTION_MAX, lines=True)
        except ValueError as error:
            raise InvalidArgument(str(error)) from None
        if len(record.members) > MEMBERS_MAX:
            raise InvalidArgument(f"a group has at most {MEMBERS_MAX:,} members")
        if any(len(member.role) > KIND_MAX for member in record.members):
            raise InvalidArgument(f"a role in a group has at most {KIND_MAX} characters")
        key = self.book.external_key(record.external_id)
        if key in self.places:
            raise Rejected(f"this is the same group as in {self.places[key] or 'a row before'}: keep one of the two rows")
        self.places[key] = plan.result.place
        plan.result.id = self.ids.setdefault(key, new_id())

    def _parents(self, plans: Sequence[GroupPlan]) -> dict[str, str]:
        """The parent of each group, circles left out with a warning."""
        wanted: dict[str, str] = {}
        for plan in plans:
            parent = plan.record.parent_external_id
            wanted[plan.result.id] = self.ids.get(self.book.external_key(parent), "") if parent else ""
            if parent and not wanted[plan.result.id]:
                plan.result.warnings.append(f"the parent group {parent[:100]!r} is not known: import this row again when it is")
        for group_id in wanted:
            self.parents.pop(group_id, None)
        for plan in plans:
            group_id, parent_id = plan.result.id, wanted[plan.result.id]
            above, length = parent_id, 0
            while above and above != group_id:
                above, length = self.parents.get(above, ""), length + 1
            if above:
                plan.result.warnings.append(f"{plan.record.name} would be part of itself: it has no parent for now")
                wanted[group_id] = ""
            elif parent_id:
                self.parents[group_id] = parent_id
        return wanted

    def _plan(self, plan: GroupPlan, parent_id: str) -> None:
        record, group_id = plan.record, plan.result.id
        members, unknown = self._members(record)
        if unknown:
            more = f" and {len(unknown) - NAMED_MAX} more" if len(unknown) > NAMED_MAX else ""
            plan.result.warnings.append(f"not known, so no members: {', '.join(unknown[:NAMED_MAX])}{more}")
        known = self.known.get(self.book.external_key(record.external_id))
        changed: list[str] = []
        if known is not None:
            facts = {"name": record.name, "kind": record.kind, "description": record.description, "parent_id": parent_id}
            changed += [name for name, value in facts.items() if getattr(known, name) != value]
            if self.members.get(group_id, {}) != members:
                changed.append("members")
        plan.result.changed_fields.extend(changed)
        if known is not None and not changed:
            plan.result.outcome = IMPORT_OUTCOME_UNCHANGED
            return
        plan.result.outcome = IMPORT_OUTCOME_ADDED if known is None else IMPORT_OUTCOME_CHANGED
        plan.command = ImportGroup(
            group_id=group_id, name=record.name, kind=record.kind, parent_id=parent_id, description=record.description,
            external_key=self.book.external_key(record.external_id), members=sorted(members.items()),
        )
        above = parent_id
        while above:
            plan.depth, above = plan.depth + 1, self.parents.get(above, "")

    def _members(self, record: GroupRecord) -> tuple[dict[str, str], list[str]]:
        members: dict[str, str] = {}
        unknown: list[str] = []
        for member in record.members:
            person_id = self.book.find(member.person_key)
            if not person_id:
                unknown.append(member.person_key[:60])
            elif not members.get(person_id):
                members[person_id] = member.role
        return members, unknown
