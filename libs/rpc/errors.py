"""One mapping between what the domain refuses and gRPC status, in both directions.

Codes after AIP-193; the field at fault travels as google.rpc.BadRequest and a time to wait as google.rpc.RetryInfo in the status
details (google.golang.org/genproto names; https://google.aip.dev/193).
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from libs.db.database import DatabaseAway, DatabaseBusy, StatementTimeout, StorageFull, UnstorableText
from libs.eventstore.model import AlreadyExists, Conflict, EditConflict, InvalidArgument, NotFound, PermissionDenied, Rejected
from libs.searchindex.index import IndexAway

from .auth import TokenRefused, Unauthenticated

DETAILS_KEY = "grpc-status-details-bin"
RETRY_SECONDS = 5
# The reason travels three times in headers, which have a limit; a sentence for people is shorter.
REASON_CHARACTERS_MAX = 1_000

RpcError = grpc.aio.AioRpcError


class ResourceExhausted(Rejected):
    """A limit in time is reached: too many attempts."""

    def __init__(self, reason: str, retry_seconds: int) -> None:
        """Refuse until `retry_seconds` from now."""
        super().__init__(reason)
        self.retry_seconds = retry_seconds


@dataclass(frozen=True, slots=True)
class Problem:
    """A failed call in the terms of its status."""

    code: grpc.StatusCode
    reason: str
    field: str = ""
    retry_seconds: int = 0


_CODES: tuple[tuple[type[Exception], grpc.StatusCode], ...] = (
    (InvalidArgument, grpc.StatusCode.INVALID_ARGUMENT),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (PermissionDenied, grpc.StatusCode.PERMISSION_DENIED),
    (AlreadyExists, grpc.StatusCode.ALREADY_EXISTS),
    (EditConflict, grpc.StatusCode.ABORTED),
    (Conflict, grpc.StatusCode.ABORTED),
    (ResourceExhausted, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Rejected, grpc.StatusCode.FAILED_PRECONDITION),
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (StorageFull, grpc.StatusCode.UNAVAILABLE),
    (DatabaseBusy, grpc.StatusCode.UNAVAILABLE),
    (IndexAway, grpc.StatusCode.UNAVAILABLE),
    (UnstorableText, grpc.StatusCode.INVALID_ARGUMENT),
    (StatementTimeout, grpc.StatusCode.DEADLINE_EXCEEDED),
    (TimeoutError, grpc.StatusCode.DEADLINE_EXCEEDED),
    (NotImplementedError, grpc.StatusCode.UNIMPLEMENTED),
)


# Their own messages name servers, which is for the log.
_AWAY: dict[type[Exception], str] = {
    DatabaseAway: "the database does not answer just now: try again in a moment",
    IndexAway: "search does not answer just now: try again in a moment",
}


def problem_of(error: Exception) -> Problem | None:
    """The status an exception stands for; None for what nobody foresaw."""
    if isinstance(error, RpcError):
        return read(error)
    for kind, code in _CODES:
        if isinstance(error, kind):
            if isinstance(error, Conflict):
                return Problem(code, "somebody changed this at the same moment: look at it again and repeat")
            if isinstance(error, TimeoutError):
                return Problem(code, "this took too long and was given up: try again", retry_seconds=RETRY_SECONDS)
            if type(error) in _AWAY:
                return Problem(code, _AWAY[type(error)], retry_seconds=RETRY_SECONDS)
            retry = getattr(error, "retry_seconds", RETRY_SECONDS if code is grpc.StatusCode.UNAVAILABLE else 0)
            return Problem(code, str(error), getattr(error, "field", ""), retry)
    return None


def is_token_refused(problem: Problem) -> bool:
    """Whether a service did not take the token of the call itself, which those who sign tokens bring into order and no person can."""
    return problem.code is grpc.StatusCode.UNAUTHENTICATED and problem.field == TokenRefused.field


def rpc_error(problem: Problem) -> grpc.aio.AioRpcError:
    """The exception that a caller of the failed method sees."""
    if len(problem.reason) > REASON_CHARACTERS_MAX:
        problem = replace(problem, reason=problem.reason[: REASON_CHARACTERS_MAX - 3] + "...")
    return grpc.aio.AioRpcError(
        problem.code, grpc.aio.Metadata(), grpc.aio.Metadata((DETAILS_KEY, details(problem))), details=problem.reason
    )


def details(problem: Problem) -> bytes:
    """The google.rpc.Status of a problem, serialized for the trailing metadata."""
    status = status_pb2.Status(code=problem.code.value[0], message=problem.reason)
    if problem.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=problem.field, description=problem.reason)
        _pack(status, error_details_pb2.BadRequest(field_violations=[violation]))
    if problem.retry_seconds:
        _pack(status, error_details_pb2.RetryInfo(retry_delay=Duration(seconds=problem.retry_seconds)))
    serialized: bytes = status.SerializeToString()
    return serialized


def _pack(status: status_pb2.Status, detail: error_details_pb2.BadRequest | error_details_pb2.RetryInfo) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)


def read(error: grpc.aio.AioRpcError) -> Problem:
    """The problem a failed call reports, with field and waiting time where the server gave them."""
    field, retry = "", 0
    for key, value in error.trailing_metadata() or ():
        if key != DETAILS_KEY:
            continue
        for packed in status_pb2.Status.FromString(value if isinstance(value, bytes) else value.encode("latin-1")).details:
            bad, wait = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
            if packed.Unpack(bad) and bad.field_violations:
                field = bad.field_violations[0].field
            elif packed.Unpack(wait):
                retry = wait.retry_delay.seconds
    return Problem(error.code(), error.details() or "", field, retry)
