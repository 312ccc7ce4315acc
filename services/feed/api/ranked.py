"""The ranked timeline, whose token holds an order instead of a place in one."""
from __future__ import annotations

import base64
import binascii
from datetime import datetime

from libs.db.database import Database
from libs.eventstore.model import InvalidArgument, micros
from libs.rpc.auth import Caller
from watercooler.feed.v1 import feed_service_pb2 as api

from ..queries import ranking
from .base import bad_token, page_size

TOKEN_CHARACTERS = 1_000


async def ranked_page(database: Database, caller: Caller, request: api.ListTimelineRequest, now: datetime) -> api.ListTimelineResponse:
    """A page of what is likely to matter to the caller, with reasons."""
    if request.after_id or request.before_id or request.from_oldest:
        raise InvalidArgument("the ranked timeline is paged by page_token only: its order is not that of time", "after_id")
    if len(request.page_token) > TOKEN_CHARACTERS:
        raise bad_token()
    try:
        pinned = base64.urlsafe_b64decode(request.page_token + "=" * (-len(request.page_token) % 4))
        async with database.snapshot() as tx:
            posts, rest = await ranking.read_ranked(
                tx, caller, pinned, page_size(request.page_size), micros(now), pictures=request.only_attachments
            )
    except (ranking.BadPin, ValueError, binascii.Error) as error:
        raise bad_token() from error
    return api.ListTimelineResponse(posts=posts, next_page_token=base64.urlsafe_b64encode(rest).rstrip(b"=").decode())
