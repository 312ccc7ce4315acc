"""What OAuth 2.0 demands of apps, scopes and codes, as pure functions over text.

After RFC 6749 (the framework), RFC 7636 (PKCE), RFC 8252 (native apps) and the scopes of Mastodon's client API.
"""
from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from libs.eventstore.model import InvalidArgument

OUT_OF_BAND: Final = "urn:ietf:wg:oauth:2.0:oob"
DEFAULT_SCOPE: Final = "read"
NAME_MAX: Final = 200
WEBSITE_MAX: Final = 2_000
REDIRECT_URI_MAX: Final = 2_000
REDIRECT_URIS_MAX: Final = 20
SCOPES_MAX: Final = 60

_READ: Final = (
    "accounts", "blocks", "bookmarks", "collections", "favourites", "filters", "follows", "lists", "me", "mutes", "notifications", "search",
    "statuses",
)
_WRITE: Final = (
    "accounts", "blocks", "bookmarks", "collections", "conversations", "favourites", "filters", "follows", "lists", "media", "mutes",
    "notifications", "reports", "statuses",
)
_ADMIN: Final = (
    "accounts", "canonical_email_blocks", "domain_allows", "domain_blocks", "email_domain_blocks", "ip_blocks", "reports",
)
SCOPES: Final = (
    "read", "write", "follow", "push", "profile", "admin",
    *(f"read:{each}" for each in _READ), *(f"write:{each}" for each in _WRITE),
    "admin:read", "admin:write", *(f"admin:{verb}:{each}" for verb in ("read", "write") for each in _ADMIN),
)
_KNOWN: Final = frozenset(SCOPES)
# Schemes whose addresses a browser would run or read from the machine.
_FORBIDDEN_SCHEMES: Final = frozenset({
    "about", "blob", "data", "file", "filesystem", "ftp", "jar", "javascript", "mailto", "tel", "urn", "vbscript", "view-source", "ws",
    "wss",
})
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,99}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def check_scopes(scopes: Iterable[str]) -> list[str]:
    """The scopes as they are kept: each once, in the order asked for; `read` where none is named.

    Raises:
        InvalidArgument: one is unknown (RFC 6749 section 3.3).
    """
    found = list(dict.fromkeys(each for each in scopes if each))
    unknown = [each for each in found if each not in _KNOWN]
    if unknown or len(found) > SCOPES_MAX:
        raise InvalidArgument(
            f"there is no scope {unknown[0][:60]!r}: there are read, write, follow, push, profile and finer ones such as read:statuses"
            if unknown else f"an app asks for at most {SCOPES_MAX} scopes",
            "scopes",
        )
    return found or [DEFAULT_SCOPE]


def covers(granted: Iterable[str], scope: str) -> bool:
    """Whether scopes hold one, or a wider one that it is part of: `read` holds `read:statuses`."""
    held = set(granted)
    parts = scope.split(":")
    return any(":".join(parts[:length]) in held for length in range(1, len(parts) + 1))


def check_redirect_uris(uris: Sequence[str]) -> list[str]:
    """Where an app may take the answer: absolute addresses without fragment (RFC 6749 section 3.1.2), or out of band.

    Raises:
        InvalidArgument: there is none, too many, or one that is none or that a browser must not be sent to.
    """
    found = list(dict.fromkeys(uri.strip() for uri in uris if uri.strip()))
    if not 1 <= len(found) <= REDIRECT_URIS_MAX:
        raise InvalidArgument(f"an app names 1 to {REDIRECT_URIS_MAX} redirect addresses, or {OUT_OF_BAND}", "redirect_uris")
    for uri in found:
        if uri != OUT_OF_BAND:
            _check_redirect_uri(uri)
    return found


def _check_redirect_uri(uri: str) -> None:
    wrong = InvalidArgument(
        f"{uri[:100]!r} cannot be a redirect address: it is absolute, has a host or a scheme of the app's own, and no fragment",
        "redirect_uris",
    )
    if len(uri) > REDIRECT_URI_MAX or any(ord(each) <= 32 or ord(each) == 127 for each in uri) or "\\" in uri or "#" in uri:
        raise wrong
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        raise wrong from None
    if not _SCHEME.fullmatch(parts.scheme) or parts.scheme in _FORBIDDEN_SCHEMES or not uri.isascii():
        raise wrong
    if parts.username is not None or parts.password is not None:
        raise wrong
    if parts.scheme in ("http", "https") and not parts.hostname:
        raise wrong


def check_app(name: str, website: str) -> None:
    """Raises InvalidArgument for a name or website that cannot be shown."""
    if not name.strip() or len(name) > NAME_MAX or any(ord(each) < 32 for each in name):
        raise InvalidArgument(f"the name of an app has 1 to {NAME_MAX} characters on one line", "client_name")
    if not website:
        return
    try:
        parts = urlsplit(website)
    except ValueError:
        parts = urlsplit("")
    is_address = parts.scheme in ("http", "https") and parts.hostname and not any(ord(each) <= 32 for each in website)
    if len(website) > WEBSITE_MAX or not is_address:
        raise InvalidArgument("the website of an app is an address such as https://example.com", "website")


def check_challenge(challenge: str, method: str) -> str:
    """The method of a PKCE challenge (RFC 7636 section 4.3); empty where there is none.

    Raises:
        InvalidArgument: the method is unknown, or the challenge is none.
    """
    if not challenge:
        if method:
            raise InvalidArgument("a code_challenge_method needs a code_challenge", "code_challenge")
        return ""
    if method not in ("", "S256", "plain"):
        raise InvalidArgument("the code_challenge_method is S256 or plain", "code_challenge_method")
    if not _VERIFIER.fullmatch(challenge):
        raise InvalidArgument("a code_challenge has 43 to 128 characters: letters, digits and - . _ ~", "code_challenge")
    return method or "plain"


def verifies(challenge: str, method: str, verifier: str) -> bool:
    """Whether a verifier is the challenge's (RFC 7636 section 4.6); a verifier without a challenge is refused as well."""
    if not challenge:
        return not verifier
    if not _VERIFIER.fullmatch(verifier):
        return False
    if method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        return hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge)
    return hmac.compare_digest(verifier, challenge)
