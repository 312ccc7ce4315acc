"""Apps that act for people: OAuth 2.0's authorization server, without its HTTP (that is the gateway's)."""
from __future__ import annotations

import hmac
import secrets
from typing import Any

from libs.eventstore.model import InvalidArgument, NotFound, PermissionDenied, Rejected, fold
from libs.rpc import auth
from libs.text.ids import new_id
from watercooler.identity.v1 import app_service_pb2 as pb
from watercooler.identity.v1.app_service_pb2_grpc import AppServiceServicer
from watercooler.identity.v1.identity_service_pb2 import PERSON_STATE_ACTIVE, AccessToken

from .. import commands, oauth, queries
from ..deciders import app, authorization, token
from .base import Part, administrator, gathered, page_after, page_size, page_token, reader, secret_hash, service, stream_of, writer
from .tokens import APP_PREFIX, SECRET_MAX

# An authorization's id stands in front of its code, so that no table has to find one by the other.
_ID_CHARACTERS = 32
_WRONG_CLIENT = "the app is not known here, or its secret is not right: register it again"
_TOKENS_AT_ONCE = 100


class AppApi(Part, AppServiceServicer):
    """The servicer of `watercooler.identity.v1.AppService`."""

    async def RegisterApp(self, request: pb.RegisterAppRequest, context: Any) -> pb.RegisterAppResponse:
        """Make an app known; anybody may. The secret is shown this once."""
        app_id, secret = new_id(), secrets.token_urlsafe(32)
        register = commands.RegisterApp(
            app_id=app_id, name=request.name, website=request.website, redirect_uris=list(request.redirect_uris),
            scopes=list(request.scopes), secret_hash=secret_hash(secret), now=self.now(),
        )
        caller = auth.optional_caller()
        await self.done(app, f"app-{app_id}", register, caller.actor_id if caller else "")
        return pb.RegisterAppResponse(app=await self._app(app_id), client_secret=secret)

    async def GetApp(self, request: pb.GetAppRequest, context: Any) -> pb.App:
        """An app as it registered itself."""
        return await self._app(request.app_id)

    async def ListApps(self, request: pb.ListAppsRequest, context: Any) -> pb.ListAppsResponse:
        """Every app that somebody let in, the newest first; administrators only."""
        administrator()
        size, after = page_size(request.page_size), page_after(request.page_token, 1)
        async with self.database.snapshot() as tx:
            found = await queries.used_apps(tx, after[0] if after else "", size + 1)
        more = len(found) > size
        return pb.ListAppsResponse(apps=found[:size], next_page_token=page_token([found[size - 1].app_id] if more else []))

    async def RemoveApp(self, request: pb.RemoveAppRequest, context: Any) -> pb.App:
        """Shut an app out, for everybody and for good; administrators only."""
        caller = administrator()
        found = await self._app(request.app_id)
        while True:
            async with self.database.snapshot() as tx:
                token_ids = await queries.tokens_of_app(tx, found.app_id, _TOKENS_AT_ONCE)
            if not token_ids:
                break
            await self._end(token_ids, caller.actor_id)
        remove = commands.RemoveApp(app_id=found.app_id)
        await self.done(app, stream_of("app", found.app_id), remove, caller.actor_id, request.request_id)
        return found

    async def AuthorizeApp(self, request: pb.AuthorizeAppRequest, context: Any) -> pb.AuthorizeAppResponse:
        """A code by which the app gets a token to act for the caller, within these scopes (RFC 6749 section 4.1.1)."""
        caller = writer()
        if not caller.person_id:
            raise PermissionDenied("only people let apps act for them")
        found = await self._app(request.app_id)
        authorization_id = new_id()
        code = authorization_id.replace("-", "") + secrets.token_urlsafe(32)
        authorize = commands.AuthorizeApp(
            authorization_id=authorization_id, app_id=found.app_id, app_redirect_uris=list(found.redirect_uris),
            app_scopes=list(found.scopes), person_id=caller.person_id, scopes=list(request.scopes), redirect_uri=request.redirect_uri,
            code_hash=secret_hash(code), code_challenge=request.code_challenge, code_challenge_method=request.code_challenge_method,
            now=self.now(),
        )
        if request.validate_only:
            would = fold(authorization, authorization.decide(authorize, authorization.initial()))
            return pb.AuthorizeAppResponse(scopes=would.scopes, app=found)
        done = await self.done(authorization, f"authorization-{authorization_id}", authorize, caller.actor_id)
        return pb.AuthorizeAppResponse(code=code, scopes=done.state.scopes, app=found)

    async def RedeemCode(self, request: pb.RedeemCodeRequest, context: Any) -> pb.AppToken:
        """Exchange a code for a token, once; the gateway only (RFC 6749 section 4.1.3)."""
        service()
        found = await self._client(request.client_id, request.client_secret)
        authorization_id = _authorization_id(request.code)
        token_id = new_id()
        redeem = commands.RedeemCode(
            authorization_id=authorization_id, app_id=found.app_id, code_hash=secret_hash(request.code), redirect_uri=request.redirect_uri,
            code_verifier=request.code_verifier, token_id=token_id, now=self.now(),
        )
        done = await self.done(authorization, f"authorization-{authorization_id}", redeem, "service:gateway")
        allowed = done.state
        if allowed.status != "redeemed" or allowed.token_id != token_id:
            await self._end([allowed.token_id], "service:gateway")
            raise InvalidArgument(authorization.WRONG, "code")
        return await self._issue(found, allowed.person_id, allowed.scopes, token_id)

    async def IssueAppToken(self, request: pb.IssueAppTokenRequest, context: Any) -> pb.AppToken:
        """A token for the app itself (RFC 6749 section 4.4), or for a person whose password it had, where that is allowed (4.3).

        The gateway only, which has checked the password.
        """
        service()
        found = await self._client(request.client_id, request.client_secret)
        if request.person_id and not self.settings.oauth_password_grant:
            raise PermissionDenied("apps do not take passwords here: sign in through the browser", "grant_type")
        scopes = oauth.check_scopes(request.scopes)
        for scope in scopes:
            if not oauth.covers(found.scopes, scope):
                raise InvalidArgument(f"the app did not register the scope {scope}: register it anew with all it needs", "scopes")
        return await self._issue(found, request.person_id, scopes, new_id())

    async def RevokeAppToken(self, request: pb.RevokeAppTokenRequest, context: Any) -> pb.RevokeAppTokenResponse:
        """End a token of the app; one that it does not have is no failure (RFC 7009 section 2.2). The gateway only."""
        service()
        found = await self._client(request.client_id, request.client_secret)
        if not request.token.startswith(APP_PREFIX) or len(request.token) > SECRET_MAX:
            return pb.RevokeAppTokenResponse()
        async with self.database.snapshot() as tx:
            held = await queries.app_token(tx, secret_hash(request.token))
        if held is None or held.app_id != found.app_id:
            return pb.RevokeAppTokenResponse()
        await self._end([held.token_id], held.person_id or "service:gateway")
        return pb.RevokeAppTokenResponse(token_id=held.token_id, person_id=held.person_id)

    async def ListAuthorizedApps(self, request: pb.ListAuthorizedAppsRequest, context: Any) -> pb.ListAuthorizedAppsResponse:
        """The apps that act for the caller, the one let in last first."""
        caller = reader()
        async with self.database.snapshot() as tx:
            held = await queries.app_tokens_of(tx, caller.person_id) if caller.person_id else []
            apps = {each.app_id: await queries.app(tx, each.app_id) for each in held}
        listed: dict[str, pb.AuthorizedApp] = {}
        for each in held:
            known = apps[each.app_id]
            if known is None:
                continue
            entry = listed.setdefault(each.app_id, pb.AuthorizedApp(app=known))
            entry.authorize_time.CopyFrom(each.issue_time)
            entry.last_use_date = max(entry.last_use_date, each.last_use_date)
            entry.token_count += 1
            entry.scopes.extend(scope for scope in each.scopes if scope not in entry.scopes)
        return pb.ListAuthorizedAppsResponse(apps=listed.values())

    async def EndAuthorization(self, request: pb.EndAuthorizationRequest, context: Any) -> pb.EndAuthorizationResponse:
        """End what an app may do for the caller, or what all of them may."""
        caller = writer()
        async with self.database.snapshot() as tx:
            held = await queries.app_tokens_of(tx, caller.person_id) if caller.person_id else []
        token_ids = [each.token_id for each in held if request.app_id in ("", each.app_id)]
        if request.app_id and not token_ids:
            raise NotFound("this app does not act for you, or no longer")
        await self._end(token_ids, caller.actor_id)
        return pb.EndAuthorizationResponse(token_ids=token_ids)

    async def _app(self, app_id: str) -> pb.App:
        async with self.database.snapshot() as tx:
            found = await queries.app(tx, app_id)
        if found is None:
            raise NotFound("there is no such app here: it has to register first", "app_id")
        return found

    async def _client(self, client_id: str, client_secret: str) -> pb.App:
        """The app that shows its secret (RFC 6749 section 2.3.1)."""
        async with self.database.snapshot() as tx:
            found = await queries.app(tx, client_id)
            kept = await queries.app_secret_hash(tx, client_id)
        if found is None or not hmac.compare_digest(kept, secret_hash(client_secret[:SECRET_MAX])):
            raise auth.Unauthenticated(_WRONG_CLIENT)
        return found

    async def _issue(self, found: pb.App, person_id: str, scopes: Any, token_id: str) -> pb.AppToken:
        if person_id and (await self.read_person(person_id)).state != PERSON_STATE_ACTIVE:
            raise Rejected("who has left has no access tokens", "code")
        secret = APP_PREFIX + secrets.token_urlsafe(32)
        issue = commands.IssueToken(
            token_id=token_id, person_id=person_id, name="", scopes=list(scopes), secret_hash=secret_hash(secret), expire_time=None,
            now=self.now(), app_id=found.app_id,
        )
        await self.done(token, f"token-{token_id}", issue, person_id or "service:gateway")
        made = AccessToken(token_id=token_id, person_id=person_id, scopes=scopes, app_id=found.app_id, app_name=found.name)
        made.issue_time.FromDatetime(issue.now)
        return pb.AppToken(token=made, secret=secret)

    async def _end(self, token_ids: list[str], actor_id: str) -> None:
        """End tokens. One that was never issued, since the process ended in between, is none."""

        async def end(token_id: str) -> None:
            try:
                await self.done(token, f"token-{token_id}", commands.RevokeToken(token_id=token_id), actor_id)
            except NotFound:
                return

        for failed in await gathered([lambda each=each: end(each) for each in token_ids], at_once=16):  # type: ignore[misc]
            if isinstance(failed, Exception):
                raise failed


def _authorization_id(code: str) -> str:
    head = code[:_ID_CHARACTERS]
    if len(code) > SECRET_MAX or len(head) < _ID_CHARACTERS or not all(each in "0123456789abcdef" for each in head):
        raise InvalidArgument(authorization.WRONG, "code")
    return f"{head[:8]}-{head[8:12]}-{head[12:16]}-{head[16:20]}-{head[20:]}"
