"""Questions, experts and praise; questions to leaders; ideas."""
from __future__ import annotations

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from libs.db.database import Transaction
from libs.eventstore.model import Recorded
from watercooler.feed.v1 import asking_events_pb2 as asking
from watercooler.feed.v1 import asking_service_pb2 as api
from watercooler.feed.v1 import ideas_events_pb2 as ideas
from watercooler.feed.v1.events_pb2 import POST_KIND_QUESTION, AuthorErased, PostPublished

from ..access import scope_of


class Questions:
    """Posts that ask, what answers them, whom they were brought to; and the experts of communities."""

    name = "feed.questions"
    handles: tuple[type[Message], ...] = (
        PostPublished, asking.BestAnswerMarked, asking.BestAnswerUnmarked, asking.QuestionRouted, asking.ExpertNamed,
        asking.ExpertWithdrawn,
    )
    tables: tuple[str, ...] = ("questions", "question_answers", "question_routes", "experts")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the row of its question or expert."""
        match event.data:
            case PostPublished() as published:
                await self._publish(published, tx)
            case asking.BestAnswerMarked() as marked:
                await _set_best(tx, marked.question_id, marked.answer_id)
            case asking.BestAnswerUnmarked() as unmarked:
                await _set_best(tx, unmarked.question_id, "")
            case asking.QuestionRouted() as routed:
                await self._route(routed, tx)
            case asking.ExpertNamed() as named:
                await tx.batch(
                    "INSERT INTO experts (community_id, person_id, position) VALUES (:community_id, :person_id, :position)",
                    community_id=named.community_id, person_id=named.person_id, position=event.position,
                )
            case asking.ExpertWithdrawn() as withdrawn:
                await tx.batch(
                    "DELETE FROM experts WHERE community_id = :community_id AND person_id = :person_id",
                    community_id=withdrawn.community_id, person_id=withdrawn.person_id,
                )

    @staticmethod
    async def _publish(published: PostPublished, tx: Transaction) -> None:
        if published.root_id:
            await tx.batch(
                """
                INSERT INTO question_answers (answer_id, question_id, author_id)
                SELECT CAST(:answer_id AS TEXT), post_id, CAST(:author_id AS TEXT) FROM questions WHERE post_id = :root_id
                """,
                answer_id=published.post_id, author_id=published.author_id, root_id=published.root_id,
            )
        elif published.kind == POST_KIND_QUESTION:
            scope, scope_id = scope_of(published.audience)
            await tx.batch(
                """
                INSERT INTO questions (post_id, author_id, scope, scope_id, ask_time, best_id, route_time)
                VALUES (:post_id, :author_id, :scope, :scope_id, :ask_time, '', 0)
                """,
                post_id=published.post_id, author_id=published.author_id, scope=scope, scope_id=scope_id,
                ask_time=published.publish_time.ToMicroseconds(),
            )

    @staticmethod
    async def _route(routed: asking.QuestionRouted, tx: Transaction) -> None:
        time = routed.route_time.ToMicroseconds()
        await tx.batch(
            "UPDATE questions SET route_time = :route_time WHERE post_id = :question_id", route_time=time, question_id=routed.question_id
        )
        await tx.execute_many(
            """
            INSERT INTO question_routes (question_id, person_id, reasons, number, route_time)
            VALUES (:question_id, :person_id, :reasons, :number, :route_time)
            """,
            [
                {
                    "question_id": routed.question_id, "person_id": each.person_id, "reasons": each.SerializeToString(), "number": number,
                    "route_time": time,
                }
                for number, each in enumerate(routed.people)
            ],
        )


async def _set_best(tx: Transaction, question_id: str, best_id: str) -> None:
    await tx.batch("UPDATE questions SET best_id = :best_id WHERE post_id = :question_id", best_id=best_id, question_id=question_id)


class Praises:
    """Who was thanked by which post, for which value."""

    name = "feed.praise"
    handles: tuple[type[Message], ...] = (PostPublished,)
    tables: tuple[str, ...] = ("praises",)

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Note those whom a post praises."""
        published = event.data
        assert isinstance(published, PostPublished)
        if published.HasField("praise"):
            await tx.execute_many(
                "INSERT INTO praises (post_id, person_id, value) VALUES (:post_id, :person_id, :value)",
                [
                    {"post_id": published.post_id, "person_id": person_id, "value": published.praise.value}
                    for person_id in dict.fromkeys(published.praise.person_ids)
                ],
            )


class Enquiries:
    """Questions to leaders with their votes and steps."""

    name = "feed.enquiries"
    handles: tuple[type[Message], ...] = (
        asking.EnquiryAsked, asking.EnquiryAskedAnonymously, asking.EnquiryAccepted, asking.EnquiryAnswered, asking.EnquiryDeclined,
        asking.EnquiryDelegated, asking.EnquiryWithdrawn, asking.SupportGiven, asking.SupportWithdrawn, AuthorErased,
    )
    tables: tuple[str, ...] = ("enquiries", "enquiry_steps", "enquiry_votes")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the row of its question."""
        match event.data:
            case asking.EnquiryAsked() as asked:
                await self._ask(asked, asked.asker_id, event, tx)
            case asking.EnquiryAskedAnonymously() as asked:
                await self._ask(asked, "", event, tx)
            case asking.EnquiryAccepted() as accepted:
                await self._step(event, tx, api.ENQUIRY_STATE_ACCEPTED, accepted.leader_id, accepted.reason, accepted.accept_time)
            case asking.EnquiryAnswered() as answered:
                await self._step(event, tx, api.ENQUIRY_STATE_ANSWERED, answered.answerer_id, answered.answer, answered.answer_time)
                if not answered.amended:
                    await tx.batch(
                        "UPDATE enquiries SET answer_time = :answer_time WHERE enquiry_id = :enquiry_id",
                        answer_time=answered.answer_time.ToMicroseconds(), enquiry_id=answered.enquiry_id,
                    )
            case asking.EnquiryDeclined() as declined:
                await self._step(event, tx, api.ENQUIRY_STATE_DECLINED, declined.leader_id, declined.reason, declined.decline_time)
            case asking.EnquiryDelegated() as delegated:
                await tx.batch(
                    "UPDATE enquiries SET delegate_id = :delegate_id, version = :version WHERE enquiry_id = :enquiry_id",
                    delegate_id=delegated.delegate_id, version=event.version, enquiry_id=delegated.enquiry_id,
                )
            case asking.EnquiryWithdrawn() as withdrawn:
                await self._step(
                    event, tx, api.ENQUIRY_STATE_WITHDRAWN, withdrawn.withdrawer_id, withdrawn.reason, withdrawn.withdraw_time
                )
                await tx.batch("UPDATE enquiries SET body = '' WHERE enquiry_id = :enquiry_id", enquiry_id=withdrawn.enquiry_id)
            case asking.SupportGiven() | asking.SupportWithdrawn() as support:
                if support.subject == asking.SUPPORT_SUBJECT_ENQUIRY:
                    await _count(tx, "enquiries", "enquiry_votes", "enquiry_id", support)
            case AuthorErased() as erased:
                await tx.batch("UPDATE enquiries SET body = '', erased = 1 WHERE asker_id = :person_id", person_id=erased.person_id)
                await tx.batch("UPDATE enquiry_steps SET text = '', erased = 1 WHERE person_id = :person_id", person_id=erased.person_id)

    @staticmethod
    async def _ask(asked: asking.EnquiryAsked | asking.EnquiryAskedAnonymously, asker_id: str, event: Recorded, tx: Transaction) -> None:
        await tx.batch(
            """
            INSERT INTO enquiries (enquiry_id, asker_id, anonymous, body, addressees, ask_time, state, vote_count, delegate_id,
                                   answer_time, version, erased)
            VALUES (:enquiry_id, :asker_id, :anonymous, :body, :addressees, :ask_time, :state, 0, '', 0, :version, :erased)
            """,
            enquiry_id=asked.enquiry_id, asker_id=asker_id, anonymous=int(not asker_id), body=asked.body,
            addressees=" ".join(asked.addressee_ids), ask_time=asked.ask_time.ToMicroseconds(), state=api.ENQUIRY_STATE_OPEN,
            version=event.version, erased=int(event.erased),
        )

    @staticmethod
    async def _step(event: Recorded, tx: Transaction, state: int, person_id: str, text: str, time: Timestamp) -> None:
        enquiry_id = event.stream.removeprefix("enquiry-")
        await tx.batch(
            "UPDATE enquiries SET state = :state, version = :version WHERE enquiry_id = :enquiry_id",
            state=state, version=event.version, enquiry_id=enquiry_id,
        )
        await tx.batch(
            """
            INSERT INTO enquiry_steps (enquiry_id, version, state, person_id, text, step_time, erased)
            VALUES (:enquiry_id, :version, :state, :person_id, :text, :step_time, :erased)
            """,
            enquiry_id=enquiry_id, version=event.version, state=state, person_id=person_id, text=text, step_time=time.ToMicroseconds(),
            erased=int(event.erased),
        )


class Ideas:
    """Ideas with their votes and steps."""

    name = "feed.ideas"
    handles: tuple[type[Message], ...] = (
        ideas.IdeaProposed, ideas.IdeaStateChanged, ideas.IdeaSponsored, ideas.IdeaSponsorLeft, ideas.IdeaLinked, asking.SupportGiven,
        asking.SupportWithdrawn, AuthorErased,
    )
    tables: tuple[str, ...] = ("ideas", "idea_steps", "idea_votes")

    async def apply(self, event: Recorded, tx: Transaction) -> None:
        """Take the event into the row of its idea."""
        match event.data:
            case ideas.IdeaProposed() as proposed:
                await tx.batch(
                    """
                    INSERT INTO ideas (post_id, author_id, state, sponsor_id, objective_title, objective_url, linker_id, vote_count,
                                       propose_time)
                    VALUES (:post_id, :author_id, :state, '', '', '', '', 0, :propose_time)
                    """,
                    post_id=proposed.post_id, author_id=proposed.author_id, state=ideas.IDEA_STATE_NEW,
                    propose_time=proposed.propose_time.ToMicroseconds(),
                )
                await self._step(event, tx, proposed.post_id, ideas.IDEA_STATE_NEW, proposed.proposer_id, "", proposed.propose_time)
            case ideas.IdeaStateChanged() as changed:
                await tx.batch("UPDATE ideas SET state = :state WHERE post_id = :post_id", state=changed.state, post_id=changed.post_id)
                await self._step(event, tx, changed.post_id, changed.state, changed.changer_id, changed.reason, changed.change_time)
            case ideas.IdeaSponsored() as sponsored:
                await tx.batch(
                    "UPDATE ideas SET sponsor_id = :sponsor_id WHERE post_id = :post_id",
                    sponsor_id=sponsored.sponsor_id, post_id=sponsored.post_id,
                )
            case ideas.IdeaSponsorLeft() as left:
                await tx.batch("UPDATE ideas SET sponsor_id = '' WHERE post_id = :post_id", post_id=left.post_id)
            case ideas.IdeaLinked() as linked:
                await tx.batch(
                    """
                    UPDATE ideas SET objective_title = :title, objective_url = :url, linker_id = :linker_id WHERE post_id = :post_id
                    """,
                    title=linked.objective_title, url=linked.objective_url, linker_id=linked.linker_id, post_id=linked.post_id,
                )
            case asking.SupportGiven() | asking.SupportWithdrawn() as support:
                if support.subject == asking.SUPPORT_SUBJECT_IDEA:
                    await _count(tx, "ideas", "idea_votes", "post_id", support)
            case AuthorErased() as erased:
                await tx.batch(
                    "UPDATE ideas SET objective_title = '', objective_url = '' WHERE linker_id = :person_id", person_id=erased.person_id
                )
                await tx.batch("UPDATE idea_steps SET reason = '' WHERE person_id = :person_id", person_id=erased.person_id)

    @staticmethod
    async def _step(event: Recorded, tx: Transaction, post_id: str, state: int, person_id: str, reason: str, time: Timestamp) -> None:
        await tx.batch(
            """
            INSERT INTO idea_steps (post_id, version, state, person_id, reason, step_time)
            VALUES (:post_id, :version, :state, :person_id, :reason, :step_time)
            """,
            post_id=post_id, version=event.version, state=state, person_id=person_id, reason=reason, step_time=time.ToMicroseconds(),
        )


async def _count(
    tx: Transaction, table: str, votes: str, key: str, support: asking.SupportGiven | asking.SupportWithdrawn
) -> None:
    given = isinstance(support, asking.SupportGiven)
    if given:
        await tx.batch(
            f"INSERT INTO {votes} ({key}, person_id) VALUES (:subject_id, :person_id)",
            subject_id=support.subject_id, person_id=support.person_id,
        )
    else:
        await tx.batch(
            f"DELETE FROM {votes} WHERE {key} = :subject_id AND person_id = :person_id",
            subject_id=support.subject_id, person_id=support.person_id,
        )
    await tx.batch(
        f"UPDATE {table} SET vote_count = vote_count + :change WHERE {key} = :subject_id",
        change=1 if given else -1, subject_id=support.subject_id,
    )
