"""What follows from decisions, and posts with words that are watched for."""
from __future__ import annotations

from datetime import UTC
from typing import Any

from google.protobuf.message import Message

from libs.eventstore.handle import handle
from libs.eventstore.model import Metadata, Recorded, Rejected
from libs.runtime.service import Context
from libs.telemetry import logs
from libs.text.ids import pair_id
from libs.text.markdown import plain
from libs.text.matching import contains, normal
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import moderation_events_pb2 as pb
from watercooler.feed.v1.events_pb2 import PostEdited, PostPublished
from watercooler.feed.v1.moderation_events_pb2 import AppealDecided, CaseDecided

from . import commands as general
from .commands import moderation as commands
from .deciders import case, membership, post, silence
from .queries import moderation as queries
from .queries import policy as policy_queries
from .reading_back import content_of

_log = logs.get_logger(__name__)


class Enforcing:
    """Does what was decided in a case, and undoes it where an appeal was upheld. Doing it twice changes nothing."""

    name = "feed.enforcing"
    handles: tuple[type[Message], ...] = (CaseDecided, AppealDecided)

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context

    async def react(self, event: Recorded) -> None:
        """Do or undo it. What cannot be done any more, such as removing somebody who left, is left as it is."""
        try:
            if isinstance(event.data, CaseDecided):
                await self._do(event, event.data)
            elif isinstance(event.data, AppealDecided) and event.data.upheld:
                for recorded in await self._context.events.read(event.stream):
                    if isinstance(recorded.data, CaseDecided) and recorded.data.number == event.data.number:
                        await self._undo(event, recorded.data, event.data.decider_id)
        except Rejected as refused:
            _log.warning("a decision had no effect", case_id=event.stream.removeprefix("case-"), reason=refused.reason)

    async def _do(self, event: Recorded, decided: CaseDecided) -> None:
        now = decided.decide_time.ToDatetime(UTC)
        pair = pair_id(decided.community_id, decided.author_id)
        ids: dict[str, str] = {"community_id": decided.community_id, "person_id": decided.author_id}
        match decided.outcome:
            case pb.CASE_OUTCOME_COVERED:
                covered = commands.CoverPost(
                    post_id=decided.subject_id, moderator_id=decided.decider_id, warning=decided.warning, sensitive=True, now=now
                )
                await self._handle(event, decided.decider_id, post, f"post-{decided.subject_id}", covered)
            case pb.CASE_OUTCOME_REMOVED:
                removed = general.DeletePost(
                    post_id=decided.subject_id, actor_id=decided.decider_id, moderates=True, now=now, kept=True
                )
                await self._handle(event, decided.decider_id, post, f"post-{decided.subject_id}", removed)
            case pb.CASE_OUTCOME_MUTED:
                muted = commands.MuteMember(**ids, moderator_id=decided.decider_id, end=decided.mute_end_time.ToDatetime(UTC))
                await self._handle(event, decided.decider_id, silence, f"silence-{pair}", muted)
            case pb.CASE_OUTCOME_MEMBER_REMOVED:
                gone = general.RemoveMember(**ids, remover_id=decided.decider_id)
                await self._handle(event, decided.decider_id, membership, f"membership-{pair}", gone)
            case _:
                pass

    async def _undo(self, event: Recorded, decided: CaseDecided, decider_id: str) -> None:
        now = event.time
        pair = pair_id(decided.community_id, decided.author_id)
        ids: dict[str, str] = {"community_id": decided.community_id, "person_id": decided.author_id}
        match decided.outcome:
            case pb.CASE_OUTCOME_COVERED:
                uncovered = commands.CoverPost(
                    post_id=decided.subject_id, moderator_id=decider_id, warning=decided.former_warning,
                    sensitive=decided.former_sensitive, now=now, lifted=True,
                )
                await self._handle(event, decider_id, post, f"post-{decided.subject_id}", uncovered)
            case pb.CASE_OUTCOME_REMOVED:
                content, _, erased = content_of(await self._context.events.read(f"post-{decided.subject_id}"))
                if content is not None and not erased:
                    restored = commands.RestorePost(post_id=decided.subject_id, restorer_id=decider_id, content=content, now=now)
                    await self._handle(event, decider_id, post, f"post-{decided.subject_id}", restored)
            case pb.CASE_OUTCOME_MUTED:
                unmuted = commands.UnmuteMember(**ids, moderator_id=decider_id)
                await self._handle(event, decider_id, silence, f"silence-{pair}", unmuted)
            case pb.CASE_OUTCOME_MEMBER_REMOVED:
                back = general.Admit(
                    community_id=decided.community_id, person_id=decided.author_id, role=events_pb2.MEMBER_ROLE_MEMBER,
                    admitter_id=decider_id, now=now,
                )
                await self._handle(event, decider_id, membership, f"membership-{pair}", back)
            case _:
                pass

    async def _handle(self, event: Recorded, actor_id: str, decider: Any, stream: str, command: Any) -> None:
        meta = Metadata(actor_id, event.meta.correlation_id, event.id, event.meta.traceparent)
        await handle(self._context.events, decider, stream, command, meta, request_id=event.id)


class Watching:
    """Puts posts with words that are watched for before those who decide; nothing is held back, and nobody is told."""

    name = "feed.watching"
    handles: tuple[type[Message], ...] = (PostPublished, PostEdited)

    def __init__(self, context: Context) -> None:
        """For the running service."""
        self._context = context

    async def react(self, event: Recorded) -> None:
        """Look for the words; what is for named people only is nobody's business, and imports are history."""
        data = event.data
        assert isinstance(data, PostPublished | PostEdited)
        if event.erased or (isinstance(data, PostPublished) and data.external_id):
            return
        async with self._context.database.snapshot() as tx:
            words = list((await policy_queries.fetch_policy(tx)).watched_words)
            place = await queries.place_of(tx, data.post_id)
            if place is None or place.scope == "people":
                return
            community_id = place.scope_id if place.scope == "community" else ""
            if community_id:
                own, _ = await policy_queries.fetch_watch(tx, community_id)
                words += own
            if not words:
                return
            to_administrators = not community_id or await queries.author_moderates(tx, community_id, data.author_id)
            administrators = await queries.administrators(tx)
        text = normal("\n".join([
            plain(data.body), data.warning, *(one.description for one in data.attachments),
            *(data.poll.options if isinstance(data, PostPublished) else ()),
        ]))
        found = [word for word in dict.fromkeys(words) if contains(text, normal(word), whole=True)]
        if not found:
            return
        case_id = pair_id(pb.CaseSubject.Name(pb.CASE_SUBJECT_POST), data.post_id)
        matched = commands.MatchWatch(
            case_id=case_id, post_id=data.post_id, author_id=data.author_id, community_id=community_id,
            to_administrators=to_administrators, words=tuple(found), now=event.time, administrator_ids=administrators,
        )
        meta = Metadata("service:feed", event.meta.correlation_id, event.id, event.meta.traceparent)
        await handle(self._context.events, case, f"case-{case_id}", matched, meta, request_id=event.id)
