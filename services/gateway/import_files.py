"""The files of people uploaded for an import, and how far each is."""
from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from watercooler.identity.v1 import identity_service_pb2 as identity

from .problems import Refusal
from .views import ImportProgress

KEPT: Final = 10
KEPT_SECONDS: Final = 6 * 3600


@dataclass(slots=True, eq=False)
class Import:
    """A file that was uploaded, and how far its import is."""

    import_id: str
    person_id: str
    file_name: str
    records: list[identity.PersonRecord]
    results: list[identity.ImportResult]
    refused: list[tuple[int, str]]
    begin: float = field(default_factory=time.monotonic)
    state: str = "planned"
    done: int = 0
    rejected: int = 0
    message: str = ""
    task: asyncio.Task[None] | None = None

    def progress(self) -> ImportProgress | None:
        """How far it is; None before it runs."""
        if self.state == "planned":
            return None
        return ImportProgress(
            state=self.state, done_count=self.done - (self.rejected if self.state != "running" else 0),  # type: ignore[arg-type]
            total_count=len(self.records) + len(self.refused), rejected_count=self.rejected, message=self.message,
        )


class Imports:
    """The last files uploaded to this process. A file is not kept longer: running it again changes nothing that was done."""

    def __init__(self) -> None:
        """None yet."""
        self._held: OrderedDict[str, Import] = OrderedDict()

    def add(self, entry: Import) -> None:
        """Keep a file, and forget the oldest ones that are not running."""
        now = time.monotonic()
        for key in [key for key, held in self._held.items() if held.state != "running" and now - held.begin > KEPT_SECONDS]:
            del self._held[key]
        idle = [key for key, held in self._held.items() if held.state != "running"]
        for key in idle[: max(0, len(self._held) + 1 - KEPT)]:
            del self._held[key]
        self._held[entry.import_id] = entry

    def find(self, import_id: str) -> Import:
        """A file by its id; raises Refusal 404."""
        found = self._held.get(import_id)
        if found is None:
            raise Refusal(404, "")
        return found
