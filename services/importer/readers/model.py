"""What readers hand on."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RECORD_BYTES_MAX = 1 << 20
"""The longest line of text and the longest cell."""
DOCUMENT_BYTES_MAX = 16 << 20
"""The largest file of a format that is read whole (YAML, TOML, Markdown)."""
RECORDS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a source: fields as texts, lists and mappings (bytes for what is no text), and where it stands."""

    place: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bad:
    """What could not be read, where, and why."""

    place: str
    reason: str
