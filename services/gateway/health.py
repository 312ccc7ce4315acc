"""For those who operate the network: is it alive, is it ready, what does it measure."""
from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get

from libs.telemetry import metrics

from .http import AnyRequest, gateway


@get("/healthz", include_in_schema=False)
async def healthz() -> Response[bytes]:
    """200 while the process answers at all."""
    return Response(b'{"status":"ok"}', media_type="application/json", headers={"cache-control": "no-store"})


@get("/readyz", include_in_schema=False)
async def readyz(request: AnyRequest) -> Response[bytes]:
    """200 when every read model has taken all events there are, else 503 with those that are behind and by how many events."""
    behind = {name: count for name, count in (await gateway(request).context.caught_up()).items() if count}
    body = msgspec.json.encode({"status": "behind" if behind else "ready", "behind": behind})
    return Response(body, status_code=503 if behind else 200, media_type="application/json", headers={"cache-control": "no-store"})


@get("/metrics", include_in_schema=False)
async def exposed_metrics(request: AnyRequest) -> Response[bytes]:
    """All metrics, in OpenMetrics or Prometheus text."""
    body, media_type = metrics.exposition(request.headers.get("accept", ""))
    return Response(body, media_type=media_type, headers={"cache-control": "no-store"})


route_handlers: list[Any] = [healthz, readyz, exposed_metrics]
