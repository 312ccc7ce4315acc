"""An announcement to very many people: how long publication takes, when everybody has been told, and whether others notice.

    python -m benchmarks.announcements --people 100000

People are put into the read model directly, since how they came there is not what is measured. While the announcement goes out, another
person reads their home timeline all the time.
"""
from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from libs.runtime.service import Assembly, Service
from libs.testing.world import World
from libs.text.ids import new_id
from services.feed.service import SERVICE
from watercooler.feed.v1 import announcement_service_pb2 as api
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1.announcement_service_pb2_grpc import AnnouncementServiceStub
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub

IDENTITY = Service(name="identity", summary="Only a log.", schema="", assemble=lambda context: Assembly())


async def measure(people: int, folder: Path) -> None:
    """Run it once and print what was measured."""
    async with World.of(folder, IDENTITY, SERVICE) as world:
        ids = [new_id() for _ in range(people + 1)]
        async with world.store("feed").database.transaction() as tx:
            await tx.execute_many(
                """
                INSERT INTO people (person_id, display_name, handle, email, employee_number, title, photo_blob_id, employee, guest,
                                    departed, erased, card)
                VALUES (:id, :name, :name, '', '', '', '', 1, 0, 0, 0, :card)
                """,
                [
                    {"id": each, "name": f"p{number}", "card": feed.Author(person_id=each).SerializeToString()}
                    for number, each in enumerate(ids)
                ],
            )
        stub: Any = world.stub(AnnouncementServiceStub, "feed")
        posts: Any = world.stub(FeedServiceStub, "feed")
        done = asyncio.Event()
        waits: list[tuple[float, float]] = []

        async def read_home() -> None:
            """Ask 50 ms after each answer; a read counts from when it was due, so that one that had to wait to begin counts its wait."""
            with world.acting_as(ids[1]):
                await posts.PublishPost(feed.PublishPostRequest(body="hello"))
                while not done.is_set():
                    due = time.perf_counter() + 0.05
                    await asyncio.sleep(0.05)
                    await posts.ListTimeline(feed.ListTimelineRequest(kind=feed.TIMELINE_KIND_HOME))
                    waits.append((due, time.perf_counter() - due))

        reading = asyncio.create_task(read_home())
        await asyncio.sleep(1)
        quiet = [seconds for _, seconds in waits]
        began = time.perf_counter()
        request = api.PublishAnnouncementRequest(title="To all", body="Something new.", urgency=2)
        request.audience.everyone.SetInParent()
        with world.acting_as(ids[0], ("employee", "communications")):
            made = await stub.PublishAnnouncement(request)
            while made.preparing:
                await asyncio.sleep(0.01)
                made = await stub.GetAnnouncement(api.GetAnnouncementRequest(announcement_id=made.announcement_id))
            published = time.perf_counter() - began
            assert made.audience_count == people, made.audience_count
            while True:
                row = await world.store("feed").database.fetch_one("SELECT COUNT(*) AS told FROM notifications WHERE kind = 14")
                if row["told"] >= people:
                    break
                await asyncio.sleep(0.05)
            told = time.perf_counter() - began
            counted = time.perf_counter()
            await stub.GetReach(api.GetReachRequest(announcement_id=made.announcement_id))
            counting = time.perf_counter() - counted
        done.set()
        await reading
        busy = [seconds for at, seconds in waits if at >= began]
        began = time.perf_counter()
        for person_id in ids[2:502]:
            with world.acting_as(person_id):
                await stub.RecordReceipts(api.RecordReceiptsRequest(receipts=[
                    api.ReceiptRecord(announcement_id=made.announcement_id, fact=fact) for fact in (1, 2)
                ]))
        receipts = (time.perf_counter() - began) / 500
        print(f"{people:,} people: published after {published:.2f} s, everybody told after {told:.1f} s")
        print(f"home timeline meanwhile: {_figures(busy)}; before: {_figures(quiet)}")
        print(f"counts: {counting * 1_000:.1f} ms; shown and opened of one person: {receipts * 1_000:.1f} ms")


def _figures(seconds: list[float]) -> str:
    """Median, 99th percentile and the longest, in milliseconds."""
    ordered = sorted(seconds)
    return (
        f"p50 {statistics.median(ordered) * 1_000:.1f} ms, p99 {ordered[int(len(ordered) * 0.99)] * 1_000:.1f} ms, "
        f"longest {ordered[-1] * 1_000:.0f} ms ({len(ordered):,} reads)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100_000)
    with tempfile.TemporaryDirectory(prefix="watercooler-announcements-") as made_folder:
        asyncio.run(measure(parser.parse_args().people, Path(made_folder)))
