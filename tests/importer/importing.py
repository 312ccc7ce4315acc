"""Runs an import inside a small world and tells what became of every record."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.testing.world import World
from services.importer import mapping, slack
from services.importer.run import Found, Run
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub
from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceStub

MAPPINGS = Path(__file__).resolve().parents[1] / "data-mappings"


@dataclass
class Outcome:
    """What an import told."""

    found: list[Found] = field(default_factory=list)

    def counts(self, kind: str) -> dict[str, int]:
        return dict(Counter(each.outcome for each in self.found if each.kind == kind))

    def refused(self) -> dict[str, str]:
        return {each.place: each.reason for each in self.found if each.outcome == "refused"}

    def warnings(self) -> dict[str, tuple[str, ...]]:
        return {each.place: each.warnings for each in self.found if each.warnings}

    def moved(self) -> int:
        return sum(each.outcome in ("added", "changed") for each in self.found)


async def imported(
    world: World, source: Path, mapping_file: str = "", *, text: str = "", kind: str = "people", dry_run: bool = False
) -> Outcome:
    """Import with a mapping of tests/data-mappings, or with one given as text."""
    if mapping_file:
        found = mapping.load(MAPPINGS / mapping_file, kind)
    elif text:
        found = mapping.parse(text, "mapping.yaml", kind)
    else:
        found = slack.default_mapping()
    outcome = Outcome()
    with world.acting_for("importer"):
        run = Run(world.embedded, found, source, dry_run, outcome.found.append)
        for part in found.parts:
            if part.kind == "slack":
                await slack.run(run, slack.with_defaults(part), source)
            else:
                await run.part(part)
    return outcome


async def events(world: World, service: str) -> int:
    """How much a service has written."""
    return int(await world.store(service).head())


def identity(world: World) -> Any:
    return world.stub(IdentityServiceStub, "identity")


def feed(world: World) -> Any:
    return world.stub(FeedServiceStub, "feed")


async def pages(call: Any, request: Any, name: str) -> list[Any]:
    """All pages of a list, put together."""
    everything: list[Any] = []
    request.page_size = 200
    while True:
        answer = await call(request)
        everything += getattr(answer, name)
        if not answer.next_page_token:
            return everything
        request.page_token = answer.next_page_token
