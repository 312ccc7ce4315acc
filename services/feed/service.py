"""The feed: micro-blogging, communities, follows and notifications. Start reading here."""
from __future__ import annotations

from libs.runtime.service import Assembly, Context, Follows, Service, schema_of
from watercooler.feed.v1.announcement_service_pb2_grpc import add_AnnouncementServiceServicer_to_server
from watercooler.feed.v1.asking_service_pb2_grpc import add_AskingServiceServicer_to_server
from watercooler.feed.v1.delivery_service_pb2_grpc import add_DeliveryServiceServicer_to_server
from watercooler.feed.v1.drafting_service_pb2_grpc import add_DraftingServiceServicer_to_server
from watercooler.feed.v1.feed_service_pb2_grpc import add_FeedServiceServicer_to_server
from watercooler.feed.v1.ideas_service_pb2_grpc import add_IdeasServiceServicer_to_server
from watercooler.feed.v1.integration_service_pb2_grpc import add_IntegrationServiceServicer_to_server
from watercooler.feed.v1.mention_service_pb2_grpc import add_MentionServiceServicer_to_server
from watercooler.feed.v1.moderation_service_pb2_grpc import add_ModerationServiceServicer_to_server
from watercooler.feed.v1.policy_service_pb2_grpc import add_PolicyServiceServicer_to_server
from watercooler.feed.v1.reading_service_pb2_grpc import add_ReadingServiceServicer_to_server
from watercooler.feed.v1.retention_service_pb2_grpc import add_RetentionServiceServicer_to_server

from .announcing import Announcing, Reminders
from .api import FeedApi
from .api.announcements import AnnouncementApi
from .api.asking import AskingApi
from .api.delivery import DeliveryApi
from .api.drafting import DraftingApi
from .api.ideas import IdeasApi
from .api.integrations import IntegrationApi
from .api.mentions import MentionApi
from .api.moderation import ModerationApi
from .api.policy import PolicyApi
from .api.reading import ReadingApi
from .api.retention import RetentionApi
from .closing import close_polls
from .deciders import (
    acceptance,
    announcement,
    audience,
    author,
    bond,
    bot,
    case,
    community,
    delivery,
    draft,
    emoji,
    enquiry,
    expertise,
    export,
    filtering,
    follow,
    hold,
    idea,
    inbox,
    incoming,
    markers,
    membership,
    mention,
    notice,
    people_list,
    policy,
    post,
    question,
    receipt,
    response,
    rule,
    silence,
    slash_command,
    support,
    vote,
    watch,
    webhook,
)
from .digests import Digests, carrier_of
from .exporting import Exporting, Recalling, WakingExporting
from .keeping import Keeping, WakingKeeping
from .mentioning import Mentioning
from .moderating import Enforcing, Watching
from .previews import Previewing, Previews
from .projections import Activity, Communities, FollowLists, Groups, Notifications, People, Posts, Responses, Standings, Timelines
from .projections.announcements import Announcements
from .projections.asking import Enquiries, Ideas, Praises, Questions
from .projections.chart import Chart
from .projections.delivery import Deliveries, Reachable
from .projections.drafting import Drafts
from .projections.integrations import Integrations
from .projections.mentions import GroupHandles
from .projections.moderation import Administrators, Audit, Moderation
from .projections.policy import Policies
from .projections.reading import Bonds, CustomEmojis, Filters, Markers, PeopleLists
from .projections.retention import Retention
from .projections.standings import BotAccounts
from .pushes import Pushing, PushKeys, PushQueue, SigningOut
from .questions import release_on_the_hour, route_questions
from .reactors import Clearing, Erasing, Sweeping, gauge_engagement
from .scheduling import Schedule, Waking
from .webhooks import Sending, Telling


def assemble(context: Context) -> Assembly:
    """The running parts."""
    posts = FeedApi(context)
    drafting = DraftingApi(context, posts)
    keys, digests = PushKeys(context), Digests(context, carrier_of(context.settings))
    pushing = Pushing(context, keys)
    schedule = Schedule(context, drafting.publish)
    keeping, exporting = Keeping(context), Exporting(context)
    sending = Sending(context)
    previews = Previews(context)
    return Assembly(
        servicers=(
            (add_FeedServiceServicer_to_server, posts),
            (add_AnnouncementServiceServicer_to_server, AnnouncementApi(context)),
            (add_PolicyServiceServicer_to_server, PolicyApi(context)),
            (add_ModerationServiceServicer_to_server, ModerationApi(context)),
            (add_RetentionServiceServicer_to_server, RetentionApi(context, keeping.wake, exporting.wake)),
            (add_AskingServiceServicer_to_server, AskingApi(context)),
            (add_IntegrationServiceServicer_to_server, IntegrationApi(context, posts, sending)),
            (add_IdeasServiceServicer_to_server, IdeasApi(context)),
            (add_ReadingServiceServicer_to_server, ReadingApi(context)),
            (add_MentionServiceServicer_to_server, MentionApi(context)),
            (add_DraftingServiceServicer_to_server, drafting),
            (add_DeliveryServiceServicer_to_server, DeliveryApi(context, keys, pushing, digests)),
        ),
        reactors=(
            ("identity", Erasing(context)), ("feed", Clearing(context)), ("feed", Sweeping(context)), ("feed", Waking(schedule)),
            ("feed", Mentioning(context)), ("identity", SigningOut(context)),
            ("feed", Announcing(context)), ("feed", Previewing(context, previews)),
            ("feed", Enforcing(context)), ("feed", Watching(context)), ("feed", Recalling(context)), ("feed", WakingKeeping(keeping)),
            ("feed", WakingExporting(exporting)),
            ("feed", Telling(context, sending, "feed")), ("identity", Telling(context, sending, "identity")),
        ),
        tasks=(
            keeping.run, exporting.run, sending.run, previews.run,
            lambda: route_questions(context), lambda: release_on_the_hour(context),
            lambda: gauge_engagement(context), lambda: close_polls(context),
            Reminders(context).run, schedule.run, pushing.run, digests.run),
        consumers=(("feed", PushQueue(context, pushing.wake)),),
    )


SERVICE = Service(
    name="feed",
    summary="Micro-blogging, communities, follows and notifications.",
    schema=schema_of(__package__),
    streams={
        "post": post, "response": response, "follow": follow, "community": community, "membership": membership, "inbox": inbox,
        "author": author,
        "announcement": announcement, "audience": audience, "notice": notice, "receipt": receipt,
        "question": question, "expertise": expertise, "enquiry": enquiry, "support": support, "idea": idea,
        "policy": policy, "watch": watch, "acceptance": acceptance,
        "case": case, "silence": silence, "rule": rule, "hold": hold, "export": export,
        "vote": vote,
        "draft": draft, "mention": mention,
        "delivery": delivery,
        "webhook": webhook, "bot": bot, "incoming": incoming, "command": slash_command,
        "bond": bond, "list": people_list, "filter": filtering, "markers": markers, "emoji": emoji,
    },
    projections=(
        Posts(), Responses(), FollowLists(), Communities(), Timelines(), Notifications(), Activity(), Policies(), Bonds(), PeopleLists(),
        Moderation(), Audit(), Retention(),
        Questions(), Praises(), Enquiries(), Ideas(),
        Announcements(), Filters(), Markers(), CustomEmojis(), Drafts(), Deliveries(), Integrations(),
    ),
    subscribed=(
        Follows("identity", Administrators()), Follows("identity", People()), Follows("identity", Groups()),
        Follows("identity", Standings()), Follows("identity", BotAccounts()), Follows("identity", Chart()),
        Follows("identity", GroupHandles()), Follows("identity", Reachable()),
    ),
    follows=("identity",),
    needs=("blob_url",),
    assemble=assemble,
    migrations=("ALTER TABLE posts ADD COLUMN reposted_id TEXT NOT NULL DEFAULT ''",),
)
