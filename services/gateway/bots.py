"""Accounts of programs: made in identity for a bot or a hook that feed lets somebody make, and ended with it."""
from __future__ import annotations

from contextlib import AbstractContextManager

from libs.rpc import auth
from libs.rpc.errors import RpcError
from watercooler.feed.v1 import integration_service_pb2 as integrations
from watercooler.identity.v1 import events_pb2 as identity_events
from watercooler.identity.v1 import identity_service_pb2 as identity

from .http import AnyRequest, as_gateway, clients, current_person, gateway


async def create_bot(request: AnyRequest, name: str, description: str, community_id: str) -> integrations.Bot:
    """A bot with an account of its own. Raises RpcError where the caller may not, or the name or description is not what it may be."""
    services = clients(request)
    await services.integrations.CheckIntegrationAccess(integrations.CheckIntegrationAccessRequest(community_id=community_id))
    bot_id = await _account(request, name)
    try:
        return await services.integrations.CreateBot(
            integrations.CreateBotRequest(bot_id=bot_id, name=name, description=description, community_id=community_id)
        )
    except RpcError:
        await end_account(request, bot_id)
        raise


async def create_hook(request: AnyRequest, name: str, community_id: str) -> integrations.CreateIncomingHookResponse:
    """An incoming hook of a community, or of the caller where none is named. Raises RpcError."""
    services, me = clients(request), current_person(request)
    if community_id:
        await services.integrations.CheckIntegrationAccess(integrations.CheckIntegrationAccessRequest(community_id=community_id))
    bot_id = await _account(request, name)
    try:
        return await services.integrations.CreateIncomingHook(integrations.CreateIncomingHookRequest(
            name=name, community_id=community_id, person_id="" if community_id else me.person_id, bot_id=bot_id
        ))
    except RpcError:
        await end_account(request, bot_id)
        raise


async def _account(request: AnyRequest, name: str) -> str:
    profile = identity_events.Profile(name=name.strip())
    with as_gateway(request):
        made = await clients(request).identity.CreatePerson(
            identity.CreatePersonRequest(profile=profile, roles=[identity_events.ROLE_BOT])
        )
    return made.person_id


async def end_account(request: AnyRequest, bot_id: str) -> None:
    """No token of the account counts any more; what it wrote stays."""
    with as_gateway(request):
        await clients(request).identity.OffboardPerson(identity.OffboardPersonRequest(person_id=bot_id))
    gateway(request).accounts.forget(bot_id)
    gateway(request).live.close_person(bot_id)


async def issue_token(request: AnyRequest, bot_id: str, name: str, scopes: list[str]) -> identity.IssueAccessTokenResponse:
    """A token by which a bot acts, for who manages it. Raises RpcError."""
    await clients(request).integrations.GetBot(integrations.GetBotRequest(bot_id=bot_id))
    with as_gateway(request):
        return await clients(request).identity.IssueAccessToken(
            identity.IssueAccessTokenRequest(person_id=bot_id, name=name, scopes=[each for each in scopes if each in ("read", "write")])
        )


async def tokens_of(request: AnyRequest, bot_id: str) -> list[identity.AccessToken]:
    """The tokens of a bot, for who manages it. Raises RpcError."""
    await clients(request).integrations.GetBot(integrations.GetBotRequest(bot_id=bot_id))
    with _as_bot(request, bot_id):
        return list((await clients(request).identity.ListAccessTokens(identity.ListAccessTokensRequest())).tokens)


async def revoke_token(request: AnyRequest, bot_id: str, token_id: str) -> None:
    """End a token of a bot, for who manages it. Raises RpcError."""
    await clients(request).integrations.GetBot(integrations.GetBotRequest(bot_id=bot_id))
    with _as_bot(request, bot_id):
        await clients(request).identity.RevokeAccessToken(identity.RevokeAccessTokenRequest(token_id=token_id))
    gateway(request).accounts.forget(bot_id)
    gateway(request).live.close_token(token_id)


def _as_bot(request: AnyRequest, bot_id: str) -> AbstractContextManager[None]:
    return auth.acting(gateway(request).context.tokens.sign(auth.Caller(bot_id, frozenset({"bot"}), frozenset({"read", "write"}))))
