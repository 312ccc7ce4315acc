"""A text longer than a post may be comes in whole: as a post and replies to it, in order, and only once."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.testing.world import World
from services.feed.service import SERVICE as FEED
from services.identity.service import SERVICE as IDENTITY
from services.importer import split
from tests.importer.importing import Outcome, events, feed, identity, imported, pages
from tests.importer.test_slack import export
from watercooler.feed.v1 import feed_service_pb2 as feed_api
from watercooler.identity.v1 import identity_service_pb2 as identity_api

LIMIT = 1_000
LONG = "\n\n".join(f"Paragraph {number}: " + " ".join(["many words"] * 60) for number in range(40))


@pytest.mark.parametrize(
    ("body", "begins"),
    [
        ("a" * LIMIT, ["a"]),
        ("first " * 100 + "\n\n" + "second\n" * 90, ["first", "second"]),
        ("first " * 100 + "\n" + "second " * 90, ["first", "second"]),
        ("x" * 930 + " " + "y" * 600, ["x", "y"]),
        (" " * 5_000, [" "]),
    ],
)
def test_a_text_is_cut_after_a_paragraph_line_or_word(body: str, begins: list[str]) -> None:
    found = split.parts(body, LIMIT)
    assert [part[: len(start)] for part, start in zip(found, begins, strict=True)] == begins


def test_letters_keep_their_marks() -> None:
    found = split.parts("e\u0301" * 2_000, LIMIT)
    assert all(not part.startswith("\u0301") for part in found) and "".join(found) == "e\u0301" * 2_000


def test_a_block_of_code_goes_on_in_the_next_part() -> None:
    code = "\n".join(f"line_{number} = {number}" for number in range(200))
    found = split.parts(f"Look:\n```python\n{code}\n```\nThat is all.", LIMIT)
    assert len(found) > 2
    assert all(part.count("```") == 2 for part in found)
    assert all(part.startswith("```python\n") for part in found[1:])
    assert found[-1].endswith("```\nThat is all.")


@given(st.text(alphabet=st.sampled_from("ab \n\t`~\u0301\u200d\U0001f44b\U0001f3fb"), max_size=3_000), st.integers(400, 600))
def test_no_part_is_too_long_or_empty_and_no_letter_is_lost(body: str, limit: int) -> None:
    found = split.parts(body, limit)
    if not body.strip():
        assert found == [body]
        return
    assert all(len(part) <= limit and part.strip() for part in found)
    assert [c for c in "".join(found) if c in "ab"] == [c for c in body if c in "ab"]
    assert found == split.parts(body, limit)


async def thread(world: World, start: str) -> tuple[Any, list[Any]]:
    with world.acting_for("gateway"):
        ada = await identity(world).FindPerson(identity_api.FindPersonRequest(email="ada@example.com"))
    with world.acting_as(ada.person_id):
        request = feed_api.ListTimelineRequest(kind=feed_api.TIMELINE_KIND_COMPANY)
        posts = await pages(feed(world).ListTimeline, request, "posts")
        root = next(each for each in posts if each.body.startswith(start) and not each.parent_id)
        return root, list((await feed(world).GetThread(feed_api.GetThreadRequest(post_id=root.post_id, page_size=200))).replies)


def told(done: Outcome, place: str) -> list[tuple[str, str]]:
    return [(each.place, each.outcome) for each in done.found if each.kind == "posts" and each.place.startswith(place)]


async def test_a_long_message_of_slack_comes_in_as_a_thread(tmp_path: Path) -> None:
    messages = [
        {"type": "message", "user": "U1", "text": LONG, "ts": "1600000100.000100", "reactions": [{"name": "+1", "users": ["U2"]}]},
        {"type": "message", "user": "U2", "text": "so long", "ts": "1600000200.000200", "thread_ts": "1600000100.000100"},
    ]
    path = export(tmp_path / "export.zip", **{"general/2020-09-13.json": messages})
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        dry = await imported(world, path, dry_run=True)
        done = await imported(world, path)
        place = "general/2020-09-13.json"
        assert told(dry, place) == told(done, place)
        assert told(done, place) == [(f"{place}:1{part}", "added") for part in ("", "#2", "#3")] + [(f"{place}:2", "added")]
        assert done.refused() == {}
        assert done.warnings()[f"{place}:1"] == ("it has more than 10,000 characters: the rest stands in 2 replies to it",)
        await world.settle()
        with world.acting_for("gateway"):
            ada = await identity(world).FindPerson(identity_api.FindPersonRequest(email="ada@example.com"))
        with world.acting_as(ada.person_id):
            communities = (await feed(world).ListCommunities(feed_api.ListCommunitiesRequest())).communities
            request = feed_api.ListTimelineRequest(kind=feed_api.TIMELINE_KIND_COMMUNITY, subject=communities[0].community_id)
            (root,) = [each for each in (await feed(world).ListTimeline(request)).posts if not each.parent_id]
            replies = list((await feed(world).GetThread(feed_api.GetThreadRequest(post_id=root.post_id))).replies)
        assert [each.author.person_id == ada.person_id for each in replies] == [True, True, False]
        assert all(each.parent_id == root.post_id for each in replies)
        assert "\n\n".join(each.body for each in (root, *replies[:2])) == LONG
        times = [each.publish_time.ToMicroseconds() - root.publish_time.ToMicroseconds() for each in replies[:2]]
        assert times == [1_000, 2_000]
        assert ([each.count for each in root.reactions], [len(each.reactions) for each in replies]) == ([1], [0, 0, 0])
        before = await events(world, "feed")
        again = await imported(world, path)
        assert again.moved() == 0 and await events(world, "feed") == before
        await world.assert_rebuilds()


async def test_long_posts_of_one_day_keep_the_order_of_their_parts(tmp_path: Path) -> None:
    """Also where the source knows the day only, keys are as long as addresses, and batches end between the parts."""
    texts = [(f"short {number}", f"{number}") for number in range(497)]
    texts += [(f"Long {number}\n\n{LONG}", f"long-{number}") for number in range(3)]
    key = "https://forum.example.com/" + "a" * 110
    lines = [json.dumps({"id": f"{key}/{number}", "who": "ada@example.com", "text": text, "day": "2024-03-01"}) for text, number in texts]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "posts.jsonl").write_text("\n".join(lines))
    (tmp_path / "in" / "people.csv").write_text("Name,Mail\nAda,ada@example.com\n")
    mapping = """
source: forum
parts:
  - {kind: people, files: people.csv, fields: {name: Name, email: Mail}}
  - {kind: posts, files: posts.jsonl, key: id, fields: {author: who, body: text, time: day}}
"""
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        dry = await imported(world, tmp_path / "in", text=mapping, kind="all", dry_run=True)
        done = await imported(world, tmp_path / "in", text=mapping, kind="all")
        assert dry.counts("posts") == done.counts("posts") == {"added": 506}
        await world.settle()
        for number in range(3):
            root, replies = await thread(world, f"Long {number}\n")
            whole = "\n\n".join(each.body for each in (root, *replies))
            assert whole == f"Long {number}\n\n{LONG}"
        before = await events(world, "feed")
        assert (await imported(world, tmp_path / "in", text=mapping, kind="all")).moved() == 0
        assert await events(world, "feed") == before
