"""The pages: what the gateway registers beside its REST API."""
from __future__ import annotations

from typing import Any

from . import (  # noqa: F401 - importing a module declares its pages
    admin,
    admin_import,
    announcements,
    asking,
    assets,
    commanding,
    common,
    communities,
    delivering,
    design,
    doors,
    drafts,
    finding,
    ideas,
    integrations,
    keeping,
    moderating,
    notices,
    oauth,
    people,
    posts,
    reading,
    settings,
    sharing,
)
from .errors import error_page

__all__ = ["error_page", "route_handlers"]

route_handlers: list[Any] = [*common.route_handlers, *assets.route_handlers]
