"""Samples of the pages of questions, thanks, questions to leaders and ideas."""
# ruff: noqa: E501 - written content, a paragraph a line, in many scripts.

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from services.gateway import views as v
from services.gateway import views_asking as a
from tests.browser import samples as s

BEST = s._post(
    601, s.KENJI, "<p>フィルムは五度以下では二回塗りです。</p><p>With the new primer, two thin coats an hour apart hold below 5 °C.</p>", s.IN_COATINGS, s._ago(hours=1),
    root_id=s.QUESTION.id, is_best_answer=True, can_mark_best=True, language="ja",
)
ASKED = msgspec.structs.replace(s.QUESTION, kind="question", replies=[])
SOLVED = msgspec.structs.replace(ASKED, is_solved=True, reply_count=1, replies=[BEST])
PRAISE = s._post(
    602, s.LENA, "<p>Without your night at the dryer we would not have delivered.</p>", s.EVERYONE, s._ago(hours=3), kind="praise",
    praised=[s.NADIA, s.TESS], praise_value="Helping each other",
)
IDEA_POST = s._post(
    603, s.AMINA, "<p>Let us lend our pallets to the depot in Thiès while they wait for theirs: it saves a truck a week.</p>", s.EVERYONE,
    s._ago(days=3), idea_state="trial", reply_count=14,
)
REASONS = [a.ReasonView(kind="named"), a.ReasonView(kind="best_on_tag", count=3, tag="primer"), a.ReasonView(kind="valued_in_community", count=12)]
QUESTIONS = [
    a.QuestionView(
        post=ASKED, excerpt="Does anyone have peel values for the new primer on cold film, below 5 °C?", route_time=s._ago(hours=1),
        asked=[a.AskedView(person=s.NADIA, reasons=REASONS), a.AskedView(person=s.GUS, reasons=REASONS[1:2])],
    ),
    a.QuestionView(post=SOLVED, excerpt="Welche Folie hält bei Frost?", answer_count=3, best=BEST, can_mark=True),
]
ANSWER = a.EnquiryStepView(
    state="answered", person=s.HENRIK, time=s._ago(hours=2),
    text_html="<p>Yes. The canteen in Kassel opens again on <strong>Monday</strong>; the one in Porto follows in March.</p>",
)
ENQUIRIES = [
    a.EnquiryView(
        id=s._id(611), body_html="<p>Will the canteen open again this year?</p>", state="answered", time=s._ago(days=4), asker=s.TESS,
        vote_count=214, is_voted=True, can_vote=True, steps=[ANSWER], answer_seconds=3 * 86_400,
    ),
    a.EnquiryView(
        id=s._id(612), body_html="<p>Who decides on raises in the plants, and by which rule?</p>", state="open", time=s._ago(hours=5),
        is_anonymous=True, addressees=[s.HENRIK, s.ROSA], vote_count=61, can_vote=True, can_answer=True, can_delegate=True, can_withdraw=True,
        version="1",
    ),
    a.EnquiryView(id=s._id(613), body_html="", state="accepted", time=s._ago(days=9), asker=s.GONE, is_erased=True, vote_count=3, can_vote=True),
]
STEPS = [
    a.IdeaStepView(state="new", person=s.AMINA, reason="", time=s._ago(days=3)),
    a.IdeaStepView(state="trial", person=s.LENA, reason="Four weeks with twenty pallets, then we count.", time=s._ago(days=1)),
]
IDEAS = [
    a.IdeaView(
        post=IDEA_POST, state="trial", excerpt="Let us lend our pallets to the depot in Thiès while they wait for theirs.", vote_count=88,
        is_voted=True, can_vote=True, sponsor=s.LENA, objective_title="A tenth fewer trucks by summer", objective_url="https://goals.example/7",
        steps=STEPS, can_change=True, can_link=True,
    ),
    a.IdeaView(post=msgspec.structs.replace(s.ARABIC, idea_state="new"), state="new", excerpt="وصلت قطع الغيار إلى عمّان هذا الصباح", vote_count=2, can_vote=True),
    a.IdeaView(post=msgspec.structs.replace(s.GERMAN, idea_state="not_now"), state="not_now", excerpt="Ein Lastenrad für das Werk", vote_count=31),
]
VALUES = [a.ValueCount(value="Helping each other", count=14), a.ValueCount(value="Learning in the open", count=3)]
AUDIENCES = [v.Option(value="everyone", label="", is_chosen=True), v.Option(value="community:1", label="Coatings and films")]
REFUSED = v.Form(values={"body": "Why?", "people": "@nobody"}, errors={"body": "A question has at least 10 characters.", "people": "Nobody is found by this name."})


def pages() -> Iterator[tuple[str, Callable[[], v.Page]]]:
    """Each page by name."""
    yield "questions", lambda: a.QuestionsPage(shell=s.shell("/questions"), questions=QUESTIONS, next_url="/questions?page=a")
    yield "questions-none", lambda: a.QuestionsPage(shell=s.shell("/questions"))
    yield "questions-mine", lambda: a.QuestionsPage(shell=s.shell("/questions?show=mine"), show="mine")
    yield (
        "questions-of-community",
        lambda: a.QuestionsPage(shell=s.shell("/questions?community=1"), show="all", questions=QUESTIONS[1:], community=s.COATINGS),
    )
    yield (
        "thread-question",
        lambda: v.ThreadPage(
            shell=s.shell(f"/posts/{SOLVED.id}"), root=SOLVED, compose=s.COMPOSE, participants=[s.NADIA, s.KENJI], question=QUESTIONS[1]
        ),
    )
    yield "praise-new", lambda: a.PraiseNewPage(shell=s.shell("/praise/new"), values=_options(), audiences=AUDIENCES, request_id="r")
    yield (
        "praise-new-refused",
        lambda: a.PraiseNewPage(shell=s.shell("/praise"), values=_options(), audiences=AUDIENCES, request_id="r", form=REFUSED),
    )
    yield (
        "praise",
        lambda: a.PraisePage(
            shell=s.shell("/people/3/praise"), person=s.NADIA, values=VALUES, page=v.PostPage(posts=[PRAISE]), totals=VALUES
        ),
    )
    yield "praise-none", lambda: a.PraisePage(shell=s.shell("/people/3/praise"), person=s.NADIA, page=v.PostPage())
    yield (
        "ask",
        lambda: a.AskPage(
            shell=s.shell("/ask"), enquiries=ENQUIRIES, leaders=[s.HENRIK, s.ROSA], is_anonymous_allowed=True, waiting_count=7,
            answered_count=41, median_seconds=2 * 86_400, request_id="r", next_url="/ask?page=a",
        ),
    )
    yield "ask-none", lambda: a.AskPage(shell=s.shell("/ask"), request_id="r", form=REFUSED)
    yield "enquiry", lambda: a.EnquiryPage(shell=s.shell("/ask/1"), enquiry=ENQUIRIES[1])
    yield "enquiry-answered", lambda: a.EnquiryPage(shell=s.shell("/ask/1"), enquiry=ENQUIRIES[0])
    yield "ideas", lambda: a.IdeasPage(shell=s.shell("/ideas"), ideas=IDEAS, next_url="/ideas?page=a")
    yield "ideas-none", lambda: a.IdeasPage(shell=s.shell("/ideas?state=done"), state="done")
    yield "idea", lambda: a.IdeaPage(shell=s.shell("/ideas/1"), idea=IDEAS[0])
    yield "idea-new", lambda: a.IdeaNewPage(shell=s.shell("/ideas/new"), compose=s.COMPOSE, audiences=AUDIENCES)
    yield (
        "community-experts",
        lambda: a.ExpertsPage(shell=s.shell("/communities/1/experts"), community=s.COMMUNITY, experts=[s.NADIA, s.KENJI], can_name=True),
    )


def _options() -> list[v.Option]:
    return [v.Option(value=each.value, label=each.value) for each in VALUES]
