"""Uploaded images."""
from typing import Any

route_handlers: list[Any] = []
