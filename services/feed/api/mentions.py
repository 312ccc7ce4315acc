"""Whom a text may call besides people."""
from __future__ import annotations

from typing import Any

from libs.eventstore.model import InvalidArgument
from libs.rpc import auth
from watercooler.feed.v1 import mention_service_pb2 as api
from watercooler.feed.v1.mention_service_pb2_grpc import MentionServiceServicer

from ..queries import mentions as queries
from .base import Calls, page_size

QUERY_CHARACTERS = 100


class MentionApi(Calls, MentionServiceServicer):
    """MentionService."""

    async def SuggestMentions(self, request: api.SuggestMentionsRequest, context: Any) -> api.SuggestMentionsResponse:
        """Communities and groups that begin so."""
        if len(request.query) > QUERY_CHARACTERS:
            raise InvalidArgument(f"the beginning of a name has at most {QUERY_CHARACTERS} characters", "query")
        size = page_size(request.page_size)
        async with self.database.snapshot() as tx:
            return api.SuggestMentionsResponse(mentions=await queries.suggest(tx, auth.caller(), request.query.strip().lstrip("@"), size))
