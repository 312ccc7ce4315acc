"""The order of the home page: newest first unless its reader chose otherwise in this browser."""
from __future__ import annotations

from typing import Final

from litestar import Response

from ..http import AnyRequest, asked, cookie
from ..navigation import N_
from .common import go, post, posted, query

COOKIE: Final = "watercooler_order"
COOKIE_SECONDS: Final = 400 * 86_400
# What feed says of why a post stands where it stands.
REASONS: Final = (
    N_("You and the author follow each other"), N_("You follow the author"), N_("You often talk with the author"),
    N_("From a community you take part in"), N_("1 person you follow reacted"), N_("Addressed to you"),
    N_("A question you may know the answer to"), N_("An open question where you take part"), N_("Much discussed"),
    N_("An announcement that waits for your confirmation"), N_("New"),
)


def is_ranked(request: AnyRequest) -> bool:
    """Whether home stands in the order of what is likely to matter: said by the address, else by what was chosen last."""
    return (query(request, "order", 10) or asked(request).cookies.get(COOKIE, "")) == "ranked"


@post("/home/order")
async def choose_order(request: AnyRequest) -> Response[bytes]:
    """Choose the order of home, for this browser."""
    order = "ranked" if (await posted(request)).text("order", 10) == "ranked" else "newest"
    return go(request, "/", cookies=[cookie(request, COOKIE, order, COOKIE_SECONDS)])
