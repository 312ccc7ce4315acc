"""Requests that their receiver can check: Standard Webhooks (https://www.standardwebhooks.com, version 1.0.0)."""
from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def new_secret() -> str:
    """A secret for both sides."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers_of(secrets_: Sequence[str], message_id: str, seconds: int, body: bytes) -> dict[str, str]:
    """The headers by which a receiver knows whom a body is from, and when it was sent; one signature for each secret."""
    signed = b"%s.%d.%s" % (message_id.encode(), seconds, body)
    signatures = [
        "v1," + base64.b64encode(hmac.digest(base64.b64decode(each.removeprefix(PREFIX)), signed, hashlib.sha256)).decode()
        for each in secrets_
    ]
    return {
        "content-type": "application/json", "user-agent": "Watercooler-Webhooks", "webhook-id": message_id,
        "webhook-timestamp": str(seconds), "webhook-signature": " ".join(signatures),
    }
