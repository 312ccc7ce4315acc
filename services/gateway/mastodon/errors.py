"""Failures as Mastodon's clients read them: `{"error": "..."}` under the status that Mastodon gives."""
from __future__ import annotations

import msgspec

from ..problems import Refusal

# What a service calls invalid, or not possible as things stand, is for Mastodon a failed validation.
_STATUS = {400: 422, 409: 422, 412: 409}


def status_of(refusal: Refusal) -> int:
    """The HTTP status of a refusal on Mastodon's paths."""
    if refusal.code in ("edit_conflict", "in_flight", "answer_not_kept"):
        return 409
    if refusal.status == 400 and refusal.code != "invalid_argument":
        return 400
    return _STATUS.get(refusal.status, refusal.status)


def body_of(refusal: Refusal) -> bytes:
    """What is sent: the text for people, and for programs the code and the field at fault."""
    error: dict[str, object] = {"error": refusal.detail}
    if refusal.code:
        error["code"] = refusal.code
    if refusal.field:
        error["details"] = {refusal.field: [{"error": "ERR_INVALID", "description": refusal.detail}]}
    return msgspec.json.encode(error)


def not_found() -> Refusal:
    """What does not exist, and what one may not know of, answer alike."""
    return Refusal(404, "Record not found")


def invalid(detail: str, field: str = "") -> Refusal:
    """A request that cannot be done as it is."""
    return Refusal(422, f"Validation failed: {detail}", field=field, code="invalid_argument")


def lacks(scope: str) -> Refusal:
    """An access token without the scope."""
    return Refusal(
        403, f"This action is outside the authorized scopes: it needs {scope}.", code="insufficient_scope",
        headers={"www-authenticate": f'Bearer realm="watercooler", error="insufficient_scope", scope="{scope}"'},
    )
