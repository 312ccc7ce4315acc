"""What questions, experts, questions to leaders, votes and ideas decide."""
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.eventstore.model import EditConflict, InvalidArgument, NotFound, PermissionDenied
from libs.testing.spec import Spec
from services.feed.commands import PublishPost
from services.feed.commands import asking as commands
from services.feed.commands import ideas as idea_commands
from services.feed.deciders import enquiry, expertise, idea, post, question, support
from watercooler.common.v1.audience_pb2 import Audience, Everyone
from watercooler.feed.v1 import asking_events_pb2 as events
from watercooler.feed.v1 import ideas_events_pb2 as ideas
from watercooler.feed.v1.events_pb2 import POST_KIND_QUESTION

NOW = datetime(2026, 11, 23, 14, 20, tzinfo=UTC)
HOUR = datetime(2026, 11, 23, 14, tzinfo=UTC)


def _stamped(event: Any, field: str) -> Any:
    getattr(event, field).FromDatetime(NOW)
    return event


# --- questions --------------------------------------------------------------------------------------------------------


def _mark(answer: str = "a1", **changes: Any) -> commands.MarkBestAnswer:
    fields: dict[str, Any] = {
        "question_id": "q", "asker_id": "ann", "answer_id": answer, "answerer_id": "bob", "marker_id": "ann", "allowed": True, "now": NOW,
    }
    return commands.MarkBestAnswer(**fields | changes)


def _marked(answer: str = "a1", previous: str = "") -> events.BestAnswerMarked:
    return _stamped(
        events.BestAnswerMarked(
            question_id="q", answer_id=answer, asker_id="ann", answerer_id="bob", marker_id="ann", previous_id=previous
        ),
        "mark_time",
    )


def test_one_answer_at_a_time_is_the_best() -> None:
    Spec(question).given().when(_mark()).then(_marked())
    Spec(question).given(_marked()).when(_mark()).then_nothing()
    Spec(question).given(_marked()).when(_mark("a2")).then(_marked("a2", "a1"))
    Spec(question).given().when(_mark(allowed=False)).then_rejected("by whoever asked", PermissionDenied)
    Spec(question).given().when(_mark("q")).then_rejected("does not answer itself")


def test_a_mark_is_taken_back() -> None:
    unmark = commands.UnmarkBestAnswer(question_id="q", unmarker_id="ann", allowed=True, now=NOW)
    unmarked = _stamped(events.BestAnswerUnmarked(question_id="q", answer_id="a1", unmarker_id="ann"), "unmark_time")
    Spec(question).given(_marked()).when(unmark).then(unmarked)
    Spec(question).given(_marked(), unmarked).when(unmark).then_nothing()
    stranger = commands.UnmarkBestAnswer(question_id="q", unmarker_id="eve", allowed=False, now=NOW)
    Spec(question).given(_marked()).when(stranger).then_rejected("by whoever asked", PermissionDenied)


def test_a_question_is_brought_to_people_once_and_to_five_at_most() -> None:
    people = tuple(events.RoutedPerson(person_id=f"p{number}") for number in range(7))
    route = commands.RouteQuestion(question_id="q", asker_id="ann", people=people, now=NOW)
    routed = _stamped(events.QuestionRouted(question_id="q", asker_id="ann", people=people[:5]), "route_time")
    Spec(question).given().when(route).then(routed)
    Spec(question).given(routed).when(route).then_nothing()
    Spec(question).given(_marked()).when(route).then_nothing()
    Spec(question).given().when(commands.RouteQuestion(question_id="q", asker_id="ann", people=(), now=NOW)).then_nothing()


def test_only_new_threads_ask() -> None:
    ask = PublishPost(
        post_id="p", author_id="ann", body="Why?", audience=Audience(everyone=Everyone()), parent_id="r", root_id="r", now=NOW,
        kind=POST_KIND_QUESTION,
    )
    Spec(post).given().when(ask).then_rejected("thread of its own", InvalidArgument)


def test_experts_are_named_by_owners_and_may_go_themselves() -> None:
    name = commands.NameExpert(community_id="c", person_id="bob", namer_id="ann", owns=True, now=NOW)
    named = _stamped(events.ExpertNamed(community_id="c", person_id="bob", namer_id="ann"), "name_time")
    Spec(expertise).given().when(name).then(named)
    Spec(expertise).given(named).when(name).then_nothing()
    other = commands.NameExpert(community_id="c", person_id="bob", namer_id="eve", owns=False, now=NOW)
    Spec(expertise).given().when(other).then_rejected("by its owners", PermissionDenied)
    own = commands.WithdrawExpert(community_id="c", person_id="bob", withdrawer_id="bob", owns=False)
    withdrawn = events.ExpertWithdrawn(community_id="c", person_id="bob", withdrawer_id="bob")
    Spec(expertise).given(named).when(own).then(withdrawn)
    Spec(expertise).given(named, withdrawn).when(own).then_nothing()
    eve = commands.WithdrawExpert(community_id="c", person_id="bob", withdrawer_id="eve", owns=False)
    Spec(expertise).given(named).when(eve).then_rejected("by its owners", PermissionDenied)


# --- questions to leaders ---------------------------------------------------------------------------------------------

BODY = "When will the canteen open again?"
ASKED = _stamped(events.EnquiryAsked(enquiry_id="e", asker_id="ann", body=BODY), "ask_time")
NOBODY = events.EnquiryAskedAnonymously(enquiry_id="e", body=BODY)
NOBODY.ask_time.FromDatetime(HOUR)
ACCEPTED = _stamped(events.EnquiryAccepted(enquiry_id="e", leader_id="lea", reason="In May."), "accept_time")
ANSWERED = _stamped(events.EnquiryAnswered(enquiry_id="e", answerer_id="lea", answer="On Monday."), "answer_time")
DECLINED = _stamped(events.EnquiryDeclined(enquiry_id="e", leader_id="lea", reason="Not ours to say."), "decline_time")


def _by(kind: Any, text: str, actor: str = "lea", leads: bool = True, **more: Any) -> Any:
    return kind(enquiry_id="e", actor_id=actor, leads=leads, text=text, now=NOW, **more)


def test_a_question_to_leaders_is_asked_by_name() -> None:
    ask = commands.AskLeaders(enquiry_id="e", asker_id="ann", body=BODY, addressee_ids=(), now=NOW)
    Spec(enquiry).given().when(ask).then(ASKED)
    Spec(enquiry).given(ASKED).when(ask).then_nothing()
    short = commands.AskLeaders(enquiry_id="e", asker_id="ann", body="Why?", addressee_ids=(), now=NOW)
    Spec(enquiry).given().when(short).then_rejected("at least 10", InvalidArgument)
    long = commands.AskLeaders(enquiry_id="e", asker_id="ann", body="x" * 2_001, addressee_ids=(), now=NOW)
    Spec(enquiry).given().when(long).then_rejected("at most 2,000", InvalidArgument)
    many = commands.AskLeaders(enquiry_id="e", asker_id="ann", body=BODY, addressee_ids=tuple("abcdefghijk"), now=NOW)
    Spec(enquiry).given().when(many).then_rejected("at most 10 leaders", InvalidArgument)


def test_an_anonymous_question_has_no_field_for_a_person_and_no_time_finer_than_its_hour() -> None:
    ask = commands.AskLeadersAnonymously(enquiry_id="e", body=BODY, addressee_ids=(), hour=HOUR)
    Spec(enquiry).given().when(ask).then(NOBODY)
    Spec(enquiry).given(NOBODY).when(ask).then_nothing()
    exact = commands.AskLeadersAnonymously(enquiry_id="e", body=BODY, addressee_ids=(), hour=NOW)
    Spec(enquiry).given().when(exact).then_rejected("no finer time", InvalidArgument)
    fields = {field.name for field in events.EnquiryAskedAnonymously.DESCRIPTOR.fields}
    assert fields == {"enquiry_id", "body", "addressee_ids", "ask_time"}


@pytest.mark.parametrize("asked", [ASKED, NOBODY])
def test_leaders_accept_answer_and_decline_with_words(asked: Any) -> None:
    Spec(enquiry).given(asked).when(_by(commands.AcceptEnquiry, "In May.")).then(ACCEPTED)
    Spec(enquiry).given(asked).when(_by(commands.AnswerEnquiry, "On Monday.")).then(ANSWERED)
    Spec(enquiry).given(asked).when(_by(commands.DeclineEnquiry, "Not ours to say.")).then(DECLINED)
    Spec(enquiry).given(asked, ACCEPTED).when(_by(commands.AnswerEnquiry, "On Monday.")).then(ANSWERED)
    Spec(enquiry).given(asked, DECLINED).when(_by(commands.AcceptEnquiry, "In May.")).then(ACCEPTED)
    for kind in (commands.AcceptEnquiry, commands.AnswerEnquiry, commands.DeclineEnquiry):
        Spec(enquiry).given(asked).when(_by(kind, "  ")).then_rejected("", InvalidArgument)
        Spec(enquiry).given(asked).when(_by(kind, "Yes.", "eve", False)).then_rejected("answered by leaders", PermissionDenied)
        Spec(enquiry).given().when(_by(kind, "Yes.")).then_rejected("no such question", NotFound)
        Spec(enquiry).given(asked, ACCEPTED).when(_by(kind, "Yes.", etag="1")).then_rejected("meanwhile", EditConflict)


def test_an_answer_is_put_in_order_and_stays_an_answer() -> None:
    better = events.EnquiryAnswered(enquiry_id="e", answerer_id="lea", answer="On Tuesday.", amended=True)
    Spec(enquiry).given(ASKED, ANSWERED).when(_by(commands.AnswerEnquiry, "On Tuesday.")).then(_stamped(better, "answer_time"))
    Spec(enquiry).given(ASKED, ANSWERED).when(_by(commands.AnswerEnquiry, "On Monday.")).then_nothing()
    Spec(enquiry).given(ASKED, ANSWERED).when(_by(commands.DeclineEnquiry, "No.")).then_rejected("answered already")
    Spec(enquiry).given(ASKED, ANSWERED).when(_by(commands.AcceptEnquiry, "Yes.")).then_rejected("answered already")


def test_a_leader_lets_somebody_answer_but_not_who_asked() -> None:
    delegate = commands.DelegateEnquiry(enquiry_id="e", actor_id="lea", leads=True, delegate_id="bob", now=NOW)
    delegated = _stamped(events.EnquiryDelegated(enquiry_id="e", leader_id="lea", delegate_id="bob"), "delegate_time")
    Spec(enquiry).given(ASKED).when(delegate).then(delegated)
    Spec(enquiry).given(ASKED, delegated).when(delegate).then_nothing()
    answered = _stamped(events.EnquiryAnswered(enquiry_id="e", answerer_id="bob", answer="On Monday."), "answer_time")
    Spec(enquiry).given(ASKED, delegated).when(_by(commands.AnswerEnquiry, "On Monday.", "bob", False)).then(answered)
    eve = commands.DelegateEnquiry(enquiry_id="e", actor_id="eve", leads=False, delegate_id="eve", now=NOW)
    Spec(enquiry).given(ASKED).when(eve).then_rejected("only a leader", PermissionDenied)
    asker = commands.DelegateEnquiry(enquiry_id="e", actor_id="lea", leads=True, delegate_id="ann", now=NOW)
    Spec(enquiry).given(ASKED).when(asker).then_rejected("who asked does not answer")
    Spec(enquiry).given(ASKED).when(_by(commands.AnswerEnquiry, "To myself.", "ann")).then_rejected("who asked does not decide")


def test_a_question_is_taken_back_by_who_asked_or_taken_away_with_a_reason() -> None:
    def withdraw(actor: str, text: str = "", administers: bool = False) -> commands.WithdrawEnquiry:
        return commands.WithdrawEnquiry(enquiry_id="e", actor_id=actor, administers=administers, text=text, now=NOW)

    withdrawn = _stamped(events.EnquiryWithdrawn(enquiry_id="e", withdrawer_id="ann"), "withdraw_time")
    Spec(enquiry).given(ASKED).when(withdraw("ann")).then(withdrawn)
    Spec(enquiry).given(ASKED, withdrawn).when(withdraw("ann")).then_nothing()
    Spec(enquiry).given(ASKED, withdrawn).when(_by(commands.AnswerEnquiry, "Late.")).then_rejected("was withdrawn")
    Spec(enquiry).given(ASKED).when(withdraw("eve", "Away!")).then_rejected("by whoever asked", PermissionDenied)
    Spec(enquiry).given(NOBODY).when(withdraw("")).then_rejected("by whoever asked", PermissionDenied)
    Spec(enquiry).given(NOBODY).when(withdraw("root", "", True)).then_rejected("say why", InvalidArgument)


def test_one_vote_each_and_none_for_ones_own() -> None:
    def give(owner: str = "ann") -> commands.GiveSupport:
        return commands.GiveSupport(
            subject=events.SUPPORT_SUBJECT_ENQUIRY, subject_id="e", person_id="bob", owner_id=owner, now=NOW
        )

    given = events.SupportGiven(subject=events.SUPPORT_SUBJECT_ENQUIRY, subject_id="e", person_id="bob")
    given = _stamped(given, "support_time")
    taken = events.SupportWithdrawn(subject=events.SUPPORT_SUBJECT_ENQUIRY, subject_id="e", person_id="bob")
    take = commands.WithdrawSupport(subject=events.SUPPORT_SUBJECT_ENQUIRY, subject_id="e", person_id="bob")
    Spec(support).given().when(give()).then(given)
    Spec(support).given().when(give("")).then(given)
    Spec(support).given(given).when(give()).then_nothing()
    Spec(support).given(given).when(take).then(taken)
    Spec(support).given(given, taken).when(take).then_nothing()
    Spec(support).given().when(give("bob")).then_rejected("your own")


# --- ideas ------------------------------------------------------------------------------------------------------------

PROPOSED = _stamped(ideas.IdeaProposed(post_id="p", author_id="ann", proposer_id="ann"), "propose_time")
SPONSORED = _stamped(ideas.IdeaSponsored(post_id="p", sponsor_id="bob"), "sponsor_time")


def _change(state: Any, reason: str = "", changer: str = "bob", decides: bool = False) -> idea_commands.ChangeIdeaState:
    return idea_commands.ChangeIdeaState(post_id="p", changer_id=changer, decides=decides, state=state, reason=reason, now=NOW)


def test_a_post_becomes_an_idea_by_its_author_or_who_moderates() -> None:
    def propose(by: str, moderates: bool = False) -> idea_commands.ProposeIdea:
        return idea_commands.ProposeIdea(post_id="p", author_id="ann", proposer_id=by, moderates=moderates, now=NOW)

    Spec(idea).given().when(propose("ann")).then(PROPOSED)
    Spec(idea).given(PROPOSED).when(propose("ann")).then_nothing()
    Spec(idea).given().when(propose("eve")).then_rejected("by its author", PermissionDenied)
    moderated = _stamped(ideas.IdeaProposed(post_id="p", author_id="ann", proposer_id="eve"), "propose_time")
    Spec(idea).given().when(propose("eve", True)).then(moderated)


def test_where_an_idea_stands_is_said_by_sponsor_and_leaders_with_reasons() -> None:
    trial = _stamped(
        ideas.IdeaStateChanged(
            post_id="p", author_id="ann", state=ideas.IDEA_STATE_TRIAL, previous_state=ideas.IDEA_STATE_NEW, changer_id="bob"
        ),
        "change_time",
    )
    Spec(idea).given(PROPOSED, SPONSORED).when(_change(ideas.IDEA_STATE_TRIAL)).then(trial)
    Spec(idea).given(PROPOSED).when(_change(ideas.IDEA_STATE_TRIAL, decides=True)).then(trial)
    Spec(idea).given(PROPOSED, SPONSORED, trial).when(_change(ideas.IDEA_STATE_TRIAL)).then_nothing()
    Spec(idea).given(PROPOSED).when(_change(ideas.IDEA_STATE_TRIAL)).then_rejected("is said by its sponsor", PermissionDenied)
    for state in (ideas.IDEA_STATE_DONE, ideas.IDEA_STATE_NOT_NOW):
        Spec(idea).given(PROPOSED, SPONSORED).when(_change(state)).then_rejected("say what was done", InvalidArgument)
    Spec(idea).given(PROPOSED).when(_change(0, decides=True)).then_rejected("choose a state", InvalidArgument)
    Spec(idea).given().when(_change(ideas.IDEA_STATE_TRIAL, decides=True)).then_rejected("no idea", NotFound)


def test_a_sponsor_is_somebody_else() -> None:
    def sponsor(who: str) -> idea_commands.SponsorIdea:
        return idea_commands.SponsorIdea(post_id="p", sponsor_id=who, now=NOW)

    left = _stamped(ideas.IdeaSponsorLeft(post_id="p", sponsor_id="bob"), "leave_time")
    Spec(idea).given(PROPOSED).when(sponsor("bob")).then(SPONSORED)
    Spec(idea).given(PROPOSED, SPONSORED).when(sponsor("bob")).then_nothing()
    Spec(idea).given(PROPOSED, SPONSORED).when(sponsor("eve")).then_rejected("a sponsor already")
    Spec(idea).given(PROPOSED).when(sponsor("ann")).then_rejected("somebody other")
    leave = idea_commands.LeaveIdea(post_id="p", sponsor_id="bob", now=NOW)
    Spec(idea).given(PROPOSED, SPONSORED).when(leave).then(left)
    Spec(idea).given(PROPOSED, SPONSORED, left).when(leave).then_nothing()


def test_an_objective_has_a_title_and_perhaps_an_address() -> None:
    def link(title: str, url: str = "", by: str = "ann") -> idea_commands.LinkIdea:
        return idea_commands.LinkIdea(
            post_id="p", linker_id=by, decides=False, objective_title=title, objective_url=url, now=NOW
        )

    linked = ideas.IdeaLinked(post_id="p", linker_id="ann", objective_title="Half the waste", objective_url="https://goals.example/1")
    linked = _stamped(linked, "link_time")
    Spec(idea).given(PROPOSED).when(link("Half the waste", "https://goals.example/1")).then(linked)
    Spec(idea).given(PROPOSED, linked).when(link("Half the waste", "https://goals.example/1")).then_nothing()
    Spec(idea).given(PROPOSED).when(link("Half the waste", "javascript:alert(1)")).then_rejected("https://", InvalidArgument)
    Spec(idea).given(PROPOSED).when(link("", "https://goals.example/1")).then_rejected("which objective", InvalidArgument)
    Spec(idea).given(PROPOSED).when(link("x" * 201)).then_rejected("at most 200", InvalidArgument)
    Spec(idea).given(PROPOSED).when(link("Half the waste", "", "eve")).then_rejected("is named by", PermissionDenied)
