"""Who asks the gateway, and whom it asks."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import grpc

from libs.rpc import auth, errors
from libs.rpc.errors import RpcError
from watercooler.identity.v1 import identity_service_pb2 as identity

if TYPE_CHECKING:
    from watercooler.feed.v1.announcement_service_pb2_grpc import AnnouncementServiceAsyncStub
    from watercooler.feed.v1.asking_service_pb2_grpc import AskingServiceAsyncStub
    from watercooler.feed.v1.delivery_service_pb2_grpc import DeliveryServiceAsyncStub
    from watercooler.feed.v1.drafting_service_pb2_grpc import DraftingServiceAsyncStub
    from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceAsyncStub
    from watercooler.feed.v1.ideas_service_pb2_grpc import IdeasServiceAsyncStub
    from watercooler.feed.v1.integration_service_pb2_grpc import IntegrationServiceAsyncStub
    from watercooler.feed.v1.mention_service_pb2_grpc import MentionServiceAsyncStub
    from watercooler.feed.v1.moderation_service_pb2_grpc import ModerationServiceAsyncStub
    from watercooler.feed.v1.policy_service_pb2_grpc import PolicyServiceAsyncStub
    from watercooler.feed.v1.reading_service_pb2_grpc import ReadingServiceAsyncStub
    from watercooler.feed.v1.retention_service_pb2_grpc import RetentionServiceAsyncStub
    from watercooler.identity.v1.app_service_pb2_grpc import AppServiceAsyncStub
    from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceAsyncStub
    from watercooler.search.v1.search_service_pb2_grpc import SearchServiceAsyncStub


_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


def is_away(error: BaseException) -> bool:
    """Whether a call failed because its service does not answer, and not for what was asked."""
    if isinstance(error, TimeoutError):
        return True
    return isinstance(error, RpcError) and (error.code() in _AWAY or errors.is_token_refused(errors.read(error)))


@dataclass(frozen=True, slots=True)
class ActingApp:
    """An app that acts for itself, by a token of nobody's."""

    app_id: str
    name: str
    token_id: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Clients:
    """The services the gateway asks."""

    identity: IdentityServiceAsyncStub
    apps: AppServiceAsyncStub
    integrations: IntegrationServiceAsyncStub
    feed: FeedServiceAsyncStub
    reading: ReadingServiceAsyncStub
    mentions: MentionServiceAsyncStub
    drafting: DraftingServiceAsyncStub
    announcements: AnnouncementServiceAsyncStub
    search: SearchServiceAsyncStub
    delivery: DeliveryServiceAsyncStub
    policy: PolicyServiceAsyncStub
    moderation: ModerationServiceAsyncStub
    retention: RetentionServiceAsyncStub
    asking: AskingServiceAsyncStub
    ideas: IdeasServiceAsyncStub


@dataclass(frozen=True, slots=True, eq=False)
class Principal:
    """Who a request is from, and by which session or access token: one of the two ids is set.

    `person` is shared by many requests: read it, never change it.
    """

    person_id: str
    roles: frozenset[str]
    scopes: frozenset[str]
    person: identity.Person
    session_id: str = ""
    token_id: str = ""
    # When the access token ends; None for one without an end, and for sessions.
    token_ends: datetime | None = None
    # The app that acts by the token; empty for personal tokens and sessions.
    app_id: str = ""
    app_name: str = ""

    @property
    def caller(self) -> auth.Caller:
        """The caller that the services see."""
        return auth.Caller(self.person_id, self.roles, self.scopes)

    @property
    def is_administrator(self) -> bool:
        """May administer, by role and by scope."""
        return self.caller.is_administrator

    @property
    def is_guest(self) -> bool:
        """Sees only what names them or a community they were let into."""
        return self.caller.is_guest
