"""What went wrong, in the words of RFC 6749 section 5.2 and of Mastodon's client API."""
from __future__ import annotations

from typing import Final

import grpc
import msgspec

from libs.rpc import errors

from ..problems import Refusal, refusal_of
from .paths import is_protocol

BASIC: Final = {"www-authenticate": 'Basic realm="watercooler"'}
# The field at fault, as identity names it, in the protocol's words.
_CODES: Final = {
    "code": "invalid_grant", "scopes": "invalid_scope", "grant_type": "unauthorized_client", "app_id": "invalid_client",
    "redirect_uri": "invalid_grant",
}


def refused(code: str, detail: str, status: int = 400, headers: dict[str, str] | None = None) -> Refusal:
    """A refusal with an error code of the protocol."""
    return Refusal(status, detail, code=code, headers=headers)


def of_service(error: Exception, *, basic: bool = False) -> Refusal:
    """What a refused call to identity means to an app; `basic` where it showed its secret by HTTP Basic."""
    problem = errors.problem_of(error)
    found = refusal_of(error)
    if problem is None or found.status in (429, 503):
        return found
    if problem.code is grpc.StatusCode.UNAUTHENTICATED:
        return refused("invalid_client", found.detail, 401, dict(BASIC) if basic else {})
    code = _CODES.get(found.field, "invalid_request")
    return refused(code, found.detail, 401 if code == "invalid_client" else 400)


def oauth_refusal(path: str, refusal: Refusal) -> tuple[int, bytes]:
    """Status and body of a refusal at an address of OAuth."""
    if is_protocol(path):
        return refusal.status, msgspec.json.encode({"error": refusal.code, "error_description": refusal.detail})
    # A validation that failed is 422 in Mastodon's client API.
    status = 422 if refusal.status in (400, 409) else refusal.status
    return status, msgspec.json.encode({"error": refusal.detail, "error_description": refusal.detail})
