"""Asking other servers safely: `client.fetch`."""
from __future__ import annotations

from .client import Fetched, FetchFailed, FetchRefused, Limits, check_url, fetch

__all__ = ["FetchFailed", "FetchRefused", "Fetched", "Limits", "check_url", "fetch"]
