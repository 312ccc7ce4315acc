"""Records of a source, as a mapping reads them, in the form the services take."""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from watercooler.feed.v1 import events_pb2 as feed_events
from watercooler.feed.v1.feed_service_pb2 import CommunityRecord, PostRecord
from watercooler.identity.v1.events_pb2 import Role
from watercooler.identity.v1.identity_service_pb2 import GroupMember, GroupRecord, PersonRecord

from .mapping import ROLES, TARGETS, Condition, Part
from .readers.model import Record
from .values import Unusable, Value, found, moment, text, texts

_TRUE = frozenset({"true", "yes", "y", "1", "x", "on"})
PROFILE_TEXTS = tuple(name for name, kind in TARGETS["people"].items() if kind == "text" and name != "manager")
Lookups = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Context:
    """What a conversion needs besides the record."""

    part: Part
    lookups: Lookups
    zone: tzinfo

    def value(self, value: Value | None, record: Record) -> Any:
        """A value in a record; None where the record does not speak of it."""
        return value.of_record(record.fields, self.lookups) if value is not None else None

    def text(self, name: str, record: Record) -> str:
        """A target field as text without blanks around it; empty where there is none."""
        with _naming(name):
            return text(self.value(self.part.fields.get(name), record)).strip()

    def key(self, record: Record) -> str:
        """The record's key in its source."""
        return text(self.value(self.part.key, record)).strip()

    def time(self, name: str, record: Record) -> datetime | None:
        """A target field as a moment; None where it is empty."""
        shown = self.text(name, record)
        with _naming(name):
            return moment(shown, self.part.fields[name].dates, self.zone) if shown else None


@contextmanager
def _naming(field: str) -> Iterator[None]:
    try:
        yield
    except Unusable as error:
        raise Unusable(f"{field}: {error}") from None


def left_out(part: Part, record: Record) -> str:
    """Why the mapping leaves a record out; empty when it does not."""
    for condition in part.skip:
        if shown := _matched(condition, record):
            return f"left out by the mapping: {condition.field} is {shown[:60]}"
    for condition in part.only:
        if not _matched(condition, record):
            return f"left out by the mapping: {condition.field} is not {' or '.join(condition.values) or 'there'}"
    return ""


def _matched(condition: Condition, record: Record) -> str:
    values = texts(found(record.fields, condition.field))
    return next((value for value in values if not condition.values or value in condition.values), "")


def person(context: Context, record: Record, aliases: Mapping[str, str]) -> tuple[PersonRecord, bytes]:
    """A person and their photo, empty where there is none.

    Raises:
        Unusable: a value is not what the field takes.
    """
    part = context.part
    made = PersonRecord(place=record.place, external_id=context.key(record))
    named: list[str] = []
    for name in PROFILE_TEXTS:
        value = context.value(part.fields.get(name), record)
        if value is not None:
            with _naming(name):
                setattr(made.profile, name, text(value).strip())
            named.append(name)
    made.profile.handle = made.profile.handle.lower()
    if "languages" in part.fields and (languages := context.value(part.fields["languages"], record)) is not None:
        made.profile.languages.extend(texts(languages))
        named.append("languages")
    if (started := context.time("start_date", record)) is not None:
        made.profile.start_date = started.astimezone(context.zone).date().isoformat()
        named.append("start_date")
    for name, labels in part.maps.items():
        values = {label: context.value(value, record) for label, value in labels.items()}
        if any(value is not None for value in values.values()):
            getattr(made.profile, name).update({label: shown for label, value in values.items() if (shown := text(value).strip())})
            named.append(name)
    if "manager" in part.fields and (manager := context.value(part.fields["manager"], record)) is not None:
        key = text(manager).strip()
        made.manager_key, made.has_manager = aliases.get(key, key), True
    for role in texts(context.value(part.fields.get("roles"), record)):
        if role.lower() not in ROLES:
            raise Unusable(f"roles: {role[:40]!r} is no role: map it to one of {', '.join(ROLES)}")
        made.roles.append(Role.Value(f"ROLE_{role.upper()}"))
    if "left" in part.fields:
        made.left = context.text("left", record).lower() in _TRUE
        named.append("left")
    made.fields.extend(named)
    photo = context.value(part.fields.get("photo"), record)
    photo = photo[0] if isinstance(photo, list) and photo else photo
    return made, photo if isinstance(photo, bytes) else b""


def group(context: Context, record: Record) -> GroupRecord:
    """A group of the directory; raises as `person` does."""
    made = GroupRecord(
        place=record.place, external_id=context.key(record), name=context.text("name", record), kind=context.text("kind", record),
        parent_external_id=context.text("parent", record), description=context.text("description", record),
    )
    seen: set[str] = set()
    for value, role in context.part.members:
        for key in texts(context.value(value, record)):
            if key not in seen:
                seen.add(key)
                made.members.append(GroupMember(person_key=key, role=role))
    return made


def community(context: Context, record: Record) -> CommunityRecord:
    """A community; raises as `person` does."""
    kind = context.text("kind", record).lower() or "open"
    if kind not in ("open", "closed", "secret"):
        raise Unusable(f"kind: {kind[:40]!r} is none: map it to open, closed or secret")
    made = CommunityRecord(
        place=record.place, external_id=context.key(record), name=context.text("name", record),
        description=context.text("description", record), rules=context.text("rules", record),
        kind=feed_events.CommunityKind.Value(f"COMMUNITY_KIND_{kind.upper()}"),
    )
    lists = {"tags": made.tags, "owners": made.owner_keys, "moderators": made.moderator_keys, "members": made.member_keys}
    for name, into in lists.items():
        listed = texts(context.value(context.part.fields.get(name), record))
        into.extend(dict.fromkeys(map(_tag, listed) if name == "tags" else listed))
    if (created := context.time("create_time", record)) is not None:
        made.create_time.FromDatetime(created)
    return made


def _tag(name: str) -> str:
    """A topic's name as a tag can be written: `open-data` becomes open_data."""
    return re.sub(r"\W+", "_", name).strip("_")


def post(context: Context, record: Record) -> PostRecord:
    """A post; raises as `person` does."""
    made = PostRecord(
        place=record.place, external_id=context.key(record), author_key=context.text("author", record), body=context.text("body", record),
        language=context.text("language", record), community_external_id=context.text("community", record),
        parent_external_id=context.text("parent", record),
    )
    if (published := context.time("time", record)) is not None:
        made.publish_time.FromDatetime(published)
    return made
