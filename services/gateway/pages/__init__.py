"""The pages: what the gateway registers beside its REST API."""
from __future__ import annotations

from typing import Any

route_handlers: list[Any] = []
