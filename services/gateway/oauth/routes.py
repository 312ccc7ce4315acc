"""What apps send and are answered: registration, tokens, revocation, who they act for, and where everything is.

RFC 6749 (tokens), RFC 6750 (bearer), RFC 7009 (revocation), RFC 8414 (discovery); parameters come as form, JSON or query, as clients of
Mastodon's API send them, with or without a content type.
"""
from __future__ import annotations

import base64
import binascii
from typing import Any, Final
from urllib.parse import unquote_plus

import msgspec
from litestar import Response, get, post

from libs.rpc.errors import RpcError
from watercooler.feed.v1 import delivery_service_pb2 as delivery
from watercooler.identity.v1 import app_service_pb2 as apps
from watercooler.identity.v1 import identity_service_pb2 as identity

from ..http import AnyRequest, as_gateway, asked, clients, current_person, gateway
from ..mastodon import params
from ..mastodon.params import Params
from ..problems import Refusal, refusal_of
from .refusals import BASIC, of_service, refused
from .scopes import SCOPES

OUT_OF_BAND: Final = "urn:ietf:wg:oauth:2.0:oob"
_NO_STORE: Final = {"cache-control": "no-store", "pragma": "no-cache"}


def base_of(request: AnyRequest) -> str:
    """How addresses of this network begin: as set, else as the request names it."""
    settings = gateway(request).context.settings
    return settings.public_url or f"{request.url.scheme}://{request.headers.get('host', 'localhost')}"


async def push_key(request: AnyRequest) -> str:
    """The public key by which push messages of this deployment are known; empty where it cannot be told now."""
    try:
        with as_gateway(request):
            found = await clients(request).delivery.GetPushKey(delivery.GetPushKeyRequest())
    except RpcError:
        return ""
    return base64.urlsafe_b64encode(found.public_key).decode().rstrip("=")


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    """A JSON answer."""
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json", headers=headers or {})


def _params(request: AnyRequest) -> Params:
    return params.read(request.scope.get("query_string", b""), asked(request).body, request.headers.get("content-type", ""))


def scopes_of(text: str) -> list[str]:
    """The scopes that a parameter names, separated by spaces."""
    return text.replace("+", " ").split()


def application(app: apps.App, key: str) -> dict[str, Any]:
    """Mastodon's entity `Application`."""
    return {
        "id": app.app_id, "name": app.name, "website": app.website or None, "scopes": list(app.scopes),
        "redirect_uri": "\n".join(app.redirect_uris), "redirect_uris": list(app.redirect_uris), "vapid_key": key,
    }


@post("/api/v1/apps", status_code=200, include_in_schema=False)
async def register(request: AnyRequest) -> Response[bytes]:
    """Make an app known."""
    given = _params(request)
    uris = given.get("redirect_uris")
    listed = given.texts("redirect_uris", 100) if isinstance(uris, list | dict) else given.text("redirect_uris", most=50_000).split()
    scopes = given.get("scopes")
    wanted = given.texts("scopes", 200) if isinstance(scopes, list | dict) else scopes_of(given.text("scopes", most=5_000))
    try:
        made = await clients(request).apps.RegisterApp(apps.RegisterAppRequest(
            name=given.text("client_name", most=2_000), website=given.text("website", most=5_000), redirect_uris=listed, scopes=wanted,
        ))
    except RpcError as error:
        raise refusal_of(error) from error
    return answer({
        **application(made.app, await push_key(request)), "client_id": made.app.app_id, "client_secret": made.client_secret,
        "client_secret_expires_at": 0,
    }, headers=_NO_STORE)


@get("/api/v1/apps/verify_credentials", include_in_schema=False)
async def verify(request: AnyRequest) -> Response[bytes]:
    """The app whose token this is."""
    found = asked(request)
    app_id = found.app.app_id if found.app is not None else found.principal.app_id if found.principal is not None else ""
    if not app_id:
        raise Refusal(401, "The access token is invalid")
    try:
        known = await clients(request).apps.GetApp(apps.GetAppRequest(app_id=app_id))
    except RpcError as error:
        raise refusal_of(error) from error
    return answer(application(known, await push_key(request)))


def _client(request: AnyRequest, given: Params) -> tuple[str, str, bool]:
    """Id and secret of the app (RFC 6749 section 2.3.1), and whether they came by HTTP Basic."""
    scheme, _, held = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client_id, colon, secret = base64.b64decode(held.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            client_id, colon, secret = "", "", ""
        if not colon:
            raise refused("invalid_client", "The header Authorization is not HTTP Basic.", 401, dict(BASIC))
        return unquote_plus(client_id), unquote_plus(secret), True
    return given.text("client_id", most=200), given.text("client_secret", most=500), False


@post("/oauth/token", status_code=200, include_in_schema=False)
async def token(request: AnyRequest) -> Response[bytes]:
    """A token for a code, for the app itself, or for a password where that is allowed."""
    try:
        given = _params(request)
        client_id, client_secret, basic = _client(request, given)
        grant = given.text("grant_type", most=200)
        scopes = scopes_of(given.text("scope", most=5_000))
        try:
            with as_gateway(request):
                made = await _granted(request, given, grant, client_id, client_secret, scopes)
        except RpcError as error:
            raise of_service(error, basic=basic) from error
    except Refusal as error:
        if error.status == 422:
            raise refused("invalid_request", error.detail) from error
        raise
    return answer({
        "access_token": made.secret, "token_type": "Bearer", "scope": " ".join(made.token.scopes),
        "created_at": made.token.issue_time.seconds,
    }, headers=_NO_STORE)


async def _granted(
    request: AnyRequest, given: Params, grant: str, client_id: str, client_secret: str, scopes: list[str]
) -> apps.AppToken:
    services = clients(request)
    if grant == "authorization_code":
        return await services.apps.RedeemCode(apps.RedeemCodeRequest(
            client_id=client_id, client_secret=client_secret, code=given.text("code", most=500),
            redirect_uri=given.text("redirect_uri", most=5_000), code_verifier=given.text("code_verifier", most=500),
        ))
    issue = apps.IssueAppTokenRequest(client_id=client_id, client_secret=client_secret, scopes=scopes)
    if grant == "client_credentials":
        return await services.apps.IssueAppToken(issue)
    if grant == "password":
        if not gateway(request).context.settings.oauth_password_grant:
            raise refused("unauthorized_client", "Apps do not take passwords here: sign in through the browser.")
        ask = identity.AuthenticateRequest(
            email=given.text("username", most=500), password=given.text("password", most=5_000), client_address=asked(request).address
        )
        try:
            person = (await services.identity.Authenticate(ask)).person
        except RpcError as error:
            found = refusal_of(error)
            if found.status == 401:
                raise refused("invalid_grant", found.detail) from error
            raise
        issue.person_id = person.person_id
        return await services.apps.IssueAppToken(issue)
    if not grant:
        raise refused("invalid_request", "The parameter grant_type is missing.")
    raise refused("unsupported_grant_type", "The grant types are authorization_code and client_credentials.")


@post("/oauth/revoke", status_code=200, include_in_schema=False)
async def revoke(request: AnyRequest) -> Response[bytes]:
    """End a token; one that is unknown is no failure (RFC 7009 section 2.2)."""
    try:
        given = _params(request)
        client_id, client_secret, basic = _client(request, given)
        ask = apps.RevokeAppTokenRequest(client_id=client_id, client_secret=client_secret, token=given.text("token", most=500))
    except Refusal as error:
        if error.status == 422:
            raise refused("invalid_request", error.detail) from error
        raise
    try:
        with as_gateway(request):
            ended = await clients(request).apps.RevokeAppToken(ask)
    except RpcError as error:
        raise of_service(error, basic=basic) from error
    if ended.token_id:
        parts = gateway(request)
        parts.accounts.forget(ended.person_id)
        parts.accounts.forget_token(ended.token_id)
        parts.live.close_token(ended.token_id)
    return answer({}, headers=_NO_STORE)


@get("/oauth/userinfo", include_in_schema=False)
async def userinfo(request: AnyRequest) -> Response[bytes]:
    """Who the token acts for, with the claims that OpenID Connect names."""
    me = current_person(request)
    if me.token_id and not me.scopes & {"read", "profile", "read:accounts", "read:me"}:
        raise refused(
            "insufficient_scope", "This access token lacks the scope profile.", 403,
            {"www-authenticate": 'Bearer realm="watercooler", error="insufficient_scope", scope="profile"'},
        )
    base, profile = base_of(request), me.person.profile
    told = {
        "iss": f"{base}/", "sub": f"{base}/people/{me.person_id}", "name": me.person.display_name, "preferred_username": profile.handle,
        "profile": f"{base}/@{profile.handle}" if profile.handle else f"{base}/people/{me.person_id}",
    }
    if me.person.photo_blob_id:
        told["picture"] = f"{base}/media/{me.person.photo_blob_id}"
    return answer(told)


@get("/.well-known/oauth-authorization-server", include_in_schema=False)
async def metadata(request: AnyRequest) -> Response[bytes]:
    """Where everything is and what is supported (RFC 8414 section 2)."""
    base = base_of(request)
    grants = ["authorization_code", "client_credentials"]
    if gateway(request).context.settings.oauth_password_grant:
        grants.append("password")
    return answer({
        "issuer": f"{base}/", "service_documentation": f"{base}/api/openapi.json",
        "authorization_endpoint": f"{base}/oauth/authorize", "token_endpoint": f"{base}/oauth/token",
        "revocation_endpoint": f"{base}/oauth/revoke", "userinfo_endpoint": f"{base}/oauth/userinfo",
        "app_registration_endpoint": f"{base}/api/v1/apps", "scopes_supported": list(SCOPES), "response_types_supported": ["code"],
        "response_modes_supported": ["query"], "grant_types_supported": grants, "code_challenge_methods_supported": ["S256", "plain"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }, headers={"cache-control": "public, max-age=300"})


@get("/.well-known/nodeinfo", include_in_schema=False)
async def nodeinfo_links(request: AnyRequest) -> Response[bytes]:
    """Where the description of this server is (https://nodeinfo.diaspora.software/protocol.html)."""
    href = f"{base_of(request)}/nodeinfo/2.0"
    return answer({"links": [{"rel": "http://nodeinfo.diaspora.software/ns/schema/2.0", "href": href}]})


@get("/nodeinfo/2.0", include_in_schema=False)
async def nodeinfo(request: AnyRequest) -> Response[bytes]:
    """What this server is. How many use it is for those inside."""
    return Response(
        msgspec.json.encode({
            "version": "2.0", "software": {"name": "watercooler", "version": "0.1.0"}, "protocols": [],
            "services": {"outbound": [], "inbound": []}, "usage": {"users": {}}, "openRegistrations": False,
            # By this name clients of several networks choose which API to speak.
            "metadata": {"upstream": {"name": "mastodon"}},
        }),
        media_type='application/json; profile="http://nodeinfo.diaspora.software/ns/schema/2.0#"',
    )


route_handlers = [register, verify, token, revoke, userinfo, metadata, nodeinfo_links, nodeinfo]
