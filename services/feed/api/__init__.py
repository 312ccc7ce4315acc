"""The calls of the feed: request to command to reply, request to query to reply."""
from __future__ import annotations

from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceServicer

from .follows import FollowCalls
from .imports import ImportCalls
from .notifications import NotificationCalls
from .sharing import SharingCalls


class FeedApi(ImportCalls, SharingCalls, FollowCalls, NotificationCalls, FeedServiceServicer):
    """FeedService, one module a subject."""
