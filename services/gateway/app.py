"""Puts the gateway's parts together into one ASGI application."""
from __future__ import annotations

from typing import Any

from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.router import Router

from libs.runtime.service import Context
from libs.runtime.settings import signing_key
from libs.text import markdown
from watercooler.feed.v1.announcement_service_pb2_grpc import AnnouncementServiceStub
from watercooler.feed.v1.asking_service_pb2_grpc import AskingServiceStub
from watercooler.feed.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from watercooler.feed.v1.drafting_service_pb2_grpc import DraftingServiceStub
from watercooler.feed.v1.feed_service_pb2_grpc import FeedServiceStub
from watercooler.feed.v1.ideas_service_pb2_grpc import IdeasServiceStub
from watercooler.feed.v1.integration_service_pb2_grpc import IntegrationServiceStub
from watercooler.feed.v1.mention_service_pb2_grpc import MentionServiceStub
from watercooler.feed.v1.moderation_service_pb2_grpc import ModerationServiceStub
from watercooler.feed.v1.policy_service_pb2_grpc import PolicyServiceStub
from watercooler.feed.v1.reading_service_pb2_grpc import ReadingServiceStub
from watercooler.feed.v1.retention_service_pb2_grpc import RetentionServiceStub
from watercooler.identity.v1.app_service_pb2_grpc import AppServiceStub
from watercooler.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from watercooler.search.v1.search_service_pb2_grpc import SearchServiceStub

from . import csrf, pages
from .accounts import Accounts
from .api import route_handlers as api_handlers
from .csrf import Csrf
from .edge import API, Edge
from .files import route_handlers as file_handlers
from .health import route_handlers as health_handlers
from .http import AnyRequest, Gateway, asked
from .incoming import route_handlers as incoming_handlers
from .live import Live
from .live_routes import route_handlers as live_handlers
from .mastodon.entities import Site as Images
from .oauth.paths import is_for_programs
from .oauth.routes import route_handlers as oauth_handlers
from .parties import Clients
from .problems import Refusal, refusal_of
from .ratelimit import Limits
from .sessions import Sessions
from .visits import Visits


def create_gateway(context: Context) -> Gateway:
    """The parts of the gateway over what the runtime gives it."""
    markdown.keep_rendered(context.settings.cache_rendered_posts)
    clients = Clients(
        identity=IdentityServiceStub(context.channel("identity")),
        apps=AppServiceStub(context.channel("identity")),
        integrations=IntegrationServiceStub(context.channel("feed")),
        feed=FeedServiceStub(context.channel("feed")),
        reading=ReadingServiceStub(context.channel("feed")),
        mentions=MentionServiceStub(context.channel("feed")),
        drafting=DraftingServiceStub(context.channel("feed")),
        announcements=AnnouncementServiceStub(context.channel("feed")),
        search=SearchServiceStub(context.channel("search")),
        delivery=DeliveryServiceStub(context.channel("feed")),
        policy=PolicyServiceStub(context.channel("feed")),
        moderation=ModerationServiceStub(context.channel("feed")),
        retention=RetentionServiceStub(context.channel("feed")),
        asking=AskingServiceStub(context.channel("feed")),
        ideas=IdeasServiceStub(context.channel("feed")),
    )
    sessions = Sessions(context.database, context.settings)
    accounts = Accounts(clients, context.tokens)
    live = Live(clients, context.tokens, context.log("feed"))
    return Gateway(
        context, clients, sessions, accounts, Csrf(signing_key(context.settings)), live, Limits.of(context.settings),
        Visits(context.database), Images.of(context.settings.address, signing_key(context.settings)),
    )


# A letter's token says whose digests end; mail programs send it by themselves, without a session (RFC 8058).
ONE_CLICK = "/digests/stop"


async def check_form(request: AnyRequest) -> None:
    """Every form of a page carries the token of its session or visitor, in a field or, sent by a script, in a header.

    Raises:
        Refusal: 403, the token is missing or another's.
    """
    found = asked(request)
    path = request.scope["path"]
    if not found.is_write or path.startswith(API) or is_for_programs(path) or path == ONE_CLICK:
        return
    token = request.headers.get(csrf.HEADER, "")
    if not token:
        form = await request.form()
        token = str(form.get(csrf.FIELD, ""))
    if not request.scope["gateway"].csrf.holds(found.csrf_subject, token):  # type: ignore[typeddict-item]
        raise Refusal(403, "This form is out of date: go back, reload the page and send it again.", code="csrf")


def create_app(gateway: Gateway) -> Edge:
    """The ASGI application."""
    error_page = getattr(pages, "error_page", None)

    def refused(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        # Handed to the edge, which writes every refusal, those of Litestar's routing included.
        raise refusal_of(error, "if-match" in request.headers) from error

    litestar = Litestar(
        route_handlers=[
            *api_handlers,
            *file_handlers,
            *health_handlers,
            *live_handlers,
            *oauth_handlers,
            *incoming_handlers,
            Router(path="/", route_handlers=list(pages.route_handlers), include_in_schema=False),
        ],
        before_request=check_form,
        exception_handlers={Exception: refused, HTTPException: refused},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,
        multipart_form_part_limit=100,
    )
    return Edge(litestar, gateway, error_page)
