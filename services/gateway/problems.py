"""Failures as people and programs are told of them: problem details (RFC 9457), whatever failed and wherever."""
from __future__ import annotations

from http import HTTPStatus
from typing import Any

import grpc
import msgspec
from litestar.exceptions import HTTPException

from libs.rpc import errors
from libs.telemetry import logs, traces

MEDIA_TYPE = "application/problem+json"

_log = logs.get_logger(__name__)

_STATUS: dict[grpc.StatusCode, tuple[int, str]] = {
    grpc.StatusCode.INVALID_ARGUMENT: (400, "invalid_argument"),
    grpc.StatusCode.OUT_OF_RANGE: (400, "invalid_argument"),
    grpc.StatusCode.UNAUTHENTICATED: (401, "unauthenticated"),
    grpc.StatusCode.PERMISSION_DENIED: (403, "permission_denied"),
    grpc.StatusCode.NOT_FOUND: (404, "not_found"),
    grpc.StatusCode.ALREADY_EXISTS: (409, "already_exists"),
    grpc.StatusCode.ABORTED: (409, "edit_conflict"),
    grpc.StatusCode.FAILED_PRECONDITION: (409, "failed_precondition"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (429, "too_many_requests"),
    grpc.StatusCode.UNAVAILABLE: (503, "unavailable"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (503, "unavailable"),
    grpc.StatusCode.CANCELLED: (503, "unavailable"),
}
_CODES = {
    400: "invalid_argument", 401: "unauthenticated", 403: "permission_denied", 404: "not_found", 405: "method_not_allowed",
    408: "timeout", 409: "failed_precondition", 412: "precondition_failed", 413: "too_large", 415: "unsupported_media_type",
    422: "idempotency_key_reused", 429: "too_many_requests", 500: "internal", 503: "unavailable",
}


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Problem details (RFC 9457): `code` is for programs, `detail` for people, `field` names what is at fault in the request."""

    status: int
    title: str
    type: str = "about:blank"
    code: str = ""
    detail: str = ""
    field: str = ""
    retry_after_seconds: int = 0
    # By this id the failure is found in the log.
    trace_id: str = ""


class Refusal(Exception):
    """The request is refused; the text is for whoever sent it."""

    def __init__(
        self, status: int, detail: str, *, field: str = "", code: str = "", retry_seconds: int = 0, headers: dict[str, str] | None = None
    ) -> None:
        """Refuse with an HTTP status; `field` names the part of the request at fault, where it is one."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.code = code or _CODES.get(status, "refused")
        self.retry_seconds = retry_seconds
        self.headers = dict(headers or {})

    @property
    def details(self) -> ProblemDetails:
        """What is sent."""
        return ProblemDetails(
            status=self.status, title=phrase(self.status), code=self.code, detail=self.detail, field=self.field,
            retry_after_seconds=self.retry_seconds, trace_id=traces.trace_id(),
        )

    def response_headers(self) -> dict[str, str]:
        """The headers that belong to the refusal."""
        headers = dict(self.headers)
        if self.retry_seconds:
            headers["retry-after"] = str(self.retry_seconds)
        if self.status == 401:
            headers.setdefault("www-authenticate", 'Bearer realm="watercooler"')
        return headers


def phrase(status: int) -> str:
    """The words of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"


def refusal_of(error: BaseException, stale_is_precondition: bool = False) -> Refusal:
    """What an exception means for whoever sent the request; what nobody foresaw is logged and says nothing of itself.

    `stale_is_precondition` is true where the request named a version: then a lost edit is 412, not 409.
    """
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException):
        return _of_litestar(error)
    problem = errors.problem_of(error) if isinstance(error, Exception) else None
    if problem is None:
        _log.error("request failed", exc_info=error)
        return Refusal(500, "Something went wrong here. It is logged under the trace id and will be looked at.")
    if errors.is_token_refused(problem):  # the tokens between services are ours: whoever sent the request has nothing to mend
        _log.error("a service does not take our tokens: do clocks or keys differ?", reason=problem.reason)
        return Refusal(503, "a part of the network does not answer just now: try again in a moment", retry_seconds=errors.RETRY_SECONDS)
    status, code = _STATUS.get(problem.code, (500, "internal"))
    if problem.code is grpc.StatusCode.ABORTED and stale_is_precondition:
        status, code = 412, "precondition_failed"
    retry = problem.retry_seconds or (errors.RETRY_SECONDS if status in (429, 503) else 0)
    return Refusal(status, problem.reason, field=problem.field, code=code, retry_seconds=retry)


def _of_litestar(error: HTTPException) -> Refusal:
    details: dict[int, str] = {
        404: "There is nothing at this address.",
        405: "This address does not take that method: see the Allow header.",
        413: "The request is too large.",
    }
    return Refusal(error.status_code, details.get(error.status_code, str(error.detail)), headers=_headers(error))


def _headers(error: HTTPException) -> dict[str, str]:
    found: Any = error.headers or {}
    return {str(name).lower(): str(value) for name, value in found.items()}
