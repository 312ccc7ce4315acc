"""Retention rules, legal holds and exports: a dry run says what the run deletes, and nothing held is deleted by anybody."""
from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.eventstore.model import InvalidArgument, Metadata, NotFound
from libs.testing.spec import Spec
from libs.text.ids import id_at, new_id
from services.feed.commands import PublishPost
from services.feed.commands.retention import DisableRule, DraftRule, EnableRule, LiftHold, PlaceHold, RehearseRule
from services.feed.deciders import hold, post, rule
from services.feed.queries import retention as queries
from tests.feed.worlds import DENIED, FAILED, INVALID, MEMBER, MISSING, OPEN, OWNER, Feed, feed_of, people, refused
from watercooler.common.v1.audience_pb2 import Audience, Everyone
from watercooler.common.v1.blob_pb2 import Attachment
from watercooler.feed.v1 import feed_service_pb2 as feed_api
from watercooler.feed.v1 import retention_service_pb2 as api
from watercooler.feed.v1.retention_events_pb2 import (
    EXPORT_SUBJECT_COMMUNITY,
    EXPORT_SUBJECT_PERSON,
    HOLD_SUBJECT_COMMUNITY,
    HOLD_SUBJECT_EVERYTHING,
    HOLD_SUBJECT_PERSON,
    RETENTION_AUDIENCE_COMMUNITY,
    RETENTION_AUDIENCE_EVERYONE,
    RETENTION_UNIT_POST,
    RETENTION_UNIT_THREAD,
    RuleDrafted,
    RuleEnabled,
    RuleRehearsed,
)
from watercooler.feed.v1.retention_service_pb2_grpc import RetentionServiceStub
from watercooler.identity.v1 import events_pb2 as identity

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def drafting(**fields: Any) -> DraftRule:
    return DraftRule(**{
        "rule_id": "r", "name": "Small talk", "audience": RETENTION_AUDIENCE_EVERYONE, "audience_id": "", "age_days": 365,
        "unit": RETENTION_UNIT_POST, "author_id": "ann", "reason": "agreed", "now": NOW,
    } | fields)


def test_a_rule_is_looked_at_before_it_is_switched_on() -> None:
    drafted = RuleDrafted(
        rule_id="r", name="Small talk", audience=RETENTION_AUDIENCE_EVERYONE, age_days=365, unit=RETENTION_UNIT_POST, author_id="ann",
        reason="agreed",
    )
    drafted.draft_time.FromDatetime(NOW)
    rehearsed = RuleRehearsed(rule_id="r", post_count=3, person_id="ann")
    rehearsed.rehearse_time.FromDatetime(NOW)
    enabled = RuleEnabled(rule_id="r", person_id="ann", reason="looks right")
    enabled.enable_time.FromDatetime(NOW)
    enabling = EnableRule(rule_id="r", person_id="ann", reason="looks right", now=NOW)
    Spec(rule).given().when(drafting()).then(drafted)
    Spec(rule).given(drafted).when(enabling).then_rejected("dry run")
    Spec(rule).given(drafted).when(
        RehearseRule(rule_id="r", post_count=3, protected_count=0, person_id="ann", now=NOW)
    ).then(rehearsed)
    Spec(rule).given(drafted, rehearsed).when(enabling).then(enabled)
    late = EnableRule(rule_id="r", person_id="ann", reason="looks right", now=NOW + timedelta(days=8))
    Spec(rule).given(drafted, rehearsed).when(late).then_rejected("7 days")
    Spec(rule).given(drafted).when(DisableRule(rule_id="r", person_id="ann", reason="", now=NOW)).then_nothing()
    Spec(rule).given().when(enabling).then_rejected("no such rule", NotFound)
    for fields, text in (
        ({"name": ""}, "name"), ({"audience": 0}, "audience"), ({"age_days": 0}, "36,500"), ({"reason": ""}, "reason"),
        ({"unit": 0}, "threads"), ({"audience_id": "c"}, "no id"),
    ):
        Spec(rule).given().when(drafting(**fields)).then_rejected(text, InvalidArgument)


def test_a_hold_names_what_it_is_about() -> None:
    placing = {
        "hold_id": "h", "subject": HOLD_SUBJECT_PERSON, "subject_id": "bob", "from_time": None, "until_time": None, "reason": "case 7",
        "placer_id": "ann", "now": NOW,
    }
    (placed,) = hold.decide(PlaceHold(**placing), hold.initial())  # type: ignore[arg-type]
    for fields, text in (
        ({"subject_id": ""}, "name the person"), ({"subject": HOLD_SUBJECT_EVERYTHING}, "name nobody"), ({"reason": ""}, "reason"),
        ({"from_time": NOW, "until_time": NOW}, "before it ends"), ({"subject": 0}, "a person, a community"),
    ):
        Spec(hold).given().when(PlaceHold(**placing | fields)).then_rejected(text, InvalidArgument)  # type: ignore[arg-type]
    Spec(hold).given(placed).when(LiftHold(hold_id="h", reason=" ", lifter_id="ann", now=NOW)).then_rejected("reason")
    Spec(hold).given().when(LiftHold(hold_id="h", reason="over", lifter_id="ann", now=NOW)).then_rejected("no such hold", NotFound)


class Archive:
    """Posts of any age, and an administrator's calls."""

    def __init__(self, feed: Feed, admin: str) -> None:
        self.feed = feed
        self.admin = admin
        self.stub: Any = feed.world.stub(RetentionServiceStub, "feed")

    async def old_post(self, author_id: str, days: float, audience: Audience | None = None, root_id: str = "", **fields: Any) -> str:
        """A post that was published some days ago, as its own time says."""
        when = datetime.now(UTC) - timedelta(days=days)
        command = PublishPost(
            post_id=id_at(when), author_id=author_id, body=f"{days} days old", audience=audience or Audience(everyone=Everyone()),
            parent_id=root_id, root_id=root_id, now=when, **fields,
        )
        event = post.decide(command, post.initial())
        await self.feed.world.store("feed").append(f"post-{command.post_id}", 0, event, Metadata(author_id))
        return command.post_id

    async def call(self, name: str, request: Any) -> Any:
        with self.feed.by(self.admin):
            return await getattr(self.stub, name)(request)

    async def rule(
        self, days: int, audience: Any = RETENTION_AUDIENCE_EVERYONE, audience_id: str = "", unit: Any = RETENTION_UNIT_POST
    ) -> Any:
        return await self.call("DraftRule", api.DraftRuleRequest(
            name="old", audience=audience, audience_id=audience_id, age_days=days, unit=unit, reason="agreed",
        ))

    async def enable(self, rule_id: str) -> None:
        """Switch the rule on and wait until it has nothing more to delete."""
        await self.call("EnableRule", api.EnableRuleRequest(rule_id=rule_id, reason="looks right"))
        database = self.feed.world.store("feed").database
        row = await queries.fetch_rule(database, rule_id)
        assert row is not None
        chosen = queries.selection(row, int(datetime.now(UTC).timestamp() * 1_000_000))
        await until(lambda: _none_due(database, chosen))
        await self.feed.world.settle()

    async def gone(self, *post_ids: str) -> list[bool]:
        rows = await self.feed.world.store("feed").database.fetch("SELECT post_id, hidden FROM posts")
        hidden = {row["post_id"]: bool(row["hidden"]) for row in rows}
        return [hidden[post_id] for post_id in post_ids]


async def _none_due(database: Any, chosen: queries.Selection) -> bool:
    return not await queries.due(database, chosen, 1)


async def until(condition: Any) -> None:
    """Wait for what the task in the background does; a minute at most."""
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def archive_in(folder: Path) -> AsyncIterator[Archive]:
    async with feed_of(folder) as feed:
        yield Archive(feed, await feed.person("admin", "administrator"))


async def test_a_dry_run_says_what_the_run_deletes_and_holds_protect(tmp_path: Path) -> None:
    async with archive_in(tmp_path) as archive:
        feed = archive.feed
        ann, bob = await feed.person("ann"), await feed.person("bob")
        place = (await feed.community(ann, "Lab", kind=OPEN)).community_id
        mine = [await archive.old_post(ann, days) for days in (500, 400, 300)]
        held = await archive.old_post(bob, 450)
        later = await archive.old_post(bob, 600)
        elsewhere = await archive.old_post(ann, 500, Audience(community_id=place))
        placed = await archive.call("PlaceHold", api.PlaceHoldRequest(
            subject=HOLD_SUBJECT_PERSON, subject_id=bob, reason="case 7", from_time=_ago(460), until_time=_ago(10),
        ))
        drafted = await archive.rule(365)
        with feed.by(archive.admin), refused(FAILED, "dry run"):
            await archive.stub.EnableRule(api.EnableRuleRequest(rule_id=drafted.rule_id, reason="now"))
        seen = await archive.call("RehearseRule", api.RehearseRuleRequest(rule_id=drafted.rule_id))
        assert (seen.post_count, seen.protected_count) == (3, 1)
        assert [one.post_id for one in seen.examples] == [later, mine[0], mine[1]]
        assert [(one.department, one.post_count) for one in seen.departments] == [("", 3)]
        await archive.enable(drafted.rule_id)
        assert await archive.gone(*mine, held, later, elsewhere) == [True, True, False, False, True, False]
        (run,) = (await archive.call("GetRule", api.GetRuleRequest(rule_id=drafted.rule_id))).runs
        assert (run.deleted_count, run.protected_count, run.partial) == (3, 1, False)

        with feed.by(bob):  # its author may delete it; it is put aside while the hold lasts
            await feed.stub.DeletePost(feed_api.DeletePostRequest(post_id=held))
        database = feed.world.store("feed").database
        assert [row["post_id"] for row in await database.fetch("SELECT post_id FROM kept_posts")] == [held]
        await archive.call("LiftHold", api.LiftHoldRequest(hold_id=placed.hold_id, reason="over"))

        async def let_go() -> bool:
            return not await database.fetch("SELECT post_id FROM kept_posts")

        await until(let_go)
        shown = (await archive.call("ListHolds", api.ListHoldsRequest(include_lifted=True))).holds
        assert [(one.active, one.lift_reason, one.subject_name) for one in shown] == [(False, "over", "Bob")]


def _ago(days: int) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime.now(UTC) - timedelta(days=days))
    return moment


async def test_threads_grow_old_as_a_whole(tmp_path: Path) -> None:
    async with archive_in(tmp_path) as archive:
        ann = await archive.feed.person("ann")
        old = await archive.old_post(ann, 500)
        answer = await archive.old_post(ann, 450, root_id=old)
        alive = await archive.old_post(ann, 500)
        young = await archive.old_post(ann, 3, root_id=alive)
        drafted = await archive.rule(365, unit=RETENTION_UNIT_THREAD)
        assert (await archive.call("RehearseRule", api.RehearseRuleRequest(rule_id=drafted.rule_id))).post_count == 2
        await archive.enable(drafted.rule_id)
        assert await archive.gone(old, answer, alive, young) == [True, True, False, False]


async def test_only_administrators_govern_what_is_kept(tmp_path: Path) -> None:
    async with archive_in(tmp_path) as archive:
        ann = await archive.feed.person("ann")
        with archive.feed.by(ann):
            for call, request in (
                ("DraftRule", api.DraftRuleRequest()), ("ListRules", api.ListRulesRequest()), ("PlaceHold", api.PlaceHoldRequest()),
                ("ListHolds", api.ListHoldsRequest()), ("RehearseRule", api.RehearseRuleRequest()),
            ):
                with refused(DENIED, "administrators"):
                    await getattr(archive.stub, call)(request)
        with archive.feed.by(archive.admin), refused(INVALID, "no such community"):
            await archive.stub.DraftRule(api.DraftRuleRequest(
                name="x", audience=RETENTION_AUDIENCE_COMMUNITY, audience_id=new_id(), age_days=1, unit=RETENTION_UNIT_POST, reason="y",
            ))


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    posts=st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 60), st.integers(0, 2), st.booleans()), min_size=1, max_size=12
    ),
    age=st.integers(5, 50), unit=st.sampled_from([RETENTION_UNIT_POST, RETENTION_UNIT_THREAD]),
    holds=st.lists(st.tuples(st.sampled_from([0, 1, 2, 3]), st.integers(0, 30), st.integers(31, 60)), max_size=2),
)
def test_the_run_deletes_exactly_what_the_dry_run_counted(
    tmp_path_factory: pytest.TempPathFactory, posts: list[Any], age: int, unit: Any, holds: list[Any]
) -> None:
    async def check() -> None:
        async with archive_in(tmp_path_factory.mktemp("rule")) as archive:
            feed = archive.feed
            authors = [await feed.person(name) for name in ("ann", "bob", "eve")]
            place = (await feed.community(authors[0], "Lab", kind=OPEN)).community_id
            roots: dict[int, str] = {}
            written: dict[str, tuple[int, int]] = {}
            for author, days, scope, reply in posts:
                audience = Audience(community_id=place) if scope == 1 else people(authors[2]) if scope == 2 else None
                root_id = roots.get(scope, "") if reply else ""
                post_id = await archive.old_post(authors[author], days + 0.5, audience, root_id)
                roots.setdefault(scope, post_id)
                written[post_id] = (author, scope)
            for subject, young, old in holds:
                request = api.PlaceHoldRequest(reason="case", from_time=_ago(old), until_time=_ago(young))
                request.subject = (HOLD_SUBJECT_EVERYTHING, HOLD_SUBJECT_COMMUNITY, HOLD_SUBJECT_PERSON, HOLD_SUBJECT_PERSON)[subject]
                request.subject_id = ("", place, authors[0], authors[1])[subject]
                await archive.call("PlaceHold", request)
            drafted = await archive.rule(age, unit=unit)
            counted = await archive.call("RehearseRule", api.RehearseRuleRequest(rule_id=drafted.rule_id))
            before = [post_id for post_id in written if (await archive.gone(post_id))[0]]
            await archive.enable(drafted.rule_id)
            after = [post_id for post_id in written if (await archive.gone(post_id))[0]]
            assert before == []
            assert len(after) == counted.post_count
            assert {one.post_id for one in counted.examples} == set(after)  # at most 20 are written
            assert all(written[post_id][1] == 0 for post_id in after)

    asyncio.run(check())


async def _ready(archive: Archive, person_id: str, request: api.RequestExportRequest) -> api.Export:
    with archive.feed.by(person_id):
        asked = await archive.stub.RequestExport(request)

    async def ready() -> bool:
        with archive.feed.by(person_id):
            found = await archive.stub.GetExport(api.GetExportRequest(export_id=asked.export_id))
        return found.state != api.EXPORT_STATE_WAITING

    await until(ready)
    with archive.feed.by(person_id):
        return await archive.stub.GetExport(api.GetExportRequest(export_id=asked.export_id))


async def _unpacked(archive: Archive, blob_id: str) -> dict[str, bytes]:
    content = await archive.feed.world.embedded.engines.blobs().get(blob_id)
    with zipfile.ZipFile(io.BytesIO(await content.read())) as packed:
        assert packed.testzip() is None
        return {name: packed.read(name) for name in packed.namelist()}


async def test_people_take_with_them_what_they_wrote(tmp_path: Path) -> None:
    async with archive_in(tmp_path) as archive:
        feed = archive.feed
        ann, bob = await feed.person("ann"), await feed.person("bob")
        ref = await feed.world.embedded.engines.blobs().put(b"GIF89a" + b"1" * 9, "image/gif", limit_bytes=100)
        picture = Attachment(blob_id=ref.id, media_type="image/gif", description="a dot")
        root = await feed.post(bob, "bob's own words")
        first = await feed.post(ann, "first <b>draft</b>", attachments=[picture])
        await feed.post(ann, "to you alone", people(bob))
        gone = await feed.post(ann, "regretted")
        with feed.by(ann):
            await feed.stub.EditPost(feed_api.EditPostRequest(post_id=first.post_id, body="second **draft**", attachments=[picture]))
            await feed.stub.DeletePost(feed_api.DeletePostRequest(post_id=gone.post_id))
            await feed.stub.AddReaction(feed_api.AddReactionRequest(post_id=root.post_id, emoji="🎉"))
        await feed.follow(ann, bob)
        done = await _ready(archive, ann, api.RequestExportRequest(subject=EXPORT_SUBJECT_PERSON))
        assert (done.state, done.post_count, done.subject_name) == (api.EXPORT_STATE_READY, 2, "Ann")
        files = await _unpacked(archive, done.blob_id)
        posts = json.loads(files["posts.json"])
        assert [one["body"] for one in posts] == ["second **draft**", "to you alone"]
        assert [one["body"] for one in posts[0]["versions"]] == ["first <b>draft</b>", "second **draft**"]
        assert files[posts[0]["attachments"][0]["file"]].startswith(b"GIF89a")
        assert json.loads(files["reactions.json"])[0]["emoji"] == "🎉"
        assert json.loads(files["follows.json"]) == [{"person_id": bob, "name": "Bob"}]
        page = files["index.html"].decode()
        assert "<strong>draft</strong>" in page
        everything = b"".join(files.values())
        assert b"bob's own words" not in everything
        assert b"regretted" not in everything
        with feed.by(bob):
            with refused(MISSING):
                await archive.stub.GetExport(api.GetExportRequest(export_id=done.export_id))
            with refused(DENIED, "administrators"):
                await archive.stub.RequestExport(api.RequestExportRequest(subject=EXPORT_SUBJECT_PERSON, subject_id=ann, reason="curious"))
        with feed.by(archive.admin), refused(INVALID, "reason"):
            await archive.stub.RequestExport(api.RequestExportRequest(subject=EXPORT_SUBJECT_PERSON, subject_id=ann))

        await feed.tell(f"person-{ann}", identity.PersonErased(person_id=ann))
        await feed.world.settle()
        blobs = {one.id async for one in feed.world.embedded.engines.blobs().refs()}
        assert done.blob_id not in blobs


async def test_owners_take_their_community_with_them(tmp_path: Path) -> None:
    async with archive_in(tmp_path) as archive:
        feed = archive.feed
        ann, bob = await feed.person("ann"), await feed.person("bob")
        place = (await feed.community(ann, "Lab", kind=OPEN)).community_id
        await feed.add(ann, place, bob)
        root = await feed.post(ann, "question", Audience(community_id=place))
        await feed.post(bob, "answer", parent_id=root.post_id)
        await feed.post(bob, "elsewhere")
        with feed.by(bob), refused(DENIED, "owners"):
            await archive.stub.RequestExport(api.RequestExportRequest(subject=EXPORT_SUBJECT_COMMUNITY, subject_id=place))
        done = await _ready(archive, ann, api.RequestExportRequest(subject=EXPORT_SUBJECT_COMMUNITY, subject_id=place))
        files = await _unpacked(archive, done.blob_id)
        assert [(one["author"], one["body"]) for one in json.loads(files["posts.json"])] == [("Ann", "question"), ("Bob", "answer")]
        assert [one["name"] for one in json.loads(files["community.json"])["members"]] == ["Ann", "Bob"]
        with feed.by(ann):
            await feed.stub.ChangeMemberRole(feed_api.ChangeMemberRoleRequest(community_id=place, person_id=bob, role=OWNER))
        with feed.by(bob):
            await feed.stub.ChangeMemberRole(feed_api.ChangeMemberRoleRequest(community_id=place, person_id=ann, role=MEMBER))
        with feed.by(ann), refused(DENIED, "no longer for you"):
            await archive.stub.GetExport(api.GetExportRequest(export_id=done.export_id))
