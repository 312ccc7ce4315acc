"""What surrounds every servicer method, in one process and over the network alike: caller, deadline, trace, metrics, errors."""
from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from libs.telemetry import logs, metrics, traces

from . import auth, errors

DEADLINE_SECONDS = 2.0
# What makes calls unavailable lasts, a full disk above all: it is told once in a while and not by every call.
UNAVAILABLE_TOLD_SECONDS = 10.0

Behaviour = Callable[[Any, Any], Awaitable[Any]]

_log = logs.get_logger(__name__)


def around(path: str, behaviour: Behaviour, tokens: auth.Tokens) -> Callable[[Any, Any, str, str, float], Awaitable[Any]]:
    """Wrap a servicer's method; the result is called with request, context, token, traceparent and seconds to the deadline.

    What the domain refuses becomes an `RpcError` with status details; what nobody foresaw is logged and becomes INTERNAL
    without saying what.
    """
    service, method = path.lstrip("/").split("/")
    observe = metrics.RPC_SERVER_DURATION
    told = -UNAVAILABLE_TOLD_SECONDS

    async def call(request: Any, context: Any, token: str, traceparent: str, deadline_seconds: float) -> Any:
        nonlocal told
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        with traces.span(path, parent=traceparent):
            try:
                with auth.called_by(tokens.check(token) if token else None), auth.acting(token):
                    async with asyncio.timeout(deadline_seconds):
                        return await behaviour(request, context)
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:
                problem = errors.problem_of(error)
                if problem is None:
                    _log.exception("call failed", method=path)
                    problem = errors.Problem(grpc.StatusCode.INTERNAL, "something went wrong here; it is logged and will be looked at")
                code = problem.code
                if code is grpc.StatusCode.UNAVAILABLE and started - told >= UNAVAILABLE_TOLD_SECONDS:
                    told = started
                    _log.warning("call not possible now", method=path, reason=problem.reason)
                raise errors.rpc_error(problem) from error
            finally:
                seconds = time.perf_counter() - started
                observe.labels(service=service, method=method, code=code.name).observe(seconds)
                _log.debug("call", method=path, code=code.name, seconds=round(seconds, 6))

    return call
