"""Whether what is stored is whole."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from libs.eventstore.codec import UnknownEventType, message_type
from libs.eventstore.store import SCHEMA
from libs.subscriptions import rebuild

from .embedded import Embedded


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be."""

    service: str
    what: str


async def verify(network: Embedded, told: Callable[[str], None]) -> list[Finding]:
    """Check every service: positions without gaps, streams without holes, types known, checkpoints within their logs, no parked
    streams, and every projection equal to its rebuild. Answers what is wrong; empty when all is well."""
    findings: list[Finding] = []
    for service in network.services:
        store = network.stores[service.name]
        database = store.database
        told(service.name)

        def add(what: str, name: str = service.name) -> None:
            findings.append(Finding(name, what))

        row = await database.fetch_one(
            "SELECT COUNT(*) AS events, COALESCE(MAX(position), 0) AS head, COALESCE(MIN(position), 1) AS tail FROM events"
        )
        assert row is not None
        if row["events"] != row["head"] or row["tail"] != 1:
            add(f"the log has gaps: {row['events']} events, positions {row['tail']} to {row['head']}")
        for hole in await database.fetch(
            """
            SELECT stream, COUNT(*) AS events, MIN(version) AS first, MAX(version) AS last FROM events
            GROUP BY stream HAVING COUNT(*) <> MAX(version) OR MIN(version) <> 1
            ORDER BY stream LIMIT 20
            """
        ):
            add(f"stream {hole['stream']} has holes: {hole['events']} events, versions {hole['first']} to {hole['last']}")
        for kind in await database.fetch("SELECT DISTINCT type FROM events"):
            try:
                message_type(kind["type"])
            except UnknownEventType as error:
                add(str(error))
        for checkpoint in await database.fetch("SELECT subscription, source, position FROM checkpoints"):
            source = network.stores.get(checkpoint["source"])
            if source is not None and checkpoint["position"] > await source.head():
                add(f"{checkpoint['subscription']} is at {checkpoint['position']}, past the end of {checkpoint['source']}")
        for parked in await database.fetch("SELECT subscription, stream, reason FROM parked ORDER BY subscription, stream LIMIT 20"):
            add(f"{parked['subscription']} parked {parked['stream']}: {parked['reason']}")
        checked = [(p, service.name, True) for p in service.projections]
        checked += [(s.projection, s.source, False) for s in service.subscribed]
        for projection, log, inline in checked:
            told(projection.name)
            try:
                differences = await rebuild.compare(
                    projection, network.stores[log], database, SCHEMA + service.schema, inline=inline, limit=3
                )
            except rebuild.CannotRebuild as error:
                add(f"no rebuild to compare with: {error}")
                continue
            for difference in differences:
                side = f"only live: {difference.live}" if difference.live else f"missing live: {difference.rebuilt}"
                add(f"{difference.projection} differs from its rebuild in {difference.table}; {side}")
    return findings
