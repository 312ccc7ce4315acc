"""Finds people by whatever an outside source calls them."""
from __future__ import annotations

import re
from collections.abc import Iterable

from libs.db.database import Transaction
from libs.eventstore.model import InvalidArgument
from watercooler.identity.v1.events_pb2 import Profile

from .. import profiles, queries
from ..profiles import fold, fold_key

_SOURCE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")


def check_source(source: str) -> None:
    """Refuse what is no short name of a source.

    Raises:
        InvalidArgument: naming the field.
    """
    if not _SOURCE.fullmatch(source):
        raise InvalidArgument("a source has a short name of a-z, 0-9, -, _ and ., such as hr-export", "source")


class KeyBook:
    """Finds people by whatever a source calls them: its own key, e-mail address, employee number, handle, or a name that is unique."""

    def __init__(self, source: str) -> None:
        """Empty, for one source."""
        self._source = source
        self._external: dict[str, str] = {}
        self._emails: dict[str, str] = {}
        self._numbers: dict[str, str] = {}
        self._handles: dict[str, str] = {}
        self._names: dict[str, list[str]] = {}

    async def load(self, tx: Transaction, keys: Iterable[str], external: Iterable[str] = ()) -> None:
        """Look up keys all at once."""
        wanted = [key.strip() for key in keys if key.strip()]
        folded = [fold_key(key) for key in wanted]
        self._external |= await queries.ids_by_external_key(tx, [self.external_key(key) for key in (*wanted, *external)])
        self._emails |= await queries.ids_by(tx, "email_key", (key for key in folded if "@" in key))
        self._numbers |= await queries.ids_by(tx, "employee_number_key", folded)
        self._handles |= await queries.ids_by(tx, "handle_key", folded)
        self._names |= await queries.ids_by_name(tx, map(fold, wanted))

    def external_key(self, external_id: str) -> str:
        """The key of this source under which a person or group is kept."""
        return f"{self._source}:{external_id}"

    def by_external_id(self, external_id: str) -> str:
        """The person with a key of the source; empty when there is none."""
        return self._external.get(self.external_key(external_id), "") if external_id else ""

    def by_email(self, email: str) -> str:
        """The person with an e-mail address; empty when there is none."""
        return self._emails.get(fold_key(email), "") if email else ""

    def by_number(self, number: str) -> str:
        """The person with an employee number; empty when there is none."""
        return self._numbers.get(fold_key(number), "") if number else ""

    def by_handle(self, handle: str) -> str:
        """The person with a handle; empty when there is none."""
        return self._handles.get(fold_key(handle), "") if handle else ""

    def find(self, key: str) -> str:
        """The one person a key can mean; empty when there is none, or no single one."""
        key = key.strip()
        found = self.by_external_id(key) or self.by_email(key) or self.by_number(key) or self.by_handle(key)
        named = self._names.get(fold(key), [])
        return found or (named[0] if len(named) == 1 else "")

    def add(self, person_id: str, profile: Profile, external_id: str) -> None:
        """Remember a person whom this import adds or changes."""
        if external_id:
            self._external[self.external_key(external_id)] = person_id
        for book, key in ((self._emails, profile.email), (self._numbers, profile.employee_number), (self._handles, profile.handle)):
            if key:
                book[fold_key(key)] = person_id
        named = self._names.setdefault(fold(profiles.display_name(profile)), [])
        if person_id not in named:
            named.append(person_id)
