"""REST under /api/v1: every operation is declared once, with its types, and the OpenAPI document is made from that."""
from __future__ import annotations

from typing import Any

from . import (
    access,
    asking,
    broadcasts,
    communities,
    delivery,
    drafts,
    events,
    ideas,
    imports,
    inbox,
    integrations,
    moderation,
    people,
    posts,
    reading,
    retention,
    sharing,
    uploads,
)
from .asyncapi import asyncapi_json
from .openapi import openapi_json
from .operations import route_handlers as _routes

# Declared by being imported, in this order in the document.
MODULES = (
    people, access, posts, asking, ideas, sharing, drafts, reading, communities, inbox, delivery, broadcasts, uploads, imports,
    integrations, moderation, retention, events,
)

route_handlers: list[Any] = [*_routes(), openapi_json, asyncapi_json]
