"""The proof of reach as this deployment makes it: what is in it, and the key it is signed with."""
from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from libs.proofs import reach
from libs.proofs.merkle import MerkleRoot
from libs.rpc.auth import Keys, Signer
from libs.runtime.service import Context
from watercooler.feed.v1 import announcement_events_pb2 as events
from watercooler.feed.v1 import announcement_service_pb2 as api
from watercooler.feed.v1.announcement_events_pb2 import AudienceFrozen

from .queries import announcements as queries

FACTS_AT_ONCE = 1_000
PIECE_BYTES = 128 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES: dict[int, str] = {api.REACH_FACT_SHOWN: "shown", api.REACH_FACT_OPENED: "opened", api.REACH_FACT_CONFIRMED: "confirmed"}
_URGENCIES: dict[int, str] = {events.ANNOUNCEMENT_URGENCY_NORMAL: "normal", events.ANNOUNCEMENT_URGENCY_CONFIRM: "confirm"}


class ProofKeys:
    """The Ed25519 keys of proofs, read when first needed; in one process the first is made then."""

    def __init__(self, context: Context) -> None:
        """Where the settings say."""
        self._settings = context.settings
        self._keys: Keys | None = None

    def _held(self) -> Keys:
        if self._keys is None:
            shared = self._settings.proof_keys or self._settings.keys
            self._keys = Keys(shared or self._settings.data / "proof-keys", make=shared is None)
        return self._keys

    def signer(self) -> Signer:
        """What signs now; raises KeysUnusable where there is nothing."""
        return self._held().signer()

    def public(self) -> list[api.ProofKey]:
        """Every public key, the one that signs now first."""
        return [api.ProofKey(key_id=key_id, public_key=public_key) for key_id, public_key in self._held().public_keys()]


def written(micros: int) -> str:
    """A time as it stands in a proof."""
    return (_EPOCH + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def proof(context: Context, keys: ProofKeys, found: queries.Standing, *, pseudonymous: bool) -> AsyncIterator[bytes]:
    """The file, in pieces of about 128 KiB. Pseudonyms are made with a key that is forgotten when the file is written."""
    signer = keys.signer()
    secret = secrets.token_bytes(32)

    def name(person_id: str) -> str:
        return hmac.new(secret, person_id.encode(), sha256).hexdigest()[:32] if pseudonymous else person_id

    people = [
        name(person_id)
        for recorded in await context.events.read(f"audience-{found.announcement_id}")
        if isinstance(recorded.data, AudienceFrozen)
        for person_id in recorded.data.person_ids
    ]
    if pseudonymous:
        people.sort()
    tree = MerkleRoot()
    tree.extend(people)
    audience = {"kind": found.scope, **({"id": found.scope_id} if found.scope_id else {})}
    about = {
        "id": found.announcement_id, "author": found.author_id, "audience": audience, "urgency": _URGENCIES[found.urgency],
        "published": written(found.publish_time), **({"deadline": written(found.deadline_time)} if found.deadline_time else {}),
    }
    versions = [
        {
            "version": each.version, "time": written(each.version_time.ToMicroseconds()), "correction": each.correction,
            "sha256": each.text_digest,
        }
        for each in reversed(await queries.fetch_versions(context.database, found.announcement_id))
    ]
    writer = reach.ProofWriter()
    held = [writer.header(
        announcement=about, versions=versions, audience_count=len(people), audience_root=tree.root,
        log_audience_root=found.audience_digest, ids="pseudonymous" if pseudonymous else "real",
        exported=context.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), key_id=signer.key_id, public_key=signer.public_key,
    )]
    for ids in _pieces(people, reach.IDS_A_LINE):
        held.append(writer.audience(ids))
        if sum(map(len, held)) > PIECE_BYTES:
            yield b"".join(held)
            held = []
            await asyncio.sleep(0)
    position = 0
    while rows := await queries.facts(context.database, found.announcement_id, position, FACTS_AT_ONCE):
        for row in rows:
            held.append(
                writer.fact(row["position"], written(row["fact_time"]), name(row["person_id"]), _NAMES[row["fact"]], row["version"])
            )
        position = rows[-1]["position"]
        yield b"".join(held)
        held = []
        await asyncio.sleep(0)
    held.append(writer.footer(signer.sign))
    yield b"".join(held)


def _pieces(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), size):
        yield values[start:start + size]
