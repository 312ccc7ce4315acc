"""Slack exports: threads, reactions, mentions, links; people who are known are not doubled; no archive, however bad, does harm."""

import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from libs.testing.world import World
from services.feed.service import SERVICE as FEED
from services.identity.service import SERVICE as IDENTITY
from services.importer import slack, slack_text
from tests.importer.importing import events, feed, identity, imported, pages
from watercooler.feed.v1 import feed_service_pb2 as feed_api
from watercooler.identity.v1 import identity_service_pb2 as identity_api
from watercooler.identity.v1.events_pb2 import Profile

USERS = [
    {"id": "U1", "name": "ada", "real_name": "Ada Byron", "profile": {"email": "ada@example.com", "title": "Countess"}},
    {"id": "U2", "name": "bob", "tz": "Mars/Olympus", "real_name": "Bob Babbage", "profile": {"email": "bob@example.com"}},
    {
        "id": "U3", "name": "gone", "real_name": "Grace Gone", "deleted": True, "profile": {"email": "grace@example.com"},
        "tz": "Mars/Olympus",
    },
    {"id": "U4", "name": "nomail", "real_name": "Nora Nomail", "profile": {}},
    {"id": "USLACKBOT", "name": "slackbot", "real_name": "slackbot"},
    {"id": "U5", "name": "robot", "is_bot": True},
]
CHANNELS = [
    {
        "id": "C1", "name": "general", "created": 1600000000, "creator": "U1", "members": ["U1", "U2", "U3", "U4", "U404"],
        "purpose": {"value": "Everything &amp; more"},
    }
]
MESSAGES: list[Any] = [
    {"type": "message", "user": "U1", "text": "Hello <@U2>, see <https://example.com/a|the page> :tada:", "ts": "1600000100.000100",
     "thread_ts": "1600000100.000100", "reactions": [{"name": "+1", "users": ["U2", "U3"]}, {"name": "partyparrot", "users": ["U2"]}]},
    {"type": "message", "user": "U2", "text": "*thanks*", "ts": "1600000200.000200", "thread_ts": "1600000100.000100"},
    {"type": "message", "user": "U3", "text": "bye", "ts": "1600000300.000300"},
    {"type": "message", "subtype": "channel_join", "user": "U2", "text": "joined", "ts": "1600000301.000000"},
    {"type": "message", "subtype": "bot_message", "bot_id": "B1", "username": "ci", "text": "built", "ts": "1600000302.000000"},
    {"type": "message", "user": "U1", "text": "an answer to the bot", "ts": "1600000303.000000", "thread_ts": "1600000302.000000"},
    {"type": "message", "user": "U9", "text": "who am I", "ts": "1600000400.000000"},
    {"type": "message", "user": "U1", "text": "no time", "ts": "soon"},
    "nonsense",
]


def export(path: Path, **files: Any) -> Path:
    """A ZIP of the export above, with some members replaced; bytes go in as they are, None leaves a member out."""
    contents: dict[str, Any] = {"users.json": USERS, "channels.json": CHANNELS, "general/2020-09-13.json": MESSAGES} | files
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return path


async def test_an_export_comes_in_with_threads_reactions_and_people(tmp_path: Path) -> None:
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        with world.acting_for("importer"):
            known = await identity(world).CreatePerson(
                identity_api.CreatePersonRequest(profile=Profile(name="Robert Babbage", email="bob@example.com", handle="robert"))
            )
            nora = await identity(world).CreatePerson(
                identity_api.CreatePersonRequest(profile=Profile(name="Nora Nomail", email="nora@example.com", handle="nora"))
            )
        await world.settle()
        path = export(tmp_path / "export.zip", **{"dms.json": []})
        before = await events(world, "identity"), await events(world, "feed")
        dry = await imported(world, path, dry_run=True)
        assert (await events(world, "identity"), await events(world, "feed")) == before
        done = await imported(world, path)
        await world.settle()
        for kind in ("people", "communities", "posts"):
            assert dry.counts(kind) == done.counts(kind)
        assert done.counts("people") == {"added": 2, "unchanged": 2, "left out": 2}
        assert done.counts("communities") == {"added": 1, "left out": 1}
        assert done.counts("posts") == {"added": 4, "left out": 2, "refused": 3}
        assert done.refused() == {
            "general/2020-09-13.json:7": "nobody is known as 'U9': import the people first, or map another field",
            "general/2020-09-13.json:8": "'soon' is no time of Slack's",
            "general/2020-09-13.json:9": "is no object",
        }
        assert done.warnings() == {
            "channels.json:1": ("a member was left out: nobody is known as 'U404'",),
            "general/2020-09-13.json:1": ("a reaction was left out: ':partyparrot:' is no emoji",),
        }

        with world.acting_for("gateway"):
            ada = await identity(world).FindPerson(identity_api.FindPersonRequest(email="ada@example.com"))
            grace = await identity(world).FindPerson(identity_api.FindPersonRequest(email="grace@example.com"))
            communities = await pages(feed(world).ListCommunities, feed_api.ListCommunitiesRequest(), "communities")
            timeline = feed_api.ListTimelineRequest(kind=feed_api.TIMELINE_KIND_COMMUNITY, subject=communities[0].community_id)
            posts = await pages(feed(world).ListTimeline, timeline, "posts")
            root = next(each for each in posts if each.body.startswith("Hello"))
            thread = await feed(world).GetThread(feed_api.GetThreadRequest(post_id=root.post_id))
        assert grace.state == identity_api.PERSON_STATE_LEFT
        assert (communities[0].description, communities[0].member_count) == ("Everything & more", 4)
        assert root.body == "Hello @robert, see [the page](https://example.com/a) 🎉"
        assert [each.person_id for each in root.mentions] == [known.person_id]
        assert root.publish_time.ToDatetime(UTC) == datetime(2020, 9, 13, 12, 28, 20, 100, tzinfo=UTC)
        assert {each.emoji: each.count for each in root.reactions} == {"👍": 2}
        assert [(each.body, each.author.person_id, each.parent_id) for each in thread.replies] == [
            ("**thanks**", known.person_id, root.post_id)
        ]
        assert {each.body for each in posts} >= {"bye", "an answer to the bot"}
        assert root.author.person_id == ada.person_id and nora.person_id not in {each.author.person_id for each in posts}

        before = await events(world, "identity"), await events(world, "feed")
        again = await imported(world, path)
        assert again.moved() == 0
        assert (await events(world, "identity"), await events(world, "feed")) == before
        await world.assert_rebuilds()


async def test_bots_speak_where_the_mapping_names_somebody(tmp_path: Path) -> None:
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        text = "source: slack\nparts:\n  - kind: slack\n    bots: {B1: U1}\n"
        done = await imported(world, export(tmp_path / "export.zip"), text=text, kind="slack")
        assert done.counts("posts") == {"added": 5, "left out": 1, "refused": 3}


def raw(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def bomb() -> bytes:
    return raw("users.json", b"[" + b" " * (200 << 20) + b"]")


UNREADABLE = {
    "no-zip": (b"hello", "is no ZIP file"),
    "empty": (b"", "is no ZIP file"),
    "bomb": (bomb(), "would unpack to"),
    "cut": (raw("users.json", b"[]" * 1000)[:60], "is no ZIP file"),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_is_no_export_is_refused_whole(tmp_path: Path, name: str) -> None:
    content, reason = UNREADABLE[name]
    path = tmp_path / "export.zip"
    path.write_bytes(content)
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        with pytest.raises(slack.Unreadable, match=reason):
            await imported(world, path)
        assert (await events(world, "identity"), await events(world, "feed")) == (0, 0)


async def test_bad_members_are_told_and_the_others_come(tmp_path: Path) -> None:
    path = export(
        tmp_path / "export.zip",
        **{
            "../../etc/passwd": b"x", "/abs.json": b"x", "c:\\x.json": b"x",
            "general/2020-09-14.json": b"{", "general/2020-09-15.json": b"\xff\xfe",
            "general/2020-09-16.json": b"[" * 50_000, "general/2020-09-17.json": {"no": "list"},
        },
    )
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        done = await imported(world, path)
        refused = done.refused()
        assert {name for name, why in refused.items() if why == "the name leads out of the archive"} == {
            "../../etc/passwd", "/abs.json", "c:\\x.json"
        }
        assert refused["general/2020-09-14.json"].startswith("not JSON")
        assert refused["general/2020-09-15.json"] == "is not UTF-8"
        assert refused["general/2020-09-16.json"] == "is nested too deep"
        assert refused["general/2020-09-17.json"] == "is no list"
        assert done.counts("posts")["added"] == 4
    assert sorted(each.name for each in tmp_path.iterdir()) == ["export.zip", "var"]


async def test_damaged_bytes_are_told(tmp_path: Path) -> None:
    path = export(tmp_path / "export.zip")
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("general/2020-09-13.json").header_offset
    content = bytearray(path.read_bytes())
    content[start + 80 : start + 100] = b"\x00" * 20
    path.write_bytes(bytes(content))
    async with World.of(tmp_path, IDENTITY, FEED) as world:
        done = await imported(world, path)
        assert done.counts("people")["added"] == 4
        assert list(done.refused()) == ["general/2020-09-13.json"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<@U1> &lt;b&gt; &amp;", "@ada <b> &"),
        ("<@U404|zoe> <@U405>", "@zoe @U405"),
        ("<#C1|general> <#C9|other>", "#general #other"),
        ("<!channel> <!subteam^S1|@team>", "channel @team"),
        ("<https://a.b/c?d=1&amp;e=2>", "https://a.b/c?d=1&e=2"),
        ("<https://a.b/(c)|a [b]>", "[a (b)](https://a.b/%28c%29)"),
        ("<javascript:alert(1)|click>", "click"),
        ("<mailto:a@b.org|a@b.org>", "a@b.org"),
        ("*bold* and ~gone~ but 2*3*4 and a ~ b", "**bold** and ~~gone~~ but 2*3*4 and a ~ b"),
        (":wave::skin-tone-3: :smile: :nosuch: 10:30:15", "👋🏼 😄 :nosuch: 10:30:15"),
        ("see `*x* :tada: <@U1>`", "see `*x* :tada: @U1`"),
        ("```a &lt; b\n*c*```", "```\na < b\n*c*\n```"),
        ("<" * 5000 + "*" * 5000 + "~" * 5000 + ":" * 5000, None),
    ],
)
def test_texts(source: str, expected: str | None) -> None:
    written = slack_text.to_markdown(source, {"U1": "ada"}, {"C1": "general"})
    assert expected is None or written == expected
