"""Personal data in events: sealed with a key per person, gone for good when the key is.

The fields marked `(watercooler.options.v1.personal)` are cut out of a message into a second message of the same type, which is
encrypted with AES-256-GCM under the key of the person that the message option `subject` names. Reading merges the two again
(concatenated protobuf messages merge: https://protobuf.dev/programming-guides/encoding/#last-one-wins).
"""
from __future__ import annotations

import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import Message

from libs.db.database import Reader, Transaction
from watercooler.options.v1 import options_pb2

NONCE_BYTES = 12
CACHED_KEYS = 50_000

# Ciphers by person; None for one whose key has just been destroyed.
Ciphers = dict[str, AESGCM | None]


@dataclass(frozen=True, slots=True)
class Marks:
    """What the options of a message type say: whose the personal fields are, which they are, and whether the event erases."""

    subject: str
    personal: tuple[str, ...]
    erases: bool
    # The personal fields by how they are copied: messages and lists; plain values; of these, those that may be absent.
    copied: tuple[str, ...]
    assigned: tuple[str, ...]
    optional: frozenset[str]


_marks: dict[type[Message], Marks] = {}


def marks(message_type: type[Message]) -> Marks:
    """The personal-data options of a message type.

    Raises:
        TypeError: it has personal fields but names no subject, or the subject field does not exist.
    """
    found = _marks.get(message_type)
    if found is None:
        found = _marks[message_type] = _read_marks(message_type)
    return found


def _read_marks(message_type: type[Message]) -> Marks:
    descriptor = message_type.DESCRIPTOR
    options = descriptor.GetOptions()
    subject = options.Extensions[options_pb2.subject]
    personal = tuple(field.name for field in descriptor.fields if field.GetOptions().Extensions[options_pb2.personal])
    erases = options.Extensions[options_pb2.erases]
    if (personal or erases) and subject not in descriptor.fields_by_name:
        raise TypeError(f"{descriptor.full_name}: personal fields need the option `subject` to name a field of the message")
    fields = [descriptor.fields_by_name[name] for name in personal]
    copied = tuple(field.name for field in fields if field.message_type is not None or field.is_repeated)
    optional = frozenset(field.name for field in fields if field.has_presence)
    return Marks(subject, personal, erases, copied, tuple(name for name in personal if name not in copied), optional)


class Keyring:
    """The keys of one service's `person_keys` table, with those in use held in memory."""

    def __init__(self) -> None:
        self._ciphers: Ciphers = {}
        self.forgotten = 0
        """How often a key was dropped: what was opened before may hold what nobody may read any more."""

    async def seal(self, event: Message, tx: Transaction, now: int, fresh: Ciphers) -> tuple[bytes, bytes | None]:
        """The open and the sealed part of an event, both serialized; a missing key is made in `tx` and noted in `fresh`."""
        mark = marks(type(event))
        if not mark.personal:
            return event.SerializeToString(), None
        person_id = getattr(event, mark.subject)
        cipher = fresh[person_id] if person_id in fresh else self._ciphers.get(person_id) or await self._key(person_id, tx)
        if cipher is None:
            secret = os.urandom(32)
            await tx.execute(
                """
                INSERT INTO person_keys (person_id, secret, create_time) VALUES (:person_id, :secret, :now)
                ON CONFLICT (person_id) DO NOTHING
                """,
                person_id=person_id, secret=secret, now=now,
            )
            cipher = await self._key(person_id, tx)
            assert cipher is not None
            fresh[person_id] = cipher
        open_part = type(event)()
        open_part.CopyFrom(event)
        for name in mark.personal:
            open_part.ClearField(name)
        hidden = type(event)()
        for name in mark.copied:
            if name not in mark.optional or event.HasField(name):
                getattr(hidden, name).MergeFrom(getattr(event, name))
        for name in mark.assigned:
            if name not in mark.optional or event.HasField(name):
                setattr(hidden, name, getattr(event, name))
        nonce = os.urandom(NONCE_BYTES)
        return open_part.SerializeToString(), nonce + cipher.encrypt(nonce, hidden.SerializeToString(), person_id.encode())

    async def open(self, event: Message, sealed: bytes, reader: Reader) -> bool:
        """Merge the sealed part into the event; False when the key is gone and with it the personal fields."""
        person_id = getattr(event, marks(type(event)).subject)
        if self._ciphers.get(person_id) is None:
            cipher = await self._key(person_id, reader)
            if cipher is None:
                return False
            self.remember({person_id: cipher})
        return bool(self.opened(event, sealed, person_id))

    def opened(self, event: Message, sealed: bytes, person_id: str) -> bool | None:
        """As `open`, at once; None when the person's key is not in memory and must be looked up."""
        cipher = self._ciphers.get(person_id)
        if cipher is None:
            return None
        try:
            event.MergeFromString(cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], person_id.encode()))
        except InvalidTag:  # sealed under a key that was erased; the person has a new one since
            return False
        return True

    def remember(self, ciphers: Ciphers) -> None:
        """Hold keys whose rows are committed."""
        if len(self._ciphers) + len(ciphers) > CACHED_KEYS:
            self._ciphers.clear()
        self._ciphers.update(ciphers)

    def forget(self, person_id: str) -> None:
        """Drop a key from memory."""
        self.forgotten += 1
        self._ciphers.pop(person_id, None)

    @staticmethod
    async def destroy(person_id: str, tx: Transaction) -> None:
        """Delete a person's key: from the commit on, nobody can read what it sealed."""
        await tx.execute("DELETE FROM person_keys WHERE person_id = :person_id", person_id=person_id)

    @staticmethod
    async def _key(person_id: str, reader: Reader) -> AESGCM | None:
        row = await reader.fetch_one("SELECT secret FROM person_keys WHERE person_id = :person_id", person_id=person_id)
        return AESGCM(bytes(row["secret"])) if row else None
