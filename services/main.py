"""The one program: binds the services, the command line and the sample together (the only place that knows them all)."""
from __future__ import annotations

from datetime import UTC, datetime

from libs.proofs import cli as proofs
from libs.runtime import cluster_commands
from libs.runtime.cli import build
from libs.runtime.embedded import Embedded
from services.feed.service import SERVICE as FEED
from services.gateway.service import SERVICE as GATEWAY
from services.identity.service import SERVICE as IDENTITY
from services.importer import cli as importer
from services.importer import sample
from services.sample import load_sample
from services.search.service import SERVICE as SEARCH

SERVICES = (IDENTITY, FEED, SEARCH, GATEWAY)


async def prepare_sample(network: Embedded) -> None:
    """Fill an empty network with the sample organisation, and say how to sign in."""
    if await sample.is_empty(network):
        found = load_sample.read_sample(datetime.now(UTC))
        importer.show_sample(network, await sample.load(network, found, load_sample.ORGANISATION_NAME), fresh=True)
    else:
        importer.show_sample(network, sample.stored(network.settings.data), fresh=False)


async def way_in(network: Embedded) -> str:
    """How to get in: by the set-up page, until there is an organisation."""
    if await sample.is_empty(network):
        return "Open it in a browser to set up your organisation and its first administrator."
    return "Sign in there with your e-mail address and password."


def main() -> None:
    """Run the `watercooler` command."""
    watercooler = build(SERVICES, prepare_sample, way_in)
    importer.register(watercooler)
    cluster_commands.register(watercooler)
    proofs.register(watercooler)
    watercooler()


if __name__ == "__main__":
    main()
