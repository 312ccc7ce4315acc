"""The feed: micro-blogging, communities, follows and notifications. Start reading here."""
from __future__ import annotations

from libs.runtime.service import Assembly, Context, Follows, Service, schema_of
from watercooler.feed.v1.drafting_service_pb2_grpc import add_DraftingServiceServicer_to_server
from watercooler.feed.v1.feed_service_pb2_grpc import add_FeedServiceServicer_to_server
from watercooler.feed.v1.policy_service_pb2_grpc import add_PolicyServiceServicer_to_server
from watercooler.feed.v1.reading_service_pb2_grpc import add_ReadingServiceServicer_to_server

from .api import FeedApi
from .api.drafting import DraftingApi
from .api.policy import PolicyApi
from .api.reading import ReadingApi
from .deciders import (
    acceptance,
    author,
    bond,
    community,
    draft,
    emoji,
    filtering,
    follow,
    inbox,
    markers,
    membership,
    people_list,
    policy,
    post,
    response,
    vote,
    watch,
)
from .projections import Activity, Communities, FollowLists, Groups, Notifications, People, Posts, Responses, Standings, Timelines
from .projections.drafting import Drafts
from .projections.policy import Policies
from .projections.reading import Bonds, CustomEmojis, Filters, Markers, PeopleLists
from .reactors import Clearing, Erasing, Sweeping, gauge_engagement
from .scheduling import Schedule, Waking


def assemble(context: Context) -> Assembly:
    """The running parts."""
    posts = FeedApi(context)
    drafting = DraftingApi(context, posts)
    schedule = Schedule(context, drafting.publish)
    return Assembly(
        servicers=(
            (add_FeedServiceServicer_to_server, posts),
            (add_PolicyServiceServicer_to_server, PolicyApi(context)),
            (add_ReadingServiceServicer_to_server, ReadingApi(context)),
            (add_DraftingServiceServicer_to_server, drafting),
        ),
        reactors=(("identity", Erasing(context)), ("feed", Clearing(context)), ("feed", Sweeping(context)), ("feed", Waking(schedule))),
        tasks=(lambda: gauge_engagement(context), schedule.run),
    )


SERVICE = Service(
    name="feed",
    summary="Micro-blogging, communities, follows and notifications.",
    schema=schema_of(__package__),
    streams={
        "post": post, "response": response, "follow": follow, "community": community, "membership": membership, "inbox": inbox,
        "author": author,
        "policy": policy, "watch": watch, "acceptance": acceptance,
        "vote": vote,
        "draft": draft,
        "bond": bond, "list": people_list, "filter": filtering, "markers": markers, "emoji": emoji,
    },
    projections=(
        Posts(), Responses(), FollowLists(), Communities(), Timelines(), Notifications(), Activity(), Policies(), Bonds(), PeopleLists(),
        Filters(), Markers(), CustomEmojis(), Drafts(),
    ),
    subscribed=(Follows("identity", People()), Follows("identity", Groups()), Follows("identity", Standings())),
    follows=("identity",),
    needs=("blob_url",),
    assemble=assemble,
    migrations=("ALTER TABLE posts ADD COLUMN reposted_id TEXT NOT NULL DEFAULT ''",),
)
