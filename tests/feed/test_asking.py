"""Questions, experts and routing; praise; questions to leaders; ideas: through the running feed."""
from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc

from services.feed.questions import release_held, route_due
from services.feed.service import SERVICE
from tests.feed.worlds import CLOSED, DENIED, EVERYONE, FAILED, INVALID, MISSING, MODERATOR, SECRET, Feed, people, refused
from watercooler.common.v1.audience_pb2 import Audience
from watercooler.feed.v1 import asking_service_pb2 as asking
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import feed_service_pb2 as api
from watercooler.feed.v1 import ideas_service_pb2 as idea_api
from watercooler.feed.v1 import reading_service_pb2 as reading
from watercooler.feed.v1.asking_events_pb2 import (
    EXPERTISE_REASON_BEST_ON_TAG,
    EXPERTISE_REASON_NAMED,
    EXPERTISE_REASON_VALUED_ON_TAG,
    EnquiryAskedAnonymously,
)
from watercooler.feed.v1.asking_service_pb2_grpc import AskingServiceStub
from watercooler.feed.v1.ideas_events_pb2 import IDEA_STATE_DONE, IDEA_STATE_NEW, IDEA_STATE_TRIAL
from watercooler.feed.v1.ideas_service_pb2_grpc import IdeasServiceStub
from watercooler.feed.v1.reading_service_pb2_grpc import ReadingServiceStub
from watercooler.identity.v1 import events_pb2 as identity

QUESTION = events_pb2.POST_KIND_QUESTION


def _asking(feed: Feed) -> Any:
    return feed.world.stub(AskingServiceStub, "feed")


def _ideas(feed: Feed) -> Any:
    return feed.world.stub(IdeasServiceStub, "feed")


def _context(feed: Feed, later: timedelta) -> Any:
    """The feed's surroundings as they will be."""
    context = feed.world.embedded._context(SERVICE, feed.world.embedded.engines.blobs())
    moment = datetime.now(UTC) + later
    return replace(context, now=lambda: moment)


async def _ask(feed: Feed, author_id: str, body: str = "How does one seal this?", audience: Audience | None = None) -> api.Post:
    return await feed.post(author_id, body, audience, kind=QUESTION)


async def _list(feed: Feed, reader_id: str, wanted: int, **fields: Any) -> list[str]:
    with feed.by(reader_id):
        found = await _asking(feed).ListQuestions(asking.ListQuestionsRequest(filter=wanted, **fields))
    return [each.post.post_id for each in found.questions]


async def _best(feed: Feed, person_id: str, post_id: str) -> asking.Question:
    with feed.by(person_id):
        return await _asking(feed).MarkBestAnswer(asking.MarkBestAnswerRequest(post_id=post_id))


async def test_a_question_gets_a_best_answer(feed: Feed) -> None:
    ann, bob, eve = await feed.person("ann"), await feed.person("bob"), await feed.person("eve")
    asked = await _ask(feed, ann)
    assert await _list(feed, bob, asking.QUESTION_FILTER_UNSPECIFIED) == [asked.post_id]
    own = await feed.post(ann, "Nobody?", parent_id=asked.post_id)
    assert await _list(feed, bob, asking.QUESTION_FILTER_UNSPECIFIED) == [asked.post_id]
    first = await feed.post(bob, "With tape.", parent_id=asked.post_id)
    second = await feed.post(eve, "With silicone.", parent_id=first.post_id)
    assert await _list(feed, bob, asking.QUESTION_FILTER_UNSPECIFIED) == []
    assert await _list(feed, bob, asking.QUESTION_FILTER_OPEN) == [asked.post_id]
    with refused(DENIED, "by whoever asked"):
        await _best(feed, eve, second.post_id)
    assert (await _best(feed, ann, first.post_id)).best_answer.post_id == first.post_id
    found = await _best(feed, ann, second.post_id)
    assert (found.best_answer.body, found.answer_count, found.can_mark) == ("With silicone.", 2, True)
    assert (found.post.best_answer_id, found.best_answer.is_best_answer) == (second.post_id, True)
    with feed.by(bob):
        thread = await feed.stub.GetThread(api.GetThreadRequest(post_id=asked.post_id))
        assert [each.is_best_answer for each in thread.replies] == [False, False, True]
        assert not (await _asking(feed).GetQuestion(asking.GetQuestionRequest(question_id=asked.post_id))).can_mark
    told = [(each.kind, each.post.post_id) for each in await feed.notifications(eve)]
    assert told == [(api.NOTIFICATION_KIND_BEST_ANSWER, second.post_id)]
    assert api.NOTIFICATION_KIND_BEST_ANSWER not in [each.kind for each in await feed.notifications(bob)]
    assert await _list(feed, bob, asking.QUESTION_FILTER_SOLVED) == [asked.post_id]
    with feed.by(eve):
        await feed.stub.DeletePost(api.DeletePostRequest(post_id=second.post_id))
    assert await _list(feed, bob, asking.QUESTION_FILTER_OPEN) == [asked.post_id]
    with feed.by(ann):
        assert (await feed.stub.GetPost(api.GetPostRequest(post_id=asked.post_id))).best_answer_id == ""
        cleared = await _asking(feed).UnmarkBestAnswer(asking.UnmarkBestAnswerRequest(question_id=asked.post_id))
    assert not cleared.HasField("best_answer") and cleared.post.best_answer_id == ""
    plain = await feed.post(ann, "No question.")
    reply = await feed.post(bob, "Indeed.", parent_id=plain.post_id)
    with refused(FAILED, "asks nothing"):
        await _best(feed, ann, reply.post_id)
    with feed.by(ann), refused(INVALID, "thread of its own", "kind"):
        await feed.stub.PublishPost(api.PublishPostRequest(body="Why?", parent_id=own.post_id, kind=QUESTION))


async def test_moderators_and_experts_of_a_community_mark_too_and_others_see_nothing(feed: Feed) -> None:
    ann, bob, cem, eve = [await feed.person(handle) for handle in ("ann", "bob", "cem", "eve")]
    sealing = (await feed.community(ann, "Sealing", CLOSED)).community_id
    for person_id in (bob, cem):
        await feed.add(ann, sealing, person_id)
    asked = await _ask(feed, bob, audience=Audience(community_id=sealing))
    answer = await feed.post(ann, "Thus.", parent_id=asked.post_id)
    with refused(DENIED, "by whoever asked"):
        await _best(feed, cem, answer.post_id)
    with feed.by(cem), refused(DENIED, "by its owners"):
        await _asking(feed).NameExpert(asking.NameExpertRequest(community_id=sealing, person_id=cem))
    with feed.by(ann):
        with refused(MISSING, "members", "person_id"):
            await _asking(feed).NameExpert(asking.NameExpertRequest(community_id=sealing, person_id=eve))
        named = await _asking(feed).NameExpert(asking.NameExpertRequest(community_id=sealing, person_id=cem))
    assert ([each.person_id for each in named.experts], named.can_name) == ([cem], True)
    assert (await _best(feed, cem, answer.post_id)).best_answer.post_id == answer.post_id
    with refused(MISSING):
        await _best(feed, eve, answer.post_id)
    assert await _list(feed, eve, asking.QUESTION_FILTER_ALL) == []
    assert await _list(feed, cem, asking.QUESTION_FILTER_ALL, community_id=sealing) == [asked.post_id]
    with feed.by(cem):
        left = await _asking(feed).WithdrawExpert(asking.WithdrawExpertRequest(community_id=sealing, person_id=cem))
    assert (list(left.experts), left.can_name) == ([], False)
    await feed.add(ann, sealing, eve, MODERATOR)
    with feed.by(eve):
        await _asking(feed).UnmarkBestAnswer(asking.UnmarkBestAnswerRequest(question_id=asked.post_id))


async def test_unanswered_questions_are_brought_to_those_who_are_likely_to_know(feed: Feed) -> None:
    ann, bob, cem, dan, eve = [await feed.person(handle) for handle in ("ann", "bob", "cem", "dan", "eve")]
    sealing = (await feed.community(eve, "Sealing", CLOSED)).community_id
    await feed.add(eve, sealing, dan)
    hidden = (await feed.community(dan, "Hidden", SECRET)).community_id
    await feed.add(dan, hidden, cem)
    # Bob answered best on the tag, Cem's answer on it was liked, Dan's best answer is where others do not see it.
    earlier = await _ask(feed, ann, "Which #sealant?")
    best = await feed.post(bob, "This one.", parent_id=earlier.post_id)
    liked = await feed.post(cem, "Or that one.", parent_id=earlier.post_id)
    await _best(feed, ann, best.post_id)
    with feed.by(ann):
        await feed.stub.AddReaction(api.AddReactionRequest(post_id=liked.post_id, emoji="👍"))
    secret = await _ask(feed, cem, "Which #sealant here?", Audience(community_id=hidden))
    await _best(feed, cem, (await feed.post(dan, "Ours.", parent_id=secret.post_id)).post_id)

    asked = await _ask(feed, ann, "Does the #sealant hold at 90 °C?")
    tried: dict[str, datetime] = {}
    assert await route_due(_context(feed, timedelta(hours=3)), tried) == 0, "it waits for four hours"
    assert await route_due(_context(feed, timedelta(hours=5)), tried) == 1
    assert await route_due(_context(feed, timedelta(hours=6)), tried) == 0, "once"
    with feed.by(ann):
        found = await _asking(feed).GetQuestion(asking.GetQuestionRequest(question_id=asked.post_id))
    assert [(each.person.person_id, [(one.reason, one.tag, one.count) for one in each.reasons]) for each in found.asked_people] == [
        (bob, [(EXPERTISE_REASON_BEST_ON_TAG, "sealant", 1)]), (cem, [(EXPERTISE_REASON_VALUED_ON_TAG, "sealant", 1)]),
    ]
    assert [(each.kind, each.post.post_id) for each in await feed.notifications(bob)][:1] == [
        (api.NOTIFICATION_KIND_QUESTION, asked.post_id)
    ]
    assert await _list(feed, bob, asking.QUESTION_FILTER_FOR_ME) == [asked.post_id]
    assert api.NOTIFICATION_KIND_QUESTION not in [each.kind for each in await feed.notifications(dan)]

    # A closed community's question goes to its named expert and to nobody outside.
    with feed.by(eve):
        await _asking(feed).NameExpert(asking.NameExpertRequest(community_id=sealing, person_id=dan))
    inside = await _ask(feed, eve, "Which #sealant inside?", Audience(community_id=sealing))
    assert await route_due(_context(feed, timedelta(hours=5)), tried) == 1
    with feed.by(eve):
        found = await _asking(feed).GetQuestion(asking.GetQuestionRequest(question_id=inside.post_id))
    assert [(each.person.person_id, [one.reason for one in each.reasons]) for each in found.asked_people] == [
        (dan, [EXPERTISE_REASON_NAMED])
    ]


async def test_nobody_is_asked_whom_the_asker_muted_or_who_was_asked_enough_or_who_left(feed: Feed) -> None:
    ann, bob, cem, dan = [await feed.person(handle) for handle in ("ann", "bob", "cem", "dan")]
    place = (await feed.community(ann, "Sealing")).community_id
    with feed.by(ann):
        for person_id in (bob, cem, dan):
            await feed.stub.AddMember(api.AddMemberRequest(community_id=place, person_id=person_id))
            await _asking(feed).NameExpert(asking.NameExpertRequest(community_id=place, person_id=person_id))
        await feed.world.stub(ReadingServiceStub, "feed").MutePerson(reading.MutePersonRequest(person_id=bob))
    await feed.tell(f"person-{dan}", identity.PersonLeft(person_id=dan))
    ids = [(await _ask(feed, ann, f"Question {number}?", Audience(community_id=place))).post_id for number in range(4)]
    tried: dict[str, datetime] = {}
    later = _context(feed, timedelta(hours=5))
    assert await route_due(later, tried) == 3, "three a week are enough for Cem, and nobody else is left"
    assert list(tried) == [ids[3]]
    assert await route_due(later, tried) == 0
    assert await _list(feed, cem, asking.QUESTION_FILTER_FOR_ME) == ids[:3]
    assert await _list(feed, bob, asking.QUESTION_FILTER_FOR_ME) == []


async def test_praise_is_shown_by_value_to_those_who_may_see_it(feed: Feed) -> None:
    ann, bob, cem = [await feed.person(handle) for handle in ("ann", "bob", "cem")]
    value = "Helping each other"
    first = await feed.post(ann, "Thank you!", EVERYONE, praised_ids=[bob], praise_value=value)
    await feed.post(ann, "Between us.", people(bob), praised_ids=[bob], praise_value="Customers first")
    assert (first.kind, first.praise_value, [each.person_id for each in first.praised]) == (
        events_pb2.POST_KIND_PRAISE, value, [bob]
    )
    with feed.by(bob):
        mine = await _asking(feed).GetPraise(asking.GetPraiseRequest(person_id=bob))
    assert [(each.value, each.count) for each in mine.values] == [("Customers first", 1), (value, 1)]
    with feed.by(cem):
        seen = await _asking(feed).GetPraise(asking.GetPraiseRequest(person_id=bob))
        assert [(each.value, each.count) for each in seen.values] == [(value, 1)]
        assert [each.post_id for each in seen.posts] == [first.post_id]
        assert list((await _asking(feed).GetPraiseTotals(asking.GetPraiseTotalsRequest())).values) == []
    assert api.NOTIFICATION_KIND_PRAISE in [each.kind for each in await feed.notifications(bob)]
    with feed.by(ann), refused(INVALID, "choose what", "praise_value"):
        await feed.stub.PublishPost(api.PublishPostRequest(body="Thanks!", praised_ids=[bob], praise_value="Being nice"))
    crowd = [await feed.person(f"p{number}") for number in range(4)]
    await feed.post(ann, "Thank you all!", EVERYONE, praised_ids=crowd, praise_value=value)
    with feed.by(cem):
        totals = await _asking(feed).GetPraiseTotals(asking.GetPraiseTotalsRequest())
    assert [(each.value, each.count) for each in totals.values] == [(value, 5)]


async def test_questions_to_leaders_are_voted_for_and_answered_in_the_open(feed: Feed) -> None:
    ann, bob, guest = await feed.person("ann"), await feed.person("bob"), await feed.person("gus", "guest")
    lea = await feed.person("lea", "leader")
    await feed.tell(f"person-{lea}", identity.RoleGranted(person_id=lea, role=identity.ROLE_EMPLOYEE))
    feed.roles[lea] = ("employee", "leader")
    stub = _asking(feed)
    with feed.by(ann):
        with refused(INVALID, "no leader", "addressee_ids"):
            await stub.AskLeaders(asking.AskLeadersRequest(body="Will you answer this?", addressee_ids=[bob]))
        asked = await stub.AskLeaders(asking.AskLeadersRequest(body="When does the canteen open?", addressee_ids=[lea], request_id="r"))
        again = await stub.AskLeaders(asking.AskLeadersRequest(body="When does the canteen open?", addressee_ids=[lea], request_id="r"))
        assert again.enquiry_id == asked.enquiry_id
        assert (asked.asker.person_id, asked.can_vote, asked.can_answer, asked.can_withdraw) == (ann, False, False, True)
        with refused(FAILED, "your own"):
            await stub.VoteEnquiry(asking.VoteEnquiryRequest(enquiry_id=asked.enquiry_id))
        other = await stub.AskLeaders(asking.AskLeadersRequest(body="What about the bicycles?"))
    with feed.by(guest), refused(DENIED, "for employees"):
        await stub.GetEnquiry(asking.GetEnquiryRequest(enquiry_id=asked.enquiry_id))
    with feed.by(bob):
        voted = await stub.VoteEnquiry(asking.VoteEnquiryRequest(enquiry_id=asked.enquiry_id))
        assert (voted.vote_count, voted.voted) == (1, True)
        assert (await stub.VoteEnquiry(asking.VoteEnquiryRequest(enquiry_id=asked.enquiry_id))).vote_count == 1
        listed = await stub.ListEnquiries(asking.ListEnquiriesRequest(page_size=1))
        assert [each.enquiry_id for each in listed.enquiries] == [asked.enquiry_id]
        rest = await stub.ListEnquiries(asking.ListEnquiriesRequest(page_size=1, page_token=listed.next_page_token))
        assert [each.enquiry_id for each in rest.enquiries] == [other.enquiry_id] and not rest.next_page_token
        with refused(DENIED, "answered by leaders"):
            await stub.DecideEnquiry(
                asking.DecideEnquiryRequest(state=asking.ENQUIRY_STATE_ANSWERED, enquiry_id=asked.enquiry_id, text="Never.")
            )
    with feed.by(lea):
        with refused(INVALID, "say why", "text"):
            await stub.DecideEnquiry(asking.DecideEnquiryRequest(state=asking.ENQUIRY_STATE_DECLINED, enquiry_id=asked.enquiry_id))
        await stub.DecideEnquiry(
            asking.DecideEnquiryRequest(state=asking.ENQUIRY_STATE_ACCEPTED, enquiry_id=asked.enquiry_id, text="We are looking for a cook.")
        )
        await stub.DelegateEnquiry(asking.DelegateEnquiryRequest(enquiry_id=asked.enquiry_id, person_id=bob))
    with feed.by(bob):
        answered = await stub.DecideEnquiry(
            asking.DecideEnquiryRequest(state=asking.ENQUIRY_STATE_ANSWERED, enquiry_id=asked.enquiry_id, text="On Monday.")
        )
    assert answered.state == asking.ENQUIRY_STATE_ANSWERED and answered.answer_seconds >= 1
    assert [(each.state, each.person.person_id, each.text) for each in answered.steps] == [
        (asking.ENQUIRY_STATE_ACCEPTED, lea, "We are looking for a cook."), (asking.ENQUIRY_STATE_ANSWERED, bob, "On Monday."),
    ]
    decisions = [each for each in await feed.notifications(ann) if each.kind == api.NOTIFICATION_KIND_DECISION]
    assert [(each.notification_id, each.actor_count) for each in decisions] == [
        (f"{api.NOTIFICATION_KIND_DECISION}-{asked.enquiry_id}", 2)
    ]
    assert [each.kind for each in await feed.notifications(bob)] == [api.NOTIFICATION_KIND_DECISION]
    with feed.by(ann):
        desk = await stub.GetLeadershipDesk(asking.GetLeadershipDeskRequest())
        assert ([each.person_id for each in desk.leaders], desk.waiting_count, desk.answered_count) == ([lea], 1, 1)
        assert desk.median_answer_seconds == answered.answer_seconds
        waiting = await stub.ListEnquiries(asking.ListEnquiriesRequest(order=asking.ENQUIRY_ORDER_WAITING))
        assert [each.enquiry_id for each in waiting.enquiries] == [other.enquiry_id]
        gone = await stub.DecideEnquiry(asking.DecideEnquiryRequest(state=asking.ENQUIRY_STATE_WITHDRAWN, enquiry_id=other.enquiry_id))
        assert (gone.state, gone.body) == (asking.ENQUIRY_STATE_WITHDRAWN, "")
        newest = await stub.ListEnquiries(asking.ListEnquiriesRequest(order=asking.ENQUIRY_ORDER_NEWEST))
        assert [each.enquiry_id for each in newest.enquiries] == [asked.enquiry_id]


async def test_anonymous_questions_enter_the_log_on_the_hour_and_are_counted_in_memory(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    stub = _asking(feed)
    with feed.by(ann):
        held = await stub.AskLeadersAnonymously(asking.AskLeadersAnonymouslyRequest(body="Who decides on raises?"))
        await stub.AskLeadersAnonymously(asking.AskLeadersAnonymouslyRequest(body="Who decides on raises?"))
        assert list((await stub.ListEnquiries(asking.ListEnquiriesRequest())).enquiries) == []
    assert held.publish_time.ToDatetime().minute == 0 and held.publish_time.seconds > datetime.now(UTC).timestamp()
    later = _context(feed, timedelta(hours=1))
    assert await release_held(later) == 1
    assert await release_held(later) == 0
    with feed.by(bob):
        found = (await stub.ListEnquiries(asking.ListEnquiriesRequest())).enquiries
    assert [(each.body, each.anonymous, each.HasField("asker")) for each in found] == [("Who decides on raises?", True, False)]
    event = next(each for each in await feed.world.store("feed").tail(0, 1_000) if isinstance(each.data, EnquiryAskedAnonymously))
    assert (event.meta.actor_id, event.meta.traceparent, event.meta.causation_id) == ("", "", "")
    assert event.meta.correlation_id in ("", event.id)
    with feed.by(ann):
        await stub.AskLeadersAnonymously(asking.AskLeadersAnonymouslyRequest(body="And a third question?"))
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "at most 3"):
            await stub.AskLeadersAnonymously(asking.AskLeadersAnonymouslyRequest(body="And a fourth question?"))
    assert await release_held(later) == 1


async def test_a_post_becomes_an_idea_with_votes_sponsor_and_state(feed: Feed) -> None:
    ann, bob, cem = [await feed.person(handle) for handle in ("ann", "bob", "cem")]
    stub = _ideas(feed)
    posted = await feed.post(ann, "Let us compost the coffee.")
    with feed.by(bob), refused(DENIED, "by its author"):
        await stub.ProposeIdea(idea_api.ProposeIdeaRequest(post_id=posted.post_id))
    with feed.by(ann):
        proposed = await stub.ProposeIdea(idea_api.ProposeIdeaRequest(post_id=posted.post_id))
        assert (proposed.state, proposed.post.idea_state, proposed.can_vote, proposed.can_link) == (IDEA_STATE_NEW, "new", False, True)
        with refused(FAILED, "your own"):
            await stub.VoteIdea(idea_api.VoteIdeaRequest(post_id=posted.post_id))
        other = await stub.PublishIdea(
            idea_api.PublishIdeaRequest(body="Bicycles for visitors.", objective_title="Fewer cars", request_id="r")
        )
        again = await stub.PublishIdea(
            idea_api.PublishIdeaRequest(body="Bicycles for visitors.", objective_title="Fewer cars", request_id="r")
        )
        assert (again.post.post_id, again.objective_title) == (other.post.post_id, "Fewer cars")
    with feed.by(bob):
        assert (await stub.VoteIdea(idea_api.VoteIdeaRequest(post_id=posted.post_id))).vote_count == 1
        board = await stub.ListIdeas(idea_api.ListIdeasRequest())
        assert [each.post.post_id for each in board.ideas] == [posted.post_id, other.post.post_id]
        newest = await stub.ListIdeas(idea_api.ListIdeasRequest(order=idea_api.IDEA_ORDER_NEWEST, page_size=1))
        assert [each.post.post_id for each in newest.ideas] == [other.post.post_id]
        rest = await stub.ListIdeas(
            idea_api.ListIdeasRequest(order=idea_api.IDEA_ORDER_NEWEST, page_size=1, page_token=newest.next_page_token)
        )
        assert [each.post.post_id for each in rest.ideas] == [posted.post_id]
    with feed.by(cem):
        sponsored = await stub.SponsorIdea(idea_api.SponsorIdeaRequest(post_id=posted.post_id))
        assert (sponsored.sponsor.person_id, sponsored.can_change) == (cem, True)
        trial = await stub.ChangeIdeaState(idea_api.ChangeIdeaStateRequest(post_id=posted.post_id, state=IDEA_STATE_TRIAL))
        with refused(INVALID, "say what was done", "reason"):
            await stub.ChangeIdeaState(idea_api.ChangeIdeaStateRequest(post_id=posted.post_id, state=IDEA_STATE_DONE))
        done = await stub.ChangeIdeaState(
            idea_api.ChangeIdeaStateRequest(post_id=posted.post_id, state=IDEA_STATE_DONE, reason="There is a heap.")
        )
    assert (trial.post.idea_state, done.post.idea_state) == ("trial", "done")
    assert [(each.state, each.person.person_id, each.reason) for each in done.steps] == [
        (IDEA_STATE_NEW, ann, ""), (IDEA_STATE_TRIAL, cem, ""), (IDEA_STATE_DONE, cem, "There is a heap."),
    ]
    for person_id in (ann, bob):
        kinds = [(each.kind, each.post.post_id) for each in await feed.notifications(person_id)]
        assert (api.NOTIFICATION_KIND_DECISION, posted.post_id) in kinds
    secret = (await feed.community(ann, "Hidden", SECRET)).community_id
    with feed.by(ann):
        hidden = await stub.PublishIdea(idea_api.PublishIdeaRequest(body="Among us.", audience=Audience(community_id=secret)))
    with feed.by(bob):
        with refused(MISSING):
            await stub.GetIdea(idea_api.GetIdeaRequest(post_id=hidden.post.post_id))
        with refused(MISSING):
            await stub.VoteIdea(idea_api.VoteIdeaRequest(post_id=hidden.post.post_id))


async def test_what_erased_people_asked_answered_and_reasoned_is_gone(feed: Feed) -> None:
    ann, bob = await feed.person("ann"), await feed.person("bob")
    lea = await feed.person("lea", "leader")
    feed.roles[lea] = ("employee", "leader")
    words = "quite unmistakable words"
    stub = _asking(feed)
    with feed.by(ann):
        asked = await stub.AskLeaders(asking.AskLeadersRequest(body=f"Why {words}?"))
        idea = await _ideas(feed).PublishIdea(idea_api.PublishIdeaRequest(body=words, objective_title=words))
    question = await _ask(feed, bob)
    answer = await feed.post(ann, words, parent_id=question.post_id)
    await _best(feed, bob, answer.post_id)
    with feed.by(bob):
        kept = await stub.AskLeaders(asking.AskLeadersRequest(body="What remains of us?"))
        await _ideas(feed).VoteIdea(idea_api.VoteIdeaRequest(post_id=idea.post.post_id))
    with feed.by(lea):
        await stub.DecideEnquiry(asking.DecideEnquiryRequest(state=asking.ENQUIRY_STATE_ANSWERED, enquiry_id=kept.enquiry_id, text=words))
        await _ideas(feed).ChangeIdeaState(
            idea_api.ChangeIdeaStateRequest(post_id=idea.post.post_id, state=IDEA_STATE_DONE, reason=words)
        )
    for person_id in (ann, lea):
        await feed.tell(f"person-{person_id}", identity.PersonErased(person_id=person_id))
    await feed.world.settle()
    with feed.by(bob):
        gone = await stub.GetEnquiry(asking.GetEnquiryRequest(enquiry_id=asked.enquiry_id))
        assert (gone.body, gone.erased, gone.asker.erased) == ("", True, True)
        still = await stub.GetEnquiry(asking.GetEnquiryRequest(enquiry_id=kept.enquiry_id))
        assert [(each.text, each.erased) for each in still.steps] == [("", True)] and still.body == "What remains of us?"
        found = await stub.GetQuestion(asking.GetQuestionRequest(question_id=question.post_id))
        assert not found.HasField("best_answer") and found.answer_count == 0
        board = await _ideas(feed).ListIdeas(idea_api.ListIdeasRequest())
        assert list(board.ideas) == []
    database = feed.world.store("feed").database
    for table in ("enquiries", "enquiry_steps", "ideas", "idea_steps", "posts"):
        assert words not in repr([tuple(row) for row in await database.fetch(f"SELECT * FROM {table}")])
