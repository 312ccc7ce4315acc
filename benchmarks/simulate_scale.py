"""Where a cluster of a given size breaks: the busiest part of a working day played through, station by station, with measured costs.

    .venv/bin/python benchmarks/simulate_scale.py [--people 50000] [--find-limit] [--costs benchmarks/costs.json]

People behave as LOAD says; each thing they do costs the stations what benchmarks/cluster.py measured (costs.json). A station is
something that fills up: the processes of a role (as many as SIZES gives them), or what exists once for a service whatever the size
(its database's primary, its active worker, its relay). Time goes in steps of one second; what a station cannot do in its second waits.
A station breaks when its busiest minute keeps it more than 70 % busy, or when work waits there for more than a second. With
`--find-limit` the number of people grows until something that cannot be multiplied breaks.
"""
from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

COSTS = Path(__file__).with_name("costs.json")
START_HOUR = 7
BUSY_MOST = 0.7
WAIT_MOST_SECONDS = 1.0

# How often one active person does something on a working day, and what part of the people is active on it.
ACTIVE_SHARE = 0.45
LOAD = {
    "timeline": 14.0,      # opens or renews a timeline
    "page": 22.0,          # any other page: a thread, a profile, a community
    "search": 1.5,
    "suggestion": 6.0,     # each answer to a pause in typing
    "post": 0.25,
    "reply": 0.7,
    "reaction": 3.0,
    "follow": 0.15,        # follows, joins, saves
    "read_mark": 5.0,      # notifications seen, announcements confirmed
    "upload": 0.08,
}
READS = ("timeline", "page", "search", "suggestion")
WRITES = ("post", "reply", "reaction", "follow", "read_mark", "upload")
SUBSCRIBERS = 40           # timelines that an ordinary post is put into (fan-out ends at 100, then it is merged when read)
# An announcement at ten: so many of all people open the network in the ten minutes after it, and so many of them react.
ANNOUNCEMENT_HOUR = 10
ANNOUNCEMENT_OPENS = 0.35
ANNOUNCEMENT_REACTS = 0.15
ANNOUNCEMENT_SECONDS = 600
# How the hours of the day share the work (7 to 19 o'clock).
HOURS = (0.3, 0.9, 1.6, 1.5, 1.4, 1.0, 0.9, 1.3, 1.4, 1.1, 0.5, 0.1)


_ANNOUNCED = (ANNOUNCEMENT_HOUR - START_HOUR) * 3600
BUSIEST = range(_ANNOUNCED - 120, _ANNOUNCED + ANNOUNCEMENT_SECONDS)


@dataclass(frozen=True, slots=True)
class Size:
    """What a size is installed with: processes of each kind, one core each, and the nodes of the engines."""

    name: str
    people: int
    gateways: int
    feed_apis: int
    other_apis: int
    search_nodes: int


SIZES = (
    Size("small", 1_000, 2, 2, 2, 1),
    Size("medium", 50_000, 6, 4, 2, 2),
    Size("large", 500_000, 48, 24, 8, 6),
)


@dataclass(slots=True)
class Station:
    """Something that fills up: so many milliseconds of work a second it can do, and what waits there."""

    name: str
    capacity: float
    multiplies: bool
    waiting: float = 0.0
    longest_wait: float = 0.0
    busiest: float = 0.0
    minute: float = field(default=0.0, repr=False)

    def take(self, work: float, second: int) -> None:
        """One second's work, in milliseconds."""
        self.waiting = max(0.0, self.waiting + work - self.capacity)
        self.longest_wait = max(self.longest_wait, self.waiting / self.capacity)
        self.minute += work
        if second % 60 == 59:
            self.busiest = max(self.busiest, self.minute / 60 / self.capacity)
            self.minute = 0.0

    @property
    def breaks(self) -> bool:
        """Whether it is too busy, or keeps work waiting."""
        return self.busiest > BUSY_MOST or self.longest_wait > WAIT_MOST_SECONDS


def rates(people: int, seconds: range) -> Iterator[tuple[int, dict[str, float]]]:
    """How much of each thing happens in each second of a part of the day."""
    active = people * ACTIVE_SHARE
    share = sum(HOURS)
    for second in seconds:
        weight = HOURS[second // 3600] / share / 3600
        now = {what: active * times * weight for what, times in LOAD.items()}
        since = second - _ANNOUNCED
        if 0 <= since < ANNOUNCEMENT_SECONDS:
            # Most come at once: the rate falls off evenly to nothing.
            opens = people * ANNOUNCEMENT_OPENS * 2 / ANNOUNCEMENT_SECONDS * (1 - since / ANNOUNCEMENT_SECONDS)
            now["timeline"] += opens
            now["page"] += opens
            now["read_mark"] += opens
            now["reaction"] += opens * ANNOUNCEMENT_REACTS
        yield second, now


def stations(size: Size) -> dict[str, Station]:
    """The stations of an installation of this size."""
    return {
        "gateway": Station("gateway processes", 1000.0 * size.gateways, True),
        "feed_api": Station("feed api processes", 1000.0 * size.feed_apis, True),
        "other_api": Station("identity and search api processes", 1000.0 * size.other_apis, True),
        "feed_database": Station("primary of feed's database", 1000.0 * 8, False),
        "feed_commit": Station("feed's log (one commit at a time)", 1000.0, False),
        "feed_worker": Station("feed's active worker", 1000.0, False),
        "feed_relay": Station("feed's relay", 1000.0, False),
        "search_worker": Station("search's active worker", 1000.0, False),
        "search_nodes": Station("OpenSearch nodes", 2000.0 * size.search_nodes, True),
    }


def play(size: Size, people: int, cost: dict[str, float], seconds: range) -> dict[str, Station]:
    """A part of the day; answers the stations as they ended."""
    at = stations(size)
    for second, now in rates(people, seconds):
        reads = sum(now[what] for what in ("timeline", "page"))
        finds = now["search"] + now["suggestion"]
        writes = sum(now[what] for what in WRITES)
        posts = now["post"] + now["reply"]
        at["gateway"].take((reads + finds) * cost["gateway_read_ms"] + writes * cost["gateway_write_ms"], second)
        at["feed_api"].take(reads * cost["feed_read_ms"] + writes * cost["feed_write_ms"], second)
        at["other_api"].take(finds * cost["search_api_ms"] + reads * cost["identity_read_ms"], second)
        fanned = now["post"] * SUBSCRIBERS * cost["timeline_row_ms"]
        at["feed_database"].take(reads * cost["database_read_ms"] + writes * cost["database_write_ms"] + fanned, second)
        at["feed_commit"].take(writes * cost["commit_ms"] + fanned, second)
        at["feed_worker"].take(writes * cost["follow_event_ms"], second)
        at["feed_relay"].take(writes * cost["relay_event_ms"], second)
        at["search_worker"].take(writes * cost["follow_event_ms"] + posts * cost["search_post_ms"], second)
        at["search_nodes"].take(finds * cost["search_query_ms"] + posts * cost["index_document_ms"], second)
    return at


def events_a_day(people: int) -> float:
    """Events that people of this number cause on one working day."""
    return people * ACTIVE_SHARE * sum(LOAD[what] for what in WRITES) + people * ANNOUNCEMENT_OPENS * (1 + ANNOUNCEMENT_REACTS)


def peak(people: int) -> tuple[float, float]:
    """The most reads and the most writes of one second."""
    most_reads = most_writes = 0.0
    for _, now in rates(people, BUSIEST):
        most_reads = max(most_reads, sum(now[what] for what in READS))
        most_writes = max(most_writes, sum(now[what] for what in WRITES))
    return most_reads, most_writes


def show(size: Size, people: int, cost: dict[str, float]) -> None:
    """Print a day of one size."""
    at = play(size, people, cost, BUSIEST)
    reads, writes = peak(people)
    daily = events_a_day(people)
    print(f"\n{size.name}: {people:,} people, {daily:,.0f} events a day, at most {reads:,.0f} reads/s and {writes:,.0f} writes/s")
    yearly = daily * 230
    print(
        f"  a year: log {yearly * cost['event_bytes_database'] / 1e9:,.1f} GB, "
        f"topics (14 days, three copies) {daily * 10 * 3 * cost['event_bytes_kafka'] / 1e9:,.1f} GB, "
        f"search {people * ACTIVE_SHARE * (LOAD['post'] + LOAD['reply']) * 230 * cost['document_bytes_search'] / 1e9:,.1f} GB a copy; "
        f"network at the peak {reads * cost['answer_bytes'] * 8 / 1e6:,.0f} Mbit/s"
    )
    for station in sorted(at.values(), key=lambda each: -each.busiest):
        mark = "  BREAKS" if station.breaks else ""
        wait = f", waits {station.longest_wait:,.1f} s" if station.longest_wait > 0.05 else ""
        print(f"  {station.name:40} {station.busiest:7.1%} in its busiest minute{wait}{mark}")
    first = max(at.values(), key=lambda each: each.busiest)
    print(f"  first bottleneck: {first.name}")


def find_limit(cost: dict[str, float]) -> None:
    """Grow until something breaks that more processes do not mend."""
    people = 100_000
    while people < 100_000_000:
        factor = math.ceil(people / SIZES[-1].people)
        grown = Size("grown", people, 48 * factor, 24 * factor, 8 * factor, 6 * factor)
        broken = [each for each in play(grown, people, cost, BUSIEST).values() if each.breaks]
        if stuck := [each for each in broken if not each.multiplies]:
            print(f"\nWith as many processes as it takes, it breaks at about {people:,} people: {', '.join(each.name for each in stuck)}")
            return
        people = int(people * 1.3)
    print("\nNothing that cannot be multiplied breaks below 100 million people.")


def main() -> None:
    """Play the days asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=0, help="one size only, with the processes of the next larger one")
    parser.add_argument("--find-limit", action="store_true", help="grow until it breaks")
    parser.add_argument("--costs", type=Path, default=COSTS, help="measured costs, as benchmarks/cluster.py --costs writes them")
    arguments = parser.parse_args()
    cost = {name: float(value) for name, value in json.loads(arguments.costs.read_text("utf-8"))["costs"].items()}
    if arguments.people:
        size = next((each for each in SIZES if each.people >= arguments.people), SIZES[-1])
        show(size, arguments.people, cost)
    else:
        for size in SIZES:
            show(size, size.people, cost)
    if arguments.find_limit:
        find_limit(cost)


if __name__ == "__main__":
    main()
