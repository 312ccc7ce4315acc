"""Which addresses belong to OAuth, for what surrounds them."""
from __future__ import annotations

from typing import Final

# Programs send these without a session, so that no browser can be made to: no cookie counts and no form token is asked for.
_FOR_PROGRAMS: Final = frozenset({"/oauth/token", "/oauth/revoke", "/api/v1/apps"})
# Here the secret in the address says who sends.
_BY_SECRET: Final = ("/api/v1/integrations/in/", "/api/v1/integrations/responses/")
# Refusals here have the form of RFC 6749 section 5.2.
_PROTOCOL: Final = frozenset({"/oauth/token", "/oauth/revoke", "/oauth/userinfo"})


def is_for_programs(path: str) -> bool:
    """Whether a path takes no sessions."""
    return path.startswith(_BY_SECRET) or path in _FOR_PROGRAMS or (path.endswith("/") and path[:-1] in _FOR_PROGRAMS)


def is_protocol(path: str) -> bool:
    """Whether refusals have OAuth's form."""
    return path in _PROTOCOL or (path.endswith("/") and path[:-1] in _PROTOCOL)


def is_application(path: str) -> bool:
    """Whether refusals have the form of Mastodon's client API, of which registration is a part."""
    return path in ("/api/v1/apps", "/api/v1/apps/") or path.startswith("/api/v1/apps/verify_credentials")
