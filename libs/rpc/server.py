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

Behaviour = Callable[[Any, Any], Awaitable[Any]]

_log = logs.get_logger(__name__)


def around(path: str, behaviour: Behaviour, tokens: auth.Tokens) -> Callable[[Any, Any, str, str, float], Awaitable[Any]]:
    """Wrap a servicer's method; the result is called with request, context, token, traceparent and seconds to the deadline.

    What the domain refuses becomes an `RpcError` with status details; what nobody foresaw is logged and becomes INTERNAL
    without saying what.
    """
    service, method = path.lstrip("/").split("/")
    observe = metrics.RPC_SERVER_DURATION

    async def call(request: Any, context: Any, token: str, traceparent: str, deadline_seconds: float) -> Any:
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            with traces.span(path, parent=traceparent), auth.called_by(tokens.check(token) if token else None), auth.acting(token):
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
            raise errors.rpc_error(problem) from error
        finally:
            observe.labels(service=service, method=method, code=code.name).observe(time.perf_counter() - started)

    return call
