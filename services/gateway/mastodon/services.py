"""The services that this API asks, called as whoever asked it."""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from libs.runtime.service import Context
from watercooler.feed.v1.announcement_service_pb2_grpc import AnnouncementServiceStub
from watercooler.feed.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from watercooler.feed.v1.drafting_service_pb2_grpc import DraftingServiceStub
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub
from watercooler.feed.v1.moderation_service_pb2_grpc import ModerationServiceStub
from watercooler.feed.v1.policy_service_pb2_grpc import PolicyServiceStub
from watercooler.feed.v1.reading_service_pb2_grpc import ReadingServiceStub
from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from watercooler.search.v1.search_service_pb2_grpc import SearchServiceStub

if TYPE_CHECKING:
    from watercooler.feed.v1.announcement_service_pb2_grpc import AnnouncementServiceAsyncStub
    from watercooler.feed.v1.delivery_service_pb2_grpc import DeliveryServiceAsyncStub
    from watercooler.feed.v1.drafting_service_pb2_grpc import DraftingServiceAsyncStub
    from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceAsyncStub
    from watercooler.feed.v1.moderation_service_pb2_grpc import ModerationServiceAsyncStub
    from watercooler.feed.v1.policy_service_pb2_grpc import PolicyServiceAsyncStub
    from watercooler.feed.v1.reading_service_pb2_grpc import ReadingServiceAsyncStub
    from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceAsyncStub
    from watercooler.search.v1.search_service_pb2_grpc import SearchServiceAsyncStub


@dataclass(frozen=True, slots=True)
class Services:
    """One stub a service."""

    identity: IdentityServiceAsyncStub
    feed: FeedServiceAsyncStub
    search: SearchServiceAsyncStub
    reading: ReadingServiceAsyncStub
    drafting: DraftingServiceAsyncStub
    announcements: AnnouncementServiceAsyncStub
    policy: PolicyServiceAsyncStub
    moderation: ModerationServiceAsyncStub
    delivery: DeliveryServiceAsyncStub

    @classmethod
    def of(cls, context: Context) -> Services:
        """Over what the runtime gives the gateway."""
        feed = context.channel("feed")
        return cls(
            identity=IdentityServiceStub(context.channel("identity")), feed=FeedServiceStub(feed),
            search=SearchServiceStub(context.channel("search")), reading=ReadingServiceStub(feed), drafting=DraftingServiceStub(feed),
            announcements=AnnouncementServiceStub(feed), policy=PolicyServiceStub(feed), moderation=ModerationServiceStub(feed),
            delivery=DeliveryServiceStub(feed),
        )
