"""REST under /api/v1: every operation is declared once, with its types, and the OpenAPI document is made from that."""
from __future__ import annotations

from typing import Any

route_handlers: list[Any] = []
