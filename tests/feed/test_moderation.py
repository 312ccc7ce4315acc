"""Reports, decisions with reasons, appeals: who sees what, what follows, and what a rebuild and an erasure make of it."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.eventstore.model import EditConflict, InvalidArgument, NotFound, PermissionDenied
from libs.testing.spec import Spec
from libs.testing.world import tables
from services.feed.commands import CoverPost, DeletePost, EditPost, RestorePost
from services.feed.commands.moderation import AssignCase, DecideAppeal, DecideCase, EscalateCase, FileAppeal, FileReport, MatchWatch
from services.feed.deciders import case, post
from services.feed.service import SERVICE
from tests.feed.worlds import CLOSED, DENIED, EVERYONE, FAILED, INVALID, MISSING, MODERATOR, OPEN, SECRET, Feed, people, refused
from watercooler.feed.v1 import feed_service_pb2 as feed_api
from watercooler.feed.v1 import moderation_service_pb2 as api
from watercooler.feed.v1 import policy_service_pb2 as policy_api
from watercooler.feed.v1.events_pb2 import PostDeleted, PostPublished
from watercooler.feed.v1.moderation_events_pb2 import (
    CASE_OUTCOME_COVERED,
    CASE_OUTCOME_MEMBER_REMOVED,
    CASE_OUTCOME_MUTED,
    CASE_OUTCOME_NO_BREACH,
    CASE_OUTCOME_REMOVED,
    CASE_SUBJECT_COMMUNITY,
    CASE_SUBJECT_PERSON,
    CASE_SUBJECT_POST,
    REPORT_CATEGORY_HARASSMENT,
    REPORT_CATEGORY_OTHER,
    AppealFiled,
    CaseAssigned,
    CaseDecided,
    ReportFiled,
    WatchMatched,
)
from watercooler.feed.v1.moderation_service_pb2_grpc import ModerationServiceStub
from watercooler.feed.v1.policy_service_pb2_grpc import PolicyServiceStub
from watercooler.identity.v1 import events_pb2 as identity

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET_WORDS = "quite unmistakable words"


def reporting(**fields: Any) -> FileReport:
    return FileReport(**{
        "case_id": "k", "report_id": "r", "subject": CASE_SUBJECT_POST, "subject_id": "p", "author_id": "bob", "community_id": "c",
        "to_administrators": False, "reporter_id": "ann", "category": REPORT_CATEGORY_HARASSMENT, "words": "rude", "now": NOW,
    } | fields)


def reported(**fields: Any) -> ReportFiled:
    event = ReportFiled(**{
        "case_id": "k", "report_id": "r", "subject": CASE_SUBJECT_POST, "subject_id": "p", "author_id": "bob", "community_id": "c",
        "reporter_id": "ann", "category": REPORT_CATEGORY_HARASSMENT, "words": "rude",
    } | fields)
    event.report_time.FromDatetime(NOW)
    return event


def deciding(**fields: Any) -> DecideCase:
    return DecideCase(**{
        "case_id": "k", "outcome": CASE_OUTCOME_REMOVED, "guideline": "Be kind", "reason": "insults", "decider_id": "mod", "now": NOW,
    } | fields)


def decided(when: datetime = NOW, **fields: Any) -> CaseDecided:
    event = CaseDecided(**{
        "case_id": "k", "number": 1, "subject": CASE_SUBJECT_POST, "subject_id": "p", "author_id": "bob", "community_id": "c",
        "outcome": CASE_OUTCOME_REMOVED, "guideline": "Be kind", "reason": "insults", "about_id": "bob", "decider_id": "mod",
        "reporter_ids": ["ann"],
    } | fields)
    event.decide_time.FromDatetime(when)
    return event


def appealing(**fields: Any) -> FileAppeal:
    return FileAppeal(**{"case_id": "k", "person_id": "bob", "words": "it was a joke", "now": NOW} | fields)


def appealed() -> AppealFiled:
    event = AppealFiled(case_id="k", number=1, author_id="bob", words="it was a joke", community_id="c")
    event.appeal_time.FromDatetime(NOW)
    return event


def test_a_report_counts_once_until_it_is_decided() -> None:
    Spec(case).given().when(reporting()).then(reported())
    Spec(case).given(reported()).when(reporting(report_id="s")).then_nothing()
    Spec(case).given(reported(), decided()).when(reporting(report_id="s")).then(reported(report_id="s"))
    Spec(case).given().when(reporting(category=0)).then_rejected("choose", InvalidArgument)
    Spec(case).given().when(reporting(category=REPORT_CATEGORY_OTHER, words=" ")).then_rejected("few words", InvalidArgument)
    Spec(case).given().when(reporting(words="a" * 1_001)).then_rejected("1,000", InvalidArgument)


def test_a_watched_word_opens_a_case_once() -> None:
    matching = MatchWatch(
        case_id="k", post_id="p", author_id="bob", community_id="", to_administrators=True, words=("leak", "loot"), now=NOW
    )
    matched = WatchMatched(case_id="k", post_id="p", author_id="bob", to_administrators=True, words=["leak", "loot"])
    matched.match_time.FromDatetime(NOW)
    Spec(case).given().when(matching).then(matched)
    Spec(case).given(matched).when(matching).then_nothing()


def test_a_decision_gives_its_reason() -> None:
    Spec(case).given(reported()).when(deciding()).then(decided())
    for fields, text in (
        ({"reason": " "}, "reason"), ({"guideline": ""}, "guideline"), ({"outcome": CASE_OUTCOME_COVERED}, "warning"),
        ({"outcome": CASE_OUTCOME_MUTED, "mute_days": 366}, "365"),
    ):
        Spec(case).given(reported()).when(deciding(**fields)).then_rejected(text, InvalidArgument)
    Spec(case).given(reported(community_id="")).when(deciding(outcome=CASE_OUTCOME_MUTED, mute_days=3)).then_rejected("outcomes")
    Spec(case).given(reported()).when(deciding(decider_id="bob")).then_rejected("about you", PermissionDenied)
    Spec(case).given(reported(), decided()).when(deciding()).then_rejected("already")
    Spec(case).given(reported(), reported(reporter_id="eve")).when(deciding(etag="1")).then_rejected("meanwhile", EditConflict)
    Spec(case).given().when(deciding()).then_rejected("no such case", NotFound)


def test_an_appeal_is_filed_once_in_time_and_decided_by_somebody_else() -> None:
    history = (reported(), decided())
    Spec(case).given(*history).when(appealing()).then(appealed())
    Spec(case).given(*history).when(appealing(person_id="eve")).then_rejected("no decision about you", NotFound)
    Spec(case).given(*history).when(appealing(now=NOW + timedelta(days=31))).then_rejected("30 days")
    Spec(case).given(*history).when(appealing(words="")).then_rejected("why", InvalidArgument)
    Spec(case).given(*history, appealed()).when(appealing()).then_rejected("once")
    nothing = decided(outcome=CASE_OUTCOME_NO_BREACH, guideline="")
    Spec(case).given(reported(), nothing).when(appealing()).then_rejected("nothing was found wrong")
    ruling = DecideAppeal(case_id="k", upheld=True, reason="right", decider_id="mod", alone=False, now=NOW)
    Spec(case).given(*history, appealed()).when(ruling).then_rejected("somebody else", PermissionDenied)
    Spec(case).given(*history, appealed()).when(deciding()).then_rejected("already")
    Spec(case).given(*history, appealed(), reported(reporter_id="eve")).when(deciding()).then_rejected("appeal")
    Spec(case).given(*history).when(ruling).then_rejected("no appeal")


def test_a_case_is_looked_after_and_escalated() -> None:
    taking = AssignCase(case_id="k", moderator_id="mod", release=False, now=NOW)
    taken = CaseAssigned(case_id="k", moderator_id="mod")
    taken.assign_time.FromDatetime(NOW)
    Spec(case).given(reported()).when(taking).then(taken)
    Spec(case).given(reported(), taken).when(taking).then_nothing()
    Spec(case).given(reported(), decided()).when(taking).then_rejected("decided")
    escalating = EscalateCase(case_id="k", moderator_id="mod", reason="too close", now=NOW)
    Spec(case).given(reported(to_administrators=True)).when(escalating).then_rejected("administrators already")


def test_what_was_put_aside_comes_back_and_a_cover_stays() -> None:
    published = PostPublished(post_id="p", author_id="bob", body="words", audience=EVERYONE)
    restoring = RestorePost(post_id="p", restorer_id="mod", content=published, now=NOW)
    Spec(post).given(published, PostDeleted(post_id="p", author_id="bob")).when(restoring).then_rejected("for good")
    Spec(post).given(published).when(restoring).then_nothing()
    covering = CoverPost(post_id="p", moderator_id="mod", warning="Spoiler", sensitive=True, now=NOW)
    (covered,) = post.decide(covering, post.evolve(post.initial(), published))
    editing = EditPost(post_id="p", editor_id="bob", body="other words", now=NOW)
    (edited,) = post.decide(editing, post.evolve(post.evolve(post.initial(), published), covered))
    assert edited.warning == "Spoiler"  # type: ignore[union-attr]
    (deleted,) = post.decide(
        DeletePost(post_id="p", actor_id="mod", moderates=True, now=NOW, kept=True), post.evolve(post.initial(), published)
    )
    assert isinstance(deleted, PostDeleted)
    assert deleted.kept


class Desk:
    """Reports and decisions by short calls."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.stub: Any = feed.world.stub(ModerationServiceStub, "feed")

    async def report(self, reporter_id: str, subject_id: str, subject: Any = CASE_SUBJECT_POST, words: str = "rude") -> api.Report:
        with self.feed.by(reporter_id):
            report = await self.stub.FileReport(api.FileReportRequest(
                subjects=[api.ReportedSubject(subject=subject, subject_id=subject_id)], category=REPORT_CATEGORY_HARASSMENT, words=words,
            ))
        await self.feed.world.settle()
        return report

    async def queue(self, person_id: str, **fields: Any) -> list[api.CaseSummary]:
        with self.feed.by(person_id):
            return list((await self.stub.ListCases(api.ListCasesRequest(**fields))).cases)

    async def decide(self, person_id: str, case_id: str, outcome: Any, **fields: Any) -> api.Case:
        with self.feed.by(person_id):
            done = await self.stub.DecideCase(api.DecideCaseRequest(**{
                "case_id": case_id, "outcome": outcome, "guideline": "Be kind", "reason": "these are insults",
            } | fields))
        await self.feed.world.settle()
        return done

    async def notice(self, person_id: str, case_id: str) -> api.Notice:
        with self.feed.by(person_id):
            return await self.stub.GetNotice(api.GetNoticeRequest(case_id=case_id))

    async def appeal(self, person_id: str, case_id: str) -> api.Notice:
        with self.feed.by(person_id):
            return await self.stub.FileAppeal(api.FileAppealRequest(case_id=case_id, words="it was a joke"))

    async def rule(self, person_id: str, case_id: str, upheld: bool) -> api.Case:
        with self.feed.by(person_id):
            done = await self.stub.DecideAppeal(api.DecideAppealRequest(case_id=case_id, upheld=upheld, reason="on second thoughts"))
        await self.feed.world.settle()
        return done

    async def body(self, reader_id: str, post_id: str) -> str:
        with self.feed.by(reader_id):
            return (await self.feed.stub.GetPost(feed_api.GetPostRequest(post_id=post_id))).body


@pytest.fixture
def desk(feed: Feed) -> Desk:
    return Desk(feed)


async def test_administrators_are_told_of_what_reaches_them(feed: Feed, desk: Desk) -> None:
    root, other = await feed.person("root", "administrator"), await feed.person("other", "administrator")
    ann, bob = await feed.person("ann"), await feed.person("bob")
    bad = await feed.post(bob, "you are all fools")
    await desk.report(ann, bad.post_id)
    await desk.report(ann, other, CASE_SUBJECT_PERSON)

    async def told(person_id: str) -> int:
        return [one.kind for one in await feed.notifications(person_id)].count(feed_api.NOTIFICATION_KIND_MODERATION)

    assert [await told(each) for each in (root, other, ann, bob)] == [2, 1, 0, 0]  # nobody of a report about themselves
    await feed.world.assert_rebuilds()


async def test_a_removed_post_comes_back_by_an_appeal(feed: Feed, desk: Desk) -> None:
    owner, mod, ann, bob = [await feed.person(name) for name in ("owner", "mod", "ann", "bob")]
    place = (await feed.community(owner, "Lab", kind=OPEN)).community_id
    for person_id, role in ((mod, MODERATOR), (ann, 1), (bob, 1)):
        await feed.add(owner, place, person_id, role)
    root = await feed.post(ann, "root")
    audience = root.audience
    audience.community_id = place
    bad = await feed.post(bob, "you are all fools #rant", audience)
    with feed.by(bob):
        await feed.stub.EditPost(feed_api.EditPostRequest(post_id=bad.post_id, body="you are all great fools #rant"))
    await desk.report(ann, bad.post_id)
    assert await desk.queue(bob) == await desk.queue(ann) == []
    (waiting,) = await desk.queue(mod)
    assert (waiting.report_count, waiting.community_name, waiting.author.person_id) == (1, "Lab", bob)
    kinds = [one.kind for one in await feed.notifications(mod)]
    assert feed_api.NOTIFICATION_KIND_MODERATION in kinds
    with feed.by(bob), refused(MISSING):
        await desk.stub.GetCase(api.GetCaseRequest(case_id=waiting.case_id))

    done = await desk.decide(mod, waiting.case_id, CASE_OUTCOME_REMOVED)
    assert (done.reports[0].reporter.person_id, done.post.body) == (ann, "you are all great fools #rant")
    assert await desk.body(ann, bad.post_id) == ""
    assert bad.post_id not in [one.post_id for one in await _timeline(feed, ann, place)]
    told = await desk.notice(bob, waiting.case_id)
    assert (told.mine, told.body, told.may_appeal) == (True, "you are all great fools #rant", True)
    assert (told.decisions[0].reason, told.decisions[0].guideline) == ("these are insults", "Be kind")
    assert not told.decisions[0].HasField("decider")
    assert not told.HasField("report_time")
    heard = await desk.notice(ann, waiting.case_id)
    assert (heard.mine, heard.body, heard.decisions[0].outcome, heard.decisions[0].reason) == (False, "", CASE_OUTCOME_REMOVED, "")
    assert [one.kind for one in await feed.notifications(bob)].count(feed_api.NOTIFICATION_KIND_MODERATION) == 1
    with feed.by(bob):
        revisions = await feed.stub.ListRevisions(feed_api.ListRevisionsRequest(post_id=bad.post_id))
        assert not revisions.revisions

    await desk.appeal(bob, waiting.case_id)
    with feed.by(mod), refused(DENIED, "somebody else"):
        await desk.stub.DecideAppeal(api.DecideAppealRequest(case_id=waiting.case_id, upheld=True, reason="sorry"))
    await desk.rule(owner, waiting.case_id, True)
    assert await desk.body(ann, bad.post_id) == "you are all great fools #rant"
    assert bad.post_id in [one.post_id for one in await _timeline(feed, ann, place)]
    with feed.by(ann):
        assert len((await feed.stub.ListRevisions(feed_api.ListRevisionsRequest(post_id=bad.post_id))).revisions) == 2
        assert (await feed.stub.GetTag(feed_api.GetTagRequest(tag="rant"))).post_count == 1
    assert (await desk.notice(ann, waiting.case_id)).decisions[0].appeal_upheld
    steps = (await _case(desk, owner, waiting.case_id)).history
    assert [one.step for one in steps] == ["reported", "decided", "appealed", "appeal_decided"]


async def _timeline(feed: Feed, reader_id: str, community_id: str) -> list[feed_api.Post]:
    with feed.by(reader_id):
        request = feed_api.ListTimelineRequest(kind=feed_api.TIMELINE_KIND_COMMUNITY, subject=community_id)
        return list((await feed.stub.ListTimeline(request)).posts)


async def _case(desk: Desk, person_id: str, case_id: str) -> api.Case:
    with desk.feed.by(person_id):
        return await desk.stub.GetCase(api.GetCaseRequest(case_id=case_id))


async def test_covers_mutes_and_removals_follow_and_are_undone(feed: Feed, desk: Desk) -> None:
    owner, mod, ann, bob = [await feed.person(name) for name in ("owner", "mod", "ann", "bob")]
    place = (await feed.community(owner, "Lab", kind=CLOSED)).community_id
    for person_id, role in ((mod, MODERATOR), (ann, 1), (bob, 1)):
        await feed.add(owner, place, person_id, role)
    audience = people(ann)
    audience.Clear()
    audience.community_id = place
    for outcome, fields in (
        (CASE_OUTCOME_COVERED, {"warning": "Insults"}), (CASE_OUTCOME_MUTED, {"mute_days": 3}), (CASE_OUTCOME_MEMBER_REMOVED, {}),
    ):
        bad = await feed.post(bob, "fools", audience)
        await desk.report(ann, bad.post_id)
        case_id = (await desk.queue(mod))[0].case_id
        await desk.decide(mod, case_id, outcome, **fields)
        await _has_effect(feed, bob, bad.post_id, audience, outcome, there=True)
        await desk.appeal(bob, case_id)
        await desk.rule(owner, case_id, True)
        await _has_effect(feed, bob, bad.post_id, audience, outcome, there=False)


async def _has_effect(feed: Feed, author_id: str, post_id: str, audience: Any, outcome: Any, *, there: bool) -> None:
    """Whether the effect of an outcome is there."""
    with feed.by(author_id):
        if outcome == CASE_OUTCOME_COVERED:
            seen = await feed.stub.GetPost(feed_api.GetPostRequest(post_id=post_id))
            assert (seen.warning, seen.sensitive) == (("Insults", True) if there else ("", False))
        elif there:
            with refused(DENIED):
                await feed.stub.PublishPost(feed_api.PublishPostRequest(body="again", audience=audience))
        else:
            await feed.stub.PublishPost(feed_api.PublishPostRequest(body="again", audience=audience))


async def test_cases_go_to_those_who_may_decide_them(feed: Feed, desk: Desk) -> None:
    admin, other = await feed.person("admin", "administrator"), await feed.person("other", "administrator")
    owner, ann = await feed.person("owner"), await feed.person("ann")
    hidden = (await feed.community(owner, "Hidden", kind=SECRET)).community_id
    await feed.add(owner, hidden, ann)
    audience = people(ann)
    audience.Clear()
    audience.community_id = hidden
    await desk.report(ann, (await feed.post(owner, "mine", audience)).post_id)  # its author moderates there
    await desk.report(ann, admin, CASE_SUBJECT_PERSON)
    await desk.report(ann, hidden, CASE_SUBJECT_COMMUNITY)
    assert await desk.queue(owner) != await desk.queue(admin)
    assert {one.subject for one in await desk.queue(admin)} == {CASE_SUBJECT_POST, CASE_SUBJECT_COMMUNITY}
    assert len(await desk.queue(other)) == 3
    with feed.by(ann):
        state = await desk.stub.GetModerationState(api.GetModerationStateRequest())
        assert (state.moderates, state.waiting_count) == (False, 0)
        with refused(DENIED):
            await desk.stub.ListAudit(api.ListAuditRequest())
        with refused(FAILED, "your own"):
            own = await feed.stub.PublishPost(feed_api.PublishPostRequest(body="own"))
            await desk.stub.FileReport(api.FileReportRequest(
                subjects=[api.ReportedSubject(subject=CASE_SUBJECT_POST, subject_id=own.post_id)], category=REPORT_CATEGORY_HARASSMENT,
            ))
        with refused(INVALID, "1 to 10"):
            await desk.stub.FileReport(api.FileReportRequest(category=REPORT_CATEGORY_HARASSMENT))
        assert [one.decided for one in (await desk.stub.ListMyReports(api.ListMyReportsRequest())).reports] == [False] * 3
    direct = await feed.post(ann, "just us", people(owner))
    with feed.by(admin), refused(MISSING):
        await desk.stub.FileReport(api.FileReportRequest(
            subjects=[api.ReportedSubject(subject=CASE_SUBJECT_POST, subject_id=direct.post_id)], category=REPORT_CATEGORY_HARASSMENT,
        ))


async def test_watched_words_put_posts_into_the_queue_but_hold_nothing_back(feed: Feed, desk: Desk) -> None:
    admin, ann = await feed.person("admin", "administrator"), await feed.person("ann")
    policy: Any = feed.world.stub(PolicyServiceStub, "feed")
    with feed.by(admin):
        await policy.ChangePolicy(policy_api.ChangePolicyRequest(watched_words=["Leck", "機密"], update_mask=["watched_words"]))
    for body in ("Das LECK im Dach", "Lecker Kuchen", "これは機密です", "plain"):
        await feed.post(ann, body)
    await feed.post(ann, "Leck, unter uns", people(admin))
    await feed.world.settle()
    found = [await _case(desk, admin, one.case_id) for one in await desk.queue(admin)]
    assert sorted(one.post.body for one in found) == ["Das LECK im Dach", "これは機密です"]
    assert not found[0].reports[0].HasField("reporter")
    assert len(await feed.timeline(ann)) == 5


async def test_erasure_takes_the_words_of_reports_and_of_removed_posts(feed: Feed, desk: Desk) -> None:
    admin, ann, bob = await feed.person("admin", "administrator"), await feed.person("ann"), await feed.person("bob")
    bad = await feed.post(bob, f"{SECRET_WORDS} #tag")
    quoted = await feed.post(ann, "quoted")
    second = await feed.post(bob, SECRET_WORDS, quoted_id=quoted.post_id)
    await desk.report(ann, bad.post_id, words=SECRET_WORDS)
    await desk.report(ann, second.post_id)
    for waiting in await desk.queue(admin):
        await desk.decide(admin, waiting.case_id, CASE_OUTCOME_REMOVED, reason=SECRET_WORDS)
    cases = await desk.queue(admin, state=api.CASE_STATE_DECIDED)
    await desk.appeal(bob, cases[0].case_id)
    await desk.rule(admin, cases[0].case_id, True)  # nobody else is there to decide it
    await feed.world.assert_rebuilds()
    for person_id in (ann, bob):
        await feed.tell(f"person-{person_id}", identity.PersonErased(person_id=person_id))
    await feed.world.settle()
    database = feed.world.store("feed").database
    async with database.snapshot() as tx:
        for table in tables(SERVICE):
            for row in await tx.fetch(f"SELECT * FROM {table}"):
                assert SECRET_WORDS.encode() not in b"".join(
                    bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode() for value in row
                ), table
    for one in cases:
        shown = await _case(desk, admin, one.case_id)
        assert not shown.HasField("post")
        assert SECRET_WORDS not in str(shown)
