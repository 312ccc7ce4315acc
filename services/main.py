"""The one program: binds the services, the command line and the sample together (the only place that knows them all)."""
from __future__ import annotations

from libs.runtime.cli import build
from services.feed.service import SERVICE as FEED
from services.gateway.service import SERVICE as GATEWAY
from services.identity.service import SERVICE as IDENTITY
from services.search.service import SERVICE as SEARCH

SERVICES = (IDENTITY, FEED, SEARCH, GATEWAY)


def main() -> None:
    """Run the `watercooler` command."""
    watercooler = build(SERVICES)
    watercooler()


if __name__ == "__main__":
    main()
