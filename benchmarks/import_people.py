"""How long a directory of ten thousand people takes to come in from CSV: dry run, import, and the same import again.

    .venv/bin/python benchmarks/import_people.py [--people 10000] [--folder DIR]

The rows have twelve fields and a manager each (a chart eight levels deep, managers often in later rows); every person is a stream of
events on disk with synchronous=FULL. The commitment is less than 30 s for the import. Exit status 1 where it is missed.
"""
from __future__ import annotations

import argparse
import asyncio
import csv
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from libs.rpc.auth import acting
from libs.runtime.embedded import Embedded
from libs.runtime.settings import Settings
from services.feed.service import SERVICE as FEED
from services.identity.service import SERVICE as IDENTITY
from services.importer import mapping
from services.importer.run import Found, Run

SECONDS_MAX = 30.0
REPORTS = 4
MAPPING = """
source: benchmark
parts:
  - kind: people
    fields:
      employee_number: No
      name: "{First} {Last}"
      email: "{First|lower}.{Last|lower}.{No}@example.com"
      title: Title
      department: Department
      location: Town
      time_zone: Zone
      languages: {field: Languages, split: ","}
      start_date: {field: Since, date: "%d.%m.%Y"}
      about: About
      contact: {Phone: Phone}
      manager: Manager
"""
FIRST = ("Ada", "Bo", "Chen", "Dana", "Emre", "Fatma", "Grace", "Hugo", "Ines", "Jun")
LAST = ("Almeida", "Berg", "Cohen", "Diallo", "Eriksen", "Fischer", "Garcia", "Huang", "Ito", "Jensen")


def write(path: Path, people: int) -> None:
    """The directory, from the last hired to the first, so that managers stand below the people who report to them."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["No", "First", "Last", "Title", "Department", "Town", "Zone", "Languages", "Since", "About", "Phone", "Manager"])
        for number in range(people, 0, -1):
            rows.writerow([
                number, FIRST[number % 10], LAST[number // 10 % 10], "Engineer", f"Department {number % 40}", "Ulm", "Europe/Berlin",
                "de,en", f"{number % 28 + 1:02}.{number % 12 + 1:02}.2019", "Works on what is in front of them. " * 3,
                f"+49 731 {number}",
                (number - 2) // REPORTS + 1 if number > 1 else "",
            ])


async def measured(folder: Path, source: Path, *, dry_run: bool) -> tuple[float, Counter[str], int]:
    """Seconds, outcomes and warnings of one import, start and stop of the services included."""
    found: list[Found] = []
    started = time.perf_counter()
    network = Embedded([IDENTITY, FEED], Settings(data=folder / "var", log_level="warning"), "projections")
    await network.start()
    try:
        with acting(network.service_token("importer")):
            parsed = mapping.parse(MAPPING, "benchmark", "people")
            await Run(network, parsed, source, dry_run, found.append).part(parsed.parts[0])
    finally:
        await network.stop()
    return time.perf_counter() - started, Counter(each.outcome for each in found), sum(bool(each.warnings) for each in found)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    taken = 0.0
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        source = folder / "people.csv"
        write(source, options.people)
        print(f"{options.people:,} people, {source.stat().st_size / 1e6:.1f} MB of CSV")
        for what, dry_run in (("dry run", True), ("import", False), ("again", False)):
            seconds, outcomes, warnings = await measured(folder, source, dry_run=dry_run)
            counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.items()))
            print(f"{what:<8} {seconds:6.1f} s  {options.people / seconds:8,.0f} people/s   {counts}; {warnings:,} warnings")
            if what == "import":
                taken = seconds
    print(f"commitment: {SECONDS_MAX:.0f} s {'kept' if taken < SECONDS_MAX else 'missed'}")
    return 0 if taken < SECONDS_MAX else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
