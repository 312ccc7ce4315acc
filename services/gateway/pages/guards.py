"""Who may see a page at all; the services decide again."""
from __future__ import annotations

from ..http import AnyRequest, current_person
from ..parties import Principal
from ..problems import Refusal
from .common import told


def administrator(request: AnyRequest) -> Principal:
    """The administrator who asks.

    Raises:
        Refusal: 403 for everybody else.
    """
    me = current_person(request)
    if not me.is_administrator:
        raise Refusal(403, told(request, "These pages are for administrators: ask one of them."))
    return me
