"""What becomes of rows about people."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from libs.db.database import Transaction
from libs.eventstore.model import InvalidArgument, Rejected
from libs.text.ids import new_id
from watercooler.identity.v1.events_pb2 import Profile, Role
from watercooler.identity.v1.identity_service_pb2 import (
    IMPORT_OUTCOME_ADDED,
    IMPORT_OUTCOME_CHANGED,
    IMPORT_OUTCOME_REFUSED,
    IMPORT_OUTCOME_UNCHANGED,
    PERSON_STATE_ACTIVE,
    PERSON_STATE_LEFT,
    ImportResult,
    PersonRecord,
)

from .. import profiles, queries
from ..commands import ImportPerson
from ..deciders.person import merged
from ..profiles import fold_key
from ..projections import cycle_text
from .keybook import KeyBook

PLACE_MAX = 300
EXTERNAL_ID_MAX = 200
MANAGER_KEY_MAX = 300
BLOB_ID_MAX = 200

# An empty cell does not empty these: they are what a person is found by.
KEYS = ("email", "employee_number", "handle")


@dataclass(slots=True)
class PersonPlan:
    """What becomes of one record. `command` is None where nothing is to be written, `manager_id` where the manager stays."""

    record: PersonRecord
    result: ImportResult
    command: ImportPerson | None = None
    manager_id: str | None = None
    depth: int = 0


@dataclass(slots=True)
class PeoplePlanner:
    """Plans the rows of one call: `load`, then `plan`."""

    source: str
    now: datetime
    book: KeyBook = field(init=False)
    known: dict[str, queries.Known] = field(default_factory=dict)
    handles: set[str] = field(default_factory=set)
    chart: dict[str, str] = field(default_factory=dict)
    administrators: set[str] = field(default_factory=set)
    places: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    here: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.book = KeyBook(self.source)

    async def load(self, tx: Transaction, records: Sequence[PersonRecord]) -> None:
        """Read at once what the records may meet."""
        book = self.book
        keys = [key for r in records for key in (r.profile.email, r.profile.employee_number, r.profile.handle, r.manager_key) if key]
        await book.load(tx, keys, [r.external_id for r in records if r.external_id])
        found = {book.find(r.manager_key) for r in records} | {book.by_handle(r.profile.handle) for r in records}
        for r in records:
            found |= set(self._matches(r).values())
        if any(r.has_manager for r in records):
            self.chart = await queries.manager_map(tx)
        self.known = await queries.known(tx, found - {""})
        self.names = {person_id: known.display_name for person_id, known in self.known.items()}
        self.here = {person_id: known.state == PERSON_STATE_ACTIVE for person_id, known in self.known.items()}
        for base in {profiles.handle_base(r.profile, r.external_id) for r in records if not self._matches(r)}:
            self.handles |= await queries.handles_like(tx, base)
        if any(r.left for r in records):
            self.administrators = await queries.active_administrators(tx)

    def plan(self, records: Sequence[PersonRecord]) -> list[PersonPlan]:
        """What becomes of each record, in order."""
        plans = [
            PersonPlan(record, ImportResult(place=record.place[:PLACE_MAX], external_id=record.external_id[:EXTERNAL_ID_MAX]))
            for record in records
        ]
        for plan in plans:
            try:
                self._plan(plan)
            except Rejected as error:
                plan.result.outcome = IMPORT_OUTCOME_REFUSED
                plan.result.reason = error.reason
        self._plan_managers([plan for plan in plans if plan.result.outcome != IMPORT_OUTCOME_REFUSED and plan.record.has_manager])
        return plans

    def _matches(self, record: PersonRecord) -> dict[str, str]:
        """Whom a record names, by each of its keys: employee number, e-mail address, the source's own key."""
        matches = {
            "employee number": self.book.by_number(record.profile.employee_number),
            "e-mail address": self.book.by_email(record.profile.email),
            "external id": self.book.by_external_id(record.external_id),
        }
        return {what: person_id for what, person_id in matches.items() if person_id}

    def _plan(self, plan: PersonPlan) -> None:
        record = plan.record
        given, fields = _given(record)
        matches = self._matches(record)
        for (what, one), (other_what, other) in zip(list(matches.items()), list(matches.items())[1:], strict=False):
            if one != other:
                raise Rejected(
                    f"the {what} is that of {self._name(one)}, the {other_what} that of {self._name(other)}: mend one of them"
                )
        person_id = next(iter(matches.values()), "")
        if person_id in self.places:
            raise Rejected(f"this is the same person as in {self.places[person_id] or 'a row before'}: keep one of the two rows")
        if person_id:
            if set(matches) == {"e-mail address"}:
                _check_number(self.known[person_id], given)
            self._plan_change(plan, self.known[person_id], given, fields)
        else:
            self._plan_new(plan, given, fields)

    def _plan_new(self, plan: PersonPlan, given: Profile, fields: list[str]) -> None:
        record = plan.record
        profiles.check_name(given.name, "name", "the name of a new person")
        if not (given.email or given.employee_number or record.external_id):
            raise Rejected("give an e-mail address, an employee number or an external id, so that the next import finds the person again")
        given.handle = self._free_handle(profiles.handle_base(given, record.external_id))
        plan.result.outcome = IMPORT_OUTCOME_ADDED
        plan.result.id = new_id()
        plan.result.changed_fields.extend(name for name in fields if name in profiles.FIELDS)
        self._take(plan, given, fields, given)

    def _plan_change(self, plan: PersonPlan, known: queries.Known, given: Profile, fields: list[str]) -> None:
        record = plan.record
        if "name" in fields:
            profiles.check_name(given.name, "name", "the name")
        fields = [name for name in fields if name not in KEYS or getattr(given, name)]
        if "handle" in fields:
            owner = self.book.by_handle(given.handle)
            if given.handle in self.handles or (owner and owner != known.person_id):
                fields.remove("handle")  # taken: the person keeps the present one
        profile, changed = merged(known.profile, given, [name for name in fields if name in profiles.FIELDS])
        if set(record.roles) - known.roles:
            changed.append("roles")
        if record.external_id and not self.book.by_external_id(record.external_id):
            changed.append("external_id")
        if record.photo_blob_id not in ("", known.photo_blob_id):
            changed.append("photo_blob_id")
        was_left = known.state == PERSON_STATE_LEFT
        if record.left and not was_left:
            if self.administrators == {known.person_id}:
                raise Rejected(
                    f"{known.display_name} is the last administrator and cannot leave: make somebody else an administrator first"
                )
            self.administrators.discard(known.person_id)
            changed.append("left")
        elif was_left and not record.left and "left" in fields:
            changed.append("left")
        plan.result.id = known.person_id
        plan.result.outcome = IMPORT_OUTCOME_CHANGED if changed else IMPORT_OUTCOME_UNCHANGED
        plan.result.changed_fields.extend(changed)
        self._take(plan, given, fields, profile, changes=bool(changed))

    def _take(self, plan: PersonPlan, given: Profile, fields: list[str], profile: Profile, changes: bool = True) -> None:
        """Remember the row for those after it, and what is to be written."""
        record, person_id = plan.record, plan.result.id
        if changes:
            plan.command = ImportPerson(
                person_id=person_id, profile=given, fields=fields, roles=list(record.roles), photo_blob_id=record.photo_blob_id,
                external_key=self.book.external_key(record.external_id) if record.external_id else "", left=record.left, now=self.now,
            )
        self.places[person_id] = plan.result.place
        self.names[person_id] = profiles.display_name(profile)
        known = self.known.get(person_id)
        stays_away = known is not None and known.state == PERSON_STATE_LEFT and "left" not in fields
        self.here[person_id] = not record.left and not stays_away
        self.handles.add(fold_key(profile.handle))
        self.book.add(person_id, profile, record.external_id)

    def _free_handle(self, base: str) -> str:
        number, handle = 1, base
        while handle in self.handles:
            number += 1
            handle = f"{base}-{number}"
        return handle

    def _plan_managers(self, plans: list[PersonPlan]) -> None:
        """Settle who reports to whom: the links that these rows replace are let go first, so that only what will be true can clash."""
        targets: list[tuple[PersonPlan, str]] = []
        for plan in plans:
            try:
                target = self._manager(plan)
            except Rejected as error:
                plan.result.warnings.append(error.reason)
                continue
            if target != self.chart.get(plan.result.id, ""):
                targets.append((plan, target))
        before = {plan.result.id: self.chart.pop(plan.result.id, "") for plan, _ in targets}
        kept: list[tuple[PersonPlan, str]] = []
        for plan, target in targets:
            chain = self._chain(target, plan.result.id)
            if chain:
                why = cycle_text([self._name(each) for each in chain])
                # The present manager stays, unless the rows before have made a circle of that too.
                former = before[plan.result.id]
                stays = not self._chain(former, plan.result.id)
                plan.result.warnings.append(f"{why}: {'the manager was not changed' if stays else 'there is no manager for now'}")
                target = former if stays else ""
            if target:
                self.chart[plan.result.id] = target
            kept.append((plan, target))
        for plan, target in kept:
            if target == before[plan.result.id]:
                continue
            plan.manager_id = target
            plan.depth = self._depth(plan.result.id)
            plan.result.changed_fields.append("manager")
            if plan.result.outcome == IMPORT_OUTCOME_UNCHANGED:
                plan.result.outcome = IMPORT_OUTCOME_CHANGED

    def _manager(self, plan: PersonPlan) -> str:
        key = plan.record.manager_key.strip()
        if not key:
            return ""
        found = self.book.find(key)
        shown = key[:MANAGER_KEY_MAX]
        if not found:
            raise Rejected(f"the manager {shown!r} is not known, or not by this key alone: import this row again when they are")
        if found == plan.result.id:
            raise Rejected("nobody is their own manager: the manager was not changed")
        if not self.here.get(found, False):
            raise Rejected(f"the manager {self._name(found)} has left: the manager was not changed")
        return found

    def _chain(self, start: str, person_id: str) -> list[str]:
        """The way up from `start` to `person_id`; empty when it does not lead there."""
        chain: list[str] = []
        above = start
        while above and above not in chain:
            chain.append(above)
            if above == person_id:
                return chain
            above = self.chart.get(above, "")
        return []

    def _depth(self, person_id: str) -> int:
        depth, above = 0, self.chart.get(person_id, "")
        while above:
            depth, above = depth + 1, self.chart.get(above, "")
        return depth

    def _name(self, person_id: str) -> str:
        return self.names.get(person_id, "somebody")


def _check_number(known: queries.Known, given: Profile) -> None:
    """Refuse a row that only an address connects with somebody of another employee number: it may well be about somebody else."""
    number = known.profile.employee_number
    if number and given.employee_number and fold_key(number) != fold_key(given.employee_number):
        raise Rejected(
            f"{given.email} is the address of {known.display_name}, whose employee number is {number}, not {given.employee_number}: "
            "two rows for one address; mend the row, or change the number in the profile where it is the same person"
        )


def _given(record: PersonRecord) -> tuple[Profile, list[str]]:
    """The part of a record's profile that its source speaks of, checked; and the names of those fields."""
    fields = list(dict.fromkeys(record.fields)) or [descriptor.name for descriptor, _ in record.profile.ListFields()]
    profile, _ = merged(Profile(), record.profile, [name for name in fields if name in profiles.FIELDS])
    for name in fields:
        if name != "left" and name not in profiles.FIELDS:
            raise InvalidArgument(f"a profile has no field {name[:60]!r}")
    for role in record.roles:
        if not role or role not in Role.values():
            raise InvalidArgument("there is no such role: use employee, guest, communications, leader or administrator")
    if len(record.external_id) > EXTERNAL_ID_MAX:
        raise InvalidArgument(f"an external id has at most {EXTERNAL_ID_MAX} characters")
    if len(record.photo_blob_id) > BLOB_ID_MAX:
        raise InvalidArgument("the photo is no stored file")
    for name in fields:
        if name == "left":
            continue
        try:
            profiles.check(profile, [name], prefix="")
        except InvalidArgument as error:
            raise InvalidArgument(f"{name}: {error.reason}", error.field) from None
    return profile, fields
