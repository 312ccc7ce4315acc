"""How the caller is reached: preferences, devices, digests."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from libs.db.database import Row
from libs.eventstore.handle import handle
from libs.eventstore.model import InvalidArgument, Metadata, NotFound, Rejected, micros
from libs.fetch import FetchRefused
from libs.mail.letters import LetterRefused, ServerAway
from libs.push.messages import NoPublicKey, check_public_key
from libs.rpc import auth
from libs.rpc.errors import ResourceExhausted
from libs.runtime.service import Context
from libs.text.ids import pair_id
from watercooler.feed.v1 import delivery_events_pb2 as events
from watercooler.feed.v1 import delivery_service_pb2 as api
from watercooler.feed.v1.delivery_service_pb2_grpc import DeliveryServiceServicer

from ..access import scope_of
from ..calm import KINDS, day_number, merged, next_slot, quiet_until
from ..commands import delivery as commands
from ..deciders import delivery
from ..digests import Digests
from ..pushes import Pushing, PushKeys
from ..queries import communities as community_queries
from ..queries import delivery as queries
from ..queries.delivery import Reached
from .base import NO_COMMUNITY, NO_PERSON, Calls, person

_FIELDS = ("kinds", "quiet_hours", "pushes_per_day", "rhythm", "digest_hour", "digest_day", "language")
LANGUAGE_CHARACTERS = 35
TESTS_APART = timedelta(minutes=1)
NO_DEVICE = "this session or access token has no push subscription: make one first"


class DeliveryApi(Calls, DeliveryServiceServicer):
    """DeliveryService."""

    def __init__(self, context: Context, keys: PushKeys, pushing: Pushing, digests: Digests) -> None:
        """For the running service."""
        super().__init__(context)
        self._keys = keys
        self._pushing = pushing
        self._digests = digests

    async def GetDelivery(self, request: api.GetDeliveryRequest, context: Any) -> api.Delivery:
        """The caller's preferences and devices."""
        return await self._delivery(_caller_id())

    async def _reached(self, person_id: str) -> Reached:
        found = (await queries.fetch_reached(self.database, [person_id])).get(person_id)
        if found is None:
            raise NotFound(NO_PERSON)
        return found

    async def _delivery(self, person_id: str) -> api.Delivery:
        reached, now = await self._reached(person_id), self.now()
        chosen = reached.preferences
        events_now = await self.events.read(f"delivery-{person_id}")
        found = api.Delivery(
            preferences=chosen, subscriptions=[_subscription(row) for row in await queries.fetch_devices(self.database, [person_id])],
            time_zone=reached.zone.key, pushes_today=await queries.spent(self.database, person_id, day_number(reached.zone, now)),
            mail_address=reached.email, etag=str(events_now[-1].version if events_now else 0),
        )
        if (until := quiet_until(chosen.quiet_hours, reached.zone, now)) is not None:
            found.quiet_until.FromDatetime(until)
        if (following := next_slot(chosen.rhythm, chosen.digest_hour, chosen.digest_day, reached.zone, now)) is not None:
            found.next_digest_time.FromDatetime(following)
        if reached.last_sent:
            found.last_digest_time.FromMicroseconds(reached.last_sent)
        return found

    async def ChangeDelivery(self, request: api.ChangeDeliveryRequest, context: Any) -> api.Delivery:
        """Change what `update_mask` names. What is not shown in the app is neither pushed nor in the digest."""
        caller = person()
        unknown = sorted(set(request.update_mask) - set(_FIELDS))
        if unknown or not request.update_mask:
            raise InvalidArgument(f"update_mask names one or more of {', '.join(_FIELDS)}", "update_mask")
        if len(request.preferences.language) > LANGUAGE_CHARACTERS:
            raise InvalidArgument("a language is a BCP 47 tag such as en or pt-BR", "language")
        unknown_kinds = {each.kind for each in request.preferences.kinds} - set(KINDS)
        if "kinds" in request.update_mask and unknown_kinds:
            raise InvalidArgument("there is no such kind of notification", "kinds")
        reached = await self._reached(caller.person_id)
        wanted = merged(reached.preferences, request.preferences, request.update_mask)
        for each in wanted.kinds:
            each.push, each.digest = each.push and each.in_app, each.digest and each.in_app
        command = commands.ChangePreferences(person_id=caller.person_id, preferences=wanted, now=self.now(), etag=request.etag)
        await self.handle(caller, delivery, f"delivery-{caller.person_id}", command, request.request_id)
        if "quiet_hours" in request.update_mask:
            async with self.database.transaction() as tx:
                await queries.release_pushes(tx, caller.person_id, micros(self.now()))
            self._pushing.wake.set()
        return await self._delivery(caller.person_id)

    # --- devices ------------------------------------------------------------------------------------------------------

    async def GetPushKey(self, request: api.GetPushKeyRequest, context: Any) -> api.PushKey:
        """The key by which push services know this deployment."""
        await self._keys.sender()
        return api.PushKey(public_key=self._keys.public)

    async def SubscribePush(self, request: api.SubscribePushRequest, context: Any) -> api.PushSubscription:
        """Send pushes to a device, in the place of what its session or token had."""
        caller = person()
        try:
            (await self._keys.sender()).check(request.endpoint)
        except FetchRefused as error:
            raise InvalidArgument(str(error), "endpoint") from error
        command = commands.SubscribePush(
            person_id=caller.person_id, subscription_id=pair_id(caller.person_id, request.holder), holder=request.holder,
            endpoint=request.endpoint, public_key=request.public_key, secret=request.secret, format=request.format,
            kinds=tuple(request.kinds), policy=request.policy or "all", label=request.label, client_token=request.client_token,
            now=self.now(),
        )
        if len(request.public_key) == 65:
            try:
                check_public_key(request.public_key)
            except NoPublicKey as error:
                raise InvalidArgument(str(error), "public_key") from error
        await self.handle(caller, delivery, f"delivery-{caller.person_id}", command, request.request_id)
        return _subscription(await self._held(caller.person_id, request.holder))

    async def GetPush(self, request: api.GetPushRequest, context: Any) -> api.PushSubscription:
        """The device of a session or access token."""
        return _subscription(await self._held(_caller_id(), request.holder))

    async def ChangePush(self, request: api.ChangePushRequest, context: Any) -> api.PushSubscription:
        """Choose anew which kinds a device wants, and from whom."""
        caller = person()
        row = await self._held(caller.person_id, request.holder)
        command = commands.SubscribePush(
            person_id=caller.person_id, subscription_id=row["subscription_id"], holder=row["holder"], endpoint=row["endpoint"],
            public_key=bytes(row["public_key"]), secret=bytes(row["secret"]), format=row["format"], kinds=tuple(request.kinds),
            policy=request.policy or row["policy"], label=row["label"], client_token=row["client_token"], now=self.now(),
        )
        await self.handle(caller, delivery, f"delivery-{caller.person_id}", command, request.request_id)
        return _subscription(await self._held(caller.person_id, request.holder))

    async def UnsubscribePush(self, request: api.UnsubscribePushRequest, context: Any) -> api.UnsubscribePushResponse:
        """Send nothing more to a device; one that is gone already is no error."""
        caller = person()
        if not request.holder and not request.subscription_id:
            raise InvalidArgument("say which device: by holder, or by subscription_id", "subscription_id")
        command = commands.UnsubscribePush(
            person_id=caller.person_id, subscription_id=request.subscription_id or pair_id(caller.person_id, request.holder),
            reason=events.PUSH_END_SIGNED_OUT if request.signed_out else events.PUSH_END_ASKED, now=self.now(),
        )
        await self.handle(caller, delivery, f"delivery-{caller.person_id}", command, request.request_id)
        return api.UnsubscribePushResponse()

    async def TestPush(self, request: api.TestPushRequest, context: Any) -> api.TestPushResponse:
        """Send a push to each of the caller's devices now, once a minute."""
        caller = person()
        reached = await self._reached(caller.person_id)
        await self._once_a_minute(caller.person_id, "push")
        sent, failed = await self._pushing.test(reached)
        return api.TestPushResponse(sent_count=sent, failed_count=failed)

    async def _held(self, person_id: str, holder: str) -> Row:
        for row in await queries.fetch_devices(self.database, [person_id]):
            if row["holder"] == holder:
                return row
        raise NotFound(NO_DEVICE)

    # --- digests ------------------------------------------------------------------------------------------------------

    async def PreviewDigest(self, request: api.PreviewDigestRequest, context: Any) -> api.Digest:
        """What the caller's digest would say now."""
        content, written, _ = await self._digests.written(await self._reached(_caller_id()), self.now(), request.language)
        return api.Digest(
            subject=written.subject, text=written.text, html=written.html, notification_count=content.notification_count,
            post_count=len(content.posts),
        )

    async def TestDigest(self, request: api.TestDigestRequest, context: Any) -> api.Digest:
        """Send the caller what the preview shows, once a minute."""
        caller = person()
        reached, now = await self._reached(caller.person_id), self.now()
        if not reached.email:
            raise Rejected("your profile has no e-mail address: ask your administrator to add it")
        await self._once_a_minute(caller.person_id, "mail")
        content, written, stop = await self._digests.written(reached, now, request.language)
        try:
            await self._digests.deliver(reached, written, stop, f"test-{caller.person_id}-{micros(now)}", now)
        except (ServerAway, LetterRefused) as error:
            raise Rejected("the mail server did not take the letter: try again later, or tell your administrator") from error
        return api.Digest(
            subject=written.subject, text=written.text, html=written.html, notification_count=content.notification_count,
            post_count=len(content.posts),
        )

    async def StopDigest(self, request: api.StopDigestRequest, context: Any) -> api.StopDigestResponse:
        """End the digests of whom the token names; doing it again changes nothing."""
        person_id = await self._digests.stopped_by(request.token)
        if not person_id:
            raise NotFound("this link is not complete, or not from one of our letters: open it from the letter again")
        command = commands.StopDigest(person_id=person_id, now=self.now())
        await handle(self.events, delivery, f"delivery-{person_id}", command, Metadata(person_id))
        return api.StopDigestResponse()

    async def CountReach(self, request: api.CountReachRequest, context: Any) -> api.PostReach:
        """How many people a post would be for."""
        caller = auth.caller()
        scope, scope_id = scope_of(request.audience)
        if scope == "people":
            return api.PostReach(people=len(set(request.audience.people.person_ids) - {caller.person_id}))
        if caller.is_guest and scope != "community":
            return api.PostReach()  # guests write to nobody there, and are not told how large the company is
        async with self.database.snapshot() as tx:
            if scope == "community" and await community_queries.fetch_community(tx, caller, scope_id) is None:
                raise NotFound(NO_COMMUNITY, "audience")
            return api.PostReach(people=await queries.count_reach(tx, scope, scope_id, caller.person_id))

    async def _once_a_minute(self, person_id: str, kind: str) -> None:
        now = micros(self.now())
        async with self.database.transaction() as tx:
            await tx.lock(f"delivery-test:{person_id}")
            wait = await queries.last_test(tx, person_id, kind) + round(TESTS_APART.total_seconds() * 1_000_000) - now
            if wait > 0:
                seconds = 1 + wait // 1_000_000
                raise ResourceExhausted("a test was sent a moment ago: look whether it arrived, then try again in a minute", seconds)
            await queries.note_test(tx, person_id, kind, now)


def _caller_id() -> str:
    caller = auth.caller()
    if not caller.person_id:
        raise NotFound(NO_PERSON)
    return caller.person_id


def _subscription(row: Row) -> api.PushSubscription:
    found = api.PushSubscription(
        subscription_id=row["subscription_id"], holder=row["holder"], endpoint=row["endpoint"], format=row["format"],
        kinds=[int(kind) for kind in row["kinds"].split()],  # type: ignore[misc]
        policy=row["policy"], label=row["label"],
    )
    found.subscribe_time.FromDatetime(datetime.fromtimestamp(row["subscribe_time"] / 1_000_000, UTC))
    return found
