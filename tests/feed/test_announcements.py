"""Announcements: a frozen audience, three facts, corrections to those misled, reminders, and a proof that stands by itself."""
from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.eventstore.model import Metadata, Rejected, micros
from libs.proofs import reach
from libs.runtime.service import Assembly, Context
from libs.testing.spec import Spec
from services.feed.announcing import Reminders, finish
from services.feed.commands import announcements as commands
from services.feed.deciders import announcement, audience, notice, receipt
from services.feed.queries import announcements as queries
from services.feed.service import SERVICE
from tests.feed.worlds import CLOSED, DENIED, FAILED, INVALID, MISSING, MODERATOR, Feed, feed_of, refused
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import announcement_events_pb2 as events
from watercooler.feed.v1 import announcement_service_pb2 as api
from watercooler.feed.v1 import feed_service_pb2 as feed_api
from watercooler.feed.v1.announcement_service_pb2_grpc import AnnouncementServiceStub
from watercooler.identity.v1 import events_pb2 as identity

NOW = datetime(2026, 3, 12, 12, tzinfo=UTC)
CONFIRM, NORMAL = events.ANNOUNCEMENT_URGENCY_CONFIRM, events.ANNOUNCEMENT_URGENCY_NORMAL
SHOWN, OPENED, CONFIRMED = api.REACH_FACT_SHOWN, api.REACH_FACT_OPENED, api.REACH_FACT_CONFIRMED
EVERYONE = Audience()
EVERYONE.everyone.SetInParent()
ANNOUNCED, REMINDED, CORRECTED = (
    feed_api.NOTIFICATION_KIND_ANNOUNCEMENT, feed_api.NOTIFICATION_KIND_REMINDER, feed_api.NOTIFICATION_KIND_CORRECTION,
)


# --- decisions --------------------------------------------------------------------------------------------------------


def prepare(**fields: Any) -> commands.PrepareAnnouncement:
    given: dict[str, Any] = {
        "announcement_id": "a", "author_id": "ann", "title": "Offices close", "body": "At noon.", "language": "en", "audience": EVERYONE,
        "urgency": CONFIRM, "deadline": NOW + timedelta(days=2), "remind_times": (NOW + timedelta(days=1),), "now": NOW,
    }
    return commands.PrepareAnnouncement(**(given | fields))


def prepared(**fields: Any) -> events.AnnouncementPrepared:
    event, = announcement.decide(prepare(**fields), announcement.initial())
    assert isinstance(event, events.AnnouncementPrepared)
    return event


PUBLISHED = events.AnnouncementPublished(announcement_id="a", author_id="ann", audience_count=2, audience_digest="d")


def change(**fields: Any) -> commands.ChangeAnnouncement:
    given: dict[str, Any] = {
        "announcement_id": "a", "editor_id": "ann", "title": "Offices close", "body": "At one.", "language": "en", "version": 1, "now": NOW,
    }
    return commands.ChangeAnnouncement(**(given | fields))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"title": " "}, "needs a title"),
        ({"title": "x" * 151}, "at most 150"),
        ({"title": "a\nb"}, "one line"),
        ({"body": ""}, "needs some text"),
        ({"body": "x" * 9_501}, "at most 9,500"),
        ({"urgency": NORMAL}, "has a deadline"),
        ({"deadline": NOW}, "passed already"),
        ({"deadline": NOW + timedelta(days=400)}, "at most 366 days"),
        ({"deadline": None}, "need a deadline"),
        ({"remind_times": tuple(NOW + timedelta(hours=hour) for hour in range(1, 5))}, "at most 3 reminders"),
        ({"remind_times": (NOW + timedelta(days=3),)}, "between now and the deadline"),
        ({"audience": Audience(followers_of_id="ann")}, "is for everyone"),
    ],
)
def test_what_cannot_be_published(fields: dict[str, Any], reason: str) -> None:
    Spec(announcement).given().when(prepare(**fields)).then_rejected(reason, Rejected)


def test_it_is_published_once() -> None:
    done = commands.FinishPublication(announcement_id="a", audience_count=2, audience_digest="d", now=NOW)
    published = events.AnnouncementPublished()
    published.CopyFrom(PUBLISHED)
    published.publish_time.FromDatetime(NOW)
    Spec(announcement).given(prepared()).when(prepare()).then_nothing()
    Spec(announcement).given(prepared()).when(done).then(published)
    Spec(announcement).given(prepared(), PUBLISHED).when(done).then_nothing()
    Spec(announcement).given(prepared()).when(change()).then_rejected("no such announcement")


def test_edits_and_corrections_count_versions() -> None:
    given = (prepared(), PUBLISHED)
    edited, = announcement.decide(change(), _state(given))
    assert isinstance(edited, events.AnnouncementEdited)
    assert (edited.version, edited.text_digest) == (2, announcement.digest("Offices close", "At one."))
    wrong = change(is_correction=True, what_was_wrong="It is one, not noon.", body="At one sharp.", version=2)
    corrected, = announcement.decide(wrong, _state((*given, edited)))
    assert isinstance(corrected, events.AnnouncementCorrected)
    assert (corrected.version, _state((*given, edited, corrected)).right_since) == (3, 3)
    Spec(announcement).given(*given).when(change(body="At noon.")).then_nothing()
    Spec(announcement).given(*given).when(change(body="At noon.", is_correction=True, what_was_wrong="x")).then_rejected("changes the text")
    Spec(announcement).given(*given).when(change(is_correction=True)).then_rejected("say what was wrong")
    Spec(announcement).given(*given, edited).when(change(body="x")).then_rejected("changed meanwhile")


def test_three_reminders_and_each_set_time_once() -> None:
    given: list[Any] = [prepared(), PUBLISHED]
    at = NOW + timedelta(days=1)
    ask = commands.AskReminder(announcement_id="a", sender_id="ann", now=NOW)
    given += announcement.decide(replace(ask, set_time=at), _state(given))
    Spec(announcement).given(*given).when(replace(ask, set_time=at)).then_nothing()
    for number in (2, 3):
        asked, = announcement.decide(ask, _state(given))
        assert isinstance(asked, events.AnnouncementReminderAsked) and asked.number == number
        given.append(asked)
    Spec(announcement).given(*given).when(ask).then_rejected("at most 3 times")


def _state(given: Iterable[Any]) -> announcement.Announcement:
    state = announcement.initial()
    for event in given:
        state = announcement.evolve(state, event)
    return state


def test_an_audience_is_frozen_in_order_and_once() -> None:
    part = events.AudienceFrozen(announcement_id="a", part=1, person_ids=["p1", "p2"])
    closed = events.AudienceClosed(announcement_id="a", audience_count=2, audience_digest="d")

    def freeze(*ids: str) -> commands.FreezePart:
        return commands.FreezePart(announcement_id="a", person_ids=ids)

    close = commands.CloseAudience(announcement_id="a", digest="d")
    Spec(audience).given().when(freeze("p1", "p2")).then(part)
    Spec(audience).given(part).when(freeze("p2", "p3")).then_nothing()
    Spec(audience).given(part).when(freeze("p3")).then(events.AudienceFrozen(announcement_id="a", part=2, person_ids=["p3"]))
    Spec(audience).given(part).when(close).then(closed)
    Spec(audience).given(part, closed).when(freeze("p3")).then_nothing()
    Spec(audience).given(part, closed).when(close).then_nothing()
    Spec(audience).given().when(freeze()).then_rejected("1 to 1,000")


def test_everybody_is_told_once_on_each_occasion() -> None:
    def tell(*ids: str) -> commands.NotifyPart:
        return commands.NotifyPart(
            announcement_id="a", notice=events.ANNOUNCEMENT_NOTICE_PUBLISHED, number=1, sender_id="ann", person_ids=ids, now=NOW
        )

    told = notice.decide(tell("p1", "p2"), notice.initial())
    end = commands.EndNotice(announcement_id="a", notice=events.ANNOUNCEMENT_NOTICE_PUBLISHED, number=1)
    ended = events.AudienceNoticeEnded(
        announcement_id="a", notice=events.ANNOUNCEMENT_NOTICE_PUBLISHED, number=1, notified_count=2
    )
    Spec(notice).given(*told).when(tell("p2", "p3")).then_nothing()
    Spec(notice).given(*told).when(end).then(ended)
    Spec(notice).given(*told, ended).when(tell("p3")).then_nothing()
    Spec(notice).given(*told, ended).when(end).then_nothing()
    Spec(notice).given().when(tell()).then_rejected("1 to 500")


@pytest.mark.parametrize("kind", [commands.RecordShown, commands.RecordOpened, commands.ConfirmAnnouncement])
def test_each_fact_is_noted_once_for_each_version(kind: Any) -> None:
    def of(version: int) -> Any:
        return kind(announcement_id="a", person_id="p", version=version, now=NOW)

    first = receipt.decide(of(1), receipt.initial())
    assert len(first) == 1
    Spec(receipt).given(*first).when(of(1)).then_nothing()
    second = receipt.decide(of(2), receipt.evolve(receipt.initial(), first[0]))
    assert [event.version for event in second] == [2]
    Spec(receipt).given(*first, *second).when(of(1)).then_nothing()


# --- in a running feed ------------------------------------------------------------------------------------------------


class Board:
    """The service of announcements, in short words."""

    def __init__(self, feed: Feed, context: Context) -> None:
        self.feed = feed
        self.context = context
        self.stub: Any = feed.world.stub(AnnouncementServiceStub, "feed")

    async def publish(self, author_id: str, to: Audience = EVERYONE, **fields: Any) -> api.Announcement:
        given: dict[str, Any] = {"title": "Offices close", "body": "At noon.", "audience": to, "urgency": CONFIRM}
        with self.feed.by(author_id):
            found: api.Announcement = await self.stub.PublishAnnouncement(api.PublishAnnouncementRequest(**(given | fields)))
        await self.feed.world.settle()
        return await self.get(author_id, found.announcement_id)

    async def record(self, person_id: str, fact: Any, announcement_id: str, version: int = 0) -> int:
        with self.feed.by(person_id):
            done = await self.stub.RecordReceipts(
                api.RecordReceiptsRequest(receipts=[api.ReceiptRecord(announcement_id=announcement_id, fact=fact, version=version)])
            )
        return int(done.recorded_count)

    async def confirm(self, person_id: str, announcement_id: str) -> api.Announcement:
        with self.feed.by(person_id):
            found: api.Announcement = await self.stub.ConfirmAnnouncement(
                api.ConfirmAnnouncementRequest(announcement_id=announcement_id)
            )
        return found

    async def correct(self, editor_id: str, announcement_id: str, body: str) -> None:
        with self.feed.by(editor_id):
            await self.stub.CorrectAnnouncement(
                api.CorrectAnnouncementRequest(
                    announcement_id=announcement_id, title="Offices close", body=body, what_was_wrong="The time was wrong."
                )
            )
        await self.feed.world.settle()

    async def get(self, person_id: str, announcement_id: str) -> api.Announcement:
        with self.feed.by(person_id):
            found: api.Announcement = await self.stub.GetAnnouncement(api.GetAnnouncementRequest(announcement_id=announcement_id))
        return found

    async def reach(self, person_id: str, announcement_id: str) -> api.Reach:
        with self.feed.by(person_id):
            found: api.Reach = await self.stub.GetReach(api.GetReachRequest(announcement_id=announcement_id))
        return found

    async def listed(self, person_id: str, **fields: Any) -> list[str]:
        with self.feed.by(person_id):
            answer = await self.stub.ListAnnouncements(api.ListAnnouncementsRequest(**fields))
        return [each.announcement_id for each in answer.announcements]

    async def who(self, person_id: str, announcement_id: str, **fields: Any) -> list[str]:
        found: list[str] = []
        page_token = ""
        with self.feed.by(person_id):
            while True:
                page = await self.stub.ListReach(
                    api.ListReachRequest(announcement_id=announcement_id, page_token=page_token, page_size=2, **fields)
                )
                found += (each.person.handle or "?" for each in page.people)
                page_token = page.next_page_token
                if not page_token:
                    return sorted(found)

    async def proof(self, person_id: str, announcement_id: str, *, pseudonymous: bool = False) -> bytes:
        data = b""
        with self.feed.by(person_id):
            async for piece in self.stub.ExportReach(
                api.ExportReachRequest(announcement_id=announcement_id, pseudonymous=pseudonymous)
            ):
                data += piece.data
        return data

    async def told(self, person_id: str) -> list[int]:
        return [each.kind for each in await self.feed.notifications(person_id)]


@asynccontextmanager
async def board_of(folder: Path) -> AsyncIterator[Board]:
    """A running feed, with what its service was given."""
    given: list[Context] = []

    def assemble(context: Context) -> Assembly:
        given.append(context)
        return SERVICE.assemble(context)

    async with feed_of(folder, replace(SERVICE, assemble=assemble)) as feed:
        yield Board(feed, given[0])


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[Board]:
    async with board_of(tmp_path) as running:
        yield running


async def under(feed: Feed, person_id: str, manager_id: str) -> None:
    """Somebody gets a manager."""
    await feed.tell(f"person-{person_id}", identity.ManagerAssigned(person_id=person_id, manager_id=manager_id))


async def test_from_publication_to_confirmation(board: Board) -> None:
    feed = board.feed
    rosa = await feed.person("rosa", "communications")
    ann, bob, cem = [await feed.person(name) for name in ("ann", "bob", "cem")]
    await feed.person("guest", "guest")
    with feed.by(rosa):
        preview = await board.stub.PreviewAudience(api.PreviewAudienceRequest(audience=EVERYONE))
    assert preview.audience_count == 3  # not the author, not guests
    made = await board.publish(rosa)
    assert (made.audience_count, made.version, made.can_see_reach) == (3, 1, True)
    dora = await feed.person("dora")  # comes later: sees it, and does not count
    for person_id in (ann, dora):
        with feed.by(person_id):
            post = await feed.stub.GetPost(feed_api.GetPostRequest(post_id=made.announcement_id))
        assert (post.body, post.announcement_id) == ("**Offices close**\n\nAt noon.", made.announcement_id)
    assert await board.told(ann) == [ANNOUNCED]
    assert await board.told(dora) == []
    assert await board.listed(ann, filter=api.ANNOUNCEMENT_FILTER_PENDING) == [made.announcement_id]
    assert await board.listed(dora, filter=api.ANNOUNCEMENT_FILTER_PENDING) == []
    assert await board.listed(rosa, filter=api.ANNOUNCEMENT_FILTER_MINE) == [made.announcement_id]

    assert [await board.record(ann, SHOWN, made.announcement_id) for _ in range(2)] == [1, 0]
    assert await board.record(ann, OPENED, made.announcement_id) == 1
    assert await board.record(dora, OPENED, made.announcement_id) == 1
    await board.confirm(bob, made.announcement_id)
    with feed.by(cem):  # the button of the post is the confirmation too
        await feed.stub.ConfirmRead(feed_api.ConfirmReadRequest(post_id=made.announcement_id))
    found = await board.reach(rosa, made.announcement_id)
    assert (found.audience_count, found.shown_count, found.opened_count, found.confirmed_count) == (3, 1, 1, 2)
    assert await board.who(rosa, made.announcement_id, fact=CONFIRMED) == ["bob", "cem"]
    assert await board.who(rosa, made.announcement_id, fact=CONFIRMED, missing=True) == ["ann"]
    assert await board.who(rosa, made.announcement_id) == ["ann", "bob", "cem"]
    assert await board.listed(bob, filter=api.ANNOUNCEMENT_FILTER_PENDING) == []
    with feed.by(ann):
        with refused(DENIED, "for its author"):
            await board.stub.GetReach(api.GetReachRequest(announcement_id=made.announcement_id))
        with refused(DENIED, "who has read"):
            await board.stub.ListReach(api.ListReachRequest(announcement_id=made.announcement_id))
        with refused(FAILED, "asks for a confirmation"):
            await board.stub.DismissAnnouncement(api.DismissAnnouncementRequest(announcement_id=made.announcement_id))
        with refused(DENIED, "only its author"):
            await board.stub.EditAnnouncement(
                api.EditAnnouncementRequest(announcement_id=made.announcement_id, title="Mine", body="now")
            )
    with feed.by(rosa), refused(FAILED, "page of its own"):
        await feed.stub.EditPost(feed_api.EditPostRequest(post_id=made.announcement_id, body="another text"))


async def test_the_same_request_twice_is_one_announcement(board: Board) -> None:
    rosa = await board.feed.person("rosa", "leader")
    first, second = [await board.publish(rosa, request_id="once") for _ in range(2)]
    assert first.announcement_id == second.announcement_id
    assert len(await board.listed(rosa)) == 1


async def test_who_may_announce_to_whom(board: Board) -> None:
    feed = board.feed
    rosa, ann, bob = await feed.person("rosa", "communications"), await feed.person("ann"), await feed.person("bob")
    with feed.by(ann), refused(DENIED, "only communications"):
        await board.stub.PublishAnnouncement(api.PublishAnnouncementRequest(title="a", body="b", audience=EVERYONE))
    club = await feed.community(ann, kind=CLOSED)
    await feed.add(ann, club.community_id, bob)
    to_club = Audience(community_id=club.community_id)
    with feed.by(bob), refused(DENIED, "only owners and moderators"):
        await board.stub.PreviewAudience(api.PreviewAudienceRequest(audience=to_club))
    with feed.by(rosa), refused(DENIED, "only owners and moderators"):
        await board.stub.PreviewAudience(api.PreviewAudienceRequest(audience=to_club))
    with feed.by(rosa), refused(INVALID, "no such group"):
        await board.stub.PreviewAudience(api.PreviewAudienceRequest(audience=Audience(group_id="nowhere")))
    made = await board.publish(ann, to_club, urgency=NORMAL)
    assert made.audience_count == 1
    with feed.by(rosa), refused(MISSING):  # closed communities are closed for communications too
        await board.stub.GetReach(api.GetReachRequest(announcement_id=made.announcement_id))
    with feed.by(ann):
        await feed.stub.ChangeMemberRole(
            feed_api.ChangeMemberRoleRequest(community_id=club.community_id, person_id=bob, role=MODERATOR)
        )
    assert (await board.reach(bob, made.announcement_id)).audience_count == 1
    with feed.by(bob):
        await board.stub.DismissAnnouncement(api.DismissAnnouncementRequest(announcement_id=made.announcement_id))
    assert await board.listed(bob, filter=api.ANNOUNCEMENT_FILTER_PENDING) == []
    assert (await board.reach(ann, made.announcement_id)).opened_count == 0


async def test_a_part_of_the_chart_and_a_group(board: Board) -> None:
    feed = board.feed
    rosa = await feed.person("rosa", "communications")
    head, lead, worker, other = [await feed.person(name) for name in ("head", "lead", "worker", "other")]
    await under(feed, worker, lead)
    await under(feed, lead, head)
    made = await board.publish(rosa, Audience(chart_of_id=head))
    assert (made.audience_count, made.audience_name) == (3, "Head")
    assert await board.listed(worker) == [made.announcement_id]
    assert await board.listed(other) == []
    with feed.by(other), refused(MISSING):
        await feed.stub.GetPost(feed_api.GetPostRequest(post_id=made.announcement_id))
    with feed.by(other):
        assert await board.record(other, OPENED, made.announcement_id) == 0
    with feed.by(rosa):  # not in the audience, and still part of the discussion
        reply = await feed.post(worker, "why?", parent_id=made.announcement_id)
        assert (await feed.stub.GetPost(feed_api.GetPostRequest(post_id=reply.post_id))).body == "why?"
    assert await board.who(lead, made.announcement_id) == ["lead", "worker"]
    await under(feed, worker, other)  # the audience stays what it was; who manages whom is as it is now
    assert await board.who(head, made.announcement_id) == ["head", "lead"]
    assert await board.listed(worker) == []
    assert (await board.reach(rosa, made.announcement_id)).audience_count == 3
    await feed.tell(
        "group-1", identity.GroupCreated(group_id="g1", name="Welders"), identity.GroupMemberAdded(group_id="g1", person_id=other)
    )
    grouped = await board.publish(rosa, Audience(group_id="g1"))
    assert (grouped.audience_count, grouped.audience_name) == (1, "Welders")


async def test_a_correction_reaches_exactly_those_who_saw_the_wrong_version(board: Board) -> None:
    feed = board.feed
    rosa = await feed.person("rosa", "communications")
    ann, bob, cem, dan = [await feed.person(name) for name in ("ann", "bob", "cem", "dan")]
    made = await board.publish(rosa)
    announcement_id = made.announcement_id
    late = await feed.person("late")
    await board.record(ann, SHOWN, announcement_id)
    await board.record(bob, OPENED, announcement_id)
    await board.confirm(cem, announcement_id)
    await board.record(late, OPENED, announcement_id)
    with feed.by(rosa):
        await board.stub.EditAnnouncement(
            api.EditAnnouncementRequest(announcement_id=announcement_id, title="Offices close", body="At noon, all.", version=1)
        )
    await feed.world.settle()
    assert await board.told(ann) == [ANNOUNCED]
    await board.correct(rosa, announcement_id, "At one.")
    assert [CORRECTED in await board.told(each) for each in (ann, bob, cem, dan, late)] == [True, True, True, False, True]
    found = await board.reach(rosa, announcement_id)
    assert (found.version, found.right_since, found.wrong_count, found.misinformed_count) == (3, 3, 4, 4)
    assert (found.confirmed_count, found.ever_confirmed_count) == (0, 1)
    assert (await board.get(ann, announcement_id)).misinformed
    assert announcement_id in await board.listed(cem, filter=api.ANNOUNCEMENT_FILTER_PENDING)
    await board.record(ann, SHOWN, announcement_id)
    assert (await board.reach(rosa, announcement_id)).misinformed_count == 4  # being shown it is not having opened it
    await board.record(ann, OPENED, announcement_id)
    await board.confirm(cem, announcement_id)
    found = await board.reach(rosa, announcement_id)
    assert (found.misinformed_count, found.wrong_count, found.confirmed_count) == (2, 4, 1)
    assert not (await board.get(ann, announcement_id)).misinformed
    async with feed.world.store("feed").database.snapshot() as tx:
        figures = await queries.recent_reach(tx, micros(datetime.now(UTC)))
    assert figures == {"audience": 4, "shown": 1, "opened": 1, "confirmed": 1, "misinformed": 2}
    with feed.by(dan):
        versions = (await board.stub.ListAnnouncementVersions(
            api.ListAnnouncementVersionsRequest(announcement_id=announcement_id)
        )).versions
        post = await feed.stub.GetPost(feed_api.GetPostRequest(post_id=announcement_id))
    assert [(each.version, each.correction, each.what_was_wrong) for each in versions] == [
        (3, True, "The time was wrong."), (2, False, ""), (1, False, ""),
    ]
    assert post.body == "**Offices close**\n\nAt one."


async def test_reminders_go_to_those_who_have_not_confirmed(board: Board) -> None:
    feed = board.feed
    rosa = await feed.person("rosa", "communications")
    ann, bob = await feed.person("ann"), await feed.person("bob")
    now = datetime.now(UTC)
    request = api.PublishAnnouncementRequest(title="a", body="b", audience=EVERYONE, urgency=CONFIRM)
    request.deadline.FromDatetime(now + timedelta(days=3))
    for days in (1, 2):
        request.remind_times.add().FromDatetime(now + timedelta(days=days))
    with feed.by(rosa):
        made = await board.stub.PublishAnnouncement(request)
    await feed.world.settle()
    await board.confirm(ann, made.announcement_id)
    for hours, sent in ((12, 0), (25, 1), (25, 0), (49, 1), (60, 0)):
        def later(at: datetime = now + timedelta(hours=hours)) -> datetime:
            return at

        assert await Reminders(replace(board.context, now=later)).send_due() == sent
    await feed.world.settle()
    assert REMINDED not in await board.told(ann)
    assert (await board.told(bob)).count(REMINDED) == 1  # both reminders, as one group
    with feed.by(rosa):
        found = await board.stub.RemindAudience(api.RemindAudienceRequest(announcement_id=made.announcement_id))
        assert (found.reminder_count, found.remindable_count) == (3, 1)
        with refused(FAILED, "at most 3 times"):
            await board.stub.RemindAudience(api.RemindAudienceRequest(announcement_id=made.announcement_id))
    missing = api.ListReachRequest(announcement_id=made.announcement_id, fact=api.REACH_FACT_CONFIRMED, missing=True)
    with feed.by(rosa):
        assert [each.person.person_id for each in (await board.stub.ListReach(missing)).people] == [bob]
    left = identity.PersonLeft(person_id=bob)
    left.leave_time.FromDatetime(now)
    await feed.tell(f"person-{bob}", left)
    with feed.by(rosa):
        assert not (await board.stub.ListReach(missing)).people


async def test_what_a_crash_left_half_done_is_finished(board: Board) -> None:
    feed = board.feed
    rosa = await feed.person("rosa", "communications")
    people = sorted([await feed.person(name) for name in ("ann", "bob", "cem")])
    store = feed.world.store("feed")
    event = prepared(announcement_id=people[0][:-4] + "aaaa", author_id=rosa, deadline=None, remind_times=())
    await store.append(
        f"audience-{event.announcement_id}", 0,
        [events.AudienceFrozen(announcement_id=event.announcement_id, part=1, person_ids=people[:1])], Metadata(rosa),
    )
    await store.append(f"announcement-{event.announcement_id}", 0, [event], Metadata(rosa))
    await feed.world.settle()  # the reactor takes it up
    found = await board.get(people[1], event.announcement_id)
    assert (found.preparing, found.audience_count) == (False, 3)
    assert await board.told(people[2]) == [ANNOUNCED]
    head = await store.head()
    await finish(board.context, event.announcement_id, Metadata(rosa))
    assert await store.head() == head


async def test_erasure_leaves_counts_and_no_name(board: Board) -> None:
    feed = board.feed
    rosa, ann, bob = await feed.person("rosa", "communications"), await feed.person("ann"), await feed.person("bob")
    lea = await feed.person("lea", "leader")
    made = await board.publish(rosa)
    other = await board.publish(lea, urgency=NORMAL)
    await board.confirm(ann, made.announcement_id)
    erased = identity.PersonErased(person_id=ann)
    await feed.tell(f"person-{ann}", erased)
    found = await board.reach(rosa, made.announcement_id)
    assert (found.audience_count, found.confirmed_count) == (3, 1)
    assert await board.who(rosa, made.announcement_id, fact=CONFIRMED) == ["?"]
    assert b"Ann" not in await board.proof(rosa, made.announcement_id)
    await feed.tell(f"person-{lea}", identity.PersonErased(person_id=lea))
    gone = await board.get(rosa, other.announcement_id)
    assert (gone.title, gone.body, gone.erased) == ("", "", True)
    assert await board.listed(bob, filter=api.ANNOUNCEMENT_FILTER_PENDING) == [made.announcement_id]


async def test_withdrawn_with_its_post(board: Board) -> None:
    feed = board.feed
    rosa, ann = await feed.person("rosa", "communications"), await feed.person("ann")
    made = await board.publish(rosa)
    with feed.by(rosa):
        await feed.stub.DeletePost(feed_api.DeletePostRequest(post_id=made.announcement_id))
        with refused(FAILED, "withdrawn"):
            await board.stub.RemindAudience(api.RemindAudienceRequest(announcement_id=made.announcement_id))
    assert (await board.get(rosa, made.announcement_id)).withdrawn
    assert await board.listed(ann) == []
    with feed.by(ann), refused(MISSING):
        await board.stub.ConfirmAnnouncement(api.ConfirmAnnouncementRequest(announcement_id=made.announcement_id))


async def test_the_proof_of_reach(tmp_path: Path) -> None:
    async with board_of(tmp_path) as board:
        feed = board.feed
        rosa, ann, bob = await feed.person("rosa", "communications"), await feed.person("ann"), await feed.person("bob")
        made = await board.publish(rosa)
        late = await feed.person("late")
        for person_id in (ann, late):
            await board.record(person_id, OPENED, made.announcement_id)
        await board.correct(rosa, made.announcement_id, "At one.")
        await board.confirm(ann, made.announcement_id)
        data = await board.proof(rosa, made.announcement_id)
        hidden = await board.proof(rosa, made.announcement_id, pseudonymous=True)
        with feed.by(ann):
            keys = (await board.stub.ListProofKeys(api.ListProofKeysRequest())).keys
            with refused(DENIED, "for its author"):
                async for _ in board.stub.ExportReach(api.ExportReachRequest(announcement_id=made.announcement_id)):
                    pass
    verdict = reach.verify(reach.lines_of([data]), keys[0].public_key)
    assert verdict.problems == []
    assert (verdict.audience_count, verdict.fact_count, verdict.people) == (2, 2, {"shown": 0, "opened": 1, "confirmed": 1})
    assert verdict.announcement_id == made.announcement_id
    assert bob.encode() in data and late.encode() not in data
    assert reach.verify(reach.lines_of([hidden]), keys[0].public_key).problems == []
    assert not any(each.encode() in hidden for each in (ann, bob))
    assert "not with the one you trust" in reach.verify(reach.lines_of([data]), "ab" * 32).problems[0]
