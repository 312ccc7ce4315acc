"""The manifest of the gateway: web interface, REST API and live updates."""
from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

from libs.eventstore.model import Recorded
from libs.runtime.service import Assembly, Context, Follows, Service, schema_of
from libs.telemetry import logs
from watercooler.identity.v1 import events_pb2 as events

from .api.posts import encoded_posts
from .app import create_app, create_gateway
from .expiry import end_expired_pushes
from .files import sweep_thumbnails
from .following import FromNow
from .idempotency import KEEP
from .projections import LeaversSignedOut
from .visits import gauge_visits

TIDY_EVERY: Final = timedelta(minutes=10)
# So long after an erasure the services have deleted the pictures whose small forms go with them.
GONE_SECONDS: Final = 5.0

_log = logs.get_logger(__name__)

# What changes who somebody is or what they may do.
_ACCOUNT_EVENTS = (
    events.PersonProfileChanged, events.PersonPhotoChanged, events.ManagerAssigned, events.RoleGranted, events.RoleRevoked,
    events.PersonLeft, events.PersonRejoined, events.PersonErased, events.AccessTokenRevoked, events.PasswordChanged,
)
# What ends streams, which were opened as somebody with other rights.
_ENDING = (events.RoleRevoked, events.RoleGranted, events.PersonLeft, events.PersonErased)


def assemble(context: Context) -> Assembly:
    """The running parts."""
    gateway = create_gateway(context)
    app = create_app(gateway)

    files_gone = asyncio.Event()

    async def account_changed(event: Recorded) -> None:
        data = event.data
        if not isinstance(data, _ACCOUNT_EVENTS):
            return
        gateway.accounts.forget(data.person_id)
        gateway.sessions.forget_person(data.person_id)
        if isinstance(data, events.PersonErased):
            encoded_posts.clear()
            app.mastodon.shown.clear()
            files_gone.set()
        if isinstance(data, _ENDING):  # the pages of whoever is still here reload, and listen anew as who they are now
            gateway.live.close_person(data.person_id)
        if isinstance(data, events.AccessTokenRevoked):
            gateway.accounts.forget_token(data.token_id)
            gateway.live.close_token(data.token_id)
        if isinstance(data, events.PasswordChanged) and data.ends_apps:
            gateway.live.close_person(data.person_id)

    async def tidy() -> None:
        while True:
            try:
                now = context.now()
                await end_expired_pushes(gateway, now)
                await gateway.sessions.tidy(now, now - KEEP)
                await sweep_thumbnails(context.database, context.blobs)
            except Exception:
                _log.exception("expired sessions, answers and small images stay for now")
            files_gone.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(TIDY_EVERY.total_seconds()):
                    await files_gone.wait()
                    await asyncio.sleep(GONE_SECONDS)

    # Both hear of everything, so that their positions tell whether anything has happened at all.
    accounts = FromNow("gateway.accounts", None, account_changed)
    gateway.fresh.watch(accounts, gateway.live.consumer)
    return Assembly(
        consumers=(
            ("identity", accounts),
            ("feed", gateway.live.consumer),
        ),
        tasks=(tidy, gateway.live.tend, gateway.live.flush_forever, lambda: gauge_visits(context)),
        app=app,
        drain=gateway.live.drain,
    )


SERVICE = Service(
    name="gateway",
    summary="Web interface, REST API and live updates; owns no domain state but web sessions.",
    schema=schema_of(__package__),
    assemble=assemble,
    subscribed=(Follows("identity", LeaversSignedOut()),),
    follows=("identity", "feed"),
    calls=("identity", "feed", "search"),
    needs=("blob_url", "secret_key"),
)
