"""What ends with a web session that nobody ended: its time was up."""
from __future__ import annotations

from datetime import datetime

from libs.rpc import auth
from libs.rpc.errors import RpcError
from libs.telemetry import logs
from watercooler.feed.v1 import delivery_service_pb2 as delivery

from .http import Gateway

_log = logs.get_logger(__name__)


async def end_expired_pushes(gateway: Gateway, now: datetime) -> None:
    """Push no more to the browsers of sessions that have expired; where feed is away, they end with their push service."""
    for each in await gateway.sessions.expired(now):
        caller = auth.Caller(person_id=each.person_id, scopes=frozenset({"read", "write"}))
        ending = delivery.UnsubscribePushRequest(holder=f"session:{each.session_id}", signed_out=True)
        with auth.acting(gateway.context.tokens.sign(caller)):
            try:
                await gateway.clients.delivery.UnsubscribePush(ending)
            except RpcError as error:
                _log.info("the push subscription of an expired session stays for now", reason=error.code().name)
