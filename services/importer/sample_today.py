"""Publishes what the sample organisation publishes today: each person by the calls that people use, in their own name."""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.rpc.auth import Caller, acting
from libs.runtime.embedded import Embedded
from watercooler.common.v1.audience_pb2 import Audience, Everyone
from watercooler.feed.v1 import asking_service_pb2 as asking
from watercooler.feed.v1 import events_pb2
from watercooler.feed.v1 import feed_service_pb2 as feed
from watercooler.feed.v1 import ideas_service_pb2 as ideas
from watercooler.feed.v1 import reading_service_pb2 as reading
from watercooler.feed.v1.announcement_events_pb2 import ANNOUNCEMENT_URGENCY_CONFIRM
from watercooler.feed.v1.announcement_service_pb2 import (
    REACH_FACT_OPENED,
    REACH_FACT_SHOWN,
    ConfirmAnnouncementRequest,
    PublishAnnouncementRequest,
    ReceiptRecord,
    RecordReceiptsRequest,
)
from watercooler.feed.v1.announcement_service_pb2_grpc import AnnouncementServiceStub
from watercooler.feed.v1.asking_service_pb2_grpc import AskingServiceStub
from watercooler.feed.v1.drafting_events_pb2 import DraftContent
from watercooler.feed.v1.drafting_service_pb2 import SaveDraftRequest, ScheduleDraftRequest
from watercooler.feed.v1.drafting_service_pb2_grpc import DraftingServiceStub
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub
from watercooler.feed.v1.ideas_events_pb2 import IdeaState
from watercooler.feed.v1.ideas_service_pb2_grpc import IdeasServiceStub
from watercooler.feed.v1.reading_service_pb2_grpc import ReadingServiceStub

CALL_SECONDS = 120.0
PICTURE_BYTES_MAX = 256 * 1024
# Of those who do not confirm, every other one has seen the announcement all the same.
_SEEN_EVERY = 2

Together = Callable[[Iterable[Callable[[], Awaitable[Any]]]], Awaitable[list[Any]]]


class Today:
    """What is published now; `ids` of people, `post_ids` of older posts and `communities` are by the sample's keys."""

    def __init__(
        self, network: Embedded, today: Any, ids: Mapping[str, str], roles: Mapping[str, Iterable[str]], post_ids: Mapping[str, str],
        communities: Mapping[str, str], together: Together,
    ) -> None:
        """Prepare; `together` does many calls at once."""
        self.network = network
        self.today = today
        self.ids = ids
        self.roles = roles
        self.post_ids = dict(post_ids)
        self.communities = communities
        self.together = together
        channel: Any = network.channel
        self.feed: Any = FeedServiceStub(channel)
        self.asking: Any = AskingServiceStub(channel)
        self.ideas: Any = IdeasServiceStub(channel)
        self.announcements: Any = AnnouncementServiceStub(channel)
        self.reading: Any = ReadingServiceStub(channel)
        self.drafting: Any = DraftingServiceStub(channel)

    async def publish(self) -> None:
        """Everything; what does not wait for something else goes at once."""
        await self._emoji()
        for post in self.today.posts:  # one after the other: so they stand in the order of the file
            await self._post(post)
        for announcement in self.today.announcements:
            await self._announcement(announcement)
        await self.together(
            [
                *((lambda one=one: self._reactions(one)) for one in self.today.posts),
                *((lambda one=one: self._idea(one)) for one in self.today.ideas),
                *((lambda one=one: self._pin(one)) for one in self.today.pins),
                *((lambda one=one: self._list(one)) for one in self.today.lists),
                *((lambda one=one: self._draft(one)) for one in self.today.drafts),
                *((lambda one=one: self._reposts(one)) for one in self.today.reposts),
            ]
        )
        for enquiry in self.today.enquiries:
            await self._enquiry(enquiry)

    async def _as(self, key: str, method: Any, request: Any) -> Any:
        """One call in a person's name."""
        caller = Caller(self.ids[key], frozenset(self.roles[key]), frozenset({"read", "write"}))
        with acting(self.network.tokens.sign(caller)):
            return await method(request, timeout=CALL_SECONDS)

    async def _each(self, keys: Iterable[str], method: Any, request: Any) -> None:
        await self.together((lambda key=key: self._as(key, method, request)) for key in keys)  # type: ignore[misc]

    def _people(self, keys: Iterable[str]) -> list[str]:
        return [self.ids[key] for key in keys]

    async def _emoji(self) -> None:
        blobs = self.network.engines.blobs()
        for emoji in self.today.emoji:
            stored = await blobs.put(emoji.content, "image/png", limit_bytes=PICTURE_BYTES_MAX)
            request = reading.AddEmojiRequest(shortcode=emoji.shortcode, blob_id=stored.id, category=emoji.category)
            await self._as(emoji.by, self.reading.AddEmoji, request)

    async def _post(self, post: Any) -> None:
        request = feed.PublishPostRequest(
            body=post.body, language=post.language, warning=post.warning, praised_ids=self._people(post.praises), praise_value=post.value,
            kind=events_pb2.POST_KIND_QUESTION if post.question else events_pb2.POST_KIND_UNSPECIFIED,
            quoted_id=self.post_ids[post.quotes] if post.quotes else "",
            parent_id=self.post_ids[post.reply_to] if post.reply_to else "",
        )
        if post.community:
            request.audience.CopyFrom(Audience(community_id=self.communities[post.community]))
        if post.poll:
            request.poll.options.extend(post.poll.options)
            request.poll.close_time.FromDatetime(datetime.now(UTC) + post.poll.lasts)
        published = await self._as(post.author, self.feed.PublishPost, request)
        post_id = self.post_ids[post.key] = published.post_id
        if post.poll:
            for choice, voters in enumerate(post.poll.options.values()):
                await self._each(voters, self.feed.VotePoll, feed.VotePollRequest(post_id=post_id, choices=[choice]))
        if post.best:
            asker = next(one.author for one in self.today.posts if one.key == post.reply_to)
            await self._as(asker, self.asking.MarkBestAnswer, asking.MarkBestAnswerRequest(post_id=post_id))

    async def _reactions(self, post: Any) -> None:
        for emoji, keys in post.reactions.items():
            await self._each(keys, self.feed.AddReaction, feed.AddReactionRequest(post_id=self.post_ids[post.key], emoji=emoji))

    async def _announcement(self, announcement: Any) -> None:
        """Published, seen by some, and confirmed by so many of a hundred of its audience."""
        request = PublishAnnouncementRequest(
            title=announcement.title, body=announcement.body, language=announcement.language, audience=Audience(everyone=Everyone()),
            urgency=ANNOUNCEMENT_URGENCY_CONFIRM,
        )
        request.deadline.FromDatetime(datetime.now(UTC) + timedelta(days=announcement.confirm_days))
        published = await self._as(announcement.author, self.announcements.PublishAnnouncement, request)
        announcement_id = self.post_ids[announcement.key] = published.announcement_id
        await self.network.settle()
        audience = [key for key in self.ids if key != announcement.author and set(self.roles[key]) != {"guest"}]
        readers = [key for key in audience if key not in announcement.waiting]
        confirmed = round(len(audience) * announcement.confirmed_percent / 100)
        seen = readers[:confirmed] + readers[confirmed::_SEEN_EVERY]
        receipts = [
            ReceiptRecord(announcement_id=announcement_id, fact=fact, version=1) for fact in (REACH_FACT_SHOWN, REACH_FACT_OPENED)
        ]
        await self._each(seen, self.announcements.RecordReceipts, RecordReceiptsRequest(receipts=receipts))
        confirm = ConfirmAnnouncementRequest(announcement_id=announcement_id)
        await self._each(readers[:confirmed], self.announcements.ConfirmAnnouncement, confirm)

    async def _idea(self, idea: Any) -> None:
        post_id = self.post_ids[idea.post]
        await self._as(idea.by, self.ideas.ProposeIdea, ideas.ProposeIdeaRequest(post_id=post_id))
        await self._each(idea.votes, self.ideas.VoteIdea, ideas.VoteIdeaRequest(post_id=post_id))
        if idea.sponsor:
            await self._as(idea.sponsor, self.ideas.SponsorIdea, ideas.SponsorIdeaRequest(post_id=post_id))
        if idea.objective:
            await self._as(idea.by, self.ideas.LinkIdea, ideas.LinkIdeaRequest(post_id=post_id, objective_title=idea.objective))
        for step in idea.steps:
            change = ideas.ChangeIdeaStateRequest(
                post_id=post_id, state=IdeaState.Value(f"IDEA_STATE_{step.state.upper()}"), reason=step.reason
            )
            await self._as(step.by, self.ideas.ChangeIdeaState, change)

    async def _enquiry(self, enquiry: Any) -> None:
        request = asking.AskLeadersRequest(body=enquiry.body, addressee_ids=self._people(enquiry.to))
        asked = await self._as(enquiry.asker, self.asking.AskLeaders, request)
        await self._each(enquiry.votes, self.asking.VoteEnquiry, asking.VoteEnquiryRequest(enquiry_id=asked.enquiry_id))
        for step in enquiry.steps:
            decide = asking.DecideEnquiryRequest(
                enquiry_id=asked.enquiry_id, text=step.text, state=asking.EnquiryState.Value(f"ENQUIRY_STATE_{step.state.upper()}")
            )
            await self._as(step.by, self.asking.DecideEnquiry, decide)

    async def _pin(self, pin: Any) -> None:
        await self._as(pin.by, self.feed.PinPost, feed.PinPostRequest(post_id=self.post_ids[pin.post], in_community=pin.in_community))

    async def _reposts(self, repost: Any) -> None:
        await self._each(repost.by, self.feed.RepostPost, feed.RepostPostRequest(post_id=self.post_ids[repost.post]))

    async def _list(self, wanted: Any) -> None:
        made = await self._as(wanted.owner, self.reading.CreateList, reading.CreateListRequest(title=wanted.title))
        people = reading.AddListPeopleRequest(list_id=made.list_id, person_ids=self._people(wanted.people))
        await self._as(wanted.owner, self.reading.AddListPeople, people)

    async def _draft(self, draft: Any) -> None:
        content = DraftContent(body=draft.body, language=draft.language, audience=Audience(everyone=Everyone()))
        saved = await self._as(draft.author, self.drafting.SaveDraft, SaveDraftRequest(content=content))
        if draft.in_days is not None:
            schedule = ScheduleDraftRequest(draft_id=saved.draft_id)
            schedule.publish_time.FromDatetime(datetime.now(UTC) + timedelta(days=draft.in_days))
            await self._as(draft.author, self.drafting.ScheduleDraft, schedule)
