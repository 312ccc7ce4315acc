"""Confirming an announcement: by its own call, and by the button of its post."""
from __future__ import annotations

from libs.eventstore.model import InvalidArgument, NotFound, Rejected
from libs.rpc.auth import Caller
from libs.telemetry import metrics
from libs.text.ids import pair_id

from ..commands.announcements import ConfirmAnnouncement
from ..deciders import receipt
from ..queries import announcements as queries
from .base import Calls

NO_ANNOUNCEMENT = "there is no such announcement, or it is not for you to see"


async def confirm(calls: Calls, caller: Caller, announcement_id: str, version: int = 0, request_id: str = "") -> None:
    """Record that the caller has read a version of an announcement they may see; 0 for the one that counts now."""
    async with calls.database.snapshot() as tx:
        found = (await queries.fetch_announcements(tx, caller, (announcement_id,))).get(announcement_id)
    if found is None:
        raise NotFound(NO_ANNOUNCEMENT)
    if found.withdrawn or found.erased:
        raise Rejected("the text of this announcement is gone: there is nothing to confirm")
    if not 0 <= version <= found.version:
        raise InvalidArgument(f"there is no version {version} of it", "version")
    command = ConfirmAnnouncement(
        announcement_id=announcement_id, person_id=caller.person_id, version=version or found.version, now=calls.now()
    )
    stream = f"receipt-{pair_id(announcement_id, caller.person_id)}"
    done = await calls.handle(caller, receipt, stream, command, request_id)
    if done.position:
        metrics.ENGAGEMENT_ACTIONS.labels(kind="confirm").inc()
        metrics.READ_CONFIRMATIONS.inc()


async def confirm_where_announced(calls: Calls, caller: Caller, post_id: str) -> None:
    """The confirmation that belongs to reading an announcement's post; nothing for other posts."""
    if await queries.standing(calls.database, post_id) is not None:
        await confirm(calls, caller, post_id)
