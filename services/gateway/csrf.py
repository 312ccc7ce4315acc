"""Forms that only our own pages can send: a token signed for the session, sent back with every write (OWASP: signed double submit).

The token is an HMAC over the id of the session, or of the visitor where nobody is signed in, so nothing is stored and a token of
another session is worth nothing. Requests with a bearer token need none: no browser sends those by itself.
"""
from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import urlsplit

HEADER = "x-csrf-token"
FIELD = "csrf_token"


class Csrf:
    """Makes and checks the tokens of one deployment."""

    def __init__(self, signing_key: str) -> None:
        """Under the deployment's secret key."""
        self._key = hashlib.sha256(b"csrf\0" + signing_key.encode()).digest()

    def token(self, subject: str) -> str:
        """The token of a session or visitor."""
        return base64.urlsafe_b64encode(hmac.digest(self._key, subject.encode(), "sha256")).rstrip(b"=").decode()

    def holds(self, subject: str, token: str) -> bool:
        """Whether a token is this subject's."""
        return bool(subject) and hmac.compare_digest(self.token(subject).encode(), token.encode("utf-8", "replace"))


def cross_site(origin: str, fetch_site: str, host: str) -> bool:
    """Whether a browser says that another site caused the request (Fetch Metadata, else Origin)."""
    if fetch_site:
        return fetch_site not in ("same-origin", "none")
    if not origin:
        return False
    return origin == "null" or urlsplit(origin).netloc.lower() != host.lower()
