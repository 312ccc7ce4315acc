"""The AsyncAPI 3 document of the network's events."""
from __future__ import annotations

import msgspec
from litestar import get
from litestar.response.base import ASGIResponse

from libs.runtime import asyncapi
from libs.runtime.service import Context

from ..http import AnyRequest, gateway

# The last one made and for which network: one a process, but for tests.
_encoded: list[tuple[Context, bytes]] = []


@get("/api/asyncapi.json", include_in_schema=False)
async def asyncapi_json(request: AnyRequest) -> ASGIResponse:
    """The AsyncAPI document; it says how events look and travel, and names no broker, user or person."""
    context = gateway(request).context
    if not _encoded or _encoded[0][0] is not context:
        _encoded[:] = [(context, msgspec.json.encode(asyncapi.document(context.services, context.settings)))]
    return ASGIResponse(body=_encoded[0][1], media_type="application/json", headers={"cache-control": "no-cache"})
