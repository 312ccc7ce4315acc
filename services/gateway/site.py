"""What the pages keep in memory: the renderer, the organisation's name for some seconds, what the rail of each person showed last."""
from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .import_files import Imports
from .rendering import Renderer

if TYPE_CHECKING:
    from .views import CommunityRef

ORGANIZATION_SECONDS: Final = 10.0
FACETS_SECONDS: Final = 60.0
RAILS: Final = 5_000


@dataclass(slots=True)
class Rail:
    """What the rail of a person showed last."""

    communities: list[CommunityRef]
    unread_count: int
    # Cases that wait for who moderates; -1 for all others.
    cases: int = -1
    # Announcements that wait for the person.
    announcements: int = 0


@dataclass(slots=True)
class Held:
    """A value and until when it may be used, in monotonic seconds."""

    value: Any
    until: float


@dataclass(slots=True, eq=False)
class Site:
    """One a process. Nothing here is the truth of anything: all of it can be asked for again."""

    renderer: Renderer = field(default_factory=Renderer)
    imports: Imports = field(default_factory=Imports)
    away: dict[str, float] = field(default_factory=dict)
    """Until when, in monotonic seconds, a service that did not answer is not asked for what pages can do without."""
    _organization: Held | None = None
    _facets: Held | None = None
    _rails: OrderedDict[str, Rail] = field(default_factory=OrderedDict)

    @property
    def organization_name(self) -> str | None:
        """The organisation's name as asked for some seconds ago at most; None: ask."""
        held = self._organization
        return held.value if held is not None and held.until > time.monotonic() else None

    @property
    def organization_name_last(self) -> str:
        """The organisation's name as last known, for pages that cannot ask."""
        return self._organization.value if self._organization is not None else ""

    def set_organization_name(self, name: str) -> None:
        """Remember the name."""
        self._organization = Held(name, time.monotonic() + ORGANIZATION_SECONDS)

    @property
    def facets(self) -> Any | None:
        """What people can be filtered by, as asked for a minute ago at most; None: ask."""
        held = self._facets
        return held.value if held is not None and held.until > time.monotonic() else None

    def set_facets(self, facets: Any) -> None:
        """Remember what people can be filtered by."""
        self._facets = Held(facets, time.monotonic() + FACETS_SECONDS)

    def rail(self, person_id: str) -> Rail | None:
        """What the rail of a person showed last."""
        return self._rails.get(person_id)

    def set_rail(self, person_id: str, rail: Rail) -> None:
        """Remember a rail."""
        self._rails[person_id] = rail
        self._rails.move_to_end(person_id)
        if len(self._rails) > RAILS:
            self._rails.popitem(last=False)
