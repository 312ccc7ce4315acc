"""Hands messages to push services (RFC 8030)."""
from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from urllib.parse import urlsplit

from libs.fetch import FetchFailed, FetchRefused, Limits, check_url, fetch

from .messages import NoPublicKey, SigningKey, b64, encrypt

Urgency = Literal["very-low", "low", "normal", "high"]

_LIMITS: Final = Limits(seconds=10.0, bytes_max=16_384, cut=True)
PAUSE_SECONDS_MAX: Final = 86_400


class Outcome(enum.Enum):
    """What became of a message: the service took it; there is no such subscription any more; later, perhaps; never."""

    SENT = "sent"
    GONE = "gone"
    LATER = "later"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Sent:
    """The outcome; `pause_seconds` is how long the service asks to wait, 0 where it does not say."""

    outcome: Outcome
    reason: str = ""
    pause_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Device:
    """Where to send, and for whom to encrypt."""

    endpoint: str
    public_key: bytes
    secret: bytes


def topic_of(subject: str) -> str:
    """What makes a later message take the place of an undelivered one about the same: 32 characters that tell nobody anything."""
    return b64(hashlib.sha256(subject.encode()).digest())[:32]


class PushSender:
    """Sends in the name of one deployment."""

    def __init__(self, key: SigningKey, contact: str, now: Callable[[], datetime], allow_private: Collection[str] = ()) -> None:
        """`contact` is where a push service complains: mailto: or https:. Hosts of `allow_private` may be in the own network, and plain."""
        self._key = key
        self._contact = contact
        self._now = now
        self._allow_private = allow_private

    def check(self, endpoint: str) -> None:
        """Whether an endpoint can be sent to, as far as can be told without asking it; raises FetchRefused with the reason."""
        check_url(endpoint, self._allow_private)
        parts = urlsplit(endpoint)
        if parts.scheme != "https" and (parts.hostname or "").lower() not in self._allow_private:
            raise FetchRefused("A push service is reached by https only.")

    async def send(self, device: Device, content: bytes, *, ttl_seconds: int, urgency: Urgency, topic: str = "") -> Sent:
        """Send one message; never raises for what the service or the subscription is to blame for."""
        headers = {
            "content-encoding": "aes128gcm", "content-type": "application/octet-stream", "ttl": str(ttl_seconds), "urgency": urgency,
            "authorization": self._key.authorization(device.endpoint, self._contact, self._now()),
        }
        if topic:
            headers["topic"] = topic
        try:
            self.check(device.endpoint)
            body = encrypt(content, device.public_key, device.secret)
            answer = await fetch(
                device.endpoint, method="POST", headers=headers, body=body, limits=_LIMITS, allow_private=self._allow_private
            )
        except (FetchRefused, NoPublicKey) as error:
            return Sent(Outcome.REFUSED, str(error))
        except FetchFailed as error:
            return Sent(Outcome.LATER, str(error))
        if 200 <= answer.status < 300:
            return Sent(Outcome.SENT)
        reason = f"the push service answers {answer.status}"
        if answer.status in (404, 410):
            return Sent(Outcome.GONE, reason)
        if answer.status == 429 or answer.status >= 500:
            wait = answer.headers.get("retry-after", "")
            return Sent(Outcome.LATER, reason, min(int(wait), PAUSE_SECONDS_MAX) if wait.isascii() and wait.isdigit() else 0)
        return Sent(Outcome.REFUSED, reason)
