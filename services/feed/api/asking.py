"""Questions, experts, praise, and questions to leaders."""
from __future__ import annotations

import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

from libs.db.database import Transaction
from libs.eventstore.model import InvalidArgument, NotFound, PermissionDenied, Rejected
from libs.rpc import auth
from libs.rpc.auth import Caller
from libs.rpc.errors import ResourceExhausted
from libs.runtime.service import Context
from libs.text.ids import new_id, pair_id
from watercooler.feed.v1 import asking_service_pb2 as api
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1.asking_events_pb2 import SUPPORT_SUBJECT_ENQUIRY
from watercooler.feed.v1.asking_service_pb2_grpc import AskingServiceServicer
from watercooler.feed.v1.feed_service_pb2 import Author

from ..commands import asking as commands
from ..deciders import enquiry, expertise, question, support
from ..queries import asking as queries
from ..queries import communities as community_queries
from ..queries import enquiries as enquiry_queries
from ..queries import people as people_queries
from ..queries import posts as post_queries
from ..queries.policy import fetch_policy
from .base import NO_COMMUNITY, NO_PERSON, NO_POST, Calls, bad_token, id_of, key_of, page_size, person, token

NO_QUESTION = "there is no such question, or it is not for you to see"
ANONYMOUS_A_DAY = 3
HELD_MOST = 10_000
_OWNER = events_pb2.MEMBER_ROLE_OWNER
_DECISIONS: dict[int, type[commands.AcceptEnquiry] | type[commands.AnswerEnquiry] | type[commands.DeclineEnquiry]] = {
    api.ENQUIRY_STATE_ACCEPTED: commands.AcceptEnquiry, api.ENQUIRY_STATE_ANSWERED: commands.AnswerEnquiry,
    api.ENQUIRY_STATE_DECLINED: commands.DeclineEnquiry,
}


class AskingApi(Calls, AskingServiceServicer):
    """AskingService."""

    def __init__(self, context: Context) -> None:
        """For the running service."""
        super().__init__(context)
        self._quota = AnonymousQuota()

    # --- questions ---------------------------------------------------------------------------------------------------

    async def MarkBestAnswer(self, request: api.MarkBestAnswerRequest, context: Any) -> api.Question:
        """Mark a reply as the one that answers best; another marked before gives way."""
        caller = person()
        async with self.database.snapshot() as tx:
            frame = await post_queries.fetch_frame(tx, caller, request.post_id)
            if frame is None:
                raise NotFound(NO_POST)
            row = await queries.fetch_question_row(tx, frame["thread_id"])
            if row is None:
                raise Rejected("this thread asks nothing: only answers to questions are marked")
            allowed = await queries.may_mark(tx, caller, row, frame["role"])
        if frame["hidden"]:
            raise Rejected("the text of this answer is gone: mark another one")
        command = commands.MarkBestAnswer(
            question_id=row["post_id"], asker_id=row["author_id"], answer_id=request.post_id, answerer_id=frame["author_id"],
            marker_id=caller.person_id, allowed=allowed, now=self.now(),
        )
        await self.handle(caller, question, f"question-{row['post_id']}", command, request.request_id)
        return await self._question(caller, row["post_id"])

    async def UnmarkBestAnswer(self, request: api.UnmarkBestAnswerRequest, context: Any) -> api.Question:
        """Take the mark back."""
        caller = person()
        async with self.database.snapshot() as tx:
            frame = await post_queries.fetch_frame(tx, caller, request.question_id)
            row = await queries.fetch_question_row(tx, request.question_id)
            if frame is None or row is None:
                raise NotFound(NO_QUESTION)
            allowed = await queries.may_mark(tx, caller, row, frame["role"])
        command = commands.UnmarkBestAnswer(
            question_id=request.question_id, unmarker_id=caller.person_id, allowed=allowed, now=self.now()
        )
        await self.handle(caller, question, f"question-{request.question_id}", command, request.request_id)
        return await self._question(caller, request.question_id)

    async def GetQuestion(self, request: api.GetQuestionRequest, context: Any) -> api.Question:
        """A question with its best answer, and whom it was brought to."""
        return await self._question(auth.caller(), request.question_id)

    async def _question(self, caller: Caller, post_id: str) -> api.Question:
        async with self.database.snapshot() as tx:
            found = await queries.fetch_questions(tx, caller, [post_id])
        if not found:
            raise NotFound(NO_QUESTION)
        return found[0]

    async def ListQuestions(self, request: api.ListQuestionsRequest, context: Any) -> api.ListQuestionsResponse:
        """Questions that the caller may see, the oldest first unless asked otherwise."""
        caller = auth.caller()
        size = page_size(request.page_size)
        if request.filter not in api.QuestionFilter.values():
            raise InvalidArgument("choose which questions", "filter")
        async with self.database.snapshot() as tx:
            if request.community_id and await community_queries.fetch_community(tx, caller, request.community_id) is None:
                raise NotFound(NO_COMMUNITY, "community_id")
            ids = await queries.list_questions(
                tx, caller, request.filter, request.community_id, id_of(request.page_token, ""), size + 1, request.newest_first
            )
            found = await queries.fetch_questions(tx, caller, ids[:size])
        return api.ListQuestionsResponse(questions=found, next_page_token=token(ids[size - 1]) if len(ids) > size else "")

    # --- experts -----------------------------------------------------------------------------------------------------

    async def NameExpert(self, request: api.NameExpertRequest, context: Any) -> api.ListExpertsResponse:
        """Name an expert, for owners of the community."""
        caller = person()
        async with self.database.snapshot() as tx:
            owns = await self._owns(tx, caller, request.community_id)
            if owns and not await community_queries.fetch_member(tx, request.community_id, request.person_id):
                raise NotFound("only members of the community are named as its experts: let them in first", "person_id")
            if len(await queries.list_experts(tx, request.community_id)) >= expertise.EXPERTS:
                raise Rejected(f"a community has at most {expertise.EXPERTS} experts: take somebody off the list first")
        command = commands.NameExpert(
            community_id=request.community_id, person_id=request.person_id, namer_id=caller.person_id, owns=owns, now=self.now()
        )
        await self.handle(caller, expertise, _expertise(request.community_id, request.person_id), command, request.request_id)
        return await self._experts(caller, request.community_id)

    async def WithdrawExpert(self, request: api.WithdrawExpertRequest, context: Any) -> api.ListExpertsResponse:
        """Take somebody off the list, for owners and the experts themselves."""
        caller = person()
        async with self.database.snapshot() as tx:
            owns = await self._owns(tx, caller, request.community_id)
        command = commands.WithdrawExpert(
            community_id=request.community_id, person_id=request.person_id, withdrawer_id=caller.person_id, owns=owns
        )
        await self.handle(caller, expertise, _expertise(request.community_id, request.person_id), command, request.request_id)
        return await self._experts(caller, request.community_id)

    async def ListExperts(self, request: api.ListExpertsRequest, context: Any) -> api.ListExpertsResponse:
        """The experts of a community, for whoever may know of it."""
        return await self._experts(auth.caller(), request.community_id)

    async def _experts(self, caller: Caller, community_id: str) -> api.ListExpertsResponse:
        async with self.database.snapshot() as tx:
            owns = await self._owns(tx, caller, community_id)
            return api.ListExpertsResponse(experts=await queries.list_experts(tx, community_id), can_name=owns)

    @staticmethod
    async def _owns(tx: Transaction, caller: Caller, community_id: str) -> bool:
        found = await community_queries.fetch_community(tx, caller, community_id)
        if found is None:
            raise NotFound(NO_COMMUNITY)
        return found.my_role == _OWNER or (caller.is_administrator and found.kind != events_pb2.COMMUNITY_KIND_SECRET)

    # --- praise ------------------------------------------------------------------------------------------------------

    async def GetPraise(self, request: api.GetPraiseRequest, context: Any) -> api.PraiseOverview:
        """What a person was thanked for, as far as the caller may see it."""
        caller = auth.caller()
        size = page_size(request.page_size)
        async with self.database.snapshot() as tx:
            if await people_queries.fetch_person(tx, request.person_id) is None:
                raise NotFound(NO_PERSON)
            values = await queries.praise_by_value(tx, caller, request.person_id)
            ids = await queries.praise_posts(tx, caller, request.person_id, id_of(request.page_token, ""), size + 1)
            posts = await post_queries.fetch_posts(tx, caller, ids[:size])
        return api.PraiseOverview(
            values=[api.ValueCount(value=value, count=count) for value, count in values],
            posts=[posts[post_id] for post_id in ids[:size] if post_id in posts],
            next_page_token=token(ids[size - 1]) if len(ids) > size else "",
        )

    async def GetPraiseTotals(self, request: api.GetPraiseTotalsRequest, context: Any) -> api.PraiseTotals:
        """How often each value was the reason; a value for which fewer than five people were thanked is left out."""
        employee()
        async with self.database.snapshot() as tx:
            totals = await queries.praise_totals(tx)
        return api.PraiseTotals(values=[api.ValueCount(value=value, count=count) for value, count in totals])

    # --- questions to leaders ----------------------------------------------------------------------------------------

    async def AskLeaders(self, request: api.AskLeadersRequest, context: Any) -> api.Enquiry:
        """Ask by name."""
        caller = employee(writes=True)
        addressees = tuple(dict.fromkeys(request.addressee_ids))
        enquiry.check_question(request.body, addressees)
        async with self.database.snapshot() as tx:
            await _check_leaders(tx, addressees)
        command = commands.AskLeaders(
            enquiry_id=new_id(), asker_id=caller.person_id, body=request.body.strip(), addressee_ids=addressees, now=self.now()
        )
        done = await self.handle(caller, enquiry, f"enquiry-{command.enquiry_id}", command, request.request_id)
        return await self._enquiry(caller, done.stream.removeprefix("enquiry-"))

    async def AskLeadersAnonymously(
        self, request: api.AskLeadersAnonymouslyRequest, context: Any
    ) -> api.AskLeadersAnonymouslyResponse:
        """Ask without a name. Nothing of the caller is written anywhere: no event now, no request, no actor, no log line.

        What is kept is the text alone, until the next full hour, when all questions of the hour enter the log together. How often
        somebody asks is counted in this process's memory, under a key that ends with the process.
        """
        caller = employee(writes=True)
        addressees = tuple(sorted(set(request.addressee_ids)))
        body = request.body.strip()
        enquiry.check_question(body, addressees)
        now = self.now()
        async with self.database.snapshot() as tx:
            if not (await fetch_policy(tx)).anonymous_questions:
                raise PermissionDenied("anonymous questions are not allowed here: ask by name")
            await _check_leaders(tx, addressees)
            if await enquiry_queries.count_held(tx) >= HELD_MOST:
                raise ResourceExhausted("too many questions wait for this hour: ask after the full hour", 600)
        self._quota.demand(caller.person_id, now)
        hour = now.replace(minute=0, second=0, microsecond=0)
        enquiry_id = pair_id(f"{body}\0{' '.join(addressees)}", hour.isoformat())
        async with self.database.transaction() as tx:
            await enquiry_queries.hold(tx, enquiry_id, body, " ".join(addressees))
        answer = api.AskLeadersAnonymouslyResponse()
        answer.publish_time.FromDatetime(hour + timedelta(hours=1))
        return answer

    async def GetEnquiry(self, request: api.GetEnquiryRequest, context: Any) -> api.Enquiry:
        """A question with what was decided on it."""
        return await self._enquiry(employee(), request.enquiry_id)

    async def _enquiry(self, caller: Caller, enquiry_id: str) -> api.Enquiry:
        async with self.database.snapshot() as tx:
            row = await enquiry_queries.fetch_row(tx, enquiry_id)
            if row is None:
                raise NotFound(NO_QUESTION)
            return (await enquiry_queries.fetch_enquiries(tx, caller, [row]))[0]

    async def ListEnquiries(self, request: api.ListEnquiriesRequest, context: Any) -> api.ListEnquiriesResponse:
        """Questions by votes, by time, or those still waiting."""
        caller = employee()
        size = page_size(request.page_size)
        if request.order not in api.EnquiryOrder.values():
            raise InvalidArgument("choose an order", "order")
        async with self.database.snapshot() as tx:
            rows = await enquiry_queries.list_rows(tx, request.order, request.state, pair_of(request.page_token), size + 1)
            found = await enquiry_queries.fetch_enquiries(tx, caller, rows[:size])
        following = ""
        if len(rows) > size:
            last = rows[size - 1]
            column = "vote_count" if request.order == api.ENQUIRY_ORDER_UNSPECIFIED else "ask_time"
            following = token(f"{last[column]} {last['enquiry_id']}")
        return api.ListEnquiriesResponse(enquiries=found, next_page_token=following)

    async def VoteEnquiry(self, request: api.VoteEnquiryRequest, context: Any) -> api.Enquiry:
        """One vote each, not for one's own question where that is known; or the vote taken back."""
        caller = employee(writes=True)
        async with self.database.snapshot() as tx:
            row = await enquiry_queries.fetch_row(tx, request.enquiry_id)
        if row is None:
            raise NotFound(NO_QUESTION)
        command: commands.SupportCommand
        if request.withdraw:
            command = commands.WithdrawSupport(
                subject=SUPPORT_SUBJECT_ENQUIRY, subject_id=request.enquiry_id, person_id=caller.person_id
            )
        elif row["state"] == api.ENQUIRY_STATE_WITHDRAWN:
            raise Rejected("this question was withdrawn")
        else:
            command = commands.GiveSupport(
                subject=SUPPORT_SUBJECT_ENQUIRY, subject_id=request.enquiry_id, person_id=caller.person_id, owner_id=row["asker_id"],
                now=self.now(),
            )
        await self.handle(caller, support, f"support-{pair_id(request.enquiry_id, caller.person_id)}", command, request.request_id)
        return await self._enquiry(caller, request.enquiry_id)

    async def DecideEnquiry(self, request: api.DecideEnquiryRequest, context: Any) -> api.Enquiry:
        """Accept, answer, decline or withdraw a question, each with its words."""
        caller = employee(writes=True)
        command: commands.EnquiryCommand
        if request.state == api.ENQUIRY_STATE_WITHDRAWN:
            command = commands.WithdrawEnquiry(
                enquiry_id=request.enquiry_id, actor_id=caller.person_id, administers=caller.is_administrator, text=request.text.strip(),
                now=self.now(),
            )
        elif (kind := _DECISIONS.get(request.state)) is not None:
            command = kind(
                enquiry_id=request.enquiry_id, actor_id=caller.person_id, leads="leader" in caller.roles, text=request.text.strip(),
                now=self.now(), etag=request.etag,
            )
        else:
            raise InvalidArgument("say whether the question is accepted, answered, declined or withdrawn", "state")
        await self.handle(caller, enquiry, f"enquiry-{request.enquiry_id}", command, request.request_id)
        return await self._enquiry(caller, request.enquiry_id)

    async def DelegateEnquiry(self, request: api.DelegateEnquiryRequest, context: Any) -> api.Enquiry:
        """Let somebody else answer, for leaders."""
        caller = employee(writes=True)
        if request.person_id:
            async with self.database.snapshot() as tx:
                row = await people_queries.fetch_person(tx, request.person_id)
            if row is None or row["departed"] or row["erased"] or not row["employee"]:
                raise InvalidArgument("questions are answered by employees who are here: name one", "person_id")
        command = commands.DelegateEnquiry(
            enquiry_id=request.enquiry_id, actor_id=caller.person_id, leads="leader" in caller.roles, delegate_id=request.person_id,
            now=self.now(),
        )
        await self.handle(caller, enquiry, f"enquiry-{request.enquiry_id}", command, request.request_id)
        return await self._enquiry(caller, request.enquiry_id)

    async def GetLeadershipDesk(self, request: api.GetLeadershipDeskRequest, context: Any) -> api.LeadershipDesk:
        """Who leads, what waits, and how long answers take."""
        employee()
        async with self.database.snapshot() as tx:
            leaders: list[Author] = await enquiry_queries.list_leaders(tx)
            waiting, answered, median = await enquiry_queries.figures(tx)
            allowed = (await fetch_policy(tx)).anonymous_questions
        return api.LeadershipDesk(
            leaders=leaders, anonymous_allowed=allowed, waiting_count=waiting, answered_count=answered, median_answer_seconds=median
        )


class AnonymousQuota:
    """How often somebody asked anonymously today, in memory only: counts by a digest whose key this process made and never writes."""

    def __init__(self) -> None:
        """Nobody asked yet."""
        self._key = secrets.token_bytes(32)
        self._day = 0
        self._counts: dict[bytes, int] = {}

    def demand(self, person_id: str, now: datetime) -> None:
        """Count one more; raises ResourceExhausted past three a day (by UTC), and does so in each process for itself."""
        day = now.toordinal()
        if day != self._day:
            self._day, self._counts = day, {}
        digest = hmac.digest(self._key, person_id.encode(), "sha256")
        if self._counts.get(digest, 0) >= ANONYMOUS_A_DAY:
            raise ResourceExhausted(f"at most {ANONYMOUS_A_DAY} anonymous questions a day: ask by name, or tomorrow", 3_600)
        self._counts[digest] = self._counts.get(digest, 0) + 1


def employee(*, writes: bool = False) -> Caller:
    """The calling employee, for what guests do not see; raises PermissionDenied for others."""
    caller = person() if writes else auth.caller()
    if caller.is_guest or not (caller.person_id or caller.service):
        raise PermissionDenied("this is for employees")
    return caller


def pair_of(page_token: str) -> tuple[int, str] | None:
    """The number and id inside a token; None without one."""
    if not page_token:
        return None
    number, _, key = key_of(page_token).partition(" ")
    if not (number.isascii() and number.isdigit() and len(number) <= 18 and len(key) == 36 and key.isascii()):
        raise bad_token()
    return int(number), key


async def _check_leaders(tx: Transaction, person_ids: tuple[str, ...]) -> None:
    if person_ids:
        leaders = {each.person_id for each in await enquiry_queries.list_leaders(tx)}
        if not leaders.issuperset(person_ids):
            raise InvalidArgument("somebody named is no leader (any more): choose from the list, or ask all leaders", "addressee_ids")


def _expertise(community_id: str, person_id: str) -> str:
    return f"expertise-{pair_id(community_id, person_id)}"
