"""Neighbours that may be away: what a page can do without is asked for a short time, and not again for a while after that failed."""
from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, TypeVar

from libs.rpc.errors import RpcError
from libs.telemetry import logs

from .http import AnyRequest, gateway
from .parties import is_away

OPTIONAL_SECONDS: Final = 1.5
AWAY_SECONDS: Final = 3.0

Name = Literal["identity", "feed", "search"]
T = TypeVar("T")

_log = logs.get_logger(__name__)


async def spared(request: AnyRequest, service: Name, call: Callable[[], Awaitable[T]], otherwise: Any = None) -> T | Any:
    """The answer of a call that a page can do without, or `otherwise` where the service is away; other failures are raised."""
    away = gateway(request).site.away
    if away.get(service, 0.0) > time.monotonic():
        return otherwise
    try:
        async with asyncio.timeout(OPTIONAL_SECONDS):
            return await call()
    except (RpcError, TimeoutError) as error:
        if not is_away(error):
            raise
        away[service] = time.monotonic() + AWAY_SECONDS
        _log.info("a page goes without", neighbour=service, reason=str(error) or type(error).__name__)
        return otherwise
